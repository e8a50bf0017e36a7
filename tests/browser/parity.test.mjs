// One block of the UNet on WebGPU in the browser, against the reference's output (tests/goldens/make_unet.py).

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { stage } from './actions.mjs';
import { fixtures, open } from './harness.mjs';

const read = (name) => readFile(join(fixtures, `down_block.${name}.safetensors`));

/** The first tensor of a safetensors file of f32. */
function values(file) {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length));
  const [start, end] = Object.values(header)[0].data_offsets;
  return new Float32Array(file.buffer.slice(file.byteOffset + 8 + length + start, file.byteOffset + 8 + length + end));
}

test('a block of the UNet on WebGPU computes what the reference computes', { timeout: 300_000 }, async (t) => {
  const page = await open(t, { webgpu: true, at: '/?device=cpu' });
  await stage(page);
  const config = await readFile(join(fixtures, 'down_block.json'), 'utf8');
  const tolerance = Number(await readFile(join(fixtures, 'down_block.tolerance'), 'utf8'));
  assert.ok(tolerance > 0 && tolerance < 1e-3, `a tolerance of ${tolerance}`);
  const [weights, inputs, expected] = await Promise.all(['weights', 'inputs', 'expected'].map(read));
  const out = await page.evaluate(
    async ([config, ...files]) => {
      const [weights, inputs] = files.map((base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
      const { selftest_down_block } = await import('./dragentity.js');
      return [...(await selftest_down_block(config, weights, inputs))];
    },
    [config, weights.toString('base64'), inputs.toString('base64')],
  );
  const wanted = values(expected);
  assert.equal(out.length, wanted.length);
  const largest = wanted.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  const worst = out.reduce((m, v, i) => Math.max(m, Math.abs(v - wanted[i])), 0);
  t.diagnostic(`off by ${(worst / largest).toExponential(1)} of the largest value, ${largest}`);
  // Twice the native test's own bound (DOWN_BLOCK_TOLERANCE in dragentity-testkit, by way of the fixtures): WGSL lets exp,
  // division and inverse square roots be several units in the last place off, which the processor's are not.
  const bound = 2 * tolerance;
  assert.ok(worst <= bound * largest, `off by ${worst / largest} of the largest value, more than ${bound}`);
});
