//! Clips to train and evaluate on: synthetic ones, rendered on the fly from cut-outs and backgrounds.
//!
//! `scripts/fetch-assets` brings the pictures, [`gather::pack`] chooses among them and makes a [`pack::Pack`],
//! a [`Dataset`] renders clips from it, each the function of its number alone.

pub mod dataset;
pub mod figure;
pub mod gather;
mod licence;
pub mod look;
pub mod motion;
pub mod pack;
pub mod render;
pub mod sheet;
pub mod sprite;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use dataset::{Dataset, EVAL_CLIPS, EVAL_SEED, Split};
pub use pack::Pack;
pub use render::{Clip, ClipEntity, ClipSpec};
