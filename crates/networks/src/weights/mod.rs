//! Weights in and out: safetensors under diffusers' tensor names, from bytes or from a model's directory; PyTorch's own
//! checkpoints in.
//!
//! One loader serves every network. It fails, by name, on each tensor that is missing or has another
//! shape, and reports those that the network has no use for. In a program, and from a folder that was opened in the page, tensors
//! are read from the disk one by one, in pieces: what is in memory does not grow with the file.

#[cfg(not(target_family = "wasm"))]
pub mod convert;
mod dir;
mod eight_bits;
mod file;
mod header;
mod index;
mod list;
mod load;
mod pack;
mod pickle;
#[cfg(not(target_family = "wasm"))]
mod random;
#[cfg(not(target_family = "wasm"))]
mod save;
mod torch;
mod weight_type;

pub use dir::{ModelDir, parse_config};
pub use file::Weights;
pub use header::{TensorInfo, parse_header};
pub use index::parse_index;
pub use list::{Numbers, tensor_list};
pub use load::LoadReport;
#[cfg(not(target_family = "wasm"))]
pub use random::write_random;
#[cfg(not(target_family = "wasm"))]
pub use save::{Precision, save_bytes, save_file};
pub use weight_type::WeightType;
