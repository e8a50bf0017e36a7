//! A camera that goes round something, over ground that goes off to a horizon: what is far goes along with it, what is near the other way.

use super::parts::{Held, held_together};
use super::{Entity, Scene, Trajectory, TrajectoryPoint};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The rows between which a horizon may be. Above the picture, what is seen lies farther down.
pub const HORIZONS: RangeInclusive<f32> = -1.0..=0.9;
/// The row where most pictures have it.
pub const HORIZON: f32 = 0.42;
/// The least height from the horizon to what the camera goes round, a fraction of the picture's.
const LEAST_HEIGHT: f32 = 0.1;

/// A ground that goes off to a horizon, past which the camera goes sideways, or rises, and looks at the same place of it all the time: that
/// place stays, what is farther goes along with the camera, what is nearer goes the other way. Of a plane seen from above, the shift of a
/// row grows evenly from the horizon down, as its nearness does; beyond the horizon everything is as far as that.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ground {
    /// Row of the horizon, a fraction of the height.
    horizon: f32,
    /// The row that stays, below that.
    stands: f32,
}

impl Ground {
    /// Of a horizon, and the row that stays; which is kept below that.
    pub fn new(horizon: f32, stands: f32) -> Self {
        let within = |v: f32| if v.is_finite() { v } else { 0.5 };
        let stands = within(stands).clamp(0.0, 1.0);
        let highest = (stands - LEAST_HEIGHT).min(*HORIZONS.end());
        Self {
            horizon: within(horizon).clamp(*HORIZONS.start(), highest),
            stands,
        }
    }

    /// The same in a form that everything else can rely on; files may have anything.
    pub fn cleaned(self) -> Self {
        Self::new(self.horizon, self.stands)
    }

    /// Why it cannot be used as it is, if it cannot: the end of a sentence that begins with what it is.
    pub fn fault(self) -> Option<String> {
        let usable = HORIZONS.contains(&self.horizon) && (0.0..=1.0).contains(&self.stands);
        (!usable).then(|| {
            format!(
                "has a horizon that is not {} to {} of the height, or goes round a row that is not 0 to 1; change it",
                HORIZONS.start(),
                HORIZONS.end()
            )
        })
    }

    /// Row of the horizon.
    pub fn horizon(self) -> f32 {
        self.horizon
    }

    /// The row that stays.
    pub fn stands(self) -> f32 {
        self.stands
    }

    /// By which share of the camera's way the ground is moved at a row: 1 at the horizon and above it, 0 where it stays.
    pub fn share(self, row: f32) -> f32 {
        let down = row.max(self.horizon) - self.horizon;
        1.0 - down / (self.stands - self.horizon)
    }

    /// How the share changes with the row, below the horizon.
    pub fn slope(self) -> f32 {
        -1.0 / (self.stands - self.horizon)
    }

    /// Where a row of the picture is when the camera is `up` (a fraction of the height, down where positive) off its place.
    fn row(self, row: f32, up: f32) -> f32 {
        row + self.bounded(up) * self.share(row)
    }

    /// The row of the picture that is seen at a row.
    pub fn undo(self, row: f32, up: f32) -> f32 {
        let up = self.bounded(up);
        if row <= self.row(self.horizon, up) {
            return row - up;
        }
        // row = from + up * (1 + slope * (from - horizon))
        (row - up * (1.0 - self.slope() * self.horizon)) / (1.0 + up * self.slope())
    }

    /// Not so far up or down that the ground would be seen from beneath.
    fn bounded(self, up: f32) -> f32 {
        let most = 0.5 * (self.stands - self.horizon);
        up.clamp(-most, most)
    }

    /// The camera's way, so far as the ground bears it.
    pub fn led(self, [x, y]: [f32; 2]) -> [f32; 2] {
        [x, self.bounded(y)]
    }
}

impl Entity {
    /// The row on which it stands: that of its lowest point, a fraction of the height.
    pub fn foot(&self) -> Option<f32> {
        let bounds = self.mask.bounding_box()?;
        Some(bounds.y1 as f32 / self.mask.height.max(1) as f32)
    }
}

impl Scene {
    /// What each entity does: [`held_together`], and where the camera goes round something, what nobody leads goes past that as the
    /// ground does on which it stands.
    pub fn held(&self, most: usize) -> Vec<Held> {
        let mut held = held_together(&self.entities, most);
        let Some((ground, way)) = self.view.ground().zip(self.background.as_ref()) else {
            return held;
        };
        let led = |held: &&Held| held.trajectory.is_some();
        let mut room = most.saturating_sub(held.iter().filter(led).count());
        for (held, entity) in held.iter_mut().zip(&self.entities) {
            let is_led = held.trajectory.is_some() || !held.poses.is_empty();
            if !is_led && !entity.look.hidden && room > 0 {
                held.trajectory = ground.past(entity, way);
                room -= usize::from(held.trajectory.is_some());
            }
        }
        held
    }
}

impl Ground {
    /// The way of something that stands on it while the camera goes its own.
    pub fn past(self, entity: &Entity, camera: &Trajectory) -> Option<Trajectory> {
        let (share, [x, y]) = (self.share(entity.foot()?), entity.mask.centroid()?);
        let from = camera.start();
        let place = |point: &TrajectoryPoint| {
            let [dx, dy] = self.led([point.x - from[0], point.y - from[1]]);
            TrajectoryPoint {
                x: x + share * dx,
                y: y + share * dy,
                ..*point
            }
        };
        Some(Trajectory {
            points: camera.points.iter().map(place).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Mask, View};
    use proptest::prelude::*;

    #[test]
    fn what_is_gone_round_stays_and_what_is_near_and_far_goes_past() {
        let ground = Ground::new(0.4, 0.8);
        let shares = [0.0, 0.4, 0.6, 0.8, 1.0].map(|row| ground.share(row));
        for (share, expected) in shares.into_iter().zip([1.0, 1.0, 0.5, 0.0, -0.5]) {
            assert!((share - expected).abs() < 1e-6, "{shares:?}");
        }
        // However it is asked for, the horizon is above what stands.
        assert!(Ground::new(0.9, 0.3).share(0.3).abs() < 1e-6);
        assert!(Ground::new(f32::NAN, f32::NAN).share(0.0).is_finite());
        let odd = Ground {
            horizon: 0.95,
            stands: f32::INFINITY,
        };
        assert!(odd.fault().unwrap().contains("horizon"));
        assert_eq!(odd.cleaned().fault(), None);
    }

    #[test]
    fn what_nobody_leads_goes_past_as_the_ground_does() {
        let at = |from: usize| {
            let mut mask = Mask::empty(10, 10);
            mask.alpha[from * 10..(from + 2) * 10].fill(255);
            Entity {
                mask,
                ..Entity::default()
            }
        };
        let mut scene = Scene {
            entities: vec![at(1), at(6), at(8), at(4)],
            background: Some(Trajectory::line([0.5, 0.5], [0.7, 0.5])),
            ..Scene::default()
        };
        scene.entities[3].look.hidden = true;
        // Flat: nothing leaves its place in the ground.
        assert!(scene.held(9).iter().all(|held| held.trajectory.is_none()));
        scene.view = View {
            ground: Some(Ground::new(0.4, 0.8)),
            ..View::default()
        };
        let held = scene.held(9);
        let ways = held.iter().map(|held| {
            let path = held.trajectory.as_ref()?;
            Some(path.position(1.0)[0] - path.start()[0])
        });
        let ways: Vec<Option<f32>> = ways.collect();
        for (way, expected) in ways.iter().zip([0.2, 0.0, -0.1]) {
            assert!((way.unwrap() - expected).abs() < 1e-5, "{ways:?}");
        }
        assert_eq!(ways[3], None, "it is part of the picture");
        let some = scene.held(1);
        assert_eq!(
            some.iter().filter(|held| held.trajectory.is_some()).count(),
            1
        );
    }

    proptest! {
        #[test]
        fn a_row_is_seen_where_it_is_led(
            horizon in -1.0f32..0.9,
            stands in 0.0f32..=1.0,
            row in -0.5f32..1.5,
            up in -2.0f32..2.0,
        ) {
            let ground = Ground::new(horizon, stands);
            let back = ground.undo(ground.row(row, up), up);
            prop_assert!((back - row).abs() < 1e-3, "{back} {row}");
        }
    }
}
