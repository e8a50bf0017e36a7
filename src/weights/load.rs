//! Tensors from a safetensors file into a network.

use super::header::{TensorInfo, parse_header};
use super::list::tensor_list;
use crate::error::{Error, Result};
use burn::module::{Module, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, TensorData};
use burn_store::{ModuleSnapshot, PyTorchToBurnAdapter, TensorSnapshot, TensorSnapshotError};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::Dtype;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A safetensors file in memory, its header checked.
///
/// Elements may be `f16`, `bf16`, `f32` or `f64`; networks get `f32`.
pub struct Weights {
    name: String,
    bytes: Arc<Vec<u8>>,
    tensors: BTreeMap<String, TensorInfo>,
}

/// What [`Weights::load`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// How many tensors went into the network.
    pub loaded: usize,
    /// Tensors of the file that the network has no place for.
    pub unused: Vec<String>,
}

impl Weights {
    /// Takes the contents of a file; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Model`] for anything but a whole safetensors file.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self> {
        let name = name.into();
        let tensors = parse_header(&name, &bytes)?;
        Ok(Self {
            name,
            bytes: Arc::new(bytes),
            tensors,
        })
    }

    /// What errors call the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tensors of the file, by name.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// The elements of one tensor as `f32`, and its shape.
    ///
    /// # Errors
    /// [`Error::Model`] if there is no such tensor, its type is no floating point, or it holds
    /// something that is not finite.
    pub fn read(&self, tensor: &str) -> Result<(Vec<f32>, Vec<usize>)> {
        let info = self
            .tensors
            .get(tensor)
            .ok_or_else(|| self.error(format!("tensor {tensor:?} is missing")))?;
        let values =
            to_f32(&self.bytes, info).map_err(|e| self.error(format!("tensor {tensor:?} {e}")))?;
        Ok((values, info.shape.clone()))
    }

    /// Puts the tensors into `module`, which keeps its device and gets `f32`.
    ///
    /// Names and shapes are compared before anything is read. Tensors of the file that the module has
    /// no place for are reported and logged as a warning.
    ///
    /// # Errors
    /// [`Error::Model`] that names the tensors which are missing, have another shape, have no floating
    /// point type, or hold something that is not finite.
    pub fn load<B: Backend, M: Module<B>>(&self, mut module: M) -> Result<(M, LoadReport)> {
        let wanted = tensor_list(&module);
        self.compare(&wanted)?;
        let unused: Vec<String> = self
            .tensors
            .keys()
            .filter(|name| !wanted.contains_key(*name))
            .cloned()
            .collect();
        if !unused.is_empty() {
            log::warn!(
                "{}: the network has no place for {}",
                self.name,
                some_of(&unused)
            );
        }

        let snapshots = wanted
            .keys()
            .map(|name| self.snapshot(name, &self.tensors[name]))
            .collect();
        let result = module.apply(snapshots, None, Some(Box::new(PyTorchToBurnAdapter)), false);
        let mut problems: Vec<String> = result.errors.iter().map(|e| e.to_string()).collect();
        // Parameters that are no floating point numbers are in no list above.
        problems.extend(
            result
                .missing
                .iter()
                .map(|(p, _)| format!("{p} is missing")),
        );
        if !problems.is_empty() {
            return Err(self.error(some_of(&problems)));
        }
        let report = LoadReport {
            loaded: result.applied.len(),
            unused,
        };
        Ok((module, report))
    }

    fn compare(&self, wanted: &BTreeMap<String, Vec<usize>>) -> Result<()> {
        let mut missing = Vec::new();
        let mut misshaped = Vec::new();
        for (name, shape) in wanted {
            match self.tensors.get(name) {
                None => missing.push(name.clone()),
                Some(info) if info.shape != *shape => misshaped.push(format!(
                    "{name} ({:?} in the file, {shape:?} in the network)",
                    info.shape
                )),
                Some(_) => {}
            }
        }
        let mut problems = Vec::new();
        if !missing.is_empty() {
            problems.push(format!("the file lacks {}", some_of(&missing)));
        }
        if !misshaped.is_empty() {
            problems.push(format!("other shapes: {}", some_of(&misshaped)));
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(self.error(format!(
            "{}; do config.json and weights belong together?",
            problems.join("; ")
        )))
    }

    /// A tensor that is read and made `f32` only when it is put into the network.
    fn snapshot(&self, name: &str, info: &TensorInfo) -> TensorSnapshot {
        let bytes = Arc::clone(&self.bytes);
        let source = info.clone();
        TensorSnapshot::from_closure(
            Rc::new(move || {
                let values = to_f32(&bytes, &source).map_err(TensorSnapshotError::DataError)?;
                Ok(TensorData::new(values, source.shape.clone()))
            }),
            DType::F32,
            info.shape.clone().into(),
            name.split('.').map(str::to_owned).collect(),
            Vec::new(),
            ParamId::new(),
        )
    }

    fn error(&self, reason: String) -> Error {
        Error::Model {
            name: self.name.clone(),
            reason,
        }
    }
}

/// A list for a message: the first few, and how many more.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The elements as `f32`. The error completes a sentence that starts with the tensor's name.
fn to_f32(bytes: &[u8], info: &TensorInfo) -> Result<Vec<f32>, String> {
    // The range was checked with the header.
    let raw = &bytes[info.start..info.end];
    fn chunks<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> {
        raw.chunks_exact(N)
            .map(|c| c.try_into().expect("chunks_exact gives N bytes"))
    }
    let values: Vec<f32> = match info.dtype {
        Dtype::F32 => chunks(raw).map(f32::from_le_bytes).collect(),
        Dtype::F64 => chunks(raw).map(|c| f64::from_le_bytes(c) as f32).collect(),
        Dtype::F16 => {
            let half: Vec<f16> = chunks(raw).map(f16::from_le_bytes).collect();
            half.to_f32_vec()
        }
        Dtype::BF16 => {
            let half: Vec<bf16> = chunks(raw).map(bf16::from_le_bytes).collect();
            half.to_f32_vec()
        }
        other => {
            return Err(format!(
                "is of type {other:?}; only F16, BF16, F32 and F64 can be read"
            ));
        }
    };
    match values.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(format!(
            "holds {} at element {at}; the file is damaged or its training failed",
            values[at]
        )),
        None => Ok(values),
    }
}
