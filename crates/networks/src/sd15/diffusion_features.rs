//! What a denoiser knows of a picture: its features while it denoises the picture for one step (Tang et al.,
//! "Emergent Correspondence from Image Diffusion", 2023), as DragAnything takes them from Stable Diffusion 1.5 for
//! its entity map. Stable Video Diffusion's own UNet gives such features, too: of the same width and resolution, but
//! other ones, which no ControlNet of DragAnything has seen in training.

use crate::clip::{CLIPTextConfig, CLIPTextModel};
use crate::dragentity::denoiser::Prepared;
use crate::nn::precision::as_type;
use crate::sd15::unet_2d::{UNet2DConditionModel, UNet2DConfig};
use crate::svd::unet::UNetSpatioTemporalConditionModel;
use crate::svd::vae::{AutoencoderKLTemporalDecoderConfig, LatentEncoder};
use crate::weights::ModelDir;
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::error::{Error, Result};
use dragentity_core::scheduler::EulerDiscreteConfig;

/// Directories of Stable Diffusion's networks.
const TEXT_ENCODER: &str = "text_encoder";
const VAE: &str = "vae";
const UNET: &str = "unet";

/// How the features are taken. The defaults are those of DragAnything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// How noisy the picture is made: a step of Stable Diffusion's training schedule of 1,000.
    pub timestep: usize,
    /// Blocks of the way up that are run; the last one's output is taken.
    pub up_blocks: usize,
    /// Noises over whose features the mean is taken.
    pub ensemble: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            timestep: 261,
            up_blocks: 4,
            ensemble: 8,
        }
    }
}

/// The configurations of Stable Diffusion 1.x that matter for its features.
#[derive(Clone, Debug, Default)]
pub struct StableDiffusionConfig {
    /// `text_encoder/config.json`
    pub text_encoder: CLIPTextConfig,
    /// `vae/config.json`
    pub vae: AutoencoderKLTemporalDecoderConfig,
    /// `unet/config.json`
    pub unet: UNet2DConfig,
    /// `scheduler/scheduler_config.json`: of whatever kind, it has the training schedule.
    pub scheduler: EulerDiscreteConfig,
}

impl StableDiffusionConfig {
    /// Reads the configurations of a model directory.
    ///
    /// # Errors
    /// [`Error::Model`] naming the file that is missing or not usable.
    pub async fn read(dir: &ModelDir) -> Result<Self> {
        // Most telling first: of the other kinds of models some have no text encoder.
        let unet: UNet2DConfig = dir.read_config(UNET).await?;
        unet.validate(&dir.file(UNET, "config.json"))?;
        let config = Self {
            unet,
            vae: dir.read_config(VAE).await?,
            text_encoder: dir.read_config(TEXT_ENCODER).await?,
            scheduler: dir.read_json("scheduler", "scheduler_config.json").await?,
        };
        config.check(dir)?;
        Ok(config)
    }

    fn check(&self, dir: &ModelDir) -> Result<()> {
        let file = |part: &str| dir.file(part, "config.json");
        self.vae.validate(&file(VAE))?;
        self.text_encoder.validate(&file(TEXT_ENCODER))?;
        // The schedule is all that is asked of it.
        self.scheduler
            .training_sigma(&dir.file("scheduler", "scheduler_config.json"), 0)?;
        let fail = |reason: String| {
            Err(Error::Model {
                name: dir.location().to_owned(),
                reason: format!("{reason}; do the parts belong together?"),
            })
        };
        let (latents, width) = (self.vae.latent_channels, self.text_encoder.hidden_size);
        if self.unet.in_channels != latents {
            return fail(format!(
                "the UNet takes {} channels and the VAE gives {latents}",
                self.unet.in_channels
            ));
        }
        if self.unet.cross_attention_dim != width {
            return fail(format!(
                "the UNet attends to {} values a token and the text encoder gives {width}",
                self.unet.cross_attention_dim
            ));
        }
        Ok(())
    }

    /// Loads the text encoder, with `progress(bytes read, bytes in all or 0)`.
    ///
    /// # Errors
    /// [`Error::Model`] and [`Error::Io`], naming the file and what is wrong with it.
    pub async fn load_text_encoder<B: Backend>(
        &self,
        dir: &ModelDir,
        device: &B::Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<CLIPTextModel<B>> {
        let network = self.text_encoder.init(device)?;
        let name = |name: &str| Some(text_encoder_tensor(name));
        let loaded = dir.load_renamed(TEXT_ENCODER, network, name, progress);
        Ok(loaded.await?.0)
    }

    /// Loads the encoder of the VAE, likewise.
    ///
    /// # Errors
    /// As [`Self::load_text_encoder`].
    pub async fn load_encoder<B: Backend>(
        &self,
        dir: &ModelDir,
        device: &B::Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<LatentEncoder<B>> {
        let network = self.vae.init_encoder(device)?;
        let loaded = dir.load_renamed(VAE, network, encoder_tensor, progress);
        Ok(loaded.await?.0)
    }

    /// Loads the UNet, likewise.
    ///
    /// # Errors
    /// As [`Self::load_text_encoder`].
    pub async fn load_unet<B: Backend>(
        &self,
        dir: &ModelDir,
        device: &B::Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<UNet2DConditionModel<B>> {
        Ok(dir.load(UNET, self.unet.init(device)?, progress).await?.0)
    }

    /// Scaled latents drawn from what the encoder says of a picture.
    ///
    /// # Shapes
    /// - `picture`: `[1, 3, height, width]`, -1..1
    /// - `noise`, output: `[n, latent_channels, height / factor, width / factor]`
    pub fn draw<B: Backend>(
        &self,
        encoder: &LatentEncoder<B>,
        picture: Tensor<B, 4>,
        noise: Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let (mean, logvar) = encoder.encode(picture);
        self.vae.normalize(mean + (logvar * 0.5).exp() * noise)
    }

    /// Features of Stable Diffusion, the mean over the noises.
    ///
    /// # Shapes
    /// - `latents`: `[n, channels, height, width]`, from [`Self::draw`]
    /// - `noise`: the same, of mean 0 and deviation 1
    /// - `context`: `[1, tokens, dim]`, from the text encoder
    /// - output: `[1, channels of the block, height, width]`
    ///
    /// # Errors
    /// [`Error::Model`] for a training schedule that is too short.
    pub fn features<B: Backend>(
        &self,
        recipe: &Recipe,
        unet: &UNet2DConditionModel<B>,
        latents: Tensor<B, 4>,
        noise: Tensor<B, 4>,
        context: Tensor<B, 3>,
    ) -> Result<Tensor<B, 4>> {
        let sigma = self
            .scheduler
            .training_sigma("scheduler_config.json", recipe.timestep)?;
        let noisy = (latents + noise * sigma) / (sigma * sigma + 1.0).sqrt();
        let time = Tensor::full([1], recipe.timestep as f32, &noisy.device());
        Ok(mean_over(noisy, |one| {
            unet.features(one, time.clone(), context.clone(), recipe.up_blocks)
        }))
    }
}

/// Features of Stable Video Diffusion's UNet, the mean over the noises: a video of one frame, made as noisy as Stable
/// Diffusion's pictures are (0.72 of the latents' deviation for the default recipe).
///
/// # Shapes
/// - `prepared`: of one frame, for whose [`Prepared::image_latents`] the features are
/// - `latents`: `[1, channels, height, width]`, scaled as those that are denoised
/// - `noise`: `[n, channels, height, width]`, of mean 0 and deviation 1
/// - output: `[1, channels of the block, height, width]`
///
/// # Errors
/// As [`StableDiffusionConfig::features`].
pub fn video_features<B: Backend>(
    recipe: &Recipe,
    unet: &UNetSpatioTemporalConditionModel<B>,
    prepared: &Prepared<'_, B>,
    latents: Tensor<B, 4>,
    noise: Tensor<B, 4>,
) -> Result<Tensor<B, 4>> {
    let sigma = EulerDiscreteConfig::default().training_sigma("recipe", recipe.timestep)?;
    let noisy = (latents + noise * sigma) / (sigma * sigma + 1.0).sqrt();
    let time = Tensor::full([1], 0.25 * sigma.ln() as f32, &noisy.device());
    Ok(mean_over(noisy, |one| {
        let sample = Tensor::cat(
            vec![one.unsqueeze_dim(1), prepared.image_latents.clone()],
            2,
        );
        unet.features(
            sample,
            time.clone(),
            prepared.tokens.clone(),
            prepared.added_time_ids.clone(),
            None,
            recipe.up_blocks,
        )
    }))
}

/// The mean of what `run` makes of each element, one after another: together they would take more memory than
/// anything else.
fn mean_over<B: Backend>(
    batch: Tensor<B, 4>,
    mut run: impl FnMut(Tensor<B, 4>) -> Tensor<B, 4>,
) -> Tensor<B, 4> {
    let (n, own) = (batch.dims()[0], batch.dtype());
    let mut one = |i| as_type(run(batch.clone().narrow(0, i, 1)), own);
    let mut sum = one(0);
    for i in 1..n {
        sum = sum + one(i);
    }
    sum / n as f64
}

/// A tensor's name in the published files; newer ones of transformers leave the first word out.
fn text_encoder_tensor(name: &str) -> String {
    match name.starts_with("text_model.") {
        true => name.to_owned(),
        false => format!("text_model.{name}"),
    }
}

/// The present name of a tensor of the encoder: older files call the attention's otherwise.
fn encoder_tensor(name: &str) -> Option<String> {
    if !name.starts_with("encoder.") && !name.starts_with("quant_conv.") {
        return None;
    }
    let mut words: Vec<&str> = name.split('.').collect();
    if words.contains(&"attentions") {
        for word in &mut words {
            *word = match *word {
                "query" => "to_q",
                "key" => "to_k",
                "value" => "to_v",
                "proj_attn" => "to_out.0",
                other => other,
            };
        }
    }
    Some(words.join("."))
}
