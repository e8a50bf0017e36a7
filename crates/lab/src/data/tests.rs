//! The clips hold what they promise.

use std::path::PathBuf;
use std::sync::Arc;

use image::{Rgba, RgbaImage};

use super::pack::{MAGIC, Pack, family, is_held_out};
use super::render::{Clip, ClipSpec};
use super::{Dataset, EVAL_CLIPS, EVAL_SEED, Split, gather, pack, sheet, testing};

fn data(spec: ClipSpec) -> Dataset {
    Dataset::new(Arc::new(testing::pack()), Split::Train, spec, 5).expect("a data set")
}

/// No figures, no shadows, no camera: what is left follows from masks alone.
fn plain() -> ClipSpec {
    ClipSpec {
        camera_share: 0.0,
        shadow_share: 0.0,
        figure_share: 0.0,
        ..ClipSpec::default()
    }
}

/// The most solid mask value in the three by three pixels around a place, `None` outside the frame.
fn around(clip: &Clip, entity: usize, frame: usize, [x, y]: [f32; 2]) -> Option<u8> {
    let inside =
        (1.0..clip.width as f32 - 1.0).contains(&x) && (1.0..clip.height as f32 - 1.0).contains(&y);
    inside.then(|| {
        let (x, y) = (x as usize, y as usize);
        let mask = clip.visible(entity, frame);
        (y - 1..=y + 1)
            .flat_map(|y| (x - 1..=x + 1).map(move |x| mask[y * clip.width + x]))
            .max()
            .unwrap_or(0)
    })
}

#[test]
fn the_same_number_gives_the_same_clip() {
    let (one, two) = (data(ClipSpec::default()), data(ClipSpec::default()));
    let batch = two.batch(3, 6);
    for (index, clip) in batch.iter().enumerate() {
        assert!(*clip == one.clip(3 + index as u64), "clip {index}");
    }
    assert!(batch[0].rgb != batch[1].rgb);
    let pack = Arc::new(testing::pack());
    let other = Dataset::new(pack, Split::Train, ClipSpec::default(), 6).unwrap();
    assert!(other.clip(3).rgb != batch[0].rgb);
    assert!(one.image(1).rgb == two.image(1).rgb && one.image(1).rgb != one.image(2).rgb);
}

#[test]
fn nothing_moves_outside_the_masks() {
    for clip in data(plain()).batch(0, 40) {
        assert!(clip.camera_is_still());
        for frame in 1..clip.frames {
            for pixel in 0..clip.width * clip.height {
                let covered = (0..clip.entities.len()).any(|entity| {
                    clip.visible(entity, 0)[pixel] > 0 || clip.visible(entity, frame)[pixel] > 0
                });
                let colour = |frame: usize| clip.frame(frame)[pixel * 3..pixel * 3 + 3].to_vec();
                // A mask value below half a step rounds to 0 and may still shift a colour by one step.
                let near = colour(0)
                    .iter()
                    .zip(colour(frame))
                    .all(|(a, b)| a.abs_diff(b) <= 1);
                assert!(covered || near, "frame {frame}, pixel {pixel}");
            }
        }
    }
}

#[test]
fn tracks_stay_on_their_entities() {
    let (mut followed, mut moved) = (0, 0);
    for clip in data(plain()).batch(0, 120) {
        for (index, entity) in clip.entities.iter().enumerate() {
            assert_eq!(entity.track.len(), clip.frames);
            assert_eq!(entity.boxes.len(), clip.frames);
            assert!(around(&clip, index, 0, entity.track[0]).is_none_or(|mask| mask >= 128));
            // Alone in its clip nothing can hide it.
            if clip.entities.len() > 1 {
                continue;
            }
            for (frame, place) in entity.track.iter().enumerate() {
                if let Some(mask) = around(&clip, index, frame, *place) {
                    assert!(mask >= 128, "frame {frame} at {place:?}");
                    let [left, top, right, bottom] = entity.boxes[frame].unwrap();
                    assert!(place[0] >= left - 1.0 && place[0] <= right + 1.0);
                    assert!(place[1] >= top - 1.0 && place[1] <= bottom + 1.0);
                    followed += 1;
                }
            }
            let (first, last) = (entity.track[0], entity.track[clip.frames - 1]);
            moved += usize::from((first[0] - last[0]).hypot(first[1] - last[1]) > 5.0);
        }
    }
    assert!(
        followed > 200 && moved > 20,
        "{followed} followed, {moved} moved"
    );
}

#[test]
fn one_to_four_entities_and_each_can_be_pointed_at() {
    let mut counts = [0; 5];
    for clip in data(plain()).batch(0, 200) {
        counts[clip.entities.len()] += 1;
        for (index, entity) in clip.entities.iter().enumerate() {
            let seen = clip
                .visible(index, 0)
                .iter()
                .filter(|&&mask| mask >= 128)
                .count();
            assert!(seen >= 4, "{seen} pixels");
            assert_eq!(entity.full.len(), clip.width * clip.height);
            assert!(
                entity
                    .full
                    .iter()
                    .zip(clip.visible(index, 0))
                    .all(|(full, seen)| *full >= seen.saturating_sub(1))
            );
        }
    }
    assert_eq!(counts[0], 0);
    assert!(
        counts[1..].iter().all(|&count| count > 3) && counts[1] + counts[2] > counts[3] + counts[4]
    );
}

#[test]
fn later_entities_lie_in_front() {
    let mut hidden = 0;
    for clip in data(plain()).batch(0, 200) {
        for pixel in 0..clip.width * clip.height {
            for (front, entity) in clip.entities.iter().enumerate() {
                if entity.full[pixel] < 255 {
                    continue;
                }
                for behind in 0..front {
                    assert_eq!(clip.visible(behind, 0)[pixel], 0);
                    hidden += usize::from(clip.entities[behind].full[pixel] > 128);
                }
            }
            for frame in 0..clip.frames {
                let sum: u32 = (0..clip.entities.len())
                    .map(|e| u32::from(clip.visible(e, frame)[pixel]))
                    .sum();
                assert!(sum <= 258, "{sum}");
            }
        }
    }
    assert!(hidden > 50, "only {hidden} pixels overlap");
}

#[test]
fn figures_come_in_parts_of_one_group_or_whole() {
    let spec = ClipSpec {
        figure_share: 1.0,
        max_entities: 12,
        width: 96,
        height: 96,
        ..plain()
    };
    let (mut parted, mut whole) = (0, 0);
    for clip in data(spec).batch(0, 40) {
        assert!(clip.entities.len() <= 12);
        let parts = clip
            .entities
            .iter()
            .filter(|entity| entity.group.is_some())
            .count();
        if parts > 0 {
            parted += 1;
            assert!(parts >= 3, "{parts} parts are seen");
        } else {
            whole += 1;
        }
    }
    assert!(parted > 8 && whole > 4, "{parted} in parts, {whole} whole");
    let few = ClipSpec {
        figure_share: 1.0,
        max_entities: 3,
        ..plain()
    };
    assert!(
        data(few)
            .batch(0, 30)
            .iter()
            .all(|clip| clip.entities.len() <= 3)
    );
}

#[test]
fn the_background_moves_as_the_camera_says() {
    let spec = ClipSpec {
        camera_share: 1.0,
        ..plain()
    };
    let mut better = 0;
    let mut all = 0;
    for clip in data(spec).batch(0, 40) {
        let last = clip.frames - 1;
        let [dx, dy] = clip.camera[last].map(|offset| offset.round() as isize);
        if dx.abs() + dy.abs() < 4 {
            continue;
        }
        let free = |frame: usize, pixel: usize| {
            (0..clip.entities.len()).all(|e| clip.visible(e, frame)[pixel] == 0)
        };
        let difference = |dx: isize, dy: isize| {
            let (mut sum, mut count) = (0.0, 0.0);
            for y in 16..48isize {
                for x in 16..48isize {
                    let (from, to) = (
                        (y * 64 + x) as usize,
                        ((y + dy) * 64 + x + dx).clamp(0, 4095) as usize,
                    );
                    if free(0, from) && free(last, to) {
                        for c in 0..3 {
                            let (a, b) =
                                (clip.frame(0)[from * 3 + c], clip.frame(last)[to * 3 + c]);
                            sum += f32::from(a.abs_diff(b));
                            count += 1.0;
                        }
                    }
                }
            }
            sum / f32::max(count, 1.0)
        };
        all += 1;
        better += usize::from(difference(dx, dy) < 0.7 * difference(0, 0));
    }
    // Zooming and rounding to whole pixels blur a few.
    assert!(all > 15 && better * 10 >= all * 8, "{better} of {all}");
}

#[test]
fn a_tenth_is_held_out_by_name_alone() {
    let names: Vec<String> = (0..5000u32)
        .map(|n| {
            let letters = (0..4).map(|place| char::from(b'a' + (n / 9u32.pow(place) % 9) as u8));
            format!("package/folder/{}q.png", letters.collect::<String>())
        })
        .collect();
    let held = names.iter().filter(|name| is_held_out(name)).count();
    assert!((400..600).contains(&held), "{held} of 5000");
    // Variants of one picture fall on one side.
    for variant in [
        "a/Fish_02.png",
        "b/fish.webp",
        "c/fish_mirror.png",
        "fish_by_Somebody.jpg",
    ] {
        assert_eq!(family(variant), "fish", "{variant}");
    }
    assert_eq!(family("w/Altai/contents/images/5120x2880.png"), "altai");
    let pack = testing::pack();
    assert!(
        pack.header
            .items
            .iter()
            .all(|item| item.held_out == is_held_out(&item.name))
    );
    for (train, held) in [
        (pack.cutouts(false), pack.cutouts(true)),
        (pack.backgrounds(false), pack.backgrounds(true)),
    ] {
        assert!(!train.is_empty() && !held.is_empty());
        let names = |list: &[usize]| {
            list.iter()
                .map(|&i| family(&pack.header.items[i].name))
                .collect::<Vec<_>>()
        };
        let held = names(held);
        assert!(names(train).iter().all(|name| !held.contains(name)));
    }
}

#[test]
fn damaged_packs_are_refused_in_words() {
    let bytes = testing::pack_bytes();
    for length in [0, 4, 8, 11, 12, 40, bytes.len() / 2, bytes.len() - 1] {
        let error = Pack::from_bytes("broken.pack", &bytes[..length]).unwrap_err();
        assert!(
            error.to_string().starts_with("broken.pack: "),
            "{length}: {error}"
        );
    }
    let refuses = |bytes: &[u8], what: &str| {
        let error = Pack::from_bytes("p", bytes).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    let mut flipped = bytes.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    refuses(&flipped, "damaged");
    let mut long = bytes.clone();
    long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    refuses(&long, "damaged header");
    let mut empty = MAGIC.to_vec();
    empty.extend(2u32.to_le_bytes());
    empty.extend(b"{}");
    refuses(&empty, "damaged header");
    assert!(matches!(
        Pack::open(&PathBuf::from("/nowhere/at.all")),
        Err(dragentity_core::Error::Io { .. })
    ));
}

#[test]
fn impossible_wishes_are_refused_in_words() {
    let pack = Arc::new(testing::pack());
    let wishes = [
        ClipSpec {
            frames: 0,
            ..ClipSpec::default()
        },
        ClipSpec {
            width: 2,
            ..ClipSpec::default()
        },
        ClipSpec {
            height: 100_000,
            ..ClipSpec::default()
        },
        ClipSpec {
            max_entities: 0,
            ..ClipSpec::default()
        },
        ClipSpec {
            camera_share: f64::NAN,
            ..ClipSpec::default()
        },
    ];
    for spec in wishes {
        let error = Dataset::new(pack.clone(), Split::Train, spec.clone(), 0).unwrap_err();
        assert!(
            matches!(error, dragentity_core::Error::Job(_)),
            "{spec:?}: {error}"
        );
    }
}

#[test]
fn other_shapes_of_frames_work() {
    let spec = ClipSpec {
        width: 96,
        height: 48,
        frames: 5,
        camera_share: 0.5,
        ..ClipSpec::default()
    };
    for clip in data(spec.clone()).batch(0, 10) {
        assert_eq!(clip.rgb.len(), 96 * 48 * 5 * 3);
        assert!(
            clip.entities
                .iter()
                .all(|entity| entity.visible.len() == 96 * 48 * 5)
        );
    }
    let sheet = sheet::preview(&data(spec), 2, 2).unwrap();
    // Six pictures of 192 with gaps of 2 a row, two rows of 96.
    assert_eq!((sheet.width, sheet.height), (6 * 194 + 2, 2 * 98 + 2));
}

/// A folder of its own for one test.
fn folder(name: &str) -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("dragentity-data-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn gathering_keeps_things_and_places_and_says_why_not() {
    let root = folder("gather");
    let package = root.join("some-pictures");
    std::fs::create_dir_all(package.join("doc")).unwrap();
    let save = |name: &str, picture: &RgbaImage| picture.save(package.join(name)).unwrap();
    save("good.png", &testing::cutout(1));
    save("double.png", &testing::cutout(1));
    let opaque = RgbaImage::from_fn(120, 120, |x, y| {
        let alpha = if x < 118 && (5..115).contains(&y) {
            255
        } else {
            0
        };
        Rgba([x as u8 * 2, y as u8, 90, alpha])
    });
    save("rectangle.png", &opaque);
    let lines = RgbaImage::from_fn(112, 112, |x, y| {
        Rgba([
            x as u8,
            y as u8,
            0,
            if x % 6 < 2 || y % 37 == 0 { 255 } else { 0 },
        ])
    });
    save("lines.png", &lines);
    save("empty.png", &RgbaImage::new(100, 100));
    testing::background(4)
        .save(package.join("place.jpg"))
        .unwrap();
    image::imageops::resize(
        &testing::background(5),
        100,
        80,
        image::imageops::FilterType::Triangle,
    )
    .save(package.join("small.png"))
    .unwrap();
    std::fs::write(package.join("broken.png"), b"not a picture").unwrap();
    let out = root.join("out.pack");
    let summary = gather::pack(std::slice::from_ref(&root), &out).unwrap();
    assert_eq!(summary.cutouts.iter().sum::<usize>(), 1, "{summary:?}");
    assert_eq!(summary.backgrounds.iter().sum::<usize>(), 1, "{summary:?}");
    for reason in [
        "double",
        "a rectangle",
        "lines",
        "empty alpha",
        "too small",
        "unreadable",
    ] {
        assert_eq!(
            summary.discarded.get(reason),
            Some(&1),
            "{reason}: {summary:?}"
        );
    }
    let opened = Pack::open(&out).unwrap();
    assert_eq!(opened.header.items.len(), 2);
    assert_eq!(opened.header.origins[0].package, "some-pictures");
    assert!(pack::attribution(&opened.header).contains("place.jpg (some-pictures"));
    let nothing = folder("nothing");
    let error = gather::pack(std::slice::from_ref(&nothing), &out)
        .unwrap_err()
        .to_string();
    assert!(error.contains("fetch-assets"), "{error}");
    std::fs::remove_dir_all(root).unwrap();
    std::fs::remove_dir_all(nothing).unwrap();
}

#[test]
fn a_subset_holds_only_what_was_held_out() {
    let root = folder("subset");
    let (whole, part) = (root.join("whole.pack"), root.join("part.pack"));
    std::fs::write(&whole, testing::pack_bytes()).unwrap();
    pack::held_out_subset(&whole, &part, 3, 2, |_, origin| origin.licence == "CC0-1.0").unwrap();
    let opened = Arc::new(Pack::open(&part).unwrap());
    assert_eq!(
        (opened.cutouts(true).len(), opened.backgrounds(true).len()),
        (3, 2)
    );
    assert!(opened.cutouts(false).is_empty() && opened.backgrounds(false).is_empty());
    assert!(Dataset::new(opened.clone(), Split::HeldOut, ClipSpec::default(), 1).is_ok());
    let error = Dataset::new(opened, Split::Train, ClipSpec::default(), 1).unwrap_err();
    assert!(
        error.to_string().contains("no training cut-outs"),
        "{error}"
    );
    assert!(pack::held_out_subset(&whole, &part, 3, 2, |_, _| false).is_err());
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn the_shipped_pack_gives_the_clips_that_are_measured() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/held_out.pack");
    assert!(std::fs::metadata(&path).unwrap().len() <= 3 << 20);
    let pack = Arc::new(Pack::open(&path).unwrap());
    assert!(pack.header.items.iter().all(|item| item.held_out));
    let free = ["CC0", "CC-BY", "public-domain"];
    for origin in &pack.header.origins {
        assert!(
            free.iter()
                .any(|licence| origin.licence.starts_with(licence)),
            "{origin:?}"
        );
    }
    let data = Dataset::new(pack, Split::HeldOut, ClipSpec::default(), EVAL_SEED).unwrap();
    let clips = data.batch(0, EVAL_CLIPS as usize);
    assert!(clips.iter().all(|clip| !clip.entities.is_empty()));
    let photos = clips
        .iter()
        .flat_map(|clip| &clip.entities)
        .filter(|entity| entity.photo)
        .count();
    assert!(photos > 50, "{photos} photographic entities");
}

#[test]
fn portraits_say_what_each_pixel_is() {
    use dragentity_core::scene::parts::{CLASSES, Part};
    let data = data(ClipSpec::default());
    const SIDE: usize = 48;
    let (mut people, mut seen) = (0, [0.0f32; CLASSES]);
    for (index, portrait) in data.portraits(0, 40, SIDE).iter().enumerate() {
        assert!(*portrait == data.portrait(index as u64, SIDE));
        assert_eq!(portrait.rgb.len(), SIDE * SIDE * 3);
        assert!(portrait.rgb.iter().all(|v| (-1.0..=1.0).contains(v)));
        let area = SIDE * SIDE;
        let of = |class: usize, at: usize| portrait.shares[class * area + at];
        for at in 0..area {
            let sum: f32 = (0..CLASSES).map(|class| of(class, at)).sum();
            assert!(
                (sum - 1.0).abs() < 1e-3,
                "portrait {index}, pixel {at}: {sum}"
            );
        }
        let person: f32 = (0..area).map(|at| 1.0 - of(0, at)).sum();
        let asked: f32 = portrait.mask.iter().sum();
        if person == 0.0 {
            continue;
        }
        people += 1;
        (0..CLASSES)
            .for_each(|class| seen[class] += (0..area).map(|at| of(class, at)).sum::<f32>());
        // The mask is a rough one of the person.
        let both: f32 = (0..area)
            .map(|at| portrait.mask[at].min(1.0 - of(0, at)))
            .sum();
        assert!(
            both > 0.35 * (person + asked - both),
            "portrait {index}: {both} of {person} and {asked}"
        );
    }
    assert!((28..40).contains(&people), "{people} of 40 are people");
    // Every part is seen now and then, on both sides alike.
    assert!(seen.iter().all(|area| *area > 50.0), "{seen:?}");
    let [left, right] = [Part::LeftUpperArm, Part::RightUpperArm].map(|arm| seen[arm.class()]);
    assert!((0.5..2.0).contains(&(left / right)), "{seen:?}");
}

#[test]
fn cut_outs_of_people_are_not_asked_about_as_nobody() {
    use super::portrait::is_a_person;
    assert!(is_a_person(
        "openclipart-png/usr/share/openclipart/png/people/a_happy_boy_01.png"
    ));
    assert!(!is_a_person(
        "tuxpaint-stamps-default/stamps/animals/cat.png"
    ));
}
