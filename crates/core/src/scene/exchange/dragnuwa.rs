//! DragNUWA's drags: `[[[x, y], ..], ..]`, whole pixels of 576 x 320, which is what its demo scales and cuts every picture to,
//! about the middle. Points are passed in equal steps; a track of one point is held. Its model makes 14 frames.

use super::track::{Timing, Track, path, whole_within};
use super::{File, Format, Found, Target, number};
use crate::error::Result;

const SIZE: [u32; 2] = [576, 320];
const FRAMES: usize = 14;

/// Pixels of [`SIZE`] for each fraction of the picture, and what is cut off on the left and at the top.
fn cut(picture: [u32; 2]) -> ([f64; 2], [f64; 2]) {
    let [width, height] = picture.map(|side| f64::from(side.max(1)));
    let scale = (f64::from(SIZE[0]) / width).max(f64::from(SIZE[1]) / height);
    let scaled = [width * scale, height * scale];
    let border = [0, 1].map(|i| (scaled[i] - f64::from(SIZE[i])) / 2.0);
    (scaled, border)
}

pub(super) fn write(
    tracks: &[Track<'_>],
    picture: [u32; 2],
    target: Target,
    notes: &mut Vec<String>,
) -> (String, Vec<u8>) {
    let (scaled, border) = cut(picture);
    let mut lists = Vec::new();
    for track in tracks {
        let frames = match track.path.is_pin() {
            true => 1,
            false => target.frames.unwrap_or(FRAMES),
        };
        let at = |[x, y]: [f32; 2]| {
            [
                f64::from(x) * scaled[0] - border[0],
                f64::from(y) * scaled[1] - border[1],
            ]
        };
        let points: Vec<_> = track.path.sample(frames).into_iter().map(at).collect();
        lists.push(whole_within(&track.name, &points, SIZE, notes));
    }
    // Numbers always have a JSON form.
    (
        "drags.json".into(),
        serde_json::to_vec(&lists).unwrap_or_default(),
    )
}

pub(super) fn read(file: &File, picture: [u32; 2]) -> Result<Found> {
    let (scaled, border) = cut(picture);
    let mut paths = Vec::new();
    for (i, track) in number::list(file, &number::json(file)?, "it")?
        .iter()
        .enumerate()
    {
        let what = format!("drag {}", i + 1);
        // A position is that of a pixel's centre.
        let back = |p: [f64; 2]| {
            let fraction = [0, 1].map(|i| (p[i] + 0.5 + border[i]) / scaled[i]);
            [
                fraction[0] * f64::from(picture[0]),
                fraction[1] * f64::from(picture[1]),
            ]
        };
        let points: Vec<_> = number::positions(file, &what, track)?
            .into_iter()
            .map(back)
            .collect();
        paths.push(path(file, &what, &what, &points, picture, Timing::Even)?);
    }
    Ok(Found {
        format: Format::DragNuwa,
        paths,
        frames: Some(FRAMES),
        notes: Vec::new(),
    })
}
