// Makes the README's picture, when asked to: DRAGENTITY_SCREENSHOT=1 ./test browser

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, entities, finished, generate, sample, stage } from './actions.mjs';
import { open, root } from './harness.mjs';

const wanted = Boolean(process.env.DRAGENTITY_SCREENSHOT);

test('the screenshot of the README', { skip: !wanted && 'not asked for', timeout: 900_000 }, async (t) => {
  const page = await open(t, { context: { deviceScaleFactor: 1.5 } });
  await stage(page);
  await sample(page, 'coffee');
  await page.locator('#example').click();
  await entities(page, 1);
  await generate(page);
  await finished(page, 800_000);
  // The sample's picture is looked at meanwhile, or only now: nothing is to say that it is.
  await page.waitForTimeout(1000);
  await page.waitForFunction(() => !document.body.innerText.includes('Looking at the picture'), null, { timeout: 60_000 });
  // A frame late in the motion, without a pointer or a message over it.
  await at(page, 'scrub').fill('38');
  await page.mouse.move(2, 2);
  for (const close of await at(page, 'dismiss').all()) await close.click();
  mkdirSync(join(root, 'docs'), { recursive: true });
  await page.screenshot({ path: join(root, 'docs/src/screenshot.jpg'), type: 'jpeg', quality: 82 });
});
