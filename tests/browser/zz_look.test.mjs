import { test } from 'node:test';
import { mkdirSync } from 'node:fs';
import { at, click, drag, entities, finished, generate, settings, stage, until } from './actions.mjs';
import { open } from './harness.mjs';
const out = '/work/look/page';
mkdirSync(out, { recursive: true });
const cases = JSON.parse(process.env.CASES);
for (const [name, file, p, q] of cases) {
  test(name, { timeout: 500_000 }, async (t) => {
    const page = await open(t, { at: '/?device=cpu' });
    await stage(page);
    const t0 = Date.now();
    if (file) await at(page, 'file-input').setInputFiles(file);
    else await at(page, 'sample-' + name).click();
    await page.waitForTimeout(500);
    await until(async () => !/Loading|Looking/.test(await at(page, 'device').textContent()), 'looked', 120_000);
    const t1 = Date.now();
    await click(page, p);
    await entities(page, 1);
    const t2 = Date.now();
    await page.screenshot({ path: `${out}/${name}-1.png` });
    await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 180_000);
    const t3 = Date.now();
    await page.mouse.move(...(await place(page, p)));
    await page.mouse.down();
    await page.mouse.move(...(await place(page, q)), { steps: 8 });
    await page.waitForTimeout(300);
    await page.screenshot({ path: `${out}/${name}-2.png` });
    await page.mouse.up();
    const t4 = Date.now();
    await generate(page);
    await finished(page, 300_000);
    const t5 = Date.now();
    await at(page, 'play').click();
    await at(page, 'scrub').fill('47');
    await page.waitForTimeout(300);
    await page.screenshot({ path: `${out}/${name}-3.png` });
    t.diagnostic(`${name}: looked ${t1 - t0}, click ${t2 - t1}, plate ${t3 - t2}, generate ${t5 - t4} ms`);
  });
}
async function place(page, [x, y]) {
  const box = await at(page, 'stage').boundingBox();
  return [box.x + x * box.width, box.y + y * box.height];
}
