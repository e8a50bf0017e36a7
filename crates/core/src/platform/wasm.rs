//! Fetches, and tasks of the browser's event loop. Works in a page and in a worker.

use super::js::js_error;
use super::{Contents, Remote, picked, remote};
use crate::error::{Error, Result};
use js_sys::{Function, Promise, Reflect, Uint8Array};
use std::io::ErrorKind;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageChannel, Performance, ReadableStreamDefaultReader, Response};

/// Fetches a whole file, with `progress(bytes read, bytes in all or 0)`.
///
/// `location` is a URL; a relative one counts from the page or, in a worker, from its script.
///
/// # Errors
/// [`Error::Io`], of the kind `NotFound` where the server says so.
pub async fn read_bytes(location: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<u8>> {
    let url = remote::find(location).map_or(location, |(url, _)| url);
    fetch(url, progress).await.map_err(|source| Error::Io {
        path: location.to_owned(),
        source,
    })
}

/// Opens a file of a picked folder ([`pick`](super::pick)) or a large one at an [address](super::at_address), to be read piece by
/// piece, or fetches a whole file, as [`read_bytes`] does.
///
/// # Errors
/// As [`read_bytes`].
pub async fn open(location: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<Contents> {
    if let Some(found) = picked::find(location) {
        return found.map(Contents::Picked).map_err(|source| Error::Io {
            path: location.to_owned(),
            source,
        });
    }
    match remote::find(location) {
        Some((url, true)) => Remote::open(url)
            .map(Contents::Remote)
            .map_err(|source| Error::Io {
                path: location.to_owned(),
                source,
            }),
        _ => Ok(Contents::Memory(read_bytes(location, progress).await?)),
    }
}

async fn fetch(location: &str, progress: &mut dyn FnMut(u64, u64)) -> std::io::Result<Vec<u8>> {
    // `fetch` belongs to the window or to the worker's scope: found by name, it serves both.
    let scope = js_sys::global();
    let function: Function = Reflect::get(&scope, &"fetch".into())
        .and_then(JsCast::dyn_into)
        .map_err(js_error)?;
    let promise: Promise = function
        .call1(&scope, &location.into())
        .and_then(JsCast::dyn_into)
        .map_err(js_error)?;
    let response: Response = JsFuture::from(promise)
        .await
        .and_then(JsCast::dyn_into)
        .map_err(js_error)?;
    if !response.ok() {
        let kind = match response.status() {
            404 | 410 => ErrorKind::NotFound,
            401 | 403 => ErrorKind::PermissionDenied,
            _ => ErrorKind::Other,
        };
        return Err(std::io::Error::new(
            kind,
            format!("the server answered {}", response.status()),
        ));
    }
    let headers = response.headers();
    // Development servers answer with the page where there is no such file. No file of ours is a page.
    let kind = headers.get("content-type").ok().flatten();
    if kind.is_some_and(|kind| kind.starts_with("text/html")) {
        return Err(std::io::Error::new(
            ErrorKind::NotFound,
            "the server answered with a page",
        ));
    }
    // A compressed answer's length says nothing about what comes out of it.
    let total: u64 = match headers.get("content-encoding") {
        Ok(None) => headers
            .get("content-length")
            .ok()
            .flatten()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0),
        _ => 0,
    };
    progress(0, total);
    let mut bytes = Vec::new();
    let Some(body) = response.body() else {
        return Ok(bytes);
    };
    let reader: ReadableStreamDefaultReader = body
        .get_reader()
        .dyn_into()
        .map_err(|e| js_error(e.into()))?;
    loop {
        let piece = JsFuture::from(reader.read()).await.map_err(js_error)?;
        let done = Reflect::get(&piece, &"done".into()).map_err(js_error)?;
        if done.is_truthy() {
            return Ok(bytes);
        }
        let value: Uint8Array = Reflect::get(&piece, &"value".into())
            .and_then(JsCast::dyn_into)
            .map_err(js_error)?;
        let (at, more) = (bytes.len(), value.length() as usize);
        bytes
            .try_reserve(more)
            .map_err(|_| std::io::Error::from(ErrorKind::OutOfMemory))?;
        bytes.resize(at + more, 0);
        value.copy_to(&mut bytes[at..]);
        let done = bytes.len() as u64;
        // A server that understated the length has not told it.
        progress(done, if done <= total { total } else { 0 });
    }
}

/// Lets the browser handle everything that waits (painting, messages, input), then goes on.
///
/// A resolved promise is not enough: those run before anything else. A message to oneself is a task
/// of its own and, unlike a timer, has no least delay.
pub async fn yield_now() {
    let Ok(channel) = MessageChannel::new() else {
        return;
    };
    let (here, there) = (channel.port1(), channel.port2());
    let promise = Promise::new(&mut |resolve, _reject| {
        here.set_onmessage(Some(&resolve));
        if there.post_message(&JsValue::NULL).is_err() {
            // Nothing will come, so do not wait for it.
            let _ = resolve.call0(&JsValue::NULL);
        }
    });
    // The promise is only ever resolved.
    let _ = JsFuture::from(promise).await;
    here.close();
}

/// Seconds since the page or the worker started.
pub fn now_seconds() -> f64 {
    Reflect::get(&js_sys::global(), &"performance".into())
        .ok()
        .and_then(|p| p.dyn_into::<Performance>().ok())
        .map_or_else(|| js_sys::Date::now() / 1000.0, |p| p.now() / 1000.0)
}
