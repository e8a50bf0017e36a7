//! `dragentity train`.

use crate::Result;
use crate::device::Device;
use crate::train::fit::FitOptions;
use crate::train::run::{RunOptions, What, run};
use clap::ValueEnum;
use std::path::PathBuf;

#[derive(Clone, Copy, ValueEnum)]
enum Network {
    /// VAE and preview decoder
    Vae,
    /// Entity encoder and click head
    Encoder,
    /// UNet, ControlNet and relation module
    Denoiser,
}

/// Options of `dragentity train`.
#[derive(clap::Args)]
pub struct Args {
    /// What to train; the denoiser needs the other two
    network: Network,
    /// Model directory: configurations are read from it, weights written into it
    #[arg(long, default_value = "models/mini")]
    model: PathBuf,
    /// Pack of cut-outs and backgrounds (scripts/fetch-assets makes it)
    #[arg(long, default_value = "assets/clips.pack")]
    data: PathBuf,
    /// Where checkpoints, curves and samples go; a checkpoint there is resumed
    #[arg(long)]
    run: PathBuf,
    /// auto, cpu, wgpu, cuda or tch
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Clips (pictures, for the encoder) in a batch
    #[arg(long, default_value_t = 8)]
    batch: usize,
    /// Optimiser steps of the whole run
    #[arg(long, default_value_t = 100_000)]
    steps: u64,
    /// Minutes of the whole run, over all its sessions; it ends with whichever comes first
    #[arg(long, default_value_t = 1e6)]
    minutes: f64,
    /// Minutes of this session; the run can be resumed after it
    #[arg(long, default_value_t = 1e6)]
    session_minutes: f64,
    /// Peak learning rate
    #[arg(long, default_value_t = 4e-4)]
    learning_rate: f64,
    /// Decay of the average of the weights
    #[arg(long, default_value_t = 0.999)]
    ema: f64,
    /// Frame sizes, WIDTHxHEIGHT, that batches take turns with
    #[arg(long, value_delimiter = ',', value_parser = size, default_value = "64x64")]
    sizes: Vec<(usize, usize)>,
    /// Seed of the training clips
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Start from the weights in the model directory
    #[arg(long)]
    warm: bool,
    /// Minutes between checkpoints
    #[arg(long, default_value_t = 3.0)]
    checkpoint_minutes: f64,
    /// Minutes between pictures of samples
    #[arg(long, default_value_t = 5.0)]
    sample_minutes: f64,
}

fn size(text: &str) -> std::result::Result<(usize, usize), String> {
    let (width, height) = text
        .split_once('x')
        .ok_or("write sizes as WIDTHxHEIGHT, for example 64x64")?;
    let side = |text: &str| match text.parse::<usize>() {
        Ok(side) if side % 16 == 0 && (16..=2048).contains(&side) => Ok(side),
        _ => Err(format!("{text}: sides are multiples of 16, 16 to 2048")),
    };
    Ok((side(width)?, side(height)?))
}

/// Runs the subcommand.
///
/// # Errors
/// As [`run`].
pub fn execute(args: Args) -> Result<()> {
    let options = RunOptions {
        what: match args.network {
            Network::Vae => What::Vae,
            Network::Encoder => What::Encoder,
            Network::Denoiser => What::Denoiser,
        },
        model: args.model,
        data: args.data,
        batch: args.batch.max(1),
        sizes: args.sizes,
        seed: args.seed,
        warm: args.warm,
        fit: FitOptions {
            run: args.run,
            steps: args.steps.max(1),
            seconds: args.minutes * 60.0,
            session_seconds: args.session_minutes * 60.0,
            learning_rate: args.learning_rate,
            ema_decay: args.ema,
            checkpoint_seconds: args.checkpoint_minutes * 60.0,
            sample_seconds: args.sample_minutes * 60.0,
        },
    };
    run(&options, args.device)
}
