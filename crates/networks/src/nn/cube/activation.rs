//! Activations in one pass.

use burn::tensor::Shape;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

/// The first half of each row, times the GELU of the second; `bias` is added to both first.
///
/// # Shapes
/// - `x`: `[rows, 2 * hidden]`
/// - `bias`: `[2 * hidden]`
/// - output: `[rows, hidden]`
pub(in super::super) fn geglu<R: CubeRuntime>(
    x: CubeTensor<R>,
    bias: Option<CubeTensor<R>>,
) -> CubeTensor<R> {
    let x = into_contiguous(x);
    let (rows, hidden) = (x.meta.shape()[0], x.meta.shape()[1] / 2);
    let y = super::empty(&x, Shape::from(vec![rows, hidden]));
    let client = x.client.clone();
    let count = rows * hidden;
    let units = CubeDim::new(&client, count);
    let biased = bias.is_some();
    let bias = bias.map_or_else(|| x.clone(), into_contiguous);
    gate::launch(
        &client,
        calculate_cube_count_elemwise(&client, count, units),
        units,
        x.clone().into_array_arg(),
        bias.into_array_arg(),
        y.clone().into_array_arg(),
        hidden as u32,
        biased,
        x.dtype.into(),
    );
    y
}

#[cube(launch)]
fn gate<F: Float>(
    x: &Array<F>,
    bias: &Array<F>,
    y: &mut Array<F>,
    hidden: u32,
    #[comptime] biased: bool,
    #[define(F)] _dtype: StorageType,
) {
    let at = ABSOLUTE_POS;
    if at >= y.len() {
        terminate!();
    }
    let row = at as u32 / hidden;
    let column = at as u32 % hidden;
    let first = row * hidden * 2 + column;
    let mut value = f32::cast_from(x[first as usize]);
    let mut gate = f32::cast_from(x[(first + hidden) as usize]);
    if biased {
        value += f32::cast_from(bias[column as usize]);
        gate += f32::cast_from(bias[(column + hidden) as usize]);
    }
    let half_root = comptime!(std::f32::consts::FRAC_1_SQRT_2);
    y[at] = F::cast_from(value * gate * 0.5 * (1.0 + Erf::erf(gate * half_root)));
}

/// `x / (1 + exp(-x))`, element by element.
pub(in super::super) fn silu<R: CubeRuntime>(x: CubeTensor<R>) -> CubeTensor<R> {
    let x = into_contiguous(x);
    let shape = x.meta.shape().clone();
    let count = shape.num_elements();
    let y = super::empty(&x, shape);
    let client = x.client.clone();
    let units = CubeDim::new(&client, count);
    swish::launch(
        &client,
        calculate_cube_count_elemwise(&client, count, units),
        units,
        x.clone().into_array_arg(),
        y.clone().into_array_arg(),
        x.dtype.into(),
    );
    y
}

#[cube(launch)]
fn swish<F: Float>(x: &Array<F>, y: &mut Array<F>, #[define(F)] _dtype: StorageType) {
    let at = ABSOLUTE_POS;
    if at >= y.len() {
        terminate!();
    }
    let value = f32::cast_from(x[at]);
    y[at] = F::cast_from(value / (1.0 + (-value).exp()));
}
