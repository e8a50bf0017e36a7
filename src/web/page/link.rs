//! The page's end of its workers: starts them, talks to them, ends them. One does what is asked. Where that one has the GPU, and
//! there can be threads, a second does what the processor does beside it: the plate, and videos at once.

use super::dom;
use crate::web::protocol::{FromWorker, ToWorker, to_js};
use dragentity_pipeline::page::Maker;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, EventTarget, MessageEvent, Worker, WorkerOptions, WorkerType};

#[wasm_bindgen]
extern "C" {
    /// What the threads of a worker that waits for them can still speak through.
    #[wasm_bindgen(extends = EventTarget)]
    type BroadcastChannel;
    #[wasm_bindgen(constructor, catch)]
    fn new(name: &str) -> Result<BroadcastChannel, JsValue>;
    #[wasm_bindgen(method)]
    fn close(this: &BroadcastChannel);
}

/// One of the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that does what is asked.
    Main,
    /// The one that does what the processor does beside a GPU.
    Beside,
}

/// The workers, or none.
#[derive(Default)]
pub struct Link {
    main: End,
    beside: Option<End>,
}

impl Link {
    /// Starts a worker in place of those that there may be, with the module that knows threads if `threads`. `hear` gets what it
    /// says; a crash that it could not report itself (out of memory, a script that did not load) is [`FromWorker::Crashed`].
    pub fn start(&mut self, threads: bool, hear: impl Fn(Which, FromWorker) + Clone + 'static) {
        self.stop();
        self.main.start(threads, move |m| hear(Which::Main, m));
    }

    /// Starts the second worker.
    pub fn start_beside(&mut self, hear: impl Fn(Which, FromWorker) + Clone + 'static) {
        let mut end = End::default();
        end.start(true, move |m| hear(Which::Beside, m));
        self.beside = Some(end);
    }

    /// The worker listens now.
    pub fn set_alive(&mut self, which: Which) {
        match which {
            Which::Main => self.main.set_alive(),
            Which::Beside => self.beside.iter_mut().for_each(End::set_alive),
        }
    }

    /// Ends the workers at once, whatever they are doing.
    pub fn stop(&mut self) {
        self.main.stop();
        if let Some(mut beside) = self.beside.take() {
            beside.stop();
        }
    }

    /// Says something to whom it concerns.
    pub fn send(&mut self, message: &ToWorker) {
        let Some(beside) = &mut self.beside else {
            return self.main.send(message, None);
        };
        let by_processor = match message {
            ToWorker::Prepare { .. } => true,
            ToWorker::Generate { maker, .. } => *maker == Maker::AtOnce,
            _ => false,
        };
        if by_processor || matches!(message, ToWorker::Picture(_) | ToWorker::Cancel) {
            beside.send(message, None);
        }
        if !by_processor {
            self.main.send(message, None);
        }
    }

    /// Says something to the second worker alone.
    pub fn send_beside(&mut self, message: &ToWorker) {
        if let Some(beside) = &mut self.beside {
            beside.send(message, None);
        }
    }

    /// Says something to the first worker and hands an object over.
    pub fn send_with(&mut self, message: &ToWorker, transfer: JsValue) {
        self.main.send(message, Some(transfer));
    }
}

/// The page's end of one worker.
#[derive(Default)]
struct End {
    worker: Option<Worker>,
    /// Where its threads say that they have failed.
    threads: Option<BroadcastChannel>,
    /// Set when the worker is ended or has failed: what still arrives from it is not heard.
    over: Rc<Cell<bool>>,
    /// Whether it listens; what is said before that waits.
    alive: bool,
    waiting: Vec<(JsValue, Option<JsValue>)>,
}

impl End {
    fn start(&mut self, threads: bool, hear: impl Fn(FromWorker) + Clone + 'static) {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        // Another name for each: other pages may be open.
        let name = format!("model {}", js_sys::Math::random());
        options.set_name(&name);
        let worker = match Worker::new_with_options("worker.js", &options) {
            Ok(worker) => worker,
            Err(error) => return hear(FromWorker::Crashed(dom::reason(&error))),
        };
        self.over = Rc::default();
        let over = self.over.clone();
        let hear = move |message: FromWorker| {
            // A panic is reported by the worker and then again by the browser.
            let last = matches!(message, FromWorker::Crashed(_) | FromWorker::Lost(_));
            let heard = !over.get();
            over.set(over.get() || last);
            if heard {
                hear(message);
            }
        };
        let on_error = hear.clone();
        dom::listen(&worker, "error", move |event: ErrorEvent| {
            // Said in words on the page.
            event.prevent_default();
            let message = event.message();
            on_error(FromWorker::Crashed(match message.is_empty() {
                true => "its script did not load".into(),
                false => message,
            }));
        });
        if let Some(channel) = threads.then(|| BroadcastChannel::new(&name).ok()).flatten() {
            let on_error = hear.clone();
            dom::listen(&channel, "message", move |event: MessageEvent| {
                on_error(FromWorker::Crashed(
                    event.data().as_string().unwrap_or_default(),
                ));
            });
            self.threads = Some(channel);
        }
        dom::listen(&worker, "message", move |event: MessageEvent| {
            match serde_wasm_bindgen::from_value(event.data()) {
                Ok(message) => hear(message),
                Err(error) => log::error!("from the worker: {error}"),
            }
        });
        // Compiled once, for both; the module that knows threads is the worker's alone.
        let start = js_sys::Array::of2(&wasm_bindgen::module(), &threads.into());
        if let Err(error) = worker.post_message(&start) {
            log::error!("to the worker: {}", dom::reason(&error));
        }
        self.worker = Some(worker);
    }

    fn set_alive(&mut self) {
        self.alive = true;
        for (message, transfer) in std::mem::take(&mut self.waiting) {
            self.post(message, transfer);
        }
    }

    fn stop(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.terminate();
        }
        if let Some(channel) = self.threads.take() {
            channel.close();
        }
        self.over.set(true);
        self.alive = false;
        self.waiting.clear();
    }

    fn send(&mut self, message: &ToWorker, transfer: Option<JsValue>) {
        match to_js(message) {
            Ok(message) if self.alive => self.post(message, transfer),
            Ok(message) => self.waiting.push((message, transfer)),
            Err(error) => log::error!("to the worker: {error}"),
        }
    }

    fn post(&self, message: JsValue, transfer: Option<JsValue>) {
        let Some(worker) = &self.worker else { return };
        let sent = match transfer {
            Some(object) => {
                worker.post_message_with_transfer(&message, &js_sys::Array::of1(&object))
            }
            None => worker.post_message(&message),
        };
        if let Err(error) = sent {
            log::error!("to the worker: {}", dom::reason(&error));
        }
    }
}
