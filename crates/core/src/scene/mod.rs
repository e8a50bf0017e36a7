//! What a person made on the page: picture, entities, masks, trajectories, settings, presets.
//! No tensors, no browser. Coordinates are fractions of the picture (0..1, x right, y down);
//! times are fractions of the video (0 first frame, 1 last).

pub mod bend;
pub mod control;
pub mod demo;
pub mod draft;
pub mod entity;
pub mod exchange;
pub mod ground;
pub mod history;
mod lasso;
pub mod lip;
mod look;
pub mod mask;
mod monotone;
pub mod order;
pub mod parts;
pub mod picture;
pub mod pose;
pub mod preset;
pub mod project;
pub mod raster;
pub mod representation;
pub mod settings;
pub mod skeleton;
mod tidy;
pub mod trajectory;
pub mod view;

pub use control::Control;
pub use history::{Edit, History};
pub use look::Look;
pub use order::Order;
pub use parts::Part;
pub use pose::Pose;
pub use preset::{Fit, Preset};
pub use representation::Representation;
pub use skeleton::Skeleton;
pub use view::View;

use super::scheduler::SamplerKind;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An RGB picture, 8 bits a channel, rows top to bottom. Clones share the pixels: a picture goes along with every click and
/// job, and each is kept for the clicks that follow.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * 3` bytes. Whoever changes them does it through [`Arc::make_mut`], on a copy if others have them.
    pub rgb: Arc<Vec<u8>>,
}

/// A mask over a picture; 255 inside, 0 outside, values between at a soft edge. Inside is `>= 128`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Mask {
    /// Width in pixels; need not be the picture's.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height` bytes.
    pub alpha: Vec<u8>,
}

// Pixels say nothing in a log.
impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} x {})", self.width, self.height)
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Mask({} x {}, {} inside)",
            self.width,
            self.height,
            self.area()
        )
    }
}

/// One point of a trajectory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrajectoryPoint {
    /// Fraction of the picture's width; may leave 0..1 when the entity leaves the frame.
    pub x: f32,
    /// Fraction of the picture's height.
    pub y: f32,
    /// Fraction of the video's duration, rising along the trajectory.
    pub t: f32,
    /// The path has a corner there: it comes straight to it and leaves straight, without slowing down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub corner: bool,
}

impl TrajectoryPoint {
    /// A point that the path goes through smoothly.
    pub fn new(x: f32, y: f32, t: f32) -> Self {
        Self {
            x,
            y,
            t,
            corner: false,
        }
    }
}

/// A path with its timing. The first point is the pixel that was grabbed: what moves is the offset to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trajectory {
    /// At least one point; one point alone is a pin.
    pub points: Vec<TrajectoryPoint>,
}

/// A thing in the picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entity {
    /// Its name, shown beside it.
    pub name: String,
    /// Where it is in the first frame.
    pub mask: Mask,
    /// How it moves; `None` leaves it to the model, a pin holds it. With `handles` it is the first of them.
    pub trajectory: Option<Trajectory>,
    /// Further trajectories on the same body, each beginning at the place of it that it holds; those of one point are pins.
    /// Two in all turn and scale it, more of them bend it (see [`bend`]). Networks follow `trajectory` alone.
    pub handles: Vec<Trajectory>,
    /// How it is turned and scaled about its first handle, and how near it is, over time. Networks see none of it.
    pub poses: Vec<Pose>,
    /// The joints of a person whose handles lead them: then one handle bends it, too. Networks see none of it.
    pub skeleton: Option<Skeleton>,
    /// Entities of one group are parts of one body.
    pub group: Option<u32>,
    /// Which part of a person it is, whatever it is called.
    pub part: Option<Part>,
    /// What goes along with it as its shadow. Networks see none of it.
    pub shadow: Shadow,
    /// How closely Stable Video Diffusion follows what is made at once of it.
    pub strength: Strength,
    /// Whether it is hidden or locked, and its colour.
    pub look: Look,
}

/// How closely a thing is followed where a network makes the video, of the steps in which things are: 1 all of them, 0 none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Strength(f32);

impl Strength {
    /// From a share; beyond 0 to 1 the nearest of these, and 1 for what is no number.
    pub fn new(share: f32) -> Self {
        Self(if share.is_finite() {
            share.clamp(0.0, 1.0)
        } else {
            1.0
        })
    }

    /// The share, 0 to 1.
    pub fn share(self) -> f32 {
        self.0
    }
}

impl Default for Strength {
    fn default() -> Self {
        Self(1.0)
    }
}

/// What of the ground goes along with a thing as its shadow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shadow {
    /// What is found in the picture.
    #[default]
    Found,
    /// Nothing: what is dark beside it is its surroundings' own.
    None,
    /// What somebody has marked, over the whole picture and of any size. Inside the thing's own mask it counts for nothing.
    Marked(Mask),
}

/// What is seen where things were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// The picture without them, brought along; of any size, scaled to the picture's. `None` has what they hide filled.
    pub plate: Option<Picture>,
    /// From where alone it is filled; `None` is all the rest of the picture.
    pub from: Option<Mask>,
}

/// How to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Number of frames, the first being the picture.
    pub frames: u32,
    /// Frames a second of the result.
    pub fps: u32,
    /// Denoising steps.
    pub steps: u32,
    /// Seed of the noise.
    pub seed: u64,
    /// Guidance scale at the first frame; 1 switches guidance off.
    pub min_guidance: f32,
    /// Guidance scale at the last frame.
    pub max_guidance: f32,
    /// SVD's motion bucket, 1 to 255.
    pub motion_bucket: u32,
    /// Noise added to the conditioning picture (standard deviation).
    pub noise_augmentation: f32,
    /// Width and height of the video in pixels, for models of many sizes; the others have their own. `None`: by the
    /// picture's aspect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[u32; 2]>,
    /// The representation of trajectories that the model is to have been trained with; `None`: whichever it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub representation: Option<Representation>,
    /// What moves things along their paths in Stable Video Diffusion; `None`: a ControlNet where there is one, else a
    /// reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// The sampler of Stable Video Diffusion; `None`: the one that its weights were published with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<SamplerKind>,
    /// Share of the denoising steps that are left out where a reference is followed: what is made anew anywhere.
    pub weak: f32,
    /// Share of the steps before whose end the reference is put back where things move.
    pub strong: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            frames: 8,
            fps: 8,
            steps: 8,
            seed: 0,
            min_guidance: 1.0,
            max_guidance: 1.0,
            motion_bucket: 127,
            noise_augmentation: 0.0,
            size: None,
            representation: None,
            control: None,
            sampler: None,
            // Time-to-Move's for this model: 16 and 21 of 50 steps.
            weak: 0.32,
            strong: 0.42,
        }
    }
}

/// A picture and what is to move in it. What lies in front of what, [`Scene::layers`] says.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// The first frame.
    pub picture: Picture,
    /// The things in it.
    pub entities: Vec<Entity>,
    /// Who says which of them lie in front of which.
    pub order: Order,
    /// The camera: the background's own trajectory; `None` holds the camera still.
    pub background: Option<Trajectory>,
    /// How the camera looks at all of that. Networks see none of it.
    pub view: View,
    /// What is seen where things were.
    pub behind: Behind,
}
