//! What survives a reload: entities, paths and settings in the tab's session storage (as a link's fragment), the picture
//! in the origin's cache. Nothing here may fail loudly: a browser that keeps nothing still works.

use super::dom;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, Cache, Response, Storage};

const SCENE: &str = "dragentity-scene";
const PICTURE: &str = "dragentity-picture";
const CACHE: &str = "dragentity-pictures";
/// Most pictures of other tabs that are kept.
const MOST: u32 = 4;

/// What was open when the page was left.
pub struct Kept {
    /// A link's fragment.
    pub fragment: String,
    /// The sample's name, or that of the person's own file.
    pub name: String,
    /// The file, unless it was a sample.
    pub own: bool,
}

fn storage() -> Option<Storage> {
    dom::window().session_storage().ok().flatten()
}

/// Keeps entities, paths and settings.
pub fn scene(fragment: &str) {
    if let Some(storage) = storage() {
        let _ = storage.set_item(SCENE, fragment);
    }
}

/// Keeps which sample is open.
pub fn sample(name: &str) {
    if let Some(storage) = storage() {
        let _ = storage.set_item(PICTURE, &format!("sample {name}"));
    }
}

/// Keeps a picture of the person's own.
pub async fn picture(blob: &Blob, name: &str) {
    let Some(storage) = storage() else { return };
    let key = match storage.get_item("dragentity-tab").ok().flatten() {
        Some(key) => key,
        None => {
            let key = format!("{:x}", (js_sys::Math::random() * 1e15) as u64);
            let _ = storage.set_item("dragentity-tab", &key);
            key
        }
    };
    let Some(cache) = cache().await else { return };
    if let Ok(keys) = JsFuture::from(cache.keys()).await {
        let keys: js_sys::Array = keys.unchecked_into();
        for old in 0..keys.length().saturating_sub(MOST) {
            let request: web_sys::Request = keys.get(old).unchecked_into();
            let _ = JsFuture::from(cache.delete_with_request(&request)).await;
        }
    }
    if let Ok(response) = Response::new_with_opt_blob(Some(blob))
        && JsFuture::from(cache.put_with_str(&path(&key), &response))
            .await
            .is_ok()
    {
        let _ = storage.set_item(PICTURE, &format!("own {name}"));
    }
}

/// What was kept.
pub fn kept() -> Option<Kept> {
    let storage = storage()?;
    let picture = storage.get_item(PICTURE).ok()??;
    let (kind, name) = picture.split_once(' ')?;
    let fragment = storage.get_item(SCENE).ok().flatten().unwrap_or_default();
    Some(Kept {
        fragment,
        name: name.into(),
        own: kind == "own",
    })
}

/// The picture of the person's own that was kept.
pub async fn kept_picture() -> Option<Blob> {
    let key = storage()?.get_item("dragentity-tab").ok()??;
    let found = JsFuture::from(cache().await?.match_with_str(&path(&key)))
        .await
        .ok()?;
    let response: Response = found.dyn_into().ok()?;
    Some(
        JsFuture::from(response.blob().ok()?)
            .await
            .ok()?
            .unchecked_into(),
    )
}

async fn cache() -> Option<Cache> {
    let opened = JsFuture::from(dom::window().caches().ok()?.open(CACHE))
        .await
        .ok()?;
    Some(opened.unchecked_into())
}

/// An address that no file of the page has.
fn path(key: &str) -> String {
    format!("kept-picture/{key}")
}
