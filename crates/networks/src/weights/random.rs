//! Weights of random numbers in a file: for measuring networks of published sizes where the published weights are not at hand.

use dragentity_core::error::{Error, Result};
use dragentity_core::platform::make_dir;
use half::f16;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::serialize_to_file;
use safetensors::{Dtype, View};
use std::borrow::Cow;
use std::path::Path;

/// A tensor whose numbers are drawn when they are written, so that those of a large network are never in memory together.
struct Drawn {
    name: String,
    shape: Vec<usize>,
}

impl Drawn {
    fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

impl View for Drawn {
    fn dtype(&self) -> Dtype {
        Dtype::F16
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let seed = self.name.bytes().fold(1, |seed: u64, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
        });
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // A row's, in a variance of 1 / (3 row): a double exponential of scale 1 has one of 2.
        let row = self.shape.iter().skip(1).product::<usize>() as f32;
        let scale = (1.0 / (6.0 * row)).sqrt();
        let mut value = || match self.shape.len() {
            // Norms pass on what they get.
            0 | 1 if self.name.ends_with("weight") => 1.0,
            0 | 1 => 0.0,
            _ => {
                let u: f32 = random.random_range(-0.5..0.5);
                -u.signum() * (1.0 - 2.0 * u.abs()).max(1e-7).ln() * scale
            }
        };
        let values = (0..self.count()).flat_map(|_| f16::from_f32(value()).to_le_bytes());
        Cow::Owned(values.collect())
    }

    fn data_len(&self) -> usize {
        2 * self.count()
    }
}

/// Writes tensors of these names and shapes in half precision. Matrices and kernels get numbers of mean 0 and of the deviation that
/// PyTorch's initial weights have, with a double exponential's tails, as trained weights have heavier ones than a normal
/// distribution; norms get ones, biases zeros. Equal names give equal numbers.
///
/// # Errors
/// [`Error::Io`] when the disk is full or closed.
pub fn write_random(
    path: &Path,
    tensors: impl IntoIterator<Item = (String, Vec<usize>)>,
) -> Result<()> {
    if let Some(folder) = path.parent() {
        make_dir(folder)?;
    }
    let drawn = tensors
        .into_iter()
        .map(|(name, shape)| (name.clone(), Drawn { name, shape }));
    serialize_to_file(drawn, None, path).map_err(|e| Error::Io {
        path: path.display().to_string(),
        source: std::io::Error::other(e),
    })
}
