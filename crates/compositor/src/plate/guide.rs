//! What somebody who has an idea of the whole says: of patches that fit their surroundings, those are taken that also look like
//! it from afar.

use super::parallel::rows;
use super::patch::{RADIUS, SCALE, SIDE};
use dragentity_core::scene::Picture;
use dragentity_core::{Error, Result};

/// How much it counts that a patch looks like the guide, beside that it fits. For a guess, three times as much or a third of it make
/// plates that look less like the truth; a guide that knows the truth might count four times as much.
const WEIGHT: f32 = 1.0;
/// The same at the most, so that a sum of squares stays within 32 bits.
const MOST: f32 = 1e9;
/// Where in a patch the guide is looked at: it is smooth.
const PLACES: [usize; 3] = [0, RADIUS, 2 * RADIUS];

/// A rough idea of what is hidden: a picture of any size that shows `area` of the one to be filled. Only what it shows of the hole
/// counts.
pub struct Guide<'a> {
    /// What may be there.
    pub picture: &'a Picture,
    /// Left, top, width and height in pixels of the picture to be filled.
    pub area: [u32; 4],
}

impl Guide<'_> {
    /// # Errors
    /// [`Error::Job`] for one that shows nothing of a picture of `width * height` pixels.
    pub(super) fn check(&self, width: u32, height: u32) -> Result<()> {
        let [left, top, across, down] = self.area.map(u64::from);
        let inside = left + across <= u64::from(width) && top + down <= u64::from(height);
        if self.picture.is_empty() || across * down == 0 || !inside {
            return Err(Error::Job(format!(
                "a guide of {} x {} pixels for {across} x {down} at {left}, {top} of a picture of {width} x {height}: it has to show a \
                 part of it",
                self.picture.width, self.picture.height
            )));
        }
        Ok(())
    }
}

/// A picture's colours, 0..255, or several values of each pixel.
pub(super) struct Rough<const N: usize = 3> {
    pub width: usize,
    pub height: usize,
    pub colours: Vec<[f32; N]>,
}

/// The picture with what the guide shows in place of what is `unknown`.
pub(super) fn whole(picture: &Picture, unknown: &[bool], guide: &Guide) -> Rough {
    let mut whole = Rough::new(picture);
    let [left, top, width, height] = guide.area.map(|side| side as usize);
    let large = Rough::new(guide.picture).scaled(width, height);
    for (at, colour) in whole.colours.iter_mut().enumerate() {
        if unknown[at] {
            let (x, y) = (at % whole.width, at / whole.width);
            let x = x.clamp(left, left + width - 1) - left;
            let y = y.clamp(top, top + height - 1) - top;
            *colour = large.colours[y * width + x];
        }
    }
    whole
}

impl Rough {
    fn new(picture: &Picture) -> Self {
        let colours = picture.rgb.chunks_exact(3);
        Self {
            width: picture.width as usize,
            height: picture.height as usize,
            colours: colours
                .map(|p| [0, 1, 2].map(|c| f32::from(p[c])))
                .collect(),
        }
    }
}

impl<const N: usize> Rough<N> {
    /// Bilinear; where it gets smaller, the mean over what a pixel covers, weighed like a tent.
    pub(super) fn scaled(&self, width: usize, height: usize) -> Self {
        let sum = |taps: &[(usize, f32)], colour: &dyn Fn(usize) -> [f32; N]| {
            taps.iter().fold([0.0; N], |sum, &(from, weight)| {
                let colour = colour(from);
                std::array::from_fn(|c| sum[c] + weight * colour[c])
            })
        };
        let mut across = vec![[0.0_f32; N]; width * self.height];
        let columns = taps(self.width, width);
        rows(&mut across, width, |y, row| {
            for (out, taps) in row.iter_mut().zip(&columns) {
                *out = sum(taps, &|x| self.colours[y * self.width + x]);
            }
        });
        let mut colours = vec![[0.0_f32; N]; width * height];
        let lines = taps(self.height, height);
        rows(&mut colours, width, |y, row| {
            for (x, out) in row.iter_mut().enumerate() {
                *out = sum(&lines[y], &|y| across[y * width + x]);
            }
        });
        Self {
            width,
            height,
            colours,
        }
    }
}

/// For each of `to` pixels along a line, which of `from` have how great a part in it.
fn taps(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let step = from as f32 / to as f32;
    let reach = step.max(1.0);
    let of = |at: usize| {
        let centre = (at as f32 + 0.5) * step - 0.5;
        let first = (centre - reach).floor().max(0.0) as usize;
        let last = ((centre + reach).ceil() as usize).min(from - 1);
        let weight = |i: usize| (1.0 - (i as f32 - centre).abs() / reach).max(0.0);
        let sum: f32 = (first..=last).map(weight).sum();
        let part = (first..=last).map(|i| (i, weight(i) / sum));
        part.filter(|(_, weight)| *weight > 0.0).collect()
    };
    (0..to).map(of).collect()
}

/// What a guide says of one size of the picture.
#[derive(Clone)]
pub(super) struct Guidance {
    /// The picture as roughly as the guide knows it: what is hidden and what is known, so that they can be compared.
    colours: Vec<[i16; 3]>,
    weight: f32,
}

impl Guidance {
    /// For a level of `width * height` pixels, of what [`whole`] made with a guide.
    pub(super) fn new(whole: &Rough, guide: &Guide, width: usize, height: usize) -> Self {
        let size = [whole.width, whole.height];
        // Pixels of the guide a pixel of the picture.
        let shown = [guide.picture.width, guide.picture.height];
        let known = [0, 1].map(|axis| shown[axis] as f32 / guide.area[axis + 2] as f32);
        let finer = width as f32 / (size[0] as f32 * known[0].max(known[1]));
        let scaled = if finer > 1.0 {
            let side = |axis: usize| (size[axis] as f32 * known[axis]).round().max(1.0) as usize;
            let rough = whole.scaled(side(0).min(size[0]), side(1).min(size[1]));
            rough.scaled(width, height)
        } else {
            whole.scaled(width, height)
        };
        let looks = (SIDE * SIDE) as f32 / (PLACES.len() * PLACES.len()) as f32;
        Self {
            colours: scaled
                .colours
                .iter()
                .map(|colour| colour.map(|v| (v * SCALE) as i16))
                .collect(),
            // The less, the more there is to see that the guide does not know.
            weight: WEIGHT * looks / finer.max(1.0),
        }
    }

    /// How unlike the patches around `a` and `b` are from afar; both lie [`RADIUS`] pixels within a picture of `width`.
    #[inline]
    pub(super) fn cost(&self, width: usize, a: usize, b: usize) -> u32 {
        let corner = RADIUS * width + RADIUS;
        let mut sum = 0;
        for dy in PLACES {
            for dx in PLACES {
                let step = dy * width + dx;
                let (a, b) = (
                    self.colours[a - corner + step],
                    self.colours[b - corner + step],
                );
                for c in 0..3 {
                    let difference = i32::from(a[c]) - i32::from(b[c]);
                    sum += difference * difference;
                }
            }
        }
        (sum as f32 * self.weight).min(MOST) as u32
    }
}
