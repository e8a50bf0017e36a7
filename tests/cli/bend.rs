//! Handles and poses of a preset, as frames.

use super::Desk;
use dragentity_testkit::program::assert_refused;

/// A picture with a bright bar in it, and a preset in which the bar does what `motion` says.
fn desk(motion: &str) -> Desk {
    desk_with(motion, "")
}

/// The same, in a preset that says more of the scene.
fn desk_with(motion: &str, more: &str) -> Desk {
    let desk = Desk::new();
    let bar = |x: u32, y: u32| (40..120).contains(&x) && (40..64).contains(&y);
    image::RgbImage::from_fn(160, 120, |x, y| {
        let light = (x * 7 + y * 5) as u8 % 60;
        image::Rgb(if bar(x, y) {
            [240, 200, 40]
        } else {
            [light, light, 90]
        })
    })
    .save(desk.path("picture.png"))
    .unwrap();
    // From the bar's first pixel row by row: what is inside, and what lies between that and the next row's.
    let rows = vec!["80"; 2 * 24 - 1].join(",");
    let runs = format!("[6440,{rows},9000]");
    desk.write(
        "preset.json",
        format!(
            r#"{{"dragentity": 1, "picture": {{"width": 160, "height": 120}}, "settings": {{"frames": 5}}, {more}
                "entities": [{{"mask": {{"width": 160, "height": 120, "runs": {runs}}}, {motion}}}]}}"#
        ),
    );
    desk
}

/// Whether each frame shows the bar's colour at a place in pixels.
fn shown(desk: &Desk, at: [u32; 2]) -> Vec<bool> {
    let mut names: Vec<_> = std::fs::read_dir(desk.path("frames"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "png"))
        .collect();
    names.sort();
    let bright = |path| {
        let frame = image::open(path).unwrap().into_rgb8();
        let [red, green, blue] = frame.get_pixel(at[0], at[1]).0;
        red > 200 && green > 160 && blue < 90
    };
    names.into_iter().map(bright).collect()
}

fn generate(desk: &Desk) {
    let mut command = desk.program();
    command.args([
        "generate",
        "--image",
        "picture.png",
        "--preset",
        "preset.json",
        "-o",
        "frames",
        "--scale",
        "1",
    ]);
    command.assert().success();
}

#[test]
fn three_handles_bend_a_bar_and_what_is_held_stays() {
    // Held at its left end and its middle; its right end goes down.
    let desk = desk(
        r#""trajectory": [[0.72, 0.43, 0], [0.68, 0.75, 1]],
           "handles": [[[0.28, 0.43, 0]], [[0.45, 0.43, 0]]]"#,
    );
    generate(&desk);
    assert_eq!(shown(&desk, [46, 52]), [true; 5]);
    assert_eq!(shown(&desk, [72, 52]), [true; 5]);
    let there = shown(&desk, [108, 90]);
    assert_eq!((there[0], there[4]), (false, true), "{there:?}");
    let left = shown(&desk, [116, 44]);
    assert_eq!((left[0], left[4]), (true, false), "{left:?}");
}

#[test]
fn a_pose_turns_a_bar_and_bad_ones_are_refused() {
    let turned = desk(r#""trajectory": [[0.5, 0.43, 0]], "poses": [{"t": 1, "rotation": 90}]"#);
    generate(&turned);
    let upright = shown(&turned, [80, 84]);
    assert_eq!((upright[0], upright[4]), (false, true), "{upright:?}");
    let level = shown(&turned, [48, 52]);
    assert_eq!((level[0], level[4]), (true, false), "{level:?}");
    let wrong = desk(r#""poses": [{"t": 1, "scale": 0.001}]"#);
    let refused = wrong.generate("picture.png", "preset.json");
    assert_refused(refused, 3, &["pose 1 of entity 1", "0.05"]);
}

#[test]
fn a_camera_that_comes_nearer_shows_the_middle_twice_as_large() {
    let view = r#""view": {"about": [0.5, 0.5], "poses": [{"t": 1, "scale": 2}]},"#;
    let desk = desk_with(r#""trajectory": [[0.5, 0.43, 0]]"#, view);
    generate(&desk);
    // The bar's left end at 40 is seen at 0, its upper edge at 40 at 20, its lower one at 64 at 68.
    for (place, wanted) in [
        ([4, 30], [false, true]),
        ([80, 66], [false, true]),
        ([80, 42], [true, true]),
        ([80, 74], [false, false]),
    ] {
        let seen = shown(&desk, place);
        assert_eq!([seen[0], seen[4]], wanted, "{place:?}: {seen:?}");
    }
}

#[test]
fn a_corner_is_gone_through_without_slowing_down() {
    // Up and down again in three quarters of the time; in the second frame a smooth path is higher already.
    let at_corner = |corner: &str| {
        let path =
            format!(r#""trajectory": [[0.5, 0.43, 0], [0.5, 0.1, 0.5{corner}], [0.5, 0.43, 1]]"#);
        let desk = desk(&path);
        generate(&desk);
        // Half way up the bar's upper edge is at 20 where it goes steadily.
        shown(&desk, [80, 19])[1]
    };
    assert_eq!([at_corner(""), at_corner(", 1")], [true, false]);
}
