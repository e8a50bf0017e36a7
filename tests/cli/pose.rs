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
        self.ask(&sample(picture), args)
    }

    /// Of a picture and the mask that was written.
    fn ask(&self, picture: &str, args: &[&str]) -> (i32, String, String) {
        let weights =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("models/blaze_pose/model.safetensors");
        let mut command = self.program();
        command.args([
            "pose", picture, "--mask", "mask.png", "--device", "cpu", "--pose",
        ]);
        let output = command.arg(weights).args(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// As [`pose`](Self::pose), of pixels, with what `inside` says as the mask.
    fn pose_of(
        &self,
        picture: &image::RgbImage,
        inside: impl Fn(u32, u32) -> bool,
    ) -> (i32, String, String) {
        picture.save(self.path("picture.png")).unwrap();
        let (width, height) = picture.dimensions();
        let alpha = |x, y| image::Luma([if inside(x, y) { 255 } else { 0 }]);
        let mask = image::GrayImage::from_fn(width, height, alpha);
        mask.save(self.path("mask.png")).unwrap();
        self.ask(&self.path("picture.png").display().to_string(), &[])
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

#[test]
fn people_upside_down_cut_off_or_several_are_found_or_refused_with_a_sentence() {
    let desk = Desk::new();
    let picture = image::open(sample("astronaut.jpg")).unwrap().to_rgb8();
    let (width, height) = picture.dimensions();
    let within = |x: u32, y: u32| {
        let (x, y) = (x * 512 / width, y * 512 / height);
        let on = |[left, top, right, bottom]: &[u32; 4]| {
            (*left..*right).contains(&x) && (*top..*bottom).contains(&y)
        };
        ASTRONAUT.iter().any(on)
    };
    let sensible = |(code, joints, said): (i32, String, String)| -> Option<[f64; 2]> {
        if code != 0 {
            assert_eq!(code, 3, "{said}");
            assert!(said.contains("does not look like a person"), "{said}");
            return None;
        }
        let joints: serde_json::Value = serde_json::from_str(&joints).unwrap();
        Some(["head", "pelvis"].map(|joint| joints[joint]["y"].as_f64().unwrap()))
    };

    // On the head: the head is below.
    let turned = image::imageops::rotate180(&picture);
    let found = desk.pose_of(&turned, |x, y| within(width - 1 - x, height - 1 - y));
    if let Some([head, pelvis]) = sensible(found) {
        assert!(head > pelvis, "{head} and {pelvis}");
    }

    // What is left of her in the left half of the picture: joints beyond the border, or nobody.
    let half = image::imageops::crop_imm(&picture, width * 2 / 5, 0, width * 3 / 5, height);
    sensible(desk.pose_of(&half.to_image(), |x, y| within(x + width * 2 / 5, y)));

    // Twice side by side under one mask: she is half of it, and not all of it is led by one of them.
    let mut twice = image::RgbImage::new(2 * width, height);
    image::imageops::replace(&mut twice, &picture, 0, 0);
    image::imageops::replace(&mut twice, &picture, i64::from(width), 0);
    let found = desk.pose_of(&twice, |x, y| within(x % width, y));
    assert_eq!(sensible(found), None, "two people are not one");

    // A drawing of a person is as good as a person, or nobody.
    let ink = image::RgbImage::from_fn(256, 256, |x, y| {
        let (x, y) = (f64::from(x) - 128.0, f64::from(y));
        let head = x.hypot(y - 50.0) < 25.0;
        let body = x.abs() < 6.0 && (70.0..170.0).contains(&y);
        let arms = (y - 95.0).abs() < 5.0 && x.abs() < 60.0;
        let legs = (x.abs() - (y - 170.0) * 0.4).abs() < 6.0 && (168.0..245.0).contains(&y);
        image::Rgb(if head || body || arms || legs {
            [20; 3]
        } else {
            [250; 3]
        })
    });
    sensible(desk.pose_of(&ink, |x, y| ink.get_pixel(x, y)[0] < 128));
}
