//! A model directory into another that is smaller, or in files of at most some size: `dragentity convert`.
//!
//! Half precision is what diffusers reads too. The 8-bit scheme is this project's own: a matrix or a convolution
//! kernel `name` is kept as `I8` of the same shape, and beside it `name.scale`, one `F32` for each of its rows
//! (output channels, the first dimension); an element is the product of the two. A row's scale is its largest
//! magnitude divided by 127. Norms, biases and small tensors stay `F16`. [`crate::weights::Weights`] reads it as
//! any other.

mod destination;
mod part;

use super::dir::{ModelDir, parse_config};
use super::file::{MAX_JSON, Weights};
use destination::{Destination, MARKER};
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::make_dir;
use serde_json::{Map, Value};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What the numbers become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Half precision.
    F16,
    /// Single precision.
    F32,
    /// 8 bits and a scale for each row of large tensors, half precision for the rest.
    Int8,
}

/// How to convert.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What the numbers become.
    pub kept: Kept,
    /// No file of weights has more bytes than this, except for a single tensor that has.
    pub shard_size: u64,
    /// Whether an earlier conversion in the same place may be replaced.
    pub overwrite: bool,
}

/// What became of one part of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct PartSummary {
    /// Its name, such as `unet`; empty for the directory itself.
    pub name: String,
    /// How many tensors it has.
    pub tensors: usize,
    /// Bytes before.
    pub before: u64,
    /// Bytes after.
    pub after: u64,
    /// How many files of weights were written.
    pub files: usize,
    /// For each tensor that is kept in 8 bits, the root mean square of its error divided by that of its elements.
    pub errors: Vec<(String, f64)>,
}

/// Some files of a model, and their weights if they have any.
struct Part {
    name: String,
    files: Vec<PathBuf>,
    weights: Option<Weights>,
    /// Whether other models have these weights, too: they lie elsewhere, and the configuration says where.
    shared: bool,
}

/// A part's configuration.
const CONFIG: &str = "config.json";
/// Its field that says where weights are that are shared.
const SHARED: &str = "weights";

/// Converts the model directory, part of one, file or index `source` into the directory `dest`, tensor by tensor.
/// Configurations, texts and licences are copied. Weights that a part shares with other models are its own in `dest`.
///
/// `dest` appears when all of it is there: until then, it is `dest.part`. `progress(part, bytes read, bytes in
/// all)` may stop it with an error; then, and after any other error, nothing is left behind.
///
/// # Errors
/// [`Error::Model`] that names a damaged file, or a tensor that is not finite or does not fit into half precision;
/// [`Error::Io`] for files that cannot be read or written, and for a `dest` that must not be replaced.
pub fn convert(
    source: &Path,
    dest: &Path,
    options: &Options,
    progress: &mut dyn FnMut(&str, u64, u64) -> Result<()>,
) -> Result<Vec<PartSummary>> {
    let parts = read_parts(source)?;
    apart(source, dest)?;
    let destination = Destination::begin(dest, options)?;
    let mut summaries = Vec::new();
    for part in parts {
        let dir = destination.path().join(&part.name);
        make_dir(&dir)?;
        for file in &part.files {
            copy(file, &dir)?;
        }
        if part.shared {
            forget_shared(&dir.join(CONFIG))?;
        }
        if let Some(weights) = part.weights {
            let mut told = |done, total| progress(&part.name, done, total);
            summaries.push(part::write(&part.name, &weights, &dir, options, &mut told)?);
        }
    }
    destination.finish()?;
    Ok(summaries)
}

/// Opens all weights, so that what is damaged is found before anything is written.
fn read_parts(source: &Path) -> Result<Vec<Part>> {
    let kind = std::fs::metadata(source).map_err(|e| io(source, e))?;
    let location = text(source)?;
    if kind.is_file() {
        let weights = pollster::block_on(Weights::open(location, &mut |_, _| {}))?;
        let config = source.with_file_name(CONFIG);
        return Ok(vec![Part {
            name: String::new(),
            files: config.is_file().then_some(config).into_iter().collect(),
            weights: Some(weights),
            shared: false,
        }]);
    }
    if !kind.is_dir() {
        let why = "this is neither a folder nor an ordinary file";
        return Err(io(
            source,
            std::io::Error::new(ErrorKind::InvalidInput, why),
        ));
    }
    let model = ModelDir::new(location);
    let mut names = vec![String::new()];
    for entry in entries(source)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if entry.is_dir() && !name.starts_with('.') {
            names.push(name.into_owned());
        }
    }
    let mut parts = Vec::new();
    for name in names {
        let own = pollster::block_on(model.find_weights(&name, &mut |_, _| {}))?;
        let (weights, shared) = match own {
            Some(weights) => (Some(weights), false),
            None => (shared(&model, &name)?, true),
        };
        let files = entries(&source.join(&name))?;
        if weights.is_none()
            && let Some(other) = files.iter().find(|f| is_other_weights(f))
        {
            return Err(Error::Model {
                name: other.display().to_string(),
                reason: "weights in this format are not read; save them as safetensors, with diffusers' save_pretrained".into(),
            });
        }
        let files: Vec<PathBuf> = files.into_iter().filter(|f| is_copied(f)).collect();
        if !files.is_empty() || weights.is_some() {
            parts.push(Part {
                shared: shared && weights.is_some(),
                name,
                files,
                weights,
            });
        }
    }
    if parts.iter().all(|p| p.weights.is_none()) {
        return Err(Error::Model {
            name: location.to_owned(),
            reason: "there are no weights here, nor in the folders in it; is this the folder of a model?".into(),
        });
    }
    Ok(parts)
}

/// Weights that a part shares with other models: its configuration says where they are.
fn shared(model: &ModelDir, part: &str) -> Result<Option<Weights>> {
    // One that is garbled is copied as it is.
    let config: Option<Value> =
        pollster::block_on(model.find_json(part, CONFIG)).unwrap_or_default();
    let Some(file) = config.as_ref().and_then(|c| c[SHARED].as_str()) else {
        return Ok(None);
    };
    pollster::block_on(Weights::open(&model.file("", file), &mut |_, _| {})).map(Some)
}

/// They are in the part's own folder now.
fn forget_shared(config: &Path) -> Result<()> {
    let bytes = std::fs::read(config).map_err(|e| io(config, e))?;
    let mut fields: Map<String, Value> = parse_config(&config.display().to_string(), &bytes)?;
    fields.remove(SHARED);
    let text = serde_json::to_vec_pretty(&fields).unwrap_or(bytes);
    std::fs::write(config, text).map_err(|e| io(config, e))
}

/// What is in a directory, in a fixed order.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let paths = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
        let mut paths = paths.collect::<std::io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    read().map_err(|e| io(dir, e))
}

fn is_other_weights(file: &Path) -> bool {
    let extension = file.extension().and_then(|e| e.to_str());
    file.is_file() && matches!(extension, Some("bin" | "pt" | "pth" | "ckpt"))
}

/// Configurations, vocabularies, cards and licences; no weights, and nothing that lists them.
fn is_copied(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let listed = name.contains(".safetensors.index") || name.contains(".bin.index");
    let kind = name.ends_with(".json")
        || name.ends_with(".txt")
        || name.ends_with(".md")
        || name.starts_with("LICENSE")
        || name.starts_with("NOTICE");
    kind && !listed && name != MARKER && file.is_file()
}

fn copy(file: &Path, dir: &Path) -> Result<()> {
    let name = file.file_name().unwrap_or_default();
    let len = std::fs::metadata(file).map_err(|e| io(file, e))?.len();
    if len > MAX_JSON {
        log::warn!("{}: too large to be copied ({len} bytes)", file.display());
        return Ok(());
    }
    // Not `fs::copy`: a write protection would be copied, too.
    let bytes = std::fs::read(file).map_err(|e| io(file, e))?;
    let to = dir.join(name);
    std::fs::write(&to, bytes).map_err(|e| io(&to, e))
}

/// Neither of the two may be in the other, nor be the other.
fn apart(source: &Path, dest: &Path) -> Result<()> {
    let real = |path: &Path| path.canonicalize().map_err(|e| io(path, e));
    // What does not exist yet has no real path, but what it is in may have.
    let existing = dest.ancestors().find(|p| p.exists());
    let Some(existing) = existing else {
        return Ok(());
    };
    let rest = dest.strip_prefix(existing).unwrap_or(Path::new(""));
    let (from, to) = (real(source)?, real(existing)?.join(rest));
    if from.starts_with(&to) || to.starts_with(&from) {
        return Err(io(
            dest,
            std::io::Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "this and {} are in one another; choose a folder elsewhere",
                    source.display()
                ),
            ),
        ));
    }
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        io(
            path,
            std::io::Error::new(ErrorKind::InvalidInput, "the path is not UTF-8; rename it"),
        )
    })
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.display().to_string(),
        source,
    }
}
