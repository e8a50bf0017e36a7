//! Time-to-Move's folders: `first_frame.png`, `motion_signal.mp4` (what is followed), `mask.mp4` (white where it is followed
//! closely) and, for models that take words, `prompt.txt`.

use crate::read::{Reading, read, read_file};
use crate::{mp4, resized};
use dragentity_core::Video;
use dragentity_core::error::Result;
use dragentity_core::job::Reference;
use dragentity_core::platform::{make_dir, write_whole};
use dragentity_core::scene::picture::encode_png;
use dragentity_core::scene::{Mask, Picture};
use std::path::Path;

const PICTURE: &str = "first_frame.png";
/// The film of the motion, by which such a folder is known.
pub const MOTION: &str = "motion_signal.mp4";
const MASK: &str = "mask.mp4";
const PROMPT: &str = "prompt.txt";
/// All files of a folder.
pub const FILES: [&str; 4] = [PICTURE, MOTION, MASK, PROMPT];

/// Reads a folder, at most `frames` frames of it: the picture, and what is followed.
///
/// # Errors
/// [`dragentity_core::Error::Picture`] and [`dragentity_core::Error::Io`], naming the file and what to do about it.
pub fn open(folder: &Path, frames: usize) -> Result<(Picture, Reference)> {
    let name = |file: &str| folder.join(file).display().to_string();
    let bytes = read_file(&folder.join(PICTURE))?;
    let picture = Picture::decode(&bytes, &name(PICTURE))?;
    let reading = Reading {
        frames,
        ..Reading::default()
    };
    let video = read(&folder.join(MOTION), &reading)?;
    let masks = read(&folder.join(MASK), &reading)?;
    let (width, height) = (video.width, video.height);
    let closely = masks.frames.iter().map(|frame| {
        let white = |pixel: &[u8]| pixel.iter().copied().max().unwrap_or_default();
        let mask = Mask {
            width: masks.width,
            height: masks.height,
            alpha: frame.chunks_exact(3).map(white).collect(),
        };
        let mut mask = match (mask.width, mask.height) == (width, height) {
            true => mask,
            false => mask.resized(width, height),
        };
        // What the film's compression has made of white and black: wholly, or not at all.
        for alpha in &mut mask.alpha {
            *alpha = if *alpha >= 128 { 255 } else { 0 };
        }
        mask
    });
    let closely = closely.collect();
    Ok((picture, Reference { video, closely }))
}

/// Writes a folder, which is made where there is none.
///
/// # Errors
/// [`dragentity_core::Error::Io`] when it cannot be written, and those of the encoder.
pub fn save(picture: &Picture, reference: &Reference, folder: &Path) -> Result<()> {
    let video = &reference.video;
    let grey = |mask: &Mask| {
        let white = |&alpha: &u8| [if alpha >= 128 { 255 } else { 0 }; 3];
        mask.alpha.iter().flat_map(white).collect()
    };
    let masks = Video {
        frames: reference.closely.iter().map(grey).collect(),
        ..*video
    };
    // H.264's sides are even.
    let even = |side: u32| (side / 2 * 2).max(2);
    let (width, height) = (even(video.width), even(video.height));
    let film = |video: &Video| mp4::encode(resized(video, width, height)?.as_ref());
    let files = [
        (MOTION, film(video)?),
        (MASK, film(&masks)?),
        (PROMPT, Vec::new()),
        (
            PICTURE,
            encode_png(picture.width, picture.height, &picture.rgb)?,
        ),
    ];
    make_dir(folder)?;
    for (name, bytes) in files {
        write_whole(&folder.join(name), &bytes)?;
    }
    Ok(())
}

#[cfg(all(test, feature = "mp4"))]
mod tests {
    use super::*;
    use crate::tests::moving_disc;

    #[test]
    fn a_folder_that_was_written_is_read() {
        let video = moving_disc(32, 24, 5);
        let (width, height) = (video.width, video.height);
        let half = |index: usize| {
            let mut mask = Mask::empty(width, height);
            for (at, alpha) in mask.alpha.iter_mut().enumerate() {
                *alpha = if at % width as usize > 8 + 2 * index {
                    255
                } else {
                    0
                };
            }
            mask
        };
        let reference = Reference {
            closely: (0..video.frames.len()).map(half).collect(),
            video,
        };
        let picture = Picture::from_rgb(width, height, reference.video.frames[0].clone()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        save(&picture, &reference, &path).unwrap();
        let (first, read) = open(&path, usize::MAX).unwrap();
        assert!(first == picture);
        assert_eq!(read.video.frames.len(), reference.video.frames.len());
        let frames = read.video.frames.len();
        let read = read.with_frames(frames).unwrap();
        for (made, given) in read.closely.iter().zip(&reference.closely) {
            let wrong = made.alpha.iter().zip(&given.alpha);
            let wrong = wrong.filter(|(a, b)| (**a >= 128) != (**b >= 128)).count();
            // Where the edge is, to a pixel.
            assert!(wrong <= height as usize, "{wrong} of {}", given.alpha.len());
        }
        let (_, two) = open(&path, 2).unwrap();
        assert_eq!((two.video.frames.len(), two.closely.len()), (2, 2));
        std::fs::remove_file(path.join(MASK)).unwrap();
        let said = open(&path, 2).err().unwrap().to_string();
        assert!(said.contains(MASK), "{said}");
    }
}
