//! All networks of one model, as its directory lists them in `model_index.json`.

use crate::dragentity::condition::ConditionConfig;
use crate::dragentity::denoiser::{Denoiser, ResidualBase};
use crate::dragentity::entity_encoder::{self, EntityEncoder, EntityEncoderConfig};
use crate::dragentity::preview::PreviewDecoder;
use crate::dragentity::relation::RelationConfig;
use crate::fields::Fields;
use crate::svd::controlnet::ControlNetConfig;
use crate::svd::unet::UNetConfig;
use crate::svd::vae::{AutoencoderKLTemporalDecoder, AutoencoderKLTemporalDecoderConfig};
use crate::weights::ModelDir;
use burn::module::Module;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::error::Result;
use dragentity_core::scene::settings::{MAX_ENTITIES, MAX_FRAMES, MAX_STEPS};
use dragentity_core::scheduler::EulerDiscreteConfig;
use serde::{Deserialize, Serialize};

/// `model_index.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelIndex {
    /// diffusers' name of the pipeline.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// What the model is called.
    pub name: String,
    /// The video has about this many pixels squared; its sides follow the picture's aspect.
    pub sample_side: u32,
    /// Both sides of the video are multiples of this many pixels.
    pub size_multiple: u32,
    /// The number of frames it was trained on.
    pub frames: u32,
    /// Frames a second it was trained on.
    pub fps: u32,
    /// Denoising steps that suffice.
    pub steps: u32,
    /// How many pixels of the result, each way, one of the networks stands for (see
    /// `dragentity_pipeline::detail`); only with the draft as residual base.
    pub output_scale: u32,
    /// What the denoised quantity is a difference to.
    pub residual_base: ResidualBase,
    /// Standard deviation of that difference, for each latent channel.
    pub residual_std: Vec<f32>,
    /// Most entities of one job.
    pub max_entities: usize,
    /// How conditions are drawn, and what they show.
    pub condition: ConditionConfig,
    /// Whether errors inside entities counted more in its training (Eq. 8).
    pub loss_mask: bool,
}

impl Default for ModelIndex {
    fn default() -> Self {
        Self {
            class_name: "DragEntityPipeline".into(),
            name: "mini".into(),
            sample_side: 64,
            size_multiple: 16,
            frames: 8,
            fps: 8,
            steps: 8,
            output_scale: 1,
            residual_base: ResidualBase::Draft,
            residual_std: Vec::new(),
            max_entities: 12,
            condition: ConditionConfig::default(),
            loss_mask: true,
        }
    }
}

/// The configurations of all networks.
#[derive(Clone, Debug)]
pub struct BundleConfig {
    /// Of the whole.
    pub index: ModelIndex,
    /// Of the VAE.
    pub vae: AutoencoderKLTemporalDecoderConfig,
    /// Of the UNet.
    pub unet: UNetConfig,
    /// Of the ControlNet.
    pub controlnet: ControlNetConfig,
    /// Of the entity encoder.
    pub encoder: EntityEncoderConfig,
    /// Of the relation module.
    pub relation: RelationConfig,
    /// Of the sampler.
    pub scheduler: EulerDiscreteConfig,
}

impl BundleConfig {
    /// Reads every `config.json` of a model directory.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`] naming the file that is missing or not usable.
    pub async fn read(dir: &ModelDir) -> Result<Self> {
        let config = Self {
            index: dir.read_json("", "model_index.json").await?,
            vae: dir.read_config("vae").await?,
            unet: dir.read_config("unet").await?,
            controlnet: dir.read_config("controlnet").await?,
            encoder: dir.read_config(entity_encoder::PART).await?,
            relation: dir.read_config("relation").await?,
            scheduler: dir.read_json("scheduler", "scheduler_config.json").await?,
        };
        config.check(dir.location())?;
        Ok(config)
    }

    /// Checks that networks can be built and fit each other; `name` is what the error calls the model.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`].
    pub fn check(&self, name: &str) -> Result<()> {
        let file = |part: &str| format!("{name}/{part}/config.json");
        let index_file = format!("{name}/model_index.json");
        let fields = Fields::of(&index_file);
        let index = &self.index;
        self.vae.validate(&file("vae"))?;
        self.unet.validate(&file("unet"))?;
        self.controlnet.validate(&file("controlnet"))?;
        self.encoder.validate(&file(entity_encoder::PART))?;
        self.relation.validate(&file("relation"))?;
        self.scheduler
            .validate(&format!("{name}/scheduler/scheduler_config.json"))?;
        index.condition.validate(&index_file)?;
        index
            .condition
            .check_width(&index_file, self.relation.dim_out)?;
        let latents = self.vae.latent_channels;
        if !index.residual_std.is_empty() && index.residual_std.len() != latents {
            return fields.fail(format!(
                "residual_std has {} values for {latents} latent channels",
                index.residual_std.len()
            ));
        }
        for &std in &index.residual_std {
            fields.between("residual_std", std.into(), 0.0, f64::INFINITY)?;
        }
        for (field, value, bounds) in [
            ("size_multiple", index.size_multiple, 1..=256),
            ("sample_side", index.sample_side, 16..=2048),
            ("output_scale", index.output_scale, 1..=8),
            ("frames", index.frames, 2..=MAX_FRAMES as usize),
            ("steps", index.steps, 1..=MAX_STEPS as usize),
            ("fps", index.fps, 1..=60),
        ] {
            fields.within(field, value as usize, bounds)?;
        }
        fields.within("max_entities", index.max_entities, 1..=MAX_ENTITIES)?;
        let factors = index.condition.map_factor * self.controlnet.downscale();
        if factors != index.condition.vae_factor || index.condition.vae_factor != self.vae.factor()
        {
            return fields.fail(format!(
                "condition: map_factor {} times the condition encoders' {} and vae_factor {} must be the VAE's {}",
                index.condition.map_factor,
                self.controlnet.downscale(),
                index.condition.vae_factor,
                self.vae.factor()
            ));
        }
        if self.controlnet.entity_channels() != self.relation.dim_out
            || self.relation.dim != self.encoder.feature_dim
        {
            return fields.fail(
                "entity encoder, relation module and ControlNet disagree on the features' width",
            );
        }
        let tokens = self.encoder.token_dim();
        if !self.unet.attends_to(tokens) {
            return fields.fail(format!(
                "the entity encoder's tokens have {tokens} values, which is not the UNet's cross_attention_dim"
            ));
        }
        if index.output_scale != 1 && index.residual_base != ResidualBase::Draft {
            return fields.fail("output_scale must be 1 unless residual_base is draft");
        }
        self.controlnet.check_fits(&file("controlnet"), &self.unet)
    }

    /// Initialises all networks, untrained.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`] for configurations no network can be built from.
    pub fn init<B: Backend>(self, device: &B::Device) -> Result<Bundle<B>> {
        let factor = self.index.condition.vae_factor;
        Ok(Bundle {
            vae: self.vae.init(device)?,
            preview: PreviewDecoder::new(self.vae.latent_channels, factor, device),
            encoder: self.encoder.init(device)?,
            denoiser: Denoiser {
                unet: self.unet.init(device)?,
                controlnet: self.controlnet.init(device)?,
                relation: self.relation.init(device)?,
            },
            config: self,
            device: device.clone(),
        })
    }
}

/// A model, ready to run.
pub struct Bundle<B: Backend> {
    /// Its configurations.
    pub config: BundleConfig,
    /// Pictures to latents and back.
    pub vae: AutoencoderKLTemporalDecoder<B>,
    /// Latents to rough pictures.
    pub preview: PreviewDecoder<B>,
    /// Features and context.
    pub encoder: EntityEncoder<B>,
    /// UNet, ControlNet and relation module.
    pub denoiser: Denoiser<B>,
    /// Where it is.
    pub device: B::Device,
}

/// Reads the weights of one part into its field.
macro_rules! load_part {
    ($bundle:ident, $dir:ident, $progress:ident, $name:literal, $($field:ident).+) => {
        $bundle.$($field).+ = $dir
            .load($name, $bundle.$($field).+, &mut |done, total| $progress($name, done, total))
            .await?
            .0;
    };
}

impl<B: Backend> Bundle<B> {
    /// A copy of it on another device.
    pub fn on(&self, device: &B::Device) -> Self {
        Self {
            config: self.config.clone(),
            vae: self.vae.clone().to_device(device),
            preview: self.preview.clone().to_device(device),
            encoder: self.encoder.on(device),
            denoiser: self.denoiser.clone().to_device(device),
            device: device.clone(),
        }
    }

    /// Loads a model directory (or URL); `progress(part, bytes read, bytes in all or 0)`.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`] naming the file and what is missing or damaged in it.
    pub async fn load(
        location: &str,
        device: &B::Device,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<Self> {
        let dir = ModelDir::new(location);
        let mut bundle = Self::load_parts(&dir, device, progress).await?;
        load_part!(bundle, dir, progress, "relation", denoiser.relation);
        load_part!(bundle, dir, progress, "controlnet", denoiser.controlnet);
        load_part!(bundle, dir, progress, "unet", denoiser.unet);
        Ok(bundle)
    }

    /// Loads all but the denoiser, which stays untrained: what its training starts from.
    ///
    /// # Errors
    /// As [`Bundle::load`].
    pub async fn load_frozen(location: &str, device: &B::Device) -> Result<Self> {
        Self::load_parts(&ModelDir::new(location), device, &mut |_, _, _| {}).await
    }

    async fn load_parts(
        dir: &ModelDir,
        device: &B::Device,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<Self> {
        let mut bundle = BundleConfig::read(dir).await?.init::<B>(device)?;
        let mut of_encoder = |done, total| progress(entity_encoder::PART, done, total);
        let encoder = (bundle.config.encoder).load(dir, device, &mut of_encoder);
        // On the heap: it is large while it waits, and so is what waits for it.
        bundle.encoder = Box::pin(encoder).await?;
        load_part!(bundle, dir, progress, "vae", vae);
        load_part!(bundle, dir, progress, "preview", preview);
        Ok(bundle)
    }

    /// Normalized latents of pictures.
    ///
    /// # Shapes
    /// - pictures: `[n, 3, height, width]`, -1..1
    /// - output: `[n, channels, height / factor, width / factor]`, each channel about mean 0, deviation 1
    pub fn encode(&self, pictures: Tensor<B, 4>) -> Tensor<B, 4> {
        let (mean, _) = self.vae.encode(pictures);
        self.config.vae.normalize(mean)
    }

    /// Latents as the VAE's decoder takes them, from normalized ones.
    pub fn denormalize(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        self.config.vae.denormalize(latents)
    }

    /// The deviation of the denoised quantity, `[1, 1, channels, 1, 1]`.
    pub fn residual_std(&self) -> Tensor<B, 5> {
        residual_std(&self.config, &self.device)
    }
}

/// The deviation of the denoised quantity, `[1, 1, channels, 1, 1]`.
pub fn residual_std<B: Backend>(config: &BundleConfig, device: &B::Device) -> Tensor<B, 5> {
    let channels = config.vae.latent_channels;
    if config.index.residual_std.is_empty() {
        return Tensor::ones([1, 1, channels, 1, 1], device);
    }
    let data = TensorData::new(config.index.residual_std.clone(), [1, 1, channels, 1, 1]);
    Tensor::from_data(data, device)
}
