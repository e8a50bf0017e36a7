//! The mesh over a thing: square cells of a regular grid that touch its mask, each split into two triangles.
//!
//! Cells hang together only where the mask does. A cell in which two parts of the mask lie apart (two legs with a gap between
//! them) is there twice, each copy with vertices of its own, as in the virtual node algorithm (Molino, Bao and Fedkiw 2004);
//! which pixels are which copy's, [`Mesh::share`] says.

use crate::scene::Mask;
use std::collections::{HashMap, VecDeque};

/// Cells along the longer side of a thing and its margin, at least (unless its outline is too ragged for that) and at most.
const CELLS: [f32; 2] = [16.0, 48.0];
/// With fewer cells than that along it, what lies apart within a cell is one all the same: crumbs are not worth vertices.
const APART: f32 = 10.0;
/// Most steps of the way around the end of a gap.
const AROUND: usize = 24;
/// How many vertices a mesh is to have, about.
const WANTED: f32 = 260.0;
/// Most vertices of a mesh.
pub const MAX_VERTICES: usize = 500;
/// Samples of the mask along the side of a cell.
const SAMPLES: usize = 10;
/// How far a mesh goes on beyond a border that cuts the thing off, by the longer side of the thing.
const BEYOND: f32 = 0.4;
/// How much steeper a cut is than a mean of the samples around a place would make it, by the pixels that a sample is wide; at least and
/// at most.
const SHARP: f32 = 0.8;
const SHARPEST: [f32; 2] = [1.0, 3.0];
/// A sample that belongs to no cell.
const NONE: u32 = u32::MAX;

/// Triangles over a thing in a picture. Places are in pixels of the picture and may lie beyond its borders.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mesh {
    vertices: Vec<[f32; 2]>,
    triangles: Vec<[u32; 3]>,
    samples: Samples,
    /// Of each piece, whether it has its cell for itself.
    alone: Vec<bool>,
}

/// The samples of the mask, and whose they are.
#[derive(Clone, Debug, Default, PartialEq)]
struct Samples {
    /// Upper left corner of the first.
    origin: [f32; 2],
    /// Side of one.
    step: f32,
    width: usize,
    height: usize,
    /// The piece that each belongs to, or [`NONE`].
    piece: Vec<u32>,
}

impl Samples {
    fn centre(&self, at: usize) -> [f32; 2] {
        let (x, y) = (at % self.width, at / self.width);
        [
            self.origin[0] + (x as f32 + 0.5) * self.step,
            self.origin[1] + (y as f32 + 0.5) * self.step,
        ]
    }

    fn at(&self, [x, y]: [f32; 2]) -> Option<usize> {
        let (x, y) = (
            (x - self.origin[0]) / self.step,
            (y - self.origin[1]) / self.step,
        );
        let inside = x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32;
        inside.then(|| y as usize * self.width + x as usize)
    }
}

/// A place on a mesh: three vertices, and how much of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anchor {
    /// The vertices.
    pub vertices: [u32; 3],
    /// Their weights, which add up to 1.
    pub weights: [f32; 3],
    /// The place itself, which is the nearest on the mesh to what was asked for.
    pub place: [f32; 2],
}

impl Mesh {
    /// Over what is inside a mask, in a picture of `size` pixels, and `margin` pixels more all around. `None` when nothing is
    /// inside.
    pub fn over(mask: &Mask, size: [u32; 2], margin: f32) -> Option<Self> {
        Self::cut(mask, size, margin, |_, _| true)
    }

    /// As [`Mesh::over`], cut where `connected` says of two neighbouring places within the mask, in pixels of the picture, that
    /// they do not hang together: the edge of an arm that lies before the body.
    pub fn cut(
        mask: &Mask,
        size: [u32; 2],
        margin: f32,
        connected: impl Fn([f32; 2], [f32; 2]) -> bool,
    ) -> Option<Self> {
        let bounds = mask.bounding_box()?;
        let [w, h] = size.map(|side| side.max(1) as f32);
        let scale = [w / mask.width as f32, h / mask.height as f32];
        let [x0, x1] = [bounds.x0, bounds.x1].map(|x| x as f32 * scale[0]);
        let [y0, y1] = [bounds.y0, bounds.y1].map(|y| y as f32 * scale[1]);
        let longer = (x1 - x0).max(y1 - y0).max(1.0);
        let margin = if margin.is_finite() {
            margin.clamp(0.0, longer + 64.0)
        } else {
            0.0
        };
        let beyond = BEYOND * longer;
        let side = (mask.area() as f32 * scale[0] * scale[1]).sqrt() + 2.0 * margin;
        let long = longer + 2.0 * margin;
        let mut cell = (side / WANTED.sqrt()).clamp(long / CELLS[1], long / CELLS[0]);
        let pixel = (1.0 / scale[0], 1.0 / scale[1]);
        // Whether a place belongs to the thing; what the picture's border cuts off goes on beyond it.
        let inside = |[x, y]: [f32; 2]| {
            let near = x > -beyond && y > -beyond && x < w + beyond && y < h + beyond;
            let (x, y) = (x.clamp(0.0, w - 1e-3), y.clamp(0.0, h - 1e-3));
            let at = |v: f32, by: f32, side: u32| ((v * by) as u32).min(side - 1) as usize;
            let (x, y) = (at(x, pixel.0, mask.width), at(y, pixel.1, mask.height));
            near && mask
                .alpha
                .get(y * mask.width as usize + x)
                .is_some_and(|&a| a >= 128)
        };
        let cut_off = |cut: bool, side: f32, to: f32| if cut { to } else { side };
        let area = [
            cut_off(bounds.x0 == 0, x0, -beyond),
            cut_off(bounds.y0 == 0, y0, -beyond),
            cut_off(bounds.x1 == mask.width, x1, w + beyond),
            cut_off(bounds.y1 == mask.height, y1, h + beyond),
        ];
        loop {
            let grid = Grid::new(area, cell, margin);
            let mesh = grid.mesh(&inside, margin, &connected, cell < long / APART);
            if mesh.vertices.len() <= MAX_VERTICES {
                return Some(mesh);
            }
            // A ragged outline, or a long border.
            cell *= 1.15;
        }
    }

    /// The same mesh, whose cells lie over each other by what `front` says of places in them, in pixels of the picture: the higher
    /// number in front, equals as they are.
    pub fn layered(mut self, front: impl Fn([f32; 2]) -> usize) -> Self {
        let count = self.alone.len();
        let mut ranks = vec![usize::MAX; count];
        for (at, piece) in self.samples.piece.iter().enumerate() {
            if let Some(rank) = ranks.get_mut(*piece as usize) {
                *rank = front(self.samples.centre(at)).min(*rank);
            }
        }
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|piece| ranks[*piece]);
        let mut place = vec![0; count];
        for (to, from) in order.iter().enumerate() {
            place[*from] = to as u32;
        }
        for piece in self
            .samples
            .piece
            .iter_mut()
            .filter(|piece| **piece != NONE)
        {
            *piece = place[*piece as usize];
        }
        let triangles = |piece: &usize| [self.triangles[2 * piece], self.triangles[2 * piece + 1]];
        self.triangles = order.iter().flat_map(triangles).collect();
        self.alone = order.iter().map(|piece| self.alone[*piece]).collect();
        self
    }

    /// For each vertex a place at rest near it that is of its own part of the mask, where parts lie in one cell.
    pub fn own_places(&self) -> Vec<[f32; 2]> {
        let mut places = vec![([0.0; 2], f32::INFINITY); self.vertices.len()];
        let pieces = self.samples.piece.iter().enumerate();
        for (at, piece) in pieces.filter(|(_, piece)| **piece != NONE) {
            let triangles = &self.triangles[2 * *piece as usize..][..2];
            let place = self.samples.centre(at);
            for vertex in triangles.iter().flatten() {
                let [x, y] = self.vertices[*vertex as usize];
                let away = (place[0] - x).powi(2) + (place[1] - y).powi(2);
                let found = &mut places[*vertex as usize];
                if away < found.1 {
                    *found = (place, away);
                }
            }
        }
        places.into_iter().map(|(place, _)| place).collect()
    }

    /// Where its vertices are at rest.
    pub fn vertices(&self) -> &[[f32; 2]] {
        &self.vertices
    }

    /// Side of one of its cells, in pixels.
    pub fn cell(&self) -> f32 {
        SAMPLES as f32 * self.samples.step
    }

    /// Its triangles, by their vertices: the one at the right angle first, and around in the same sense. Two follow each other
    /// for each piece of a cell; later ones lie over earlier ones where the mesh overlaps itself.
    pub fn triangles(&self) -> &[[u32; 3]] {
        &self.triangles
    }

    /// How much of a place at rest within a triangle is that triangle's own; the rest is that of other parts of the mask in the same
    /// cell. Soft along a cut, about as wide as a pixel is, so that it does not show the samples' corners. 0..1
    pub fn share(&self, triangle: usize, [x, y]: [f32; 2]) -> f32 {
        let piece = triangle / 2;
        if self.alone[piece] {
            return 1.0;
        }
        // The samples of its cell: those of the next one are other pieces'.
        let corners = self.triangles[2 * piece..][..2].iter().flatten();
        let corners = corners.map(|v| self.vertices[*v as usize]);
        let corner = corners.reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1])]);
        let corner = corner.unwrap_or(self.samples.origin);
        let axis = |axis: usize, place: f32| {
            let first = (corner[axis] - self.samples.origin[axis]) / self.samples.step;
            let first = first.round().max(0.0) as usize;
            let at = (place - self.samples.origin[axis]) / self.samples.step - 0.5;
            let near = at.round();
            let off = at - near;
            // A quadratic B-spline.
            let weights = [
                0.5 * (0.5 - off).powi(2),
                0.75 - off * off,
                0.5 * (0.5 + off).powi(2),
            ];
            let (low, high) = (first as f32, (first + SAMPLES - 1) as f32);
            [-1.0, 0.0, 1.0]
                .map(|step| (near + step).clamp(low, high) as usize)
                .into_iter()
                .zip(weights)
        };
        let (mut own, mut all) = (0.0, 0.0);
        for (row, down) in axis(1, y) {
            for (column, across) in axis(0, x) {
                let found = self.samples.piece[row * self.samples.width + column];
                let weight = down * across;
                own += if found as usize == piece { weight } else { 0.0 };
                all += if found == NONE { 0.0 } else { weight };
            }
        }
        match all > 0.0 {
            true => {
                let sharp = (SHARP * self.samples.step).clamp(SHARPEST[0], SHARPEST[1]);
                ((own / all - 0.5) * sharp + 0.5).clamp(0.0, 1.0)
            }
            false => 0.0,
        }
    }

    /// Whether all that a triangle covers is its own.
    pub fn owns_all(&self, triangle: usize) -> bool {
        self.alone[triangle / 2]
    }

    /// The place on the mesh that is nearest to `place`.
    pub fn anchor(&self, place: [f32; 2]) -> Anchor {
        let samples = &self.samples;
        let away = |at: usize| {
            let [x, y] = samples.centre(at);
            (x - place[0]).powi(2) + (y - place[1]).powi(2)
        };
        let whose = |at: &usize| samples.piece[*at] != NONE;
        let (at, place) = match samples.at(place).filter(whose) {
            Some(at) => (at, place),
            None => {
                let all = (0..samples.piece.len()).filter(whose);
                let nearest = all.min_by(|&a, &b| away(a).total_cmp(&away(b)));
                let at = nearest.unwrap_or(0);
                (at, samples.centre(at))
            }
        };
        let piece = samples.piece[at] as usize;
        let of = |triangle: usize| {
            let vertices = self.triangles[triangle];
            let [a, b, c] = vertices.map(|v| self.vertices[v as usize]);
            let (u, v) = ([b[0] - a[0], b[1] - a[1]], [c[0] - a[0], c[1] - a[1]]);
            let p = [place[0] - a[0], place[1] - a[1]];
            let area = cross(u, v);
            let (second, third) = (cross(p, v) / area, cross(u, p) / area);
            (vertices, [1.0 - second - third, second, third])
        };
        let (first, second) = (of(2 * piece), of(2 * piece + 1));
        let least = |weights: [f32; 3]| weights.into_iter().fold(f32::INFINITY, f32::min);
        let (vertices, weights) = if least(first.1) >= least(second.1) {
            first
        } else {
            second
        };
        Anchor {
            vertices,
            weights,
            place,
        }
    }
}

/// The mesh over a mask in a picture of `size` pixels, with as much around it as a soft cut-out has, and what of the ground beside
/// it is not shown as it was once the thing moves; cut where `joined` says so, see [`Mesh::cut`]. `None` for an empty mask.
pub fn mesh_over(
    mask: &Mask,
    size: [u32; 2],
    joined: impl Fn([f32; 2], [f32; 2]) -> bool,
) -> Option<Mesh> {
    let doubt = size[0].max(size[1]) as f32 / 256.0 + 1.0;
    Mesh::cut(mask, size, 3.5 * doubt + 4.0, joined)
}

/// The third component of the cross product.
pub(super) fn cross(a: [f32; 2], b: [f32; 2]) -> f32 {
    a[0] * b[1] - a[1] * b[0]
}

/// A grid of samples, a whole number of cells.
struct Grid {
    origin: [f32; 2],
    step: f32,
    columns: usize,
    rows: usize,
}

impl Grid {
    /// Around an area (left, top, right, bottom) and a margin.
    fn new([x0, y0, x1, y1]: [f32; 4], cell: f32, margin: f32) -> Self {
        let cells = |from: f32, to: f32| ((to - from + 2.0 * margin) / cell).ceil().max(1.0);
        let (columns, rows) = (cells(x0, x1), cells(y0, y1));
        // In the middle of what it covers.
        let first = |from: f32, to: f32, cells: f32| (from + to - cells * cell) / 2.0;
        Self {
            origin: [first(x0, x1, columns), first(y0, y1, rows)],
            step: cell / SAMPLES as f32,
            columns: columns as usize,
            rows: rows as usize,
        }
    }

    fn mesh(
        &self,
        inside: &impl Fn([f32; 2]) -> bool,
        margin: f32,
        connected: &impl Fn([f32; 2], [f32; 2]) -> bool,
        apart: bool,
    ) -> Mesh {
        let (width, height) = (self.columns * SAMPLES, self.rows * SAMPLES);
        let mut samples = Samples {
            origin: self.origin,
            step: self.step,
            width,
            height,
            piece: vec![NONE; width * height],
        };
        let regions = Region::new(&samples, inside, margin, connected);
        let cell_of = |at: usize| (at / width / SAMPLES) * self.columns + at % width / SAMPLES;

        // The parts of the mask within each cell.
        let mut parts = Union::new(width * height);
        for (a, b) in regions.edges() {
            if cell_of(a) == cell_of(b) {
                parts.join(a, b);
            }
        }
        if !apart {
            let mut first = vec![usize::MAX; self.columns * self.rows];
            for at in (0..width * height).filter(|&at| regions.root[at] != usize::MAX) {
                let of_cell = &mut first[cell_of(at)];
                *of_cell = (*of_cell).min(at);
                parts.join(*of_cell, at);
            }
        }
        // Along the shorter side first, so that vertices that belong together have numbers near to each other.
        let tall = self.rows >= self.columns;
        let mut cells: Vec<(usize, usize)> = (0..self.rows)
            .flat_map(|y| (0..self.columns).map(move |x| (x, y)))
            .collect();
        cells.sort_by_key(|&(x, y)| if tall { (y, x) } else { (x, y) });
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        let mut alone = Vec::new();
        let mut numbers: HashMap<usize, u32> = HashMap::new();
        for (cx, cy) in cells {
            let first = pieces.len();
            for y in cy * SAMPLES..(cy + 1) * SAMPLES {
                for at in y * width + cx * SAMPLES..y * width + (cx + 1) * SAMPLES {
                    if regions.root[at] == usize::MAX {
                        continue;
                    }
                    let next = pieces.len() as u32;
                    let number = *numbers.entry(parts.find(at)).or_insert(next);
                    if number == next {
                        pieces.push((cx, cy));
                    }
                    samples.piece[at] = number;
                }
            }
            alone.resize(pieces.len(), pieces.len() == first + 1);
        }

        // Corners that neighbours share: upper left, upper right, lower left, lower right.
        let mut corners = Union::new(pieces.len() * 4);
        for (a, b) in regions.edges() {
            let (p, q) = (samples.piece[a] as usize * 4, samples.piece[b] as usize * 4);
            if cell_of(a) == cell_of(b) {
                continue;
            }
            let shared = if b == a + 1 {
                [(1, 0), (3, 2)]
            } else {
                [(2, 0), (3, 1)]
            };
            for (own, other) in shared {
                corners.join(p + own, q + other);
            }
        }
        let cell = self.step * SAMPLES as f32;
        let mut vertices = Vec::new();
        let mut numbers: HashMap<usize, u32> = HashMap::new();
        let mut triangles = Vec::with_capacity(pieces.len() * 2);
        for (piece, &(cx, cy)) in pieces.iter().enumerate() {
            let [a, b, c, d] = [0, 1, 2, 3].map(|corner| {
                *numbers
                    .entry(corners.find(piece * 4 + corner))
                    .or_insert_with(|| {
                        let (x, y) = (cx + corner % 2, cy + corner / 2);
                        vertices.push([
                            self.origin[0] + x as f32 * cell,
                            self.origin[1] + y as f32 * cell,
                        ]);
                        vertices.len() as u32 - 1
                    })
            });
            // Diagonals by turns, so that none of both directions is stiffer.
            triangles.extend(match (cx + cy) % 2 {
                0 => [[a, b, c], [d, c, b]],
                _ => [[b, d, a], [c, a, d]],
            });
        }
        Mesh {
            vertices,
            triangles,
            samples,
            alone,
        }
    }
}

/// The samples inside the mask and within the margin of it, and which neighbours hang together.
struct Region {
    width: usize,
    /// Of each sample the one inside the mask that it was grown from, itself if it is inside; `usize::MAX` for none.
    root: Vec<usize>,
    /// Whether each hangs together with the one to its right, and with the one below.
    right: Vec<bool>,
    below: Vec<bool>,
}

impl Region {
    fn new(
        samples: &Samples,
        inside: &impl Fn([f32; 2]) -> bool,
        margin: f32,
        connected: &impl Fn([f32; 2], [f32; 2]) -> bool,
    ) -> Self {
        let (width, height) = (samples.width, samples.height);
        let quarter = samples.step / 4.0;
        // What is thinner than a sample is not lost.
        let thing: Vec<bool> = (0..width * height)
            .map(|at| {
                let [x, y] = samples.centre(at);
                let around = [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)];
                around
                    .iter()
                    .any(|(dx, dy)| inside([x + dx * quarter, y + dy * quarter]))
            })
            .collect();
        let mut root = vec![usize::MAX; width * height];
        let mut todo = VecDeque::new();
        for at in (0..width * height).filter(|&at| thing[at]) {
            root[at] = at;
            todo.push_back(at);
        }
        // A sample more, for what lies between their centres.
        let reach = (margin / samples.step + 1.0).powi(2);
        let away = |a: usize, b: usize| {
            let (dx, dy) = (
                (a % width).abs_diff(b % width),
                (a / width).abs_diff(b / width),
            );
            (dx * dx + dy * dy) as f32
        };
        while let Some(at) = todo.pop_front() {
            for next in beside(at, width, height) {
                if root[next] == usize::MAX && away(next, root[at]) <= reach {
                    root[next] = root[at];
                    todo.push_back(next);
                }
            }
        }
        let mut near = Near {
            thing: &thing,
            width,
            height,
            seen: vec![0; width * height],
            turn: 0,
        };
        let joined = |a: usize, b: usize| connected(samples.centre(a), samples.centre(b));
        let mut hangs = |a: usize, b: usize| {
            if thing[a] && thing[b] {
                return joined(a, b);
            }
            let (a, b) = (root[a], root[b]);
            a != usize::MAX && b != usize::MAX && near.joined(a, b, &joined)
        };
        let all = 0..width * height;
        let right = all
            .clone()
            .map(|at| at % width + 1 < width && hangs(at, at + 1))
            .collect();
        let below = all
            .map(|at| at + width < width * height && hangs(at, at + width))
            .collect();
        Self {
            width,
            root,
            right,
            below,
        }
    }

    /// Pairs of neighbours that hang together.
    fn edges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.root.len()).flat_map(move |at| {
            let right = self.right[at].then_some((at, at + 1));
            let below = self.below[at].then_some((at, at + self.width));
            right.into_iter().chain(below)
        })
    }
}

/// The neighbours of a sample.
fn beside(at: usize, width: usize, height: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (at % width, at / width);
    let around = [
        (x > 0).then(|| at.wrapping_sub(1)),
        (x + 1 < width).then_some(at + 1),
        (y > 0).then(|| at.wrapping_sub(width)),
        (y + 1 < height).then_some(at + width),
    ];
    around.into_iter().flatten()
}

/// Finds out whether two samples of a thing hang together through others nearby.
struct Near<'a> {
    thing: &'a [bool],
    width: usize,
    height: usize,
    /// In which search each was seen last.
    seen: Vec<u32>,
    turn: u32,
}

impl Near<'_> {
    fn joined(
        &mut self,
        from: usize,
        to: usize,
        connected: &impl Fn(usize, usize) -> bool,
    ) -> bool {
        if from == to {
            return true;
        }
        // Across a gap the way around its end is longer than that, but for the end itself.
        let (dx, dy) = (
            (from % self.width).abs_diff(to % self.width),
            (from / self.width).abs_diff(to / self.width),
        );
        let limit = match dx + dy {
            1 => 4,
            far => (2 * far + 2).min(AROUND),
        };
        self.turn += 1;
        self.seen[from] = self.turn;
        let mut todo = vec![from];
        for _ in 0..limit {
            let mut further = Vec::new();
            for at in todo {
                for next in beside(at, self.width, self.height) {
                    if self.seen[next] == self.turn || !self.thing[next] || !connected(at, next) {
                        continue;
                    }
                    if next == to {
                        return true;
                    }
                    self.seen[next] = self.turn;
                    further.push(next);
                }
            }
            todo = further;
        }
        false
    }
}

/// Sets that are joined.
struct Union(Vec<usize>);

impl Union {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn find(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}
