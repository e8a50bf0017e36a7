//! SG-I2V's `traj.npy`, `[N, 2 + F, 2]` (float64): of each thing the upper left and the lower right corner of its box, then where
//! the box's middle is in each frame, x and y in pixels of 1024 x 576, which any picture is stretched to. F is 14.

use super::npy::{self, Array};
use super::track::{Timing, Track, path};
use super::{File, Format, Found, Target, refuse};
use crate::error::Result;

const SIZE: [u32; 2] = [1024, 576];
const FRAMES: usize = 14;

pub(super) fn write(
    tracks: &[Track<'_>],
    target: Target,
    notes: &mut Vec<String>,
) -> Result<(String, Vec<u8>)> {
    let frames = target.frames.unwrap_or(FRAMES);
    let mut numbers = Vec::new();
    let mut count = 0;
    let mut last = None;
    for track in tracks {
        if last == Some(track.index) {
            let note = format!(
                "{} is led by its first handle alone: the form has one box a thing",
                track.name
            );
            if notes.last() != Some(&note) {
                notes.push(note);
            }
            continue;
        }
        last = Some(track.index);
        let mask = &track.entity.mask;
        let Some(around) = mask.bounding_box() else {
            return refuse(format!("{} has an empty mask; click it again", track.name));
        };
        let scale = [
            f64::from(SIZE[0]) / f64::from(mask.width),
            f64::from(SIZE[1]) / f64::from(mask.height),
        ];
        let corner = |x: u32, y: u32| [f64::from(x) * scale[0], f64::from(y) * scale[1]];
        let corners = [corner(around.x0, around.y0), corner(around.x1, around.y1)];
        let middle = [0, 1].map(|i| (corners[0][i] + corners[1][i]) / 2.0);
        let way = track.path.offsets(frames).into_iter().map(|[x, y]| {
            [
                middle[0] + f64::from(x) * f64::from(SIZE[0]),
                middle[1] + f64::from(y) * f64::from(SIZE[1]),
            ]
        });
        numbers.extend(corners.into_iter().chain(way).flatten());
        count += 1;
    }
    let data = numbers.into_iter().flat_map(f64::to_le_bytes);
    let bytes = npy::write("<f8", &[count, 2 + frames, 2], data);
    Ok(("traj.npy".into(), bytes))
}

pub(super) fn read(file: &File) -> Result<Found> {
    let array = Array::read(file)?;
    let rows = match *array.shape {
        [_, rows, 2] if rows >= 3 => rows,
        _ => {
            return refuse(format!(
                "{}: has the shape {:?}, and SG-I2V's [N, 2 + F, 2]: two corners and a place a frame",
                file.name, array.shape
            ));
        }
    };
    let mut paths = Vec::new();
    for (i, track) in array.numbers.chunks_exact(2 * rows).enumerate() {
        let points: Vec<[f64; 2]> = track.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
        let what = format!("box {}", i + 1);
        let mut path = path(file, &what, &what, &points[2..], SIZE, Timing::Even)?;
        let fraction = |p: [f64; 2]| {
            [
                (p[0] / f64::from(SIZE[0])) as f32,
                (p[1] / f64::from(SIZE[1])) as f32,
            ]
        };
        let ([left, top], [right, bottom]) = (fraction(points[0]), fraction(points[1]));
        // Also where one is no number.
        if !(left < right && top < bottom) {
            return refuse(format!(
                "{}: the corners of {what}, {:?} and {:?}, are not its upper left and lower right one",
                file.name, points[0], points[1]
            ));
        }
        path.bounds = Some([left, top, right, bottom].map(|v| v.clamp(0.0, 1.0)));
        paths.push(path);
    }
    Ok(Found {
        format: Format::SgI2v,
        paths,
        frames: Some(rows - 2),
        notes: Vec::new(),
    })
}
