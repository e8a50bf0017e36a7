// Layers: hidden, locked, there twice, coloured, put elsewhere in the list; ready motions for things and for the camera.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  at,
  drag,
  entities,
  finished,
  generate,
  paint,
  phone,
  pixel,
  said,
  savedScene,
  settings,
  stage,
  swipe,
  tiny,
  until,
} from './actions.mjs';
import { open } from './harness.mjs';

const slow = { timeout: 240_000 };

/** Two things, each with a path; the second one is selected. */
async function two(t, options = {}) {
  const page = await open(t, { at: tiny, ...options });
  await stage(page);
  for (const [i, y] of [0.3, 0.7].entries()) {
    if (i) await at(page, 'new-entity').click();
    await paint(page, [[0.15, y], [0.25, y]]);
    await entities(page, i + 1);
    await drag(page, [[0.2, y], [0.4, y], [0.6, y]]);
    await until(async () => /Has a path/.test(await at(page, `entity-${i}`).textContent()), 'the path');
  }
  return page;
}

const names = async (page) => (await savedScene(page)).entities.map((entity) => entity.name);
const far = (a, b) => Math.max(...a.map((v, c) => Math.abs(v - b[c])));

test('what is hidden is part of the picture, in the video and after a reload', slow, async (t) => {
  const page = await two(t);
  const tinted = await pixel(page, 0.2, 0.32);
  await at(page, 'entity-hide-0').click();
  await until(async () => far(await pixel(page, 0.2, 0.32), tinted) > 8, 'the picture without its colour');
  assert.match(await at(page, 'entity-0').textContent(), /Hidden/);
  assert.equal(await at(page, 'entity-hide-0').getAttribute('aria-pressed'), 'true');
  assert.equal(await at(page, 'lane-0').count(), 0, 'it has no lane');
  assert.ok((await savedScene(page)).entities[0].hidden);
  const picture = await pixel(page, 0.2, 0.32);

  await settings(page, { frames: 4 });
  await generate(page);
  await finished(page, 120_000);
  const last = await at(page, 'result').evaluate((canvas) => {
    const scrub = document.getElementById('scrub');
    scrub.value = scrub.max;
    scrub.dispatchEvent(new Event('input'));
    return new Promise((resolve) => setTimeout(() => {
      const { data } = canvas.getContext('2d').getImageData(canvas.width * 0.2, canvas.height * 0.32, 1, 1);
      resolve([...data]);
    }, 600));
  });
  assert.ok(far(last, picture) < 16, `${last} is not ${picture}: it has gone along`);

  await at(page, 'entity-lock-1').click();
  await page.reload();
  await entities(page, 2);
  const { entities: kept } = await savedScene(page);
  assert.deepEqual(kept.map((e) => [Boolean(e.hidden), Boolean(e.locked)]), [[true, false], [false, true]]);
  // All of it can be undone in the page that it was done in, and by the same button.
  await at(page, 'entity-hide-0').click();
  assert.equal(await at(page, 'entity-hide-0').getAttribute('aria-pressed'), 'false');
  await at(page, 'undo').click();
  assert.equal(await at(page, 'entity-hide-0').getAttribute('aria-pressed'), 'true');
});

test('drags pass what is locked; a thing is there twice, in another colour', slow, async (t) => {
  const page = await two(t);
  await at(page, 'entity-lock-1').click();
  const before = (await savedScene(page)).entities[1].trajectory;
  await drag(page, [[0.2, 0.7], [0.3, 0.9]]);
  await said(page, /no entity where the drag began/);
  assert.deepEqual((await savedScene(page)).entities[1].trajectory, before);
  await at(page, 'entity-lock-1').click();

  await at(page, 'entity-select-0').click();
  await page.keyboard.press('Control+D');
  await entities(page, 3);
  const { entities: [first, second] } = await savedScene(page);
  assert.deepEqual(first.mask, second.mask);
  assert.notDeepEqual(first.trajectory.at(-1), second.trajectory.at(-1));
  assert.equal(await at(page, 'entity-1').getAttribute('data-selected'), 'true');
  await at(page, 'entity-colour-1-5').click();
  assert.equal((await savedScene(page)).entities[1].colour, 5);
  assert.equal(await at(page, 'entity-colour-1-5').getAttribute('aria-pressed'), 'true');
  for (let i = 0; i < 2; i++) await page.keyboard.press('Control+Z');
  await entities(page, 2);
});

test('rows are dragged with the mouse, and moved by the keyboard', slow, async (t) => {
  const page = await two(t);
  const [from, to] = [await at(page, 'entity-grip-0').boundingBox(), await at(page, 'entity-1').boundingBox()];
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(to.x + 20, to.y + to.height - 4, { steps: 6 });
  assert.equal(await at(page, 'entity-1').getAttribute('data-drop'), 'after');
  await page.mouse.up();
  assert.deepEqual(await names(page), ['Entity 2', 'Entity 1']);
  assert.equal(await at(page, 'entity-1').getAttribute('data-drop'), '');
  // Both keep their colours.
  assert.deepEqual((await savedScene(page)).entities.map((e) => e.colour), [1, 0]);
  await at(page, 'entity-grip-1').focus();
  await page.keyboard.press('ArrowUp');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.testid), 'entity-grip-0', 'the focus goes along');
  assert.match(await at(page, 'entity-grip-0').getAttribute('aria-label'), /^Entity 1: place 1 of 2/);
  assert.deepEqual(await names(page), ['Entity 1', 'Entity 2']);
  await at(page, 'undo').click();
  assert.deepEqual(await names(page), ['Entity 2', 'Entity 1']);
});

test('with a finger, too', slow, async (t) => {
  const page = await two(t, { context: phone });
  await at(page, 'entity-1').scrollIntoViewIfNeeded();
  await at(page, 'entity-0').evaluate((row) => row.scrollIntoView({ block: 'center' }));
  const [from, to] = [await at(page, 'entity-grip-0').boundingBox(), await at(page, 'entity-1').boundingBox()];
  const x = from.x + from.width / 2;
  await swipe(page, [[x, from.y + from.height / 2], [x, to.y + to.height / 2]]);
  assert.deepEqual(await names(page), ['Entity 2', 'Entity 1']);
  // Browsers take a tap soon after a swipe for one that stops it, now and then, and make no click of it.
  const hidden = async () => (await savedScene(page)).entities[0].hidden;
  await until(async () => {
    await at(page, 'entity-hide-0').tap();
    await page.waitForTimeout(500);
    return hidden();
  }, 'the layer to be hidden');
});

test('a ready motion, larger with a second press, for a thing and for the camera', slow, async (t) => {
  const page = await two(t);
  const wide = ({ trajectory }) => Math.max(...trajectory.map(([x]) => x)) - Math.min(...trajectory.map(([x]) => x));
  const drawn = (await savedScene(page)).entities[1].trajectory;
  // Whatever else is clicked closes the menu.
  const menuOpen = async () => {
    if (!(await at(page, 'motions').isVisible())) await at(page, 'motions-open').click();
    await at(page, 'motions').waitFor();
  };
  const choose = async (id) => {
    await menuOpen();
    await at(page, id).click();
  };
  await menuOpen();
  const menu = await at(page, 'motions').boundingBox();
  assert.ok(menu.x >= 0 && menu.y >= 0 && menu.x + menu.width <= 1280 && menu.y + menu.height <= 800, JSON.stringify(menu));
  await choose('figures-wave');
  const first = (await savedScene(page)).entities[1];
  assert.deepEqual(first.trajectory[0].slice(0, 2), drawn[0].slice(0, 2), 'it begins where the path did');
  assert.deepEqual([first.trajectory[0][2], first.trajectory.at(-1)[2]], [0, 1]);
  await choose('figures-wave');
  assert.ok(wide((await savedScene(page)).entities[1]) > wide(first) * 1.3, 'the second press makes it larger');
  await choose('camera-figures-sway');
  const { background } = await savedScene(page);
  assert.deepEqual(background.at(-1).slice(0, 2), background[0].slice(0, 2), 'it comes back');
  await menuOpen();
  await page.keyboard.press('Escape');
  await until(async () => !(await at(page, 'motions').isVisible()), 'the menu to close');
  assert.equal(await at(page, 'entity-1').getAttribute('data-selected'), 'true', 'Escape was the menu’s');
  for (let i = 0; i < 3; i++) await at(page, 'undo').click();
  assert.deepEqual((await savedScene(page)).entities[1].trajectory, drawn);
  // By the keyboard.
  await page.keyboard.press('g');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.testid), 'figures-arc');
  await page.keyboard.press('Enter');
  assert.notDeepEqual((await savedScene(page)).entities[1].trajectory, drawn);
});

test('one thing goes along with another, on the picture and in the video, until it is let go', slow, async (t) => {
  const page = await open(t, { at: tiny });
  await stage(page);
  for (const [i, y] of [0.3, 0.7].entries()) {
    if (i) await at(page, 'new-entity').click();
    await paint(page, [[0.15, y], [0.25, y]]);
    await entities(page, i + 1);
  }
  await at(page, 'entity-tie-1').selectOption('0');
  assert.match(await at(page, 'entity-1').textContent(), /Goes along with/);
  assert.equal(new Set((await savedScene(page)).entities.map((entity) => entity.group)).size, 1);
  await drag(page, [[0.2, 0.3], [0.4, 0.3], [0.6, 0.3]]);
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 120_000);
  const there = await pixel(page, 0.6, 0.72);
  await at(page, 'playhead').evaluate((range) => {
    range.value = range.max;
    range.dispatchEvent(new Event('input'));
  });
  await until(async () => far(await pixel(page, 0.6, 0.72), there) > 8, 'the other one at the end');
  await settings(page, { frames: 4 });
  await generate(page);
  await finished(page, 120_000);
  const moved = await at(page, 'result').evaluate(async (canvas) => {
    const scrub = document.getElementById('scrub');
    const at = async (frame) => {
      scrub.value = frame;
      scrub.dispatchEvent(new Event('input'));
      for (let i = 0; i < 3; i += 1) await new Promise(requestAnimationFrame);
      return canvas.getContext('2d').getImageData(0.6 * canvas.width, 0.71 * canvas.height, 1, 1).data;
    };
    const [first, last] = [await at(0), await at(scrub.max)];
    return Math.max(...[0, 1, 2].map((c) => Math.abs(first[c] - last[c])));
  });
  assert.ok(moved > 8, `it is seen where it has gone: ${moved}`);
  await at(page, 'entity-select-1').click();
  await at(page, 'entity-tie-1').selectOption('');
  assert.match(await at(page, 'entity-1').textContent(), /Not moved yet/);
  await at(page, 'undo').click();
  assert.match(await at(page, 'entity-1').textContent(), /Goes along with/);
});

test('what is tied is one in the list, and is tied under a finger', slow, async (t) => {
  const page = await two(t, { context: phone });
  const choice = at(page, 'entity-tie-1');
  await choice.scrollIntoViewIfNeeded();
  const box = await choice.boundingBox();
  assert.ok(box.height >= 44 && box.x >= 0 && box.x + box.width <= 390, `a finger does not meet ${JSON.stringify(box)}`);
  await choice.tap();
  assert.ok(await choice.evaluate((select) => select === document.activeElement), 'the tap is the list’s');
  await choice.selectOption('0');
  for (const i of [0, 1]) assert.equal(await at(page, `entity-${i}`).getAttribute('data-tied'), 'true');
  const looks = async (name) => (await savedScene(page)).entities.map((entity) => Boolean(entity[name]));
  await until(async () => {
    await at(page, 'entity-hide-0').tap();
    await page.waitForTimeout(500);
    return (await looks('hidden')).some((hidden) => hidden);
  }, 'the layers to be hidden');
  assert.deepEqual(await looks('hidden'), [true, true]);
  await at(page, 'undo').tap();
  assert.deepEqual(await looks('hidden'), [false, false]);
  // With Shift one alone; the first then takes the other along.
  await at(page, 'entity-lock-1').click({ modifiers: ['Shift'] });
  assert.deepEqual(await looks('locked'), [false, true]);
  await at(page, 'entity-lock-0').click();
  assert.deepEqual(await looks('locked'), [true, true]);
});
