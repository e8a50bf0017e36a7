//! Which of the forms in JSON a file has.

use super::{File, Format, ati, number, refuse};
use crate::error::Result;
use serde_json::Value;

/// Whose form a file in JSON has.
pub(super) fn format(file: &File) -> Result<Format> {
    let value = number::json(file)?;
    if let Some(map) = value.as_object() {
        if map.values().any(|entry| entry.get("mask_name").is_some()) {
            return Ok(Format::DragAnything);
        }
        if map.contains_key("dragentity") {
            return refuse(format!(
                "{}: is a preset of this program's own, and need not be imported",
                file.name
            ));
        }
    }
    let all = value.as_array().map_or(&[][..], Vec::as_slice);
    let lists = || all.iter().filter_map(Value::as_array);
    match all.first() {
        Some(Value::Object(first)) if first.contains_key("points") => Ok(Format::KjNodesSplines),
        Some(Value::Object(first)) if first.contains_key("x") => Ok(Format::KjNodes),
        Some(Value::Array(first)) => match first.first() {
            Some(Value::Object(_)) if lists().all(|list| list.len() == ati::FRAMES) => {
                Ok(Format::Ati)
            }
            Some(Value::Object(_)) => Ok(Format::KjNodes),
            Some(Value::Array(_)) => Ok(Format::DragNuwa),
            _ => refuse(format!(
                "{}: track 1 has no positions, which are {{\"x\": 1, \"y\": 2}} or [1, 2]",
                file.name
            )),
        },
        Some(_) | None => refuse(format!(
            "{}: is JSON of no form this program knows, which are lists of tracks",
            file.name
        )),
    }
}
