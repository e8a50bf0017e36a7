//! The twelve parts a person is divided into, as the paper does: "12 parts encompassing the torso and limbs".
//! Left and right are the person's own.

use super::{Entity, Mask, Trajectory};
use crate::error::{Error, Result};
use std::collections::VecDeque;

/// Number of parts.
pub const COUNT: usize = 12;
/// Number of classes that pixels are told apart into: what is not of the person, then the parts.
pub const CLASSES: usize = COUNT + 1;

/// Their names, in the order of their numbers.
pub const NAMES: [&str; COUNT] = [
    "head",
    "torso",
    "left upper arm",
    "left lower arm",
    "right upper arm",
    "right lower arm",
    "left upper leg",
    "left lower leg",
    "left foot",
    "right upper leg",
    "right lower leg",
    "right foot",
];

/// With hair, hat and neck.
pub const HEAD: usize = 0;
/// From the shoulders to the hips, with a skirt.
pub const TORSO: usize = 1;

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
    pub fn arm(self) -> [usize; 2] {
        match self {
            Self::Left => [2, 3],
            Self::Right => [4, 5],
        }
    }

    /// Upper leg, lower leg and foot.
    pub fn leg(self) -> [usize; 3] {
        match self {
            Self::Left => [6, 7, 8],
            Self::Right => [9, 10, 11],
        }
    }
}

/// The part that a part becomes in a mirror.
pub fn mirrored(part: usize) -> usize {
    match part {
        2 | 3 => part + 2,
        4 | 5 => part - 2,
        6..=8 => part + 3,
        9..=11 => part - 3,
        _ => part,
    }
}

/// The part that a part hangs from and follows; `None` for the torso.
pub fn parent(part: usize) -> Option<usize> {
    match part {
        TORSO => None,
        3 | 5 | 7 | 8 | 10 | 11 => Some(part - 1),
        _ => Some(TORSO),
    }
}

/// The part of a name, as long as nobody has changed it.
pub fn named(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// From back to front, of who faces the viewer: arms lie on the torso, the torso on the legs.
const ORDER: [usize; COUNT] = [8, 11, 7, 10, 6, 9, TORSO, HEAD, 2, 4, 3, 5];

/// The parts of an entity as entities of `group`, back to front; what it did, each of them does.
pub fn split(whole: &Entity, parts: Vec<(usize, Mask)>, group: u32) -> Vec<Entity> {
    let place = |part: usize| ORDER.iter().position(|p| *p == part);
    let mut parts = parts;
    parts.sort_by_key(|(part, _)| place(*part));
    parts
        .into_iter()
        .map(|(part, mask)| Entity {
            name: NAMES[part % COUNT].to_owned(),
            mask,
            trajectory: whole.trajectory.clone(),
            group: Some(group),
        })
        .collect()
}

/// What holds groups together: the trajectory of each entity, where it has none but belongs to a group in which
/// something moves. A part of a body follows the part it hangs from (an arm the torso, a hand's arm the upper arm);
/// where that does not move either, or it is no part of a body, it is held where it is, as far as no more than `most`
/// entities have a trajectory then.
pub fn held_together(entities: &[Entity], most: usize) -> Vec<Option<Trajectory>> {
    let moves = |group: u32| {
        let others = entities.iter().filter(|e| e.group == Some(group));
        others
            .filter_map(|e| e.trajectory.as_ref())
            .any(|t| !t.is_pin())
    };
    let own = |group: u32, part: usize| {
        let other = |e: &&Entity| e.group == Some(group) && named(&e.name) == Some(part);
        entities.iter().find(other)?.trajectory.clone()
    };
    let following = |entity: &Entity| {
        let mut above = named(&entity.name).and_then(parent);
        while let Some(part) = above {
            if let Some(trajectory) = own(entity.group?, part) {
                return Some(trajectory);
            }
            above = parent(part);
        }
        None
    };
    let mut room = most;
    let mut held: Vec<Option<Trajectory>> = entities
        .iter()
        .map(|entity| {
            let moved = entity.group.is_some_and(moves);
            let trajectory = entity.trajectory.clone();
            let trajectory = trajectory.or_else(|| following(entity).filter(|_| moved));
            room = room.saturating_sub(usize::from(trajectory.is_some()));
            trajectory
        })
        .collect();
    for (entity, trajectory) in entities.iter().zip(&mut held) {
        if trajectory.is_none() && room > 0 && entity.group.is_some_and(moves) {
            *trajectory = entity.mask.centroid().map(|[x, y]| Trajectory::pin(x, y));
            room -= usize::from(trajectory.is_some());
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
pub fn share_out(mask: &Mask, labels: Vec<Option<usize>>) -> Result<Vec<(usize, Mask)>> {
    let width = mask.width as usize;
    let least = LEAST_PART * mask.area() as f32;
    let mut kept = pieces(&labels, width);
    let mut largest = [0usize; COUNT];
    let mut whole = [0usize; COUNT];
    for (part, piece) in &kept {
        largest[*part] = largest[*part].max(piece.len());
        whole[*part] += piece.len();
    }
    kept.retain(|(part, piece)| {
        whole[*part] as f32 >= least && piece.len() as f32 >= LEAST_PIECE * largest[*part] as f32
    });
    let nearest = nearest(kept, labels.len(), width);
    let made: Vec<(usize, Mask)> = (0..COUNT)
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

/// Pixels of one part that hang together.
pub(crate) type Piece = (usize, Vec<usize>);

pub(crate) fn pieces(labels: &[Option<usize>], width: usize) -> Vec<Piece> {
    let mut seen = vec![false; labels.len()];
    let mut found = Vec::new();
    for (start, label) in labels.iter().enumerate() {
        let Some(part) = *label else { continue };
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
        found.push((part, piece));
    }
    found
}

/// The part of the piece that is nearest to each of `count` pixels, by steps from pixel to pixel.
fn nearest(pieces: Vec<Piece>, count: usize, width: usize) -> Vec<Option<usize>> {
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
        for part in 0..COUNT {
            assert_eq!(mirrored(mirrored(part)), part);
            let swapped = match NAMES[part].split_once(' ') {
                Some(("left", rest)) => format!("right {rest}"),
                Some(("right", rest)) => format!("left {rest}"),
                _ => NAMES[part].to_owned(),
            };
            assert_eq!(NAMES[mirrored(part)], swapped);
        }
        let limbs = |side: Side| [&side.arm()[..], &side.leg()[..]].concat();
        for (left, right) in limbs(Side::Left).into_iter().zip(limbs(Side::Right)) {
            assert_eq!(mirrored(left), right);
            assert!(NAMES[left].starts_with("left"));
        }
    }

    fn entity(name: &str, group: Option<u32>, to: Option<[f32; 2]>) -> Entity {
        let mut mask = Mask::empty(8, 8);
        mask.alpha[27] = 255;
        let trajectory = to.map(|[x, y]| {
            let mut path = Trajectory::pin(0.5, 0.5);
            path.points
                .push(crate::scene::TrajectoryPoint { x, y, t: 1.0 });
            path
        });
        Entity {
            name: name.into(),
            mask,
            trajectory,
            group,
        }
    }

    #[test]
    fn what_hangs_from_a_part_follows_it_and_the_rest_is_held() {
        let moved = |entities: &[Entity]| -> Vec<Option<[f32; 2]>> {
            let held = held_together(entities, 12);
            let end = |t: Option<Trajectory>| t.map(|t| t.points[t.points.len() - 1]);
            held.into_iter()
                .map(|t| end(t).map(|p| [p.x, p.y]))
                .collect()
        };
        let body = |torso, arm| {
            [
                entity("torso", Some(4), torso),
                entity("left upper arm", Some(4), arm),
                entity("left lower arm", Some(4), None),
                entity("head", Some(4), None),
                entity("a hat", Some(4), None),
                entity("left foot", Some(4), None),
                entity("head", Some(5), None),
                entity("dog", None, None),
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
        assert_eq!(held.iter().flatten().count(), 3);
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
                *label = Some(if y < 10 { HEAD } else { TORSO });
            }
        }
        // One pixel of the head in the torso, and three of a foot.
        labels[15 * 20 + 9] = Some(HEAD);
        labels[5 * 20 + 9] = Some(8);
        let made = share_out(&mask, labels.clone()).unwrap();
        let parts: Vec<usize> = made.iter().map(|(part, _)| *part).collect();
        assert_eq!(parts, [HEAD, TORSO]);
        for at in 0..400 {
            let sum: u32 = made.iter().map(|(_, m)| u32::from(m.alpha[at])).sum();
            assert_eq!(sum, u32::from(mask.alpha[at]), "pixel {at}");
        }
        assert_eq!(made[1].1.alpha[15 * 20 + 9], 255);
        assert_eq!(made[0].1.alpha[5 * 20 + 9], 255);
        labels.iter_mut().flatten().for_each(|label| *label = HEAD);
        let said = share_out(&mask, labels).unwrap_err().to_string();
        assert!(said.contains("no two parts"), "{said}");
    }

    #[test]
    fn parts_are_entities_of_one_group_in_front_of_each_other() {
        let whole = entity("Entity 1", None, Some([0.9, 0.5]));
        let parts = (0..COUNT).map(|part| (part, whole.mask.clone())).collect();
        let made = split(&whole, parts, 3);
        assert_eq!(made.len(), COUNT);
        assert!(
            made.iter()
                .all(|e| e.group == Some(3) && e.trajectory == whole.trajectory)
        );
        let place = |name: &str| made.iter().position(|e| e.name == name).unwrap();
        assert!(
            place("left upper leg") < place("torso") && place("torso") < place("right lower arm")
        );
        for (part, name) in NAMES.iter().enumerate() {
            assert_eq!(named(name), Some(part));
            assert_eq!(parent(mirrored(part)), parent(part).map(mirrored));
        }
    }
}
