// The worker that runs the model: the page's own module, compiled once and handed over, or the one that knows threads.
import init from './dragentity.js';

addEventListener(
  'message',
  async ({ data: [module, threads] }) => {
    try {
      if (threads) {
        try {
          const threaded = await import('./threads/dragentity.js');
          ({ memory: globalThis.dragentityMemory } = await threaded.default());
          return;
        } catch (error) {
          // Out of room for memory that can be shared, or an older browser: one thread does it, too.
          console.warn(`no threads: ${error}`);
        }
      }
      // Named for tests, which look at how large it has become.
      ({ memory: globalThis.dragentityMemory } = await init({ module_or_path: module }));
    } catch (error) {
      setTimeout(() => { throw error; }); // becomes the page's `error` event
    }
  },
  { once: true },
);
