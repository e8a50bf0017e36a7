//! Contact shadows: what is dark on the ground where a thing stands. They go along with it, and nothing of them may stay
//! behind as a blot.
//!
//! Where a thing touches the ground, its surroundings are compared with the ground a little further away. A shadow is darker
//! and of nearly the same colour, and hangs together with the thing. Over ground that is too varied to tell, none is found.

use super::cutout::Sprite;
use super::luma::luma;
use super::matte::doubt;
use super::mean::box_mean;
use super::place::Place;
use super::resample::Taps;
use dragentity_core::scene::{Mask, Picture, raster};

/// What of a thing's height, from below, may stand on the ground.
const FEET: f32 = 0.35;
/// How far shadows are looked for, by the square root of the thing's area; the ground is what lies up to twice as far.
const REACH: f32 = 0.6;
/// Ground of which the middle half differs by more than this share tells nothing.
const VARIED: f32 = 0.35;
/// What of the ground's light is left in a shadow, at most.
const DARK: f32 = 0.82;
/// How far a shadow's shares of red and blue may be from the ground's: by the ground's light, the less of which there is the
/// less colours are to be trusted.
const TINT: f32 = 0.03;
/// A shadow that is larger than this, by the thing's area, is something else.
const LARGEST: f32 = 1.5;

/// Luma, 0..255, and the shares of red and blue.
fn measured(rgb: &[u8]) -> Vec<[f32; 3]> {
    rgb.chunks_exact(3)
        .map(|p| {
            let [r, g, b] = [p[0], p[1], p[2]].map(f32::from);
            let sum = (r + g + b).max(1.0);
            [luma(p), r / sum, b / sum]
        })
        .collect()
}

/// The quarters' values between which the middle half lies, and the median.
fn quartiles(values: &mut [f32]) -> [f32; 3] {
    values.sort_by(f32::total_cmp);
    [1, 2, 3].map(|quarter| values[quarter * (values.len() - 1) / 4])
}

/// Which pixels are the shadow of a thing that covers `covered` (0..1) of each pixel; `None` when there is none to be told.
pub fn found(picture: &Picture, covered: &[f32]) -> Option<Vec<bool>> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let thing = Mask {
        width: picture.width,
        height: picture.height,
        alpha: covered
            .iter()
            .map(|&c| if c > 0.02 { 255 } else { 0 })
            .collect(),
    };
    let bounds = thing.bounding_box()?;
    let area = thing.area() as f32;
    let reach = REACH * area.sqrt();
    let open = Mask {
        alpha: thing.alpha.iter().map(|&a| 255 - a).collect(),
        ..thing
    };
    let away: Vec<f32> = raster::squared_distances_within(&open)
        .into_iter()
        .map(f32::sqrt)
        .collect();
    let edge = doubt(picture.width, picture.height);
    let tall = (bounds.y1 - bounds.y0) as f32;
    let feet = (bounds.y1 as f32 - FEET * tall) as usize;
    // Without the grain of the ground, and without the thing.
    let radius = (edge * 0.5).round() as usize;
    let weighed: Vec<[f32; 4]> = measured(&picture.rgb)
        .into_iter()
        .zip(&away)
        .map(
            |([l, r, b], &away)| {
                if away > 0.0 { [l, r, b, 1.0] } else { [0.0; 4] }
            },
        )
        .collect();
    let seen: Vec<[f32; 3]> = box_mean(&weighed, width, height, radius)
        .into_iter()
        .map(|[l, r, b, n]| [l, r, b].map(|v| v / n.max(1e-6)))
        .collect();
    let ground: Vec<usize> = (feet * width..width * height)
        .filter(|&at| away[at] > reach && away[at] < 2.0 * reach)
        .collect();
    if ground.len() < 32 {
        return None;
    }
    let of = |channel: usize| {
        quartiles(
            &mut ground
                .iter()
                .map(|&at| seen[at][channel])
                .collect::<Vec<_>>(),
        )
    };
    let (light, red, blue) = (of(0), of(1), of(2));
    if light[2] - light[0] > VARIED * light[1] {
        return None;
    }
    let dark = |at: usize| {
        let [l, r, b] = seen[at];
        away[at] > 0.0
            && away[at] < 1.5 * reach
            && l < DARK * light[1]
            && (r - red[1]).abs() * l < TINT * light[1]
            && (b - blue[1]).abs() * l < TINT * light[1]
    };
    // From the thing outwards.
    let mut shadow = vec![false; width * height];
    let mut todo: Vec<usize> = (feet * width..width * height)
        .filter(|&at| away[at] <= 2.0 * edge && dark(at))
        .collect();
    for &at in &todo {
        shadow[at] = true;
    }
    let mut size = todo.len();
    while let Some(at) = todo.pop() {
        let (x, y) = (at % width, at / width);
        let around = [
            (x > 0).then(|| at - 1),
            (x + 1 < width).then(|| at + 1),
            (y > feet).then(|| at - width),
            (y + 1 < height).then(|| at + width),
        ];
        for next in around.into_iter().flatten() {
            if !shadow[next] && dark(next) {
                shadow[next] = true;
                size += 1;
                todo.push(next);
            }
        }
    }
    let least = 8.max((0.002 * area) as usize);
    (least..=(LARGEST * area) as usize)
        .contains(&size)
        .then_some(shadow)
}

/// A shadow that can be laid over a frame.
pub struct Shade {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    /// What of the light is taken away, 0..1.
    taken: Vec<f32>,
}

impl Shade {
    /// How much darker the picture is than the plate where `shadow` says; softened, and nothing of what is `covered`.
    pub fn new(
        picture: &Picture,
        plate: &Picture,
        shadow: &[bool],
        covered: &[f32],
    ) -> Option<Self> {
        let (width, height) = (picture.width as usize, picture.height as usize);
        let edge = doubt(picture.width, picture.height);
        let radius = edge.round() as usize;
        let light = |rgb: &[u8], at: usize| luma(&rgb[at * 3..]);
        let weighed: Vec<[f32; 4]> = (0..width * height)
            .map(|at| {
                let open = if covered[at] > 0.02 { 0.0 } else { 1.0 };
                let inside = if shadow[at] { 1.0 } else { 0.0 };
                [
                    open * light(&picture.rgb, at),
                    open * light(&plate.rgb, at),
                    inside,
                    // Under the thing a shadow goes on.
                    if shadow[at] || covered[at] > 0.02 {
                        1.0
                    } else {
                        0.0
                    },
                ]
            })
            .collect();
        let mean = box_mean(
            &box_mean(&weighed, width, height, radius),
            width,
            height,
            radius,
        );
        let mut taken = vec![0.0; width * height];
        let (mut x0, mut y0, mut x1, mut y1) = (width, height, 0, 0);
        for (at, [own, plate, inside, under]) in mean.into_iter().enumerate() {
            if inside <= 0.0 || plate <= 0.0 {
                continue;
            }
            taken[at] = (1.0 - own / plate).clamp(0.0, 0.85) * under;
            let (x, y) = (at % width, at / width);
            (x0, x1) = (x0.min(x), x1.max(x + 1));
            (y0, y1) = (y0.min(y), y1.max(y + 1));
        }
        if x0 >= x1 {
            return None;
        }
        let rows = (y0..y1).flat_map(|y| taken[y * width + x0..y * width + x1].iter().copied());
        Some(Self {
            taken: rows.collect(),
            x: x0,
            y: y0,
            width: x1 - x0,
            height: y1 - y0,
        })
    }

    /// The same for a canvas: black, which covers as much as it takes away.
    pub fn sprite(&self) -> Sprite {
        let black = |&taken: &f32| [0, 0, 0, (taken * 255.0).round() as u8];
        Sprite {
            x: self.x as i32,
            y: self.y as i32,
            width: self.width as u32,
            height: self.height as u32,
            rgba: self.taken.iter().flat_map(black).collect(),
        }
    }

    /// Darkens a frame of `width` x `height` RGB pixels, the shadow moved by `offset` pixels.
    pub fn lay_over(&self, frame: &mut [u8], width: usize, height: usize, offset: [f32; 2]) {
        let (across, down) = (Taps::new(offset[0]), Taps::new(offset[1]));
        let span = |first: usize, side: usize, shift: i64, limit: usize| {
            let from = first as i64 + shift - 2;
            from.clamp(0, limit as i64)..(from + side as i64 + 4).clamp(0, limit as i64)
        };
        for y in span(self.y, self.height, down.shift, height) {
            for x in span(self.x, self.width, across.shift, width) {
                let (sx, sy) = (
                    x - across.shift - self.x as i64,
                    y - down.shift - self.y as i64,
                );
                let mut taken = 0.0;
                for (dy, wy) in down.weights() {
                    for (dx, wx) in across.weights() {
                        taken += wy * wx * self.value(sx + dx, sy + dy);
                    }
                }
                darken(frame, y as usize * width + x as usize, taken);
            }
        }
    }

    /// The same, moved and scaled at once. Shadows are soft, so that a look between four of their pixels is enough.
    pub fn lay_over_scaled(&self, frame: &mut [u8], width: usize, height: usize, place: &Place) {
        let [x0, y0] = place.apply([self.x as f32, self.y as f32]);
        let [x1, y1] = place.apply([(self.x + self.width) as f32, (self.y + self.height) as f32]);
        let span = |from: f32, to: f32, limit: usize| {
            let within = |v: f32| v.clamp(0.0, limit as f32) as usize;
            within((from - 1.0).floor())..within((to + 1.0).ceil())
        };
        for y in span(y0, y1, height) {
            for x in span(x0, x1, width) {
                let [sx, sy] = place.undo([x as f32 + 0.5, y as f32 + 0.5]);
                let (sx, sy) = (sx - 0.5 - self.x as f32, sy - 0.5 - self.y as f32);
                let (left, top) = (sx.floor(), sy.floor());
                let (u, v) = (sx - left, sy - top);
                let (left, top) = (left as i64, top as i64);
                let upper = self.value(left, top) * (1.0 - u) + self.value(left + 1, top) * u;
                let lower =
                    self.value(left, top + 1) * (1.0 - u) + self.value(left + 1, top + 1) * u;
                darken(frame, y * width + x, upper * (1.0 - v) + lower * v);
            }
        }
    }

    /// What is taken away at a column and a row of it.
    fn value(&self, x: i64, y: i64) -> f32 {
        let inside = (0..self.width as i64).contains(&x) && (0..self.height as i64).contains(&y);
        if inside {
            self.taken[y as usize * self.width + x as usize]
        } else {
            0.0
        }
    }

    /// Left, top, right and bottom of it in the picture.
    pub fn bounds(&self) -> [f32; 4] {
        [self.x, self.y, self.x + self.width, self.y + self.height].map(|v| v as f32)
    }
}

/// Takes light away from a pixel of a frame.
fn darken(frame: &mut [u8], at: usize, taken: f32) {
    if taken > 0.004 {
        for channel in &mut frame[at * 3..at * 3 + 3] {
            *channel = (f32::from(*channel) * (1.0 - taken.min(1.0))).round() as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 160;
    const HEIGHT: usize = 120;

    /// A red box, 40 pixels wide, on ground with some patches; to its right, at its foot, a shadow. `spread` is how much the
    /// ground's light differs. Given back with what the box covers.
    fn scene(spread: usize) -> (Picture, Vec<f32>) {
        let mut rgb = Vec::new();
        let mut covered = Vec::new();
        for at in 0..WIDTH * HEIGHT {
            let (x, y) = (at % WIDTH, at / WIDTH);
            let thing = (60..100).contains(&x) && (30..80).contains(&y);
            let patch = (y / 8 * 31 + x / 8) * 7919;
            let ground = 140.0 + (patch % spread) as f32 - spread as f32 / 2.0;
            let light = if shaded(x, y) { 0.5 * ground } else { ground } as u8;
            rgb.extend(if thing {
                [200, 20, 20]
            } else {
                [light, light, light]
            });
            covered.push(if thing { 1.0 } else { 0.0 });
        }
        let (w, h) = (WIDTH as u32, HEIGHT as u32);
        (Picture::from_rgb(w, h, rgb).unwrap(), covered)
    }

    fn shaded(x: usize, y: usize) -> bool {
        (60..120).contains(&x) && (74..86).contains(&y)
    }

    #[test]
    fn a_shadow_is_found_and_laid_over_where_the_thing_goes() {
        let (picture, covered) = scene(9);
        let shadow = found(&picture, &covered).unwrap();
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let at = y * WIDTH + x;
                let deep = (62..118).contains(&x) && (76..84).contains(&y);
                let near = (57..123).contains(&x) && (71..89).contains(&y);
                if deep && covered[at] == 0.0 {
                    assert!(shadow[at], "{x},{y}");
                }
                assert!(near || !shadow[at], "{x},{y}");
            }
        }
        let plate = Picture {
            rgb: vec![140; WIDTH * HEIGHT * 3].into(),
            ..picture
        };
        let shade = Shade::new(&picture, &plate, &shadow, &covered).unwrap();
        let mut frame = plate.rgb.to_vec();
        shade.lay_over(&mut frame, WIDTH, HEIGHT, [10.5, -20.0]);
        let light = |x: usize, y: usize| frame[(y * WIDTH + x) * 3];
        assert!((65..=80).contains(&light(121, 60)), "{}", light(121, 60));
        assert_eq!((light(110, 80), light(20, 20)), (140, 140));
    }

    #[test]
    fn ground_that_is_varied_or_bare_has_no_shadow_to_tell() {
        let (picture, covered) = scene(230);
        assert!(found(&picture, &covered).is_none());
        let bare = Picture {
            rgb: vec![140; WIDTH * HEIGHT * 3].into(),
            ..picture
        };
        assert!(found(&bare, &covered).is_none());
        assert!(found(&bare, &vec![1.0; WIDTH * HEIGHT]).is_none());
        assert!(found(&bare, &vec![0.0; WIDTH * HEIGHT]).is_none());
    }
}
