//! A network into a safetensors file that diffusers reads.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot};
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::{make_dir, write_whole};
use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;

/// How a saved file holds its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Half precision: what is shipped.
    F16,
    /// Single precision: what a training run continues from.
    F32,
}

/// The contents of a safetensors file with the parameters of `module` under diffusers' names.
///
/// The order of tensors is fixed, so that equal networks give equal files.
///
/// # Errors
/// [`Error::Model`] with `name` if a parameter is not finite or does not fit into half precision.
pub fn save_bytes<B: Backend, M: Module<B>>(
    name: &str,
    module: &M,
    precision: Precision,
) -> Result<Vec<u8>> {
    let fail = |reason: String| Error::Model {
        name: name.to_owned(),
        reason,
    };
    let mut tensors = Vec::new();
    for snapshot in module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), false) {
        let tensor = snapshot.full_path();
        let data = snapshot
            .to_data()
            .map_err(|e| fail(format!("tensor {tensor:?} cannot be read back: {e}")))?;
        let shape = data.shape.to_vec();
        let values = data
            .convert::<f32>()
            .into_vec::<f32>()
            .map_err(|e| fail(format!("tensor {tensor:?} is no floating point: {e:?}")))?;
        let limit = match precision {
            Precision::F16 => f16::MAX.to_f32(),
            Precision::F32 => f32::MAX,
        };
        if let Some(v) = values.iter().find(|v| v.is_nan() || v.abs() > limit) {
            return Err(fail(format!(
                "tensor {tensor:?} holds {v}, which {precision:?} cannot hold; its training failed, or save it as F32"
            )));
        }
        let bytes: Vec<u8> = match precision {
            Precision::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Precision::F16 => {
                let mut half = vec![f16::ZERO; values.len()];
                half.convert_from_f32_slice(&values);
                half.iter().flat_map(|v| v.to_le_bytes()).collect()
            }
        };
        tensors.push((tensor, shape, bytes));
    }
    let dtype = match precision {
        Precision::F16 => Dtype::F16,
        Precision::F32 => Dtype::F32,
    };
    let views = tensors
        .iter()
        .map(|(tensor, shape, bytes)| Ok((tensor, TensorView::new(dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| fail(e.to_string()))?;
    // diffusers refuses files whose metadata does not name the framework.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize(views, Some(metadata)).map_err(|e| fail(e.to_string()))
}

/// Writes [`save_bytes`] to a file that appears whole or not at all. Missing directories are made.
///
/// # Errors
/// Those of [`save_bytes`], and [`Error::Io`].
pub fn save_file<B: Backend, M: Module<B>>(
    path: &Path,
    module: &M,
    precision: Precision,
) -> Result<()> {
    let bytes = save_bytes(&path.display().to_string(), module, precision)?;
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    write_whole(path, &bytes)
}
