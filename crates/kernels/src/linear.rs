//! Linear layers.

use crate::matmul::{Matrix, all_threads, matmul};
use crate::parallel::{for_each_chunk, threads};
use crate::wide::wide;
use gemm::Parallelism;

/// Rows that are worth a thread's while.
const ROWS: usize = 64;

/// `x weight + bias`
///
/// # Shapes
/// - `x`: `[rows, inputs]`
/// - `weight`: `[inputs, outputs]`, as Burn keeps it
/// - `bias`: `[outputs]`
/// - output: `[rows, outputs]`
pub fn linear(x: &[f32], weight: &[f32], bias: Option<&[f32]>, inputs: usize) -> Vec<f32> {
    assert!(inputs > 0 && x.len().is_multiple_of(inputs) && weight.len().is_multiple_of(inputs));
    let (rows, outputs) = (x.len() / inputs, weight.len() / inputs);
    assert!(bias.is_none_or(|bias| bias.len() == outputs));
    let mut out = vec![0.0; rows * outputs];
    if out.is_empty() {
        return out;
    }
    let weight = Matrix::dense(weight, inputs, outputs);
    let add = |out: &mut [f32]| {
        let Some(bias) = bias else { return };
        wide(
            #[inline(always)]
            || {
                for out in out.chunks_exact_mut(outputs) {
                    for (out, bias) in out.iter_mut().zip(bias) {
                        *out += bias;
                    }
                }
            },
        );
    };
    if rows < 2 * ROWS {
        // Too few rows to share out: the product itself cuts columns.
        let x = Matrix::dense(x, rows, inputs);
        matmul(&mut out, outputs, x, weight, all_threads());
        add(&mut out);
        return out;
    }
    // Some pieces for each thread, so that none waits long for the last.
    let at_once = rows.div_ceil(4 * threads()).clamp(ROWS, 4 * ROWS);
    for_each_chunk(&mut out, at_once * outputs, |i, out| {
        let rows = out.len() / outputs;
        let x = Matrix::dense(&x[i * at_once * inputs..], rows, inputs);
        matmul(out, outputs, x, weight, Parallelism::None);
        add(out);
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convolution::tests::{agree, noise};

    #[test]
    fn any_number_of_rows() {
        let (inputs, outputs) = (37, 11);
        let weight = noise(inputs * outputs, 1);
        let bias = noise(outputs, 2);
        for rows in [0, 1, 127, 128, 1000] {
            let x = noise(rows * inputs, 3);
            let mut want = Vec::new();
            for row in 0..rows {
                for o in 0..outputs {
                    let products = (0..inputs).map(|i| {
                        f64::from(x[row * inputs + i]) * f64::from(weight[i * outputs + o])
                    });
                    want.push(products.sum::<f64>() + f64::from(bias[o]));
                }
            }
            agree(
                &linear(&x, &weight, Some(&bias), inputs),
                &want,
                1e-5,
                &format!("{rows} rows"),
            );
        }
    }
}
