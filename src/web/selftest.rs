//! For the tests of the page: one block of the UNet on this browser's WebGPU, with weights and inputs from a file, so that
//! its numbers can be held against the reference's (tests/browser/parity.test.mjs). The page itself does not call it.

use crate::device::Gpu;
use crate::error::{Error, Result};
use crate::model::blocks::{AttentionSetup, DownBlockConfig};
use crate::weights::Weights;
use burn::backend::wgpu::{RuntimeOptions, WgpuDevice, graphics, init_setup_async};
use burn::tensor::{Tensor, TensorData};
use wasm_bindgen::prelude::*;

type Block = Tensor<Gpu, 4>;

/// The cross-attention block of `tests/parity_unet.rs`, run on WebGPU; returns its output, row by row.
///
/// `weights` is a safetensors file of the block's parameters, `inputs` one of `x` `[batch * frames, 32, height, width]`,
/// `temb` `[batch * frames, 16]` and `context` `[batch, tokens, 12]`.
///
/// # Errors
/// In words, when a file lacks something or the device fails.
#[wasm_bindgen]
pub async fn selftest_down_block(weights: Vec<u8>, inputs: Vec<u8>) -> Result<Vec<f32>, JsError> {
    let device = WgpuDevice::default();
    init_setup_async::<graphics::WebGpu>(&device, RuntimeOptions::default()).await;
    let out = run(weights, inputs, &device).map_err(|e| JsError::new(&e.to_string()))?;
    let data = out
        .into_data_async()
        .await
        .map_err(|e| JsError::new(&format!("{e:?}")))?;
    data.into_vec().map_err(|e| JsError::new(&format!("{e:?}")))
}

fn run(weights: Vec<u8>, inputs: Vec<u8>, device: &WgpuDevice) -> Result<Block> {
    let block = DownBlockConfig {
        in_channels: 32,
        out_channels: 64,
        temb_channels: 16,
        num_layers: 2,
        attention: Some(AttentionSetup {
            heads: 2,
            cross_attention_dim: 12,
            layers: 1,
        }),
        add_downsample: true,
    }
    .init::<Gpu>(device);
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
