//! The networks, configured by diffusers' `config.json`, with fields named as the tensors in the files,
//! and what feeds them.

pub mod blocks;
pub mod bundle;
pub mod clip;
pub mod clip_input;
pub mod condition;
pub mod controlnet;
#[cfg(not(target_family = "wasm"))]
pub mod cotracker;
pub mod denoiser;
pub mod diffusion_features;
pub mod draganything;
pub mod entity_encoder;
pub mod human_parser;
pub mod preview;
pub mod pyramid;
pub mod relation;
pub mod sam;
#[cfg(not(target_family = "wasm"))]
pub mod schp;
pub mod unet;
pub mod unet_2d;
pub mod vae;
