//! The neighbours' own files: paths that were drawn here run there, and theirs here.
//!
//! What a file of each says, in pixels of what, for how many frames, its module says; [`Format`] lists them and tells them apart
//! by what they hold. All have positions and nothing else: how things are turned, how near they are, and what the camera does stays
//! behind, and [`Written::notes`] says so. Several handles of one thing are several tracks; a pin is a track that stays.
//!
//! Whoever has the files gives their names and bytes. Nothing here opens any, and no name in a file is one of another's.

mod ati;
mod demo_folder;
mod dragnuwa;
mod json;
mod kjnodes;
mod motionctrl;
mod npy;
mod number;
mod sg_i2v;
mod track;
mod wan_move;

use super::preset::EDIT_SIDE;
use super::settings::{Choice, MAX_ENTITIES, MAX_FRAMES};
use super::{Entity, Mask, Picture, Scene, Trajectory};
use crate::error::{Error, Result};

/// Radius, as a fraction of the picture's longer side, of the mask of a thing of which a file says only where its path begins.
const DISC: f32 = 0.04;

/// Whose form a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// What KJNodes' spline editor gives to other nodes, `coordinates`: a position a frame.
    KjNodes,
    /// What KJNodes' spline editor keeps, `points_store`: the points that somebody set.
    KjNodesSplines,
    /// What ATI's nodes read: 121 positions a track.
    Ati,
    /// The drags of DragNUWA's demo.
    DragNuwa,
    /// `traj.npy` of SG-I2V: boxes and where their middles go.
    SgI2v,
    /// `tracks.npy` and `visibility.npy` of Wan-Move.
    WanMove,
    /// MotionCtrl's text, a file a track.
    MotionCtrl,
    /// Tora's, the same text.
    Tora,
    /// DragAnything's demo folder, which [`super::demo`] reads.
    DragAnything,
}

impl Format {
    /// All of them, as they are listed for people.
    pub const ALL: [Self; 9] = [
        Self::KjNodes,
        Self::KjNodesSplines,
        Self::Ati,
        Self::DragNuwa,
        Self::SgI2v,
        Self::WanMove,
        Self::MotionCtrl,
        Self::Tora,
        Self::DragAnything,
    ];

    /// What it is called in a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::KjNodes => "kjnodes",
            Self::KjNodesSplines => "kjnodes-splines",
            Self::Ati => "ati",
            Self::DragNuwa => "dragnuwa",
            Self::SgI2v => "sg-i2v",
            Self::WanMove => "wan-move",
            Self::MotionCtrl => "motionctrl",
            Self::Tora => "tora",
            Self::DragAnything => "draganything",
        }
    }

    /// Whether it is a folder of files rather than one.
    pub fn is_folder(self) -> bool {
        matches!(
            self,
            Self::WanMove | Self::MotionCtrl | Self::Tora | Self::DragAnything
        )
    }

    /// Whose these files are, by what they hold. MotionCtrl's and Tora's are the same, and are told to be the former's.
    ///
    /// # Errors
    /// [`Error::Preset`] that names the file which is nobody's, or that is of another kind than the rest.
    pub fn of(files: &[File]) -> Result<Self> {
        let mut all = files
            .iter()
            .map(|file| Ok((file, Self::of_one(file, files.len())?)));
        let Some(first) = all.next() else {
            return refuse("there is no file to read paths from; name one");
        };
        let (_, first) = first?;
        for one in all {
            let (file, format) = one?;
            if format != first {
                return refuse(format!(
                    "{}: has {}'s form, and the file before it {}'s; read them one after the other",
                    file.name,
                    format.name(),
                    first.name()
                ));
            }
        }
        Ok(first)
    }

    fn of_one(file: &File, count: usize) -> Result<Self> {
        if file.bytes.starts_with(npy::MAGIC) {
            return Ok(match npy::Array::read(file)?.shape.len() {
                // A box and a path are of one thing; two files are positions, and whether they are seen.
                3 if count == 1 => Self::SgI2v,
                _ => Self::WanMove,
            });
        }
        if number::looks_like_json(file) {
            return json::format(file);
        }
        motionctrl::looks_like(file)
            .then_some(Self::MotionCtrl)
            .ok_or_else(|| {
                Error::Preset(format!(
                    "{}: is in no form this program knows; it reads {}",
                    file.name,
                    Self::ALL.map(Self::name).join(", ")
                ))
            })
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.name() == name);
        known.ok_or_else(|| format!("one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// A file, read.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name, which stands in errors.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// For what is written.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Width and height that positions are in pixels of, for formats that have no size of their own.
    pub size: [u32; 2],
    /// Positions of a track; `None`: as many as the format's model has frames.
    pub frames: Option<usize>,
}

/// Files of another program.
#[derive(Clone, Debug)]
pub struct Written {
    /// Names within their folder, and what they hold. One alone may be called anything.
    pub files: Vec<(String, Vec<u8>)>,
    /// What the person should know, a sentence each.
    pub notes: Vec<String>,
}

/// A path of another program's.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// What it is called.
    pub name: String,
    /// Where it goes.
    pub trajectory: Trajectory,
    /// Left, top, right and bottom of what it moves, in fractions of the picture, if the file says so.
    pub bounds: Option<[f32; 4]>,
}

/// Paths of another program's.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Whose.
    pub format: Format,
    /// At least one.
    pub paths: Vec<Path>,
    /// Frames that they were made for; `None` where the file has points rather than frames.
    pub frames: Option<usize>,
    /// What the person should know, a sentence each.
    pub notes: Vec<String>,
}

fn refuse<T>(reason: impl Into<String>) -> Result<T> {
    Err(Error::Preset(reason.into()))
}

/// Writes the paths of a scene in another program's form.
///
/// # Errors
/// [`Error::Preset`] when there is no path, [`Error::Job`] for a size or a number of frames out of range, [`Error::Picture`] where
/// a picture cannot be written.
pub fn write(scene: &Scene, format: Format, target: Target) -> Result<Written> {
    if target.size.contains(&0) {
        return Err(Error::Job(format!(
            "positions in pixels of {} x {} are none; name the picture's size",
            target.size[0], target.size[1]
        )));
    }
    let frames = target.frames.unwrap_or(2);
    if !(2..=MAX_FRAMES as usize).contains(&frames) {
        return Err(Error::Job(format!(
            "{frames} frames are not within 2 to {MAX_FRAMES}; ask for another number"
        )));
    }
    let (tracks, mut notes) = track::of_scene(scene)?;
    let picture = [scene.picture.width, scene.picture.height];
    let files = match format {
        Format::KjNodes => vec![kjnodes::coordinates(&tracks, target)],
        Format::KjNodesSplines => vec![kjnodes::splines(&tracks, target, &mut notes)],
        Format::Ati => vec![ati::write(&tracks, target)],
        Format::DragNuwa => vec![dragnuwa::write(&tracks, picture, target, &mut notes)],
        Format::SgI2v => vec![sg_i2v::write(&tracks, target, &mut notes)?],
        Format::WanMove => wan_move::write(&tracks, target),
        Format::MotionCtrl => motionctrl::write(&tracks, 16, target, &mut notes),
        Format::Tora => motionctrl::write(&tracks, 49, target, &mut notes),
        Format::DragAnything => demo_folder::write(scene, &tracks, target)?,
    };
    Ok(Written { files, notes })
}

/// Reads the paths of another program. `size` is the picture's, which positions are pixels of where the format has no size of its
/// own.
///
/// # Errors
/// [`Error::Preset`] that names the file and what is wrong with it.
pub fn read(files: &[File], size: [u32; 2]) -> Result<Found> {
    let format = Format::of(files)?;
    let found = match (format, files) {
        (Format::WanMove, _) => wan_move::read(files, size)?,
        (Format::MotionCtrl | Format::Tora, _) => motionctrl::read(files)?,
        (Format::DragAnything, [file, ..]) => {
            return refuse(format!(
                "{}: names masks that lie beside it; read the folder with --demo",
                file.name
            ));
        }
        (Format::SgI2v, [file]) => sg_i2v::read(file)?,
        (Format::DragNuwa, [file]) => dragnuwa::read(file, size)?,
        (Format::KjNodes | Format::KjNodesSplines | Format::Ati, [file]) => {
            kjnodes::read(file, format, size)?
        }
        (_, [_, second, ..]) => {
            return refuse(format!(
                "{}: {} has all paths in one file; read them one after the other",
                second.name,
                format.name()
            ));
        }
        (_, []) => return refuse("there is no file to read paths from; name one"),
    };
    if found.paths.is_empty() {
        return refuse(format!("{}: has no path in it", files[0].name));
    }
    if found.paths.len() > MAX_ENTITIES {
        return refuse(format!(
            "{}: has {} tracks, and at most {MAX_ENTITIES} things can be moved; leave out those that show no thing",
            files[0].name,
            found.paths.len()
        ));
    }
    Ok(found)
}

impl Found {
    /// What is to move on the picture: a thing a path, those of one name handles of one. Its mask is the box that the file has, else
    /// a small disc about where the path begins, which is where a person would click: a segmenter makes the real one.
    pub fn scene(&self, picture: Picture) -> Scene {
        let longer = picture.width.max(picture.height).max(1);
        let scale = (f64::from(EDIT_SIDE) / f64::from(longer)).min(1.0);
        let side = |n: u32| ((f64::from(n) * scale).round() as u32).max(1);
        let mut entities: Vec<Entity> = Vec::new();
        for path in &self.paths {
            let mut mask = Mask::empty(side(picture.width), side(picture.height));
            let at = path.trajectory.start().map(|v| v.clamp(0.0, 1.0));
            match path.bounds {
                Some([left, top, right, bottom]) => {
                    let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
                    mask = Mask::within(&corners, mask.width, mask.height);
                }
                None => mask.brush(at, at, DISC, true),
            }
            if mask.is_empty() {
                mask.brush(at, at, DISC, true);
            }
            let same = |e: &&mut Entity| {
                self.format == Format::KjNodesSplines
                    && !path.name.is_empty()
                    && e.name == path.name
            };
            match entities.iter_mut().find(same) {
                Some(entity) => {
                    entity.mask.unite(&mask);
                    entity.handles.push(path.trajectory.clone());
                }
                None => entities.push(Entity {
                    name: path.name.clone(),
                    mask,
                    trajectory: Some(path.trajectory.clone()),
                    ..Entity::default()
                }),
            }
        }
        Scene {
            picture,
            entities: entities
                .into_iter()
                .map(Entity::with_clean_motion)
                .collect(),
            ..Scene::default()
        }
    }

    /// What it asks for beside its scene: its number of frames, within the limits.
    pub fn settings(&self) -> Choice {
        Choice {
            frames: self
                .frames
                .map(|frames| frames.clamp(2, MAX_FRAMES as usize) as u32),
            ..Choice::default()
        }
    }
}
