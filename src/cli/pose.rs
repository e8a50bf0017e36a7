//! `dragentity pose`: the joints of a person in a picture, and where they go when some are dragged.

use super::files::writable;
use super::model::{DeviceArgs, shipped};
use super::person::PersonArgs;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::write_whole;
use dragentity_core::scene::skeleton::{Areas, Drag, Grip, Joint, Skeleton};
use dragentity_core::scene::{Entity, Mask, Picture, Preset, Scene, Settings, Trajectory};
use dragentity_media::overlay::{Canvas, colour};
use dragentity_pipeline::split::find_joints;
use dragentity_terminal::out;
use std::path::PathBuf;

/// What ships with the program.
const BLAZE_POSE: &str = "models/blaze_pose/model.safetensors";

/// Options of `dragentity pose`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    person: PersonArgs,
    /// Drag a joint to a place, in fractions of width and height; may be repeated
    #[arg(long, value_name = "JOINT=X,Y", value_parser = drag)]
    drag: Vec<Drag>,
    /// Hold a joint where it is, besides feet that stand; may be repeated
    #[arg(long, value_name = "JOINT", value_parser = joint)]
    pin: Vec<Joint>,
    /// Write the person with its joints and the drags, as paths, to this JSON file: a preset for `generate` and the page
    #[arg(short, long, value_name = "FILE.json")]
    output: Option<PathBuf>,
    /// Draw parts and bones over the picture, and bones that were dragged in white
    #[arg(long, value_name = "FILE.png")]
    overlay: Option<PathBuf>,
    #[command(flatten)]
    weights: PoseArgs,
    #[command(flatten)]
    place: DeviceArgs,
}

/// What finds people's joints.
#[derive(clap::Args)]
pub struct PoseArgs {
    /// BlazePose's weights, which find people's joints [default: models/blaze_pose/model.safetensors here or beside the
    /// program]
    #[arg(long, value_name = "FILE")]
    pose: Option<PathBuf>,
}

impl PoseArgs {
    /// The file: the one given, else the shipped one.
    pub fn file(&self) -> String {
        let file = self.pose.clone().or_else(|| shipped(BLAZE_POSE));
        file.unwrap_or_else(|| BLAZE_POSE.into())
            .display()
            .to_string()
    }
}

/// Reads `left_hand`.
fn joint(text: &str) -> std::result::Result<Joint, String> {
    let name = serde_json::Value::String(text.trim().to_owned());
    serde_json::from_value(name).map_err(|_| {
        let known: Vec<String> = Joint::ALL.into_iter().map(name_of).collect();
        format!("joints are {}", known.join(", "))
    })
}

/// Reads `left_hand=0.25,0.5`.
fn drag(text: &str) -> std::result::Result<Drag, String> {
    let (name, place) = text
        .split_once('=')
        .ok_or("write a joint and where it goes, as left_hand=0.25,0.5")?;
    Ok(Drag {
        grip: Grip::joint(joint(name)?),
        to: super::segment::place(place)?,
    })
}

fn name_of(joint: Joint) -> String {
    let name = serde_json::to_value(joint).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// Prints the joints as JSON.
///
/// # Errors
/// [`Error::Picture`], [`Error::Preset`], [`Error::Model`], [`Error::Io`], naming the file; [`Error::Job`] when there is no
/// person.
pub fn run(args: Args) -> Result<()> {
    for path in [&args.output, &args.overlay].into_iter().flatten() {
        writable(path)?;
    }
    let (picture, mask) = args.person.read(args.place.device)?;
    let found = find_joints(args.place.device, &args.weights.file(), &picture, &mask)?;
    let aspect = picture.width as f32 / picture.height as f32;
    let pinned = [found.standing(), args.pin].concat();
    let posed = found.posed(aspect, &args.drag, &pinned);
    let joints: serde_json::Map<_, _> = Joint::ALL
        .into_iter()
        .map(|joint| {
            let [x, y] = posed.place(joint);
            let seen = posed.visibility[joint as usize];
            (
                name_of(joint),
                serde_json::json!({ "x": x, "y": y, "visibility": seen }),
            )
        })
        .collect();
    let text = serde_json::to_string_pretty(&joints);
    let text = text.map_err(|reason| Error::Job(format!("joints cannot be written: {reason}")))?;
    out::line(text);
    if let Some(path) = &args.output {
        let scene = led(picture.clone(), mask.clone(), found.clone(), &args.drag);
        let preset = Preset::whole(&scene, &Settings::default());
        write_whole(path, preset.to_json().as_bytes())?;
    }
    if let Some(path) = &args.overlay {
        let posed = Some(&posed).filter(|_| !args.drag.is_empty());
        write_whole(path, &drawn(&picture, &mask, &found, posed)?.to_png()?)?;
    }
    Ok(())
}

/// A person whose joints go where they are dragged, in straight lines.
fn led(picture: Picture, mask: Mask, skeleton: Skeleton, drags: &[Drag]) -> Scene {
    let path = |drag: &Drag| Trajectory::line(skeleton.place_of(drag.grip), drag.to);
    let entity = Entity {
        name: "person".into(),
        handles: drags.iter().map(path).collect(),
        mask,
        skeleton: Some(skeleton),
        ..Entity::default()
    };
    Scene {
        picture,
        entities: vec![entity.with_first_handle()],
        ..Scene::default()
    }
}

/// The picture with parts and bones, and the bones of another pose in white.
fn drawn(
    picture: &Picture,
    mask: &Mask,
    found: &Skeleton,
    posed: Option<&Skeleton>,
) -> Result<Picture> {
    let mut canvas = Canvas::new(picture.width, picture.height, &picture.rgb)?;
    let aspect = picture.width as f32 / picture.height as f32;
    if let Some(areas) = Areas::new(found, mask, picture, aspect) {
        // Of whom hardly a limb can be seen there is one part.
        let parts = areas.masks(mask).unwrap_or_default();
        for (index, (_, own)) in parts.iter().enumerate() {
            canvas.mask(own, colour(index), 0.45);
        }
    }
    let width = (picture.width.max(picture.height) as f32 / 250.0).max(1.5);
    let bones = posed.into_iter().map(|posed| (posed, Some([255; 3])));
    for (skeleton, white) in std::iter::once((found, None)).chain(bones) {
        for (index, joint) in skeleton.bones().enumerate() {
            let ends = [joint.parent().unwrap_or(joint), joint].map(|joint| skeleton.place(joint));
            let colour = white.unwrap_or(colour(index));
            canvas.line(&ends, colour, 1.0, width);
            canvas.dot(ends[1], colour, 1.0, 1.5 * width);
        }
    }
    Picture::from_rgb(picture.width, picture.height, canvas.into_rgb())
}
