//! Where the corners of everything are that is drawn in one moment.

use super::drawing::CORNER;
use super::images::{Cut, Image, Shown};
use super::{Part, Seen};
use dragentity_compositor::place::Place;
use dragentity_core::scene::ground::Ground;
use std::ops::Range;

/// Pixels of an image beside what is seen of it that are drawn, too: taps look that far, and edges are soft.
const BESIDE: f32 = 3.0;

/// Corners of triangles, in the order in which they are drawn.
pub struct Corners {
    /// All of them.
    pub numbers: Vec<f32>,
    scale: [f32; 2],
    size: [f32; 2],
    transform: [f32; 6],
}

/// Which of them are drawn how.
pub enum Drawn {
    /// The plate.
    Plate(Range<u32>),
    /// A layer's shadow.
    Shade(usize, Range<u32>),
    /// A layer moved as it is.
    Thing(usize, Range<u32>),
    /// A layer through its mesh, and the part of the canvas that it is in: left, top, width and height.
    Bent(usize, Range<u32>, [u32; 4]),
}

impl Corners {
    /// Of parts, back to front. Layers that are bent must have their cut.
    pub fn of(shown: &Shown, seen: &Seen, parts: &[Part]) -> (Self, Vec<Drawn>) {
        let size = seen.canvas.map(|side| side.max(1) as f32);
        let mut corners = Self {
            numbers: Vec::new(),
            scale: [0, 1].map(|c| size[c] / shown.plate.size[c]),
            size,
            transform: seen.transform,
        };
        let mut drawn = Vec::new();
        for part in parts {
            match part {
                Part::Plate { by, ground } => {
                    drawn.push(Drawn::Plate(corners.plate(&shown.plate, *by, *ground)));
                }
                Part::Moved { layer, by } => {
                    let Some(own) = shown.layers.get(*layer) else {
                        continue;
                    };
                    let by = [0, 1].map(|c| by[c] * shown.plate.size[c]);
                    let moved = |p: [f32; 2]| [p[0] + by[0], p[1] + by[1]];
                    if let Some(shade) = &own.shade {
                        drawn.push(Drawn::Shade(*layer, corners.image(shade, moved)));
                    }
                    drawn.push(Drawn::Thing(*layer, corners.image(&own.thing, moved)));
                }
                Part::Bent {
                    layer,
                    mesh,
                    vertices,
                } => {
                    let Some((own, cut)) = shown
                        .layers
                        .get(*layer)
                        .and_then(|own| Some((own, own.cut.as_ref()?)))
                    else {
                        continue;
                    };
                    if let Some(shade) = &own.shade {
                        let ([x, y], [w, h]) = (shade.origin, shade.size);
                        let place = Place::of_shadow([x, y, x + w, y + h], mesh, vertices);
                        let range = corners.image(shade, |p| place.apply(p));
                        drawn.push(Drawn::Shade(*layer, range));
                    }
                    if let Some((range, within)) = corners.bent(cut, vertices) {
                        drawn.push(Drawn::Bent(*layer, range, within));
                    }
                }
            }
        }
        (corners, drawn)
    }

    /// A place of the plate, in its pixels, on the canvas.
    fn on_canvas(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (x, y) = (x * self.scale[0], y * self.scale[1]);
        let [a, b, c, d, e, f] = self.transform;
        [a * x + c * y + e, b * x + d * y + f]
    }

    fn add(&mut self, [x, y]: [f32; 2], at: [f32; 2], share: [f32; 2]) {
        let clip = [2.0 * x / self.size[0] - 1.0, 1.0 - 2.0 * y / self.size[1]];
        self.numbers.extend([clip, at, share].as_flattened());
    }

    fn count(&self) -> u32 {
        (self.numbers.len() / CORNER) as u32
    }

    /// Rows of an image: each from one side to the other, where its ends go by `to`; in pixels of the plate.
    fn rows(
        &mut self,
        image: &Image,
        [left, right]: [f32; 2],
        rows: &[f32],
        to: impl Fn([f32; 2]) -> [f32; 2],
    ) -> Range<u32> {
        let from = self.count();
        for pair in rows.windows(2) {
            let [a, b, c, d] = [
                [left, pair[0]],
                [right, pair[0]],
                [left, pair[1]],
                [right, pair[1]],
            ];
            for p in [a, b, c, c, b, d] {
                let at = [0, 1].map(|c| p[c] - image.origin[c] + image.before);
                // In the middle of what is all one's own.
                let place = self.on_canvas(to(p));
                self.add(place, at, [0.5; 2]);
            }
        }
        from..self.count()
    }

    /// How many pixels of the plate beside an image are drawn: more where it is seen smaller than it is.
    fn beside(&self, to: impl Fn([f32; 2]) -> [f32; 2]) -> f32 {
        let [o, x, y] = [[0.0; 2], [1.0, 0.0], [0.0, 1.0]].map(|p| self.on_canvas(to(p)));
        let least = (x[0] - o[0])
            .hypot(x[1] - o[1])
            .min((y[0] - o[0]).hypot(y[1] - o[1]));
        BESIDE.max(1.5 / least.max(0.01))
    }

    fn image(&mut self, image: &Image, to: impl Fn([f32; 2]) -> [f32; 2]) -> Range<u32> {
        let beside = self.beside(&to);
        let ([x, y], [w, h]) = (image.origin, image.size);
        let rows = [y - beside, y + h + beside];
        self.rows(image, [x - beside, x + w + beside], &rows, to)
    }

    /// The plate: above the horizon all goes as one, below it rows go as they are near.
    fn plate(&mut self, image: &Image, by: [f32; 2], ground: Option<Ground>) -> Range<u32> {
        let [w, h] = image.size;
        let by = ground.map_or(by, |ground| ground.led(by));
        let to = |[x, y]: [f32; 2]| {
            let share = ground.map_or(1.0, |ground| ground.share(y / h));
            [x + share * by[0] * w, y + share * by[1] * h]
        };
        let beside = self.beside(|[x, y]| [x + by[0] * w, y + by[1] * h]);
        let mut rows = vec![-beside, h + beside];
        let horizon = ground.map(|ground| ground.horizon() * h);
        if let Some(horizon) = horizon.filter(|row| *row > rows[0] && *row < rows[1]) {
            rows.insert(1, horizon);
        }
        self.rows(image, [-beside, w + beside], &rows, to)
    }

    /// The triangles of a mesh, and the part of the canvas that they are in; `None` where that is none of it.
    fn bent(&mut self, cut: &Cut, vertices: &[[f32; 2]]) -> Option<(Range<u32>, [u32; 4])> {
        let from = self.count();
        let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        let placed: Vec<[f32; 2]> = vertices.iter().map(|p| self.on_canvas(*p)).collect();
        for p in &placed {
            low = [0, 1].map(|c| low[c].min(p[c]));
            high = [0, 1].map(|c| high[c].max(p[c]));
        }
        let first = [0, 1].map(|c| low[c].floor().clamp(0.0, self.size[c]) as u32);
        let last = [0, 1].map(|c| high[c].ceil().clamp(0.0, self.size[c]) as u32);
        if first[0] >= last[0] || first[1] >= last[1] {
            return None;
        }
        for (vertex, at, share) in &cut.corners {
            let place = placed.get(*vertex as usize).copied().unwrap_or_default();
            self.add(place, *at, *share);
        }
        let within = [first[0], first[1], last[0] - first[0], last[1] - first[1]];
        Some((from..self.count(), within))
    }
}
