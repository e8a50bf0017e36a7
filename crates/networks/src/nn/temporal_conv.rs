//! Convolution over time alone: PyTorch's `Conv3d` with kernel `(k, 1, 1)`, computed as a 1x1 convolution of frames that
//! have their neighbours' channels beside their own.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::conv2d;
use burn::tensor::ops::PaddedConvOptions;

use super::layers::temporal_conv;
use super::packed::weight;
#[cfg(feature = "cuda")]
use super::product;

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
/// The weight is kept as the file has it (`Conv3d`, kernel `(k, 1, 1)`). Time stays in the batch, as everywhere else:
/// putting it beside space and back, for a 2D convolution over `frames x pixels`, would copy every tensor three times
/// by single numbers, which on the CPU takes longer than the products.
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
    /// - input: `[batch * num_frames, in_channels, height, width]`
    /// - output: `[batch * num_frames, out_channels, height, width]`
    ///
    /// # Panics
    /// If the first dimension is no multiple of `num_frames`.
    pub fn forward(&self, x: Tensor<B, 4>, num_frames: usize) -> Tensor<B, 4> {
        let weight = weight(&self.weight);
        if let Some(y) = temporal_conv(&x, num_frames, &weight, &self.bias.val()) {
            return y;
        }
        let [c_out, c_in, k, _, _] = weight.dims();
        let taps = (0..k).map(|tap| {
            weight
                .clone()
                .narrow(2, tap, 1)
                .reshape([c_out, c_in, 1, 1])
        });
        let weight = Tensor::cat(taps.collect(), 1);
        let x = with_neighbours(x, k, num_frames);
        #[cfg(feature = "cuda")]
        if product::wanted::<B>(&x.device()) {
            let steps = product::Steps {
                stride: [1, 1],
                padding: [0; 4],
                dilation: [1, 1],
            };
            if let Some(y) = product::convolve(&x, &weight, Some(&self.bias), &steps) {
                return y;
            }
        }
        let options = PaddedConvOptions::asymmetric([1, 1], [0, 0], [0, 0], [1, 1], 1);
        conv2d(x, weight, Some(self.bias.val()), options)
    }
}

/// Each frame's channels between those of the frames before and after it, `count` frames in all; zeros where a clip has
/// none.
fn with_neighbours<B: Backend>(x: Tensor<B, 4>, count: usize, num_frames: usize) -> Tensor<B, 4> {
    let [batch_frames, channels, height, width] = x.dims();
    assert!(
        num_frames > 0 && batch_frames % num_frames == 0,
        "{batch_frames} pictures are no whole number of clips of {num_frames} frames"
    );
    if count == 1 {
        return x;
    }
    let clips = batch_frames / num_frames;
    let x = x.reshape([clips, num_frames, channels, height * width]);
    let around = Tensor::zeros(
        [clips, count / 2, channels, height * width],
        (&x.device(), x.dtype()),
    );
    let padded = Tensor::cat(vec![around.clone(), x, around], 1);
    let shifted = (0..count).map(|first| padded.clone().narrow(1, first, num_frames));
    Tensor::cat(shifted.collect(), 2).reshape([batch_frames, count * channels, height, width])
}
