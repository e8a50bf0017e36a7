// What goes wrong under a page: the GPU, the worker, memory, storage, the network, another tab, a tab that nobody sees. Each time
// the scene stays, one sentence says what happened, and Generate goes on.

import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, drag, entities, finished, generate, paint, said, settings, stage, until } from './actions.mjs';
import { addModel, fixtures, open, origin } from './harness.mjs';

const slow = { timeout: 600_000 };
addModel('faults_tiny', join(fixtures, 'tiny'));
const TINY = 'model=models/faults_tiny/&segmenter=models/tiny_sam.safetensors';

/** Something with a path. */
async function scene(page) {
  await stage(page);
  await paint(page, [[0.35, 0.5], [0.45, 0.5]]);
  await entities(page, 1);
  await drag(page, [[0.4, 0.5], [0.6, 0.4]]);
  await until(async () => /Has a path/.test(await at(page, 'entity-0').textContent()), 'the path');
}

const sentences = (page) => at(page, 'messages').locator('p').allTextContents();
const phase = (page) => at(page, 'phase').textContent();

async function dismissAll(page) {
  while (await at(page, 'dismiss').count()) await at(page, 'dismiss').first().click();
}

/** The scene is there, one sentence was said, and a video is made. */
async function goesOn(page) {
  await entities(page, 1);
  assert.match(await at(page, 'entity-0').textContent(), /Has a path/);
  const all = await sentences(page);
  assert.equal(all.length, 1, `one sentence is enough: ${all.join(' | ')}`);
  await dismissAll(page);
  await settings(page, { steps: 1, frames: 2 });
  await until(() => at(page, 'generate').isEnabled(), 'the button to go on');
  await generate(page);
  await finished(page, 300_000);
}

/** Puts a line before the worker's own. */
const inWorker = (code) => (page) =>
  page.route('**/worker.js', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: `${await answer.text()}\n${code}` });
  });

/** The one that the page started first: others do what the processor does beside it, or are its threads. */
const worker = (page) => until(() => page.workers().find((one) => one.url().endsWith('/worker.js')), 'the worker');

const LOSABLE = `
  const take = globalThis.GPUAdapter?.prototype.requestDevice;
  if (take) GPUAdapter.prototype.requestDevice = async function (...how) {
    const device = await take.apply(this, how);
    const lost = new Promise((lose) => {
      const before = globalThis.loseGpu;
      globalThis.loseGpu = () => {
        before?.();
        const facts = { reason: { value: 'unknown' }, message: { value: 'simulated' } };
        lose(Object.create(GPUDeviceLostInfo.prototype, facts));
      };
    });
    Object.defineProperty(device, 'lost', { value: lost });
    return device;
  };`;

/** Takes the GPU away from the worker that has it. */
async function loseGpu(page) {
  const withGpu = async () => {
    for (const one of page.workers().filter((one) => one.url().endsWith('/worker.js'))) {
      if (await one.evaluate(() => typeof globalThis.loseGpu === 'function')) return one;
    }
    return null;
  };
  await (await until(withGpu, 'the worker that has the GPU')).evaluate(() => globalThis.loseGpu());
  await said(page, /GPU was lost.*scene is kept/);
}

for (const when of ['idle', 'generating']) {
  test(`the GPU is lost while the page is ${when}`, slow, async (t) => {
    const page = await open(t, { webgpu: true, at: `/?device=webgpu&${TINY}`, prepare: inWorker(LOSABLE) });
    await scene(page);
    await until(async () => /WebGPU/.test(await at(page, 'device').textContent()), 'the adapter', 120_000);
    if (when === 'generating') {
      await settings(page, { steps: 100, frames: 4 });
      await generate(page);
      await until(async () => /step/i.test(await phase(page)), 'the first step', 240_000);
    }
    await loseGpu(page);
    await goesOn(page);
  });
}

test('the GPU is lost while it looks at the picture', slow, async (t) => {
  // With MobileSAM, for which an emulated GPU takes minutes.
  const page = await open(t, { webgpu: true, at: '/?device=webgpu&model=models/faults_tiny/', prepare: inWorker(LOSABLE) });
  await scene(page);
  const device = () => at(page, 'device').textContent();
  await until(async () => /Looking at the picture/.test(await device()), 'the picture to be looked at', 240_000);
  await loseGpu(page);
  // The processor looks at it anew, and the scene is as it was.
  await until(async () => /Looking at the picture/.test(await device()), 'the processor to look at it', 120_000);
  await until(async () => !/Looking|Loading/.test(await device()), 'the picture to be known', 300_000);
  await entities(page, 1);
  assert.match(await at(page, 'entity-0').textContent(), /Has a path/);
  assert.equal((await sentences(page)).length, 1);
});

for (const [what, thrown] of [
  ['is killed', "new Error('killed')"],
  ['gets no memory', "new RangeError('WebAssembly.Memory.grow(): out of memory')"],
]) {
  test(`a worker that ${what} is started again`, slow, async (t) => {
    const page = await open(t, { at: `/?device=cpu&${TINY}`, expect: [/killed|out of memory/] });
    await scene(page);
    await settings(page, { steps: 100, frames: 8 });
    await generate(page);
    await until(async () => /step/i.test(await phase(page)), 'the first step', 120_000);
    // Where a crash that the module cannot report itself is heard.
    await (await worker(page)).evaluate(`setTimeout(() => { throw ${thrown}; })`);
    await said(page, /crashed.*started again.*scene is kept/i);
    await goesOn(page);
  });
}

test('a worker that never starts is given up, and Generate tries again', slow, async (t) => {
  const page = await open(t, {
    at: `/?device=cpu&${TINY}`,
    expect: [/no memory/],
    prepare: inWorker("if (!globalThis.loaded) setTimeout(() => { throw new RangeError('no memory'); });"),
  });
  await said(page, /stays off.*scene is kept/i, 120_000);
  await scene(page);
  await page.unroute('**/worker.js');
  await dismissAll(page);
  await settings(page, { steps: 1, frames: 2 });
  await generate(page);
  await finished(page, 300_000);
});

test('without storage the page works as well', slow, async (t) => {
  const page = await open(t, {
    at: `/?device=cpu&${TINY}`,
    prepare: (page) =>
      page.addInitScript(() => {
        const refuse = () => {
          throw new DOMException('refused', 'SecurityError');
        };
        for (const name of ['localStorage', 'sessionStorage', 'indexedDB', 'caches']) {
          Object.defineProperty(globalThis, name, { get: refuse });
        }
      }),
  });
  await scene(page);
  await settings(page, { steps: 1, frames: 2 });
  await generate(page);
  await finished(page, 300_000);
});

test('a download that breaks off in the middle is said, and goes on when it is asked for again', slow, async (t) => {
  const target = new URL(await origin());
  let broken = true;
  let cut = 0;
  const between = createServer((asked, answer) => {
    const headers = { ...asked.headers, host: target.host };
    const passed = request({ port: target.port, host: target.hostname, method: asked.method, path: asked.url, headers }, (from) => {
      answer.writeHead(from.statusCode, from.headers);
      if (broken && /^[^?]*faults_tiny.*\.safetensors/.test(asked.url)) {
        from.once('data', (piece) => {
          cut += 1;
          answer.write(piece.subarray(0, piece.length / 2), () => answer.destroy());
        });
      } else {
        from.pipe(answer);
      }
    });
    asked.pipe(passed);
  });
  await new Promise((resolve) => between.listen(0, '127.0.0.1', resolve));
  t.after(() => between.closeAllConnections() ?? between.close());
  const base = `http://127.0.0.1:${between.address().port}`;
  const page = await open(t, { base, at: `/?device=cpu&${TINY}`, expect: [/ERR_|Failed to load|network/i] });
  await scene(page);
  await settings(page, { steps: 1, frames: 2 });
  await generate(page);
  await said(page, /safetensors/);
  assert.ok(cut > 0, 'nothing broke off');
  broken = false;
  await goesOn(page);
});

test('two tabs do not get in each other’s way', slow, async (t) => {
  const one = await open(t, { at: `/?device=cpu&${TINY}` });
  const two = await one.context().newPage();
  await two.goto(one.url());
  for (const page of [one, two]) {
    await scene(page);
    await settings(page, { steps: 2, frames: 2 });
  }
  await Promise.all([generate(one), generate(two)]);
  await Promise.all([finished(one, 300_000), finished(two, 300_000)]);
  for (const page of [one, two]) assert.deepEqual(await sentences(page), []);
});

test('a tab that nobody sees makes its video, and shows it when it is looked at', slow, async (t) => {
  const page = await open(t, {
    at: `/?device=cpu&${TINY}`,
    prepare: (page) =>
      page.addInitScript(() => {
        // As browsers do it: nothing is drawn while the tab is hidden.
        const draw = globalThis.requestAnimationFrame.bind(globalThis);
        const waiting = [];
        let hidden = false;
        globalThis.requestAnimationFrame = (callback) => (hidden ? -waiting.push(callback) : draw(callback));
        Object.defineProperty(document, 'hidden', { get: () => hidden });
        Object.defineProperty(document, 'visibilityState', { get: () => (hidden ? 'hidden' : 'visible') });
        globalThis.hide = (away) => {
          hidden = away;
          document.dispatchEvent(new Event('visibilitychange'));
          if (!away) for (const callback of waiting.splice(0)) draw(callback);
        };
      }),
  });
  await scene(page);
  await settings(page, { steps: 2, frames: 3 });
  await generate(page);
  await page.evaluate(() => globalThis.hide(true));
  await until(() => at(page, 'generate').isVisible(), 'the end of the job', 300_000);
  await page.evaluate(() => globalThis.hide(false));
  await finished(page, 60_000);
  assert.deepEqual(await sentences(page), []);
});

test('nothing is run or marked up that comes as a text', slow, async (t) => {
  const page = await open(t, { at: `/?device=cpu&${TINY}`, expect: [/requires 'Trusted\w+' assignment/] });
  await stage(page);
  const policy = await page.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute('content');
  const header = (await page.request.get(page.url())).headers()['content-security-policy'];
  for (const text of [policy, header]) assert.ok(!/unsafe-(?!eval)/.test(text.replace('wasm-unsafe-eval', '')), text);
  // In the browsers that know them.
  const refused = await page.evaluate(() => {
    const tried = [
      () => (document.createElement('p').innerHTML = '<img src=x>'),
      () => new Worker('https://example.org/worker.js'),
      () => (document.createElement('script').text = '1'),
    ];
    return tried.map((attempt) => {
      try {
        attempt();
        return false;
      } catch (error) {
        return error instanceof TypeError || error.name === 'SecurityError';
      }
    });
  });
  assert.deepEqual(refused, [true, true, true]);
});
