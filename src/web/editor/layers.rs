//! Layers: entities that are hidden, locked, coloured, there twice, or put elsewhere in the list.

use super::{Editor, FULL, MAX_ENTITIES, Outcome};
use dragentity_core::scene::history::Edit;
use dragentity_core::scene::{Entity, Look, Order, Strength};
use dragentity_media::overlay::COLOURS;

/// How far a copy's path strays from that of what was copied, as a fraction of the picture.
const ASIDE: [f32; 2] = [0.05, 0.08];
const BARRED: &str = "This layer is hidden or locked: change that in its row first.";

impl Editor {
    /// Whether an entity is there, and not hidden.
    pub fn is_shown(&self, index: usize) -> bool {
        let entity = self.scene.entities.get(index);
        entity.is_some_and(|entity| !entity.look.hidden)
    }

    /// Whether clicks and drags on the picture can mean an entity.
    pub(super) fn is_open(&self, index: usize) -> bool {
        let entity = self.scene.entities.get(index);
        entity.is_some_and(|entity| !entity.look.hidden && !entity.look.locked)
    }

    /// The selected entity, where clicks and drags on the picture can mean it.
    pub(super) fn selected_open(&self) -> Option<&Entity> {
        self.selected_entity()
            .filter(|entity| !entity.look.hidden && !entity.look.locked)
    }

    /// Why nothing is painted on, and taken away from, what is selected.
    pub(super) fn barred(&self) -> Option<Outcome> {
        let barred = self.selected.is_some_and(|index| !self.is_open(index));
        barred.then_some(Outcome::Say(BARRED))
    }

    fn change_look(&mut self, index: usize, change: impl FnOnce(&mut Look)) -> Outcome {
        let Some(entity) = self.scene.entities.get(index) else {
            return Outcome::Nothing;
        };
        let mut look = entity.look;
        change(&mut look);
        if look == entity.look {
            return Outcome::Changed;
        }
        // What the pointer was at may not be there any more.
        self.knob = None;
        self.touched = None;
        self.edit(Edit::SetLook { index, look })
    }

    /// Hides an entity, which is part of the picture then; or shows it again.
    pub fn toggle_hidden(&mut self, index: usize) -> Outcome {
        self.change_look(index, |look| look.hidden ^= true)
    }

    /// Has clicks and drags on the picture pass an entity; or no longer.
    pub fn toggle_locked(&mut self, index: usize) -> Outcome {
        self.change_look(index, |look| look.locked ^= true)
    }

    /// Gives an entity one of the colours.
    pub fn set_colour(&mut self, index: usize, colour: u8) -> Outcome {
        self.change_look(index, |look| look.colour = Some(colour))
    }

    /// The first colour that no entity has.
    pub fn free_colour(&self) -> u8 {
        let count = COLOURS.len() as u8;
        let taken = |colour: &u8| {
            let own = |entity: &Entity| entity.look.colour == Some(*colour);
            self.scene.entities.iter().any(own)
        };
        let free = (0..count).find(|colour| !taken(colour));
        free.unwrap_or(self.scene.entities.len() as u8 % count)
    }

    /// Has the thing there twice: once more in front of itself, along a path a little beside its own.
    pub fn duplicate(&mut self, index: usize) -> Outcome {
        let Some(entity) = self.scene.entities.get(index) else {
            return Outcome::Nothing;
        };
        if self.scene.entities.len() >= MAX_ENTITIES {
            return Outcome::Say(FULL);
        }
        let mut both = entity.doubled(ASIDE);
        both[1].look.colour = Some(self.free_colour());
        both[1].name = self.name_after(&entity.name);
        self.drop_unfinished();
        self.edit(Edit::Exchange {
            index,
            count: 1,
            entities: both.into(),
            label: "duplicate",
        });
        self.select(Some(index + 1))
    }

    /// How closely Stable Video Diffusion is to follow an entity, 0 to 1.
    pub fn set_strength(&mut self, index: usize, share: f32) -> Outcome {
        let now = self.scene.entities.get(index).map(|e| e.strength);
        let strength = Strength::new(share);
        match now {
            None => Outcome::Nothing,
            Some(now) if now == strength || !share.is_finite() => Outcome::Changed,
            Some(_) => self.edit(Edit::SetStrength { index, strength }),
        }
    }

    /// What an entity may be tied to: the others, but for parts of bodies.
    pub fn ties(&self, index: usize) -> Vec<usize> {
        let own = self.scene.entities.get(index);
        if own.is_none_or(|own| own.part.is_some()) {
            return Vec::new();
        }
        let entities = self.scene.entities.iter().enumerate();
        entities
            .filter(|(i, other)| *i != index && other.part.is_none())
            .map(|(i, _)| i)
            .collect()
    }

    /// The first of those that an entity is tied to.
    pub fn tied_to(&self, index: usize) -> Option<usize> {
        let group = self.scene.entities.get(index)?.group?;
        let same = |i: &usize| self.scene.entities[*i].group == Some(group);
        self.ties(index).into_iter().find(same)
    }

    /// Ties an entity to another, or to none: whichever of those that are tied together moves, those go along that have no motion of
    /// their own.
    pub fn tie(&mut self, index: usize, to: Option<usize>) -> Outcome {
        if index >= self.scene.entities.len()
            || to.is_some_and(|to| !self.ties(index).contains(&to))
        {
            return Outcome::Nothing;
        }
        let mut groups: Vec<Option<u32>> = self.scene.entities.iter().map(|e| e.group).collect();
        groups[index] = to.map(|to| {
            let new = groups
                .iter()
                .flatten()
                .max()
                .map_or(1, |last| last.saturating_add(1));
            *groups[to].get_or_insert(new)
        });
        self.edit(Edit::SetGroups { groups })
    }

    /// A name like this one that no entity has: a number behind it, or the next.
    fn name_after(&self, name: &str) -> String {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim();
        let taken = |name: &String| self.scene.entities.iter().any(|e| e.name == *name);
        let names = (2..).map(|n| format!("{stem} {n}"));
        let free = names.into_iter().find(|name| !taken(name));
        free.unwrap_or_else(|| name.to_owned()).trim().to_owned()
    }

    /// Puts an entity at another place of the list. From then on all of them lie as they are listed; what was selected stays so.
    pub fn place(&mut self, index: usize, to: usize) -> Outcome {
        let count = self.scene.entities.len();
        if index >= count || to >= count || index == to {
            return Outcome::Nothing;
        }
        let mut positions: Vec<usize> = (0..count).collect();
        let moved = positions.remove(index);
        positions.insert(to, moved);
        self.reorder(positions)
    }

    /// Puts the entities into an order that somebody wants.
    pub(super) fn reorder(&mut self, positions: Vec<usize>) -> Outcome {
        self.drop_unfinished();
        let selected = self.selected;
        // The clicks that made the selected mask are still its own.
        self.selected = positions.iter().position(|&from| Some(from) == selected);
        self.edit(Edit::Reorder {
            positions,
            order: Order::AsListed,
        })
    }
}
