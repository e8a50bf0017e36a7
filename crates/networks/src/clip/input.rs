//! Pictures as CLIP's image encoder takes them, the way `diffusers.StableVideoDiffusionPipeline` prepares
//! them: resized with antialiasing, then normalized by `feature_extractor/preprocessor_config.json`. On the
//! host: a few million multiplications once a job.

use crate::fields::Fields;
use dragentity_core::error::Result;
use serde::{Deserialize, Serialize};

/// `feature_extractor/preprocessor_config.json`, as far as it is used: the pipeline resizes by itself and
/// crops nothing. Missing fields take the values of CLIP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CLIPImageProcessor {
    /// Mean of red, green and blue, of values in 0..1.
    pub image_mean: [f32; 3],
    /// Their standard deviations.
    pub image_std: [f32; 3],
}

impl Default for CLIPImageProcessor {
    fn default() -> Self {
        Self {
            image_mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            image_std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        }
    }
}

impl CLIPImageProcessor {
    /// # Errors
    /// [`dragentity_core::Error::Model`] for numbers that no picture can be normalized with.
    pub fn validate(&self, name: &str) -> Result<()> {
        // Pictures are 0 to 1 here.
        let fine = self.image_mean.iter().all(|v| v.abs() <= 1e3)
            && self.image_std.iter().all(|v| (1e-6..=1e3).contains(v));
        if fine {
            return Ok(());
        }
        Fields::of(name).fail("image_mean must be three numbers of at most 1000 and image_std three of 0.000001 to 1000")
    }

    /// What the image encoder sees of a picture.
    ///
    /// # Shapes
    /// - `picture`: `[height, width, 3]`, -1..1, at its own size
    /// - output: `[3, side, side]`
    pub fn prepare(&self, picture: &[f32], width: usize, height: usize, side: usize) -> Vec<f32> {
        let small = resize_with_antialiasing(picture, [width, height], [side, side]);
        let mut planes = Vec::with_capacity(small.len());
        for channel in 0..3 {
            let (mean, std) = (self.image_mean[channel], self.image_std[channel]);
            let values = small.iter().skip(channel).step_by(3);
            planes.extend(values.map(|v| ((v + 1.0) / 2.0 - mean) / std));
        }
        planes
    }
}

/// diffusers' `_resize_with_antialiasing`: a Gaussian blur as strong as the picture shrinks, then bicubic
/// interpolation between corners. Blur and interpolation both work along one axis after the other and
/// are linear, so each axis is one pass.
///
/// # Shapes
/// - `picture` and output: `[height, width, 3]`, of the sizes `from` and `to` (`[width, height]`)
fn resize_with_antialiasing(picture: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    let mut rows = Vec::with_capacity(from[1] * to[0] * 3);
    let taps = axis_taps(from[0], to[0]);
    for row in picture.chunks_exact(from[0] * 3) {
        for taps in &taps {
            rows.extend((0..3).map(|c| taps.sum(|x| row[x * 3 + c])));
        }
    }
    let width = to[0] * 3;
    axis_taps(from[1], to[1])
        .iter()
        .flat_map(|taps| (0..width).map(|x| taps.sum(|y| rows[y * width + x])))
        .collect()
}

/// One value of the result as a weighted sum of neighbouring values.
struct Taps {
    start: usize,
    weights: Vec<f32>,
}

impl Taps {
    fn sum(&self, value: impl Fn(usize) -> f32) -> f32 {
        let weights = self.weights.iter().enumerate();
        weights.map(|(i, w)| w * value(self.start + i)).sum()
    }
}

/// The weights of each of `to` values along an axis of `from`.
fn axis_taps(from: usize, to: usize) -> Vec<Taps> {
    let blur = gaussian(from as f64 / to as f64);
    let half = (blur.len() / 2) as isize;
    let last = from as isize - 1;
    // In f32 as in PyTorch, whose rounding places the values.
    let scale = last as f32 / (to.max(2) - 1) as f32;
    (0..to)
        .map(|i| {
            let place = i as f32 * scale;
            let base = place.floor();
            let mut sums = std::collections::BTreeMap::new();
            for (k, cubic) in cubic_weights((place - base) as f64).into_iter().enumerate() {
                let center = (base as isize + k as isize - 1).clamp(0, last);
                for (j, weight) in blur.iter().enumerate() {
                    let at = reflect(center + j as isize - half, last);
                    *sums.entry(at).or_insert(0.0) += cubic * weight;
                }
            }
            let start = sums.keys().next().copied().unwrap_or(0);
            let end = sums.keys().next_back().copied().unwrap_or(0);
            let weights = (start..=end)
                .map(|at| sums.get(&at).copied().unwrap_or(0.0) as f32)
                .collect();
            Taps { start, weights }
        })
        .collect()
}

/// A Gaussian for a picture that becomes `factor` times smaller: of deviation `(factor - 1) / 2`, cut off
/// at two deviations, three values at least.
fn gaussian(factor: f64) -> Vec<f64> {
    let sigma = ((factor - 1.0) / 2.0).max(0.001);
    let size = (4.0 * sigma).max(3.0) as usize | 1;
    let half = (size / 2) as f64;
    let values: Vec<f64> = (0..size)
        .map(|i| (-(i as f64 - half).powi(2) / (2.0 * sigma * sigma)).exp())
        .collect();
    let sum: f64 = values.iter().sum();
    values.into_iter().map(|v| v / sum).collect()
}

/// Weights of the four values around a place `t` between the middle two: Keys' cubic convolution with
/// PyTorch's coefficient.
fn cubic_weights(t: f64) -> [f64; 4] {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

/// `at` mirrored at 0 and `last`, as often as needed.
fn reflect(at: isize, last: isize) -> usize {
    let period = (2 * last).max(1);
    let at = at.rem_euclid(period);
    at.min(period - at).min(last) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_keeps_an_even_colour() {
        for [w, h] in [[1, 1], [2, 1], [3, 400], [224, 7], [1000, 600]] {
            let out = resize_with_antialiasing(&[0.25f32; 3].repeat(w * h), [w, h], [16, 16]);
            assert_eq!(out.len(), 16 * 16 * 3);
            assert!(
                out.iter().all(|v| (v - 0.25).abs() < 1e-5),
                "{w} x {h}: {out:?}"
            );
        }
    }

    #[test]
    fn the_same_size_keeps_the_picture() {
        let picture: Vec<f32> = (0..9 * 5 * 3).map(|i| (i * 37 % 100) as f32).collect();
        let same = resize_with_antialiasing(&picture, [9, 5], [9, 5]);
        assert_eq!(same, picture);
    }

    #[test]
    fn reflection_repeats_no_border() {
        let places: Vec<usize> = (-4..8).map(|at| reflect(at, 3)).collect();
        assert_eq!(places, [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
        assert_eq!(reflect(-5, 0), 0);
    }
}
