//! One size of the picture: what is known of it, and which of its patches may be copied.

use super::distance::distance_to;
use super::guide::Guidance;
use super::parallel::rows;
use super::patch::{RADIUS, SCALE, SIDE};
use crate::luma::luma;

/// Values of a pixel: red, green, blue, and how much the surroundings vary from left to right and from top to bottom.
pub(super) const CHANNELS: usize = 5;
/// What variation counts beside colour: 50 times as much, squared. Without it flat patches are liked best everywhere,
/// since they are never far off.
const VARIATION: f32 = 7.0 * SCALE;
/// What is left of the trust in a pixel with each step away from what is known.
const TRUST: f32 = 0.7;
/// As many steps leave a number that is not yet nought.
const FURTHEST: u32 = 100;
/// What it costs at most to copy from far away: with it a sum of squares stays within 32 bits.
const MOST_FAR: f32 = 2e8;
/// Values of a row of a patch, and what is read at once for it.
const ROW: usize = SIDE * CHANNELS;
const READ: usize = ROW.div_ceil(8) * 8;

/// The picture at one size.
#[derive(Clone)]
pub(super) struct Level {
    pub width: usize,
    pub height: usize,
    /// [`CHANNELS`] values a pixel, row by row, and some zeros, since rows of patches are read in eights.
    pub texels: Vec<i16>,
    /// What is to be made up.
    pub unknown: Vec<bool>,
    /// Centres of the patches that may be copied: they lie in the picture, and nothing of them is unknown or forbidden.
    pub sources: Vec<bool>,
    /// Where those are, row by row.
    pub source_list: Vec<u32>,
    /// Centres of the patches that show something unknown and lie in the picture.
    pub targets: Vec<bool>,
    pub target_count: usize,
    /// What may be copied, pixel by pixel.
    pub allowed: Vec<bool>,
    /// What it costs to copy from a pixel away, to be multiplied by the square of how far it is.
    far: f32,
    /// How sure what a patch shows is, by its centre: the less, the further it is from what is known.
    pub trust: Vec<f32>,
    /// What a guide says.
    pub guidance: Option<Guidance>,
}

impl Level {
    /// From `width * height` pixels of [`CHANNELS`] values each.
    fn new(
        width: usize,
        height: usize,
        texels: Vec<i16>,
        unknown: Vec<bool>,
        allowed: Vec<bool>,
        far: f32,
    ) -> Self {
        let within = |x: usize, y: usize| {
            x >= RADIUS && y >= RADIUS && x + RADIUS < width && y + RADIUS < height
        };
        // Whether any pixel of a square around it is set, one axis after the other.
        let grown = |set: &dyn Fn(usize) -> bool| -> Vec<bool> {
            let mut across = vec![false; width * height];
            for y in 0..height {
                for x in 0..width {
                    if set(y * width + x) {
                        let row = y * width;
                        let (from, to) = (x.saturating_sub(RADIUS), (x + RADIUS).min(width - 1));
                        across[row + from..=row + to].fill(true);
                    }
                }
            }
            let mut both = vec![false; width * height];
            for y in 0..height {
                for near in y.saturating_sub(RADIUS)..=(y + RADIUS).min(height - 1) {
                    for x in 0..width {
                        both[y * width + x] |= across[near * width + x];
                    }
                }
            }
            both
        };
        let known: Vec<bool> = unknown.iter().map(|u| !u).collect();
        let trust = distance_to(width, height, &known)
            .iter()
            .map(|&far| TRUST.powi(far.min(FURTHEST) as i32))
            .collect();
        let blocked = grown(&|at| unknown[at] || !allowed[at]);
        let touched = grown(&|at| unknown[at]);
        let mut sources = vec![false; width * height];
        let mut targets = vec![false; width * height];
        let mut source_list = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let at = y * width + x;
                if !within(x, y) {
                    continue;
                }
                targets[at] = touched[at];
                sources[at] = !blocked[at];
                if sources[at] {
                    source_list.push(at as u32);
                }
            }
        }
        let target_count = targets.iter().filter(|&&t| t).count();
        Self {
            width,
            height,
            texels,
            unknown,
            sources,
            source_list,
            targets,
            target_count,
            allowed,
            far,
            trust,
            guidance: None,
        }
    }

    /// The finest level. `window` pixels is how far around a pixel its variation is averaged;
    /// `far` is [`far`]'s.
    pub(super) fn finest(
        width: usize,
        height: usize,
        rgb: &[u8],
        unknown: Vec<bool>,
        allowed: Vec<bool>,
        window: usize,
        far: f32,
    ) -> Self {
        let area = width * height;
        let variation = variation(width, height, rgb, &unknown, window);
        let mut texels = vec![0; area * CHANNELS + READ];
        for (at, texel) in texels.chunks_exact_mut(CHANNELS).take(area).enumerate() {
            if unknown[at] {
                continue;
            }
            for c in 0..3 {
                texel[c] = (f32::from(rgb[at * 3 + c]) * SCALE) as i16;
            }
            for axis in 0..2 {
                texel[3 + axis] = (variation[axis][at] * VARIATION).min(1020.0) as i16;
            }
        }
        Self::new(width, height, texels, unknown, allowed, far)
    }

    /// The same at half the size. Unknown pixels have no part in it; a pixel that is mostly unknown is unknown.
    pub(super) fn halved(&self) -> Self {
        const TAPS: [f32; 4] = [1.0, 3.0, 3.0, 1.0];
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut pixels = vec![([0_i16; CHANNELS], false, false); width * height];
        rows(&mut pixels, width, |y, row| {
            for (x, pixel) in row.iter_mut().enumerate() {
                let mut sum = [0.0; CHANNELS];
                let (mut known, mut allowed, mut all) = (0.0, 0.0, 0.0);
                for (j, down) in TAPS.iter().enumerate() {
                    for (i, across) in TAPS.iter().enumerate() {
                        let (Some(sx), Some(sy)) =
                            ((2 * x + i).checked_sub(1), (2 * y + j).checked_sub(1))
                        else {
                            continue;
                        };
                        if sx >= self.width || sy >= self.height {
                            continue;
                        }
                        let at = sy * self.width + sx;
                        let weight = down * across;
                        all += weight;
                        if self.unknown[at] {
                            continue;
                        }
                        known += weight;
                        if self.allowed[at] {
                            allowed += weight;
                        }
                        for (sum, &value) in sum.iter_mut().zip(&self.texels[at * CHANNELS..]) {
                            *sum += weight * f32::from(value);
                        }
                    }
                }
                pixel.1 = known < 0.5 * all;
                pixel.2 = allowed > 0.9 * known;
                if !pixel.1 {
                    pixel.0 = sum.map(|sum| (sum / known).round() as i16);
                }
            }
        });
        let mut texels = Vec::with_capacity(width * height * CHANNELS + READ);
        for pixel in &pixels {
            texels.extend(pixel.0);
        }
        texels.resize(texels.len() + READ, 0);
        let unknown = pixels.iter().map(|pixel| pixel.1).collect();
        let allowed = pixels.iter().map(|pixel| pixel.2).collect();
        Self::new(width, height, texels, unknown, allowed, 4.0 * self.far)
    }

    /// The values of a pixel.
    pub(super) fn texel(&self, at: usize) -> &[i16] {
        &self.texels[at * CHANNELS..][..CHANNELS]
    }

    /// What it costs to copy the patch around `b` to `a` beside what is seen of both: that it is far away, and that a guide
    /// says otherwise.
    #[inline]
    pub(super) fn beside(&self, a: usize, b: usize) -> u32 {
        let guided = self.guidance.as_ref();
        self.far(a, b) + guided.map_or(0, |guidance| guidance.cost(self.width, a, b))
    }

    #[inline]
    fn far(&self, a: usize, b: usize) -> u32 {
        let width = self.width as u32;
        let (a, b) = (a as u32, b as u32);
        let dx = (a % width).abs_diff(b % width);
        let dy = (a / width).abs_diff(b / width);
        (((dx * dx + dy * dy) as f32 * self.far).min(MOST_FAR)) as u32
    }

    /// The sum of squared differences of the patches around `a` and `b`, given up where it gets above `most`.
    ///
    /// Both have to lie [`RADIUS`] pixels within the picture.
    #[inline]
    pub(super) fn distance(&self, a: usize, b: usize, most: u32) -> u32 {
        let stride = self.width * CHANNELS;
        let corner = RADIUS * self.width + RADIUS;
        let (a0, b0) = (a, b);
        let (mut a, mut b) = ((a - corner) * CHANNELS, (b - corner) * CHANNELS);
        let mut sum = self.beside(a0, b0);
        for _ in 0..SIDE {
            sum += row_distance(&self.texels[a..a + READ], &self.texels[b..b + READ]);
            if sum > most {
                break;
            }
            a += stride;
            b += stride;
        }
        sum
    }
}

/// What it costs to copy from a pixel away from a hole whose middle is `deepest` pixels within. From as far away as that it is
/// as much as a difference of 2 in every colour: enough to choose the nearer one of things that are equally like, and what
/// is near is more often right.
pub(super) fn far(deepest: usize) -> f32 {
    let patch = (SIDE * ROW) as f32 * (2.2 * SCALE).powi(2);
    patch / (deepest * deepest).max(1) as f32
}

/// At most 35 times 1,020 squared: seven rows fit into 32 bits.
#[inline]
fn row_distance(a: &[i16], b: &[i16]) -> u32 {
    let mut sum = 0;
    let (a, b) = (&a[..READ], &b[..READ]);
    for i in 0..ROW / 8 * 8 {
        let difference = i32::from(a[i].wrapping_sub(b[i]));
        sum += difference * difference;
    }
    // Eights again, the last of which are another pixel's and count nothing: quicker than three by themselves.
    const COUNTS: [i16; 8] = [1, 1, 1, 0, 0, 0, 0, 0];
    for i in 0..8 {
        let difference = a[READ - 8 + i].wrapping_sub(b[READ - 8 + i]);
        sum += i32::from(difference) * i32::from(difference.wrapping_mul(COUNTS[i]));
    }
    sum as u32
}

/// The mean absolute step to the next pixel, across and down, over the known pixels at most `window` away.
fn variation(
    width: usize,
    height: usize,
    rgb: &[u8],
    unknown: &[bool],
    window: usize,
) -> [Vec<f32>; 2] {
    let brightness = |at: usize| luma(&rgb[at * 3..]);
    [(1, 0), (0, 1)].map(|(dx, dy)| {
        // Sums of steps and how many there are.
        let mut steps = vec![[0.0_f32; 2]; width * height];
        for y in 0..height - dy {
            for x in 0..width - dx {
                let (at, next) = (y * width + x, (y + dy) * width + x + dx);
                if !unknown[at] && !unknown[next] {
                    steps[at] = [(brightness(at) - brightness(next)).abs(), 1.0];
                }
            }
        }
        let mut across = vec![[0.0; 2]; width * height];
        rows(&mut across, width, |y, row| {
            let steps = &steps[y * width..(y + 1) * width];
            running_sums(window, width, |x| steps[x], |x, sum| row[x] = sum);
        });
        let mut made = vec![0.0; width * height];
        for x in 0..width {
            running_sums(
                window,
                height,
                |y| across[y * width + x],
                |y, [sum, count]| made[y * width + x] = sum / count.max(1.0),
            );
        }
        made
    })
}

/// Sums over all that lies at most `window` away, for each of `length` places.
fn running_sums(
    window: usize,
    length: usize,
    get: impl Fn(usize) -> [f32; 2],
    mut put: impl FnMut(usize, [f32; 2]),
) {
    // Sums of many steps: not rounded on the way.
    let mut sum = [0.0_f64; 2];
    let mut add = |at: usize, sign: f64| {
        let value = get(at);
        sum = [
            sum[0] + sign * f64::from(value[0]),
            sum[1] + sign * f64::from(value[1]),
        ];
        sum
    };
    let mut last = [0.0; 2];
    for at in 0..window.min(length) {
        last = add(at, 1.0);
    }
    for at in 0..length {
        if at + window < length {
            last = add(at + window, 1.0);
        }
        if at > window {
            last = add(at - window - 1, -1.0);
        }
        put(at, [last[0] as f32, last[1] as f32]);
    }
}
