//! The model on the device it runs on.

use super::gpu::{self, NoGpu};
use super::present::Presenter;
use super::{post, tell, with};
use crate::web::protocol::{DeviceChoice, FromWorker, Of};
use burn::tensor::Tensor;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::yield_now;
use dragentity_core::scene::{Mask, Part, Picture};
use dragentity_core::{Cancel, ClickJob, Job, JobEvent, Video};
use dragentity_networks::device::{Gpu, cpu_device_name};
use dragentity_networks::weights::Weights;
use dragentity_pipeline::engine::Observer;
use dragentity_pipeline::page::PageModel;
use std::sync::Arc;
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

/// Largest file of weights that a page's memory of 4 GiB has room for twice, in bytes.
const MOST_WEIGHTS: u64 = 1_500_000_000;
/// Bytes of it that are read at a time.
const PIECE: f64 = 16e6;

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
        loading(JobEvent::Loading {
            part: name.clone(),
            done: bytes.len() as u64,
            total: total as u64,
        });
        yield_now().await;
    }
    Weights::from_bytes(name.clone(), bytes)
}

/// Takes the device that was asked for, says which it is and why, and loads the model onto it.
pub async fn load(address: &str, choice: DeviceChoice) -> Result<PageModel> {
    let why = match choice {
        DeviceChoice::Cpu => "the CPU was asked for".to_owned(),
        _ => {
            let canvas = with(|s| s.canvas.take());
            let emulated = choice == DeviceChoice::WebGpu;
            match gpu::open(canvas, emulated, |why| post(&FromWorker::Lost(why))).await {
                Ok(gpu) => {
                    let (name, device) = (gpu.name.clone(), gpu.burn.clone());
                    let why = "the browser offers this graphics adapter".to_owned();
                    post(&FromWorker::Device {
                        gpu: true,
                        name: name.clone(),
                        why,
                    });
                    with(|s| s.presenter = Presenter::new(gpu));
                    return PageModel::on_gpu(address, device, name, &mut loading).await;
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
    post(&FromWorker::Device {
        gpu: false,
        name: cpu_device_name(),
        why,
    });
    PageModel::on_cpu(address, &mut loading).await
}

/// Passes on what is said while weights are read.
fn loading(event: JobEvent) {
    tell(Of::Model, event);
}

fn no_model() -> Error {
    Error::Model {
        name: "the model".into(),
        reason: "is not loaded; press Generate to try again".into(),
    }
}

/// Has masks made with the weights in a file, or with the model's click head again; says what makes them then.
pub async fn take_segmenter(
    model: &mut Option<PageModel>,
    file: Option<&File>,
) -> Result<Option<String>> {
    let model = model.as_mut().ok_or_else(no_model)?;
    // The old one's memory first.
    model.take_segmenter(None, &mut loading).await?;
    let Some(file) = file else { return Ok(None) };
    let weights = read(file).await?;
    model.take_segmenter(Some(&weights), &mut loading).await
}

/// The mask of what was clicked; the stages of looking at a picture go to the page under the request's number.
pub async fn segment(
    model: &mut Option<PageModel>,
    number: u64,
    job: &ClickJob,
    cancel: &Cancel,
) -> Result<Mask> {
    let mut looking = |event: JobEvent| tell(Of::Mask(number), event);
    let model = model.as_mut().ok_or_else(no_model)?;
    model.segment(job, cancel, &mut looking).await
}

/// The parts of the person under a mask.
pub async fn parts(
    model: &mut Option<PageModel>,
    picture: &Picture,
    mask: &Mask,
) -> Result<Vec<(Part, Mask)>> {
    let model = model.as_mut().ok_or_else(no_model)?;
    model.parts(picture, mask).await
}

/// Runs a job; what it says goes to the page under its number.
pub async fn generate(
    model: Option<&PageModel>,
    number: u64,
    job: &Job,
    cancel: &Cancel,
) -> Result<Video> {
    let model = model.ok_or_else(no_model)?;
    with(|s| {
        if let Some(presenter) = &mut s.presenter {
            presenter.begin(&job.scene);
        }
    });
    model.run(job, cancel, &mut Heard { number }).await
}

/// Passes on what a job says. The page's memory is another one: a preview goes there with its pixels.
fn pass_on(number: u64, mut event: JobEvent) {
    let video = match &mut event {
        JobEvent::Preview(preview) => preview.take_video(),
        _ => None,
    };
    match video.map(Arc::unwrap_or_clone) {
        Some(video) => post(&FromWorker::Preview { number, video }),
        None => tell(Of::Job(number), event),
    }
}

/// Passes on what a job says; on a GPU it keeps the frames where they are and has the presenter draw them.
struct Heard {
    number: u64,
}

impl Observer<Gpu> for Heard {
    fn event(&mut self, event: JobEvent) {
        pass_on(self.number, event);
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
