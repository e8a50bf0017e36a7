//! The page's end of the worker: starts it, talks to it, ends it.

use super::dom;
use crate::web::protocol::{FromWorker, ToWorker, to_js};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

/// A worker, or none.
#[derive(Default)]
pub struct Link {
    worker: Option<Worker>,
    /// Set when the worker is ended or has failed: what still arrives from it is not heard.
    over: Rc<Cell<bool>>,
    /// Whether it listens; what is said before that waits.
    alive: bool,
    waiting: Vec<(JsValue, Option<JsValue>)>,
}

impl Link {
    /// Starts a worker in place of the one there may be. `hear` gets what it says; a crash that it could not report
    /// itself (out of memory, a script that did not load) is [`FromWorker::Crashed`].
    pub fn start(&mut self, hear: impl Fn(FromWorker) + Clone + 'static) {
        self.stop();
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name("model");
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
        dom::listen(&worker, "message", move |event: MessageEvent| {
            match serde_wasm_bindgen::from_value(event.data()) {
                Ok(message) => hear(message),
                Err(error) => log::error!("from the worker: {error}"),
            }
        });
        // Compiled once, for both.
        if let Err(error) = worker.post_message(&wasm_bindgen::module()) {
            log::error!("to the worker: {}", dom::reason(&error));
        }
        self.worker = Some(worker);
    }

    /// The worker listens now.
    pub fn set_alive(&mut self) {
        self.alive = true;
        for (message, transfer) in std::mem::take(&mut self.waiting) {
            self.post(message, transfer);
        }
    }

    /// Ends the worker at once, whatever it is doing.
    pub fn stop(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.terminate();
        }
        self.over.set(true);
        self.alive = false;
        self.waiting.clear();
    }

    /// Says something.
    pub fn send(&mut self, message: &ToWorker) {
        self.send_with(message, None);
    }

    /// Says something and hands an object over.
    pub fn send_with(&mut self, message: &ToWorker, transfer: Option<JsValue>) {
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
