//! Frames as a decoder hands them on: those that are asked for are kept.

use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::picture::resize_rgb;

/// Most bytes of frames that are kept.
const MAX_FRAMES_BYTES: usize = 2 << 30;
/// How to make a file that can be read of one that cannot.
pub(crate) const CONVERT: &str = "convert it, for example with `ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p OUT.mp4`, or to a \
                       folder of frames";

/// Which frames of a video are read, and how large they may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The first one, from 0.
    pub start: usize,
    /// Every how many-th.
    pub stride: usize,
    /// How many at most.
    pub frames: usize,
    /// Longest side in pixels; larger frames are scaled down.
    pub side: u32,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            start: 0,
            stride: 1,
            frames: usize::MAX,
            side: crate::MAX_SIDE,
        }
    }
}

/// A file or folder of frames that cannot be used.
pub(crate) fn refused(name: &str, reason: impl Into<String>) -> Error {
    Error::Picture {
        name: name.to_owned(),
        reason: reason.into(),
    }
}

/// Collects the frames that are asked for.
pub(crate) struct FrameCollector {
    pub(crate) name: String,
    reading: Reading,
    /// Frames that have come by.
    pub(crate) seen: usize,
    video: Video,
    /// Width and height of the frames as they come.
    size: Option<(u32, u32)>,
}

impl FrameCollector {
    pub(crate) fn new(name: &str, reading: &Reading) -> Self {
        Self {
            name: name.to_owned(),
            reading: *reading,
            seen: 0,
            video: Video::default(),
            size: None,
        }
    }

    /// Whether nothing more is wanted.
    pub(crate) fn is_full(&self) -> bool {
        self.video.frames.len() >= self.reading.frames
    }

    /// Refuses a video by what its headers say, before anything is decoded: where what is wanted of it takes too much memory.
    pub(crate) fn expect(&self, frames: usize, width: u32, height: u32) -> Result<()> {
        let from_start = frames.saturating_sub(self.reading.start);
        let wanted = from_start.div_ceil(self.reading.stride.max(1));
        self.check_room(
            wanted.min(self.reading.frames),
            self.kept_size(width, height),
        )
    }

    /// The size in which frames of another are kept.
    fn kept_size(&self, width: u32, height: u32) -> (u32, u32) {
        let longer = width.max(height).max(1);
        let scale = f64::from(self.reading.side.clamp(1, crate::MAX_SIDE)) / f64::from(longer);
        let side = |n: u32| ((f64::from(n) * scale.min(1.0)).round() as u32).max(1);
        (side(width), side(height))
    }

    fn check_room(&self, frames: usize, (width, height): (u32, u32)) -> Result<()> {
        let bytes = frames.saturating_mul(width as usize * height as usize * 3);
        if bytes <= MAX_FRAMES_BYTES {
            return Ok(());
        }
        Err(refused(
            &self.name,
            format!(
                "is too long: {frames} frames of {width} x {height} pixels take more than {} GB; read fewer frames, or \
                 every second one",
                MAX_FRAMES_BYTES >> 30
            ),
        ))
    }

    /// The next frame, whose RGB bytes `rgb` gives if they are wanted.
    pub(crate) fn next(
        &mut self,
        width: u32,
        height: u32,
        rgb: impl FnOnce() -> Vec<u8>,
    ) -> Result<()> {
        let index = self.seen;
        self.seen += 1;
        let Some(from_start) = index.checked_sub(self.reading.start) else {
            return Ok(());
        };
        if self.is_full() || from_start % self.reading.stride.max(1) != 0 {
            return Ok(());
        }
        let first = *self.size.get_or_insert((width, height));
        if (width, height) != first {
            return Err(refused(
                &self.name,
                format!(
                    "frame {} has {width} x {height} pixels and the first one {} x {}; all frames must have one size",
                    index + 1,
                    first.0,
                    first.1
                ),
            ));
        }
        let to = self.kept_size(width, height);
        (self.video.width, self.video.height) = to;
        // Headers may have said less.
        self.check_room(self.video.frames.len() + 1, to)?;
        let rgb = rgb();
        self.video.frames.push(if to == (width, height) {
            rgb
        } else {
            resize_rgb(&rgb, (width, height), to)
        });
        Ok(())
    }

    /// What was kept of a video that plays at `fps`.
    pub(crate) fn finish(self, fps: f64) -> Result<Video> {
        if self.video.frames.is_empty() {
            let why = match self.seen {
                0 => "has no frames; the file may be damaged".to_owned(),
                n => format!(
                    "has {n} frames and ends before frame {}",
                    self.reading.start + 1
                ),
            };
            return Err(refused(&self.name, why));
        }
        let fps = (fps / self.reading.stride.max(1) as f64).round();
        Ok(Video {
            fps: fps.clamp(1.0, 240.0) as u32,
            ..self.video
        })
    }
}

/// The reason with the way out.
pub(crate) fn damaged(name: &str, why: &dyn std::fmt::Display) -> Error {
    refused(name, format!("cannot be decoded ({why}); {CONVERT}"))
}
