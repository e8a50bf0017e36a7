//! `dragentity export`: a preset's paths in the neighbours' forms.

use super::files::{read_picture, writable, writable_folder};
use super::generate::{self, file_name, preset_text};
use dragentity_core::error::Result;
use dragentity_core::platform::{make_dir, write_whole};
use dragentity_core::scene::exchange::{self, Format, Target};
use dragentity_core::scene::project::Project;
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Picture, Preset, Scene};
use dragentity_core::{Cancel, Job};
use dragentity_media as media;
use dragentity_pipeline::at_once::{self, AtOnce};
use dragentity_pipeline::model::{About, ModelOptions, SceneFrom};
use dragentity_terminal::interrupt::on_interrupt;
use dragentity_terminal::options::size;
use dragentity_terminal::progress::{Progress, ProgressArgs};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The one form that is a video rather than paths.
const TIME_TO_MOVE: &str = "time-to-move";
/// This program's own, with the picture in it.
const PROJECT: &str = "project";

/// Options of `dragentity export`.
#[derive(clap::Args)]
pub struct Args {
    /// What moves where: a preset file, a link copied from the page (in quotes), or - for standard input
    preset: String,
    /// The picture: PNG, JPEG, WebP, GIF or BMP
    #[arg(long, value_name = "FILE")]
    picture: PathBuf,
    /// Whose form: kjnodes (coordinates), kjnodes-splines (what its editor opens), ati, dragnuwa, sg-i2v, wan-move, motionctrl,
    /// tora, draganything, or time-to-move (docs/src/exchange.md); or project, this program's own, with the picture in it
    #[arg(long, value_name = "NAME")]
    format: Form,
    /// The file, or the folder for wan-move, motionctrl, tora, draganything and time-to-move
    #[arg(short, long, value_name = "FILE_OR_DIR")]
    output: PathBuf,
    /// For time-to-move and project, what is behind the things: a picture of the same shape
    #[arg(long, value_name = "FILE")]
    plate: Option<PathBuf>,
    /// Positions of each path [default: as many as the other model makes frames]
    #[arg(long, value_name = "N")]
    frames: Option<u32>,
    /// Size that positions are pixels of, for kjnodes, ati and wan-move [default: the picture's]
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    size: Option<[u32; 2]>,
    #[command(flatten)]
    progress: ProgressArgs,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Paths(Format),
    TimeToMove,
    Project,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Paths(format) => format.name(),
            Self::TimeToMove => TIME_TO_MOVE,
            Self::Project => PROJECT,
        }
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            TIME_TO_MOVE => Ok(Self::TimeToMove),
            PROJECT => Ok(Self::Project),
            name => name
                .parse()
                .map(Self::Paths)
                .map_err(|names| format!("{names}, {TIME_TO_MOVE}, {PROJECT}")),
        }
    }
}

/// Writes one preset's paths.
///
/// # Errors
/// [`dragentity_core::Error::Preset`], [`dragentity_core::Error::Picture`], [`dragentity_core::Error::Job`] and
/// [`dragentity_core::Error::Io`], naming the file.
pub fn run(args: Args) -> Result<()> {
    let folder = match args.format {
        Form::Paths(format) => format.is_folder(),
        Form::TimeToMove => true,
        Form::Project => false,
    };
    match folder {
        true => writable_folder(&args.output)?,
        false => writable(&args.output)?,
    }
    let preset = Preset::parse(&preset_text(&args.preset)?)?;
    let bytes = read_picture(&args.picture)?;
    let (picture, stored) = Picture::decode_as_stored(&bytes, &file_name(&args.picture))?;
    let plate = generate::plate(args.plate.as_ref())?;
    let mut progress = args.progress.start();
    let written = match args.format {
        Form::Paths(format) => {
            let target = Target {
                size: args.size.unwrap_or(stored),
                frames: args.frames.map(|n| n as usize),
            };
            paths(preset.scene(picture)?, format, target, &args.output)
        }
        Form::TimeToMove => {
            let mut scene = preset.scene(picture)?;
            scene.behind.plate = plate;
            film(scene, &preset, &args, &mut progress)
        }
        Form::Project => project(preset, picture, plate, &args.output),
    };
    progress.finish();
    let (files, notes) = written?;
    progress.notes(&notes);
    let output = args.output.display();
    let made = serde_json::json!({ "output": output.to_string(), "files": files, "notes": notes });
    let sentence = match files.as_slice() {
        [_] => format!("{output}: written for {}", args.format.name()),
        many => format!("{output}: {}", many.join(", ")),
    };
    progress.result("done", &made, &sentence);
    Ok(())
}

/// Writes paths; which files were made, and what the person should know.
fn paths(
    scene: Scene,
    format: Format,
    target: Target,
    output: &Path,
) -> Result<(Vec<String>, Vec<String>)> {
    let written = exchange::write(&scene, format, target)?;
    if format.is_folder() {
        make_dir(output)?;
    }
    for (name, bytes) in &written.files {
        match format.is_folder() {
            true => write_whole(&output.join(name), bytes)?,
            false => write_whole(output, bytes)?,
        }
    }
    let names = match format.is_folder() {
        true => written.files.into_iter().map(|(name, _)| name).collect(),
        false => vec![file_name(output)],
    };
    Ok((names, written.notes))
}

/// Writes a project.
fn project(
    preset: Preset,
    picture: Picture,
    plate: Option<Picture>,
    output: &Path,
) -> Result<(Vec<String>, Vec<String>)> {
    let project = Project {
        preset,
        picture,
        plate,
    };
    // What could not be opened is not written.
    project.scene()?;
    write_whole(output, &project.to_bytes()?)?;
    Ok((vec![file_name(output)], Vec::new()))
}

/// Writes what is made at once as the folder that Time-to-Move follows.
fn film(
    scene: Scene,
    preset: &Preset,
    args: &Args,
    progress: &mut Progress,
) -> Result<(Vec<String>, Vec<String>)> {
    let about = pollster::block_on(About::read(&ModelOptions::new(at_once::NAME)))?;
    let request = Choice {
        frames: args.frames,
        size: args.size,
        ..Choice::default()
    };
    let settings = about.settings(&request, SceneFrom::Preset(preset));
    let job = Job::new(scene, settings, true)?;
    let cancel = Cancel::new();
    let stop = cancel.clone();
    on_interrupt(move || stop.cancel());
    let at_once = AtOnce::default();
    let mut show = |event| progress.show(&event);
    let made = at_once.reference(&job, at_once::size(&job), &cancel, &mut show);
    let made = pollster::block_on(made)?;
    media::reference::save(&job.scene.picture, &made, &args.output)?;
    let names = media::reference::FILES.map(str::to_owned).to_vec();
    let note = "prompt.txt is empty: write into it what is seen".to_owned();
    Ok((names, vec![note]))
}
