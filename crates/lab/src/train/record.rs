//! What a run directory says of itself: `run.json` when it begins, `results.json` when it ends.

use super::checkpoint::State;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::platform::{make_dir, write_json};
use dragentity_networks::dragentity::condition::ConditionConfig;
use dragentity_networks::dragentity::denoiser::ResidualBase;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;

const RECORD: &str = "run.json";
const RESULTS: &str = "results.json";
const LOCK: &str = "lock";
/// The final loss is the mean over this share of the steps.
const LAST: f64 = 0.1;

/// What is trained, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which networks.
    pub what: String,
    /// What the denoiser is shown; `None` for other networks, as are the next two.
    pub condition: Option<ConditionConfig>,
    /// Whether errors inside entities count more (Eq. 8).
    pub loss_mask: Option<bool>,
    /// What the denoised quantity is a difference to.
    pub residual_base: Option<ResidualBase>,
    /// Seed of clips, noise and first weights.
    pub seed: u64,
    /// Clips (or pictures) in a batch.
    pub batch: usize,
    /// Frame sizes in pixels.
    pub sizes: Vec<(usize, usize)>,
    /// Optimiser steps of the whole run.
    pub steps: u64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decay of the parameter average.
    pub ema_decay: f64,
    /// Batches of one step.
    #[serde(default)]
    pub accumulate: usize,
    /// What forward and backward pass computed in.
    #[serde(default)]
    pub dtype: String,
}

/// How a run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// What was trained.
    #[serde(flatten)]
    pub record: Record,
    /// Optimiser steps done.
    pub steps_done: u64,
    /// Seconds trained, over all sessions.
    pub seconds: f64,
    /// Mean loss over the last tenth of the steps; absent if no step was done.
    pub loss: Option<f64>,
    /// The stage's own figures, on held-out clips.
    pub figures: BTreeMap<String, f64>,
}

/// A run directory, held by this process: two that trained there would overwrite each other's checkpoints. Let go of when
/// it is dropped, or when the process ends, however it does.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Holds a run directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Job`] if another process holds it, [`Error::Io`].
    pub fn take(run: &Path) -> Result<Self> {
        make_dir(run)?;
        let path = run.join(LOCK);
        let file = File::create(&path).map_err(|e| failed(&path, e))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Error::Job(format!(
                "another process is training in {}: wait for it, or choose another --run",
                run.display()
            ))),
            // Where a file system has no locks, all is as before.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { _file: file }),
        }
    }
}

/// Whether a process trains in a run directory now.
pub fn busy(run: &Path) -> bool {
    let held = File::open(run.join(LOCK)).map(|file| file.try_lock());
    matches!(held, Ok(Err(TryLockError::WouldBlock)))
}

impl Record {
    /// Notes the record in a run directory. One that is there already must be of the same networks, shown the same.
    ///
    /// # Errors
    /// [`Error::Job`] naming what differs, [`Error::Io`].
    pub fn note(&self, run: &Path) -> Result<()> {
        if let Some(before) = read::<Self>(&run.join(RECORD))? {
            let json = |record: &Self| {
                let Self {
                    what,
                    condition,
                    loss_mask,
                    residual_base,
                    seed,
                    ..
                } = record.clone();
                serde_json::json!({
                    "what is trained": what,
                    "the condition": condition,
                    "the loss mask": loss_mask,
                    "the residual base": residual_base,
                    "the seed": seed,
                })
            };
            let (old, new) = (json(&before), json(self));
            for (name, value) in new.as_object().into_iter().flatten() {
                if old[name] != *value {
                    return Err(Error::Job(format!(
                        "the run in {} was begun otherwise: {name} was {}, not {value}; go on with what it was, or \
                         choose another --run",
                        run.display(),
                        old[name]
                    )));
                }
            }
        }
        write_json(&run.join(RECORD), self)
    }
}

impl Results {
    /// Of a run that stands at `state`.
    pub fn new(record: Record, state: &State, figures: &[(&'static str, f64)]) -> Self {
        let from = (state.step as f64 * (1.0 - LAST)) as u64;
        let last: Vec<f64> = state
            .curve
            .iter()
            .filter(|row| row.step > from)
            .map(|row| row.loss)
            .collect();
        Self {
            record,
            steps_done: state.step,
            seconds: state.seconds,
            loss: (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64),
            figures: figures
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
        }
    }

    /// Writes them into a run directory.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, run: &Path) -> Result<()> {
        write_json(&run.join(RESULTS), self)
    }

    /// Those of a run directory, `None` if it has none yet.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be read.
    pub fn read(run: &Path) -> Result<Option<Self>> {
        read(&run.join(RESULTS))
    }
}

fn failed(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Io {
        path: path.display().to_string(),
        source: std::io::Error::other(reason.to_string()),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(|e| failed(path, e))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| failed(path, e))
}

#[cfg(test)]
mod tests {
    use super::super::curve::Row;
    use super::*;
    use dragentity_core::scene::Representation;

    fn record() -> Record {
        Record {
            what: "denoiser".into(),
            condition: Some(ConditionConfig::default()),
            loss_mask: Some(true),
            residual_base: Some(ResidualBase::FirstFrame),
            seed: 3,
            batch: 4,
            sizes: vec![(48, 32)],
            steps: 100,
            learning_rate: 1e-3,
            ema_decay: 0.99,
            accumulate: 1,
            dtype: "f32".into(),
        }
    }

    #[test]
    fn a_run_goes_on_as_it_was_begun() {
        let dir = tempfile::tempdir().unwrap();
        record().note(dir.path()).unwrap();
        // How fast and how long may change.
        let slower = Record {
            learning_rate: 1e-4,
            steps: 200,
            ..record()
        };
        slower.note(dir.path()).unwrap();
        let mut other = record();
        other.condition.as_mut().unwrap().representation = Representation::Flow;
        let said = other.note(dir.path()).unwrap_err().to_string();
        assert!(
            said.contains("the condition was") && said.contains("\"flow\""),
            "{said}"
        );
        let other = Record {
            loss_mask: Some(false),
            ..record()
        };
        let said = other.note(dir.path()).unwrap_err().to_string();
        assert!(said.contains("the loss mask was true, not false"), "{said}");
        assert!(said.contains("another --run"), "{said}");
    }

    #[test]
    fn a_run_directory_is_one_process_s_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        assert!(!busy(&run));
        let held = Lock::take(&run).unwrap();
        assert!(busy(&run));
        let said = Lock::take(&run).err().unwrap().to_string();
        assert!(said.contains("another process is training in"), "{said}");
        drop(held);
        assert!(!busy(&run));
        Lock::take(&run).unwrap();
    }

    #[test]
    fn results_come_back_and_their_loss_is_that_of_the_end() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Results::read(dir.path()).unwrap().is_none());
        let row = |step, loss| Row {
            step,
            seconds: 1.0,
            loss,
        };
        let state = State {
            step: 100,
            seconds: 9.0,
            curve: vec![row(50, 7.0), row(90, 3.0), row(95, 2.0), row(100, 1.0)],
            loss_scale: None,
        };
        let results = Results::new(record(), &state, &[("PSNR dB", 20.5)]);
        results.write(dir.path()).unwrap();
        let back = Results::read(dir.path()).unwrap().unwrap();
        assert_eq!(back.record, record());
        assert_eq!((back.steps_done, back.loss), (100, Some(1.5)));
        assert_eq!(back.figures["PSNR dB"], 20.5);
    }
}
