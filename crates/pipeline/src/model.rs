//! Any model that a job can be given to: none at all, DragEntity's own kind, or Stable Video Diffusion as it was published.
//! Which one a directory holds, its `model_index.json` says.

use super::at_once::{self, AtOnce};
use super::dtype::check_dtype;
use super::engine::{Engine, Observer};
use super::memory::MemoryLimits;
use super::steer::Steer;
use super::svd::{Svd, SvdConfig, published_settings};
use burn::tensor::{FloatDType, backend::Backend};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::scene::demo::Demo;
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Preset, Settings};
use dragentity_core::scheduler::{SamplerKind, SchedulerConfig};
use dragentity_core::{Cancel, Job, JobEvent, Video};
use dragentity_networks::dragentity::bundle::ModelIndex;
use dragentity_networks::weights::{ModelDir, WeightType};
use serde::Deserialize;

/// What runs jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No network, see [`AtOnce`].
    AtOnce,
    /// All networks of DragEntity, as [`Engine`] runs them.
    DragEntity,
    /// `diffusers.StableVideoDiffusionPipeline`, as [`Svd`] runs it.
    StableVideoDiffusion,
}

/// Where a job's scene comes from.
#[derive(Clone, Copy, Debug)]
pub enum SceneFrom<'a> {
    /// A picture, and nothing else.
    Picture,
    /// A preset on a picture.
    Preset(&'a Preset),
    /// A demo folder of DragAnything.
    Demo(&'a Demo),
}

/// What can be said of a model before any of its weights is read.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Its kind.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
    /// The settings it was trained or published for.
    pub settings: Settings,
    /// Whether a ControlNet from elsewhere steers it.
    pub steered: bool,
    /// What the person should know before a video is made.
    pub note: Option<&'static str>,
}

impl About {
    /// Whether a picture alone is no job for it: Stable Video Diffusion makes something of one.
    pub fn needs_paths(&self) -> bool {
        self.kind != Kind::StableVideoDiffusion || self.steered
    }

    /// What a job is run with, by [`Settings::resolve`]: `request` is what was asked for with the job itself. Presets
    /// are made for DragEntity's own models, demo folders for published ones: of what was made for the others, a model
    /// takes what does not depend on how it was trained.
    pub fn settings(&self, request: &Choice, scene: SceneFrom<'_>) -> Settings {
        let chosen = match (scene, self.kind) {
            (SceneFrom::Picture, _) => Choice::default(),
            (SceneFrom::Preset(preset), Kind::AtOnce | Kind::DragEntity) => preset.settings.clone(),
            (SceneFrom::Demo(demo), Kind::StableVideoDiffusion) => demo.settings(),
            (SceneFrom::Preset(preset), _) => preset.settings.for_another_model(),
            (SceneFrom::Demo(demo), _) => demo.settings().for_another_model(),
        };
        Settings::resolve(request, &chosen, &self.settings)
    }

    /// What was asked for with the job itself and changes nothing in what this model makes, in a sentence. Of presets nothing is
    /// said: they are made for any model.
    pub fn unused(&self, request: &Choice) -> Option<String> {
        let Choice {
            // Every model heeds these.
            frames: _,
            fps: _,
            size,
            seed,
            steps,
            min_guidance,
            max_guidance,
            motion_bucket,
            noise_augmentation,
            representation,
            control,
            sampler,
            weak,
            strong,
        } = request;
        let of_networks = [
            ("seed", seed.is_some()),
            ("steps", steps.is_some()),
            ("min_guidance", min_guidance.is_some()),
            ("max_guidance", max_guidance.is_some()),
            ("motion_bucket", motion_bucket.is_some()),
            ("noise_augmentation", noise_augmentation.is_some()),
            ("representation", representation.is_some()),
        ];
        let of_published = [
            ("control", control.is_some()),
            ("sampler", sampler.is_some()),
            ("weak", weak.is_some()),
            ("strong", strong.is_some()),
        ];
        let unused: Vec<&str> = match self.kind {
            Kind::AtOnce => [&of_networks[..], &of_published].concat(),
            // Its frames are as large as it was trained for.
            Kind::DragEntity => [&of_published[..], &[("size", size.is_some())]].concat(),
            Kind::StableVideoDiffusion => Vec::new(),
        }
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect();
        (!unused.is_empty()).then(|| {
            format!(
                "not used by this model ({}): {}",
                self.name,
                unused.join(", ")
            )
        })
    }

    /// Reads what a directory or URL says of itself, and of the ControlNet that is to steer it.
    ///
    /// # Errors
    /// [`Error::Model`] if it is no model, or none of a known kind, or the ControlNet does not fit it; [`Error::Job`] for other
    /// options that it would not heed.
    pub async fn read(options: &ModelOptions) -> Result<Self> {
        /// `model_index.json`, as far as all kinds have it.
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "_class_name")]
            class_name: String,
        }

        const INDEX: &str = "model_index.json";
        if options.location == at_once::NAME {
            options.refuse_what_others_have(Kind::AtOnce)?;
            return Ok(Self {
                kind: Kind::AtOnce,
                name: "at once, without a network".into(),
                settings: at_once::settings(),
                steered: false,
                note: None,
            });
        }
        let dir = ModelDir::new(&options.location);
        let head: Head = dir.read_json("", INDEX).await?;
        match head.class_name.as_str() {
            "DragEntityPipeline" => {
                options.refuse_what_others_have(Kind::DragEntity)?;
                let index: ModelIndex = dir.read_json("", INDEX).await?;
                Ok(Self {
                    kind: Kind::DragEntity,
                    settings: Settings {
                        frames: index.frames,
                        fps: index.fps,
                        steps: index.steps,
                        ..Settings::default()
                    },
                    name: index.name,
                    steered: false,
                    note: None,
                })
            }
            "StableVideoDiffusionPipeline" => {
                let scheduler: SchedulerConfig =
                    dir.read_json("scheduler", "scheduler_config.json").await?;
                let sampler = options.sampler.unwrap_or(scheduler.kind());
                let mut about = Self {
                    kind: Kind::StableVideoDiffusion,
                    settings: Settings {
                        sampler: options.sampler,
                        ..published_settings(&dir.read_config("unet").await?, sampler)
                    },
                    name: "Stable Video Diffusion".into(),
                    steered: false,
                    note: None,
                };
                if let Some(controlnet) = &options.controlnet {
                    let steer = controlnet.open().await?;
                    steer.check(&SvdConfig::read(&dir).await?)?;
                    about.steered = true;
                    about.note = steer.note();
                    about.settings.frames = steer.frames().unwrap_or(about.settings.frames);
                }
                Ok(about)
            }
            other => Err(Error::Model {
                name: dir.file("", INDEX),
                reason: format!(
                    "is a model of the kind {other:?}, and known are DragEntityPipeline and StableVideoDiffusionPipeline"
                ),
            }),
        }
    }
}

/// Which model, and how it is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelOptions {
    /// Directory or URL, or [`at_once::NAME`]; may be empty where only masks are made.
    pub location: String,
    /// What the weights of large networks are held in; `None`: the best that the device's memory has room for. DragEntity's own models
    /// have `f32` only.
    pub dtype: Option<WeightType>,
    /// Weights of Stable Video Diffusion's UNet, a file or URL, instead of those in its directory: AnimateLCM's, for example.
    pub unet: Option<String>,
    /// The sampler of Stable Video Diffusion, as weights from elsewhere need it; `None`: that of its directory.
    pub sampler: Option<SamplerKind>,
    /// What moves entities in Stable Video Diffusion; DragEntity's own models have it.
    pub controlnet: Option<ControlNetSource>,
    /// SAM's or MobileSAM's weights, which make masks of clicks; `None` where there are none to be made.
    pub segmenter: Option<String>,
    /// RIFE's weights, which make frames between frames; `None` where none are to be made.
    pub interpolator: Option<String>,
    /// Directory or URL of the network that guesses what lies behind things, for videos at once; they are made without it, too.
    pub structure: Option<String>,
    /// Bytes of the device's memory that are free, where that is known.
    pub free_memory: Option<u64>,
    /// Bytes of the largest piece of memory that the device gives, where it says so.
    pub largest_piece: Option<u64>,
    /// How often the model ran out of memory already: it is run with less.
    pub out_of_memory: usize,
}

/// A ControlNet from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlNetSource {
    /// Its directory or URL.
    pub location: String,
    /// Stable Diffusion's directory or URL, for its features; `None`: Stable Video Diffusion's own.
    pub features_from: Option<String>,
}

impl ControlNetSource {
    async fn open(&self) -> Result<Steer> {
        Steer::open(&self.location, self.features_from.as_deref()).await
    }
}

impl ModelOptions {
    /// The model at `location`, loaded as suits the device.
    pub fn new(location: impl Into<String>) -> Self {
        Self {
            location: location.into(),
            ..Self::default()
        }
    }

    /// Refuses what a model of this kind, which is not [`Kind::StableVideoDiffusion`], would not heed: left aside without a word
    /// it would pass for something that was done.
    fn refuse_what_others_have(&self, kind: Kind) -> Result<()> {
        let name = &self.location;
        if let Some(other) = &self.controlnet {
            let own = match kind {
                Kind::DragEntity => format!(", and {name} has a ControlNet of its own"),
                _ => String::new(),
            };
            return Err(Error::Model {
                name: other.location.clone(),
                reason: format!(
                    "steers Stable Video Diffusion{own}: name the directory of Stable Video Diffusion with --model, or leave \
                     --controlnet out"
                ),
            });
        }
        let foreign = [
            ("--unet", self.unet.is_some()),
            ("--sampler", self.sampler.is_some()),
        ];
        if let Some((option, _)) = foreign.iter().find(|(_, given)| *given) {
            return Err(Error::Job(format!(
                "{option} is for Stable Video Diffusion, and {name} is none: name the directory of Stable Video Diffusion with \
                 --model, or leave {option} out"
            )));
        }
        match (self.dtype, kind) {
            (Some(dtype), Kind::AtOnce) => Err(Error::Job(format!(
                "{name} runs no model whose weights could be held in {dtype}: name one with --model, or leave --dtype out"
            ))),
            (Some(dtype), _) if dtype != WeightType::Float(FloatDType::F32) => Err(Error::Job(
                format!("{name} computes in f32 only, not in {dtype}: leave --dtype out"),
            )),
            _ => Ok(()),
        }
    }
}

/// A model on a device, which runs jobs one after another.
#[allow(
    clippy::large_enum_variant,
    reason = "one of them exists at a time, so that it does not matter that one is larger"
)]
pub enum Model<B: Backend> {
    /// Nothing is loaded.
    AtOnce(AtOnce),
    /// Its networks stay loaded.
    DragEntity(Engine<B>),
    /// Its networks are loaded when their turn comes, and dropped after it.
    StableVideoDiffusion(Svd<B>),
}

impl<B: Backend> Model<B> {
    /// Loads what stays loaded.
    ///
    /// # Errors
    /// Those of [`About::read`], [`Engine::load`] and [`Svd::open`], and [`Error::Device`] or [`Error::Job`] for a
    /// type that the device or the model does not compute in.
    pub async fn load(
        options: &ModelOptions,
        device: B::Device,
        device_name: String,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Self> {
        let location = &options.location;
        if let Some(dtype) = options.dtype {
            check_dtype::<B>(&device, &device_name, dtype.computes::<B>(&device))?;
        }
        match About::read(options).await?.kind {
            Kind::AtOnce => Ok(Self::AtOnce(AtOnce::new(options.structure.clone()))),
            Kind::DragEntity => {
                let engine = Engine::load(location, device, device_name, observer).await?;
                Ok(Self::DragEntity(engine))
            }
            Kind::StableVideoDiffusion => {
                let (on, location) = (device.clone(), location.as_str());
                let dtypes = match options.dtype {
                    Some(dtype) => vec![dtype],
                    None => {
                        let floats = [FloatDType::F32, FloatDType::F16].into_iter();
                        floats
                            .filter(|&dtype| B::supports_dtype(&on, dtype.into()))
                            .map(WeightType::Float)
                            .chain([WeightType::Int8])
                            .collect()
                    }
                };
                let svd = Svd::open(location, device, device_name).await?;
                let mut svd = svd.with_unet(options.unet.clone()).within(MemoryLimits {
                    dtypes,
                    free: options.free_memory,
                    piece: options.largest_piece,
                    skip: options.out_of_memory,
                });
                if let Some(controlnet) = &options.controlnet {
                    svd = svd.steered_by(controlnet.open().await?)?;
                }
                Ok(Self::StableVideoDiffusion(svd))
            }
        }
    }

    /// Runs a job.
    ///
    /// # Errors
    /// Those of [`AtOnce::run`], [`Engine::run`] and [`Svd::run`].
    pub async fn run(
        &self,
        job: &Job,
        cancel: &Cancel,
        observer: &mut dyn Observer<B>,
    ) -> Result<Video> {
        match self {
            Self::AtOnce(at_once) => {
                let mut hear = |event| observer.event(event);
                at_once.run(job, cancel, &mut hear).await
            }
            Self::DragEntity(engine) => engine.run(job, cancel, observer).await,
            Self::StableVideoDiffusion(svd) => svd.run(job, cancel, observer).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dragentity_core::scene::Scene;

    /// A model that was trained for 25 frames and steps.
    fn about(kind: Kind) -> About {
        About {
            kind,
            name: "a model".into(),
            settings: Settings {
                frames: 25,
                steps: 25,
                ..Settings::default()
            },
            steered: true,
            note: None,
        }
    }

    #[test]
    fn a_request_counts_before_a_preset_and_a_preset_before_the_model() {
        let json = r#"{"dragentity": 1, "picture": {"width": 16, "height": 12},
            "settings": {"frames": 4, "seed": 7, "motion_bucket": 90}}"#;
        let preset = Preset::parse(json).unwrap();
        let request = Choice {
            frames: Some(3),
            ..Choice::default()
        };
        let told = |kind, request: &Choice| {
            let settings = about(kind).settings(request, SceneFrom::Preset(&preset));
            let Settings {
                frames,
                steps,
                seed,
                motion_bucket,
                ..
            } = settings;
            (frames, steps, seed, motion_bucket)
        };
        // What the preset does not say is the model's.
        assert_eq!(told(Kind::DragEntity, &Choice::default()), (4, 25, 7, 90));
        assert_eq!(told(Kind::DragEntity, &request), (3, 25, 7, 90));
        // A published model was trained for other numbers of frames than presets have.
        let published = Kind::StableVideoDiffusion;
        assert_eq!(told(published, &Choice::default()), (25, 25, 7, 90));
        assert_eq!(told(published, &request), (3, 25, 7, 90));
    }

    #[test]
    fn what_a_model_does_not_heed_is_named_or_refused() {
        let request = Choice {
            frames: Some(9),
            steps: Some(3),
            size: Some([64, 48]),
            weak: Some(0.1),
            ..Choice::default()
        };
        let unused = |kind, request: &Choice| about(kind).unused(request);
        assert_eq!(
            unused(Kind::AtOnce, &request).unwrap(),
            "not used by this model (a model): steps, weak"
        );
        assert_eq!(
            unused(Kind::DragEntity, &request).unwrap(),
            "not used by this model (a model): weak, size"
        );
        assert_eq!(unused(Kind::StableVideoDiffusion, &request), None);
        assert_eq!(unused(Kind::AtOnce, &Choice::default()), None);

        let refused = |options: ModelOptions, option: &str| {
            let why = pollster::block_on(About::read(&options)).unwrap_err();
            assert!(why.to_string().contains(option), "{why}");
        };
        let at_once = || ModelOptions::new(at_once::NAME);
        refused(
            ModelOptions {
                unet: Some("a.safetensors".into()),
                ..at_once()
            },
            "leave --unet out",
        );
        refused(
            ModelOptions {
                sampler: Some(SamplerKind::Euler),
                ..at_once()
            },
            "leave --sampler out",
        );
        refused(
            ModelOptions {
                dtype: Some(WeightType::Float(FloatDType::F32)),
                ..at_once()
            },
            "leave --dtype out",
        );
        assert!(pollster::block_on(About::read(&at_once())).is_ok());
    }

    #[test]
    fn a_demo_folder_says_how_many_frames_to_those_it_was_made_for() {
        let demo = |frames| Demo {
            scene: Scene::default(),
            frames,
            notes: Vec::new(),
        };
        let frames = |kind, frames, request: Choice| {
            let settings = about(kind).settings(&request, SceneFrom::Demo(&demo(frames)));
            assert!(settings.check().is_ok());
            settings.frames
        };
        let published = Kind::StableVideoDiffusion;
        assert_eq!(frames(published, 14, Choice::default()), 14);
        assert_eq!(frames(published, 1, Choice::default()), 2);
        assert_eq!(frames(published, usize::MAX, Choice::default()), 121);
        assert_eq!(frames(Kind::DragEntity, 14, Choice::default()), 25);
        let request = Choice {
            frames: Some(9),
            ..Choice::default()
        };
        assert_eq!(frames(published, 14, request), 9);
        let plain = about(published).settings(&Choice::default(), SceneFrom::Picture);
        assert_eq!(plain, about(published).settings);
    }
}
