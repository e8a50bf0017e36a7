//! The layers that take DragEntity's time on a processor, of single precision, on plain slices.
//!
//! Burn's CPU backend computes each operation by itself: a group norm passes over its input six times, a 3x3
//! convolution first puts channels last, in one thread. Here each of these layers is one or two passes, and 3x3
//! convolutions take 2.25 times fewer multiplications (Winograd). `dragentity_networks::nn` calls these functions where its
//! tensors live on that backend, and Burn's own everywhere else; both are tested against each other.
//!
//! All tensors are dense and row-major. Every function panics if a length does not fit its shape: shapes are the
//! caller's, never a user's.

// Who shows something to people is a program, which hears of it in what is returned and called back.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod activation;
mod attention;
mod convolution;
mod linear;
mod matmul;
mod norm;
mod packed;
mod parallel;
mod shape;
mod wide;
mod winograd;

pub use activation::{geglu, gelu, silu};
pub use attention::{Attention, Bias, attention};
pub use convolution::{conv2d, temporal_conv};
pub use linear::linear;
pub use norm::{GroupNorm, group_norm};
pub use packed::unpack;
pub use shape::Conv2d;
