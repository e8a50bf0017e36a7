//! Options that say which model, and how it is loaded: the same wherever a model runs.

use burn::tensor::FloatDType;
use dragentity_pipeline::dtype::parse_dtype;
use dragentity_pipeline::model::{ControlNetSource, ModelOptions};
use std::path::{Path, PathBuf};

/// Which model.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// Folder of the model, in diffusers' layout [default: models/mini here or beside the program]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Folder of a ControlNet, which lets Stable Video Diffusion follow paths: DragAnything's, or one of our own kind
    #[arg(long, value_name = "DIR")]
    controlnet: Option<PathBuf>,
    /// Folder of Stable Diffusion 1.5, for the features that DragAnything's ControlNet was trained with [default:
    /// features of Stable Video Diffusion]
    #[arg(long, value_name = "DIR", requires = "controlnet")]
    features_from: Option<PathBuf>,
    /// What the networks of a large model compute in: f32, f16 or bf16 [default: f32]
    #[arg(long, value_name = "TYPE", value_parser = parse_dtype)]
    dtype: Option<FloatDType>,
}

impl ModelArgs {
    /// What the options say.
    pub fn options(&self) -> ModelOptions {
        ModelOptions {
            dtype: self.dtype,
            controlnet: self.controlnet.as_ref().map(|controlnet| ControlNetSource {
                location: controlnet.display().to_string(),
                features_from: self.features_from.as_ref().map(|d| d.display().to_string()),
            }),
            ..ModelOptions::new(location(self.model.as_deref()))
        }
    }
}

/// What makes masks of clicks.
#[derive(clap::Args)]
pub struct SegmenterArgs {
    /// Make masks with SAM or MobileSAM: its weights (docs/src/segment.md) [default: the model's own click head]
    #[arg(long, value_name = "FILE")]
    segmenter: Option<PathBuf>,
}

impl SegmenterArgs {
    /// Adds it to what runs.
    pub fn on(&self, options: ModelOptions) -> ModelOptions {
        ModelOptions {
            segmenter: self
                .segmenter
                .as_ref()
                .map(|file| file.display().to_string()),
            ..options
        }
    }
}

/// The model's folder: the one given, else `models/mini` here or above the program.
fn location(given: Option<&Path>) -> String {
    const SHIPPED: &str = "models/mini";
    if let Some(given) = given {
        return given.display().to_string();
    }
    let here = PathBuf::from(SHIPPED);
    if here.is_dir() {
        return SHIPPED.to_owned();
    }
    let program = std::env::current_exe().unwrap_or_default();
    let beside = program
        .ancestors()
        .skip(1)
        .map(|a| a.join(SHIPPED))
        .find(|d| d.is_dir());
    beside.unwrap_or(here).display().to_string()
}
