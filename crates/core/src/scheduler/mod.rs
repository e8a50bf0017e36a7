//! Noise levels and Euler steps of the sampler: plain `f64`, no tensors.
//!
//! This is diffusers' `EulerDiscreteScheduler` with Karras noise levels, the way Stable Video
//! Diffusion configures it (Karras et al., "Elucidating the Design Space of Diffusion-Based
//! Generative Models", 2022). A noisy sample is `x = x0 + sigma * noise`; the network sees
//! `x * input_scale` and its output becomes an estimate of `x0` through [`Preconditioning`].
//! Everything is a handful of numbers per step, so the tensors of any device only ever meet
//! multiply-adds with scalars.

mod consistency;

pub use consistency::{ConsistencyConfig, ConsistencyScheduler};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The exponent of the Karras spacing; diffusers has it fixed as well.
const RHO: f64 = 7.0;

/// What errors call a configuration that nobody has named.
const FILE: &str = "scheduler_config.json";
/// More steps than any schedule here can use; guards against a garbled job.
const MAX_STEPS: usize = 10_000;
/// Longest training schedule.
const MAX_TRAIN_TIMESTEPS: usize = 1 << 16;
/// Noise levels that can be computed with.
const SIGMAS: std::ops::RangeInclusive<f64> = 1e-6..=1e6;

/// What the network's output means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise: `x0 = x - sigma * output`.
    Epsilon,
    /// The clean sample itself.
    #[serde(alias = "original_sample")]
    Sample,
    /// EDM's mixture, `x0 = x / (sigma² + 1) - output * sigma / sqrt(sigma² + 1)`.
    VPrediction,
}

/// Which number tells the network how noisy its input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepType {
    /// Index into the training schedule, interpolated.
    Discrete,
    /// `0.25 * ln(sigma)`; used with v-prediction only, as in diffusers.
    Continuous,
}

/// How diffusers would space timesteps. With Karras noise levels it only decides the scale of the
/// initial noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepSpacing {
    /// Evenly, both ends included.
    Linspace,
    /// From the beginning of each interval.
    Leading,
    /// From the end of each interval.
    Trailing,
}

/// The training noise schedule, from which discrete timesteps are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// `beta` grows linearly.
    Linear,
    /// `sqrt(beta)` grows linearly.
    ScaledLinear,
}

/// The noise level after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalSigmas {
    /// No noise.
    Zero,
    /// The lowest noise level of the training schedule.
    SigmaMin,
}

/// `scheduler/scheduler_config.json`. Missing fields take the values of diffusers' class, which are not those of Stable Video
/// Diffusion; unknown fields are ignored, as diffusers does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default = "EulerDiscreteConfig::of_class")]
pub struct EulerDiscreteConfig {
    /// The name diffusers looks for.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// What the network's output means.
    pub prediction_type: PredictionType,
    /// Which number tells the network how noisy its input is.
    pub timestep_type: TimestepType,
    /// Decides the scale of the initial noise.
    pub timestep_spacing: TimestepSpacing,
    /// Must be true: only Karras noise levels are built.
    pub use_karras_sigmas: bool,
    /// Lowest noise level of the steps.
    pub sigma_min: Option<f64>,
    /// Highest noise level of the steps.
    pub sigma_max: Option<f64>,
    /// Length of the training schedule.
    pub num_train_timesteps: usize,
    /// First `beta` of the training schedule.
    pub beta_start: f64,
    /// Last `beta` of the training schedule.
    pub beta_end: f64,
    /// Shape of the training schedule.
    pub beta_schedule: BetaSchedule,
    /// The noise level after the last step.
    pub final_sigmas_type: FinalSigmas,
    /// The training schedule itself, in place of the fields for it; not known here.
    pub trained_betas: Option<Vec<f64>>,
    /// Whether the training schedule ends without any signal; not known here.
    pub rescale_betas_zero_snr: bool,
    /// How noise levels between those of the training schedule are found; only `linear` is known.
    pub interpolation_type: String,
    /// Another spacing of the noise levels; not known here.
    pub use_exponential_sigmas: bool,
    /// Another spacing of the noise levels; not known here.
    pub use_beta_sigmas: bool,
}

/// Stable Video Diffusion's.
impl Default for EulerDiscreteConfig {
    fn default() -> Self {
        Self {
            class_name: Self::CLASS.into(),
            prediction_type: PredictionType::VPrediction,
            timestep_type: TimestepType::Continuous,
            timestep_spacing: TimestepSpacing::Leading,
            use_karras_sigmas: true,
            sigma_min: Some(0.002),
            sigma_max: Some(700.0),
            num_train_timesteps: 1000,
            beta_start: 0.00085,
            beta_end: 0.012,
            beta_schedule: BetaSchedule::ScaledLinear,
            final_sigmas_type: FinalSigmas::Zero,
            trained_betas: None,
            rescale_betas_zero_snr: false,
            interpolation_type: "linear".into(),
            use_exponential_sigmas: false,
            use_beta_sigmas: false,
        }
    }
}

impl EulerDiscreteConfig {
    /// The class that it configures.
    pub const CLASS: &'static str = "EulerDiscreteScheduler";

    /// What diffusers' class takes where a file says nothing.
    fn of_class() -> Self {
        Self {
            prediction_type: PredictionType::Epsilon,
            timestep_type: TimestepType::Discrete,
            timestep_spacing: TimestepSpacing::Linspace,
            use_karras_sigmas: false,
            sigma_min: None,
            sigma_max: None,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            ..Self::default()
        }
    }

    /// Reads `scheduler_config.json`.
    ///
    /// # Errors
    /// [`Error::Model`] naming `name` when the text is not such a configuration.
    pub fn from_json(name: &str, text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| Error::Model {
            name: name.into(),
            reason: format!("not a usable scheduler configuration ({e})"),
        })
    }

    /// The noise level of `timestep` of the training schedule: how many times the signal's deviation.
    ///
    /// # Errors
    /// [`Error::Model`] naming `name` for a schedule that is garbled or shorter, or that is not known here.
    pub fn training_sigma(&self, name: &str, timestep: usize) -> Result<f64> {
        let sigmas = self.known_training_sigmas(name)?;
        sigmas.get(timestep).copied().ok_or_else(|| Error::Model {
            name: name.to_owned(),
            reason: format!(
                "num_train_timesteps is {}; it must be at least {}",
                self.num_train_timesteps,
                timestep + 1
            ),
        })
    }

    /// [`Self::training_sigmas`], checked.
    fn known_training_sigmas(&self, name: &str) -> Result<Vec<f64>> {
        let fail = |reason: String| {
            Err(Error::Model {
                name: name.to_owned(),
                reason,
            })
        };
        let steps = self.num_train_timesteps;
        if !(2..=MAX_TRAIN_TIMESTEPS).contains(&steps) {
            return fail(format!(
                "num_train_timesteps is {steps}; it must be 2 to {MAX_TRAIN_TIMESTEPS}"
            ));
        }
        for (field, beta) in [("beta_start", self.beta_start), ("beta_end", self.beta_end)] {
            if !(beta > 0.0 && beta < 1.0) {
                return fail(format!("{field} is {beta}; it must be between 0 and 1"));
            }
        }
        for (field, unknown) in [
            ("trained_betas", self.trained_betas.is_some()),
            ("rescale_betas_zero_snr", self.rescale_betas_zero_snr),
        ] {
            if unknown {
                return fail(format!(
                    "{field} is set, and this training schedule is not known here; other weights are needed"
                ));
            }
        }
        let sigmas = self.training_sigmas();
        // Each is to be told from the next.
        if sigmas.iter().all(|s| SIGMAS.contains(s)) && sigmas.windows(2).all(|s| s[0] < s[1]) {
            return Ok(sigmas);
        }
        fail("beta_start and beta_end make noise levels that cannot be computed with".into())
    }

    /// Noise levels of the training schedule, rising.
    fn training_sigmas(&self) -> Vec<f64> {
        let n = self.num_train_timesteps;
        let (start, end) = match self.beta_schedule {
            BetaSchedule::Linear => (self.beta_start, self.beta_end),
            BetaSchedule::ScaledLinear => (self.beta_start.sqrt(), self.beta_end.sqrt()),
        };
        let mut cumulative = 1.0;
        (0..n)
            .map(|i| {
                let t = i as f64 / (n - 1).max(1) as f64;
                let mut beta = start + t * (end - start);
                if self.beta_schedule == BetaSchedule::ScaledLinear {
                    beta *= beta;
                }
                cumulative *= 1.0 - beta;
                ((1.0 - cumulative) / cumulative).sqrt()
            })
            .collect()
    }

    /// Checks that the sampler can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`Error::Model`] naming the field that is garbled, or asks for what would be sampled in another way.
    pub fn validate(&self, name: &str) -> Result<()> {
        self.levels(name).map(drop)
    }

    /// The lowest and highest noise level.
    fn levels(&self, name: &str) -> Result<(f64, f64)> {
        let fail = |reason: String| {
            Err(Error::Model {
                name: name.to_owned(),
                reason,
            })
        };
        if self.class_name != Self::CLASS {
            return fail(format!(
                "_class_name is {:?}; known are {} and {}",
                self.class_name,
                Self::CLASS,
                ConsistencyConfig::CLASS
            ));
        }
        for (field, other) in [
            ("use_exponential_sigmas", self.use_exponential_sigmas),
            ("use_beta_sigmas", self.use_beta_sigmas),
        ] {
            if other {
                return fail(format!(
                    "set {field} to false: other noise spacings than use_karras_sigmas are not supported"
                ));
            }
        }
        if !self.use_karras_sigmas {
            return fail(
                "set use_karras_sigmas to true: other noise spacings are not supported".into(),
            );
        }
        if self.interpolation_type != "linear" {
            return fail(format!(
                "interpolation_type is {:?}; only \"linear\" is supported",
                self.interpolation_type
            ));
        }
        let (Some(low), Some(high)) = (self.sigma_min, self.sigma_max) else {
            return fail(
                "set sigma_min and sigma_max (Stable Video Diffusion: 0.002 and 700)".into(),
            );
        };
        check_sigmas(name, low, high)?;
        self.known_training_sigmas(name)?;
        Ok((low, high))
    }
}

/// Checks the lowest and the highest noise level of a configuration.
fn check_sigmas(name: &str, low: f64, high: f64) -> Result<()> {
    if SIGMAS.contains(&low) && SIGMAS.contains(&high) && low <= high {
        return Ok(());
    }
    let (least, most) = SIGMAS.into_inner();
    Err(Error::Model {
        name: name.to_owned(),
        reason: format!(
            "sigma_min is {low} and sigma_max {high}; they must be {least} to {most} and in this order"
        ),
    })
}

/// How a network's input and output relate to the noisy sample at one noise level:
/// `denoised = skip * sample + output * network(input * sample, timestep)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preconditioning {
    /// Factor of the noisy sample before the network.
    pub input: f64,
    /// Factor of the noisy sample in the denoised one.
    pub skip: f64,
    /// Factor of the network's output in the denoised one.
    pub output: f64,
}

impl Preconditioning {
    /// The factors at noise level `sigma`, also used by the trainer at levels between the steps.
    pub fn at(prediction: PredictionType, sigma: f64) -> Self {
        let variance = sigma * sigma + 1.0;
        let (skip, output) = match prediction {
            PredictionType::Epsilon => (1.0, -sigma),
            PredictionType::Sample => (0.0, 1.0),
            PredictionType::VPrediction => (1.0 / variance, -sigma / variance.sqrt()),
        };
        Self {
            input: 1.0 / variance.sqrt(),
            skip,
            output,
        }
    }
}

/// The number that tells the network about noise level `sigma` in the continuous timestep type.
pub fn continuous_timestep(sigma: f64) -> f64 {
    0.25 * sigma.ln()
}

/// One step: `next = sample * x + output * network's output + noise * fresh noise`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Factor of the current noisy sample.
    pub sample: f64,
    /// Factor of the network's output.
    pub output: f64,
    /// Deviation of the fresh noise; Euler steps have none.
    pub noise: f64,
    /// Factors that turn the same two into the denoised estimate, for previews.
    pub denoised: Preconditioning,
}

/// The noise levels of one run and the arithmetic of its steps.
#[derive(Clone, Debug)]
pub struct EulerDiscreteScheduler {
    config: EulerDiscreteConfig,
    sigmas: Vec<f64>,
    timesteps: Vec<f64>,
}

impl EulerDiscreteScheduler {
    /// Lays out `steps` steps.
    ///
    /// # Errors
    /// [`Error::Model`] for a configuration this sampler does not cover, [`Error::Job`] for zero or
    /// absurdly many steps.
    pub fn new(config: EulerDiscreteConfig, steps: usize) -> Result<Self> {
        let (low, high) = config.levels(FILE)?;
        if steps == 0 || steps > MAX_STEPS {
            return Err(Error::Job(format!(
                "{steps} denoising steps asked for: choose 1 to {MAX_STEPS}"
            )));
        }
        let mut sigmas: Vec<f64> = (0..steps)
            .map(|i| {
                // As NumPy's linspace: a single step starts at the highest level.
                let t = i as f64 / (steps - 1).max(1) as f64;
                karras(high, low, t, RHO)
            })
            .collect();
        let continuous = config.timestep_type == TimestepType::Continuous
            && config.prediction_type == PredictionType::VPrediction;
        let timesteps = if continuous {
            sigmas.iter().copied().map(continuous_timestep).collect()
        } else {
            let logs: Vec<f64> = config.training_sigmas().iter().map(|s| s.ln()).collect();
            sigmas
                .iter()
                .map(|&s| discrete_timestep(s, &logs))
                .collect()
        };
        sigmas.push(match config.final_sigmas_type {
            FinalSigmas::Zero => 0.0,
            FinalSigmas::SigmaMin => config.training_sigmas()[0],
        });
        Ok(Self {
            config,
            sigmas,
            timesteps,
        })
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &EulerDiscreteConfig {
        &self.config
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.timesteps.len()
    }

    /// Noise levels, falling; one more than there are steps.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }

    /// What the network is told at each step.
    pub fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    /// Standard deviation of the noise to start from.
    pub fn init_noise_sigma(&self) -> f64 {
        let highest = self.sigmas[0];
        match self.config.timestep_spacing {
            TimestepSpacing::Linspace | TimestepSpacing::Trailing => highest,
            TimestepSpacing::Leading => (highest * highest + 1.0).sqrt(),
        }
    }

    /// Factor of the noisy sample before it enters the network at step `step`.
    ///
    /// # Panics
    /// When `step` is not below [`Self::steps`].
    pub fn input_scale(&self, step: usize) -> f64 {
        Preconditioning::at(self.config.prediction_type, self.sigmas[step]).input
    }

    /// The factors of step `step`.
    ///
    /// # Panics
    /// When `step` is not below [`Self::steps`].
    pub fn step(&self, step: usize) -> Step {
        let (sigma, next) = (self.sigmas[step], self.sigmas[step + 1]);
        let denoised = Preconditioning::at(self.config.prediction_type, sigma);
        // x' = x + (x - x0) / sigma * (next - sigma), with x0 = skip x + output y.
        let slope = (next - sigma) / sigma;
        Step {
            sample: 1.0 + slope * (1.0 - denoised.skip),
            output: -slope * denoised.output,
            noise: 0.0,
            denoised,
        }
    }
}

/// The noise level at a `share` of the way from the highest to the lowest, spaced as Karras and others do.
fn karras(high: f64, low: f64, share: f64, rho: f64) -> f64 {
    let [first, last] = [high, low].map(|sigma| sigma.powf(1.0 / rho));
    (first + share * (last - first)).powf(rho)
}

/// A scheduler of either kind, as samplers take it.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// Deterministic steps, for any weights.
    Euler(EulerDiscreteScheduler),
    /// Few steps, for weights that were distilled for them.
    Consistency(ConsistencyScheduler),
}

impl From<EulerDiscreteScheduler> for Schedule {
    fn from(scheduler: EulerDiscreteScheduler) -> Self {
        Self::Euler(scheduler)
    }
}

impl From<ConsistencyScheduler> for Schedule {
    fn from(scheduler: ConsistencyScheduler) -> Self {
        Self::Consistency(scheduler)
    }
}

impl Schedule {
    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.timesteps().len()
    }

    /// Noise levels, falling; one more than there are steps.
    pub fn sigmas(&self) -> &[f64] {
        match self {
            Self::Euler(scheduler) => scheduler.sigmas(),
            Self::Consistency(scheduler) => &scheduler.sigmas,
        }
    }

    /// What the network is told at each step.
    pub fn timesteps(&self) -> &[f64] {
        match self {
            Self::Euler(scheduler) => scheduler.timesteps(),
            Self::Consistency(scheduler) => &scheduler.timesteps,
        }
    }

    /// Standard deviation of the noise to start from.
    pub fn init_noise_sigma(&self) -> f64 {
        match self {
            Self::Euler(scheduler) => scheduler.init_noise_sigma(),
            Self::Consistency(scheduler) => scheduler.init_noise_sigma(),
        }
    }

    /// Factor of the noisy sample before it enters the network at step `step`.
    ///
    /// # Panics
    /// When `step` is not below [`Self::steps`].
    pub fn input_scale(&self, step: usize) -> f64 {
        match self {
            Self::Euler(scheduler) => scheduler.input_scale(step),
            Self::Consistency(scheduler) => scheduler.at(step).input,
        }
    }

    /// The factors of step `step`.
    ///
    /// # Panics
    /// When `step` is not below [`Self::steps`].
    pub fn step(&self, step: usize) -> Step {
        match self {
            Self::Euler(scheduler) => scheduler.step(step),
            Self::Consistency(scheduler) => scheduler.step(step),
        }
    }
}

/// Which sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerKind {
    /// Euler's steps, for any weights.
    Euler,
    /// Few steps, for weights that were distilled for them.
    Consistency,
}

impl SamplerKind {
    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Euler => "euler",
            Self::Consistency => "consistency",
        }
    }
}

impl std::str::FromStr for SamplerKind {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let kinds = [Self::Euler, Self::Consistency];
        let named = kinds.into_iter().find(|kind| kind.name() == name);
        named.ok_or_else(|| format!("{name:?} is no sampler; there are euler and consistency"))
    }
}

/// `scheduler/scheduler_config.json` of a published directory, whichever class it is of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SchedulerConfig {
    /// See [`SamplerKind::Euler`].
    Euler(EulerDiscreteConfig),
    /// See [`SamplerKind::Consistency`].
    Consistency(ConsistencyConfig),
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self::Euler(EulerDiscreteConfig::default())
    }
}

impl<'de> Deserialize<'de> for SchedulerConfig {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> std::result::Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(reader)?;
        let class = value.get("_class_name").and_then(|class| class.as_str());
        let read = match class {
            Some(ConsistencyConfig::CLASS) => serde_json::from_value(value).map(Self::Consistency),
            _ => serde_json::from_value(value).map(Self::Euler),
        };
        read.map_err(serde::de::Error::custom)
    }
}

impl SchedulerConfig {
    /// Checks that the sampler can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// As [`EulerDiscreteConfig::validate`].
    pub fn validate(&self, name: &str) -> Result<()> {
        match self {
            Self::Euler(config) => config.validate(name),
            Self::Consistency(config) => config.validate(name),
        }
    }

    /// Which sampler the weights were published with.
    pub fn kind(&self) -> SamplerKind {
        match self {
            Self::Euler(_) => SamplerKind::Euler,
            Self::Consistency(_) => SamplerKind::Consistency,
        }
    }

    /// The noise levels of `steps` steps. A sampler that the weights were not published with has its own usual levels.
    ///
    /// # Errors
    /// Those of [`EulerDiscreteScheduler::new`] and [`ConsistencyScheduler::new`].
    pub fn schedule(&self, sampler: Option<SamplerKind>, steps: usize) -> Result<Schedule> {
        Ok(match (sampler.unwrap_or(self.kind()), self) {
            (SamplerKind::Euler, Self::Euler(config)) => {
                EulerDiscreteScheduler::new(config.clone(), steps)?.into()
            }
            (SamplerKind::Consistency, Self::Consistency(config)) => {
                ConsistencyScheduler::new(config.clone(), steps)?.into()
            }
            (SamplerKind::Euler, _) => {
                EulerDiscreteScheduler::new(EulerDiscreteConfig::default(), steps)?.into()
            }
            (SamplerKind::Consistency, _) => {
                ConsistencyScheduler::new(ConsistencyConfig::default(), steps)?.into()
            }
        })
    }
}

/// Position of `sigma` in the training schedule, interpolated in the logarithm and clamped.
fn discrete_timestep(sigma: f64, log_sigmas: &[f64]) -> f64 {
    let log = sigma.max(1e-10).ln();
    let last = log_sigmas.len() - 2;
    let low = log_sigmas
        .partition_point(|&l| l <= log)
        .saturating_sub(1)
        .min(last);
    let w = (log - log_sigmas[low]) / (log_sigmas[low + 1] - log_sigmas[low]);
    low as f64 + w.clamp(0.0, 1.0)
}

/// Classifier-free guidance per frame, rising linearly from the first frame to the last as in
/// Stable Video Diffusion (1 to 3 there); 1 means no guidance.
pub fn guidance_per_frame(first: f64, last: f64, frames: usize) -> Vec<f64> {
    (0..frames)
        .map(|i| first + (last - first) * i as f64 / (frames.max(2) - 1) as f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_it_cannot_do() {
        let no_karras = EulerDiscreteConfig {
            use_karras_sigmas: false,
            ..Default::default()
        };
        assert!(EulerDiscreteScheduler::new(no_karras, 5).is_err());
        let reversed = EulerDiscreteConfig {
            sigma_min: Some(3.0),
            sigma_max: Some(1.0),
            ..Default::default()
        };
        assert!(EulerDiscreteScheduler::new(reversed, 5).is_err());
        assert!(EulerDiscreteScheduler::new(Default::default(), 0).is_err());
        assert!(EulerDiscreteScheduler::new(Default::default(), usize::MAX).is_err());
        assert!(EulerDiscreteConfig::from_json("x", r#"{"prediction_type":"guess"}"#).is_err());
    }

    #[test]
    fn what_would_be_sampled_in_another_way_is_refused_by_name() {
        let published = r#"{"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": true, "sigma_min": 0.002,
            "sigma_max": 700.0, "prediction_type": "v_prediction", "timestep_type": "continuous"}"#;
        let config = |change: &str| -> SchedulerConfig {
            let text = published.replacen('{', &format!("{{{change}"), 1);
            let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
            // The later of two fields of one name counts.
            if let Some((name, _)) = change.split_once(':') {
                let name = name.trim_matches('"');
                let changed: serde_json::Value =
                    serde_json::from_str(&format!("{{{}}}", change.trim_end_matches([',', ' '])))
                        .unwrap();
                value[name] = changed[name].clone();
            }
            serde_json::from_value(value).unwrap()
        };
        config("").validate("f").unwrap();
        for (field, change) in [
            ("_class_name", r#""_class_name": "HeunDiscreteScheduler", "#),
            ("use_karras_sigmas", r#""use_karras_sigmas": false, "#),
            (
                "use_exponential_sigmas",
                r#""use_exponential_sigmas": true, "#,
            ),
            ("use_beta_sigmas", r#""use_beta_sigmas": true, "#),
            (
                "interpolation_type",
                r#""interpolation_type": "log_linear", "#,
            ),
            (
                "rescale_betas_zero_snr",
                r#""rescale_betas_zero_snr": true, "#,
            ),
            ("trained_betas", r#""trained_betas": [0.1, 0.2], "#),
            ("sigma_min", r#""sigma_min": null, "#),
            ("sigma_max", r#""sigma_max": 1e300, "#),
            (
                "num_train_timesteps",
                r#""num_train_timesteps": 1000000000, "#,
            ),
            ("beta_end", r#""beta_end": 1.5, "#),
            ("beta_start", r#""beta_start": 1e-300, "#),
        ] {
            let config = config(change);
            let said = config.validate("dir/f.json").unwrap_err().to_string();
            assert!(
                said.contains("dir/f.json") && said.contains(field),
                "{said}"
            );
            assert!(config.schedule(None, 4).is_err());
        }
    }

    #[test]
    fn what_a_file_does_not_say_is_as_in_diffusers() {
        // Its constructor's defaults.
        let config: EulerDiscreteConfig = serde_json::from_str("{}").unwrap();
        assert!(!config.use_karras_sigmas && config.sigma_max.is_none());
        assert_eq!(config.prediction_type, PredictionType::Epsilon);
        assert_eq!(config.timestep_spacing, TimestepSpacing::Linspace);
        assert_eq!((config.beta_start, config.beta_end), (0.0001, 0.02));
        let few: ConsistencyConfig = serde_json::from_str("{}").unwrap();
        assert_eq!((few.sigma_max, few.sigma_data), (80.0, 0.5));
        assert!(few.clip_denoised && few.validate("f").is_err());
    }

    /// One run of diffusers' scheduler on a single number (`tests/goldens/make_unet.py`).
    #[derive(Deserialize)]
    struct Run {
        config: EulerDiscreteConfig,
        steps: usize,
        sigmas: Vec<f64>,
        timesteps: Vec<f64>,
        init_noise_sigma: f64,
        /// Sample, scaled sample, output, next sample, denoised sample.
        trace: Vec<[f64; 5]>,
    }

    #[test]
    fn agrees_with_diffusers() {
        // diffusers keeps its numbers in f32, and takes some of them through powers and logarithms.
        let close = |a: f64, b: f64| (a - b).abs() <= 2e-5 * b.abs().max(1.0);
        let text = include_str!("../../../../tests/goldens/scheduler.json");
        let runs: Vec<Run> = serde_json::from_str(text).unwrap();
        assert_eq!(runs.len(), 6);
        for run in runs {
            let s = EulerDiscreteScheduler::new(run.config, run.steps).unwrap();
            assert_eq!(s.steps(), run.timesteps.len());
            assert_eq!(s.sigmas().len(), run.sigmas.len());
            assert!(close(s.init_noise_sigma(), run.init_noise_sigma));
            for (a, b) in s.sigmas().iter().zip(&run.sigmas) {
                assert!(close(*a, *b), "sigma {a} {b}");
            }
            for (i, [x, scaled, y, next, denoised]) in run.trace.into_iter().enumerate() {
                // Discrete timesteps are interpolated in f32 between close logarithms.
                let (t, want) = (s.timesteps()[i], run.timesteps[i]);
                assert!((t - want).abs() <= 2e-3, "timestep {t} {want}");
                assert!(close(s.input_scale(i) * x, scaled));
                let step = s.step(i);
                let got = step.sample * x + step.output * y;
                // The difference of two numbers of the sample's size.
                assert!(
                    (got - next).abs() <= 1e-6 * x.abs().max(1.0),
                    "{got} {next}"
                );
                let got = step.denoised.skip * x + step.denoised.output * y;
                assert!(
                    (got - denoised).abs() <= 1e-6 * x.abs().max(1.0),
                    "{got} {denoised}"
                );
            }
        }
    }

    #[test]
    fn last_step_is_the_denoised_sample() {
        let scheduler = EulerDiscreteScheduler::new(Default::default(), 8).unwrap();
        let step = scheduler.step(7);
        assert!((step.sample - step.denoised.skip).abs() < 1e-12);
        assert!((step.output - step.denoised.output).abs() < 1e-12);
    }

    #[test]
    fn perfect_network_recovers_the_clean_sample() {
        // With the exact answer at every step, Euler must land on the clean value whatever the
        // starting noise, for each meaning of the output.
        let clean = 0.7;
        for prediction_type in [
            PredictionType::Epsilon,
            PredictionType::Sample,
            PredictionType::VPrediction,
        ] {
            let config = EulerDiscreteConfig {
                prediction_type,
                ..Default::default()
            };
            let scheduler = EulerDiscreteScheduler::new(config, 12).unwrap();
            let mut x = clean + scheduler.sigmas()[0] * 1.3;
            for i in 0..scheduler.steps() {
                let step = scheduler.step(i);
                let output = (clean - step.denoised.skip * x) / step.denoised.output;
                x = step.sample * x + step.output * output;
            }
            assert!((x - clean).abs() < 1e-9, "{prediction_type:?}: {x}");
        }
    }

    #[test]
    fn the_class_of_a_file_decides_unless_somebody_does() {
        let config = |class: &str| -> SchedulerConfig {
            serde_json::from_str(&format!(
                r#"{{"_class_name": "{class}", "sigma_min": 0.002, "sigma_max": 80.0, "use_karras_sigmas": true,
                     "sigma_data": 1.0, "clip_denoised": false}}"#
            ))
            .unwrap()
        };
        let (euler, few) = (
            config("EulerDiscreteScheduler"),
            config(ConsistencyConfig::CLASS),
        );
        let highest = |config: &SchedulerConfig, sampler| {
            let schedule = config.schedule(sampler, 4).unwrap();
            let few = matches!(schedule, Schedule::Consistency(_));
            (few, schedule.sigmas()[0].round())
        };
        assert_eq!(highest(&euler, None), (false, 80.0));
        assert_eq!(highest(&few, None), (true, 80.0));
        assert_eq!(highest(&few, Some(SamplerKind::Euler)), (false, 700.0));
        assert_eq!(
            highest(&euler, Some(SamplerKind::Consistency)),
            (true, 700.0)
        );
        for kind in [SamplerKind::Euler, SamplerKind::Consistency] {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!("heun".parse::<SamplerKind>().is_err());
    }

    #[test]
    fn guidance_ramps_and_survives_one_frame() {
        assert_eq!(guidance_per_frame(1.0, 3.0, 3), vec![1.0, 2.0, 3.0]);
        assert_eq!(guidance_per_frame(1.0, 3.0, 1), vec![1.0]);
        assert!(guidance_per_frame(1.0, 3.0, 0).is_empty());
    }
}
