//! Pictures with holes of the shapes of things: what a network learns from what lies behind them.
//!
//! Pictures come from folders of photographs, and from a pack's backgrounds; shapes from masks beside videos (the layout of DAVIS),
//! from a pack's cut-outs, and from strokes. The same number always gives the same picture and hole.

use super::appearance::Tint;
use super::dataset::Split;
use super::pack::Pack;
use super::sprite::{Sprite, Surface};
use dragentity_compositor::plate::continued;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::{Mask, Picture};
use image::{GrayImage, Rgba, RgbaImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pictures of each folder that are never trained on, spread over it evenly: the rule of `scripts/measure-plate`.
const HELD_OUT: usize = 72;
/// Likewise, of how many videos one is held out.
const HELD_OUT_VIDEO: usize = 3;
/// Of how many frames of a video one is taken: the next ones look the same.
const FRAME_STEP: usize = 10;
/// A background of the pack counts as so many photographs: there are few of them, and they show landscapes and rooms.
const BACKGROUND_COUNTS: usize = 2;
/// The least and the largest share of a picture that is hole.
const SHARE: [f32; 2] = [0.05, 0.35];
/// How often another hole is tried until it has such a share.
const TRIES: usize = 12;

/// An endless list of pictures with holes, made when asked for.
#[derive(Clone, Debug)]
pub struct Holes {
    photos: Vec<PathBuf>,
    masks: Vec<PathBuf>,
    pack: Option<Arc<Pack>>,
    held_out: bool,
    seed: u64,
}

/// A picture and what of it is to be made up.
#[derive(Clone, Debug, PartialEq)]
pub struct Holed {
    /// `[height, width, 3]`, -1..1.
    pub rgb: Vec<f32>,
    /// `[height, width]`, 1 where something is hidden, else 0.
    pub hole: Vec<f32>,
    /// As `rgb`, with the lines and borders that meet the hole continued through it.
    pub continued: Vec<f32>,
}

impl Holes {
    /// One side of some folders of photographs (`.jpg`, `.jpeg`, `.png`, in folders within them, too) and of a pack.
    ///
    /// Of a folder of DAVIS (`JPEGImages/NAME`, `Annotations/NAME`) the masks are shapes and some frames pictures.
    ///
    /// # Errors
    /// [`Error::Io`] for a folder that cannot be read, [`Error::Job`] where there is no picture at all.
    pub fn open(
        folders: &[PathBuf],
        pack: Option<Arc<Pack>>,
        split: Split,
        seed: u64,
    ) -> Result<Self> {
        let held_out = split == Split::HeldOut;
        let (mut photos, mut masks) = (Vec::new(), Vec::new());
        for folder in folders {
            search(folder, held_out, &mut photos, &mut masks)?;
        }
        let made = Self {
            photos,
            masks,
            pack,
            held_out,
            seed,
        };
        if made.count() == 0 {
            return Err(Error::Job(
                "there are no pictures to make holes in: name a folder of photographs with --photos, or fetch the pack \
                 (scripts/fetch-assets)"
                    .into(),
            ));
        }
        Ok(made)
    }

    fn backgrounds(&self) -> &[usize] {
        let pack = self.pack.as_ref();
        pack.map_or(&[], |pack| pack.backgrounds(self.held_out))
    }

    fn count(&self) -> usize {
        self.photos.len() + BACKGROUND_COUNTS * self.backgrounds().len()
    }

    /// Batch number `index`, `width * height` pixels.
    ///
    /// # Errors
    /// [`Error::Picture`] naming a file that is no picture.
    pub fn batch(
        &self,
        index: u64,
        count: usize,
        [width, height]: [usize; 2],
    ) -> Result<Vec<Holed>> {
        let first = index * count as u64;
        (first..first + count as u64)
            .into_par_iter()
            .map(|index| self.holed(index, width, height))
            .collect()
    }

    fn holed(&self, index: u64, width: usize, height: usize) -> Result<Holed> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(index);
        let chosen = rng.random_range(0..self.count());
        let rgb = match self.photos.get(chosen) {
            Some(file) => {
                let surface = Surface::from_rgb(&open(file)?.into_rgb8());
                view(&mut rng, &surface, width, height)
            }
            None => {
                let at = (chosen - self.photos.len()) / BACKGROUND_COUNTS;
                // There are none without a pack.
                let pack = self.pack.as_ref().expect("a pack has backgrounds");
                view(
                    &mut rng,
                    pack.background(self.backgrounds()[at]),
                    width,
                    height,
                )
            }
        };
        let wanted = SHARE[0] + (SHARE[1] - SHARE[0]) * rng.random_range(0.0_f32..1.0).powf(1.5);
        let hole = self.hole(&mut rng, wanted, width, height)?;
        let continued = begun(&rgb, &hole, width, height);
        Ok(Holed {
            rgb,
            hole,
            continued,
        })
    }

    fn hole(
        &self,
        rng: &mut ChaCha8Rng,
        wanted: f32,
        width: usize,
        height: usize,
    ) -> Result<Vec<f32>> {
        let cutouts = self.pack.as_ref().map(|pack| pack.cutouts(self.held_out));
        let kinds = [self.masks.len(), cutouts.map_or(0, <[usize]>::len)].map(|n| n > 0);
        for _ in 0..TRIES {
            let mut hole = vec![0.0; width * height];
            let drawn = rng.random_range(0..4);
            match (&self.pack, cutouts) {
                _ if drawn == 0 || kinds == [false; 2] => strokes(rng, wanted, width, &mut hole),
                (Some(pack), Some(cutouts)) if kinds[1] && (drawn > 1 || !kinds[0]) => {
                    let sprite = pack.cutout(cutouts[rng.random_range(0..cutouts.len())]);
                    place(rng, sprite, wanted, width, &mut hole);
                }
                _ => {
                    let file = &self.masks[rng.random_range(0..self.masks.len())];
                    if let Some(sprite) = shape(&open(file)?.into_luma8()) {
                        place(rng, &sprite, wanted, width, &mut hole);
                    }
                }
            }
            let share = hole.iter().sum::<f32>() / hole.len() as f32;
            if (0.6 * SHARE[0]..1.2 * SHARE[1]).contains(&share) {
                return Ok(hole);
            }
        }
        // Nothing that was drawn is of such a size: a box is.
        let side = |length: usize| {
            let least = length / 4;
            least..length - least
        };
        let mut hole = vec![0.0; width * height];
        for y in side(height) {
            hole[y * width..][side(width)].fill(1.0);
        }
        Ok(hole)
    }
}

fn open(file: &Path) -> Result<image::DynamicImage> {
    image::open(file).map_err(|reason| Error::Picture {
        name: file.display().to_string(),
        reason: format!("{reason}; take it out of the folder, or put a whole one there"),
    })
}

/// Looks for pictures and masks in a folder and in those within it.
fn search(
    folder: &Path,
    held_out: bool,
    photos: &mut Vec<PathBuf>,
    masks: &mut Vec<PathBuf>,
) -> Result<()> {
    let (folders, files) = listed(folder)?;
    for (index, file) in files.iter().enumerate() {
        let out = held_out_of(files.len()).any(|at| at == index);
        if out == held_out {
            photos.push(file.clone());
        }
    }
    let named = |name: &str| folder.join(name);
    if folders.contains(&named("JPEGImages")) && folders.contains(&named("Annotations")) {
        let (videos, _) = listed(&named("JPEGImages"))?;
        for (index, video) in videos.iter().enumerate() {
            if index.is_multiple_of(HELD_OUT_VIDEO) != held_out {
                continue;
            }
            let of = |mut files: Vec<PathBuf>| {
                files.reverse();
                files.into_iter().step_by(FRAME_STEP)
            };
            photos.extend(of(listed(video)?.1));
            let beside = named("Annotations").join(video.file_name().unwrap_or_default());
            if beside.is_dir() {
                masks.extend(of(listed(&beside)?.1));
            }
        }
        return Ok(());
    }
    for folder in &folders {
        search(folder, held_out, photos, masks)?;
    }
    Ok(())
}

/// Which of `length` pictures of a folder, in the order of their names, are held out.
fn held_out_of(length: usize) -> impl Iterator<Item = usize> {
    let count = HELD_OUT.min(length / 2);
    (0..count).map(move |at| length * at / count)
}

/// The folders and the pictures of a folder, by name.
fn listed(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let failed = |source| Error::Io {
        path: folder.display().to_string(),
        source,
    };
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let picture = path.extension().is_some_and(|e| {
            let known = ["jpg", "jpeg", "png"];
            known.iter().any(|known| e.eq_ignore_ascii_case(known))
        });
        if path.is_dir() {
            folders.push(path);
        } else if picture {
            files.push(path);
        }
    }
    folders.sort();
    files.sort();
    Ok((folders, files))
}

/// A part of a picture, most or all of it, as -1..1; some of them mirrored, all in slightly other colours.
fn view(rng: &mut ChaCha8Rng, surface: &Surface, width: usize, height: usize) -> Vec<f32> {
    let sides = [surface.width() as f32, surface.height() as f32];
    let fits = (sides[0] / width as f32).min(sides[1] / height as f32);
    let scale = fits * rng.random_range(0.55..1.0_f32);
    let origin: [f32; 2] = [0, 1].map(|axis| {
        let left = sides[axis] - scale * [width, height][axis] as f32;
        rng.random_range(0.0..1.0_f32) * left.max(0.0)
    });
    let (mirrored, tint) = (rng.random_bool(0.5), Tint::random(rng));
    let level = surface.level(scale);
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let x = if mirrored { width - 1 - x } else { x };
            let colour = surface.sample(
                level,
                origin[0] + (x as f32 + 0.5) * scale,
                origin[1] + (y as f32 + 0.5) * scale,
            );
            rgb.extend([0, 1, 2].map(|c| (colour[c] * tint.0[c]).min(1.0) * 2.0 - 1.0));
        }
    }
    rgb
}

/// A picture with lines continued through its hole.
fn begun(rgb: &[f32], hole: &[f32], width: usize, height: usize) -> Vec<f32> {
    let (width, height) = (width as u32, height as u32);
    let byte = |v: &f32| ((v + 1.0) * 127.5).round() as u8;
    let picture = Picture {
        width,
        height,
        rgb: Arc::new(rgb.iter().map(byte).collect()),
    };
    let hidden = Mask {
        width,
        height,
        alpha: hole.iter().map(|&v| (v * 255.0) as u8).collect(),
    };
    let filled = continued(&picture, &hidden);
    let pairs = rgb.iter().zip(filled.rgb.iter()).enumerate();
    pairs
        .map(|(at, (&own, &filled))| {
            if hole[at / 3] > 0.0 {
                f32::from(filled) / 127.5 - 1.0
            } else {
                own
            }
        })
        .collect()
}

/// What a mask marks, as a thing; none if it marks nothing.
fn shape(mask: &GrayImage) -> Option<Sprite> {
    let inside = mask.enumerate_pixels().filter(|(_, _, p)| p.0[0] >= 128);
    let (mut least, mut most) = ([u32::MAX; 2], [0; 2]);
    for (x, y, _) in inside {
        least = [least[0].min(x), least[1].min(y)];
        most = [most[0].max(x), most[1].max(y)];
    }
    if least[0] > most[0] {
        return None;
    }
    let size = [0, 1].map(|axis| most[axis] - least[axis] + 1);
    Some(Sprite::from_rgba(&RgbaImage::from_fn(
        size[0],
        size[1],
        |x, y| {
            let inside = mask.get_pixel(least[0] + x, least[1] + y).0[0] >= 128;
            Rgba([0, 0, 0, if inside { 255 } else { 0 }])
        },
    )))
}

/// Marks a thing at some place, turned a little, so that its box is about `1.6 * wanted` of the picture.
fn place(rng: &mut ChaCha8Rng, sprite: &Sprite, wanted: f32, width: usize, hole: &mut [f32]) {
    let height = hole.len() / width;
    let area = (sprite.width() * sprite.height()) as f32;
    // Pixels of the thing a pixel of the picture.
    let scale = (area / (1.6 * wanted * hole.len() as f32)).sqrt();
    let centre = [width, height].map(|side| rng.random_range(0.1..0.9_f32) * side as f32);
    let (sin, cos) = rng.random_range(-0.4..0.4_f32).sin_cos();
    let mirror = if rng.random_bool(0.5) { -1.0 } else { 1.0 };
    let level = sprite.level(scale);
    let middle = [sprite.width(), sprite.height()].map(|side| side as f32 / 2.0);
    for (at, hole) in hole.iter_mut().enumerate() {
        let x = ((at % width) as f32 + 0.5 - centre[0]) * scale * mirror;
        let y = ((at / width) as f32 + 0.5 - centre[1]) * scale;
        let colour = sprite.sample(
            level,
            middle[0] + cos * x - sin * y,
            middle[1] + sin * x + cos * y,
        );
        if colour[3] >= 0.5 {
            *hole = 1.0;
        }
    }
}

/// Marks what a thick pencil touches on its way, until about `wanted` of the picture is marked.
fn strokes(rng: &mut ChaCha8Rng, wanted: f32, width: usize, hole: &mut [f32]) {
    let height = hole.len() / width;
    let sides = [width, height].map(|side| side as f32);
    let mut marked = 0;
    while (marked as f32) < 0.9 * wanted * hole.len() as f32 {
        let mut place = sides.map(|side| rng.random_range(0.1..0.9_f32) * side);
        let mut way: f32 = rng.random_range(0.0..std::f32::consts::TAU);
        let radius = rng.random_range(0.03..0.12_f32) * sides[0].min(sides[1]);
        for _ in 0..rng.random_range(6..40) {
            way += rng.random_range(-0.6..0.6_f32);
            place = [place[0] + way.cos() * radius, place[1] + way.sin() * radius];
            for y in span(place[1], radius, height) {
                for x in span(place[0], radius, width) {
                    let far = (x as f32 + 0.5 - place[0]).hypot(y as f32 + 0.5 - place[1]);
                    if far <= radius && hole[y * width + x] == 0.0 {
                        hole[y * width + x] = 1.0;
                        marked += 1;
                    }
                }
            }
        }
    }
}

fn span(centre: f32, radius: f32, side: usize) -> std::ops::Range<usize> {
    let within = |at: f32| at.clamp(0.0, side as f32) as usize;
    within(centre - radius)..within(centre + radius + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing;
    use std::collections::BTreeSet;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..300 {
            let photo = image::RgbImage::from_fn(40, 30, |x, y| {
                image::Rgb([number as u8, (x * y) as u8, (x * 90) as u8])
            });
            let file = dir.path().join(format!("photos/many/{number:04}.png"));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            photo.save(file).unwrap();
        }
        for name in ["a", "b", "c", "d"] {
            let of = |kind: &str| dir.path().join("davis").join(kind).join(name);
            for frame in 0..12 {
                let photo = testing::background(frame);
                let mask = GrayImage::from_fn(60, 40, |x, y| {
                    image::Luma([if (20..40).contains(&x) && y > 10 {
                        255
                    } else {
                        0
                    }])
                });
                for kind in ["JPEGImages", "Annotations"] {
                    std::fs::create_dir_all(of(kind)).unwrap();
                }
                let name = format!("{frame:05}.png");
                photo.save(of("JPEGImages").join(&name)).unwrap();
                mask.save(of("Annotations").join(&name)).unwrap();
            }
        }
        dir
    }

    #[test]
    fn what_is_held_out_is_what_measure_plate_takes() {
        let dir = folder();
        let of = |split| Holes::open(&[dir.path().into()], None, split, 1).unwrap();
        let names = |holes: &Holes| -> BTreeSet<PathBuf> { holes.photos.iter().cloned().collect() };
        let (train, out) = (names(&of(Split::Train)), names(&of(Split::HeldOut)));
        assert!(train.is_disjoint(&out));
        // Every twelfth of a folder, and the last frame of every third video.
        for index in 0..12 {
            let file = format!("photos/many/{:04}.png", 300 * index / 12);
            assert!(out.contains(&dir.path().join(file)));
        }
        for video in ["a", "d"] {
            let at = |file: &str| dir.path().join("davis/JPEGImages").join(video).join(file);
            assert!(out.contains(&at("00011.png")) && !train.contains(&at("00001.png")));
        }
        assert_eq!((train.len(), out.len()), (300 - 72 + 4, 72 + 4));
        assert_eq!(of(Split::Train).masks.len(), 4);
    }

    #[test]
    fn the_same_number_is_the_same_picture_and_holes_are_of_the_sizes_of_things() {
        let dir = folder();
        let pack = Arc::new(testing::pack());
        let folders = [dir.path().to_owned()];
        for (folders, pack) in [
            (&folders[..], None),
            (&folders[..], Some(&pack)),
            (&[], Some(&pack)),
        ] {
            let open = || Holes::open(folders, pack.cloned(), Split::Train, 7).unwrap();
            let batch = open().batch(3, 24, [48, 32]).unwrap();
            assert!(batch == open().batch(3, 24, [48, 32]).unwrap());
            assert!(batch != open().batch(4, 24, [48, 32]).unwrap());
            let mut sizes = BTreeSet::new();
            for made in &batch {
                assert_eq!((made.rgb.len(), made.hole.len()), (48 * 32 * 3, 48 * 32));
                let pairs = made.rgb.iter().zip(&made.continued).enumerate();
                let differ = |(at, (a, b))| made.hole[at / 3] == 0.0 && a != b;
                assert!(!pairs.clone().any(differ), "outside of the hole");
                assert!(
                    pairs.clone().any(|(_, (a, b))| a != b),
                    "what is hidden shows"
                );
                assert!(made.rgb.iter().all(|v| (-1.0..=1.0).contains(v)));
                let inside = made.hole.iter().filter(|&&v| v == 1.0).count();
                let known = made.hole.iter().filter(|&&v| v == 0.0).count();
                assert_eq!(inside + known, 48 * 32);
                let share = inside as f32 / made.hole.len() as f32;
                assert!((0.03..0.45).contains(&share), "{share}");
                sizes.insert(inside);
            }
            assert!(sizes.len() > 8, "{sizes:?}");
        }
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let nothing = tempfile::tempdir().unwrap();
        let open = |folder: &Path| Holes::open(&[folder.into()], None, Split::Train, 1);
        let said = open(nothing.path()).unwrap_err().to_string();
        assert!(said.contains("--photos"), "{said}");
        assert!(open(&nothing.path().join("none")).is_err());
        std::fs::write(nothing.path().join("broken.jpg"), b"not one").unwrap();
        let holes = open(nothing.path()).unwrap();
        let said = holes.batch(0, 1, [32, 32]).unwrap_err().to_string();
        assert!(said.contains("broken.jpg"), "{said}");
    }
}
