//! Positions in text and JSON.

use super::{File, refuse};
use crate::error::Result;
use serde_json::Value;

/// Longest text that is looked at, in bytes: a thousand tracks of 121 positions have a tenth of it.
const MAX_BYTES: usize = 64 << 20;

/// The file as text.
pub(super) fn text(file: &File) -> Result<&str> {
    if file.bytes.len() > MAX_BYTES {
        return refuse(format!(
            "{}: is larger than {} MB, far more than paths need",
            file.name,
            MAX_BYTES >> 20
        ));
    }
    match std::str::from_utf8(&file.bytes) {
        Ok(text) => Ok(text.trim_start_matches('\u{feff}').trim()),
        Err(_) => refuse(format!("{}: is neither text nor a NumPy array", file.name)),
    }
}

pub(super) fn looks_like_json(file: &File) -> bool {
    text(file).is_ok_and(|text| text.starts_with(['[', '{']))
}

/// The file as JSON. Where a list has been written by Python's `str`, with single quotes, it is taken as meant, as the
/// neighbours' nodes do.
pub(super) fn json(file: &File) -> Result<Value> {
    let text = text(file)?;
    let read = serde_json::from_str(text)
        .or_else(|e| serde_json::from_str(&text.replace('\'', "\"")).map_err(|_| e));
    match read {
        Ok(value) => Ok(value),
        Err(e) => refuse(format!("{}: is no JSON ({e}); save it again", file.name)),
    }
}

/// A position, `{"x": 1, "y": 2}` or `[1, 2]`.
pub(super) fn position(value: &Value) -> Option<[f64; 2]> {
    let pair = match value {
        Value::Object(map) => [map.get("x")?, map.get("y")?],
        Value::Array(list) => <&[Value; 2]>::try_from(list.as_slice()).ok()?.each_ref(),
        _ => return None,
    };
    Some([pair[0].as_f64()?, pair[1].as_f64()?])
}

/// To a hundredth of a pixel: more than any of the models sees, and readable.
pub(super) fn rounded(at: [f64; 2]) -> [f64; 2] {
    at.map(|v| (v * 100.0).round() / 100.0)
}

/// A list in JSON; `what` is it, for a sentence.
pub(super) fn list<'a>(file: &File, value: &'a Value, what: &str) -> Result<&'a Vec<Value>> {
    match value.as_array() {
        Some(list) => Ok(list),
        None => refuse(format!("{}: {what} is not a list", file.name)),
    }
}

/// The positions in a list; `what` is it, for a sentence.
pub(super) fn positions(file: &File, what: &str, value: &Value) -> Result<Vec<[f64; 2]>> {
    let mut points = Vec::new();
    for (i, value) in list(file, value, what)?.iter().enumerate() {
        match position(value) {
            Some(point) => points.push(point),
            None => {
                return refuse(format!(
                    "{}: position {} of {what} is not two numbers, {{\"x\": 1, \"y\": 2}} or [1, 2]",
                    file.name,
                    i + 1
                ));
            }
        }
    }
    Ok(points)
}
