// Scenes as files: projects, presets and other programs' paths, saved by the menu, opened by the dialog and by dropping.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, drag, entities, paint, said, sample, savedScene, stage, tiny, until } from './actions.mjs';
import { open, root } from './harness.mjs';

const slow = { timeout: 240_000 };

async function led(t, options = {}) {
  const page = await open(t, { at: tiny, ...options });
  await stage(page);
  await paint(page, [[0.2, 0.5], [0.3, 0.5]]);
  await entities(page, 1);
  await drag(page, [[0.25, 0.5], [0.5, 0.3], [0.7, 0.5]]);
  await until(async () => /Has a path/.test(await at(page, 'entity-0').textContent()), 'the path');
  return page;
}

/** What a button of the menu saves. */
async function saved(page, id) {
  await at(page, 'save-open').click();
  const [download] = await Promise.all([page.waitForEvent('download'), at(page, id).click()]);
  await page.keyboard.press('Escape');
  return { name: download.suggestedFilename(), buffer: await readFile(await download.path()), mimeType: '' };
}

/** Things without their masks, whose edges are hard in files. */
const things = ({ entities }) => entities.map(({ mask, ...rest }) => rest);

/** Closes all that is said. */
async function quiet(page) {
  const first = page.locator('.message button').first();
  while (await first.count()) await first.click();
}

test('a project brings back picture, things and settings on another picture', slow, async (t) => {
  const page = await led(t);
  await at(page, 'entity-lock-0').click();
  const before = await savedScene(page);
  const file = await saved(page, 'save-project');
  assert.match(file.name, /\.dragentity$/);
  await sample(page, 'coffee');
  await entities(page, 0);
  await at(page, 'file-input').setInputFiles(file);
  await entities(page, 1);
  const after = await savedScene(page);
  assert.deepEqual(things(after), things(before));
  assert.equal(after.picture.hash, before.picture.hash);
  // A reload has it too.
  await until(async () => (await page.evaluate(() => document.readyState)) === 'complete', 'the page');
  await page.waitForTimeout(800);
  await page.reload();
  await entities(page, 1);
  assert.equal((await savedScene(page)).picture.hash, before.picture.hash);
});

test('a preset and another program’s paths, by dropping them', slow, async (t) => {
  const page = await led(t);
  const before = await savedScene(page);
  const [preset, splines, boxes] = [await saved(page, 'save-preset'), await saved(page, 'save-as-kjnodes'), await saved(page, 'save-as-sg-i2v')];
  const drop = (files) =>
    page.evaluate((files) => {
      const data = new DataTransfer();
      for (const { name, bytes } of files) data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name));
      window.dispatchEvent(new DragEvent('drop', { dataTransfer: data, cancelable: true }));
    }, files.map(({ name, buffer }) => ({ name, bytes: buffer.toString('base64') })));
  await page.keyboard.press('Delete');
  await entities(page, 0);
  await drop([preset]);
  await entities(page, 1);
  assert.deepEqual(things(await savedScene(page)), things(before));
  for (const file of [splines, boxes]) {
    await drop([file]);
    await said(page, /^Paths of /);
    const [{ trajectory }] = (await savedScene(page)).entities;
    const ends = [trajectory[0], trajectory.at(-1)].map(([x, y]) => [x, y]);
    for (const [got, wanted] of [[ends[0], [0.25, 0.5]], [ends[1], [0.7, 0.5]]]) {
      assert.ok(Math.hypot(got[0] - wanted[0], got[1] - wanted[1]) < 0.08, `${file.name}: ${got} is not ${wanted}`);
    }
    await quiet(page);
  }
  await at(page, 'undo').click();
  await at(page, 'undo').click();
  assert.deepEqual(things(await savedScene(page)), things(before));
});

test('what is no scene is refused in a sentence, and nothing is lost', slow, async (t) => {
  const page = await led(t);
  const before = await savedScene(page);
  const files = [
    ['broken.dragentity', 'PK\u0003\u0004 and nothing else'],
    ['other.json', '{"some": "thing"}'],
    ['preset.json', '{"dragentity": 1, "picture": {"width": 0, "height": 4}}'],
    ['notes.txt', 'dear diary'],
    ['cut.npy', '\u0093NUMPY'],
  ];
  for (const [name, text] of files) {
    await at(page, 'file-input').setInputFiles({ name, mimeType: '', buffer: Buffer.from(text, 'latin1') });
    await until(async () => (await page.locator('.message.error').count()) > 0, `a sentence about ${name}`);
    await quiet(page);
  }
  assert.deepEqual(things(await savedScene(page)), things(before));
});

test('DragAnything’s folder opens with its picture, from all of its files together', slow, async (t) => {
  const page = await open(t, { at: tiny });
  await stage(page);
  const jpeg = await readFile(join(root, 'www/samples/coffee.jpg'));
  const [width, height] = await page.evaluate(async (bytes) => {
    const image = await createImageBitmap(new Blob([Uint8Array.from(bytes)]));
    return [image.width, image.height];
  }, [...jpeg]);
  // White in the middle.
  const mask = Buffer.from(
    await page.evaluate(
      async ([width, height]) => {
        const canvas = new OffscreenCanvas(width, height);
        const context = canvas.getContext('2d');
        context.fillRect(0, 0, width, height);
        context.fillStyle = '#fff';
        context.fillRect(width * 0.4, height * 0.4, width * 0.2, height * 0.2);
        return [...new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer())];
      },
      [width, height],
    ),
  );
  const way = Array.from({ length: 14 }, (_, i) => [width * (0.5 + 0.02 * i), height * 0.5]);
  const index = JSON.stringify({ 1: { comment: 'cup', mask_name: 'cup.png', trajectory: way } });
  const file = (name, mimeType, buffer) => ({ name, mimeType, buffer: Buffer.from(buffer) });
  const files = [
    file('demo.json', 'application/json', index),
    file('demo.jpg', 'image/jpeg', jpeg),
    file('cup.png', 'image/png', mask),
  ];
  // Without one of them it says which.
  await at(page, 'file-input').setInputFiles(files.slice(0, 2));
  await said(page, /cup\.png.*together/);
  await at(page, 'file-input').setInputFiles(files);
  await entities(page, 1);
  const scene = await savedScene(page);
  assert.deepEqual([scene.picture.width, scene.picture.height], [width, height]);
  assert.equal(scene.entities[0].name, 'cup');
  const end = scene.entities[0].trajectory.at(-1);
  assert.ok(Math.abs(end[0] - 0.76) < 0.01 && Math.abs(end[1] - 0.5) < 0.01, String(end));
  assert.equal(await at(page, 'set-frames').inputValue(), '14');
});

test('each scene of the gallery opens on its picture, and can be generated', slow, async (t) => {
  const page = await open(t, { at: tiny });
  await stage(page);
  const scenes = ['turn', 'slide', 'launch', 'lean', 'both', 'nearer'];
  for (const name of scenes) {
    await at(page, 'gallery-open').click();
    const button = at(page, `scene-${name}`);
    assert.ok(await button.locator('img').evaluate((image) => image.decode().then(() => image.naturalWidth > 100)), name);
    const wanted = JSON.parse(await readFile(join(root, `www/samples/gallery/${name}.json`), 'utf8'));
    await button.press('Enter');
    await entities(page, wanted.entities.length);
    await until(async () => (await savedScene(page)).picture.hash === wanted.picture.hash, `the picture of ${name}`);
    const { entities: made, background = null } = await savedScene(page);
    assert.deepEqual(made.map((e) => e.name), wanted.entities.map((e) => e.name));
    assert.deepEqual(background, wanted.background ?? null);
    assert.ok(await at(page, 'gallery').isHidden());
    assert.ok(await at(page, 'generate').isEnabled(), name);
  }
  // Nothing is lost by looking.
  await at(page, 'undo').click();
  await until(async () => (await savedScene(page)).entities.length === 2, 'the scene before');
});
