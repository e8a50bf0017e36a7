//! Things that are led at several places: how they turn, scale and bend. Pure geometry; pixels are the compositor's.
//!
//! One handle moves a thing as it is, two turn and scale it, three and more (pins among them) bend it as rigidly as possible. What
//! comes out never tears and never folds: every triangle of the mesh keeps its orientation, the area of the whole stays within
//! 30 % of what the handles' common scale gives it, and from handles that contradict each other comes something between.
//!
//! Places are in pixels of the picture here, x right, y down.

mod border;
mod mesh;
mod motion;
mod person;
mod similarity;
mod skyline;
mod solver;

pub use mesh::{Anchor, MAX_VERTICES, Mesh, mesh_over};
pub use motion::{BehindArms, Motion, Rig};
pub use similarity::{Fit, Pair, Similarity};
pub use solver::{Guess, Solver};

use crate::scene::Pose;
use std::sync::Arc;

/// Where the vertices of a mesh are when places on it go elsewhere: handles as pairs of a place at rest and its target. What is
/// to follow over time has a [`Solver`], which goes on from where it was and does not factorise again.
///
/// Without handles the mesh is at rest; with handles that all move equally, it is moved exactly so.
pub fn solve(mesh: &Mesh, handles: &[([f32; 2], [f32; 2])]) -> Vec<[f32; 2]> {
    let (rests, targets): (Vec<_>, Vec<_>) = handles.iter().copied().unzip();
    Solver::new(Arc::new(mesh.clone()), &rests).step(&targets, &Pose::default())
}

#[cfg(test)]
mod tests;
