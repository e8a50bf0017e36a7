//! Weights in and out: safetensors under diffusers' tensor names, from bytes or from a model's directory.
//!
//! One loader serves every network. It fails, by name, on each tensor that is missing or has another
//! shape, and reports those that the network has no use for.

mod dir;
mod header;
mod list;
mod load;
#[cfg(not(target_family = "wasm"))]
mod save;

pub use dir::ModelDir;
pub use header::{TensorInfo, parse_header};
pub use list::tensor_list;
pub use load::{LoadReport, Weights};
#[cfg(not(target_family = "wasm"))]
pub use save::{Precision, save_bytes, save_file};
