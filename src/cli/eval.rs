//! `dragentity eval`.

use crate::Result;
use crate::device::Device;
use crate::eval::extractor::Extractors;
use crate::eval::table::Ledger;
use crate::eval::{EvalOptions, Measures, TrackOptions, evaluate, evaluate_tracks};
use crate::platform::write_whole;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Options of `dragentity eval`.
#[derive(clap::Args)]
pub struct Args {
    /// Model directory
    #[arg(long, default_value = "models/mini")]
    model: String,
    /// Pack whose held-out half is used
    #[arg(long, default_value = "tests/data/held_out.pack")]
    data: PathBuf,
    /// Number of clips
    #[arg(long, default_value_t = crate::data::EVAL_CLIPS)]
    clips: u64,
    /// Denoising steps, instead of the model's own
    #[arg(long)]
    steps: Option<usize>,
    /// auto, cpu, wgpu, cuda or tch
    #[arg(long, default_value = "auto")]
    device: Device,
    /// InceptionV3 of pytorch-fid as safetensors (docs/metrics.md), for FID as in the literature
    #[arg(long, value_name = "FILE", conflicts_with_all = ["clicks_only", "tracks"])]
    inception: Option<PathBuf>,
    /// I3D of Kinetics-400 as safetensors (docs/metrics.md), for FVD as in the literature
    #[arg(long, value_name = "FILE", conflicts_with_all = ["clicks_only", "tracks"])]
    i3d: Option<PathBuf>,
    /// Measure the masks from clicks alone, which takes a minute
    #[arg(long, conflicts_with = "sheet")]
    clicks_only: bool,
    /// Measure the trackers of videos instead of a model
    #[arg(long, conflicts_with_all = ["clicks_only", "sheet", "steps"])]
    tracks: bool,
    /// Print table 1, 2 or 3 of the paper at this project's size, beside the paper's figures, from the ledger of its runs
    #[arg(long, value_name = "N", conflicts_with_all = ["clicks_only", "tracks", "sheet", "steps"])]
    table: Option<u8>,
    /// Measure the runs of `train table` in this folder first, as far as the ledger does not know them
    #[arg(long, value_name = "DIR", requires = "table")]
    runs: Option<PathBuf>,
    /// What the tables' runs scored
    #[arg(long, value_name = "FILE", default_value = "models/tables.json")]
    ledger: PathBuf,
    /// Side of the clips for --tracks, in pixels
    #[arg(long, default_value_t = 128, requires = "tracks")]
    side: usize,
    /// Frames of the clips for --tracks
    #[arg(long, default_value_t = 16, requires = "tracks")]
    frames: usize,
    /// Write truth, draft and generated frames of eight clips to this PNG
    #[arg(long)]
    sheet: Option<PathBuf>,
    /// Write the report to this JSON file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Runs the subcommand.
///
/// # Errors
/// As [`evaluate`], and [`Error::Io`] when a file cannot be written.
pub fn execute(args: Args) -> Result<()> {
    if args.tracks {
        let report = evaluate_tracks(&TrackOptions {
            data: args.data,
            clips: args.clips.max(1),
            side: args.side,
            frames: args.frames,
        })?;
        print!("{report}");
        return write_json(args.json.as_deref(), &report);
    }
    let extractors = Extractors {
        inception: args.inception,
        i3d: args.i3d,
    };
    if let Some(number) = args.table {
        let mut ledger = Ledger::read(&args.ledger)?;
        if let Some(runs) = &args.runs {
            let (data, clips) = (&args.data, args.clips.max(1));
            ledger.measure(runs, &args.ledger, data, clips, &extractors, args.device)?;
        }
        let table = ledger.table(number)?;
        print!("{table}");
        return write_json(args.json.as_deref(), &table);
    }
    let options = EvalOptions {
        model: args.model,
        data: args.data,
        clips: args.clips.max(1),
        steps: args.steps,
        extractors,
        measures: match args.clicks_only {
            true => Measures::Clicks,
            false => Measures::All,
        },
        sheet: args.sheet,
    };
    let report = evaluate(&options, args.device)?;
    print!("{report}");
    write_json(args.json.as_deref(), &report)
}

fn write_json(path: Option<&Path>, report: &impl Serialize) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(report).unwrap_or_default();
    write_whole(path, (text + "\n").as_bytes())
}
