//! For the tests of the page: one block of the UNet on this browser's WebGPU, with weights and inputs from a file, so that
//! its numbers can be held against the reference's (tests/browser/parity.test.mjs). The page itself does not call it.

use burn::backend::wgpu::{RuntimeOptions, WgpuDevice, graphics, init_setup_async};
use burn::tensor::{Tensor, TensorData};
use dragentity_core::error::{Error, Result};
use dragentity_networks::device::Gpu;
use dragentity_networks::svd::blocks::DownBlockConfig;
use dragentity_networks::weights::Weights;
use wasm_bindgen::prelude::*;

type Block = Tensor<Gpu, 4>;

/// The cross-attention block of `crates/networks/tests/parity_unet.rs`, run on WebGPU; returns its output, row by row.
///
/// `config` is its [`DownBlockConfig`] as JSON (tests/goldens/down_block.json), `weights` a safetensors file of its
/// parameters, `inputs` one of `x` `[batch * frames, channels, height, width]`, `temb` `[batch * frames, channels]` and
/// `context` `[batch, tokens, channels]`.
///
/// # Errors
/// In words, when a file lacks something or the device fails.
#[wasm_bindgen]
pub async fn selftest_down_block(
    config: &str,
    weights: Vec<u8>,
    inputs: Vec<u8>,
) -> Result<Vec<f32>, JsError> {
    let config = serde_json::from_str(config)?;
    let device = WgpuDevice::default();
    init_setup_async::<graphics::WebGpu>(&device, RuntimeOptions::default()).await;
    let out = run(config, weights, inputs, &device).map_err(|e| JsError::new(&e.to_string()))?;
    let data = out
        .into_data_async()
        .await
        .map_err(|e| JsError::new(&format!("{e:?}")))?;
    data.into_vec().map_err(|e| JsError::new(&format!("{e:?}")))
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
