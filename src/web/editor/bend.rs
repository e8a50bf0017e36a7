//! Handles: places of an entity that are led or held, of which several bend it.

use super::{Editor, Gesture, Outcome, TOLERANCE};
use dragentity_core::scene::entity::MAX_HANDLES;
use dragentity_core::scene::history::Edit;
use dragentity_core::scene::{Entity, Pose, Skeleton, Trajectory};

const MANY: &str = "Twenty-five handles are the most. Click a pin to take it away.";

/// An entity that is being led, as it would be if the drag ended now.
pub struct Led {
    /// Which entity.
    pub index: usize,
    /// Of each handle, a new one among them, where it is at rest and where it is led; fractions of the picture.
    pub handles: Vec<[[f32; 2]; 2]>,
    /// The joints that the handles lead, if they do.
    pub skeleton: Option<Skeleton>,
}

impl Editor {
    /// The handle of the selected entity that was touched last, with which Delete does away.
    pub fn touched(&self) -> Option<usize> {
        self.touched
    }

    /// What is being led.
    pub fn led(&self) -> Option<Led> {
        let Gesture::Path {
            index,
            handle,
            points,
            ..
        } = &self.gesture
        else {
            return self.led_by_knob();
        };
        let (from, to) = points.first().zip(points.last())?;
        let by = [to.x - from.x, to.y - from.y];
        let starts = || {
            self.scene
                .entities
                .get(*index)
                .into_iter()
                .flat_map(Entity::held_by)
        };
        let moved = |[x, y]: [f32; 2]| [[x, y], [x + by[0], y + by[1]]];
        let handles = match handle {
            Some(led) => {
                let mut handles: Vec<_> = starts().map(|path| [path.start(); 2]).collect();
                handles.resize((led + 1).max(handles.len()), [[from.x, from.y]; 2]);
                handles[*led] = moved(handles[*led][0]);
                handles
            }
            None => self
                .along(*index, &Trajectory::line([from.x, from.y], [to.x, to.y]))
                .map(|paths| {
                    // Where they end, if they end where all of it does now.
                    paths
                        .iter()
                        .map(|path| match path.is_pin() {
                            true => [path.start(); 2],
                            false => moved(path.start()),
                        })
                        .collect()
                })?,
        };
        let own = self.scene.entities.get(*index)?.skeleton.as_ref();
        let skeleton = match handle {
            Some(_) => self.joints_of(*index),
            None => own,
        };
        Some(Led {
            index: *index,
            handles,
            skeleton: skeleton.cloned(),
        })
    }

    /// Its handles when all of an entity is led by `path`: those that are led keep what they do beside that, pins hold.
    fn along(&self, index: usize, path: &Trajectory) -> Option<Vec<Trajectory>> {
        let entity = self.scene.entities.get(index)?;
        if entity.skeleton.is_some() {
            return self.whole_body(index, path);
        }
        let mut paths: Vec<Trajectory> = entity.held_by().cloned().collect();
        if paths.len() < 2 {
            return Some(vec![path.clone()]);
        }
        let Some(first) = paths.iter().position(|path| !path.is_pin()) else {
            paths.insert(0, path.clone());
            return Some(paths);
        };
        let before = paths.remove(first);
        let aspect = self.aspect();
        for other in paths.iter_mut().filter(|other| !other.is_pin()) {
            *other = other.led_along(&before, path).simplified(TOLERANCE, aspect);
        }
        paths.insert(0, path.clone());
        Some(paths)
    }

    /// Leads all of an entity.
    pub(super) fn lead_all(&mut self, index: usize, path: &Trajectory) -> Outcome {
        let (Some(paths), Some(entity)) = (self.along(index, path), self.scene.entities.get(index))
        else {
            return Outcome::Nothing;
        };
        let (poses, skeleton) = (entity.poses.clone(), entity.skeleton.clone());
        if paths.len() > MAX_HANDLES + 1 {
            return Outcome::Say(MANY);
        }
        self.set_motion(index, paths, poses, skeleton)
    }

    /// Replaces what an entity does: all of its handles, the first one first, its poses, and the joints that the handles lead.
    pub(super) fn set_motion(
        &mut self,
        index: usize,
        mut paths: Vec<Trajectory>,
        poses: Vec<Pose>,
        skeleton: Option<Skeleton>,
    ) -> Outcome {
        // Joints that nothing leads are no part of what it does.
        let skeleton = skeleton.filter(|_| !paths.is_empty());
        let trajectory = (!paths.is_empty()).then(|| paths.remove(0));
        let edit = Edit::SetMotion {
            index,
            trajectory,
            handles: paths,
            poses,
            skeleton: skeleton.map(Box::new),
        };
        self.edit(edit)
    }

    /// The handle of an entity that a place means.
    pub fn handle_at(&self, index: usize, at: [f32; 2]) -> Option<usize> {
        let entity = self.scene.entities.get(index)?;
        let away = |path: &Trajectory| {
            let [x, y] = path.start();
            ((x - at[0]) / self.grasp[0]).hypot((y - at[1]) / self.grasp[1])
        };
        let near = entity
            .held_by()
            .map(away)
            .enumerate()
            .filter(|(_, away)| *away <= 1.0);
        near.min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(handle, _)| handle)
    }

    /// The entity and the handle that a press of the Bend tool means: a handle of the selected entity even beside it.
    pub(super) fn bends(&self, at: [f32; 2]) -> Option<(usize, Option<usize>)> {
        let near = |i: usize| self.handle_at(i, at).map(|handle| (i, Some(handle)));
        let selected = self.selected.filter(|index| self.is_open(*index));
        let own = selected.and_then(near);
        // A joint of a person may lie beside its mask.
        let joint = selected.filter(|i| self.joint_at(*i, at).is_some());
        own.or_else(|| joint.map(|i| (i, None)))
            .or_else(|| self.hit(at).map(|i| (i, self.handle_at(i, at))))
    }

    /// Where the drag of a handle begins: where the handle does, or, for a new one, at the joint there, else where the thing was taken. The number of the
    /// handle and that place; a sentence where there are enough.
    pub(super) fn begin_handle(
        &self,
        index: usize,
        at: [f32; 2],
    ) -> Result<(usize, [f32; 2]), &'static str> {
        let Some(entity) = self.scene.entities.get(index) else {
            return Err("Select a thing first.");
        };
        let count = entity.held_by().count();
        match self
            .handle_at(index, at)
            .and_then(|i| Some((i, entity.held_by().nth(i)?)))
        {
            Some((handle, path)) => Ok((handle, path.start())),
            None if count > MAX_HANDLES => Err(MANY),
            None => Ok((count, self.joint_at(index, at).unwrap_or(at))),
        }
    }

    /// Gives an entity another path for one of its handles, or a new handle.
    pub(super) fn set_handle(&mut self, index: usize, handle: usize, path: Trajectory) -> Outcome {
        let Some(entity) = self.scene.entities.get(index) else {
            return Outcome::Nothing;
        };
        let mut paths: Vec<Trajectory> = entity.held_by().cloned().collect();
        let (poses, skeleton) = (entity.poses.clone(), self.joints_of(index).cloned());
        match paths.get_mut(handle) {
            Some(old) => *old = path,
            None => paths.push(path),
        }
        let touched = handle.min(paths.len() - 1);
        let outcome = self.set_motion(index, paths, poses, skeleton);
        self.touched = Some(touched);
        outcome
    }

    /// A click of the Bend tool: holds a place, lets a held one go, or takes up a handle that is led.
    pub(super) fn click_handle(&mut self, at: [f32; 2]) -> Outcome {
        let Some((index, near)) = self.bends(at) else {
            return Outcome::Say(
                "Bend begins on a thing: click one with Move first, then hold places of it with clicks and drag others.",
            );
        };
        self.select(Some(index));
        let path = near.and_then(|handle| self.scene.entities[index].held_by().nth(handle));
        match (near, path.map(Trajectory::is_pin)) {
            (Some(handle), Some(true)) => self.remove_handle(index, handle),
            (Some(handle), _) => {
                self.touched = Some(handle);
                Outcome::Changed
            }
            (None, _) => match self.begin_handle(index, at) {
                Ok((handle, [x, y])) => self.set_handle(index, handle, Trajectory::pin(x, y)),
                Err(why) => Outcome::Say(why),
            },
        }
    }

    pub(super) fn remove_handle(&mut self, index: usize, handle: usize) -> Outcome {
        let Some(entity) = self.scene.entities.get(index) else {
            return Outcome::Nothing;
        };
        let mut paths: Vec<Trajectory> = entity.held_by().cloned().collect();
        let (poses, skeleton) = (entity.poses.clone(), entity.skeleton.clone());
        self.touched = None;
        if handle >= paths.len() {
            return Outcome::Nothing;
        }
        paths.remove(handle);
        self.set_motion(index, paths, poses, skeleton)
    }

    /// Delete: does away with the knob that was taken up last, else with the handle that was touched last, else with the selected
    /// entity.
    pub fn delete_selected(&mut self) -> Outcome {
        if self.knob.is_some() {
            return self.delete_knob();
        }
        match (self.selected, self.touched) {
            (Some(index), Some(handle)) => self.remove_handle(index, handle),
            (Some(index), None) => match self.barred() {
                Some(barred) => barred,
                None => self.delete(index),
            },
            (None, _) => Outcome::Nothing,
        }
    }
}
