//! rayon's threads in a browser: workers, each of which runs an instance of this module in the memory of all. Not by
//! wasm-bindgen-rayon, under which a thread that fails leaves this worker waiting for it for ever: `www/thread.js` tells the page.

use super::scope;
use rayon::{ThreadBuilder, ThreadPoolBuilder};
use std::cell::RefCell;
use std::sync::{Condvar, Mutex, PoisonError};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Worker, WorkerOptions, WorkerType};

/// What a worker that is a thread is called.
const NAME: &str = "thread";

/// What rayon wants done; each thread takes one.
static WANTED: Mutex<Vec<ThreadBuilder>> = Mutex::new(Vec::new());
/// There is more of it.
static MORE: Condvar = Condvar::new();

thread_local! {
    /// Kept: what nobody holds, some browsers end.
    static WORKERS: RefCell<Vec<Worker>> = const { RefCell::new(Vec::new()) };
}

/// Whether this worker is one of the threads.
pub fn is_one() -> bool {
    scope().name() == NAME
}

/// Does what rayon wants of one thread, until the worker that the thread belongs to ends. Called by `www/thread.js`.
#[wasm_bindgen]
pub fn be_a_thread() {
    let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    let mine = loop {
        match wanted.pop() {
            Some(mine) => break mine,
            None => wanted = MORE.wait(wanted).unwrap_or_else(PoisonError::into_inner),
        }
    };
    drop(wanted);
    mine.run();
}

/// Makes this worker one of `count` threads. To be called once, before anything uses rayon.
///
/// # Errors
/// In words, where the browser gives no workers: rayon then does with this one.
pub async fn start(count: usize) -> Result<(), String> {
    if count < 2 {
        return Ok(());
    }
    // They must run before rayon waits for them: while this worker waits, it starts none.
    let running = js_sys::Array::new();
    for _ in 1..count {
        let one = begin().map_err(|e| format!("{e:?}"))?;
        running.push(&JsValue::from(one));
    }
    JsFuture::from(js_sys::Promise::all(&running))
        .await
        .map_err(|e| format!("{e:?}"))?;
    ThreadPoolBuilder::new()
        .num_threads(count)
        .use_current_thread()
        .spawn_handler(|thread| {
            WANTED
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(thread);
            MORE.notify_one();
            Ok(())
        })
        .build_global()
        .map_err(|e| e.to_string())
}

/// Starts a worker; the promise is kept when it runs.
fn begin() -> Result<js_sys::Promise, JsValue> {
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    options.set_name(NAME);
    let worker = Worker::new_with_options("thread.js", &options)?;
    let runs = js_sys::Promise::new(&mut |kept, broken| {
        worker.set_onmessage(Some(&kept));
        worker.set_onerror(Some(&broken));
    });
    // The page listens under this worker's name.
    let channel = JsValue::from(scope().name());
    worker.post_message(&js_sys::Array::of3(
        &wasm_bindgen::module(),
        &wasm_bindgen::memory(),
        &channel,
    ))?;
    WORKERS.with_borrow_mut(|workers| workers.push(worker));
    Ok(runs)
}
