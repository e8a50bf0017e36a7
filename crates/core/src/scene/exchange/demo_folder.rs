//! DragAnything's demo folder, written; [`crate::scene::demo`] says what it holds, and reads it. Positions are whole pixels of
//! the picture in the folder. Masks are PNG: a JPEG's are not black and white.

use super::Target;
use super::track::Track;
use crate::error::{Error, Result};
use crate::scene::demo::{INDEX, PICTURE};
use crate::scene::{Picture, Scene};
use image::ImageEncoder;
use image::codecs::jpeg::JpegEncoder;
use std::collections::BTreeMap;

const FRAMES: usize = 14;
const JPEG_QUALITY: u8 = 95;

#[derive(serde::Serialize)]
struct Entry<'a> {
    comment: &'a str,
    mask_name: String,
    trajectory: Vec<[i64; 2]>,
}

pub(super) fn write(
    scene: &Scene,
    tracks: &[Track<'_>],
    target: Target,
) -> Result<Vec<(String, Vec<u8>)>> {
    let Picture { width, height, .. } = scene.picture;
    let frames = target.frames.unwrap_or(FRAMES);
    let mask_name = |index: usize| format!("mask_{}.png", index + 1);
    let mut entries = BTreeMap::new();
    for (i, track) in tracks.iter().enumerate() {
        let pixels = track.pixels(frames, [width, height]);
        let entry = Entry {
            comment: &track.name,
            mask_name: mask_name(track.index),
            trajectory: pixels.iter().map(|p| p.map(|v| v.floor() as i64)).collect(),
        };
        entries.insert(i + 1, entry);
    }
    // Strings and numbers always have a JSON form.
    let index = serde_json::to_vec(&entries).unwrap_or_default();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY)
        .write_image(
            &scene.picture.rgb,
            width,
            height,
            image::ExtendedColorType::Rgb8,
        )
        .map_err(|e| Error::Picture {
            name: PICTURE.into(),
            reason: format!("cannot be written as JPEG ({e}); scale it down"),
        })?;
    let mut files = vec![(INDEX.to_owned(), index), (PICTURE.to_owned(), jpeg)];
    for track in tracks {
        let name = mask_name(track.index);
        if !files.iter().any(|(other, _)| *other == name) {
            let mask = track.entity.mask.resized(width, height);
            files.push((name, mask.to_png()?));
        }
    }
    Ok(files)
}
