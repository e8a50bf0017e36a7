//! Videos become frames: MP4 (H.264), GIF, animated WebP, and folders of pictures.

pub use crate::collect::Reading;

use crate::collect::{CONVERT, FrameCollector, damaged, refused};
use crate::mp4::Mp4Reader;
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::Picture;
use dragentity_core::scene::picture::{MAX_PIXELS, MAX_SIDE};
use image::AnimationDecoder;
use image::codecs::{gif::GifDecoder, webp::WebPDecoder};
use std::cmp::Ordering;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 4 << 30;
/// What a decoder of pictures may allocate.
const MAX_ALLOC: u64 = 1 << 30;
/// Most pixels that are decoded of a GIF or WebP, all frames together: some minutes' work. A few bytes may claim a frame as large
/// as they like.
const MAX_DECODED: u64 = 20_000_000_000;
/// Frames a second of a folder of pictures, which does not say.
pub const FOLDER_FPS: u32 = 8;
/// Extensions of the pictures that a folder of frames may hold.
pub const PICTURES: [&str; 5] = ["jpg", "jpeg", "png", "bmp", "webp"];

/// Reads a video: an MP4 with H.264, a GIF, an animated WebP, or a folder whose pictures are the frames, in the order
/// of their names (numbers in them count as numbers).
///
/// # Errors
/// [`Error::Picture`] and [`Error::Io`], naming the file and what to do about it.
pub fn read(path: &Path, reading: &Reading) -> Result<Video> {
    let name = path.display().to_string();
    if path.is_dir() {
        let mut collector = FrameCollector::new(&name, reading);
        let files = frame_files(path)?;
        let (start, stride) = (reading.start, reading.stride.max(1));
        collector.seen = start.min(files.len());
        if let Some(first) = files.get(start)
            && let Ok((width, height)) = image::image_dimensions(first)
        {
            collector.expect(files.len(), width, height)?;
        }
        for (index, file) in files.iter().enumerate().skip(start) {
            if collector.is_full() {
                break;
            }
            // What is not wanted is not decoded either.
            if (index - start) % stride != 0 {
                collector.seen += 1;
                continue;
            }
            let picture = Picture::from_rgb_image(decode_picture(file)?.into_rgb8());
            collector.next(picture.width, picture.height, || {
                Arc::unwrap_or_clone(picture.rgb)
            })?;
        }
        return collector.finish(f64::from(FOLDER_FPS));
    }
    decode(&read_file(path)?, &name, reading)
}

/// As [`read`], of the contents of a file that errors call `name`.
///
/// # Errors
/// [`Error::Picture`].
pub fn decode(bytes: &[u8], name: &str, reading: &Reading) -> Result<Video> {
    let mut collector = FrameCollector::new(name, reading);
    match Kind::of(bytes) {
        Kind::Mp4 => {
            let mp4 = Mp4Reader::open(bytes, name)?;
            mp4.decode(&mut collector, reading.start)?;
            collector.finish(mp4.fps())
        }
        Kind::Gif => {
            let decoder = GifDecoder::new(Cursor::new(bytes));
            let decoder = decoder.map_err(|e| damaged(name, &e))?;
            animation(decoder, gif_frames(bytes), collector)
        }
        Kind::WebP => {
            let decoder = WebPDecoder::new(Cursor::new(bytes));
            let decoder = decoder.map_err(|e| damaged(name, &e))?;
            if !decoder.has_animation() {
                return Err(refused(name, "is one picture, and a video is needed"));
            }
            animation(decoder, webp_frames(bytes), collector)
        }
        Kind::Other(what) => Err(refused(name, what)),
    }
}

/// How many frames a video has, and how many a second, as far as that is known without decoding it: of GIFs and WebPs it
/// is not.
///
/// # Errors
/// As [`read`].
pub fn length(path: &Path) -> Result<Option<(usize, f64)>> {
    if path.is_dir() {
        let frames = frame_files(path)?.len();
        return Ok(Some((frames, f64::from(FOLDER_FPS))));
    }
    let bytes = read_file(path)?;
    match Kind::of(&bytes) {
        Kind::Mp4 => {
            let name = path.display().to_string();
            let mp4 = Mp4Reader::open(&bytes, &name)?;
            Ok(Some((mp4.frames(), mp4.fps())))
        }
        _ => Ok(None),
    }
}

/// What a file holds, by its first bytes.
enum Kind {
    Mp4,
    Gif,
    WebP,
    /// Nothing that can be read: why, and what to do.
    Other(String),
}

impl Kind {
    fn of(bytes: &[u8]) -> Self {
        let starts = |at: usize, with: &[u8]| bytes.get(at..at + with.len()) == Some(with);
        if starts(4, b"ftyp") || starts(4, b"moov") {
            Self::Mp4
        } else if starts(0, b"GIF8") {
            Self::Gif
        } else if starts(0, b"RIFF") && starts(8, b"WEBP") {
            Self::WebP
        } else if bytes.is_empty() {
            Self::Other("is empty".into())
        } else {
            let what = match () {
                () if starts(0, &[0x1a, 0x45, 0xdf, 0xa3]) => "is WebM or Matroska, which",
                () if starts(0, b"RIFF") => "is an AVI file, which",
                () if starts(0, b"\x89PNG") || starts(0, &[0xff, 0xd8]) => {
                    return Self::Other(
                        "is one picture, and a video is needed: MP4, GIF, WebP or a folder of pictures"
                            .into(),
                    );
                }
                () => "is of a kind that",
            };
            Self::Other(format!("{what} cannot be read; {CONVERT}"))
        }
    }
}

/// The bytes of a file that is no larger than any that is read.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let name = path.display().to_string();
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > MAX_FILE) {
        let reason = format!("is larger than {} GB; cut it", MAX_FILE >> 30);
        return Err(refused(&name, reason));
    }
    pollster::block_on(dragentity_core::platform::read_bytes(&name, &mut |_, _| {}))
}

/// One picture, as large and with as many bits as it is stored.
///
/// # Errors
/// [`Error::Io`], and [`Error::Picture`] for a file that is too large or cannot be decoded.
pub fn decode_picture(path: &Path) -> Result<image::DynamicImage> {
    let name = path.display().to_string();
    let bytes = read_file(path)?;
    let reader = image::ImageReader::new(Cursor::new(&bytes[..])).with_guessed_format();
    let mut reader = reader.map_err(|source| Error::Io {
        path: name.clone(),
        source,
    })?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    reader.limits(limits);
    reader.decode().map_err(|e| {
        let reason = format!("cannot be decoded ({e}); replace it or take it out");
        refused(&name, reason)
    })
}

/// The pictures of a folder, in the order of their names; not what lies in folders of it.
///
/// # Errors
/// [`Error::Io`], and [`Error::Picture`] when there is none.
pub fn frame_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = files_with(folder, &PICTURES)?;
    if files.is_empty() {
        return Err(refused(
            &folder.display().to_string(),
            format!(
                "has no frames: a folder of a video holds pictures ({})",
                PICTURES.join(", ")
            ),
        ));
    }
    Ok(files)
}

/// The files of a folder with one of these extensions, in the order of their names.
///
/// # Errors
/// [`Error::Io`].
pub fn files_with(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = entries(folder)?;
    files.retain(|path| {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        extension.is_some_and(|e| extensions.contains(&e.as_str())) && path.is_file()
    });
    Ok(files)
}

/// What is in a folder, hidden files aside, in the order of the names.
///
/// # Errors
/// [`Error::Io`].
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| Error::Io {
        path: folder.display().to_string(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.path());
        }
    }
    found.sort_by(|a, b| by_name(a, b));
    Ok(found)
}

/// `2.png` before `10.png`.
fn by_name(a: &Path, b: &Path) -> Ordering {
    let text = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let (a, b) = (text(a), text(b));
    let (mut x, mut y) = (a.as_str(), b.as_str());
    loop {
        let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
        let (n, m) = (digits(x), digits(y));
        let order = if n > 0 && m > 0 {
            let (p, q) = (
                x[..n].trim_start_matches('0'),
                y[..m].trim_start_matches('0'),
            );
            let order = p.len().cmp(&q.len()).then_with(|| p.cmp(q));
            (x, y) = (&x[n..], &y[m..]);
            order
        } else {
            match (x.chars().next(), y.chars().next()) {
                // Names that differ by leading zeros only.
                (None, None) => return a.cmp(&b),
                (p, q) => {
                    let next = |s| str::get(s, p.map_or(0, char::len_utf8)..).unwrap_or_default();
                    let order = p.cmp(&q);
                    if order.is_eq() {
                        (x, y) = (next(x), next(y));
                    }
                    order
                }
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// How many frames a GIF has, by its blocks; none is decoded.
fn gif_frames(bytes: &[u8]) -> usize {
    let mut options = gif::DecodeOptions::new();
    options.skip_frame_decoding(true);
    let Ok(mut decoder) = options.read_info(Cursor::new(bytes)) else {
        return 0;
    };
    // A damaged end is seen again where the frames before it have been decoded.
    std::iter::from_fn(|| decoder.next_frame_info().ok()?.map(|_| ())).count()
}

/// How many frames an animated WebP has, by its chunks.
fn webp_frames(bytes: &[u8]) -> usize {
    let mut rest = bytes.get(12..).unwrap_or_default();
    let mut frames = 0;
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let [kind @ .., a, b, c, d] = head;
        frames += usize::from(kind == b"ANMF");
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        rest = body
            .get(length.saturating_add(length & 1)..)
            .unwrap_or_default();
    }
    frames
}

/// Frames of a GIF or WebP which has so many, transparency over white.
fn animation<'a>(
    decoder: impl AnimationDecoder<'a> + image::ImageDecoder,
    frames: usize,
    mut collector: FrameCollector,
) -> Result<Video> {
    let name = collector.name.clone();
    let mut decoder = decoder;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
        let why = format!("is {width} x {height} pixels, too large to read; scale it down");
        return Err(refused(&name, why));
    }
    collector.expect(frames, width, height)?;
    if pixels.saturating_mul(frames as u64) > MAX_DECODED {
        let why = format!(
            "has {frames} frames of {width} x {height} pixels, which takes too long; {CONVERT}"
        );
        return Err(refused(&name, why));
    }
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    decoder.set_limits(limits).map_err(|e| damaged(&name, &e))?;
    let (mut shown, mut seconds) = (0, 0.0);
    for frame in decoder.into_frames() {
        if collector.is_full() {
            break;
        }
        let frame = match frame {
            Ok(frame) => frame,
            // The frames before a damaged end can be used.
            Err(e) if collector.seen > 0 => {
                log::warn!(
                    "{name}: frame {} cannot be decoded ({e})",
                    collector.seen + 1
                );
                break;
            }
            Err(e) => return Err(damaged(&name, &e)),
        };
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        shown += 1;
        seconds += f64::from(numerator) / f64::from(denominator.max(1)) / 1000.0;
        let buffer = frame.into_buffer();
        collector.next(width, height, || {
            let over = |c: u8, a: u8| {
                ((u32::from(c) * u32::from(a) + 255 * (255 - u32::from(a))) / 255) as u8
            };
            buffer
                .pixels()
                .flat_map(|p| [over(p[0], p[3]), over(p[1], p[3]), over(p[2], p[3])])
                .collect()
        })?;
    }
    let fps = if seconds > 0.0 {
        f64::from(shown) / seconds
    } else {
        10.0
    };
    collector.finish(fps)
}

#[cfg(test)]
mod tests;
