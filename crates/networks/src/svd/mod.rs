//! Stable Video Diffusion: its UNet, its autoencoder, and ControlNets for it.

pub mod arithmetic;
pub mod blocks;
pub mod controlnet;
pub mod unet;
pub mod vae;
