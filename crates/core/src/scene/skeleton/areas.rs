//! Which part of a person each place of its mask belongs to, by its bones: what must not stick together when an arm that lies in front
//! of the trunk moves.

use super::grow::grown;
use super::plane::{Plane, Point, cross, distance, from_segment, minus};
use super::{Joint, Skeleton};
use crate::error::Result;
use crate::scene::parts::{Part, Side, share_out, tidied};
use crate::scene::{Mask, Picture, raster};

/// Half of the width of what is around a bone, in lengths of the trunk: of people in clothes, with what the mask does not tell.
pub fn half_width(joint: Joint) -> f32 {
    match joint {
        Joint::Head => 0.22,
        Joint::Neck | Joint::Pelvis => 0.2,
        Joint::LeftShoulder | Joint::RightShoulder => 0.15,
        Joint::LeftElbow | Joint::RightElbow => 0.125,
        Joint::LeftWrist | Joint::RightWrist => 0.09,
        Joint::LeftHand | Joint::RightHand => 0.095,
        Joint::LeftHip | Joint::RightHip => 0.2,
        Joint::LeftKnee | Joint::RightKnee => 0.18,
        Joint::LeftAnkle | Joint::RightAnkle => 0.13,
        Joint::LeftFoot | Joint::RightFoot => 0.1,
    }
}

/// How near the trunk counts within its outline, in half widths: an arm in front of it is nearer within nearly its own.
const WITHIN_TRUNK: f32 = 0.95;
/// What half a width of the trunk's edge is, in its lengths.
const TRUNK_EDGE: f32 = 0.13;
/// What lies beyond the end of a bone where another part begins counts this many times as far.
const BEYOND_END: f32 = 2.5;
/// The most and the least that a measured half width is of the usual one.
const MEASURED: [f32; 2] = [0.6, 1.25];
/// Where the mask is measured, along a bone.
const ALONG: [f32; 3] = [0.35, 0.5, 0.65];
/// Where body is on both sides of an arm that is no wider than twice this, in lengths of the trunk, it goes on behind it.
const ACROSS: f32 = 0.14;
/// The least visibility of a knee that is only said to be hidden.
const PERHAPS: f32 = 0.15;
/// Where colours are to say where an arm ends that lies in front of something, or beside it: from here, in half widths, it is in doubt,
/// and from there it is no arm.
const IN_DOUBT: [f32; 2] = [0.5, 1.7];
/// How far from a joint two parts hang together, in half widths of the part that hangs there.
const AROUND_JOINT: f32 = 1.6;

/// A person's mask, shared out among its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Areas {
    width: u32,
    height: u32,
    aspect: f32,
    labels: Vec<Option<Part>>,
    /// Which pixels are an arm's in front of trunk or thighs.
    hidden: Vec<bool>,
    /// Which parts go along with the trunk as if they were one with it. In the order of [`Part::ALL`].
    stiff: [bool; Part::ALL.len()],
    /// Where each part of an arm hangs from the one before it, and how far around they hang together. In the order of [`Part::ALL`].
    hinges: [Option<(Point, f32)>; Part::ALL.len()],
}

/// A bone and what is around it.
struct Bone {
    part: Part,
    from: Point,
    to: Point,
    half: f32,
    /// Whether another part begins at its ends.
    ends: [bool; 2],
}

impl Bone {
    fn away(&self, point: Point) -> f32 {
        let (away, along) = from_segment(point, self.from, self.to);
        let beyond = (self.ends[0] && along <= 0.0) || (self.ends[1] && along >= 1.0);
        let away = away / self.half;
        if beyond { BEYOND_END * away } else { away }
    }
}

/// A person's bones, and what is around them.
struct Shape {
    bones: Vec<Bone>,
    /// Shoulders and hips, around.
    trunk: [Point; 4],
    /// Of who is seen from the side, shoulders and hips say too little.
    spine: [Point; 2],
    scale: f32,
    /// As [`Areas::hinges`].
    hinges: [Option<(Point, f32)>; Part::ALL.len()],
}

impl Shape {
    fn new(skeleton: &Skeleton, mask: &Mask, aspect: f32, scale: f32) -> Self {
        let plane = Plane::of(aspect);
        let at = |joint: Joint| plane.enter(skeleton.place(joint));
        let deep = raster::squared_distances_within(mask);
        let mut bones = Vec::new();
        let mut hinges = [None; Part::ALL.len()];
        for side in Side::BOTH {
            let [shoulder, elbow, wrist, hand] = Joint::arm(side);
            let [upper_arm, lower_arm] = side.arm();
            let [hip, knee, ankle, foot] = Joint::leg(side);
            let [upper_leg, lower_leg, sole] = side.leg();
            for (part, from, to, ends) in [
                (upper_arm, shoulder, elbow, [true, false]),
                (lower_arm, elbow, wrist, [false, false]),
                (lower_arm, wrist, hand, [false, false]),
                (upper_leg, hip, knee, [true, false]),
                (lower_leg, knee, ankle, [false, true]),
                (sole, ankle, foot, [false, false]),
            ] {
                // A thigh is there under a skirt, too.
                let thigh = from == hip && at_all(skeleton, mask, to);
                if !skeleton.sees(from) || !(skeleton.sees(to) || thigh) {
                    continue;
                }
                let ends_at = [from, to].map(|joint| skeleton.place(joint));
                let half = measured(mask, &deep, ends_at, scale * half_width(to));
                if part.is_of_an_arm() && from != wrist {
                    hinges[part as usize] = Some((at(from), AROUND_JOINT * half));
                }
                bones.push(Bone {
                    part,
                    from: at(from),
                    to: at(to),
                    half,
                    ends,
                });
            }
        }
        if skeleton.sees(Joint::Head) {
            let (neck, head) = (at(Joint::Neck), at(Joint::Head));
            let up = minus(head, neck);
            let beyond = |by: f32| [head[0] + by * up[0], head[1] + by * up[1]];
            bones.push(Bone {
                part: Part::Head,
                // From where the neck leaves the shoulders to the crown.
                from: beyond(-0.55),
                to: beyond(0.3),
                half: scale * half_width(Joint::Head),
                ends: [false, false],
            });
        }
        let trunk = [
            Joint::LeftShoulder,
            Joint::RightShoulder,
            Joint::RightHip,
            Joint::LeftHip,
        ];
        Self {
            bones,
            trunk: trunk.map(at),
            spine: [Joint::Neck, Joint::Pelvis].map(at),
            scale,
            hinges,
        }
    }

    /// How near the trunk is to a point, 1 at its edge.
    fn trunk_away(&self, point: Point) -> f32 {
        let [neck, pelvis] = self.spine;
        let beside = from_segment(point, neck, pelvis).0 - self.scale * half_width(Joint::Neck);
        let away = outside(self.trunk, point).min(beside.max(0.0));
        WITHIN_TRUNK + away / (self.scale * TRUNK_EDGE)
    }

    /// The part that surely is at a point. Near the edges of arms nothing is sure where there are `colours` to tell.
    fn part(&self, point: Point, colours: bool) -> Option<Part> {
        let all = self.bones.iter().map(|bone| (bone.away(point), bone.part));
        let all = all.chain([(self.trunk_away(point), Part::Torso)]);
        let nearest = all.min_by(|a, b| a.0.total_cmp(&b.0));
        let (_, part) = nearest.filter(|(away, _)| *away <= 1.0)?;
        if colours {
            let arms = self.bones.iter().filter(|bone| bone.part.is_of_an_arm());
            let arm = arms.min_by(|a, b| a.away(point).total_cmp(&b.away(point)));
            if let Some((arm, away)) = arm.map(|arm| (arm, arm.away(point))) {
                let [core, end] = IN_DOUBT;
                // An arm lies in front of what it crosses.
                return match away {
                    _ if away <= core => Some(arm.part),
                    _ if away < end => None,
                    _ => Some(part),
                };
            }
        }
        Some(part)
    }

    /// Whether a point is on trunk or thighs, be there an arm in front of them or not.
    fn on_the_body(&self, point: Point) -> bool {
        let thigh = |bone: &Bone| {
            matches!(bone.part, Part::LeftUpperLeg | Part::RightUpperLeg) && bone.away(point) <= 1.0
        };
        self.trunk_away(point) <= 1.0 || self.bones.iter().any(thigh)
    }
}

/// Whether a joint is likely enough to be where it is said to be, seen or not, and on the mask.
fn at_all(skeleton: &Skeleton, mask: &Mask, joint: Joint) -> bool {
    let [x, y] = skeleton.place(joint);
    skeleton.visibility[joint as usize] >= PERHAPS && mask.contains(x, y)
}

/// Half of the width of what is around a bone, in heights of the picture: as the mask has it, or the usual one where the mask is wider,
/// because the limb lies in front of something, or beside it. `deep`: squared distances to what is outside.
fn measured(mask: &Mask, deep: &[f32], [from, to]: [[f32; 2]; 2], usual: f32) -> f32 {
    let mut radii = ALONG.map(|along| {
        let place = [0, 1].map(|axis| from[axis] + along * (to[axis] - from[axis]));
        let squared = pixel(mask, place).map_or(0.0, |index| deep[index]);
        squared.sqrt() / mask.height as f32
    });
    radii.sort_by(f32::total_cmp);
    let [_, middle, _] = radii;
    match middle <= MEASURED[1] * usual {
        true => middle.max(MEASURED[0] * usual),
        false => usual,
    }
}

impl Areas {
    /// The parts of the person whose bones and mask these are, in a picture whose colours say where arms end; an empty one says nothing,
    /// and bones alone do. `aspect` is the picture's width to its height. `None` when hardly any bone can be seen.
    pub fn new(skeleton: &Skeleton, mask: &Mask, picture: &Picture, aspect: f32) -> Option<Self> {
        let scale = skeleton.scale(aspect).filter(|_| !mask.is_empty())?;
        let plane = Plane::of(aspect);
        let shape = Shape::new(skeleton, mask, aspect, scale);
        let (width, height) = (mask.width as usize, mask.height as usize);
        let point = |index: usize| {
            plane.enter([
                ((index % width) as f32 + 0.5) / width as f32,
                ((index / width) as f32 + 0.5) / height as f32,
            ])
        };
        let inside = |index: &usize| mask.alpha[*index] >= 128;
        let certain = (0..width * height).map(|index| {
            Some(index)
                .filter(inside)
                .and_then(|index| shape.part(point(index), !picture.is_empty()))
        });
        let labels = grown(mask, picture, certain.collect());
        // An arm that came out in two pieces would tear.
        let labels = tidied(mask, &labels);
        let arm = |index: usize| labels[index].is_some_and(Part::is_of_an_arm) && inside(&index);
        let body = Mask {
            alpha: (0..labels.len())
                .map(|at| if inside(&at) && !arm(at) { 255 } else { 0 })
                .collect(),
            ..*mask
        };
        let across = closed(&body, ACROSS * scale * mask.height as f32);
        let hidden =
            |index: usize| arm(index) && (across[index] || shape.on_the_body(point(index)));
        Some(Self {
            width: mask.width,
            height: mask.height,
            aspect,
            hidden: (0..width * height).map(hidden).collect(),
            labels,
            stiff: [false; Part::ALL.len()],
            hinges: shape.hinges,
        })
    }

    /// The same, with the parts that nobody leads, by `led`, as one: they go along with the trunk, and a cut between them would only
    /// show as a crack.
    pub fn led(mut self, led: impl Fn(Part) -> bool) -> Self {
        self.stiff = Part::ALL.map(|part| !led(part));
        for (hidden, label) in self.hidden.iter_mut().zip(&self.labels) {
            *hidden &= label.is_some_and(|part| !self.stiff[part as usize]);
        }
        self
    }

    /// What arms hide of trunk and thighs, and these two with it, as masks of the size of `mask`, which these areas are of. `None`
    /// where they hide nothing.
    pub fn behind_arms(&self, mask: &Mask) -> Option<[Mask; 2]> {
        let made = |inside: &dyn Fn(usize) -> bool| Mask {
            alpha: (0..self.labels.len())
                .map(|at| if inside(at) { 255 } else { 0 })
                .collect(),
            ..*mask
        };
        let hidden = made(&|at| self.hidden[at]);
        let arm = |at: usize| {
            self.labels[at].is_some_and(|part| part.is_of_an_arm() && !self.stiff[part as usize])
        };
        let body = made(&|at| self.hidden[at] || mask.alpha[at] >= 128 && !arm(at));
        (!hidden.is_empty()).then_some([hidden, body])
    }

    /// The masks of the parts, see [`share_out`]; `mask` is the one that these areas are of.
    ///
    /// # Errors
    /// Those of [`share_out`].
    pub fn masks(&self, mask: &Mask) -> Result<Vec<(Part, Mask)>> {
        share_out(mask, &self.labels)
    }

    /// The part that a place, in fractions of the picture, belongs to, or is nearest to; `None` beyond the picture.
    pub fn part(&self, at: [f32; 2]) -> Option<Part> {
        let inside = at.iter().all(|v| (0.0..1.0).contains(v));
        let [x, y] = [at[0] * self.width as f32, at[1] * self.height as f32];
        let index = y as usize * self.width as usize + x as usize;
        self.labels.get(index).copied().flatten().filter(|_| inside)
    }

    /// The bone that takes a place along, by its end away from the pelvis; `skeleton` is the one that these areas are of.
    pub fn bone(&self, skeleton: &Skeleton, at: [f32; 2]) -> Joint {
        let plane = Plane::of(self.aspect);
        let joint = |joint: Joint| plane.enter(skeleton.place(joint));
        let of = |side: Side| (Joint::arm(side), Joint::leg(side));
        let ((left_arm, left_leg), (right_arm, right_leg)) = (of(Side::Left), of(Side::Right));
        let lower = |arm: [Joint; 4]| {
            let [_, elbow, wrist, hand] = arm;
            let away = |from, to| from_segment(plane.enter(at), joint(from), joint(to)).0;
            let on_the_hand = skeleton.sees(hand) && away(wrist, hand) < away(elbow, wrist);
            if on_the_hand { hand } else { wrist }
        };
        match self.part(at) {
            Some(Part::Head) => Joint::Head,
            Some(Part::Torso) | None => Joint::Neck,
            Some(Part::LeftUpperArm) => left_arm[1],
            Some(Part::LeftLowerArm) => lower(left_arm),
            Some(Part::RightUpperArm) => right_arm[1],
            Some(Part::RightLowerArm) => lower(right_arm),
            Some(Part::LeftUpperLeg) => left_leg[1],
            Some(Part::LeftLowerLeg) => left_leg[2],
            Some(Part::LeftFoot) => left_leg[3],
            Some(Part::RightUpperLeg) => right_leg[1],
            Some(Part::RightLowerLeg) => right_leg[2],
            Some(Part::RightFoot) => right_leg[3],
        }
    }

    /// What lies in front where the person overlaps itself: the higher number.
    pub fn front(&self, at: [f32; 2]) -> usize {
        let part = self.part(at);
        let order = Part::BACK_TO_FRONT.iter();
        order.take_while(|other| Some(**other) != part).count()
    }

    /// Whether what is at two neighbouring places hangs together. Arms do with what they hang from, near the joint alone (but see
    /// [`led`](Self::led)); one leg below the knee does not with the other. All else does wherever it touches, for clothes do. In
    /// fractions of the picture.
    pub fn joined(&self, a: [f32; 2], b: [f32; 2]) -> bool {
        let (Some(first), Some(second)) = (self.part(a), self.part(b)) else {
            return false;
        };
        if first == second
            || [first, second]
                .iter()
                .all(|part| self.stiff[*part as usize])
        {
            return true;
        }
        if !first.is_of_an_arm() && !second.is_of_an_arm() {
            let other_side = first.side().map(Side::opposite);
            let shanks = first.is_of_a_shank() && second.is_of_a_shank();
            return !(shanks && second.side() == other_side);
        }
        let hanging = match (
            first.parent() == Some(second),
            second.parent() == Some(first),
        ) {
            (true, _) => first,
            (_, true) => second,
            _ => return false,
        };
        let Some((joint, reach)) = self.hinges[hanging as usize] else {
            return true;
        };
        let plane = Plane::of(self.aspect);
        let [x, y] = [0, 1].map(|axis| (a[axis] + b[axis]) / 2.0);
        distance(plane.enter([x, y]), joint) <= reach
    }
}

/// Which pixels are inside of a mask once gaps of it are closed that are narrower than twice `radius` pixels.
fn closed(mask: &Mask, radius: f32) -> Vec<bool> {
    let near = |mask: &Mask| -> Vec<bool> {
        let outside = Mask {
            alpha: mask.alpha.iter().map(|a| 255 - a).collect(),
            ..*mask
        };
        let away = raster::squared_distances_within(&outside);
        away.into_iter().map(|d| d <= radius * radius).collect()
    };
    let far = near(mask)
        .into_iter()
        .map(|near| if near { 0 } else { 255 });
    let far = Mask {
        alpha: far.collect(),
        ..*mask
    };
    near(&far).into_iter().map(|near| !near).collect()
}

/// The pixel of a mask at a place of the picture.
fn pixel(mask: &Mask, [x, y]: [f32; 2]) -> Option<usize> {
    let inside = (0.0..1.0).contains(&x) && (0.0..1.0).contains(&y);
    let (column, row) = (x * mask.width as f32, y * mask.height as f32);
    inside.then(|| row as usize * mask.width as usize + column as usize)
}

/// How far a point is outside of a polygon of four corners; 0 within.
fn outside(corners: [Point; 4], point: Point) -> f32 {
    let edges = [0, 1, 2, 3].map(|at| (corners[at], corners[(at + 1) % 4]));
    // Crossings of a ray to the right, so that a trunk that is twisted has an inside too.
    let crossed = edges.into_iter().filter(|(from, to)| {
        let spans = (from[1] > point[1]) != (to[1] > point[1]);
        let (low, high) = if from[1] < to[1] {
            (*from, *to)
        } else {
            (*to, *from)
        };
        spans && cross(minus(high, low), minus(point, low)) > 0.0
    });
    if crossed.count() % 2 == 1 {
        return 0.0;
    }
    let away = edges.map(|(from, to)| from_segment(point, from, to).0);
    away.into_iter().fold(f32::INFINITY, f32::min)
}
