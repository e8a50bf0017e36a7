//! The denoisers that the paper's tables compare, trained under equal conditions: one small network, the same
//! steps, batches and noise; only what it is shown, and how its errors are weighed, differ from row to row.
//!
//! They start from the VAE and the entity encoder of a trained model and are trained from scratch. Two things that
//! the shipped model is given are left out, because both would tell every row the whole motion, whatever its
//! representation: the draft (the residual is against the first frame), and the coverage of the moved masks.

use super::fit::FitOptions;
use super::record::Results;
use super::run::{RunOptions, Shown, What, run};
use crate::device::Device;
use crate::model::bundle::BundleConfig;
use crate::model::denoiser::ResidualBase;
use crate::model::unet::{DownBlockType, PerLevel, UpBlockType};
use crate::platform::{make_dir, write_json};
use crate::scene::Representation;
use crate::weights::ModelDir;
use crate::{Error, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Channels of the UNet and of the ControlNet at each level, unless said otherwise.
pub const CHANNELS: [usize; 2] = [32, 64];
/// What of the model is only read: linked or copied into each run's own directory.
const FROZEN: [&str; 3] = ["vae", "entity_encoder", "preview"];

/// ObjMC, FVD and FID of a row in the paper, on its own data and at its own size.
pub type PaperFigures = [f64; 3];

/// One row of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// What the table calls it.
    pub title: &'static str,
    /// What was trained for it; rows of several tables share a run.
    pub kind: Kind,
    /// The paper's figures, if it has this row.
    pub paper: Option<PaperFigures>,
}

/// What a run trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// How trajectories are shown.
    pub representation: Representation,
    /// Whether embeddings say what entities are.
    pub entity_features: bool,
    /// Whether embeddings know of each other.
    pub position_relation: bool,
    /// Whether errors inside entities count more.
    pub loss_mask: bool,
}

impl Kind {
    /// All that the paper proposes.
    pub const FULL: Self = Self {
        representation: Representation::Entity,
        entity_features: true,
        position_relation: true,
        loss_mask: true,
    };

    fn of(entity_features: bool, position_relation: bool) -> Self {
        Self {
            entity_features,
            position_relation,
            ..Self::FULL
        }
    }

    fn shown_as(representation: Representation) -> Self {
        Self {
            representation,
            ..Self::FULL
        }
    }

    /// The name of its directory.
    pub fn name(&self) -> String {
        let mut name = match (
            self.representation,
            self.entity_features,
            self.position_relation,
        ) {
            (Representation::Entity, true, true) => "dragentity".to_owned(),
            (Representation::Entity, true, false) => "entity-only".to_owned(),
            (Representation::Entity, false, true) => "position-only".to_owned(),
            (Representation::Entity, false, false) => "neither".to_owned(),
            (other, _, _) => other.name().to_owned(),
        };
        if !self.loss_mask {
            name += "-no-mask";
        }
        name
    }
}

/// The rows of table 1, 2 or 3, in the paper's order; none for other numbers.
///
/// DragAnything is no row of the paper's Table 1; it is what DragEntity builds upon, and Table 2's second row.
pub fn rows(table: u8) -> Vec<Row> {
    let row = |title, kind, paper| Row { title, kind, paper };
    let full = Some([302.7, 510.8, 34.5]);
    match table {
        1 => vec![
            row(
                "MotionCtrl's vector field",
                Kind::shown_as(Representation::Graph),
                Some([350.6, 584.2, 41.8]),
            ),
            row(
                "DragNUWA's dense flow",
                Kind::shown_as(Representation::Flow),
                Some([326.5, 521.7, 36.9]),
            ),
            row("DragAnything's entities", Kind::of(true, false), None),
            row("DragEntity", Kind::FULL, full),
        ],
        2 => vec![
            row(
                "neither",
                Kind::of(false, false),
                Some([368.7, 563.3, 42.2]),
            ),
            row(
                "entity representation",
                Kind::of(true, false),
                Some([311.4, 527.5, 36.1]),
            ),
            row(
                "position",
                Kind::of(false, true),
                Some([339.3, 538.3, 40.9]),
            ),
            row("both", Kind::FULL, full),
        ],
        3 => vec![
            row(
                "without loss mask",
                Kind {
                    loss_mask: false,
                    ..Kind::FULL
                },
                Some([316.1, 516.2, 36.3]),
            ),
            row("with loss mask", Kind::FULL, full),
        ],
        _ => Vec::new(),
    }
}

/// The runs of some tables, each once: the directory of kind `k` and seed `s` below the tables' own is `k/seed-s`.
pub fn run_dir(tables: &Path, kind: &Kind, seed: u64) -> PathBuf {
    tables.join(kind.name()).join(format!("seed-{seed}"))
}

/// Where the trained model is in a run's directory.
pub fn model_dir(run: &Path) -> PathBuf {
    run.join("model")
}

/// Which runs, and how large.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// Numbers of the tables, 1 to 3.
    pub tables: Vec<u8>,
    /// Runs of each row: seeds 1 and up.
    pub seeds: u64,
    /// The model whose VAE and entity encoder are used; it is not changed.
    pub model: PathBuf,
    /// Pack of cut-outs and backgrounds.
    pub data: PathBuf,
    /// Clips in a batch.
    pub batch: usize,
    /// Frame size in pixels.
    pub size: (usize, usize),
    /// Channels of the UNet and of the ControlNet at each level, multiples of 32.
    pub channels: Vec<usize>,
    /// Steps, rate and so on of each run; `run` is the directory of all.
    pub fit: FitOptions,
}

/// Trains what is missing, all rows of a seed before those of the next, so that whatever is there when it is
/// stopped can be compared. Started again, it goes on.
///
/// # Errors
/// Those of [`run`], and [`Error::Job`] for tables that there are not.
pub fn train(options: &TableOptions, device: Device) -> Result<()> {
    let mut kinds: Vec<Kind> = Vec::new();
    for &table in &options.tables {
        let rows = rows(table);
        if rows.is_empty() {
            return Err(Error::Job(format!(
                "there is no table {table} to train for: the paper's are 1, 2 and 3"
            )));
        }
        for row in rows {
            if !kinds.contains(&row.kind) {
                kinds.push(row.kind);
            }
        }
    }
    let started = Instant::now();
    for seed in 1..=options.seeds {
        for kind in &kinds {
            let dir = run_dir(&options.fit.run, kind, seed);
            let done = Results::read(&dir)?.map_or(0, |results| results.steps_done);
            if done >= options.fit.steps {
                println!("{}: done, {done} steps", dir.display());
                continue;
            }
            let left = options.fit.session_seconds - started.elapsed().as_secs_f64();
            if left <= 0.0 {
                println!("the session is over; start again to go on");
                return Ok(());
            }
            println!("{}: {} steps", dir.display(), options.fit.steps);
            one(options, kind, seed, dir, left, device)?;
        }
    }
    Ok(())
}

fn one(
    options: &TableOptions,
    kind: &Kind,
    seed: u64,
    dir: PathBuf,
    session_seconds: f64,
    device: Device,
) -> Result<()> {
    let model = model_dir(&dir);
    if !model.join("model_index.json").exists() {
        prepare(options, &model)?;
    }
    run(
        &RunOptions {
            what: What::Denoiser,
            model,
            controlnet: None,
            frames: None,
            data: options.data.clone(),
            batch: options.batch,
            sizes: vec![options.size],
            seed,
            warm: false,
            recompute: false,
            shown: Shown {
                representation: Some(kind.representation),
                entity_features: Some(kind.entity_features),
                position_relation: Some(kind.position_relation),
                loss_mask: Some(kind.loss_mask),
            },
            fit: FitOptions {
                run: dir,
                session_seconds,
                ..options.fit.clone()
            },
        },
        device,
    )
}

/// Makes the directory of a small model around the frozen parts of another. Its index comes last: without one, the
/// directory is not there yet.
fn prepare(options: &TableOptions, to: &Path) -> Result<()> {
    let source = ModelDir::new(options.model.display().to_string());
    let mut config = pollster::block_on(BundleConfig::read(&source))?;
    let target = ModelDir::new(to.display().to_string());
    for part in FROZEN {
        place(&source.weights_file(part), &target.weights_file(part), true)?;
    }
    for part in ["vae", "entity_encoder", "relation"] {
        let file = |dir: &ModelDir| dir.file(part, "config.json");
        place(&file(&source), &file(&target), false)?;
    }
    let file = |dir: &ModelDir| dir.file("scheduler", "scheduler_config.json");
    place(&file(&source), &file(&target), false)?;

    for unet in [&mut config.unet, &mut config.controlnet.unet] {
        let levels = options.channels.len();
        unet.block_out_channels = options.channels.clone();
        unet.num_attention_heads = PerLevel::All(1);
        // All but the first attend, as the shipped ones.
        unet.down_block_types = vec![DownBlockType::CrossAttnDownBlockSpatioTemporal; levels];
        unet.up_block_types = vec![UpBlockType::CrossAttnUpBlockSpatioTemporal; levels];
        if let (Some(down), Some(up)) = (
            unet.down_block_types.first_mut(),
            unet.up_block_types.last_mut(),
        ) {
            *down = DownBlockType::DownBlockSpatioTemporal;
            *up = UpBlockType::UpBlockSpatioTemporal;
        }
    }
    config.controlnet.moved_latent_channels = None;
    config.controlnet.check()?;
    write(&target.file("unet", "config.json"), &config.unet)?;
    write(
        &target.file("controlnet", "config.json"),
        &config.controlnet,
    )?;
    let index = &mut config.index;
    index.name = "table".into();
    index.sample_side = ((options.size.0 * options.size.1) as f64).sqrt().round() as u32;
    index.residual_base = ResidualBase::FirstFrame;
    index.residual_std = Vec::new();
    index.output_scale = 1;
    write(&target.file("", "model_index.json"), index)
}

/// A file at another place; `shared`: one and the same on the disk where that is possible.
fn place(from: &str, to: &str, shared: bool) -> Result<()> {
    let target = Path::new(to);
    make_dir(target.parent().unwrap_or(Path::new("")))?;
    if target.exists() || shared && std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to)
        .map(drop)
        .map_err(|source| Error::Io {
            path: from.to_owned(),
            source,
        })
}

fn write(path: &str, value: &impl Serialize) -> Result<()> {
    let target = Path::new(path);
    make_dir(target.parent().unwrap_or(Path::new("")))?;
    write_json(target, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bundle::Bundle;

    #[test]
    fn rows_differ_in_what_their_table_is_about() {
        let names =
            |table| -> Vec<String> { rows(table).iter().map(|row| row.kind.name()).collect() };
        assert_eq!(names(1), ["graph", "flow", "entity-only", "dragentity"]);
        assert_eq!(
            names(2),
            ["neither", "entity-only", "position-only", "dragentity"]
        );
        assert_eq!(names(3), ["dragentity-no-mask", "dragentity"]);
        assert!(rows(4).is_empty());
        // Each directory belongs to one kind of run.
        let mut kinds: Vec<Kind> = Vec::new();
        for row in (1..=3).flat_map(rows) {
            if !kinds.contains(&row.kind) {
                assert!(kinds.iter().all(|kind| kind.name() != row.kind.name()));
                kinds.push(row.kind);
            }
        }
        assert_eq!(kinds.len(), 7);
    }

    fn options(tables: &[u8], data: PathBuf, run: PathBuf) -> TableOptions {
        TableOptions {
            tables: tables.to_vec(),
            seeds: 1,
            model: Path::new(env!("CARGO_MANIFEST_DIR")).join("models/mini"),
            data,
            batch: 1,
            size: (32, 32),
            channels: CHANNELS.to_vec(),
            fit: FitOptions {
                run,
                steps: 2,
                ..FitOptions::default()
            },
        }
    }

    #[test]
    fn the_small_model_gives_no_motion_away() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model");
        let options = TableOptions {
            size: (64, 36),
            channels: vec![32, 64, 64],
            ..options(&[1], "nowhere".into(), dir.path().into())
        };
        prepare(&options, &model).unwrap();
        let made = ModelDir::new(model.display().to_string());
        let config = pollster::block_on(BundleConfig::read(&made)).unwrap();
        assert_eq!(config.index.residual_base, ResidualBase::FirstFrame);
        assert_eq!(config.controlnet.moved_latent_channels, None);
        assert_eq!(config.index.sample_side, 48);
        assert_eq!(config.unet.block_out_channels, [32, 64, 64]);
        assert!(config.index.residual_std.is_empty());
        let device = Default::default();
        let bundle = Bundle::<burn::backend::Flex>::load_frozen(made.location(), &device);
        let bundle = pollster::block_on(bundle).unwrap();
        assert!(bundle.denoiser.controlnet.moved_latent_embedding.is_none());
    }

    #[test]
    fn rows_are_trained_and_then_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("clips.pack");
        std::fs::write(&data, crate::data::testing::pack_bytes()).unwrap();
        let options = options(&[3], data, dir.path().join("runs"));
        train(&options, Device::CPU).unwrap();
        let mut seconds = Vec::new();
        for (row, masked) in rows(3).iter().zip([false, true]) {
            let run = run_dir(&options.fit.run, &row.kind, 1);
            let results = Results::read(&run).unwrap().unwrap();
            assert_eq!((results.steps_done, results.record.seed), (2, 1));
            assert!(results.loss.unwrap() > 0.0 && results.figures.contains_key("PSNR dB"));
            assert_eq!(results.record.loss_mask, Some(masked));
            // What was trained says so, and loads.
            let device = Default::default();
            let model = model_dir(&run).display().to_string();
            let mut silent = |_: &str, _: u64, _: u64| {};
            let bundle = Bundle::<burn::backend::Flex>::load(&model, &device, &mut silent);
            let index = pollster::block_on(bundle).unwrap().config.index;
            assert_eq!(index.loss_mask, masked);
            assert_eq!(index.residual_std.len(), 8);
            seconds.push(results.seconds);
        }
        train(&options, Device::CPU).unwrap();
        for (row, before) in rows(3).iter().zip(seconds) {
            let run = run_dir(&options.fit.run, &row.kind, 1);
            assert_eq!(Results::read(&run).unwrap().unwrap().seconds, before);
        }
    }

    #[test]
    fn unknown_tables_are_refused() {
        let options = options(&[2, 7], "nowhere".into(), "nowhere".into());
        let said = train(&options, Device::CPU).unwrap_err().to_string();
        assert!(
            said.contains("no table 7") && said.contains("1, 2 and 3"),
            "{said}"
        );
    }
}
