//! `dragentity segment`: masks of clicks, and what it refuses.
//!
//! That a clicked place is in the mask says nothing here: clicks bend the logits until it is. So masks are held against
//! those that people made of the samples, and against what the library makes of the same clicks.

use super::{Desk, ending, tiny};
use dragentity_core::scene::{Mask, Picture, Preset};
use dragentity_core::{Cancel, Click, ClickJob};
use dragentity_networks::device::Device;
use dragentity_pipeline::model::ModelOptions;
use dragentity_pipeline::runner::with_runner;
use std::path::Path;

impl Desk {
    fn segment(&self, args: &[&str]) -> (i32, String) {
        self.segment_in("picture.png", args)
    }

    fn segment_in(&self, picture: &str, args: &[&str]) -> (i32, String) {
        let mut command = self.program();
        command.args(["segment", picture, "--device", "cpu"]);
        command.args(args);
        ending(command)
    }

    /// A mask that was written, every pixel as it is.
    fn mask(&self, name: &str) -> Mask {
        Mask::from_png(&std::fs::read(self.path(name)).unwrap(), name).unwrap()
    }

    /// What the library makes of clicks, each in it or not, of the picture's size; nothing is kept from call to call, as
    /// the program keeps nothing.
    fn expected(
        &self,
        options: &ModelOptions,
        clicks: &[(f32, f32, bool)],
        previous: Option<&str>,
    ) -> Mask {
        let read = |name: &str| std::fs::read(self.path(name)).unwrap();
        let picture = Picture::decode(&read("picture.png"), "picture.png").unwrap();
        let size = [picture.width, picture.height];
        let job = ClickJob {
            clicks: clicks
                .iter()
                .map(|&(x, y, positive)| Click { x, y, positive })
                .collect(),
            previous: previous.map(|name| Mask::decode(&read(name), name, "it", size).unwrap()),
            picture,
            ..ClickJob::default()
        };
        let mask = with_runner(Device::CPU, options, |runner| {
            runner.segment(&job, &Cancel::new(), &mut |_| {})
        });
        mask.unwrap().unwrap().resized(size[0], size[1])
    }
}

/// Intersection over union.
fn overlap(a: &Mask, b: &Mask) -> f64 {
    let b = b.resized(a.width, a.height);
    let (mut both, mut any) = (0, 0);
    for (a, b) in a.alpha.iter().zip(&b.alpha) {
        both += u32::from(*a > 127 && *b > 127);
        any += u32::from(*a > 127 || *b > 127);
    }
    f64::from(both) / f64::from(any)
}

#[test]
fn the_shipped_weights_find_what_is_clicked() {
    let desk = Desk::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Into each thing, whose masks in the presets people corrected: one of what the click may mean is that. Around one.
    // Seen: 0.89 and 0.95 of 1.
    for (sample, entity, how, candidates, least) in [
        ("astronaut", 1, ["--click", "0.44,0.15"], 4, 0.8),
        ("astronaut", 1, ["--box", "0.3,0.02,0.6,0.36"], 1, 0.7),
    ] {
        let samples = root.join("www/samples");
        let picture = samples.join(format!("{sample}.jpg")).display().to_string();
        let preset = std::fs::read_to_string(samples.join(format!("{sample}.json"))).unwrap();
        let preset = Preset::parse(&preset).unwrap();
        let found = (0..candidates).map(|candidate| {
            let candidate = candidate.to_string();
            let rest = ["--candidate", &candidate, "-o", "mask.png"];
            let said = desk.segment_in(&picture, &[&how[..], &rest].concat());
            assert_eq!(said.0, 0, "{}", said.1);
            overlap(&desk.mask("mask.png"), &preset.entities[entity].mask)
        });
        let found = found.fold(0.0, f64::max);
        println!("{sample}, {how:?}: {found:.2}");
        assert!(
            found > least,
            "{sample}, {how:?}: overlaps by {found:.2} only"
        );
    }
}

#[test]
fn clicks_become_the_mask_of_the_library() {
    let desk = Desk::new();
    let sam = desk.path("sam.safetensors");
    tiny::tiny_sam(&sam).unwrap();
    let options = ModelOptions {
        segmenter: Some(sam.display().to_string()),
        ..ModelOptions::default()
    };
    let segment = |args: &[&str], made: &str| {
        let with = ["--segmenter", "sam.safetensors", "-o", made];
        let said = desk.segment(&[args, &with].concat());
        assert_eq!(said.0, 0, "{}", said.1);
        desk.mask(made)
    };
    let (click, other) = ((0.3, 0.6, true), (0.9, 0.2, false));
    let first = segment(&["--click", "0.3,0.6"], "sam.png");
    let expected = desk.expected(&options, &[click], None);
    assert_eq!((expected.width, expected.height), (60, 40));
    assert!(first == expected);
    let next = segment(&["--click", "0.3,0.6", "--candidate", "1"], "next.png");
    assert!(next != first, "the other thing that the click may mean");

    // Refined: what was made is the mask so far.
    let more = [
        "--click",
        "0.3,0.6",
        "--exclude",
        "0.9,0.2",
        "--mask",
        "sam.png",
    ];
    let refined = segment(&more, "more.png");
    let clicks = [click, other];
    assert!(refined == desk.expected(&options, &clicks, Some("sam.png")));
    // And each of these has its say.
    for (clicks, previous) in [
        (&clicks[..1], Some("sam.png")),
        (&clicks[..], None),
        (&[(0.6, 0.3, true), other], Some("sam.png")),
    ] {
        let without = desk.expected(&options, clicks, previous);
        assert!(refined != without, "{clicks:?}, {previous:?}");
    }
}

#[test]
fn what_cannot_be_segmented_is_refused() {
    let desk = Desk::new();
    let click = ["--click", "0.5,0.5", "-o", "mask.png"];
    for (args, code, words) in [
        (["--segmenter", "picture.png"], 4, "no safetensors file"),
        (["--segmenter", "none.pth"], 3, "none.pth"),
        (["--click", "1.5,0.5"], 2, "fractions"),
        (["--box", "0.1,0.2,0.5"], 2, "four fractions"),
        (["--box", "0.5,0.2,0.1,0.9"], 3, "box is empty"),
    ] {
        let said = desk.segment(&[&click[..], &args].concat());
        assert_eq!(said.0, code, "{args:?}: {}", said.1);
        assert!(said.1.contains(words), "{args:?}: {}", said.1);
        assert!(!desk.path("mask.png").exists());
    }
    let said = desk.segment(&["--click", "0.5,0.5", "-o", "no/such/folder/mask.png"]);
    assert!(said.0 == 3 && said.1.contains("no folder"), "{}", said.1);
}
