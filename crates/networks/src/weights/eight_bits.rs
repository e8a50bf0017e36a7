//! Weights in 8 bits: which tensors are kept so, and how their rows are quantised. One rule for files (`convert`) and for
//! networks that are loaded ([`super::WeightType::Int8`]), so that both give the same numbers.

use std::ops::RangeInclusive;

/// The largest magnitude of a quantised element: symmetric, so that zero stays zero.
const LIMIT: f32 = 127.0;
/// Tensors of fewer elements are not worth it.
const MIN_ELEMENTS: usize = 4096;
/// Shorter rows would be mostly scales; longer ones are none that a network has.
const ROW: RangeInclusive<usize> = 32..=1 << 20;

/// Whether a tensor is kept in 8 bits: a matrix or a kernel, by its size and shape, unless it belongs to a layer at the edge of
/// its network. Those read the input (`conv_in`, patches, tokens, places, conditions), say how much noise there is and how fast a
/// video is (`time_embedding`, `add_embedding`) or give the output (`conv_out`): what they get wrong is wrong in all that
/// follows, and together they are about a hundredth of the numbers.
pub(super) fn in_8_bits(name: &str, shape: &[usize]) -> bool {
    let at_the_edge =
        |layer: &str| matches!(layer, "conv_in" | "conv_out") || layer.ends_with("_embedding");
    let elements: usize = shape.iter().product();
    shape.len() >= 2
        && elements >= MIN_ELEMENTS
        && ROW.contains(&(elements / shape[0].max(1)))
        && !name.split('.').any(at_the_edge)
}

/// A tensor in 8 bits: each element is its number times the scale of its row, the first dimension.
pub(super) struct Quantised {
    /// In the tensor's order.
    pub(super) numbers: Vec<i8>,
    /// One for each row.
    pub(super) scales: Vec<f32>,
}

/// A matrix of `columns`, the other way round.
pub(super) fn transposed(numbers: &[i8], columns: usize) -> Vec<i8> {
    /// Both ways of walking through a tile stay in the processor's nearest memory.
    const TILE: usize = 64;
    let rows = numbers.len() / columns.max(1);
    let mut out = vec![0; numbers.len()];
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            for column in left..columns.min(left + TILE) {
                for row in top..rows.min(top + TILE) {
                    out[column * rows + row] = numbers[row * columns + column];
                }
            }
        }
    }
    out
}

/// Takes the elements of a tensor some at a time and quantises it row by row.
pub(super) struct Rows {
    len: usize,
    /// The row that is not complete yet.
    row: Vec<f32>,
    /// The factors of the rows that are.
    pub(super) scales: Vec<f32>,
    squares: f64,
    squared_errors: f64,
}

impl Rows {
    /// For rows of `len` elements.
    pub(super) fn new(len: usize) -> Self {
        Self {
            len,
            row: Vec::with_capacity(len),
            scales: Vec::new(),
            squares: 0.0,
            squared_errors: 0.0,
        }
    }

    /// Takes the next elements; appends those of the rows that are complete to `out`.
    pub(super) fn take(&mut self, mut values: &[f32], out: &mut Vec<i8>) {
        while !values.is_empty() {
            let (now, later) = values.split_at(values.len().min(self.len - self.row.len()));
            self.row.extend_from_slice(now);
            values = later;
            if self.row.len() == self.len {
                self.finish_row(out);
            }
        }
    }

    /// Root mean square of the error divided by that of the elements.
    #[cfg_attr(
        target_family = "wasm",
        allow(
            dead_code,
            reason = "what is converted says it, and the page converts nothing"
        )
    )]
    pub(super) fn relative_error(&self) -> f64 {
        if self.squares == 0.0 {
            return 0.0;
        }
        (self.squared_errors / self.squares).sqrt()
    }

    fn finish_row(&mut self, out: &mut Vec<i8>) {
        let largest = self.row.iter().fold(0f32, |m, v| m.max(v.abs()));
        let scale = largest / LIMIT;
        // Zero also where the division underflows; then the row is as good as zero.
        let inverse = if scale > 0.0 {
            1.0 / f64::from(scale)
        } else {
            0.0
        };
        for &value in &self.row {
            let value = f64::from(value);
            let quantised = (value * inverse).round().clamp(-127.0, 127.0) as i8;
            self.squares += value * value;
            self.squared_errors += (value - f64::from(quantised) * f64::from(scale)).powi(2);
            out.push(quantised);
        }
        self.scales.push(scale);
        self.row.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_in_8_bits() {
        for large in [
            &[64, 64][..],
            &[320, 4, 3, 3],
            &[1, 4096],
            &[4, 64, 3, 1, 1, 6],
        ] {
            assert!(in_8_bits("a.weight", large), "{large:?}");
        }
        // Norms and biases, small ones, rows of a few elements or of very many.
        for other in [
            &[100_000][..],
            &[],
            &[63, 64],
            &[4096, 8],
            &[0, 4096],
            &[1, 1 << 21],
        ] {
            assert!(!in_8_bits("a.weight", other), "{other:?}");
        }
        for (name, kept) in [
            (
                "down_blocks.0.resnets.0.spatial_res_block.conv1.weight",
                true,
            ),
            (
                "down_blocks.0.attentions.0.time_pos_embed.linear_1.weight",
                true,
            ),
            ("conv_in.weight", false),
            ("conv_out.weight", false),
            ("time_embedding.linear_1.weight", false),
            ("add_embedding.linear_2.weight", false),
            ("controlnet_cond_embedding.blocks.1.weight", false),
            ("vision_model.embeddings.patch_embedding.weight", false),
        ] {
            assert_eq!(in_8_bits(name, &[320, 320]), kept, "{name}");
        }
    }

    #[test]
    fn a_matrix_turned_round() {
        assert_eq!(transposed(&[1, 2, 3, 4, 5, 6], 3), [1, 4, 2, 5, 3, 6]);
        let numbers: Vec<i8> = (0..70 * 130).map(|i| (i % 251) as u8 as i8).collect();
        assert_eq!(transposed(&transposed(&numbers, 130), 70), numbers);
        assert!(transposed(&[], 0).is_empty());
    }

    #[test]
    fn rows_come_back_within_half_a_step_however_they_are_cut() {
        let values: Vec<f32> = (0..40)
            .map(|i| ((i * 37 % 23) as f32 - 11.0) * 0.01)
            .collect();
        let mut whole = Vec::new();
        let mut rows = Rows::new(10);
        rows.take(&values, &mut whole);
        for (i, (&v, &q)) in values.iter().zip(&whole).enumerate() {
            let scale = rows.scales[i / 10];
            assert!((v - f32::from(q) * scale).abs() <= scale * 0.5001);
        }
        assert!(rows.relative_error() > 0.0 && rows.relative_error() < 0.01);
        let mut cut = Vec::new();
        let mut again = Rows::new(10);
        for piece in values.chunks(7) {
            again.take(piece, &mut cut);
        }
        assert_eq!((whole, rows.scales), (cut, again.scales));
    }

    #[test]
    fn extremes_stay_finite() {
        let mut out = Vec::new();
        let mut rows = Rows::new(3);
        rows.take(&[0.0, 0.0, 0.0, f32::MAX, f32::MIN, 1.0], &mut out);
        rows.take(&[1e-45, -1e-45, 0.0], &mut out);
        assert!(rows.scales.iter().all(|s| s.is_finite()));
        assert_eq!(out, [0, 0, 0, 127, -127, 0, 0, 0, 0]);
        assert!(rows.relative_error().is_finite());
    }
}
