//! KJNodes' spline editor. `coordinates`, what other nodes read, has a position a frame, in pixels of the editor's mask:
//! `[[{"x": 1.0, "y": 2.0}, ..], ..]`, a single track without the outer list. `points_store`, what the editor keeps, has the points
//! that somebody set, of which it samples the path by its length:
//! `[{"points": [{"x": 1.0, "y": 2.0}, ..], "color": "#1f77b4", "name": "Spline 1"}, ..]`, with `isSinglePoint` for a pin.

use super::track::{Timing, Track, path};
use super::{File, Format, Found, Target, number, refuse};
use crate::error::Result;
use serde::Serialize;
use serde_json::Value;

/// Frames that the nodes behind it make unless they are told otherwise (Wan's).
const FRAMES: usize = 81;
/// The editor's own colours, in its order.
const COLOURS: [&str; 6] = [
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b",
];

#[derive(Serialize)]
pub(super) struct Point {
    x: f64,
    y: f64,
}

impl From<[f64; 2]> for Point {
    fn from(at: [f64; 2]) -> Self {
        let [x, y] = number::rounded(at);
        Self { x, y }
    }
}

#[derive(Serialize)]
struct Spline {
    points: Vec<Point>,
    color: &'static str,
    name: String,
    #[serde(rename = "isSinglePoint", skip_serializing_if = "std::ops::Not::not")]
    is_single_point: bool,
}

/// Lists of positions, for whoever reads `[[{"x": 1, "y": 2}, ..], ..]`.
pub(super) fn lists(tracks: &[Track<'_>], frames: usize, size: [u32; 2]) -> Vec<Vec<Point>> {
    let points = |track: &Track<'_>| {
        let pixels = track.pixels(frames, size);
        pixels.into_iter().map(Point::from).collect()
    };
    tracks.iter().map(points).collect()
}

pub(super) fn coordinates(tracks: &[Track<'_>], target: Target) -> (String, Vec<u8>) {
    let lists = lists(tracks, target.frames.unwrap_or(FRAMES), target.size);
    // Numbers always have a JSON form.
    let text = match lists.as_slice() {
        [single] => serde_json::to_vec(single),
        all => serde_json::to_vec(all),
    };
    ("coordinates.json".into(), text.unwrap_or_default())
}

pub(super) fn splines(
    tracks: &[Track<'_>],
    target: Target,
    notes: &mut Vec<String>,
) -> (String, Vec<u8>) {
    let size = target.size.map(f64::from);
    let spline = |(i, track): (usize, &Track<'_>)| {
        let points: Vec<Point> = match track.path.is_pin() {
            true => vec![track.path.start().map(f64::from)],
            false => track
                .path
                .cleaned()
                .points
                .iter()
                .map(|p| [f64::from(p.x), f64::from(p.y)])
                .collect(),
        }
        .into_iter()
        .map(|[x, y]| Point::from([x * size[0], y * size[1]]))
        .collect();
        Spline {
            is_single_point: points.len() == 1,
            points,
            color: COLOURS[i % COLOURS.len()],
            name: track.name.clone(),
        }
    };
    let splines: Vec<Spline> = tracks.iter().enumerate().map(spline).collect();
    if splines.iter().any(|spline| !spline.is_single_point) {
        notes.push(
            "the rhythm of the paths is left out: the editor's points have no times; kjnodes has them".into(),
        );
    }
    let text = serde_json::to_vec(&splines).unwrap_or_default();
    ("points_store.json".into(), text)
}

pub(super) fn read(file: &File, format: Format, size: [u32; 2]) -> Result<Found> {
    let value = number::json(file)?;
    let all = number::list(file, &value, "it")?;
    let mut paths = Vec::new();
    let mut frames = None;
    if format == Format::KjNodesSplines {
        for (i, spline) in all.iter().enumerate() {
            let what = format!("spline {}", i + 1);
            let name = spline.get("name").and_then(Value::as_str).unwrap_or(&what);
            let Some(points) = spline.get("points") else {
                return refuse(format!("{}: {what} has no points", file.name));
            };
            let points = number::positions(file, &what, points)?;
            let timing = Timing::ConstantSpeed;
            paths.push(path(file, &what, name, &points, size, timing)?);
        }
    } else {
        let single = all.first().is_some_and(Value::is_object);
        let tracks = if single {
            std::slice::from_ref(&value)
        } else {
            all
        };
        for (i, track) in tracks.iter().enumerate() {
            let what = format!("track {}", i + 1);
            let points = number::positions(file, &what, track)?;
            frames = frames.max(Some(points.len()));
            paths.push(path(file, &what, &what, &points, size, Timing::Even)?);
        }
    }
    Ok(Found {
        format,
        paths,
        frames,
        notes: Vec::new(),
    })
}
