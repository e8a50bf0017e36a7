//! DragEntity: click the things in a picture, drag them along paths, get the video.
//!
//! A map of the modules; dependencies point one way, top to bottom (see `ARCHITECTURE.md`).

pub mod device;
pub mod error;
pub mod media;
pub mod model;
pub mod nn;
pub mod pipeline;
pub mod platform;
pub mod scene;
pub mod scheduler;
pub mod study;
pub mod weights;

#[cfg(not(target_family = "wasm"))]
pub mod bench;
#[cfg(not(target_family = "wasm"))]
pub mod cli;
#[cfg(not(target_family = "wasm"))]
pub mod data;
#[cfg(not(target_family = "wasm"))]
pub mod eval;
#[cfg(not(target_family = "wasm"))]
pub mod server;
#[cfg(not(target_family = "wasm"))]
pub mod track;
#[cfg(not(target_family = "wasm"))]
pub mod train;

pub mod web;

pub use error::{Error, Result};
