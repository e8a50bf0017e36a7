//! The image encoder of Stable Video Diffusion: CLIP's vision transformer with its projection
//! (`transformers.CLIPVisionModelWithProjection`), configured by `image_encoder/config.json` and loaded
//! under its tensor names. ViT-H/14 is the default configuration.

pub mod input;
mod text;

pub use text::{CLIPTextConfig, CLIPTextModel};

use crate::fields::Fields;
use crate::nn::attention::scaled_dot_product;
use crate::nn::layers::{Affine, Convolution};
use crate::nn::norm::{LayerNorm, LayerNormConfig, Norm};
use crate::nn::precision::{as_type, like};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig};
use burn::tensor::activation::{gelu, sigmoid};
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::error::Result;
use serde::{Deserialize, Serialize};

/// Bounds of a configuration that is not taken for garbled.
const MAX_WIDTH: usize = 1 << 14;
const MAX_LAYERS: usize = 128;
const MAX_SIDE: usize = 4096;
const MAX_TOKENS: usize = 1 << 14;

/// The nonlinearity of the feed-forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// With the error function.
    Gelu,
    /// `x * sigmoid(1.702 x)`, as OpenAI's CLIP.
    QuickGelu,
}

/// `image_encoder/config.json`. Missing fields take the values of Stable Video Diffusion; unknown
/// fields are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CLIPVisionConfig {
    /// What transformers calls this kind of network.
    pub model_type: String,
    /// Width of the tokens.
    pub hidden_size: usize,
    /// Width inside the feed-forwards.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads of each attention.
    pub num_attention_heads: usize,
    /// Channels of the picture.
    pub num_channels: usize,
    /// Side of the square picture, in pixels.
    pub image_size: usize,
    /// Side of the square patches, in pixels.
    pub patch_size: usize,
    /// Width of the embedding.
    pub projection_dim: usize,
    /// In the feed-forwards.
    pub hidden_act: HiddenAct,
    /// Of every norm.
    pub layer_norm_eps: f64,
}

impl Default for CLIPVisionConfig {
    fn default() -> Self {
        Self {
            model_type: "clip_vision_model".into(),
            hidden_size: 1280,
            intermediate_size: 5120,
            num_hidden_layers: 32,
            num_attention_heads: 16,
            num_channels: 3,
            image_size: 224,
            patch_size: 14,
            projection_dim: 1024,
            hidden_act: HiddenAct::Gelu,
            layer_norm_eps: 1e-5,
        }
    }
}

impl CLIPVisionConfig {
    /// Patches of a picture.
    fn patches(&self) -> usize {
        (self.image_size / self.patch_size.max(1)).saturating_pow(2)
    }

    fn layers(&self) -> Layers {
        Layers {
            count: self.num_hidden_layers,
            width: self.hidden_size,
            intermediate: self.intermediate_size,
            heads: self.num_attention_heads,
            act: self.hidden_act,
            eps: self.layer_norm_eps,
        }
    }

    /// Checks that the network can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        if self.model_type != "clip_vision_model" {
            return fields.fail(format!(
                "model_type is {:?}; an image encoder of type \"clip_vision_model\" is needed",
                self.model_type
            ));
        }
        for (field, value, most) in [
            ("image_size", self.image_size, MAX_SIDE),
            ("patch_size", self.patch_size, self.image_size),
            ("projection_dim", self.projection_dim, MAX_WIDTH),
        ] {
            fields.within(field, value, 1..=most)?;
        }
        self.layers().check(fields)?;
        if self.num_channels != 3 {
            return fields.fail(format!(
                "num_channels is {}; pictures have 3",
                self.num_channels
            ));
        }
        if self.patches() > MAX_TOKENS {
            return fields.fail(format!(
                "image_size {} with patch_size {} gives {} patches; at most {MAX_TOKENS} are possible",
                self.image_size,
                self.patch_size,
                self.patches()
            ));
        }
        Ok(())
    }

    /// Initialises the network; nothing is allocated before it is first used.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<CLIPVisionModelWithProjection<B>> {
        self.validate("image_encoder/config.json")?;
        let (width, patch) = (self.hidden_size, [self.patch_size; 2]);
        let norm = || {
            LayerNormConfig::new(width)
                .with_epsilon(self.layer_norm_eps)
                .init(device)
        };
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        Ok(CLIPVisionModelWithProjection {
            vision_model: CLIPVisionModel {
                embeddings: CLIPVisionEmbeddings {
                    class_embedding: normal.init([width], device),
                    patch_embedding: Conv2dConfig::new([self.num_channels, width], patch)
                        .with_stride(patch)
                        .with_bias(false)
                        .init(device),
                    position_embedding: EmbeddingConfig::new(self.patches() + 1, width)
                        .init(device),
                },
                pre_layrnorm: norm(),
                encoder: self.layers().init(device),
                post_layernorm: norm(),
            },
            visual_projection: LinearConfig::new(width, self.projection_dim)
                .with_bias(false)
                .init(device),
        })
    }
}

/// Patches to tokens, with one for the whole picture before them.
#[derive(Module, Debug)]
pub struct CLIPVisionEmbeddings<B: Backend> {
    /// The token of the whole picture.
    pub class_embedding: Param<Tensor<B, 1>>,
    /// A token for each patch.
    pub patch_embedding: Conv2d<B>,
    /// Added to the tokens by their places.
    pub position_embedding: Embedding<B>,
}

impl<B: Backend> CLIPVisionEmbeddings<B> {
    fn forward(&self, pictures: Tensor<B, 4>) -> Tensor<B, 3> {
        let patches = self.patch_embedding.apply(pictures);
        let patches = patches.flatten::<3>(2, 3).swap_dims(1, 2);
        let [batch, _, width] = patches.dims();
        let class = self.class_embedding.val().reshape([1, 1, width]);
        let tokens = Tensor::cat(vec![class.expand([batch, 1, width]), patches], 1);
        tokens + self.position_embedding.weight.val().unsqueeze::<3>()
    }
}

/// Attention of all tokens to each other.
#[derive(Module, Debug)]
pub struct CLIPAttention<B: Backend> {
    /// Queries.
    pub q_proj: Linear<B>,
    /// Keys.
    pub k_proj: Linear<B>,
    /// Values.
    pub v_proj: Linear<B>,
    /// Of the heads' results.
    pub out_proj: Linear<B>,
    heads: usize,
}

impl<B: Backend> CLIPAttention<B> {
    /// `causal`: no token sees a later one.
    fn forward(&self, x: Tensor<B, 3>, causal: bool) -> Tensor<B, 3> {
        let [batch, tokens, width] = x.dims();
        let shape = [batch, tokens, self.heads, width / self.heads];
        let [q, k, v] = [&self.q_proj, &self.k_proj, &self.v_proj]
            .map(|projection| projection.apply(x.clone()).reshape(shape));
        let y = if causal {
            text::causal_attention(q, k, v)
        } else {
            scaled_dot_product(q, k, v)
        };
        self.out_proj.apply(y.reshape([batch, tokens, width]))
    }
}

/// Feed-forward.
#[derive(Module, Debug)]
pub struct CLIPMlp<B: Backend> {
    /// Wider.
    pub fc1: Linear<B>,
    /// Back.
    pub fc2: Linear<B>,
    quick_gelu: bool,
}

impl<B: Backend> CLIPMlp<B> {
    fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let x = self.fc1.apply(x);
        let x = if self.quick_gelu {
            x.clone() * sigmoid(x * 1.702)
        } else {
            gelu(x)
        };
        self.fc2.apply(x)
    }
}

/// Attention and feed-forward, each normalized before and added to its input.
#[derive(Module, Debug)]
pub struct CLIPEncoderLayer<B: Backend> {
    /// Over all tokens.
    pub self_attn: CLIPAttention<B>,
    /// Before `self_attn`.
    pub layer_norm1: LayerNorm<B>,
    /// Feed-forward.
    pub mlp: CLIPMlp<B>,
    /// Before `mlp`.
    pub layer_norm2: LayerNorm<B>,
}

impl<B: Backend> CLIPEncoderLayer<B> {
    fn forward(&self, x: Tensor<B, 3>, causal: bool) -> Tensor<B, 3> {
        let normalized = self.layer_norm1.apply(x.clone());
        let x = self.self_attn.forward(normalized, causal) + x;
        self.mlp.forward(self.layer_norm2.apply(x.clone())) + x
    }
}

/// The layers.
#[derive(Module, Debug)]
pub struct CLIPEncoder<B: Backend> {
    /// One after another.
    pub layers: Vec<CLIPEncoderLayer<B>>,
}

/// What the layers of either tower are made from.
struct Layers {
    count: usize,
    width: usize,
    intermediate: usize,
    heads: usize,
    act: HiddenAct,
    eps: f64,
}

impl Layers {
    /// Checks that they can be built; the fields have transformers' names.
    fn check(&self, fields: Fields<'_>) -> Result<()> {
        for (field, value, most) in [
            ("hidden_size", self.width, MAX_WIDTH),
            ("intermediate_size", self.intermediate, 4 * MAX_WIDTH),
            ("num_hidden_layers", self.count, MAX_LAYERS),
            ("num_attention_heads", self.heads, MAX_WIDTH),
        ] {
            fields.within(field, value, 1..=most)?;
        }
        if !self.width.is_multiple_of(self.heads) {
            return fields.fail(format!(
                "hidden_size {} cannot be shared by {} attention heads",
                self.width, self.heads
            ));
        }
        fields.between("layer_norm_eps", self.eps, 0.0, 1.0)
    }

    fn init<B: Backend>(&self, device: &B::Device) -> CLIPEncoder<B> {
        let width = self.width;
        let norm = || {
            LayerNormConfig::new(width)
                .with_epsilon(self.eps)
                .init(device)
        };
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        let layer = || CLIPEncoderLayer {
            self_attn: CLIPAttention {
                q_proj: linear(width, width),
                k_proj: linear(width, width),
                v_proj: linear(width, width),
                out_proj: linear(width, width),
                heads: self.heads,
            },
            layer_norm1: norm(),
            mlp: CLIPMlp {
                fc1: linear(width, self.intermediate),
                fc2: linear(self.intermediate, width),
                quick_gelu: self.act == HiddenAct::QuickGelu,
            },
            layer_norm2: norm(),
        };
        CLIPEncoder {
            layers: (0..self.count).map(|_| layer()).collect(),
        }
    }
}

/// The transformer without its projection.
#[derive(Module, Debug)]
pub struct CLIPVisionModel<B: Backend> {
    /// Pixels to tokens.
    pub embeddings: CLIPVisionEmbeddings<B>,
    /// Before the layers; the name is misspelt in every published file.
    pub pre_layrnorm: LayerNorm<B>,
    /// The layers.
    pub encoder: CLIPEncoder<B>,
    /// Over the token of the whole picture, after the layers.
    pub post_layernorm: LayerNorm<B>,
}

/// The image encoder.
#[derive(Module, Debug)]
pub struct CLIPVisionModelWithProjection<B: Backend> {
    /// The transformer.
    pub vision_model: CLIPVisionModel<B>,
    /// To the space that pictures and texts share.
    pub visual_projection: Linear<B>,
}

impl<B: Backend> CLIPVisionModelWithProjection<B> {
    /// The embedding of each picture, `image_embeds` of transformers.
    ///
    /// # Shapes
    /// - `pictures`: `[n, 3, image_size, image_size]`, as
    ///   [`CLIPImageProcessor`](input::CLIPImageProcessor) makes them
    /// - output: `[n, projection_dim]`
    ///
    /// # Panics
    /// If the pictures have another size.
    pub fn forward(&self, pictures: Tensor<B, 4>) -> Tensor<B, 2> {
        let model = &self.vision_model;
        let own = pictures.dtype();
        let pictures = like(pictures, &self.visual_projection.weight.val());
        let tokens = model.embeddings.forward(pictures);
        let tokens = model.pre_layrnorm.apply(tokens);
        let layers = model.encoder.layers.iter();
        let tokens = layers.fold(tokens, |x, layer| layer.forward(x, false));
        let class: Tensor<B, 2> = tokens.narrow(1, 0, 1).squeeze_dim(1);
        let projected = self
            .visual_projection
            .apply(model.post_layernorm.apply(class));
        as_type(projected, own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_garbled_configuration_names_its_field() {
        CLIPVisionConfig::default().validate("x").unwrap();
        type Spoil = fn(&mut CLIPVisionConfig);
        let cases: [(&str, Spoil); 9] = [
            ("model_type", |c| c.model_type = "clip_text_model".into()),
            ("hidden_size", |c| c.hidden_size = 1 << 40),
            ("attention heads", |c| c.num_attention_heads = 7),
            ("num_attention_heads", |c| c.num_attention_heads = 0),
            ("num_hidden_layers", |c| c.num_hidden_layers = usize::MAX),
            ("patch_size", |c| c.patch_size = 0),
            ("patch_size", |c| c.patch_size = 225),
            ("patches", |c| c.patch_size = 1),
            ("layer_norm_eps", |c| c.layer_norm_eps = f64::NAN),
        ];
        for (field, garble) in cases {
            let mut config = CLIPVisionConfig::default();
            garble(&mut config);
            let error = config.validate("some/config.json").unwrap_err().to_string();
            assert!(
                error.contains(field) && error.contains("some/config.json"),
                "{field}: {error}"
            );
        }
    }
}
