//! Where DragEntity is made and measured: clips, training, evaluation, benches, and the program that runs them. Nothing of it
//! is in the program and the page that people use.

// What is to be seen is said in events, and shown by the command line, where that may fail (`dragentity_terminal::out`).
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod bench;
pub mod cli;
pub mod data;
pub mod eval;
pub mod event;
pub mod follow;
pub mod train;

pub use event::LabEvent;
