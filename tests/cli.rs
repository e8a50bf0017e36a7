//! The real program, as a person would call it: what it refuses, in which words and with which exit code.
#![cfg(not(target_family = "wasm"))]

#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/bend.rs"]
mod bend;
#[path = "cli/convert.rs"]
mod convert;
#[path = "cli/exchange.rs"]
mod exchange;
#[cfg(target_os = "linux")]
#[path = "cli/faults.rs"]
mod faults;
#[path = "cli/fill.rs"]
mod fill;
#[cfg(target_os = "linux")]
#[path = "cli/full_disk.rs"]
mod full_disk;
#[path = "cli/parts.rs"]
mod parts;
#[path = "common/person.rs"]
mod person;
#[path = "cli/pose.rs"]
mod pose;
#[path = "cli/segment.rs"]
mod segment;
#[path = "cli/track.rs"]
mod track;

use assert_cmd::Command;
use dragentity_testkit::program::{PRESET, assert_refused, ending};
use dragentity_testkit::{program, tiny};

/// The program in a folder of its own.
struct Desk(program::Desk);

impl Desk {
    fn new() -> Self {
        Self(program::Desk::new("dragentity"))
    }
}

impl std::ops::Deref for Desk {
    type Target = program::Desk;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// The first bytes of a PNG of the given size, with a valid checksum and no pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut png = Vec::new();
    image::GrayImage::new(1, 1)
        .write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png)
        .unwrap();
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = !png[12..29].iter().fold(!0u32, |crc, &b| {
        (0..8).fold(crc ^ b as u32, |c, _| {
            if c & 1 == 1 {
                (c >> 1) ^ 0xedb8_8320
            } else {
                c >> 1
            }
        })
    });
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

#[test]
fn help_and_usage() {
    let desk = Desk::new();
    let help = desk.program().arg("--help").assert().success();
    let text = String::from_utf8(help.get_output().stdout.clone()).unwrap();
    for word in ["generate", "serve", "Exit codes", "130"] {
        assert!(text.contains(word), "{text}");
    }
    for args in [
        &["generate"][..],
        &["generate", "--example", "-o", "a.gif", "--size", "576"],
        &["generate", "--example", "dog", "-o", "a.gif"],
        &["generate", "--example", "-o", "a.gif", "--device", "abacus"],
        &["generate", "--example", "-o", "a.gif", "--scale", "0"],
        &["generate", "--example", "-o", "a.gif", "--steps", "many"],
        &["dance"],
        &[],
    ] {
        let mut command = desk.program();
        command.args(args);
        assert_eq!(ending(command).0, 2, "{args:?}");
    }
}

#[test]
fn unusable_pictures() {
    let desk = Desk::new();
    let refuse =
        |name: &str, parts: &[&str]| assert_refused(desk.generate(name, "preset.json"), 3, parts);
    desk.write("letter.png", "Dear cat,");
    refuse(
        "letter.png",
        &["letter.png", "is text, not a picture", "open a PNG"],
    );
    desk.write("empty.jpg", "");
    refuse("empty.jpg", &["empty.jpg", "is empty"]);
    desk.write("huge.png", png_header(20_000, 20_000));
    refuse(
        "huge.png",
        &[
            "huge.png",
            "20000 x 20000 pixels, too large",
            "scale it down",
        ],
    );
    let whole = std::fs::read(desk.path("picture.png")).unwrap();
    desk.write("half.png", &whole[..whole.len() / 2]);
    refuse("half.png", &["half.png", "cut short"]);
    refuse("no-such.png", &["no-such.png", "No such file"]);
}

#[test]
fn unusable_presets() {
    let desk = Desk::new();
    let refuse = |preset: &str, parts: &[&str]| {
        assert_refused(desk.generate("picture.png", preset), 3, parts);
    };
    desk.write("empty.json", "");
    refuse(
        "empty.json",
        &["preset", "is empty", "paste a whole DragEntity link"],
    );
    refuse("", &["is empty"]);
    refuse(
        "http://127.0.0.1:8080/#s=eJyrV0oAAAAA",
        &["damaged or cut short", "copy it again"],
    );
    refuse("http://127.0.0.1:8080/", &["carries no scene"]);
    refuse("no-such.json", &["no-such.json", "no file"]);
    refuse("picture.png", &["picture.png is not text"]);
    desk.write("newer.json", "{\"dragentity\": 7}");
    refuse("newer.json", &["newer DragEntity", "update"]);
    desk.write("other.json", "{\"settings\": 7}");
    refuse("other.json", &["not written by DragEntity"]);
    // Made on a picture of another shape.
    desk.write(
        "tall.json",
        PRESET.replace("\"width\": 60", "\"width\": 30"),
    );
    refuse(
        "tall.json",
        &[
            "30 x 40 pixels",
            "60 x 40",
            "another shape",
            "open the picture it was made on",
        ],
    );
    // Nothing in it.
    desk.write(
        "none.json",
        "{\"dragentity\": 1, \"picture\": {\"width\": 60, \"height\": 40}}",
    );
    refuse(
        "none.json",
        &["nothing is to move", "click a thing in the picture"],
    );
    desk.write("blank.json", PRESET.replace("[7, 2, 4, 2, 9]", "[24]"));
    refuse("blank.json", &["entity 1 (box) has an empty mask"]);
}

#[test]
fn unusable_settings_and_places() {
    let desk = Desk::new();
    let refuse = |args: &[&str], parts: &[&str]| {
        let mut command = desk.program();
        command
            .args([
                "generate",
                "--image",
                "picture.png",
                "--preset",
                "preset.json",
                "--model",
                "model",
            ])
            .args(args);
        assert_refused(ending(command), 3, parts);
    };
    let mut command = desk.program();
    command.args(["generate", "--image", "picture.png", "--model", "model"]);
    command.args(["-o", "a.gif"]);
    assert_refused(ending(command), 3, &["nothing would move", "--preset"]);
    refuse(
        &["-o", "a.gif", "--frames", "0"],
        &["number of frames is 0", "2 to 121"],
    );
    refuse(
        &["-o", "a.gif", "--steps", "100000"],
        &["number of steps is 100000"],
    );
    refuse(&["-o", "a.avi"], &[".avi", "choose .gif, .webp, .mp4"]);
    refuse(
        &["-o", "no/such/folder/a.gif"],
        &["no folder no/such/folder"],
    );
}

#[test]
fn a_trajectory_that_leaves_the_frame_is_noted_and_not_refused() {
    let desk = Desk::new();
    desk.write(
        "away.json",
        PRESET.replace("[0.7, 0.5, 1]", "[1.8, 0.5, 1]"),
    );
    let (code, said) = desk.generate("picture.png", "away.json");
    // It got as far as the weights, of which there are none here.
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains("note: the trajectory of entity 1 (box) leaves the picture"),
        "{said}"
    );
}

#[test]
fn a_model_without_weights() {
    let desk = Desk::new();
    assert_refused(desk.generate("picture.png", "preset.json"), 4, &["model"]);
    desk.write(
        "model/model_index.json",
        "{\"_class_name\": \"FluxPipeline\"}",
    );
    assert_refused(
        desk.generate("picture.png", "preset.json"),
        4,
        &["model_index.json", "FluxPipeline", "DragEntityPipeline"],
    );
    std::fs::remove_dir_all(desk.path("model")).unwrap();
    assert_refused(desk.generate("picture.png", "preset.json"), 4, &["model"]);
}

#[test]
fn serving_nothing_and_serving_a_page() {
    use std::io::{BufRead, BufReader, Read, Write};
    let desk = Desk::new();
    let mut command = desk.program();
    command.args(["serve", "--port", "0"]);
    assert_refused(
        ending(command),
        3,
        &["dist: there is no built page here", "./serve"],
    );

    std::fs::create_dir(desk.path("dist")).unwrap();
    desk.write("dist/index.html", "<title>DragEntity</title>");
    let mut server = std::process::Command::new(assert_cmd::cargo::cargo_bin("dragentity"))
        .args(["serve", "--port", "0"])
        .current_dir(desk.path("."))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .split("http://")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let mut page = std::net::TcpStream::connect(&address).unwrap();
    write!(
        page,
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut got = String::new();
    page.read_to_string(&mut got).unwrap();
    assert!(
        got.starts_with("HTTP/1.1 200") && got.ends_with("<title>DragEntity</title>"),
        "{got}"
    );

    // Its port is taken now.
    let mut command = desk.program();
    command.args(["serve", "--port", address.split(':').nth(1).unwrap()]);
    assert_refused(ending(command), 3, &[&address, "in use", "--port"]);

    #[cfg(unix)]
    {
        let signalled = std::process::Command::new("kill")
            .args(["-INT", &server.id().to_string()])
            .status()
            .unwrap();
        assert!(signalled.success());
        assert_eq!(server.wait().unwrap().code(), Some(0));
    }
    #[cfg(not(unix))]
    server.kill().unwrap();
}

#[test]
fn weights_that_are_cut_short() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("model")).unwrap();
    let weights = desk.path("model/unet/diffusion_pytorch_model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    for length in [whole.len() - 1, whole.len() / 2, 4, 0] {
        std::fs::write(&weights, &whole[..length]).unwrap();
        assert_refused(desk.generate("picture.png", "preset.json"), 4, &["unet"]);
    }
}

#[test]
fn the_example_runs_as_it_stands() {
    use image::AnimationDecoder;
    let desk = Desk::new();
    let mut command = desk.program();
    command.args([
        "generate",
        "--example",
        "-o",
        "cat.gif",
        "--device",
        "cpu",
        "--steps",
        "2",
        "--overlay",
        "--json",
    ]);
    tiny::tiny_model(&desk.path("model")).unwrap();
    command.args(["--model", "model"]);
    let output = command.assert().success().get_output().stdout.clone();
    let lines: Vec<serde_json::Value> = String::from_utf8(output)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    for phase in ["loading", "plan", "step", "done"] {
        assert!(
            lines.iter().any(|l| l["phase"] == phase),
            "no {phase}: {lines:?}"
        );
    }
    let done = lines.last().unwrap();
    assert_eq!(
        (&done["phase"], &done["frames"]),
        (&"done".into(), &8.into())
    );

    let gif = std::io::BufReader::new(std::fs::File::open(desk.path("cat.gif")).unwrap());
    let decoder = image::codecs::gif::GifDecoder::new(gif).unwrap();
    let frames = decoder.into_frames().collect_frames().unwrap();
    assert_eq!(frames.len(), 8);
    let (width, height) = frames[0].buffer().dimensions();
    assert_eq!(
        (&done["width"], &done["height"]),
        (&width.into(), &height.into())
    );
    // The picture's own shape, 451 x 300, whatever shape the model works in.
    assert!(
        (width as f64 / height as f64 - 451.0 / 300.0).abs() < 0.03,
        "{width} x {height}"
    );
    assert!(frames[0].buffer() != frames[7].buffer(), "nothing moves");
}

#[test]
fn every_kind_of_output() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("model")).unwrap();
    let generate = |output: &str, seed: &str| {
        let mut command = desk.program();
        command.args([
            "generate",
            "--image",
            "picture.png",
            "--preset",
            "preset.json",
            "--model",
            "model",
        ]);
        command.args([
            "--device", "cpu", "--steps", "1", "--frames", "3", "--seed", seed, "-o", output,
        ]);
        let said = command.assert().success().get_output().stdout.clone();
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.starts_with(&format!("{output}: 3 frames of ")),
            "{said}"
        );
    };
    generate("a.webp", "1");
    generate("again.webp", "1");
    generate("other.webp", "2");
    let read = |name: &str| std::fs::read(desk.path(name)).unwrap();
    assert!(read("a.webp").starts_with(b"RIFF"));
    assert!(
        read("a.webp") == read("again.webp"),
        "the same seed gives another video"
    );
    assert!(
        read("a.webp") != read("other.webp"),
        "another seed gives the same video"
    );
    generate("a.mp4", "1");
    let mp4 = re_mp4::Mp4::read_bytes(&read("a.mp4")).unwrap();
    assert_eq!(mp4.tracks().values().next().unwrap().samples.len(), 3);
    generate("frames", "1");
    let frames = dragentity_media::read::frame_files(&desk.path("frames"));
    assert_eq!(frames.unwrap().len(), 3);
    assert!(image::open(desk.path("frames/0002.png")).is_ok());
}

#[test]
fn a_model_is_run_with_the_representation_it_was_trained_with() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("model")).unwrap();
    let index = desk.path("model/model_index.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    let generate = |args: &[&str]| {
        let mut command = desk.program();
        command.args(["generate", "--image", "picture.png", "--device", "cpu"]);
        command.args(["--preset", "preset.json", "--model", "model"]);
        command.args(["--steps", "1", "--frames", "3"]).args(args);
        command
    };
    // What it shows is what its index says, asked for or not.
    generate(&["-o", "entity.webp"]).assert().success();
    json["condition"]["representation"] = "flow".into();
    std::fs::write(&index, json.to_string()).unwrap();
    generate(&["-o", "flow.webp"]).assert().success();
    generate(&["-o", "same.webp", "--representation", "flow"])
        .assert()
        .success();
    let read = |name: &str| std::fs::read(desk.path(name)).unwrap();
    assert!(read("flow.webp") == read("same.webp"));
    assert!(read("flow.webp") != read("entity.webp"));

    let other = generate(&["-o", "a.webp", "--representation", "box"]);
    let said = ["shown as flow, not as box", "--representation box"];
    assert_refused(ending(other), 3, &said);
    let unknown = generate(&["-o", "a.webp", "--representation", "disc"]);
    assert_eq!(ending(unknown).0, 2);
    json["condition"]["representation"] = "disc".into();
    std::fs::write(&index, json.to_string()).unwrap();
    let damaged = generate(&["-o", "a.webp"]);
    assert_refused(ending(damaged), 4, &["model_index.json", "disc", "point"]);
}

#[test]
fn a_published_model_makes_a_video_of_a_picture() {
    let desk = Desk::new();
    let published = dragentity_testkit::svd::published_directory();
    let generate = |args: &[&str]| {
        let mut command = desk.program();
        command.args(["generate", "--image", "picture.png", "--device", "cpu"]);
        command.arg("--model").arg(published.path()).args(args);
        command
    };
    let mut command = generate(&["-o", "frames", "--size", "24x16", "--scale", "1"]);
    command.args(["--steps", "1", "--frames", "3", "--dtype", "bf16"]);
    command.assert().success();
    let frame = image::open(desk.path("frames/0002.png")).unwrap();
    assert_eq!((frame.width(), frame.height()), (24, 16));

    let mut command = generate(&["-o", "packed", "--size", "24x16", "--steps", "1"]);
    command.args(["--frames", "3", "--dtype", "int8", "--json"]);
    let said = command.assert().success().get_output().stdout.clone();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("in int8"), "{said}");

    // Paths are followed by what is made at once, and that is a folder that others follow, too.
    let few = [
        "--size", "24x16", "--scale", "1", "--steps", "2", "--frames", "3",
    ];
    let mut command = generate(&["-o", "moved", "--preset", "preset.json"]);
    command.args(few).args(["--write-reference", "signal"]);
    command.assert().success();
    for name in [
        "first_frame.png",
        "motion_signal.mp4",
        "mask.mp4",
        "prompt.txt",
    ] {
        assert!(desk.path("signal").join(name).is_file(), "{name}");
    }
    let follow = |args: &[&str]| {
        let mut command = desk.program();
        command.args(["generate", "--device", "cpu", "--model"]);
        command.arg(published.path()).args(args);
        command
    };
    let mut command = follow(&["--reference", "signal", "-o", "followed"]);
    command.args(few).assert().success();
    let frame = |name: &str| std::fs::read(desk.path(name).join("0002.png")).unwrap();
    assert!(frame("moved") != frame("frames") && frame("followed") != frame("frames"));
    let mut command = follow(&["--reference", "signal", "-o", "smooth"]);
    command.args(few).args(["--interpolate", "2"]);
    command.assert().success();
    // Three frames, and two between them.
    assert!(desk.path("smooth/0004.png").is_file() && !desk.path("smooth/0005.png").exists());
    command = follow(&[
        "--reference",
        "signal",
        "-o",
        "smooth",
        "--interpolate",
        "3",
    ]);
    assert_refused(ending(command), 3, &["2 or 4 times"]);
    // Weights of the UNet from elsewhere, for few steps.
    let unet = published
        .path()
        .join("unet/diffusion_pytorch_model.fp16.safetensors");
    let elsewhere = desk.path("few.safetensors");
    std::fs::copy(&unet, &elsewhere).unwrap();
    std::fs::remove_file(&unet).unwrap();
    let mut command = follow(&[
        "--image",
        "picture.png",
        "-o",
        "few",
        "--sampler",
        "consistency",
    ]);
    command.args(["--size", "24x16", "--scale", "1", "--frames", "3"]);
    command
        .args(["--unet", "few.safetensors"])
        .assert()
        .success();
    std::fs::copy(&elsewhere, &unet).unwrap();
    assert!(frame("few") != frame("frames"));
    let mut command = follow(&[
        "--image",
        "picture.png",
        "-o",
        "few",
        "--unet",
        "picture.png",
    ]);
    assert_refused(ending(command), 4, &["picture.png"]);
    command = follow(&[
        "--image",
        "picture.png",
        "-o",
        "few",
        "--sampler",
        "consistency",
    ]);
    command.args(["--steps", "41"]);
    assert_refused(ending(command), 3, &["takes 1 to 40"]);
    let args = ["--reference", "nowhere", "-o", "a.gif"];
    assert_refused(ending(follow(&args)), 3, &["nowhere/first_frame.png"]);
    let args = [
        "-o",
        "a.gif",
        "--preset",
        "preset.json",
        "--control",
        "both",
    ];
    assert_refused(ending(generate(&args)), 3, &["no ControlNet"]);
    let mut command = desk.program();
    command.args(["generate", "--reference", "signal", "-o", "a.gif"]);
    assert_refused(ending(command), 3, &["follows no reference"]);
    let args = ["-o", "a.gif", "--size", "25x16"];
    assert_refused(ending(generate(&args)), 3, &["25 x 16", "multiples of"]);
    let args = ["-o", "a.gif", "--size", "24x99999"];
    assert_refused(ending(generate(&args)), 3, &["height is 99999"]);
}

/// A demo folder as DragAnything has them: keys with gaps, JPEG masks, trajectories of differing lengths.
fn demo_folder(desk: &Desk) {
    std::fs::create_dir(desk.path("bear_@")).unwrap();
    let save = |name: &str, pixel: &dyn Fn(u32, u32) -> [u8; 3]| {
        let image = image::RgbImage::from_fn(120, 80, |x, y| image::Rgb(pixel(x, y)));
        image.save(desk.path("bear_@").join(name)).unwrap();
    };
    save("demo.jpg", &|x, y| [x as u8 * 2, y as u8 * 3, 90]);
    let white = |inside: bool| if inside { [255; 3] } else { [0; 3] };
    save("1_bear.jpg", &|x, y| {
        white((30..60).contains(&x) && (20..50).contains(&y))
    });
    save("0_sky.jpg", &|_, y| white(y < 12));
    let positions = |n: usize, step: usize| {
        let all: Vec<_> = (0..n).map(|i| format!("[{}, 35]", 45 + step * i)).collect();
        all.join(", ")
    };
    desk.write(
        "bear_@/demo.json",
        format!(
            r#"{{"1": {{"comment": "bear", "mask_name": "1_bear.jpg", "trajectory": [{}]}},
                "4": {{"comment": "keep sky", "mask_name": "0_sky.jpg", "trajectory": [{}]}}}}"#,
            positions(20, 2),
            positions(10, 0)
        ),
    );
}

#[test]
fn a_demo_folder_runs_as_it_stands() {
    let desk = Desk::new();
    demo_folder(&desk);
    tiny::tiny_model(&desk.path("model")).unwrap();
    let run = |output: &str, more: &[&str]| {
        let mut command = desk.program();
        command.args([
            "generate", "--demo", "bear_@", "-o", output, "--model", "model",
        ]);
        command.args(["--device", "cpu", "--steps", "1"]).args(more);
        command
    };
    run("bear.mp4", &["--overlay"]).assert().success();
    let mp4 = std::fs::read(desk.path("bear.mp4")).unwrap();
    let mp4 = re_mp4::Mp4::read_bytes(&mp4).unwrap();
    assert_eq!(mp4.tracks().values().next().unwrap().samples.len(), 8);

    for more in [
        ["--image", "picture.png"],
        ["--preset", "preset.json"],
        ["--example", "cat"],
    ] {
        assert_eq!(ending(run("a.gif", &more)).0, 2, "{more:?}");
    }
    let refuse = |parts: &[&str]| assert_refused(ending(run("a.gif", &[])), 3, parts);
    std::fs::remove_file(desk.path("bear_@/0_sky.jpg")).unwrap();
    refuse(&["0_sky.jpg", "No such file"]);
    desk.write(
        "bear_@/demo.json",
        r#"{"1": {"mask_name": "../picture.png", "trajectory": [[1, 1]]}}"#,
    );
    refuse(&["../picture.png", "plain name"]);
    std::fs::remove_file(desk.path("bear_@/demo.json")).unwrap();
    refuse(&["bear_@", "no demo.json"]);
}

#[test]
fn devices_and_types() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("model")).unwrap();
    let generate = |args: &[&str]| {
        let mut command = desk.program();
        command.args(["generate", "--example", "-o", "a.gif", "--model", "model"]);
        command.args(["--steps", "1", "--frames", "2", "--json"]);
        command.args(args);
        command
    };
    let mut command = generate(&["--device", "cpu:1"]);
    let said = command.assert().success().get_output().stdout.clone();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("CPU, 1 thread\""), "{said}");
    let args = ["--device", "cpu", "--dtype", "f16"];
    assert_refused(ending(generate(&args)), 3, &["f32 only", "--dtype"]);
    for args in [
        ["--device", "cpu:0"],
        ["--device", "gpu"],
        ["--dtype", "f8"],
    ] {
        assert_eq!(ending(generate(&args)).0, 2, "{args:?}");
    }
    #[cfg(not(feature = "cuda"))]
    assert_refused(
        ending(generate(&["--device", "cuda:1"])),
        5,
        &["--features cuda"],
    );
}

#[test]
fn a_controlnet_lets_a_published_model_follow_paths() {
    use dragentity_testkit::steer::{
        draganything_directory, dragentity_directory, stable_diffusion_directory,
    };
    let desk = Desk::new();
    demo_folder(&desk);
    let (model, features) = (
        dragentity_testkit::svd::published_directory(),
        stable_diffusion_directory(),
    );
    let (theirs, own) = (draganything_directory(), dragentity_directory());
    let generate = |args: &[&str]| {
        let mut command = desk.program();
        command.args([
            "generate", "--device", "cpu", "--steps", "1", "--size", "36x24",
        ]);
        command
            .args(["--scale", "1", "--model"])
            .arg(model.path())
            .args(args);
        command
    };
    let controlled = |dir: &tempfile::TempDir, args: &[&str]| {
        let mut command = generate(args);
        command.arg("--controlnet").arg(dir.path());
        command
    };
    let frame = |name: &str| {
        let frame = image::open(desk.path(name).join("0002.png")).unwrap();
        assert_eq!((frame.width(), frame.height()), (36, 24));
        frame.to_rgb8().into_raw()
    };
    let run = |dir: &tempfile::TempDir, out: &str, more: &[&str]| {
        let demo = ["--demo", "bear_@", "--frames", "3", "-o", out];
        let output = controlled(dir, &demo).args(more).assert().success();
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    let said = run(&theirs, "a", &[]);
    assert!(
        said.contains("note: DragAnything was trained with features"),
        "{said}"
    );
    let from = features.path().to_str().unwrap();
    let said = run(&theirs, "b", &["--features-from", from]);
    assert!(!said.contains("note:"), "{said}");
    run(&own, "c", &[]);
    assert!(frame("a") != frame("b") && frame("a") != frame("c"));
    // As many frames as the folder has positions.
    let all = ["--demo", "bear_@", "-o", "a.mp4"];
    controlled(&theirs, &all).assert().success();
    let mp4 = std::fs::read(desk.path("a.mp4")).unwrap();
    let mp4 = re_mp4::Mp4::read_bytes(&mp4).unwrap();
    assert_eq!(mp4.tracks().values().next().unwrap().samples.len(), 20);

    let picture = [
        "--image",
        "picture.png",
        "--preset",
        "preset.json",
        "-o",
        "a.gif",
    ];
    let refuse = |command: Command, code: i32, parts: &[&str]| {
        assert_refused(ending(command), code, parts);
    };
    let mut command = generate(&all);
    command.args(["--control", "controlnet"]);
    refuse(command, 3, &["has no ControlNet", "--controlnet"]);
    refuse(controlled(&model, &picture), 4, &["no ControlNet here"]);
    let mut command = controlled(&theirs, &picture);
    command.arg("--features-from").arg(model.path());
    refuse(
        command,
        4,
        &["unet/config.json", "UNet2DConditionModel is needed"],
    );
    let mut command = controlled(&own, &["--demo", "bear_@", "-o", "a.gif"]);
    let sky = desk.path("bear_@/0_sky.jpg");
    std::fs::copy(&sky, desk.path("bear_@/again.jpg")).unwrap();
    let json = std::fs::read_to_string(desk.path("bear_@/demo.json")).unwrap();
    let third = r#"{"5": {"mask_name": "again.jpg", "trajectory": [[9, 9]]}, "#;
    desk.write("bear_@/demo.json", json.replacen('{', third, 1));
    command.args(["--frames", "3"]);
    refuse(command, 3, &["3 entities", "at most 2"]);
    // The mini steers itself.
    tiny::tiny_model(&desk.path("model")).unwrap();
    let mut command = desk.program();
    command
        .args(["generate", "--device", "cpu", "--model", "model"])
        .args(picture);
    command.arg("--controlnet").arg(theirs.path());
    refuse(
        command,
        4,
        &["ControlNet of its own", "leave --controlnet out"],
    );
}

#[test]
fn a_batch_makes_what_is_not_made_yet() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("model")).unwrap();
    let good = r#"{"image": "picture.png", "preset": "preset.json", "output": "a.gif", "seed": 3}"#;
    let bad = r#"{"image": "later.png", "preset": "preset.json", "output": "b.gif"}"#;
    let example = r#"{"example": "coffee", "output": "c.webp", "frames": 3, "overlay": true}"#;
    desk.write("jobs.jsonl", format!("{good}\n\n{bad}\n{example}\n"));
    let batch = || {
        let mut command = desk.program();
        // From another folder: names are relative to the list's.
        command.current_dir(desk.path("model")).args([
            "generate",
            "--batch",
            "../jobs.jsonl",
            "--model",
            ".",
            "--device",
            "cpu",
            "--steps",
            "1",
            "--frames",
            "2",
        ]);
        command
    };
    let results = || -> Vec<serde_json::Value> {
        std::fs::read_to_string(desk.path("jobs.results.jsonl"))
            .unwrap()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    let parts = ["1 of 3 jobs failed", "jobs.results.jsonl", "again"];
    assert_refused(ending(batch()), 3, &parts);
    let lines = results();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["made"]["frames"], 2);
    let why = lines[1]["error"].as_str().unwrap();
    assert!(why.contains("later.png"), "{why}");
    assert_eq!(lines[2]["made"]["frames"], 3);
    let first = std::fs::metadata(desk.path("a.gif")).unwrap();

    // The missing picture has come, and the results were cut short by a power failure.
    std::fs::copy(desk.path("picture.png"), desk.path("later.png")).unwrap();
    let text = std::fs::read(desk.path("jobs.results.jsonl")).unwrap();
    desk.write("jobs.results.jsonl", &text[..text.len() - 5]);
    let (code, said) = ending(batch());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 were made earlier"), "{said}");
    let again = std::fs::metadata(desk.path("a.gif")).unwrap();
    assert_eq!(first.modified().unwrap(), again.modified().unwrap());
    assert!(desk.path("b.gif").is_file());
    assert_eq!(results().len(), 4, "one line was cut short");

    // What a full disk left empty is none.
    desk.write("a.gif", "");
    let (code, said) = ending(batch());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("2 were made earlier"), "{said}");
    assert_eq!(desk.path("a.gif").metadata().unwrap().len(), first.len());

    for (line, parts) in [
        ("{\"image\": \"a.png\"", &["line 2", "JSON object"][..]),
        (
            r#"{"picture": "a.png", "output": "d.gif"}"#,
            &["line 2", "picture"],
        ),
        (r#"{"output": "d.gif"}"#, &["line 2", "\"image\""]),
        (
            r#"{"image": "a.png", "output": "d.avi"}"#,
            &["line 2", ".avi"],
        ),
        (
            r#"{"image": "a.png", "output": "a.gif"}"#,
            &["line 2", "earlier line"],
        ),
        (r#"{"image": "a.png"}"#, &["line 2", "no place to write"]),
    ] {
        desk.write("jobs.jsonl", format!("{good}\n{line}\n"));
        assert_refused(ending(batch()), 3, parts);
    }
    std::fs::remove_file(desk.path("jobs.jsonl")).unwrap();
    assert_refused(ending(batch()), 3, &["jobs.jsonl"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_cancels() {
    use std::io::{BufRead, BufReader};
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("model")).unwrap();
    let mut program = std::process::Command::new(assert_cmd::cargo::cargo_bin("dragentity"))
        .args([
            "generate",
            "--example",
            "-o",
            "cat.gif",
            "--device",
            "cpu",
            "--steps",
            "200",
            "--json",
            "--model",
            "model",
        ])
        .current_dir(desk.path("."))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if line.contains("\"step\":1") {
            let id = program.id().to_string();
            assert!(
                std::process::Command::new("kill")
                    .args(["-INT", &id])
                    .status()
                    .unwrap()
                    .success()
            );
        }
    }
    let ended = program.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert_eq!(
        String::from_utf8(ended.stderr).unwrap().trim(),
        "error: cancelled"
    );
    assert!(!desk.path("cat.gif").exists());
}

#[cfg(unix)]
#[test]
fn it_ends_quietly_when_nobody_reads_on() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("model")).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_dragentity"))
        .args(["generate", "--example", "-o", "cat.gif", "--device", "cpu"])
        .args(["--steps", "1", "--json", "--model", "model"])
        .current_dir(desk.path("."))
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_printed_is_said_and_the_video_is_made() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("model")).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dragentity"));
    let output = command
        .args(["generate", "--example", "-o", "cat.gif", "--device", "cpu"])
        .args(["--steps", "1", "--json", "--model", "model"])
        .current_dir(desk.path("."))
        .stdout(std::fs::File::create("/dev/full").unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(said.matches("standard output").count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(desk.path("cat.gif").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn where_nothing_can_be_written_is_said_before_the_work() {
    let desk = Desk::new();
    // Were the model loaded first, that would be said: it has no weights.
    let generate = |output: &str| {
        let mut command = desk.program();
        command.args("generate --example --device cpu --model model -o".split(' '));
        command.arg(output);
        ending(command)
    };
    desk.write("file", "");
    for output in ["/proc/a.gif", "file/frames", "/proc/frames"] {
        assert_refused(generate(output), 3, &[output]);
    }
    let mut command = desk.program();
    command.args([
        "segment",
        "picture.png",
        "--click",
        "0.5,0.5",
        "-o",
        "/proc/a.png",
    ]);
    assert_refused(ending(command), 3, &["/proc/a.png"]);
    std::fs::create_dir(desk.path("album")).unwrap();
    std::fs::copy(desk.path("picture.png"), desk.path("album/0001.png")).unwrap();
    assert_refused(generate("album"), 3, &["album", "pictures"]);
    // What is refused for another reason leaves no folder behind.
    assert_refused(generate("frames"), 4, &["model"]);
    assert!(!desk.path("frames").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn notes_that_cannot_be_written_stop_nothing() {
    let desk = Desk::new();
    let full = || std::fs::File::create("/dev/full").unwrap();
    let ended = |args: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dragentity"));
        let args = args.split(' ');
        command.current_dir(desk.path(".")).args(args);
        // Standard output, too: then nothing at all can be said.
        command.stdout(full()).stderr(full()).status().unwrap()
    };
    // A plan is noted, and at the end that standard output was lost.
    let made = ended("generate --example --frames 2 --device cpu -o cat.gif");
    assert_eq!(made.code(), Some(3));
    assert!(desk.path("cat.gif").exists());
    for (args, code) in [
        ("--help", 0),
        ("dance", 2),
        ("generate --example --model model -o a.gif", 4),
        ("serve --dir nowhere", 3),
    ] {
        assert_eq!(ended(args).code(), Some(code), "{args}");
    }
}

#[test]
fn a_jpeg_that_is_cut_short_is_used_and_said_to_be() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("model")).unwrap();
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_fn(60, 40, |x, y| image::Rgb([x as u8 * 4, y as u8 * 6, 90]))
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .unwrap();
    let jpeg = jpeg.into_inner();
    desk.write("whole.jpg", &jpeg);
    desk.write("cut.jpg", &jpeg[..jpeg.len() - 60]);
    for (picture, noted) in [("whole.jpg", false), ("cut.jpg", true)] {
        let mut command = desk.program();
        command.args([
            "generate",
            "--image",
            picture,
            "--preset",
            "preset.json",
            "-o",
            "a.gif",
        ]);
        command.args([
            "--device", "cpu", "--model", "model", "--steps", "1", "--frames", "2",
        ]);
        let (code, said) = ending(command);
        assert_eq!(code, 0, "{said}");
        assert_eq!(said.contains("cut.jpg is cut short"), noted, "{said}");
    }
}
