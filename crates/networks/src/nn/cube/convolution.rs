//! Convolutions of pictures, and along time.
//!
//! A unit computes some channels of some pixels of the output, and has their sums in registers. All units of a cube compute the same
//! channels, whose weights are in shared memory: each is read by all of them at once. What a window sees is used by one unit alone
//! there, and for its neighbours it is in the cache.

use super::Four;
use burn::tensor::Shape;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Units of a cube.
const UNITS: usize = 64;
/// Most pixels of the output that a unit computes.
const MAX_PIXELS: usize = 4;
/// Places of all channels whose weights are in shared memory at once, of 16 channels of the output: 4.5 KiB.
const PLACES: usize = 72;
/// Most places of a window.
const MAX_TAPS: usize = 25;

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Window {
    /// The window's frames, rows and columns.
    kernel: [usize; 3],
    stride: [usize; 2],
    /// Rows and columns of zeros above and to the left of the picture.
    padding: [usize; 2],
    /// Channels of the output that a unit computes, a multiple of four.
    rows: usize,
    /// Pixels of the output that a unit computes, [`UNITS`] apart: so neighbours read, and write, neighbours.
    pixels: usize,
    bias: bool,
}

impl Window {
    fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Channels of the input whose weights are in shared memory at once.
    fn channels(&self) -> usize {
        (PLACES / self.taps()).max(1)
    }
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

/// The convolution of `x`; `None` where the window has too many places, or the output more pixels than can be asked for at once.
///
/// # Shapes
/// - `x`: `[n, in_channels, height, width]`
/// - output: `[n, out_channels, output...]`
pub(in super::super) fn convolve<R: CubeRuntime>(
    x: CubeTensor<R>,
    conv: Convolution<R>,
) -> Option<CubeTensor<R>> {
    let shape = x.meta.shape().clone();
    let [out_height, out_width] = conv.output;
    let columns = shape[0] * out_height * out_width;
    let pixels = columns.div_ceil(UNITS).clamp(1, MAX_PIXELS);
    let cubes = columns.div_ceil(UNITS * pixels);
    if conv.kernel.iter().product::<usize>() > MAX_TAPS || cubes > super::MOST {
        return None;
    }
    let x = into_contiguous(x);
    let weight = into_contiguous(conv.weight);
    let y = super::empty(
        &x,
        Shape::from(vec![shape[0], conv.out_channels, out_height, out_width]),
    );
    let window = Window {
        kernel: conv.kernel,
        stride: conv.stride,
        padding: conv.padding,
        rows: if conv.out_channels > 8 { 16 } else { 4 },
        pixels,
        bias: conv.bias.is_some(),
    };
    let bias = conv.bias.map_or_else(|| weight.clone(), into_contiguous);
    // SAFETY: what is beyond the picture, its channels or the output is neither read nor written.
    #[allow(unsafe_code, reason = "every read is within its tensor")]
    unsafe {
        convolution::launch_unchecked(
            &x.client.clone(),
            super::count(cubes, conv.out_channels.div_ceil(window.rows)),
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
    }
    Some(y)
}

#[cube(launch_unchecked)]
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
    let taps = comptime!(window.taps() as u32);
    let rows = comptime!(window.rows as u32);
    let fours = comptime!(window.rows / 4);
    // Channels whose weights are in shared memory at once.
    let at_once = comptime!(window.channels() as u32);
    let units = comptime!(UNITS as u32);

    let pixels_in = height * width;
    let pixels_out = out_height * out_width;
    let columns = pictures * pixels_out;
    let first_column = CUBE_POS_X * comptime!((UNITS * window.pixels) as u32) + UNIT_POS;
    let first_row = CUBE_POS_Y * rows;
    let depth = in_channels * taps;
    // From a frame to the next one.
    let picture_size = in_channels * pixels_in;

    let mut weights = SharedMemory::<Four>::new(comptime!(
        window.channels() * window.taps() * window.rows / 4
    ));

    // Of each of this unit's pixels: where its window begins, and which of the window's places are in the picture, a bit each.
    let mut start = Array::<u32>::new(comptime!(window.pixels));
    let mut inside = Array::<u32>::new(comptime!(window.pixels));
    #[unroll]
    for j in 0..comptime!(window.pixels) {
        let column = first_column + comptime!((j * UNITS) as u32);
        let picture = column / pixels_out;
        let pixel = column % pixels_out;
        let top = (pixel / out_width * comptime!(window.stride[0] as u32)) as i32
            - comptime!(window.padding[0] as i32);
        let left = (pixel % out_width * comptime!(window.stride[1] as u32)) as i32
            - comptime!(window.padding[1] as i32);
        let frame = (picture % num_frames) as i32 - comptime!(window.kernel[0] as i32 / 2);
        let corner = top * width as i32 + left
            - comptime!(window.kernel[0] as i32 / 2) * picture_size as i32;
        start[j] = picture * picture_size + corner as u32;
        let mut bits = 0u32;
        for t in 0..frames {
            for i in 0..kernel_height {
                for k in 0..kernel_width {
                    let at_frame = frame + t as i32;
                    let at_row = top + i as i32;
                    let at_column = left + k as i32;
                    let is_inside = column < columns
                        && at_frame >= 0
                        && at_frame < num_frames as i32
                        && at_row >= 0
                        && at_row < height as i32
                        && at_column >= 0
                        && at_column < width as i32;
                    let tap = (t * kernel_height + i) * kernel_width + k;
                    bits |= select(is_inside, 1u32 << tap, 0u32);
                }
            }
        }
        inside[j] = bits;
    }

    let mut sums = Array::<Four>::new(comptime!(window.pixels * window.rows / 4));
    #[unroll]
    for i in 0..comptime!(window.pixels * window.rows / 4) {
        sums[i] = Four::new(0.0);
    }

    let mut channel = 0u32;
    while channel < in_channels {
        let first = channel * taps;
        let mut at = UNIT_POS;
        while at < comptime!((window.channels() * window.taps() * window.rows / 4) as u32) {
            // Neighbouring units read neighbouring weights.
            let k = at % comptime!(at_once * taps);
            let four = at / comptime!(at_once * taps);
            let mut values = Four::new(0.0);
            #[unroll]
            for j in 0..4usize {
                let row = first_row + four * 4 + j as u32;
                if row < out_channels && first + k < depth {
                    values[j] = f32::cast_from(weight[(row * depth + first + k) as usize]);
                }
            }
            weights[(k * comptime!(window.rows as u32 / 4) + four) as usize] = values;
            at += units;
        }
        sync_cube();

        let end = min(in_channels - channel, at_once);
        for c in 0..end {
            let plane = (channel + c) * pixels_in;
            // Not unrolled: the driver compiles this while somebody waits, and the products of a place outweigh its index.
            for t in 0..frames {
                for i in 0..kernel_height {
                    for k in 0..kernel_width {
                        let tap = (t * kernel_height + i) * kernel_width + k;
                        let from = plane + t * picture_size + i * width + k;
                        let weight = (c * taps + tap) * comptime!(window.rows as u32 / 4);
                        let mut seen = Array::<Four>::new(comptime!(window.pixels));
                        #[unroll]
                        for j in 0..comptime!(window.pixels) {
                            let is_inside = ((inside[j] >> tap) & 1u32) != 0;
                            let at = select(is_inside, start[j] + from, 0u32);
                            let value = f32::cast_from(x[at as usize]);
                            seen[j] = Four::new(select(is_inside, value, 0.0f32));
                        }
                        #[unroll]
                        for r in 0..fours {
                            let w = weights[weight as usize + r];
                            #[unroll]
                            for j in 0..comptime!(window.pixels) {
                                let sum = comptime!(j * window.rows / 4) + r;
                                sums[sum] = fma(w, seen[j], sums[sum]);
                            }
                        }
                    }
                }
            }
        }
        sync_cube();
        channel += at_once;
    }

    #[unroll]
    for j in 0..comptime!(window.pixels) {
        let column = first_column + comptime!((j * UNITS) as u32);
        if column < columns {
            let picture = column / pixels_out;
            let pixel = column % pixels_out;
            #[unroll]
            for i in 0..comptime!(window.rows) {
                let row = first_row + i as u32;
                if row < out_channels {
                    let mut sum = sums[comptime!((j * window.rows + i) / 4)][comptime!(i % 4)];
                    if comptime!(window.bias) {
                        sum += f32::cast_from(bias[row as usize]);
                    }
                    y[((picture * out_channels + row) * pixels_out + pixel) as usize] =
                        F::cast_from(sum);
                }
            }
        }
    }
}
