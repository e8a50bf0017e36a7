//! A person that is led at some places: what its mesh is held by, and where that goes.

use super::plane::{Plane, Point, Turn, minus, plus};
use super::{Drag, Grip, Joint, Skeleton};
use crate::scene::Mask;
use crate::scene::parts::Part;

/// Along each bone: limbs stay straight.
const ALONG: [f32; 3] = [1.0 / 3.0, 2.0 / 3.0, 1.0];

/// A person with what was taken hold of. Places are fractions of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Puppet {
    skeleton: Skeleton,
    aspect: f32,
    /// What each of the places that were taken hold of means; `None` where it means nothing.
    taken: Vec<Option<Grip>>,
    /// What the mesh is held by.
    held: Vec<Grip>,
}

impl Puppet {
    /// Of a person under a mask, taken hold of at these places. `aspect` is the picture's width to its height.
    pub fn new(skeleton: &Skeleton, mask: &Mask, aspect: f32, taken: &[[f32; 2]]) -> Self {
        let along_bones = skeleton
            .bones()
            .flat_map(|joint| ALONG.map(|along| Grip { joint, along }));
        let root = Some(Grip::joint(Joint::Pelvis)).filter(|_| skeleton.sees(Joint::Pelvis));
        let on_the_mask = |grip: &Grip| {
            let [x, y] = skeleton.place_of(*grip);
            mask.contains(x, y)
        };
        let held = root.into_iter().chain(along_bones).filter(on_the_mask);
        Self {
            aspect,
            taken: taken.iter().map(|at| skeleton.grip(*at, aspect)).collect(),
            held: held.collect(),
            skeleton: skeleton.clone(),
        }
    }

    /// The same, its mesh held only where `keep` says so of a bone, by its end away from the pelvis, and a place on it.
    pub fn held_where(mut self, keep: impl Fn(Joint, [f32; 2]) -> bool) -> Self {
        let skeleton = &self.skeleton;
        self.held
            .retain(|grip| keep(grip.joint, skeleton.place_of(*grip)));
        self
    }

    /// Whether a part goes another way than the trunk: arms and head where somebody took hold of them, legs whose knee can be seen.
    pub fn leads(&self, part: Part) -> bool {
        let limb = match part.side() {
            Some(side) if side.arm().contains(&part) => Joint::arm(side),
            Some(side) => Joint::leg(side),
            None if part == Part::Head => [Joint::Head; 4],
            None => return false,
        };
        // A shoulder or hip is the trunk's.
        let own = &limb[usize::from(part.side().is_some())..];
        let bends = part.is_of_a_leg() && self.skeleton.sees(limb[1]);
        let mut taken = self.taken.iter().flatten();
        bends || taken.any(|grip| own.contains(&grip.joint))
    }

    /// The places that the mesh is held at, at rest: joints that can be seen, and places along the bones between them, as far as they
    /// are on the mask.
    pub fn rests(&self) -> Vec<[f32; 2]> {
        let places = self.held.iter().map(|grip| self.skeleton.place_of(*grip));
        places.collect()
    }

    /// The skeleton when what was taken hold of is led by these offsets. Feet that can be seen stay unless they are led.
    pub fn posed(&self, offsets: &[[f32; 2]]) -> Skeleton {
        let drags = self.taken.iter().zip(offsets).filter_map(|(grip, by)| {
            let grip = (*grip)?;
            let [x, y] = self.skeleton.place_of(grip);
            let to = [x + by[0], y + by[1]];
            Some(Drag { grip, to })
        });
        let drags: Vec<Drag> = drags.collect();
        let pinned = self.skeleton.standing();
        self.skeleton.posed(self.aspect, &drags, &pinned)
    }

    /// Where the places of [`rests`](Self::rests) are when the person is `posed`.
    pub fn targets(&self, posed: &Skeleton) -> Vec<[f32; 2]> {
        self.held.iter().map(|grip| posed.place_of(*grip)).collect()
    }

    /// Which way a bone goes, by its end away from the pelvis, when the person is `posed`.
    pub fn way(&self, posed: &Skeleton, joint: Joint) -> Way {
        let plane = Plane::of(self.aspect);
        let root = joint.parent().unwrap_or(joint);
        let ends = |skeleton: &Skeleton| {
            let [from, to] = [root, joint].map(|joint| plane.enter(skeleton.place(joint)));
            (from, minus(to, from))
        };
        let ((from, was), (to, is)) = (ends(&self.skeleton), ends(posed));
        Way {
            plane,
            from,
            to,
            turn: Turn::between(was, is),
        }
    }
}

/// Which way a bone goes, with what is stiff around it.
#[derive(Clone, Copy)]
pub struct Way {
    plane: Plane,
    from: Point,
    to: Point,
    turn: Turn,
}

impl Way {
    /// Where a place goes along with it, in fractions of the picture.
    pub fn of(&self, at: [f32; 2]) -> [f32; 2] {
        let away = minus(self.plane.enter(at), self.from);
        self.plane.leave(plus(self.to, self.turn.of(away)))
    }

    /// Cosine and sine of its turn.
    pub fn turn(&self) -> [f32; 2] {
        self.turn.of([1.0, 0.0])
    }
}
