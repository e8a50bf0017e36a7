//! Pictures moved by parts of a pixel, and seen from nearer: Catmull-Rom's cubic, which keeps them sharp, along one axis at a time.

use dragentity_core::scene::ground::Ground;
use dragentity_core::scene::view::Seen;

/// A motion along one axis: whole pixels, and the weights of the four pixels around the rest.
pub struct Taps {
    /// Whole pixels.
    pub shift: i64,
    weights: [f32; 4],
}

impl Taps {
    /// Of a motion by `offset` pixels. One that is not a number, or further than any picture is wide, is none.
    pub fn new(offset: f32) -> Self {
        let offset = if offset.is_finite() && offset.abs() < 1e6 {
            offset
        } else {
            0.0
        };
        // Offsets that are whole but for rounding are whole: those pixels are copied.
        let whole = offset.round();
        let (shift, t) = if (offset - whole).abs() < 1e-3 {
            (whole, 0.0)
        } else {
            // What is seen at x comes from x - offset, between the pixels floor and floor + 1.
            (offset.ceil(), offset.ceil() - offset)
        };
        Self {
            shift: shift as i64,
            weights: cubic(t),
        }
    }

    /// How many pixels around the shifted ones taps reach.
    pub fn margin(&self) -> i64 {
        if self.weights[1] == 1.0 { 0 } else { 2 }
    }

    /// Which pixel, counted from the shifted one, weighs how much; those that weigh nothing left out.
    pub fn weights(&self) -> impl Iterator<Item = (i64, f32)> {
        (-1..3)
            .zip(self.weights)
            .filter(|(_, weight)| *weight != 0.0)
    }
}

/// How much the four pixels around a place weigh that lies `t` of the way from the second to the third.
fn cubic(t: f32) -> [f32; 4] {
    [
        ((2.0 - t) * t - 1.0) * t * 0.5,
        ((3.0 * t - 5.0) * t * t + 2.0) * 0.5,
        ((4.0 - 3.0 * t) * t + 1.0) * t * 0.5,
        (t - 1.0) * t * t * 0.5,
    ]
}

/// The four pixels around a place along a side, and how much each weighs; the pixels mirrored at the borders.
fn around(at: f32, side: usize) -> ([usize; 4], [f32; 4]) {
    let first = at.floor();
    let pixels = [-1, 0, 1, 2].map(|tap| mirrored(first as i64 + tap, side));
    (pixels, cubic(at - first))
}

/// An RGB picture as the camera sees it, mirrored at its borders.
pub fn seen(rgb: &[u8], width: usize, height: usize, view: &Seen) -> Vec<u8> {
    let size = [width as f32, height as f32];
    let aspect = size[0] / size[1].max(1.0);
    // Where the middle of a pixel comes from, in pixels' middles.
    let source = |x: usize, y: usize| {
        let place = [(x as f32 + 0.5) / size[0], (y as f32 + 0.5) / size[1]];
        let from = view.undo(place, aspect);
        [0, 1].map(|axis| from[axis] * size[axis] - 0.5)
    };
    let mut out = vec![0; rgb.len()];
    let rows = out.chunks_exact_mut(width * 3).enumerate();
    let round = |value: f32| value.round().clamp(0.0, 255.0) as u8;
    if view.angle.abs() < 1e-5 {
        // Along one axis at a time.
        let columns: Vec<_> = (0..width).map(|x| around(source(x, 0)[0], width)).collect();
        let mut line = vec![0.0_f32; width * 3];
        for (y, out) in rows {
            let (lines, weights) = around(source(0, y)[1], height);
            blend(&mut line, rgb, lines.into_iter().zip(weights));
            for (out, (pixels, weights)) in out.chunks_exact_mut(3).zip(&columns) {
                for (c, out) in out.iter_mut().enumerate() {
                    let taps = pixels.iter().zip(weights);
                    *out = round(taps.map(|(x, weight)| weight * line[x * 3 + c]).sum());
                }
            }
        }
        return out;
    }
    for (y, out) in rows {
        for (x, out) in out.chunks_exact_mut(3).enumerate() {
            let [from_x, from_y] = source(x, y);
            let (columns, across) = around(from_x, width);
            let (lines, down) = around(from_y, height);
            let mut pixel = [0.0_f32; 3];
            for (row, down) in lines.into_iter().zip(down) {
                for (column, across) in columns.into_iter().zip(across) {
                    let at = (row * width + column) * 3;
                    for (sum, &value) in pixel.iter_mut().zip(&rgb[at..at + 3]) {
                        *sum += down * across * f32::from(value);
                    }
                }
            }
            for (out, value) in out.iter_mut().zip(pixel) {
                *out = round(value);
            }
        }
    }
    out
}

/// An RGB picture moved by `offset` pixels, mirrored at its borders.
pub fn moved(rgb: &[u8], width: usize, height: usize, offset: [f32; 2]) -> Vec<u8> {
    let (across, down) = (Taps::new(offset[0]), Taps::new(offset[1]));
    let mut out = vec![0; rgb.len()];
    let mut line = vec![0.0_f32; width * 3];
    for (y, out) in out.chunks_exact_mut(width * 3).enumerate() {
        let row = |tap: i64| mirrored(y as i64 - down.shift + tap, height);
        let rows = down.weights().map(|(tap, weight)| (row(tap), weight));
        blend(&mut line, rgb, rows);
        shifted(&line, width, &across, out);
    }
    out
}

/// An RGB picture as a camera shows it that has gone by `offset` pixels round something on the ground, mirrored at its borders.
pub fn passed(
    rgb: &[u8],
    width: usize,
    height: usize,
    offset: [f32; 2],
    ground: Ground,
) -> Vec<u8> {
    let mut out = vec![0; rgb.len()];
    let mut line = vec![0.0_f32; width * 3];
    let up = offset[1] / height.max(1) as f32;
    for (y, out) in out.chunks_exact_mut(width * 3).enumerate() {
        let row = ground.undo((y as f32 + 0.5) / height as f32, up);
        // Rows that are whole but for rounding are copied.
        let from = row * height as f32 - 0.5;
        let whole = from.round();
        let from = if (from - whole).abs() < 1e-3 {
            whole
        } else {
            from
        };
        let (lines, weights) = around(from, height);
        blend(&mut line, rgb, lines.into_iter().zip(weights));
        shifted(&line, width, &Taps::new(offset[0] * ground.share(row)), out);
    }
    out
}

/// The weighed sum of rows of a picture, as a line.
fn blend(line: &mut [f32], rgb: &[u8], rows: impl Iterator<Item = (usize, f32)>) {
    line.fill(0.0);
    for (row, weight) in rows {
        let values = &rgb[row * line.len()..];
        for (sum, &value) in line.iter_mut().zip(values) {
            *sum += weight * f32::from(value);
        }
    }
}

/// A line of `width` pixels moved along itself, mirrored at its ends.
fn shifted(line: &[f32], width: usize, across: &Taps, out: &mut [u8]) {
    for (x, out) in out.chunks_exact_mut(3).enumerate() {
        let mut pixel = [0.0_f32; 3];
        for (tap, weight) in across.weights() {
            let column = mirrored(x as i64 - across.shift + tap, width);
            for (sum, value) in pixel.iter_mut().zip(&line[column * 3..]) {
                *sum += weight * value;
            }
        }
        for (out, value) in out.iter_mut().zip(pixel) {
            *out = value.round().clamp(0.0, 255.0) as u8;
        }
    }
}

/// A place of an endless row of mirror images, as a place in the first.
fn mirrored(at: i64, side: usize) -> usize {
    let side = side as i64;
    let at = at.rem_euclid(2 * side);
    at.min(2 * side - 1 - at) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pixels_are_copied_and_parts_are_between() {
        for offset in [-3.0, 0.0, 0.0005, 7.0] {
            let taps = Taps::new(offset);
            assert_eq!(taps.weights().collect::<Vec<_>>(), [(0, 1.0)], "{offset}");
            assert!((taps.shift as f32 - offset).abs() < 1e-3);
        }
        for offset in [-2.7, -0.25, 0.5, 3.1] {
            let taps = Taps::new(offset);
            let total: f32 = taps.weights().map(|(_, weight)| weight).sum();
            // Where the taps look on average: a straight line stays one.
            let place: f32 = taps
                .weights()
                .map(|(tap, weight)| (tap - taps.shift) as f32 * weight)
                .sum();
            assert!(
                (total - 1.0).abs() < 1e-5 && (place + offset).abs() < 1e-4,
                "{offset}"
            );
        }
        for broken in [f32::NAN, f32::INFINITY, 1e30] {
            assert_eq!(Taps::new(broken).shift, 0);
        }
    }

    #[test]
    fn a_camera_sees_the_same_whether_it_turns_by_nothing_or_by_hardly_anything() {
        let (width, height) = (40_usize, 30_usize);
        let wave = |i: usize| (128.0 + 90.0 * (i as f32 * 0.37).sin()) as u8;
        let rgb: Vec<u8> = (0..width * height * 3).map(wave).collect();
        let near = Seen {
            about: [0.3, 0.6],
            angle: 0.0,
            scale: 2.5,
        };
        let turned = Seen {
            angle: 2e-5,
            ..near
        };
        let (a, b) = (
            seen(&rgb, width, height, &near),
            seen(&rgb, width, height, &turned),
        );
        let apart = a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart <= Some(2), "{apart:?}");
        let whole = Seen { scale: 1.0, ..near };
        assert_eq!(seen(&rgb, width, height, &whole), rgb);
    }

    #[test]
    fn a_camera_that_comes_nearer_enlarges_about_its_place() {
        // Columns of 0 and 250, the left half of the picture.
        let column = |x: usize| if x < 4 { [0; 3] } else { [250; 3] };
        let rgb: Vec<u8> = (0..16).flat_map(|i| column(i % 8)).collect();
        let reds = |about: f32, turn: f32| -> Vec<u8> {
            let view = Seen {
                about: [about, 0.5],
                angle: turn,
                scale: 2.0,
            };
            let seen = seen(&rgb, 8, 2, &view);
            seen.chunks_exact(3).take(8).map(|p| p[0]).collect()
        };
        let bright = |reds: &[u8]| reds.iter().filter(|red| **red > 125).count();
        assert_eq!(bright(&reds(0.5, 0.0)), 4);
        assert_eq!(bright(&reds(0.0, 0.0)), 0);
        assert_eq!(bright(&reds(1.0, 0.0)), 8);
        // Upside down.
        let turned = reds(0.5, std::f32::consts::PI);
        assert!(turned[0] > 125 && turned[7] < 125, "{turned:?}");
    }

    #[test]
    fn a_picture_is_moved_and_mirrored() {
        let row = [10, 10, 10, 20, 20, 20, 40, 40, 40];
        let reds = |offset| -> Vec<u8> {
            moved(&row, 3, 1, [offset, 0.0])
                .chunks_exact(3)
                .map(|p| p[0])
                .collect()
        };
        assert_eq!(reds(1.0), [10, 10, 20]);
        assert_eq!(reds(-1.0), [20, 40, 40]);
        assert_eq!(reds(100.0).len(), 3);
        let half = reds(0.5);
        assert!(
            (10..=15).contains(&half[1]) && (28..=31).contains(&half[2]),
            "{half:?}"
        );
    }
}
