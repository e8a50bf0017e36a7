//! Clips to train and evaluate on: synthetic ones, rendered on the fly from cut-outs and backgrounds, and videos of
//! published data sets ([`readers`]).
//!
//! `scripts/fetch-assets` brings the pictures, [`gather::pack`] chooses among them and makes a [`pack::Pack`],
//! a [`Dataset`] renders clips from it, each the function of its number alone.

pub mod appearance;
pub mod dataset;
pub mod figure;
pub mod gather;
pub mod holes;
mod licence;
pub mod motion;
pub mod moves;
pub mod pack;
mod person;
pub mod portrait;
pub mod readers;
pub mod render;
pub mod sheet;
pub mod sprite;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use dataset::{Dataset, EVAL_CLIPS, EVAL_SEED, Split};
pub use pack::Pack;
pub use readers::{Library, Recorded};
pub use render::{Clip, ClipEntity, ClipSpec};

use dragentity_core::Result;
use std::path::Path;
use std::sync::Arc;

/// What clips come from.
#[derive(Clone)]
pub enum Data {
    /// A pack, of which they are rendered.
    Pack(Arc<Pack>),
    /// A data set of videos.
    Library(Arc<Library>),
}

impl Data {
    /// Opens a pack (a file), or a data set of videos: a folder in one of the layouts of [`readers::Layout`], or a WebVid
    /// list (`.csv`).
    ///
    /// # Errors
    /// As [`Pack::open`] and [`Library::open`].
    pub fn open(place: &Path) -> Result<Self> {
        let list = place
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        if list || place.is_dir() {
            return Ok(Self::Library(Arc::new(Library::open(place)?)));
        }
        Ok(Self::Pack(Arc::new(Pack::open(place)?)))
    }
}
