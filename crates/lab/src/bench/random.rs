//! Stable Video Diffusion with random weights: what to measure where the public ones are not at hand.

use burn::backend::Flex;
use burn::module::Module;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::platform::{make_dir, write_json};
use dragentity_core::scheduler::SchedulerConfig;
use dragentity_networks::clip::CLIPVisionConfig;
use dragentity_networks::clip::input::CLIPImageProcessor;
use dragentity_networks::svd::unet::{PerLevel, UNetConfig};
use dragentity_networks::svd::vae::AutoencoderKLTemporalDecoderConfig;
use dragentity_networks::weights::{tensor_list, write_random};
use dragentity_pipeline::svd::SvdConfig;
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;

fn small() -> SvdConfig {
    SvdConfig {
        image_encoder: CLIPVisionConfig {
            hidden_size: 256,
            intermediate_size: 1024,
            num_hidden_layers: 8,
            num_attention_heads: 4,
            projection_dim: 256,
            ..CLIPVisionConfig::default()
        },
        feature_extractor: CLIPImageProcessor::default(),
        vae: AutoencoderKLTemporalDecoderConfig::new(&[64, 128, 256, 256], 2, 4),
        unet: UNetConfig {
            block_out_channels: vec![128, 256, 384, 384],
            cross_attention_dim: PerLevel::All(256),
            num_attention_heads: PerLevel::Each(vec![2, 4, 6, 6]),
            ..UNetConfig::default()
        },
        scheduler: SchedulerConfig::default(),
    }
}

/// Which sizes a model of random weights has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Few channels; the depth, and with it the kinds of layers and their order, is the published one.
    Small,
    /// The published ones: 2,254 million numbers, 4.5 GB in half precision.
    Published,
}

/// Writes the weights of a network as `file`.
fn write_weights<M: Module<Flex>>(file: &Path, network: &M) -> Result<()> {
    write_random(file, tensor_list(network))
}

/// A small model in a folder that stays until it is dropped.
///
/// # Errors
/// As [`write()`].
pub fn directory() -> Result<TempDir> {
    let dir = tempfile::tempdir().map_err(|source| Error::Io {
        path: std::env::temp_dir().display().to_string(),
        source,
    })?;
    write(dir.path(), Sizes::Small)?;
    Ok(dir)
}

/// Writes a model of random weights in half precision, as diffusers reads it.
///
/// # Errors
/// [`Error::Io`] when the disk is full or closed.
pub fn write(root: &Path, sizes: Sizes) -> Result<()> {
    let config = match sizes {
        Sizes::Small => small(),
        Sizes::Published => SvdConfig::default(),
    };
    let device = Default::default();
    const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
    write_weights(
        &root.join("image_encoder/model.safetensors"),
        &config.image_encoder.init::<Flex>(&device)?,
    )?;
    write_weights(
        &root.join("vae").join(WEIGHTS),
        &config.vae.init::<Flex>(&device)?,
    )?;
    write_weights(
        &root.join("unet").join(WEIGHTS),
        &config.unet.init::<Flex>(&device)?,
    )?;
    write_json(
        &root.join("image_encoder/config.json"),
        &config.image_encoder,
    )?;
    write_json(&root.join("vae/config.json"), &config.vae)?;
    write_json(&root.join("unet/config.json"), &config.unet)?;
    for part in ["scheduler", "feature_extractor"] {
        make_dir(&root.join(part))?;
    }
    write_json(
        &root.join("scheduler/scheduler_config.json"),
        &config.scheduler,
    )?;
    let mut processor = json!(config.feature_extractor);
    processor["image_processor_type"] = "CLIPImageProcessor".into();
    write_json(
        &root.join("feature_extractor/preprocessor_config.json"),
        &processor,
    )?;
    let index = json!({
        "_class_name": "StableVideoDiffusionPipeline",
        "_diffusers_version": "0.24.0",
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "unet": ["diffusers", "UNetSpatioTemporalConditionModel"],
        "vae": ["diffusers", "AutoencoderKLTemporalDecoder"],
    });
    write_json(&root.join("model_index.json"), &index)
}
