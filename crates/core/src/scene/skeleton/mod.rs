//! The joints of a person in a picture, and where they go when some of them are dragged.
//!
//! Everything happens in the plane of the picture: a limb that is turned towards the viewer looks shorter, and so bones may become
//! shorter, and hardly longer. Places are fractions of the picture.

mod areas;
mod grow;
mod limb;
mod plane;
mod pose;
mod puppet;
#[cfg(test)]
mod tests;
mod trunk;

pub use areas::{Areas, half_width};
pub use pose::Drag;
pub use puppet::{Puppet, Way};

use super::Mask;
use super::parts::Side;
use plane::{Plane, Point};
use serde::{Deserialize, Serialize};

/// Joints that are less likely than this to be seen are taken for hidden.
const SEEN: f32 = 0.65;
/// Share of a bone, at either end, within which a place means the joint there.
const NEAR_JOINT: f32 = 0.2;
/// A trunk that is shorter than this share of what the limbs would have it be is none: who bows to the viewer that deeply could not be
/// led by joints, and an animal's legs that were taken for a person's hang from nothing.
const LEAST_TRUNK: f32 = 0.35;
/// The least sine of the angle between a limb and the trunk that it stands on the ground with, of who is on all fours.
const CROSSWISE: f32 = 0.4;
/// How far from its bone what belongs to a person may be, in half widths.
const OWN: f32 = 2.5;
/// Places beyond this many pictures are taken for it.
const FAR: f32 = 10.0;

/// A joint, or an end of what hangs from one. Left and right are the person's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are all there is to say")]
pub enum Joint {
    /// Midway between the ears.
    Head,
    /// Midway between the shoulders.
    Neck,
    /// Midway between the hips.
    Pelvis,
    LeftShoulder,
    LeftElbow,
    LeftWrist,
    /// The middle of the knuckles.
    LeftHand,
    RightShoulder,
    RightElbow,
    RightWrist,
    /// The middle of the knuckles.
    RightHand,
    LeftHip,
    LeftKnee,
    LeftAnkle,
    /// The toes.
    LeftFoot,
    RightHip,
    RightKnee,
    RightAnkle,
    /// The toes.
    RightFoot,
}

/// Number of joints.
pub const JOINTS: usize = Joint::ALL.len();

impl Joint {
    /// All of them, in the order in which a [`Skeleton`] has them.
    pub const ALL: [Self; 19] = [
        Self::Head,
        Self::Neck,
        Self::Pelvis,
        Self::LeftShoulder,
        Self::LeftElbow,
        Self::LeftWrist,
        Self::LeftHand,
        Self::RightShoulder,
        Self::RightElbow,
        Self::RightWrist,
        Self::RightHand,
        Self::LeftHip,
        Self::LeftKnee,
        Self::LeftAnkle,
        Self::LeftFoot,
        Self::RightHip,
        Self::RightKnee,
        Self::RightAnkle,
        Self::RightFoot,
    ];

    /// Shoulder, elbow, wrist and hand.
    pub fn arm(side: Side) -> [Self; 4] {
        match side {
            Side::Left => [
                Self::LeftShoulder,
                Self::LeftElbow,
                Self::LeftWrist,
                Self::LeftHand,
            ],
            Side::Right => [
                Self::RightShoulder,
                Self::RightElbow,
                Self::RightWrist,
                Self::RightHand,
            ],
        }
    }

    /// Hip, knee, ankle and foot.
    pub fn leg(side: Side) -> [Self; 4] {
        match side {
            Side::Left => [
                Self::LeftHip,
                Self::LeftKnee,
                Self::LeftAnkle,
                Self::LeftFoot,
            ],
            Side::Right => [
                Self::RightHip,
                Self::RightKnee,
                Self::RightAnkle,
                Self::RightFoot,
            ],
        }
    }

    /// The joint at the other end of its bone, nearer to the pelvis; `None` for the pelvis.
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::Pelvis => None,
            Self::Neck | Self::LeftHip | Self::RightHip => Some(Self::Pelvis),
            Self::Head | Self::LeftShoulder | Self::RightShoulder => Some(Self::Neck),
            _ => Self::limbs()
                .into_iter()
                .flat_map(|limb| [[limb[0], limb[1]], [limb[1], limb[2]], [limb[2], limb[3]]])
                .find_map(|[from, to]| (to == self).then_some(from)),
        }
    }

    /// Whether the bone that ends in it is an arm's.
    pub fn is_of_an_arm(self) -> bool {
        let sides = Side::BOTH.into_iter();
        sides.map(Self::arm).any(|arm| arm[1..].contains(&self))
    }

    fn limbs() -> [[Self; 4]; 4] {
        [
            Self::arm(Side::Left),
            Self::arm(Side::Right),
            Self::leg(Side::Left),
            Self::leg(Side::Right),
        ]
    }
}

/// The joints of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Skeleton {
    /// Where each joint of [`Joint::ALL`] is, in fractions of the picture; may lie beyond it.
    pub places: [[f32; 2]; JOINTS],
    /// How likely each of them is to be seen. 0..1
    pub visibility: [f32; JOINTS],
}

/// A place on a bone: what is held when somebody takes hold of a person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grip {
    /// The bone's end away from the pelvis.
    pub joint: Joint,
    /// How far along the bone, from [`Joint::parent`] (0) to the joint (1).
    pub along: f32,
}

impl Grip {
    /// The joint itself.
    pub const fn joint(joint: Joint) -> Self {
        Self { joint, along: 1.0 }
    }

    /// The joint that it means, if it is at or near one.
    pub fn as_joint(self) -> Option<Joint> {
        if self.along >= 1.0 - NEAR_JOINT {
            return Some(self.joint);
        }
        self.joint.parent().filter(|_| self.along <= NEAR_JOINT)
    }
}

impl Skeleton {
    /// From the 33 landmarks of BlazePose (`crates/networks/src/blaze_pose`), places in fractions of the picture and how likely each is to be
    /// seen. `None` when there are fewer, or one is no number.
    pub fn of_landmarks(landmarks: &[([f32; 2], f32)]) -> Option<Self> {
        let landmarks = landmarks.get(..33)?;
        let numbers = |(at, seen): &([f32; 2], f32)| {
            at[0].is_finite() && at[1].is_finite() && seen.is_finite()
        };
        if !landmarks.iter().all(numbers) {
            return None;
        }
        let [ears, shoulders, hips] = [[7, 8], [11, 12], [23, 24]];
        // In the order of `Joint::ALL`: what each is the middle of.
        let made: [[usize; 2]; JOINTS] = [
            ears,
            shoulders,
            hips,
            [11, 11],
            [13, 13],
            [15, 15],
            [17, 19],
            [12, 12],
            [14, 14],
            [16, 16],
            [18, 20],
            [23, 23],
            [25, 25],
            [27, 27],
            [31, 31],
            [24, 24],
            [26, 26],
            [28, 28],
            [32, 32],
        ];
        let seen = |[a, b]: [usize; 2]| landmarks[a].1.max(landmarks[b].1).clamp(0.0, 1.0);
        let mean = |[a, b]: [usize; 2], of: &dyn Fn(usize) -> f32| (of(a) + of(b)) / 2.0;
        // One ear is hidden in a profile, and the head is there all the same.
        let mut visibility = made.map(seen);
        for [root, middle, end, _] in Joint::limbs().map(|limb| limb.map(|joint| joint as usize)) {
            // A knee under a coat is where it has to be.
            let between = visibility[root].min(visibility[end]);
            visibility[middle] = visibility[middle].max(between);
        }
        Some(Self {
            places: made.map(|pair| {
                [0, 1].map(|axis| mean(pair, &|at| landmarks[at].0[axis]).clamp(-FAR, FAR))
            }),
            visibility,
        })
    }

    /// Whether all places are numbers within bounds, and visibilities shares.
    pub fn is_usable(&self) -> bool {
        let near = |v: &f32| v.abs() <= FAR;
        let share = |v: &f32| (0.0..=1.0).contains(v);
        self.places.iter().flatten().all(near) && self.visibility.iter().all(share)
    }

    /// x, y and visibility of each joint.
    pub fn to_list(&self) -> Vec<[f32; 3]> {
        let pairs = self.places.iter().zip(self.visibility);
        pairs.map(|([x, y], seen)| [*x, *y, seen]).collect()
    }

    /// What [`to_list`](Self::to_list) made; `None` for another number of joints, and for what [`is_usable`](Self::is_usable) is not.
    pub fn of_list(list: &[[f32; 3]]) -> Option<Self> {
        let list: [[f32; 3]; JOINTS] = list.try_into().ok()?;
        let made = Self {
            places: list.map(|[x, y, _]| [x, y]),
            visibility: list.map(|[.., seen]| seen),
        };
        made.is_usable().then_some(made)
    }

    /// Where a joint is, in fractions of the picture.
    pub fn place(&self, joint: Joint) -> [f32; 2] {
        self.places[joint as usize]
    }

    /// Whether it can be seen.
    pub fn sees(&self, joint: Joint) -> bool {
        self.visibility[joint as usize] >= SEEN
    }

    /// Where a grip's place on the bone is, in fractions of the picture.
    pub fn place_of(&self, grip: Grip) -> [f32; 2] {
        let to = self.place(grip.joint);
        let from = grip.joint.parent().map_or(to, |joint| self.place(joint));
        [0, 1].map(|axis| from[axis] + grip.along * (to[axis] - from[axis]))
    }

    /// The bones that can be seen, by their ends away from the pelvis.
    pub fn bones(&self) -> impl Iterator<Item = Joint> {
        let seen = |joint: &Joint| {
            let parent = joint.parent();
            self.sees(*joint) && parent.is_some_and(|parent| self.sees(parent))
        };
        Joint::ALL.into_iter().filter(seen)
    }

    /// What is held at a place of the person: the joint near it, else the nearest bone, counted in half widths of the limbs, so
    /// that an arm is taken rather than the trunk behind it. `aspect` is the picture's width to its height.
    pub fn grip(&self, at: [f32; 2], aspect: f32) -> Option<Grip> {
        let plane = Plane::of(aspect);
        let point = plane.enter(at);
        let scale = self.scale(aspect)?;
        let distance = |joint: Joint| {
            let from = plane.enter(self.place(joint.parent()?));
            let (away, along) = plane::from_segment(point, from, plane.enter(self.place(joint)));
            Some((away / (scale * half_width(joint)), along))
        };
        let near = self.bones().filter_map(|joint| {
            let (away, along) = distance(joint)?;
            away.is_finite().then_some((away, Grip { joint, along }))
        });
        let (_, grip) = near.min_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(grip.as_joint().map_or(grip, Grip::joint))
    }

    /// The length of the trunk in heights of the picture, by the longest bones that can be seen: what is turned towards the viewer
    /// looks shorter. `None` when hardly anything can be seen.
    pub fn scale(&self, aspect: f32) -> Option<f32> {
        // What each would be of the trunk's length.
        const SHARES: [(Joint, Joint, f32); 10] = [
            (Joint::Pelvis, Joint::Neck, 1.0),
            (Joint::LeftShoulder, Joint::RightShoulder, 0.7),
            (Joint::LeftShoulder, Joint::LeftElbow, 0.55),
            (Joint::RightShoulder, Joint::RightElbow, 0.55),
            (Joint::LeftElbow, Joint::LeftWrist, 0.5),
            (Joint::RightElbow, Joint::RightWrist, 0.5),
            (Joint::LeftHip, Joint::LeftKnee, 0.85),
            (Joint::RightHip, Joint::RightKnee, 0.85),
            (Joint::LeftKnee, Joint::LeftAnkle, 0.8),
            (Joint::RightKnee, Joint::RightAnkle, 0.8),
        ];
        let plane = Plane::of(aspect);
        let mut found: Vec<f32> = SHARES
            .into_iter()
            .filter(|(from, to, _)| self.sees(*from) && self.sees(*to))
            .map(|(from, to, share)| {
                let [from, to] = [from, to].map(|joint| plane.enter(self.place(joint)));
                plane::distance(from, to) / share
            })
            .filter(|length| *length > 1e-4 && length.is_finite())
            .collect();
        found.sort_by(|a, b| b.total_cmp(a));
        // The second: one that was found wrongly may be too long.
        found.get(1).or(found.first()).copied()
    }

    /// Whether there is a trunk that arms and legs could hang from.
    pub fn has_a_trunk(&self, aspect: f32) -> bool {
        let plane = Plane::of(aspect);
        let [neck, pelvis] =
            [Joint::Neck, Joint::Pelvis].map(|joint| plane.enter(self.place(joint)));
        let length = plane::distance(neck, pelvis);
        self.scale(aspect)
            .is_some_and(|scale| length >= LEAST_TRUNK * scale)
    }

    /// Whether all arms and legs that can be seen, at least one of each, go away from the trunk to one side of it, as those of animals on
    /// four legs do.
    pub fn is_on_all_fours(&self, aspect: f32) -> bool {
        let plane = Plane::of(aspect);
        let at = |joint: Joint| plane.enter(self.place(joint));
        let trunk = plane::minus(at(Joint::Neck), at(Joint::Pelvis));
        let side = |[root, _, end, _]: [Joint; 4]| {
            let limb = plane::minus(at(end), at(root));
            let lengths = plane::length(trunk) * plane::length(limb);
            let sine = plane::cross(trunk, limb) / lengths.max(f32::MIN_POSITIVE);
            (self.sees(root) && self.sees(end)).then_some(sine)
        };
        let arms = Side::BOTH.map(Joint::arm).map(side);
        let legs = Side::BOTH.map(Joint::leg).map(side);
        let all = || arms.iter().chain(&legs).flatten();
        let some = arms.iter().any(Option::is_some) && legs.iter().any(Option::is_some);
        some && (all().all(|sine| *sine > CROSSWISE) || all().all(|sine| *sine < -CROSSWISE))
    }

    /// The share of a mask that lies near bones, seen or hidden: of a person nearly all, of an animal that was taken for one often not.
    /// 0..1, and 0 for an empty mask.
    pub fn explains(&self, mask: &Mask, aspect: f32) -> f32 {
        // Some thousands of samples say as much as all pixels.
        const SAMPLES: usize = 128;
        let Some(scale) = self.scale(aspect) else {
            return 0.0;
        };
        let plane = Plane::of(aspect);
        let bones: Vec<_> = Joint::ALL
            .into_iter()
            .filter_map(|joint| {
                let ends = [joint.parent()?, joint].map(|end| plane.enter(self.place(end)));
                Some((ends, OWN * scale * half_width(joint)))
            })
            .collect();
        let step = |side: u32| (side as usize / SAMPLES).max(1);
        let (mut own, mut all) = (0.0_f32, 0.0_f32);
        for y in (0..mask.height as usize).step_by(step(mask.height)) {
            for x in (0..mask.width as usize).step_by(step(mask.width)) {
                if mask.alpha[y * mask.width as usize + x] < 128 {
                    continue;
                }
                let point = plane.enter([
                    (x as f32 + 0.5) / mask.width as f32,
                    (y as f32 + 0.5) / mask.height as f32,
                ]);
                let near = |([from, to], reach): &([Point; 2], f32)| {
                    plane::from_segment(point, *from, *to).0 <= *reach
                };
                all += 1.0;
                own += if bones.iter().any(near) { 1.0 } else { 0.0 };
            }
        }
        own / all.max(1.0)
    }
}
