//! DragAnything's demo folders from the disk.

use dragentity_core::error::{Error, Result};
use dragentity_core::platform::read_bytes;
use dragentity_core::scene::demo::{Demo, INDEX};
use std::path::Path;

/// Largest file of a demo folder that is read, in bytes.
const MAX_FILE: u64 = 256 << 20;

/// Reads a demo folder.
///
/// # Errors
/// [`Error::Preset`], [`Error::Picture`] and [`Error::Io`], naming the file.
pub fn open(folder: &Path) -> Result<Demo> {
    if !folder.join(INDEX).is_file() {
        return Err(Error::Preset(format!(
            "{}: there is no {INDEX} here; --demo takes a folder with {INDEX}, demo.jpg and masks, as DragAnything has them",
            folder.display()
        )));
    }
    Demo::read(&mut |name| {
        let path = folder.join(name);
        if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_FILE) {
            return Err(Error::Picture {
                name: path.display().to_string(),
                reason: format!("is larger than {} MB; scale it down", MAX_FILE >> 20),
            });
        }
        pollster::block_on(read_bytes(&path.display().to_string(), &mut |_, _| {}))
    })
}
