//! Connections, with limits on how many there are, how long each may take to say what it wants, and how slowly it may take it.

use crate::metered::{Metered, Pace};
use crate::places::{NoPlace, Place, Places};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// Most bytes of a request's headers.
const HEADER_BYTES: usize = 64 << 10;
/// How long to wait when the system has no more sockets.
const BREATH: Duration = Duration::from_millis(200);
/// How long running answers may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes that the system keeps for a client beyond what is on its way. Else it takes megabytes before anybody notices that
/// the client does not read them, and wakes the writer so rarely that slow clients look like dead ones.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;

/// What clients may take up.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Most connections at the same time.
    connections: usize,
    /// Most of one address.
    share: usize,
    /// When there is no place left, who has neither read nor written for so long gives way.
    still: Duration,
    /// How long a client may take to send the headers of a request, and how long it may ask for nothing.
    headers: Duration,
    /// How slowly it may read.
    pace: Pace,
}

const LIMITS: Limits = Limits {
    connections: 256,
    share: 64,
    still: Duration::from_millis(500),
    headers: Duration::from_secs(15),
    pace: Pace {
        least: 32 << 10,
        within: Duration::from_secs(30),
    },
};

/// Who sent a request: among its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Serves `app` until `stop` is done, then lets running answers finish for a moment.
pub async fn serve(listener: TcpListener, app: Router, stop: impl Future<Output = ()>) {
    serve_within(LIMITS, listener, app, stop).await;
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    app: Router,
    stop: impl Future<Output = ()>,
) {
    let places = Places::new(limits.connections, limits.share, limits.still);
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let (stream, peer, place) = tokio::select! {
            next = next(&listener, &places) => next,
            () = &mut stop => break,
        };
        // Events are small, and each is to be seen at once.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
        let stream = Metered::new(stream, place.connection.clone(), limits.pace);
        let service = app
            .clone()
            .map_request(move |mut request: hyper::Request<_>| {
                request.extensions_mut().insert(peer);
                request
            });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.headers)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    log::debug!("a connection ended: {error}");
                },
                () = place.connection.told_to_leave() => {
                    log::debug!("a connection was given up for another");
                }
            }
        });
    }
    // Whatever would not end is cut off with the runtime.
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}

/// The next client that there is a place for.
async fn next(listener: &TcpListener, places: &Arc<Places>) -> (TcpStream, Peer, Place) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // One client's trouble, or too many open files: neither is the end of the server.
                log::debug!("a connection was not accepted: {error}");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let address = address.ip();
        loop {
            match places.take(address) {
                Ok(place) => return (stream, Peer(address), place),
                Err(NoPlace::Full(wait)) => tokio::time::sleep(wait).await,
                Err(NoPlace::Greedy) => {
                    log::debug!("{address} has too many connections");
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Extension;
    use axum::body::Bytes;
    use axum::routing::get;
    use std::net::SocketAddr;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LARGE: usize = 32 << 20;

    /// Serves a large file and `/healthz` until the runtime ends.
    async fn start(limits: Limits) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/large", get(async || Bytes::from_static(&[7; LARGE])))
            .route(
                "/peer",
                get(async |peer: Extension<Peer>| peer.0.0.to_string()),
            )
            .route("/healthz", get(async || "ok"));
        let served = serve_within(limits, listener, app, std::future::pending());
        tokio::spawn(served);
        address
    }

    async fn asked(address: SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// The beginning of the answer.
    async fn answer(address: SocketAddr, path: &str) -> String {
        let mut stream = asked(address, path).await;
        let mut answer = vec![0; 1000];
        let count = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..count]).into_owned()
    }

    #[tokio::test]
    async fn clients_that_read_nothing_keep_nobody_out() {
        let address = start(LIMITS).await;
        let mut idle = Vec::new();
        for _ in 0..LIMITS.connections {
            idle.push(asked(address, "/large").await);
        }
        for _ in 0..20 {
            // Far below how long any of them might stay.
            let answer = tokio::time::timeout(LIMITS.headers / 2, answer(address, "/healthz"));
            assert!(answer.await.expect("it answers").ends_with("ok"));
        }
    }

    #[tokio::test]
    async fn who_reads_nothing_and_who_asks_nothing_is_left() {
        let limits = Limits {
            headers: Duration::from_millis(300),
            pace: Pace {
                least: 1000,
                within: Duration::from_millis(300),
            },
            ..LIMITS
        };
        let address = start(limits).await;
        // One that has been answered and asks for nothing more, and one that never asked.
        let mut quiet = asked(address, "/healthz").await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        for stream in [&mut quiet, &mut silent] {
            stream.read_to_end(&mut Vec::new()).await.unwrap();
        }
        let mut stuck = asked(address, "/large").await;
        let since = Instant::now();
        tokio::time::sleep(limits.pace.within * 10).await;
        // What was on its way comes, the rest does not.
        let mut taken = Vec::new();
        let _ = stuck.read_to_end(&mut taken).await;
        assert!(
            taken.len() < LARGE,
            "all was sent within {:?}",
            since.elapsed()
        );
    }

    #[tokio::test]
    async fn requests_say_who_sent_them() {
        let address = start(LIMITS).await;
        assert!(answer(address, "/peer").await.ends_with("127.0.0.1"));
    }
}
