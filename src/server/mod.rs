//! The built page on a port of this machine: static files, compressed, with validators.

use crate::error::{Error, Result};
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::services::ServeDir;

/// How long running downloads may go on after the server was asked to stop.
const GRACE: Duration = Duration::from_secs(2);

/// What the page may load: its own files, what it made itself (blobs), and nothing from elsewhere. The page's module is
/// started by a script within `index.html`, and WebAssembly counts as evaluated code.
const POLICY: &str = "default-src 'self' blob: data:; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:; \
                      style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'";

/// A server that has its port and may be run.
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    dir: PathBuf,
}

impl Server {
    /// Takes `port` of this machine (0 for any free one) to serve the page built in `dir`.
    pub fn bind(dir: &Path, port: u16) -> Result<Self> {
        if !dir.join("index.html").is_file() {
            return Err(Error::Job(format!(
                "{}: there is no built page here (no index.html); build it with ./serve or \"trunk build --release\", or \
                 name its folder with --dir",
                dir.display()
            )));
        }
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let cannot = |e: std::io::Error| {
            Error::Job(match e.kind() {
                std::io::ErrorKind::AddrInUse => format!(
                    "{wanted} is in use, perhaps by another dragentity; stop it, or choose another port with --port"
                ),
                std::io::ErrorKind::PermissionDenied => {
                    format!(
                        "{wanted} is not open to this user; choose a port above 1023 with --port"
                    )
                }
                _ => {
                    format!("{wanted} cannot be listened on ({e}); choose another port with --port")
                }
            })
        };
        let listener = std::net::TcpListener::bind(wanted).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Self {
            listener,
            address,
            dir: dir.to_path_buf(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done, then lets running downloads finish for a moment.
    pub fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let failed =
            |e: std::io::Error| Error::Job(format!("the server stopped ({e}); start it again"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener).map_err(failed)?;
            let (asked, stopping) = tokio::sync::oneshot::channel::<()>();
            let server = tokio::spawn(
                axum::serve(listener, router(&self.dir))
                    .with_graceful_shutdown(async {
                        stop.await;
                        // Nobody listening means the server is gone already.
                        let _ = asked.send(());
                    })
                    .into_future(),
            );
            let _ = stopping.await;
            match tokio::time::timeout(GRACE, server).await {
                Ok(Ok(served)) => served.map_err(failed),
                // A download that would not end, or a panic that was already reported.
                _ => Ok(()),
            }
        })
    }
}

/// The files under `dir`.
fn router(dir: &Path) -> Router {
    // Weights do not shrink, and uncompressed they keep the length that a progress bar needs.
    let worth_it =
        DefaultPredicate::new().and(NotForContentType::const_new("application/octet-stream"));
    let files = ServeDir::new(dir).precompressed_br().precompressed_gzip();
    Router::new()
        .fallback_service(files)
        .layer(from_fn(validated))
        .layer(CompressionLayer::new().compress_when(worth_it))
        .layer(from_fn(with_policy))
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
    let Some(tag) = entity_tag(&response) else {
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
async fn with_policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// A page of three files, served until the guard goes.
    struct Page {
        _dir: tempfile::TempDir,
        address: SocketAddr,
        stop: Option<tokio::sync::oneshot::Sender<()>>,
        thread: Option<std::thread::JoinHandle<Result<()>>>,
    }

    impl Page {
        fn start() -> Self {
            let outer = tempfile::tempdir().unwrap();
            std::fs::write(outer.path().join("secret.txt"), "secret").unwrap();
            let dir = outer.path().join("dist");
            std::fs::create_dir_all(dir.join("models/mini")).unwrap();
            std::fs::write(
                dir.join("index.html"),
                format!("<title>page</title>{}", " ".repeat(5000)),
            )
            .unwrap();
            std::fs::write(dir.join("page_bg.wasm"), vec![0u8; 100_000]).unwrap();
            std::fs::write(dir.join("models/mini/a.safetensors"), vec![7u8; 50_000]).unwrap();
            let server = Server::bind(&dir, 0).unwrap();
            let address = server.address();
            let (stop, stopped) = tokio::sync::oneshot::channel();
            let thread = std::thread::spawn(move || {
                server.run(async {
                    let _ = stopped.await;
                })
            });
            Self {
                _dir: outer,
                address,
                stop: Some(stop),
                thread: Some(thread),
            }
        }

        /// Status line and headers in lower case, and the body, of one request.
        fn get(&self, path: &str, headers: &str) -> (String, Vec<u8>) {
            let mut stream = std::net::TcpStream::connect(self.address).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
            )
            .unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
            (
                String::from_utf8(all[..end].to_vec())
                    .unwrap()
                    .to_lowercase(),
                all[end + 4..].to_vec(),
            )
        }
    }

    impl Drop for Page {
        fn drop(&mut self) {
            let _ = self.stop.take().unwrap().send(());
            assert!(self.thread.take().unwrap().join().unwrap().is_ok());
        }
    }

    #[test]
    fn files_come_with_type_compression_and_validators() {
        let page = Page::start();
        let (head, body) = page.get("/", "");
        assert!(
            head.starts_with("http/1.1 200") && head.contains("text/html"),
            "{head}"
        );
        assert!(head.contains("content-security-policy: default-src 'self'"));
        assert!(body.starts_with(b"<title>page"));

        let (head, body) = page.get("/page_bg.wasm", "Accept-Encoding: gzip, br\r\n");
        assert!(head.contains("content-type: application/wasm"), "{head}");
        assert!(head.contains("content-encoding: "), "{head}");
        assert!(body.len() < 5000, "{} bytes", body.len());

        // Weights keep their length, and can be fetched in parts.
        let (head, body) = page.get(
            "/models/mini/a.safetensors",
            "Accept-Encoding: gzip, br\r\n",
        );
        assert!(
            head.contains("content-length: 50000") && !head.contains("content-encoding"),
            "{head}"
        );
        assert_eq!(body.len(), 50_000);
        let (head, body) = page.get("/models/mini/a.safetensors", "Range: bytes=8-15\r\n");
        assert!(head.starts_with("http/1.1 206") && body == [7; 8], "{head}");
    }

    #[test]
    fn known_files_are_not_sent_again() {
        let page = Page::start();
        let mut stream = std::net::TcpStream::connect(page.address).unwrap();
        write!(
            stream,
            "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut head = String::new();
        stream.read_to_string(&mut head).unwrap();
        let tag = head.lines().find_map(|l| l.strip_prefix("etag: ")).unwrap();
        let (head, body) = page.get("/", &format!("If-None-Match: {tag}\r\n"));
        assert!(
            head.starts_with("http/1.1 304") && body.is_empty(),
            "{head}"
        );
        let (head, _) = page.get("/", &format!("If-None-Match: \"a\", {tag}\r\n"));
        assert!(head.starts_with("http/1.1 304"), "{head}");
    }

    #[test]
    fn nothing_outside_the_folder_is_served() {
        let page = Page::start();
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/models/../../secret.txt",
            "//secret.txt",
            "/nothing.js",
        ] {
            let (head, body) = page.get(path, "");
            assert!(!head.starts_with("http/1.1 200"), "{path}: {head}");
            assert!(!body.windows(6).any(|w| w == b"secret"), "{path}");
        }
    }

    #[test]
    fn a_missing_page_and_a_taken_port_are_named() {
        let empty = tempfile::tempdir().unwrap();
        let why = Server::bind(empty.path(), 0).err().unwrap().to_string();
        assert!(
            why.contains("no built page") && why.contains("./serve"),
            "{why}"
        );
        let page = Page::start();
        let why = Server::bind(&page._dir.path().join("dist"), page.address.port())
            .err()
            .unwrap()
            .to_string();
        assert!(why.contains("in use") && why.contains("--port"), "{why}");
    }
}
