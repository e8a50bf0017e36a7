use super::*;
use std::collections::BTreeMap;

/// A folder in memory.
struct Folder(BTreeMap<String, Vec<u8>>);

fn picture(width: u32, height: u32, pixel: impl Fn(u32, u32) -> u8) -> Vec<u8> {
    let image = image::GrayImage::from_fn(width, height, |x, y| image::Luma([pixel(x, y)]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

impl Folder {
    /// 60 x 40 pixels; `left.jpg` is its left half, `box.jpg` a box with a soft, noisy edge as JPEG leaves it.
    fn new(json: &str) -> Self {
        let mut files = BTreeMap::new();
        files.insert(INDEX.to_owned(), json.as_bytes().to_vec());
        files.insert(
            PICTURE.to_owned(),
            picture(60, 40, |x, y| (x * 3 + y) as u8),
        );
        let left = |x, _| if x < 30 { 255 } else { 0 };
        files.insert("left.jpg".to_owned(), picture(60, 40, left));
        let soft = |x: u32, y: u32| match (x, y) {
            (40..50, 10..20) => 250,
            (39 | 50, 10..20) => 127,
            _ => 3,
        };
        files.insert("box.jpg".to_owned(), picture(60, 40, soft));
        files.insert("black.jpg".to_owned(), picture(60, 40, |_, _| 90));
        files.insert("small.jpg".to_owned(), picture(30, 20, |_, _| 255));
        Self(files)
    }

    fn read(&self) -> Result<Demo> {
        Demo::read(&mut |name| {
            assert!(!name.contains('/'), "{name} was asked for");
            self.0.get(name).cloned().ok_or_else(|| Error::Io {
                path: name.to_owned(),
                source: std::io::ErrorKind::NotFound.into(),
            })
        })
    }
}

fn refusal(json: &str) -> String {
    Folder::new(json).read().unwrap_err().to_string()
}

#[test]
fn a_folder_becomes_a_scene() {
    let json = r#"{
        "6": {"comment": "fixed ground", "mask_name": "left.jpg", "trajectory": [[10, 20], [10, 20], [10, 20]]},
        "1": {"comment": " ", "mask_name": "box.jpg", "trajectory": [[44.5, 14.5], [34.5, 14.5], [24.5, 24.5], [14.5, 34.5], [-5.5, 39.5]], "more": 1}
    }"#;
    let demo = Folder::new(json).read().unwrap();
    assert_eq!(demo.frames, 5);
    assert!(demo.notes.is_empty(), "{:?}", demo.notes);
    let [ground, thing] = &demo.scene.entities[..] else {
        panic!("{:?}", demo.scene.entities);
    };
    assert_eq!(
        (ground.name.as_str(), thing.name.as_str()),
        ("fixed ground", "box.jpg")
    );
    assert_eq!(ground.mask.area(), 30 * 40);
    // Half or more is inside; 250 is, 127 is not.
    assert_eq!(thing.mask.area(), 100);
    assert!(ground.trajectory.as_ref().unwrap().is_pin());
    // Shorter and longer ones end together, whatever the number of frames.
    for frames in [2, 5, 9] {
        let at = thing.trajectory.as_ref().unwrap().sample(frames);
        let near =
            |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).abs() < 1e-5 && (a[1] - b[1]).abs() < 1e-5;
        assert!(near(at[0], [45.0 / 60.0, 15.0 / 40.0]), "{at:?}");
        assert!(near(at[frames - 1], [-5.0 / 60.0, 1.0]), "{at:?}");
    }
    assert!(demo.scene.check().is_ok());
}

/// Nothing in the file says what lies in front of what.
#[test]
fn what_moves_lies_in_front_of_what_stays_whatever_the_file_begins_with() {
    let car = r#"{"comment": "car", "mask_name": "box.jpg", "trajectory": [[44, 14], [4, 14]]}"#;
    let ground = r#"{"comment": "ground", "mask_name": "left.jpg", "trajectory": [[10, 20]]}"#;
    let dot = r#"{"comment": "dot", "mask_name": "dot.jpg", "trajectory": [[2, 2], [40, 2]]}"#;
    for entries in [[car, ground, dot], [ground, car, dot], [dot, car, ground]] {
        let [a, b, c] = entries;
        let mut folder = Folder::new(&format!(r#"{{"1": {a}, "2": {b}, "3": {c}}}"#));
        let lit = |x, y| if x < 4 && y < 4 { 255 } else { 0 };
        folder.0.insert("dot.jpg".into(), picture(60, 40, lit));
        let scene = folder.read().unwrap().scene;
        let layers = scene.layers().into_iter();
        let names: Vec<&str> = layers.map(|i| scene.entities[i].name.as_str()).collect();
        assert_eq!(names, ["ground", "car", "dot"]);
    }
}

#[test]
fn entries_that_share_a_mask_divide_it() {
    let json = r#"{
        "1": {"mask_name": "left.jpg", "trajectory": [[4, 9], [20, 9]]},
        "2": {"mask_name": "left.jpg", "trajectory": [[4, 29]]},
        "3": {"mask_name": "left.jpg", "trajectory": [[4, 29], [5, 29]]}
    }"#;
    let demo = Folder::new(json).read().unwrap();
    let areas: Vec<usize> = demo.scene.entities.iter().map(|e| e.mask.area()).collect();
    assert_eq!(areas, [30 * 20, 30 * 20]);
    assert!(demo.scene.entities[0].mask.contains(0.1, 0.2));
    assert!(demo.scene.entities[1].mask.contains(0.1, 0.8));
    assert!(demo.notes[0].contains("entry \"3\""), "{:?}", demo.notes);
}

#[test]
fn names_that_lead_elsewhere_are_refused_before_anything_is_read() {
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/b.jpg",
        "a\\\\b.jpg",
        "C:x.jpg",
        "a\\u0000.jpg",
    ] {
        let json = format!(r#"{{"1": {{"mask_name": "{name}", "trajectory": [[1, 1]]}}}}"#);
        let said = refusal(&json);
        assert!(
            said.contains("plain name") && said.contains("\"1\""),
            "{name}: {said}"
        );
    }
}

#[test]
fn unusable_folders() {
    let one = |mask: &str, trajectory: &str| {
        refusal(&format!(
            r#"{{"7": {{"mask_name": "{mask}", "trajectory": {trajectory}}}}}"#
        ))
    };
    for (said, parts) in [
        (one("none.jpg", "[[1, 1]]"), &["none.jpg"][..]),
        (one("black.jpg", "[[1, 1]]"), &["black.jpg", "white"]),
        (
            one("small.jpg", "[[1, 1]]"),
            &["small.jpg", "30 x 20", "60 x 40"],
        ),
        (one("box.jpg", "[]"), &["\"7\"", "without any position"]),
        (one("box.jpg", "[[1, NaN]]"), &[INDEX, "finite"]),
        (one("box.jpg", "[[1, 1e999]]"), &[INDEX, "finite"]),
        (one("box.jpg", "[[1, 2, 3]]"), &[INDEX]),
        (
            one("box.jpg", "[[1, 1], [1e30, 1]]"),
            &["\"7\"", "position 2", "60 x 40"],
        ),
        (refusal("{}"), &["no entries"]),
        (refusal("[]"), &[INDEX]),
        (
            refusal(r#"{"1": {"mask_name": "box.jpg"}}"#),
            &["trajectory"],
        ),
        (refusal(&"[".repeat(100_000)), &[INDEX]),
        (
            refusal(
                r#"{"1": {"mask_name": "box.jpg", "trajectory": [[1, 1]]}, "1": {"mask_name": "box.jpg", "trajectory": [[1, 1]]}}"#,
            ),
            &["\"1\"", "twice"],
        ),
    ] {
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in: {said}");
        }
    }
    let many: Vec<String> = (0..=MAX_ENTITIES)
        .map(|i| format!(r#""{i}": {{"mask_name": "box.jpg", "trajectory": [[1, 1]]}}"#))
        .collect();
    let said = refusal(&format!("{{{}}}", many.join(",")));
    assert!(said.contains("more than 64"), "{said}");
    let mut folder = Folder::new(r#"{"1": {"mask_name": "box.jpg", "trajectory": [[1, 1]]}}"#);
    folder.0.insert(PICTURE.to_owned(), b"hello".to_vec());
    let said = folder.read().unwrap_err().to_string();
    assert!(said.contains(PICTURE), "{said}");
}
