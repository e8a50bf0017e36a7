//! The tensors of a network as its file names them, found without allocating any.

use super::WeightType;
use super::eight_bits::in_8_bits;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, FloatDType, Tensor};
use std::collections::BTreeMap;
use std::ops::Add;

/// Name and shape, in PyTorch's terms, of every parameter of `module`.
///
/// Burn draws parameters only when they are first used; this looks at their shapes alone, so that
/// even a network of some gigabytes can be listed.
pub fn tensor_list<B: Backend, M: Module<B>>(module: &M) -> BTreeMap<String, Vec<usize>> {
    let listed = parameters(module).into_iter();
    listed.map(|(name, found)| (name, found.shape)).collect()
}

/// How many numbers the parameters of a network are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// All of them.
    pub all: usize,
    /// Those that [`WeightType::Int8`] holds in 8 bits.
    pub packable: usize,
}

impl Numbers {
    /// Counts those of `module`, without drawing any.
    pub fn of<B: Backend, M: Module<B>>(module: &M) -> Self {
        let mut numbers = Self::default();
        for (name, parameter) in parameters(module) {
            let count: usize = parameter.shape.iter().product();
            numbers.all += count;
            if parameter.is_packable(&name) {
                numbers.packable += count;
            }
        }
        numbers
    }

    /// Bytes that they take on a device, held as `held` by a network that computes in `computes`. (The factors of rows of 8 bits
    /// are a thousandth of it, and left out.)
    pub fn bytes(self, held: WeightType, computes: FloatDType) -> usize {
        let packed = match held {
            WeightType::Int8 => self.packable,
            WeightType::Float(_) => 0,
        };
        packed + (self.all - packed) * DType::from(computes).size()
    }
}

impl Add for Numbers {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            all: self.all + other.all,
            packable: self.packable + other.packable,
        }
    }
}

/// A parameter as its file has it.
pub(super) struct Listed {
    pub(super) shape: Vec<usize>,
    /// What kind of layer it belongs to, as Burn calls it.
    layer: String,
}

impl Listed {
    /// Whether [`WeightType::Int8`] holds it in 8 bits: it is large, and its layer asks for it as one that may be.
    pub(super) fn is_packable(&self, name: &str) -> bool {
        let unpacks = ["Struct:Linear", "Struct:Conv2d", "Struct:TemporalConv"];
        unpacks.contains(&&*self.layer) && in_8_bits(name, &self.shape)
    }
}

/// Every parameter of `module`, by its name.
pub(super) fn parameters<B: Backend, M: Module<B>>(module: &M) -> BTreeMap<String, Listed> {
    let mut lister = Lister::default();
    module.visit(&mut lister);
    lister.found
}

#[derive(Default)]
struct Lister {
    path: Vec<String>,
    containers: Vec<String>,
    found: BTreeMap<String, Listed>,
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
        let layer = container.cloned().unwrap_or_default();
        if let Some(last) = path.last_mut() {
            match (layer.as_str(), last.as_str()) {
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
        self.found.insert(path.join("."), Listed { shape, layer });
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
