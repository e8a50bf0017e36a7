//! What the routes say of themselves: `/api/openapi.json`, made of what stands at each handler in [`super::api`].

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

/// The head of the description; the routes come from the router.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "DragEntity",
        description = "Jobs in, events and videos out. All paths begin with /api. Whether a token is needed, the server says when it \
                       starts.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/api")),
    security((), ("token" = [])),
    modifiers(&Token)
)]
pub struct Description;

struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", scheme);
    }
}

/// Why a request is not answered.
#[derive(ToSchema)]
#[expect(dead_code, reason = "says what super::answer::Refused becomes")]
pub struct Problem {
    /// A sentence that says what to do.
    error: String,
}

/// The parts of a job.
#[derive(ToSchema)]
#[expect(dead_code, reason = "says what super::upload::Upload reads")]
pub struct JobParts {
    /// A file: PNG, JPEG, WebP, GIF or BMP.
    #[schema(value_type = String, format = Binary)]
    picture: Vec<u8>,
    /// The JSON of a preset, or a link. Models without paths need none.
    preset: Option<String>,
    /// A file: what is behind the things. Without it that is filled.
    #[schema(value_type = Option<String>, format = Binary)]
    plate: Option<Vec<u8>>,
    /// `true` for what other models would follow, too: `reference.rgb` and `reference-masks.gray` then.
    reference: Option<String>,
    /// `2` or `4`: a network (RIFE) makes frames between those of the video, so many times as many a second.
    interpolate: Option<String>,
}

/// The parts of what was clicked.
#[derive(ToSchema)]
#[expect(dead_code, reason = "says what super::upload::ClickUpload reads")]
pub struct ClickParts {
    /// A file: PNG, JPEG, WebP, GIF or BMP.
    #[schema(value_type = String, format = Binary)]
    picture: Vec<u8>,
    /// JSON, fractions of the picture: `[{"x": 0.5, "y": 0.5, "positive": true}]`.
    clicks: Option<String>,
    /// JSON, in place of clicks or beside them: `[left, top, right, bottom]`.
    bounds: Option<String>,
    /// The mask so far, a grey PNG.
    #[schema(value_type = Option<String>, format = Binary)]
    previous: Option<Vec<u8>>,
    /// 0 is what one click alone means most likely, 1 the next.
    candidate: Option<String>,
}
