//! The twelve parts a person is divided into, as the paper does: "12 parts encompassing the torso and limbs".
//! Left and right are the person's own.

use super::{Entity, Look, Mask, Pose, Shadow, Trajectory, TrajectoryPoint};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// A part of a person. Files have its name with underscores, people are told [`Part::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// With hair, hat and neck.
    Head,
    /// From the shoulders to the hips, with a skirt.
    Torso,
    /// From the shoulder to the elbow.
    LeftUpperArm,
    /// From the elbow on, with the hand.
    LeftLowerArm,
    /// From the shoulder to the elbow.
    RightUpperArm,
    /// From the elbow on, with the hand.
    RightLowerArm,
    /// From the hip to the knee.
    LeftUpperLeg,
    /// From the knee to the ankle.
    LeftLowerLeg,
    /// With the shoe.
    LeftFoot,
    /// From the hip to the knee.
    RightUpperLeg,
    /// From the knee to the ankle.
    RightLowerLeg,
    /// With the shoe.
    RightFoot,
}

/// Number of classes that pixels are told apart into: what is not of the person, then the parts in the order of
/// [`Part::ALL`].
pub const CLASSES: usize = Part::ALL.len() + 1;

/// A side of a person, its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Its left, which is to the right in the picture of a person who faces it.
    Left,
    /// Its right.
    Right,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// Upper arm, and lower arm with the hand.
    pub fn arm(self) -> [Part; 2] {
        match self {
            Self::Left => [Part::LeftUpperArm, Part::LeftLowerArm],
            Self::Right => [Part::RightUpperArm, Part::RightLowerArm],
        }
    }

    /// Upper leg, lower leg and foot.
    pub fn leg(self) -> [Part; 3] {
        match self {
            Self::Left => [Part::LeftUpperLeg, Part::LeftLowerLeg, Part::LeftFoot],
            Self::Right => [Part::RightUpperLeg, Part::RightLowerLeg, Part::RightFoot],
        }
    }

    /// The other one.
    pub fn opposite(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

impl Part {
    /// All of them, in the order of a parser's classes.
    pub const ALL: [Self; 12] = [
        Self::Head,
        Self::Torso,
        Self::LeftUpperArm,
        Self::LeftLowerArm,
        Self::RightUpperArm,
        Self::RightLowerArm,
        Self::LeftUpperLeg,
        Self::LeftLowerLeg,
        Self::LeftFoot,
        Self::RightUpperLeg,
        Self::RightLowerLeg,
        Self::RightFoot,
    ];

    /// From back to front, of who faces the viewer: arms lie on the torso, the torso on the legs.
    pub(crate) const BACK_TO_FRONT: [Self; 12] = [
        Self::LeftFoot,
        Self::RightFoot,
        Self::LeftLowerLeg,
        Self::RightLowerLeg,
        Self::LeftUpperLeg,
        Self::RightUpperLeg,
        Self::Torso,
        Self::Head,
        Self::LeftUpperArm,
        Self::RightUpperArm,
        Self::LeftLowerArm,
        Self::RightLowerArm,
    ];

    /// What people are told it is.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Torso => "torso",
            Self::LeftUpperArm => "left upper arm",
            Self::LeftLowerArm => "left lower arm",
            Self::RightUpperArm => "right upper arm",
            Self::RightLowerArm => "right lower arm",
            Self::LeftUpperLeg => "left upper leg",
            Self::LeftLowerLeg => "left lower leg",
            Self::LeftFoot => "left foot",
            Self::RightUpperLeg => "right upper leg",
            Self::RightLowerLeg => "right lower leg",
            Self::RightFoot => "right foot",
        }
    }

    /// Its class, from 1: 0 is what is not of the person.
    pub const fn class(self) -> usize {
        self as usize + 1
    }

    /// The part of a class; `None` for what is not of the person, and for numbers that are no class.
    pub fn of_class(class: usize) -> Option<Self> {
        Self::ALL.get(class.checked_sub(1)?).copied()
    }

    /// Whether it is of an arm, with the hand.
    pub(crate) fn is_of_an_arm(self) -> bool {
        self.side().is_some_and(|side| side.arm().contains(&self))
    }

    /// Whether it is a thigh, a shank or a foot.
    pub(crate) fn is_of_a_leg(self) -> bool {
        self.side().is_some_and(|side| side.leg().contains(&self))
    }

    /// Whether it is below the knee.
    pub(crate) fn is_of_a_shank(self) -> bool {
        self.side()
            .is_some_and(|side| side.leg()[1..].contains(&self))
    }

    /// The side it is on; `None` for what there is but one of.
    pub fn side(self) -> Option<Side> {
        let has = |side: &Side| side.arm().contains(&self) || side.leg().contains(&self);
        Side::BOTH.into_iter().find(has)
    }

    /// The part that it becomes in a mirror.
    pub fn mirrored(self) -> Self {
        let Some(side) = self.side() else {
            return self;
        };
        let limbs = |side: Side| [side.arm().as_slice(), &side.leg()].concat();
        let pairs = limbs(side).into_iter().zip(limbs(side.opposite()));
        let mut other = pairs.filter(|(own, _)| *own == self);
        other.next().map_or(self, |(_, other)| other)
    }

    /// The part that it hangs from and follows; `None` for the torso.
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::Torso => None,
            Self::LeftLowerArm => Some(Self::LeftUpperArm),
            Self::RightLowerArm => Some(Self::RightUpperArm),
            Self::LeftLowerLeg => Some(Self::LeftUpperLeg),
            Self::RightLowerLeg => Some(Self::RightUpperLeg),
            Self::LeftFoot => Some(Self::LeftLowerLeg),
            Self::RightFoot => Some(Self::RightLowerLeg),
            Self::Head
            | Self::LeftUpperArm
            | Self::RightUpperArm
            | Self::LeftUpperLeg
            | Self::RightUpperLeg => Some(Self::Torso),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The parts of an entity as entities of `group`, back to front; what it did, each of them does, but a further handle is that of
/// the part which it holds.
pub fn split(whole: &Entity, parts: Vec<(Part, Mask)>, group: u32) -> Vec<Entity> {
    let held = |mask: &Mask| -> Vec<Trajectory> {
        let on = |path: &&Trajectory| mask.contains(path.start()[0], path.start()[1]);
        whole.handles.iter().filter(on).cloned().collect()
    };
    let place = |part: Part| Part::BACK_TO_FRONT.iter().position(|p| *p == part);
    let mut parts = parts;
    parts.sort_by_key(|(part, _)| place(*part));
    parts
        .into_iter()
        .enumerate()
        .map(|(i, (part, mask))| Entity {
            name: part.name().to_owned(),
            handles: held(&mask),
            mask,
            trajectory: whole.trajectory.clone(),
            poses: whole.poses.clone(),
            skeleton: None,
            group: Some(group),
            part: Some(part),
            strength: whole.strength,
            // What somebody has marked is one part's, or it would be laid over itself.
            shadow: match &whole.shadow {
                Shadow::Marked(_) if i > 0 => Shadow::None,
                other => other.clone(),
            },
            look: Look::default(),
        })
        .collect()
}

/// What an entity does in its group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// Its own trajectory, or that of what it goes along with, or a pin.
    pub trajectory: Option<Trajectory>,
    /// Its own poses, or those of what it goes along with.
    pub poses: Vec<Pose>,
}

/// Which entity one goes along with that has no motion of its own: of those of its group that are no parts of a body either, the first
/// that moves.
pub fn leader(entities: &[Entity], index: usize) -> Option<usize> {
    let own = entities.get(index)?;
    if own.part.is_some() || own.group.is_none() || own.has_motion() {
        return None;
    }
    let leads = |e: &Entity| e.group == own.group && e.part.is_none() && e.moves();
    entities.iter().position(leads)
}

/// Whether an entity without a motion of its own is tied to another, and goes along when that is led.
pub fn is_tied(entities: &[Entity], index: usize, to: usize) -> bool {
    let both = entities.get(index).zip(entities.get(to));
    both.is_some_and(|(own, other)| {
        let bodies = own.part.is_some() || other.part.is_some();
        index != to
            && own.group.is_some()
            && own.group == other.group
            && !bodies
            && !own.has_motion()
    })
}

/// What `follower` does that goes along with `leader`: the same way, and about the same place turned and scaled as that is.
pub fn going_along(follower: &Entity, leader: &Entity) -> Held {
    /// Places of a way that is turned.
    const PLACES: usize = 49;
    let Some([x, y]) = follower.mask.centroid() else {
        return Held::default();
    };
    let path = leader.trajectory.clone();
    let about = path.as_ref().map(Trajectory::start);
    let Some(about) = about.or_else(|| leader.mask.centroid()) else {
        return Held::default();
    };
    let path = path.unwrap_or_else(|| Trajectory::pin(about[0], about[1]));
    let poses = leader.poses.clone();
    if poses.iter().all(Pose::is_still) {
        return Held {
            trajectory: Some(path.moved_to(x, y)),
            poses,
        };
    }
    let aspect = follower.mask.width.max(1) as f32 / follower.mask.height.max(1) as f32;
    let places = path.offsets(PLACES).into_iter();
    let points = places.zip(Pose::sample(&poses, PLACES)).enumerate();
    let place = |(i, (offset, pose)): (usize, ([f32; 2], Pose))| {
        let (sin, cos) = pose.rotation.to_radians().sin_cos();
        let arm = [(x - about[0]) * aspect, y - about[1]];
        let turned = [cos * arm[0] - sin * arm[1], sin * arm[0] + cos * arm[1]];
        TrajectoryPoint::new(
            about[0] + pose.scale * turned[0] / aspect + offset[0],
            about[1] + pose.scale * turned[1] + offset[1],
            i as f32 / (PLACES - 1) as f32,
        )
    };
    Held {
        trajectory: Some(
            Trajectory {
                points: points.map(place).collect(),
            }
            .cleaned(),
        ),
        poses,
    }
}

/// What holds groups together: what each entity does, where it does nothing but belongs to a group in which
/// something moves. A part of a body follows the part it hangs from (an arm the torso, a hand's arm the upper arm), what is no part
/// its [`leader`]; where that does not move either, it is held where it is, as far as no more than `most`
/// entities have a trajectory then.
pub fn held_together(entities: &[Entity], most: usize) -> Vec<Held> {
    let moves = |group: u32| {
        let mut others = entities.iter().filter(|e| e.group == Some(group));
        others.any(Entity::moves)
    };
    let own = |group: u32, part: Part| {
        let other = |e: &&Entity| e.group == Some(group) && e.part == Some(part);
        entities.iter().find(other)?.trajectory.clone()
    };
    let following = |entity: &Entity| {
        let mut above = entity.part.and_then(Part::parent);
        while let Some(part) = above {
            if let Some(trajectory) = own(entity.group?, part) {
                return Some(trajectory);
            }
            above = part.parent();
        }
        None
    };
    let mut room = most;
    let mut held: Vec<Held> = entities
        .iter()
        .enumerate()
        .map(|(i, entity)| {
            let moved = entity.group.is_some_and(moves);
            let along = leader(entities, i).map(|leader| going_along(entity, &entities[leader]));
            let mut held = along.unwrap_or_else(|| Held {
                trajectory: entity.trajectory.clone(),
                poses: entity.poses.clone(),
            });
            if held.trajectory.is_none() {
                held.trajectory = following(entity).filter(|_| moved);
            }
            room = room.saturating_sub(usize::from(held.trajectory.is_some()));
            held
        })
        .collect();
    for (entity, held) in entities.iter().zip(&mut held) {
        let still = held.trajectory.is_none() && held.poses.is_empty();
        if still && room > 0 && entity.group.is_some_and(moves) {
            held.trajectory = entity.mask.centroid().map(|[x, y]| Trajectory::pin(x, y));
            room -= usize::from(held.trajectory.is_some());
        }
    }
    held
}

/// Parts with a smaller share of the person are given to their neighbours.
const LEAST_PART: f32 = 0.005;
/// So are pieces of a part that are smaller than this share of its largest.
const LEAST_PIECE: f32 = 0.3;

/// Masks of parts from the part of each pixel (`None` outside the mask): small pieces go to what is around them.
///
/// # Errors
/// [`Error::Job`] when fewer than two parts are left.
pub fn share_out(mask: &Mask, labels: &[Option<Part>]) -> Result<Vec<(Part, Mask)>> {
    let nearest = tidied(mask, labels);
    let made: Vec<(Part, Mask)> = Part::ALL
        .into_iter()
        .map(|part| {
            let alpha = nearest.iter().zip(&mask.alpha);
            let alpha = alpha.map(|(own, a)| if *own == Some(part) { *a } else { 0 });
            let own = Mask {
                alpha: alpha.collect(),
                ..*mask
            };
            (part, own)
        })
        .filter(|(_, own)| !own.is_empty())
        .collect();
    if made.len() < 2 {
        return Err(Error::Job(
            "no two parts of a person can be told apart here: click the whole of one, or paint its mask with the brush"
                .into(),
        ));
    }
    Ok(made)
}

/// The labels with small parts, and small pieces of parts, given to what is nearest, as is what has no label.
pub(crate) fn tidied(mask: &Mask, labels: &[Option<Part>]) -> Vec<Option<Part>> {
    let width = mask.width as usize;
    let least = LEAST_PART * mask.area() as f32;
    let mut kept = pieces(labels, width);
    let mut largest = [0usize; CLASSES];
    let mut whole = [0usize; CLASSES];
    for (part, piece) in &kept {
        let class = part.class();
        largest[class] = largest[class].max(piece.len());
        whole[class] += piece.len();
    }
    kept.retain(|(part, piece)| {
        let (whole, largest) = (whole[part.class()], largest[part.class()]);
        whole as f32 >= least && piece.len() as f32 >= LEAST_PIECE * largest as f32
    });
    nearest(kept, labels.len(), width)
}

/// Pixels of one label that hang together.
pub(crate) type Piece<L> = (L, Vec<usize>);

pub(crate) fn pieces<L: Copy + PartialEq>(labels: &[Option<L>], width: usize) -> Vec<Piece<L>> {
    let mut seen = vec![false; labels.len()];
    let mut found = Vec::new();
    for (start, label) in labels.iter().enumerate() {
        let Some(own) = *label else { continue };
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        let mut piece = vec![start];
        let mut next = 0;
        while let Some(&at) = piece.get(next) {
            next += 1;
            for other in neighbours(at, width, labels.len()) {
                if labels[other] == *label && !std::mem::replace(&mut seen[other], true) {
                    piece.push(other);
                }
            }
        }
        found.push((own, piece));
    }
    found
}

/// The part of the piece that is nearest to each of `count` pixels, by steps from pixel to pixel.
fn nearest(pieces: Vec<Piece<Part>>, count: usize, width: usize) -> Vec<Option<Part>> {
    let mut nearest = vec![None; count];
    let mut edge = VecDeque::new();
    for (part, piece) in pieces {
        for at in piece {
            nearest[at] = Some(part);
            edge.push_back(at);
        }
    }
    while let Some(at) = edge.pop_front() {
        for other in neighbours(at, width, count) {
            if nearest[other].is_none() {
                nearest[other] = nearest[at];
                edge.push_back(other);
            }
        }
    }
    nearest
}

pub(crate) fn neighbours(at: usize, width: usize, count: usize) -> impl Iterator<Item = usize> {
    let column = at % width;
    [
        (column > 0).then(|| at - 1),
        (column + 1 < width).then_some(at + 1),
        at.checked_sub(width),
        Some(at + width).filter(|&below| below < count),
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_swap_sides_and_names_say_so() {
        for part in Part::ALL {
            let other = part.mirrored();
            assert_eq!(other.mirrored(), part);
            let swapped = match part.name().split_once(' ') {
                Some(("left", rest)) => format!("right {rest}"),
                Some(("right", rest)) => format!("left {rest}"),
                _ => part.name().to_owned(),
            };
            assert_eq!(other.name(), swapped);
            assert_eq!(other.side(), part.side().map(Side::opposite));
            assert_eq!(other.parent(), part.parent().map(Part::mirrored));
            let side = part.name().split_once(' ').map(|(side, _)| side);
            let known = part.side().map(|side| match side {
                Side::Left => "left",
                Side::Right => "right",
            });
            assert_eq!(side, known);
        }
        let limbs = |side: Side| [&side.arm()[..], &side.leg()[..]].concat();
        for (left, right) in limbs(Side::Left).into_iter().zip(limbs(Side::Right)) {
            assert_eq!(left.mirrored(), right);
            assert!(left.name().starts_with("left"));
        }
    }

    #[test]
    fn classes_and_names_in_files_are_those_that_weights_and_presets_have() {
        for (at, part) in Part::ALL.into_iter().enumerate() {
            assert_eq!((part.class(), Part::of_class(at + 1)), (at + 1, Some(part)));
            let written = serde_json::to_string(&part).unwrap();
            assert_eq!(written, format!("\"{}\"", part.name().replace(' ', "_")));
            assert_eq!(serde_json::from_str::<Part>(&written).unwrap(), part);
        }
        for none in [0, CLASSES, usize::MAX] {
            assert_eq!(Part::of_class(none), None);
        }
        let mut drawn = Part::BACK_TO_FRONT;
        drawn.sort();
        assert_eq!(drawn, Part::ALL);
        // The order in which the shipped parser was trained.
        let named = [
            (1, "head"),
            (2, "torso"),
            (6, "right lower arm"),
            (9, "left foot"),
        ];
        for (class, name) in named {
            assert_eq!(Part::of_class(class).unwrap().name(), name);
        }
        // Everything hangs from the torso in the end.
        for part in Part::ALL {
            let above = std::iter::successors(Some(part), |p| p.parent());
            assert_eq!(above.take(5).last(), Some(Part::Torso));
        }
    }

    fn entity(part: Option<Part>, group: Option<u32>, to: Option<[f32; 2]>) -> Entity {
        let mut mask = Mask::empty(8, 8);
        mask.alpha[27] = 255;
        let trajectory = to.map(|[x, y]| {
            let mut path = Trajectory::pin(0.5, 0.5);
            path.points
                .push(crate::scene::TrajectoryPoint::new(x, y, 1.0));
            path
        });
        Entity {
            // What it is called says nothing.
            name: "head".into(),
            mask,
            trajectory,
            group,
            part,
            ..Entity::default()
        }
    }

    #[test]
    fn what_hangs_from_a_part_follows_it_and_the_rest_is_held() {
        let moved = |entities: &[Entity]| -> Vec<Option<[f32; 2]>> {
            let held = held_together(entities, 12);
            let end = |held: Held| held.trajectory.map(|t| t.points[t.points.len() - 1]);
            held.into_iter()
                .map(|t| end(t).map(|p| [p.x, p.y]))
                .collect()
        };
        let body = |torso, arm| {
            [
                entity(Some(Part::Torso), Some(4), torso),
                entity(Some(Part::LeftUpperArm), Some(4), arm),
                entity(Some(Part::LeftLowerArm), Some(4), None),
                entity(Some(Part::Head), Some(4), None),
                // A hat.
                entity(None, Some(4), None),
                entity(Some(Part::LeftFoot), Some(4), None),
                entity(Some(Part::Head), Some(5), None),
                // A dog.
                entity(None, None, None),
            ]
        };
        // The middle of the one pixel.
        let here = Some([3.5 / 8.0, 3.5 / 8.0]);
        let [torso, arm] = [[0.9, 0.5], [0.5, 0.1]].map(Some);
        assert_eq!(
            moved(&body(None, arm)),
            [here, arm, arm, here, here, here, None, None]
        );
        assert_eq!(
            moved(&body(torso, None)),
            [torso, torso, torso, torso, here, torso, None, None]
        );
        assert_eq!(moved(&body(torso, arm))[1..4], [arm, arm, torso]);
        // Nothing moves: nothing is held.
        assert_eq!(moved(&body(None, None)), [None; 8]);
        // There is room for two that move and one that is held.
        let held = held_together(&body(None, arm), 3);
        let led = held.iter().filter(|held| held.trajectory.is_some());
        assert_eq!(led.count(), 3);
    }

    #[test]
    fn what_is_no_part_goes_along_with_what_leads_its_group() {
        let mut horse = entity(None, Some(2), Some([0.9, 0.5]));
        let rider = entity(None, Some(2), None);
        let dog = entity(None, None, None);
        let scene = [horse.clone(), rider.clone(), dog.clone()];
        assert_eq!(leader(&scene, 1), Some(0));
        assert_eq!((leader(&scene, 0), leader(&scene, 2)), (None, None));
        let held = held_together(&scene, 12);
        let path = held[1].trajectory.as_ref().unwrap();
        let [x, y] = rider.mask.centroid().unwrap();
        assert_eq!(path.start(), [x, y]);
        let end = path.position(1.0);
        assert!((end[0] - x - 0.4).abs() < 1e-6 && (end[1] - y).abs() < 1e-6);
        assert_eq!(held[2], Held::default());
        // Who has a way of their own goes that.
        let own = entity(None, Some(2), Some([0.1, 0.1]));
        let held = held_together(&[horse.clone(), own.clone()], 12);
        assert_eq!(held[1].trajectory, own.trajectory);
        // Turned about the same place as what leads.
        horse.poses = vec![Pose {
            t: 1.0,
            rotation: 180.0,
            scale: 2.0,
            depth: 0.0,
        }];
        let turned = going_along(&rider, &horse);
        let end = turned.trajectory.unwrap().position(1.0);
        assert!((end[0] - (0.9 - 2.0 * (x - 0.5))).abs() < 1e-4, "{end:?}");
        assert!((end[1] - (0.5 - 2.0 * (y - 0.5))).abs() < 1e-4, "{end:?}");
        assert_eq!(turned.poses, horse.poses);
    }

    #[test]
    fn every_pixel_becomes_one_parts_and_crumbs_are_swept_up() {
        let (w, h) = (20, 20);
        let mut mask = Mask::empty(w, h);
        let mut labels = vec![None; 400];
        for (at, label) in labels.iter_mut().enumerate() {
            let (x, y) = (at % 20, at / 20);
            if (2..18).contains(&x) && (2..18).contains(&y) {
                mask.alpha[at] = if x == 2 { 90 } else { 255 };
                *label = Some(if y < 10 { Part::Head } else { Part::Torso });
            }
        }
        // One pixel of the head in the torso, and three of a foot.
        labels[15 * 20 + 9] = Some(Part::Head);
        labels[5 * 20 + 9] = Some(Part::LeftFoot);
        let made = share_out(&mask, &labels).unwrap();
        let parts: Vec<Part> = made.iter().map(|(part, _)| *part).collect();
        assert_eq!(parts, [Part::Head, Part::Torso]);
        for at in 0..400 {
            let sum: u32 = made.iter().map(|(_, m)| u32::from(m.alpha[at])).sum();
            assert_eq!(sum, u32::from(mask.alpha[at]), "pixel {at}");
        }
        assert_eq!(made[1].1.alpha[15 * 20 + 9], 255);
        assert_eq!(made[0].1.alpha[5 * 20 + 9], 255);
        labels
            .iter_mut()
            .flatten()
            .for_each(|label| *label = Part::Head);
        let said = share_out(&mask, &labels).unwrap_err().to_string();
        assert!(said.contains("no two parts"), "{said}");
    }

    #[test]
    fn parts_are_entities_of_one_group_in_front_of_each_other() {
        let whole = entity(None, None, Some([0.9, 0.5]));
        let parts = Part::ALL.map(|part| (part, whole.mask.clone())).into();
        let made = split(&whole, parts, 3);
        assert_eq!(made.len(), Part::ALL.len());
        assert!(
            made.iter()
                .all(|e| e.group == Some(3) && e.trajectory == whole.trajectory)
        );
        let place = |part: Part| made.iter().position(|e| e.part == Some(part)).unwrap();
        assert!(
            place(Part::LeftUpperLeg) < place(Part::Torso)
                && place(Part::Torso) < place(Part::RightLowerArm)
        );
        for entity in &made {
            assert_eq!(entity.name, entity.part.unwrap().name());
        }
    }
}
