//! The gradients of a whole network: their norm, their limit, their type.

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{DType, ElementConversion, FloatDType, Tensor};

/// The Euclidean norm of all gradients of `network` together; not finite if any of them is not.
pub fn norm<B: AutodiffBackend, M: AutodiffModule<B>>(
    network: &M,
    gradients: &GradientsParams,
) -> f64 {
    let mut squares = Squares::<B> {
        gradients,
        sums: Vec::new(),
    };
    network.visit(&mut squares);
    // One number is read from the device, not one for each parameter.
    match squares.sums.is_empty() {
        true => 0.0,
        false => {
            let sum: f64 = Tensor::cat(squares.sums, 0).sum().into_scalar().elem();
            sum.sqrt()
        }
    }
}

struct Squares<'a, B: AutodiffBackend> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<B::InnerBackend, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Squares<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            self.sums.push(gradient.square().sum());
        }
    }
}

/// Puts all parameters of `network` into one graph of operations, as the loss will in the end. Else each operation on the
/// next parameter merges its graph and the one so far by moving either into the other, which for some hundred
/// parameters is a sixth of a step.
pub fn join_graphs<B: AutodiffBackend, M: Module<B>>(network: &M) {
    let mut first = FirstElements::<B> { values: Vec::new() };
    network.visit(&mut first);
    if !first.values.is_empty() {
        // What becomes of it does not matter: the graphs stay joined.
        drop(Tensor::cat(first.values, 0));
    }
}

struct FirstElements<B: AutodiffBackend> {
    values: Vec<Tensor<B, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for FirstElements<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let value = param.val();
        if value.is_require_grad() {
            let first = value.reshape([-1]).narrow(0, 0, 1);
            self.values.push(first.cast(FloatDType::F32));
        }
    }
}

/// The gradients times `factor`, in single precision.
pub fn scaled<B: AutodiffBackend, M: AutodiffModule<B>>(
    network: &M,
    gradients: GradientsParams,
    factor: f64,
) -> GradientsParams {
    let mut scale = Scale { gradients, factor };
    Module::<B>::visit(network, &mut scale);
    scale.gradients
}

struct Scale {
    gradients: GradientsParams,
    factor: f64,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(mut gradient) = self.gradients.remove::<B::InnerBackend, D>(param.id) {
            if gradient.dtype() != DType::F32 {
                gradient = gradient.cast(FloatDType::F32);
            }
            if self.factor != 1.0 {
                gradient = gradient * self.factor;
            }
            self.gradients.register(param.id, gradient);
        }
    }
}

/// The name of the first parameter of `network` whose gradient is not finite.
pub fn first_not_finite<B: AutodiffBackend, M: AutodiffModule<B>>(
    network: &M,
    gradients: &GradientsParams,
) -> Option<String> {
    search::<B, M>(network, Some(gradients))
}

/// The name of the first parameter of `network` that is not finite.
pub fn parameter_not_finite<B: AutodiffBackend, M: AutodiffModule<B>>(
    network: &M,
) -> Option<String> {
    search::<B, M>(network, None)
}

fn search<B: AutodiffBackend, M: AutodiffModule<B>>(
    network: &M,
    gradients: Option<&GradientsParams>,
) -> Option<String> {
    let mut search = Search {
        gradients,
        path: Vec::new(),
        found: None,
    };
    Module::<B>::visit(network, &mut search);
    search.found
}

struct Search<'a> {
    /// `None`: the parameters themselves are looked at.
    gradients: Option<&'a GradientsParams>,
    path: Vec<String>,
    found: Option<String>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Search<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if self.found.is_some() {
            return;
        }
        let values = match self.gradients {
            Some(gradients) => gradients.get::<B::InnerBackend, D>(param.id),
            None => Some(param.val().inner()),
        };
        if let Some(values) = values {
            let finite: bool = values.is_finite().all().into_scalar().elem();
            if !finite {
                self.found = Some(self.path.join("."));
            }
        }
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
}

/// A copy of `module` that computes in `dtype`: the forward and backward pass of mixed precision. Its parameters have
/// the same identities, so that their gradients are those of the parameters copied; norms stay as they are, as in
/// weights that are loaded in half precision ([`dragentity_networks::nn::precision`]).
pub fn lowered<B: AutodiffBackend, M: Module<B>>(module: M, dtype: FloatDType) -> M {
    module.map(&mut Lower { dtype, norms: 0 })
}

struct Lower {
    dtype: FloatDType,
    /// How many norms this is inside of.
    norms: usize,
}

fn is_norm(container_type: &str) -> bool {
    matches!(container_type, "Struct:GroupNorm" | "Struct:LayerNorm")
}

impl<B: AutodiffBackend> ModuleMapper<B> for Lower {
    fn enter_module(&mut self, _name: &str, container_type: &str) {
        self.norms += usize::from(is_norm(container_type));
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.norms -= usize::from(is_norm(container_type));
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        if self.norms > 0 {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let trained = tensor.is_require_grad();
        // A leaf of its own: what is cast within the computation could not be asked for gradients.
        let mut low = Tensor::from_inner(tensor.inner().cast(self.dtype));
        if trained {
            low = low.require_grad();
        }
        Param::from_mapped_value(id, low, mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::{Autodiff, Flex};
    use burn::module::Param;
    use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
    use burn::tensor::backend::Backend;

    type A = Autodiff<Flex>;

    #[derive(Module, Debug)]
    struct Two<B: Backend> {
        layers: Vec<Linear<B>>,
        norm: LayerNorm<B>,
    }

    impl Two<A> {
        fn new() -> Self {
            let device = Default::default();
            let layer = || LinearConfig::new(3, 3).init(&device);
            Self {
                layers: vec![layer(), layer()],
                norm: LayerNormConfig::new(3).init(&device),
            }
        }

        fn gradients(&self, input: [f32; 3]) -> GradientsParams {
            let x = Tensor::<A, 1>::from_floats(input, &Default::default()).unsqueeze::<2>();
            let dtype = self.layers[0].weight.dtype();
            let x = x.cast(FloatDType::from(dtype));
            let y = self.layers.iter().fold(x, |x, layer| layer.forward(x));
            let y = self.norm.forward(y.cast(FloatDType::F32));
            let wanted = Tensor::<A, 1>::from_floats([1.0, -2.0, 0.5], &Default::default());
            let loss = (y - wanted.unsqueeze::<2>()).square().sum();
            GradientsParams::from_grads(loss.backward(), self)
        }
    }

    fn flat(network: &Two<A>, gradients: &GradientsParams) -> Vec<f32> {
        let weight: Tensor<Flex, 2> = gradients.get(network.layers[1].weight.id).unwrap();
        weight.into_data().convert::<f32>().to_vec().unwrap()
    }

    #[test]
    fn the_norm_is_that_of_all_gradients_and_scales_with_them() {
        let network = Two::new();
        let mut gradients = GradientsParams::new();
        let device = Default::default();
        let ones = Tensor::<Flex, 2>::ones([3, 3], &device);
        gradients.register(network.layers[0].weight.id, ones.clone() * 2.0);
        gradients.register(network.layers[1].weight.id, ones);
        let found = norm::<A, _>(&network, &gradients);
        assert!((found - 45f64.sqrt()).abs() < 1e-5, "{found}");
        let gradients = scaled::<A, _>(&network, gradients, 0.5);
        let found = norm::<A, _>(&network, &gradients);
        assert!((found - 45f64.sqrt() / 2.0).abs() < 1e-5, "{found}");
        assert_eq!(norm::<A, _>(&network, &GradientsParams::new()), 0.0);
    }

    #[test]
    fn a_gradient_that_is_no_number_is_named() {
        let mut network = Two::new();
        let good = network.gradients([1.0, 2.0, -1.0]);
        assert_eq!(first_not_finite::<A, _>(&network, &good), None);
        let device = Default::default();
        network.norm.gamma = Param::from_tensor(Tensor::full([3], f32::NAN, &device));
        let bad = network.gradients([1.0, 2.0, -1.0]);
        assert!(!norm::<A, _>(&network, &bad).is_finite());
        let name = first_not_finite::<A, _>(&network, &bad).unwrap();
        assert_eq!(name, "layers.0.weight");
        let name = parameter_not_finite::<A, _>(&network).unwrap();
        assert_eq!(name, "norm.gamma");
        assert_eq!(parameter_not_finite::<A, _>(&Two::new()), None);
    }

    #[test]
    fn gradients_of_a_copy_in_half_precision_are_nearly_those_of_the_original() {
        let device = Default::default();
        let mut network = Two::new();
        let weight = |rows| Param::from_tensor(Tensor::from_floats(rows, &device));
        network.layers[0].weight = weight([[0.9, -0.4, 0.3], [0.2, 0.7, -0.6], [-0.5, 0.1, 0.8]]);
        network.layers[1].weight = weight([[0.6, 0.3, -0.7], [-0.2, 0.9, 0.4], [0.5, -0.8, 0.1]]);
        for layer in &mut network.layers {
            layer.bias = None;
        }
        let low = lowered(network.clone(), FloatDType::F16);
        assert_eq!(low.layers[0].weight.dtype(), DType::F16);
        assert_eq!(low.norm.gamma.dtype(), DType::F32);
        assert_eq!(network.layers[0].weight.dtype(), DType::F32);
        let exact = network.gradients([1.0, 2.0, -1.0]);
        let rough = scaled::<A, _>(&network, low.gradients([1.0, 2.0, -1.0]), 1.0);
        let (exact, rough) = (flat(&network, &exact), flat(&network, &rough));
        let largest = exact.iter().fold(0f32, |m, v| m.max(v.abs()));
        for (a, b) in exact.iter().zip(&rough) {
            // f16 has 11 bits; the norm's derivative subtracts numbers of like size.
            assert!((a - b).abs() < 0.05 * largest, "{a} and {b}");
        }
        assert!(exact != rough, "it was computed in half precision");
    }
}
