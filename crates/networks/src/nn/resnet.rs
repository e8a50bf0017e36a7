//! Residual blocks in space and time, and changes of resolution (`diffusers.models.resnet`,
//! `downsampling`, `upsampling`). Field names equal the tensor names in the files.

use super::layers::{Affine, Convolution, silu};
use super::norm::{norm_silu, norm_silu_over_clips};
use super::temporal_conv::{TemporalConv, TemporalConvConfig};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::sigmoid;
use burn::tensor::backend::Backend;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData};

/// Groups of every group norm of the Stable Diffusion family.
pub const NORM_GROUPS: usize = 32;

/// A 3x3 convolution that keeps height and width.
pub(crate) fn conv3x3<B: Backend>(c_in: usize, c_out: usize, device: &B::Device) -> Conv2d<B> {
    Conv2dConfig::new([c_in, c_out], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(device)
}

/// A group norm over `groups` groups.
pub(crate) fn group_norm<B: Backend>(
    groups: usize,
    channels: usize,
    eps: f64,
    device: &B::Device,
) -> GroupNorm<B> {
    GroupNormConfig::new(groups, channels)
        .with_epsilon(eps)
        .init(device)
}

/// Configuration of a [`ResnetBlock2D`] or a [`TemporalResnetBlock`].
#[derive(Config, Debug)]
pub struct ResnetBlockConfig {
    /// Channels of the input, a multiple of 32.
    pub in_channels: usize,
    /// Channels of the output, a multiple of 32.
    pub out_channels: usize,
    /// Channels of the time embedding; `None`: the block takes none.
    pub temb_channels: Option<usize>,
    /// Epsilon of the group norms.
    #[config(default = 1e-6)]
    pub eps: f64,
    /// Groups of the group norms; [`NORM_GROUPS`] in every published model.
    #[config(default = 32)]
    pub norm_num_groups: usize,
}

/// Norm, SiLU, convolution, twice, beside a shortcut; the time embedding is added in between.
#[derive(Module, Debug)]
pub struct ResnetBlock2D<B: Backend> {
    /// Before the first convolution.
    pub norm1: GroupNorm<B>,
    /// 3x3, `in_channels` to `out_channels`.
    pub conv1: Conv2d<B>,
    /// Time embedding to channels.
    pub time_emb_proj: Option<Linear<B>>,
    /// Before the second convolution.
    pub norm2: GroupNorm<B>,
    /// 3x3, `out_channels` to `out_channels`.
    pub conv2: Conv2d<B>,
    /// 1x1, where the number of channels changes.
    pub conv_shortcut: Option<Conv2d<B>>,
}

impl ResnetBlockConfig {
    /// Creates a block in space.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ResnetBlock2D<B> {
        let (c_in, c_out) = (self.in_channels, self.out_channels);
        ResnetBlock2D {
            norm1: group_norm(self.norm_num_groups, c_in, self.eps, device),
            conv1: conv3x3(c_in, c_out, device),
            time_emb_proj: self
                .temb_channels
                .map(|c| LinearConfig::new(c, c_out).init(device)),
            norm2: group_norm(self.norm_num_groups, c_out, self.eps, device),
            conv2: conv3x3(c_out, c_out, device),
            conv_shortcut: (c_in != c_out)
                .then(|| Conv2dConfig::new([c_in, c_out], [1, 1]).init(device)),
        }
    }

    /// Creates a block in time.
    pub fn init_temporal<B: Backend>(&self, device: &B::Device) -> TemporalResnetBlock<B> {
        let (c_in, c_out) = (self.in_channels, self.out_channels);
        TemporalResnetBlock {
            norm1: group_norm(self.norm_num_groups, c_in, self.eps, device),
            conv1: TemporalConvConfig::new(c_in, c_out).init(device),
            time_emb_proj: self
                .temb_channels
                .map(|c| LinearConfig::new(c, c_out).init(device)),
            norm2: group_norm(self.norm_num_groups, c_out, self.eps, device),
            conv2: TemporalConvConfig::new(c_out, c_out).init(device),
            conv_shortcut: (c_in != c_out).then(|| {
                TemporalConvConfig::new(c_in, c_out)
                    .with_kernel_frames(1)
                    .init(device)
            }),
        }
    }
}

impl<B: Backend> ResnetBlock2D<B> {
    /// # Shapes
    /// - `x`: `[n, in_channels, height, width]`
    /// - `temb`: `[n, temb_channels]`, ignored by a block without `time_emb_proj`
    /// - output: `[n, out_channels, height, width]`
    ///
    /// # Panics
    /// If the block has a `time_emb_proj` and `temb` is `None`.
    pub fn forward(&self, x: Tensor<B, 4>, temb: Option<Tensor<B, 2>>) -> Tensor<B, 4> {
        let mut h = self.conv1.apply(norm_silu(&self.norm1, x.clone()));
        if let Some(proj) = &self.time_emb_proj {
            let temb = temb.expect("this block was configured with a time embedding");
            let temb = proj.apply(silu(temb));
            h = h + temb.unsqueeze_dims::<4>(&[2, 3]);
        }
        let h = self.conv2.apply(norm_silu(&self.norm2, h));
        match &self.conv_shortcut {
            Some(shortcut) => shortcut.apply(x) + h,
            None => x + h,
        }
    }
}

/// [`ResnetBlock2D`] along time: its convolutions see three frames and one pixel.
#[derive(Module, Debug)]
pub struct TemporalResnetBlock<B: Backend> {
    /// Before the first convolution; its statistics span all frames.
    pub norm1: GroupNorm<B>,
    /// Three frames, `in_channels` to `out_channels`.
    pub conv1: TemporalConv<B>,
    /// Time embedding to channels.
    pub time_emb_proj: Option<Linear<B>>,
    /// Before the second convolution.
    pub norm2: GroupNorm<B>,
    /// Three frames, `out_channels` to `out_channels`.
    pub conv2: TemporalConv<B>,
    /// One frame, where the number of channels changes.
    pub conv_shortcut: Option<TemporalConv<B>>,
}

impl<B: Backend> TemporalResnetBlock<B> {
    /// # Shapes
    /// - `x`: `[batch * num_frames, in_channels, height, width]`
    /// - `temb`: `[batch * num_frames, temb_channels]`, ignored by a block without `time_emb_proj`
    /// - output: `[batch * num_frames, out_channels, height, width]`
    ///
    /// # Panics
    /// If the first dimension is no multiple of `num_frames`, or the block has a `time_emb_proj` and `temb` is `None`.
    pub fn forward(
        &self,
        x: Tensor<B, 4>,
        temb: Option<Tensor<B, 2>>,
        num_frames: usize,
    ) -> Tensor<B, 4> {
        let h = norm_silu_over_clips(&self.norm1, x.clone(), num_frames);
        let mut h = self.conv1.forward(h, num_frames);
        if let Some(proj) = &self.time_emb_proj {
            let temb = temb.expect("this block was configured with a time embedding");
            h = h + proj.apply(silu(temb)).unsqueeze_dims::<4>(&[2, 3]);
        }
        let h = norm_silu_over_clips(&self.norm2, h, num_frames);
        let h = self.conv2.forward(h, num_frames);
        match &self.conv_shortcut {
            Some(shortcut) => shortcut.forward(x, num_frames) + h,
            None => x + h,
        }
    }
}

/// How an [`AlphaBlender`] gets its weight from `mix_factor`.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum MergeStrategy {
    /// The sigmoid of `mix_factor`, which is trained.
    Learned,
    /// `mix_factor` as it stands, never trained.
    Fixed,
    /// As `Learned` for video (all this project has); for single pictures the spatial branch alone.
    LearnedWithImages,
}

/// Configuration of an [`AlphaBlender`].
#[derive(Config, Debug)]
pub struct AlphaBlenderConfig {
    /// Initial `mix_factor` (before the sigmoid, where there is one).
    #[config(default = 0.5)]
    pub alpha: f64,
    /// How the weight follows from it.
    #[config(default = "MergeStrategy::LearnedWithImages")]
    pub merge_strategy: MergeStrategy,
    /// Whether the weight belongs to the temporal branch instead of the spatial one (temporal VAE).
    #[config(default = false)]
    pub switch_spatial_to_temporal_mix: bool,
}

/// One scalar that blends a spatial branch with a temporal one.
#[derive(Module, Debug)]
pub struct AlphaBlender<B: Backend> {
    /// `[1]`
    pub mix_factor: Param<Tensor<B, 1>>,
    #[module(skip)]
    merge_strategy: MergeStrategy,
    #[module(skip)]
    switch_spatial_to_temporal_mix: bool,
}

impl AlphaBlenderConfig {
    /// Creates the blender.
    pub fn init<B: Backend>(&self, device: &B::Device) -> AlphaBlender<B> {
        let mix_factor = Tensor::from_data(TensorData::from([self.alpha]).convert::<f32>(), device);
        AlphaBlender {
            mix_factor: Param::from_tensor(mix_factor)
                .set_require_grad(self.merge_strategy != MergeStrategy::Fixed),
            merge_strategy: self.merge_strategy,
            switch_spatial_to_temporal_mix: self.switch_spatial_to_temporal_mix,
        }
    }
}

impl<B: Backend> AlphaBlender<B> {
    /// `alpha * spatial + (1 - alpha) * temporal`, with the branches' roles exchanged if so configured.
    ///
    /// # Shapes
    /// All three the same, of any rank.
    pub fn forward<const D: usize>(
        &self,
        spatial: Tensor<B, D>,
        temporal: Tensor<B, D>,
    ) -> Tensor<B, D> {
        let alpha = match self.merge_strategy {
            MergeStrategy::Fixed => self.mix_factor.val(),
            MergeStrategy::Learned | MergeStrategy::LearnedWithImages => {
                sigmoid(self.mix_factor.val())
            }
        };
        let alpha = alpha.reshape([1; D]);
        let (first, second) = if self.switch_spatial_to_temporal_mix {
            (temporal, spatial)
        } else {
            (spatial, temporal)
        };
        // One multiplication less over the whole tensor than the weighted sum.
        second.clone() + (first - second) * alpha
    }
}

/// Configuration of a [`SpatioTemporalResBlock`].
#[derive(Config, Debug)]
pub struct SpatioTemporalResBlockConfig {
    /// Channels of the input, a multiple of 32.
    pub in_channels: usize,
    /// Channels of the output, a multiple of 32.
    pub out_channels: usize,
    /// Channels of the time embedding; `None`: the block takes none.
    pub temb_channels: Option<usize>,
    /// Epsilon of the group norms in space.
    #[config(default = 1e-6)]
    pub eps: f64,
    /// Epsilon of the group norms in time; `None`: `eps`.
    pub temporal_eps: Option<f64>,
    /// Initial `mix_factor`.
    #[config(default = 0.5)]
    pub merge_factor: f64,
    /// How the two branches are blended.
    #[config(default = "MergeStrategy::LearnedWithImages")]
    pub merge_strategy: MergeStrategy,
    /// See [`AlphaBlenderConfig`].
    #[config(default = false)]
    pub switch_spatial_to_temporal_mix: bool,
    /// Groups of the group norms; [`NORM_GROUPS`] in every published model.
    #[config(default = 32)]
    pub norm_num_groups: usize,
}

/// A block in space, then one in time on its result, blended by a learned scalar.
#[derive(Module, Debug)]
pub struct SpatioTemporalResBlock<B: Backend> {
    /// Each frame by itself.
    pub spatial_res_block: ResnetBlock2D<B>,
    /// Each pixel by itself.
    pub temporal_res_block: TemporalResnetBlock<B>,
    /// Blends the two.
    pub time_mixer: AlphaBlender<B>,
}

impl SpatioTemporalResBlockConfig {
    /// Creates the block.
    pub fn init<B: Backend>(&self, device: &B::Device) -> SpatioTemporalResBlock<B> {
        let block = |in_channels, eps| ResnetBlockConfig {
            in_channels,
            out_channels: self.out_channels,
            temb_channels: self.temb_channels,
            eps,
            norm_num_groups: self.norm_num_groups,
        };
        let temporal_eps = self.temporal_eps.unwrap_or(self.eps);
        SpatioTemporalResBlock {
            spatial_res_block: block(self.in_channels, self.eps).init(device),
            temporal_res_block: block(self.out_channels, temporal_eps).init_temporal(device),
            time_mixer: AlphaBlenderConfig {
                alpha: self.merge_factor,
                merge_strategy: self.merge_strategy,
                switch_spatial_to_temporal_mix: self.switch_spatial_to_temporal_mix,
            }
            .init(device),
        }
    }
}

impl<B: Backend> SpatioTemporalResBlock<B> {
    /// # Shapes
    /// - `x`: `[batch * frames, in_channels, height, width]`, the frames of a clip one after another
    /// - `temb`: `[batch * frames, temb_channels]`
    /// - output: `[batch * frames, out_channels, height, width]`
    ///
    /// # Panics
    /// If the first dimension is no multiple of `num_frames`, or an expected `temb` is `None`.
    pub fn forward(
        &self,
        x: Tensor<B, 4>,
        temb: Option<Tensor<B, 2>>,
        num_frames: usize,
    ) -> Tensor<B, 4> {
        let spatial = self.spatial_res_block.forward(x, temb.clone());
        let temporal = self
            .temporal_res_block
            .forward(spatial.clone(), temb, num_frames);
        self.time_mixer.forward(spatial, temporal)
    }
}

/// Configuration of a [`Downsample2D`].
#[derive(Config, Debug)]
pub struct Downsample2DConfig {
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Zeros on every side: 1 in the UNet. With 0, in the VAE's encoder, one row of zeros is added
    /// below and one column at the right.
    #[config(default = 1)]
    pub padding: usize,
}

/// A 3x3 convolution with stride 2.
#[derive(Module, Debug)]
pub struct Downsample2D<B: Backend> {
    /// The convolution.
    pub conv: Conv2d<B>,
}

impl Downsample2DConfig {
    /// Creates the layer.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Downsample2D<B> {
        let padding = match self.padding {
            0 => PaddingConfig2d::Explicit(0, 0, 1, 1),
            p => PaddingConfig2d::Explicit(p, p, p, p),
        };
        Downsample2D {
            conv: Conv2dConfig::new([self.channels, self.out_channels], [3, 3])
                .with_stride([2, 2])
                .with_padding(padding)
                .init(device),
        }
    }
}

impl<B: Backend> Downsample2D<B> {
    /// # Shapes
    /// - input: `[n, channels, height, width]`
    /// - output: `[n, out_channels, height / 2, width / 2]` (odd sizes: up with padding 1, down with 0)
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.conv.apply(x)
    }
}

/// Configuration of an [`Upsample2D`].
#[derive(Config, Debug)]
pub struct Upsample2DConfig {
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
}

/// Nearest-neighbour enlargement, then a 3x3 convolution.
#[derive(Module, Debug)]
pub struct Upsample2D<B: Backend> {
    /// The convolution.
    pub conv: Conv2d<B>,
}

impl Upsample2DConfig {
    /// Creates the layer.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Upsample2D<B> {
        Upsample2D {
            conv: conv3x3(self.channels, self.out_channels, device),
        }
    }
}

impl<B: Backend> Upsample2D<B> {
    /// Enlarges twofold, or to `size` (`[height, width]`): a UNet whose size was odd somewhere on the
    /// way down asks for the size it had there.
    ///
    /// # Shapes
    /// - input: `[n, channels, height, width]`
    /// - output: `[n, out_channels, 2 * height, 2 * width]`
    pub fn forward(&self, x: Tensor<B, 4>, size: Option<[usize; 2]>) -> Tensor<B, 4> {
        let [_, _, height, width] = x.dims();
        let size = size.unwrap_or([2 * height, 2 * width]);
        let x = interpolate(x, size, InterpolateOptions::new(InterpolateMode::Nearest));
        self.conv.apply(x)
    }
}
