// Pictures and links coming in: good ones and bad ones.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, entities, link, pack, paint, pixel, said, savedScene, stage, until } from './actions.mjs';
import { open } from './harness.mjs';
import { blackPng, png } from './picture.mjs';

const limit = { timeout: 120_000 };
const RED = [200, 30, 40];
const red = png(96, 48, () => RED);
const near = (a, b) => a.slice(0, 3).every((v, i) => Math.abs(v - b[i]) <= 6);

/** The red picture, twice as wide as high, is what the stage shows. */
async function shows(page, colour, ratio) {
  await until(async () => near(await pixel(page, 0.5, 0.5), colour), `the picture of colour ${colour}`);
  const box = await at(page, 'stage').boundingBox();
  assert.ok(Math.abs(box.width / box.height / ratio - 1) < 0.03, `${box.width} x ${box.height} is not ${ratio} to 1`);
}

test('a sample is there at once, and another one click away', limit, async (t) => {
  const page = await open(t);
  await stage(page);
  const first = await at(page, 'stage').screenshot();
  await at(page, 'sample-coffee').click();
  await until(async () => !(await at(page, 'stage').screenshot()).equals(first), 'the other sample');
});

test('the example of a sample that is still on its way comes with it', limit, async (t) => {
  let letGo;
  const wait = new Promise((resolve) => (letGo = resolve));
  const page = await open(t, {
    prepare: (page) => page.route('**/samples/coffee.jpg', async (route) => {
      await wait;
      await route.continue();
    }),
  });
  await stage(page);
  await at(page, 'sample-coffee').click();
  await at(page, 'example').click();
  await page.waitForTimeout(300);
  await entities(page, 0);
  letGo();
  await entities(page, 1);
  assert.equal(await at(page, 'sample-coffee').getAttribute('aria-pressed'), 'true');
});

test('a picture by the file dialog', limit, async (t) => {
  const page = await open(t);
  await stage(page);
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), at(page, 'open-picture').click()]);
  await chooser.setFiles({ name: 'red.png', mimeType: 'image/png', buffer: red });
  await shows(page, RED, 2);
});

test('a picture dropped on the page', limit, async (t) => {
  const page = await open(t);
  await stage(page);
  const data = await page.evaluateHandle((bytes) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], 'red.png', { type: 'image/png' }));
    return transfer;
  }, [...red]);
  for (const event of ['dragenter', 'dragover', 'drop']) {
    await at(page, 'stage').dispatchEvent(event, { dataTransfer: data });
  }
  await shows(page, RED, 2);
});

test('a picture pasted from the clipboard', limit, async (t) => {
  const page = await open(t);
  await stage(page);
  await page.evaluate(async (bytes) => {
    const blob = new Blob([new Uint8Array(bytes)], { type: 'image/png' });
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': blob })]);
  }, [...red]);
  await page.keyboard.press('Control+V');
  await shows(page, RED, 2);
});

for (const [what, file, pattern] of [
  ['a text file', { name: 'notes.png', mimeType: 'image/png', buffer: Buffer.from('Dear diary, no picture today.') }, /notes\.png.*(not a|no) .*picture|notes\.png.*format/is],
  ['a picture cut short', { name: 'half.png', mimeType: 'image/png', buffer: red.subarray(0, 60) }, /half\.png/],
  ['a picture of 20,000 pixels square', { name: 'huge.png', mimeType: 'image/png', buffer: blackPng(20_000, 20_000) }, /huge\.png.*20,?000/s],
]) {
  test(`${what} is refused in words, and nothing is lost`, limit, async (t) => {
    const page = await open(t);
    await stage(page);
    await paint(page, [[0.4, 0.5], [0.5, 0.5]]);
    await entities(page, 1);
    await at(page, 'file-input').setInputFiles(file);
    await said(page, pattern);
    await entities(page, 1);
    assert.ok((await pixel(page, 0.05, 0.05))[3] > 0, 'the old picture is gone');
  });
}

for (const [what, hash] of [
  ['an empty link', '#s='],
  ['a garbled link', '#s=eJyrVkrLz1eyUoo'],
  ['a link that is no link at all', '#s=%%%not-base64%%%'],
  ['a link to a list', pack([1, 2, 3])],
  ['a link from the future', pack({ dragentity: 99, picture: { width: 10, height: 10, hash: '0' }, entities: [] })],
]) {
  test(`${what} gets a sentence, and the page works on`, limit, async (t) => {
    const page = await open(t, { at: `/${hash}` });
    await said(page, /link/i);
    await stage(page);
    await paint(page, [[0.4, 0.5], [0.5, 0.5]]);
    await entities(page, 1);
  });
}

test('a link for a picture of another size says so and keeps what is there', limit, async (t) => {
  const page = await open(t);
  await stage(page);
  await paint(page, [[0.4, 0.5], [0.5, 0.5]]);
  await entities(page, 1);
  const preset = await savedScene(page);
  // The same scene, made on a tall picture.
  preset.picture = { ...preset.picture, width: 300, height: 1000, hash: '0123456789abcdef' };
  await page.evaluate((hash) => {
    location.hash = hash;
  }, pack(preset));
  await said(page, /300.*1000|another picture|shape|size/i);
  await entities(page, 1);
});
