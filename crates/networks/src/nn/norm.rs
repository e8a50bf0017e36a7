//! Norms of any precision, over a picture or over the frames of a clip, alone and with the SiLU that follows most of
//! them.

pub use super::layer_norm::{LayerNorm, LayerNormConfig};
use super::layers::{group_norm, layer_norm, silu};
use super::precision::in_f32;
use burn::module::Param;
use burn::nn::GroupNorm;
use burn::tensor::{Tensor, TensorPrimitive, backend::Backend};

/// A norm of any precision.
pub trait Norm<B: Backend> {
    /// The norm of `x`, in the type of `x`.
    fn apply<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D>;
}

impl<B: Backend> Norm<B> for GroupNorm<B> {
    fn apply<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        over_clips(self, x, 1)
    }
}

/// A group norm whose statistics span the `num_frames` pictures of each clip.
///
/// Burn's own gives the same for one picture. Here every operation on whole pictures has one number for each row beside
/// it, which all backends do fast; Burn's broadcasts the parameters along the middle axis, on the CPU number by number.
///
/// # Shapes
/// - `x` and output: `[batch * num_frames, channels, ...]`
pub fn over_clips<B: Backend, const D: usize>(
    norm: &GroupNorm<B>,
    x: Tensor<B, D>,
    num_frames: usize,
) -> Tensor<B, D> {
    if let Some(y) = group_norm(norm, &x, num_frames, false) {
        return y;
    }
    in_f32(x, |x| {
        let shape = x.dims();
        let (n, channels, groups) = (shape[0], norm.num_channels, norm.num_groups);
        let pixels = shape[2..].iter().product::<usize>();
        // Of each picture's groups, then over the frames of a clip.
        let mean = |rows: Tensor<B, 2>| {
            let mean = rows.mean_dim(1);
            if num_frames == 1 {
                return mean;
            }
            let clips = n / num_frames;
            let mean = mean.reshape([clips, num_frames, groups]).mean_dim(1);
            mean.expand([clips, num_frames, groups])
                .reshape([n * groups, 1])
        };
        let rows = x.reshape([n * groups, channels / groups * pixels]);
        let centred = rows.clone() - mean(rows);
        let deviation = (mean(centred.clone() * centred.clone()) + norm.epsilon).sqrt();
        let parameter = |values: &Option<Param<Tensor<B, 1>>>| {
            values
                .as_ref()
                .map(|values| values.val().reshape([1, groups, channels / groups]))
        };
        let rows_of_channels = [n * channels, 1];
        let mut scale = deviation.recip().reshape([n, groups, 1]);
        scale = match parameter(&norm.gamma) {
            Some(gamma) => scale * gamma,
            None => scale.expand([n, groups, channels / groups]),
        };
        let mut y = centred.reshape([n * channels, pixels]) * scale.reshape(rows_of_channels);
        if let Some(beta) = parameter(&norm.beta) {
            let beta = beta.expand([n, groups, channels / groups]);
            y = y + beta.reshape(rows_of_channels);
        }
        y.reshape(shape)
    })
}

impl<B: Backend> Norm<B> for LayerNorm<B> {
    fn apply<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        match layer_norm(self, &x) {
            Some(y) => y,
            None => in_f32(x, |x| {
                let inner = |x: Tensor<B, 1>| x.into_primitive().tensor();
                let (gamma, beta) = (inner(self.gamma.val()), inner(self.beta.val()));
                let x = x.into_primitive().tensor();
                let y = B::layer_norm(x, gamma, Some(beta), self.epsilon);
                Tensor::from_primitive(TensorPrimitive::Float(y))
            }),
        }
    }
}

/// SiLU of a norm over each picture.
pub fn norm_silu<B: Backend, const D: usize>(norm: &GroupNorm<B>, x: Tensor<B, D>) -> Tensor<B, D> {
    norm_silu_over_clips(norm, x, 1)
}

/// SiLU of a norm over the `num_frames` pictures of each clip, see [`over_clips`].
pub(super) fn norm_silu_over_clips<B: Backend, const D: usize>(
    norm: &GroupNorm<B>,
    x: Tensor<B, D>,
    num_frames: usize,
) -> Tensor<B, D> {
    match group_norm(norm, &x, num_frames, true) {
        Some(y) => y,
        None => silu(over_clips(norm, x, num_frames)),
    }
}
