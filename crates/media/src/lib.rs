//! Frames become files: GIF and numbered PNGs in one archive everywhere, MP4 (H.264 of the browser or, in Rust alone, of [`h264`]), WebM and animated WebP of what a browser encodes; animated WebP, MP4 and numbered PNGs in the native program, which reads them, too.
//! Paths are drawn over them, and what moves in them is followed ([`track`]).

// Who shows something to people is a program, which hears of it in what is returned and called back.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod animation;
pub mod archive;
pub mod differences;
pub mod gif;
pub mod h264;
pub mod mux;
pub mod overlay;

#[cfg(not(target_family = "wasm"))]
mod collect;
#[cfg(not(target_family = "wasm"))]
mod file;
#[cfg(all(not(target_family = "wasm"), feature = "mp4"))]
pub mod mp4;
#[cfg(all(not(target_family = "wasm"), not(feature = "mp4")))]
#[path = "mp4_absent.rs"]
pub mod mp4;
#[cfg(not(target_family = "wasm"))]
pub mod read;
#[cfg(not(target_family = "wasm"))]
pub mod reference;
#[cfg(not(target_family = "wasm"))]
pub mod track;
#[cfg(not(target_family = "wasm"))]
pub mod webp;

#[cfg(not(target_family = "wasm"))]
pub use file::{Format, Target, save};

use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::picture::resize_rgb;
use std::borrow::Cow;

/// Longer side, in pixels, to which small videos are brought for viewing.
pub const VIEW_SIDE: u32 = 256;
/// Longest side, in pixels, of a file.
const MAX_SIDE: u32 = 4096;

/// The size at which to show or save a `video` of a picture, both (width, height) in pixels.
///
/// A model's sizes are coarse, so the video of a 3:2 picture may be 5:3. The size returned has about `scale`² times the
/// video's pixels, the picture's aspect, and even sides (which MP4 needs); frames that have the picture's aspect stay as they
/// are. `scale` 1 asks for the frames as they are;
/// `None` for the whole number that brings the longer side nearest to [`VIEW_SIDE`].
pub fn view_size(video: (u32, u32), picture: (u32, u32), scale: Option<u32>) -> (u32, u32) {
    if scale == Some(1) {
        return video;
    }
    let (w, h) = (video.0.max(1) as f64, video.1.max(1) as f64);
    let longer = w.max(h);
    let scale = scale.map_or_else(
        || (VIEW_SIDE as f64 / longer).round().max(1.0),
        |s| s.max(1) as f64,
    );
    let aspect = (picture.0.max(1) as f64 / picture.1.max(1) as f64).clamp(1.0 / 16.0, 16.0);
    if scale == 1.0 && (w - h * aspect).abs() < aspect.max(1.0) {
        // It has the picture's shape already.
        return video;
    }
    let area_side = (w * h).sqrt() * scale;
    let (w, h) = (area_side * aspect.sqrt(), area_side / aspect.sqrt());
    let shrink = (MAX_SIDE as f64 / w.max(h)).min(1.0);
    let even = |v: f64| ((v * shrink / 2.0).round() as u32).max(1) * 2;
    (even(w), even(h))
}

/// The same video at `width` x `height` pixels; itself, where it has that size.
///
/// # Errors
/// [`Error::Job`] for a video without frames, or whose frames are not as long as its size says.
pub fn resized(video: &Video, width: u32, height: u32) -> Result<Cow<'_, Video>> {
    check(video)?;
    let (width, height) = (width.clamp(1, MAX_SIDE), height.clamp(1, MAX_SIDE));
    if (width, height) == (video.width, video.height) {
        return Ok(Cow::Borrowed(video));
    }
    let frames = video
        .frames
        .iter()
        .map(|f| resize_rgb(f, (video.width, video.height), (width, height)))
        .collect();
    Ok(Cow::Owned(Video {
        width,
        height,
        fps: video.fps,
        frames,
    }))
}

/// Whether there are frames, and each is as long as the size says.
fn check(video: &Video) -> Result<()> {
    let length = video.width as usize * video.height as usize * 3;
    if video.frames.is_empty() || length == 0 {
        return Err(Error::Job(
            "there are no frames to save; generate a video first".into(),
        ));
    }
    match video.frames.iter().position(|f| f.len() != length) {
        Some(i) => Err(Error::Job(format!(
            "frame {i} has {} bytes, and {} x {} pixels need {length}",
            video.frames[i].len(),
            video.width,
            video.height
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A disc that moves from left to right over a gradient.
    pub(crate) fn moving_disc(width: u32, height: u32, count: u32) -> Video {
        let frame = |k: u32| {
            let cx = width as f32 * (0.2 + 0.6 * k as f32 / (count.max(2) - 1) as f32);
            let pixel = move |x: u32, y: u32| {
                let r = (x as f32 - cx).hypot(y as f32 - height as f32 / 2.0);
                let edge = (height as f32 / 5.0 - r + 0.5).clamp(0.0, 1.0);
                let ground = [
                    80.0 * x as f32 / width as f32 + 40.0,
                    120.0,
                    160.0 * y as f32 / height as f32 + 40.0,
                ];
                let disc = [230.0, 90.0, 40.0];
                [0, 1, 2].map(|c| (ground[c] * (1.0 - edge) + disc[c] * edge) as u8)
            };
            (0..height)
                .flat_map(|y| (0..width).flat_map(move |x| pixel(x, y)))
                .collect()
        };
        Video {
            width,
            height,
            fps: 8,
            frames: (0..count).map(frame).collect(),
        }
    }

    /// Peak signal-to-noise ratio in dB of two buffers of bytes.
    pub(crate) fn psnr(a: &[u8], b: &[u8]) -> f64 {
        assert_eq!(a.len(), b.len());
        let sum: f64 = a
            .iter()
            .zip(b)
            .map(|(a, b)| (*a as f64 - *b as f64).powi(2))
            .sum();
        10.0 * (255.0f64.powi(2) / (sum / a.len() as f64).max(1e-9)).log10()
    }

    #[test]
    fn view_sizes_follow_the_picture() {
        assert_eq!(view_size((64, 64), (500, 500), None), (256, 256));
        assert_eq!(view_size((80, 48), (512, 341), Some(1)), (80, 48));
        assert_eq!(view_size((451, 300), (451, 300), None), (451, 300));
        assert_eq!(view_size((1280, 853), (1500, 1000), None), (1280, 853));
        let (w, h) = view_size((80, 48), (512, 341), None);
        assert!(
            (w as f64 / h as f64 - 512.0 / 341.0).abs() < 0.02,
            "{w} x {h}"
        );
        assert!((200..=260).contains(&w));
        assert_eq!(view_size((576, 320), (1920, 1080), None), (572, 322));
        for strange in [(0, 0), (1, u32::MAX), (u32::MAX, 1)] {
            let (w, h) = view_size((64, 64), strange, Some(u32::MAX));
            assert!(w % 2 == 0 && h % 2 == 0 && w.max(h) <= 4096 && w.min(h) >= 2);
        }
    }

    #[test]
    fn resizing_keeps_what_is_shown() {
        let video = moving_disc(64, 48, 3);
        let large = resized(&video, 256, 192).unwrap();
        assert_eq!(
            (large.width, large.height, large.fps, large.frames.len()),
            (256, 192, 8, 3)
        );
        let back = resized(&large, 64, 48).unwrap();
        let same = resized(&video, video.width, video.height).unwrap();
        assert!(matches!(same, Cow::Borrowed(_)), "copied for nothing");
        assert!(psnr(&back.frames[2], &video.frames[2]) > 30.0);
        assert!(resized(&Video::default(), 4, 4).is_err());
        assert!(
            resized(
                &Video {
                    frames: vec![vec![0; 5]],
                    ..video
                },
                4,
                4
            )
            .is_err()
        );
    }
}
