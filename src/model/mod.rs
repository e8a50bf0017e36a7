//! See ARCHITECTURE.md.

pub mod blocks;
pub mod controlnet;
pub mod unet;
