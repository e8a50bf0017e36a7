//! The denoisers that the paper's tables compare, trained under equal conditions: one small network, the same
//! steps, batches and noise; only what it is shown, and how its errors are weighed, differ from row to row.
//!
//! VAE and entity encoder are those of a trained model. The rest starts from one *base*, a denoiser that was shown in turns
//! what any row is shown: from scratch, most of a run this short would go into what all rows have to learn alike, how
//! pictures look, as the paper's start from Stable Video Diffusion. Two things that
//! the shipped model is given are left out, because both would tell every row the whole motion, whatever its
//! representation: the draft (the residual is against the first frame), and the coverage of the moved masks.

use super::fit::FitOptions;
use super::record::{Results, busy};
use super::run::{RunOptions, Shown, What, run};
use crate::event::LabEvent;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::platform::{make_dir, write_json};
use dragentity_core::scene::Representation;
use dragentity_networks::device::Device;
use dragentity_networks::dragentity::bundle::BundleConfig;
use dragentity_networks::dragentity::denoiser::ResidualBase;
use dragentity_networks::dragentity::entity_encoder;
use dragentity_networks::svd::unet::{DownBlockType, PerLevel, UpBlockType};
use dragentity_networks::weights::ModelDir;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Channels of the UNet and of the ControlNet at each level, unless said otherwise.
pub const CHANNELS: [usize; 2] = [32, 64];
/// What of the model is only read: linked or copied into each run's own directory.
const FROZEN: [&str; 2] = ["vae", "preview"];
/// What is trained.
const TRAINED: [&str; 3] = ["unet", "controlnet", "relation"];
/// No row's: the base is trained on other clips than any of them.
const BASE_SEED: u64 = 0;

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

    fn shown(self) -> Shown {
        Shown {
            representation: Some(self.representation),
            entity_features: Some(self.entity_features),
            position_relation: Some(self.position_relation),
            loss_mask: Some(self.loss_mask),
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

/// What the rows of some tables need trained, each once.
pub fn kinds(tables: &[u8]) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for row in tables.iter().flat_map(|&table| rows(table)) {
        if !kinds.contains(&row.kind) {
            kinds.push(row.kind);
        }
    }
    kinds
}

/// The run directory of what all rows start from.
pub fn base_dir(tables: &Path) -> PathBuf {
    tables.join("base")
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
    /// Steps of what all rows start from; 0: they start from scratch.
    pub base_steps: u64,
    /// Steps, rate and so on of each run; `run` is the directory of all.
    pub fit: FitOptions,
}

/// Trains what is missing, the base first, then all rows of a seed before those of the next, so that whatever is there when
/// it is stopped can be compared. Started again, it goes on. Several processes may share the rows: each passes over
/// what another trains. `on_event` hears how it goes.
///
/// # Errors
/// Those of [`run`], and [`Error::Job`] for tables that there are not, and while another process trains the base.
pub fn train(
    options: &TableOptions,
    device: Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<()> {
    if let Some(table) = options.tables.iter().find(|&&table| rows(table).is_empty()) {
        return Err(Error::Job(format!(
            "there is no table {table} to train for: the paper's are 1, 2 and 3"
        )));
    }
    let mut session = Session {
        options,
        device,
        started: Instant::now(),
        on_event,
    };
    if options.base_steps > 0 && !session.base()? {
        return Ok(());
    }
    for seed in 1..=options.seeds {
        for kind in kinds(&options.tables) {
            if !session.row(kind, seed)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One start of the program.
struct Session<'a> {
    options: &'a TableOptions,
    device: Device,
    started: Instant,
    on_event: &'a mut dyn FnMut(LabEvent),
}

impl Session<'_> {
    /// Trains what all rows start from; whether it is whole.
    fn base(&mut self) -> Result<bool> {
        let dir = base_dir(&self.options.fit.run);
        let steps = self.options.base_steps;
        if done(&dir)? >= steps {
            return Ok(true);
        }
        if busy(&dir) {
            return Err(Error::Job(format!(
                "another process is training {}, which all rows start from: start again when it is done",
                dir.display()
            )));
        }
        let all = kinds(&[1, 2, 3]);
        let turns = all.into_iter().map(Kind::shown).collect();
        self.one(Kind::FULL, turns, BASE_SEED, &dir, steps, None)?;
        Ok(done(&dir)? >= steps)
    }

    /// Trains a row, unless it is done or another process does; whether the session goes on.
    fn row(&mut self, kind: Kind, seed: u64) -> Result<bool> {
        let dir = run_dir(&self.options.fit.run, &kind, seed);
        let steps = self.options.fit.steps;
        let done = done(&dir)?;
        if done >= steps {
            (self.on_event)(LabEvent::RunDone { dir, steps: done });
            return Ok(true);
        }
        if busy(&dir) {
            (self.on_event)(LabEvent::RunBusy { dir });
            return Ok(true);
        }
        let base = (self.options.base_steps > 0).then(|| base_dir(&self.options.fit.run));
        self.one(kind, Vec::new(), seed, &dir, steps, base.as_deref())
    }

    /// Trains a run; `false` if there is no time left.
    fn one(
        &mut self,
        kind: Kind,
        turns: Vec<Shown>,
        seed: u64,
        dir: &Path,
        steps: u64,
        base: Option<&Path>,
    ) -> Result<bool> {
        let options = self.options;
        let left = options.fit.session_seconds - self.started.elapsed().as_secs_f64();
        if left <= 0.0 {
            (self.on_event)(LabEvent::SessionOver);
            return Ok(false);
        }
        let begins = LabEvent::Run {
            dir: dir.to_owned(),
            steps,
        };
        (self.on_event)(begins);
        let model = model_dir(dir);
        if !model.join("model_index.json").exists() {
            prepare(options, &model, base.map(model_dir).as_deref())?;
        }
        run(
            &RunOptions {
                what: What::Denoiser,
                model,
                controlnet: None,
                frames: None,
                data: options.data.clone(),
                photos: Vec::new(),
                batch: options.batch,
                sizes: vec![options.size],
                seed,
                warm: base.is_some(),
                recompute: false,
                turns,
                shown: kind.shown(),
                fit: FitOptions {
                    run: dir.to_owned(),
                    steps,
                    session_seconds: left,
                    ..options.fit.clone()
                },
            },
            self.device,
            self.on_event,
        )?;
        Ok(true)
    }
}

/// Steps done of a run.
fn done(dir: &Path) -> Result<u64> {
    Ok(Results::read(dir)?.map_or(0, |results| results.steps_done))
}

/// Makes the directory of a small model around the frozen parts of another, with the trained parts of `base`, if there is
/// one. Its index comes last: without one, the directory is not there yet.
fn prepare(options: &TableOptions, to: &Path, base: Option<&Path>) -> Result<()> {
    let source = ModelDir::new(options.model.display().to_string());
    let mut config = pollster::block_on(BundleConfig::read(&source))?;
    let target = ModelDir::new(to.display().to_string());
    for part in FROZEN {
        place(&source.weights_file(part), &target.weights_file(part), true)?;
    }
    // The same weights, in a folder of its own.
    let encoder = &mut config.encoder;
    let weights = match encoder.weights.take() {
        Some(shared) => source.file("", &shared),
        None => source.weights_file(entity_encoder::PART),
    };
    place(&weights, &target.weights_file(entity_encoder::PART), true)?;
    write(&target.file(entity_encoder::PART, "config.json"), encoder)?;
    for part in ["vae", "relation"] {
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
    config
        .controlnet
        .validate(&target.file("controlnet", "config.json"))?;
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
    if let Some(base) = base {
        let base = ModelDir::new(base.display().to_string());
        for part in TRAINED {
            place(&base.weights_file(part), &target.weights_file(part), false)?;
        }
        let of_base = pollster::block_on(BundleConfig::read(&base))?.index;
        index.residual_std = of_base.residual_std;
    }
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
mod tests;
