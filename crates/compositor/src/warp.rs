//! Pixels under a mesh, drawn where the mesh has gone.
//!
//! Each triangle is drawn once, by its rows, and every pixel whose centre it has is looked up where it was at rest: by
//! Catmull-Rom's cubic as things that are only moved, by a mean of several looks where the mesh shrinks. Rows begin and end
//! where the common edge says, computed alike for both triangles, so that neighbours leave no pixel out and share none.

use super::cutout::Sprite;
use super::source::Source;
use dragentity_core::scene::bend::Mesh;

/// How pixels are looked up between others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// As sharp as they are: what is kept.
    Cubic,
    /// Quickly: what is shown while something is dragged.
    Linear,
}

/// Most looks for a pixel, along a side.
const LOOKS: f32 = 20.0;
/// What shrinks less than this is not looked up more than once.
const SHRUNK: f32 = 1.25;
/// A triangle whose corners have moved less than the first, in pixels, still shows what was there; one in which they have moved
/// more than the second shows nothing of that.
const STILL: [f32; 2] = [0.3, 1.2];
/// Alpha below this is nothing.
const NOTHING: f32 = 1.0 / 512.0;

/// What was drawn of a mesh, within a frame.
pub struct Warped {
    /// Where its first column is in the frame.
    pub x: usize,
    /// Where its first row is.
    pub y: usize,
    /// Number of columns.
    pub width: usize,
    /// Premultiplied pixels, row by row.
    pub pixels: Vec<[f32; 4]>,
    /// How much of each pixel has stayed what it was at rest, 0..1: nothing of it has moved and nothing lies over it.
    pub still: Vec<f32>,
}

/// A mesh, and where its vertices are.
#[derive(Clone, Copy)]
pub struct Bent<'a> {
    /// At rest.
    pub mesh: &'a Mesh,
    /// Where its vertices are; as many as it has.
    pub vertices: &'a [[f32; 2]],
}

/// Draws the pixels under a mesh where its vertices are, in a frame of this size; `None` where nothing of it is in the frame.
pub fn warp(source: Source, bent: Bent, size: [usize; 2], sampling: Sampling) -> Option<Warped> {
    let mut warped = Warped::within(bent, size)?;
    for (triangle, corners) in bent.mesh.triangles().iter().enumerate() {
        warped.draw(
            source,
            bent,
            triangle,
            corners.map(|v| v as usize),
            sampling,
        );
    }
    Some(warped)
}

/// A sprite's pixels, ready to be drawn again and again under the same mesh.
pub struct Bendable {
    x: i64,
    y: i64,
    width: usize,
    pixels: Vec<[f32; 4]>,
    scale: f32,
}

impl Bendable {
    /// Of a sprite, for frames of which so many pixels are one of the picture, along a side: no finer than they show.
    pub fn new(sprite: &Sprite, scale: f32) -> Self {
        let premultiplied = |p: &[u8]| {
            let alpha = f32::from(p[3]) / 255.0;
            let colour = [p[0], p[1], p[2]].map(|c| f32::from(c) * alpha);
            [colour[0], colour[1], colour[2], alpha]
        };
        let (width, height) = (sprite.width as usize, sprite.height as usize);
        let whole = Self {
            x: i64::from(sprite.x),
            y: i64::from(sprite.y),
            width,
            pixels: sprite.rgba.chunks_exact(4).map(premultiplied).collect(),
            scale: 1.0,
        };
        if scale > 0.9 || !scale.is_finite() {
            return whole;
        }
        let scale = scale.max(0.01);
        let first = |at: i64| (at as f32 * scale).floor() as i64;
        let (x, y) = (first(whole.x), first(whole.y));
        let end = |at: i64, side: usize| ((at + side as i64) as f32 * scale).ceil() as i64;
        let (right, bottom) = (end(whole.x, width), end(whole.y, height));
        let affine = Affine {
            origin: [0.0; 2],
            rest: [0.0; 2],
            across: [1.0 / scale, 0.0],
            down: [0.0, 1.0 / scale],
        };
        let looks = (1.0 / scale).min(LOOKS).ceil() as usize;
        let source = whole.source();
        let pixel = |x: i64, y: i64| mean(source, &affine, [x as f32 + 0.5, y as f32 + 0.5], looks);
        let pixels = (y..bottom).flat_map(|y| (x..right).map(move |x| pixel(x, y)));
        Self {
            x,
            y,
            width: (right - x) as usize,
            pixels: pixels.collect(),
            scale,
        }
    }

    /// How many of its pixels are one of the picture, along a side.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    fn source(&self) -> Source<'_> {
        Source {
            x: self.x,
            y: self.y,
            width: self.width,
            pixels: &self.pixels,
            scale: self.scale,
        }
    }

    /// As it looks under a mesh whose vertices have gone elsewhere, drawn quickly, in a frame of this size. Vertices may be in
    /// other pixels than the mesh is at rest, those of the frame. `None` where nothing of it is seen.
    pub fn bent(&self, mesh: &Mesh, vertices: &[[f32; 2]], size: [usize; 2]) -> Option<Sprite> {
        let bent = Bent { mesh, vertices };
        let warped = warp(self.source(), bent, size, Sampling::Linear)?;
        let straight = |&[red, green, blue, alpha]: &[f32; 4]| {
            if alpha <= 0.0 {
                return [0; 4];
            }
            let scale = 1.0 / alpha;
            [red * scale, green * scale, blue * scale, alpha * 255.0].map(|v| (v + 0.5) as u8)
        };
        Some(Sprite {
            x: warped.x as i32,
            y: warped.y as i32,
            width: warped.width as u32,
            height: (warped.pixels.len() / warped.width) as u32,
            rgba: warped.pixels.iter().flat_map(straight).collect(),
        })
    }
}

/// From places in the frame to places at rest.
struct Affine {
    origin: [f32; 2],
    rest: [f32; 2],
    /// What a step to the right, and one down, is at rest.
    across: [f32; 2],
    down: [f32; 2],
}

impl Affine {
    /// Of a triangle; `None` for one without an area.
    fn new(rest: [[f32; 2]; 3], now: [[f32; 2]; 3]) -> Option<Self> {
        let sides =
            |[a, b, c]: [[f32; 2]; 3]| [[b[0] - a[0], b[1] - a[1]], [c[0] - a[0], c[1] - a[1]]];
        let ([e, f], [g, h]) = (sides(rest), sides(now));
        let area = g[0] * h[1] - g[1] * h[0];
        if area.abs() < 1e-12 || !area.is_finite() {
            return None;
        }
        let step = |x: f32, y: f32| {
            // The step in terms of the two sides.
            let (s, t) = ((x * h[1] - y * h[0]) / area, (g[0] * y - g[1] * x) / area);
            [s * e[0] + t * f[0], s * e[1] + t * f[1]]
        };
        Some(Self {
            origin: now[0],
            rest: rest[0],
            across: step(1.0, 0.0),
            down: step(0.0, 1.0),
        })
    }

    fn at(&self, x: f32, y: f32) -> [f32; 2] {
        let (x, y) = (x - self.origin[0], y - self.origin[1]);
        [0, 1].map(|c| self.rest[c] + x * self.across[c] + y * self.down[c])
    }

    /// By how much it shrinks at most: the larger singular value.
    fn shrinks(&self) -> f32 {
        let [a, c] = self.across;
        let [b, d] = self.down;
        let (sum, other) = ((a + d).hypot(c - b), (a - d).hypot(c + b));
        0.5 * (sum + other)
    }
}

impl Warped {
    /// Nothing yet, over the part of a frame in which the vertices are.
    fn within(bent: Bent, [width, height]: [usize; 2]) -> Option<Self> {
        let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        for vertex in bent.vertices {
            for axis in 0..2 {
                low[axis] = low[axis].min(vertex[axis]);
                high[axis] = high[axis].max(vertex[axis]);
            }
        }
        let from = |v: f32, side: usize| v.floor().clamp(0.0, side as f32) as usize;
        let to = |v: f32, side: usize| v.ceil().clamp(0.0, side as f32) as usize;
        let (x0, x1) = (from(low[0], width), to(high[0], width));
        let (y0, y1) = (from(low[1], height), to(high[1], height));
        (x0 < x1 && y0 < y1).then(|| Self {
            x: x0,
            y: y0,
            width: x1 - x0,
            pixels: vec![[0.0; 4]; (x1 - x0) * (y1 - y0)],
            still: vec![-1.0; (x1 - x0) * (y1 - y0)],
        })
    }

    fn draw(
        &mut self,
        source: Source,
        bent: Bent,
        triangle: usize,
        corners: [usize; 3],
        sampling: Sampling,
    ) {
        let rest = corners.map(|v| bent.mesh.vertices()[v]);
        let now = corners.map(|v| bent.vertices[v]);
        let Some(affine) = Affine::new(rest, now) else {
            return;
        };
        let shrinks = affine.shrinks() * source.scale;
        let looks = if shrinks > SHRUNK {
            shrinks.min(LOOKS).ceil() as usize
        } else {
            1
        };
        let moved = rest
            .iter()
            .zip(&now)
            .map(|(a, b)| (a[0] - b[0]).abs().max((a[1] - b[1]).abs()));
        let moved = moved.fold(0.0, f32::max);
        let still = ((STILL[1] - moved) / (STILL[1] - STILL[0])).clamp(0.0, 1.0);
        let all = bent.mesh.owns_all(triangle);
        let edges = [(0, 1), (1, 2), (2, 0)].map(|(a, b)| {
            let (a, b) = (corners[a].min(corners[b]), corners[a].max(corners[b]));
            (bent.vertices[a], bent.vertices[b])
        });
        let rows = self.pixels.len() / self.width;
        let row = |y: f32| ((y - 0.5).ceil() - self.y as f32).clamp(0.0, rows as f32) as usize;
        let column =
            |x: f32| ((x - 0.5).ceil() - self.x as f32).clamp(0.0, self.width as f32) as usize;
        let [top, bottom] = [f32::min, f32::max].map(|of| of(of(now[0][1], now[1][1]), now[2][1]));
        for y in row(top)..row(bottom) {
            let centre = (y + self.y) as f32 + 0.5;
            let (mut left, mut right) = (f32::INFINITY, f32::NEG_INFINITY);
            for (a, b) in edges {
                if (a[1] <= centre) == (b[1] <= centre) {
                    continue;
                }
                let x = a[0] + (centre - a[1]) * (b[0] - a[0]) / (b[1] - a[1]);
                (left, right) = (left.min(x), right.max(x));
            }
            if left >= right {
                continue;
            }
            for x in column(left)..column(right) {
                let at = [(x + self.x) as f32 + 0.5, centre];
                let place = affine.at(at[0], at[1]);
                let share = if all {
                    1.0
                } else {
                    bent.mesh.share(triangle, place)
                };
                if share <= 0.0 {
                    continue;
                }
                let value = match (looks, sampling) {
                    (1, Sampling::Linear) => source.linear(place),
                    (1, Sampling::Cubic) => source.cubic(place),
                    _ => mean(source, &affine, at, looks),
                };
                let value = value.map(|v| v * share);
                let at = y * self.width + x;
                let (pixel, seen) = (&mut self.pixels[at], &mut self.still[at]);
                if value[3] < NOTHING {
                    if *seen < 0.0 {
                        *seen = still;
                    }
                    continue;
                }
                // What the mesh lays over itself. Where both are seen in part, they are not of the same part: along a cut that has not
                // opened nothing shows through.
                let below = ((1.0 - value[3]).max(0.0) / pixel[3].max(1e-6)).min(1.0);
                for (pixel, value) in pixel.iter_mut().zip(value) {
                    *pixel = value + *pixel * below;
                }
                *seen = if *seen < 0.0 { still } else { seen.min(still) };
            }
        }
    }
}

/// The mean of what a pixel of the frame shows of a mesh that shrinks.
fn mean(source: Source, affine: &Affine, [x, y]: [f32; 2], looks: usize) -> [f32; 4] {
    let mut sum = [0.0; 4];
    let within = |i: usize| (i as f32 + 0.5) / looks as f32 - 0.5;
    for dy in 0..looks {
        for dx in 0..looks {
            let value = source.linear(affine.at(x + within(dx), y + within(dy)));
            for (sum, value) in sum.iter_mut().zip(value) {
                *sum += value;
            }
        }
    }
    sum.map(|v| v / (looks * looks) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Composition, Layer};
    use dragentity_core::scene::bend::{Motion, solve};
    use dragentity_core::scene::{Entity, Mask, Picture, Pose, Shadow, Trajectory};
    use std::sync::Arc;

    const WIDTH: usize = 240;
    const HEIGHT: usize = 160;
    const SIZE: [u32; 2] = [WIDTH as u32, HEIGHT as u32];

    fn square() -> Mask {
        let mut mask = Mask::empty(SIZE[0], SIZE[1]);
        for (at, alpha) in mask.alpha.iter_mut().enumerate() {
            let (x, y) = (at % WIDTH, at / WIDTH);
            let inside = (60..140).contains(&x) && (40..120).contains(&y);
            *alpha = if inside { 255 } else { 0 };
        }
        mask
    }

    /// Noise, and a square of one colour on it.
    fn picture() -> Picture {
        let mask = square();
        let colour = |(at, alpha): (usize, &u8)| match alpha {
            0 => [(at * 7919 % 61) as u8, 90, 40],
            _ => [250, 200, 30],
        };
        let rgb = mask.alpha.iter().enumerate().flat_map(colour).collect();
        Picture::from_rgb(SIZE[0], SIZE[1], rgb).unwrap()
    }

    /// The frames of the square with these handles, over a plate that is green where anything is uncovered.
    fn frames(entity: &Entity, count: usize) -> (Vec<Vec<u8>>, Motion, Mask) {
        let motion = Motion::of(entity, &picture(), count, SIZE);
        let layer = Layer {
            mask: square(),
            motion: motion.clone(),
            depths: Vec::new(),
            shadow: Shadow::Found,
        };
        let mut made = Composition::new(picture(), vec![layer], Vec::new());
        while made.advance() {}
        let hole = made.hole().unwrap();
        let mut plate = made.picture().rgb.to_vec();
        for (pixel, &hidden) in plate.chunks_exact_mut(3).zip(&hole.alpha) {
            if hidden > 0 {
                pixel.copy_from_slice(&[0, 255, 0]);
            }
        }
        made.set_plate(Picture::from_rgb(SIZE[0], SIZE[1], plate).unwrap());
        (made.frames(0..count), motion, hole)
    }

    /// The square, held at its left side, its right side led down and inwards.
    fn bent() -> Entity {
        Entity {
            mask: square(),
            trajectory: Some(Trajectory::line([0.55, 0.5], [0.5, 0.85])),
            handles: [[0.27, 0.3], [0.27, 0.7]]
                .map(|[x, y]| Trajectory::pin(x, y))
                .into(),
            ..Entity::default()
        }
    }

    #[test]
    fn a_square_that_is_bent_has_no_cracks_and_nothing_else_changes() {
        let picture = picture();
        let (frames, motion, hole) = frames(&bent(), 5);
        let Motion::Mesh {
            mesh,
            frames: places,
        } = motion
        else {
            panic!("three handles take a mesh");
        };
        assert_eq!(frames[0], *picture.rgb);
        assert!(frames[4] != frames[3]);
        let covered = square();
        for (frame, vertices) in frames.iter().zip(&places).skip(1) {
            // Which pixels the square has, drawn without a picture.
            let white: Vec<[f32; 4]> = covered
                .alpha
                .iter()
                .map(|&a| {
                    if a > 0 {
                        [255.0, 255.0, 255.0, 1.0]
                    } else {
                        [0.0; 4]
                    }
                })
                .collect();
            let source = Source {
                x: 0,
                y: 0,
                width: WIDTH,
                pixels: &white,
                scale: 1.0,
            };
            let at = Bent {
                mesh: &mesh,
                vertices,
            };
            let warped = warp(source, at, [WIDTH, HEIGHT], Sampling::Linear).unwrap();
            let alpha = |x: usize, y: usize| {
                let inside = (warped.x..warped.x + warped.width).contains(&x) && y >= warped.y;
                let at = y.wrapping_sub(warped.y) * warped.width + x.wrapping_sub(warped.x);
                inside
                    .then(|| warped.pixels.get(at))
                    .flatten()
                    .map_or(0.0, |p| p[3])
            };
            for y in 3..HEIGHT - 3 {
                for x in 3..WIDTH - 3 {
                    let around =
                        || (y - 3..=y + 3).flat_map(|y| (x - 3..=x + 3).map(move |x| (x, y)));
                    let at = y * WIDTH + x;
                    let pixel = &frame[at * 3..at * 3 + 3];
                    if around().all(|(x, y)| alpha(x, y) > 0.99) {
                        assert_eq!(pixel, [250, 200, 30], "a crack at {x},{y}");
                    } else if around().all(|(x, y)| alpha(x, y) == 0.0) && hole.alpha[at] == 0 {
                        assert_eq!(
                            pixel,
                            &picture.rgb[at * 3..at * 3 + 3],
                            "{x},{y} has changed"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_cut_that_has_not_opened_is_not_seen_and_one_that_has_is_soft() {
        let cut = |a: [f32; 2], b: [f32; 2]| (a[0] < 101.3) == (b[0] < 101.3);
        let mesh = Mesh::cut(&square(), SIZE, 6.0, cut).unwrap();
        let white = vec![[255.0, 255.0, 255.0, 1.0]; WIDTH * HEIGHT];
        let source = Source {
            x: 0,
            y: 0,
            width: WIDTH,
            pixels: &white,
            scale: 1.0,
        };
        let row = |opened: f32| -> Vec<f32> {
            let left = mesh.own_places().into_iter().map(|at| at[0] < 101.3);
            let vertices = mesh.vertices().iter().zip(left);
            let vertices: Vec<[f32; 2]> = vertices
                .map(|(&[x, y], left)| [if left { x - opened } else { x }, y])
                .collect();
            let bent = Bent {
                mesh: &mesh,
                vertices: &vertices,
            };
            let warped = warp(source, bent, [WIDTH, HEIGHT], Sampling::Linear).unwrap();
            let first = (80 - warped.y) * warped.width - warped.x;
            (70..130).map(|x| warped.pixels[first + x][3]).collect()
        };
        assert!(
            row(0.0).iter().all(|alpha| *alpha > 0.999),
            "{:?}",
            row(0.0)
        );
        // Wherever pixels lie beside it.
        let opened = [12.0, 12.3, 12.6].map(row).concat();
        assert!(opened.contains(&0.0), "{opened:?}");
        assert!(
            opened.iter().any(|alpha| (0.1..0.9).contains(alpha)),
            "{opened:?}"
        );
    }

    #[test]
    fn what_is_held_still_stays_as_it_is() {
        let picture = picture();
        let held = Entity {
            trajectory: Some(Trajectory::line([0.55, 0.5], [0.54, 0.6])),
            handles: [
                [0.27, 0.3],
                [0.27, 0.7],
                [0.35, 0.3],
                [0.35, 0.7],
                [0.42, 0.5],
            ]
            .map(|[x, y]| Trajectory::pin(x, y))
            .into(),
            ..bent()
        };
        let (frames, ..) = frames(&held, 5);
        // The left edge, its soft border and what of the ground is beside it, but for what the plate has beyond the mesh.
        for y in 60..100 {
            for x in 54..70 {
                let at = (y * WIDTH + x) * 3;
                for frame in &frames[1..] {
                    for (now, own) in frame[at..at + 3].iter().zip(&picture.rgb[at..at + 3]) {
                        assert!(now.abs_diff(*own) <= 30, "{x},{y}: {now} for {own}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_mesh_that_is_only_moved_gives_the_pixels_of_a_shift() {
        let mask = square();
        let mesh = Arc::new(Mesh::over(&mask, SIZE, 12.0).unwrap());
        let by = [17.0, -9.0];
        let moved = solve(&mesh, &[([100.0, 80.0], [117.0, 71.0])]);
        let motions = [
            Motion::Shift(vec![[0.0; 2], by]),
            Motion::Mesh {
                mesh: mesh.clone(),
                frames: vec![mesh.vertices().to_vec(), moved],
            },
        ];
        let made = motions.map(|motion| {
            let layer = Layer {
                mask: mask.clone(),
                motion,
                depths: Vec::new(),
                shadow: Shadow::Found,
            };
            let mut made = Composition::new(picture(), vec![layer], Vec::new());
            while made.advance() {}
            made.frames(0..2)
        });
        assert_eq!(made[0], made[1]);
        // So does drawing the triangles, each with its pixels.
        let pixels: Vec<[f32; 4]> = (0..WIDTH * HEIGHT)
            .map(|at| [(at * 31 % 251) as f32, (at * 17 % 241) as f32, 7.0, 1.0])
            .collect();
        let source = Source {
            x: 0,
            y: 0,
            width: WIDTH,
            pixels: &pixels,
            scale: 1.0,
        };
        let vertices: Vec<[f32; 2]> = mesh
            .vertices()
            .iter()
            .map(|p| [p[0] + by[0], p[1] + by[1]])
            .collect();
        let bent = Bent {
            mesh: &mesh,
            vertices: &vertices,
        };
        let warped = warp(source, bent, [WIDTH, HEIGHT], Sampling::Cubic).unwrap();
        for y in 40..120 {
            for x in 60..140 {
                let at = (y - 9 - warped.y) * warped.width + x + 17 - warped.x;
                assert_eq!(warped.pixels[at], pixels[y * WIDTH + x], "{x},{y}");
            }
        }
    }

    #[test]
    fn what_shrinks_is_a_mean_and_what_lies_nearer_is_in_front() {
        // Stripes of a pixel, at a quarter of their size.
        let pixels: Vec<[f32; 4]> = (0..WIDTH * HEIGHT)
            .map(|at| {
                if at % 2 == 0 {
                    [255.0, 255.0, 255.0, 1.0]
                } else {
                    [0.0, 0.0, 0.0, 1.0]
                }
            })
            .collect();
        let mesh = Mesh::over(&square(), SIZE, 4.0).unwrap();
        let small = |p: &[f32; 2]| [0, 1].map(|c| 100.0 + (p[c] - 100.0) * 0.25);
        let vertices: Vec<[f32; 2]> = mesh.vertices().iter().map(small).collect();
        let source = Source {
            x: 0,
            y: 0,
            width: WIDTH,
            pixels: &pixels,
            scale: 1.0,
        };
        let bent = Bent {
            mesh: &mesh,
            vertices: &vertices,
        };
        for sampling in [Sampling::Cubic, Sampling::Linear] {
            let warped = warp(source, bent, [WIDTH, HEIGHT], sampling).unwrap();
            let middle = warped.pixels.len() / 2 + warped.width / 2;
            let red = warped.pixels[middle][0];
            assert!((red - 127.5).abs() < 20.0, "{red}");
        }
        // Two things pass each other: who is in front changes with depth.
        let stripe = |left: usize| {
            let mut mask = Mask::empty(SIZE[0], SIZE[1]);
            for y in 50..110 {
                mask.alpha[y * WIDTH + left..y * WIDTH + left + 40].fill(255);
            }
            mask
        };
        let mut rgb = vec![40; WIDTH * HEIGHT * 3];
        for (left, colour) in [(20, [250, 0, 0]), (160, [0, 0, 250])] {
            for y in 50..110 {
                for x in left..left + 40 {
                    let at = (y * WIDTH + x) * 3;
                    rgb[at..at + 3].copy_from_slice(&colour);
                }
            }
        }
        let layer = |left: usize, depths: [f32; 3]| Layer {
            mask: stripe(left),
            motion: Motion::Shift(
                [0.0, 1.0, 1.0]
                    .map(|s| [s * (90.0 - left as f32), 0.0])
                    .into(),
            ),
            depths: depths.into(),
            shadow: Shadow::Found,
        };
        let layers = vec![layer(20, [0.0, 1.0, 0.0]), layer(160, [0.0, 0.0, 0.0])];
        let picture = Picture::from_rgb(SIZE[0], SIZE[1], rgb).unwrap();
        let mut made = Composition::new(picture, layers, Vec::new());
        while made.advance() {}
        let at = |frame: usize| made.frame(frame)[(80 * WIDTH + 110) * 3..][..3].to_vec();
        assert_eq!((at(1), at(2)), (vec![250, 0, 0], vec![0, 0, 250]));
    }

    #[test]
    fn a_sprite_is_bent_no_finer_than_it_is_seen() {
        let mesh = Mesh::over(&square(), SIZE, 8.0).unwrap();
        let sprite = Sprite {
            x: 60,
            y: 40,
            width: 80,
            height: 80,
            rgba: [250, 200, 30, 255].repeat(80 * 80),
        };
        for scale in [1.0, 0.5] {
            let bendable = Bendable::new(&sprite, scale);
            assert_eq!(bendable.scale(), scale);
            // To the right by 40 pixels of the picture.
            let moved = |p: &[f32; 2]| [(p[0] + 40.0) * scale, p[1] * scale];
            let vertices: Vec<[f32; 2]> = mesh.vertices().iter().map(moved).collect();
            let size = [WIDTH, HEIGHT].map(|side| (side as f32 * scale) as usize);
            let bent = bendable.bent(&mesh, &vertices, size).unwrap();
            let at = |x: f32, y: f32| {
                let (x, y) = ((x * scale) as i32 - bent.x, (y * scale) as i32 - bent.y);
                let inside =
                    (0..bent.width as i32).contains(&x) && (0..bent.height as i32).contains(&y);
                inside.then(|| bent.rgba[(y * bent.width as i32 + x) as usize * 4..][..4].to_vec())
            };
            assert_eq!(at(140.0, 80.0).unwrap(), [250, 200, 30, 255], "{scale}");
            assert_eq!(at(104.0, 44.0).unwrap(), [250, 200, 30, 255], "{scale}");
            assert!(at(92.0, 80.0).is_none_or(|p| p == [0; 4]), "{scale}");
        }
        let away = vec![[-900.0, 5.0]; mesh.vertices().len()];
        assert!(
            Bendable::new(&sprite, 1.0)
                .bent(&mesh, &away, [WIDTH, HEIGHT])
                .is_none()
        );
    }

    #[test]
    fn what_is_broken_is_at_rest_and_what_leaves_the_picture_is_not_drawn() {
        let mesh = Arc::new(Mesh::over(&square(), SIZE, 4.0).unwrap());
        let count = mesh.vertices().len();
        let away: Vec<[f32; 2]> = mesh
            .vertices()
            .iter()
            .map(|p| [p[0] * 0.5 + 4000.0, p[1]])
            .collect();
        let frames = vec![
            mesh.vertices().to_vec(),
            vec![[f32::NAN; 2]; count],
            vec![[5.0, 5.0]; 3],
            away,
            vec![[50.0, 50.0]; count],
        ];
        let layer = Layer {
            mask: square(),
            motion: Motion::Mesh { mesh, frames },
            depths: vec![f32::NAN; 5],
            shadow: Shadow::Found,
        };
        let mut made = Composition::new(picture(), vec![layer], Vec::new());
        while made.advance() {}
        let own = picture();
        for still in [0, 1, 2, 9] {
            assert_eq!(made.frame(still), *own.rgb, "{still}");
        }
        let hole = made.hole().unwrap();
        let green = vec![[0, 255, 0]; WIDTH * HEIGHT].concat();
        made.set_plate(Picture::from_rgb(SIZE[0], SIZE[1], green).unwrap());
        assert_eq!(hole.alpha[80 * WIDTH + 100], 255);
        for gone in [3, 4] {
            assert!(
                made.frame(gone).chunks_exact(3).all(|p| p == [0, 255, 0]),
                "{gone}"
            );
        }
        let shrunk = Entity {
            mask: square(),
            poses: vec![Pose {
                t: 1.0,
                scale: 0.05,
                ..Pose::default()
            }],
            ..Entity::default()
        };
        assert!(matches!(
            Motion::of(&shrunk, &picture(), 3, SIZE),
            Motion::Mesh { .. }
        ));
    }
}
