//! From the coarsest features to places of a body, and whether there is one.

use super::SIDE;
use super::backbone::FEATURES;
use super::blocks::{Residual, Separable};
use crate::nn::layers::Convolution;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Tensor, backend::Backend};

/// Places that the network gives: 33 of a body, then those that a crop is made from.
pub const PLACES: usize = 39;
/// Of these, the places of a body.
pub const LANDMARKS: usize = 33;
/// The middle between the hips, as the network sees it.
pub const CENTRE: usize = 33;
/// A place above [`CENTRE`], along the body, on a circle around it within which the whole body is.
pub const ABOVE: usize = 34;
/// Numbers of each place: x, y and z, logits of being visible and of being within the crop.
const NUMBERS: usize = 5;
const WIDTH: usize = 288;
/// Side of the heat maps.
pub const HEAT_SIDE: usize = SIDE / 4;
/// Cells of a heat map around a place, each way, that tell it more precisely (`RefineLandmarksFromHeatmapCalculator`).
const REACH: usize = 3;
/// Unless the hottest of them is colder than this.
const HOT: f32 = 0.5;

/// The branch for places.
#[derive(Module, Debug)]
pub struct LandmarkHead<B: Backend> {
    /// To fewer channels.
    pub narrow: Separable<B>,
    /// Two of them halve the resolution.
    pub blocks: Vec<Residual<B>>,
    /// To all numbers of all places.
    pub places: Conv2d<B>,
    /// To the logit that there is a body.
    pub flag: Conv2d<B>,
}

impl<B: Backend> LandmarkHead<B> {
    pub(super) fn new(device: &B::Device) -> Self {
        let [.., last] = FEATURES;
        let head = |to| {
            Conv2dConfig::new([WIDTH, to], [2, 2])
                .with_padding(PaddingConfig2d::Valid)
                .init(device)
        };
        let block = |at| Residual::new(WIDTH, at == 0 || at == 5, device);
        Self {
            narrow: Separable::new([last, WIDTH], device),
            blocks: (0..11).map(block).collect(),
            places: head(NUMBERS * PLACES),
            flag: head(1),
        }
    }

    /// The numbers of the places, `[1, 5 * PLACES, 1, 1]`, and the logit that there is a body, `[1, 1, 1, 1]`.
    ///
    /// # Shapes
    /// - `x`: `[1, 864, 8, 8]`
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> [Tensor<B, 4>; 2] {
        let x = self.narrow.forward(x);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        [self.places.apply(x.clone()), self.flag.apply(x)]
    }
}

/// A place of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Landmark {
    /// In fractions of the crop; may lie beyond it.
    pub at: [f32; 2],
    /// How likely it is to be seen, rather than hidden by something or beyond the crop. 0..1
    pub visibility: f32,
    /// How likely it is to be within the crop. 0..1
    pub presence: f32,
}

/// 0..1
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The places, from the numbers that [`LandmarkHead`] gives, moved to where their heat maps (logits,
/// `[PLACES, HEAT_SIDE, HEAT_SIDE]`) have their middle.
pub(super) fn decoded(numbers: &[f32], heat: &[f32]) -> Vec<Landmark> {
    let maps = heat.chunks_exact(HEAT_SIDE * HEAT_SIDE);
    let places = numbers.chunks_exact(NUMBERS).zip(maps);
    places
        .map(|(numbers, map)| {
            let at = [numbers[0], numbers[1]].map(|v| v / SIDE as f32);
            Landmark {
                at: refined(at, map),
                visibility: sigmoid(numbers[3]),
                presence: sigmoid(numbers[4]),
            }
        })
        .collect()
}

fn refined(at: [f32; 2], map: &[f32]) -> [f32; 2] {
    let side = HEAT_SIDE as f32;
    let [column, row] = at.map(|v| v * side);
    if !(column >= 0.0 && row >= 0.0 && column < side && row < side) {
        return at;
    }
    let around = |v: f32| {
        let v = v as usize;
        v.saturating_sub(REACH)..(v + REACH + 1).min(HEAT_SIDE)
    };
    let (mut sum, mut most, mut middle) = (0.0, 0.0f32, [0.0; 2]);
    for y in around(row) {
        for x in around(column) {
            let heat = sigmoid(map[y * HEAT_SIDE + x]);
            most = most.max(heat);
            sum += heat;
            middle[0] += heat * x as f32;
            middle[1] += heat * y as f32;
        }
    }
    match most >= HOT {
        true => middle.map(|v| v / sum / side),
        false => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hot_place_is_followed_and_a_cold_map_is_not() {
        let mut map = vec![-20.0; HEAT_SIDE * HEAT_SIDE];
        let at = [0.5, 0.25];
        assert_eq!(refined(at, &map), at);
        map[18 * HEAT_SIDE + 33] = 20.0;
        assert_eq!(refined(at, &map), [33.0 / 64.0, 18.0 / 64.0]);
        // Further than the reach, and beyond the crop.
        assert_eq!(refined([0.6, 0.25], &map), [0.6, 0.25]);
        for beyond in [[1.2, 0.5], [0.5, -0.1], [f32::NAN, 0.5]] {
            let same = refined(beyond, &map);
            assert_eq!(same.map(f32::to_bits), beyond.map(f32::to_bits));
        }
    }
}
