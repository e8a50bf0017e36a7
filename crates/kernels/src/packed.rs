//! Weights in 8 bits.

use crate::parallel::for_each_chunk;
use crate::wide::wide;

/// Numbers that are worth a thread's while.
const PIECE: usize = 1 << 16;

/// The numbers of a packed weight, each times the factor of its row.
///
/// `run` neighbours share a factor, and after the last of `scales` comes the first again: the run is a row's length where a row is
/// an output channel (convolutions), and 1 where it is a column (linear layers, `[inputs, outputs]`).
///
/// # Shapes
/// - `words`: `[count / 4]`, rounded up: four signed numbers each, the first in the lowest byte
/// - `scales`: `[rows]`
/// - output: `[count]`, a multiple of `run * rows`
pub fn unpack(words: &[i32], scales: &[f32], run: usize, count: usize) -> Vec<f32> {
    let rows = scales.len();
    assert!(run > 0 && rows > 0 && count.is_multiple_of(run * rows));
    assert!(words.len() == count.div_ceil(4));
    let numbers: &[i8] = bytemuck::cast_slice(words);
    let mut out = vec![0.0; count];
    let unit = if run == 1 { rows } else { run };
    let piece = unit * PIECE.div_ceil(unit);
    for_each_chunk(&mut out, piece, |i, out| {
        let numbers = &numbers[i * piece..][..out.len()];
        wide(
            #[inline(always)]
            || {
                let units = out.chunks_exact_mut(unit).zip(numbers.chunks_exact(unit));
                for (row, (out, numbers)) in (i * piece / unit..).zip(units) {
                    if run == 1 {
                        for ((out, &number), scale) in out.iter_mut().zip(numbers).zip(scales) {
                            *out = f32::from(number) * scale;
                        }
                    } else {
                        let scale = scales[row % rows];
                        for (out, &number) in out.iter_mut().zip(numbers) {
                            *out = f32::from(number) * scale;
                        }
                    }
                }
            },
        );
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_meets_the_factor_of_its_row() {
        // Rows that lie together, rows that are columns, numbers that do not fill the last word, and more than a thread gets.
        for (rows, run, blocks) in [
            (3, 7, 1),
            (5, 1, 3),
            (1, 1, 1),
            (300, 641, 1),
            (300, 1, 641),
        ] {
            let count = rows * run * blocks;
            let numbers: Vec<i8> = (0..count).map(|i| (i * 37 % 255) as u8 as i8).collect();
            let words: Vec<i32> = numbers
                .chunks(4)
                .map(|four| {
                    i32::from_le_bytes(std::array::from_fn(|i| {
                        four.get(i).map_or(99, |&n| n as u8)
                    }))
                })
                .collect();
            let scales: Vec<f32> = (0..rows).map(|row| 0.01 + row as f32).collect();
            let want: Vec<f32> = (0..count)
                .map(|i| f32::from(numbers[i]) * scales[i / run % rows])
                .collect();
            assert_eq!(unpack(&words, &scales, run, count), want, "{rows} {run}");
        }
    }
}
