//! Weights that are held in 8 bits on the device, and are multiplied out one at a time, just before their product.
//!
//! Layers and modules stay as they are: a packed weight is a [`Param`] like any other. Its value is a placeholder of the
//! weight's shape and type that takes no memory, and what it is *saved* as ([`Param::transform_for_save`], Burn's own place for
//! parameters that are kept in another form) is the weight. [`weight`] asks for that, and nothing keeps the answer: when the
//! product is done, the device's pool has the room for the next one. Whoever writes a module to a file gets the weights, whoever
//! counts its numbers their shape, and whoever forgets [`weight`] gets NaN.
//!
//! There are three writings of the same arithmetic, which the tests hold together: a kernel for all devices of CubeCL
//! (`gpu`), `dragentity_kernels` for Burn's CPU backend, and Burn's operations for the others.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu;

use super::cpu::{Values, same, tensor};
use super::precision::as_type;
use burn::backend::Flex;
use burn::module::{Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, ElementConversion, FloatDType, Int, Tensor, TensorData};
use dragentity_kernels as kernels;

/// Numbers of 8 bits, as they are held.
#[derive(Clone, Debug)]
struct Packed<B: Backend> {
    /// Four signed numbers each, the first in the lowest byte. `[count / 4]`, rounded up
    words: Tensor<B, 1, Int>,
    /// A factor for each row. `[rows]`
    scales: Tensor<B, 1>,
    /// How many neighbours share a factor: after the last factor comes the first again.
    run: usize,
    /// How many numbers there are.
    count: usize,
}

/// A parameter that holds `numbers` in 8 bits: of `shape`, each to be multiplied by the factor of its row, and computed
/// with in `dtype`.
///
/// `run` neighbours share a factor: the length of a row where rows are the first dimension (convolutions), 1 where they are the
/// last (linear layers, as Burn keeps them).
///
/// # Panics
/// If the lengths do not fit `shape`.
pub(crate) fn parameter<B: Backend, const D: usize>(
    id: ParamId,
    numbers: &[i8],
    scales: Vec<f32>,
    run: usize,
    shape: [usize; D],
    dtype: FloatDType,
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let count: usize = shape.iter().product();
    assert!(numbers.len() == count && run > 0 && count.is_multiple_of(run * scales.len()));
    let words: Vec<i32> = numbers
        .chunks(4)
        .map(|four| {
            i32::from_le_bytes(std::array::from_fn(|i| four.get(i).map_or(0, |&n| n as u8)))
        })
        .collect();
    let (words_len, rows) = (words.len(), scales.len());
    let words = TensorData::new(words, [words_len]);
    let packed = Packed::<B> {
        words: Tensor::from_data(words, (device, DType::I32)),
        scales: Tensor::from_data(TensorData::new(scales, [rows]), (device, DType::F32)),
        run,
        count,
    };
    let placeholder = Tensor::<B, D>::full([1; D], f32::NAN, (device, DType::from(dtype)));
    Param::initialized(id, placeholder.expand(shape))
        .save_mapper(move |_| packed.unpack(dtype.into()).reshape(shape))
}

/// The tensor of a parameter that may be packed. It is made anew each time: [`Param::val`] is for parameters that never are.
pub fn weight<B: Backend, const D: usize>(parameter: &Param<Tensor<B, D>>) -> Tensor<B, D> {
    parameter.transform_for_save().into_value()
}

impl<B: Backend> Packed<B> {
    /// The numbers in `dtype`. `[count]`
    fn unpack(&self, dtype: DType) -> Tensor<B, 1> {
        if let Some(values) = self.unpack_on_cpu() {
            return as_type(values, dtype);
        }
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        if let Some(values) = gpu::unpack(self, dtype) {
            return values;
        }
        self.unpack_by_operations(dtype)
    }

    /// The same in single precision, where it lies on the CPU backend.
    fn unpack_on_cpu(&self) -> Option<Tensor<B, 1>> {
        let scales = Values::of(&self.scales)?;
        let words: Tensor<Flex, 1, Int> = same(self.words.clone());
        let words = words.into_primitive();
        let values = kernels::unpack(words.as_slice()?, scales.get(), self.run, self.count);
        Some(tensor(values, [self.count]))
    }

    /// The same by Burn's operations.
    fn unpack_by_operations(&self, dtype: DType) -> Tensor<B, 1> {
        let rows = self.scales.dims()[0];
        let bytes = (0..4).map(|i| {
            let byte = self
                .words
                .clone()
                .bitwise_right_shift_scalar((8 * i).elem());
            // Of a word of any width: the byte alone, then its sign.
            (byte + 128).bitwise_and_scalar(255.elem()) - 128
        });
        let numbers: Tensor<B, 1, Int> = Tensor::stack::<2>(bytes.collect(), 1).flatten(0, 1);
        let numbers = as_type(numbers.narrow(0, 0, self.count).float(), DType::F32);
        let rows = self.scales.clone().reshape([1, rows, 1]);
        let values = numbers.reshape([-1, rows.dims()[1] as i32, self.run as i32]) * rows;
        as_type(values.flatten(0, 2), dtype)
    }
}
