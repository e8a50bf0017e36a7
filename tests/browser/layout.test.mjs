// What can be reached without scrolling, and what lies over what, in windows of usual sizes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, drag, entities, paint, said, stage, tiny } from './actions.mjs';
import { open } from './harness.mjs';

const slow = { timeout: 240_000 };

/** A page of this size with three things that have paths, scrolled to its top. */
async function full(t, width, height, context = {}) {
  const page = await open(t, { at: tiny, context: { viewport: { width, height }, ...context } });
  await stage(page);
  for (const [i, y] of [0.25, 0.45, 0.65].entries()) {
    if (i) await at(page, 'new-entity').click();
    await paint(page, [[0.15, y], [0.25, y]]);
    await entities(page, i + 1);
    await drag(page, [[0.2, y], [0.6, y]]);
  }
  await page.evaluate(() => scrollTo(0, 0));
  return page;
}

const box = (page, id) => at(page, id).boundingBox();
const within = (own, width, height) => own.x >= 0 && own.y >= 0 && own.x + own.width <= width && own.y + own.height <= height;
const overlap = (a, b) =>
  Math.min(a.x + a.width, b.x + b.width) > Math.max(a.x, b.x) && Math.min(a.y + a.height, b.y + b.height) > Math.max(a.y, b.y);

for (const [width, height] of [[1366, 768], [1280, 720]]) {
  test(`picture, list and Generate are there at once in ${width} x ${height}`, slow, async (t) => {
    const page = await full(t, width, height);
    for (const id of ['stage', 'generate', 'tools', 'entity-0', 'entity-2', 'lane-0', 'lane-2']) {
      const own = await (id === 'tools' ? page.locator('#tools').boundingBox() : box(page, id));
      assert.ok(within(own, width, height), `${id} is at ${JSON.stringify(own)}`);
    }
    assert.ok((await box(page, 'stage')).width > 430, 'the picture is large');
  });
}

test('messages lie over nothing that is needed in 1280 x 800', slow, async (t) => {
  const page = await full(t, 1280, 800);
  await page.evaluate(() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.setData('text/plain', 'nothing that can be opened');
    window.dispatchEvent(new DragEvent('drop', { dataTransfer }));
  });
  await said(page, /dropped/);
  const others = ['stage', 'generate', 'timeline', 'player', 'zoom-in', 'lane-0', 'lane-2', 'entity-0'];
  const message = await at(page, 'message').boundingBox();
  for (const id of others) assert.ok(!overlap(message, await box(page, id)), `a message lies over ${id}`);
  // What is at the end of the list's column can be reached above it.
  await at(page, 'settings').locator('summary').click();
  await at(page, 'set-token').scrollIntoViewIfNeeded();
  assert.ok(!overlap(message, await box(page, 'set-token')), 'a message lies over the settings');
});

const finger = { hasTouch: true, isMobile: true };
for (const [width, height, context] of [[390, 844, finger], [320, 640, finger], [683, 384, {}]]) {
  test(`nothing lies over the picture in ${width} x ${height}`, slow, async (t) => {
    const page = await full(t, width, height, context);
    const [picture, generate] = [await page.locator('#stage-frame').boundingBox(), await box(page, 'generate')];
    assert.ok(within(picture, width, height) && within(generate, width, height), JSON.stringify([picture, generate]));
    assert.ok(!overlap(picture, generate), 'Generate covers the picture');
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `the page is ${wide} px wide`);
    // What is further down can be scrolled to, and is not covered there.
    await at(page, 'entity-name-2').click();
    assert.equal(await at(page, 'entity-2').getAttribute('data-selected'), 'true');
  });
}
