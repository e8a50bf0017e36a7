//! `dragentity export` and `import`: paths to the neighbours and back.

use super::{Desk, PRESET, assert_refused, ending};
use dragentity_core::scene::exchange::Format;
use dragentity_core::scene::{Entity, Mask, Preset};
use std::path::Path;

impl Desk {
    fn run(&self, args: &[&str]) -> (i32, String) {
        let mut command = self.program();
        command.args(args);
        ending(command)
    }

    /// Writes the preset's paths in a form.
    fn export(&self, format: &str, output: &str) -> (i32, String) {
        self.write("preset.json", PRESET);
        let input = ["export", "preset.json", "--picture", "picture.png"];
        self.run(&[&input[..], &["--format", format, "-o", output]].concat())
    }

    fn import(&self, file: &str, more: &[&str]) -> (i32, String) {
        let input = ["import", file, "-o", "back.json"];
        self.run(&[&input[..], more].concat())
    }

    fn imported(&self) -> Vec<Entity> {
        let text = std::fs::read_to_string(self.path("back.json")).unwrap();
        Preset::parse(&text).unwrap().entities
    }
}

#[test]
fn paths_come_back_from_every_form() {
    let desk = Desk::new();
    for format in Format::ALL {
        let name = format.name();
        let (code, said) = desk.export(name, name);
        assert_eq!(code, 0, "{said}");
        assert_eq!(desk.path(name).is_dir(), format.is_folder(), "{name}");
        let picture = match format {
            Format::DragAnything => &[][..],
            _ => &["--picture", "picture.png"],
        };
        let (code, said) = desk.import(name, picture);
        assert_eq!(code, 0, "{name}: {said}");
        let entities = desk.imported();
        assert_eq!(entities.len(), 1, "{name}");
        let path = entities[0].trajectory.as_ref().unwrap();
        // SG-I2V's leads the middle of the thing's box.
        let from = match format {
            Format::SgI2v => [1.0 / 3.0, 0.5],
            _ => [0.3, 0.4],
        };
        for (t, way) in [(0.0, [0.0, 0.0]), (1.0, [0.4, 0.1])] {
            for (axis, at) in path.position(t).into_iter().enumerate() {
                let expected = from[axis] + way[axis];
                assert!((at - expected).abs() < 0.02, "{name}: {path:?}");
            }
        }
        assert!(!entities[0].mask.is_empty(), "{name}");
    }
    // What was imported last is a preset like any other.
    let run = [
        "generate",
        "--image",
        "picture.png",
        "--preset",
        "back.json",
        "-o",
        "a.gif",
    ];
    let (code, said) = desk.run(&run);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn time_to_move_gets_a_film() {
    let desk = Desk::new();
    let (code, said) = desk.export("time-to-move", "ttm");
    assert_eq!(code, 0, "{said}");
    for file in dragentity_media::reference::FILES {
        assert!(desk.path("ttm").join(file).is_file(), "{file}");
    }
    let (picture, film) = dragentity_media::reference::open(&desk.path("ttm"), 200).unwrap();
    assert_eq!((picture.width, picture.height), (60, 40));
    assert!(film.video.frames.len() > 1 && film.closely.iter().any(|mask| !mask.is_empty()));
    let back = desk.import("ttm", &["--picture", "picture.png"]);
    assert_refused(back, 3, &["ttm", "--reference"]);
}

#[test]
fn a_project_runs_by_itself() {
    let desk = Desk::new();
    let (code, said) = desk.export("project", "mine.dragentity");
    assert_eq!(code, 0, "{said}");
    // Nothing else is needed.
    for file in ["picture.png", "preset.json"] {
        std::fs::remove_file(desk.path(file)).unwrap();
    }
    let (code, said) = desk.run(&["generate", "mine.dragentity", "-o", "a.gif"]);
    assert_eq!(code, 0, "{said}");
    assert!(desk.path("a.gif").is_file());
    desk.write(
        "jobs.jsonl",
        r#"{"project": "mine.dragentity", "output": "b.gif"}"#,
    );
    let (code, said) = desk.run(&["generate", "--batch", "jobs.jsonl"]);
    assert_eq!(code, 0, "{said}");
    assert!(desk.path("b.gif").is_file());
    desk.write("bad.dragentity", "PK\u{3}\u{4} and then nothing");
    let bad = desk.run(&["generate", "bad.dragentity", "-o", "c.gif"]);
    assert_refused(bad, 3, &["bad.dragentity", "no project"]);
    let two = [
        "generate",
        "mine.dragentity",
        "--image",
        "p.png",
        "-o",
        "c.gif",
    ];
    assert_refused(desk.run(&two), 2, &["--image"]);
}

#[test]
fn positions_are_pixels_of_the_size_that_is_asked_for() {
    let desk = Desk::new();
    desk.write("preset.json", PRESET);
    let input = [
        "export",
        "preset.json",
        "--picture",
        "picture.png",
        "--format",
        "kjnodes",
    ];
    let more = ["--size", "832x480", "--frames", "5", "-o", "paths.json"];
    let (code, said) = desk.run(&[&input[..], &more].concat());
    assert_eq!(code, 0, "{said}");
    let text = std::fs::read_to_string(desk.path("paths.json")).unwrap();
    let points: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(points.len(), 5);
    assert_eq!(
        (&points[0]["x"], &points[4]["y"]),
        (&249.6.into(), &240.0.into())
    );
}

#[test]
fn the_segmenter_makes_the_masks_of_where_paths_begin() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/samples");
    let desk = Desk::new();
    std::fs::copy(samples.join("cat.jpg"), desk.path("cat.jpg")).unwrap();
    let by_hand = std::fs::read_to_string(samples.join("cat.json")).unwrap();
    let by_hand = Preset::parse(&by_hand).unwrap();
    let at = by_hand.entities[0].mask.centroid().unwrap();
    let [x, y] = [at[0] * by_hand.width as f32, at[1] * by_hand.height as f32];
    let next = x + 40.0;
    desk.write(
        "paths.json",
        format!(r#"[{{"x":{x},"y":{y}}},{{"x":{next},"y":{y}}}]"#),
    );
    let picture = ["--picture", "cat.jpg", "--device", "cpu"];
    let (code, said) = desk.import("paths.json", &picture);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("--segment"), "{said}");
    let disc = desk.imported().remove(0).mask;
    let (code, said) = desk.import("paths.json", &[&picture[..], &["--segment"]].concat());
    assert_eq!(code, 0, "{said}");
    let cat = desk.imported().remove(0).mask;
    let overlap = |mask: &Mask| {
        let expected = by_hand.entities[0].mask.resized(mask.width, mask.height);
        let pairs = || mask.alpha.iter().zip(&expected.alpha);
        let both = pairs().filter(|(a, b)| **a > 127 && **b > 127).count();
        let any = pairs().filter(|(a, b)| **a > 127 || **b > 127).count();
        both as f64 / any as f64
    };
    assert!(overlap(&cat) > 0.6, "{}", overlap(&cat));
    assert!(overlap(&disc) < 0.3, "{}", overlap(&disc));
}

#[test]
fn what_cannot_be_read_or_written_is_said() {
    let desk = Desk::new();
    assert_refused(
        desk.export("svg", "a.svg"),
        2,
        &["svg", "kjnodes", "time-to-move"],
    );
    assert_refused(desk.export("ati", "no/where.json"), 3, &["no folder"]);
    let here = &["--picture", "picture.png"];
    desk.write("bad.json", "[[{\"x\": 1}]]");
    assert_refused(desk.import("bad.json", here), 3, &["bad.json", "track 1"]);
    assert_refused(desk.import("bad.json", &[]), 3, &["--picture"]);
    assert_refused(desk.import("gone.npy", here), 3, &["gone.npy"]);
    std::fs::create_dir(desk.path("empty")).unwrap();
    assert_refused(
        desk.import("empty", here),
        3,
        &["empty", "no file of paths"],
    );
    assert!(!desk.path("back.json").exists());
}
