//! [`Job`](dragentity_core::Job) in, a stream of [`JobEvent`](dragentity_core::JobEvent)s out: the one way in which page,
//! command line and server generate, and DragEntity as a library.

// Who shows something to people is a program, which hears of it in what is returned and called back.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod clicks;
#[cfg(not(target_family = "wasm"))]
pub mod cotracker;
pub mod detail;
pub mod dtype;
pub mod engine;
pub mod memory;
pub mod model;
pub mod noise;
#[cfg(target_family = "wasm")]
pub mod page;
pub mod parts;
pub mod plan;
#[cfg(not(target_family = "wasm"))]
pub mod runner;
pub mod sample;
#[cfg(not(target_family = "wasm"))]
pub mod schp;
pub mod segment;
pub mod segmenter;
#[cfg(target_family = "wasm")]
pub mod selftest;
#[cfg(not(target_family = "wasm"))]
pub mod split;
pub mod steer;
pub mod svd;
pub mod transfer;
