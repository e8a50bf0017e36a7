// Masks of clicks: by MobileSAM in the page, by weights that are opened, and by a server. What is said of tiny weights is
// said of a very small random SAM.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, click, drag, entities, link, pixel, pixels, said, sample, savedScene, settings, stage, until } from './actions.mjs';
import { fixtures, open, root, serve, shots } from './harness.mjs';

const slow = { timeout: 400_000 };
const sam = join(fixtures, 'sam.safetensors');
const NAME = 'SAM, ViT of width 16';
const maker = (page) => at(page, 'segmenter-name').textContent();
const device = (page) => at(page, 'device').textContent();

/** The entity's mask as the link has it. */
async function mask(page, index = 0) {
  return (await savedScene(page)).entities[index].mask;
}

/** Intersection over union of two masks of one shape. */
function overlap(a, b) {
  const [one, other] = [pixels(a), pixels(b)];
  let [both, any] = [0, 0];
  for (let y = 0; y < a.height; y++) {
    for (let x = 0; x < a.width; x++) {
      const there = Math.floor(((y + 0.5) * b.height) / a.height) * b.width + Math.floor(((x + 0.5) * b.width) / a.width);
      both += one[y * a.width + x] & other[there];
      any += one[y * a.width + x] | other[there];
    }
  }
  return both / any;
}

/** The page with the astronaut, and how long it took until the picture was known. */
async function looked(t) {
  const page = await open(t, { at: '/?device=cpu' });
  await stage(page);
  await until(async () => (await maker(page)) === 'MobileSAM', 'what makes masks', 120_000);
  const since = Date.now();
  await at(page, 'sample-astronaut').click();
  await until(async () => /Looking at the picture/.test(await device(page)), 'the picture to be looked at', 60_000);
  await until(async () => !/Looking|Loading/.test(await device(page)), 'the picture to be known', 200_000);
  return { page, seconds: (Date.now() - since) / 1000 };
}

/** The mask that somebody made of an entity of a sample. */
const made = (sample, index) => JSON.parse(readFileSync(join(root, `www/samples/${sample}.json`))).entities[index].mask;
const head = [0.44, 0.15];

test('a click takes a thing, a click again another, and undo goes back', slow, async (t) => {
  const { page, seconds } = await looked(t);
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  const since = Date.now();
  await click(page, head);
  await entities(page, 1);
  t.diagnostic(`the picture was looked at in ${seconds.toFixed(1)} s, a click answered in ${Date.now() - since} ms`);
  const first = await mask(page);
  assert.match(await at(page, 'hint').textContent(), /again for another/);
  await page.screenshot({ path: join(shots, 'segment-first.png') });

  // The whole person comes first; one of the others is the head.
  let [found, clicks] = [overlap(first, made('astronaut', 1)), 0];
  for (; found < 0.75 && clicks < 3; clicks++) {
    const before = await mask(page);
    const again = Date.now();
    await click(page, head);
    await until(async () => overlap(await mask(page), before) < 0.95, 'another mask', 60_000);
    t.diagnostic(`another thing was found in ${Date.now() - again} ms`);
    found = overlap(await mask(page), made('astronaut', 1));
  }
  assert.ok(found > 0.75, `the head was not found: ${found.toFixed(2)}`);
  await entities(page, 1);
  await page.screenshot({ path: join(shots, 'segment-second.png') });
  for (let i = 0; i < clicks; i++) await at(page, 'undo').click();
  assert.deepEqual(await mask(page), first);
  // The model that makes videos was not needed.
  assert.ok(!requests.some((url) => url.includes('models/mini')), requests.join('\n'));
});

test('what lies under the pointer is outlined, and a click there takes it', slow, async (t) => {
  const { page } = await looked(t);
  const box = await at(page, 'stage').boundingBox();
  const bare = await at(page, 'stage').screenshot();
  const point = async ([x, y]) => page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 4 });
  const outlined = async () => !(await at(page, 'stage').screenshot()).equals(bare);
  await point(head);
  await until(outlined, 'an outline', 30_000);
  await page.screenshot({ path: join(shots, 'segment-hover.png') });
  assert.equal(await page.locator('#entities [data-index]').count(), 0, 'nothing is made by hovering');
  // It goes when the pointer leaves the picture, and comes back.
  await page.mouse.move(2, 2);
  await until(async () => !(await outlined()), 'the outline to go', 30_000);
  await point(head);
  await until(outlined, 'the outline again', 30_000);
  await page.mouse.down();
  await page.mouse.up();
  await entities(page, 1, 5_000);
});

test('a click before the picture is known waits for it, and another picture takes its place', slow, async (t) => {
  const page = await open(t, { at: '/?device=cpu' });
  await stage(page);
  await click(page, [0.42, 0.45]);
  await until(async () => /waiting|first/.test(await at(page, 'hint').textContent()), 'the click to wait', 5_000);
  await sample(page, 'coffee');
  await until(async () => !/waiting|first/.test(await at(page, 'hint').textContent()), 'the click to be dropped');
  await click(page, [0.3, 0.3]);
  await entities(page, 1, 300_000);
  const found = overlap(await mask(page), made('coffee', 0));
  assert.ok(found > 0.6, `overlaps by ${found.toFixed(2)} only`);
});

test('a box, and an outline drawn by hand', slow, async (t) => {
  const { page } = await looked(t);
  await page.keyboard.press('r');
  await drag(page, [[0.3, 0.02], [0.6, 0.36]]);
  await entities(page, 1);
  const framed = overlap(await mask(page), made('astronaut', 1));
  t.diagnostic(`the box: ${framed.toFixed(2)}`);
  assert.ok(framed > 0.75, `overlaps by ${framed.toFixed(2)} only`);
  await page.screenshot({ path: join(shots, 'segment-box.png') });

  await at(page, 'new-entity').click();
  await page.keyboard.press('l');
  await drag(page, [[0.7, 0.7], [0.9, 0.7], [0.9, 0.9], [0.7, 0.9]]);
  await entities(page, 2);
  const drawn = await mask(page, 1);
  const inside = ([x, y]) => pixels(drawn)[Math.floor(y * drawn.height) * drawn.width + Math.floor(x * drawn.width)] === 1;
  assert.ok(inside([0.8, 0.8]) && !inside([0.6, 0.8]) && !inside([0.8, 0.6]));
  // The tool is Move again, and a drag leads it.
  await drag(page, [[0.8, 0.8], [0.6, 0.6]]);
  await until(async () => /Has a path/.test(await at(page, 'entity-1').textContent()), 'the path');
  await page.screenshot({ path: join(shots, 'segment-lasso.png') });
});

test('weights that are opened make the masks, and other files are refused', slow, async (t) => {
  const page = await open(t, { at: '/?device=cpu' });
  await stage(page);
  await settings(page, {});
  await until(async () => (await maker(page)) === 'MobileSAM', 'the weights of the page', 120_000);
  const letter = { name: 'letter.pth', mimeType: 'application/octet-stream', buffer: Buffer.from('Dear cat, come home.') };
  await at(page, 'segmenter-input').setInputFiles(letter);
  assert.match(await said(page, /letter\.pth/), /safetensors/);
  // The message may lie over what is pressed next.
  await at(page, 'dismiss').click();
  await until(async () => (await maker(page)) === 'MobileSAM', 'the weights of the page again', 120_000);

  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), at(page, 'open-segmenter').click()]);
  await chooser.setFiles(sam);
  await until(async () => (await maker(page)) === NAME, 'the weights', 120_000);
  await click(page, [0.5, 0.5]);
  await entities(page, 1);
  await at(page, 'close-segmenter').click();
  await until(async () => (await maker(page)) === 'MobileSAM', 'the weights of the page at the end', 120_000);
});

test('clicks go to the chosen server', slow, async (t) => {
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
  await click(page, [0.5, 0.5]);
  await until(() => masks.length === 2, 'the other thing that the click may mean');
  await click(page, [0.3, 0.3], { modifiers: ['Alt'] });
  await until(() => masks.length === 3, 'a third mask');
  assert.deepEqual(masks, [200, 200, 200]);
  assert.ok((await pixel(page, 0.5, 0.5))[3] > 0);
});
