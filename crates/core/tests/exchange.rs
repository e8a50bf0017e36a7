//! The neighbours' files, in their own form (`tests/exchange/make_exchange.py` writes them), read, written and read again.
#![cfg(not(target_family = "wasm"))]

use dragentity_core::scene::demo::Demo;
use dragentity_core::scene::exchange::{File, Format, Found, Target, Written, read, write};
use dragentity_core::scene::{Entity, Mask, Picture, Pose, Scene, Trajectory, TrajectoryPoint};
use proptest::prelude::*;

const SIZE: [u32; 2] = [640, 480];
const TARGET: Target = Target {
    size: SIZE,
    frames: None,
};

macro_rules! files {
    ($($name:literal),+) => {
        [$(File {
            name: $name.into(),
            bytes: include_bytes!(concat!("../../../tests/exchange/", $name)).to_vec(),
        }),+]
    };
}

/// All fixtures of a moving thing and of one that is held, and how exact their form is, in fractions of the picture.
fn fixtures() -> Vec<(Format, Vec<File>, f32)> {
    vec![
        (Format::KjNodes, files!["kjnodes.json"].to_vec(), 1e-3),
        (Format::Ati, files!["ati.json"].to_vec(), 1e-3),
        (Format::DragNuwa, files!["dragnuwa.json"].to_vec(), 2e-3),
        (Format::SgI2v, files!["sg_i2v_traj.npy"].to_vec(), 1e-3),
        (
            Format::WanMove,
            files!["wan_move_tracks.npy", "wan_move_visibility.npy"].to_vec(),
            1e-3,
        ),
        (Format::MotionCtrl, files!["motionctrl.txt"].to_vec(), 3e-3),
        (Format::MotionCtrl, files!["tora.txt"].to_vec(), 3e-3),
    ]
}

fn assert_near(path: &Trajectory, expected: impl Fn(f32) -> [f32; 2], tolerance: f32, what: &str) {
    for step in 0..=20 {
        let t = step as f32 / 20.0;
        let (at, to) = (path.position(t), expected(t));
        let off = (at[0] - to[0]).abs().max((at[1] - to[1]).abs());
        assert!(off <= tolerance, "{what}: {at:?} is not {to:?} at {t}");
    }
}

fn curve(t: f32) -> [f32; 2] {
    [0.25 + 0.5 * t, 0.25 + 0.3 * t * t]
}

/// A thing on a curve and one that is held.
fn scene() -> Scene {
    let disc = |x, y| {
        let mut mask = Mask::empty(320, 240);
        mask.brush([x, y], [x, y], 0.05, true);
        mask
    };
    let point = |i: u8| {
        let t = f32::from(i) / 20.0;
        let [x, y] = curve(t);
        TrajectoryPoint::new(x, y, t)
    };
    Scene {
        picture: Picture::from_rgb(SIZE[0], SIZE[1], vec![90; 640 * 480 * 3]).unwrap(),
        entities: vec![
            Entity {
                name: "cat".into(),
                mask: disc(0.25, 0.25),
                trajectory: Some(Trajectory {
                    points: (0..=20).map(point).collect(),
                }),
                ..Entity::default()
            },
            Entity {
                name: "tree".into(),
                mask: disc(0.5, 0.75),
                trajectory: Some(Trajectory::pin(0.5, 0.75)),
                ..Entity::default()
            },
        ],
        ..Scene::default()
    }
}

fn of_written(written: &Written) -> Vec<File> {
    let file = |(name, bytes): &(String, Vec<u8>)| File {
        name: name.clone(),
        bytes: bytes.clone(),
    };
    written.files.iter().map(file).collect()
}

fn check(found: &Found, tolerance: f32, what: &str) {
    assert_near(&found.paths[0].trajectory, curve, tolerance, what);
    if let Some(held) = found.paths.get(1) {
        assert!(held.trajectory.is_pin(), "{what}");
        assert_near(&held.trajectory, |_| [0.5, 0.75], tolerance, what);
    }
}

#[test]
fn files_of_the_neighbours_say_where_things_go() {
    for (format, files, tolerance) in fixtures() {
        let what = format!("{format:?} {}", files[0].name);
        assert_eq!(Format::of(&files).unwrap(), format, "{what}");
        let found = read(&files, SIZE).unwrap();
        assert_eq!(found.format, format, "{what}");
        check(&found, tolerance, &what);
        found.scene(scene().picture).check().unwrap();
    }
}

#[test]
fn one_file_a_track_is_several_tracks() {
    let found = read(&files!["motionctrl.txt", "tora.txt"], SIZE).unwrap();
    assert_eq!((found.paths.len(), found.frames), (2, Some(49)));
}

#[test]
fn what_is_written_reads_as_it_was() {
    for format in Format::ALL {
        if format == Format::DragAnything {
            continue;
        }
        let written = write(&scene(), format, TARGET).unwrap();
        let found = read(&of_written(&written), SIZE).unwrap();
        let tolerance = match format {
            // Whole pixels of 256.
            Format::MotionCtrl | Format::Tora => 4e-3,
            // Without times.
            Format::KjNodesSplines => 0.06,
            _ => 2e-3,
        };
        check(&found, tolerance, format.name());
        assert_eq!(found.paths.len(), 2, "{format:?}");
    }
}

#[test]
fn forms_are_the_neighbours_own() {
    let scene = scene();
    let text = |format| {
        let written = write(&scene, format, TARGET).unwrap();
        String::from_utf8(written.files[0].1.clone()).unwrap()
    };
    let json = |format| serde_json::from_str::<serde_json::Value>(&text(format)).unwrap();
    assert_eq!(json(Format::Ati)[0].as_array().unwrap().len(), 121);
    assert_eq!(json(Format::KjNodes)[1][80]["x"], 320.0);
    assert_eq!(json(Format::DragNuwa)[0].as_array().unwrap().len(), 14);
    assert_eq!(json(Format::DragNuwa)[1], serde_json::json!([[288, 268]]));
    let splines = json(Format::KjNodesSplines);
    assert_eq!(splines[1]["isSinglePoint"], true);
    assert_eq!(splines[0]["name"], "cat");
    assert!(splines[0].get("isSinglePoint").is_none());
    assert_eq!(text(Format::MotionCtrl).lines().count(), 16);
    assert!(text(Format::Tora).starts_with("64, 64\n"));
    assert_eq!(text(Format::Tora).split('\n').count(), 49);
}

#[test]
fn arrays_are_those_that_numpy_writes() {
    let written = write(&scene(), Format::WanMove, TARGET).unwrap();
    let header = |bytes: &[u8]| String::from_utf8_lossy(&bytes[10..96]).into_owned();
    assert!(header(&written.files[0].1).contains("'<f4'"));
    assert!(header(&written.files[0].1).contains("(1, 81, 2, 2"));
    assert!(header(&written.files[1].1).contains("'|b1'"));
    let by_columns = files!["wan_move_tracks_by_columns.npy", "wan_move_visibility.npy"];
    let by_columns = read(&by_columns, SIZE).unwrap();
    let by_rows = files!["wan_move_tracks.npy", "wan_move_visibility.npy"];
    let by_rows = read(&by_rows, SIZE).unwrap();
    assert_eq!(by_rows.notes.len(), 1, "one track is hidden for a frame");
    check(&by_columns, 1e-3, "by columns");
    check(&by_rows, 1e-3, "by rows");
}

#[test]
fn a_single_spline_is_a_list_of_points() {
    let found = read(&files!["kjnodes_single.json"], SIZE).unwrap();
    assert_eq!((found.format, found.paths.len()), (Format::KjNodes, 1));
    check(&found, 1e-3, "single");
    let python = read(&files!["kjnodes_python.txt"], SIZE).unwrap();
    check(&python, 1e-3, "written by Python");
    let mut single = scene();
    single.entities.truncate(1);
    let written = write(&single, Format::KjNodes, TARGET).unwrap();
    assert!(written.files[0].1.starts_with(b"[{\"x\":160"));
    // ATI's nodes get a list of lists all the same.
    let written = write(&single, Format::Ati, TARGET).unwrap();
    assert!(written.files[0].1.starts_with(b"[[{\"x\":160"));
}

#[test]
fn splines_of_one_name_are_handles_of_one_thing() {
    let found = read(&files!["kjnodes_splines.json"], SIZE).unwrap();
    assert_eq!(found.format, Format::KjNodesSplines);
    assert_eq!(found.frames, None);
    let made = found.scene(scene().picture);
    assert_eq!(made.entities.len(), 2);
    assert_eq!(made.entities[0].handles.len(), 1);
    assert!(made.entities[1].is_pinned());
    let straight = |t: f32| [0.25 + 0.5 * t, 0.25];
    let first = made.entities[0].trajectory.as_ref().unwrap();
    assert_near(first, straight, 1e-3, "constant speed");
    // And the way back: handles are splines of their thing's name, things of one name are told apart.
    let mut twice = made.clone();
    twice.entities.push(made.entities[1].clone());
    let written = write(&twice, Format::KjNodesSplines, TARGET).unwrap();
    let again = read(&of_written(&written), SIZE).unwrap();
    assert_eq!(again.paths.len(), 4);
    let again = again.scene(made.picture);
    assert_eq!(again.entities.len(), 3);
    assert_eq!(again.entities[0].handles.len(), 1);
}

#[test]
fn boxes_become_masks_and_masks_boxes() {
    let found = read(&files!["sg_i2v_traj.npy"], SIZE).unwrap();
    let bounds = found.paths[0].bounds.unwrap();
    for (side, expected) in bounds.iter().zip([0.2, 0.2, 0.3, 0.3]) {
        assert!((side - expected).abs() < 1e-4, "{bounds:?}");
    }
    let made = found.scene(scene().picture);
    let coverage = made.entities[0].mask.coverage();
    assert!((coverage - 0.01).abs() < 1e-3, "{coverage}");
    let written = write(&scene(), Format::SgI2v, TARGET).unwrap();
    let found = read(&of_written(&written), SIZE).unwrap();
    let around = found.paths[1].bounds.unwrap();
    // A disc of a twentieth of the width about (0.5, 0.75).
    for (side, expected) in around.iter().zip([0.45, 0.683, 0.55, 0.817]) {
        assert!((side - expected).abs() < 0.01, "{around:?}");
    }
}

#[test]
fn the_demo_folder_is_read_by_the_reader_of_demo_folders() {
    let written = write(&scene(), Format::DragAnything, TARGET).unwrap();
    let demo = Demo::read(&mut |name| {
        let file = written.files.iter().find(|(other, _)| other == name);
        Ok(file.expect("a file of the folder").1.clone())
    })
    .unwrap();
    assert_eq!((demo.frames, demo.scene.entities.len()), (14, 2));
    let cat = &demo.scene.entities[0];
    assert_eq!(cat.name, "cat");
    assert_near(cat.trajectory.as_ref().unwrap(), curve, 2e-3, "demo");
    assert!(demo.scene.entities[1].is_pinned());
    assert!(cat.mask.contains(0.25, 0.25) && !cat.mask.contains(0.5, 0.75));
}

#[test]
fn what_a_form_has_no_place_for_is_said() {
    let mut scene = scene();
    scene.background = Some(Trajectory::line([0.5, 0.5], [0.6, 0.5]));
    scene.entities[0].poses = vec![Pose {
        t: 1.0,
        rotation: 30.0,
        ..Pose::default()
    }];
    scene.entities[0].handles = vec![Trajectory::line([0.25, 0.3], [0.9, 0.3])];
    scene.entities.push(Entity {
        mask: Mask::within(&[[0.0, 0.0], [0.1, 0.0], [0.1, 0.1]], 320, 240),
        ..Entity::default()
    });
    let notes = |format| write(&scene, format, TARGET).unwrap().notes.join("; ");
    for words in ["camera", "cat is turned", "entity 3 has no path"] {
        assert!(notes(Format::Ati).contains(words), "{}", notes(Format::Ati));
    }
    assert!(notes(Format::SgI2v).contains("first handle"));
    assert!(notes(Format::KjNodesSplines).contains("rhythm"));
    scene.entities[0].trajectory = Some(Trajectory::line([0.25, 0.25], [1.4, 0.25]));
    let held = write(&scene, Format::DragNuwa, TARGET).unwrap();
    assert!(held.notes.join("; ").contains("leaves the 576 x 320"));
    let lists: Vec<Vec<[i64; 2]>> = serde_json::from_slice(&held.files[0].1).unwrap();
    assert_eq!(lists[0].last().unwrap()[0], 575);
    // Handles are tracks of their own.
    assert_eq!(lists.len(), 3);
    let nothing = write(&Scene::default(), Format::Ati, TARGET).unwrap_err();
    assert!(nothing.to_string().contains("nothing in it has a path"));
    let hour = Target {
        frames: Some(90_000),
        ..TARGET
    };
    assert!(write(&scene, Format::KjNodes, hour).is_err());
}

#[test]
fn bad_files_are_named() {
    let kinds: [(&str, &str); 14] = [
        ("", "no form this program knows"),
        ("[]", "no form"),
        ("[[]]", "no positions"),
        ("[1, 2]", "no form"),
        (r#"{"dragentity": 1}"#, "preset"),
        (
            r#"{"1": {"mask_name": "a.jpg", "trajectory": [[1, 2]]}}"#,
            "--demo",
        ),
        (r#"[{"x": 1}]"#, "position 1 of track 1"),
        (
            r#"[[{"x": 1, "y": 2}, {"x": "1", "y": 2}]]"#,
            "position 2 of track 1",
        ),
        (r#"[[{"x": 1e300, "y": 2}]]"#, "not on or near"),
        (r#"[{"points": 3}]"#, "not a list"),
        (r#"[{"points": []}]"#, "no position"),
        ("[[[1, 2]], 3]", "not a list"),
        ("12, 13\nabc", "line 2"),
        ("12, 13\n1e9, 2", "not on or near"),
    ];
    for (text, words) in kinds {
        let file = File {
            name: "my.file".into(),
            bytes: text.into(),
        };
        let error = read(&[file], SIZE).unwrap_err().to_string();
        assert!(
            error.contains("my.file") && error.contains(words),
            "{text}: {error}"
        );
    }
    let pickled = read(&files!["pickled.npy"], SIZE).unwrap_err().to_string();
    assert!(pickled.contains("pickled.npy"), "{pickled}");
    let mixed = read(&files!["ati.json", "motionctrl.txt"], SIZE).unwrap_err();
    assert!(mixed.to_string().contains("motionctrl.txt"), "{mixed}");
    let two = read(&files!["ati.json", "ati.json"], SIZE).unwrap_err();
    assert!(two.to_string().contains("one after the other"), "{two}");
    let alone = read(&files!["wan_move_visibility.npy"], SIZE).unwrap_err();
    assert!(!alone.to_string().is_empty());
    let many: Vec<_> = (0..65).map(|i| format!("[[{i}, 1], [2, 2]]")).collect();
    let many = File {
        name: "many.json".into(),
        bytes: format!("[{}]", many.join(",")).into(),
    };
    let error = read(&[many], SIZE).unwrap_err().to_string();
    assert!(error.contains("65 tracks"), "{error}");
}

#[test]
fn a_header_that_nests_without_end_is_refused() {
    let header = "[".repeat(60_000);
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    let file = File {
        name: "deep.npy".into(),
        bytes,
    };
    let error = read(&[file], SIZE).unwrap_err().to_string();
    assert!(error.contains("header"), "{error}");
}

/// An array whose header says `shape` and `kind`.
fn array(shape: &str, kind: &str, data: &[u8]) -> File {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
    File {
        name: "array.npy".into(),
        bytes,
    }
}

#[test]
fn arrays_of_nothing_are_refused_whatever_their_other_sides() {
    for shape in [
        "(0, 18446744073709551450, 2)",
        "(18446744073709551615, 0, 2)",
        "(1, 0, 9, 2)",
    ] {
        let error = read(&[array(shape, "<f4", &[])], SIZE).unwrap_err();
        assert!(error.to_string().contains("none"), "{shape}: {error}");
    }
}

proptest! {
    #[test]
    fn cut_and_changed_files_never_panic(which in 0usize..7, at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let (_, mut files, _) = fixtures().swap_remove(which);
        let at = at.index(files[0].bytes.len());
        match cut {
            true => files[0].bytes.truncate(at),
            false => files[0].bytes[at] = byte,
        }
        if let Ok(found) = read(&files, SIZE) {
            prop_assert!(!found.paths.is_empty());
            let scene = found.scene(Picture::from_rgb(64, 48, vec![0; 64 * 48 * 3]).unwrap());
            prop_assert!(scene.check().is_ok());
        }
    }

    #[test]
    fn arrays_of_any_shape_never_panic(
        shape in r"\((0|1|2|3|81|18446744073709551615|4294967296)?(, ?(0|1|2|5|4294967296|18446744073709551450)){0,4},?\)",
        kind in r"(<|>|\|)(f4|f8|i8|b1|u1|O|S3|c16)",
        data in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = read(&[array(&shape, &kind, &data)], SIZE);
        let _ = read(&[array(&shape, &kind, &data), array("(1, 2, 2)", "|b1", &[1, 0, 1, 7])], SIZE);
    }
}

#[test]
fn what_goes_along_with_another_is_written_too() {
    let mut scene = scene();
    scene.entities[0].group = Some(1);
    let mut mask = Mask::empty(320, 240);
    mask.brush([0.6, 0.25], [0.6, 0.25], 0.05, true);
    scene.entities.push(Entity {
        name: "rider".into(),
        mask,
        group: Some(1),
        ..Entity::default()
    });
    let target = Target {
        size: SIZE,
        frames: Some(33),
    };
    let written = write(&scene, Format::WanMove, target).unwrap();
    assert!(written.notes.is_empty(), "{:?}", written.notes);
    let found = read(&of_written(&written), SIZE).unwrap();
    assert_eq!(found.paths.len(), 3);
    let along = |t: f32| {
        let [x, y] = curve(t);
        [x + 0.35, y]
    };
    assert_near(&found.paths[2].trajectory, along, 0.005, "the rider");
}
