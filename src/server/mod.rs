//! `dragentity serve`: one process that serves the page (of `dragentity-page-server`) and runs its jobs (`api`).

mod about;
mod access;
mod answer;
mod api;
mod clicks;
mod entry;
mod events;
mod guesses;
mod openapi;
mod queue;
mod shares;
mod upload;
mod worker;

pub use upload::{ClickUpload, Upload};

use about::About;
use access::Access;
use api::Api;
use axum::Router;
use axum::routing::get;
use clicks::Clicks;
use dragentity_core::error::{Error, Result};
use dragentity_networks::device::Device;
use dragentity_page_server::{Jobs, Page, connections, files, listen};
use dragentity_pipeline::model::ModelOptions;
use queue::Queue;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use worker::Worker;

/// How often results that are too old are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(30);
/// How long the video of a job that ran when the server was asked to stop can still be fetched.
const LAST_CALL: Duration = Duration::from_secs(10);
/// How often what ran is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a server is started with.
pub struct Options {
    /// Folder of the built page.
    pub dir: PathBuf,
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// What runs jobs, one at a time on each.
    pub devices: Vec<Device>,
    /// The model.
    pub model: ModelOptions,
    /// Most jobs that wait.
    pub queue: usize,
    /// What clients must know to use it; needed where others can reach it.
    pub token: Option<String>,
    /// Origins of pages from elsewhere that may send jobs.
    pub allow_origins: Vec<String>,
    /// Origins of other servers that the page may send jobs to.
    pub connect: Vec<String>,
}

/// What a server says of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// It was asked to stop, takes no more jobs and ends those that run.
    Stopping,
    /// It was asked again and cancels those.
    Cancelling,
    /// They are done, and their videos can be fetched for so long.
    LastCall(Duration),
}

/// A server that has its port and its devices, and may be run.
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    page: Page,
    access: Arc<Access>,
    api: Arc<Api>,
    workers: Vec<Worker>,
}

impl Server {
    /// Takes port and devices.
    ///
    /// # Errors
    /// [`Error::Job`] where the port cannot be had, there is no page, or the rules for access are unsafe;
    /// [`Error::Device`] for a device that is not there.
    pub fn bind(options: Options) -> Result<Self> {
        let page = Page::new(
            &options.dir,
            &options.connect,
            Jobs::Here {
                needs_token: options.token.is_some(),
            },
        )?;
        let (listener, address) = listen(options.address)?;
        let access = Access::new(address, options.token, &options.allow_origins)?;
        let clicks = match options.devices.first() {
            Some(&device) => Clicks::start(device, &options.model)?,
            None => None,
        };
        let queue = Arc::new(Queue::new(options.queue));
        let workers = options
            .devices
            .iter()
            .map(|&device| worker::start(device, &options.model, &queue))
            .collect::<Result<Vec<_>>>()
            // Those that were started already end with the queue.
            .inspect_err(|_| drop(queue.stop()))?;
        let names = workers.iter().map(|w| w.name.clone()).collect();
        let about = About::new(names, &options.model);
        Ok(Self {
            listener,
            address,
            page,
            access: Arc::new(access),
            api: Arc::new(Api::new(queue, about, clicks)),
            workers,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it runs jobs on and with, in words, or why it cannot.
    pub fn jobs(&self) -> String {
        let about = &self.api.about;
        match &about.model {
            Ok(model) => format!("{} on {}", model.name, about.devices.join(" and ")),
            Err(why) => format!("none ({why})"),
        }
    }

    /// What makes masks of clicks, where something does.
    pub fn segmenter(&self) -> Option<&str> {
        self.api.clicks.as_ref().map(|clicks| clicks.name.as_str())
    }

    /// Serves until it was asked to stop: `stops` says how often. At the first time it takes no more jobs and ends
    /// those that run, at the second it cancels them; `on_event` hears of it.
    ///
    /// # Errors
    /// [`Error::Job`] when it cannot go on.
    pub fn run(
        self,
        mut stops: watch::Receiver<u32>,
        on_event: &mut dyn FnMut(ServerEvent),
    ) -> Result<()> {
        let failed =
            |e: std::io::Error| Error::Job(format!("the server stopped ({e}); start it again"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let queue = self.api.queue.clone();
        let app = router(self.page, self.access, self.api);
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener).map_err(failed)?;
            let pruned = queue.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(PRUNE_EVERY).await;
                    pruned.prune();
                }
            });
            connections::serve(listener, app, finish(&queue, &mut stops, on_event)).await;
            Ok(())
        });
        // Whoever still downloads is cut off.
        runtime.shutdown_background();
        queue.stop();
        for worker in self.workers {
            // Its panics were reported when they happened.
            let _ = worker.thread.join();
        }
        served
    }
}

/// Waits until the server is asked to stop, and then for the jobs that run and for who wants their videos.
async fn finish(
    queue: &Queue,
    stops: &mut watch::Receiver<u32>,
    on_event: &mut dyn FnMut(ServerEvent),
) {
    // An error means that nobody is left who could ask; then this is over, too.
    let _ = stops.wait_for(|&n| n >= 1).await;
    let running = queue.stop();
    if running.is_empty() {
        return;
    }
    on_event(ServerEvent::Stopping);
    let mut cancelled = false;
    let mut done_at = None;
    loop {
        if !cancelled && *stops.borrow() >= 2 {
            cancelled = true;
            on_event(ServerEvent::Cancelling);
            for entry in &running {
                entry.cancel().cancel();
            }
        }
        match Queue::unfinished(&running) {
            (true, _) => {}
            (false, false) => break,
            (false, true) => {
                let since = done_at.get_or_insert_with(|| {
                    on_event(ServerEvent::LastCall(LAST_CALL));
                    Instant::now()
                });
                if since.elapsed() > LAST_CALL || *stops.borrow() >= 2 {
                    break;
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn router(page: Page, access: Arc<Access>, api: Arc<Api>) -> Router {
    let page = Arc::new(page);
    let health = Router::new()
        .route("/healthz", get(api::health))
        .with_state(api.clone());
    let jobs = Router::new().nest("/api", api::routes(api));
    let all = access::guard(health.merge(jobs), &access);
    files::with_policy(all, &page).merge(files::with_policy(files::routes(&page), &page))
}

#[cfg(test)]
mod tests;
