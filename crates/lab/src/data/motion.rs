//! How things move: a smooth path, a timing, now and then a little turning and growing.

use rand::Rng;

/// The timing of a movement: what share of it is done at a share of the clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Timing {
    /// At even speed.
    Even,
    /// Slow at first.
    EaseIn,
    /// Slow at last.
    EaseOut,
    /// Slow at both ends.
    EaseInOut,
    /// At rest from the first share of the clip to the second, even speed before and after.
    Pause(f32, f32),
}

impl Timing {
    /// Share of the movement done at `t` (both 0..1).
    pub fn at(self, t: f32) -> f32 {
        let t = t.clamp(0.0, 1.0);
        match self {
            Self::Even => t,
            Self::EaseIn => t * t,
            Self::EaseOut => t * (2.0 - t),
            Self::EaseInOut => t * t * (3.0 - 2.0 * t),
            Self::Pause(from, to) => {
                let moving = 1.0 - (to - from);
                (t.min(from) + (t - to).max(0.0)) / moving
            }
        }
    }

    /// A timing as people drag: even or eased mostly, sometimes with a rest.
    pub fn random(rng: &mut impl Rng) -> Self {
        match rng.random_range(0..20) {
            0..7 => Self::Even,
            7..10 => Self::EaseIn,
            10..13 => Self::EaseOut,
            13..18 => Self::EaseInOut,
            18 => Self::Pause(0.0, rng.random_range(0.2..0.5)),
            _ => {
                let from = rng.random_range(0.2..0.5);
                Self::Pause(from, from + rng.random_range(0.15..0.35))
            }
        }
    }
}

/// A cubic Bézier curve with its timing, and the turning and growing along it. In pixels and radians.
#[derive(Clone, Debug)]
pub struct Motion {
    /// Start, two control points, end.
    pub path: [[f32; 2]; 4],
    /// When how much of the path is done.
    pub timing: Timing,
    /// Angle at the end; 0 at the start.
    pub turn: f32,
    /// Scale at the end; 1 at the start.
    pub growth: f32,
}

impl Motion {
    /// No motion at all.
    pub fn pin(at: [f32; 2]) -> Self {
        Self {
            path: [at; 4],
            timing: Timing::Even,
            turn: 0.0,
            growth: 1.0,
        }
    }

    /// A curved path from one point to another. Three in four bend one way, the others both ways.
    pub fn random(rng: &mut impl Rng, from: [f32; 2], to: [f32; 2]) -> Self {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let bend: f32 = rng.random_range(-0.35..0.35);
        let second = if rng.random_bool(0.75) {
            bend
        } else {
            rng.random_range(-0.35..0.35)
        };
        let control = |along: f32, aside: f32| {
            [
                from[0] + along * dx - aside * dy,
                from[1] + along * dy + aside * dx,
            ]
        };
        // In most clips things only travel, so that the path says all there is to know.
        let turn = if rng.random_bool(0.2) {
            rng.random_range(-0.35..0.35)
        } else {
            0.0
        };
        let growth = if rng.random_bool(0.15) {
            rng.random_range(0.87..1.15)
        } else {
            1.0
        };
        Self {
            path: [
                from,
                control(1.0 / 3.0, bend),
                control(2.0 / 3.0, second),
                to,
            ],
            timing: Timing::random(rng),
            turn,
            growth,
        }
    }

    /// Place, angle and scale at a time (0..1).
    pub fn at(&self, t: f32) -> Pose {
        let s = self.timing.at(t);
        let r = 1.0 - s;
        let weights = [r * r * r, 3.0 * r * r * s, 3.0 * r * s * s, s * s * s];
        let sum = |axis: usize| {
            self.path
                .iter()
                .zip(weights)
                .map(|(point, weight)| point[axis] * weight)
                .sum()
        };
        // Four equal points must give exactly that point: weights need not sum to 1 in floats.
        let place = if self.path.iter().all(|point| *point == self.path[0]) {
            self.path[0]
        } else {
            [sum(0), sum(1)]
        };
        Pose::new(place, self.turn * s, 1.0 + (self.growth - 1.0) * s)
    }
}

/// A place, angle and scale: maps a thing's own coordinates to the frame's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Where the thing's origin is, in pixels of the frame.
    pub place: [f32; 2],
    /// Cosine and sine of the angle.
    turn: [f32; 2],
    /// Pixels of the frame a unit of the thing.
    pub scale: f32,
}

impl Pose {
    /// From a place, an angle in radians (clockwise as y points down) and a scale.
    pub fn new(place: [f32; 2], angle: f32, scale: f32) -> Self {
        Self {
            place,
            turn: [angle.cos(), angle.sin()],
            scale,
        }
    }

    /// From the thing to the frame.
    pub fn to_frame(&self, p: [f32; 2]) -> [f32; 2] {
        let [cos, sin] = self.turn;
        [
            self.place[0] + self.scale * (cos * p[0] - sin * p[1]),
            self.place[1] + self.scale * (sin * p[0] + cos * p[1]),
        ]
    }

    /// From the frame to the thing.
    pub fn to_thing(&self, p: [f32; 2]) -> [f32; 2] {
        let [cos, sin] = self.turn;
        let (x, y) = (
            (p[0] - self.place[0]) / self.scale,
            (p[1] - self.place[1]) / self.scale,
        );
        [cos * x + sin * y, cos * y - sin * x]
    }

    /// This pose for a thing whose units are `unit` times as large.
    pub fn scaled(&self, unit: f32) -> Self {
        Self {
            scale: self.scale * unit,
            ..*self
        }
    }

    /// This pose after `inner`: maps what `inner` maps to the thing further to the frame.
    pub fn after(&self, inner: &Pose) -> Pose {
        let ([c, s], [ic, is]) = (self.turn, inner.turn);
        Pose {
            place: self.to_frame(inner.place),
            turn: [c * ic - s * is, s * ic + c * is],
            scale: self.scale * inner.scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn timings_start_at_rest_and_finish_and_never_go_back() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let timing = Timing::random(&mut rng);
            assert_eq!(timing.at(0.0), 0.0, "{timing:?}");
            assert!((timing.at(1.0) - 1.0).abs() < 1e-5, "{timing:?}");
            let steps: Vec<f32> = (0..=50).map(|i| timing.at(i as f32 / 50.0)).collect();
            assert!(
                steps.windows(2).all(|pair| pair[1] >= pair[0] - 1e-6),
                "{timing:?}"
            );
        }
    }

    #[test]
    fn poses_invert_and_compose() {
        let outer = Pose::new([10.0, -3.0], 0.7, 2.0);
        let inner = Pose::new([1.5, 4.0], -0.2, 0.5);
        let p = [0.3, -1.1];
        let back = outer.to_thing(outer.to_frame(p));
        assert!((back[0] - p[0]).abs() + (back[1] - p[1]).abs() < 1e-5);
        let (one, two) = (
            outer.after(&inner).to_frame(p),
            outer.to_frame(inner.to_frame(p)),
        );
        assert!((one[0] - two[0]).abs() + (one[1] - two[1]).abs() < 1e-5);
    }

    #[test]
    fn paths_join_their_ends() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let motion = Motion::random(&mut rng, [3.0, 4.0], [30.0, 9.0]);
        assert_eq!(motion.at(0.0).place, [3.0, 4.0]);
        let end = motion.at(1.0).place;
        assert!((end[0] - 30.0).abs() + (end[1] - 9.0).abs() < 1e-3);
        assert_eq!(Motion::pin([7.3, 5.1]).at(0.37).place, [7.3, 5.1]);
    }
}
