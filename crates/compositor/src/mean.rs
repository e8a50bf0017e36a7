//! Means over windows, whatever their size at the same cost.

/// The mean over the square of side `2 * radius + 1` around each pixel, as much of it as there is.
pub fn box_mean<const N: usize>(
    values: &[[f32; N]],
    width: usize,
    height: usize,
    radius: usize,
) -> Vec<[f32; N]> {
    let along = |values: &[[f32; N]], lines: usize, length: usize, line: usize, step: usize| {
        let mut out = vec![[0.0; N]; values.len()];
        for i in 0..lines {
            let first = i * line;
            // In f64 adding and taking away again leaves nothing behind.
            let mut sum = [0.0_f64; N];
            let mut count = 0.0;
            for at in 0..length + radius {
                if at < length {
                    for (sum, value) in sum.iter_mut().zip(values[first + at * step]) {
                        *sum += f64::from(value);
                    }
                    count += 1.0;
                }
                if at > 2 * radius {
                    let gone = values[first + (at - 2 * radius - 1) * step];
                    for (sum, value) in sum.iter_mut().zip(gone) {
                        *sum -= f64::from(value);
                    }
                    count -= 1.0;
                }
                if at >= radius {
                    out[first + (at - radius) * step] = sum.map(|sum| (sum / count) as f32);
                }
            }
        }
        out
    };
    let rows = along(values, height, width, width, 1);
    along(&rows, width, height, 1, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_cut_off_at_the_border() {
        let values: Vec<[f32; 1]> = (0..12).map(|i| [i as f32]).collect();
        let mean = box_mean(&values, 4, 3, 1);
        // Around the corner (0, 1, 4, 5), and around the pixel at 1, 1.
        assert_eq!((mean[0], mean[5]), ([2.5], [5.0]));
        assert_eq!(box_mean(&values, 4, 3, 99)[7], [5.5]);
        assert_eq!(box_mean(&values, 4, 3, 0), values);
    }
}
