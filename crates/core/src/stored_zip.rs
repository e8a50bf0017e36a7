//! Files in one ZIP as they are: PNGs are compressed already, and what is short needs it not.

use std::io::{Cursor, Result, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An archive that files are put into one after another.
pub struct StoredZip {
    zip: ZipWriter<Cursor<Vec<u8>>>,
}

impl Default for StoredZip {
    fn default() -> Self {
        Self {
            zip: ZipWriter::new(Cursor::default()),
        }
    }
}

impl StoredZip {
    /// Puts a file in.
    ///
    /// # Errors
    /// Says what is wrong with a name that is there already, and with an archive that is full.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        self.zip.start_file(name, stored)?;
        self.zip.write_all(bytes)
    }

    /// The archive's bytes.
    ///
    /// # Errors
    /// Says what is wrong with an archive that is full.
    pub fn finish(self) -> Result<Vec<u8>> {
        Ok(self.zip.finish()?.into_inner())
    }
}
