//! What this device is good for, `bench.html`: the worker measures layers, and the report is there to be copied. The numbers and what
//! they add up to are in [`dragentity_pipeline::measure`].

use super::dom;
use super::messages::{Kind, say, sentence};
use super::page::link::Link;
use super::page::worker::{asked_device, has_gpu};
use super::protocol::{DeviceChoice, FromWorker, Of, ToWorker};
use dragentity_core::JobEvent;
use dragentity_pipeline::measure::USUAL;
use std::cell::RefCell;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Element, HtmlButtonElement, HtmlElement, HtmlProgressElement, MouseEvent, Window};

/// The worker, while it is there.
#[derive(Default)]
struct Bench {
    link: Link,
    /// Whether it measures.
    busy: bool,
    lines: String,
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::default();
}

fn with(f: impl FnOnce(&mut Bench)) {
    BENCH.with_borrow_mut(f);
}

/// Whether the window shows this page.
pub fn is_in(window: &Window) -> bool {
    let body = window.document().and_then(|document| document.body());
    body.is_some_and(|body| body.dataset().get("page").as_deref() == Some("bench"))
}

/// Starts it.
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        say(Kind::Error, "The page has crashed. Reload it.");
    }));
    dom::listen(&dom::by_id("measure"), "click", |_: MouseEvent| {
        with(Bench::toggle);
    });
    dom::listen(&dom::by_id("copy"), "click", |_: MouseEvent| copy());
    dom::by_id::<HtmlButtonElement>("measure").set_disabled(false);
}

impl Bench {
    /// Begins, or stops.
    fn toggle(&mut self) {
        if self.busy {
            self.link.stop();
            return self.end("Stopped.");
        }
        self.busy = true;
        self.lines.clear();
        self.show("Starting…", 0.0);
        let (choice, threads) = asked_device();
        spawn_local(async move {
            let gpu = has_gpu(choice, threads).await;
            with(|bench| bench.begin(choice, threads, gpu));
        });
    }

    fn begin(&mut self, device: DeviceChoice, threads: usize, gpu: bool) {
        if !self.busy {
            return;
        }
        let hear = |which, message| {
            // A worker that cannot be had says so at once.
            spawn_local(async move {
                with(move |bench| match message {
                    FromWorker::Alive => bench.link.set_alive(which),
                    message => bench.hear(message),
                });
            });
        };
        self.link.start(threads > 1 && !gpu, hear);
        self.link.send(&ToWorker::Start {
            device,
            threads,
            segmenter: None,
            pose: String::new(),
            interpolator: String::new(),
            model: String::new(),
        });
        self.link.send(&ToWorker::Measure);
    }

    fn hear(&mut self, message: FromWorker) {
        match message {
            FromWorker::Device { name, why, .. } => {
                self.show(&format!("On {name}: {why}."), 0.0);
            }
            FromWorker::Layer { layer, done, total } => {
                self.lines += &format!("{layer}\n");
                let share = f64::from(done) / f64::from(total.max(1));
                self.show(&format!("{done} of {total} measured"), share);
            }
            FromWorker::Measures {
                measures: Some(measures),
                ..
            } => {
                self.lines = measures.report(&USUAL);
                self.end("Measured.");
            }
            FromWorker::Measures {
                error: Some(error), ..
            }
            | FromWorker::Event {
                of: Of::Start,
                event: JobEvent::Failed { error },
            } => self.fail(&error),
            FromWorker::Lost(why) => self.fail(&format!("the GPU was lost ({why})")),
            FromWorker::Crashed(why) => self.fail(&format!("it crashed ({why})")),
            _ => {}
        }
    }

    fn fail(&mut self, why: &str) {
        say(
            Kind::Error,
            &sentence(&format!(
                "this could not be measured: {why}; add ?device=cpu to the address to measure the processor"
            )),
        );
        self.end("Not measured.");
    }

    fn end(&mut self, words: &str) {
        // What it has taken of memory and GPU goes with it.
        self.link.stop();
        self.busy = false;
        self.show(words, 1.0);
    }

    fn show(&self, words: &str, share: f64) {
        dom::set_text(&dom::by_id("phase"), words);
        dom::by_id::<HtmlProgressElement>("bar").set_value(share);
        dom::show(&dom::by_id("bar"), self.busy);
        let button: HtmlElement = dom::by_id("measure");
        dom::set_text(&button, if self.busy { "Stop" } else { "Measure" });
        let report: HtmlElement = dom::by_id("report");
        dom::set_text(&report, &self.lines);
        dom::show(&report, !self.lines.is_empty());
        let done = !self.busy && !self.lines.is_empty();
        dom::show(&dom::by_id("copy"), done);
    }
}

/// Copies the report, for an issue.
fn copy() {
    let report = dom::by_id::<Element>("report");
    let text = report.text_content().unwrap_or_default();
    let copied = dom::window().navigator().clipboard().write_text(&text);
    spawn_local(async move {
        match JsFuture::from(copied).await {
            Ok(_) => say(Kind::Done, "Copied."),
            Err(_) => say(
                Kind::Error,
                "The browser does not let the page copy: select the text and copy it.",
            ),
        }
    });
}
