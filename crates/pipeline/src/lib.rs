//! [`Job`](dragentity_core::Job) in, a stream of [`Message`](dragentity_core::Message)s out: the one way in which page,
//! command line and server generate, and DragEntity as a library.

pub mod clicks;
#[cfg(not(target_family = "wasm"))]
pub mod cotracker;
pub mod detail;
pub mod dtype;
pub mod engine;
pub mod memory;
pub mod model;
pub mod noise;
pub mod parts;
pub mod plan;
#[cfg(not(target_family = "wasm"))]
pub mod runner;
pub mod sample;
#[cfg(not(target_family = "wasm"))]
pub mod schp;
pub mod segment;
pub mod segmenter;
pub mod steer;
pub mod svd;
pub mod transfer;
