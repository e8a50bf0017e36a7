//! The pack: one file with all cut-outs and backgrounds that clips are rendered from, small enough to travel
//! to a GPU machine beside the program, and whole enough to say where each picture came from.
//!
//! Layout: the eight bytes [`MAGIC`], the length of the header in bytes (u32, little endian), the header
//! (JSON, [`Header`]), then the pictures one after the other, each as long as its [`Item`] says.

use std::path::Path;

use image::{DynamicImage, ImageEncoder, ImageFormat, RgbImage, RgbaImage};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::sprite::{Sprite, Surface};
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::{make_dir, write_whole};

/// The first bytes of a pack; the digit is the version of the layout.
pub const MAGIC: &[u8; 8] = b"DRAGPCK1";
/// A header longer than this is not ours (the real one is below 2 MB).
const MAX_HEADER: usize = 64 << 20;
/// No picture in a pack is larger, so that a damaged one cannot ask for gigabytes.
const MAX_SIDE: u32 = 2048;

/// What a picture in the pack is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A thing with alpha, cropped to it.
    Cutout,
    /// An opaque picture.
    Background,
}

/// How a picture is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// One lossless PNG or WebP with alpha.
    Whole,
    /// JPEG colours, then the alpha channel as a grey PNG.
    JpegAndAlpha,
    /// JPEG without alpha.
    Jpeg,
}

/// Where a picture comes from and on what terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The package that carries it.
    pub package: String,
    /// Short name of its licence (`public-domain`, `CC-BY-SA-4.0`, `GPL-2+` ...).
    pub licence: String,
    /// Who made it, where the package says so.
    pub author: String,
    /// Where the package has it from, where it says so.
    pub from: String,
}

/// One picture of a pack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    /// Path inside the package; crops of one picture share it.
    pub name: String,
    /// Cut-out or background.
    pub kind: Kind,
    /// Never trained on: decided by a hash of [`family`] of the name alone.
    pub held_out: bool,
    /// Looks like a photograph rather than a drawing.
    pub photo: bool,
    /// Index into [`Header::origins`].
    pub origin: usize,
    /// How the bytes are coded.
    pub coding: Coding,
    /// Length of its parts in bytes (two for [`Coding::JpegAndAlpha`], else one).
    pub parts: Vec<u32>,
    /// FNV-1a hash of the bytes, to notice damage when the pack is opened.
    pub hash: u64,
}

/// What a pack says about itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Header {
    /// The distinct origins of its pictures.
    pub origins: Vec<Origin>,
    /// Its pictures, in the order of their bytes.
    pub items: Vec<Item>,
}

/// 64-bit FNV-1a: stable across platforms and versions, unlike the standard library's hasher.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Scrambles a hash so that all its bits depend on all bits of the input (SplitMix64's finaliser).
pub(crate) fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// What variants of one picture have in common: the file name in lower case without its directory, extension,
/// author, number, size or mirroring, so that `Fish_02.png` and `fish_mirror.png` never fall on both sides of
/// the split. A file that is named after its size alone takes the name of the folder above `contents`.
pub fn family(name: &str) -> String {
    let lower = name.to_lowercase();
    let mut parts = lower.rsplit('/');
    let file = parts.next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let size_only = !stem.is_empty() && stem.chars().all(|c| c.is_ascii_digit() || c == 'x');
    let mut stem = match lower.split_once("/contents/") {
        Some((folder, _)) if size_only => folder.rsplit('/').next().unwrap_or(stem),
        _ if size_only => return format!("{}/{stem}", parts.next().unwrap_or_default()),
        _ => stem,
    };
    for author in ["_by_", "-by-"] {
        stem = stem.split_once(author).map_or(stem, |(before, _)| before);
    }
    loop {
        let shorter = stem.trim_end_matches(|c: char| c.is_ascii_digit() || "_-. ".contains(c));
        let shorter = [
            "_mirror",
            "_flip",
            "_background",
            "_photo",
            "-photo",
            "-l",
            "-d",
            "_left",
            "_right",
        ]
        .iter()
        .find_map(|suffix| shorter.strip_suffix(suffix))
        .unwrap_or(shorter);
        if shorter == stem || shorter.is_empty() {
            return stem.to_owned();
        }
        stem = shorter;
    }
}

/// Chosen once, so that both kinds of pictures, and freely licensed photographs among them, come out near a tenth.
const SPLIT_SALT: u64 = 335;

/// Whether a picture is one of the tenth that is never trained on.
pub fn is_held_out(name: &str) -> bool {
    mix(fnv1a(family(name).as_bytes()) ^ SPLIT_SALT).is_multiple_of(10)
}

/// The bytes of one picture, ready for a pack.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// How they are coded.
    pub coding: Coding,
    /// The parts.
    pub parts: Vec<Vec<u8>>,
}

impl Encoded {
    fn len(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    /// A cut-out in whichever coding is smaller: lossless suits drawings, JPEG photographs. Colours of fully
    /// transparent pixels should be filled from their neighbours first, else JPEG rings at the edge.
    ///
    /// # Errors
    /// [`Error::Picture`] if it cannot be encoded.
    pub fn cutout(picture: &RgbaImage) -> Result<Self> {
        let whole = Self {
            coding: Coding::Whole,
            parts: vec![lossless(&DynamicImage::ImageRgba8(picture.clone()))?],
        };
        let (width, height) = picture.dimensions();
        let rgb = RgbImage::from_fn(width, height, |x, y| {
            let [r, g, b, _] = picture.get_pixel(x, y).0;
            image::Rgb([r, g, b])
        });
        let alpha = image::GrayImage::from_fn(width, height, |x, y| {
            image::Luma([picture.get_pixel(x, y).0[3]])
        });
        let split = Self {
            coding: Coding::JpegAndAlpha,
            parts: vec![jpeg(&rgb, 91)?, lossless(&DynamicImage::ImageLuma8(alpha))?],
        };
        Ok(if whole.len() <= split.len() {
            whole
        } else {
            split
        })
    }

    /// An opaque picture.
    ///
    /// # Errors
    /// [`Error::Picture`] if it cannot be encoded.
    pub fn background(picture: &RgbImage) -> Result<Self> {
        Ok(Self {
            coding: Coding::Jpeg,
            parts: vec![jpeg(picture, 88)?],
        })
    }
}

fn encoding(source: image::ImageError) -> Error {
    Error::Picture {
        name: "pack".into(),
        reason: format!("cannot be encoded: {source}"),
    }
}

fn jpeg(picture: &RgbImage, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(picture)
        .map_err(encoding)?;
    Ok(bytes)
}

fn lossless(picture: &DynamicImage) -> Result<Vec<u8>> {
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive)
        .write_image(
            picture.as_bytes(),
            picture.width(),
            picture.height(),
            picture.color().into(),
        )
        .map_err(encoding)?;
    if let DynamicImage::ImageRgba8(rgba) = picture {
        let mut webp = std::io::Cursor::new(Vec::new());
        rgba.write_to(&mut webp, ImageFormat::WebP)
            .map_err(encoding)?;
        if webp.get_ref().len() < png.len() {
            return Ok(webp.into_inner());
        }
    }
    Ok(png)
}

/// Collects pictures and writes a pack.
#[derive(Default)]
pub struct PackWriter {
    header: Header,
    blob: Vec<u8>,
}

impl PackWriter {
    /// An empty pack.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a picture; `held_out` follows from the name.
    pub fn add(&mut self, name: &str, kind: Kind, photo: bool, origin: &Origin, picture: &Encoded) {
        let origin = self
            .header
            .origins
            .iter()
            .position(|known| known == origin)
            .unwrap_or_else(|| {
                self.header.origins.push(origin.clone());
                self.header.origins.len() - 1
            });
        let start = self.blob.len();
        picture
            .parts
            .iter()
            .for_each(|part| self.blob.extend_from_slice(part));
        self.header.items.push(Item {
            name: name.to_owned(),
            kind,
            held_out: is_held_out(name),
            photo,
            origin,
            coding: picture.coding,
            parts: picture.parts.iter().map(|part| part.len() as u32).collect(),
            hash: fnv1a(&self.blob[start..]),
        });
    }

    /// What has been added so far.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The pack as bytes.
    ///
    /// # Errors
    /// [`Error::Picture`] if its header could not be written as JSON; none is known.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let header = serde_json::to_vec(&self.header).map_err(|source| Error::Picture {
            name: "pack".into(),
            reason: source.to_string(),
        })?;
        let mut bytes = Vec::with_capacity(12 + header.len() + self.blob.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&self.blob);
        Ok(bytes)
    }

    /// Writes the pack beside its final place first, so that an interrupted run leaves no half of one.
    /// Returns its size in bytes.
    ///
    /// # Errors
    /// Those of [`PackWriter::to_bytes`], and [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<usize> {
        let bytes = self.to_bytes()?;
        if let Some(folder) = path.parent() {
            make_dir(folder)?;
        }
        write_whole(path, &bytes)?;
        Ok(bytes.len())
    }
}

/// A pack in memory, its pictures decoded and ready to be drawn from.
pub struct Pack {
    /// What the pack says about its pictures.
    pub header: Header,
    /// Decoded pictures, parallel to `header.items`.
    pictures: Vec<Picture>,
    cutouts: [Vec<usize>; 2],
    backgrounds: [Vec<usize>; 2],
}

enum Picture {
    Cutout(Sprite),
    Background(Surface),
}

impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack")
            .field("items", &self.header.items.len())
            .finish()
    }
}

impl Pack {
    /// Opens a pack and decodes it (about 200 MB in memory for the full one).
    ///
    /// # Errors
    /// Names the file when it cannot be read, is no pack, was cut short or is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| Error::Io {
            path: name.clone(),
            source,
        })?;
        Self::from_bytes(&name, &bytes)
    }

    /// [`Pack::open`] for a pack in memory; `name` is used in errors.
    ///
    /// # Errors
    /// [`Error::Picture`] naming `name` for what is no pack, was cut short or is damaged.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        let (header, blobs) = parse(name, bytes)?;
        let pictures = header
            .items
            .par_iter()
            .zip(&blobs)
            .map(|(item, blob)| decode(name, item, blob))
            .collect::<Result<Vec<_>>>()?;
        let select = |kind, held_out| {
            let items = header.items.iter().enumerate();
            items
                .filter(|(_, item)| item.kind == kind && item.held_out == held_out)
                .map(|(index, _)| index)
                .collect()
        };
        let cutouts = [select(Kind::Cutout, false), select(Kind::Cutout, true)];
        let backgrounds = [
            select(Kind::Background, false),
            select(Kind::Background, true),
        ];
        Ok(Self {
            header,
            pictures,
            cutouts,
            backgrounds,
        })
    }

    /// Indices of the cut-outs of one side of the split.
    pub fn cutouts(&self, held_out: bool) -> &[usize] {
        &self.cutouts[usize::from(held_out)]
    }

    /// Indices of the backgrounds of one side of the split.
    pub fn backgrounds(&self, held_out: bool) -> &[usize] {
        &self.backgrounds[usize::from(held_out)]
    }

    /// The cut-out at an index that [`Pack::cutouts`] gave.
    pub(crate) fn cutout(&self, index: usize) -> &Sprite {
        match &self.pictures[index] {
            Picture::Cutout(sprite) => sprite,
            Picture::Background(_) => panic!("item {index} is a background"),
        }
    }

    /// The background at an index that [`Pack::backgrounds`] gave.
    pub(crate) fn background(&self, index: usize) -> &Surface {
        match &self.pictures[index] {
            Picture::Background(surface) => surface,
            Picture::Cutout(_) => panic!("item {index} is a cut-out"),
        }
    }
}

/// Cuts a pack into its header and the bytes of each item, all lengths and hashes checked.
fn parse<'a>(name: &str, bytes: &'a [u8]) -> Result<(Header, Vec<&'a [u8]>)> {
    let bad = |reason: String| Error::Picture {
        name: name.to_owned(),
        reason,
    };
    let again = "fetch or pack it again (scripts/fetch-assets)";
    if !bytes.starts_with(MAGIC) {
        return Err(bad(format!("is not a pack of clips; {again}")));
    }
    let short = || bad(format!("is cut short ({} bytes); {again}", bytes.len()));
    let length = bytes
        .get(8..12)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes)
        .ok_or_else(short)?;
    let length = length as usize;
    if length > MAX_HEADER {
        return Err(bad(format!("has a damaged header; {again}")));
    }
    let json = bytes.get(12..12 + length).ok_or_else(short)?;
    let header: Header = serde_json::from_slice(json)
        .map_err(|source| bad(format!("has a damaged header ({source}); {again}")))?;
    let mut rest = &bytes[12 + length..];
    let mut blobs = Vec::with_capacity(header.items.len());
    for item in &header.items {
        let wanted = if item.coding == Coding::JpegAndAlpha {
            2
        } else {
            1
        };
        if item.parts.len() != wanted || item.origin >= header.origins.len() {
            return Err(bad(format!(
                "has a damaged entry for {}; {again}",
                item.name
            )));
        }
        let length = item.parts.iter().map(|&part| part as usize).sum();
        let (blob, after) = rest.split_at_checked(length).ok_or_else(short)?;
        if fnv1a(blob) != item.hash {
            return Err(bad(format!("is damaged at {}; {again}", item.name)));
        }
        blobs.push(blob);
        rest = after;
    }
    Ok((header, blobs))
}

fn decode(pack: &str, item: &Item, blob: &[u8]) -> Result<Picture> {
    let bad = |reason: String| Error::Picture {
        name: format!("{pack}: {}", item.name),
        reason,
    };
    let load = |bytes: &[u8]| {
        let mut reader = image::ImageReader::new(std::io::Cursor::new(bytes));
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        reader.limits(limits);
        let reader = reader
            .with_guessed_format()
            .map_err(|source| bad(source.to_string()))?;
        reader
            .decode()
            .map_err(|source| bad(format!("cannot be decoded: {source}")))
    };
    let (first, second) = blob.split_at(item.parts[0] as usize);
    let picture = load(first)?;
    Ok(match (item.kind, item.coding) {
        (Kind::Background, _) => Picture::Background(Surface::from_rgb(&picture.to_rgb8())),
        (Kind::Cutout, Coding::JpegAndAlpha) => {
            let alpha = load(second)?.to_luma8();
            let mut rgba = picture.to_rgba8();
            if alpha.dimensions() != rgba.dimensions() {
                return Err(bad("colours and alpha differ in size".into()));
            }
            rgba.pixels_mut()
                .zip(alpha.pixels())
                .for_each(|(pixel, alpha)| pixel.0[3] = alpha.0[0]);
            Picture::Cutout(Sprite::from_rgba(&rgba))
        }
        (Kind::Cutout, _) => Picture::Cutout(Sprite::from_rgba(&picture.to_rgba8())),
    })
}

/// A smaller pack with held-out pictures only, of those origins that `allowed` accepts: what the repository
/// ships so that evaluation runs from a fresh clone. Photographs first; which of them depends on hashes, not on
/// their order.
///
/// # Errors
/// As [`Pack::open`], or when nothing is left.
pub fn held_out_subset(
    source: &Path,
    out: &Path,
    cutouts: usize,
    backgrounds: usize,
    allowed: impl Fn(&Item, &Origin) -> bool,
) -> Result<Header> {
    let name = source.display().to_string();
    let bytes = std::fs::read(source).map_err(|source| Error::Io {
        path: name.clone(),
        source,
    })?;
    let (header, blobs) = parse(&name, &bytes)?;
    let mut order: Vec<usize> = (0..header.items.len()).collect();
    // Photographs first, they are fewer.
    order.sort_by_key(|&index| (!header.items[index].photo, mix(header.items[index].hash)));
    let mut left = [cutouts, backgrounds];
    let mut writer = PackWriter::new();
    for index in order {
        let (item, blob) = (&header.items[index], blobs[index]);
        let origin = &header.origins[item.origin];
        let left = &mut left[usize::from(item.kind == Kind::Background)];
        if *left == 0 || !item.held_out || !allowed(item, origin) {
            continue;
        }
        *left -= 1;
        let (first, second) = blob.split_at(item.parts[0] as usize);
        let mut parts = vec![first.to_vec()];
        if !second.is_empty() {
            parts.push(second.to_vec());
        }
        writer.add(
            &item.name,
            item.kind,
            item.photo,
            origin,
            &Encoded {
                coding: item.coding,
                parts,
            },
        );
    }
    if writer.header().items.is_empty() {
        return Err(Error::Picture {
            name,
            reason: "holds no held-out picture of the licences asked for".into(),
        });
    }
    writer.write(out)?;
    Ok(writer.header)
}

/// The subset that the repository ships as `tests/data/held_out.pack`: enough for two hundred clips, and only what
/// anyone may pass on with attribution.
///
/// # Errors
/// As [`held_out_subset`].
pub fn shipped_subset(source: &Path, out: &Path) -> Result<Header> {
    held_out_subset(source, out, 80, 26, |_, origin| {
        ["public-domain", "CC0", "CC-BY"]
            .iter()
            .any(|licence| origin.licence.starts_with(licence))
    })
}

/// One line a picture, with its package, author, licence and origin: what attribution asks for.
pub fn attribution(header: &Header) -> String {
    let mut lines: Vec<String> = header
        .items
        .iter()
        .map(|item| {
            let origin = &header.origins[item.origin];
            let file = item.name.rsplit('/').next().unwrap_or(&item.name);
            let mut line = format!("{file} ({}, {})", origin.package, origin.licence);
            for part in [&origin.author, &origin.from] {
                if !part.is_empty() {
                    line.push_str(", ");
                    line.push_str(part);
                }
            }
            line
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines.join("\n")
}
