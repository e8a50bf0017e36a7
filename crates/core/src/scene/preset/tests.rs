use super::*;
use proptest::prelude::*;
use std::io::Write;
use std::sync::{Arc, LazyLock};

fn scene() -> Scene {
    let picture = Picture {
        width: 300,
        height: 200,
        rgb: Arc::new((0..300 * 200 * 3).map(|i| (i % 251) as u8).collect()),
    };
    let mut mask = Mask::empty(300, 200);
    mask.brush([0.2, 0.3], [0.5, 0.6], 0.1, true);
    let cat = Entity {
        name: "cat".into(),
        mask,
        trajectory: Some(Trajectory::line([0.3, 0.4], [0.70004, 0.2])),
        handles: vec![Trajectory::pin(0.25, 0.35)],
        poses: vec![Pose {
            t: 1.0,
            rotation: 20.0,
            scale: 1.5,
            depth: -1.0,
        }],
        skeleton: Skeleton::of_list(&[[0.25, 0.123_46, 0.9]; JOINTS]),
        group: Some(3),
        part: Some(Part::Head),
        strength: Strength::new(0.25),
        shadow: Shadow::None,
        look: Look {
            hidden: true,
            locked: true,
            colour: Some(5),
        },
    };
    let mut dot = Mask::empty(300, 200);
    dot.alpha[40_000] = 255;
    let mut shadow = Mask::empty(300, 200);
    shadow.brush([0.5, 0.8], [0.7, 0.8], 0.05, true);
    let mut from = Mask::empty(300, 200);
    from.brush([0.1, 0.1], [0.9, 0.1], 0.1, true);
    let still = Entity {
        name: "a dot".into(),
        mask: dot,
        shadow: Shadow::Marked(shadow),
        ..Entity::default()
    };
    Scene {
        picture,
        entities: vec![cat, still],
        background: Some(Trajectory::pin(0.5, 0.5)),
        behind: Behind {
            plate: None,
            from: Some(from),
        },
        ..Scene::default()
    }
}

fn preset() -> Preset {
    Preset::new(
        &scene(),
        &Settings {
            seed: u64::MAX,
            frames: 12,
            ..Default::default()
        },
    )
}

fn said(text: &str) -> String {
    match Preset::parse(text) {
        Err(e @ Error::Preset(_)) => e.to_string(),
        Err(e) => panic!("wrong kind of error: {e}"),
        Ok(_) => panic!("accepted: {text}"),
    }
}

fn packed(json: &str) -> String {
    let zipped = miniz_oxide::deflate::compress_to_vec_zlib(json.as_bytes(), 6);
    format!(
        "#s={}",
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(zipped)
    )
}

#[test]
fn every_form_of_a_preset_reads_back() {
    let preset = preset();
    let link = preset.to_link("http://127.0.0.1:8080/index.html#old");
    assert!(link.starts_with("http://127.0.0.1:8080/index.html#s="));
    let fragment = preset.to_fragment();
    let (start, end) = link.split_at(200);
    let of_link = Preset::parse(&link).unwrap();
    assert!(like(&of_link, &preset));
    for text in [
        format!("  {link}\n"),
        format!("{link}>, see?"),
        format!("{start}\r\n  {end}"),
        link.replace('-', "%2D").replace('_', "%5f"),
    ] {
        assert!(
            Preset::parse(&text).is_ok_and(|read| read == of_link),
            "{text}"
        );
    }
    let old = format!("http://127.0.0.1:8080/index.html#{fragment}");
    let (start, end) = old.split_at(200);
    for text in [
        preset.to_json(),
        format!("\u{feff}\n{}", preset.to_json()),
        old.clone(),
        format!("  {old}\n"),
        format!("{old}>, see?"),
        format!("{start}\r\n  {end}"),
        fragment.clone(),
        format!("#{fragment}"),
        format!("#lang=en&{fragment}&x=1"),
        format!("http://x/?{fragment}"),
        format!("#{}==", fragment.replace('-', "%2D").replace('_', "%5f")),
    ] {
        match Preset::parse(&text) {
            Ok(read) => assert!(read == preset, "{text}"),
            Err(e) => panic!("{e}: {text}"),
        }
    }
}

/// Of the pixels in one of two masks, how many are in both, at the second one's size.
fn overlap(a: &Mask, b: &Mask) -> f64 {
    let a = a.resized(b.width, b.height);
    let count = |f: fn(bool, bool) -> bool| {
        let both = a.alpha.iter().zip(&b.alpha);
        both.filter(|(a, b)| f(**a >= 128, **b >= 128)).count() as f64
    };
    count(|a, b| a && b) / count(|a, b| a || b).max(1.0)
}

/// Whether one is the other as a short link brings it: all the same but for the masks, which are nearly.
fn like(read: &Preset, sent: &Preset) -> bool {
    let same = |a: &Mask, b: &Mask| overlap(a, b) > 0.97;
    let mut outlined = read.clone();
    for (mine, theirs) in outlined.entities.iter_mut().zip(&sent.entities) {
        if let (Shadow::Marked(a), Shadow::Marked(b)) = (&mut mine.shadow, &theirs.shadow)
            && same(a, b)
        {
            *a = b.clone();
        }
        if same(&mine.mask, &theirs.mask) {
            mine.mask = theirs.mask.clone();
        }
    }
    if let (Some(a), Some(b)) = (&mut outlined.fill_from, &sent.fill_from)
        && same(a, b)
    {
        *a = b.clone();
    }
    outlined == *sent
}

/// The masks of the shipped scenes, and of the folder of pictures of masks that DRAGENTITY_MASKS names.
fn masks() -> Vec<(String, Mask)> {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../www/samples");
    let mut masks = Vec::new();
    for name in ["cat", "coffee", "astronaut"] {
        let text = std::fs::read_to_string(format!("{samples}/{name}.json")).unwrap();
        let preset = Preset::parse(&text).unwrap();
        masks.extend(preset.entities.into_iter().map(|e| (name.into(), e.mask)));
    }
    let folder = std::env::var("DRAGENTITY_MASKS").ok();
    for file in folder.iter().flat_map(|f| std::fs::read_dir(f).unwrap()) {
        let path = file.unwrap().path();
        let (bytes, name) = (std::fs::read(&path).unwrap(), path.display().to_string());
        let mut mask = Mask::from_png(&bytes, &name).unwrap();
        mask.alpha
            .iter_mut()
            .for_each(|a| *a = if *a > 0 { 255 } else { 0 });
        masks.push((name, mask));
    }
    masks
}

/// Three things of the shipped scenes, each with a path drawn by hand; `cargo test -p dragentity-core short_link -- --nocapture` with a
/// folder of masks says what other ones take.
#[test]
fn a_short_link_takes_three_masks_and_brings_them_back() {
    let masks = masks();
    let picture = scene().picture;
    let bytes = |masks: &[&Mask]| {
        let entities = masks.iter().enumerate().map(|(i, mask)| Entity {
            name: format!("Entity {}", i + 1),
            mask: (*mask).clone(),
            trajectory: Some(Trajectory {
                points: (0..9)
                    .map(|k| {
                        TrajectoryPoint::new(
                            0.2 + 0.071_31 * k as f32,
                            0.5 + 0.113 * (k as f32 * 0.9 + i as f32).sin(),
                            k as f32 / 8.0,
                        )
                    })
                    .collect(),
            }),
            ..Entity::default()
        });
        let scene = Scene {
            picture: picture.clone(),
            entities: entities.collect(),
            ..Scene::default()
        };
        let sent = Preset::rounded(&scene, &Settings::default());
        let link = sent.to_link("https://example.org/dragentity/");
        let read = Preset::parse(&link).unwrap();
        for (back, mask) in read.entities.iter().zip(masks) {
            // As the page has it.
            let back = back.mask.resized(mask.width, mask.height);
            let alike = overlap(&back, mask);
            assert!(alike >= 0.97, "{alike}");
        }
        for (back, sent) in read.entities.iter().zip(&sent.entities) {
            assert_eq!(back.trajectory, sent.trajectory);
        }
        link.len()
    };
    let nothing = bytes(&[]);
    // Whoever names a folder wants to know.
    let mut out = std::io::stderr();
    for (name, mask) in &masks {
        let length = bytes(&[mask]) - nothing;
        let coarse = coded::coarse(mask, coded::ALIKE[0]);
        let alike = overlap(&coarse, mask);
        let _ = writeln!(
            out,
            "{name}: {length} characters, {} x {}, {alike:.3}",
            coarse.width, coarse.height
        );
    }
    let threes: Vec<usize> = masks
        .chunks_exact(3)
        .map(|three| {
            let three: Vec<&Mask> = three.iter().map(|(_, mask)| mask).collect();
            bytes(&three)
        })
        .collect();
    let _ = writeln!(out, "three at a time: {threes:?} characters");
    // Those that ship; nets and bicycles take more.
    assert!(threes[0] < 1500, "{} characters", threes[0]);
}

#[test]
fn a_link_of_thin_things_is_as_coarse_as_it_has_to_be() {
    // Lines from a point to a wing, as a paraglider's.
    let glider = |phase: f32| {
        let mut mask = Mask::empty(512, 384);
        for i in 0..14 {
            let x = 0.15 + 0.05 * i as f32;
            let to = [x, 0.25 + 0.1 * (6.0 * x + phase).sin()];
            mask.brush([0.5, 0.8], to, 0.0035, true);
            mask.brush(to, [x + 0.06, to[1] + 0.02], 0.02, true);
        }
        mask
    };
    let mut preset = preset();
    let whole = preset.entities[0].clone();
    preset.entities = (0..3)
        .map(|i| Entity {
            mask: glider(i as f32),
            ..whole.clone()
        })
        .collect();
    let exact = preset.link_of("http://x/", coded::ALIKE[0]);
    let link = preset.to_link("http://x/");
    assert!(
        exact.len() > super::LINK,
        "{} characters need no more",
        exact.len()
    );
    assert!(
        link.len() <= super::LINK,
        "{} of {}",
        link.len(),
        exact.len()
    );
    let read = Preset::parse(&link).unwrap();
    for (back, sent) in read.entities.iter().zip(&preset.entities) {
        let back = back.mask.resized(512, 384);
        let alike = overlap(&back, &sent.mask);
        assert!(alike >= 0.79, "{alike}");
    }
}

#[test]
fn a_short_link_that_is_damaged_is_refused_or_harmless() {
    let link = preset().to_link("http://x/");
    for end in 13..link.len() - 12 {
        let why = said(&link[..end]);
        assert!(why.contains("damaged or cut short"), "{end}: {why}");
    }
    let bytes = |bytes: &[u8]| {
        let packed = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        said(&format!("#s={packed}"))
    };
    let json = |json: &str| {
        let json = miniz_oxide::deflate::compress_to_vec(json.as_bytes(), 6);
        let mut all = vec![SHORT];
        all.extend((json.len() as u16).to_be_bytes());
        all.extend(json);
        all.extend([7; 90]);
        bytes(&all)
    };
    let mask = |width: u32| format!("{{\"mask\":{{\"width\":{width},\"height\":9}}}}");
    let with = |entities: String| {
        json(&format!(
            "{{\"dragentity\":1,\"picture\":{{\"width\":9,\"height\":9}},\"entities\":[{entities}]}}"
        ))
    };
    for why in [
        bytes(&[SHORT]),
        bytes(&[SHORT, 0, 9, 1]),
        json("[]"),
        json("{\"dragentity\":2}"),
        json(&" ".repeat(6 << 20)),
        with(mask(0)),
        with(mask(EDIT_SIDE + 1)),
        with(vec![mask(9); MAX_ENTITIES + 1].join(",")),
    ] {
        assert!(why.contains("damaged or cut short"), "{why}");
    }
}

#[test]
fn to_be_run_elsewhere_nothing_is_scaled_or_rounded() {
    let scene = scene();
    let whole = Preset::whole(&scene, &Settings::default());
    let back = Preset::parse(&whole.to_json()).unwrap();
    let back = back.scene(scene.picture.clone()).unwrap();
    assert_eq!(back.background, scene.background);
    assert_eq!(back.entities.len(), scene.entities.len());
    let runs = |mask: &Option<Mask>| mask.as_ref().map(Mask::to_runs);
    assert_eq!(runs(&back.behind.from), runs(&scene.behind.from));
    for (back, sent) in back.entities.iter().zip(&scene.entities) {
        match (&back.shadow, &sent.shadow) {
            (Shadow::Marked(back), Shadow::Marked(sent)) => {
                assert_eq!(back.to_runs(), sent.to_runs());
            }
            (back, sent) => assert_eq!(back, sent),
        }
        assert_eq!(back.trajectory, sent.trajectory);
        assert!((back.mask.width, back.mask.height) == (sent.mask.width, sent.mask.height));
        assert_eq!(back.mask.to_runs(), sent.mask.to_runs());
    }
    // What goes into a link is.
    let mut large = scene;
    large.entities[0].mask = large.entities[0].mask.resized(480, 320);
    let small = Preset::new(&large, &Settings::default());
    assert_ne!(small.entities[0].trajectory, large.entities[0].trajectory);
    assert!(small.entities[0].mask.width < 480);
    large.entities[0].shadow = Shadow::Marked(large.entities[0].mask.clone());
    large.behind.from = Some(large.entities[0].mask.clone());
    let small = Preset::new(&large, &Settings::default());
    let Shadow::Marked(shadow) = &small.entities[0].shadow else {
        panic!("the shadow is lost")
    };
    assert!(shadow.width == MASK_SIDE && small.fill_from.unwrap().width == MASK_SIDE);
}

#[test]
fn a_scene_comes_back_on_its_picture() {
    let scene = scene();
    let preset = preset();
    assert_eq!(preset.fits(&scene.picture), Fit::Same);
    let back = preset.scene(scene.picture.clone()).unwrap();
    assert_eq!(back.entities.len(), 2);
    assert_eq!(back.entities[0].name, "cat");
    let (a, b) = (&scene.entities[0].mask, &back.entities[0].mask);
    assert_eq!((b.width, b.height), (300, 200));
    let apart = a
        .alpha
        .iter()
        .zip(&b.alpha)
        .filter(|(a, b)| (**a >= 128) != (**b >= 128))
        .count();
    assert!(
        apart * 20 < a.area(),
        "{apart} of {} pixels differ",
        a.area()
    );
    // A single pixel of a large mask is still there.
    assert!(!preset.entities[1].mask.is_empty());
    assert!((back.entities[0].trajectory.as_ref().unwrap().points[1].x - 0.7).abs() < 1e-6);
}

#[test]
fn other_pictures() {
    let preset = preset();
    let grey = |w: u32, h: u32| Picture {
        width: w,
        height: h,
        rgb: Arc::new(vec![90; (w * h * 3) as usize]),
    };
    assert_eq!(preset.fits(&scene().picture.resized(600, 400)), Fit::Same);
    assert_eq!(preset.fits(&grey(600, 400)), Fit::SameAspect);
    assert!(preset.scene(grey(602, 400)).is_ok());
    assert_eq!(preset.fits(&grey(400, 400)), Fit::Different);
    let why = preset.scene(grey(400, 400)).err().unwrap().to_string();
    assert!(
        why.contains("300 x 200") && why.contains("400 x 400") && why.contains("open the picture"),
        "{why}"
    );
    assert_eq!(preset.fits(&Picture::default()), Fit::Different);
}

#[test]
fn refusals_say_what_and_what_to_do() {
    assert!(said("").contains("is empty"));
    assert!(said(" \n").contains("is empty"));
    assert!(said("https://example.org/").contains("carries no scene"));
    assert!(said("https://example.org/#s=").contains("carries no scene"));
    assert!(said("hello").contains("neither"));
    assert!(said("#s=AAAA").contains("damaged or cut short"));
    let link = preset().to_link("http://x/");
    for cut in [link.len() - 9, link.len() / 2, 20] {
        assert!(
            said(&link[..cut]).contains("damaged or cut short"),
            "cut at {cut}"
        );
    }
    assert!(said("{").contains("cut short"));
    assert!(said("{]").contains("cannot be read"));
    assert!(said("{}").contains("not written by DragEntity"));
    assert!(said("{\"dragentity\": 2}").contains("newer DragEntity"));
    assert!(said("{\"dragentity\": \"x\"}").contains("version"));
    assert!(said("{\"dragentity\": 1}").contains("picture"));
    assert!(said(&packed("{\"dragentity\": 99}")).contains("newer"));
    assert!(said(&packed("[]")).contains("damaged"));
    let bomb = packed(&" ".repeat(50 << 20));
    assert!(bomb.len() < 100_000 && said(&bomb).contains("unpacks to more than 4 MB"));
    assert!(said(&" x".repeat(4 << 20)).contains("MB of text"));
}

#[test]
fn hostile_numbers_are_named() {
    let head = "{\"dragentity\":1,\"picture\":{\"width\":30,\"height\":20},";
    let mask = "\"mask\":{\"width\":2,\"height\":2,\"runs\":[1,3]}";
    let ok = format!("{head}\"entities\":[{{{mask}}}]}}");
    // Without a word about it a shadow is looked for, as in presets of before there was one.
    assert_eq!(
        Preset::parse(&ok).unwrap().entities[0].shadow,
        Shadow::Found
    );
    let with = |from: &str, to: &str| said(&ok.replace(from, to));
    assert!(with("\"width\":30", "\"width\":0").contains("0 x 20"));
    assert!(with("\"width\":30", "\"width\":4000000000").contains("picture of"));
    assert!(with("\"width\":30", "\"width\":-1").contains("cannot be read"));
    assert!(with("\"width\":30", "\"width\":1e400").contains("cannot be read"));
    assert!(with("[1,3]", "[4,294967295]").contains("mask is damaged"));
    assert!(with("\"width\":2", "\"width\":60000").contains("entity 1 has a mask"));
    let entity = format!("{{{mask}}},");
    let many = format!("{head}\"entities\":[{}{{{mask}}}]}}", entity.repeat(64));
    assert!(said(&many).contains("65 entities"));
    for (points, what) in [
        ("[]", "0 points"),
        ("[[1e39,0,0]]", "far outside"),
        ("[[0,0,0],[-999,0,1]]", "point 2"),
        ("[[null,0,0]]", "cannot be read"),
        ("[[0,0]]", "cannot be read"),
    ] {
        let why = with("\"mask\"", &format!("\"trajectory\":{points},\"mask\""));
        assert!(why.contains(what), "{why}");
    }
    let long = format!(
        "\"trajectory\":[{}[0,0,1]],\"mask\"",
        "[0,0,0],".repeat(300)
    );
    assert!(with("\"mask\"", &long).contains("301 points"));
    let settings = format!("{head}\"settings\":{{\"frames\":100000}}}}");
    assert!(said(&settings).contains("frames is 100000"));
    let nested = format!("{{\"dragentity\":1,\"x\":{}", "[".repeat(100_000));
    assert!(said(&nested).contains("cut short"));
}

#[test]
fn handles_and_poses_are_bounded_and_left_out_where_there_are_none() {
    let json = preset().to_json();
    assert!(json.contains("\"handles\":[[[0.25,0.35,0.0]]]") && json.contains("\"poses\":[{"));
    // The other entity has neither.
    assert_eq!(json.matches("\"handles\"").count(), 1);
    let with = |from: &str, to: &str| {
        assert!(json.contains(from), "{from} in {json}");
        json.replace(from, to)
    };
    let many = format!("\"handles\":[{}]", vec!["[[0.1,0.1,0.0]]"; 25].join(","));
    let poses = format!("\"poses\":[{}]", vec!["{}"; 33].join(","));
    for (text, why) in [
        (with("\"handles\":[[[0.25,0.35,0.0]]]", &many), "25 handles"),
        (
            with(
                "\"handles\":[[[0.25,0.35,0.0]]]",
                &poses.replace("\"poses\"", "\"handles\":[],\"poses\""),
            ),
            "duplicate field",
        ),
        (
            with("\"rotation\":20.0", "\"rotation\":4000"),
            "pose 1 of entity 1 is out of bounds",
        ),
        (with("\"scale\":1.5", "\"scale\":0.01"), "out of bounds"),
        (with("\"t\":1.0,\"rot", "\"t\":1e39,\"rot"), "out of bounds"),
        (with("0.25,0.35,0.0", "99,0.35,0.0"), "far outside"),
        (with("[[0.25,0.35,0.0]]", "[]"), "0 points"),
    ] {
        let why_not = said(&text);
        assert!(why_not.contains(why), "{why_not}");
    }
    // A preset that was written by hand: handles alone, and a pose that says one thing.
    let text = json
        .replacen("\"trajectory\":", "\"ignored\":", 1)
        .replace("\"scale\":1.5,", "");
    let read = Preset::parse(&text).unwrap();
    let cat = &read.entities[0];
    assert_eq!(cat.trajectory, Some(Trajectory::pin(0.25, 0.35)));
    assert!(cat.handles.is_empty());
    assert_eq!((cat.poses[0].scale, cat.poses[0].rotation), (1.0, 20.0));
}

#[test]
fn an_order_that_somebody_set_is_kept_and_so_is_that_of_old_presets() {
    let old = r#"{"dragentity": 1, "picture": {"width": 300, "height": 200}, "entities": [
        {"name": "car", "mask": {"width": 2, "height": 2, "runs": [0, 1, 3]}, "trajectory": [[0.2, 0.2, 0], [0.7, 0.2, 1]]},
        {"name": "ground", "mask": {"width": 2, "height": 2, "runs": [2, 2]}, "trajectory": [[0.5, 0.7, 0]]}]}"#;
    let preset = Preset::parse(old).unwrap();
    let picture = scene().picture;
    let kept = preset.scene(picture.clone()).unwrap();
    assert_eq!((kept.order, kept.layers()), (Order::AsListed, vec![0, 1]));
    // What it was is what it is when it is written again, and a link of it is no longer than it was.
    assert!(!preset.to_json().contains("order"));
    assert_eq!(Preset::parse(&preset.to_fragment()).unwrap(), preset);

    // Where nobody has set one, whoever opens it puts the ground behind the car, and goes on doing so.
    let automatic = old.replacen("\"entities\"", "\"order\": \"automatic\", \"entities\"", 1);
    let preset = Preset::parse(&automatic).unwrap();
    let made = preset.scene(picture).unwrap();
    assert_eq!((made.order, made.layers()), (Order::Automatic, vec![1, 0]));
    let names: Vec<&str> = made.entities.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["car", "ground"], "the list stays as it is");
    for again in [
        Preset::new(&made, &Settings::default()),
        Preset::whole(&made, &Settings::default()),
    ] {
        for text in [again.to_json(), again.to_fragment()] {
            assert_eq!(Preset::parse(&text).unwrap().order, Order::Automatic);
        }
    }
    for nonsense in ["3", "\"sideways\"", "[1, 0]", "{}", "true"] {
        let why = said(&automatic.replace("\"automatic\"", nonsense));
        assert!(why.contains("cannot be read"), "{why}");
    }
}

#[test]
fn parts_are_told_by_their_kind_and_in_old_presets_by_their_name() {
    let part = |entity: &str| {
        let mask = r#""mask": {"width": 2, "height": 2, "runs": [0, 4]}"#;
        let text = format!(
            r#"{{"dragentity": 1, "picture": {{"width": 3, "height": 2}}, "entities": [{{{mask}, {entity}}}]}}"#
        );
        Preset::parse(&text).map(|preset| preset.entities[0].part)
    };
    let of = |entity| part(entity).unwrap();
    assert_eq!(
        of(r#""name": "left upper arm", "group": 1"#),
        Some(Part::LeftUpperArm)
    );
    assert_eq!(
        of(r#""name": "wing", "group": 1, "part": "left_upper_arm""#),
        Some(Part::LeftUpperArm)
    );
    assert_eq!(
        of(r#""name": "head", "group": 1, "part": "torso""#),
        Some(Part::Torso)
    );
    // A cat's head is nobody's part.
    assert_eq!(of(r#""name": "head""#), None);
    assert_eq!(of(r#""name": "Head", "group": 1"#), None);
    for nonsense in ["7", "\"tail\"", "[]"] {
        let why = part(&format!(r#""group": 1, "part": {nonsense}"#))
            .unwrap_err()
            .to_string();
        assert!(why.contains("cannot be read"), "{why}");
    }
    let text = preset().to_json();
    assert!(text.contains(r#""group":3,"part":"head""#), "{text}");
    // Whoever is no part says nothing of it.
    assert_eq!(text.matches("\"part\"").count(), 1);
}

#[test]
fn what_a_preset_does_not_say_is_left_open() {
    let text =
        r#"{"dragentity": 1, "picture": {"width": 3, "height": 2}, "settings": {"frames": 12}}"#;
    let preset = Preset::parse(text).unwrap();
    let chosen = Choice {
        frames: Some(12),
        ..Choice::default()
    };
    assert_eq!(preset.settings, chosen);
    assert_eq!(Preset::parse(&preset.to_json()).unwrap().settings, chosen);
}

fn trajectories() -> impl Strategy<Value = Option<Trajectory>> {
    prop::option::of(
        prop::collection::vec((-2f32..3.0, -2f32..3.0, 0f32..1.0, any::<bool>()), 1..30).prop_map(
            |points| {
                rounded(&Trajectory {
                    points: points
                        .into_iter()
                        .map(|(x, y, t, corner)| TrajectoryPoint { x, y, t, corner })
                        .collect(),
                })
            },
        ),
    )
}

fn entities() -> impl Strategy<Value = Entity> {
    (
        1u32..40,
        1u32..40,
        any::<u64>(),
        "\\PC{0,20}",
        (
            trajectories(),
            prop::collection::vec(trajectories(), 0..4),
            prop::collection::vec((0f32..=1.0, -720f32..720.0, 0.05f32..20.0), 0..3),
            prop::option::of(prop::collection::vec(
                (-9f32..9.0, -9f32..9.0, 0f32..=1.0),
                JOINTS,
            )),
        ),
        any::<Option<u32>>(),
        prop::option::of(prop::sample::select(Part::ALL.to_vec())),
    )
        .prop_map(
            |(w, h, seed, name, (trajectory, handles, poses, joints), group, part)| {
                let pose = |(t, rotation, scale)| Pose {
                    t,
                    rotation,
                    scale,
                    depth: t - 0.5,
                };
                // Named as a part is and in a group, an entity is that part.
                let named = part_of_old(&name).filter(|_| group.is_some());
                let alpha = (0..w * h)
                    .map(|i| if (seed >> (i % 61)) & 1 == 1 { 255 } else { 0 })
                    .collect();
                let mask = Mask {
                    width: w,
                    height: h,
                    alpha,
                };
                let shadow = match seed % 3 {
                    0 => Shadow::Found,
                    1 => Shadow::None,
                    _ => Shadow::Marked(mask.clone()),
                };
                Entity {
                    name: clean_name(&name),
                    mask,
                    trajectory,
                    handles: handles.into_iter().flatten().collect(),
                    poses: poses.into_iter().map(pose).collect(),
                    skeleton: joints.and_then(|list| {
                        let list: Vec<[f32; 3]> = list.into_iter().map(<[f32; 3]>::from).collect();
                        Skeleton::of_list(&list)
                    }),
                    group,
                    strength: Strength::new(seed as f32 / u64::MAX as f32),
                    part: part.or(named),
                    shadow,
                    look: Look {
                        hidden: seed % 2 == 0,
                        locked: seed % 5 == 0,
                        // Never that of the position, which is not written.
                        colour: (seed % 3 == 0).then_some(60 + (seed % 100) as u8),
                    },
                }
                .with_first_handle()
            },
        )
}

#[test]
fn layers_are_told_where_they_are_other_than_usual() {
    let text = preset().to_json();
    assert!(text.contains("\"hidden\":true,\"locked\":true,\"colour\":5"));
    assert_eq!(text.matches("hidden").count(), 1, "links are to be short");
    let mut usual = scene();
    usual.entities[0].look = Look {
        colour: Some(0),
        ..Look::default()
    };
    let text = Preset::new(&usual, &Settings::default()).to_json();
    assert!(!text.contains("colour") && !text.contains("locked"));
    // A file of a time when there was neither.
    let old = Preset::parse(&text).unwrap();
    assert_eq!(old.entities[0].look, Look::default());
}

fn views() -> impl Strategy<Value = View> {
    let pose = (0f32..=1.0, -360f32..360.0, 1.01f32..8.0);
    let pose = pose.prop_map(|(t, rotation, scale)| Pose {
        t,
        rotation,
        scale,
        depth: 0.0,
    });
    let ground = (-1f32..0.9, 0f32..=1.0);
    let ground = ground.prop_map(|(horizon, stands)| Some(Ground::new(horizon, stands)));
    let seen = prop_oneof![
        (prop::collection::vec(pose.clone(), 1..4), Just(None)),
        (prop::collection::vec(pose, 0..4), ground),
    ];
    let about = [0f32..=1.0, 0f32..=1.0];
    let seen = (about, seen).prop_map(|(about, (poses, ground))| View {
        about,
        poses,
        ground,
    });
    prop_oneof![Just(View::default()), seen]
}

#[test]
fn a_camera_that_is_out_of_bounds_is_refused_and_one_that_is_not_there_is_still() {
    let with = |view: &str| {
        let head = r#"{"dragentity": 1, "picture": {"width": 40, "height": 30}"#;
        Preset::parse(&format!("{head}{view}}}"))
    };
    assert!(with("").unwrap().view.is_still());
    let near = with(r#", "view": {"poses": [{"t": 1, "scale": 2}]}"#).unwrap();
    assert_eq!(near.view.at(1.0).scale, 2.0);
    assert_eq!(near.view.about, [0.5; 2]);
    assert_eq!(near.view.ground(), None);
    let round = with(r#", "view": {"ground": {"horizon": 0.4, "stands": 0.9}}"#).unwrap();
    assert!(round.view.ground().is_some() && round.view.is_still());
    for odd in [
        r#"{"poses": [{"t": 1, "scale": 0.5}]}"#,
        r#"{"about": [0.5, 7], "poses": []}"#,
        r#"{"poses": [{"t": 4, "scale": 2}]}"#,
        r#"{"ground": {"horizon": 1.5, "stands": 1}}"#,
    ] {
        let refused = with(&format!(", \"view\": {odd}")).unwrap_err().to_string();
        assert!(refused.contains("the camera's view"), "{refused}");
    }
}

/// Made once: that takes a moment.
static LINK: LazyLock<String> = LazyLock::new(|| preset().to_link(""));

proptest! {
    #[test]
    fn presets_round_trip(
        entities in prop::collection::vec(entities(), 0..6),
        background in trajectories(),
        (width, height, hash, seed) in (1u32..5000, 1u32..5000, any::<Option<u64>>(), any::<u64>()),
        (frames, steps, guidance) in (prop::option::of(2u32..=64), 1u32..=200, 0f32..20.0),
        listed: bool,
        view in views(),
    ) {
        let settings = Choice { frames, steps: Some(steps), seed: Some(seed), max_guidance: Some(guidance), ..Default::default() };
        let order = if listed { Order::AsListed } else { Order::Automatic };
        let fill_from = entities.first().map(|e: &Entity| e.mask.clone()).filter(|_| listed);
        let preset = Preset { width, height, hash: hash.map(PictureHash), entities, order, background, view, fill_from, settings };
        for text in [preset.to_json(), preset.to_fragment(), preset.to_link("https://a.b/c?d=e")] {
            prop_assert!(Preset::parse(&text).is_ok_and(|p| p == preset), "{}", text);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for text in [text.clone(), format!("#s={text}"), format!("{{\"dragentity\":1,{text}")] {
            let _ = Preset::parse(&text);
        }
        let _ = Preset::parse(&String::from_utf8_lossy(&bytes));
        let _ = Preset::parse(&packed(&String::from_utf8_lossy(&bytes)));
    }

    /// What is packed into a link may lie about anything that JSON can say; whatever is accepted can be used.
    #[test]
    fn lying_presets_do_not_panic(
        spans in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, any::<prop::sample::Index>()), 1..4),
    ) {
        const LIES: [&str; 16] = [
            "", "0", "-1", "1e39", "4294967295", "4294967296", "18446744073709551616", "0.5", "null", "true",
            "[]", "{}", "\"\"", ",", "[0.5,0.5,0.5]", "\"hash\":\"zz\",",
        ];
        let picture = Picture { width: 30, height: 20, rgb: Arc::new(vec![90; 1800]) };
        let mut json = preset().to_json().into_bytes();
        for (at, length, lie) in &spans {
            let at = at.index(json.len());
            // Whole numbers for numbers now and then, so that the JSON often stays whole.
            let digits = json[at..].iter().take_while(|b| b.is_ascii_digit()).count();
            let length = if digits > 0 { digits } else { (*length).min(json.len() - at) };
            json.splice(at..at + length, LIES[lie.index(LIES.len())].bytes());
        }
        if let Ok(preset) = Preset::parse(&packed(&String::from_utf8_lossy(&json)))
            && let Ok(scene) = preset.scene(picture)
        {
            let _ = scene.check();
            prop_assert_eq!(scene.layers().len(), scene.entities.len());
            let settings = Settings::resolve(&Choice::default(), &preset.settings, &Settings::default());
            let _ = scene.notes(settings.frames);
            for trajectory in scene.entities.iter().filter_map(|e| e.trajectory.as_ref()) {
                let offsets = trajectory.offsets(settings.frames as usize);
                prop_assert!(offsets.iter().flatten().all(|v| v.is_finite()));
            }
        }
    }

    /// Changing any one character of a link or file is noticed or harmless, never a panic.
    #[test]
    fn damaged_presets_do_not_panic(at in any::<prop::sample::Index>(), c in any::<char>()) {
        let preset = preset();
        for text in [preset.to_json(), preset.to_fragment(), LINK.clone()] {
            let at = at.index(text.len());
            let damaged: String = text.chars().enumerate().map(|(i, k)| if i == at { c } else { k }).collect();
            let _ = Preset::parse(&damaged);
        }
    }
}
