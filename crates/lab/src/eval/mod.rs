//! How good a model is, on clips it was not trained on and whose truth is known.
//!
//! The clips are numbers 0 to 199 of a fixed seed on the held-out half of a pack of cut-outs and
//! backgrounds. Baselines: the first frame repeated, and every entity pasted along its path over the
//! unfilled first frame.

pub mod davis;
pub mod extractor;
pub mod figures;
pub mod frechet;
pub mod gate;
pub mod lpips;
pub mod maker;
mod motion;
pub mod regions;
pub mod table;
mod tracks;
mod videos;

use crate::data::{ClipSpec, Dataset, EVAL_SEED, Pack, Split};
use crate::event::LabEvent;
use burn::tensor::backend::Backend;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_networks::device::{Device, Task};
use dragentity_networks::dragentity::bundle::ModelIndex;
use dragentity_pipeline::engine::Engine;
use extractor::{Describe, Extractors};
use motion::Motion;
pub use motion::{MotionReport, Score};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
pub use tracks::{TrackOptions, TracksReport, evaluate_tracks};
pub use videos::{Method, VideosOptions, write_videos};

/// Clips generated at once.
const BATCH: u64 = 4;

/// What to measure.
#[derive(Clone, Debug)]
pub struct EvalOptions {
    /// Model directory.
    pub model: String,
    /// Pack of cut-outs and backgrounds.
    pub data: PathBuf,
    /// Number of clips.
    pub clips: u64,
    /// Denoising steps; `None`: the model's own.
    pub steps: Option<usize>,
    /// What Frechet distances are measured with.
    pub extractors: Extractors,
    /// Where a contact sheet goes.
    pub sheet: Option<PathBuf>,
}

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model.
    pub model: String,
    /// Number of clips.
    pub clips: u64,
    /// Its videos.
    pub motion: MotionReport,
}

/// Runs the evaluation; `on_event` hears how it goes.
///
/// # Errors
/// [`Error::Model`] or [`Error::Picture`] when model or pack cannot be read, [`Error::Device`].
pub fn evaluate(
    options: &EvalOptions,
    device: Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<Report> {
    device.run(Evaluate { options, on_event })?
}

struct Evaluate<'a> {
    options: &'a EvalOptions,
    on_event: &'a mut dyn FnMut(LabEvent),
}

impl Task for Evaluate<'_> {
    type Output = Result<Report>;

    fn run<B: Backend>(self, device: B::Device, name: String) -> Result<Report> {
        let Self { options, on_event } = self;
        let engine =
            pollster::block_on(Engine::<B>::load(&options.model, device, name, &mut |_| {}))?;
        let pack = Arc::new(Pack::open(&options.data)?);
        let index = engine.bundle().config.index.clone();
        let spec = clips_of(&index);
        let dataset = Dataset::new(pack, Split::HeldOut, spec.clone(), EVAL_SEED)?;
        let steps = options.steps.unwrap_or(index.steps as usize);
        let mut motion = Motion::default();
        let device = engine.bundle().device.clone();
        let describe = Describe::new(&options.extractors, &device)?;
        let mut first = 0;
        while first < options.clips {
            let count = BATCH.min(options.clips - first) as usize;
            motion.add(engine.bundle(), &describe, &dataset, first, count, steps)?;
            first += count as u64;
            on_event(LabEvent::Clips {
                done: first,
                total: options.clips,
            });
        }
        if let Some(path) = &options.sheet {
            let sheet = motion.sheet(spec.width, spec.height);
            sheet.save(path).map_err(|e| Error::Io {
                path: path.display().to_string(),
                source: std::io::Error::other(e.to_string()),
            })?;
        }
        Ok(Report {
            model: options.model.clone(),
            clips: options.clips,
            motion: motion.report(steps, &describe)?,
        })
    }
}

/// The clips that a model is measured on.
fn clips_of(index: &ModelIndex) -> ClipSpec {
    ClipSpec {
        width: index.sample_side as usize,
        height: index.sample_side as usize,
        frames: index.frames as usize,
        max_entities: index.max_entities,
        ..Default::default()
    }
}

impl std::fmt::Display for Report {
    /// The report as a table.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {} clips\n", self.model, self.clips)?;
        self.motion.fmt(f)
    }
}

/// Pixel `at` of a frame of values in -1..1.
fn colour(frame: &[f32], at: usize) -> image::Rgb<u8> {
    image::Rgb([0, 1, 2].map(|channel| ((frame[at * 3 + channel] + 1.0) * 127.5).round() as u8))
}

/// A frame of -1..1 as bytes.
fn bytes(frame: &[f32]) -> Vec<u8> {
    let byte = |v: &f32| ((v + 1.0) * 127.5).round() as u8;
    frame.iter().map(byte).collect()
}

/// A frame of bytes as -1..1.
fn unit(rgb: &[u8]) -> Vec<f32> {
    rgb.iter().map(|&b| f32::from(b) / 127.5 - 1.0).collect()
}
