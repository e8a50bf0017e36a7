//! Tracks as files. Two forms are read; both are JSON.
//!
//! DragEntity's own says all there is to know, in pixels of the video (the upper left corner is 0, 0, the centre of the
//! first pixel 0.5, 0.5):
//!
//! ```json
//! {"dragentity_tracks": 1,
//!  "video": {"width": 640, "height": 360, "frames": 3},
//!  "entities": [{"name": "cat", "radius": 41.5,
//!                "track": [[120.5, 80.5], [124.1, 80.2], [128.0, 80.9]],
//!                "visible": [true, true, false]}]}
//! ```
//!
//! `track` begins at the centre of the largest circle inside the entity's mask, whose radius is `radius`; where
//! `visible` is false, the position is a guess. `radius` and `visible` may be missing.
//!
//! DragAnything's has the positions alone, as whole pixels, under a number for each entity:
//! `{"1": [[120, 80], [124, 80], [128, 80]]}`.

use super::{EntityTrack, Tracks};
use dragentity_core::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version this program writes, and the newest it reads.
pub const VERSION: u64 = 1;
/// Longest text that is looked at, in bytes.
const MAX_BYTES: usize = 256 << 20;
/// Furthest a position may be from the origin, in pixels.
const FARTHEST: f64 = 1e6;

#[derive(Serialize, Deserialize)]
struct Size {
    width: u32,
    height: u32,
    frames: usize,
}

#[derive(Serialize, Deserialize)]
struct One {
    name: String,
    #[serde(default)]
    radius: f32,
    track: Vec<[f64; 2]>,
    #[serde(default)]
    visible: Vec<bool>,
}

#[derive(Deserialize)]
struct Whole {
    video: Size,
    entities: Vec<One>,
}

fn refuse<T>(name: &str, reason: impl std::fmt::Display) -> Result<T> {
    Err(Error::Preset(format!("{name}: {reason}")))
}

impl Tracks {
    /// The file's text, one entity a line.
    pub fn to_json(&self) -> String {
        let entities: Vec<String> = self
            .entities
            .iter()
            .map(|entity| {
                let round = |v: f32| (f64::from(v) * 100.0).round() / 100.0;
                let one = One {
                    name: entity.name.clone(),
                    radius: (entity.radius * 100.0).round() / 100.0,
                    track: entity.points.iter().map(|p| p.map(round)).collect(),
                    visible: entity.visible.clone(),
                };
                // Strings and finite numbers always have a JSON form.
                format!("    {}", serde_json::to_string(&one).unwrap_or_default())
            })
            .collect();
        format!(
            "{{\n  \"dragentity_tracks\": {VERSION},\n  \"video\": {{\"width\": {}, \"height\": {}, \"frames\": {}}},\n  \
             \"entities\": [\n{}\n  ]\n}}\n",
            self.width,
            self.height,
            self.frames,
            entities.join(",\n")
        )
    }

    /// DragAnything's form: whole pixels, entities numbered from 1.
    pub fn to_draganything(&self) -> String {
        let entities: Vec<String> = self
            .entities
            .iter()
            .enumerate()
            .map(|(index, entity)| {
                let whole = |p: &[f32; 2]| p.map(|v| v.floor() as i64);
                let points: Vec<[i64; 2]> = entity.points.iter().map(whole).collect();
                let points = serde_json::to_string(&points).unwrap_or_default();
                format!("\"{}\": {points}", index + 1)
            })
            .collect();
        format!("{{{}}}\n", entities.join(",\n "))
    }

    /// Reads either form. `size` is the video's width and height, which DragAnything's form does not say; `name` stands
    /// in the errors.
    ///
    /// # Errors
    /// [`Error::Preset`].
    pub fn parse(text: &str, name: &str, size: (u32, u32)) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return refuse(
                name,
                format!(
                    "is {} MB of text, far more than tracks need",
                    text.len() >> 20
                ),
            );
        }
        let value: serde_json::Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(e) => {
                return refuse(
                    name,
                    format!("is no JSON ({e}); `dragentity track` writes such files"),
                );
            }
        };
        let tracks = match value.get("dragentity_tracks") {
            Some(version) if version.as_u64().is_some_and(|v| v <= VERSION) => Self::whole(value),
            Some(version) => {
                return refuse(
                    name,
                    format!("has version {version}, and this program reads {VERSION}; update it"),
                );
            }
            None => Self::draganything(value, size),
        };
        let tracks = tracks.map_err(|reason| Error::Preset(format!("{name}: {reason}")))?;
        for entity in &tracks.entities {
            let far = |p: &&[f32; 2]| {
                p.iter()
                    .any(|v| v.is_nan() || f64::from(v.abs()) > FARTHEST)
            };
            if let Some(p) = entity.points.iter().find(far) {
                return refuse(
                    name,
                    format!(
                        "{:?} has a position at {p:?}, far beyond any picture",
                        entity.name
                    ),
                );
            }
            if entity.points.is_empty() {
                return refuse(name, format!("{:?} has no position", entity.name));
            }
            if entity.points.len() != entity.visible.len() {
                let (have, seen) = (entity.points.len(), entity.visible.len());
                return refuse(
                    name,
                    format!(
                        "{:?} has {have} positions and says of {seen} whether they are seen",
                        entity.name
                    ),
                );
            }
        }
        Ok(tracks)
    }

    fn whole(value: serde_json::Value) -> Result<Self, String> {
        let Whole { video, entities } = serde_json::from_value(value).map_err(|e| e.to_string())?;
        if video.width == 0 || video.height == 0 {
            return Err("the video it says it is of has no size".into());
        }
        let entities = entities.into_iter().map(|one| EntityTrack {
            name: one.name,
            radius: one.radius,
            visible: match one.visible.is_empty() {
                true => vec![true; one.track.len()],
                false => one.visible,
            },
            points: one.track.iter().map(|p| p.map(|v| v as f32)).collect(),
        });
        Ok(Self {
            width: video.width,
            height: video.height,
            frames: video.frames,
            entities: entities.collect(),
        })
    }

    fn draganything(value: serde_json::Value, size: (u32, u32)) -> Result<Self, String> {
        let lists: BTreeMap<String, Vec<[f64; 2]>> = serde_json::from_value(value).map_err(|e| {
            format!("is neither DragEntity's form nor DragAnything's, {{\"1\": [[x, y], ..], ..}} ({e})")
        })?;
        let mut lists: Vec<_> = lists.into_iter().collect();
        // "2" before "10".
        lists.sort_by_key(|(id, _)| (id.parse::<u64>().unwrap_or(u64::MAX), id.clone()));
        let entities: Vec<_> = lists
            .into_iter()
            .map(|(id, points)| EntityTrack {
                name: id,
                radius: 0.0,
                visible: vec![true; points.len()],
                // A position is that of a pixel's centre.
                points: points.iter().map(|p| p.map(|v| v as f32 + 0.5)).collect(),
            })
            .collect();
        Ok(Self {
            width: size.0,
            height: size.1,
            frames: entities.iter().map(|e| e.points.len()).max().unwrap_or(0),
            entities,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracks() -> Tracks {
        Tracks {
            width: 64,
            height: 48,
            frames: 2,
            entities: vec![
                EntityTrack {
                    name: "the \"cat\"".into(),
                    radius: 7.25,
                    points: vec![[10.5, 20.5], [12.25, -3.5]],
                    visible: vec![true, false],
                },
                EntityTrack {
                    name: "b".into(),
                    radius: 1.5,
                    points: vec![[1.5, 2.5], [3.5, 4.5]],
                    visible: vec![true, true],
                },
            ],
        }
    }

    #[test]
    fn both_forms_round_trip() {
        let tracks = tracks();
        assert_eq!(
            Tracks::parse(&tracks.to_json(), "t", (1, 1)).unwrap(),
            tracks
        );
        let theirs = tracks.to_draganything();
        let value: serde_json::Value = serde_json::from_str(&theirs).unwrap();
        assert_eq!(value["1"], serde_json::json!([[10, 20], [12, -4]]));
        let read = Tracks::parse(&theirs, "t", (64, 48)).unwrap();
        assert_eq!((read.width, read.height, read.frames), (64, 48, 2));
        assert_eq!(read.entities[1].points, tracks.entities[1].points);
        assert_eq!(read.entities[0].points[1], [12.5, -3.5]);
    }

    #[test]
    fn entities_come_in_the_order_of_their_numbers() {
        let read = Tracks::parse(r#"{"10": [[0, 0]], "2": [[5, 5]]}"#, "t", (9, 9)).unwrap();
        assert_eq!(read.entities[0].name, "2");
    }

    #[test]
    fn bad_files_are_named() {
        for (text, word) in [
            ("", "no JSON"),
            ("[1, 2]", "neither"),
            (r#"{"1": [[1, 2, 3]]}"#, "neither"),
            (r#"{"1": []}"#, "no position"),
            (r#"{"1": [[1e300, 2]]}"#, "far beyond"),
            (r#"{"dragentity_tracks": 2}"#, "version 2"),
            (
                r#"{"dragentity_tracks": 1, "video": {"width": 0, "height": 4, "frames": 1}, "entities": []}"#,
                "no size",
            ),
            (
                r#"{"dragentity_tracks": 1, "video": {"width": 4, "height": 4, "frames": 1},
                    "entities": [{"name": "a", "track": [[1, 2], [3, 4]], "visible": [true]}]}"#,
                "2 positions",
            ),
        ] {
            let error = Tracks::parse(text, "my.json", (8, 8))
                .unwrap_err()
                .to_string();
            assert!(error.contains("my.json") && error.contains(word), "{error}");
        }
    }
}
