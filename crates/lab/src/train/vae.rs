//! Stage 1: the VAE, on frames of synthetic clips, with the preview decoder beside it.

use super::source::{Clips, Sample, psnr, sheet, to_vec};
use super::stage::Stage;
use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::module::avg_pool2d;
use burn::tensor::{ElementConversion, Tensor, TensorData};
use dragentity_core::Result;
use dragentity_networks::dragentity::preview::PreviewDecoder;
use dragentity_networks::svd::vae::AutoencoderKLTemporalDecoder;
use dragentity_pipeline::noise::noise_from;
use dragentity_pipeline::plan::push_planes;
use image::RgbImage;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// What is trained together.
#[derive(Module, Debug)]
pub struct Autoencoder<B: Backend> {
    /// The VAE.
    pub vae: AutoencoderKLTemporalDecoder<B>,
    /// Learns to draw its latents roughly; the VAE does not learn from it.
    pub preview: PreviewDecoder<B>,
}

/// The stage.
pub struct VaeStage<B: AutodiffBackend> {
    /// Training clips.
    pub clips: Arc<Clips>,
    /// Clips never trained on.
    pub held_out: Arc<Clips>,
    /// Clips in a batch.
    pub batch: usize,
    /// Frames taken of each, so that the temporal layers of the decoder learn too.
    pub frames: usize,
    /// Weight of the latents' divergence from a normal distribution.
    pub kl_weight: f64,
    /// Seed of the latents' noise.
    pub seed: u64,
    /// Where to train.
    pub device: B::Device,
}

/// Host side of a batch: `[batch * frames, 3, height, width]`, -1..1.
pub struct Images {
    values: Vec<f32>,
    shape: [usize; 4],
}

/// Frames spread over each sample.
fn images(samples: &[Sample], frames: usize) -> Images {
    let mut values = Vec::new();
    let mut count = 0;
    let mut size = (1, 1);
    for sample in samples {
        size = (sample.input.width, sample.input.height);
        let all = sample.frames.len();
        for slot in 0..frames.min(all) {
            push_planes(&sample.frames[slot * all / frames.min(all)], &mut values);
            count += 1;
        }
    }
    Images {
        values,
        shape: [count, 3, size.1, size.0],
    }
}

impl Images {
    fn tensor<B: Backend>(self, device: &B::Device) -> Tensor<B, 4> {
        Tensor::from_data(TensorData::new(self.values, self.shape), device)
    }
}

/// Horizontal and vertical differences: edges matter more to the eye than flat colour.
fn edges<B: Backend>(x: Tensor<B, 4>) -> (Tensor<B, 4>, Tensor<B, 4>) {
    let [n, c, h, w] = x.dims();
    let right =
        x.clone().slice([0..n, 0..c, 0..h, 1..w]) - x.clone().slice([0..n, 0..c, 0..h, 0..w - 1]);
    let down = x.clone().slice([0..n, 0..c, 1..h, 0..w]) - x.slice([0..n, 0..c, 0..h - 1, 0..w]);
    (right, down)
}

/// Red against blue, and green against both, over blocks of 4 by 4 pixels. Photographs differ little in the latter (a
/// fiftieth of their variance), so that without a term of its own a VAE of few channels leaves it out, and grass is brown.
fn colour<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let blocks = avg_pool2d(x, [4, 4], [4, 4], [0, 0], true, false);
    let [red, green, blue] = [0, 1, 2].map(|channel| blocks.clone().narrow(1, channel, 1));
    let warm = red.clone() - blue.clone();
    Tensor::cat(vec![warm, green - (red + blue) * 0.5], 1)
}

/// How much of the variance of [`colour`]'s two axes is there again: 1 is all of it.
fn colour_kept<B: Backend>(made: Tensor<B, 4>, target: Tensor<B, 4>) -> [f64; 2] {
    let (made, target) = (colour(made), colour(target));
    [0, 1].map(|axis| {
        let (made, target) = (
            made.clone().narrow(1, axis, 1),
            target.clone().narrow(1, axis, 1),
        );
        let mean = target.clone().mean().reshape([1, 1, 1, 1]);
        let varies: f64 = (target.clone() - mean).square().mean().into_scalar().elem();
        let wrong: f64 = (made - target).square().mean().into_scalar().elem();
        1.0 - wrong / varies.max(1e-12)
    })
}

impl<B: AutodiffBackend> Stage<B> for VaeStage<B> {
    type Network = Autoencoder<B>;
    type Batch = Images;

    fn name(&self) -> &'static str {
        "vae"
    }

    fn on(&self, device: &B::Device) -> Result<Self> {
        Ok(Self {
            clips: self.clips.clone(),
            held_out: self.held_out.clone(),
            device: device.clone(),
            ..*self
        })
    }

    fn batches(&self) -> Box<dyn FnMut(u64) -> Result<Images> + Send> {
        let (clips, batch, frames) = (self.clips.clone(), self.batch, self.frames);
        Box::new(move |index| Ok(images(&clips.batch(index, batch)?, frames)))
    }

    fn loss(&self, network: &Autoencoder<B>, batch: Images, step: u64) -> Result<Tensor<B, 1>> {
        let target: Tensor<B, 4> = batch.tensor(&self.device);
        let (mean, logvar) = network.vae.encode(target.clone());
        let logvar = logvar.clamp(-30.0, 20.0);
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(step);
        let noise = noise_from(&mut random, mean.dims(), &self.device);
        let latents = mean.clone() + noise * (logvar.clone() * 0.5).exp();
        let made = network.vae.decode(latents.clone(), self.frames);
        let (right, down) = edges(made.clone());
        let (true_right, true_down) = edges(target.clone());
        let hue = (colour(made.clone()) - colour(target.clone())).abs().mean();
        let error = made - target.clone();
        let rough = network.preview.forward(latents.detach()) - target;
        let divergence = (mean.powi_scalar(2) + logvar.clone().exp() - 1.0 - logvar).mean() * 0.5;
        Ok(error.clone().abs().mean()
            + error.powi_scalar(2).mean()
            + ((right - true_right).abs().mean() + (down - true_down).abs().mean()) * 0.5
            + hue
            + divergence * self.kl_weight
            + rough.powi_scalar(2).mean())
    }

    fn sample(
        &self,
        network: &<Autoencoder<B> as AutodiffModule<B>>::InnerModule,
    ) -> Result<(RgbImage, Vec<(&'static str, f64)>)> {
        let samples = self.held_out.batch(0, 8)?;
        let target: Tensor<B::InnerBackend, 4> = images(&samples, 4).tensor(&self.device);
        let (latents, _) = network.vae.encode(target.clone());
        let made = network.vae.decode(latents.clone(), 4).clamp(-1.0, 1.0);
        let rough = network.preview.forward(latents).clamp(-1.0, 1.0);
        let [warm, green] = colour_kept(made.clone(), target.clone());
        let figures = vec![
            ("PSNR dB", psnr(&made, &target)),
            ("preview PSNR dB", psnr(&rough, &target)),
            ("red against blue kept", warm),
            ("green kept", green),
        ];
        let first = |x: Tensor<B::InnerBackend, 4>| x.narrow(0, 0, 8);
        Ok((sheet(&[first(target), first(made), first(rough)])?, figures))
    }
}

/// Mean and standard deviation of each latent channel, over held-out frames.
///
/// # Errors
/// As [`Clips::batch`].
pub fn latent_statistics<B: Backend>(
    vae: &AutoencoderKLTemporalDecoder<B>,
    clips: &Clips,
    device: &B::Device,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut sums: Vec<(f64, f64)> = Vec::new();
    let mut count = 0.0;
    for index in 0..16 {
        let input = images(&clips.batch(index, 8)?, 2).tensor::<B>(device);
        let (latents, _) = vae.encode(input);
        let [n, channels, h, w] = latents.dims();
        let values: Vec<f32> = to_vec(latents)?;
        sums.resize(channels, (0.0, 0.0));
        for (at, &value) in values.iter().enumerate() {
            let sum = &mut sums[at / (h * w) % channels];
            sum.0 += value as f64;
            sum.1 += (value as f64).powi(2);
        }
        count += (n * h * w) as f64;
    }
    Ok(sums
        .into_iter()
        .map(|(sum, squares)| {
            let mean = sum / count;
            (mean, (squares / count - mean * mean).max(1e-8).sqrt())
        })
        .unzip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    /// A picture of two halves.
    fn halves(left: [f32; 3], right: [f32; 3]) -> Tensor<Flex, 4> {
        let mut values = Vec::new();
        for channel in 0..3 {
            for _ in 0..8 {
                values.extend([left[channel]; 4]);
                values.extend([right[channel]; 4]);
            }
        }
        Tensor::from_data(TensorData::new(values, [1, 3, 8, 8]), &Default::default())
    }

    #[test]
    fn colour_that_is_lost_is_told_by_its_axis() {
        let (grass, earth) = ([-0.5, 0.3, -0.5], [0.2, 0.0, -0.2]);
        let target = halves(grass, earth);
        let all = colour_kept(target.clone(), target.clone());
        assert!(all.iter().all(|kept| (kept - 1.0).abs() < 1e-6), "{all:?}");
        // Green turned into the grey of the same red and blue.
        let brown = halves([-0.5, -0.5, -0.5], [0.2, 0.0, -0.2]);
        let [warm, green] = colour_kept(brown, target.clone());
        assert!((warm - 1.0).abs() < 1e-6, "{warm}");
        assert!(green < 0.0, "{green}");
        // Brightness alone is no colour.
        let lit = colour_kept(target.clone() + 0.3, target);
        assert!(lit.iter().all(|kept| (kept - 1.0).abs() < 1e-5), "{lit:?}");
    }
}
