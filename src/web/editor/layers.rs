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

    /// Changes how entities are treated: the first as it says, the others as the first is then.
    fn change_looks(&mut self, which: &[usize], change: impl Fn(&mut Look, &Look)) -> Outcome {
        let entities = &self.scene.entities;
        let Some(first) = which.first().and_then(|&index| entities.get(index)) else {
            return Outcome::Nothing;
        };
        let was = first.look;
        let looks = which.iter().filter_map(|&index| {
            let now = entities.get(index)?.look;
            let mut look = now;
            change(&mut look, &was);
            (look != now).then_some((index, look))
        });
        let looks: Vec<_> = looks.collect();
        if looks.is_empty() {
            return Outcome::Changed;
        }
        // What the pointer was at may not be there any more.
        self.knob = None;
        self.touched = None;
        self.edit(Edit::SetLooks { looks })
    }

    /// An entity, and what it is tied to unless it is meant `alone`; itself first.
    fn meant(&self, index: usize, alone: bool) -> Vec<usize> {
        let mut all = self.together(index);
        all.retain(|&other| other != index && !alone);
        all.insert(0, index);
        all
    }

    /// Hides an entity, which is part of the picture then, and what it is tied to unless it is meant `alone`; or shows them again.
    pub fn toggle_hidden(&mut self, index: usize, alone: bool) -> Outcome {
        let which = self.meant(index, alone);
        self.change_looks(&which, |look, was| look.hidden = !was.hidden)
    }

    /// Has clicks and drags on the picture pass an entity, and what it is tied to unless it is meant `alone`; or no longer.
    pub fn toggle_locked(&mut self, index: usize, alone: bool) -> Outcome {
        let which = self.meant(index, alone);
        self.change_looks(&which, |look, was| look.locked = !was.locked)
    }

    /// Gives an entity one of the colours.
    pub fn set_colour(&mut self, index: usize, colour: u8) -> Outcome {
        self.change_looks(&[index], |look, _| look.colour = Some(colour))
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

    /// All that are tied to an entity, itself included, as they are listed; none for one that is tied to nothing.
    pub fn together(&self, index: usize) -> Vec<usize> {
        let Some(group) = self.scene.entities.get(index).and_then(|own| own.group) else {
            return Vec::new();
        };
        let mut all = self.ties(index);
        all.retain(|&other| self.scene.entities[other].group == Some(group));
        if !all.is_empty() {
            all.push(index);
            all.sort_unstable();
        }
        all
    }

    /// The first of those that an entity is tied to.
    pub fn tied_to(&self, index: usize) -> Option<usize> {
        let mut all = self.together(index).into_iter();
        all.find(|&other| other != index)
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

    /// The order in which an entity is at the place of another in the list. What is tied to it goes along, but past another of those
    /// it goes alone.
    pub fn placed(&self, index: usize, to: usize) -> Option<Vec<usize>> {
        let count = self.scene.entities.len();
        if index >= count || to >= count || index == to {
            return None;
        }
        let mut block = self.together(index);
        if block.is_empty() || block.contains(&to) {
            block = vec![index];
        }
        let mut positions: Vec<usize> = (0..count).collect();
        positions.retain(|other| !block.contains(other));
        let at = positions.iter().position(|&other| other == to)?;
        let at = at + usize::from(to > index);
        positions.splice(at..at, block);
        Some(positions)
    }

    /// Puts an entity, and what is tied to it, at another place of the list. From then on all of them lie as they are listed; what was
    /// selected stays so.
    pub fn place(&mut self, index: usize, to: usize) -> Outcome {
        match self.placed(index, to) {
            Some(positions) => self.reorder(positions),
            None => Outcome::Nothing,
        }
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
