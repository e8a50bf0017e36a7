//! BlazePose (Bazarevsky and others, "BlazePose: On-device Real-time Body Pose tracking", 2020), the full one of MediaPipe's
//! solutions: a square crop around a person to the places of its body, and to its mask.
//!
//! The published file is a graph of TensorFlow Lite. `scripts/convert-pose.py` names its convolutions after the fields here, in
//! the graph's order; each module says which operators it stands for. The head for places in metres is left out.

mod backbone;
mod blocks;
mod decoder;
mod landmarks;

pub use backbone::{Backbone, Last};
pub use blocks::{Inverted, Residual, Separable};
pub use decoder::Decoder;
pub use landmarks::{ABOVE, CENTRE, HEAT_SIDE, LANDMARKS, Landmark, LandmarkHead, PLACES};

use crate::weights::Weights;
use burn::module::Module;
use burn::tensor::{FloatDType, Tensor, backend::Backend};
use dragentity_core::error::Result;

/// Side of the crop in pixels, and of the mask.
pub const SIDE: usize = 256;

/// The network.
#[derive(Module, Debug)]
pub struct BlazePose<B: Backend> {
    /// Picture to features.
    pub backbone: Backbone<B>,
    /// Features to mask and heat maps.
    pub decoder: Decoder<B>,
    /// Features to places.
    pub landmarks: LandmarkHead<B>,
}

/// What the network says of a crop, on the device.
#[derive(Clone, Debug)]
pub struct Prediction<B: Backend> {
    /// x, y, z, and the logits of being visible and of being within the crop, for each place. `[1, 5 * PLACES, 1, 1]`
    pub places: Tensor<B, 4>,
    /// Logit that there is a body. `[1, 1, 1, 1]`
    pub flag: Tensor<B, 4>,
    /// Logits of the person's mask. `[1, 1, SIDE, SIDE]`
    pub mask: Tensor<B, 4>,
    /// Logits of where each place is. `[1, PLACES, HEAT_SIDE, HEAT_SIDE]`
    pub heat: Tensor<B, 4>,
}

/// Places of a body in a crop.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// [`PLACES`] of them.
    pub landmarks: Vec<Landmark>,
    /// How likely it is that there is a body. 0..1
    pub flag: f32,
}

impl Body {
    /// From the numbers of [`Prediction::places`], [`Prediction::heat`] and [`Prediction::flag`].
    pub fn decoded(places: &[f32], heat: &[f32], flag: f32) -> Self {
        Self {
            landmarks: landmarks::decoded(places, heat),
            flag: landmarks::sigmoid(flag),
        }
    }
}

impl<B: Backend> BlazePose<B> {
    /// With random weights.
    pub fn new(device: &B::Device) -> Self {
        Self {
            backbone: Backbone::new(device),
            decoder: Decoder::new(device),
            landmarks: LandmarkHead::new(device),
        }
    }

    /// With those of a file that `scripts/fetch-pose` made.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`] naming what is missing, has another shape or has no place.
    pub async fn load(weights: &Weights, device: &B::Device) -> Result<Self> {
        let network = Self::new(device);
        let (network, _) = weights
            .load_with(network, FloatDType::F32, &mut |_, _| {})
            .await?;
        Ok(network)
    }

    /// # Shapes
    /// - `crop`: `[1, 3, SIDE, SIDE]`, 0..1
    pub fn forward(&self, crop: Tensor<B, 4>) -> Prediction<B> {
        let features = self.backbone.forward(crop);
        let [mask, heat] = self.decoder.forward(&features);
        let [.., last] = &features[..] else {
            unreachable!("there are five features")
        };
        let [places, flag] = self.landmarks.forward(last.clone());
        Prediction {
            places,
            flag,
            mask,
            heat,
        }
    }
}
