//! Options that say which model, and how it is loaded: the same wherever a model runs.

use dragentity_core::scheduler::SamplerKind;
use dragentity_networks::device::Device;
use dragentity_networks::weights::WeightType;
use dragentity_pipeline::at_once;
use dragentity_pipeline::model::{ControlNetSource, ModelOptions};
use std::path::PathBuf;

/// Which model.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// What makes the frames: at-once (no network), or the folder of a model in diffusers' layout [default: at-once]
    #[arg(long, value_name = "DIR", default_value = at_once::NAME, hide_default_value = true)]
    model: PathBuf,
    /// Weights of Stable Video Diffusion's UNet, instead of those in its folder: AnimateLCM-SVD's, which make a video in 2 to 8
    /// steps with --sampler consistency
    #[arg(long, value_name = "FILE")]
    unet: Option<PathBuf>,
    /// How Stable Video Diffusion samples: euler, or consistency, for weights that were distilled for few steps [default: what
    /// its folder says]
    #[arg(long, value_name = "KIND")]
    sampler: Option<SamplerKind>,
    /// Folder of a ControlNet that moves things in Stable Video Diffusion: DragAnything's, or one of our own kind
    #[arg(long, value_name = "DIR")]
    controlnet: Option<PathBuf>,
    /// Folder of Stable Diffusion 1.5, for the features that DragAnything's ControlNet was trained with [default:
    /// features of Stable Video Diffusion]
    #[arg(long, value_name = "DIR", requires = "controlnet")]
    features_from: Option<PathBuf>,
    /// What the weights of a large model are held in: f32, f16, bf16, or int8, which takes a quarter of the memory [default: the best
    /// that there is memory for]
    #[arg(long, value_name = "TYPE")]
    dtype: Option<WeightType>,
}

impl ModelArgs {
    /// What the options say.
    pub fn options(&self) -> ModelOptions {
        ModelOptions {
            dtype: self.dtype,
            unet: self.unet.as_ref().map(|file| file.display().to_string()),
            sampler: self.sampler,
            controlnet: self.controlnet.as_ref().map(|controlnet| ControlNetSource {
                location: controlnet.display().to_string(),
                features_from: self.features_from.as_ref().map(|d| d.display().to_string()),
            }),
            structure: structure(),
            interpolator: shipped_file("models/rife/model.safetensors"),
            ..ModelOptions::new(self.model.display().to_string())
        }
    }
}

/// Where networks run.
#[derive(clap::Args)]
pub struct DeviceArgs {
    /// Where to compute: auto, cuda, vulkan, metal, dx12, wgpu or cpu; cuda:1 is the second GPU, cpu:4 four threads
    #[arg(long, default_value = "auto")]
    pub device: Device,
}

/// What makes masks of clicks.
#[derive(clap::Args)]
pub struct SegmenterArgs {
    /// SAM's or MobileSAM's weights, which make the masks (docs/src/segment.md) [default: models/mobile_sam/model.safetensors
    /// here or beside the program]
    #[arg(long, value_name = "FILE")]
    segmenter: Option<PathBuf>,
}

impl SegmenterArgs {
    /// Adds it to what runs: the one given, else the shipped one where there is one.
    pub fn on(&self, options: ModelOptions) -> ModelOptions {
        let shipped = || shipped("models/mobile_sam/model.safetensors");
        ModelOptions {
            segmenter: self
                .segmenter
                .clone()
                .or_else(shipped)
                .map(|file| file.display().to_string()),
            ..options
        }
    }
}

/// The shipped network that guesses what lies behind things, if it is there.
pub(super) fn structure() -> Option<String> {
    shipped_file("models/plate")
}

/// What ships with the program, as [`ModelOptions`] names it.
fn shipped_file(path: &str) -> Option<String> {
    Some(shipped(path)?.display().to_string())
}

/// What ships with the program, here or above the program.
pub(super) fn shipped(path: &str) -> Option<PathBuf> {
    let here = PathBuf::from(path);
    if here.exists() {
        return Some(here);
    }
    let program = std::env::current_exe().unwrap_or_default();
    let above = program.ancestors().skip(1);
    above.map(|a| a.join(path)).find(|found| found.exists())
}
