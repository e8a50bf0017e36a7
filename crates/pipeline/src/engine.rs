//! A loaded model that runs jobs, on any backend.

use super::detail::Detail;
use super::plan::{Plan, draft_of, push_planes};
use super::sample::Sampler;
use super::transfer::{pause, pictures, settle, shrink, video};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::event::Preview;
use dragentity_core::scene::draft::Holes;
use dragentity_core::scheduler::{EulerDiscreteScheduler, guidance_per_frame};
use dragentity_core::{Cancel, Job, JobEvent, Video};
use dragentity_networks::dragentity::bundle::Bundle;
use dragentity_networks::dragentity::condition::{ConditionBatch, ConditionInput};
use dragentity_networks::dragentity::denoiser::{DenoiserInputs, Prepared, ResidualBase};

/// Frames that the VAE decodes at once: as many as the published pipeline, and enough for its
/// temporal layers.
pub const DECODE_CHUNK: usize = 8;

/// Hears what a job says, and may look at frames where they are: on the device.
pub trait Observer<B: Backend> {
    /// What the job says.
    fn event(&mut self, event: JobEvent);
    /// Frames on the device, `[frames, 3, height, width]` in -1..1: a preview after step `step`, or
    /// the result when `step` is `None`.
    fn frames(&mut self, frames: &Tensor<B, 4>, step: Option<u32>) {
        let _ = (frames, step);
    }
    /// Whether previews are to be read back from the device as [`JobEvent::Preview`].
    fn wants_previews(&self) -> bool {
        true
    }
}

impl<B: Backend, F: FnMut(JobEvent)> Observer<B> for F {
    fn event(&mut self, event: JobEvent) {
        self(event);
    }
}

/// A loaded model.
pub struct Engine<B: Backend> {
    bundle: Bundle<B>,
    device_name: String,
}

impl<B: Backend> Engine<B> {
    /// Loads a model directory or URL.
    ///
    /// # Errors
    /// [`Error::Model`] naming what is missing or damaged.
    pub async fn load(
        location: &str,
        device: B::Device,
        device_name: String,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Self> {
        let bundle = Bundle::load(location, &device, &mut |part, done, total| {
            observer(JobEvent::Loading {
                part: part.to_owned(),
                done,
                total,
            });
        })
        .await?;
        Ok(Self {
            bundle,
            device_name,
        })
    }

    /// The model.
    pub fn bundle(&self) -> &Bundle<B> {
        &self.bundle
    }

    /// Runs a job. Frames of the result are `[height, width, 3]` bytes at the model's size times its
    /// output scale.
    ///
    /// # Errors
    /// [`Error::Job`] for a job that asks for nothing or too much, [`Error::Cancelled`] within one
    /// step of being cancelled, [`Error::Device`] when the device fails.
    pub async fn run(
        &self,
        job: &Job,
        cancel: &Cancel,
        observer: &mut dyn Observer<B>,
    ) -> Result<Video> {
        let config = &self.bundle.config;
        let plan = Plan::new(job, &config.index)?;
        let scheduler =
            EulerDiscreteScheduler::new(config.scheduler.clone(), job.settings.steps as usize)?;
        let guidance = guidance_per_frame(
            job.settings.min_guidance as f64,
            job.settings.max_guidance as f64,
            plan.frames,
        );
        if guidance.iter().any(|g| !g.is_finite()) {
            return Err(Error::Job("guidance must be a number: use 1 to 3".into()));
        }
        observer.event(JobEvent::Plan {
            width: (plan.width * plan.scale) as u32,
            height: (plan.height * plan.scale) as u32,
            frames: plan.frames as u32,
            steps: job.settings.steps,
            device: self.device_name.clone(),
        });
        observer.event(JobEvent::Encoding);
        pause(cancel).await?;

        let (prepared, base) = self.prepare(&plan, job)?;
        pause(cancel).await?;
        let detail = match &plan.detail {
            Some(frames) => Detail::new(
                frames,
                plan.width * plan.scale,
                plan.height * plan.scale,
                &self.bundle.device,
            ),
            None => Detail::none(),
        };
        let base_latents = self.bundle.denormalize(flatten(base.clone()));
        let base_preview = self.bundle.preview.forward(base_latents.clone());
        let deviation = self.bundle.residual_std();
        let mut sampler = Sampler::new(
            &self.bundle.denoiser,
            prepared,
            scheduler,
            &guidance,
            job.settings.seed,
            base.dims(),
            &self.bundle.device,
        );
        for step in 0..sampler.steps() {
            let clean = sampler.advance();
            let latents = flatten(base.clone() + clean * deviation.clone());
            let preview = detail.apply(
                self.bundle
                    .preview
                    .forward(self.bundle.denormalize(latents)),
                || base_preview.clone(),
            );
            observer.frames(&preview, Some(step as u32 + 1));
            if observer.wants_previews() {
                let video = video(preview, job.settings.fps).await?;
                observer.event(JobEvent::Preview(Preview::new(video)));
            } else {
                settle(preview).await?;
            }
            observer.event(JobEvent::Step {
                step: step as u32 + 1,
                steps: job.settings.steps,
            });
            pause(cancel).await?;
        }

        let latents = self
            .bundle
            .denormalize(flatten(base + sampler.sample() * deviation));
        let mut decoded = Vec::new();
        let mut decoded_base = Vec::new();
        let vae = &self.bundle.vae;
        let mut base = plan
            .detail
            .is_some()
            .then(|| vae.decode_in_chunks(base_latents, DECODE_CHUNK));
        let mut done = 0;
        for frames in vae.decode_in_chunks(latents, DECODE_CHUNK) {
            done += frames.dims()[0];
            decoded.push(frames);
            decoded_base.extend(base.as_mut().and_then(Iterator::next));
            observer.event(JobEvent::Decoding {
                done: done as u32,
                total: plan.frames as u32,
            });
            pause(cancel).await?;
        }
        let frames = detail.apply(Tensor::cat(decoded, 0), || Tensor::cat(decoded_base, 0));
        observer.frames(&frames, None);
        video(frames, job.settings.fps).await
    }

    /// Encodes picture and conditions; returns them and the base of the residual,
    /// `[1, frames, channels, height, width]`.
    fn prepare(&self, plan: &Plan, job: &Job) -> Result<(Prepared<'_, B>, Tensor<B, 5>)> {
        let bundle = &self.bundle;
        let device = &bundle.device;
        let index = &bundle.config.index;
        let input = pictures(
            std::slice::from_ref(&plan.picture),
            plan.width,
            plan.height,
            device,
        );
        let encoded = bundle.encoder.encode(input);
        let batch = ConditionBatch::from_inputs(
            std::slice::from_ref(&plan.input),
            plan.input.entities.len(),
            &index.condition,
            device,
        )?;
        let drafts = Drafts::new(
            &[(plan.picture.as_slice(), &plan.input)],
            index.condition.vae_factor,
        );
        let latents = drafts.encode(bundle, index.residual_base);
        let known = DenoiserInputs {
            first: latents.first,
            image_latents: latents.image,
            coverage: drafts.coverage(device),
            features: encoded.features,
            tokens: encoded.tokens,
            conditions: &batch,
            added_time_ids: added_time_ids(
                job.settings.fps,
                job.settings.motion_bucket,
                job.settings.noise_augmentation,
                1,
                device,
            ),
        };
        Ok((bundle.denoiser.prepare(known)?, latents.base))
    }
}

/// The draft of each video of a batch, drawn on the host; shared by pipeline, trainer and evaluation.
pub struct Drafts {
    batch: usize,
    frames: usize,
    width: usize,
    height: usize,
    factor: usize,
    firsts: Vec<f32>,
    drafts: Vec<f32>,
    coverage: Vec<f32>,
}

/// What [`Drafts::encode`] gives: normalized latents.
pub struct DraftLatents<B: Backend> {
    /// The first frame's, `[batch, channels, height, width]`.
    pub first: Tensor<B, 4>,
    /// What is concatenated to the noisy latents, `[batch, frames, channels, height, width]`.
    pub image: Tensor<B, 5>,
    /// What the denoised quantity is a difference to, of the same shape.
    pub base: Tensor<B, 5>,
}

impl Drafts {
    /// Draws the drafts of pictures (`[height, width, 3]`, -1..1) of one size.
    pub fn new(items: &[(&[f32], &ConditionInput)], factor: usize) -> Self {
        let (frames, width, height) = items
            .first()
            .map_or((1, factor, factor), |(_, i)| (i.frames, i.width, i.height));
        let mut drafts = Self {
            batch: items.len(),
            frames,
            width,
            height,
            factor,
            firsts: Vec::new(),
            drafts: Vec::new(),
            coverage: Vec::new(),
        };
        for (picture, input) in items {
            push_planes(picture, &mut drafts.firsts);
            let draft = draft_of(picture, input, Holes::Filled);
            for frame in 0..frames {
                push_planes(&draft.frames[frame], &mut drafts.drafts);
                for map in [&draft.coverage[frame], &draft.holes[frame]] {
                    drafts.coverage.extend(shrink(map, width, height, factor));
                }
            }
        }
        drafts
    }

    /// Coverage and holes at latent resolution, `[batch, frames, 2, height, width]`.
    pub fn coverage<B: Backend>(&self, device: &B::Device) -> Tensor<B, 5> {
        let shape = [
            self.batch,
            self.frames,
            2,
            self.height / self.factor,
            self.width / self.factor,
        ];
        Tensor::from_data(TensorData::new(self.coverage.clone(), shape), device)
    }

    /// Encodes what `base` asks for.
    pub fn encode<B: Backend>(&self, bundle: &Bundle<B>, base: ResidualBase) -> DraftLatents<B> {
        let device = &bundle.device;
        let (w, h) = (self.width, self.height);
        let data = TensorData::new(self.firsts.clone(), [self.batch, 3, h, w]);
        let first = bundle.encode(Tensor::from_data(data, device));
        let [batch, channels, lh, lw] = first.dims();
        let shape = [batch, self.frames, channels, lh, lw];
        let repeated = first.clone().unsqueeze_dim::<5>(1).expand(shape);
        match base {
            ResidualBase::None => DraftLatents {
                base: repeated.zeros_like(),
                image: repeated,
                first,
            },
            ResidualBase::FirstFrame => DraftLatents {
                base: repeated.clone(),
                image: repeated,
                first,
            },
            ResidualBase::Draft => {
                let data =
                    TensorData::new(self.drafts.clone(), [self.batch * self.frames, 3, h, w]);
                let draft = bundle
                    .encode(Tensor::from_data(data, device))
                    .reshape(shape);
                DraftLatents {
                    base: draft.clone(),
                    image: draft,
                    first,
                }
            }
        }
    }
}

/// Says how far the weights of `part` are read.
pub(crate) fn loading<B: Backend>(
    observer: &mut dyn Observer<B>,
    part: &'static str,
) -> impl FnMut(u64, u64) {
    move |done, total| {
        observer.event(JobEvent::Loading {
            part: part.to_owned(),
            done,
            total,
        });
    }
}

/// Stable Video Diffusion's added ids, `[batch, 3]`: frames a second less one, motion bucket, noise augmentation.
pub fn added_time_ids<B: Backend>(
    fps: u32,
    motion_bucket: u32,
    noise_augmentation: f32,
    batch: usize,
    device: &B::Device,
) -> Tensor<B, 2> {
    let row = [
        fps.saturating_sub(1) as f32,
        motion_bucket as f32,
        noise_augmentation,
    ];
    Tensor::from_data(TensorData::new(row.repeat(batch), [batch, 3]), device)
}

fn flatten<B: Backend>(latents: Tensor<B, 5>) -> Tensor<B, 4> {
    let [batch, frames, channels, height, width] = latents.dims();
    latents.reshape([batch * frames, channels, height, width])
}
