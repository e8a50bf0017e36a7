//! The tensors of a network as its file names them, found without allocating any.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use std::collections::BTreeMap;

/// Name and shape, in PyTorch's terms, of every parameter of `module`.
///
/// Burn draws parameters only when they are first used; this looks at their shapes alone, so that
/// even a network of some gigabytes can be listed.
pub fn tensor_list<B: Backend, M: Module<B>>(module: &M) -> BTreeMap<String, Vec<usize>> {
    let mut lister = Lister::default();
    module.visit(&mut lister);
    lister.found
}

/// How many numbers the parameters of `module` are, likewise without drawing any.
pub fn number_count<B: Backend, M: Module<B>>(module: &M) -> usize {
    let shapes = tensor_list(module).into_values();
    shapes.map(|shape| shape.iter().product::<usize>()).sum()
}

#[derive(Default)]
struct Lister {
    path: Vec<String>,
    containers: Vec<String>,
    found: BTreeMap<String, Vec<usize>>,
}

impl Lister {
    fn add(&mut self, mut shape: Vec<usize>) {
        let mut path = self.path.clone();
        // The same two differences that burn-store's `PyTorchToBurnAdapter` bridges.
        let container = self
            .containers
            .iter()
            .rev()
            .find(|c| c.starts_with("Struct:") || c.starts_with("Enum:"));
        if let (Some(container), Some(last)) = (container, path.last_mut()) {
            match (container.as_str(), last.as_str()) {
                ("Struct:Linear", "weight") => shape.reverse(),
                ("Struct:GroupNorm" | "Struct:LayerNorm" | "Struct:BatchNorm", "gamma") => {
                    *last = "weight".to_owned();
                }
                ("Struct:GroupNorm" | "Struct:LayerNorm" | "Struct:BatchNorm", "beta") => {
                    *last = "bias".to_owned();
                }
                _ => {}
            }
        }
        self.found.insert(path.join("."), shape);
    }
}

impl<B: Backend> ModuleVisitor<B> for Lister {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.add(param.lazy_shape().to_vec());
    }
}
