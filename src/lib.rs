//! DragEntity: click the things in a picture, drag them along paths, get the video. The program (`cli`, `server`) and the
//! page (`web`); what they run is in `crates/` (see `ARCHITECTURE.md`).

// Only the command line has somebody who reads what is printed, and it prints where that may fail (`dragentity_terminal::out`).
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[cfg(not(target_family = "wasm"))]
pub mod cli;
#[cfg(all(not(target_family = "wasm"), feature = "server"))]
pub mod server;
pub mod web;
