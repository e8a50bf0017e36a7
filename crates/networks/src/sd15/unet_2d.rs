//! The denoiser of Stable Diffusion 1.x: diffusers' `UNet2DConditionModel`, configured by its `config.json`
//! and loaded under its tensor names. Here it is read for its features (see
//! [`crate::sd15::diffusion_features`]), not to denoise.

use crate::fields::Fields;
use crate::nn::embedding::{TimestepEmbedding, TimestepEmbeddingConfig, timesteps};
use crate::nn::layers::Convolution;
use crate::nn::norm::norm_silu;
use crate::nn::precision::{as_type, like};
use crate::nn::resnet::{
    Downsample2D, Downsample2DConfig, ResnetBlock2D, ResnetBlockConfig, Upsample2D,
    Upsample2DConfig, conv3x3, group_norm,
};
use crate::nn::transformer_2d::{Transformer2DModel, Transformer2DModelConfig};
use crate::svd::unet::PerLevel;
use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::error::Result;
use serde::{Deserialize, Serialize};

/// Bounds of a configuration that is not taken for garbled.
const MAX_CHANNELS: usize = 1 << 14;
const MAX_LAYERS: usize = 64;
const MAX_LEVELS: usize = 8;
/// Kinds of levels with attention and without, down and up.
const DOWN: [&str; 2] = ["CrossAttnDownBlock2D", "DownBlock2D"];
const UP: [&str; 2] = ["CrossAttnUpBlock2D", "UpBlock2D"];

/// `unet/config.json`. Missing fields take the values of Stable Diffusion 1.5; unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UNet2DConfig {
    /// The name diffusers looks for.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Channels of the noisy latents.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// From the highest resolution to the lowest.
    pub down_block_types: Vec<String>,
    /// From the lowest resolution to the highest.
    pub up_block_types: Vec<String>,
    /// Channels at each level.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks at each level on the way down; one more on the way up.
    pub layers_per_block: usize,
    /// Width of the context.
    pub cross_attention_dim: usize,
    /// Heads of each attention: the name is the one that the published files have.
    pub attention_head_dim: PerLevel,
    /// Groups of every norm.
    pub norm_num_groups: usize,
    /// Epsilon of the norms outside of the attentions.
    pub norm_eps: f64,
    /// Stable Diffusion 2 has linear layers where this network has convolutions; it is refused.
    pub use_linear_projection: bool,
}

impl Default for UNet2DConfig {
    fn default() -> Self {
        let [(down, down_last), (up, up_first)] = [DOWN, UP].map(|[a, b]| (a, b));
        Self {
            class_name: "UNet2DConditionModel".into(),
            in_channels: 4,
            out_channels: 4,
            down_block_types: [down, down, down, down_last].map(String::from).into(),
            up_block_types: [up_first, up, up, up].map(String::from).into(),
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: 2,
            cross_attention_dim: 768,
            attention_head_dim: PerLevel::All(8),
            norm_num_groups: 32,
            norm_eps: 1e-5,
            use_linear_projection: false,
        }
    }
}

impl UNet2DConfig {
    /// Checks that the network can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        if self.class_name != "UNet2DConditionModel" {
            return fields.fail(format!(
                "is of a {}, and a UNet2DConditionModel is needed, as Stable Diffusion 1.5 has it",
                self.class_name
            ));
        }
        if self.use_linear_projection {
            return fields.fail("has linear projections, as Stable Diffusion 2; only 1.x is known");
        }
        let levels = self.block_out_channels.len();
        fields.within("the number of block_out_channels", levels, 1..=MAX_LEVELS)?;
        let channels = &self.block_out_channels;
        fields.all_within("block_out_channels", channels, 1..=MAX_CHANNELS)?;
        for (field, types, known) in [
            ("down_block_types", &self.down_block_types, DOWN),
            ("up_block_types", &self.up_block_types, UP),
        ] {
            if types.len() != levels || types.iter().any(|t| !known.contains(&t.as_str())) {
                return fields.fail(format!(
                    "{field} must have {levels} values, each {} or {}",
                    known[0], known[1]
                ));
            }
        }
        self.attention_head_dim
            .check(fields, "attention_head_dim", levels, MAX_CHANNELS)?;
        for (field, value, most) in [
            ("in_channels", self.in_channels, MAX_CHANNELS),
            ("out_channels", self.out_channels, MAX_CHANNELS),
            ("layers_per_block", self.layers_per_block, MAX_LAYERS),
            (
                "cross_attention_dim",
                self.cross_attention_dim,
                MAX_CHANNELS,
            ),
            ("norm_num_groups", self.norm_num_groups, MAX_CHANNELS),
        ] {
            fields.within(field, value, 1..=most)?;
        }
        fields.grouped("block_out_channels", channels, self.norm_num_groups)?;
        for (level, &n) in channels.iter().enumerate() {
            // In the published files the number of heads has this name.
            let heads = self.attention_head_dim.at(level);
            fields.multiple("block_out_channels", n, "attention_head_dim", heads)?;
        }
        fields.between("norm_eps", self.norm_eps, 0.0, 1.0)?;
        Ok(())
    }

    /// Initialises the network; nothing is allocated before it is first used.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<UNet2DConditionModel<B>> {
        self.validate("unet/config.json")?;
        let channels = &self.block_out_channels;
        let (levels, first) = (channels.len(), channels[0]);
        let last = channels[levels - 1];
        let temb = 4 * first;
        let down_blocks = (0..levels)
            .map(|level| {
                let (from, to) = (channels[level.saturating_sub(1)], channels[level]);
                let attends = self.down_block_types[level] == DOWN[0];
                let layers = 0..self.layers_per_block;
                DownBlock2D {
                    attentions: self.attentions(attends, level, self.layers_per_block, device),
                    resnets: layers
                        .map(|i| self.resnet(if i == 0 { from } else { to }, to, device))
                        .collect(),
                    downsamplers: (level + 1 < levels)
                        .then(|| vec![Downsample2DConfig::new(to, to).init(device)]),
                }
            })
            .collect();
        let up_blocks = (0..levels)
            .map(|i| {
                let level = levels - 1 - i;
                let to = channels[level];
                let below = channels[(level + 1).min(levels - 1)];
                let skipped = channels[level.saturating_sub(1)];
                let attends = self.up_block_types[i] == UP[0];
                let layers = self.layers_per_block + 1;
                let resnet = |layer: usize| {
                    let from = if layer == 0 { below } else { to };
                    let skip = if layer + 1 == layers { skipped } else { to };
                    self.resnet(from + skip, to, device)
                };
                UpBlock2D {
                    attentions: self.attentions(attends, level, layers, device),
                    resnets: (0..layers).map(resnet).collect(),
                    upsamplers: (level > 0)
                        .then(|| vec![Upsample2DConfig::new(to, to).init(device)]),
                }
            })
            .collect();
        Ok(UNet2DConditionModel {
            conv_in: conv3x3(self.in_channels, first, device),
            time_embedding: TimestepEmbeddingConfig::new(first, temb, temb).init(device),
            down_blocks,
            mid_block: UNetMidBlock2DCrossAttn {
                attentions: vec![self.attention(levels - 1, device)],
                resnets: (0..2).map(|_| self.resnet(last, last, device)).collect(),
            },
            up_blocks,
            conv_norm_out: group_norm(self.norm_num_groups, first, self.norm_eps, device),
            conv_out: conv3x3(first, self.out_channels, device),
        })
    }

    fn resnet<B: Backend>(&self, from: usize, to: usize, device: &B::Device) -> ResnetBlock2D<B> {
        ResnetBlockConfig::new(from, to)
            .with_temb_channels(Some(4 * self.block_out_channels[0]))
            .with_eps(self.norm_eps)
            .with_norm_num_groups(self.norm_num_groups)
            .init(device)
    }

    fn attention<B: Backend>(&self, level: usize, device: &B::Device) -> Transformer2DModel<B> {
        let heads = self.attention_head_dim.at(level);
        let channels = self.block_out_channels[level];
        Transformer2DModelConfig::new(channels, heads, self.cross_attention_dim)
            .with_norm_num_groups(self.norm_num_groups)
            .init(device)
    }

    fn attentions<B: Backend>(
        &self,
        attends: bool,
        level: usize,
        layers: usize,
        device: &B::Device,
    ) -> Option<Vec<Transformer2DModel<B>>> {
        attends.then(|| (0..layers).map(|_| self.attention(level, device)).collect())
    }
}

/// `CrossAttnDownBlock2D` (with `attentions`) or `DownBlock2D` (without).
#[derive(Module, Debug)]
pub struct DownBlock2D<B: Backend> {
    /// One for each of `resnets`, or none.
    pub attentions: Option<Vec<Transformer2DModel<B>>>,
    /// One after the other, each followed by its attention.
    pub resnets: Vec<ResnetBlock2D<B>>,
    /// One, to half the resolution; none in the last block.
    pub downsamplers: Option<Vec<Downsample2D<B>>>,
}

/// Residual block, attention, residual block.
#[derive(Module, Debug)]
pub struct UNetMidBlock2DCrossAttn<B: Backend> {
    /// One.
    pub attentions: Vec<Transformer2DModel<B>>,
    /// Two.
    pub resnets: Vec<ResnetBlock2D<B>>,
}

/// `CrossAttnUpBlock2D` (with `attentions`) or `UpBlock2D` (without).
#[derive(Module, Debug)]
pub struct UpBlock2D<B: Backend> {
    /// One for each of `resnets`, or none.
    pub attentions: Option<Vec<Transformer2DModel<B>>>,
    /// One after the other, each followed by its attention.
    pub resnets: Vec<ResnetBlock2D<B>>,
    /// One, to twice the resolution; none in the last block.
    pub upsamplers: Option<Vec<Upsample2D<B>>>,
}

/// The network.
#[derive(Module, Debug)]
pub struct UNet2DConditionModel<B: Backend> {
    /// 3x3.
    pub conv_in: Conv2d<B>,
    /// Of the noise level.
    pub time_embedding: TimestepEmbedding<B>,
    /// From the highest resolution to the lowest.
    pub down_blocks: Vec<DownBlock2D<B>>,
    /// At the lowest resolution.
    pub mid_block: UNetMidBlock2DCrossAttn<B>,
    /// From the lowest resolution to the highest.
    pub up_blocks: Vec<UpBlock2D<B>>,
    /// Before `conv_out`.
    pub conv_norm_out: GroupNorm<B>,
    /// 3x3.
    pub conv_out: Conv2d<B>,
}

impl<B: Backend> UNet2DConditionModel<B> {
    /// The noise in `sample`.
    ///
    /// # Shapes
    /// - `sample`: `[n, in_channels, height, width]`
    /// - `timestep`: `[n]`, of the training schedule
    /// - `context`: `[n, tokens, cross_attention_dim]`
    /// - output: `[n, out_channels, height, width]`
    pub fn forward(
        &self,
        sample: Tensor<B, 4>,
        timestep: Tensor<B, 1>,
        context: Tensor<B, 3>,
    ) -> Tensor<B, 4> {
        let own = sample.dtype();
        let x = self.features(sample, timestep, context, self.up_blocks.len());
        let x = self.conv_out.apply(norm_silu(&self.conv_norm_out, x));
        as_type(x, own)
    }

    /// What the first `up_blocks` blocks of the way up make of the same inputs, in the type of the weights.
    ///
    /// # Shapes
    /// - output: `[n, channels, height, width]`, those of the block
    pub fn features(
        &self,
        sample: Tensor<B, 4>,
        timestep: Tensor<B, 1>,
        context: Tensor<B, 3>,
        up_blocks: usize,
    ) -> Tensor<B, 4> {
        let weight = self.conv_in.weight.val();
        let context = like(context, &weight);
        let time = timesteps(timestep, weight.dims()[0]);
        let temb = self.time_embedding.forward(time);
        let resnet = |resnet: &ResnetBlock2D<B>, x| resnet.forward(x, Some(temb.clone()));
        let attention =
            |attentions: &Option<Vec<Transformer2DModel<B>>>, i: usize, x| match attentions {
                Some(attentions) => attentions[i].forward(x, &context),
                None => x,
            };
        let mut x = self.conv_in.apply(like(sample, &weight));
        let mut skips = vec![x.clone()];
        for block in &self.down_blocks {
            for (i, layer) in block.resnets.iter().enumerate() {
                x = attention(&block.attentions, i, resnet(layer, x));
                skips.push(x.clone());
            }
            for downsampler in block.downsamplers.iter().flatten() {
                x = downsampler.forward(x);
                skips.push(x.clone());
            }
        }
        let mid = &self.mid_block;
        x = resnet(&mid.resnets[0], x);
        x = mid.attentions[0].forward(x, &context);
        x = resnet(&mid.resnets[1], x);
        for block in self.up_blocks.iter().take(up_blocks) {
            for (i, layer) in block.resnets.iter().enumerate() {
                let skip = skips.pop().expect("one skipped feature for each layer");
                x = attention(
                    &block.attentions,
                    i,
                    resnet(layer, Tensor::cat(vec![x, skip], 1)),
                );
            }
            for upsampler in block.upsamplers.iter().flatten() {
                // On the way down the size may have been odd.
                let size = skips.last().map(|next| {
                    let [_, _, height, width] = next.dims();
                    [height, width]
                });
                x = upsampler.forward(x, size);
            }
        }
        x
    }
}
