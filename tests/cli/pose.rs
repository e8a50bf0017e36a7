//! `dragentity pose`: the joints of the astronaut of the samples, what becomes of them, and who has none.

use super::{Desk, assert_refused};
use std::path::Path;

/// A picture of the samples.
fn sample(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("www/samples").join(name).display().to_string()
}

impl Desk {
    /// Of a sample, with everything within boxes (left, top, right, bottom in parts of 512) as the mask: exit code, what is printed,
    /// and what is said.
    fn pose(&self, picture: &str, boxes: &[[u32; 4]], args: &[&str]) -> (i32, String, String) {
        let (width, height) = image::image_dimensions(sample(picture)).unwrap();
        let inside = |x: u32, y: u32| {
            let (x, y) = (x * 512 / width, y * 512 / height);
            let within = |[left, top, right, bottom]: &[u32; 4]| {
                (*left..*right).contains(&x) && (*top..*bottom).contains(&y)
            };
            image::Luma([if boxes.iter().any(within) { 255 } else { 0 }])
        };
        image::GrayImage::from_fn(width, height, inside)
            .save(self.path("mask.png"))
            .unwrap();
        let weights =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("models/blaze_pose/model.safetensors");
        let mut command = self.program();
        command.args([
            "pose",
            &sample(picture),
            "--mask",
            "mask.png",
            "--device",
            "cpu",
            "--pose",
        ]);
        let output = command.arg(weights).args(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn refused(&self, picture: &str, boxes: &[[u32; 4]], args: &[&str], code: i32, said: &str) {
        let (ended, _, error) = self.pose(picture, boxes, args);
        assert_refused((ended, error), code, &[said]);
    }
}

/// Where the astronaut is, roughly.
const ASTRONAUT: &[[u32; 4]] = &[[165, 25, 285, 170], [80, 170, 330, 512]];

#[test]
fn joints_are_printed_dragged_and_kept_for_a_job() {
    let desk = Desk::new();
    let said = desk.pose("astronaut.jpg", ASTRONAUT, &["--overlay", "drawn.png"]);
    assert_eq!(said.0, 0, "{}", said.2);
    let joints: serde_json::Value = serde_json::from_str(&said.1).unwrap();
    assert_eq!(joints.as_object().unwrap().len(), 19);
    let of = |joint: &str, what: &str| joints[joint][what].as_f64().unwrap();
    assert!(of("head", "y") < of("neck", "y") && of("neck", "y") < of("pelvis", "y"));
    // She faces the viewer: her left is on the right.
    assert!(of("left_shoulder", "x") > of("right_shoulder", "x") + 0.1);
    assert!((0.35..0.55).contains(&of("head", "x")) && (0.15..0.35).contains(&of("head", "y")));
    assert!(of("head", "visibility") > 0.9);
    let picture = image::open(sample("astronaut.jpg")).unwrap().to_rgb8();
    let drawn = image::open(desk.path("drawn.png")).unwrap().to_rgb8();
    assert!(drawn.dimensions() == picture.dimensions() && drawn != picture);

    let said = desk.pose(
        "astronaut.jpg",
        ASTRONAUT,
        &["--drag", "head=0.6,0.25", "-o", "posed.json"],
    );
    let posed: serde_json::Value = serde_json::from_str(&said.1).unwrap();
    assert!(posed["head"]["x"].as_f64().unwrap() > of("head", "x") + 0.05);
    let preset: serde_json::Value =
        serde_json::from_slice(&std::fs::read(desk.path("posed.json")).unwrap()).unwrap();
    let entity = &preset["entities"][0];
    assert_eq!(entity["joints"].as_array().unwrap().len(), 19);
    assert_eq!(entity["trajectory"].as_array().unwrap().len(), 2);
}

#[test]
fn who_is_nobody_and_what_is_no_joint_is_refused() {
    let desk = Desk::new();
    let cup = &[[60, 40, 440, 500]];
    desk.refused("coffee.jpg", cup, &[], 3, "does not look like a person");
    desk.refused("astronaut.jpg", &[], &[], 3, "black all over");
    let (code, _, error) = desk.pose("astronaut.jpg", ASTRONAUT, &["--drag", "tail=0.1,0.1"]);
    assert!(
        code == 2 && error.contains("joints are head, neck"),
        "{error}"
    );
}
