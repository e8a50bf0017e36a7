// The page loads and its module starts, with WebGPU and without.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from './harness.mjs';

for (const webgpu of [false, true]) {
  test(`the page starts ${webgpu ? 'with' : 'without'} WebGPU`, { timeout: 180_000 }, async (t) => {
    const page = await open(t, { webgpu });
    assert.equal(await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter())), webgpu);
    assert.match(await page.title(), /^DragEntity/);
  });
}
