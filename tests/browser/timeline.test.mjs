// The timeline: from when to when things move, how fast, and the moment that the picture shows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, drag, entities, link, paint, phone, pixel, savedScene, stage, swipe, tiny, until } from './actions.mjs';
import { open } from './harness.mjs';

const slow = { timeout: 240_000 };

const times = async (page, index = 0) => {
  const { trajectory } = (await savedScene(page)).entities[index];
  return [trajectory[0][2], trajectory.at(-1)[2]];
};
const about = (got, wanted, most = 0.03) => got.every((v, i) => Math.abs(v - wanted[i]) < most);

async function led(t, options = {}) {
  const page = await open(t, { at: tiny, ...options });
  await stage(page);
  assert.equal(await at(page, 'timeline').isVisible(), false, 'nothing moves yet');
  await paint(page, [[0.15, 0.5], [0.22, 0.5]]);
  await entities(page, 1);
  await drag(page, [[0.18, 0.5], [0.5, 0.3], [0.8, 0.5]]);
  await at(page, 'lane-0').waitFor();
  return page;
}

/** Drags a part of a lane by so much of the whole video. */
async function pull(page, id, by) {
  // Away from what is said at the window's foot.
  await at(page, id).evaluate((bar) => bar.scrollIntoView({ block: 'center' }));
  const rail = await at(page, id).evaluate((bar) => bar.parentElement.getBoundingClientRect().width);
  const box = await at(page, id).boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + rail * by, y, { steps: 6 });
  await page.mouse.up();
}

test('bars are dragged, by their ends and as a whole, each in one step', slow, async (t) => {
  const page = await led(t);
  assert.deepEqual(await times(page), [0, 1]);
  await pull(page, 'bar-end-0', -0.5);
  assert.ok(about(await times(page), [0, 0.5]), String(await times(page)));
  await pull(page, 'bar-span-0', 0.3);
  assert.ok(about(await times(page), [0.3, 0.8]), String(await times(page)));
  await pull(page, 'bar-start-0', 0.2);
  assert.ok(about(await times(page), [0.5, 0.8]), String(await times(page)));
  assert.match(await at(page, 'bar-span-0').getAttribute('aria-valuetext'), /^(0\.9|1\.0)\d s to 1\.5\d s$/);
  // Beyond the video there is nothing.
  await pull(page, 'bar-span-0', 0.9);
  assert.ok(about(await times(page), [0.7, 1]), String(await times(page)));
  for (let i = 0; i < 4; i++) await at(page, 'undo').click();
  assert.deepEqual(await times(page), [0, 1]);
  // A lane selects what it is of.
  await page.keyboard.press('Escape');
  await at(page, 'lane-name-0').click();
  assert.equal(await at(page, 'entity-0').getAttribute('data-selected'), 'true');
});

test('a lane by the keyboard, and its rhythm', slow, async (t) => {
  const page = await led(t);
  const frames = Number(await at(page, 'set-frames').inputValue());
  await at(page, 'bar-end-0').focus();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Shift+ArrowLeft');
  assert.ok(about(await times(page), [0, 1 - 6 / (frames - 1)], 0.002), String(await times(page)));
  assert.equal(await at(page, 'bar-end-0').getAttribute('aria-valuenow'), String(frames - 7));
  await at(page, 'bar-span-0').focus();
  await page.keyboard.press('End');
  assert.ok(about(await times(page), [6 / (frames - 1), 1], 0.002), String(await times(page)));
  // Asking for the link took the focus away.
  await at(page, 'bar-span-0').focus();
  await page.keyboard.press('Home');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.testid), 'bar-span-0', 'the focus stays');
  assert.ok(about(await times(page), [0, 1 - 6 / (frames - 1)], 0.002), String(await times(page)));

  /** How far along it is after half of its time. */
  const half = async () => {
    const { trajectory } = (await savedScene(page)).entities[0];
    const to = trajectory.at(-1)[2];
    const next = trajectory.findIndex(([, , when]) => when >= to / 2);
    const [a, b] = [trajectory[next - 1], trajectory[next]];
    return a[0] + ((b[0] - a[0]) * (to / 2 - a[2])) / (b[2] - a[2]);
  };
  const where = {};
  for (const ease of ['in', 'steady', 'out']) {
    await at(page, 'ease-0').selectOption(ease);
    where[ease] = await half();
    assert.equal(await at(page, 'ease-0').inputValue(), ease);
  }
  assert.ok(where.in < where.steady - 0.05 && where.steady < where.out - 0.05, JSON.stringify(where));
});

test('the playhead shows a moment of the whole, and Space plays it', slow, async (t) => {
  const page = await led(t);
  await until(() => at(page, 'stage').getAttribute('data-live'), 'the plate', 120_000);
  const frames = Number(await at(page, 'set-frames').inputValue());
  // Beside the middle of the path: the thing comes by there, its path does not.
  const thing = await pixel(page, 0.2, 0.515);
  const show = (frame) => at(page, 'playhead').evaluate((range, frame) => {
    range.value = frame;
    range.dispatchEvent(new Event('input'));
  }, frame);
  const before = await at(page, 'stage').screenshot();
  await show(frames - 1);
  await until(async () => !(await at(page, 'stage').screenshot()).equals(before), 'another moment');
  assert.match(await at(page, 'time-now').textContent(), new RegExp(`${frames}/${frames}$`));
  const after = await pixel(page, 0.2, 0.515);
  assert.ok(Math.max(...thing.map((v, c) => Math.abs(v - after[c]))) > 10, `${thing} is still ${after}: it has gone away`);
  await page.keyboard.press('Escape');
  await until(async () => (await at(page, 'playhead').inputValue()) === '0', 'the beginning');
  await page.keyboard.press('Space');
  await until(async () => Number(await at(page, 'playhead').inputValue()) > 2, 'the playhead going along');
  assert.equal(await at(page, 'play-paths').getAttribute('aria-label'), 'Stop the paths');
  await at(page, 'play-paths').click();
  await until(async () => (await at(page, 'playhead').inputValue()) === '0', 'the beginning again');
});

test('the camera has a lane, and on a phone all of it fits and is dragged with a finger', slow, async (t) => {
  const page = await led(t, { context: phone });
  await page.keyboard.press('c');
  await drag(page, [[0.4, 0.8], [0.5, 0.8]]);
  await at(page, 'lane-camera').waitFor();
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `the page is ${over} px too wide`);
  await at(page, 'bar-end-camera').evaluate((bar) => bar.scrollIntoView({ block: 'center' }));
  const box = await at(page, 'bar-end-camera').boundingBox();
  assert.ok(box.x + box.width <= 390 && box.height >= 36);
  const rail = await at(page, 'bar-end-camera').evaluate((bar) => bar.parentElement.getBoundingClientRect().width);
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await swipe(page, [[x, y], [x - rail * 0.5, y]]);
  const { background } = await savedScene(page);
  assert.ok(Math.abs(background.at(-1)[2] - 0.5) < 0.05, JSON.stringify(background));
});

test('a rhythm is drawn by hand, with the mouse and with the keyboard', slow, async (t) => {
  const page = await led(t);
  await at(page, 'ease-0').selectOption('steady');
  const half = async () => {
    const { trajectory } = (await savedScene(page)).entities[0];
    const [from, to] = [trajectory[0], trajectory.at(-1)];
    // Where it is in the middle of its time, as a share of how far it goes.
    const after = trajectory.findIndex(([, , time]) => time >= (from[2] + to[2]) / 2);
    const [a, b] = [trajectory[Math.max(after - 1, 0)], trajectory[after]];
    const u = ((from[2] + to[2]) / 2 - a[2]) / Math.max(b[2] - a[2], 1e-6);
    return (a[0] + (b[0] - a[0]) * u - from[0]) / (to[0] - from[0]);
  };
  assert.ok(Math.abs((await half()) - 0.5) < 0.06, `${await half()}`);
  assert.ok(!(await at(page, 'pace-0').isVisible()));
  await at(page, 'ease-0').selectOption('hand');
  await at(page, 'pace-0').waitFor();
  const knob = await at(page, 'pace-0-1').boundingBox();
  const box = await at(page, 'pace-0').boundingBox();
  await page.mouse.move(knob.x + knob.width / 2, knob.y + knob.height / 2);
  await page.mouse.down();
  await page.mouse.move(knob.x + knob.width / 2, knob.y + knob.height / 2 + box.height * 0.3, { steps: 5 });
  await page.mouse.up();
  const slower = await half();
  assert.ok(Math.abs(slower - 0.2) < 0.08, `${slower}`);
  assert.equal(await at(page, 'ease-0').inputValue(), '', 'it has no name');
  await at(page, 'pace-0-1').focus();
  await page.keyboard.press('Shift+ArrowUp');
  assert.ok((await half()) > slower + 0.05, `${await half()}`);
  await at(page, 'undo').click();
  await at(page, 'undo').click();
  await until(async () => (await at(page, 'ease-0').inputValue()) === 'steady', 'the rhythm before');
  await at(page, 'ease-0').selectOption('in');
  assert.ok(!(await at(page, 'pace-0').isVisible()), 'a rhythm with a name closes it');
});

test('a rhythm is drawn with a finger, too', slow, async (t) => {
  const page = await led(t, { context: phone });
  await at(page, 'ease-0').selectOption('hand');
  await at(page, 'pace-0').waitFor();
  await at(page, 'pace-0').evaluate((place) => place.scrollIntoView({ block: 'center' }));
  const before = Number(await at(page, 'pace-0-1').getAttribute('aria-valuenow'));
  const knob = await at(page, 'pace-0-1').boundingBox();
  const whole = await at(page, 'pace-0').boundingBox();
  const [x, y] = [knob.x + knob.width / 2, knob.y + knob.height / 2];
  await swipe(page, [[x, y], [x, y + whole.height * 0.1], [x, y + whole.height * 0.25]]);
  const after = Number(await at(page, 'pace-0-1').getAttribute('aria-valuenow'));
  assert.ok(Math.abs(before - 25 - after) < 8, `${after} percent, ${before} before`);
});
