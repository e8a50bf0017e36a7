// Stable Video Diffusion's published sizes in the page, on an emulated GPU: how long it takes, and how much memory. Not a part of
// ./test; the weights may be random:
//
//   dragentity-lab bench --write svd-random
//   ./test page && DRAGENTITY_PUBLISHED=svd-random node --test tests/browser/published.test.mjs

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { at, drag, entities, finished, generate, heap, link, pack, paint, savedScene, settings, stage, until } from './actions.mjs';
import { open, root } from './harness.mjs';
import { png } from './picture.mjs';

const folder = process.env.DRAGENTITY_PUBLISHED;
const hours = { timeout: 3 * 3600_000 };
const disc = png(96, 96, (x, y) => (Math.hypot(x - 36, y - 48) < 14 ? [230, 120, 40] : [30 + x, 90, 40 + 2 * y]));

test('a step of the published sizes', { ...hours, skip: !folder && 'not asked for' }, async (t) => {
  const page = await open(t, {
    at: '/?device=webgpu&segmenter=models/tiny_sam.safetensors',
    webgpu: true,
    context: { reducedMotion: 'reduce' },
  });
  await stage(page);
  await at(page, 'file-input').setInputFiles({ name: 'disc.png', mimeType: 'image/png', buffer: disc });
  await paint(page, [[0.33, 0.5], [0.42, 0.5]]);
  await entities(page, 1);
  await drag(page, [[0.38, 0.5], [0.6, 0.4]]);

  const session = await page.context().browser().newBrowserCDPSession();
  /** The most memory that processes of that kind have had, in MB. */
  const most = async (kind) => {
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    const peaks = processInfo.filter(({ type }) => type === kind).map(({ id }) => {
      const status = readFileSync(`/proc/${id}/status`, 'utf8');
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)[1]) / 1024;
    });
    return Math.round(Math.max(...peaks));
  };
  const memory = async () =>
    `page and worker ${await most('renderer')} MB, of which heap ${await heap(page)} MB, GPU process ${await most('GPU')} MB at most`;
  console.error(`before: ${await memory()}`);

  const since = Date.now();
  const seconds = () => ((Date.now() - since) / 1000).toFixed(0);
  await at(page, 'model-input').setInputFiles(resolve(root, folder));
  await until(() => at(page, 'place-model').isChecked(), 'the model to be chosen', 300_000);
  console.error(`opened and compared after ${seconds()} s`);
  const preset = await savedScene(page);
  preset.settings = { ...preset.settings, size: [64, 64], seed: 7 };
  await page.evaluate((hash) => { location.hash = hash; }, pack(preset));
  await until(async () => (await at(page, 'set-size').inputValue()) === '', 'the size of the link');
  await settings(page, { frames: 2, steps: 1 });
  await until(async () => /about .* GB/.test(await at(page, 'place-model-on').textContent()), 'what it will take');
  console.error(await at(page, 'place-model-on').textContent());
  await generate(page);
  let phase = '';
  const watch = setInterval(async () => {
    const now = await at(page, 'phase').textContent().catch(() => phase);
    const kind = now.replace(/[\d., ]+/g, ' ');
    if (kind !== phase) console.error(`${seconds()} s: ${now}; ${await memory().catch(() => '')}`);
    phase = kind;
  }, 1000);
  try {
    await finished(page, hours.timeout);
  } finally {
    clearInterval(watch);
  }
  console.error(`done after ${seconds()} s; ${await memory()}`);
});
