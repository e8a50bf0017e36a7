//! In a module without GPUs nothing is drawn by one.

use super::{Part, Seen};
use dragentity_compositor::cutout::Sprite;
use dragentity_core::scene::Picture;
use web_sys::ImageBitmap;

/// There is none.
pub enum LiveGpu {}

/// Nor anything on it.
pub enum Shown {}

impl LiveGpu {
    /// Says so.
    pub fn open(_emulated: bool, _failed: fn(String)) -> std::future::Ready<Result<Self, String>> {
        std::future::ready(Err("this part of the page cannot use a GPU".into()))
    }

    /// Takes up what a live view is made of.
    pub fn show(&self, _plate: &Picture, _layers: &[[Option<&Sprite>; 2]]) -> Option<Shown> {
        match *self {}
    }

    /// Draws a moment.
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "the one that there is changes"
    )]
    pub fn draw(
        &mut self,
        _shown: &mut Shown,
        _seen: &Seen,
        _parts: &[Part],
    ) -> Option<ImageBitmap> {
        match *self {}
    }
}
