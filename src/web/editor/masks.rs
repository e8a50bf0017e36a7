//! What the networks are asked for, and what becomes of their answers.

use super::{Editor, MAX_ENTITIES, Outcome, SAME_PLACE, SegmentRequest, SplitRequest, anchor};
use dragentity_core::Click;
use dragentity_core::scene::history::Edit;
use dragentity_core::scene::{Entity, Look, Mask, Part, parts};

impl Editor {
    pub(super) fn request(
        &mut self,
        target: Option<usize>,
        previous: Option<Mask>,
        click: Click,
    ) -> Outcome {
        let mut clicks = self.clicks.clone();
        // A mask that was painted or restored has no clicks of its own; its middle stands for what it is of.
        if let Some(mask) = previous.as_ref().filter(|_| clicks.is_empty()) {
            let [x, y] = anchor(mask);
            clicks.push(Click {
                x,
                y,
                positive: true,
            });
        }
        clicks.push(click);
        self.ask(SegmentRequest {
            target,
            clicks,
            previous,
            ..SegmentRequest::default()
        })
    }

    /// The other thing that the click which made the selected entity may mean, for a click at the same place.
    pub(super) fn next_candidate(&mut self, at: [f32; 2]) -> Option<Outcome> {
        let entity = self.selected_entity()?;
        let &[click] = self.clicks.as_slice() else {
            return None;
        };
        if entity.has_motion() || !self.same_place(at, [click.x, click.y]) {
            return None;
        }
        Some(self.ask(SegmentRequest {
            target: self.selected,
            clicks: vec![click],
            candidate: self.candidate + 1,
            ..SegmentRequest::default()
        }))
    }

    /// Whether two places are the same to a person.
    pub(super) fn same_place(&self, a: [f32; 2], b: [f32; 2]) -> bool {
        let aspect = self.aspect();
        // In units of the longer side.
        let (across, down) = (aspect.min(1.0), aspect.recip().min(1.0));
        ((a[0] - b[0]) * across).hypot((a[1] - b[1]) * down) <= SAME_PLACE
    }

    pub(super) fn ask(&mut self, request: SegmentRequest) -> Outcome {
        self.drop_suggestion();
        self.request += 1;
        let request = SegmentRequest {
            number: self.request,
            ..request
        };
        self.pending = Some(request.clone());
        Outcome::Segment(request)
    }

    /// The answer to request `number`; answers to requests that nobody waits for are dropped.
    pub fn answer(&mut self, number: u64, mask: Option<Mask>) -> Outcome {
        let Some(request) = self.pending.take_if(|p| p.number == number) else {
            return Outcome::Nothing;
        };
        let Some(mask) = mask else {
            return Outcome::Changed;
        };
        if mask.is_empty() {
            return Outcome::Say(
                "Nothing was found there. Click nearer the middle of the thing, or paint it with the brush.",
            );
        }
        let same = |index: usize| {
            self.scene
                .entities
                .get(index)
                .is_some_and(|e| e.mask == mask)
        };
        match request.target {
            Some(index) if same(index) => {
                return Outcome::Say(
                    "Nothing else is seen there. Shift-click what is missing, Alt-click what does not belong.",
                );
            }
            Some(index) => {
                self.edit(Edit::SetMask { index, mask });
                self.select(Some(index));
            }
            None => self.add(mask),
        }
        self.clicks = request.clicks;
        self.candidate = request.candidate;
        Outcome::Changed
    }

    /// The request that waits for its parts.
    pub fn splitting(&self) -> Option<&SplitRequest> {
        self.splitting.as_ref()
    }

    /// The answer to request `number`: its parts take the entity's place, as a group. `None` when there
    /// is none.
    pub fn answer_parts(&mut self, number: u64, parts: Option<Vec<(Part, Mask)>>) -> Outcome {
        let Some(request) = self.splitting.take_if(|s| s.number == number) else {
            return Outcome::Nothing;
        };
        let index = request.target;
        let Some((parts, whole)) = parts.zip(self.scene.entities.get(index)) else {
            return Outcome::Changed;
        };
        if self.scene.entities.len() - 1 + parts.len() > MAX_ENTITIES {
            return Outcome::Say(
                "With all of its parts there would be more than twelve entities. Delete others first.",
            );
        }
        let groups = self.scene.entities.iter().filter_map(|e| e.group);
        let group = groups.max().map_or(1, |last| last.saturating_add(1));
        let entities = parts::split(whole, parts, group);
        self.drop_unfinished();
        self.select(None);
        self.edit(Edit::Exchange {
            index,
            count: 1,
            entities,
            label: "split into parts",
        })
    }

    pub(super) fn add(&mut self, mask: Mask) {
        let taken = |n: &usize| {
            !self
                .scene
                .entities
                .iter()
                .any(|e| e.name == format!("{} {n}", self.entity))
        };
        let name = format!("{} {}", self.entity, (1..).find(taken).unwrap_or(1));
        let index = self.scene.entities.len();
        let look = Look {
            colour: Some(self.free_colour()),
            ..Look::default()
        };
        self.edit(Edit::Insert {
            index,
            entity: Box::new(Entity {
                name,
                mask,
                look,
                ..Entity::default()
            }),
        });
        self.select(Some(index));
    }
}
