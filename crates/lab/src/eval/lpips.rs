//! LPIPS v0.1 (Zhang and others, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"): how different two
//! pictures look to a person, by AlexNet's features. 0 for the same picture, around 0.5 and more for unrelated ones.
//!
//! `scripts/fetch-metrics` brings the weights, and gives them the names of the fields here.

use super::extractor::with_room;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::{interpolate, max_pool2d};
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::{Error, Result};
use dragentity_networks::nn::layers::Convolution;
use dragentity_networks::weights::Weights;
use std::path::Path;

/// Where `scripts/fetch-metrics` puts the weights, from the repository's root.
pub const WEIGHTS: &str = "assets/metrics/lpips-alexnet.safetensors";
/// Shortest side of a picture, in pixels: of a smaller one nothing is left after two poolings.
pub const SMALLEST: usize = 31;
/// Of the published network: what pictures in -1..1 are brought to before AlexNet sees them.
const MEAN: [f32; 3] = [-0.030, -0.088, -0.188];
const DEVIATION: [f32; 3] = [0.458, 0.448, 0.450];
/// Channels, kernel, stride and padding of AlexNet's convolutions.
const LAYERS: [([usize; 2], usize, usize, usize); 5] = [
    ([3, 64], 11, 4, 2),
    ([64, 192], 5, 1, 2),
    ([192, 384], 3, 1, 1),
    ([384, 256], 3, 1, 1),
    ([256, 256], 3, 1, 1),
];

/// The network.
#[derive(Module, Debug)]
pub struct Lpips<B: Backend> {
    /// AlexNet's convolutions, each followed by ReLU.
    pub conv: Vec<Conv2d<B>>,
    /// How much each channel of a layer counts: 1 x 1, to one channel, without a bias.
    pub lin: Vec<Conv2d<B>>,
}

/// Whether there is a file of the weights: to be asked before the minutes that videos take.
///
/// # Errors
/// [`Error::Model`] that says where to get it.
pub fn is_there(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    Err(Error::Model {
        name: path.display().to_string(),
        reason: "is not there: scripts/fetch-metrics brings it".into(),
    })
}

/// What AlexNet sees in some pictures: the features of each layer, of length one at every place.
pub struct Seen<B: Backend>(Vec<Tensor<B, 4>>);

impl<B: Backend> Lpips<B> {
    /// With fresh weights.
    pub fn new(device: &B::Device) -> Self {
        let conv = |(channels, kernel, stride, pad): ([usize; 2], usize, usize, usize)| {
            Conv2dConfig::new(channels, [kernel; 2])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                .init(device)
        };
        let lin = |(channels, ..): ([usize; 2], usize, usize, usize)| {
            Conv2dConfig::new([channels[1], 1], [1; 2])
                .with_bias(false)
                .init(device)
        };
        Self {
            conv: LAYERS.map(conv).into(),
            lin: LAYERS.map(lin).into(),
        }
    }

    /// With the published weights, from a file as `scripts/fetch-metrics` writes it.
    ///
    /// # Errors
    /// [`Error::Model`] when it is not there, or another file.
    pub fn open(path: &Path, device: &B::Device) -> Result<Self> {
        is_there(path)?;
        let name = path.display().to_string();
        with_room(|| {
            let weights = pollster::block_on(Weights::open(&name, &mut |_, _| {}))?;
            Ok(weights.load(Self::new(device))?.0)
        })
    }

    /// Looks at pictures.
    ///
    /// # Shapes
    /// - `pictures`: `[n, 3, height, width]`, -1..1
    ///
    /// # Errors
    /// [`Error::Job`] for pictures with a side below [`SMALLEST`].
    pub fn look(&self, pictures: Tensor<B, 4>) -> Result<Seen<B>> {
        let [_, _, height, width] = pictures.dims();
        if height.min(width) < SMALLEST {
            return Err(Error::Job(format!(
                "pictures of {width} x {height} pixels are too small for LPIPS: {SMALLEST} pixels a side or more"
            )));
        }
        let device = pictures.device();
        let channels = |values: [f32; 3]| {
            Tensor::from_data(TensorData::new(values.into(), [1, 3, 1, 1]), &device)
        };
        let mut x = (pictures - channels(MEAN)) / channels(DEVIATION);
        let mut seen = Vec::with_capacity(self.conv.len());
        for (index, conv) in self.conv.iter().enumerate() {
            // Before the second and the third.
            if index == 1 || index == 2 {
                x = max_pool2d(x, [3, 3], [2, 2], [0, 0], [1, 1], false);
            }
            x = relu(conv.apply(x));
            let length = x.clone().powi_scalar(2).sum_dim(1).sqrt();
            seen.push(x.clone() / (length + 1e-10));
        }
        Ok(Seen(seen))
    }

    /// How far apart what was seen is, in each layer: `[n, 1, height, width]` of the layer's own size.
    fn differences(&self, first: &Seen<B>, second: &Seen<B>) -> impl Iterator<Item = Tensor<B, 4>> {
        let layers = first.0.iter().zip(&second.0).zip(&self.lin);
        layers.map(|((first, second), lin)| {
            let squares = (first.clone() - second.clone()).powi_scalar(2);
            (squares * lin.weight.val()).sum_dim(1)
        })
    }

    /// The distance of each picture to its counterpart: `[n]`.
    pub fn distance(&self, first: &Seen<B>, second: &Seen<B>) -> Tensor<B, 1> {
        let layers = self.differences(first, second).map(|layer| {
            let [n, _, height, width] = layer.dims();
            layer
                .reshape([n, height * width])
                .mean_dim(1)
                .squeeze_dim(1)
        });
        sum(layers)
    }

    /// The same place by place, each layer enlarged linearly to `size` (width, height), as the published program's
    /// `spatial=True`: `[n, height, width]`. Their means are the distances, but for what enlarging does to the borders.
    pub fn local(
        &self,
        first: &Seen<B>,
        second: &Seen<B>,
        [width, height]: [usize; 2],
    ) -> Tensor<B, 3> {
        let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
        let layers = self
            .differences(first, second)
            .map(|layer| interpolate(layer, [height, width], options.clone()).squeeze_dim(1));
        sum(layers)
    }
}

/// The sum of a network's five layers.
fn sum<B: Backend, const D: usize>(layers: impl Iterator<Item = Tensor<B, D>>) -> Tensor<B, D> {
    layers
        .reduce(|sum, layer| sum + layer)
        .expect("AlexNet has layers")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use burn::backend::Flex;
    use dragentity_networks::weights::tensor_list;
    use dragentity_testkit::{fill_as, parameter, picture, safetensors_file};

    /// A file of weights that mean nothing.
    pub fn synthetic_file() -> Vec<u8> {
        let network = Lpips::<Flex>::new(&Default::default());
        let tensors: Vec<_> = tensor_list(&network)
            .into_iter()
            .map(|(name, shape)| {
                let values = parameter(&format!("lpips.{name}"), &shape);
                (name, shape, values)
            })
            .collect();
        safetensors_file(&tensors)
    }

    #[test]
    fn the_same_picture_is_no_distance_away_and_places_that_differ_are_found() {
        let device = Default::default();
        let network: Lpips<Flex> = fill_as("lpips.", Lpips::new(&device));
        let first = picture::<Flex, 4>("lpips", [1, 3, 64, 96], &device);
        let blot = Tensor::zeros([1, 3, 24, 24], &device);
        let second = first.clone().slice_assign([0..1, 0..3, 0..24, 0..24], blot);
        let [one, two] = [first, second].map(|x| network.look(x).unwrap());
        let numbers = |x: Tensor<Flex, 1>| x.into_data().to_vec::<f32>().unwrap();
        assert_eq!(numbers(network.distance(&one, &one)), [0.0]);
        let map = network.local(&one, &two, [96, 64]);
        assert_eq!(map.dims(), [1, 64, 96]);
        let mean = |from: usize| {
            let part = map.clone().slice([0..1, from..from + 16, from..from + 16]);
            part.abs().mean().into_scalar()
        };
        assert!(mean(0) > 5.0 * mean(48), "{} {}", mean(0), mean(48));
        let small = picture::<Flex, 4>("small", [1, 3, 30, 96], &device);
        assert!(network.look(small).is_err());
    }
}
