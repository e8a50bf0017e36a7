//! Where the trunk goes: how far the pelvis moves and the trunk leans, so that what is dragged is met with little movement.
//!
//! Three numbers, found by least squares (Levenberg and Marquardt): offset of the pelvis, and the angle by which all above it turns
//! about it. Hips go along with the pelvis without turning, for they stand on legs.

use super::plane::{Point, Turn, length, minus, plus, turned};

/// Where the trunk is.
#[derive(Clone, Copy)]
pub(super) struct Trunk {
    pelvis: Point,
    offset: Point,
    lean: f32,
}

/// A place of the trunk that is drawn to another.
#[derive(Clone, Copy)]
pub(super) struct Tie {
    /// Where the place is in the picture.
    pub(super) rest: Point,
    /// Whether it turns with what is above the pelvis.
    pub(super) leans: bool,
    pub(super) to: Point,
    /// How far away it may be without being drawn: the reach of a limb.
    pub(super) slack: f32,
    pub(super) weight: f32,
}

/// How much the trunk is held where it is.
#[derive(Clone, Copy)]
pub(super) struct Rest {
    /// The pelvis.
    pub(super) offset: f32,
    /// Its lean, by the trunk's length.
    pub(super) lean: f32,
}

/// Angle beyond which leaning is held back strongly, and how strongly.
const MOST_LEAN: f32 = 0.8;
const HELD_BACK: f32 = 6.0;
const ROUNDS: usize = 60;

impl Trunk {
    /// As it is in the picture.
    pub(super) fn at_rest(pelvis: Point) -> Self {
        Self {
            pelvis,
            offset: [0.0; 2],
            lean: 0.0,
        }
    }

    /// Where a place that goes along with the pelvis is.
    pub(super) fn carried(&self, rest: Point) -> Point {
        plus(rest, self.offset)
    }

    /// Where a place of what is above the pelvis is.
    pub(super) fn leaning(&self, rest: Point) -> Point {
        let about = plus(self.pelvis, self.offset);
        plus(about, self.turn().of(minus(rest, self.pelvis)))
    }

    pub(super) fn turn(&self) -> Turn {
        Turn::by(self.lean)
    }

    /// Meets the ties as well as it can. `size`: the trunk's length.
    pub(super) fn settled(pelvis: Point, ties: &[Tie], rest: Rest, size: f32) -> Self {
        let mut trunk = Self::at_rest(pelvis);
        let mut damping = 1e-3;
        let mut error = trunk.error(ties, rest, size);
        for _ in 0..ROUNDS {
            let (normal, slope) = trunk.slope(ties, rest, size);
            let Some(step) = solved(normal, slope, damping) else {
                break;
            };
            let next = Self {
                pelvis,
                offset: [
                    trunk.offset[0] - step[0] as f32,
                    trunk.offset[1] - step[1] as f32,
                ],
                lean: trunk.lean - step[2] as f32,
            };
            let made = next.error(ties, rest, size);
            if made <= error {
                let still = step.iter().all(|v| v.abs() < 1e-6);
                (trunk, error) = (next, made);
                damping = (damping / 4.0).max(1e-9);
                if still {
                    break;
                }
            } else {
                damping *= 8.0;
            }
        }
        trunk
    }

    fn error(&self, ties: &[Tie], rest: Rest, size: f32) -> f64 {
        let mut sum = 0.0;
        self.for_each(ties, rest, size, |residual, _| sum += residual * residual);
        sum
    }

    /// `J^T J` and `J^T r` of the residuals.
    fn slope(&self, ties: &[Tie], rest: Rest, size: f32) -> ([[f64; 3]; 3], [f64; 3]) {
        let (mut normal, mut slope) = ([[0.0; 3]; 3], [0.0; 3]);
        self.for_each(ties, rest, size, |residual, gradient| {
            for i in 0..3 {
                slope[i] += residual * gradient[i];
                for j in 0..3 {
                    normal[i][j] += gradient[i] * gradient[j];
                }
            }
        });
        (normal, slope)
    }

    /// Each residual, and how it grows with offset and lean.
    fn for_each(&self, ties: &[Tie], rest: Rest, size: f32, mut each: impl FnMut(f64, [f64; 3])) {
        let mut give =
            |residual: f32, gradient: [f32; 3]| each(residual.into(), gradient.map(f64::from));
        give(rest.offset * self.offset[0], [rest.offset, 0.0, 0.0]);
        give(rest.offset * self.offset[1], [0.0, rest.offset, 0.0]);
        give(rest.lean * size * self.lean, [0.0, 0.0, rest.lean * size]);
        let beyond = self.lean.abs() - MOST_LEAN;
        if beyond > 0.0 {
            let weight = HELD_BACK * size;
            give(weight * beyond * self.lean.signum(), [0.0, 0.0, weight]);
        }
        for tie in ties {
            let (at, turning) = match tie.leans {
                true => {
                    let at = self.leaning(tie.rest);
                    (at, turned(minus(at, plus(self.pelvis, self.offset))))
                }
                false => (self.carried(tie.rest), [0.0; 2]),
            };
            let away = minus(at, tie.to);
            let weight = tie.weight;
            if tie.slack <= 0.0 {
                give(weight * away[0], [weight, 0.0, weight * turning[0]]);
                give(weight * away[1], [0.0, weight, weight * turning[1]]);
                continue;
            }
            let far = length(away);
            if far > tie.slack {
                let [x, y] = away.map(|v| weight * v / far);
                let turning = x * turning[0] + y * turning[1];
                give(weight * (far - tie.slack), [x, y, turning]);
            }
        }
    }
}

/// The solution of three equations, damped; `None` where there is none.
fn solved(mut a: [[f64; 3]; 3], mut b: [f64; 3], damping: f64) -> Option<[f64; 3]> {
    for (i, row) in a.iter_mut().enumerate() {
        row[i] += damping * row[i] + 1e-12;
    }
    for i in 0..3 {
        // Positive definite: no pivots have to be looked for.
        if !(a[i][i].is_finite() && a[i][i] > 0.0) {
            return None;
        }
        let above = a[i];
        for j in i + 1..3 {
            let factor = a[j][i] / above[i];
            for (value, above) in a[j].iter_mut().zip(above) {
                *value -= factor * above;
            }
            b[j] -= factor * b[i];
        }
    }
    let mut x = [0.0; 3];
    for i in (0..3).rev() {
        let rest: f64 = (i + 1..3).map(|k| a[i][k] * x[k]).sum();
        x[i] = (b[i] - rest) / a[i][i];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}
