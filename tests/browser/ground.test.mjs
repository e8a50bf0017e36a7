// What a person says of a thing's shadow, and of what is behind the things.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, click, drag, entities, link, pack, paint, pixel, pixels, said, sample, savedScene, stage, until } from './actions.mjs';
import { open } from './harness.mjs';
import { png } from './picture.mjs';

const slow = { timeout: 240_000 };
const green = () => [0, 200, 0];

const holds = (m, [x, y]) => pixels(m)[Math.floor(y * m.height) * m.width + Math.floor(x * m.width)] === 1;

/** What the worker has prepared, as a number; empty while it works. */
const live = (page) => at(page, 'stage').getAttribute('data-live');

/** A page with the coffee, whose cup and saucer are one entity, and where its shadow is. */
async function coffee(t) {
  const page = await open(t);
  await stage(page);
  await sample(page, 'coffee');
  await at(page, 'example').click();
  await entities(page, 1);
  await at(page, 'entity-select-0').click();
  return page;
}

test('a shadow is marked by a click, painted, left, and all of it undone', slow, async (t) => {
  const page = await coffee(t);
  const shadow = async () => (await savedScene(page)).entities[0].shadow;
  assert.equal(await shadow(), undefined);
  const along = at(page, 'entity-along-0');
  assert.match(await along.textContent(), /if it is found/);
  assert.equal(await along.getAttribute('aria-pressed'), 'true');

  await along.click();
  assert.equal(await shadow(), 'none');
  assert.match(await along.textContent(), /stays/);

  await at(page, 'entity-mark-0').click();
  assert.equal(await at(page, 'entity-mark-0').getAttribute('aria-pressed'), 'true');
  // The dark wood below the saucer, to the left.
  const dark = [0.2, 0.9];
  await click(page, dark);
  await until(async () => typeof (await shadow()) === 'object', 'the shadow');
  const marked = await shadow();
  assert.ok(holds(marked, dark), 'the place that was clicked is not in it');
  assert.ok(!holds(marked, [0.9, 0.9]) && !holds(marked, [0.5, 0.3]), 'light wood or the cup is in it');
  assert.match(await along.textContent(), /as marked/);

  await drag(page, [[0.9, 0.9], [0.95, 0.9]]);
  assert.ok(holds(await shadow(), [0.92, 0.9]), 'what was painted is not in it');

  await at(page, 'undo').click();
  assert.deepEqual(await shadow(), marked);
  await at(page, 'undo').click();
  assert.equal(await shadow(), 'none');
  await at(page, 'undo').click();
  assert.equal(await shadow(), undefined);
});

test('a picture of the background is seen behind what is dragged', slow, async (t) => {
  const page = await open(t);
  await stage(page);
  await paint(page, [[0.4, 0.5], [0.5, 0.5]]);
  await entities(page, 1);
  await until(() => live(page), 'the plate', 60_000);
  await at(page, 'behind').locator('summary').click();
  assert.match(await at(page, 'behind-state').textContent(), /filled by itself/);

  const preset = await savedScene(page);
  const { width, height } = preset.picture;
  const file = (buffer) => ({ name: 'plate.png', mimeType: 'image/png', buffer });
  await at(page, 'plate-input').setInputFiles(file(png(width, height * 2, green)));
  await said(page, /another shape/);
  const before = await live(page);
  await at(page, 'plate-input').setInputFiles(file(png(width, height, green)));
  await until(async () => /your picture is seen/.test(await at(page, 'behind-state').textContent()), 'the background');
  await until(async () => (await live(page)) && (await live(page)) !== before, 'the plate', 60_000);
  await at(page, 'tool-move').click();
  await drag(page, [[0.45, 0.5], [0.45, 0.85]]);
  await page.keyboard.press(' ');
  await until(async () => {
    const [r, g, b] = await pixel(page, 0.45, 0.5);
    return g > r + 40 && g > b + 40;
  }, 'the background where the thing was');

  // A reload loses nothing of it.
  await page.waitForTimeout(800);
  await page.reload();
  await stage(page);
  await entities(page, 1);
  await at(page, 'behind').locator('summary').click();
  await until(async () => /your picture is seen/.test(await at(page, 'behind-state').textContent()), 'the background again');
  await at(page, 'no-plate').click();
  await until(async () => /filled by itself/.test(await at(page, 'behind-state').textContent()), 'the filling');
});

test('where holes are filled from is painted, and comes with a link', slow, async (t) => {
  const page = await open(t);
  await stage(page);
  await paint(page, [[0.4, 0.5], [0.5, 0.5]]);
  await entities(page, 1);
  await at(page, 'behind').locator('summary').click();
  await at(page, 'tool-from').click();
  await drag(page, [[0.1, 0.1], [0.3, 0.1]]);
  const preset = await savedScene(page);
  assert.ok(holds(preset.fill_from, [0.2, 0.1]) && !holds(preset.fill_from, [0.8, 0.8]));
  assert.match(await at(page, 'behind-state').textContent(), /what you painted/);
  await at(page, 'from-all').click();
  assert.equal((await savedScene(page)).fill_from, undefined);

  await page.evaluate((hash) => (location.hash = hash), pack(preset));
  await until(async () => /what you painted/.test(await at(page, 'behind-state').textContent()), 'the link');
});
