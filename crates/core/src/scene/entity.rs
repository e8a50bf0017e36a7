//! What an entity's trajectories say together.

use super::{Entity, Pose, Skeleton, Trajectory};

/// Most further trajectories of one entity.
pub const MAX_HANDLES: usize = 24;

impl Entity {
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
