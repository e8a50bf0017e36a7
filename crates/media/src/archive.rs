//! Frames as numbered PNGs in one ZIP: every program that edits pictures reads it, and a browser can save it.

use dragentity_core::error::{Error, Result};
use dragentity_core::scene::picture::encode_png;
use dragentity_core::stored_zip::StoredZip;

/// An archive that frames are put into one after another, so that a page can do something else in between.
#[derive(Default)]
pub struct Archive {
    zip: StoredZip,
    frames: usize,
}

impl Archive {
    /// Puts the next frame in as `0000.png`, `0001.png` and so on; `rgb` is `width * height * 3` bytes.
    ///
    /// # Errors
    /// [`Error::Job`] for an archive that is full.
    pub fn add(&mut self, width: u32, height: u32, rgb: &[u8]) -> Result<()> {
        let png = encode_png(width, height, rgb)?;
        let name = format!("{:04}.png", self.frames);
        self.zip.add(&name, &png).map_err(|e| failed(&e))?;
        self.frames += 1;
        Ok(())
    }

    /// The archive's bytes.
    ///
    /// # Errors
    /// [`Error::Job`] for one with more files or bytes than the format has room for.
    pub fn finish(self) -> Result<Vec<u8>> {
        self.zip.finish().map_err(|e| failed(&e))
    }
}

fn failed(reason: &std::io::Error) -> Error {
    Error::Job(format!(
        "the frames cannot be put into one archive: {reason}; make fewer or smaller ones"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::moving_disc;
    use std::io::{Cursor, Read};

    #[test]
    fn every_frame_is_in_it_under_its_number() {
        let video = moving_disc(20, 12, 3);
        let mut archive = Archive::default();
        for frame in &video.frames {
            archive.add(video.width, video.height, frame).unwrap();
        }
        let bytes = archive.finish().unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(zip.len(), 3);
        let mut png = Vec::new();
        zip.by_name("0002.png")
            .unwrap()
            .read_to_end(&mut png)
            .unwrap();
        let frame = image::load_from_memory(&png).unwrap().into_rgb8();
        assert_eq!(frame.into_raw(), video.frames[2]);
    }
}
