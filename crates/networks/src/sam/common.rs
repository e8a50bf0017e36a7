//! What SAM's networks share.

use crate::nn::layers::{Affine, Convolution, gelu};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::ops::PadMode;
use burn::tensor::{Tensor, backend::Backend};

/// Bounds of sizes that are not taken for garbled.
pub(super) const MOST: usize = 1 << 13;
/// Likewise, of blocks and of whatever else is built once for each.
pub(super) const MOST_LAYERS: usize = 64;
/// Likewise, of patches along a side of the picture.
pub(super) const MOST_PATCHES: usize = 256;

/// Of the norms over a picture's channels, and of the image encoder's.
pub(super) const EPSILON: f64 = 1e-6;

/// Norm over the channels of every pixel.
#[derive(Module, Debug)]
pub struct LayerNorm2d<B: Backend> {
    /// `[channels]`
    pub weight: Param<Tensor<B, 1>>,
    /// `[channels]`
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> LayerNorm2d<B> {
    pub(super) fn new(channels: usize, device: &B::Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
        }
    }

    /// # Shapes
    /// - `x` and output: `[n, channels, height, width]`
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let channels = x.dims()[1];
        let centred = x.clone() - x.mean_dim(1);
        let variance = centred.clone().powi_scalar(2).mean_dim(1);
        let shape = [1, channels, 1, 1];
        centred / (variance + EPSILON).sqrt() * self.weight.val().reshape(shape)
            + self.bias.val().reshape(shape)
    }
}

/// Feed-forward of two layers (`MLPBlock`).
#[derive(Module, Debug)]
pub struct MlpBlock<B: Backend> {
    /// To the inner width.
    pub lin1: Linear<B>,
    /// Back.
    pub lin2: Linear<B>,
}

impl<B: Backend> MlpBlock<B> {
    pub(super) fn new(width: usize, inner: usize, device: &B::Device) -> Self {
        Self {
            lin1: LinearConfig::new(width, inner).init(device),
            lin2: LinearConfig::new(inner, width).init(device),
        }
    }

    /// With GELU, as the image encoder has it.
    pub(super) fn gelu<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        self.lin2.apply(gelu(self.lin1.apply(x)))
    }

    /// With ReLU, as the mask decoder has it.
    pub(super) fn relu<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        self.lin2.apply(relu(self.lin1.apply(x)))
    }
}

/// From an image encoder's width to the prompt's: a convolution of single pixels, a norm, a 3x3 convolution, a norm.
pub type Neck<B> = (Conv2d<B>, LayerNorm2d<B>, Conv2d<B>, LayerNorm2d<B>);

pub(super) fn new_neck<B: Backend>(from: usize, to: usize, device: &B::Device) -> Neck<B> {
    let conv = |channels, kernel: usize| {
        let around = kernel / 2;
        Conv2dConfig::new(channels, [kernel; 2])
            .with_padding(PaddingConfig2d::Explicit(around, around, around, around))
            .with_bias(false)
            .init(device)
    };
    (
        conv([from, to], 1),
        LayerNorm2d::new(to, device),
        conv([to, to], 3),
        LayerNorm2d::new(to, device),
    )
}

pub(super) fn through_neck<B: Backend>(neck: &Neck<B>, x: Tensor<B, 4>) -> Tensor<B, 4> {
    let x = neck.1.forward(neck.0.apply(x));
    neck.3.forward(neck.2.apply(x))
}

/// Cuts pixels into squares of `side`, the last of a row or column filled up with zeros.
///
/// # Shapes
/// - `x`: `[n, height, width, channels]`
/// - output: `[n * windows, side * side, channels]`
pub(super) fn windows<B: Backend>(x: Tensor<B, 4>, side: usize) -> Tensor<B, 3> {
    let [n, height, width, channels] = x.dims();
    let [rows, columns] = [height, width].map(|length| length.div_ceil(side));
    let missing = [rows * side - height, columns * side - width];
    let x = match missing {
        [0, 0] => x,
        [below, beside] => x.pad(
            [(0, 0), (0, below), (0, beside), (0, 0)],
            PadMode::Constant(0.0),
        ),
    };
    x.reshape([n, rows, side, columns, side, channels])
        .swap_dims(2, 3)
        .reshape([n * rows * columns, side * side, channels])
}

/// The other way: `size` is height and width.
pub(super) fn from_windows<B: Backend>(
    x: Tensor<B, 3>,
    side: usize,
    [height, width]: [usize; 2],
) -> Tensor<B, 4> {
    let [count, _, channels] = x.dims();
    let [rows, columns] = [height, width].map(|length| length.div_ceil(side));
    let n = count / (rows * columns);
    x.reshape([n, rows, columns, side, side, channels])
        .swap_dims(2, 3)
        .reshape([n, rows * side, columns * side, channels])
        .narrow(1, 0, height)
        .narrow(2, 0, width)
}
