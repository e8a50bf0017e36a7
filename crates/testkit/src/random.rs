//! Weights of random numbers, for networks of published sizes.

use crate::parameter;
use half::f16;
use safetensors::{Dtype, View};
use std::borrow::Cow;

/// A tensor in half precision whose numbers are made when they are written: those of matrices and kernels of mean 0, of the
/// deviation that PyTorch's initial weights have, and with a double exponential's tails, as trained weights have heavier ones than
/// a normal distribution; the others are [`parameter`]s.
pub struct RandomTensor {
    /// Its name; equal names give equal numbers.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl RandomTensor {
    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

impl View for &RandomTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F16
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let half = |value| f16::from_f32(value).to_le_bytes();
        if self.shape.len() < 2 {
            let values = parameter(&self.name, &self.shape).into_iter();
            return Cow::Owned(values.flat_map(half).collect());
        }
        let row = self.shape.iter().skip(1).product::<usize>() as f32;
        // PyTorch's have a variance of 1 / (3 row), a double exponential of scale 1 one of 2.
        let scale = (1.0 / (6.0 * row)).sqrt();
        let mut state = self.name.bytes().fold(1, |seed: u64, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
        });
        let mut next = || {
            state = state
                .wrapping_mul(0x5851_F42D_4C95_7F2D)
                .wrapping_add(0x1405_7B7E_F767_814F);
            let u = (state >> 40) as f32 / (1 << 24) as f32 - 0.5;
            half(-u.signum() * (1.0 - 2.0 * u.abs()).max(1e-7).ln() * scale)
        };
        Cow::Owned((0..self.count()).flat_map(|_| next()).collect())
    }

    fn data_len(&self) -> usize {
        2 * self.count()
    }
}
