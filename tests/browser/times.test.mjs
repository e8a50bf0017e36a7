// How long a person waits for what, when asked for it: DRAGENTITY_TIMES=1 ./test browser. With more rounds (DRAGENTITY_TIMES=3), one and
// two threads take turns.

import { test } from 'node:test';
import { at, click, drag, entities, finished, generate, paint, settings, stage, until } from './actions.mjs';
import { open } from './harness.mjs';

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
