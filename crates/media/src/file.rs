//! Which kind of file a path asks for, and writing it.

use super::archive::Archive;
use super::{check, gif, mp4, webp};
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::{make_dir, write_whole};
use dragentity_core::scene::picture::encode_png;
use std::path::Path;

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
/// Those of [`Format::of`] and of the encoder; [`Error::Io`] when it cannot be written.
pub fn save(video: &Video, path: &Path) -> Result<()> {
    let bytes = match Format::of(path)? {
        Format::Gif => gif::encode(video)?,
        Format::WebP => webp::encode(video)?,
        Format::Mp4 => mp4::encode(video)?,
        Format::Frames => return save_frames(video, path),
        Format::Zip => zipped(video)?,
    };
    write_whole(path, &bytes)
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
    make_dir(folder)?;
    for (i, frame) in video.frames.iter().enumerate() {
        write_whole(
            &folder.join(format!("{i:04}.png")),
            &encode_png(video.width, video.height, frame)?,
        )?;
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
}
