//! The EDM/Euler scheduler.
