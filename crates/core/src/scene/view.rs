//! The camera's view: how much of the scene fills the frame over time, and how that is turned. What comes of it is the whole frame,
//! things and ground alike, seen from nearer; the camera's path ([`Scene::background`](super::Scene)) leads the ground alone.

use super::ground::{Ground, HORIZON};
use super::pose::{MAX_POSES, MAX_ROTATION};
use super::{Pose, Trajectory, TrajectoryPoint};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// How much larger than in the picture the camera may show it. Not smaller: beyond the picture there is nothing.
pub const ZOOMS: RangeInclusive<f32> = 1.0..=8.0;

/// How the camera looks at a scene, over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// The place that stays where it is, fractions of the picture.
    pub about: [f32; 2],
    /// How the picture is turned and enlarged about that place; its depth counts for nothing. Without any it is seen as a whole.
    pub poses: Vec<Pose>,
    /// What the camera's path leads past, where it goes round something. Without it the picture is led as something flat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ground: Option<Ground>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            about: [0.5; 2],
            poses: Vec::new(),
            ground: None,
        }
    }
}

/// How the camera looks at one moment. Places are fractions of the picture, `aspect` is its width by its height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// The place that stays where it is.
    pub about: [f32; 2],
    /// Radians, clockwise.
    pub angle: f32,
    /// By how much everything is larger than in the picture.
    pub scale: f32,
}

impl View {
    /// Whether the whole picture is seen all the time.
    pub fn is_still(&self) -> bool {
        self.poses.iter().all(Pose::is_still)
    }

    /// The same view in a form that everything else can rely on: the place within the picture, poses finite, within bounds, and in order.
    pub fn cleaned(&self) -> Self {
        let middle = |v: f32| if v.is_finite() { v } else { 0.5 };
        let bounded = |pose: Pose| Pose {
            scale: pose.scale.clamp(*ZOOMS.start(), *ZOOMS.end()),
            depth: 0.0,
            ..pose
        };
        Self {
            about: self.about.map(|v| middle(v).clamp(0.0, 1.0)),
            poses: Pose::cleaned(&self.poses)
                .into_iter()
                .map(bounded)
                .collect(),
            ground: self.ground.map(Ground::cleaned),
        }
    }

    /// The ground past which its path leads, where it goes round something.
    pub fn ground(&self) -> Option<Ground> {
        self.ground.map(Ground::cleaned)
    }

    /// Why it cannot be used as it is, if it cannot: the end of a sentence that begins with what it is.
    pub fn fault(&self) -> Option<String> {
        let usable = |pose: &Pose| pose.is_usable() && ZOOMS.contains(&pose.scale);
        if self.poses.len() > MAX_POSES {
            return Some(format!(
                "has {} moments, not up to {MAX_POSES}; remove some",
                self.poses.len()
            ));
        }
        if !self.about.iter().all(|v| (0.0..=1.0).contains(v)) {
            return Some("is about a place outside the picture; choose one within".into());
        }
        if let Some(fault) = self.ground.and_then(Ground::fault) {
            return Some(fault);
        }
        (!self.poses.iter().all(usable)).then(|| {
            format!(
                "is out of bounds: times are 0 to 1, turns up to {MAX_ROTATION} degrees, sizes {} to {}; change it",
                ZOOMS.start(),
                ZOOMS.end()
            )
        })
    }

    /// How the camera looks at time `t`, a fraction of the video. At 0 the whole picture is seen.
    pub fn at(&self, t: f32) -> Seen {
        Seen::of(self.about, &Pose::at(&self.poses, t))
    }

    /// Like [`View::at`], in each of `frames` frames; none where all of them are the whole picture.
    pub fn sample(&self, frames: usize) -> Vec<Seen> {
        if self.is_still() {
            return Vec::new();
        }
        let own = self.cleaned();
        let poses = Pose::sample(&own.poses, frames);
        poses.iter().map(|pose| Seen::of(own.about, pose)).collect()
    }
}

/// A ready motion of the camera towards the scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zoom {
    /// Slowly nearer.
    In,
    /// Nearer, and back to the whole picture.
    InAndOut,
    /// Nearer with a little turn.
    Roll,
}

impl Zoom {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::In, Self::InAndOut, Self::Roll];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::In => "Zoom in",
            Self::InAndOut => "In and out",
            Self::Roll => "Roll in",
        }
    }

    /// Its poses where the picture becomes `scale` times as large.
    pub fn poses(self, scale: f32) -> Vec<Pose> {
        let pose = |t: f32, rotation: f32, scale: f32| Pose {
            t,
            rotation,
            scale,
            depth: 0.0,
        };
        match self {
            Self::In => vec![pose(1.0, 0.0, scale)],
            Self::InAndOut => vec![pose(0.5, 0.0, scale), pose(1.0, 0.0, 1.0)],
            // By so much that no corner of the picture comes into sight.
            Self::Roll => vec![pose(1.0, 8.0 * (scale - 1.0).min(0.5), scale)],
        }
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self::of([0.5; 2], &Pose::default())
    }
}

impl Seen {
    fn of(about: [f32; 2], pose: &Pose) -> Self {
        Self {
            about,
            angle: pose.rotation.to_radians(),
            scale: pose.scale.clamp(*ZOOMS.start(), *ZOOMS.end()),
        }
    }

    /// Whether the whole picture is seen.
    pub fn is_still(&self) -> bool {
        self.angle.abs() < 1e-5 && (self.scale - 1.0).abs() < 1e-6
    }

    /// Where a place of the scene is seen.
    pub fn apply(&self, place: [f32; 2], aspect: f32) -> [f32; 2] {
        self.turned(place, aspect, self.angle, self.scale)
    }

    /// What is seen at a place.
    pub fn undo(&self, place: [f32; 2], aspect: f32) -> [f32; 2] {
        self.turned(place, aspect, -self.angle, 1.0 / self.scale)
    }

    fn turned(&self, place: [f32; 2], aspect: f32, angle: f32, scale: f32) -> [f32; 2] {
        let (sin, cos) = angle.sin_cos();
        let (x, y) = (
            (place[0] - self.about[0]) * aspect,
            place[1] - self.about[1],
        );
        [
            self.about[0] + scale * (cos * x - sin * y) / aspect,
            self.about[1] + scale * (sin * x + cos * y),
        ]
    }
}

/// How far the things of a picture go past each other when the camera goes round one of them, `[less, usual, more]`: the amplitude of its
/// way to either side, a fraction of the width.
pub const ORBITS: [f32; 3] = [0.025, 0.045, 0.08];

/// A ready motion of the camera round what stands at a row and whose middle is at a `height`, to one side, to the other, and back: its
/// path, and how it looks meanwhile, so much nearer that the picture's borders stay out of sight.
pub fn orbit(stands: f32, height: f32, amplitude: f32) -> (Trajectory, View) {
    /// Nearer by more than the way needs: what comes nearer does so more slowly than what goes sideways begins.
    const FREE: f32 = 2.6;
    const PLACES: usize = 17;
    let place = |i: usize| {
        let t = i as f32 / (PLACES - 1) as f32;
        let x = 0.5 + amplitude * (t * std::f32::consts::TAU).sin();
        TrajectoryPoint::new(x, 0.5, t)
    };
    let path = Trajectory {
        points: (0..PLACES).map(place).collect(),
    };
    let pose = |t: f32, scale: f32| Pose {
        t,
        scale,
        ..Pose::default()
    };
    let near = 1.0 + FREE * amplitude;
    let view = View {
        // Sideways in the middle, or the borders on one side would be seen.
        about: [0.5, height],
        poses: vec![pose(0.2, near), pose(0.8, near), pose(1.0, 1.0)],
        ground: Some(Ground::new(HORIZON.min(stands - 0.2), stands)),
    };
    (path, view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pose(t: f32, rotation: f32, scale: f32) -> Pose {
        Pose {
            t,
            rotation,
            scale,
            depth: 0.0,
        }
    }

    #[test]
    fn it_begins_with_the_whole_picture_and_comes_nearer() {
        let view = View {
            about: [0.25, 0.5],
            poses: vec![pose(1.0, 0.0, 2.0)],
            ground: None,
        };
        assert!(view.at(0.0).is_still());
        let scales: Vec<f32> = view.sample(9).iter().map(|seen| seen.scale).collect();
        assert!(scales.windows(2).all(|two| two[0] < two[1]), "{scales:?}");
        let end = view.at(1.0);
        assert_eq!(end.apply([0.25, 0.5], 1.5), [0.25, 0.5]);
        assert_eq!(end.apply([0.5, 0.75], 1.5), [0.75, 1.0]);
        assert_eq!(View::default().sample(9), []);
    }

    #[test]
    fn a_quarter_of_a_turn_is_one_of_the_picture_not_of_fractions() {
        let view = View {
            about: [0.5; 2],
            poses: vec![pose(1.0, 90.0, 1.0)],
            ground: None,
        };
        // To the right by half the height of a picture that is twice as wide: downwards by that.
        let [x, y] = view.at(1.0).apply([0.75, 0.5], 2.0);
        assert!((x - 0.5).abs() < 1e-6 && (y - 1.0).abs() < 1e-6, "{x} {y}");
    }

    #[test]
    fn what_cannot_be_used_is_told_and_mended() {
        let odd = View {
            about: [f32::NAN, 3.0],
            poses: vec![pose(0.5, f32::NAN, 2.0), pose(1.0, 0.0, 0.2)],
            ground: Some(Ground::new(7.0, 2.0)),
        };
        assert!(odd.fault().unwrap().contains("outside"));
        let small = View {
            poses: vec![pose(1.0, 0.0, 0.2)],
            ..View::default()
        };
        assert!(small.fault().unwrap().contains("1 to 8"));
        let many = View {
            poses: vec![pose(1.0, 0.0, 2.0); MAX_POSES + 1],
            ..View::default()
        };
        assert!(many.fault().unwrap().contains("remove some"));
        let clean = odd.cleaned();
        assert_eq!(clean.fault(), None);
        assert_eq!((clean.about, clean.poses[0].scale), ([0.5, 1.0], 1.0));
    }

    #[test]
    fn an_orbit_begins_and_ends_with_the_picture() {
        for amplitude in ORBITS {
            let (path, view) = orbit(0.9, 0.6, amplitude);
            assert_eq!(view.fault(), None);
            assert!(view.at(0.0).is_still() && view.at(1.0).is_still());
            let ways = path.offsets(33);
            let far = |ways: &[[f32; 2]]| ways.iter().map(|way| way[0]).fold(0.0, f32::max);
            assert!((far(&ways) - amplitude).abs() < 1e-3);
            assert!(ways[32][0].abs() < 1e-5);
            // At its farthest no border is seen.
            let seen = view.at(0.25);
            let left = seen.undo([0.0, 0.5], 1.5)[0];
            assert!(left >= amplitude, "{left} {amplitude}");
        }
    }

    proptest! {
        #[test]
        fn what_is_seen_somewhere_is_seen_there(
            about in [0.0f32..1.0, 0.0f32..1.0],
            place in [-1.0f32..2.0, -1.0f32..2.0],
            turn in -400.0f32..400.0,
            scale in 1.0f32..8.0,
            aspect in 0.3f32..3.0,
        ) {
            let seen = View { about, poses: vec![pose(1.0, turn, scale)], ground: None }.at(1.0);
            let back = seen.undo(seen.apply(place, aspect), aspect);
            for axis in 0..2 {
                prop_assert!((back[axis] - place[axis]).abs() < 1e-3, "{back:?} {place:?}");
            }
        }

        #[test]
        fn without_a_turn_nothing_beyond_the_picture_is_seen(
            about in [0.0f32..=1.0, 0.0f32..=1.0],
            place in [0.0f32..=1.0, 0.0f32..=1.0],
            scale in 1.0f32..8.0,
        ) {
            let seen = View { about, poses: vec![pose(1.0, 0.0, scale)], ground: None }.at(1.0);
            for v in seen.undo(place, 1.5) {
                prop_assert!((-1e-5..=1.0 + 1e-5).contains(&v));
            }
        }
    }
}
