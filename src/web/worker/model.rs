//! The model on the device it runs on.

use super::gpu::{self, NoGpu};
use super::present::Presenter;
use super::{post, with};
use crate::web::protocol::{DeviceChoice, FromWorker};
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::Cancel;
use dragentity_core::ClickJob;
use dragentity_core::Job;
use dragentity_core::Message;
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::yield_now;
use dragentity_core::scene::{Mask, Part, Picture};
use dragentity_networks::device::{Cpu, Gpu};
use dragentity_networks::weights::Weights;
use dragentity_pipeline::engine::{Engine, Observer};
use dragentity_pipeline::segmenter::Segmenter;
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

/// Largest file of weights that a page's memory of 4 GiB has room for twice, in bytes.
const MOST_WEIGHTS: u64 = 1_500_000_000;
/// Bytes of it that are read at a time.
const PIECE: f64 = 16e6;

/// One of the two.
pub enum Model {
    /// On the CPU.
    Cpu(Box<On<Cpu>>),
    /// On the GPU.
    Gpu(Box<On<Gpu>>),
}

/// A model on a device, and what makes masks in place of its click head.
pub struct On<B: Backend> {
    engine: Engine<B>,
    segmenter: Option<Segmenter<B>>,
}

impl<B: Backend> On<B> {
    fn new(engine: Engine<B>) -> Box<Self> {
        Box::new(Self {
            engine,
            segmenter: None,
        })
    }

    async fn take_segmenter(&mut self, file: Option<&File>) -> Result<Option<String>> {
        // The old one's memory first.
        self.segmenter = None;
        let Some(file) = file else { return Ok(None) };
        let weights = read(file).await?;
        let device = self.engine.bundle().device.clone();
        let segmenter = Segmenter::load(&weights, &device, &mut loading).await?;
        let name = segmenter.name();
        self.segmenter = Some(segmenter);
        Ok(Some(name))
    }

    async fn segment(&mut self, number: u64, job: &ClickJob, cancel: &Cancel) -> Result<Mask> {
        let previous = job.previous.as_ref();
        let Some(segmenter) = &mut self.segmenter else {
            return self
                .engine
                .segment(&job.picture, &job.clicks, previous)
                .await;
        };
        let mut tell = |message: Message| {
            if let Message::Step { step, steps } = message {
                post(&FromWorker::Looking {
                    number,
                    done: step,
                    total: steps,
                });
            }
        };
        segmenter
            .segment(&job.picture, &job.clicks, previous, cancel, &mut tell)
            .await
    }
}

/// The weights in a file that the person opened.
async fn read(file: &File) -> Result<Weights> {
    let name = file.name();
    let total = file.size();
    let fail = |reason: &str| Error::Model {
        name: name.clone(),
        reason: reason.to_owned(),
    };
    if total as u64 > MOST_WEIGHTS {
        return Err(fail(
            "is too large for a page; have a server look: dragentity serve --segmenter FILE",
        ));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(total as usize).map_err(|_| {
        fail("does not fit into the page's memory; close other pages, or use MobileSAM")
    })?;
    let gone = || fail("cannot be read any more; open it again");
    while (bytes.len() as f64) < total {
        let from = bytes.len() as f64;
        let piece = file
            .slice_with_f64_and_f64(from, (from + PIECE).min(total))
            .map_err(|_| gone())?;
        let buffer = JsFuture::from(piece.array_buffer())
            .await
            .map_err(|_| gone())?;
        let piece = js_sys::Uint8Array::new(&buffer);
        if piece.length() == 0 {
            return Err(gone());
        }
        let at = bytes.len();
        bytes.resize(at + piece.length() as usize, 0);
        piece.copy_to(&mut bytes[at..]);
        post(&FromWorker::Loading {
            part: name.clone(),
            done: bytes.len() as u64,
            total: total as u64,
        });
        yield_now().await;
    }
    Weights::from_bytes(name.clone(), bytes)
}

/// Takes the device that was asked for, says which it is and why, and loads the model onto it.
pub async fn load(address: &str, choice: DeviceChoice) -> Result<Model> {
    let why = match choice {
        DeviceChoice::Cpu => "the CPU was asked for".to_string(),
        _ => {
            let canvas = with(|s| s.canvas.take());
            let emulated = choice == DeviceChoice::WebGpu;
            match gpu::open(canvas, emulated, |why| post(&FromWorker::Lost(why))).await {
                Ok(gpu) => {
                    let (name, device) = (gpu.name.clone(), gpu.burn.clone());
                    let why = "the browser offers this graphics adapter".to_string();
                    post(&FromWorker::Device {
                        gpu: true,
                        name: name.clone(),
                        why,
                    });
                    with(|s| s.presenter = Presenter::new(gpu));
                    let engine = Engine::load(address, device, name, &mut loading).await?;
                    return Ok(Model::Gpu(On::new(engine)));
                }
                Err(NoGpu::None(why)) if emulated => {
                    return Err(Error::Device(format!(
                        "{why}; take ?device=webgpu out of the address to use the CPU"
                    )));
                }
                Err(NoGpu::None(why)) => {
                    format!("{why}, so the CPU does the work, which is slower")
                }
                Err(NoGpu::Emulated(name)) => {
                    format!(
                        "the only graphics adapter ({name}) is emulated in software, and the CPU itself is faster"
                    )
                }
            }
        }
    };
    let name = dragentity_networks::device::cpu_device_name();
    post(&FromWorker::Device {
        gpu: false,
        name: name.clone(),
        why,
    });
    let engine = Engine::load(address, Default::default(), name, &mut loading).await?;
    Ok(Model::Cpu(On::new(engine)))
}

fn loading(message: Message) {
    if let Message::Loading { part, done, total } = message {
        post(&FromWorker::Loading { part, done, total });
    }
}

fn no_model() -> Error {
    Error::Model {
        name: "the model".into(),
        reason: "is not loaded; press Generate to try again".into(),
    }
}

/// Has masks made with the weights in a file, or with the model's click head again; says what makes them then.
pub async fn take_segmenter(
    model: &mut Option<Model>,
    file: Option<&File>,
) -> Result<Option<String>> {
    match model {
        Some(Model::Cpu(on)) => on.take_segmenter(file).await,
        Some(Model::Gpu(on)) => on.take_segmenter(file).await,
        None => Err(no_model()),
    }
}

/// The mask of what was clicked; the stages of looking at a picture go to the page under the request's number.
pub async fn segment(
    model: &mut Option<Model>,
    number: u64,
    job: &ClickJob,
    cancel: &Cancel,
) -> Result<Mask> {
    match model {
        Some(Model::Cpu(on)) => on.segment(number, job, cancel).await,
        Some(Model::Gpu(on)) => on.segment(number, job, cancel).await,
        None => Err(no_model()),
    }
}

/// The parts of the person under a mask.
pub async fn parts(
    model: &mut Option<Model>,
    picture: &Picture,
    mask: &Mask,
) -> Result<Vec<(Part, Mask)>> {
    match model {
        Some(Model::Cpu(on)) => on.engine.parts(picture, mask).await,
        Some(Model::Gpu(on)) => on.engine.parts(picture, mask).await,
        None => Err(no_model()),
    }
}

/// Runs a job; what it says goes to the page under its number.
pub async fn generate(
    model: &Option<Model>,
    number: u64,
    job: &Job,
    cancel: &Cancel,
) -> Result<Video> {
    match model {
        Some(Model::Cpu(on)) => {
            on.engine
                .run(job, cancel, &mut |message: Message| tell(number, message))
                .await
        }
        Some(Model::Gpu(on)) => {
            with(|s| {
                if let Some(presenter) = &mut s.presenter {
                    presenter.begin(&job.scene);
                }
            });
            on.engine.run(job, cancel, &mut OnGpu { number }).await
        }
        None => Err(no_model()),
    }
}

/// Passes a message on; the video itself is passed on when the job has returned it.
fn tell(number: u64, message: Message) {
    if !matches!(message, Message::Done(_)) {
        post(&FromWorker::Job { number, message });
    }
}

/// Keeps the frames where they are and has the presenter draw them.
struct OnGpu {
    number: u64,
}

impl Observer<Gpu> for OnGpu {
    fn message(&mut self, message: Message) {
        tell(self.number, message);
    }

    fn frames(&mut self, frames: &Tensor<Gpu, 4>, _step: Option<u32>) {
        let shown = with(|s| s.presenter.as_mut().map(|p| p.take(frames.clone())));
        if let Some(frames) = shown {
            post(&FromWorker::OnGpu {
                number: self.number,
                frames,
            });
        }
    }

    fn wants_previews(&self) -> bool {
        with(|s| s.presenter.is_none())
    }
}
