//! Convolutions as products of tiles: of pictures, and along time.
//!
//! The product is that of the weights, a row for each channel of the output, with what the window sees, a column for each of its
//! pixels; the matrix of what it sees is never made. A cube computes a tile of rows and columns, and holds what both factors have for
//! some steps of the inner sum in shared memory; a unit keeps its part of the tile in registers.

use super::Four;
use burn::tensor::Shape;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Units of a cube.
const UNITS: usize = 128;
/// Columns of a tile: pixels of the output.
const COLUMNS: usize = 128;
/// Steps of the inner sum that are in shared memory at once.
const DEPTH: usize = 16;
/// Units that share rows of a tile: the columns of each are two fours, half a tile apart, so that neighbours read neighbours.
const ACROSS: usize = COLUMNS / 8;

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Window {
    /// The window's frames, rows and columns.
    kernel: [usize; 3],
    stride: [usize; 2],
    /// Rows and columns of zeros above and to the left of the picture.
    padding: [usize; 2],
    /// Rows of a tile that a unit computes.
    rows: usize,
    bias: bool,
}

/// A convolution: its weights and how they are led over the picture.
pub(in super::super) struct Convolution<R: CubeRuntime> {
    /// `[out_channels, in_channels, frames, height, width]`, whatever its shape says
    pub weight: CubeTensor<R>,
    /// `[out_channels]`
    pub bias: Option<CubeTensor<R>>,
    /// Channels of the output.
    pub out_channels: usize,
    /// The window's frames, rows and columns.
    pub kernel: [usize; 3],
    /// Steps down and to the right.
    pub stride: [usize; 2],
    /// Zeros above and to the left; those below and to the right follow from the size of the output.
    pub padding: [usize; 2],
    /// Frames of a clip, before the first and after the last of which a window sees zeros.
    pub num_frames: usize,
    /// Rows and columns of the output.
    pub output: [usize; 2],
}

/// # Shapes
/// - `x`: `[n, in_channels, height, width]`
/// - output: `[n, out_channels, output...]`
pub(in super::super) fn convolve<R: CubeRuntime>(
    x: CubeTensor<R>,
    conv: Convolution<R>,
) -> CubeTensor<R> {
    let x = into_contiguous(x);
    let weight = into_contiguous(conv.weight);
    let shape = x.meta.shape().clone();
    let [out_height, out_width] = conv.output;
    let y = super::empty(
        &x,
        Shape::from(vec![shape[0], conv.out_channels, out_height, out_width]),
    );
    let rows = match conv.out_channels {
        ..=8 => 1,
        ..=16 => 2,
        ..=32 => 4,
        _ => 8,
    };
    let window = Window {
        kernel: conv.kernel,
        stride: conv.stride,
        padding: conv.padding,
        rows,
        bias: conv.bias.is_some(),
    };
    let columns = shape[0] * out_height * out_width;
    let bias = conv.bias.map_or_else(|| weight.clone(), into_contiguous);
    convolution::launch(
        &x.client.clone(),
        super::count(
            columns.div_ceil(COLUMNS),
            conv.out_channels.div_ceil(8 * rows),
        ),
        CubeDim::new_1d(UNITS as u32),
        x.clone().into_array_arg(),
        weight.into_array_arg(),
        bias.into_array_arg(),
        y.clone().into_array_arg(),
        shape[0] as u32,
        shape[1] as u32,
        shape[2] as u32,
        shape[3] as u32,
        conv.out_channels as u32,
        out_height as u32,
        out_width as u32,
        conv.num_frames as u32,
        window,
        x.dtype.into(),
    );
    y
}

#[cube(launch)]
fn convolution<F: Float>(
    x: &Array<F>,
    weight: &Array<F>,
    bias: &Array<F>,
    y: &mut Array<F>,
    pictures: u32,
    in_channels: u32,
    height: u32,
    width: u32,
    out_channels: u32,
    out_height: u32,
    out_width: u32,
    num_frames: u32,
    #[comptime] window: Window,
    #[define(F)] _dtype: StorageType,
) {
    let frames = comptime!(window.kernel[0] as u32);
    let kernel_height = comptime!(window.kernel[1] as u32);
    let kernel_width = comptime!(window.kernel[2] as u32);
    let down = comptime!(window.stride[0] as u32);
    let right = comptime!(window.stride[1] as u32);
    let above = comptime!(window.padding[0] as i32);
    let before = comptime!(window.padding[1] as i32);
    let rows = comptime!(window.rows);
    let tile_rows = comptime!(8 * window.rows);
    // Beside each other in shared memory, rows of neighbouring steps would lie in the same bank.
    let step = comptime!(8 * window.rows + 1);
    let window_size = comptime!(kernel_height * kernel_width);
    let taps = comptime!(frames * window_size);

    let unit = UNIT_POS;
    let pixels_in = height * width;
    let pixels_out = out_height * out_width;
    let columns = pictures * pixels_out;
    let first_column = CUBE_POS_X * comptime!(COLUMNS as u32);
    let first_row = CUBE_POS_Y * comptime!(tile_rows as u32);
    let depth = in_channels * taps;

    let mut weights = SharedMemory::<f32>::new(comptime!(DEPTH * step));
    let mut seen = SharedMemory::<Four>::new(comptime!(DEPTH * COLUMNS / 4));

    // The four pixels of the output that this unit reads for: where their windows begin.
    let four = unit % comptime!(COLUMNS as u32 / 4);
    let read_step = unit / comptime!(COLUMNS as u32 / 4);
    let mut clip_start = Array::<u32>::new(4usize);
    let mut frame = Array::<i32>::new(4usize);
    let mut top = Array::<i32>::new(4usize);
    let mut left = Array::<i32>::new(4usize);
    #[unroll]
    for j in 0..4usize {
        let column = first_column + four * 4 + j as u32;
        let picture = column / pixels_out;
        let pixel = column % pixels_out;
        clip_start[j] = picture * in_channels * pixels_in;
        frame[j] = (picture % num_frames) as i32 - comptime!(frames as i32 / 2);
        // What is beyond the last picture sees nothing.
        let none = select(column < columns, 0i32, -1000000i32);
        top[j] = (pixel / out_width * down) as i32 - above + none;
        left[j] = (pixel % out_width * right) as i32 - before;
    }

    let mut sums = Array::<Four>::new(comptime!(2 * rows));
    #[unroll]
    for i in 0..2 * rows {
        sums[i] = Four::new(0.0);
    }
    let across = unit % comptime!(ACROSS as u32);
    let row = unit / comptime!(ACROSS as u32) * comptime!(rows as u32);

    let mut start = 0u32;
    while start < depth {
        #[unroll]
        for i in 0..rows {
            let k = start + unit % comptime!(DEPTH as u32);
            let local = unit / comptime!(DEPTH as u32) + comptime!((i * UNITS / DEPTH) as u32);
            let r = first_row + local;
            let mut value = 0.0f32;
            if r < out_channels && k < depth {
                value = f32::cast_from(weight[(r * depth + k) as usize]);
            }
            weights[(unit % comptime!(DEPTH as u32) * comptime!(step as u32) + local) as usize] =
                value;
        }
        #[unroll]
        for i in 0..comptime!(DEPTH * COLUMNS / 4 / UNITS) {
            let local = read_step + comptime!((i * UNITS * 4 / COLUMNS) as u32);
            let k = start + local;
            let channel = k / taps;
            let tap = k % taps;
            let tap_frame = tap / window_size;
            let in_window = tap % window_size;
            let tap_row = (in_window / kernel_width) as i32;
            let tap_column = (in_window % kernel_width) as i32;
            let mut values = Four::new(0.0);
            #[unroll]
            for j in 0..4usize {
                let at_row = top[j] + tap_row;
                let at_column = left[j] + tap_column;
                let mut inside = k < depth
                    && at_row >= 0
                    && at_row < height as i32
                    && at_column >= 0
                    && at_column < width as i32;
                let mut at = clip_start[j] + channel * pixels_in;
                if comptime!(frames > 1) {
                    let at_frame = frame[j] + tap_frame as i32;
                    inside = inside && at_frame >= 0 && at_frame < num_frames as i32;
                    at = at + tap_frame * in_channels * pixels_in
                        - comptime!(frames / 2) * in_channels * pixels_in;
                }
                if inside {
                    at += (at_row * width as i32 + at_column) as u32;
                    values[j] = f32::cast_from(x[at as usize]);
                }
            }
            seen[(local * comptime!(COLUMNS as u32 / 4) + four) as usize] = values;
        }
        sync_cube();

        for k in 0..comptime!(DEPTH as u32) {
            let near = seen[(k * comptime!(COLUMNS as u32 / 4) + across) as usize];
            let far = seen
                [(k * comptime!(COLUMNS as u32 / 4) + across + comptime!(ACROSS as u32)) as usize];
            #[unroll]
            for i in 0..rows {
                let w = Four::new(weights[(k * comptime!(step as u32) + row) as usize + i]);
                sums[2 * i] = fma(w, near, sums[2 * i]);
                sums[2 * i + 1] = fma(w, far, sums[2 * i + 1]);
            }
        }
        sync_cube();
        start += comptime!(DEPTH as u32);
    }

    #[unroll]
    for half in 0..2usize {
        #[unroll]
        for j in 0..4usize {
            let column = first_column + comptime!((half * COLUMNS / 2 + j) as u32) + across * 4;
            if column < columns {
                let picture = column / pixels_out;
                let pixel = column % pixels_out;
                #[unroll]
                for i in 0..rows {
                    let r = first_row + row + i as u32;
                    if r < out_channels {
                        let mut sum = sums[2 * i + half][j];
                        if comptime!(window.bias) {
                            sum += f32::cast_from(bias[r as usize]);
                        }
                        y[((picture * out_channels + r) * pixels_out + pixel) as usize] =
                            F::cast_from(sum);
                    }
                }
            }
        }
    }
}
