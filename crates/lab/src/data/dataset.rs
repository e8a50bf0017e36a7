//! Clips by number: the same number always gives the same clip, on any number of threads.

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::pack::Pack;
use super::portrait::{Portrait, is_a_person, portrait};
use super::render::{Choice, Clip, ClipSpec, View, clip};
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::Picture;

/// Which side of the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To train on.
    Train,
    /// Never trained on.
    HeldOut,
}

/// The seed of the clips that `dragentity-lab eval` measures on: 0 to [`EVAL_CLIPS`] of the held-out side.
pub const EVAL_SEED: u64 = 20_241_028;
/// How many clips are measured.
pub const EVAL_CLIPS: u64 = 200;

/// With fewer photographic cut-outs than these they are not preferred to drawn ones.
const FEW_PHOTOS: usize = 12;

/// An endless list of clips, rendered when asked for.
#[derive(Clone, Debug)]
pub struct Dataset {
    pack: Arc<Pack>,
    choice: Choice,
    /// `choice` without cut-outs of people.
    objects: Choice,
    spec: ClipSpec,
    seed: u64,
}

/// What random numbers are drawn for; each gets its own stream.
#[derive(Clone, Copy)]
enum Purpose {
    Clip = 0,
    Image = 1,
}

/// Portraits are drawn from random numbers of their own: this is laid over the seed.
const PORTRAITS: u64 = 0x706f_7274_7261_6974;

impl Dataset {
    /// Clips of one side of a pack. Another seed gives other clips.
    ///
    /// # Errors
    /// When that side has no cut-out or no background, or the spec asks for empty frames.
    pub fn new(pack: Arc<Pack>, split: Split, spec: ClipSpec, seed: u64) -> Result<Self> {
        let held_out = split == Split::HeldOut;
        let (mut photos, mut drawings): (Vec<_>, Vec<_>) = pack
            .cutouts(held_out)
            .iter()
            .partition(|&&index| pack.header.items[index].photo);
        // Chosen by kind first, a handful of photographs would be in every other clip.
        if photos.len() < FEW_PHOTOS {
            drawings.append(&mut photos);
        }
        let choice = Choice {
            photos,
            drawings,
            backgrounds: pack.backgrounds(held_out).to_vec(),
        };
        if choice.backgrounds.is_empty() || choice.photos.is_empty() && choice.drawings.is_empty() {
            let side = if held_out { "held-out" } else { "training" };
            let reason = format!(
                "has no {side} cut-outs or backgrounds; pack it again (scripts/fetch-assets)"
            );
            return Err(Error::Picture {
                name: "pack of clips".into(),
                reason,
            });
        }
        let shares = [spec.camera_share, spec.shadow_share, spec.figure_share];
        if spec.width.min(spec.height) < 16
            || spec.width.max(spec.height) > 4096
            || spec.frames == 0
        {
            let size = format!("{} x {} x {}", spec.width, spec.height, spec.frames);
            return Err(Error::Job(format!(
                "clips of {size} cannot be rendered: 16 to 4096 pixels, 1 frame or more"
            )));
        }
        if spec.max_entities == 0 || shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err(Error::Job(
                "clips need at least one entity, and shares between 0 and 1".into(),
            ));
        }
        let mut objects = choice.clone();
        for list in [&mut objects.photos, &mut objects.drawings] {
            list.retain(|&index| !is_a_person(&pack.header.items[index].name));
        }
        if objects.photos.is_empty() && objects.drawings.is_empty() {
            objects = choice.clone();
        }
        Ok(Self {
            pack,
            choice,
            objects,
            spec,
            seed,
        })
    }

    /// What the clips are like.
    pub fn spec(&self) -> &ClipSpec {
        &self.spec
    }

    fn rng(&self, index: u64, purpose: Purpose) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // One stream an index and purpose: neighbours share nothing.
        rng.set_stream((index << 1) | purpose as u64);
        rng
    }

    /// Clip `index`.
    pub fn clip(&self, index: u64) -> Clip {
        clip(
            &mut self.rng(index, Purpose::Clip),
            &self.pack,
            &self.choice,
            &self.spec,
        )
    }

    /// Clips `first` to `first + count`, rendered side by side.
    pub fn batch(&self, first: u64, count: usize) -> Vec<Clip> {
        (0..count as u64)
            .into_par_iter()
            .map(|index| self.clip(first + index))
            .collect()
    }

    /// A single picture for the autoencoder: half of them views of a background, from all of it to a close
    /// look, the others first frames with things in them.
    pub fn image(&self, index: u64) -> Picture {
        let mut rng = self.rng(index, Purpose::Image);
        let (width, height) = (self.spec.width, self.spec.height);
        let rgb = if rng.random_bool(0.5) {
            View::random(
                &mut rng,
                &self.pack,
                &self.choice,
                (width, height),
                0.2,
                0.0,
            )
            .picture((width, height))
        } else {
            let spec = ClipSpec {
                frames: 1,
                camera_share: 0.0,
                ..self.spec.clone()
            };
            clip(&mut rng, &self.pack, &self.choice, &spec).rgb
        };
        Picture {
            width: width as u32,
            height: height as u32,
            rgb: rgb.into(),
        }
    }

    /// Pictures `first` to `first + count`, rendered side by side.
    pub fn images(&self, first: u64, count: usize) -> Vec<Picture> {
        (0..count as u64)
            .into_par_iter()
            .map(|index| self.image(first + index))
            .collect()
    }

    /// Portrait `index`, `side` pixels each way: a person and its parts, for the human parser.
    pub fn portrait(&self, index: u64, side: usize) -> Portrait {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ PORTRAITS);
        rng.set_stream(index);
        portrait(&mut rng, &self.pack, &self.objects, side)
    }

    /// Portraits `first` to `first + count`, rendered side by side.
    pub fn portraits(&self, first: u64, count: usize, side: usize) -> Vec<Portrait> {
        (0..count as u64)
            .into_par_iter()
            .map(|index| self.portrait(first + index, side))
            .collect()
    }
}
