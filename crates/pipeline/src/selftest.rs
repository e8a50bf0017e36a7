//! For the tests of the page: one block of the UNet on this browser's WebGPU.

use crate::page::Work;
use burn::backend::wgpu::{RuntimeOptions, WgpuDevice, graphics, init_setup_async};
use burn::tensor::{Tensor, TensorData};
use dragentity_core::{Error, Result};
use dragentity_networks::device::Gpu;
use dragentity_networks::svd::blocks::DownBlockConfig;
use dragentity_networks::weights::Weights;

type Block = Tensor<Gpu, 4>;

/// The cross-attention block of `parity_unet.rs`, run on WebGPU; returns its output, row by row.
///
/// `config` is its [`DownBlockConfig`] as JSON (tests/goldens/down_block.json), `weights` a safetensors file of its
/// parameters, `inputs` one of `x` `[batch * frames, channels, height, width]`, `temb` `[batch * frames, channels]` and
/// `context` `[batch, tokens, channels]`.
///
/// # Errors
/// [`Error::Model`] when a file lacks something, [`Error::Device`] when the device fails.
pub fn down_block(config: &str, weights: Vec<u8>, inputs: Vec<u8>) -> Work<'_, Vec<f32>> {
    Box::pin(async move {
        let config = serde_json::from_str(config).map_err(|e| Error::Model {
            name: "down_block.json".into(),
            reason: format!("{e}; write it again"),
        })?;
        let device = WgpuDevice::default();
        init_setup_async::<graphics::WebGpu>(&device, RuntimeOptions::default()).await;
        let out = run(config, weights, inputs, &device)?;
        let failed = |why: String| Error::Device(format!("{why}; try again"));
        let data = out
            .into_data_async()
            .await
            .map_err(|e| failed(format!("{e:?}")))?;
        data.into_vec().map_err(|e| failed(format!("{e:?}")))
    })
}

fn run(
    config: DownBlockConfig,
    weights: Vec<u8>,
    inputs: Vec<u8>,
    device: &WgpuDevice,
) -> Result<Block> {
    let block = config.init::<Gpu>(device);
    let (block, _) = Weights::from_bytes("weights", weights)?.load(block)?;
    let inputs = Weights::from_bytes("inputs", inputs)?;
    Ok(block.forward(
        input(&inputs, "x", device)?,
        &input(&inputs, "temb", device)?,
        &input(&inputs, "context", device)?,
        &mut Vec::new(),
    ))
}

fn input<const D: usize>(
    inputs: &Weights,
    name: &str,
    device: &WgpuDevice,
) -> Result<Tensor<Gpu, D>> {
    let (values, shape) = inputs.read(name)?;
    if shape.len() != D {
        return Err(Error::Model {
            name: name.into(),
            reason: format!("has {} dimensions, not {D}", shape.len()),
        });
    }
    Ok(Tensor::from_data(TensorData::new(values, shape), device))
}
