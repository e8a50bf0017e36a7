//! Which kind of file a path asks for, and writing it.

use super::archive::Archive;
use super::{check, gif, mp4, webp};
use crate::read::{PICTURES, files_with};
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::{check_writable, make_dir, write_whole};
use dragentity_core::scene::picture::encode_png;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The kinds of files a video can be saved as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Looping GIF.
    Gif,
    /// Looping animated WebP.
    WebP,
    /// H.264 in MP4.
    Mp4,
    /// A folder of numbered PNGs.
    Frames,
    /// Numbered PNGs in one ZIP.
    Zip,
}

impl Format {
    /// The kind that a path asks for: by its extension, or a folder if it has none.
    ///
    /// # Errors
    /// [`Error::Job`] for an extension that is none of these.
    pub fn of(path: &Path) -> Result<Self> {
        let folder = path.is_dir() || path.to_string_lossy().ends_with(std::path::is_separator);
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            _ if folder => Ok(Format::Frames),
            Some("gif") => Ok(Format::Gif),
            Some("webp") => Ok(Format::WebP),
            Some("mp4" | "m4v") => Ok(Format::Mp4),
            Some("zip") => Ok(Format::Zip),
            None => Ok(Format::Frames),
            Some(other) => Err(Error::Job(format!(
                "{}: cannot write .{other} files; choose .gif, .webp, .mp4, .zip, or a folder for numbered PNGs",
                path.display()
            ))),
        }
    }
}

/// Writes a video to `path` in the form that its name asks for. A file appears whole or not at all.
///
/// # Errors
/// Those of [`Target::claim`] and of the encoder; [`Error::Io`] when it cannot be written.
pub fn save(video: &Video, path: &Path) -> Result<()> {
    Target::claim(path)?.save(video)
}

/// Where a video is to be written: looked at before it is made, and a folder kept for it meanwhile.
pub struct Target {
    path: PathBuf,
    format: Format,
    folder: Option<Folder>,
}

/// A folder that is kept for the frames of one video.
struct Folder {
    path: PathBuf,
    /// The locked file in it; it marks the folder as one of ours, too.
    _lock: File,
    /// What was not there before: taken away again if nothing comes of it.
    new: New,
}

/// What of a claimed folder is new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum New {
    Folder,
    Mark,
    Nothing,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whatever does not go away is harmless: an empty folder, which the next run takes.
        if self.new != New::Nothing {
            let _ = std::fs::remove_file(self.path.join(MARK));
        }
        if self.new == New::Folder {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

/// What is in a folder that frames were written into.
const MARK: &str = ".dragentity-frames";

impl Target {
    /// Looks whether a video can be written to `path`. A folder of frames is a new one, an empty one, or one that frames were
    /// written into before, which go when others are written; nobody else may write into it until this is dropped. If nothing is
    /// saved, a new folder goes with it.
    ///
    /// # Errors
    /// Those of [`Format::of`]; [`Error::Io`] where nothing can be written; [`Error::Job`] for a folder with pictures that are
    /// somebody's, and one that another process writes into.
    pub fn claim(path: &Path) -> Result<Self> {
        let format = Format::of(path)?;
        let folder = match format {
            Format::Frames => Some(claim_folder(path)?),
            _ => check_writable(path).map(|()| None)?,
        };
        Ok(Self {
            path: path.to_owned(),
            format,
            folder,
        })
    }

    /// Writes the video.
    ///
    /// # Errors
    /// Those of the encoder; [`Error::Io`] when it cannot be written.
    pub fn save(mut self, video: &Video) -> Result<()> {
        let bytes = match self.format {
            Format::Gif => gif::encode(video)?,
            Format::WebP => webp::encode(video)?,
            Format::Mp4 => mp4::encode(video)?,
            Format::Frames => {
                save_frames(video, &self.path)?;
                if let Some(folder) = &mut self.folder {
                    folder.new = New::Nothing;
                }
                return Ok(());
            }
            Format::Zip => zipped(video)?,
        };
        write_whole(&self.path, &bytes)
    }
}

fn claim_folder(folder: &Path) -> Result<Folder> {
    let refuse = |why: &str| Err(Error::Job(format!("{}: {why}", folder.display())));
    let mark = folder.join(MARK);
    let io = |source| Error::Io {
        path: folder.display().to_string(),
        source,
    };
    let new = match (folder.exists(), mark.exists()) {
        (false, _) => New::Folder,
        (true, false) => New::Mark,
        (true, true) => New::Nothing,
    };
    make_dir(folder)?;
    if !mark.exists() && !files_with(folder, &PICTURES)?.is_empty() {
        return refuse(
            "there are pictures in this folder already, among which frames would be lost; choose a new one",
        );
    }
    let lock = File::create(mark).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return refuse("another process writes frames into this folder; choose another one");
        }
        // Some file systems know no locks: better without than not at all.
        Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(e)) => return Err(io(e)),
    }
    Ok(Folder {
        path: folder.to_owned(),
        _lock: lock,
        new,
    })
}

fn zipped(video: &Video) -> Result<Vec<u8>> {
    check(video)?;
    let mut archive = Archive::default();
    for frame in &video.frames {
        archive.add(video.width, video.height, frame)?;
    }
    archive.finish()
}

fn save_frames(video: &Video, folder: &Path) -> Result<()> {
    check(video)?;
    // Those of an earlier video, which may have been longer.
    remove_frames(folder)?;
    let written = video.frames.iter().enumerate().try_for_each(|(i, frame)| {
        write_whole(
            &folder.join(format!("{i:04}.png")),
            &encode_png(video.width, video.height, frame)?,
        )
    });
    if written.is_err() {
        // Half a video would pass for a whole one. The first error is the one to tell.
        let _ = remove_frames(folder);
    }
    written
}

/// Removes the numbered PNGs of a folder.
fn remove_frames(folder: &Path) -> Result<()> {
    for old in files_with(folder, &["png"])? {
        let name = old.file_stem().unwrap_or_default().to_string_lossy();
        if name.len() >= 4 && name.bytes().all(|b| b.is_ascii_digit()) {
            std::fs::remove_file(&old).map_err(|source| Error::Io {
                path: old.display().to_string(),
                source,
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::moving_disc;

    #[test]
    fn the_name_decides() {
        for (name, format) in [
            ("a.gif", Format::Gif),
            ("b.WEBP", Format::WebP),
            ("c.mp4", Format::Mp4),
            ("c.zip", Format::Zip),
            ("d", Format::Frames),
        ] {
            assert_eq!(Format::of(Path::new(name)).unwrap(), format);
        }
        assert_eq!(Format::of(Path::new("x.y/")).unwrap(), Format::Frames);
        assert!(
            Format::of(Path::new("a.avi"))
                .unwrap_err()
                .to_string()
                .contains(".avi")
        );
    }

    #[test]
    fn files_and_folders_are_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let video = moving_disc(32, 32, 3);
        for name in ["a.gif", "a.webp", "a.mp4", "a.zip"] {
            save(&video, &dir.path().join(name)).unwrap();
            assert!(std::fs::metadata(dir.path().join(name)).unwrap().len() > 200);
        }
        save(&video, &dir.path().join("frames")).unwrap();
        let png = image::open(dir.path().join("frames/0002.png"))
            .unwrap()
            .into_rgb8();
        assert_eq!(png.into_raw(), video.frames[2]);
        assert!(
            save(&video, &dir.path().join("no/such/folder.gif"))
                .unwrap_err()
                .to_string()
                .contains("folder.gif")
        );
        let left: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .collect();
        assert_eq!(left.len(), 5, "{left:?}");
    }
    #[test]
    fn a_folder_has_the_frames_of_one_video() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("frames");
        save(&moving_disc(32, 32, 5), &folder).unwrap();
        std::fs::write(folder.join("notes.txt"), "mine").unwrap();
        let second = moving_disc(32, 32, 3);
        {
            let target = Target::claim(&folder).unwrap();
            let other = Target::claim(&folder).err().unwrap().to_string();
            assert!(other.contains("another process"), "{other}");
            // Only what is made takes the place of what there was.
            assert!(folder.join("0004.png").exists());
            target.save(&second).unwrap();
        }
        let read = crate::read::read(&folder, &crate::read::Reading::default()).unwrap();
        assert_eq!(read.frames, second.frames);
        assert!(folder.join("notes.txt").exists());

        // Pictures of others are left alone.
        let album = dir.path().join("album");
        std::fs::create_dir(&album).unwrap();
        std::fs::write(album.join("0001.png"), "a photograph").unwrap();
        let why = save(&second, &album).unwrap_err().to_string();
        assert!(why.contains("pictures") && why.contains("album"), "{why}");
        assert_eq!(
            std::fs::read(album.join("0001.png")).unwrap(),
            b"a photograph"
        );
    }

    #[test]
    fn where_nothing_can_be_written_shows_before() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        for place in ["no/such/a.gif", "file/a.gif", "file/frames"] {
            let claimed = Target::claim(&dir.path().join(place));
            assert!(claimed.is_err(), "{place}");
        }
        // And what was looked at is as it was.
        for free in ["a.gif", "frames"] {
            let free = dir.path().join(free);
            drop(Target::claim(&free).unwrap());
            assert!(!free.exists(), "{free:?}");
        }
        let empty = dir.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        drop(Target::claim(&empty).unwrap());
        assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);
        std::fs::remove_dir(&empty).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
