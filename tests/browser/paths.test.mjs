// Paths that are changed where they lie: with the mouse, with a finger, with buttons and keys.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, click, drag, entities, link, paint, phone, pixel, said, savedScene, stage, swipe, tiny, until } from './actions.mjs';
import { open } from './harness.mjs';

const slow = { timeout: 240_000 };
/** A thing, and a path from it that turns once. */
const thing = [[0.15, 0.5], [0.22, 0.5]];
const [begin, corner, end] = [[0.18, 0.5], [0.5, 0.25], [0.8, 0.5]];

/** The path that the link has of an entity. */
const path = async (page, index = 0) => (await savedScene(page)).entities[index].trajectory;
const near = ([x, y], place, most = 0.015) => Math.hypot(x - place[0], y - place[1]) < most;
const has = (points, place, most) => points.some((point) => near(point, place, most));

async function led(t, options = {}) {
  const page = await open(t, { at: tiny, ...options });
  await stage(page);
  await paint(page, thing);
  await entities(page, 1);
  await drag(page, [begin, corner, end]);
  await until(async () => /Has a path/.test(await at(page, 'entity-0').textContent()), 'the path');
  return page;
}

/** A finger goes over the picture. */
async function stroke(page, points) {
  const box = await at(page, 'stage').boundingBox();
  await swipe(page, points.map(([x, y]) => [box.x + x * box.width, box.y + y * box.height]));
}

/** Two taps of a finger a tenth of a second apart, however long this machine takes over each. */
async function tapTwice(page, [x, y]) {
  const box = await at(page, 'stage').boundingBox();
  const client = await page.context().newCDPSession(page);
  const place = [{ x: box.x + x * box.width, y: box.y + y * box.height }];
  const begin = Date.now() / 1000;
  for (const after of [0, 0.1]) {
    await client.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: place, timestamp: begin + after });
    await client.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [], timestamp: begin + after + 0.03 });
  }
}

test('a point is dragged, another put in, and taken away, each in one step', slow, async (t) => {
  const page = await led(t);
  const drawn = await path(page);
  assert.ok(has(drawn, corner), JSON.stringify(drawn));
  // White where it can be taken hold of.
  await page.mouse.move(5, 5);
  await until(async () => (await pixel(page, ...corner)).slice(0, 3).every((v) => v > 230), 'a knob at the corner');

  const up = [0.5, 0.1];
  const top = (await at(page, 'stage').boundingBox()).y;
  await drag(page, [corner, up]);
  assert.equal((await at(page, 'stage').boundingBox()).y, top, 'the picture stays where it is');
  const moved = await path(page);
  assert.ok(has(moved, up) && !has(moved, corner), JSON.stringify(moved));
  // All of it is still as fast as it was.
  assert.deepEqual(moved.map(([, , when]) => when), drawn.map(([, , when]) => when));
  await at(page, 'undo').click();
  assert.deepEqual(await path(page), drawn);
  await at(page, 'redo').click();
  await at(page, 'undo').click();

  // On the line, away from points and from the thing.
  const line = [0.65, 0.375];
  await drag(page, [line, [0.65, 0.7]]);
  const more = await path(page);
  assert.ok(has(more, [0.65, 0.7], 0.03), JSON.stringify(more));
  await page.keyboard.press('Delete');
  await entities(page, 1);
  assert.ok(!has(await path(page), [0.65, 0.7], 0.03), 'the point is gone, the thing is there');
  await click(page, corner, { modifiers: ['Alt'] });
  await until(async () => !has(await path(page), corner, 0.05), 'the corner taken away');
  await click(page, end);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Delete');
  await entities(page, 0);
});

test('a drag from the thing still draws anew, and with Shift a straight line', slow, async (t) => {
  const page = await led(t);
  await drag(page, [begin, [0.3, 0.8], [0.5, 0.85]]);
  assert.ok(!has(await path(page), end, 0.1));
  await page.keyboard.down('Shift');
  await drag(page, [begin, [0.4, 0.52], [0.7, 0.55]]);
  await page.keyboard.up('Shift');
  const straight = await path(page);
  assert.ok(straight.every(([, y]) => Math.abs(y - straight[0][1]) < 0.004), JSON.stringify(straight));
  assert.ok(straight.at(-1)[0] > 0.65);
});

test('all of a path is moved with Shift, and the camera’s by its beginning', slow, async (t) => {
  const page = await led(t);
  const drawn = await path(page);
  await page.keyboard.down('Shift');
  await drag(page, [[0.65, 0.375], [0.65, 0.575]]);
  await page.keyboard.up('Shift');
  const moved = await path(page);
  for (const [i, [x, y]] of drawn.entries()) assert.ok(near(moved[i], [x, y + 0.2]), JSON.stringify(moved));
  await page.keyboard.press('c');
  await drag(page, [[0.4, 0.4], [0.5, 0.8]]);
  await drag(page, [[0.4, 0.4], [0.6, 0.4]]);
  const { background } = await savedScene(page);
  assert.ok(near(background[0], [0.6, 0.4]) && near(background.at(-1), [0.7, 0.8]), JSON.stringify(background));
});

test('buttons and keys turn, close, mirror and copy a path, and it is pasted on another thing', slow, async (t) => {
  const page = await led(t);
  const drawn = await path(page);
  assert.ok(await at(page, 'paste-path').isDisabled());
  const last = async () => (await path(page)).at(-1);
  for (const [name, key, place] of [
    ['mirror', 'h', [begin[0] - 0.62, 0.5]],
    ['flip', 'Shift+H', [0.8, 0.5]],
    ['close', 'o', begin],
    ['return', 't', begin],
    ['reverse', 'i', [begin[0] - 0.62, 0.5]],
  ]) {
    await at(page, `path-${name}`).click();
    const changed = await path(page);
    assert.ok(near(changed.at(-1), place, 0.02), `${name}: ${JSON.stringify(changed)}`);
    assert.notDeepEqual(changed, drawn);
    await at(page, 'undo').click();
    assert.deepEqual(await path(page), drawn);
    await page.keyboard.press(key);
    assert.deepEqual(await path(page), changed, `${key} is ${name}`);
    await at(page, 'undo').click();
  }

  await at(page, 'stage').focus();
  await page.keyboard.press('Control+C');
  await at(page, 'new-entity').click();
  await paint(page, [[0.15, 0.8], [0.2, 0.8]]);
  await entities(page, 2);
  await page.keyboard.press('Control+V');
  await until(async () => (await path(page, 1))?.length > 1, 'the pasted path');
  const pasted = await path(page, 1);
  const way = (points) => [0, 1].map((axis) => points.at(-1)[axis] - points[0][axis]);
  assert.ok(near(way(pasted), way(drawn), 0.002), JSON.stringify(pasted));
  assert.ok(Math.abs(pasted[0][1] - 0.8) < 0.05, 'it begins on the second thing');
  // By the button, on the camera.
  await page.keyboard.press('c');
  await at(page, 'paste-path').click();
  assert.ok(near(way((await savedScene(page)).background), way(drawn), 0.002));
});

test('on a phone points are dragged and taken away with a finger', slow, async (t) => {
  const page = await led(t, { context: phone });
  await at(page, 'stage').scrollIntoViewIfNeeded();
  // A finger is no mouse: beside the point is near enough, and further away it is not.
  const box = await at(page, 'stage').boundingBox();
  const beside = [corner[0] + 12 / box.width, corner[1] - 8 / box.height];
  const by = [0, 0.35];
  await stroke(page, [beside, [beside[0], beside[1] + by[1]]]);
  const moved = await path(page);
  assert.ok(has(moved, [corner[0], corner[1] + by[1]], 0.03), JSON.stringify(moved));
  assert.equal((await at(page, 'stage').boundingBox()).y, box.y, 'the picture stays where it is');
  await stroke(page, [begin, [0.3, 0.2]]);
  assert.ok(near((await path(page)).at(-1), [0.3, 0.2], 0.03), 'a drag from the thing draws anew');
  await at(page, 'undo').click();
  await at(page, 'stage').scrollIntoViewIfNeeded();
  await tapTwice(page, [corner[0], corner[1] + by[1]]);
  // The points beside it stay, wherever the finger's speed has put them.
  const [gone] = moved
    .map((point) => [point, Math.hypot(point[0] - corner[0], point[1] - corner[1] - by[1])])
    .sort((one, other) => one[1] - other[1])[0];
  await until(async () => !has(await path(page), gone, 0.005), 'the point taken away');
  await entities(page, 1);
});

test('points are taken up, moved and taken away with the keyboard', slow, async (t) => {
  const page = await led(t);
  await at(page, 'stage').focus();
  await page.keyboard.press('k');
  for (let i = 0; i < 3; i++) await page.keyboard.press('Shift+ArrowDown');
  const [, low] = [corner[0], corner[1] + 0.15];
  const moved = await path(page);
  assert.ok(moved.some(([, y]) => y > low), JSON.stringify(moved));
  await at(page, 'stage').focus();
  await page.keyboard.press('Delete');
  await entities(page, 1);
  assert.ok((await path(page)).length < moved.length);
});

test('Delete without a point or a path in hand says nothing and breaks nothing', slow, async (t) => {
  const page = await open(t, { at: tiny });
  await stage(page);
  for (const key of ['i', 't', 'o', 'h', 'Shift+H']) await page.keyboard.press(key);
  await said(page, /Select an entity that has a path first/);
  assert.equal(await at(page, 'timeline').isVisible(), false);
  await page.evaluate(() => navigator.clipboard.writeText('{"dragentity_path": [[0.1, null]]}'));
  await page.keyboard.press('Control+V');
  await said(page, /no picture on the clipboard/);
});

test('a point becomes a corner, by button and key, and stays one in the link', slow, async (t) => {
  const page = await led(t);
  assert.ok(await at(page, 'path-corner').isDisabled());
  await click(page, corner);
  await until(async () => !(await at(page, 'path-corner').isDisabled()), 'a point in hand');
  await at(page, 'path-corner').click();
  const corners = async () => (await path(page)).filter((point) => point[3] === 1);
  assert.ok(near((await corners())[0], corner), JSON.stringify(await path(page)));
  assert.equal(await at(page, 'path-corner').getAttribute('aria-pressed'), 'true');
  await at(page, 'stage').focus();
  await page.keyboard.press('j');
  assert.equal((await corners()).length, 0);
  await at(page, 'undo').click();
  assert.equal((await corners()).length, 1);
  // Whoever opens the link has it, too.
  const address = await link(page);
  const other = await page.context().newPage();
  await other.goto(address);
  await stage(other);
  await until(async () => (await other.getByTestId('entity-0').count()) === 1, 'the scene of the link');
  assert.equal((await savedScene(other)).entities[0].trajectory.filter((point) => point[3] === 1).length, 1);
});

test('a point becomes a corner with a finger, too', slow, async (t) => {
  const page = await led(t, { context: phone });
  await at(page, 'stage').scrollIntoViewIfNeeded();
  const box = await at(page, 'stage').boundingBox();
  await page.touchscreen.tap(box.x + corner[0] * box.width, box.y + corner[1] * box.height);
  await until(async () => !(await at(page, 'path-corner').isDisabled()), 'a point in hand');
  await at(page, 'path-corner').tap();
  assert.equal((await path(page)).filter((point) => point[3] === 1).length, 1);
});
