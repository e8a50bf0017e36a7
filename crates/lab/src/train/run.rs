//! A training run from beginning to end: configurations in, weights out.

use super::controlnet::{ControlNetStage, Steerer, configs};
use super::denoiser::{DenoiserStage, ENTITY_WEIGHT, Turn, residual_statistics};
use super::fit::{FitOptions, Fitted, fit};
use super::parser::ParserStage;
use super::parts::PartsStage;
use super::plate::PlateStage;
use super::record::{Lock, Record, Results};
use super::source::Clips;
use super::stage::Stage;
use super::vae::{Autoencoder, VaeStage, latent_statistics};
use crate::data::holes::Holes;
use crate::data::{ClipSpec, Data, Pack, Split};
use crate::eval::lpips::{self, Lpips};
use crate::event::LabEvent;
use crate::follow::FollowerConfig;
use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::BalancedCheckpointing;
use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::platform::{make_dir, write_json};
use dragentity_core::scene::Representation;
use dragentity_networks::device::{Device, Task};
use dragentity_networks::dragentity::bundle::{Bundle, BundleConfig, ModelIndex};
use dragentity_networks::dragentity::condition::ConditionConfig;
use dragentity_networks::dragentity::denoiser::ResidualBase;
use dragentity_networks::dragentity::human_parser::HumanParserConfig;
use dragentity_networks::dragentity::plate_structure::PlateStructureConfig;
use dragentity_networks::weights::{ModelDir, Precision, save_file};
use dragentity_pipeline::dtype::dtype_name;
use dragentity_pipeline::steer::SteerIndex;
use dragentity_pipeline::svd::SvdConfig;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The VAE and its preview decoder.
    Vae,
    /// The human parser.
    Parser,
    /// The structure of plates; its directory is a model's of its own.
    Plate,
    /// How joints that nobody leads follow the others; its directory is a model's of its own.
    Parts,
    /// UNet, ControlNet and relation module; the VAE must be trained.
    Denoiser,
    /// A ControlNet and a relation module for Stable Video Diffusion, whose directory the model's is; it stays as it is.
    ControlNet,
}

/// A run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Which networks.
    pub what: What,
    /// Model directory: its configurations are read, the trained weights written into it.
    pub model: PathBuf,
    /// Where a ControlNet for Stable Video Diffusion is written to; configurations that are there already are used.
    pub controlnet: Option<PathBuf>,
    /// Frames of a clip, for Stable Video Diffusion; `None`: as many as its UNet was made for.
    pub frames: Option<usize>,
    /// Pack of cut-outs and backgrounds, or a data set of videos (see [`Data::open`]).
    pub data: PathBuf,
    /// Folders of photographs, for plates (see [`Holes::open`]); the pack is used beside them if it is there.
    pub photos: Vec<PathBuf>,
    /// Clips (or pictures) in a batch.
    pub batch: usize,
    /// Frame sizes in pixels that batches take turns with.
    pub sizes: Vec<(usize, usize)>,
    /// Seed of the training clips.
    pub seed: u64,
    /// What the denoiser is shown, and how its errors are weighed; what is not said, the model directory says.
    pub shown: Shown,
    /// What the denoiser is shown step after step, in turns; empty: always the same. Its index says what `shown` does.
    pub turns: Vec<Shown>,
    /// Whether the denoiser's cheap intermediate results are computed again in the backward pass instead of being
    /// kept: gradient checkpointing, less memory for more time.
    pub recompute: bool,
    /// Start from the weights in the model directory rather than from scratch (a checkpoint of the run comes first).
    pub warm: bool,
    /// How long, how fast, and where checkpoints go.
    pub fit: FitOptions,
}

/// Changes to what a model's index says of its denoiser. They are written into it with the trained weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// How trajectories are shown.
    pub representation: Option<Representation>,
    /// Whether embeddings say what entities are.
    pub entity_features: Option<bool>,
    /// Whether embeddings know of each other.
    pub position_relation: Option<bool>,
    /// Whether errors inside entities count more (Eq. 8).
    pub loss_mask: Option<bool>,
}

impl Shown {
    /// Changes an index; `true` if it was another one before.
    fn apply(self, index: &mut ModelIndex) -> bool {
        let before = index.clone();
        self.apply_to(&mut index.condition);
        index.loss_mask = self.loss_mask.unwrap_or(index.loss_mask);
        *index != before
    }

    fn apply_to(self, condition: &mut ConditionConfig) {
        let set = |flag: &mut bool, to: Option<bool>| *flag = to.unwrap_or(*flag);
        condition.representation = self.representation.unwrap_or(condition.representation);
        set(&mut condition.entity_features, self.entity_features);
        set(&mut condition.position_relation, self.position_relation);
    }
}

/// Trains, resuming the run's checkpoint if it has one, and writes the averaged weights into the model
/// directory. `on_event` hears how it goes.
///
/// # Errors
/// [`Error::Model`], [`Error::Picture`] for configurations or a pack that cannot be used,
/// [`Error::Io`] for a full disk, [`Error::Job`] when the loss stops being a number.
pub fn run(options: &RunOptions, device: Device, on_event: &mut dyn FnMut(LabEvent)) -> Result<()> {
    device.run_training(Train { options, on_event })?
}

struct Train<'a> {
    options: &'a RunOptions,
    on_event: &'a mut dyn FnMut(LabEvent),
}

impl Task for Train<'_> {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device, name: String) -> Result<()> {
        let Self { options, on_event } = self;
        B::seed(&device, options.seed);
        on_event(LabEvent::Training { device: name });
        let may_show = match options.what {
            What::Denoiser | What::ControlNet => options.shown,
            What::Parts => Shown {
                position_relation: options.shown.position_relation,
                ..Shown::default()
            },
            _ => Shown::default(),
        };
        if options.shown != may_show || options.recompute && options.what != What::Denoiser {
            return Err(Error::Job(
                "recomputing, representation, entity features, position relation and loss mask are the denoiser's (position relation \
                 the parts' as well): leave them out for other networks"
                    .into(),
            ));
        }
        if options.what == What::ControlNet {
            return controlnet::<Autodiff<B>>(options, &device, on_event);
        }
        let location = options.model.display().to_string();
        let dir = ModelDir::new(&location);
        if options.what == What::Plate {
            return plate::<B>(options, &dir, &device, on_event);
        }
        if options.what == What::Parts {
            return parts::<B>(options, &dir, &device, on_event);
        }
        let config = pollster::block_on(BundleConfig::read(&dir))?;
        let index = &config.index;
        let [train, held_out] = clips(options, index.frames as usize, index.max_entities)?;
        match options.what {
            What::Vae => vae::<B>(options, config, &dir, train, held_out, &device, on_event),
            What::Parser => parser::<B>(options, &dir, train, held_out, &device, on_event),
            What::Denoiser if options.recompute => {
                type Recomputing<B> = Autodiff<B, BalancedCheckpointing>;
                denoiser::<Recomputing<B>>(options, &dir, train, held_out, &device, on_event)
            }
            What::Denoiser => {
                denoiser::<Autodiff<B>>(options, &dir, train, held_out, &device, on_event)
            }
            What::ControlNet | What::Plate | What::Parts => Ok(()),
        }
    }
}

/// Clips to train on, and those that are held out.
fn clips(options: &RunOptions, frames: usize, max_entities: usize) -> Result<[Arc<Clips>; 2]> {
    let data = Data::open(&options.data)?;
    let of = |split| -> Result<Arc<Clips>> {
        let spec = ClipSpec {
            frames,
            max_entities,
            ..Default::default()
        };
        let clips = Clips::new(&data, split, &spec, options.seed, &options.sizes)?;
        Ok(Arc::new(clips))
    };
    Ok([of(Split::Train)?, of(Split::HeldOut)?])
}

fn write<B: Backend, M: Module<B>>(dir: &ModelDir, part: &str, module: &M) -> Result<()> {
    save_file(Path::new(&dir.weights_file(part)), module, Precision::F16)
}

/// Weights of one part, if `warm` and they are there.
fn warm<B: Backend, M: Module<B>>(
    options: &RunOptions,
    dir: &ModelDir,
    part: &str,
    module: M,
) -> Result<M> {
    if !options.warm {
        return Ok(module);
    }
    Ok(pollster::block_on(dir.load(part, module, &mut |_, _| {}))?.0)
}

/// Changes fields of a JSON file, keeping the rest.
fn amend(path: &str, fields: &[(&str, serde_json::Value)]) -> Result<()> {
    let failed = |reason: String| Error::Model {
        name: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    let mut value: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| failed(e.to_string()))?;
    for (name, field) in fields {
        value[*name] = field.clone();
    }
    write_json(Path::new(path), &value)
}

fn vae<B: Backend>(
    options: &RunOptions,
    config: BundleConfig,
    dir: &ModelDir,
    clips: Arc<Clips>,
    held_out: Arc<Clips>,
    device: &B::Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<()> {
    let stage = VaeStage::<Autodiff<B>> {
        clips,
        held_out: held_out.clone(),
        batch: options.batch,
        frames: 4,
        kl_weight: 1e-4,
        seed: options.seed,
        device: device.clone(),
    };
    let fresh = config.clone().init::<Autodiff<B>>(device)?;
    let network = Autoencoder {
        vae: warm(options, dir, "vae", fresh.vae)?,
        preview: warm(options, dir, "preview", fresh.preview)?,
    };
    let trained = fit_recorded(&stage, network, options, None, device, on_event)?;
    let (mean, std) = latent_statistics(&trained.vae, &held_out, device)?;
    write(dir, "vae", &trained.vae)?;
    write(dir, "preview", &trained.preview)?;
    amend(
        &dir.file("vae", "config.json"),
        &[("latents_mean", mean.into()), ("latents_std", std.into())],
    )
}

fn parser<B: Backend>(
    options: &RunOptions,
    dir: &ModelDir,
    clips: Arc<Clips>,
    held_out: Arc<Clips>,
    device: &B::Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<()> {
    let found = pollster::block_on(dir.find_json("human_parser", "config.json"))?;
    let config: HumanParserConfig = found.unwrap_or_default();
    let name = dir.file("human_parser", "config.json");
    config.validate(&name)?;
    let stage = ParserStage::<Autodiff<B>> {
        clips,
        held_out,
        batch: options.batch,
        side: config.crop_side,
        device: device.clone(),
    };
    let network = warm(options, dir, "human_parser", config.init(device)?)?;
    let trained = fit_recorded(&stage, network, options, None, device, on_event)?;
    write(dir, "human_parser", &trained)?;
    write_json(Path::new(&name), &config)
}

fn plate<B: Backend>(
    options: &RunOptions,
    dir: &ModelDir,
    device: &B::Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<()> {
    let found = pollster::block_on(dir.find_json("", "config.json"))?;
    let config: PlateStructureConfig = found.unwrap_or_default();
    let name = dir.file("", "config.json");
    config.validate(&name)?;
    let pack = match options.photos.is_empty() || options.data.exists() {
        true => Some(Arc::new(Pack::open(&options.data)?)),
        false => None,
    };
    let holes = |split| -> Result<Arc<Holes>> {
        let holes = Holes::open(&options.photos, pack.clone(), split, options.seed)?;
        Ok(Arc::new(holes))
    };
    let stage = PlateStage::<Autodiff<B>> {
        holes: holes(Split::Train)?,
        held_out: holes(Split::HeldOut)?,
        batch: options.batch,
        sizes: options.sizes.clone(),
        lpips: Lpips::open(Path::new(lpips::WEIGHTS), device)?.no_grad(),
        device: device.clone(),
    };
    let network = warm(options, dir, "", config.init(device)?)?;
    let trained = fit_recorded(&stage, network, options, None, device, on_event)?;
    save_alone(options, dir, &config, &trained)
}

/// Writes a network that is all of its directory, with its configuration.
fn save_alone<B: Backend, M: Module<B>>(
    options: &RunOptions,
    dir: &ModelDir,
    config: &impl Serialize,
    trained: &M,
) -> Result<()> {
    make_dir(&options.model)?;
    write_json(Path::new(&dir.file("", "config.json")), config)?;
    let weights = dir.file("", "model.safetensors");
    save_file(Path::new(&weights), trained, Precision::F16)
}

fn parts<B: Backend>(
    options: &RunOptions,
    dir: &ModelDir,
    device: &B::Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<()> {
    let found = pollster::block_on(dir.find_json("", "config.json"))?;
    let mut config: FollowerConfig = found.unwrap_or_default();
    config.related = options.shown.position_relation.unwrap_or(config.related);
    let name = dir.file("", "config.json");
    config.validate(&name)?;
    let stage = PartsStage::<Autodiff<B>> {
        related: config.related,
        batch: options.batch,
        seed: options.seed,
        device: device.clone(),
    };
    let network = warm(options, dir, "", config.init(device)?)?;
    let trained = fit_recorded(&stage, network, options, None, device, on_event)?;
    save_alone(options, dir, &config, &trained)
}

fn denoiser<A: AutodiffBackend>(
    options: &RunOptions,
    dir: &ModelDir,
    clips: Arc<Clips>,
    held_out: Arc<Clips>,
    device: &A::Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<()> {
    let mut frozen = pollster::block_on(Bundle::<A::InnerBackend>::load_frozen(
        dir.location(),
        device,
    ))?;
    let changed = options.shown.apply(&mut frozen.config.index);
    if changed && options.warm {
        on_event(LabEvent::OtherConditions);
    }
    frozen.config.check(dir.location())?;
    if frozen.config.index.residual_std.is_empty() {
        let std = residual_statistics(&frozen, &clips)?;
        on_event(LabEvent::Deviation { std: std.clone() });
        amend(
            &dir.file("", "model_index.json"),
            &[("residual_std", std.clone().into())],
        )?;
        frozen.config.index.residual_std = std;
    }
    let index = frozen.config.index.clone();
    let network = frozen.config.clone().init::<A>(device)?.denoiser;
    let network = dragentity_networks::dragentity::denoiser::Denoiser {
        unet: warm(options, dir, "unet", network.unet)?,
        controlnet: warm(options, dir, "controlnet", network.controlnet)?,
        relation: warm(options, dir, "relation", network.relation)?,
    };
    let turn = |shown: &Shown| {
        let mut index = index.clone();
        shown.apply(&mut index);
        Turn {
            condition: index.condition,
            entity_weight: if index.loss_mask { ENTITY_WEIGHT } else { 1.0 },
        }
    };
    let stage = DenoiserStage::<A> {
        clips,
        held_out,
        batch: options.batch,
        turns: match options.turns.as_slice() {
            [] => vec![turn(&Shown::default())],
            turns => turns.iter().map(turn).collect(),
        },
        frozen,
        log_sigma: (-0.2, 1.4),
        seed: options.seed,
        device: device.clone(),
    };
    let trained = fit_recorded(&stage, network, options, Some(&index), device, on_event)?;
    write(dir, "unet", &trained.unet)?;
    write(dir, "controlnet", &trained.controlnet)?;
    write(dir, "relation", &trained.relation)?;
    amend(
        &dir.file("", "model_index.json"),
        &[
            ("condition", json(&index.condition)),
            ("loss_mask", index.loss_mask.into()),
        ],
    )
}

/// Frames a second of clips for Stable Video Diffusion, as its pipeline assumes.
const PUBLISHED_FPS: u32 = 7;

fn controlnet<A: AutodiffBackend>(
    options: &RunOptions,
    device: &A::Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<()> {
    let Some(out) = &options.controlnet else {
        return Err(Error::Job(
            "there is no place for the ControlNet: name a folder with --controlnet".into(),
        ));
    };
    let dir = ModelDir::new(options.model.display().to_string());
    let config = pollster::block_on(SvdConfig::read(&dir))?;
    let factor = config.vae.factor();
    let target = ModelDir::new(out.display().to_string());
    let (mut sizes, mut relation) = configs(&config.unet, factor)?;
    let mut index = SteerIndex::default();
    index.condition.vae_factor = factor;
    // What is there already is gone on with.
    let found = pollster::block_on(target.find_json("controlnet", "config.json"))?;
    sizes = found.unwrap_or(sizes);
    let found = pollster::block_on(target.find_json("relation", "config.json"))?;
    relation = found.unwrap_or(relation);
    let found = pollster::block_on(target.find_json("", "model_index.json"))?;
    index = found.unwrap_or(index);
    options.shown.apply_to(&mut index.condition);
    let weighed = options.shown.loss_mask.unwrap_or(true);
    relation.validate(&target.file("relation", "config.json"))?;
    index
        .condition
        .validate(&target.file("", "model_index.json"))?;
    let file = target.file("controlnet", "config.json");
    sizes.validate(&file)?;
    sizes.check_fits(&file, &config.unet)?;

    let frames = options.frames.unwrap_or(config.unet.num_frames);
    let [clips, held_out] = clips(options, frames, index.max_entities)?;
    let silent = &mut |_: u64, _: u64| {};
    let encoder = pollster::block_on(config.load_image_encoder(&dir, device, silent))?;
    let vae = pollster::block_on(config.load_vae(&dir, device, silent))?;
    let in_dtype = dir.clone().with_dtype(options.fit.pass.dtype);
    let unet = pollster::block_on(config.load_unet::<A>(&in_dtype, device, silent))?.no_grad();
    // From the weights in f32, whatever the frozen copy computes in.
    let start = pollster::block_on(config.load_unet::<A>(&dir, device, silent))?;
    let mut network = Steerer::from_unet(&sizes, &relation, &start, device)?;
    drop(start);
    if options.warm {
        network = Steerer {
            controlnet: warm(options, &target, "controlnet", network.controlnet)?,
            relation: warm(options, &target, "relation", network.relation)?,
        };
    }
    let stage = ControlNetStage::<A> {
        clips,
        held_out,
        batch: options.batch,
        config,
        index: index.clone(),
        encoder,
        vae,
        unet,
        fps: PUBLISHED_FPS,
        entity_weight: if weighed { ENTITY_WEIGHT } else { 1.0 },
        seed: options.seed,
        device: device.clone(),
    };
    let shown = ModelIndex {
        condition: index.condition.clone(),
        loss_mask: weighed,
        residual_base: ResidualBase::None,
        ..ModelIndex::default()
    };
    let trained = fit_recorded(&stage, network, options, Some(&shown), device, on_event)?;
    write(&target, "controlnet", &trained.controlnet)?;
    write(&target, "relation", &trained.relation)?;
    write_json(Path::new(&target.file("controlnet", "config.json")), &sizes)?;
    write_json(
        Path::new(&target.file("relation", "config.json")),
        &relation,
    )?;
    write_json(Path::new(&target.file("", "model_index.json")), &index)
}

/// Trains, with a record of what is trained before it and of the results after it. `index` is the denoiser's.
fn fit_recorded<B: AutodiffBackend, S: Stage<B> + Send>(
    stage: &S,
    network: S::Network,
    options: &RunOptions,
    index: Option<&ModelIndex>,
    device: &B::Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<<S::Network as AutodiffModule<B>>::InnerModule> {
    let record = Record {
        what: stage.name().to_owned(),
        condition: index.map(|index| index.condition.clone()),
        loss_mask: index.map(|index| index.loss_mask),
        residual_base: index.map(|index| index.residual_base),
        seed: options.seed,
        batch: options.batch,
        sizes: options.sizes.clone(),
        steps: options.fit.steps,
        learning_rate: options.fit.learning_rate,
        ema_decay: options.fit.ema_decay,
        accumulate: options.fit.pass.accumulate,
        dtype: dtype_name(options.fit.pass.dtype),
    };
    let _held = Lock::take(&options.fit.run)?;
    record.note(&options.fit.run)?;
    let Fitted {
        network,
        state,
        mut figures,
    } = fit(stage, network, &options.fit, device, on_event)?;
    if state.step >= options.fit.steps {
        figures.extend(stage.held_out(&network)?);
    }
    Results::new(record, &state, &figures).write(&options.fit.run)?;
    Ok(network)
}

fn json(value: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}
