// Looking closely: before and after, a thing all along its path, the hand of the space bar, the keys.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, drag, entities, finished, generate, paint, phone, pixel, settings, stage, tiny, until } from './actions.mjs';
import { open } from './harness.mjs';

const slow = { timeout: 240_000 };

async function led(t, options = {}) {
  const page = await open(t, { at: tiny, ...options });
  await stage(page);
  await paint(page, [[0.15, 0.5], [0.22, 0.5]]);
  await entities(page, 1);
  await drag(page, [[0.18, 0.5], [0.5, 0.5], [0.8, 0.5]]);
  await at(page, 'lane-0').waitFor();
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 120_000);
  return page;
}

const far = (a, b) => Math.max(...a.map((v, c) => Math.abs(v - b[c])));

test('the picture is wiped over the video, by the pointer and by keys', slow, async (t) => {
  const page = await led(t);
  assert.ok(await at(page, 'compare').isDisabled(), 'there is no video yet');
  await settings(page, { frames: 4 });
  await generate(page);
  await finished(page, 120_000);
  await at(page, 'compare').click();
  assert.ok(await at(page, 'before').isVisible());
  const share = () => page.evaluate(() => document.getElementById('result-frame').style.getPropertyValue('--wipe'));
  const box = await at(page, 'result-frame').boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.4);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.8, box.y + box.height * 0.4, { steps: 5 });
  await page.mouse.up();
  assert.ok(Math.abs(parseFloat(await share()) - 80) < 4, await share());
  await at(page, 'wipe').press('Home');
  assert.equal(parseFloat(await share()), 0);
  await at(page, 'wipe').press('ArrowRight');
  assert.equal(parseFloat(await share()), 1);
  await at(page, 'compare').click();
  assert.equal(await at(page, 'before').isVisible(), false);
  await at(page, 'compare').click();
  await at(page, 'sample-coffee').click();
  await until(async () => !(await at(page, 'wipe').isVisible()), 'nothing to compare on another picture');
});

test('picture and video stand side by side under a finger, too', slow, async (t) => {
  const page = await led(t, { context: phone });
  await settings(page, { frames: 4 });
  await generate(page);
  await finished(page, 120_000);
  await at(page, 'compare').tap();
  await at(page, 'aside').tap();
  const [left, right] = [await at(page, 'result').boundingBox(), await at(page, 'before').boundingBox()];
  assert.ok(left.x >= 0 && right.x >= left.x + left.width && right.x + right.width <= 390, JSON.stringify({ left, right }));
  await at(page, 'aside').tap();
  assert.ok(await at(page, 'wipe').isVisible());
});

test('a thing is shown all along its path', slow, async (t) => {
  const page = await led(t);
  const place = [0.8, 0.53];
  const before = await pixel(page, ...place);
  await page.keyboard.press('u');
  await until(async () => far(await pixel(page, ...place), before) > 4, 'the thing at its end');
  assert.equal(await at(page, 'onion').getAttribute('aria-pressed'), 'true');
  await at(page, 'onion').click();
  await until(async () => far(await pixel(page, ...place), before) < 2, 'the picture alone');
});

test('the space bar is a hand when the picture is near, and plays when it is pressed alone', slow, async (t) => {
  const page = await led(t);
  await at(page, 'zoom-in').click();
  await at(page, 'zoom-in').click();
  const left = () => at(page, 'stage').evaluate((canvas) => canvas.getBoundingClientRect().left);
  const box = await page.locator('#stage-frame').boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const was = await left();
  await page.locator('#stage').focus();
  await page.mouse.move(x, y);
  await page.keyboard.down('Space');
  await page.mouse.down();
  await page.mouse.move(x + 40, y, { steps: 4 });
  await page.mouse.up();
  await page.keyboard.up('Space');
  assert.ok(Math.abs((await left()) - was - 40) < 3, 'the picture goes with the hand');
  assert.equal(await at(page, 'play-paths').getAttribute('aria-label'), 'Play the paths');
  await entities(page, 1);
  await page.keyboard.press('Space');
  await until(async () => (await at(page, 'play-paths').getAttribute('aria-label')) === 'Stop the paths', 'the paths to play');
});

test('a question mark shows the keys', slow, async (t) => {
  const page = await led(t);
  await page.keyboard.press('?');
  await at(page, 'keys').waitFor();
  assert.match(await at(page, 'keys').textContent(), /Ctrl\+D.*twice/s);
  await page.keyboard.press('Escape');
  await until(async () => !(await at(page, 'keys').isVisible()), 'the list to close');
});
