//! `dragentity-lab bench`: how long a step of the UNet and a whole generation take, and how much memory; where there is a
//! Python with diffusers, beside the same there, taking turns in one run.

mod memory;
pub mod random;
mod reference;
mod report;

pub use reference::ReferenceOptions;
pub use report::{Report, Row, Sample};

use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::Cancel;
use dragentity_core::Error;
use dragentity_core::Job;
use dragentity_core::JobEvent;
use dragentity_core::Result;
use dragentity_core::scene::{Picture, Scene, Settings};
use dragentity_networks::device::{Device, Task};
use dragentity_networks::dragentity::denoiser::Prepared;
use dragentity_networks::svd::unet::UNetSpatioTemporalConditionModel;
use dragentity_networks::weights::{ModelDir, WeightType};
use dragentity_pipeline::dtype::check_dtype;
use dragentity_pipeline::engine::added_time_ids;
use dragentity_pipeline::measure::peak;
use dragentity_pipeline::model::{About, Kind, ModelOptions};
use dragentity_pipeline::noise::noise;
use dragentity_pipeline::svd::{Svd, SvdConfig};
use dragentity_pipeline::transfer::settle;
use reference::Reference;
use std::time::{Duration, Instant};

/// What is measured, and how often.
#[derive(Clone, Debug)]
pub struct Options {
    /// A directory of Stable Video Diffusion; `None`: a small one is made, of random weights.
    pub model: Option<String>,
    /// What the weights of UNet and image encoder are held in.
    pub dtype: WeightType,
    /// Width and height of the video in pixels.
    pub size: [u32; 2],
    /// Frames of the video.
    pub frames: u32,
    /// Denoising steps of a generation.
    pub steps: u32,
    /// How often each is measured, after one run that is not.
    pub repeats: usize,
    /// Whether whole generations are measured too.
    pub generate: bool,
    /// What to compare with.
    pub reference: Option<ReferenceOptions>,
}

/// Runs the benchmark; `say` hears what is being done.
///
/// # Errors
/// [`Error::Model`] for a directory of another kind, [`Error::Device`], and [`Error::Job`] for a reference that does
/// not run.
pub fn bench(options: &Options, device: Device, say: &mut dyn FnMut(&str)) -> Result<Report> {
    let made;
    let location = match &options.model {
        Some(location) => location.clone(),
        None => {
            say("making a small model of random weights");
            made = random::directory()?;
            made.path().display().to_string()
        }
    };
    let about = pollster::block_on(About::read(&ModelOptions::new(&location)))?;
    if about.kind != Kind::StableVideoDiffusion {
        return Err(Error::Model {
            name: location,
            reason: "is no Stable Video Diffusion, which is what bench measures".into(),
        });
    }
    device.run(Bench {
        options,
        location,
        say,
    })?
}

struct Bench<'a> {
    options: &'a Options,
    location: String,
    say: &'a mut dyn FnMut(&str),
}

impl Task for Bench<'_> {
    type Output = Result<Report>;

    fn run<B: Backend>(self, device: B::Device, name: String) -> Result<Report> {
        pollster::block_on(self.measure::<B>(&device, name))
    }
}

impl Bench<'_> {
    async fn measure<B: Backend>(self, device: &B::Device, name: String) -> Result<Report> {
        let Self {
            options,
            location,
            say,
        } = self;
        let computes = options.dtype.computes::<B>(device);
        check_dtype::<B>(device, &name, computes)?;
        say("measuring the peak of matrix products");
        let most = peak::<B>(device, computes).await?;

        let mut reference = match &options.reference {
            None => None,
            Some(with) => {
                say("starting the reference");
                Some(Reference::start(with, options, &location)?)
            }
        };
        let mut report = Report {
            device: name.clone(),
            reference: reference.as_ref().map(|r| r.hello.name.clone()),
            dtype: options.dtype.to_string(),
            size: options.size,
            frames: options.frames,
            steps: options.steps,
            matmul_peak: most,
            step_flops: reference.as_ref().map(|r| r.hello.flops),
            rows: Vec::new(),
        };

        let mut row = Row::new("one step of the UNet");
        {
            let dir = ModelDir::new(&location).with_dtype(options.dtype);
            let config = SvdConfig::read(&dir).await?;
            let unet = config.load_unet::<B>(&dir, device, &mut |_, _| {}).await?;
            let inputs = StepInputs::new(&config, options, device);
            settle(inputs.run(&unet)).await?;
            for turn in 1..=options.repeats {
                say(&format!("{}, {turn} of {}", row.what, options.repeats));
                memory::reset_peak();
                let started = Instant::now();
                settle(inputs.run(&unet)).await?;
                row.ours.push(Sample {
                    seconds: started.elapsed().as_secs_f64(),
                    peak_memory: memory::peak(),
                });
                if let Some(reference) = &mut reference {
                    row.theirs.push(reference.run("step")?);
                }
            }
        }
        report.rows.push(row);

        if options.generate {
            let mut row = Row::new("a whole generation, weights loaded");
            let mut loading = Row::new("loading the weights for it");
            let svd = Svd::<B>::open(&location, device.clone(), name)
                .await?
                .with_dtype(options.dtype);
            let job = job(options)?;
            for turn in 0..=options.repeats {
                say(&format!("{}, {turn} of {}", row.what, options.repeats));
                memory::reset_peak();
                let started = Instant::now();
                let mut watch = LoadingWatch::default();
                let mut observer = |event: JobEvent| watch.hear(&event);
                svd.run(&job, &Cancel::new(), &mut observer).await?;
                let all = started.elapsed();
                let peak_memory = memory::peak();
                // The first warms up.
                if turn == 0 {
                    continue;
                }
                let seconds = (all - watch.total).as_secs_f64();
                row.ours.push(Sample {
                    seconds,
                    peak_memory,
                });
                loading.ours.push(Sample {
                    seconds: watch.total.as_secs_f64(),
                    peak_memory: None,
                });
                if let Some(reference) = &mut reference {
                    row.theirs.push(reference.run("generate")?);
                }
            }
            if let Some(reference) = &reference {
                loading.theirs.push(Sample {
                    seconds: reference.hello.load_seconds,
                    peak_memory: None,
                });
            }
            report.rows.push(row);
            report.rows.push(loading);
        }
        Ok(report)
    }
}

/// Inputs of one step, as the sampler gives them.
struct StepInputs<'a, B: Backend> {
    sample: Tensor<B, 5>,
    timestep: Tensor<B, 1>,
    prepared: Prepared<'a, B>,
}

impl<B: Backend> StepInputs<'_, B> {
    fn new(config: &SvdConfig, options: &Options, device: &B::Device) -> Self {
        let factor = config.vae.factor();
        let [width, height] = options.size.map(|side| side as usize / factor);
        let (frames, channels) = (options.frames as usize, config.vae.latent_channels);
        let latents = |seed, n| noise(seed, [1, n, channels, height, width], device);
        let context = noise(3, [1, 1, config.image_encoder.projection_dim], device);
        Self {
            sample: latents(1, frames),
            timestep: Tensor::full([1], 1.0, device),
            prepared: dragentity_pipeline::svd::prepare(
                context,
                latents(2, 1).squeeze_dim(1),
                frames,
                added_time_ids(7, 127, 0.02, 1, device),
            ),
        }
    }

    fn run(&self, unet: &UNetSpatioTemporalConditionModel<B>) -> Tensor<B, 5> {
        let (sample, timestep) = (self.sample.clone(), self.timestep.clone());
        self.prepared.forward(unet, sample, timestep)
    }
}

/// The job of one generation: a picture of one colour, as the reference takes it.
fn job(options: &Options) -> Result<Job> {
    let [width, height] = options.size;
    let rgb = [90, 120, 60].repeat((width * height) as usize);
    let scene = Scene {
        picture: Picture {
            width,
            height,
            rgb: rgb.into(),
        },
        ..Scene::default()
    };
    let settings = Settings {
        frames: options.frames,
        steps: options.steps,
        max_guidance: 3.0,
        noise_augmentation: 0.02,
        size: Some(options.size),
        ..Settings::default()
    };
    Job::new(scene, settings, false)
}

/// How long weights were being loaded.
#[derive(Default)]
struct LoadingWatch {
    since: Option<Instant>,
    total: Duration,
}

impl LoadingWatch {
    fn hear(&mut self, event: &JobEvent) {
        if let JobEvent::Loading { done, total, .. } = event {
            let since = *self.since.get_or_insert_with(Instant::now);
            if done >= total {
                self.total += since.elapsed();
                self.since = None;
            }
        }
    }
}
