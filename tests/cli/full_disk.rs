//! Disks that are full at every byte, files that cannot be read, and files that change: one sentence that names the file, nothing
//! half under its name, and what was there before stays.

use super::{Desk, assert_refused, tiny};
use dragentity_testkit::program::{ended, ending};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All files below a folder, with what they hold.
pub(super) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

impl Desk {
    /// Runs the program where no file can grow beyond `bytes`: writes past it fail as on a full disk. Exit code and words.
    fn within(&self, bytes: u64, args: &[&str]) -> (i32, String) {
        // The signal would end the program, which is not what a full disk does.
        let limit = format!("trap '' XFSZ; exec prlimit --fsize={bytes} \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &limit, "sh", env!("CARGO_BIN_EXE_dragentity")])
            .args(args)
            .current_dir(self.path("."))
            .output()
            .unwrap();
        ended(&output)
    }

    /// Runs the program with room for less and less of what it writes: for about `times` lengths, all of them if that is enough.
    fn fills_the_disk(&self, args: &[&str], output: &str, times: u64) {
        let before = files(&self.path("."));
        let (code, said) = self.within(u64::MAX >> 1, args);
        assert_eq!(code, 0, "{said}");
        let whole = files(&self.path("."));
        let made: Vec<&PathBuf> = whole
            .iter()
            .filter(|(path, bytes)| before.get(*path) != Some(bytes))
            .map(|(path, _)| path)
            .collect();
        assert!(!made.is_empty(), "nothing was written to {output}");
        let longest = made.iter().map(|path| whole[*path].len()).max().unwrap() as u64;
        let again = |after: &BTreeMap<PathBuf, Vec<u8>>, room: u64| {
            // A file of what was asked for is the whole one, or there is none.
            for (path, bytes) in after {
                let known = whole.get(path) == Some(bytes) || before.get(path) == Some(bytes);
                assert!(known, "room for {room}: {path:?} of {} bytes", bytes.len());
            }
            for (path, bytes) in &before {
                assert!(
                    after.get(path) == Some(bytes),
                    "room for {room}: {path:?} is gone"
                );
            }
        };
        let step = longest.div_ceil(times).max(1);
        for room in (0..longest).step_by(step as usize).chain([longest - 1]) {
            for path in &made {
                match (before.get(*path), path.parent().unwrap()) {
                    (Some(bytes), _) => std::fs::write(path, bytes).unwrap(),
                    (None, folder) if folder == self.path(".") => {
                        let _ = std::fs::remove_file(path);
                    }
                    (None, folder) => {
                        let _ = std::fs::remove_dir_all(folder);
                    }
                }
            }
            assert_refused(self.within(room, args), 3, &[output, "File too large"]);
            again(&files(&self.path(".")), room);
        }
    }
}

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

#[test]
fn videos_are_written_whole_or_not_at_all() {
    for output in ["a.gif", "a.webp", "a.mp4", "a.zip", "frames"] {
        Desk::new().fills_the_disk(&[&GENERATE[..], &[output]].concat(), output, 5);
    }
    // One that was there before stays.
    let desk = Desk::new();
    desk.write("a.gif", "an earlier one");
    let before = files(&desk.path("."));
    let args = [&GENERATE[..], &["a.gif"]].concat();
    assert_refused(desk.within(500, &args), 3, &["a.gif"]);
    assert_eq!(files(&desk.path(".")), before);
}

#[test]
fn presets_projects_and_paths_are_written_whole_or_not_at_all() {
    let desk = Desk::new();
    let export = [
        "export",
        "preset.json",
        "--picture",
        "picture.png",
        "--format",
    ];
    // Short ones at every byte.
    let short = [&export[..], &["dragnuwa", "-o", "short.json"]].concat();
    desk.fills_the_disk(&short, "short.json", 1000);
    for (format, output) in [
        ("project", "a.dragentity"),
        ("wan-move", "moves"),
        ("time-to-move", "folder"),
    ] {
        let args = [&export[..], &[format, "-o", output]].concat();
        desk.fills_the_disk(&args, output, 6);
    }
    assert_eq!(desk.within(u64::MAX >> 1, &short).0, 0);
    let import = [
        "import",
        "short.json",
        "--picture",
        "picture.png",
        "-o",
        "back.json",
    ];
    desk.fills_the_disk(&import, "back.json", 12);
}

#[test]
fn a_conversion_is_written_whole_or_not_at_all() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("tiny")).unwrap();
    desk.fills_the_disk(&["convert", "tiny", "small"], "small", 5);
}

#[test]
fn a_batch_goes_on_where_the_disk_was_full() {
    let desk = Desk::new();
    let line = |output: &str| {
        format!(
            r#"{{"image": "picture.png", "preset": "preset.json", "frames": 2, "output": "{output}"}}"#
        )
    };
    desk.write("jobs.jsonl", [line("a.gif"), line("b.gif")].join("\n"));
    let batch = ["generate", "--batch", "jobs.jsonl"];
    let (code, said) = desk.within(u64::MAX >> 1, &batch);
    assert_eq!(code, 0, "{said}");
    let results = std::fs::read(desk.path("jobs.results.jsonl")).unwrap();
    let first = results.iter().position(|&b| b == b'\n').unwrap() + 1;
    let video = desk.path("a.gif").metadata().unwrap().len();
    for room in [0, 1, first / 2, first, first + 10] {
        for file in ["a.gif", "b.gif", "jobs.results.jsonl"] {
            std::fs::remove_file(desk.path(file)).unwrap();
        }
        let (code, said) = desk.within(room as u64, &batch);
        assert_eq!(code, 3, "{said}");
        // Nothing is called made that is not: the rest is done when there is room again.
        let (code, said) = desk.within(u64::MAX >> 1, &batch);
        assert_eq!(code, 0, "{said}");
        for file in ["a.gif", "b.gif"] {
            assert_eq!(desk.path(file).metadata().unwrap().len(), video, "{room}");
        }
    }
}

/// A file system of 96 KB that is really full, where this user may make one.
#[test]
fn a_full_file_system() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("small")).unwrap();
    let run = |script: &str| {
        let output = Command::new("unshare")
            .args([
                "-rm",
                "sh",
                "-c",
                script,
                "sh",
                env!("CARGO_BIN_EXE_dragentity"),
            ])
            .current_dir(desk.path("."))
            .output();
        output.ok()
    };
    let mounted = "mount -t tmpfs -o size=96k none small";
    if !run(mounted).is_some_and(|o| o.status.success()) {
        eprintln!("no file system can be made here");
        return;
    }
    let script = format!(
        "{mounted} && printf old >small/a.gif && head -c 86000 /dev/zero >small/rest
        \"$1\" generate --example --frames 9 -o small/a.gif; echo \"code $?\"
        \"$1\" generate --example --frames 9 -o small/frames; echo \"code $?\"
        \"$1\" export preset.json --picture picture.png --format project -o small/a.dragentity; echo \"code $?\"
        ls -A small; cat small/a.gif"
    );
    let output = run(&script).unwrap();
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(!errors.contains("panicked"), "{errors}");
    assert_eq!(
        errors.matches("No space left on device").count(),
        2,
        "{errors}"
    );
    assert_eq!(said.matches("code 3").count(), 2, "{said}{errors}");
    assert!(
        said.ends_with("a.dragentity\na.gif\nrest\nold"),
        "{said}{errors}"
    );
}

/// What is a file by its kind and gives an error (EIO) when it is read.
#[test]
fn files_that_cannot_be_read_are_named() {
    let desk = Desk::new();
    let broken = "/proc/self/mem";
    for args in [
        &[
            "generate",
            "--image",
            broken,
            "--preset",
            "preset.json",
            "-o",
            "a.gif",
        ][..],
        &[
            "generate",
            "--image",
            "picture.png",
            "--preset",
            broken,
            "-o",
            "a.gif",
        ],
        &["generate", broken, "-o", "a.gif"],
        &["segment", broken, "--click", "0.5,0.5", "-o", "a.png"],
        &["import", broken, "--picture", "picture.png", "-o", "a.json"],
        &["track", broken, "--masks", "picture.png", "-o", "a.json"],
        &["generate", "--batch", broken],
    ] {
        let mut command = desk.program();
        command.args(args);
        assert_refused(ending(command), 3, &[broken]);
    }
    assert!(!desk.path("a.gif").exists());
}
