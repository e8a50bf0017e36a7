//! `dragentity train`.

use crate::device::Device;
use crate::scene::Representation;
use crate::train::fit::FitOptions;
use crate::train::run::{RunOptions, Shown, What, run};
use crate::train::table::{self, TableOptions};
use crate::{Error, Result};
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
    /// The small denoisers of the paper's tables, one after another, from scratch and with equal budgets; --model
    /// gives VAE and entity encoder and is not changed
    Table,
}

/// What depends on what is trained, where the person does not say otherwise.
struct Defaults {
    /// Optimiser steps; of each of the tables' runs.
    steps: u64,
    /// Frame size in pixels.
    size: (usize, usize),
    batch: usize,
    learning_rate: f64,
    ema: f64,
}

const DEFAULTS: Defaults = Defaults {
    steps: 100_000,
    size: (64, 64),
    batch: 8,
    learning_rate: 4e-4,
    ema: 0.999,
};

/// The tables' runs are short and small.
const TABLE: Defaults = Defaults {
    steps: 1_000,
    size: (32, 32),
    batch: 4,
    learning_rate: 2e-3,
    ema: 0.99,
};

/// Options of `dragentity train`.
#[derive(clap::Args)]
pub struct Args {
    /// What to train; the denoiser needs the two before it
    network: Network,
    /// Model directory: configurations are read from it, weights written into it
    #[arg(long, default_value = "models/mini")]
    model: PathBuf,
    /// Pack of cut-outs and backgrounds (scripts/fetch-assets makes it), or a data set of videos: a folder, or a WebVid
    /// list (models/TRAINING.md says which layouts)
    #[arg(long, visible_alias = "clips", default_value = "assets/clips.pack")]
    data: PathBuf,
    /// Where checkpoints, curves and samples go; a checkpoint there is resumed
    #[arg(long)]
    run: PathBuf,
    /// auto, cpu, wgpu, cuda or tch
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Clips (pictures, for the encoder) in a batch [default: 8; 4 for tables]
    #[arg(long)]
    batch: Option<usize>,
    /// Optimiser steps of the whole run [default: 100000; 1000 for each run of a table]
    #[arg(long)]
    steps: Option<u64>,
    /// Minutes of the whole run, over all its sessions; it ends with whichever comes first
    #[arg(long, default_value_t = 1e6)]
    minutes: f64,
    /// Minutes of this session; the run can be resumed after it
    #[arg(long, default_value_t = 1e6)]
    session_minutes: f64,
    /// Peak learning rate [default: 4e-4; 2e-3 for tables]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Decay of the average of the weights [default: 0.999; 0.99 for tables]
    #[arg(long)]
    ema: Option<f64>,
    /// Frame sizes, WIDTHxHEIGHT, that batches take turns with
    /// [default: 64x64; 32x32 for tables]
    #[arg(long, value_delimiter = ',', value_parser = size)]
    sizes: Vec<(usize, usize)>,
    /// Seed of the training clips
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Start from the weights in the model directory
    #[arg(long)]
    warm: bool,
    /// How the denoiser is shown trajectories: point, graph (MotionCtrl's vector field), gaussian, box, entity or flow
    /// (DragNUWA's dense flow) [default: as the model says]
    #[arg(long, value_name = "KIND")]
    representation: Option<Representation>,
    /// Whether entity embeddings say what an entity is, or only where it lies [default: as the model says]
    #[arg(long, value_name = "true|false")]
    entity_features: Option<bool>,
    /// Whether entity embeddings know of each other by position [default: as the model says]
    #[arg(long, value_name = "true|false")]
    position_relation: Option<bool>,
    /// Whether errors inside entities count twice [default: as the model says]
    #[arg(long, value_name = "true|false")]
    loss_mask: Option<bool>,
    /// Which of the paper's tables to train for [default: all three]
    #[arg(long, value_name = "1,2,3", value_delimiter = ',')]
    table: Vec<u8>,
    /// Channels of the tables' UNets at each level, multiples of 32
    #[arg(long, value_delimiter = ',', default_values_t = table::CHANNELS)]
    channels: Vec<usize>,
    /// How many runs each row of a table gets
    #[arg(long, default_value_t = 3)]
    seeds: u64,
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
    let what = match args.network {
        Network::Vae => What::Vae,
        Network::Encoder => What::Encoder,
        Network::Denoiser => What::Denoiser,
        Network::Table => return table(args),
    };
    let sizes = match args.sizes.is_empty() {
        true => vec![DEFAULTS.size],
        false => args.sizes.clone(),
    };
    let options = RunOptions {
        what,
        sizes,
        fit: fit(&args, &DEFAULTS),
        batch: args.batch.unwrap_or(DEFAULTS.batch).max(1),
        model: args.model,
        data: args.data,
        seed: args.seed,
        warm: args.warm,
        shown: Shown {
            representation: args.representation,
            entity_features: args.entity_features,
            position_relation: args.position_relation,
            loss_mask: args.loss_mask,
        },
    };
    run(&options, args.device)
}

fn fit(args: &Args, defaults: &Defaults) -> FitOptions {
    FitOptions {
        run: args.run.clone(),
        steps: args.steps.unwrap_or(defaults.steps).max(1),
        seconds: args.minutes * 60.0,
        session_seconds: args.session_minutes * 60.0,
        learning_rate: args.learning_rate.unwrap_or(defaults.learning_rate),
        ema_decay: args.ema.unwrap_or(defaults.ema),
        checkpoint_seconds: args.checkpoint_minutes * 60.0,
        sample_seconds: args.sample_minutes * 60.0,
    }
}

fn table(args: Args) -> Result<()> {
    let size = match args.sizes[..] {
        [] => TABLE.size,
        [size] => size,
        _ => {
            return Err(Error::Job(
                "a table's runs have frames of one size: name one with --sizes".into(),
            ));
        }
    };
    let options = TableOptions {
        tables: match args.table.is_empty() {
            true => vec![1, 2, 3],
            false => args.table.clone(),
        },
        seeds: args.seeds,
        size,
        channels: args.channels.clone(),
        batch: args.batch.unwrap_or(TABLE.batch).max(1),
        fit: FitOptions {
            // Equal budgets are steps: minutes depend on what else the machine does.
            seconds: f64::INFINITY,
            // Pictures at the end only: sampling takes as long as ten steps.
            sample_seconds: f64::INFINITY,
            ..fit(&args, &TABLE)
        },
        model: args.model,
        data: args.data,
    };
    table::train(&options, args.device)
}
