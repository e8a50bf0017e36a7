// Starts the module on the page. Everything else is in src/web.
import init from './dragentity.js';
import { ready } from './offline.js';

// The page makes no markup and no script of texts, and what it starts is its own: the policy in index.html has the browser see to it.
globalThis.trustedTypes?.createPolicy('default', {
  createScriptURL: (url) => (new URL(url, location.href).origin === location.origin ? url : null),
});

try {
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
