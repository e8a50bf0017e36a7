//! Tensors into a network that holds them in 8 bits.

use super::eight_bits::{Quantised, transposed};
use super::file::Inner;
use crate::nn::packed;
use burn::module::{ModuleMapper, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};
use dragentity_core::error::Error;
use std::collections::BTreeSet;

/// Packs those parameters of a module that have one of the names.
pub(super) struct Packer<'a> {
    weights: &'a Inner,
    /// Those that it has not met.
    names: BTreeSet<String>,
    /// What the network computes in.
    dtype: FloatDType,
    path: Vec<String>,
    /// What kinds of layers and lists those of `path` lie in.
    layers: Vec<String>,
    /// What went wrong first; nothing is done after it.
    pub(super) error: Option<Error>,
}

impl<'a> Packer<'a> {
    pub(super) fn new(weights: &'a Inner, names: BTreeSet<String>, dtype: FloatDType) -> Self {
        Self {
            weights,
            names,
            dtype,
            path: Vec::new(),
            layers: Vec::new(),
            error: None,
        }
    }
}

impl<B: Backend> ModuleMapper<B> for Packer<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.layers.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.layers.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let name = self.path.join(".");
        if self.error.is_some() || !self.names.remove(&name) {
            return param;
        }
        let Quantised { numbers, scales } = match self.weights.quantised(&name) {
            Ok(quantised) => quantised,
            Err(error) => {
                self.error = Some(error);
                return param;
            }
        };
        let row = numbers.len() / scales.len().max(1);
        // Burn keeps the matrices of linear layers the other way round.
        let is_linear = self
            .layers
            .last()
            .is_some_and(|layer| layer == "Struct:Linear");
        let (numbers, run) = match is_linear {
            true => (transposed(&numbers, row), 1),
            false => (numbers, row),
        };
        packed::parameter(
            param.id,
            &numbers,
            scales,
            run,
            param.lazy_shape().dims(),
            self.dtype,
            &param.lazy_device(),
        )
    }
}
