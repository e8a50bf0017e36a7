//! Files that the subcommands read and write.

use dragentity_core::error::{Error, Result};
use dragentity_media::Format;
use std::io::Read;
use std::path::Path;

/// Largest picture file that is read, in bytes.
pub(super) const MAX_PICTURE_FILE: u64 = 256 << 20;

/// Reads a file, of at most `limit` bytes; `what` is what it should be.
///
/// # Errors
/// [`Error::Io`], and [`Error::Picture`] for a larger one.
pub(super) fn read(path: &Path, limit: u64, what: &str) -> Result<Vec<u8>> {
    let io = |source| Error::Io {
        path: path.display().to_string(),
        source,
    };
    let file = std::fs::File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    // By what is read rather than by what is said to be there: a device or pipe has no length.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        let reason = format!(
            "is larger than {} MB, too large for a {what}; scale it down",
            limit >> 20
        );
        return Err(Error::Picture {
            name: path.display().to_string(),
            reason,
        });
    }
    Ok(bytes)
}

/// Whether a video can be written to `output`.
pub(super) fn check_output(output: &Path) -> Result<()> {
    Format::of(output)?;
    writable(output)
}

/// Whether there is a folder to write into.
pub(super) fn writable(output: &Path) -> Result<()> {
    let parent = output
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if parent.is_dir() {
        return Ok(());
    }
    Err(Error::Job(format!(
        "{}: there is no folder {} to write into; make it first or choose another place",
        output.display(),
        parent.display()
    )))
}
