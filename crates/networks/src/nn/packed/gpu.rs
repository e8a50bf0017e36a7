//! [`super::Packed::unpack`] on the devices of CubeCL: through wgpu, natively and in the page, and CUDA.

use super::super::cube::{Cube, close, on_cube, open, open_int};
use super::Packed;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

/// One number for each unit: neighbours write to neighbouring places.
#[cube(launch)]
fn unpack_number<F: Float>(
    words: &Array<u32>,
    scales: &Array<f32>,
    values: &mut Array<F>,
    run: usize,
    #[define(F)] _dtype: StorageType,
) {
    let at = ABSOLUTE_POS;
    if at >= values.len() {
        terminate!();
    }
    let byte = (words[at / 4] >> (8 * (at as u32 % 4))) & 255;
    // The sign: as it is below 128, 256 less above.
    let number = f32::cast_from(byte ^ 128) - 128.0;
    values[at] = F::cast_from(number * scales[(at / run) % scales.len()]);
}

/// What [`super::Packed::unpack`] gives, where `B` is a backend of CubeCL.
pub(super) fn unpack<B: Backend>(packed: &Packed<B>, dtype: DType) -> Option<Tensor<B, 1>> {
    on_cube!(B, unpack_on(packed, dtype))
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "as all that `on_cube` calls: most of it has cases that it leaves out"
)]
fn unpack_on<B: Backend, G: Cube<R>, R: CubeRuntime>(
    packed: &Packed<B>,
    dtype: DType,
) -> Option<Tensor<B, 1>> {
    let words = open_int::<B, G, R>(&packed.words);
    let scales = open::<B, G, R, 1>(&packed.scales);
    let client = words.client.clone();
    let values = CubeTensor::new_contiguous(
        client.clone(),
        words.device.clone(),
        [packed.count].into(),
        client.empty(packed.count * dtype.size()),
        dtype,
    );
    let units = CubeDim::new(&client, packed.count);
    unpack_number::launch(
        &client,
        calculate_cube_count_elemwise(&client, packed.count, units),
        units,
        words.into_array_arg(),
        scales.into_array_arg(),
        values.clone().into_array_arg(),
        packed.run,
        dtype.into(),
    );
    Some(close::<B, G, R, 1>(values))
}
