//! The weights of one part: planned from their headers, then written tensor by tensor.

use super::{Kept, Options, PartSummary, io};
use crate::weights::eight_bits::{Rows, in_8_bits};
use crate::weights::file::scale_name;
use crate::weights::{TensorInfo, Weights};
use dragentity_core::error::{Error, Result};
use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::Dtype;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes of a header besides what its entries take.
const HEADER: u64 = 256;
/// More files than a loader takes.
const MAX_FILES: usize = 1000;

/// A tensor as it will be.
struct Planned {
    name: String,
    shape: Vec<u64>,
    elements: u64,
    /// How many bytes it has now.
    before: u64,
    /// `I8` has a scale beside it.
    dtype: Dtype,
    /// Where it begins in the data of its file.
    start: u64,
    scale_start: u64,
}

impl Planned {
    fn new(name: &str, info: &TensorInfo, kept: Kept) -> Self {
        let shape: Vec<u64> = info.shape.iter().map(|&d| d as u64).collect();
        // The header's check: the product is in the file, or zero.
        let elements = match shape.contains(&0) {
            true => 0,
            false => shape.iter().product(),
        };
        Self {
            name: name.to_owned(),
            shape,
            elements,
            before: info.end - info.start,
            dtype: match kept {
                Kept::F32 => Dtype::F32,
                Kept::Int8 if in_8_bits(name, &info.shape) => Dtype::I8,
                Kept::F16 | Kept::Int8 => Dtype::F16,
            },
            start: 0,
            scale_start: 0,
        }
    }

    fn bytes(&self) -> u64 {
        self.elements * self.dtype.bitsize() as u64 / 8
    }

    fn scale_bytes(&self) -> u64 {
        match self.dtype {
            Dtype::I8 => self.shape[0] * 4,
            _ => 0,
        }
    }

    /// What it takes of a file, header and all, at most.
    fn room(&self) -> u64 {
        let entry = 6 * self.name.len() as u64 + 21 * self.shape.len() as u64 + 100;
        match self.dtype {
            Dtype::I8 => self.bytes() + self.scale_bytes() + 2 * entry,
            _ => self.bytes() + entry,
        }
    }
}

/// Writes `weights` into `dir`, as one file or as several and an index, with `progress(bytes read, bytes in all)`.
pub(super) fn write(
    part: &str,
    weights: &Weights,
    dir: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<PartSummary> {
    let mut files = plan(weights, options)?;
    let mut summary = PartSummary {
        name: part.to_owned(),
        tensors: files.iter().map(Vec::len).sum(),
        before: weights.len(),
        after: 0,
        files: files.len(),
        errors: Vec::new(),
    };
    let stem = stem(weights.name());
    let total = weights.len();
    let (mut done, mut data) = (0, 0);
    let mut map = Map::new();
    let count = files.len();
    for (i, tensors) in files.iter_mut().enumerate() {
        let name = match count {
            1 => format!("{stem}.safetensors"),
            _ => format!("{stem}-{:05}-of-{count:05}.safetensors", i + 1),
        };
        for tensor in &*tensors {
            map.insert(tensor.name.clone(), name.clone().into());
            if tensor.dtype == Dtype::I8 {
                map.insert(scale_name(&tensor.name), name.clone().into());
            }
        }
        let mut read = |bytes| {
            done += bytes;
            progress(done.min(total), total)
        };
        let (bytes, in_tensors) = write_file(
            &dir.join(name),
            weights,
            tensors,
            &mut summary.errors,
            &mut read,
        )?;
        summary.after += bytes;
        data += in_tensors;
    }
    if count > 1 {
        let index = json!({"metadata": {"total_size": data}, "weight_map": map});
        let path = dir.join(format!("{stem}.safetensors.index.json"));
        std::fs::write(&path, format!("{index:#}\n")).map_err(|e| io(&path, e))?;
    }
    progress(total, total)?;
    Ok(summary)
}

/// Which tensors go into which file.
fn plan(weights: &Weights, options: &Options) -> Result<Vec<Vec<Planned>>> {
    let mut files: Vec<Vec<Planned>> = Vec::new();
    let mut left = 0;
    for (name, info) in weights.tensors() {
        // A scale must not take the name of another tensor.
        let kept = match options.kept {
            Kept::Int8 if weights.has(&scale_name(name)) => Kept::F16,
            kept => kept,
        };
        let tensor = Planned::new(name, info, kept);
        let room = tensor.room();
        match files.last_mut() {
            Some(file) if room <= left => {
                left -= room;
                file.push(tensor);
            }
            _ => {
                left = options
                    .shard_size
                    .saturating_sub(HEADER)
                    .saturating_sub(room);
                files.push(vec![tensor]);
            }
        }
    }
    if files.len() > MAX_FILES {
        return Err(Error::Model {
            name: weights.name().to_owned(),
            reason: format!(
                "this would become {} files, and {MAX_FILES} are the most; choose a larger --shard-size",
                files.len()
            ),
        });
    }
    Ok(files)
}

/// The name by which a loader finds it: transformers' parts have another than diffusers'.
fn stem(source: &str) -> &'static str {
    let file = source.rsplit(['/', '\\']).next().unwrap_or_default();
    match file.starts_with("model.") || file.starts_with("model-") {
        true => "model",
        false => "diffusion_pytorch_model",
    }
}

/// Writes one file; returns its length, and that of the tensors in it.
fn write_file(
    path: &Path,
    weights: &Weights,
    tensors: &mut [Planned],
    errors: &mut Vec<(String, f64)>,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<(u64, u64)> {
    let (header, data) = header(tensors);
    let io = |e| io(path, e);
    let mut file = File::create_new(path).map_err(io)?;
    file.write_all(&header).map_err(io)?;
    let start = header.len() as u64;
    for tensor in tensors {
        file.seek(SeekFrom::Start(start + tensor.start))
            .map_err(io)?;
        let mut rows = (tensor.dtype == Dtype::I8)
            .then(|| Rows::new((tensor.elements / tensor.shape[0]) as usize));
        let (mut out, mut numbers) = (Vec::new(), Vec::new());
        let bytes_each = tensor.before / tensor.elements.max(1);
        weights.read_blocks(&tensor.name, &mut |values| {
            out.clear();
            match &mut rows {
                Some(rows) => {
                    numbers.clear();
                    rows.take(values, &mut numbers);
                    out.extend(numbers.iter().map(|&n| n as u8));
                }
                None if tensor.dtype == Dtype::F16 => {
                    half(values, &mut out).map_err(|v| {
                        weights.tensor_error(
                            &tensor.name,
                            &format!(
                                "holds {v}, which half precision cannot hold; choose --dtype f32"
                            ),
                        )
                    })?;
                }
                None => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            }
            file.write_all(&out).map_err(io)?;
            progress(values.len() as u64 * bytes_each)
        })?;
        if let Some(rows) = rows {
            let scales: Vec<u8> = rows.scales.iter().flat_map(|s| s.to_le_bytes()).collect();
            file.seek(SeekFrom::Start(start + tensor.scale_start))
                .and_then(|_| file.write_all(&scales))
                .map_err(io)?;
            errors.push((tensor.name.clone(), rows.relative_error()));
        }
    }
    // What is moved to its place afterwards is whole even if the power fails.
    file.sync_all().map_err(io)?;
    Ok((start + data, data))
}

/// Appends the numbers in half precision; the error is one that does not fit.
fn half(values: &[f32], out: &mut Vec<u8>) -> Result<(), f32> {
    let mut half = vec![f16::ZERO; values.len()];
    half.convert_from_f32_slice(values);
    if let Some(at) = half.iter().position(|v| !v.is_finite()) {
        return Err(values[at]);
    }
    out.extend(half.iter().flat_map(|v| v.to_le_bytes()));
    Ok(())
}

/// Gives every tensor its place; returns what the file begins with, and how many bytes follow.
fn header(tensors: &mut [Planned]) -> (Vec<u8>, u64) {
    // The widest first, so that all are aligned.
    let mut at = 0;
    for tensor in tensors.iter_mut() {
        tensor.scale_start = at;
        at += tensor.scale_bytes();
    }
    for dtype in [Dtype::F32, Dtype::F16, Dtype::I8] {
        for tensor in tensors.iter_mut().filter(|t| t.dtype == dtype) {
            tensor.start = at;
            at += tensor.bytes();
        }
    }
    let mut entries = Map::new();
    // diffusers refuses files whose metadata does not name the framework.
    let mut metadata = json!({"format": "pt"});
    for tensor in &*tensors {
        let mut entry = |name: String, dtype: Dtype, shape: &[u64], start: u64, len: u64| {
            let value =
                json!({"dtype": dtype, "shape": shape, "data_offsets": [start, start + len]});
            entries.insert(name, value);
        };
        let (name, shape) = (tensor.name.clone(), &tensor.shape);
        entry(name, tensor.dtype, shape, tensor.start, tensor.bytes());
        if tensor.dtype == Dtype::I8 {
            let (start, len) = (tensor.scale_start, tensor.scale_bytes());
            entry(
                scale_name(&tensor.name),
                Dtype::F32,
                &shape[..1],
                start,
                len,
            );
            metadata["quantization"] = "int8 times a scale for each row".into();
        }
    }
    entries.insert("__metadata__".into(), metadata);
    let mut json = Value::Object(entries).to_string().into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    (header, at)
}
