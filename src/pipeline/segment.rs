//! From clicks to a mask, for the page and for the evaluation.
//!
//! The network sees the picture and its mirror image, and the mean of both answers is taken: a small network
//! errs on edges at random, and half of that averages out.

use super::engine::pictures;
use crate::model::entity_encoder::{Click, ClickMaps, EncoderOutput, EntityEncoder};
use burn::tensor::{Tensor, backend::Backend};

/// A picture that is clicked on, encoded once for all its clicks.
pub struct Clickable<B: Backend> {
    /// The picture and its mirror image, `[2, 3, height, width]`, -1..1.
    input: Tensor<B, 4>,
    output: EncoderOutput<B>,
}

impl<B: Backend> Clickable<B> {
    /// Encodes a picture of `[height, width, 3]` in -1..1, both sides multiples of 16.
    pub fn new(
        encoder: &EntityEncoder<B>,
        picture: &[f32],
        width: usize,
        height: usize,
        device: &B::Device,
    ) -> Self {
        let picture = pictures::<B>(&[picture.to_vec()], width, height, device);
        let input = Tensor::cat(vec![picture.clone(), picture.flip([3])], 0);
        Self {
            output: encoder.encode(input.clone()),
            input,
        }
    }

    /// The mask of what was clicked.
    ///
    /// # Shapes
    /// - `previous`: the mask so far, `[1, 1, height / 2, width / 2]`, 0..1
    /// - output: logits, `[1, 1, height / 2, width / 2]`
    pub fn click(
        &self,
        encoder: &EntityEncoder<B>,
        clicks: &[Click],
        previous: Option<Tensor<B, 4>>,
    ) -> Tensor<B, 4> {
        let [_, _, height, width] = self.input.dims();
        let mirrored = clicks.iter().map(|click| Click {
            x: 1.0 - click.x,
            ..*click
        });
        let clicks = [clicks.to_vec(), mirrored.collect()];
        let previous = previous.map(|mask| Tensor::cat(vec![mask.clone(), mask.flip([3])], 0));
        let maps = ClickMaps::new(&clicks, height, width, previous, &self.input.device());
        let logits = encoder.click(&self.output, self.input.clone(), &maps);
        let own = logits.clone().narrow(0, 0, 1);
        (own + logits.narrow(0, 1, 1).flip([3])) * 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entity_encoder::EntityEncoderConfig;
    use burn::backend::Flex;
    use burn::tensor::TensorData;

    #[test]
    fn the_mirrored_picture_gets_the_mirrored_mask() {
        let device = Default::default();
        let encoder = EntityEncoderConfig::default().init::<Flex>(&device);
        let (w, h) = (32, 16);
        let picture: Vec<f32> = (0..w * h * 3)
            .map(|i| (i * 7 % 23) as f32 / 12.0 - 0.9)
            .collect();
        let mirror: Vec<f32> = (0..h * w)
            .flat_map(|at| {
                let (x, y) = (w - 1 - at % w, at / w);
                picture[(y * w + x) * 3..(y * w + x) * 3 + 3].to_vec()
            })
            .collect();
        let mask = |picture: &[f32], x: f32, previous: Option<Tensor<Flex, 4>>| {
            let click = Click {
                x,
                y: 0.4,
                positive: true,
            };
            Clickable::new(&encoder, picture, w, h, &device).click(&encoder, &[click], previous)
        };
        let ramp: Vec<f32> = (0..128).map(|i| i as f32 / 128.0).collect();
        let previous = Tensor::from_data(TensorData::new(ramp, [1, 1, 8, 16]), &device);
        let own = mask(&picture, 0.3, Some(previous.clone()));
        let other = mask(&mirror, 0.7, Some(previous.flip([3]))).flip([3]);
        let worst: f32 = (own.clone() - other).abs().max().into_scalar();
        let size: f32 = own.abs().max().into_scalar();
        assert!(worst < 1e-4 * size.max(1.0), "differs by {worst} of {size}");
    }
}
