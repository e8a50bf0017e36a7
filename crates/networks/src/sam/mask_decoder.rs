//! Masks from embedding and prompt (`MaskDecoder`): tokens and picture attend to each other both ways; each mask token
//! becomes the weights that read its mask off the enlarged embedding.

use super::common::{LayerNorm2d, MOST, MOST_LAYERS, MlpBlock};
use crate::fields::Fields;
use crate::nn::attention::scaled_dot_product;
use crate::nn::layers::{Affine, gelu};
use crate::nn::norm::{LayerNorm, LayerNormConfig, Norm};
use burn::module::Module;
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Gelu, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::error::Result;

/// Attention between tokens and picture happens in so many times fewer channels.
const DOWNSAMPLE: usize = 2;
/// Layers of the perceptron that makes weights of a mask token.
const HYPERNETWORK_DEPTH: usize = 3;

/// Sizes of [`MaskDecoder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskDecoderConfig {
    /// Width of the tokens and channels of the embedding.
    pub transformer_dim: usize,
    /// Layers of the transformer.
    pub depth: usize,
    /// Heads of each attention.
    pub num_heads: usize,
    /// Width inside the transformer's feed-forwards.
    pub mlp_dim: usize,
    /// Masks: the one for a clear prompt, and those for an ambiguous one.
    pub num_mask_tokens: usize,
    /// Layers of the head that says how good the masks are.
    pub iou_head_depth: usize,
    /// Width inside that head.
    pub iou_head_hidden_dim: usize,
}

impl Default for MaskDecoderConfig {
    /// The published one.
    fn default() -> Self {
        Self {
            transformer_dim: 256,
            depth: 2,
            num_heads: 8,
            mlp_dim: 2048,
            num_mask_tokens: 4,
            iou_head_depth: 3,
            iou_head_hidden_dim: 256,
        }
    }
}

impl MaskDecoderConfig {
    /// Checks that the network can be built; `name` is what the error calls the file of its weights.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        for (field, value, most) in [
            ("transformer_dim", self.transformer_dim, MOST),
            ("depth", self.depth, MOST_LAYERS),
            ("num_heads", self.num_heads, MOST),
            ("mlp_dim", self.mlp_dim, MOST),
            ("iou_head_depth", self.iou_head_depth, MOST_LAYERS),
            ("iou_head_hidden_dim", self.iou_head_hidden_dim, MOST),
        ] {
            fields.within(field, value, 1..=most)?;
        }
        fields.within("num_mask_tokens", self.num_mask_tokens, 2..=MOST_LAYERS)?;
        let (width, heads) = (self.transformer_dim, self.num_heads);
        // Some attentions are narrower, and masks are enlarged in an eighth of the channels.
        let least = DOWNSAMPLE * heads;
        fields.multiple("transformer_dim", width, "twice num_heads,", least)?;
        fields.multiple("transformer_dim", width, "", 8)
    }

    /// The network, its weights random.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<MaskDecoder<B>> {
        self.validate("SAM's mask decoder")?;
        let width = self.transformer_dim;
        let enlarge = |channels| {
            ConvTranspose2dConfig::new(channels, [2, 2])
                .with_stride([2, 2])
                .init(device)
        };
        let attention = |inner| Attention::new(width, inner, self.num_heads, device);
        let norm = || LayerNormConfig::new(width).init(device);
        let layer = |_| TwoWayAttentionBlock {
            self_attn: attention(width),
            norm1: norm(),
            cross_attn_token_to_image: attention(width / DOWNSAMPLE),
            norm2: norm(),
            mlp: MlpBlock::new(width, self.mlp_dim, device),
            norm3: norm(),
            norm4: norm(),
            cross_attn_image_to_token: attention(width / DOWNSAMPLE),
        };
        let hypernetwork = |_| Perceptron::new(width, width, width / 8, HYPERNETWORK_DEPTH, device);
        Ok(MaskDecoder {
            transformer: TwoWayTransformer {
                layers: (0..self.depth).map(layer).collect(),
                final_attn_token_to_image: attention(width / DOWNSAMPLE),
                norm_final_attn: norm(),
            },
            iou_token: EmbeddingConfig::new(1, width).init(device),
            mask_tokens: EmbeddingConfig::new(self.num_mask_tokens, width).init(device),
            output_upscaling: (
                enlarge([width, width / 4]),
                LayerNorm2d::new(width / 4, device),
                Gelu::new(),
                enlarge([width / 4, width / 8]),
                Gelu::new(),
            ),
            output_hypernetworks_mlps: (0..self.num_mask_tokens).map(hypernetwork).collect(),
            iou_prediction_head: Perceptron::new(
                width,
                self.iou_head_hidden_dim,
                self.num_mask_tokens,
                self.iou_head_depth,
                device,
            ),
        })
    }
}

/// Linear layers with ReLU between them (`MLP`).
#[derive(Module, Debug)]
pub struct Perceptron<B: Backend> {
    /// In their order.
    pub layers: Vec<Linear<B>>,
}

impl<B: Backend> Perceptron<B> {
    fn new(from: usize, inner: usize, to: usize, depth: usize, device: &B::Device) -> Self {
        let layer = |i: usize| {
            let from = if i == 0 { from } else { inner };
            let to = if i + 1 == depth { to } else { inner };
            LinearConfig::new(from, to).init(device)
        };
        Self {
            layers: (0..depth).map(layer).collect(),
        }
    }

    fn forward(&self, mut x: Tensor<B, 2>) -> Tensor<B, 2> {
        for (i, layer) in self.layers.iter().enumerate() {
            if i > 0 {
                x = relu(x);
            }
            x = layer.apply(x);
        }
        x
    }
}

/// Attention, perhaps in fewer channels.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
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

impl<B: Backend> Attention<B> {
    fn new(width: usize, inner: usize, heads: usize, device: &B::Device) -> Self {
        let to = || LinearConfig::new(width, inner).init(device);
        Self {
            q_proj: to(),
            k_proj: to(),
            v_proj: to(),
            out_proj: LinearConfig::new(inner, width).init(device),
            heads,
        }
    }

    /// # Shapes
    /// - `q` and output: `[n, queries, width]`
    /// - `k`, `v`: `[n, keys, width]`
    fn forward(&self, q: Tensor<B, 3>, k: Tensor<B, 3>, v: Tensor<B, 3>) -> Tensor<B, 3> {
        self.attend(self.queries(q), self.keys(k), self.values(v))
    }

    fn queries(&self, q: Tensor<B, 3>) -> Tensor<B, 4> {
        self.in_heads(&self.q_proj, q)
    }

    fn keys(&self, k: Tensor<B, 3>) -> Tensor<B, 4> {
        self.in_heads(&self.k_proj, k)
    }

    fn values(&self, v: Tensor<B, 3>) -> Tensor<B, 4> {
        self.in_heads(&self.v_proj, v)
    }

    fn in_heads(&self, layer: &Linear<B>, x: Tensor<B, 3>) -> Tensor<B, 4> {
        let x = layer.apply(x);
        let [n, count, inner] = x.dims();
        x.reshape([n, count, self.heads, inner / self.heads])
    }

    /// What becomes of queries, keys and values, `[n, count, heads, channels]`.
    fn attend(&self, q: Tensor<B, 4>, k: Tensor<B, 4>, v: Tensor<B, 4>) -> Tensor<B, 3> {
        let y = scaled_dot_product(q, k, v);
        let [n, count, heads, dim] = y.dims();
        self.out_proj.apply(y.reshape([n, count, heads * dim]))
    }
}

/// Tokens attend to each other and to the picture, then the picture to them; each added to its input and normalized
/// after.
#[derive(Module, Debug)]
pub struct TwoWayAttentionBlock<B: Backend> {
    /// Between tokens.
    pub self_attn: Attention<B>,
    /// After `self_attn`.
    pub norm1: LayerNorm<B>,
    /// From the picture to the tokens.
    pub cross_attn_token_to_image: Attention<B>,
    /// After `cross_attn_token_to_image`.
    pub norm2: LayerNorm<B>,
    /// Of the tokens.
    pub mlp: MlpBlock<B>,
    /// After `mlp`.
    pub norm3: LayerNorm<B>,
    /// After `cross_attn_image_to_token`.
    pub norm4: LayerNorm<B>,
    /// From the tokens to the picture.
    pub cross_attn_image_to_token: Attention<B>,
}

impl<B: Backend> TwoWayAttentionBlock<B> {
    /// Of the picture: keys and values for the tokens, and queries to them.
    fn of_image(&self, image: Tensor<B, 3>, positions: Tensor<B, 3>) -> [Tensor<B, 4>; 3] {
        let placed = image.clone() + positions;
        let to_image = &self.cross_attn_token_to_image;
        [
            to_image.keys(placed.clone()),
            to_image.values(image),
            self.cross_attn_image_to_token.queries(placed),
        ]
    }
}

/// Blocks, and a last look of the tokens at the picture.
#[derive(Module, Debug)]
pub struct TwoWayTransformer<B: Backend> {
    /// In their order.
    pub layers: Vec<TwoWayAttentionBlock<B>>,
    /// The last look.
    pub final_attn_token_to_image: Attention<B>,
    /// After it.
    pub norm_final_attn: LayerNorm<B>,
}

/// A picture before anything is asked about it: what every prompt finds the same is computed once.
#[derive(Clone, Debug)]
pub struct Looked<B: Backend> {
    /// Height and width of the embedding.
    grid: [usize; 2],
    /// `[1, pixels, width]`
    image: Tensor<B, 3>,
    /// Where each pixel is. `[1, pixels, width]`
    positions: Tensor<B, 3>,
    /// What the first layer makes of the picture: keys and values for the tokens, queries to them; about a quarter of the
    /// decoder's work. `None` where there is no layer.
    first: Option<[Tensor<B, 4>; 3]>,
}

impl<B: Backend> TwoWayTransformer<B> {
    /// Tokens and picture after it.
    ///
    /// # Shapes
    /// - `tokens`: `[1, count, width]`
    fn forward(&self, looked: &Looked<B>, tokens: Tensor<B, 3>) -> (Tensor<B, 3>, Tensor<B, 3>) {
        let Looked {
            image,
            positions,
            first,
            ..
        } = looked;
        // What the tokens began as says where they are.
        let own = tokens.clone();
        let (mut queries, mut keys) = (tokens, image.clone());
        let mut first = first.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            queries = if i == 0 {
                let q = queries;
                layer.self_attn.forward(q.clone(), q.clone(), q)
            } else {
                let q = queries.clone() + own.clone();
                queries.clone() + layer.self_attn.forward(q.clone(), q, queries)
            };
            queries = layer.norm1.apply(queries);

            let [k, v, from_image] = first
                .take()
                .unwrap_or_else(|| layer.of_image(keys.clone(), positions.clone()));
            let to_image = &layer.cross_attn_token_to_image;
            let q = to_image.queries(queries.clone() + own.clone());
            queries = layer.norm2.apply(queries + to_image.attend(q, k, v));

            queries = layer.norm3.apply(queries.clone() + layer.mlp.relu(queries));

            let to_tokens = &layer.cross_attn_image_to_token;
            let k = to_tokens.keys(queries.clone() + own.clone());
            let said = to_tokens.attend(from_image, k, to_tokens.values(queries.clone()));
            keys = layer.norm4.apply(keys + said);
        }
        let q = queries.clone() + own;
        let k = keys.clone() + positions.clone();
        let seen = self.final_attn_token_to_image.forward(q, k, keys.clone());
        (self.norm_final_attn.apply(queries + seen), keys)
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct MaskDecoder<B: Backend> {
    /// Tokens and picture.
    pub transformer: TwoWayTransformer<B>,
    /// Becomes what the masks are worth.
    pub iou_token: Embedding<B>,
    /// Become the masks.
    pub mask_tokens: Embedding<B>,
    /// The embedding at four times its resolution.
    pub output_upscaling: (
        ConvTranspose2d<B>,
        LayerNorm2d<B>,
        Gelu,
        ConvTranspose2d<B>,
        Gelu,
    ),
    /// A perceptron for each mask token.
    pub output_hypernetworks_mlps: Vec<Perceptron<B>>,
    /// What the masks are worth.
    pub iou_prediction_head: Perceptron<B>,
}

impl<B: Backend> MaskDecoder<B> {
    /// A picture for all prompts that have the same mask so far.
    ///
    /// # Shapes
    /// - `image`, `positions`, `dense`: `[1, channels, height, width]`
    pub fn look(
        &self,
        image: Tensor<B, 4>,
        positions: Tensor<B, 4>,
        dense: Tensor<B, 4>,
    ) -> Looked<B> {
        let [_, _, height, width] = image.dims();
        let pixels = |x: Tensor<B, 4>| x.flatten::<3>(2, 3).swap_dims(1, 2);
        let (image, positions) = (pixels(image + dense), pixels(positions));
        let layer = self.transformer.layers.first();
        Looked {
            grid: [height, width],
            first: layer.map(|layer| layer.of_image(image.clone(), positions.clone())),
            image,
            positions,
        }
    }

    /// Logits of all masks, and the overlap with the truth that each is thought to have.
    ///
    /// # Shapes
    /// - `sparse`: `[1, count, channels]`
    /// - output: `[1, masks, 4 * height, 4 * width]` and `[1, masks]`
    pub fn forward(
        &self,
        looked: &Looked<B>,
        sparse: Tensor<B, 3>,
    ) -> (Tensor<B, 4>, Tensor<B, 2>) {
        let [height, width] = looked.grid;
        let own = Tensor::cat(
            vec![self.iou_token.weight.val(), self.mask_tokens.weight.val()],
            0,
        );
        let tokens = Tensor::cat(vec![own.unsqueeze::<3>(), sparse], 1);
        let (tokens, image) = self.transformer.forward(looked, tokens);
        let [_, _, channels] = image.dims();

        let (enlarge, norm, _, again, _) = &self.output_upscaling;
        let image = image.swap_dims(1, 2).reshape([1, channels, height, width]);
        let image = gelu(norm.forward(enlarge.forward(image)));
        let image = gelu(again.forward(image));
        let [_, channels, height, width] = image.dims();

        let token = |i: usize| tokens.clone().narrow(1, i, 1).squeeze_dim::<2>(1);
        let weights = self.output_hypernetworks_mlps.iter().enumerate();
        let weights: Vec<_> = weights.map(|(i, mlp)| mlp.forward(token(1 + i))).collect();
        let count = weights.len();
        let masks = Tensor::cat(weights, 0).matmul(image.reshape([channels, height * width]));
        (
            masks.reshape([1, count, height, width]),
            self.iou_prediction_head.forward(token(0)),
        )
    }
}
