import { test } from 'node:test';
import { readFileSync, readdirSync } from 'node:fs';
import { at, click, entities, stage, until } from './actions.mjs';
import { open } from './harness.mjs';
const device = (page) => at(page, 'device').textContent();
// CPU seconds of all chromium threads named DedicatedWorker
function cpu() {
  let sum = 0;
  for (const p of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
    try {
      if (!readFileSync(`/proc/${p}/cmdline`, 'latin1').includes('--type=renderer')) continue;
      for (const t of readdirSync(`/proc/${p}/task`)) {
        const stat = readFileSync(`/proc/${p}/task/${t}/stat`, 'latin1');
        const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
        const f = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (/Dedicated/.test(name)) sum += (Number(f[11]) + Number(f[12])) / 100;
      }
    } catch {}
  }
  return sum;
}
test('times', { timeout: 300000 }, async (t) => {
  const page = await open(t, { at: '/?device=cpu' });
  await stage(page);
  await until(async () => /Looking at/.test(await device(page)), 'looking', 60000);
  let c = cpu(), s = Date.now();
  await until(async () => !/Looking|Loading/.test(await device(page)), 'known', 200000);
  t.diagnostic(`cat: ${Date.now() - s} ms, worker cpu ${(cpu() - c).toFixed(2)} s`);
  c = cpu(); s = Date.now();
  await at(page, 'sample-astronaut').click();
  await until(async () => /Looking at/.test(await device(page)), 'looking', 60000);
  await until(async () => !/Looking|Loading/.test(await device(page)), 'known', 200000);
  t.diagnostic(`astronaut: ${Date.now() - s} ms, worker cpu ${(cpu() - c).toFixed(2)} s`);
  await page.evaluate(() => { document.querySelector('#stage').addEventListener('pointerup', () => { window.__t0 = performance.now(); window.__n = document.querySelectorAll('#entities [data-index]').length; }, true);
    new MutationObserver(() => { const n = document.querySelectorAll('#entities [data-index]').length; if (n !== window.__n) { window.__dt = performance.now() - window.__t0; } }).observe(document.querySelector('#entities'), { childList: true }); });
  let i = 0;
  for (const p of [[0.44, 0.15], [0.8, 0.2], [0.7, 0.85], [0.1, 0.5]]) {
    i++;
    c = cpu();
    await click(page, p);
    await entities(page, i);
    const dt = await page.evaluate(() => window.__dt);
    t.diagnostic(`click ${p}: ${dt.toFixed(0)} ms, worker cpu ${(cpu() - c).toFixed(2)} s`);
    await at(page, 'new-entity').click();
    await page.mouse.move(5, 5);
  }
});
