//! What is under `/api`: jobs in, events and videos out.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/healthz` (and `/healthz`) | version and how many jobs wait and run; needs no token |
//! | `GET /api/info` | devices, model, what makes masks, limits |
//! | `POST /api/jobs` | takes a job: `multipart/form-data` with `picture` (a file) and `preset` (JSON; not for models without paths) |
//! | `POST /api/masks` | the mask of what was clicked, as a grey PNG: `multipart/form-data` with `picture` (a file), `clicks` (JSON: `[{"x": 0.5, "y": 0.5, "positive": true}]`, fractions of the picture) and perhaps `previous` (the PNG of the mask so far) |
//! | `GET /api/jobs/{id}` | the newest of each kind of [`JobEvent`] |
//! | `GET /api/jobs/{id}/events` | the same and what follows, as server-sent events |
//! | `GET /api/jobs/{id}/preview.rgb`, `video.rgb` | frames one after another, 3 bytes a pixel: what the page plays |
//! | `GET /api/jobs/{id}/reference.rgb`, `reference-masks.gray` | what other models would follow, and where (1 byte a pixel), of a job with the part `reference` |
//! | `GET /api/jobs/{id}/video.mp4`, `video.gif`, `frames/{k}.png` | the result as files |
//! | `DELETE /api/jobs/{id}` | cancels it, or forgets its result |
//! | `GET /api/openapi.json` | all of this as OpenAPI |
//!
//! The page plays frames, not films: MP4 is lossy, decodes behind a `<video>` element only, and one PNG a frame would
//! be a request each; the bytes of eight small frames are 1.5 MB, of the largest video 113. Errors are
//! `{"error": "a sentence"}`.

use super::about::About;
use super::answer::{RETRY_AFTER, Refused, answer, refuse, with_type};
use super::clicks::{Clicks, NoMask};
use super::entry::Entry;
use super::events;
use super::openapi::{ClickParts, Description, JobParts, Problem};
use super::queue::{KEPT_FOR, Queue, Refusal};
use super::shares::Shares;
use super::upload::{ClickUpload, MOST_BYTES, Upload, too_large};
use axum::Extension;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dragentity_core::error::{Error, Result};
use dragentity_core::job::Reference;
use dragentity_core::scene::picture::{MAX_PIXELS, MAX_SIDE, encode_png};
use dragentity_core::scene::settings::{MAX_FRAMES, MAX_STEPS, SIDES};
use dragentity_core::{JobEvent, Video};
use dragentity_media as media;
use dragentity_page_server::Peer;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

/// Bodies that are read at the same time, and how many of them from one address.
const UPLOADS: (usize, usize) = (4, 2);
/// Pictures that are decoded, and films that are encoded, at the same time.
const CODECS: usize = 2;
/// What the handlers share.
pub struct Api {
    /// The jobs.
    pub queue: Arc<Queue>,
    /// What runs them.
    pub about: About,
    /// What makes masks, if anything does.
    pub clicks: Option<Clicks>,
    uploads: Shares,
    codecs: Semaphore,
}

impl Api {
    /// On these jobs.
    pub fn new(queue: Arc<Queue>, about: About, clicks: Option<Clicks>) -> Self {
        Self {
            queue,
            about,
            clicks,
            uploads: Shares::new(UPLOADS.0, UPLOADS.1),
            codecs: Semaphore::new(CODECS),
        }
    }

    /// Does what takes a processor for a while, not too much of it at once.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T, Refused> {
        let _permit = self.codecs.acquire().await;
        let done = tokio::task::spawn_blocking(work).await.map_err(|_| {
            // Reported where it happened.
            let why =
                "the server failed at this; send something else, or look into what it printed";
            refuse(StatusCode::INTERNAL_SERVER_ERROR, why)
        })?;
        done.map_err(failed)
    }

    fn entry(&self, id: &str) -> Result<Arc<Entry>, Refused> {
        self.queue.find(id).ok_or_else(|| {
            let minutes = KEPT_FOR.as_secs() / 60;
            let why = format!(
                "there is no such job; it may have ended more than {minutes} minutes ago, send it again"
            );
            refuse(StatusCode::NOT_FOUND, why)
        })
    }

    fn result(&self, id: &str) -> Result<(Arc<Entry>, Arc<Video>), Refused> {
        let entry = self.entry(id)?;
        let video = entry.result().ok_or_else(|| {
            refuse(
                StatusCode::CONFLICT,
                "there is no video yet; wait until the job's events say \"done\"",
            )
        })?;
        Ok((entry, video))
    }

    fn reference(&self, id: &str) -> Result<Arc<Reference>, Refused> {
        let (entry, _) = self.result(id)?;
        entry.reference().ok_or_else(|| {
            let why = "this job was sent without the part \"reference\"; send it again with \"true\" as such";
            refuse(StatusCode::NOT_FOUND, why)
        })
    }
}

/// An error of what was sent, or of the server.
fn failed(error: Error) -> Refused {
    let status = match error {
        Error::Picture { .. } | Error::Preset(_) | Error::Job(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refuse(status, error.to_string())
}

type Shared = State<Arc<Api>>;
type Answer = Result<Response, Refused>;

/// The routes that do something, each with what its handler says of it.
fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(health))
        .routes(routes!(info))
        .routes(routes!(submit).layer(DefaultBodyLimit::max(MOST_BYTES)))
        .routes(routes!(mask).layer(DefaultBodyLimit::max(MOST_BYTES)))
        .routes(routes!(state, cancel))
        .routes(routes!(follow))
        .routes(routes!(preview))
        .routes(routes!(raw))
        .routes(routes!(reference))
        .routes(routes!(reference_masks))
        .routes(routes!(mp4))
        .routes(routes!(gif))
        .routes(routes!(frame))
        .routes(routes!(description))
}

/// Everything under `/api`.
pub fn routes(api: Arc<Api>) -> Router {
    let (routes, _) = described().split_for_parts();
    routes
        .fallback(async || refuse(StatusCode::NOT_FOUND, "there is nothing here under /api"))
        .method_not_allowed_fallback(async || {
            refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "this can be asked for, but not in this way",
            )
        })
        .with_state(api)
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"))
)]
async fn description() -> Response {
    // What is known when the program is built has a JSON form.
    let text = described().into_openapi().to_json().unwrap_or_default();
    with_type(StatusCode::OK, "application/json", text)
}

/// Whether it lives.
#[utoipa::path(
    get,
    path = "/healthz",
    responses(
        (status = 200, description = "version, and how many jobs wait and run; needs no token", content_type = "application/json")
    )
)]
pub async fn health(State(api): Shared) -> Response {
    let (waiting, running) = api.queue.lengths();
    let status = if api.queue.is_stopping() {
        "stopping"
    } else {
        "ok"
    };
    answer(
        StatusCode::OK,
        &json!({
            "status": status, "version": env!("CARGO_PKG_VERSION"), "queued": waiting, "running": running,
        }),
    )
}

/// What the server is.
#[utoipa::path(
    get,
    path = "/info",
    responses(
        (status = 200, description = "devices, model, what makes masks, limits", content_type = "application/json")
    )
)]
async fn info(State(api): Shared) -> Response {
    let (waiting, running) = api.queue.lengths();
    answer(
        StatusCode::OK,
        &json!({
            "dragentity": env!("CARGO_PKG_VERSION"),
            "devices": api.about.devices,
            "model": api.about.model_json(),
            "why": api.about.model.as_ref().err(),
            "segmenter": api.clicks.as_ref().map(|clicks| &clicks.name),
            "queued": waiting,
            "running": running,
            "limits": {
                "bytes": MOST_BYTES, "queue": api.queue.most(), "frames": MAX_FRAMES, "steps": MAX_STEPS,
                "sides": SIDES, "picture_side": MAX_SIDE, "picture_pixels": MAX_PIXELS,
                "kept_seconds": KEPT_FOR.as_secs(),
            },
        }),
    )
}

/// The parts of a body, of which it takes `what` to be in words.
async fn parts(request: Request, what: &str) -> Result<Multipart, Refused> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|l| l.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MOST_BYTES as u64) {
        return Err(too_large());
    }
    Multipart::from_request(request, &())
        .await
        .map_err(|_| refuse(StatusCode::BAD_REQUEST, what))
}

/// Makes the mask of what was clicked.
#[utoipa::path(
    post,
    path = "/masks",
    request_body(content = ClickParts, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "white where the thing is", content_type = "image/png"),
        (status = 400, description = "what was sent is wrong", body = Problem),
        (status = 404, description = "this server makes no masks", body = Problem),
        (status = 413, description = "too much was sent", body = Problem),
        (status = 429, description = "others are clicking; Retry-After says when to come again", body = Problem)
    )
)]
async fn mask(
    State(api): Shared,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Answer {
    let Some(clicks) = &api.clicks else {
        return Err(refuse(
            StatusCode::NOT_FOUND,
            "this server makes no masks; start it with --segmenter",
        ));
    };
    let parts = parts(
        request,
        "clicks are sent as multipart/form-data with the parts \"picture\" and \"clicks\"",
    )
    .await?;
    let Some(place) = api.uploads.take(peer) else {
        return Err(later("others are sending just now"));
    };
    let upload = ClickUpload::read(parts).await?;
    drop(place);
    let job = api.compute(move || upload.job()).await?;
    let mask = clicks.mask(job).await.map_err(|why| match why {
        NoMask::Busy => later("others are clicking just now"),
        NoMask::Failed(error) => failed(error),
    })?;
    let png = api.compute(move || mask.to_png()).await?;
    Ok(with_type(StatusCode::OK, "image/png", png))
}

/// Takes a job.
#[utoipa::path(
    post,
    path = "/jobs",
    request_body(content = JobParts, content_type = "multipart/form-data"),
    responses(
        (status = 202, description = "taken: its id, and how many jobs are before it", content_type = "application/json"),
        (status = 400, description = "what was sent is wrong", body = Problem),
        (status = 413, description = "too much was sent", body = Problem),
        (status = 429, description = "the queue is full; Retry-After says when to come again", body = Problem),
        (status = 503, description = "the server is stopping", body = Problem)
    )
)]
async fn submit(
    State(api): Shared,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Answer {
    let stopping = || {
        refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is stopping and takes no more jobs",
        )
    };
    if api.queue.is_stopping() {
        return Err(stopping());
    }
    let parts = parts(
        request,
        "a job is sent as multipart/form-data with the parts \"picture\" and \"preset\"",
    )
    .await?;
    let Some(_place) = api.uploads.take(peer) else {
        return Err(later("others are sending jobs just now"));
    };
    let upload = Upload::read(parts).await?;
    let extras = upload.extras;
    let model = api.about.model.as_ref().ok().cloned();
    let job = api.compute(move || upload.job(model.as_ref())).await?;
    let entry = api.queue.submit(job, extras);
    let entry = entry.map_err(|refusal| match refusal {
        Refusal::Full => later(&format!(
            "{} jobs are waiting already, and more are not taken",
            api.queue.most()
        )),
        Refusal::Stopping => stopping(),
    })?;
    let place = |(_, event)| match event {
        JobEvent::Queued { ahead } => Some(ahead),
        _ => None,
    };
    let ahead = entry.events(0).into_iter().find_map(place).unwrap_or(0);
    let id = &entry.id;
    let mut response = answer(StatusCode::ACCEPTED, &json!({"id": id, "ahead": ahead}));
    if let Ok(place) = HeaderValue::from_str(&format!("/api/jobs/{id}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Turns somebody away for a moment.
fn later(why: &str) -> Refused {
    let why = format!("{why}; send it again in {RETRY_AFTER} seconds");
    refuse(StatusCode::TOO_MANY_REQUESTS, why)
}

/// How a job stands.
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    params(("id" = String, Path, description = "of the job")),
    responses(
        (status = 200, description = "the newest of each kind of event", content_type = "application/json"),
        (status = 404, description = "there is no such job, or no longer", body = Problem)
    )
)]
async fn state(State(api): Shared, Path(id): Path<String>) -> Answer {
    let events = api.entry(&id)?.events(0);
    let events: Vec<_> = events.into_iter().map(|(_, event)| event).collect();
    Ok(answer(StatusCode::OK, &json!({"id": id, "news": events})))
}

/// Cancels a job, or forgets its result.
#[utoipa::path(
    delete,
    path = "/jobs/{id}",
    params(("id" = String, Path, description = "of the job")),
    responses(
        (status = 204, description = "cancelled, or forgotten"),
        (status = 404, description = "there is no such job, or no longer", body = Problem)
    )
)]
async fn cancel(State(api): Shared, Path(id): Path<String>) -> Answer {
    if api.queue.cancel(&id) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    // Says what is known of such jobs.
    api.entry(&id)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What happens to a job.
#[utoipa::path(
    get,
    path = "/jobs/{id}/events",
    params(
        ("id" = String, Path, description = "of the job"),
        ("last-event-id" = Option<u64>, Header, description = "goes on behind this event")
    ),
    responses(
        (status = 200, description = "the same and what follows, as server-sent events", content_type = "text/event-stream"),
        (status = 404, description = "there is no such job, or no longer", body = Problem)
    )
)]
async fn follow(State(api): Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let after = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    Ok(events::stream(api.entry(&id)?, after).into_response())
}

/// The newest preview.
#[utoipa::path(
    get,
    path = "/jobs/{id}/preview.rgb",
    params(("id" = String, Path, description = "of the job")),
    responses(
        (status = 200, description = "frames one after another, 3 bytes a pixel", content_type = "application/octet-stream"),
        (status = 204, description = "there is none yet, or none any more"),
        (status = 404, description = "there is no such job, or no longer", body = Problem)
    )
)]
async fn preview(State(api): Shared, Path(id): Path<String>) -> Answer {
    // None yet, or none any more: neither is anybody's mistake.
    let nothing = || StatusCode::NO_CONTENT.into_response();
    Ok(api.entry(&id)?.preview().map_or_else(nothing, frames))
}

/// The video as the page plays it.
#[utoipa::path(
    get,
    path = "/jobs/{id}/video.rgb",
    params(("id" = String, Path, description = "of the job")),
    responses(
        (status = 200, description = "frames one after another, 3 bytes a pixel", content_type = "application/octet-stream"),
        (status = 404, description = "there is no such job, or no longer", body = Problem),
        (status = 409, description = "there is no video yet", body = Problem)
    )
)]
async fn raw(State(api): Shared, Path(id): Path<String>) -> Answer {
    Ok(frames(api.result(&id)?.1))
}

/// What other models would follow: the frames of the same motion without a network.
#[utoipa::path(
    get,
    path = "/jobs/{id}/reference.rgb",
    params(("id" = String, Path, description = "of the job")),
    responses(
        (status = 200, description = "frames one after another, 3 bytes a pixel", content_type = "application/octet-stream"),
        (status = 404, description = "there is no such job, or no longer, or it was not asked for", body = Problem),
        (status = 409, description = "there is no video yet", body = Problem)
    )
)]
async fn reference(State(api): Shared, Path(id): Path<String>) -> Answer {
    let reference = api.reference(&id)?;
    let count = reference.video.frames.len();
    Ok(pieces(reference, count, |whole, index| {
        &whole.video.frames[index]
    }))
}

/// Where those are followed.
#[utoipa::path(
    get,
    path = "/jobs/{id}/reference-masks.gray",
    params(("id" = String, Path, description = "of the job")),
    responses(
        (
            status = 200,
            description = "masks one after another, a byte a pixel: 0 outside, 128 to 255 inside, by how closely",
            content_type = "application/octet-stream"
        ),
        (status = 404, description = "there is no such job, or no longer, or it was not asked for", body = Problem),
        (status = 409, description = "there is no video yet", body = Problem)
    )
)]
async fn reference_masks(State(api): Shared, Path(id): Path<String>) -> Answer {
    let reference = api.reference(&id)?;
    let count = reference.closely.len();
    Ok(pieces(reference, count, |whole, index| {
        &whole.closely[index].alpha
    }))
}

/// One piece of what others have, too.
struct Piece<T> {
    whole: Arc<T>,
    index: usize,
    of: fn(&T, usize) -> &[u8],
}

impl<T> AsRef<[u8]> for Piece<T> {
    fn as_ref(&self) -> &[u8] {
        (self.of)(&self.whole, self.index)
    }
}

/// The frames as they are.
fn frames(video: Arc<Video>) -> Response {
    let count = video.frames.len();
    pieces(video, count, |video, index| &video.frames[index])
}

/// Bytes as they are, one piece of the body each.
fn pieces<T: Send + Sync + 'static>(
    whole: Arc<T>,
    count: usize,
    of: fn(&T, usize) -> &[u8],
) -> Response {
    let length: usize = (0..count).map(|index| of(&whole, index).len()).sum();
    let pieces = (0..count).map(move |index| {
        let whole = whole.clone();
        Ok::<_, std::convert::Infallible>(Bytes::from_owner(Piece { whole, index, of }))
    });
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let mut response = with_type(StatusCode::OK, "application/octet-stream", body);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// The video as MP4.
#[utoipa::path(
    get,
    path = "/jobs/{id}/video.mp4",
    params(("id" = String, Path, description = "of the job")),
    responses(
        (status = 200, description = "the result", content_type = "video/mp4"),
        (status = 404, description = "there is no such job, or no longer", body = Problem),
        (status = 409, description = "there is no video yet", body = Problem)
    )
)]
async fn mp4(State(api): Shared, Path(id): Path<String>) -> Answer {
    film(&api, &id, "video/mp4", media::mp4::encode).await
}

/// The video as GIF.
#[utoipa::path(
    get,
    path = "/jobs/{id}/video.gif",
    params(("id" = String, Path, description = "of the job")),
    responses(
        (status = 200, description = "the result", content_type = "image/gif"),
        (status = 404, description = "there is no such job, or no longer", body = Problem),
        (status = 409, description = "there is no video yet", body = Problem)
    )
)]
async fn gif(State(api): Shared, Path(id): Path<String>) -> Answer {
    film(&api, &id, "image/gif", media::gif::encode).await
}

/// The result as a file, at the size at which `generate` saves it.
async fn film(
    api: &Api,
    id: &str,
    kind: &'static str,
    encode: fn(&Video) -> Result<Vec<u8>>,
) -> Answer {
    let (entry, video) = api.result(id)?;
    let bytes = api.compute(move || {
        let (width, height) = media::view_size((video.width, video.height), entry.picture, None);
        let shown = media::resized(&video, width, height)?;
        encode(&shown)
    });
    Ok(with_type(StatusCode::OK, kind, bytes.await?))
}

/// One frame of the video.
#[utoipa::path(
    get,
    path = "/jobs/{id}/frames/{frame}",
    params(
        ("id" = String, Path, description = "of the job"),
        ("frame" = String, Path, description = "0.png is the first")
    ),
    responses(
        (status = 200, description = "one frame", content_type = "image/png"),
        (status = 404, description = "there is no such job, or no longer", body = Problem),
        (status = 409, description = "there is no video yet", body = Problem)
    )
)]
async fn frame(State(api): Shared, Path((id, name)): Path<(String, String)>) -> Answer {
    let (_, video) = api.result(&id)?;
    let number = name
        .strip_suffix(".png")
        .and_then(|n| n.parse::<usize>().ok());
    let Some(number) = number.filter(|n| *n < video.frames.len()) else {
        let last = video.frames.len().saturating_sub(1);
        let why = format!("there is no such frame; they are 0.png to {last}.png");
        return Err(refuse(StatusCode::NOT_FOUND, why));
    };
    let png = api.compute(move || encode_png(video.width, video.height, &video.frames[number]));
    Ok(with_type(StatusCode::OK, "image/png", png.await?))
}
