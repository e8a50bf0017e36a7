//! Paths that are changed where they lie: their knobs are dragged, put in and taken away, and all of a path is moved.

use super::{DRAG_THRESHOLD, Editor, Gesture, Held, Led, Outcome, Tool, anchor};
use dragentity_core::scene::{Entity, Trajectory, TrajectoryPoint};

/// Of the reach of a knob, how near the pointer has to be to the line between two.
const LINE_REACH: f32 = 0.7;
/// Two taps at the same knob within so many milliseconds are one double tap.
const DOUBLE: f64 = 400.0;

/// A path of the scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathOf {
    /// That of an entity's handle.
    Handle {
        /// Which entity.
        index: usize,
        /// Which of [`Entity::held_by`].
        handle: usize,
    },
    /// The camera's.
    Camera,
}

/// What of a path the pointer would take hold of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Grip {
    /// One of its knobs.
    Knob {
        /// Of which path.
        of: PathOf,
        /// Which of its points.
        point: usize,
    },
    /// The line between two.
    Line {
        /// Of which path.
        of: PathOf,
        /// At which time, a fraction of the video.
        t: f32,
        /// Where that is.
        at: [f32; 2],
    },
}

/// A path while it is changed by the pointer.
pub struct Reshaped {
    of: PathOf,
    /// As it was; with the new point, where one is put in.
    before: Trajectory,
    path: Trajectory,
    /// Which points are knobs meanwhile.
    knobs: Vec<usize>,
    /// The point that is dragged; `None` drags all of the path.
    point: Option<usize>,
    /// The middles of other things, at which a point stays when it comes near.
    magnets: Vec<[f32; 2]>,
    /// When the line was pressed, where a drag puts in a point.
    line: Option<f32>,
    /// Where and when it was pressed, and what was held.
    from: [f32; 2],
    time: f64,
    held: Held,
    moved: bool,
}

/// A knob that is drawn.
pub struct Knob {
    /// Of which path.
    pub of: PathOf,
    /// Which of its points.
    pub point: usize,
    /// Where it is.
    pub at: [f32; 2],
    /// Delete would take it away.
    pub chosen: bool,
    /// The path has a corner there.
    pub corner: bool,
}

impl Editor {
    /// A path of the scene, as it is changed by the pointer now, if it is.
    pub(super) fn path(&self, of: PathOf) -> Option<&Trajectory> {
        match (&self.gesture, of) {
            (Gesture::Reshape(reshaped), _) if reshaped.of == of => Some(&reshaped.path),
            (_, PathOf::Camera) => self.scene.background.as_ref(),
            (_, PathOf::Handle { index, handle }) => {
                self.scene.entities.get(index)?.held_by().nth(handle)
            }
        }
    }

    /// The paths with knobs: those of the selected entity that lead anywhere, or, with its tool, the camera's.
    fn editable(&self) -> Vec<PathOf> {
        match self.tool {
            Tool::Camera => self
                .scene
                .background
                .iter()
                .map(|_| PathOf::Camera)
                .collect(),
            Tool::Move | Tool::Bend => {
                let entity = self.selected.zip(self.selected_open());
                let paths = |(index, entity): (usize, &Entity)| {
                    let moving = entity
                        .held_by()
                        .enumerate()
                        .filter(|(_, path)| !path.is_pin());
                    moving
                        .map(|(handle, _)| PathOf::Handle { index, handle })
                        .collect()
                };
                entity.map(paths).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// The points of a path that are its knobs.
    fn knobs_of(&self, of: PathOf) -> Vec<usize> {
        let Some(path) = self.path(of) else {
            return Vec::new();
        };
        let apart = self.grasp[0] * self.aspect().min(1.0);
        let keep = self
            .knob
            .filter(|(own, _)| *own == of)
            .map(|(_, point)| point);
        path.knobs(apart, self.aspect(), keep)
    }

    /// Whether a drag from this knob is one of the thing and not of the knob: whoever takes hold of a thing again, takes it where it
    /// was taken before.
    fn gives_way(&self, of: PathOf, at: [f32; 2]) -> bool {
        let PathOf::Handle { index, .. } = of else {
            return false;
        };
        let over = |entity: &Entity| entity.mask.contains(at[0], at[1]);
        self.tool == Tool::Bend || self.scene.entities.get(index).is_some_and(over)
    }

    /// The knobs to draw.
    pub fn knobs(&self) -> Vec<Knob> {
        if !matches!(self.gesture, Gesture::Idle | Gesture::Reshape(_)) {
            return Vec::new();
        }
        let mut shown = Vec::new();
        for of in self.editable() {
            let reshaped = match &self.gesture {
                Gesture::Reshape(reshaped) if reshaped.of == of => Some(reshaped),
                Gesture::Reshape(_) => continue,
                _ => None,
            };
            let Some(path) = self.path(of).map(Trajectory::cleaned) else {
                continue;
            };
            let (knobs, chosen) = match reshaped {
                Some(reshaped) => (reshaped.knobs.clone(), reshaped.point),
                None => {
                    let own = self.knob.filter(|(own, _)| *own == of);
                    (self.knobs_of(of), own.map(|(_, point)| point))
                }
            };
            for (i, p) in knobs.iter().filter_map(|&i| Some((i, path.points.get(i)?))) {
                let (at, corner) = ([p.x, p.y], p.corner);
                if i > 0 || !self.gives_way(of, at) {
                    let chosen = chosen == Some(i);
                    shown.push(Knob {
                        of,
                        point: i,
                        at,
                        chosen,
                        corner,
                    });
                }
            }
        }
        shown
    }

    /// What of a path a press there would take hold of.
    pub fn grip_at(&self, at: [f32; 2]) -> Option<Grip> {
        if !matches!(self.gesture, Gesture::Idle) {
            return None;
        }
        let paths = self.editable();
        let mut nearest: Option<(f32, Grip)> = None;
        for &of in &paths {
            let path = self.path(of)?.cleaned();
            for point in self.knobs_of(of) {
                let Some(TrajectoryPoint { x, y, .. }) = path.points.get(point).copied() else {
                    continue;
                };
                if point == 0 && self.gives_way(of, [x, y]) {
                    continue;
                }
                if let Some(far) = within(self.reach, at, [x, y])
                    && nearest.is_none_or(|(best, _)| far <= best)
                {
                    nearest = Some((far, Grip::Knob { of, point }));
                }
            }
        }
        if let Some((_, grip)) = nearest {
            return Some(grip);
        }
        // A line is not in the way of taking hold of a thing.
        let begins = |of: &PathOf| {
            let start = self.path(*of).map(Trajectory::start);
            start.is_some_and(|start| {
                self.gives_way(*of, start) && within(self.grasp, at, start).is_some()
            })
        };
        let taken = self.tool != Tool::Camera
            && (self.hit(at).is_some()
                || paths.iter().any(begins)
                || self
                    .selected
                    .is_some_and(|i| self.joint_at(i, at).is_some()));
        if taken {
            return None;
        }
        let aspect = self.aspect();
        let reach = LINE_REACH * self.reach[0] * aspect.min(1.0);
        let lines = paths.iter().filter_map(|&of| {
            let (t, far) = self.path(of)?.nearest(at, aspect)?;
            (far <= reach).then_some((far, of, t))
        });
        let (_, of, t) = lines.min_by(|a, b| a.0.total_cmp(&b.0))?;
        let at = self.path(of)?.position(t);
        Some(Grip::Line { of, t, at })
    }

    /// The pointer goes down on a path.
    pub(super) fn take_grip(&mut self, grip: Grip, at: [f32; 2], time: f64, held: Held) -> Outcome {
        let (of, point, line) = match grip {
            Grip::Knob { of, point } => (of, Some(point), None),
            Grip::Line { of, t, .. } => (of, None, Some(t)),
        };
        let Some(before) = self.path(of).map(Trajectory::cleaned) else {
            return Outcome::Nothing;
        };
        // A joint's path stays on its joint.
        let joint = match of {
            PathOf::Handle { index, .. } => self.scene.entities.get(index),
            PathOf::Camera => None,
        };
        let whole = joint.is_none_or(|entity| entity.skeleton.is_none());
        let line = line.filter(|_| !(whole && held.add));
        // Where a path begins, all of it is taken along.
        let point = point.filter(|&point| point > 0 || !whole);
        self.gesture = Gesture::Reshape(Box::new(Reshaped {
            of,
            path: before.clone(),
            knobs: self.knobs_of(of),
            magnets: self.magnets(of),
            before,
            point,
            line,
            from: at,
            time,
            held,
            moved: false,
        }));
        Outcome::Draw
    }

    /// The middles of the things whose path this is not.
    fn magnets(&self, of: PathOf) -> Vec<[f32; 2]> {
        let others = self.scene.entities.iter().enumerate().filter(|(i, other)| {
            let own = matches!(of, PathOf::Handle { index, .. } if index == *i);
            !own && of != PathOf::Camera && !other.look.hidden
        });
        others.map(|(_, other)| anchor(&other.mask)).collect()
    }

    /// The pointer moves with a path in hand; `pixels` is how far it is from where it went down.
    pub(super) fn reshape(&mut self, at: [f32; 2], pixels: f32) -> Outcome {
        let (aspect, straight, apart) = (
            self.aspect(),
            self.straight,
            self.grasp[0] * self.aspect().min(1.0),
        );
        let reach = self.reach;
        let Gesture::Reshape(reshaped) = &mut self.gesture else {
            return Outcome::Nothing;
        };
        if !reshaped.moved && pixels < DRAG_THRESHOLD {
            return Outcome::Nothing;
        }
        reshaped.moved = true;
        if let Some(t) = reshaped.line.take() {
            let (path, point) = reshaped.before.with_point(t);
            reshaped.knobs = path.knobs(apart, aspect, Some(point));
            (reshaped.before, reshaped.point) = (path, Some(point));
        }
        let Reshaped {
            before,
            knobs,
            point,
            from,
            magnets,
            ..
        } = reshaped.as_mut();
        let by = [at[0] - from[0], at[1] - from[1]];
        let by = if straight { snapped(by, aspect) } else { by };
        let shifted = |[x, y]: [f32; 2]| [x + by[0], y + by[1]];
        reshaped.path = match point {
            Some(point) => {
                let at = before.points.get(*point).map(|p| [p.x, p.y]);
                let to = shifted(at.unwrap_or(*from));
                let near = magnets
                    .iter()
                    .filter_map(|m| Some((within(reach, to, *m)?, *m)));
                let caught = near.min_by(|a, b| a.0.total_cmp(&b.0));
                // Who wants it straight, wants no other place.
                let to = caught
                    .filter(|_| !straight)
                    .map_or(to, |(_, middle)| middle);
                before.with_knob_at(knobs, *point, to, aspect)
            }
            None => {
                let [x, y] = shifted(before.start());
                before.moved_to(x, y)
            }
        };
        Outcome::Draw
    }

    /// The pointer lets go of a path.
    pub(super) fn keep_reshaped(&mut self, reshaped: Reshaped) -> Outcome {
        let Reshaped {
            of, path, point, ..
        } = reshaped;
        if reshaped.moved {
            let kept = self.set_path(of, path);
            self.knob = point.map(|point| (of, point));
            return kept;
        }
        let Some(point) = point.or((reshaped.line.is_none() && !reshaped.held.add).then_some(0))
        else {
            // The line alone is no button.
            return match self.tool {
                Tool::Bend => self.click_handle(reshaped.from),
                Tool::Camera => Outcome::Draw,
                _ => self.click(reshaped.from, self.hit(reshaped.from), reshaped.held),
            };
        };
        let again = self.tapped.replace((reshaped.time, of, point));
        let double = again.is_some_and(|(time, path, knob)| {
            (path, knob) == (of, point) && (0.0..DOUBLE).contains(&(reshaped.time - time))
        });
        self.knob = Some((of, point));
        match double || reshaped.held.negative {
            true => self.delete_knob(),
            false => Outcome::Changed,
        }
    }

    /// The knob that Delete takes away.
    pub fn chosen_knob(&self) -> Option<(PathOf, usize)> {
        self.knob
    }

    /// Takes up the knob after the one that was, or the first.
    pub fn next_knob(&mut self) -> Outcome {
        if !matches!(self.gesture, Gesture::Idle) {
            return Outcome::Nothing;
        }
        let knobs = self.knobs();
        let chosen = knobs.iter().position(|knob| knob.chosen);
        let next = chosen.map_or(0, |i| (i + 1) % knobs.len());
        let Some(knob) = knobs.get(next) else {
            return Outcome::Say("Select an entity that has a path first.");
        };
        self.knob = Some((knob.of, knob.point));
        self.crosshair = None;
        Outcome::Changed
    }

    /// Moves the chosen knob.
    pub(super) fn nudge_knob(&mut self, by: [f32; 2]) -> Outcome {
        let Some((of, point)) = self.knob else {
            return Outcome::Nothing;
        };
        let (knobs, aspect) = (self.knobs_of(of), self.aspect());
        let Some(path) = self.path(of).map(Trajectory::cleaned) else {
            return Outcome::Nothing;
        };
        let Some([x, y]) = path.points.get(point).map(|p| [p.x + by[0], p.y + by[1]]) else {
            return Outcome::Nothing;
        };
        let moved = match point {
            0 => path.moved_to(x, y),
            _ => path.with_knob_at(&knobs, point, [x, y], aspect),
        };
        self.set_path(of, moved)
    }

    /// Takes the chosen knob away; with its last but one, a path.
    pub(super) fn delete_knob(&mut self) -> Outcome {
        let Some((of, point)) = self.knob else {
            return Outcome::Nothing;
        };
        let knobs = self.knobs_of(of);
        self.knob = None;
        self.tapped = None;
        let Some(path) = self.path(of) else {
            return Outcome::Changed;
        };
        match (path.without_knob(&knobs, point), of) {
            (Some(path), of) => self.set_path(of, path),
            (None, PathOf::Camera) => self.set_background(None),
            (None, PathOf::Handle { index, handle }) => self.remove_handle(index, handle),
        }
    }

    /// Replaces one path of the scene.
    pub(super) fn set_path(&mut self, of: PathOf, path: Trajectory) -> Outcome {
        match of {
            PathOf::Camera => self.set_background(Some(path)),
            PathOf::Handle { index, handle } => {
                let touched = self.touched;
                let kept = self.set_handle(index, handle, path);
                // It was its path that was touched, not its place.
                self.touched = touched;
                kept
            }
        }
    }

    /// The paths that are being changed, as they are now.
    pub fn in_hand(&self) -> Vec<(PathOf, Trajectory)> {
        match &self.gesture {
            Gesture::Reshape(reshaped) => vec![(reshaped.of, reshaped.path.clone())],
            Gesture::Retime(retimed) => self.retimed_paths(retimed),
            _ => Vec::new(),
        }
    }

    /// Where the camera is at the knob that is dragged, beside where it begins.
    pub fn led_camera(&self) -> Option<[f32; 2]> {
        let Gesture::Reshape(reshaped) = &self.gesture else {
            return None;
        };
        let point = reshaped.path.points.get(reshaped.point?)?;
        let start = reshaped.path.start();
        (reshaped.of == PathOf::Camera).then(|| [point.x - start[0], point.y - start[1]])
    }

    /// The entity at the knob that is dragged.
    pub(super) fn led_by_knob(&self) -> Option<Led> {
        let Gesture::Reshape(reshaped) = &self.gesture else {
            return None;
        };
        let PathOf::Handle { index, handle: own } = reshaped.of else {
            return None;
        };
        let t = reshaped.path.points.get(reshaped.point?)?.t;
        let entity = self.scene.entities.get(index)?;
        let handles = entity.held_by().enumerate().map(|(handle, path)| {
            let path = if handle == own { &reshaped.path } else { path };
            [path.start(), path.position(t)]
        });
        Some(Led {
            index,
            handles: handles.collect(),
            skeleton: entity.skeleton.clone(),
        })
    }
}

/// How far `a` is from `b`, in reaches, where that is not beyond one.
fn within(reach: [f32; 2], a: [f32; 2], b: [f32; 2]) -> Option<f32> {
    let far = ((a[0] - b[0]) / reach[0]).hypot((a[1] - b[1]) / reach[1]);
    (far <= 1.0).then_some(far)
}

/// A way turned to the nearest eighth of a turn, as the picture is seen, as long as it lies in that direction.
pub(super) fn snapped([dx, dy]: [f32; 2], aspect: f32) -> [f32; 2] {
    let x = dx * aspect;
    let eighth = std::f32::consts::FRAC_PI_4;
    let (sin, cos) = ((dy.atan2(x) / eighth).round() * eighth).sin_cos();
    let long = x * cos + dy * sin;
    [long * cos / aspect, long * sin]
}
