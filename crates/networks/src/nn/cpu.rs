//! Tensors of Burn's CPU backend as the slices that `dragentity_kernels` works on, where a backend turns out to be that one.

use burn::backend::Flex;
use burn::module::Param;
use burn::tensor::{DType, Tensor, TensorData, TensorPrimitive, backend::Backend};
use burn_flex::FlexTensor;
use std::any::{Any, TypeId};

/// A tensor that the kernels can read.
pub(super) struct Values(FlexTensor);

impl Values {
    /// `x`, where it is of single precision and on the CPU backend.
    pub(super) fn of<B: Backend, const D: usize>(x: &Tensor<B, D>) -> Option<Self> {
        on_cpu(x).then(|| Self(flex(x.clone())))
    }

    /// As [`Self::of`], of what is known to be so.
    pub(super) fn new<B: Backend, const D: usize>(x: Tensor<B, D>) -> Self {
        Self(flex(x))
    }

    /// [`Self::of`] for what may be absent: `None` where it is there and cannot be read.
    pub(super) fn of_parameter<B: Backend, const D: usize>(
        x: Option<&Param<Tensor<B, D>>>,
    ) -> Option<Option<Self>> {
        match x {
            Some(x) => Self::of(&x.val()).map(Some),
            None => Some(None),
        }
    }

    pub(super) fn get(&self) -> &[f32] {
        self.0.as_slice().unwrap_or_default()
    }
}

/// Whether `x` is of single precision and on the CPU backend.
pub(super) fn on_cpu<B: Backend, const D: usize>(x: &Tensor<B, D>) -> bool {
    TypeId::of::<B>() == TypeId::of::<Flex>() && x.dtype() == DType::F32
}

/// Whether the numbers of `x`, on the CPU backend, lie as its shape says. Burn multiplies matrices that do not as they
/// are.
pub(super) fn is_dense<B: Backend, const D: usize>(x: &Tensor<B, D>) -> bool {
    on_cpu(x) && {
        let x: Tensor<Flex, D> = same(x.clone());
        x.into_primitive().tensor().is_contiguous()
    }
}

/// The dense tensor behind `x`, of the CPU backend.
pub(super) fn flex<B: Backend, const D: usize>(x: Tensor<B, D>) -> FlexTensor {
    let x: Tensor<Flex, D> = same(x);
    let x = x.into_primitive().tensor();
    if x.is_contiguous() {
        x
    } else {
        x.to_contiguous()
    }
}

/// A tensor of the CPU backend, which `B` is.
pub(super) fn tensor<B: Backend, const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
) -> Tensor<B, D> {
    let values = FlexTensor::from_data(TensorData::new(values, shape));
    same(Tensor::<Flex, D>::from_primitive(TensorPrimitive::Float(
        values,
    )))
}

/// `value` under the other name of its type.
///
/// # Panics
/// If the types are not the same.
pub(super) fn same<T: 'static, U: 'static>(value: T) -> U {
    let mut value = Some(value);
    (&mut value as &mut dyn Any)
        .downcast_mut::<Option<U>>()
        .and_then(Option::take)
        .expect("a tensor of the backend that was asked for")
}
