// The blind comparison: results of two methods, unnamed while one picks and named at the end.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, until } from './actions.mjs';
import { open, root } from './harness.mjs';
import { png } from './picture.mjs';

const lab = process.env.DRAGENTITY_LAB_BIN ?? join(root, 'target/debug/dragentity-lab');
const plain = (colour) => png(48, 32, () => colour);

/** A folder of results: those of "mossy" are green, those of "rusty" red. */
function results(t, names = ['cat', 'dog', 'owl']) {
  const folder = mkdtempSync(join(tmpdir(), 'dragentity-results-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [method, colour] of [['mossy', [0, 160, 0]], ['rusty', [160, 0, 0]], ['given', [0, 0, 160]]]) {
    mkdirSync(join(folder, method));
    for (const name of names) writeFileSync(join(folder, method, `${name}.png`), plain(colour));
  }
  return folder;
}

const choose = (page, folder) => page.locator('#folder').setInputFiles(folder);
const where = (page) => at(page, 'where').textContent();

/** The place of the green result. */
async function green(page) {
  const images = page.locator('#results img');
  await until(
    () => images.evaluateAll((all) => all.length === 2 && all.every((image) => image.complete && image.naturalWidth > 0)),
    'both results',
  );
  return images.evaluateAll((all) =>
    all.findIndex((image) => {
      const canvas = document.createElement('canvas');
      const context = canvas.getContext('2d');
      context.drawImage(image, 0, 0);
      const [red, green] = context.getImageData(5, 5, 1, 1).data;
      return green > red;
    }),
  );
}

const pick = (page, question, place) => at(page, `pick-${question}-${place}`).locator('..').click();

test('a comparison is blind, kept over a reload, saved, and added up', { timeout: 180_000 }, async (t) => {
  const folder = results(t);
  const page = await open(t, { at: '/compare.html' });
  await until(() => at(page, 'open-folder').isEnabled(), 'the page', 60_000);
  await choose(page, folder);
  assert.equal(await where(page), '1 of 3');
  assert.doesNotMatch(await page.content(), /mossy|rusty/);
  assert.ok(await page.locator('#given').isVisible());
  assert.equal(await at(page, 'next').textContent(), 'Skip');
  for (const question of [0, 1, 2]) await pick(page, question, await green(page));
  assert.equal(await at(page, 'next').textContent(), 'Next');

  await page.reload();
  await until(() => at(page, 'open-folder').isEnabled(), 'the page', 60_000);
  await choose(page, folder);
  assert.equal(await where(page), '2 of 3');
  await at(page, 'back').click();
  assert.ok(await at(page, `pick-0-${await green(page)}`).isChecked());
  await at(page, 'next').click();

  // The second by keys, the third is left half open.
  await page.keyboard.press(`${(await green(page)) + 1}`);
  await page.keyboard.press(`${(await green(page)) + 1}`);
  await page.keyboard.press(`${2 - (await green(page))}`);
  await page.keyboard.press('9');
  await at(page, 'next').click();
  await pick(page, 0, await green(page));
  assert.equal(await where(page), '3 of 3');
  assert.doesNotMatch(await page.content(), /mossy|rusty/);
  await at(page, 'next').click();
  assert.match(await at(page, 'end-text').textContent(), /2 of 3/);
  const rows = await at(page, 'tally').locator('tr').allTextContents();
  assert.equal(rows[1], 'mossy100 %100 %50 %');
  assert.equal(rows[2], 'rusty0 %0 %50 %');

  const waiting = page.waitForEvent('download');
  await at(page, 'save').click();
  const saved = join(folder, 'answers.json');
  await (await waiting).saveAs(saved);
  const table = execFileSync(lab, ['eval', '--table', '4', '--answers', saved, saved], { encoding: 'utf8' });
  assert.match(table, /2 people/);
  assert.match(table, /\| Structural integrity \| 100 % \| 0 % \| 6 \| 10 % \| 25 % \| 65 % \|/);

  // All of it fits on a phone.
  await page.setViewportSize({ width: 390, height: 844 });
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok((await width()) <= 390, `the end is ${await width()} pixels wide`);
  await at(page, 'go-on').click();
  assert.equal(await where(page), '3 of 3');
  assert.ok((await width()) <= 390, `a trial is ${await width()} pixels wide`);
  await at(page, 'finish').click();

  // Somebody else begins without seeing any of it, and what was there is saved once more.
  const again = page.waitForEvent('download');
  await at(page, 'another').click();
  await again;
  assert.equal(await where(page), '1 of 3');
  assert.equal(await page.locator('#questions input:checked').count(), 0);
});

test('a folder that cannot be compared, and a file that cannot be played, are said', { timeout: 120_000 }, async (t) => {
  const page = await open(t, { at: '/compare.html' });
  await until(() => at(page, 'open-folder').isEnabled(), 'the page', 60_000);
  const folder = results(t, ['cat']);
  rmSync(join(folder, 'rusty'), { recursive: true });
  await choose(page, folder);
  await until(async () => /"mossy" alone/.test(await page.locator('#messages').textContent()), 'what is missing');
  mkdirSync(join(folder, 'rusty'));
  writeFileSync(join(folder, 'rusty/cat.mp4'), 'no video');
  await choose(page, folder);
  await until(async () => /Result [AB] cannot be played/.test(await page.locator('#messages').textContent()), 'the file');
  assert.doesNotMatch(await at(page, 'trial').innerHTML(), /rusty/);
});

test('the editor leads to the comparison and to measuring, and back', { timeout: 120_000 }, async (t) => {
  const page = await open(t);
  for (const [link, button] of [['compare.html', 'open-folder'], ['bench.html', 'measure']]) {
    await page.locator(`.foot a[href="${link}"]`).click();
    await until(() => at(page, button).isEnabled(), `what is at ${link}`, 60_000);
    await page.locator('.brand a').click();
    await until(() => at(page, 'generate').count(), 'the editor', 60_000);
  }
});
