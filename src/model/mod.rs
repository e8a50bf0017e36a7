//! The networks, configured by diffusers' `config.json`, with fields named as the tensors in the files.

pub mod blocks;
pub mod controlnet;
pub mod unet;
pub mod vae;
