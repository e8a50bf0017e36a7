//! A program as a person would call it.

use assert_cmd::Command;
use std::path::PathBuf;
use std::process::Output;

/// A folder with a picture, a preset for it, and a model folder without weights.
pub struct Desk {
    dir: tempfile::TempDir,
    program: &'static str,
}

/// A preset for a picture of 60 x 40 pixels with one entity, as a person's editor would show it.
pub const PRESET: &str = r#"{"dragentity": 1, "picture": {"width": 60, "height": 40},
    "entities": [{"name": "box", "mask": {"width": 6, "height": 4, "runs": [7, 2, 4, 2, 9]},
                  "trajectory": [[0.3, 0.4, 0], [0.7, 0.5, 1]]}]}"#;

impl Desk {
    /// With the program of this name, as this build made it.
    pub fn new(program: &'static str) -> Self {
        let desk = Self {
            dir: tempfile::tempdir().unwrap(),
            program,
        };
        image::RgbImage::from_fn(60, 40, |x, y| image::Rgb([x as u8 * 4, y as u8 * 6, 90]))
            .save(desk.path("picture.png"))
            .unwrap();
        desk.write("preset.json", PRESET);
        std::fs::create_dir(desk.path("model")).unwrap();
        desk.write(
            "model/model_index.json",
            "{\"_class_name\": \"DragEntityPipeline\"}",
        );
        desk
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// The program, called from there.
    pub fn program(&self) -> Command {
        let mut command = Command::cargo_bin(self.program).unwrap();
        command
            .current_dir(self.dir.path())
            .timeout(std::time::Duration::from_secs(300));
        command
    }

    /// Runs `generate` on a picture and a preset with the model folder that has no weights. Returns exit code and what
    /// was said on standard error.
    pub fn generate(&self, picture: &str, preset: &str) -> (i32, String) {
        let mut command = self.program();
        command.args([
            "generate", "--image", picture, "--preset", preset, "-o", "out.gif", "--device", "cpu",
        ]);
        command.args(["--model", "model"]);
        let said = ending(command);
        assert!(
            !self.path("out.gif").exists(),
            "a file was written all the same"
        );
        said
    }
}

/// Runs a program: its exit code, and what it said on standard error.
pub fn ending(mut command: Command) -> (i32, String) {
    ended(&command.output().unwrap())
}

/// Exit code of a program that has run, and what it said on standard error, which is no panic.
pub fn ended(output: &Output) -> (i32, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code().expect("ended by itself"), said)
}

/// One sentence that begins with "error:" and contains all of `parts`.
pub fn assert_refused((code, said): (i32, String), expected: i32, parts: &[&str]) {
    assert_eq!(code, expected, "{said}");
    let errors: Vec<&str> = said.lines().filter(|l| l.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    for part in parts {
        assert!(errors[0].contains(part), "{part:?} is not in: {said}");
    }
}
