//! MobileSAM's image encoder: TinyViT-5M (Wu and others, 2022). Convolutions at the first resolution, then attention
//! within windows with a bias for each distance; a depthwise convolution in every block joins the windows.

use super::common::{
    MOST, MOST_LAYERS, MOST_PATCHES, Neck, from_windows, new_neck, through_neck, windows,
};
use crate::fields::Fields;
use crate::nn::attention::biased_dot_product;
use crate::nn::batch_norm::FrozenBatchNorm;
use crate::nn::layers::{Affine, Convolution, ScoreBias, gelu};
use crate::nn::norm::{LayerNorm, LayerNormConfig, Norm};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Gelu, Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use dragentity_core::error::Result;

/// Of batch norms.
const EPSILON: f64 = 1e-5;
/// Pixels of the picture to one of the embedding, along each side.
pub const STRIDE: usize = 16;

/// Sizes of [`TinyViT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TinyViTConfig {
    /// Side of the square picture in pixels.
    pub img_size: usize,
    /// Channels of the four layers.
    pub embed_dims: [usize; 4],
    /// Blocks of each layer.
    pub depths: [usize; 4],
    /// Channels inside the first layer's blocks.
    pub conv_dim: usize,
    /// Heads of the attention in the last three layers.
    pub num_heads: [usize; 3],
    /// Sides of their windows.
    pub window_sizes: [usize; 3],
    /// Width inside their feed-forwards.
    pub mlp_dims: [usize; 3],
    /// Channels of the embedding.
    pub out_chans: usize,
}

impl Default for TinyViTConfig {
    /// MobileSAM's.
    fn default() -> Self {
        Self {
            img_size: 1024,
            embed_dims: [64, 128, 160, 320],
            depths: [2, 2, 6, 2],
            conv_dim: 256,
            num_heads: [4, 5, 10],
            window_sizes: [7, 14, 7],
            mlp_dims: [512, 640, 1280],
            out_chans: 256,
        }
    }
}

impl TinyViTConfig {
    /// Checks that the network can be built; `name` is what the error calls the file of its weights.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        for (field, value) in [
            ("img_size", self.img_size),
            ("conv_dim", self.conv_dim),
            ("out_chans", self.out_chans),
        ] {
            fields.within(field, value, 1..=MOST)?;
        }
        for (field, values, most) in [
            ("embed_dims", &self.embed_dims[..], MOST),
            ("depths", &self.depths, MOST_LAYERS),
            ("num_heads", &self.num_heads, MOST),
            ("window_sizes", &self.window_sizes, MOST_PATCHES),
            ("mlp_dims", &self.mlp_dims, MOST),
        ] {
            fields.all_within(field, values, 1..=most)?;
        }
        fields.multiple("img_size", self.img_size, "", STRIDE)?;
        // Half of the channels come from the first convolution.
        fields.multiple("embed_dims", self.embed_dims[0], "", 2)?;
        for (&dim, &heads) in self.embed_dims[1..].iter().zip(&self.num_heads) {
            fields.multiple("embed_dims", dim, "num_heads", heads)?;
        }
        Ok(())
    }

    /// The network, its weights random.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<TinyViT<B>> {
        self.validate("MobileSAM's image encoder")?;
        let dims = self.embed_dims;
        let layer = |i: usize| BasicLayer {
            blocks: (0..self.depths[i])
                .map(|_| TinyViTBlock::new(self, i, device))
                .collect(),
            // The last layer keeps the resolution of the one before.
            downsample: (i < 3).then(|| {
                let stride = if i == 2 { 1 } else { 2 };
                PatchMerging::new(dims[i], dims[i + 1], stride, device)
            }),
        };
        Ok(TinyViT {
            patch_embed: PatchEmbed {
                seq: (
                    ConvBn::new(3, dims[0] / 2, 3, 2, 1, device),
                    Gelu::new(),
                    ConvBn::new(dims[0] / 2, dims[0], 3, 2, 1, device),
                ),
            },
            layers: (
                ConvLayer {
                    blocks: (0..self.depths[0])
                        .map(|_| MbConv::new(dims[0], self.conv_dim, device))
                        .collect(),
                    downsample: PatchMerging::new(dims[0], dims[1], 2, device),
                },
                layer(1),
                layer(2),
                layer(3),
            ),
            neck: new_neck(dims[3], self.out_chans, device),
        })
    }
}

/// A convolution and its batch norm (`Conv2d_BN`).
#[derive(Module, Debug)]
pub struct ConvBn<B: Backend> {
    /// Without a bias.
    pub c: Conv2d<B>,
    /// Its norm.
    pub bn: FrozenBatchNorm<B>,
}

impl<B: Backend> ConvBn<B> {
    fn new(
        from: usize,
        to: usize,
        kernel: usize,
        stride: usize,
        groups: usize,
        device: &B::Device,
    ) -> Self {
        let around = kernel / 2;
        Self {
            c: Conv2dConfig::new([from, to], [kernel; 2])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(around, around, around, around))
                .with_groups(groups)
                .with_bias(false)
                .init(device),
            bn: FrozenBatchNorm::new(to, EPSILON, device),
        }
    }

    fn of_pixels(from: usize, to: usize, device: &B::Device) -> Self {
        Self::new(from, to, 1, 1, 1, device)
    }

    /// Each channel by itself.
    fn depthwise(channels: usize, stride: usize, device: &B::Device) -> Self {
        Self::new(channels, channels, 3, stride, channels, device)
    }

    /// As one convolution: there are far fewer weights than pixels.
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let (scale, shift) = self.bn.scale_and_shift();
        let channels = scale.dims()[0];
        let mut whole = self.c.clone();
        let weight = self.c.weight.val() * scale.reshape([channels, 1, 1, 1]);
        whole.weight = Param::from_tensor(weight);
        whole.bias = Some(Param::from_tensor(shift));
        whole.apply(x)
    }
}

/// Pixels to features of a quarter of the resolution.
#[derive(Module, Debug)]
pub struct PatchEmbed<B: Backend> {
    /// Convolution, GELU, convolution.
    pub seq: (ConvBn<B>, Gelu, ConvBn<B>),
}

/// Inverted bottleneck.
#[derive(Module, Debug)]
pub struct MbConv<B: Backend> {
    /// To the inner channels.
    pub conv1: ConvBn<B>,
    /// Depthwise.
    pub conv2: ConvBn<B>,
    /// Back.
    pub conv3: ConvBn<B>,
}

impl<B: Backend> MbConv<B> {
    fn new(channels: usize, inner: usize, device: &B::Device) -> Self {
        Self {
            conv1: ConvBn::of_pixels(channels, inner, device),
            conv2: ConvBn::depthwise(inner, 1, device),
            conv3: ConvBn::of_pixels(inner, channels, device),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let y = gelu(self.conv1.forward(x.clone()));
        let y = gelu(self.conv2.forward(y));
        gelu(self.conv3.forward(y) + x)
    }
}

/// To the next layer's channels and resolution.
#[derive(Module, Debug)]
pub struct PatchMerging<B: Backend> {
    /// To the next channels.
    pub conv1: ConvBn<B>,
    /// Depthwise, with the stride.
    pub conv2: ConvBn<B>,
    /// Between channels.
    pub conv3: ConvBn<B>,
}

impl<B: Backend> PatchMerging<B> {
    fn new(from: usize, to: usize, stride: usize, device: &B::Device) -> Self {
        Self {
            conv1: ConvBn::of_pixels(from, to, device),
            conv2: ConvBn::depthwise(to, stride, device),
            conv3: ConvBn::of_pixels(to, to, device),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = gelu(self.conv1.forward(x));
        let x = gelu(self.conv2.forward(x));
        self.conv3.forward(x)
    }
}

/// Attention within a window, normalized before, with a bias for each distance.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
    /// Before everything.
    pub norm: LayerNorm<B>,
    /// Query, key and value of a head, head by head.
    pub qkv: Linear<B>,
    /// Of the heads' results.
    pub proj: Linear<B>,
    /// For each distance in rows and columns. `[heads, side * side]`
    pub attention_biases: Param<Tensor<B, 2>>,
    heads: usize,
}

impl<B: Backend> Attention<B> {
    fn new(width: usize, heads: usize, side: usize, device: &B::Device) -> Self {
        Self {
            norm: LayerNormConfig::new(width).init(device),
            qkv: LinearConfig::new(width, 3 * width).init(device),
            proj: LinearConfig::new(width, width).init(device),
            attention_biases: Initializer::Zeros.init([heads, side * side], device),
            heads,
        }
    }

    /// `x`: `[windows, side * side, channels]`
    fn forward(&self, x: Tensor<B, 3>, side: usize) -> Tensor<B, 3> {
        let [n, tokens, width] = x.dims();
        let dim = width / self.heads;
        let qkv = self.qkv.apply(self.norm.apply(x));
        let qkv = qkv.reshape([n, tokens, self.heads, 3 * dim]);
        let part = |i: usize| qkv.clone().narrow(3, i * dim, dim);
        let y = biased_dot_product(part(0), part(1), part(2), &self.bias(side));
        self.proj.apply(y.reshape([n, tokens, width]))
    }

    /// The biases of each pair of tokens.
    fn bias(&self, side: usize) -> ScoreBias<B> {
        let tokens = side * side;
        let distance = |a: usize, b: usize| {
            (a / side).abs_diff(b / side) * side + (a % side).abs_diff(b % side)
        };
        let distances: Vec<i64> = (0..tokens)
            .flat_map(|a| (0..tokens).map(move |b| distance(a, b) as i64))
            .collect();
        let biases = self.attention_biases.val();
        let distances = Tensor::<B, 1, Int>::from_data(
            TensorData::new(distances, [tokens * tokens]),
            &biases.device(),
        );
        let table = biases.select(1, distances);
        ScoreBias::Table(table.reshape([self.heads, tokens, tokens]))
    }
}

/// Feed-forward, normalized before.
#[derive(Module, Debug)]
pub struct Mlp<B: Backend> {
    /// Before everything.
    pub norm: LayerNorm<B>,
    /// To the inner width.
    pub fc1: Linear<B>,
    /// Back.
    pub fc2: Linear<B>,
}

/// Attention, depthwise convolution, feed-forward.
#[derive(Module, Debug)]
pub struct TinyViTBlock<B: Backend> {
    /// Within windows.
    pub attn: Attention<B>,
    /// Across them.
    pub local_conv: ConvBn<B>,
    /// Feed-forward.
    pub mlp: Mlp<B>,
    window: usize,
}

impl<B: Backend> TinyViTBlock<B> {
    /// Of layer `i`, from 1.
    fn new(config: &TinyViTConfig, i: usize, device: &B::Device) -> Self {
        let (width, inner) = (config.embed_dims[i], config.mlp_dims[i - 1]);
        let window = config.window_sizes[i - 1];
        Self {
            attn: Attention::new(width, config.num_heads[i - 1], window, device),
            local_conv: ConvBn::depthwise(width, 1, device),
            mlp: Mlp {
                norm: LayerNormConfig::new(width).init(device),
                fc1: LinearConfig::new(width, inner).init(device),
                fc2: LinearConfig::new(inner, width).init(device),
            },
            window,
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, height, width] = x.dims();
        let pixels = x.permute([0, 2, 3, 1]);
        let seen = self
            .attn
            .forward(windows(pixels.clone(), self.window), self.window);
        let pixels = pixels + from_windows(seen, self.window, [height, width]);
        let pixels = self.local_conv.forward(pixels.permute([0, 3, 1, 2]));
        let pixels = pixels.permute([0, 2, 3, 1]);
        let normalized = self.mlp.norm.apply(pixels.clone());
        let inner = gelu(self.mlp.fc1.apply(normalized));
        (pixels + self.mlp.fc2.apply(inner)).permute([0, 3, 1, 2])
    }
}

/// The first layer.
#[derive(Module, Debug)]
pub struct ConvLayer<B: Backend> {
    /// Convolutions.
    pub blocks: Vec<MbConv<B>>,
    /// To the next layer.
    pub downsample: PatchMerging<B>,
}

/// The other layers.
#[derive(Module, Debug)]
pub struct BasicLayer<B: Backend> {
    /// Attention.
    pub blocks: Vec<TinyViTBlock<B>>,
    /// To the next layer, if there is one.
    pub downsample: Option<PatchMerging<B>>,
}

/// The network, without the head that names what is in a picture.
#[derive(Module, Debug)]
pub struct TinyViT<B: Backend> {
    /// Pixels to features.
    pub patch_embed: PatchEmbed<B>,
    /// In their order.
    pub layers: (ConvLayer<B>, BasicLayer<B>, BasicLayer<B>, BasicLayer<B>),
    /// To the embedding.
    pub neck: Neck<B>,
}

/// One after another they make up the layers.
pub(super) enum Stage<'a, B: Backend> {
    Conv(&'a MbConv<B>),
    Block(&'a TinyViTBlock<B>),
    Merge(&'a PatchMerging<B>),
}

impl<B: Backend> Stage<'_, B> {
    /// # Shapes
    /// - `x` and output: `[1, channels, height, width]`
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Conv(block) => block.forward(x),
            Self::Block(block) => block.forward(x),
            Self::Merge(merge) => merge.forward(x),
        }
    }
}

impl<B: Backend> TinyViT<B> {
    /// Channels of the embedding.
    pub fn channels(&self) -> usize {
        self.neck.3.weight.dims()[0]
    }

    /// From pictures of any size to their embeddings.
    ///
    /// # Shapes
    /// - `picture`: `[batch, 3, height, width]`, both sides multiples of [`STRIDE`]
    /// - output: `[batch, channels, height / STRIDE, width / STRIDE]`
    pub fn forward(&self, picture: Tensor<B, 4>) -> Tensor<B, 4> {
        let first = self.features(picture);
        let stages = self.stages();
        self.embedding(stages.iter().fold(first, |x, stage| stage.forward(x)))
    }

    /// Features of a picture, for the stages.
    ///
    /// # Shapes
    /// - `picture`: `[1, 3, img_size, img_size]`
    /// - output: `[1, channels, img_size / 4, img_size / 4]`
    pub(super) fn features(&self, picture: Tensor<B, 4>) -> Tensor<B, 4> {
        let (first, _, second) = &self.patch_embed.seq;
        second.forward(gelu(first.forward(picture)))
    }

    /// All that is between [`features`](Self::features) and [`embedding`](Self::embedding), in order.
    pub(super) fn stages(&self) -> Vec<Stage<'_, B>> {
        let (first, ..) = &self.layers;
        let mut stages: Vec<_> = first.blocks.iter().map(Stage::Conv).collect();
        stages.push(Stage::Merge(&first.downsample));
        for layer in [&self.layers.1, &self.layers.2, &self.layers.3] {
            stages.extend(layer.blocks.iter().map(Stage::Block));
            stages.extend(layer.downsample.as_ref().map(Stage::Merge));
        }
        stages
    }

    /// What the last stage gives, as an embedding.
    pub(super) fn embedding(&self, features: Tensor<B, 4>) -> Tensor<B, 4> {
        through_neck(&self.neck, features)
    }
}
