//! Rows of numbers in 8 bits.

/// The largest magnitude of a quantised element: symmetric, so that zero stays zero.
const LIMIT: f32 = 127.0;

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
    pub(super) fn take(&mut self, mut values: &[f32], out: &mut Vec<u8>) {
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
    pub(super) fn relative_error(&self) -> f64 {
        if self.squares == 0.0 {
            return 0.0;
        }
        (self.squared_errors / self.squares).sqrt()
    }

    fn finish_row(&mut self, out: &mut Vec<u8>) {
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
            out.push(quantised as u8);
        }
        self.scales.push(scale);
        self.row.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!((v - f32::from(q as i8) * scale).abs() <= scale * 0.5001);
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
        assert_eq!(out, [0, 0, 0, 127, 129, 0, 0, 0, 0]);
        assert!(rows.relative_error().is_finite());
    }
}
