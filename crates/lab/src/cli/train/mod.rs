//! `dragentity-lab train`.

mod options;

use super::progress::Progress;
use crate::train::fit::FitOptions;
use crate::train::pass::PassOptions;
use crate::train::run::{self, RunOptions, Shown, What};
use crate::train::table::{self, TableOptions};
use burn::tensor::FloatDType;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_pipeline::dtype::parse_dtype;
use options::{FrameSize, Network, Options};
use std::path::PathBuf;

/// What depends on what is trained, where the person does not say otherwise.
struct Defaults {
    /// Optimiser steps; of each of the tables' runs.
    steps: u64,
    sizes: &'static [FrameSize],
    batch: usize,
    learning_rate: f64,
    ema: f64,
    sample_minutes: f64,
}

const DEFAULTS: Defaults = Defaults {
    steps: 100_000,
    sizes: &[FrameSize(64, 64)],
    batch: 8,
    learning_rate: 4e-4,
    ema: 0.999,
    sample_minutes: 5.0,
};

/// Stable Video Diffusion at its published size, at the paper's rate.
const PUBLISHED: Defaults = Defaults {
    sizes: &[FrameSize(576, 320)],
    batch: 1,
    learning_rate: 1e-6,
    sample_minutes: 60.0,
    ..DEFAULTS
};

/// Whole photographs, of three shapes.
const PLATE: Defaults = Defaults {
    sizes: &[FrameSize(64, 64), FrameSize(64, 48), FrameSize(48, 64)],
    batch: 16,
    learning_rate: 1e-3,
    ema: 0.998,
    ..DEFAULTS
};

/// A tiny network, and as many movements as it likes.
const PARTS: Defaults = Defaults {
    steps: 4_000,
    batch: 64,
    learning_rate: 2e-3,
    ema: 0.998,
    ..DEFAULTS
};

/// Steps of what all of the tables' runs start from.
const BASE_STEPS: u64 = 4_000;

/// The tables' runs are short and small, and sampling takes as long as ten of their steps.
const TABLE: Defaults = Defaults {
    steps: 250,
    sizes: &[FrameSize(64, 64)],
    batch: 4,
    learning_rate: 1.5e-3,
    ema: 0.99,
    sample_minutes: f64::INFINITY,
};

/// Options of `dragentity-lab train`, and a file of them.
#[derive(clap::Args)]
pub struct Args {
    /// A TOML file with the options below, names with underscores; what is said here as well comes first
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

/// Runs the subcommand.
///
/// # Errors
/// As [`run()`], and [`Error::Job`] for options that cannot be.
pub fn run(args: Args) -> Result<()> {
    let mut options = args.options;
    options.check()?;
    if let Some(path) = &args.config {
        let file = Options::read(path)?;
        file.check()?;
        options = options.or(&file)?;
    }
    let missing = |name: &str| {
        Error::Job(format!(
            "{name} is missing: say it on the command line or in the file of --config"
        ))
    };
    let network = options.network.ok_or_else(|| missing("network"))?;
    let directory = options.run.clone().ok_or_else(|| missing("run"))?;
    let what = match network {
        Network::Vae => What::Vae,
        Network::Parser => What::Parser,
        Network::Plate => What::Plate,
        Network::Parts => What::Parts,
        Network::Denoiser => What::Denoiser,
        Network::Controlnet => What::ControlNet,
        Network::Table => return table(options, directory),
    };
    let defaults = match what {
        What::ControlNet => &PUBLISHED,
        What::Plate => &PLATE,
        What::Parts => &PARTS,
        _ => &DEFAULTS,
    };
    let sizes = match options.sizes.is_empty() {
        true => defaults.sizes,
        false => &options.sizes,
    };
    let made = RunOptions {
        what,
        sizes: sizes.iter().map(|size| (size.0, size.1)).collect(),
        fit: fit(&options, directory, defaults)?,
        batch: options.batch.unwrap_or(defaults.batch),
        controlnet: options.controlnet.clone(),
        frames: options.frames,
        model: match (what, &options.model) {
            (What::Plate, None) => "models/plate".into(),
            (What::Parts, None) => "runs/parts-model".into(),
            _ => model(&options),
        },
        data: data(&options),
        photos: options.photos.clone(),
        seed: options.seed.unwrap_or(1),
        warm: options.warm.unwrap_or(false),
        turns: Vec::new(),
        recompute: options.recompute.unwrap_or(false),
        shown: Shown {
            representation: options.representation,
            entity_features: options.entity_features,
            position_relation: options.position_relation,
            loss_mask: options.loss_mask,
        },
    };
    let mut progress = Progress::default();
    let device = options.device.unwrap_or_default();
    run::run(&made, device, &mut |event| progress.show(&event))
}

fn model(options: &Options) -> PathBuf {
    let given = options.model.clone();
    given.unwrap_or_else(|| "models/mini".into())
}

fn data(options: &Options) -> PathBuf {
    let given = options.data.clone();
    given.unwrap_or_else(|| "assets/clips.pack".into())
}

fn fit(options: &Options, run: PathBuf, defaults: &Defaults) -> Result<FitOptions> {
    let seconds = |minutes: Option<f64>, default: f64| minutes.unwrap_or(default) * 60.0;
    let dtype = match &options.dtype {
        None => FloatDType::F32,
        Some(text) => {
            parse_dtype(text).map_err(|why| Error::Job(format!("dtype {text:?}: {why}")))?
        }
    };
    Ok(FitOptions {
        run,
        steps: options.steps.unwrap_or(defaults.steps),
        seconds: seconds(options.minutes, f64::INFINITY),
        session_seconds: seconds(options.session_minutes, f64::INFINITY),
        session_steps: options.session_steps.unwrap_or(u64::MAX),
        learning_rate: options.learning_rate.unwrap_or(defaults.learning_rate),
        ema_decay: options.ema.unwrap_or(defaults.ema),
        pass: PassOptions {
            accumulate: options.accumulate.or(options.gpus).unwrap_or(1),
            clip_norm: match options.clip_norm {
                None => 1.0,
                Some(0.0) => f64::INFINITY,
                Some(norm) => norm,
            },
            dtype,
        },
        gpus: options.gpus.unwrap_or(1),
        checkpoint_seconds: seconds(options.checkpoint_minutes, 3.0),
        sample_seconds: seconds(options.sample_minutes, defaults.sample_minutes),
    })
}

fn table(options: Options, directory: PathBuf) -> Result<()> {
    let size = match options.sizes[..] {
        [] => TABLE.sizes[0],
        [size] => size,
        _ => {
            return Err(Error::Job(
                "a table's runs have frames of one size: name one with --sizes".into(),
            ));
        }
    };
    let made = TableOptions {
        tables: match options.table.is_empty() {
            true => vec![1, 2, 3],
            false => options.table.clone(),
        },
        seeds: options.seeds.unwrap_or(3),
        size: (size.0, size.1),
        channels: match options.channels.is_empty() {
            true => table::CHANNELS.to_vec(),
            false => options.channels.clone(),
        },
        batch: options.batch.unwrap_or(TABLE.batch),
        base_steps: options.base_steps.unwrap_or(BASE_STEPS),
        fit: FitOptions {
            // Equal budgets are steps: minutes depend on what else the machine does.
            seconds: f64::INFINITY,
            ..fit(&options, directory, &TABLE)?
        },
        model: model(&options),
        data: data(&options),
    };
    let mut progress = Progress::default();
    let device = options.device.unwrap_or_default();
    table::train(&made, device, &mut |event| progress.show(&event))
}
