//! Where the videos of a data set lie, with their masks and tracks, in the layouts in which they are published.

use dragentity_core::error::{Error, Result};
use dragentity_media::read::{PICTURES, entries, files_with};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::data::pack::is_held_out;

/// Extensions of videos.
const VIDEOS: [&str; 6] = ["mp4", "m4v", "mov", "gif", "webp", "avi"];

/// How the videos of a data set are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `imgs/VIDEO/*.jpg`, `panomasks/VIDEO/*.png`, `train.txt`, `val.txt`, `test.txt`; `trajectory_CoTracker/VIDEO.json`
    /// as DragAnything makes them.
    VipSeg,
    /// `JPEGImages/VIDEO/*.jpg`, `Annotations/VIDEO/*.png`: a colour for each thing (YouTube-VOS, DAVIS).
    YouTubeVos,
    /// `videos/VIDEO.mp4` (or a folder of frames), `masks/VIDEO/*.png` or `masks/VIDEO.png`, `tracks/VIDEO.json`.
    Plain,
    /// A list `*.csv` with columns `videoid` and `page_dir`; `videos/PAGE_DIR/VIDEOID.mp4`.
    WebVid,
    /// `train/ID#START#END.mp4`, `test/ID#START#END.mp4` (or folders of frames).
    TedTalks,
}

impl Layout {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::VipSeg => "VIPSeg",
            Self::YouTubeVos => "YouTube-VOS",
            Self::Plain => "videos with masks",
            Self::WebVid => "WebVid",
            Self::TedTalks => "TED-talks",
        }
    }
}

/// What says where the things of a video are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Masks {
    /// A folder with a picture for each frame, whose pixels say which thing they show.
    Labels {
        /// The folder.
        folder: PathBuf,
        /// Pixels are `class * 100 + instance`; up to 124 they are classes of what cannot be counted, as sky.
        panoptic: bool,
    },
    /// Pictures of one thing each, white where it is in the first frame.
    Pictures(Vec<PathBuf>),
    /// Nothing: things are what moves by itself.
    Moving,
}

/// A video of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// A file, or a folder of frames.
    pub video: PathBuf,
    /// Where its things are.
    pub masks: Masks,
    /// A file with their tracks, of either form.
    pub tracks: Option<PathBuf>,
    /// Pieces of one recording have one source; sources are equally likely, however many pieces they have.
    pub source: String,
    /// Never trained on.
    pub held_out: bool,
}

fn refuse<T>(place: &Path, reason: impl Into<String>) -> Result<T> {
    Err(Error::Picture {
        name: place.display().to_string(),
        reason: reason.into(),
    })
}

/// The videos of the data set at `place`: a folder in one of the layouts, or a WebVid list.
///
/// # Errors
/// [`Error::Picture`] when it is in none of the layouts or has no video, [`Error::Io`].
pub fn list(place: &Path) -> Result<(Layout, Vec<Item>)> {
    let has = |name: &str| place.join(name).is_dir();
    let (layout, mut items) = if place
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("csv"))
    {
        (Layout::WebVid, webvid(place)?)
    } else if !place.is_dir() {
        return refuse(place, "is no folder of clips and no list (.csv) of them");
    } else if has("panomasks") {
        (Layout::VipSeg, vipseg(place)?)
    } else if has("JPEGImages") && has("Annotations") {
        (Layout::YouTubeVos, youtube_vos(place)?)
    } else if let [csv] = &files_with(place, &["csv"])?[..]
        && is_webvid(csv)
    {
        (Layout::WebVid, webvid(csv)?)
    } else if has("videos") {
        (Layout::Plain, plain(place)?)
    } else if has("train") && has("test") {
        (Layout::TedTalks, ted_talks(place)?)
    } else {
        return refuse(
            place,
            "is in no layout that is known: imgs/ with panomasks/ (VIPSeg), JPEGImages/ with Annotations/ (YouTube-VOS), \
             videos/ with masks/, a WebVid list (.csv), or train/ with test/ (TED-talks); see models/TRAINING.md",
        );
    };
    if items.is_empty() {
        return refuse(
            place,
            format!("looks like {}, but has no video", layout.name()),
        );
    }
    // Where no list says otherwise a tenth is held out; of a handful at least one.
    if !items.iter().any(|item| item.held_out) {
        items[0].held_out = true;
    }
    Ok((layout, items))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Folders in a folder.
fn folders(place: &Path) -> Result<Vec<PathBuf>> {
    let mut found = entries(place)?;
    found.retain(|path| path.is_dir());
    Ok(found)
}

/// Videos in a folder: files, and folders of frames. A folder's name is taken whole, dots and all.
fn videos(place: &Path) -> Result<Vec<(String, PathBuf)>> {
    let is_video = |path: &PathBuf| {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        path.is_dir() || extension.is_some_and(|e| VIDEOS.contains(&e.as_str()))
    };
    let named = |path: PathBuf| {
        let name = if path.is_dir() {
            file_name(&path)
        } else {
            stem(&path)
        };
        (name, path)
    };
    Ok(entries(place)?
        .into_iter()
        .filter(is_video)
        .map(named)
        .collect())
}

/// The file, if it is there.
fn existing(path: PathBuf) -> Option<PathBuf> {
    path.is_file().then_some(path)
}

/// Names in a split list, one a line.
fn names(path: &Path) -> Result<Option<BTreeSet<String>>> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let names = text.lines().map(|line| line.trim().to_owned());
            Ok(Some(names.filter(|name| !name.is_empty()).collect()))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io {
            path: path.display().to_string(),
            source,
        }),
    }
}

fn vipseg(place: &Path) -> Result<Vec<Item>> {
    // The second name is that of the copy in 720p.
    let frames = ["imgs", "images"].map(|name| place.join(name));
    let Some(frames) = frames.iter().find(|path| path.is_dir()) else {
        return refuse(place, "has panomasks/, but no imgs/ with the frames");
    };
    let train = names(&place.join("train.txt"))?;
    let mut others = BTreeSet::new();
    for list in ["val.txt", "test.txt"] {
        others.extend(names(&place.join(list))?.unwrap_or_default());
    }
    let mut items = Vec::new();
    for video in folders(frames)? {
        let name = file_name(&video);
        let folder = place.join("panomasks").join(&name);
        let listed = train.as_ref().is_some_and(|train| train.contains(&name));
        if !folder.is_dir() || train.is_some() && !listed && !others.contains(&name) {
            log::warn!(
                "{}: left out, it has no masks or is in no split list",
                video.display()
            );
            continue;
        }
        items.push(Item {
            masks: Masks::Labels {
                folder,
                panoptic: true,
            },
            tracks: existing(
                place
                    .join("trajectory_CoTracker")
                    .join(format!("{name}.json")),
            ),
            source: name.clone(),
            held_out: others.contains(&name) || train.is_none() && is_held_out(&name),
            name,
            video,
        });
    }
    Ok(items)
}

fn youtube_vos(place: &Path) -> Result<Vec<Item>> {
    let items = folders(&place.join("JPEGImages"))?
        .into_iter()
        .map(|video| {
            let name = file_name(&video);
            Item {
                masks: Masks::Labels {
                    folder: place.join("Annotations").join(&name),
                    panoptic: false,
                },
                tracks: existing(place.join("tracks").join(format!("{name}.json"))),
                source: name.clone(),
                held_out: is_held_out(&name),
                name,
                video,
            }
        });
    Ok(items.collect())
}

/// Masks in the first frame, beside the videos.
fn masks(place: &Path, name: &str) -> Result<Masks> {
    let masks = place.join("masks");
    if masks.join(name).is_dir() {
        let files = files_with(&masks.join(name), &PICTURES)?;
        if !files.is_empty() {
            return Ok(Masks::Pictures(files));
        }
    }
    Ok(match existing(masks.join(format!("{name}.png"))) {
        Some(file) => Masks::Pictures(vec![file]),
        None => Masks::Moving,
    })
}

fn plain(place: &Path) -> Result<Vec<Item>> {
    let videos = videos(&place.join("videos"))?.into_iter();
    let one = |(name, video): (String, PathBuf)| {
        Ok(Item {
            masks: masks(place, &name)?,
            tracks: existing(place.join("tracks").join(format!("{name}.json"))),
            source: name.clone(),
            held_out: is_held_out(&name),
            name,
            video,
        })
    };
    videos.map(one).collect()
}

/// Whether a list's first line names the columns that are needed.
fn is_webvid(path: &Path) -> bool {
    let Ok(mut reader) = csv::Reader::from_path(path) else {
        return false;
    };
    let columns = reader.headers();
    columns.is_ok_and(|row| {
        ["videoid", "page_dir"]
            .iter()
            .all(|name| row.iter().any(|c| c == *name))
    })
}

fn webvid(list: &Path) -> Result<Vec<Item>> {
    #[derive(serde::Deserialize)]
    struct Row {
        videoid: String,
        #[serde(default)]
        page_dir: String,
    }
    let bad = |e: csv::Error| Error::Picture {
        name: list.display().to_string(),
        reason: format!(
            "is no list of WebVid's kind ({e}); its columns are videoid, contentUrl, duration, page_dir, name"
        ),
    };
    let place = list.parent().unwrap_or(Path::new(""));
    let held_out = file_name(list).contains("val");
    let (mut items, mut absent) = (Vec::new(), 0);
    for row in csv::Reader::from_path(list).map_err(bad)?.deserialize() {
        let Row { videoid, page_dir } = row.map_err(bad)?;
        // A list from elsewhere must not lead out of the folder.
        let plain = |part: &str| {
            !part.starts_with('/')
                && !part.contains(['\\', ':'])
                && !part.split('/').any(|p| p == "..")
        };
        if !plain(&videoid) || !plain(&page_dir) || videoid.is_empty() {
            return refuse(list, format!("{page_dir:?} / {videoid:?} is no plain name"));
        }
        let file = format!("{videoid}.mp4");
        let places = [
            place.join("videos").join(&page_dir).join(&file),
            place.join(&page_dir).join(&file),
        ];
        let Some(video) = places.into_iter().find_map(existing) else {
            absent += 1;
            continue;
        };
        items.push(Item {
            masks: masks(place, &videoid)?,
            tracks: existing(place.join("tracks").join(format!("{videoid}.json"))),
            source: videoid.clone(),
            held_out: held_out || is_held_out(&videoid),
            name: videoid,
            video,
        });
    }
    if absent > 0 {
        log::warn!("{}: {absent} of its videos are not there", list.display());
    }
    if items.is_empty() {
        return refuse(
            list,
            format!("none of its {absent} videos is at videos/PAGE_DIR/VIDEOID.mp4 beside it"),
        );
    }
    Ok(items)
}

fn ted_talks(place: &Path) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for (side, held_out) in [("train", false), ("test", true)] {
        for (name, video) in videos(&place.join(side))? {
            // A talk's name, then the piece's first and last frame.
            let source = name.split('#').next().unwrap_or_default().to_owned();
            items.push(Item {
                masks: masks(place, &name)?,
                tracks: existing(place.join("tracks").join(format!("{name}.json"))),
                source,
                held_out,
                name,
                video,
            });
        }
    }
    Ok(items)
}

/// Items by their source.
pub fn by_source(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut sources: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for item in items {
        sources.entry(item.source.clone()).or_default().push(item);
    }
    sources.into_values().collect()
}
