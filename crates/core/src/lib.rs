//! What all of DragEntity shares and none of it computes: scenes (pictures, masks, trajectories, presets), the words of a
//! job, noise schedules, the blind comparison, and the little that differs between a program and a page. No tensors.

// Who shows something to people is a program, which hears of it in what is returned and called back.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod error;
pub mod event;
pub mod job;
pub mod platform;
pub mod scene;
pub mod scheduler;
pub mod stored_zip;
pub mod study;

pub use error::{Error, Result};
pub use event::JobEvent;
pub use job::{Cancel, Click, ClickJob, Job, Video};
