//! What one video is to be made of: options of `generate`, or a line of a batch.

use dragentity_core::error::{Error, Result};
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Control, Representation};
use dragentity_terminal::options::size;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Pictures, paths, settings and a place for the result. A batch has the same names, without the dashes.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// A project (.dragentity): picture, paths, plate and settings in one
    #[arg(value_name = "PROJECT", conflicts_with_all = ["image", "example", "demo", "reference"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<PathBuf>,
    /// The picture: PNG, JPEG, WebP, GIF or BMP
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present_any = ["project", "example", "demo", "reference", "batch"],
        conflicts_with_all = ["example", "demo", "reference"]
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
    /// What moves where: a preset file, a link copied from the page (in quotes), or - for standard input
    #[arg(long, value_name = "FILE_OR_URL", conflicts_with_all = ["demo", "reference"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// What is behind the things: a picture of the same shape, seen where they were [default: that is filled]
    #[arg(long, value_name = "FILE", conflicts_with = "reference")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plate: Option<PathBuf>,
    /// A demo folder of DragAnything (demo.json, demo.jpg, masks): picture and trajectories in one
    #[arg(long, value_name = "DIR", conflicts_with_all = ["example", "reference"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demo: Option<PathBuf>,
    /// A folder of Time-to-Move (first_frame.png, motion_signal.mp4, mask.mp4), which Stable Video Diffusion follows
    #[arg(long, value_name = "DIR", conflicts_with = "example")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<PathBuf>,
    /// Write such a folder beside the video: the frames that are made at once, and where they are to be followed
    #[arg(long, value_name = "DIR", conflicts_with = "reference")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_reference: Option<PathBuf>,
    /// Use a bundled picture, with its own preset unless --preset gives another
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "cat")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Example>,
    /// Where to write: a .gif, .webp, .mp4 or .zip file (PNGs), or a folder for numbered PNGs
    #[arg(short, long, value_name = "PATH", required_unless_present = "batch")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// Seed of the noise; the same seed gives the same video
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Denoising steps
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Number of frames
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
    /// Size of the video, as 576x320, for models that make many [default: by the picture's aspect]
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[u32; 2]>,
    /// Frames a second
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<u32>,
    /// Make 2 or 4 times as many frames a second, by frames between them
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpolate: Option<u32>,
    /// Enlarge by this whole number [default: to about 256 pixels]; 1 keeps the model's own pixels
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
    /// Refuse a model that was trained with another representation of trajectories: point, graph, gaussian, box,
    /// entity or flow [default: whichever it was trained with]
    #[arg(long, value_name = "KIND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub representation: Option<Representation>,
    /// What moves things in Stable Video Diffusion: reference (what is made at once is followed), controlnet, both or
    /// none [default: controlnet where --controlnet names one, else reference]
    #[arg(long, value_name = "KIND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// With a reference, the share of the steps that are left out: what is made anew anywhere [default: 0.32]
    #[arg(long, value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weak: Option<f32>,
    /// With a reference, the share of the steps before whose end it is put back where things move [default: 0.42]
    #[arg(long, value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strong: Option<f32>,
    /// Draw the trajectories over the frames
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overlay: bool,
}

impl Request {
    /// The settings that it asks for itself.
    pub fn choice(&self) -> Choice {
        Choice {
            seed: self.seed,
            steps: self.steps,
            frames: self.frames,
            fps: self.fps,
            size: self.size,
            representation: self.representation,
            control: self.control,
            weak: self.weak,
            strong: self.strong,
            ..Choice::default()
        }
    }

    /// Where to write.
    ///
    /// # Errors
    /// [`Error::Job`] if it does not say.
    pub fn output(&self) -> Result<&Path> {
        match self.output.as_deref() {
            Some(output) if !output.as_os_str().is_empty() => Ok(output),
            _ => Err(Error::Job(
                "there is no place to write to; name a file as the output".into(),
            )),
        }
    }

    /// The request with its files taken from `folder`, where their names are relative.
    pub fn within(mut self, folder: &Path) -> Self {
        let paths = [
            &mut self.project,
            &mut self.image,
            &mut self.demo,
            &mut self.reference,
            &mut self.write_reference,
            &mut self.output,
        ];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&path);
        }
        if let Some(preset) = &mut self.preset
            && let Some(path) = Some(folder.join(&preset)).filter(|path| path.is_file())
        {
            *preset = path.display().to_string();
        }
        self
    }
}

/// The pictures that are in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Example {
    /// scikit-image's.
    Cat,
    /// scikit-image's.
    Astronaut,
    /// scikit-image's.
    Coffee,
}

impl Example {
    /// Name, picture file and preset.
    pub fn parts(self) -> (&'static str, &'static [u8], &'static str) {
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
