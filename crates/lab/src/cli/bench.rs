//! `dragentity-lab bench`.

use crate::bench::random::{self, Sizes};
use crate::bench::{Options, ReferenceOptions, bench};
use dragentity_core::error::{Error, Result};
use dragentity_networks::device::Device;
use dragentity_networks::weights::WeightType;
use dragentity_terminal::options::size;
use dragentity_terminal::out;
use std::path::PathBuf;

/// Options of `dragentity-lab bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of Stable Video Diffusion [default: a small one of random weights, made for the purpose]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Where to compute, as in generate
    #[arg(long, default_value = "auto")]
    device: Device,
    /// What the weights of UNet and image encoder are held in: f32, f16, bf16 or int8
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    dtype: WeightType,
    /// Size of the video in pixels, multiples of 64
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size, default_value = "256x256")]
    size: [u32; 2],
    /// Frames of the video
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=64))]
    frames: u32,
    /// Denoising steps of a whole generation
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=200))]
    steps: u32,
    /// How often each is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,
    /// Measure single steps alone
    #[arg(long)]
    no_generate: bool,
    /// A Python with torch and diffusers, to do the same in turn
    #[arg(long, value_name = "PYTHON")]
    reference: Option<String>,
    /// Write a model of random weights of the published sizes into this new folder (4.5 GB), and measure nothing
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "reference", "json"])]
    write: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the benchmark and prints the figures.
///
/// # Errors
/// As [`bench()`], and [`Error::Job`] for sizes that are no multiples of 64.
pub fn run(args: Args) -> Result<()> {
    if let Some(folder) = args.write {
        return random::write(&folder, Sizes::Published);
    }
    if let Some(side) = args.size.iter().find(|&&side| side == 0 || side % 64 != 0) {
        return Err(Error::Job(format!(
            "--size has a side of {side} pixels; choose multiples of 64"
        )));
    }
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    let (device, threads) = match args.device {
        Device::Cpu { threads } => ("cpu".to_owned(), threads.map_or_else(all, usize::from)),
        Device::Cuda { index } => (format!("cuda:{index}"), all()),
        // The reference has to be told which; a GPU through Vulkan or Metal is not PyTorch's to have.
        _ => ("cpu".to_owned(), all()),
    };
    let options = Options {
        model: args.model.map(|model| model.display().to_string()),
        dtype: args.dtype,
        size: args.size,
        frames: args.frames,
        steps: args.steps,
        repeats: args.repeats.into(),
        generate: !args.no_generate,
        reference: args.reference.map(|python| ReferenceOptions {
            python,
            device,
            threads,
        }),
    };
    let report = bench(&options, args.device, &mut |what| out::aside(what))?;
    if args.json {
        out::line(serde_json::to_string(&report).unwrap_or_default());
    } else {
        out::text(&report);
    }
    Ok(())
}
