//! A few pixels around a point, found again in another frame: Lucas and Kanade's method in its inverse
//! compositional form (Baker and Matthews, "Lucas-Kanade 20 Years On", 2004).

use super::pyramid::{Level, Pyramid};

/// Pixels on each side of the point, at every level.
const REACH: i32 = 4;
/// Steps at most, and the length of a step, in pixels, that ends the search.
const STEPS: usize = 12;
const STILL: f32 = 0.01;
/// Smallest eigenvalue of the structure, per pixel of weight: below it the patch is too smooth, or an edge along which
/// it may slide. A ramp of 2 grey levels a pixel has 6e-5.
const STRUCTURE: f32 = 4e-5;
/// Pixels on this much of the weight must lie in the frame.
const IN_FRAME: f32 = 0.5;

/// A turn with a growth: the matrix `[[a, -b], [b, a]]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn(pub f32, pub f32);

impl Turn {
    /// No turn.
    pub const NONE: Self = Self(1.0, 0.0);

    /// A vector turned.
    pub fn of(self, p: [f32; 2]) -> [f32; 2] {
        [self.0 * p[0] - self.1 * p[1], self.1 * p[0] + self.0 * p[1]]
    }
}

/// A pixel of a patch.
struct Pixel {
    offset: [f32; 2],
    weight: f32,
    colour: [f32; 3],
    /// Change of the colour to the right and down.
    slope: [[f32; 3]; 2],
}

/// The pixels around a point at one level.
pub struct Patch {
    pixels: Vec<Pixel>,
    /// Sum of all weights.
    weight: f32,
}

/// Where a patch was found.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The place in pixels of the level.
    pub at: [f32; 2],
    /// Weighted mean difference of colours, 0 to 1.
    pub difference: f32,
}

impl Patch {
    /// What `level` shows around `at`; `weigh` says how much the pixel at an offset (in pixels of this level) counts.
    pub fn new(level: &Level, at: [f32; 2], weigh: impl Fn([f32; 2]) -> f32) -> Self {
        let mut pixels = Vec::with_capacity((2 * REACH as usize + 1).pow(2));
        for dy in -REACH..=REACH {
            for dx in -REACH..=REACH {
                let offset = [dx as f32, dy as f32];
                let p = [at[0] + offset[0], at[1] + offset[1]];
                let weight = weigh(offset);
                if weight <= 0.0 || !level.contains(p) {
                    continue;
                }
                let slope = [[0.5, 0.0], [0.0, 0.5]].map(|[x, y]| {
                    let (a, b) = (
                        level.at([p[0] + x, p[1] + y]),
                        level.at([p[0] - x, p[1] - y]),
                    );
                    [0, 1, 2].map(|c| a[c] - b[c])
                });
                pixels.push(Pixel {
                    offset,
                    weight,
                    colour: level.at(p),
                    slope,
                });
            }
        }
        let weight = pixels.iter().map(|pixel| pixel.weight).sum();
        Self { pixels, weight }
    }

    /// Weighted mean difference of colours (0 to 1) between the patch and what `level` shows at a place; `None` where too
    /// much of that is outside the frame.
    pub fn difference(&self, level: &Level, turn: Turn, at: [f32; 2]) -> Option<f32> {
        let (mut seen, mut sum) = (0.0, 0.0);
        for pixel in &self.pixels {
            let offset = turn.of(pixel.offset);
            let p = [at[0] + offset[0], at[1] + offset[1]];
            if level.contains(p) {
                let colour = level.at(p);
                let errors = (0..3).map(|c| (colour[c] - pixel.colour[c]).abs());
                sum += pixel.weight * errors.sum::<f32>();
                seen += pixel.weight;
            }
        }
        (seen > 0.0 && seen >= IN_FRAME * self.weight).then(|| sum / (3.0 * seen))
    }

    /// Looks for the patch in `level`, turned by `turn`, beginning at `start`; `None` where it is too smooth, leaves the
    /// frame or finds no end.
    pub fn find(&self, level: &Level, turn: Turn, start: [f32; 2]) -> Option<Found> {
        let mut at = start;
        let mut difference = f32::INFINITY;
        for _ in 0..STEPS {
            let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
            let (mut bx, mut by) = (0.0, 0.0);
            let (mut seen, mut sum) = (0.0, 0.0);
            for pixel in &self.pixels {
                let offset = turn.of(pixel.offset);
                let p = [at[0] + offset[0], at[1] + offset[1]];
                if !level.contains(p) {
                    continue;
                }
                let colour = level.at(p);
                for (c, there) in colour.into_iter().enumerate() {
                    let (gx, gy) = (pixel.slope[0][c], pixel.slope[1][c]);
                    let error = there - pixel.colour[c];
                    // Huber's weights: what is hidden by something else must not pull.
                    let weight = pixel.weight * (0.1 / error.abs().max(0.1));
                    xx += weight * gx * gx;
                    xy += weight * gx * gy;
                    yy += weight * gy * gy;
                    bx += weight * gx * error;
                    by += weight * gy * error;
                    sum += pixel.weight * error.abs();
                }
                seen += pixel.weight;
            }
            if seen < IN_FRAME * self.weight || seen <= 0.0 {
                return None;
            }
            difference = sum / (3.0 * seen);
            let determinant = xx * yy - xy * xy;
            let smaller = 0.5 * (xx + yy - ((xx - yy).powi(2) + 4.0 * xy * xy).sqrt());
            if smaller < STRUCTURE * seen || determinant <= 0.0 {
                return None;
            }
            let step = [
                (xy * by - yy * bx) / determinant,
                (xy * bx - xx * by) / determinant,
            ];
            let step = turn.of(step);
            let length = step[0].abs() + step[1].abs();
            if length.is_nan() || length > 4.0 * REACH as f32 {
                return None;
            }
            at = [at[0] + step[0], at[1] + step[1]];
            if step[0].hypot(step[1]) < STILL {
                break;
            }
        }
        level.contains(at).then_some(Found { at, difference })
    }
}

/// Follows the point `from` of one frame to another, from coarse to fine, beginning at `guess`; `weigh` as in
/// [`Patch::new`], with the level first. Coarse levels on which it cannot be told apart are passed over.
pub fn follow(
    first: &Pyramid,
    second: &Pyramid,
    from: [f32; 2],
    guess: [f32; 2],
    weigh: impl Fn(usize, [f32; 2]) -> f32,
) -> Option<Found> {
    let mut at = guess;
    let levels = first.0.len().min(second.0.len());
    for number in (0..levels).rev() {
        let scale = 1.0 / (1 << number) as f32;
        let down = |p: [f32; 2]| [p[0] * scale, p[1] * scale];
        let patch = Patch::new(&first.0[number], down(from), |o| weigh(number, o));
        let found = patch.find(&second.0[number], Turn::NONE, down(at));
        if number == 0 {
            return found;
        }
        if let Some(found) = found {
            at = [found.at[0] / scale, found.at[1] / scale];
        }
    }
    None
}
