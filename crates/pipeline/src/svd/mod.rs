//! Stable Video Diffusion as it was published: `diffusers.StableVideoDiffusionPipeline`, stage by stage.
//!
//! Each stage takes the one network it needs by reference, so that a caller with little memory loads
//! and drops them in turn: image encoder ([`SvdConfig::embed`]), VAE ([`image_latents`]), UNet
//! ([`prepare`] and [`Sampler::from_noise`], with or without a ControlNet), VAE again ([`decode`]).
//! [`Svd::run`] does that.

mod colours;
mod config;
mod follow;

pub use config::{SvdConfig, published_settings};

use crate::at_once::AtOnce;
use crate::engine::{Observer, added_time_ids, loading};
use crate::memory::{MemoryLimits, MemoryPlan};
use crate::noise::noise;
use crate::plan::{conditions, to_unit};
use crate::sample::{ReferenceLatents, Sampler};
use crate::steer::{Steer, Steered};
use crate::transfer::{pause, pictures, read, settle, unless_cancelled, video};
use burn::tensor::module::avg_pool2d;
use burn::tensor::{Tensor, backend::Backend};
use colours::LatentColours;
use config::{IMAGE_ENCODER, UNET, VAE};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::event::Preview;
use dragentity_core::job::Reference;
use dragentity_core::scene::Control;
use dragentity_core::scene::picture::model_size;
use dragentity_core::scheduler::guidance_per_frame;
use dragentity_core::{Cancel, Job, JobEvent, Video};
use dragentity_networks::dragentity::condition::ConditionInput;
use dragentity_networks::dragentity::denoiser::Prepared;
use dragentity_networks::svd::vae::AutoencoderKLTemporalDecoder;
use dragentity_networks::weights::{ModelDir, Numbers, WeightType, Weights};

/// A video has about this many pixels squared, where its size is not given: 576 x 320.
const SAMPLE_SIDE: u32 = 429;
/// Sides of its own choice are multiples of this many pixels: the VAE's 8 times the UNet's 8.
const SIZE_MULTIPLE: u32 = 64;

/// The latents of the first frame as the UNet sees them: of the picture with a little noise, and, unlike
/// those that are denoised, not scaled.
///
/// # Shapes
/// - `picture`: `[n, 3, height, width]`, -1..1
/// - `noise`: the same, of mean 0 and deviation 1; `strength` is what it is multiplied with
/// - output: `[n, latent_channels, height / factor, width / factor]`
pub fn image_latents<B: Backend>(
    vae: &AutoencoderKLTemporalDecoder<B>,
    picture: Tensor<B, 4>,
    noise: Tensor<B, 4>,
    strength: f64,
) -> Tensor<B, 4> {
    vae.encode(picture + noise * strength).0
}

/// What stays the same at every step: the picture's latents in every frame, and its embedding. A caller
/// who steers sets [`Prepared::steering`].
///
/// # Shapes
/// - `embedding`: `[n, 1, dim]`, from [`SvdConfig::embed`]
/// - `image_latents`: `[n, channels, height, width]`, from [`image_latents`]
/// - `added_time_ids`: `[n, 3]`, from [`added_time_ids`]
pub fn prepare<'a, B: Backend>(
    embedding: Tensor<B, 3>,
    image_latents: Tensor<B, 4>,
    frames: usize,
    added_time_ids: Tensor<B, 2>,
) -> Prepared<'a, B> {
    let [n, channels, height, width] = image_latents.dims();
    Prepared {
        image_latents: image_latents
            .unsqueeze_dim::<5>(1)
            .expand([n, frames, channels, height, width]),
        tokens: embedding,
        added_time_ids,
        steering: None,
    }
}

/// The frames of one video, `at_once` of them decoded together: more look smoother and take more memory.
///
/// # Shapes
/// - `latents`: `[1, frames, channels, height, width]`, from the sampler
/// - output: pieces of `[up to at_once, 3, height * factor, width * factor]`, about -1 to 1, computed as
///   they are asked for
pub fn decode<B: Backend>(
    config: &SvdConfig,
    vae: &AutoencoderKLTemporalDecoder<B>,
    latents: Tensor<B, 5>,
    at_once: usize,
) -> impl Iterator<Item = Tensor<B, 4>> {
    let latents = config.vae.denormalize(latents.flatten(0, 1));
    vae.decode_in_chunks(latents, at_once)
}

/// A published model, whose networks are loaded when their turn comes: never two of image encoder and UNet at
/// once, the VAE (small beside them) throughout.
pub struct Svd<B: Backend> {
    dir: ModelDir,
    config: SvdConfig,
    limits: MemoryLimits,
    /// Where the UNet's weights are, if not in the directory.
    unet: Option<String>,
    steer: Option<Steer>,
    /// Makes what is followed.
    at_once: AtOnce,
    device: B::Device,
    device_name: String,
}

impl<B: Backend> Svd<B> {
    /// Reads the configurations of a model directory or URL.
    ///
    /// # Errors
    /// As [`SvdConfig::read`].
    pub async fn open(location: &str, device: B::Device, device_name: String) -> Result<Self> {
        let dir = ModelDir::new(location);
        Ok(Self {
            config: SvdConfig::read(&dir).await?,
            unet: None,
            steer: None,
            at_once: AtOnce::default(),
            dir,
            limits: MemoryLimits::default(),
            device,
            device_name,
        })
    }

    /// Each job is run as suits its size and `limits`. The VAE stays in `f32`, as a half overflows in the published
    /// one (`force_upcast`), and it is small.
    pub fn within(self, limits: MemoryLimits) -> Self {
        Self { limits, ..self }
    }

    /// The weights of UNet and image encoder are held in `dtype`, whatever memory there is.
    pub fn with_dtype(self, dtype: impl Into<WeightType>) -> Self {
        self.within(MemoryLimits {
            dtypes: vec![dtype.into()],
            ..MemoryLimits::default()
        })
    }

    /// Takes the UNet's weights from this file or URL instead, under the same names.
    pub fn with_unet(self, unet: Option<String>) -> Self {
        Self { unet, ..self }
    }

    /// Entities follow their trajectories by `steer`.
    ///
    /// # Errors
    /// As [`Steer::check`].
    pub fn steered_by(self, steer: Steer) -> Result<Self> {
        steer.check(&self.config)?;
        Ok(Self {
            steer: Some(steer),
            ..self
        })
    }

    /// The configurations.
    pub fn config(&self) -> &SvdConfig {
        &self.config
    }

    /// Makes a video that starts from the job's picture.
    ///
    /// # Errors
    /// [`Error::Job`] for a scene without a picture or with paths that cannot be followed, for a control that there are no
    /// weights for, and for settings or a size out of range; [`Error::Model`] for weights that do not load,
    /// [`Error::Cancelled`] within one step of being cancelled, [`Error::Device`] when the device fails.
    pub async fn run(
        &self,
        job: &Job,
        cancel: &Cancel,
        observer: &mut dyn Observer<B>,
    ) -> Result<Video> {
        let (picture, settings) = (&job.scene.picture, &job.settings);
        settings.check()?;
        if picture.is_empty() {
            return Err(Error::Job("there is no picture yet: open one first".into()));
        }
        let size = self.size(job)?;
        let control = self.control(job)?;
        let steering = self.steering(job, control, size)?;
        let (config, dir, device) = (&self.config, &self.dir, &self.device);
        let frames = settings.frames as usize;
        let beside = match &steering {
            Some((steer, _)) => steer.numbers::<B>(device)?,
            None => Numbers::default(),
        };
        let plan = self.plan(size, frames, beside)?;
        let steering = steering.map(|(steer, input)| (steer.clone().with_dtype(plan.dtype), input));
        let in_dtype = &dir.clone().with_dtype(plan.dtype);
        let clocks = follow::Clocks::new(settings, control);
        let (left_out, steps) = (clocks.weak, settings.steps - clocks.weak);
        let scheduler = config
            .scheduler
            .schedule(settings.sampler, settings.steps as usize)?;
        let [first, last] = [settings.min_guidance, settings.max_guidance].map(f64::from);
        let guidance = guidance_per_frame(first, last, frames);
        observer.event(JobEvent::Plan {
            width: size[0],
            height: size[1],
            frames: settings.frames,
            steps,
            device: format!("{}, {}", self.device_name, plan.describe(self.limits.free)),
        });

        let reference = match control.has_reference() {
            true => Some(self.reference(job, size, cancel, observer).await?),
            false => None,
        };
        if let Some(reference) = &reference {
            // What the model departs from is the first look at what it will make.
            let preview = Preview::new(reference.video.clone());
            observer.event(JobEvent::Preview(preview));
        }
        let encoder = {
            let progress = &mut loading(observer, IMAGE_ENCODER);
            let loaded = config.load_image_encoder(in_dtype, device, progress);
            unless_cancelled(cancel, loaded).await?
        };
        observer.event(JobEvent::Encoding);
        pause(cancel).await?;
        let embedding = config.embed(&encoder, picture, device)?;
        settle(embedding.clone()).await?;
        drop(encoder);
        let vae = {
            let progress = &mut loading(observer, VAE);
            unless_cancelled(cancel, config.load_vae(dir, device, progress)).await?
        };
        pause(cancel).await?;
        let [width, height] = size.map(|side| side as usize);
        let pixels = to_unit(&picture.resized_by_lanczos(size[0], size[1]));
        let pixels = pictures(&[pixels], width, height, device);
        // Other noise than the latents start from.
        let grain = noise(settings.seed.wrapping_add(1), pixels.dims(), device);
        let strength = f64::from(settings.noise_augmentation);
        let latents = image_latents(&vae, pixels.clone(), grain, strength);
        settle(latents.clone()).await?;
        let colours = self.colours(&latents, &pixels).await?;
        pause(cancel).await?;
        let reference = match reference {
            Some(reference) => {
                let video = &reference.video;
                let encoded = follow::encoded(config, &vae, video, size, device, cancel).await?;
                Some((
                    encoded,
                    follow::mask(&reference.closely, config, size, device),
                ))
            }
            None => None,
        };
        let features_seed = settings.seed.wrapping_add(2);
        let mut features = None;
        if let Some((steer, _)) = &steering {
            features = steer
                .stable_diffusion_features(pixels, features_seed, cancel, observer)
                .await?;
        }

        let unet = {
            let progress = &mut loading(observer, UNET);
            let loaded = async {
                let Some(file) = &self.unet else {
                    return config.load_unet(in_dtype, device, progress).await;
                };
                let weights = Weights::open(file, progress).await?;
                let network = config.unet.init(device)?;
                Ok(weights.load_with(network, plan.dtype, progress).await?.0)
            };
            unless_cancelled(cancel, loaded).await?
        };
        pause(cancel).await?;
        let [_, channels, height, width] = latents.dims();
        let start = noise(settings.seed, [1, frames, channels, height, width], device);
        let ids = added_time_ids(
            settings.fps,
            settings.motion_bucket,
            settings.noise_augmentation,
            1,
            device,
        );
        let steered = match &steering {
            None => None,
            Some((steer, input)) => {
                let features = match features {
                    Some(features) => features,
                    None => {
                        let one = prepare(embedding.clone(), latents.clone(), 1, ids.clone());
                        let clean = config.vae.normalize(latents.clone());
                        steer.video_features(&unet, &one, clean, features_seed)?
                    }
                };
                Some(steer.prepare(input, features, cancel, observer).await?)
            }
        };
        let mut prepared = prepare(embedding, latents, frames, ids);
        prepared.steering = steered.as_ref().map(Steered::steering);
        let mut sampler = match reference {
            None => Sampler::from_noise(&unet, prepared, scheduler, &guidance, start),
            Some((latents, mask)) => {
                let reference = ReferenceLatents {
                    latents,
                    mask,
                    weak: left_out as usize,
                    strong: clocks.strong as usize,
                };
                Sampler::following(&unet, prepared, scheduler, &guidance, start, reference)
            }
        };
        // Other noise than what the reference and the features have.
        let seed = settings.seed.wrapping_add(16);
        sampler = sampler.with_fresh_noise(move |step, shape| {
            noise(seed.wrapping_add(step as u64), shape, device)
        });
        for step in 1..=steps {
            let clean = sampler.advance();
            match &colours {
                Some(colours) => {
                    let preview = colours.apply(clean.flatten(0, 1));
                    observer.frames(&preview, Some(step));
                    if observer.wants_previews() {
                        let preview = Preview::new(video(preview, settings.fps).await?);
                        observer.event(JobEvent::Preview(preview));
                    } else {
                        settle(preview).await?;
                    }
                }
                None => settle(clean).await?,
            }
            observer.event(JobEvent::Step { step, steps });
            pause(cancel).await?;
        }
        let latents = sampler.sample();
        drop(sampler);
        drop(steered);
        drop(unet);

        let mut decoded = Vec::new();
        for piece in decode(config, &vae, latents, plan.decode_at_once) {
            settle(piece.clone()).await?;
            decoded.push(piece);
            observer.event(JobEvent::Decoding {
                done: (decoded.len() * plan.decode_at_once).min(frames) as u32,
                total: settings.frames,
            });
            pause(cancel).await?;
        }
        let frames = Tensor::cat(decoded, 0);
        observer.frames(&frames, None);
        video(frames, settings.fps).await
    }

    /// [`SvdConfig::check_weights`] of its directory, with those of what else it is run with.
    ///
    /// # Errors
    /// Those, and those of [`Steer::check_weights`].
    pub async fn check_weights(&self) -> Result<u64> {
        let (config, device) = (&self.config, &self.device);
        let own = config.check_weights::<B>(&self.dir, self.unet.as_deref(), device);
        let beside = match &self.steer {
            Some(steer) => steer.check_weights::<B>(device).await?,
            None => 0,
        };
        Ok(own.await? + beside)
    }

    /// How a job would be run, in words.
    ///
    /// # Errors
    /// Those that [`Self::run`] begins with.
    pub fn foresee(&self, job: &Job) -> Result<String> {
        job.settings.check()?;
        let size = self.size(job)?;
        let beside = match &self.steer {
            Some(steer) => steer.numbers::<B>(&self.device)?,
            None => Numbers::default(),
        };
        let plan = self.plan(size, job.settings.frames as usize, beside)?;
        Ok(plan.describe(self.limits.free))
    }

    /// The best way to make a video of `size` pixels beside a ControlNet of such weights.
    fn plan(&self, size: [u32; 2], frames: usize, beside: Numbers) -> Result<MemoryPlan> {
        let (config, limits) = (&self.config, &self.limits);
        let plans = MemoryPlan::all::<B>(config, size, frames, beside, limits, &self.device)?;
        MemoryPlan::choose(&plans, limits, &self.device_name)
    }

    /// How latents look, by the picture's own, `[1, channels, height, width]`, and its pixels, `[1, 3, height, width]`.
    async fn colours(
        &self,
        latents: &Tensor<B, 4>,
        pixels: &Tensor<B, 4>,
    ) -> Result<Option<LatentColours<B>>> {
        let side = self.config.vae.factor();
        let small = avg_pool2d(pixels.clone(), [side; 2], [side; 2], [0; 2], true, false);
        let small = read(small.permute([0, 2, 3, 1])).await?;
        let latents = read(self.config.vae.normalize(latents.clone())).await?;
        Ok(LatentColours::fit(&latents, &small, &self.device))
    }

    /// What moves things in a job.
    fn control(&self, job: &Job) -> Result<Control> {
        let moves = job.scene.moves();
        let usual = match (&job.reference, &self.steer) {
            (None, _) if !moves => Control::None,
            (None, Some(_)) => Control::Controlnet,
            _ => Control::Reference,
        };
        let control = job.settings.control.unwrap_or(usual);
        if control.has_controlnet() && self.steer.is_none() {
            return Err(Error::Job(format!(
                "{} has no ControlNet: name one with --controlnet, or choose the control reference, which needs none",
                self.dir.location()
            )));
        }
        let unmoved = !moves && job.reference.is_none();
        Ok(if unmoved { Control::None } else { control })
    }

    /// What a job's video is to follow: what it brings, or what is made of its scene at once.
    async fn reference(
        &self,
        job: &Job,
        size: [u32; 2],
        cancel: &Cancel,
        observer: &mut dyn Observer<B>,
    ) -> Result<Reference> {
        if let Some(brought) = &job.reference {
            return Reference::clone(brought).with_frames(job.settings.frames as usize);
        }
        let mut hear = |event| observer.event(event);
        self.at_once.reference(job, size, cancel, &mut hear).await
    }

    /// What steers a job, and its entities at the video's size; `None` where no ControlNet does.
    fn steering(
        &self,
        job: &Job,
        control: Control,
        size: [u32; 2],
    ) -> Result<Option<(&Steer, ConditionInput)>> {
        let Some(steer) = self.steer.as_ref().filter(|_| control.has_controlnet()) else {
            return Ok(None);
        };
        job.scene.check()?;
        steer.check_asked(job.settings.representation)?;
        let [width, height] = size;
        let frames = job.settings.frames as usize;
        let input = conditions(job, width, height, frames, steer.max_entities());
        steer.check_input(&input, &self.config)?;
        Ok(Some((steer, input)))
    }

    /// Width and height of the job's video in pixels.
    fn size(&self, job: &Job) -> Result<[u32; 2]> {
        let factor = self.config.vae.factor() as u32;
        let picture = &job.scene.picture;
        let Some(size) = job.settings.size else {
            let multiple = SIZE_MULTIPLE.max(factor);
            let (width, height) = model_size(picture.width, picture.height, SAMPLE_SIDE, multiple);
            return Ok([width, height]);
        };
        if size.iter().all(|side| side.is_multiple_of(factor)) {
            return Ok(size);
        }
        let [width, height] = size;
        Err(Error::Job(format!(
            "a video of {width} x {height} pixels cannot be made: choose multiples of {factor}, best 576 x 320 or \
             1024 x 576"
        )))
    }
}
