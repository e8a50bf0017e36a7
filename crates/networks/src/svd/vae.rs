//! The autoencoder of Stable Video Diffusion: pictures to latents one by one, latents to frames with
//! layers that look along time (`diffusers.AutoencoderKLTemporalDecoder`).

use crate::fields::Fields;
use crate::nn::attention_block::{AttentionBlock, AttentionBlockConfig};
use crate::nn::layers::Convolution;
use crate::nn::norm::norm_silu;
use crate::nn::resnet::{
    Downsample2D, Downsample2DConfig, MergeStrategy, NORM_GROUPS, ResnetBlock2D, ResnetBlockConfig,
    SpatioTemporalResBlock, SpatioTemporalResBlockConfig, Upsample2D, Upsample2DConfig, conv3x3,
    group_norm,
};
use crate::nn::temporal_conv::{TemporalConv, TemporalConvConfig};
use crate::weights::ModelDir;
use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use dragentity_core::error::Result;
use serde::{Deserialize, Serialize};

/// Epsilon of the group norms in space.
const EPS: f64 = 1e-6;
/// Epsilon of the decoder's group norms along time.
const TEMPORAL_EPS: f64 = 1e-5;
/// The only kind of block that the encoder has.
const DOWN_BLOCK: &str = "DownEncoderBlock2D";
/// Bounds of a configuration that is not taken for garbled.
const MAX_LEVELS: usize = 8;
const MAX_LAYERS: usize = 16;
const MAX_CHANNELS: usize = 8192;

/// Configuration of an [`AutoencoderKLTemporalDecoder`]: diffusers' `config.json`. Fields that are
/// missing have the values of Stable Video Diffusion, unknown ones are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoencoderKLTemporalDecoderConfig {
    /// What diffusers calls the class; written, so that diffusers can load what is trained here.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Channels of a picture.
    pub in_channels: usize,
    /// Channels of a decoded frame.
    pub out_channels: usize,
    /// Kind of each level of the encoder.
    pub down_block_types: Vec<String>,
    /// Channels of each level, finest first; each level but the last halves height and width.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of each level of the encoder; the decoder has one more. With 1, the attention in
    /// the middle of the decoder is never reached (so in diffusers, too), though the file holds it.
    pub layers_per_block: usize,
    /// Groups of the group norms. Not in diffusers, where it is always 32: a narrow network with as many
    /// groups as channels would lose the brightness of the picture in its last norm.
    pub norm_num_groups: usize,
    /// Channels of a latent.
    pub latent_channels: usize,
    /// Side of the pictures in training, in pixels. Not used here.
    pub sample_size: usize,
    /// What latents are multiplied with for the denoiser.
    pub scaling_factor: f64,
    /// Mean of each channel of the latents, subtracted for the denoiser; `None`: nothing is.
    pub latents_mean: Option<Vec<f64>>,
    /// Standard deviation of each channel of the latents; `None`: `scaling_factor` alone.
    pub latents_std: Option<Vec<f64>>,
    /// Whether diffusers must not run it in half precision.
    pub force_upcast: bool,
}

impl Default for AutoencoderKLTemporalDecoderConfig {
    fn default() -> Self {
        Self::new(&[128, 256, 512, 512], 2, 4)
    }
}

impl AutoencoderKLTemporalDecoderConfig {
    /// A configuration for RGB with Stable Video Diffusion's scaling factor.
    pub fn new(
        block_out_channels: &[usize],
        layers_per_block: usize,
        latent_channels: usize,
    ) -> Self {
        Self {
            class_name: "AutoencoderKLTemporalDecoder".to_owned(),
            in_channels: 3,
            out_channels: 3,
            down_block_types: vec![DOWN_BLOCK.to_owned(); block_out_channels.len()],
            block_out_channels: block_out_channels.to_vec(),
            layers_per_block,
            norm_num_groups: NORM_GROUPS,
            latent_channels,
            sample_size: 768,
            scaling_factor: 0.18215,
            latents_mean: None,
            latents_std: None,
            force_upcast: true,
        }
    }

    /// How many pixels a side of a latent's pixel stands for: 8 in Stable Video Diffusion.
    pub fn factor(&self) -> usize {
        1 << self.block_out_channels.len().saturating_sub(1)
    }

    /// Checks that the network can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        let levels = &self.block_out_channels;
        let groups = self.norm_num_groups;
        for (field, value, most) in [
            ("the number of block_out_channels", levels.len(), MAX_LEVELS),
            ("norm_num_groups", groups, MAX_CHANNELS),
            ("layers_per_block", self.layers_per_block, MAX_LAYERS),
            ("in_channels", self.in_channels, MAX_CHANNELS),
            ("out_channels", self.out_channels, MAX_CHANNELS),
            ("latent_channels", self.latent_channels, MAX_CHANNELS),
        ] {
            fields.within(field, value, 1..=most)?;
        }
        fields.all_within("block_out_channels", levels, 1..=MAX_CHANNELS)?;
        fields.grouped("block_out_channels", levels, groups)?;
        if self.down_block_types.len() != levels.len()
            || self.down_block_types.iter().any(|t| t != DOWN_BLOCK)
        {
            return fields.fail(format!(
                "down_block_types must be {DOWN_BLOCK:?}, once for each of the {} levels",
                levels.len()
            ));
        }
        fields.between("scaling_factor", self.scaling_factor, 0.0, 1e6)?;
        for (field, list, above) in [
            ("latents_mean", &self.latents_mean, f64::NEG_INFINITY),
            ("latents_std", &self.latents_std, 0.0),
        ] {
            let Some(list) = list else { continue };
            if list.len() != self.latent_channels {
                return fields.fail(format!(
                    "{field} has {} numbers for {} latent channels",
                    list.len(),
                    self.latent_channels
                ));
            }
            if let Some(v) = list.iter().find(|v| !(v.is_finite() && **v > above)) {
                return fields.fail(format!(
                    "{field} contains {v}; each must be a number above {above}"
                ));
            }
        }
        Ok(())
    }

    /// Creates the network with random parameters, ready for training.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<AutoencoderKLTemporalDecoder<B>> {
        self.validate("vae/config.json")?;
        let moments = 2 * self.latent_channels;
        Ok(AutoencoderKLTemporalDecoder {
            encoder: Encoder::new(self, device),
            decoder: TemporalDecoder::new(self, device),
            quant_conv: Conv2dConfig::new([moments, moments], [1, 1]).init(device),
        })
    }

    /// Creates the half that makes latents.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init_encoder<B: Backend>(&self, device: &B::Device) -> Result<LatentEncoder<B>> {
        let AutoencoderKLTemporalDecoder {
            encoder,
            quant_conv,
            ..
        } = self.init(device)?;
        Ok(LatentEncoder {
            encoder,
            quant_conv,
        })
    }

    /// Latents as the encoder gives them to latents for the denoiser: about zero mean and unit variance.
    ///
    /// # Shapes
    /// - input and output: `[n, latent_channels, height, width]`
    pub fn normalize<B: Backend>(&self, z: Tensor<B, 4>) -> Tensor<B, 4> {
        let device = z.device();
        let z = match per_channel(self.latents_mean.as_deref(), &device) {
            Some(mean) => z - mean,
            None => z,
        };
        let z = match per_channel(self.latents_std.as_deref(), &device) {
            Some(std) => z / std,
            None => z,
        };
        z * self.scaling_factor
    }

    /// The way back from [`normalize`](Self::normalize).
    pub fn denormalize<B: Backend>(&self, z: Tensor<B, 4>) -> Tensor<B, 4> {
        let device = z.device();
        let z = z / self.scaling_factor;
        let z = match per_channel(self.latents_std.as_deref(), &device) {
            Some(std) => z * std,
            None => z,
        };
        match per_channel(self.latents_mean.as_deref(), &device) {
            Some(mean) => z + mean,
            None => z,
        }
    }
}

/// A number for each channel, if there are any, as a tensor that fits latents. `[1, channels, 1, 1]`
fn per_channel<B: Backend>(list: Option<&[f64]>, device: &B::Device) -> Option<Tensor<B, 4>> {
    let list: Vec<f32> = list?.iter().map(|&v| v as f32).collect();
    let shape = [1, list.len(), 1, 1];
    Some(Tensor::from_data(TensorData::new(list, shape), device))
}

/// One level of the encoder.
#[derive(Module, Debug)]
pub struct DownEncoderBlock2D<B: Backend> {
    /// Residual blocks.
    pub resnets: Vec<ResnetBlock2D<B>>,
    /// One, on every level but the last.
    pub downsamplers: Option<Vec<Downsample2D<B>>>,
}

/// The coarsest level of the encoder: block, attention, block.
#[derive(Module, Debug)]
pub struct UNetMidBlock2D<B: Backend> {
    /// Over all pixels.
    pub attentions: Vec<AttentionBlock<B>>,
    /// One more than attentions.
    pub resnets: Vec<ResnetBlock2D<B>>,
}

/// Pictures to the moments of their latents.
#[derive(Module, Debug)]
pub struct Encoder<B: Backend> {
    /// From pixels.
    pub conv_in: Conv2d<B>,
    /// Finest first.
    pub down_blocks: Vec<DownEncoderBlock2D<B>>,
    /// At the coarsest resolution.
    pub mid_block: UNetMidBlock2D<B>,
    /// Before the last convolution.
    pub conv_norm_out: GroupNorm<B>,
    /// To means and logarithms of variances.
    pub conv_out: Conv2d<B>,
}

impl<B: Backend> Encoder<B> {
    fn new(config: &AutoencoderKLTemporalDecoderConfig, device: &B::Device) -> Self {
        let levels = &config.block_out_channels;
        let (first, last) = (levels[0], levels[levels.len() - 1]);
        let resnet = |c_in, c_out| {
            ResnetBlockConfig::new(c_in, c_out)
                .with_eps(EPS)
                .with_norm_num_groups(config.norm_num_groups)
                .init(device)
        };
        let mut channels = first;
        let down_blocks = levels
            .iter()
            .enumerate()
            .map(|(level, &c_out)| {
                let c_in = std::mem::replace(&mut channels, c_out);
                DownEncoderBlock2D {
                    resnets: (0..config.layers_per_block)
                        .map(|i| resnet(if i == 0 { c_in } else { c_out }, c_out))
                        .collect(),
                    downsamplers: (level + 1 < levels.len()).then(|| {
                        let down = Downsample2DConfig::new(c_out, c_out).with_padding(0);
                        vec![down.init(device)]
                    }),
                }
            })
            .collect();
        Self {
            conv_in: conv3x3(config.in_channels, first, device),
            down_blocks,
            mid_block: UNetMidBlock2D {
                attentions: vec![
                    AttentionBlockConfig::new(last)
                        .with_eps(EPS)
                        .with_norm_num_groups(config.norm_num_groups)
                        .init(device),
                ],
                resnets: vec![resnet(last, last), resnet(last, last)],
            },
            conv_norm_out: group_norm(config.norm_num_groups, last, EPS, device),
            conv_out: conv3x3(last, 2 * config.latent_channels, device),
        }
    }

    /// # Shapes
    /// - input: `[n, in_channels, height, width]`
    /// - output: `[n, 2 * latent_channels, height / factor, width / factor]`
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut x = self.conv_in.apply(x);
        for block in &self.down_blocks {
            for resnet in &block.resnets {
                x = resnet.forward(x, None);
            }
            for down in block.downsamplers.iter().flatten() {
                x = down.forward(x);
            }
        }
        for (i, resnet) in self.mid_block.resnets.iter().enumerate() {
            if i > 0
                && let Some(attention) = self.mid_block.attentions.get(i - 1)
            {
                x = attention.forward(x);
            }
            x = resnet.forward(x, None);
        }
        self.conv_out.apply(norm_silu(&self.conv_norm_out, x))
    }
}

/// The coarsest level of the decoder.
#[derive(Module, Debug)]
pub struct MidBlockTemporalDecoder<B: Backend> {
    /// One, between the first two residual blocks.
    pub attentions: Vec<AttentionBlock<B>>,
    /// As many as a level of the encoder has.
    pub resnets: Vec<SpatioTemporalResBlock<B>>,
}

/// One level of the decoder.
#[derive(Module, Debug)]
pub struct UpBlockTemporalDecoder<B: Backend> {
    /// One more than a level of the encoder has.
    pub resnets: Vec<SpatioTemporalResBlock<B>>,
    /// One, on every level but the finest.
    pub upsamplers: Option<Vec<Upsample2D<B>>>,
}

/// Latents to frames, each aware of its neighbours in time.
#[derive(Module, Debug)]
pub struct TemporalDecoder<B: Backend> {
    /// From latents.
    pub conv_in: Conv2d<B>,
    /// At the coarsest resolution.
    pub mid_block: MidBlockTemporalDecoder<B>,
    /// Coarsest first.
    pub up_blocks: Vec<UpBlockTemporalDecoder<B>>,
    /// Before the last convolutions.
    pub conv_norm_out: GroupNorm<B>,
    /// To pixels.
    pub conv_out: Conv2d<B>,
    /// Over the pixels of three frames.
    pub time_conv_out: TemporalConv<B>,
}

impl<B: Backend> TemporalDecoder<B> {
    fn new(config: &AutoencoderKLTemporalDecoderConfig, device: &B::Device) -> Self {
        let levels = &config.block_out_channels;
        let (first, last) = (levels[0], levels[levels.len() - 1]);
        let resnet = |c_in, c_out| {
            SpatioTemporalResBlockConfig::new(c_in, c_out)
                .with_eps(EPS)
                .with_temporal_eps(Some(TEMPORAL_EPS))
                .with_merge_factor(0.0)
                .with_merge_strategy(MergeStrategy::Learned)
                .with_switch_spatial_to_temporal_mix(true)
                .with_norm_num_groups(config.norm_num_groups)
                .init(device)
        };
        let mut channels = last;
        let up_blocks = levels
            .iter()
            .enumerate()
            .rev()
            .map(|(level, &c_out)| {
                let c_in = std::mem::replace(&mut channels, c_out);
                UpBlockTemporalDecoder {
                    resnets: (0..=config.layers_per_block)
                        .map(|i| resnet(if i == 0 { c_in } else { c_out }, c_out))
                        .collect(),
                    upsamplers: (level > 0)
                        .then(|| vec![Upsample2DConfig::new(c_out, c_out).init(device)]),
                }
            })
            .collect();
        let out = config.out_channels;
        Self {
            conv_in: conv3x3(config.latent_channels, last, device),
            mid_block: MidBlockTemporalDecoder {
                attentions: vec![
                    AttentionBlockConfig::new(last)
                        .with_eps(EPS)
                        .with_norm_num_groups(config.norm_num_groups)
                        .init(device),
                ],
                resnets: (0..config.layers_per_block)
                    .map(|_| resnet(last, last))
                    .collect(),
            },
            up_blocks,
            conv_norm_out: group_norm(config.norm_num_groups, first, EPS, device),
            conv_out: conv3x3(first, out, device),
            time_conv_out: TemporalConvConfig::new(out, out).init(device),
        }
    }

    /// # Shapes
    /// - `z`: `[batch * frames, latent_channels, height, width]`
    /// - output: `[batch * frames, out_channels, height * factor, width * factor]`
    ///
    /// # Panics
    /// If the first dimension is no multiple of `num_frames`.
    pub fn forward(&self, z: Tensor<B, 4>, num_frames: usize) -> Tensor<B, 4> {
        let mut x = self.conv_in.apply(z);
        for (i, resnet) in self.mid_block.resnets.iter().enumerate() {
            if i > 0
                && let Some(attention) = self.mid_block.attentions.get(i - 1)
            {
                x = attention.forward(x);
            }
            // diffusers pairs the further blocks with attentions and drops those without a partner.
            if i > self.mid_block.attentions.len() {
                break;
            }
            x = resnet.forward(x, None, num_frames);
        }
        for block in &self.up_blocks {
            for resnet in &block.resnets {
                x = resnet.forward(x, None, num_frames);
            }
            for up in block.upsamplers.iter().flatten() {
                x = up.forward(x, None);
            }
        }
        let x = self.conv_out.apply(norm_silu(&self.conv_norm_out, x));
        self.time_conv_out.forward(x, num_frames)
    }
}

/// The half of an autoencoder that makes latents. Stable Diffusion's (`AutoencoderKL`) has the same under the same
/// names; only its decoder is another.
#[derive(Module, Debug)]
pub struct LatentEncoder<B: Backend> {
    /// Pictures to moments.
    pub encoder: Encoder<B>,
    /// The last layer of the encoder.
    pub quant_conv: Conv2d<B>,
}

impl<B: Backend> LatentEncoder<B> {
    /// As [`AutoencoderKLTemporalDecoder::encode`].
    pub fn encode(&self, x: Tensor<B, 4>) -> (Tensor<B, 4>, Tensor<B, 4>) {
        moments(&self.encoder, &self.quant_conv, x)
    }
}

/// Mean and logarithm of the variance.
fn moments<B: Backend>(
    encoder: &Encoder<B>,
    quant_conv: &Conv2d<B>,
    x: Tensor<B, 4>,
) -> (Tensor<B, 4>, Tensor<B, 4>) {
    let moments = quant_conv.apply(encoder.forward(x));
    let channels = moments.dims()[1] / 2;
    let mean = moments.clone().narrow(1, 0, channels);
    let logvar = moments.narrow(1, channels, channels);
    (mean, logvar.clamp(-30.0, 20.0))
}

/// The autoencoder.
#[derive(Module, Debug)]
pub struct AutoencoderKLTemporalDecoder<B: Backend> {
    /// Pictures to moments.
    pub encoder: Encoder<B>,
    /// Latents to frames.
    pub decoder: TemporalDecoder<B>,
    /// The last layer of the encoder.
    pub quant_conv: Conv2d<B>,
}

impl<B: Backend> AutoencoderKLTemporalDecoder<B> {
    /// Reads configuration and weights from `part` of `dir`, with `progress(bytes read, bytes in all or 0)`.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`] and [`dragentity_core::Error::Io`], naming the file.
    pub async fn load(
        dir: &ModelDir,
        part: &str,
        device: &B::Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Self, AutoencoderKLTemporalDecoderConfig)> {
        let config: AutoencoderKLTemporalDecoderConfig = dir.read_config(part).await?;
        config.validate(&dir.file(part, "config.json"))?;
        let (vae, _) = dir.load(part, config.init::<B>(device)?, progress).await?;
        Ok((vae, config))
    }

    /// Mean and logarithm of the variance of each picture's latent, neither scaled nor shifted.
    ///
    /// # Shapes
    /// - `x`: `[n, in_channels, height, width]`, from -1 to 1; height and width multiples of the factor,
    ///   or rows and columns at the end are lost
    /// - both results: `[n, latent_channels, height / factor, width / factor]`
    pub fn encode(&self, x: Tensor<B, 4>) -> (Tensor<B, 4>, Tensor<B, 4>) {
        moments(&self.encoder, &self.quant_conv, x)
    }

    /// Frames from latents; those of a clip are decoded together.
    ///
    /// # Shapes
    /// - `z`: `[batch * frames, latent_channels, height, width]`
    /// - output: `[batch * frames, out_channels, height * factor, width * factor]`, about -1 to 1
    ///
    /// # Panics
    /// If the first dimension is no multiple of `num_frames`.
    pub fn decode(&self, z: Tensor<B, 4>, num_frames: usize) -> Tensor<B, 4> {
        self.decoder.forward(z, num_frames)
    }

    /// The frames of one clip, `at_once` (at least one) of them decoded together, in pieces that are computed
    /// as they are asked for. Fewer take less memory; the layers that look along time then see fewer.
    ///
    /// # Shapes
    /// - `z`: `[frames, latent_channels, height, width]`
    /// - output: `[up to at_once, out_channels, height * factor, width * factor]` each
    pub fn decode_in_chunks(
        &self,
        z: Tensor<B, 4>,
        at_once: usize,
    ) -> impl Iterator<Item = Tensor<B, 4>> {
        let (frames, at_once) = (z.dims()[0], at_once.max(1));
        (0..frames).step_by(at_once).map(move |start| {
            let count = at_once.min(frames - start);
            self.decode(z.clone().narrow(0, start, count), count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_garbled_configuration_names_its_field() {
        let good = AutoencoderKLTemporalDecoderConfig::new(&[32, 64], 1, 4);
        good.validate("x").unwrap();
        type Spoil = fn(&mut AutoencoderKLTemporalDecoderConfig);
        let cases: [(&str, Spoil); 9] = [
            ("block_out_channels", |c| c.block_out_channels.clear()),
            ("block_out_channels", |c| c.block_out_channels[0] = 33),
            ("block_out_channels", |c| c.block_out_channels[1] = 1 << 40),
            ("down_block_types", |c| {
                c.down_block_types[1] = "AttnDownBlock2D".into();
            }),
            ("layers_per_block", |c| c.layers_per_block = 0),
            ("latent_channels", |c| c.latent_channels = 0),
            ("scaling_factor", |c| c.scaling_factor = f64::NAN),
            ("latents_mean", |c| c.latents_mean = Some(vec![0.0; 3])),
            ("latents_std", |c| {
                c.latents_std = Some(vec![1.0, 1.0, 0.0, 1.0]);
            }),
        ];
        for (field, garble) in cases {
            let mut config = good.clone();
            garble(&mut config);
            let error = config.validate("some/config.json").unwrap_err().to_string();
            assert!(
                error.contains(field) && error.contains("some/config.json"),
                "{field}: {error}"
            );
        }
    }

    #[test]
    fn a_configuration_may_be_partial_and_have_unknown_fields() {
        let config: AutoencoderKLTemporalDecoderConfig =
            serde_json::from_str(r#"{"scaling_factor": 0.5, "_diffusers_version": "0.24"}"#)
                .unwrap();
        let svd = AutoencoderKLTemporalDecoderConfig {
            scaling_factor: 0.5,
            ..Default::default()
        };
        assert_eq!(config, svd);
    }
}
