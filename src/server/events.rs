//! A job's [`JobEvent`]s as server-sent events.

use super::entry::Entry;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use dragentity_core::JobEvent;
use futures_util::stream::{self, Stream};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often a comment is sent when there is nothing to tell, so that nobody on the way takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Every event is a [`JobEvent`] under its number. A client that comes late or comes back (with the number of the last it
/// saw) hears the newest of each kind, then what follows. A slow one misses what was overtaken, and costs no memory.
pub fn stream(entry: Arc<Entry>, after: u64) -> impl IntoResponse {
    Sse::new(events(entry, after)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

struct Reader {
    entry: Arc<Entry>,
    changes: watch::Receiver<u64>,
    seen: u64,
    ready: VecDeque<(u64, JobEvent)>,
    over: bool,
}

fn events(entry: Arc<Entry>, after: u64) -> impl Stream<Item = Result<Event, Infallible>> {
    let reader = Reader {
        changes: entry.changes(),
        entry,
        seen: after,
        ready: VecDeque::new(),
        over: false,
    };
    stream::unfold(reader, async |mut reader| {
        let (number, event) = reader.next().await?;
        let sent = Event::default()
            .id(number.to_string())
            .data(event.to_json());
        Some((Ok(sent), reader))
    })
}

impl Reader {
    async fn next(&mut self) -> Option<(u64, JobEvent)> {
        loop {
            if self.over {
                return None;
            }
            if let Some((number, event)) = self.ready.pop_front() {
                self.seen = number;
                self.over = event.is_last();
                return Some((number, event));
            }
            // Marked as seen first: what is told from here on wakes the wait below.
            self.changes.borrow_and_update();
            self.ready.extend(self.entry.events(self.seen));
            if !self.ready.is_empty() {
                continue;
            }
            // Whoever saw the end already has nothing to wait for.
            let ended = self.entry.events(0).iter().any(|(_, n)| n.is_last());
            if ended || self.changes.changed().await.is_err() {
                return None;
            }
        }
    }
}
