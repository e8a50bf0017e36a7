//! A rough, instant decoder for previews: each latent pixel becomes a block of pixels by one linear
//! map. It costs a thousandth of the VAE's decoder, so every denoising step can be shown.

use burn::module::Module;
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::{Tensor, backend::Backend};

/// The decoder.
#[derive(Module, Debug)]
pub struct PreviewDecoder<B: Backend> {
    /// Latent channels to RGB, kernel and stride equal to the VAE's factor.
    pub conv: ConvTranspose2d<B>,
}

impl<B: Backend> PreviewDecoder<B> {
    /// For latents of `channels` channels, each pixel of which stands for `factor` by `factor` pixels.
    pub fn new(channels: usize, factor: usize, device: &B::Device) -> Self {
        Self {
            conv: ConvTranspose2dConfig::new([channels, 3], [factor, factor])
                .with_stride([factor, factor])
                .init(device),
        }
    }

    /// # Shapes
    /// - latents: `[n, channels, height, width]`, as the VAE's decoder takes them
    /// - output: `[n, 3, height * factor, width * factor]`, about -1..1
    pub fn forward(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        self.conv.forward(latents)
    }
}
