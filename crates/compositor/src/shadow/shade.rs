//! A shadow as something that darkens a frame.

use crate::cutout::Sprite;
use crate::luma::luma;
use crate::matte::doubt;
use crate::mean::box_mean;
use crate::place::Place;
use crate::resample::Taps;
use dragentity_core::scene::Picture;

/// A shadow that can be laid over a frame.
pub struct Shade {
    /// Where it begins in the picture; beyond it where it was continued.
    x: i64,
    y: i64,
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
        // Where the border cuts it off it goes on, ever lighter, or the cut would be seen when it moves.
        let beyond = |touches: bool, side: usize| if touches { side / 2 + 1 } else { 0 };
        let (left, right) = (beyond(x0 == 0, x1 - x0), beyond(x1 == width, x1 - x0));
        let (top, bottom) = (beyond(y0 == 0, y1 - y0), beyond(y1 == height, y1 - y0));
        let (wide, high) = (left + x1 - x0 + right, top + y1 - y0 + bottom);
        let nearest = |at: usize, before: usize, side: usize, after: usize| {
            let inside = at.clamp(before, before + side - 1);
            let far = at.abs_diff(inside) as f32;
            let most = if at < before { before } else { after };
            (inside - before, 1.0 - far / (most.max(1) as f32))
        };
        let mut continued = Vec::with_capacity(wide * high);
        for y in 0..high {
            let (row, down) = nearest(y, top, y1 - y0, bottom);
            for x in 0..wide {
                let (column, across) = nearest(x, left, x1 - x0, right);
                continued.push(taken[(y0 + row) * width + x0 + column] * down * across);
            }
        }
        Some(Self {
            taken: continued,
            x: x0 as i64 - left as i64,
            y: y0 as i64 - top as i64,
            width: wide,
            height: high,
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
        let span = |first: i64, side: usize, shift: i64, limit: usize| {
            let from = first + shift - 2;
            from.clamp(0, limit as i64)..(from + side as i64 + 4).clamp(0, limit as i64)
        };
        for y in span(self.y, self.height, down.shift, height) {
            for x in span(self.x, self.width, across.shift, width) {
                let (sx, sy) = (x - across.shift - self.x, y - down.shift - self.y);
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
        let [.., right, bottom] = self.bounds();
        let [x1, y1] = place.apply([right, bottom]);
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
        let (right, bottom) = (self.x + self.width as i64, self.y + self.height as i64);
        [self.x, self.y, right, bottom].map(|v| v as f32)
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
