//! Attention in space, over a context and in time: diffusers' `Attention`, `FeedForward`,
//! `BasicTransformerBlock`, `TemporalBasicTransformerBlock` and `TransformerSpatioTemporalModel`.
//!
//! Tokens travel as a matrix `[batch * frames * pixels, channels]`, in this order of axes, from the
//! first linear layer to the last. Norms, linear layers and feed-forwards then are one large matrix
//! product each, and only the attention itself looks at the axes. diffusers moves time and space
//! around each block instead; the numbers are the same.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, GroupNorm, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor, backend::Backend};

use super::embedding::{TimestepEmbedding, TimestepEmbeddingConfig, timesteps};
use super::layers::{Affine, ScoreBias, attention, geglu};
use super::norm::{LayerNorm, LayerNormConfig, Norm};
use super::packed::weight;
use super::precision::{as_type, in_f32};
use super::resnet::{AlphaBlender, AlphaBlenderConfig, MergeStrategy, NORM_GROUPS, group_norm};

/// Most attention weights held at once: 64 MiB in `f32`, half of what a browser's GPU lets one
/// binding hold by default.
const MAX_SCORES: usize = 1 << 24;

/// The axes that are folded into the rows of a token matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenAxes {
    /// Clips.
    pub batch: usize,
    /// Frames of each clip.
    pub frames: usize,
    /// Pixels of each frame.
    pub pixels: usize,
}

/// Attention with several heads. The projections of queries, keys and values have no bias.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
    /// Queries.
    pub to_q: Linear<B>,
    /// Keys.
    pub to_k: Linear<B>,
    /// Values.
    pub to_v: Linear<B>,
    /// One layer; a list because diffusers keeps a dropout beside it.
    pub to_out: Vec<Linear<B>>,
    heads: usize,
}

/// Configuration of [`Attention`].
#[derive(Config, Debug)]
pub struct AttentionConfig {
    /// Width of the tokens.
    pub query_dim: usize,
    /// Width of the context; `None` for self-attention.
    pub cross_attention_dim: Option<usize>,
    /// Number of heads.
    pub heads: usize,
    /// Channels of each head.
    pub dim_head: usize,
}

impl AttentionConfig {
    /// Initialises the layers as PyTorch does.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Attention<B> {
        let inner = self.heads * self.dim_head;
        let context = self.cross_attention_dim.unwrap_or(self.query_dim);
        let projection = |from| LinearConfig::new(from, inner).with_bias(false).init(device);
        Attention {
            to_q: projection(self.query_dim),
            to_k: projection(context),
            to_v: projection(context),
            to_out: vec![LinearConfig::new(inner, self.query_dim).init(device)],
            heads: self.heads,
        }
    }
}

impl<B: Backend> Attention<B> {
    /// Each pixel attends to the pixels of its own frame.
    ///
    /// # Shapes
    /// - `x` and output: `[batch * frames * pixels, query_dim]`
    pub fn over_pixels(&self, x: Tensor<B, 2>, axes: TokenAxes) -> Tensor<B, 2> {
        let shape = |t: Tensor<B, 2>| {
            let dim = t.dims()[1] / self.heads;
            t.reshape([axes.batch * axes.frames, axes.pixels, self.heads, dim])
        };
        let (q, k, v) = self.project(x.clone(), x);
        self.finish(scaled_dot_product(shape(q), shape(k), shape(v)))
    }

    /// Each pixel attends to the same pixel in all frames of its clip.
    ///
    /// # Shapes
    /// - `x` and output: `[batch * frames * pixels, query_dim]`
    pub fn over_frames(&self, x: Tensor<B, 2>, axes: TokenAxes) -> Tensor<B, 2> {
        // Pixels and heads are neighbours and play the same part, so they share one axis.
        let shape = |t: Tensor<B, 2>| {
            let dim = t.dims()[1] / self.heads;
            t.reshape([axes.batch, axes.frames, axes.pixels * self.heads, dim])
        };
        let (q, k, v) = self.project(x.clone(), x);
        self.finish(scaled_dot_product(shape(q), shape(k), shape(v)))
    }

    /// Each token attends to the context of its clip, the same for all frames and pixels.
    ///
    /// # Shapes
    /// - `x`: `[batch * rows, query_dim]`
    /// - `context`: `[batch, tokens, cross_attention_dim]`
    /// - output: `[batch, rows, query_dim]`, or `[batch, 1, query_dim]` where one token of context
    ///   leaves nothing to choose and all rows get the same.
    pub fn over_context(&self, x: Tensor<B, 2>, context: Tensor<B, 3>) -> Tensor<B, 3> {
        let [batch, tokens, width] = context.dims();
        let context = context.reshape([batch * tokens, width]);
        if tokens == 1 {
            let out = self.to_out[0].apply(self.to_v.apply(context));
            return out.unsqueeze_dim(1);
        }
        let [rows, query_dim] = x.dims();
        let rows = rows / batch;
        let shape = |t: Tensor<B, 2>, n: usize| {
            let dim = t.dims()[1] / self.heads;
            t.reshape([batch, n, self.heads, dim])
        };
        let (q, k, v) = self.project(x, context);
        let out = scaled_dot_product(shape(q, rows), shape(k, tokens), shape(v, tokens));
        self.finish(out).reshape([batch, rows, query_dim])
    }

    fn project(
        &self,
        x: Tensor<B, 2>,
        context: Tensor<B, 2>,
    ) -> (Tensor<B, 2>, Tensor<B, 2>, Tensor<B, 2>) {
        (
            self.to_q.apply(x),
            self.to_k.apply(context.clone()),
            self.to_v.apply(context),
        )
    }

    fn finish(&self, x: Tensor<B, 4>) -> Tensor<B, 2> {
        let [outer, n, inner, dim] = x.dims();
        let width = self.heads * dim;
        self.to_out[0].apply(x.reshape([outer * n * inner * dim / width, width]))
    }
}

/// `softmax(q kᵀ / sqrt(dim)) v` along axis 1, in pieces where the attention weights would exceed
/// [`MAX_SCORES`].
///
/// # Shapes
/// - `q`: `[outer, queries, inner, dim]`
/// - `k`, `v`: `[outer, keys, inner, dim]`
/// - output: `[outer, queries, inner, dim]`
pub(crate) fn scaled_dot_product<B: Backend>(
    q: Tensor<B, 4>,
    k: Tensor<B, 4>,
    v: Tensor<B, 4>,
) -> Tensor<B, 4> {
    match attention(&q, &k, &v, None) {
        Some(out) => out,
        None => attend_in_pieces(q, k, v, MAX_SCORES),
    }
}

/// As [`scaled_dot_product`], of `softmax(q kᵀ / sqrt(dim) + bias) v`.
///
/// Without a kernel the bias becomes part of the product: queries get further dimensions with what they add, keys get
/// ones where they are meant. All scores at once, to which it could be added, would fill the memory.
pub(crate) fn biased_dot_product<B: Backend>(
    q: Tensor<B, 4>,
    k: Tensor<B, 4>,
    v: Tensor<B, 4>,
    bias: &ScoreBias<B>,
) -> Tensor<B, 4> {
    if let Some(out) = attention(&q, &k, &v, Some(bias)) {
        return out;
    }
    let [outer, queries, inner, dim] = q.dims();
    let keys = k.dims()[1];
    let eye = |side: usize| Tensor::<B, 2>::eye(side, &q.device());
    let (added, meant) = match bias {
        ScoreBias::Table(table) => {
            let added = table.clone().swap_dims(0, 1).unsqueeze::<4>();
            (added.expand([outer, queries, inner, keys]), eye(keys))
        }
        ScoreBias::Grid { rows, columns } => {
            let (height, width) = (rows.dims()[3], columns.dims()[3]);
            let of_row = eye(height)
                .reshape([height, 1, height])
                .expand([height, width, height]);
            let of_column = eye(width)
                .reshape([1, width, width])
                .expand([height, width, width]);
            let meant = Tensor::cat(vec![of_row, of_column], 2);
            (
                Tensor::cat(vec![rows.clone(), columns.clone()], 3),
                meant.reshape([keys, height + width]),
            )
        }
    };
    let more = added.dims()[3];
    // Products are divided by the root of all dimensions.
    let all = ((dim + more) as f64).sqrt();
    let meant = as_type(meant, k.dtype()).reshape([1, keys, 1, more]);
    let added = as_type(added, q.dtype());
    let q = Tensor::cat(vec![q * (all / (dim as f64).sqrt()), added * all], 3);
    let k = Tensor::cat(vec![k, meant.expand([outer, keys, inner, more])], 3);
    attend_in_pieces(q, k, v, MAX_SCORES)
}

fn attend_in_pieces<B: Backend>(
    q: Tensor<B, 4>,
    k: Tensor<B, 4>,
    v: Tensor<B, 4>,
    limit: usize,
) -> Tensor<B, 4> {
    let [outer, queries, inner, dim] = q.dims();
    let keys = k.dims()[1];
    // Scaling the queries or the keys is less work than scaling the weights.
    let scale = 1.0 / (dim as f64).sqrt();
    let (q, k) = if keys < queries {
        (q, k * scale)
    } else {
        (q * scale, k)
    };
    if outer * inner * queries * keys <= limit {
        return attend(q, k, v);
    }
    let at_once = (limit / (inner * queries * keys).max(1)).min(outer);
    let pieces = if at_once > 0 {
        (0..outer)
            .step_by(at_once)
            .map(|start| {
                let n = at_once.min(outer - start);
                let piece = |t: &Tensor<B, 4>| t.clone().narrow(0, start, n);
                attend(piece(&q), piece(&k), piece(&v))
            })
            .collect()
    } else {
        let at_once = (limit / (inner * keys).max(1)).max(1);
        (0..outer)
            .map(|i| {
                let (k, v) = (k.clone().narrow(0, i, 1), v.clone().narrow(0, i, 1));
                let pieces = (0..queries)
                    .step_by(at_once)
                    .map(|start| {
                        let n = at_once.min(queries - start);
                        let q = q.clone().narrow(0, i, 1).narrow(1, start, n);
                        attend(q, k.clone(), v.clone())
                    })
                    .collect();
                Tensor::cat(pieces, 1)
            })
            .collect()
    };
    Tensor::cat(pieces, 0)
}

fn attend<B: Backend>(q: Tensor<B, 4>, k: Tensor<B, 4>, v: Tensor<B, 4>) -> Tensor<B, 4> {
    let scores = q.swap_dims(1, 2).matmul(k.permute([0, 2, 3, 1]));
    in_f32(scores, |scores| softmax(scores, 3))
        .matmul(v.swap_dims(1, 2))
        .swap_dims(1, 2)
}

/// Linear layer whose output is split into a value and a gate: `value * gelu(gate)`.
#[derive(Module, Debug)]
pub struct Geglu<B: Backend> {
    /// `[dim, 2 * hidden]`
    pub proj: Linear<B>,
}

impl<B: Backend> Geglu<B> {
    fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        geglu(x, &self.proj)
    }
}

/// Gated feed-forward of four times the width.
#[derive(Module, Debug)]
pub struct FeedForward<B: Backend> {
    /// Gate, a dropout of zero that gives the file its numbering, linear.
    pub net: (Geglu<B>, Dropout, Linear<B>),
}

impl<B: Backend> FeedForward<B> {
    /// Of tokens `dim` wide, initialised as PyTorch does.
    pub fn new(dim: usize, device: &B::Device) -> Self {
        let hidden = 4 * dim;
        Self {
            net: (
                Geglu {
                    proj: LinearConfig::new(dim, 2 * hidden).init(device),
                },
                DropoutConfig::new(0.0).init(),
                LinearConfig::new(hidden, dim).init(device),
            ),
        }
    }

    /// # Shapes
    /// - `x` and output: `[rows, dim]`
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        self.net.2.apply(self.net.0.forward(x))
    }
}

/// Adds what the context says to every token of its clip.
fn add_context<B: Backend>(
    attention: &Attention<B>,
    norm: &LayerNorm<B>,
    x: Tensor<B, 2>,
    context: Tensor<B, 3>,
) -> Tensor<B, 2> {
    let [rows, width] = x.dims();
    let batch = context.dims()[0];
    let normalized = norm.apply(x.clone());
    let said = attention.over_context(normalized, context);
    (x.reshape([batch, rows / batch, width]) + said).reshape([rows, width])
}

/// Attention within each frame, attention to the context, feed-forward; each normalized before and
/// added to its input.
#[derive(Module, Debug)]
pub struct BasicTransformerBlock<B: Backend> {
    /// Before `attn1`.
    pub norm1: LayerNorm<B>,
    /// Over the pixels of a frame.
    pub attn1: Attention<B>,
    /// Before `attn2`.
    pub norm2: LayerNorm<B>,
    /// Over the context.
    pub attn2: Attention<B>,
    /// Before `ff`.
    pub norm3: LayerNorm<B>,
    /// Feed-forward.
    pub ff: FeedForward<B>,
}

impl<B: Backend> BasicTransformerBlock<B> {
    /// Initialises the layers as PyTorch does; `context` is the width of the context.
    pub(super) fn new(dim: usize, heads: usize, context: usize, device: &B::Device) -> Self {
        let norm = || LayerNormConfig::new(dim).init(device);
        let attention = AttentionConfig::new(dim, heads, dim / heads);
        Self {
            norm1: norm(),
            attn1: attention.init(device),
            norm2: norm(),
            attn2: attention
                .with_cross_attention_dim(Some(context))
                .init(device),
            norm3: norm(),
            ff: FeedForward::new(dim, device),
        }
    }

    /// # Shapes
    /// - `x` and output: `[batch * frames * pixels, dim]`
    /// - `context`: `[batch, tokens, cross_attention_dim]`
    pub fn forward(&self, x: Tensor<B, 2>, context: Tensor<B, 3>, axes: TokenAxes) -> Tensor<B, 2> {
        let x = self.attn1.over_pixels(self.norm1.apply(x.clone()), axes) + x;
        let x = add_context(&self.attn2, &self.norm2, x, context);
        self.ff.forward(self.norm3.apply(x.clone())) + x
    }
}

/// Feed-forward, attention of each pixel over the frames, attention to the context, feed-forward;
/// each normalized before and added to its input.
#[derive(Module, Debug)]
pub struct TemporalBasicTransformerBlock<B: Backend> {
    /// Before `ff_in`.
    pub norm_in: LayerNorm<B>,
    /// First feed-forward.
    pub ff_in: FeedForward<B>,
    /// Before `attn1`.
    pub norm1: LayerNorm<B>,
    /// Over the frames of a pixel.
    pub attn1: Attention<B>,
    /// Before `attn2`.
    pub norm2: LayerNorm<B>,
    /// Over the context.
    pub attn2: Attention<B>,
    /// Before `ff`.
    pub norm3: LayerNorm<B>,
    /// Second feed-forward.
    pub ff: FeedForward<B>,
}

impl<B: Backend> TemporalBasicTransformerBlock<B> {
    /// # Shapes
    /// - `x` and output: `[batch * frames * pixels, dim]`
    /// - `context`: `[batch, tokens, cross_attention_dim]`
    pub fn forward(&self, x: Tensor<B, 2>, context: Tensor<B, 3>, axes: TokenAxes) -> Tensor<B, 2> {
        let x = self.ff_in.forward(self.norm_in.apply(x.clone())) + x;
        let x = self.attn1.over_frames(self.norm1.apply(x.clone()), axes) + x;
        let x = add_context(&self.attn2, &self.norm2, x, context);
        self.ff.forward(self.norm3.apply(x.clone())) + x
    }
}

/// Configuration of [`TransformerSpatioTemporalModel`].
#[derive(Config, Debug)]
pub struct TransformerSpatioTemporalModelConfig {
    /// Channels of the input and output, a multiple of 32 and of the number of heads.
    pub in_channels: usize,
    /// Number of heads.
    pub num_attention_heads: usize,
    /// Width of the context.
    pub cross_attention_dim: usize,
    /// Pairs of blocks, one in space and one in time.
    #[config(default = 1)]
    pub num_layers: usize,
}

impl TransformerSpatioTemporalModelConfig {
    /// Initialises the layers as PyTorch does.
    pub fn init<B: Backend>(&self, device: &B::Device) -> TransformerSpatioTemporalModel<B> {
        let dim = self.in_channels;
        let norm = || LayerNormConfig::new(dim).init(device);
        let attention = |context| {
            AttentionConfig::new(
                dim,
                self.num_attention_heads,
                dim / self.num_attention_heads,
            )
            .with_cross_attention_dim(context)
            .init(device)
        };
        let context = Some(self.cross_attention_dim);
        TransformerSpatioTemporalModel {
            norm: group_norm(NORM_GROUPS, dim, 1e-6, device),
            proj_in: LinearConfig::new(dim, dim).init(device),
            transformer_blocks: (0..self.num_layers)
                .map(|_| {
                    BasicTransformerBlock::new(
                        dim,
                        self.num_attention_heads,
                        self.cross_attention_dim,
                        device,
                    )
                })
                .collect(),
            temporal_transformer_blocks: (0..self.num_layers)
                .map(|_| TemporalBasicTransformerBlock {
                    norm_in: norm(),
                    ff_in: FeedForward::new(dim, device),
                    norm1: norm(),
                    attn1: attention(None),
                    norm2: norm(),
                    attn2: attention(context),
                    norm3: norm(),
                    ff: FeedForward::new(dim, device),
                })
                .collect(),
            time_pos_embed: TimestepEmbeddingConfig::new(dim, 4 * dim, dim).init(device),
            time_mixer: AlphaBlenderConfig::new()
                .with_alpha(0.5)
                .with_merge_strategy(MergeStrategy::LearnedWithImages)
                .init(device),
            proj_out: LinearConfig::new(dim, dim).init(device),
        }
    }
}

/// Transformer over a clip: blocks in space and in time take turns, their results blended.
#[derive(Module, Debug)]
pub struct TransformerSpatioTemporalModel<B: Backend> {
    /// Before `proj_in`.
    pub norm: GroupNorm<B>,
    /// From channels to tokens.
    pub proj_in: Linear<B>,
    /// In space.
    pub transformer_blocks: Vec<BasicTransformerBlock<B>>,
    /// In time.
    pub temporal_transformer_blocks: Vec<TemporalBasicTransformerBlock<B>>,
    /// Embedding of a frame's number.
    pub time_pos_embed: TimestepEmbedding<B>,
    /// Blends the two kinds of blocks.
    pub time_mixer: AlphaBlender<B>,
    /// From tokens to channels.
    pub proj_out: Linear<B>,
}

impl<B: Backend> TransformerSpatioTemporalModel<B> {
    /// # Shapes
    /// - `x` and output: `[batch * frames, in_channels, height, width]`
    /// - `context`: `[batch, tokens, cross_attention_dim]`
    ///
    /// # Panics
    /// If the first dimension of `x` is no multiple of the context's batch.
    pub fn forward(&self, x: Tensor<B, 4>, context: Tensor<B, 3>) -> Tensor<B, 4> {
        let [batch_frames, channels, height, width] = x.dims();
        let batch = context.dims()[0];
        let axes = TokenAxes {
            batch,
            frames: batch_frames / batch,
            pixels: height * width,
        };
        let rows = batch_frames * axes.pixels;

        let image = self.norm.apply(x.clone());
        let image = image.reshape([batch_frames, channels, axes.pixels]);
        let mut tokens = self.tokens_from_image(image).reshape([rows, channels]);

        let position = self.frame_positions(axes.frames, channels, &x.device());
        let layers = self.transformer_blocks.iter();
        for (spatial, temporal) in layers.zip(&self.temporal_transformer_blocks) {
            tokens = spatial.forward(tokens, context.clone(), axes);
            let timed = tokens
                .clone()
                .reshape([batch, axes.frames, axes.pixels, channels])
                + position.clone();
            let timed = temporal.forward(timed.reshape([rows, channels]), context.clone(), axes);
            tokens = self.time_mixer.forward(tokens, timed);
        }

        let tokens = tokens.reshape([batch_frames, axes.pixels, channels]);
        let image = self.image_from_tokens(tokens);
        image.reshape([batch_frames, channels, height, width]) + x
    }

    /// Embeddings of the frames' numbers, `[1, frames, 1, channels]`.
    fn frame_positions(&self, frames: usize, channels: usize, device: &B::Device) -> Tensor<B, 4> {
        let numbers = Tensor::<B, 1, Int>::arange(0..frames as i64, device).float();
        let embedded = self.time_pos_embed.forward(timesteps(numbers, channels));
        embedded.reshape([1, frames, 1, channels])
    }

    /// `proj_in` on `[n, channels, pixels]`, giving `[n, pixels, channels]`. The matrix product reads
    /// its input transposed, which spares a copy.
    fn tokens_from_image(&self, image: Tensor<B, 3>) -> Tensor<B, 3> {
        self.proj_in.apply(image.swap_dims(1, 2))
    }

    /// `proj_out` on `[n, pixels, channels]`, giving `[n, channels, pixels]` by the transposed
    /// product, again without a copy.
    fn image_from_tokens(&self, tokens: Tensor<B, 3>) -> Tensor<B, 3> {
        let weight = weight(&self.proj_out.weight).transpose();
        let image = weight.unsqueeze::<3>().matmul(tokens.swap_dims(1, 2));
        match &self.proj_out.bias {
            Some(bias) => image + bias.val().reshape([1, -1, 1]),
            None => image,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;
    use burn::tensor::{Distribution, Tolerance};

    fn random(shape: [usize; 4]) -> Tensor<Flex, 4> {
        Tensor::random(shape, Distribution::Default, &Default::default())
    }

    #[test]
    fn pieces_make_the_whole() {
        let (q, k, v) = (
            random([3, 7, 2, 4]),
            random([3, 5, 2, 4]),
            random([3, 5, 2, 4]),
        );
        let whole = attend_in_pieces(q.clone(), k.clone(), v.clone(), usize::MAX).into_data();
        // All at once; two of the three outer elements at once; some queries at once; one query, which
        // is more than the limit allows already.
        for limit in [210, 140, 35, 1] {
            let pieces = attend_in_pieces(q.clone(), k.clone(), v.clone(), limit).into_data();
            whole.assert_approx_eq::<f32>(&pieces, Tolerance::absolute(1e-6));
        }
    }

    #[test]
    fn each_axis_is_attended_alone() {
        // What changes in one frame reaches, over pixels, only that frame, and over frames, only that
        // pixel.
        let device = Default::default();
        let attention = AttentionConfig::new(8, 2, 4).init::<Flex>(&device);
        let axes = TokenAxes {
            batch: 2,
            frames: 3,
            pixels: 4,
        };
        let x = Tensor::<Flex, 2>::random([24, 8], Distribution::Default, &device);
        // Clip 1, frame 2, pixel 3.
        let row = (3 + 2) * 4 + 3;
        let other = x
            .clone()
            .slice_assign([row..row + 1, 0..8], Tensor::full([1, 8], 3.0, &device));
        let touched = |a: Tensor<Flex, 2>, b: Tensor<Flex, 2>| -> Vec<usize> {
            let difference: Vec<f32> = (a - b).abs().sum_dim(1).into_data().to_vec().unwrap();
            (0..24).filter(|&i| difference[i] > 1e-6).collect()
        };
        assert_eq!(
            touched(
                attention.over_pixels(x.clone(), axes),
                attention.over_pixels(other.clone(), axes)
            ),
            [20, 21, 22, 23]
        );
        assert_eq!(
            touched(
                attention.over_frames(x, axes),
                attention.over_frames(other, axes)
            ),
            [15, 19, 23]
        );
    }
}
