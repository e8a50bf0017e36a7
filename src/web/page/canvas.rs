//! Canvases, and what is painted on them.

use super::dom;
use wasm_bindgen::prelude::*;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

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
