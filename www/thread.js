// One of the worker's threads: its own instance of the module, in the memory of all (src/web/worker/threads.rs).
import init, { be_a_thread } from './threads/dragentity.js';

addEventListener(
  'message',
  async ({ data: [module, memory, channel] }) => {
    try {
      await init({ module_or_path: module, memory });
      postMessage('running');
      be_a_thread();
    } catch (error) {
      // The worker waits for this thread and hears nothing; the page does.
      new BroadcastChannel(channel).postMessage(`a thread: ${error.message ?? error}`);
      throw error;
    }
  },
  { once: true },
);
