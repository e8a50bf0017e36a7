//! A thing that can be laid over a frame, anywhere: its matte with the colours multiplied by it, continued where the
//! picture's border cuts it off.

use super::matte::Matte;
use super::resample::Taps;
use super::source::Source;

/// Which way, and how far in pixels, a cut-out moves away from each border of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reach {
    /// To the right, away from the left border.
    pub left: f32,
    /// Downwards, away from the upper border.
    pub top: f32,
    /// To the left, away from the right border.
    pub right: f32,
    /// Upwards, away from the lower border.
    pub bottom: f32,
}

impl Reach {
    /// That of a motion, given by its offsets in pixels.
    pub fn of(offsets: &[[f32; 2]]) -> Self {
        let mut reach = Self::default();
        for &[x, y] in offsets {
            reach.left = reach.left.max(x);
            reach.top = reach.top.max(y);
            reach.right = reach.right.max(-x);
            reach.bottom = reach.bottom.max(-y);
        }
        reach
    }
}

/// Pixels that a canvas can draw: straight alpha, 8 bits a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sprite {
    /// Where its first column is in the picture; may lie beyond it.
    pub x: i32,
    /// Where its first row is.
    pub y: i32,
    /// Number of columns.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// `width * height * 4` bytes: red, green, blue, alpha.
    pub rgba: Vec<u8>,
}

/// A thing that can be laid over a frame.
pub struct Cutout {
    /// Where its first pixel is in the picture; beyond it where it was continued.
    x: i64,
    y: i64,
    width: usize,
    height: usize,
    /// Red, green, blue times alpha, 0..255, and alpha, 0..1.
    pixels: Vec<[f32; 4]>,
}

impl Cutout {
    /// Of a matte in a picture of `width` x `height` pixels. Where the border cuts it off and it moves away from that
    /// border by `reach`, it is continued by its mirror image.
    pub fn new(matte: &Matte, width: usize, height: usize, reach: Reach) -> Self {
        let b = matte.bounds;
        // No further than it is long, and a little more than it moves: taps look two pixels ahead.
        let extent = |touches: bool, way: f32, side: usize| {
            if touches && way > 0.0 {
                (way.ceil() as usize + 3).min(side)
            } else {
                0
            }
        };
        let left = extent(b.x == 0, reach.left, b.width);
        let top = extent(b.y == 0, reach.top, b.height);
        let right = extent(b.x + b.width == width, reach.right, b.width);
        let bottom = extent(b.y + b.height == height, reach.bottom, b.height);
        let (w, h) = (left + b.width + right, top + b.height + bottom);
        let mirrored = |at: usize, before: usize, side: usize| {
            if at < before {
                (before - 1 - at, 0)
            } else if at - before < side {
                (at - before, at - before)
            } else {
                (2 * side - 1 - (at - before), side - 1)
            }
        };
        let mut pixels = Vec::with_capacity(w * h);
        for y in 0..h {
            let (from_y, edge_y) = mirrored(y, top, b.height);
            for x in 0..w {
                let (from_x, edge_x) = mirrored(x, left, b.width);
                let from = from_y * b.width + from_x;
                // Only what reaches the border goes on beyond it.
                let alpha = matte.alpha[from].min(matte.alpha[edge_y * b.width + edge_x]);
                let [red, green, blue] = matte.colour[from].map(|c| c * alpha);
                pixels.push([red, green, blue, alpha]);
            }
        }
        Self {
            x: b.x as i64 - left as i64,
            y: b.y as i64 - top as i64,
            width: w,
            height: h,
            pixels,
        }
    }

    /// Lays it over a frame of `width` x `height` RGB pixels, moved by `offset` pixels.
    pub fn lay_over(&self, frame: &mut [u8], width: usize, height: usize, offset: [f32; 2]) {
        let (across, down) = (Taps::new(offset[0]), Taps::new(offset[1]));
        // The rectangle of the frame that taps of this cut-out can reach.
        let span = |first: i64, side: usize, taps: &Taps, limit: usize| {
            let from = (first + taps.shift - taps.margin()).clamp(0, limit as i64);
            let to = (first + side as i64 + taps.shift + taps.margin()).clamp(0, limit as i64);
            (from, to)
        };
        let (x0, x1) = span(self.x, self.width, &across, width);
        let (y0, y1) = span(self.y, self.height, &down, height);
        if x0 >= x1 || y0 >= y1 {
            return;
        }
        let columns = (x1 - x0) as usize;
        let mut line = vec![[0.0_f32; 4]; self.width];
        for y in y0..y1 {
            // First down, for all columns of the cut-out, then across.
            line.fill([0.0; 4]);
            let mut seen = false;
            for (tap, weight) in down.weights() {
                let row = y - down.shift - self.y + tap;
                if row < 0 || row >= self.height as i64 {
                    continue;
                }
                seen = true;
                let row = &self.pixels[row as usize * self.width..][..self.width];
                for (sum, pixel) in line.iter_mut().zip(row) {
                    for (sum, value) in sum.iter_mut().zip(pixel) {
                        *sum += weight * value;
                    }
                }
            }
            if !seen {
                continue;
            }
            let first = (y as usize * width + x0 as usize) * 3;
            let out = frame[first..first + columns * 3].chunks_exact_mut(3);
            for (x, out) in (x0..x1).zip(out) {
                let mut pixel = [0.0_f32; 4];
                for (tap, weight) in across.weights() {
                    let column = x - across.shift - self.x + tap;
                    if let Ok(column) = usize::try_from(column)
                        && let Some(value) = line.get(column)
                    {
                        for (sum, value) in pixel.iter_mut().zip(value) {
                            *sum += weight * value;
                        }
                    }
                }
                let alpha = pixel[3].clamp(0.0, 1.0);
                if alpha < 1.0 / 512.0 {
                    continue;
                }
                for (out, value) in out.iter_mut().zip(pixel) {
                    // Cubic taps swing beyond what is there.
                    let own = value.clamp(0.0, 255.0 * alpha);
                    *out = (own + f32::from(*out) * (1.0 - alpha)).round() as u8;
                }
            }
        }
    }

    /// Its pixels at their places, to be drawn under a mesh.
    pub fn source(&self) -> Source<'_> {
        Source {
            x: self.x,
            y: self.y,
            width: self.width,
            pixels: &self.pixels,
            scale: 1.0,
        }
    }

    /// The same for a canvas.
    pub fn sprite(&self) -> Sprite {
        let straight = |&[red, green, blue, alpha]: &[f32; 4]| {
            let scale = 1.0 / alpha.max(1e-6);
            [red * scale, green * scale, blue * scale, alpha * 255.0].map(|v| v.round() as u8)
        };
        Sprite {
            x: self.x as i32,
            y: self.y as i32,
            width: self.width as u32,
            height: self.height as u32,
            rgba: self.pixels.iter().flat_map(straight).collect(),
        }
    }

    /// How much of each pixel of the picture it covers where it was, 0..1, row by row.
    pub fn coverage(&self, width: usize, height: usize) -> Vec<f32> {
        let mut out = vec![0.0; width * height];
        for (at, pixel) in self.pixels.iter().enumerate() {
            let x = self.x + (at % self.width) as i64;
            let y = self.y + (at / self.width) as i64;
            if (0..width as i64).contains(&x) && (0..height as i64).contains(&y) {
                out[y as usize * width + x as usize] = pixel[3];
            }
        }
        out
    }
}
