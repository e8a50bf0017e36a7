//! The gradients of one optimiser step: of one batch or of several, in single or in half precision.

use super::gradients;
use super::peers::{Made, Peers};
use super::stage::Stage;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, FloatDType};
use dragentity_core::Error;
use dragentity_core::Result;

/// Losses in `f16` are multiplied, or their gradients would vanish below its smallest number.
const FIRST_SCALE: f64 = 4096.0;
/// Gradients larger than this times the true ones are of no more use.
const LARGEST_SCALE: f64 = 65536.0;
/// Steps without an overflow after which the scale is doubled.
const PATIENCE: u64 = 200;

/// How gradients are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassOptions {
    /// Batches of one optimiser step.
    pub accumulate: usize,
    /// Gradients are scaled down to this norm of all of them together; infinite: never.
    pub clip_norm: f64,
    /// What forward and backward pass compute in; weights are kept in `f32`.
    pub dtype: FloatDType,
}

impl Default for PassOptions {
    fn default() -> Self {
        Self {
            accumulate: 1,
            clip_norm: 1.0,
            dtype: FloatDType::F32,
        }
    }
}

/// How much losses are multiplied by, and for how long that went well.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LossScale {
    factor: f64,
    good: u64,
}

impl LossScale {
    /// Where training in a type begins.
    pub fn new(dtype: FloatDType) -> Self {
        let factor = match dtype {
            FloatDType::F16 => FIRST_SCALE,
            // The others reach as far as f32.
            _ => 1.0,
        };
        Self { factor, good: 0 }
    }

    fn went_well(&mut self) {
        if self.factor == 1.0 {
            return;
        }
        self.good += 1;
        if self.good >= PATIENCE {
            self.good = 0;
            self.factor = (self.factor * 2.0).min(LARGEST_SCALE);
        }
    }

    /// Whether a smaller scale may help where gradients are no numbers.
    fn overflowed(&mut self) -> bool {
        self.good = 0;
        self.factor /= 2.0;
        let left = self.factor >= 1.0;
        self.factor = self.factor.max(1.0);
        left
    }
}

/// What came of a pass.
pub struct Passed {
    /// Mean loss of its batches.
    pub loss: f64,
    /// Mean gradients, clipped; `None` if they overflowed, and the step is to be left out.
    pub gradients: Option<GradientsParams>,
}

/// Why a pass gave no gradients.
#[derive(Debug)]
pub enum PassError {
    /// A loss or a gradient is not a number: which, and where. Smaller steps help.
    Diverged(String),
    /// Anything else: what could not be done, with a remedy of its own.
    Failed(Error),
}

impl From<Error> for PassError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Runs forward and backward passes over the batches of a step, of which `peers` take their share.
///
/// # Errors
/// [`PassError::Failed`] with those of the stage and of `next`, and [`PassError::Diverged`] if a loss or a gradient is
/// not a number: which, and in which batch. Nothing has been changed then.
pub fn pass<B: AutodiffBackend, S: Stage<B> + Send>(
    stage: &S,
    peers: &mut Peers<B, S>,
    network: &S::Network,
    options: &PassOptions,
    scale: &mut LossScale,
    step: u64,
    mut next: impl FnMut() -> Result<S::Batch>,
) -> Result<Passed, PassError> {
    let batches = options.accumulate.max(1) as u64;
    gradients::join_graphs::<B, _>(network);
    let copy = match options.dtype {
        FloatDType::F32 => None,
        dtype => Some(stage.lowered(network, dtype)?),
    };
    let computes = copy.as_ref().unwrap_or(network);
    let factor = scale.factor / batches as f64;
    let of_batch =
        |stage: &S, network: &S::Network, batch: S::Batch, index: u64| -> Result<Made, PassError> {
            let loss = stage.loss(network, batch, index)?;
            let value: f64 = loss.clone().into_scalar().elem();
            if !value.is_finite() {
                return Err(PassError::Diverged(format!(
                    "the loss is {value} at step {step}, in batch {index}"
                )));
            }
            let made = GradientsParams::from_grads((loss * factor).backward(), network);
            Ok((value, gradients::scaled::<B, _>(network, made, 1.0)))
        };
    let mut sum = GradientsAccumulator::new();
    let mut loss_sum = 0.0;
    let at_once = peers.count();
    for first in (step * batches..(step + 1) * batches).step_by(at_once) {
        let shares = (0..at_once).map(|_| next()).collect::<Result<Vec<_>>>()?;
        let made = peers.share_out(stage, computes, shares, |stage, copy, batch, at| {
            of_batch(stage, copy, batch, first + at as u64)
        })?;
        for (value, made) in made {
            loss_sum += value;
            sum.accumulate(network, made);
        }
    }
    let made = sum.grads();
    let loss = loss_sum / batches as f64;
    let norm = gradients::norm::<B, _>(network, &made) / scale.factor;
    if !norm.is_finite() {
        if scale.overflowed() {
            log::info!("step {step} is left out: its gradients do not fit into half precision");
            return Ok(Passed {
                loss,
                gradients: None,
            });
        }
        let name = gradients::first_not_finite::<B, _>(network, &made);
        return Err(PassError::Diverged(format!(
            "the gradient of {} is not a number at step {step}, though the loss is {loss:.4}",
            name.as_deref().unwrap_or("a parameter")
        )));
    }
    let factor = if norm > options.clip_norm {
        options.clip_norm / norm
    } else {
        1.0
    } / scale.factor;
    scale.went_well();
    Ok(Passed {
        loss,
        gradients: Some(gradients::scaled::<B, _>(network, made, factor)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_of_losses_falls_at_once_and_rises_slowly() {
        let mut scale = LossScale::new(FloatDType::F16);
        assert!(scale.overflowed());
        assert_eq!(scale.factor, FIRST_SCALE / 2.0);
        for _ in 0..PATIENCE - 1 {
            scale.went_well();
        }
        assert_eq!(scale.factor, FIRST_SCALE / 2.0);
        scale.went_well();
        assert_eq!(scale.factor, FIRST_SCALE);
        while scale.overflowed() {}
        assert_eq!(scale.factor, 1.0);
        // Nothing to scale in other types: what overflows there is an error.
        let mut scale = LossScale::new(FloatDType::BF16);
        scale.went_well();
        assert_eq!(scale.factor, 1.0);
        assert!(!scale.overflowed());
    }
}
