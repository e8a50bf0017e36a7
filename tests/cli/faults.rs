//! Disks that give errors: every call by which the program reads, writes or moves a file fails in turn. One sentence names the file,
//! nothing half is left under a name, and what is called off is begun again.

use super::full_disk::files;
use super::{Desk, assert_refused, tiny};
use dragentity_testkit::faults::{Fault, MOVES, READS, SYNCS, WRITES, can_be_injected};
use dragentity_testkit::program::ended;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

const GENERATE: [&str; 8] = [
    "generate",
    "--image",
    "picture.png",
    "--preset",
    "preset.json",
    "--frames",
    "2",
    "--output",
];

impl Desk {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dragentity"));
        command.args(args).current_dir(self.path("."));
        command
    }

    /// Puts back what there was, and takes away what there was not.
    fn reset(&self, before: &BTreeMap<PathBuf, Vec<u8>>, made: &str) {
        let made = self.path(made);
        let _ = match made.is_dir() {
            true => std::fs::remove_dir_all(&made),
            false => std::fs::remove_file(&made),
        };
        for (path, bytes) in before {
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// Makes `output` with each call that writes failing in turn.
    fn fails_to_write(&self, args: &[&str], output: &str) {
        let before = files(&self.path("."));
        let command = self.command(args);
        let whole = ended(&self.command(args).output().unwrap());
        assert_eq!(whole.0, 0, "{}", whole.1);
        let after = files(&self.path("."));
        self.reset(&before, output);
        for calls in [WRITES, SYNCS, MOVES] {
            let fault = Fault {
                calls,
                error: "EIO",
                path: "",
            };
            fault.each(&command, |nth, made| {
                let (code, said) = ended(&made);
                let what = format!("{output}, {calls} {nth:?}: {said}");
                let now = files(&self.path("."));
                // Whatever has failed, a file is the whole one, the earlier one, or none.
                for (path, bytes) in &now {
                    let known = [&before, &after].map(|files| files.get(path) == Some(bytes));
                    assert!(known.contains(&true), "{path:?}: {what}");
                }
                for path in before.keys() {
                    assert!(now.contains_key(path), "{path:?} is gone: {what}");
                }
                match (nth, code) {
                    // What is told on the way may get lost; nobody could be told of that.
                    (_, 0) => assert!(now == after, "{what}"),
                    (Some(_), 3) => {
                        let told = said.contains("Input/output error");
                        assert!(told && said.contains("error: "), "{what}");
                    }
                    _ => panic!("code {code}: {what}"),
                }
                self.reset(&before, output);
            });
        }
        // What was interrupted is done again.
        let interrupted = Fault {
            calls: WRITES,
            error: "EINTR",
            path: "",
        };
        let (made, failed) = interrupted.inject("1+2", &command);
        let (code, said) = ended(&made);
        assert!(code == 0 && failed > 0, "{output}: {said}");
        assert!(files(&self.path(".")) == after, "{output}: {said}");
        self.reset(&before, output);
    }

    /// Runs the program with each call that reads `input` failing in turn: the file is named.
    fn fails_to_read(&self, args: &[&str], input: &str) {
        let command = self.command(args);
        let fault = |error| Fault {
            calls: READS,
            error,
            path: input,
        };
        fault("EIO").each(&command, |nth, output| {
            let (code, said) = ended(&output);
            match nth {
                Some(_) => {
                    // Weights and what belongs to them have a code of their own.
                    assert!([3, 4].contains(&code), "{code}: {said}");
                    assert_refused((code, said), code, &[input, "Input/output error"]);
                }
                None => assert_eq!(code, 0, "{input}: {said}"),
            }
        });
        let (output, failed) = fault("EINTR").inject("1+2", &command);
        let (code, said) = ended(&output);
        assert!(code == 0 && failed > 0, "{input}: {said}");
    }
}

#[test]
fn what_cannot_be_written_is_not_there() {
    if !can_be_injected() {
        return;
    }
    let desk = Desk::new();
    for output in ["a.gif", "a.zip", "a.webp", "a.mp4", "frames"] {
        desk.fails_to_write(&[&GENERATE[..], &[output]].concat(), output);
    }
    // An earlier one stays.
    desk.write("a.gif", "an earlier one");
    desk.fails_to_write(&[&GENERATE[..], &["a.gif"]].concat(), "a.gif");
    let export = ["export", "preset.json", "--picture", "picture.png"];
    for (format, output) in [("project", "a.dragentity"), ("wan-move", "moves")] {
        let args = [&export[..], &["--format", format, "-o", output]].concat();
        desk.fails_to_write(&args, output);
    }
    tiny::tiny_model(&desk.path("tiny")).unwrap();
    desk.fails_to_write(&["convert", "tiny", "small"], "small");
}

#[test]
fn what_cannot_be_read_is_named() {
    if !can_be_injected() {
        return;
    }
    let desk = Desk::new();
    let args = [&GENERATE[..], &["a.gif"]].concat();
    desk.fails_to_read(&args, "picture.png");
    desk.fails_to_read(&args, "preset.json");
    let mask =
        image::GrayImage::from_fn(240, 160, |x, _| image::Luma([if x < 80 { 255 } else { 0 }]));
    mask.save(desk.path("mask.png")).unwrap();
    let track = ["track", "a.gif", "--masks", "mask.png", "-o", "tracks.json"];
    desk.fails_to_read(&track, "a.gif");
    desk.fails_to_read(&track, "mask.png");
    for film in ["a.webp", "a.mp4"] {
        let made = desk.command(&[&GENERATE[..], &[film]].concat()).output();
        assert_eq!(ended(&made.unwrap()).0, 0);
        let track = ["track", film, "--masks", "mask.png", "-o", "tracks.json"];
        desk.fails_to_read(&track, film);
    }
    let export = ["export", "preset.json", "--picture", "picture.png"];
    let project = [&export[..], &["--format", "project", "-o", "a.dragentity"]].concat();
    desk.command(&project).output().unwrap();
    let args = ["generate", "a.dragentity", "--frames", "2", "-o", "b.gif"];
    desk.fails_to_read(&args, "a.dragentity");
    desk.write(
        "jobs.jsonl",
        r#"{"image": "picture.png", "preset": "preset.json", "frames": 2, "output": "c.gif"}"#,
    );
    desk.fails_to_read(&["generate", "--batch", "jobs.jsonl"], "jobs.jsonl");
}

#[test]
fn weights_that_cannot_be_read_are_named() {
    if !can_be_injected() {
        return;
    }
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("tiny")).unwrap();
    for file in [
        "tiny/model_index.json",
        "tiny/unet/config.json",
        "tiny/unet/diffusion_pytorch_model.safetensors",
    ] {
        assert!(desk.path(file).is_file(), "{file}");
        let convert = ["convert", "tiny", "small", "--overwrite"];
        desk.fails_to_read(&convert, file);
    }
}

#[test]
fn a_batch_goes_on_after_an_error_of_the_disk() {
    if !can_be_injected() {
        return;
    }
    let desk = Desk::new();
    let line = |output: &str| {
        format!(
            r#"{{"image": "picture.png", "preset": "preset.json", "frames": 2, "output": "{output}"}}"#
        )
    };
    desk.write("jobs.jsonl", [line("a.gif"), line("b.gif")].join("\n"));
    let batch = ["generate", "--batch", "jobs.jsonl"];
    let made = ["a.gif", "b.gif"];
    let whole = |desk: &Desk| {
        let (code, said) = ended(&desk.command(&batch).output().unwrap());
        assert_eq!(code, 0, "{said}");
        made.map(|file| std::fs::read(desk.path(file)).unwrap())
    };
    let expected = whole(&desk);
    for calls in [WRITES, SYNCS, MOVES] {
        let fault = Fault {
            calls,
            error: "EIO",
            path: "",
        };
        for file in made.iter().chain(&["jobs.results.jsonl"]) {
            std::fs::remove_file(desk.path(file)).unwrap();
        }
        fault.each(&desk.command(&batch), |nth, output| {
            let (code, said) = ended(&output);
            assert!([0, 3].contains(&code), "{calls} {nth:?}: {said}");
            // The same command does the rest, whatever went wrong.
            assert!(whole(&desk) == expected, "{calls} {nth:?}");
            for file in made.iter().chain(&["jobs.results.jsonl"]) {
                std::fs::remove_file(desk.path(file)).unwrap();
            }
        });
        whole(&desk);
    }
}

/// What comes from pipes comes in pieces, and has no length beforehand.
#[test]
fn pipes_are_read_to_their_end() {
    let desk = Desk::new();
    let args = [&GENERATE[..], &["a.gif"]].concat();
    assert_eq!(ended(&desk.command(&args).output().unwrap()).0, 0);
    for (pipe, source, piece) in [
        ("slow.png", "picture.png", 7),
        ("slow.json", "preset.json", 1),
    ] {
        let pipe = desk.path(pipe);
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let bytes = std::fs::read(desk.path(source)).unwrap();
        std::thread::spawn(move || {
            // Waits for the program to open its end.
            let mut pipe = std::fs::File::create(pipe).unwrap();
            for piece in bytes.chunks(piece) {
                pipe.write_all(piece).unwrap();
            }
        });
    }
    let args = [
        "generate",
        "--image",
        "slow.png",
        "--preset",
        "slow.json",
        "--frames",
        "2",
        "-o",
        "b.gif",
    ];
    let (code, said) = ended(&desk.command(&args).output().unwrap());
    assert_eq!(code, 0, "{said}");
    let read = |file: &str| std::fs::read(desk.path(file)).unwrap();
    assert!(read("a.gif") == read("b.gif"));
}

/// Lists without an end are no lists.
#[test]
fn a_list_that_never_ends_is_refused() {
    let desk = Desk::new();
    let output = desk.command(&["generate", "--batch", "/dev/zero"]).output();
    assert_refused(ended(&output.unwrap()), 3, &["/dev/zero", "64 MB"]);
}
