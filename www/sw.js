// Between page and network (a service worker): keeps the page's files, so that it works without one, and adds the headers under
// which it may have threads where a host sends none. scripts/build-page puts KEPT in front of this: the build's version; `shell`,
// the files that make the page, and `parts`, those that it loads when they are needed, by path with their SHA-256.
//
// The shell is served from here once all of it is here and every file is the one of this build; else nothing of it is. Another
// build brings another of these workers, with a shell of its own: a page never gets files of both.

const SHELL = `dragentity-shell-${KEPT.version}`;
const PARTS = 'dragentity-parts';
/** In the shell's cache when all of it is there. */
const COMPLETE = address('complete');
/** Milliseconds that a page that is kept waits for the network's. */
const PATIENCE = 4000;
const HEADERS = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
};

function address(path) {
  return new URL(path, registration.scope).href;
}

/** The same answer, under which the page may have threads. */
function isolated(answer) {
  if (answer.type !== 'basic' && answer.type !== 'default') return answer;
  const headers = new Headers(answer.headers);
  for (const [name, value] of Object.entries(HEADERS)) {
    if (!headers.has(name)) headers.set(name, value);
  }
  // Some statuses have no body, and an answer that is made must not be given one.
  const body = [101, 204, 205, 304].includes(answer.status) ? null : answer.body;
  return new Response(body, { status: answer.status, statusText: answer.statusText, headers });
}

/** The bytes as an answer that can be kept: its length is what they take here. */
function keepable(answer, bytes) {
  const headers = new Headers({ 'content-length': bytes.byteLength });
  for (const name of ['content-type', 'content-security-policy']) {
    const value = answer.headers.get(name);
    if (value) headers.set(name, value);
  }
  return new Response(bytes, { headers });
}

async function digest(bytes) {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(sum, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A file of this build from the network. Throws when it is another one. */
async function fetched(path, sum) {
  const answer = await fetch(address(path), { cache: 'no-cache' });
  const bytes = await answer.arrayBuffer();
  if (!answer.ok || (await digest(bytes)) !== sum) throw new Error(`${path} is not of this build`);
  return keepable(answer, bytes);
}

/** The start page of this build; servers write into it, so that it is known by its version. */
function isThisBuild(html) {
  return html.includes(`name="dragentity-version" content="${KEPT.version}"`);
}

async function keepShell() {
  const cache = await caches.open(SHELL);
  if (!(await cache.match(COMPLETE))) {
    try {
      const answer = await fetch(address('./'), { cache: 'no-cache' });
      const html = await answer.text();
      if (!answer.ok || !isThisBuild(html)) throw new Error('the page is not of this build');
      await cache.put(address('./'), keepable(answer, new TextEncoder().encode(html)));
      await Promise.all(
        Object.entries(KEPT.shell).map(async ([path, sum]) => cache.put(address(path), await fetched(path, sum))),
      );
      await cache.put(COMPLETE, new Response(''));
    } catch (error) {
      await caches.delete(SHELL);
      throw error;
    }
  }
  for (const window of await clients.matchAll({ type: 'window', includeUncontrolled: true })) window.postMessage('kept');
}

/** A file of the shell, if all of it is kept. Caches that fail are none. */
async function fromShell(path) {
  try {
    if (!(await caches.has(SHELL))) return undefined;
    const cache = await caches.open(SHELL);
    return (await cache.match(COMPLETE)) && (await cache.match(address(path)));
  } catch {
    return undefined;
  }
}

/** The start page: the network's if it is of this build, since a server tells the page in it what it can do. */
async function startPage(request) {
  const kept = await fromShell('./');
  if (!kept) return isolated(await fetch(request));
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(PATIENCE) });
    const html = await answer.text();
    if (answer.ok && isThisBuild(html)) {
      const headers = new Headers(answer.headers);
      // Of the bytes that came.
      for (const name of ['content-encoding', 'content-length']) headers.delete(name);
      return isolated(new Response(html, { headers }));
    }
    // A newer one is made ready as a whole, and shown when the page is opened next.
    registration.update().catch(() => {});
  } catch {
    // No network.
  }
  return isolated(kept);
}

async function shellFile(request, path) {
  return isolated((await fromShell(path)) ?? (await fetch(request)));
}

/** A file that is kept when it has been loaded once. */
async function part(event, path) {
  const sum = KEPT.parts[path];
  // By what is in it: a file that two builds share is loaded once.
  const key = address(`${path}?${sum}`);
  const cache = await caches.open(PARTS).catch(() => undefined);
  const kept = await cache?.match(key).catch(() => undefined);
  if (kept) return isolated(kept);
  if (!path.startsWith('models/')) {
    // Code: of this build or not at all.
    const answer = await fetched(path, sum);
    await cache?.put(key, answer.clone()).catch(() => {});
    return isolated(answer);
  }
  const answer = await fetch(event.request);
  if (answer.ok && cache) {
    const copy = answer.clone();
    const keep = async () => {
      const bytes = await copy.arrayBuffer();
      if ((await digest(bytes)) === sum) await cache.put(key, keepable(answer, bytes));
    };
    event.waitUntil(keep().catch(() => {}));
  }
  return isolated(answer);
}

/** Drops what other builds have left, but for parts that this one has, too. */
async function clean() {
  const mine = new Set(Object.entries(KEPT.parts).map(([path, sum]) => address(`${path}?${sum}`)));
  for (const name of await caches.keys()) {
    if (name.startsWith('dragentity-shell-') && name !== SHELL) await caches.delete(name);
  }
  const cache = await caches.open(PARTS);
  for (const request of await cache.keys()) {
    if (!mine.has(request.url)) await cache.delete(request);
  }
}

addEventListener('install', (event) => {
  // The first one has nothing to replace. A later one waits until its shell is there and nobody uses the one before.
  event.waitUntil(registration.active ? keepShell() : skipWaiting());
});

addEventListener('activate', (event) => {
  event.waitUntil(clean().catch(() => {}).then(() => clients.claim()));
});

addEventListener('message', (event) => {
  if (event.data === 'keep') event.waitUntil(keepShell().catch((error) => console.info(`not kept: ${error}`)));
  if (event.data === 'take over') {
    const alone = async () => {
      const windows = await clients.matchAll({ type: 'window', includeUncontrolled: true });
      if (windows.length < 2) await skipWaiting();
    };
    event.waitUntil(alone());
  }
});

addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(registration.scope) || request.headers.has('range')) return;
  const path = new URL(request.url).pathname.slice(new URL(registration.scope).pathname.length);
  if (request.mode === 'navigate' && (path === '' || path === 'index.html')) {
    event.respondWith(startPage(request));
  } else if (Object.hasOwn(KEPT.shell, path)) {
    event.respondWith(shellFile(request, path));
  } else if (Object.hasOwn(KEPT.parts, path)) {
    event.respondWith(part(event, path));
  }
});
