//! What the stages train on: clips turned into numbers, and pictures of what came out.

use crate::data::portrait::Portrait;
use crate::data::render::{Clip, ClipSpec};
use crate::data::{Data, Dataset, Recorded, Split};
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::scene::Mask;
use dragentity_networks::dragentity::condition::{ConditionInput, EntityInput};
use dragentity_pipeline::transfer;
use image::RgbImage;
use rayon::prelude::*;

/// Clips of one data set, in batches of one size.
pub struct Clips {
    /// The same clips at each size; batches take turns.
    sizes: Vec<Source>,
}

/// Where clips come from.
enum Source {
    Rendered(Dataset),
    Recorded(Recorded),
}

/// A clip as numbers.
#[derive(Clone)]
pub struct Sample {
    /// Frames of `[height, width, 3]` in -1..1.
    pub frames: Vec<Vec<f32>>,
    /// Masks and tracks of the entities, as a user would give them.
    pub input: ConditionInput,
    /// For each frame, how much of each pixel is an entity, 0..1.
    pub inside: Vec<Vec<f32>>,
    /// For each entity, what is seen of it in the first frame, 0..1.
    pub visible: Vec<Vec<f32>>,
}

impl Clips {
    /// Clips of one side of `data` at each of `sizes` (width and height in pixels).
    ///
    /// # Errors
    /// [`Error::Job`] without a size, and those of [`Dataset::new`] and [`Recorded::new`].
    pub fn new(
        data: &Data,
        split: Split,
        spec: &ClipSpec,
        seed: u64,
        sizes: &[(usize, usize)],
    ) -> Result<Self> {
        if sizes.is_empty() {
            return Err(Error::Job("clips need at least one size".into()));
        }
        let one = |&(width, height): &(usize, usize)| {
            let spec = ClipSpec {
                width,
                height,
                ..spec.clone()
            };
            Ok(match data {
                Data::Pack(pack) => {
                    Source::Rendered(Dataset::new(pack.clone(), split, spec, seed)?)
                }
                Data::Library(library) => {
                    Source::Recorded(Recorded::new(library, split, spec, seed)?)
                }
            })
        };
        let sizes: Result<Vec<_>> = sizes.iter().map(one).collect();
        Ok(Self { sizes: sizes? })
    }

    /// Batch number `index`, the same for the same index.
    ///
    /// # Errors
    /// As [`Recorded::clip`]; rendering cannot fail.
    pub fn batch(&self, index: u64, count: usize) -> Result<Vec<Sample>> {
        let first = index * count as u64;
        let clips = match &self.sizes[index as usize % self.sizes.len()] {
            Source::Rendered(dataset) => dataset.batch(first, count),
            Source::Recorded(recorded) => recorded.batch(first, count)?,
        };
        Ok(clips.par_iter().map(sample).collect())
    }

    /// Portraits of batch number `index`, `side` pixels each way; the sizes of clips do not matter.
    ///
    /// # Errors
    /// [`Error::Job`] for recorded clips, which do not say where anybody's parts are.
    pub fn portraits(&self, index: u64, count: usize, side: usize) -> Result<Vec<Portrait>> {
        match &self.sizes[0] {
            Source::Rendered(dataset) => {
                Ok(dataset.portraits(index * count as u64, count, side))
            }
            Source::Recorded(_) => Err(Error::Job(
                "the human parser learns from people that are rendered: give a pack with --data, not videos".into(),
            )),
        }
    }
}

/// A clip as numbers.
pub fn sample(clip: &Clip) -> Sample {
    let unit =
        |bytes: &[u8]| -> Vec<f32> { bytes.iter().map(|&b| b as f32 / 127.5 - 1.0).collect() };
    let share = |bytes: &[u8]| -> Vec<f32> { bytes.iter().map(|&b| b as f32 / 255.0).collect() };
    let inside = (0..clip.frames)
        .map(|frame| {
            let mut sum = vec![0.0_f32; clip.width * clip.height];
            for entity in 0..clip.entities.len() {
                for (sum, &byte) in sum.iter_mut().zip(clip.visible(entity, frame)) {
                    *sum = (*sum + byte as f32 / 255.0).min(1.0);
                }
            }
            sum
        })
        .collect();
    Sample {
        frames: (0..clip.frames).map(|f| unit(clip.frame(f))).collect(),
        input: condition_input(clip),
        inside,
        visible: (0..clip.entities.len())
            .map(|entity| share(clip.visible(entity, 0)))
            .collect(),
    }
}

/// Masks and tracks of a clip as a user would give them: what is seen of each entity in the first frame.
pub fn condition_input(clip: &Clip) -> ConditionInput {
    ConditionInput {
        frames: clip.frames,
        width: clip.width,
        height: clip.height,
        entities: clip
            .entities
            .iter()
            .enumerate()
            .map(|(index, entity)| EntityInput {
                mask: Mask {
                    width: clip.width as u32,
                    height: clip.height as u32,
                    alpha: clip.visible(index, 0).to_vec(),
                },
                track: entity.track.clone(),
            })
            .collect(),
        background: clip.camera.clone(),
    }
}

/// Peak signal to noise ratio in dB of pictures in -1..1, averaged over the pictures.
pub fn psnr<B: Backend>(made: &Tensor<B, 4>, truth: &Tensor<B, 4>) -> f64 {
    let [n, c, h, w] = made.dims();
    let errors = (made.clone() - truth.clone())
        .powi_scalar(2)
        .reshape([n, c * h * w])
        .mean_dim(1);
    let errors: Vec<f32> = errors
        .into_data()
        .convert::<f32>()
        .to_vec()
        .unwrap_or_default();
    let sum: f64 = errors
        .iter()
        .map(|&e| 10.0 * (4.0 / (e as f64).max(1e-10)).log10())
        .sum();
    sum / errors.len().max(1) as f64
}

/// The values of a tensor, waited for.
///
/// # Errors
/// [`Error::Device`] when it cannot be read back.
pub fn to_vec<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Result<Vec<f32>> {
    pollster::block_on(transfer::read(tensor))
}

/// A contact sheet: one row for each tensor `[n, 3, height, width]` in -1..1, drawn twice as large.
///
/// # Errors
/// [`Error::Device`] when a tensor cannot be read.
pub fn sheet<B: Backend>(rows: &[Tensor<B, 4>]) -> Result<RgbImage> {
    const SCALE: usize = 2;
    const GAP: usize = 2;
    let Some(first) = rows.first() else {
        return Err(Error::Job("a sheet needs at least one row".into()));
    };
    let [n, _, h, w] = first.dims();
    let (cell_w, cell_h) = (w * SCALE + GAP, h * SCALE + GAP);
    let mut sheet = RgbImage::from_pixel(
        (n * cell_w) as u32,
        (rows.len() * cell_h) as u32,
        image::Rgb([255; 3]),
    );
    for (row, tensor) in rows.iter().enumerate() {
        let values = to_vec(tensor.clone())?;
        for (column, planes) in values.chunks_exact(3 * h * w).enumerate() {
            for y in 0..h * SCALE {
                for x in 0..w * SCALE {
                    let at = (y / SCALE) * w + x / SCALE;
                    let colour = [0, 1, 2].map(|channel| {
                        ((planes[channel * h * w + at] + 1.0) * 127.5).round() as u8
                    });
                    sheet.put_pixel(
                        (column * cell_w + x) as u32,
                        (row * cell_h + y) as u32,
                        image::Rgb(colour),
                    );
                }
            }
        }
    }
    Ok(sheet)
}
