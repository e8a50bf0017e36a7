//! A training run from beginning to end: configurations in, weights out.

use super::clicks::ClickStage;
use super::denoiser::{DenoiserStage, residual_statistics};
use super::fit::{FitOptions, Fitted, Stage, fit};
use super::record::{Record, Results};
use super::source::Clips;
use super::vae::{Autoencoder, VaeStage, latent_statistics};
use crate::data::{ClipSpec, Data, Split};
use crate::device::{Device, Task};
use crate::model::bundle::{Bundle, BundleConfig, ModelIndex};
use crate::platform::{make_dir, write_whole};
use crate::scene::Representation;
use crate::weights::{ModelDir, Precision, save_file};
use crate::{Error, Result};
use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The VAE and its preview decoder.
    Vae,
    /// The entity encoder with its click head.
    Encoder,
    /// UNet, ControlNet and relation module; VAE and entity encoder must be trained.
    Denoiser,
}

/// A run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Which networks.
    pub what: What,
    /// Model directory: its configurations are read, the trained weights written into it.
    pub model: PathBuf,
    /// Pack of cut-outs and backgrounds, or a data set of videos (see [`Data::open`]).
    pub data: PathBuf,
    /// Clips (or pictures) in a batch.
    pub batch: usize,
    /// Frame sizes in pixels that batches take turns with.
    pub sizes: Vec<(usize, usize)>,
    /// Seed of the training clips.
    pub seed: u64,
    /// What the denoiser is shown, and how its errors are weighed; what is not said, the model directory says.
    pub shown: Shown,
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
        let condition = &mut index.condition;
        let set = |flag: &mut bool, to: Option<bool>| *flag = to.unwrap_or(*flag);
        condition.representation = self.representation.unwrap_or(condition.representation);
        set(&mut condition.entity_features, self.entity_features);
        set(&mut condition.position_relation, self.position_relation);
        set(&mut index.loss_mask, self.loss_mask);
        *index != before
    }
}

/// Trains, resuming the run's checkpoint if it has one, and writes the averaged weights into the model
/// directory.
///
/// # Errors
/// [`Error::Model`], [`Error::Picture`] for configurations or a pack that cannot be used,
/// [`Error::Io`] for a full disk, [`Error::Job`] when the loss stops being a number.
pub fn run(options: &RunOptions, device: Device) -> Result<()> {
    device.run_training(Train(options))?
}

struct Train<'a>(&'a RunOptions);

impl Task for Train<'_> {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device, name: String) -> Result<()> {
        let options = self.0;
        B::seed(&device, options.seed);
        println!("training on {name}");
        if options.what != What::Denoiser && options.shown != Shown::default() {
            return Err(Error::Job(
                "representation, entity features, position relation and loss mask are the denoiser's: leave them out \
                 for other networks"
                    .into(),
            ));
        }
        let location = options.model.display().to_string();
        let dir = ModelDir::new(&location);
        let config = pollster::block_on(BundleConfig::read(&dir))?;
        let data = Data::open(&options.data)?;
        let clips = |split, seed| -> Result<Arc<Clips>> {
            let spec = ClipSpec {
                frames: config.index.frames as usize,
                max_entities: config.index.max_entities,
                ..Default::default()
            };
            let clips = Clips::new(&data, split, &spec, seed, &options.sizes)?;
            Ok(Arc::new(clips))
        };
        let train = clips(Split::Train, options.seed)?;
        let held_out = clips(Split::HeldOut, options.seed)?;
        match options.what {
            What::Vae => vae::<B>(options, config, &dir, train, held_out, &device),
            What::Encoder => encoder::<B>(options, config, &dir, train, held_out, &device),
            What::Denoiser => denoiser::<B>(options, &dir, train, held_out, &device),
        }
    }
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
    let text = serde_json::to_string_pretty(&value).map_err(|e| failed(e.to_string()))?;
    write_whole(Path::new(path), (text + "\n").as_bytes())
}

fn vae<B: Backend>(
    options: &RunOptions,
    config: BundleConfig,
    dir: &ModelDir,
    clips: Arc<Clips>,
    held_out: Arc<Clips>,
    device: &B::Device,
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
    let trained = fit_recorded(&stage, network, options, None, device)?;
    let (mean, std) = latent_statistics(&trained.vae, &held_out, device)?;
    write(dir, "vae", &trained.vae)?;
    write(dir, "preview", &trained.preview)?;
    amend(
        &dir.file("vae", "config.json"),
        &[("latents_mean", mean.into()), ("latents_std", std.into())],
    )
}

fn encoder<B: Backend>(
    options: &RunOptions,
    config: BundleConfig,
    dir: &ModelDir,
    clips: Arc<Clips>,
    held_out: Arc<Clips>,
    device: &B::Device,
) -> Result<()> {
    let stage = ClickStage::<Autodiff<B>> {
        clips,
        held_out,
        batch: options.batch,
        device: device.clone(),
    };
    let network = warm(options, dir, "entity_encoder", config.encoder.init(device))?;
    let trained = fit_recorded(&stage, network, options, None, device)?;
    write(dir, "entity_encoder", &trained)
}

fn denoiser<B: Backend>(
    options: &RunOptions,
    dir: &ModelDir,
    clips: Arc<Clips>,
    held_out: Arc<Clips>,
    device: &B::Device,
) -> Result<()> {
    let mut frozen = pollster::block_on(Bundle::<B>::load_frozen(dir.location(), device))?;
    let changed = options.shown.apply(&mut frozen.config.index);
    if changed && options.warm {
        println!(
            "note: the weights to start from were trained with other conditions or another loss"
        );
    }
    frozen.config.check(dir.location())?;
    if frozen.config.index.residual_std.is_empty() {
        let std = residual_statistics(&frozen, &clips)?;
        println!("deviation of the denoised quantity: {std:.3?}");
        amend(
            &dir.file("", "model_index.json"),
            &[("residual_std", std.clone().into())],
        )?;
        frozen.config.index.residual_std = std;
    }
    let index = frozen.config.index.clone();
    let network = frozen.config.clone().init::<Autodiff<B>>(device)?.denoiser;
    let network = crate::model::denoiser::Denoiser {
        unet: warm(options, dir, "unet", network.unet)?,
        controlnet: warm(options, dir, "controlnet", network.controlnet)?,
        relation: warm(options, dir, "relation", network.relation)?,
    };
    let stage = DenoiserStage::<Autodiff<B>> {
        clips,
        held_out,
        batch: options.batch,
        frozen,
        entity_weight: if index.loss_mask { 2.0 } else { 1.0 },
        log_sigma: (-0.2, 1.4),
        seed: options.seed,
        device: device.clone(),
    };
    let trained = fit_recorded(&stage, network, options, Some(&index), device)?;
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

/// Trains, with a record of what is trained before it and of the results after it. `index` is the denoiser's.
fn fit_recorded<B: AutodiffBackend, S: Stage<B>>(
    stage: &S,
    network: S::Network,
    options: &RunOptions,
    index: Option<&ModelIndex>,
    device: &B::Device,
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
    };
    make_dir(&options.fit.run)?;
    record.note(&options.fit.run)?;
    let Fitted {
        network,
        state,
        figures,
    } = fit(stage, network, &options.fit, device)?;
    Results::new(record, &state, &figures).write(&options.fit.run)?;
    Ok(network)
}

fn json(value: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}
