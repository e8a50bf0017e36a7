//! Canvases, and what is painted on them.

use super::dom;
use js_sys::{Function, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

/// A canvas's 2D context.
pub fn context(canvas: &HtmlCanvasElement) -> CanvasRenderingContext2d {
    canvas
        .get_context("2d")
        .ok()
        .flatten()
        .and_then(|c| c.dyn_into().ok())
        .expect("every browser with WebAssembly draws on a 2D canvas")
}

/// The same, for a canvas whose pixels stay in memory: those on the GPU are gone when it is lost.
pub fn context_in_memory(canvas: &HtmlCanvasElement) -> CanvasRenderingContext2d {
    let options = js_sys::Object::new();
    let _ = js_sys::Reflect::set(&options, &"willReadFrequently".into(), &JsValue::TRUE);
    match canvas.get_context_with_context_options("2d", &options) {
        Ok(Some(found)) => found.unchecked_into(),
        _ => context(canvas),
    }
}

/// A canvas with these pixels.
pub fn painted(width: u32, height: u32, rgba: &[u8]) -> HtmlCanvasElement {
    let canvas = dom::canvas(width, height);
    if let Ok(data) =
        ImageData::new_with_u8_clamped_array_and_sh(wasm_bindgen::Clamped(rgba), width, height)
    {
        let _ = context_in_memory(&canvas).put_image_data(&data, 0.0, 0.0);
    }
    canvas
}

/// A canvas with an RGB picture.
pub fn from_rgb(width: u32, height: u32, rgb: &[u8]) -> HtmlCanvasElement {
    let rgba: Vec<u8> = rgb
        .chunks_exact(3)
        .flat_map(|p| [p[0], p[1], p[2], 255])
        .collect();
    painted(width, height, &rgba)
}

/// What is painted on a canvas as a file of this media type; `None` where the browser encodes no such files.
pub async fn encoded(
    canvas: &HtmlCanvasElement,
    media_type: &str,
    quality: f64,
) -> Option<Vec<u8>> {
    let promise = Promise::new(&mut |done, _| {
        let take = Closure::once_into_js(move |blob: JsValue| {
            let _ = done.call1(&JsValue::NULL, &blob);
        });
        let asked = canvas.to_blob_with_type_and_encoder_options(
            take.unchecked_ref(),
            media_type,
            &quality.into(),
        );
        if asked.is_err() {
            let _ = take
                .unchecked_ref::<Function>()
                .call1(&JsValue::NULL, &JsValue::NULL);
        }
    });
    let blob: Blob = JsFuture::from(promise).await.ok()?.dyn_into().ok()?;
    // Browsers that do not know the type make a PNG.
    if blob.type_() != media_type {
        return None;
    }
    let bytes = JsFuture::from(blob.array_buffer()).await.ok()?;
    Some(Uint8Array::new(&bytes).to_vec())
}
