//! From clicks to a mask, for the page and for the evaluation.
//!
//! The network is asked twice, the second time with its first answer as the mask so far, which it has learned to improve;
//! each time it sees the picture and its mirror image, and the mean of both answers is taken: a small network errs on
//! edges at random, and part of that averages out.

use super::clicks::obey;
use super::transfer::{pictures, read};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::Click;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::scene::{Mask, Picture, raster};
use dragentity_networks::dragentity::entity_encoder::{ClickMaps, EncoderOutput, EntityEncoder};
use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};

/// Pixels of a mask's longer side: about as many as a page shows, so that its outline is smooth.
const MASK_SIDE: u32 = 512;

/// Whether there is something to be segmented.
///
/// # Errors
/// [`Error::Job`] without a picture or a positive click.
pub fn clickable(picture: &Picture, clicks: &[Click]) -> Result<()> {
    if picture.is_empty() {
        return Err(Error::Job("there is no picture yet: open one first".into()));
    }
    if !clicks.iter().any(|click| click.positive) {
        return Err(Error::Job("click the thing itself first".into()));
    }
    Ok(())
}

/// A picture that is clicked on, encoded once for all its clicks.
pub struct Clickable<B: Backend> {
    /// The picture and its mirror image, `[2, 3, height, width]`, -1..1.
    input: Tensor<B, 4>,
    output: EncoderOutput<B>,
}

impl<B: Backend> Clickable<B> {
    /// Encodes a picture of `[height, width, 3]` in -1..1, both sides multiples of
    /// [`SIZE_MULTIPLE`](dragentity_networks::dragentity::entity_encoder::SIZE_MULTIPLE).
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

    /// The mask of what was clicked, its longer side 512 pixels. Places that were clicked are in it or out of it as the
    /// clicks say. `previous` is the mask so far.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Device`] when the device fails.
    pub async fn mask(
        &self,
        encoder: &EntityEncoder<B>,
        clicks: &[Click],
        previous: Option<&Mask>,
    ) -> Result<Mask> {
        let [_, _, height, width] = self.input.dims();
        let (w, h) = (width / 2, height / 2);
        let previous = previous.map(|mask| {
            let values = raster::coverage(mask, w, h);
            Tensor::from_data(TensorData::new(values, [1, 1, h, w]), &self.input.device())
        });
        let first = self.logits(encoder, clicks, previous);
        let second = self.logits(encoder, clicks, Some(sigmoid(first)));
        let logits = read(second).await?;
        Ok(enlarged(&logits, w as u32, h as u32, clicks))
    }

    /// What the network says; `[1, 1, height / 2, width / 2]`, as `previous`.
    fn logits(
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

/// A mask from logits. They are scaled up, and not what becomes of them: the line between in and out then lies where the
/// network is undecided, and not where two pixels of very different certainty have their mean.
fn enlarged(logits: &[f32], width: u32, height: u32, clicks: &[Click]) -> Mask {
    // The library keeps such values within 0..1.
    const MOST: f32 = 16.0;
    let scale = MASK_SIDE as f32 / width.max(height).max(1) as f32;
    let [to_width, to_height] =
        [width, height].map(|side| ((side as f32 * scale).round() as u32).max(1));
    let unit = logits
        .iter()
        .map(|logit| logit.clamp(-MOST, MOST) / (2.0 * MOST) + 0.5)
        .collect();
    let Some(small) = ImageBuffer::<Luma<f32>, Vec<f32>>::from_raw(width, height, unit) else {
        return Mask::empty(to_width, to_height);
    };
    let mut large = imageops::resize(&small, to_width, to_height, FilterType::Triangle).into_raw();
    for value in &mut large {
        *value = (*value - 0.5) * 2.0 * MOST;
    }
    obey(clicks, to_width as usize, to_height as usize, &mut large);
    let alpha = |logit: f32| (255.0 / (1.0 + (-logit).exp())).round() as u8;
    Mask {
        width: to_width,
        height: to_height,
        alpha: large.into_iter().map(alpha).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;
    use dragentity_networks::dragentity::entity_encoder::EntityEncoderConfig;

    #[test]
    fn the_mirrored_picture_gets_the_mirrored_mask() {
        let device = Default::default();
        let encoder = EntityEncoderConfig::default()
            .init::<Flex>(&device)
            .unwrap();
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
        let mask = |picture: &[f32], x: f32, previous: &Mask| {
            let click = Click {
                x,
                y: 0.4,
                positive: true,
            };
            let clickable = Clickable::new(&encoder, picture, w, h, &device);
            pollster::block_on(clickable.mask(&encoder, &[click], Some(previous))).unwrap()
        };
        let mirrored = |mask: &Mask| Mask {
            alpha: mask
                .alpha
                .chunks_exact(mask.width as usize)
                .flat_map(|row| row.iter().rev().copied())
                .collect(),
            ..*mask
        };
        let ramp = Mask {
            width: 16,
            height: 8,
            alpha: (0..128).map(|i| 2 * i as u8).collect(),
        };
        let own = mask(&picture, 0.3, &ramp);
        let other = mirrored(&mask(&mirror, 0.7, &mirrored(&ramp)));
        assert_eq!((own.width, own.height), (512, 256));
        let worst = own
            .alpha
            .iter()
            .zip(&other.alpha)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(worst <= Some(1), "differs by {worst:?}");
        assert!(own != mirrored(&own));
    }

    #[test]
    fn what_was_clicked_is_in_the_mask_and_what_was_taken_away_is_not() {
        let device = Default::default();
        let encoder = EntityEncoderConfig::default()
            .init::<Flex>(&device)
            .unwrap();
        let (w, h) = (48, 32);
        let clickable = Clickable::new(&encoder, &vec![0.1; w * h * 3], w, h, &device);
        let [wanted, unwanted] =
            [(0.2, 0.4, true), (0.8, 0.6, false)].map(|(x, y, positive)| Click { x, y, positive });
        let mask = pollster::block_on(clickable.mask(&encoder, &[wanted, unwanted], None)).unwrap();
        let at = |click: Click| {
            let (x, y) = (click.x * mask.width as f32, click.y * mask.height as f32);
            mask.alpha[y as usize * mask.width as usize + x as usize]
        };
        assert!(at(wanted) > 127 && at(unwanted) < 128);
    }
}
