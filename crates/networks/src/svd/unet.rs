//! The denoiser: diffusers' `UNetSpatioTemporalConditionModel`, configured by its `config.json` and
//! loaded under its tensor names. Stable Video Diffusion is the default configuration.

use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::fields::Fields;
use crate::nn::embedding::{TimestepEmbedding, TimestepEmbeddingConfig};
use crate::nn::layers::Convolution;
use crate::nn::norm::norm_silu;
use crate::nn::precision::{as_type, like};
use crate::nn::resnet::{NORM_GROUPS, conv3x3, group_norm};
use crate::svd::blocks::{
    AttentionSetup, DownBlock, DownBlockConfig, MidBlock, TimeInputs, UpBlock, UpBlockConfig,
};
use dragentity_core::error::{Error, Result};

/// More channels, layers or levels than any network of this kind has; a garbled configuration must
/// not ask for terabytes.
pub(crate) const MAX_CHANNELS: usize = 1 << 14;
const MAX_LAYERS: usize = 64;
const MAX_LEVELS: usize = 8;

/// A number for all levels, or one for each, as diffusers writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerLevel {
    /// The same everywhere.
    All(usize),
    /// From the highest resolution to the lowest.
    Each(Vec<usize>),
}

impl PerLevel {
    /// The value at `level`; [`UNetConfig::validate`] has seen that there is one.
    pub(crate) fn at(&self, level: usize) -> usize {
        match self {
            Self::All(n) => *n,
            Self::Each(list) => list[level],
        }
    }

    pub(crate) fn check(
        &self,
        fields: Fields<'_>,
        field: &str,
        levels: usize,
        most: usize,
    ) -> Result<()> {
        match self {
            Self::All(n) => fields.within(field, *n, 1..=most),
            Self::Each(list) if list.len() != levels => fields.fail(format!(
                "{field} has {} values for {levels} levels; give one for each, or one number for all",
                list.len()
            )),
            Self::Each(list) => fields.all_within(field, list, 1..=most),
        }
    }
}

/// Whether a block on the way down attends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownBlockType {
    /// With attention after each residual block.
    CrossAttnDownBlockSpatioTemporal,
    /// Residual blocks only.
    DownBlockSpatioTemporal,
}

/// Whether a block on the way up attends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpBlockType {
    /// With attention after each residual block.
    CrossAttnUpBlockSpatioTemporal,
    /// Residual blocks only.
    UpBlockSpatioTemporal,
}

/// `unet/config.json`. Missing fields take the values of Stable Video Diffusion; unknown fields are
/// ignored, as diffusers does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UNetConfig {
    /// The name diffusers looks for.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Side of the latents it was trained on; not used.
    pub sample_size: Option<usize>,
    /// Channels of the input: noisy latents and the first frame's.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// From the highest resolution to the lowest.
    pub down_block_types: Vec<DownBlockType>,
    /// From the lowest resolution to the highest.
    pub up_block_types: Vec<UpBlockType>,
    /// Channels at each level, multiples of 32.
    pub block_out_channels: Vec<usize>,
    /// Width of the sinusoids of each added id.
    pub addition_time_embed_dim: usize,
    /// The same times the number of added ids.
    pub projection_class_embeddings_input_dim: usize,
    /// Residual blocks at each level on the way down; one more on the way up.
    pub layers_per_block: PerLevel,
    /// Width of the context.
    pub cross_attention_dim: PerLevel,
    /// Pairs of transformer blocks in each attention.
    pub transformer_layers_per_block: PerLevel,
    /// Heads of each attention.
    pub num_attention_heads: PerLevel,
    /// Frames it was trained on.
    pub num_frames: usize,
}

impl Default for UNetConfig {
    fn default() -> Self {
        use DownBlockType::{CrossAttnDownBlockSpatioTemporal, DownBlockSpatioTemporal};
        use UpBlockType::{CrossAttnUpBlockSpatioTemporal, UpBlockSpatioTemporal};
        Self {
            class_name: "UNetSpatioTemporalConditionModel".into(),
            sample_size: None,
            in_channels: 8,
            out_channels: 4,
            down_block_types: vec![
                CrossAttnDownBlockSpatioTemporal,
                CrossAttnDownBlockSpatioTemporal,
                CrossAttnDownBlockSpatioTemporal,
                DownBlockSpatioTemporal,
            ],
            up_block_types: vec![
                UpBlockSpatioTemporal,
                CrossAttnUpBlockSpatioTemporal,
                CrossAttnUpBlockSpatioTemporal,
                CrossAttnUpBlockSpatioTemporal,
            ],
            block_out_channels: vec![320, 640, 1280, 1280],
            addition_time_embed_dim: 256,
            projection_class_embeddings_input_dim: 768,
            layers_per_block: PerLevel::All(2),
            cross_attention_dim: PerLevel::All(1024),
            transformer_layers_per_block: PerLevel::All(1),
            num_attention_heads: PerLevel::Each(vec![5, 10, 20, 20]),
            num_frames: 25,
        }
    }
}

impl UNetConfig {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// [`Error::Model`] naming `name` when the text is not such a configuration.
    pub fn from_json(name: &str, text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| Error::Model {
            name: name.into(),
            reason: format!("not a usable configuration ({e})"),
        })
    }

    /// Checks that the network can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        let channels = &self.block_out_channels;
        let levels = channels.len();
        fields.within("the number of block_out_channels", levels, 1..=MAX_LEVELS)?;
        if self.down_block_types.len() != levels || self.up_block_types.len() != levels {
            return fields.fail(format!(
                "block_out_channels has {levels} levels, down_block_types {} and up_block_types {}: \
                 all three must agree",
                self.down_block_types.len(),
                self.up_block_types.len()
            ));
        }
        let added = self.projection_class_embeddings_input_dim;
        let each = self.addition_time_embed_dim;
        for (field, value) in [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("num_frames", self.num_frames),
            ("addition_time_embed_dim", each),
            ("projection_class_embeddings_input_dim", added),
        ] {
            fields.within(field, value, 1..=MAX_CHANNELS)?;
        }
        fields.multiple(
            "projection_class_embeddings_input_dim",
            added,
            "addition_time_embed_dim",
            each,
        )?;
        for (field, values, most) in [
            ("layers_per_block", &self.layers_per_block, MAX_LAYERS),
            (
                "transformer_layers_per_block",
                &self.transformer_layers_per_block,
                MAX_LAYERS,
            ),
            (
                "cross_attention_dim",
                &self.cross_attention_dim,
                MAX_CHANNELS,
            ),
            (
                "num_attention_heads",
                &self.num_attention_heads,
                MAX_CHANNELS,
            ),
        ] {
            values.check(fields, field, levels, most)?;
        }
        fields.all_within("block_out_channels", channels, 1..=MAX_CHANNELS)?;
        for (level, &n) in channels.iter().enumerate() {
            let heads = self.num_attention_heads.at(level);
            fields.multiple("block_out_channels", n, "", NORM_GROUPS)?;
            fields.multiple("block_out_channels", n, "num_attention_heads", heads)?;
        }
        Ok(())
    }

    /// Number of added ids (frame rate, motion, noise augmentation: 3).
    pub fn added_ids(&self) -> usize {
        self.projection_class_embeddings_input_dim / self.addition_time_embed_dim
    }

    /// Whether every level attends to a context of `width` values a token.
    pub fn attends_to(&self, width: usize) -> bool {
        match &self.cross_attention_dim {
            PerLevel::All(n) => *n == width,
            PerLevel::Each(list) => list.iter().all(|&n| n == width),
        }
    }

    /// Width of the time embedding.
    pub(crate) fn temb_channels(&self) -> usize {
        4 * self.block_out_channels[0]
    }

    fn attention(&self, level: usize) -> AttentionSetup {
        AttentionSetup {
            heads: self.num_attention_heads.at(level),
            cross_attention_dim: self.cross_attention_dim.at(level),
            layers: self.transformer_layers_per_block.at(level),
        }
    }

    /// Channels of every feature that the encoder hands over, `conv_in`'s first.
    pub(crate) fn skip_channels(&self) -> Vec<usize> {
        let channels = &self.block_out_channels;
        let mut skips = vec![channels[0]];
        for (level, &n) in channels.iter().enumerate() {
            let downsampler = usize::from(level + 1 < channels.len());
            skips.extend(vec![n; self.layers_per_block.at(level) + downsampler]);
        }
        skips
    }

    /// Index of the level that made each of [`Self::skip_channels`]; `None` for `conv_in`.
    pub(crate) fn skip_levels(&self) -> Vec<Option<usize>> {
        let levels = self.block_out_channels.len();
        let mut skips = vec![None];
        for level in 0..levels {
            let downsampler = usize::from(level + 1 < levels);
            skips.extend(vec![
                Some(level);
                self.layers_per_block.at(level) + downsampler
            ]);
        }
        skips
    }

    pub(crate) fn init_down_blocks<B: Backend>(&self, device: &B::Device) -> Vec<DownBlock<B>> {
        let channels = &self.block_out_channels;
        (0..channels.len())
            .map(|level| {
                let attends =
                    self.down_block_types[level] == DownBlockType::CrossAttnDownBlockSpatioTemporal;
                DownBlockConfig {
                    in_channels: channels[level.saturating_sub(1)],
                    out_channels: channels[level],
                    temb_channels: self.temb_channels(),
                    num_layers: self.layers_per_block.at(level),
                    attention: attends.then(|| self.attention(level)),
                    add_downsample: level + 1 < channels.len(),
                }
                .init(device)
            })
            .collect()
    }

    pub(crate) fn init_mid_block<B: Backend>(&self, device: &B::Device) -> MidBlock<B> {
        let last = self.block_out_channels.len() - 1;
        MidBlock::new(
            self.block_out_channels[last],
            self.temb_channels(),
            self.attention(last),
            device,
        )
    }

    fn init_up_blocks<B: Backend>(&self, device: &B::Device) -> Vec<UpBlock<B>> {
        let channels = &self.block_out_channels;
        let levels = channels.len();
        (0..levels)
            .map(|i| {
                let level = levels - 1 - i;
                let attends = self.up_block_types[i] == UpBlockType::CrossAttnUpBlockSpatioTemporal;
                UpBlockConfig {
                    prev_output_channel: channels[(level + 1).min(levels - 1)],
                    in_channels: channels[level.saturating_sub(1)],
                    out_channels: channels[level],
                    temb_channels: self.temb_channels(),
                    num_layers: self.layers_per_block.at(level) + 1,
                    attention: attends.then(|| self.attention(level)),
                    add_upsample: level > 0,
                }
                .init(device)
            })
            .collect()
    }

    pub(crate) fn init_time_embedding<B: Backend>(
        &self,
        device: &B::Device,
    ) -> TimestepEmbedding<B> {
        let temb = self.temb_channels();
        TimestepEmbeddingConfig::new(self.block_out_channels[0], temb, temb).init(device)
    }

    pub(crate) fn init_add_embedding<B: Backend>(
        &self,
        device: &B::Device,
    ) -> TimestepEmbedding<B> {
        let temb = self.temb_channels();
        TimestepEmbeddingConfig::new(self.projection_class_embeddings_input_dim, temb, temb)
            .init(device)
    }

    /// Initialises the network as PyTorch does.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(
        &self,
        device: &B::Device,
    ) -> Result<UNetSpatioTemporalConditionModel<B>> {
        self.validate("unet/config.json")?;
        let first = self.block_out_channels[0];
        Ok(UNetSpatioTemporalConditionModel {
            conv_in: conv3x3(self.in_channels, first, device),
            time_embedding: self.init_time_embedding(device),
            add_embedding: self.init_add_embedding(device),
            down_blocks: self.init_down_blocks(device),
            mid_block: self.init_mid_block(device),
            up_blocks: self.init_up_blocks(device),
            conv_norm_out: group_norm(NORM_GROUPS, first, 1e-5, device),
            conv_out: conv3x3(first, self.out_channels, device),
            addition_time_embed_dim: self.addition_time_embed_dim,
        })
    }
}

/// What a ControlNet adds to a UNet's features, in the order in which the UNet's encoder makes them.
#[derive(Clone, Debug)]
pub struct ControlNetResiduals<B: Backend> {
    /// For `conv_in`, then for every layer and downsampler:
    /// `[batch * frames, channels, height, width]` each.
    pub down: Vec<Tensor<B, 4>>,
    /// For the middle block.
    pub mid: Tensor<B, 4>,
}

/// The denoiser.
#[derive(Module, Debug)]
pub struct UNetSpatioTemporalConditionModel<B: Backend> {
    /// 3x3.
    pub conv_in: Conv2d<B>,
    /// Of the noise level.
    pub time_embedding: TimestepEmbedding<B>,
    /// Of the added ids.
    pub add_embedding: TimestepEmbedding<B>,
    /// From the highest resolution to the lowest.
    pub down_blocks: Vec<DownBlock<B>>,
    /// At the lowest resolution.
    pub mid_block: MidBlock<B>,
    /// From the lowest resolution to the highest.
    pub up_blocks: Vec<UpBlock<B>>,
    /// Before `conv_out`.
    pub conv_norm_out: GroupNorm<B>,
    /// 3x3.
    pub conv_out: Conv2d<B>,
    addition_time_embed_dim: usize,
}

impl<B: Backend> UNetSpatioTemporalConditionModel<B> {
    /// # Shapes
    /// - `sample`: `[batch, frames, in_channels, height, width]`, already scaled for the network
    /// - `timestep`: `[batch]`
    /// - `encoder_hidden_states`: `[batch, tokens, cross_attention_dim]`
    /// - `added_time_ids`: `[batch, ids]`
    /// - output: `[batch, frames, out_channels, height, width]`
    ///
    /// # Panics
    /// If the shapes do not fit each other or the configuration, or the residuals come from a
    /// ControlNet of another configuration (see `ControlNetConfig::check_fits`).
    pub fn forward(
        &self,
        sample: Tensor<B, 5>,
        timestep: Tensor<B, 1>,
        encoder_hidden_states: Tensor<B, 3>,
        added_time_ids: Tensor<B, 2>,
        residuals: Option<ControlNetResiduals<B>>,
    ) -> Tensor<B, 5> {
        let ([batch, frames, _, height, width], own) = (sample.dims(), sample.dtype());
        let x = self.features(
            sample,
            timestep,
            encoder_hidden_states,
            added_time_ids,
            residuals,
            self.up_blocks.len(),
        );
        let x = self.conv_out.apply(norm_silu(&self.conv_norm_out, x));
        let out_channels = x.dims()[1];
        as_type(x, own).reshape([batch, frames, out_channels, height, width])
    }

    /// What the first `up_blocks` blocks of the way up make of the same inputs, in the type of the weights.
    ///
    /// # Shapes
    /// - output: `[batch * frames, channels, height, width]`, those of the block
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn features(
        &self,
        sample: Tensor<B, 5>,
        timestep: Tensor<B, 1>,
        encoder_hidden_states: Tensor<B, 3>,
        added_time_ids: Tensor<B, 2>,
        residuals: Option<ControlNetResiduals<B>>,
        up_blocks: usize,
    ) -> Tensor<B, 4> {
        let [batch, frames, channels, height, width] = sample.dims();
        let temb = TimeInputs {
            time_embedding: &self.time_embedding,
            add_embedding: &self.add_embedding,
            channels: self.conv_in.weight.dims()[0],
            addition_time_embed_dim: self.addition_time_embed_dim,
        }
        .forward(timestep, added_time_ids, frames);
        let weight = self.conv_in.weight.val();
        let context = like(encoder_hidden_states, &weight);

        let x = sample.reshape([batch * frames, channels, height, width]);
        let mut x = self.conv_in.apply(like(x, &weight));
        let mut skips = vec![x.clone()];
        for block in &self.down_blocks {
            x = block.forward(x, &temb, &context, &mut skips);
        }
        x = self.mid_block.forward(x, &temb, &context);
        if let Some(residuals) = residuals {
            assert_eq!(skips.len(), residuals.down.len(), "residuals per feature");
            skips = skips
                .into_iter()
                .zip(residuals.down)
                .map(|(skip, residual)| skip + residual)
                .collect();
            x = x + residuals.mid;
        }
        for block in self.up_blocks.iter().take(up_blocks) {
            x = block.forward(x, &temb, &context, &mut skips);
        }
        x
    }
}
