//! `dragentity parts`: the parts of a person in a picture, as a preset.

use super::files::writable;
use super::model::DeviceArgs;
use super::person::PersonArgs;
use super::pose::PoseArgs;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::write_whole;
use dragentity_core::scene::{Entity, Picture, Preset, Scene, Settings, parts};
use dragentity_media::overlay::{Canvas, colour};
use dragentity_pipeline::split::{ParserWeights, split_person};
use dragentity_terminal::out;
use std::path::PathBuf;

/// Options of `dragentity parts`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    person: PersonArgs,
    /// Write the parts to this JSON file, a preset for `generate` and the page
    #[arg(short, long, value_name = "FILE.json")]
    output: Option<PathBuf>,
    /// Draw the parts over the picture
    #[arg(long, value_name = "FILE.png")]
    overlay: Option<PathBuf>,
    /// Use SCHP instead of the person's bones: its weights (docs/src/parts.md)
    #[arg(long, value_name = "FILE")]
    schp: Option<String>,
    /// Use the human parser of the model in this folder instead
    #[arg(long, value_name = "DIR")]
    model: Option<String>,
    #[command(flatten)]
    pose: PoseArgs,
    #[command(flatten)]
    place: DeviceArgs,
}

/// Runs the subcommand.
///
/// # Errors
/// [`Error::Picture`], [`Error::Preset`], [`Error::Model`], [`Error::Io`], naming the file; [`Error::Job`] when there
/// is no person.
pub fn run(args: Args) -> Result<()> {
    if args.output.is_none() && args.overlay.is_none() {
        return Err(Error::Job(
            "nothing would be written; name a file with -o or --overlay".into(),
        ));
    }
    for path in [&args.output, &args.overlay].into_iter().flatten() {
        writable(path)?;
    }
    let (picture, mask) = args.person.read(args.place.device)?;
    let pose = args.pose.file();
    let weights = match (&args.schp, &args.model) {
        (Some(file), _) => ParserWeights::Schp(file),
        (None, Some(folder)) => ParserWeights::Model(folder),
        (None, None) => ParserWeights::Pose(&pose),
    };
    let found = split_person(args.place.device, weights, &picture, &mask)?;
    let area = mask.area().max(1) as f32;
    for (part, own) in &found {
        let share = 100.0 * own.area() as f32 / area;
        out::line(format_args!("{part}: {share:.1} % of the person"));
    }
    let entity = Entity {
        name: "person".into(),
        mask,
        ..Entity::default()
    };
    let scene = Scene {
        picture,
        entities: parts::split(&entity, found, 1),
        ..Scene::default()
    };
    if let Some(path) = &args.output {
        let preset = Preset::whole(&scene, &Settings::default());
        write_whole(path, preset.to_json().as_bytes())?;
    }
    if let Some(path) = &args.overlay {
        let picture = &scene.picture;
        let mut canvas = Canvas::new(picture.width, picture.height, &picture.rgb)?;
        for (index, entity) in scene.entities.iter().enumerate() {
            canvas.mask(&entity.mask, colour(index), 0.6);
        }
        let drawn = Picture::from_rgb(picture.width, picture.height, canvas.into_rgb())?;
        write_whole(path, &drawn.to_png()?)?;
    }
    Ok(())
}
