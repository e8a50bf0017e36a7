//! The timeline: from when to when things move, and with which rhythm.

use super::{Editor, Gesture, Outcome, PathOf, TOLERANCE};
use dragentity_core::scene::pose::MAX_POSES;
use dragentity_core::scene::trajectory::{Ease, LEAST_SPAN, Pace, carried_over};
use dragentity_core::scene::{Entity, Pose, Trajectory, View};

/// What has a lane of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// An entity, by its position.
    Entity(usize),
    /// The camera.
    Camera,
}

impl From<usize> for Lane {
    fn from(index: usize) -> Self {
        Self::Entity(index)
    }
}

/// What of a lane's bar is dragged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where it begins.
    Start,
    /// Where it ends.
    End,
    /// All of it.
    Both,
}

/// A motion while it is shifted in time.
pub struct Retimed {
    lane: Lane,
    end: End,
    was: [f32; 2],
    now: [f32; 2],
}

/// A rhythm while it is drawn by hand.
pub struct Paced {
    lane: Lane,
    knob: usize,
    was: Pace,
    now: Pace,
}

/// A rhythm with one of its knobs raised; those that it would pass go along.
fn raised(Pace(mut ways): Pace, knob: usize, by: f32) -> Pace {
    let by = if by.is_finite() { by } else { 0.0 };
    if let Some(way) = ways.get_mut(knob) {
        *way = (*way + by).clamp(0.0, 1.0);
        let way = *way;
        for (i, other) in ways.iter_mut().enumerate() {
            *other = if i < knob {
                other.min(way)
            } else {
                other.max(way)
            };
        }
    }
    Pace(ways)
}

/// A span of time with one of its ends, or all of it, shifted by a fraction of the video; within the video, no shorter than it may be.
fn shifted([from, to]: [f32; 2], end: End, by: f32) -> [f32; 2] {
    let by = if by.is_finite() { by } else { 0.0 };
    match end {
        End::Start => [(from + by).clamp(0.0, (to - LEAST_SPAN).max(0.0)), to],
        End::End => [from, (to + by).clamp((from + LEAST_SPAN).min(1.0), 1.0)],
        End::Both => {
            let by = by.clamp(-from, (1.0 - to).max(-from));
            [from + by, to + by]
        }
    }
}

/// From when to when poses turn and scale: from the picture on, or from the last moment at which it is still as there.
fn poses_span(poses: &[Pose]) -> Option<[f32; 2]> {
    let still = poses.iter().take_while(|pose| pose.is_still()).last();
    Some([still.map_or(0.0, |pose| pose.t), poses.last()?.t])
}

impl Editor {
    /// Everything that moves: the entities as they are listed, then the camera.
    pub fn lanes(&self) -> Vec<Lane> {
        let entities = self.scene.entities.iter().enumerate();
        let path = self.scene.background.as_ref();
        let moves = path.is_some_and(|path| !path.is_pin());
        let camera = moves || !self.poses(Lane::Camera).is_empty();
        entities
            .filter(|(_, entity)| entity.moves() && !entity.look.hidden)
            .map(|(index, _)| Lane::Entity(index))
            .chain(camera.then_some(Lane::Camera))
            .collect()
    }

    /// The paths of a lane that lead anywhere, as they are in the scene.
    fn moving(&self, lane: Lane) -> Vec<(PathOf, &Trajectory)> {
        let paths: Vec<(PathOf, &Trajectory)> = match lane {
            Lane::Camera => {
                let camera = self.scene.background.iter();
                camera.map(|path| (PathOf::Camera, path)).collect()
            }
            Lane::Entity(index) => {
                let entity = self.scene.entities.get(index).into_iter();
                let handles = entity.flat_map(Entity::held_by).enumerate();
                handles
                    .map(|(handle, path)| (PathOf::Handle { index, handle }, path))
                    .collect()
            }
        };
        paths
            .into_iter()
            .filter(|(_, path)| !path.is_pin())
            .collect()
    }

    /// Its key poses, as they are in the scene.
    pub(super) fn poses(&self, lane: Lane) -> &[Pose] {
        match lane {
            Lane::Entity(index) => self.scene.entities.get(index).map_or(&[], |e| &e.poses),
            Lane::Camera => &self.scene.view.poses,
        }
    }

    /// From when to when it moves, fractions of the video; as it is being dragged.
    pub fn span(&self, lane: Lane) -> [f32; 2] {
        match &self.gesture {
            Gesture::Retime(retimed) if retimed.lane == lane => retimed.now,
            _ => self.span_at_rest(lane),
        }
    }

    fn span_at_rest(&self, lane: Lane) -> [f32; 2] {
        let paths = self.moving(lane);
        let poses = poses_span(self.poses(lane));
        let spans = paths.iter().map(|(_, path)| path.span()).chain(poses);
        let all = spans.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]);
        all.unwrap_or([0.0, 1.0])
    }

    /// The times at which its paths have knobs, rising.
    pub fn ticks(&self, lane: Lane) -> Vec<f32> {
        let (was, now) = (self.span_at_rest(lane), self.span(lane));
        let apart = self.grasp[0] * self.aspect().min(1.0);
        let knobs = |(_, path): (PathOf, &Trajectory)| {
            let path = path.cleaned();
            let knobs = path.knobs(apart, self.aspect(), None).into_iter();
            knobs.map(|i| path.points[i].t).collect::<Vec<_>>()
        };
        let paths = self.moving(lane).into_iter().flat_map(knobs);
        let mut times: Vec<f32> = paths.map(|t| carried_over(t, was, now)).collect();
        times.sort_by(f32::total_cmp);
        times.dedup_by(|a, b| *a - *b < 0.005);
        times
    }

    /// The rhythm of all its paths, if they have the same and it has a name.
    pub fn ease(&self, lane: Lane) -> Option<Ease> {
        let aspect = self.aspect();
        let mut eases = self
            .moving(lane)
            .into_iter()
            .map(|(_, path)| path.ease(aspect));
        let first = eases.next()??;
        eases.all(|ease| ease == Some(first)).then_some(first)
    }

    /// Gives all its paths a rhythm.
    pub fn set_ease(&mut self, lane: Lane, ease: Ease) -> Outcome {
        let aspect = self.aspect();
        self.give_rhythm(lane, |path| path.eased(ease, aspect))
    }

    fn give_rhythm(&mut self, lane: Lane, rhythm: impl Fn(&Trajectory) -> Trajectory) -> Outcome {
        let aspect = self.aspect();
        let given = |path: &Trajectory| rhythm(path).simplified(TOLERANCE / 2.0, aspect);
        self.change_paths(lane, given, |poses| poses)
    }

    /// How much of the way of its first path is done when; as it is being drawn.
    pub fn pace(&self, lane: Lane) -> Option<Pace> {
        match &self.gesture {
            Gesture::Pace(paced) if paced.lane == lane => Some(paced.now),
            _ => {
                let moving = self.moving(lane);
                moving.first()?.1.pace(self.aspect())
            }
        }
    }

    /// Begins to draw a rhythm by one of its knobs.
    pub fn begin_pace(&mut self, lane: Lane, knob: usize) -> Outcome {
        let Some(was) = self.pace(lane) else {
            return Outcome::Nothing;
        };
        self.gesture = Gesture::Pace(Paced {
            lane,
            knob,
            was,
            now: was,
        });
        Outcome::Draw
    }

    /// The knob is dragged so far upwards, a fraction of the way.
    pub fn drag_pace(&mut self, by: f32) -> Outcome {
        let Gesture::Pace(paced) = &mut self.gesture else {
            return Outcome::Nothing;
        };
        paced.now = raised(paced.was, paced.knob, by);
        Outcome::Draw
    }

    /// The knob is let go.
    pub(super) fn keep_paced(&mut self, paced: &Paced) -> Outcome {
        match paced.now == paced.was {
            true => Outcome::Changed,
            false => self.set_pace(paced.lane, paced.now),
        }
    }

    /// Raises a knob of a lane's rhythm by a fraction of the way.
    pub fn raise_pace(&mut self, lane: Lane, knob: usize, by: f32) -> Outcome {
        match self.pace(lane) {
            Some(pace) => self.set_pace(lane, raised(pace, knob, by)),
            None => Outcome::Nothing,
        }
    }

    fn set_pace(&mut self, lane: Lane, pace: Pace) -> Outcome {
        let aspect = self.aspect();
        self.give_rhythm(lane, |path| path.paced(pace, aspect))
    }

    /// Shifts its motion, or one end of it, by a fraction of the video.
    pub fn retime(&mut self, lane: Lane, end: End, by: f32) -> Outcome {
        let was = self.span_at_rest(lane);
        self.set_span(lane, was, shifted(was, end, by))
    }

    /// Begins to drag a lane's bar.
    pub fn begin_retime(&mut self, lane: Lane, end: End) -> Outcome {
        if !self.lanes().contains(&lane) {
            return Outcome::Nothing;
        }
        let was = self.span_at_rest(lane);
        self.gesture = Gesture::Retime(Retimed {
            lane,
            end,
            was,
            now: was,
        });
        Outcome::Draw
    }

    /// The bar is dragged so far, a fraction of the video, from where it was.
    pub fn drag_retime(&mut self, by: f32) -> Outcome {
        let Gesture::Retime(retimed) = &mut self.gesture else {
            return Outcome::Nothing;
        };
        retimed.now = shifted(retimed.was, retimed.end, by);
        Outcome::Draw
    }

    /// The bar is let go.
    pub(super) fn keep_retimed(&mut self, retimed: &Retimed) -> Outcome {
        self.set_span(retimed.lane, retimed.was, retimed.now)
    }

    /// The paths of the lane whose bar is dragged, as they would be.
    pub(super) fn retimed_paths(&self, retimed: &Retimed) -> Vec<(PathOf, Trajectory)> {
        let paths = self.moving(retimed.lane).into_iter();
        paths
            .map(|(of, path)| (of, path.retimed(retimed.was, retimed.now)))
            .collect()
    }

    /// The moments of a lane's key poses, as they would be.
    pub(super) fn retimed_keys(&self, retimed: &Retimed, lane: Lane) -> Vec<f32> {
        let times = self.poses(lane).iter().map(|pose| pose.t);
        match retimed.lane == lane {
            true => times
                .map(|t| carried_over(t, retimed.was, retimed.now))
                .collect(),
            false => times.collect(),
        }
    }

    fn set_span(&mut self, lane: Lane, was: [f32; 2], now: [f32; 2]) -> Outcome {
        if was == now {
            return Outcome::Draw;
        }
        let poses = |mut poses: Vec<Pose>| {
            let begins = poses.first().is_some_and(|pose| !pose.is_still());
            for pose in &mut poses {
                pose.t = carried_over(pose.t, was, now);
            }
            if begins && now[0] > was[0] && poses.len() < MAX_POSES {
                // Until then it is as in the picture, from which it came at once.
                let still = Pose {
                    t: now[0],
                    ..Pose::default()
                };
                poses.insert(0, still);
            }
            poses
        };
        self.change_paths(lane, |path| path.retimed(was, now), poses)
    }

    /// Changes all paths of a lane that lead anywhere, and its poses, in one step.
    pub(super) fn change_paths(
        &mut self,
        lane: Lane,
        change: impl Fn(&Trajectory) -> Trajectory,
        poses: impl FnOnce(Vec<Pose>) -> Vec<Pose>,
    ) -> Outcome {
        self.knob = None;
        match lane {
            Lane::Camera if self.scene.is_camera_still() => Outcome::Nothing,
            Lane::Camera => {
                let path = self.scene.background.as_ref().map(change);
                let view = View {
                    poses: poses(self.scene.view.poses.clone()),
                    ..self.scene.view.clone()
                };
                self.set_camera(path, view)
            }
            Lane::Entity(index) => {
                let Some(entity) = self.scene.entities.get(index) else {
                    return Outcome::Nothing;
                };
                let changed = |path: &Trajectory| match path.is_pin() {
                    true => path.clone(),
                    false => change(path),
                };
                let paths = entity.held_by().map(changed).collect();
                let (own, skeleton) = (entity.poses.clone(), entity.skeleton.clone());
                self.set_motion(index, paths, poses(own), skeleton)
            }
        }
    }
}
