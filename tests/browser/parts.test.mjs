// A person, split into parts by bones: the astronaut of the samples.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, click, drag, entities, link, pack, paint, pixel, pixels, said, savedScene, settings, stage, tiny, until } from './actions.mjs';
import { fixtures, open, root } from './harness.mjs';
import { png } from './picture.mjs';

const slow = { timeout: 300_000 };

/** The page with a picture on it, of so many pixels across. */
async function withPicture(t, file, width) {
  const page = await open(t);
  await stage(page);
  await at(page, 'file-input').setInputFiles(file);
  await until(async () => (await savedScene(page)).picture.width === width, 'the picture');
  return page;
}

/** Head and body of the astronaut, as strokes for a brush. */
const figure = Array.from({ length: 31 }, (_, row) => {
  const y = 0.07 + 0.03 * row;
  const [left, right] = y < 0.33 ? [0.36, 0.53] : [0.22, 0.6];
  return [[left, y], [right, y]];
});

/** A page with the astronaut painted. */
async function withFigure(t) {
  const page = await withPicture(t, join(root, 'www/samples/astronaut.jpg'), 512);
  // The first row makes the entity, the others add to it.
  await at(page, 'brush-size').evaluate((range) => {
    range.value = '4';
    range.dispatchEvent(new Event('input'));
  });
  await at(page, 'tool-brush').click();
  for (const stroke of figure) await drag(page, stroke);
  return page;
}

test('a person becomes a group of parts, which moves as one and can be one again', slow, async (t) => {
  const page = await withFigure(t);
  await at(page, 'tool-move').click();
  await entities(page, 1);

  await page.keyboard.press('p');
  const names = page.locator('#entities [data-index] .name');
  await until(async () => (await names.count()) >= 2, 'the parts', 120_000);
  const list = await names.evaluateAll((inputs) => inputs.map((input) => input.value));
  for (const name of ['head', 'torso']) assert.ok(list.includes(name), `no ${name} in ${list}`);
  const before = (await savedScene(page)).entities;
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
  const moved = (await savedScene(page)).entities;
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
  const page = await withPicture(t, join(fixtures, 'person.png'), 192);
  await paint(page, [[0.02, 0.03], [0.14, 0.03]]);
  await entities(page, 1);
  await click(page, [0.08, 0.03]);
  await at(page, 'entity-parts-0').click();
  await said(page, /does not look like a person/);
  await entities(page, 1);
});

test('a person that is bent shows its joints, and a drag of the head leans the trunk', slow, async (t) => {
  const page = await withFigure(t);
  await entities(page, 1);
  await page.keyboard.press('n');
  await until(async () => /Drag a joint/.test(await at(page, 'hint').textContent()), 'the joints', 120_000);
  await drag(page, [[0.44, 0.23], [0.5, 0.23], [0.58, 0.26]]);
  const [entity] = (await savedScene(page)).entities;
  assert.equal(entity.joints.length, 19);
  assert.ok(entity.trajectory.length > 1 && !entity.handles);
  // It began at the joint, not where it was taken.
  const [head] = entity.joints;
  assert.deepEqual(entity.trajectory[0].slice(0, 2), head.slice(0, 2));
});

test('behind an arm that is led the picture shows the body, not what is behind that', slow, async (t) => {
  const page = await open(t, { at: tiny });
  await stage(page);
  const [width, height] = [240, 320];
  // A red trunk on green ground with its legs, and a blue arm across it.
  const arm = (x, y) => x >= 72 && x < 168 && y >= 124 && y < 140;
  const body = (x, y) => {
    const trunk = x >= 80 && x < 160 && y >= 40 && y < 180;
    const legs = (x >= 80 && x < 112) || (x >= 128 && x < 160);
    return trunk || (legs && y >= 180 && y < 300);
  };
  const colour = (x, y) => (arm(x, y) ? [30, 40, 220] : body(x, y) ? [210, 40 + ((x * 7) % 20), 30] : [40, 150 + ((x * 5) % 30), 60]);
  await at(page, 'file-input').setInputFiles({ name: 'person.png', mimeType: 'image/png', buffer: png(width, height, colour) });
  await until(() => at(page, 'stage').evaluate((canvas) => canvas.width < canvas.height), 'the picture');
  await paint(page, [[0.5, 0.5], [0.52, 0.5]]);
  await entities(page, 1);
  const scene = await savedScene(page);
  const places = [
    [60, 24], [60, 34], [60, 90], [76, 34], [76, 50], [76, 62], [76, 66], [44, 34], [40, 66], [72, 66], [80, 66],
    [72, 90], [72, 120], [72, 145], [74, 149], [48, 90], [48, 120], [48, 145], [46, 149],
  ];
  const runs = [];
  let inside = false;
  let length = 0;
  for (let i = 0; i < width * height; i++) {
    const here = arm(i % width, Math.floor(i / width)) || body(i % width, Math.floor(i / width));
    if (here !== inside) {
      runs.push(length);
      [inside, length] = [here, 0];
    }
    length += 1;
  }
  const [entity] = scene.entities;
  entity.mask = { ...entity.mask, width, height, runs: [...runs, length] };
  // The left arm is behind, and cannot be seen.
  entity.joints = places.map(([x, y], i) => [x / 120, y / 160, i >= 4 && i < 7 ? 0 : 1]);
  entity.trajectory = [[80 / 120, 66 / 160, 0], [8 / 120, 66 / 160, 1]];
  await page.evaluate((hash) => (location.hash = hash), pack(scene));
  await until(async () => (await savedScene(page)).entities[0].joints, 'the person');
  await page.waitForTimeout(500);
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 120_000);
  await at(page, 'playhead').evaluate((range) => {
    range.value = range.max;
    range.dispatchEvent(new Event('input'));
  });
  // Where the arm was, away from the path and the outline that are drawn over the picture.
  const red = async ([x, y]) => {
    const [r, g, b] = await pixel(page, x / 120, y / 160);
    return r > 130 && g < 120 && b < 120;
  };
  await until(async () => (await red([54, 64])) && (await red([62, 68])), 'the trunk behind the arm', 30_000);
});
