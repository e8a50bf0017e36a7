//! The structure of a plate: what may lie behind a thing, roughly, of a small picture with a hole. Patches are copied to where it
//! says (`dragentity_compositor::plate`), so that it need not know what anything looks like from near. It begins with a hole
//! into which lines and borders go on, and says what is otherwise: an untrained network changes nothing.
//!
//! An encoder and a decoder at strides 2 and 4 around blocks at stride 8, some dilated, some of which look at all of the picture
//! by attention: what a hole hides is most often like something far away from it.

use super::pyramid::{ConvBlock, conv3, double, fold_pixels};
use crate::fields::Fields;
use crate::nn::attention_block::{AttentionBlock, AttentionBlockConfig};
use crate::nn::layers::Convolution;
use crate::nn::norm::norm_silu;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::error::Result;
use serde::{Deserialize, Serialize};

/// Sides of pictures must be multiples of this.
pub const SIZE_MULTIPLE: usize = 8;
/// Keeps a garbled configuration from asking for all memory.
const MAX_SIZE: usize = 1024;
/// Likewise, of blocks and how far apart their taps are.
const MAX_BLOCKS: usize = 32;
/// Red, green, blue and the hole.
const INPUTS: usize = 4;

/// Sizes of a [`PlateStructure`]; missing fields take their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlateStructureConfig {
    /// Longer side of the picture that it is shown, in pixels.
    pub side: usize,
    /// Channels at strides 2, 4 and 8.
    pub block_out_channels: [usize; 3],
    /// For each block at stride 8 how far apart the taps of its first convolution are; after every other one all of the picture
    /// is looked at.
    pub dilations: Vec<usize>,
    /// Groups of every group normalization; must divide all channel counts.
    pub norm_num_groups: usize,
}

impl Default for PlateStructureConfig {
    fn default() -> Self {
        Self {
            side: 64,
            block_out_channels: [32, 64, 128],
            dilations: vec![1, 2, 4, 8, 1],
            norm_num_groups: 8,
        }
    }
}

/// The network; made by [`PlateStructureConfig::init`].
#[derive(Module, Debug)]
pub struct PlateStructure<B: Backend> {
    /// Picture and hole, each square of four pixels as channels, into stride 2.
    pub conv_in: Conv2d<B>,
    /// On the way down, at strides 2 and 4.
    pub down_blocks: Vec<ConvBlock<B>>,
    /// Halving convolutions into strides 4 and 8.
    pub downsamplers: Vec<Conv2d<B>>,
    /// At stride 8.
    pub mid_blocks: Vec<ConvBlock<B>>,
    /// After every other one of these.
    pub attentions: Vec<AttentionBlock<B>>,
    /// What comes from below with what was there on the way down, at strides 4 and 2.
    pub merges: Vec<Conv2d<B>>,
    /// On the way up, at strides 4 and 2.
    pub up_blocks: Vec<ConvBlock<B>>,
    /// Before the last convolution.
    pub norm_out: GroupNorm<B>,
    /// Of twice the size, into colours.
    pub conv_out: Conv2d<B>,
}

impl PlateStructureConfig {
    /// Checks that the network can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        fields.within("side", self.side, SIZE_MULTIPLE..=MAX_SIZE)?;
        fields.multiple("side", self.side, "", SIZE_MULTIPLE)?;
        fields.within("norm_num_groups", self.norm_num_groups, 1..=MAX_SIZE)?;
        fields.all_within("block_out_channels", &self.block_out_channels, 1..=MAX_SIZE)?;
        fields.grouped(
            "block_out_channels",
            &self.block_out_channels,
            self.norm_num_groups,
        )?;
        fields.within("blocks in dilations", self.dilations.len(), 0..=MAX_BLOCKS)?;
        fields.all_within("dilations", &self.dilations, 1..=MAX_BLOCKS)
    }

    /// The network with fresh weights.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<PlateStructure<B>> {
        self.validate("plate/config.json")?;
        let groups = self.norm_num_groups;
        let [fine, half, coarse] = self.block_out_channels;
        let block = |channels, dilation| ConvBlock::new(channels, groups, dilation, device);
        let attention = AttentionBlockConfig::new(coarse).with_norm_num_groups(groups);
        Ok(PlateStructure {
            conv_in: conv3([4 * INPUTS, fine], 1, 1, device),
            down_blocks: vec![block(fine, 1), block(half, 1)],
            downsamplers: vec![
                conv3([fine, half], 2, 1, device),
                conv3([half, coarse], 2, 1, device),
            ],
            mid_blocks: self.dilations.iter().map(|&d| block(coarse, d)).collect(),
            attentions: (0..self.dilations.len() / 2)
                .map(|_| attention.init(device))
                .collect(),
            merges: vec![
                conv3([coarse + half, half], 1, 1, device),
                conv3([half + fine, fine], 1, 1, device),
            ],
            up_blocks: vec![block(half, 1), block(fine, 1)],
            norm_out: GroupNormConfig::new(groups, fine).init(device),
            conv_out: Conv2dConfig::new([fine, 3], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_initializer(Initializer::Zeros)
                .init(device),
        })
    }
}

impl<B: Backend> PlateStructure<B> {
    /// The picture with what may be in its hole; outside of the hole it is the one that was given.
    ///
    /// # Shapes
    /// - picture: `[batch, 3, height, width]`, -1..1, what meets its hole continued (`dragentity_compositor::plate::continued`)
    /// - hole: `[batch, 1, height, width]`, 1 where something is hidden, else 0
    /// - output: `[batch, 3, height, width]`
    ///
    /// # Panics
    /// If a side is not a multiple of [`SIZE_MULTIPLE`].
    pub fn forward(&self, picture: Tensor<B, 4>, hole: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, height, width] = picture.dims();
        assert!(
            height % SIZE_MULTIPLE == 0 && width % SIZE_MULTIPLE == 0,
            "plate structure: {width}x{height} is not a multiple of {SIZE_MULTIPLE}"
        );
        let input = Tensor::cat(vec![picture.clone(), hole.clone()], 1);
        let mut x = self.conv_in.apply(fold_pixels(input));
        let mut beside = Vec::with_capacity(self.down_blocks.len());
        for (block, down) in self.down_blocks.iter().zip(&self.downsamplers) {
            x = block.forward(x);
            beside.push(x.clone());
            x = down.apply(x);
        }
        for (index, block) in self.mid_blocks.iter().enumerate() {
            x = block.forward(x);
            if index % 2 == 1 {
                x = self.attentions[index / 2].forward(x);
            }
        }
        for (merge, block) in self.merges.iter().zip(&self.up_blocks) {
            // As many were put aside as there are merges.
            let Some(beside) = beside.pop() else { break };
            x = merge.apply(Tensor::cat(vec![double(x), beside], 1));
            x = block.forward(x);
        }
        let made = self.conv_out.apply(double(norm_silu(&self.norm_out, x)));
        picture + made * hole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;
    use burn::tensor::Distribution;

    fn noise(shape: [usize; 4]) -> Tensor<Flex, 4> {
        Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &Default::default())
    }

    /// A hole of 8 x 8 pixels in pictures of 24 x 40.
    fn hole(batch: usize) -> Tensor<Flex, 4> {
        let device = Default::default();
        let within = Tensor::ones([batch, 1, 8, 8], &device);
        Tensor::zeros([batch, 1, 24, 40], &device)
            .slice_assign([0..batch, 0..1, 8..16, 16..24], within)
    }

    fn most(x: Tensor<Flex, 4>) -> f32 {
        x.abs().max().into_scalar()
    }

    /// A network that has learned something, whatever it is.
    fn network() -> PlateStructure<Flex> {
        let device = Default::default();
        let config = PlateStructureConfig::default();
        let mut network = config.init::<Flex>(&device).unwrap();
        network.conv_out = conv3([32, 3], 1, 1, &device);
        network
    }

    #[test]
    fn untrained_it_changes_nothing() {
        let config = PlateStructureConfig::default();
        let network = config.init::<Flex>(&Default::default()).unwrap();
        let parameters = network.num_params();
        assert!(
            (1_000_000..2_500_000).contains(&parameters),
            "{parameters} parameters"
        );
        let picture = noise([1, 3, 24, 40]);
        assert_eq!(
            most(network.forward(picture.clone(), hole(1)) - picture),
            0.0
        );
    }

    #[test]
    fn outside_of_the_hole_nothing_changes_and_pictures_of_a_batch_do_not_mix() {
        let network = network();
        let (picture, hole) = (noise([2, 3, 24, 40]), hole(2));
        let made = network.forward(picture.clone(), hole.clone());
        assert_eq!(made.dims(), picture.dims());
        let changed = made.clone() - picture.clone();
        assert_eq!(most(changed.clone() * (hole.clone() * -1.0 + 1.0)), 0.0);
        assert!(most(changed) > 0.05);
        for i in 0..2 {
            let one = |x: &Tensor<Flex, 4>| x.clone().narrow(0, i, 1);
            let alone = network.forward(one(&picture), one(&hole));
            let worst = most(one(&made) - alone);
            assert!(worst < 1e-4, "picture {i} differs by {worst}");
        }
    }

    #[test]
    fn all_of_the_picture_has_a_part() {
        let network = network();
        let picture = noise([1, 3, 24, 40]);
        let made = network.forward(picture.clone(), hole(1));
        let corner = Tensor::ones([1, 3, 4, 4], &Default::default());
        let other = picture.slice_assign([0..1, 0..3, 20..24, 36..40], corner);
        let changed = (network.forward(other, hole(1)) - made) * hole(1);
        assert!(most(changed) > 1e-5, "the far corner is not seen");
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let message = |change: fn(&mut PlateStructureConfig)| {
            let mut config = PlateStructureConfig::default();
            change(&mut config);
            config.validate("p").unwrap_err().to_string()
        };
        assert!(message(|c| c.norm_num_groups = 7).contains("multiples of norm_num_groups"));
        assert!(message(|c| c.side = 100).contains("side 100"));
        assert!(message(|c| c.side = 0).contains("side is 0"));
        assert!(message(|c| c.dilations = vec![0]).contains("must be 1 to"));
        assert!(message(|c| c.dilations = vec![1; 99]).contains("must be 0 to"));
    }
}
