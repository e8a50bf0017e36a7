//! A `dragentity serve`, as the page talks to it.

use super::dom;
use crate::web::editor::SegmentRequest;
use crate::web::wire::{EventReader, form_body};
use dragentity_core::event::Size;
use dragentity_core::scene::Mask;
use dragentity_core::{JobEvent, Video};
use js_sys::{Promise, Reflect, Uint8Array};
use serde::Deserialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, ReadableStreamDefaultReader, RequestInit, Response};

/// How long a server may take to say what it is, in milliseconds.
const SHORT: i32 = 8_000;
/// How long it may be silent otherwise. Its event streams have a sign of life every ten seconds.
const SILENCE: i32 = 35_000;

/// Where a server is, and what opens it.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Its routes' address, without a slash at the end.
    pub base: String,
    /// The token; may be empty.
    pub token: String,
}

/// What a server says of itself.
#[derive(Clone, Deserialize)]
pub struct Info {
    /// What it runs jobs on.
    pub devices: Vec<String>,
    /// With which model; `None` when it cannot be used.
    pub model: Option<ModelInfo>,
    /// Why it cannot.
    pub why: Option<String>,
    /// What makes masks of clicks there, if anything does.
    #[serde(default)]
    pub segmenter: Option<String>,
}

/// What a server says of its model.
#[derive(Clone, Deserialize)]
pub struct ModelInfo {
    /// Its name.
    pub name: String,
    /// How many frames it makes unless it is told otherwise.
    pub frames: u32,
    /// In how many steps.
    pub steps: u32,
    /// How many a second.
    pub fps: u32,
}

/// Why a server does not do what it was asked.
#[derive(Debug)]
pub enum Trouble {
    /// It does not answer, for this reason.
    Away(String),
    /// It answers that it will not.
    Refused {
        /// HTTP's number for it.
        status: u16,
        /// Why, in a sentence.
        why: String,
    },
}

fn away(error: &JsValue) -> Trouble {
    Trouble::Away(dom::reason(error))
}

/// What a promise becomes, unless it takes longer than `ms` milliseconds.
async fn in_time(promise: &Promise, ms: i32) -> Result<JsValue, Trouble> {
    let mut timer = 0;
    let late = Promise::new(&mut |_, reject| {
        let reason = js_sys::Error::new("it took too long");
        timer = dom::window()
            .set_timeout_with_callback_and_timeout_and_arguments_1(&reject, ms, &reason)
            .unwrap_or(0);
    });
    let first = JsFuture::from(Promise::race(&js_sys::Array::of2(promise, &late))).await;
    dom::window().clear_timeout_with_handle(timer);
    first.map_err(|e| away(&e))
}

/// Closes a stream that nobody reads any more.
fn close(reader: &ReadableStreamDefaultReader) {
    let closed = reader.cancel();
    // Fails where the stream has failed already; unheard, that would be an error of the page.
    wasm_bindgen_futures::spawn_local(async move {
        let _ = JsFuture::from(closed).await;
    });
}

impl Server {
    /// Asks for something. Whatever is not a success is [`Trouble::Refused`] with the server's own sentence.
    async fn request(
        &self,
        method: &str,
        path: &str,
        patience: i32,
        set: impl FnOnce(&RequestInit, &Headers),
    ) -> Result<Response, Trouble> {
        let headers = Headers::new().map_err(|e| away(&e))?;
        if !self.token.is_empty() {
            let set = headers.set("authorization", &format!("Bearer {}", self.token));
            // Characters that no header may have.
            set.map_err(|_| Trouble::Refused {
                status: 401,
                why: "the token has characters that no token has; type it again".into(),
            })?;
        }
        let init = RequestInit::new();
        init.set_method(method);
        set(&init, &headers);
        init.set_headers(&headers);
        let url = format!("{}/{path}", self.base);
        let asked = dom::window().fetch_with_str_and_init(&url, &init);
        let response: Response = in_time(&asked, patience).await?.unchecked_into();
        if response.ok() {
            return Ok(response);
        }
        let status = response.status();
        let said = match response.text() {
            Ok(text) => in_time(&text, SHORT).await?.as_string().unwrap_or_default(),
            Err(_) => String::new(),
        };
        #[derive(Deserialize)]
        struct Said {
            error: String,
        }
        let why = serde_json::from_str::<Said>(&said)
            .map_or_else(|_| format!("it answered {status}"), |said| said.error);
        Err(Trouble::Refused { status, why })
    }

    /// What it is.
    pub async fn info(&self) -> Result<Info, Trouble> {
        let response = self.request("GET", "info", SHORT, |_, _| {}).await?;
        let text = in_time(&response.text().map_err(|e| away(&e))?, SHORT).await?;
        serde_json::from_str(&text.as_string().unwrap_or_default())
            .map_err(|_| Trouble::Away("what answers there is not \"dragentity serve\"".into()))
    }

    /// Sends a job, and returns its name.
    pub async fn submit(
        &self,
        picture: &[u8],
        others: &[(&str, &[u8])],
        signal: &AbortSignal,
    ) -> Result<String, Trouble> {
        let (kind, body) = form_body(picture, others);
        let set = |init: &RequestInit, headers: &Headers| {
            // The value is ours.
            let _ = headers.set("content-type", &kind);
            init.set_body(&Uint8Array::from(body.as_slice()));
            init.set_signal(Some(signal));
        };
        // However long a slow line takes to send it; who loses patience cancels.
        let response = self.request("POST", "jobs", i32::MAX, set).await?;
        #[derive(Deserialize)]
        struct Taken {
            id: String,
        }
        let text = in_time(&response.text().map_err(|e| away(&e))?, SILENCE).await?;
        let taken: Taken = serde_json::from_str(&text.as_string().unwrap_or_default())
            .map_err(|_| Trouble::Away("its answer makes no sense".into()))?;
        Ok(taken.id)
    }

    /// The mask that is asked for; picture and mask so far as PNG.
    pub async fn mask(
        &self,
        picture: &[u8],
        request: &SegmentRequest,
        previous: Option<&[u8]>,
        signal: &AbortSignal,
    ) -> Result<Mask, Trouble> {
        // Numbers always have a form in JSON.
        let json = |bytes: serde_json::Result<Vec<u8>>| bytes.unwrap_or_default();
        let clicks = json(serde_json::to_vec(&request.clicks));
        let candidate = json(serde_json::to_vec(&request.candidate));
        let bounds = request.bounds.map(|b| json(serde_json::to_vec(&b)));
        let mut parts = vec![
            ("clicks", clicks.as_slice()),
            ("candidate", candidate.as_slice()),
        ];
        parts.extend(bounds.as_deref().map(|bounds| ("bounds", bounds)));
        parts.extend(previous.map(|previous| ("previous", previous)));
        let (kind, body) = form_body(picture, &parts);
        let set = |init: &RequestInit, headers: &Headers| {
            let _ = headers.set("content-type", &kind);
            init.set_body(&Uint8Array::from(body.as_slice()));
            init.set_signal(Some(signal));
        };
        // A picture that is new to a slow server takes long; who loses patience cancels.
        let response = self.request("POST", "masks", i32::MAX, set).await?;
        let buffer = response.array_buffer().map_err(|e| away(&e))?;
        let png = Uint8Array::new(&in_time(&buffer, SILENCE).await?).to_vec();
        Mask::from_png(&png, "the server's mask").map_err(|e| Trouble::Away(e.to_string()))
    }

    /// Hears a job's events after number `after` until the last, which is returned; `None` when the stream ends before.
    pub async fn follow(
        &self,
        id: &str,
        after: u64,
        signal: &AbortSignal,
        mut on_event: impl FnMut(u64, &JobEvent),
    ) -> Result<Option<JobEvent>, Trouble> {
        let set = |init: &RequestInit, headers: &Headers| {
            let _ = headers.set("last-event-id", &after.to_string());
            init.set_signal(Some(signal));
        };
        let path = format!("jobs/{id}/events");
        let response = self.request("GET", &path, SILENCE, set).await?;
        let Some(body) = response.body() else {
            return Ok(None);
        };
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        let mut events = EventReader::default();
        loop {
            let piece = match in_time(&reader.read(), SILENCE).await {
                Ok(piece) => piece,
                Err(trouble) => {
                    close(&reader);
                    return Err(trouble);
                }
            };
            let value = Reflect::get(&piece, &"value".into()).unwrap_or_default();
            let Some(bytes) = value.dyn_ref::<Uint8Array>() else {
                return Ok(None);
            };
            for (number, event) in events.push(&bytes.to_vec()) {
                on_event(number, &event);
                if event.is_last() {
                    close(&reader);
                    return Ok(Some(event));
                }
            }
        }
    }

    /// A file of a job.
    pub async fn file(&self, id: &str, file: &str) -> Result<Vec<u8>, Trouble> {
        let path = format!("jobs/{id}/{file}");
        let response = self.request("GET", &path, SILENCE, |_, _| {}).await?;
        let buffer = response.array_buffer().map_err(|e| away(&e))?;
        // Large videos take long on a slow line.
        Ok(Uint8Array::new(&in_time(&buffer, i32::MAX).await?).to_vec())
    }

    /// Frames of a job: `preview.rgb` or `video.rgb`.
    pub async fn frames(&self, id: &str, file: &str, size: Size) -> Result<Video, Trouble> {
        size.video(&self.file(id, file).await?)
            .ok_or_else(|| Trouble::Away("the frames that came are not those it told of".into()))
    }

    /// Cancels a job, or has it forgotten. Goes on though the page may be left, and is not waited for.
    pub fn forget(&self, id: &str) {
        let (server, path) = (self.clone(), format!("jobs/{id}"));
        wasm_bindgen_futures::spawn_local(async move {
            let set = |init: &RequestInit, _: &Headers| {
                let _ = Reflect::set(init, &"keepalive".into(), &true.into());
            };
            // Should it not arrive, the server forgets the job by itself.
            let _ = server.request("DELETE", &path, SHORT, set).await;
        });
    }
}
