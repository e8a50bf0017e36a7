//! The ControlNet that steers the UNet along trajectories: a copy of the UNet's encoder that also
//! sees the conditions, under the tensor names of DragAnything's public weights.
//!
//! Three conditions, each at full resolution unless said otherwise, are encoded to the latents'
//! resolution, summed and added after `conv_in`: the entity map (each entity's feature vector, over
//! a disc around its point of the trajectory), the heat map (Gaussians around the same points), and
//! optionally the first frame's latents moved along the trajectories, at latent resolution.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, PaddingConfig2d};
use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::fields::Fields;
use crate::nn::embedding::TimestepEmbedding;
use crate::nn::layers::{Convolution, silu};
use crate::nn::precision::like;
use crate::nn::resnet::conv3x3;
use crate::svd::blocks::{DownBlock, MidBlock, TimeInputs};
use crate::svd::unet::{ControlNetResiduals, MAX_CHANNELS, UNetConfig};
use dragentity_core::error::{Error, Result};

/// Most values of the condition encoders' channels; every one after the first halves the resolution.
const MAX_HALVINGS: usize = 8;

/// `config.json` of the ControlNet: the UNet's fields and those of the condition encoders. Missing
/// fields take DragAnything's values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ControlNetConfig {
    /// The UNet whose encoder is copied.
    #[serde(flatten)]
    pub unet: UNetConfig,
    /// Channels of the heat map.
    pub conditioning_channels: usize,
    /// Channels of the heat map's encoder; every value after the first halves the resolution.
    pub conditioning_embedding_out_channels: Vec<usize>,
    /// The same for the entity map's encoder; the first value is the entity map's own width.
    pub feature_embedding_out_channels: Vec<usize>,
    /// Channels of the moved latents; `None`: no such condition.
    pub moved_latent_channels: Option<usize>,
    /// Whether to start without any effect on the UNet (for a UNet that is trained already), or
    /// with random last layers (for training both from scratch).
    pub zero_init: bool,
    /// DragAnything's UNet adds the residuals again after each of its blocks, so that a feature of
    /// level `l` of `n` gets its own `n - l` times. Its weights were trained that way.
    pub accumulate_residuals: bool,
}

impl Default for ControlNetConfig {
    fn default() -> Self {
        Self {
            unet: UNetConfig {
                class_name: "DragAnythingSDVModel".into(),
                ..UNetConfig::default()
            },
            conditioning_channels: 3,
            conditioning_embedding_out_channels: vec![16, 32, 96, 256],
            feature_embedding_out_channels: vec![160, 160, 256, 256],
            moved_latent_channels: None,
            zero_init: true,
            accumulate_residuals: true,
        }
    }
}

impl ControlNetConfig {
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

    /// How many pixels of the maps make one of the latents, each way: 8 for Stable Video Diffusion.
    pub fn downscale(&self) -> usize {
        1 << (self.conditioning_embedding_out_channels.len().max(1) - 1)
    }

    /// Channels of the entity map.
    pub fn entity_channels(&self) -> usize {
        self.feature_embedding_out_channels[0]
    }

    /// Checks that the network can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        self.unet.validate(name)?;
        let fields = Fields::of(name);
        let heat = &self.conditioning_embedding_out_channels;
        let entity = &self.feature_embedding_out_channels;
        fields.within(
            "the number of conditioning_embedding_out_channels",
            heat.len(),
            1..=MAX_HALVINGS,
        )?;
        if heat.len() != entity.len() {
            return fields.fail(format!(
                "conditioning_embedding_out_channels has {} values and feature_embedding_out_channels {}: both must \
                 have as many",
                heat.len(),
                entity.len()
            ));
        }
        let channels = 1..=MAX_CHANNELS;
        for (field, list) in [
            ("conditioning_embedding_out_channels", heat),
            ("feature_embedding_out_channels", entity),
        ] {
            fields.all_within(field, list, channels.clone())?;
        }
        fields.within(
            "conditioning_channels",
            self.conditioning_channels,
            channels.clone(),
        )?;
        match self.moved_latent_channels {
            Some(n) => fields.within("moved_latent_channels", n, channels),
            None => Ok(()),
        }
    }

    /// Checks that the residuals fit a UNet; `name` is what the error calls this configuration.
    ///
    /// # Errors
    /// [`Error::Model`] if the residuals would not fit a UNet of configuration `unet`.
    pub fn check_fits(&self, name: &str, unet: &UNetConfig) -> Result<()> {
        let same = self.unet.in_channels == unet.in_channels
            && self.unet.block_out_channels == unet.block_out_channels
            && self.unet.skip_channels() == unet.skip_channels()
            && (0..unet.block_out_channels.len()).all(|level| {
                // As one number for all levels, or as a list.
                self.unet.cross_attention_dim.at(level) == unet.cross_attention_dim.at(level)
            })
            && self.unet.added_ids() == unet.added_ids();
        if same {
            return Ok(());
        }
        Fields::of(name)
            .fail("the ControlNet was made for a UNet with other channels or layers than this one")
    }

    /// Initialises the network. To start from a trained UNet, load its weights into the result as
    /// well: the names of the copied encoder are the same.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<ControlNet<B>> {
        self.validate("controlnet/config.json")?;
        let unet = &self.unet;
        let first = unet.block_out_channels[0];
        let last = *unet.block_out_channels.last().unwrap_or(&first);
        let conv1x1 = |n: usize| self.last_conv([n, n], 1, device);
        Ok(ControlNet {
            conv_in: conv3x3(unet.in_channels, first, device),
            time_embedding: unet.init_time_embedding(device),
            add_embedding: unet.init_add_embedding(device),
            controlnet_cond_embedding: self.init_conditions(device),
            moved_latent_embedding: self.moved_latent_channels.map(|c| MovedLatentEmbedding {
                conv_in: conv3x3(c, first, device),
                conv_out: self.last_conv([first, first], 3, device),
            }),
            down_blocks: unet.init_down_blocks(device),
            mid_block: unet.init_mid_block(device),
            controlnet_down_blocks: unet.skip_channels().into_iter().map(conv1x1).collect(),
            controlnet_mid_block: conv1x1(last),
            addition_time_embed_dim: unet.addition_time_embed_dim,
            repeats: self.repeats(),
        })
    }

    /// How often the UNet of the weights adds each residual.
    fn repeats(&self) -> Vec<usize> {
        let levels = self.unet.block_out_channels.len();
        let times = |level: Option<usize>| match level {
            Some(level) if self.accumulate_residuals => levels - level,
            None if self.accumulate_residuals => levels,
            _ => 1,
        };
        self.unet.skip_levels().into_iter().map(times).collect()
    }

    fn init_conditions<B: Backend>(&self, device: &B::Device) -> ConditionEmbedding<B> {
        let first = self.unet.block_out_channels[0];
        let heat = &self.conditioning_embedding_out_channels;
        let entity = &self.feature_embedding_out_channels;
        let last = |widths: &[usize]| widths.last().copied().unwrap_or(first);
        ConditionEmbedding {
            conv_in: conv3x3(self.conditioning_channels, heat[0], device),
            blocks: halving_convs(heat, device),
            conv_out: self.last_conv([last(heat), first], 3, device),
            blocks_feature: halving_convs(entity, device),
            conv_out_feature: self.last_conv([last(entity), first], 3, device),
        }
    }

    /// A convolution through which a condition or a residual first takes effect.
    fn last_conv<B: Backend>(
        &self,
        channels: [usize; 2],
        size: usize,
        device: &B::Device,
    ) -> Conv2d<B> {
        let pad = size / 2;
        let conv = Conv2dConfig::new(channels, [size, size])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad));
        if self.zero_init {
            conv.with_initializer(Initializer::Zeros).init(device)
        } else {
            conv.init(device)
        }
    }
}

/// Pairs of 3x3 convolutions: one that keeps the channels, one to the next width at half the
/// resolution.
fn halving_convs<B: Backend>(widths: &[usize], device: &B::Device) -> Vec<Conv2d<B>> {
    widths
        .windows(2)
        .flat_map(|w| {
            let halve = Conv2dConfig::new([w[0], w[1]], [3, 3])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
            [conv3x3(w[0], w[0], device), halve.init(device)]
        })
        .collect()
}

/// What the ControlNet sees beside the UNet's own input.
#[derive(Clone, Debug)]
pub struct Conditions<B: Backend> {
    /// `[batch, frames, entity channels, height, width]` in pixels of the picture.
    pub entity_map: Tensor<B, 5>,
    /// `[batch, frames, conditioning channels, height, width]` in pixels of the picture.
    pub heat_map: Tensor<B, 5>,
    /// `[batch, frames, latent channels, height, width]` at latent resolution.
    pub moved_latents: Option<Tensor<B, 5>>,
}

/// The encoders of heat map (`conv_in`, `blocks`, `conv_out`) and entity map (`blocks_feature`,
/// `conv_out_feature`).
#[derive(Module, Debug)]
pub struct ConditionEmbedding<B: Backend> {
    /// Heat map to the first width.
    pub conv_in: Conv2d<B>,
    /// To latent resolution.
    pub blocks: Vec<Conv2d<B>>,
    /// To the UNet's first width.
    pub conv_out: Conv2d<B>,
    /// Entity map to latent resolution.
    pub blocks_feature: Vec<Conv2d<B>>,
    /// To the UNet's first width.
    pub conv_out_feature: Conv2d<B>,
}

impl<B: Backend> ConditionEmbedding<B> {
    /// # Shapes
    /// - `heat_map`: `[n, conditioning channels, height, width]`
    /// - `entity_map`: `[n, entity channels, height, width]`
    /// - output: `[n, channels, height / downscale, width / downscale]`
    pub fn forward(&self, heat_map: Tensor<B, 4>, entity_map: Tensor<B, 4>) -> Tensor<B, 4> {
        let weight = self.conv_in.weight.val();
        let (heat_map, entity_map) = (like(heat_map, &weight), like(entity_map, &weight));
        let run = |x, convs: &[Conv2d<B>]| convs.iter().fold(x, |x, conv| silu(conv.apply(x)));
        let heat = run(silu(self.conv_in.apply(heat_map)), &self.blocks);
        let entity = run(entity_map, &self.blocks_feature);
        self.conv_out.apply(heat) + self.conv_out_feature.apply(entity)
    }
}

/// Encoder of the first frame's latents moved along the trajectories.
#[derive(Module, Debug)]
pub struct MovedLatentEmbedding<B: Backend> {
    /// 3x3, to the UNet's first width.
    pub conv_in: Conv2d<B>,
    /// 3x3.
    pub conv_out: Conv2d<B>,
}

/// The ControlNet.
#[derive(Module, Debug)]
pub struct ControlNet<B: Backend> {
    /// 3x3.
    pub conv_in: Conv2d<B>,
    /// Of the noise level.
    pub time_embedding: TimestepEmbedding<B>,
    /// Of the added ids.
    pub add_embedding: TimestepEmbedding<B>,
    /// Of heat map and entity map.
    pub controlnet_cond_embedding: ConditionEmbedding<B>,
    /// Of the moved latents; not in DragAnything.
    pub moved_latent_embedding: Option<MovedLatentEmbedding<B>>,
    /// As the UNet's.
    pub down_blocks: Vec<DownBlock<B>>,
    /// As the UNet's.
    pub mid_block: MidBlock<B>,
    /// 1x1, one for each feature.
    pub controlnet_down_blocks: Vec<Conv2d<B>>,
    /// 1x1.
    pub controlnet_mid_block: Conv2d<B>,
    addition_time_embed_dim: usize,
    repeats: Vec<usize>,
}

impl<B: Backend> ControlNet<B> {
    /// Encodes the conditions. They are the same at every denoising step, so that a sampler calls
    /// this once.
    ///
    /// # Shapes
    /// - output: `[batch * frames, channels, latent height, latent width]`
    ///
    /// # Errors
    /// [`Error::Job`] if the maps' shapes do not fit each other, or moved latents are missing that
    /// the network wants.
    pub fn embed_conditions(&self, conditions: &Conditions<B>) -> Result<Tensor<B, 4>> {
        let (heat, entity) = (&conditions.heat_map, &conditions.entity_map);
        let [batch, frames, _, height, width] = heat.dims();
        let others = entity.dims();
        if [batch, frames, height, width] != [others[0], others[1], others[3], others[4]] {
            return Err(Error::Job(format!(
                "heat map {:?} and entity map {others:?} must agree but for their channels",
                heat.dims()
            )));
        }
        let embedded = self
            .controlnet_cond_embedding
            .forward(fold_frames(heat), fold_frames(entity));
        match (&self.moved_latent_embedding, &conditions.moved_latents) {
            (None, _) => Ok(embedded),
            (Some(_), None) => Err(Error::Job(
                "this ControlNet needs the moved latents: pass them with the conditions".into(),
            )),
            (Some(encoder), Some(moved)) => {
                let moved = like(fold_frames(moved), &encoder.conv_in.weight.val());
                let moved = silu(encoder.conv_in.apply(moved));
                Ok(embedded + encoder.conv_out.apply(moved))
            }
        }
    }

    /// [`Self::embed_conditions`] and [`Self::forward_embedded`] in one.
    ///
    /// # Shapes
    /// As theirs.
    ///
    /// # Errors
    /// As [`Self::embed_conditions`].
    pub fn forward(
        &self,
        sample: Tensor<B, 5>,
        timestep: Tensor<B, 1>,
        encoder_hidden_states: Tensor<B, 3>,
        added_time_ids: Tensor<B, 2>,
        conditions: &Conditions<B>,
        conditioning_scale: f64,
    ) -> Result<ControlNetResiduals<B>> {
        let embedded = self.embed_conditions(conditions)?;
        Ok(self.forward_embedded(
            sample,
            timestep,
            encoder_hidden_states,
            added_time_ids,
            embedded,
            conditioning_scale,
        ))
    }

    /// # Shapes
    /// - `sample`: `[batch, frames, in_channels, height, width]`, already scaled for the network
    /// - `timestep`: `[batch]`
    /// - `encoder_hidden_states`: `[batch, tokens, cross_attention_dim]`
    /// - `added_time_ids`: `[batch, ids]`
    /// - `embedded`: `[batch * frames, channels, height, width]`, from [`Self::embed_conditions`]
    ///
    /// # Panics
    /// If the shapes do not fit each other or the configuration.
    pub fn forward_embedded(
        &self,
        sample: Tensor<B, 5>,
        timestep: Tensor<B, 1>,
        encoder_hidden_states: Tensor<B, 3>,
        added_time_ids: Tensor<B, 2>,
        embedded: Tensor<B, 4>,
        conditioning_scale: f64,
    ) -> ControlNetResiduals<B> {
        let temb = TimeInputs {
            time_embedding: &self.time_embedding,
            add_embedding: &self.add_embedding,
            channels: self.conv_in.weight.dims()[0],
            addition_time_embed_dim: self.addition_time_embed_dim,
        }
        .forward(timestep, added_time_ids, sample.dims()[1]);
        let weight = self.conv_in.weight.val();
        let context = like(encoder_hidden_states, &weight);

        let mut x = self.conv_in.apply(like(fold_frames(&sample), &weight)) + embedded;
        let mut features = vec![x.clone()];
        for block in &self.down_blocks {
            x = block.forward(x, &temb, &context, &mut features);
        }
        x = self.mid_block.forward(x, &temb, &context);

        let down = features
            .into_iter()
            .zip(&self.controlnet_down_blocks)
            .zip(&self.repeats)
            .map(|((x, conv), &times)| scaled(conv.apply(x), conditioning_scale * times as f64))
            .collect();
        let mid = scaled(self.controlnet_mid_block.apply(x), conditioning_scale);
        ControlNetResiduals { down, mid }
    }
}

/// `x * scale`, without touching the tensor where the scale is 1.
fn scaled<B: Backend>(x: Tensor<B, 4>, scale: f64) -> Tensor<B, 4> {
    if scale == 1.0 { x } else { x * scale }
}

/// `[batch, frames, channels, height, width]` to `[batch * frames, channels, height, width]`.
fn fold_frames<B: Backend>(x: &Tensor<B, 5>) -> Tensor<B, 4> {
    let [batch, frames, channels, height, width] = x.dims();
    x.clone().reshape([batch * frames, channels, height, width])
}
