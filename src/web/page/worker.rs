//! The worker: started, heard, and started again when it is lost.

use super::link::Which;
use super::messages::{Kind, say, sentence};
use super::{App, act, dom};
use crate::web::adapter;
use crate::web::protocol::{DeviceChoice, FromWorker, Of, Pixels, ToWorker};
use dragentity_core::JobEvent;
use dragentity_core::error::Result;
use dragentity_core::event::Preview;
use dragentity_core::scene::{Part, Skeleton};
use wasm_bindgen::JsValue;

/// After how many crashes in a row the worker is not started again by itself.
const MOST_CRASHES: u32 = 3;

/// More threads than this wait for each other rather than work.
const MOST_THREADS: usize = 16;

/// What finds people's joints, beside the page.
const POSE: &str = "models/blaze_pose/model.safetensors";
const INTERPOLATOR: &str = "models/rife/model.safetensors";

/// What the worker computes on.
pub(super) struct Device {
    pub(super) gpu: bool,
    pub(super) name: String,
    pub(super) why: String,
}

impl App {
    /// Starts the worker, on `self.choice`.
    pub(super) fn start_worker(&mut self) {
        self.gone = false;
        self.device = None;
        self.sent_picture = 0;
        self.live.forget();
        self.segmenter.restart();
        let hear = |which, message| act(move |app| app.hear(which, message));
        let with_gpu = self.gpu && self.choice != DeviceChoice::Cpu;
        self.link.start(self.threads > 1 && !with_gpu, hear);
        let canvas = if self.choice == DeviceChoice::Cpu {
            None
        } else {
            self.player.make_gpu_canvas()
        };
        if let Some(canvas) = canvas {
            let object: JsValue = canvas.into();
            self.link
                .send_with(&ToWorker::Canvas(object.clone()), object);
        }
        let model = self.model_url.trim_end_matches('/');
        let start = |device, segmenter| ToWorker::Start {
            device,
            threads: self.threads,
            segmenter,
            pose: address(POSE),
            interpolator: address(INTERPOLATOR),
            model: address(&format!("{model}/")),
        };
        let main = start(self.choice, Some(address(&self.segmenter_url)));
        let beside = start(DeviceChoice::Cpu, None);
        self.link.send(&main);
        if self.threads > 1 && with_gpu {
            self.link.start_beside(hear);
            self.link.send_beside(&beside);
        }
        self.send_segmenter();
        self.send_model();
        self.send_picture();
    }

    /// Ends the worker and starts another; what it was doing is lost, the scene is not.
    pub(super) fn restart_worker(&mut self) {
        self.drop_requests();
        self.job.take_if(|job| job.is_worker());
        self.player.drop_gpu_canvas();
        self.start_worker();
        self.show_job();
        self.update();
    }

    pub(super) fn hear(&mut self, which: Which, message: FromWorker) {
        match message {
            FromWorker::Alive => self.link.set_alive(which),
            // What everything else runs on is told by the other one.
            FromWorker::Device { .. } if which == Which::Beside => {}
            FromWorker::Device { gpu, name, why } => {
                self.device = Some(Device { gpu, name, why });
                self.show_status();
            }
            FromWorker::Event { of, event } => match of {
                Of::Start => self.start_event(event),
                Of::Picture => self.picture_event(&event),
                Of::Mask(number) => self.mask_event(number, event),
                Of::Job(number) => self.job_event(number, event),
            },
            FromWorker::Segmenter { name, error } => self.segmenter_taken(name, error),
            FromWorker::Model {
                number,
                model,
                error,
            } => self.model_opened(number, model, error),
            FromWorker::Foreseen { number, text } => self.foreseen(number, text),
            FromWorker::Looked => self.looked(),
            FromWorker::Suggestion { number, mask } => {
                if let Ok(mask) = mask.mask() {
                    self.done(|e| e.suggest(number, mask));
                }
            }
            FromWorker::Mask { number, mask } => {
                self.crashes = 0;
                match mask.mask() {
                    Ok(mask) => self.done(|e| e.answer(number, Some(mask))),
                    Err(error) => {
                        self.done(|e| e.answer(number, None));
                        say(Kind::Error, &sentence(&error.to_string()));
                    }
                }
            }
            FromWorker::Parts { number, parts } => {
                self.crashes = 0;
                self.take_parts(number, parts);
            }
            FromWorker::Joints { number, joints } => {
                self.crashes = 0;
                let joints = joints.and_then(|list| Skeleton::of_list(&list));
                self.done(|e| e.answer_joints(number, joints));
            }
            FromWorker::Prepared {
                number,
                plate,
                layers,
            } => self.prepared(number, plate, layers),
            FromWorker::Preview { number, video } => {
                self.job_event(number, JobEvent::Preview(Preview::new(video)));
            }
            FromWorker::Frames {
                number,
                count,
                part,
            } => self.job_frames(number, count, part),
            FromWorker::OnGpu { number, frames } => self.frames_on_gpu(number, frames),
            // Of bench.html alone.
            FromWorker::Layer { .. } | FromWorker::Measures { .. } => {}
            FromWorker::Lost(why) => {
                self.choice = DeviceChoice::Cpu;
                say(
                    Kind::Error,
                    &format!(
                        "The GPU was lost ({}). The page goes on with the CPU, which is slower; your scene is kept. Reload the page to try the GPU again.",
                        why.trim().trim_end_matches('.')
                    ),
                );
                self.restart_worker();
            }
            FromWorker::Crashed(why) => {
                self.crashes += 1;
                // Fewer things that can go wrong.
                self.threads = 1;
                let why = why.trim().trim_end_matches('.').to_owned();
                if self.crashes < MOST_CRASHES {
                    say(
                        Kind::Error,
                        &format!(
                            "The model's worker crashed ({why}) and has been started again. Your scene is kept: try once more, with fewer frames if it happens again."
                        ),
                    );
                    self.restart_worker();
                } else {
                    self.link.stop();
                    self.job.take_if(|job| job.is_worker());
                    self.player.drop_gpu_canvas();
                    self.lose_worker();
                    say(
                        Kind::Error,
                        &format!(
                            "The model's worker crashed again ({why}) and stays off. Your scene is kept: reload the page, or add ?device=cpu to its address."
                        ),
                    );
                    self.show_job();
                    self.update();
                }
            }
        }
        self.draw_soon();
    }

    /// What is told while the worker takes its device and the weights that make masks.
    fn start_event(&mut self, event: JobEvent) {
        match event {
            JobEvent::Loading { part, done, total } => self.segmenter_loading(&part, done, total),
            JobEvent::Failed { error } => {
                self.lose_worker();
                say(Kind::Error, &sentence(&error));
                self.update();
            }
            _ => {}
        }
    }

    /// There is no worker that could do anything; Generate starts another one.
    fn lose_worker(&mut self) {
        self.gone = true;
        self.segmenter.lose();
        self.drop_requests();
    }

    /// Nobody will answer what was asked of the worker.
    fn drop_requests(&mut self) {
        if let Some(request) = self.editor.pending() {
            let number = request.number;
            self.editor.answer(number, None);
        }
        if let Some(request) = self.editor.splitting() {
            let number = request.number;
            self.editor.answer_parts(number, None);
        }
        self.editor.drop_joints();
    }

    /// What is told of a request for a mask or for parts; these themselves come apart.
    fn mask_event(&mut self, number: u64, event: JobEvent) {
        let error = match event {
            JobEvent::Failed { error } => Some(error),
            JobEvent::Cancelled => None,
            _ => return,
        };
        let clicked = self.editor.pending().is_some_and(|p| p.number == number);
        let split = self.editor.splitting().is_some_and(|s| s.number == number);
        if let Some(error) = error.filter(|_| clicked || split) {
            say(Kind::Error, &sentence(&error));
        }
        self.done(|e| e.answer(number, None));
        self.done(|e| e.answer_parts(number, None));
    }

    /// The parts that the worker found.
    pub(super) fn take_parts(&mut self, number: u64, parts: Vec<(Part, Pixels)>) {
        let masks = parts
            .into_iter()
            .map(|(part, mask)| Ok((part, mask.mask()?)));
        match masks.collect::<Result<Vec<_>>>() {
            Ok(parts) => self.done(|e| e.answer_parts(number, Some(parts))),
            Err(error) => {
                self.done(|e| e.answer_parts(number, None));
                say(Kind::Error, &sentence(&error.to_string()));
            }
        }
    }
}

/// What the page's address says of something.
pub(super) fn asked(name: &str) -> Option<String> {
    let query = dom::window().location().search().ok()?;
    web_sys::UrlSearchParams::new_with_str(&query)
        .ok()?
        .get(name)
}

/// The device that the page's address asks for, and how many threads.
pub(in crate::web) fn asked_device() -> (DeviceChoice, usize) {
    let choice = match asked("device").as_deref() {
        Some("cpu") => DeviceChoice::Cpu,
        Some("webgpu") => DeviceChoice::WebGpu,
        _ => DeviceChoice::Auto,
    };
    let threads = asked("threads").and_then(|n| n.parse().ok());
    (choice, self::threads(threads))
}

/// How many threads the worker may have: `asked`, else as many as there are processors, where the page was built with the module
/// that knows them and the browser lets memory be shared.
fn threads(asked: Option<usize>) -> usize {
    let isolated = js_sys::Reflect::get(&js_sys::global(), &"crossOriginIsolated".into())
        .is_ok_and(|isolated| isolated.is_truthy());
    let mark = dom::document().query_selector("meta[name=\"dragentity-threads\"]");
    if !isolated || !mark.is_ok_and(|mark| mark.is_some()) {
        return 1;
    }
    let processors = dom::window().navigator().hardware_concurrency() as usize;
    asked.unwrap_or(processors).clamp(1, MOST_THREADS)
}

/// Whether there is a GPU worth using; looked at where the processor would else have threads.
pub(in crate::web) async fn has_gpu(choice: DeviceChoice, threads: usize) -> bool {
    threads > 1
        && choice != DeviceChoice::Cpu
        && adapter::usable(choice == DeviceChoice::WebGpu)
            .await
            .is_ok()
}

/// An address that means the same in the worker.
pub(super) fn address(url: &str) -> String {
    let base = dom::document()
        .base_uri()
        .ok()
        .flatten()
        .unwrap_or_default();
    match web_sys::Url::new_with_base(url, &base) {
        Ok(absolute) => absolute.href(),
        Err(_) => url.to_owned(),
    }
}
