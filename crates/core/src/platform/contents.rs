//! What a file contains, wherever it is.

use std::io::{Error, ErrorKind, Result};

/// The contents of a file: in memory, or on a disk and read from there piece by piece, by a program or by the worker of a page
/// in which it was picked.
///
/// Positioned reads instead of a memory map: a map needs `unsafe`, counts towards the memory of a process
/// and ends it when somebody cuts the file short; a read says so.
#[derive(Debug)]
pub enum Contents {
    /// All of it, as a page has what it fetched.
    Memory(Vec<u8>),
    /// An open file.
    #[cfg(not(target_family = "wasm"))]
    File {
        /// Open for reading.
        file: std::fs::File,
        /// Its length in bytes when it was opened.
        len: u64,
    },
    /// A file that a person picked.
    #[cfg(target_family = "wasm")]
    Picked(web_sys::File),
    /// A file at an address, of which parts are fetched.
    #[cfg(target_family = "wasm")]
    Remote(super::Remote),
}

impl Contents {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            #[cfg(not(target_family = "wasm"))]
            Self::File { len, .. } => *len,
            #[cfg(target_family = "wasm")]
            Self::Picked(file) => file.size() as u64,
            #[cfg(target_family = "wasm")]
            Self::Remote(file) => file.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether reading costs nothing but a copy.
    pub fn in_memory(&self) -> bool {
        matches!(self, Self::Memory(_))
    }

    /// Fills `into` with what begins at byte `at`.
    ///
    /// # Errors
    /// Of the kind `UnexpectedEof` if there is less.
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        match self {
            Self::Memory(bytes) => {
                let found = usize::try_from(at)
                    .ok()
                    .and_then(|at| bytes.get(at..at.checked_add(into.len())?))
                    .ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?;
                into.copy_from_slice(found);
                Ok(())
            }
            #[cfg(not(target_family = "wasm"))]
            Self::File { file, .. } => read_exact_at(file, at, into),
            #[cfg(target_family = "wasm")]
            Self::Picked(file) => super::picked::read_exact_at(file, at, into),
            #[cfg(target_family = "wasm")]
            Self::Remote(file) => file.read_exact_at(at, into),
        }
    }
}

/// Fills `into` with what begins at byte `at` of the file.
#[cfg(unix)]
fn read_exact_at(file: &std::fs::File, at: u64, into: &mut [u8]) -> Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, at)
}

/// Fills `into` with what begins at byte `at` of the file.
#[cfg(windows)]
fn read_exact_at(file: &std::fs::File, mut at: u64, mut into: &mut [u8]) -> Result<()> {
    use std::os::windows::fs::FileExt;
    while !into.is_empty() {
        match file.seek_read(into, at) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                at += read as u64;
                into = &mut into[read..];
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
