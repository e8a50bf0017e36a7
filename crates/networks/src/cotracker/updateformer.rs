//! The transformer that corrects tracks (`EfficientUpdateFormer`): attention over time within each track, then between
//! tracks by way of a few virtual ones.

use crate::nn::attention::scaled_dot_product;
use crate::nn::norm::{LayerNorm, LayerNormConfig, Norm};
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{gelu, gelu_approximate};
use burn::tensor::{Tensor, backend::Backend};

/// Of the norms without parameters.
const EPSILON: f64 = 1e-6;
/// A feed-forward is this many times as wide as the tokens.
const MLP_RATIO: usize = 4;

/// A token with mean 0 and deviation 1; there is nothing to learn in it.
fn plain_norm<B: Backend>(x: Tensor<B, 3>) -> Tensor<B, 3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().powi_scalar(2).mean_dim(2);
    centred / (variance + EPSILON).sqrt()
}

/// Two linear layers (`Mlp`).
#[derive(Module, Debug)]
pub struct Mlp<B: Backend> {
    fc1: Linear<B>,
    fc2: Linear<B>,
}

impl<B: Backend> Mlp<B> {
    /// From `widths[0]` over `widths[1]` to `widths[2]`.
    pub fn new(widths: [usize; 3], device: &B::Device) -> Self {
        Self {
            fc1: LinearConfig::new(widths[0], widths[1]).init(device),
            fc2: LinearConfig::new(widths[1], widths[2]).init(device),
        }
    }

    /// With GELU by the error function.
    pub fn forward<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        self.fc2.forward(gelu(self.fc1.forward(x)))
    }

    /// With GELU's approximation by tanh.
    fn approximate(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        self.fc2.forward(gelu_approximate(self.fc1.forward(x)))
    }
}

/// Attention with keys and values in one layer.
#[derive(Module, Debug)]
pub struct TrackAttention<B: Backend> {
    to_q: Linear<B>,
    to_kv: Linear<B>,
    to_out: Linear<B>,
    heads: usize,
}

impl<B: Backend> TrackAttention<B> {
    fn new(width: usize, heads: usize, device: &B::Device) -> Self {
        Self {
            to_q: LinearConfig::new(width, width).init(device),
            to_kv: LinearConfig::new(width, 2 * width).init(device),
            to_out: LinearConfig::new(width, width).init(device),
            heads,
        }
    }

    /// `x`: `[n, queries, width]`, `context`: `[n, keys, width]`.
    fn forward(&self, x: Tensor<B, 3>, context: Tensor<B, 3>) -> Tensor<B, 3> {
        let [n, queries, width] = x.dims();
        let keys = context.dims()[1];
        let dim = width / self.heads;
        let q = self.to_q.forward(x);
        let kv = self.to_kv.forward(context);
        let k = kv.clone().narrow(2, 0, width);
        let v = kv.narrow(2, width, width);
        let y = scaled_dot_product(
            q.reshape([n, queries, self.heads, dim]),
            k.reshape([n, keys, self.heads, dim]),
            v.reshape([n, keys, self.heads, dim]),
        );
        self.to_out.forward(y.reshape([n, queries, width]))
    }
}

/// Attention of tokens to each other (`AttnBlock`).
#[derive(Module, Debug)]
pub struct AttnBlock<B: Backend> {
    attn: TrackAttention<B>,
    mlp: Mlp<B>,
}

impl<B: Backend> AttnBlock<B> {
    fn new(width: usize, heads: usize, device: &B::Device) -> Self {
        Self {
            attn: TrackAttention::new(width, heads, device),
            mlp: Mlp::new([width, MLP_RATIO * width, width], device),
        }
    }

    fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let normalized = plain_norm(x.clone());
        let x = x + self.attn.forward(normalized.clone(), normalized);
        x.clone() + self.mlp.approximate(plain_norm(x))
    }
}

/// Attention of tokens to others (`CrossAttnBlock`).
#[derive(Module, Debug)]
pub struct CrossAttnBlock<B: Backend> {
    norm_context: LayerNorm<B>,
    cross_attn: TrackAttention<B>,
    mlp: Mlp<B>,
}

impl<B: Backend> CrossAttnBlock<B> {
    fn new(width: usize, heads: usize, device: &B::Device) -> Self {
        Self {
            norm_context: LayerNormConfig::new(width).init(device),
            cross_attn: TrackAttention::new(width, heads, device),
            mlp: Mlp::new([width, MLP_RATIO * width, width], device),
        }
    }

    fn forward(&self, x: Tensor<B, 3>, context: Tensor<B, 3>) -> Tensor<B, 3> {
        let context = self.norm_context.apply(context);
        let x = x.clone() + self.cross_attn.forward(plain_norm(x), context);
        x.clone() + self.mlp.approximate(plain_norm(x))
    }
}

/// The transformer.
#[derive(Module, Debug)]
pub struct EfficientUpdateFormer<B: Backend> {
    input_transform: Linear<B>,
    flow_head: Linear<B>,
    vis_conf_head: Linear<B>,
    /// The published spelling of another. `[1, virtual tracks, 1, width]`
    virual_tracks: Param<Tensor<B, 4>>,
    time_blocks: Vec<AttnBlock<B>>,
    space_virtual_blocks: Vec<AttnBlock<B>>,
    space_point2virtual_blocks: Vec<CrossAttnBlock<B>>,
    space_virtual2point_blocks: Vec<CrossAttnBlock<B>>,
}

impl<B: Backend> EfficientUpdateFormer<B> {
    /// `depth` times attention over time and between tracks; `input` numbers a track and frame.
    pub fn new(
        input: usize,
        width: usize,
        heads: usize,
        depth: usize,
        virtual_tracks: usize,
        device: &B::Device,
    ) -> Self {
        let block = |_| AttnBlock::new(width, heads, device);
        let cross = |_| CrossAttnBlock::new(width, heads, device);
        Self {
            input_transform: LinearConfig::new(input, width).init(device),
            flow_head: LinearConfig::new(width, 2).init(device),
            vis_conf_head: LinearConfig::new(width, 2).init(device),
            virual_tracks: Param::from_tensor(Tensor::zeros([1, virtual_tracks, 1, width], device)),
            time_blocks: (0..depth).map(block).collect(),
            space_virtual_blocks: (0..depth).map(block).collect(),
            space_point2virtual_blocks: (0..depth).map(cross).collect(),
            space_virtual2point_blocks: (0..depth).map(cross).collect(),
        }
    }

    /// Corrections of place (two numbers), visibility and confidence.
    ///
    /// # Shapes
    /// - `x`: `[tracks, frames, input]`
    /// - output: `[tracks, frames, 4]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [tracks, frames, _] = x.dims();
        let tokens = self.input_transform.forward(x);
        let width = tokens.dims()[2];
        let virtual_tracks = self.virual_tracks.val();
        let virtuals = virtual_tracks.dims()[1];
        let virtual_tracks = virtual_tracks
            .reshape([virtuals, 1, width])
            .expand([virtuals, frames, width]);
        let mut tokens = Tensor::cat(vec![tokens, virtual_tracks], 0);
        for (i, block) in self.time_blocks.iter().enumerate() {
            tokens = block.forward(tokens);
            let by_frame = tokens.swap_dims(0, 1);
            let points = by_frame.clone().narrow(1, 0, tracks);
            let others = by_frame.narrow(1, tracks, virtuals);
            let others = self.space_virtual2point_blocks[i].forward(others, points.clone());
            let others = self.space_virtual_blocks[i].forward(others);
            let points = self.space_point2virtual_blocks[i].forward(points, others.clone());
            tokens = Tensor::cat(vec![points, others], 1).swap_dims(0, 1);
        }
        let tokens = tokens.narrow(0, 0, tracks);
        let flow = self.flow_head.forward(tokens.clone());
        Tensor::cat(vec![flow, self.vis_conf_head.forward(tokens)], 2)
    }
}
