// What axe-core finds wrong, in dark and in light: names, roles, contrast, order. And the choice of colours.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, drag, entities, finished, generate, paint, phone, settings, stage, tiny } from './actions.mjs';
import { open, root, shots } from './harness.mjs';

const slow = { timeout: 400_000 };
const axe = readFileSync(join(root, 'tests/browser/node_modules/axe-core/axe.min.js'), 'utf8');

/** Every rule that the page breaks as it is now. */
async function broken(page, state) {
  await page.screenshot({ path: join(shots, `access-${state.replace(/\W+/g, '-')}.png`) });
  return page.evaluate(async (state) => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return violations.map((v) => `${state}: ${v.id}: ${v.nodes.map((n) => `${n.target} (${n.any[0]?.message ?? n.failureSummary})`).join('; ')}`);
  }, state);
}

for (const [name, context] of [
  ['dark', { colorScheme: 'dark' }],
  ['light', { colorScheme: 'light' }],
  ['light on a phone', { colorScheme: 'light', ...phone }],
]) {
  test(`axe finds nothing in the main states, ${name}`, slow, async (t) => {
    // The script is put in by the test, which the page's policy is not about.
    const page = await open(t, { at: tiny, context: { bypassCSP: true, ...context } });
    await stage(page);
    await page.evaluate(axe);
    const found = [];
    const look = async (state) => found.push(...(await broken(page, `${name} ${state}`)));
    await look('first visit');
    await paint(page, [[0.3, 0.5], [0.4, 0.5]]);
    await entities(page, 1);
    await drag(page, [[0.35, 0.5], [0.5, 0.4], [0.7, 0.5]]);
    await look('selected');
    await settings(page, { frames: 4 });
    await at(page, 'behind').locator('summary').click();
    await look('settings');
    for (const [opener, menu] of [['share-open', 'share'], ['save-open', 'saves'], ['keys-open', 'keys']]) {
      await at(page, opener).click();
      await at(page, menu).waitFor();
      await look(menu);
      await page.keyboard.press('Escape');
    }
    await generate(page);
    await finished(page, 120_000);
    await look('result');
    assert.deepEqual(found, []);
  });
}

test('colours are the system\u2019s until somebody chooses', slow, async (t) => {
  const page = await open(t, { at: tiny, context: { colorScheme: 'light' } });
  await stage(page);
  const bright = () => page.evaluate(() => Number(/\d+/.exec(getComputedStyle(document.documentElement).backgroundColor)[0]) > 128);
  assert.equal(await bright(), true);
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.equal(await bright(), false);
  await at(page, 'settings').locator('summary').click();
  await at(page, 'set-colours').selectOption('light');
  assert.equal(await bright(), true);
  await page.reload();
  await stage(page);
  assert.equal(await bright(), true, 'after a reload');
  assert.equal(await at(page, 'set-colours').inputValue(), 'light');
  await at(page, 'settings').locator('summary').click();
  await at(page, 'set-colours').selectOption('');
  assert.equal(await bright(), false);
});
