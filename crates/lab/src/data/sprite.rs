//! Pictures prepared for drawing at any size: halved level by level, so that one bilinear look-up at the right
//! level neither shimmers nor blurs.

use image::{RgbImage, RgbaImage};

/// Which level to read when one output pixel covers `scale` source pixels: the coarsest that is not coarser
/// than the output.
fn level_for(scale: f32, levels: usize) -> usize {
    // 1.2: a little aliasing is less harm than the blur of the next level.
    let level = (scale.max(1.0) / 1.2).log2().round().max(0.0) as usize;
    level.min(levels - 1)
}

/// Halves `channels`-channel pixels; an odd last row or column is repeated.
fn halve(width: usize, height: usize, channels: usize, pixels: &[u8]) -> (usize, usize, Vec<u8>) {
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let mut out = Vec::with_capacity(half_width * half_height * channels);
    for y in 0..half_height {
        let rows = [2 * y, (2 * y + 1).min(height - 1)];
        for x in 0..half_width {
            let columns = [2 * x, (2 * x + 1).min(width - 1)];
            for c in 0..channels {
                let sum: u32 = rows
                    .iter()
                    .flat_map(|row| {
                        columns
                            .iter()
                            .map(move |column| (row * width + column) * channels + c)
                    })
                    .map(|index| u32::from(pixels[index]))
                    .sum();
                out.push(((sum + 2) / 4) as u8);
            }
        }
    }
    (half_width, half_height, out)
}

#[derive(Clone)]
struct Level {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

fn levels(width: usize, height: usize, channels: usize, pixels: Vec<u8>) -> Vec<Level> {
    let mut levels = vec![Level {
        width,
        height,
        pixels,
    }];
    while let Some(last) = levels
        .last()
        .filter(|level| level.width.min(level.height) > 8)
    {
        let (width, height, pixels) = halve(last.width, last.height, channels, &last.pixels);
        levels.push(Level {
            width,
            height,
            pixels,
        });
    }
    levels
}

/// A cut-out: RGBA, 8 bits, colours multiplied by alpha.
#[derive(Clone)]
pub struct Sprite {
    levels: Vec<Level>,
}

impl Sprite {
    /// From straight (not premultiplied) RGBA.
    pub fn from_rgba(picture: &RgbaImage) -> Self {
        let premultiplied = picture
            .pixels()
            .flat_map(|pixel| {
                let [r, g, b, a] = pixel.0;
                let scale = |c: u8| ((u32::from(c) * u32::from(a) + 127) / 255) as u8;
                [scale(r), scale(g), scale(b), a]
            })
            .collect();
        Self {
            levels: levels(
                picture.width() as usize,
                picture.height() as usize,
                4,
                premultiplied,
            ),
        }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.levels[0].width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.levels[0].height
    }

    /// Whether the pixel at whole coordinates is opaque by at least half; outside is not.
    pub fn is_solid(&self, x: isize, y: isize) -> bool {
        let level = &self.levels[0];
        let inside = x >= 0 && y >= 0 && (x as usize) < level.width && (y as usize) < level.height;
        inside && level.pixels[(y as usize * level.width + x as usize) * 4 + 3] >= 128
    }

    /// The level for an output pixel that covers `scale` source pixels.
    pub fn level(&self, scale: f32) -> usize {
        level_for(scale, self.levels.len())
    }

    /// Premultiplied RGBA (0..1) at a position in full-size pixels, pixel centres at halves; transparent outside.
    pub fn sample(&self, level: usize, x: f32, y: f32) -> [f32; 4] {
        let Level {
            width,
            height,
            pixels,
        } = &self.levels[level];
        let shrink = 1.0 / (1u32 << level) as f32;
        let (x, y) = (x * shrink - 0.5, y * shrink - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = (x - left, y - top);
        let (left, top) = (left as isize, top as isize);
        let (width, height) = (*width as isize, *height as isize);
        let mut out = [0.0; 4];
        if left < -1 || top < -1 || left >= width || top >= height {
            return out;
        }
        for (row, weight_y) in [(top, 1.0 - fy), (top + 1, fy)] {
            for (column, weight_x) in [(left, 1.0 - fx), (left + 1, fx)] {
                if row < 0 || column < 0 || row >= height || column >= width {
                    continue;
                }
                let start = (row * width + column) as usize * 4;
                let weight = weight_x * weight_y * (1.0 / 255.0);
                for (out, &value) in out.iter_mut().zip(&pixels[start..start + 4]) {
                    *out += weight * f32::from(value);
                }
            }
        }
        out
    }
}

/// An opaque picture: RGB, 8 bits.
#[derive(Clone)]
pub struct Surface {
    levels: Vec<Level>,
}

impl Surface {
    /// From RGB.
    pub fn from_rgb(picture: &RgbImage) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        Self {
            levels: levels(width, height, 3, picture.as_raw().clone()),
        }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.levels[0].width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.levels[0].height
    }

    /// The level for an output pixel that covers `scale` source pixels.
    pub fn level(&self, scale: f32) -> usize {
        level_for(scale, self.levels.len())
    }

    /// RGB (0..1) at a position in full-size pixels, pixel centres at halves; the edge is repeated outside.
    pub fn sample(&self, level: usize, x: f32, y: f32) -> [f32; 3] {
        let Level {
            width,
            height,
            pixels,
        } = &self.levels[level];
        let shrink = 1.0 / (1u32 << level) as f32;
        let x = (x * shrink - 0.5).clamp(0.0, (*width - 1) as f32);
        let y = (y * shrink - 0.5).clamp(0.0, (*height - 1) as f32);
        let (left, top) = (x as usize, y as usize);
        let (fx, fy) = (x - left as f32, y - top as f32);
        let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
        let at = |row: usize, column: usize| &pixels[(row * width + column) * 3..][..3];
        let (a, b, c, d) = (
            at(top, left),
            at(top, right),
            at(bottom, left),
            at(bottom, right),
        );
        std::array::from_fn(|i| {
            let top = f32::from(a[i]) * (1.0 - fx) + f32::from(b[i]) * fx;
            let bottom = f32::from(c[i]) * (1.0 - fx) + f32::from(d[i]) * fx;
            (top * (1.0 - fy) + bottom * fy) * (1.0 / 255.0)
        })
    }
}
