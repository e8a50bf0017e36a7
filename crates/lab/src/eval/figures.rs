//! Figures whose joints are all known, one to three of them led along their true way: where do the others go?
//!
//! Measured is how far they are from where they truly are, as a share of the figure's height, halfway through a movement and at its end.
//! What no way of following can know (whether who lifts a hand steps aside as well) is in the figures of all of them.

use crate::data::moves::{HELD_OUT, Kind, LEARNED, Move, Places, seen, shown};
use crate::follow::FollowerConfig;
use burn::tensor::backend::Backend;
use dragentity_core::platform::write_whole;
use dragentity_core::scene::Skeleton;
use dragentity_core::scene::skeleton::{Drag, Grip, Joint};
use dragentity_core::{Error, Result};
use dragentity_networks::device::{Device, Task};
use dragentity_networks::weights::ModelDir;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::path::Path;

/// Movements of each seed, unless told otherwise.
pub const CLIPS: u64 = 200;
/// The seeds; training counts its own from 1, too, but draws from learned kinds alone, in other streams.
const SEEDS: [u64; 3] = [1_000_001, 1_000_002, 1_000_003];
/// How far joints that are found in a picture are off, as a deviation each way, in heights of the figure.
const OFF: f32 = 0.02;
/// The moments that are looked at, as [`Move::places`] has them.
const MOMENTS: [usize; 2] = [1, 2];

/// What says where joints go that nobody leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// Nothing: they stay.
    Still,
    /// The whole figure goes along with the first joint that is led.
    Rigid,
    /// The program's own chain of joints ([`Skeleton::posed`]).
    Chain,
    /// The same, of joints that were found not quite right.
    ChainOff,
    /// A network that `train parts` made, by its directory.
    Network(String),
}

impl Row {
    /// From what it is called, or the directory of a network.
    pub fn parse(text: &str) -> Self {
        match text {
            "still" => Self::Still,
            "rigid" => Self::Rigid,
            "chain" => Self::Chain,
            "chain-off" => Self::ChainOff,
            place => Self::Network(place.into()),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            Self::Still => "still",
            Self::Rigid => "rigid",
            Self::Chain => "chain",
            Self::ChainOff => "chain-off",
            Self::Network(place) => place,
        }
    }
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct FiguresOptions {
    /// What follows.
    pub rows: Vec<Row>,
    /// Movements of each seed.
    pub clips: u64,
}

/// What one row makes of one movement.
#[derive(Clone, Debug, Serialize)]
pub struct FigureScore {
    /// Of the movements.
    pub seed: u64,
    /// Which of them.
    pub clip: u64,
    /// What is done.
    pub kind: Kind,
    /// The joints that are led.
    pub led: Vec<Joint>,
    /// What follows.
    pub row: String,
    /// Mean distance of the other joints to where they truly are, in heights of the figure.
    pub error: f64,
}

/// A mean of seeds' means, and how far these deviate from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// In heights of the figure.
    pub mean: f64,
    /// Likewise.
    pub deviation: f64,
}

/// What one row makes of all movements.
#[derive(Clone, Debug, Serialize)]
pub struct RowScore {
    /// What follows.
    pub row: String,
    /// Kinds that networks learn from.
    pub learned: Spread,
    /// Kinds that they have not seen.
    pub held_out: Spread,
    /// Each kind.
    pub kinds: Vec<(Kind, Spread)>,
}

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct FiguresReport {
    /// Movements of each seed.
    pub clips: u64,
    /// How many seeds.
    pub seeds: usize,
    /// One for each way of following.
    pub rows: Vec<RowScore>,
    /// One for each movement and row.
    #[serde(skip)]
    pub scores: Vec<FigureScore>,
}

impl FiguresReport {
    /// The scores as JSON, an object a line.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn write_lines(&self, path: &Path) -> Result<()> {
        let mut text = String::new();
        for score in &self.scores {
            text += &serde_json::to_string(score).map_err(|e| Error::Job(e.to_string()))?;
            text.push('\n');
        }
        write_whole(path, text.as_bytes())
    }
}

/// Measures all rows on the same movements.
///
/// # Errors
/// [`Error::Model`] when a network cannot be read, [`Error::Device`].
pub fn evaluate_figures(options: &FiguresOptions, device: Device) -> Result<FiguresReport> {
    device.run(Measure { options })?
}

struct Measure<'a> {
    options: &'a FiguresOptions,
}

impl Task for Measure<'_> {
    type Output = Result<FiguresReport>;

    fn run<B: Backend>(self, device: B::Device, _: String) -> Self::Output {
        let options = self.options;
        let kinds = [LEARNED.as_slice(), &HELD_OUT].concat();
        let mut scores = Vec::new();
        for row in &options.rows {
            let network = match row {
                Row::Network(place) => {
                    Some(FollowerConfig::load::<B>(&ModelDir::new(place), &device)?)
                }
                _ => None,
            };
            for seed in SEEDS {
                for clip in 0..options.clips {
                    let made = Move::random(seed, clip, &kinds);
                    let mut error = 0.0;
                    for moment in MOMENTS {
                        let found = match &network {
                            Some((config, network)) => {
                                network.places(&made, moment, config.related, &device)?
                            }
                            None => followed(row, &made, moment, seed ^ clip),
                        };
                        error += f64::from(made.error(moment, &found)) / MOMENTS.len() as f64;
                    }
                    scores.push(FigureScore {
                        seed,
                        clip,
                        kind: made.kind,
                        led: made.led,
                        row: row.name().into(),
                        error,
                    });
                }
            }
        }
        let rows = options.rows.iter();
        Ok(FiguresReport {
            clips: options.clips,
            seeds: SEEDS.len(),
            rows: rows
                .map(|row| RowScore::of(row.name(), &kinds, &scores))
                .collect(),
            scores,
        })
    }
}

/// Where the joints are that a way without a network gives.
fn followed(row: &Row, made: &Move, moment: usize, noise: u64) -> Places {
    let first = &made.places[0];
    let offset = |joint: Joint| {
        let (from, to) = (first[joint as usize], made.places[moment][joint as usize]);
        [to[0] - from[0], to[1] - from[1]]
    };
    let (skeleton, _) = made.skeleton();
    let taken = match row {
        Row::Rigid => {
            let by = made.led.first().map_or([0.0; 2], |joint| offset(*joint));
            return first.map(|at| [at[0] + by[0], at[1] + by[1]]);
        }
        Row::Chain => skeleton,
        Row::ChainOff => {
            let mut rng = ChaCha8Rng::seed_from_u64(noise);
            // A sum of uniform numbers, with the deviation that a normal one would have.
            let mut off = || {
                OFF * (0..12)
                    .map(|_| rng.random_range(-0.5..0.5_f32))
                    .sum::<f32>()
            };
            Skeleton {
                places: first.map(|at| shown([at[0] + off(), at[1] + off()])),
                ..skeleton
            }
        }
        Row::Still | Row::Network(_) => return *first,
    };
    let drags: Vec<Drag> = made
        .led
        .iter()
        .map(|joint| {
            let by = offset(*joint);
            let from = seen(taken.place(*joint));
            Drag {
                grip: Grip::joint(*joint),
                to: shown([from[0] + by[0], from[1] + by[1]]),
            }
        })
        .collect();
    let posed = taken.posed(1.0, &drags, &taken.standing());
    // As the picture's pixels go: from where they truly are, by as much as the joint that was found.
    let mut places = *first;
    for (at, place) in places.iter_mut().enumerate() {
        let (from, to) = (seen(taken.places[at]), seen(posed.places[at]));
        *place = [place[0] + to[0] - from[0], place[1] + to[1] - from[1]];
    }
    places
}

impl RowScore {
    fn of(row: &str, kinds: &[Kind], scores: &[FigureScore]) -> Self {
        let spread = |kinds: &[Kind]| {
            let means = SEEDS.iter().filter_map(|seed| {
                let own = scores
                    .iter()
                    .filter(|s| s.row == row && s.seed == *seed && kinds.contains(&s.kind));
                let (sum, count) = own.fold((0.0, 0), |(sum, n), s| (sum + s.error, n + 1));
                (count > 0).then(|| sum / f64::from(count))
            });
            Spread::of(&means.collect::<Vec<_>>())
        };
        Self {
            row: row.into(),
            learned: spread(&LEARNED),
            held_out: spread(&HELD_OUT),
            kinds: kinds.iter().map(|kind| (*kind, spread(&[*kind]))).collect(),
        }
    }
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2));
        // Of a sample.
        let others = values.len().saturating_sub(1).max(1) as f64;
        Self {
            mean,
            deviation: (squares.sum::<f64>() / others).sqrt(),
        }
    }
}

impl std::fmt::Display for Spread {
    /// In percent of the height.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.2} ± {:.2}",
            100.0 * self.mean,
            100.0 * self.deviation
        )
    }
}

impl std::fmt::Display for FiguresReport {
    /// The report as a table.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "Figures: {} movements of each of {} seeds; how far joints that nobody leads are off, in percent of the height\n",
            self.clips, self.seeds
        )?;
        let kinds = self
            .rows
            .first()
            .map(|row| row.kinds.as_slice())
            .unwrap_or_default();
        let names: Vec<String> = kinds
            .iter()
            .map(|(kind, _)| format!("{kind:?}").to_lowercase())
            .collect();
        writeln!(
            f,
            "| | learned kinds | held-out kinds | {} |",
            names.join(" | ")
        )?;
        writeln!(f, "|---|---|---|{}", "---|".repeat(kinds.len()))?;
        for row in &self.rows {
            let of_kinds: Vec<String> = row.kinds.iter().map(|(_, s)| s.to_string()).collect();
            writeln!(
                f,
                "| {} | {} | {} | {} |",
                row.row,
                row.learned,
                row.held_out,
                of_kinds.join(" | ")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rows: &[&str], clips: u64) -> FiguresReport {
        let options = FiguresOptions {
            rows: rows.iter().map(|row| Row::parse(row)).collect(),
            clips,
        };
        evaluate_figures(&options, Device::CPU).unwrap()
    }

    #[test]
    fn a_chain_follows_better_than_a_body_that_goes_along_as_a_whole() {
        let report = report(&["still", "rigid", "chain", "chain-off"], 60);
        let [still, rigid, chain, off] = [0, 1, 2, 3].map(|row| &report.rows[row]);
        assert!(chain.learned.mean < rigid.learned.mean, "{report}");
        assert!(chain.learned.mean < still.learned.mean, "{report}");
        assert!(chain.learned.mean < off.learned.mean + 0.01, "{report}");
        assert_eq!(report.scores.len(), 4 * 3 * 60);
        let dir = tempfile::tempdir().unwrap();
        let lines = dir.path().join("clips.jsonl");
        report.write_lines(&lines).unwrap();
        let text = std::fs::read_to_string(lines).unwrap();
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert!(first["error"].as_f64().unwrap() > 0.0 && first["led"].is_array());
        assert_eq!(text.lines().count(), report.scores.len());
    }

    #[test]
    fn a_network_that_is_not_there_is_said() {
        let options = FiguresOptions {
            rows: vec![Row::parse("no/such/place")],
            clips: 1,
        };
        let error = evaluate_figures(&options, Device::CPU)
            .map(drop)
            .unwrap_err();
        assert!(error.to_string().contains("no/such/place"), "{error}");
    }
}
