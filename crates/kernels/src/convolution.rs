//! Convolutions as products of matrices: the pixels that a kernel sees stand in a column each, and columns are made
//! and multiplied a few hundred at a time, so that they never leave the processor's caches.

use crate::matmul::{Matrix, all_threads, matmul};
use crate::parallel::{for_each_chunk, with_scratch};
use crate::shape::{Conv2d, runs};
use crate::winograd;
use std::ops::Range;

/// Elements of one block of columns.
const BLOCK: usize = 1 << 20;

/// Convolves `x`, `[pictures, in_channels, height, width]`, into `[pictures, out_channels, ...]` of [`Conv2d::output`].
pub fn conv2d(x: &[f32], pictures: usize, size: [usize; 2], conv: &Conv2d<'_>) -> Vec<f32> {
    let [height, width] = size;
    let [kernel_height, kernel_width] = conv.kernel;
    let taps = kernel_height * kernel_width;
    assert_eq!(x.len(), pictures * conv.in_channels * height * width);
    assert_eq!(
        conv.weight.len(),
        conv.out_channels * conv.in_channels * taps
    );
    let [out_height, out_width] = conv.output(size).expect("a kernel inside its input");
    if conv.keeps_size() && winograd::pays(pictures, size, conv) {
        return winograd::conv2d(x, pictures, size, conv);
    }
    let fill = |channel: usize, columns: Range<usize>, rows: &mut [f32]| {
        let length = columns.len();
        for (tap, row) in rows.chunks_exact_mut(length).enumerate() {
            let (ky, kx) = (tap / kernel_width, tap % kernel_width);
            for run in runs(&columns, out_width) {
                let (picture, y) = (run.row / out_height, run.row % out_height);
                let to = &mut row[run.place - columns.start..][..run.columns.len()];
                let y = (y * conv.stride[0] + ky).checked_sub(conv.padding[0][0]);
                let Some(y) = y.filter(|&y| y < height) else {
                    to.fill(0.0);
                    continue;
                };
                let line = &x[((picture * conv.in_channels + channel) * height + y) * width..];
                let first = run.columns.start * conv.stride[1] + kx;
                copy_line(
                    to,
                    &line[..width],
                    first,
                    conv.padding[1][0],
                    conv.stride[1],
                );
            }
        }
    };
    by_columns(
        pictures,
        out_height * out_width,
        [conv.in_channels, taps, conv.out_channels],
        conv.weight,
        conv.bias,
        fill,
    )
}

/// `to[i] = line[first + i * stride - padding]`, zero outside.
fn copy_line(to: &mut [f32], line: &[f32], first: usize, padding: usize, stride: usize) {
    if stride == 1 {
        // What lies before the line, in it, and after it.
        let before = padding.saturating_sub(first).min(to.len());
        // A few columns at the end of a line may lie behind it altogether.
        let start = (first + before - padding.min(first + before)).min(line.len());
        let inside = (to.len() - before).min(line.len() - start);
        to[..before].fill(0.0);
        to[before..before + inside].copy_from_slice(&line[start..start + inside]);
        to[before + inside..].fill(0.0);
        return;
    }
    for (i, to) in to.iter_mut().enumerate() {
        let x = (first + i * stride).checked_sub(padding);
        *to = x.and_then(|x| line.get(x)).copied().unwrap_or(0.0);
    }
}

/// Convolves along time: each pixel of a frame with the same pixel of the frames around it, zeros beyond a clip's ends.
///
/// # Shapes
/// - `x`: `[clips * frames, in_channels, pixels]`
/// - `weight`: `[out_channels, in_channels, kernel]`, of an odd kernel
/// - output: `[clips * frames, out_channels, pixels]`
pub fn temporal_conv(
    x: &[f32],
    frames: usize,
    pixels: usize,
    weight: &[f32],
    bias: Option<&[f32]>,
    [in_channels, out_channels, kernel]: [usize; 3],
) -> Vec<f32> {
    assert!(kernel % 2 == 1 && frames > 0 && pixels > 0 && in_channels > 0);
    assert_eq!(weight.len(), out_channels * in_channels * kernel);
    assert!(x.len().is_multiple_of(frames * in_channels * pixels));
    let pictures = x.len() / in_channels / pixels;
    let fill = |channel: usize, columns: Range<usize>, rows: &mut [f32]| {
        let length = columns.len();
        for (tap, row) in rows.chunks_exact_mut(length).enumerate() {
            for run in runs(&columns, pixels) {
                let to = &mut row[run.place - columns.start..][..run.columns.len()];
                let frame = (run.row % frames + tap).checked_sub(kernel / 2);
                match frame.filter(|&frame| frame < frames) {
                    Some(frame) => {
                        let picture = run.row / frames * frames + frame;
                        let plane = &x[(picture * in_channels + channel) * pixels..][..pixels];
                        to.copy_from_slice(&plane[run.columns]);
                    }
                    None => to.fill(0.0),
                }
            }
        }
    };
    by_columns(
        pictures,
        pixels,
        [in_channels, kernel, out_channels],
        weight,
        bias,
        fill,
    )
}

/// `weight` times the columns of `pictures` of `pixels` each, as `[pictures, out_channels, pixels]`.
///
/// `fill` writes a channel's rows (`taps` of them) of some columns, which are counted over all pictures.
fn by_columns(
    pictures: usize,
    pixels: usize,
    [in_channels, taps, out_channels]: [usize; 3],
    weight: &[f32],
    bias: Option<&[f32]>,
    fill: impl Fn(usize, Range<usize>, &mut [f32]) + Sync + Send,
) -> Vec<f32> {
    let depth = in_channels * taps;
    let total = pictures * pixels;
    let mut out = vec![0.0; total * out_channels];
    let block = (BLOCK / depth).clamp(128, 4096).next_multiple_of(64);
    let block = block.min(total.max(1));
    for start in (0..total).step_by(block) {
        let range = start..(start + block).min(total);
        let length = range.len();
        with_scratch((depth + out_channels) * length, |scratch| {
            let (columns, product) = scratch.split_at_mut(depth * length);
            for_each_chunk(columns, taps * length, |channel, rows| {
                fill(channel, range.clone(), rows);
            });
            let a = Matrix::dense(weight, out_channels, depth);
            let b = Matrix::dense(columns, depth, length);
            matmul(product, length, a, b, all_threads());
            let (first, last) = (range.start / pixels, (range.end - 1) / pixels);
            let touched =
                &mut out[first * out_channels * pixels..(last + 1) * out_channels * pixels];
            for_each_chunk(touched, pixels, |i, plane| {
                let (picture, channel) = (first + i / out_channels, i % out_channels);
                let from = range.start.max(picture * pixels);
                let to = range.end.min((picture + 1) * pixels);
                let values = &product[channel * length + from - range.start..][..to - from];
                let bias = bias.map_or(0.0, |bias| bias[channel]);
                for (out, value) in plane[from - picture * pixels..].iter_mut().zip(values) {
                    *out = value + bias;
                }
            });
        });
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Numbers without a pattern, between -1 and 1.
    pub(crate) fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..count)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
            })
            .collect()
    }

    /// The definition, in double precision.
    pub(crate) fn slow(x: &[f32], pictures: usize, size: [usize; 2], conv: &Conv2d) -> Vec<f64> {
        let [height, width] = size;
        let [out_height, out_width] = conv.output(size).unwrap();
        let mut out = Vec::new();
        for p in 0..pictures {
            for o in 0..conv.out_channels {
                for (y, x0) in (0..out_height).flat_map(|y| (0..out_width).map(move |x| (y, x))) {
                    let mut sum = conv.bias.map_or(0.0, |bias| f64::from(bias[o]));
                    for i in 0..conv.in_channels {
                        for ky in 0..conv.kernel[0] {
                            for kx in 0..conv.kernel[1] {
                                let y = (y * conv.stride[0] + ky) as isize
                                    - conv.padding[0][0] as isize;
                                let x1 = (x0 * conv.stride[1] + kx) as isize
                                    - conv.padding[1][0] as isize;
                                if y < 0 || x1 < 0 || y >= height as isize || x1 >= width as isize {
                                    continue;
                                }
                                let at = ((p * conv.in_channels + i) * height + y as usize) * width
                                    + x1 as usize;
                                let w = ((o * conv.in_channels + i) * conv.kernel[0] + ky)
                                    * conv.kernel[1]
                                    + kx;
                                sum += f64::from(x[at]) * f64::from(conv.weight[w]);
                            }
                        }
                    }
                    out.push(sum);
                }
            }
        }
        out
    }

    #[test]
    fn a_part_of_a_line_may_lie_before_it_in_it_and_behind_it() {
        let line = [1.0, 2.0, 3.0];
        for (count, first, padding) in (1..6)
            .flat_map(|count| (0..9).map(move |first| (count, first)))
            .flat_map(|(count, first)| (0..4).map(move |padding| (count, first, padding)))
        {
            let mut to = vec![7.0; count];
            copy_line(&mut to, &line, first, padding, 1);
            let want = (0..count).map(|i| {
                let at = (first + i).checked_sub(padding);
                at.and_then(|at| line.get(at)).copied().unwrap_or(0.0)
            });
            assert_eq!(to, want.collect::<Vec<f32>>(), "{first} {padding}");
        }
    }

    pub(crate) fn agree(got: &[f32], want: &[f64], tolerance: f64, what: &str) {
        assert_eq!(got.len(), want.len(), "{what}");
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            assert!(
                (f64::from(*got) - want).abs() < tolerance,
                "{what}, element {i}: {got}, not {want}"
            );
        }
    }

    #[test]
    fn any_kernel_stride_and_padding() {
        let cases = [
            ([1, 1], [1, 1], [[0, 0], [0, 0]]),
            ([3, 3], [1, 1], [[0, 0], [0, 0]]),
            ([3, 3], [2, 2], [[1, 1], [1, 1]]),
            ([3, 3], [2, 2], [[0, 1], [0, 1]]),
            ([5, 2], [1, 3], [[4, 0], [1, 2]]),
            ([4, 4], [4, 4], [[0, 0], [0, 0]]),
            ([1, 7], [1, 1], [[0, 0], [6, 6]]),
        ];
        for (kernel, stride, padding) in cases {
            for (pictures, size) in [(1, [7, 9]), (3, [5, 4]), (2, [21, 40])] {
                let (in_channels, out_channels) = (3, 5);
                let weight = noise(in_channels * out_channels * kernel[0] * kernel[1], 1);
                let bias = noise(out_channels, 2);
                let conv = Conv2d {
                    weight: &weight,
                    bias: Some(&bias),
                    in_channels,
                    out_channels,
                    kernel,
                    stride,
                    padding,
                };
                if conv.output(size).is_none() {
                    continue;
                }
                let x = noise(pictures * in_channels * size[0] * size[1], 3);
                agree(
                    &conv2d(&x, pictures, size, &conv),
                    &slow(&x, pictures, size, &conv),
                    1e-5,
                    &format!("{kernel:?} {stride:?} {padding:?} of {pictures} {size:?}"),
                );
            }
        }
    }

    #[test]
    fn blocks_of_columns_end_anywhere() {
        // A depth of 9000 makes blocks of 128 columns: over ends of rows and pictures.
        let (in_channels, size, pictures) = (1000, [5, 7], 8);
        let weight = noise(in_channels * 9, 1);
        let conv = Conv2d {
            weight: &weight,
            bias: None,
            in_channels,
            out_channels: 1,
            kernel: [3, 3],
            stride: [1, 1],
            padding: [[1, 1], [1, 1]],
        };
        let x = noise(pictures * in_channels * 35, 2);
        agree(
            &conv2d(&x, pictures, size, &conv),
            &slow(&x, pictures, size, &conv),
            // Sums of 9000 products, up to 100.
            1e-3,
            "blocks",
        );
    }

    #[test]
    fn time_is_a_convolution_of_frames() {
        let (clips, frames, pixels, in_channels, out_channels) = (2, 4, 45, 6, 7);
        for kernel in [1, 3, 5, 11] {
            let weight = noise(in_channels * out_channels * kernel, 1);
            let bias = noise(out_channels, 2);
            let x = noise(clips * frames * in_channels * pixels, 3);
            let got = temporal_conv(
                &x,
                frames,
                pixels,
                &weight,
                Some(&bias),
                [in_channels, out_channels, kernel],
            );
            let mut want = Vec::new();
            for (clip, frame) in (0..clips).flat_map(|c| (0..frames).map(move |f| (c, f))) {
                for (o, pixel) in (0..out_channels).flat_map(|o| (0..pixels).map(move |p| (o, p))) {
                    let mut sum = f64::from(bias[o]);
                    for i in 0..in_channels {
                        for tap in 0..kernel {
                            let from = (frame + tap) as isize - (kernel / 2) as isize;
                            if (0..frames as isize).contains(&from) {
                                let picture = clip * frames + from as usize;
                                sum += f64::from(x[(picture * in_channels + i) * pixels + pixel])
                                    * f64::from(weight[(o * in_channels + i) * kernel + tap]);
                            }
                        }
                    }
                    want.push(sum);
                }
            }
            agree(&got, &want, 1e-5, &format!("{kernel} frames"));
        }
    }
}
