//! How options are read that several subcommands have.

/// Reads `576x320`.
///
/// # Errors
/// How to write it.
pub fn size(text: &str) -> std::result::Result<[u32; 2], String> {
    let side = |text: &str| text.trim().parse::<u32>().ok();
    text.split_once(['x', 'X', '×'])
        .and_then(|(width, height)| Some([side(width)?, side(height)?]))
        .ok_or_else(|| "write width and height in pixels, as 576x320".to_owned())
}
