//! What training and measuring say while they work, for whoever shows it.

use std::path::PathBuf;

/// What is said on the way to a network or to figures of one.
#[derive(Clone, Debug, PartialEq)]
pub enum LabEvent {
    /// Training begins on a device.
    Training {
        /// The device, in words.
        device: String,
    },
    /// The weights to start from were trained with other conditions or another loss.
    OtherConditions,
    /// The deviation of what the denoiser is to make, in each channel, was measured.
    Deviation {
        /// One for each channel.
        std: Vec<f32>,
    },
    /// A run goes on from its checkpoint.
    Resuming {
        /// The stage's name.
        stage: &'static str,
        /// Steps done.
        step: u64,
    },
    /// So many steps are done: first of all, and after each one.
    Step {
        /// The stage's name.
        stage: &'static str,
        /// Steps done.
        step: u64,
        /// Steps of the whole run.
        steps: u64,
    },
    /// The mean loss of the last steps, every ten seconds or so.
    Loss {
        /// The stage's name.
        stage: &'static str,
        /// Steps done.
        step: u64,
        /// Training seconds of the whole run.
        seconds: f64,
        /// The mean.
        loss: f64,
        /// How fast the last steps were.
        steps_per_second: f64,
    },
    /// A picture of what the network does was written, and this is how good it is.
    Sample {
        /// The stage's name.
        stage: &'static str,
        /// Steps done.
        step: u64,
        /// Training seconds of the whole run.
        seconds: f64,
        /// The stage's figures.
        figures: Vec<(&'static str, f64)>,
    },
    /// The run, or this session of it, has ended.
    Ended {
        /// The stage's name.
        stage: &'static str,
    },
    /// One of a table's runs begins or goes on.
    Run {
        /// Its directory.
        dir: PathBuf,
        /// Steps of the whole run.
        steps: u64,
    },
    /// One of a table's runs needs no more training.
    RunDone {
        /// Its directory.
        dir: PathBuf,
        /// Steps done.
        steps: u64,
    },
    /// One of a table's runs is passed over: another process trains it.
    RunBusy {
        /// Its directory.
        dir: PathBuf,
    },
    /// The time of this session is over before all of a table's runs are done.
    SessionOver,
    /// One of a table's runs is measured.
    Measuring {
        /// Its directory.
        dir: PathBuf,
    },
    /// Clips that a model has been measured on.
    Clips {
        /// Clips done.
        done: u64,
        /// Clips in all.
        total: u64,
    },
}
