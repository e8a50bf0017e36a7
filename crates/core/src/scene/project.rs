//! Project files, `.dragentity`: a scene with its picture, to be kept and opened again. An archive (zip, nothing in it compressed a
//! second time) of
//!
//! - `project.json`: `{"dragentity_project": 1}`, the version;
//! - `preset.json`: a [`Preset`] with whole masks, and the settings;
//! - `picture.png`;
//! - `plate.png`, where one was brought along ([`Behind::plate`](super::Behind)).
//!
//! Other files in it are nobody's concern.

use super::{Picture, Preset, Scene};
use crate::error::{Error, Result};
use crate::stored_zip::StoredZip;
use serde::{Deserialize, Serialize};
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// The version this program writes, and the newest it reads.
pub const VERSION: u32 = 1;
/// What the name of such a file ends with.
pub const EXTENSION: &str = "dragentity";

const HEAD: &str = "project.json";
const PRESET: &str = "preset.json";
const PICTURE: &str = "picture.png";
const PLATE: &str = "plate.png";
/// Longest text in the archive, in bytes; [`Preset::parse`] has a limit of its own.
const MAX_TEXT: u64 = 16 << 20;
/// Largest picture in the archive, in bytes.
const MAX_PICTURE: u64 = 256 << 20;

/// A project, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// What moves where, and the settings.
    pub preset: Preset,
    /// The picture it is on.
    pub picture: Picture,
    /// The picture without the things.
    pub plate: Option<Picture>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    dragentity_project: u32,
}

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

impl Project {
    /// Whether a file can be one, by what it begins with.
    pub fn is_like(bytes: &[u8]) -> bool {
        bytes.starts_with(b"PK\x03\x04")
    }

    /// The file.
    ///
    /// # Errors
    /// [`Error::Picture`] if a picture cannot be encoded, [`Error::Job`] if the archive becomes too large.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let head = Head {
            dragentity_project: VERSION,
        };
        // A number always has a JSON form.
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let mut files = vec![
            (HEAD, head),
            (PRESET, self.preset.to_json().into_bytes()),
            (PICTURE, self.picture.to_png()?),
        ];
        if let Some(plate) = &self.plate {
            files.push((PLATE, plate.to_png()?));
        }
        let failed = |e: std::io::Error| Error::Job(format!("the project cannot be written ({e})"));
        let mut archive = StoredZip::default();
        for (name, bytes) in files {
            archive.add(name, &bytes).map_err(failed)?;
        }
        archive.finish().map_err(failed)
    }

    /// Reads a file, whose name is for errors.
    ///
    /// # Errors
    /// [`Error::Preset`] and [`Error::Picture`] that name the file and what in it is wrong.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| {
            Error::Preset(format!(
                "{name}: is no project, or damaged ({e}); save it again on the page or with dragentity export"
            ))
        })?;
        let head: Head = match serde_json::from_slice(&file(&mut archive, name, HEAD, MAX_TEXT)?) {
            Ok(head) => head,
            Err(e) => return refuse(name, &format!("its {HEAD} cannot be read ({e})")),
        };
        if head.dragentity_project != VERSION {
            return refuse(
                name,
                &format!(
                    "its version is {}, and this program reads {VERSION}; reload the page or update the program",
                    head.dragentity_project
                ),
            );
        }
        let text = file(&mut archive, name, PRESET, MAX_TEXT)?;
        let Ok(text) = String::from_utf8(text) else {
            return refuse(name, &format!("its {PRESET} is not text"));
        };
        let preset = Preset::parse(&text)?;
        let has_plate = archive.index_for_name(PLATE).is_some();
        let mut picture = |inside: &str| {
            let bytes = file(&mut archive, name, inside, MAX_PICTURE)?;
            Picture::decode(&bytes, &format!("{inside} in {name}"))
        };
        Ok(Self {
            picture: picture(PICTURE)?,
            plate: has_plate.then(|| picture(PLATE)).transpose()?,
            preset,
        })
    }

    /// Its scene.
    ///
    /// # Errors
    /// [`Error::Preset`] where the preset is of another picture.
    pub fn scene(&self) -> Result<Scene> {
        let mut scene = self.preset.scene(self.picture.clone())?;
        scene.behind.plate.clone_from(&self.plate);
        Ok(scene)
    }
}

fn refuse<T>(name: &str, reason: &str) -> Result<T> {
    Err(Error::Preset(format!("{name}: {reason}")))
}

/// What one file of the archive holds, of at most `most` bytes.
fn file(archive: &mut Archive<'_>, name: &str, inside: &str, most: u64) -> Result<Vec<u8>> {
    let entry = match archive.by_name(inside) {
        Ok(entry) => entry,
        Err(e) => {
            return refuse(
                name,
                &format!("its {inside} cannot be read ({e}); a project is not compressed"),
            );
        }
    };
    let mut bytes = Vec::new();
    if let Err(e) = entry.take(most + 1).read_to_end(&mut bytes) {
        return refuse(
            name,
            &format!("its {inside} is damaged ({e}); save it again"),
        );
    }
    if bytes.len() as u64 > most {
        return refuse(
            name,
            &format!("its {inside} is larger than {} MB", most >> 20),
        );
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Behind, Entity, Mask, Settings, Trajectory};

    fn project() -> Project {
        let rgb = |from: u8| (0..16 * 12 * 3).map(|i| i as u8 ^ from).collect();
        let mut mask = Mask::empty(16, 12);
        mask.brush([0.4, 0.4], [0.6, 0.4], 0.1, true);
        for alpha in &mut mask.alpha {
            *alpha = if *alpha >= 128 { 255 } else { 0 };
        }
        let scene = Scene {
            picture: Picture::from_rgb(16, 12, rgb(0)).unwrap(),
            entities: vec![Entity {
                name: "cat".into(),
                mask,
                trajectory: Some(Trajectory::line([0.4, 0.4], [0.612_345, 0.4])),
                ..Entity::default()
            }],
            behind: Behind {
                plate: Some(Picture::from_rgb(16, 12, rgb(85)).unwrap()),
                from: None,
            },
            ..Scene::default()
        };
        Project {
            preset: Preset::whole(&scene, &Settings::default()),
            picture: scene.picture,
            plate: scene.behind.plate,
        }
    }

    /// An archive of these files.
    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = StoredZip::default();
        for (name, bytes) in files {
            archive.add(name, bytes).unwrap();
        }
        archive.finish().unwrap()
    }

    #[test]
    fn everything_comes_back() {
        let project = project();
        let bytes = project.to_bytes().unwrap();
        assert!(Project::is_like(&bytes));
        let read = Project::parse(&bytes, "my.dragentity").unwrap();
        assert_eq!(read, project);
        let scene = read.scene().unwrap();
        scene.check().unwrap();
        assert_eq!(scene.behind.plate, project.plate);
        let without = Project {
            plate: None,
            ..project
        };
        let bytes = without.to_bytes().unwrap();
        assert_eq!(Project::parse(&bytes, "my.dragentity").unwrap(), without);
    }

    #[test]
    fn bad_projects_are_named() {
        let preset = project().preset.to_json();
        let newer = br#"{"dragentity_project": 2}"#;
        let head = br#"{"dragentity_project": 1}"#;
        let preset = preset.as_bytes();
        for (bytes, words) in [
            (Vec::new(), "no project"),
            (b"PK\x03\x04 and so on".to_vec(), "no project"),
            (archive(&[]), HEAD),
            (archive(&[(HEAD, b"{}")]), HEAD),
            (archive(&[(HEAD, newer)]), "version is 2"),
            (archive(&[(HEAD, head)]), PRESET),
            (archive(&[(HEAD, head), (PRESET, b"\xff")]), "not text"),
            (archive(&[(HEAD, head), (PRESET, preset)]), PICTURE),
            (
                archive(&[(HEAD, head), (PRESET, preset), (PICTURE, b"GIF89a")]),
                PICTURE,
            ),
        ] {
            let error = Project::parse(&bytes, "my.dragentity").unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("my.dragentity") && error.contains(words),
                "{words}: {error}"
            );
        }
    }

    #[test]
    fn cut_and_changed_files_never_panic() {
        let whole = project().to_bytes().unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            for bytes in [&whole[..at], &changed] {
                // A pixel, or a name that nobody reads, may be another.
                if let Ok(read) = Project::parse(bytes, "my.dragentity") {
                    let _ = read.scene();
                }
            }
        }
    }
}
