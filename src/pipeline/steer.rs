//! What moves entities along trajectories in Stable Video Diffusion: a directory with a ControlNet, of one of two
//! kinds. DragAnything's public one has the network and nothing else; beside DragEntity's own there is a relation
//! module, and the entity map has its embeddings. Either takes features of the picture from Stable Video Diffusion's
//! own UNet, or from a directory of Stable Diffusion 1.x where one is given.

use super::engine::Observer;
use super::host::{pause, settle};
use super::noise::noise;
use super::svd::{SvdConfig, loading};
use super::{Cancel, Message};
use crate::model::condition::{
    ConditionBatch, ConditionConfig, ConditionInput, GAUSSIAN_CHANNELS, entity_map, masked_mean,
};
use crate::model::controlnet::{Conditions, ControlNet, ControlNetConfig};
use crate::model::denoiser::{Prepared, Steering};
use crate::model::diffusion_features::{Recipe, StableDiffusionConfig, video_features};
use crate::model::draganything::{Maps, POOLED, vectors};
use crate::model::relation::RelationConfig;
use crate::model::unet::UNetSpatioTemporalConditionModel;
use crate::scene::preset::MAX_ENTITIES;
use crate::scene::raster;
use crate::weights::ModelDir;
use crate::{Error, Result};
use burn::tensor::{FloatDType, Tensor, TensorData, backend::Backend};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Directories of the networks; DragAnything's lies in the directory itself.
const CONTROLNET: &str = "controlnet";
const RELATION: &str = "relation";
/// Frames of DragAnything's videos.
const DRAGANYTHING_FRAMES: u32 = 20;
/// Frames whose maps are drawn and encoded at once: at 320 x 576 the entity map of one takes 118 MB, and its encoder
/// some times that.
const FRAMES_AT_ONCE: usize = 2;

/// `model_index.json` of a directory of DragEntity's own kind. Missing fields have the values for Stable Video
/// Diffusion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SteerIndex {
    /// Most entities of one job.
    pub max_entities: usize,
    /// How conditions are drawn.
    pub condition: ConditionConfig,
}

impl Default for SteerIndex {
    fn default() -> Self {
        Self {
            max_entities: 12,
            condition: ConditionConfig {
                vae_factor: 8,
                ..ConditionConfig::default()
            },
        }
    }
}

/// Which conditioning a ControlNet was trained with.
#[derive(Clone, Debug, PartialEq)]
pub enum Conditioning {
    /// See [`crate::model::draganything`].
    DragAnything,
    /// Entity embeddings from the relation module, and Gaussians.
    DragEntity {
        /// `relation/config.json`
        relation: RelationConfig,
        /// `model_index.json`
        index: SteerIndex,
    },
}

/// A directory that steers.
pub struct Steer {
    dir: ModelDir,
    /// Where the ControlNet is in it.
    part: &'static str,
    controlnet: ControlNetConfig,
    conditioning: Conditioning,
    features_from: Option<(ModelDir, StableDiffusionConfig)>,
    recipe: Recipe,
    dtype: FloatDType,
}

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
    /// Reads the configurations of a directory or URL, and of the one that features come from.
    ///
    /// # Errors
    /// [`Error::Model`] naming the file that is missing or not usable.
    pub async fn open(location: &str, features_from: Option<&str>) -> Result<Self> {
        let dir = ModelDir::new(location);
        let mut found = None;
        for part in ["", CONTROLNET] {
            if found.is_none() {
                let config: Option<ControlNetConfig> = dir.find_json(part, "config.json").await?;
                found = config.map(|config| (part, config));
            }
        }
        let Some((part, controlnet)) = found else {
            return Err(Error::Model {
                name: location.to_owned(),
                reason: format!(
                    "there is no ControlNet here: looked for config.json and {CONTROLNET}/config.json"
                ),
            });
        };
        let name = dir.file(part, "config.json");
        let class = &controlnet.unet.class_name;
        if !class.contains("ControlNet") && class != &ControlNetConfig::default().unet.class_name {
            return Err(Error::Model {
                name,
                reason: format!(
                    "is of a {class}, which is no ControlNet; DragAnything's is a folder with config.json and weights"
                ),
            });
        }
        controlnet.check().map_err(|e| named(&name, e))?;
        let conditioning = match dir.find_json(RELATION, "config.json").await? {
            None => Conditioning::DragAnything,
            Some(relation) => Conditioning::DragEntity {
                relation,
                index: dir
                    .find_json("", "model_index.json")
                    .await?
                    .unwrap_or_default(),
            },
        };
        if let Conditioning::DragEntity { relation, index } = &conditioning {
            relation.validate(&dir.file(RELATION, "config.json"))?;
            let name = dir.file("", "model_index.json");
            index.condition.validate(&name)?;
        }
        let features_from = match features_from {
            None => None,
            Some(location) => {
                let dir = ModelDir::new(location);
                let config = StableDiffusionConfig::read(&dir).await?;
                Some((dir, config))
            }
        };
        Ok(Self {
            dir,
            part,
            controlnet,
            conditioning,
            features_from,
            recipe: Recipe::default(),
            dtype: FloatDType::F32,
        })
    }

    /// The large networks compute in `dtype`; those that make latents and embeddings stay in `f32`.
    pub fn with_dtype(self, dtype: FloatDType) -> Self {
        Self { dtype, ..self }
    }

    /// The conditioning that it was trained with.
    pub fn conditioning(&self) -> &Conditioning {
        &self.conditioning
    }

    /// Frames of the videos it was trained on, as far as that is known.
    pub fn frames(&self) -> Option<u32> {
        (self.conditioning == Conditioning::DragAnything).then_some(DRAGANYTHING_FRAMES)
    }

    /// What the person should know before a video is made, if anything.
    pub fn note(&self) -> Option<&'static str> {
        let own = self.conditioning == Conditioning::DragAnything && self.features_from.is_none();
        own.then_some(
            "DragAnything was trained with features of Stable Diffusion 1.5, and there are only those of Stable Video \
             Diffusion; name a directory of it with --features-from for videos as it was meant to make them",
        )
    }

    /// Checks that it can steer `svd`.
    ///
    /// # Errors
    /// [`Error::Model`] naming what does not fit.
    pub fn check(&self, svd: &SvdConfig) -> Result<()> {
        let name = self.dir.location();
        let control = &self.controlnet;
        let fail = |reason: String| {
            Err(Error::Model {
                name: name.to_owned(),
                reason,
            })
        };
        control.check_fits(&svd.unet).map_err(|e| named(name, e))?;
        if control.moved_latent_channels.is_some() {
            return fail(
                "its ControlNet wants moved latents, which there are for DragEntity's own models only".into(),
            );
        }
        if control.conditioning_channels != GAUSSIAN_CHANNELS {
            return fail(format!(
                "its ControlNet takes heat maps of {} channels, and {GAUSSIAN_CHANNELS} are drawn",
                control.conditioning_channels
            ));
        }
        let (factor, map_factor) = (svd.vae.factor(), self.map_factor());
        if map_factor * control.downscale() != factor {
            return fail(format!(
                "its condition encoders halve maps {map_factor} times smaller than the picture to {} times smaller, \
                 and the VAE's latents are {factor} times smaller",
                map_factor * control.downscale()
            ));
        }
        let width = self.feature_width(svd);
        let (takes, gives) = match &self.conditioning {
            Conditioning::DragAnything => (POOLED * control.entity_channels(), None),
            Conditioning::DragEntity { relation, index } => {
                if index.condition.vae_factor != factor {
                    return fail(format!(
                        "its vae_factor is {}, the VAE's is {factor}",
                        index.condition.vae_factor
                    ));
                }
                (relation.dim, Some(relation.dim_out))
            }
        };
        if takes != width {
            return fail(format!(
                "it takes features of {takes} channels, and those there are have {width}; is {} the right model for them?",
                match &self.features_from {
                    Some((dir, _)) => dir.location(),
                    None => "Stable Video Diffusion",
                }
            ));
        }
        match gives {
            Some(gives) if gives != control.entity_channels() => fail(format!(
                "the relation module gives {gives} channels and the ControlNet's entity map has {}",
                control.entity_channels()
            )),
            _ => Ok(()),
        }
    }

    /// Checks that a job's entities can be steered.
    ///
    /// # Errors
    /// [`Error::Job`].
    pub fn check_input(&self, input: &ConditionInput, svd: &SvdConfig) -> Result<()> {
        if !input.background.is_empty() {
            return Err(Error::Job(
                "a ControlNet for Stable Video Diffusion does not move the background by itself: give it a mask and a \
                 trajectory as an entity, or take its trajectory away"
                    .into(),
            ));
        }
        if input.entities.is_empty() {
            return Err(Error::Job(
                "no entity has a trajectory; drag one first".into(),
            ));
        }
        input.check(self.max_entities(), svd.vae.factor())
    }

    fn max_entities(&self) -> usize {
        match &self.conditioning {
            Conditioning::DragAnything => MAX_ENTITIES,
            Conditioning::DragEntity { index, .. } => index.max_entities,
        }
    }

    fn map_factor(&self) -> usize {
        match &self.conditioning {
            Conditioning::DragAnything => 1,
            Conditioning::DragEntity { index, .. } => index.condition.map_factor,
        }
    }

    /// Channels of the features: of the last block that is run on the way up.
    fn feature_width(&self, svd: &SvdConfig) -> usize {
        let channels = match &self.features_from {
            Some((_, config)) => &config.unet.block_out_channels,
            None => &svd.unet.block_out_channels,
        };
        channels[channels.len().saturating_sub(self.recipe.up_blocks)]
    }

    /// Features from Stable Diffusion, whose networks are loaded in turn; `None` where they are to come from Stable
    /// Video Diffusion.
    ///
    /// # Shapes
    /// - `pixels`: `[1, 3, height, width]`, -1..1
    /// - output: `[1, channels, height, width]`
    ///
    /// # Errors
    /// [`Error::Model`] for weights that do not load, [`Error::Cancelled`], [`Error::Device`].
    pub async fn stable_diffusion_features<B: Backend>(
        &self,
        pixels: Tensor<B, 4>,
        seed: u64,
        cancel: &Cancel,
        observer: &mut impl Observer<B>,
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
    /// [`Error::Job`] for entities that cannot be steered, [`Error::Model`] for weights that do not load,
    /// [`Error::Cancelled`], [`Error::Device`].
    pub async fn prepare<B: Backend>(
        &self,
        input: &ConditionInput,
        features: Tensor<B, 4>,
        cancel: &Cancel,
        observer: &mut impl Observer<B>,
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
                        relation.init(device),
                        &mut loading(observer, RELATION),
                    )
                    .await?;
                let masks = coverage(input, &features);
                Drawn::DragEntity {
                    embeddings: relation.forward(
                        masked_mean(features, masks),
                        batch.boxes.clone(),
                        batch.valid.clone(),
                    ),
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
        observer.message(Message::Encoding);
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
                let (start, count) = (frames.start, frames.len());
                let discs = batch.discs.clone().narrow(2, start, count);
                (
                    batch.gaussians.clone().narrow(1, start, count),
                    entity_map(embeddings.clone(), discs),
                )
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

/// The error under the name of the model that is at fault.
fn named(name: &str, error: Error) -> Error {
    match error {
        Error::Model { reason, .. } => Error::Model {
            name: name.to_owned(),
            reason,
        },
        other => other,
    }
}
