//! What people do, as joints alone: where all of them are before, halfway through and after it. To learn and to measure how the rest of
//! a body follows what is led.
//!
//! The body is `super::person`'s: a skeleton in space, seen from anywhere. What a movement is, is written down as angles; feet that
//! stand stay where they are, and the ground is as far down as the lowest of them.

use super::person::{DOWN, FORWARD, Turn, Vector, add, bent, times};
use dragentity_core::scene::Skeleton;
use dragentity_core::scene::skeleton::{JOINTS, Joint};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Some of a stride.
    Walk,
    /// Lifts an arm, and the forearm more.
    Wave,
    /// Bows to the side or ahead, arms hanging.
    Lean,
    /// Swings a leg.
    Kick,
    /// From one way to stand to another one.
    Shift,
    /// Stretches one or both arms to something, and leans to it.
    Reach,
    /// Sits down, or stands up.
    Sit,
}

/// What networks may learn from.
pub const LEARNED: [Kind; 5] = [Kind::Walk, Kind::Wave, Kind::Lean, Kind::Kick, Kind::Shift];
/// What no network has seen when it is measured.
pub const HELD_OUT: [Kind; 2] = [Kind::Reach, Kind::Sit];

/// How far a joint goes that somebody would take hold of, in heights of the figure.
const WORTH_LEADING: f32 = 0.05;
/// Most joints that are led.
const MOST_LED: usize = 3;
/// What people take hold of.
const TAKEN: [Joint; 10] = [
    Joint::Head,
    Joint::Pelvis,
    Joint::LeftHand,
    Joint::RightHand,
    Joint::LeftElbow,
    Joint::RightElbow,
    Joint::LeftAnkle,
    Joint::RightAnkle,
    Joint::LeftKnee,
    Joint::RightKnee,
];
/// How long a figure is in the square picture that it is seen in.
const SHOWN: f32 = 0.6;

/// Places of all joints, in the order of [`Joint::ALL`], in heights of the figure, x right, y down.
pub type Places = [[f32; 2]; JOINTS];

/// A movement, and which joints of it are led.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// What it is.
    pub kind: Kind,
    /// Before, halfway through and after it.
    pub places: [Places; 3],
    /// One to three joints that are led along their true way.
    pub led: Vec<Joint>,
}

/// An arm: how it hangs from the shoulder and what the elbow does, in radians, as [`super::person`] has them.
#[derive(Clone, Copy, Default)]
struct Arm {
    aside: f32,
    forward: f32,
    crook: f32,
    /// To which side the forearm bends, and how much upwards.
    inward: f32,
    raised: f32,
}

/// A leg likewise.
#[derive(Clone, Copy, Default)]
struct Leg {
    aside: f32,
    forward: f32,
    crook: f32,
}

/// All angles of somebody, left before right.
#[derive(Clone, Copy, Default)]
struct Posture {
    lean: f32,
    sideways: f32,
    nod: f32,
    arms: [Arm; 2],
    legs: [Leg; 2],
}

/// Lengths of somebody's bones, in heights.
struct Body {
    spine: f32,
    across: f32,
    hips: f32,
    head: f32,
    arm: [f32; 3],
    leg: [f32; 3],
}

fn between(a: f32, b: f32, share: f32) -> f32 {
    a + share * (b - a)
}

impl Posture {
    fn between(&self, to: &Self, share: f32) -> Self {
        let mix = |a, b| between(a, b, share);
        Self {
            lean: mix(self.lean, to.lean),
            sideways: mix(self.sideways, to.sideways),
            nod: mix(self.nod, to.nod),
            arms: [0, 1].map(|side| {
                let (a, b) = (self.arms[side], to.arms[side]);
                Arm {
                    aside: mix(a.aside, b.aside),
                    forward: mix(a.forward, b.forward),
                    crook: mix(a.crook, b.crook),
                    inward: mix(a.inward, b.inward),
                    raised: mix(a.raised, b.raised),
                }
            }),
            legs: [0, 1].map(|side| {
                let (a, b) = (self.legs[side], to.legs[side]);
                Leg {
                    aside: mix(a.aside, b.aside),
                    forward: mix(a.forward, b.forward),
                    crook: mix(a.crook, b.crook),
                }
            }),
        }
    }

    /// Somebody who stands, arms hanging.
    fn standing(rng: &mut ChaCha8Rng) -> Self {
        Self {
            lean: rng.random_range(-0.05..0.12),
            sideways: rng.random_range(-0.05..0.05),
            nod: rng.random_range(-0.15..0.2),
            arms: [(); 2].map(|()| Arm {
                aside: rng.random_range(0.05..0.4),
                forward: rng.random_range(-0.2..0.3),
                crook: rng.random_range(0.0..0.7),
                inward: rng.random_range(-0.6..0.2),
                raised: rng.random_range(-0.3..0.2),
            }),
            legs: [(); 2].map(|()| Leg {
                aside: rng.random_range(-0.02..0.2),
                forward: rng.random_range(-0.08..0.1),
                crook: rng.random_range(0.0..0.12),
            }),
        }
    }

    fn lift(&mut self, side: usize, rng: &mut ChaCha8Rng) {
        self.arms[side] = Arm {
            aside: rng.random_range(1.4..2.7),
            forward: rng.random_range(-0.2..0.8),
            crook: rng.random_range(0.2..1.5),
            inward: rng.random_range(-0.6..0.3),
            raised: rng.random_range(-0.9..-0.2),
        };
    }
}

impl Kind {
    /// Two postures, and which feet stand.
    fn postures(self, rng: &mut ChaCha8Rng) -> ([Posture; 2], [bool; 2]) {
        let first = Posture::standing(rng);
        let mut last = first;
        let side = rng.random_range(0..2_usize);
        let mut standing = [true; 2];
        match self {
            Self::Walk => {
                let (from, to) = (rng.random_range(-1.0..1.0_f32), rng.random_range(0.3..1.0));
                let stride = rng.random_range(0.25..0.5);
                let to = if from > 0.0 { -to } else { to };
                let at = |phase: f32| {
                    let mut posture = first;
                    for (side, sign) in [(0, 1.0), (1, -1.0)] {
                        let swing = sign * phase * stride;
                        posture.legs[side].forward = swing;
                        posture.legs[side].crook = 0.1 + (-swing).max(0.0) * 0.8;
                        posture.arms[side].forward = -0.8 * swing;
                    }
                    posture
                };
                // The one ahead stands, and the other passes it.
                standing = if from > 0.0 {
                    [true, false]
                } else {
                    [false, true]
                };
                return ([at(from), at(to)], standing);
            }
            Self::Wave => last.lift(side, rng),
            Self::Lean => {
                last.lean = first.lean + rng.random_range(-0.1..0.8);
                last.sideways = first.sideways + rng.random_range(-0.5..0.5);
                last.nod += rng.random_range(-0.3..0.3);
            }
            Self::Kick => {
                last.legs[side] = Leg {
                    aside: rng.random_range(0.0..0.8),
                    forward: rng.random_range(0.3..1.3),
                    crook: rng.random_range(0.0..0.9),
                };
                standing[side] = false;
                for arm in &mut last.arms {
                    arm.aside += rng.random_range(0.0..0.9);
                }
                last.sideways = rng.random_range(-0.2..0.2);
            }
            Self::Shift => {
                last = Self::shifted(first, rng);
            }
            Self::Reach => {
                let both = rng.random_bool(0.35);
                let (aside, forward) = (rng.random_range(0.1..1.7), rng.random_range(0.5..1.8));
                for own in [side, 1 - side].into_iter().take(1 + usize::from(both)) {
                    last.arms[own] = Arm {
                        aside,
                        forward,
                        crook: rng.random_range(0.0..0.5),
                        ..last.arms[own]
                    };
                }
                last.lean += rng.random_range(0.0..0.5);
                last.sideways += rng.random_range(0.0..0.3) * if side == 0 { 1.0 } else { -1.0 };
            }
            Self::Sit => {
                let (forward, crook) = (rng.random_range(0.9..1.5), rng.random_range(1.0..1.7));
                for leg in &mut last.legs {
                    leg.forward = forward;
                    leg.crook = crook;
                    leg.aside += rng.random_range(0.0..0.15);
                }
                last.lean += rng.random_range(0.0..0.4);
                for arm in &mut last.arms {
                    arm.forward += rng.random_range(0.2..0.7);
                    arm.crook = rng.random_range(0.3..1.2);
                }
                if rng.random_bool(0.3) {
                    return ([last, first], standing);
                }
            }
        }
        ([first, last], standing)
    }

    fn shifted(first: Posture, rng: &mut ChaCha8Rng) -> Posture {
        let mut last = first.between(&Posture::standing(rng), 1.0);
        let bend = rng.random_range(0.0..0.6);
        for leg in &mut last.legs {
            leg.forward = bend * 0.5;
            leg.crook = bend;
        }
        for side in 0..2 {
            if rng.random_bool(0.4) {
                last.lift(side, rng);
            }
        }
        last
    }
}

impl Body {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        let leg = rng.random_range(0.21..0.255);
        Self {
            spine: rng.random_range(0.23..0.29),
            across: rng.random_range(0.085..0.12),
            hips: rng.random_range(0.045..0.06),
            head: rng.random_range(0.09..0.13),
            arm: [0.17, 0.145, 0.05],
            leg: [leg, leg * rng.random_range(0.93..1.02), 0.085],
        }
    }

    /// All joints in a posture, in space, the pelvis at the origin.
    fn joints(&self, posture: &Posture) -> [Vector; JOINTS] {
        let mut at = [[0.0; 3]; JOINTS];
        let up = [0.0, -1.0, 0.0];
        let left = [1.0, 0.0, 0.0];
        let spine = bent(bent(up, FORWARD, posture.lean), left, posture.sideways);
        let neck = times(spine, self.spine);
        at[Joint::Neck as usize] = neck;
        let head = bent(spine, FORWARD, posture.nod);
        at[Joint::Head as usize] = add(neck, times(head, self.head));
        let across = bent(left, DOWN, posture.sideways);
        let sides = [
            (1.0, Joint::LeftShoulder, Joint::LeftHip),
            (-1.0, Joint::RightShoulder, Joint::RightHip),
        ];
        for (side, (sign, shoulder, hip)) in sides.into_iter().enumerate() {
            let out = times(left, sign);
            let place = add(neck, times(across, sign * self.across));
            let arm = posture.arms[side];
            let upper = bent(bent(DOWN, out, arm.aside), FORWARD, arm.forward);
            let aside = add(times(out, arm.inward), [0.0, arm.raised, 0.0]);
            let lower = bent(upper, add(FORWARD, aside), arm.crook);
            let [first, second, third] = self.arm;
            let elbow = add(place, times(upper, first));
            let wrist = add(elbow, times(lower, second));
            let chain = [place, elbow, wrist, add(wrist, times(lower, third))];
            for (step, joint) in chain.into_iter().enumerate() {
                at[shoulder as usize + step] = joint;
            }
            let leg = posture.legs[side];
            let place = times(left, sign * self.hips);
            let upper = bent(bent(DOWN, out, leg.aside), FORWARD, leg.forward);
            let lower = bent(upper, times(FORWARD, -1.0), leg.crook);
            let [first, second, third] = self.leg;
            let knee = add(place, times(upper, first));
            let ankle = add(knee, times(lower, second));
            let ahead = bent(DOWN, add(FORWARD, times(out, 0.3)), 1.35);
            let chain = [place, knee, ankle, add(ankle, times(ahead, third))];
            for (step, joint) in chain.into_iter().enumerate() {
                at[hip as usize + step] = joint;
            }
        }
        at
    }
}

impl Move {
    /// Movement `index` of a seed, of one of these kinds; the same for the same numbers. At least one joint of it goes far enough to
    /// be led.
    pub fn random(seed: u64, index: u64, kinds: &[Kind]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index);
        loop {
            let kind = kinds.choose(&mut rng).copied().unwrap_or(Kind::Wave);
            let places = kind.seen(&mut rng);
            let [before, _, after] = &places;
            let mut worth: Vec<Joint> = TAKEN
                .into_iter()
                .filter(|joint| {
                    let (a, b) = (before[*joint as usize], after[*joint as usize]);
                    (a[0] - b[0]).hypot(a[1] - b[1]) > WORTH_LEADING
                })
                .collect();
            if worth.is_empty() {
                continue;
            }
            let count = rng.random_range(1..=MOST_LED.min(worth.len()));
            let mut led = Vec::new();
            for _ in 0..count {
                led.push(worth.swap_remove(rng.random_range(0..worth.len())));
            }
            return Self { kind, places, led };
        }
    }

    /// The first pose as a skeleton in a square picture, and how long the figure is there.
    pub fn skeleton(&self) -> (Skeleton, f32) {
        let skeleton = Skeleton {
            places: self.places[0].map(shown),
            visibility: [1.0; JOINTS],
        };
        (skeleton, SHOWN)
    }

    /// How far the joints that are not led are from where they are at a moment (1: halfway, 2: after it), on average, in heights.
    pub fn error(&self, moment: usize, found: &Places) -> f32 {
        let others = Joint::ALL.into_iter().filter(|j| !self.led.contains(j));
        let (mut sum, mut count) = (0.0, 0.0);
        for joint in others.map(|joint| joint as usize) {
            let (a, b) = (self.places[moment][joint], found[joint]);
            sum += (a[0] - b[0]).hypot(a[1] - b[1]);
            count += 1.0;
        }
        sum / f32::max(count, 1.0)
    }
}

/// Where a place is seen in a square picture, in fractions of it.
pub fn shown([x, y]: [f32; 2]) -> [f32; 2] {
    [x, y].map(|v| 0.5 + SHOWN * v)
}

/// The place that is seen there.
pub fn seen(at: [f32; 2]) -> [f32; 2] {
    at.map(|v| (v - 0.5) / SHOWN)
}

impl Kind {
    /// Somebody doing it, from somewhere: the joints at three moments, the first pose one unit long and in the middle.
    fn seen(self, rng: &mut ChaCha8Rng) -> [Places; 3] {
        let body = Body::random(rng);
        let ([first, last], standing) = self.postures(rng);
        let tau = std::f32::consts::TAU;
        let turn = Turn {
            yaw: match rng.random_range(0..4) {
                0 => rng.random_range(0.0..tau),
                _ => rng.random_range(-0.8..0.8),
            },
            pitch: rng.random_range(-0.2..0.2),
            roll: rng.random_range(-0.1..0.1),
        };
        let feet = [Joint::LeftAnkle, Joint::RightAnkle];
        let on_the_ground = |joints: &[Vector; JOINTS]| {
            let mut sum = [0.0; 3];
            let mut count = 0.0;
            for (foot, stands) in feet.into_iter().zip(standing) {
                if stands {
                    sum = add(sum, joints[foot as usize]);
                    count += 1.0;
                }
            }
            times(sum, 1.0 / f32::max(count, 1.0))
        };
        let moments = [0.0, 0.5, 1.0].map(|share| body.joints(&first.between(&last, share)));
        let flat = moments.map(|joints| {
            let feet = on_the_ground(&joints);
            joints.map(|joint| {
                let [x, y, _] = turn.of(add(joint, times(feet, -1.0)));
                [x, y]
            })
        });
        let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        for place in &flat[0] {
            for axis in 0..2 {
                low[axis] = low[axis].min(place[axis]);
                high[axis] = high[axis].max(place[axis]);
            }
        }
        let long = (high[1] - low[1]).max(high[0] - low[0]).max(1e-3);
        let middle = [0, 1].map(|axis| (low[axis] + high[axis]) / 2.0);
        flat.map(|places| places.map(|at| [0, 1].map(|axis| (at[axis] - middle[axis]) / long)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Kind> {
        [LEARNED.as_slice(), &HELD_OUT].concat()
    }

    #[test]
    fn movements_are_of_their_number_and_lead_what_goes_somewhere() {
        for index in 0..200 {
            let made = Move::random(3, index, &all());
            assert_eq!(made, Move::random(3, index, &all()));
            assert!((1..=MOST_LED).contains(&made.led.len()));
            for places in &made.places {
                assert!(
                    places
                        .iter()
                        .flatten()
                        .all(|v| v.is_finite() && v.abs() < 3.0)
                );
            }
            for joint in &made.led {
                let [a, _, b] = &made.places;
                let (a, b) = (a[*joint as usize], b[*joint as usize]);
                assert!((a[0] - b[0]).hypot(a[1] - b[1]) > WORTH_LEADING);
            }
            assert_eq!(made.error(2, &made.places[2]), 0.0);
        }
        assert_ne!(Move::random(3, 1, &all()), Move::random(4, 1, &all()));
    }

    #[test]
    fn bones_in_space_are_as_long_after_as_before() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for kind in all() {
            let body = Body::random(&mut rng);
            let ([first, last], _) = kind.postures(&mut rng);
            let lengths = |posture: &Posture| {
                let joints = body.joints(posture);
                Joint::ALL.map(|joint| {
                    let parent = joint.parent().unwrap_or(joint);
                    let away = add(joints[joint as usize], times(joints[parent as usize], -1.0));
                    away.iter().map(|v| v * v).sum::<f32>().sqrt()
                })
            };
            for (joint, (a, b)) in Joint::ALL
                .into_iter()
                .zip(lengths(&first).into_iter().zip(lengths(&last)))
            {
                assert!((a - b).abs() < 1e-4, "{kind:?} {joint:?}: {a} and {b}");
            }
        }
    }

    #[test]
    fn who_sits_down_stays_on_the_feet_and_gets_lower() {
        for index in 0..40 {
            let made = Move::random(5, index, &[Kind::Sit]);
            let at = |moment: usize, joint: Joint| made.places[moment][joint as usize];
            let ankles = |moment: usize| {
                let [l, r] = [Joint::LeftAnkle, Joint::RightAnkle].map(|joint| at(moment, joint));
                [(l[0] + r[0]) / 2.0, (l[1] + r[1]) / 2.0]
            };
            let (a, b) = (ankles(0), ankles(2));
            assert!((a[0] - b[0]).hypot(a[1] - b[1]) < 1e-3);
            let drop = (at(2, Joint::Pelvis)[1] - at(0, Joint::Pelvis)[1]).abs();
            assert!(drop > 0.02, "{drop}");
        }
    }
}
