//! How an entity goes over a video: by offsets alone, or by its mesh.

use super::mesh::Mesh;
use super::solver::Solver;
use crate::scene::skeleton::{Areas, Puppet};
use crate::scene::{Entity, Mask, Pose, Skeleton, Trajectory};
use std::sync::Arc;

/// Where a thing is in each frame, in pixels of the picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Motion {
    /// Offsets from the first frame. Those that are missing are zero.
    Shift(Vec<[f32; 2]>),
    /// It is turned, scaled or bent.
    Mesh {
        /// The mesh over it, at rest.
        mesh: Arc<Mesh>,
        /// Where its vertices are in each frame. Frames that are missing are at rest.
        frames: Vec<Vec<[f32; 2]>>,
    },
}

impl Motion {
    /// That of an entity in a picture of `size` pixels, for `frames` frames. Without any trajectory or pose it stays.
    pub fn of(entity: &Entity, frames: usize, size: [u32; 2]) -> Self {
        let Some(rig) = Rig::of(entity, size) else {
            let offsets = entity.held_by().next().map(|path| path.offsets(frames));
            let scaled = |[x, y]: [f32; 2]| [x * size[0] as f32, y * size[1] as f32];
            let offsets = offsets.unwrap_or_else(|| vec![[0.0; 2]; frames]);
            return Self::Shift(offsets.into_iter().map(scaled).collect());
        };
        Self::through(rig, frames)
    }

    fn through(mut rig: Rig, frames: usize) -> Self {
        let time = |i: usize| i as f32 / (frames.max(2) - 1) as f32;
        let frames = (0..frames).map(|i| rig.at(time(i))).collect();
        Self::Mesh {
            mesh: rig.mesh().clone(),
            frames,
        }
    }
}

/// What a person's arms hide of trunk and thighs, which is uncovered when they move: it has to be made up.
#[derive(Clone, Debug)]
pub struct BehindArms {
    /// What is hidden. Of the size of the entity's mask, as the next.
    pub hidden: Mask,
    /// Trunk and thighs, what is hidden among them.
    pub body: Mask,
    /// How they move.
    pub motion: Motion,
}

impl BehindArms {
    /// Of an entity in a picture of `size` pixels, for `frames` frames; `None` where nothing is hidden, or nobody is led.
    pub fn of(entity: &Entity, frames: usize, size: [u32; 2]) -> Option<Self> {
        let skeleton = entity.skeleton.as_ref()?;
        let [width, height] = size.map(|side| side.max(1) as f32);
        let areas = Areas::new(skeleton, &entity.mask, width / height)?;
        let [hidden, body] = areas.behind_arms(&entity.mask)?;
        let mut rig = Rig::of(entity, size)?;
        let starts: Vec<[f32; 2]> = rig.paths.iter().map(Trajectory::start).collect();
        let puppet = Puppet::new(skeleton, &body, width / height, &starts).without_arms();
        let held = puppet.rests().into_iter();
        let held: Vec<[f32; 2]> = held.map(|at| scaled(at, rig.size)).collect();
        rig.solver = Solver::new(Arc::new(mesh_over(&body, size)?), &held);
        rig.puppet = Some(puppet);
        Some(Self {
            hidden,
            body,
            motion: Motion::through(rig, frames),
        })
    }
}

/// The mesh over a mask in a picture of `size` pixels, with as much around it as a soft cut-out has, and what of the ground beside
/// it is not shown as it was once the thing moves. `None` for an empty mask.
pub fn mesh_over(mask: &Mask, size: [u32; 2]) -> Option<Mesh> {
    Mesh::over(mask, size, margin(size))
}

/// As [`mesh_over`], of a person with these joints: an arm in front of the trunk hangs together with it at the shoulder alone, and
/// lies in front wherever it goes.
pub fn mesh_over_person(skeleton: &Skeleton, mask: &Mask, size: [u32; 2]) -> Option<Mesh> {
    let [width, height] = size.map(|side| side.max(1) as f32);
    let Some(areas) = Areas::new(skeleton, mask, width / height) else {
        return mesh_over(mask, size);
    };
    // What the picture's border cuts off is as it is there.
    let fraction = |[x, y]: [f32; 2]| [x / width, y / height].map(|v| v.clamp(0.0, 1.0 - 1e-6));
    let joined = |a, b| areas.joined(fraction(a), fraction(b));
    let mesh = Mesh::cut(mask, size, margin(size), joined)?;
    Some(mesh.layered(|at| areas.front(fraction(at))))
}

fn margin(size: [u32; 2]) -> f32 {
    let doubt = size[0].max(size[1]) as f32 / 256.0 + 1.0;
    3.5 * doubt + 4.0
}

/// An entity that is turned, scaled or bent: its mesh with what holds it, ready to be moved again and again.
#[derive(Clone, Debug)]
pub struct Rig {
    solver: Solver,
    paths: Vec<Trajectory>,
    poses: Vec<Pose>,
    /// The joints that the paths lead, if they do.
    puppet: Option<Puppet>,
    size: [f32; 2],
}

impl Rig {
    /// Of an entity in a picture of `size` pixels; `None` where offsets say all of its motion.
    pub fn of(entity: &Entity, size: [u32; 2]) -> Option<Self> {
        let mut paths: Vec<Trajectory> = entity.held_by().cloned().collect();
        let skeleton = entity.skeleton.as_ref().filter(|_| !paths.is_empty());
        let still = entity.poses.iter().all(Pose::is_still);
        let together = match skeleton {
            Some(_) => paths.iter().all(Trajectory::is_pin),
            None => together(&paths),
        };
        if still && together {
            return None;
        }
        let mesh = match skeleton {
            Some(skeleton) => mesh_over_person(skeleton, &entity.mask, size)?,
            None => mesh_over(&entity.mask, size)?,
        };
        if paths.is_empty() {
            let [x, y] = entity.mask.centroid()?;
            paths.push(Trajectory::pin(x, y));
        }
        let size = size.map(|side| side.max(1) as f32);
        let starts: Vec<[f32; 2]> = paths.iter().map(Trajectory::start).collect();
        let puppet = skeleton
            .map(|skeleton| Puppet::new(skeleton, &entity.mask, size[0] / size[1], &starts))
            .filter(|puppet| !puppet.rests().is_empty());
        let held = puppet.as_ref().map_or(starts, Puppet::rests);
        let held: Vec<[f32; 2]> = held.into_iter().map(|at| scaled(at, size)).collect();
        Some(Self {
            solver: Solver::new(Arc::new(mesh), &held),
            paths,
            poses: entity.poses.clone(),
            puppet,
            size,
        })
    }

    /// The mesh at rest.
    pub fn mesh(&self) -> &Arc<Mesh> {
        self.solver.mesh()
    }

    /// Goes back to the first frame.
    pub fn reset(&mut self) {
        self.solver.reset();
    }

    /// Where its vertices are at time `t`, a fraction of the video. At time 0 they are at rest.
    pub fn at(&mut self, t: f32) -> Vec<[f32; 2]> {
        if t <= 0.0 {
            self.solver.reset();
        }
        let now = |path: &Trajectory| match t > 0.0 {
            true => path.position(t),
            false => path.start(),
        };
        let targets: Vec<[f32; 2]> = match &self.puppet {
            Some(puppet) => {
                let offset = |path: &Trajectory| {
                    let ([x, y], [to_x, to_y]) = (path.start(), now(path));
                    [to_x - x, to_y - y]
                };
                puppet.targets(&self.paths.iter().map(offset).collect::<Vec<_>>())
            }
            None => self.paths.iter().map(now).collect(),
        };
        let targets: Vec<[f32; 2]> = targets
            .into_iter()
            .map(|at| scaled(at, self.size))
            .collect();
        self.solver.step(&targets, &Pose::at(&self.poses, t))
    }
}

fn scaled([x, y]: [f32; 2], [w, h]: [f32; 2]) -> [f32; 2] {
    [x * w, y * h]
}

/// Whether trajectories go the same way at all times, so that offsets say everything.
fn together(paths: &[Trajectory]) -> bool {
    const LOOKS: usize = 65;
    let Some((first, others)) = paths.split_first() else {
        return true;
    };
    let first = first.offsets(LOOKS);
    others.iter().all(|path| {
        let offsets = path.offsets(LOOKS);
        first
            .iter()
            .zip(offsets)
            .all(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]) < 1e-6)
    })
}
