//! Where a thing is in one frame, and where its shadow is.

use dragentity_core::scene::bend::{Mesh, Motion, Pair, Similarity};

/// Offsets that differ by less than this, in pixels, are the same.
const SAME: f32 = 1e-3;
/// Vertices this far around a shadow, by its longer side, say where it goes.
const NEAR: f32 = 0.25;

/// Where a thing is in a frame.
#[derive(Clone, Copy)]
pub enum At<'a> {
    /// Moved as it is, by so many pixels.
    Shift([f32; 2]),
    /// Bent: the mesh, and where its vertices are.
    Bent(&'a Mesh, &'a [[f32; 2]]),
}

impl<'a> At<'a> {
    /// In a frame of a motion. What is missing or not a number is at rest.
    pub fn of(motion: &'a Motion, frame: usize) -> Self {
        match motion {
            Motion::Shift(offsets) => Self::Shift(offset(offsets, frame)),
            Motion::Mesh { mesh, frames } => {
                let fits = |v: &&Vec<[f32; 2]>| {
                    v.len() == mesh.vertices().len() && v.iter().flatten().all(|v| v.is_finite())
                };
                let Some(vertices) = frames.get(frame).filter(fits) else {
                    return Self::Shift([0.0; 2]);
                };
                // A mesh that is only moved is pixels that are only moved.
                let mut offsets = mesh.vertices().iter().zip(vertices).map(less);
                let first = offsets.next().unwrap_or_default();
                let same = |o: [f32; 2]| [0, 1].iter().all(|&c| (o[c] - first[c]).abs() < SAME);
                match offsets.all(same) {
                    true => Self::Shift(first),
                    false => Self::Bent(mesh, vertices),
                }
            }
        }
    }

    /// Whether it is where it was in the picture.
    pub fn is_still(&self) -> bool {
        matches!(self, Self::Shift(offset) if offset.iter().all(|o| o.abs() < SAME))
    }
}

fn less((a, b): (&[f32; 2], &[f32; 2])) -> [f32; 2] {
    [b[0] - a[0], b[1] - a[1]]
}

/// The offset in a frame; what is missing or not a number is none.
pub fn offset(offsets: &[[f32; 2]], frame: usize) -> [f32; 2] {
    match offsets.get(frame) {
        Some(offset) if offset.iter().all(|o| o.is_finite()) => *offset,
        _ => [0.0; 2],
    }
}

/// All offsets of a motion: of the thing, or of every vertex in every frame.
pub fn offsets(motion: &Motion) -> Vec<[f32; 2]> {
    match motion {
        Motion::Shift(offsets) => offsets.clone(),
        Motion::Mesh { mesh, frames } => {
            let moved =
                |at: &Vec<[f32; 2]>| mesh.vertices().iter().zip(at).map(less).collect::<Vec<_>>();
            frames.iter().flat_map(moved).collect()
        }
    }
}

/// Moved and scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// What is scaled about.
    from: [f32; 2],
    /// Where that goes.
    to: [f32; 2],
    /// Above 0.
    scale: f32,
}

impl Place {
    /// That of a shadow, within `bounds` (left, top, right, bottom), of a thing that is bent.
    ///
    /// It goes with what of the thing is near it and is scaled as that is, but does not turn: the ground does not. The
    /// more the thing turns there, the more the shadow goes with the whole of it instead, whose feet are elsewhere by then.
    pub fn of_shadow(bounds: [f32; 4], mesh: &Mesh, vertices: &[[f32; 2]]) -> Self {
        let [x0, y0, x1, y1] = bounds;
        let around = NEAR * (x1 - x0).max(y1 - y0);
        let near = |p: &[f32; 2]| {
            p[0] > x0 - around && p[0] < x1 + around && p[1] > y0 - around && p[1] < y1 + around
        };
        let of = |chosen: &dyn Fn(&[f32; 2]) -> bool| {
            let pairs = mesh.vertices().iter().zip(vertices);
            let pairs = pairs.filter(|(rest, _)| chosen(rest));
            let pair = |(rest, target): (&[f32; 2], &[f32; 2])| Pair {
                rest: rest.map(f64::from),
                target: target.map(f64::from),
                weight: 1.0,
            };
            let pairs: Vec<Pair> = pairs.map(pair).collect();
            Similarity::fit(&pairs).map(|fit| fit.found)
        };
        let middle = [(x0 + x1) / 2.0, (y0 + y1) / 2.0];
        let Some(whole) = of(&|_| true) else {
            return Self {
                from: middle,
                to: middle,
                scale: 1.0,
            };
        };
        let own = of(&near).unwrap_or(whole);
        let share = own.angle.cos().max(0.0).powi(2);
        // The middles of both go where they go, without the turn.
        let gone = |similarity: &Similarity| {
            let [x, y] = [0, 1].map(|c| f64::from(middle[c]) - similarity.from[c]);
            [
                similarity.to[0] + similarity.scale * x,
                similarity.to[1] + similarity.scale * y,
            ]
        };
        let (near, far) = (gone(&own), gone(&whole));
        let to = [0, 1].map(|c| (share * near[c] + (1.0 - share) * far[c]) as f32);
        Self {
            from: middle,
            to,
            scale: own.scale as f32,
        }
    }

    /// Where a place goes.
    pub fn apply(&self, p: [f32; 2]) -> [f32; 2] {
        [0, 1].map(|c| self.to[c] + (p[c] - self.from[c]) * self.scale)
    }

    /// Where a place comes from.
    pub fn undo(&self, p: [f32; 2]) -> [f32; 2] {
        [0, 1].map(|c| self.from[c] + (p[c] - self.to[c]) / self.scale)
    }

    /// The offset, where nothing is scaled; `None` where something is.
    pub fn shift(&self) -> Option<[f32; 2]> {
        let still = (self.scale - 1.0).abs() < 1e-4;
        still.then(|| [self.to[0] - self.from[0], self.to[1] - self.from[1]])
    }
}
