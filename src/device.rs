//! The only place that chooses a backend.
