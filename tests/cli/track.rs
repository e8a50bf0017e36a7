//! `dragentity track`: tracks, presets and pictures of a video, and what it refuses.

use super::{Desk, assert_refused, ending};
use std::path::Path;

/// Where the square of `crates/media/tests/data/b_frames.mp4` is at first, as a mask: 12 x 16 pixels, in 3 steps a frame to
/// the right.
fn mask(width: u32, height: u32) -> image::GrayImage {
    image::GrayImage::from_fn(width, height, |x, y| {
        let inside = (4..16).contains(&x) && (16..32).contains(&y);
        image::Luma([if inside { 255 } else { 0 }])
    })
}

impl Desk {
    fn with_film() -> Self {
        let desk = Self::new();
        let film =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/media/tests/data/b_frames.mp4");
        std::fs::copy(film, desk.path("film.mp4")).unwrap();
        mask(64, 48).save(desk.path("square.png")).unwrap();
        desk
    }

    fn track(&self, args: &[&str]) -> (i32, String) {
        let mut command = self.program();
        command.arg("track").args(args);
        ending(command)
    }

    fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }
}

#[test]
fn a_film_is_tracked_drawn_and_made_a_preset() {
    let desk = Desk::with_film();
    let said = desk.track(&[
        "film.mp4",
        "--masks",
        "square.png",
        "-o",
        "tracks.json",
        "--draganything",
        "theirs.json",
        "--preset",
        "preset.json",
        "--first-frame",
        "first.png",
        "--overlay",
        "overlay.mp4",
    ]);
    assert_eq!(said.0, 0, "{}", said.1);
    let tracks = desk.json("tracks.json");
    assert_eq!(tracks["dragentity_tracks"], 1);
    assert_eq!(tracks["video"]["frames"], 16);
    let entity = &tracks["entities"][0];
    assert_eq!(entity["name"], "square");
    let x = |frame: usize| entity["track"][frame][0].as_f64().unwrap();
    let y = |frame: usize| entity["track"][frame][1].as_f64().unwrap();
    for frame in 0..16 {
        let off = (x(frame) - x(0) - 3.0 * frame as f64).hypot(y(frame) - y(0));
        assert!(off < 0.6, "frame {frame}: {off}");
        assert_eq!(entity["visible"][frame], true, "frame {frame}");
    }
    // The largest circle in 12 x 16 pixels.
    assert!((entity["radius"].as_f64().unwrap() - 6.0).abs() < 0.7);
    assert_eq!(desk.json("theirs.json")["1"].as_array().unwrap().len(), 16);
    assert!(std::fs::metadata(desk.path("overlay.mp4")).unwrap().len() > 1000);
    // Preset and first frame belong together.
    let bytes = std::fs::read(desk.path("first.png")).unwrap();
    let picture = dragentity_core::scene::Picture::decode(&bytes, "first.png").unwrap();
    let text = std::fs::read_to_string(desk.path("preset.json")).unwrap();
    let preset = dragentity_core::scene::Preset::parse(&text).unwrap();
    assert_eq!(preset.fits(&picture), dragentity_core::scene::Fit::Same);
    let scene = preset.scene(picture).unwrap();
    scene.check().unwrap();
    let path = scene.entities[0].trajectory.as_ref().unwrap();
    let way = path.sample(16);
    assert!((way[15][0] - way[0][0] - 45.0 / 64.0).abs() < 0.02);
    // And back: the tracks, of either form, drawn as a sheet.
    for form in ["tracks.json", "theirs.json"] {
        let said = desk.track(&[
            "film.mp4",
            "--masks",
            "square.png",
            "--tracks",
            form,
            "--overlay",
            "sheet.png",
        ]);
        assert_eq!(said.0, 0, "{}", said.1);
        let sheet = image::open(desk.path("sheet.png")).unwrap();
        assert!(sheet.width() > 4 * 64 && sheet.height() > 3 * 48);
    }
}

#[test]
fn unusable_videos_masks_and_tracks() {
    let desk = Desk::with_film();
    let refuse = |args: &[&str], parts: &[&str]| {
        let all = [args, &["-o", "out.json"]].concat();
        assert_refused(desk.track(&all), 3, parts);
        assert!(!desk.path("out.json").exists());
    };
    desk.write("letter.mp4", "Dear cat,");
    refuse(
        &["letter.mp4", "--masks", "square.png"],
        &["letter.mp4", "ffmpeg"],
    );
    refuse(&["none.mp4", "--masks", "square.png"], &["none.mp4"]);
    refuse(
        &["picture.png", "--masks", "square.png"],
        &["picture.png", "one picture"],
    );
    // Cut short in the middle of its frames; and with a number in its index that no film has.
    let film = std::fs::read(desk.path("film.mp4")).unwrap();
    desk.write("cut.mp4", &film[..film.len() - 300]);
    refuse(
        &["cut.mp4", "--masks", "square.png"],
        &["cut.mp4", "ends before frame"],
    );
    let at = film.windows(4).position(|w| w == b"stsc").unwrap();
    let mut odd = film.clone();
    odd[at + 8..at + 12].copy_from_slice(&[0; 4]);
    desk.write("odd.mp4", odd);
    refuse(
        &["odd.mp4", "--masks", "square.png"],
        &["odd.mp4", "damaged"],
    );
    refuse(
        &["film.mp4", "--start", "40", "--masks", "square.png"],
        &["16 frames", "before frame 41"],
    );

    mask(63, 48).save(desk.path("narrow.png")).unwrap();
    refuse(
        &["film.mp4", "--masks", "narrow.png"],
        &["narrow.png has 63 x 48", "the video 64 x 48"],
    );
    image::GrayImage::new(64, 48)
        .save(desk.path("black.png"))
        .unwrap();
    refuse(
        &["film.mp4", "--masks", "square.png", "black.png"],
        &["black.png is black all over"],
    );
    std::fs::create_dir(desk.path("empty")).unwrap();
    refuse(&["film.mp4", "--masks", "empty"], &["empty", "no mask"]);

    desk.write("short.json", r#"{"1": [[10, 24], [13, 24], [16, 24]]}"#);
    let short = [
        "film.mp4",
        "--masks",
        "square.png",
        "--tracks",
        "short.json",
    ];
    refuse(
        &short,
        &[
            "\"1\" has 3 positions and the video 16 frames",
            "--frames 3",
        ],
    );
    let said = desk.track(&[&short[..], &["--frames", "3", "-o", "fits.json"]].concat());
    assert_eq!(said.0, 0, "{}", said.1);
    desk.write("two.json", r#"{"1": [[10, 24]], "2": [[13, 24]]}"#);
    refuse(
        &["film.mp4", "--masks", "square.png", "--tracks", "two.json"],
        &["2 entities", "1 masks"],
    );
    assert_refused(
        desk.track(&["film.mp4", "--masks", "square.png"]),
        3,
        &["-o"],
    );
    let film = ["film.mp4", "--masks", "square.png", "-o", "out.json"];
    let args = ["--cotracker", "square.png", "--device", "cpu"];
    assert_refused(
        desk.track(&[&film[..], &args].concat()),
        4,
        &["square.png", "safetensors"],
    );
}
