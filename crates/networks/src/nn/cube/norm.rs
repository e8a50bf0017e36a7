//! Group and layer norms in one or two passes, with the SiLU that follows most of them.

use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Units of a cube that norms a group.
const UNITS: usize = 256;
/// Elements of a group in a clip up to which one cube does all of it: more are shared out.
const BY_ONE: usize = 1 << 15;
/// Elements of a group that a cube of the second pass norms.
const PIECE: usize = 1 << 12;
/// Units of a cube that norms a row.
const ROW_UNITS: usize = 64;

/// A norm of groups of channels.
pub(in super::super) struct GroupNorm<R: CubeRuntime> {
    /// `[channels]`
    pub gamma: Option<CubeTensor<R>>,
    /// `[channels]`
    pub beta: Option<CubeTensor<R>>,
    pub groups: usize,
    /// Pictures that share their statistics.
    pub num_frames: usize,
    pub epsilon: f32,
    /// Whether SiLU follows.
    pub silu: bool,
}

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct After {
    gamma: bool,
    beta: bool,
    silu: bool,
}

/// # Shapes
/// - `x` and output: `[n, channels, ...]`, `n` a multiple of `num_frames`
pub(in super::super) fn group_norm<R: CubeRuntime>(
    x: CubeTensor<R>,
    norm: GroupNorm<R>,
) -> CubeTensor<R> {
    let x = into_contiguous(x);
    let shape = x.meta.shape().clone();
    let (n, channels) = (shape[0], shape[1]);
    let pixels = shape.iter().skip(2).product::<usize>();
    // Of one picture.
    let group = channels / norm.groups * pixels;
    let y = super::empty(&x, shape);
    let client = x.client.clone();
    let dtype = x.dtype.into();
    let after = After {
        gamma: norm.gamma.is_some(),
        beta: norm.beta.is_some(),
        silu: norm.silu,
    };
    let or_x = |values: Option<CubeTensor<R>>| values.map_or_else(|| x.clone(), into_contiguous);
    let (gamma, beta) = (or_x(norm.gamma), or_x(norm.beta));
    let sizes = [norm.groups, channels / norm.groups, pixels, norm.num_frames].map(|n| n as u32);
    if group * norm.num_frames <= BY_ONE {
        let cubes = n / norm.num_frames * norm.groups;
        whole_groups::launch(
            &client,
            super::count_1d(cubes),
            CubeDim::new_1d(UNITS as u32),
            x.clone().into_array_arg(),
            gamma.into_array_arg(),
            beta.into_array_arg(),
            y.clone().into_array_arg(),
            cubes as u32,
            sizes[0],
            sizes[1],
            sizes[2],
            sizes[3],
            norm.epsilon,
            after,
            dtype,
        );
        return y;
    }
    let moments = super::empty_f32(&x, [n * norm.groups * 2].into());
    measure_groups::launch(
        &client,
        super::count_1d(n * norm.groups),
        CubeDim::new_1d(UNITS as u32),
        x.clone().into_array_arg(),
        moments.clone().into_array_arg(),
        (n * norm.groups) as u32,
        group as u32,
        dtype,
    );
    norm_groups::launch(
        &client,
        super::count(group.div_ceil(PIECE), n * norm.groups),
        CubeDim::new_1d(UNITS as u32),
        x.clone().into_array_arg(),
        moments.into_array_arg(),
        gamma.into_array_arg(),
        beta.into_array_arg(),
        y.clone().into_array_arg(),
        (n * norm.groups) as u32,
        sizes[0],
        sizes[1],
        sizes[2],
        sizes[3],
        norm.epsilon,
        after,
        dtype,
    );
    y
}

/// The sum of what each unit of a cube has; the same for all.
#[cube]
fn sum_of_cube(value: f32, #[comptime] units: usize) -> f32 {
    let mut shared = SharedMemory::<f32>::new(units);
    shared[UNIT_POS as usize] = value;
    sync_cube();
    let mut half = comptime!(units as u32 / 2).runtime();
    while half > 0 {
        if UNIT_POS < half {
            let other = shared[(UNIT_POS + half) as usize];
            shared[UNIT_POS as usize] += other;
        }
        sync_cube();
        half /= 2;
    }
    let sum = shared[0];
    sync_cube();
    sum
}

/// The mean of `count` neighbours; the same for all units of a cube.
#[cube]
fn mean_of_cube<F: Float>(x: &Array<F>, first: u32, count: u32, #[comptime] units: usize) -> f32 {
    let mut sum = 0.0f32;
    let mut i = UNIT_POS;
    while i < count {
        sum += f32::cast_from(x[(first + i) as usize]);
        i += comptime!(units as u32);
    }
    sum_of_cube(sum, units) / count as f32
}

/// The sum of their squared distances from `mean`; the same for all units of a cube.
#[cube]
fn squares_of_cube<F: Float>(
    x: &Array<F>,
    first: u32,
    count: u32,
    mean: f32,
    #[comptime] units: usize,
) -> f32 {
    let mut squares = 0.0f32;
    let mut i = UNIT_POS;
    while i < count {
        let value = f32::cast_from(x[(first + i) as usize]) - mean;
        squares += value * value;
        i += comptime!(units as u32);
    }
    sum_of_cube(squares, units)
}

#[cube]
fn finished<F: Float>(
    value: f32,
    gamma: &Array<F>,
    beta: &Array<F>,
    channel: u32,
    #[comptime] after: After,
) -> F {
    let mut value = value;
    if comptime!(after.gamma) {
        value *= f32::cast_from(gamma[channel as usize]);
    }
    if comptime!(after.beta) {
        value += f32::cast_from(beta[channel as usize]);
    }
    if comptime!(after.silu) {
        value /= 1.0 + (-value).exp();
    }
    F::cast_from(value)
}

/// A cube for each group of each clip: mean, deviation and the norm itself.
#[cube(launch)]
fn whole_groups<F: Float>(
    x: &Array<F>,
    gamma: &Array<F>,
    beta: &Array<F>,
    y: &mut Array<F>,
    cubes: u32,
    groups: u32,
    channels: u32,
    pixels: u32,
    num_frames: u32,
    epsilon: f32,
    #[comptime] after: After,
    #[define(F)] _dtype: StorageType,
) {
    let cube = CUBE_POS as u32;
    if cube >= cubes {
        terminate!();
    }
    let group = cube % groups;
    let clip = cube / groups;
    let size = channels * pixels;
    let count = size * num_frames;
    // From one picture's group to the next one's.
    let picture = size * groups;
    let first = clip * num_frames * picture + group * size;

    let mut sum = 0.0f32;
    let mut i = UNIT_POS;
    while i < count {
        sum += f32::cast_from(x[(first + i / size * picture + i % size) as usize]);
        i += comptime!(UNITS as u32);
    }
    let mean = sum_of_cube(sum, UNITS) / count as f32;
    let mut squares = 0.0f32;
    let mut i = UNIT_POS;
    while i < count {
        let value = f32::cast_from(x[(first + i / size * picture + i % size) as usize]) - mean;
        squares += value * value;
        i += comptime!(UNITS as u32);
    }
    let variance = sum_of_cube(squares, UNITS) / count as f32;
    let scale = 1.0 / (variance + epsilon).sqrt();
    let mut i = UNIT_POS;
    while i < count {
        let at = (first + i / size * picture + i % size) as usize;
        let channel = group * channels + i % size / pixels;
        let value = (f32::cast_from(x[at]) - mean) * scale;
        y[at] = finished::<F>(value, gamma, beta, channel, after);
        i += comptime!(UNITS as u32);
    }
}

/// A cube for each group of each picture: its mean, and the sum of squared distances from it.
#[cube(launch)]
fn measure_groups<F: Float>(
    x: &Array<F>,
    moments: &mut Array<f32>,
    cubes: u32,
    size: u32,
    #[define(F)] _dtype: StorageType,
) {
    let cube = CUBE_POS as u32;
    if cube >= cubes {
        terminate!();
    }
    let first = cube * size;
    let mean = mean_of_cube(x, first, size, UNITS);
    let squares = squares_of_cube(x, first, size, mean, UNITS);
    if UNIT_POS == 0 {
        moments[(2 * cube) as usize] = mean;
        moments[(2 * cube + 1) as usize] = squares;
    }
}

/// Cubes for pieces of each group of each picture: the norm, by what [`measure_groups`] found in all pictures of the clip.
#[cube(launch)]
fn norm_groups<F: Float>(
    x: &Array<F>,
    moments: &Array<f32>,
    gamma: &Array<F>,
    beta: &Array<F>,
    y: &mut Array<F>,
    all: u32,
    groups: u32,
    channels: u32,
    pixels: u32,
    num_frames: u32,
    epsilon: f32,
    #[comptime] after: After,
    #[define(F)] _dtype: StorageType,
) {
    let cube = CUBE_POS_Y + CUBE_POS_Z * CUBE_COUNT_Y;
    if cube >= all {
        terminate!();
    }
    let group = cube % groups;
    let clip = cube / groups / num_frames;
    let size = channels * pixels;

    let mut mean = 0.0f32;
    for frame in 0..num_frames {
        mean += moments[(2 * ((clip * num_frames + frame) * groups + group)) as usize];
    }
    mean /= num_frames as f32;
    let mut squares = 0.0f32;
    for frame in 0..num_frames {
        let at = 2 * ((clip * num_frames + frame) * groups + group);
        let apart = moments[at as usize] - mean;
        squares += moments[(at + 1) as usize] + apart * apart * size as f32;
    }
    let scale = 1.0 / (squares / (size * num_frames) as f32 + epsilon).sqrt();

    let first = cube * size;
    let start = CUBE_POS_X * comptime!(PIECE as u32);
    let end = min(start + comptime!(PIECE as u32), size);
    let mut i = start + UNIT_POS;
    while i < end {
        let at = (first + i) as usize;
        let value = (f32::cast_from(x[at]) - mean) * scale;
        y[at] = finished::<F>(value, gamma, beta, group * channels + i / pixels, after);
        i += comptime!(UNITS as u32);
    }
}

/// # Shapes
/// - `x` and output: `[..., width]`
/// - `gamma`, `beta`: `[width]`
pub(in super::super) fn layer_norm<R: CubeRuntime>(
    x: CubeTensor<R>,
    gamma: CubeTensor<R>,
    beta: CubeTensor<R>,
    epsilon: f32,
) -> CubeTensor<R> {
    let x = into_contiguous(x);
    let width = gamma.meta.shape()[0];
    let shape = x.meta.shape().clone();
    let rows = shape.iter().product::<usize>() / width;
    let y = super::empty(&x, shape);
    let after = After {
        gamma: true,
        beta: true,
        silu: false,
    };
    let (gamma, beta) = (into_contiguous(gamma), into_contiguous(beta));
    norm_rows::launch(
        &x.client.clone(),
        super::count_1d(rows),
        CubeDim::new_1d(ROW_UNITS as u32),
        x.clone().into_array_arg(),
        gamma.into_array_arg(),
        beta.into_array_arg(),
        y.clone().into_array_arg(),
        rows as u32,
        width as u32,
        epsilon,
        after,
        x.dtype.into(),
    );
    y
}

/// A cube for each row.
#[cube(launch)]
fn norm_rows<F: Float>(
    x: &Array<F>,
    gamma: &Array<F>,
    beta: &Array<F>,
    y: &mut Array<F>,
    rows: u32,
    width: u32,
    epsilon: f32,
    #[comptime] after: After,
    #[define(F)] _dtype: StorageType,
) {
    let row = CUBE_POS as u32;
    if row >= rows {
        terminate!();
    }
    let first = row * width;
    let mean = mean_of_cube(x, first, width, ROW_UNITS);
    let variance = squares_of_cube(x, first, width, mean, ROW_UNITS) / width as f32;
    let scale = 1.0 / (variance + epsilon).sqrt();
    let mut i = UNIT_POS;
    while i < width {
        let at = (first + i) as usize;
        let value = (f32::cast_from(x[at]) - mean) * scale;
        y[at] = finished::<F>(value, gamma, beta, i, after);
        i += comptime!(ROW_UNITS as u32);
    }
}
