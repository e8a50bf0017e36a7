//! NumPy's files of one array, as `numpy.save` writes them (NumPy's format description: `numpy.lib.format`).
//!
//! Not by a crate: those that there are read the header as any Python literal, which brings a parser generator and big numbers, and
//! multiply the sides of a damaged shape without looking, which ends the page.

use super::{File, refuse};
use crate::error::Result;

/// What such a file begins with.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// Most numbers of one array: a thousand tracks of 121 frames have a tenth of it.
const MAX_NUMBERS: usize = 4_000_000;
/// Where the numbers begin is a multiple of this, in bytes.
const ALIGNMENT: usize = 64;

/// An array, its numbers row by row.
pub(super) struct Array {
    /// Its sides.
    pub shape: Vec<usize>,
    /// All its numbers.
    pub numbers: Vec<f64>,
    /// Whether they are truths.
    pub is_bool: bool,
}

/// A type whose numbers are read: what NumPy calls it, its bytes, and the number that some of them are.
type Kind = (&'static str, usize, fn(&[u8]) -> f64);

const KINDS: [Kind; 6] = [
    ("<f4", 4, |b| {
        b.try_into()
            .map_or(f64::NAN, |b| f64::from(f32::from_le_bytes(b)))
    }),
    ("<f8", 8, |b| {
        b.try_into().map_or(f64::NAN, f64::from_le_bytes)
    }),
    ("<i4", 4, |b| {
        b.try_into()
            .map_or(f64::NAN, |b| f64::from(i32::from_le_bytes(b)))
    }),
    ("<i8", 8, |b| {
        b.try_into()
            .map_or(f64::NAN, |b| i64::from_le_bytes(b) as f64)
    }),
    ("|u1", 1, |b| f64::from(b[0])),
    ("|b1", 1, |b| f64::from(u8::from(b[0] != 0))),
];

impl Array {
    pub fn read(file: &File) -> Result<Self> {
        let damaged = |what: &str| {
            refuse(format!(
                "{}: {what}; save it again with numpy.save",
                file.name
            ))
        };
        let bytes = file.bytes.as_slice();
        let (start, length) = match bytes.get(6..12) {
            Some(&[1, _, low, high, ..]) => (10, usize::from(u16::from_le_bytes([low, high]))),
            Some(&[2 | 3, _, a, b, c, d]) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
            _ => return damaged("is cut short, or of a version that is not known"),
        };
        let split = bytes[start..].split_at_checked(length);
        let Some((header, data)) = split.and_then(|(header, data)| {
            Some((Header::parse(std::str::from_utf8(header).ok()?)?, data))
        }) else {
            return damaged("its header is not that of an array");
        };
        let Some(&(name, size, number)) = KINDS.iter().find(|kind| kind.0 == header.kind) else {
            return refuse(format!(
                "{}: its numbers are of the type {:?}; save it again as float32",
                file.name, header.kind
            ));
        };
        let shape = header.shape;
        // Beside a side of 0 the others may be anything.
        if shape.contains(&0) {
            return damaged(&format!("is {shape:?} numbers, which are none"));
        }
        let count = shape
            .iter()
            .try_fold(1usize, |n, &side| n.checked_mul(side));
        let Some(count) = count.filter(|&n| n <= MAX_NUMBERS && n * size <= data.len()) else {
            return damaged(&format!(
                "says it is {shape:?} numbers, more than it holds or than paths are"
            ));
        };
        let numbers: Vec<f64> = data[..count * size]
            .chunks_exact(size)
            .map(number)
            .collect();
        Ok(Self {
            numbers: match header.by_columns {
                true => by_rows(&numbers, &shape),
                false => numbers,
            },
            shape,
            is_bool: name == "|b1",
        })
    }
}

/// What the header says: `{'descr': '<f4', 'fortran_order': False, 'shape': (1, 81, 2, 2), }`.
struct Header<'a> {
    kind: &'a str,
    by_columns: bool,
    shape: Vec<usize>,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let after = |key: &str| Some(text.split_once(key)?.1.trim_start());
        let sides = after("'shape':")?.strip_prefix('(')?.split_once(')')?.0;
        let sides = sides.split(',').map(str::trim).filter(|s| !s.is_empty());
        Some(Self {
            kind: after("'descr':")?.strip_prefix('\'')?.split_once('\'')?.0,
            by_columns: after("'fortran_order':")?.starts_with("True"),
            shape: sides.map(|side| side.parse().ok()).collect::<Option<_>>()?,
        })
    }
}

/// Numbers that lie column by column, row by row.
fn by_rows(numbers: &[f64], shape: &[usize]) -> Vec<f64> {
    let at = |row_major: usize| {
        let (mut rest, mut index, mut stride) = (row_major, 0, 1);
        let mut block = numbers.len();
        for &side in shape {
            block /= side;
            index += rest / block * stride;
            rest %= block;
            stride *= side;
        }
        numbers[index]
    };
    (0..numbers.len()).map(at).collect()
}

/// A file of an array of this type and shape, whose numbers are these bytes row by row.
pub(super) fn write(kind: &str, shape: &[usize], data: impl Iterator<Item = u8>) -> Vec<u8> {
    let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
    let sides = sides.join(", ");
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sides}), }}");
    // Filled up with spaces and a line end, as NumPy does.
    let end = (10 + header.len() + 1).next_multiple_of(ALIGNMENT) - 11;
    header = format!("{header:<end$}\n");
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}
