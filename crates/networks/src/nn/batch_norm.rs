//! Batch norm of a network that is not trained any more.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Tensor, backend::Backend};

/// Batch norm by the statistics in the file (`torchvision.ops.FrozenBatchNorm2d`, for pictures and videos alike).
#[derive(Module, Debug)]
pub struct FrozenBatchNorm<B: Backend> {
    /// `[channels]`
    pub weight: Param<Tensor<B, 1>>,
    /// `[channels]`
    pub bias: Param<Tensor<B, 1>>,
    /// `[channels]`
    pub running_mean: Param<Tensor<B, 1>>,
    /// `[channels]`
    pub running_var: Param<Tensor<B, 1>>,
    epsilon: f64,
}

impl<B: Backend> FrozenBatchNorm<B> {
    /// One that changes next to nothing.
    pub fn new(channels: usize, epsilon: f64, device: &B::Device) -> Self {
        let ones = || Initializer::Ones.init([channels], device);
        let zeros = || Initializer::Zeros.init([channels], device);
        Self {
            weight: ones(),
            bias: zeros(),
            running_mean: zeros(),
            running_var: ones(),
            epsilon,
        }
    }

    /// What every channel is multiplied with, and what is then added. `[channels]` each
    pub fn scale_and_shift(&self) -> (Tensor<B, 1>, Tensor<B, 1>) {
        let scale = self.weight.val() / (self.running_var.val() + self.epsilon).sqrt();
        let shift = self.bias.val() - self.running_mean.val() * scale.clone();
        (scale, shift)
    }

    /// # Shapes
    /// - `x` and output: `[n, channels, ...]`
    pub fn forward<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        let mut shape = [1; D];
        shape[1] = x.dims()[1];
        let (scale, shift) = self.scale_and_shift();
        x * scale.reshape(shape) + shift.reshape(shape)
    }
}
