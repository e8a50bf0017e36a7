// The worker that runs the model: the page's own module, compiled once and handed over.
import init from './dragentity.js';

addEventListener(
  'message',
  async (event) => {
    try {
      await init({ module_or_path: event.data });
    } catch (error) {
      setTimeout(() => { throw error; }); // becomes the page's `error` event
    }
  },
  { once: true },
);
