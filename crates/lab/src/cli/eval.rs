//! `dragentity-lab eval`.

use super::progress::Progress;
use crate::eval::davis::{self, DavisOptions, evaluate_davis};
use crate::eval::extractor::{Extractors, i3d};
use crate::eval::figures::{self, FiguresOptions, Row, evaluate_figures};
use crate::eval::gate::{self, GateOptions};
use crate::eval::lpips;
use crate::eval::maker::Maker;
use crate::eval::table::{Ledger, MeasureOptions, methods_of};
use crate::eval::{
    EvalOptions, Method, TrackOptions, VideosOptions, evaluate, evaluate_tracks, write_videos,
};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::platform::{make_dir, write_json};
use dragentity_core::study::{Answers, Tally};
use dragentity_networks::device::Device;
use dragentity_pipeline::at_once;
use dragentity_terminal::out;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Clips that are no synthetic ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// Drags on the real videos of DAVIS
    Davis,
    /// Figures whose joints are known, some of them led: where do the others go?
    Figures,
}

/// Options of `dragentity-lab eval`.
#[derive(clap::Args)]
pub struct Args {
    /// Model directory
    #[arg(long, default_value = "models/mini")]
    model: String,
    /// Pack whose held-out half is used; for --suite davis the folder of its JPEGImages and Annotations
    #[arg(long, default_value = "tests/data/held_out.pack")]
    data: PathBuf,
    /// Number of clips [default: 200; of --gate 24, of --suite davis 2 of each sequence, of --suite figures 200 of each seed]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    clips: Option<u64>,
    /// Measure other clips, LPIPS among the figures
    #[arg(long, conflicts_with_all = ["tracks", "table", "videos", "inception", "steps", "gate"])]
    suite: Option<Suite>,
    /// What makes the videos of --suite: first (the first frame repeated), paste (cut out and moved over a smoothly filled
    /// background) or models' locations [default: first,paste,at-once and --model]. Of --suite figures what follows: still, rigid,
    /// chain, chain-off (its joints found not quite right) or directories that `train parts` wrote [default: the first four]
    #[arg(
        long,
        value_name = "ROW,...",
        value_delimiter = ',',
        requires = "suite",
        conflicts_with = "model"
    )]
    rows: Vec<String>,
    /// Folder that gets what each clip of --suite scores, as clips.jsonl
    #[arg(long, value_name = "DIR", requires = "suite")]
    out: Option<PathBuf>,
    /// Compare the model with itself without its networks, part by part of the frame; ends with code 4 when it is worse
    #[arg(long, conflicts_with_all = ["tracks", "table", "videos", "inception", "i3d", "sheet", "steps"])]
    gate: bool,
    /// What the model of --gate is without its networks, as in --rows
    #[arg(long, value_name = "ROW", default_value = "paste", requires = "gate")]
    without: String,
    /// LPIPS's weights, for --suite and --gate
    #[arg(long, value_name = "FILE", default_value = lpips::WEIGHTS)]
    lpips: PathBuf,
    /// Denoising steps, instead of the model's own
    #[arg(long)]
    steps: Option<usize>,
    /// auto, cpu, wgpu, cuda or tch
    #[arg(long, default_value = "auto")]
    device: Device,
    /// InceptionV3 of pytorch-fid (docs/src/metrics.md), for FID
    #[arg(long, value_name = "FILE", conflicts_with = "tracks")]
    inception: Option<PathBuf>,
    /// I3D of Kinetics-400 (docs/src/metrics.md), for FVD; --suite finds what scripts/fetch-metrics --i3d brought
    #[arg(long, value_name = "FILE", conflicts_with = "tracks")]
    i3d: Option<PathBuf>,
    /// Measure the trackers of videos instead of a model
    #[arg(long, conflicts_with_all = ["sheet", "steps"])]
    tracks: bool,
    /// Print a table of the paper at this project's size, beside the paper's figures: 1, 2 and 3 from the ledger of their
    /// runs, 4 from what people picked in the page's blind comparison
    #[arg(long, value_name = "N", conflicts_with_all = ["tracks", "sheet", "steps"])]
    table: Option<u8>,
    /// Measure the runs of `train table` in this folder first, as far as the ledger does not know them
    #[arg(long, value_name = "DIR", requires = "table")]
    runs: Option<PathBuf>,
    /// What the tables' runs scored
    #[arg(long, value_name = "FILE", default_value = "models/tables.json")]
    ledger: PathBuf,
    /// What people picked, as the blind comparison saves it, for --table 4
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "table", conflicts_with = "runs")]
    answers: Vec<PathBuf>,
    /// Write what the model makes of the clips into this folder, in a folder of its own, to compare models blind; with
    /// --table and --runs, what the first seed's run of each row makes
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tracks", "sheet", "answers"])]
    videos: Option<PathBuf>,
    /// What the model's folder of --videos is called [default: the name of its directory]
    #[arg(
        long,
        value_name = "NAME",
        requires = "videos",
        conflicts_with = "table"
    )]
    method: Option<String>,
    /// Side of the clips for --tracks, in pixels
    #[arg(long, default_value_t = 128, requires = "tracks")]
    side: usize,
    /// Frames of the clips for --tracks
    #[arg(long, default_value_t = 16, requires = "tracks")]
    frames: usize,
    /// Write truth, draft and generated frames of eight clips to this PNG; of --suite truth and made frames of all clips
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
pub fn run(args: Args) -> Result<()> {
    match args.suite {
        Some(Suite::Davis) => return run_davis(args),
        Some(Suite::Figures) => return run_figures(args),
        None => {}
    }
    if args.gate {
        return run_gate(args);
    }
    let clips = args.clips.unwrap_or(crate::data::EVAL_CLIPS);
    if args.tracks {
        let report = evaluate_tracks(&TrackOptions {
            data: args.data,
            clips,
            side: args.side,
            frames: args.frames,
        })?;
        out::text(&report);
        return keep(args.json.as_deref(), &report);
    }
    if args.table == Some(4) {
        let answers: Vec<Answers> = args
            .answers
            .iter()
            .map(|path| answers(path))
            .collect::<Result<_>>()?;
        let tally = Tally::of(&answers)?;
        out::text(&tally);
        return keep(args.json.as_deref(), &tally);
    }
    if let Some(folder) = args.videos {
        let methods = match (args.table, &args.runs) {
            (Some(number), Some(runs)) => methods_of(number, runs)?,
            (Some(number), None) => {
                return Err(Error::Job(format!(
                    "--videos of table {number} needs --runs DIR, where the runs' weights are"
                )));
            }
            (None, _) => {
                let method = Method::of_model(&args.model);
                let name = args.method.unwrap_or(method.name);
                vec![Method { name, ..method }]
            }
        };
        return write_videos(
            &VideosOptions {
                methods,
                data: args.data,
                clips,
                steps: args.steps,
                folder,
            },
            args.device,
        );
    }
    let extractors = Extractors {
        inception: args.inception,
        i3d: args.i3d,
    };
    let mut progress = Progress::default();
    if let Some(number) = args.table {
        if !args.answers.is_empty() {
            return Err(Error::Job(format!(
                "--answers are for table 4; table {number} is of measured runs"
            )));
        }
        let mut ledger = Ledger::read(&args.ledger)?;
        if let Some(runs) = &args.runs {
            let options = MeasureOptions {
                runs: runs.clone(),
                data: args.data.clone(),
                clips,
                extractors,
            };
            let mut show = |event| progress.show(&event);
            ledger.measure(&args.ledger, &options, args.device, &mut show)?;
        }
        let table = ledger.table(number)?;
        out::text(&table);
        return keep(args.json.as_deref(), &table);
    }
    let options = EvalOptions {
        model: args.model,
        data: args.data,
        clips,
        steps: args.steps,
        extractors,
        sheet: args.sheet,
    };
    let report = evaluate(&options, args.device, &mut |event| progress.show(&event))?;
    out::text(&report);
    keep(args.json.as_deref(), &report)
}

fn run_davis(args: Args) -> Result<()> {
    let rows = match args.rows.is_empty() {
        true => vec![
            "first".into(),
            "paste".into(),
            at_once::NAME.into(),
            args.model,
        ],
        false => args.rows,
    };
    let brought = Path::new(i3d::WEIGHTS);
    let options = DavisOptions {
        data: args.data,
        makers: rows.iter().map(|row| Maker::parse(row)).collect(),
        clips: args.clips.unwrap_or(davis::CLIPS),
        lpips: args.lpips,
        i3d: (args.i3d).or_else(|| brought.exists().then(|| brought.to_owned())),
        sheet: args.sheet,
    };
    let mut progress = Progress::default();
    let report = evaluate_davis(&options, args.device, &mut |event| progress.show(&event))?;
    out::text(&report);
    if let Some(folder) = &args.out {
        make_dir(folder)?;
        report.write_lines(&folder.join("clips.jsonl"))?;
    }
    keep(args.json.as_deref(), &report)
}

fn run_figures(args: Args) -> Result<()> {
    let rows = match args.rows.is_empty() {
        true => vec![Row::Still, Row::Rigid, Row::Chain, Row::ChainOff],
        false => args.rows.iter().map(|row| Row::parse(row)).collect(),
    };
    let options = FiguresOptions {
        rows,
        clips: args.clips.unwrap_or(figures::CLIPS),
    };
    let report = evaluate_figures(&options, args.device)?;
    out::text(&report);
    if let Some(folder) = &args.out {
        make_dir(folder)?;
        report.write_lines(&folder.join("clips.jsonl"))?;
    }
    keep(args.json.as_deref(), &report)
}

fn run_gate(args: Args) -> Result<()> {
    let options = GateOptions {
        model: Maker::parse(&args.model),
        without: Maker::parse(&args.without),
        data: args.data,
        clips: args.clips.unwrap_or(gate::CLIPS),
        lpips: args.lpips,
    };
    let mut progress = Progress::default();
    let report = gate::compare(&options, args.device, &mut |event| progress.show(&event))?;
    out::text(&report);
    keep(args.json.as_deref(), &report)?;
    report.verdict()
}

fn answers(path: &Path) -> Result<Answers> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Answers::parse(&text, &name),
        Err(source) => Err(Error::Io { path: name, source }),
    }
}

/// Where somebody asked for it.
fn keep(path: Option<&Path>, report: &impl Serialize) -> Result<()> {
    path.map_or(Ok(()), |path| write_json(path, report))
}
