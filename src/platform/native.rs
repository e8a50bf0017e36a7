//! Files, the system's clock.

use crate::error::{Error, Result};
use std::future::poll_fn;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Instant;

/// Bytes between two calls of a progress function.
const CHUNK: u64 = 1 << 20;

/// Reads a whole file, with `progress(bytes read, bytes in all)`.
///
/// # Errors
/// [`Error::Io`] if it cannot be read or is no ordinary file.
pub async fn read_bytes(location: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<u8>> {
    let io = |source| Error::Io {
        path: location.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(location).map_err(io)?;
    let meta = file.metadata().map_err(io)?;
    // A pipe or a device may never end.
    if !meta.is_file() {
        return Err(io(std::io::Error::other("this is not an ordinary file")));
    }
    let total = meta.len();
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
        progress(done, total.max(done));
        yield_now().await;
    }
}

/// Writes a file beside its place, then moves it there, so that a full disk or an interruption leaves no half file
/// under its name.
///
/// # Errors
/// [`Error::Io`], also when its directory does not exist.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|source| {
        // The part may not exist; the first error is the one to tell.
        let _ = std::fs::remove_file(&part);
        Error::Io {
            path: path.display().to_string(),
            source,
        }
    })
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
    fn a_directory_is_refused_and_a_missing_file_is_named() {
        let read = |p: &str| pollster::block_on(read_bytes(p, &mut |_, _| {}));
        assert!(read("/").is_err());
        let error = read("/no/such/file").unwrap_err().to_string();
        assert!(error.contains("/no/such/file"), "{error}");
    }

    #[test]
    fn time_goes_on() {
        let before = now_seconds();
        pollster::block_on(yield_now());
        assert!(now_seconds() >= before);
    }
}
