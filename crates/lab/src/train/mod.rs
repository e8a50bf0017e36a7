//! Training: one loop ([`fit`]), one stage for each network, checkpoints that a run resumes from.

pub mod checkpoint;
pub mod controlnet;
pub mod curve;
pub mod denoiser;
pub mod ema;
pub mod fit;
pub mod gradients;
pub mod parser;
pub mod parts;
pub mod pass;
pub mod peers;
pub mod plate;
pub mod record;
pub mod run;
pub mod schedule;
pub mod source;
pub mod stage;
pub mod table;
pub mod vae;
