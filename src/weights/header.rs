//! The header of a safetensors file, checked before anything is read by it.
//!
//! The `safetensors` crate checks the same, but adds up lengths that a lying header chose (which
//! overflows), and its errors do not say whether a file is cut short or is something else altogether.

use crate::error::{Error, Result};
use safetensors::Dtype;
use std::collections::BTreeMap;

/// A real header takes about 150 bytes a tensor, 0.2 MB for Stable Video Diffusion's UNet.
const MAX_HEADER: u64 = 16_000_000;
/// Convolutions over video have five dimensions.
const MAX_RANK: usize = 8;
/// What a file says of itself may be quoted in an error, but not at any length.
const MAX_REASON: usize = 300;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Type of the elements.
    pub dtype: Dtype,
    /// Shape, as PyTorch has it.
    pub shape: Vec<usize>,
    /// First byte, counted from the start of the file.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

#[derive(serde::Deserialize)]
struct Entry {
    dtype: Dtype,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// Reads and checks the header of the safetensors file `name` with the contents `bytes`.
///
/// What it promises about the result: every range lies within `bytes`, is as long as shape and type
/// say, and overlaps no other. It allocates no more than a small multiple of the header's own size.
///
/// # Errors
/// [`Error::Model`] for a file that is empty, cut short, too long, or no safetensors at all.
pub fn parse_header(name: &str, bytes: &[u8]) -> Result<BTreeMap<String, TensorInfo>> {
    let fail = |reason: String| Error::Model {
        name: name.to_owned(),
        reason: match reason.char_indices().nth(MAX_REASON) {
            Some((end, _)) => format!("{}…", &reason[..end]),
            None => reason,
        },
    };
    let cut_short = |wanted: u64| {
        fail(format!(
            "the file is cut short: {} bytes of {wanted}; fetch it again",
            bytes.len()
        ))
    };
    let not_weights = |why: String| {
        fail(format!(
            "this is no safetensors file ({why}); convert or fetch it again"
        ))
    };

    let Some(length) = bytes.first_chunk::<8>() else {
        return Err(cut_short(8));
    };
    let header_len = u64::from_le_bytes(*length);
    if header_len > MAX_HEADER {
        return Err(not_weights(format!(
            "its first eight bytes claim a header of {header_len} bytes"
        )));
    }
    let Some(header) = usize::try_from(header_len)
        .ok()
        .and_then(|n| bytes.get(8..8 + n))
    else {
        return Err(cut_short(8 + header_len));
    };
    let data_start = 8 + header.len();
    let data_len = (bytes.len() - data_start) as u64;

    let mut entries: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header)
        .map_err(|e| not_weights(format!("its header is not the expected JSON: {e}")))?;
    entries.remove("__metadata__");

    let mut tensors = Vec::with_capacity(entries.len());
    for (tensor, value) in entries {
        let entry: Entry = serde_json::from_value(value)
            .map_err(|e| fail(format!("header entry {tensor:?} cannot be read: {e}")))?;
        if entry.shape.len() > MAX_RANK {
            return Err(fail(format!(
                "header entry {tensor:?} has {} dimensions; fetch the file again",
                entry.shape.len()
            )));
        }
        let bits = entry
            .shape
            .iter()
            .try_fold(entry.dtype.bitsize() as u64, |n, &d| n.checked_mul(d));
        let [start, end] = entry.data_offsets;
        if bits.is_none_or(|bits| bits % 8 != 0) || end.checked_sub(start) != bits.map(|b| b / 8) {
            return Err(fail(format!(
                "header entry {tensor:?} contradicts itself: shape {:?} of {:?} in bytes {start}..{end}; fetch the file again",
                entry.shape, entry.dtype
            )));
        }
        tensors.push((tensor, entry));
    }

    // The format allows neither gaps nor overlaps: each tensor starts where the one before it ends.
    tensors.sort_by_key(|(_, e)| e.data_offsets);
    let mut at = 0;
    for (tensor, entry) in &tensors {
        let [start, end] = entry.data_offsets;
        if start != at {
            return Err(fail(format!(
                "header entry {tensor:?} starts at byte {start} of the data, but the one before it ends at {at}; fetch the file again"
            )));
        }
        at = end;
    }
    if at > data_len {
        return Err(cut_short((data_start as u64).saturating_add(at)));
    }
    if at < data_len {
        return Err(fail(format!(
            "{} bytes follow after the last tensor; fetch the file again",
            data_len - at
        )));
    }

    // All numbers are at most `bytes.len()` now, except dimensions beside a zero.
    tensors
        .into_iter()
        .map(|(tensor, entry)| {
            let shape: Option<Vec<usize>> = entry
                .shape
                .iter()
                .map(|&d| usize::try_from(d).ok())
                .collect();
            let Some(shape) = shape else {
                return Err(fail(format!(
                    "header entry {tensor:?} has the impossible shape {:?}",
                    entry.shape
                )));
            };
            let [start, end] = entry.data_offsets.map(|o| data_start + o as usize);
            Ok((
                tensor,
                TensorInfo {
                    dtype: entry.dtype,
                    shape,
                    start,
                    end,
                },
            ))
        })
        .collect()
}
