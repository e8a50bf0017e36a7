//! What a patch is.

/// How far a patch reaches from its centre, in pixels.
pub(super) const RADIUS: usize = 3;
/// Pixels along the side of a patch.
pub(super) const SIDE: usize = 2 * RADIUS + 1;
/// Colours are kept in quarters, so that what is averaged is not rounded to 8 bits again and again.
pub(super) const SCALE: f32 = 4.0;
