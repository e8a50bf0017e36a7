//! The draft of a video: every entity cut out of the first frame and moved rigidly along its
//! trajectory, over a background whose holes are filled smoothly from their surroundings.
//! An entity that the border cuts off, and that moves away from it, is continued by its mirror image.
//!
//! The draft is what plain cut-and-paste would give. The denoiser gets its latents as a condition
//! and, in the `moved` setting, works on the difference to them: what is left to generate is what
//! cut-and-paste gets wrong (edges, what was hidden, turning, shade). The page shows it at once while
//! a path is drawn, and the evaluation uses it as a baseline. Not in the paper, whose entity
//! representation moves one averaged feature; here the entity's own latents move beside it.

use super::{Mask, Picture};

/// One entity to be moved; values are row-major over the picture.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// `width * height` values in 0..1.
    pub mask: &'a [f32],
    /// Offset from the first frame in pixels, for each frame.
    pub offsets: &'a [[f32; 2]],
}

/// What is seen where an entity went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holes {
    /// Colours from around the hole, ever coarser towards its middle; entities are continued beyond the border.
    Filled,
    /// The first frame itself: the entity stays visible at its old place, and ends where the picture ended.
    Kept,
}

/// The draft; one entry a frame.
pub struct Draft {
    /// `height * width * 3` values, in the picture's own range.
    pub frames: Vec<Vec<f32>>,
    /// How much of each pixel an entity covers, `height * width`, 0..1.
    pub coverage: Vec<Vec<f32>>,
    /// How much of each pixel was hidden in the first frame and is not any more, 0..1.
    pub holes: Vec<Vec<f32>>,
}

/// Draws the draft of `frames` frames.
///
/// `rgb` holds `height * width * 3` values; `layers` lie back to front; `background` is the camera's
/// offset in pixels for each frame. Offsets that are missing or not finite count as no motion.
pub fn draft(
    rgb: &[f32],
    width: usize,
    height: usize,
    layers: &[Layer<'_>],
    background: &[[f32; 2]],
    frames: usize,
    holes: Holes,
) -> Draft {
    let area = width * height;
    let moves: Vec<bool> = layers
        .iter()
        .map(|layer| {
            (0..frames).any(|frame| {
                let a = offset(layer.offsets, frame);
                let b = offset(background, frame);
                (a[0] - b[0]).abs() + (a[1] - b[1]).abs() > 1e-3
            })
        })
        .collect();

    // What entities in motion hide in the first frame, seen from the front.
    let mut hidden = vec![0.0_f32; area];
    for (layer, moves) in layers.iter().zip(&moves) {
        for (hidden, &mask) in hidden.iter_mut().zip(layer.mask) {
            *hidden = if *moves {
                hidden.max(mask)
            } else {
                *hidden * (1.0 - mask)
            };
        }
    }
    let plate = match holes {
        Holes::Kept => rgb.to_vec(),
        Holes::Filled => fill(rgb, &hidden, width, height),
    };

    let mut result = Draft {
        frames: Vec::with_capacity(frames),
        coverage: Vec::with_capacity(frames),
        holes: Vec::with_capacity(frames),
    };
    for frame in 0..frames {
        let camera = offset(background, frame);
        let mut image = vec![0.0; area * 3];
        let mut hole = vec![0.0; area];
        let mut coverage = vec![0.0; area];
        for y in 0..height {
            for x in 0..width {
                let at = y * width + x;
                let taps = Taps::clamped(x, y, camera, width, height);
                for channel in 0..3 {
                    image[at * 3 + channel] = taps.sample(&plate, 3, channel);
                }
                hole[at] = taps.sample(&hidden, 1, 0);
            }
        }
        for (index, layer) in layers.iter().enumerate() {
            if !moves[..=index].contains(&true) {
                // It lies still in its background, whose plate shows it, and nothing passes behind it.
                continue;
            }
            let shift = offset(layer.offsets, frame);
            for y in 0..height {
                for x in 0..width {
                    let taps = match holes {
                        Holes::Kept => Taps::inside(x, y, shift, width, height),
                        Holes::Filled => Taps::mirrored(x, y, shift, width, height),
                    };
                    let Some(taps) = taps else {
                        continue;
                    };
                    let covered = taps.sample(layer.mask, 1, 0);
                    let alpha = match holes {
                        Holes::Kept => covered,
                        Holes::Filled => {
                            let edge = Taps::clamped(x, y, shift, width, height);
                            covered.min(edge.sample(layer.mask, 1, 0))
                        }
                    };
                    if alpha <= 0.0 {
                        continue;
                    }
                    let at = y * width + x;
                    for channel in 0..3 {
                        let colour = taps.sample_masked(rgb, layer.mask, channel) / covered;
                        let pixel = &mut image[at * 3 + channel];
                        *pixel += (colour - *pixel) * alpha;
                    }
                    hole[at] *= 1.0 - alpha;
                    coverage[at] += (1.0 - coverage[at]) * alpha;
                }
            }
        }
        result.frames.push(image);
        result.coverage.push(coverage);
        result.holes.push(hole);
    }
    result
}

fn offset(offsets: &[[f32; 2]], frame: usize) -> [f32; 2] {
    match offsets.get(frame) {
        Some(o) if o[0].is_finite() && o[1].is_finite() => *o,
        _ => [0.0, 0.0],
    }
}

/// The four pixels around a point, with bilinear weights.
struct Taps {
    index: [usize; 4],
    weight: [f32; 4],
}

impl Taps {
    /// Where pixel (x, y) came from, the border repeated beyond the picture.
    fn clamped(x: usize, y: usize, shift: [f32; 2], width: usize, height: usize) -> Self {
        Self::at(x as f32 - shift[0], y as f32 - shift[1], width, height)
    }

    /// Where pixel (x, y) came from, the picture mirrored at its border; `None` beyond its mirror image.
    fn mirrored(x: usize, y: usize, shift: [f32; 2], width: usize, height: usize) -> Option<Self> {
        let mirror = |at: f32, size: usize| {
            let last = (size - 1) as f32;
            let at = if at < 0.0 { -at } else { at };
            let at = if at > last { 2.0 * last - at } else { at };
            (0.0..=last).contains(&at).then_some(at)
        };
        let sx = mirror(x as f32 - shift[0], width)?;
        let sy = mirror(y as f32 - shift[1], height)?;
        Some(Self::at(sx, sy, width, height))
    }

    /// The pixels around a point, which is taken into the picture.
    fn at(sx: f32, sy: f32, width: usize, height: usize) -> Self {
        let sx = sx.clamp(0.0, (width - 1) as f32);
        let sy = sy.clamp(0.0, (height - 1) as f32);
        let (x0, y0) = (sx as usize, sy as usize);
        let (x1, y1) = ((x0 + 1).min(width - 1), (y0 + 1).min(height - 1));
        let (fx, fy) = (sx - x0 as f32, sy - y0 as f32);
        Self {
            index: [
                y0 * width + x0,
                y0 * width + x1,
                y1 * width + x0,
                y1 * width + x1,
            ],
            weight: [
                (1.0 - fx) * (1.0 - fy),
                fx * (1.0 - fy),
                (1.0 - fx) * fy,
                fx * fy,
            ],
        }
    }

    /// Where pixel (x, y) came from, `None` beyond the picture; taps beyond it weigh nothing.
    fn inside(x: usize, y: usize, shift: [f32; 2], width: usize, height: usize) -> Option<Self> {
        let sx = x as f32 - shift[0];
        let sy = y as f32 - shift[1];
        if sx <= -1.0 || sy <= -1.0 || sx >= width as f32 || sy >= height as f32 {
            return None;
        }
        let (bx, by) = (sx.floor(), sy.floor());
        let (fx, fy) = (sx - bx, sy - by);
        let mut taps = Self {
            index: [0; 4],
            weight: [0.0; 4],
        };
        for (slot, (dx, dy)) in [(0, 0), (1, 0), (0, 1), (1, 1)].into_iter().enumerate() {
            let (px, py) = (bx as i64 + dx, by as i64 + dy);
            if px < 0 || py < 0 || px >= width as i64 || py >= height as i64 {
                continue;
            }
            taps.index[slot] = py as usize * width + px as usize;
            taps.weight[slot] =
                (if dx == 1 { fx } else { 1.0 - fx }) * (if dy == 1 { fy } else { 1.0 - fy });
        }
        Some(taps)
    }

    fn sample(&self, values: &[f32], stride: usize, channel: usize) -> f32 {
        (0..4)
            .map(|tap| values[self.index[tap] * stride + channel] * self.weight[tap])
            .sum()
    }

    fn sample_masked(&self, rgb: &[f32], mask: &[f32], channel: usize) -> f32 {
        (0..4)
            .map(|tap| {
                let index = self.index[tap];
                rgb[index * 3 + channel] * mask[index] * self.weight[tap]
            })
            .sum()
    }
}

/// A picture in which what `hidden` marks (alpha above 0; of the picture's size) is filled smoothly from its surroundings.
pub fn smooth_fill(picture: &Picture, hidden: &Mask) -> Picture {
    let rgb: Vec<f32> = picture.rgb.iter().map(|&byte| f32::from(byte)).collect();
    let hidden: Vec<f32> = hidden
        .alpha
        .iter()
        .map(|&alpha| if alpha > 0 { 1.0 } else { 0.0 })
        .collect();
    let (width, height) = (picture.width as usize, picture.height as usize);
    let filled = fill(&rgb, &hidden, width, height);
    Picture {
        rgb: std::sync::Arc::new(filled.iter().map(|v| v.round() as u8).collect()),
        ..*picture
    }
}

/// Replaces what `hidden` marks by its surroundings: averages of ever larger neighbourhoods of known
/// pixels (a push-pull pyramid), so that small holes get near colours and large ones smooth ones.
fn fill(rgb: &[f32], hidden: &[f32], width: usize, height: usize) -> Vec<f32> {
    // A soft edge is a mix of entity and background: it is not trusted.
    let known: Vec<f32> = hidden
        .iter()
        .map(|&mask| if mask < 0.02 { 1.0 } else { 0.0 })
        .collect();
    let mut out = rgb.to_vec();
    pull(&mut out, &known, width, height);
    // Beyond the edge the picture itself is better than any guess.
    for (at, &mask) in hidden.iter().enumerate() {
        let keep = if mask < 0.02 { 1.0 } else { 0.0 };
        for channel in 0..3 {
            let index = at * 3 + channel;
            out[index] = rgb[index] * keep + out[index] * (1.0 - keep);
        }
    }
    out
}

/// Fills pixels in proportion to what is unknown of them, from the next coarser level.
fn pull(rgb: &mut [f32], known: &[f32], width: usize, height: usize) {
    if known.iter().all(|&k| k >= 1.0) || (width == 1 && height == 1) {
        return;
    }
    let (cw, ch) = (width.div_ceil(2), height.div_ceil(2));
    let mut coarse = vec![0.0; cw * ch * 3];
    let mut coarse_known = vec![0.0_f32; cw * ch];
    for y in 0..height {
        for x in 0..width {
            let (from, to) = (y * width + x, (y / 2) * cw + x / 2);
            coarse_known[to] += known[from];
            for channel in 0..3 {
                coarse[to * 3 + channel] += rgb[from * 3 + channel] * known[from];
            }
        }
    }
    for (at, weight) in coarse_known.iter_mut().enumerate() {
        if *weight > 0.0 {
            for channel in 0..3 {
                coarse[at * 3 + channel] /= *weight;
            }
        }
        *weight = weight.min(1.0);
    }
    pull(&mut coarse, &coarse_known, cw, ch);
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            let unknown = 1.0 - known[at];
            if unknown <= 0.0 {
                continue;
            }
            // Half-pixel centres: pixel x lies at (x - 0.5) / 2 of the coarse grid.
            let place = [
                -((x as f32 - 0.5) / 2.0 - x as f32),
                -((y as f32 - 0.5) / 2.0 - y as f32),
            ];
            let taps = Taps::clamped(x, y, place, cw, ch);
            for channel in 0..3 {
                let index = at * 3 + channel;
                rgb[index] = rgb[index] * known[at] + taps.sample(&coarse, 3, channel) * unknown;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 16;
    const HEIGHT: usize = 12;

    /// A grey gradient with a bright square, and the square's mask.
    fn picture() -> (Vec<f32>, Vec<f32>) {
        let mut rgb = Vec::new();
        let mut mask = Vec::new();
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let inside = (2..6).contains(&x) && (3..7).contains(&y);
                let value = if inside { 1.0 } else { x as f32 / 64.0 };
                rgb.extend([value; 3]);
                mask.push(if inside { 1.0 } else { 0.0 });
            }
        }
        (rgb, mask)
    }

    #[test]
    fn whole_pixel_motion_is_exact_and_the_hole_is_filled() {
        let (rgb, mask) = picture();
        let offsets = [[0.0, 0.0], [7.0, 2.0]];
        let layer = Layer {
            mask: &mask,
            offsets: &offsets,
        };
        let made = draft(&rgb, WIDTH, HEIGHT, &[layer], &[], 2, Holes::Filled);
        assert_eq!(made.frames[0], rgb, "nothing has moved in the first frame");
        for y in 5..9 {
            for x in 9..13 {
                assert_eq!(made.frames[1][(y * WIDTH + x) * 3], 1.0, "{x},{y}");
                assert_eq!(made.coverage[1][y * WIDTH + x], 1.0);
            }
        }
        for y in 3..7 {
            for x in 2..6 {
                let value = made.frames[1][(y * WIDTH + x) * 3];
                assert!(value < 0.25, "the hole at {x},{y} still shows {value}");
                assert_eq!(made.holes[1][y * WIDTH + x], 1.0);
            }
        }
    }

    #[test]
    fn kept_holes_show_the_first_frame() {
        let (rgb, mask) = picture();
        let offsets = [[0.0, 0.0], [7.0, 0.0]];
        let layer = Layer {
            mask: &mask,
            offsets: &offsets,
        };
        let made = draft(&rgb, WIDTH, HEIGHT, &[layer], &[], 2, Holes::Kept);
        assert_eq!(made.frames[1][(4 * WIDTH + 3) * 3], 1.0);
    }

    #[test]
    fn the_front_entity_hides_the_one_behind() {
        let (mut rgb, mask) = picture();
        let behind: Vec<f32> = (0..WIDTH * HEIGHT)
            .map(|at| if at % WIDTH >= 12 { 1.0 } else { 0.0 })
            .collect();
        for (at, &inside) in behind.iter().enumerate() {
            if inside > 0.0 {
                rgb[at * 3..at * 3 + 3].copy_from_slice(&[0.5; 3]);
            }
        }
        let (a, b) = ([[0.0, 0.0], [-5.0, 0.0]], [[0.0, 0.0], [4.0, 0.0]]);
        let layers = [
            Layer {
                mask: &behind,
                offsets: &a,
            },
            Layer {
                mask: &mask,
                offsets: &b,
            },
        ];
        let made = draft(&rgb, WIDTH, HEIGHT, &layers, &[], 2, Holes::Filled);
        assert_eq!(made.frames[1][(4 * WIDTH + 8) * 3], 1.0);
        assert_eq!(made.frames[1][(9 * WIDTH + 8) * 3], 0.5);
    }

    #[test]
    fn an_entity_cut_off_by_the_border_is_continued_as_far_as_it_is_long() {
        let (mut rgb, _) = picture();
        // Five columns from the left border on, bright at the border; and one that does not touch it.
        let cut: Vec<f32> = (0..WIDTH * HEIGHT)
            .map(|at| {
                let inside = at % WIDTH < 5 && (3..7).contains(&(at / WIDTH));
                if inside { 1.0 } else { 0.0 }
            })
            .collect();
        let (_, free) = picture();
        for (at, &inside) in cut.iter().enumerate() {
            if inside > 0.0 {
                rgb[at * 3..at * 3 + 3].copy_from_slice(&[1.0 - (at % WIDTH) as f32 / 10.0; 3]);
            }
        }
        let made = |mask: &[f32], by: f32, holes| {
            let offsets = [[0.0, 0.0], [by, 0.0]];
            let layer = Layer {
                mask,
                offsets: &offsets,
            };
            let made = draft(&rgb, WIDTH, HEIGHT, &[layer], &[], 2, holes);
            let row = 5 * WIDTH;
            let colours: Vec<f32> = (0..WIDTH).map(|x| made.frames[1][(row + x) * 3]).collect();
            (colours, made.coverage[1][row..row + WIDTH].to_vec())
        };
        let (colours, coverage) = made(&cut, 3.0, Holes::Filled);
        assert!(coverage[..8].iter().all(|&c| c == 1.0), "{coverage:?}");
        assert_eq!(colours[..6], [0.7, 0.8, 0.9, 1.0, 0.9, 0.8]);
        let (_, coverage) = made(&cut, 9.0, Holes::Filled);
        assert!(coverage[..4].iter().all(|&c| c == 0.0), "{coverage:?}");
        let (_, coverage) = made(&cut, 3.0, Holes::Kept);
        assert_eq!(coverage[..3], [0.0; 3]);
        let (_, coverage) = made(&free, 7.0, Holes::Filled);
        assert!(coverage[..9].iter().all(|&c| c == 0.0), "{coverage:?}");
    }

    #[test]
    fn the_camera_moves_the_background_and_a_pin_stays() {
        let (rgb, mask) = picture();
        let (still, camera) = ([[0.0, 0.0]; 2], [[0.0, 0.0], [3.0, 0.0]]);
        let layer = Layer {
            mask: &mask,
            offsets: &still,
        };
        let made = draft(&rgb, WIDTH, HEIGHT, &[layer], &camera, 2, Holes::Filled);
        assert_eq!(made.frames[1][(4 * WIDTH + 3) * 3], 1.0, "pinned");
        let moved = made.frames[1][(WIDTH + 12) * 3];
        assert!((moved - 9.0 / 64.0).abs() < 1e-6, "{moved}");
    }

    #[test]
    fn leaving_the_frame_and_bad_numbers_are_harmless() {
        let (rgb, mask) = picture();
        let offsets = [[0.0, 0.0], [1e9, -1e9], [f32::NAN, f32::INFINITY]];
        let layer = Layer {
            mask: &mask,
            offsets: &offsets,
        };
        let made = draft(&rgb, WIDTH, HEIGHT, &[layer], &offsets, 5, Holes::Filled);
        assert_eq!(made.frames.len(), 5);
        assert!(made.frames.iter().flatten().all(|v| v.is_finite()));
    }
}
