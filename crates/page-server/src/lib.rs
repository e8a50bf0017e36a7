//! Serves the built page: static files with validators and a policy ([`files`]), over connections with limits
//! ([`connections`]). `dragentity serve` adds jobs; the program of this crate, `dragentity-page`, is for who only wants the page,
//! and builds in a fraction of the time, since there are no networks in it.

pub mod connections;
pub mod files;
mod listen;
mod metered;
mod origin;
mod places;

pub use connections::Peer;
pub use files::{Jobs, Page};
pub use listen::listen;
pub use origin::origin;
pub use places::neighbourhood;

use axum::Router;
use axum::routing::get;
use dragentity_core::{Error, Result};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Serves `page` on a port that [`listen`] took, until `stop` is told or dropped.
///
/// # Errors
/// [`Error::Job`] when the system takes the port back.
pub fn serve(
    page: Page,
    listener: std::net::TcpListener,
    stop: oneshot::Receiver<()>,
) -> Result<()> {
    let failed =
        |e: std::io::Error| Error::Job(format!("the server stopped ({e}); start it again"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let page = Arc::new(page);
    let health = Router::new().route("/healthz", get(|| async { "{\"status\":\"ok\"}" }));
    let app = files::with_policy(health.merge(files::routes(&page)), &page);
    let served = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        connections::serve(listener, app, async {
            // Dropped means that nobody is left who could ask.
            let _ = stop.await;
        })
        .await;
        Ok(())
    });
    // Whoever still downloads is cut off.
    runtime.shutdown_background();
    served
}
