// What this device is good for: measured layer by layer, stopped, copied.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, until } from './actions.mjs';
import { open } from './harness.mjs';

test('layers are measured, what a video takes is added up, and the report is copied', { timeout: 480_000 }, async (t) => {
  const page = await open(t, { at: '/bench.html?device=cpu' });
  const measure = at(page, 'measure');
  await until(() => measure.isEnabled(), 'the button');
  await measure.click();
  await until(async () => /[2-9] of \d+ measured/.test(await at(page, 'phase').textContent()), 'two layers', 120_000);
  assert.match(await at(page, 'report').textContent(), /product of matrices, 512 x 512 +[\d.]+ ms +[\d.]+ [GT]FLOP\/s/);
  assert.equal(await at(page, 'copy').isVisible(), false, 'it is not whole');
  assert.equal(await measure.textContent(), 'Stop');
  await measure.click();
  await until(async () => (await at(page, 'phase').textContent()) === 'Stopped.', 'it to stop');

  await measure.click();
  await until(async () => (await at(page, 'phase').textContent()) === 'Measured.', 'all layers', 400_000);
  const report = await at(page, 'report').textContent();
  for (const layer of ['convolution 3 x 3, 1280 channels', 'linear, 640 wide', 'attention, 320 wide']) {
    const [, share] = report.match(new RegExp(`${layer}.* (\\d+) % of the best product`));
    assert.ok(Number(share) > 0 && Number(share) < 400, `${layer}: ${share} %`);
  }
  // A processor of a test takes minutes to hours for a video, and longer for a larger one.
  const hours = [...report.matchAll(/a step, ([\d.]+) (s|min|h) for 25 steps/g)].map(
    ([, number, unit]) => Number(number) * { s: 1, min: 60, h: 3600 }[unit],
  );
  assert.equal(hours.length, 3);
  assert.ok(hours[0] > 20 && hours[0] < hours[1] && hours[1] < hours[2], hours.join(' '));
  await at(page, 'copy').click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), report);
});
