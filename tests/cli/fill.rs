//! `dragentity fill`, and videos that need no model.

use super::{Desk, assert_refused, ending};
use image::RgbImage;

/// Stripes, and in the middle of them a red square.
fn striped() -> RgbImage {
    RgbImage::from_fn(96, 64, |x, y| {
        let stripe = if x / 4 % 2 == 0 { 50 } else { 120 };
        match (36..60).contains(&x) && (20..44).contains(&y) {
            true => image::Rgb([220, 30, 30]),
            false => image::Rgb([stripe, stripe, 80]),
        }
    })
}

/// White there and a pixel around it.
fn over_the_square() -> RgbImage {
    RgbImage::from_fn(96, 64, |x, y| {
        let inside = (35..61).contains(&x) && (19..45).contains(&y);
        image::Rgb([if inside { 255 } else { 0 }; 3])
    })
}

#[test]
fn what_is_under_a_mask_goes_and_the_rest_stays() {
    let desk = Desk::new();
    striped().save(desk.path("a.png")).unwrap();
    over_the_square().save(desk.path("mask.png")).unwrap();
    let fill = |args: &[&str]| {
        let mut command = desk.program();
        command.args(["fill", "a.png"]).args(args);
        command
    };
    let said = fill(&["--mask", "mask.png", "-o", "plate.png", "--json"]);
    let said = { said }.assert().success().get_output().stdout.clone();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("\"phase\":\"filling\""), "{said}");
    let last: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["phase"], &last["width"]),
        (&"done".into(), &96.into())
    );
    let (given, made) = (
        striped(),
        image::open(desk.path("plate.png")).unwrap().to_rgb8(),
    );
    for (x, y, pixel) in made.enumerate_pixels() {
        if over_the_square().get_pixel(x, y).0[0] == 0 {
            assert_eq!(pixel, given.get_pixel(x, y), "{x},{y}");
        } else {
            assert!(pixel.0[0] < 150, "{x},{y} is {pixel:?}");
        }
    }
    // Only from the left of it, where there is nothing else.
    let left = RgbImage::from_fn(96, 64, |x, _| image::Rgb([if x < 30 { 255 } else { 0 }; 3]));
    left.save(desk.path("left.png")).unwrap();
    let from = ["--mask", "mask.png", "--from", "left.png", "-o", "b.png"];
    fill(&from).assert().success();

    left.save(desk.path("all.png")).unwrap();
    RgbImage::from_pixel(96, 64, image::Rgb([255; 3]))
        .save(desk.path("all.png"))
        .unwrap();
    RgbImage::new(90, 64).save(desk.path("other.png")).unwrap();
    for (mask, code, words) in [
        ("all.png", 3, "whole picture"),
        ("other.png", 3, "90 x 64"),
        ("none.png", 3, "none.png"),
    ] {
        let refused = ending(fill(&["--mask", mask, "-o", "c.png"]));
        assert_refused(refused, code, &[words]);
    }
    assert!(!desk.path("c.png").exists());
}

#[test]
fn a_plate_that_is_brought_along_is_seen_where_the_thing_was() {
    let desk = Desk::new();
    striped().save(desk.path("a.png")).unwrap();
    let plate = |width: u32| RgbImage::from_pixel(width, 32, image::Rgb([10, 200, 10]));
    plate(48).save(desk.path("plate.png")).unwrap();
    plate(32).save(desk.path("square.png")).unwrap();
    // Rows of the square, outside first.
    let rows = [
        vec![20 * 96 + 36, 24],
        [72, 24].repeat(23),
        vec![20 * 96 + 36],
    ]
    .concat();
    let preset = serde_json::json!({
        "dragentity": 1, "picture": {"width": 96, "height": 64},
        "entities": [{"mask": {"width": 96, "height": 64, "runs": rows},
                      "trajectory": [[0.5, 0.5, 0], [0.8, 0.5, 1]]}]});
    std::fs::write(desk.path("p.json"), preset.to_string()).unwrap();
    let generate = |plate: &str| {
        let mut command = desk.program();
        let args = [
            "generate", "--image", "a.png", "--preset", "p.json", "-o", "frames",
        ];
        command
            .args(args)
            .args(["--frames", "3", "--scale", "1", "--plate", plate]);
        command
    };
    generate("plate.png").assert().success();
    let last = image::open(desk.path("frames/0002.png")).unwrap().to_rgb8();
    assert_eq!(last.get_pixel(40, 32).0, [10, 200, 10]);
    assert_eq!(last.get_pixel(5, 32), striped().get_pixel(5, 32));
    let first = image::open(desk.path("frames/0000.png")).unwrap().to_rgb8();
    assert_eq!(first, striped());
    assert_refused(ending(generate("square.png")), 3, &["another shape"]);
}

#[test]
fn without_a_model_the_first_frame_is_the_picture() {
    let desk = Desk::new();
    let mut command = desk.program();
    let args = ["generate", "--example", "-o", "frames", "--frames", "3"];
    command.args(args).assert().success();
    let picture = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/www/samples/cat.jpg"));
    let frame = |i: u32| {
        image::open(desk.path(&format!("frames/{i:04}.png")))
            .unwrap()
            .to_rgb8()
    };
    assert_eq!(frame(0), picture.unwrap().to_rgb8());
    assert!(frame(2) != frame(0));
}
