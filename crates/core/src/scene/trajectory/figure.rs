//! Motions to choose from: ready paths that begin where a thing is.

use super::longer_side;
use crate::scene::{Trajectory, TrajectoryPoint};
use std::f32::consts::{PI, TAU};

/// Straight pieces of a path before it is reduced to the points that matter.
const PIECES: usize = 96;
/// How far a path may stray from its figure, as a fraction of the picture's longer side.
const TOLERANCE: f32 = 0.002;

/// A motion to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Over a hill to the side.
    Arc,
    /// Once round, and back where it began.
    Circle,
    /// To the side, up and down.
    Wave,
    /// Round and outwards.
    Spiral,
    /// To and fro, fast.
    Shake,
    /// Up, and down again as things fall.
    RiseAndFall,
    /// Slowly, not quite straight, away.
    Drift,
    /// Straight to the side; gently at both ends.
    Pan,
    /// To one side and to the other, as around something.
    Sway,
}

impl Figure {
    /// Those for things.
    pub const THINGS: [Self; 7] = [
        Self::Arc,
        Self::Circle,
        Self::Wave,
        Self::Spiral,
        Self::Shake,
        Self::RiseAndFall,
        Self::Drift,
    ];
    /// Those for the camera.
    pub const CAMERA: [Self; 4] = [Self::Pan, Self::Sway, Self::RiseAndFall, Self::Shake];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arc => "Arc",
            Self::Circle => "Circle",
            Self::Wave => "Wave",
            Self::Spiral => "Spiral",
            Self::Shake => "Shake",
            Self::RiseAndFall => "Rise and fall",
            Self::Drift => "Drift",
            Self::Pan => "Pan",
            Self::Sway => "Sway",
        }
    }

    /// Whether it ends where it begins.
    pub fn is_closed(self) -> bool {
        matches!(
            self,
            Self::Circle | Self::Shake | Self::RiseAndFall | Self::Sway
        )
    }

    /// Where it is after a share `u` of the time, x right and y down, begun at 0 and about 1 wide.
    fn at(self, u: f32) -> [f32; 2] {
        match self {
            Self::Arc => [(1.0 - (PI * u).cos()) / 2.0, -0.45 * (PI * u).sin()],
            Self::Circle => [0.5 * (TAU * u).sin(), -0.5 * (1.0 - (TAU * u).cos())],
            Self::Wave => [u, -0.16 * (2.0 * TAU * u).sin()],
            Self::Spiral => {
                let radius = 0.5 * u.sqrt();
                let angle = 2.25 * TAU * u.sqrt();
                [radius * angle.sin(), -radius * angle.cos()]
            }
            // Strongest in the middle: a jolt at the very beginning looks like a cut.
            Self::Shake => {
                let strength = 0.3 * (PI * u).sin();
                [
                    strength * (5.0 * TAU * u).sin(),
                    0.6 * strength * (4.0 * TAU * u).sin(),
                ]
            }
            Self::RiseAndFall => [0.0, -3.2 * u * (1.0 - u)],
            Self::Drift => [0.8 * u, -0.3 * u - 0.07 * (TAU * u).sin()],
            Self::Pan => [u * u * (3.0 - 2.0 * u), 0.0],
            Self::Sway => [0.5 * (TAU * u).sin(), -0.06 * (1.0 - (2.0 * TAU * u).cos())],
        }
    }

    /// The path from `start` (fractions of the picture), over the whole video. `size` is how wide it is, a fraction of the picture's
    /// longer side; `aspect` is the picture's width by its height. What leads to the side leads to where there is more room.
    pub fn path(self, start: [f32; 2], size: f32, aspect: f32) -> Trajectory {
        let size = if size.is_finite() { size } else { 0.0 };
        let scale = longer_side(aspect);
        let way = if start[0] > 0.5 { -1.0 } else { 1.0 };
        let point = |i: usize| {
            let t = i as f32 / PIECES as f32;
            let [dx, dy] = match i {
                0 => [0.0; 2],
                // Against rounding: exactly where it began.
                PIECES if self.is_closed() => [0.0; 2],
                _ => self.at(t),
            };
            TrajectoryPoint::new(
                start[0] + way * size * dx / scale[0],
                start[1] + size * dy / scale[1],
                t,
            )
        };
        Trajectory {
            points: (0..=PIECES).map(point).collect(),
        }
        .simplified(TOLERANCE, aspect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn figures() -> impl Strategy<Value = Figure> {
        let all = [Figure::THINGS.to_vec(), Figure::CAMERA.to_vec()].concat();
        prop::sample::select(all)
    }

    #[test]
    fn each_is_as_wide_as_asked_for() {
        for figure in Figure::THINGS.into_iter().chain(Figure::CAMERA) {
            for aspect in [0.5, 1.0, 2.0] {
                let scale = longer_side(aspect);
                let path = figure.path([0.2, 0.5], 0.4, aspect);
                let places = path.sample(200);
                let range = |axis: usize| {
                    let values = || places.iter().map(|p| p[axis] * scale[axis]);
                    values().fold(f32::MIN, f32::max) - values().fold(f32::MAX, f32::min)
                };
                let reach = range(0).max(range(1));
                assert!((0.2..0.45).contains(&reach), "{figure:?} {aspect} {reach}");
            }
        }
    }

    #[test]
    fn it_leads_to_where_there_is_room() {
        assert!(Figure::Arc.path([0.2, 0.5], 0.3, 1.5).position(1.0)[0] > 0.4);
        assert!(Figure::Arc.path([0.8, 0.5], 0.3, 1.5).position(1.0)[0] < 0.6);
    }

    proptest! {
        #[test]
        fn it_begins_at_the_thing_and_closed_ones_end_there(
            figure in figures(),
            x in 0.0f32..1.0,
            y in 0.0f32..1.0,
            size in 0.02f32..1.0,
            aspect in 0.2f32..5.0,
        ) {
            let path = figure.path([x, y], size, aspect);
            prop_assert_eq!(path.start(), [x, y]);
            prop_assert!(!path.is_pin());
            let end = path.position(1.0);
            let home = (end[0] - x).hypot(end[1] - y) < 1e-5;
            prop_assert_eq!(home, figure.is_closed());
            prop_assert_eq!(path.cleaned(), path);
        }

        #[test]
        fn no_number_is_too_odd(figure in figures(), x: f32, y: f32, size: f32, aspect: f32) {
            for [x, y] in figure.path([x, y], size, aspect).sample(9) {
                prop_assert!(x.is_finite() && y.is_finite());
            }
        }
    }
}
