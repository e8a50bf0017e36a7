//! Noise drawn on the host, so that a seed gives the same video on every device.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Normal noise of mean 0 and deviation 1.
pub fn noise<B: Backend, const D: usize>(
    seed: u64,
    shape: [usize; D],
    device: &B::Device,
) -> Tensor<B, D> {
    noise_from(&mut ChaCha8Rng::seed_from_u64(seed), shape, device)
}

/// The same from a generator of random numbers.
pub fn noise_from<B: Backend, const D: usize>(
    random: &mut ChaCha8Rng,
    shape: [usize; D],
    device: &B::Device,
) -> Tensor<B, D> {
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| StandardNormal.sample(random))
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
