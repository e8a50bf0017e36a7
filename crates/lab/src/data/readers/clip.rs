//! A video of a data set as a clip to train on: some frames of it, cropped to the shape that is asked for, with the masks
//! and tracks that came with it or, where none did, found in it.

use super::labels::Labels;
use super::layout::{Item, Masks};
use crate::data::render::{Clip, ClipEntity, ClipSpec, bounds};
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::read_bytes;
use dragentity_core::scene::Mask;
use dragentity_core::scene::picture::resize_rgb;
use dragentity_media::read::{FOLDER_FPS, Reading, frame_files, length, read};
use dragentity_media::track::EntityTrack;
use dragentity_media::track::Tracks;
use dragentity_media::track::flow;
use dragentity_media::track::mask_and_circle;
use dragentity_media::track::moving;
use rand::Rng;
use std::path::{Path, PathBuf};

/// Longer side, in pixels, at which videos are looked at; more where larger clips are asked for.
const SIDE: u32 = 256;
/// Frames in which motion is looked for where there are no masks.
const MOTION_FRAMES: usize = 6;
/// Things that cover less of the picture are left out: nobody would drag them.
const SMALLEST: f32 = 0.004;
/// With less background than this it says nothing about the camera.
const BACKGROUND: f32 = 0.1;

/// A rectangle of pixels.
#[derive(Clone, Copy)]
struct Crop {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl Crop {
    /// The largest one of the shape of `spec`, anywhere in a picture of `size`.
    fn random(rng: &mut impl Rng, size: (u32, u32), spec: &ClipSpec) -> Self {
        let aspect = spec.width as f64 / spec.height.max(1) as f64;
        let fitted = |side: f64, most: u32| (side.round() as u32).clamp(1, most);
        let width = fitted(f64::from(size.1) * aspect, size.0);
        let height = fitted(f64::from(size.0) / aspect, size.1);
        Self {
            x: rng.random_range(0..=size.0 - width),
            y: rng.random_range(0..=size.1 - height),
            width,
            height,
        }
    }

    /// The part of `[height, width, channels]` values of a picture `from` pixels wide.
    fn of<T: Copy>(&self, values: &[T], from: u32, channels: usize) -> Vec<T> {
        let row = from as usize * channels;
        let (start, length) = (self.x as usize * channels, self.width as usize * channels);
        let rows = values
            .chunks_exact(row)
            .skip(self.y as usize)
            .take(self.height as usize);
        rows.flat_map(|row| row[start..start + length].iter().copied())
            .collect()
    }
}

/// Frames of a video: their numbers in it are `start + stride * k`.
struct Span {
    start: usize,
    stride: usize,
}

impl Span {
    fn last(&self, frames: usize) -> usize {
        self.start + self.stride * (frames - 1)
    }
}

/// An entity on its way to become one of a clip; everything in pixels of the crop.
struct Found {
    name: String,
    /// Its place among all things of the video, before any was left out.
    order: usize,
    mask: Mask,
    /// What pixels of label maps say where it is.
    label: Option<u32>,
}

fn refuse<T>(item: &Item, reason: impl Into<String>) -> Result<T> {
    Err(Error::Picture {
        name: item.video.display().to_string(),
        reason: reason.into(),
    })
}

/// A clip of `item`, chosen by `rng`.
///
/// # Errors
/// [`Error::Picture`], [`Error::Preset`], [`Error::Job`] and [`Error::Io`] that name the file, also when the video is too
/// short or nothing in it can be dragged.
pub fn clip(item: &Item, spec: &ClipSpec, rng: &mut impl Rng) -> Result<Clip> {
    let wanted = match item.masks {
        Masks::Moving => spec.frames.max(MOTION_FRAMES),
        _ => spec.frames,
    };
    let (span, video) = frames(item, spec, wanted, rng)?;
    let size = (video.width, video.height);
    let crop = Crop::random(rng, size, spec);
    let cropped = Video {
        width: crop.width,
        height: crop.height,
        fps: video.fps,
        frames: video
            .frames
            .iter()
            .map(|frame| crop.of(frame, size.0, 3))
            .collect(),
    };
    let labels = labels(item, &span, wanted, size, crop)?;
    let mut found = match &item.masks {
        Masks::Labels { .. } => of_labels(&labels[0]),
        Masks::Pictures(files) => pictures(files, item, size, crop)?,
        Masks::Moving => (moving::masks(&cropped, spec.max_entities)
            .into_iter()
            .enumerate())
        .map(|(k, mask)| Found {
            name: (k + 1).to_string(),
            order: k,
            mask,
            label: None,
        })
        .collect(),
    };
    let total = found.len();
    found.retain(|found| found.mask.coverage() >= SMALLEST);
    found.sort_by_key(|found| std::cmp::Reverse(found.mask.area()));
    found.truncate(spec.max_entities);
    if found.is_empty() {
        return refuse(
            item,
            "shows nothing that could be dragged: no mask covers enough of it, or nothing moves by itself",
        );
    }
    let (tracks, camera) = tracks(item, &span, (&found, total), &cropped, size, crop)?;
    Ok(assemble(&cropped, &found, &tracks, &camera, &labels, spec))
}

/// Some consecutive frames, at about [`FOLDER_FPS`] frames a second where the video is long enough.
fn frames(
    item: &Item,
    spec: &ClipSpec,
    wanted: usize,
    rng: &mut impl Rng,
) -> Result<(Span, Video)> {
    let side = SIDE.max(2 * spec.width.max(spec.height) as u32);
    let known = length(&item.video)?;
    let mut span = Span {
        start: 0,
        stride: 1,
    };
    if let Some((known, fps)) = known.filter(|(known, _)| *known >= wanted) {
        if wanted > 1 {
            let even = ((fps / f64::from(FOLDER_FPS)).round() as usize).max(1);
            span.stride = even.min((known - 1) / (wanted - 1));
        }
        // Masks of the first frame say nothing about others.
        if !matches!(item.masks, Masks::Pictures(_)) {
            span.start = rng.random_range(0..=known - 1 - span.last(wanted));
        }
    }
    let reading = Reading {
        start: span.start,
        stride: span.stride,
        frames: wanted,
        side,
    };
    let video = read(&item.video, &reading)?;
    if video.frames.len() < wanted {
        return refuse(
            item,
            format!(
                "has {} frames, and clips need {wanted}; leave it out",
                video.frames.len()
            ),
        );
    }
    Ok((span, video))
}

/// The label maps of the frames, cropped; none where there are none.
fn labels(
    item: &Item,
    span: &Span,
    frames: usize,
    size: (u32, u32),
    crop: Crop,
) -> Result<Vec<Labels>> {
    let Masks::Labels { folder, panoptic } = &item.masks else {
        return Ok(Vec::new());
    };
    let files = frame_files(folder)?;
    if files.len() <= span.last(frames) {
        return refuse(
            item,
            format!(
                "has more frames than {} has masks ({})",
                folder.display(),
                files.len()
            ),
        );
    }
    // Other frames' shape would be another video's.
    let shape = |size: (u32, u32)| f64::from(size.0) / f64::from(size.1.max(1));
    let one = |k: usize| {
        let file = &files[span.start + k * span.stride];
        let labels = Labels::read(file, *panoptic)?;
        let ratio = shape((labels.width, labels.height)) / shape(size);
        if !(0.97..=1.03).contains(&ratio) {
            return Err(Error::Picture {
                name: file.display().to_string(),
                reason: format!(
                    "has {} x {} pixels, which is not the shape of its frames ({} x {})",
                    labels.width, labels.height, size.0, size.1
                ),
            });
        }
        let labels = labels.resized(size.0, size.1);
        Ok(Labels {
            width: crop.width,
            height: crop.height,
            ids: crop.of(&labels.ids, size.0, 1),
        })
    };
    (0..frames).map(one).collect()
}

fn of_labels(labels: &Labels) -> Vec<Found> {
    let ids = labels.things().into_iter().enumerate();
    ids.map(|(order, id)| Found {
        name: id.to_string(),
        order,
        mask: labels.mask(id),
        label: Some(id),
    })
    .collect()
}

/// Masks of single things, of the size of the video as it is stored.
fn pictures(files: &[PathBuf], item: &Item, size: (u32, u32), crop: Crop) -> Result<Vec<Found>> {
    let (width, height) = stored_size(item)?;
    let one = |(order, file): (usize, &PathBuf)| {
        let name = file.display().to_string();
        let bytes = pollster::block_on(read_bytes(&name, &mut |_, _| {}))?;
        let of = item.video.display().to_string();
        let mask = Mask::decode(&bytes, &name, &of, [width, height])?.resized(size.0, size.1);
        Ok(Found {
            name: file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            order,
            mask: Mask::from_alpha(crop.width, crop.height, crop.of(&mask.alpha, size.0, 1))?,
            label: None,
        })
    };
    files.iter().enumerate().map(one).collect()
}

/// Width and height of a video as it is stored.
fn stored_size(item: &Item) -> Result<(u32, u32)> {
    let first = Reading {
        frames: 1,
        ..Reading::default()
    };
    let video = read(&item.video, &first)?;
    Ok((video.width, video.height))
}

/// Tracks of what was found, and how far the camera takes the background.
fn tracks(
    item: &Item,
    span: &Span,
    (found, total): (&[Found], usize),
    video: &Video,
    size: (u32, u32),
    crop: Crop,
) -> Result<(Vec<EntityTrack>, Vec<[f32; 2]>)> {
    let mut background = Mask::from_alpha(
        crop.width,
        crop.height,
        vec![255; crop.width as usize * crop.height as usize],
    )?;
    for found in found {
        for (a, b) in background.alpha.iter_mut().zip(&found.mask.alpha) {
            *a = (*a).min(255 - b);
        }
    }
    let mut entities: Vec<(String, Mask)> = Vec::new();
    if background.coverage() >= BACKGROUND {
        entities.push((String::new(), background));
    }
    let with_camera = !entities.is_empty();
    if item.tracks.is_none() {
        entities.extend(
            found
                .iter()
                .map(|found| (found.name.clone(), found.mask.clone())),
        );
    }
    let mut followed = flow::track(video, &entities)?.entities;
    let camera = if with_camera {
        let track = followed.remove(0);
        let start = track.points[0];
        let offset = |p: &[f32; 2]| [p[0] - start[0], p[1] - start[1]];
        track.points.iter().map(offset).collect()
    } else {
        vec![[0.0; 2]; video.frames.len()]
    };
    match &item.tracks {
        Some(file) => {
            let given = given(
                file,
                item,
                span,
                (found, total),
                video.frames.len(),
                size,
                crop,
            )?;
            Ok((given, camera))
        }
        None => Ok((followed, camera)),
    }
}

/// Tracks that came with the video.
fn given(
    file: &Path,
    item: &Item,
    span: &Span,
    (found, total): (&[Found], usize),
    frames: usize,
    size: (u32, u32),
    crop: Crop,
) -> Result<Vec<EntityTrack>> {
    let name = file.display().to_string();
    let bytes = pollster::block_on(read_bytes(&name, &mut |_, _| {}))?;
    let tracks = Tracks::parse(&String::from_utf8_lossy(&bytes), &name, stored_size(item)?)?;
    let tracks = tracks.scaled(size.0, size.1);
    // By name; by order where names say nothing.
    let by_order = tracks.entities.len() == total && item.masks != Masks::Moving;
    let mut all = Vec::with_capacity(found.len());
    for found in found {
        let named = tracks
            .entities
            .iter()
            .find(|track| track.name == found.name);
        let Some(track) = named.or(tracks.entities.get(found.order).filter(|_| by_order)) else {
            return Err(Error::Preset(format!(
                "{name} has no track of {:?}",
                found.name
            )));
        };
        let one = Tracks {
            entities: vec![track.clone()],
            ..tracks.clone()
        };
        let one = one.cut(span.last(frames) + 1);
        let one = one.map_err(|e| Error::Preset(format!("{name}: {e}")))?;
        let numbers = (0..frames).map(|k| span.start + k * span.stride);
        let at = |k: usize| {
            let p = one.entities[0].points[k];
            [p[0] - crop.x as f32, p[1] - crop.y as f32]
        };
        all.push(EntityTrack {
            name: found.name.clone(),
            radius: mask_and_circle(&found.mask, crop.width, crop.height)?
                .1
                .radius,
            points: numbers.clone().map(at).collect(),
            visible: numbers.map(|k| one.entities[0].visible[k]).collect(),
        });
    }
    Ok(all)
}

/// Everything at the size that is asked for.
fn assemble(
    video: &Video,
    found: &[Found],
    tracks: &[EntityTrack],
    camera: &[[f32; 2]],
    labels: &[Labels],
    spec: &ClipSpec,
) -> Clip {
    let (width, height) = (spec.width as u32, spec.height as u32);
    let scale = [
        width as f32 / video.width as f32,
        height as f32 / video.height as f32,
    ];
    let scaled = |p: &[f32; 2]| [p[0] * scale[0], p[1] * scale[1]];
    let rgb = video.frames[..spec.frames]
        .iter()
        .flat_map(|frame| resize_rgb(frame, (video.width, video.height), (width, height)));
    let entities = found.iter().zip(tracks).map(|(found, track)| {
        let start = track.points[0];
        let mask = |k: usize| -> Mask {
            match (found.label, labels.get(k)) {
                (Some(label), Some(labels)) => labels.mask(label),
                _ if k == 0 => found.mask.clone(),
                _ if track.visible[k] => {
                    let at = track.points[k];
                    moved(&found.mask, [at[0] - start[0], at[1] - start[1]])
                }
                _ => Mask::empty(video.width, video.height),
            }
        };
        let seen: Vec<Vec<u8>> = (0..spec.frames)
            .map(|k| mask(k).resized(width, height).alpha)
            .collect();
        ClipEntity {
            full: seen[0].clone(),
            boxes: seen.iter().map(|alpha| bounds(alpha, spec.width)).collect(),
            visible: seen.concat(),
            track: track.points[..spec.frames].iter().map(scaled).collect(),
            group: None,
            photo: true,
        }
    });
    Clip {
        width: spec.width,
        height: spec.height,
        frames: spec.frames,
        entities: entities.collect(),
        rgb: rgb.collect(),
        camera: camera[..spec.frames].iter().map(scaled).collect(),
    }
}

/// The mask moved by whole pixels.
fn moved(mask: &Mask, by: [f32; 2]) -> Mask {
    let (width, height) = (i64::from(mask.width), i64::from(mask.height));
    let [dx, dy] = by.map(|v| v.round() as i64);
    let mut moved = Mask::empty(mask.width, mask.height);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x - dx, y - dy);
            if (0..width).contains(&u) && (0..height).contains(&v) {
                moved.alpha[(y * width + x) as usize] = mask.alpha[(v * width + u) as usize];
            }
        }
    }
    moved
}
