//! Wan-Move's `tracks.npy`, `[1, F, N, 2]` or `[F, N, 2]`, x and y in pixels of the picture as it is stored (float32), and
//! `visibility.npy`, `[1, F, N]` or `[F, N]` (truths). F is 81.

use super::npy::{self, Array};
use super::track::{Timing, Track, path};
use super::{File, Format, Found, Target, refuse};
use crate::error::Result;

const FRAMES: usize = 81;

pub(super) fn write(tracks: &[Track<'_>], target: Target) -> Vec<(String, Vec<u8>)> {
    let frames = target.frames.unwrap_or(FRAMES);
    let all: Vec<_> = tracks
        .iter()
        .map(|track| track.pixels(frames, target.size))
        .collect();
    let each = (0..frames).flat_map(|frame| all.iter().map(move |points| points[frame]));
    let places = each.clone().flatten().map(|v| v as f32);
    let size = target.size.map(f64::from);
    let seen = |p: [f64; 2]| (0..2).all(|i| p[i] >= 0.0 && p[i] < size[i]);
    let visible = each.map(|p| u8::from(seen(p)));
    let count = tracks.len();
    vec![
        (
            "tracks.npy".into(),
            npy::write(
                "<f4",
                &[1, frames, count, 2],
                places.flat_map(f32::to_le_bytes),
            ),
        ),
        (
            "visibility.npy".into(),
            npy::write("|b1", &[1, frames, count], visible),
        ),
    ]
}

pub(super) fn read(files: &[File], size: [u32; 2]) -> Result<Found> {
    let mut tracks = None;
    let mut visibility = None;
    for file in files {
        let array = Array::read(file)?;
        let place = match array.is_bool || array.shape.last() != Some(&2) {
            true => &mut visibility,
            false => &mut tracks,
        };
        if place.replace((file, array)).is_some() {
            return refuse(format!(
                "{}: is a second array of that kind; Wan-Move's are tracks.npy and visibility.npy",
                file.name
            ));
        }
    }
    let Some((file, array)) = tracks else {
        return refuse("there is no tracks.npy among the arrays, [1, F, N, 2] with positions");
    };
    let ([1, frames, count, 2] | [frames, count, 2]) = *array.shape else {
        return refuse(format!(
            "{}: has the shape {:?}, and Wan-Move's tracks [1, F, N, 2]",
            file.name, array.shape
        ));
    };
    let mut notes = Vec::new();
    if let Some((file, visible)) = visibility {
        if visible.numbers.len() != frames * count {
            return refuse(format!(
                "{}: has the shape {:?}, and the tracks are {count} in {frames} frames",
                file.name, visible.shape
            ));
        }
        if visible.numbers.contains(&0.0) {
            notes.push(
                "some tracks are hidden in some frames; where they are then is taken as it stands"
                    .into(),
            );
        }
    }
    let mut paths = Vec::new();
    // Whoever reads it says that there are too many.
    for track in 0..count {
        let at = |frame: usize| {
            let first = 2 * (frame * count + track);
            [array.numbers[first], array.numbers[first + 1]]
        };
        let points: Vec<_> = (0..frames).map(at).collect();
        let what = format!("track {}", track + 1);
        paths.push(path(file, &what, &what, &points, size, Timing::Even)?);
    }
    Ok(Found {
        format: Format::WanMove,
        paths,
        frames: Some(frames),
        notes,
    })
}
