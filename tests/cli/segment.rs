//! `dragentity segment`: masks of clicks, and what it refuses.

use super::{Desk, ending, tiny};

impl Desk {
    fn segment(&self, args: &[&str]) -> (i32, String) {
        let mut command = self.program();
        command.args(["segment", "picture.png", "--device", "cpu"]);
        command.args(args);
        ending(command)
    }

    /// Whether a place of a mask is inside.
    fn inside(&self, name: &str, x: u32, y: u32) -> bool {
        let mask = image::open(self.path(name)).unwrap().into_luma8();
        assert_eq!(mask.dimensions(), (60, 40), "the picture's");
        mask.get_pixel(x, y).0[0] > 127
    }
}

#[test]
fn clicks_become_a_mask_with_either_segmenter() {
    let desk = Desk::new();
    tiny::tiny_sam(&desk.path("sam.safetensors")).unwrap();
    tiny::tiny_model(&desk.path("tiny")).unwrap();
    for (made, with) in [
        ("sam.png", ["--segmenter", "sam.safetensors"]),
        ("own.png", ["--model", "tiny"]),
    ] {
        let said = desk.segment(&[&["--click", "0.5,0.5", "-o", made], &with[..]].concat());
        assert_eq!(said.0, 0, "{}", said.1);
        assert!(desk.inside(made, 30, 20), "{made}");
        // Refined: what was made is the mask so far.
        let more = ["--click", "0.5,0.5", "--exclude", "0.9,0.2", "--mask", made];
        let said = desk.segment(&[&more[..], &["-o", "more.png"], &with].concat());
        assert_eq!(said.0, 0, "{}", said.1);
        assert!(
            desk.inside("more.png", 30, 20) && !desk.inside("more.png", 54, 8),
            "{made}"
        );
    }
}

#[test]
fn what_cannot_be_segmented_is_refused() {
    let desk = Desk::new();
    let click = ["--click", "0.5,0.5", "-o", "mask.png"];
    for (args, code, words) in [
        (["--segmenter", "picture.png"], 4, "no safetensors file"),
        (["--segmenter", "none.pth"], 3, "none.pth"),
        (["--mask", "picture.png"], 4, "model"),
        (["--click", "1.5,0.5"], 2, "fractions"),
    ] {
        let model = ["--model", "model"];
        let said = desk.segment(&[&click[..], &args, &model].concat());
        assert_eq!(said.0, code, "{args:?}: {}", said.1);
        assert!(said.1.contains(words), "{args:?}: {}", said.1);
        assert!(!desk.path("mask.png").exists());
    }
    let said = desk.segment(&["--click", "0.5,0.5", "-o", "no/such/folder/mask.png"]);
    assert!(said.0 == 3 && said.1.contains("no folder"), "{}", said.1);
}
