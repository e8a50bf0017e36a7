//! Training: one loop ([`fit`]), one stage for each network, checkpoints that a run resumes from.

pub mod checkpoint;
pub mod curve;
pub mod ema;
pub mod fit;
pub mod schedule;
