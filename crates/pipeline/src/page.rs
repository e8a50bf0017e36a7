//! A page's device and what is loaded onto it: what makes masks first, the model and what finds people's joints when they are
//! first needed. No generics: the networks are compiled for both backends here, once, and a change to the page does not compile
//! them again.

use crate::at_once::{AtOnce, Prepared};
use crate::engine::{Engine, Observer};
use crate::interpolate::Interpolator;
use crate::measure::{Measures, Progress, measure};
use crate::model::{About, ControlNetSource, Model, ModelOptions};
use crate::pose::PoseFinder;
use crate::segmenter::Segmenter;
use crate::transfer::pause;
#[cfg(feature = "wgpu")]
use burn::backend::wgpu::WgpuDevice;
use burn::tensor::backend::Backend;
use dragentity_core::scene::{Mask, Part, Picture, Scene, Skeleton};
use dragentity_core::scheduler::SamplerKind;
use dragentity_core::{Cancel, ClickJob, Error, Job, JobEvent, Result, Video};
#[cfg(feature = "wgpu")]
use dragentity_networks::device::Gpu;
use dragentity_networks::device::{Cpu, cpu_device_name};
use dragentity_networks::weights::{WeightType, Weights};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;

/// Work that goes on while the page lives: it gives way to others between its steps. Boxed, since a future whose type others
/// see is compiled where it is waited for.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// Where the frames are that an observer of [`PageDevice::run`] is shown.
#[cfg(feature = "wgpu")]
pub type Shown = Gpu;
/// The same in a module without GPUs, which shows none.
#[cfg(not(feature = "wgpu"))]
pub type Shown = Cpu;

/// A device and what is loaded onto it.
pub struct PageDevice {
    place: Place,
    at_once: AtOnce,
}

/// Where what is loaded when it is first needed comes from.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Of the model's directory.
    pub model: String,
    /// Of the weights that find people's joints.
    pub pose: String,
    /// Of the weights that make frames between others.
    pub interpolator: String,
}

/// What makes a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Maker {
    /// No network, see [`AtOnce`].
    AtOnce,
    /// The model at the device's address.
    Model,
    /// The model that was opened, see [`PageDevice::open_model`].
    Opened,
}

/// Where a model that somebody opens is, and what is run with it.
#[derive(Clone, Debug, Default)]
pub struct Locations {
    /// Its directory.
    pub model: String,
    /// A file of weights of its UNet that were distilled for few steps, instead of its own: AnimateLCM's.
    pub unet: Option<String>,
    /// The directory of a ControlNet.
    pub controlnet: Option<String>,
}

/// What is known of a model that was opened.
pub struct Opened {
    /// What it says of itself.
    pub about: About,
    /// How many bytes its weights are, unless they are loaded by now.
    pub bytes: Option<u64>,
}

/// A wasm module's memory ends here, in bytes.
const HEAP: u64 = 1 << 32;

enum Place {
    Cpu(Box<On<Cpu>>),
    #[cfg(feature = "wgpu")]
    Gpu(Box<On<Gpu>>),
}

/// What a device says of its memory.
enum Memory {
    /// It is the module's own.
    Heap,
    /// Browsers do not tell how much a GPU has, only how large a piece of it may be, in bytes.
    #[cfg(feature = "wgpu")]
    Pieces(u64),
}

struct On<B: Backend> {
    device: B::Device,
    name: String,
    addresses: Addresses,
    /// What the weights of networks that somebody opens are held in; `None`: the best that there is memory for.
    dtype: Option<WeightType>,
    memory: Memory,
    segmenter: Option<Segmenter<B>>,
    engine: Option<Engine<B>>,
    opened: Option<Model<B>>,
    pose: Option<PoseFinder<B>>,
    interpolator: Option<Interpolator<B>>,
}

/// Calls the same on either device.
macro_rules! on_either {
    ($self:expr, $on:ident => $work:expr) => {
        match $self {
            Place::Cpu($on) => $work,
            #[cfg(feature = "wgpu")]
            Place::Gpu($on) => $work,
        }
    };
}

impl PageDevice {
    /// The CPU, and the addresses of what will be loaded onto it.
    pub fn cpu(addresses: Addresses) -> Self {
        let name = cpu_device_name();
        Self {
            place: Place::Cpu(On::new(Default::default(), name, Memory::Heap, addresses)),
            at_once: AtOnce::default(),
        }
    }

    /// A GPU that Burn knows, called `name` in words, which gives pieces of memory of up to `piece` bytes, and the addresses of what
    /// will be loaded onto it.
    #[cfg(feature = "wgpu")]
    pub fn gpu(device: WgpuDevice, name: String, piece: u64, addresses: Addresses) -> Self {
        Self {
            place: Place::Gpu(On::new(device, name, Memory::Pieces(piece), addresses)),
            at_once: AtOnce::default(),
        }
    }

    /// Has masks made with these weights, and says what they are called.
    ///
    /// # Errors
    /// Those of [`Segmenter::load`]; there is none then.
    pub fn take_segmenter<'a>(
        &'a mut self,
        weights: &'a Weights,
        on_event: &'a mut dyn FnMut(JobEvent),
    ) -> Work<'a, String> {
        Box::pin(async move {
            on_either!(&mut self.place, on => on.take_segmenter(weights, on_event).await)
        })
    }

    /// Drops what makes masks, so that there is room for another.
    pub fn drop_segmenter(&mut self) {
        on_either!(&mut self.place, on => on.segmenter = None);
    }

    /// [`Segmenter::look`].
    ///
    /// # Errors
    /// Those, and [`Error::Model`] where nothing makes masks.
    pub fn look<'a>(
        &'a mut self,
        picture: &'a Picture,
        cancel: &'a Cancel,
        on_event: &'a mut dyn FnMut(JobEvent),
    ) -> Work<'a, ()> {
        Box::pin(async move {
            on_either!(&mut self.place, on => on.segmenter()?.look(picture, cancel, on_event).await)
        })
    }

    /// [`Segmenter::has_seen`].
    pub fn has_seen(&self, picture: &Picture) -> bool {
        on_either!(&self.place, on => on.segmenter.as_ref().is_some_and(|s| s.has_seen(picture)))
    }

    /// [`Segmenter::segment`].
    ///
    /// # Errors
    /// Those, and [`Error::Model`] where nothing makes masks.
    pub fn segment<'a>(
        &'a mut self,
        job: &'a ClickJob,
        cancel: &'a Cancel,
        on_event: &'a mut dyn FnMut(JobEvent),
    ) -> Work<'a, Mask> {
        Box::pin(async move {
            on_either!(&mut self.place, on => on.segmenter()?.segment(job, cancel, on_event).await)
        })
    }

    /// The joints of the person under a mask ([`PoseFinder::find`]).
    ///
    /// # Errors
    /// Those, and those of [`PoseFinder::load`].
    pub fn joints<'a>(&'a mut self, picture: &'a Picture, mask: &'a Mask) -> Work<'a, Skeleton> {
        Box::pin(async move {
            on_either!(&mut self.place, on => on.pose().await?.find(picture, mask).await)
        })
    }

    /// The parts of the person under a mask ([`PoseFinder::parts`]).
    ///
    /// # Errors
    /// Those, and those of [`PoseFinder::load`].
    pub fn parts<'a>(
        &'a mut self,
        picture: &'a Picture,
        mask: &'a Mask,
    ) -> Work<'a, Vec<(Part, Mask)>> {
        Box::pin(async move {
            on_either!(&mut self.place, on => on.pose().await?.parts(picture, mask).await)
        })
    }

    /// Makes frames between those of a video ([`Interpolator::smooth`]).
    ///
    /// # Errors
    /// Those, and those of [`Interpolator::load`].
    pub fn smooth<'a>(
        &'a mut self,
        video: &'a Video,
        factor: u32,
        cancel: &'a Cancel,
        on_event: &'a mut dyn FnMut(JobEvent),
    ) -> Work<'a, Video> {
        Box::pin(async move {
            on_either!(&mut self.place, on => {
                let interpolator = on.interpolator(&mut *on_event).await?;
                interpolator.smooth(video, factor, cancel, on_event).await
            })
        })
    }

    /// What the device is good for ([`measure`]).
    ///
    /// # Errors
    /// Those.
    pub fn measure<'a>(&'a self, cancel: &'a Cancel, progress: Progress<'a>) -> Work<'a, Measures> {
        Box::pin(async move { on_either!(&self.place, on => on.measure(cancel, progress).await) })
    }

    /// What is shown while paths are drawn, see [`AtOnce::prepare`].
    ///
    /// # Errors
    /// Those.
    pub fn prepare<'a>(&'a self, scene: &'a Scene, cancel: &'a Cancel) -> Work<'a, Prepared> {
        Box::pin(async move { self.at_once.prepare(scene, cancel, &mut |_| {}).await })
    }

    /// Opens a model directory for [`Maker::Opened`], in place of the one before. Of Stable Video Diffusion, whose networks are
    /// loaded with each job, all that can be told without reading the weights is checked now.
    ///
    /// # Errors
    /// Those of [`Model::load`] and [`Svd::check_weights`](crate::svd::Svd::check_weights); the model before is kept then.
    pub fn open_model<'a>(&'a mut self, locations: &'a Locations) -> Work<'a, Opened> {
        Box::pin(async move { on_either!(&mut self.place, on => on.open_model(locations).await) })
    }

    /// How the opened model would run a job, in words; only the size of its picture and its settings matter.
    ///
    /// # Errors
    /// [`Error::Job`] and [`Error::Device`] for a job that it cannot run, or where no model is open.
    pub fn foresee(&self, job: &Job) -> Result<String> {
        on_either!(&self.place, on => match on.opened()? {
            Model::StableVideoDiffusion(svd) => Ok(format!("{}, {}", on.name, svd.foresee(job)?)),
            _ => Ok(on.name.clone()),
        })
    }

    /// Runs a job. If a model makes it, that is loaded if it is not. On a GPU the observer may look at frames where they are.
    ///
    /// # Errors
    /// Those of [`AtOnce::run`], [`Engine::load`], [`Engine::run`] and [`Model::run`].
    pub fn run<'a>(
        &'a mut self,
        job: &'a Job,
        maker: Maker,
        cancel: &'a Cancel,
        observer: &'a mut dyn Observer<Shown>,
    ) -> Work<'a, Video> {
        Box::pin(async move {
            if maker == Maker::AtOnce {
                let mut tell = |event: JobEvent| observer.event(event);
                return self.at_once.run(job, cancel, &mut tell).await;
            }
            match &mut self.place {
                Place::Cpu(on) if maker == Maker::Opened => {
                    let mut tell = |event: JobEvent| observer.event(event);
                    on.take_opened()?.run(job, cancel, &mut tell).await
                }
                #[cfg(feature = "wgpu")]
                Place::Gpu(on) if maker == Maker::Opened => {
                    on.take_opened()?.run(job, cancel, observer).await
                }
                Place::Cpu(on) => {
                    let mut tell = |event: JobEvent| observer.event(event);
                    let engine = on.engine(cancel, &mut tell).await?;
                    engine.run(job, cancel, &mut tell).await
                }
                #[cfg(feature = "wgpu")]
                Place::Gpu(on) => {
                    let mut tell = |event: JobEvent| observer.event(event);
                    let engine = on.engine(cancel, &mut tell).await?;
                    engine.run(job, cancel, observer).await
                }
            }
        })
    }
}

impl<B: Backend> On<B> {
    fn new(device: B::Device, name: String, memory: Memory, addresses: Addresses) -> Box<Self> {
        // The one place where the page chooses it. Nobody says how much memory a GPU has: in 8 bits the networks fit into most.
        let dtype = match memory {
            #[cfg(feature = "wgpu")]
            Memory::Pieces(_) => Some(WeightType::Int8),
            Memory::Heap => None,
        };
        Box::new(Self {
            device,
            name,
            addresses,
            dtype,
            memory,
            segmenter: None,
            engine: None,
            opened: None,
            pose: None,
            interpolator: None,
        })
    }

    async fn open_model(&mut self, locations: &Locations) -> Result<Opened> {
        let (free_memory, largest_piece) = match self.memory {
            Memory::Heap => (Some(HEAP - heap_taken()), None),
            #[cfg(feature = "wgpu")]
            Memory::Pieces(piece) => (None, Some(piece)),
        };
        let sampler = locations.unet.is_some().then_some(SamplerKind::Consistency);
        let controlnet = locations.controlnet.clone();
        let controlnet = controlnet.map(|location| ControlNetSource {
            location,
            features_from: None,
        });
        let options = ModelOptions {
            dtype: self.dtype,
            free_memory,
            largest_piece,
            unet: locations.unet.clone(),
            sampler,
            controlnet,
            ..ModelOptions::new(locations.model.clone())
        };
        let about = About::read(&options).await?;
        let (device, name) = (self.device.clone(), self.name.clone());
        let model = Model::load(&options, device, name, &mut |_| {}).await?;
        let bytes = match &model {
            Model::StableVideoDiffusion(svd) => Some(svd.check_weights().await?),
            _ => None,
        };
        self.opened = Some(model);
        Ok(Opened { about, bytes })
    }

    fn opened(&self) -> Result<&Model<B>> {
        self.opened.as_ref().ok_or_else(|| {
            Error::Job("no model is open: open the folder with its weights first".into())
        })
    }

    /// The model that was opened, for a job.
    fn take_opened(&mut self) -> Result<&Model<B>> {
        // The large one gets its room.
        self.engine = None;
        self.opened()
    }

    async fn take_segmenter(
        &mut self,
        weights: &Weights,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<String> {
        // The old one's memory first.
        self.segmenter = None;
        let segmenter = Segmenter::load(weights, &self.device, on_event).await?;
        Ok(self.segmenter.insert(segmenter).name())
    }

    fn segmenter(&mut self) -> Result<&mut Segmenter<B>> {
        self.segmenter.as_mut().ok_or_else(|| Error::Model {
            name: "what makes masks".into(),
            reason: "is not loaded; reload the page, or open SAM's weights in the settings".into(),
        })
    }

    async fn pose(&mut self) -> Result<&PoseFinder<B>> {
        let pose = match self.pose.take() {
            Some(pose) => pose,
            None => {
                let weights = Weights::open(&self.addresses.pose, &mut |_, _| {}).await?;
                PoseFinder::load(&weights, &self.device).await?
            }
        };
        Ok(self.pose.insert(pose))
    }

    async fn measure(&self, cancel: &Cancel, progress: Progress<'_>) -> Result<Measures> {
        measure::<B>(&self.device, self.name.clone(), cancel, progress).await
    }

    async fn interpolator(
        &mut self,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<&Interpolator<B>> {
        let interpolator = match self.interpolator.take() {
            Some(interpolator) => interpolator,
            None => {
                let place = &self.addresses.interpolator;
                Interpolator::load(place, &self.device, on_event).await?
            }
        };
        Ok(self.interpolator.insert(interpolator))
    }

    async fn engine(
        &mut self,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<&Engine<B>> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => {
                let (device, name) = (self.device.clone(), self.name.clone());
                Engine::load(&self.addresses.model, device, name, on_event).await?
            }
        };
        let engine = self.engine.insert(engine);
        // Who stops waiting for the weights has them for the next job.
        pause(cancel).await?;
        Ok(engine)
    }
}

/// How much of its memory the module has taken so far, in bytes: it never gives any back.
fn heap_taken() -> u64 {
    const PAGE: u64 = 1 << 16;
    core::arch::wasm32::memory_size::<0>() as u64 * PAGE
}
