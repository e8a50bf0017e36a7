//! What presses, drags and strokes do.

use super::paths::snapped;
use super::{
    BRUSH_SIDE, DRAG_THRESHOLD, Editor, FULL, Gesture, Grip, Held, MAX_ENTITIES, Outcome, Painted,
    TOLERANCE, Tool,
};
use dragentity_core::Click;
use dragentity_core::scene::history::Edit;
use dragentity_core::scene::trajectory::DragPoint;
use dragentity_core::scene::{Entity, Mask, Trajectory};

impl Editor {
    /// The entity there that was made last (or, in an order that somebody has set, lies in front), the selected one first:
    /// it may lie behind another and still be what is meant.
    pub fn hit(&self, at: [f32; 2]) -> Option<usize> {
        let inside =
            |i: &usize| self.is_open(*i) && self.scene.entities[*i].mask.contains(at[0], at[1]);
        self.selected
            .filter(inside)
            .or_else(|| (0..self.scene.entities.len()).rev().find(inside))
    }

    /// The pointer goes down.
    pub fn press(&mut self, at: [f32; 2], time: f64, held: Held) -> Outcome {
        self.straight_from = None;
        if let Some(part) = self.pose_part_at(at) {
            return self.take_pose(part, at);
        }
        match self.grip_at(at) {
            // Alt on a line means what is below it.
            Some(Grip::Line { .. }) if held.negative => {}
            Some(grip) => return self.take_grip(grip, at, time, held),
            None => {}
        }
        self.knob = None;
        let changes = matches!(
            self.tool,
            Tool::Brush | Tool::Erase | Tool::Exclude | Tool::Shadow
        );
        if let Some(barred) = self.barred().filter(|_| changes) {
            return barred;
        }
        match self.tool {
            Tool::Move | Tool::Exclude => {
                let hit = self.hit(at);
                self.gesture = Gesture::Press { at, hit, held };
                if self.tool == Tool::Move
                    && hit.is_some()
                    && !held.negative
                    && !(held.add && self.selected.is_some())
                    && hit != self.selected
                {
                    return self.select(hit);
                }
                Outcome::Draw
            }
            Tool::Bend => {
                let hit = self.bends(at).map(|(index, _)| index);
                self.gesture = Gesture::Press { at, hit, held };
                match hit {
                    Some(_) if hit != self.selected => self.select(hit),
                    _ => Outcome::Draw,
                }
            }
            Tool::Camera => {
                self.gesture = Gesture::Camera {
                    points: vec![DragPoint {
                        x: at[0],
                        y: at[1],
                        time,
                    }],
                };
                Outcome::Draw
            }
            Tool::Box => {
                self.gesture = Gesture::Frame { from: at, to: at };
                Outcome::Draw
            }
            Tool::Lasso => {
                self.gesture = Gesture::Lasso {
                    points: vec![at],
                    held,
                };
                Outcome::Draw
            }
            Tool::Shadow if self.selected.is_none() => {
                self.begin_ground_stroke(at, held, Painted::Shadow)
            }
            Tool::Shadow => {
                self.gesture = Gesture::Press {
                    at,
                    hit: None,
                    held,
                };
                Outcome::Draw
            }
            Tool::From => self.begin_ground_stroke(at, held, Painted::From),
            Tool::Brush | Tool::Erase => {
                let add = self.tool == Tool::Brush && !held.negative;
                let Some(mask) = self.brush_mask(add) else {
                    return Outcome::Say(
                        "Select an entity first: click it, or its name in the list. Then erase from it.",
                    );
                };
                self.begin_stroke(mask, at, add, Painted::Entity)
            }
        }
    }

    /// The pointer moves while it is down; `pixels` is how far it is from where it went down, on the screen.
    pub fn drag(&mut self, at: [f32; 2], time: f64, pixels: f32) -> Outcome {
        let (straight, aspect) = (self.straight, self.aspect());
        match &mut self.gesture {
            Gesture::Idle
            | Gesture::Missed
            | Gesture::Retime(_)
            | Gesture::Key(_)
            | Gesture::Pace(_) => {
                return Outcome::Nothing;
            }
            Gesture::Pose(_) => return self.drag_pose(at, pixels),
            Gesture::Reshape(_) => return self.reshape(at, pixels),
            Gesture::Press {
                at: start,
                hit,
                held,
            } => {
                if pixels < DRAG_THRESHOLD {
                    return Outcome::Nothing;
                }
                let (press, hit, held) = (*start, *hit, *held);
                if self.tool == Tool::Shadow {
                    self.begin_ground_stroke(press, held, Painted::Shadow);
                    return self.drag(at, time, pixels);
                }
                let led = match (hit, self.tool) {
                    (Some(index), Tool::Bend) => match self.begin_handle(index, press) {
                        Ok((handle, from)) => Some((index, Some(handle), from)),
                        Err(why) => {
                            self.gesture = Gesture::Idle;
                            return Outcome::Say(why);
                        }
                    },
                    (Some(index), Tool::Move) if !held.negative => Some((index, None, press)),
                    _ => None,
                };
                let Some((index, handle, start)) = led else {
                    self.gesture = Gesture::Missed;
                    return Outcome::Draw;
                };
                self.touched = None;
                let beside = [start[0] - press[0], start[1] - press[1]];
                // Timing begins with the motion, not with the press.
                let point = |[x, y]: [f32; 2]| DragPoint { x, y, time };
                self.gesture = Gesture::Path {
                    index,
                    handle,
                    beside,
                    points: vec![point(start), point([at[0] + beside[0], at[1] + beside[1]])],
                };
            }
            Gesture::Path { points, beside, .. } => {
                let at = [at[0] + beside[0], at[1] + beside[1]];
                lead_on(
                    points,
                    at,
                    time,
                    straight.then_some(aspect),
                    &mut self.straight_from,
                );
            }
            Gesture::Camera { points } => {
                lead_on(
                    points,
                    at,
                    time,
                    straight.then_some(aspect),
                    &mut self.straight_from,
                );
            }
            Gesture::Frame { to, .. } => *to = at,
            Gesture::Lasso { points, .. } => points.push(at),
            Gesture::Stroke {
                mask, add, last, ..
            } => {
                mask.brush(*last, at, self.brush_radius, *add);
                *last = at;
            }
        }
        Outcome::Draw
    }

    /// The pointer goes up.
    pub fn release(&mut self, at: [f32; 2]) -> Outcome {
        let _ = at;
        match std::mem::replace(&mut self.gesture, Gesture::Idle) {
            Gesture::Idle => Outcome::Nothing,
            Gesture::Reshape(reshaped) => self.keep_reshaped(*reshaped),
            Gesture::Retime(retimed) => self.keep_retimed(&retimed),
            Gesture::Pose(posed) => self.keep_pose(*posed),
            Gesture::Key(keyed) => self.keep_key(&keyed),
            Gesture::Pace(paced) => self.keep_paced(&paced),
            Gesture::Press { at, .. } if self.tool == Tool::Bend => self.click_handle(at),
            Gesture::Press { at, held, .. } if self.tool == Tool::Shadow => {
                self.click_shadow(at, held)
            }
            Gesture::Press { at, hit, held } => self.click(at, hit, held),
            Gesture::Missed => Outcome::Say(if self.tool == Tool::Exclude {
                "Click, without dragging, on what does not belong to the selection."
            } else if self.tool == Tool::Bend {
                "Bend begins on a thing: drag a place of a coloured one, or click it to hold it there."
            } else if self.scene.entities.is_empty() {
                "Click the thing first: its mask appears. Then drag it. (To move the background, take the Camera tool.)"
            } else {
                "There is no entity where the drag began: begin it on a coloured one, click to add one, or take the Camera tool."
            }),
            Gesture::Path {
                index,
                handle,
                points,
                ..
            } => {
                let Some(trajectory) = Trajectory::from_drag(&points, TOLERANCE, self.aspect())
                else {
                    return Outcome::Draw;
                };
                match handle {
                    Some(handle) => self.set_handle(index, handle, trajectory),
                    None => self.lead_all(index, &trajectory),
                }
            }
            Gesture::Camera { points } => {
                match Trajectory::from_drag(&points, TOLERANCE, self.aspect())
                    .filter(|t| !t.is_pin())
                {
                    Some(trajectory) => self.set_background(Some(trajectory)),
                    None => Outcome::Say("Drag the picture to where the camera should take it."),
                }
            }
            Gesture::Frame { from, .. } => self.frame(from, at),
            Gesture::Lasso { points, held } => self.lasso(&points, held),
            Gesture::Stroke {
                index,
                mask,
                add,
                of: Painted::Entity,
                ..
            } => self.keep_stroke(index, mask, add),
            Gesture::Stroke {
                index, mask, of, ..
            } => self.keep_ground_stroke(index, mask, of),
        }
    }

    /// Escape, or the browser took the pointer away: what was going on has not happened.
    pub fn cancel(&mut self) -> Outcome {
        if !matches!(self.gesture, Gesture::Idle) {
            self.gesture = Gesture::Idle;
            return Outcome::Changed;
        }
        if self.pending.take().is_some() || self.splitting.take().is_some() {
            return Outcome::Changed;
        }
        if self.knob.take().is_some() {
            return Outcome::Changed;
        }
        if self.tool != Tool::Move {
            self.tool = Tool::Move;
            return Outcome::Changed;
        }
        if self.selected.is_some() {
            return self.select(None);
        }
        Outcome::Nothing
    }

    pub(super) fn click(&mut self, at: [f32; 2], hit: Option<usize>, held: Held) -> Outcome {
        let negative = held.negative || self.tool == Tool::Exclude;
        let add = held.add && self.selected_open().is_some();
        if !negative && !add && hit.is_some() {
            let again = hit == self.selected && self.tool == Tool::Move;
            if let Some(asked) = again.then(|| self.next_candidate(at)).flatten() {
                return asked;
            }
            return self.select(hit);
        }
        // An entity that has not got its path yet is still being selected: the click adds to it.
        let refines = |e: &&Entity| negative || add || !e.has_motion();
        let Some(entity) = self.selected_open().filter(refines) else {
            if negative {
                return Outcome::Say(
                    "Select an entity first; then click what does not belong to it.",
                );
            }
            if self.scene.entities.len() >= MAX_ENTITIES {
                return Outcome::Say(FULL);
            }
            let shown = self.suggestion.take();
            self.select(None);
            if let Some(shown) = shown.filter(|shown| self.same_place(at, shown.at)) {
                self.add(shown.mask);
                self.clicks = vec![Click {
                    x: shown.at[0],
                    y: shown.at[1],
                    positive: true,
                }];
                self.candidate = 0;
                return Outcome::Changed;
            }
            return self.request(
                None,
                None,
                Click {
                    x: at[0],
                    y: at[1],
                    positive: true,
                },
            );
        };
        let previous = Some(entity.mask.clone());
        self.request(
            self.selected,
            previous,
            Click {
                x: at[0],
                y: at[1],
                positive: !negative,
            },
        )
    }

    /// The mask that a stroke or an outline changes; `None` if there is none to erase from.
    pub(super) fn brush_mask(&self, add: bool) -> Option<Mask> {
        let blank = self.blank_mask();
        match self.selected_open() {
            Some(entity) if entity.mask.width.max(entity.mask.height) >= BRUSH_SIDE => {
                Some(entity.mask.clone())
            }
            // A coarse mask gets the pixels that a fine brush needs.
            Some(entity) => Some(entity.mask.resized(blank.width, blank.height)),
            None if add => Some(blank),
            None => None,
        }
    }

    /// An empty mask with the pixels that a fine brush needs.
    pub(super) fn blank_mask(&self) -> Mask {
        let (w, h) = (self.scene.picture.width, self.scene.picture.height);
        let long = u64::from(w.max(h).max(1));
        let scale = |side: u32| (u64::from(side) * u64::from(BRUSH_SIDE) / long).max(1) as u32;
        Mask::empty(scale(w), scale(h))
    }

    pub(super) fn keep_stroke(&mut self, index: Option<usize>, mask: Mask, add: bool) -> Outcome {
        self.clicks.clear();
        match index {
            Some(index) if mask.is_empty() => self.delete(index),
            Some(index) => self.edit(Edit::SetMask { index, mask }),
            None if !add || mask.is_empty() => Outcome::Draw,
            None if self.scene.entities.len() >= MAX_ENTITIES => Outcome::Say(FULL),
            None => {
                self.add(mask);
                Outcome::Changed
            }
        }
    }
}

/// A drag goes on to `at`: straight from where it became so, if it is to (then with the picture's width by its height).
fn lead_on(
    points: &mut Vec<DragPoint>,
    at: [f32; 2],
    time: f64,
    straight: Option<f32>,
    straight_from: &mut Option<usize>,
) {
    let mut at = at;
    match straight {
        Some(aspect) => {
            // The first point is where the thing was taken, the second one where the drag was noticed.
            let noticed = if points.len() <= 2 { 1 } else { points.len() };
            points.truncate(*straight_from.get_or_insert(noticed));
            if let Some(from) = points.last() {
                let [dx, dy] = snapped([at[0] - from.x, at[1] - from.y], aspect);
                at = [from.x + dx, from.y + dy];
            }
        }
        None => *straight_from = None,
    }
    points.push(DragPoint {
        x: at[0],
        y: at[1],
        time,
    });
}
