//! Pictures as the image encoder sees them, and its masks at the pictures' own size (`ResizeLongestSide`,
//! `Sam.preprocess`, `Sam.postprocess_masks`).

use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::scene::Picture;
use image::imageops::{self, FilterType};
use image::{ImageBuffer, Rgb};

/// Of ImageNet's pictures, for each channel.
const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
const DEVIATION: [f32; 3] = [58.395, 57.12, 57.375];

/// A picture of `[batch, 3, height, width]` in -1..1 as image encoders take it.
pub fn normalized<B: Backend>(picture: Tensor<B, 4>) -> Tensor<B, 4> {
    let device = picture.device();
    let channels = |values: [f32; 3]| {
        Tensor::from_data(TensorData::new(values.to_vec(), [1, 3, 1, 1]), &device)
    };
    ((picture + 1.0) * 127.5 - channels(MEAN)) / channels(DEVIATION)
}

/// A picture within the square that the image encoder sees: its longer side as long as the square's, in the corner at
/// the top left, with nothing beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Width and height of the picture itself.
    original: [usize; 2],
    /// Width and height within the square.
    inner: [usize; 2],
    /// Side of the square.
    side: usize,
}

impl Framing {
    /// Of a picture of `width` x `height` pixels, at least one each.
    pub fn new(width: u32, height: u32, side: usize) -> Self {
        let original = [width, height].map(|length| length as usize);
        let scale = side as f64 / original[0].max(original[1]) as f64;
        let inner = original.map(|length| {
            let scaled = (length as f64 * scale + 0.5) as usize;
            scaled.clamp(1, side)
        });
        Self {
            original,
            inner,
            side,
        }
    }

    /// Width and height within the square.
    pub fn inner(&self) -> [usize; 2] {
        self.inner
    }

    /// Where a place in fractions of the picture is, in pixels of the square whose centres are whole numbers.
    pub fn place(&self, at: [f32; 2]) -> [f32; 2] {
        [0, 1].map(|axis| at[axis] * self.inner[axis] as f32 - 0.5)
    }

    /// The picture, which must be of the size that this is for, as input of the image encoder. `[1, 3, side, side]`
    pub fn input<B: Backend>(&self, picture: &Picture, device: &B::Device) -> Tensor<B, 4> {
        let [width, height] = self.inner;
        let mut planes = vec![0.0; 3 * self.side * self.side];
        let mut put = |(x, y, pixel): (u32, u32, &Rgb<u8>)| {
            for (channel, value) in pixel.0.into_iter().enumerate() {
                planes[(channel * self.side + y as usize) * self.side + x as usize] =
                    (f32::from(value) - MEAN[channel]) / DEVIATION[channel];
            }
        };
        let pixels = picture.rgb.as_slice();
        let image = ImageBuffer::<Rgb<u8>, _>::from_raw(picture.width, picture.height, pixels);
        if let Some(image) = image {
            if self.inner == self.original {
                image.enumerate_pixels().for_each(&mut put);
            } else {
                imageops::resize(&image, width as u32, height as u32, FilterType::Triangle)
                    .enumerate_pixels()
                    .for_each(&mut put);
            }
        }
        Tensor::from_data(
            TensorData::new(planes, [1, 3, self.side, self.side]),
            device,
        )
    }

    /// The part of the whole square that the picture takes, at the resolution that there is.
    ///
    /// # Shapes
    /// - `logits`: `[1, masks, any, any]`
    /// - output: `[1, masks, height, width]`, at least one pixel each
    pub fn within<B: Backend>(&self, logits: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, rows, columns] = logits.dims();
        let [across, down] = self.inner;
        let part = |all: usize, inner: usize| (all * inner / self.side).clamp(1, all);
        logits
            .narrow(2, 0, part(rows, down))
            .narrow(3, 0, part(columns, across))
    }

    /// Logits of the whole square at the picture's size, or any other.
    ///
    /// # Shapes
    /// - `logits`: `[1, masks, any, any]`
    /// - `size`: width and height
    /// - output: `[1, masks, height, width]`
    pub fn enlarged<B: Backend>(
        &self,
        logits: Tensor<B, 4>,
        [width, height]: [usize; 2],
    ) -> Tensor<B, 4> {
        let to = |x: Tensor<B, 4>, size: [usize; 2]| {
            let options = InterpolateOptions::new(InterpolateMode::Bilinear);
            interpolate(x, size, options.with_align_corners(false))
        };
        let square = to(logits, [self.side; 2]);
        let [across, down] = self.inner;
        let inner = square.narrow(2, 0, down).narrow(3, 0, across);
        match self.inner == [width, height] {
            true => inner,
            false => to(inner, [height, width]),
        }
    }
}
