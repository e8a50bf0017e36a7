//! The labels of LIP ("Look into Person", Gong et al., CVPR 2017), as networks trained on it give them, to the twelve
//! [`parts`].
//!
//! LIP names what is worn, not what is under it, and arms and legs as wholes. The rules:
//!
//! - hat, hair, sunglasses and face are the head; scarf, skirt and dress are the torso, whose hips they hang from;
//! - upper-clothes, coats, and the upper halves of dresses and jumpsuits are the torso where they are thick. Where they
//!   are thin (a disc of half the radius of the largest that they hold does not fit) they are sleeves, of the arm they
//!   touch, or of the side they lie on;
//! - arms are divided at [`ELBOW`] of their length, which is counted in steps from the shoulder, the outermost place of
//!   the torso's upper quarter; gloves are lower arms;
//! - pants, and the lower halves of jumpsuits, belong to the leg whose bare skin, sock or shoe is nearest, in steps from
//!   pixel to pixel, else to the side they lie on. A leg's length is counted in steps from the torso, through a skirt
//!   if there is one: to [`SEAT`] of it pants are the torso, to [`KNEE`] it is the upper leg, then the lower leg;
//! - shoes are feet, socks are lower legs.

use super::parts::{Part, Side};
use super::raster::{squared_distances, squared_distances_within};
use super::{Mask, parts};
use std::collections::VecDeque;

/// Number of LIP's labels, with the background.
pub const LABELS: usize = 20;

const HAT: u8 = 1;
const HAIR: u8 = 2;
const GLOVE: u8 = 3;
const SUNGLASSES: u8 = 4;
const UPPER_CLOTHES: u8 = 5;
const DRESS: u8 = 6;
const COAT: u8 = 7;
const SOCKS: u8 = 8;
const PANTS: u8 = 9;
const JUMPSUITS: u8 = 10;
const SCARF: u8 = 11;
const SKIRT: u8 = 12;
const FACE: u8 = 13;
const LEFT_ARM: u8 = 14;
const RIGHT_ARM: u8 = 15;
const LEFT_LEG: u8 = 16;
const RIGHT_LEG: u8 = 17;
const LEFT_SHOE: u8 = 18;
const RIGHT_SHOE: u8 = 19;

/// Where an arm, with its hand, is divided: upper arm, lower arm and hand are 0.19, 0.15 and 0.11 heights.
pub const ELBOW: f32 = 0.42;
/// How much of a leg in trousers is still the seat.
pub const SEAT: f32 = 0.13;
/// Where a leg is divided.
pub const KNEE: f32 = 0.55;
/// Sleeves smaller than this share of what they belong to are folds.
const LEAST_SLEEVE: f32 = 0.03;

/// The part of each pixel of a map of LIP's labels; `None` for the background.
pub fn parts_of(labels: &[u8], width: usize) -> Vec<Option<Part>> {
    let map = Map::new(labels, width);
    let mut parts: Vec<Option<Part>> = labels.iter().map(|&label| plain(label)).collect();
    let legs = map.legs();
    let torso = map.arms(&legs, &mut parts);
    map.divide_legs(&legs, &torso, &mut parts);
    parts
}

/// The part of a label that has but one.
fn plain(label: u8) -> Option<Part> {
    match label {
        HAT | HAIR | SUNGLASSES | FACE => Some(Part::Head),
        UPPER_CLOTHES | DRESS | COAT | PANTS | JUMPSUITS | SCARF | SKIRT => Some(Part::Torso),
        LEFT_SHOE => Some(Part::LeftFoot),
        RIGHT_SHOE => Some(Part::RightFoot),
        _ => None,
    }
}

struct Map<'a> {
    labels: &'a [u8],
    width: usize,
    /// Down the person, a unit vector.
    down: [f32; 2],
    /// Towards the person's left.
    left: [f32; 2],
    /// The middle of the clothes.
    middle: [f32; 2],
}

impl<'a> Map<'a> {
    fn new(labels: &'a [u8], width: usize) -> Self {
        let mean = |wanted: &[u8]| {
            let (mut sum, mut count) = ([0.0f32; 2], 0.0);
            for (at, label) in labels.iter().enumerate() {
                if wanted.contains(label) {
                    sum[0] += (at % width) as f32;
                    sum[1] += (at / width) as f32;
                    count += 1.0;
                }
            }
            (count > 0.0).then(|| sum.map(|s| s / count))
        };
        let body = mean(&[UPPER_CLOTHES, DRESS, COAT, JUMPSUITS, SKIRT, PANTS, SCARF]);
        let middle = body.or_else(|| mean(&[LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG]));
        let middle = middle.unwrap_or_default();
        let unit = |v: [f32; 2]| {
            let length = v[0].hypot(v[1]);
            (length > 1.0).then(|| v.map(|c| c / length))
        };
        let head = mean(&[HAIR, FACE, HAT]);
        let down = head.and_then(|head| unit([middle[0] - head[0], middle[1] - head[1]]));
        let down = down.unwrap_or([0.0, 1.0]);
        // Of who faces the viewer, the left is to the right of the picture; limbs that are named say it better.
        let mut left = [down[1], -down[0]];
        let sides =
            mean(&[LEFT_ARM, LEFT_LEG, LEFT_SHOE]).zip(mean(&[RIGHT_ARM, RIGHT_LEG, RIGHT_SHOE]));
        if let Some((l, r)) = sides
            && (l[0] - r[0]) * left[0] + (l[1] - r[1]) * left[1] < 0.0
        {
            left = left.map(|c| -c);
        }
        Self {
            labels,
            width,
            down,
            left,
            middle,
        }
    }

    fn along(&self, axis: [f32; 2], at: usize) -> f32 {
        let x = (at % self.width) as f32 - self.middle[0];
        let y = (at / self.width) as f32 - self.middle[1];
        x * axis[0] + y * axis[1]
    }

    /// The side that a pixel lies on.
    fn lies_on(&self, at: usize) -> Side {
        if self.along(self.left, at) >= 0.0 {
            Side::Left
        } else {
            Side::Right
        }
    }

    /// Whether each pixel of `label` lies in the lower part of all of it, beyond `share` of its extent.
    fn lower(&self, label: u8, share: f32) -> Vec<bool> {
        let own = || (0..self.labels.len()).filter(|&at| self.labels[at] == label);
        let ends = own().map(|at| self.along(self.down, at));
        let (from, to) = ends.fold((f32::INFINITY, f32::NEG_INFINITY), |(from, to), v| {
            (from.min(v), to.max(v))
        });
        let mut lower = vec![false; self.labels.len()];
        own().for_each(|at| lower[at] = self.along(self.down, at) > from + share * (to - from));
        lower
    }

    /// The leg each pixel belongs to.
    fn legs(&self) -> Vec<Option<Side>> {
        let suit = self.lower(JUMPSUITS, 0.5);
        let seed = |label: u8| match label {
            LEFT_LEG | LEFT_SHOE => Some(Side::Left),
            RIGHT_LEG | RIGHT_SHOE => Some(Side::Right),
            _ => None,
        };
        let open: Vec<bool> = (0..self.labels.len())
            .map(|at| matches!(self.labels[at], PANTS | SOCKS) || suit[at])
            .collect();
        let seeds = |wanted: Side| -> Vec<usize> {
            let all = 0..self.labels.len();
            all.filter(|&at| seed(self.labels[at]) == Some(wanted))
                .collect()
        };
        let [left, right] = Side::BOTH.map(|side| self.steps(&seeds(side), &open));
        (0..self.labels.len())
            .map(|at| {
                if !open[at] {
                    return seed(self.labels[at]);
                }
                // One leg alone cannot say what belongs to the other.
                match (left[at], right[at]) {
                    (Some(l), Some(r)) if l != r => {
                        Some(if l < r { Side::Left } else { Side::Right })
                    }
                    _ => Some(self.lies_on(at)),
                }
            })
            .collect()
    }

    /// Steps from pixel to pixel through `open` ones from the nearest of `seeds`.
    fn steps(&self, seeds: &[usize], open: &[bool]) -> Vec<Option<u32>> {
        let mut steps = vec![None; self.labels.len()];
        let mut edge: VecDeque<usize> = seeds.iter().copied().collect();
        for &at in seeds {
            steps[at] = Some(0);
        }
        while let Some(at) = edge.pop_front() {
            for other in parts::neighbours(at, self.width, self.labels.len()) {
                if open[other] && steps[other].is_none() {
                    steps[other] = steps[at].map(|s| s + 1);
                    edge.push_back(other);
                }
            }
        }
        steps
    }

    /// Divides arms, and takes sleeves from the torso; returns the pixels of the torso that limbs hang from.
    fn arms(&self, legs: &[Option<Side>], parts: &mut [Option<Part>]) -> Vec<usize> {
        let count = self.labels.len();
        let cloth: Vec<bool> = (0..count)
            .map(|at| {
                matches!(
                    self.labels[at],
                    UPPER_CLOTHES | DRESS | COAT | JUMPSUITS | SCARF
                ) && legs[at].is_none()
            })
            .collect();
        let core = self.opened(&cloth);
        let mut arm: Vec<Option<Side>> = self
            .labels
            .iter()
            .map(|&label| match label {
                LEFT_ARM => Some(Side::Left),
                RIGHT_ARM => Some(Side::Right),
                _ => None,
            })
            .collect();
        let least = LEAST_SLEEVE * cloth.iter().filter(|c| **c).count() as f32;
        for piece in self.pieces(|at| cloth[at] && !core[at]) {
            if (piece.len() as f32) < least {
                continue;
            }
            let mut touched = [0, 0];
            for &at in &piece {
                for other in parts::neighbours(at, self.width, count) {
                    match self.labels[other] {
                        LEFT_ARM => touched[0] += 1,
                        RIGHT_ARM => touched[1] += 1,
                        GLOVE => touched[usize::from(self.lies_on(other) == Side::Right)] += 1,
                        _ => {}
                    }
                }
            }
            let mean = piece
                .iter()
                .map(|&at| self.along(self.left, at))
                .sum::<f32>();
            let side = match touched {
                [0, 0] if mean >= 0.0 => Side::Left,
                [0, 0] => Side::Right,
                [l, r] if l >= r => Side::Left,
                _ => Side::Right,
            };
            for &at in &piece {
                arm[at] = Some(side);
            }
        }
        for at in (0..count).filter(|&at| self.labels[at] == GLOVE) {
            arm[at] = Some(self.lies_on(at));
        }
        let torso: Vec<usize> = (0..count)
            .filter(|&at| cloth[at] && arm[at].is_none())
            .collect();
        for side in Side::BOTH {
            let own: Vec<bool> = arm.iter().map(|s| *s == Some(side)).collect();
            let start = self.shoulder(&torso, &own, side);
            let steps = self.steps(&start, &own);
            let length = longest(&steps, &own);
            for at in (0..count).filter(|&at| own[at]) {
                // What hangs on nothing is a hand that comes from behind something.
                let upper = steps[at].is_some_and(|s| (s as f32) < ELBOW * length);
                let upper = upper && self.labels[at] != GLOVE;
                parts[at] = Some(side.arm()[usize::from(!upper)]);
            }
        }
        torso
    }

    /// The pixel of an arm that is nearest to its shoulder.
    fn shoulder(&self, torso: &[usize], arm: &[bool], side: Side) -> Vec<usize> {
        let down = |at: usize| self.along(self.down, at);
        let (from, to) = torso
            .iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(from, to), &at| {
                (from.min(down(at)), to.max(down(at)))
            });
        let out = |at: usize| match side {
            Side::Left => self.along(self.left, at),
            Side::Right => -self.along(self.left, at),
        };
        let upper = torso
            .iter()
            .filter(|&&at| down(at) <= from + 0.25 * (to - from));
        let Some(&shoulder) = upper.max_by(|a, b| out(**a).total_cmp(&out(**b))) else {
            return Vec::new();
        };
        let place = |at: usize| [at % self.width, at / self.width].map(|v| v as f32);
        let [x, y] = place(shoulder);
        let away = |at: usize| {
            let [u, v] = place(at);
            (u - x).hypot(v - y)
        };
        let own = (0..arm.len()).filter(|&at| arm[at]);
        let nearest = own.min_by(|a, b| away(*a).total_cmp(&away(*b)));
        nearest.into_iter().collect()
    }

    fn divide_legs(&self, legs: &[Option<Side>], torso: &[usize], parts: &mut [Option<Part>]) {
        let count = self.labels.len();
        let hem = self.lower(DRESS, 0.6);
        let seeds: Vec<usize> = torso.iter().copied().filter(|&at| !hem[at]).collect();
        for side in Side::BOTH {
            let own: Vec<bool> = legs.iter().map(|s| *s == Some(side)).collect();
            let open: Vec<bool> = (0..count)
                .map(|at| own[at] || self.labels[at] == SKIRT || hem[at])
                .collect();
            let steps = self.steps(&seeds, &open);
            let is_foot = |at: usize| matches!(self.labels[at], LEFT_SHOE | RIGHT_SHOE);
            let shin: Vec<bool> = (0..count).map(|at| own[at] && !is_foot(at)).collect();
            let length = longest(&steps, &shin);
            for at in (0..count).filter(|&at| shin[at]) {
                let share = steps[at].map(|s| s as f32 / length.max(1.0));
                let worn = matches!(self.labels[at], PANTS | JUMPSUITS);
                parts[at] = Some(match share {
                    _ if self.labels[at] == SOCKS => side.leg()[1],
                    Some(share) if worn && share < SEAT => Part::Torso,
                    Some(share) if share < KNEE => side.leg()[0],
                    _ => side.leg()[1],
                });
            }
        }
    }

    /// What of a region is as thick as half its thickest place.
    fn opened(&self, region: &[bool]) -> Vec<bool> {
        let mask = |inside: &dyn Fn(usize) -> bool| Mask {
            width: self.width as u32,
            height: (self.labels.len() / self.width) as u32,
            alpha: (0..self.labels.len())
                .map(|at| if inside(at) { 255 } else { 0 })
                .collect(),
        };
        let inner = squared_distances(&mask(&|at| region[at]));
        let most = inner.iter().copied().fold(0.0, f32::max);
        // Squared: half the radius is a quarter.
        let core = |at: usize| inner[at] > 0.25 * most;
        let outer = squared_distances_within(&mask(&|at| !core(at)));
        (0..region.len())
            .map(|at| region[at] && (core(at) || outer[at] <= 0.25 * most))
            .collect()
    }

    /// Pixels that hang together.
    fn pieces(&self, wanted: impl Fn(usize) -> bool) -> Vec<Vec<usize>> {
        let labels: Vec<Option<()>> = (0..self.labels.len())
            .map(|at| wanted(at).then_some(()))
            .collect();
        let pieces = parts::pieces(&labels, self.width);
        pieces.into_iter().map(|(_, piece)| piece).collect()
    }
}

/// The most steps to any of the wanted pixels that were reached.
fn longest(steps: &[Option<u32>], wanted: &[bool]) -> f32 {
    let reached = steps.iter().zip(wanted).filter(|(_, wanted)| **wanted);
    reached.filter_map(|(s, _)| *s).max().unwrap_or(0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: usize = 80;
    const H: usize = 120;

    /// Who faces the viewer: its left is at larger x.
    struct Drawn(Vec<u8>);

    impl Drawn {
        fn new() -> Self {
            Self(vec![0; W * H])
        }

        fn fill(mut self, label: u8, x: [usize; 2], y: [usize; 2]) -> Self {
            for y in y[0]..y[1] {
                self.0[y * W + x[0]..y * W + x[1]].fill(label);
            }
            self
        }

        fn part(&self, x: usize, y: usize) -> &'static str {
            parts_of(&self.0, W)[y * W + x].map_or("none", Part::name)
        }
    }

    fn short_sleeved() -> Drawn {
        Drawn::new()
            .fill(HAIR, [34, 46], [4, 8])
            .fill(FACE, [34, 46], [8, 18])
            .fill(UPPER_CLOTHES, [28, 52], [18, 50])
            .fill(RIGHT_ARM, [20, 28], [20, 60])
            .fill(LEFT_ARM, [52, 60], [20, 60])
            .fill(PANTS, [28, 52], [50, 56])
            .fill(PANTS, [28, 39], [56, 104])
            .fill(PANTS, [41, 52], [56, 104])
            .fill(RIGHT_SHOE, [26, 39], [104, 110])
            .fill(LEFT_SHOE, [41, 54], [104, 110])
    }

    #[test]
    fn arms_and_trousers_are_divided() {
        let drawn = short_sleeved();
        for (x, y, name) in [
            (40, 5, "head"),
            (40, 12, "head"),
            (40, 30, "torso"),
            (30, 22, "torso"),
            (24, 24, "right upper arm"),
            (24, 56, "right lower arm"),
            (56, 24, "left upper arm"),
            (56, 45, "left lower arm"),
            (30, 51, "torso"),
            (33, 66, "right upper leg"),
            (33, 98, "right lower leg"),
            (47, 66, "left upper leg"),
            (47, 98, "left lower leg"),
            (30, 106, "right foot"),
            (50, 106, "left foot"),
            (2, 2, "none"),
        ] {
            assert_eq!(drawn.part(x, y), name, "at {x}, {y}");
        }
        let all = parts_of(&drawn.0, W);
        for (part, label) in all.iter().zip(&drawn.0) {
            assert_eq!(part.is_some(), *label != 0, "label {label}");
        }
    }

    #[test]
    fn sleeves_are_thin_and_take_the_side_of_their_hand() {
        let drawn = Drawn::new()
            .fill(FACE, [34, 46], [4, 18])
            .fill(COAT, [26, 54], [18, 60])
            .fill(COAT, [6, 26], [20, 28])
            .fill(COAT, [54, 74], [20, 28])
            // Seen from behind: its right hand is to the right.
            .fill(LEFT_ARM, [2, 6], [20, 28])
            .fill(RIGHT_ARM, [74, 78], [20, 28]);
        for (x, y, name) in [
            (40, 40, "torso"),
            (20, 24, "left upper arm"),
            (8, 24, "left lower arm"),
            (4, 24, "left lower arm"),
            (60, 24, "right upper arm"),
            (76, 24, "right lower arm"),
        ] {
            assert_eq!(drawn.part(x, y), name, "at {x}, {y}");
        }
    }

    #[test]
    fn skirts_are_the_torso_and_jumpsuits_both() {
        let skirt = Drawn::new()
            .fill(FACE, [34, 46], [4, 18])
            .fill(UPPER_CLOTHES, [28, 52], [18, 46])
            .fill(SKIRT, [24, 56], [46, 70])
            .fill(RIGHT_LEG, [30, 38], [70, 104])
            .fill(LEFT_LEG, [42, 50], [70, 104])
            .fill(SOCKS, [42, 50], [100, 104]);
        for (x, y, name) in [
            (40, 60, "torso"),
            (34, 71, "right upper leg"),
            (34, 100, "right lower leg"),
            (46, 102, "left lower leg"),
        ] {
            assert_eq!(skirt.part(x, y), name, "at {x}, {y}");
        }
        let suit = Drawn::new()
            .fill(FACE, [34, 46], [4, 18])
            .fill(JUMPSUITS, [28, 52], [18, 62])
            .fill(JUMPSUITS, [28, 39], [62, 104])
            .fill(JUMPSUITS, [41, 52], [62, 104])
            .fill(GLOVE, [54, 58], [50, 56]);
        for (x, y, name) in [
            (40, 30, "torso"),
            (30, 72, "right upper leg"),
            (50, 100, "left lower leg"),
            (56, 52, "left lower arm"),
        ] {
            assert_eq!(suit.part(x, y), name, "at {x}, {y}");
        }
    }

    #[test]
    fn an_empty_map_and_one_of_a_face_alone_have_what_they_have() {
        assert!(parts_of(&[0; 12], 4).iter().all(Option::is_none));
        let face = parts_of(&[FACE; 12], 4);
        assert!(face.iter().all(|part| *part == Some(Part::Head)));
    }
}
