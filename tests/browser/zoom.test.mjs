// Looking nearer: wheel, fingers, keys and buttons; what is drawn then lies where it was seen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, drag, entities, link, paint, pixels, savedScene, stage, until } from './actions.mjs';
import { open } from './harness.mjs';

/** Where a place of the picture is on the page, and how many times larger than its frame the picture is. */
async function seen(page, [x, y]) {
  const canvas = await at(page, 'stage').boundingBox();
  const frame = await page.locator('#stage-frame').boundingBox();
  return { at: [canvas.x + x * canvas.width, canvas.y + y * canvas.height], zoom: canvas.width / frame.width, frame };
}

const near = (a, b, most) => Math.hypot(a[0] - b[0], a[1] - b[1]) < most;

test('the wheel looks nearer, and what is drawn lies where it was seen', { timeout: 240_000 }, async (t) => {
  const page = await open(t);
  await stage(page);
  const place = [0.3, 0.6];
  const before = await seen(page, place);
  await page.mouse.move(...before.at);
  await page.keyboard.down('Control');
  await page.mouse.wheel(0, -400);
  await page.keyboard.up('Control');
  await until(async () => (await seen(page, place)).zoom > 2, 'the picture to come nearer');
  const nearer = await seen(page, place);
  assert.ok(near(nearer.at, before.at, 2), `${nearer.at} is not where ${before.at} was`);
  assert.deepEqual([nearer.frame.width, nearer.frame.height], [before.frame.width, before.frame.height]);

  // A stroke and a path in what is seen.
  await paint(page, [[0.28, 0.6], [0.34, 0.6]]);
  await entities(page, 1);
  await drag(page, [[0.3, 0.6], [0.4, 0.55]]);
  const [entity] = (await savedScene(page)).entities;
  const { width, height } = entity.mask;
  const inside = [...pixels(entity.mask).entries()].filter(([, on]) => on).map(([i]) => [i % width, Math.floor(i / width)]);
  const mean = (of) => inside.reduce((sum, p) => sum + of(p), 0) / inside.length;
  assert.ok(Math.abs(mean(([x]) => x / width) - 0.31) < 0.01, 'columns of the stroke');
  assert.ok(Math.abs(mean(([, y]) => y / height) - 0.6) < 0.015, 'rows of the stroke');
  const [x, y] = entity.trajectory.at(-1);
  assert.ok(near([x, y], [0.4, 0.55], 0.01), `the path ends at ${x}, ${y}`);

  // The wheel alone moves the part that is seen; the middle button takes it in the hand.
  const still = await seen(page, place);
  // Asking for the link took the pointer away.
  await page.mouse.move(...still.at);
  await page.mouse.wheel(0, 60);
  await until(async () => (await seen(page, place)).at[1] < still.at[1] - 20, 'the part that is seen to move');
  const moved = await seen(page, place);
  await page.mouse.move(...moved.at);
  await page.mouse.down({ button: 'middle' });
  await page.mouse.move(moved.at[0] + 30, moved.at[1] + 10, { steps: 4 });
  await page.mouse.up({ button: 'middle' });
  assert.ok(near((await seen(page, place)).at, [moved.at[0] + 30, moved.at[1] + 10], 3), 'the hand slips');

  await at(page, 'zoom-fit').click();
  assert.equal((await seen(page, place)).zoom.toFixed(2), before.zoom.toFixed(2));
  for (const [act, way] of [[() => page.keyboard.press('+'), 1], [() => at(page, 'zoom-in').click(), 1], [() => at(page, 'zoom-out').click(), -1]]) {
    const was = (await seen(page, place)).zoom;
    await act();
    await until(async () => way * ((await seen(page, place)).zoom - was) > 0.2, 'a step');
  }
  await page.keyboard.press('0');
  assert.equal((await seen(page, place)).zoom.toFixed(2), before.zoom.toFixed(2));
});

test('two fingers look nearer, and draw nothing', { timeout: 240_000 }, async (t) => {
  const page = await open(t, { context: { hasTouch: true } });
  await stage(page);
  const middle = (await seen(page, [0.5, 0.5])).at;
  const touch = await page.context().newCDPSession(page);
  const fingers = (apart) => [-1, 1].map((way, id) => ({ x: middle[0] + way * apart, y: middle[1], id }));
  const send = (type, touchPoints) => touch.send('Input.dispatchTouchEvent', { type, touchPoints });
  await send('touchStart', fingers(40).slice(0, 1));
  await send('touchStart', fingers(40));
  for (const apart of [50, 60, 80, 100, 120]) await send('touchMove', fingers(apart));
  await send('touchEnd', []);
  await until(async () => (await seen(page, [0.5, 0.5])).zoom > 2, 'the picture to come nearer');
  assert.ok(near((await seen(page, [0.5, 0.5])).at, middle, 4), 'it comes nearer elsewhere');
  await entities(page, 0);
});
