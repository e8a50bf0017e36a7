//! What differs between a program and a page, behind one set of functions: files and fetches, time,
//! and giving way to others. Only programs write files.

mod contents;
#[cfg(target_family = "wasm")]
mod js;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod picked;
#[cfg(target_family = "wasm")]
mod remote;
#[cfg(target_family = "wasm")]
mod wasm;

pub use contents::Contents;
#[cfg(not(target_family = "wasm"))]
pub use native::{
    catch_panic, check_writable, make_dir, now_seconds, open, read_bytes, write_json, write_whole,
    yield_now,
};
#[cfg(target_family = "wasm")]
pub use picked::{let_go, pick};
#[cfg(target_family = "wasm")]
pub use remote::{Remote, at_address};
#[cfg(target_family = "wasm")]
pub use wasm::{now_seconds, open, read_bytes, yield_now};
