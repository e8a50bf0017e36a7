//! Checkpoints: a run can stop at any moment and go on from the last one.
//!
//! A checkpoint is a directory, written beside the old one and then renamed over it, so that a
//! full disk or a kill while writing leaves the old one whole.

use super::curve::Row;
use super::pass::LossScale;
use burn::module::{AutodiffModule, Module};
use burn::optim::Optimizer;
use burn::record::{FullPrecisionSettings, NamedMpkBytesRecorder, Record, Recorder};
use burn::tensor::backend::{AutodiffBackend, Backend};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::platform::make_dir;
use serde::{Deserialize, Serialize};
use std::io::Write;
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
    /// How much losses are scaled in half precision.
    #[serde(default)]
    pub loss_scale: Option<LossScale>,
}

// In memory, and from there to the disk: Burn's recorder for files drops what does not fit on a full disk without a
// word, when its buffer is dropped.
fn recorder() -> NamedMpkBytesRecorder<FullPrecisionSettings> {
    NamedMpkBytesRecorder::new()
}

/// The name of a file of Burn's.
fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join(name).with_extension("mpk")
}

/// Writes a record, and waits until it is on the disk.
fn write_record<B: Backend, R: Record<B>>(path: &Path, record: R) -> Result<()> {
    let bytes = Recorder::<B>::record(&recorder(), record, ()).map_err(|e| failed(path, e))?;
    write_through(path, &bytes)
}

fn write_through(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = std::fs::File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|source| Error::Io {
        path: path.display().to_string(),
        source,
    })
}

fn read_record<B: Backend, R: Record<B>>(path: &Path, device: &B::Device) -> Result<R> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        path: path.display().to_string(),
        source,
    })?;
    Recorder::<B>::load(&recorder(), bytes, device).map_err(|e| failed(path, e))
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
    write_record::<B, _>(&file(&fresh, "network"), network.clone().into_record())?;
    write_record::<B::InnerBackend, _>(&file(&fresh, "average"), average.clone().into_record())?;
    write_record::<B, _>(&file(&fresh, "optimizer"), optimizer.to_record())?;
    let text = serde_json::to_string(state).map_err(|e| failed(&fresh, e))?;
    write_through(&fresh.join("state.json"), text.as_bytes())?;
    // At any moment there is a whole one under a name that is looked for: if a save was stopped between its renames, the old one
    // is all there is until the new one is in its place.
    if current.exists() {
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(|e| failed(&old, e))?;
        }
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
    let path = existing(run).join("state.json");
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|e| failed(&path, e))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| failed(&path, e))
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
    let record = read_record::<B, _>(&file(&existing(run), name), device)?;
    Ok(module.load_record(record))
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
    let record = read_record::<B, _>(&file(&existing(run), "optimizer"), device)?;
    Ok(optimizer.load_record(record))
}
