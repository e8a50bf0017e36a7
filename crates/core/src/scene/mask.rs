//! Masks: brush, measures, and the run-length form in which presets carry them.

use super::{Mask, Picture};
use crate::error::{Error, Result};
use image::{ImageEncoder, ImageReader};
use std::io::Cursor;

/// Longest side of a mask in pixels.
pub const MAX_SIDE: u32 = 4096;

/// A rectangle of mask pixels; `x1` and `y1` lie just outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelBox {
    /// First column.
    pub x0: u32,
    /// First row.
    pub y0: u32,
    /// One past the last column.
    pub x1: u32,
    /// One past the last row.
    pub y1: u32,
}

impl Mask {
    /// A mask with nothing inside.
    pub fn empty(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            alpha: vec![0; width as usize * height as usize],
        }
    }

    /// A mask from `width * height` bytes; 255 inside.
    ///
    /// # Errors
    /// [`Error::Job`] when a side is zero or too long, or the number of bytes is another.
    pub fn from_alpha(width: u32, height: u32, alpha: Vec<u8>) -> Result<Self> {
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return Err(Error::Job(format!(
                "a mask of {width} x {height} pixels cannot be used: each side must be 1 to {MAX_SIDE}"
            )));
        }
        if alpha.len() != width as usize * height as usize {
            return Err(Error::Job(format!(
                "a mask of {width} x {height} pixels does not have {} bytes",
                alpha.len()
            )));
        }
        Ok(Self {
            width,
            height,
            alpha,
        })
    }

    /// A mask from a picture of one, whose file `name` is: inside is what is at least half white. `of`, of `size` pixels,
    /// is what it is a mask of. Masks with a side above [`super::picture::WORKING_SIDE`] are scaled down to it.
    ///
    /// # Errors
    /// [`Error::Picture`] when it cannot be decoded, [`Error::Preset`] when its size is another or nothing is white.
    pub fn decode(bytes: &[u8], name: &str, of: &str, size: [u32; 2]) -> Result<Self> {
        let (picture, [width, height]) = Picture::decode_as_stored(bytes, name)?;
        if [width, height] != size {
            return Err(Error::Preset(format!(
                "{name} has {width} x {height} pixels and {of} {} x {}; a mask has the size of its picture",
                size[0], size[1]
            )));
        }
        let brightness = |p: &[u8]| {
            (299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2])) / 1000
        };
        let alpha = picture
            .rgb
            .chunks_exact(3)
            .map(|p| if brightness(p) >= 128 { 255 } else { 0 })
            .collect();
        let mask = Self::from_alpha(picture.width, picture.height, alpha)?;
        if mask.is_empty() {
            return Err(Error::Preset(format!(
                "{name} is black all over: a mask is white where the entity is"
            )));
        }
        Ok(mask)
    }

    /// As a grey PNG, white inside.
    ///
    /// # Errors
    /// [`Error::Picture`] if it cannot be encoded.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let refuse = |e: image::ImageError| Error::Picture {
            name: "mask".into(),
            reason: format!("cannot be written as PNG ({e}); make it again"),
        };
        let mut png = Vec::new();
        image::codecs::png::PngEncoder::new(&mut png)
            .write_image(
                &self.alpha,
                self.width,
                self.height,
                image::ExtendedColorType::L8,
            )
            .map_err(refuse)?;
        Ok(png)
    }

    /// Reads what [`Mask::to_png`] has written, every pixel as it was.
    ///
    /// # Errors
    /// [`Error::Picture`] for anything else, [`Error::Job`] when it is too large.
    pub fn from_png(bytes: &[u8], name: &str) -> Result<Self> {
        let refuse = |e: image::ImageError| Error::Picture {
            name: name.to_owned(),
            reason: format!(
                "is no mask ({e}); send a grey PNG of at most {MAX_SIDE} pixels a side"
            ),
        };
        let mut reader = ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Png);
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        reader.limits(limits);
        let grey = reader.decode().map_err(refuse)?.into_luma8();
        Self::from_alpha(grey.width(), grey.height(), grey.into_raw())
    }

    /// Whether no pixel is inside.
    pub fn is_empty(&self) -> bool {
        !self.alpha.iter().any(|&a| a >= 128)
    }

    /// Number of pixels inside.
    pub fn area(&self) -> usize {
        self.alpha.iter().filter(|&&a| a >= 128).count()
    }

    /// Share of the picture that is inside, 0 to 1.
    pub fn coverage(&self) -> f32 {
        self.area() as f32 / self.alpha.len().max(1) as f32
    }

    /// Whether the point (fractions of the picture) is inside. Points beyond the picture are not.
    pub fn contains(&self, x: f32, y: f32) -> bool {
        let (px, py) = (x * self.width as f32, y * self.height as f32);
        if !(px >= 0.0 && py >= 0.0 && px < self.width as f32 && py < self.height as f32) {
            return false;
        }
        let index = py as usize * self.width as usize + px as usize;
        self.alpha.get(index).is_some_and(|&a| a >= 128)
    }

    /// The smallest rectangle around what is inside; `None` for an empty mask.
    pub fn bounding_box(&self) -> Option<PixelBox> {
        let mut found: Option<PixelBox> = None;
        for (y, row) in self.rows().enumerate() {
            let Some(first) = row.iter().position(|&a| a >= 128) else {
                continue;
            };
            let last = row.iter().rposition(|&a| a >= 128).unwrap_or(first);
            let (x0, x1, y) = (first as u32, last as u32 + 1, y as u32);
            found = Some(match found {
                None => PixelBox {
                    x0,
                    y0: y,
                    x1,
                    y1: y + 1,
                },
                Some(b) => PixelBox {
                    x0: b.x0.min(x0),
                    y0: b.y0,
                    x1: b.x1.max(x1),
                    y1: y + 1,
                },
            });
        }
        found
    }

    /// Mean position of what is inside, in fractions of the picture; `None` for an empty mask.
    pub fn centroid(&self) -> Option<[f32; 2]> {
        let (mut sx, mut sy, mut n) = (0f64, 0f64, 0f64);
        for (y, row) in self.rows().enumerate() {
            for (x, _) in row.iter().enumerate().filter(|(_, a)| **a >= 128) {
                sx += x as f64 + 0.5;
                sy += y as f64 + 0.5;
                n += 1.0;
            }
        }
        (n > 0.0).then(|| {
            [
                (sx / n / self.width as f64) as f32,
                (sy / n / self.height as f64) as f32,
            ]
        })
    }

    /// Draws with a round brush along the segment from `from` to `to` (fractions of the picture); `radius` is a
    /// fraction of the picture's longer side. `add` paints, otherwise it erases. The rim is one pixel soft.
    /// Coordinates that are not numbers draw nothing.
    pub fn brush(&mut self, from: [f32; 2], to: [f32; 2], radius: f32, add: bool) {
        let (w, h) = (self.width as f32, self.height as f32);
        // Far outside the picture nothing is painted anyway; the clamp keeps the arithmetic exact.
        let pixel = |p: [f32; 2]| [(p[0].clamp(-4.0, 5.0)) * w, (p[1].clamp(-4.0, 5.0)) * h];
        let (a, b) = (pixel(from), pixel(to));
        if ![a[0], a[1], b[0], b[1], radius]
            .iter()
            .all(|v| v.is_finite())
            || radius <= 0.0
        {
            return;
        }
        let r = (radius.min(2.0) * w.max(h)).max(0.5);
        let range = |lo: f32, hi: f32, n: u32| {
            let from = (lo - r - 1.0).floor().clamp(0.0, n as f32) as u32;
            let to = (hi + r + 1.0).ceil().clamp(0.0, n as f32) as u32;
            from..to
        };
        let d = [b[0] - a[0], b[1] - a[1]];
        let length2 = d[0] * d[0] + d[1] * d[1];
        for y in range(a[1].min(b[1]), a[1].max(b[1]), self.height) {
            for x in range(a[0].min(b[0]), a[0].max(b[0]), self.width) {
                let p = [x as f32 + 0.5 - a[0], y as f32 + 0.5 - a[1]];
                let s = if length2 > 0.0 {
                    ((p[0] * d[0] + p[1] * d[1]) / length2).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                let distance = (p[0] - s * d[0]).hypot(p[1] - s * d[1]);
                let cover = ((r - distance + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
                let pixel = &mut self.alpha[y as usize * self.width as usize + x as usize];
                *pixel = if add {
                    (*pixel).max(cover)
                } else {
                    (*pixel).min(255 - cover)
                };
            }
        }
    }

    /// Paints everything that `other` has inside too (`other` may be of another size).
    pub fn unite(&mut self, other: &Mask) {
        let other = other.resized(self.width, self.height);
        for (a, b) in self.alpha.iter_mut().zip(other.alpha) {
            *a = (*a).max(b);
        }
    }

    /// The same mask at `width` x `height` pixels (at least one each), area-averaged when it shrinks, bilinear when it grows.
    pub fn resized(&self, width: u32, height: u32) -> Mask {
        let (width, height) = (width.max(1), height.max(1));
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let Some(image) = image::GrayImage::from_raw(self.width, self.height, self.alpha.clone())
            .filter(|i| i.width() > 0 && i.height() > 0)
        else {
            return Mask::empty(width, height);
        };
        // The triangle filter's support follows the scale, so it averages over the source pixels of each target pixel.
        let out =
            image::imageops::resize(&image, width, height, image::imageops::FilterType::Triangle);
        Mask {
            width,
            height,
            alpha: out.into_raw(),
        }
    }

    /// Lengths of alternating runs along the rows, outside first (so the first is 0 when the first pixel is inside).
    /// They add up to `width * height`. Soft edges become hard at one half.
    pub fn to_runs(&self) -> Vec<u32> {
        let mut runs = Vec::new();
        let (mut inside, mut length) = (false, 0u32);
        for &a in &self.alpha {
            if (a >= 128) != inside {
                runs.push(length);
                inside = !inside;
                length = 0;
            }
            length += 1;
        }
        runs.push(length);
        runs
    }

    /// The inverse of [`Mask::to_runs`].
    ///
    /// # Errors
    /// [`Error::Preset`] when a side is zero or too long, or the runs do not add up to all pixels.
    pub fn from_runs(width: u32, height: u32, runs: &[u32]) -> Result<Self> {
        let fail = |why: String| {
            Error::Preset(format!(
                "a mask is damaged ({why}); copy the link or file again"
            ))
        };
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return Err(fail(format!("{width} x {height} pixels")));
        }
        let total = width as u64 * height as u64;
        let sum = runs.iter().map(|&r| r as u64).sum::<u64>();
        if sum != total {
            return Err(fail(format!("runs of {sum} pixels for {width} x {height}")));
        }
        let mut alpha = Vec::with_capacity(total as usize);
        for (i, &run) in runs.iter().enumerate() {
            let value = if i % 2 == 1 { 255 } else { 0 };
            alpha.resize(alpha.len() + run as usize, value);
        }
        Ok(Self {
            width,
            height,
            alpha,
        })
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.alpha.chunks_exact(self.width.max(1) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_keeps_every_pixel() {
        let mut mask = Mask::empty(17, 9);
        mask.brush([0.5, 0.5], [0.6, 0.5], 0.2, true);
        mask.alpha[3] = 77;
        let png = mask.to_png().unwrap();
        assert!(Mask::from_png(&png, "mine").unwrap() == mask);
        let error = Mask::from_png(b"x", "mine").unwrap_err().to_string();
        assert!(
            error.contains("mine") && error.contains("grey PNG"),
            "{error}"
        );
    }

    #[test]
    fn a_stroke_paints_a_capsule_and_erases_it_again() {
        let mut mask = Mask::empty(100, 50);
        mask.brush([0.3, 0.5], [0.7, 0.5], 0.1, true);
        // A rectangle of 40 x 20 pixels with two half discs of radius 10.
        let expected = 40.0 * 20.0 + std::f64::consts::PI * 100.0;
        assert!(
            (mask.area() as f64 - expected).abs() < 0.03 * expected,
            "{}",
            mask.area()
        );
        assert_eq!(
            mask.bounding_box(),
            Some(PixelBox {
                x0: 20,
                y0: 15,
                x1: 80,
                y1: 35
            })
        );
        let centre = mask.centroid().unwrap();
        assert!((centre[0] - 0.5).abs() < 1e-3 && (centre[1] - 0.5).abs() < 1e-3);
        assert!(mask.contains(0.5, 0.5) && !mask.contains(0.5, 0.9));
        assert!(
            !mask.contains(-0.1, 0.5) && !mask.contains(1.0, 0.5) && !mask.contains(f32::NAN, 0.5)
        );
        mask.brush([0.0, 0.5], [1.0, 0.5], 0.15, false);
        assert!(mask.is_empty());
        assert_eq!(mask.bounding_box(), None);
        assert_eq!(mask.centroid(), None);
    }

    #[test]
    fn wild_strokes_do_no_harm() {
        let mut mask = Mask::empty(20, 10);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30] {
            mask.brush([bad, 0.5], [bad, 0.5], 0.1, true);
            mask.brush([2.0, 2.0], [2.0, 2.0], 0.01, true);
        }
        assert!(mask.is_empty());
        mask.brush([0.5, 0.5], [0.5, 0.5], f32::MAX, true);
        assert_eq!(mask.area(), 200);
        Mask::default().brush([0.5, 0.5], [0.5, 0.5], 0.5, true);
        assert!(Mask::default().is_empty());
    }

    #[test]
    fn resizing_keeps_place_and_share() {
        let mut mask = Mask::empty(200, 100);
        mask.brush([0.25, 0.5], [0.4, 0.5], 0.1, true);
        for (w, h) in [(40, 20), (400, 200), (33, 77)] {
            let other = mask.resized(w, h);
            assert!((other.coverage() - mask.coverage()).abs() < 0.02);
            let (a, b) = (mask.centroid().unwrap(), other.centroid().unwrap());
            assert!((a[0] - b[0]).abs() < 0.02 && (a[1] - b[1]).abs() < 0.02);
        }
        let mut sum = Mask::empty(50, 50);
        sum.brush([0.9, 0.9], [0.9, 0.9], 0.05, true);
        sum.unite(&mask);
        assert!(sum.contains(0.3, 0.5) && sum.contains(0.9, 0.9));
    }

    #[test]
    fn runs_round_trip_and_bad_ones_are_refused() {
        let mut mask = Mask::empty(31, 17);
        assert_eq!(mask.to_runs(), [31 * 17]);
        mask.brush([0.0, 0.0], [0.6, 0.6], 0.2, true);
        let hard = Mask {
            alpha: mask
                .alpha
                .iter()
                .map(|&a| if a >= 128 { 255 } else { 0 })
                .collect(),
            ..mask.clone()
        };
        assert!(Mask::from_runs(31, 17, &mask.to_runs()).unwrap() == hard);
        assert_eq!(mask.to_runs()[0], 0);
        assert!(Mask::from_runs(31, 17, &[]).is_err());
        assert!(Mask::from_runs(31, 17, &[1, 2, 3]).is_err());
        assert!(Mask::from_runs(2, 2, &[u32::MAX, u32::MAX, 6]).is_err());
        assert!(Mask::from_runs(u32::MAX, u32::MAX, &[u32::MAX]).is_err());
        assert!(Mask::from_runs(0, 0, &[]).is_err());
    }
}
