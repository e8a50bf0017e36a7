//! What weights are held in, by name.

use crate::device::Cpu;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, FloatDType};
use std::any::TypeId;
use std::fmt;
use std::str::FromStr;

/// What a network's weights are held in on its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightType {
    /// In what the network computes in.
    Float(FloatDType),
    /// Those of its large layers in 8 bits with a factor for each output channel, unpacked one at a time just before their product
    /// (`nn::packed`); the rest in what it computes in.
    Int8,
}

impl WeightType {
    /// What a network with such weights computes in on `device`. Beside 8 bits that is half precision where there is such: but on the
    /// CPU, whose kernels are for single precision.
    pub fn computes<B: Backend>(self, device: &B::Device) -> FloatDType {
        let half =
            || TypeId::of::<B>() != TypeId::of::<Cpu>() && B::supports_dtype(device, DType::F16);
        match self {
            Self::Float(dtype) => dtype,
            Self::Int8 if half() => FloatDType::F16,
            Self::Int8 => FloatDType::F32,
        }
    }
}

impl Default for WeightType {
    fn default() -> Self {
        Self::Float(FloatDType::F32)
    }
}

impl From<FloatDType> for WeightType {
    fn from(dtype: FloatDType) -> Self {
        Self::Float(dtype)
    }
}

impl fmt::Display for WeightType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(dtype) => f.write_str(DType::from(*dtype).name()),
            Self::Int8 => f.write_str("int8"),
        }
    }
}

impl FromStr for WeightType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::Float(FloatDType::F32)),
            "f16" => Ok(Self::Float(FloatDType::F16)),
            "bf16" => Ok(Self::Float(FloatDType::BF16)),
            "int8" => Ok(Self::Int8),
            _ => Err("choose f32, f16, bf16 or int8".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_as_they_are_read() {
        for text in ["f32", "f16", "bf16", "int8"] {
            assert_eq!(text.parse::<WeightType>().unwrap().to_string(), text);
        }
        for other in ["f64", "i8", "INT8", ""] {
            let said = other.parse::<WeightType>().unwrap_err();
            assert!(said.contains("int8"), "{said}");
        }
    }
}
