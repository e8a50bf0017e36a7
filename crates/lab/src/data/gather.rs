//! Chooses, from the unpacked packages that `scripts/fetch-assets` leaves, the pictures worth training on, and
//! makes a pack of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::{DynamicImage, Rgba, RgbaImage, imageops};
use rayon::prelude::*;

use super::licence::Terms;
use super::pack::{Encoded, Kind, Origin, PackWriter, fnv1a, mix};
use dragentity_core::error::{Error, Result};

/// Longer side of a cut-out: enough to fill two thirds of a frame of 160 pixels.
const CUTOUT_SIDE: u32 = 112;
/// Cut-outs whose longer side is below this are too coarse.
const CUTOUT_LEAST: u32 = 48;
/// Shorter side of a whole background.
const BACKGROUND_SIDE: u32 = 288;
/// Shorter side of a part of a large background.
const PART_SIDE: u32 = 256;
/// Backgrounds below this are too coarse.
const BACKGROUND_LEAST: u32 = 240;

/// What a package's pictures may become.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    Cutouts,
    Backgrounds,
    /// Decided by whether the picture has alpha.
    Both,
}

/// Packages that need a rule of their own; others give both.
const USES: &[(&str, Use)] = &[
    ("tuxpaint-stamps-default", Use::Cutouts),
    ("openclipart-png", Use::Cutouts),
    ("mate-backgrounds", Use::Backgrounds),
    ("gnome-backgrounds", Use::Backgrounds),
    ("plasma-workspace-wallpapers", Use::Backgrounds),
    ("lomiri-wallpapers-16.04", Use::Backgrounds),
    ("lomiri-wallpapers-20.04", Use::Backgrounds),
    ("ukui-wallpapers", Use::Backgrounds),
    ("palapeli-data", Use::Backgrounds),
    ("tuxpaint-data", Use::Backgrounds),
    ("scikit-image", Use::Backgrounds),
    ("scikit-learn", Use::Backgrounds),
];

/// Licences of packages whose copyright file is prose.
const LICENCES: &[(&str, &str)] = &[
    ("openclipart-png", "public-domain"),
    ("plasma-workspace-wallpapers", "GPL-2+"),
    ("gnome-backgrounds", "CC-BY-SA-3.0"),
    ("scikit-image", "CC0-1.0 or public-domain"),
    ("scikit-learn", "CC-BY-2.0 or BSD-3-Clause"),
];

/// Parts of paths that are not things or places: letters, signs, flags, icons, patterns, puzzle pieces, test
/// images; and the three photographs that the README shows results on, which nothing may be trained on.
const SKIP: &[&str] = &[
    "/doc/",
    "/icons/",
    "screenshot",
    "/images_dark/",
    "symbols/alphabets",
    "symbols/math",
    "symbols/music",
    "symbols/money/00",
    "symbols/shapes",
    "alphabets/asl",
    "town/flags",
    "png/shapes/",
    "png/special/",
    "png/signs_and_symbols/",
    "png/computer/icons",
    "png/computer/buttons",
    "png/computer/folders",
    "png/geography",
    "png/recreation/games/cards",
    "png/transportation/aiga",
    "png/transportation/roadsigns",
    "png/office",
    "png/unsorted",
    "png/electronics/bulb",
    "people/stickmen",
    "people/bodypart",
    "decorations",
    "recreation/religion",
    "clocks",
    "Ubuntu-Mate",
    "MATE-Stripes",
    "GreenTraditional",
    "Stripes.png",
    "Elephants_",
    "symbolic-",
    "focal-ubuntukylin",
    "pixels-d",
    "licorice-d",
    "/paintings/",
    "/babyshapes/",
    "/clickgame/resource/f",
    "/melody/",
    "/memory",
    "/redraw/",
    "/braille",
    "louis-braille",
    "/checkers/",
    "/chess/",
    "/morse",
    "/money/",
    "/hexagon/",
    "/tangram/",
    "/color_mix/",
    "/lang-api",
    "/learn_digits/",
    "/gletters/",
    "/enumerate/",
    "/numbers",
    "/starters/worldmap",
    "/starters/frame",
    "/images/ui/",
    "/images/tools/",
    "/images/titles/",
    "title",
    "fonts",
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "chessboard",
    "text.png",
    "page.png",
    "logo",
    "phantom.png",
    "clock_motion",
    "horse.png",
    "color.png",
    "multipage",
    "microaneurysms",
    "ihc.png",
    "cell.png",
    "retina",
    "motorcycle_right",
];

/// What packing did.
#[derive(Debug, Default)]
pub struct Summary {
    /// Cut-outs for training and held out.
    pub cutouts: [usize; 2],
    /// Backgrounds (parts counted) for training and held out.
    pub backgrounds: [usize; 2],
    /// Why pictures were left out, and how many.
    pub discarded: BTreeMap<&'static str, usize>,
    /// Size of the pack in bytes.
    pub bytes: usize,
}

struct Prepared {
    kind: Kind,
    photo: bool,
    fingerprint: u64,
    encoded: Encoded,
}

/// Makes the pack `out` from the packages unpacked below `folders`, one folder a package.
///
/// # Errors
/// Names a folder that cannot be read, or says that no usable picture was found. Pictures that cannot be
/// decoded are left out and counted.
pub fn pack(folders: &[PathBuf], out: &Path) -> Result<Summary> {
    let mut writer = PackWriter::new();
    let mut summary = Summary::default();
    let mut packages: Vec<PathBuf> = Vec::new();
    for folder in folders {
        packages.extend(children(folder)?.into_iter().filter(|child| child.is_dir()));
    }
    packages.sort();
    let mut seen: [Vec<u64>; 2] = Default::default();
    for package in &packages {
        let terms = Terms::of(package, LICENCES);
        let name = package
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let usage = USES
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(Use::Both, |(_, usage)| *usage);
        let mut files = Vec::new();
        pictures(package, &mut files)?;
        files.sort();
        let prepared: Vec<_> = files
            .par_iter()
            .filter_map(|file| {
                let relative = file
                    .strip_prefix(package)
                    .ok()?
                    .to_string_lossy()
                    .replace('\\', "/");
                // Of GCompris' puzzles the whole picture is taken, not the pieces cut from it.
                let piece = relative.contains("/details/") && !relative.contains("_background");
                let skipped = piece || SKIP.iter().any(|part| relative.contains(part));
                (!skipped).then(|| {
                    (
                        prepare(file, &format!("{name}/{relative}"), usage),
                        relative,
                    )
                })
            })
            .collect();
        for (prepared, relative) in prepared {
            let prepared = match prepared {
                Ok(prepared) => prepared,
                Err(reason) => {
                    *summary.discarded.entry(reason).or_default() += 1;
                    continue;
                }
            };
            // The same picture under another name must not fall on the other side of the split.
            let seen = &mut seen[usize::from(prepared[0].kind == Kind::Background)];
            if seen
                .iter()
                .any(|other| (other ^ prepared[0].fingerprint).count_ones() <= 3)
            {
                *summary.discarded.entry("double").or_default() += 1;
                continue;
            }
            seen.push(prepared[0].fingerprint);
            let origin: Origin = terms.origin(package, &relative);
            for picture in prepared {
                let full = format!("{name}/{relative}");
                writer.add(
                    &full,
                    picture.kind,
                    picture.photo,
                    &origin,
                    &picture.encoded,
                );
            }
        }
        log::info!(
            "{name}: {} pictures in the pack so far",
            writer.header().items.len()
        );
    }
    for item in &writer.header().items {
        let counts = if item.kind == Kind::Cutout {
            &mut summary.cutouts
        } else {
            &mut summary.backgrounds
        };
        counts[usize::from(item.held_out)] += 1;
    }
    if writer.header().items.is_empty() {
        let names: Vec<String> = folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        let reason = "holds no usable picture; run scripts/fetch-assets first".into();
        return Err(Error::Picture {
            name: names.join(", "),
            reason,
        });
    }
    summary.bytes = writer.write(out)?;
    Ok(summary)
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| Error::Io {
        path: folder.display().to_string(),
        source,
    };
    std::fs::read_dir(folder)
        .map_err(io)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(io))
        .collect()
}

fn pictures(folder: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    for child in children(folder)? {
        if child.is_symlink() {
            continue;
        }
        if child.is_dir() {
            pictures(&child, out)?;
        } else if let Some(extension) = child.extension().and_then(|extension| extension.to_str())
            && ["png", "jpg", "jpeg", "webp"].contains(&extension.to_lowercase().as_str())
        {
            out.push(child);
        }
    }
    Ok(())
}

/// One picture, or why it is left out.
fn prepare(
    file: &Path,
    name: &str,
    usage: Use,
) -> std::result::Result<Vec<Prepared>, &'static str> {
    let reader = image::ImageReader::open(file).map_err(|_| "unreadable")?;
    let picture = reader
        .with_guessed_format()
        .map_err(|_| "unreadable")?
        .decode()
        .map_err(|_| "unreadable")?;
    let transparent = if picture.color().has_alpha() {
        let rgba = picture.to_rgba8();
        let count = rgba.pixels().filter(|pixel| pixel.0[3] < 128).count();
        count as f32 / (rgba.width() * rgba.height()) as f32
    } else {
        0.0
    };
    match usage {
        Use::Cutouts => cutout(&picture),
        Use::Backgrounds if transparent > 0.0 => Err("background with alpha"),
        Use::Backgrounds => backgrounds(&picture, name),
        Use::Both if transparent > 0.04 => cutout(&picture),
        Use::Both if transparent > 0.0 => Err("neither cut-out nor background"),
        Use::Both => backgrounds(&picture, name),
    }
}

/// Longest run of resizing that keeps colours apart from alpha: premultiplied on the way down.
fn resize_cutout(picture: &RgbaImage, width: u32, height: u32) -> RgbaImage {
    let mut premultiplied = picture.clone();
    for pixel in premultiplied.pixels_mut() {
        let [r, g, b, a] = pixel.0;
        let scale = |c: u8| ((u32::from(c) * u32::from(a) + 127) / 255) as u8;
        pixel.0 = [scale(r), scale(g), scale(b), a];
    }
    let mut small = if (width, height) == picture.dimensions() {
        premultiplied
    } else {
        imageops::resize(
            &premultiplied,
            width,
            height,
            imageops::FilterType::CatmullRom,
        )
    };
    for pixel in small.pixels_mut() {
        let [r, g, b, a] = pixel.0;
        let scale = |c: u8| {
            if a == 0 {
                0
            } else {
                (u32::from(c) * 255 / u32::from(a)).min(255) as u8
            }
        };
        pixel.0 = [scale(r), scale(g), scale(b), a];
    }
    small
}

/// Gives transparent pixels the mean colour of the thing, ring by ring from its edge, so that JPEG does not ring.
fn bleed(picture: &mut RgbaImage) {
    let (width, height) = picture.dimensions();
    let mut sum = [0u64; 4];
    for Rgba([r, g, b, a]) in picture.pixels() {
        for (sum, value) in sum.iter_mut().zip([r, g, b, &255]) {
            *sum += u64::from(*value) * u64::from(*a);
        }
    }
    let mean: [u8; 3] = std::array::from_fn(|c| (sum[c] * 255 / sum[3].max(1)) as u8);
    for _ in 0..4 {
        let before = picture.clone();
        for y in 0..height {
            for x in 0..width {
                if before.get_pixel(x, y).0[3] > 0 || before.get_pixel(x, y).0[..3] != [0, 0, 0] {
                    continue;
                }
                let around = (y.saturating_sub(1)..(y + 2).min(height))
                    .flat_map(|y| (x.saturating_sub(1)..(x + 2).min(width)).map(move |x| (x, y)));
                let known: Vec<_> = around
                    .map(|(x, y)| before.get_pixel(x, y).0)
                    .filter(|pixel| pixel[3] > 0 || pixel[..3] != [0, 0, 0])
                    .collect();
                if !known.is_empty() {
                    let channel = |c: usize| {
                        (known.iter().map(|pixel| u32::from(pixel[c])).sum::<u32>()
                            / known.len() as u32) as u8
                    };
                    picture.put_pixel(x, y, Rgba([channel(0), channel(1), channel(2), 0]));
                }
            }
        }
    }
    for pixel in picture.pixels_mut().filter(|pixel| pixel.0 == [0, 0, 0, 0]) {
        pixel.0 = [mean[0], mean[1], mean[2], 0];
    }
}

fn luma(pixel: Rgba<u8>) -> f32 {
    0.299 * f32::from(pixel.0[0]) + 0.587 * f32::from(pixel.0[1]) + 0.114 * f32::from(pixel.0[2])
}

/// Photographs vary from pixel to pixel, drawings have flat areas: the share of inner pixels that equal their
/// right and lower neighbours within two steps.
fn flat_share(picture: &RgbaImage) -> f32 {
    let (width, height) = picture.dimensions();
    let (mut flat, mut all) = (0usize, 0usize);
    for y in 0..height.saturating_sub(1) {
        for x in 0..width.saturating_sub(1) {
            let [here, right, below] =
                [(x, y), (x + 1, y), (x, y + 1)].map(|(x, y)| picture.get_pixel(x, y));
            if here.0[3] == 255 && right.0[3] == 255 && below.0[3] == 255 {
                all += 1;
                let same = |other: &Rgba<u8>| (0..3).all(|c| here.0[c].abs_diff(other.0[c]) <= 2);
                flat += usize::from(same(right) && same(below));
            }
        }
    }
    flat as f32 / all.max(1) as f32
}

fn cutout(picture: &DynamicImage) -> std::result::Result<Vec<Prepared>, &'static str> {
    let rgba = picture.to_rgba8();
    let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
    for (x, y, pixel) in rgba.enumerate_pixels() {
        if pixel.0[3] >= 16 {
            (left, right) = (left.min(x), right.max(x));
            (top, bottom) = (top.min(y), bottom.max(y));
        }
    }
    if left > right {
        return Err("empty alpha");
    }
    let (width, height) = (right - left + 1, bottom - top + 1);
    let longer = width.max(height);
    if longer < CUTOUT_LEAST || width.min(height) < 20 {
        return Err("too small");
    }
    if width.max(height) > 4 * width.min(height) {
        return Err("too thin");
    }
    let cropped = imageops::crop_imm(&rgba, left, top, width, height).to_image();
    let scale = (CUTOUT_SIDE as f32 / longer as f32).min(1.0);
    let size = |side: u32| ((side as f32 * scale).round() as u32).max(1);
    let mut small = resize_cutout(&cropped, size(width), size(height));
    let photo = flat_share(&cropped) < 0.25 && flat_share(&small) < 0.15;

    let (width, height) = small.dimensions();
    let count = (width * height) as f32;
    let solid = |x: i64, y: i64| {
        (0..i64::from(width)).contains(&x)
            && (0..i64::from(height)).contains(&y)
            && small.get_pixel(x as u32, y as u32).0[3] >= 128
    };
    let area = small.pixels().filter(|pixel| pixel.0[3] >= 128).count();
    let between = small
        .pixels()
        .filter(|pixel| (24..232).contains(&pixel.0[3]))
        .count();
    if (area as f32) < 0.22 * count {
        return Err("too little area");
    }
    if area as f32 > 0.93 * count {
        return Err("a rectangle");
    }
    if between as f32 > 0.30 * area as f32 {
        return Err("glassy");
    }
    // Lines vanish when two hundredths of the size are taken off all around; things do not.
    let off = ((width.max(height) as f32 * 0.02).round() as i64).max(1);
    let mut core = 0usize;
    for y in 0..i64::from(height) {
        for x in 0..i64::from(width) {
            core +=
                usize::from((-off..=off).all(|dy| (-off..=off).all(|dx| solid(x + dx, y + dy))));
        }
    }
    if (core as f32) < 0.5 * area as f32 {
        return Err("lines");
    }
    let mean = small
        .pixels()
        .filter(|p| p.0[3] >= 128)
        .map(|p| luma(*p))
        .sum::<f32>()
        / area as f32;
    let spread = small
        .pixels()
        .filter(|p| p.0[3] >= 128)
        .map(|p| (luma(*p) - mean).powi(2))
        .sum::<f32>();
    if (spread / area as f32).sqrt() < 9.0 {
        return Err("one flat colour");
    }
    if largest_piece(width, height, &solid) < (0.85 * area as f32) as usize {
        return Err("several pieces");
    }
    let fingerprint = fingerprint(&small);
    bleed(&mut small);
    let encoded = Encoded::cutout(&small).map_err(|_| "cannot be encoded")?;
    Ok(vec![Prepared {
        kind: Kind::Cutout,
        photo,
        fingerprint,
        encoded,
    }])
}

/// Pixels of the largest connected piece.
fn largest_piece(width: u32, height: u32, solid: &impl Fn(i64, i64) -> bool) -> usize {
    let mut seen = vec![false; (width * height) as usize];
    let mut largest = 0;
    for start in 0..seen.len() {
        let mut stack = vec![(
            start as i64 % i64::from(width),
            start as i64 / i64::from(width),
        )];
        let mut size = 0;
        while let Some((x, y)) = stack.pop() {
            if !solid(x, y)
                || std::mem::replace(&mut seen[(y * i64::from(width) + x) as usize], true)
            {
                continue;
            }
            size += 1;
            stack.extend([(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)]);
        }
        largest = largest.max(size);
    }
    largest
}

/// Difference hash over an 8 by 8 grid, on grey: equal or nearly so for the same picture at another size.
fn fingerprint(picture: &RgbaImage) -> u64 {
    let mut flattened = picture.clone();
    for pixel in flattened.pixels_mut() {
        let alpha = f32::from(pixel.0[3]) / 255.0;
        let grey = luma(*pixel) * alpha + 128.0 * (1.0 - alpha);
        *pixel = Rgba([grey as u8, grey as u8, grey as u8, 255]);
    }
    let small = imageops::resize(&flattened, 9, 8, imageops::FilterType::Triangle);
    (0..64).fold(0, |bits, index| {
        let (x, y) = (index % 8, index / 8);
        (bits << 1) | u64::from(small.get_pixel(x, y).0[0] > small.get_pixel(x + 1, y).0[0])
    })
}

fn backgrounds(
    picture: &DynamicImage,
    name: &str,
) -> std::result::Result<Vec<Prepared>, &'static str> {
    let (width, height) = (picture.width(), picture.height());
    let shorter = width.min(height);
    if shorter < BACKGROUND_LEAST {
        return Err("too small");
    }
    if width.max(height) > 3 * shorter {
        return Err("too thin");
    }
    // Nothing wider than 16:9: the middle is kept.
    let (keep_width, keep_height) = (width.min(shorter * 16 / 9), height.min(shorter * 16 / 9));
    let mut regions = vec![(
        (width - keep_width) / 2,
        (height - keep_height) / 2,
        keep_width,
        keep_height,
        BACKGROUND_SIDE,
    )];
    // Large ones also give three closer looks, where a hash of the name says.
    if shorter >= 900 {
        let side = shorter * 9 / 20;
        let part_width = side * 4 / 3;
        for part in 0..3u64 {
            let place = mix(fnv1a(name.as_bytes()) ^ (part + 1));
            let x = (place % u64::from((width - part_width.min(width)).max(1))) as u32;
            let y = ((place >> 32) % u64::from((height - side).max(1))) as u32;
            regions.push((x, y, part_width.min(width), side, PART_SIDE));
        }
    }
    let mut out = Vec::new();
    let whole = picture.to_rgb8();
    for (index, (x, y, width, height, side)) in regions.into_iter().enumerate() {
        let region = imageops::crop_imm(&whole, x, y, width, height).to_image();
        let scale = (side as f32 / width.min(height) as f32).min(1.0);
        let size = |side: u32| ((side as f32 * scale).round() as u32).max(1);
        let small = imageops::resize(
            &region,
            size(width),
            size(height),
            imageops::FilterType::Lanczos3,
        );
        let rgba = DynamicImage::ImageRgb8(small.clone()).to_rgba8();
        let flat = flat_share(&rgba);
        if flat > if index == 0 { 0.90 } else { 0.80 } {
            if index == 0 {
                return Err("flat background");
            }
            continue;
        }
        let encoded = Encoded::background(&small).map_err(|_| "cannot be encoded")?;
        let fingerprint = fingerprint(&rgba);
        out.push(Prepared {
            kind: Kind::Background,
            photo: flat < 0.35,
            fingerprint,
            encoded,
        });
    }
    Ok(out)
}
