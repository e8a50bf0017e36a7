//! `dragentity generate`: the page's job, without the page.

use super::demo;
use super::interrupt::on_interrupt;
use super::model::ModelArgs;
use super::progress::Progress;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::media::{self, Format};
use crate::pipeline::model::{About, Kind};
use crate::pipeline::runner::with_runner;
use crate::pipeline::{Cancel, Job};
use crate::scene::demo::Demo;
use crate::scene::settings::MAX_FRAMES;
use crate::scene::{Fit, Picture, Preset, Scene, Settings};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Largest picture file that is read, in bytes.
const MAX_PICTURE_FILE: u64 = 256 << 20;
/// Largest preset file that is read, in bytes; the codec has a limit of its own.
const MAX_PRESET_FILE: u64 = 16 << 20;

/// Options of `dragentity generate`.
#[derive(clap::Args)]
pub struct Args {
    /// The picture: PNG, JPEG, WebP, GIF or BMP
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present_any = ["example", "demo"],
        conflicts_with_all = ["example", "demo"]
    )]
    image: Option<PathBuf>,
    /// What moves where: a preset file, a link copied from the page (in quotes), or - for standard input
    #[arg(long, value_name = "FILE_OR_URL", conflicts_with = "demo")]
    preset: Option<String>,
    /// A demo folder of DragAnything (demo.json, demo.jpg, masks): picture and trajectories in one
    #[arg(long, value_name = "DIR", conflicts_with = "example")]
    demo: Option<PathBuf>,
    /// Use a bundled picture, with its own preset unless --preset gives another
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "cat")]
    example: Option<Example>,
    /// Where to write: a .gif, .webp or .mp4 file, or a folder for numbered PNGs
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Seed of the noise; the same seed gives the same video
    #[arg(long)]
    seed: Option<u64>,
    /// Denoising steps
    #[arg(long)]
    steps: Option<u32>,
    /// Number of frames
    #[arg(long)]
    frames: Option<u32>,
    /// Size of the video, as 576x320, for models that make many [default: by the picture's aspect]
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    size: Option<[u32; 2]>,
    /// Frames a second
    #[arg(long)]
    fps: Option<u32>,
    /// Where to compute: auto, cuda, vulkan, metal, dx12, wgpu or cpu; cuda:1 is the second GPU, cpu:4 four threads
    #[arg(long, default_value = "auto")]
    device: Device,
    #[command(flatten)]
    model: ModelArgs,
    /// Enlarge by this whole number [default: to about 256 pixels]; 1 keeps the model's own pixels
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    scale: Option<u32>,
    /// Draw the trajectories over the frames
    #[arg(long)]
    overlay: bool,
    /// Print progress and result as JSON, one object a line
    #[arg(long)]
    json: bool,
}

impl Args {
    /// `settings` with what the arguments say otherwise.
    fn settings(&self, settings: Settings) -> Settings {
        Settings {
            seed: self.seed.unwrap_or(settings.seed),
            steps: self.steps.unwrap_or(settings.steps),
            frames: self.frames.unwrap_or(settings.frames),
            fps: self.fps.unwrap_or(settings.fps),
            size: self.size.or(settings.size),
            ..settings
        }
    }
}

/// The pictures that are in the program.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Example {
    Cat,
    Astronaut,
    Coffee,
}

impl Example {
    /// Name, picture file and preset.
    fn parts(self) -> (&'static str, &'static [u8], &'static str) {
        macro_rules! sample {
            ($name:literal) => {
                (
                    concat!($name, ".jpg"),
                    include_bytes!(concat!("../../www/samples/", $name, ".jpg")).as_slice(),
                    include_str!(concat!("../../www/samples/", $name, ".json")),
                )
            };
        }
        match self {
            Example::Cat => sample!("cat"),
            Example::Astronaut => sample!("astronaut"),
            Example::Coffee => sample!("coffee"),
        }
    }
}

/// Generates one video.
pub fn run(args: Args) -> Result<()> {
    // What can be refused is refused before the long work.
    Format::of(&args.output)?;
    writable(&args.output)?;
    let options = args.model.options();
    let about = pollster::block_on(About::read(&options))?;
    let (job, mut notes) = job(&args, &about)?;
    notes.extend(about.note.map(str::to_owned));
    for note in notes {
        eprintln!("note: {note}");
    }

    let cancel = Cancel::new();
    let stop = cancel.clone();
    on_interrupt(move || stop.cancel());

    let started = Instant::now();
    let mut progress = Progress::new(args.json);
    let result = with_runner(args.device, &options, |runner| {
        runner.run(&job, &cancel, &mut |message| progress.show(&message))
    });
    progress.finish();
    let video = result??;

    let picture = (job.scene.picture.width, job.scene.picture.height);
    let (width, height) = media::view_size((video.width, video.height), picture, args.scale);
    let mut shown = media::resized(&video, width, height)?;
    if args.overlay {
        shown = media::overlay::with_trajectories(&shown, &job.scene)?;
    }
    media::save(&shown, &args.output)?;
    let seconds = started.elapsed().as_secs_f64();
    let (frames, output) = (shown.frames.len(), args.output.display());
    if args.json {
        let done = serde_json::json!({
            "phase": "done", "output": output.to_string(), "frames": frames, "width": width, "height": height,
            "fps": shown.fps, "seconds": seconds,
        });
        println!("{done}");
    } else {
        println!("{output}: {frames} frames of {width} x {height} pixels, in {seconds:.1} s");
    }
    Ok(())
}

/// The job that the arguments ask for, and what the person should know about it.
fn job(args: &Args, about: &About) -> Result<(Job, Vec<String>)> {
    if let Some(folder) = &args.demo {
        let Demo {
            scene,
            frames,
            mut notes,
        } = demo::open(folder)?;
        let mut settings = about.settings.clone();
        if about.kind == Kind::StableVideoDiffusion {
            settings.frames = (frames as u32).clamp(2, MAX_FRAMES);
        }
        let settings = args.settings(settings);
        settings.check()?;
        scene.check()?;
        notes.extend(scene.notes(settings.frames));
        return Ok((Job { scene, settings }, notes));
    }
    let (picture, own_preset) = match (args.example, &args.image) {
        (Some(example), _) => {
            let (name, bytes, preset) = example.parts();
            (Picture::decode(bytes, name)?, Some(preset))
        }
        (None, Some(path)) => (
            Picture::decode(&read(path, MAX_PICTURE_FILE, "picture")?, &file_name(path))?,
            None,
        ),
        (None, None) => {
            return Err(Error::Job(
                "there is no picture; name one with --image".into(),
            ));
        }
    };
    let preset = match (&args.preset, own_preset) {
        (Some(given), _) => Some(Preset::parse(&preset_text(given)?)?),
        (None, Some(own)) if about.follows_paths() => Some(Preset::parse(own)?),
        (None, None) if about.follows_paths() => {
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
            let settings = args.settings(about.settings_for(&preset.settings));
            let job = Job::new(picture, &Preset { settings, ..preset })?;
            notes.extend(job.scene.notes(job.settings.frames));
            job
        }
        None => {
            let scene = Scene {
                picture,
                ..Scene::default()
            };
            let settings = args.settings(about.settings.clone());
            settings.check()?;
            Job { scene, settings }
        }
    };
    Ok((job, notes))
}

/// Reads `576x320`.
fn size(text: &str) -> std::result::Result<[u32; 2], String> {
    let side = |text: &str| text.trim().parse::<u32>().ok();
    text.split_once(['x', 'X', '×'])
        .and_then(|(width, height)| Some([side(width)?, side(height)?]))
        .ok_or_else(|| "write width and height in pixels, as 576x320".to_owned())
}

/// The text of a preset: of the file of that name, of standard input for `-`, else the argument itself, a link.
fn preset_text(given: &str) -> Result<String> {
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
    } else if path.is_file() {
        read(path, MAX_PRESET_FILE, "preset")?
    } else if given.is_empty()
        || given.starts_with(['{', '#'])
        || given.starts_with("s=")
        || given.contains("://")
    {
        return Ok(given.to_string());
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

fn read(path: &Path, limit: u64, what: &str) -> Result<Vec<u8>> {
    let io = |source| Error::Io {
        path: path.display().to_string(),
        source,
    };
    let file = std::fs::File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    // By what is read rather than by what is said to be there: a device or pipe has no length.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        let reason = format!(
            "is larger than {} MB, too large for a {what}; scale it down",
            limit >> 20
        );
        return Err(Error::Picture {
            name: path.display().to_string(),
            reason,
        });
    }
    Ok(bytes)
}

fn file_name(path: &Path) -> String {
    path.display().to_string()
}

/// Whether there is a folder to write into.
fn writable(output: &Path) -> Result<()> {
    let parent = output
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if parent.is_dir() {
        return Ok(());
    }
    Err(Error::Job(format!(
        "{}: there is no folder {} to write into; make it first or choose another place",
        output.display(),
        parent.display()
    )))
}

#[cfg(test)]
mod tests {
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
            assert!(scene.notes(preset.settings.frames).is_empty(), "{name}");
            for entity in &scene.entities {
                // Each is grabbed where it is, and moves as a whole, not the whole picture.
                let start = entity.trajectory.as_ref().unwrap().start();
                assert!(
                    entity.mask.contains(start[0], start[1]),
                    "{name}: {}",
                    entity.name
                );
                assert!(
                    (0.02..0.7).contains(&entity.mask.coverage()),
                    "{name}: {}",
                    entity.name
                );
            }
        }
    }
}
