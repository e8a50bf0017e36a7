//! For the tests of the page (tests/browser/parity.test.mjs): one block of the UNet on this browser's WebGPU, with weights
//! and inputs from a file, so that its numbers can be held against the reference's. The page itself does not call it.

use dragentity_pipeline::selftest::down_block;
use wasm_bindgen::prelude::*;

/// See [`down_block`].
///
/// # Errors
/// In words, when a file lacks something or the device fails.
#[wasm_bindgen]
pub async fn selftest_down_block(
    config: &str,
    weights: Vec<u8>,
    inputs: Vec<u8>,
) -> Result<Vec<f32>, JsError> {
    down_block(config, weights, inputs)
        .await
        .map_err(|e| JsError::new(&e.to_string()))
}
