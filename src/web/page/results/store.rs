//! Results in the origin's cache: what the list shows, the frames, and the picture, each under an address that no file of the page has.

use super::About;
use crate::web::dom;
use dragentity_core::Video;
use dragentity_media::differences;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, Cache, HtmlCanvasElement, ReadableStream, Request, Response};

const CACHE: &str = "dragentity-results";
/// Ends the address of what the list shows.
const ABOUT: &str = "/about";

#[wasm_bindgen]
extern "C" {
    /// What turns a stream into another.
    type CompressionStream;

    #[wasm_bindgen(constructor, catch)]
    fn new(format: &str) -> Result<CompressionStream, JsValue>;

    type DecompressionStream;

    #[wasm_bindgen(constructor, catch)]
    fn new(format: &str) -> Result<DecompressionStream, JsValue>;

    #[wasm_bindgen(extends = ReadableStream, js_name = ReadableStream)]
    type Pipe;

    #[wasm_bindgen(method, catch, js_name = pipeThrough)]
    fn pipe_through(this: &Pipe, through: &JsValue) -> Result<ReadableStream, JsValue>;
}

async fn cache() -> Result<Cache, String> {
    let caches = dom::window().caches().map_err(|e| dom::reason(&e))?;
    let opened = JsFuture::from(caches.open(CACHE)).await;
    Ok(opened.map_err(|e| dom::reason(&e))?.unchecked_into())
}

fn address(name: &str) -> String {
    format!("kept-result/{name}")
}

async fn put(cache: &Cache, name: &str, response: &Response) -> Result<(), String> {
    let done = JsFuture::from(cache.put_with_str(&address(name), response)).await;
    done.map(|_| ()).map_err(|e| dom::reason(&e))
}

async fn get(name: &str) -> Result<Response, String> {
    let found = JsFuture::from(cache().await?.match_with_str(&address(name))).await;
    let found = found.map_err(|e| dom::reason(&e))?;
    found
        .dyn_into()
        .map_err(|_| "the browser has deleted it".to_owned())
}

async fn remove(cache: &Cache, name: &str) {
    let _ = JsFuture::from(cache.delete_with_str(&address(name))).await;
}

/// Keeps a video; with its picture, if it is not there yet.
///
/// # Errors
/// What the browser says of it; then nothing of it is kept.
pub async fn keep(
    about: &About,
    video: &Video,
    picture: Option<&HtmlCanvasElement>,
) -> Result<(), String> {
    let cache = cache().await?;
    let kept = keep_in(&cache, about, video, picture).await;
    if kept.is_err() {
        delete(about, picture.is_some()).await;
    }
    kept
}

async fn keep_in(
    cache: &Cache,
    about: &About,
    video: &Video,
    picture: Option<&HtmlCanvasElement>,
) -> Result<(), String> {
    if let Some(picture) = picture {
        let blob = png(picture).await?;
        let response = Response::new_with_opt_blob(Some(&blob)).map_err(|e| dom::reason(&e))?;
        put(cache, &about.picture, &response).await?;
    }
    let raw = packed(video).await?;
    let compressor: JsValue = CompressionStream::new("gzip")
        .map_err(|e| dom::reason(&e))?
        .into();
    let response = through(&Response::new_with_opt_blob(Some(&raw)), &compressor)?;
    put(cache, &format!("{}/frames", about.made), &response).await?;
    // The last: what is in the list is whole.
    let text = serde_json::to_string(about).map_err(|e| e.to_string())?;
    let response = Response::new_with_opt_str(Some(&text)).map_err(|e| dom::reason(&e))?;
    put(cache, &format!("{}{ABOUT}", about.made), &response).await
}

/// The frames as one file. A page that is seen goes on between one and the next: all at once takes seconds. Hidden ones wait for nothing,
/// as browsers let them wait for long.
async fn packed(video: &Video) -> Result<Blob, String> {
    let parts = js_sys::Array::new();
    for frame in differences::of(video) {
        let blob: JsValue = dom::blob(&frame, "")?.into();
        parts.push(&blob);
        if !dom::document().hidden() {
            dom::sleep(0).await;
        }
    }
    Blob::new_with_blob_sequence(&parts).map_err(|e| dom::reason(&e))
}

fn through(response: &Result<Response, JsValue>, what: &JsValue) -> Result<Response, String> {
    let response = response.as_ref().map_err(dom::reason)?;
    let body = response.body().ok_or("it has no bytes")?;
    let piped = body.unchecked_ref::<Pipe>().pipe_through(what);
    let piped = piped.map_err(|e| dom::reason(&e))?;
    Response::new_with_opt_readable_stream(Some(&piped)).map_err(|e| dom::reason(&e))
}

/// A canvas as a PNG, made by the browser beside this thread.
async fn png(canvas: &HtmlCanvasElement) -> Result<Blob, String> {
    let promise = js_sys::Promise::new(&mut |resolve, reject| {
        if let Err(error) = canvas.to_blob_with_type(&resolve, "image/png") {
            let _ = reject.call1(&JsValue::NULL, &error);
        }
    });
    let blob = JsFuture::from(promise).await.map_err(|e| dom::reason(&e))?;
    blob.dyn_into()
        .map_err(|_| "the picture cannot be encoded".to_owned())
}

/// What is kept, of all tabs.
pub async fn list() -> Vec<About> {
    let Ok(cache) = cache().await else {
        return Vec::new();
    };
    let Ok(keys) = JsFuture::from(cache.keys()).await else {
        return Vec::new();
    };
    let mut list = Vec::new();
    for request in keys.unchecked_into::<js_sys::Array>().iter() {
        let request: Request = request.unchecked_into();
        if !request.url().ends_with(ABOUT) {
            continue;
        }
        let Ok(found) = JsFuture::from(cache.match_with_request(&request)).await else {
            continue;
        };
        if let Ok(response) = found.dyn_into::<Response>()
            && let Ok(text) = response.text()
            && let Ok(text) = JsFuture::from(text).await
            && let Ok(about) = serde_json::from_str(&text.as_string().unwrap_or_default())
        {
            list.push(about);
        }
    }
    list
}

/// The frames of a video.
///
/// # Errors
/// What is wrong with what was kept.
pub async fn frames(about: &About) -> Result<Video, String> {
    let response = get(&format!("{}/frames", about.made)).await?;
    let inflater: JsValue = DecompressionStream::new("gzip")
        .map_err(|e| dom::reason(&e))?
        .into();
    let raw = through(&Ok(response), &inflater)?.array_buffer();
    let raw = JsFuture::from(raw.map_err(|e| dom::reason(&e))?).await;
    let raw = js_sys::Uint8Array::new(&raw.map_err(|e| dom::reason(&e))?).to_vec();
    let length = about.width as usize * about.height as usize * 3;
    let frames = differences::frames(&raw, about.frames as usize, length);
    Ok(Video {
        width: about.width,
        height: about.height,
        fps: about.fps,
        frames: frames.ok_or("it is not whole")?,
    })
}

/// The picture of a video.
///
/// # Errors
/// Says that it is gone.
pub async fn picture(about: &About) -> Result<Blob, String> {
    let blob = get(&about.picture)
        .await?
        .blob()
        .map_err(|e| dom::reason(&e))?;
    Ok(JsFuture::from(blob)
        .await
        .map_err(|e| dom::reason(&e))?
        .unchecked_into())
}

/// Deletes a video, and its picture where no other is of it.
pub async fn delete(about: &About, with_picture: bool) {
    let Ok(cache) = cache().await else { return };
    for part in ["about", "frames"] {
        remove(&cache, &format!("{}/{part}", about.made)).await;
    }
    if with_picture {
        remove(&cache, &about.picture).await;
    }
}
