//! Masks from clicks against the truth.

use super::colour;
use crate::data::Dataset;
use crate::train::clicks::{iou, next_click};
use crate::train::source::sample;
use burn::tensor::backend::Backend;
use dragentity_core::Result;
use dragentity_core::scene::{Mask, Picture, raster};
use dragentity_pipeline::engine::Engine;
use dragentity_pipeline::transfer::shrink;
use image::RgbImage;
use serde::Serialize;

/// Side in pixels of the pictures that are clicked: people's are larger than what the network sees, and are scaled
/// down for it.
pub const PICTURE_SIDE: usize = 128;
/// Clicks that an entity gets.
pub const CLICKS: usize = 3;
/// Entities of which less than this share of the picture is seen are not clicked: a tenth of its sides. What remains of
/// things that are mostly hidden is nothing that anyone would click.
const SMALLEST: f32 = 0.01;

/// Means over the entities clicked.
#[derive(Clone, Debug, Serialize)]
pub struct ClickReport {
    /// Entities clicked.
    pub entities: usize,
    /// Mean intersection over union of the mask after each click.
    pub iou: [f64; CLICKS],
}

/// Sums over the entities clicked.
#[derive(Default)]
pub struct ClickMasks {
    iou: [f64; CLICKS],
    clicked: usize,
}

impl ClickMasks {
    /// Clicks the entities of pictures `first` to `first + count` up to [`CLICKS`] times, as the page does, and adds
    /// up how well they are found. The first click goes into the middle, each further one into the middle of the
    /// largest error. Masks are compared at half the picture's resolution.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Device`].
    pub fn add<B: Backend>(
        &mut self,
        engine: &mut Engine<B>,
        dataset: &Dataset,
        first: u64,
        count: usize,
    ) -> Result<()> {
        for clip in dataset.stills(first, count) {
            let sample = sample(&clip);
            let (width, height) = (sample.input.width, sample.input.height);
            let (w, h) = (width / 2, height / 2);
            let picture = picture(&sample.frames[0], width, height);
            for mask in &sample.visible {
                let truth = shrink(mask, width, height, 2);
                if truth.iter().sum::<f32>() < SMALLEST * truth.len() as f32 {
                    continue;
                }
                self.clicked += 1;
                let mut clicks = Vec::new();
                let mut mask: Option<Mask> = None;
                let mut made = vec![0.0; w * h];
                for sum in &mut self.iou {
                    clicks.extend(next_click(&truth, &made, w, h));
                    let answer = engine.segment(&picture, &clicks, mask.as_ref());
                    let answer = pollster::block_on(answer)?;
                    made = raster::coverage(&answer, w, h);
                    *sum += iou(&truth, &made);
                    mask = Some(answer);
                }
            }
        }
        Ok(())
    }

    /// The means.
    pub fn report(&self) -> ClickReport {
        ClickReport {
            entities: self.clicked,
            iou: self.iou.map(|sum| sum / self.clicked.max(1) as f64),
        }
    }
}

impl std::fmt::Display for ClickReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [one, two, three] = self.iou;
        writeln!(
            f,
            "Click mask, IoU after 1, 2, 3 clicks on {} entities: {one:.3}, {two:.3}, {three:.3}.",
            self.entities
        )
    }
}

/// A picture from values in -1..1.
fn picture(values: &[f32], width: usize, height: usize) -> Picture {
    Picture::from_rgb_image(RgbImage::from_fn(width as u32, height as u32, |x, y| {
        colour(values, y as usize * width + x as usize)
    }))
}
