//! What a person points at, as tokens and as a map (`PromptEncoder`).

use super::common::LayerNorm2d;
use crate::nn::layers::{Convolution, gelu};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Gelu, Initializer};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use std::f32::consts::TAU;

/// What is asked for. Coordinates are pixels of what the image encoder sees; whole numbers are their centres.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// Places, and whether they belong to the thing.
    pub points: Vec<([f32; 2], bool)>,
    /// Corners of a box around the thing: left, top, right, bottom.
    pub bounds: Option<[f32; 4]>,
}

/// Waves of random directions and lengths, which say where something is.
#[derive(Module, Debug)]
pub struct PositionEmbeddingRandom<B: Backend> {
    /// `[2, embed_dim / 2]`
    pub positional_encoding_gaussian_matrix: Param<Tensor<B, 2>>,
}

impl<B: Backend> PositionEmbeddingRandom<B> {
    /// Places, 0 to 1, as `[count, embed_dim]`.
    fn encode(&self, places: Vec<[f32; 2]>) -> Tensor<B, 2> {
        let matrix = self.positional_encoding_gaussian_matrix.val();
        let count = places.len();
        let places: Vec<f32> = places
            .into_iter()
            .flatten()
            .map(|v| 2.0 * v - 1.0)
            .collect();
        let places =
            Tensor::<B, 2>::from_data(TensorData::new(places, [count, 2]), &matrix.device());
        let waves = places.matmul(matrix) * TAU;
        Tensor::cat(vec![waves.clone().sin(), waves.cos()], 1)
    }
}

/// Makes a map of a mask: convolutions of 2 x 2, then of single pixels.
type MaskDownscaling<B> = (
    Conv2d<B>,
    LayerNorm2d<B>,
    Gelu,
    Conv2d<B>,
    LayerNorm2d<B>,
    Gelu,
    Conv2d<B>,
);

/// The network.
#[derive(Module, Debug)]
pub struct PromptEncoder<B: Backend> {
    /// Where something is.
    pub pe_layer: PositionEmbeddingRandom<B>,
    /// Points outside, points inside, first and second corner of a box.
    pub point_embeddings: Vec<Embedding<B>>,
    /// Stands beside points where there is no box.
    pub not_a_point_embed: Embedding<B>,
    /// Of the mask so far.
    pub mask_downscaling: MaskDownscaling<B>,
    /// Where there is none.
    pub no_mask_embed: Embedding<B>,
}

impl<B: Backend> PromptEncoder<B> {
    /// With random weights: `width` of the tokens, `mask_in_chans` inside the convolutions.
    pub fn new(width: usize, mask_in_chans: usize, device: &B::Device) -> Self {
        let embedding = || EmbeddingConfig::new(1, width).init(device);
        let halve = |channels| {
            Conv2dConfig::new(channels, [2, 2])
                .with_stride([2, 2])
                .init(device)
        };
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        Self {
            pe_layer: PositionEmbeddingRandom {
                positional_encoding_gaussian_matrix: normal.init([2, width / 2], device),
            },
            point_embeddings: (0..4).map(|_| embedding()).collect(),
            not_a_point_embed: embedding(),
            mask_downscaling: (
                halve([1, mask_in_chans / 4]),
                LayerNorm2d::new(mask_in_chans / 4, device),
                Gelu::new(),
                halve([mask_in_chans / 4, mask_in_chans]),
                LayerNorm2d::new(mask_in_chans, device),
                Gelu::new(),
                Conv2dConfig::new([mask_in_chans, width], [1, 1]).init(device),
            ),
            no_mask_embed: embedding(),
        }
    }

    /// Where each of `grid` times `grid` pixels of an embedding is. `[1, width, grid, grid]`
    pub fn dense_pe(&self, grid: usize) -> Tensor<B, 4> {
        let middle = |i: usize| (i as f32 + 0.5) / grid as f32;
        let places = (0..grid * grid).map(|at| [middle(at % grid), middle(at / grid)]);
        let encoded = self.pe_layer.encode(places.collect());
        let width = encoded.dims()[1];
        encoded
            .reshape([1, grid, grid, width])
            .permute([0, 3, 1, 2])
    }

    /// Points and box as `[1, count, width]`; the picture has `side` pixels each way.
    pub fn sparse(&self, prompt: &Prompt, side: usize) -> Tensor<B, 3> {
        // To the middle of the pixel.
        let place = |at: [f32; 2]| at.map(|v| (v + 0.5) / side as f32);
        let mut tokens = Vec::new();
        let mut add = |at: [f32; 2], kind: usize| {
            let kind = self.point_embeddings[kind].weight.val();
            tokens.push(self.pe_layer.encode(vec![place(at)]) + kind);
        };
        for (at, inside) in &prompt.points {
            add(*at, usize::from(*inside));
        }
        if let Some([left, top, right, bottom]) = prompt.bounds {
            add([left, top], 2);
            add([right, bottom], 3);
        } else {
            tokens.push(self.not_a_point_embed.weight.val());
        }
        Tensor::cat(tokens, 0).unsqueeze()
    }

    /// The mask so far as a map of `grid` times `grid`, or that there is none. `[1, width, grid, grid]`
    ///
    /// # Shapes
    /// - `mask`: `[1, 1, 4 * grid, 4 * grid]`, logits
    pub fn dense(&self, mask: Option<Tensor<B, 4>>, grid: usize) -> Tensor<B, 4> {
        let Some(mask) = mask else {
            let none = self.no_mask_embed.weight.val();
            let width = none.dims()[1];
            return none
                .reshape([1, width, 1, 1])
                .expand([1, width, grid, grid]);
        };
        let (conv0, norm1, _, conv3, norm4, _, conv6) = &self.mask_downscaling;
        let x = gelu(norm1.forward(conv0.apply(mask)));
        let x = gelu(norm4.forward(conv3.apply(x)));
        conv6.apply(x)
    }
}
