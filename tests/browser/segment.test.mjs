// Masks by SAM's weights: a very small random one, opened on the page and held by a server.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, click, entities, said, settings, stage, until } from './actions.mjs';
import { fixtures, open, serve } from './harness.mjs';

const sam = join(fixtures, 'sam.safetensors');
const NAME = 'SAM, ViT of width 16';
const maker = (page) => at(page, 'segmenter-name').textContent();

test('weights that are opened make the masks, and other files are refused', { timeout: 300_000 }, async (t) => {
  const page = await open(t, { at: '/?device=cpu' });
  await stage(page);
  await settings(page, {});
  assert.match(await maker(page), /click head/);
  const letter = { name: 'letter.pth', mimeType: 'application/octet-stream', buffer: Buffer.from('Dear cat, come home.') };
  await at(page, 'segmenter-input').setInputFiles(letter);
  assert.match(await said(page, /letter\.pth/), /safetensors/);
  await until(async () => /click head/.test(await maker(page)), 'the click head again');

  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), at(page, 'open-segmenter').click()]);
  await chooser.setFiles(sam);
  await until(async () => (await maker(page)) === NAME, 'the weights');
  await click(page, [0.5, 0.5]);
  await entities(page, 1);
  await at(page, 'close-segmenter').click();
  await until(async () => /click head/.test(await maker(page)), 'the click head at the end');
});

test('clicks go to the chosen server that has SAM', { timeout: 300_000 }, async (t) => {
  const server = serve('--segmenter', sam);
  const page = await open(t, { at: '/?device=cpu', base: await server.url });
  const masks = [];
  page.on('response', (response) => {
    if (response.url().endsWith('/api/masks')) masks.push(response.status());
  });
  await stage(page);
  await until(() => at(page, 'place-server').isEnabled(), 'the server to be offered');
  await at(page, 'place-server').check();
  await settings(page, {});
  assert.equal(await maker(page), `${NAME}, on the server`);
  assert.match(await at(page, 'privacy').textContent(), /Clicks with their picture/);
  await click(page, [0.5, 0.5]);
  await entities(page, 1);
  await click(page, [0.3, 0.3], { modifiers: ['Alt'] });
  await until(() => masks.length === 2, 'a second mask');
  assert.deepEqual(masks, [200, 200]);
});
