//! The mask under the pointer, before anybody clicks.

use super::{Editor, Gesture, MAX_ENTITIES, Outcome, Suggestion, Tool};
use dragentity_core::scene::Mask;

impl Editor {
    /// The pointer has moved, or left the picture: what was suggested stays while the pointer is on it.
    pub fn wander(&mut self, at: Option<[f32; 2]>) -> Outcome {
        let here = |place: [f32; 2]| at.is_some_and(|at| self.same_place(at, place));
        if !self.resting.is_some_and(|(_, place)| here(place)) {
            self.resting = None;
        }
        let shown = self.suggestion.as_ref();
        let on_it = at.is_some_and(|at| {
            let inside = shown.is_some_and(|s| s.mask.contains(at[0], at[1]));
            // On a path, a press is not a click on a thing.
            inside && self.grip_at(at).is_none()
        });
        if shown.is_none() || on_it {
            return Outcome::Nothing;
        }
        self.drop_suggestion();
        Outcome::Draw
    }

    /// The pointer rests: where a click would begin a new entity, asks for its mask.
    pub fn rest(&mut self, at: [f32; 2]) -> Outcome {
        let inside = at.iter().all(|v| (0.0..=1.0).contains(v));
        let idle = matches!(self.gesture, Gesture::Idle)
            && self.pending.is_none()
            && self.splitting.is_none();
        // A click beside an entity that has no path yet adds to that one.
        let refines = self.selected_open().is_some_and(|e| !e.has_motion());
        let known = self.suggestion.as_ref();
        let begins = self.tool == Tool::Move
            && !refines
            && self.hit(at).is_none()
            && self.grip_at(at).is_none()
            && self.scene.entities.len() < MAX_ENTITIES
            && known.is_none_or(|shown| !self.same_place(at, shown.at));
        if !inside || !idle || !begins {
            return Outcome::Nothing;
        }
        self.request += 1;
        self.resting = Some((self.request, at));
        Outcome::Suggest {
            number: self.request,
            at,
        }
    }

    /// The mask that was asked for under `number`; too late where the pointer has moved on.
    pub fn suggest(&mut self, number: u64, mask: Mask) -> Outcome {
        let Some((number, at)) = self.resting.take_if(|(asked, _)| *asked == number) else {
            return Outcome::Nothing;
        };
        if mask.is_empty() {
            return Outcome::Nothing;
        }
        self.suggestion = Some(Suggestion { number, at, mask });
        Outcome::Draw
    }

    pub(super) fn drop_suggestion(&mut self) {
        self.resting = None;
        self.suggestion = None;
    }
}
