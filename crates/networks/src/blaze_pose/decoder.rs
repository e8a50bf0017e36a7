//! From features of five resolutions to the person's mask and to a heat map for each place.

use super::backbone::FEATURES;
use super::blocks::{Separable, convolution, doubled};
use super::landmarks::PLACES;
use crate::nn::layers::Convolution;
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, backend::Backend};

/// Channels up to a quarter of the picture's resolution, and from there on.
const WIDTH: usize = 48;
const NARROW: usize = 8;

/// A feature pyramid, from coarse to fine.
#[derive(Module, Debug)]
pub struct Decoder<B: Backend> {
    /// Of the features, from the finest to the coarsest.
    pub laterals: Vec<Separable<B>>,
    /// To the channels of the finer half.
    pub narrow: Separable<B>,
    /// Two at half of the picture's resolution, two at its own.
    pub blocks: Vec<Separable<B>>,
    /// To the mask.
    pub mask: Conv2d<B>,
    /// To the heat maps.
    pub heatmap: Conv2d<B>,
}

impl<B: Backend> Decoder<B> {
    pub(super) fn new(device: &B::Device) -> Self {
        let lateral = |(at, channels): (usize, usize)| {
            let to = if at == 0 { NARROW } else { WIDTH };
            Separable::new([channels, to], device)
        };
        Self {
            laterals: FEATURES.into_iter().enumerate().map(lateral).collect(),
            narrow: Separable::new([WIDTH, NARROW], device),
            blocks: (0..4)
                .map(|_| Separable::new([NARROW; 2], device))
                .collect(),
            mask: convolution([NARROW, 1], 3, 1, device),
            heatmap: convolution([WIDTH, PLACES], 1, 1, device),
        }
    }

    /// Logits of the mask, `[1, 1, side, side]`, and of the heat maps, `[1, PLACES, side / 4, side / 4]`.
    ///
    /// # Shapes
    /// - `features`: as [`super::Backbone`] gives them
    pub(super) fn forward(&self, features: &[Tensor<B, 4>]) -> [Tensor<B, 4>; 2] {
        let mut aside = self.laterals.iter().zip(features);
        let finest = aside.next().map(|(lateral, x)| lateral.forward(x.clone()));
        let coarse = aside.rev().map(|(lateral, x)| lateral.forward(x.clone()));
        let quarter = coarse.reduce(|x, finer| doubled(x) + finer);
        let (Some(finest), Some(quarter)) = (finest, quarter) else {
            unreachable!("there are five features")
        };
        let heatmap = self.heatmap.apply(quarter.clone());
        let mut x = doubled(self.narrow.forward(quarter)) + finest;
        for (at, block) in self.blocks.iter().enumerate() {
            if at == 2 {
                x = doubled(x);
            }
            x = block.residual(x);
        }
        [self.mask.apply(x), heatmap]
    }
}
