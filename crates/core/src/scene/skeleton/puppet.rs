//! A person that is led at some places: what its mesh is held by, and where that goes.

use super::{Drag, Grip, Joint, Skeleton};
use crate::scene::Mask;
use crate::scene::parts::Side;

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

    /// The same, its mesh held by no arm: that of what is behind them.
    pub fn without_arms(mut self) -> Self {
        let arms = Side::BOTH.map(Joint::arm);
        let of_an_arm = |grip: &Grip| arms.iter().any(|arm| arm[1..].contains(&grip.joint));
        self.held.retain(|grip| !of_an_arm(grip));
        self
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

    /// Where the places of [`rests`](Self::rests) go then.
    pub fn targets(&self, offsets: &[[f32; 2]]) -> Vec<[f32; 2]> {
        let posed = self.posed(offsets);
        self.held.iter().map(|grip| posed.place_of(*grip)).collect()
    }
}
