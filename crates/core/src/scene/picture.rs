//! Pictures: from the bytes of a file to a working size, and from there to the model's size.

use super::Picture;
use crate::error::{Error, Result};
use image::{
    DynamicImage, ImageDecoder, ImageReader, RgbImage,
    imageops::{self, FilterType},
    metadata::Orientation,
};
use std::io::Cursor;
use std::sync::Arc;

/// Longest side, in pixels, of a picture that is read at all.
pub const MAX_SIDE: u32 = 12_000;
/// Most pixels of a picture that is read at all: 100 million, 400 MB while it is decoded.
pub const MAX_PIXELS: u64 = 100_000_000;
/// Longer side, in pixels, of the picture that is kept. Larger ones are scaled down to it.
pub const WORKING_SIDE: u32 = 1280;
/// Shortest side, in pixels, of a picture in which something can still be told apart.
pub const MIN_SIDE: u32 = 8;

/// What a decoder may allocate beside the picture itself. Well above what a picture of
/// [`MAX_PIXELS`] needs, well below what a decompression bomb asks for.
const MAX_ALLOC: u64 = 1 << 30;

/// How far two aspects may differ, as a ratio, for fractions of one picture to make sense in the other.
const SAME_ASPECT: f64 = 1.03;

/// Whether fractions of a picture of one size (width and height) make sense in one of the other.
pub(super) fn same_shape(one: [u32; 2], other: [u32; 2]) -> bool {
    let aspect = |[w, h]: [u32; 2]| f64::from(w.max(1)) / f64::from(h.max(1));
    let ratio = aspect(one) / aspect(other);
    ratio.max(1.0 / ratio) <= SAME_ASPECT
}

impl Picture {
    /// Whether another picture is as wide for its height, so that it can be laid over this one.
    pub fn has_shape_of(&self, other: &Picture) -> bool {
        !self.is_empty() && same_shape([self.width, self.height], [other.width, other.height])
    }

    /// Reads a PNG, JPEG, WebP, GIF (first frame) or BMP file.
    ///
    /// The camera's orientation (EXIF) is honoured, transparency is laid over white, and the longer side is brought
    /// down to [`WORKING_SIDE`]. The size is read from the header before anything is decoded, so that a picture that
    /// is too large costs nothing. `name` stands in the errors.
    ///
    /// # Errors
    /// [`Error::Picture`] naming `name`: for anything else, a damaged file, and a picture that is too small or too large.
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self> {
        Self::decoded(bytes, name).map(|(picture, _, _)| picture)
    }

    /// As [`Picture::decode`], with the width and height that the file has, for files beside which others count in
    /// its pixels. One that has to be turned to stand upright is refused.
    ///
    /// # Errors
    /// Those of [`Picture::decode`], and [`Error::Picture`] for one that has to be turned.
    pub fn decode_as_stored(bytes: &[u8], name: &str) -> Result<(Self, [u32; 2])> {
        let (picture, size, orientation) = Self::decoded(bytes, name)?;
        if orientation == Orientation::NoTransforms {
            return Ok((picture, size));
        }
        Err(Error::Picture {
            name: name.to_owned(),
            reason: "is stored lying down or mirrored (EXIF orientation); save it as it is seen"
                .into(),
        })
    }

    fn decoded(bytes: &[u8], name: &str) -> Result<(Self, [u32; 2], Orientation)> {
        let refuse = |reason: String| Error::Picture {
            name: name.to_owned(),
            reason,
        };
        let reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|e| refuse(format!("cannot be read ({e})")))?;
        let Some(format) = reader.format() else {
            return Err(refuse(not_a_picture(bytes)));
        };
        let kind = format!("{format:?}").to_uppercase();
        let broken = |e: image::ImageError| refuse(decode_failure(&kind, &e));
        let mut reader = reader;
        // The header alone may be read under any limit; the size is judged by our own rule right after.
        reader.no_limits();
        let mut decoder = reader.into_decoder().map_err(broken)?;
        let (width, height) = decoder.dimensions();
        check_size(width, height).map_err(refuse)?;
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(MAX_ALLOC);
        decoder.set_limits(limits).map_err(broken)?;
        // A missing or damaged EXIF block is no reason to refuse a picture.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut decoded = DynamicImage::from_decoder(decoder).map_err(broken)?;
        decoded.apply_orientation(orientation);
        let picture = Self::from_rgb_image(shrink(over_white(decoded), WORKING_SIDE));
        Ok((picture, [width, height], orientation))
    }

    /// A picture from `width * height * 3` bytes.
    ///
    /// # Errors
    /// [`Error::Picture`] when a side is zero or the number of bytes is another.
    pub fn from_rgb(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self> {
        let expected = width as u64 * height as u64 * 3;
        if width == 0 || height == 0 || rgb.len() as u64 != expected {
            return Err(Error::Picture {
                name: "picture".into(),
                reason: format!(
                    "{width} x {height} pixels need {expected} bytes of RGB, not {}",
                    rgb.len()
                ),
            });
        }
        Ok(Self {
            width,
            height,
            rgb: Arc::new(rgb),
        })
    }

    /// A picture from decoded pixels.
    pub fn from_rgb_image(image: RgbImage) -> Self {
        Self {
            width: image.width(),
            height: image.height(),
            rgb: Arc::new(image.into_raw()),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.width == 0
            || self.height == 0
            || self.rgb.len() != self.width as usize * self.height as usize * 3
    }

    /// The same picture at `width` x `height` pixels (at least one each): Lanczos when it shrinks, Catmull-Rom when it grows.
    pub fn resized(&self, width: u32, height: u32) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        if self.is_empty() {
            return Self {
                width,
                height,
                rgb: Arc::new(vec![255; width as usize * height as usize * 3]),
            };
        }
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        Self {
            width,
            height,
            rgb: Arc::new(resize_rgb(
                &self.rgb,
                (self.width, self.height),
                (width, height),
            )),
        }
    }

    /// The same picture at `width` x `height` pixels (at least one each), by Lanczos' filter also when it grows: as diffusers'
    /// `VideoProcessor` and Pillow do it, whose pictures the published networks know.
    pub fn resized_by_lanczos(&self, width: u32, height: u32) -> Self {
        let grows =
            u64::from(width) * u64::from(height) > u64::from(self.width) * u64::from(self.height);
        let image = RgbImage::from_raw(self.width, self.height, self.rgb.to_vec());
        match image.filter(|_| grows && !self.is_empty()) {
            Some(image) => {
                let filter = FilterType::Lanczos3;
                Self::from_rgb_image(imageops::resize(&image, width, height, filter))
            }
            None => self.resized(width, height),
        }
    }

    /// The PNG file of this picture.
    ///
    /// # Errors
    /// Those of [`encode_png`].
    pub fn to_png(&self) -> Result<Vec<u8>> {
        encode_png(self.width, self.height, &self.rgb)
    }

    /// A short fingerprint of what the picture shows: the signs of the brightness steps along the rows of its 9 x 8
    /// thumbnail (a difference hash). Scaling and recompression change a few of its 64 bits, another picture about half.
    pub fn hash(&self) -> PictureHash {
        const W: usize = 9;
        const H: usize = 8;
        if self.is_empty() {
            return PictureHash(0);
        }
        // Mean brightness of each cell, in integers: the same on every machine.
        let mut sums = [0u64; W * H];
        let mut counts = [0u64; W * H];
        let (w, h) = (self.width as usize, self.height as usize);
        // Divisions for each pixel would hold a page up.
        let columns: Vec<usize> = (0..w).map(|x| x * W / w).collect();
        for (y, row) in self.rgb.chunks_exact(3 * w).enumerate() {
            let first = y * H / h * W;
            for (p, column) in row.chunks_exact(3).zip(&columns) {
                let cell = first + column;
                sums[cell] += 299 * p[0] as u64 + 587 * p[1] as u64 + 114 * p[2] as u64;
                counts[cell] += 1;
            }
        }
        let mean = |i: usize| sums[i] / counts[i].max(1);
        let mut bits = 0u64;
        for y in 0..H {
            for x in 0..W - 1 {
                bits = (bits << 1) | u64::from(mean(y * W + x) < mean(y * W + x + 1));
            }
        }
        PictureHash(bits)
    }
}

/// A picture's fingerprint, see [`Picture::hash`]; written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureHash(pub u64);

impl PictureHash {
    /// Whether both are fingerprints of one picture, whatever its scale and compression.
    pub fn matches(self, other: Self) -> bool {
        (self.0 ^ other.0).count_ones() <= 8
    }
}

impl std::fmt::Display for PictureHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for PictureHash {
    type Err = std::num::ParseIntError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(s, 16).map(Self)
    }
}

/// The size, in pixels, at which a model sees a picture: about `area_side`² pixels in all, sides multiples of
/// `multiple`, aspect as near to the picture's as that allows and between 1:2 and 2:1 (a wider picture is squeezed;
/// coordinates, being fractions, are squeezed with it).
pub fn model_size(
    picture_width: u32,
    picture_height: u32,
    area_side: u32,
    multiple: u32,
) -> (u32, u32) {
    let multiple = multiple.max(1);
    let area_side = area_side.max(multiple) as f64;
    let aspect = (picture_width.max(1) as f64 / picture_height.max(1) as f64).clamp(0.5, 2.0);
    let around = |side: f64| {
        let low = (side / multiple as f64).floor().max(1.0) as u32 * multiple;
        [low, low + multiple]
    };
    let mut best = (f64::INFINITY, (multiple, multiple));
    for w in around(area_side * aspect.sqrt()) {
        for h in around(area_side / aspect.sqrt()) {
            let ratio = w as f64 / h as f64;
            if !(0.5..=2.0).contains(&ratio) {
                continue;
            }
            // A wrong aspect is seen at once, a somewhat larger or smaller area only costs or saves time.
            let cost = (ratio / aspect).ln().abs()
                + 0.5 * (w as f64 * h as f64 / (area_side * area_side)).ln().abs();
            if cost < best.0 {
                best = (cost, (w, h));
            }
        }
    }
    best.1
}

/// The PNG file of `width * height * 3` bytes of RGB.
///
/// # Errors
/// [`Error::Picture`] if it cannot be encoded.
pub fn encode_png(width: u32, height: u32, rgb: &[u8]) -> Result<Vec<u8>> {
    use image::ImageEncoder;
    let mut out = Vec::new();
    image::codecs::png::PngEncoder::new(&mut out)
        .write_image(rgb, width, height, image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::Picture {
            name: "PNG".into(),
            reason: format!("cannot be written ({e})"),
        })?;
    Ok(out)
}

/// RGB pixels of size `from` brought to size `to`: Lanczos when they shrink, Catmull-Rom when they grow.
///
/// # Panics
/// If `rgb` is not `from.0 * from.1 * 3` bytes long.
pub fn resize_rgb(rgb: &[u8], from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
    if from == to {
        return rgb.to_vec();
    }
    let image = image::ImageBuffer::<image::Rgb<u8>, &[u8]>::from_raw(from.0, from.1, rgb)
        .expect("the caller's buffer fits its size");
    let filter = if (to.0 as u64) * (to.1 as u64) < (from.0 as u64) * (from.1 as u64) {
        FilterType::Lanczos3
    } else {
        FilterType::CatmullRom
    };
    imageops::resize(&image, to.0, to.1, filter).into_raw()
}

fn check_size(width: u32, height: u32) -> Result<(), String> {
    if width < MIN_SIDE || height < MIN_SIDE {
        return Err(format!(
            "is {width} x {height} pixels, too small to show anything; use a picture of at least {MIN_SIDE} pixels a side"
        ));
    }
    if width > MAX_SIDE || height > MAX_SIDE || width as u64 * height as u64 > MAX_PIXELS {
        return Err(format!(
            "is {width} x {height} pixels, too large to open; scale it down to at most {MAX_SIDE} pixels a side and {} \
             million pixels in all ({WORKING_SIDE} a side are enough)",
            MAX_PIXELS / 1_000_000
        ));
    }
    Ok(())
}

/// Lays transparency over white. Pixels without alpha pass unchanged; 16-bit and float pictures come down to 8 bits.
fn over_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let rgba = image.into_rgba8();
    let mut rgb = RgbImage::new(rgba.width(), rgba.height());
    for (to, from) in rgb.pixels_mut().zip(rgba.pixels()) {
        let a = from[3] as u32;
        for c in 0..3 {
            to[c] = ((from[c] as u32 * a + 255 * (255 - a) + 127) / 255) as u8;
        }
    }
    rgb
}

/// Brings the longer side down to `side`. Very large pictures take a box filter first, which is many times cheaper.
fn shrink(image: RgbImage, side: u32) -> RgbImage {
    let fit = |target: u32| {
        let scale = target as f64 / image.width().max(image.height()) as f64;
        let scaled = |n: u32| ((n as f64 * scale).round() as u32).max(1);
        (scaled(image.width()), scaled(image.height()))
    };
    let longer = image.width().max(image.height());
    if longer <= side {
        return image;
    }
    let (w, h) = fit(side);
    if longer >= side * 4 {
        let (w2, h2) = fit(side * 2);
        let half = imageops::thumbnail(&image, w2, h2);
        return imageops::resize(&half, w, h, FilterType::Lanczos3);
    }
    imageops::resize(&image, w, h, FilterType::Lanczos3)
}

/// Whether a JPEG ends before its picture does. It is decoded all the same, by every decoder: what is missing is grey, or coarse.
/// Of other files it is an error, which [`Picture::decode`] says.
pub fn is_cut_short(bytes: &[u8]) -> bool {
    let Some(mut rest) = bytes.strip_prefix(b"\xff\xd8") else {
        return false;
    };
    loop {
        // Between segments, and within a scan: up to the next marker that is not a part of the scan.
        let Some(at) = rest
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0x01 | 0xd0..=0xd7 | 0xff))
        else {
            return true;
        };
        let (marker, after) = (rest[at + 1], &rest[at + 2..]);
        if marker == 0xd9 {
            return false;
        }
        // What segments hold may look like markers; a thumbnail has an end of its own.
        let length = after
            .first_chunk()
            .map(|length| u16::from_be_bytes(*length));
        let Some(next) = length.and_then(|length| after.get(usize::from(length)..)) else {
            return true;
        };
        rest = next;
    }
}

/// Says what bytes that are no picture seem to be.
fn not_a_picture(bytes: &[u8]) -> String {
    const REMEDY: &str = "open a PNG, JPEG, WebP, GIF or BMP file";
    let starts = |prefix: &[u8]| bytes.starts_with(prefix);
    let brand = bytes.get(4..12).unwrap_or_default();
    let what = if bytes.is_empty() {
        "is empty".to_owned()
    } else if brand.starts_with(b"ftyphei")
        || brand.starts_with(b"ftypmif")
        || brand.starts_with(b"ftypavif")
    {
        return "is a HEIC or AVIF picture, which cannot be read here; save it as JPEG or PNG and open that".into();
    } else if brand.starts_with(b"ftyp") || starts(b"\x1aE\xdf\xa3") {
        "is a video, not a picture".to_owned()
    } else if starts(b"%PDF") {
        "is a PDF document, not a picture".to_owned()
    } else if bytes
        .iter()
        .take(512)
        .copied()
        .all(|b| b == b'\n' || b == b'\r' || b == b'\t' || b >= 32)
    {
        "is text, not a picture".to_owned()
    } else {
        "is not a picture of a known kind".to_owned()
    };
    format!("{what}; {REMEDY}")
}

fn decode_failure(kind: &str, error: &image::ImageError) -> String {
    use image::ImageError::{Limits, Unsupported};
    match error {
        Limits(_) => {
            format!("this {kind} would take too much memory to open; scale it down or save it anew")
        }
        Unsupported(_) => {
            format!(
                "is a kind of {kind} that cannot be read here ({error}); save it as PNG or JPEG and open that"
            )
        }
        _ => format!("is damaged or cut short ({kind}: {error}); save or download it again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png_of(image: DynamicImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        image
            .write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png)
            .unwrap();
        bytes
    }

    fn gradient(w: u32, h: u32) -> DynamicImage {
        RgbImage::from_fn(w, h, |x, y| {
            image::Rgb([(x * 255 / w) as u8, (y * 255 / h) as u8, 60])
        })
        .into()
    }

    fn reason(bytes: &[u8]) -> String {
        match Picture::decode(bytes, "in.png") {
            Err(e @ Error::Picture { .. }) => e.to_string(),
            Err(e) => panic!("wrong kind of error: {e}"),
            Ok(_) => panic!("accepted"),
        }
    }

    #[test]
    fn small_pictures_are_kept_as_they_are() {
        let picture = Picture::decode(&png_of(gradient(40, 30)), "in.png").unwrap();
        assert_eq!((picture.width, picture.height), (40, 30));
        assert_eq!(*picture.rgb, gradient(40, 30).into_rgb8().into_raw());
    }

    #[test]
    fn clones_share_their_pixels_until_one_is_written_to() {
        let picture = Picture::from_rgb(8, 8, vec![7; 192]).unwrap();
        let mut other = picture.clone();
        assert!(Arc::ptr_eq(&picture.rgb, &other.rgb));
        assert!(Arc::ptr_eq(&picture.rgb, &picture.resized(8, 8).rgb));
        Arc::make_mut(&mut other.rgb)[0] = 9;
        assert_eq!((picture.rgb[0], other.rgb[0]), (7, 9));
        assert!(picture != other);
        assert_eq!(picture.rgb[1..], other.rgb[1..]);
    }

    #[test]
    fn large_pictures_come_down_to_the_working_size() {
        for (w, h) in [(1500, 1000), (5000, 500)] {
            let picture = Picture::decode(&png_of(gradient(w, h)), "in.png").unwrap();
            assert_eq!(picture.width, WORKING_SIDE);
            assert_eq!(
                picture.height,
                (WORKING_SIDE as f64 * h as f64 / w as f64).round() as u32
            );
            // Left to right the red still rises from 0 to 255.
            let row = &picture.rgb[..WORKING_SIDE as usize * 3];
            assert!(row[0] < 4 && row[row.len() - 3] > 250);
        }
    }

    #[test]
    fn transparency_is_laid_over_white() {
        let image = image::RgbaImage::from_fn(16, 16, |x, _| {
            image::Rgba([200, 0, 0, if x < 8 { 0 } else { 128 }])
        });
        let picture = Picture::decode(&png_of(image.into()), "in.png").unwrap();
        assert_eq!(&picture.rgb[..3], &[255, 255, 255]);
        assert_eq!(&picture.rgb[15 * 3..16 * 3], &[227, 127, 127]);
    }

    #[test]
    fn the_camera_s_orientation_is_honoured() {
        // A JPEG with an EXIF block that says "rotate by 90 degrees clockwise" (orientation 6).
        let mut jpeg = Vec::new();
        gradient(32, 16)
            .write_to(&mut Cursor::new(&mut jpeg), image::ImageFormat::Jpeg)
            .unwrap();
        let tiff = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let mut exif = vec![0xff, 0xe1];
        exif.extend(((tiff.len() + 2) as u16).to_be_bytes());
        exif.extend(tiff);
        jpeg.splice(2..2, exif);
        let picture = Picture::decode(&jpeg, "in.jpg").unwrap();
        assert_eq!((picture.width, picture.height), (16, 32));
        // What was left (dark red channel) is now on top.
        assert!(picture.rgb[0] < 40 && picture.rgb[31 * 16 * 3] > 200);
    }

    #[test]
    fn refusals_name_the_file_and_the_remedy() {
        assert!(reason(b"").contains("in.png: is empty"));
        assert!(reason(b"hello, this is a letter").contains("is text"));
        assert!(reason(b"\0\0\0\x18ftypheic\0\0\0\0").contains("save it as JPEG"));
        assert!(reason(&[0, 1, 2, 3, 250, 4]).contains("open a PNG"));
        assert!(reason(&png_of(gradient(40, 3))).contains("too small"));
        let whole = png_of(gradient(200, 200));
        assert!(reason(&whole[..whole.len() / 2]).contains("cut short"));
    }

    /// A PNG header with the given size and no pixel: enough to judge the size, a bomb if anything were allocated.
    fn png_header(width: u32, height: u32) -> Vec<u8> {
        let mut png = png_of(gradient(8, 8));
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        png
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, &b| {
            (0..8).fold(crc ^ b as u32, |c, _| {
                if c & 1 == 1 {
                    (c >> 1) ^ 0xedb8_8320
                } else {
                    c >> 1
                }
            })
        })
    }

    #[test]
    fn huge_pictures_are_refused_from_their_header() {
        for (w, h) in [
            (20_000, 20_000),
            (20_000, 10),
            (11_000, 11_000),
            (1 << 30, 1 << 30),
        ] {
            let said = reason(&png_header(w, h));
            assert!(
                said.contains(&format!("{w} x {h} pixels, too large")),
                "{said}"
            );
            assert!(said.contains("scale it down"), "{said}");
        }
    }

    #[test]
    fn model_sizes_keep_area_and_aspect() {
        assert_eq!(model_size(500, 500, 64, 16), (64, 64));
        assert_eq!(model_size(512, 341, 64, 16), (80, 48));
        assert_eq!(model_size(341, 512, 64, 16), (48, 80));
        assert_eq!(model_size(1920, 1080, 429, 64), (576, 320));
        for (w, h) in [
            (10_000, 1),
            (1, 10_000),
            (0, 0),
            (3, 4),
            (640, 480),
            (1000, 501),
        ] {
            let (mw, mh) = model_size(w, h, 64, 16);
            assert!(mw % 16 == 0 && mh % 16 == 0);
            assert!(mw <= 2 * mh && mh <= 2 * mw);
            assert!((2000..=6200).contains(&(mw * mh)), "{w}x{h} -> {mw}x{mh}");
        }
    }

    #[test]
    fn hashes_survive_scaling_and_tell_pictures_apart() {
        let wave = |k: f32| {
            let image = RgbImage::from_fn(300, 200, |x, y| {
                let v = (x as f32 * k * 0.021).sin() * (y as f32 * 0.033).cos()
                    + (x as f32 * 0.013 * k).cos();
                image::Rgb([(127.0 + 60.0 * v) as u8; 3])
            });
            Picture::from_rgb_image(image)
        };
        let (a, b) = (wave(1.0), wave(2.3));
        assert!(a.hash().matches(a.resized(123, 82).hash()));
        assert!(!a.hash().matches(b.hash()));
        let text = a.hash().to_string();
        assert_eq!(text.parse::<PictureHash>().unwrap(), a.hash());
    }

    #[test]
    fn jpegs_that_are_cut_short_are_known() {
        let encoded = |format| {
            let mut bytes = Cursor::new(Vec::new());
            gradient(120, 90).write_to(&mut bytes, format).unwrap();
            bytes.into_inner()
        };
        let jpeg = encoded(image::ImageFormat::Jpeg);
        assert!(!is_cut_short(&jpeg));
        assert!(!is_cut_short(&[&jpeg[..], b"and more"].concat()));
        // With a thumbnail, whose end is not the picture's.
        let thumbnail = [&b"\xff\xe1\x00\x0aExif\0\0"[..], b"\xff\xd9"].concat();
        let with = [&jpeg[..2], &thumbnail, &jpeg[2..]].concat();
        assert!(!is_cut_short(&with));
        for length in 2..jpeg.len() {
            assert!(is_cut_short(&jpeg[..length]), "{length} of {}", jpeg.len());
        }
        assert!(is_cut_short(&with[..with.len() / 2]));
        for format in [image::ImageFormat::Png, image::ImageFormat::Gif] {
            assert!(!is_cut_short(&encoded(format)));
        }
        assert!(!is_cut_short(b""));
    }

    #[test]
    fn pictures_are_enlarged_as_pillow_does_it() {
        let pixel = |x: u32, y: u32, c: u32| ((x * 37 + y * 91 + c * 53 + x * y * 29) % 256) as u8;
        let rgb = (0..5).flat_map(|y| (0..7).flat_map(move |x| [0, 1, 2].map(|c| pixel(x, y, c))));
        let picture = Picture::from_rgb(7, 5, rgb.collect()).unwrap();
        let large = picture.resized_by_lanczos(12, 9);
        // Pillow's resize((12, 9), LANCZOS) of the same picture: rows 0, 3 and 8 of its first channel.
        for (y, row) in [
            (0, [0, 0, 17, 32, 60, 108, 138, 150, 164, 189, 213, 224]),
            (3, [175, 133, 98, 166, 212, 148, 81, 75, 102, 159, 213, 236]),
            (8, [147, 63, 0, 96, 177, 73, 83, 219, 219, 94, 1, 0]),
        ] {
            let line = &large.rgb[y * 36..(y + 1) * 36];
            let found: Vec<u8> = line.iter().copied().step_by(3).collect();
            // It rounds after each of the two directions.
            let near = found.iter().zip(row).all(|(a, b)| a.abs_diff(b) <= 2);
            assert!(near, "row {y}: {found:?}");
        }
        // Others are as before.
        assert_eq!(picture.resized_by_lanczos(3, 4), picture.resized(3, 4));
        assert_eq!(
            Picture::default().resized_by_lanczos(3, 4),
            Picture::default().resized(3, 4)
        );
    }
}
