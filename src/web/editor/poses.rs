//! Turns, scales and depths over time: key poses, set by handles on the picture or as numbers, and moved on the timeline.

use super::{DRAG_THRESHOLD, Editor, Gesture, Outcome, PathOf, Tool, anchor};
use dragentity_core::scene::pose::{MAX_DEPTH, MAX_POSES, MAX_ROTATION, SCALES};
use dragentity_core::scene::{Entity, Pose};
use std::f32::consts::{FRAC_PI_2, FRAC_PI_4, PI, TAU};

/// Moments nearer than this, a fraction of the video, are one.
const SAME_MOMENT: f32 = 0.004;
/// With Shift turns go by so many degrees, and scales by so much.
const STEPS: [f32; 2] = [15.0, 0.1];
/// How near to the picture's edge a handle may be.
const EDGE: f32 = 0.02;
const MANY: &str =
    "Thirty-two turns and scales are the most for one thing. Delete some on the timeline.";

/// What of a pose is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PosePart {
    /// How it is turned, in degrees clockwise.
    Turn,
    /// How large it is, as a share of what it is in the picture.
    Scale,
    /// How near it is; what is greater is nearer.
    Depth,
}

impl PosePart {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Turn, Self::Scale, Self::Depth];

    /// Its value in a pose.
    pub fn of(self, pose: &Pose) -> f32 {
        match self {
            Self::Turn => pose.rotation,
            Self::Scale => pose.scale,
            Self::Depth => pose.depth,
        }
    }

    fn set(self, pose: &mut Pose, value: f32) {
        match self {
            Self::Turn => pose.rotation = value.clamp(-MAX_ROTATION, MAX_ROTATION),
            Self::Scale => pose.scale = value.clamp(*SCALES.start(), *SCALES.end()),
            Self::Depth => pose.depth = value.clamp(-MAX_DEPTH, MAX_DEPTH),
        }
    }
}

/// Where the selected entity is turned and scaled by hand, fractions of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoseHandles {
    /// What it is turned about.
    pub pivot: [f32; 2],
    /// The round one.
    pub turn: [f32; 2],
    /// The square one.
    pub scale: [f32; 2],
}

/// A pose in the pointer's hand.
pub struct Posed {
    index: usize,
    part: PosePart,
    /// The moment, a fraction of the video.
    t: f32,
    pivot: [f32; 2],
    /// Where it was pressed, and where the pointer was last.
    from: [f32; 2],
    last: [f32; 2],
    /// How far it has been turned, in radians.
    turned: f32,
    /// What it was.
    was: f32,
    poses: Vec<Pose>,
    moved: bool,
}

/// A key pose that is dragged on the timeline.
pub struct Keyed {
    index: usize,
    key: usize,
    was: f32,
    /// When it would be.
    pub(super) now: f32,
}

/// The poses with one changed, or put in, at a moment; `None` where there are too many.
fn with(poses: &[Pose], t: f32, part: PosePart, value: f32) -> Option<Vec<Pose>> {
    let mut poses = Pose::cleaned(poses);
    // At the very beginning all is as in the picture.
    let t = t.clamp(SAME_MOMENT, 1.0);
    let near = |pose: &&mut Pose| (pose.t - t).abs() < SAME_MOMENT;
    if let Some(pose) = poses.iter_mut().find(near) {
        part.set(pose, value);
        return Some(poses);
    }
    if poses.len() >= MAX_POSES {
        return None;
    }
    let mut pose = Pose {
        t,
        ..Pose::at(&poses, t)
    };
    part.set(&mut pose, value);
    poses.push(pose);
    Some(Pose::cleaned(&poses))
}

/// The poses as later ones are written: from the picture, of which the first may say how it is.
fn from_picture(poses: &[Pose]) -> Vec<Pose> {
    let poses = Pose::cleaned(poses);
    match poses.first().copied() {
        Some(first) if first.t < SAME_MOMENT => {
            let later = poses.iter().filter(|pose| pose.t >= SAME_MOMENT);
            let told = |pose: &Pose| Pose {
                rotation: pose.rotation - first.rotation,
                scale: pose.scale / first.scale,
                ..*pose
            };
            later.map(told).collect()
        }
        _ => poses,
    }
}

impl Editor {
    /// When poses are set: where the playhead is, or, where it is at the beginning, at the end.
    pub fn pose_time(&self) -> f32 {
        self.moment.unwrap_or(1.0)
    }

    /// How an entity is turned and scaled at the moment that poses are set at; as it is being changed.
    pub fn pose_now(&self, index: usize) -> Pose {
        let poses = self.poses_of(index);
        Pose::at(poses, self.pose_time())
    }

    /// An entity's poses, as they are being changed.
    fn poses_of(&self, index: usize) -> &[Pose] {
        match &self.gesture {
            Gesture::Pose(posed) if posed.index == index => &posed.poses,
            _ => self.scene.entities.get(index).map_or(&[], |e| &e.poses),
        }
    }

    /// The poses that are being changed, and whose they are.
    pub fn posed(&self) -> Option<(usize, &[Pose])> {
        match &self.gesture {
            Gesture::Pose(posed) => Some((posed.index, &posed.poses)),
            _ => None,
        }
    }

    /// Sets a turn, a scale or a depth at that moment.
    pub fn set_pose(&mut self, index: usize, part: PosePart, value: f32) -> Outcome {
        let Some(entity) = self.scene.entities.get(index) else {
            return Outcome::Nothing;
        };
        if !value.is_finite() || part.of(&self.pose_now(index)) == value {
            return Outcome::Changed;
        }
        match with(&from_picture(&entity.poses), self.pose_time(), part, value) {
            Some(poses) => self.keep_poses(index, poses),
            None => Outcome::Say(MANY),
        }
    }

    fn keep_poses(&mut self, index: usize, poses: Vec<Pose>) -> Outcome {
        let Some(entity) = self.scene.entities.get(index) else {
            return Outcome::Nothing;
        };
        let paths = entity.held_by().cloned().collect();
        let skeleton = entity.skeleton.clone();
        self.set_motion(index, paths, poses, skeleton)
    }

    /// The handles that turn and scale the selected entity, at the playhead's moment; there are none at the beginning, where all is as in
    /// the picture, and for people who are led by their joints.
    pub fn pose_handles(&self) -> Option<PoseHandles> {
        let t = self.moment?;
        let idle = matches!(self.gesture, Gesture::Idle | Gesture::Pose(_));
        let index = self.selected.filter(|_| idle && self.tool == Tool::Move)?;
        let entity = self.selected_open().filter(|e| e.skeleton.is_none())?;
        let first = PathOf::Handle { index, handle: 0 };
        let pivot = match self.path(first) {
            Some(path) => path.position(t),
            None => anchor(&entity.mask),
        };
        let bounds = entity.mask.bounding_box()?;
        let (width, height) = (entity.mask.width.max(1), entity.mask.height.max(1));
        let aspect = self.aspect();
        // In heights of the picture, as all that follows.
        let across = (bounds.x1 - bounds.x0) as f32 / width as f32 * aspect;
        let down = (bounds.y1 - bounds.y0) as f32 / height as f32;
        let reach = self.reach[1].max(0.005);
        let pose = self.pose_now(index);
        let radius = (across.max(down) / 2.0 * pose.scale).clamp(3.0 * reach, 0.45);
        let turned = pose.rotation.to_radians();
        let place = |angle: f32, away: f32| {
            let (sin, cos) = (turned + angle).sin_cos();
            let at = [pivot[0] + away * cos / aspect, pivot[1] + away * sin];
            at.map(|v| v.clamp(EDGE, 1.0 - EDGE))
        };
        Some(PoseHandles {
            pivot,
            turn: place(-FRAC_PI_2, radius + 2.0 * reach),
            scale: place(FRAC_PI_4, radius + reach),
        })
    }

    /// What a press there would take hold of.
    pub fn pose_part_at(&self, at: [f32; 2]) -> Option<PosePart> {
        let handles = self.pose_handles()?;
        let away = |place: [f32; 2]| {
            ((place[0] - at[0]) / self.reach[0]).hypot((place[1] - at[1]) / self.reach[1])
        };
        let both = [
            (PosePart::Turn, away(handles.turn)),
            (PosePart::Scale, away(handles.scale)),
        ];
        let near = both.into_iter().filter(|(_, away)| *away <= 1.3);
        let nearest = near.min_by(|a, b| a.1.total_cmp(&b.1));
        nearest.map(|(part, _)| part)
    }

    /// The pointer goes down on a handle.
    pub(super) fn take_pose(&mut self, part: PosePart, at: [f32; 2]) -> Outcome {
        let (Some(index), Some(t), Some(handles)) =
            (self.selected, self.moment, self.pose_handles())
        else {
            return Outcome::Nothing;
        };
        let own = self
            .scene
            .entities
            .get(index)
            .map(|e| from_picture(&e.poses));
        self.gesture = Gesture::Pose(Box::new(Posed {
            index,
            part,
            t,
            pivot: handles.pivot,
            from: at,
            last: at,
            turned: 0.0,
            was: part.of(&self.pose_now(index)),
            poses: own.unwrap_or_default(),
            moved: false,
        }));
        Outcome::Draw
    }

    /// The pointer moves with a handle in hand.
    pub(super) fn drag_pose(&mut self, at: [f32; 2], pixels: f32) -> Outcome {
        let (aspect, straight) = (self.aspect(), self.straight);
        let Gesture::Pose(posed) = &mut self.gesture else {
            return Outcome::Nothing;
        };
        if !posed.moved && pixels < DRAG_THRESHOLD {
            return Outcome::Nothing;
        }
        posed.moved = true;
        let arm = |p: [f32; 2]| [(p[0] - posed.pivot[0]) * aspect, p[1] - posed.pivot[1]];
        let long = |p: [f32; 2]| arm(p)[0].hypot(arm(p)[1]).max(1e-4);
        let angle = |p: [f32; 2]| arm(p)[1].atan2(arm(p)[0]);
        let stepped = |value: f32, step: f32| match straight {
            true => (value / step).round() * step,
            false => value,
        };
        let value = match posed.part {
            PosePart::Turn => {
                // Past half a turn it goes on.
                let more = angle(at) - angle(posed.last);
                let turned = posed.turned + (more + PI).rem_euclid(TAU) - PI;
                posed.turned = turned;
                stepped(posed.was + turned.to_degrees(), STEPS[0])
            }
            _ => stepped(posed.was * long(at) / long(posed.from), STEPS[1]),
        };
        posed.last = at;
        if let Some(poses) = with(&posed.poses, posed.t, posed.part, value) {
            posed.poses = poses;
        }
        Outcome::Draw
    }

    /// The pointer lets go of a handle.
    pub(super) fn keep_pose(&mut self, posed: Posed) -> Outcome {
        match posed.moved {
            true => self.keep_poses(posed.index, posed.poses),
            false => Outcome::Draw,
        }
    }

    /// The moments of an entity's key poses, rising, as they are being changed.
    pub fn keys(&self, index: usize) -> Vec<f32> {
        let mut times: Vec<f32> = match &self.gesture {
            Gesture::Retime(retimed) => self.retimed_keys(retimed, index),
            _ => self.poses_of(index).iter().map(|pose| pose.t).collect(),
        };
        if let Gesture::Key(keyed) = &self.gesture
            && keyed.index == index
            && let Some(time) = times.get_mut(keyed.key)
        {
            *time = keyed.now;
        }
        times
    }

    /// Begins to drag a key pose on the timeline.
    pub fn begin_key(&mut self, index: usize, key: usize) -> Outcome {
        let pose = self
            .scene
            .entities
            .get(index)
            .and_then(|e| e.poses.get(key));
        let Some(was) = pose.map(|pose| pose.t) else {
            return Outcome::Nothing;
        };
        self.gesture = Gesture::Key(Keyed {
            index,
            key,
            was,
            now: was,
        });
        Outcome::Draw
    }

    /// When a key pose may be, shifted by a fraction of the video: between those beside it.
    fn shifted_key(entity: &Entity, key: usize, by: f32) -> Option<f32> {
        let pose = entity.poses.get(key)?;
        let beside = |i: Option<usize>| i.and_then(|i| entity.poses.get(i)).map(|pose| pose.t);
        let low = beside(key.checked_sub(1)).map_or(SAME_MOMENT, |t| t + 2.0 * SAME_MOMENT);
        let high = beside(Some(key + 1)).map_or(1.0, |t| t - 2.0 * SAME_MOMENT);
        let by = if by.is_finite() { by } else { 0.0 };
        Some((pose.t + by).min(high).max(low.min(high)))
    }

    /// The key pose is dragged so far, a fraction of the video, from where it was.
    pub fn drag_key(&mut self, by: f32) -> Outcome {
        let Gesture::Key(keyed) = &mut self.gesture else {
            return Outcome::Nothing;
        };
        let entity = self.scene.entities.get(keyed.index);
        if let Some(now) = entity.and_then(|e| Self::shifted_key(e, keyed.key, by)) {
            keyed.now = now;
        }
        Outcome::Draw
    }

    /// The key pose is let go.
    pub(super) fn keep_key(&mut self, keyed: &Keyed) -> Outcome {
        match keyed.now == keyed.was {
            true => Outcome::Changed,
            false => self.shift_key(keyed.index, keyed.key, keyed.now - keyed.was),
        }
    }

    /// Shifts a key pose by a fraction of the video.
    pub fn shift_key(&mut self, index: usize, key: usize, by: f32) -> Outcome {
        let Some(entity) = self.scene.entities.get(index) else {
            return Outcome::Nothing;
        };
        let Some(t) = Self::shifted_key(entity, key, by) else {
            return Outcome::Nothing;
        };
        let mut poses = entity.poses.clone();
        poses[key].t = t;
        self.keep_poses(index, poses)
    }

    /// Takes a key pose away.
    pub fn delete_key(&mut self, index: usize, key: usize) -> Outcome {
        let entity = self.scene.entities.get(index);
        let Some(entity) = entity.filter(|entity| key < entity.poses.len()) else {
            return Outcome::Nothing;
        };
        let mut poses = entity.poses.clone();
        poses.remove(key);
        self.keep_poses(index, poses)
    }
}
