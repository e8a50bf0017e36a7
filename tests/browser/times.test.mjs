// How long a person waits for what, when asked for it: DRAGENTITY_TIMES=1 ./test browser. With more rounds (DRAGENTITY_TIMES=3), one and
// two threads take turns.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, click, drag, entities, finished, generate, largeHeldThing, paint, settings, stage, tiny, until } from './actions.mjs';
import { open } from './harness.mjs';
import { png } from './picture.mjs';

const wanted = Boolean(process.env.DRAGENTITY_TIMES);
const rounds = Array.from({ length: Number(process.env.DRAGENTITY_TIMES) || 1 }, (_, i) => i + 1);
const samples = [
  ['cat', [0.45, 0.55], [0.36, 0.55]],
  ['coffee', [0.3, 0.3], [0.42, 0.3]],
];

for (const [round, threads, [sample, from, to]] of rounds.flatMap((r) => [1, 2].flatMap((n) => samples.map((s) => [r, n, s])))) {
  test(`the times of ${sample}, ${threads} threads, round ${round}`, { skip: !wanted && 'not asked for', timeout: 600_000 }, async (t) => {
    const page = await open(t, { at: `/?device=cpu&threads=${threads}` });
    await stage(page);
    const device = () => at(page, 'device').textContent();
    await until(async () => !/Loading|Looking/.test(await device()), 'the first picture to be looked at', 120_000);
    const times = [];
    const timed = async (what, work) => {
      const since = Date.now();
      await work();
      times.push(`${what} ${((Date.now() - since) / 1000).toFixed(2)} s`);
    };
    await timed('looked at in', async () => {
      // Away from it and back, where it is the first one.
      await at(page, sample === 'cat' ? 'sample-astronaut' : 'sample-cat').click();
      await at(page, `sample-${sample}`).click();
      await until(async () => /Looking/.test(await device()), 'the picture to be looked at', 60_000);
      await until(async () => !/Looking/.test(await device()), 'the picture to be known', 120_000);
    });
    await timed('a click answered in', async () => {
      await click(page, from);
      await entities(page, 1);
    });
    await timed('the plate there after', () => until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 180_000));
    await drag(page, [from, to]);
    await timed('48 frames in', async () => {
      await generate(page);
      await finished(page, 300_000);
    });
    t.diagnostic(`${sample}, ${threads} threads: ${times.join(', ')}`);
  });
}

test('what showing costs', { skip: !wanted && 'not asked for', timeout: 600_000 }, async (t) => {
  const page = await open(t, { at: '/?device=cpu' });
  await stage(page);
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const busy = async () => (await session.send('Performance.getMetrics')).metrics.find((m) => m.name === 'TaskDuration').value;
  /** Seconds of the main thread in ten seconds. */
  const share = async (what) => {
    const before = await busy();
    await page.waitForTimeout(10_000);
    t.diagnostic(`${what}: the page's thread is busy for ${(((await busy()) - before) / 0.1).toFixed(1)} %`);
  };
  await paint(page, [[0.35, 0.5], [0.45, 0.5]]);
  await drag(page, [[0.4, 0.5], [0.6, 0.5]]);
  await share('nothing moves, Generate is next');
  await generate(page);
  await finished(page, 300_000);
  await share('a video plays');
  await settings(page, { model: true, steps: 50, frames: 8 });
  await generate(page);
  await until(async () => /step/i.test(await at(page, 'phase').textContent()), 'the first step', 240_000);
  await share('the mini generates');
  await at(page, 'cancel').click();
});

test('how smooth six things of a picture of 2,000 pixels move', { skip: !wanted && 'not asked for', timeout: 900_000 }, async (t) => {
  const page = await open(t, { at: tiny });
  await stage(page);
  const photo = png(2000, 1334, (x, y) => [(x * 7 + y) % 256, (x + y * 3) % 256, (x ^ y) % 256]);
  await at(page, 'file-input').setInputFiles({ name: 'large.png', mimeType: 'image/png', buffer: photo });
  await until(() => at(page, 'stage').evaluate((canvas) => canvas.width / canvas.height > 1.4), 'the picture');
  for (let i = 0; i < 6; i++) {
    const [x, y] = [0.15 + 0.3 * (i % 3), 0.25 + 0.45 * Math.floor(i / 3)];
    if (i > 0) await at(page, 'new-entity').click();
    await paint(page, [[x, y], [x + 0.08, y]]);
    await entities(page, i + 1);
    await drag(page, [[x + 0.04, y], [x + 0.1, y + 0.08]]);
  }
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 600_000);
  /** Frames a second, the longest of them, and what kept the page's thread for more than 50 ms, while `work` goes on. */
  const smooth = async (what, work) => {
    await page.evaluate(() => {
      const seen = { ticks: [], tasks: [], on: true, drawn: 'canvas' };
      const stage = document.getElementById('stage');
      const observer = new PerformanceObserver((list) => seen.tasks.push(...list.getEntries().map((task) => task.duration)));
      observer.observe({ type: 'longtask' });
      const tick = (now) => {
        seen.ticks.push(now);
        if (stage.dataset.drawn === 'gpu') seen.drawn = 'gpu';
        if (seen.on) requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
      window.smooth = seen;
    });
    await work();
    const { ticks, tasks, drawn } = await page.evaluate(() => {
      window.smooth.on = false;
      return window.smooth;
    });
    const between = ticks.slice(1).map((tick, i) => tick - ticks[i]).sort((a, b) => a - b);
    const rate = (1000 * between.length) / (ticks.at(-1) - ticks[0]);
    t.diagnostic(
      `${what}, drawn by the ${drawn}: ${rate.toFixed(1)} frames a second, half of them after ${between[between.length >> 1].toFixed(1)} ms, the longest after ` +
        `${between.at(-1).toFixed(0)} ms; ${tasks.length} tasks over 50 ms${tasks.length ? `, the longest ${Math.max(...tasks).toFixed(0)} ms` : ''}`,
    );
  };
  await smooth('nothing', () => page.waitForTimeout(3000));
  const box = await at(page, 'stage').boundingBox();
  const on = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await smooth('a thing is dragged', async () => {
    await page.mouse.move(...on([0.19, 0.25]));
    await page.mouse.down();
    for (let i = 0; i < 200; i++) await page.mouse.move(...on([0.3 + 0.12 * Math.cos(i / 15), 0.4 + 0.12 * Math.sin(i / 15)]));
    await page.mouse.up();
  });
  await smooth('all of them play', async () => {
    await page.keyboard.press('Space');
    await page.waitForTimeout(4000);
  });
  await page.keyboard.press('Space');
  await smooth('a video is made', async () => {
    await generate(page);
    await finished(page, 600_000);
  });
});

for (const [device, by] of [['webgpu', 'gpu'], ['cpu', 'canvas']]) {
  test(`what a thing with six handles costs the page's thread, drawn by the ${by}`, { skip: !wanted && 'not asked for', timeout: 600_000 }, async (t) => {
    const page = await open(t, { webgpu: true, at: `/?segmenter=models/tiny_sam.safetensors&device=${device}` });
    await largeHeldThing(page);
    await drag(page, [[0.75, 0.5], [0.78, 0.45], [0.8, 0.6]]);
    await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 180_000);
    const size = await at(page, 'stage').evaluate((canvas) => [canvas.width, canvas.height]);
    // Six seconds of it.
    await settings(page, { fps: 8 });
    await at(page, 'stage').focus();
    await page.keyboard.press('Space');
    await until(async () => (await at(page, 'stage').getAttribute('data-drawn')) === by, `the ${by} to draw`, 60_000);
    await page.waitForTimeout(1000);
    // The processor's time for what the page itself does, and for all that its thread does: an emulated GPU has that copy what it has
    // drawn, and wait for it, which the first leaves out.
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    const busy = async () => {
      const { metrics } = await session.send('Performance.getMetrics');
      return ['ScriptDuration', 'TaskDuration'].map((name) => metrics.find((m) => m.name === name).value);
    };
    const moment = () => at(page, 'playhead').inputValue();
    await until(async () => (await moment()) === '0', 'the end of that', 60_000);
    await page.keyboard.press('Space');
    await until(async () => (await moment()) !== '0', 'the beginning', 60_000);
    const before = await busy();
    const frames = await page.evaluate(
      () =>
        new Promise((resolve) => {
          let frames = 0;
          const tick = () => {
            frames += 1;
            requestAnimationFrame(tick);
          };
          requestAnimationFrame(tick);
          setTimeout(() => resolve(frames), 2500);
        }),
    );
    assert.notEqual(await moment(), '0', 'it was over meanwhile');
    const [own, all] = (await busy()).map((now, i) => ((1000 * (now - before[i])) / frames).toFixed(1));
    t.diagnostic(`${by}, stage of ${size.join(' x ')}: ${frames} frames, each ${own} ms of the page's own and ${all} ms of its thread`);
  });
}
