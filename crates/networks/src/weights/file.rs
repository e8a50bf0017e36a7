//! The tensors of a safetensors file, of several under one index, or of a PyTorch checkpoint, read when they are asked for.

use super::eight_bits::{Quantised, Rows};
use super::header::{TensorInfo, read_header};
use super::index::parse_index;
use super::torch;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::{self, Contents};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::Dtype;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

/// Elements that are read and made `f32` at a time.
const BLOCK: usize = 1 << 20;
/// No index and no configuration is as long as this, in bytes.
pub(super) const MAX_JSON: u64 = 16_000_000;

/// Weights, their headers checked: of one safetensors file, of several under an index, or of one PyTorch checkpoint.
///
/// In a program, and in a folder that was opened in the page, they stay on the disk; what is read is one tensor at a time, in pieces. Elements may be `f16`,
/// `bf16`, `f32`, `f64` or `i8` with a scale for each row (see [`crate::weights::convert`]); networks get `f32`.
#[derive(Clone)]
pub struct Weights(pub(super) Arc<Inner>);

pub(super) struct Inner {
    /// What errors call the whole.
    pub(super) name: String,
    shards: Vec<Arc<Shard>>,
    pub(super) tensors: BTreeMap<String, Stored>,
}

struct Shard {
    name: String,
    contents: Contents,
}

/// A tensor and where it is.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) info: TensorInfo,
    shard: usize,
    /// Of the companion with a factor for each row, and its shard.
    scale: Option<(TensorInfo, usize)>,
}

impl Weights {
    /// Takes the contents of a file; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Model`] for anything but a whole safetensors file or PyTorch checkpoint.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self> {
        let name = name.into();
        let (shard, tensors) = Shard::new(&name, Contents::Memory(bytes))?;
        Self::new(name, vec![shard], vec![tensors])
    }

    /// Opens a file at `location`: safetensors, the index (`*.json`) of several, or a PyTorch checkpoint. Where it has to be fetched,
    /// `progress(bytes read, bytes in all or 0)` is told.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read; [`Error::Model`] for one that is damaged, and for an index
    /// that does not fit the files it names.
    pub async fn open(location: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<Self> {
        if !location.ends_with(".json") {
            let (shard, tensors) = Shard::open(location, progress).await?;
            return Self::new(location.to_owned(), vec![shard], vec![tensors]);
        }
        let fail = |reason: String| Error::Model {
            name: location.to_owned(),
            reason,
        };
        let wanted = parse_index(location, &read_json_bytes(location).await?)?;
        let directory = location
            .rfind(['/', '\\'])
            .map_or("", |at| &location[..=at]);
        let (mut shards, mut found, mut fetched) = (Vec::new(), Vec::new(), 0);
        for (file, tensors) in wanted {
            let place = format!("{directory}{file}");
            let opened = Shard::open(&place, &mut |done, _| progress(fetched + done, 0)).await;
            let (shard, mut there) = match opened {
                Err(e) if is_not_found(&e) => {
                    return Err(fail(format!(
                        "it names {file}, which is not there; fetch that file, too"
                    )));
                }
                other => other?,
            };
            fetched += shard.contents.len();
            // What the index does not name is not part of the model.
            let mut named = BTreeMap::new();
            for tensor in tensors {
                let Some(info) = there.remove(&tensor) else {
                    return Err(fail(format!(
                        "it says that {tensor:?} is in {file}, which has no such tensor; fetch both again"
                    )));
                };
                named.insert(tensor, info);
            }
            if let Some(other) = there.keys().next() {
                log::warn!("{place}: {other:?} is in the file, but not in its index");
            }
            shards.push(shard);
            found.push(named);
        }
        Self::new(location.to_owned(), shards, found)
    }

    /// Puts together what the shards hold; no tensor is in two of them.
    fn new(
        name: String,
        shards: Vec<Shard>,
        found: Vec<BTreeMap<String, TensorInfo>>,
    ) -> Result<Self> {
        let mut all: BTreeMap<String, (TensorInfo, usize)> = BTreeMap::new();
        for (shard, tensors) in found.into_iter().enumerate() {
            all.extend(tensors.into_iter().map(|(n, info)| (n, (info, shard))));
        }
        let whole: Vec<String> = all
            .iter()
            .filter(|(_, (info, _))| info.dtype == Dtype::I8)
            .map(|(name, _)| name.clone())
            .collect();
        let mut scales = BTreeMap::new();
        for tensor in whole {
            let Some((scale, shard)) = all.remove(&scale_name(&tensor)) else {
                continue;
            };
            let (info, _) = &all[&tensor];
            if scale.dtype != Dtype::F32
                || info.shape.first() != scale.shape.first()
                || scale.shape.len() != 1
            {
                return Err(Error::Model {
                    name: shards[shard].name.clone(),
                    reason: format!(
                        "tensor {:?} is {:?} of {:?}, which is no factor for each row of {:?}; convert the model again",
                        scale_name(&tensor),
                        scale.shape,
                        scale.dtype,
                        info.shape
                    ),
                });
            }
            scales.insert(tensor, (scale, shard));
        }
        let tensors = all
            .into_iter()
            .map(|(name, (info, shard))| {
                let scale = scales.remove(&name);
                (name, Stored { info, shard, scale })
            })
            .collect();
        Ok(Self(Arc::new(Inner {
            name,
            shards: shards.into_iter().map(Arc::new).collect(),
            tensors,
        })))
    }

    /// Those tensors to which `rename` gives a name, under that name: for a file that holds more than a network
    /// takes, or was written when things were called otherwise.
    pub fn renamed(&self, rename: impl Fn(&str) -> Option<String>) -> Self {
        let tensors = self.0.tensors.iter();
        Self(Arc::new(Inner {
            name: self.0.name.clone(),
            shards: self.0.shards.clone(),
            tensors: tensors
                .filter_map(|(name, stored)| Some((rename(name)?, stored.clone())))
                .collect(),
        }))
    }

    /// What errors call the file, or the index.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The tensors, by name. The scales of 8-bit ones are not among them.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.0.tensors.iter().map(|(n, t)| (n.as_str(), &t.info))
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, tensor: &str) -> bool {
        self.0.tensors.contains_key(tensor)
    }

    /// The length of all files together, in bytes.
    pub fn len(&self) -> u64 {
        self.0.shards.iter().map(|s| s.contents.len()).sum()
    }

    /// Whether there are no tensors.
    pub fn is_empty(&self) -> bool {
        self.0.tensors.is_empty()
    }

    /// The elements of one tensor as `f32`, and its shape.
    ///
    /// # Errors
    /// [`Error::Model`] if there is no such tensor, its type is no floating point, or it holds
    /// something that is not finite.
    pub fn read(&self, tensor: &str) -> Result<(Vec<f32>, Vec<usize>)> {
        let stored = self.0.stored(tensor)?;
        Ok((self.0.values(tensor, stored)?, stored.info.shape.clone()))
    }

    /// As [`Weights::read`], but gives the elements to `take` some at a time, in their order.
    ///
    /// # Errors
    /// Those of [`Weights::read`] and of `take`.
    pub fn read_blocks(
        &self,
        tensor: &str,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        self.0.blocks(tensor, self.0.stored(tensor)?, take)
    }

    /// An error about one tensor, which names the file that it is in.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn tensor_error(&self, tensor: &str, what: &str) -> Error {
        match self.0.tensors.get(tensor) {
            Some(stored) => self.0.tensor_error(tensor, stored, what),
            None => self.0.error(format!("tensor {tensor:?} {what}")),
        }
    }
}

impl Shard {
    async fn open(
        location: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Self, BTreeMap<String, TensorInfo>)> {
        Self::new(location, platform::open(location, progress).await?)
    }

    fn new(name: &str, contents: Contents) -> Result<(Self, BTreeMap<String, TensorInfo>)> {
        let read_at = |at: u64, into: &mut [u8]| contents.read_at(at, into);
        let mut first = [0; 4];
        let zip = match read_at(0, &mut first) {
            Ok(()) => torch::is_zip(&first),
            // One that is shorter is not taken for anything.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => false,
            Err(source) => {
                return Err(Error::Io {
                    path: name.to_owned(),
                    source,
                });
            }
        };
        let tensors = match zip {
            true => torch::read_header(name, contents.len(), &read_at)?,
            false => read_header(name, contents.len(), &read_at)?,
        };
        let name = name.to_owned();
        Ok((Self { name, contents }, tensors))
    }
}

impl Inner {
    /// Whether reading a tensor means reading a disk.
    pub(super) fn on_disk(&self) -> bool {
        self.shards.iter().any(|s| !s.contents.in_memory())
    }

    pub(super) fn error(&self, reason: String) -> Error {
        Error::Model {
            name: self.name.clone(),
            reason,
        }
    }

    fn stored(&self, tensor: &str) -> Result<&Stored> {
        self.tensors
            .get(tensor)
            .ok_or_else(|| self.error(format!("tensor {tensor:?} is missing")))
    }

    fn tensor_error(&self, tensor: &str, stored: &Stored, what: &str) -> Error {
        Error::Model {
            name: self.shards[stored.shard].name.clone(),
            reason: format!("tensor {tensor:?} {what}"),
        }
    }

    /// All elements of a tensor.
    pub(super) fn values(&self, tensor: &str, stored: &Stored) -> Result<Vec<f32>> {
        // The header was checked against the file, so that this is no more than a few times its length.
        let info = &stored.info;
        let count = (info.end - info.start) * 8 / info.dtype.bitsize() as u64;
        let mut values = Vec::new();
        values
            .try_reserve_exact(usize::try_from(count).unwrap_or(usize::MAX))
            .map_err(|_| self.tensor_error(tensor, stored, "does not fit into the memory"))?;
        self.blocks(tensor, stored, &mut |block| {
            values.extend_from_slice(block);
            Ok(())
        })?;
        Ok(values)
    }

    /// A tensor in 8 bits: as it is, where the file has it so.
    pub(super) fn quantised(&self, tensor: &str) -> Result<Quantised> {
        let stored = self.stored(tensor)?;
        let info = &stored.info;
        let count = (info.end - info.start) * 8 / info.dtype.bitsize() as u64;
        let mut numbers = Vec::new();
        numbers
            .try_reserve_exact(usize::try_from(count).unwrap_or(usize::MAX))
            .map_err(|_| self.tensor_error(tensor, stored, "does not fit into the memory"))?;
        if let Some(scales) = self.scale(tensor, stored)? {
            if let Some(row) = scales.iter().position(|scale| !scale.is_finite()) {
                let what = format!(
                    "has the scale {} for row {row}; convert the model again",
                    scales[row]
                );
                return Err(self.tensor_error(tensor, stored, &what));
            }
            self.raw_blocks(tensor, stored, 1, &mut |raw| {
                numbers.extend(raw.iter().map(|&byte| byte as i8));
                Ok(())
            })?;
            return Ok(Quantised { numbers, scales });
        }
        let mut rows = Rows::new(info.shape.iter().skip(1).product());
        self.blocks(tensor, stored, &mut |block| {
            rows.take(block, &mut numbers);
            Ok(())
        })?;
        let scales = rows.scales;
        Ok(Quantised { numbers, scales })
    }

    /// Gives the elements to `take`, [`BLOCK`] at a time.
    fn blocks(
        &self,
        tensor: &str,
        stored: &Stored,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        let fail = |what: String| self.tensor_error(tensor, stored, &what);
        let info = &stored.info;
        let size = match info.dtype {
            Dtype::I8 => 1,
            Dtype::F16 | Dtype::BF16 => 2,
            Dtype::F32 => 4,
            Dtype::F64 => 8,
            other => {
                return Err(fail(format!(
                    "is of type {other:?}; only F16, BF16, F32, F64 and I8 with a scale can be read"
                )));
            }
        };
        let scale = self.scale(tensor, stored)?;
        // Without elements, the other dimensions may be anything.
        let row: usize = match info.start < info.end {
            true => info.shape.iter().skip(1).product(),
            false => 1,
        };
        // Elements before this block.
        let mut done = 0;
        let mut values = Vec::new();
        self.raw_blocks(tensor, stored, size, &mut |raw| {
            values.clear();
            to_f32(info.dtype, raw, &mut values);
            for (i, value) in values.iter_mut().enumerate() {
                if let Some(scale) = &scale {
                    *value *= scale[(done + i) / row];
                }
                if !value.is_finite() {
                    return Err(fail(format!(
                        "holds {value} at element {}; the file is damaged or its training failed",
                        done + i
                    )));
                }
            }
            done += values.len();
            take(&values)
        })
    }

    /// Gives the bytes of a tensor, whose elements have `size` each, to `take`, [`BLOCK`] elements at a time.
    fn raw_blocks(
        &self,
        tensor: &str,
        stored: &Stored,
        size: usize,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let Stored { info, shard, .. } = stored;
        let (mut at, mut raw) = (info.start, Vec::new());
        while at < info.end {
            let len = (info.end - at).min((BLOCK * size) as u64);
            raw.resize(len as usize, 0);
            let read = self.shards[*shard].contents.read_at(at, &mut raw);
            read.map_err(|e| {
                let what = format!("cannot be read ({e}); is the file being written?");
                self.tensor_error(tensor, stored, &what)
            })?;
            take(&raw)?;
            at += len;
        }
        Ok(())
    }

    /// The factors of an 8-bit tensor's rows.
    fn scale(&self, tensor: &str, stored: &Stored) -> Result<Option<Vec<f32>>> {
        if stored.info.dtype != Dtype::I8 {
            return Ok(None);
        }
        let fail = |what: String| self.tensor_error(tensor, stored, &what);
        let Some((info, shard)) = &stored.scale else {
            return Err(fail(format!(
                "is of type I8, but there is no {:?} with its scale; convert the model again",
                scale_name(tensor)
            )));
        };
        let mut raw = vec![0; (info.end - info.start) as usize];
        self.shards[*shard]
            .contents
            .read_at(info.start, &mut raw)
            .map_err(|e| fail(format!("cannot be read ({e}); is the file being written?")))?;
        let mut scale = Vec::with_capacity(raw.len() / 4);
        to_f32(Dtype::F32, &raw, &mut scale);
        Ok(Some(scale))
    }
}

/// What the factors of an 8-bit tensor's rows are called.
pub(super) fn scale_name(tensor: &str) -> String {
    format!("{tensor}.scale")
}

/// Appends the elements of `raw`, which is of one of the types that [`Inner::blocks`] reads.
fn to_f32(dtype: Dtype, raw: &[u8], values: &mut Vec<f32>) {
    fn chunks<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> {
        raw.chunks_exact(N)
            .map(|c| c.try_into().expect("chunks_exact gives N bytes"))
    }
    match dtype {
        Dtype::I8 => values.extend(raw.iter().map(|&b| f32::from(b as i8))),
        Dtype::F16 => {
            let half: Vec<f16> = chunks(raw).map(f16::from_le_bytes).collect();
            values.resize(half.len(), 0.0);
            half.convert_to_f32_slice(values);
        }
        Dtype::BF16 => {
            let half: Vec<bf16> = chunks(raw).map(bf16::from_le_bytes).collect();
            values.resize(half.len(), 0.0);
            half.convert_to_f32_slice(values);
        }
        Dtype::F64 => values.extend(chunks(raw).map(|c| f64::from_le_bytes(c) as f32)),
        _ => values.extend(chunks(raw).map(f32::from_le_bytes)),
    }
}

/// Reads a JSON file, unless it is far too long to be one.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Model`] if it is too long.
pub(super) async fn read_json_bytes(location: &str) -> Result<Vec<u8>> {
    let contents = platform::open(location, &mut |_, _| {}).await?;
    if contents.len() > MAX_JSON {
        return Err(Error::Model {
            name: location.to_owned(),
            reason: format!(
                "{} bytes are too many for such a file; is it something else?",
                contents.len()
            ),
        });
    }
    let mut bytes = vec![0; contents.len() as usize];
    match contents.read_at(0, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(source) => Err(Error::Io {
            path: location.to_owned(),
            source,
        }),
    }
}

pub(super) fn is_not_found(e: &Error) -> bool {
    matches!(e, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}
