//! Where DragEntity is made and measured: clips, training, evaluation, benches, and the program that runs them. Nothing of it
//! is in the program and the page that people use.

pub mod bench;
pub mod cli;
pub mod data;
pub mod eval;
pub mod train;
