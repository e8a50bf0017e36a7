//! `dragentity generate`: the page's job, without the page.

use super::batch::Batch;
use super::demo;
use super::files::{MAX_PICTURE_FILE, check_output, read, read_picture};
use super::model::{DeviceArgs, ModelArgs};
use super::request::Request;
use dragentity_core::Cancel;
use dragentity_core::Job;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::project::Project;
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Fit, Picture, Preset, Scene};
use dragentity_media as media;
use dragentity_pipeline::at_once::{self, AtOnce};
use dragentity_pipeline::interpolate::check_factor;
use dragentity_pipeline::model::{About, Kind, SceneFrom};
use dragentity_pipeline::runner::{Runner, with_runner};
use dragentity_terminal::interrupt::on_interrupt;
use dragentity_terminal::progress::{Progress, ProgressArgs};
use serde::Serialize;
use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Largest preset file that is read, in bytes; the codec has a limit of its own.
const MAX_PRESET_FILE: u64 = 16 << 20;
/// Largest project that is read, in bytes.
const MAX_PROJECT_FILE: u64 = 1 << 30;

/// Options of `dragentity generate`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    request: Request,
    /// Make many videos: a file with a JSON object a line, whose names are those of these options
    #[arg(long, value_name = "FILE", conflicts_with_all = ["image", "preset", "demo", "example", "project", "output"])]
    batch: Option<PathBuf>,
    #[command(flatten)]
    place: DeviceArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Generates one video, or a batch of them.
///
/// # Errors
/// Those of the request, the model, the device and the run, [`Error::Cancelled`] after Ctrl-C, and [`Error::Job`] at the
/// end of a batch in which a video failed.
pub fn run(args: Args) -> Result<()> {
    let options = args.model.options();
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let mut progress = args.progress.start();
    let result = if let Some(list) = &args.batch {
        let batch = Batch::open(list, &args.request)?;
        let about = pollster::block_on(About::read(&options))?;
        progress.notes(about.note.as_slice());
        on_interrupt(move || stop.cancel());
        with_runner(args.place.device, &options, |runner| {
            batch.run(&mut progress, |request, progress| {
                let (job, notes) = job(request, &about)?;
                progress.notes(&notes);
                make(request, &job, runner, &cancel, progress)
            })
        })
    } else {
        // What can be refused is refused before the long work.
        check_output(args.request.output()?)?;
        let about = pollster::block_on(About::read(&options))?;
        let (job, notes) = job(&args.request, &about)?;
        progress.notes(&notes);
        progress.notes(about.note.as_slice());
        on_interrupt(move || stop.cancel());
        with_runner(args.place.device, &options, |runner| {
            make(&args.request, &job, runner, &cancel, &mut progress).map(drop)
        })
    };
    progress.finish();
    result?
}

/// What has been made, for programs.
#[derive(Serialize)]
struct Made {
    output: String,
    frames: usize,
    width: u32,
    height: u32,
    fps: u32,
    seconds: f64,
}

/// Runs a job, writes its video and says so.
fn make(
    request: &Request,
    job: &Job,
    runner: &mut dyn Runner,
    cancel: &Cancel,
    progress: &mut Progress,
) -> Result<Made> {
    let output = request.output()?;
    let target = media::Target::claim(output)?;
    if let Some(factor) = request.interpolate {
        check_factor(factor)?;
    }
    let started = Instant::now();
    if let Some(folder) = &request.write_reference {
        let at_once = AtOnce::default();
        let mut show = |event| progress.show(&event);
        let made = at_once.reference(job, at_once::size(job), cancel, &mut show);
        media::reference::save(&job.scene.picture, &pollster::block_on(made)?, folder)?;
    }
    let mut video = runner.run(job, cancel, &mut |event| progress.show(&event))?;
    if let Some(factor) = request.interpolate {
        video = runner.smooth(&video, factor, cancel, &mut |event| progress.show(&event))?;
    }
    let picture = (job.scene.picture.width, job.scene.picture.height);
    let (width, height) = media::view_size((video.width, video.height), picture, request.scale);
    let mut shown = media::resized(&video, width, height)?;
    if request.overlay {
        shown = Cow::Owned(media::overlay::with_trajectories(&shown, &job.scene)?);
    }
    target.save(&shown)?;
    let made = Made {
        output: output.display().to_string(),
        frames: shown.frames.len(),
        width,
        height,
        fps: shown.fps,
        seconds: started.elapsed().as_secs_f64(),
    };
    let Made {
        output,
        frames,
        seconds,
        ..
    } = &made;
    progress.result(
        "done",
        &made,
        &format!("{output}: {frames} frames of {width} x {height} pixels, in {seconds:.1} s"),
    );
    Ok(made)
}

/// The job that is asked for, and what the person should know about it.
fn job(args: &Request, about: &About) -> Result<(Job, Vec<String>)> {
    let request = args.choice();
    let unused = about.unused(&request);
    let (job, mut notes) = asked(args, request, about)?;
    notes.extend(unused);
    Ok((job, notes))
}

/// The job of a request that asks for these settings, and what is to be said of its scene.
fn asked(args: &Request, request: Choice, about: &About) -> Result<(Job, Vec<String>)> {
    if let Some(folder) = &args.demo {
        let mut demo = demo::open(folder)?;
        demo.scene.behind.plate = plate(args.plate.as_ref())?;
        let settings = about.settings(&request, SceneFrom::Demo(&demo));
        // Whatever the model does with them, a folder's entities are to make sense.
        let job = Job::new(demo.scene, settings, true)?;
        let mut notes = demo.notes;
        notes.extend(job.scene.notes(job.settings.frames));
        return Ok((job, notes));
    }
    if let Some(folder) = &args.reference {
        return followed(folder, request, about);
    }
    let mut own_plate = None;
    let (picture, own_preset) = match (args.example, &args.image, &args.project) {
        (Some(example), ..) => {
            let (name, bytes, preset) = example.parts();
            (Picture::decode(bytes, name)?, Some(Preset::parse(preset)?))
        }
        (None, Some(path), _) => (
            Picture::decode(&read_picture(path)?, &file_name(path))?,
            None,
        ),
        (None, None, Some(path)) => {
            let bytes = read(path, MAX_PROJECT_FILE, "project")?;
            let project = Project::parse(&bytes, &file_name(path))?;
            own_plate = project.plate;
            (project.picture, Some(project.preset))
        }
        (None, None, None) => {
            return Err(Error::Job(
                "there is no picture; name one with --image, or a project".into(),
            ));
        }
    };
    let preset = match (&args.preset, own_preset) {
        (Some(given), _) => Some(Preset::parse(&preset_text(given)?)?),
        (None, Some(own)) => Some(own),
        (None, None) if about.needs_paths() => {
            return Err(Error::Preset(
                "there is none, and nothing would move; name one with --preset".into(),
            ));
        }
        (None, _) => None,
    };
    let mut notes = Vec::new();
    let job = match preset {
        Some(preset) => {
            if preset.hash.is_some() && preset.fits(&picture) == Fit::SameAspect {
                notes.push("the preset was made on another picture of the same shape; check that its masks fit this one".into());
            }
            let settings = about.settings(&request, SceneFrom::Preset(&preset));
            let mut scene = preset.scene(picture)?;
            scene.behind.plate = plate(args.plate.as_ref())?.or(own_plate);
            let job = Job::new(scene, settings, true)?;
            notes.extend(job.scene.notes(job.settings.frames));
            job
        }
        None => {
            let scene = Scene {
                picture,
                ..Scene::default()
            };
            let settings = about.settings(&request, SceneFrom::Picture);
            Job::new(scene, settings, about.needs_paths())?
        }
    };
    Ok((job, notes))
}

/// The picture of what is behind the things, if one was named.
pub(super) fn plate(file: Option<&PathBuf>) -> Result<Option<Picture>> {
    let decoded = |path: &PathBuf| {
        let bytes = read(path, MAX_PICTURE_FILE, "background")?;
        Picture::decode(&bytes, &file_name(path))
    };
    file.map(decoded).transpose()
}

/// A job that follows what a folder of Time-to-Move has.
fn followed(folder: &Path, request: Choice, about: &About) -> Result<(Job, Vec<String>)> {
    if about.kind != Kind::StableVideoDiffusion {
        return Err(Error::Job(format!(
            "{} follows no reference: name a directory of Stable Video Diffusion with --model",
            about.name
        )));
    }
    let most = request.frames.unwrap_or(about.settings.frames);
    let (picture, reference) = media::reference::open(folder, most as usize)?;
    let has = reference.video.frames.len().min(reference.closely.len()) as u32;
    let request = Choice {
        frames: request.frames.or(Some(has.min(most))),
        ..request
    };
    let settings = about.settings(&request, SceneFrom::Picture);
    let scene = Scene {
        picture,
        ..Scene::default()
    };
    let reference = Some(Arc::new(reference));
    let job = Job::new(scene, settings, false)?;
    Ok((Job { reference, ..job }, Vec::new()))
}

/// The text of a preset: of the file of that name, of standard input for `-`, else the argument itself, a link.
pub(super) fn preset_text(given: &str) -> Result<String> {
    let path = Path::new(given);
    let bytes = if given == "-" {
        let mut bytes = Vec::new();
        let input = std::io::stdin()
            .lock()
            .take(MAX_PRESET_FILE + 1)
            .read_to_end(&mut bytes);
        input.map_err(|source| Error::Io {
            path: "standard input".into(),
            source,
        })?;
        bytes
    } else if path.exists() {
        // A pipe, too: `--preset <(...)`.
        read(path, MAX_PRESET_FILE, "preset")?
    } else if given.is_empty()
        || given.starts_with(['{', '#'])
        || given.starts_with("s=")
        || given.contains("://")
    {
        return Ok(given.to_owned());
    } else {
        return Err(Error::Preset(format!(
            "there is no file {given:?}, and it is no link either; check the name, or put the link in quotes"
        )));
    };
    String::from_utf8(bytes).map_err(|_| {
        Error::Preset(format!(
            "{given} is not text; open a .json file saved by DragEntity, or paste a link"
        ))
    })
}

pub(super) fn file_name(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::request::Example;
    use super::*;

    #[test]
    fn the_examples_are_made_for_their_pictures() {
        for example in [Example::Cat, Example::Astronaut, Example::Coffee] {
            let (name, bytes, preset) = example.parts();
            let picture = Picture::decode(bytes, name).unwrap();
            let preset = Preset::parse(preset).unwrap();
            assert_eq!(preset.fits(&picture), Fit::Same, "{name}");
            let scene = preset.scene(picture).unwrap();
            scene.check().unwrap();
            assert!(scene.notes(48).is_empty(), "{name}");
            for entity in &scene.entities {
                // Each is grabbed where it is, and moves as a whole, not the whole picture.
                let start = entity.trajectory.as_ref().unwrap().start();
                assert!(
                    entity.mask.contains(start[0], start[1]),
                    "{name}: {}",
                    entity.name
                );
                assert!(
                    (0.02..0.8).contains(&entity.mask.coverage()),
                    "{name}: {}",
                    entity.name
                );
            }
        }
    }
}
