// Handles: the Bend tool, what is seen while a place is led, and what is made of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  at,
  click,
  drag,
  entities,
  finished,
  generate,
  largeHeldThing,
  paint,
  pixel,
  savedGif,
  savedScene,
  settings,
  stage,
  until,
} from './actions.mjs';
import { open } from './harness.mjs';

const slow = { timeout: 300_000 };
/** A thing from the cat's eye to beside its nose; where it is held, and the place that is led. */
const bar = [[0.25, 0.4], [0.6, 0.4]];
const [left, middle, right, target] = [[0.26, 0.4], [0.4, 0.4], [0.58, 0.4], [0.55, 0.7]];

/** The mean colour around a place of a frame. */
function around({ width, height, rgba }, [x, y]) {
  const sum = [0, 0, 0];
  for (let dy = -3; dy <= 3; dy++) {
    for (let dx = -3; dx <= 3; dx++) {
      const place = ((Math.floor(y * height) + dy) * width + Math.floor(x * width) + dx) * 4;
      for (let c = 0; c < 3; c++) sum[c] += rgba[place + c] / 49;
    }
  }
  return sum;
}
/** The share of a part of two frames (left, top, right, bottom) in which they differ plainly. */
function changed(a, b, [x0, y0, x1, y1]) {
  let [count, all] = [0, 0];
  for (let y = Math.floor(y0 * a.height); y < y1 * a.height; y++) {
    for (let x = Math.floor(x0 * a.width); x < x1 * a.width; x++) {
      const place = (y * a.width + x) * 4;
      all += 1;
      count += [0, 1, 2].some((c) => Math.abs(a.rgba[place + c] - b.rgba[place + c]) > 16) ? 1 : 0;
    }
  }
  return count / all;
}
/** Below where the thing was: it is seen there only when it is bent. */
const below = [0.44, 0.47, 0.6, 0.72];
const apart = (a, b) => Math.max(...a.map((v, c) => Math.abs(v - b[c])));

/** What the stage shows, pixel by pixel. */
async function seen(page) {
  return at(page, 'stage').evaluate((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return { width: canvas.width, height: canvas.height, rgba: [...data] };
  });
}

/** A page with the thing on it, and what the picture was without it. */
async function painted(t) {
  const page = await open(t, { at: '/?segmenter=models/tiny_sam.safetensors&device=cpu' });
  await stage(page);
  const before = await seen(page);
  await paint(page, bar);
  await entities(page, 1);
  return { page, before };
}
const row = (page) => at(page, 'entity-0').textContent();

test('clicks hold, drags lead, the thing bends meanwhile and in the frames', slow, async (t) => {
  const { page, before } = await painted(t);
  await page.keyboard.press('n');
  assert.equal(await at(page, 'tool-bend').getAttribute('aria-pressed'), 'true');
  await click(page, left);
  await until(async () => /Pinned/.test(await row(page)), 'one pin');
  await click(page, middle);
  await until(async () => /2 handles/.test(await row(page)), 'two');
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 120_000);

  // While the pointer is down the led end follows it and the held one stays.
  const box = await at(page, 'stage').boundingBox();
  const place = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...place(right));
  await page.mouse.down();
  await page.mouse.move(...place([0.58, 0.5]), { steps: 5 });
  await page.mouse.move(...place(target), { steps: 5 });
  await page.waitForTimeout(200);
  const during = await seen(page);
  // Beside the handles, which are drawn over it.
  assert.ok(apart(around(before, [0.29, 0.4]), around(during, [0.29, 0.4])) < 15, 'what is held has moved');
  const share = changed(before, during, below);
  assert.ok(share > 0.15, `what is led has not: ${share}`);
  await page.mouse.up();
  await until(async () => /3 handles/.test(await row(page)), 'three');

  const [entity] = (await savedScene(page)).entities;
  assert.deepEqual([entity.trajectory.length, entity.handles.length], [1, 2]);
  assert.ok(entity.handles[0].length === 1 && entity.handles[1].length > 1, 'one is held, one is led');

  await settings(page, { frames: 6 });
  await generate(page);
  await finished(page, 200_000);
  const { frames } = await savedGif(page);
  assert.equal(frames.length, 6);
  const [first, last] = [frames[0], frames.at(-1)];
  assert.ok(apart(around(first, left), around(last, left)) < 14, 'the held place has moved');
  assert.ok(apart(around(first, right), around(last, target)) < 45, 'the led place is not where it was led');
  const moved = changed(first, last, below);
  assert.ok(moved > 0.15, `the led place is where it was: ${moved}`);
});

test('a click on a pin takes it away, Delete the handle last touched, and undo brings them back', slow, async (t) => {
  const { page } = await painted(t);
  await at(page, 'tool-bend').click();
  await click(page, left);
  await drag(page, [right, [0.6, 0.6]]);
  await until(async () => /2 handles/.test(await row(page)), 'two');
  const made = (await savedScene(page)).entities[0];
  await click(page, left);
  await until(async () => /Has a path/.test(await row(page)), 'the pin gone');
  await page.keyboard.press('Control+Z');
  await until(async () => /2 handles/.test(await row(page)), 'the pin back');
  await click(page, right);
  await page.keyboard.press('Delete');
  await until(async () => /Pinned/.test(await row(page)), 'the path gone');
  await entities(page, 1);
  await page.keyboard.press('Control+Z');
  await until(async () => /2 handles/.test(await row(page)), 'the path back');
  assert.deepEqual((await savedScene(page)).entities[0], made);

  // A handle that is taken up near its beginning is led anew.
  await drag(page, [[0.585, 0.405], [0.6, 0.2]]);
  await until(async () => (await savedScene(page)).entities[0].handles[0].at(-1)[1] < 0.3, 'the other path');
  assert.match(await row(page), /2 handles/);
});

// Asked for like the other times: DRAGENTITY_TIMES=1 ./test browser
test('how long a frame takes while a thing bends', { ...slow, skip: !process.env.DRAGENTITY_TIMES && 'not asked for' }, async (t) => {
  const page = await open(t, { at: '/?segmenter=models/tiny_sam.safetensors&device=cpu' });
  await largeHeldThing(page);
  const size = await at(page, 'stage').evaluate((canvas) => [canvas.width, canvas.height]);
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 180_000);
  await page.evaluate(() => {
    window.times = [];
    const ask = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (done) =>
      ask((now) => {
        const since = performance.now();
        done(now);
        window.times.push(performance.now() - since);
      });
  });
  const box = await at(page, 'stage').boundingBox();
  await page.mouse.move(box.x + 0.75 * box.width, box.y + 0.5 * box.height);
  await page.mouse.down();
  for (let i = 0; i < 60; i++) {
    const [x, y] = [0.75 + 0.05 * Math.sin(i / 9), 0.5 + 0.1 * Math.sin(i / 6)];
    await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
    await page.waitForTimeout(20);
  }
  const times = await page.evaluate(() => window.times);
  await page.mouse.up();
  times.sort((a, b) => a - b);
  const of = (share) => times[Math.floor(share * (times.length - 1))].toFixed(1);
  t.diagnostic(`stage of ${size.join(' x ')}: ${times.length} frames, median ${of(0.5)} ms, 95 % ${of(0.95)} ms, most ${of(1)} ms`);
});
