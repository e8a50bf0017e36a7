//! Contact shadows: what is dark on the ground where a thing stands.
//!
//! Where a thing touches the ground, its surroundings are compared with the ground a little further away. A shadow is darker
//! and of nearly the same colour, and hangs together with the thing. Over ground that is too varied to tell, none is found.

use crate::luma::luma;
use crate::matte::doubt;
use crate::mean::box_mean;
use dragentity_core::scene::{Mask, Picture, raster};

/// What of a thing's height, from below, may stand on the ground.
const FEET: f32 = 0.35;
/// How far shadows are looked for, by the square root of the thing's area; the ground is what lies up to twice as far.
const REACH: f32 = 0.6;
/// Ground of which the middle half differs by more than this share tells nothing.
const VARIED: f32 = 0.35;
/// What of the ground's light is left in a shadow, at most.
const DARK: f32 = 0.82;
/// How far a shadow's shares of red and blue may be from the ground's: by the ground's light, the less of which there is the
/// less colours are to be trusted.
const TINT: f32 = 0.03;
/// What is cut off at the feet's height along more than this, by its own side, is dark ground around the thing.
const CUT: f32 = 0.4;
/// What lies on the picture's border along more than this, by its own side, is the dark of the ground: grass, or gravel.
const ON_BORDER: f32 = 1.0;
/// A shadow that is larger than this, by the thing's area, is something else.
const LARGEST: f32 = 1.5;

/// Luma, 0..255, and the shares of red and blue.
fn measured(rgb: &[u8]) -> Vec<[f32; 3]> {
    rgb.chunks_exact(3)
        .map(|p| {
            let [r, g, b] = [p[0], p[1], p[2]].map(f32::from);
            let sum = (r + g + b).max(1.0);
            [luma(p), r / sum, b / sum]
        })
        .collect()
}

/// The quarters' values between which the middle half lies, and the median.
fn quartiles(values: &mut [f32]) -> [f32; 3] {
    values.sort_by(f32::total_cmp);
    [1, 2, 3].map(|quarter| values[quarter * (values.len() - 1) / 4])
}

/// Which pixels are the shadow of a thing that covers `covered` (0..1) of each pixel; `None` when there is none to be told.
pub(super) fn found(picture: &Picture, covered: &[f32]) -> Option<Vec<bool>> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let thing = Mask {
        width: picture.width,
        height: picture.height,
        alpha: covered
            .iter()
            .map(|&c| if c > 0.02 { 255 } else { 0 })
            .collect(),
    };
    let bounds = thing.bounding_box()?;
    let area = thing.area() as f32;
    let reach = REACH * area.sqrt();
    let open = Mask {
        alpha: thing.alpha.iter().map(|&a| 255 - a).collect(),
        ..thing
    };
    let away: Vec<f32> = raster::squared_distances_within(&open)
        .into_iter()
        .map(f32::sqrt)
        .collect();
    let edge = doubt(picture.width, picture.height);
    let tall = (bounds.y1 - bounds.y0) as f32;
    let feet = (bounds.y1 as f32 - FEET * tall) as usize;
    // Without the grain of the ground, and without the thing.
    let radius = (edge * 0.5).round() as usize;
    let weighed: Vec<[f32; 4]> = measured(&picture.rgb)
        .into_iter()
        .zip(&away)
        .map(
            |([l, r, b], &away)| {
                if away > 0.0 { [l, r, b, 1.0] } else { [0.0; 4] }
            },
        )
        .collect();
    let seen: Vec<[f32; 3]> = box_mean(&weighed, width, height, radius)
        .into_iter()
        .map(|[l, r, b, n]| [l, r, b].map(|v| v / n.max(1e-6)))
        .collect();
    let ground: Vec<usize> = (feet * width..width * height)
        .filter(|&at| away[at] > reach && away[at] < 2.0 * reach)
        .collect();
    if ground.len() < 32 {
        return None;
    }
    let of = |channel: usize| {
        quartiles(
            &mut ground
                .iter()
                .map(|&at| seen[at][channel])
                .collect::<Vec<_>>(),
        )
    };
    let (light, red, blue) = (of(0), of(1), of(2));
    if light[2] - light[0] > VARIED * light[1] {
        return None;
    }
    let dark = |at: usize| {
        let [l, r, b] = seen[at];
        away[at] > 0.0
            && away[at] < 1.5 * reach
            && l < DARK * light[1]
            && (r - red[1]).abs() * l < TINT * light[1]
            && (b - blue[1]).abs() * l < TINT * light[1]
    };
    // From the thing outwards.
    let mut shadow = vec![false; width * height];
    let mut todo: Vec<usize> = (feet * width..width * height)
        .filter(|&at| away[at] <= 2.0 * edge && dark(at))
        .collect();
    for &at in &todo {
        shadow[at] = true;
    }
    let mut size = todo.len();
    // How much of it goes on above the feet, and beyond the picture.
    let (mut cut, mut on_border) = (0, 0);
    while let Some(at) = todo.pop() {
        let (x, y) = (at % width, at / width);
        cut += usize::from(y == feet && y > 0 && dark(at - width));
        let around = [
            (x > 0).then(|| at - 1),
            (x + 1 < width).then(|| at + 1),
            (y > feet).then(|| at - width),
            (y + 1 < height).then(|| at + width),
        ];
        on_border += usize::from(x == 0 || x + 1 == width || y + 1 == height);
        for next in around.into_iter().flatten() {
            if !shadow[next] && dark(next) {
                shadow[next] = true;
                size += 1;
                todo.push(next);
            }
        }
    }
    let least = 8.max((0.002 * area) as usize);
    let fits = (least..=(LARGEST * area) as usize).contains(&size);
    let side = (size as f32).sqrt();
    let whole = cut as f32 <= CUT * side && on_border as f32 <= ON_BORDER * side;
    (fits && whole).then_some(shadow)
}
