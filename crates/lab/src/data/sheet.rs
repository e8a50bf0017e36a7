//! Clips as one picture, to be judged by eye.

use super::dataset::Dataset;
use super::render::Clip;
use dragentity_core::Video;
use dragentity_core::error::Result;
use dragentity_core::scene::{Mask, Picture};
use dragentity_media::overlay::{Canvas, colour, contact_sheet};

/// A clip's frames as a video, without the truth about them.
pub fn video(clip: &Clip, fps: u32) -> Video {
    let frames = (0..clip.frames)
        .map(|frame| clip.frame(frame).to_vec())
        .collect();
    Video {
        width: clip.width as u32,
        height: clip.height as u32,
        fps,
        frames,
    }
}

/// One row of a sheet, `scale` times as large: the first frame with masks and tracks over it, then the frames.
///
/// # Errors
/// Those of [`Canvas::new`].
pub fn row(clip: &Clip, scale: u32) -> Result<Video> {
    let (width, height) = (clip.width as u32 * scale, clip.height as u32 * scale);
    let enlarge = |rgb: &[u8]| {
        let image = image::RgbImage::from_raw(clip.width as u32, clip.height as u32, rgb.to_vec());
        let image = image.unwrap_or_default();
        image::imageops::resize(&image, width, height, image::imageops::FilterType::Nearest)
            .into_raw()
    };
    let mut canvas = Canvas::new(width, height, &enlarge(clip.frame(0)))?;
    for (index, entity) in clip.entities.iter().enumerate() {
        let alpha = clip.visible(index, 0).to_vec();
        let mask = Mask {
            width: clip.width as u32,
            height: clip.height as u32,
            alpha,
        };
        canvas.mask(&mask, colour(index), 0.5);
        let track: Vec<[f32; 2]> = entity
            .track
            .iter()
            .map(|p| [p[0] / clip.width as f32, p[1] / clip.height as f32])
            .collect();
        canvas.line(&track, colour(index), 1.0, scale as f32 * 0.8);
        canvas.dot(track[0], colour(index), 1.0, scale as f32 * 1.2);
    }
    let mut frames = vec![canvas.into_rgb()];
    frames.extend((0..clip.frames).map(|frame| enlarge(clip.frame(frame))));
    Ok(Video {
        width,
        height,
        fps: 8,
        frames,
    })
}

/// The first `count` clips of a data set, a row each.
///
/// # Errors
/// Those of [`row`] and [`contact_sheet`].
pub fn preview(data: &Dataset, count: usize, scale: u32) -> Result<Picture> {
    let rows = data
        .batch(0, count)
        .iter()
        .map(|clip| row(clip, scale))
        .collect::<Result<Vec<_>>>()?;
    contact_sheet(&rows.iter().collect::<Vec<_>>(), 2)
}
