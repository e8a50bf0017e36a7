//! Layers that several networks share. Each is a `FooConfig` with `init(&device)` and a `Foo` with
//! `forward`; fields are named as the tensors in diffusers' files, so that no key map is needed.
//!
//! Time stands in the batch: `[batch * frames, channels, height, width]`, the frames of a clip one
//! after another, except inside the attention over frames.

pub mod attention;
pub mod attention_block;
pub mod batch_norm;
mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube;
pub mod embedding;
mod layer_norm;
pub mod layers;
pub mod norm;
pub mod packed;
mod padding;
pub mod precision;
#[cfg(any(test, feature = "cuda"))]
pub mod product;
pub mod resnet;
pub mod temporal_conv;
pub mod transformer_2d;

pub use resnet::{
    AlphaBlender, AlphaBlenderConfig, Downsample2D, Downsample2DConfig, MergeStrategy,
    ResnetBlock2D, ResnetBlockConfig, SpatioTemporalResBlock, SpatioTemporalResBlockConfig,
    TemporalResnetBlock, Upsample2D, Upsample2DConfig,
};
pub use temporal_conv::{TemporalConv, TemporalConvConfig};
