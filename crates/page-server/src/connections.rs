//! Connections, with limits on how many there are and how long each may take to say what it wants.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Most connections at the same time; more wait until one of these ends.
const MOST: usize = 256;
/// How long a client may take to send the headers of a request.
const HEADERS: Duration = Duration::from_secs(15);
/// Most bytes of those.
const HEADER_BYTES: usize = 64 << 10;
/// How long to wait when the system has no more sockets.
const BREATH: Duration = Duration::from_millis(200);
/// How long running answers may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(2);

/// Serves `app` until `stop` is done, then lets running answers finish for a moment.
pub async fn serve(listener: TcpListener, app: Router, stop: impl Future<Output = ()>) {
    let permits = Arc::new(Semaphore::new(MOST));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // One client's trouble, or too many open files: neither is the end of the server.
                log::debug!("a connection was not accepted: {error}");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        // Events are small, and each is to be seen at once.
        let _ = stream.set_nodelay(true);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app.clone()));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                log::debug!("a connection ended: {error}");
            }
            drop(permit);
        });
    }
    // Whatever would not end is cut off with the runtime.
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}
