//! A directory that appears under its name when all of it is there.

use super::{Kept, Options, entries, io};
use dragentity_core::error::Result;
use dragentity_core::platform::make_dir;
use std::fs::{File, TryLockError};
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The file that tells a directory of ours from any other: only such a one is ever removed. While it is written
/// the file is locked.
pub(super) const MARKER: &str = "convert.json";

/// A directory in the making; unless it is finished, it goes away again.
pub(super) struct Destination {
    dest: PathBuf,
    part: PathBuf,
    /// Held until all is written.
    lock: Option<File>,
    finished: bool,
}

impl Destination {
    /// Makes `<dest>.part`, after a look at what is at `dest`.
    pub(super) fn begin(dest: &Path, options: &Options) -> Result<Self> {
        let refuse = |path: &Path, why: &str| {
            Err(io(
                path,
                Error::new(ErrorKind::AlreadyExists, why.to_owned()),
            ))
        };
        let Some(name) = dest.file_name() else {
            return refuse(dest, "choose a new folder to write to");
        };
        let beside = |extension: &str| {
            let mut name = name.to_os_string();
            name.push(extension);
            dest.with_file_name(name)
        };
        if dest.exists() {
            if !dest.is_dir() {
                return refuse(dest, "there is a file of that name; choose a new folder");
            }
            let empty = entries(dest)?.is_empty();
            if !empty && !dest.join(MARKER).is_file() {
                return refuse(
                    dest,
                    "there is a folder that no conversion has written; choose a new one",
                );
            }
            if !empty && !options.overwrite {
                return refuse(
                    dest,
                    "there is an earlier conversion; choose a new folder, or add --overwrite",
                );
            }
        }
        let part = beside(".part");
        let marker = part.join(MARKER);
        let left_behind = part.exists();
        if left_behind && !marker.is_file() {
            return refuse(&part, "this is in the way; move it elsewhere");
        }
        make_dir(&part)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&marker)
            .map_err(|e| io(&marker, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return refuse(&part, "another conversion is writing this; wait for it");
            }
            // Some file systems have no locks.
            Err(TryLockError::Error(e)) => log::debug!("{}: no lock ({e})", marker.display()),
        }
        let kept = match options.kept {
            Kept::F16 => "f16",
            Kept::F32 => "f32",
            Kept::Int8 => "int8",
        };
        let said = serde_json::json!({
            "written_by": format!("dragentity {} convert", env!("CARGO_PKG_VERSION")),
            "dtype": kept,
        });
        // From here on it goes away again if anything fails.
        let this = Self {
            dest: dest.to_owned(),
            part,
            lock: Some(lock),
            finished: false,
        };
        if let Some(mut lock) = this.lock.as_ref() {
            lock.set_len(0)
                .and_then(|()| writeln!(lock, "{said:#}"))
                .map_err(|e| io(&marker, e))?;
        }
        // An earlier conversion was interrupted.
        for entry in entries(&this.part)?.iter().filter(|e| **e != marker) {
            remove(entry)?;
        }
        Ok(this)
    }

    /// Where to write.
    pub(super) fn path(&self) -> &Path {
        &self.part
    }

    /// Moves it to its place.
    pub(super) fn finish(mut self) -> Result<()> {
        // Some systems do not move what is open.
        drop(self.lock.take());
        let rename = |from: &Path, to: &Path| std::fs::rename(from, to).map_err(|e| io(to, e));
        if !self.dest.exists() {
            rename(&self.part, &self.dest)?;
        } else {
            // It is empty or an earlier conversion: `begin` saw to that.
            let mut old = self.part.clone().into_os_string();
            old.push(".old");
            let old = PathBuf::from(old);
            if old.join(MARKER).is_file() {
                remove(&old)?;
            }
            rename(&self.dest, &old)?;
            if let Err(e) = rename(&self.part, &self.dest) {
                rename(&old, &self.dest)?;
                return Err(e);
            }
            remove(&old)?;
        }
        self.finished = true;
        Ok(())
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        drop(self.lock.take());
        if let Err(e) = std::fs::remove_dir_all(&self.part) {
            log::warn!("{}: cannot be removed ({e})", self.part.display());
        }
    }
}

fn remove(path: &Path) -> Result<()> {
    let removed = match path.is_dir() && !path.is_symlink() {
        true => std::fs::remove_dir_all(path),
        false => std::fs::remove_file(path),
    };
    removed.map_err(|e| io(path, e))
}
