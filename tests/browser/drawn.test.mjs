// The live view as the GPU draws it, an emulated one here, beside the same as the 2D canvas draws it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, click, drag, entities, pack, paint, pixel, savedScene, stage, until } from './actions.mjs';
import { open } from './harness.mjs';
import { png } from './picture.mjs';

const slow = { timeout: 600_000 };
const drawn = (page) => at(page, 'stage').getAttribute('data-drawn');

/** Waves twelve pixels of the stage long, of another direction in each channel: a pixel beside is up to 45 of 255 darker or lighter. */
const wave = (at) => 128 + 85 * Math.sin((2 * Math.PI * at) / 12);
const waves = (x, y) => [wave(x), wave(y), wave((x + y) / 2)];
/**
 * A picture of them, of which `times` pixels are one of the stage. Where that is smaller than the picture, its pixels are lighter and
 * darker in turns: who leaves some of them out shows that.
 */
function file([width, height], times = 1) {
  const fine = (x, y) => (times > 1 ? 40 * (((x + y) % 2) - 0.5) : 0);
  // Beneath the middle it is darker: where a thing's shadow may be.
  const dark = (x, y) => (Math.hypot((x / width - 0.38) / 0.1, (y / height - 0.6) / 0.05) < 1 ? 0.5 : 1);
  const colour = (x, y) => waves((x + 0.5) / times, (y + 0.5) / times).map((v) => Math.round((v + fine(x, y)) * dark(x, y)));
  return { name: 'waves.png', mimeType: 'image/png', buffer: png(width, height, colour) };
}

/** What the stage shows, pixel by pixel, once it has drawn that. */
async function seen(page) {
  const { width, height, data } = await at(page, 'stage').evaluate(async (canvas) => {
    for (let i = 0; i < 3; i += 1) await new Promise(requestAnimationFrame);
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
    let text = '';
    for (let from = 0; from < data.length; from += 32768) text += String.fromCharCode(...data.subarray(from, from + 32768));
    return { width, height, data: btoa(text) };
  });
  return { width, height, data: Buffer.from(data, 'base64') };
}

/**
 * How far two pictures of the stage are apart, of 255: on average, and at most but for a pixel of a thousand; where `now` differs from
 * `before`, else everywhere. The second is looked at `off` pixels further to the right.
 */
function apart(now, other, { before, off = 0 } = {}) {
  const { width, height } = now;
  assert.deepEqual([other.width, other.height], [width, height]);
  const all = [];
  let sum = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width - off; x++) {
      const here = (y * width + x) * 4;
      const far = (a, at, b, bt) => Math.max(...[0, 1, 2].map((c) => Math.abs(a.data[at + c] - b.data[bt + c])));
      if (before && far(now, here, before, here) < 8) continue;
      const by = far(now, here, other, here + 4 * off);
      sum += by;
      all.push(by);
    }
  }
  all.sort((a, b) => a - b);
  return { pixels: all.length, mean: sum / Math.max(all.length, 1), most: all[Math.floor(0.999 * (all.length - 1))] ?? 0 };
}

/** Two pages with the same picture, on which the same is done: one draws by the GPU, the other by the canvas. `times` pixels are one of the stage. */
async function both(t, work, { times = 1, prepare } = {}) {
  const pages = [];
  let [size, scene] = [];
  for (const device of ['webgpu', 'cpu']) {
    const page = await open(t, { webgpu: true, at: `/?segmenter=models/tiny_sam.safetensors&device=${device}`, prepare });
    pages.push(page);
    await stage(page);
    const shown = () => at(page, 'stage').evaluate(({ width, height }) => [width, height]);
    if (!size) {
      // How large the stage shows a picture of this shape.
      await at(page, 'file-input').setInputFiles(file([300, 200]));
      await until(async () => Math.abs((await shown())[0] / (await shown())[1] - 1.5) < 0.02, 'a picture of that shape');
      await page.waitForTimeout(300);
      size = (await shown()).map((side) => Math.round(side * times));
    }
    await at(page, 'file-input').setInputFiles(file(size, times));
    // Its first pixels, as they are.
    const [red, green] = waves(2.5, 2.5);
    const there = async () => {
      const [r, g] = await pixel(page, (2.5 * times) / size[0], (2.5 * times) / size[1]);
      return Math.abs(r - red) < 20 && Math.abs(g - green) < 20;
    };
    await until(async () => Math.abs((await shown())[0] * times - size[0]) <= times && (await there()), 'the picture');
    // How fast a path was drawn is part of it: both have it from the first.
    if (!scene) {
      await work(page);
      await at(page, 'tool-move').click();
      scene = await savedScene(page);
    }
    await page.evaluate((hash) => (location.hash = hash), pack(scene));
    await entities(page, scene.entities.length);
    // What was prepared for the scene before is not taken for this one's.
    await page.waitForTimeout(500);
    await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 120_000);
  }
  return pages;
}

const show = async (page, share) => {
  await at(page, 'playhead').evaluate((range, share) => {
    range.value = Math.round(share * range.max);
    range.dispatchEvent(new Event('input'));
  }, share);
};

/** The same moment on both, and who drew it. */
async function moment([gpu, canvas], share) {
  for (const page of [gpu, canvas]) await show(page, share);
  await until(async () => (await drawn(gpu)) === 'gpu', 'the GPU to draw', 60_000);
  const [a, b] = [await seen(gpu), await seen(canvas)];
  assert.equal(await drawn(canvas), 'canvas');
  return [a, b];
}

/** Holds a thing at places, and leads it at another. */
async function bend(page, pins, path) {
  await at(page, 'tool-bend').click();
  for (const pin of pins) await click(page, pin);
  await drag(page, path);
  await until(async () => new RegExp(`${pins.length + 1} handles`).test(await at(page, 'entity-0').textContent()), 'the handles');
  await at(page, 'tool-move').click();
}

async function camera(page, path) {
  await at(page, 'tool-camera').click();
  await drag(page, path);
}

async function field(page, id, value) {
  await at(page, id).fill(value);
  await at(page, id).press('Enter');
}

const PATHS = {
  'a thing with two legs that part': async (page) => {
    await paint(page, [[0.3, 0.72], [0.3, 0.4], [0.39, 0.4], [0.39, 0.72]]);
    await entities(page, 1);
    await bend(page, [[0.345, 0.4], [0.3, 0.7]], [[0.39, 0.7], [0.45, 0.7], [0.5, 0.62]]);
  },
  'a thing that is dragged': async (page) => {
    await paint(page, [[0.3, 0.5], [0.45, 0.5]]);
    await entities(page, 1);
    await drag(page, [[0.38, 0.5], [0.5, 0.45], [0.62, 0.4]]);
  },
  'a thing with a shadow, dragged and scaled': async (page) => {
    await paint(page, [[0.3, 0.5], [0.45, 0.5]]);
    await entities(page, 1);
    await at(page, 'entity-select-0').click();
    await at(page, 'entity-mark-0').click();
    await drag(page, [[0.3, 0.6], [0.46, 0.6]]);
    assert.equal(typeof (await savedScene(page)).entities[0].shadow, 'object');
    await at(page, 'tool-move').click();
    await drag(page, [[0.38, 0.5], [0.5, 0.4], [0.66, 0.25]]);
    await field(page, 'entity-size-0', '140');
  },
  'a thing that is bent by three handles': async (page) => {
    await paint(page, [[0.25, 0.4], [0.6, 0.4]]);
    await entities(page, 1);
    await bend(page, [[0.26, 0.4], [0.4, 0.4]], [[0.58, 0.4], [0.58, 0.5], [0.55, 0.7]]);
  },
  'a thing that is folded over itself': async (page) => {
    await paint(page, [[0.25, 0.4], [0.6, 0.4]]);
    await entities(page, 1);
    await bend(page, [[0.26, 0.4], [0.4, 0.4]], [[0.58, 0.4], [0.45, 0.6], [0.33, 0.43]]);
  },
  'a thing that is turned and scaled': async (page) => {
    await paint(page, [[0.3, 0.5], [0.5, 0.5]]);
    await entities(page, 1);
    await drag(page, [[0.4, 0.5], [0.5, 0.5], [0.6, 0.5]]);
    await field(page, 'entity-turn-0', '70');
    await field(page, 'entity-size-0', '130');
  },
  'a camera over something flat': async (page) => {
    await paint(page, [[0.3, 0.5], [0.45, 0.5]]);
    await entities(page, 1);
    await drag(page, [[0.38, 0.5], [0.5, 0.45], [0.62, 0.4]]);
    await camera(page, [[0.5, 0.2], [0.55, 0.2], [0.62, 0.23]]);
  },
  'a camera that goes round a thing': async (page) => {
    await paint(page, [[0.45, 0.55], [0.55, 0.55]]);
    await entities(page, 1);
    await camera(page, [[0.5, 0.2], [0.55, 0.2], [0.62, 0.25]]);
    await field(page, 'entity-camera-horizon', '30');
    await field(page, 'entity-camera-stays', '70');
  },
};

/** What is allowed: on average, and for all pixels but one of a thousand. */
const NEAR = { mean: 6, most: 45 };

/**
 * GPU and canvas look between pixels in different ways, the canvas linearly where something is bent: in these waves they are 1 to 3 of
 * 255 apart, 10 to 26 at most. A pixel beside, it would be 16 to 35, and 120 at most; as much where a layer is missing.
 */
function same(t, name, [a, b], before) {
  const [all, changed, beside] = [{}, { before }, { before, off: 1 }].map((options) => apart(b, a, options));
  const [everywhere, there, off] = [all, changed, beside].map(({ mean, most }) => `${mean.toFixed(2)} (${most})`);
  t.diagnostic(`${name}: ${everywhere} apart, ${there} at ${changed.pixels} pixels that have changed, ${off} a pixel beside`);
  for (const one of [all, changed]) assert.ok(one.mean < NEAR.mean && one.most < NEAR.most, `${name}: ${JSON.stringify(one)}`);
  assert.ok(changed.pixels > 1000, 'hardly anything has changed');
  // What would be seen of a pixel's difference, and of a layer that is not where it should be.
  assert.ok(apart(before, b).most > NEAR.most, `${name}: this would not see that a layer is missing`);
  assert.ok(beside.mean > 2 * NEAR.mean, `${name}: this would not see a pixel's difference: ${JSON.stringify(beside)}`);
}

for (const [what, work] of Object.entries(PATHS)) {
  test(`${what}: GPU and canvas draw the same`, slow, async (t) => {
    const pages = await both(t, work);
    const [, rest] = await moment(pages, 0.05);
    for (const share of [0.5, 1]) same(t, `at ${share} of the time`, await moment(pages, share), rest);
  });
}

test('a picture that is shown smaller than it is: GPU and canvas draw the same', slow, async (t) => {
  const pages = await both(t, PATHS['a thing that is bent by three handles'], { times: 2.5 });
  const [, rest] = await moment(pages, 0.05);
  for (const share of [0.5, 1]) same(t, `at ${share} of the time`, await moment(pages, share), rest);
});

test('a camera that comes nearer and turns, while it plays: GPU and canvas draw the same', slow, async (t) => {
  const pages = await both(t, async (page) => {
    await PATHS['a thing that is dragged'](page);
    await at(page, 'tool-camera').click();
    await field(page, 'entity-size-camera', '200');
    await field(page, 'entity-turn-camera', '20');
  });
  const [, rest] = await moment(pages, 0.05);
  for (const page of pages) {
    await at(page, 'stage').focus();
    await page.keyboard.press('Escape');
    // Time stands still in the middle of it.
    await page.evaluate(() => {
      const ask = window.requestAnimationFrame.bind(window);
      window.requestAnimationFrame = (done) => ask(() => done(1e6 + 1500));
      performance.now = () => 1e6;
    });
    await page.keyboard.press('Space');
  }
  await until(async () => (await drawn(pages[0])) === 'gpu', 'the GPU to draw');
  same(t, 'in the middle', [await seen(pages[0]), await seen(pages[1])], rest);
});

/** Lets a test take the page's own device away, as it goes when a driver is started again. */
const LOSABLE = () => {
  const take = globalThis.GPUAdapter?.prototype.requestDevice;
  if (!take) return;
  globalThis.taken = [];
  GPUAdapter.prototype.requestDevice = async function (...how) {
    const device = await take.apply(this, how);
    globalThis.taken.push(device);
    return device;
  };
};

test('the page’s GPU is lost, and the canvas draws on', slow, async (t) => {
  const pages = await both(t, PATHS['a thing that is bent by three handles'], { prepare: (page) => page.addInitScript(LOSABLE) });
  const [, rest] = await moment(pages, 0.05);
  const [a, b] = await moment(pages, 1);
  same(t, 'before', [a, b], rest);
  const [page] = pages;
  const devices = await page.evaluate(() => {
    for (const device of globalThis.taken) device.destroy();
    return globalThis.taken.length;
  });
  assert.equal(devices, 1, 'one device for the page');
  await until(async () => (await drawn(page)) === 'canvas', 'the canvas to draw');
  const after = await seen(page);
  // But for what the mesh has come nearer to its rest meanwhile, looked at twice.
  assert.ok(apart(after, b).mean < 0.5, `not what the canvas draws: ${JSON.stringify(apart(after, b))}`);
  // It goes on so.
  await show(page, 0.5);
  const now = await seen(page);
  assert.equal(await drawn(page), 'canvas');
  assert.ok(apart(now, b).mean > 0.5, 'nothing moves');
  assert.equal(await at(page, 'messages').locator('p').count(), 0, 'nothing is said of it');
});
