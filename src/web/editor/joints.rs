//! People: their joints, asked for once a person is to be bent, and what they mean for its handles.

use super::{Editor, Outcome, Tool};
use dragentity_core::scene::skeleton::{Grip, Joint};
use dragentity_core::scene::{Mask, Skeleton, Trajectory};

/// Masks whose joints are known, at most: those of the newest things.
const MOST_KNOWN: usize = 24;

/// The joints of a person that are asked for.
#[derive(Clone)]
pub struct JointRequest {
    /// Number of the request.
    pub number: u64,
    /// The mask that they are asked of.
    pub mask: Mask,
}

/// What is known of who is under a mask.
#[derive(Default)]
pub(super) struct People {
    known: Vec<(Mask, Option<Skeleton>)>,
    asked: Option<JointRequest>,
    /// How often somebody was found, or forgotten.
    revision: u64,
}

impl People {
    fn of(&self, mask: &Mask) -> Option<&Option<Skeleton>> {
        let found = self.known.iter().find(|(known, _)| known == mask);
        found.map(|(_, skeleton)| skeleton)
    }

    /// Another picture has other people.
    pub(super) fn forget(&mut self) {
        *self = Self {
            revision: self.revision + 1,
            ..Self::default()
        };
    }
}

impl Editor {
    /// The joints of the selected entity while it is bent: its own, or those that were found.
    pub fn joints(&self) -> Option<&Skeleton> {
        let open = self.selected.filter(|index| self.is_open(*index));
        self.joints_of(open.filter(|_| self.tool == Tool::Bend)?)
    }

    /// Another number whenever other joints are known, the scene's own apart.
    pub fn people_revision(&self) -> u64 {
        self.people.revision
    }

    /// The joints of an entity: its own, or those that were found.
    pub fn joints_of(&self, index: usize) -> Option<&Skeleton> {
        let entity = self.scene.entities.get(index)?;
        let found = || self.people.of(&entity.mask)?.as_ref();
        entity.skeleton.as_ref().or_else(found)
    }

    /// Asks who the selected entity is, if it is to be bent and nobody has asked yet.
    pub fn ask_joints(&mut self) -> Option<JointRequest> {
        let entity = self
            .selected_entity()
            .filter(|e| e.skeleton.is_none() && e.part.is_none())?;
        let idle = self.tool == Tool::Bend && self.people.asked.is_none();
        if !idle || entity.mask.is_empty() || self.people.of(&entity.mask).is_some() {
            return None;
        }
        let mask = entity.mask.clone();
        self.request += 1;
        let number = self.request;
        Some(
            self.people
                .asked
                .insert(JointRequest { number, mask })
                .clone(),
        )
    }

    /// Nobody will answer what was asked; it may be asked again.
    pub fn drop_joints(&mut self) {
        self.people.asked = None;
    }

    /// The answer to request `number`; `None` when it is nobody, or nobody can tell.
    pub fn answer_joints(&mut self, number: u64, joints: Option<Skeleton>) -> Outcome {
        let Some(request) = self.people.asked.take_if(|asked| asked.number == number) else {
            return Outcome::Nothing;
        };
        self.people.revision += 1;
        self.people.known.push((request.mask, joints));
        if self.people.known.len() > MOST_KNOWN {
            self.people.known.remove(0);
        }
        Outcome::Changed
    }

    /// The joint of an entity that a place means, by its own place.
    pub(super) fn joint_at(&self, index: usize, at: [f32; 2]) -> Option<[f32; 2]> {
        let skeleton = self.joints_of(index).filter(|_| self.tool == Tool::Bend)?;
        let away =
            |[x, y]: [f32; 2]| ((x - at[0]) / self.grasp[0]).hypot((y - at[1]) / self.grasp[1]);
        let seen = Joint::ALL.into_iter().filter(|joint| skeleton.sees(*joint));
        let places = seen.map(|joint| skeleton.place(joint));
        places
            .filter(|place| away(*place) <= 1.0)
            .min_by(|a, b| away(*a).total_cmp(&away(*b)))
    }

    /// The paths of a person whose joints are led, when all of it is led by `path`: what led its joints goes on beside that, and
    /// pelvis and feet go along.
    pub(super) fn whole_body(&self, index: usize, path: &Trajectory) -> Option<Vec<Trajectory>> {
        let entity = self.scene.entities.get(index)?;
        let skeleton = entity.skeleton.as_ref()?;
        let aspect = self.aspect();
        let own: Vec<Trajectory> = entity.held_by().cloned().collect();
        let holds = |path: &Trajectory, joint: Joint| {
            skeleton.grip(path.start(), aspect).and_then(Grip::as_joint) == Some(joint)
        };
        let still = |[x, y]: [f32; 2]| Trajectory::pin(x, y);
        let before = own
            .iter()
            .find(|path| holds(path, Joint::Pelvis) && !path.is_pin());
        let before = before
            .cloned()
            .unwrap_or_else(|| still(skeleton.place(Joint::Pelvis)));
        let body = [vec![Joint::Pelvis], skeleton.standing()].concat();
        let new = body
            .iter()
            .map(|joint| still(skeleton.place(*joint)).led_along(&still([0.0; 2]), path));
        let others = own
            .iter()
            .filter(|own| !body.iter().any(|joint| holds(own, *joint)))
            .map(|own| match own.is_pin() {
                true => own.clone(),
                false => own
                    .led_along(&before, path)
                    .simplified(super::TOLERANCE, aspect),
            });
        Some(new.chain(others).collect())
    }
}
