//! A mask from an outline that somebody has drawn.

use super::Mask;

/// Lines of a pixel's height along which is measured how much of it lies inside.
const LINES: u32 = 4;

impl Mask {
    /// What a closed line through `outline` (fractions of the picture; at least three places) goes round, `width` x `height`
    /// pixels. Where it crosses itself, what it goes round twice is outside. What lies beyond the picture is cut off.
    pub fn within(outline: &[[f32; 2]], width: u32, height: u32) -> Self {
        let mut mask = Self::empty(width, height);
        let sound = outline.iter().flatten().all(|v| v.is_finite());
        if outline.len() < 3 || !sound {
            return mask;
        }
        let next = outline.iter().cycle().skip(1);
        let edges: Vec<_> = outline.iter().zip(next).collect();
        for row in 0..height {
            let mut covered = vec![0.0_f32; width as usize];
            for line in 0..LINES {
                let y = (row as f32 + (line as f32 + 0.5) / LINES as f32) / height as f32;
                // Each edge has its upper end and not its lower one, so that a corner is crossed once.
                let crossed = edges.iter().filter(|(a, b)| (a[1] <= y) != (b[1] <= y));
                let mut crossings: Vec<f32> = crossed
                    .map(|(a, b)| a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
                    .map(|x| (x * width as f32).clamp(0.0, width as f32))
                    .collect();
                crossings.sort_by(f32::total_cmp);
                for pair in crossings.chunks_exact(2) {
                    cover(&mut covered, pair[0], pair[1]);
                }
            }
            let start = row as usize * width as usize;
            for (pixel, share) in mask.alpha[start..].iter_mut().zip(covered) {
                *pixel = (255.0 * share / LINES as f32).round() as u8;
            }
        }
        mask
    }

    /// Takes away everything that `other` has inside (`other` may be of another size).
    pub fn subtract(&mut self, other: &Mask) {
        let other = other.resized(self.width, self.height);
        for (a, b) in self.alpha.iter_mut().zip(other.alpha) {
            *a = (*a).min(255 - b);
        }
    }
}

/// Adds to each pixel of a row how much of it lies between two places.
fn cover(row: &mut [f32], from: f32, to: f32) {
    let last = (to.ceil() as usize).min(row.len());
    for (at, share) in row.iter_mut().enumerate().take(last).skip(from as usize) {
        let at = at as f32;
        *share += (to.min(at + 1.0) - from.max(at)).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_within_the_outline_is_inside() {
        let diamond = [[0.5, 0.0], [1.0, 0.5], [0.5, 1.0], [0.0, 0.5]];
        let mask = Mask::within(&diamond, 40, 20);
        assert!((mask.coverage() - 0.5).abs() < 0.03, "{}", mask.coverage());
        assert!(mask.contains(0.5, 0.1) && mask.contains(0.1, 0.5) && !mask.contains(0.1, 0.1));
        // Edges are soft: half of a pixel is half inside.
        let half = Mask::within(&[[0.0, 0.0], [0.25, 0.0], [0.25, 1.0], [0.0, 1.0]], 2, 1);
        assert_eq!(half.alpha, [128, 0]);
        let eight = [[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]];
        let mask = Mask::within(&eight, 20, 20);
        assert!(mask.contains(0.1, 0.5) && mask.contains(0.9, 0.5) && !mask.contains(0.5, 0.1));
    }

    #[test]
    fn beyond_the_picture_it_is_cut_off_and_nonsense_is_empty() {
        let large = [[-5.0, -5.0], [5.0, -5.0], [5.0, 5.0], [-5.0, 5.0]];
        assert_eq!(Mask::within(&large, 8, 4).area(), 32);
        for outline in [&large[..2], &[[f32::NAN, 0.0]; 5], &[[0.5, 0.5]; 9]] {
            assert!(Mask::within(outline, 8, 4).is_empty());
        }
        assert!(Mask::within(&large, 0, 0).is_empty());
    }

    #[test]
    fn what_is_taken_away_is_outside() {
        let mut mask = Mask::within(&[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], 8, 8);
        mask.subtract(&Mask::within(
            &[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]],
            4,
            4,
        ));
        assert!(!mask.contains(0.2, 0.5) && mask.contains(0.8, 0.5));
    }
}
