//! `dragentity parts`: a rendered person divided by the shipped parser, and what is refused.

use super::person::person;
use super::{Desk, assert_refused, ending};
use std::collections::BTreeMap;
use std::path::Path;

impl Desk {
    fn with_person() -> Self {
        let desk = Self::new();
        let (picture, mask) = person();
        picture.save(desk.path("person.png")).unwrap();
        mask.save(desk.path("person_mask.png")).unwrap();
        desk
    }

    fn parts(&self, args: &[&str]) -> (i32, String) {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/mini");
        let mut command = self.program();
        command.args(["parts", "person.png", "--device", "cpu"]);
        command.arg("--model").arg(model).args(args);
        ending(command)
    }
}

#[test]
fn a_person_becomes_its_parts() {
    let desk = Desk::with_person();
    let args = "--mask person_mask.png -o parts.json --overlay parts.png";
    let said = desk.parts(&args.split(' ').collect::<Vec<_>>());
    assert_eq!(said.0, 0, "{}", said.1);
    let preset: serde_json::Value =
        serde_json::from_slice(&std::fs::read(desk.path("parts.json")).unwrap()).unwrap();
    let whole = image::open(desk.path("person_mask.png"))
        .unwrap()
        .to_luma8();
    let mut area = 0;
    // Height of the middle of each part.
    let mut height = BTreeMap::new();
    for entity in preset["entities"].as_array().unwrap() {
        assert_eq!(entity["group"], 1);
        let (mut at, mut rows, mut count, mut inside) = (0, 0, 0, false);
        for run in entity["mask"]["runs"].as_array().unwrap() {
            let run = run.as_u64().unwrap() as usize;
            if inside {
                rows += (at..at + run)
                    .map(|p| p / whole.width() as usize)
                    .sum::<usize>();
                count += run;
            }
            (at, inside) = (at + run, !inside);
        }
        area += count;
        height.insert(
            entity["name"].as_str().unwrap().to_owned(),
            rows / count.max(1),
        );
    }
    let white = whole.pixels().filter(|p| p.0[0] >= 128).count();
    assert_eq!(area, white, "parts share out the mask");
    assert!(height.len() >= 8, "{height:?}");
    assert!(height["head"] < height["torso"], "{height:?}");
    for side in ["left", "right"] {
        let of = |part: &str| height.get(&format!("{side} {part}")).copied();
        if let (Some(upper), Some(lower)) = (of("upper leg"), of("lower leg")) {
            assert!(height["torso"] < upper && upper < lower, "{height:?}");
        }
    }
    let drawn = image::open(desk.path("parts.png")).unwrap().to_rgb8();
    let picture = image::open(desk.path("person.png")).unwrap().to_rgb8();
    assert_eq!(drawn.dimensions(), picture.dimensions());
    assert_ne!(drawn, picture);
}

#[test]
fn what_is_no_person_or_no_weights_is_refused() {
    let desk = Desk::with_person();
    // The top left corner, where nobody is.
    let (w, h) = image::image_dimensions(desk.path("person.png")).unwrap();
    let corner = |x: u32, y: u32| image::Luma([if x < w / 7 && y < h / 7 { 255 } else { 0 }]);
    image::GrayImage::from_fn(w, h, corner)
        .save(desk.path("corner.png"))
        .unwrap();
    let refused = |args: &str, code: i32, parts: &[&str]| {
        let said = desk.parts(&args.split(' ').collect::<Vec<_>>());
        assert_refused(said, code, parts);
    };
    refused(
        "--mask corner.png -o parts.json",
        3,
        &["does not look like a person"],
    );
    assert!(!desk.path("parts.json").exists());
    refused("--mask person_mask.png", 3, &["-o or --overlay"]);
    desk.write("lip.pth", [0; 8]);
    refused(
        "--mask person_mask.png -o parts.json --schp lip.pth",
        4,
        &["lip.pth"],
    );
}
