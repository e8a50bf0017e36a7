//! The one training loop; stages differ in their network, batches and loss.

use super::checkpoint::{self, State};
use super::curve::{self, Row};
use super::ema::Ema;
use super::gradients;
use super::pass::{LossScale, PassError, PassOptions, pass};
use super::peers::{self, Peers};
use super::schedule::Schedule;
use super::stage::Stage;
use crate::event::LabEvent;
use burn::module::AutodiffModule;
use burn::optim::{AdamWConfig, Optimizer};
use burn::tensor::backend::AutodiffBackend;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::platform::make_dir;
use dragentity_pipeline::dtype::check_dtype;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Instant;

/// How long and how fast to train.
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// Where checkpoints, curves and samples go; a checkpoint there is resumed.
    pub run: PathBuf,
    /// Optimiser steps of the whole run.
    pub steps: u64,
    /// Bound on the training seconds of the whole run, over all its sessions; the learning rate
    /// falls with whichever of steps and seconds is further along.
    pub seconds: f64,
    /// Bound on the seconds of this session; the run can be resumed after it.
    pub session_seconds: f64,
    /// Bound on the steps of this session.
    pub session_steps: u64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decay of the parameter average.
    pub ema_decay: f64,
    /// How the gradients of a step are made.
    pub pass: PassOptions,
    /// Devices that share out the batches of a step: the one that is trained on, and those after it.
    pub gpus: usize,
    /// Seconds between checkpoints.
    pub checkpoint_seconds: f64,
    /// Seconds between pictures of samples.
    pub sample_seconds: f64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            run: PathBuf::new(),
            steps: 100_000,
            seconds: f64::INFINITY,
            session_seconds: f64::INFINITY,
            session_steps: u64::MAX,
            learning_rate: 4e-4,
            ema_decay: 0.999,
            pass: PassOptions::default(),
            gpus: 1,
            checkpoint_seconds: 180.0,
            sample_seconds: 300.0,
        }
    }
}

/// What came out of a run.
pub struct Fitted<M> {
    /// The averaged network.
    pub network: M,
    /// Where the run stands.
    pub state: State,
    /// The stage's figures at the end.
    pub figures: Vec<(&'static str, f64)>,
}

/// Trains until the options' bounds; `on_event` hears how it goes.
///
/// # Errors
/// [`Error::Io`] for checkpoints; [`Error::Job`] when a loss or a gradient stops being a number: the last
/// checkpoint, which is from before that, is kept, and the message says where and how to go on. [`Error::Device`] for a
/// type that the device does not compute in. Those of the stage, as it gave them.
pub fn fit<B, S>(
    stage: &S,
    network: S::Network,
    options: &FitOptions,
    device: &B::Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<Fitted<<S::Network as AutodiffModule<B>>::InnerModule>>
where
    B: AutodiffBackend,
    S: Stage<B> + Send,
{
    let devices = peers::devices::<B>(device, options.gpus)?;
    fit_on(stage, network, options, &devices, on_event)
}

/// [`fit`], the batches of each step shared out among `devices`, of which the stage is on the first.
fn fit_on<B, S>(
    stage: &S,
    network: S::Network,
    options: &FitOptions,
    devices: &[B::Device],
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<Fitted<<S::Network as AutodiffModule<B>>::InnerModule>>
where
    B: AutodiffBackend,
    S: Stage<B> + Send,
{
    let device = &devices[0];
    let mut peers = Peers::of(stage, devices, options.pass.accumulate.max(1))?;
    make_dir(&options.run)?;
    let dtype = options.pass.dtype;
    check_dtype::<B::InnerBackend>(device, "this device", dtype)?;
    let mut network = network;
    let mut optimizer = AdamWConfig::new()
        .with_beta_2(0.99)
        .with_epsilon(1e-8)
        .with_weight_decay(0.01)
        .init::<B, S::Network>();
    let mut state = State::default();
    let mut average = network.valid();
    if let Some(saved) = checkpoint::state(&options.run)? {
        network = checkpoint::load_module::<B, _>(&options.run, "network", network, device)?;
        average = checkpoint::load_module::<B::InnerBackend, _>(
            &options.run,
            "average",
            average,
            device,
        )?;
        optimizer =
            checkpoint::load_optimizer::<B, S::Network, _>(&options.run, optimizer, device)?;
        on_event(LabEvent::Resuming {
            stage: stage.name(),
            step: saved.step,
        });
        state = saved;
    }
    let mut scale = state.loss_scale.unwrap_or(LossScale::new(dtype));
    let mut ema = Ema::new(&average, options.ema_decay, state.step);
    let schedule = Schedule {
        peak: options.learning_rate,
        warmup: 50,
    };

    let (sender, receiver) = mpsc::sync_channel(3);
    let mut make = stage.batches();
    // As many as a step takes: a resumed run goes on with the batch that would have been the next.
    let first = state.step * options.pass.accumulate.max(1) as u64;
    std::thread::spawn(move || {
        for index in first.. {
            // The receiver is dropped when training ends: that ends this thread.
            if sender.send(make(index)).is_err() {
                break;
            }
        }
    });

    let at = |step: u64| LabEvent::Step {
        stage: stage.name(),
        step,
        steps: options.steps,
    };
    on_event(at(state.step));

    let started = Instant::now();
    let before = state.seconds;
    let steps_before = state.step;
    let mut saved_at = state.step;
    let mut last_checkpoint = Instant::now();
    let mut last_sample = Instant::now();
    let mut window = Window::new();
    let figures = loop {
        let session = started.elapsed().as_secs_f64();
        state.seconds = before + session;
        let progress =
            (state.step as f64 / options.steps as f64).max(state.seconds / options.seconds);
        let finished = progress >= 1.0;
        let pause = session >= options.session_seconds
            || state.step - steps_before >= options.session_steps;
        if finished || pause {
            window.close(&mut state);
        }
        if finished || pause || last_checkpoint.elapsed().as_secs_f64() > options.checkpoint_seconds
        {
            check_parameters::<B, _>(&network, &options.run, saved_at)?;
            state.loss_scale = Some(scale);
            let averaged = ema.apply(network.valid());
            checkpoint::save::<B, _, _>(&options.run, &network, &averaged, &optimizer, &state)?;
            curve::write(&options.run, stage.name(), &state.curve)?;
            last_checkpoint = Instant::now();
            saved_at = state.step;
        }
        if finished || pause || last_sample.elapsed().as_secs_f64() > options.sample_seconds {
            let figures = report(
                stage,
                &ema.apply(network.valid()),
                &options.run,
                &state,
                on_event,
            )?;
            last_sample = Instant::now();
            if finished || pause {
                break figures;
            }
        }

        let next = || {
            let made = receiver.recv();
            made.map_err(|_| Error::Job("the clip renderer stopped".into()))?
        };
        let passed = pass(
            stage,
            &mut peers,
            &network,
            &options.pass,
            &mut scale,
            state.step,
            next,
        )
        .map_err(|error| match error {
            PassError::Diverged(why) => stopped(&why, &options.run, saved_at),
            PassError::Failed(error) => error,
        })?;
        let value = passed.loss;
        if let Some(gradients) = passed.gradients {
            network = optimizer.step(schedule.rate(state.step, progress), network, gradients);
        }
        ema.update(&network.valid());
        state.step += 1;
        on_event(at(state.step));

        window.add(value);
        if window.since.elapsed().as_secs_f64() > 10.0 {
            let steps_per_second = window.count as f64 / window.since.elapsed().as_secs_f64();
            if let Some(mean) = window.close(&mut state) {
                on_event(LabEvent::Loss {
                    stage: stage.name(),
                    step: state.step,
                    seconds: state.seconds,
                    loss: mean,
                    steps_per_second,
                });
            }
        }
    };
    on_event(LabEvent::Ended {
        stage: stage.name(),
    });
    Ok(Fitted {
        network: ema.apply(network.valid()),
        state,
        figures,
    })
}

/// What is said when training cannot go on: why, and what there is to go on from.
fn stopped(why: &str, run: &Path, saved_at: u64) -> Error {
    let checkpoint = checkpoint::path(run);
    let remedy = if checkpoint.exists() {
        format!(
            "the checkpoint of step {saved_at} in {} is from before that: start again to go on from it, with a lower \
             --learning-rate",
            checkpoint.display()
        )
    } else {
        "there is no checkpoint yet: start again with a lower --learning-rate".to_owned()
    };
    Error::Job(format!("{why}; {remedy}"))
}

/// Refuses to save parameters that are no numbers any more over a checkpoint that is good.
fn check_parameters<B: AutodiffBackend, M: AutodiffModule<B>>(
    network: &M,
    run: &Path,
    saved_at: u64,
) -> Result<()> {
    match gradients::parameter_not_finite::<B, _>(network) {
        None => Ok(()),
        Some(name) => Err(stopped(
            &format!("the parameter {name} is not a number any more"),
            run,
            saved_at,
        )),
    }
}

/// The losses since the last row of the curve.
struct Window {
    sum: f64,
    count: u64,
    since: Instant,
}

impl Window {
    fn new() -> Self {
        Self {
            sum: 0.0,
            count: 0,
            since: Instant::now(),
        }
    }

    fn add(&mut self, loss: f64) {
        self.sum += loss;
        self.count += 1;
    }

    /// Makes a row of them, and begins anew; returns their mean, if there are any.
    fn close(&mut self, state: &mut State) -> Option<f64> {
        let Self { sum, count, .. } = std::mem::replace(self, Self::new());
        let mean = (count > 0).then(|| sum / count as f64)?;
        state.curve.push(Row {
            step: state.step,
            seconds: state.seconds,
            loss: mean,
        });
        Some(mean)
    }
}

fn report<B: AutodiffBackend, S: Stage<B>>(
    stage: &S,
    network: &<S::Network as AutodiffModule<B>>::InnerModule,
    run: &Path,
    state: &State,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<Vec<(&'static str, f64)>> {
    let (picture, figures) = stage.sample(network)?;
    let path = run.join(format!("sample-{:07}.png", state.step));
    picture.save(&path).map_err(|e| Error::Io {
        path: path.display().to_string(),
        source: std::io::Error::other(e.to_string()),
    })?;
    on_event(LabEvent::Sample {
        stage: stage.name(),
        step: state.step,
        seconds: state.seconds,
        figures: figures.clone(),
    });
    Ok(figures)
}

#[cfg(test)]
mod tests;
