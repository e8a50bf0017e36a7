//! 3x3 convolutions that keep height and width, as 16 products of matrices instead of 9 for a quarter of the pixels:
//! Winograd's F(2x2, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks"). Its coefficients are
//! 0, 1 and 1/2, so that single precision loses little; larger tiles would save more and lose too much.

use crate::matmul::{Matrix, matmul};
use crate::parallel::{for_each, for_each_chunk, for_each_stripe, threads, with_scratch};
use crate::shape::{Conv2d, runs};
use crate::wide::wide;
use gemm::Parallelism;
use std::ops::Range;

/// Numbers of a transformed tile.
const N: usize = 16;
/// Tiles that are transformed side by side.
const SIDE: usize = 64;
/// Input channels whose weights are transformed side by side.
const LANES: usize = 16;
/// Elements between the 16 parts of the transformed input and output: at multiples of 4 KiB from each other they would
/// share a few lines of the first cache.
const APART: usize = 5 * 16;
/// Elements of the transformed input and output of one block: with the weights they stay in the caches.
const BLOCK: usize = 1 << 20;

/// Whether the multiplications that are saved are more than transforming the weights costs: once for each call, whatever
/// the number of pixels.
pub(crate) fn pays(pictures: usize, size: [usize; 2], conv: &Conv2d<'_>) -> bool {
    const TILES: usize = 192;
    let tiles = pictures * size[0].div_ceil(2) * size[1].div_ceil(2);
    tiles >= TILES && conv.in_channels >= LANES && conv.out_channels >= LANES
}

/// Convolves as [`crate::conv2d`] does; for 3x3 kernels with one row and column of zeros around the input.
pub(crate) fn conv2d(x: &[f32], pictures: usize, size: [usize; 2], conv: &Conv2d<'_>) -> Vec<f32> {
    let [height, width] = size;
    let (c_in, c_out) = (conv.in_channels, conv.out_channels);
    let (tiles_down, tiles_across) = (height.div_ceil(2), width.div_ceil(2));
    let total = pictures * tiles_down * tiles_across;
    let pixels = height * width;
    let weight = transform_weights(conv);
    let mut out = vec![0.0; pictures * c_out * pixels];

    // More threads need more work between the points where they wait for each other.
    let block = BLOCK * threads().div_ceil(2) / (N * (c_in + c_out));
    let block = block.next_multiple_of(SIDE).clamp(SIDE, 8192).min(total);
    let splits = splits(c_out);
    for start in (0..total).step_by(block) {
        let range = start..(start + block).min(total);
        let length = range.len();
        let (of_input, of_product) = (c_in * length + APART, c_out * length + APART);
        with_scratch(N * (of_input + of_product), |scratch| {
            let (input, product) = scratch.split_at_mut(N * of_input);
            // [16, in_channels, tiles]
            for_each_stripe::<N>(input, length, c_in, |channel, rows| {
                let plane = |picture| &x[(picture * c_in + channel) * pixels..][..pixels];
                wide(
                    #[inline(always)]
                    || transform_input(plane, size, &range, rows),
                );
            });
            // [16, out_channels, tiles]
            let rows = c_out / splits;
            let blocks = product
                .chunks_exact_mut(of_product)
                .flat_map(|part| part.chunks_exact_mut(rows * length).take(splits))
                .collect();
            for_each(blocks, |i, product| {
                let a = Matrix::dense(&weight[i * rows * c_in..], rows, c_in);
                let b = Matrix::dense(&input[i / splits * of_input..], c_in, length);
                matmul(product, length, a, b, Parallelism::None);
            });
            let of_picture = tiles_down * tiles_across;
            let (first, last) = (range.start / of_picture, (range.end - 1) / of_picture);
            let touched = &mut out[first * c_out * pixels..(last + 1) * c_out * pixels];
            for_each_chunk(touched, pixels, |i, plane| {
                let (picture, channel) = (first + i / c_out, i % c_out);
                let own = picture * of_picture..(picture + 1) * of_picture;
                let own = range.start.max(own.start)..range.end.min(own.end);
                let bias = conv.bias.map_or(0.0, |bias| bias[channel]);
                let rows: [&[f32]; N] = std::array::from_fn(|n| {
                    let from = n * of_product + channel * length + own.start - range.start;
                    &product[from..][..own.len()]
                });
                wide(
                    #[inline(always)]
                    || transform_output(&rows, plane, size, &own, bias),
                );
            });
        });
    }
    out
}

/// Into how many parts to cut the rows of each of the 16 products, so that all threads have work.
fn splits(rows: usize) -> usize {
    let mut splits = 1;
    while N * splits < 2 * threads() && rows.is_multiple_of(2 * splits) && rows / splits > 32 {
        splits *= 2;
    }
    splits
}

/// `G g G^T` of every kernel, as `[16, out_channels, in_channels]`.
fn transform_weights(conv: &Conv2d<'_>) -> Vec<f32> {
    let c_in = conv.in_channels;
    let mut weight = vec![0.0; N * conv.out_channels * c_in];
    for_each_stripe::<N>(&mut weight, c_in, conv.out_channels, |c_out, rows| {
        let kernels = &conv.weight[c_out * c_in * 9..][..c_in * 9];
        wide(
            #[inline(always)]
            || {
                for (block, kernels) in kernels.chunks(9 * LANES).enumerate() {
                    // One kernel a lane.
                    let mut g = [[0f32; LANES]; 9];
                    for (lane, kernel) in kernels.chunks_exact(9).enumerate() {
                        for (g, &value) in g.iter_mut().zip(kernel) {
                            g[lane] = value;
                        }
                    }
                    let mut down = [[0f32; LANES]; 12];
                    for column in 0..3 {
                        let [a, b, c] = [g[column], g[3 + column], g[6 + column]];
                        for lane in 0..LANES {
                            let ends = 0.5 * (a[lane] + c[lane]);
                            let middle = 0.5 * b[lane];
                            down[column][lane] = a[lane];
                            down[3 + column][lane] = ends + middle;
                            down[6 + column][lane] = ends - middle;
                            down[9 + column][lane] = c[lane];
                        }
                    }
                    let count = kernels.len() / 9;
                    for row in 0..4 {
                        let [a, b, c] = [down[3 * row], down[3 * row + 1], down[3 * row + 2]];
                        let mut u = [[0f32; LANES]; 4];
                        for lane in 0..LANES {
                            let ends = 0.5 * (a[lane] + c[lane]);
                            let middle = 0.5 * b[lane];
                            u[0][lane] = a[lane];
                            u[1][lane] = ends + middle;
                            u[2][lane] = ends - middle;
                            u[3][lane] = c[lane];
                        }
                        for (column, u) in u.iter().enumerate() {
                            rows[4 * row + column][block * LANES..][..count]
                                .copy_from_slice(&u[..count]);
                        }
                    }
                }
            },
        );
    });
    weight
}

/// `B^T d B` of some tiles, counted over all pictures, each number into one of the `rows`.
#[inline(always)]
fn transform_input<'a>(
    plane: impl Fn(usize) -> &'a [f32],
    [height, width]: [usize; 2],
    tiles: &Range<usize>,
    rows: &mut [&mut [f32]; N],
) {
    let (tiles_down, tiles_across) = (height.div_ceil(2), width.div_ceil(2));
    // [row, column] of the tiles side by side: from one pixel above and left of a tile's own two by two.
    let mut d = [[[0f32; SIDE]; 4]; 4];
    for start in tiles.clone().step_by(SIDE) {
        let group = start..(start + SIDE).min(tiles.end);
        for run in runs(&group, tiles_across) {
            let plane = plane(run.row / tiles_down);
            let top = 2 * (run.row % tiles_down);
            let own = run.place - group.start..run.place - group.start + run.columns.len();
            for (k, d) in d.iter_mut().enumerate() {
                let d = d.each_mut().map(|d| &mut d[own.clone()]);
                match (top + k).checked_sub(1).filter(|&y| y < height) {
                    Some(y) => columns_of(&plane[y * width..][..width], run.columns.start, d),
                    None => d.into_iter().for_each(|d| d.fill(0.0)),
                }
            }
        }
        let at = start - tiles.start;
        for row in 0..4 {
            let (a, b, sign) = [(0, 2, -1.0), (1, 2, 1.0), (2, 1, -1.0), (1, 3, -1.0)][row];
            let mut sums = [[0f32; SIDE]; 4];
            for (sums, (a, b)) in sums.iter_mut().zip(d[a].iter().zip(&d[b])) {
                for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                    *sum = a + sign * b;
                }
            }
            for column in 0..4 {
                let (a, b, sign) = [(0, 2, -1.0), (1, 2, 1.0), (2, 1, -1.0), (1, 3, -1.0)][column];
                let out = &mut rows[4 * row + column][at..at + group.len()];
                for (out, (a, b)) in out.iter_mut().zip(sums[a].iter().zip(&sums[b])) {
                    *out = a + sign * b;
                }
            }
        }
    }
}

/// The four columns of each tile of a run that begins with the tile `first` of a line; zeros beyond the line's ends.
#[inline(always)]
fn columns_of(line: &[f32], first: usize, [before, left, right, after]: [&mut [f32]; 4]) {
    let (count, start) = (before.len(), 2 * first);
    let inside = &line[start..(start + 2 * count).min(line.len())];
    let (pairs, rest) = inside.as_chunks::<2>();
    for ((left, right), pair) in left.iter_mut().zip(right.iter_mut()).zip(pairs) {
        *left = pair[0];
        *right = pair[1];
    }
    if let [single] = rest {
        left[count - 1] = *single;
        right[count - 1] = 0.0;
    }
    before[0] = match start.checked_sub(1) {
        Some(x) => line[x],
        None => 0.0,
    };
    before[1..].copy_from_slice(&right[..count - 1]);
    after[..count - 1].copy_from_slice(&left[1..]);
    after[count - 1] = line.get(start + 2 * count).copied().unwrap_or(0.0);
}

/// `A^T m A + bias` of some tiles of one picture, into its `plane`.
#[inline(always)]
fn transform_output(
    rows: &[&[f32]; N],
    plane: &mut [f32],
    [height, width]: [usize; 2],
    tiles: &Range<usize>,
    bias: f32,
) {
    let (tiles_down, tiles_across) = (height.div_ceil(2), width.div_ceil(2));
    let mut left = [[0f32; SIDE]; 2];
    let mut right = [[0f32; SIDE]; 2];
    for start in tiles.clone().step_by(SIDE) {
        let group = start..(start + SIDE).min(tiles.end);
        let (at, count) = (start - tiles.start, group.len());
        let m: [&[f32]; N] = std::array::from_fn(|n| &rows[n][at..at + count]);
        for half in 0..2 {
            let (left, right) = (&mut left[half][..count], &mut right[half][..count]);
            left.fill(bias);
            right.fill(bias);
            // What a column of numbers adds on the left and on the right.
            for (column, (to_left, to_right)) in [(1.0, 0.0), (1.0, 1.0), (1.0, -1.0), (0.0, -1.0)]
                .into_iter()
                .enumerate()
            {
                let above = m[[column, 4 + column][half]];
                let (middle, below) = match half {
                    0 => (m[4 + column], m[8 + column]),
                    _ => (m[8 + column], m[12 + column]),
                };
                let sign = if half == 0 { 1.0 } else { -1.0 };
                let sums = above.iter().zip(middle).zip(below);
                for ((left, right), ((a, b), c)) in left.iter_mut().zip(right.iter_mut()).zip(sums)
                {
                    let sum = a + sign * (b + c);
                    *left += to_left * sum;
                    *right += to_right * sum;
                }
            }
        }
        for run in runs(&group, tiles_across) {
            let own = run.place - group.start..run.place - group.start + run.columns.len();
            let top = 2 * (run.row % tiles_down);
            for (y, (left, right)) in (top..height).zip(left.iter().zip(&right)) {
                let (left, right) = (&left[own.clone()], &right[own.clone()]);
                let line = &mut plane[y * width..][..width];
                let end = (2 * run.columns.end).min(width);
                let (pairs, rest) = line[2 * run.columns.start..end].as_chunks_mut::<2>();
                for ((pair, left), right) in pairs.iter_mut().zip(left).zip(right) {
                    *pair = [*left, *right];
                }
                if let [single] = rest {
                    *single = left[left.len() - 1];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convolution::tests::{agree, noise, slow};

    #[test]
    fn any_size_of_pictures() {
        let (in_channels, out_channels) = (19, 22);
        let weight = noise(in_channels * out_channels * 9, 1);
        let bias = noise(out_channels, 2);
        let conv = Conv2d {
            weight: &weight,
            bias: Some(&bias),
            in_channels,
            out_channels,
            kernel: [3, 3],
            stride: [1, 1],
            padding: [[1, 1], [1, 1]],
        };
        // Odd and even sides, one pixel, rows of more tiles than are transformed at once, pictures of few tiles.
        let sizes = [
            (1, [16, 16]),
            (2, [9, 13]),
            (90, [1, 1]),
            (1, [1, 301]),
            (1, [300, 1]),
            (7, [6, 10]),
            (1, [5, 260]),
        ];
        for (pictures, size) in sizes {
            let x = noise(pictures * in_channels * size[0] * size[1], 3);
            agree(
                &conv2d(&x, pictures, size, &conv),
                &slow(&x, pictures, size, &conv),
                1e-5,
                &format!("{pictures} of {size:?}"),
            );
        }
    }

    #[test]
    fn blocks_of_tiles_end_anywhere() {
        // So many channels make blocks of 64 tiles.
        let (in_channels, out_channels, pictures, size) = (1000, 60, 5, [10, 18]);
        let weight = noise(in_channels * out_channels * 9, 1);
        let conv = Conv2d {
            weight: &weight,
            bias: None,
            in_channels,
            out_channels,
            kernel: [3, 3],
            stride: [1, 1],
            padding: [[1, 1], [1, 1]],
        };
        let x = noise(pictures * in_channels * 180, 2);
        agree(
            &conv2d(&x, pictures, size, &conv),
            &slow(&x, pictures, size, &conv),
            // Sums of 9000 products, up to 100.
            1e-3,
            "blocks",
        );
    }
}
