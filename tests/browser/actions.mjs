// What a person does on the page, and what they then see. Coordinates are fractions of the picture.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { deflateSync } from 'node:zlib';
import { png } from './picture.mjs';

/** Waits until `look()` returns something true, and returns it. */
export async function until(look, what, milliseconds = 30_000) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    assert.ok(Date.now() < end, `waited ${milliseconds / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export const at = (page, id) => page.getByTestId(id);

/** The page on the processor, with a network for masks that is there at once. */
export const tiny = '/?segmenter=models/tiny_sam.safetensors&device=cpu';
/** A browser on a phone. */
export const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** The picture's canvas, once there is a picture on it. */
export async function stage(page) {
  const canvas = at(page, 'stage');
  await canvas.waitFor();
  await until(async () => (await pixel(page, 0.5, 0.5))[3] > 0, 'a picture on the stage', 60_000);
  return canvas;
}

/** Opens a sample, and waits until it is there. */
export async function sample(page, name) {
  const thumb = at(page, `sample-${name}`);
  await thumb.click();
  await until(async () => (await thumb.getAttribute('aria-pressed')) === 'true', `the sample ${name}`);
}

/** Where on the screen; the page is scrolled so that this is one. */
async function place(page, [x, y]) {
  await at(page, 'stage').scrollIntoViewIfNeeded();
  const box = await at(page, 'stage').boundingBox();
  return [box.x + x * box.width, box.y + y * box.height];
}

/** Red, green, blue, alpha of what the stage shows there. */
export function pixel(page, x, y) {
  return at(page, 'stage').evaluate(
    (canvas, [x, y]) => [
      ...canvas.getContext('2d').getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data,
    ],
    [x, y],
  );
}

/** Clicks, with keys held if `modifiers` names some. */
export async function click(page, point, { modifiers = [] } = {}) {
  for (const key of modifiers) await page.keyboard.down(key);
  await page.mouse.click(...(await place(page, point)));
  for (const key of modifiers) await page.keyboard.up(key);
}

/** Presses at the first point, moves through the others in small steps, lets go at the last. */
export async function drag(page, points) {
  await page.mouse.move(...(await place(page, points[0])));
  await page.mouse.down();
  for (const point of points.slice(1)) await page.mouse.move(...(await place(page, point)), { steps: 8 });
  await page.mouse.up();
}

/** One finger goes down at the first place of the screen, moves through the others in small steps and goes up. */
export async function swipe(page, [from, ...through]) {
  const client = await page.context().newCDPSession(page);
  const send = (type, ...places) =>
    client.send('Input.dispatchTouchEvent', { type, touchPoints: places.map(([x, y]) => ({ x, y })) });
  await send('touchStart', from);
  let last = from;
  for (const to of through) {
    for (let step = 1; step <= 8; step++) {
      await send('touchMove', [0, 1].map((axis) => last[axis] + ((to[axis] - last[axis]) * step) / 8));
    }
    last = to;
  }
  await send('touchEnd');
}

/** Waits for so many entities in the list. */
export async function entities(page, count, milliseconds = 120_000) {
  const rows = page.locator('#entities [data-index]');
  await until(async () => (await rows.count()) === count, `${count} entities in the list`, milliseconds);
}

/** Paints an entity with the brush: needs no model. */
export async function paint(page, points) {
  await at(page, 'tool-brush').click();
  await drag(page, points);
  await at(page, 'tool-move').click();
}

/** Sets fields of the settings, by the end of their ids. */
export async function settings(page, values) {
  const panel = at(page, 'settings');
  if (!(await panel.evaluate((details) => details.open))) await panel.locator('summary').click();
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'boolean') {
      await at(page, `set-${name}`).setChecked(value);
      continue;
    }
    await at(page, `set-${name}`).fill(String(value));
    await at(page, `set-${name}`).press('Tab');
  }
}

/** Waits for a sentence that matches, and returns it. */
export async function said(page, pattern, milliseconds = 60_000) {
  const sentences = () => at(page, 'messages').locator('p').allTextContents();
  return until(async () => (await sentences()).find((text) => pattern.test(text)), `a message like ${pattern}`, milliseconds);
}

/** The link that "Copy link" puts on the clipboard. */
export async function link(page) {
  await page.evaluate(() => navigator.clipboard.writeText(''));
  await at(page, 'share-open').click();
  await at(page, 'copy-link').click();
  const copied = await until(() => page.evaluate(() => navigator.clipboard.readText()), 'a link on the clipboard');
  await page.keyboard.press('Escape');
  return copied;
}

/**
 * The preset that "Save" makes of the scene; its form is described in crates/core/src/scene/preset/mod.rs. Nothing gets the focus, and
 * the file is taken before it is downloaded: browsers stop a page that saves ten files in a row.
 */
export async function savedScene(page) {
  const text = await at(page, 'save-preset').evaluate(async (button) => {
    const [make, click] = [URL.createObjectURL, HTMLElement.prototype.click];
    const file = new Promise((resolve) => {
      URL.createObjectURL = (blob) => {
        resolve(blob);
        return make.call(URL, blob);
      };
    });
    HTMLElement.prototype.click = () => {};
    try {
      button.dispatchEvent(new MouseEvent('click', { bubbles: true }));
      return await (await file).text();
    } finally {
      [URL.createObjectURL, HTMLElement.prototype.click] = [make, click];
    }
  });
  return JSON.parse(text);
}

/** A picture as large as they are here, most of it a thing that is held at five places. */
export async function largeHeldThing(page) {
  await page.setViewportSize({ width: 1900, height: 1300 });
  await stage(page);
  const buffer = png(1280, 853, (x, y) => [(x * 7) % 256, (y * 5) % 256, (x * y) % 256]);
  await at(page, 'file-input').setInputFiles({ name: 'large.png', mimeType: 'image/png', buffer });
  await until(async () => (await pixel(page, 0.001, 0.001)).slice(0, 3).every((v) => v < 60), 'the picture');
  await at(page, 'tool-brush').click();
  await page.evaluate(() => {
    const size = document.getElementById('brush-size');
    size.value = '25';
    size.dispatchEvent(new Event('input', { bubbles: true }));
  });
  await drag(page, [[0.3, 0.5], [0.7, 0.5]]);
  await entities(page, 1);
  await at(page, 'tool-bend').click();
  for (const point of [[0.25, 0.4], [0.25, 0.6], [0.4, 0.35], [0.4, 0.65], [0.5, 0.5]]) await click(page, point);
}

/** The fragment of a link that holds this. */
export function pack(preset) {
  return `#s=${deflateSync(JSON.stringify(preset)).toString('base64url')}`;
}

/** Pixels of the mask, row by row, from the runs of a preset: outside, inside, outside, ... */
export function pixels({ width, height, runs }) {
  const out = new Uint8Array(width * height);
  let position = 0;
  runs.forEach((length, i) => {
    out.fill(i % 2, position, position + length);
    position += length;
  });
  return out;
}

/** Saves the GIF and has the browser's own decoder read it. */
export async function savedGif(page) {
  const [download] = await Promise.all([page.waitForEvent('download'), at(page, 'save-gif').click()]);
  assert.match(download.suggestedFilename(), /\.gif$/);
  const bytes = await readFile(await download.path());
  const decoded = await page.evaluate(async (base64) => {
    const data = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const decoder = new ImageDecoder({ data, type: 'image/gif' });
    await Promise.all([decoder.completed, decoder.tracks.ready]);
    const track = decoder.tracks.selectedTrack;
    const frames = [];
    for (let frameIndex = 0; frameIndex < track.frameCount; frameIndex++) {
      const { image } = await decoder.decode({ frameIndex });
      const canvas = new OffscreenCanvas(image.displayWidth, image.displayHeight);
      const context = canvas.getContext('2d');
      context.drawImage(image, 0, 0);
      const { data: rgba } = context.getImageData(0, 0, canvas.width, canvas.height);
      frames.push({ width: canvas.width, height: canvas.height, milliseconds: image.duration / 1000, rgba: [...rgba] });
      image.close();
    }
    return { frames, loops: track.repetitionCount };
  }, bytes.toString('base64'));
  return decoded;
}

/** Starts generating; `finished` waits for the video and returns the phases that were named on the way. */
export async function generate(page) {
  await at(page, 'generate').click();
}

export async function finished(page, milliseconds) {
  const phases = new Set();
  await until(
    async () => {
      const [state, phase, hidden, error] = await page.evaluate(() => {
        const by = (id) => document.getElementById(id);
        return [
          by('result-frame').dataset.state,
          by('phase').textContent,
          by('progress').hidden,
          document.querySelector('.message.error p')?.textContent,
        ];
      });
      assert.equal(error, undefined, 'an error while generating');
      if (!hidden) phases.add(phase);
      return state === 'done';
    },
    'the video',
    milliseconds,
  );
  return [...phases];
}

/** The largest heap that a worker's module has had, in MB: it only grows. */
export async function heap(page) {
  // Threads wait for work and answer nothing; their memory is the worker's own.
  const silent = () => new Promise((resolve) => setTimeout(resolve, 3000, 0));
  const sizes = page.workers().map((worker) =>
    Promise.race([worker.evaluate(() => globalThis.dragentityMemory?.buffer.byteLength ?? 0), silent()]),
  );
  return Math.round(Math.max(...(await Promise.all(sizes))) / 1e6);
}

/** Saves the film, and plays it in a page of its own: how long it is, its size, and its first frame's pixels. */
export async function savedFilm(page, kind = 'mp4') {
  const [download] = await Promise.all([page.waitForEvent('download'), at(page, 'save-mp4').click()]);
  assert.equal(download.suggestedFilename(), `dragentity.${kind}`);
  const bytes = (await readFile(await download.path())).toString('base64');
  const player = await page.context().newPage();
  const played = await player.evaluate(async ([bytes, kind]) => {
    const video = document.createElement('video');
    await new Promise((resolve, reject) => {
      video.onloadeddata = resolve;
      video.onerror = () => reject(new Error(video.error?.message));
      video.src = `data:video/${kind};base64,${bytes}`;
    });
    const size = [video.videoWidth, video.videoHeight];
    // A film that was never shown has no pixels yet.
    document.body.append(video);
    video.muted = true;
    await new Promise((resolve) => {
      video.requestVideoFrameCallback(resolve);
      video.play();
    });
    video.pause();
    await new Promise((resolve) => {
      video.onseeked = resolve;
      video.currentTime = 0;
    });
    const canvas = new OffscreenCanvas(...size).getContext('2d');
    canvas.drawImage(video, 0, 0);
    return { seconds: video.duration, size, rgba: [...canvas.getImageData(0, 0, ...size).data] };
  }, [bytes, kind]);
  await player.close();
  return played;
}
