//! UNet, ControlNet and relation module, with VAE and entity encoder frozen.

use super::gradients::lowered;
use super::source::{Clips, Sample, psnr, sheet, to_vec};
use super::stage::Stage;
use burn::module::AutodiffModule;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, FloatDType, Tensor, TensorData};
use dragentity_core::Result;
use dragentity_core::scheduler::EulerDiscreteScheduler;
use dragentity_networks::dragentity::bundle::{Bundle, residual_std};
use dragentity_networks::dragentity::condition::{ConditionBatch, ConditionConfig, ConditionInput};
use dragentity_networks::dragentity::denoiser::{
    Denoiser, DenoiserInputs, Prepared, ResidualBase, velocity_target,
};
use dragentity_pipeline::engine::{Drafts, added_time_ids};
use dragentity_pipeline::noise::noise_from;
use dragentity_pipeline::plan::push_planes;
use dragentity_pipeline::sample::Sampler;
use dragentity_pipeline::transfer::shrink;
use image::RgbImage;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Weight of errors inside entities, where they count more (Eq. 8); outside it is 1.
pub const ENTITY_WEIGHT: f64 = 2.0;
/// The loss on clips never trained on, errors inside entities weighing [`ENTITY_WEIGHT`], at the end of a run: the
/// same clips and noise for all runs of a seed.
pub const HELD_OUT_ERROR: &str = "held-out error";
/// Batches behind it.
const HELD_OUT_BATCHES: u64 = 32;

/// The stage.
pub struct DenoiserStage<B: AutodiffBackend> {
    /// Training clips.
    pub clips: Arc<Clips>,
    /// Clips never trained on.
    pub held_out: Arc<Clips>,
    /// Clips in a batch.
    pub batch: usize,
    /// VAE, encoder and configurations; its denoiser is not used.
    pub frozen: Bundle<B::InnerBackend>,
    /// What steps show of trajectories, one after another; at least one.
    pub turns: Vec<Turn>,
    /// Mean and deviation of ln(sigma) in training.
    pub log_sigma: (f64, f64),
    /// Seed of the noise.
    pub seed: u64,
    /// Where to train.
    pub device: B::Device,
}

/// What a step shows of trajectories, and how it weighs errors.
#[derive(Clone, Debug)]
pub struct Turn {
    /// What conditions are drawn from.
    pub condition: ConditionConfig,
    /// Weight of pixels inside entities; outside it is 1 (Eq. 8's mask M, softened: with a weight of
    /// 0 outside, a network trained from scratch would never learn the background).
    pub entity_weight: f64,
}

/// Host side of a batch.
pub struct ClipBatch {
    pub(super) inputs: Vec<ConditionInput>,
    drafts: Drafts,
    /// Planes of all frames of all clips.
    pub(super) frames: Vec<f32>,
    /// How much of each latent pixel entities cover.
    pub(super) weights: Vec<f32>,
}

/// A batch of clips, whose drafts are drawn if they are needed.
pub(super) fn clip_batch(samples: Vec<Sample>, factor: usize, drafts: bool) -> ClipBatch {
    let items: Vec<_> = samples
        .iter()
        .filter(|_| drafts)
        .map(|sample| (sample.frames[0].as_slice(), &sample.input))
        .collect();
    let drafts = Drafts::new(&items, factor);
    let mut frames = Vec::new();
    let mut weights = Vec::new();
    for sample in &samples {
        for (frame, mask) in sample.frames.iter().zip(&sample.inside) {
            push_planes(frame, &mut frames);
            weights.extend(shrink(
                mask,
                sample.input.width,
                sample.input.height,
                factor,
            ));
        }
    }
    ClipBatch {
        inputs: samples.into_iter().map(|sample| sample.input).collect(),
        drafts,
        frames,
        weights,
    }
}

/// A batch's frozen part: conditions and latents, without gradients.
struct Encoded<B: Backend> {
    conditions: ConditionBatch<B>,
    first: Tensor<B, 4>,
    image: Tensor<B, 5>,
    base: Tensor<B, 5>,
    target: Tensor<B, 5>,
    coverage: Tensor<B, 5>,
    features: Tensor<B, 4>,
    tokens: Tensor<B, 3>,
    ids: Tensor<B, 2>,
}

fn encode<B: Backend>(
    bundle: &Bundle<B>,
    batch: &ClipBatch,
    condition: &ConditionConfig,
) -> Result<Encoded<B>> {
    let (config, device) = (&bundle.config, &bundle.device);
    let input = &batch.inputs[0];
    let (w, h, n, f) = (input.width, input.height, batch.inputs.len(), input.frames);
    let entities = batch
        .inputs
        .iter()
        .map(|input| input.entities.len())
        .max()
        .unwrap_or(1);
    let conditions = ConditionBatch::from_inputs(&batch.inputs, entities, condition, device)?;
    let frames: Tensor<B, 4> = Tensor::from_data(
        TensorData::new(batch.frames.clone(), [n * f, 3, h, w]),
        device,
    );
    let firsts = frames
        .clone()
        .reshape([n, f, 3, h, w])
        .slice([0..n, 0..1])
        .reshape([n, 3, h, w]);
    let seen = bundle.encoder.encode(firsts);
    let latents = batch.drafts.encode(bundle, config.index.residual_base);
    let target = bundle.encode(frames).reshape(latents.base.shape());
    Ok(Encoded {
        conditions,
        first: latents.first,
        image: latents.image,
        base: latents.base,
        target,
        coverage: batch.drafts.coverage(device),
        features: seen.features,
        tokens: seen.tokens,
        ids: added_time_ids(config.index.fps, 127, 0.0, n, device),
    })
}

impl<B: Backend> Encoded<B> {
    /// The same, as constants of a computation that is differentiated.
    fn with_autodiff<A: AutodiffBackend<InnerBackend = B>>(self) -> Encoded<A> {
        Encoded {
            conditions: self.conditions.with_autodiff(),
            first: Tensor::from_inner(self.first),
            image: Tensor::from_inner(self.image),
            base: Tensor::from_inner(self.base),
            target: Tensor::from_inner(self.target),
            coverage: Tensor::from_inner(self.coverage),
            features: Tensor::from_inner(self.features),
            tokens: Tensor::from_inner(self.tokens),
            ids: Tensor::from_inner(self.ids),
        }
    }

    /// What stays the same at every step.
    fn prepared<'a>(&'a self, network: &'a Denoiser<B>) -> Result<Prepared<'a, B>> {
        network.prepare(DenoiserInputs {
            first: self.first.clone(),
            image_latents: self.image.clone(),
            coverage: self.coverage.clone(),
            features: self.features.clone(),
            tokens: self.tokens.clone(),
            conditions: &self.conditions,
            added_time_ids: self.ids.clone(),
        })
    }

    /// What the network says of noisy latents of this batch.
    fn said(&self, network: &Denoiser<B>, noisy: &Noisy<B>) -> Result<Tensor<B, 5>> {
        let prepared = self.prepared(network)?;
        Ok(network.velocity(noisy.latents.clone(), noisy.sigma.clone(), &prepared))
    }
}

impl<B: AutodiffBackend> DenoiserStage<B> {
    /// A batch as the frozen networks see it, and its clean latents made noisy for step `step`.
    #[allow(
        clippy::type_complexity,
        reason = "a pair, whose parts have names already"
    )]
    fn noisy(
        &self,
        batch: &ClipBatch,
        condition: &ConditionConfig,
        step: u64,
    ) -> Result<(Encoded<B::InnerBackend>, Noisy<B::InnerBackend>)> {
        let encoded = encode(&self.frozen, batch, condition)?;
        let deviation = residual_std(&self.frozen.config, &self.device);
        let clean = (encoded.target.clone() - encoded.base.clone()) / deviation;
        let noisy = noisy(clean, self.log_sigma, self.seed, step);
        Ok((encoded, noisy))
    }
}

impl<B: AutodiffBackend> Stage<B> for DenoiserStage<B> {
    type Network = Denoiser<B>;
    type Batch = ClipBatch;

    fn name(&self) -> &'static str {
        "denoiser"
    }

    fn on(&self, device: &B::Device) -> Result<Self> {
        Ok(Self {
            clips: self.clips.clone(),
            held_out: self.held_out.clone(),
            turns: self.turns.clone(),
            frozen: self.frozen.on(device),
            device: device.clone(),
            ..*self
        })
    }

    fn batches(&self) -> Box<dyn FnMut(u64) -> Result<ClipBatch> + Send> {
        let (clips, batch) = (self.clips.clone(), self.batch);
        let factor = self.frozen.config.index.condition.vae_factor;
        Box::new(move |index| Ok(clip_batch(clips.batch(index, batch)?, factor, true)))
    }

    fn loss(&self, network: &Denoiser<B>, batch: ClipBatch, step: u64) -> Result<Tensor<B, 1>> {
        let turn = &self.turns[step as usize % self.turns.len()];
        let (encoded, noisy) = self.noisy(&batch, &turn.condition, step)?;
        let noisy = noisy.with_autodiff::<B>();
        let said = encoded.with_autodiff::<B>().said(network, &noisy)?;
        Ok(weighted_error(
            said,
            noisy.velocity,
            batch.weights,
            turn.entity_weight,
        ))
    }

    fn held_out(
        &self,
        network: &<Denoiser<B> as AutodiffModule<B>>::InnerModule,
    ) -> Result<Vec<(&'static str, f64)>> {
        let factor = self.frozen.config.index.condition.vae_factor;
        let mut sum = 0.0;
        for index in 0..HELD_OUT_BATCHES {
            let batch = clip_batch(self.held_out.batch(index, self.batch)?, factor, true);
            let condition = &self.frozen.config.index.condition;
            let (encoded, noisy) = self.noisy(&batch, condition, index)?;
            let said = encoded.said(network, &noisy)?;
            // One weight, whatever was trained with, or figures could not be compared.
            let error = weighted_error(said, noisy.velocity, batch.weights, ENTITY_WEIGHT);
            sum += error.into_scalar().elem::<f64>();
        }
        Ok(vec![(HELD_OUT_ERROR, sum / HELD_OUT_BATCHES as f64)])
    }

    fn lowered(&self, network: &Denoiser<B>, dtype: FloatDType) -> Result<Denoiser<B>> {
        Ok(Denoiser {
            unet: lowered(network.unet.clone(), dtype),
            controlnet: lowered(network.controlnet.clone(), dtype),
            // It is small, and its weights are normalized by what they sum to.
            relation: network.relation.clone(),
        })
    }

    fn sample(
        &self,
        network: &<Denoiser<B> as AutodiffModule<B>>::InnerModule,
    ) -> Result<(RgbImage, Vec<(&'static str, f64)>)> {
        let samples = self.held_out.batch(1, 4)?;
        let factor = self.frozen.config.index.condition.vae_factor;
        let batch = clip_batch(samples, factor, true);
        let encoded = encode(&self.frozen, &batch, &self.frozen.config.index.condition)?;
        let [n, f, _, _, _] = encoded.base.dims();
        let (w, h) = (batch.inputs[0].width, batch.inputs[0].height);
        let prepared = encoded.prepared(network)?;
        let index = &self.frozen.config.index;
        let scheduler = EulerDiscreteScheduler::new(
            self.frozen.config.scheduler.clone(),
            index.steps as usize,
        )?;
        let clean = Sampler::new(
            network,
            prepared,
            scheduler,
            &[],
            0,
            encoded.base.dims(),
            &self.device,
        )
        .run();
        let latents = encoded.base.clone() + clean * self.frozen.residual_std();
        let made = decode(&self.frozen, latents);
        let draft = decode(&self.frozen, encoded.base);
        let truth: Tensor<B::InnerBackend, 4> = Tensor::from_data(
            TensorData::new(batch.frames, [n * f, 3, h, w]),
            &self.device,
        );
        let figures = vec![
            ("PSNR dB", psnr(&made, &truth)),
            (base_name(index.residual_base), psnr(&draft, &truth)),
        ];
        let mut rows = Vec::new();
        for clip in 0..n {
            for kind in [&truth, &draft, &made] {
                rows.push(kind.clone().narrow(0, clip * f, f));
            }
        }
        Ok((sheet(&rows)?, figures))
    }
}

/// Clean latents made noisy, for one step of training.
pub(super) struct Noisy<B: Backend> {
    /// `[batch, frames, channels, height, width]`
    pub(super) latents: Tensor<B, 5>,
    /// `[batch]`
    pub(super) sigma: Tensor<B, 1>,
    /// What the network should say of them.
    pub(super) velocity: Tensor<B, 5>,
}

impl<B: Backend> Noisy<B> {
    /// The same, as constants of a computation that is differentiated.
    pub(super) fn with_autodiff<A: AutodiffBackend<InnerBackend = B>>(self) -> Noisy<A> {
        Noisy {
            latents: Tensor::from_inner(self.latents),
            sigma: Tensor::from_inner(self.sigma),
            velocity: Tensor::from_inner(self.velocity),
        }
    }
}

/// Noise by the step, so that a resumed run goes on with what it would have had, and other runs of this seed get the
/// same. `log_sigma`: mean and deviation of ln(sigma).
pub(super) fn noisy<B: Backend>(
    clean: Tensor<B, 5>,
    log_sigma: (f64, f64),
    seed: u64,
    step: u64,
) -> Noisy<B> {
    let (device, shape) = (clean.device(), clean.dims());
    let random = |stream: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        random
    };
    let levels: Tensor<B, 1> = noise_from(&mut random(2 * step), [shape[0]], &device);
    let sigma = (levels * log_sigma.1 + log_sigma.0).exp();
    let noise = noise_from(&mut random(2 * step + 1), shape, &device);
    let latents = clean.clone() + noise * sigma.clone().reshape([shape[0], 1, 1, 1, 1]);
    Noisy {
        velocity: velocity_target(clean, latents.clone(), sigma.clone()),
        latents,
        sigma,
    }
}

/// The mean squared error, weighted by `1 + (entity_weight - 1) * inside` (Eq. 8).
pub(super) fn weighted_error<B: Backend>(
    said: Tensor<B, 5>,
    target: Tensor<B, 5>,
    inside: Vec<f32>,
    entity_weight: f64,
) -> Tensor<B, 1> {
    let [n, f, _, h, w] = target.dims();
    let inside: Tensor<B, 5> =
        Tensor::from_data(TensorData::new(inside, [n, f, 1, h, w]), &target.device());
    let weights = inside * (entity_weight - 1.0) + 1.0;
    ((said - target).powi_scalar(2) * weights).mean()
}

/// What the figure of the residual's base is called: what a denoiser that does nothing would reach.
fn base_name(base: ResidualBase) -> &'static str {
    match base {
        ResidualBase::Draft => "draft PSNR dB",
        ResidualBase::FirstFrame => "first frame PSNR dB",
        ResidualBase::None => "nothing PSNR dB",
    }
}

/// Frames `[batch * frames, 3, height, width]` of normalized latents.
fn decode<B: Backend>(bundle: &Bundle<B>, latents: Tensor<B, 5>) -> Tensor<B, 4> {
    let [n, f, c, h, w] = latents.dims();
    let flat = bundle.denormalize(latents.reshape([n * f, c, h, w]));
    bundle.vae.decode(flat, f).clamp(-1.0, 1.0)
}

/// Standard deviation of the denoised quantity, for each latent channel.
///
/// # Errors
/// As [`Clips::batch`].
pub fn residual_statistics<B: Backend>(bundle: &Bundle<B>, clips: &Clips) -> Result<Vec<f32>> {
    let factor = bundle.config.index.condition.vae_factor;
    let mut squares: Vec<f64> = Vec::new();
    let mut count = 0.0;
    for index in 0..8 {
        let batch = clip_batch(clips.batch(index, 4)?, factor, true);
        let encoded = encode(bundle, &batch, &bundle.config.index.condition)?;
        let [n, f, channels, h, w] = encoded.base.dims();
        let values = to_vec(encoded.target - encoded.base)?;
        squares.resize(channels, 0.0);
        for (at, &value) in values.iter().enumerate() {
            squares[at / (h * w) % channels] += (value as f64).powi(2);
        }
        count += (n * f * h * w) as f64;
    }
    Ok(squares
        .into_iter()
        .map(|sum| ((sum / count) as f32).max(1e-6).sqrt())
        .collect())
}

#[cfg(test)]
mod tests;
