//! Masks of what moves by itself, for videos that come without any: a grid of points is followed, the camera is what most
//! of them agree on, and neighbours that move alike but otherwise than the camera are one thing.

use super::flow::Motion;
use super::patch::{Turn, follow};
use super::pyramid::Pyramid;
use dragentity_core::Video;
use dragentity_core::scene::Mask;
use rayon::prelude::*;

/// Points along the longer side.
const CELLS: usize = 40;
/// Pixels within which a point must come back to where it was.
const COMES_BACK: f32 = 1.0;
/// Least distance from where the camera takes a point: in pixels, and as a share of the frame's longer side.
const MOVES: (f32, f32) = (1.5, 0.012);
/// Neighbours belong together whose ways have directions with at least this cosine. (Lengths say less: windows that a
/// thing fills but partly are found part of the way.)
const ALIKE: f32 = 0.5;
/// Things smaller than this share of the largest one are taken for mistakes at its edge.
const BESIDE_LARGEST: f32 = 0.15;
/// Least share of the frame that a thing covers.
const SMALLEST: f32 = 0.004;

/// At most `most` masks, of the size of the frames, the largest first; none where nothing moves by itself.
pub fn masks(video: &Video, most: usize) -> Vec<Mask> {
    let (width, height) = (video.width as usize, video.height as usize);
    let step = (width.max(height) as f32 / CELLS as f32).max(3.0);
    let (columns, rows) = (
        (width as f32 / step) as usize,
        (height as f32 / step) as usize,
    );
    if video.frames.len() < 2 || columns < 3 || rows < 3 {
        return Vec::new();
    }
    let cell = [width as f32 / columns as f32, height as f32 / rows as f32];
    let home = |at: usize| {
        let (column, row) = (at % columns, at / columns);
        [
            (column as f32 + 0.5) * cell[0],
            (row as f32 + 0.5) * cell[1],
        ]
    };
    let Some(ways) = ways(video, (0..columns * rows).map(home).collect()) else {
        return Vec::new();
    };
    let longer = width.max(height) as f32;
    let pairs: Vec<_> = ways
        .iter()
        .enumerate()
        .filter_map(|(at, end)| Some((home(at), (*end)?)))
        .collect();
    let middle = [width as f32 / 2.0, height as f32 / 2.0];
    let camera = Motion {
        home: middle,
        place: middle,
        turn: Turn::NONE,
    }
    .fitted(&pairs, longer);
    // How each point moves beside the camera.
    let own: Vec<Option<[f32; 2]>> = ways
        .iter()
        .enumerate()
        .map(|(at, end)| {
            let (end, expected) = ((*end)?, camera.of(home(at)));
            let way = [end[0] - expected[0], end[1] - expected[1]];
            (way[0].hypot(way[1]) > MOVES.0.max(MOVES.1 * longer)).then_some(way)
        })
        .collect();
    let mut things = components(&own, columns);
    things.retain(|thing| thing.len() as f32 >= (SMALLEST * own.len() as f32).max(3.0));
    things.sort_by_key(|thing| std::cmp::Reverse(thing.len()));
    let largest = things.first().map_or(0, Vec::len) as f32;
    things.retain(|thing| thing.len() as f32 >= BESIDE_LARGEST * largest);
    let mask = |thing: Vec<usize>| {
        let mut small = Mask::empty(columns as u32, rows as u32);
        for at in thing {
            small.alpha[at] = 255;
        }
        close(&mut small);
        small.resized(video.width, video.height)
    };
    let masks = things.into_iter().take(most).map(mask);
    masks.filter(|mask| !mask.is_empty()).collect()
}

/// Where the points of the first frame are in the last; `None` for those that get lost, and for all when most do.
fn ways(video: &Video, homes: Vec<[f32; 2]>) -> Option<Vec<Option<[f32; 2]>>> {
    let pyramid = |rgb: &Vec<u8>| Pyramid::new(rgb, video.width as usize, video.height as usize);
    let mut before = pyramid(&video.frames[0]);
    let mut at: Vec<Option<[f32; 2]>> = homes.into_iter().map(Some).collect();
    for frame in &video.frames[1..] {
        let now = pyramid(frame);
        at.par_iter_mut().for_each(|at| {
            *at = at.and_then(|from| {
                let there = follow(&before, &now, from, from, |_, _| 1.0)?.at;
                let back = follow(&now, &before, there, from, |_, _| 1.0)?.at;
                ((back[0] - from[0]).hypot(back[1] - from[1]) < COMES_BACK).then_some(there)
            });
        });
        before = now;
    }
    let found = at.iter().flatten().count();
    (5 * found >= at.len()).then_some(at)
}

/// Connected cells that move alike.
fn components(own: &[Option<[f32; 2]>], columns: usize) -> Vec<Vec<usize>> {
    let mut taken = vec![false; own.len()];
    let mut found = Vec::new();
    for start in 0..own.len() {
        if taken[start] || own[start].is_none() {
            continue;
        }
        taken[start] = true;
        let (mut thing, mut open) = (Vec::new(), vec![start]);
        while let Some(at) = open.pop() {
            thing.push(at);
            let Some(way) = own[at] else { continue };
            let (column, row) = (at % columns, at / columns);
            for (dx, dy) in [(0, -1), (-1, 0), (1, 0), (0, 1)] {
                let (Some(x), Some(y)) =
                    (column.checked_add_signed(dx), row.checked_add_signed(dy))
                else {
                    continue;
                };
                let next = y * columns + x;
                if x >= columns || next >= own.len() || taken[next] {
                    continue;
                }
                let Some(other) = own[next] else { continue };
                let alike = way[0] * other[0] + way[1] * other[1];
                if alike > ALIKE * way[0].hypot(way[1]) * other[0].hypot(other[1]) {
                    taken[next] = true;
                    open.push(next);
                }
            }
        }
        found.push(thing);
    }
    found
}

/// Cells that most of their neighbours surround belong to the thing: points get lost where colours are even.
fn close(mask: &mut Mask) {
    let (width, height) = (mask.width as i32, mask.height as i32);
    let before = mask.alpha.clone();
    for y in 0..height {
        for x in 0..width {
            let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (x + dx, y + dy)));
            let inside = around
                .filter(|(u, v)| (0..width).contains(u) && (0..height).contains(v))
                .filter(|(u, v)| before[(v * width + u) as usize] >= 128)
                .count();
            if inside >= 5 {
                mask.alpha[(y * width + x) as usize] = 255;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two patterned squares over waves, under a camera that pans.
    fn film(frames: usize, moves: bool) -> Video {
        let (w, h) = (120u32, 90u32);
        let frame = |k: usize| -> Vec<u8> {
            let t = k as f32;
            let own = if moves { t } else { 0.0 };
            let pan = -1.5 * t;
            let squares = [
                [20.0 + pan + 3.0 * own, 30.0, 26.0],
                [80.0 + pan, 40.0 - 2.5 * own, 20.0],
            ];
            (0..w * h)
                .flat_map(|i| {
                    let p = [(i % w) as f32, (i / w) as f32];
                    let mut colour = {
                        let q = [p[0] - pan, p[1]];
                        let wave = |a: f32, b: f32| 120.0 + 70.0 * (q[0] * a + q[1] * b).sin();
                        [wave(0.35, 0.1), wave(-0.1, 0.4), wave(0.2, 0.2)]
                    };
                    for [x, y, side] in squares {
                        let q = [p[0] - x, p[1] - y];
                        if q.iter().all(|v| (0.0..side).contains(v)) {
                            let v = 127.0 + 60.0 * (q[0] * 0.8).sin() + 60.0 * (q[1] * 0.7).cos();
                            colour = [v, 255.0 - v, 90.0];
                        }
                    }
                    colour.map(|v| v as u8)
                })
                .collect()
        };
        Video {
            width: w,
            height: h,
            fps: 8,
            frames: (0..frames).map(frame).collect(),
        }
    }

    #[test]
    fn what_moves_by_itself_is_found_and_what_the_camera_moves_is_not() {
        let masks = masks(&film(5, true), 4);
        assert_eq!(masks.len(), 2);
        // The larger one first.
        for (mask, [x, y, side]) in masks
            .iter()
            .zip([[20.0, 30.0, 26.0], [80.0, 40.0, 20.0f32]])
        {
            let centre = mask.centroid().unwrap();
            let off = (centre[0] * 120.0 - x - side / 2.0).hypot(centre[1] * 90.0 - y - side / 2.0);
            assert!(off < 4.0, "{off}");
            let area = mask.area() as f32 / side.powi(2);
            assert!((0.6..1.7).contains(&area), "{area}");
        }
        assert!(super::masks(&film(5, false), 4).is_empty());
        assert!(super::masks(&film(1, true), 4).is_empty());
    }
}
