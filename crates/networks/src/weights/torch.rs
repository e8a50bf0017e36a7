//! The header of a PyTorch checkpoint (`.pth`, `.pt`, `.bin`): an uncompressed ZIP archive with a pickle of names and
//! shapes, and a file for each storage. Like safetensors it is checked before anything is read by it; nothing in it is run.

use super::header::{TensorInfo, refused};
use super::pickle::{self, Tensor};
use dragentity_core::error::Result;
use safetensors::Dtype;
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek, SeekFrom};
use zip::{CompressionMethod, ZipArchive};

/// Longest pickle, in bytes; SAM's has 40,000.
const MAX_PICKLE: u64 = 16_000_000;
/// Whether a file begins as a ZIP archive does.
pub(super) fn is_zip(first: &[u8]) -> bool {
    first.starts_with(b"PK\x03\x04")
}

/// As `header::read_header`, of a checkpoint.
pub(super) fn read_header(
    name: &str,
    file_len: u64,
    read_at: &dyn Fn(u64, &mut [u8]) -> std::io::Result<()>,
) -> Result<BTreeMap<String, TensorInfo>> {
    let fail = |reason: String| refused(name, reason);
    let mut archive = ZipArchive::new(Window::new(file_len, read_at)).map_err(|e| {
        fail(format!(
            "this PyTorch file is damaged or cut short ({e}); fetch it again"
        ))
    })?;
    let damaged = |e: zip::result::ZipError| fail(format!("damaged ({e}); fetch it again"));

    let mut entries = BTreeMap::new();
    let mut pickled = None;
    for i in 0..archive.len() {
        let mut file = archive.by_index_raw(i).map_err(damaged)?;
        // All are in one folder, named after the file as it was saved.
        let within = file
            .name()
            .split_once('/')
            .map_or("", |(_, name)| name)
            .to_owned();
        if within == "data.pkl" {
            if pickled.is_some() {
                return Err(fail("damaged (two data.pkl); fetch it again".into()));
            }
            if file.size() > MAX_PICKLE || file.compression() != CompressionMethod::Stored {
                return Err(fail(
                    "its names are compressed or far too many; save it again".into(),
                ));
            }
            let mut bytes = Vec::new();
            (&mut file)
                .take(MAX_PICKLE)
                .read_to_end(&mut bytes)
                .map_err(|e| fail(format!("damaged ({e}); fetch it again")))?;
            pickled = Some(bytes);
        } else if within == "byteorder" {
            let mut order = String::new();
            let read = (&mut file).take(16).read_to_string(&mut order);
            if read.is_err() || order.trim() != "little" {
                return Err(fail(
                    "its numbers are big-endian; save it on another machine".into(),
                ));
            }
        } else if let Some(key) = within.strip_prefix("data/") {
            let stored = file.compression() == CompressionMethod::Stored;
            let start = file.data_start().filter(|_| stored);
            let place = start.and_then(|start| Some((start, start.checked_add(file.size())?)));
            let Some((start, end)) = place.filter(|(_, end)| *end <= file_len) else {
                return Err(fail(format!(
                    "{key:?} in it is compressed or cut short; fetch it again"
                )));
            };
            entries.insert(key.to_owned(), (start, end));
        }
    }
    let pickled = pickled.ok_or_else(|| {
        fail(
            "this is a ZIP archive, and no PyTorch file: it has no data.pkl; take another file"
                .into(),
        )
    })?;
    let tensors = pickle::tensors(&pickled).map_err(|why| {
        fail(format!(
            "its names cannot be read: {why}; save it as safetensors"
        ))
    })?;
    if tensors.is_empty() {
        return Err(fail("there is no tensor in it; take another file".into()));
    }
    tensors
        .into_iter()
        .map(|(tensor, pickled)| {
            let info = located(&pickled, &entries)
                .map_err(|why| fail(format!("tensor {tensor:?} {why}; save it as safetensors")))?;
            Ok((tensor.to_owned(), info))
        })
        .collect()
}

/// Where in the file a tensor is.
fn located(
    tensor: &Tensor<'_>,
    entries: &BTreeMap<String, (u64, u64)>,
) -> Result<TensorInfo, String> {
    let dtype = match tensor.kind {
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::BF16,
        "DoubleStorage" => Dtype::F64,
        "LongStorage" => Dtype::I64,
        "IntStorage" => Dtype::I32,
        "ShortStorage" => Dtype::I16,
        "CharStorage" => Dtype::I8,
        "ByteStorage" => Dtype::U8,
        "BoolStorage" => Dtype::BOOL,
        other => return Err(format!("is of the type {other}, which is not known here")),
    };
    let Some(&(start, end)) = entries.get(tensor.storage) else {
        return Err("has no numbers in the file".into());
    };
    if tensor.strides.len() != tensor.shape.len() {
        return Err("has an impossible shape".into());
    }
    let mut count = 1u64;
    for (&size, &stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
        if size > 1 && stride != count {
            return Err("does not lie as its shape says".into());
        }
        count = count.checked_mul(size).ok_or("has an impossible shape")?;
    }
    let size = dtype.bitsize() as u64 / 8;
    let place = |elements: u64| start.checked_add(elements.checked_mul(size)?);
    let first = place(tensor.offset);
    let past = tensor.offset.checked_add(count).and_then(place);
    match (first, past) {
        (Some(first), Some(past)) if past <= end => Ok(TensorInfo {
            dtype,
            shape: tensor.shape.iter().map(|&n| n as usize).collect(),
            start: first,
            end: past,
        }),
        _ => Err("reaches beyond its numbers".into()),
    }
}

/// A file that is read where somebody asks, kept in pieces: an archive's entries are small and lie close together.
struct Window<'a> {
    len: u64,
    at: u64,
    read_at: &'a dyn Fn(u64, &mut [u8]) -> std::io::Result<()>,
    piece: Cursor<Vec<u8>>,
    piece_at: u64,
}

impl<'a> Window<'a> {
    const PIECE: u64 = 1 << 16;

    fn new(len: u64, read_at: &'a dyn Fn(u64, &mut [u8]) -> std::io::Result<()>) -> Self {
        Self {
            len,
            at: 0,
            read_at,
            piece: Cursor::default(),
            piece_at: 0,
        }
    }
}

impl Read for Window<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at >= self.len {
            return Ok(0);
        }
        let held = self.piece.get_ref().len() as u64;
        if self.at < self.piece_at || self.at >= self.piece_at + held {
            let count = Self::PIECE.min(self.len - self.at);
            let mut piece = vec![0; count as usize];
            (self.read_at)(self.at, &mut piece)?;
            self.piece = Cursor::new(piece);
            self.piece_at = self.at;
        }
        self.piece.set_position(self.at - self.piece_at);
        let count = self.piece.read(into)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(by) => (self.len, by),
            SeekFrom::Current(by) => (self.at, by),
        };
        self.at = from
            .checked_add_signed(by)
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
