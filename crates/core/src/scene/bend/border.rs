//! Things that the picture's border cuts off: what lies on the border stays there while the thing moves into the picture.
//!
//! Nothing is known of what lies beyond. Shown as it is, a thing that is drawn away from the border ends in a straight line, and
//! continued by its mirror image it gets a second arm; so it is stretched between the border and the place it is held at, as skin
//! is, most at the border.

use super::mesh::Mesh;
use crate::scene::Mask;

/// What has this share of its length along a border on it is cut off,
const CUT: f32 = 0.5;
/// and so is what is about as broad on it as a little further in: what only touches it tapers, and a foot that stands on it spreads.
const AS_BROAD: [f32; 2] = [0.75, 1.35];
/// How much further in, as a share of the thing's length away from the border.
const FURTHER: f32 = 0.05;
/// Of the distance between the border and the handle next to it, the way that what lies there can be held back: further, the thing is
/// as it would be without. With [`ease`] it is stretched to 2.5 times its length at most.
const MOST: f32 = 0.5;

/// Which borders cut a thing off, and how far what they hold reaches into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Border {
    /// Of the picture, in pixels.
    size: [f32; 2],
    /// From left, upper, right and lower border to the nearest handle, in pixels; 0 where the border does not cut the thing off.
    reach: [f32; 4],
}

/// How far a place is from a border, inwards.
fn inwards([x, y]: [f32; 2], side: usize, [width, height]: [f32; 2]) -> f32 {
    [x, y, width - x, height - y][side]
}

/// How much of what is held at the border is held at a share of the reach.
fn ease(share: f32) -> f32 {
    (1.0 - share.clamp(0.0, 1.0)).powi(3)
}

impl Border {
    /// That of a thing in a picture of `size` pixels, which is led at `handles`, in pixels. `None` where nothing cuts it off.
    pub fn of(mask: &Mask, size: [u32; 2], handles: &[[f32; 2]]) -> Option<Self> {
        let size = size.map(|side| side.max(1) as f32);
        let cut = cut_off(mask)?;
        let nearest = |side: usize| {
            let away = handles.iter().map(|at| inwards(*at, side, size));
            away.filter(|away| away.is_finite())
                .fold(f32::INFINITY, f32::min)
        };
        let reach = [0, 1, 2, 3].map(|side| {
            let away = nearest(side);
            match cut[side] && away.is_finite() {
                true => away.max(0.0),
                false => 0.0,
            }
        });
        let any = reach.iter().any(|reach| *reach > 0.0);
        any.then_some(Self { size, reach })
    }

    /// Whether something that moves by one of these offsets, in pixels, is drawn away from a border that cuts it off.
    pub fn is_left_by(&self, offsets: impl IntoIterator<Item = [f32; 2]>) -> bool {
        // Half a pixel is not seen.
        let away = |[x, y]: [f32; 2]| {
            let way = [x, y, -x, -y];
            (0..4).any(|side| self.reach[side] > 0.0 && way[side] > 0.5)
        };
        offsets.into_iter().any(away)
    }

    /// Holds what lies on the border: `vertices` is where those of the mesh are, in pixels.
    pub fn hold(&self, mesh: &Mesh, vertices: &mut [[f32; 2]]) {
        let rest = mesh.vertices();
        for side in (0..4).filter(|side| self.reach[*side] > 0.0) {
            let (axis, reach) = (side % 2, self.reach[side]);
            let near = mesh.cell();
            // How far the border's own places are drawn inwards, and where along it they are.
            let drawn: Vec<[f32; 2]> = rest
                .iter()
                .zip(&*vertices)
                .filter(|(rest, _)| inwards(**rest, side, self.size).abs() <= near)
                .map(|(rest, now)| {
                    let by = inwards(*now, side, self.size) - inwards(*rest, side, self.size);
                    [rest[1 - axis], by]
                })
                .collect();
            for (rest, now) in rest.iter().zip(vertices.iter_mut()) {
                let depth = inwards(*rest, side, self.size);
                if depth >= reach {
                    continue;
                }
                let (mut by, mut sum) = (0.0, 0.0);
                for [along, drawn] in &drawn {
                    let apart = (along - rest[1 - axis]) / near;
                    let weight = (1.0 + apart * apart).powi(-2);
                    by += weight * drawn;
                    sum += weight;
                }
                let gap = by / sum.max(f32::MIN_POSITIVE);
                if gap <= 0.0 {
                    continue;
                }
                let most = MOST * reach;
                // All of a small gap, no more than the most of a large one, without a kink between.
                let held = gap / (1.0 + (gap / most).powi(4)).powf(0.25);
                let back = held * ease(depth / reach);
                now[axis] += if side < 2 { -back } else { back };
            }
        }
    }
}

/// Whether left, upper, right and lower border cut off what is inside a mask; `None` where none does.
fn cut_off(mask: &Mask) -> Option<[bool; 4]> {
    let bounds = mask.bounding_box()?;
    let (width, height) = (mask.width as usize, mask.height as usize);
    let inside = |x: usize, y: usize| mask.alpha.get(y * width + x).is_some_and(|&a| a >= 128);
    let count = |places: &mut dyn Iterator<Item = (usize, usize)>| {
        places.filter(|&(x, y)| inside(x, y)).count() as f32
    };
    let long = [bounds.x1 - bounds.x0, bounds.y1 - bounds.y0].map(|side| side as usize);
    // So many pixels away from a side.
    let row = |side: usize, depth: usize| match side {
        0 => count(&mut (0..height).map(|y| (depth.min(width - 1), y))),
        1 => count(&mut (0..width).map(|x| (x, depth.min(height - 1)))),
        2 => count(&mut (0..height).map(|y| ((width - 1).saturating_sub(depth), y))),
        _ => count(&mut (0..width).map(|x| (x, (height - 1).saturating_sub(depth)))),
    };
    let cut = [0, 1, 2, 3].map(|side| {
        let further = ((long[side % 2] as f32 * FURTHER) as usize).max(2);
        let (on, inner) = (row(side, 0), row(side, further).max(1.0));
        let broad = (AS_BROAD[0]..=AS_BROAD[1]).contains(&(on / inner));
        on > 0.0 && (broad || on >= CUT * long[1 - side % 2] as f32)
    });
    cut.contains(&true).then_some(cut)
}
