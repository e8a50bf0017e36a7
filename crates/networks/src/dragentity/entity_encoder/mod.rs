//! The entity encoder: one small convolutional backbone over the first frame, whose outputs are
//! everything the method wants to know about the picture.
//!
//! - features V (the paper's section 3.2) at a quarter of the resolution, pooled under each mask;
//! - context tokens, for the UNet's cross-attention, from the level at an eighth;
//! - a click head, that turns V, clicks and the previous mask into a mask. Iterative, with the
//!   previous mask as an input, in the style of RITM (Sofiiuk et al., "Reviving Iterative Training
//!   with Mask Guidance for Interactive Segmentation", 2021). Its extra channels are the cosine
//!   similarities of V with V under the clicks, which carry a click across the whole picture at once.
//!
//! Fully convolutional: any height and width that are multiples of 16.

use super::pyramid::{ConvBlock, Pyramid, conv1, conv3, double};
use crate::fields::Fields;
use crate::nn::layers::{Convolution, silu};
use crate::nn::norm::norm_silu;
use crate::nn::norm::{LayerNorm, LayerNormConfig, Norm};
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig};
use burn::tensor::backend::Backend;
use burn::tensor::module::avg_pool2d;
use burn::tensor::{Tensor, TensorData};
use dragentity_core::Click;
use dragentity_core::error::Result;
use dragentity_core::scene::raster::{Circle, draw_disc};
use serde::{Deserialize, Serialize};
use std::f32::consts::PI;

/// Heights and widths must be multiples of this.
pub const SIZE_MULTIPLE: usize = 16;
/// V's resolution is the picture's divided by this.
pub const FEATURE_STRIDE: usize = 4;
/// Radius of a click's disc, in pixels of the half-resolution maps (RITM draws 5 pixels at full resolution).
const CLICK_RADIUS: f32 = 2.0;
/// Sines and cosines at this many octaves, along x and along y, tell a token where it lies.
const POSITION_OCTAVES: usize = 4;

/// Far above any sensible size; keeps a garbled configuration from asking for all memory.
const MAX_SIZE: usize = 4096;
/// Likewise, residual blocks of one stride.
const MAX_LAYERS: usize = 64;

/// Sizes of an [`EntityEncoder`]; missing fields take their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EntityEncoderConfig {
    /// Channels at half resolution.
    pub stem_channels: usize,
    /// Channels at strides 4, 8 and 16.
    pub block_out_channels: [usize; 3],
    /// Residual blocks at each of these strides.
    pub layers_per_block: usize,
    /// Channels of V.
    pub feature_dim: usize,
    /// V is compared with the clicks in this many groups of channels; must divide `feature_dim`.
    pub similarity_heads: usize,
    /// Channels of a context token (the UNet's `cross_attention_dim`).
    pub token_dim: usize,
    /// Channels of the click head at a quarter of the resolution.
    pub click_channels: usize,
    /// Channels of the click head at half resolution.
    pub click_fine_channels: usize,
    /// Groups of every group normalization; must divide all channel counts but V's.
    pub norm_num_groups: usize,
}

impl Default for EntityEncoderConfig {
    fn default() -> Self {
        Self {
            stem_channels: 32,
            block_out_channels: [64, 96, 128],
            layers_per_block: 1,
            feature_dim: 96,
            similarity_heads: 6,
            token_dim: 128,
            click_channels: 64,
            click_fine_channels: 32,
            norm_num_groups: 8,
        }
    }
}

/// Half the height and width, mean of 2x2 pixels.
fn halve<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    avg_pool2d(x, [2, 2], [2, 2], [0, 0], true, false)
}

/// Backbone and heads; made by [`EntityEncoderConfig::init`].
#[derive(Module, Debug)]
pub struct EntityEncoder<B: Backend> {
    /// The picture to half resolution.
    pub stem_in: Conv2d<B>,
    /// At half resolution.
    pub stem_norm: GroupNorm<B>,
    /// At half resolution.
    pub stem_conv: Conv2d<B>,
    /// Halving convolutions into strides 4, 8, 16.
    pub downsamplers: Vec<Conv2d<B>>,
    /// Residual blocks, `layers_per_block` of each stride after those of the stride before.
    pub blocks: Vec<ConvBlock<B>>,
    /// 1x1 convolutions from strides 4, 8, 16 into the top-down path.
    pub laterals: Vec<Conv2d<B>>,
    /// Normalizes each stride before its lateral convolution.
    pub lateral_norms: Vec<GroupNorm<B>>,
    /// The last convolution before V.
    pub feature_conv: Conv2d<B>,
    /// Gives V unit variance, one group of channels for each similarity head.
    pub feature_norm: GroupNorm<B>,
    /// Stride 8 and position to tokens.
    pub token_proj: Linear<B>,
    /// Normalizes each token.
    pub token_norm: LayerNorm<B>,
    /// Clicks to masks.
    pub click_head: ClickHead<B>,
}

/// What [`EntityEncoder::encode`] knows about a picture.
#[derive(Clone, Debug)]
pub struct EncoderOutput<B: Backend> {
    /// V, `[batch, feature_dim, height / 4, width / 4]`.
    pub features: Tensor<B, 4>,
    /// Edges and textures for the click head, `[batch, stem_channels, height / 2, width / 2]`.
    pub fine: Tensor<B, 4>,
    /// Context for cross-attention, `[batch, height / 8 * width / 8, token_dim]`, row by row.
    pub tokens: Tensor<B, 3>,
}

impl EntityEncoderConfig {
    /// Checks that the network can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        let groups = self.norm_num_groups;
        let normalized = [
            ("stem_channels", self.stem_channels),
            ("click_channels", self.click_channels),
            ("click_fine_channels", self.click_fine_channels),
        ];
        let others = [
            ("feature_dim", self.feature_dim),
            ("similarity_heads", self.similarity_heads),
            ("token_dim", self.token_dim),
            ("norm_num_groups", groups),
        ];
        for (field, value) in normalized.into_iter().chain(others) {
            fields.within(field, value, 1..=MAX_SIZE)?;
        }
        fields.within("layers_per_block", self.layers_per_block, 1..=MAX_LAYERS)?;
        fields.all_within("block_out_channels", &self.block_out_channels, 1..=MAX_SIZE)?;
        for (field, value) in normalized {
            fields.grouped(field, &[value], groups)?;
        }
        fields.grouped("block_out_channels", &self.block_out_channels, groups)?;
        fields.multiple(
            "feature_dim",
            self.feature_dim,
            "similarity_heads",
            self.similarity_heads,
        )
    }

    /// The network with fresh weights.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<EntityEncoder<B>> {
        self.validate("entity_encoder/config.json")?;
        let groups = self.norm_num_groups;
        let [stem, dim] = [self.stem_channels, self.feature_dim];
        let norm = |channels| GroupNormConfig::new(groups, channels).init(device);
        let inputs = [stem, self.block_out_channels[0], self.block_out_channels[1]];
        Ok(EntityEncoder {
            stem_in: conv3([3, stem], 2, 1, device),
            stem_norm: norm(stem),
            stem_conv: conv3([stem, stem], 1, 1, device),
            downsamplers: inputs
                .into_iter()
                .zip(self.block_out_channels)
                .map(|(from, to)| conv3([from, to], 2, 1, device))
                .collect(),
            blocks: self
                .block_out_channels
                .into_iter()
                .flat_map(|c| std::iter::repeat_n(c, self.layers_per_block))
                .map(|c| ConvBlock::new(c, groups, 1, device))
                .collect(),
            laterals: self
                .block_out_channels
                .into_iter()
                .map(|c| conv1([c, dim], device))
                .collect(),
            lateral_norms: self.block_out_channels.into_iter().map(norm).collect(),
            feature_conv: conv3([dim, dim], 1, 1, device),
            feature_norm: GroupNormConfig::new(self.similarity_heads, dim).init(device),
            token_proj: LinearConfig::new(dim + 4 * POSITION_OCTAVES, self.token_dim).init(device),
            token_norm: LayerNormConfig::new(self.token_dim).init(device),
            click_head: ClickHead::new(self, device),
        })
    }
}

impl<B: Backend> EntityEncoder<B> {
    /// Once for each picture.
    ///
    /// # Shapes
    /// - picture: `[batch, 3, height, width]`, -1..1, height and width multiples of 16
    ///
    /// # Panics
    /// If height or width is not a multiple of 16.
    pub fn encode(&self, picture: Tensor<B, 4>) -> EncoderOutput<B> {
        let [_, _, height, width] = picture.dims();
        assert!(
            height % SIZE_MULTIPLE == 0 && width % SIZE_MULTIPLE == 0,
            "entity encoder: {width}x{height} is not a multiple of {SIZE_MULTIPLE}"
        );
        let fine = norm_silu(&self.stem_norm, self.stem_in.apply(picture));
        let fine = self.stem_conv.apply(fine);

        let per_stride = self.blocks.len() / self.downsamplers.len();
        let [quarter, eighth, _] = Pyramid {
            downsamplers: &self.downsamplers,
            blocks: &self.blocks,
            layers_per_block: [per_stride; 3],
            lateral_norms: &self.lateral_norms,
            laterals: &self.laterals,
        }
        .forward(fine.clone());
        let features = self
            .feature_norm
            .forward(self.feature_conv.apply(silu(quarter)));
        EncoderOutput {
            features,
            fine: silu(fine),
            tokens: self.tokens(eighth),
        }
    }

    /// `[batch, feature_dim, height / 8, width / 8]` to `[batch, tokens, token_dim]`.
    fn tokens(&self, eighth: Tensor<B, 4>) -> Tensor<B, 3> {
        let [batch, channels, height, width] = eighth.dims();
        let position = positions(height, width);
        let depth = 4 * POSITION_OCTAVES;
        let position = Tensor::<B, 3>::from_data(
            TensorData::new(position, [1, height * width, depth]),
            &eighth.device(),
        )
        .expand([batch, height * width, depth]);
        let flat = eighth
            .reshape([batch, channels, height * width])
            .swap_dims(1, 2);
        self.token_norm.apply(
            self.token_proj
                .forward(Tensor::cat(vec![flat, position], 2)),
        )
    }

    /// Logits of the mask of the entity under the clicks, `[batch, 1, height / 2, width / 2]`; inside is above 0.
    ///
    /// # Shapes
    /// - encoded: from [`Self::encode`] of the same picture
    /// - picture: `[batch, 3, height, width]`, -1..1
    pub fn click(
        &self,
        encoded: &EncoderOutput<B>,
        picture: Tensor<B, 4>,
        clicks: &ClickMaps<B>,
    ) -> Tensor<B, 4> {
        self.click_head.forward(encoded, picture, clicks)
    }
}

/// `[height * width, 4 * POSITION_OCTAVES]`: sines and cosines of x and y, as fractions of the
/// picture, at octaves from half a period on.
fn positions(height: usize, width: usize) -> Vec<f32> {
    (0..height * width)
        .flat_map(|i| {
            let x = ((i % width) as f32 + 0.5) / width as f32;
            let y = ((i / width) as f32 + 0.5) / height as f32;
            (0..POSITION_OCTAVES).flat_map(move |octave| {
                let frequency = PI * (1 << octave) as f32;
                [x, y]
                    .into_iter()
                    .flat_map(move |v| [(v * frequency).sin(), (v * frequency).cos()])
            })
        })
        .collect()
}

/// Clicks and previous mask as the click head reads them.
#[derive(Clone, Debug)]
pub struct ClickMaps<B: Backend> {
    /// Discs around the positive and around the negative clicks, `[batch, 2, height / 2, width / 2]`.
    pub discs: Tensor<B, 4>,
    /// The mask so far as a probability, `[batch, 1, height / 2, width / 2]`; 0 before the first click.
    pub previous: Tensor<B, 4>,
    /// How much of each cell of V each click reads (sums to 1),
    /// `[batch, 2 * clicks, height / 4 * width / 4]`: as many places for positive clicks as for negative.
    pub points: Tensor<B, 3>,
    /// 1 where there is such a click, `[batch, 2 * clicks]`.
    pub present: Tensor<B, 2>,
}

impl<B: Backend> ClickMaps<B> {
    /// The maps for pictures of `height` x `width` pixels (multiples of 16), with the clicks of each
    /// picture of the batch. `previous` holds the probabilities of the mask so far at half
    /// resolution: the sigmoid of the last logits, detached; `None` before the first click.
    /// Clicks outside the picture count as clicks on its edge.
    pub fn new(
        clicks: &[Vec<Click>],
        height: usize,
        width: usize,
        previous: Option<Tensor<B, 4>>,
        device: &B::Device,
    ) -> Self {
        let batch = clicks.len();
        let (half_h, half_w) = (height / 2, width / 2);
        let (cells_h, cells_w) = (height / FEATURE_STRIDE, width / FEATURE_STRIDE);
        let cells = cells_h * cells_w;
        let of_sign = |all: &[Click], positive: bool| -> Vec<Click> {
            let finite = |c: &&Click| c.x.is_finite() && c.y.is_finite();
            all.iter()
                .filter(finite)
                .filter(|c| c.positive == positive)
                .copied()
                .collect()
        };
        let places = clicks
            .iter()
            .flat_map(|c| [of_sign(c, true).len(), of_sign(c, false).len()])
            .max()
            .unwrap_or(0)
            .max(1);

        let mut discs = vec![0.0f32; batch * 2 * half_h * half_w];
        let mut points = vec![0.0f32; batch * 2 * places * cells];
        let mut present = vec![0.0f32; batch * 2 * places];
        for (b, all) in clicks.iter().enumerate() {
            for (s, positive) in [true, false].into_iter().enumerate() {
                let row = b * 2 + s;
                let map = &mut discs[row * half_h * half_w..(row + 1) * half_h * half_w];
                for (k, click) in of_sign(all, positive).into_iter().enumerate() {
                    let (x, y) = (click.x.clamp(0.0, 1.0), click.y.clamp(0.0, 1.0));
                    draw_disc(
                        Circle {
                            center: [x * half_w as f32, y * half_h as f32],
                            radius: CLICK_RADIUS,
                        },
                        half_w,
                        map,
                    );
                    let place = row * places + k;
                    present[place] = 1.0;
                    let weights = &mut points[place * cells..(place + 1) * cells];
                    for (j, wy) in bilinear(y, cells_h) {
                        for (i, wx) in bilinear(x, cells_w) {
                            weights[j * cells_w + i] += wy * wx;
                        }
                    }
                }
            }
        }
        Self {
            discs: Tensor::from_data(TensorData::new(discs, [batch, 2, half_h, half_w]), device),
            previous: previous.unwrap_or_else(|| Tensor::zeros([batch, 1, half_h, half_w], device)),
            points: Tensor::from_data(TensorData::new(points, [batch, 2 * places, cells]), device),
            present: Tensor::from_data(TensorData::new(present, [batch, 2 * places]), device),
        }
    }
}

/// The two cells that a fraction of the size lies between, and their weights.
fn bilinear(fraction: f32, size: usize) -> [(usize, f32); 2] {
    let position = (fraction * size as f32 - 0.5).clamp(0.0, (size - 1) as f32);
    let low = position as usize;
    let part = position - low as f32;
    [(low, 1.0 - part), ((low + 1).min(size - 1), part)]
}

/// See the module's documentation; part of [`EntityEncoder`].
#[derive(Module, Debug)]
pub struct ClickHead<B: Backend> {
    /// V, similarities, clicks and previous mask, at a quarter of the resolution.
    pub conv_in: Conv2d<B>,
    /// At a quarter of the resolution, reaching further with each block.
    pub blocks: Vec<ConvBlock<B>>,
    /// Into half resolution.
    pub up_norm: GroupNorm<B>,
    /// Into half resolution.
    pub up_conv: Conv2d<B>,
    /// The above, the picture, its fine features, clicks and previous mask, at half resolution.
    pub fine_conv: Conv2d<B>,
    /// At half resolution.
    pub fine_block: ConvBlock<B>,
    /// Before the last convolution.
    pub norm_out: GroupNorm<B>,
    /// Logits.
    pub conv_out: Conv2d<B>,
    similarity_heads: usize,
}

impl<B: Backend> ClickHead<B> {
    fn new(config: &EntityEncoderConfig, device: &B::Device) -> Self {
        let groups = config.norm_num_groups;
        let (channels, fine) = (config.click_channels, config.click_fine_channels);
        // Two discs and the previous mask.
        let maps = 3;
        let coarse_in = config.feature_dim + 2 * config.similarity_heads + maps;
        // A picture of 3 channels in 2x2 pixels.
        let fine_in = fine + config.stem_channels + 12 + maps;
        Self {
            conv_in: conv3([coarse_in, channels], 1, 1, device),
            blocks: [1, 2]
                .into_iter()
                .map(|dilation| ConvBlock::new(channels, groups, dilation, device))
                .collect(),
            up_norm: GroupNormConfig::new(groups, channels).init(device),
            up_conv: conv1([channels, fine], device),
            fine_conv: conv3([fine_in, fine], 1, 1, device),
            fine_block: ConvBlock::new(fine, groups, 1, device),
            norm_out: GroupNormConfig::new(groups, fine).init(device),
            conv_out: conv3([fine, 1], 1, 1, device),
            similarity_heads: config.similarity_heads,
        }
    }

    fn forward(
        &self,
        encoded: &EncoderOutput<B>,
        picture: Tensor<B, 4>,
        clicks: &ClickMaps<B>,
    ) -> Tensor<B, 4> {
        let maps = Tensor::cat(vec![clicks.discs.clone(), clicks.previous.clone()], 1);
        let coarse = Tensor::cat(
            vec![
                encoded.features.clone(),
                self.similarities(encoded.features.clone(), clicks),
                halve(maps.clone()),
            ],
            1,
        );
        let mut x = self.conv_in.apply(coarse);
        for block in &self.blocks {
            x = block.forward(x);
        }
        let x = self.up_conv.apply(norm_silu(&self.up_norm, x));
        let fine = Tensor::cat(
            vec![double(x), encoded.fine.clone(), fold_pixels(picture), maps],
            1,
        );
        let x = self.fine_block.forward(self.fine_conv.apply(fine));
        self.conv_out.apply(norm_silu(&self.norm_out, x))
    }

    /// Highest cosine similarity of V with V under any positive, and under any negative click, for
    /// each head; -1 where there is no such click. `[batch, 2 * heads, height / 4, width / 4]`,
    /// positive ones first.
    fn similarities(&self, features: Tensor<B, 4>, clicks: &ClickMaps<B>) -> Tensor<B, 4> {
        let [batch, dim, height, width] = features.dims();
        let (heads, cells) = (self.similarity_heads, height * width);
        let places = clicks.points.dims()[1] / 2;
        let v = features.reshape([batch, heads, dim / heads, cells]);
        let unit = |v: Tensor<B, 4>, along: usize| {
            let length = (v.clone().square().sum_dim(along) + 1e-6).sqrt();
            v / length
        };
        // V under each click: [batch, heads, 2 * places, dim / heads].
        let read = clicks
            .points
            .clone()
            .unsqueeze_dim::<4>(1)
            .matmul(v.clone().swap_dims(2, 3));
        let present = clicks.present.clone().reshape([batch, 1, 2 * places, 1]);
        let similarity = unit(read, 3).matmul(unit(v, 2));
        let similarity = similarity * present.clone() + (present - 1.0);
        similarity
            .reshape([batch, heads, 2, places, cells])
            .max_dim(3)
            .swap_dims(1, 2)
            .reshape([batch, 2 * heads, height, width])
    }
}

/// 2x2 pixels into channels: `[batch, channels, height, width]` to
/// `[batch, 4 * channels, height / 2, width / 2]`.
pub(super) fn fold_pixels<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height / 2, 2, width / 2, 2])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([batch, 4 * channels, height / 2, width / 2])
}

#[cfg(test)]
mod tests;
