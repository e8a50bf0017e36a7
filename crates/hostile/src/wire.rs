//! What page and server say to each other.

use super::{choice, read};
use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use axum::response::IntoResponse;
use dragentity::server::{ClickUpload, Upload};
use dragentity::web::wire::EventReader;
use dragentity_core::JobEvent;
use std::convert::Infallible;

/// A form whose body comes in pieces as long as the first byte says, as a handler gets it.
async fn form(bytes: &[u8]) -> Option<Multipart> {
    let (piece, bytes) = choice(bytes);
    let pieces: Vec<_> = bytes
        .chunks(piece + 1)
        .map(|piece| Ok::<_, Infallible>(piece.to_vec()))
        .collect();
    let request = Request::post("/")
        .header("content-type", "multipart/form-data; boundary=edge")
        .body(Body::from_stream(futures_util::stream::iter(pieces)))
        .ok()?;
    Multipart::from_request(request, &()).await.ok()
}

/// Runs what waits for a body. A runtime of its own each time: nothing is left over for the next.
fn serve(work: impl Future<Output = ()>) {
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
    {
        runtime.block_on(work);
    }
}

/// The body of `POST /api/jobs`.
pub(super) fn job_body(bytes: &[u8]) {
    serve(async {
        let Some(parts) = form(bytes).await else {
            return;
        };
        match Upload::read(parts).await {
            Ok(upload) => {
                read(upload.job(None));
            }
            Err(refused) => assert!(refused.into_response().status().is_client_error()),
        }
    });
}

/// The body of `POST /api/masks`.
pub(super) fn click_body(bytes: &[u8]) {
    serve(async {
        let Some(parts) = form(bytes).await else {
            return;
        };
        match ClickUpload::read(parts).await {
            Ok(upload) => {
                read(upload.job());
            }
            Err(refused) => assert!(refused.into_response().status().is_client_error()),
        }
    });
}

/// The stream of events that a server sends to the page, which comes in pieces as long as the first byte says.
pub(super) fn events(bytes: &[u8]) {
    let (piece, bytes) = choice(bytes);
    let mut reader = EventReader::default();
    for piece in bytes.chunks(piece + 1) {
        for (_, event) in reader.push(piece) {
            if let JobEvent::Done(size) = &event {
                let _ = size.video(bytes);
            }
            let _ = event.to_json();
        }
    }
}
