//! Plain geometry of masks: exact coverage, largest inscribed circle, discs and heat maps.
//!
//! No tensors. Lengths are pixels of the mask or grid at hand; a pixel's centre lies at `+0.5`, so
//! the point `[0.0, 0.0]` is the upper left corner of the picture and `[width, height]` the lower
//! right one. A mask whose buffer is shorter than its size says is read as empty there.

use super::Mask;

/// Inside starts here (see [`Mask`]).
const INSIDE: u8 = 128;

/// A circle, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    /// Centre, `[x, y]`.
    pub center: [f32; 2],
    /// Radius.
    pub radius: f32,
}

impl Circle {
    /// The circle with everything multiplied by `factor`: the same circle on a finer or coarser grid.
    pub fn scaled(self, factor: f32) -> Self {
        Self {
            center: [self.center[0] * factor, self.center[1] * factor],
            radius: self.radius * factor,
        }
    }

    /// The circle moved by `offset`.
    pub fn moved(self, offset: [f32; 2]) -> Self {
        Self {
            center: [self.center[0] + offset[0], self.center[1] + offset[1]],
            radius: self.radius,
        }
    }
}

/// Whether pixel `x`, `y` is inside; pixels that do not exist are outside.
fn inside(mask: &Mask, x: usize, y: usize) -> bool {
    x < mask.width as usize
        && y < mask.height as usize
        && mask
            .alpha
            .get(y * mask.width as usize + x)
            .is_some_and(|&a| a >= INSIDE)
}

/// For each of `to` cells laid over `from` pixels: the first pixel it touches and how much of each it covers.
fn spans(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|cell| {
            let (start, end) = (cell as f64 * scale, (cell + 1) as f64 * scale);
            let first = (start.floor() as usize).min(from - 1);
            let last = (end.ceil() as usize).clamp(first + 1, from);
            let weights = (first..last)
                .map(|i| ((end.min((i + 1) as f64) - start.max(i as f64)).max(0.0) / scale) as f32)
                .collect();
            (first, weights)
        })
        .collect()
}

/// How much of each cell of a `width` x `height` grid the mask covers, 0..1, by exact area
/// (soft edges count by their alpha).
pub fn coverage(mask: &Mask, width: usize, height: usize) -> Vec<f32> {
    let (w, h) = (mask.width as usize, mask.height as usize);
    if w == 0 || h == 0 || width == 0 || height == 0 {
        return vec![0.0; width * height];
    }
    let columns = spans(w, width);
    let rows = spans(h, height);
    // Columns first: `h` rows of `width` cells.
    let mut narrow = vec![0.0f32; width * h];
    for y in 0..h {
        let line = mask
            .alpha
            .get(y * w..)
            .map_or(&[][..], |l| &l[..l.len().min(w)]);
        for (x, (first, weights)) in columns.iter().enumerate() {
            narrow[y * width + x] = weights
                .iter()
                .zip(line.iter().skip(*first))
                .map(|(weight, &alpha)| weight * f32::from(alpha))
                .sum();
        }
    }
    let mut out = vec![0.0f32; width * height];
    for (y, (first, weights)) in rows.iter().enumerate() {
        for (i, weight) in weights.iter().enumerate() {
            let from = &narrow[(first + i) * width..(first + i + 1) * width];
            for (value, part) in out[y * width..(y + 1) * width].iter_mut().zip(from) {
                *value += weight * part / 255.0;
            }
        }
    }
    out
}

/// Every inside pixel, row by row.
fn pixels(mask: &Mask) -> impl Iterator<Item = (usize, usize)> + '_ {
    let width = mask.width as usize;
    mask.alpha
        .iter()
        .take(width * mask.height as usize)
        .enumerate()
        .filter(|(_, a)| **a >= INSIDE)
        .map(move |(i, _)| (i % width, i / width))
}

/// Squared distance from each pixel's centre to the nearest centre outside the mask; 0 outside.
/// What lies beyond the picture is outside.
///
/// Exact, linear in the number of pixels: distances along columns, then the lower envelope of the
/// parabolas of each row (Felzenszwalb and Huttenlocher, "Distance Transforms of Sampled
/// Functions", 2012).
pub fn squared_distances(mask: &Mask) -> Vec<f32> {
    distances(mask, 0.0)
}

/// As [`squared_distances`], but what lies beyond the picture is not outside; infinite where nothing is.
pub fn squared_distances_within(mask: &Mask) -> Vec<f32> {
    // Further than any pixel of the picture from any other.
    let far = f64::from(mask.width) + f64::from(mask.height);
    let mut squared = distances(mask, far);
    for value in &mut squared {
        if f64::from(*value) >= far * far {
            *value = f32::INFINITY;
        }
    }
    squared
}

/// Distances where the frame around the picture is `border` away from what is outside of the mask.
fn distances(mask: &Mask, border: f64) -> Vec<f32> {
    let (width, height) = (mask.width as usize, mask.height as usize);
    // A frame of one pixel all around makes every distance finite.
    let (pw, ph) = (width + 2, height + 2);
    let mut vertical = vec![border; pw * ph];
    for x in 0..width {
        for y in 0..height {
            vertical[(y + 1) * pw + x + 1] = if inside(mask, x, y) {
                vertical[y * pw + x + 1] + 1.0
            } else {
                0.0
            };
        }
        for y in (1..=height).rev() {
            let below = vertical[(y + 1) * pw + x + 1] + 1.0;
            let here = &mut vertical[y * pw + x + 1];
            *here = here.min(below);
        }
    }
    let mut out = vec![0.0f32; width * height];
    let mut parabolas = vec![0usize; pw];
    let mut starts = vec![0.0f64; pw + 1];
    for y in 0..height {
        let line = &vertical[(y + 1) * pw..(y + 2) * pw];
        let height_at = |q: usize| line[q] * line[q];
        let mut last = 0;
        parabolas[0] = 0;
        starts[0] = f64::NEG_INFINITY;
        for q in 1..pw {
            // Drop the parabolas that the new one covers wherever they would be lowest.
            let start = loop {
                let p = parabolas[last];
                let crossing = ((height_at(q) + (q * q) as f64) - (height_at(p) + (p * p) as f64))
                    / (2 * (q - p)) as f64;
                if crossing > starts[last] {
                    break crossing;
                }
                last -= 1;
            };
            last += 1;
            parabolas[last] = q;
            starts[last] = start;
        }
        starts[last + 1] = f64::INFINITY;
        let mut k = 0;
        for x in 0..width {
            let q = x + 1;
            while starts[k + 1] < q as f64 {
                k += 1;
            }
            let d = q as f64 - parabolas[k] as f64;
            out[y * width + x] = (d * d + height_at(parabolas[k])) as f32;
        }
    }
    out
}

/// The largest circle that fits inside the mask (and the picture); of several, the one nearest to
/// the centroid. `None` when nothing is inside.
pub fn inscribed_circle(mask: &Mask) -> Option<Circle> {
    let (x, y, distance) = deepest_pixel(mask, &squared_distances(mask))?;
    // From a pixel's centre to the edge of the nearest outside pixel.
    Some(Circle {
        center: [x as f32 + 0.5, y as f32 + 0.5],
        radius: distance.sqrt() - 0.5,
    })
}

/// The inside pixel with the largest of `distances`, and that; of several, the one nearest to the centroid. `None`
/// when nothing is inside.
pub fn deepest_pixel(mask: &Mask, distances: &[f32]) -> Option<(usize, usize, f32)> {
    let [cx, cy] = mask.centroid()?;
    let (cx, cy) = (cx * mask.width as f32, cy * mask.height as f32);
    let width = mask.width as usize;
    let mut best: Option<(f32, f32, usize, usize)> = None;
    for (x, y) in pixels(mask) {
        let distance = distances[y * width + x];
        let from_centroid = (x as f32 + 0.5 - cx).powi(2) + (y as f32 + 0.5 - cy).powi(2);
        if best.is_none_or(|(d, c, ..)| distance > d || (distance == d && from_centroid < c)) {
            best = Some((distance, from_centroid, x, y));
        }
    }
    best.map(|(distance, _, x, y)| (x, y, distance))
}

/// Calls `draw` with each pixel of a `width` wide grid within `reach` of `center`, and its distance.
fn around(
    center: [f32; 2],
    reach: f32,
    width: usize,
    out: &mut [f32],
    draw: impl Fn(f32, &mut f32),
) {
    let [cx, cy] = center;
    if width == 0 || !(cx.is_finite() && cy.is_finite() && reach.is_finite()) {
        return;
    }
    let height = out.len() / width;
    // `as usize` clamps what lies left of or above the grid to 0.
    let range = |c: f32, size: usize| {
        let start = (c - reach).floor().max(0.0) as usize;
        let end = ((c + reach).ceil().max(0.0) as usize).min(size);
        start..end
    };
    for y in range(cy, height) {
        for x in range(cx, width) {
            let distance = (x as f32 + 0.5 - cx).hypot(y as f32 + 0.5 - cy);
            draw(distance, &mut out[y * width + x]);
        }
    }
}

/// Draws a disc into a grid `width` wide: 1 inside, 0 outside, a ramp of one pixel at the edge.
/// Values already there stay where they are higher.
pub fn draw_disc(circle: Circle, width: usize, out: &mut [f32]) {
    let radius = circle.radius;
    around(
        circle.center,
        radius + 1.0,
        width,
        out,
        |distance, value| {
            *value = value.max((radius + 0.5 - distance).clamp(0.0, 1.0));
        },
    );
}

/// Ratio of the Gaussian's sigma to the circle's radius: DragAnything draws a 200 x 200 heat map
/// with sigma 40 and fits it into the disc's square.
pub const SIGMA_PER_RADIUS: f32 = 0.4;

/// Draws a Gaussian heat map into a grid `width` wide: 1 at the circle's centre, sigma
/// [`SIGMA_PER_RADIUS`] times its radius. Values already there stay where they are higher.
pub fn draw_gaussian(circle: Circle, width: usize, out: &mut [f32]) {
    let sigma = (SIGMA_PER_RADIUS * circle.radius).max(f32::EPSILON);
    // Beyond four sigma the value is under 0.0004.
    around(circle.center, 4.0 * sigma, width, out, |distance, value| {
        *value = value.max((-0.5 * (distance / sigma).powi(2)).exp());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(width: u32, height: u32, inside: impl Fn(f32, f32) -> bool) -> Mask {
        let alpha = (0..width * height)
            .map(|i| {
                let (x, y) = ((i % width) as f32 + 0.5, (i / width) as f32 + 0.5);
                if inside(x, y) { 255 } else { 0 }
            })
            .collect();
        Mask {
            width,
            height,
            alpha,
        }
    }

    fn rectangle(width: u32, height: u32, [l, t, r, b]: [f32; 4]) -> Mask {
        mask(width, height, |x, y| x > l && x < r && y > t && y < b)
    }

    #[test]
    fn coverage_keeps_the_area_at_any_size() {
        let blob = mask(60, 44, |x, y| (x - 20.0).hypot(y - 25.0) < 13.0);
        let area = blob.alpha.iter().filter(|a| **a > 0).count() as f32 / (60.0 * 44.0);
        for (w, h) in [(60, 44), (15, 11), (16, 16), (7, 5), (1, 1), (128, 100)] {
            let cover = coverage(&blob, w, h);
            let mean = cover.iter().sum::<f32>() / (w * h) as f32;
            assert!((mean - area).abs() < 1e-5, "{w}x{h}: {mean} against {area}");
            assert!(cover.iter().all(|c| (-1e-6..=1.0 + 1e-6).contains(c)));
        }
    }

    #[test]
    fn coverage_of_aligned_cells_is_exact() {
        // Columns 0..6 of 16: cells of 4 are full, half, empty, empty.
        let cover = coverage(&rectangle(16, 8, [0.0, 0.0, 6.0, 8.0]), 4, 2);
        assert_eq!(cover, [1.0, 0.5, 0.0, 0.0, 1.0, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn a_full_mask_stays_full() {
        let full = rectangle(33, 17, [0.0, 0.0, 33.0, 17.0]);
        for (w, h) in [(10, 6), (50, 40)] {
            assert!(coverage(&full, w, h).iter().all(|c| (c - 1.0).abs() < 1e-6));
        }
    }

    #[test]
    fn an_empty_or_broken_mask_has_no_geometry() {
        let zero_sized = Mask::default();
        let too_short = Mask {
            width: 8,
            height: 8,
            alpha: vec![0; 3],
        };
        for m in [rectangle(9, 9, [0.0; 4]), zero_sized, too_short] {
            assert_eq!(inscribed_circle(&m), None);
            assert!(coverage(&m, 4, 4).iter().all(|c| *c == 0.0));
        }
    }

    #[test]
    fn distances_equal_a_search_over_all_pairs() {
        // A ragged shape with a hole, touching the border.
        let m = mask(23, 19, |x, y| {
            (x * 7.0 + y * 3.0).sin() > -0.6 && (x - 11.0).hypot(y - 9.0) > 2.0
        });
        let [fast, within] = [squared_distances(&m), squared_distances_within(&m)];
        for y in 0..19i32 {
            for x in 0..23i32 {
                let mut expected = [f32::INFINITY; 2];
                for oy in -1..=19i32 {
                    for ox in -1..=23i32 {
                        let beyond = !(0..23).contains(&ox) || !(0..19).contains(&oy);
                        if beyond || !inside(&m, ox as usize, oy as usize) {
                            let d = ((ox - x).pow(2) + (oy - y).pow(2)) as f32;
                            expected[0] = expected[0].min(d);
                            if !beyond {
                                expected[1] = expected[1].min(d);
                            }
                        }
                    }
                }
                let at = (y * 23 + x) as usize;
                assert_eq!([fast[at], within[at]], expected, "at {x},{y}");
            }
        }
        let full = squared_distances_within(&mask(5, 4, |_, _| true));
        assert!(full.iter().all(|d| d.is_infinite()), "{full:?}");
    }

    #[test]
    fn inscribed_circle_of_a_disc_is_the_disc() {
        let c = inscribed_circle(&mask(64, 48, |x, y| (x - 30.5).hypot(y - 20.5) < 11.0)).unwrap();
        assert_eq!(c.center, [30.5, 20.5]);
        assert!((c.radius - 11.0).abs() <= 0.75, "radius {}", c.radius);
    }

    #[test]
    fn inscribed_circle_lies_inside_a_concave_mask() {
        // A ring: its centroid is outside it.
        let ring = mask(64, 64, |x, y| {
            let d = (x - 32.0).hypot(y - 32.0);
            d > 14.0 && d < 24.0
        });
        let c = inscribed_circle(&ring).unwrap();
        let d = (c.center[0] - 32.0).hypot(c.center[1] - 32.0);
        assert!((d - 19.0).abs() < 1.5, "centre at {d}");
        assert!((c.radius - 5.0).abs() < 1.0, "radius {}", c.radius);
    }

    #[test]
    fn of_many_equal_circles_the_central_one_is_taken() {
        // A bar: every circle along its axis is equally large.
        let c = inscribed_circle(&rectangle(64, 32, [6.0, 10.0, 57.0, 15.0])).unwrap();
        assert_eq!(c.center, [31.5, 12.5]);
        assert_eq!(c.radius, 2.5);
    }

    #[test]
    fn a_disc_covers_its_area() {
        for radius in [1.5f32, 4.0, 9.3] {
            let mut grid = vec![0.0; 40 * 40];
            let circle = Circle {
                center: [20.3, 19.8],
                radius,
            };
            draw_disc(circle, 40, &mut grid);
            let area: f32 = grid.iter().sum();
            let expected = std::f32::consts::PI * radius * radius;
            assert!(
                (area / expected - 1.0).abs() < 0.08,
                "{area} against {expected}"
            );
        }
    }

    #[test]
    fn discs_and_heat_maps_that_leave_the_grid_are_cut_off() {
        let circle = |x, y| Circle {
            center: [x, y],
            radius: 3.0,
        };
        let (mut edge, mut far) = (vec![0.0; 20 * 10], vec![0.0; 20 * 10]);
        draw_disc(circle(0.0, 5.0), 20, &mut edge);
        assert!(edge[5 * 20] > 0.9 && edge[5 * 20 + 19] == 0.0);
        let half: f32 = edge.iter().sum();
        assert!((half - 4.5 * std::f32::consts::PI).abs() < 1.0);
        for (x, y) in [
            (-10.0, 5.0),
            (3000.0, -4e9),
            (f32::NAN, 1.0),
            (f32::INFINITY, 0.0),
        ] {
            draw_disc(circle(x, y), 20, &mut far);
            draw_gaussian(circle(x, y), 20, &mut far);
        }
        assert!(far.iter().all(|v| *v == 0.0));
    }

    #[test]
    fn a_heat_map_falls_off_with_its_sigma() {
        let mut grid = vec![0.0; 31 * 31];
        let circle = Circle {
            center: [15.5, 15.5],
            radius: 10.0,
        };
        draw_gaussian(circle, 31, &mut grid);
        assert_eq!(grid[15 * 31 + 15], 1.0);
        // One sigma (4 pixels) away.
        assert!((grid[15 * 31 + 19] - (-0.5f32).exp()).abs() < 1e-6);
        assert_eq!(grid[15 * 31 + 11], grid[19 * 31 + 15]);
    }
}
