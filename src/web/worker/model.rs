//! The model on the device it runs on.

use super::gpu::{self, NoGpu};
use super::present::Presenter;
use super::{post, with};
use crate::error::{Error, Result};
use crate::pipeline::{Cancel, Job, Video};
use crate::scene::{Mask, Picture};
use crate::web::editor::Click;
use crate::web::protocol::{DeviceChoice, FromWorker};

/// Not yet.
pub enum Model {}

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
                    drop((device, name));
                    return Err(none_yet(address));
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
    Err(none_yet(address))
}

fn none_yet(address: &str) -> Error {
    Error::Model {
        name: address.into(),
        reason: "this build does not load models yet; paint entities with the brush".into(),
    }
}

/// The mask of what was clicked.
pub async fn segment(
    _: &mut Option<Model>,
    _: &Picture,
    _: &[Click],
    _: Option<&Mask>,
) -> Result<Mask> {
    Err(none_yet("click head"))
}

/// Runs a job; what it says goes to the page under its number.
pub async fn generate(_: &Option<Model>, _: u64, _: &Job, _: &Cancel) -> Result<Video> {
    Err(none_yet("denoiser"))
}
