//! DragEntity as a library: pictures, paths and weights in, videos out. [`Job`](dragentity_core::Job) in, a stream of
//! [`JobEvent`](dragentity_core::JobEvent)s meanwhile, a [`Video`](dragentity_core::Video) out: the one way in which page,
//! command line and server generate.
//!
//! - [`runner::with_runner`] runs jobs and makes masks of clicks on a device chosen at run time: start here.
//! - [`model::About`] says what a model directory holds, and which settings a job is run with.
//! - [`split::split_person`] divides a person into parts; [`cotracker`] follows things with CoTracker's weights (without
//!   weights: `dragentity_media::track`).
//! - [`at_once::AtOnce`] makes videos without a network.
//! - [`engine::Engine`] (DragEntity's own networks), [`svd::Svd`] (the published Stable Video Diffusion) and
//!   [`segmenter::Segmenter`] (SAM) are beneath, generic over Burn's backends.
//!
//! ```no_run
//! use dragentity_core::scene::settings::Choice;
//! use dragentity_core::scene::{Picture, Preset};
//! use dragentity_core::{Cancel, Job};
//! use dragentity_networks::device::Device;
//! use dragentity_pipeline::model::{About, ModelOptions, SceneFrom};
//! use dragentity_pipeline::runner::with_runner;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let picture = Picture::decode(&std::fs::read("cat.jpg")?, "cat.jpg")?;
//! let preset = Preset::parse(&std::fs::read_to_string("cat.json")?)?;
//! let options = ModelOptions::new(dragentity_pipeline::at_once::NAME);
//! let about = pollster::block_on(About::read(&options))?;
//! let settings = about.settings(&Choice::default(), SceneFrom::Preset(&preset));
//! let job = Job::new(preset.scene(picture)?, settings, about.needs_paths())?;
//! let video = with_runner(Device::Auto, &options, |runner| {
//!     runner.run(&job, &Cancel::new(), &mut |_event| {})
//! })??;
//! dragentity_media::save(&video, "cat.gif".as_ref())?;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/` holds this as programs: generate, segment, track.

// Who shows something to people is a program, which hears of it in what is returned and called back.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod at_once;
mod behind_arms;
pub mod candidates;
pub mod clicks;
#[cfg(not(target_family = "wasm"))]
pub mod cotracker;
pub mod detail;
pub mod dtype;
pub mod engine;
mod fill;
pub mod interpolate;
pub mod measure;
pub mod memory;
pub mod model;
pub mod noise;
#[cfg(target_family = "wasm")]
pub mod page;
pub mod parts;
pub mod plan;
pub mod pose;
#[cfg(not(target_family = "wasm"))]
pub mod runner;
pub mod sample;
#[cfg(not(target_family = "wasm"))]
pub mod schp;
pub mod segmenter;
#[cfg(all(target_family = "wasm", feature = "wgpu"))]
pub mod selftest;
#[cfg(not(target_family = "wasm"))]
pub mod split;
pub mod steer;
pub mod structure;
pub mod svd;
pub mod transfer;
