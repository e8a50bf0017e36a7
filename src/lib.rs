//! DragEntity: click the things in a picture, drag them along paths, get the video. The program (`cli`, `server`) and the
//! page (`web`); what they run is in `crates/` (see `ARCHITECTURE.md`).

#[cfg(not(target_family = "wasm"))]
pub mod cli;
#[cfg(all(not(target_family = "wasm"), feature = "server"))]
pub mod server;
pub mod web;
