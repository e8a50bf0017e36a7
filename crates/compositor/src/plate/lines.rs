//! A guess of what is hidden without any network: the lines and borders that meet a hole go on through it (coherence transport,
//! Bornemann and Maerz 2007), in a picture so small that nothing else is seen.

use super::guide::{Guide, Rough};
use dragentity_core::scene::{Mask, Picture};
use std::sync::Arc;

/// Longer side of the guess, in pixels.
pub(super) const SIDE: usize = 64;
/// How far around a pixel those are that it is averaged of. Twice as far makes lines run on where there is none.
const REACH: i32 = 4;
/// How much more those count that lie along a line, at most.
const ALONG: f32 = 25.0;
/// Contrast above which something is a line, squared, in levels of 255.
const CONTRAST: f32 = 4.0;
/// How far pixels are averaged before it is asked how they change, and over what distance those changes are.
const SMOOTH: f32 = 1.0;
const AROUND: f32 = 3.0;
/// As far as either is felt.
const WINDOW: i32 = 7;
/// A pixel of the guess of which less is known is made up.
const KNOWN: f32 = 0.75;

/// A part of a picture, made small, with a guess at what is hidden.
pub struct Guess {
    /// What is around, and the guess.
    pub picture: Picture,
    /// Of the same size, 255 where it is a guess.
    pub hidden: Mask,
    /// Left, top, width and height of what it shows, in pixels of the picture that was made small.
    pub area: [u32; 4],
}

impl<'a> From<&'a Guess> for Guide<'a> {
    fn from(guess: &'a Guess) -> Self {
        Self {
            picture: &guess.picture,
            area: guess.area,
        }
    }
}

/// A picture with such a guess where `hidden` marks something (any alpha above 0; of the picture's size): what a network that
/// guesses better begins with.
pub fn continued(picture: &Picture, hidden: &Mask) -> Picture {
    let unknown: Vec<bool> = hidden.alpha.iter().map(|&alpha| alpha > 0).collect();
    let (width, height) = (picture.width, picture.height);
    let Some(guess) = guess(picture, &unknown, [0, 0, width, height], SIDE) else {
        return picture.clone();
    };
    let guess = guess.picture.resized(width, height);
    let mut rgb = picture.rgb.to_vec();
    for (at, _) in unknown.iter().enumerate().filter(|(_, unknown)| **unknown) {
        rgb[at * 3..][..3].copy_from_slice(&guess.rgb[at * 3..][..3]);
    }
    Picture {
        rgb: Arc::new(rgb),
        ..*picture
    }
}

/// Of the part of a picture at `area` (left, top, width, height), with `side` pixels along its longer side: what is known of it,
/// and a guess at the rest. `None` if nothing is known.
pub(super) fn guess(
    picture: &Picture,
    unknown: &[bool],
    area: [u32; 4],
    side: usize,
) -> Option<Guess> {
    let [left, top, width, height] = area.map(|side| side as usize);
    let colours = (0..width * height).map(|at| {
        let from = (top + at / width) * picture.width as usize + left + at % width;
        if unknown[from] {
            return [0.0; 4];
        }
        let [r, g, b] = [0, 1, 2].map(|c| f32::from(picture.rgb[from * 3 + c]));
        [r, g, b, 1.0]
    });
    let whole = Rough {
        width,
        height,
        colours: colours.collect(),
    };
    let longer = width.max(height);
    let scaled = |length: usize| (length * side.min(longer)).div_ceil(longer).max(1);
    let small = whole.scaled(scaled(width), scaled(height));
    let mut sketch = Sketch {
        width: small.width as i32,
        height: small.height as i32,
        known: small.colours.iter().map(|c| c[3] >= KNOWN).collect(),
        colours: small
            .colours
            .iter()
            .map(|c| [0, 1, 2].map(|i| c[i] / c[3].max(1e-6)))
            .collect(),
    };
    if !sketch.known.contains(&true) {
        return None;
    }
    let known = sketch.known.iter();
    let hidden = known.map(|&known| if known { 0 } else { 255 }).collect();
    for at in sketch.order() {
        sketch.colours[at] = sketch.continued(at);
        sketch.known[at] = true;
    }
    let rgb = sketch.colours.iter().flatten();
    let (width, height) = (small.width as u32, small.height as u32);
    Some(Guess {
        picture: Picture {
            width,
            height,
            rgb: Arc::new(rgb.map(|v| v.round().clamp(0.0, 255.0) as u8).collect()),
        },
        hidden: Mask {
            width,
            height,
            alpha: hidden,
        },
        area,
    })
}

/// A small picture that is being completed.
struct Sketch {
    width: i32,
    height: i32,
    known: Vec<bool>,
    colours: Vec<[f32; 3]>,
}

impl Sketch {
    fn at(&self, x: i32, y: i32) -> Option<usize> {
        let inside = x >= 0 && y >= 0 && x < self.width && y < self.height;
        inside.then(|| (y * self.width + x) as usize)
    }

    fn place(&self, at: usize) -> (i32, i32) {
        (at as i32 % self.width, at as i32 / self.width)
    }

    /// What is not known, those first that are nearest to what is.
    fn order(&self) -> Vec<usize> {
        let known = |x, y| self.at(x, y).is_some_and(|at| self.known[at]);
        let rim: Vec<(i32, i32)> = (0..self.known.len())
            .map(|at| self.place(at))
            .filter(|&(x, y)| {
                let beside = [(-1, 0), (1, 0), (0, -1), (0, 1)];
                known(x, y) && beside.iter().any(|(dx, dy)| !known(x + dx, y + dy))
            })
            .collect();
        let far = |at: usize| {
            let (x, y) = self.place(at);
            let distances = rim.iter().map(|(rx, ry)| (rx - x).pow(2) + (ry - y).pow(2));
            distances.min().unwrap_or(0)
        };
        let unknown = (0..self.known.len()).filter(|&at| !self.known[at]);
        let mut order: Vec<(i32, usize)> = unknown.map(|at| (far(at), at)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, at)| at).collect()
    }

    /// The mean of what is known around, most of all along the line that goes through.
    fn continued(&self, at: usize) -> [f32; 3] {
        let (x, y) = self.place(at);
        let ([nx, ny], line) = self.across(x, y);
        let weight = |dx: i32, dy: i32| {
            let (dx, dy) = (dx as f32, dy as f32);
            let aside = line * (nx * dx + ny * dy) / REACH as f32;
            // Where a line has nothing to go on with, all that is near counts a little.
            ((-0.5 * aside * aside).exp() + 1e-6) / dx.hypot(dy)
        };
        let (mut sum, mut weights) = ([0.0; 3], 0.0);
        for dy in -REACH..=REACH {
            for dx in -REACH..=REACH {
                let near = dx * dx + dy * dy <= REACH * REACH && (dx, dy) != (0, 0);
                let Some(from) = self.at(x + dx, y + dy).filter(|&at| self.known[at]) else {
                    continue;
                };
                if near {
                    let weight = weight(dx, dy);
                    weights += weight;
                    for (sum, value) in sum.iter_mut().zip(self.colours[from]) {
                        *sum += weight * value;
                    }
                }
            }
        }
        sum.map(|sum| sum / f32::max(weights, 1e-30))
    }

    /// Which way is across the line through a place, and how much it is one: 1 for none.
    fn across(&self, x: i32, y: i32) -> ([f32; 2], f32) {
        const SPAN: usize = 2 * WINDOW as usize + 1;
        let mut smooth = [[None; SPAN]; SPAN];
        for (j, row) in smooth.iter_mut().enumerate() {
            for (i, smooth) in row.iter_mut().enumerate() {
                *smooth = self.smooth(x + i as i32 - WINDOW, y + j as i32 - WINDOW);
            }
        }
        // Sums of products of how the colours change, across and down.
        let (mut xx, mut yy, mut xy, mut weights) = (0.0, 0.0, 0.0, 0.0);
        for j in 1..SPAN - 1 {
            for i in 1..SPAN - 1 {
                let (Some(left), Some(right)) = (smooth[j][i - 1], smooth[j][i + 1]) else {
                    continue;
                };
                let (Some(above), Some(below)) = (smooth[j - 1][i], smooth[j + 1][i]) else {
                    continue;
                };
                if smooth[j][i].is_none() {
                    continue;
                }
                let (dx, dy) = (i as f32 - WINDOW as f32, j as f32 - WINDOW as f32);
                let weight = (-(dx * dx + dy * dy) / (2.0 * AROUND * AROUND)).exp();
                weights += weight;
                for c in 0..3 {
                    let (gx, gy) = ((right[c] - left[c]) / 2.0, (below[c] - above[c]) / 2.0);
                    xx += weight * gx * gx;
                    yy += weight * gy * gy;
                    xy += weight * gx * gy;
                }
            }
        }
        let of = |sum: f32| sum / f32::max(weights, 1e-30);
        let (xx, yy, xy) = (of(xx), of(yy), of(xy));
        // How much more they change one way than the other.
        let contrast = (xx - yy).hypot(2.0 * xy);
        let (sin, cos) = (0.5 * (2.0 * xy).atan2(xx - yy)).sin_cos();
        (
            [cos, sin],
            1.0 + ALONG * (-CONTRAST / (contrast + 1e-9)).exp(),
        )
    }

    /// What is known at a place, averaged with what is known around it.
    fn smooth(&self, x: i32, y: i32) -> Option<[f32; 3]> {
        self.at(x, y).filter(|&at| self.known[at])?;
        const NEAR: i32 = 2;
        let (mut sum, mut weights) = ([0.0; 3], 0.0);
        for dy in -NEAR..=NEAR {
            for dx in -NEAR..=NEAR {
                let Some(at) = self.at(x + dx, y + dy).filter(|&at| self.known[at]) else {
                    continue;
                };
                let weight = (-((dx * dx + dy * dy) as f32) / (2.0 * SMOOTH * SMOOTH)).exp();
                weights += weight;
                for (sum, value) in sum.iter_mut().zip(self.colours[at]) {
                    *sum += weight * value;
                }
            }
        }
        Some(sum.map(|sum| sum / weights))
    }
}
