//! Which entities lie in front of which.

use super::{Entity, Scene};
use serde::{Deserialize, Serialize};

/// Share of the picture beyond which an entity is a backdrop, before which everything else is seen.
const BACKDROP: f32 = 0.5;

/// Who says which entities lie in front of which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Nobody: backdrops lie behind what stays where it is, and that behind what moves; of each kind the larger ones
    /// behind the smaller.
    #[default]
    Automatic,
    /// A person: later entities lie in front of earlier ones.
    AsListed,
}

/// A step between the layers of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the front.
    Forward,
    /// To the back.
    Back,
}

/// Entities that stay together: one alone, or the parts of one body.
type Block = Vec<usize>;

impl Scene {
    /// Positions of the entities in [`Scene::entities`], back to front.
    pub fn layers(&self) -> Vec<usize> {
        match self.order {
            Order::AsListed => (0..self.entities.len()).collect(),
            Order::Automatic => {
                let mut blocks = self.bodies();
                blocks.sort_by(|a, b| {
                    let ((rank_a, area_a), (rank_b, area_b)) = (self.depth(a), self.depth(b));
                    rank_a.cmp(&rank_b).then(area_b.total_cmp(&area_a))
                });
                blocks.concat()
            }
        }
    }

    /// The layers after one entity has gone a step: past its neighbour within its group; from the edge of its group, or
    /// without one, all of it past what lies next, be it one entity or a group. `None` where nothing lies further that
    /// way, or there is no such entity.
    pub fn stepped(&self, index: usize, step: Step) -> Option<Vec<usize>> {
        let mut blocks: Vec<Block> = Vec::new();
        for i in self.layers() {
            let group = self.entities[i].group;
            let last = blocks.last_mut().filter(|block| {
                group.is_some()
                    && block
                        .last()
                        .is_some_and(|&j| self.entities[j].group == group)
            });
            match last {
                Some(block) => block.push(i),
                None => blocks.push(vec![i]),
            }
        }
        let next = |at: usize, count: usize| match step {
            Step::Forward => Some(at + 1).filter(|&to| to < count),
            Step::Back => at.checked_sub(1),
        };
        let at = blocks.iter().position(|block| block.contains(&index))?;
        let block = &mut blocks[at];
        let within = block.iter().position(|&i| i == index)?;
        match next(within, block.len()) {
            Some(to) => block.swap(within, to),
            None => {
                let to = next(at, blocks.len())?;
                blocks.swap(at, to);
            }
        }
        Some(blocks.concat())
    }

    /// Entities by the bodies they belong to, in the order of their first ones.
    fn bodies(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for (i, entity) in self.entities.iter().enumerate() {
            let same = |block: &&mut Block| {
                entity.group.is_some() && self.entities[block[0]].group == entity.group
            };
            match blocks.iter_mut().find(same) {
                Some(block) => block.push(i),
                None => blocks.push(vec![i]),
            }
        }
        blocks
    }

    /// How far in front a block belongs, and its share of the picture.
    fn depth(&self, block: &[usize]) -> (u8, f32) {
        let entities = || block.iter().map(|&i| &self.entities[i]);
        let area = entities().map(|e| e.mask.coverage()).sum();
        let rank = if area > BACKDROP {
            0
        } else if !entities().any(Entity::moves) {
            1
        } else {
            2
        };
        (rank, area)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::draft::{Holes, Layer, draft};
    use crate::scene::{Mask, Trajectory};
    use proptest::prelude::*;

    /// A square of `side` pixels of 20 x 20, from `x`, `y`.
    fn square(x: usize, y: usize, side: usize) -> Mask {
        let mut mask = Mask::empty(20, 20);
        for row in y..y + side {
            mask.alpha[row * 20 + x..row * 20 + x + side].fill(255);
        }
        mask
    }

    fn entity(name: &str, side: usize, trajectory: Option<Trajectory>) -> Entity {
        Entity {
            name: name.into(),
            mask: square(0, 0, side),
            trajectory,
            ..Entity::default()
        }
    }

    fn path() -> Trajectory {
        Trajectory::line([0.2, 0.2], [0.8, 0.2])
    }

    fn pin() -> Trajectory {
        Trajectory::pin(0.5, 0.5)
    }

    fn scene(entities: Vec<Entity>) -> Scene {
        Scene {
            entities,
            ..Scene::default()
        }
    }

    fn names(scene: &Scene) -> Vec<&str> {
        let layers = scene.layers().into_iter();
        layers.map(|i| scene.entities[i].name.as_str()).collect()
    }

    #[test]
    fn backdrops_then_what_stays_then_what_moves_each_by_falling_area() {
        let mut scene = scene(vec![
            entity("fly", 2, Some(path())),
            entity("car", 8, Some(path())),
            entity("stone", 3, Some(pin())),
            entity("nothing said", 5, None),
            entity("house", 9, Some(pin())),
            entity("sky", 15, Some(path())),
            entity("everything", 20, Some(pin())),
            // As large as the stone, and made later.
            entity("other stone", 3, Some(pin())),
        ]);
        let wanted = [
            "everything",
            "sky",
            "house",
            "nothing said",
            "stone",
            "other stone",
            "car",
            "fly",
        ];
        assert_eq!(names(&scene), wanted);
        scene.order = Order::AsListed;
        assert_eq!(scene.layers(), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn exactly_half_of_the_picture_is_no_backdrop() {
        let mut half = entity("half", 0, Some(path()));
        half.mask.alpha[..200].fill(255);
        let mut more = half.clone();
        more.name = "more".into();
        more.mask.alpha[200] = 255;
        let stone = entity("stone", 3, Some(pin()));
        assert_eq!(
            names(&scene(vec![half, stone, more])),
            ["more", "stone", "half"]
        );
    }

    #[test]
    fn the_parts_of_a_body_stay_together() {
        let of = |group, entity| Entity {
            group: Some(group),
            ..entity
        };
        let scene = scene(vec![
            of(1, entity("foot", 2, None)),
            entity("car", 8, Some(path())),
            // As a whole larger than the car, and it moves: its arm does.
            of(1, entity("torso", 9, None)),
            of(2, entity("statue's head", 3, Some(pin()))),
            of(1, entity("arm", 3, Some(path()))),
            entity("ball", 1, Some(path())),
            of(2, entity("statue", 6, None)),
        ]);
        assert_eq!(
            names(&scene),
            [
                "statue's head",
                "statue",
                "foot",
                "torso",
                "arm",
                "car",
                "ball"
            ]
        );
    }

    /// A car that was clicked first, and a ground that was pinned after it.
    #[test]
    fn a_car_drives_over_the_ground_that_was_pinned_after_it() {
        let mut ground = Mask::empty(20, 20);
        ground.alpha[12 * 20..19 * 20].fill(255);
        let car = square(2, 10, 4);
        let mut rgb = vec![0.1f32; 400 * 3];
        let mut paint = |mask: &Mask, colour: f32| {
            for at in (0..400).filter(|&at| mask.alpha[at] > 0) {
                rgb[at * 3..at * 3 + 3].fill(colour);
            }
        };
        paint(&ground, 0.4);
        paint(&car, 0.9);
        let mut scene = scene(vec![
            Entity {
                name: "car".into(),
                mask: car,
                trajectory: Some(Trajectory::line([0.2, 0.6], [0.7, 0.6])),
                ..Entity::default()
            },
            Entity {
                name: "ground".into(),
                mask: ground,
                trajectory: Some(pin()),
                ..Entity::default()
            },
        ]);
        let last = |scene: &Scene| {
            let of = |i: usize| {
                let entity = &scene.entities[i];
                let mask: Vec<f32> = entity
                    .mask
                    .alpha
                    .iter()
                    .map(|&a| a as f32 / 255.0)
                    .collect();
                let path = entity
                    .trajectory
                    .as_ref()
                    .map(|t| t.offsets(5))
                    .unwrap_or_default();
                let offsets: Vec<_> = path.iter().map(|o| o.map(|v| v * 20.0)).collect();
                (mask, offsets)
            };
            let drawn: Vec<_> = scene.layers().into_iter().map(of).collect();
            let layers: Vec<Layer> = drawn
                .iter()
                .map(|(mask, offsets)| Layer { mask, offsets })
                .collect();
            let made = draft(&rgb, 20, 20, &layers, &[], 5, Holes::Filled);
            // Where the car's wheels are at the end: ten pixels to the right, on the ground.
            made.frames[4][(13 * 20 + 13) * 3]
        };
        assert!((last(&scene) - 0.9).abs() < 0.05, "{}", last(&scene));
        // The order in which they were made, if a person wants it: the ground hides the wheels.
        scene.order = Order::AsListed;
        assert!((last(&scene) - 0.4).abs() < 0.05, "{}", last(&scene));
    }

    #[test]
    fn steps_go_past_one_neighbour_or_all_of_a_body() {
        let of = |group: u32, name: &str| Entity {
            group: Some(group),
            ..entity(name, 2, None)
        };
        let mut scene = scene(vec![
            entity("a", 2, None),
            of(7, "head"),
            of(7, "torso"),
            entity("b", 2, None),
        ]);
        scene.order = Order::AsListed;
        // Within the body, then all of it.
        assert_eq!(scene.stepped(1, Step::Forward), Some(vec![0, 2, 1, 3]));
        assert_eq!(scene.stepped(2, Step::Forward), Some(vec![0, 3, 1, 2]));
        assert_eq!(scene.stepped(2, Step::Back), Some(vec![0, 2, 1, 3]));
        assert_eq!(scene.stepped(1, Step::Back), Some(vec![1, 2, 0, 3]));
        // Past all of the body.
        assert_eq!(scene.stepped(0, Step::Forward), Some(vec![1, 2, 0, 3]));
        assert_eq!(scene.stepped(3, Step::Back), Some(vec![0, 3, 1, 2]));
        // Nothing lies further.
        assert_eq!(scene.stepped(0, Step::Back), None);
        assert_eq!(scene.stepped(3, Step::Forward), None);
        assert_eq!(scene.stepped(4, Step::Forward), None);
        assert_eq!(scene.stepped(usize::MAX, Step::Back), None);
        assert_eq!(Scene::default().stepped(0, Step::Forward), None);
    }

    fn anything() -> impl Strategy<Value = Scene> {
        let path = prop_oneof![
            Just(None),
            Just(Some(pin())),
            Just(Some(path())),
            // What no preset may hold, but a program might.
            Just(Some(Trajectory { points: Vec::new() })),
            Just(Some(Trajectory::line(
                [f32::NAN, 0.0],
                [f32::INFINITY, 1.0]
            ))),
        ];
        let one = (0usize..20, path, prop::option::of(0u32..3), any::<bool>());
        (prop::collection::vec(one, 0..9), any::<bool>()).prop_map(|(entities, listed)| Scene {
            entities: entities
                .into_iter()
                .map(|(side, trajectory, group, none)| Entity {
                    group,
                    mask: if none {
                        Mask::default()
                    } else {
                        square(0, 0, side)
                    },
                    ..entity("", 0, trajectory)
                })
                .collect(),
            order: if listed {
                Order::AsListed
            } else {
                Order::Automatic
            },
            ..Scene::default()
        })
    }

    proptest! {
        #[test]
        fn every_entity_has_one_layer(scene in anything(), index in 0usize..12, forward: bool) {
            let all: Vec<usize> = (0..scene.entities.len()).collect();
            let sorted = |mut layers: Vec<usize>| { layers.sort_unstable(); layers };
            prop_assert_eq!(&sorted(scene.layers()), &all);
            let step = if forward { Step::Forward } else { Step::Back };
            if let Some(stepped) = scene.stepped(index, step) {
                prop_assert_ne!(&stepped, &scene.layers());
                prop_assert_eq!(sorted(stepped), all);
            }
        }
    }
}
