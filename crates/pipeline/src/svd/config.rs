//! What a published directory says of its parts, and their networks by it.

use crate::plan::to_unit;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::scene::{Picture, Settings};
use dragentity_core::scheduler::{SamplerKind, SchedulerConfig};
use dragentity_core::{Error, Result};
use dragentity_networks::clip::input::CLIPImageProcessor;
use dragentity_networks::clip::{CLIPVisionConfig, CLIPVisionModelWithProjection};
use dragentity_networks::svd::unet::{UNetConfig, UNetSpatioTemporalConditionModel};
use dragentity_networks::svd::vae::{
    AutoencoderKLTemporalDecoder, AutoencoderKLTemporalDecoderConfig,
};
use dragentity_networks::weights::{ModelDir, Weights};

/// Directories of the networks.
pub(super) const IMAGE_ENCODER: &str = "image_encoder";
pub(super) const VAE: &str = "vae";
pub(super) const UNET: &str = "unet";

/// The configurations of all parts, as the published directory has them.
#[derive(Clone, Debug, Default)]
pub struct SvdConfig {
    /// `image_encoder/config.json`
    pub image_encoder: CLIPVisionConfig,
    /// `feature_extractor/preprocessor_config.json`
    pub feature_extractor: CLIPImageProcessor,
    /// `vae/config.json`
    pub vae: AutoencoderKLTemporalDecoderConfig,
    /// `unet/config.json`
    pub unet: UNetConfig,
    /// `scheduler/scheduler_config.json`
    pub scheduler: SchedulerConfig,
}

impl SvdConfig {
    /// Reads the configurations of a model directory.
    ///
    /// # Errors
    /// [`Error::Model`] naming the file that is missing or not usable.
    pub async fn read(dir: &ModelDir) -> Result<Self> {
        let config = Self {
            image_encoder: dir.read_config(IMAGE_ENCODER).await?,
            feature_extractor: dir
                .read_json("feature_extractor", "preprocessor_config.json")
                .await?,
            vae: dir.read_config(VAE).await?,
            unet: dir.read_config(UNET).await?,
            scheduler: dir.read_json("scheduler", "scheduler_config.json").await?,
        };
        config.check(dir.location())?;
        Ok(config)
    }

    /// Checks that each network can be built and that they fit each other; `location` is what errors
    /// call the model.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn check(&self, location: &str) -> Result<()> {
        let file = |part: &str| format!("{location}/{part}/config.json");
        self.image_encoder.validate(&file(IMAGE_ENCODER))?;
        self.feature_extractor.validate(&format!(
            "{location}/feature_extractor/preprocessor_config.json"
        ))?;
        self.vae.validate(&file(VAE))?;
        self.unet.validate(&file(UNET))?;
        self.scheduler
            .validate(&format!("{location}/scheduler/scheduler_config.json"))?;
        let fail = |reason: String| {
            Err(Error::Model {
                name: location.to_owned(),
                reason: format!("{reason}; do the parts belong together?"),
            })
        };
        let (unet, latents) = (&self.unet, self.vae.latent_channels);
        if unet.in_channels != 2 * latents || unet.out_channels != latents {
            return fail(format!(
                "the UNet takes {} channels and gives {}, where the VAE's {latents} latent channels need {} and {latents}",
                unet.in_channels,
                unet.out_channels,
                2 * latents
            ));
        }
        let width = self.image_encoder.projection_dim;
        if !unet.attends_to(width) {
            return fail(format!(
                "the image encoder's embedding has {width} values, which is not the UNet's cross_attention_dim"
            ));
        }
        if unet.added_ids() != 3 {
            return fail(format!(
                "the UNet takes {} added ids, and 3 are known: frame rate, motion bucket, noise augmentation",
                unet.added_ids()
            ));
        }
        Ok(())
    }

    /// Opens the weights of all parts and compares them with the networks, of which none is loaded; says how many bytes the
    /// weights are. Those of the UNet are in the file `other` where there is one.
    ///
    /// # Errors
    /// [`Error::Model`] and [`Error::Io`], naming the file and what is wrong with it.
    pub async fn check_weights<B: Backend>(
        &self,
        dir: &ModelDir,
        other: Option<&str>,
        device: &B::Device,
    ) -> Result<u64> {
        let open = async |part: &str| dir.read_weights(part, &mut |_, _| {}).await;
        let (encoder, vae) = (open(IMAGE_ENCODER).await?, open(VAE).await?);
        let unet = match other {
            Some(file) => Weights::open(file, &mut |_, _| {}).await?,
            None => open(UNET).await?,
        };
        encoder.compare(&self.image_encoder.init::<B>(device)?)?;
        vae.compare(&self.vae.init::<B>(device)?)?;
        unet.compare(&self.unet.init::<B>(device)?)?;
        Ok(encoder.len() + vae.len() + unet.len())
    }

    /// Loads the image encoder, with `progress(bytes read, bytes in all or 0)`.
    ///
    /// # Errors
    /// [`Error::Model`] and [`Error::Io`], naming the file and what is wrong with it.
    pub async fn load_image_encoder<B: Backend>(
        &self,
        dir: &ModelDir,
        device: &B::Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<CLIPVisionModelWithProjection<B>> {
        Ok(dir
            .load(IMAGE_ENCODER, self.image_encoder.init(device)?, progress)
            .await?
            .0)
    }

    /// Loads the VAE, likewise.
    ///
    /// # Errors
    /// As [`Self::load_image_encoder`].
    pub async fn load_vae<B: Backend>(
        &self,
        dir: &ModelDir,
        device: &B::Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<AutoencoderKLTemporalDecoder<B>> {
        Ok(dir.load(VAE, self.vae.init(device)?, progress).await?.0)
    }

    /// Loads the UNet, likewise.
    ///
    /// # Errors
    /// As [`Self::load_image_encoder`].
    pub async fn load_unet<B: Backend>(
        &self,
        dir: &ModelDir,
        device: &B::Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<UNetSpatioTemporalConditionModel<B>> {
        Ok(dir.load(UNET, self.unet.init(device)?, progress).await?.0)
    }

    /// The context that the UNet attends to: the embedding of the picture, which is best given at its
    /// own size.
    ///
    /// # Shapes
    /// - output: `[1, 1, projection_dim]`
    ///
    /// # Errors
    /// [`Error::Job`] for an empty picture.
    pub fn embed<B: Backend>(
        &self,
        encoder: &CLIPVisionModelWithProjection<B>,
        picture: &Picture,
        device: &B::Device,
    ) -> Result<Tensor<B, 3>> {
        if picture.is_empty() {
            return Err(Error::Job("there is no picture yet: open one first".into()));
        }
        let side = self.image_encoder.image_size;
        let (width, height) = (picture.width as usize, picture.height as usize);
        let planes = self
            .feature_extractor
            .prepare(&to_unit(picture), width, height, side);
        let input = Tensor::from_data(TensorData::new(planes, [1, 3, side, side]), device);
        Ok(encoder.forward(input).unsqueeze_dim(1))
    }
}

/// The settings that a model was published for. What was distilled for few steps needs no guidance either.
pub fn published_settings(unet: &UNetConfig, sampler: SamplerKind) -> Settings {
    let (steps, max_guidance) = match sampler {
        SamplerKind::Euler => (25, 3.0),
        SamplerKind::Consistency => (4, 1.0),
    };
    Settings {
        frames: unet.num_frames as u32,
        fps: 7,
        steps,
        min_guidance: 1.0,
        max_guidance,
        noise_augmentation: 0.02,
        ..Settings::default()
    }
}
