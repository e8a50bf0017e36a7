//! SAM's own image encoder (`ImageEncoderViT`): a vision transformer in which most blocks look at windows of the picture
//! and a few at all of it, with relative positions taken apart into rows and columns.

use super::common::{
    EPSILON, MOST, MOST_LAYERS, MOST_PATCHES, MlpBlock, Neck, from_windows, new_neck, through_neck,
    windows,
};
use crate::fields::Fields;
use crate::nn::attention::biased_dot_product;
use crate::nn::layers::{Affine, Convolution, ScoreBias};
use crate::nn::norm::{LayerNorm, LayerNormConfig, Norm};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use dragentity_core::error::Result;

/// Sizes of [`ImageEncoderViT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViTConfig {
    /// Side of the square picture in pixels.
    pub img_size: usize,
    /// Side of the square patches in pixels.
    pub patch_size: usize,
    /// Width of the tokens.
    pub embed_dim: usize,
    /// Heads of each attention.
    pub num_heads: usize,
    /// Width inside the feed-forwards.
    pub mlp_dim: usize,
    /// For each block, the side of its windows in patches; of the whole picture where it has none.
    pub windows: Vec<usize>,
    /// Channels of the embedding.
    pub out_chans: usize,
}

impl Default for ViTConfig {
    /// ViT-B.
    fn default() -> Self {
        let windows = (0..12).map(|i| if i % 3 == 2 { 64 } else { 14 });
        Self {
            img_size: 1024,
            patch_size: 16,
            embed_dim: 768,
            num_heads: 12,
            mlp_dim: 3072,
            windows: windows.collect(),
            out_chans: 256,
        }
    }
}

impl ViTConfig {
    /// Patches along a side of the picture.
    pub fn grid(&self) -> usize {
        self.img_size / self.patch_size
    }

    /// Checks that the network can be built; `name` is what the error calls the file of its weights.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        for (field, value) in [
            ("img_size", self.img_size),
            ("patch_size", self.patch_size),
            ("embed_dim", self.embed_dim),
            ("num_heads", self.num_heads),
            ("mlp_dim", self.mlp_dim),
            ("out_chans", self.out_chans),
        ] {
            fields.within(field, value, 1..=MOST)?;
        }
        fields.multiple("img_size", self.img_size, "patch_size", self.patch_size)?;
        fields.multiple("embed_dim", self.embed_dim, "num_heads", self.num_heads)?;
        let grid = self.grid();
        fields.within("the number of patches along a side", grid, 1..=MOST_PATCHES)?;
        fields.within("the number of windows", self.windows.len(), 1..=MOST_LAYERS)?;
        fields.all_within("windows", &self.windows, 1..=grid)
    }

    /// The network, its weights random.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<ImageEncoderViT<B>> {
        self.validate("SAM's image encoder")?;
        let (width, grid) = (self.embed_dim, self.grid());
        let norm = || {
            LayerNormConfig::new(width)
                .with_epsilon(EPSILON)
                .init(device)
        };
        let patch = [self.patch_size; 2];
        let block = |&side: &usize| {
            let positions =
                || Initializer::Zeros.init([2 * side - 1, width / self.num_heads], device);
            Block {
                norm1: norm(),
                attn: Attention {
                    qkv: LinearConfig::new(width, 3 * width).init(device),
                    proj: LinearConfig::new(width, width).init(device),
                    rel_pos_h: positions(),
                    rel_pos_w: positions(),
                    heads: self.num_heads,
                },
                norm2: norm(),
                mlp: MlpBlock::new(width, self.mlp_dim, device),
                window: side,
            }
        };
        Ok(ImageEncoderViT {
            patch_embed: PatchEmbed {
                proj: Conv2dConfig::new([3, width], patch)
                    .with_stride(patch)
                    .init(device),
            },
            pos_embed: Initializer::Zeros.init([1, grid, grid, width], device),
            blocks: self.windows.iter().map(block).collect(),
            neck: new_neck(width, self.out_chans, device),
        })
    }
}

/// Patches to tokens.
#[derive(Module, Debug)]
pub struct PatchEmbed<B: Backend> {
    /// A token for each patch.
    pub proj: Conv2d<B>,
}

/// The network.
#[derive(Module, Debug)]
pub struct ImageEncoderViT<B: Backend> {
    /// Patches to tokens.
    pub patch_embed: PatchEmbed<B>,
    /// Added to the tokens by their places. `[1, height, width, embed_dim]`
    pub pos_embed: Param<Tensor<B, 4>>,
    /// Attention and feed-forwards.
    pub blocks: Vec<Block<B>>,
    /// To the embedding.
    pub neck: Neck<B>,
}

impl<B: Backend> ImageEncoderViT<B> {
    /// Tokens of a picture, for the blocks.
    ///
    /// # Shapes
    /// - `picture`: `[1, 3, img_size, img_size]`
    /// - output: `[1, height, width, embed_dim]` in patches
    pub(super) fn tokens(&self, picture: Tensor<B, 4>) -> Tensor<B, 4> {
        let patches = self.patch_embed.proj.apply(picture);
        patches.permute([0, 2, 3, 1]) + self.pos_embed.val()
    }

    /// What the last block gives, as an embedding.
    pub(super) fn embedding(&self, tokens: Tensor<B, 4>) -> Tensor<B, 4> {
        through_neck(&self.neck, tokens.permute([0, 3, 1, 2]))
    }
}

/// Attention within windows, feed-forward; each normalized before and added to its input.
#[derive(Module, Debug)]
pub struct Block<B: Backend> {
    /// Before `attn`.
    pub norm1: LayerNorm<B>,
    /// Of the tokens of a window.
    pub attn: Attention<B>,
    /// Before `mlp`.
    pub norm2: LayerNorm<B>,
    /// Feed-forward.
    pub mlp: MlpBlock<B>,
    window: usize,
}

impl<B: Backend> Block<B> {
    /// # Shapes
    /// - `x` and output: `[n, height, width, embed_dim]`
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, height, width, _] = x.dims();
        let cut = windows(self.norm1.apply(x.clone()), self.window);
        let seen = self.attn.forward(cut, self.window);
        let x = x + from_windows(seen, self.window, [height, width]);
        x.clone() + self.mlp.gelu(self.norm2.apply(x))
    }
}

/// Attention of a window's tokens to each other, with relative positions.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
    /// Queries, keys and values.
    pub qkv: Linear<B>,
    /// Of the heads' results.
    pub proj: Linear<B>,
    /// For each distance in rows, what a query's product with it adds. `[2 * side - 1, head_dim]`
    pub rel_pos_h: Param<Tensor<B, 2>>,
    /// For each distance in columns. `[2 * side - 1, head_dim]`
    pub rel_pos_w: Param<Tensor<B, 2>>,
    heads: usize,
}

impl<B: Backend> Attention<B> {
    /// `x`: `[n, side * side, embed_dim]`
    fn forward(&self, x: Tensor<B, 3>, side: usize) -> Tensor<B, 3> {
        let [n, tokens, width] = x.dims();
        let dim = width / self.heads;
        let qkv = self.qkv.apply(x);
        let part = |i: usize| {
            let part = qkv.clone().narrow(2, i * width, width);
            part.reshape([n, tokens, self.heads, dim])
        };
        let (q, k, v) = (part(0), part(1), part(2));
        // By rows, and by columns.
        let by_axis = q.clone().reshape([n, side, side, self.heads * dim]);
        let rows = self.products(by_axis.clone().swap_dims(0, 1), &self.rel_pos_h);
        let columns = self.products(by_axis.permute([2, 0, 1, 3]), &self.rel_pos_w);
        let shape = [n, tokens, self.heads, side];
        let bias = ScoreBias::Grid {
            rows: rows
                .reshape([side, n, side, self.heads * side])
                .swap_dims(0, 1)
                .reshape(shape),
            columns: columns
                .reshape([side, n, side, self.heads * side])
                .permute([1, 2, 0, 3])
                .reshape(shape),
        };
        let y = biased_dot_product(q, k, v, &bias);
        self.proj.apply(y.reshape([n, tokens, width]))
    }

    /// Products of queries with the positions that each of the `side` rows (or columns) of keys has relative to theirs.
    ///
    /// # Shapes
    /// - `q`: `[side, n, others, heads * dim]`, the queries' row (or column) first
    /// - output: `[side, n * others * heads, side]`
    fn products(&self, q: Tensor<B, 4>, positions: &Param<Tensor<B, 2>>) -> Tensor<B, 3> {
        let [side, n, others, width] = q.dims();
        let dim = width / self.heads;
        let distances: Vec<i64> = (0..side)
            .flat_map(|query| (0..side).map(move |key| (query + side - 1 - key) as i64))
            .collect();
        let distances =
            Tensor::<B, 1, Int>::from_data(TensorData::new(distances, [side * side]), &q.device());
        let positions = positions.val().select(0, distances);
        let positions = positions.reshape([side, side, dim]).swap_dims(1, 2);
        q.reshape([side, n * others * self.heads, dim])
            .matmul(positions)
    }
}
