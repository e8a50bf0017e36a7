//! Each layout, made small: the videos show a patterned square that moves over waves.

use super::*;
use crate::data::Data;
use crate::train::source::Clips;
use dragentity_core::Video;
use dragentity_core::scene::picture::encode_png;
use dragentity_media::save;
use std::path::PathBuf;
use tempfile::TempDir;

const WIDTH: u32 = 96;
const HEIGHT: u32 = 64;
const SIDE: u32 = 22;
/// Pixels from frame to frame.
const STEP: [u32; 2] = [3, 1];

fn corner(frame: usize) -> [u32; 2] {
    [12 + STEP[0] * frame as u32, 14 + STEP[1] * frame as u32]
}

fn inside(frame: usize, x: u32, y: u32) -> bool {
    let [left, top] = corner(frame);
    (left..left + SIDE).contains(&x) && (top..top + SIDE).contains(&y)
}

fn film(frames: usize) -> Video {
    let frame = |k: usize| -> Vec<u8> {
        let [left, top] = corner(k);
        let pixel = |i: u32| {
            let (x, y) = (i % WIDTH, i / WIDTH);
            let wave = |a: f32, b: f32| (120.0 + 70.0 * (x as f32 * a + y as f32 * b).sin()) as u8;
            if inside(k, x, y) {
                let (u, v) = ((x - left) as f32, (y - top) as f32);
                let value = 127.0 + 60.0 * (u * 0.8).sin() + 60.0 * (v * 0.7).cos();
                return [value as u8, 255 - value as u8, 90];
            }
            [wave(0.35, 0.1), wave(-0.1, 0.4), wave(0.2, 0.2)]
        };
        (0..WIDTH * HEIGHT).flat_map(pixel).collect()
    };
    Video {
        width: WIDTH,
        height: HEIGHT,
        fps: 8,
        frames: (0..frames).map(frame).collect(),
    }
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).unwrap();
    }

    /// Frames as numbered pictures.
    fn frames(&self, folder: &str, count: usize, extension: &str) {
        for (k, rgb) in film(count).frames.into_iter().enumerate() {
            let image = image::RgbImage::from_raw(WIDTH, HEIGHT, rgb).unwrap();
            image
                .save(self.at(&format!("{folder}/{k:08}.{extension}")))
                .unwrap();
        }
    }

    fn mp4(&self, name: &str, count: usize) {
        save(&film(count), &self.at(name)).unwrap();
    }

    /// The square in the first frame.
    fn mask(&self, name: &str) {
        let white = |x, y| image::Luma([if inside(0, x, y) { 255 } else { 0 }]);
        image::GrayImage::from_fn(WIDTH, HEIGHT, white)
            .save(self.at(name))
            .unwrap();
    }

    /// VIPSeg's: sky is class 29, the square person (61) number 0, a corner of nothing.
    fn panoptic(&self, folder: &str, count: usize) {
        for k in 0..count {
            let id = |x, y| match (x, y) {
                _ if inside(k, x, y) => 6100,
                (0..4, 0..4) => 0,
                _ => 29,
            };
            let image =
                image::ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| image::Luma([id(x, y) as u16]));
            image
                .save(self.at(&format!("{folder}/{k:08}.png")))
                .unwrap();
        }
    }

    fn list(&self) -> Library {
        Library::open(self.0.path()).unwrap()
    }

    /// A clip of all of the frame, from the training side.
    fn clip(&self, frames: usize) -> dragentity_core::Result<Clip> {
        Recorded::new(&self.list(), Split::Train, spec(frames), 1)?.clip(0)
    }
}

/// The frame's own shape, half as large.
fn spec(frames: usize) -> ClipSpec {
    ClipSpec {
        width: WIDTH as usize / 2,
        height: HEIGHT as usize / 2,
        frames,
        max_entities: 4,
        ..ClipSpec::default()
    }
}

/// That the one entity is the square and goes its way; `start` is the first frame where it is known, else any.
fn assert_square(clip: &Clip, frames: usize, masks_off: f32) {
    assert_eq!((clip.width, clip.height, clip.frames), (48, 32, frames));
    assert_eq!(clip.rgb.len(), 48 * 32 * 3 * frames);
    assert_eq!(clip.entities.len(), 1);
    let entity = &clip.entities[0];
    for k in 0..frames {
        let [x, y] = [0, 1].map(|axis| entity.track[k][axis] - entity.track[0][axis]);
        let [u, v] = STEP.map(|step| step as f32 * k as f32 / 2.0);
        assert!(
            (x - u).hypot(y - v) < 0.6,
            "frame {k}: {x}, {y} for {u}, {v}"
        );
        // Half of 22 x 22 pixels, and it moves with the track.
        let area = clip.visible(0, k).iter().filter(|a| **a >= 128).count() as f32;
        assert!((area / 121.0 - 1.0).abs() < masks_off, "frame {k}: {area}");
        let [left, top, right, bottom] = entity.boxes[k].unwrap();
        let [cx, cy] = entity.track[k];
        let off = ((left + right) / 2.0 - cx).hypot((top + bottom) / 2.0 - cy);
        assert!(off < 3.5, "frame {k}: {off}");
        let [u, v] = clip.camera[k];
        assert!(u.hypot(v) < 0.3, "the camera stands still: {u}, {v}");
    }
}

#[test]
fn vipseg() {
    let place = Place::new();
    for name in ["12_a", "13_b", "14_c"] {
        place.frames(&format!("imgs/{name}"), 6, "jpg");
        place.panoptic(&format!("panomasks/{name}"), 6);
    }
    place.write("train.txt", "12_a\n\n");
    place.write("val.txt", "13_b\n");
    place.write("test.txt", "");
    let library = place.list();
    assert_eq!(library.layout, Layout::VipSeg);
    let sides: Vec<_> = library
        .items
        .iter()
        .map(|i| (i.name.as_str(), i.held_out))
        .collect();
    // One in no list is left out.
    assert_eq!(sides, [("12_a", false), ("13_b", true)]);
    assert_square(&place.clip(4).unwrap(), 4, 0.25);
    let recorded = Recorded::new(&library, Split::HeldOut, spec(4), 1).unwrap();
    assert!(recorded.clip(5).unwrap() == recorded.clip(5).unwrap());
}

#[test]
fn draganythings_tracks_beside_vipseg() {
    let place = Place::new();
    place.frames("imgs/a", 4, "jpg");
    place.panoptic("panomasks/a", 4);
    // In pixels of the frames, of sky and person; here the person goes down.
    place.write(
        "trajectory_CoTracker/a.json",
        r#"{"29": [[60, 50], [60, 50], [60, 50], [60, 50]], "6100": [[22, 24], [22, 26], [22, 28], [22, 30]]}"#,
    );
    let clip = place.clip(4).unwrap();
    let track = &clip.entities[0].track;
    for (k, at) in track.iter().enumerate() {
        let expected = [22.5 / 2.0, (24.5 + 2.0 * k as f32) / 2.0];
        assert!((at[0] - expected[0]).abs() < 1e-3 && (at[1] - expected[1]).abs() < 1e-3);
    }
    place.write(
        "trajectory_CoTracker/a.json",
        r#"{"6100": [[22, 24], [22, 26]]}"#,
    );
    let error = place.clip(4).unwrap_err().to_string();
    assert!(
        error.contains("a.json") && error.contains("2 positions"),
        "{error}"
    );
    place.write(
        "trajectory_CoTracker/a.json",
        r#"{"29": [[22, 24], [22, 26]], "7": [[1, 1]]}"#,
    );
    let error = place.clip(4).unwrap_err().to_string();
    assert!(error.contains("no track of \"6100\""), "{error}");
}

#[test]
fn youtube_vos() {
    let place = Place::new();
    place.frames("JPEGImages/a", 5, "jpg");
    for k in 0..5 {
        let colour = |x, y| image::Rgb(if inside(k, x, y) { [128, 0, 0] } else { [0; 3] });
        let image = image::RgbImage::from_fn(WIDTH, HEIGHT, colour);
        image
            .save(place.at(&format!("Annotations/a/{k:05}.png")))
            .unwrap();
    }
    assert_eq!(place.list().layout, Layout::YouTubeVos);
    assert_square(&place.clip(4).unwrap(), 4, 0.25);
}

#[test]
fn videos_with_masks() {
    let place = Place::new();
    place.mp4("videos/film.mp4", 6);
    place.mask("masks/film/square.png");
    assert_eq!(place.list().layout, Layout::Plain);
    assert_square(&place.clip(5).unwrap(), 5, 0.25);
    // Frames in a folder, one mask as a file, tracks in this project's form, at twice the size.
    let place = Place::new();
    place.frames("videos/walk.day", 5, "png");
    place.mask("masks/walk.day.png");
    let points: Vec<[u32; 2]> = (0..5).map(|k| [2 * (23 + 3 * k), 2 * (25 + k)]).collect();
    let tracks = serde_json::json!({"dragentity_tracks": 1,
        "video": {"width": 2 * WIDTH, "height": 2 * HEIGHT, "frames": 5},
        "entities": [{"name": "whatever", "track": points}]});
    place.write("tracks/walk.day.json", &tracks.to_string());
    let clip = place.clip(4).unwrap();
    assert_square(&clip, 4, 0.25);
    assert_eq!(clip.entities[0].track[1], [13.0, 13.0]);
}

#[test]
fn webvid() {
    let place = Place::new();
    place.mp4("videos/000001_000050/1066674784.mp4", 8);
    place.write(
        "results_2M_train.csv",
        "videoid,contentUrl,duration,page_dir,name\n\
         1066674784,none,PT00H00M10S,000001_000050,\"A square, moving\"\n\
         2,none,PT00H00M10S,000001_000050,Not there\n",
    );
    let library = place.list();
    assert_eq!((library.layout, library.items.len()), (Layout::WebVid, 1));
    // No masks: what moves by itself, by cells of some pixels.
    assert_square(&place.clip(4).unwrap(), 4, 0.5);
    let list = place.at("results_2M_train.csv");
    assert!(matches!(Data::open(&list), Ok(Data::Library(_))));
    place.write("results_2M_train.csv", "videoid,page_dir\n7,../..\n");
    let error = Library::open(&list).err().unwrap().to_string();
    assert!(error.contains("no plain name"), "{error}");
    place.write("results_2M_train.csv", "videoid,page_dir\n7,x\n8,y\n");
    let error = Library::open(&list).err().unwrap().to_string();
    assert!(error.contains("none of its 2 videos"), "{error}");
}

#[test]
fn ted_talks() {
    let place = Place::new();
    place.mp4("train/1y5Hg8cjvyE#002341#002480.mp4", 8);
    place.mp4("train/1y5Hg8cjvyE#003000#003200.mp4", 8);
    place.frames("train/zz#000001#000009.mp4", 8, "png");
    place.mp4("test/qq#000001#000009.mp4", 8);
    let library = place.list();
    assert_eq!((library.layout, library.items.len()), (Layout::TedTalks, 4));
    let held_out: Vec<_> = library
        .items
        .iter()
        .filter(|i| i.held_out)
        .map(|i| &i.source)
        .collect();
    assert_eq!(held_out, ["qq"]);
    let training = library
        .items
        .iter()
        .filter(|i| !i.held_out)
        .cloned()
        .collect();
    assert_eq!(layout::by_source(training).len(), 2);
    assert_square(&place.clip(4).unwrap(), 4, 0.5);
}

#[test]
fn training_reads_them_as_it_reads_rendered_ones() {
    let place = Place::new();
    place.mp4("videos/film.mp4", 6);
    place.mask("masks/film/square.png");
    let data = Data::open(place.0.path()).unwrap();
    let sizes = [(48, 32), (32, 32)];
    let clips = Clips::new(&data, Split::Train, &spec(4), 1, &sizes).unwrap();
    for (index, (width, height)) in sizes.into_iter().enumerate() {
        let samples = clips.batch(index as u64, 2).unwrap();
        assert_eq!(samples.len(), 2);
        let input = &samples[0].input;
        assert_eq!(
            (input.width, input.height, input.frames),
            (width, height, 4)
        );
        assert_eq!(samples[0].frames[3].len(), width * height * 3);
        assert_eq!(input.entities[0].track.len(), 4);
        assert!(samples[0].inside[3].iter().any(|v| *v > 0.5));
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let refused = |place: &Place, words: &[&str]| {
        let error = place.clip(4).err().unwrap().to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
    };
    let nothing = Place::new();
    let error = Library::open(nothing.0.path()).err().unwrap().to_string();
    assert!(error.contains("no layout"), "{error}");
    std::fs::create_dir(nothing.at("videos")).unwrap();
    let error = Library::open(nothing.0.path()).err().unwrap().to_string();
    assert!(error.contains("has no video"), "{error}");

    let place = Place::new();
    place.mp4("videos/film.mp4", 3);
    place.mask("masks/film/square.png");
    refused(&place, &["film.mp4", "3 frames", "need 4"]);
    place.write("videos/film.mp4", "no film at all");
    refused(&place, &["film.mp4", "ffmpeg"]);
    place.mp4("videos/film.mp4", 5);
    let black = vec![0; (WIDTH * HEIGHT * 3) as usize];
    std::fs::write(
        place.at("masks/film/square.png"),
        encode_png(WIDTH, HEIGHT, &black).unwrap(),
    )
    .unwrap();
    refused(&place, &["square.png", "black all over"]);
    std::fs::write(
        place.at("masks/film/square.png"),
        encode_png(64, WIDTH, &black).unwrap(),
    )
    .unwrap();
    refused(&place, &["square.png has 64 x 96", "film.mp4 96 x 64"]);

    let place = Place::new();
    place.frames("imgs/a", 5, "jpg");
    place.panoptic("panomasks/a", 3);
    refused(&place, &["imgs/a", "panomasks/a", "(3)"]);
    place.panoptic("panomasks/a", 5);
    let square = image::ImageBuffer::from_pixel(64, 64, image::Luma([6100u16]));
    for k in 0..5 {
        square
            .save(place.at(&format!("panomasks/a/{k:08}.png")))
            .unwrap();
    }
    refused(&place, &["panomasks/a/0000000", "64 x 64", "not the shape"]);
    let sky = image::ImageBuffer::from_pixel(WIDTH, HEIGHT, image::Luma([29u16]));
    for k in 0..5 {
        sky.save(place.at(&format!("panomasks/a/{k:08}.png")))
            .unwrap();
    }
    refused(&place, &["imgs/a", "nothing that could be dragged"]);
}
