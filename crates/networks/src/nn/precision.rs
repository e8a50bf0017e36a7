//! Networks in half precision: `f16` and `bf16`.
//!
//! A network computes in the type of its weights, whatever type its input has, and gives its output back in the
//! input's. Norms and softmax add many numbers up: they compute in `f32` all the same, and the parameters of norms
//! are loaded as such (`weights::load`).

use burn::module::Param;
use burn::nn::{GroupNorm, LayerNorm};
use burn::tensor::{DType, FloatDType, Tensor, backend::Backend};

/// `x` in the type of `weight`.
pub fn like<B: Backend, const D: usize, const E: usize>(
    x: Tensor<B, D>,
    weight: &Tensor<B, E>,
) -> Tensor<B, D> {
    as_type(x, weight.dtype())
}

/// `x` as `dtype`, a floating point type.
pub fn as_type<B: Backend, const D: usize>(x: Tensor<B, D>, dtype: DType) -> Tensor<B, D> {
    if x.dtype() == dtype {
        return x;
    }
    x.cast(FloatDType::from(dtype))
}

/// `f` of `x` in single precision, in the type of `x`.
pub fn in_f32<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    f: impl FnOnce(Tensor<B, D>) -> Tensor<B, D>,
) -> Tensor<B, D> {
    match x.dtype() {
        own @ (DType::F16 | DType::BF16) => as_type(f(as_type(x, DType::F32)), own),
        _ => f(x),
    }
}

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
    if let Some(y) = super::layers::group_norm(norm, &x, num_frames, false) {
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
        in_f32(x, |x| self.forward(x))
    }
}
