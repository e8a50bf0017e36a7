// From the click to the saved video: at once, and with the mini network.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, click, drag, entities, finished, generate, paint, said, savedGif, savedFilm, settings, stage, until } from './actions.mjs';
import { open } from './harness.mjs';

test('at once: click, drag, generate, save', { timeout: 600_000 }, async (t) => {
  const page = await open(t);
  await stage(page);
  await until(async () => /CPU|processor/i.test(await at(page, 'device').textContent()), 'the device to be named');
  await click(page, [0.42, 0.45]);
  await entities(page, 1);
  await drag(page, [[0.42, 0.45], [0.55, 0.45]]);
  // What is under the thing is there before anything is generated.
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate behind it', 120_000);
  assert.equal(await at(page, 'set-frames').inputValue(), '48');
  await settings(page, { frames: 4, fps: 5 });
  await generate(page);
  // The plate is made: it is over sooner than phases can be read.
  await finished(page, 480_000);
  assert.equal(await at(page, 'frame-number').textContent().then((text) => text.split('/')[1].trim()), '4');

  const { frames } = await savedGif(page);
  assert.equal(frames.length, 4);
  for (const frame of frames) {
    assert.deepEqual([frame.width, frame.height], [frames[0].width, frames[0].height]);
    assert.ok(Math.abs(frame.milliseconds - 200) <= 10, `${frame.milliseconds} ms a frame at 5 frames a second`);
  }
  assert.notDeepEqual(frames[0].rgba, frames[3].rgba, 'nothing moves');

  // The browser encodes the MP4, and any browser plays it: the same picture, in the same colours.
  const mp4 = await savedFilm(page);
  assert.ok(Math.abs(mp4.seconds - 4 / 5) < 0.05, `${mp4.seconds} s for 4 frames at 5 a second`);
  await at(page, 'scrub').fill('0');
  const first = await at(page, 'result').evaluate((canvas, [width, height]) => {
    const small = new OffscreenCanvas(width, height).getContext('2d');
    small.drawImage(canvas, 0, 0, width, height);
    return [...small.getImageData(0, 0, width, height).data];
  }, mp4.size);
  const apart = first.reduce((sum, v, i) => sum + Math.abs(v - mp4.rgba[i]), 0) / first.length;
  assert.ok(apart < 4, `colours of the MP4 are ${apart} of 255 away on average`);
  await at(page, 'play').click();

  // It plays by itself, rests when told to, and plays on.
  const frame = async () => Number.parseInt(await at(page, 'frame-number').textContent(), 10);
  const plays = async () => {
    const before = await frame();
    await until(async () => (await frame()) !== before, 'another frame to be shown');
  };
  await plays();
  await at(page, 'play').click();
  await until(async () => (await at(page, 'play').getAttribute('aria-label')) === 'Play', 'the video to rest');
  const resting = await frame();
  for (let i = 0; i < 10; i++) {
    // Half a frame at 5 frames a second, for a whole round of the video.
    await page.waitForTimeout(100);
    assert.equal(await frame(), resting, 'the video goes on');
  }

  // The paths are drawn over it, and are gone again.
  const shown = () => at(page, 'result').evaluate((canvas) => canvas.toDataURL());
  const bare = await shown();
  for (const pressed of ['true', 'false']) {
    await at(page, 'show-paths').click();
    await until(async () => (await at(page, 'show-paths').getAttribute('aria-pressed')) === pressed, `paths: ${pressed}`);
    const paths = pressed === 'true';
    await until(async () => ((await shown()) !== bare) === paths, paths ? 'paths over the frame' : 'the frame alone');
  }
  await at(page, 'play').click();
  await plays();

  // The keyboard generates, too; and a video of one picture is not shown beside another.
  await settings(page, { frames: 3 });
  await page.keyboard.press('Control+Enter');
  const now = async () => (await at(page, 'frame-number').textContent()).split('/')[1]?.trim();
  await until(async () => (await now()) === '3', 'the video that the keyboard asked for', 120_000);
  await finished(page);
  await at(page, 'sample-coffee').click();
  await until(async () => (await at(page, 'result-frame').getAttribute('data-state')) === 'empty', 'the old video to go');
});

test('cancel stops a generation, and the page can generate again', { timeout: 600_000 }, async (t) => {
  const page = await open(t);
  await stage(page);
  await paint(page, [[0.35, 0.5], [0.45, 0.5]]);
  await drag(page, [[0.4, 0.5], [0.6, 0.5]]);
  await settings(page, { model: true, steps: 50, frames: 4 });
  await generate(page);
  await until(() => at(page, 'progress').isVisible(), 'progress');
  await until(async () => /step/i.test(await at(page, 'phase').textContent()), 'the first step', 240_000);
  await at(page, 'cancel').click();
  await until(() => at(page, 'generate').isVisible(), 'the button to generate again', 60_000);
  assert.notEqual(await at(page, 'result-frame').getAttribute('data-state'), 'done');
  await settings(page, { steps: 1, frames: 2 });
  await generate(page);
  await finished(page, 240_000);
});

test('what is asked for while a job runs waits for its turn, as it is then', { timeout: 600_000 }, async (t) => {
  const page = await open(t);
  await stage(page);
  await paint(page, [[0.35, 0.5], [0.45, 0.5]]);
  await entities(page, 1);
  await drag(page, [[0.4, 0.5], [0.6, 0.4]]);
  // Long enough to be there for all of this.
  await settings(page, { model: true, steps: 50, frames: 4 });
  await generate(page);
  await at(page, 'queue-add').click();
  await said(page, /being made already/);
  await settings(page, { model: false, frames: 3 });
  await at(page, 'queue-add').click();
  await settings(page, { frames: 4 });
  await page.keyboard.press('Control+Enter');
  const rows = at(page, 'queue').locator('li');
  await until(async () => (await rows.count()) === 2, 'two scenes that wait');
  await settings(page, { frames: 5 });
  await rows.first().getByTestId('queue-delete').click();
  assert.equal(await rows.count(), 1);
  assert.match(await rows.first().textContent(), /frames: 4/);
  // The one that runs ends, the one that is left is made by itself, with the settings that it was asked for with.
  await at(page, 'cancel').click();
  await until(async () => (await rows.count()) === 0 && (await at(page, 'queue-box').isHidden()), 'the next to begin');
  await finished(page, 240_000);
  assert.match(await at(page, 'frame-number').textContent(), /\/ ?4$/);
  assert.equal(await at(page, 'set-frames').inputValue(), '5');
  assert.ok(await at(page, 'queue-add').isHidden());
});
