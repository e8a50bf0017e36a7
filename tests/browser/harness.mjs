// Starts the server and Chromium, opens the page, and watches it. A test fails when the page throws, logs
// an error, gets a failed response, or asks for anything outside its own origin, unless it said beforehand
// that it expects so.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
export const root = resolve(here, '../..');
/** What `cargo run --example browser_fixtures` wrote; ./test has it do so. */
export const fixtures = process.env.DRAGENTITY_FIXTURES ?? join(root, '.cache/browser-fixtures');
/** Pictures of failed tests, and whatever a test wants looked at. Not in git. */
export const shots = join(here, 'shots');

const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  // The browser itself must be as quiet as the page.
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
];
/**
 * WebGPU without a GPU: SwiftShader. Slow, so only very small networks run on it. The browser's own drawing has to be
 * on SwiftShader's Vulkan too: else it cannot take a canvas from WebGPU, and drops the whole device at the first frame.
 */
const WEBGPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--use-vulkan=swiftshader',
  '--use-angle=swiftshader',
  '--disable-vulkan-surface',
];
/** WebGPU without an adapter, as on a machine whose graphics are not good enough. */
const NO_WEBGPU = ['--disable-gpu', '--use-webgpu-adapter=default'];

function executable() {
  const found = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome'].find((p) => p && existsSync(p));
  assert.ok(found, 'no Chromium: run scripts/setup test, or set CHROMIUM to one');
  return found;
}

const browsers = new Map();
function browser(webgpu) {
  if (!browsers.has(webgpu)) {
    browsers.set(
      webgpu,
      chromium.launch({ executablePath: executable(), args: [...FLAGS, ...(webgpu ? WEBGPU : NO_WEBGPU)] }),
    );
  }
  return browsers.get(webgpu);
}

/** The folder that is served: the built page, file by file, and whatever models a test adds (see `addModel`). */
const site = mkdtempSync(join(tmpdir(), 'dragentity-site-'));
mkdirSync(join(site, 'models'));
export const dist = process.env.DRAGENTITY_DIST ?? join(root, 'dist');
for (const name of existsSync(dist) ? readdirSync(dist) : []) {
  if (name !== 'models') symlinkSync(join(dist, name), join(site, name));
}
for (const name of existsSync(join(dist, 'models')) ? readdirSync(join(dist, 'models')) : []) {
  addModel(name, join(dist, 'models', name));
}
/** Makes masks, of nothing in particular, but at once: for tests on an emulated GPU, and those that are about other things. */
addModel('tiny_sam.safetensors', join(fixtures, 'sam.safetensors'));

/** Serves a model directory, or a file of weights, as models/NAME. */
export function addModel(name, path) {
  symlinkSync(path, join(site, 'models', name));
}

let server;
/** The origin of the page under test: `dragentity serve` on a free port, or DRAGENTITY_URL if set. */
export function origin() {
  server ??= process.env.DRAGENTITY_URL ? { url: process.env.DRAGENTITY_URL } : serve();
  return server.url;
}

const children = [];
/** Another `dragentity serve` of the same page, with these arguments besides: `url` resolves to its origin. */
export function serve(...args) {
  const program = process.env.DRAGENTITY_BIN ?? join(root, 'target/debug/dragentity');
  const port = args.includes('--port') ? [] : ['--port', '0'];
  const all = ['serve', ...port, '--dir', site, '--device', 'cpu', '--model', join(root, 'models/mini'), ...args];
  const child = spawn(program, all, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let said = '';
  const url = new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the server printed no address within 60 s: ${said}`)), 60_000);
    const listen = (chunk) => {
      said += chunk;
      const address = /http:\/\/[\w.:[\]]+/.exec(said);
      if (address) {
        clearTimeout(late);
        resolve(address[0]);
      }
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`the server stopped with code ${code}: ${said}`)));
  });
  /** Ends it at once, and waits until its port is free. */
  const kill = () =>
    new Promise((resolve) => {
      child.on('exit', resolve);
      child.kill('SIGKILL');
    });
  return { url, kill };
}

after(async () => {
  for (const running of browsers.values()) await (await running.catch(() => null))?.close();
  for (const child of children) child.kill();
  rmSync(site, { recursive: true });
});

/**
 * Opens the page for the test `t` in a profile of its own and closes it when the test ends.
 *
 * @param {object} options
 *   webgpu: with WebGPU or without it; at: path, query and fragment; prepare(page): before the page loads
 *   (routes); expect: patterns of console errors, page errors and failed requests that belong to the test;
 *   base: the origin to open instead of the usual one; also: another origin that the page may ask.
 */
export async function open(t, { webgpu = false, at = '/', prepare, expect = [], base, also, context: options = {} } = {}) {
  base ??= await origin();
  const context = await (await browser(webgpu)).newContext({
    viewport: { width: 1280, height: 800 },
    permissions: ['clipboard-read', 'clipboard-write'],
    acceptDownloads: true,
    // It would answer in place of the routes that tests set.
    serviceWorkers: 'block',
    ...options,
  });
  const page = await context.newPage();
  const faults = [];
  const fault = (text) => {
    if (!expect.some((pattern) => pattern.test(text))) faults.push(text);
  };
  page.on('pageerror', (error) => fault(`page error: ${error.stack ?? error}`));
  page.on('console', (message) => {
    if (message.type() === 'error') fault(`console error: ${message.text()}`);
    if (process.env.DRAGENTITY_LOG) console.log(`[${message.type()}] ${message.text()}`);
  });
  page.on('crash', () => fault('the page crashed'));
  // The context's events include those of workers.
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (![new URL(base).origin, also].includes(url.origin) && !['data:', 'blob:'].includes(url.protocol)) {
      faults.push(`request to another origin: ${request.url()}`); // never expected
    }
  });
  context.on('response', (response) => {
    if (response.status() >= 400) fault(`status ${response.status()}: ${response.url()}`);
  });
  page.faults = faults;

  t.after(async () => {
    mkdirSync(shots, { recursive: true });
    const name = t.fullName.replace(/\W+/g, '-').toLowerCase();
    await page.screenshot({ path: join(shots, `${name}.png`) }).catch(() => {});
    await context.close();
    assert.deepEqual(faults, [], 'the page reported faults');
  });
  await prepare?.(page);
  await page.goto(base + at);
  return page;
}
