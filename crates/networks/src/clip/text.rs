//! The text encoder of Stable Diffusion 1.x (`transformers.CLIPTextModel`), configured by
//! `text_encoder/config.json` and loaded under its published tensor names.

use super::{CLIPEncoder, HiddenAct, Layers, MAX_TOKENS};
use crate::fields::Fields;
use crate::nn::norm::{LayerNorm, LayerNormConfig, Norm};
use crate::nn::precision::in_f32;
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Int, Tensor, TensorData, backend::Backend};
use dragentity_core::error::Result;
use serde::{Deserialize, Serialize};

/// `text_encoder/config.json`. Missing fields take the values of Stable Diffusion 1.5; unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CLIPTextConfig {
    /// What transformers calls this kind of network.
    pub model_type: String,
    /// Number of different tokens; the last two begin and end a text.
    pub vocab_size: usize,
    /// Width of the tokens.
    pub hidden_size: usize,
    /// Width inside the feed-forwards.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads of each attention.
    pub num_attention_heads: usize,
    /// Tokens of a text, padded.
    pub max_position_embeddings: usize,
    /// In the feed-forwards.
    pub hidden_act: HiddenAct,
    /// Of every norm.
    pub layer_norm_eps: f64,
}

impl Default for CLIPTextConfig {
    fn default() -> Self {
        Self {
            model_type: "clip_text_model".into(),
            vocab_size: 49408,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            max_position_embeddings: 77,
            hidden_act: HiddenAct::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

impl CLIPTextConfig {
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
        if self.model_type != "clip_text_model" {
            return fields.fail(format!(
                "model_type is {:?}; a text encoder of type \"clip_text_model\" is needed",
                self.model_type
            ));
        }
        let positions = self.max_position_embeddings;
        fields.within("vocab_size", self.vocab_size, 2..=1 << 20)?;
        fields.within("max_position_embeddings", positions, 2..=MAX_TOKENS)?;
        self.layers().check(fields)?;
        Ok(())
    }

    /// Initialises the network; nothing is allocated before it is first used.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<CLIPTextModel<B>> {
        self.validate("text_encoder/config.json")?;
        let width = self.hidden_size;
        Ok(CLIPTextModel {
            text_model: CLIPTextTransformer {
                embeddings: CLIPTextEmbeddings {
                    token_embedding: EmbeddingConfig::new(self.vocab_size, width).init(device),
                    position_embedding: EmbeddingConfig::new(self.max_position_embeddings, width)
                        .init(device),
                },
                encoder: self.layers().init(device),
                final_layer_norm: LayerNormConfig::new(width)
                    .with_epsilon(self.layer_norm_eps)
                    .init(device),
            },
        })
    }

    /// The tokens of the empty text: its beginning, then its end until the text is full. No tokenizer is needed.
    ///
    /// # Shapes
    /// - output: `[1, max_position_embeddings]`
    pub fn empty_text<B: Backend>(&self, device: &B::Device) -> Tensor<B, 2, Int> {
        let end = self.vocab_size as i64 - 1;
        let mut tokens = vec![end; self.max_position_embeddings];
        tokens[0] = end - 1;
        let shape = [1, tokens.len()];
        Tensor::from_data(TensorData::new(tokens, shape), device)
    }
}

/// Tokens to vectors.
#[derive(Module, Debug)]
pub struct CLIPTextEmbeddings<B: Backend> {
    /// By what they are.
    pub token_embedding: Embedding<B>,
    /// By where they stand.
    pub position_embedding: Embedding<B>,
}

/// The transformer.
#[derive(Module, Debug)]
pub struct CLIPTextTransformer<B: Backend> {
    /// Tokens to vectors.
    pub embeddings: CLIPTextEmbeddings<B>,
    /// The layers.
    pub encoder: CLIPEncoder<B>,
    /// After the layers.
    pub final_layer_norm: LayerNorm<B>,
}

/// The text encoder.
#[derive(Module, Debug)]
pub struct CLIPTextModel<B: Backend> {
    /// All of it.
    pub text_model: CLIPTextTransformer<B>,
}

impl<B: Backend> CLIPTextModel<B> {
    /// The vector of every token, `last_hidden_state` of transformers, in the type of the weights.
    ///
    /// # Shapes
    /// - `tokens`: `[n, up to max_position_embeddings]`
    /// - output: `[n, tokens, hidden_size]`
    ///
    /// # Panics
    /// If there are more tokens than positions.
    pub fn forward(&self, tokens: Tensor<B, 2, Int>) -> Tensor<B, 3> {
        let model = &self.text_model;
        let count = tokens.dims()[1];
        let places = model.embeddings.position_embedding.weight.val();
        let x = model.embeddings.token_embedding.forward(tokens)
            + places.narrow(0, 0, count).unsqueeze::<3>();
        let layers = model.encoder.layers.iter();
        let x = layers.fold(x, |x, layer| layer.forward(x, true));
        model.final_layer_norm.apply(x)
    }
}

/// Attention in which no token sees a later one.
///
/// # Shapes
/// - all: `[batch, tokens, heads, dim]`
pub(super) fn causal_attention<B: Backend>(
    q: Tensor<B, 4>,
    k: Tensor<B, 4>,
    v: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [batch, tokens, heads, dim] = q.dims();
    let scores = q.swap_dims(1, 2).matmul(k.permute([0, 2, 3, 1])) / (dim as f64).sqrt();
    let later = Tensor::<B, 2, Bool>::tril_mask([tokens, tokens], 0, &scores.device())
        .unsqueeze::<4>()
        .expand([batch, heads, tokens, tokens]);
    let weights = in_f32(scores, |scores| softmax(scores.mask_fill(later, -1e9), 3));
    weights.matmul(v.swap_dims(1, 2)).swap_dims(1, 2)
}
