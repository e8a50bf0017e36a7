//! Stage 4: a ControlNet and a relation module for Stable Video Diffusion's published weights. Its UNet is frozen:
//! errors go back through it to the ControlNet and change nothing in it.

use super::denoiser::{ClipBatch, clip_batch, noisy, weighted_error};
use super::gradients::lowered;
use super::source::{Clips, psnr, sheet};
use super::stage::Stage;
use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{FloatDType, Tensor, TensorData};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::scene::{Picture, raster};
use dragentity_networks::clip::CLIPVisionModelWithProjection;
use dragentity_networks::dragentity::condition::{ConditionBatch, GAUSSIAN_CHANNELS, masked_mean};
use dragentity_networks::dragentity::denoiser::{Prepared, Steering, velocity};
use dragentity_networks::dragentity::relation::{Relation, RelationConfig};
use dragentity_networks::sd15::diffusion_features::{Recipe, video_features};
use dragentity_networks::svd::controlnet::{Conditions, ControlNet, ControlNetConfig};
use dragentity_networks::svd::unet::{UNetConfig, UNetSpatioTemporalConditionModel};
use dragentity_networks::svd::vae::AutoencoderKLTemporalDecoder;
use dragentity_pipeline::engine::added_time_ids;
use dragentity_pipeline::noise::noise;
use dragentity_pipeline::sample::Sampler;
use dragentity_pipeline::steer::SteerIndex;
use dragentity_pipeline::svd::{SvdConfig, decode, image_latents, prepare};
use image::RgbImage;
use std::sync::Arc;

/// Mean and deviation of ln(sigma) that Stable Video Diffusion was trained with (Blattmann et al., 2023, appendix D).
const LOG_SIGMA: (f64, f64) = (0.7, 1.6);
/// Noise on the first frame, as its pipeline adds.
const NOISE_AUGMENTATION: f32 = 0.02;
/// Steps of the samples that are drawn on the way: enough to see what moves.
const SAMPLE_STEPS: usize = 8;
/// Widths of DragAnything's condition encoders, from the maps' resolution to the latents'.
const HEAT_WIDTHS: [usize; 4] = [16, 32, 96, 256];
const ENTITY_WIDTHS: [usize; 4] = [96, 160, 256, 256];

/// What is trained together.
#[derive(Module, Debug)]
pub struct Steerer<B: Backend> {
    /// The ControlNet.
    pub controlnet: ControlNet<B>,
    /// Makes entity embeddings aware of each other.
    pub relation: Relation<B>,
}

/// The stage.
pub struct ControlNetStage<B: AutodiffBackend> {
    /// Training clips.
    pub clips: Arc<Clips>,
    /// Clips never trained on.
    pub held_out: Arc<Clips>,
    /// Clips in a batch.
    pub batch: usize,
    /// The published model's configurations.
    pub config: SvdConfig,
    /// What the trained directory says of itself.
    pub index: SteerIndex,
    /// Its image encoder.
    pub encoder: CLIPVisionModelWithProjection<B::InnerBackend>,
    /// Its VAE.
    pub vae: AutoencoderKLTemporalDecoder<B::InnerBackend>,
    /// Its UNet, without gradients of its own.
    pub unet: UNetSpatioTemporalConditionModel<B>,
    /// Frames a second of the clips.
    pub fps: u32,
    /// Weight of pixels inside entities; outside it is 1.
    pub entity_weight: f64,
    /// Seed of the noise.
    pub seed: u64,
    /// Where to train.
    pub device: B::Device,
}

/// The configurations of a ControlNet and a relation module of DragEntity's own kind for a UNet and a VAE that makes
/// pictures `factor` times smaller.
///
/// # Errors
/// [`Error::Model`] for a `factor` that halving does not reach.
pub fn configs(unet: &UNetConfig, factor: usize) -> Result<(ControlNetConfig, RelationConfig)> {
    let levels = factor.trailing_zeros() as usize + 1;
    if !factor.is_power_of_two() || levels > HEAT_WIDTHS.len() {
        return Err(Error::Model {
            name: "vae".into(),
            reason: format!("makes latents {factor} times smaller: 1, 2, 4 and 8 are possible"),
        });
    }
    let recipe = Recipe::default();
    let features = unet
        .block_out_channels
        .len()
        .saturating_sub(recipe.up_blocks);
    let controlnet = ControlNetConfig {
        unet: UNetConfig {
            class_name: "DragEntityControlNet".into(),
            ..unet.clone()
        },
        conditioning_channels: GAUSSIAN_CHANNELS,
        conditioning_embedding_out_channels: HEAT_WIDTHS[..levels].to_vec(),
        feature_embedding_out_channels: ENTITY_WIDTHS[..levels].to_vec(),
        moved_latent_channels: None,
        zero_init: true,
        accumulate_residuals: false,
    };
    let relation = RelationConfig {
        dim: unet.block_out_channels[features],
        dim_out: ENTITY_WIDTHS[0],
        ..RelationConfig::default()
    };
    Ok((controlnet, relation))
}

impl<B: Backend> Steerer<B> {
    /// A ControlNet that starts as a copy of the UNet's encoder, without any effect.
    ///
    /// # Errors
    /// Those of [`ControlNetConfig::init`].
    pub fn from_unet(
        controlnet: &ControlNetConfig,
        relation: &RelationConfig,
        unet: &UNetSpatioTemporalConditionModel<B>,
        device: &B::Device,
    ) -> Result<Self> {
        let mut network = controlnet.init(device)?;
        network.conv_in = unet.conv_in.clone();
        network.time_embedding = unet.time_embedding.clone();
        network.add_embedding = unet.add_embedding.clone();
        network.down_blocks = unet.down_blocks.clone();
        network.mid_block = unet.mid_block.clone();
        Ok(Self {
            controlnet: network,
            relation: relation.init(device)?,
        })
    }
}

/// A batch's frozen part, without gradients.
struct Known<B: Backend> {
    conditions: ConditionBatch<B>,
    /// Mean features of each entity, `[batch, entities, channels]`.
    means: Tensor<B, 3>,
    prepared: Prepared<'static, B>,
    /// Normalized latents of all frames.
    target: Tensor<B, 5>,
}

impl<B: AutodiffBackend> ControlNetStage<B> {
    fn know(&self, batch: &ClipBatch, index: u64) -> Result<Known<B::InnerBackend>> {
        let device = &self.device;
        let input = &batch.inputs[0];
        let (w, h, n, f) = (input.width, input.height, batch.inputs.len(), input.frames);
        let entities = batch.inputs.iter().map(|input| input.entities.len()).max();
        let entities = entities.unwrap_or(1).max(1);
        let conditions =
            ConditionBatch::from_inputs(&batch.inputs, entities, &self.index.condition, device)?;
        let frames: Tensor<B::InnerBackend, 4> = Tensor::from_data(
            TensorData::new(batch.frames.clone(), [n * f, 3, h, w]),
            device,
        );
        let firsts = frames.clone().reshape([n, f, 3, h, w]);
        let firsts = firsts.slice([0..n, 0..1]).reshape([n, 3, h, w]);
        let embeddings = (0..n).map(|clip| {
            let planes = &batch.frames[clip * f * 3 * w * h..][..3 * w * h];
            self.config
                .embed(&self.encoder, &picture(planes, w, h), device)
        });
        let tokens = Tensor::cat(embeddings.collect::<Result<Vec<_>>>()?, 0);
        let grain = noise(self.seed ^ index, firsts.dims(), device);
        let first = image_latents(&self.vae, firsts, grain, NOISE_AUGMENTATION.into());
        let normalized = self.config.vae.normalize(self.vae.encode(frames).0);
        let [_, channels, lh, lw] = normalized.dims();
        let ids = added_time_ids(self.fps, 127, NOISE_AUGMENTATION, n, device);

        let unet = self.unet.valid();
        let recipe = Recipe::default();
        let mut means = Vec::new();
        for (clip, input) in batch.inputs.iter().enumerate() {
            let one = |t: &Tensor<B::InnerBackend, 4>, at| t.clone().narrow(0, at, 1);
            let prepared = prepare(
                tokens.clone().narrow(0, clip, 1),
                one(&first, clip),
                1,
                ids.clone().narrow(0, clip, 1),
            );
            let noise = noise(
                self.seed ^ index,
                [recipe.ensemble, channels, lh, lw],
                device,
            );
            let clean = one(&normalized, clip * f);
            let features = video_features(&recipe, &unet, &prepared, clean, noise)?;
            let [_, _, rows, columns] = features.dims();
            let mut cells: Vec<f32> = input
                .entities
                .iter()
                .flat_map(|entity| raster::coverage(&entity.mask, columns, rows))
                .collect();
            cells.resize(entities * rows * columns, 0.0);
            let shape = [1, entities, rows, columns];
            let masks = Tensor::from_data(TensorData::new(cells, shape), device);
            means.push(masked_mean(features, masks));
        }
        Ok(Known {
            conditions,
            means: Tensor::cat(means, 0),
            prepared: prepare(tokens, first, f, ids),
            target: normalized.reshape([n, f, channels, lh, lw]),
        })
    }
}

/// A picture from its planes in -1..1.
fn picture(planes: &[f32], width: usize, height: usize) -> Picture {
    let area = width * height;
    let byte = |value: f32| ((value + 1.0) * 127.5).round() as u8;
    Picture {
        width: width as u32,
        height: height as u32,
        rgb: Arc::new(
            (0..area)
                .flat_map(|at| [0, 1, 2].map(|channel| byte(planes[channel * area + at])))
                .collect(),
        ),
    }
}

/// Encodes the conditions for the ControlNet.
fn steering<'a, B: Backend>(
    network: &'a Steerer<B>,
    conditions: &ConditionBatch<B>,
    means: Tensor<B, 3>,
) -> Result<Steering<'a, B>> {
    let embeddings = conditions.relate(means, &network.relation);
    let embedded = network.controlnet.embed_conditions(&Conditions {
        entity_map: conditions.represent(embeddings),
        heat_map: conditions.gaussians.clone(),
        moved_latents: None,
    })?;
    Ok(Steering {
        controlnet: &network.controlnet,
        embedded,
        scale: 1.0,
    })
}

impl<B: AutodiffBackend> Stage<B> for ControlNetStage<B> {
    type Network = Steerer<B>;
    type Batch = ClipBatch;

    fn name(&self) -> &'static str {
        "controlnet"
    }

    fn on(&self, device: &B::Device) -> Result<Self> {
        Ok(Self {
            clips: self.clips.clone(),
            held_out: self.held_out.clone(),
            config: self.config.clone(),
            index: self.index.clone(),
            encoder: self.encoder.clone().to_device(device),
            vae: self.vae.clone().to_device(device),
            unet: self.unet.clone().fork(device),
            device: device.clone(),
            ..*self
        })
    }

    fn batches(&self) -> Box<dyn FnMut(u64) -> Result<ClipBatch> + Send> {
        let (clips, batch) = (self.clips.clone(), self.batch);
        let factor = self.index.condition.vae_factor;
        Box::new(move |index| Ok(clip_batch(clips.batch(index, batch)?, factor, false)))
    }

    fn loss(&self, network: &Steerer<B>, batch: ClipBatch, step: u64) -> Result<Tensor<B, 1>> {
        let known = self.know(&batch, step)?;
        let noisy = noisy(known.target, LOG_SIGMA, self.seed, step).with_autodiff::<B>();
        let conditions = known.conditions.with_autodiff::<B>();
        let mut prepared = Prepared {
            image_latents: Tensor::from_inner(known.prepared.image_latents),
            tokens: Tensor::from_inner(known.prepared.tokens),
            added_time_ids: Tensor::from_inner(known.prepared.added_time_ids),
            steering: None,
        };
        let means = Tensor::from_inner(known.means);
        prepared.steering = Some(steering(network, &conditions, means)?);
        let said = velocity(&self.unet, noisy.latents, noisy.sigma, &prepared);
        Ok(weighted_error(
            said,
            noisy.velocity,
            batch.weights,
            self.entity_weight,
        ))
    }

    fn lowered(&self, network: &Steerer<B>, dtype: FloatDType) -> Result<Steerer<B>> {
        Ok(Steerer {
            controlnet: lowered(network.controlnet.clone(), dtype),
            relation: network.relation.clone(),
        })
    }

    fn sample(
        &self,
        network: &<Steerer<B> as AutodiffModule<B>>::InnerModule,
    ) -> Result<(RgbImage, Vec<(&'static str, f64)>)> {
        let factor = self.index.condition.vae_factor;
        let batch = clip_batch(self.held_out.batch(1, 1)?, factor, false);
        let known = self.know(&batch, 0)?;
        let mut prepared = known.prepared;
        prepared.steering = Some(steering(network, &known.conditions, known.means)?);
        let scheduler = self.config.scheduler.schedule(None, SAMPLE_STEPS)?;
        let unet = self.unet.valid();
        let start = noise(0, known.target.dims(), &self.device);
        let latents = Sampler::from_noise(&unet, prepared, scheduler, &[], start).run();
        let made = Tensor::cat(decode(&self.config, &self.vae, latents, 2).collect(), 0);
        let made = made.clamp(-1.0, 1.0);
        let truth = Tensor::from_data(TensorData::new(batch.frames, made.dims()), &self.device);
        let figures = vec![("PSNR dB", psnr(&made, &truth))];
        Ok((sheet(&[truth, made])?, figures))
    }
}

#[cfg(test)]
mod tests;
