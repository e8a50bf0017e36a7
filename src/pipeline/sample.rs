//! The Euler sampler around the denoiser: one object that pipeline, trainer and evaluation advance.

use super::noise::noise;
use crate::model::denoiser::{Denoiser, Prepared};
use crate::scheduler::EulerDiscreteScheduler;
use burn::tensor::{Tensor, TensorData, backend::Backend};

/// A video being denoised.
pub struct Sampler<'a, B: Backend> {
    denoiser: &'a Denoiser<B>,
    prepared: Prepared<B>,
    unguided: Option<Prepared<B>>,
    guidance: Tensor<B, 5>,
    scheduler: EulerDiscreteScheduler,
    sample: Tensor<B, 5>,
    step: usize,
}

impl<'a, B: Backend> Sampler<'a, B> {
    /// Starts from the noise of `seed`; `shape` is `[batch, frames, channels, height, width]`,
    /// `guidance` one scale a frame, or nothing for none.
    pub fn new(
        denoiser: &'a Denoiser<B>,
        prepared: Prepared<B>,
        scheduler: EulerDiscreteScheduler,
        guidance: &[f64],
        seed: u64,
        shape: [usize; 5],
        device: &B::Device,
    ) -> Self {
        let guided = guidance.iter().any(|&g| (g - 1.0).abs() > 1e-6);
        let unguided = guided.then(|| prepared.unconditional());
        let mut scales: Vec<f32> = guidance.iter().map(|&g| g as f32).collect();
        scales.resize(shape[1], 1.0);
        Self {
            denoiser,
            prepared,
            unguided,
            guidance: Tensor::from_data(TensorData::new(scales, [1, shape[1], 1, 1, 1]), device),
            sample: noise(seed, shape, device) * scheduler.init_noise_sigma(),
            scheduler,
            step: 0,
        }
    }

    /// Steps in all.
    pub fn steps(&self) -> usize {
        self.scheduler.steps()
    }

    /// Does one step and returns what the network takes the clean latents to be.
    ///
    /// # Panics
    /// When all steps are done.
    pub fn advance(&mut self) -> Tensor<B, 5> {
        let device = self.sample.device();
        let batch = self.sample.dims()[0];
        let level = self.scheduler.sigmas()[self.step] as f32;
        let sigma: Tensor<B, 1> = Tensor::full([batch], level, &device);
        let mut velocity =
            self.denoiser
                .velocity(self.sample.clone(), sigma.clone(), &self.prepared);
        if let Some(unguided) = &self.unguided {
            let plain = self.denoiser.velocity(self.sample.clone(), sigma, unguided);
            velocity = plain.clone() + (velocity - plain) * self.guidance.clone();
        }
        let factors = self.scheduler.step(self.step);
        let clean = self.sample.clone() * factors.denoised.skip
            + velocity.clone() * factors.denoised.output;
        self.sample = self.sample.clone() * factors.sample + velocity * factors.output;
        self.step += 1;
        clean
    }

    /// The sample as it is now.
    pub fn sample(&self) -> Tensor<B, 5> {
        self.sample.clone()
    }

    /// Does all steps.
    pub fn run(mut self) -> Tensor<B, 5> {
        while self.step < self.steps() {
            self.advance();
        }
        self.sample
    }
}
