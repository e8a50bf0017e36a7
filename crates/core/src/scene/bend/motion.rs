//! How an entity goes over a video: by offsets alone, or by its mesh.

use super::border::Border;
use super::mesh::{Mesh, mesh_over};
use super::person::PersonRig;
use super::solver::Solver;
use crate::scene::skeleton::{Areas, Puppet};
use crate::scene::{Entity, Mask, Picture, Pose, Skeleton, Trajectory};
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
    /// That of an entity in a picture of `size` pixels, for `frames` frames; see [`Rig::of`]. Without any trajectory or pose it stays.
    pub fn of(entity: &Entity, picture: &Picture, frames: usize, size: [u32; 2]) -> Self {
        let Some(rig) = Rig::of(entity, picture, size) else {
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
}

impl BehindArms {
    /// Of an entity in a picture of `size` pixels, and how that moves in `frames` frames; `None` where nothing is hidden, or nobody is
    /// led. See [`Rig::of`].
    pub fn of(
        entity: &Entity,
        picture: &Picture,
        frames: usize,
        size: [u32; 2],
    ) -> Option<(Self, Motion)> {
        let skeleton = entity.skeleton.as_ref().filter(|_| entity.moves())?;
        let paths = entity.held_by().cloned().collect();
        let (behind, rig) = Self::led(&entity.mask, skeleton, picture, size, paths)?;
        Some((behind, Motion::through(rig, frames)))
    }

    /// What arms would hide of the person under a mask if all of both were led; `None` where they hide nothing.
    pub fn whichever_is_led(
        mask: &Mask,
        skeleton: &Skeleton,
        picture: &Picture,
        size: [u32; 2],
    ) -> Option<Self> {
        let [width, height] = size.map(|side| side.max(1) as f32);
        let areas = Areas::new(skeleton, mask, picture, width / height)?;
        let [hidden, body] = areas.led(|_| true).behind_arms(mask)?;
        Some(Self { hidden, body })
    }

    fn led(
        mask: &Mask,
        skeleton: &Skeleton,
        picture: &Picture,
        size: [u32; 2],
        paths: Vec<Trajectory>,
    ) -> Option<(Self, Rig)> {
        let [width, height] = size.map(|side| side.max(1) as f32);
        let aspect = width / height;
        let taken: Vec<[f32; 2]> = paths.iter().map(Trajectory::start).collect();
        let puppet = Puppet::new(skeleton, mask, aspect, &taken);
        let areas = Areas::new(skeleton, mask, picture, aspect)?.led(|part| puppet.leads(part));
        let [hidden, body] = areas.behind_arms(mask)?;
        let rig = PersonRig::behind_arms(skeleton, &areas, &body, size, &taken)?;
        let rig = Rig::person(rig, paths, mask, size);
        Some((Self { hidden, body }, rig))
    }
}

/// An entity that is turned, scaled, bent or held by the picture's border: its mesh with what holds it, ready to be moved again and
/// again.
#[derive(Clone, Debug)]
pub struct Rig {
    led: Led,
    /// Its paths.
    paths: Vec<Trajectory>,
    /// The border that cuts it off.
    border: Option<Border>,
}

#[derive(Clone, Debug)]
enum Led {
    /// At the places where its paths begin.
    Thing {
        /// Its mesh, held there.
        solver: Box<Solver>,
        /// How it is turned and scaled.
        poses: Vec<Pose>,
        /// Of the picture, in pixels.
        size: [f32; 2],
    },
    /// By its joints: its mesh, taken hold of there.
    Person(Box<PersonRig>),
}

impl Rig {
    /// Of an entity in a picture, which is `size` pixels large here whatever its own size; `None` where offsets say all of its motion. What
    /// is led of a person is told apart by the picture's colours; an empty picture has none, and bones alone say it.
    pub fn of(entity: &Entity, picture: &Picture, size: [u32; 2]) -> Option<Self> {
        let mut paths: Vec<Trajectory> = entity.held_by().cloned().collect();
        if let Some(skeleton) = &entity.skeleton
            && paths.iter().any(|path| !path.is_pin())
        {
            let starts: Vec<[f32; 2]> = paths.iter().map(Trajectory::start).collect();
            if let Some(rig) = PersonRig::new(skeleton, &entity.mask, picture, size, &starts) {
                return Some(Self::person(rig, paths, &entity.mask, size));
            }
        }
        if paths.is_empty() {
            let [x, y] = entity.mask.centroid()?;
            paths.push(Trajectory::pin(x, y));
        }
        let sides = size.map(|side| side as f32);
        let rests = rests(&paths, sides);
        let border = Border::of(&entity.mask, size, &rests);
        if entity.poses.iter().all(Pose::is_still) && together(&paths) {
            let offsets = paths[0].offsets(LOOKS).into_iter();
            let mut offsets = offsets.map(|by| scaled(by, sides));
            border
                .as_ref()
                .filter(|border| border.is_left_by(&mut offsets))?;
        }
        Self::thing(&entity.mask, paths, entity.poses.clone(), border, size)
    }

    /// Of what is led by hand, whatever paths it has: a mask taken hold of at places in fractions of the picture, by its joints where a
    /// skeleton is given. Otherwise as [`Self::of`]; `None` where it is moved as it is, wherever it is led.
    pub fn held(
        mask: &Mask,
        skeleton: Option<&Skeleton>,
        picture: &Picture,
        size: [u32; 2],
        taken: &[[f32; 2]],
    ) -> Option<Self> {
        let pins: Vec<Trajectory> = taken.iter().map(|[x, y]| Trajectory::pin(*x, *y)).collect();
        if let Some(skeleton) = skeleton
            && let Some(rig) = PersonRig::new(skeleton, mask, picture, size, taken)
        {
            return Some(Self::person(rig, pins, mask, size));
        }
        let border = Border::of(mask, size, &rests(&pins, size.map(|side| side as f32)));
        match (&border, pins.len()) {
            (None, 0 | 1) => None,
            _ => Self::thing(mask, pins, Vec::new(), border, size),
        }
    }

    /// Of what the arms of a person hide of trunk and thighs, for the person that [`Self::of`] or [`Self::held`] is about: led by the
    /// same paths. `None` where arms that are led hide nothing.
    pub fn behind_arms(
        mask: &Mask,
        skeleton: &Skeleton,
        picture: &Picture,
        size: [u32; 2],
        paths: Vec<Trajectory>,
    ) -> Option<Self> {
        BehindArms::led(mask, skeleton, picture, size, paths).map(|(_, rig)| rig)
    }

    /// Of a thing that is led at the places where its paths begin.
    fn thing(
        mask: &Mask,
        paths: Vec<Trajectory>,
        poses: Vec<Pose>,
        border: Option<Border>,
        size: [u32; 2],
    ) -> Option<Self> {
        let mesh = mesh_over(mask, size, |_, _| true)?;
        let size = size.map(|side| side as f32);
        let solver = Box::new(Solver::new(Arc::new(mesh), &rests(&paths, size)));
        Some(Self {
            led: Led::Thing {
                solver,
                poses,
                size,
            },
            paths,
            border,
        })
    }

    /// Of a person under a mask, in a picture of `size` pixels.
    fn person(rig: PersonRig, paths: Vec<Trajectory>, mask: &Mask, size: [u32; 2]) -> Self {
        let rests = rests(&paths, size.map(|side| side as f32));
        Self {
            border: Border::of(mask, size, &rests),
            led: Led::Person(Box::new(rig)),
            paths,
        }
    }

    /// The mesh at rest.
    pub fn mesh(&self) -> &Arc<Mesh> {
        match &self.led {
            Led::Thing { solver, .. } => solver.mesh(),
            Led::Person(rig) => rig.mesh(),
        }
    }

    /// Turns and scales it so from now on. People who are led by their joints are not turned.
    pub fn pose(&mut self, to: &[Pose]) {
        if let Led::Thing { poses, .. } = &mut self.led {
            *poses = to.to_vec();
        }
    }

    /// Goes back to the first frame.
    pub fn reset(&mut self) {
        if let Led::Thing { solver, .. } = &mut self.led {
            solver.reset();
        }
    }

    /// Where its vertices are at time `t`, a fraction of the video. At time 0 they are at rest.
    pub fn at(&mut self, t: f32) -> Vec<[f32; 2]> {
        if t <= 0.0 {
            self.reset();
        }
        let now = |path: &Trajectory| match t > 0.0 {
            true => path.position(t),
            false => path.start(),
        };
        let to: Vec<[f32; 2]> = self.paths.iter().map(now).collect();
        let pose = match &self.led {
            Led::Thing { poses, .. } => Pose::at(poses, t),
            Led::Person(_) => Pose::default(),
        };
        self.led_to(&to, &pose)
    }

    /// Where its vertices are when the places where its paths begin are led to these instead, in fractions of the picture, neither
    /// turned nor scaled; `None` where it is moved as it is.
    pub fn lead(&mut self, to: &[[f32; 2]]) -> Option<Vec<[f32; 2]>> {
        let offsets = self.offsets(to);
        if let Led::Thing { size, .. } = &self.led {
            let [first, ..] = offsets[..] else {
                return None;
            };
            let apart = |by: &[f32; 2]| (by[0] - first[0]).abs() + (by[1] - first[1]).abs();
            let mut pixels = offsets.iter().map(|by| scaled(*by, *size));
            let left = |border: &Border| border.is_left_by(&mut pixels);
            if offsets.iter().all(|by| apart(by) < 1e-6) && !self.border.as_ref().is_some_and(left)
            {
                return None;
            }
        }
        Some(self.led_to(to, &Pose::default()))
    }

    /// How far it is from where its paths begin.
    fn offsets(&self, to: &[[f32; 2]]) -> Vec<[f32; 2]> {
        let starts = self.paths.iter().map(Trajectory::start);
        let by = |([x, y], to): ([f32; 2], &[f32; 2])| [to[0] - x, to[1] - y];
        starts.zip(to).map(by).collect()
    }

    fn led_to(&mut self, to: &[[f32; 2]], pose: &Pose) -> Vec<[f32; 2]> {
        let offsets = self.offsets(to);
        let mut vertices = match &mut self.led {
            Led::Thing { solver, size, .. } => {
                let targets = to.iter().map(|to| scaled(*to, *size));
                solver.step(&targets.collect::<Vec<_>>(), pose)
            }
            Led::Person(rig) => rig.led(&offsets),
        };
        if let Some(border) = &self.border {
            border.hold(self.mesh(), &mut vertices);
        }
        vertices
    }
}

fn scaled([x, y]: [f32; 2], [w, h]: [f32; 2]) -> [f32; 2] {
    [x * w, y * h]
}

/// Where trajectories begin, in pixels of a picture of this size.
fn rests(paths: &[Trajectory], size: [f32; 2]) -> Vec<[f32; 2]> {
    let starts = paths.iter().map(Trajectory::start);
    starts.map(|at| scaled(at, size)).collect()
}

/// At how many times of a trajectory is looked.
const LOOKS: usize = 65;

/// Whether trajectories go the same way at all times, so that offsets say everything.
fn together(paths: &[Trajectory]) -> bool {
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
