//! Folders that a person picked in the browser: their files are read where they are, in ranges, and never as a whole.
//!
//! A worker is given the files ([`pick`]) and then reads them like any others, by a location below the folder's. Reading at
//! once instead of by a promise is what keeps one loader for programs and pages; browsers allow it in workers only.

use js_sys::Uint8Array;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use web_sys::{File, FileReaderSync};

/// What locations in picked folders begin with. No address does, and errors that name such a location read on from it.
const PICKED: &str = "folder ";

thread_local! {
    /// The files of each folder, by their paths below it.
    static FOLDERS: RefCell<BTreeMap<String, BTreeMap<String, File>>> = RefCell::default();
}

/// Makes files readable below the location that is returned. `files` have their paths below the folder, as
/// `unet/config.json`; `name` is what errors call the folder, with a number behind it where another one of that name is picked.
pub fn pick(name: &str, files: impl IntoIterator<Item = (String, File)>) -> String {
    let files = files.into_iter().collect();
    FOLDERS.with_borrow_mut(|folders| {
        let mut location = format!("{PICKED}{name}");
        let mut number = 1;
        while folders.contains_key(&location) {
            number += 1;
            location = format!("{PICKED}{name} ({number})");
        }
        folders.insert(location.clone(), files);
        location
    })
}

/// Lets a picked folder go; what is open of it can still be read.
pub fn let_go(location: &str) {
    FOLDERS.with_borrow_mut(|folders| folders.remove(location));
}

/// The file at a location, if that lies in a picked folder.
pub(super) fn find(location: &str) -> Option<Result<File>> {
    if !location.starts_with(PICKED) {
        return None;
    }
    let found = FOLDERS.with_borrow(|folders| {
        folders.iter().find_map(|(folder, files)| {
            let path = location.strip_prefix(folder.as_str())?.strip_prefix('/')?;
            files.get(path).cloned()
        })
    });
    Some(found.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            "there is no such file in the folder that was opened",
        )
    }))
}

/// Fills `into` with what begins at byte `at` of the file.
pub(super) fn read_exact_at(file: &File, at: u64, into: &mut [u8]) -> Result<()> {
    let end = at.saturating_add(into.len() as u64);
    if end > file.size() as u64 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    // Browsers refuse files that have changed since they were picked, whatever the range.
    let gone =
        |_| Error::other("it has changed or is gone since it was opened; open its folder again");
    let range = file
        .slice_with_f64_and_f64(at as f64, end as f64)
        .map_err(gone)?;
    let bytes = FileReaderSync::new()
        .and_then(|reader| reader.read_as_array_buffer(&range))
        .map_err(gone)?;
    let bytes = Uint8Array::new(&bytes);
    if bytes.length() as usize != into.len() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    bytes.copy_to(into);
    Ok(())
}
