//! Between host memory and the device: pictures in, values out.

use super::plan::push_planes;
use crate::{Error, Result};
use burn::tensor::{Tensor, TensorData, backend::Backend};

/// `[n, 3, height, width]` from pictures of `[height, width, 3]`.
pub fn pictures<B: Backend>(
    items: &[Vec<f32>],
    width: usize,
    height: usize,
    device: &B::Device,
) -> Tensor<B, 4> {
    let mut planes = Vec::with_capacity(items.len() * width * height * 3);
    for item in items {
        push_planes(item, &mut planes);
    }
    Tensor::from_data(
        TensorData::new(planes, [items.len(), 3, height, width]),
        device,
    )
}

/// The values of a tensor.
///
/// # Errors
/// [`Error::Device`] when they cannot be read back.
pub async fn read<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Result<Vec<f32>> {
    let data = tensor.into_data_async().await.map_err(|reason| {
        Error::Device(format!(
            "reading the result failed ({reason:?}): reload, or choose the CPU"
        ))
    })?;
    data.convert::<f32>().to_vec().map_err(|reason| {
        Error::Device(format!("the device returned unexpected data ({reason:?})"))
    })
}

/// Means of `factor` by `factor` blocks.
pub fn shrink(map: &[f32], width: usize, height: usize, factor: usize) -> Vec<f32> {
    let (w, h) = (width / factor, height / factor);
    let mut small = vec![0.0; w * h];
    for y in 0..h * factor {
        for x in 0..w * factor {
            small[(y / factor) * w + x / factor] += map[y * width + x];
        }
    }
    let area = (factor * factor) as f32;
    small.iter_mut().for_each(|v| *v /= area);
    small
}
