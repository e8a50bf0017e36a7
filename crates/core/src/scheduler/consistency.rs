//! Few steps, with weights that were distilled for them: AnimateLCM's `AnimateLCMSVDStochasticIterativeScheduler`
//! (`animatelcm_svd/animatelcm_scheduler.py` there; consistency models: Song and others, 2023).
//!
//! At each step the network says what the clean sample is; the next sample is that, with fresh noise of the next level. The
//! levels are some of a fixed grid of Karras', so that fewer steps see fewer of those that it was distilled at.

use super::{
    FILE, Preconditioning, PredictionType, Step, check_sigmas, continuous_timestep, karras,
};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// `scheduler/scheduler_config.json` of such weights. Missing fields take the values of the published class, which are not those
/// of AnimateLCM-SVD.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default = "ConsistencyConfig::of_class")]
pub struct ConsistencyConfig {
    /// The name its code looks for.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Levels of the grid.
    pub num_train_timesteps: usize,
    /// Lowest level of the grid.
    pub sigma_min: f64,
    /// Highest level of the grid, at which sampling starts.
    pub sigma_max: f64,
    /// Deviation that the data are taken to have; only 1 is known.
    pub sigma_data: f64,
    /// What fresh noise is multiplied with.
    pub s_noise: f64,
    /// The exponent of the grid.
    pub rho: f64,
    /// Whether clean samples are cut to -1..1, which latents are not.
    pub clip_denoised: bool,
}

/// AnimateLCM-SVD's.
impl Default for ConsistencyConfig {
    fn default() -> Self {
        Self {
            class_name: Self::CLASS.into(),
            num_train_timesteps: 40,
            sigma_min: 0.002,
            sigma_max: 700.0,
            sigma_data: 1.0,
            s_noise: 1.0,
            rho: 7.0,
            clip_denoised: false,
        }
    }
}

impl ConsistencyConfig {
    /// The class that it configures.
    pub const CLASS: &'static str = "AnimateLCMSVDStochasticIterativeScheduler";

    /// What the published class takes where a file says nothing.
    fn of_class() -> Self {
        Self {
            sigma_max: 80.0,
            sigma_data: 0.5,
            clip_denoised: true,
            ..Self::default()
        }
    }

    /// Checks that the sampler can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`Error::Model`] naming the field that is garbled, or asks for what would be sampled in another way.
    pub fn validate(&self, name: &str) -> Result<()> {
        let fail = |reason: &str| {
            Err(Error::Model {
                name: name.to_owned(),
                reason: reason.into(),
            })
        };
        if self.sigma_data != 1.0 || self.clip_denoised {
            return fail("sigma_data has to be 1 and clip_denoised false, as for AnimateLCM-SVD");
        }
        check_sigmas(name, self.sigma_min, self.sigma_max)?;
        if !(2..=10_000).contains(&self.num_train_timesteps) {
            return fail("num_train_timesteps must be 2 to 10000");
        }
        if !(0.5..=100.0).contains(&self.rho) || !(0.0..=10.0).contains(&self.s_noise) {
            return fail("rho must be 0.5 to 100, s_noise 0 to 10");
        }
        Ok(())
    }
}

/// The noise levels of one run and the arithmetic of its steps.
#[derive(Clone, Debug)]
pub struct ConsistencyScheduler {
    config: ConsistencyConfig,
    pub(super) sigmas: Vec<f64>,
    pub(super) timesteps: Vec<f64>,
}

impl ConsistencyScheduler {
    /// Lays out `steps` steps.
    ///
    /// # Errors
    /// [`Error::Model`] for a configuration this sampler does not cover, [`Error::Job`] for no steps, and for more than the grid has
    /// levels.
    pub fn new(config: ConsistencyConfig, steps: usize) -> Result<Self> {
        config.validate(FILE)?;
        let grid = config.num_train_timesteps;
        if !(1..=grid).contains(&steps) {
            return Err(Error::Job(format!(
                "{steps} steps asked for: the consistency sampler takes 1 to {grid}, best 4 to 8"
            )));
        }
        let ratio = grid / steps;
        let level = |step: usize| {
            let share = (step * ratio) as f64 / (grid - 1) as f64;
            karras(config.sigma_max, config.sigma_min, share, config.rho)
        };
        let mut sigmas: Vec<f64> = (0..steps).map(level).collect();
        let timesteps = sigmas.iter().copied().map(continuous_timestep).collect();
        sigmas.push(0.0);
        Ok(Self {
            config,
            sigmas,
            timesteps,
        })
    }

    pub(super) fn init_noise_sigma(&self) -> f64 {
        (self.config.sigma_max * self.config.sigma_max + 1.0).sqrt()
    }

    pub(super) fn at(&self, step: usize) -> Preconditioning {
        Preconditioning::at(PredictionType::VPrediction, self.sigmas[step])
    }

    pub(super) fn step(&self, step: usize) -> Step {
        let denoised = self.at(step);
        Step {
            sample: denoised.skip,
            output: denoised.output,
            noise: self.config.s_noise * self.sigmas[step + 1],
            denoised,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Schedule;
    use super::*;

    /// One run of the published scheduler on a single number (`tests/goldens/make_consistency.py`).
    #[derive(Deserialize)]
    struct Run {
        steps: usize,
        sigmas: Vec<f64>,
        timesteps: Vec<f64>,
        init_noise_sigma: f64,
        /// Sample, scaled sample, output, fresh noise, next sample.
        trace: Vec<[f64; 5]>,
    }

    #[test]
    fn agrees_with_the_published_scheduler() {
        // That one keeps its numbers in f32.
        let close = |a: f64, b: f64| (a - b).abs() <= 2e-6 * b.abs().max(1.0);
        let text = include_str!("../../../../tests/goldens/consistency.json");
        let runs: Vec<Run> = serde_json::from_str(text).unwrap();
        assert_eq!(
            runs.iter().map(|r| r.steps).collect::<Vec<_>>(),
            [1, 2, 4, 6, 8]
        );
        for run in runs {
            let made = ConsistencyScheduler::new(ConsistencyConfig::default(), run.steps);
            let s = Schedule::from(made.unwrap());
            assert_eq!(s.steps(), run.steps);
            assert!(close(s.init_noise_sigma(), run.init_noise_sigma));
            assert_eq!(s.sigmas().len(), run.sigmas.len());
            for (a, b) in s.sigmas().iter().zip(&run.sigmas) {
                assert!(close(*a, *b), "sigma {a} {b}");
            }
            for (a, b) in s.timesteps().iter().zip(&run.timesteps) {
                assert!(close(*a, *b), "timestep {a} {b}");
            }
            for (i, [x, scaled, y, fresh, next]) in run.trace.into_iter().enumerate() {
                assert!(close(s.input_scale(i) * x, scaled));
                let step = s.step(i);
                let got = step.sample * x + step.output * y + step.noise * fresh;
                assert!(close(got, next), "{} of {}: {got} {next}", i, run.steps);
            }
        }
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        let new = |config: ConsistencyConfig, steps| ConsistencyScheduler::new(config, steps);
        let usual = ConsistencyConfig::default();
        for (change, steps) in [
            (
                ConsistencyConfig {
                    sigma_data: 0.5,
                    ..usual.clone()
                },
                4,
            ),
            (
                ConsistencyConfig {
                    sigma_min: 0.0,
                    ..usual.clone()
                },
                4,
            ),
            (
                ConsistencyConfig {
                    num_train_timesteps: 0,
                    ..usual.clone()
                },
                1,
            ),
            (
                ConsistencyConfig {
                    rho: f64::NAN,
                    ..usual.clone()
                },
                4,
            ),
            (usual.clone(), 0),
            (usual, 41),
        ] {
            assert!(new(change, steps).is_err());
        }
    }
}
