//! Self-attention over the pixels of a picture, as the autoencoders have it (`diffusers.models.attention`
//! with one head, biases, a group norm before and a shortcut around).

use super::attention::scaled_dot_product;
use super::layers::Affine;
use super::norm::Norm;
use super::resnet::group_norm;
use burn::config::Config;
use burn::module::Module;
use burn::nn::{GroupNorm, Linear, LinearConfig};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// Configuration of an [`AttentionBlock`].
#[derive(Config, Debug)]
pub struct AttentionBlockConfig {
    /// Channels of the picture, a multiple of 32.
    pub channels: usize,
    /// Epsilon of the group norm.
    #[config(default = 1e-6)]
    pub eps: f64,
    /// Groups of the group norm; 32 in every published model.
    #[config(default = 32)]
    pub norm_num_groups: usize,
}

/// Every pixel attends to every pixel of the same picture.
#[derive(Module, Debug)]
pub struct AttentionBlock<B: Backend> {
    /// Before the projections.
    pub group_norm: GroupNorm<B>,
    /// Queries.
    pub to_q: Linear<B>,
    /// Keys.
    pub to_k: Linear<B>,
    /// Values.
    pub to_v: Linear<B>,
    /// One layer; a list because diffusers keeps a dropout beside it.
    pub to_out: Vec<Linear<B>>,
}

impl AttentionBlockConfig {
    /// Creates the block.
    pub fn init<B: Backend>(&self, device: &B::Device) -> AttentionBlock<B> {
        let linear = || LinearConfig::new(self.channels, self.channels).init(device);
        AttentionBlock {
            group_norm: group_norm(self.norm_num_groups, self.channels, self.eps, device),
            to_q: linear(),
            to_k: linear(),
            to_v: linear(),
            to_out: vec![linear()],
        }
    }
}

impl<B: Backend> AttentionBlock<B> {
    /// # Shapes
    /// - input and output: `[n, channels, height, width]`
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [n, channels, height, width] = x.dims();
        let tokens = self
            .group_norm
            .apply(x.clone())
            .reshape([n, channels, height * width])
            .swap_dims(1, 2);
        // One head: an axis of length 1.
        let [q, k, v] = [&self.to_q, &self.to_k, &self.to_v]
            .map(|to| to.apply(tokens.clone()).unsqueeze_dim::<4>(2));
        let mut h: Tensor<B, 3> = scaled_dot_product(q, k, v).squeeze_dim(2);
        for out in &self.to_out {
            h = out.apply(h);
        }
        x + h.swap_dims(1, 2).reshape([n, channels, height, width])
    }
}
