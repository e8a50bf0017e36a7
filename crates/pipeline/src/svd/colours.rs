//! Previews without a network: latents of Stable Video Diffusion say roughly which colour their pixels have, and nearly linearly.
//! The map is fitted to the picture that the video starts from, whose latents and colours are both known.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use nalgebra::{DMatrix, RowDVector};

/// Added to what is inverted, as a share of its size: a picture of one colour says nothing of the others.
const RIDGE: f64 = 1e-4;

/// Colours as a linear map of latents, and a constant.
#[derive(Clone, Debug)]
pub struct LatentColours<B: Backend> {
    /// `[3, channels]`
    weight: Tensor<B, 2>,
    /// `[1, 3, 1]`
    bias: Tensor<B, 3>,
}

impl<B: Backend> LatentColours<B> {
    /// The map that is best, in the sense of least squares, for a picture.
    ///
    /// # Shapes
    /// - `latents`: of the picture, scaled as those that are denoised: `[channels, height, width]`, row by row
    /// - `colours`: the picture's mean colours there: `[height, width, 3]`, -1..1
    ///
    /// `None` where there are none, or they are not as many, or not finite.
    pub fn fit(latents: &[f32], colours: &[f32], device: &B::Device) -> Option<Self> {
        let places = colours.len() / 3;
        if places == 0 || !latents.len().is_multiple_of(places) {
            return None;
        }
        let channels = latents.len() / places;
        let known = DMatrix::from_fn(places, channels, |at, channel| {
            f64::from(latents[channel * places + at])
        });
        let wanted = DMatrix::from_fn(places, 3, |at, c| f64::from(colours[at * 3 + c]));
        let (mean_known, mean_wanted) = (known.row_mean(), wanted.row_mean());
        let centred = |matrix: &DMatrix<f64>, mean: &RowDVector<f64>| {
            DMatrix::from_fn(matrix.nrows(), matrix.ncols(), |row, column| {
                matrix[(row, column)] - mean[column]
            })
        };
        let (known, wanted) = (centred(&known, &mean_known), centred(&wanted, &mean_wanted));
        let mut square = known.tr_mul(&known);
        let ridge = RIDGE * (square.trace() / channels as f64) + f64::MIN_POSITIVE.sqrt();
        for channel in 0..channels {
            square[(channel, channel)] += ridge;
        }
        let weight = square.cholesky()?.solve(&known.tr_mul(&wanted));
        let bias = mean_wanted - mean_known * &weight;
        if !weight.iter().chain(bias.iter()).all(|v| v.is_finite()) {
            return None;
        }
        // nalgebra's numbers lie column by column: those of a colour are beside each other.
        let weight: Vec<f32> = weight.iter().map(|v| *v as f32).collect();
        let bias: Vec<f32> = bias.iter().map(|v| *v as f32).collect();
        Some(Self {
            weight: Tensor::from_data(TensorData::new(weight, [3, channels]), device),
            bias: Tensor::from_data(TensorData::new(bias, [1, 3, 1]), device),
        })
    }

    /// What latents look like, a pixel each.
    ///
    /// # Shapes
    /// - `latents`: `[frames, channels, height, width]`, scaled as those that are denoised
    /// - output: `[frames, 3, height, width]`, about -1..1
    pub fn apply(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        let [frames, _, height, width] = latents.dims();
        let flat: Tensor<B, 3> = latents.flatten(2, 3);
        let colours = self.weight.clone().unsqueeze::<3>().matmul(flat) + self.bias.clone();
        colours.reshape([frames, 3, height, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    const SIZE: [usize; 2] = [5, 7];

    /// Latents of two channels, and colours that are linear in them.
    fn picture() -> (Vec<f32>, Vec<f32>) {
        let places = SIZE[0] * SIZE[1];
        let latents: Vec<f32> = (0..2 * places)
            .map(|i| ((i * i) % 23) as f32 / 9.0)
            .collect();
        let colours = (0..places).flat_map(|at| {
            let (a, b) = (latents[at], latents[places + at]);
            [0.2 * a - 0.3, 0.1 * b, 0.3 * a - 0.2 * b + 0.1]
        });
        let colours = colours.collect();
        (latents, colours)
    }

    #[test]
    fn what_is_linear_is_found() {
        let device = Default::default();
        let (latents, colours) = picture();
        let map = LatentColours::<Flex>::fit(&latents, &colours, &device).unwrap();
        let latents = TensorData::new(latents, [1, 2, SIZE[0], SIZE[1]]);
        let made = map.apply(Tensor::from_data(latents, &device));
        let made = made
            .permute([0, 2, 3, 1])
            .into_data()
            .to_vec::<f32>()
            .unwrap();
        for (made, wanted) in made.iter().zip(&colours) {
            assert!((made - wanted).abs() < 1e-3, "{made} {wanted}");
        }
    }

    #[test]
    fn a_picture_of_one_colour_keeps_it_and_says_nothing_of_others() {
        let device = Default::default();
        let places = SIZE[0] * SIZE[1];
        let colours = [0.5, -0.25, 0.0].repeat(places);
        let map = LatentColours::<Flex>::fit(&vec![1.5; 2 * places], &colours, &device).unwrap();
        let made = map.apply(Tensor::full([1, 2, 1, 1], 1.5, &device));
        let made = made.into_data().to_vec::<f32>().unwrap();
        assert_eq!(made, [0.5, -0.25, 0.0]);
    }

    #[test]
    fn what_does_not_fit_together_is_no_map() {
        let device = Default::default();
        let fit = |latents: &[f32], colours: &[f32]| {
            LatentColours::<Flex>::fit(latents, colours, &device).is_some()
        };
        assert!(!fit(&[], &[]));
        assert!(!fit(&[1.0, 2.0, 3.0], &[0.0; 6]));
        assert!(!fit(&[f32::NAN, 1.0], &[0.0; 6]));
        assert!(fit(&[1.0, 2.0], &[0.0; 6]));
    }
}
