//! What scripts throw, as errors.

use wasm_bindgen::{JsCast, JsValue};

/// What was thrown, in its own words where it has some.
pub(super) fn js_error(value: JsValue) -> std::io::Error {
    let text = value
        .dyn_ref::<js_sys::Error>()
        .map(|e| String::from(e.message()))
        .or_else(|| value.as_string())
        .unwrap_or_else(|| "the request failed".to_owned());
    std::io::Error::other(text)
}
