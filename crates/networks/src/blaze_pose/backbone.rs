//! From a picture to features of five resolutions.

use super::blocks::{Inverted, Separable, Sizes, convolution, depthwise, relu6};
use crate::nn::layers::Convolution;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, backend::Backend};

/// Channels in, within and out, side of the kernel and stride of each block.
const BLOCKS: [[usize; 5]; 14] = [
    [16, 64, 24, 3, 2],
    [24, 144, 24, 3, 1],
    [24, 144, 32, 5, 2],
    [32, 192, 32, 5, 1],
    [32, 192, 64, 3, 2],
    [64, 384, 64, 3, 1],
    [64, 384, 64, 3, 1],
    [64, 384, 88, 5, 1],
    [88, 528, 88, 5, 1],
    [88, 528, 88, 5, 1],
    [88, 528, 144, 5, 2],
    [144, 864, 144, 5, 1],
    [144, 864, 144, 5, 1],
    [144, 864, 144, 5, 1],
];
/// Channels of the features, from the finest to the coarsest.
pub(super) const FEATURES: [usize; 5] = [16, 24, 32, 88, 864];

/// EfficientNet-like: a convolution, a separable one, inverted bottlenecks.
#[derive(Module, Debug)]
pub struct Backbone<B: Backend> {
    /// To half of the resolution.
    pub stem: Conv2d<B>,
    /// To the first features.
    pub first: Separable<B>,
    /// Four of them halve the resolution.
    pub blocks: Vec<Inverted<B>>,
    /// To the last features.
    pub last: Last<B>,
}

/// The other way round than [`Separable`].
#[derive(Module, Debug)]
pub struct Last<B: Backend> {
    /// To more channels.
    pub pointwise: Conv2d<B>,
    /// Each channel by itself.
    pub depthwise: Conv2d<B>,
}

impl<B: Backend> Backbone<B> {
    pub(super) fn new(device: &B::Device) -> Self {
        let block = |[from, within, to, side, stride]: [usize; 5]| {
            let sizes = Sizes {
                from,
                within,
                to,
                side,
                stride,
            };
            Inverted::new(sizes, device)
        };
        let [first, .., last] = FEATURES;
        let [.., [_, _, before, ..]] = BLOCKS;
        Self {
            stem: convolution([3, 24], 3, 2, device),
            first: Separable::new([24, first], device),
            blocks: BLOCKS.into_iter().map(block).collect(),
            last: Last {
                pointwise: convolution([before, last], 1, 1, device),
                depthwise: depthwise(last, 3, PaddingConfig2d::Explicit(1, 1, 1, 1), 1, device),
            },
        }
    }

    /// # Shapes
    /// - `picture`: `[1, 3, side, side]`, 0..1
    /// - output: `[1, FEATURES[i], side >> (i + 1), side >> (i + 1)]` for each `i`
    pub(super) fn forward(&self, picture: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let x = relu6(self.stem.apply(picture));
        let mut x = self.first.linear(x);
        let mut features = Vec::with_capacity(FEATURES.len());
        for (block, [.., stride]) in self.blocks.iter().zip(BLOCKS) {
            if stride == 2 {
                features.push(x.clone());
            }
            x = block.forward(x);
        }
        let x = relu6(self.last.pointwise.apply(x));
        features.push(relu6(self.last.depthwise.apply(x)));
        features
    }
}
