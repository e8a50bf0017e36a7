// Several threads in the browser (src/web/worker/threads.rs): they make what one makes, and the page does without them.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, click, drag, entities, finished, generate, paint, said, sample, savedScene, settings, stage, until } from './actions.mjs';
import { dist, open } from './harness.mjs';
import { host } from './host.mjs';

const skip = !existsSync(join(dist, 'threads')) && 'the page was built without the module with threads';
const device = async (page) => at(page, 'device').textContent();

/** The saved frames, each a PNG: lossless. */
async function saved(page) {
  const [download] = await Promise.all([page.waitForEvent('download'), at(page, 'save-frames').click()]);
  return createHash('sha256').update(await readFile(await download.path())).digest('hex');
}

test('two and three threads make what one makes', { skip, timeout: 900_000 }, async (t) => {
  const made = [];
  for (const threads of [1, 2, 3]) {
    const page = await open(t, { at: `/?device=cpu&threads=${threads}` });
    await stage(page);
    await sample(page, 'coffee');
    await until(async () => new RegExp(`${threads} thread`).test(await device(page)), `${threads} threads`, 60_000);
    await click(page, [0.3, 0.3]);
    await entities(page, 1, 240_000);
    const { mask } = (await savedScene(page)).entities[0];
    await sample(page, 'coffee');
    await entities(page, 0);
    // The same path each time, as no hand draws it.
    await at(page, 'example').click();
    await entities(page, 1);
    await settings(page, { frames: 6 });
    await generate(page);
    await finished(page, 240_000);
    made.push({ mask, frames: await saved(page) });
  }
  for (const other of made.slice(1)) assert.deepEqual(other, made[0]);
});

test('a thread that fails: the page says so and does with one', { skip, timeout: 300_000 }, async (t) => {
  const { base, instead } = await host(t, {
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
  });
  // While the worker waits for it.
  const code = await readFile(join(dist, 'thread.js'), 'utf8');
  instead['thread.js'] = code.replace('be_a_thread();', 'throw new Error("no room");');
  const page = await open(t, { base, at: '/?device=cpu&threads=2', expect: [/no room/] });
  await stage(page);
  await said(page, /crashed \(.*no room.*\) and has been started again/);
  await until(async () => /1 thread/.test(await device(page)), 'one thread', 60_000);
  await paint(page, [[0.35, 0.5], [0.45, 0.5]]);
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 120_000);
});

test('a browser that cannot share memory has one thread', { skip, timeout: 300_000 }, async (t) => {
  const page = await open(t, {
    at: '/?device=cpu&threads=2&segmenter=models/tiny_sam.safetensors',
    prepare: (page) =>
      page.context().route('**/threads/dragentity.js', (route) =>
        route.fulfill({
          contentType: 'text/javascript',
          headers: { 'cross-origin-embedder-policy': 'require-corp' },
          body: 'export default () => { throw new RangeError("could not allocate memory"); };',
        }),
      ),
  });
  await stage(page);
  await until(async () => /1 thread/.test(await device(page)), 'one thread', 60_000);
  await click(page, [0.5, 0.5]);
  await entities(page, 1);
});

test('beside a GPU, threads make the plate and videos at once', { skip, timeout: 600_000 }, async (t) => {
  const asked = [];
  const page = await open(t, {
    webgpu: true,
    at: '/?device=webgpu&threads=2&segmenter=models/tiny_sam.safetensors',
    prepare: (page) => page.context().on('request', (request) => asked.push(new URL(request.url()).pathname)),
  });
  await stage(page);
  await until(async () => /WebGPU/.test(await device(page)), 'the GPU', 60_000);
  await until(() => asked.includes('/thread.js'), 'a thread', 60_000);
  await paint(page, [[0.35, 0.5], [0.45, 0.5]]);
  await drag(page, [[0.4, 0.5], [0.6, 0.5]]);
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 120_000);
  await settings(page, { frames: 4 });
  await generate(page);
  await finished(page, 240_000);
});
