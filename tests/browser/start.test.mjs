// The page loads, its module and its worker start, and it says what it runs on and why.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, stage, until } from './actions.mjs';
import { open } from './harness.mjs';

const device = (page) => at(page, 'device').textContent();

test('without WebGPU the page runs on the processor and says why', { timeout: 180_000 }, async (t) => {
  const page = await open(t);
  assert.equal(await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter())), false);
  assert.match(await page.title(), /^DragEntity/);
  await stage(page);
  await until(async () => /CPU/.test(await device(page)), 'the device', 120_000);
  await at(page, 'settings').locator('summary').click();
  assert.match(await at(page, 'device-why').textContent(), /WebGPU|adapter|GPU/);
});

test('with WebGPU, where that is asked for, the page names the adapter', { timeout: 180_000 }, async (t) => {
  const page = await open(t, { webgpu: true, at: '/?device=webgpu&segmenter=models/tiny_sam.safetensors' });
  await stage(page);
  await until(async () => /^WebGPU/.test((await device(page)).trim()), 'the adapter', 120_000);
});

test('an adapter that is only emulated is not taken by itself', { timeout: 180_000 }, async (t) => {
  const page = await open(t, { webgpu: true });
  await stage(page);
  await until(async () => /CPU/.test(await device(page)), 'the device', 30_000);
  assert.match(await at(page, 'device').getAttribute('title'), /emulated/);
});
