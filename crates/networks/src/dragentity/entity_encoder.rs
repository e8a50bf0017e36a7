//! The entity encoder: MobileSAM's image encoder over the first frame, as it was distilled from SAM's ViT-H, and frozen.
//! Its features are what entities are described by.
//!
//! - features V (the paper's section 3.2) at a quarter of the resolution, pooled under each mask; what of them matters, the
//!   relation module's first layer learns;
//! - context tokens, for the UNet's cross-attention: the same at an eighth, and where each lies. What of them matters, the
//!   attention's keys and values learn.
//!
//! The encoder's pixels are 16 times smaller than its picture's, so that the picture is enlarged for it.

use crate::fields::Fields;
use crate::sam::tiny_vit::{STRIDE, TinyViT, TinyViTConfig};
use crate::sam::{ImageEncoder, normalized};
use crate::weights::{ModelDir, Weights};
use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::module::{avg_pool2d, interpolate};
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData};
use dragentity_core::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f32::consts::PI;

/// The folder of a model that is about it.
pub const PART: &str = "entity_encoder";
/// Heights and widths must be multiples of this.
pub const SIZE_MULTIPLE: usize = 8;
/// V's resolution is the picture's divided by this.
pub const FEATURE_STRIDE: usize = 4;
/// What MobileSAM's embedding is multiplied by: its values have a deviation of 0.09, and what learns from them, and stands beside
/// them in a token, wants about 1.
const SCALE: f32 = 10.0;
/// Sines and cosines at this many octaves, along x and along y, tell a token where it lies.
const POSITION_OCTAVES: usize = 4;
/// Values that tell a token where it lies.
const POSITION: usize = 4 * POSITION_OCTAVES;

/// Far above any sensible size; keeps a garbled configuration from asking for all memory.
const MAX_SIZE: usize = 4096;

/// `entity_encoder/config.json`; missing fields take their defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EntityEncoderConfig {
    /// MobileSAM's weights, relative to the model's directory: models that lie beside them share them. `None`: they are in the
    /// folder of this configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Channels of V: of MobileSAM's embedding.
    pub feature_dim: usize,
}

impl Default for EntityEncoderConfig {
    fn default() -> Self {
        Self {
            weights: None,
            feature_dim: 256,
        }
    }
}

impl EntityEncoderConfig {
    /// Checks it; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        fields.within("feature_dim", self.feature_dim, 1..=MAX_SIZE)?;
        if self.weights.as_ref().is_some_and(String::is_empty) {
            return fields.fail("weights names no file: leave it out, or name MobileSAM's");
        }
        Ok(())
    }

    /// Channels of a context token: the UNet's `cross_attention_dim`.
    pub fn token_dim(&self) -> usize {
        self.feature_dim + POSITION
    }

    /// The network as large as MobileSAM's, its weights random.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<EntityEncoder<B>> {
        self.validate(&format!("{PART}/config.json"))?;
        let sizes = TinyViTConfig {
            out_chans: self.feature_dim,
            ..TinyViTConfig::default()
        };
        let network = Box::new(sizes.init(device)?);
        Ok(EntityEncoder { network })
    }

    /// Reads MobileSAM's weights, as a model in `dir` names them; where they are read from a disk or fetched,
    /// `progress(bytes read, bytes in all or 0)` is told.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::Io`] naming the file that is missing or not MobileSAM's.
    pub async fn load<B: Backend>(
        &self,
        dir: &ModelDir,
        device: &B::Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<EntityEncoder<B>> {
        let weights = match &self.weights {
            Some(file) => Weights::open(&dir.file("", file), progress).await?,
            None => dir.read_weights(PART, progress).await?,
        };
        let file = weights.name().to_owned();
        let found = match Box::pin(ImageEncoder::load(&weights, device, progress)).await? {
            ImageEncoder::Tiny(network) => network,
            ImageEncoder::Vit(_) => {
                return Err(Error::Model {
                    name: file,
                    reason: "these are SAM's weights, and entities are described by MobileSAM's: take mobile_sam.pt, or what \
                             scripts/fetch-mobile-sam makes of it"
                        .into(),
                });
            }
        };
        if found.channels() != self.feature_dim {
            return Err(Error::Model {
                name: file,
                reason: format!(
                    "its embedding has {} channels, and {} says feature_dim {}",
                    found.channels(),
                    dir.file(PART, "config.json"),
                    self.feature_dim
                ),
            });
        }
        Ok(EntityEncoder { network: found })
    }
}

/// From [`EntityEncoderConfig::load`].
#[derive(Clone, Debug)]
pub struct EntityEncoder<B: Backend> {
    /// On the heap: it is large, and so is what holds it and is handed on.
    network: Box<TinyViT<B>>,
}

/// What [`EntityEncoder::encode`] knows about a picture.
#[derive(Clone, Debug)]
pub struct EncoderOutput<B: Backend> {
    /// V, `[batch, feature_dim, height / 4, width / 4]`.
    pub features: Tensor<B, 4>,
    /// Context for cross-attention, `[batch, height / 8 * width / 8, feature_dim + 16]`, row by row.
    pub tokens: Tensor<B, 3>,
}

impl<B: Backend> EntityEncoder<B> {
    /// A copy of it on another device.
    pub fn on(&self, device: &B::Device) -> Self {
        let network = (*self.network).clone().to_device(device);
        Self {
            network: Box::new(network),
        }
    }

    /// Once for each picture.
    ///
    /// # Shapes
    /// - picture: `[batch, 3, height, width]`, -1..1, height and width multiples of 8
    ///
    /// # Panics
    /// If height or width is not a multiple of 8.
    pub fn encode(&self, picture: Tensor<B, 4>) -> EncoderOutput<B> {
        let [_, _, height, width] = picture.dims();
        assert!(
            height % SIZE_MULTIPLE == 0 && width % SIZE_MULTIPLE == 0,
            "entity encoder: {width}x{height} is not a multiple of {SIZE_MULTIPLE}"
        );
        let enlarged = [height, width].map(|side| side * STRIDE / FEATURE_STRIDE);
        let options = InterpolateOptions::new(InterpolateMode::Bilinear);
        let picture = interpolate(picture, enlarged, options.with_align_corners(false));
        let features = self.network.forward(normalized(picture)) * SCALE;
        EncoderOutput {
            tokens: tokens(features.clone()),
            features,
        }
    }
}

/// `[batch, channels, height / 4, width / 4]` to `[batch, height / 8 * width / 8, channels + POSITION]`.
fn tokens<B: Backend>(features: Tensor<B, 4>) -> Tensor<B, 3> {
    let eighth = avg_pool2d(features, [2, 2], [2, 2], [0, 0], true, false);
    let [batch, channels, height, width] = eighth.dims();
    let position = Tensor::<B, 3>::from_data(
        TensorData::new(positions(height, width), [1, height * width, POSITION]),
        &eighth.device(),
    )
    .expand([batch, height * width, POSITION]);
    let flat = eighth
        .reshape([batch, channels, height * width])
        .swap_dims(1, 2);
    Tensor::cat(vec![flat, position], 2)
}

/// `[height * width, POSITION]`: sines and cosines of x and y, as fractions of the picture, at octaves from half a period on.
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;
    use burn::tensor::Distribution;

    type B = Flex;

    /// As small as it gets.
    fn encoder() -> EntityEncoder<B> {
        let config = TinyViTConfig {
            img_size: 64,
            embed_dims: [8; 4],
            depths: [1; 4],
            conv_dim: 8,
            num_heads: [1, 2, 2],
            window_sizes: [3, 4, 3],
            mlp_dims: [8; 3],
            out_chans: 12,
        };
        EntityEncoder {
            network: Box::new(config.init(&Default::default()).unwrap()),
        }
    }

    fn picture(batch: usize, height: usize, width: usize) -> Tensor<B, 4> {
        let range = Distribution::Uniform(-1.0, 1.0);
        Tensor::random([batch, 3, height, width], range, &Default::default())
    }

    #[test]
    fn shapes_follow_the_picture() {
        let encoder = encoder();
        for (h, w) in [(64, 64), (48, 80), (16, 8)] {
            let out = encoder.encode(picture(2, h, w));
            assert_eq!(out.features.dims(), [2, 12, h / 4, w / 4]);
            assert_eq!(out.tokens.dims(), [2, h / 8 * w / 8, 12 + POSITION]);
            assert!(out.tokens.is_finite().all().into_scalar());
        }
    }

    #[test]
    fn pictures_of_a_batch_do_not_mix() {
        let encoder = encoder();
        let both = picture(2, 32, 48);
        let together = encoder.encode(both.clone()).features;
        let alone = encoder.encode(both.narrow(0, 1, 1)).features;
        let apart = (together.narrow(0, 1, 1) - alone).abs().max().into_scalar();
        // The order of sums is another.
        assert!(apart < 1e-5, "{apart}");
    }

    #[test]
    fn a_token_is_the_mean_of_its_cells_and_knows_where_it_is() {
        let features = picture(1, 4, 6).narrow(1, 0, 2);
        let tokens = tokens(features.clone());
        let mean = features.narrow(2, 2, 2).narrow(3, 4, 2).mean_dim(2);
        let mean: Vec<f32> = mean.mean_dim(3).into_data().to_vec().unwrap();
        let last: Vec<f32> = tokens.clone().narrow(1, 5, 1).into_data().to_vec().unwrap();
        for (mean, value) in mean.iter().zip(&last) {
            assert!((mean - value).abs() < 1e-6);
        }
        // In the middle of the last of three columns.
        assert!((last[2] - (PI * 2.5 / 3.0).sin()).abs() < 1e-6);
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        let said = |change: fn(&mut EntityEncoderConfig)| {
            let mut config = EntityEncoderConfig::default();
            change(&mut config);
            config.validate("e").unwrap_err().to_string()
        };
        assert!(said(|c| c.feature_dim = 0).contains("feature_dim"));
        assert!(said(|c| c.weights = Some(String::new())).contains("weights"));
    }
}
