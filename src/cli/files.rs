//! Files that the subcommands read and write.

use dragentity_core::error::{Error, Result};
use dragentity_core::platform::check_writable;
use dragentity_core::scene::picture::is_cut_short;
use dragentity_media::{Format, Target};
use dragentity_terminal::out;
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
            "is larger than {} MB, too large for a {what}; make it smaller",
            limit >> 20
        );
        return Err(Error::Picture {
            name: path.display().to_string(),
            reason,
        });
    }
    Ok(bytes)
}

/// Reads the file of a picture, and notes on standard error if it shows less than it should.
///
/// # Errors
/// As [`read`].
pub(super) fn read_picture(path: &Path) -> Result<Vec<u8>> {
    let bytes = read(path, MAX_PICTURE_FILE, "picture")?;
    if is_cut_short(&bytes) {
        out::aside(format_args!(
            "note: {} is cut short, and a part of the picture is missing; save or download it again",
            path.display()
        ));
    }
    Ok(bytes)
}

/// Whether a video can be written to `output`.
pub(super) fn check_output(output: &Path) -> Result<()> {
    Format::of(output)?;
    check_folder(output)?;
    Target::claim(output).map(drop)
}

/// Whether a file can be written to `output`.
pub(super) fn writable(output: &Path) -> Result<()> {
    check_folder(output)?;
    check_writable(output)
}

/// Whether files can be written into the folder `output`, which is made where there is none.
pub(super) fn writable_folder(output: &Path) -> Result<()> {
    match output.is_dir() {
        true => check_writable(&output.join("new")),
        false => writable(output),
    }
}

/// Whether there is a folder to write into.
fn check_folder(output: &Path) -> Result<()> {
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
