//! The human parser: which part of a person each pixel belongs to, of a square crop around the person and its mask.
//!
//! A backbone of residual blocks at strides 2 to 16, joined top down; at stride 16 its blocks reach across
//! the whole crop, which it takes to know left from right. The parts are [`dragentity_core::scene::parts`]'.

use super::pyramid::{ConvBlock, Pyramid, conv1, conv3, double, fold_pixels};
use crate::fields::Fields;
use crate::nn::layers::{Convolution, silu};
use crate::nn::norm::norm_silu;
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::error::Result;
use dragentity_core::scene::parts::CLASSES;
use serde::{Deserialize, Serialize};

/// The crop's side must be a multiple of this.
pub const SIZE_MULTIPLE: usize = 16;
/// Keeps a garbled configuration from asking for all memory.
const MAX_SIZE: usize = 1024;
/// Likewise, residual blocks of one stride.
const MAX_LAYERS: usize = 64;
/// Red, green, blue and the mask.
const INPUTS: usize = 4;

/// Sizes of a [`HumanParser`]; missing fields take their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HumanParserConfig {
    /// Side of the crop in pixels.
    pub crop_side: usize,
    /// Channels at half resolution.
    pub stem_channels: usize,
    /// Channels at strides 4, 8 and 16.
    pub block_out_channels: [usize; 3],
    /// Residual blocks at each of these strides; the second at a stride, and every other after it, is dilated.
    pub layers_per_block: [usize; 3],
    /// Channels in which the strides are joined.
    pub merge_channels: usize,
    /// Groups of every group normalization; must divide all channel counts.
    pub norm_num_groups: usize,
}

impl Default for HumanParserConfig {
    fn default() -> Self {
        Self {
            crop_side: 96,
            stem_channels: 24,
            block_out_channels: [48, 72, 112],
            layers_per_block: [1, 1, 2],
            merge_channels: 64,
            norm_num_groups: 8,
        }
    }
}

/// The network; made by [`HumanParserConfig::init`].
#[derive(Module, Debug)]
pub struct HumanParser<B: Backend> {
    /// Picture and mask to half resolution.
    pub stem_in: Conv2d<B>,
    /// At half resolution.
    pub stem_norm: GroupNorm<B>,
    /// At half resolution.
    pub stem_conv: Conv2d<B>,
    /// Halving convolutions into strides 4, 8, 16.
    pub downsamplers: Vec<Conv2d<B>>,
    /// Residual blocks, those of each stride after those of the stride before.
    pub blocks: Vec<ConvBlock<B>>,
    /// Normalizes each stride before its lateral convolution.
    pub lateral_norms: Vec<GroupNorm<B>>,
    /// 1x1 convolutions from strides 4, 8, 16 into the top-down path.
    pub laterals: Vec<Conv2d<B>>,
    /// Of what was joined, at stride 4.
    pub merge_block: ConvBlock<B>,
    /// Into half resolution.
    pub up_norm: GroupNorm<B>,
    /// Into half resolution.
    pub up_conv: Conv2d<B>,
    /// The above, the stem's features, picture and mask, at half resolution.
    pub fine_conv: Conv2d<B>,
    /// At half resolution.
    pub fine_block: ConvBlock<B>,
    /// Before the last convolution.
    pub norm_out: GroupNorm<B>,
    /// Logits.
    pub conv_out: Conv2d<B>,
    layers_per_block: [usize; 3],
}

impl HumanParserConfig {
    /// Checks that the network can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        let groups = self.norm_num_groups;
        for (field, value) in [
            ("crop_side", self.crop_side),
            ("stem_channels", self.stem_channels),
            ("merge_channels", self.merge_channels),
            ("norm_num_groups", groups),
        ] {
            fields.within(field, value, 1..=MAX_SIZE)?;
        }
        fields.all_within("block_out_channels", &self.block_out_channels, 1..=MAX_SIZE)?;
        fields.all_within("layers_per_block", &self.layers_per_block, 1..=MAX_LAYERS)?;
        fields.grouped("stem_channels", &[self.stem_channels], groups)?;
        fields.grouped("merge_channels", &[self.merge_channels], groups)?;
        fields.grouped("block_out_channels", &self.block_out_channels, groups)?;
        fields.multiple("crop_side", self.crop_side, "", SIZE_MULTIPLE)
    }

    /// The network with fresh weights.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<HumanParser<B>> {
        self.validate("human_parser/config.json")?;
        let groups = self.norm_num_groups;
        let [stem, merge] = [self.stem_channels, self.merge_channels];
        let norm = |channels| GroupNormConfig::new(groups, channels).init(device);
        let inputs = [stem, self.block_out_channels[0], self.block_out_channels[1]];
        let outputs = self.block_out_channels;
        Ok(HumanParser {
            stem_in: conv3([INPUTS, stem], 2, 1, device),
            stem_norm: norm(stem),
            stem_conv: conv3([stem, stem], 1, 1, device),
            downsamplers: inputs
                .into_iter()
                .zip(outputs)
                .map(|(from, to)| conv3([from, to], 2, 1, device))
                .collect(),
            blocks: outputs
                .into_iter()
                .zip(self.layers_per_block)
                .flat_map(|(c, layers)| (0..layers).map(move |layer| (c, 1 + layer % 2)))
                .map(|(c, dilation)| ConvBlock::new(c, groups, dilation, device))
                .collect(),
            lateral_norms: outputs.into_iter().map(norm).collect(),
            laterals: outputs
                .into_iter()
                .map(|c| conv1([c, merge], device))
                .collect(),
            merge_block: ConvBlock::new(merge, groups, 1, device),
            up_norm: norm(merge),
            up_conv: conv1([merge, stem], device),
            fine_conv: conv3([2 * stem + 4 * INPUTS, stem], 1, 1, device),
            fine_block: ConvBlock::new(stem, groups, 1, device),
            norm_out: norm(stem),
            conv_out: conv3([stem, CLASSES], 1, 1, device),
            layers_per_block: self.layers_per_block,
        })
    }
}

impl<B: Backend> HumanParser<B> {
    /// Logits of the classes, `[batch, CLASSES, side / 2, side / 2]`: what is not of the person, then the parts.
    ///
    /// # Shapes
    /// - picture: `[batch, 3, side, side]`, -1..1, 0 beyond the picture's border
    /// - mask: `[batch, 1, side, side]`, 0..1
    ///
    /// # Panics
    /// If the side is not a multiple of [`SIZE_MULTIPLE`].
    pub fn forward(&self, picture: Tensor<B, 4>, mask: Tensor<B, 4>) -> Tensor<B, 4> {
        let input = Tensor::cat(vec![picture, mask * 2.0 - 1.0], 1);
        let [_, _, height, width] = input.dims();
        assert!(
            height % SIZE_MULTIPLE == 0 && width % SIZE_MULTIPLE == 0,
            "human parser: {width}x{height} is not a multiple of {SIZE_MULTIPLE}"
        );
        let fine = norm_silu(&self.stem_norm, self.stem_in.apply(input.clone()));
        let fine = self.stem_conv.apply(fine);

        let [joined, _, _] = Pyramid {
            downsamplers: &self.downsamplers,
            blocks: &self.blocks,
            layers_per_block: self.layers_per_block,
            lateral_norms: &self.lateral_norms,
            laterals: &self.laterals,
        }
        .forward(fine.clone());
        let x = self.merge_block.forward(joined);
        let x = self.up_conv.apply(norm_silu(&self.up_norm, x));
        let x = Tensor::cat(vec![double(x), silu(fine), fold_pixels(input)], 1);
        let x = self.fine_block.forward(self.fine_conv.apply(x));
        self.conv_out.apply(norm_silu(&self.norm_out, x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;
    use burn::tensor::Distribution;

    #[test]
    fn logits_are_of_half_the_side_and_pictures_of_a_batch_do_not_mix() {
        let device = Default::default();
        let config = HumanParserConfig::default();
        let parser = config.init::<Flex>(&device).unwrap();
        let parameters = parser.num_params();
        assert!(
            (400_000..900_000).contains(&parameters),
            "{parameters} parameters"
        );
        let side = 48;
        let noise = |channels| {
            Tensor::<Flex, 4>::random(
                [2, channels, side, side],
                Distribution::Uniform(0.0, 1.0),
                &device,
            )
        };
        let (picture, mask) = (noise(3) * 2.0 - 1.0, noise(1));
        let both = parser.forward(picture.clone(), mask.clone());
        assert_eq!(both.dims(), [2, CLASSES, side / 2, side / 2]);
        for i in 0..2 {
            let one = parser.forward(
                picture.clone().narrow(0, i, 1),
                mask.clone().narrow(0, i, 1),
            );
            let worst: f32 = (both.clone().narrow(0, i, 1) - one)
                .abs()
                .max()
                .into_scalar();
            assert!(worst < 1e-4, "picture {i} differs by {worst}");
        }
        // The mask says whose parts are asked for.
        let other = parser.forward(picture, mask * 0.0);
        assert!((both - other).abs().max().into_scalar() > 1e-3);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let message = |change: fn(&mut HumanParserConfig)| {
            let mut config = HumanParserConfig::default();
            change(&mut config);
            config.validate("p").unwrap_err().to_string()
        };
        assert!(message(|c| c.norm_num_groups = 7).contains("multiples of norm_num_groups"));
        assert!(message(|c| c.crop_side = 100).contains("crop_side 100"));
        assert!(message(|c| c.layers_per_block[1] = 0).contains("must be 1 to"));
    }
}
