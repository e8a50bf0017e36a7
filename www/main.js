// Starts the module on the page. Everything else is in src/web.
import init from './dragentity.js';
import { ready } from './offline.js';

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
