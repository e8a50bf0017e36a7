//! What survives a reload: entities, paths and settings in the tab's session storage (as a link's fragment), the picture
//! and a background of the person's own in the origin's cache. Nothing here may fail loudly: a browser that keeps nothing still works.

use super::dom;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, Cache, Response, Storage};

const SCENE: &str = "dragentity-scene";
const PICTURE: &str = "dragentity-picture";
/// The background of the scene, and the one that is kept.
const PLATE: &str = "dragentity-plate";
const PLATE_FILE: &str = "dragentity-plate-file";
const TAB: &str = "dragentity-tab";
const CACHE: &str = "dragentity-pictures";
/// Most pictures of other tabs, and before this one, that are kept.
const MOST: u32 = 7;

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

/// The tab's own name, under which its files are kept.
fn tab(storage: &Storage) -> String {
    if let Some(key) = storage.get_item(TAB).ok().flatten() {
        return key;
    }
    let key = format!("{:x}", (js_sys::Math::random() * 1e15) as u64);
    let _ = storage.set_item(TAB, &key);
    key
}

/// Keeps a file at an address; whether that was possible.
async fn put(path: &str, blob: &Blob) -> bool {
    let Some(cache) = cache().await else {
        return false;
    };
    if let Ok(keys) = JsFuture::from(cache.keys()).await {
        let keys: js_sys::Array = keys.unchecked_into();
        for old in 0..keys.length().saturating_sub(MOST) {
            let request: web_sys::Request = keys.get(old).unchecked_into();
            let _ = JsFuture::from(cache.delete_with_request(&request)).await;
        }
    }
    match Response::new_with_opt_blob(Some(blob)) {
        Ok(response) => {
            let put = cache.put_with_str(path, &response);
            JsFuture::from(put).await.is_ok()
        }
        Err(_) => false,
    }
}

/// The file at an address.
async fn get(path: &str) -> Option<Blob> {
    let found = JsFuture::from(cache().await?.match_with_str(path));
    let response: Response = found.await.ok()?.dyn_into().ok()?;
    let blob = JsFuture::from(response.blob().ok()?);
    Some(blob.await.ok()?.unchecked_into())
}

/// Keeps a picture of the person's own.
pub async fn picture(blob: &Blob, name: &str) {
    let Some(storage) = storage() else { return };
    if put(&path(&tab(&storage)), blob).await {
        let _ = storage.set_item(PICTURE, &format!("own {name}"));
    }
}

/// Keeps a picture of what is behind the things; `hash` tells it from others.
pub async fn plate(blob: &Blob, hash: &str) {
    let Some(storage) = storage() else { return };
    if put(&plate_path(&tab(&storage)), blob).await {
        let _ = storage.set_item(PLATE_FILE, hash);
    }
}

/// Keeps which picture is behind the things of the scene, if a person's own is.
pub fn which_plate(hash: Option<&str>) {
    let Some(storage) = storage() else { return };
    let _ = match hash {
        Some(hash) => storage.set_item(PLATE, hash),
        None => storage.remove_item(PLATE),
    };
}

/// The picture of what is behind the things that was kept, where it is the scene's.
pub async fn kept_plate() -> Option<Blob> {
    let storage = storage()?;
    let wanted = storage.get_item(PLATE).ok()??;
    let file = storage.get_item(PLATE_FILE).ok()??;
    match wanted == file {
        true => get(&plate_path(&tab(&storage))).await,
        false => None,
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
    get(&path(&tab(&storage()?))).await
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

fn plate_path(key: &str) -> String {
    format!("kept-plate/{key}")
}
