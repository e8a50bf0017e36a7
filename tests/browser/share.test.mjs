// The link of a scene: how long it is, that it opens, and its QR code.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, drag, entities, link, paint, stage, tiny, until } from './actions.mjs';
import { open } from './harness.mjs';

const slow = { timeout: 240_000 };

/** Whether a square of 7 modules, from (x, y) on, is what codes are found by: dark, with a light ring. */
function finds(modules, x, y) {
  for (let j = 0; j < 7; j++) {
    for (let i = 0; i < 7; i++) {
      const ring = Math.max(Math.abs(i - 3), Math.abs(j - 3));
      if (modules[y + j][x + i] !== (ring !== 2)) return false;
    }
  }
  return true;
}

test('a scene of three things is a short link with a QR code', slow, async (t) => {
  const page = await open(t, { at: tiny });
  await stage(page);
  for (const [i, y] of [0.25, 0.5, 0.75].entries()) {
    if (i) await at(page, 'new-entity').click();
    await paint(page, [[0.15, y], [0.25, y - 0.1], [0.3, y]]);
    await entities(page, i + 1);
    await drag(page, [[0.25, y - 0.1], [0.4, y], [0.6, y - 0.1], [0.8, y]]);
  }
  const url = await link(page);
  assert.ok(url.length < 1500, `${url.length} characters`);

  await at(page, 'share-open').focus();
  await page.keyboard.press('Enter');
  await until(() => at(page, 'share-link').isVisible(), 'the link');
  assert.equal(await at(page, 'share-link').inputValue(), url);
  assert.ok(await at(page, 'share-long').isHidden());
  const modules = await at(page, 'share-code').evaluate((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const row = (y) => Array.from({ length: canvas.width / 4 - 8 }, (_, x) => data[((y + 4) * 4 * canvas.width + (x + 4) * 4) * 4] < 128);
    return Array.from({ length: canvas.height / 4 - 8 }, (_, y) => row(y));
  });
  const far = modules.length - 7;
  assert.ok(finds(modules, 0, 0) && finds(modules, far, 0) && finds(modules, 0, far) && !finds(modules, far, far));
  await page.keyboard.press('Escape');
  assert.ok(await at(page, 'share-link').isHidden());

  const other = await open(t, { at: `/?device=cpu${new URL(url).hash}` });
  await stage(other);
  await entities(other, 3);
  assert.match(await at(other, 'entity-2').textContent(), /Has a path/);
});
