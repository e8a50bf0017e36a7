//! Who may use the jobs: by address, by the page that asks, by token.

use super::answer::{Refused, refuse};
use super::guesses::Guesses;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use dragentity_core::error::{Error, Result};
use dragentity_page_server::{Peer, origin};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tower_http::cors::CorsLayer;

/// How long a browser may remember what another origin is allowed.
const REMEMBER: Duration = Duration::from_secs(600);

/// Rules for everything under `/api`.
pub struct Access {
    token: Option<String>,
    /// What a request on the loopback interface must call this server, in lower case. Another page could have its own
    /// name resolve to 127.0.0.1 and would then be of one origin with us (DNS rebinding); its name is not among these.
    hosts: Option<Vec<String>>,
    /// Pages from elsewhere that may send jobs.
    origins: Vec<String>,
    guesses: Guesses,
}

impl Access {
    /// Rules for a server that listens on `address`.
    ///
    /// # Errors
    /// [`Error::Job`] for an address that others reach without a token, for an empty token, and for what is no origin.
    pub fn new(address: SocketAddr, token: Option<String>, origins: &[String]) -> Result<Self> {
        let origins: Vec<String> = origins.iter().map(|o| origin(o)).collect::<Result<_>>()?;
        if token.is_none() && !address.ip().is_loopback() {
            return Err(Error::Job(format!(
                "{address} can be reached from other machines, so jobs need a token; give one with --token"
            )));
        }
        if let Some(token) = &token {
            let plain = |c: char| c.is_ascii_graphic();
            if token.is_empty() || !token.chars().all(plain) {
                return Err(Error::Job(
                    "the token must be of letters, digits and signs, without spaces; choose another".into(),
                ));
            }
        }
        let hosts = address.ip().is_loopback().then(|| {
            let port = address.port();
            let own = ["127.0.0.1", "localhost", "[::1]"];
            let mut hosts: Vec<String> = own.iter().map(|h| format!("{h}:{port}")).collect();
            // Where it really listens comes first: it is named in the refusal.
            hosts.insert(0, address.to_string());
            if port == 80 {
                hosts.extend(own.map(String::from));
            }
            // A server in front of this one, under a name of its own.
            hosts.extend(
                origins
                    .iter()
                    .filter_map(|o| Some(o.split_once("://")?.1.to_owned())),
            );
            hosts
        });
        Ok(Self {
            token,
            hosts,
            origins,
            guesses: Guesses::default(),
        })
    }

    /// What lets pages of the allowed origins, and no others, read the answers.
    fn cors(&self) -> CorsLayer {
        let origins = self
            .origins
            .iter()
            .filter_map(|o| HeaderValue::from_str(o).ok());
        CorsLayer::new()
            .allow_origin(origins.collect::<Vec<_>>())
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                HeaderName::from_static("last-event-id"),
            ])
            .expose_headers([header::RETRY_AFTER])
            .allow_private_network(true)
            .max_age(REMEMBER)
    }

    /// Why a request from there is refused, if it is.
    fn refuses_origin(&self, headers: &HeaderMap) -> Option<Refused> {
        let text = |name: HeaderName| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
        let host = text(header::HOST).unwrap_or_default().to_ascii_lowercase();
        if let Some(hosts) = &self.hosts
            && !hosts.contains(&host)
        {
            let why = format!(
                "this server is not called {host:?}; use http://{} or name the origin with --allow-origin",
                hosts[0]
            );
            return Some(refuse(StatusCode::MISDIRECTED_REQUEST, why));
        }
        let stranger = match text(header::ORIGIN) {
            Some(origin) => {
                let origin = origin.to_ascii_lowercase();
                // Its host is one of ours, or, where anybody may call us anything, the one that was asked for.
                let own = origin
                    .strip_prefix("http://")
                    .or_else(|| origin.strip_prefix("https://"))
                    == Some(host.as_str());
                (!own && !self.origins.contains(&origin)).then_some(origin)
            }
            // Pictures and scripts of other pages come without an origin.
            None => match text(HeaderName::from_static("sec-fetch-site")) {
                Some("cross-site" | "same-site") => Some("another page".into()),
                _ => None,
            },
        };
        let why = format!(
            "{} may not use this server; allow it with --allow-origin if it is yours",
            stranger?
        );
        Some(refuse(StatusCode::FORBIDDEN, why))
    }

    /// Why a request of `peer` without the right token is refused, if it is.
    fn refuses_token(&self, peer: IpAddr, path: &str, headers: &HeaderMap) -> Option<Refused> {
        let token = self.token.as_ref()?;
        // Monitors have none.
        if path.ends_with("/healthz") {
            return None;
        }
        let given = headers.get(header::AUTHORIZATION).and_then(|v| {
            let (scheme, given) = v.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| given.trim())
        });
        let now = Instant::now();
        // Not looked at, so that a right guess is not told from a wrong one.
        if given.is_some()
            && let Some(wait) = self.guesses.wait(peer, now)
        {
            let why = format!(
                "too many wrong tokens came from {peer}; try again in {} seconds",
                wait.as_secs() + 1
            );
            return Some(refuse(StatusCode::TOO_MANY_REQUESTS, why));
        }
        let right = given.is_some_and(|given| given.as_bytes().ct_eq(token.as_bytes()).into());
        if right {
            return None;
        }
        let why = match given {
            Some(_) => {
                self.guesses.wrong(peer, now);
                "the token is not the one that this server was started with"
            }
            None => "this server needs its token; it was printed when the server started",
        };
        Some(refuse(StatusCode::UNAUTHORIZED, why))
    }
}

/// `routes` for those who may. Pages that may not learn nothing; those that may can read even why a token is refused.
pub fn guard(routes: Router, access: &Arc<Access>) -> Router {
    routes
        .layer(from_fn_with_state(access.clone(), check_token))
        .layer(access.cors())
        .layer(from_fn_with_state(access.clone(), check_origin))
}

async fn check_origin(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    match access.refuses_origin(request.headers()) {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    }
}

async fn check_token(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    // Whoever is served over anything but a connection is this process itself, in tests.
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(Ipv4Addr::LOCALHOST.into(), |peer| peer.0);
    match access.refuses_token(peer, request.uri().path(), request.headers()) {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(access: &Access, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            map.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let refused = access
            .refuses_origin(&map)
            .or_else(|| access.refuses_token([10, 0, 0, 1].into(), path, &map));
        refused.map_or(200, |r| r.into_response().status().as_u16())
    }

    #[test]
    fn on_this_machine_names_and_origins_count() {
        let address = "127.0.0.1:8080".parse().unwrap();
        let allowed = ["https://Pages.example.org/".to_owned()];
        let access = Access::new(address, None, &allowed).unwrap();
        let host = ("host", "localhost:8080");
        for (expected, headers) in [
            (200, &[host][..]),
            (200, &[("host", "127.0.0.1:8080")]),
            (200, &[("host", "[::1]:8080")]),
            (200, &[("host", "LOCALHOST:8080")]),
            (200, &[host, ("origin", "http://localhost:8080")]),
            (200, &[host, ("origin", "https://pages.example.org")]),
            (200, &[("host", "pages.example.org")]),
            (200, &[host, ("sec-fetch-site", "same-origin")]),
            (421, &[]),
            (421, &[("host", "localhost:8081")]),
            (421, &[("host", "localhost")]),
            (421, &[("host", "evil.example:8080")]),
            (
                421,
                &[
                    ("host", "evil.example:8080"),
                    ("origin", "http://evil.example:8080"),
                ],
            ),
            (403, &[host, ("origin", "https://evil.example")]),
            (403, &[host, ("origin", "http://localhost:3000")]),
            (403, &[host, ("origin", "null")]),
            (
                403,
                &[host, ("origin", "http://localhost:8080.evil.example")],
            ),
            (403, &[host, ("sec-fetch-site", "cross-site")]),
        ] {
            assert_eq!(status(&access, "/jobs", headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn elsewhere_a_token_counts() {
        let address = "0.0.0.0:8080".parse().unwrap();
        let why = Access::new(address, None, &[]).err().unwrap().to_string();
        assert!(why.contains("--token"), "{why}");
        let access = Access::new(address, Some("s3cret".into()), &[]).unwrap();
        let host = ("host", "gpu.lan:8080");
        for (expected, path, headers) in [
            (
                200,
                "/jobs",
                &[host, ("authorization", "Bearer s3cret")][..],
            ),
            (200, "/jobs", &[host, ("authorization", "bearer s3cret")]),
            (200, "/healthz", &[host]),
            (401, "/info", &[host]),
            (401, "/jobs", &[host, ("authorization", "Bearer s3cre")]),
            (401, "/jobs", &[host, ("authorization", "Bearer s3crets")]),
            (401, "/jobs", &[host, ("authorization", "Bearer ")]),
            (401, "/jobs", &[host, ("authorization", "Basic s3cret")]),
            (401, "/jobs", &[host, ("authorization", "s3cret")]),
            (
                403,
                "/jobs",
                &[
                    host,
                    ("authorization", "Bearer s3cret"),
                    ("origin", "http://evil.example"),
                ],
            ),
            (
                200,
                "/jobs",
                &[
                    host,
                    ("authorization", "Bearer s3cret"),
                    ("origin", "http://gpu.lan:8080"),
                ],
            ),
        ] {
            assert_eq!(status(&access, path, headers), expected, "{headers:?}");
        }
        for bad in ["", "two words", "späße"] {
            assert!(Access::new(address, Some(bad.into()), &[]).is_err());
        }
    }
    #[test]
    fn who_guesses_tokens_is_not_listened_to() {
        let address = "0.0.0.0:8080".parse().unwrap();
        let access = Access::new(address, Some("s3cret".into()), &[]).unwrap();
        let asked = |token: &str| status(&access, "/jobs", &[("authorization", token)]);
        assert_eq!(asked("Bearer s3cret"), 200);
        for n in 0..10 {
            assert_eq!(asked(&format!("Bearer {n}")), 401);
        }
        // Neither are right guesses; who sends none is told that one is needed.
        assert_eq!(asked("Bearer 11"), 429);
        assert_eq!(asked("Bearer s3cret"), 429);
        assert_eq!(status(&access, "/jobs", &[]), 401);
        assert_eq!(status(&access, "/healthz", &[]), 200);
    }
}
