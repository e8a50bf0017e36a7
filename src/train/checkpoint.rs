//! Checkpoints: a run can stop at any moment and go on from the last one.
//!
//! A checkpoint is a directory, written beside the old one and then renamed over it, so that a
//! full disk or a kill while writing leaves the old one whole.

use super::curve::Row;
use crate::platform::make_dir;
use crate::{Error, Result};
use burn::module::{AutodiffModule, Module};
use burn::optim::Optimizer;
use burn::record::{FullPrecisionSettings, NamedMpkFileRecorder, Recorder};
use burn::tensor::backend::AutodiffBackend;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where a run stands, beside the tensors.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Optimiser steps done.
    pub step: u64,
    /// Seconds trained, over all sessions.
    pub seconds: f64,
    /// The loss so far.
    pub curve: Vec<Row>,
}

fn recorder() -> NamedMpkFileRecorder<FullPrecisionSettings> {
    NamedMpkFileRecorder::new()
}

fn failed(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Io {
        path: path.display().to_string(),
        source: std::io::Error::other(reason.to_string()),
    }
}

/// The checkpoint of a run directory.
pub fn path(run: &Path) -> PathBuf {
    run.join("checkpoint")
}

/// Writes network, average, optimiser and state.
///
/// # Errors
/// [`Error::Io`] when the disk is full or not writable; the old checkpoint is then still there.
pub fn save<B, M, O>(
    run: &Path,
    network: &M,
    average: &M::InnerModule,
    optimizer: &O,
    state: &State,
) -> Result<()>
where
    B: AutodiffBackend,
    M: AutodiffModule<B>,
    O: Optimizer<M, B>,
{
    let fresh = run.join("checkpoint.new");
    let old = run.join("checkpoint.old");
    let current = path(run);
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).map_err(|e| failed(&fresh, e))?;
    }
    make_dir(&fresh)?;
    network
        .clone()
        .save_file(fresh.join("network"), &recorder())
        .map_err(|e| failed(&fresh, e))?;
    average
        .clone()
        .save_file(fresh.join("average"), &recorder())
        .map_err(|e| failed(&fresh, e))?;
    Recorder::<B>::record(&recorder(), optimizer.to_record(), fresh.join("optimizer"))
        .map_err(|e| failed(&fresh, e))?;
    let text = serde_json::to_string(state).map_err(|e| failed(&fresh, e))?;
    std::fs::write(fresh.join("state.json"), text).map_err(|e| failed(&fresh, e))?;
    if old.exists() {
        std::fs::remove_dir_all(&old).map_err(|e| failed(&old, e))?;
    }
    if current.exists() {
        std::fs::rename(&current, &old).map_err(|e| failed(&current, e))?;
    }
    std::fs::rename(&fresh, &current).map_err(|e| failed(&current, e))?;
    if old.exists() {
        std::fs::remove_dir_all(&old).map_err(|e| failed(&old, e))?;
    }
    Ok(())
}

/// Reads the state of a run, `None` when it has no checkpoint yet.
///
/// # Errors
/// [`Error::Io`] when there is one that cannot be read.
pub fn state(run: &Path) -> Result<Option<State>> {
    let file = existing(run).join("state.json");
    if !file.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&file).map_err(|e| failed(&file, e))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| failed(&file, e))
}

/// The checkpoint to read: the current one, or the old one if a save was killed between its renames.
fn existing(run: &Path) -> PathBuf {
    let current = path(run);
    let old = run.join("checkpoint.old");
    if !current.exists() && old.exists() {
        old
    } else {
        current
    }
}

/// Loads the parameters of `name` ("network" or "average") into a module of the same shape.
///
/// # Errors
/// [`Error::Io`] when the file is missing, cut short or of another network.
pub fn load_module<B: burn::tensor::backend::Backend, M: Module<B>>(
    run: &Path,
    name: &str,
    module: M,
    device: &B::Device,
) -> Result<M> {
    let file = existing(run).join(name);
    module
        .load_file(&file, &recorder(), device)
        .map_err(|e| failed(&file, e))
}

/// Loads the optimiser's state.
///
/// # Errors
/// [`Error::Io`] when the file is missing, cut short or of another network.
pub fn load_optimizer<B, M, O>(run: &Path, optimizer: O, device: &B::Device) -> Result<O>
where
    B: AutodiffBackend,
    M: AutodiffModule<B>,
    O: Optimizer<M, B>,
{
    let file = existing(run).join("optimizer");
    let record =
        Recorder::<B>::load(&recorder(), file.clone(), device).map_err(|e| failed(&file, e))?;
    Ok(optimizer.load_record(record))
}
