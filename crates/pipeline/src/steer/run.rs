//! What a steered job runs before its first step: features of the picture, then the conditions, encoded.

use super::{CONTROLNET, Conditioning, RELATION, Steer};
use crate::engine::{Observer, loading};
use crate::noise::noise;
use crate::transfer::{pause, settle};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::Cancel;
use dragentity_core::JobEvent;
use dragentity_core::Result;
use dragentity_core::scene::raster;
use dragentity_networks::dragentity::condition::{ConditionBatch, ConditionInput, masked_mean};
use dragentity_networks::dragentity::denoiser::{Prepared, Steering};
use dragentity_networks::dragentity::draganything::{Maps, vectors};
use dragentity_networks::sd15::diffusion_features::video_features;
use dragentity_networks::svd::controlnet::{Conditions, ControlNet};
use dragentity_networks::svd::unet::UNetSpatioTemporalConditionModel;
use std::ops::Range;

/// Frames whose maps are drawn and encoded at once: at 320 x 576 the entity map of one takes 118 MB, and its encoder
/// some times that.
const FRAMES_AT_ONCE: usize = 2;

/// A ControlNet with the conditions of one job, encoded.
pub struct Steered<B: Backend> {
    controlnet: ControlNet<B>,
    embedded: Tensor<B, 4>,
}

impl<B: Backend> Steered<B> {
    /// What a sampler takes.
    pub fn steering(&self) -> Steering<'_, B> {
        Steering {
            controlnet: &self.controlnet,
            embedded: self.embedded.clone(),
            scale: 1.0,
        }
    }
}

impl Steer {
    /// Features from Stable Diffusion, whose networks are loaded in turn; `None` where they are to come from Stable
    /// Video Diffusion.
    ///
    /// # Shapes
    /// - `pixels`: `[1, 3, height, width]`, -1..1
    /// - output: `[1, channels, height, width]`
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`] for weights that do not load, [`dragentity_core::Error::Cancelled`], [`dragentity_core::Error::Device`].
    pub async fn stable_diffusion_features<B: Backend>(
        &self,
        pixels: Tensor<B, 4>,
        seed: u64,
        cancel: &Cancel,
        observer: &mut dyn Observer<B>,
    ) -> Result<Option<Tensor<B, 4>>> {
        let Some((dir, config)) = &self.features_from else {
            return Ok(None);
        };
        let device = &pixels.device();
        let in_dtype = &dir.clone().with_dtype(self.dtype);
        let text_encoder = config
            .load_text_encoder(
                in_dtype,
                device,
                &mut loading(observer, "features/text_encoder"),
            )
            .await?;
        let context = text_encoder.forward(config.text_encoder.empty_text(device));
        settle(context.clone()).await?;
        drop(text_encoder);
        pause(cancel).await?;
        let encoder = config
            .load_encoder(dir, device, &mut loading(observer, "features/vae"))
            .await?;
        let [_, _, height, width] = pixels.dims();
        let factor = config.vae.factor();
        let shape = [
            self.recipe.ensemble,
            config.vae.latent_channels,
            height / factor,
            width / factor,
        ];
        let latents = config.draw(&encoder, pixels, noise(seed, shape, device));
        settle(latents.clone()).await?;
        drop(encoder);
        pause(cancel).await?;
        let unet = config
            .load_unet(in_dtype, device, &mut loading(observer, "features/unet"))
            .await?;
        let noise = noise(seed.wrapping_add(1), shape, device);
        let features = config.features(&self.recipe, &unet, latents, noise, context)?;
        settle(features.clone()).await?;
        pause(cancel).await?;
        Ok(Some(features))
    }

    /// Features from Stable Video Diffusion's UNet.
    ///
    /// # Shapes
    /// - `one`: of one frame
    /// - `latents`: `[1, channels, height, width]`, of the picture, scaled as those that are denoised
    /// - output: `[1, channels, height, width]`
    ///
    /// # Errors
    /// As [`video_features`].
    pub fn video_features<B: Backend>(
        &self,
        unet: &UNetSpatioTemporalConditionModel<B>,
        one: &Prepared<'_, B>,
        latents: Tensor<B, 4>,
        seed: u64,
    ) -> Result<Tensor<B, 4>> {
        let [_, channels, height, width] = latents.dims();
        let shape = [self.recipe.ensemble, channels, height, width];
        let noise = noise(seed, shape, &latents.device());
        video_features(&self.recipe, unet, one, latents, noise)
    }

    /// Loads the ControlNet and encodes a job's conditions.
    ///
    /// # Shapes
    /// - `features`: `[1, channels, height, width]`
    ///
    /// # Errors
    /// [`dragentity_core::Error::Job`] for entities that cannot be steered, [`dragentity_core::Error::Model`] for weights that do not load,
    /// [`dragentity_core::Error::Cancelled`], [`dragentity_core::Error::Device`].
    pub async fn prepare<B: Backend>(
        &self,
        input: &ConditionInput,
        features: Tensor<B, 4>,
        cancel: &Cancel,
        observer: &mut dyn Observer<B>,
    ) -> Result<Steered<B>> {
        let device = &features.device();
        let drawn = match &self.conditioning {
            Conditioning::DragAnything => {
                let multiple = self.controlnet.downscale();
                let maps = Maps::new(input, self.max_entities(), multiple)?;
                for entity in maps.unseen() {
                    log::warn!(
                        "the {}. thing that moves is too small, or too far outside of the picture, for DragAnything to \
                         see; choose a larger --size or a larger mask",
                        entity + 1
                    );
                }
                Drawn::DragAnything {
                    maps,
                    vectors: vectors(features, input),
                }
            }
            Conditioning::DragEntity { relation, index } => {
                let entities = input.entities.len();
                let batch = ConditionBatch::from_inputs(
                    std::slice::from_ref(input),
                    entities,
                    &index.condition,
                    device,
                )?;
                let (relation, _) = self
                    .dir
                    .load(
                        RELATION,
                        relation.init(device)?,
                        &mut loading(observer, RELATION),
                    )
                    .await?;
                let masks = coverage(input, &features);
                Drawn::DragEntity {
                    embeddings: batch.relate(masked_mean(features, masks), &relation),
                    batch,
                }
            }
        };
        let network: ControlNet<B> = self.controlnet.init(device)?;
        let (controlnet, _) = self
            .dir
            .clone()
            .with_dtype(self.dtype)
            .load(self.part, network, &mut loading(observer, CONTROLNET))
            .await?;
        observer.event(JobEvent::Encoding);
        let mut embedded = Vec::new();
        for start in (0..input.frames).step_by(FRAMES_AT_ONCE) {
            let frames = start..(start + FRAMES_AT_ONCE).min(input.frames);
            let piece = controlnet.embed_conditions(&drawn.frames(frames))?;
            settle(piece.clone()).await?;
            embedded.push(piece);
            pause(cancel).await?;
        }
        Ok(Steered {
            controlnet,
            embedded: Tensor::cat(embedded, 0),
        })
    }
}

/// Conditions, of which some frames are made at a time.
enum Drawn<B: Backend> {
    DragAnything {
        maps: Maps,
        vectors: Tensor<B, 2>,
    },
    DragEntity {
        batch: ConditionBatch<B>,
        embeddings: Tensor<B, 3>,
    },
}

impl<B: Backend> Drawn<B> {
    fn frames(&self, frames: Range<usize>) -> Conditions<B> {
        let (heat_map, entity_map) = match self {
            Self::DragAnything { maps, vectors } => maps.draw(vectors.clone(), frames),
            Self::DragEntity { batch, embeddings } => {
                let batch = batch.frames(frames);
                let entity_map = batch.represent(embeddings.clone());
                (batch.gaussians, entity_map)
            }
        };
        Conditions {
            entity_map,
            heat_map,
            moved_latents: None,
        }
    }
}

/// How much of each cell of the features each mask covers, `[1, entities, height, width]`.
fn coverage<B: Backend>(input: &ConditionInput, features: &Tensor<B, 4>) -> Tensor<B, 4> {
    let [_, _, height, width] = features.dims();
    let cells = input
        .entities
        .iter()
        .flat_map(|entity| raster::coverage(&entity.mask, width, height))
        .collect();
    let shape = [1, input.entities.len(), height, width];
    Tensor::from_data(TensorData::new::<f32, _>(cells, shape), &features.device())
}
