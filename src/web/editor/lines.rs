//! Boxes and outlines that somebody draws around a thing.

use super::{Editor, FULL, Held, MAX_ENTITIES, Outcome, SegmentRequest, Tool};
use dragentity_core::scene::Mask;

/// Least side of a box, as a fraction of the picture: what is smaller was a click.
const LEAST_SIDE: f32 = 0.01;

impl Editor {
    /// A box was drawn: asks for the mask of what it is around. The next drag moves that, so that the tool is Move again.
    pub(super) fn frame(&mut self, from: [f32; 2], to: [f32; 2]) -> Outcome {
        let low = |axis: usize| from[axis].min(to[axis]).clamp(0.0, 1.0);
        let high = |axis: usize| from[axis].max(to[axis]).clamp(0.0, 1.0);
        if (0..2).any(|axis| high(axis) - low(axis) < LEAST_SIDE) {
            return Outcome::Say("Drag a box around the thing, from corner to corner.");
        }
        if self.scene.entities.len() >= MAX_ENTITIES {
            return Outcome::Say(FULL);
        }
        self.tool = Tool::Move;
        self.select(None);
        self.ask(SegmentRequest {
            bounds: Some([low(0), low(1), high(0), high(1)]),
            ..SegmentRequest::default()
        })
    }

    /// An outline was drawn: it becomes an entity, or, with keys held, is added to the selected one or taken away from it.
    pub(super) fn lasso(&mut self, points: &[[f32; 2]], held: Held) -> Outcome {
        let (add, negative) = (held.add, held.negative);
        if (add || negative) && self.selected.is_none() {
            return Outcome::Say(
                "Select an entity first; then draw around what to add or take away.",
            );
        }
        if let Some(barred) = self.barred().filter(|_| add || negative) {
            return barred;
        }
        if !(add || negative) {
            self.select(None);
        }
        let Some(mut mask) = self.brush_mask(true) else {
            return Outcome::Nothing;
        };
        let drawn = Mask::within(points, mask.width, mask.height);
        if drawn.is_empty() {
            return Outcome::Say("Draw around the thing, all the way.");
        }
        match negative {
            true => mask.subtract(&drawn),
            false => mask.unite(&drawn),
        }
        let kept = self.keep_stroke(self.selected, mask, !negative);
        if !matches!(kept, Outcome::Say(_)) {
            self.tool = Tool::Move;
        }
        kept
    }
}
