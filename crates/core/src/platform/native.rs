//! Files, the system's clock.

use super::Contents;
use crate::error::{Error, Result};
use serde::Serialize;
use std::cell::Cell;
use std::fs::File;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::sync::{Once, OnceLock};
use std::task::Poll;
use std::time::Instant;

/// Bytes between two calls of a progress function.
const CHUNK: u64 = 1 << 20;

/// Reads a whole file, with `progress(bytes read, bytes in all)`.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, is no ordinary file, or grows faster than it is read.
pub async fn read_bytes(location: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<u8>> {
    let io = |source| Error::Io {
        path: location.to_owned(),
        source,
    };
    let (mut file, total) = open_file(location).map_err(io)?;
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(total as usize)
        .map_err(|e| io(std::io::Error::other(e)))?;
    progress(0, total);
    loop {
        let read = (&mut file)
            .take(CHUNK)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        if read == 0 {
            return Ok(bytes);
        }
        let done = bytes.len() as u64;
        // Whoever looked at its length first was told of no more.
        if done > total + CHUNK {
            let grows = "another program writes into it; try again when that is done";
            return Err(io(std::io::Error::other(grows)));
        }
        progress(done, total.max(done));
        yield_now().await;
    }
}

/// Opens a file, to be read piece by piece. In a program that takes no time, so that `progress` is not called.
///
/// # Errors
/// [`Error::Io`] if it cannot be read or is no ordinary file.
pub async fn open(location: &str, _progress: &mut dyn FnMut(u64, u64)) -> Result<Contents> {
    let (file, len) = open_file(location).map_err(|source| Error::Io {
        path: location.to_owned(),
        source,
    })?;
    Ok(Contents::File { file, len })
}

/// An ordinary file, and its length.
fn open_file(location: &str) -> std::io::Result<(File, u64)> {
    // A pipe or a device may never end, and opening a pipe may wait for ever.
    let not_a_file = || std::io::Error::other("this is not an ordinary file");
    if !std::fs::metadata(location)?.is_file() {
        return Err(not_a_file());
    }
    let file = File::open(location)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(not_a_file());
    }
    Ok((file, meta.len()))
}

/// Writes a file beside its place, then moves it there, so that a full disk or an interruption leaves no half file
/// under its name. Some disks say only at the end what did not fit: it is waited for.
///
/// # Errors
/// [`Error::Io`], also when its directory does not exist.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = part_of(path);
    let written = File::create(&part)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_data()
        })
        .and_then(|()| std::fs::rename(&part, path));
    written.map_err(|source| {
        // The part may not exist; the first error is the one to tell.
        let _ = std::fs::remove_file(&part);
        Error::Io {
            path: path.display().to_string(),
            source,
        }
    })
}

/// Whether [`write_whole`] could write there now, as far as that shows before there is something to write: for who has long
/// work to do first.
///
/// # Errors
/// [`Error::Io`], as of [`write_whole`].
pub fn check_writable(path: &Path) -> Result<()> {
    let part = part_of(path);
    let io = |source| Error::Io {
        path: path.display().to_string(),
        source,
    };
    if path.is_dir() {
        return Err(io(std::io::ErrorKind::IsADirectory.into()));
    }
    File::create(&part).map_err(io)?;
    std::fs::remove_file(&part).map_err(io)
}

/// Where a file is written before it is whole.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

/// Writes a value as JSON, as [`write_whole`] does.
///
/// # Errors
/// [`Error::Io`], also for a value that has no form as JSON.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|reason| Error::Io {
        path: path.display().to_string(),
        source: std::io::Error::other(reason),
    })?;
    write_whole(path, (text + "\n").as_bytes())
}

/// Makes a directory and those above it, unless they are there. The empty path is the working directory.
///
/// # Errors
/// [`Error::Io`] that names it.
pub fn make_dir(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(path).map_err(|source| Error::Io {
        path: path.display().to_string(),
        source,
    })
}

/// What `f` returns; `None` if it panics, of which nothing is printed. For libraries that panic where they should fail.
pub fn catch_panic<T>(f: impl FnOnce() -> T) -> Option<T> {
    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }
    // One hook for ever: taking it out and putting it back, two threads would get in each other's way.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    QUIET.set(before);
    result.ok()
}

/// Lets other tasks of the same thread run.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Seconds since the program first asked, by a clock that never goes back.
pub fn now_seconds() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_file_with_progress_up_to_its_size() {
        let path = std::env::temp_dir().join(format!("dragentity-read-{}", std::process::id()));
        let contents: Vec<u8> = (0..CHUNK as usize * 2 + 5).map(|i| i as u8).collect();
        std::fs::write(&path, &contents).unwrap();
        let mut seen = Vec::new();
        let read = pollster::block_on(read_bytes(path.to_str().unwrap(), &mut |done, total| {
            seen.push((done, total));
        }));
        std::fs::remove_file(&path).unwrap();
        assert!(read.unwrap() == contents);
        let n = contents.len() as u64;
        assert_eq!(seen, [(0, n), (CHUNK, n), (2 * CHUNK, n), (n, n)]);
    }

    #[test]
    fn an_open_file_is_read_in_pieces_and_not_past_its_end() {
        let path = std::env::temp_dir().join(format!("dragentity-open-{}", std::process::id()));
        std::fs::write(&path, b"0123456789").unwrap();
        let opened = pollster::block_on(open(path.to_str().unwrap(), &mut |_, _| {})).unwrap();
        let mut piece = [0; 4];
        for contents in [&opened, &Contents::Memory(b"0123456789".to_vec())] {
            assert_eq!(contents.len(), 10);
            contents.read_at(6, &mut piece).unwrap();
            assert_eq!(&piece, b"6789");
            for at in [7, 10, 11, u64::MAX] {
                assert!(contents.read_at(at, &mut piece).is_err(), "{at}");
            }
        }
        // Cut short behind our back.
        std::fs::write(&path, b"01").unwrap();
        let error = opened.read_at(6, &mut piece).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, vec![1; 100]).unwrap();
        let mut grown = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap();
        // As fast as it is read.
        let more = vec![2; CHUNK as usize];
        let read = pollster::block_on(read_bytes(path.to_str().unwrap(), &mut |_, _| {
            if grown.metadata().unwrap().len() < 20 * CHUNK {
                grown.write_all(&more).unwrap();
            }
        }));
        let said = read.unwrap_err().to_string();
        assert!(
            said.contains("log") && said.contains("another program"),
            "{said}"
        );
    }

    #[test]
    fn a_directory_is_refused_and_a_missing_file_is_named() {
        let read = |p: &str| pollster::block_on(read_bytes(p, &mut |_, _| {}));
        assert!(read("/").is_err());
        let error = read("/no/such/file").unwrap_err().to_string();
        assert!(error.contains("/no/such/file"), "{error}");
    }

    #[test]
    fn a_panic_is_caught_without_a_word() {
        assert_eq!(catch_panic(|| 3), Some(3));
        assert_eq!(catch_panic(|| -> u8 { panic!("not shown") }), None);
    }

    #[test]
    fn time_goes_on() {
        let before = now_seconds();
        pollster::block_on(yield_now());
        assert!(now_seconds() >= before);
    }
}
