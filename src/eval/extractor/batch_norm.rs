//! Batch norm of a network that is not trained any more.

use burn::module::{Module, Param};
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
}

/// Epsilon of both published networks.
const EPSILON: f32 = 1e-3;

impl<B: Backend> FrozenBatchNorm<B> {
    /// One that changes next to nothing.
    pub fn new(channels: usize, device: &B::Device) -> Self {
        let ones = || Param::from_tensor(Tensor::ones([channels], device));
        let zeros = || Param::from_tensor(Tensor::zeros([channels], device));
        Self {
            weight: ones(),
            bias: zeros(),
            running_mean: zeros(),
            running_var: ones(),
        }
    }

    /// # Shapes
    /// - `x` and output: `[n, channels, ...]`
    pub fn forward<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        let mut shape = [1; D];
        shape[1] = x.dims()[1];
        let scale = self.weight.val() / (self.running_var.val() + EPSILON).sqrt();
        let shift = self.bias.val() - self.running_mean.val() * scale.clone();
        x * scale.reshape(shape) + shift.reshape(shape)
    }
}
