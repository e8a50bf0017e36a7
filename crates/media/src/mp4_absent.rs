//! In place of [`crate::mp4`] where the feature `mp4` is off: files are recognised, and refused with how to go on.

use crate::collect::{FrameCollector, refused};
use dragentity_core::{Error, Result, Video};

/// What is said of any MP4.
const ABSENT: &str = "this program was built without MP4: rebuild it with the feature `mp4`, or use a GIF, a WebP or a \
                      folder of frames";

/// Refuses.
///
/// # Errors
/// [`Error::Job`], always.
pub fn encode(_: &Video) -> Result<Vec<u8>> {
    Err(Error::Job(ABSENT.into()))
}

/// A film that cannot be read; there is never one.
pub enum Mp4Reader {}

impl Mp4Reader {
    /// Refuses.
    ///
    /// # Errors
    /// [`Error::Picture`], always.
    pub fn open(_: &[u8], name: &str) -> Result<Self> {
        Err(refused(name, ABSENT))
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        match *self {}
    }

    /// Mean number of frames a second.
    pub fn fps(&self) -> f64 {
        match *self {}
    }

    /// Hands frames to `collector`.
    pub(crate) fn decode(&self, _: &mut FrameCollector, _: usize) -> Result<()> {
        match *self {}
    }
}
