//! What the device can do at most: the rate of large matrix products.

use burn::tensor::{FloatDType, Tensor, backend::Backend};
use dragentity_core::Result;
use dragentity_networks::nn::precision::as_type;
use dragentity_pipeline::noise::noise;
use dragentity_pipeline::transfer::settle;
use std::time::Instant;

/// Sides of the square matrices that are tried.
const SIDES: [usize; 3] = [512, 1024, 2048];
/// Products that are timed together, as one is too short on a GPU.
const TIMES: usize = 4;

/// Floating point operations a second, the best of several sizes.
///
/// # Errors
/// [`dragentity_core::Error::Device`] when the device fails.
pub async fn peak<B: Backend>(device: &B::Device, dtype: FloatDType) -> Result<f64> {
    let mut best: f64 = 0.0;
    for side in SIDES {
        let a: Tensor<B, 2> = as_type(noise(1, [side, side], device), dtype.into());
        let b: Tensor<B, 2> = as_type(noise(2, [side, side], device), dtype.into());
        settle(a.clone().matmul(b.clone())).await?;
        for _ in 0..3 {
            let started = Instant::now();
            let mut last = a.clone();
            for _ in 0..TIMES {
                last = last.matmul(b.clone());
            }
            settle(last).await?;
            let flops = (TIMES * 2 * side * side * side) as f64;
            best = best.max(flops / started.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}
