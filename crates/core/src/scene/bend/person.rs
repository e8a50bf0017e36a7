//! People: a mesh that follows a skeleton.

use super::mesh::{Mesh, mesh_over};
use super::solver::{Guess, Solver};
use crate::scene::skeleton::{Areas, Joint, Puppet};
use crate::scene::{Mask, Picture, Skeleton};
use std::sync::Arc;

/// A person that was taken hold of at some places: its mesh, ready to be moved again and again.
///
/// Each vertex is first taken along by the bone that it lies on, as a stiff thing; from there the mesh becomes as rigid as possible
/// with its joints where they are to be. So it depends on nothing that was before, and a whole turn of an arm is no harder than
/// a small one. Where an elbow is bent far, triangles on its inner side may fold.
#[derive(Clone, Debug)]
pub struct PersonRig {
    solver: Solver,
    puppet: Puppet,
    /// Of each vertex, the bone that takes it along.
    bones: Vec<Joint>,
    size: [f32; 2],
}

impl PersonRig {
    /// Of a person under a mask in a picture, which is `size` pixels large here, taken hold of at places in fractions of it; colours of the
    /// picture say where arms end, if it has any. An arm in front of the trunk
    /// hangs together with it at the shoulder alone, and lies in front wherever it goes. `None` where there is nothing to be held.
    pub fn new(
        skeleton: &Skeleton,
        mask: &Mask,
        picture: &Picture,
        size: [u32; 2],
        taken: &[[f32; 2]],
    ) -> Option<Self> {
        let sides = size.map(|side| side.max(1) as f32);
        let aspect = sides[0] / sides[1];
        let puppet = Puppet::new(skeleton, mask, aspect, taken);
        let areas = Areas::new(skeleton, mask, picture, aspect)?.led(|part| puppet.leads(part));
        // What the picture's border cuts off is as it is there.
        let fraction =
            |[x, y]: [f32; 2]| [x / sides[0], y / sides[1]].map(|v| v.clamp(0.0, 1.0 - 1e-6));
        let mesh = mesh_over(mask, size, |a, b| areas.joined(fraction(a), fraction(b)))?;
        let mesh = mesh.layered(|at| areas.front(fraction(at)));
        let bone = |at| areas.bone(skeleton, fraction(at));
        let bones = mesh.own_places().into_iter().map(bone).collect();
        // Where an arm crosses the trunk the spine must not hold it.
        let puppet = puppet.held_where(|joint, at| {
            areas.bone(skeleton, at).is_of_an_arm() == joint.is_of_an_arm()
        });
        Self::held(mesh, puppet, bones, sides)
    }

    /// Of what arms hide of a person, and of the trunk around it: `body` is their mask.
    pub(super) fn behind_arms(
        skeleton: &Skeleton,
        areas: &Areas,
        body: &Mask,
        size: [u32; 2],
        taken: &[[f32; 2]],
    ) -> Option<Self> {
        let sides = size.map(|side| side.max(1) as f32);
        let mesh = mesh_over(body, size, |_, _| true)?;
        let bone = |[x, y]: [f32; 2]| {
            let at = [x / sides[0], y / sides[1]].map(|v| v.clamp(0.0, 1.0 - 1e-6));
            let bone = areas.bone(skeleton, at);
            if bone.is_of_an_arm() {
                Joint::Neck
            } else {
                bone
            }
        };
        let bones = mesh.own_places().into_iter().map(bone).collect();
        let puppet = Puppet::new(skeleton, body, sides[0] / sides[1], taken)
            .held_where(|joint, _| !joint.is_of_an_arm());
        Self::held(mesh, puppet, bones, sides)
    }

    fn held(mesh: Mesh, puppet: Puppet, bones: Vec<Joint>, size: [f32; 2]) -> Option<Self> {
        let rests: Vec<[f32; 2]> = puppet.rests();
        let pixels = rests.iter().map(|[x, y]| [x * size[0], y * size[1]]);
        let pixels: Vec<[f32; 2]> = pixels.collect();
        (!rests.is_empty()).then(|| Self {
            solver: Solver::new(Arc::new(mesh), &pixels),
            puppet,
            bones,
            size,
        })
    }

    /// The mesh at rest.
    pub fn mesh(&self) -> &Arc<Mesh> {
        self.solver.mesh()
    }

    /// Where its vertices are, in pixels, when what was taken hold of is led by these offsets, in fractions of the picture. Without any
    /// it is at rest.
    pub fn led(&mut self, offsets: &[[f32; 2]]) -> Vec<[f32; 2]> {
        if offsets.iter().flatten().all(|v| *v == 0.0) {
            return self.mesh().vertices().to_vec();
        }
        let posed = self.puppet.posed(offsets);
        let pixels = |[x, y]: [f32; 2]| [x * self.size[0], y * self.size[1]];
        let ways = Joint::ALL.map(|joint| self.puppet.way(&posed, joint));
        let guess: Vec<Guess> = self
            .mesh()
            .vertices()
            .iter()
            .zip(&self.bones)
            .map(|(vertex, bone)| {
                let way = &ways[*bone as usize];
                let at = [vertex[0] / self.size[0], vertex[1] / self.size[1]];
                Guess {
                    at: pixels(way.of(at)),
                    turn: way.turn(),
                }
            })
            .collect();
        let targets = self.puppet.targets(&posed).into_iter().map(pixels);
        let targets: Vec<[f32; 2]> = targets.collect();
        self.solver.step_from(&targets, &guess)
    }
}
