//! DragAnything's demo folders: `demo.json`, which names masks and trajectories, the picture `demo.jpg` and the
//! masks as pictures. `{"1": {"comment": .., "mask_name": .., "trajectory": [[x, y], ..]}, ..}`, in pixels of the
//! picture as it is stored, one position a frame, not equally many for all.
//!
//! Whoever has the files gives a function that reads one by its name; names are plain, so that nothing outside of
//! the folder is asked for.

use super::preset::clean_name;
use super::settings::MAX_ENTITIES;
use super::settings::{Choice, MAX_FRAMES};
use super::trajectory::MAX_REACH;
use super::{Entity, Mask, Picture, Scene, Trajectory, TrajectoryPoint};
use crate::error::{Error, Result};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

/// The file that lists the others.
pub const INDEX: &str = "demo.json";
/// The picture.
pub const PICTURE: &str = "demo.jpg";
/// Two positions closer than this many pixels are one: the trajectory of a thing that stays.
const STILL: f64 = 1e-3;

/// A demo folder, read.
#[derive(Clone, Debug)]
pub struct Demo {
    /// What is to move. The file says nothing of depth: what lies in front of what is told by [`Scene::layers`].
    pub scene: Scene,
    /// Positions of the longest trajectory: frames that the folder was made for.
    pub frames: usize,
    /// What the person should know, a sentence each.
    pub notes: Vec<String>,
}

/// An entry of `demo.json`; whatever else there is in it is nobody's concern.
#[derive(serde::Deserialize)]
struct Entry {
    #[serde(default)]
    comment: String,
    mask_name: String,
    trajectory: Vec<[f64; 2]>,
}

/// The entries as they stand in the file.
struct Entries(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("entries with mask_name and trajectory")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entries, M::Error> {
                let mut entries: Vec<(String, Entry)> = Vec::new();
                while let Some((key, entry)) = map.next_entry::<String, Entry>()? {
                    if entries.len() == MAX_ENTITIES {
                        return Err(M::Error::custom(format!(
                            "more than {MAX_ENTITIES} entries, which is more than can be moved"
                        )));
                    }
                    if entries.iter().any(|(other, _)| *other == key) {
                        return Err(M::Error::custom(format!("entry {key:?} is there twice")));
                    }
                    entries.push((key, entry));
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(InOrder)
    }
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(Error::Preset(reason))
}

impl Demo {
    /// What it asks for beside its scene: as many frames as it has positions, within the limits.
    pub fn settings(&self) -> Choice {
        Choice {
            frames: Some(self.frames.clamp(2, MAX_FRAMES as usize) as u32),
            ..Choice::default()
        }
    }

    /// Reads a folder whose files `read` gives by name.
    ///
    /// Entries that share a mask divide it: each gets what lies nearest to where its trajectory starts.
    ///
    /// # Errors
    /// [`Error::Preset`] and [`Error::Picture`] that name the file and the entry, and what `read` says.
    pub fn read(read: &mut dyn FnMut(&str) -> Result<Vec<u8>>) -> Result<Self> {
        let entries: Entries = serde_json::from_slice(&read(INDEX)?).map_err(|e| {
            Error::Preset(format!(
                "{INDEX} cannot be read ({e}); positions are lists of two finite numbers, [x, y]"
            ))
        })?;
        let entries = entries.0;
        if entries.is_empty() {
            return refuse(format!("{INDEX} has no entries, so nothing is to move"));
        }
        let (picture, size) = Picture::decode_as_stored(&read(PICTURE)?, PICTURE)?;
        let mut masks: Vec<(&str, Mask)> = Vec::new();
        let mut trajectories = Vec::new();
        for (key, entry) in &entries {
            let name = entry.mask_name.as_str();
            let what = format!("{INDEX}, entry {key:?}");
            if !is_plain(name) {
                return refuse(format!(
                    "{what}: mask_name {name:?} is not the plain name of a file in this folder; copy the mask beside \
                     {INDEX} and name it without folders"
                ));
            }
            trajectories.push(trajectory(&what, &entry.trajectory, size)?);
            if !masks.iter().any(|(other, _)| *other == name) {
                masks.push((name, Mask::decode(&read(name)?, name, PICTURE, size)?));
            }
        }
        let mut notes = Vec::new();
        let mut entities = Vec::new();
        for (i, (key, entry)) in entries.iter().enumerate() {
            let sharing: Vec<usize> = (0..entries.len())
                .filter(|&j| entries[j].1.mask_name == entry.mask_name)
                .collect();
            let Some((_, whole)) = masks.iter().find(|(name, _)| *name == entry.mask_name) else {
                continue;
            };
            let starts: Vec<[f32; 2]> = sharing.iter().map(|&j| trajectories[j].start()).collect();
            let own = sharing.iter().position(|&j| j == i).unwrap_or(0);
            let mask = nearest_part(whole, &starts, own, size);
            if mask.is_empty() {
                notes.push(format!(
                    "entry {key:?} is left out: others with the mask {} start nearer to all of it",
                    entry.mask_name
                ));
                continue;
            }
            entities.push(Entity {
                name: clean_name(match entry.comment.trim() {
                    "" => &entry.mask_name,
                    comment => comment,
                }),
                mask,
                trajectory: Some(trajectories[i].clone()),
                ..Entity::default()
            });
        }
        let frames = entries.iter().map(|(_, entry)| entry.trajectory.len());
        Ok(Self {
            frames: frames.max().unwrap_or(0),
            scene: Scene {
                picture,
                entities,
                ..Scene::default()
            },
            notes,
        })
    }
}

/// Whether `name` can only mean a file that lies in the folder itself, on any system.
fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.contains(['/', '\\', ':'])
        && !name.contains(char::is_control)
}

/// The positions over the whole video, whatever their number; all the same: a pin.
fn trajectory(what: &str, positions: &[[f64; 2]], size: [u32; 2]) -> Result<Trajectory> {
    let Some(&first) = positions.first() else {
        return refuse(format!("{what} has a trajectory without any position"));
    };
    let mut points = Vec::with_capacity(positions.len());
    for (i, position) in positions.iter().enumerate() {
        // A position is that of a pixel's centre.
        let [x, y] = [0, 1].map(|axis| (position[axis] + 0.5) / f64::from(size[axis]));
        let reach = 0.5 - f64::from(MAX_REACH)..=0.5 + f64::from(MAX_REACH);
        if !reach.contains(&x) || !reach.contains(&y) {
            return refuse(format!(
                "{what}: position {} of the trajectory, {position:?}, is not on or near the picture of {} x {} pixels",
                i + 1,
                size[0],
                size[1]
            ));
        }
        points.push(TrajectoryPoint::new(
            x as f32,
            y as f32,
            i as f32 / (positions.len().max(2) - 1) as f32,
        ));
    }
    let moves = |p: &[f64; 2]| (0..2).any(|axis| (p[axis] - first[axis]).abs() > STILL);
    if !positions.iter().any(moves) {
        return Ok(Trajectory::pin(points[0].x, points[0].y));
    }
    Ok(Trajectory { points })
}

/// What of `whole` lies nearer to `starts[own]` than to the others; the first of two equally near ones has it.
fn nearest_part(whole: &Mask, starts: &[[f32; 2]], own: usize, size: [u32; 2]) -> Mask {
    if starts.len() < 2 {
        return whole.clone();
    }
    let (width, scale) = (whole.width as usize, size.map(|side| side as f32));
    let squared = |at: [f32; 2], start: &[f32; 2]| {
        ((at[0] - start[0]) * scale[0]).powi(2) + ((at[1] - start[1]) * scale[1]).powi(2)
    };
    let mut part = whole.clone();
    for (i, alpha) in part.alpha.iter_mut().enumerate().filter(|(_, a)| **a > 0) {
        let at = [
            ((i % width) as f32 + 0.5) / whole.width as f32,
            ((i / width) as f32 + 0.5) / whole.height as f32,
        ];
        let mut nearest = 0;
        for (j, start) in starts.iter().enumerate() {
            if squared(at, start) < squared(at, &starts[nearest]) {
                nearest = j;
            }
        }
        if nearest != own {
            *alpha = 0;
        }
    }
    part
}

#[cfg(test)]
mod tests;
