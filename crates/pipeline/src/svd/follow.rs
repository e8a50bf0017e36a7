//! What a video follows, as the sampler takes it.

use super::SvdConfig;
use crate::transfer::{pause, pictures, settle};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::scene::picture::resize_rgb;
use dragentity_core::scene::{Control, Mask, Settings};
use dragentity_core::{Cancel, Result, Video};
use dragentity_networks::svd::vae::AutoencoderKLTemporalDecoder;

/// The two clocks of a job, as steps counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The first step that is done.
    pub weak: u32,
    /// The first step after which the reference is not put back.
    pub strong: u32,
}

impl Clocks {
    /// Those that settings ask for; all steps, and none with a reference, where nothing is followed.
    pub fn new(settings: &Settings, control: Control) -> Self {
        if !control.has_reference() {
            return Self { weak: 0, strong: 0 };
        }
        let steps = settings.steps;
        // A share that is a whole number of steps but for rounding is that number.
        let step = |share: f32| (f64::from(share) * f64::from(steps) + 1e-4) as u32;
        let weak = step(settings.weak).min(steps - 1);
        Self {
            weak,
            strong: step(settings.strong).clamp(weak + 1, steps),
        }
    }
}

/// Latents of the frames that are followed, scaled as those that are denoised.
///
/// # Shapes
/// - `size`: width and height; frames of another size are scaled
/// - output: `[1, frames, channels, height / factor, width / factor]`
///
/// # Errors
/// [`dragentity_core::Error::Cancelled`], [`dragentity_core::Error::Device`].
pub async fn encoded<B: Backend>(
    config: &SvdConfig,
    vae: &AutoencoderKLTemporalDecoder<B>,
    video: &Video,
    [width, height]: [u32; 2],
    device: &B::Device,
    cancel: &Cancel,
) -> Result<Tensor<B, 5>> {
    let mut latents = Vec::with_capacity(video.frames.len());
    for frame in &video.frames {
        let frame = resize_rgb(frame, (video.width, video.height), (width, height));
        let unit: Vec<f32> = frame.iter().map(|&v| f32::from(v) / 127.5 - 1.0).collect();
        // The mean, where Time-to-Move draws from the distribution: its deviation is far below the noise that is added.
        let (mean, _) = vae.encode(pictures(&[unit], width as usize, height as usize, device));
        let mean = config.vae.normalize(mean);
        settle(mean.clone()).await?;
        latents.push(mean);
        pause(cancel).await?;
    }
    Ok(Tensor::cat(latents, 0).unsqueeze_dim(0))
}

/// Where a reference is followed closely: by the pixel at the upper left of each latent, as Time-to-Move has it.
///
/// # Shapes
/// - output: `[1, frames, 1, height / factor, width / factor]`, 0 outside; inside the share of the steps in which it is followed
pub fn mask<B: Backend>(
    closely: &[Mask],
    config: &SvdConfig,
    [width, height]: [u32; 2],
    device: &B::Device,
) -> Tensor<B, 5> {
    let factor = config.vae.factor();
    let (rows, columns) = (height as usize / factor, width as usize / factor);
    let mut values = Vec::with_capacity(closely.len() * rows * columns);
    for mask in closely {
        for at in 0..rows * columns {
            // Nearest neighbours, also where the mask is of another size.
            let row = at / columns * mask.height as usize / rows;
            let column = at % columns * mask.width as usize / columns;
            let level = mask.alpha[row * mask.width as usize + column];
            values.push(f32::from(level.saturating_sub(128)) / 127.0);
        }
    }
    let shape = [1, closely.len(), 1, rows, columns];
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_followed_less_closely_is_let_go_of_sooner() {
        use crate::sample::ReferenceLatents;
        type Cpu = dragentity_networks::device::Cpu;
        let device = Default::default();
        let closely = Mask {
            width: 4,
            height: 1,
            alpha: vec![255, 192, 128, 0],
        };
        let mut config = SvdConfig::default();
        config.vae.block_out_channels = vec![8];
        let mask = mask::<Cpu>(&[closely], &config, [4, 1], &device);
        let shape = mask.dims();
        let reference = ReferenceLatents {
            latents: Tensor::zeros(shape, &device),
            mask,
            weak: 2,
            strong: 6,
        };
        let held = |steps: usize| reference.held_after(steps).into_data().to_vec::<f32>();
        for (steps, wanted) in [
            (3, [1.0, 1.0, 0.0, 0.0]),
            (4, [1.0, 1.0, 0.0, 0.0]),
            (5, [1.0, 0.0, 0.0, 0.0]),
            (6, [1.0, 0.0, 0.0, 0.0]),
        ] {
            assert_eq!(held(steps).unwrap(), wanted, "{steps}");
        }
    }

    #[test]
    fn clocks_are_those_of_time_to_move() {
        let clocks = |steps: u32, weak: f32, strong: f32| {
            let settings = Settings {
                steps,
                weak,
                strong,
                ..Settings::default()
            };
            let Clocks { weak, strong } = Clocks::new(&settings, Control::Reference);
            [weak, strong]
        };
        let usual = Settings::default();
        assert_eq!(clocks(50, usual.weak, usual.strong), [16, 21]);
        assert_eq!(clocks(25, usual.weak, usual.strong), [8, 10]);
        // There is always a step that is done, and one after which the reference is put back.
        assert_eq!(clocks(4, usual.weak, usual.strong), [1, 2]);
        assert_eq!(clocks(1, 1.0, 1.0), [0, 1]);
        assert_eq!(clocks(10, 1.0, 1.0), [9, 10]);
        let none = Clocks::new(&usual, Control::Controlnet);
        assert_eq!(none, Clocks { weak: 0, strong: 0 });
    }
}
