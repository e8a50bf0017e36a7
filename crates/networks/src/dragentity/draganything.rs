//! The maps that DragAnything's ControlNet was trained on, drawn as its data sets draw them and not as its demo
//! does: each entity's whole vector over a disc as large as the largest circle in its mask, and over the disc's
//! square a heat map of 200 x 200 values with a deviation of 40, from 0 to 255. One thing is left out: there, an
//! entity also erases others where it is nothing itself, in the corners of its square.

use crate::dragentity::condition::ConditionInput;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::error::Result;
use dragentity_core::scene::{Mask, raster};

/// Side of the heat map that is fitted into squares.
const HEAT_SIDE: usize = 200;
/// Its deviation.
const HEAT_SIGMA: f64 = 40.0;
/// Entities with a smaller square, in pixels, are not drawn.
const MIN_SIDE: i64 = 5;
/// The heat map is a picture of this many equal channels.
pub const HEAT_CHANNELS: usize = 3;
/// So many neighbouring channels of Stable Diffusion's features make one of the entity map.
pub const POOLED: usize = 2;

/// An entity's disc in every frame, in whole pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Disc {
    radius: i64,
    centers: Vec<[i64; 2]>,
}

/// The maps of one video, drawn a few frames at a time: all at once they would take more memory than the networks.
pub struct Maps {
    width: usize,
    height: usize,
    heat: Vec<u8>,
    discs: Vec<Disc>,
}

impl Maps {
    /// Lays out the discs. Each begins at the deepest point of its mask and follows the track from there.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Job`] as [`ConditionInput::check`].
    pub fn new(input: &ConditionInput, max_entities: usize, multiple: usize) -> Result<Self> {
        input.check(max_entities, multiple)?;
        let discs = input.entities.iter().map(|entity| {
            let (center, radius) = deepest(&entity.mask).unwrap_or(([0, 0], 0));
            let start = entity.track[0];
            let moved = |p: &[f32; 2]| {
                [0, 1].map(|axis| center[axis] + (p[axis] - start[axis]).round() as i64)
            };
            Disc {
                radius,
                centers: entity.track.iter().map(moved).collect(),
            }
        });
        Ok(Self {
            width: input.width,
            height: input.height,
            heat: heat(),
            discs: discs.collect(),
        })
    }

    /// Places in the list of the entities that are drawn in no frame: too small, or outside of the picture.
    pub fn unseen(&self) -> Vec<usize> {
        let seen = |disc: &Disc| (0..disc.centers.len()).any(|f| self.square(disc, f).is_some());
        let discs = self.discs.iter().enumerate();
        discs
            .filter(|(_, disc)| !seen(disc))
            .map(|(i, _)| i)
            .collect()
    }

    /// The heat map of some frames, and the entity map of `vectors`.
    ///
    /// # Shapes
    /// - `vectors`: `[entities, channels]`
    /// - first output: `[1, frames, 3, height, width]`
    /// - second output: `[1, frames, channels, height, width]`
    pub fn draw<B: Backend>(
        &self,
        vectors: Tensor<B, 2>,
        frames: std::ops::Range<usize>,
    ) -> (Tensor<B, 5>, Tensor<B, 5>) {
        let (device, count) = (vectors.device(), frames.len());
        let (entities, area) = (self.discs.len(), self.width * self.height);
        let mut heat = vec![0.0; count * area];
        let mut shares = vec![0.0; count * entities * area];
        for (i, frame) in frames.enumerate() {
            let heat = &mut heat[i * area..(i + 1) * area];
            let mut front = vec![usize::MAX; area];
            for (entity, disc) in self.discs.iter().enumerate() {
                self.draw_heat(disc, frame, heat);
                self.draw_disc(disc, frame, |at| front[at] = entity);
            }
            for (at, entity) in front.into_iter().enumerate().filter(|(_, e)| *e < entities) {
                shares[(i * entities + entity) * area + at] = 1.0;
            }
        }
        let shape = [1, count, 1, self.height, self.width];
        let heat = Tensor::<B, 5>::from_data(TensorData::new(heat, shape), &device);
        let heat = heat.expand([1, count, HEAT_CHANNELS, self.height, self.width]);
        let shares = TensorData::new(shares, [count, entities, area]);
        let shares = Tensor::<B, 3>::from_data(shares, &device);
        let channels = vectors.dims()[1];
        let map = vectors.transpose().unsqueeze::<3>().matmul(shares);
        (
            heat,
            map.reshape([1, count, channels, self.height, self.width]),
        )
    }

    /// The square of a disc within the picture, `[x1, y1, x2, y2]`; the last column and row are outside of it.
    fn square(&self, disc: &Disc, frame: usize) -> Option<[i64; 4]> {
        let [x, y] = disc.centers[frame];
        let (right, bottom) = (self.width as i64 - 1, self.height as i64 - 1);
        let [x1, y1] = [x, y].map(|c| (c - disc.radius).max(1));
        let (x2, y2) = ((x + disc.radius).min(right), (y + disc.radius).min(bottom));
        (x2 - x1 >= MIN_SIDE && y2 - y1 >= MIN_SIDE).then_some([x1, y1, x2, y2])
    }

    /// What of the square is in the picture gets all of the heat map, squeezed.
    fn draw_heat(&self, disc: &Disc, frame: usize, out: &mut [f32]) {
        let Some([x1, y1, x2, y2]) = self.square(disc, frame) else {
            return;
        };
        let columns = samples((x2 - x1) as usize);
        for (y, row) in samples((y2 - y1) as usize).into_iter().enumerate() {
            let line = (y1 as usize + y) * self.width + x1 as usize;
            for (x, column) in columns.iter().enumerate() {
                let value = bilinear(&self.heat, row, *column);
                if value > 0.0 {
                    out[line + x] = value;
                }
            }
        }
    }

    /// Calls `paint` with every pixel of the disc that is in the picture.
    fn draw_disc(&self, disc: &Disc, frame: usize, mut paint: impl FnMut(usize)) {
        if self.square(disc, frame).is_none() {
            return;
        }
        let ([cx, cy], r) = (disc.centers[frame], disc.radius);
        for y in (cy - r).max(0)..(cy + r + 1).min(self.height as i64) {
            for x in (cx - r).max(0)..(cx + r + 1).min(self.width as i64) {
                if (x - cx).pow(2) + (y - cy).pow(2) <= r * r {
                    paint(y as usize * self.width + x as usize);
                }
            }
        }
    }
}

/// The pixel of the mask that is furthest from all pixels outside (of several, the one nearest to the centroid), and
/// how far that is. What lies beyond the picture is not outside, so that a disc may reach over its edge. `None` for an
/// empty mask.
fn deepest(mask: &Mask) -> Option<([i64; 2], i64)> {
    let distances = raster::squared_distances_within(mask);
    let longest = mask.width.max(mask.height) as f32;
    let (x, y, distance) = raster::deepest_pixel(mask, &distances)?;
    // A mask without an outside has no distances.
    let radius = distance.sqrt().min(longest / 2.0) as i64;
    Some(([x as i64, y as i64], radius))
}

/// A Gaussian within a circle, 255 in its centre.
fn heat() -> Vec<u8> {
    let half = HEAT_SIDE as f64 / 2.0;
    (0..HEAT_SIDE * HEAT_SIDE)
        .map(|i| {
            let (x, y) = ((i % HEAT_SIDE) as f64 - half, (i / HEAT_SIDE) as f64 - half);
            let squared = x * x + y * y;
            if squared > half * half {
                return 0;
            }
            (255.0 * (-0.5 * squared / (HEAT_SIGMA * HEAT_SIGMA)).exp()) as u8
        })
        .collect()
}

/// Where each of `size` pixels looks in the heat map: two neighbouring places, and how far it is to the second.
fn samples(size: usize) -> Vec<(usize, usize, f64)> {
    let (side, size_f) = (HEAT_SIDE as f64, size as f64);
    (0..size)
        .map(|i| {
            let at = ((i as f64 + 0.5) * side / size_f - 0.5).clamp(0.0, (HEAT_SIDE - 1) as f64);
            let first = at as usize;
            (first, (first + 1).min(HEAT_SIDE - 1), at - first as f64)
        })
        .collect()
}

/// A whole number: the heat map is a picture.
fn bilinear(map: &[u8], row: (usize, usize, f64), column: (usize, usize, f64)) -> f32 {
    let at = |y: usize, x: usize| f64::from(map[y * HEAT_SIDE + x]);
    let line = |x: usize| at(row.0, x) * (1.0 - row.2) + at(row.1, x) * row.2;
    let value = line(column.0) * (1.0 - column.2) + line(column.1) * column.2;
    (value + 0.5).floor() as f32
}

/// Each entity's vector: the mean of the features in the cells that its mask covers at least half (of a smaller
/// one: of what it covers of any), and of that the mean of every two channels.
///
/// # Shapes
/// - `features`: `[1, channels, height, width]`
/// - output: `[entities, channels / 2]`
pub fn vectors<B: Backend>(features: Tensor<B, 4>, input: &ConditionInput) -> Tensor<B, 2> {
    let [_, channels, height, width] = features.dims();
    let mut weights = Vec::with_capacity(input.entities.len() * height * width);
    for entity in &input.entities {
        let mut covered = raster::coverage(&entity.mask, width, height);
        if covered.iter().any(|&c| c >= 0.5) {
            for cell in &mut covered {
                *cell = if *cell >= 0.5 { 1.0 } else { 0.0 };
            }
        }
        weights.extend(covered);
    }
    let entities = input.entities.len();
    let weights = TensorData::new(weights, [1, entities, height, width]);
    let weights = Tensor::from_data(weights, &features.device());
    crate::dragentity::condition::masked_mean(features, weights)
        .reshape([entities, channels / POOLED, POOLED])
        .mean_dim(2)
        .squeeze_dim(2)
}
