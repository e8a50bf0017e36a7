// Turns, sizes and depths over time: handles on the picture, numbers in the row, key poses on the timeline.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, drag, entities, finished, generate, paint, phone, pixel, pixels, savedScene, settings, stage, swipe, tiny, until } from './actions.mjs';
import { open } from './harness.mjs';

const slow = { timeout: 240_000 };

/** A long thing with a path to the right; the playhead at the end, where it has a plate to be seen over. */
async function thing(t, options = {}) {
  const page = await open(t, { at: tiny, ...options });
  await stage(page);
  await paint(page, [[0.2, 0.5], [0.4, 0.5]]);
  await entities(page, 1);
  await drag(page, [[0.3, 0.5], [0.4, 0.5], [0.5, 0.5]]);
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 120_000);
  return page;
}

const poses = async (page) => (await savedScene(page)).entities[0].poses ?? [];
const show = (page, frame) =>
  at(page, 'playhead').evaluate((range, frame) => {
    range.value = frame;
    range.dispatchEvent(new Event('input'));
  }, frame);
const far = (a, b) => Math.max(...a.map((v, c) => Math.abs(v - b[c])));

test('numbers in the row turn and scale it at the playhead, and the picture shows it', slow, async (t) => {
  const page = await thing(t);
  await at(page, 'entity-turn-0').fill('90');
  await at(page, 'entity-turn-0').press('Tab');
  await at(page, 'entity-size-0').fill('150');
  await at(page, 'entity-size-0').press('Tab');
  assert.deepEqual(await poses(page), [{ t: 1, rotation: 90, scale: 1.5, depth: 0 }]);
  // Upright now, it is where it was not before.
  await until(async () => Number(await at(page, 'playhead').inputValue()) > 10, 'the end');
  const upright = await pixel(page, 0.5, 0.36);
  await at(page, 'stage').focus();
  await page.keyboard.press('Escape');
  await until(async () => far(await pixel(page, 0.5, 0.36), upright) > 5, 'the beginning without it there');
  // Half of the time later it is half turned; another number there is another key pose.
  const frames = Number(await at(page, 'set-frames').inputValue());
  await show(page, Math.round((frames - 1) / 2));
  await until(async () => Math.abs(Number(await at(page, 'entity-turn-0').inputValue()) - 45) < 3, 'half a turn');
  await at(page, 'entity-depth-0').fill('2');
  await at(page, 'entity-depth-0').press('Tab');
  assert.equal((await poses(page)).length, 2);
  await at(page, 'undo').click();
  await at(page, 'undo').click();
  await at(page, 'undo').click();
  assert.deepEqual(await poses(page), []);
});

test('the round handle turns it by hand, and its key pose is moved and deleted on the timeline', slow, async (t) => {
  const page = await thing(t);
  const frames = Number(await at(page, 'set-frames').inputValue());
  await show(page, frames - 1);
  // Above the thing, as far as it is long; a quarter of a turn leads to its right.
  const size = await at(page, 'stage').evaluate((canvas) => [canvas.clientWidth, canvas.clientHeight]);
  const handle = await until(async () => {
    for (let y = 0.45; y > 0.02; y -= 0.01) {
      await page.mouse.move(...(await screen(page, [0.5, y])));
      if ((await at(page, 'stage').getAttribute('data-cursor')) === 'point') return [0.5, y - 0.008];
    }
    return null;
  }, 'the round handle');
  const away = (0.5 - handle[1]) * size[1];
  await drag(page, [handle, [0.5 + (away * 0.7) / size[0], 0.5 - (away * 0.7) / size[1]], [0.5 + away / size[0], 0.5]]);
  const [pose] = await poses(page);
  assert.ok(Math.abs(pose.rotation - 90) < 12 && pose.t === 1, JSON.stringify(pose));
  assert.ok(Number(await at(page, 'playhead').inputValue()) > 10, 'the playhead stays');

  await at(page, 'key-0-0').focus();
  await page.keyboard.press('Shift+ArrowLeft');
  assert.ok(Math.abs((await poses(page))[0].t - (1 - 5 / (frames - 1))) < 0.01);
  const rail = await at(page, 'key-0-0').evaluate((key) => key.closest('.rail').getBoundingClientRect().width);
  const box = await at(page, 'key-0-0').boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 - rail * 0.4, box.y + box.height / 2, { steps: 6 });
  await page.mouse.up();
  assert.ok(Math.abs((await poses(page))[0].t - 0.49) < 0.06, JSON.stringify(await poses(page)));
  await at(page, 'key-0-0').focus();
  await page.keyboard.press('Delete');
  assert.deepEqual(await poses(page), []);
  await entities(page, 1);
});

test('with a finger, too', slow, async (t) => {
  const page = await thing(t, { context: phone });
  await at(page, 'entity-turn-0').fill('40');
  await at(page, 'entity-turn-0').press('Enter');
  await at(page, 'key-0-0').evaluate((key) => key.scrollIntoView({ block: 'center' }));
  const rail = await at(page, 'key-0-0').evaluate((key) => key.closest('.rail').getBoundingClientRect().width);
  const box = await at(page, 'key-0-0').boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await swipe(page, [[x, y], [x - rail * 0.5, y]]);
  const [pose] = await poses(page);
  assert.ok(Math.abs(pose.t - 0.5) < 0.08 && pose.rotation === 40, JSON.stringify(pose));
});

test('the camera comes nearer: by a number, by its frame, and in the video', slow, async (t) => {
  const page = await open(t, { at: tiny });
  await stage(page);
  const view = async () => (await savedScene(page)).view;
  await at(page, 'tool-camera').click();
  await at(page, 'entity-size-camera').fill('200');
  await at(page, 'entity-size-camera').press('Enter');
  assert.deepEqual(await view(), { about: [0.5, 0.5], poses: [{ t: 1, rotation: 0, scale: 2, depth: 0 }] });
  await at(page, 'key-camera-0').waitFor();
  assert.match(await at(page, 'entity-camera').textContent(), /Comes nearer/);
  // The picture shows the end, with the frame that is seen then: its corners are where they can be taken hold of.
  await until(async () => Number(await at(page, 'playhead').inputValue()) > 10, 'the end');
  await drag(page, [[0.75, 0.75], [0.8, 0.8], [0.9, 0.9]]);
  const wider = (await view()).poses[0];
  assert.ok(wider.t === 1 && Math.abs(wider.scale - 1.25) < 0.06, JSON.stringify(wider));
  // Its place is led elsewhere.
  await drag(page, [[0.5, 0.5], [0.4, 0.5], [0.3, 0.6]]);
  const about = (await view()).about;
  assert.ok(Math.abs(about[0] - 0.3) < 0.03 && Math.abs(about[1] - 0.6) < 0.03, JSON.stringify(about));
  await at(page, 'undo').click();
  await at(page, 'undo').click();
  assert.equal((await view()).poses[0].scale, 2);

  // The last frame is the middle of the first one, twice as large.
  await settings(page, { frames: 4 });
  await generate(page);
  await finished(page, 120_000);
  const shown = (frame, x, y) =>
    at(page, 'result').evaluate(
      async (canvas, [frame, x, y]) => {
        const scrub = document.getElementById('scrub');
        scrub.value = frame === 'last' ? scrub.max : 0;
        scrub.dispatchEvent(new Event('input'));
        for (let i = 0; i < 3; i += 1) await new Promise(requestAnimationFrame);
        const { width, height } = canvas;
        const data = canvas.getContext('2d').getImageData(x * width - 6, y * height - 6, 12, 12).data;
        return [0, 1, 2].map((c) => data.filter((_, i) => i % 4 === c).reduce((sum, v) => sum + v, 0) / 144);
      },
      [frame, x, y],
    );
  for (const [x, y] of [[0.5, 0.5], [0.3, 0.4], [0.8, 0.7]]) {
    const last = await shown('last', x, y);
    const first = await shown('first', 0.5 + (x - 0.5) / 2, 0.5 + (y - 0.5) / 2);
    assert.ok(far(last, first) < 14, `${x} ${y}: ${last} for ${first}`);
  }
  await at(page, 'entity-camera-delete').click();
  assert.equal(await view(), undefined);
});

/** A canvas's pixels, in a raster that is the same for all. */
const raster = (page, canvas) =>
  at(page, canvas).evaluate(async (canvas) => {
    for (let i = 0; i < 3; i += 1) await new Promise(requestAnimationFrame);
    const small = new OffscreenCanvas(72, 48).getContext('2d');
    small.drawImage(canvas, 0, 0, 72, 48);
    return [...small.getImageData(0, 0, 72, 48).data];
  });

test('the camera goes round a thing: far and near go past it, on the picture and in the video alike', slow, async (t) => {
  const page = await open(t, { at: tiny });
  await stage(page);
  await paint(page, [[0.45, 0.55], [0.55, 0.55]]);
  await entities(page, 1);
  await at(page, 'motions-open').click();
  await at(page, 'camera-figures-orbit').click();
  await page.keyboard.press('Escape');
  const scene = () => savedScene(page);
  const made = await scene();
  const { mask } = made.entities[0];
  const rows = [...pixels(mask).keys()].filter((i) => pixels(mask)[i]).map((i) => Math.floor(i / mask.width));
  const foot = (Math.max(...rows) + 1) / mask.height;
  assert.ok(Math.abs(made.view.ground.stands - foot) < 0.02, JSON.stringify([made.view, foot]));
  assert.match(await at(page, 'entity-camera').textContent(), /Goes round a place/);
  await at(page, 'undo').click();
  assert.equal((await scene()).view, undefined);

  // By hand: a path of the camera, and a horizon.
  await at(page, 'tool-camera').click();
  await drag(page, [[0.5, 0.2], [0.55, 0.2], [0.62, 0.2]]);
  await at(page, 'entity-camera-horizon').fill('30');
  await at(page, 'entity-camera-horizon').press('Enter');
  await at(page, 'entity-camera-stays').fill('70');
  await at(page, 'entity-camera-stays').press('Enter');
  const { view } = await scene();
  assert.deepEqual(view.ground, { horizon: 0.3, stands: 0.7 });
  await at(page, 'tool-move').click();
  await settings(page, { frames: 4 });
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 120_000);
  await generate(page);
  await finished(page, 120_000);
  const frame = async (number) => {
    await at(page, 'scrub').fill(number);
    return raster(page, 'result');
  };
  const first = await frame('0');
  const last = await frame(await at(page, 'scrub').getAttribute('max'));
  // What is beyond the horizon has gone all the way, what is where the camera stays has not, what is nearer has gone the other way.
  const off = (y, by) => {
    let sum = 0;
    for (let x = 16; x < 56; x += 1) {
      const [a, b] = [first[(y * 72 + x - by) * 4], last[(y * 72 + x) * 4]];
      sum += Math.abs(a - b);
    }
    return sum / 40;
  };
  const best = (y) => [-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].reduce((a, b) => (off(y, b) < off(y, a) ? b : a));
  const way = Math.round(((await scene()).background.at(-1)[0] - (await scene()).background[0][0]) * 72);
  assert.ok(way >= 6, `a way of ${way}`);
  assert.ok(Math.abs(best(6) - way) <= 1, `beyond the horizon ${best(6)} of ${way}`);
  assert.ok(Math.abs(best(33)) <= 1, `where it stays ${best(33)}`);
  assert.ok(best(46) < 0, `nearer ${best(46)}`);
  // The picture shows the same at the end.
  await at(page, 'playhead').evaluate((range) => {
    range.value = range.max;
    range.dispatchEvent(new Event('input'));
  });
  await page.mouse.move(2, 2);
  const apart = (a, b) => a.filter((v, i) => Math.abs(v - b[i]) > 24).length / a.length;
  // The paths and the outline are drawn over it.
  const most = apart(first, last) / 4;
  let found;
  await until(async () => {
    found = apart(await raster(page, 'stage'), last);
    return found < most;
  }, 'the picture as the video has it', 10_000).catch((error) => {
    throw new Error(`${error.message}: ${found}, not ${most}`);
  });
  // Empty, the picture is flat again.
  await at(page, 'tool-camera').click();
  await at(page, 'entity-camera-horizon').fill('');
  await at(page, 'entity-camera-horizon').press('Enter');
  assert.equal((await scene()).view, undefined);
});

test('the camera goes round a thing by taps, too', slow, async (t) => {
  const page = await open(t, { at: tiny, context: phone });
  await stage(page);
  await paint(page, [[0.45, 0.55], [0.55, 0.55]]);
  await entities(page, 1);
  await at(page, 'motions-open').tap();
  await at(page, 'camera-figures-orbit').tap();
  const { ground } = (await savedScene(page)).view;
  assert.ok(ground.horizon < ground.stands, JSON.stringify(ground));
  await page.keyboard.press('Escape');
  const field = at(page, 'entity-camera-horizon');
  await field.scrollIntoViewIfNeeded();
  const box = await field.boundingBox();
  assert.ok(box.height >= 44 && box.x + box.width <= 390, JSON.stringify(box));
  await field.fill('25');
  await field.press('Enter');
  assert.equal((await savedScene(page)).view.ground.horizon, 0.25);
});

test('the handles of the camera’s frame follow a finger, too', slow, async (t) => {
  const page = await open(t, { at: tiny, context: phone });
  await stage(page);
  await at(page, 'tool-camera').click();
  await at(page, 'entity-size-camera').fill('200');
  await at(page, 'entity-size-camera').press('Enter');
  await at(page, 'stage').evaluate((canvas) => canvas.scrollIntoView({ block: 'center' }));
  await swipe(page, [await screen(page, [0.75, 0.75]), await screen(page, [0.8, 0.8]), await screen(page, [0.9, 0.9])]);
  const { poses } = (await savedScene(page)).view;
  assert.ok(Math.abs(poses[0].scale - 1.25) < 0.08, JSON.stringify(poses));
});

test('the square handle scales a thing under a finger', slow, async (t) => {
  const page = await thing(t, { context: phone });
  await show(page, Number(await at(page, 'set-frames').inputValue()) - 1);
  await at(page, 'stage').evaluate((canvas) => canvas.scrollIntoView({ block: 'center' }));
  const box = await at(page, 'stage').boundingBox();
  // As far from where its path ends as half the thing is long, and as a finger reaches, in heights of the picture.
  const reach = 22 / box.height;
  const away = Math.min(Math.max((0.27 * box.width) / box.height / 2, 3 * reach), 0.45) + reach;
  const place = (far) => [0.5 + (far * Math.SQRT1_2 * box.height) / box.width, 0.5 + far * Math.SQRT1_2];
  await swipe(page, await Promise.all([away, away * 1.2, away * 1.5].map((far) => screen(page, place(far)))));
  const [pose] = await poses(page);
  assert.ok(pose?.t === 1 && pose.scale > 1.25 && pose.scale < 1.75, JSON.stringify(pose));
});

/** Where a place of the picture is on the screen. */
async function screen(page, [x, y]) {
  const box = await at(page, 'stage').boundingBox();
  return [box.x + x * box.width, box.y + y * box.height];
}
