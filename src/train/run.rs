//! A training run from beginning to end: configurations in, weights out.

use super::clicks::ClickStage;
use super::denoiser::{DenoiserStage, residual_statistics};
use super::fit::{FitOptions, fit};
use super::source::Clips;
use super::vae::{Autoencoder, VaeStage, latent_statistics};
use crate::data::{ClipSpec, Dataset, Pack, Split};
use crate::device::{Device, Task};
use crate::model::bundle::{Bundle, BundleConfig};
use crate::platform::write_whole;
use crate::weights::{ModelDir, Precision, save_file};
use crate::{Error, Result};
use burn::backend::Autodiff;
use burn::module::Module;
use burn::tensor::backend::Backend;
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
    /// Pack of cut-outs and backgrounds.
    pub data: PathBuf,
    /// Clips (or pictures) in a batch.
    pub batch: usize,
    /// Frame sizes in pixels that batches take turns with.
    pub sizes: Vec<(usize, usize)>,
    /// Seed of the training clips.
    pub seed: u64,
    /// Start from the weights in the model directory rather than from scratch (a checkpoint of the run comes first).
    pub warm: bool,
    /// How long, how fast, and where checkpoints go.
    pub fit: FitOptions,
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
        let location = options.model.display().to_string();
        let dir = ModelDir::new(&location);
        let config = pollster::block_on(BundleConfig::read(&dir))?;
        let pack = Arc::new(Pack::open(&options.data)?);
        let clips = |split, seed| -> Result<Arc<Clips>> {
            let spec = ClipSpec {
                frames: config.index.frames as usize,
                max_entities: config.index.max_entities,
                ..Default::default()
            };
            let dataset = Dataset::new(pack.clone(), split, spec, seed)?;
            Ok(Arc::new(Clips::new(&dataset, &options.sizes)?))
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
        device: device.clone(),
    };
    let fresh = config.clone().init::<Autodiff<B>>(device)?;
    let network = Autoencoder {
        vae: warm(options, dir, "vae", fresh.vae)?,
        preview: warm(options, dir, "preview", fresh.preview)?,
    };
    let trained = fit(&stage, network, &options.fit, device)?;
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
    let trained = fit(&stage, network, &options.fit, device)?;
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
    if frozen.config.index.residual_std.is_empty() {
        let std = residual_statistics(&frozen, &clips)?;
        println!("deviation of the denoised quantity: {std:.3?}");
        amend(
            &dir.file("", "model_index.json"),
            &[("residual_std", std.clone().into())],
        )?;
        frozen.config.index.residual_std = std;
    }
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
        entity_weight: 2.0,
        log_sigma: (-0.2, 1.4),
        device: device.clone(),
    };
    let trained = fit(&stage, network, &options.fit, device)?;
    write(dir, "unet", &trained.unet)?;
    write(dir, "controlnet", &trained.controlnet)?;
    write(dir, "relation", &trained.relation)
}
