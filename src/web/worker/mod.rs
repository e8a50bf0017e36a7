//! The worker's half: takes a device, loads the model, makes masks and videos, one thing after another. It listens while
//! it works, because the pipeline yields between steps.

mod gpu;
mod model;
mod present;

use super::protocol::{DeviceChoice, FromWorker, JobData, Of, Pixels, ToWorker, to_js};
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::{Mask, Picture};
use dragentity_core::{Cancel, Click, ClickJob, Job, JobEvent};
use dragentity_pipeline::page::PageModel;
use present::Presenter;
use std::cell::RefCell;
use std::collections::VecDeque;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, File, MessageEvent, OffscreenCanvas};

/// Something that takes time.
enum Task {
    Start {
        model: String,
        device: DeviceChoice,
    },
    /// Take the weights in this file, or none.
    Segmenter(Option<File>),
    Segment {
        number: u64,
        picture: Picture,
        clicks: Vec<Click>,
        previous: Option<Mask>,
    },
    Parts {
        number: u64,
        picture: Picture,
        mask: Mask,
    },
    Generate {
        number: u64,
        job: Job,
    },
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    working: bool,
    /// Of the job that runs.
    cancel: Option<Cancel>,
    picture: Picture,
    canvas: Option<OffscreenCanvas>,
    /// Draws the frames that are on the GPU.
    presenter: Option<Presenter>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn with<R>(f: impl FnOnce(&mut State) -> R) -> R {
    STATE.with(|state| f(&mut state.borrow_mut()))
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

fn post(message: &FromWorker) {
    let sent = to_js(message)
        .map_err(|e| e.to_string())
        .and_then(|m| scope().post_message(&m).map_err(|e| format!("{e:?}")));
    if let Err(error) = sent {
        log::error!("to the page: {error}");
    }
}

/// Starts the worker.
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        let what = info.payload_as_str().unwrap_or("no reason given");
        // Only the first line: the rest, and the place, are for the console.
        let what = what.lines().next().unwrap_or_default().to_owned();
        // Burn does not expect a read from the GPU to fail, which is how it notices that the GPU is gone.
        let lost = [
            "map buffer",
            "BufferAsyncError",
            "device lost",
            "Device lost",
        ]
        .iter()
        .any(|words| what.contains(words));
        post(&match lost {
            true => FromWorker::Lost("it stopped answering".into()),
            false => FromWorker::Crashed(what),
        });
    }));
    let hear = Closure::<dyn FnMut(MessageEvent)>::new(|event: MessageEvent| {
        match serde_wasm_bindgen::from_value(event.data()) {
            Ok(message) => hear(message),
            Err(error) => log::error!("from the page: {error}"),
        }
    });
    scope().set_onmessage(Some(hear.as_ref().unchecked_ref()));
    hear.forget();
    post(&FromWorker::Alive);
}

fn hear(message: ToWorker) {
    match message {
        ToWorker::Start { model, device } => push(Task::Start { model, device }),
        ToWorker::Canvas(canvas) => with(|s| s.canvas = canvas.dyn_into().ok()),
        ToWorker::Picture(pixels) => match pixels.picture() {
            Ok(picture) => with(|s| s.picture = picture),
            Err(error) => log::error!("from the page: {error}"),
        },
        ToWorker::Segmenter(file) => push(Task::Segmenter(file.dyn_into().ok())),
        ToWorker::Segment {
            number,
            clicks,
            previous,
        } => {
            let previous = previous.and_then(|p| p.mask().ok());
            // Only the last click matters.
            with(|s| s.tasks.retain(|t| !matches!(t, Task::Segment { .. })));
            let picture = with(|s| s.picture.clone());
            push(Task::Segment {
                number,
                picture,
                clicks,
                previous,
            });
        }
        ToWorker::Parts { number, mask } => match mask.mask() {
            Ok(mask) => {
                let picture = with(|s| s.picture.clone());
                push(Task::Parts {
                    number,
                    picture,
                    mask,
                });
            }
            Err(error) => failed(Of::Mask(number), &error),
        },
        ToWorker::Generate { number, job } => match on_picture(job) {
            Ok(job) => push(Task::Generate { number, job }),
            Err(error) => failed(Of::Job(number), &error),
        },
        ToWorker::Cancel => {
            let waiting: Vec<u64> = with(|s| {
                if let Some(cancel) = &s.cancel {
                    cancel.cancel();
                }
                let job = |t: &Task| {
                    if let Task::Generate { number, .. } = t {
                        Some(*number)
                    } else {
                        None
                    }
                };
                let waiting = s.tasks.iter().filter_map(job).collect();
                s.tasks.retain(|t| job(t).is_none());
                waiting
            });
            for number in waiting {
                failed(Of::Job(number), &Error::Cancelled);
            }
        }
        ToWorker::Draw(view) => with(|s| {
            if let Some(presenter) = &mut s.presenter {
                presenter.draw(view);
            }
        }),
    }
}

/// Tells the page what becomes of something that takes time.
fn tell(of: Of, event: JobEvent) {
    post(&FromWorker::Event { of, event });
}

/// Tells the page that nothing comes of it, and why.
fn failed(of: Of, error: &Error) {
    tell(of, JobEvent::failure(error));
}

fn on_picture(job: JobData) -> Result<Job> {
    job.on(with(|s| s.picture.clone()))
}

fn push(task: Task) {
    let idle = with(|s| {
        s.tasks.push_back(task);
        !std::mem::replace(&mut s.working, true)
    });
    if idle {
        spawn_local(work());
    }
}

thread_local! {
    /// Out of the state while it is used, so that the state can be, too.
    static MODEL: RefCell<Option<PageModel>> = const { RefCell::new(None) };
}

async fn work() {
    let mut model = MODEL.take();
    while let Some(task) = with(|s| s.tasks.pop_front()) {
        match task {
            Task::Start {
                model: address,
                device,
            } => {
                model = match model::load(&address, device).await {
                    Ok(loaded) => {
                        post(&FromWorker::Loaded);
                        Some(loaded)
                    }
                    Err(error) => {
                        failed(Of::Model, &error);
                        None
                    }
                };
            }
            Task::Segmenter(file) => {
                let taken = model::take_segmenter(&mut model, file.as_ref()).await;
                let (name, error) = match taken {
                    Ok(name) => (name, None),
                    Err(error) => (None, Some(error.to_string())),
                };
                post(&FromWorker::Segmenter { name, error });
            }
            Task::Segment {
                number,
                picture,
                clicks,
                previous,
            } => {
                let cancel = Cancel::new();
                with(|s| s.cancel = Some(cancel.clone()));
                let job = ClickJob {
                    picture,
                    clicks,
                    previous,
                };
                let mask = model::segment(&mut model, number, &job, &cancel).await;
                with(|s| s.cancel = None);
                match mask {
                    Ok(mask) => post(&FromWorker::Mask {
                        number,
                        mask: Pixels::of_mask(&mask),
                    }),
                    Err(error) => failed(Of::Mask(number), &error),
                }
            }
            Task::Parts {
                number,
                picture,
                mask,
            } => match model::parts(&mut model, &picture, &mask).await {
                Ok(parts) => post(&FromWorker::Parts {
                    number,
                    parts: parts
                        .iter()
                        .map(|(part, mask)| (*part, Pixels::of_mask(mask)))
                        .collect(),
                }),
                Err(error) => failed(Of::Mask(number), &error),
            },
            Task::Generate { number, job } => {
                let cancel = Cancel::new();
                with(|s| s.cancel = Some(cancel.clone()));
                let video = model::generate(model.as_ref(), number, &job, &cancel).await;
                with(|s| s.cancel = None);
                match video {
                    Ok(video) => post(&FromWorker::Video { number, video }),
                    Err(error) => failed(Of::Job(number), &error),
                }
            }
        }
    }
    MODEL.set(model);
    with(|s| s.working = false);
}
