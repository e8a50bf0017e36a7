//! Poses: how a thing is turned and scaled, and how near it is, at moments of the video.
//!
//! Between them rotation, the logarithm of the scale, and depth follow the same monotone cubic as trajectories do. Before the
//! first of them the thing is as it is in the picture, from which it comes smoothly; after the last one it stays as it is.

use super::monotone::{hermite, velocities};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Most poses of one entity.
pub const MAX_POSES: usize = 32;
/// Most degrees of a turn, either way.
pub const MAX_ROTATION: f32 = 3600.0;
/// The least and the largest scale.
pub const SCALES: RangeInclusive<f32> = 0.05..=20.0;
/// How far apart depths may be from that of the picture.
pub const MAX_DEPTH: f32 = 1000.0;
/// Two poses closer in time than this are one.
const SAME_TIME: f32 = 1e-4;

/// How a thing is turned and scaled about its first handle (or, without one, its middle), and how near it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pose {
    /// When, a fraction of the video.
    pub t: f32,
    /// Degrees, clockwise, from how it is in the picture. More than a full turn is more than one.
    pub rotation: f32,
    /// By how much it is larger than in the picture.
    pub scale: f32,
    /// What is greater is nearer: in each frame what is nearer lies in front.
    pub depth: f32,
}

impl Default for Pose {
    fn default() -> Self {
        Self {
            t: 0.0,
            rotation: 0.0,
            scale: 1.0,
            depth: 0.0,
        }
    }
}

impl Pose {
    /// Whether it is neither turned nor scaled; it may be nearer or further.
    pub fn is_still(&self) -> bool {
        self.rotation.abs() < 1e-4 && (self.scale - 1.0).abs() < 1e-6
    }

    /// Whether every number is finite and within the bounds of this module.
    pub fn is_usable(&self) -> bool {
        (0.0..=1.0).contains(&self.t)
            && self.rotation.abs() <= MAX_ROTATION
            && SCALES.contains(&self.scale)
            && self.depth.abs() <= MAX_DEPTH
    }

    /// Poses that everything else can rely on: numbers finite and within bounds, times rising, at most [`MAX_POSES`]. What is
    /// not a number goes; of two at one time the later given one stays.
    pub fn cleaned(poses: &[Self]) -> Vec<Self> {
        let finite = |p: &&Self| {
            [p.t, p.rotation, p.scale, p.depth]
                .iter()
                .all(|v| v.is_finite())
        };
        let mut clean: Vec<Self> = poses
            .iter()
            .filter(finite)
            .map(|p| Self {
                t: p.t.clamp(0.0, 1.0),
                rotation: p.rotation.clamp(-MAX_ROTATION, MAX_ROTATION),
                scale: p.scale.clamp(*SCALES.start(), *SCALES.end()),
                depth: p.depth.clamp(-MAX_DEPTH, MAX_DEPTH),
            })
            .collect();
        clean.sort_by(|a, b| a.t.total_cmp(&b.t));
        let mut kept: Vec<Self> = Vec::with_capacity(clean.len());
        for pose in clean {
            match kept.last_mut() {
                Some(last) if pose.t - last.t < SAME_TIME => *last = Self { t: last.t, ..pose },
                _ => kept.push(pose),
            }
        }
        kept.truncate(MAX_POSES);
        kept
    }

    /// The pose at time `t` among `poses`. At time 0 it is neither turned nor scaled, whatever they say: the first frame is
    /// the picture, and later ones are turned from what is said of it.
    pub fn at(poses: &[Self], t: f32) -> Self {
        Curve::new(poses).at(t)
    }

    /// Like [`Pose::at`], in each of `frames` frames.
    pub fn sample(poses: &[Self], frames: usize) -> Vec<Self> {
        let curve = Curve::new(poses);
        let time = |i: usize| i as f32 / (frames.max(2) - 1) as f32;
        (0..frames).map(|i| curve.at(time(i))).collect()
    }
}

/// Cleaned poses with what changes between them.
struct Curve {
    t: Vec<f32>,
    /// Rotation, logarithm of the scale, depth; and how fast each changes.
    values: [Vec<f32>; 3],
    slopes: [Vec<f32>; 3],
}

impl Curve {
    fn new(poses: &[Pose]) -> Self {
        let mut poses = Pose::cleaned(poses);
        match poses.first() {
            // What is said of the first frame is how the picture shows it.
            Some(&first) if first.t < SAME_TIME => {
                for pose in &mut poses {
                    pose.rotation -= first.rotation;
                    pose.scale /= first.scale;
                }
            }
            _ => poses.insert(0, Pose::default()),
        }
        let t: Vec<f32> = poses.iter().map(|p| p.t).collect();
        let of = |value: fn(&Pose) -> f32| poses.iter().map(value).collect::<Vec<f32>>();
        let values = [of(|p| p.rotation), of(|p| p.scale.ln()), of(|p| p.depth)];
        let slopes = values.each_ref().map(|v| velocities(&t, v));
        Self { t, values, slopes }
    }

    fn at(&self, t: f32) -> Pose {
        let next = self.t.partition_point(|&time| time <= t);
        let of = |k: usize| {
            let (v, slope) = (&self.values[k], &self.slopes[k]);
            // Also where `t` is no number.
            if next == 0 || next == v.len() {
                return v[next.max(1) - 1];
            }
            let h = self.t[next] - self.t[next - 1];
            let u = (t - self.t[next - 1]) / h;
            hermite(u, h, v[next - 1], v[next], slope[next - 1], slope[next])
        };
        Pose {
            t,
            rotation: of(0),
            scale: of(1).exp(),
            depth: of(2),
        }
    }
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
    fn a_turn_comes_from_how_the_picture_shows_it_and_stays_at_its_end() {
        let poses = [pose(0.5, 90.0, 2.0)];
        assert!(Pose::at(&poses, 0.0).is_still());
        let half = Pose::at(&poses, 0.25);
        assert!((half.rotation - 45.0).abs() < 1e-3 && (half.scale - 2f32.sqrt()).abs() < 1e-4);
        for t in [0.5, 0.9, 1.0, 7.0] {
            let end = Pose::at(&poses, t);
            assert!(
                (end.rotation - 90.0).abs() < 1e-3 && (end.scale - 2.0).abs() < 1e-4,
                "{t}"
            );
        }
        // What is said of the first frame is how the picture shows it.
        let poses = [pose(0.0, 30.0, 2.0), pose(1.0, 90.0, 1.0)];
        assert!(Pose::at(&poses, 0.0).is_still());
        let end = Pose::at(&poses, 1.0);
        assert!((end.rotation - 60.0).abs() < 1e-3 && (end.scale - 0.5).abs() < 1e-4);
    }

    proptest! {
        #[test]
        fn any_poses_become_usable_ones(
            given in prop::collection::vec((any::<f32>(), any::<f32>(), any::<f32>(), any::<f32>()), 0..40),
            t: f32,
        ) {
            let poses: Vec<Pose> = given
                .into_iter()
                .map(|(t, rotation, scale, depth)| Pose { t, rotation, scale, depth })
                .collect();
            let clean = Pose::cleaned(&poses);
            prop_assert!(clean.len() <= MAX_POSES && clean.iter().all(Pose::is_usable));
            prop_assert!(clean.windows(2).all(|w| w[0].t < w[1].t));
            prop_assert_eq!(&Pose::cleaned(&clean), &clean);
            let at = Pose::at(&poses, t);
            prop_assert!(at.rotation.is_finite() && at.scale.is_finite() && at.scale > 0.0);
            prop_assert!(Pose::at(&poses, 0.0).is_still());
        }
    }
}
