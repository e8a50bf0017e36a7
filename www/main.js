// Starts the module on the page. Everything else is in src/web.
import init from './dragentity.js';
import * as folders from './folders.js';
import { ready } from './offline.js';
import { speak } from './words.js';

// The page makes no markup and no script of texts, and what it starts is its own: the policy in index.html has the browser see to it.
globalThis.trustedTypes?.createPolicy('default', {
  createScriptURL: (url) => (new URL(url, location.href).origin === location.origin ? url : null),
});

// Before anything is seen: the module comes later. Some browsers keep nothing, and throw.
try {
  const chosen = localStorage.getItem('dragentity-colours');
  if (chosen) document.documentElement.dataset.colours = chosen;
} catch {}

// As src/web/page/folders.rs calls it.
globalThis.dragentityFolders = folders;

try {
  // What stands beside the page, the blind comparison and the measuring, is English.
  if (!document.body.dataset.page) await speak();
  await ready();
  await init();
} catch (error) {
  const box = document.createElement('p');
  box.className = 'message error';
  box.setAttribute('role', 'alert');
  box.textContent =
    typeof WebAssembly === 'object'
      ? `The page could not start: ${error.message ?? error}. Reload it; if that does not help, try a newer browser.`
      : 'This browser has no WebAssembly, which the page needs. Open it in a newer browser.';
  document.getElementById('messages').append(box);
}
