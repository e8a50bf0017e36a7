//! Embeddings of the noise level, of the added ids (frame rate, motion, augmentation) and of frame
//! positions: diffusers' `Timesteps` and `TimestepEmbedding`.

use super::layers::{Affine, silu};
use super::precision::like;
use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Tensor, TensorData, backend::Backend};

/// Longest wavelength of the sinusoids, in units of the embedded number.
const MAX_PERIOD: f64 = 10_000.0;

/// Sinusoidal embedding of a number, cosines first (`flip_sin_to_cos = True`,
/// `downscale_freq_shift = 0`), as everywhere in Stable Video Diffusion. No parameters.
///
/// # Shapes
/// - `values`: `[n]`
/// - output: `[n, channels]`; the last channel is zero when `channels` is odd.
pub fn timesteps<B: Backend>(values: Tensor<B, 1>, channels: usize) -> Tensor<B, 2> {
    let half = channels / 2;
    let device = values.device();
    let [n] = values.dims();
    let frequencies: Vec<f32> = (0..half)
        .map(|i| (-MAX_PERIOD.ln() * i as f64 / half.max(1) as f64).exp() as f32)
        .collect();
    let frequencies = Tensor::<B, 1>::from_data(TensorData::new(frequencies, [half]), &device);
    let angles = values.reshape([n, 1]) * frequencies.reshape([1, half]);
    let mut parts = vec![angles.clone().cos(), angles.sin()];
    if channels % 2 == 1 {
        parts.push(Tensor::zeros([n, 1], &device));
    }
    Tensor::cat(parts, 1)
}

/// Configuration of [`TimestepEmbedding`].
#[derive(Config, Debug)]
pub struct TimestepEmbeddingConfig {
    /// Width of the input.
    pub in_channels: usize,
    /// Width of the hidden layer.
    pub time_embed_dim: usize,
    /// Width of the output.
    pub out_dim: usize,
}

impl TimestepEmbeddingConfig {
    /// Initialises the layers as PyTorch does.
    pub fn init<B: Backend>(&self, device: &B::Device) -> TimestepEmbedding<B> {
        TimestepEmbedding {
            linear_1: LinearConfig::new(self.in_channels, self.time_embed_dim).init(device),
            linear_2: LinearConfig::new(self.time_embed_dim, self.out_dim).init(device),
        }
    }
}

/// Two linear layers with SiLU between them.
#[derive(Module, Debug)]
pub struct TimestepEmbedding<B: Backend> {
    /// Into the hidden width.
    pub linear_1: Linear<B>,
    /// Out of it.
    pub linear_2: Linear<B>,
}

impl<B: Backend> TimestepEmbedding<B> {
    /// The output has the type of the weights.
    ///
    /// # Shapes
    /// - `x`: `[n, in_channels]`
    /// - output: `[n, out_dim]`
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let x = like(x, &self.linear_1.weight.val());
        self.linear_2.apply(silu(self.linear_1.apply(x)))
    }
}
