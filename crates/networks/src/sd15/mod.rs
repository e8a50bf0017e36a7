//! Stable Diffusion 1.5's UNet, for the features it gives.

pub mod diffusion_features;
pub mod unet_2d;
