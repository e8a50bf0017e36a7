//! What a person says of the ground: which shadow goes along with a thing, from where its place is filled, what is behind it.

use super::{Editor, Gesture, Held, Outcome, Painted};
use dragentity_compositor::shadow;
use dragentity_core::scene::history::Edit;
use dragentity_core::scene::{Behind, Mask, Picture, Shadow};

/// Longer side, in pixels, at which shadows are shown: this thread is not to wait for them.
const SHOWN_SIDE: u32 = 512;

/// How much light a soft shadow takes that is shown as plainly as a dark one, as a logarithm.
const PLAIN: f32 = 0.2;

/// The shadow of the selected entity as it goes along, with the revision and the entity that it is of.
type Known = ((u64, usize), Option<Mask>);

/// What is known of shadows.
#[derive(Default)]
pub struct Ground {
    known: Option<Known>,
}

impl Editor {
    /// The shadow that goes along with the selected entity; looked for when it is first asked for.
    pub fn shadow(&mut self) -> Option<&Mask> {
        let key = (self.revision, self.selected?);
        if self.ground.known.as_ref().map(|(known, _)| *known) != Some(key) {
            let entity = self.scene.entities.get(key.1)?;
            let shadow = match &entity.shadow {
                Shadow::None => None,
                Shadow::Marked(mask) => Some(mask.clone()),
                Shadow::Found => self.found(key.1),
            };
            self.ground.known = Some((key, shadow));
        }
        self.shown_shadow()
    }

    /// The same as far as it is known.
    pub fn shown_shadow(&self) -> Option<&Mask> {
        let (key, shadow) = self.ground.known.as_ref()?;
        let current = *key == (self.revision, self.selected?);
        shadow.as_ref().filter(|_| current)
    }

    fn found(&self, index: usize) -> Option<Mask> {
        let picture = &self.scene.picture;
        let long = picture.width.max(picture.height).max(1);
        let side = |side: u32| (side * SHOWN_SIDE.min(long) / long).max(1);
        let small = picture.resized(side(picture.width), side(picture.height));
        let (width, height) = (small.width, small.height);
        let mask = self.scene.entities[index].mask.resized(width, height);
        let covered: Vec<f32> = mask.alpha.iter().map(|&a| f32::from(a) / 255.0).collect();
        let others = self.scene.entities.iter().enumerate();
        let others = others.filter(|(i, _)| *i != index);
        let others: Vec<Mask> = others.map(|(_, e)| e.mask.clone()).collect();
        let dark = shadow::found(&small, &covered, &others);
        let soft = shadow::soft(&small, &covered, dark.as_deref(), &others);
        let mut mask = Mask::empty(width, height);
        for (alpha, dark) in mask.alpha.iter_mut().zip(dark.into_iter().flatten()) {
            *alpha = 255 * u8::from(dark);
        }
        // The darker the plainer.
        for (alpha, [.., missing]) in mask.alpha.iter_mut().zip(soft.into_iter().flatten()) {
            let plain = (missing / PLAIN).clamp(0.0, 1.0);
            *alpha = (*alpha).max((255.0 * plain).round() as u8);
        }
        (!mask.is_empty()).then_some(mask)
    }

    /// Has an entity leave its shadow where it is; or, if it does already, take along the one that is found.
    pub fn toggle_shadow(&mut self, index: usize) -> Outcome {
        let Some(entity) = self.scene.entities.get(index) else {
            return Outcome::Nothing;
        };
        let shadow = match entity.shadow {
            Shadow::None => Shadow::Found,
            Shadow::Found | Shadow::Marked(_) => Shadow::None,
        };
        self.edit(Edit::SetShadow { index, shadow })
    }

    /// A click with the Shadow tool: what is dark there goes along with the selected entity, or stays.
    pub(super) fn click_shadow(&mut self, place: [f32; 2], held: Held) -> Outcome {
        let Some(index) = self.selected else {
            return Outcome::Say(SELECT);
        };
        let thing = &self.scene.entities[index].mask;
        let region = shadow::at(&self.scene.picture, thing, place);
        let Some(mut mask) = self.shadow_mask() else {
            return Outcome::Nothing;
        };
        let Some(region) = region else {
            return Outcome::Say(
                "Nothing dark hangs together there. Click the shadow itself, or drag over it to paint it.",
            );
        };
        let region = region.resized(mask.width, mask.height);
        match held.negative {
            true => mask.subtract(&region),
            false => mask.unite(&region),
        }
        self.keep_shadow(index, mask)
    }

    /// The mask that the selected entity's shadow is painted into.
    fn shadow_mask(&mut self) -> Option<Mask> {
        let blank = self.blank_mask();
        let known = self.shadow().map(|m| m.resized(blank.width, blank.height));
        self.selected.map(|_| known.unwrap_or(blank))
    }

    fn keep_shadow(&mut self, index: usize, mask: Mask) -> Outcome {
        let shadow = match mask.is_empty() {
            true => Shadow::None,
            false => Shadow::Marked(mask),
        };
        self.edit(Edit::SetShadow { index, shadow })
    }

    /// Begins to paint the selected entity's shadow, or where holes are filled from.
    pub(super) fn begin_ground_stroke(&mut self, at: [f32; 2], held: Held, of: Painted) -> Outcome {
        let mask = match of {
            Painted::From => Some(self.source_mask()),
            Painted::Shadow => self.shadow_mask(),
            Painted::Entity => None,
        };
        let Some(mask) = mask else {
            self.gesture = Gesture::Idle;
            return Outcome::Say(SELECT);
        };
        self.begin_stroke(mask, at, !held.negative, of)
    }

    /// Begins to paint into a mask, or to erase from it.
    pub(super) fn begin_stroke(
        &mut self,
        mut mask: Mask,
        at: [f32; 2],
        add: bool,
        of: Painted,
    ) -> Outcome {
        mask.brush(at, at, self.brush_radius, add);
        self.gesture = Gesture::Stroke {
            index: self.selected,
            mask,
            add,
            last: at,
            of,
        };
        Outcome::Draw
    }

    fn source_mask(&self) -> Mask {
        let blank = self.blank_mask();
        let from = self.scene.behind.from.as_ref();
        from.map_or_else(|| blank.clone(), |m| m.resized(blank.width, blank.height))
    }

    /// Keeps what was painted.
    pub(super) fn keep_ground_stroke(
        &mut self,
        index: Option<usize>,
        mask: Mask,
        of: Painted,
    ) -> Outcome {
        match (of, index) {
            (Painted::From, _) => {
                let from = Some(mask).filter(|mask| !mask.is_empty());
                self.set_behind(Behind {
                    from,
                    ..self.scene.behind.clone()
                })
            }
            (_, Some(index)) => self.keep_shadow(index, mask),
            (_, None) => Outcome::Draw,
        }
    }

    /// Takes up the picture behind the things that a scene came with; nothing that is undone.
    pub fn keep_plate(&mut self, plate: Option<Picture>) {
        let fits = |plate: &Picture| plate.has_shape_of(&self.scene.picture);
        if let Some(plate) = plate.filter(fits) {
            self.scene.behind.plate = Some(plate);
            self.revision += 1;
        }
    }

    /// Takes a picture that shows what is behind the things, or, without one, has it filled.
    pub fn set_plate(&mut self, plate: Option<Picture>) -> Outcome {
        self.set_behind(Behind {
            plate,
            ..self.scene.behind.clone()
        })
    }

    /// Has holes filled from all the rest of the picture again.
    pub fn fill_from_all(&mut self) -> Outcome {
        self.set_behind(Behind {
            from: None,
            ..self.scene.behind.clone()
        })
    }

    fn set_behind(&mut self, behind: Behind) -> Outcome {
        if behind == self.scene.behind {
            return Outcome::Changed;
        }
        self.edit(Edit::SetBehind { behind })
    }
}

const SELECT: &str =
    "Select an entity first: click it, or its name in the list. Then click its shadow.";
