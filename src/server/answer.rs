//! What every route answers with, and how it refuses.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Seconds after which somebody who was turned away may ask again.
pub const RETRY_AFTER: u32 = 5;

/// Why a request is not answered: a status, and a sentence that says what to do.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    why: String,
}

/// An error as every route tells it.
pub fn refuse(status: StatusCode, why: impl Into<String>) -> Refused {
    Refused {
        status,
        why: why.into(),
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = answer(self.status, &json!({"error": self.why}));
        let header = match self.status {
            StatusCode::TOO_MANY_REQUESTS => (header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER)),
            StatusCode::UNAUTHORIZED => {
                (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            _ => return response,
        };
        response.headers_mut().extend([header]);
        response
    }
}

/// JSON.
pub fn answer(status: StatusCode, value: &Value) -> Response {
    with_type(status, "application/json", value.to_string())
}

/// A body of a media type, which nobody may keep.
pub fn with_type(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = (status, body.into()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
