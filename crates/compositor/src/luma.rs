//! How light colours are.

/// The luma of the first pixel of `rgb`, 0..255 (BT.601).
pub fn luma(rgb: &[u8]) -> f32 {
    0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2])
}
