//! Convolution over time alone: PyTorch's `Conv3d` with kernel `(k, 1, 1)`, computed as a 2D convolution.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::conv2d;
use burn::tensor::ops::PaddedConvOptions;

/// Configuration of a [`TemporalConv`].
#[derive(Config, Debug)]
pub struct TemporalConvConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Frames seen by the kernel; odd, so that the number of frames stays the same.
    #[config(default = 3)]
    pub kernel_frames: usize,
}

/// A convolution that mixes frames and channels, one pixel at a time, with zeros before the first
/// and after the last frame.
///
/// The weight is kept as the file has it (`Conv3d`, kernel `(k, 1, 1)`). As every pixel is on its own,
/// height and width are one axis and the whole is a 2D convolution over `frames x pixels`: every
/// backend has a fast one of those, not every one a fast 3D convolution.
#[derive(Module, Debug)]
pub struct TemporalConv<B: Backend> {
    /// `[out_channels, in_channels, kernel_frames, 1, 1]`
    pub weight: Param<Tensor<B, 5>>,
    /// `[out_channels]`
    pub bias: Param<Tensor<B, 1>>,
}

impl TemporalConvConfig {
    /// Creates the layer with PyTorch's default initialisation of convolutions.
    ///
    /// # Panics
    /// If `kernel_frames` is even.
    pub fn init<B: Backend>(&self, device: &B::Device) -> TemporalConv<B> {
        assert!(
            self.kernel_frames % 2 == 1,
            "a temporal kernel has an odd length"
        );
        let fan_in = self.in_channels * self.kernel_frames;
        // PyTorch: Kaiming uniform with a = sqrt(5), that is a bound of 1 / sqrt(fan_in).
        let init = Initializer::KaimingUniform {
            gain: 1.0 / 3f64.sqrt(),
            fan_out_only: false,
        };
        TemporalConv {
            weight: init.init_with(
                [
                    self.out_channels,
                    self.in_channels,
                    self.kernel_frames,
                    1,
                    1,
                ],
                Some(fan_in),
                None,
                device,
            ),
            bias: init.init_with([self.out_channels], Some(fan_in), None, device),
        }
    }
}

impl<B: Backend> TemporalConv<B> {
    /// # Shapes
    /// - input: `[batch, in_channels, frames, height * width]`
    /// - output: `[batch, out_channels, frames, height * width]`
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let weight = self.weight.val();
        let [c_out, c_in, k, _, _] = weight.dims();
        let pad = [k / 2, 0];
        conv2d(
            x,
            weight.reshape([c_out, c_in, k, 1]),
            Some(self.bias.val()),
            PaddedConvOptions::asymmetric([1, 1], pad, pad, [1, 1], 1),
        )
    }
}

/// Puts time beside space: `[batch * frames, channels, height, width]` to
/// `[batch, channels, frames, height * width]`, the layout of [`TemporalConv`].
///
/// # Panics
/// If the first dimension is no multiple of `num_frames`.
pub fn frames_to_axis<B: Backend>(x: Tensor<B, 4>, num_frames: usize) -> Tensor<B, 4> {
    let [batch_frames, channels, height, width] = x.dims();
    assert!(
        num_frames > 0 && batch_frames % num_frames == 0,
        "{batch_frames} pictures are no whole number of clips of {num_frames} frames"
    );
    x.reshape([
        batch_frames / num_frames,
        num_frames,
        channels,
        height * width,
    ])
    .swap_dims(1, 2)
}

/// The way back from [`frames_to_axis`]: `[batch, channels, frames, height * width]` to
/// `[batch * frames, channels, height, width]`.
pub fn axis_to_frames<B: Backend>(x: Tensor<B, 4>, height: usize, width: usize) -> Tensor<B, 4> {
    let [batch, channels, frames, _] = x.dims();
    x.swap_dims(1, 2)
        .reshape([batch * frames, channels, height, width])
}
