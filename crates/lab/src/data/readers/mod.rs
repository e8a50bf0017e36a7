//! Videos of published data sets, as clips to train on: the same [`Clip`]s as rendered ones.
//!
//! Which layouts there are says [`Layout`]; how a video becomes a clip says `clip`. Videos without tracks are tracked
//! by [`dragentity_media::track::flow`], videos without masks get those of what moves by itself.

mod clip;
mod labels;
mod layout;
#[cfg(test)]
mod tests;

pub use layout::{Item, Layout, Masks};

use super::Split;
use super::render::{Clip, ClipSpec};
use dragentity_core::error::{Error, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Videos that are tried for a clip before that is given up.
const TRIES: u64 = 24;

/// A data set on the disk.
pub struct Library {
    /// How it is kept.
    pub layout: Layout,
    /// Its videos.
    pub items: Vec<Item>,
}

impl Library {
    /// Lists the videos of a data set: a folder, or a WebVid list. None is opened.
    ///
    /// # Errors
    /// [`Error::Picture`] when it is in no known layout, [`Error::Io`].
    pub fn open(place: &Path) -> Result<Self> {
        let (layout, items) = layout::list(place)?;
        Ok(Self { layout, items })
    }
}

/// An endless list of clips of one side of a data set, read when asked for; the same number always gives the same clip.
#[derive(Clone)]
pub struct Recorded {
    /// Videos, by what they are pieces of.
    sources: Arc<Vec<Vec<Item>>>,
    spec: ClipSpec,
    seed: u64,
    /// Videos that gave no clip, and of which that was said.
    told: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Recorded {
    /// Clips of one side. Another seed gives other clips. Of a data set with one video both sides are the same.
    ///
    /// # Errors
    /// [`Error::Job`] for clips without pixels, frames or entities.
    pub fn new(library: &Library, split: Split, spec: ClipSpec, seed: u64) -> Result<Self> {
        if spec.width.min(spec.height) < 16 || spec.frames == 0 || spec.max_entities == 0 {
            return Err(Error::Job(
                "clips need 16 pixels a side, a frame and an entity".into(),
            ));
        }
        let held_out = split == Split::HeldOut;
        let mut items = library.items.clone();
        if library.items.iter().any(|item| item.held_out == held_out) {
            items.retain(|item| item.held_out == held_out);
        } else {
            log::warn!(
                "{}: too few videos to keep some apart",
                library.layout.name()
            );
        }
        Ok(Self {
            sources: Arc::new(layout::by_source(items)),
            spec,
            seed,
            told: Arc::default(),
        })
    }

    /// What the clips are like.
    pub fn spec(&self) -> &ClipSpec {
        &self.spec
    }

    /// Clip `index`. A video of which no clip can be made is said in the log (once), and another one taken.
    ///
    /// # Errors
    /// Those of the last video when none of many gives a clip.
    pub fn clip(&self, index: u64) -> Result<Clip> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(index);
        let mut tries = 0;
        loop {
            let source = &self.sources[rng.random_range(0..self.sources.len())];
            let item = &source[rng.random_range(0..source.len())];
            match clip::clip(item, &self.spec, &mut rng) {
                Ok(clip) => return Ok(clip),
                Err(error) if tries >= TRIES => return Err(error),
                Err(error) => self.tell(item, &error),
            }
            tries += 1;
        }
    }

    /// Says once of a video that it gave no clip: training asks for it again and again.
    fn tell(&self, item: &Item, error: &Error) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(item.video.clone()) {
            log::warn!("passed over: {error}");
        }
    }

    /// Clips `first` to `first + count`, read side by side.
    ///
    /// # Errors
    /// As [`Recorded::clip`].
    pub fn batch(&self, first: u64, count: usize) -> Result<Vec<Clip>> {
        (0..count as u64)
            .into_par_iter()
            .map(|index| self.clip(first + index))
            .collect()
    }
}
