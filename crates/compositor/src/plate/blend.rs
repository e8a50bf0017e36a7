//! Seams closed: copied pixels keep their differences to their neighbours, and take the colours of the rim.

/// How much a pixel holds on to the colour it was copied with, beside four neighbours: weak, so that a wrong tint goes within
/// some 30 pixels of the rim, while a rim that has a tint of its own does not reach everywhere.
const HOLD: f32 = 1e-3;
/// How far that lets a tint get, in pixels, until nothing of it is left.
const REACH: f32 = 100.0;
/// Up to which squared difference of two colours it is taken for a difference of tint, which is to go.
const TINT: f32 = 3.0 * 16.0 * 16.0;
/// No neighbour: beyond the picture, or not to be matched.
const NOTHING: u32 = u32::MAX;

/// The colours of unknown pixels, for a picture of `width` with three values a pixel.
///
/// `copied` tells for an unknown pixel where it comes from, `known` of the others whether their colour is to be matched. Without
/// `copied` the colours of the rim are continued as smoothly as can be.
pub(super) struct Blend<'a> {
    pub width: usize,
    pub height: usize,
    pub rgb: &'a [u8],
    pub unknown: &'a [bool],
    pub known: &'a [bool],
    /// Index of the pixel that each unknown one is a copy of; anything elsewhere.
    pub copied: Option<&'a [u32]>,
}

/// One unknown pixel among its neighbours.
struct Node {
    at: u32,
    /// Left, right, above, below: index into the nodes, or, from `len` on, of a known pixel.
    neighbours: [u32; 4],
    weights: [f32; 4],
    /// What it would be if the neighbours were nought.
    target: [f32; 3],
    /// All weights.
    sum: f32,
}

impl Node {
    fn add(&mut self, weight: f32, colour: [f32; 3]) {
        for (target, value) in self.target.iter_mut().zip(colour) {
            *target += weight * value;
        }
    }
}

impl Blend<'_> {
    fn colour(&self, at: usize) -> [f32; 3] {
        [0, 1, 2].map(|c| f32::from(self.rgb[at * 3 + c]))
    }

    /// The colour of the pixel beside the one that `at` was copied from, if it is known.
    fn beside(&self, from: usize, dx: i32, dy: i32) -> Option<[f32; 3]> {
        let x = (from % self.width) as i32 + dx;
        let y = (from / self.width) as i32 + dy;
        if x < 0 || y < 0 || x >= self.width as i32 || y >= self.height as i32 {
            return None;
        }
        let at = y as usize * self.width + x as usize;
        (!self.unknown[at]).then(|| self.colour(at))
    }

    /// The pixels made, in the order of [`Self::unknown`].
    pub(super) fn solve(&self) -> Vec<[u8; 3]> {
        let area = self.width * self.height;
        let mut index = vec![NOTHING; area];
        let mut places = Vec::new();
        for (at, index) in index.iter_mut().enumerate() {
            if self.unknown[at] {
                *index = places.len() as u32;
                places.push(at as u32);
            }
        }
        let plain = self.mean();
        let mut nodes = Vec::with_capacity(places.len());
        let mut values = Vec::with_capacity(places.len());
        for &at in &places {
            let node = self.node(at as usize, &index);
            values.push(
                self.copied
                    .map_or(plain, |copied| self.colour(copied[at as usize] as usize)),
            );
            nodes.push(node);
        }
        // Across a hole of this width colours have to travel, or as far as the copies let them.
        let across = (nodes.len() as f32).sqrt().max(2.0);
        let across = if self.copied.is_some() {
            across.min(REACH)
        } else {
            across
        };
        relax(&nodes, &mut values, self.width, across);
        values
            .into_iter()
            .map(|value| value.map(|v| v.round().clamp(0.0, 255.0) as u8))
            .collect()
    }

    /// The mean of the colours that are to be matched.
    fn mean(&self) -> [f32; 3] {
        let mut sum = [0.0_f64; 3];
        let mut count = 0.0_f64;
        for at in (0..self.unknown.len()).filter(|&at| self.known[at] && !self.unknown[at]) {
            count += 1.0;
            for (sum, value) in sum.iter_mut().zip(self.colour(at)) {
                *sum += f64::from(value);
            }
        }
        sum.map(|sum| (sum / count.max(1.0)) as f32)
    }

    fn node(&self, at: usize, index: &[u32]) -> Node {
        let (x, y) = ((at % self.width) as i32, (at / self.width) as i32);
        let mut node = Node {
            at: at as u32,
            neighbours: [NOTHING; 4],
            weights: [0.0; 4],
            target: [0.0; 3],
            sum: 0.0,
        };
        if let Some(copied) = self.copied {
            let own = self.colour(copied[at] as usize);
            node.sum += HOLD;
            node.add(HOLD, own);
        }
        for (slot, (dx, dy)) in [(-1, 0), (1, 0), (0, -1), (0, 1)].into_iter().enumerate() {
            let (nx, ny) = (x + dx, y + dy);
            if nx < 0 || ny < 0 || nx >= self.width as i32 || ny >= self.height as i32 {
                continue;
            }
            let next = ny as usize * self.width + nx as usize;
            if !self.unknown[next] && !self.known[next] {
                continue;
            }
            let (step, weight) = self.step(at, next, dx, dy);
            node.sum += weight;
            node.add(-weight, step);
            if self.unknown[next] {
                node.neighbours[slot] = index[next];
                node.weights[slot] = weight;
            } else {
                let colour = self.colour(next);
                node.add(weight, colour);
            }
        }
        node
    }

    /// By how much the next pixel is to be brighter, and how sure that is.
    fn step(&self, at: usize, next: usize, dx: i32, dy: i32) -> ([f32; 3], f32) {
        let Some(copied) = self.copied else {
            return ([0.0; 3], 1.0);
        };
        let from = copied[at] as usize;
        let own = self.colour(from);
        let theirs = if self.unknown[next] {
            self.colour(copied[next] as usize)
        } else {
            self.colour(next)
        };
        // The same step as either side's copy has it, and by how much they differ in tint.
        let here = self
            .beside(from, dx, dy)
            .map(|beside| (difference(beside, own), difference(beside, theirs)));
        let there = if self.unknown[next] {
            let beside = self.beside(copied[next] as usize, -dx, -dy);
            beside.map(|beside| (difference(theirs, beside), difference(beside, own)))
        } else {
            None
        };
        let apart = |tint: [f32; 3]| tint.iter().map(|t| t * t).sum::<f32>();
        // Where the two sides have little to do with each other there is an edge, or a shadow that was left: no tint.
        let sure = |apart: f32| 1.0 / (1.0 + (apart / TINT).powi(2));
        match (here, there) {
            (Some((a, x)), Some((b, y))) => {
                let weight = sure(apart(x).max(apart(y)));
                ([0, 1, 2].map(|c| (a[c] + b[c]) / 2.0), weight)
            }
            (Some((step, tint)), None) | (None, Some((step, tint))) => (step, sure(apart(tint))),
            (None, None) => ([0.0; 3], 0.1),
        }
    }
}

fn difference(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [0, 1, 2].map(|c| a[c] - b[c])
}

/// Successive over-relaxation, the pixels of one colour of a chequerboard at a time, until colours have come `across` pixels.
fn relax(nodes: &[Node], values: &mut [[f32; 3]], width: usize, across: f32) {
    let over = 2.0 / (1.0 + (std::f32::consts::PI / across).sin());
    let rounds = (2.0 * across) as usize + 40;
    for _ in 0..rounds {
        let mut most = 0.0_f32;
        for colour in 0..2 {
            for (index, node) in nodes.iter().enumerate() {
                let (x, y) = (node.at as usize % width, node.at as usize / width);
                if (x + y) % 2 != colour || node.sum <= 0.0 {
                    continue;
                }
                let mut wanted = node.target;
                for (&neighbour, &weight) in node.neighbours.iter().zip(&node.weights) {
                    if neighbour != NOTHING {
                        let theirs = values[neighbour as usize];
                        for c in 0..3 {
                            wanted[c] += weight * theirs[c];
                        }
                    }
                }
                for c in 0..3 {
                    let change = over * (wanted[c] / node.sum - values[index][c]);
                    most = most.max(change.abs());
                    values[index][c] += change;
                }
            }
        }
        if most < 0.02 {
            break;
        }
    }
}
