// The page hands its job over to `dragentity serve`: at its own origin, and at an address in its settings.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, drag, finished, generate, paint, said, savedGif, settings, stage, until } from './actions.mjs';
import { open, origin, serve, shots } from './harness.mjs';

/** What Chromium prints, besides, where a server is gone or refuses. */
const FAILED = [/Failed to load resource/];

async function scene(page) {
  await stage(page);
  await paint(page, [[0.35, 0.5], [0.45, 0.5]]);
  await drag(page, [[0.4, 0.5], [0.6, 0.5]]);
}

/** Waits until the server is offered, and chooses it. */
async function chooseServer(page) {
  await until(() => at(page, 'place-server').isEnabled(), 'the server to be offered');
  await at(page, 'place-server').check();
}

/** A click on one moves the others. */
async function dismissAll(page) {
  while (await at(page, 'dismiss').count()) await at(page, 'dismiss').first().click();
}

const phase = (page) => at(page, 'phase').textContent();
/** The paths of the requests to the server's routes, as they come. */
function routes(page) {
  const asked = [];
  page.on('request', (request) => {
    const path = new URL(request.url()).pathname;
    if (path.startsWith('/api/')) asked.push(`${request.method()} ${path.replace(/[0-9a-f]{32}/, 'ID')}`);
  });
  return asked;
}

test('a job runs on the server that the page came from', { timeout: 600_000 }, async (t) => {
  const page = await open(t);
  const asked = routes(page);
  await scene(page);
  // Offered, but not taken by itself.
  await until(() => at(page, 'place-server').isEnabled(), 'the server to be offered');
  assert.ok(await at(page, 'place-here').isChecked());
  assert.match(await at(page, 'places').textContent(), /At once.*CPU.*server.*mini on CPU/s);
  assert.match(await at(page, 'privacy').textContent(), /Nothing is uploaded/);
  // By keyboard, as by mouse.
  await at(page, 'place-here').focus();
  await page.keyboard.press('ArrowDown');
  assert.ok(await at(page, 'place-server').isChecked());
  assert.match(await at(page, 'privacy').textContent(), /are sent to http/);
  assert.match(await at(page, 'device').textContent(), /Server: CPU/);
  // What nobody has chosen is the server's model's own.
  assert.equal(await at(page, 'set-frames').inputValue(), '8');
  await at(page, 'place-here').check();
  assert.equal(await at(page, 'set-frames').inputValue(), '48');
  await at(page, 'place-server').check();

  await settings(page, { steps: 3, frames: 4, fps: 5 });
  await generate(page);
  const phases = await finished(page, 480_000);
  assert.ok(phases.some((text) => /step|Denoising|Decoding/i.test(text)), `phases: ${phases.join(' | ')}`);
  assert.equal((await at(page, 'frame-number').textContent()).split('/')[1].trim(), '4');
  const { frames } = await savedGif(page);
  assert.equal(frames.length, 4);
  assert.notDeepEqual(frames[0].rgba, frames[3].rgba, 'nothing moves');
  const [mp4] = await Promise.all([page.waitForEvent('download'), at(page, 'save-mp4').click()]);
  assert.equal(mp4.suggestedFilename(), 'dragentity.mp4');
  assert.equal((await readFile(await mp4.path())).toString('latin1', 4, 8), 'ftyp');
  await until(() => asked.includes('DELETE /api/jobs/ID'), 'the job to be forgotten');
  assert.equal(asked.filter((route) => route === 'POST /api/jobs').length, 1, asked.join('\n'));
  assert.ok(asked.includes('GET /api/jobs/ID/video.rgb'));
  await page.screenshot({ path: join(shots, 'places.png') });

  // Kept over a reload; and the browser is a click away.
  await page.reload();
  await stage(page);
  await until(() => at(page, 'place-server').isChecked(), 'the choice after a reload');
  await page.setViewportSize({ width: 390, height: 844 });
  await at(page, 'place-here').scrollIntoViewIfNeeded();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 390, `the page is ${width} pixels wide on a phone`);
  await page.screenshot({ path: join(shots, 'places-phone.png') });
  await at(page, 'place-here').check();
  assert.match(await at(page, 'privacy').textContent(), /Nothing is uploaded/);
});

test('what waits is made by the server, one after the other', { timeout: 600_000 }, async (t) => {
  const page = await open(t);
  const asked = routes(page);
  await scene(page);
  await chooseServer(page);
  await settings(page, { steps: 30, frames: 4 });
  await generate(page);
  await settings(page, { steps: 2, seed: 1 });
  await at(page, 'queue-add').click();
  await until(async () => (await at(page, 'queue').locator('li').count()) === 1, 'the scene to wait');
  const jobs = () => asked.filter((route) => route === 'POST /api/jobs').length;
  assert.equal(jobs(), 1, 'the server is asked for one at a time');
  await until(async () => (await page.locator('#results li').count()) === 2, 'both videos', 400_000);
  assert.equal(jobs(), 2);
  assert.ok(await at(page, 'queue-box').isHidden());
});

test('cancelling stops the job on the server, too', { timeout: 300_000 }, async (t) => {
  const page = await open(t);
  await scene(page);
  await chooseServer(page);
  await settings(page, { steps: 50, frames: 32 });
  await generate(page);
  await until(async () => /step/i.test(await phase(page)), 'the first step', 120_000);
  await at(page, 'cancel').click();
  await said(page, /^Stopped/);
  await until(() => at(page, 'generate').isVisible(), 'the button to generate again');
  const health = async () => (await fetch(`${await origin()}/healthz`)).json();
  await until(async () => (await health()).running === 0, 'the server to be idle');
});

test('a server that goes away leaves the scene, and the browser runs the job', { timeout: 600_000 }, async (t) => {
  const { url, kill } = serve();
  const page = await open(t, { base: await url, expect: FAILED });
  await scene(page);
  await chooseServer(page);
  await settings(page, { steps: 50, frames: 32 });
  await generate(page);
  await until(async () => /step/i.test(await phase(page)), 'the first step', 120_000);
  await kill();
  await said(page, /server went away.*as they were.*in this browser/, 60_000);
  assert.ok(await at(page, 'place-here').isChecked());
  assert.match(await at(page, 'places').textContent(), /does not answer any more/);
  assert.equal(await at(page, 'messages').locator('p').count(), 1, 'one sentence is enough');
  assert.ok(await at(page, 'ask-server').isVisible());
  assert.equal(await page.locator('#entities [data-index]').count(), 1);
  assert.equal(await at(page, 'set-steps').inputValue(), '50');
  await page.screenshot({ path: join(shots, 'server-gone.png') });

  await settings(page, { frames: 2 });
  await dismissAll(page);
  await generate(page);
  await finished(page, 240_000);
});

test('a server elsewhere, with its token', { timeout: 600_000 }, async (t) => {
  const token = 'the-right-token';
  // Each must know of the other: the page may ask that server, and that server lets this page in.
  const elsewhere = serve('--token', token, '--allow-origin', 'http://127.0.0.1:1');
  const there = await elsewhere.url;
  const base = await serve('--connect', there).url;
  const page = await open(t, { base, also: there, expect: [...FAILED, /status 40[13]/, /CORS policy/] });
  await scene(page);
  await settings(page, { server: there.replace('http://', '') });
  await said(page, /does not answer.*--allow-origin http:.*--connect/);
  assert.ok(await at(page, 'place-server').isDisabled());
  await elsewhere.kill();

  const friend = serve('--token', token, '--allow-origin', new URL(page.url()).origin, '--port', new URL(there).port);
  assert.equal(await friend.url, there);
  await settings(page, { token: 'a-wrong-token' });
  await said(page, /token is not the one/);
  await settings(page, { token });
  await until(async () => /mini on CPU/.test(await at(page, 'places').textContent()), 'the server to be offered');
  await chooseServer(page);
  await settings(page, { steps: 2, frames: 4 });
  await dismissAll(page);
  await generate(page);
  await finished(page, 240_000);

  // Without an address there is the page's own server again, without this one's token.
  await settings(page, { server: '' });
  await until(async () => /This page.s server/.test(await at(page, 'places').textContent()), 'the own server');
  assert.equal(await at(page, 'set-token').inputValue(), '');
  await settings(page, { server: 'ftp://gpu.lan' });
  await said(page, /is no address of a server/);
});

test('where nothing takes jobs, nothing is asked', { timeout: 120_000 }, async (t) => {
  let asked;
  const page = await open(t, {
    // As a host of files would have it: the page without the mark that the server puts in.
    prepare: async (page) => {
      asked = routes(page);
      await page.route('**/', async (route) => {
        const response = await route.fetch();
        const body = (await response.text()).replace(/<meta name="dragentity-jobs"[^>]*>/, '');
        await route.fulfill({ response, body });
      });
    },
  });
  await stage(page);
  await until(async () => /CPU/.test(await at(page, 'device').textContent()), 'the device');
  assert.ok(await at(page, 'place-server').isHidden());
  assert.deepEqual(asked, []);
});
