//! Undo and redo: every change to a scene is an [`Edit`], and applying one gives the edit that takes it back.

use super::{
    Behind, Entity, Look, Mask, Order, Pose, Scene, Shadow, Skeleton, Strength, Trajectory, View,
};
use crate::error::{Error, Result};
use std::collections::VecDeque;

/// Most steps that can be undone.
const MAX_STEPS: usize = 200;
/// Most memory, in bytes, of the steps that can be undone; the oldest go first, the newest always stays.
const MAX_BYTES: usize = 64 << 20;

/// One change to a scene. Indices are positions in [`Scene::entities`].
#[derive(Clone, Debug)]
pub enum Edit {
    /// Puts an entity in, in front of those before `index`.
    Insert {
        /// Its position afterwards, at most the number of entities.
        index: usize,
        /// What to put in.
        entity: Box<Entity>,
    },
    /// Takes an entity out.
    Remove {
        /// Which.
        index: usize,
    },
    /// Puts entities in the place of others that lie next to each other.
    Exchange {
        /// Position of the first.
        index: usize,
        /// How many to take out.
        count: usize,
        /// What to put in.
        entities: Vec<Entity>,
        /// What that is, as words after "Undo".
        label: &'static str,
    },
    /// Puts the entities into another order.
    Reorder {
        /// The position so far of each entity, in the new order.
        positions: Vec<usize>,
        /// Who says which lie in front of which from now on.
        order: Order,
    },
    /// Replaces an entity's mask.
    SetMask {
        /// Which.
        index: usize,
        /// The new one.
        mask: Mask,
    },
    /// Replaces what goes along with an entity as its shadow.
    SetShadow {
        /// Which.
        index: usize,
        /// The new one.
        shadow: Shadow,
    },
    /// Replaces how closely an entity is followed.
    SetStrength {
        /// Which.
        index: usize,
        /// The new one.
        strength: Strength,
    },
    /// Replaces or removes what an entity does.
    SetMotion {
        /// Which.
        index: usize,
        /// Its first handle.
        trajectory: Option<Trajectory>,
        /// The others.
        handles: Vec<Trajectory>,
        /// How it is turned and scaled.
        poses: Vec<Pose>,
        /// The joints that the handles lead, if they do.
        skeleton: Option<Box<Skeleton>>,
    },
    /// Hides, locks or colours entities, or no longer.
    SetLooks {
        /// Which, and how each is treated from now on.
        looks: Vec<(usize, Look)>,
    },
    /// Renames an entity.
    Rename {
        /// Which.
        index: usize,
        /// The new name.
        name: String,
    },
    /// Puts entities into groups or takes them out.
    SetGroups {
        /// The group of each, as they are listed.
        groups: Vec<Option<u32>>,
    },
    /// Replaces all that the camera does.
    SetCamera {
        /// Its path, if it has one.
        trajectory: Option<Trajectory>,
        /// How it looks at the scene.
        view: View,
    },
    /// Replaces what is seen where things were.
    SetBehind {
        /// The new one.
        behind: Behind,
    },
    /// Replaces everything: another picture, a preset.
    Replace {
        /// The new scene.
        scene: Box<Scene>,
    },
}

impl Edit {
    /// What it does, as words after "Undo".
    pub fn label(&self) -> &'static str {
        match self {
            Edit::Insert { .. } => "add entity",
            Edit::Remove { .. } => "delete entity",
            Edit::Exchange { label, .. } => label,
            Edit::SetLooks { .. } => "layer",
            Edit::Reorder { .. } => "reorder",
            Edit::SetMask { .. } => "mask",
            Edit::SetShadow { .. } => "shadow",
            Edit::SetMotion { .. } => "trajectory",
            Edit::SetStrength { .. } => "strength",
            Edit::Rename { .. } => "rename",
            Edit::SetGroups { .. } => "group",
            Edit::SetCamera { .. } => "camera",
            Edit::SetBehind { .. } => "background",
            Edit::Replace { .. } => "open",
        }
    }

    /// Applies it and returns the edit that takes it back. On an error the scene is unchanged.
    ///
    /// # Errors
    /// [`Error::Job`] for an entity that the scene does not have, and for an order that does not name each once.
    pub fn apply(self, scene: &mut Scene) -> Result<Edit> {
        let count = scene.entities.len();
        let missing = |index: usize| {
            Err(Error::Job(format!(
                "there is no entity {} (the scene has {count}); select one again",
                index.saturating_add(1)
            )))
        };
        Ok(match self {
            Edit::Insert { index, entity } => {
                if index > count {
                    return missing(index);
                }
                scene.entities.insert(index, *entity);
                Edit::Remove { index }
            }
            Edit::Remove { index } => {
                if index >= count {
                    return missing(index);
                }
                Edit::Insert {
                    index,
                    entity: Box::new(scene.entities.remove(index)),
                }
            }
            Edit::Exchange {
                index,
                count: taken,
                entities,
                label,
            } => {
                let end = index.saturating_add(taken);
                if end > count {
                    return missing(end - 1);
                }
                let put = entities.len();
                let before = scene.entities.splice(index..end, entities).collect();
                Edit::Exchange {
                    index,
                    count: put,
                    entities: before,
                    label,
                }
            }
            Edit::Reorder { positions, order } => {
                if let Some(beyond) = positions.iter().find(|&&from| from >= count) {
                    return missing(*beyond);
                }
                // Where each of them has gone: the way back.
                let mut back = vec![None; count];
                for (to, &from) in positions.iter().enumerate() {
                    back[from] = Some(to);
                }
                let back: Option<Vec<usize>> = back.into_iter().collect();
                let Some(back) = back.filter(|back| back.len() == positions.len()) else {
                    return Err(Error::Job(format!(
                        "an order of {} of the scene's {count} entities leaves some out; name each once",
                        positions.len()
                    )));
                };
                let mut entities: Vec<_> = scene.entities.drain(..).map(Some).collect();
                let taken = positions
                    .into_iter()
                    .filter_map(|from| entities[from].take());
                scene.entities.extend(taken);
                Edit::Reorder {
                    positions: back,
                    order: std::mem::replace(&mut scene.order, order),
                }
            }
            Edit::SetCamera { trajectory, view } => Edit::SetCamera {
                trajectory: std::mem::replace(&mut scene.background, trajectory),
                view: std::mem::replace(&mut scene.view, view),
            },
            Edit::SetBehind { behind } => Edit::SetBehind {
                behind: std::mem::replace(&mut scene.behind, behind),
            },
            Edit::Replace { scene: new } => Edit::Replace {
                scene: Box::new(std::mem::replace(scene, *new)),
            },
            Edit::SetMask { index, mask } => match scene.entities.get_mut(index) {
                Some(e) => Edit::SetMask {
                    index,
                    mask: std::mem::replace(&mut e.mask, mask),
                },
                None => return missing(index),
            },
            Edit::SetShadow { index, shadow } => match scene.entities.get_mut(index) {
                Some(e) => Edit::SetShadow {
                    index,
                    shadow: std::mem::replace(&mut e.shadow, shadow),
                },
                None => return missing(index),
            },
            Edit::SetStrength { index, strength } => match scene.entities.get_mut(index) {
                Some(e) => Edit::SetStrength {
                    index,
                    strength: std::mem::replace(&mut e.strength, strength),
                },
                None => return missing(index),
            },
            Edit::SetMotion {
                index,
                trajectory,
                handles,
                poses,
                skeleton,
            } => match scene.entities.get_mut(index) {
                Some(e) => Edit::SetMotion {
                    index,
                    trajectory: std::mem::replace(&mut e.trajectory, trajectory),
                    handles: std::mem::replace(&mut e.handles, handles),
                    poses: std::mem::replace(&mut e.poses, poses),
                    skeleton: std::mem::replace(&mut e.skeleton, skeleton.map(|s| *s))
                        .map(Box::new),
                },
                None => return missing(index),
            },
            Edit::SetLooks { mut looks } => {
                if let Some((index, _)) = looks.iter().find(|(index, _)| *index >= count) {
                    return missing(*index);
                }
                for (index, look) in &mut looks {
                    std::mem::swap(&mut scene.entities[*index].look, look);
                }
                // What is named twice is taken back in turn.
                looks.reverse();
                Edit::SetLooks { looks }
            }
            Edit::Rename { index, name } => match scene.entities.get_mut(index) {
                Some(e) => Edit::Rename {
                    index,
                    name: std::mem::replace(&mut e.name, name),
                },
                None => return missing(index),
            },
            Edit::SetGroups { groups } => {
                if groups.len() != count {
                    return missing(groups.len().saturating_sub(1));
                }
                let entities = scene.entities.iter_mut().zip(groups);
                Edit::SetGroups {
                    groups: entities
                        .map(|(e, group)| std::mem::replace(&mut e.group, group))
                        .collect(),
                }
            }
        })
    }

    fn bytes(&self) -> usize {
        let shadow = |shadow: &Shadow| match shadow {
            Shadow::Marked(mask) => mask.alpha.len(),
            Shadow::Found | Shadow::None => 0,
        };
        let entity = |e: &Entity| e.mask.alpha.len() + shadow(&e.shadow) + 1024;
        let behind = |behind: &Behind| {
            let plate = behind.plate.as_ref().map_or(0, |plate| plate.rgb.len());
            plate + behind.from.as_ref().map_or(0, |from| from.alpha.len())
        };
        match self {
            Edit::Insert { entity: e, .. } => entity(e),
            Edit::Exchange { entities, .. } => entities.iter().map(entity).sum(),
            Edit::SetMask { mask, .. } => mask.alpha.len(),
            Edit::SetShadow { shadow: own, .. } => shadow(own),
            Edit::SetBehind { behind: own } => behind(own),
            Edit::Replace { scene } => {
                // In full, though scenes of one picture share its pixels: this is a bound.
                let entities: usize = scene.entities.iter().map(entity).sum();
                scene.picture.rgb.len() + behind(&scene.behind) + entities
            }
            _ => 1024,
        }
    }
}

/// The edits that can be undone and redone.
#[derive(Default)]
pub struct History {
    /// Edits that take back what was done, newest last.
    undo: VecDeque<(&'static str, Edit)>,
    /// Edits that do again what was taken back, newest last.
    redo: Vec<(&'static str, Edit)>,
}

impl History {
    /// Nothing to undo yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies an edit and remembers how to take it back; what had been undone can no longer be redone.
    ///
    /// # Errors
    /// As [`Edit::apply`]; then nothing is remembered of it.
    pub fn apply(&mut self, edit: Edit, scene: &mut Scene) -> Result<()> {
        let label = edit.label();
        let back = edit.apply(scene)?;
        self.redo.clear();
        self.undo.push_back((label, back));
        let mut bytes: usize = self.undo.iter().map(|(_, e)| e.bytes()).sum();
        while self.undo.len() > MAX_STEPS || bytes > MAX_BYTES && self.undo.len() > 1 {
            bytes -= self.undo.pop_front().map_or(0, |(_, e)| e.bytes());
        }
        Ok(())
    }

    /// Takes the newest edit back. Returns its label, `None` if there was none.
    ///
    /// # Errors
    /// As [`Edit::apply`], for a scene that was changed without this history.
    pub fn undo(&mut self, scene: &mut Scene) -> Result<Option<&'static str>> {
        let Some((label, edit)) = self.undo.pop_back() else {
            return Ok(None);
        };
        self.redo.push((label, edit.apply(scene)?));
        Ok(Some(label))
    }

    /// Does again what was undone last. Returns its label, `None` if there was none.
    ///
    /// # Errors
    /// As [`History::undo`].
    pub fn redo(&mut self, scene: &mut Scene) -> Result<Option<&'static str>> {
        let Some((label, edit)) = self.redo.pop() else {
            return Ok(None);
        };
        self.undo.push_back((label, edit.apply(scene)?));
        Ok(Some(label))
    }

    /// What [`History::undo`] would take back.
    pub fn undo_label(&self) -> Option<&'static str> {
        self.undo.back().map(|(label, _)| *label)
    }

    /// What [`History::redo`] would do again.
    pub fn redo_label(&self) -> Option<&'static str> {
        self.redo.last().map(|(label, _)| *label)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Picture;
    use crate::scene::ground::Ground;
    use crate::scene::skeleton::JOINTS;
    use proptest::prelude::*;

    fn entity(name: &str, side: u32) -> Entity {
        Entity {
            name: name.into(),
            mask: Mask::empty(side, side),
            ..Entity::default()
        }
    }

    /// The parts of a scene that edits change, comparable.
    fn state(
        scene: &Scene,
    ) -> (
        Vec<Entity>,
        Order,
        Option<Trajectory>,
        View,
        Behind,
        Picture,
    ) {
        (
            scene.entities.clone(),
            scene.order,
            scene.background.clone(),
            scene.view.clone(),
            scene.behind.clone(),
            scene.picture.clone(),
        )
    }

    /// Orders of up to four entities, and lists that are none.
    fn reorderings() -> impl Strategy<Value = Vec<usize>> {
        let orders = (0usize..5).prop_flat_map(|n| Just((0..n).collect()).prop_shuffle());
        prop_oneof![4 => orders, 1 => prop::collection::vec(0usize..6, 0..6)]
    }

    fn edits() -> impl Strategy<Value = Edit> {
        let line = || Some(Trajectory::line([0.1, 0.2], [0.8, 0.9]));
        prop_oneof![
            (0usize..4, "[a-c]").prop_map(|(index, n)| Edit::Insert {
                index,
                entity: Box::new(entity(&n, 3))
            }),
            (0usize..4).prop_map(|index| Edit::Remove { index }),
            (reorderings(), any::<bool>()).prop_map(|(positions, listed)| Edit::Reorder {
                positions,
                order: if listed {
                    Order::AsListed
                } else {
                    Order::Automatic
                },
            }),
            (0usize..4, 1u32..9).prop_map(|(index, n)| Edit::SetMask {
                index,
                mask: Mask::empty(n, n)
            }),
            (0usize..4, 0usize..3).prop_map(move |(index, n)| Edit::SetMotion {
                index,
                trajectory: line(),
                handles: vec![Trajectory::pin(0.3, 0.3); n],
                poses: vec![Pose::default(); n],
                skeleton: Skeleton::of_list(&vec![[0.5; 3]; JOINTS * n]).map(Box::new),
            }),
            (0usize..4, "[a-z]{3}").prop_map(|(index, name)| Edit::Rename { index, name }),
            (0usize..4, 0f32..1.0).prop_map(|(index, share)| Edit::SetStrength {
                index,
                strength: Strength::new(share),
            }),
            prop::collection::vec(any::<Option<u32>>(), 0..4)
                .prop_map(|groups| Edit::SetGroups { groups }),
            (1f32..8.0).prop_map(move |scale| Edit::SetCamera {
                trajectory: line(),
                view: View {
                    about: [0.5; 2],
                    poses: vec![Pose {
                        scale,
                        ..Pose::default()
                    }],
                    ground: Some(Ground::new(0.1 * scale, 0.9)),
                },
            }),
            prop::collection::vec((0usize..4, any::<bool>(), any::<Option<u8>>()), 0..3).prop_map(
                |looks| {
                    let look = |(index, hidden, colour): (usize, bool, Option<u8>)| {
                        let locked = !hidden;
                        (
                            index,
                            Look {
                                hidden,
                                locked,
                                colour,
                            },
                        )
                    };
                    Edit::SetLooks {
                        looks: looks.into_iter().map(look).collect(),
                    }
                }
            ),
            (0usize..4, 0u32..3).prop_map(|(index, n)| Edit::SetShadow {
                index,
                shadow: match n {
                    0 => Shadow::None,
                    n => Shadow::Marked(Mask::empty(n, n)),
                },
            }),
            (0u32..3).prop_map(|n| Edit::SetBehind {
                behind: Behind {
                    plate: Some(Picture::default()).filter(|_| n > 1),
                    from: Some(Mask::empty(n, n)),
                },
            }),
            Just(Edit::SetCamera {
                view: View::default(),
                trajectory: Some(Trajectory::pin(0.5, 0.5))
            }),
            Just(Edit::Replace {
                scene: Box::new(Scene {
                    entities: vec![entity("new", 2), entity("newer", 2)],
                    ..Scene::default()
                })
            }),
        ]
    }

    proptest! {
        #[test]
        fn undoing_all_and_redoing_all_walks_the_same_way(edits in prop::collection::vec(edits(), 0..60)) {
            let mut scene = Scene::default();
            let mut history = History::new();
            let mut states = vec![state(&scene)];
            for edit in edits {
                if history.apply(edit, &mut scene).is_ok() {
                    states.push(state(&scene));
                } else {
                    prop_assert!(state(&scene) == *states.last().unwrap(), "a refused edit changed the scene");
                }
            }
            for before in states.iter().rev().skip(1) {
                prop_assert!(history.undo(&mut scene).unwrap().is_some());
                prop_assert!(state(&scene) == *before);
            }
            prop_assert!(history.undo(&mut scene).unwrap().is_none() && history.undo_label().is_none());
            for after in states.iter().skip(1) {
                prop_assert!(history.redo(&mut scene).unwrap().is_some());
                prop_assert!(state(&scene) == *after);
            }
            prop_assert!(history.redo(&mut scene).unwrap().is_none() && history.redo_label().is_none());
        }
    }

    #[test]
    fn a_new_edit_ends_redo() {
        let (mut scene, mut history) = (Scene::default(), History::new());
        let add = |n: &str| Edit::Insert {
            index: 0,
            entity: Box::new(entity(n, 2)),
        };
        history.apply(add("a"), &mut scene).unwrap();
        history.undo(&mut scene).unwrap();
        assert_eq!(history.redo_label(), Some("add entity"));
        history.apply(add("b"), &mut scene).unwrap();
        assert_eq!(history.redo_label(), None);
        assert_eq!(scene.entities[0].name, "b");
    }

    #[test]
    fn another_order_is_undone_and_redone_and_has_to_name_each_entity_once() {
        let mut scene = Scene {
            entities: ["a", "b", "c"].map(|name| entity(name, 2)).into(),
            ..Scene::default()
        };
        let names = |scene: &Scene| -> String { scene.entities.iter().map(|e| &*e.name).collect() };
        let reorder = |positions: &[usize]| Edit::Reorder {
            positions: positions.into(),
            order: Order::AsListed,
        };
        for wrong in [
            &[][..],
            &[0, 1],
            &[0, 1, 3],
            &[0, 1, 1],
            &[0, 1, 2, 2],
            &[usize::MAX, 0, 1],
        ] {
            assert!(reorder(wrong).apply(&mut scene).is_err(), "{wrong:?}");
            assert_eq!(
                (names(&scene), scene.order),
                ("abc".into(), Order::Automatic)
            );
        }
        let mut history = History::new();
        history.apply(reorder(&[2, 0, 1]), &mut scene).unwrap();
        assert_eq!(
            (names(&scene), scene.order),
            ("cab".into(), Order::AsListed)
        );
        history.undo(&mut scene).unwrap();
        assert_eq!(
            (names(&scene), scene.order),
            ("abc".into(), Order::Automatic)
        );
        history.redo(&mut scene).unwrap();
        assert_eq!(
            (names(&scene), scene.order),
            ("cab".into(), Order::AsListed)
        );
    }

    #[test]
    fn memory_is_bounded() {
        let (mut scene, mut history) = (Scene::default(), History::new());
        history
            .apply(
                Edit::Insert {
                    index: 0,
                    entity: Box::new(entity("a", 2)),
                },
                &mut scene,
            )
            .unwrap();
        for _ in 0..40 {
            history
                .apply(
                    Edit::SetMask {
                        index: 0,
                        mask: Mask::empty(2048, 2048),
                    },
                    &mut scene,
                )
                .unwrap();
        }
        let mut steps = 0;
        while history.undo(&mut scene).unwrap().is_some() {
            steps += 1;
        }
        assert!((2..=16).contains(&steps), "{steps} masks of 4 MB kept");
    }
}
