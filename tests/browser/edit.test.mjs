// Entities and their paths: clicks, brush, drags, undo, the link.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, click, drag, entities, link, paint, pixels, settings, stage, unpack, until } from './actions.mjs';
import { open } from './harness.mjs';

const slow = { timeout: 240_000 };

/** The entity's mask as the link has it. */
async function mask(page, index = 0) {
  return unpack(await link(page)).entities[index].mask;
}
const area = (m) => pixels(m).reduce((sum, v) => sum + v, 0) / (m.width * m.height);
const inside = (m, [x, y]) => pixels(m)[Math.floor(y * m.height) * m.width + Math.floor(x * m.width)] === 1;

test('a click makes a mask over the thing', slow, async (t) => {
  const page = await open(t);
  await stage(page);
  // The cat's face.
  const face = [0.42, 0.45];
  await click(page, face);
  await entities(page, 1);
  const first = await mask(page);
  assert.ok(inside(first, face), 'the mask leaves out the place that was clicked');
  assert.ok(area(first) > 0.02 && area(first) < 0.9, `the mask covers ${area(first)} of the picture`);
});

// Known defect: with today's encoder the second click leaves the mask as it is.
test('a second click refines the mask', { ...slow, skip: 'the second click changes nothing yet' }, async (t) => {
  const page = await open(t);
  await stage(page);
  const face = [0.42, 0.45];
  await click(page, face);
  await entities(page, 1);
  const first = await mask(page);
  // A place that the first mask leaves out: a click inside it would only select the entity.
  const grid = Array.from({ length: 19 }, (_, i) => (i + 1) / 20);
  const away = ([x, y]) => Math.hypot(x - face[0], y - face[1]);
  const [missed] = grid
    .flatMap((x) => grid.map((y) => [x, y]))
    .filter((place) => !inside(first, place))
    .sort((a, b) => away(a) - away(b));
  await click(page, missed);
  await until(async () => JSON.stringify(await mask(page)) !== JSON.stringify(first), 'another mask', 120_000);
  await entities(page, 1);
});

test('a drag draws the path, with the timing of the drag', slow, async (t) => {
  const page = await open(t);
  await stage(page);
  await paint(page, [[0.3, 0.5], [0.4, 0.5]]);
  await entities(page, 1);
  assert.match(await at(page, 'entity-0').textContent(), /Not moved/);
  assert.ok(await at(page, 'generate').isDisabled(), 'nothing moves yet');
  await drag(page, [[0.35, 0.5], [0.5, 0.4], [0.7, 0.5]]);
  await until(async () => /Has a path/.test(await at(page, 'entity-0').textContent()), 'the path');
  const { trajectory } = unpack(await link(page)).entities[0];
  const [start, end] = [trajectory[0], trajectory.at(-1)];
  for (const [got, wanted] of [[start[0], 0.35], [start[1], 0.5], [start[2], 0], [end[0], 0.7], [end[1], 0.5], [end[2], 1]]) {
    assert.ok(Math.abs(got - wanted) < 0.02, `${JSON.stringify(trajectory)}: ${got} is not ${wanted}`);
  }
  assert.ok(trajectory.every(([, , when], i) => i === 0 || when >= trajectory[i - 1][2]), 'time runs backwards');
  assert.ok(!(await at(page, 'generate').isDisabled()), 'there is something to generate');
});

test('delete, undo and redo', slow, async (t) => {
  const page = await open(t);
  await stage(page);
  await paint(page, [[0.3, 0.5], [0.4, 0.5]]);
  await entities(page, 1);
  await drag(page, [[0.35, 0.5], [0.7, 0.5]]);
  await page.keyboard.press('Delete');
  await entities(page, 0);
  await page.keyboard.press('Control+Z');
  await entities(page, 1);
  assert.match(await at(page, 'entity-0').textContent(), /Has a path/);
  await at(page, 'undo').click();
  assert.match(await at(page, 'entity-0').textContent(), /Not moved/);
  await at(page, 'undo').click();
  await entities(page, 0);
  for (let i = 0; i < 3; i++) await at(page, 'redo').click();
  await entities(page, 0);
});

test('two entities, a pin, and a path that leaves the picture', slow, async (t) => {
  const page = await open(t);
  await stage(page);
  await paint(page, [[0.2, 0.5], [0.25, 0.5]]);
  await drag(page, [[0.22, 0.5], [0.6, 0.2]]);
  await at(page, 'new-entity').click();
  await paint(page, [[0.7, 0.8], [0.75, 0.8]]);
  await entities(page, 2);
  await at(page, 'entity-pin-1').click();
  assert.match(await at(page, 'entity-1').textContent(), /Pinned/);
  await drag(page, [[0.22, 0.5], [-0.05, 0.5]]);
  await until(async () => /leaves the picture/.test(await at(page, 'entity-0').textContent()), 'the warning');
});

test('a link restores entities, paths and settings in another browser', slow, async (t) => {
  const page = await open(t);
  await stage(page);
  await paint(page, [[0.3, 0.4], [0.4, 0.6]]);
  await drag(page, [[0.35, 0.5], [0.6, 0.3]]);
  await at(page, 'entity-name-0').fill('Puss');
  await at(page, 'entity-name-0').press('Enter');
  await settings(page, { seed: 77, steps: 3 });
  const url = await link(page);
  const sent = unpack(url);
  assert.equal(sent.entities[0].name, 'Puss');
  assert.equal(sent.settings.seed, 77);

  // A context of its own: no storage, no history.
  const other = await open(t, { at: `/${new URL(url).hash}` });
  await stage(other);
  await entities(other, 1);
  assert.equal(await at(other, 'entity-name-0').inputValue(), 'Puss');
  assert.deepEqual(unpack(await link(other)), sent);
});
