//! The networks, configured by diffusers' `config.json`, with fields named as the tensors in the files; their layers,
//! weights and devices. One set for every device, generic over Burn's `Backend`.

// Who shows something to people is a program, which hears of it in what is returned and called back.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod blaze_pose;
pub mod clip;
#[cfg(not(target_family = "wasm"))]
pub mod cotracker;
pub mod device;
pub mod dragentity;
mod fields;
pub mod nn;
pub mod rife;
pub mod sam;
#[cfg(not(target_family = "wasm"))]
pub mod schp;
pub mod sd15;
pub mod svd;
pub mod weights;
