//! The device that everything runs on, and what is loaded onto it.

#[cfg(feature = "wgpu")]
use super::{gpu, present::Presenter, with};
use super::{post, tell};
#[cfg(not(feature = "wgpu"))]
use crate::web::adapter;
use crate::web::adapter::NoGpu;
use crate::web::protocol::{DeviceChoice, Folder, FromWorker, ModelData, Of};
#[cfg(feature = "wgpu")]
use burn::tensor::Tensor;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::{at_address, let_go, pick, yield_now};
use dragentity_core::scene::{Mask, Part, Picture, Scene, Skeleton};
use dragentity_core::{Cancel, ClickJob, Job, JobEvent, Video};
use dragentity_networks::device::cpu_device_name;
use dragentity_networks::weights::Weights;
use dragentity_pipeline::at_once::Prepared;
use dragentity_pipeline::engine::Observer;
use dragentity_pipeline::measure::{Measured, Measures};
use dragentity_pipeline::page::{Addresses, Locations, Maker, Opened, PageDevice, Shown};
use std::sync::Arc;
use wasm_bindgen::{JsCast, JsValue};
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

/// Makes a folder's files readable, below the location that is returned.
fn located(folder: &Folder) -> String {
    if let Some(url) = folder.files.as_string() {
        return at_address(&url);
    }
    let list: Vec<JsValue> = js_sys::Array::from(&folder.files).to_vec();
    let pair = |pair: &[JsValue]| match pair {
        [path, file] => Some((path.as_string()?, file.clone().dyn_into().ok()?)),
        _ => None,
    };
    pick(&folder.name, list.chunks(2).filter_map(pair))
}

/// A device, and where its weights come from.
pub struct Place {
    device: PageDevice,
    /// URL of the weights that make masks unless others are opened; `None`: another worker makes them.
    segmenter: Option<String>,
    /// Where the model that was opened is, and what is run with it.
    model: Vec<String>,
}

impl Place {
    /// Takes the device that was asked for, and says which it is and why.
    ///
    /// # Errors
    /// [`Error::Device`] where a GPU was asked for by name and there is none.
    pub async fn take(
        choice: DeviceChoice,
        segmenter: Option<String>,
        addresses: Addresses,
    ) -> Result<Self> {
        let device = device(choice, addresses).await?;
        Ok(Self {
            device,
            segmenter,
            model: Vec::new(),
        })
    }

    /// Whether masks are made here.
    pub fn makes_masks(&self) -> bool {
        self.segmenter.is_some()
    }

    /// Has masks made with the weights in a file, or with those that belong to the page; says what they are called.
    ///
    /// # Errors
    /// [`Error::Model`] for what are no weights: then there is nothing that makes masks.
    pub async fn take_segmenter(&mut self, file: Option<&File>) -> Result<String> {
        // The old one's memory first.
        self.device.drop_segmenter();
        let weights = match file {
            Some(file) => read(file).await?,
            None => {
                let mut progress = |done, total| {
                    let part = "what finds things".to_owned();
                    loading(JobEvent::Loading { part, done, total });
                };
                let address = self.segmenter.as_deref().unwrap_or_default();
                Weights::open(address, &mut progress).await?
            }
        };
        self.device.take_segmenter(&weights, &mut |_| {}).await
    }

    /// Takes the model in a folder for [`Maker::Opened`], in place of the one before; with it the weights of its UNet in a file of
    /// a second folder, and the ControlNet in a third one.
    ///
    /// # Errors
    /// Those of [`PageDevice::open_model`]; the one before is kept then.
    pub async fn open_model(
        &mut self,
        model: &Folder,
        unet: Option<&(Folder, String)>,
        controlnet: Option<&Folder>,
    ) -> Result<ModelData> {
        let mut taken = Vec::new();
        let mut take = |folder: &Folder| {
            let location = located(folder);
            taken.push(location.clone());
            location
        };
        let locations = Locations {
            model: take(model),
            unet: unet.map(|(folder, file)| format!("{}/{file}", take(folder))),
            controlnet: controlnet.map(take),
        };
        match self.device.open_model(&locations).await {
            Ok(Opened { about, bytes }) => {
                for before in std::mem::replace(&mut self.model, taken) {
                    let_go(&before);
                }
                Ok(ModelData {
                    name: about.name,
                    bytes,
                    settings: about.settings,
                })
            }
            Err(error) => {
                for location in taken {
                    let_go(&location);
                }
                Err(error)
            }
        }
    }

    /// How the opened model would run a job, in words.
    ///
    /// # Errors
    /// Those of [`PageDevice::foresee`].
    pub fn foresee(&self, job: &Job) -> Result<String> {
        self.device.foresee(job)
    }

    /// Looks at a picture, for clicks to come.
    ///
    /// # Errors
    /// Those of [`PageDevice::look`].
    pub async fn look(&mut self, picture: &Picture, cancel: &Cancel) -> Result<()> {
        let mut tell = |event| tell(Of::Picture, event);
        self.device.look(picture, cancel, &mut tell).await
    }

    /// Whether a mask in a picture takes a moment only.
    pub fn has_seen(&self, picture: &Picture) -> bool {
        self.device.has_seen(picture)
    }

    /// The mask of what was clicked.
    ///
    /// # Errors
    /// Those of [`PageDevice::segment`].
    pub async fn segment(&mut self, job: &ClickJob, cancel: &Cancel) -> Result<Mask> {
        let mut tell = |event| tell(Of::Picture, event);
        self.device.segment(job, cancel, &mut tell).await
    }

    /// The joints of the person under a mask.
    ///
    /// # Errors
    /// Those of [`PageDevice::joints`].
    pub async fn joints(&mut self, picture: &Picture, mask: &Mask) -> Result<Skeleton> {
        self.device.joints(picture, mask).await
    }

    /// The parts of the person under a mask.
    ///
    /// # Errors
    /// Those of [`PageDevice::parts`].
    pub async fn parts(&mut self, picture: &Picture, mask: &Mask) -> Result<Vec<(Part, Mask)>> {
        self.device.parts(picture, mask).await
    }

    /// What is shown while paths are drawn.
    ///
    /// # Errors
    /// Those of [`PageDevice::prepare`].
    pub async fn prepare(&self, scene: &Scene, cancel: &Cancel) -> Result<Prepared> {
        self.device.prepare(scene, cancel).await
    }

    /// What the device is good for; each layer is told to the page.
    ///
    /// # Errors
    /// Those of [`PageDevice::measure`].
    pub async fn measure(&self, cancel: &Cancel) -> Result<Measures> {
        let mut tell = |layer: &Measured, done, total| {
            let layer = layer.clone();
            post(&FromWorker::Layer { layer, done, total });
        };
        self.device.measure(cancel, &mut tell).await
    }

    /// Makes frames between those of a video; what is said of it goes to the page under its number.
    ///
    /// # Errors
    /// Those of [`PageDevice::smooth`].
    pub async fn smooth(
        &mut self,
        number: u64,
        video: &Video,
        factor: u32,
        cancel: &Cancel,
    ) -> Result<Video> {
        let mut tell = |event| pass_on(number, event);
        self.device.smooth(video, factor, cancel, &mut tell).await
    }

    /// Runs a job; what it says goes to the page under its number.
    ///
    /// # Errors
    /// Those of [`PageDevice::run`].
    pub async fn generate(
        &mut self,
        number: u64,
        job: &Job,
        maker: Maker,
        cancel: &Cancel,
    ) -> Result<Video> {
        #[cfg(feature = "wgpu")]
        with(|s| {
            if let Some(presenter) = &mut s.presenter {
                presenter.begin(&job.scene);
            }
        });
        let mut heard = Heard { number };
        self.device.run(job, maker, cancel, &mut heard).await
    }
}

/// The device that was asked for; the page is told which it is and why.
async fn device(choice: DeviceChoice, addresses: Addresses) -> Result<PageDevice> {
    let why = match choice {
        DeviceChoice::Cpu => "the CPU was asked for".to_owned(),
        _ => {
            let emulated = choice == DeviceChoice::WebGpu;
            match gpu_device(emulated, &addresses).await {
                Ok(device) => return Ok(device),
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
    Ok(PageDevice::cpu(addresses))
}

/// The GPU, an emulated one only if `emulated`; the page is told.
#[cfg(feature = "wgpu")]
async fn gpu_device(
    emulated: bool,
    addresses: &Addresses,
) -> std::result::Result<PageDevice, NoGpu> {
    let canvas = with(|s| s.canvas.take());
    let gpu = gpu::open(canvas, emulated, |why| post(&FromWorker::Lost(why))).await?;
    let (name, device) = (gpu.name.clone(), gpu.burn.clone());
    let piece = gpu.device.limits().max_storage_buffer_binding_size;
    let why = "the browser offers this graphics adapter".to_owned();
    post(&FromWorker::Device {
        gpu: true,
        name: name.clone(),
        why,
    });
    with(|s| s.presenter = Presenter::new(gpu));
    Ok(PageDevice::gpu(device, name, piece, addresses.clone()))
}

/// A module without GPUs is started where none is worth using.
#[cfg(not(feature = "wgpu"))]
async fn gpu_device(
    emulated: bool,
    _addresses: &Addresses,
) -> std::result::Result<PageDevice, NoGpu> {
    let name = adapter::usable(emulated).await?;
    Err(NoGpu::None(format!(
        "this part of the page cannot use {name}"
    )))
}

/// Passes on what is said while the weights that make masks are read.
fn loading(event: JobEvent) {
    tell(Of::Start, event);
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

impl Observer<Shown> for Heard {
    fn event(&mut self, event: JobEvent) {
        pass_on(self.number, event);
    }

    #[cfg(feature = "wgpu")]
    fn frames(&mut self, frames: &Tensor<Shown, 4>, _step: Option<u32>) {
        let shown = with(|s| s.presenter.as_mut().map(|p| p.take(frames.clone())));
        if let Some(frames) = shown {
            post(&FromWorker::OnGpu {
                number: self.number,
                frames,
            });
        }
    }

    #[cfg(feature = "wgpu")]
    fn wants_previews(&self) -> bool {
        with(|s| s.presenter.is_none())
    }
}
