//! Networks in half precision: `f16` and `bf16`.
//!
//! A network computes in the type of its weights, whatever type its input has, and gives its output back in the
//! input's. Norms and softmax add many numbers up: they compute in `f32` all the same, and the parameters of norms
//! are loaded as such (`weights::load`).

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
