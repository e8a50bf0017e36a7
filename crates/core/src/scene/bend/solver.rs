//! Where a mesh goes when places on it are led: as rigidly as possible.
//!
//! The energy is that of Sorkine and Alexa ("As-Rigid-As-Possible Surface Modeling", 2007) over spokes and rims (Chao et al.
//! 2010): every vertex has a rotation, and every triangle's edges are to be turned by those of its corners. It is made small by
//! turns, rotations for places and places for rotations; the second is one linear system, factorised once. Rotations of
//! neighbours are drawn together (Levi and Gotsman 2015), so that what a handle does spreads instead of tearing at its place.
//!
//! What comes out is checked, and where it does not hold what [`solve`](super::solve) promises it is blended towards the similarity
//! that takes the handles about where they go, which always does.

use super::mesh::{Anchor, Mesh};
use super::similarity::{Pair, Similarity};
use super::skyline::Skyline;
use crate::scene::Pose;
use std::sync::Arc;

/// How strongly handles hold, by the stiffness of an edge.
const HOLD: f64 = 300.0;
/// How strongly every vertex is drawn to where the similarity takes it: only what no handle holds feels it.
const DRAWN: f64 = 1e-4;
/// How much the rotations around a vertex count beside its own.
const SMOOTH: f64 = 1.0;
/// Most turns of the iteration.
const TURNS: usize = 40;
/// Vertices that move less than this, in pixels, have arrived.
const ARRIVED: f64 = 0.01;
/// Least and largest scale that handles can give a thing.
const SCALES: [f64; 2] = [0.1, 10.0];
/// Least and largest area of a triangle, by what it would have in the similarity.
const TRIANGLE: [f64; 2] = [0.12, 6.0];
/// Least and largest area of the whole, by the same.
const WHOLE: [f64; 2] = [0.75, 1.25];
/// How much less of the similarity there may be from one step to the next.
const BACK: f64 = 0.08;
/// How much further than the handles, by how far the mesh reaches beyond them, a vertex may go in a step; and how many pixels more.
const SUDDEN: [f64; 2] = [3.0, 2.0];
/// How fast, in radians a step, a thing turns whose handles went through one place.
const CATCH_UP: f64 = 0.06;
/// Offsets that differ by less than this, in pixels, are the same.
const SAME: f64 = 1e-3;

/// A mesh with handles on it; knows where it was, from which each step goes on.
#[derive(Clone, Debug)]
pub struct Solver {
    mesh: Arc<Mesh>,
    rest: Vec<[f64; 2]>,
    handles: Vec<[f64; 2]>,
    anchors: Vec<Anchor>,
    /// Of the handles' system; `None` where a similarity is all there is.
    factor: Option<Skyline>,
    state: State,
}

/// Where a vertex may be, in pixels, and the cosine and sine by which what is around it is turned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// Where.
    pub at: [f32; 2],
    /// How it is turned.
    pub turn: [f32; 2],
}

/// Where a solver was.
#[derive(Clone, Debug)]
struct State {
    shape: Vec<[f64; 2]>,
    similarity: Similarity,
    targets: Vec<[f64; 2]>,
    turned: Vec<[f64; 2]>,
    blend: f64,
}

fn wide([x, y]: [f32; 2]) -> [f64; 2] {
    [f64::from(x), f64::from(y)]
}

fn narrow(shape: &[[f64; 2]]) -> Vec<[f32; 2]> {
    shape.iter().map(|p| p.map(|v| v as f32)).collect()
}

fn less(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] - b[0], a[1] - b[1]]
}

fn cross(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[1] - a[1] * b[0]
}

/// The product of complex numbers.
fn times(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]
}

/// The longest way from a place to its pair.
fn farthest(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    let way = |(a, b): (&[f64; 2], &[f64; 2])| (a[0] - b[0]).hypot(a[1] - b[1]);
    a.iter().zip(b).map(way).fold(0.0, f64::max)
}

fn mean(places: &[[f64; 2]]) -> [f64; 2] {
    let sum = places
        .iter()
        .fold([0.0; 2], |s, p| [s[0] + p[0], s[1] + p[1]]);
    sum.map(|v| v / places.len().max(1) as f64)
}

fn unit([a, b]: [f64; 2]) -> [f64; 2] {
    let length = a.hypot(b);
    if length > 1e-12 {
        [a / length, b / length]
    } else {
        [1.0, 0.0]
    }
}

impl Solver {
    /// A mesh held at these places, in pixels of the picture. A place beside the mesh holds what of it is nearest; one that is not
    /// a number holds nothing.
    pub fn new(mesh: Arc<Mesh>, handles: &[[f32; 2]]) -> Self {
        let usable = |p: &&[f32; 2]| p.iter().all(|v| v.is_finite());
        let handles: Vec<[f32; 2]> = handles.iter().filter(usable).copied().collect();
        let anchors: Vec<Anchor> = handles.iter().map(|&p| mesh.anchor(p)).collect();
        let factor = (handles.len() > 2).then(|| factorised(&mesh, &anchors));
        let handles: Vec<[f64; 2]> = handles.into_iter().map(wide).collect();
        let rest: Vec<[f64; 2]> = mesh.vertices().iter().copied().map(wide).collect();
        let state = State::at_rest(&rest, &handles);
        Self {
            mesh,
            rest,
            handles,
            anchors,
            factor,
            state,
        }
    }

    /// The mesh.
    pub fn mesh(&self) -> &Arc<Mesh> {
        &self.mesh
    }

    /// The common scale that the handles gave it in the last step.
    pub fn scale(&self) -> f32 {
        self.state.similarity.scale as f32
    }

    /// Goes back to where the mesh is at rest.
    pub fn reset(&mut self) {
        self.state = State::at_rest(&self.rest, &self.handles);
    }

    /// Where the vertices are when each handle is at its target, in pixels of the picture. Without a second handle `pose` says how
    /// the thing is turned and scaled about the first; handles that say it themselves win. A target that is not a number is where
    /// the handle was.
    pub fn step(&mut self, targets: &[[f32; 2]], pose: &Pose) -> Vec<[f32; 2]> {
        let targets: Vec<[f64; 2]> = (0..self.handles.len())
            .map(|i| match targets.get(i) {
                Some(target) if target.iter().all(|v| v.is_finite()) => wide(*target),
                _ => self.state.targets[i],
            })
            .collect();
        let Some((&first, &to)) = self.handles.first().zip(targets.first()) else {
            return self.mesh.vertices().to_vec();
        };
        let fit = Similarity::fit(&self.pairs(&targets));
        let offset = less(to, first);
        let same = |(rest, target): (&[f64; 2], &[f64; 2])| {
            let own = less(*target, *rest);
            (own[0] - offset[0]).abs() < SAME && (own[1] - offset[1]).abs() < SAME
        };
        let shifted = self.handles.iter().zip(&targets).all(same);
        if shifted && (fit.is_some() || pose.is_still()) {
            let moved = |p: &[f64; 2]| [p[0] + offset[0], p[1] + offset[1]];
            let mut state = State::at_rest(&self.rest, &self.handles);
            state.shape = self.rest.iter().map(moved).collect();
            state.similarity.to = moved(&state.similarity.from);
            state.targets = targets;
            self.state = state;
            // From the places as they are, so that a mesh at rest is at rest to the last bit.
            let offset = offset.map(|v| if v.abs() < SAME { 0.0 } else { v as f32 });
            let vertices = self.mesh.vertices().iter();
            return vertices
                .map(|p| [p[0] + offset[0], p[1] + offset[1]])
                .collect();
        }
        let far = farthest(&self.state.targets, &targets);
        let similarity = match fit {
            None => Similarity {
                angle: f64::from(pose.rotation).to_radians(),
                scale: f64::from(pose.scale),
                from: first,
                to,
            },
            Some(fit) => {
                let count = self.handles.len() as f64;
                let radius = (fit.spread / count).sqrt();
                let most = (3.0 * far / radius).max(CATCH_UP);
                let before = self.state.similarity.angle;
                let around = std::f64::consts::TAU;
                let turn =
                    (fit.found.angle - before + 0.5 * around).rem_euclid(around) - 0.5 * around;
                // As much of the scale as explains what the handles do: a head that is drawn away from a body which is held
                // does not make the body larger.
                let explained = 1.0 - fit.left / fit.left_rigid.max(1e-9);
                let share = match self.factor {
                    None => 1.0,
                    Some(_) => explained.clamp(0.0, 1.0).powi(4),
                };
                Similarity {
                    angle: before + turn.clamp(-most, most),
                    scale: fit.found.scale.clamp(SCALES[0], SCALES[1]).powf(share),
                    ..fit.found
                }
            }
        };
        let rigid: Vec<[f64; 2]> = self.rest.iter().map(|&p| similarity.apply(p)).collect();
        let before = std::mem::replace(&mut self.state.similarity, similarity);
        self.state.targets = targets;
        match self.factor.take() {
            None => self.state.shape = rigid,
            Some(factor) => {
                let last = self.state.shape.clone();
                // The last shape, taken along.
                let along = Similarity {
                    angle: similarity.angle - before.angle,
                    scale: similarity.scale / before.scale,
                    from: before.to,
                    to: similarity.to,
                };
                for p in &mut self.state.shape {
                    *p = along.apply(*p);
                }
                let turn = unit(along.matrix());
                for rotation in &mut self.state.turned {
                    *rotation = times(*rotation, turn);
                }
                self.iterate(&factor, &rigid);
                self.keep_within(&rigid);
                let spread = fit.map_or(1.0, |fit| fit.spread / self.handles.len() as f64);
                self.keep_up(&last, far, spread.sqrt());
                self.factor = Some(factor);
            }
        }
        narrow(&self.state.shape)
    }

    /// Where the vertices are when each handle is at its target, beginning from a guess for each of them, to which what no handle holds
    /// is drawn. Nothing that was before counts, and areas of triangles are not looked at.
    pub fn step_from(&mut self, targets: &[[f32; 2]], guess: &[Guess]) -> Vec<[f32; 2]> {
        let usable = targets.len() == self.handles.len() && guess.len() == self.rest.len();
        self.reset();
        let Some(factor) = self.factor.take().filter(|_| usable) else {
            return guess.iter().map(|guess| guess.at).collect();
        };
        let rigid: Vec<[f64; 2]> = guess.iter().map(|guess| wide(guess.at)).collect();
        self.state.targets = targets.iter().copied().map(wide).collect();
        self.state.turned = guess.iter().map(|guess| unit(wide(guess.turn))).collect();
        self.state.shape = rigid.clone();
        self.iterate(&factor, &rigid);
        self.factor = Some(factor);
        narrow(&self.state.shape)
    }

    /// The handles as a similarity is to take them. What goes less far counts more: where handles cannot all be obeyed, a body that
    /// is held stays, and what is drawn away from it follows no further than it can.
    fn pairs(&self, targets: &[[f64; 2]]) -> Vec<Pair> {
        let far = |[a, b]: [f64; 2]| a.hypot(b);
        let middle = mean(&self.handles);
        let reach = self.handles.iter().map(|p| far(less(*p, middle)));
        let reach = reach.fold(1.0, f64::max);
        let pair = |(&rest, &target): (&[f64; 2], &[f64; 2])| Pair {
            rest,
            target,
            weight: (0.1 + far(less(target, rest)) / reach).powi(-2),
        };
        self.handles.iter().zip(targets).map(pair).collect()
    }

    /// Makes the energy small by turns, from the shape as it is.
    fn iterate(&mut self, factor: &Skyline, rigid: &[[f64; 2]]) {
        let similarity = self.state.similarity;
        let held: Vec<[f64; 2]> = self
            .anchors
            .iter()
            .zip(&self.handles)
            .zip(&self.state.targets)
            .map(|((anchor, handle), target)| {
                let beside = times(similarity.matrix(), less(wide(anchor.place), *handle));
                [target[0] + beside[0], target[1] + beside[1]]
            })
            .collect();
        let State { shape, turned, .. } = &mut self.state;
        let mut sums = vec![[0.0; 2]; shape.len()];
        let mut next = vec![[0.0; 2]; shape.len()];
        for _ in 0..TURNS {
            sums.fill([0.0; 2]);
            for corners in self.mesh.triangles() {
                let [i, j, k] = corners.map(|v| v as usize);
                let (e, f) = (
                    less(self.rest[j], self.rest[i]),
                    less(self.rest[k], self.rest[i]),
                );
                let (p, q) = (less(shape[j], shape[i]), less(shape[k], shape[i]));
                let turn = [
                    e[0] * p[0] + e[1] * p[1] + f[0] * q[0] + f[1] * q[1],
                    cross(e, p) + cross(f, q),
                ];
                let length = SMOOTH * similarity.scale * (e[0] * e[0] + e[1] * e[1]);
                let around = [i, j, k].map(|v| turned[v]);
                let around = around
                    .iter()
                    .fold([0.0; 2], |s, r| [s[0] + r[0], s[1] + r[1]]);
                for v in [i, j, k] {
                    sums[v][0] += turn[0] + length * (around[0] - turned[v][0]);
                    sums[v][1] += turn[1] + length * (around[1] - turned[v][1]);
                }
            }
            for (rotation, sum) in turned.iter_mut().zip(&sums) {
                *rotation = unit(*sum);
            }
            for (side, rigid) in next.iter_mut().zip(rigid) {
                *side = rigid.map(|v| DRAWN * v);
            }
            for corners in self.mesh.triangles() {
                let [i, j, k] = corners.map(|v| v as usize);
                let third = similarity.scale / 3.0;
                let turn = [0, 1].map(|c| (turned[i][c] + turned[j][c] + turned[k][c]) * third);
                for v in [j, k] {
                    let [x, y] = times(turn, less(self.rest[v], self.rest[i]));
                    next[v] = [next[v][0] + x, next[v][1] + y];
                    next[i] = [next[i][0] - x, next[i][1] - y];
                }
            }
            for (anchor, held) in self.anchors.iter().zip(&held) {
                for (vertex, weight) in anchor.vertices.into_iter().zip(anchor.weights) {
                    let side = &mut next[vertex as usize];
                    side[0] += HOLD * f64::from(weight) * held[0];
                    side[1] += HOLD * f64::from(weight) * held[1];
                }
            }
            factor.solve(&mut next);
            let step =
                |(a, b): (&[f64; 2], &[f64; 2])| (a[0] - b[0]).abs().max((a[1] - b[1]).abs());
            let far = shape.iter().zip(&next).map(step).fold(0.0, f64::max);
            std::mem::swap(shape, &mut next);
            if far < ARRIVED {
                break;
            }
        }
    }

    /// Blends the shape towards the similarity as far as it has to be, and no faster back than [`BACK`].
    fn keep_within(&mut self, rigid: &[[f64; 2]]) {
        let shape = std::mem::take(&mut self.state.shape);
        let blended = |share: f64| -> Vec<[f64; 2]> {
            let mix = |(a, b): (&[f64; 2], &[f64; 2])| [0, 1].map(|c| a[c] + (b[c] - a[c]) * share);
            shape.iter().zip(rigid).map(mix).collect()
        };
        let mut share = (self.state.blend - BACK).max(0.0);
        let mut found = blended(share);
        if !self.holds(&found) {
            const STEPS: i32 = 16;
            let step = (1.0 - share) / f64::from(STEPS);
            let mut low = share;
            share = 1.0;
            for _ in 1..STEPS {
                let high = low + step;
                if self.holds(&blended(high)) {
                    share = high;
                    break;
                }
                low = high;
            }
            // As little of it as is enough.
            for _ in 0..8 {
                let middle = 0.5 * (low + share);
                if self.holds(&blended(middle)) {
                    share = middle;
                } else {
                    low = middle;
                }
            }
            found = blended(share);
        }
        self.state.blend = share;
        self.state.shape = found;
    }

    /// Goes on from the last shape no more suddenly than handles that went `far` explain, whose distance from their middle is
    /// `spread`: where they contradict each other, one shape may follow another that is far from it.
    fn keep_up(&mut self, last: &[[f64; 2]], far: f64, spread: f64) {
        let middle = mean(&self.handles);
        let reach = self
            .rest
            .iter()
            .map(|p| (p[0] - middle[0]).hypot(p[1] - middle[1]));
        let lever = (reach.fold(0.0, f64::max) / spread.max(1.0)).max(1.0);
        let most = SUDDEN[0] * lever * far + SUDDEN[1];
        let sudden = farthest(last, &self.state.shape);
        if sudden <= most {
            return;
        }
        let mut share = most / sudden;
        for _ in 0..8 {
            let mix = |(a, b): (&[f64; 2], &[f64; 2])| [0, 1].map(|c| a[c] + (b[c] - a[c]) * share);
            let between: Vec<[f64; 2]> = last.iter().zip(&self.state.shape).map(mix).collect();
            if self.holds(&between) {
                self.state.shape = between;
                return;
            }
            share *= 0.5;
        }
    }

    /// Whether a shape keeps the bounds, by the similarity's scale.
    fn holds(&self, shape: &[[f64; 2]]) -> bool {
        let scale = self.state.similarity.scale.powi(2);
        let (mut whole, mut wanted) = (0.0, 0.0);
        for corners in self.mesh.triangles() {
            let area = |places: &[[f64; 2]]| {
                let [a, b, c] = corners.map(|v| places[v as usize]);
                cross(less(b, a), less(c, a))
            };
            let (now, rest) = (area(shape), area(&self.rest) * scale);
            // Also where it is not a number.
            if !(TRIANGLE[0] * rest..=TRIANGLE[1] * rest).contains(&now) {
                return false;
            }
            whole += now;
            wanted += rest;
        }
        (WHOLE[0] * wanted..=WHOLE[1] * wanted).contains(&whole)
    }
}

impl State {
    fn at_rest(rest: &[[f64; 2]], handles: &[[f64; 2]]) -> Self {
        let middle = mean(handles);
        Self {
            shape: rest.to_vec(),
            similarity: Similarity {
                angle: 0.0,
                scale: 1.0,
                from: middle,
                to: middle,
            },
            targets: handles.to_vec(),
            turned: vec![[1.0, 0.0]; rest.len()],
            blend: 0.0,
        }
    }
}

/// The system that gives places for rotations, factorised.
fn factorised(mesh: &Mesh, anchors: &[Anchor]) -> Skyline {
    let pairs =
        |[a, b, c]: [u32; 3]| [(a, b), (b, c), (c, a)].map(|(a, b)| (a as usize, b as usize));
    let coupled = mesh.triangles().iter().copied().flat_map(pairs);
    let mut matrix = Skyline::new(mesh.vertices().len(), coupled);
    for v in 0..mesh.vertices().len() {
        matrix.add(v, v, DRAWN);
    }
    // Cotangents: one for the legs, none across from the right angle.
    for corners in mesh.triangles() {
        let [i, j, k] = corners.map(|v| v as usize);
        for v in [j, k] {
            matrix.add(v, v, 1.0);
            matrix.add(i, i, 1.0);
            matrix.add(i, v, -1.0);
        }
    }
    for anchor in anchors {
        let of = |k: usize| (anchor.vertices[k] as usize, f64::from(anchor.weights[k]));
        for (a, b) in [(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0)] {
            let ((a, weight), (b, other)) = (of(a), of(b));
            matrix.add(a, b, HOLD * weight * other);
        }
    }
    matrix.factorise();
    matrix
}
