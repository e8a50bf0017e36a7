//! The examples do what their heads say.
//!
//! Their functions are called, not their programs: those are built by `cargo test` of everything, but not by that of one
//! test, which would then run whatever was built last.
#![cfg(not(target_family = "wasm"))]

#[allow(dead_code, reason = "a program's `main` has no caller here")]
#[path = "../examples/generate.rs"]
mod generate;
#[allow(dead_code, reason = "a program's `main` has no caller here")]
#[path = "../examples/segment.rs"]
mod segment;
#[allow(dead_code, reason = "a program's `main` has no caller here")]
#[path = "../examples/track.rs"]
mod track;

use dragentity_core::Video;
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Mask, Preset};
use dragentity_media::read::{Reading, read};
use std::path::{Path, PathBuf};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../www/samples")
        .join(name)
}

fn preset(name: &str) -> Preset {
    Preset::parse(&std::fs::read_to_string(sample(name)).unwrap()).unwrap()
}

/// Mean difference of two frames, in steps of a byte.
fn difference(a: &[u8], b: &[u8]) -> f64 {
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

#[test]
fn a_preset_becomes_a_video_whose_frames_differ() {
    let folder = tempfile::tempdir().unwrap();
    let quick = folder.path().join("quick.json");
    let mut preset = preset("cat.json");
    preset.settings = Choice {
        frames: Some(4),
        steps: Some(2),
        ..preset.settings
    };
    std::fs::write(&quick, preset.to_json()).unwrap();
    let video = generate::generate(&sample("cat.jpg"), &quick).unwrap();

    let file = folder.path().join("cat.mp4");
    dragentity_media::save(&video, &file).unwrap();
    let seen: Video = read(&file, &Reading::default()).unwrap();
    assert_eq!(seen.frames.len(), 4);
    for pair in seen.frames.windows(2) {
        let moved = difference(&pair[0], &pair[1]);
        // Seen: 18. One that stands still differs by what the codec loses.
        assert!(moved > 5.0, "frames differ by {moved} on average");
    }
}

#[test]
fn a_click_becomes_the_mask_of_what_was_clicked() {
    let mask = segment::segment(&sample("astronaut.jpg"), [0.44, 0.15]).unwrap();
    // The whole woman comes first: all of the head, as a person drew it, and nothing of the shuttle beside her. That the place
    // itself is inside would say nothing: clicks see to that.
    let inside = |entity: usize| {
        let drawn = &preset("astronaut.json").entities[entity].mask;
        let drawn = drawn.resized(mask.width, mask.height);
        let pairs = || mask.alpha.iter().zip(&drawn.alpha);
        let both = pairs().filter(|(a, b)| **a > 127 && **b > 127).count();
        both as f64 / drawn.area() as f64
    };
    let (shuttle, head) = (inside(0), inside(1));
    println!("{head:.2} of the head, {shuttle:.2} of the shuttle");
    assert!(head > 0.9 && shuttle < 0.05);
    assert!((0.3..0.7).contains(&mask.coverage()));
}

#[test]
fn what_moves_in_a_video_is_followed() {
    // A bright square on a dark gradient, two pixels a frame to the right and one down.
    let (width, height) = (64, 48);
    let inside = |x: u32, y: u32, frame: u32| {
        (10 + 2 * frame..24 + 2 * frame).contains(&x) && (8 + frame..22 + frame).contains(&y)
    };
    let pixel = |x: u32, y: u32, frame: u32| {
        let value = if inside(x, y, frame) {
            150 + 7 * ((x - 2 * frame) * 5 % 13) as u8
        } else {
            (x + y) as u8 / 2
        };
        [value, value, 40]
    };
    let frame = |k: u32| {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        places.flat_map(|(x, y)| pixel(x, y, k)).collect()
    };
    let video = Video {
        width,
        height,
        fps: 8,
        frames: (0..9).map(frame).collect(),
    };
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let alpha = places.map(|(x, y)| if inside(x, y, 0) { 255 } else { 0 });
    let mask = Mask::from_alpha(width, height, alpha.collect()).unwrap();
    let tracks = track::track(&video, "square", mask).unwrap();
    assert_eq!(tracks.entities[0].name, "square");
    let points = &tracks.entities[0].points;
    for (k, [x, y]) in points.iter().enumerate() {
        let off = (x - points[0][0] - 2.0 * k as f32).hypot(y - points[0][1] - k as f32);
        assert!(off < 0.6, "frame {k}: {off}");
    }
}

#[test]
fn what_moves_at_once_is_followed_along_its_path() {
    let (video, mask) = track::example().unwrap();
    let tracks = track::track(&video, "cat", mask).unwrap();
    let points = &tracks.entities[0].points;
    let path = preset("cat.json").entities[0].trajectory.clone().unwrap();
    let path = path.sample(video.frames.len());
    let size = [video.width as f32, video.height as f32];
    for (frame, (point, at)) in points.iter().zip(&path).enumerate() {
        let [x, y] = [0, 1]
            .map(|axis| point[axis] - points[0][axis] - (at[axis] - path[0][axis]) * size[axis]);
        let off = x.hypot(y);
        assert!(off < 1.0, "frame {frame}: {off} pixels off its path");
    }
    // From its first place to its last it goes 45 pixels to the left.
    let way = points[points.len() - 1][0] - points[0][0];
    assert!((-47.0..-43.0).contains(&way), "{way}");
}
