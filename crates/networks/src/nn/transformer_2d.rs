//! A transformer over the pixels of single pictures: diffusers' `Transformer2DModel` as Stable Diffusion 1.x
//! has it, with 1x1 convolutions around the blocks.

use super::attention::{BasicTransformerBlock, TokenAxes};
use super::layers::Convolution;
use super::norm::Norm;
use super::resnet::group_norm;
use burn::config::Config;
use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Tensor, backend::Backend};

/// Configuration of [`Transformer2DModel`].
#[derive(Config, Debug)]
pub struct Transformer2DModelConfig {
    /// Channels of the input and output, a multiple of the groups and of the number of heads.
    pub in_channels: usize,
    /// Number of heads.
    pub num_attention_heads: usize,
    /// Width of the context.
    pub cross_attention_dim: usize,
    /// Blocks.
    #[config(default = 1)]
    pub num_layers: usize,
    /// Groups of the group norm.
    #[config(default = 32)]
    pub norm_num_groups: usize,
}

/// Pixels attend to each other and to a context.
#[derive(Module, Debug)]
pub struct Transformer2DModel<B: Backend> {
    /// Before `proj_in`.
    pub norm: GroupNorm<B>,
    /// 1x1.
    pub proj_in: Conv2d<B>,
    /// One after another.
    pub transformer_blocks: Vec<BasicTransformerBlock<B>>,
    /// 1x1.
    pub proj_out: Conv2d<B>,
}

impl Transformer2DModelConfig {
    /// Initialises the layers as PyTorch does.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Transformer2DModel<B> {
        let dim = self.in_channels;
        let conv1x1 = || Conv2dConfig::new([dim, dim], [1, 1]).init(device);
        let block = |_| {
            BasicTransformerBlock::new(
                dim,
                self.num_attention_heads,
                self.cross_attention_dim,
                device,
            )
        };
        Transformer2DModel {
            norm: group_norm(self.norm_num_groups, dim, 1e-6, device),
            proj_in: conv1x1(),
            transformer_blocks: (0..self.num_layers).map(block).collect(),
            proj_out: conv1x1(),
        }
    }
}

impl<B: Backend> Transformer2DModel<B> {
    /// # Shapes
    /// - `x` and output: `[n, in_channels, height, width]`
    /// - `context`: `[n, tokens, cross_attention_dim]`
    pub fn forward(&self, x: Tensor<B, 4>, context: &Tensor<B, 3>) -> Tensor<B, 4> {
        let [n, channels, height, width] = x.dims();
        let axes = TokenAxes {
            batch: n,
            frames: 1,
            pixels: height * width,
        };
        let image = self.proj_in.apply(self.norm.apply(x.clone()));
        let tokens = image
            .reshape([n, channels, axes.pixels])
            .swap_dims(1, 2)
            .reshape([n * axes.pixels, channels]);
        let blocks = self.transformer_blocks.iter();
        let tokens = blocks.fold(tokens, |x, block| block.forward(x, context.clone(), axes));
        let image = tokens
            .reshape([n, axes.pixels, channels])
            .swap_dims(1, 2)
            .reshape([n, channels, height, width]);
        self.proj_out.apply(image) + x
    }
}
