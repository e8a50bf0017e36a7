//! The worker's half: takes a device, loads what makes masks, looks at the picture, opens models, makes masks and videos, one
//! thing after another. It listens while it works, because the pipeline yields between steps.

#[cfg(feature = "wgpu")]
mod gpu;
mod place;
#[cfg(feature = "wgpu")]
mod present;
#[cfg(target_feature = "atomics")]
pub mod threads;

use super::protocol::{
    DeviceChoice, Folder, FromWorker, JobData, ModelData, Of, Pixels, ToWorker, to_js,
};
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::{Mask, Picture, Scene, Settings, Skeleton};
use dragentity_core::{Cancel, Click, ClickJob, Job, JobEvent, Video};
use dragentity_pipeline::measure::Measures;
use dragentity_pipeline::page::{Addresses, Maker};
use place::Place;
#[cfg(feature = "wgpu")]
use present::Presenter;
use std::cell::RefCell;
use std::collections::VecDeque;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
#[cfg(feature = "wgpu")]
use web_sys::OffscreenCanvas;
use web_sys::{DedicatedWorkerGlobalScope, File, MessageEvent};

/// Something that takes time.
enum Task {
    Start {
        device: DeviceChoice,
        threads: usize,
        segmenter: Option<String>,
        addresses: Addresses,
    },
    /// Take the weights in this file, or those from the start.
    Segmenter(Option<File>),
    /// Take the model in a folder.
    Model {
        number: u64,
        model: Folder,
        unet: Option<(Folder, String)>,
        controlnet: Option<Folder>,
    },
    /// Say how the opened model would make a video.
    Foresee {
        number: u64,
        job: Job,
    },
    /// Look at a picture, for clicks to come.
    Look(Picture),
    Segment {
        number: u64,
        job: ClickJob,
    },
    /// Make a mask that nobody has asked for yet.
    Suggest {
        number: u64,
        job: ClickJob,
    },
    Parts {
        number: u64,
        picture: Picture,
        mask: Mask,
    },
    Joints {
        number: u64,
        picture: Picture,
        mask: Mask,
    },
    Prepare {
        number: u64,
        scene: Scene,
    },
    Generate {
        number: u64,
        job: Job,
        maker: Maker,
    },
    /// Make frames between those of a video.
    Smooth {
        number: u64,
        video: Video,
        factor: u32,
    },
    /// Measure what the device is good for.
    Measure,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    working: bool,
    /// Of what runs and the person may stop.
    cancel: Option<Cancel>,
    /// Of what runs and another picture makes useless.
    looking: Option<Cancel>,
    /// Of what is made ready for dragging, which waits for everything else.
    preparing: Option<(Cancel, u64, Scene)>,
    picture: Picture,
    #[cfg(feature = "wgpu")]
    canvas: Option<OffscreenCanvas>,
    /// Draws the frames that are on the GPU.
    #[cfg(feature = "wgpu")]
    presenter: Option<Presenter>,
}

impl State {
    /// Stops looking at a picture, or making a mask in it.
    fn stop_looking(&mut self) {
        if let Some(looking) = self.looking.take() {
            looking.cancel();
        }
    }

    /// Stops making ready what has changed meanwhile, or is in the way; the page asks again.
    fn stop_preparing(&mut self) {
        self.tasks.retain(|t| !matches!(t, Task::Prepare { .. }));
        if let Some((preparing, ..)) = self.preparing.take() {
            preparing.cancel();
        }
    }

    /// Stops making ready what is in the way of something else; it is to be begun again after that.
    fn postpone_preparing(&mut self) -> Option<Task> {
        let running = self.preparing.take().map(|(preparing, number, scene)| {
            preparing.cancel();
            Task::Prepare { number, scene }
        });
        let waiting = self
            .tasks
            .iter()
            .position(|t| matches!(t, Task::Prepare { .. }));
        waiting.and_then(|at| self.tasks.remove(at)).or(running)
    }
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
        ToWorker::Start {
            device,
            threads,
            segmenter,
            pose,
            interpolator,
            model,
        } => push(Task::Start {
            device,
            threads,
            segmenter,
            addresses: Addresses {
                model,
                pose,
                interpolator,
            },
        }),
        #[cfg(feature = "wgpu")]
        ToWorker::Canvas(canvas) => with(|s| s.canvas = canvas.dyn_into().ok()),
        ToWorker::Picture(pixels) => match pixels.picture() {
            Ok(picture) => {
                with(|s| {
                    s.picture = picture.clone();
                    s.stop_looking();
                    s.stop_preparing();
                    s.tasks.retain(|t| {
                        !matches!(
                            t,
                            Task::Look(_) | Task::Segment { .. } | Task::Suggest { .. }
                        )
                    });
                });
                push(Task::Look(picture));
            }
            Err(error) => log::error!("from the page: {error}"),
        },
        ToWorker::Segmenter(file) => {
            let picture = with(|s| s.picture.clone());
            push(Task::Segmenter(file.dyn_into().ok()));
            push(Task::Look(picture));
        }
        ToWorker::Model {
            number,
            model,
            unet,
            controlnet,
        } => push(Task::Model {
            number,
            model,
            unet,
            controlnet,
        }),
        ToWorker::Foresee { number, settings } => {
            // Only the last one is waited for.
            with(|s| s.tasks.retain(|t| !matches!(t, Task::Foresee { .. })));
            let job = picture_alone(settings);
            push(Task::Foresee { number, job });
        }
        ToWorker::Segment { number, click } => {
            let job = click.on(with(|s| s.picture.clone()));
            // Only the last click matters, and nothing is before it.
            let postponed = with(|s| {
                s.tasks.retain(|t| !matches!(t, Task::Segment { .. }));
                s.postpone_preparing()
            });
            push(Task::Segment { number, job });
            if let Some(task) = postponed {
                push(task);
            }
        }
        ToWorker::Suggest { number, at: [x, y] } => {
            with(|s| s.tasks.retain(|t| !matches!(t, Task::Suggest { .. })));
            let positive = true;
            let job = ClickJob {
                picture: with(|s| s.picture.clone()),
                clicks: vec![Click { x, y, positive }],
                ..ClickJob::default()
            };
            push(Task::Suggest { number, job });
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
        ToWorker::Joints { number, mask } => match mask.mask() {
            Ok(mask) => {
                let picture = with(|s| s.picture.clone());
                push(Task::Joints {
                    number,
                    picture,
                    mask,
                });
            }
            Err(error) => nobody(number, &error),
        },
        ToWorker::Prepare { number, job } => {
            with(State::stop_preparing);
            match job.scene(with(|s| s.picture.clone())) {
                Ok(scene) => push(Task::Prepare { number, scene }),
                Err(error) => log::error!("from the page: {error}"),
            }
        }
        ToWorker::Generate { number, job, maker } => match on_picture(job) {
            Ok(job) => {
                // It waits for nothing; the picture is looked at again afterwards.
                let picture = job.scene.picture.clone();
                with(State::stop_looking);
                push(Task::Generate { number, job, maker });
                push(Task::Look(picture));
            }
            Err(error) => failed(Of::Job(number), &error),
        },
        ToWorker::Smooth {
            number,
            video,
            factor,
        } => {
            with(State::stop_looking);
            let picture = with(|s| s.picture.clone());
            push(Task::Smooth {
                number,
                video,
                factor,
            });
            push(Task::Look(picture));
        }
        ToWorker::Measure => push(Task::Measure),
        ToWorker::Cancel => {
            let waiting: Vec<Of> = with(|s| {
                if let Some(cancel) = &s.cancel {
                    cancel.cancel();
                }
                s.stop_preparing();
                let asked = |t: &Task| match t {
                    Task::Generate { number, .. } | Task::Smooth { number, .. } => {
                        Some(Of::Job(*number))
                    }
                    Task::Segment { number, .. } => Some(Of::Mask(*number)),
                    _ => None,
                };
                let waiting = s.tasks.iter().filter_map(asked).collect();
                s.tasks.retain(|t| asked(t).is_none());
                waiting
            });
            for of in waiting {
                failed(of, &Error::Cancelled);
            }
        }
        #[cfg(feature = "wgpu")]
        ToWorker::Draw(view) => with(|s| {
            if let Some(presenter) = &mut s.presenter {
                presenter.draw(view);
            }
        }),
        // There is no GPU whose frames could be drawn.
        #[cfg(not(feature = "wgpu"))]
        ToWorker::Canvas(_) | ToWorker::Draw(_) => {}
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

/// What can be foreseen of depends on the picture's size and the settings.
fn picture_alone(settings: Settings) -> Job {
    let picture = with(|s| s.picture.clone());
    Job {
        scene: Scene {
            picture,
            ..Scene::default()
        },
        settings,
        ..Job::default()
    }
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
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

async fn work() {
    let mut place = PLACE.take();
    while let Some(task) = with(|s| s.tasks.pop_front()) {
        if let Task::Start {
            device,
            threads,
            segmenter,
            addresses,
        } = task
        {
            #[cfg(target_feature = "atomics")]
            if let Err(error) = threads::start(threads).await {
                log::warn!("no threads: {error}");
            }
            // The module without threads is told all the same.
            #[cfg(not(target_feature = "atomics"))]
            let _ = threads;
            place = match Place::take(device, segmenter, addresses).await {
                Ok(place) => Some(place),
                Err(error) => {
                    failed(Of::Start, &error);
                    None
                }
            };
            if let Some(place) = place.as_mut().filter(|p| p.makes_masks()) {
                took(place.take_segmenter(None).await);
            }
        } else if let Some(place) = &mut place {
            does(place, task).await;
        } else {
            refuse(&task);
        }
    }
    PLACE.set(place);
    with(|s| s.working = false);
}

/// What is done on a device.
async fn does(place: &mut Place, task: Task) {
    match task {
        Task::Start { .. } => {}
        Task::Segmenter(file) => took(place.take_segmenter(file.as_ref()).await),
        Task::Model {
            number,
            model,
            unet,
            controlnet,
        } => opened(
            number,
            place
                .open_model(&model, unet.as_ref(), controlnet.as_ref())
                .await,
        ),
        Task::Foresee { number, job } => {
            let text = place.foresee(&job).unwrap_or_else(|e| e.to_string());
            post(&FromWorker::Foreseen { number, text });
        }
        Task::Look(picture) => {
            let cancel = Cancel::new();
            with(|s| s.looking = Some(cancel.clone()));
            let looked = place.look(&picture, &cancel).await;
            with(|s| s.looking = None);
            match looked {
                Ok(()) => post(&FromWorker::Looked),
                // Who clicks hears of it; why there is nothing that makes masks was said before.
                Err(error) => log::debug!("looking at the picture: {error}"),
            }
        }
        Task::Segment { number, job } => {
            let cancel = Cancel::new();
            with(|s| {
                s.cancel = Some(cancel.clone());
                s.looking = Some(cancel.clone());
            });
            let mask = place.segment(&job, &cancel).await;
            with(|s| {
                s.cancel = None;
                s.looking = None;
            });
            match mask {
                Ok(mask) => {
                    post(&FromWorker::Looked);
                    post(&FromWorker::Mask {
                        number,
                        mask: Pixels::of_mask(&mask),
                    });
                }
                Err(error) => failed(Of::Mask(number), &error),
            }
        }
        Task::Suggest { number, job } => {
            // Whatever else is to be done comes first, and nobody waits for this.
            let idle = with(|s| s.tasks.is_empty());
            if idle
                && place.has_seen(&job.picture)
                && let Ok(mask) = place.segment(&job, &Cancel::new()).await
            {
                post(&FromWorker::Suggestion {
                    number,
                    mask: Pixels::of_mask(&mask),
                });
            }
        }
        Task::Parts {
            number,
            picture,
            mask,
        } => match place.parts(&picture, &mask).await {
            Ok(parts) => post(&FromWorker::Parts {
                number,
                parts: parts
                    .iter()
                    .map(|(part, mask)| (*part, Pixels::of_mask(mask)))
                    .collect(),
            }),
            Err(error) => failed(Of::Mask(number), &error),
        },
        Task::Joints {
            number,
            picture,
            mask,
        } => match place.joints(&picture, &mask).await {
            Ok(skeleton) => post(&FromWorker::Joints {
                number,
                joints: Some(Skeleton::to_list(&skeleton)),
            }),
            Err(error) => nobody(number, &error),
        },
        Task::Prepare { number, scene } => {
            let cancel = Cancel::new();
            with(|s| s.preparing = Some((cancel.clone(), number, scene.clone())));
            let prepared = place.prepare(&scene, &cancel).await;
            // Unless another is waiting already.
            with(|s| s.preparing.take_if(|(_, running, _)| *running == number));
            match prepared {
                Ok(prepared) => post(&FromWorker::Prepared {
                    number,
                    plate: Pixels::of_picture(&prepared.plate),
                    layers: prepared.layers.into_iter().map(Into::into).collect(),
                }),
                // Dragging shows less without it; Generate says what is wrong.
                Err(error) => log::debug!("preparing: {error}"),
            }
        }
        Task::Measure => {
            let cancel = begin();
            let measures = place.measure(&cancel).await;
            with(|s| s.cancel = None);
            measured(measures);
        }
        Task::Smooth {
            number,
            video,
            factor,
        } => {
            let cancel = begin();
            let video = place.smooth(number, &video, factor, &cancel).await;
            ended(number, video);
        }
        Task::Generate { number, job, maker } => {
            let cancel = begin();
            let video = place.generate(number, &job, maker, &cancel).await;
            ended(number, video);
        }
    }
}

/// Something begins that the person may stop, by this.
fn begin() -> Cancel {
    let cancel = Cancel::new();
    with(|s| s.cancel = Some(cancel.clone()));
    cancel
}

/// Tells the page what became of a job, which can no longer be stopped.
fn ended(number: u64, video: Result<Video>) {
    with(|s| s.cancel = None);
    match video {
        Ok(video) => hand_over(number, video),
        Err(error) => failed(Of::Job(number), &error),
    }
}

/// Gives the page a job's video, a frame a message.
fn hand_over(number: u64, mut video: Video) {
    let frames = std::mem::take(&mut video.frames);
    let count = frames.len() as u32;
    for frame in frames {
        let part = Video {
            frames: vec![frame],
            ..video
        };
        post(&FromWorker::Frames {
            number,
            count,
            part,
        });
    }
}

/// Tells the page what the device is good for.
fn measured(measures: Result<Measures>) {
    let (measures, error) = match measures {
        Ok(measures) => (Some(measures), None),
        Err(error) => (None, Some(error.to_string())),
    };
    post(&FromWorker::Measures { measures, error });
}

/// Tells the page what makes masks.
fn took(taken: Result<String>) {
    let (name, error) = match taken {
        Ok(name) => (Some(name), None),
        Err(error) => (None, Some(error.to_string())),
    };
    post(&FromWorker::Segmenter { name, error });
}

/// Tells the page what became of a folder.
fn opened(number: u64, opened: Result<ModelData>) {
    let (model, error) = match opened {
        Ok(model) => (Some(model), None),
        Err(error) => (None, Some(error.to_string())),
    };
    post(&FromWorker::Model {
        number,
        model,
        error,
    });
}

/// Tells the page that there are no joints: most things have none, and bend without them.
fn nobody(number: u64, error: &Error) {
    log::debug!("joints: {error}");
    let joints = None;
    post(&FromWorker::Joints { number, joints });
}

/// Without a device nothing can be done; why there is none has been said.
fn refuse(task: &Task) {
    let error = Error::Device("there is no device to compute on; reload the page".into());
    match task {
        Task::Segment { number, .. } | Task::Parts { number, .. } => {
            failed(Of::Mask(*number), &error);
        }
        Task::Joints { number, .. } => nobody(*number, &error),
        Task::Generate { number, .. } | Task::Smooth { number, .. } => {
            failed(Of::Job(*number), &error);
        }
        Task::Segmenter(_) => took(Err(error)),
        Task::Measure => measured(Err(error)),
        Task::Model { number, .. } => opened(*number, Err(error)),
        Task::Start { .. }
        | Task::Foresee { .. }
        | Task::Look(_)
        | Task::Suggest { .. }
        | Task::Prepare { .. } => {}
    }
}
