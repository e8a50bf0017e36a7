//! Attention whose weights never leave a core's cache.

use crate::activation::exp;
use crate::matmul::{Matrix, matmul};
use crate::parallel::{for_each, with_scratch};
use crate::wide::wide;
use gemm::Parallelism;

/// Attention weights that a thread has at once.
const WEIGHTS: usize = 1 << 17;
/// Up to so many keys products of matrices are not worth their preparation.
const FEW_KEYS: usize = 32;
/// Numbers that are multiplied side by side.
const LANES: usize = 16;

/// The axes of an attention.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// The first axis: each of its elements by itself.
    pub outer: usize,
    /// What attends.
    pub queries: usize,
    /// What is attended.
    pub keys: usize,
    /// The third axis: each of its elements by itself, too.
    pub inner: usize,
    /// What is summed over, of queries and keys.
    pub dim: usize,
}

/// What is added to the scaled products of queries and keys before the softmax.
#[derive(Clone, Copy, Debug)]
pub enum Bias<'a> {
    /// Nothing.
    None,
    /// The same for every element of the outer axis: `[inner, queries, keys]`.
    Table(&'a [f32]),
    /// The keys are the cells of a grid, row by row: what a query adds for a cell's row, and for its column.
    Grid {
        /// `[outer, queries, inner, height]`
        rows: &'a [f32],
        /// `[outer, queries, inner, width]`
        columns: &'a [f32],
        /// Height and width of the grid.
        size: [usize; 2],
    },
}

impl Bias<'_> {
    /// Adds `factor` times what belongs to a query to the products with its keys.
    #[inline(always)]
    fn add(&self, products: &mut [f32], [o, query, i]: [usize; 3], axes: Attention, factor: f32) {
        let Attention {
            queries,
            keys,
            inner,
            ..
        } = axes;
        match self {
            Bias::None => {}
            Bias::Table(table) => {
                let added = &table[(i * queries + query) * keys..][..keys];
                for (product, added) in products.iter_mut().zip(added) {
                    *product += factor * added;
                }
            }
            Bias::Grid {
                rows,
                columns,
                size: [height, width],
            } => {
                let at = (o * queries + query) * inner + i;
                let rows = &rows[at * height..][..*height];
                let columns = &columns[at * width..][..*width];
                for (products, row) in products.chunks_exact_mut(*width).zip(rows) {
                    for (product, column) in products.iter_mut().zip(columns) {
                        *product += factor * (row + column);
                    }
                }
            }
        }
    }

    fn check(&self, axes: Attention) {
        let each = axes.outer * axes.queries * axes.inner;
        match self {
            Bias::None => {}
            Bias::Table(table) => {
                assert_eq!(table.len(), axes.inner * axes.queries * axes.keys);
            }
            Bias::Grid {
                rows,
                columns,
                size: [height, width],
            } => {
                assert_eq!(height * width, axes.keys);
                assert!(rows.len() == each * height && columns.len() == each * width);
            }
        }
    }
}

/// `softmax(q kᵀ / sqrt(dim) + bias) v` along the second axis.
///
/// # Shapes
/// - `q` and output: `[outer, queries, inner, dim]`
/// - `k`, `v`: `[outer, keys, inner, dim]`
pub fn attention(q: &[f32], k: &[f32], v: &[f32], bias: Bias, axes: Attention) -> Vec<f32> {
    let Attention {
        outer,
        queries,
        keys,
        inner,
        dim,
    } = axes;
    let width = inner * dim;
    assert!(outer > 0 && queries > 0 && keys > 0 && width > 0);
    assert_eq!(q.len(), outer * queries * width);
    assert!(k.len() == outer * keys * width && v.len() == k.len());
    bias.check(axes);
    let mut out = vec![0.0; q.len()];
    let scale = 1.0 / (dim as f32).sqrt();
    if keys <= FEW_KEYS {
        few_keys(&mut out, q, k, v, bias, axes);
        return out;
    }
    let at_once = (WEIGHTS / keys).clamp(16, 128).min(queries);
    let pieces = out
        .chunks_mut(queries * width)
        .enumerate()
        .flat_map(|(o, out)| {
            let pieces = out.chunks_mut(at_once * width).enumerate();
            pieces.map(move |(i, out)| (o, i * at_once, out))
        })
        .collect();
    for_each(pieces, |_, (o, first, out)| {
        let rows = out.len() / width;
        let (k, v) = (&k[o * keys * width..], &v[o * keys * width..]);
        with_scratch(rows * keys, |weights| {
            for i in 0..inner {
                let q = Matrix {
                    values: &q[(o * queries + first) * width + i * dim..],
                    rows,
                    columns: dim,
                    strides: [width, 1],
                };
                let transposed = Matrix {
                    values: &k[i * dim..],
                    rows: dim,
                    columns: keys,
                    strides: [1, width],
                };
                matmul(weights, keys, q, transposed, Parallelism::None);
                wide(
                    #[inline(always)]
                    || {
                        for (row, weights) in weights.chunks_exact_mut(keys).enumerate() {
                            bias.add(weights, [o, first + row, i], axes, 1.0 / scale);
                            softmax(weights, scale);
                        }
                    },
                );
                let v = Matrix {
                    values: &v[i * dim..],
                    rows: keys,
                    columns: dim,
                    strides: [width, 1],
                };
                let weights = Matrix::dense(weights, rows, keys);
                matmul(&mut out[i * dim..], width, weights, v, Parallelism::None);
            }
        });
    });
    out
}

/// Element by element of the inner axis, which here is long (the pixels of a frame).
fn few_keys(out: &mut [f32], q: &[f32], k: &[f32], v: &[f32], bias: Bias, axes: Attention) {
    let Attention {
        queries,
        keys,
        inner,
        dim,
        ..
    } = axes;
    let width = inner * dim;
    let scale = 1.0 / (dim as f32).sqrt();
    let at_once = (4096 / dim).clamp(1, inner);
    // What a piece of the inner axis has in each query.
    let mut pieces = Vec::new();
    for (o, out) in out.chunks_mut(queries * width).enumerate() {
        let mut of_queries: Vec<_> = out
            .chunks_mut(width)
            .map(|out| out.chunks_mut(at_once * dim))
            .collect();
        for first in (0..inner).step_by(at_once) {
            let out: Vec<&mut [f32]> = of_queries.iter_mut().filter_map(Iterator::next).collect();
            pieces.push((o, first, out));
        }
    }
    for_each(
        pieces,
        |_, (o, first, mut out): (usize, usize, Vec<&mut [f32]>)| {
            wide(
                #[inline(always)]
                || {
                    let mut weights = [0f32; FEW_KEYS];
                    let weights = &mut weights[..keys];
                    for (query, out) in out.iter_mut().enumerate() {
                        for (i, out) in out.chunks_exact_mut(dim).enumerate() {
                            let place = |row: usize| row * width + (first + i) * dim;
                            let q = &q[place(o * queries + query)..][..dim];
                            for (key, weight) in weights.iter_mut().enumerate() {
                                *weight = dot(q, &k[place(o * keys + key)..][..dim]);
                            }
                            bias.add(weights, [o, query, first + i], axes, 1.0 / scale);
                            softmax(weights, scale);
                            for (key, &weight) in weights.iter().enumerate() {
                                let v = &v[place(o * keys + key)..][..dim];
                                for (out, v) in out.iter_mut().zip(v) {
                                    *out += weight * v;
                                }
                            }
                        }
                    }
                },
            );
        },
    );
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Softmax of `scale` times a row, in place.
#[inline(always)]
fn softmax(row: &mut [f32], scale: f32) {
    let mut greatest = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (greatest, &value) in greatest.iter_mut().zip(chunk) {
            *greatest = if value > *greatest { value } else { *greatest };
        }
    }
    let greatest = greatest
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let mut sums = [0f32; LANES];
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *value = exp((*value - greatest) * scale);
            *sum += *value;
        }
    }
    let mut sum = sums.iter().sum::<f32>();
    for value in rest {
        *value = exp((*value - greatest) * scale);
        sum += *value;
    }
    let factor = 1.0 / sum;
    for value in row {
        *value *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convolution::tests::{agree, noise};

    fn slow(q: &[f32], k: &[f32], v: &[f32], bias: Bias, axes: Attention) -> Vec<f64> {
        let width = axes.inner * axes.dim;
        let mut out = vec![0.0; q.len()];
        for o in 0..axes.outer {
            for i in 0..axes.inner {
                for query in 0..axes.queries {
                    let at = (o * axes.queries + query) * width + i * axes.dim;
                    let place = |key: usize| (o * axes.keys + key) * width + i * axes.dim;
                    let weights: Vec<f64> = (0..axes.keys)
                        .map(|key| {
                            let products = (0..axes.dim)
                                .map(|d| f64::from(q[at + d]) * f64::from(k[place(key) + d]));
                            let added = match bias {
                                Bias::None => 0.0,
                                Bias::Table(t) => t[(i * axes.queries + query) * axes.keys + key],
                                Bias::Grid {
                                    rows,
                                    columns,
                                    size: [h, w],
                                } => {
                                    let at = (o * axes.queries + query) * axes.inner + i;
                                    rows[at * h + key / w] + columns[at * w + key % w]
                                }
                            };
                            (products.sum::<f64>() / (axes.dim as f64).sqrt() + f64::from(added))
                                .exp()
                        })
                        .collect();
                    let sum: f64 = weights.iter().sum();
                    for (key, weight) in weights.iter().enumerate() {
                        for d in 0..axes.dim {
                            out[at + d] += weight / sum * f64::from(v[place(key) + d]);
                        }
                    }
                }
            }
        }
        out
    }

    #[test]
    fn few_keys_and_many() {
        for (queries, keys, inner, dim) in [
            (5, 5, 300, 24),
            (1, 1, 1, 1),
            (7, 3, 2, 40),
            (300, 33, 3, 8),
            (150, 1100, 2, 5),
            (9, 32, 1, 17),
        ] {
            let axes = Attention {
                outer: 2,
                queries,
                keys,
                inner,
                dim,
            };
            // Scores of very different sizes.
            let q: Vec<f32> = noise(2 * queries * inner * dim, 1)
                .iter()
                .map(|x| 9.0 * x)
                .collect();
            let (k, v) = (
                noise(2 * keys * inner * dim, 2),
                noise(2 * keys * inner * dim, 3),
            );
            let table = noise(inner * queries * keys, 4);
            let size = match keys {
                33 => [3, 11],
                _ => [1, keys],
            };
            let cells = 2 * queries * inner;
            let (rows, columns) = (noise(cells * size[0], 5), noise(cells * size[1], 6));
            let grid = Bias::Grid {
                rows: &rows,
                columns: &columns,
                size,
            };
            for bias in [Bias::None, Bias::Table(&table), grid] {
                agree(
                    &attention(&q, &k, &v, bias, axes),
                    &slow(&q, &k, &v, bias, axes),
                    1e-5,
                    &format!("{axes:?}"),
                );
            }
        }
    }

    #[test]
    fn what_is_no_number_is_not_hidden() {
        let axes = Attention {
            outer: 1,
            queries: 1,
            keys: 40,
            inner: 1,
            dim: 1,
        };
        let mut k = vec![1.0; 40];
        k[20] = f32::NAN;
        assert!(attention(&[1.0], &k, &[1.0; 40], Bias::None, axes)[0].is_nan());
        let few = Attention { keys: 2, ..axes };
        assert!(attention(&[1.0], &[f32::NAN, 1.0], &[1.0; 2], Bias::None, few)[0].is_nan());
    }
}
