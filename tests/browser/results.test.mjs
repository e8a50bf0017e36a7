// Videos that were made stay: listed, opened again with their scene, gone on from, saved as frames, deleted.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { at, drag, entities, finished, generate, paint, pixels, savedFilm, savedScene, settings, stage, tiny, until } from './actions.mjs';
import { open } from './harness.mjs';

const rows = (page) => page.locator('#results li');
const count = async (page) => Number((await at(page, 'frame-number').textContent()).split('/')[1]);

/** Pixels of a frame of the player, from a canvas that is as large for all. */
async function shown(page, frame, canvas = 'result') {
  await at(page, 'scrub').fill(String(frame));
  await until(async () => Number.parseInt(await at(page, 'frame-number').textContent(), 10) === frame + 1, `frame ${frame}`);
  return at(page, canvas).evaluate(async (canvas) => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const small = new OffscreenCanvas(96, 64).getContext('2d');
    small.drawImage(canvas, 0, 0, 96, 64);
    return [...small.getImageData(0, 0, 96, 64).data];
  });
}

const apart = (a, b) => a.reduce((sum, v, i) => sum + Math.abs(v - b[i]), 0) / a.length;

async function make(page, to) {
  await drag(page, [[0.4, 0.5], to]);
  await generate(page);
  await finished(page, 240_000);
}

test('results are kept over a reload, opened with their scene, and deleted', { timeout: 600_000 }, async (t) => {
  const page = await open(t);
  await stage(page);
  assert.ok(!(await at(page, 'results-box').isVisible()), 'a list of nothing');
  await paint(page, [[0.35, 0.5], [0.45, 0.5]]);
  await settings(page, { frames: 4, fps: 5 });
  await make(page, [0.6, 0.5]);
  await until(async () => (await rows(page).count()) === 1, 'the first result');
  const first = await shown(page, 3);
  await settings(page, { frames: 5 });
  await make(page, [0.4, 0.8]);
  await until(async () => (await rows(page).count()) === 2, 'the second result');
  const second = await shown(page, 4);
  assert.ok(apart(first, second) > 1, 'both look alike');
  // The first one beside the second, in step with it.
  await rows(page).nth(1).hover();
  await at(page, 'result-compare').click();
  await until(() => at(page, 'before').isVisible(), 'the other video');
  assert.ok(await at(page, 'result-compare').evaluate((button) => button === document.activeElement), 'the keyboard stays');
  // Its canvas is as large as the video, the other as large as it is shown: both are made smaller, each in its way.
  const beside = await shown(page, 3, 'before');
  const [own, other] = [apart(first, beside), apart(await shown(page, 3), beside)];
  assert.ok(own < 1 && own < 0.7 * other, `${own} of 255 away from the first video, ${other} from the second`);
  assert.equal(await at(page, 'result-compare').getAttribute('aria-pressed'), 'true');
  // One over the other, or both whole, side by side, still in step.
  assert.ok(await at(page, 'wipe').isVisible());
  await at(page, 'aside').click();
  assert.equal(await at(page, 'wipe').isVisible(), false);
  const [left, right] = [await at(page, 'result').boundingBox(), await at(page, 'before').boundingBox()];
  assert.ok(right.x >= left.x + left.width && right.y === left.y, JSON.stringify({ left, right }));
  assert.deepEqual([right.width, right.height], [left.width, left.height]);
  assert.ok(Math.abs(left.width / left.height - 1.5) < 0.02, `${left.width} x ${left.height} of a picture of 3 to 2`);
  const whole = await shown(page, 3, 'before');
  assert.ok(apart(whole, beside) < 0.5, 'the same frame as before');
  assert.ok(apart(await shown(page, 0, 'before'), whole) > 1, 'it goes along');
  await at(page, 'aside').click();
  assert.ok(await at(page, 'wipe').isVisible());
  await at(page, 'result-compare').press('Enter');
  await until(async () => !(await at(page, 'before').isVisible()), 'the other video to go');
  assert.equal(await at(page, 'aside').isVisible(), false, 'nothing to put beside it');
  // Both are written before the page is left.
  const kept = () => page.evaluate(async () => (await (await caches.open('dragentity-results')).keys()).map((r) => r.url));
  await until(async () => (await kept()).filter((url) => url.endsWith('/about')).length === 2, 'both to be kept');

  await page.reload();
  await stage(page);
  await until(async () => (await rows(page).count()) === 2, 'the list after a reload');
  // The older one, of four frames, comes back with the path that it was made with.
  await at(page, 'result-open').nth(1).click();
  await until(async () => (await count(page)) === 4, 'the first video', 60_000);
  assert.equal(await at(page, 'set-frames').inputValue(), '4');
  await entities(page, 1);
  assert.equal(await at(page, 'result-open').nth(1).getAttribute('aria-pressed'), 'true');
  const again = await shown(page, 3);
  assert.ok(apart(first, again) < 0.5, `${apart(first, again)} of 255 away from what was kept`);

  await rows(page).nth(1).hover();
  await at(page, 'result-delete').nth(1).click();
  await until(async () => (await rows(page).count()) === 1, 'one result');
  await at(page, 'result-delete').first().click({ force: true });
  await until(async () => !(await at(page, 'results-box').isVisible()), 'an empty list to go');
  await until(async () => (await kept()).length === 0, 'nothing to be kept any more');
});

test('a video goes on from its last frame, and its frames are saved', { timeout: 600_000 }, async (t) => {
  const page = await open(t);
  await stage(page);
  await paint(page, [[0.35, 0.5], [0.45, 0.5]]);
  await settings(page, { frames: 4, fps: 5 });
  await make(page, [0.6, 0.5]);
  const last = await shown(page, 3);
  await at(page, 'extend').click();
  await until(async () => /open/.test(await at(page, 'undo').getAttribute('title')), 'the last frame to be opened');
  // The thing is where it has gone, without a path.
  await entities(page, 1);
  const [entity] = (await savedScene(page)).entities;
  assert.ok(!entity.trajectory, 'a path of the picture that was');
  const { width, height } = entity.mask;
  const inside = pixels(entity.mask);
  const columns = [...inside.keys()].filter((i) => inside[i]).map((i) => (i % width) / width);
  const middle = columns.reduce((sum, x) => sum + x, 0) / columns.length;
  assert.ok(Math.abs(middle - 0.6) < 0.03, `the mask is at ${middle} of ${width} x ${height}`);
  await drag(page, [[0.6, 0.5], [0.6, 0.7]]);
  await entities(page, 1);
  await generate(page);
  await until(async () => (await count(page)) === 7, 'both parts, the common frame once', 240_000);
  await finished(page);
  assert.ok(apart(await shown(page, 3), last) < 0.5, 'the first part has changed');
  assert.ok(apart(await shown(page, 6), last) > 1, 'nothing moves in the second part');

  const [download] = await Promise.all([page.waitForEvent('download'), at(page, 'save-frames').click()]);
  const zip = await readFile(await download.path());
  assert.equal(download.suggestedFilename(), 'dragentity.zip');
  assert.equal(zip.toString('latin1').split('PK\u0001\u0002').length - 1, 7, 'files in the archive');

  // Undo brings the picture back that it began with.
  for (let i = 0; i < 2; i++) await at(page, 'undo').click();
  await entities(page, 1);
});

test('a video is made twice as smooth, with what was between its frames', { timeout: 600_000 }, async (t) => {
  const page = await open(t, { at: tiny });
  await stage(page);
  assert.ok(await at(page, 'smooth').isDisabled(), 'there is no video yet');
  await paint(page, [[0.35, 0.5], [0.45, 0.5]]);
  await settings(page, { frames: 3, fps: 5 });
  await make(page, [0.5, 0.5]);
  const own = [await shown(page, 0), await shown(page, 1), await shown(page, 2)];
  await at(page, 'smooth').click();
  await until(async () => (await count(page)) === 5, 'frames between the others', 300_000);
  await finished(page);
  for (const [i, frame] of own.entries()) {
    assert.ok(apart(await shown(page, 2 * i), frame) < 0.5, `frame ${i} has changed`);
  }
  // What is between is neither of both, and nearer to each than they are to each other.
  const between = await shown(page, 1);
  const far = apart(own[0], own[1]);
  for (const one of own.slice(0, 2)) {
    const off = apart(between, one);
    assert.ok(off > 0.1 * far && off < 0.9 * far, `${off} of ${far}`);
  }
  assert.equal(await rows(page).count(), 2, 'both are listed');
  assert.match(await at(page, 'result-open').first().getAttribute('aria-label'), /5 frames, 0\.5 s/);
  // What is generated again is what was asked for.
  assert.equal(await at(page, 'set-frames').inputValue(), '3');
});

/** The player's picture, at another size. */
const painted = (page, width, height) =>
  at(page, 'result').evaluate((canvas, [width, height]) => {
    const small = new OffscreenCanvas(width, height).getContext('2d');
    small.drawImage(canvas, 0, 0, width, height);
    return [...small.getImageData(0, 0, width, height).data];
  }, [width, height]);

/** A video of two seconds, made in a browser that `prepare` has changed, and the film that is saved of it, which is compared with it. */
async function filmed(t, kind, prepare) {
  const page = await open(t, { at: tiny, prepare: (page) => page.addInitScript(prepare) });
  await stage(page);
  await paint(page, [[0.2, 0.5], [0.35, 0.5]]);
  await entities(page, 1);
  await drag(page, [[0.28, 0.5], [0.4, 0.5], [0.6, 0.5]]);
  await settings(page, { frames: 12, fps: 6 });
  await generate(page);
  await finished(page, 120_000);
  await until(async () => (await at(page, 'save-mp4').textContent()).includes(kind), 'the name of what is saved');
  const film = await savedFilm(page, kind.toLowerCase());
  assert.ok(Math.abs(film.seconds - 2) < 0.05, `${film.seconds} s for 12 frames at 6 a second`);
  await at(page, 'scrub').fill('0');
  const first = await painted(page, ...film.size);
  assert.ok(apart(first, film.rgba) < 4, `colours are ${apart(first, film.rgba)} of 255 away on average`);
  return { page, film };
}

test('a browser that encodes nothing saves an MP4 all the same', { timeout: 240_000 }, async (t) => {
  const { page, film } = await filmed(t, 'MP4', () => {
    delete globalThis.VideoEncoder;
  });
  // With the paths, where they are shown.
  await at(page, 'show-paths').click();
  const over = (await savedFilm(page)).rgba;
  const others = over.filter((v, i) => Math.abs(v - film.rgba[i]) > 60).length;
  assert.ok(others > 100, `${others} values of the frame are others`);
});

test('a browser without H.264 saves a WebM, and any saves an animated WebP', { timeout: 240_000 }, async (t) => {
  const { page, film } = await filmed(t, 'WebM', () => {
    const ask = VideoEncoder.isConfigSupported;
    VideoEncoder.isConfigSupported = (config) =>
      config.codec.startsWith('avc1') ? Promise.resolve({ supported: false, config }) : ask(config);
  });

  const [download] = await Promise.all([page.waitForEvent('download'), at(page, 'save-webp').click()]);
  assert.equal(download.suggestedFilename(), 'dragentity.webp');
  const bytes = (await readFile(await download.path())).toString('base64');
  const webp = await page.evaluate(async (bytes) => {
    const data = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
    const decoder = new ImageDecoder({ data, type: 'image/webp' });
    await decoder.tracks.ready;
    const { frameCount, repetitionCount } = decoder.tracks.selectedTrack;
    const { image } = await decoder.decode({ frameIndex: 0 });
    const size = [image.displayWidth, image.displayHeight];
    const canvas = new OffscreenCanvas(...size).getContext('2d');
    canvas.drawImage(image, 0, 0);
    const millis = image.duration / 1000;
    image.close();
    return { frameCount, repetitionCount, size, millis, rgba: [...canvas.getImageData(0, 0, ...size).data] };
  }, bytes);
  assert.equal(webp.frameCount, 12);
  assert.equal(webp.repetitionCount, Infinity);
  assert.ok(Math.abs(webp.millis - 1000 / 6) < 1.5, `${webp.millis} ms`);
  const still = await painted(page, ...webp.size);
  assert.ok(apart(still, webp.rgba) < 4, `colours are ${apart(still, webp.rgba)} of 255 away on average`);
  // With the paths, where they are shown.
  await at(page, 'show-paths').click();
  const over = (await savedFilm(page, 'webm')).rgba;
  const others = over.filter((v, i) => Math.abs(v - film.rgba[i]) > 60).length;
  assert.ok(others > 100, `${others} values of the frame are others`);
});
