// The page without a network: www/sw.js keeps its files in this browser. Here it is started, and the settings show what is kept.
// Whatever fails here, the page works as it does without.

/** What is kept; the pictures and results that the page keeps itself are not among it. */
const NAMES = /^dragentity-(shell|parts)/;
/** Milliseconds after which the page does not wait any longer. */
const PATIENCE = 2000;

const workers = navigator.serviceWorker;
const after = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
/** Whether the page has begun: from then on nothing loads it again. */
let begun = false;

/** Waits until the worker between page and network is there, so that what the page loads first is kept, too. */
export async function ready() {
  if (!workers || !document.querySelector('meta[name="dragentity-version"]')) return;
  try {
    await Promise.race([begin(), after(PATIENCE)]);
    await show();
  } catch (error) {
    console.info(`nothing is kept for use without a network: ${error}`);
  }
  begun = true;
}

async function begin() {
  const registration = await workers.register('sw.js');
  // Browsers that refuse answer with nothing.
  if (!registration) return;
  workers.addEventListener('message', ({ data }) => {
    if (data === 'kept') show().catch(() => {});
  });
  const changed = new Promise((resolve) => workers.addEventListener('controllerchange', resolve, { once: true }));
  if (workers.controller && registration.waiting) {
    // A newer page is there, whole. It agrees if this is the only window: another one may be using the old one's files.
    registration.waiting.postMessage('take over');
    if (await Promise.race([changed.then(() => true), after(PATIENCE / 4)])) await again();
  }
  // Where it runs and still does not serve this page, the person has reloaded past it.
  if (!workers.controller && !registration.active) await changed;
  if (workers.controller && !crossOriginIsolated && !sessionStorage.getItem('dragentity-isolated')) {
    // A host that sends no headers: the worker adds them, from the next load on.
    sessionStorage.setItem('dragentity-isolated', 'tried');
    await again();
  }
  registration.active?.postMessage('keep');
}

/** Loads the page again, unless it has begun; then it is as it should be when it is opened next. */
async function again() {
  if (begun) return;
  location.reload();
  await after(PATIENCE);
}

/** All that is kept: caches by name, and how many bytes. */
async function kept() {
  const names = (await caches.keys()).filter((name) => NAMES.test(name));
  let bytes = 0;
  for (const name of names) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      bytes += Number((await cache.match(request))?.headers.get('content-length') ?? 0);
    }
  }
  return { names, bytes };
}

async function show() {
  const box = document.getElementById('kept');
  if (!box) return;
  const { bytes } = await kept();
  box.hidden = bytes === 0;
  document.getElementById('kept-size').textContent = `${(bytes / 1e6).toFixed(0)} MB`;
}

document.getElementById('settings')?.addEventListener('toggle', () => {
  if ('caches' in window) show().catch(() => {});
});
document.getElementById('forget-kept')?.addEventListener('click', async () => {
  try {
    await Promise.all((await kept()).names.map((name) => caches.delete(name)));
    await show();
  } catch (error) {
    console.info(`what is kept cannot be deleted: ${error}`);
  }
});
