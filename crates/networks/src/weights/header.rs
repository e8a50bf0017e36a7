//! The header of a safetensors file, checked before anything is read by it.
//!
//! The `safetensors` crate checks the same, but adds up lengths that a lying header chose (which
//! overflows), and its errors do not say whether a file is cut short or is something else altogether.

use dragentity_core::error::{Error, Result};
use safetensors::Dtype;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt::Formatter;

/// A real header takes about 150 bytes a tensor, 0.2 MB for Stable Video Diffusion's UNet.
const MAX_HEADER: u64 = 16_000_000;
/// Convolutions over video have five dimensions.
pub(super) const MAX_RANK: usize = 8;
/// What a file says of itself may be quoted in an error, but not at any length.
const MAX_REASON: usize = 300;

/// A reason that quotes what a file says, at a length that can be read.
fn shortened(reason: String) -> String {
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    }
}

/// That a file of weights cannot be used, at a length that can be read.
pub(super) fn refused(name: &str, reason: String) -> Error {
    Error::Model {
        name: name.to_owned(),
        reason: shortened(reason),
    }
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Type of the elements.
    pub dtype: Dtype,
    /// Shape, as PyTorch has it.
    pub shape: Vec<usize>,
    /// First byte, counted from the start of the file.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

#[derive(serde::Deserialize)]
struct Entry {
    dtype: Dtype,
    #[serde(deserialize_with = "dimensions")]
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// A shape, read no further than it can be true.
fn dimensions<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    struct Dimensions;
    impl<'de> Visitor<'de> for Dimensions {
        type Value = Vec<u64>;

        fn expecting(&self, f: &mut Formatter) -> std::fmt::Result {
            f.write_str("a list of dimensions")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u64>, A::Error> {
            let mut shape = Vec::new();
            while let Some(dimension) = list.next_element()? {
                if shape.len() == MAX_RANK {
                    return Err(A::Error::custom(format!("more than {MAX_RANK} dimensions")));
                }
                shape.push(dimension);
            }
            Ok(shape)
        }
    }
    from.deserialize_seq(Dimensions)
}

/// The header as it stands, straight into entries: a tree of JSON values would take many times its bytes.
struct Entries(BTreeMap<String, Entry>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = BTreeMap<String, Entry>;

            fn expecting(&self, f: &mut Formatter) -> std::fmt::Result {
                f.write_str("tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(tensor) = map.next_key::<String>()? {
                    if tensor == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let entry = map
                        .next_value()
                        .map_err(|e| A::Error::custom(format!("entry {tensor:?}: {e}")))?;
                    if entries.insert(tensor.clone(), entry).is_some() {
                        return Err(A::Error::custom(format!("{tensor:?} is there twice")));
                    }
                }
                Ok(entries)
            }
        }
        from.deserialize_map(Names).map(Self)
    }
}

/// Reads and checks the header of the safetensors file `name` with the contents `bytes`.
///
/// What it promises about the result: every range lies within `bytes`, is as long as shape and type
/// say, and overlaps no other. It allocates no more than a small multiple of the header's own size.
///
/// # Errors
/// [`Error::Model`] for a file that is empty, cut short, too long, or no safetensors at all.
pub fn parse_header(name: &str, bytes: &[u8]) -> Result<BTreeMap<String, TensorInfo>> {
    read_header(name, bytes.len() as u64, &|at, into| {
        // Both are within `bytes`: `read_header` asks for nothing beyond the length it is told.
        into.copy_from_slice(&bytes[at as usize..][..into.len()]);
        Ok(())
    })
}

/// As [`parse_header`], for a file of `file_len` bytes of which `read_at` reads what begins at a byte.
pub(super) fn read_header(
    name: &str,
    file_len: u64,
    read_at: &dyn Fn(u64, &mut [u8]) -> std::io::Result<()>,
) -> Result<BTreeMap<String, TensorInfo>> {
    let fail = |reason: String| refused(name, reason);
    let read = |at: u64, len: usize| {
        let mut bytes = vec![0; len];
        match read_at(at, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(source) => Err(Error::Io {
                path: name.to_owned(),
                source,
            }),
        }
    };
    let cut_short = |wanted: u64| {
        fail(format!(
            "the file is cut short: {file_len} bytes of {wanted}; fetch it again"
        ))
    };
    let not_weights = |why: String| {
        fail(format!(
            "this is no safetensors file ({why}); convert or fetch it again"
        ))
    };

    if file_len < 8 {
        return Err(cut_short(8));
    }
    let mut length = [0; 8];
    length.copy_from_slice(&read(0, 8)?);
    let header_len = u64::from_le_bytes(length);
    if header_len > MAX_HEADER {
        // As a pickle begins.
        if length[0] == 0x80 && (2..=5).contains(&length[1]) {
            return Err(fail(
                "this is in PyTorch's format of before 2020; load it with PyTorch and save it again".into(),
            ));
        }
        return Err(not_weights(format!(
            "its first eight bytes claim a header of {header_len} bytes"
        )));
    }
    let data_start = 8 + header_len;
    if data_start > file_len {
        return Err(cut_short(data_start));
    }
    let data_len = file_len - data_start;

    let header = read(8, header_len as usize)?;
    let Entries(entries) = serde_json::from_slice(&header)
        .map_err(|e| not_weights(format!("its header is not as expected: {e}")))?;

    let mut tensors = Vec::with_capacity(entries.len());
    for (tensor, entry) in entries {
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
        return Err(cut_short(data_start.saturating_add(at)));
    }
    if at < data_len {
        return Err(fail(format!(
            "{} bytes follow after the last tensor; fetch the file again",
            data_len - at
        )));
    }

    // All numbers are at most `file_len` now, except dimensions beside a zero.
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
            let [start, end] = entry.data_offsets.map(|o| data_start + o);
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
