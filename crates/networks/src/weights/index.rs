//! `*.safetensors.index.json`: which of several files (shards) holds which tensor.

use super::header::refused;
use dragentity_core::error::Result;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Real models have tens of shards.
const MAX_SHARDS: usize = 1000;

/// As diffusers and transformers write it. `metadata` is not needed: its sizes are often wrong.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Reads and checks the index `name` with the contents `bytes`: for each shard, the tensors it holds.
///
/// Shards are plain names of safetensors files, to be looked for beside the index and nowhere else.
///
/// # Errors
/// [`dragentity_core::Error::Model`] for anything that is no such index, names a file elsewhere, or no file at all.
pub fn parse_index(name: &str, bytes: &[u8]) -> Result<BTreeMap<String, Vec<String>>> {
    let fail = |reason: String| refused(name, reason);
    let index: Index = serde_json::from_slice(bytes).map_err(|e| {
        fail(format!(
            "this is no index of weights ({e}); fetch it again, or convert the model again"
        ))
    })?;
    let mut shards: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tensor, shard) in index.weight_map {
        // The page takes them for parts of an address, where `%2e`, `?` and `#` mean something.
        let plain = shard.ends_with(".safetensors")
            && !shard.starts_with('.')
            && shard.len() <= 255
            && shard
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_. ".contains(c));
        if !plain {
            return Err(fail(format!(
                "it names a file that is no plain name of a safetensors file beside it; fetch the index again ({shard:?}, for {tensor:?})"
            )));
        }
        shards.entry(shard).or_default().push(tensor);
        if shards.len() > MAX_SHARDS {
            return Err(fail(format!(
                "it names more than {MAX_SHARDS} files; convert the model with larger shards"
            )));
        }
    }
    if shards.is_empty() {
        return Err(fail("it names no tensors; fetch it again".into()));
    }
    Ok(shards)
}
