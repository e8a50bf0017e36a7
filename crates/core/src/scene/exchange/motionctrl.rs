//! MotionCtrl's text, and Tora's: a point a line, `76, 161`, whole pixels of a canvas of 256 x 256 that any picture is stretched to,
//! one track a file. MotionCtrl's model makes 16 frames, Tora's 49; both thin out longer lists.

use super::track::{Timing, Track, path, whole_within};
use super::{File, Format, Found, Target, number, refuse};
use crate::error::Result;

const SIZE: [u32; 2] = [256, 256];

/// Files of a track each; `frames` is the model's number of them.
pub(super) fn write(
    tracks: &[Track<'_>],
    frames: usize,
    target: Target,
    notes: &mut Vec<String>,
) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for (i, track) in tracks.iter().enumerate() {
        let pixels = track.pixels(target.frames.unwrap_or(frames), SIZE);
        let points = whole_within(&track.name, &pixels, SIZE, notes);
        let lines: Vec<String> = points.iter().map(|[x, y]| format!("{x}, {y}")).collect();
        // No line end after the last one: their reader takes an empty line for a point.
        files.push((format!("{}.txt", i + 1), lines.join("\n").into_bytes()));
    }
    files
}

fn point(line: &str) -> Option<[f64; 2]> {
    let (x, y) = line.split_once(',')?;
    Some([x.trim().parse().ok()?, y.trim().parse().ok()?])
}

pub(super) fn looks_like(file: &File) -> bool {
    let first = number::text(file).ok().and_then(|text| text.lines().next());
    first.and_then(point).is_some()
}

pub(super) fn read(files: &[File]) -> Result<Found> {
    let mut paths = Vec::new();
    let mut frames = 0;
    for (i, file) in files.iter().enumerate() {
        let mut points = Vec::new();
        for (number, line) in number::text(file)?.lines().enumerate() {
            match point(line) {
                // A position is that of a pixel's centre.
                Some(point) => points.push(point.map(|v| v + 0.5)),
                None if line.trim().is_empty() => {}
                None => {
                    return refuse(format!(
                        "{}: line {} is not two numbers with a comma between them, as 76, 161",
                        file.name,
                        number + 1
                    ));
                }
            }
        }
        frames = frames.max(points.len());
        let name = format!("track {}", i + 1);
        paths.push(path(file, "it", &name, &points, SIZE, Timing::Even)?);
    }
    Ok(Found {
        format: Format::MotionCtrl,
        paths,
        frames: Some(frames),
        notes: Vec::new(),
    })
}
