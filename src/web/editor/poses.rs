//! Turns, scales and depths over time: key poses, set by handles on the picture or as numbers, and moved on the timeline.

use super::{DRAG_THRESHOLD, Editor, Gesture, Lane, Outcome, PathOf, Tool, anchor};
use dragentity_core::scene::pose::{MAX_DEPTH, MAX_POSES, MAX_ROTATION, SCALES};
use dragentity_core::scene::view::{Seen, ZOOMS};
use dragentity_core::scene::{Pose, View};
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
    /// The place that the camera's view is about, which is no number.
    Place,
}

impl PosePart {
    /// Those that are numbers.
    pub const ALL: [Self; 3] = [Self::Turn, Self::Scale, Self::Depth];

    /// Its value in a pose.
    pub fn of(self, pose: &Pose) -> f32 {
        match self {
            Self::Turn => pose.rotation,
            Self::Scale => pose.scale,
            Self::Depth => pose.depth,
            Self::Place => 0.0,
        }
    }

    fn set(self, pose: &mut Pose, value: f32, of: Lane) {
        let scales = match of {
            Lane::Entity(_) => SCALES,
            Lane::Camera => ZOOMS,
        };
        match self {
            Self::Turn => pose.rotation = value.clamp(-MAX_ROTATION, MAX_ROTATION),
            Self::Scale => pose.scale = value.clamp(*scales.start(), *scales.end()),
            Self::Depth => pose.depth = value.clamp(-MAX_DEPTH, MAX_DEPTH),
            Self::Place => {}
        }
    }
}

/// Where the selected entity, or the camera's view, is turned and scaled by hand, fractions of the picture.
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
    of: Lane,
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
    /// Where the camera's view was held, and would be.
    about: [[f32; 2]; 2],
    poses: Vec<Pose>,
    moved: bool,
}

/// A key pose that is dragged on the timeline.
pub struct Keyed {
    of: Lane,
    key: usize,
    was: f32,
    /// When it would be.
    pub(super) now: f32,
}

/// The poses with one changed, or put in, at a moment; `None` where there are too many.
fn with(of: Lane, poses: &[Pose], t: f32, part: PosePart, value: f32) -> Option<Vec<Pose>> {
    let mut poses = Pose::cleaned(poses);
    // At the very beginning all is as in the picture.
    let t = t.clamp(SAME_MOMENT, 1.0);
    let near = |pose: &&mut Pose| (pose.t - t).abs() < SAME_MOMENT;
    if let Some(pose) = poses.iter_mut().find(near) {
        part.set(pose, value, of);
        return Some(poses);
    }
    if poses.len() >= MAX_POSES {
        return None;
    }
    let mut pose = Pose {
        t,
        ..Pose::at(&poses, t)
    };
    part.set(&mut pose, value, of);
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

    /// How an entity, or the camera's view, is turned and scaled at the moment that poses are set at; as it is being changed.
    pub fn pose_now(&self, of: impl Into<Lane>) -> Pose {
        let poses = self.poses_of(of.into());
        Pose::at(poses, self.pose_time())
    }

    /// Its poses, as they are being changed.
    fn poses_of(&self, of: Lane) -> &[Pose] {
        match &self.gesture {
            Gesture::Pose(posed) if posed.of == of => &posed.poses,
            _ => self.poses(of),
        }
    }

    /// The poses of an entity that are being changed, and whose they are.
    pub fn posed(&self) -> Option<(usize, &[Pose])> {
        match &self.gesture {
            Gesture::Pose(posed) => match posed.of {
                Lane::Entity(index) => Some((index, &posed.poses)),
                Lane::Camera => None,
            },
            _ => None,
        }
    }

    /// How the camera looks at the scene, as it is being changed.
    pub fn view(&self) -> View {
        match &self.gesture {
            Gesture::Pose(posed) if posed.of == Lane::Camera => View {
                about: posed.about[1],
                poses: posed.poses.clone(),
                ground: self.scene.view.ground,
            },
            Gesture::Key(keyed) if keyed.of == Lane::Camera => {
                let mut view = self.scene.view.clone();
                if let Some(pose) = view.poses.get_mut(keyed.key) {
                    pose.t = keyed.now;
                }
                view
            }
            _ => self.scene.view.clone(),
        }
    }

    /// Sets a turn, a scale or a depth at that moment.
    pub fn set_pose(&mut self, of: impl Into<Lane>, part: PosePart, value: f32) -> Outcome {
        let of = of.into();
        if matches!(of, Lane::Entity(index) if index >= self.scene.entities.len()) {
            return Outcome::Nothing;
        }
        if !value.is_finite() || part.of(&self.pose_now(of)) == value {
            return Outcome::Changed;
        }
        let poses = from_picture(self.poses(of));
        match with(of, &poses, self.pose_time(), part, value) {
            Some(poses) => self.keep_poses(of, poses),
            None => Outcome::Say(MANY),
        }
    }

    fn keep_poses(&mut self, of: Lane, poses: Vec<Pose>) -> Outcome {
        match of {
            Lane::Entity(index) => {
                let Some(entity) = self.scene.entities.get(index) else {
                    return Outcome::Nothing;
                };
                let paths = entity.held_by().cloned().collect();
                let skeleton = entity.skeleton.clone();
                self.set_motion(index, paths, poses, skeleton)
            }
            Lane::Camera => {
                let view = View {
                    poses,
                    ..self.scene.view.clone()
                };
                self.set_view(view)
            }
        }
    }

    /// What the handles turn and scale, if there are any: the selected entity, or, with its tool, the camera's view.
    fn in_pose_hand(&self) -> Option<Lane> {
        match self.tool {
            Tool::Camera => Some(Lane::Camera),
            Tool::Move => {
                let open = self.selected_open().filter(|e| e.skeleton.is_none());
                open.and(self.selected).map(Lane::Entity)
            }
            _ => None,
        }
    }

    /// The handles that turn and scale what is in hand, at the playhead's moment; there are none at the beginning, where all is as in
    /// the picture, and for people who are led by their joints.
    pub fn pose_handles(&self) -> Option<PoseHandles> {
        let t = self.moment?;
        if !matches!(self.gesture, Gesture::Idle | Gesture::Pose(_)) {
            return None;
        }
        let aspect = self.aspect();
        let reach = self.reach[1].max(0.005);
        let inside = |at: [f32; 2]| at.map(|v| v.clamp(EDGE, 1.0 - EDGE));
        let index = match self.in_pose_hand()? {
            Lane::Entity(index) => index,
            Lane::Camera => {
                // On the frame that is seen: in the corner that is far from what it is about, and below the middle of its upper side.
                let seen = self.view().at(t);
                let far = |v: f32| if v > 0.5 { 0.0 } else { 1.0 };
                let turned = seen.undo([0.5, 3.0 * reach], aspect);
                return Some(PoseHandles {
                    pivot: seen.about,
                    turn: inside(turned),
                    scale: inside(seen.undo(seen.about.map(far), aspect)),
                });
            }
        };
        let entity = self.scene.entities.get(index)?;
        let first = PathOf::Handle { index, handle: 0 };
        let pivot = match self.path(first) {
            Some(path) => path.position(t),
            None => anchor(&entity.mask),
        };
        let bounds = entity.mask.bounding_box()?;
        let (width, height) = (entity.mask.width.max(1), entity.mask.height.max(1));
        // In heights of the picture, as all that follows.
        let across = (bounds.x1 - bounds.x0) as f32 / width as f32 * aspect;
        let down = (bounds.y1 - bounds.y0) as f32 / height as f32;
        let pose = self.pose_now(index);
        let radius = (across.max(down) / 2.0 * pose.scale).clamp(3.0 * reach, 0.45);
        let turned = pose.rotation.to_radians();
        let place = |angle: f32, away: f32| {
            let (sin, cos) = (turned + angle).sin_cos();
            inside([pivot[0] + away * cos / aspect, pivot[1] + away * sin])
        };
        Some(PoseHandles {
            pivot,
            turn: place(-FRAC_PI_2, radius + 2.0 * reach),
            scale: place(FRAC_PI_4, radius + reach),
        })
    }

    /// The corners of what the camera sees at the playhead's moment, where that is not the whole picture or is in hand: its upper left one
    /// first, on round.
    pub fn camera_frame(&self) -> Option<[[f32; 2]; 4]> {
        let seen: Seen = self.view().at(self.moment?);
        let shown = self.in_pose_hand() == Some(Lane::Camera) || !seen.is_still();
        let aspect = self.aspect();
        let corners = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        shown.then(|| corners.map(|corner| seen.undo(corner, aspect)))
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
        let held = || {
            // The place that the camera holds.
            let camera = self.in_pose_hand() == Some(Lane::Camera);
            (camera && away(handles.pivot) <= 1.3).then_some(PosePart::Place)
        };
        nearest.map(|(part, _)| part).or_else(held)
    }

    /// The pointer goes down on a handle.
    pub(super) fn take_pose(&mut self, part: PosePart, at: [f32; 2]) -> Outcome {
        let (Some(of), Some(t), Some(handles)) =
            (self.in_pose_hand(), self.moment, self.pose_handles())
        else {
            return Outcome::Nothing;
        };
        self.gesture = Gesture::Pose(Box::new(Posed {
            of,
            part,
            t,
            pivot: handles.pivot,
            from: at,
            last: at,
            turned: 0.0,
            was: part.of(&self.pose_now(of)),
            about: [self.scene.view.about; 2],
            poses: from_picture(self.poses(of)),
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
        // The frame that the camera sees turns against the picture, and is the smaller the larger that is seen.
        let camera = posed.of == Lane::Camera;
        let value = match posed.part {
            PosePart::Place => {
                let by = [0, 1].map(|axis| at[axis] - posed.from[axis]);
                posed.about[1] =
                    [0, 1].map(|axis| (posed.about[0][axis] + by[axis]).clamp(0.0, 1.0));
                return Outcome::Draw;
            }
            PosePart::Turn => {
                // Past half a turn it goes on.
                let more = angle(at) - angle(posed.last);
                let turned = posed.turned + (more + PI).rem_euclid(TAU) - PI;
                posed.turned = turned;
                let turned = if camera { -turned } else { turned };
                stepped(posed.was + turned.to_degrees(), STEPS[0])
            }
            _ if camera => stepped(posed.was * long(posed.from) / long(at), STEPS[1]),
            _ => stepped(posed.was * long(at) / long(posed.from), STEPS[1]),
        };
        posed.last = at;
        if let Some(poses) = with(posed.of, &posed.poses, posed.t, posed.part, value) {
            posed.poses = poses;
        }
        Outcome::Draw
    }

    /// The pointer lets go of a handle.
    pub(super) fn keep_pose(&mut self, posed: Posed) -> Outcome {
        match (posed.moved, posed.part) {
            (false, _) => Outcome::Draw,
            (true, PosePart::Place) => {
                let view = View {
                    about: posed.about[1],
                    ..self.scene.view.clone()
                };
                self.set_view(view)
            }
            (true, _) => self.keep_poses(posed.of, posed.poses),
        }
    }

    /// The moments of the key poses of an entity or the camera, rising, as they are being changed.
    pub fn keys(&self, of: impl Into<Lane>) -> Vec<f32> {
        let of = of.into();
        let mut times: Vec<f32> = match &self.gesture {
            Gesture::Retime(retimed) => self.retimed_keys(retimed, of),
            _ => self.poses_of(of).iter().map(|pose| pose.t).collect(),
        };
        if let Gesture::Key(keyed) = &self.gesture
            && keyed.of == of
            && let Some(time) = times.get_mut(keyed.key)
        {
            *time = keyed.now;
        }
        times
    }

    /// Begins to drag a key pose on the timeline.
    pub fn begin_key(&mut self, of: impl Into<Lane>, key: usize) -> Outcome {
        let of = of.into();
        let Some(was) = self.poses(of).get(key).map(|pose| pose.t) else {
            return Outcome::Nothing;
        };
        self.gesture = Gesture::Key(Keyed {
            of,
            key,
            was,
            now: was,
        });
        Outcome::Draw
    }

    /// When a key pose may be, shifted by a fraction of the video: between those beside it.
    fn shifted_key(poses: &[Pose], key: usize, by: f32) -> Option<f32> {
        let pose = poses.get(key)?;
        let beside = |i: Option<usize>| i.and_then(|i| poses.get(i)).map(|pose| pose.t);
        let low = beside(key.checked_sub(1)).map_or(SAME_MOMENT, |t| t + 2.0 * SAME_MOMENT);
        let high = beside(Some(key + 1)).map_or(1.0, |t| t - 2.0 * SAME_MOMENT);
        let by = if by.is_finite() { by } else { 0.0 };
        Some((pose.t + by).min(high).max(low.min(high)))
    }

    /// The key pose is dragged so far, a fraction of the video, from where it was.
    pub fn drag_key(&mut self, by: f32) -> Outcome {
        let Gesture::Key(keyed) = &self.gesture else {
            return Outcome::Nothing;
        };
        let shifted = Self::shifted_key(self.poses(keyed.of), keyed.key, by);
        if let (Gesture::Key(keyed), Some(now)) = (&mut self.gesture, shifted) {
            keyed.now = now;
        }
        Outcome::Draw
    }

    /// The key pose is let go.
    pub(super) fn keep_key(&mut self, keyed: &Keyed) -> Outcome {
        match keyed.now == keyed.was {
            true => Outcome::Changed,
            false => self.shift_key(keyed.of, keyed.key, keyed.now - keyed.was),
        }
    }

    /// Shifts a key pose by a fraction of the video.
    pub fn shift_key(&mut self, of: impl Into<Lane>, key: usize, by: f32) -> Outcome {
        let of = of.into();
        let mut poses = self.poses(of).to_vec();
        let Some(t) = Self::shifted_key(&poses, key, by) else {
            return Outcome::Nothing;
        };
        poses[key].t = t;
        self.keep_poses(of, poses)
    }

    /// Takes a key pose away.
    pub fn delete_key(&mut self, of: impl Into<Lane>, key: usize) -> Outcome {
        let of = of.into();
        let mut poses = self.poses(of).to_vec();
        if key >= poses.len() {
            return Outcome::Nothing;
        }
        poses.remove(key);
        self.keep_poses(of, poses)
    }
}
