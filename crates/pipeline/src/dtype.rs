//! The types that networks compute in, by name.

use burn::tensor::{DType, FloatDType, backend::Backend};
use dragentity_core::{Error, Result};

/// Whether a device computes in `dtype`.
///
/// # Errors
/// [`Error::Device`] naming it.
pub fn check_dtype<B: Backend>(device: &B::Device, name: &str, dtype: FloatDType) -> Result<()> {
    if B::supports_dtype(device, dtype.into()) {
        return Ok(());
    }
    Err(Error::Device(format!(
        "{name} cannot compute in {}: choose --dtype f32",
        dtype_name(dtype)
    )))
}

/// The name of a type, as on the command line.
pub fn dtype_name(dtype: FloatDType) -> String {
    DType::from(dtype).name().to_owned()
}

/// Reads the name of a type, as [`dtype_name`] writes it.
///
/// # Errors
/// Which there are.
pub fn parse_dtype(text: &str) -> std::result::Result<FloatDType, String> {
    match text {
        "f32" => Ok(FloatDType::F32),
        "f16" => Ok(FloatDType::F16),
        "bf16" => Ok(FloatDType::BF16),
        _ => Err("choose f32, f16 or bf16".to_owned()),
    }
}
