//! What moves entities along trajectories in Stable Video Diffusion: a directory with a ControlNet, of one of two
//! kinds. DragAnything's public one has the network and nothing else; beside DragEntity's own there is a relation
//! module, and the entity map has its embeddings. Either takes features of the picture from Stable Video Diffusion's
//! own UNet, or from a directory of Stable Diffusion 1.x where one is given.

mod run;

pub use run::Steered;

use super::svd::SvdConfig;
use burn::tensor::backend::Backend;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::scene::settings::MAX_ENTITIES;
use dragentity_networks::dragentity::condition::{
    ConditionConfig, ConditionInput, GAUSSIAN_CHANNELS, Representation,
};
use dragentity_networks::dragentity::draganything::POOLED;
use dragentity_networks::dragentity::relation::RelationConfig;
use dragentity_networks::sd15::diffusion_features::{Recipe, StableDiffusionConfig};
use dragentity_networks::svd::controlnet::ControlNetConfig;
use dragentity_networks::weights::{ModelDir, Numbers, WeightType};
use serde::{Deserialize, Serialize};

/// Directories of the networks; DragAnything's lies in the directory itself.
const CONTROLNET: &str = "controlnet";
const RELATION: &str = "relation";
/// Frames of DragAnything's videos.
const DRAGANYTHING_FRAMES: u32 = 20;

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
    /// See [`dragentity_networks::dragentity::draganything`].
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
#[derive(Clone)]
pub struct Steer {
    dir: ModelDir,
    /// Where the ControlNet is in it.
    part: &'static str,
    controlnet: ControlNetConfig,
    conditioning: Conditioning,
    features_from: Option<(ModelDir, StableDiffusionConfig)>,
    recipe: Recipe,
    dtype: WeightType,
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
        controlnet.validate(&name)?;
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
            if !(1..=MAX_ENTITIES).contains(&index.max_entities) {
                return Err(Error::Model {
                    name,
                    reason: format!(
                        "max_entities is {}; it must be 1 to {MAX_ENTITIES}",
                        index.max_entities
                    ),
                });
            }
            index.condition.check_width(&name, relation.dim_out)?;
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
            dtype: WeightType::default(),
        })
    }

    /// The weights of the large networks are held in `dtype`; those that make latents and embeddings stay in `f32`.
    pub fn with_dtype(self, dtype: impl Into<WeightType>) -> Self {
        let dtype = dtype.into();
        Self { dtype, ..self }
    }

    /// The weights that are loaded beside the UNet.
    ///
    /// # Errors
    /// [`Error::Model`] for a configuration no network can be built from.
    pub fn numbers<B: Backend>(&self, device: &B::Device) -> Result<Numbers> {
        Ok(Numbers::of(&self.controlnet.init::<B>(device)?))
    }

    /// Opens its weights and compares them with its networks, of which none is loaded; says how many bytes they are.
    ///
    /// # Errors
    /// [`Error::Model`] and [`Error::Io`], naming the file and what is wrong with it.
    pub async fn check_weights<B: Backend>(&self, device: &B::Device) -> Result<u64> {
        let open = async |part: &str| self.dir.read_weights(part, &mut |_, _| {}).await;
        let controlnet = open(self.part).await?;
        controlnet.compare(&self.controlnet.init::<B>(device)?)?;
        let mut bytes = controlnet.len();
        if let Conditioning::DragEntity { relation, .. } = &self.conditioning {
            let weights = open(RELATION).await?;
            weights.compare(&relation.init::<B>(device)?)?;
            bytes += weights.len();
        }
        Ok(bytes)
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
        control.check_fits(name, &svd.unet)?;
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

    /// Checks that a job does not ask for trajectories to be shown otherwise than it was trained with.
    ///
    /// # Errors
    /// [`Error::Job`].
    pub fn check_asked(&self, asked: Option<Representation>) -> Result<()> {
        match &self.conditioning {
            Conditioning::DragAnything => ConditionConfig::default().check_asked(asked),
            Conditioning::DragEntity { index, .. } => index.condition.check_asked(asked),
        }
    }

    pub(super) fn max_entities(&self) -> usize {
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
}
