// The page in other languages: that every table has every sentence, and that a German page shows no English.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OTHERS, translator } from '../../www/words.js';
import { at, drag, entities, finished, generate, paint, phone, said, settings, stage, tiny } from './actions.mjs';
import { open, root, shots } from './harness.mjs';

const slow = { timeout: 400_000 };
const read = (...path) => readFileSync(join(root, ...path), 'utf8');
const table = (name) => JSON.parse(read('www/words', `${name}.json`));

/** What people read of index.html: texts, and the attributes that screen readers say. */
function ofPage() {
  const body = read('www/index.html')
    .replace(/^[\s\S]*<body>/, '')
    .replace(/<(svg|kbd|noscript|script)\b[\s\S]*?<\/\1>/g, '');
  const attributes = [...body.matchAll(/\s(?:title|aria-label|placeholder)="([^"]+)"/g)].map((found) => found[1]);
  const texts = body.split(/<[^>]*>/).map((text) => text.trim().replace(/\s+/g, ' '));
  const foreign = [...body.matchAll(/lang="\w+">([^<]+)/g)].map((found) => found[1]);
  return [...texts, ...attributes].filter((text) => /[A-Za-z]{2}/.test(text) && !foreign.includes(text));
}

/** Sentences in the code: what begins with a capital and has a space in it, or is one word with one. */
function ofCode() {
  const folders = ['src/web/page', 'src/web/page/results', 'src/web/editor'];
  const files = folders.flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)));
  const found = [];
  for (const file of files.filter((name) => name.endsWith('.rs') && !name.endsWith('tests.rs'))) {
    const code = read(file).split('#[cfg(test)]')[0].replace(/^\s*\/\/.*$/gm, '');
    for (const [, literal] of code.matchAll(/"((?:[^"\\]|\\[\s\S])*)"/g)) {
      const text = literal.replace(/\\\n\s*/g, '').replace(/\{[^{}]*\}/g, '{}');
      if (/^(?:[A-Z“]|\{\} [a-z])/.test(text) && /[a-z]{2}/.test(text) && (text.includes(' ') || /^[A-Z][a-z]+$/.test(text))) found.push(text);
    }
  }
  return found;
}

/** Names, keys, and what is said to programs. */
const SAME = [
  /^DragEntity$|^MobileSAM$|^Tora$|^KJNodes splines$|^http:|^Bearer /,
  /^(?:Enter|Escape|Delete|Backspace|Home|End|Arrow\w+|Entity)$/,
  // Reasons, which follow a sentence and are English, as errors of the library are.
  /^\{\} does not answer \(\{\}\)\. It must run with|^\{\} is not of|^\{\} has no/,
];

for (const name of OTHERS) {
  test(`every sentence of the page is there in ${name}`, () => {
    const words = table(name);
    const missing = [...ofPage(), ...ofCode()].filter((text) => !Object.hasOwn(words, text) && !SAME.some((same) => same.test(text)));
    assert.deepEqual([...new Set(missing)], []);
    for (const [key, said] of Object.entries(words)) {
      assert.ok(said, `nothing is said for ${key}`);
      assert.equal(said.split(/\{t?\}/).length, key.split('{}').length, `what changes in “${key}” is lost in “${said}”`);
    }
  });
}

test('what changes in a sentence is kept, and the longest sentence that fits is taken', () => {
  const say = translator({ 'Undo: {}': 'Zurück: {t}', mask: 'Maske', '{} of {} MB': '{} von {} MB', '{} to {}': '{} bis {}', 'Is {} (a)?': 'Ist {} [a]?' });
  assert.equal(say('Undo: mask'), 'Zurück: Maske');
  assert.equal(say('Undo: $& of it'), 'Zurück: $& of it');
  assert.equal(say('3 of 40 MB'), '3 von 40 MB');
  assert.equal(say('Is it (a)?'), 'Ist it [a]?');
  assert.equal(say('1 s to 2 s'), '1 s bis 2 s');
  const error = 'frames is 900, but has to be from 2 to 121; change it';
  assert.equal(say(error), error, 'half of a sentence is no sentence');
  assert.equal(say('constructor'), 'constructor');
});

/** What a person sees, or is read, that is English: has a common word of it, or is a key of the table. */
function english(page, words) {
  return page.evaluate((words) => {
    const common = /\b(?:the|and|of|is|are|it|to|with|where|from|has|not|click|drag|this|video|path|picture)\b/i;
    const german = /\b(?:der|die|das|und|mit|von|zu|ist|es|ein|eine|auf|Video)\b/;
    const other = (text) => (Object.hasOwn(words, text) && words[text] !== text) || (common.test(text) && !german.test(text));
    const found = [];
    for (const element of document.querySelectorAll('body *')) {
      if (element.closest('svg, script, noscript, select')?.matches('svg, script, noscript')) continue;
      const texts = [...element.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data);
      const attributes = ['title', 'aria-label', 'aria-valuetext', 'placeholder'].map((name) => element.getAttribute(name) ?? '');
      for (const text of [...texts, ...attributes]) if (other(text.trim())) found.push(`${element.id || element.className}: ${text.trim()}`);
    }
    return found;
  }, words);
}

for (const [name, context] of [['desk', {}], ['phone', phone]]) {
  test(`a German page shows no English, on a ${name}`, slow, async (t) => {
    const words = table('de');
    const page = await open(t, { at: tiny, context: { locale: 'de-DE', ...context } });
    await stage(page);
    const found = new Set();
    const look = async (state) => {
      await page.screenshot({ path: join(shots, `german-${name}-${state}.png`) });
      for (const text of await english(page, words)) found.add(text);
    };
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'de');
    await look('first');
    await paint(page, [[0.3, 0.5], [0.4, 0.5]]);
    await entities(page, 1);
    assert.equal(await at(page, 'entity-name-0').inputValue(), 'Objekt 1');
    await look('selected');
    await drag(page, [[0.35, 0.5], [0.5, 0.4], [0.7, 0.5]]);
    await settings(page, { frames: 4 });
    await look('path');
    await generate(page);
    await finished(page, 120_000);
    await look('result');
    await at(page, 'share-open').click();
    await at(page, 'copy-link').click();
    await said(page, /Link kopiert/);
    await look('said');
    assert.deepEqual([...found], []);
  });
}

test('the language is the browser’s until somebody chooses', slow, async (t) => {
  const page = await open(t, { at: tiny, context: { locale: 'de-AT' } });
  await stage(page);
  await paint(page, [[0.3, 0.5], [0.4, 0.5]]);
  await entities(page, 1);
  assert.match(await at(page, 'generate').textContent(), /Erzeugen/);
  await at(page, 'settings').locator('summary').click();
  await Promise.all([page.waitForEvent('load'), at(page, 'set-language').selectOption('en')]);
  await stage(page);
  assert.match(await at(page, 'generate').textContent(), /Generate/);
  await entities(page, 1);
  assert.equal(await at(page, 'set-language').inputValue(), 'en');
});
