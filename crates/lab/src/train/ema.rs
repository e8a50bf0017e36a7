//! Exponential moving average of a network's parameters.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, backend::Backend};
use std::collections::HashMap;

/// Averages of all float parameters, kept flat by parameter id.
pub struct Ema<B: Backend> {
    decay: f64,
    updates: u64,
    values: HashMap<ParamId, Tensor<B, 1>>,
}

impl<B: Backend> Ema<B> {
    /// Starts from `module` as it is; `updates` is how often the average was updated before
    /// (0 for a fresh one): young averages follow faster, so that they forget the initial noise.
    pub fn new<M: Module<B>>(module: &M, decay: f64, updates: u64) -> Self {
        let mut collect = Collect {
            values: HashMap::new(),
        };
        module.visit(&mut collect);
        Self {
            decay,
            updates,
            values: collect.values,
        }
    }

    /// Moves the average towards `module`.
    pub fn update<M: Module<B>>(&mut self, module: &M) {
        self.updates += 1;
        let young = (1.0 + self.updates as f64) / (10.0 + self.updates as f64);
        let decay = self.decay.min(young);
        let mut step = Step {
            values: &mut self.values,
            decay,
        };
        module.visit(&mut step);
    }

    /// `module` with the averaged parameters in place of its own.
    pub fn apply<M: Module<B>>(&self, module: M) -> M {
        module.map(&mut Replace {
            values: &self.values,
        })
    }
}

struct Collect<B: Backend> {
    values: HashMap<ParamId, Tensor<B, 1>>,
}

impl<B: Backend> ModuleVisitor<B> for Collect<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.values.insert(param.id, flat(param));
    }
}

struct Step<'a, B: Backend> {
    values: &'a mut HashMap<ParamId, Tensor<B, 1>>,
    decay: f64,
}

impl<B: Backend> ModuleVisitor<B> for Step<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let new = flat(param);
        let value = match self.values.remove(&param.id) {
            Some(old) => old * self.decay + new * (1.0 - self.decay),
            None => new,
        };
        self.values.insert(param.id, value);
    }
}

struct Replace<'a, B: Backend> {
    values: &'a HashMap<ParamId, Tensor<B, 1>>,
}

impl<B: Backend> ModuleMapper<B> for Replace<'_, B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match self.values.get(&id) {
            Some(value) => value.clone().reshape(tensor.shape()),
            None => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

fn flat<B: Backend, const D: usize>(param: &Param<Tensor<B, D>>) -> Tensor<B, 1> {
    let tensor = param.val();
    let count = tensor.shape().num_elements();
    tensor.reshape([count])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;
    use burn::nn::{Linear, LinearConfig};

    #[test]
    fn follows_the_parameters_and_is_applied_to_every_one() {
        let device = Default::default();
        let a: Linear<Flex> = LinearConfig::new(3, 2).init(&device);
        let mut ema = Ema::new(&a, 0.5, 1000);
        let mut b = a.clone();
        b.weight = b.weight.map(|w| w + 1.0);
        b.bias = b.bias.map(|x| x.map(|w| w + 2.0));
        ema.update(&b);
        let averaged = ema.apply(b.clone());
        let moved = (averaged.weight.val() - a.weight.val())
            .mean()
            .into_scalar();
        assert!((moved - 0.5).abs() < 1e-5, "{moved}");
        let bias = averaged.bias.unwrap().val() - a.bias.unwrap().val();
        assert!((bias.mean().into_scalar() - 1.0).abs() < 1e-5);
    }
}
