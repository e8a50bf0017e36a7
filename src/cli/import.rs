//! `dragentity import`: presets of the neighbours' paths.

use super::demo;
use super::files::{read, read_picture, writable};
use super::generate::file_name;
use super::model::{DeviceArgs, SegmenterArgs};
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::write_whole;
use dragentity_core::scene::demo::INDEX;
use dragentity_core::scene::exchange::{self, File, Found};
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Picture, Preset, Scene, Settings};
use dragentity_core::{Cancel, Click, ClickJob};
use dragentity_media as media;
use dragentity_pipeline::model::ModelOptions;
use dragentity_pipeline::runner::with_runner;
use dragentity_terminal::interrupt::on_interrupt;
use dragentity_terminal::progress::{Progress, ProgressArgs};
use std::path::{Path, PathBuf};

/// Largest file of paths that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;
/// What files of paths end with; everything else in a folder is left alone.
const ENDINGS: [&str; 3] = ["json", "npy", "txt"];

/// Options of `dragentity import`.
#[derive(clap::Args)]
pub struct Args {
    /// What the other program wrote: a file, several of one form, or the folder of them (docs/src/exchange.md)
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The picture that the paths are on; of DragAnything's folders the one inside
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Where to write the preset
    #[arg(short, long, value_name = "FILE.json")]
    output: PathBuf,
    /// Make each thing's mask with the segmenter, of where its path begins; without it a small disc there is the mask
    #[arg(long)]
    segment: bool,
    #[command(flatten)]
    segmenter: SegmenterArgs,
    #[command(flatten)]
    place: DeviceArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Makes one preset.
///
/// # Errors
/// [`Error::Preset`], [`Error::Picture`], [`Error::Job`] and [`Error::Io`], naming the file, and those of the runner.
pub fn run(args: Args) -> Result<()> {
    writable(&args.output)?;
    let mut progress = args.progress.start();
    let (form, mut scene, settings, mut notes) = match args.files.as_slice() {
        [folder] if folder.join(INDEX).is_file() => {
            let demo = demo::open(folder)?;
            let settings = demo.settings();
            ("draganything", demo.scene, settings, demo.notes)
        }
        files => paths(files, args.picture.as_deref())?,
    };
    if args.segment {
        let made = segment(&mut scene, &args, &mut progress);
        progress.finish();
        made?;
    } else if form != "draganything" && form != "sg-i2v" {
        notes.push(
            "the file has no masks: each thing's is a small disc where its path begins; --segment makes them, or click the things on the page".into(),
        );
    }
    progress.notes(&notes);
    let mut preset = Preset::whole(&scene, &Settings::default());
    // Of all settings the file says this alone.
    preset.settings = settings;
    write_whole(&args.output, preset.to_json().as_bytes())?;
    let output = args.output.display();
    let things = scene.entities.len();
    let made = serde_json::json!({
        "output": output.to_string(), "format": form, "entities": things, "notes": notes,
    });
    let s = if things == 1 { "" } else { "s" };
    progress.result(
        "done",
        &made,
        &format!("{output}: {things} thing{s} from {form}"),
    );
    Ok(())
}

/// What paths say, on their picture.
type Read = (&'static str, Scene, Choice, Vec<String>);

fn paths(given: &[PathBuf], picture: Option<&Path>) -> Result<Read> {
    let mut names = Vec::new();
    for path in given {
        match path.is_dir() {
            true => names.extend(inside(path)?),
            false => names.push(path.clone()),
        }
    }
    let Some(picture) = picture else {
        return Err(Error::Job(
            "paths are on a picture, and none is named; name it with --picture".into(),
        ));
    };
    let bytes = read_picture(picture)?;
    let (picture, stored) = Picture::decode_as_stored(&bytes, &file_name(picture))?;
    let file = |path: &PathBuf| {
        Ok(File {
            name: file_name(path),
            bytes: read(path, MAX_FILE, "file of paths")?,
        })
    };
    let files: Vec<File> = names.iter().map(file).collect::<Result<_>>()?;
    let found: Found = exchange::read(&files, stored)?;
    let (form, settings) = (found.format.name(), found.settings());
    let scene = found.scene(picture);
    Ok((form, scene, settings, found.notes))
}

/// The files of paths in a folder, numbers by their value.
fn inside(folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.join(media::reference::MOTION).is_file() {
        return Err(Error::Preset(format!(
            "{}: is a folder of Time-to-Move, which has a video rather than paths; follow it with generate --reference",
            folder.display()
        )));
    }
    let mut found = media::read::files_with(folder, &ENDINGS)?;
    if found.is_empty() {
        return Err(Error::Preset(format!(
            "{}: there is no file of paths in this folder (.json, .npy or .txt)",
            folder.display()
        )));
    }
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse::<u64>().ok();
    found.sort_by_key(|path| (number(path).unwrap_or(u64::MAX), path.clone()));
    Ok(found)
}

/// Puts the segmenter's masks in the place of discs and boxes.
fn segment(scene: &mut Scene, args: &Args, progress: &mut Progress) -> Result<()> {
    let cancel = Cancel::new();
    let stop = cancel.clone();
    on_interrupt(move || stop.cancel());
    let options = args.segmenter.on(ModelOptions::default());
    let picture = scene.picture.clone();
    with_runner(args.place.device, &options, |runner| {
        for entity in &mut scene.entities {
            let click = |[x, y]: [f32; 2]| Click {
                x: x.clamp(0.0, 1.0),
                y: y.clamp(0.0, 1.0),
                positive: true,
            };
            let job = ClickJob {
                picture: picture.clone(),
                clicks: entity.held_by().map(|path| click(path.start())).collect(),
                ..ClickJob::default()
            };
            let mut show = |event| progress.show_clicks(&event);
            entity.mask = runner.segment(&job, &cancel, &mut show)?;
        }
        Ok(())
    })?
}
