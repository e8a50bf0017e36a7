//! From a scene's trajectories to tracks of pixels, and back.

use super::{File, Path, refuse};
use crate::error::Result;
use crate::scene::preset::clean_name;
use crate::scene::trajectory::MAX_REACH;
use crate::scene::{Entity, Scene, Trajectory, TrajectoryPoint, parts};
use std::borrow::Cow;

/// Two positions closer than this many pixels are one: the track of a thing that stays.
const STILL: f64 = 1e-3;
/// How far points that are left out of a path may be from it, a fraction of the picture's longer side: half a pixel of a large one.
const TOLERANCE: f32 = 0.000_25;

/// One of a scene's trajectories.
pub(super) struct Track<'a> {
    /// The name of its thing.
    pub name: String,
    /// Which thing it is of, counted from 0.
    pub index: usize,
    /// Its thing.
    pub entity: &'a Entity,
    /// Where it goes.
    pub path: Cow<'a, Trajectory>,
}

/// All trajectories of a scene, and what cannot go along.
pub(super) fn of_scene(scene: &Scene) -> Result<(Vec<Track<'_>>, Vec<String>)> {
    let mut tracks = Vec::new();
    let mut notes = Vec::new();
    for (index, entity) in scene.entities.iter().enumerate() {
        let name = name(scene, index);
        // What goes along with another thing goes along here, too.
        let leader = parts::leader(&scene.entities, index);
        let along = leader
            .and_then(|leader| parts::going_along(entity, &scene.entities[leader]).trajectory);
        if along.is_none() && entity.held_by().next().is_none() {
            notes.push(format!("{name} has no path, and is left out"));
        } else if entity.poses.iter().any(|pose| !pose.is_still()) {
            notes.push(format!(
                "how {name} is turned, scaled or nearer is left out: the form has positions alone"
            ));
        }
        let paths = entity.held_by().map(Cow::Borrowed);
        tracks.extend(paths.chain(along.map(Cow::Owned)).map(|path| Track {
            name: name.clone(),
            index,
            entity,
            path,
        }));
    }
    if !scene.is_camera_still() {
        notes.push("what the camera does is left out: the form has paths of things alone".into());
    }
    if tracks.is_empty() {
        return refuse("nothing in it has a path, so there is none to write; drag a thing first");
    }
    Ok((tracks, notes))
}

/// What a thing is called, and no other: names tell whose handle a track is.
fn name(scene: &Scene, index: usize) -> String {
    let of = |entity: &Entity| clean_name(entity.name.trim());
    let name = of(&scene.entities[index]);
    let taken = scene.entities[..index].iter().any(|e| of(e) == name);
    match (name.is_empty(), taken) {
        (true, _) => format!("entity {}", index + 1),
        (false, true) => format!("{name} ({})", index + 1),
        (false, false) => name,
    }
}

impl Track<'_> {
    /// Positions in `frames` frames, in pixels of `size`.
    pub fn pixels(&self, frames: usize, size: [u32; 2]) -> Vec<[f64; 2]> {
        let at = |[x, y]: [f32; 2]| {
            [
                f64::from(x) * f64::from(size[0]),
                f64::from(y) * f64::from(size[1]),
            ]
        };
        self.path.sample(frames).into_iter().map(at).collect()
    }
}

/// Whole pixels within `size`, and a note where that pulled positions in: programs that count whole pixels look them up in pictures.
pub(super) fn whole_within(
    track: &str,
    points: &[[f64; 2]],
    size: [u32; 2],
    notes: &mut Vec<String>,
) -> Vec<[i64; 2]> {
    let inside = |p: &[f64; 2]| (0..2).all(|i| p[i] >= 0.0 && p[i] <= f64::from(size[i]));
    if !points.iter().all(inside) {
        notes.push(format!(
            "the path of {track} leaves the {} x {} pixels that the form has; it is held at their border",
            size[0], size[1]
        ));
    }
    let whole = |v: f64, side: u32| (v.floor() as i64).clamp(0, i64::from(side) - 1);
    points
        .iter()
        .map(|p| [whole(p[0], size[0]), whole(p[1], size[1])])
        .collect()
}

/// When the positions of a file are passed.
#[derive(Clone, Copy)]
pub(super) enum Timing {
    /// One after the other, in equal steps.
    Even,
    /// By how far they are apart.
    ConstantSpeed,
}

/// A path from positions in pixels of `size`; `what` is it, for a sentence. Positions that are all the same are a pin.
pub(super) fn path(
    file: &File,
    what: &str,
    name: &str,
    points: &[[f64; 2]],
    size: [u32; 2],
    timing: Timing,
) -> Result<Path> {
    let Some(&first) = points.first() else {
        return refuse(format!("{}: {what} has no position", file.name));
    };
    let reach = f64::from(MAX_REACH);
    let steps = points.len().max(2) - 1;
    let mut fractions = Vec::with_capacity(points.len());
    for (i, point) in points.iter().enumerate() {
        let [x, y] = [0, 1].map(|axis| point[axis] / f64::from(size[axis].max(1)));
        // Also where it is no number.
        if !(x.abs() <= reach && y.abs() <= reach) {
            return refuse(format!(
                "{}: position {} of {what}, {point:?}, is not on or near a picture of {} x {} pixels",
                file.name,
                i + 1,
                size[0],
                size[1]
            ));
        }
        let t = match timing {
            Timing::Even => i as f32 / steps as f32,
            Timing::ConstantSpeed => 0.0,
        };
        fractions.push(TrajectoryPoint::new(x as f32, y as f32, t));
    }
    let moves = |p: &[f64; 2]| (0..2).any(|axis| (p[axis] - first[axis]).abs() > STILL);
    let trajectory = if points.iter().any(moves) {
        let aspect = size[0] as f32 / size[1].max(1) as f32;
        Trajectory { points: fractions }.simplified(TOLERANCE, aspect)
    } else {
        Trajectory::pin(fractions[0].x, fractions[0].y)
    };
    Ok(Path {
        name: clean_name(name),
        trajectory,
        bounds: None,
    })
}
