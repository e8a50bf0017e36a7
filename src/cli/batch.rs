//! `dragentity generate --batch`: many videos from a list, a JSON object a line. Beside the list grows a file with a
//! line of result for each; started again, only what is not done yet is done.

use super::files::{check_output, read};
use super::request::Request;
use dragentity_core::error::{Error, Result};
use dragentity_media::read::frame_files;
use dragentity_terminal::progress::Progress;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Largest list that is read, in bytes.
const MAX_LIST: u64 = 64 << 20;

/// A list of videos to make.
pub struct Batch {
    requests: Vec<Request>,
    folder: PathBuf,
    results: PathBuf,
    /// What an earlier run did.
    done: HashSet<String>,
}

/// A line of the results.
#[derive(Serialize, Deserialize)]
struct Outcome {
    /// The line of the list, as it was understood.
    job: Value,
    /// What was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made: Option<Value>,
    /// Why nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Batch {
    /// Reads a list. `defaults` are the settings of the lines that do not say otherwise.
    ///
    /// # Errors
    /// [`Error::Job`] naming the line that is none or whose video could not be written, and those of [`read`].
    pub fn open(list: &Path, defaults: &Request) -> Result<Self> {
        let text = String::from_utf8(read(list, MAX_LIST, "list")?).map_err(|_| {
            Error::Job(format!(
                "{}: is not text; write a JSON object a line",
                list.display()
            ))
        })?;
        let folder = list.parent().unwrap_or(Path::new("")).to_owned();
        let mut requests = Vec::new();
        let mut outputs = HashSet::new();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let fail = |why: String| {
                Err(Error::Job(format!(
                    "{}, line {}: {why}",
                    list.display(),
                    number + 1
                )))
            };
            let request: Request = match serde_json::from_str(line) {
                Ok(request) => request,
                Err(e) => {
                    return fail(format!(
                        "{e}; write a JSON object, as {{\"image\": \"a.jpg\", \"preset\": \"a.json\", \"output\": \"a.mp4\"}}"
                    ));
                }
            };
            let sources = [
                request.project.is_some(),
                request.image.is_some(),
                request.demo.is_some(),
                request.example.is_some(),
            ];
            if sources.iter().filter(|&&given| given).count() != 1 {
                return fail("give one of \"project\", \"image\", \"example\" and \"demo\"".into());
            }
            if request
                .scale
                .is_some_and(|scale| !(1..=16).contains(&scale))
            {
                return fail("\"scale\" must be 1 to 16".into());
            }
            if request.preset.as_deref() == Some("-") {
                return fail("a list cannot take presets from standard input".into());
            }
            let output = match request.output() {
                Ok(output) => output,
                Err(error) => return fail(error.to_string()),
            };
            if !outputs.insert(output.to_owned()) {
                return fail(format!(
                    "an earlier line writes {} already; choose another \"output\"",
                    output.display()
                ));
            }
            if let Err(error) = check_output(&folder.join(output)) {
                return fail(error.to_string());
            }
            requests.push(or_else(request, defaults));
        }
        let results = list.with_extension("results.jsonl");
        Ok(Self {
            done: done(&results)?,
            requests,
            folder,
            results,
        })
    }

    /// Makes all videos that are not made yet, each by `make`. One that fails does not stop the others.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Io`] when the results cannot be written, and [`Error::Job`] at the end if a
    /// video failed.
    pub fn run<M: Serialize>(
        &self,
        progress: &mut Progress,
        mut make: impl FnMut(&Request, &mut Progress) -> Result<M>,
    ) -> Result<()> {
        let mut results = open_results(&self.results)?;
        let (mut failed, mut skipped) = (0, 0);
        for (number, request) in self.requests.iter().enumerate() {
            let line = serde_json::to_value(request).unwrap_or_default();
            let request = request.clone().within(&self.folder);
            let output = request.output()?;
            if self.done.contains(&line.to_string()) && is_whole(output) {
                skipped += 1;
                continue;
            }
            progress.notes(&[format!(
                "job {} of {}: {}",
                number + 1,
                self.requests.len(),
                output.display()
            )]);
            let outcome = match make(&request, progress) {
                Ok(made) => Outcome {
                    job: line,
                    made: serde_json::to_value(&made).ok(),
                    error: None,
                },
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => {
                    failed += 1;
                    progress.notes(&[format!("{}: {error}", output.display())]);
                    Outcome {
                        job: line,
                        made: None,
                        error: Some(error.to_string()),
                    }
                }
            };
            let mut text = serde_json::to_string(&outcome).unwrap_or_default();
            text.push('\n');
            results
                .write_all(text.as_bytes())
                .and_then(|()| results.sync_data())
                .map_err(|source| self.io(source))?;
        }
        if skipped > 0 {
            progress.notes(&[format!("{skipped} were made earlier")]);
        }
        match failed {
            0 => Ok(()),
            _ => Err(Error::Job(format!(
                "{failed} of {} jobs failed; {} says why, and the same command tries them again",
                self.requests.len(),
                self.results.display()
            ))),
        }
    }

    fn io(&self, source: std::io::Error) -> Error {
        Error::Io {
            path: self.results.display().to_string(),
            source,
        }
    }
}

/// `request`, with settings from `defaults` where it has none.
fn or_else(request: Request, defaults: &Request) -> Request {
    Request {
        seed: request.seed.or(defaults.seed),
        steps: request.steps.or(defaults.steps),
        frames: request.frames.or(defaults.frames),
        size: request.size.or(defaults.size),
        representation: request.representation.or(defaults.representation),
        control: request.control.or(defaults.control),
        weak: request.weak.or(defaults.weak),
        strong: request.strong.or(defaults.strong),
        fps: request.fps.or(defaults.fps),
        interpolate: request.interpolate.or(defaults.interpolate),
        scale: request.scale.or(defaults.scale),
        overlay: request.overlay || defaults.overlay,
        ..request
    }
}

/// The jobs that earlier results call made. A last line that an interruption cut short is none.
fn done(results: &Path) -> Result<HashSet<String>> {
    let text = match std::fs::read(results) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(HashSet::new()),
        Err(source) => {
            return Err(Error::Io {
                path: results.display().to_string(),
                source,
            });
        }
    };
    let outcomes = text
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Outcome>(line).ok());
    Ok(outcomes
        .filter(|outcome| outcome.made.is_some())
        .map(|outcome| outcome.job.to_string())
        .collect())
}

/// Whether something was written there: a file that a full disk left empty is made again.
fn is_whole(output: &Path) -> bool {
    match output.is_dir() {
        true => frame_files(output).is_ok(),
        false => std::fs::metadata(output).is_ok_and(|file| file.len() > 0),
    }
}

/// The results, to be added to at a line's beginning.
fn open_results(path: &Path) -> Result<File> {
    let io = |source| Error::Io {
        path: path.display().to_string(),
        source,
    };
    let whole = std::fs::read(path).map_or(true, |text| text.is_empty() || text.ends_with(b"\n"));
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(io)?;
    if !whole {
        file.write_all(b"\n").map_err(io)?;
    }
    Ok(file)
}
