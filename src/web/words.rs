//! What the page says, in its language: `www/words.js` has the tables and puts them on what stands in `index.html`.

use std::borrow::Cow;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = dragentityWords, catch)]
    fn translated(english: &str) -> Result<String, JsValue>;
}

thread_local! {
    static IS_ENGLISH: bool = {
        let document = web_sys::window().and_then(|window| window.document());
        let page = document.and_then(|document| document.document_element());
        page.and_then(|p| p.get_attribute("lang")).is_none_or(|lang| lang == "en")
    };
}

/// A sentence of the page's, in English, as it is said; what no table knows stays as it is.
pub fn said(english: &str) -> Cow<'_, str> {
    if IS_ENGLISH.with(|is| *is) {
        return english.into();
    }
    translated(english).map_or(english.into(), Cow::Owned)
}
