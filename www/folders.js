// Folders and files that a person has let the page read. Where the browser hands out handles of them (Chromium), the last ones can be
// opened again after a reload: what is kept is the handle, in this origin's database, and no byte of them. Elsewhere, and where nothing
// is kept, they are picked anew.

const DATABASE = 'dragentity-folders';
const STORE = 'handles';
/** Most files that are looked at, and how deep. */
const MOST = 20_000;
const DEEPEST = 8;

/** The handles of what is open, by what it is for, and of what was picked since, which is not open yet; null where there is none. */
const open = new Map();
const picked = new Map();

function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Asks the store; what it answers once all is done. */
async function ask(mode, question) {
  const base = await database();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = base.transaction(STORE, mode);
      const request = question(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    base.close();
  }
}

/** Paths, from the handle's own name on, and files, by turns. */
async function files(handle) {
  if (handle.kind === 'file') return [handle.name, await handle.getFile()];
  const found = [];
  const waiting = [[handle, handle.name]];
  while (waiting.length > 0) {
    const [folder, path] = waiting.pop();
    for await (const entry of folder.values()) {
      const below = `${path}/${entry.name}`;
      if (entry.kind === 'directory') {
        if (below.split('/').length <= DEEPEST) waiting.push([entry, below]);
      } else {
        if (found.length === 2 * MOST) throw new Error(`there are more than ${MOST} files in it; open the folder of the model only`);
        found.push(below, await entry.getFile());
      }
    }
  }
  return found;
}

/** Whether the browser can pick so that it can be opened again: `unet` is a file, `model` and `controlnet` are folders. */
export function picks(kind) {
  return typeof globalThis[kind === 'unet' ? 'showOpenFilePicker' : 'showDirectoryPicker'] === 'function';
}

/** Has a person pick something; its files, or nothing where they think better of it. */
export async function pick(kind) {
  try {
    const types = [{ accept: { 'application/octet-stream': ['.safetensors'] } }];
    const handle =
      kind === 'unet' ? (await showOpenFilePicker({ id: 'dragentity-unet', types }))[0] : await showDirectoryPicker({ id: `dragentity-${kind}`, mode: 'read' });
    const found = await files(handle);
    picked.set(kind, handle);
    return found;
  } catch (error) {
    if (error.name === 'AbortError') return undefined;
    throw error;
  }
}

/** What was picked for this was picked in another way, of which there is no handle. */
export function withoutHandle(kind) {
  picked.set(kind, null);
}

/** A model's folder was dropped: its handle can be had while the event lasts only. */
export function dropped(data) {
  const item = [...data.items].find((item) => item.kind === 'file');
  picked.set('model', item?.getAsFileSystemHandle?.().catch(() => null) ?? null);
}

/** What was taken for a model's folder is a ControlNet's. */
export function isControlNet() {
  picked.set('controlnet', picked.get('model') ?? null);
  picked.delete('model');
}

/** What was picked could not be opened. */
export function refused() {
  picked.clear();
}

/** These are open now; their handles are kept. */
export async function opened(kinds) {
  const now = [...picked];
  picked.clear();
  for (const [kind, handle] of now) open.set(kind, await handle);
  // Without the model nothing else is of use.
  const known = kinds.filter((kind) => open.get('model') && open.get(kind));
  try {
    await ask('readwrite', (store) => {
      store.clear();
      for (const kind of known) store.put(open.get(kind), kind);
    });
  } catch {
    // Private windows keep nothing.
  }
}

/** What is kept is called so; nothing where nothing is. */
export async function kept() {
  try {
    const model = await ask('readonly', (store) => store.get('model'));
    return model?.name;
  } catch {
    return undefined;
  }
}

/** The files of what is kept, for each kind, once the person has said again that they may be read. */
export async function again(kinds) {
  const found = [];
  for (const kind of kinds) {
    const handle = await ask('readonly', (store) => store.get(kind));
    if (!handle) {
      found.push(undefined);
      continue;
    }
    if ((await handle.queryPermission({ mode: 'read' })) !== 'granted' && (await handle.requestPermission({ mode: 'read' })) !== 'granted') {
      throw new Error('the browser did not let the page read it');
    }
    found.push(await files(handle));
    picked.set(kind, handle);
  }
  return found;
}
