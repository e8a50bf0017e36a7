//! The model on the device it runs on.

use super::gpu::{self, NoGpu};
use super::present::Presenter;
use super::{post, with};
use crate::device::{Cpu, Gpu};
use crate::error::{Error, Result};
use crate::model::entity_encoder::Click;
use crate::pipeline::engine::{Engine, Observer};
use crate::pipeline::{Cancel, Job, Message, Video};
use crate::scene::{Mask, Picture};
use crate::web::protocol::{DeviceChoice, FromWorker};
use burn::tensor::Tensor;

/// One of the two.
pub enum Model {
    /// On the CPU.
    Cpu(Box<Engine<Cpu>>),
    /// On the GPU.
    Gpu(Box<Engine<Gpu>>),
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
                    return Ok(Model::Gpu(Box::new(engine)));
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
    let name = crate::device::cpu_device_name();
    post(&FromWorker::Device {
        gpu: false,
        name: name.clone(),
        why,
    });
    let engine = Engine::load(address, Default::default(), name, &mut loading).await?;
    Ok(Model::Cpu(Box::new(engine)))
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

/// The mask of what was clicked.
pub async fn segment(
    model: &mut Option<Model>,
    picture: &Picture,
    clicks: &[Click],
    previous: Option<&Mask>,
) -> Result<Mask> {
    match model {
        Some(Model::Cpu(engine)) => engine.segment(picture, clicks, previous).await,
        Some(Model::Gpu(engine)) => engine.segment(picture, clicks, previous).await,
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
        Some(Model::Cpu(engine)) => {
            engine
                .run(job, cancel, &mut |message: Message| tell(number, message))
                .await
        }
        Some(Model::Gpu(engine)) => {
            with(|s| {
                if let Some(presenter) = &mut s.presenter {
                    presenter.begin(&job.scene);
                }
            });
            engine.run(job, cancel, &mut OnGpu { number }).await
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
