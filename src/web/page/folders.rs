//! Folders and files that a person picks so that they can be opened again after a reload, where the browser can: `www/folders.js`.

use super::dom;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DataTransfer, File};

/// Files with their paths, from the name on of the folder that was picked.
pub type Files = Vec<(String, File)>;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = dragentityFolders)]
    fn picks(kind: &str) -> bool;
    #[wasm_bindgen(js_namespace = dragentityFolders, catch)]
    async fn pick(kind: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_namespace = dragentityFolders, js_name = withoutHandle)]
    fn without_handle(kind: &str);
    #[wasm_bindgen(js_namespace = dragentityFolders)]
    fn dropped(data: &DataTransfer);
    #[wasm_bindgen(js_namespace = dragentityFolders, js_name = isControlNet)]
    fn is_controlnet();
    #[wasm_bindgen(js_namespace = dragentityFolders)]
    fn refused();
    #[wasm_bindgen(js_namespace = dragentityFolders)]
    async fn opened(kinds: js_sys::Array);
    #[wasm_bindgen(js_namespace = dragentityFolders)]
    async fn kept() -> JsValue;
    #[wasm_bindgen(js_namespace = dragentityFolders, catch)]
    async fn again(kinds: js_sys::Array) -> Result<JsValue, JsValue>;
}

/// What is picked.
#[derive(Clone, Copy)]
pub enum What {
    /// The folder of a model.
    Model,
    /// A file of weights for few steps.
    Unet,
    /// The folder of a ControlNet.
    ControlNet,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Model, Self::Unet, Self::ControlNet];

    fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Unet => "unet",
            Self::ControlNet => "controlnet",
        }
    }
}

fn names(what: &[What]) -> js_sys::Array {
    what.iter()
        .map(|what| JsValue::from_str(what.name()))
        .collect()
}

/// Paths and files by turns; nothing where nothing was picked.
fn of_list(list: JsValue) -> Option<Files> {
    let list = list.dyn_into::<js_sys::Array>().ok()?.to_vec();
    let pair = |pair: &[JsValue]| match pair {
        [path, file] => Some((path.as_string()?, file.clone().dyn_into().ok()?)),
        _ => None,
    };
    Some(list.chunks(2).filter_map(pair).collect())
}

/// Whether the browser can pick so that it can be opened again.
pub fn can_pick(what: What) -> bool {
    picks(what.name())
}

/// Has a person pick something; nothing where they think better of it.
///
/// # Errors
/// In words.
pub async fn picked(what: What) -> Result<Option<Files>, String> {
    let list = pick(what.name()).await;
    list.map(of_list).map_err(|error| dom::reason(&error))
}

/// It was picked in another way, of which nothing can be kept.
pub fn picked_otherwise(what: What) {
    without_handle(what.name());
}

/// A folder was dropped. To be said while the event lasts.
pub fn was_dropped(data: &DataTransfer) {
    dropped(data);
}

/// What was picked or dropped for a model is a ControlNet.
pub fn was_controlnet() {
    is_controlnet();
}

/// These are open now: where they are is kept.
pub fn are_open(what: &[What]) {
    let kinds = names(what);
    spawn_local(async move { opened(kinds).await });
}

/// What was picked last could not be opened.
pub fn was_refused() {
    refused();
}

/// What the model is called that can be opened again.
pub async fn model_kept() -> Option<String> {
    kept().await.as_string()
}

/// Opens what is kept again, after the person has said that it may be read; of each of [`What::ALL`] the files.
///
/// # Errors
/// In words.
pub async fn opened_again() -> Result<[Option<Files>; 3], String> {
    let lists = again(names(&What::ALL))
        .await
        .map_err(|error| dom::reason(&error))?;
    let lists: js_sys::Array = lists.unchecked_into();
    Ok([0, 1, 2].map(|i| of_list(lists.get(i))))
}
