// The page without a network, and on a host that sends no headers (www/sw.js, www/offline.js).

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, click, drag, entities, finished, generate, said, sample, settings, stage, until } from './actions.mjs';
import { dist, open, root } from './harness.mjs';
import { host } from './host.mjs';

const skip = !existsSync(join(dist, 'sw.js')) && 'the page was built by Trunk alone';
const allowed = { serviceWorkers: 'allow' };
const kept = (page) => page.evaluate(async () => {
  for (const name of await caches.keys()) {
    if (name.startsWith('dragentity-shell-') && (await (await caches.open(name)).match(new URL('complete', location)))) return name;
  }
  return null;
});

/** The page's picture, once it has loaded itself again for the headers that this host does not send. */
async function isolated(page) {
  await until(() => page.evaluate(() => crossOriginIsolated).catch(() => false), 'a page that may have threads', 30_000);
  await stage(page);
}

/** That files of the page are kept, and the weights that make masks. */
async function all(page) {
  const shell = await until(() => kept(page), 'the page to be kept', 60_000);
  const weights = () => page.evaluate(async () =>
    (await (await caches.open('dragentity-parts')).keys()).some((request) => request.url.includes('mobile_sam')));
  await until(weights, 'the weights to be kept', 120_000);
  return shell;
}

test('without a network: click, drag, live preview, generate', { skip, timeout: 600_000 }, async (t) => {
  const { base, close, asked } = await host(t);
  const page = await open(t, { base, at: '/?device=cpu', context: allowed, expect: [/ERR_CONNECTION_REFUSED/] });
  await isolated(page);
  await all(page);
  assert.equal(asked.filter((path) => path.startsWith('models/mobile_sam')).length, 1, 'weights loaded more than once');
  await close();

  await page.reload();
  await stage(page);
  await sample(page, 'coffee');
  await click(page, [0.3, 0.3]);
  await entities(page, 1, 240_000);
  await drag(page, [[0.3, 0.3], [0.42, 0.3]]);
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate behind it', 240_000);
  await settings(page, { frames: 4 });
  await generate(page);
  await finished(page, 240_000);

  // The settings say how much it is, and delete it.
  await until(async () => Number.parseInt(await at(page, 'kept-size').textContent(), 10) > 20, 'more than 20 MB');
  await at(page, 'forget-kept').click();
  await until(() => at(page, 'kept').isHidden(), 'nothing to be kept');
  const names = await page.evaluate(() => caches.keys());
  assert.deepEqual(names.filter((name) => /shell|parts/.test(name)), []);
});

test('a newer page comes whole, at the next visit', { skip, timeout: 300_000 }, async (t) => {
  const { base, instead } = await host(t);
  const page = await open(t, { base, at: '/?device=cpu', context: allowed });
  await isolated(page);
  const before = await all(page);
  const version = before.replace('dragentity-shell-', '');

  // Another build: another stylesheet, under another version.
  const newer = version.replace(/^./, (c) => (c === '0' ? '1' : '0'));
  const rename = (name) => readFileSync(join(dist, name), 'utf8').replaceAll(version, newer);
  const style = `${readFileSync(join(dist, 'style.css'), 'utf8')}\n:root { --build: newer; }`;
  const sum = (text) => createHash('sha256').update(text).digest('hex');
  const build = () => page.evaluate(() => [
    document.querySelector('meta[name="dragentity-version"]').content,
    getComputedStyle(document.documentElement).getPropertyValue('--build').trim(),
  ]);
  instead['index.html'] = rename('index.html');
  instead['style.css'] = style;
  // Half of it is there, and the list is not yet: what is seen stays the old one, all of it.
  await page.reload();
  assert.deepEqual(await build(), [version, '']);
  // A list that does not fit the files: neither.
  instead['sw.js'] = rename('sw.js');
  await page.reload();
  await page.waitForTimeout(1500);
  await page.reload();
  assert.deepEqual(await build(), [version, '']);

  instead['sw.js'] = rename('sw.js').replace(/"style\.css":"\w+"/, `"style.css":"${sum(style)}"`);
  await page.reload();
  await until(async () => (await page.evaluate(() => caches.keys())).includes(`dragentity-shell-${newer}`), 'the newer page', 60_000);
  // The page that finds it loads itself again, in the middle of anything that is asked of it here.
  await until(async () => {
    await page.reload().catch(() => {});
    await page.waitForTimeout(1500);
    return (await build().catch(() => []))[0] === newer;
  }, 'the newer page to be shown', 60_000);
  await stage(page);
  assert.deepEqual(await build(), [newer, 'newer']);
  await until(async () => !(await page.evaluate(() => caches.keys())).includes(before), 'the older page to be dropped');
});

test('a browser that keeps nothing shows the page all the same', { skip, timeout: 300_000 }, async (t) => {
  const { base } = await host(t);
  const page = await open(t, {
    base,
    at: '/?device=cpu&segmenter=models/none',
    context: allowed,
    expect: [/models\/none/, /404/],
    prepare: (page) => page.addInitScript(() => {
      navigator.serviceWorker.register = () => Promise.reject(new Error('refused'));
    }),
  });
  await stage(page);
  await until(() => at(page, 'kept').isHidden(), 'nothing to be kept');
});

test('within another page: a picture and its preset', { skip, timeout: 300_000 }, async (t) => {
  const { base, instead } = await host(t);
  instead['example.html'] = readFileSync(join(root, 'docs/embed.html'));
  const page = await open(t, { base, at: '/example.html', expect: [/favicon/, /404/] });
  const frame = page.frameLocator('drag-entity iframe');
  const name = frame.getByTestId('entity-name-0');
  await until(async () => (await name.count()) === 1, 'the preset on its picture', 60_000);
  assert.equal(await name.inputValue(), 'cup');

  // Another server's picture is not asked for.
  const elsewhere = await open(t, { base, at: '/?device=cpu&picture=https%3A%2F%2Fexample.com%2Fphoto.jpg' });
  await said(elsewhere, /not on this page’s own server|not on this page's own server/);
  await stage(elsewhere);
});
