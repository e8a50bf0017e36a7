//! From what is dragged to where every joint goes.

use super::limb::{Limb, Pull};
use super::plane::{Plane, Point, Turn, length, minus, plus, times};
use super::trunk::{Rest, Tie, Trunk};
use super::{FAR, Grip, JOINTS, Joint, NEAR_JOINT, Skeleton};
use crate::scene::parts::Side;

/// What is held, and where it is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drag {
    /// The place on a bone.
    pub grip: Grip,
    /// Where that place is to be, in fractions of the picture.
    pub to: [f32; 2],
}

/// How strongly places draw the trunk. The numbers are relative to each other; the first two are larger than those of [`STAYING`]
/// where the trunk is to follow, and smaller where it is to stay.
const HIPS: f32 = 3.0;
const SHOULDERS: f32 = 2.0;
const HEAD: f32 = 1.0;
/// Of a hand that is out of reach.
const HAND: f32 = 1.0;
/// Of a foot that stands.
const FOOT: f32 = 20.0;
/// How much the trunk is held, unless its lower part is dragged itself.
const STAYING: Rest = Rest {
    offset: 10.0,
    lean: 0.3,
};
/// The pelvis, when it is dragged.
const FREE: f32 = 0.02;
/// How far bones become shorter before a limb bends more, see [`Limb`].
const ARM_SHRINKS: f32 = 0.05;
const LEG_SHRINKS: f32 = 0.15;
/// How far a leg becomes longer so that its foot stays.
const LEG_GROWS: f32 = 0.1;
/// The most that a head turns against the trunk, in radians.
const MOST_NOD: f32 = 0.8;

impl Skeleton {
    /// Ankles that can be seen: what stands on the ground unless it is dragged.
    pub fn standing(&self) -> Vec<Joint> {
        let ankles = Side::BOTH.map(|side| Joint::leg(side)[2]);
        ankles
            .into_iter()
            .filter(|ankle| self.sees(*ankle))
            .collect()
    }

    /// Where the joints go when some places are dragged and `pinned` joints stay, as far as they can. Hips stay unless they are
    /// dragged themselves. Bones become at most a tenth longer, and no limb that is bent bends to its other side. Drags of one bone mean their
    /// middle. What is no number is not heard. `aspect` is the picture's width to its height.
    pub fn posed(&self, aspect: f32, dragged: &[Drag], pinned: &[Joint]) -> Self {
        let plane = Plane::of(aspect);
        let heard =
            |drag: &&Drag| drag.to.iter().all(|v| v.is_finite()) && drag.grip.along.is_finite();
        let dragged: Vec<Drag> = dragged
            .iter()
            .filter(heard)
            .map(|drag| self.tidy(*drag))
            .collect();
        if dragged.is_empty() {
            return self.clone();
        }
        let body = Body::new(self, plane, &dragged, pinned);
        let places = body.posed();
        if places.iter().flatten().any(|v| !v.is_finite()) {
            return self.clone();
        }
        Self {
            places: places.map(|point| plane.leave(point)),
            visibility: self.visibility,
        }
    }

    /// A drag close to the upper end of a bone as one of the joint there, and within bounds.
    fn tidy(&self, drag: Drag) -> Drag {
        let grip = Grip {
            along: drag.grip.along.clamp(0.0, 1.0),
            ..drag.grip
        };
        let near = grip.joint.parent().filter(|_| grip.along <= NEAR_JOINT);
        let (grip, shift) = match near {
            Some(joint) => {
                let (held, joint_at) = (self.place_of(grip), self.place(joint));
                (Grip::joint(joint), minus(joint_at, held))
            }
            None => (grip, [0.0; 2]),
        };
        let to = plus(drag.to, shift).map(|v| v.clamp(-FAR, FAR));
        Drag { grip, to }
    }
}

/// What is asked of a limb.
#[derive(Clone, Copy, Default)]
struct Wish {
    upper: Option<Pull>,
    lower: Option<Pull>,
}

impl Wish {
    fn pulls(&self) -> impl Iterator<Item = Pull> {
        [self.upper, self.lower].into_iter().flatten()
    }
}

/// A skeleton in the plane, with what is asked of it.
struct Body<'a> {
    rest: [Point; JOINTS],
    skeleton: &'a Skeleton,
    plane: Plane,
    dragged: &'a [Drag],
    pinned: &'a [Joint],
}

impl<'a> Body<'a> {
    fn new(skeleton: &'a Skeleton, plane: Plane, dragged: &'a [Drag], pinned: &'a [Joint]) -> Self {
        Self {
            rest: skeleton.places.map(|place| plane.enter(place)),
            skeleton,
            plane,
            dragged,
            pinned,
        }
    }

    fn at(&self, joint: Joint) -> Point {
        self.rest[joint as usize]
    }

    fn points(&self, joints: [Joint; 4]) -> [Point; 4] {
        joints.map(|joint| self.at(joint))
    }

    fn arm(&self, side: Side) -> Limb {
        let joints = Joint::arm(side);
        let away = minus(self.at(joints[0]), self.at(Joint::Neck));
        let down = minus(self.at(Joint::Pelvis), self.at(Joint::Neck));
        Limb::new(self.points(joints), away, ARM_SHRINKS, 0.0).loose(down, away)
    }

    /// A knee bends to where the toes point, else outwards.
    fn leg(&self, side: Side, grows: f32) -> Limb {
        let joints = Joint::leg(side);
        let [hip, _, ankle, foot] = self.points(joints);
        let outwards = minus(hip, self.at(Joint::Pelvis));
        let away = plus(minus(foot, ankle), times(outwards, 0.5));
        Limb::new(self.points(joints), away, LEG_SHRINKS, grows)
    }

    /// What the drags ask of a limb: the middle of those of its first bone, and of those of its last that has any. A joint that is
    /// pinned and not dragged is asked to stay.
    fn wish(&self, joints: [Joint; 4]) -> Wish {
        let middle = |bone: usize| {
            let own = self
                .dragged
                .iter()
                .filter(|drag| drag.grip.joint == joints[bone + 1]);
            let (mut count, mut along, mut to) = (0.0, 0.0, [0.0; 2]);
            for drag in own {
                count += 1.0;
                along += drag.grip.along;
                to = plus(to, self.plane.enter(drag.to));
            }
            (count > 0.0).then(|| Pull {
                bone,
                along: along / count,
                to: times(to, 1.0 / count),
            })
        };
        let stays = |bone: usize| {
            self.pinned.contains(&joints[bone + 1]).then(|| Pull {
                bone,
                along: 1.0,
                to: self.at(joints[bone + 1]),
            })
        };
        let dragged = [middle(0), middle(2).or_else(|| middle(1))];
        let [upper, lower] = dragged;
        Wish {
            upper: upper.or_else(|| stays(0)),
            lower: lower.or_else(|| stays(2)).or_else(|| stays(1)),
        }
    }

    /// Whether a leg stands: its ankle is pinned, and nothing of the leg is dragged.
    fn stands(&self, side: Side) -> bool {
        let joints = Joint::leg(side);
        let dragged = |drag: &Drag| joints[1..].contains(&drag.grip.joint);
        self.pinned.contains(&joints[2]) && !self.dragged.iter().any(dragged)
    }

    fn trunk(&self) -> Trunk {
        let mut ties = Vec::new();
        let mut held = STAYING.offset;
        for drag in self.dragged {
            let Grip { joint, along } = drag.grip;
            let (leans, weight, share) = match joint {
                Joint::Pelvis | Joint::LeftHip | Joint::RightHip => (false, HIPS, 0.0),
                Joint::Neck => (true, HIPS, along * along),
                Joint::LeftShoulder | Joint::RightShoulder => (true, SHOULDERS, 1.0),
                Joint::Head => (true, HEAD, 1.0),
                _ => continue,
            };
            held = held.min(FREE + share * (STAYING.offset - FREE));
            ties.push(Tie {
                rest: self.plane.enter(self.skeleton.place_of(drag.grip)),
                leans,
                to: self.plane.enter(drag.to),
                slack: 0.0,
                weight,
            });
        }
        for side in Side::BOTH {
            let joints = Joint::arm(side);
            let arm = self.arm(side);
            let wish = self.wish(joints);
            ties.extend(wish.pulls().map(|pull| Tie {
                rest: self.at(joints[0]),
                leans: true,
                to: pull.to,
                slack: arm.reach(pull),
                weight: HAND,
            }));
            if self.stands(side) {
                let [hip, _, ankle, _] = Joint::leg(side);
                let pull = Pull {
                    bone: 1,
                    along: 1.0,
                    to: self.at(ankle),
                };
                ties.push(Tie {
                    rest: self.at(hip),
                    leans: false,
                    to: pull.to,
                    slack: self.leg(side, 0.0).reach(pull),
                    weight: FOOT,
                });
            }
        }
        let pelvis = self.at(Joint::Pelvis);
        let size = length(minus(self.at(Joint::Neck), pelvis));
        let rest = Rest {
            offset: held,
            ..STAYING
        };
        Trunk::settled(pelvis, &ties, rest, size)
    }

    fn posed(&self) -> [Point; JOINTS] {
        let trunk = self.trunk();
        let mut places = self.rest;
        let mut put = |joint: Joint, at: Point| places[joint as usize] = at;
        put(Joint::Pelvis, trunk.carried(self.at(Joint::Pelvis)));
        put(Joint::Neck, trunk.leaning(self.at(Joint::Neck)));
        put(Joint::Head, self.head(&trunk));
        for side in Side::BOTH {
            let joints = Joint::arm(side);
            let root = trunk.leaning(self.at(joints[0]));
            let arm = follow(&self.arm(side), root, trunk.turn(), self.wish(joints));
            let legs = Joint::leg(side);
            let root = trunk.carried(self.at(legs[0]));
            let leg = self.posed_leg(side, root);
            for (joint, at) in joints
                .into_iter()
                .chain(legs)
                .zip(arm.into_iter().chain(leg))
            {
                put(joint, at);
            }
        }
        places
    }

    fn posed_leg(&self, side: Side, root: Point) -> [Point; 4] {
        let joints = Joint::leg(side);
        let grows = if self.stands(side) { LEG_GROWS } else { 0.0 };
        let leg = self.leg(side, grows);
        let mut posed = follow(&leg, root, Turn::by(0.0), self.wish(joints));
        if self.stands(side) {
            // The foot stays flat on the ground.
            let [.., ankle, foot] = leg.rest;
            posed[3] = plus(posed[2], minus(foot, ankle));
        }
        posed
    }

    /// The head goes along with the trunk, and turns about the neck to where it is dragged.
    fn head(&self, trunk: &Trunk) -> Point {
        let (neck, head) = (self.at(Joint::Neck), self.at(Joint::Head));
        let carried = trunk.leaning(head);
        let drags = self
            .dragged
            .iter()
            .filter(|drag| drag.grip.joint == Joint::Head);
        let (mut count, mut to) = (0.0, [0.0; 2]);
        for drag in drags {
            count += 1.0;
            to = plus(to, self.plane.enter(drag.to));
        }
        if count == 0.0 {
            return carried;
        }
        let neck = trunk.leaning(neck);
        let wish = minus(times(to, 1.0 / count), neck);
        let angle = Turn::between(minus(carried, neck), wish).angle();
        // Back to nothing where it would be behind: there is no side to turn to.
        let most = MOST_NOD.min(2.0 * (std::f32::consts::PI - angle.abs()));
        let nod = Turn::by(angle.clamp(-most, most));
        plus(neck, nod.of(minus(carried, neck)))
    }
}

/// A limb with its root at `root`, turned as a whole where nothing is asked of it.
fn follow(limb: &Limb, root: Point, turn: Turn, wish: Wish) -> [Point; 4] {
    match (wish.upper, wish.lower) {
        (Some(upper), lower) => limb.turned_to(root, turn, upper, lower),
        (None, Some(lower)) => limb.reaching(root, lower),
        (None, None) => limb.carried(root, turn),
    }
}
