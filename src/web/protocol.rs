//! What page and worker say to each other.

use super::editor::SegmentRequest;
use dragentity_compositor::cutout::Sprite;
use dragentity_compositor::frames::Sprites;
use dragentity_core::error::Result;
use dragentity_core::scene::{
    self, Behind, Entity, Look, Mask, Order, Part, Picture, Pose, Scene, Settings, Shadow,
    Skeleton, Strength, Trajectory,
};
use dragentity_core::{Click, ClickJob, Job, JobEvent, Video};
use dragentity_pipeline::measure::{Measured, Measures};
use dragentity_pipeline::page::Maker;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::sync::Arc;
use wasm_bindgen::JsValue;

/// Which device the page asks for (`?device=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceChoice {
    /// The GPU where there is a usable one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU, even one emulated in software.
    WebGpu,
}

/// A rectangle of bytes: RGB of a picture, one byte a pixel of a mask.
#[derive(Serialize, Deserialize)]
pub struct Pixels {
    width: u32,
    height: u32,
    #[serde(with = "shared_bytes")]
    bytes: Arc<Vec<u8>>,
}

/// Bytes as such, which may be somebody else's as well: a picture is not copied to be sent.
mod shared_bytes {
    use super::{Arc, ByteBuf};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &Arc<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Vec<u8>>, D::Error> {
        Ok(Arc::new(ByteBuf::deserialize(from)?.into_vec()))
    }
}

impl Pixels {
    /// A picture's.
    pub fn of_picture(p: &Picture) -> Self {
        Self {
            width: p.width,
            height: p.height,
            bytes: p.rgb.clone(),
        }
    }
    /// A mask's.
    pub fn of_mask(m: &Mask) -> Self {
        Self {
            width: m.width,
            height: m.height,
            bytes: Arc::new(m.alpha.clone()),
        }
    }
    /// As a picture.
    pub fn picture(self) -> Result<Picture> {
        Picture::from_rgb(self.width, self.height, Arc::unwrap_or_clone(self.bytes))
    }
    /// As a mask.
    pub fn mask(self) -> Result<Mask> {
        Mask::from_alpha(self.width, self.height, Arc::unwrap_or_clone(self.bytes))
    }
}

#[derive(Serialize, Deserialize)]
struct EntityData {
    name: String,
    mask: Pixels,
    trajectory: Option<Trajectory>,
    handles: Vec<Trajectory>,
    poses: Vec<Pose>,
    skeleton: Option<Vec<[f32; 3]>>,
    group: Option<u32>,
    part: Option<Part>,
    shadow: ShadowData,
    strength: f32,
    look: Look,
}

#[derive(Serialize, Deserialize)]
enum ShadowData {
    Found,
    None,
    Marked(Pixels),
}

/// A job without its picture, which the worker has already.
#[derive(Serialize, Deserialize)]
pub struct JobData {
    entities: Vec<EntityData>,
    order: Order,
    background: Option<Trajectory>,
    view: scene::View,
    plate: Option<Pixels>,
    from: Option<Pixels>,
    settings: Settings,
}

impl JobData {
    /// The job of a scene.
    pub fn new(scene: &Scene, settings: &Settings) -> Self {
        let entity = |e: &Entity| EntityData {
            name: e.name.clone(),
            mask: Pixels::of_mask(&e.mask),
            trajectory: e.trajectory.clone(),
            handles: e.handles.clone(),
            poses: e.poses.clone(),
            skeleton: e.skeleton.as_ref().map(Skeleton::to_list),
            group: e.group,
            part: e.part,
            shadow: match &e.shadow {
                Shadow::Found => ShadowData::Found,
                Shadow::None => ShadowData::None,
                Shadow::Marked(mask) => ShadowData::Marked(Pixels::of_mask(mask)),
            },
            look: e.look,
            strength: e.strength.share(),
        };
        Self {
            entities: scene.entities.iter().map(entity).collect(),
            order: scene.order,
            background: scene.background.clone(),
            view: scene.view.clone(),
            plate: scene.behind.plate.as_ref().map(Pixels::of_picture),
            from: scene.behind.from.as_ref().map(Pixels::of_mask),
            settings: settings.clone(),
        }
    }

    /// The job on this picture.
    ///
    /// # Errors
    /// Those of [`JobData::scene`] and [`Job::new`].
    pub fn on(self, picture: Picture) -> Result<Job> {
        let settings = self.settings.clone();
        // All that the page runs follows paths.
        Job::new(self.scene(picture)?, settings, true)
    }

    /// The scene on this picture, whether anything in it moves or not.
    ///
    /// # Errors
    /// [`dragentity_core::Error`] of masks that are none.
    pub fn scene(self, picture: Picture) -> Result<Scene> {
        let entity = |e: EntityData| {
            Ok(Entity {
                name: e.name,
                mask: e.mask.mask()?,
                trajectory: e.trajectory,
                handles: e.handles,
                poses: e.poses,
                skeleton: e.skeleton.and_then(|list| Skeleton::of_list(&list)),
                group: e.group,
                part: e.part,
                shadow: match e.shadow {
                    ShadowData::Found => Shadow::Found,
                    ShadowData::None => Shadow::None,
                    ShadowData::Marked(mask) => Shadow::Marked(mask.mask()?),
                },
                look: e.look,
                strength: Strength::new(e.strength),
            })
        };
        let entities = self.entities.into_iter().map(entity);
        Ok(Scene {
            picture,
            entities: entities.collect::<Result<_>>()?,
            order: self.order,
            background: self.background,
            view: self.view,
            behind: Behind {
                plate: self.plate.map(Pixels::picture).transpose()?,
                from: self.from.map(Pixels::mask).transpose()?,
            },
        })
    }
}

/// A mask that is asked for, in the picture that the worker has already.
#[derive(Serialize, Deserialize)]
pub struct ClickData {
    clicks: Vec<Click>,
    bounds: Option<[f32; 4]>,
    previous: Option<Pixels>,
    candidate: usize,
}

impl ClickData {
    /// What the editor asks for.
    pub fn new(request: &SegmentRequest) -> Self {
        Self {
            clicks: request.clicks.clone(),
            bounds: request.bounds,
            previous: request.previous.as_ref().map(Pixels::of_mask),
            candidate: request.candidate,
        }
    }

    /// The same on this picture.
    pub fn on(self, picture: Picture) -> ClickJob {
        ClickJob {
            picture,
            clicks: self.clicks,
            bounds: self.bounds,
            previous: self.previous.and_then(|p| p.mask().ok()),
            candidate: self.candidate,
        }
    }
}

/// Pixels with alpha that lie over the plate.
#[derive(Serialize, Deserialize)]
pub struct SpriteData {
    /// Where its first column is, in pixels of the plate.
    pub x: i32,
    /// Where its first row is.
    pub y: i32,
    /// Number of columns.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// `width * height * 4` bytes.
    pub rgba: ByteBuf,
}

impl From<Sprite> for SpriteData {
    fn from(sprite: Sprite) -> Self {
        Self {
            x: sprite.x,
            y: sprite.y,
            width: sprite.width,
            height: sprite.height,
            rgba: ByteBuf::from(sprite.rgba),
        }
    }
}

/// What is drawn of an entity.
#[derive(Serialize, Deserialize)]
pub struct LayerData {
    /// Which entity.
    pub entity: u32,
    /// Whether it is what arms hide of a person, made up, which lies beneath them.
    pub beneath: bool,
    /// Its shadow, if it has one.
    pub shade: Option<SpriteData>,
    /// Itself.
    pub thing: SpriteData,
}

impl From<Sprites> for LayerData {
    fn from(sprites: Sprites) -> Self {
        Self {
            entity: sprites.layer as u32,
            beneath: sprites.beneath,
            shade: sprites.shade.map(Into::into),
            thing: sprites.thing.into(),
        }
    }
}

/// Which of the frames on the GPU to draw, and how.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Which frame, from 0.
    pub frame: u32,
    /// Whether masks and paths are drawn over it.
    pub paths: bool,
    /// Width of the canvas in its pixels.
    pub width: u32,
    /// Height of the canvas.
    pub height: u32,
}

/// A folder that a person opens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Folder {
    /// What it is called.
    pub name: String,
    /// Its files, as an array of paths below it and `File`s by turns; or its address.
    #[serde(with = "serde_wasm_bindgen::preserve")]
    pub files: JsValue,
}

/// From the page to the worker.
#[derive(Serialize, Deserialize)]
pub enum ToWorker {
    /// Take a device and load what makes masks.
    Start {
        /// Which device.
        device: DeviceChoice,
        /// How many threads work, where the module knows threads.
        threads: usize,
        /// URL of the weights that make masks; `None`: it makes none.
        segmenter: Option<String>,
        /// URL of the weights that find people's joints: loaded when they are first needed.
        pose: String,
        /// URL of the weights that make frames between others: loaded when they are first needed.
        interpolator: String,
        /// URL of the model's directory, ending in a slash: loaded when it is first needed.
        model: String,
    },
    /// An `OffscreenCanvas` for frames that stay on the GPU.
    Canvas(#[serde(with = "serde_wasm_bindgen::preserve")] JsValue),
    /// The picture that later messages are about. The worker looks at it at once, for the clicks that will follow.
    Picture(Pixels),
    /// Make masks with the weights in this file, a `File`; with those that it was started with when it is null.
    Segmenter(#[serde(with = "serde_wasm_bindgen::preserve")] JsValue),
    /// Take the model in a folder for [`Maker::Opened`].
    Model {
        /// Comes back with the answer.
        number: u64,
        /// Its folder.
        model: Folder,
        /// A folder, and the name of a file in it with weights for few steps that its UNet takes in place of its own.
        unet: Option<(Folder, String)>,
        /// The folder of a ControlNet that it is run with.
        controlnet: Option<Folder>,
    },
    /// Say how the opened model would make a video of the picture.
    Foresee {
        /// Comes back with the answer.
        number: u64,
        /// With these settings.
        settings: Settings,
    },
    /// Make a mask.
    Segment {
        /// Comes back with the answer.
        number: u64,
        /// Of what.
        click: ClickData,
    },
    /// Make the mask of what is under the pointer, if nothing else is to be done: the last one only.
    Suggest {
        /// Comes back with the answer.
        number: u64,
        /// Where the pointer is.
        at: [f32; 2],
    },
    /// Find the parts of the person under a mask.
    Parts {
        /// Comes back with the answer.
        number: u64,
        /// The person's mask.
        mask: Pixels,
    },
    /// Find the joints of the person under a mask, if it is one.
    Joints {
        /// Comes back with the answer.
        number: u64,
        /// The person's mask.
        mask: Pixels,
    },
    /// Cut out what may move and fill what it hides, for what is shown while paths are drawn: the last one only.
    Prepare {
        /// Comes back with the answer.
        number: u64,
        /// The scene.
        job: JobData,
    },
    /// Generate.
    Generate {
        /// Comes back with every message.
        number: u64,
        /// What.
        job: JobData,
        /// What makes it.
        maker: Maker,
    },
    /// Make frames between those of a video, so that it has `factor` times as many a second.
    Smooth {
        /// Comes back with every message.
        number: u64,
        /// The video.
        video: Video,
        /// 2 or 4.
        factor: u32,
    },
    /// Measure what the device is good for.
    Measure,
    /// Stop generating, making a mask, or measuring.
    Cancel,
    /// Draw a frame that is on the GPU.
    Draw(View),
}

/// A model that was opened.
#[derive(Clone, Serialize, Deserialize)]
pub struct ModelData {
    /// What it is called.
    pub name: String,
    /// How many bytes its weights are, where that is known.
    pub bytes: Option<u64>,
    /// The settings it was published for.
    pub settings: Settings,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Of {
    /// Device, and the weights that make masks.
    Start,
    /// The picture that is being looked at.
    Picture,
    /// The request of this number for a mask or for parts.
    Mask(u64),
    /// The job of this number.
    Job(u64),
}

/// From the worker to the page: what is the worker's own, and [`JobEvent`]s for the rest.
#[derive(Serialize, Deserialize)]
pub enum FromWorker {
    /// The module runs and listens.
    Alive,
    /// What the model will run on.
    Device {
        /// Whether it is a GPU.
        gpu: bool,
        /// Its name, as far as the browser tells.
        name: String,
        /// Why this one.
        why: String,
    },
    /// What is told of something that takes time.
    Event {
        /// Of what.
        of: Of,
        /// What. Of previews only the size is told, whose pixels are [`FromWorker::Preview`].
        event: JobEvent,
    },
    /// What makes masks now; `None`: nothing does.
    Segmenter {
        /// What it is called.
        name: Option<String>,
        /// Why it is not the one that was asked for.
        error: Option<String>,
    },
    /// The model in a folder was taken, or not: then the one before counts.
    Model {
        /// Of which request.
        number: u64,
        /// The model.
        model: Option<ModelData>,
        /// Why there is none.
        error: Option<String>,
    },
    /// How a video would be made.
    Foreseen {
        /// Of which request.
        number: u64,
        /// In words, be it that it cannot.
        text: String,
    },
    /// The picture is known: from here on a mask takes a moment.
    Looked,
    /// The mask.
    Mask {
        /// Of which request.
        number: u64,
        /// The mask.
        mask: Pixels,
    },
    /// The mask of what was under the pointer.
    Suggestion {
        /// Of which request.
        number: u64,
        /// The mask.
        mask: Pixels,
    },
    /// A person's parts, and their masks.
    Parts {
        /// Of which request.
        number: u64,
        /// The parts.
        parts: Vec<(Part, Pixels)>,
    },
    /// A person's joints.
    Joints {
        /// Of which request.
        number: u64,
        /// [`Skeleton::to_list`]; `None` where nobody was found.
        joints: Option<Vec<[f32; 3]>>,
    },
    /// What is shown while paths are drawn.
    Prepared {
        /// Of which request.
        number: u64,
        /// The picture without what may move.
        plate: Pixels,
        /// Back to front.
        layers: Vec<LayerData>,
    },
    /// How a job's video looks so far.
    Preview {
        /// Which job.
        number: u64,
        /// Its frames.
        video: Video,
    },
    /// Some frames of a job's result, in their order: the page draws between one message and the next.
    Frames {
        /// Which job.
        number: u64,
        /// How many frames there will be in all.
        count: u32,
        /// These frames.
        part: Video,
    },
    /// A job has newer frames, which stay on the GPU, where the worker draws them.
    OnGpu {
        /// Which job.
        number: u64,
        /// How many frames.
        frames: u32,
    },
    /// A layer was measured.
    Layer {
        /// The layer.
        layer: Measured,
        /// Which it is, from 1.
        done: u32,
        /// Of how many.
        total: u32,
    },
    /// What the device is good for.
    Measures {
        /// All layers.
        measures: Option<Measures>,
        /// Why there are none.
        error: Option<String>,
    },
    /// The GPU is gone; the page starts another worker, on the CPU.
    Lost(String),
    /// The worker has crashed; the page starts another one.
    Crashed(String),
}

/// A message as a value that `postMessage` takes.
pub fn to_js<T: Serialize>(message: &T) -> Result<JsValue, serde_wasm_bindgen::Error> {
    // A seed may be larger than a double's integers.
    message.serialize(
        &serde_wasm_bindgen::Serializer::new().serialize_large_number_types_as_bigints(true),
    )
}
