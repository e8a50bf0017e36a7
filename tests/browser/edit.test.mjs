// Entities and their paths: clicks, brush, drags, undo, the link.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, click, drag, entities, link, paint, pixels, said, savedScene, settings, stage, until } from './actions.mjs';
import { open } from './harness.mjs';

const slow = { timeout: 240_000 };

/** The entity's mask as the link has it. */
async function mask(page, index = 0) {
  return (await savedScene(page)).entities[index].mask;
}
const area = (m) => pixels(m).reduce((sum, v) => sum + v, 0) / (m.width * m.height);
const inside = (m, place) => holds(m, pixels(m), place);
const holds = (m, map, [x, y]) => map[Math.floor(y * m.height) * m.width + Math.floor(x * m.width)] === 1;

/** The place nearest to `from` that lies in the mask, or out of it, with everything around it. */
function nearest(m, from, wanted) {
  const map = pixels(m);
  const grid = Array.from({ length: 46 }, (_, i) => 0.05 + i / 50);
  const around = [-0.03, 0, 0.03];
  const away = ([x, y]) => Math.hypot(x - from[0], y - from[1]);
  const places = grid
    .flatMap((x) => grid.map((y) => [x, y]))
    .filter(([x, y]) => around.every((dx) => around.every((dy) => holds(m, map, [x + dx, y + dy]) === wanted)))
    .sort((a, b) => away(a) - away(b));
  assert.ok(places.length, `no place ${wanted ? 'in' : 'out of'} the mask`);
  return places[0];
}

/** The cat's face. */
const face = [0.42, 0.45];

/** A page on which the face was clicked, and the mask it got. */
async function clicked(t) {
  const page = await open(t);
  await stage(page);
  await click(page, face);
  await entities(page, 1);
  return { page, first: await mask(page) };
}

test('a click makes a mask over the thing', slow, async (t) => {
  const { first } = await clicked(t);
  assert.ok(inside(first, face), 'the mask leaves out the place that was clicked');
  assert.ok(area(first) > 0.02 && area(first) < 0.9, `the mask covers ${area(first)} of the picture`);
});

// Whatever the click head makes of a click: its place is part of the mask afterwards, or is not.
test('further clicks add their place to the mask and take it away', slow, async (t) => {
  const { page, first } = await clicked(t);
  const missed = nearest(first, face, false);
  await click(page, missed);
  await until(async () => inside(await mask(page), missed), 'the place that the mask left out', 120_000);
  await entities(page, 1);
  const second = await mask(page);

  const wrong = nearest(second, missed, true);
  await click(page, wrong, { modifiers: ['Alt'] });
  await until(async () => !inside(await mask(page), wrong), 'the place taken away', 120_000);
  await at(page, 'tool-remove').click();
  const more = nearest(await mask(page), wrong, true);
  await click(page, more);
  await until(async () => !inside(await mask(page), more), 'the other place taken away', 120_000);
  await entities(page, 1);

  // All of it can be undone, one click at a time.
  for (let i = 0; i < 2; i++) await at(page, 'undo').click();
  assert.deepEqual(await mask(page), second);
  await at(page, 'undo').click();
  assert.deepEqual(await mask(page), first);
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
  const { trajectory } = (await savedScene(page)).entities[0];
  const [start, end] = [trajectory[0], trajectory.at(-1)];
  for (const [got, wanted] of [[start[0], 0.35], [start[1], 0.5], [start[2], 0], [end[0], 0.7], [end[1], 0.5], [end[2], 1]]) {
    assert.ok(Math.abs(got - wanted) < 0.02, `${JSON.stringify(trajectory)}: ${got} is not ${wanted}`);
  }
  assert.ok(trajectory.every(([, , when], i) => i === 0 || when >= trajectory[i - 1][2]), 'time runs backwards');
  assert.ok(!(await at(page, 'generate').isDisabled()), 'there is something to generate');
});

// Each step is looked at by itself: what undo took back is gone before redo brings it again.
test('delete, undo and redo', slow, async (t) => {
  const page = await open(t);
  const row = (pattern) => until(async () => pattern.test(await at(page, 'entity-0').textContent()), `a row like ${pattern}`);
  await stage(page);
  assert.ok(await at(page, 'undo').isDisabled(), 'nothing was done yet');
  await paint(page, [[0.3, 0.5], [0.4, 0.5]]);
  await entities(page, 1);
  const painted = await mask(page);
  await drag(page, [[0.35, 0.5], [0.7, 0.5]]);
  await row(/Has a path/);
  const { trajectory } = (await savedScene(page)).entities[0];
  await page.keyboard.press('Delete');
  await entities(page, 0);
  assert.ok(await at(page, 'redo').isDisabled(), 'nothing was taken back yet');

  await page.keyboard.press('Control+Z');
  await entities(page, 1);
  await row(/Has a path/);
  await at(page, 'undo').click();
  await row(/Not moved/);
  await at(page, 'undo').click();
  await entities(page, 0);
  assert.ok(await at(page, 'undo').isDisabled(), 'all was taken back');

  await at(page, 'redo').click();
  await entities(page, 1);
  await row(/Not moved/);
  assert.deepEqual(await mask(page), painted);
  await page.keyboard.press('Control+Y');
  await row(/Has a path/);
  assert.deepEqual((await savedScene(page)).entities[0].trajectory, trajectory);
  await at(page, 'redo').click();
  await entities(page, 0);
  assert.ok(await at(page, 'redo').isDisabled(), 'all was done again');

  // Who does something else after undo has nothing to redo.
  await at(page, 'undo').click();
  await entities(page, 1);
  assert.ok(await at(page, 'redo').isEnabled(), 'the deletion can be done again');
  await drag(page, [[0.35, 0.5], [0.5, 0.3]]);
  await until(() => at(page, 'redo').isDisabled(), 'nothing to redo after something else');
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

test('an entity is brought forward and sent back, by button and by key, and undo takes it back', slow, async (t) => {
  const page = await open(t);
  await stage(page);
  const listed = () =>
    page.locator('#entities [data-index] .name').evaluateAll((names) => names.map((name) => name.value).join(' '));
  for (const [i, name] of ['car', 'bird', 'ground'].entries()) {
    if (i > 0) await at(page, 'new-entity').click();
    const x = 0.2 + 0.25 * i;
    await paint(page, [[x, 0.5], [x + 0.05, 0.5]]);
    await entities(page, i + 1);
    await at(page, `entity-name-${i}`).fill(name);
    await at(page, `entity-name-${i}`).press('Enter');
    // With one alone there is nothing to lie in front of.
    assert.equal(await at(page, 'entity-forward-0').isVisible(), i > 0);
    if (i < 2) await drag(page, [[x + 0.02, 0.5], [x + 0.02, 0.3]]);
  }
  await at(page, 'entity-pin-2').click();
  assert.equal(await listed(), 'car bird ground');
  assert.equal((await savedScene(page)).order, 'automatic');
  for (const part of ['forward', 'back']) {
    assert.match(await at(page, `entity-${part}-0`).getAttribute('aria-label'), /front|behind/);
  }

  // The ground lies behind both as it is; one step forward is in front of the first of them.
  await at(page, 'entity-forward-2').click();
  const [first, second, third] = (await listed()).split(' ');
  assert.equal(second, 'ground');
  assert.deepEqual([first, third].sort(), ['bird', 'car']);
  // Pressed again it is the same entity that goes on.
  await page.keyboard.press('Enter');
  assert.equal(await listed(), `${first} ${third} ground`);
  await page.keyboard.press('Enter');
  await said(page, /Nothing lies in front of it/);
  // The ground was selected and still is; the keys mean it.
  assert.equal(await at(page, 'entity-2').getAttribute('data-selected'), 'true');
  await page.keyboard.press('[');
  assert.equal(await listed(), `${first} ground ${third}`);
  await page.keyboard.press(']');
  assert.equal(await listed(), `${first} ${third} ground`);
  const set = await savedScene(page);
  assert.deepEqual([set.order, set.entities.map(({ name }) => name).join(' ')], [undefined, await listed()]);
  for (let i = 0; i < 4; i++) await at(page, 'undo').click();
  assert.equal(await listed(), 'car bird ground');
  assert.equal((await savedScene(page)).order, 'automatic');
  await at(page, 'redo').click();
  assert.equal(await listed(), `${first} ground ${third}`);
});

test('a link restores entities, paths and settings in another browser', slow, async (t) => {
  const page = await open(t);
  await stage(page);
  await paint(page, [[0.3, 0.4], [0.4, 0.6]]);
  await drag(page, [[0.35, 0.5], [0.6, 0.3]]);
  await at(page, 'entity-name-0').fill('Puss');
  await at(page, 'entity-name-0').press('Enter');
  await settings(page, { model: true, seed: 77, steps: 3 });
  await at(page, 'set-representation').selectOption('box');
  const url = await link(page);
  const sent = await savedScene(page);
  assert.equal(sent.entities[0].name, 'Puss');
  assert.equal(sent.settings.seed, 77);
  assert.equal(sent.settings.representation, 'box');

  // A context of its own: no storage, no history.
  const other = await open(t, { at: `/${new URL(url).hash}` });
  await stage(other);
  await entities(other, 1);
  assert.equal(await at(other, 'entity-name-0').inputValue(), 'Puss');
  assert.equal(await at(other, 'set-representation').inputValue(), 'box');
  const back = await savedScene(other);
  const [a, b] = [back, sent].map((scene) => pixels(scene.entities[0].mask));
  const apart = a.reduce((sum, inside, i) => sum + (inside ^ b[i]), 0);
  assert.ok(apart < 0.03 * area(sent.entities[0].mask) * b.length, `${apart} pixels of the mask are others`);
  back.entities[0].mask = sent.entities[0].mask;
  assert.deepEqual(back, sent);
});

test('things are painted one after another', slow, async (t) => {
  const page = await open(t);
  await stage(page);
  await at(page, 'tool-brush').click();
  for (const [count, x] of [[1, 0.2], [2, 0.5], [3, 0.8]]) {
    await drag(page, [[x - 0.05, 0.5], [x + 0.05, 0.5]]);
    await entities(page, count);
    await at(page, 'new-entity').click();
    assert.equal(await at(page, 'tool-brush').getAttribute('aria-pressed'), 'true');
  }
});

test('on a phone the picture stays where it is while a path is drawn, and the path is the finger’s', slow, async (t) => {
  const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  const page = await open(t, { context: phone });
  await stage(page);
  assert.match(await at(page, 'hint').textContent(), /^Tap /);
  await click(page, face);
  await entities(page, 1);
  const top = async () => (await at(page, 'stage').boundingBox()).y;
  await at(page, 'stage').scrollIntoViewIfNeeded();
  const box = await at(page, 'stage').boundingBox();
  const finger = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...finger(face));
  await page.mouse.down();
  const tops = [box.y];
  for (let i = 1; i <= 8; i++) {
    await page.mouse.move(...finger([face[0] + 0.03 * i, face[1]]));
    tops.push(await top());
  }
  await page.mouse.up();
  assert.ok(tops.every((y) => Math.abs(y - box.y) < 0.5), `the picture moved: ${tops}`);
  const { trajectory } = (await savedScene(page)).entities[0];
  for (const [, y] of trajectory) {
    assert.ok(Math.abs(y - trajectory[0][1]) < 0.01, `a straight drag became ${JSON.stringify(trajectory)}`);
  }
});
