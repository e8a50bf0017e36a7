//! The sampler around the denoiser: one object that pipeline, trainer and evaluation advance.
//!
//! It may follow a [`ReferenceLatents`] by two clocks, as Time-to-Move does (Singer and others, 2025; its published code's
//! `pipelines/svd_pipeline.py`): denoising begins late, from the reference with noise, and some places are put back to it for a
//! few steps more.

use super::noise::noise as noise_of;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::scheduler::Schedule;
use dragentity_networks::dragentity::denoiser::{Denoiser, Prepared};
use dragentity_networks::svd::unet::UNetSpatioTemporalConditionModel;

/// Frames that a video follows, roughly everywhere and closely in some places.
#[derive(Clone, Debug)]
pub struct ReferenceLatents<B: Backend> {
    /// `[batch, frames, channels, height, width]`, scaled as the latents that are denoised.
    pub latents: Tensor<B, 5>,
    /// In which share of the steps from `weak` to `strong` it is followed closely, 1 all of them, 0 none: `[batch, frames, 1, height, width]`.
    pub mask: Tensor<B, 5>,
    /// The first step that is done, counted from 0; those before it are left out. The more there are of them, the less is
    /// made anew anywhere.
    pub weak: usize,
    /// Steps before this one end with the reference put back where the mask says.
    pub strong: usize,
}

impl<B: Backend> ReferenceLatents<B> {
    /// 1 where the reference is put back after so many steps, counted from the first there is.
    pub(crate) fn held_after(&self, steps: usize) -> Tensor<B, 5> {
        let since = |step: usize| step.saturating_sub(self.weak);
        let (done, all) = (since(steps), since(self.strong));
        // Shares come in 127 levels, of which half a one is rounding.
        let share = done as f32 / all.max(1) as f32 - 0.5 / 127.0;
        self.mask.clone().greater_equal_elem(share).float()
    }
}

/// A video being denoised.
pub struct Sampler<'a, B: Backend> {
    unet: &'a UNetSpatioTemporalConditionModel<B>,
    prepared: Prepared<'a, B>,
    unguided: Option<Prepared<'a, B>>,
    guidance: Tensor<B, 5>,
    scheduler: Schedule,
    sample: Tensor<B, 5>,
    step: usize,
    followed: Option<(ReferenceLatents<B>, Tensor<B, 5>)>,
    fresh: Fresh<'a, B>,
}

/// Gives the fresh noise of a step, of the shape that is asked for.
type Fresh<'a, B> = Box<dyn FnMut(usize, [usize; 5]) -> Tensor<B, 5> + 'a>;

impl<'a, B: Backend> Sampler<'a, B> {
    /// Starts from the noise of `seed`; `shape` is `[batch, frames, channels, height, width]`,
    /// `guidance` as for [`Self::from_noise`].
    pub fn new(
        denoiser: &'a Denoiser<B>,
        prepared: Prepared<'a, B>,
        scheduler: impl Into<Schedule>,
        guidance: &[f64],
        seed: u64,
        shape: [usize; 5],
        device: &B::Device,
    ) -> Self {
        let noise = noise_of(seed, shape, device);
        Self::from_noise(&denoiser.unet, prepared, scheduler, guidance, noise)
    }

    /// Starts from `noise` of mean 0 and deviation 1, `[batch, frames, channels, height, width]`;
    /// `guidance` is one scale a frame, or nothing for none.
    pub fn from_noise(
        unet: &'a UNetSpatioTemporalConditionModel<B>,
        prepared: Prepared<'a, B>,
        scheduler: impl Into<Schedule>,
        guidance: &[f64],
        noise: Tensor<B, 5>,
    ) -> Self {
        let scheduler = scheduler.into();
        let (device, frames) = (noise.device(), noise.dims()[1]);
        // As diffusers has it: scales of at most 1 are none.
        let guided = guidance.iter().any(|&g| g > 1.0);
        let unguided = guided.then(|| prepared.unconditional());
        let mut scales: Vec<f32> = guidance.iter().map(|&g| g as f32).collect();
        scales.resize(frames, 1.0);
        Self {
            unet,
            prepared,
            unguided,
            guidance: Tensor::from_data(TensorData::new(scales, [1, frames, 1, 1, 1]), &device),
            sample: noise * scheduler.init_noise_sigma(),
            scheduler,
            step: 0,
            followed: None,
            fresh: Box::new(move |step, shape| noise_of(step as u64, shape, &device)),
        }
    }

    /// Starts from a reference with the noise of the step at which it begins. `noise`, of mean 0 and deviation 1 and of the
    /// reference's shape, is what is added to it at every step; a reference that begins after the last step begins with it.
    pub fn following(
        unet: &'a UNetSpatioTemporalConditionModel<B>,
        prepared: Prepared<'a, B>,
        scheduler: impl Into<Schedule>,
        guidance: &[f64],
        noise: Tensor<B, 5>,
        reference: ReferenceLatents<B>,
    ) -> Self {
        let mut sampler = Self::from_noise(unet, prepared, scheduler, guidance, noise.clone());
        sampler.step = reference.weak.min(sampler.steps() - 1);
        let level = sampler.scheduler.sigmas()[sampler.step];
        sampler.sample = reference.latents.clone() + noise.clone() * level;
        sampler.followed = Some((reference, noise));
        sampler
    }

    /// Takes the fresh noise that some schedules add at every step, of mean 0 and deviation 1, from `fresh`: it is told the step and
    /// the shape. Without it the noise is that of the step's number.
    pub fn with_fresh_noise(
        self,
        fresh: impl FnMut(usize, [usize; 5]) -> Tensor<B, 5> + 'a,
    ) -> Self {
        Self {
            fresh: Box::new(fresh),
            ..self
        }
    }

    /// Steps in all, those that are left out counted.
    pub fn steps(&self) -> usize {
        self.scheduler.steps()
    }

    /// Steps that are done, or left out.
    pub fn done(&self) -> usize {
        self.step
    }

    /// Does one step and returns what the network takes the clean latents to be.
    ///
    /// # Panics
    /// When all steps are done.
    pub fn advance(&mut self) -> Tensor<B, 5> {
        let batch = self.sample.dims()[0];
        let time = self.scheduler.timesteps()[self.step] as f32;
        let time: Tensor<B, 1> = Tensor::full([batch], time, &self.sample.device());
        let scaled = self.sample.clone() * self.scheduler.input_scale(self.step);
        let said =
            |prepared: &Prepared<'_, B>| prepared.forward(self.unet, scaled.clone(), time.clone());
        let mut output = said(&self.prepared);
        if let Some(unguided) = &self.unguided {
            let plain = said(unguided);
            output = plain.clone() + (output - plain) * self.guidance.clone();
        }
        let factors = self.scheduler.step(self.step);
        let clean =
            self.sample.clone() * factors.denoised.skip + output.clone() * factors.denoised.output;
        self.sample = self.sample.clone() * factors.sample + output * factors.output;
        if factors.noise > 0.0 {
            let fresh = (self.fresh)(self.step, self.sample.dims());
            self.sample = self.sample.clone() + fresh * factors.noise;
        }
        self.step += 1;
        if let Some((reference, noise)) = &self.followed
            && self.step <= reference.strong
        {
            let level = self.scheduler.sigmas()[self.step];
            let back = reference.latents.clone() + noise.clone() * level;
            let made = self.sample.clone();
            self.sample = made.clone() + (back - made) * reference.held_after(self.step);
        }
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
