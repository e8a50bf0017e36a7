//! The clean plate: what is behind the things that move away.
