//! Options that say which model, and how it is loaded: the same wherever a model runs.

use burn::tensor::FloatDType;
use dragentity_pipeline::at_once;
use dragentity_pipeline::dtype::parse_dtype;
use dragentity_pipeline::model::{ControlNetSource, ModelOptions};
use std::path::PathBuf;

/// Which model.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// What makes the frames: at-once (no network), or the folder of a model in diffusers' layout [default: at-once]
    #[arg(long, value_name = "DIR", default_value = at_once::NAME, hide_default_value = true)]
    model: PathBuf,
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
            ..ModelOptions::new(self.model.display().to_string())
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
