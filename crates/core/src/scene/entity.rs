//! What an entity's trajectories say together.

use super::{Entity, Pose, Scene, Skeleton, Trajectory};

/// Most further trajectories of one entity.
pub const MAX_HANDLES: usize = 24;

impl Scene {
    /// The scene as jobs have it, without what is hidden. The others keep their colours, which are by position else.
    pub fn without_hidden(mut self) -> Self {
        if self.entities.iter().any(|entity| entity.look.hidden) {
            for (entity, position) in self.entities.iter_mut().zip(0..) {
                entity.look.colour.get_or_insert(position);
            }
            self.entities.retain(|entity| !entity.look.hidden);
        }
        self
    }
}

impl Entity {
    /// Two of it for one: itself, and the same thing again, which strays from its path by `by` (fractions of the picture) up to
    /// its end. What nobody leads is held, else nothing would be left of it where the other is led away.
    pub fn doubled(&self, by: [f32; 2]) -> [Self; 2] {
        let mut first = self.clone();
        if !self.has_motion() {
            let [x, y] = self.mask.centroid().unwrap_or([0.5; 2]);
            first.trajectory = Some(Trajectory::pin(x, y));
        }
        let mut second = self.clone();
        if self.is_pinned() {
            // Two that stay are one to the eye: this one waits to be led.
            (second.trajectory, second.handles) = (None, Vec::new());
        }
        for path in second.trajectory.iter_mut().chain(&mut second.handles) {
            *path = path.straying(by);
        }
        [first, second]
    }

    /// All trajectories on it, the first one first.
    pub fn held_by(&self) -> impl Iterator<Item = &Trajectory> {
        self.trajectory.iter().chain(&self.handles)
    }

    /// Whether something is said of how it moves, be it that it stays.
    pub fn has_motion(&self) -> bool {
        self.held_by().next().is_some() || !self.poses.is_empty()
    }

    /// Whether any of it leaves its place.
    pub fn moves(&self) -> bool {
        self.held_by().any(|path| !path.is_pin()) || self.poses.iter().any(|pose| !pose.is_still())
    }

    /// Whether it is held where it is.
    pub fn is_pinned(&self) -> bool {
        self.held_by().next().is_some() && !self.moves()
    }

    /// The same motion, its first handle in `trajectory`.
    pub fn with_first_handle(mut self) -> Self {
        if self.trajectory.is_none() && !self.handles.is_empty() {
            self.trajectory = Some(self.handles.remove(0));
        }
        self
    }

    /// The same motion in a form that everything else can rely on: trajectories and poses cleaned, the first handle in
    /// `trajectory`, at most [`MAX_HANDLES`] more.
    pub fn with_clean_motion(self) -> Self {
        let mut entity = self.with_first_handle();
        entity.trajectory = entity.trajectory.as_ref().map(Trajectory::cleaned);
        entity.handles.truncate(MAX_HANDLES);
        entity.handles = entity.handles.iter().map(Trajectory::cleaned).collect();
        entity.poses = Pose::cleaned(&entity.poses);
        entity.skeleton = entity.skeleton.filter(Skeleton::is_usable);
        entity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Look;

    #[test]
    fn what_is_hidden_is_in_no_job_and_costs_nobody_a_colour() {
        let entity = |name: &str, hidden| Entity {
            name: name.into(),
            look: Look {
                hidden,
                ..Look::default()
            },
            ..Entity::default()
        };
        let scene = |entities| Scene {
            entities,
            ..Scene::default()
        };
        let all = scene(vec![entity("a", false), entity("b", false)]);
        assert_eq!(all.clone().without_hidden().entities, all.entities);
        let some = scene(vec![entity("a", true), entity("b", false)]).without_hidden();
        assert_eq!(some.entities.len(), 1);
        assert_eq!(
            (some.entities[0].name.as_str(), some.entities[0].look.colour),
            ("b", Some(1))
        );
    }

    #[test]
    fn two_of_one_thing_part() {
        let led = Entity {
            trajectory: Some(Trajectory::line([0.2, 0.2], [0.6, 0.2])),
            ..Entity::default()
        };
        let [first, second] = led.doubled([0.05, 0.1]);
        assert_eq!(first, led);
        let path = second.trajectory.unwrap();
        assert_eq!(path.start(), [0.2, 0.2]);
        let [x, y] = path.position(1.0);
        assert!((x - 0.65).abs() < 1e-6 && (y - 0.3).abs() < 1e-6);
        // What stays is held where its copy goes away.
        let [first, second] = Entity::default().doubled([0.1, 0.1]);
        assert!(first.is_pinned() && !second.has_motion());
        let [first, second] = first.doubled([0.1, 0.1]);
        assert!(first.is_pinned() && !second.has_motion());
    }

    #[test]
    fn what_moves_and_what_is_held() {
        let pin = || Trajectory::pin(0.2, 0.2);
        let mut entity = Entity::default();
        assert!(!entity.has_motion() && !entity.moves() && !entity.is_pinned());
        entity.handles = vec![pin(), pin()];
        assert!(entity.has_motion() && entity.is_pinned());
        let mut entity = entity.with_clean_motion();
        assert_eq!(
            (entity.trajectory.clone(), entity.handles.len()),
            (Some(pin()), 1)
        );
        entity
            .handles
            .push(Trajectory::line([0.1, 0.1], [0.4, 0.1]));
        assert!(entity.moves() && !entity.is_pinned());
        entity.handles = vec![pin(); 99];
        entity.poses = vec![Pose {
            t: 1.0,
            rotation: 30.0,
            ..Pose::default()
        }];
        assert!(entity.moves());
        assert_eq!(entity.with_clean_motion().handles.len(), MAX_HANDLES);
    }
}
