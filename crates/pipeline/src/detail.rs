//! Detail from the picture: what the networks make of a frame is laid over the draft as a difference.
//!
//! A small VAE blurs whatever passes through it, also where nothing has to be generated. So the frame
//! shown is the draft plus what the denoiser changed: `draft + decode(latents) - decode(draft's latents)`.
//! Where the denoiser changes nothing the picture's own pixels stand, and they may stand at a higher
//! resolution than the networks work at. Not in the paper; models whose residual base is not the draft
//! do without it.

use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::plan::push_planes;

/// The draft's frames on the device, `[frames, 3, height, width]` in -1..1, or nothing.
pub struct Detail<B: Backend>(Option<Tensor<B, 4>>);

impl<B: Backend> Detail<B> {
    /// Frames shown as they are decoded.
    pub fn none() -> Self {
        Self(None)
    }

    /// Detail from draft frames of `[height, width, 3]`, whose size may be a multiple of the networks'.
    pub fn new(frames: &[Vec<f32>], width: usize, height: usize, device: &B::Device) -> Self {
        let mut planes = Vec::with_capacity(frames.len() * width * height * 3);
        for frame in frames {
            push_planes(frame, &mut planes);
        }
        let data = TensorData::new(planes, [frames.len(), 3, height, width]);
        Self(Some(Tensor::from_data(data, device)))
    }

    /// The frames to show. `made` and `base` are decoded from the denoised latents and from the
    /// draft's, `[frames, 3, height, width]`; `base` is only asked for if it is needed.
    pub fn apply(&self, made: Tensor<B, 4>, base: impl FnOnce() -> Tensor<B, 4>) -> Tensor<B, 4> {
        let Some(draft) = &self.0 else {
            return made.clamp(-1.0, 1.0);
        };
        let [_, _, height, width] = draft.dims();
        let mut change = made - base();
        if change.dims()[2..] != [height, width] {
            let smooth =
                InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
            change = interpolate(change, [height, width], smooth);
        }
        (draft.clone() + change).clamp(-1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    #[test]
    fn keeps_the_drafts_pixels_where_nothing_changed() {
        let device = Default::default();
        let sharp: Vec<f32> = (0..8 * 8 * 3).map(|i| (i % 7) as f32 / 7.0 - 0.4).collect();
        let detail = Detail::<Flex>::new(std::slice::from_ref(&sharp), 8, 8, &device);
        let base = Tensor::<Flex, 4>::zeros([1, 3, 4, 4], &device);
        let same = detail.apply(base.clone(), || base.clone());
        let values: Vec<f32> = same.permute([0, 2, 3, 1]).into_data().to_vec().unwrap();
        assert_eq!(values, sharp);
        let brighter = detail.apply(base.clone() + 0.25, || base.clone());
        let values: Vec<f32> = brighter.permute([0, 2, 3, 1]).into_data().to_vec().unwrap();
        for (made, old) in values.iter().zip(&sharp) {
            assert!((made - (old + 0.25)).abs() < 1e-5);
        }
    }

    #[test]
    fn without_a_draft_frames_stand_as_decoded() {
        let device = Default::default();
        let made = Tensor::<Flex, 4>::full([1, 3, 4, 4], 0.5, &device);
        let shown = Detail::<Flex>::none().apply(made, || unreachable!("no base is needed"));
        assert_eq!(shown.mean().into_scalar(), 0.5);
    }
}
