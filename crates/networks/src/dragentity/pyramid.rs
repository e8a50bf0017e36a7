//! What the small networks over pictures, [`super::human_parser`] and [`super::plate_structure`], are made of: residual
//! blocks at strides 4, 8 and 16, joined top down.

use crate::nn::layers::{Convolution, silu};
use crate::nn::norm::norm_silu;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, backend::Backend};

/// A 3x3 convolution that keeps the size, or halves it with `stride` 2.
pub(super) fn conv3<B: Backend>(
    channels: [usize; 2],
    stride: usize,
    dilation: usize,
    device: &B::Device,
) -> Conv2d<B> {
    Conv2dConfig::new(channels, [3, 3])
        .with_stride([stride, stride])
        .with_dilation([dilation, dilation])
        .with_padding(PaddingConfig2d::Explicit(
            dilation, dilation, dilation, dilation,
        ))
        .init(device)
}

/// A 1x1 convolution.
pub(super) fn conv1<B: Backend>(channels: [usize; 2], device: &B::Device) -> Conv2d<B> {
    Conv2dConfig::new(channels, [1, 1]).init(device)
}

/// Twice the height and width, nearest neighbour.
pub(super) fn double<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let [_, _, height, width] = x.dims();
    interpolate(
        x,
        [2 * height, 2 * width],
        InterpolateOptions::new(InterpolateMode::Nearest).with_align_corners(false),
    )
}

/// 2x2 pixels into channels: `[batch, channels, height, width]` to
/// `[batch, 4 * channels, height / 2, width / 2]`.
pub(super) fn fold_pixels<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height / 2, 2, width / 2, 2])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([batch, 4 * channels, height / 2, width / 2])
}

/// Two 3x3 convolutions, each after GroupNorm and SiLU, beside the identity.
#[derive(Module, Debug)]
pub struct ConvBlock<B: Backend> {
    /// Before the first convolution.
    pub norm1: GroupNorm<B>,
    /// The first convolution.
    pub conv1: Conv2d<B>,
    /// Before the second convolution.
    pub norm2: GroupNorm<B>,
    /// The second convolution.
    pub conv2: Conv2d<B>,
}

impl<B: Backend> ConvBlock<B> {
    pub(super) fn new(channels: usize, groups: usize, dilation: usize, device: &B::Device) -> Self {
        let norm = || GroupNormConfig::new(groups, channels).init(device);
        Self {
            norm1: norm(),
            conv1: conv3([channels, channels], 1, dilation, device),
            norm2: norm(),
            conv2: conv3([channels, channels], 1, 1, device),
        }
    }

    /// `[batch, channels, height, width]` to the same.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let y = self.conv1.apply(norm_silu(&self.norm1, x.clone()));
        let y = self.conv2.apply(norm_silu(&self.norm2, y));
        x + y
    }
}

/// The layers of the strides 4, 8 and 16, which each network has under its own names.
pub(super) struct Pyramid<'a, B: Backend> {
    /// Halving convolutions into each stride.
    pub(super) downsamplers: &'a [Conv2d<B>],
    /// Residual blocks, those of each stride after those of the stride before.
    pub(super) blocks: &'a [ConvBlock<B>],
    /// How many of them each stride has.
    pub(super) layers_per_block: [usize; 3],
    /// Normalizes each stride before its lateral convolution.
    pub(super) lateral_norms: &'a [GroupNorm<B>],
    /// 1x1 convolutions from each stride into the top-down path.
    pub(super) laterals: &'a [Conv2d<B>],
}

impl<B: Backend> Pyramid<'_, B> {
    /// From the stem's `[batch, channels, height, width]` at stride 2 to strides 4, 8 and 16, each joined with those above it.
    pub(super) fn forward(&self, fine: Tensor<B, 4>) -> [Tensor<B, 4>; 3] {
        let mut x = fine;
        let mut blocks = self.blocks.iter();
        let mut levels = Vec::with_capacity(self.downsamplers.len());
        for (i, down) in self.downsamplers.iter().enumerate() {
            x = down.apply(silu(x));
            for block in blocks.by_ref().take(self.layers_per_block[i]) {
                x = block.forward(x);
            }
            let lateral = norm_silu(&self.lateral_norms[i], x.clone());
            levels.push(self.laterals[i].apply(lateral));
        }
        let [quarter, eighth, sixteenth]: [Tensor<B, 4>; 3] =
            levels.try_into().expect("three strides");
        let eighth = eighth + double(sixteenth.clone());
        let quarter = quarter + double(eighth.clone());
        [quarter, eighth, sixteenth]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    #[test]
    fn folding_keeps_every_pixel() {
        let x = Tensor::<Flex, 4>::from_floats(
            [[[[0.0f32, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]]],
            &Default::default(),
        );
        let folded = fold_pixels(x).into_data().to_vec::<f32>().unwrap();
        assert_eq!(folded, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    }
}
