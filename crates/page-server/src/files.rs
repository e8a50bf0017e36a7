//! The built page: static files, compressed, with validators.

use crate::origin;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dragentity_core::error::{Error, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::services::ServeDir;

/// What the page may load: its own files, what it made itself (blobs), and nothing from elsewhere. WebAssembly counts as evaluated
/// code. What `index.html` says of itself is stricter, and holds on any host.
const POLICY: &str = "default-src 'self' blob: data:; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
                      object-src 'none'; base-uri 'self'; frame-ancestors 'none'";

/// What the page itself says it may connect to; replaced where other servers are allowed.
const CONNECT: &str = "connect-src 'self'";
/// Tells the page that jobs can be sent to where it came from. Elsewhere it does not ask: a browser prints every answer
/// "not found" as an error.
const MARK: &str = "<head>\n  <meta name=\"dragentity-jobs\" content=\"api\">";
/// The same, where jobs need a token.
const MARK_TOKEN: &str = "<head>\n  <meta name=\"dragentity-jobs\" content=\"api\" data-token>";

/// Whether the page is told that the server it comes from runs jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// It serves the page and nothing else.
    Nowhere,
    /// It runs jobs.
    Here {
        /// Whether it wants to know who asks.
        needs_token: bool,
    },
}

/// The page's folder, and which other servers it may use.
pub struct Page {
    dir: PathBuf,
    connect: Vec<String>,
    jobs: Jobs,
}

impl Page {
    /// The page built in `dir`, which may connect to the origins `connect` beside its own.
    ///
    /// # Errors
    /// [`Error::Job`] when there is no page, or an old one that allows no other servers.
    pub fn new(dir: &Path, connect: &[String], jobs: Jobs) -> Result<Self> {
        let page = Self {
            dir: dir.to_path_buf(),
            connect: connect.iter().map(|c| origin(c)).collect::<Result<_>>()?,
            jobs,
        };
        let index = std::fs::read_to_string(page.index()).map_err(|_| {
            Error::Job(format!(
                "{}: there is no built page here (no index.html); build it with ./serve or \"trunk build --release\", or \
                 name its folder with --dir",
                dir.display()
            ))
        })?;
        if !page.connect.is_empty() && !index.contains(CONNECT) {
            return Err(Error::Job(format!(
                "{}: this page allows no other servers; build it again, or leave out --connect",
                dir.display()
            )));
        }
        Ok(page)
    }

    fn index(&self) -> PathBuf {
        self.dir.join("index.html")
    }

    /// `connect-src` with all servers.
    fn connects(&self) -> String {
        self.connect
            .iter()
            .fold(CONNECT.to_owned(), |all, one| format!("{all} {one}"))
    }
}

/// The page's start, read anew: it may have been built again.
async fn index(State(page): State<Arc<Page>>) -> Response {
    let html = match tokio::fs::read_to_string(page.index()).await {
        Ok(html) => html,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let why = "There is no page here any more; build it again, then reload.\n";
            return (StatusCode::NOT_FOUND, why).into_response();
        }
        Err(error) => {
            // What is wrong with the disk is for who runs the server; who asks can only come again.
            eprintln!("error: {}: {error}", page.index().display());
            let why = "The page's index.html cannot be read here; try again later.\n";
            return (StatusCode::INTERNAL_SERVER_ERROR, why).into_response();
        }
    };
    let mark = match page.jobs {
        Jobs::Nowhere => "<head>",
        Jobs::Here { needs_token: false } => MARK,
        Jobs::Here { needs_token: true } => MARK_TOKEN,
    };
    let html = html
        .replacen("<head>", mark, 1)
        .replace(CONNECT, &page.connects());
    let mut hasher = DefaultHasher::new();
    html.hash(&mut hasher);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::ETAG, &tag),
    ];
    (headers, html).into_response()
}

/// The page's files.
pub fn routes(page: &Arc<Page>) -> Router {
    // Weights do not shrink, and uncompressed they keep the length that a progress bar needs.
    let worth_it =
        DefaultPredicate::new().and(NotForContentType::const_new("application/octet-stream"));
    let files = ServeDir::new(&page.dir)
        .precompressed_br()
        .precompressed_gzip();
    Router::new()
        .route("/", get(index))
        .route("/index.html", get(index))
        .fallback_service(files)
        .with_state(page.clone())
        .layer(from_fn(validated))
        .layer(CompressionLayer::new().compress_when(worth_it))
}

/// Headers for everything that is served: what the page may do, and where it may be shown.
pub fn with_policy(routes: Router, page: &Page) -> Router {
    // The origins were checked: letters, digits and a few signs.
    let policy = HeaderValue::from_str(&format!("{POLICY}; {}", page.connects()))
        .unwrap_or_else(|_| HeaderValue::from_static(POLICY));
    routes
        .layer(from_fn(one_host))
        .layer(from_fn_with_state(policy, add_policy))
}

/// Refuses what is sent to two hosts: whoever stands in front of this server may have looked at the other one.
async fn one_host(request: Request, next: Next) -> Response {
    if request
        .headers()
        .get_all(header::HOST)
        .iter()
        .nth(1)
        .is_some()
    {
        let why = "There is more than one Host in this request; send one.\n";
        return (StatusCode::BAD_REQUEST, why).into_response();
    }
    next.run(request).await
}

/// Gives every whole file a validator, and answers "not modified" to those who have it already.
async fn validated(mut request: Request, next: Next) -> Response {
    let known = request.headers_mut().remove(header::IF_NONE_MATCH);
    if known.is_some() {
        // The date is the coarser one of the two, and not to be looked at where both are given (RFC 9110, 13.1.3).
        request.headers_mut().remove(header::IF_MODIFIED_SINCE);
    }
    let mut response = next.run(request).await;
    // Revalidate each time: names are the same in every build.
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if response.status() == StatusCode::NOT_FOUND {
        return (
            StatusCode::NOT_FOUND,
            "There is no such file here. The page itself is at /.\n",
        )
            .into_response();
    }
    let tag = response.headers().get(header::ETAG).cloned();
    let Some(tag) = tag.or_else(|| entity_tag(&response)) else {
        return response;
    };
    let same = known.is_some_and(|k| {
        k.to_str().is_ok_and(|k| {
            k.trim() == "*" || k.split(',').any(|k| k.trim().as_bytes() == tag.as_bytes())
        })
    });
    if same {
        let mut unchanged = StatusCode::NOT_MODIFIED.into_response();
        unchanged
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        unchanged.headers_mut().insert(header::ETAG, tag);
        return unchanged;
    }
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// A tag from time and length. Weak, because compression on the way may change the bytes but not what they say.
fn entity_tag(response: &Response) -> Option<HeaderValue> {
    if response.status() != StatusCode::OK {
        return None;
    }
    let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
    let (time, length) = (text(header::LAST_MODIFIED)?, text(header::CONTENT_LENGTH)?);
    let time: String = time.chars().filter(char::is_ascii_alphanumeric).collect();
    HeaderValue::from_str(&format!("W/\"{time}-{length}\"")).ok()
}

/// Keeps the page to its own origin, whatever a picture or link may bring in.
async fn add_policy(State(policy): State<HeaderValue>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // For browsers that know no "frame-ancestors".
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-embedder-policy"),
            "require-corp",
        ),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
