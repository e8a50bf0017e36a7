//! What the UNet and its ControlNet copy are made of: blocks of one resolution, and the embedding
//! of noise level and added ids (`diffusers.models.unets.unet_3d_blocks`).

use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use crate::nn::attention::{TransformerSpatioTemporalModel, TransformerSpatioTemporalModelConfig};
use crate::nn::embedding::{TimestepEmbedding, timesteps};
use crate::nn::resnet::{
    Downsample2D, Downsample2DConfig, SpatioTemporalResBlock, SpatioTemporalResBlockConfig,
    Upsample2D, Upsample2DConfig,
};
use serde::{Deserialize, Serialize};

/// What a block with attention needs to know beside its channels.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AttentionSetup {
    /// Number of heads.
    pub heads: usize,
    /// Width of the context.
    pub cross_attention_dim: usize,
    /// Pairs of transformer blocks in each attention.
    pub layers: usize,
}

impl AttentionSetup {
    fn init<B: Backend>(
        &self,
        channels: usize,
        device: &B::Device,
    ) -> TransformerSpatioTemporalModel<B> {
        TransformerSpatioTemporalModelConfig::new(channels, self.heads, self.cross_attention_dim)
            .with_num_layers(self.layers)
            .init(device)
    }
}

fn resnet<B: Backend>(
    channels: [usize; 2],
    temb_channels: usize,
    eps: f64,
    device: &B::Device,
) -> SpatioTemporalResBlock<B> {
    SpatioTemporalResBlockConfig::new(channels[0], channels[1])
        .with_temb_channels(Some(temb_channels))
        .with_eps(eps)
        .init(device)
}

fn attentions<B: Backend>(
    setup: Option<AttentionSetup>,
    layers: usize,
    channels: usize,
    device: &B::Device,
) -> Option<Vec<TransformerSpatioTemporalModel<B>>> {
    let setup = setup?;
    Some((0..layers).map(|_| setup.init(channels, device)).collect())
}

/// Layer `i` of a block: the residual block and, where there is one, its attention. Shapes as [`MidBlock::forward`].
fn layer<B: Backend>(
    i: usize,
    resnets: &[SpatioTemporalResBlock<B>],
    attentions: Option<&[TransformerSpatioTemporalModel<B>]>,
    x: Tensor<B, 4>,
    temb: &Tensor<B, 2>,
    context: &Tensor<B, 3>,
) -> Tensor<B, 4> {
    let frames = x.dims()[0] / context.dims()[0];
    let x = resnets[i].forward(x, Some(temb.clone()), frames);
    match attentions {
        Some(attentions) => attentions[i].forward(x, context.clone()),
        None => x,
    }
}

/// `CrossAttnDownBlockSpatioTemporal` (with `attentions`) or `DownBlockSpatioTemporal` (without).
#[derive(Module, Debug)]
pub struct DownBlock<B: Backend> {
    /// One after the other, each followed by its attention.
    pub resnets: Vec<SpatioTemporalResBlock<B>>,
    /// One for each of `resnets`, or none.
    pub attentions: Option<Vec<TransformerSpatioTemporalModel<B>>>,
    /// One, to half the resolution; none in the last block.
    pub downsamplers: Option<Vec<Downsample2D<B>>>,
}

/// Where a [`DownBlock`] stands in its network.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct DownBlockConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Width of the time embedding.
    pub temb_channels: usize,
    /// Number of residual blocks.
    pub num_layers: usize,
    /// Attention after each residual block, if any.
    pub attention: Option<AttentionSetup>,
    /// Whether it ends with half the resolution.
    pub add_downsample: bool,
}

impl DownBlockConfig {
    /// Initialises the block.
    pub fn init<B: Backend>(&self, device: &B::Device) -> DownBlock<B> {
        // diffusers gives the two kinds of block different epsilons.
        let eps = if self.attention.is_some() { 1e-6 } else { 1e-5 };
        let out = self.out_channels;
        DownBlock {
            resnets: (0..self.num_layers)
                .map(|i| {
                    let from = if i == 0 { self.in_channels } else { out };
                    resnet([from, out], self.temb_channels, eps, device)
                })
                .collect(),
            attentions: attentions(self.attention, self.num_layers, out, device),
            downsamplers: self
                .add_downsample
                .then(|| vec![Downsample2DConfig::new(out, out).init(device)]),
        }
    }
}

impl<B: Backend> DownBlock<B> {
    /// Appends the features after each layer and after the downsampler to `skips`.
    ///
    /// # Shapes
    /// - `x`: `[batch * frames, in_channels, height, width]`
    /// - `temb`: `[batch * frames, temb_channels]`
    /// - `context`: `[batch, tokens, cross_attention_dim]`
    /// - output: `[batch * frames, out_channels, height / 2, width / 2]` (undivided without
    ///   downsampler)
    pub fn forward(
        &self,
        x: Tensor<B, 4>,
        temb: &Tensor<B, 2>,
        context: &Tensor<B, 3>,
        skips: &mut Vec<Tensor<B, 4>>,
    ) -> Tensor<B, 4> {
        let mut x = x;
        for i in 0..self.resnets.len() {
            x = layer(
                i,
                &self.resnets,
                self.attentions.as_deref(),
                x,
                temb,
                context,
            );
            skips.push(x.clone());
        }
        for downsampler in self.downsamplers.iter().flatten() {
            x = downsampler.forward(x);
            skips.push(x.clone());
        }
        x
    }
}

/// `UNetMidBlockSpatioTemporal`: residual block, attention, residual block.
#[derive(Module, Debug)]
pub struct MidBlock<B: Backend> {
    /// One.
    pub attentions: Vec<TransformerSpatioTemporalModel<B>>,
    /// Two.
    pub resnets: Vec<SpatioTemporalResBlock<B>>,
}

impl<B: Backend> MidBlock<B> {
    /// Initialises the block.
    pub fn new(
        channels: usize,
        temb_channels: usize,
        attention: AttentionSetup,
        device: &B::Device,
    ) -> Self {
        let resnet = || resnet([channels, channels], temb_channels, 1e-5, device);
        Self {
            attentions: vec![attention.init(channels, device)],
            resnets: vec![resnet(), resnet()],
        }
    }

    /// # Shapes
    /// - `x` and output: `[batch * frames, channels, height, width]`
    /// - `temb`: `[batch * frames, temb_channels]`
    /// - `context`: `[batch, tokens, cross_attention_dim]`
    pub fn forward(
        &self,
        x: Tensor<B, 4>,
        temb: &Tensor<B, 2>,
        context: &Tensor<B, 3>,
    ) -> Tensor<B, 4> {
        let frames = x.dims()[0] / context.dims()[0];
        let mut x = self.resnets[0].forward(x, Some(temb.clone()), frames);
        for (attention, resnet) in self.attentions.iter().zip(&self.resnets[1..]) {
            x = attention.forward(x, context.clone());
            x = resnet.forward(x, Some(temb.clone()), frames);
        }
        x
    }
}

/// `CrossAttnUpBlockSpatioTemporal` (with `attentions`) or `UpBlockSpatioTemporal` (without).
#[derive(Module, Debug)]
pub struct UpBlock<B: Backend> {
    /// One after the other, each followed by its attention.
    pub resnets: Vec<SpatioTemporalResBlock<B>>,
    /// One for each of `resnets`, or none.
    pub attentions: Option<Vec<TransformerSpatioTemporalModel<B>>>,
    /// One, to twice the resolution; none in the last block.
    pub upsamplers: Option<Vec<Upsample2D<B>>>,
}

/// Where an [`UpBlock`] stands in its network.
#[derive(Clone, Copy, Debug)]
pub struct UpBlockConfig {
    /// Channels of the features that come from below.
    pub prev_output_channel: usize,
    /// Channels of the last of its skipped features; the others have `out_channels`.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Width of the time embedding.
    pub temb_channels: usize,
    /// Number of residual blocks.
    pub num_layers: usize,
    /// Attention after each residual block, if any.
    pub attention: Option<AttentionSetup>,
    /// Whether it ends with twice the resolution.
    pub add_upsample: bool,
}

impl UpBlockConfig {
    /// Initialises the block.
    pub fn init<B: Backend>(&self, device: &B::Device) -> UpBlock<B> {
        let out = self.out_channels;
        UpBlock {
            resnets: (0..self.num_layers)
                .map(|i| {
                    let below = if i == 0 {
                        self.prev_output_channel
                    } else {
                        out
                    };
                    let skip = if i + 1 == self.num_layers {
                        self.in_channels
                    } else {
                        out
                    };
                    resnet([below + skip, out], self.temb_channels, 1e-6, device)
                })
                .collect(),
            attentions: attentions(self.attention, self.num_layers, out, device),
            upsamplers: self
                .add_upsample
                .then(|| vec![Upsample2DConfig::new(out, out).init(device)]),
        }
    }
}

impl<B: Backend> UpBlock<B> {
    /// Takes one of `skips` for each layer, last first. Where the block enlarges, it does so to the
    /// size of the next of `skips`, which on the way down may have been odd.
    ///
    /// # Shapes
    /// - `x`: `[batch * frames, prev_output_channel, height, width]`
    /// - `temb`: `[batch * frames, temb_channels]`
    /// - `context`: `[batch, tokens, cross_attention_dim]`
    /// - output: `[batch * frames, out_channels, 2 * height, 2 * width]` (not doubled without
    ///   upsampler)
    ///
    /// # Panics
    /// If `skips` are too few or of other shapes than the encoder of the same network leaves.
    pub fn forward(
        &self,
        x: Tensor<B, 4>,
        temb: &Tensor<B, 2>,
        context: &Tensor<B, 3>,
        skips: &mut Vec<Tensor<B, 4>>,
    ) -> Tensor<B, 4> {
        let mut x = x;
        for i in 0..self.resnets.len() {
            let skip = skips.pop().expect("one skipped feature for each layer");
            x = Tensor::cat(vec![x, skip], 1);
            x = layer(
                i,
                &self.resnets,
                self.attentions.as_deref(),
                x,
                temb,
                context,
            );
        }
        for upsampler in self.upsamplers.iter().flatten() {
            let size = skips.last().map(|next| {
                let [_, _, height, width] = next.dims();
                [height, width]
            });
            x = upsampler.forward(x, size);
        }
        x
    }
}

/// The two embeddings that tell a network how noisy its input is and what clip is wanted.
pub(crate) struct TimeInputs<'a, B: Backend> {
    pub time_embedding: &'a TimestepEmbedding<B>,
    pub add_embedding: &'a TimestepEmbedding<B>,
    /// Width of the sinusoids of the noise level.
    pub channels: usize,
    /// Width of the sinusoids of each added id.
    pub addition_time_embed_dim: usize,
}

impl<B: Backend> TimeInputs<'_, B> {
    /// # Shapes
    /// - `timestep`: `[batch]`
    /// - `added_time_ids`: `[batch, ids]`
    /// - output: `[batch * frames, temb_channels]`
    pub fn forward(
        &self,
        timestep: Tensor<B, 1>,
        added_time_ids: Tensor<B, 2>,
        frames: usize,
    ) -> Tensor<B, 2> {
        let [batch, ids] = added_time_ids.dims();
        let time = timesteps(timestep, self.channels);
        let added = timesteps(
            added_time_ids.reshape([batch * ids]),
            self.addition_time_embed_dim,
        );
        let added = added.reshape([batch, ids * self.addition_time_embed_dim]);
        let embedded = self.time_embedding.forward(time) + self.add_embedding.forward(added);
        let width = embedded.dims()[1];
        embedded
            .unsqueeze_dim::<3>(1)
            .expand([batch, frames, width])
            .reshape([batch * frames, width])
    }
}
