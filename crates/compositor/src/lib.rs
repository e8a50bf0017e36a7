//! What is shown at once, without any network: soft mattes around what moves, a clean plate behind it, and the frames.
//!
//! All of it works on 8-bit pictures at the size of the result, and none of it knows Burn or a browser.

// Who shows something to people is a program, which hears of it in what is returned and called back.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod after;
pub mod cutout;
pub mod frames;
mod luma;
pub mod matte;
mod mean;
pub mod place;
pub mod plate;
mod resample;
pub mod shadow;
pub mod source;
pub mod warp;
