//! Presets: what was made on a picture, without the picture, as a file or as a link.
//!
//! The file is JSON, the link carries the same JSON packed (zlib, then base64url) behind `#s=`, so that it never reaches
//! a server. One codec serves the page, the command line and the shipped samples. Links that are to be short ([`Preset::to_link`]) are base64url of
//! a byte 1, the length of what follows in two bytes, the JSON without its runs, deflated, and all the masks (`coded`), in the order in
//! which the JSON names them. Version 1:
//!
//! ```json
//! {"dragentity": 1,
//!  "picture": {"width": 512, "height": 341, "hash": "5c3a9e0b71d2f846"},
//!  "order": "automatic",
//!  "entities": [{"name": "cat", "mask": {"width": 160, "height": 107, "runs": [1200, 31, 120, 40]},
//!                "trajectory": [[0.4, 0.5, 0.0], [0.6, 0.45, 1.0]], "handles": [[[0.2, 0.8, 0.0]]],
//!                "poses": [{"t": 1.0, "rotation": 20.0, "scale": 1.2, "depth": 1.0}],
//!                "joints": [[0.4, 0.3, 1.0], ...], "group": 1, "part": "head", "shadow": "none",
//!                "strength": 0.5, "hidden": true, "locked": true, "colour": 3}],
//!  "background": [[0.5, 0.5, 0.0]],
//!  "view": {"about": [0.3, 0.4], "poses": [{"t": 1.0, "rotation": 0.0, "scale": 1.5, "depth": 0.0}],
//!           "ground": {"horizon": 0.4, "stands": 0.9}},
//!  "fill_from": {"width": 160, "height": 107, "runs": [0, 17120]},
//!  "settings": {"frames": 8, "seed": 0}}
//! ```
//!
//! Runs are [`Mask::to_runs`]; trajectory points are x, y (fractions of the picture) and t (fraction of the video), and a 1 behind these at
//! a corner; handles are
//! further trajectories, poses are [`Pose`]s. Joints are x, y and visibility of all of [`Joint::ALL`](super::skeleton::Joint::ALL), of a person whose
//! handles lead them.
//! What is hidden stays where it is, and is in no job; a colour is a number, without one it is that of the entity's position.
//! A shadow is `"none"` or a mask; without one it is looked for. What things hide is filled from `fill_from`, else from all the rest.
//! A plate that was brought along is a picture, of which presets have none.
//! What is missing takes its default, a setting the model's ([`Settings::resolve`]); what is not known is ignored.
//!
//! Without an `order` the entities lie as they are listed, back to front: somebody has set it, or the preset is of a
//! time when there was no other. A group's entities without a `part` are of such a time, too: the names that parts are
//! given then say which they are.

use super::entity::MAX_HANDLES;
use super::ground::Ground;
use super::picture::PictureHash;
use super::pose::{MAX_DEPTH, MAX_POSES, MAX_ROTATION, SCALES};
use super::settings::{Choice, MAX_ENTITIES};
use super::skeleton::JOINTS;
use super::trajectory::Listed;
use super::{
    Behind, Entity, Look, Mask, Order, Part, Picture, Pose, Scene, Settings, Shadow, Skeleton,
    Strength, Trajectory, TrajectoryPoint, View, mask, trajectory,
};
use crate::error::{Error, Result};
use base64::Engine;
use serde::{Deserialize, Serialize};

mod coded;

/// The version this program writes, and the newest it reads.
pub const VERSION: u32 = 1;
/// What stands before the packed preset in a link.
pub const FRAGMENT: &str = "s=";
/// Longer side, in pixels, of the masks in a preset.
pub const MASK_SIDE: u32 = 320;
/// The most characters that a link should have, so that it goes wherever links go.
pub const LINK: usize = 1500;
/// What a short link's bytes begin with; zlib begins with another.
const SHORT: u8 = 1;
/// Longer side, in pixels, of the masks in a scene made from a preset.
pub const EDIT_SIDE: u32 = 512;

/// Longest side of a mask that is read (files may be written by other programs).
const MAX_MASK_SIDE: u32 = 1280;
/// Longest text that is looked at, in bytes, and the most that a link may unpack to. A preset with [`MAX_ENTITIES`]
/// ragged masks stays below 2 MB.
const MAX_BYTES: usize = 4 << 20;
/// Longest name of an entity, in characters; longer ones are cut.
const MAX_NAME: usize = 80;
/// Entities, trajectories and settings, and which picture they were made on.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// What the picture shows; `None` in a preset that was written by hand.
    pub hash: Option<PictureHash>,
    /// The entities; masks of at most [`MASK_SIDE`] pixels when made by [`Preset::new`].
    pub entities: Vec<Entity>,
    /// Who says which of them lie in front of which.
    pub order: Order,
    /// The camera.
    pub background: Option<Trajectory>,
    /// How the camera looks at it.
    pub view: View,
    /// From where alone is filled what things hide.
    pub fill_from: Option<Mask>,
    /// How to generate, as far as it says.
    pub settings: Choice,
}

/// Whether a preset can be used on a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It was made on this picture, or on a copy at another scale.
    Same,
    /// Another picture of the same shape, or the preset does not say which: places carry over as fractions.
    SameAspect,
    /// A picture of another shape: places would not carry over.
    Different,
}

impl Preset {
    /// The preset of a scene, to be kept or copied: coordinates are rounded to a ten-thousandth, masks scaled down to
    /// [`MASK_SIDE`].
    pub fn new(scene: &Scene, settings: &Settings) -> Self {
        let mut preset = Self::rounded(scene, settings);
        for entity in &mut preset.entities {
            entity.mask = small(&entity.mask);
            if let Shadow::Marked(mask) = &mut entity.shadow {
                *mask = small(mask);
            }
        }
        preset.fill_from = preset.fill_from.as_ref().map(small);
        preset
    }

    /// The preset of a scene, to make a link of ([`Preset::to_link`]): coordinates are rounded to a ten-thousandth, masks as they
    /// are.
    pub fn rounded(scene: &Scene, settings: &Settings) -> Self {
        let mut preset = Self::whole(scene, settings);
        for entity in &mut preset.entities {
            entity.trajectory = entity.trajectory.as_ref().map(rounded);
            entity.handles = entity.handles.iter().map(rounded).collect();
            if let Some(skeleton) = &mut entity.skeleton {
                for value in skeleton
                    .places
                    .iter_mut()
                    .flatten()
                    .chain(&mut skeleton.visibility)
                {
                    *value = round(*value);
                }
            }
            round_poses(&mut entity.poses);
        }
        preset.background = preset.background.as_ref().map(rounded);
        preset.view.about = preset.view.about.map(round);
        let ground = preset.view.ground;
        preset.view.ground = ground.map(|g| Ground::new(round(g.horizon()), round(g.stands())));
        round_poses(&mut preset.view.poses);
        preset
    }

    /// The preset of a scene, to be run elsewhere: masks and paths as they are, but for soft edges, which
    /// become hard in every preset.
    pub fn whole(scene: &Scene, settings: &Settings) -> Self {
        Self {
            width: scene.picture.width,
            height: scene.picture.height,
            hash: Some(scene.picture.hash()),
            entities: scene
                .entities
                .iter()
                .map(|e| Entity {
                    name: clean_name(&e.name),
                    ..e.clone().with_clean_motion()
                })
                .collect(),
            order: scene.order,
            background: scene.background.as_ref().map(Trajectory::cleaned),
            view: scene.view.cleaned(),
            fill_from: scene.behind.from.clone(),
            settings: Choice::from(settings),
        }
    }

    /// Whether it can be used on this picture.
    pub fn fits(&self, picture: &Picture) -> Fit {
        if !super::picture::same_shape([self.width, self.height], [picture.width, picture.height]) {
            Fit::Different
        } else if self.hash.is_some_and(|hash| hash.matches(picture.hash())) {
            Fit::Same
        } else {
            Fit::SameAspect
        }
    }

    /// The scene on this picture. A picture of another shape is refused.
    ///
    /// # Errors
    /// [`Error::Preset`] for a picture of another shape.
    pub fn scene(&self, picture: Picture) -> Result<Scene> {
        if self.fits(&picture) == Fit::Different {
            return Err(Error::Preset(format!(
                "it was made on a picture of {} x {} pixels, and this one, {} x {}, has another shape, so its places do \
                 not carry over; open the picture it was made on, or one of the same shape",
                self.width, self.height, picture.width, picture.height
            )));
        }
        let longer = picture.width.max(picture.height).max(1);
        let scale = (EDIT_SIDE as f64 / longer as f64).min(1.0);
        let side = |n: u32| ((n as f64 * scale).round() as u32).max(1);
        let (w, h) = (side(picture.width), side(picture.height));
        let entities = self
            .entities
            .iter()
            .map(|e| Entity {
                mask: e.mask.resized(w, h),
                shadow: match &e.shadow {
                    Shadow::Marked(mask) => Shadow::Marked(mask.resized(w, h)),
                    other => other.clone(),
                },
                ..e.clone()
            })
            .collect();
        let from = self.fill_from.as_ref().map(|from| from.resized(w, h));
        Ok(Scene {
            picture,
            entities,
            order: self.order,
            background: self.background.clone(),
            view: self.view.clone(),
            behind: Behind { plate: None, from },
        })
    }

    /// The JSON of a preset file, with line breaks where a person looks.
    pub fn to_json(&self) -> String {
        let file = File::from(self);
        // One entity a line: with run lengths one number a line, nobody could read it.
        let entities: Vec<String> = file
            .entities
            .iter()
            .map(|e| format!("    {}", json(e)))
            .collect();
        let order = match &file.order {
            Some(order) => format!("  \"order\": {},\n", json(order)),
            None => String::new(),
        };
        let fill_from = match &file.fill_from {
            Some(mask) => format!("  \"fill_from\": {},\n", json(mask)),
            None => String::new(),
        };
        let view = match &file.view {
            Some(view) => format!("  \"view\": {},\n", json(view)),
            None => String::new(),
        };
        format!(
            "{{\n  \"dragentity\": {VERSION},\n  \"picture\": {},\n{order}  \"entities\": [\n{}\n  ],\n  \"background\": {},\n{view}{fill_from}  \"settings\": {}\n}}\n",
            json(&file.picture),
            entities.join(",\n"),
            json(&file.background),
            json(&file.settings)
        )
    }

    /// What stands behind the `#` of a link.
    pub fn to_fragment(&self) -> String {
        let packed =
            miniz_oxide::deflate::compress_to_vec_zlib(json(&File::from(self)).as_bytes(), 9);
        format!(
            "{FRAGMENT}{}",
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(packed)
        )
    }

    /// The whole link, on the page at `address` (whose own fragment, if any, is replaced): as short as it can be. Masks come back nearly
    /// as they are, by 98 of 100 pixels; those of nets and lines by down to 80 where the link would be longer
    /// than [`LINK`] otherwise.
    pub fn to_link(&self, address: &str) -> String {
        let mut kept = String::new();
        for least in coded::ALIKE {
            let link = self.link_of(address, least);
            // What is far too long stays so.
            if link.len() <= LINK || link.len() > 3 * LINK {
                return link;
            }
            if least >= coded::STILL_ALIKE {
                kept = link;
            }
        }
        kept
    }

    fn link_of(&self, address: &str, least: f64) -> String {
        let mut file = File::from(self);
        let masks: Vec<Mask> = file
            .masks()
            .filter_map(|coded| {
                let mask = Mask::from_runs(coded.width, coded.height, &coded.runs).ok()?;
                let mask = coded::coarse(&mask, least);
                (coded.width, coded.height) = (mask.width, mask.height);
                coded.runs.clear();
                Some(mask)
            })
            .collect();
        let json = miniz_oxide::deflate::compress_to_vec(json(&file).as_bytes(), 10);
        let Ok(length) = u16::try_from(json.len()) else {
            // Hundreds of long paths: nothing makes that short.
            return format!("{}#{}", page(address), self.to_fragment());
        };
        let mut bytes = vec![SHORT];
        bytes.extend(length.to_be_bytes());
        bytes.extend(json);
        bytes.extend(coded::encode(masks.iter()));
        let packed = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        format!("{}#{FRAGMENT}{packed}", page(address))
    }

    /// Reads any form: a preset file's text, a whole link, its fragment with or without `#`.
    ///
    /// # Errors
    /// [`Error::Preset`] that says what is wrong with it and what to do.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return refuse(format!(
                "it is {} MB of text, far more than any preset; open a DragEntity preset file or link",
                text.len() >> 20
            ));
        }
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return refuse("it is empty; paste a whole DragEntity link or open a preset file");
        }
        if text.starts_with('{') {
            return Self::from_json(text);
        }
        match packed_part(text) {
            Some(packed) => Self::from_packed(packed),
            None if text.contains("://") => refuse(
                "this link carries no scene (nothing behind '#s='); copy the link again with \"Copy link\" on the page",
            ),
            None => refuse(
                "this is neither a DragEntity link nor a preset file; paste a whole link (it contains '#s=') or open a \
                 .json file saved by DragEntity",
            ),
        }
    }

    fn from_json(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            dragentity: Option<serde_json::Value>,
        }
        let head: Head = serde_json::from_str(json).map_err(|e| bad_json(&e))?;
        match head.dragentity {
            None => {
                return refuse(
                    "this JSON was not written by DragEntity (it has no \"dragentity\" version); open a preset file",
                );
            }
            Some(v) if v.as_u64() == Some(VERSION as u64) => {}
            Some(v) if v.as_u64().is_some_and(|v| v > VERSION as u64) => {
                return refuse(format!(
                    "it was made by a newer DragEntity (preset version {v}, this one reads up to {VERSION}); reload the \
                     page or update the program"
                ));
            }
            Some(_) => {
                return refuse(
                    "its version is not a number this program knows; copy the link or file again",
                );
            }
        }
        let file: File = serde_json::from_str(json).map_err(|e| bad_json(&e))?;
        file.try_into()
    }

    fn from_packed(packed: &str) -> Result<Self> {
        use base64::alphabet::URL_SAFE;
        use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
        const DAMAGED: &str = "the link is damaged or cut short; copy it again, whole, with \"Copy link\" on the page";
        let config = GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let engine = GeneralPurpose::new(&URL_SAFE, config);
        let decode = |text: &str| {
            let text = text.replace('+', "-").replace('/', "_");
            engine.decode(text.trim_end_matches('=')).ok()
        };
        let unpack = |text: &str| {
            Some(miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(
                &decode(text)?,
                MAX_BYTES,
            ))
        };
        // Up to the first character that cannot belong to it ...
        let word = |c: char| c.is_ascii_alphanumeric() || "-_+/=".contains(c);
        let packed = percent_decoded(packed);
        let first = packed.split(|c| !word(c)).next().unwrap_or_default();
        // ... or, if that is not all of it, across the line breaks that a mail program put in.
        let joined: String = packed.split_whitespace().collect();
        let joined = joined.split(|c| !word(c)).next().unwrap_or_default();
        let short = |text: &str| decode(text).filter(|bytes| bytes.first() == Some(&SHORT));
        if let Some(bytes) = short(first).or_else(|| short(joined)) {
            let read = |bytes: &[u8]| File::from_short(&bytes[1..]);
            let read = read(&bytes).or_else(|| read(&short(joined)?));
            return match read {
                Some(file) => file.try_into(),
                None => refuse(DAMAGED),
            };
        }
        let json = match unpack(first) {
            Some(Ok(json)) => json,
            Some(Err(e)) if e.status == miniz_oxide::inflate::TINFLStatus::HasMoreOutput => {
                return refuse(format!(
                    "the link unpacks to more than {} MB, far more than any preset; it was not made by DragEntity",
                    MAX_BYTES >> 20
                ));
            }
            _ => match unpack(joined) {
                Some(Ok(json)) => json,
                _ => return refuse(DAMAGED),
            },
        };
        match std::str::from_utf8(&json) {
            Ok(json) if json.starts_with('{') => Self::from_json(json),
            _ => refuse(DAMAGED),
        }
    }
}

/// An address without its fragment.
fn page(address: &str) -> &str {
    address.split('#').next().unwrap_or_default()
}

fn refuse<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::Preset(why.into()))
}

fn bad_json(e: &serde_json::Error) -> Error {
    Error::Preset(if e.is_eof() {
        "the file is cut short; save or download it again".into()
    } else {
        format!("it cannot be read ({e}); save or copy it again")
    })
}

/// The part of a link behind `#s=`, or a text that is nothing but such a part.
fn packed_part(text: &str) -> Option<&str> {
    // Without a '#', "s=..." may stand alone or behind the '?' or '&' to which a program moved it.
    let fragment = text.split_once('#').map_or(text, |(_, fragment)| fragment);
    let part = fragment
        .split(['&', '?'])
        .find_map(|part| part.trim_start().strip_prefix(FRAGMENT))?;
    (!part.trim().is_empty()).then_some(part)
}

/// `%XX` of an ASCII character as that character; anything else unchanged.
fn percent_decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let byte = rest
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(u8::is_ascii) {
            Some(byte) => {
                out.push(byte as char);
                rest = &rest[at + 3..];
            }
            None => {
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

pub(super) fn clean_name(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME)
        .collect()
}

fn round_poses(poses: &mut [Pose]) {
    for pose in poses {
        let Pose {
            t,
            rotation,
            scale,
            depth,
        } = pose;
        for value in [t, rotation, scale, depth] {
            *value = round(*value);
        }
    }
}

fn round(v: f32) -> f32 {
    ((v as f64 * 1e4).round() / 1e4) as f32
}

fn rounded(t: &Trajectory) -> Trajectory {
    let points = t
        .cleaned()
        .points
        .iter()
        .map(|p| TrajectoryPoint {
            x: round(p.x),
            y: round(p.y),
            t: round(p.t),
            ..*p
        })
        .collect();
    Trajectory { points }
}

/// The mask at most [`MASK_SIDE`] pixels large, with hard edges. What is inside never vanishes altogether.
fn small(mask: &Mask) -> Mask {
    hard(mask, MASK_SIDE)
}

/// The mask at most `most` pixels a side, with hard edges. What is inside never vanishes altogether.
fn hard(mask: &Mask, most: u32) -> Mask {
    let longer = mask.width.max(mask.height).max(1);
    let side = |n: u32| ((n as u64 * most as u64 / longer as u64) as u32).max(1);
    let mut small = if longer > most {
        mask.resized(side(mask.width), side(mask.height))
    } else {
        mask.clone()
    };
    let brightest = small.alpha.iter().copied().max().unwrap_or(0);
    let threshold = if mask.is_empty() {
        128
    } else {
        brightest.clamp(1, 128)
    };
    for a in &mut small.alpha {
        *a = if *a >= threshold { 255 } else { 0 };
    }
    small
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
struct File {
    dragentity: u32,
    picture: FilePicture,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<Order>,
    #[serde(default)]
    entities: Vec<FileEntity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    background: Option<Vec<Listed>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    view: Option<View>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fill_from: Option<FileMask>,
    #[serde(default)]
    settings: Choice,
}

#[derive(Serialize, Deserialize)]
struct FilePicture {
    width: u32,
    height: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    hash: String,
}

#[derive(Serialize, Deserialize)]
struct FileEntity {
    #[serde(default)]
    name: String,
    mask: FileMask,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trajectory: Option<Vec<Listed>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    handles: Vec<Vec<Listed>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    poses: Vec<Pose>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    joints: Vec<[f32; 3]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shadow: Option<FileShadow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strength: Option<Strength>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    hidden: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    locked: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    colour: Option<u8>,
}

#[derive(Serialize, Deserialize)]
struct FileMask {
    width: u32,
    height: u32,
    /// None in a short link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    runs: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum FileShadow {
    Word(ShadowWord),
    Mask(FileMask),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ShadowWord {
    None,
}

impl File {
    /// All of its masks, in the order in which it names them.
    fn masks(&mut self) -> impl Iterator<Item = &mut FileMask> {
        let of_entities = self.entities.iter_mut().flat_map(|entity| {
            let shadow = match &mut entity.shadow {
                Some(FileShadow::Mask(mask)) => Some(mask),
                _ => None,
            };
            std::iter::once(&mut entity.mask).chain(shadow)
        });
        of_entities.chain(&mut self.fill_from)
    }

    /// What a short link holds behind its first byte; `None` where that is damaged.
    fn from_short(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (json, masks) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let json = miniz_oxide::inflate::decompress_to_vec_with_limit(json, MAX_BYTES).ok()?;
        let mut file: Self = serde_json::from_slice(&json).ok()?;
        if file.dragentity != VERSION || file.entities.len() > MAX_ENTITIES {
            return None;
        }
        let mut masks = coded::Decoder::new(masks);
        for mask in file.masks() {
            let sides = 1..=EDIT_SIDE;
            if !sides.contains(&mask.width) || !sides.contains(&mask.height) {
                return None;
            }
            mask.runs = masks.mask(mask.width, mask.height).to_runs();
        }
        (!masks.is_short()).then_some(file)
    }
}

impl From<&Mask> for FileMask {
    fn from(mask: &Mask) -> Self {
        Self {
            width: mask.width,
            height: mask.height,
            runs: mask.to_runs(),
        }
    }
}

impl FileMask {
    fn mask(self, what: &str) -> Result<Mask> {
        let FileMask {
            width,
            height,
            runs,
        } = self;
        if width.max(height) > MAX_MASK_SIDE {
            return refuse(format!(
                "{what} has a mask of {width} x {height} pixels; masks may have up to {MAX_MASK_SIDE} a side"
            ));
        }
        const { assert!(MAX_MASK_SIDE <= mask::MAX_SIDE) };
        Mask::from_runs(width, height, &runs)
    }
}

/// The JSON, on one line, of values that always have one: our own, made of finite numbers, strings and lists.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

impl From<&Preset> for File {
    fn from(p: &Preset) -> Self {
        let points = |t: &Trajectory| t.points.iter().copied().map(Listed::from).collect();
        File {
            dragentity: VERSION,
            picture: FilePicture {
                width: p.width,
                height: p.height,
                hash: p.hash.map(|h| h.to_string()).unwrap_or_default(),
            },
            order: Some(p.order).filter(|order| *order != Order::AsListed),
            entities: p
                .entities
                .iter()
                .enumerate()
                .map(|(i, e)| FileEntity {
                    name: e.name.clone(),
                    mask: (&e.mask).into(),
                    trajectory: e.trajectory.as_ref().map(points),
                    handles: e.handles.iter().map(points).collect(),
                    poses: e.poses.clone(),
                    joints: e
                        .skeleton
                        .as_ref()
                        .map(Skeleton::to_list)
                        .unwrap_or_default(),
                    group: e.group,
                    part: e.part,
                    strength: Some(e.strength).filter(|strength| *strength != Strength::default()),
                    shadow: match &e.shadow {
                        Shadow::Found => None,
                        Shadow::None => Some(FileShadow::Word(ShadowWord::None)),
                        Shadow::Marked(mask) => Some(FileShadow::Mask(mask.into())),
                    },
                    hidden: e.look.hidden,
                    locked: e.look.locked,
                    // Links are to be short: what is drawn by its position anyway needs no word.
                    colour: e.look.colour.filter(|colour| usize::from(*colour) != i),
                })
                .collect(),
            background: p.background.as_ref().map(points),
            view: Some(p.view.clone()).filter(|view| !view.is_still() || view.ground.is_some()),
            fill_from: p.fill_from.as_ref().map(FileMask::from),
            settings: p.settings.clone(),
        }
    }
}

impl TryFrom<File> for Preset {
    type Error = Error;

    fn try_from(file: File) -> Result<Self> {
        let (width, height) = (file.picture.width, file.picture.height);
        if width == 0 || height == 0 || width.max(height) > super::picture::MAX_SIDE {
            return refuse(format!(
                "it names a picture of {width} x {height} pixels; copy the link or file again"
            ));
        }
        if file.entities.len() > MAX_ENTITIES {
            return refuse(format!(
                "it has {} entities, and at most {MAX_ENTITIES} can be moved; delete some",
                file.entities.len()
            ));
        }
        let entities = file
            .entities
            .into_iter()
            .enumerate()
            .map(|(i, e)| entity(i, e))
            .collect::<Result<_>>()?;
        let background = file
            .background
            .map(|points| path("the camera", points))
            .transpose()?;
        let view = file.view.unwrap_or_default();
        if let Some(fault) = view.fault() {
            return refuse(format!("the camera's view {fault}"));
        }
        let fill_from = file
            .fill_from
            .map(|mask| mask.mask("what is filled from"))
            .transpose()?;
        file.settings
            .check()
            .map_err(|e| Error::Preset(e.to_string()))?;
        Ok(Preset {
            width,
            height,
            // A hash that cannot be read only costs the certainty that it is the same picture.
            hash: file.picture.hash.parse().ok(),
            entities,
            order: file.order.unwrap_or(Order::AsListed),
            background,
            view,
            fill_from,
            settings: file.settings,
        })
    }
}

fn entity(index: usize, e: FileEntity) -> Result<Entity> {
    let what = format!("entity {}", index + 1);
    let mask = e.mask.mask(&what)?;
    let shadow = match e.shadow {
        None => Shadow::Found,
        Some(FileShadow::Word(ShadowWord::None)) => Shadow::None,
        Some(FileShadow::Mask(mask)) => {
            Shadow::Marked(mask.mask(&format!("the shadow of {what}"))?)
        }
    };
    if e.handles.len() > MAX_HANDLES {
        return refuse(format!(
            "{what} has {} handles, and at most {MAX_HANDLES} can lead it; remove some",
            e.handles.len()
        ));
    }
    if e.poses.len() > MAX_POSES {
        return refuse(format!(
            "{what} has {} poses, not up to {MAX_POSES}; remove some",
            e.poses.len()
        ));
    }
    if let Some(i) = e.poses.iter().position(|pose| !pose.is_usable()) {
        return refuse(format!(
            "pose {} of {what} is out of bounds: times are 0 to 1, turns up to {MAX_ROTATION} degrees, scales {} to {}, depths \
             up to {MAX_DEPTH}; change it",
            i + 1,
            SCALES.start(),
            SCALES.end()
        ));
    }
    let skeleton = match e.joints.is_empty() {
        true => None,
        false => Some(Skeleton::of_list(&e.joints).ok_or_else(|| {
            Error::Preset(format!(
                "the joints of {what} are not {JOINTS} places with how likely each is to be seen; leave them out"
            ))
        })?),
    };
    let handles = e.handles.into_iter().map(|points| path(&what, points));
    let read = Entity {
        part: e
            .part
            .or_else(|| part_of_old(&e.name).filter(|_| e.group.is_some())),
        name: clean_name(&e.name),
        mask,
        trajectory: e.trajectory.map(|points| path(&what, points)).transpose()?,
        handles: handles.collect::<Result<_>>()?,
        poses: e.poses,
        skeleton,
        group: e.group,
        strength: e
            .strength
            .map_or_else(Strength::default, |s| Strength::new(s.share())),
        shadow,
        look: Look {
            hidden: e.hidden,
            locked: e.locked,
            colour: e.colour,
        },
    };
    Ok(read.with_first_handle())
}

/// The part that an entity of a group was in presets that told it by its name alone.
fn part_of_old(name: &str) -> Option<Part> {
    Part::ALL.into_iter().find(|part| part.name() == name)
}

fn path(what: &str, points: Vec<Listed>) -> Result<Trajectory> {
    if points.is_empty() || points.len() > trajectory::MAX_POINTS {
        return refuse(format!(
            "the trajectory of {what} has {} points, not 1 to {}; draw it again",
            points.len(),
            trajectory::MAX_POINTS
        ));
    }
    for (i, p) in points.iter().enumerate() {
        // JSON has no NaN, but a number too large for f32 arrives as infinity.
        let TrajectoryPoint { x, y, t, .. } = (*p).into();
        let usable = [x, y, t]
            .iter()
            .all(|v| v.is_finite() && v.abs() <= trajectory::MAX_REACH);
        if !usable {
            return refuse(format!(
                "point {} of the trajectory of {what} lies far outside the picture; draw it again",
                i + 1
            ));
        }
    }
    Ok(Trajectory {
        points: points.into_iter().map(TrajectoryPoint::from).collect(),
    })
}

#[cfg(test)]
mod tests;
