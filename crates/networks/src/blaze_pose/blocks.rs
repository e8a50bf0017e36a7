//! What BlazePose is built of. In the graph a batch norm stood after every convolution; they are folded into weights and biases.

use crate::nn::layers::Convolution;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::{interpolate, max_pool2d};
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, backend::Backend};

/// The activation of the whole network.
pub(super) fn relu6<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    relu(x).clamp_max(6.0)
}

/// Twice the height and width (`RESIZE_BILINEAR`, centres of pixels upon centres).
pub(super) fn doubled<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let [_, _, height, width] = x.dims();
    let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
    interpolate(x, [2 * height, 2 * width], options)
}

/// A convolution that keeps the resolution, or halves it with as much room on both sides.
pub(super) fn convolution<B: Backend>(
    channels: [usize; 2],
    side: usize,
    stride: usize,
    device: &B::Device,
) -> Conv2d<B> {
    let pad = side / 2;
    Conv2dConfig::new(channels, [side; 2])
        .with_stride([stride; 2])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .init(device)
}

/// Each channel by itself.
pub(super) fn depthwise<B: Backend>(
    channels: usize,
    side: usize,
    padding: PaddingConfig2d,
    stride: usize,
    device: &B::Device,
) -> Conv2d<B> {
    Conv2dConfig::new([channels; 2], [side; 2])
        .with_stride([stride; 2])
        .with_padding(padding)
        .with_groups(channels)
        .init(device)
}

fn around(side: usize) -> PaddingConfig2d {
    let pad = side / 2;
    PaddingConfig2d::Explicit(pad, pad, pad, pad)
}

/// A depthwise convolution (`DEPTHWISE_CONV_2D`, 3x3) and one of pixels (`CONV_2D`, 1x1).
#[derive(Module, Debug)]
pub struct Separable<B: Backend> {
    /// Each channel by itself.
    pub depthwise: Conv2d<B>,
    /// Between channels.
    pub pointwise: Conv2d<B>,
}

impl<B: Backend> Separable<B> {
    pub(super) fn new(channels: [usize; 2], device: &B::Device) -> Self {
        Self {
            depthwise: depthwise(channels[0], 3, around(3), 1, device),
            pointwise: convolution(channels, 1, 1, device),
        }
    }

    /// One that halves the resolution. TensorFlow's `SAME`: what lacks is added below and to the right.
    fn halving(channels: usize, device: &B::Device) -> Self {
        let below = PaddingConfig2d::Explicit(0, 0, 1, 1);
        Self {
            depthwise: depthwise(channels, 3, below, 2, device),
            pointwise: convolution([channels; 2], 1, 1, device),
        }
    }

    /// Without an activation at the end.
    ///
    /// # Shapes
    /// - `x`: `[1, channels, height, width]`
    pub(super) fn linear(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let inner = relu6(self.depthwise.apply(x));
        self.pointwise.apply(inner)
    }

    /// With an activation at the end.
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        relu6(self.linear(x))
    }

    /// Beside the identity (`ADD` with ReLU6).
    pub(super) fn residual(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        relu6(x.clone() + self.linear(x))
    }
}

/// A [`Separable`] beside the identity, which halves the resolution of both or keeps it.
#[derive(Module, Debug)]
pub struct Residual<B: Backend> {
    /// Each channel by itself.
    pub depthwise: Conv2d<B>,
    /// Between channels.
    pub pointwise: Conv2d<B>,
    halves: bool,
}

impl<B: Backend> Residual<B> {
    pub(super) fn new(channels: usize, halves: bool, device: &B::Device) -> Self {
        let Separable {
            depthwise,
            pointwise,
        } = match halves {
            true => Separable::halving(channels, device),
            false => Separable::new([channels; 2], device),
        };
        Self {
            depthwise,
            pointwise,
            halves,
        }
    }

    /// # Shapes
    /// - `x`: `[1, channels, height, width]`
    /// - output: the same, or half as high and wide
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let inner = relu6(self.depthwise.apply(x.clone()));
        // `MAX_POOL_2D`, 2x2.
        let beside = match self.halves {
            true => max_pool2d(x, [2; 2], [2; 2], [0; 2], [1; 2], false),
            false => x,
        };
        relu6(beside + self.pointwise.apply(inner))
    }
}

/// An inverted bottleneck (MobileNetV2): more channels, a depthwise convolution, fewer channels.
#[derive(Module, Debug)]
pub struct Inverted<B: Backend> {
    /// To the inner channels.
    pub expand: Conv2d<B>,
    /// Each channel by itself.
    pub depthwise: Conv2d<B>,
    /// From the inner channels, without an activation.
    pub project: Conv2d<B>,
    residual: bool,
}

/// Sizes of an [`Inverted`].
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Channels it is given.
    pub(super) from: usize,
    /// Channels within.
    pub(super) within: usize,
    /// Channels it gives.
    pub(super) to: usize,
    /// Side of the depthwise kernel.
    pub(super) side: usize,
    /// Of the depthwise convolution.
    pub(super) stride: usize,
}

impl<B: Backend> Inverted<B> {
    pub(super) fn new(sizes: Sizes, device: &B::Device) -> Self {
        let Sizes {
            from,
            within,
            to,
            side,
            stride,
        } = sizes;
        Self {
            expand: convolution([from, within], 1, 1, device),
            depthwise: depthwise(within, side, around(side), stride, device),
            project: convolution([within, to], 1, 1, device),
            residual: from == to && stride == 1,
        }
    }

    /// # Shapes
    /// - `x`: `[1, from, height, width]`
    /// - output: `[1, to, height / stride, width / stride]`
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let inner = relu6(self.expand.apply(x.clone()));
        let inner = relu6(self.depthwise.apply(inner));
        let y = self.project.apply(inner);
        match self.residual {
            true => y + x,
            false => y,
        }
    }
}
