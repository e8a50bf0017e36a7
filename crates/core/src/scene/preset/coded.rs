//! Masks in a link: a few hundred bytes for what takes thousands as runs.
//!
//! A bit a pixel, row by row, each told by how likely it is beside the ten around it that are known already (the template of JBIG,
//! ITU-T T.82), by an adaptive binary arithmetic coder. What it knows of outlines before the first pixel it has learned from
//! [`lesson`]: a link has too few pixels to learn from. The rasters are as coarse as a mask bears ([`coarse`]): most of an outline's
//! bits say how it wavers between one pixel and the next, which nobody has drawn.

use super::{EDIT_SIDE, hard};
use crate::scene::Mask;

/// Of pixels in one of two masks, how many are in both after a link, at least: what comes back differs from what was sent by less
/// than two careful people's outlines do. Where that makes too long a link, the next.
pub(super) const ALIKE: [f64; 6] = [0.972, 0.955, 0.93, 0.9, 0.85, 0.8];
/// Below that masks become coarser only if the link becomes short by it.
pub(super) const STILL_ALIKE: f64 = 0.9;
/// Longer sides of the rasters, the first that bears a mask is taken.
const SIDES: [u32; 12] = [48, 64, 80, 96, 128, 160, 192, 224, 256, 320, 384, 448];

/// The mask at the coarsest raster that bears it so well; [`EDIT_SIDE`] pixels at most.
pub(super) fn coarse(mask: &Mask, least: f64) -> Mask {
    let longer = mask.width.max(mask.height).max(1);
    SIDES
        .into_iter()
        .filter(|side| *side < longer)
        .map(|side| hard(mask, side))
        .find(|coarse| alike(mask, &coarse.resized(mask.width, mask.height)) >= least)
        .unwrap_or_else(|| hard(mask, EDIT_SIDE))
}

/// Intersection over union of two masks of one size; 1 where both are empty.
fn alike(a: &Mask, b: &Mask) -> f64 {
    let (mut both, mut any) = (0u32, 0u32);
    for (a, b) in a.alpha.iter().zip(&b.alpha) {
        let (a, b) = (*a >= 128, *b >= 128);
        both += u32::from(a && b);
        any += u32::from(a || b);
    }
    match any {
        0 => 1.0,
        _ => f64::from(both) / f64::from(any),
    }
}

/// Writes masks, one behind the other.
pub(super) fn encode<'a>(masks: impl Iterator<Item = &'a Mask>) -> Vec<u8> {
    let mut coder = Encoder::default();
    let mut model = Model::taught();
    for mask in masks {
        model.each(mask.width, mask.height, |p, i| {
            let inside = mask.alpha.get(i).is_some_and(|a| *a >= 128);
            coder.put(inside, p);
            inside
        });
    }
    coder.finish()
}

/// Reads what [`encode`] has written, given how large each is; of bytes that are missing, or others, it makes other masks.
pub(super) struct Decoder<'a> {
    bits: Bits<'a>,
    model: Model,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bits: Bits::new(bytes),
            model: Model::taught(),
        }
    }

    /// The next mask.
    pub(super) fn mask(&mut self, width: u32, height: u32) -> Mask {
        let mut mask = Mask::empty(width, height);
        let bits = &mut self.bits;
        self.model.each(width, height, |p, i| {
            let inside = bits.take(p);
            if inside {
                mask.alpha[i] = 255;
            }
            inside
        });
        mask
    }

    /// Whether there was less than what was read: a link that is cut short.
    pub(super) fn is_short(&self) -> bool {
        self.bits.beyond > Bits::AHEAD
    }
}

/// What is expected where: for each neighbourhood how likely its pixel is inside, in parts of 65,536, and by how many it was learned.
struct Model(Box<[(u16, u16); 1 << 10]>);

impl Model {
    /// How many pixels a neighbourhood remembers.
    const MEMORY: u16 = 250;

    /// One that has seen outlines.
    fn taught() -> Self {
        let mut model = Self(Box::new([(1 << 15, 0); 1 << 10]));
        let mask = lesson();
        model.each(mask.width, mask.height, |_, i| mask.alpha[i] >= 128);
        // A link's own outlines are to count for more.
        for (_, seen) in model.0.iter_mut() {
            *seen = (*seen).min(12);
        }
        model
    }

    /// Goes over the pixels of a mask: `bit` is given how likely one is inside, in parts of 65,536, and its index, and says whether it is.
    fn each(&mut self, width: u32, height: u32, mut bit: impl FnMut(u16, usize) -> bool) {
        let width = width as usize;
        // The rows above, with two pixels of the outside at either end.
        let mut rows = [
            vec![0u16; width + 4],
            vec![0; width + 4],
            vec![0; width + 4],
        ];
        for y in 0..height as usize {
            for x in 0..width {
                let [far, near, own] = &rows;
                let around = [
                    far[x + 1],
                    far[x + 2],
                    far[x + 3],
                    near[x],
                    near[x + 1],
                    near[x + 2],
                    near[x + 3],
                    near[x + 4],
                    own[x],
                    own[x + 1],
                ];
                let context = around.into_iter().fold(0, |bits, bit| 2 * bits + bit);
                let (p, seen) = &mut self.0[usize::from(context)];
                let inside = bit(*p, y * width + x);
                let step = 1.0 / (f32::from(*seen) + 1.6);
                let to = if inside { 65535.0 } else { 0.0 };
                *p = (f32::from(*p) + (to - f32::from(*p)) * step).clamp(24.0, 65511.0) as u16;
                *seen = (*seen + 1).min(Self::MEMORY);
                rows[2][x + 2] = u16::from(inside);
            }
            rows.rotate_left(1);
            rows[2].fill(0);
        }
    }
}

/// Round, straight and slanting edges, wide and narrow.
fn lesson() -> Mask {
    let mut mask = Mask::empty(160, 120);
    for [x, y, to_x, to_y, r] in [
        [0.2, 0.25, 0.2, 0.25, 0.13],
        [0.5, 0.1, 0.6, 0.4, 0.04],
        [0.8, 0.3, 0.9, 0.25, 0.1],
        [0.1, 0.7, 0.45, 0.8, 0.06],
        [0.6, 0.6, 0.62, 0.95, 0.05],
        [0.8, 0.65, 0.9, 0.9, 0.02],
    ] {
        mask.brush([x, y], [to_x, to_y], r, true);
    }
    mask
}

/// Narrows a span of numbers, bit by bit, and writes of them what is certain.
struct Encoder {
    low: u32,
    high: u32,
    bytes: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            low: 0,
            high: u32::MAX,
            bytes: Vec::new(),
        }
    }
}

/// Where a span is cut: below it is inside.
fn cut(low: u32, high: u32, p: u16) -> u32 {
    low + ((u64::from(high - low) * u64::from(p)) >> 16) as u32
}

impl Encoder {
    fn put(&mut self, inside: bool, p: u16) {
        let cut = cut(self.low, self.high, p);
        match inside {
            true => self.high = cut,
            false => self.low = cut + 1,
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.bytes.push((self.high >> 24) as u8);
            self.low <<= 8;
            self.high = (self.high << 8) | 255;
        }
    }

    /// The bytes; zeros follow the last, which need not be written.
    fn finish(mut self) -> Vec<u8> {
        // The shortest number of the span with nothing but zeros behind it.
        for bytes in 0..4u32 {
            let kept = u32::MAX.checked_shl(32 - 8 * bytes).unwrap_or(0);
            let up = self.low.checked_add(!kept).map(|n| n & kept);
            if let Some(number) = up.filter(|n| *n >= self.low && *n <= self.high) {
                let number = number.to_be_bytes();
                self.bytes.extend(&number[..bytes as usize]);
                return self.bytes;
            }
        }
        self.bytes.extend(self.low.to_be_bytes());
        self.bytes
    }
}

/// Follows [`Encoder`].
struct Bits<'a> {
    low: u32,
    high: u32,
    value: u32,
    bytes: &'a [u8],
    /// How many bytes were asked for that are not there.
    beyond: u32,
}

impl<'a> Bits<'a> {
    /// How many bytes it is ahead of what is certain.
    const AHEAD: u32 = 4;

    fn new(bytes: &'a [u8]) -> Self {
        let mut bits = Self {
            low: 0,
            high: u32::MAX,
            value: 0,
            bytes,
            beyond: 0,
        };
        for _ in 0..4 {
            bits.value = (bits.value << 8) | bits.byte();
        }
        bits
    }

    fn byte(&mut self) -> u32 {
        match self.bytes.split_first() {
            Some((byte, rest)) => {
                self.bytes = rest;
                u32::from(*byte)
            }
            None => {
                self.beyond = self.beyond.saturating_add(1);
                0
            }
        }
    }

    fn take(&mut self, p: u16) -> bool {
        let cut = cut(self.low, self.high, p);
        let inside = self.value <= cut;
        match inside {
            true => self.high = cut,
            false => self.low = cut + 1,
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.low <<= 8;
            self.high = (self.high << 8) | 255;
            self.value = (self.value << 8) | self.byte();
        }
        inside
    }
}
