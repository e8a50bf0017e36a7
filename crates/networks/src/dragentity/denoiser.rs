//! The denoiser as a whole: UNet, ControlNet and relation module, and how Stable Video Diffusion's
//! preconditioning wraps them (`diffusers.EulerDiscreteScheduler`, v-prediction, which is EDM's
//! preconditioning with a data deviation of 1).

use crate::dragentity::condition::ConditionBatch;
use crate::dragentity::relation::Relation;
use crate::svd::controlnet::{Conditions, ControlNet};
use crate::svd::unet::UNetSpatioTemporalConditionModel;
use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::error::Result;
use serde::{Deserialize, Serialize};

/// What the denoised quantity is a difference to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResidualBase {
    /// To nothing: the frames' latents themselves, as Stable Video Diffusion.
    #[default]
    None,
    /// To the first frame's latents.
    FirstFrame,
    /// To the latents of the draft (see [`dragentity_core::scene::draft`]): the entities moved rigidly.
    Draft,
}

/// UNet, ControlNet and relation module: what is trained together.
#[derive(Module, Debug)]
pub struct Denoiser<B: Backend> {
    /// The denoising network.
    pub unet: UNetSpatioTemporalConditionModel<B>,
    /// Its steering.
    pub controlnet: ControlNet<B>,
    /// Makes entity embeddings aware of each other.
    pub relation: Relation<B>,
}

/// What is known before the first step.
pub struct DenoiserInputs<'a, B: Backend> {
    /// The first frame's normalized latents, `[batch, channels, height, width]`.
    pub first: Tensor<B, 4>,
    /// What is concatenated to the noisy latents: the first frame's latents in every frame, or the
    /// draft's, `[batch, frames, channels, height, width]`.
    pub image_latents: Tensor<B, 5>,
    /// How much of each latent pixel entities cover, and how much was hidden before,
    /// `[batch, frames, 2, height, width]`.
    pub coverage: Tensor<B, 5>,
    /// The entity encoder's features V of the first frame, `[batch, dim, height, width]`.
    pub features: Tensor<B, 4>,
    /// Its context tokens, `[batch, tokens, dim]`.
    pub tokens: Tensor<B, 3>,
    /// Masks, discs, heat maps, boxes.
    pub conditions: &'a ConditionBatch<B>,
    /// Frames a second less one, motion bucket, noise augmentation: `[batch, 3]`.
    pub added_time_ids: Tensor<B, 2>,
}

/// What stays the same at every step, encoded once.
#[derive(Clone)]
pub struct Prepared<'a, B: Backend> {
    /// What is concatenated to the noisy latents, `[batch, frames, channels, height, width]`.
    pub image_latents: Tensor<B, 5>,
    /// The context that the UNet attends to, `[batch, tokens, dim]`.
    pub tokens: Tensor<B, 3>,
    /// Frames a second less one, motion bucket, noise augmentation: `[batch, 3]`.
    pub added_time_ids: Tensor<B, 2>,
    /// What a ControlNet adds; `None`: plain Stable Video Diffusion.
    pub steering: Option<Steering<'a, B>>,
}

/// A ControlNet with its conditions.
#[derive(Clone)]
pub struct Steering<'a, B: Backend> {
    /// The network.
    pub controlnet: &'a ControlNet<B>,
    /// From [`ControlNet::embed_conditions`].
    pub embedded: Tensor<B, 4>,
    /// How strongly it steers; 1 as trained.
    pub scale: f64,
}

impl<B: Backend> Prepared<'_, B> {
    /// What guidance compares with: no picture and no context, as Stable Video Diffusion; the
    /// trajectories stay.
    pub fn unconditional(&self) -> Self {
        Self {
            image_latents: self.image_latents.zeros_like(),
            tokens: self.tokens.zeros_like(),
            ..self.clone()
        }
    }

    /// What `unet` says of noisy latents that are scaled for it, steered if there is a ControlNet.
    ///
    /// # Shapes
    /// - scaled, output: `[batch, frames, channels, height, width]`
    /// - timestep: `[batch]`
    pub fn forward(
        &self,
        unet: &UNetSpatioTemporalConditionModel<B>,
        scaled: Tensor<B, 5>,
        timestep: Tensor<B, 1>,
    ) -> Tensor<B, 5> {
        let sample = Tensor::cat(vec![scaled, self.image_latents.clone()], 2);
        let residuals = self.steering.as_ref().map(|steering| {
            steering.controlnet.forward_embedded(
                sample.clone(),
                timestep.clone(),
                self.tokens.clone(),
                self.added_time_ids.clone(),
                steering.embedded.clone(),
                steering.scale,
            )
        });
        unet.forward(
            sample,
            timestep,
            self.tokens.clone(),
            self.added_time_ids.clone(),
            residuals,
        )
    }
}

impl<B: Backend> Denoiser<B> {
    /// Encodes what stays the same at every step.
    ///
    /// # Errors
    /// As [`ControlNet::embed_conditions`].
    pub fn prepare(&self, known: DenoiserInputs<'_, B>) -> Result<Prepared<'_, B>> {
        let embeddings = known.conditions.embeddings(known.features, &self.relation);
        let entity_map = known.conditions.represent(embeddings);
        let [batch, frames, channels, height, width] = known.image_latents.dims();
        let moved = self.controlnet.moved_latent_embedding.is_some().then(|| {
            let first = known
                .first
                .unsqueeze_dim::<5>(1)
                .expand([batch, frames, channels, height, width]);
            Tensor::cat(vec![first, known.coverage], 2)
        });
        let embedded = self.controlnet.embed_conditions(&Conditions {
            entity_map,
            heat_map: known.conditions.gaussians.clone(),
            moved_latents: moved,
        })?;
        Ok(Prepared {
            image_latents: known.image_latents,
            tokens: known.tokens,
            added_time_ids: known.added_time_ids,
            steering: Some(Steering {
                controlnet: &self.controlnet,
                embedded,
                scale: 1.0,
            }),
        })
    }

    /// [`velocity`] of the UNet.
    ///
    /// # Shapes
    /// As there.
    pub fn velocity(
        &self,
        noisy: Tensor<B, 5>,
        sigma: Tensor<B, 1>,
        prepared: &Prepared<'_, B>,
    ) -> Tensor<B, 5> {
        velocity(&self.unet, noisy, sigma, prepared)
    }
}

/// The networks' output for `noisy` at noise level `sigma`: the velocity v of v-prediction.
///
/// # Shapes
/// - noisy: `[batch, frames, channels, height, width]`
/// - sigma: `[batch]`
/// - output: as `noisy`
pub fn velocity<B: Backend>(
    unet: &UNetSpatioTemporalConditionModel<B>,
    noisy: Tensor<B, 5>,
    sigma: Tensor<B, 1>,
    prepared: &Prepared<'_, B>,
) -> Tensor<B, 5> {
    let batch = sigma.dims()[0];
    let timestep = sigma.clone().log() * 0.25;
    let input_scale = (sigma.powi_scalar(2) + 1.0)
        .sqrt()
        .recip()
        .reshape([batch, 1, 1, 1, 1]);
    prepared.forward(unet, noisy * input_scale, timestep)
}

/// What [`velocity()`] should be for clean latents: `(noisy / (s² + 1) - clean) sqrt(s² + 1) / s`.
///
/// # Shapes
/// - clean, noisy, output: `[batch, frames, channels, height, width]`
/// - sigma: `[batch]`
pub fn velocity_target<B: Backend>(
    clean: Tensor<B, 5>,
    noisy: Tensor<B, 5>,
    sigma: Tensor<B, 1>,
) -> Tensor<B, 5> {
    let sigma = sigma.clone().reshape([sigma.dims()[0], 1, 1, 1, 1]);
    let total = sigma.clone().powi_scalar(2) + 1.0;
    (noisy / total.clone() - clean) * (total.sqrt() / sigma)
}

/// The clean latents that `velocity` means at one noise level: `noisy / (s² + 1) - v s / sqrt(s² + 1)`.
pub fn denoised<B: Backend>(
    noisy: Tensor<B, 5>,
    velocity: Tensor<B, 5>,
    sigma: f64,
) -> Tensor<B, 5> {
    let total = sigma * sigma + 1.0;
    noisy / total - velocity * (sigma / total.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;
    use burn::tensor::Distribution;

    #[test]
    fn the_target_velocity_gives_back_the_clean_latents() {
        let device = Default::default();
        for sigma in [0.01, 0.7, 30.0] {
            let shape = [1, 2, 3, 4, 4];
            let clean = Tensor::<Flex, 5>::random(shape, Distribution::Normal(0.0, 1.0), &device);
            let noise = Tensor::<Flex, 5>::random(shape, Distribution::Normal(0.0, 1.0), &device);
            let noisy = clean.clone() + noise * sigma;
            let levels = Tensor::from_floats([sigma as f32], &device);
            let velocity = velocity_target(clean.clone(), noisy.clone(), levels);
            let error = (denoised(noisy, velocity, sigma) - clean)
                .abs()
                .max()
                .into_scalar();
            // Cancellation at large sigma: noisy / (s² + 1) is about 1 / s, in f32.
            assert!(error < 1e-4, "sigma {sigma}: {error}");
        }
    }
}
