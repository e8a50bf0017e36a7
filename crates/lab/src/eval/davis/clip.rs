//! Drags of DAVIS: pieces of real videos, what moves in them as one entity, its path the way its mask goes.

use crate::data::readers::{Item, Layout, Library, Masks};
use dragentity_core::scene::{Entity, Mask, Picture, Scene, Trajectory, TrajectoryPoint};
use dragentity_core::{Error, Result};
use dragentity_media::read::{PICTURES, decode_picture, files_with, frame_files};
use std::path::Path;

/// Frames of a clip, the first of which is given.
pub const FRAMES: usize = 14;
/// A mask with a smaller share of its first area is not followed: most of what it showed is hidden.
const SEEN: f64 = 0.5;

/// A piece of a video.
pub struct Drag {
    /// The video's name.
    pub name: String,
    /// Which of its frames is the first.
    pub start: usize,
    /// The true frames, all of one size.
    pub frames: Vec<Picture>,
    /// Where the thing truly is in each.
    pub masks: Vec<Mask>,
}

impl Drag {
    /// The first `count` pieces of every video of DAVIS at `place`: each [`FRAMES`] frames long, one after the other from
    /// frame 0. A piece that begins without its thing is left out, and so is what the video is too short for.
    ///
    /// # Errors
    /// [`Error::Picture`] when `place` is not laid out as DAVIS, or a file cannot be read; [`Error::Io`].
    pub fn all(place: &Path, count: usize) -> Result<Vec<Self>> {
        let library = Library::open(place)?;
        if library.layout != Layout::YouTubeVos {
            return Err(Error::Picture {
                name: place.display().to_string(),
                reason: "is not DAVIS: it has JPEGImages/NAME/*.jpg and Annotations/NAME/*.png"
                    .into(),
            });
        }
        let mut all = Vec::new();
        for item in &library.items {
            all.extend(of_video(item, count)?);
        }
        if all.is_empty() {
            return Err(Error::Picture {
                name: place.display().to_string(),
                reason: format!("has no video of {FRAMES} frames that begins with its thing in it"),
            });
        }
        Ok(all)
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [usize; 2] {
        [
            self.frames[0].width as usize,
            self.frames[0].height as usize,
        ]
    }

    /// How far the thing has gone since the first frame, in pixels, by the middle of its mask; where there is no mask it
    /// stays where it was last.
    pub fn path(&self) -> Vec<[f32; 2]> {
        let [width, height] = self.size().map(|side| side as f32);
        let mut at = [0.5; 2];
        let middles: Vec<[f32; 2]> = (self.masks.iter())
            .map(|mask| {
                at = mask.centroid().unwrap_or(at);
                [at[0] * width, at[1] * height]
            })
            .collect();
        let start = middles[0];
        let away = |p: &[f32; 2]| [p[0] - start[0], p[1] - start[1]];
        middles.iter().map(away).collect()
    }

    /// Frames (but the first) in which enough of the thing is seen to say where it is.
    pub fn seen(&self) -> Vec<bool> {
        let first = self.masks[0].area() as f64;
        let enough =
            |(frame, mask): (usize, &Mask)| frame > 0 && mask.area() as f64 >= SEEN * first;
        self.masks.iter().enumerate().map(enough).collect()
    }

    /// What a maker is given: the first frame, the mask in it, and the path.
    pub fn scene(&self) -> Scene {
        let [width, height] = self.size().map(|side| side as f32);
        let start = self.masks[0].centroid().unwrap_or([0.5; 2]);
        let last = (self.frames.len().max(2) - 1) as f32;
        let points = self.path().into_iter().enumerate().map(|(frame, [x, y])| {
            TrajectoryPoint::new(
                start[0] + x / width,
                start[1] + y / height,
                frame as f32 / last,
            )
        });
        Scene {
            picture: self.frames[0].clone(),
            entities: vec![Entity {
                name: self.name.clone(),
                mask: self.masks[0].clone(),
                trajectory: Some(Trajectory {
                    points: points.collect(),
                }),
                ..Entity::default()
            }],
            ..Scene::default()
        }
    }
}

/// The pieces of one video.
fn of_video(item: &Item, count: usize) -> Result<Vec<Drag>> {
    let frames = frame_files(&item.video)?;
    let annotations = match &item.masks {
        Masks::Labels { folder, .. } => files_with(folder, &PICTURES)?,
        _ => Vec::new(),
    };
    if frames.len() != annotations.len() {
        return Err(Error::Picture {
            name: item.video.display().to_string(),
            reason: format!(
                "has {} frames and {} annotations: DAVIS has one for each",
                frames.len(),
                annotations.len()
            ),
        });
    }
    let pieces = frames
        .chunks_exact(FRAMES)
        .zip(annotations.chunks_exact(FRAMES));
    let mut drags = Vec::new();
    for (index, (frames, masks)) in pieces.take(count).enumerate() {
        let pictures = frames.iter().map(|path| {
            let picture = decode_picture(path)?.into_rgb8();
            Ok(Picture::from_rgb_image(picture))
        });
        let drag = Drag {
            name: item.name.clone(),
            start: index * FRAMES,
            frames: pictures.collect::<Result<_>>()?,
            masks: masks.iter().map(|path| mask(path)).collect::<Result<_>>()?,
        };
        let size = drag.size();
        let others = drag.frames.iter().map(|frame| [frame.width, frame.height]);
        let mut all = others.chain(drag.masks.iter().map(|mask| [mask.width, mask.height]));
        if all.any(|other| other.map(|side| side as usize) != size) {
            return Err(Error::Picture {
                name: item.video.display().to_string(),
                reason: "has frames or annotations of several sizes".into(),
            });
        }
        if !drag.masks[0].is_empty() {
            drags.push(drag);
        }
    }
    Ok(drags)
}

/// An annotation: whatever is not dark is the thing, or one of its parts.
fn mask(path: &Path) -> Result<Mask> {
    let grey = decode_picture(path)?.into_rgb8();
    let inside = |p: &image::Rgb<u8>| {
        if p.0.iter().any(|c| *c >= 128) {
            255
        } else {
            0
        }
    };
    let alpha = grey.pixels().map(inside).collect();
    Mask::from_alpha(grey.width(), grey.height(), alpha)
}
