// A person, split into parts: by the shipped parser, on a rendered person it has never seen.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, click, drag, entities, link, paint, pixels, said, settings, stage, unpack, until } from './actions.mjs';
import { fixtures, open } from './harness.mjs';

const slow = { timeout: 300_000 };
const SIDE = 192;

/** Where the person is: one byte a pixel. */
const truth = readFileSync(join(fixtures, 'person.mask'));

/** The page with the person's picture on it. */
async function withPerson(t) {
  const page = await open(t);
  await stage(page);
  await at(page, 'file-input').setInputFiles(join(fixtures, 'person.png'));
  await until(async () => (await unpack(await link(page))).picture.width === SIDE, 'the picture');
  return page;
}

/** Runs of the person's pixels in a row, as strokes for a brush. */
function strokes(row) {
  const found = [];
  for (let x = 0; x < SIDE; x++) {
    if (!truth[row * SIDE + x]) continue;
    const from = x;
    while (x < SIDE && truth[row * SIDE + x]) x++;
    if (x - from > 3) found.push([[(from + 2) / SIDE, row / SIDE], [(x - 2) / SIDE, row / SIDE]]);
  }
  return found;
}

test('a person becomes a group of parts, which moves as one and can be one again', slow, async (t) => {
  const page = await withPerson(t);
  // The widest row first makes the entity, the others add to it.
  await at(page, 'brush-size').evaluate((range) => {
    range.value = '4';
    range.dispatchEvent(new Event('input'));
  });
  const rows = Array.from({ length: SIDE / 5 }, (_, i) => strokes(2 + i * 5)).flat();
  await at(page, 'tool-brush').click();
  for (const stroke of rows) await drag(page, stroke);
  await at(page, 'tool-move').click();
  await entities(page, 1);

  await page.keyboard.press('p');
  const names = page.locator('#entities [data-index] .name');
  await until(async () => (await names.count()) >= 6, 'the parts', 120_000);
  const list = await names.evaluateAll((inputs) => inputs.map((input) => input.value));
  for (const name of ['head', 'torso']) assert.ok(list.includes(name), `no ${name} in ${list}`);
  const before = unpack(await link(page)).entities;
  assert.ok(before.every((part) => part.group === before[0].group && part.group > 0));

  // Parts lie beside each other: a link's masks are small, so that only their edges may be in two.
  const sum = new Uint8Array(before[0].mask.width * before[0].mask.height);
  for (const part of before) pixels(part.mask).forEach((inside, i) => (sum[i] += inside));
  const shared = sum.filter((n) => n > 1).length / sum.filter((n) => n > 0).length;
  assert.ok(shared < 0.2, `${shared} of the person is in two parts`);

  // Parts cannot be split again, and say so by having no button.
  assert.equal(await at(page, 'entity-parts-0').isVisible(), false);

  // One is dragged; the job takes the others along.
  const torso = before.find((part) => part.name === 'torso');
  const inside = pixels(torso.mask);
  const middle = inside.reduce(
    (m, v, i) => (v ? [m[0] + (i % torso.mask.width), m[1] + Math.floor(i / torso.mask.width), m[2] + 1] : m),
    [0, 0, 0],
  );
  const from = [middle[0] / middle[2] / torso.mask.width, middle[1] / middle[2] / torso.mask.height];
  await drag(page, [from, [from[0] + 0.1, from[1]]]);
  const moved = unpack(await link(page)).entities;
  assert.equal(moved.filter((part) => part.trajectory).length, 1);
  await settings(page, { frames: 2 });
  await at(page, 'generate').click();
  await until(
    async () => (await at(page, 'result-frame').getAttribute('data-state')) === 'done',
    'the video',
    200_000,
  );

  // One step back is the path, the next one the whole person.
  await at(page, 'undo').click();
  await at(page, 'undo').click();
  await entities(page, 1);
  await at(page, 'redo').click();
  await entities(page, before.length);
});

test('what is no person is not split, and the page says why', slow, async (t) => {
  const page = await withPerson(t);
  await paint(page, [[0.02, 0.03], [0.14, 0.03]]);
  await entities(page, 1);
  await click(page, [0.08, 0.03]);
  await at(page, 'entity-parts-0').click();
  await said(page, /does not look like a person/);
  await entities(page, 1);
});
