//! Soft cut-outs: how much of each pixel belongs to a thing, and which colour it would have without what is behind it.
//!
//! Masks of networks are made of large pixels, and painted ones are rough. Only in a band around their edge is anything in
//! doubt; there the picture decides, by a guided filter (He, Sun, Tang: "Guided Image Filtering", 2013): the mask as a
//! linear function of the colours in a window. Where colours do not tell thing and surroundings apart, the mask's own edge
//! is kept. Then the colours on both sides of the edge are estimated from coarse to fine (Germer et al.: "Fast Multi-Level
//! Foreground Estimation", 2020), so that no rim of the old background goes along.

use super::mean::box_mean;
use dragentity_core::scene::{Mask, Picture, raster};

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

/// A thing cut out of a picture; values row by row over `bounds`.
#[derive(Clone, Debug, PartialEq)]
pub struct Matte {
    /// Where in the picture.
    pub bounds: Bounds,
    /// How much of each pixel is the thing, 0..1.
    pub alpha: Vec<f32>,
    /// The thing's own colours, 0..255.
    pub colour: Vec<[f32; 3]>,
}

/// Half the width of the band in which an edge is in doubt, in pixels: a pixel of SAM's masks, which are 256 long, and one more.
pub fn doubt(width: u32, height: u32) -> f32 {
    width.max(height) as f32 / 256.0 + 1.0
}

/// Cuts out what is under a mask (of any size, over the whole picture); `None` when nothing is.
pub fn matte(picture: &Picture, mask: &Mask) -> Option<Matte> {
    if picture.is_empty() {
        return None;
    }
    let mask = smooth(mask, picture.width, picture.height);
    let inside = mask.bounding_box()?;
    let doubt = doubt(picture.width, picture.height);
    let radius = (2.0 * doubt).round() as u32;
    let margin = radius + 2;
    let (x0, y0) = (
        inside.x0.saturating_sub(margin),
        inside.y0.saturating_sub(margin),
    );
    let (x1, y1) = (
        (inside.x1 + margin).min(picture.width),
        (inside.y1 + margin).min(picture.height),
    );
    let bounds = Bounds {
        x: x0 as usize,
        y: y0 as usize,
        width: (x1 - x0) as usize,
        height: (y1 - y0) as usize,
    };
    let (stride, area) = (picture.width as usize, bounds.width * bounds.height);
    let mut colour = Vec::with_capacity(area);
    let mut given = Vec::with_capacity(area);
    for y in bounds.y..bounds.y + bounds.height {
        let row = y * stride + bounds.x..y * stride + bounds.x + bounds.width;
        given.extend_from_slice(&mask.alpha[row.clone()]);
        let pixels = picture.rgb[row.start * 3..row.end * 3].chunks_exact(3);
        colour.extend(pixels.map(|p| [p[0], p[1], p[2]].map(f32::from)));
    }
    let alpha = refined(&colour, given, bounds, doubt, radius as usize);
    let colour = foreground(&colour, &alpha, bounds.width, bounds.height);
    Some(Matte {
        bounds,
        alpha,
        colour,
    })
}

/// A mask at the picture's size; the steps of one that is smaller, as presets have them, are made round.
fn smooth(mask: &Mask, width: u32, height: u32) -> Mask {
    let fine = mask.resized(width, height);
    let scale = width as f32 / mask.width.max(1) as f32;
    if scale < 1.5 {
        return fine;
    }
    let values: Vec<[f32; 1]> = fine.alpha.iter().map(|&a| [f32::from(a)]).collect();
    let (w, h) = (width as usize, height as usize);
    let radius = (0.75 * scale).round() as usize;
    let blurred = box_mean(&box_mean(&values, w, h, radius), w, h, radius);
    // Over two pixels from outside to inside again.
    let steep = |[v]: [f32; 1]| ((v - 127.5) * scale + 127.5).clamp(0.0, 255.0) as u8;
    Mask {
        alpha: blurred.into_iter().map(steep).collect(),
        ..fine
    }
}

/// The mask's alpha, decided by the picture within `doubt` pixels of its edge.
fn refined(
    colour: &[[f32; 3]],
    given: Vec<u8>,
    bounds: Bounds,
    doubt: f32,
    radius: usize,
) -> Vec<f32> {
    let (width, height) = (bounds.width, bounds.height);
    let hard: Vec<f32> = given
        .iter()
        .map(|&a| if a >= 128 { 1.0 } else { 0.0 })
        .collect();
    let soft: Vec<f32> = given.iter().map(|&a| f32::from(a) / 255.0).collect();
    let of = |alpha: Vec<u8>| {
        raster::squared_distances_within(&Mask {
            width: width as u32,
            height: height as u32,
            alpha,
        })
    };
    let outwards = of(given.iter().map(|&a| 255 - a.min(254)).collect());
    let inwards = of(given);
    let guided = guided(colour, &hard, width, height, radius);
    let limit = doubt * doubt;
    (0..width * height)
        .map(|at| {
            if inwards[at] > limit {
                return 1.0;
            }
            if outwards[at] > limit {
                return 0.0;
            }
            let (filtered, trust) = guided[at];
            // The filter never quite reaches either end.
            let filtered = ((filtered - 0.08) / 0.84).clamp(0.0, 1.0);
            soft[at] + (filtered - soft[at]) * trust
        })
        .collect()
}

/// For each pixel what a guided filter makes of `mask`, and how far the colours explain the mask there, 0..1.
fn guided(
    colour: &[[f32; 3]],
    mask: &[f32],
    width: usize,
    height: usize,
    radius: usize,
) -> Vec<(f32, f32)> {
    /// Variance, of colours in 0..1, below which differences count as noise.
    const NOISE: f32 = 4e-4;
    // Colour, mask, their products: means over a window of each.
    let moments: Vec<[f32; 13]> = colour
        .iter()
        .zip(mask)
        .map(|(&c, &m)| {
            let [r, g, b] = c.map(|v| v / 255.0);
            [
                r,
                g,
                b,
                m,
                r * r,
                r * g,
                r * b,
                g * g,
                g * b,
                b * b,
                r * m,
                g * m,
                b * m,
            ]
        })
        .collect();
    let moments = box_mean(&moments, width, height, radius);
    let models: Vec<[f32; 5]> = moments
        .iter()
        .map(|&[r, g, b, m, rr, rg, rb, gg, gb, bb, rm, gm, bm]| {
            let spread = m - m * m;
            if spread < 1e-4 {
                return [0.0, 0.0, 0.0, m, 0.0];
            }
            let with_mask = [rm - r * m, gm - g * m, bm - b * m];
            let slope = solve(
                [
                    rr - r * r + NOISE,
                    rg - r * g,
                    rb - r * b,
                    gg - g * g + NOISE,
                    gb - g * b,
                    bb - b * b + NOISE,
                ],
                with_mask,
            );
            let explained: f32 = slope.iter().zip(with_mask).map(|(a, c)| a * c).sum();
            let offset = m - slope[0] * r - slope[1] * g - slope[2] * b;
            [
                slope[0],
                slope[1],
                slope[2],
                offset,
                (explained / spread).clamp(0.0, 1.0),
            ]
        })
        .collect();
    let models = box_mean(&models, width, height, radius / 2);
    models
        .iter()
        .zip(colour)
        .map(|(&[r, g, b, offset, trust], c)| {
            let filtered = (r * c[0] + g * c[1] + b * c[2]) / 255.0 + offset;
            // From a third on colours tell enough, from two thirds on they are believed.
            (filtered, ((trust - 0.33) * 3.0).clamp(0.0, 1.0))
        })
        .collect()
}

/// Solves a symmetric system of three equations, given as [xx, xy, xz, yy, yz, zz], which is positive definite.
fn solve([xx, xy, xz, yy, yz, zz]: [f32; 6], [x, y, z]: [f32; 3]) -> [f32; 3] {
    let inverse = [
        yy * zz - yz * yz,
        xz * yz - xy * zz,
        xy * yz - xz * yy,
        xx * zz - xz * xz,
        xy * xz - xx * yz,
        xx * yy - xy * xy,
    ];
    let determinant = xx * inverse[0] + xy * inverse[1] + xz * inverse[2];
    if determinant.abs() < 1e-18 {
        return [0.0; 3];
    }
    let [a, b, c, d, e, f] = inverse;
    [
        (a * x + b * y + c * z) / determinant,
        (b * x + d * y + e * z) / determinant,
        (c * x + e * y + f * z) / determinant,
    ]
}

/// The colours of the thing alone, from coarse to fine: what is on top where alpha is small, what is seen where it is one.
fn foreground(colour: &[[f32; 3]], alpha: &[f32], width: usize, height: usize) -> Vec<[f32; 3]> {
    /// How strongly neighbours are alike: everywhere, and where alpha changes.
    const ALIKE: [f32; 2] = [1e-5, 1.0];
    let levels = (width.max(height) as f32).log2().ceil().max(1.0);
    let side = |full: usize, level: f32| {
        (((full as f32).powf(level / levels)).round() as usize).clamp(1, full)
    };
    let mut size = (1, 1);
    let mut estimate = vec![[0.0_f32; 6]; 1];
    for level in 0..=levels as usize {
        let (w, h) = (side(width, level as f32), side(height, level as f32));
        let from = |at: usize, (w, h): (usize, usize), (fw, fh): (usize, usize)| {
            (at / w * fh / h) * fw + (at % w) * fw / w
        };
        let full: Vec<usize> = (0..w * h)
            .map(|at| from(at, (w, h), (width, height)))
            .collect();
        estimate = (0..w * h)
            .map(|at| estimate[from(at, (w, h), size)])
            .collect();
        size = (w, h);
        let rounds = if w.max(h) <= 32 { 10 } else { 2 };
        for _ in 0..rounds {
            for y in 0..h {
                for x in 0..w {
                    let at = y * w + x;
                    let a = alpha[full[at]];
                    let mut near = [0.0_f32; 6];
                    let mut weights = 0.0;
                    let mut look = |other: usize| {
                        let weight = ALIKE[0] + ALIKE[1] * (a - alpha[full[other]]).abs();
                        weights += weight;
                        for (sum, value) in near.iter_mut().zip(estimate[other]) {
                            *sum += weight * value;
                        }
                    };
                    look(if x > 0 { at - 1 } else { at });
                    look(if x + 1 < w { at + 1 } else { at });
                    look(if y > 0 { at - w } else { at });
                    look(if y + 1 < h { at + w } else { at });
                    let (front, cross, back) = (
                        a * a + weights,
                        a * (1.0 - a),
                        (1.0 - a) * (1.0 - a) + weights,
                    );
                    let determinant = (front * back - cross * cross).max(1e-12);
                    for channel in 0..3 {
                        let seen = colour[full[at]][channel];
                        let (f, b) = (
                            a * seen + near[channel],
                            (1.0 - a) * seen + near[channel + 3],
                        );
                        estimate[at][channel] =
                            ((back * f - cross * b) / determinant).clamp(0.0, 255.0);
                        estimate[at][channel + 3] =
                            ((front * b - cross * f) / determinant).clamp(0.0, 255.0);
                    }
                }
            }
        }
    }
    estimate
        .iter()
        .zip(colour)
        .zip(alpha)
        .map(|((estimate, &seen), &alpha)| {
            if alpha >= 0.999 {
                seen
            } else {
                [estimate[0], estimate[1], estimate[2]]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: u32 = 256;

    /// A red disc on blue, its edge as soft as a camera's; and how much of each pixel it covers.
    fn disc() -> (Picture, Vec<f32>) {
        let mut rgb = Vec::new();
        let mut truth = Vec::new();
        for at in 0..SIDE * SIDE {
            let (x, y) = ((at % SIDE) as f32 - 127.5, (at / SIDE) as f32 - 127.5);
            let alpha = ((80.0 - x.hypot(y)) / 2.0 + 0.5).clamp(0.0, 1.0);
            let mix = |front: f32, back: f32| (front * alpha + back * (1.0 - alpha)).round() as u8;
            rgb.extend([mix(200.0, 20.0), mix(40.0, 60.0), mix(30.0, 190.0)]);
            truth.push(alpha);
        }
        (Picture::from_rgb(SIDE, SIDE, rgb).unwrap(), truth)
    }

    /// A mask of another radius.
    fn rough(radius: f32) -> Mask {
        let alpha = (0..SIDE * SIDE).map(|at| {
            let (x, y) = ((at % SIDE) as f32 - 127.5, (at / SIDE) as f32 - 127.5);
            if x.hypot(y) < radius { 255 } else { 0 }
        });
        Mask::from_alpha(SIDE, SIDE, alpha.collect()).unwrap()
    }

    fn at(matte: &Matte, x: usize, y: usize) -> (f32, [f32; 3]) {
        let b = matte.bounds;
        let inside = (b.x..b.x + b.width).contains(&x) && (b.y..b.y + b.height).contains(&y);
        if !inside {
            return (0.0, [0.0; 3]);
        }
        let index = (y - b.y) * b.width + x - b.x;
        (matte.alpha[index], matte.colour[index])
    }

    #[test]
    fn a_rough_mask_becomes_the_soft_edge_of_the_picture_in_the_things_own_colour() {
        let (picture, truth) = disc();
        for radius in [79.0, 80.0, 81.0] {
            let made = matte(&picture, &rough(radius)).unwrap();
            let mut error = 0.0;
            for (index, &wanted) in truth.iter().enumerate() {
                let (x, y) = (index % SIDE as usize, index / SIDE as usize);
                let (alpha, colour) = at(&made, x, y);
                error += (alpha - wanted).abs();
                if alpha > 0.3 {
                    // Nothing of the blue behind it is left: 60 of 160.
                    assert!(colour[2] < 90.0, "{radius}: {x},{y} is {colour:?}");
                }
            }
            // A mask that is off by a pixel is wrong about 500 of them, the right one about 250.
            assert!(error < 200.0, "{radius}: {error}");
        }
    }

    #[test]
    fn where_colours_do_not_tell_the_masks_own_edge_stays() {
        let grey = Picture::from_rgb(SIDE, SIDE, vec![90; (SIDE * SIDE * 3) as usize]).unwrap();
        let mask = rough(20.0);
        let made = matte(&grey, &mask).unwrap();
        for y in 0..SIDE as usize {
            for x in 0..SIDE as usize {
                let wanted = f32::from(mask.alpha[y * SIDE as usize + x]) / 255.0;
                assert_eq!(at(&made, x, y).0, wanted, "{x},{y}");
            }
        }
    }

    #[test]
    fn the_steps_of_a_small_mask_do_not_show() {
        let grey = Picture::from_rgb(SIDE, SIDE, vec![90; (SIDE * SIDE * 3) as usize]).unwrap();
        let small = rough(80.0).resized(32, 32);
        let hard = small.alpha.iter().map(|&a| if a >= 128 { 255 } else { 0 });
        let small = Mask::from_alpha(32, 32, hard.collect()).unwrap();
        let made = matte(&grey, &small).unwrap();
        // How far the edge is from the centre: the steps are 8 pixels, of which a disc's edge shows up to half.
        for degrees in 0..360 {
            let (sin, cos) = (degrees as f32).to_radians().sin_cos();
            let place = |r: f32| ((127.5 + r * cos) as usize, (127.5 + r * sin) as usize);
            let covered = |r: &u32| {
                let (x, y) = place(*r as f32);
                at(&made, x, y).0 >= 0.5
            };
            let edge = (60..110).take_while(covered).count() + 60;
            assert!((77..=83).contains(&edge), "{degrees}: {edge}");
        }
    }

    #[test]
    fn whole_pictures_single_pixels_and_nothing_are_cut_out_too() {
        let (picture, _) = disc();
        let whole = Mask::from_alpha(1, 1, vec![255]).unwrap();
        let made = matte(&picture, &whole).unwrap();
        assert!(made.alpha.iter().all(|&a| a == 1.0));
        assert_eq!((made.bounds.width, made.bounds.height), (256, 256));
        assert!(matte(&picture, &Mask::empty(9, 9)).is_none());
        let dot = Picture::from_rgb(1, 1, vec![1, 2, 3]).unwrap();
        assert_eq!(matte(&dot, &whole).unwrap().colour, [[1.0, 2.0, 3.0]]);
        assert!(matte(&Picture::default(), &whole).is_none());
    }
}
