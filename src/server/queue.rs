//! The jobs: those that wait, those that run, and what became of the last ones. All in memory, all bounded.
//!
//! A job belongs to the server once it is taken: it goes on to its end though its client may have gone away, and what
//! it made can be fetched for [`KEPT_FOR`]. Who wants it no longer says so (`DELETE`).

use super::entry::{Entry, Extras, locked};
use dragentity_core::error::{Error, Result};
use dragentity_core::{Job, JobEvent};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a job that has ended can still be asked about.
pub const KEPT_FOR: Duration = Duration::from_secs(600);
/// Most jobs that have ended and are kept.
const MOST_KEPT: usize = 32;
/// Most bytes of results that are kept, the newest apart.
const MOST_KEPT_BYTES: usize = 1 << 30;

/// What is told to the clients of jobs that are not begun when the server stops.
const STOPPED: &str =
    "the server was stopped before this job began; run it here, or send it again later";

/// Why a job was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many as may wait are waiting.
    Full,
    /// The server is asked to stop.
    Stopping,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<(Arc<Entry>, Job)>,
    running: Vec<Arc<Entry>>,
    known: HashMap<String, Arc<Entry>>,
    stopping: bool,
}

impl Jobs {
    /// Tells those that wait where they are.
    fn tell_places(&self) {
        for (ahead, (entry, _)) in self.waiting.iter().enumerate() {
            let event = JobEvent::Queued {
                ahead: ahead as u32,
            };
            if !entry.events(0).iter().any(|(_, old)| *old == event) {
                entry.tell(event);
            }
        }
    }

    /// Forgets what is too old or too much, oldest first.
    fn prune(&mut self, now: Instant) {
        let mut ended: Vec<_> = self
            .known
            .values()
            .filter_map(|e| e.ended().map(|(at, bytes)| (at, bytes, e.id.clone())))
            .collect();
        ended.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        let mut sum = 0;
        for (rank, (at, bytes, id)) in ended.into_iter().enumerate() {
            sum += bytes;
            let too_much = rank >= MOST_KEPT || (rank > 0 && sum > MOST_KEPT_BYTES);
            if too_much || now.duration_since(at) > KEPT_FOR {
                self.known.remove(&id);
            }
        }
    }
}

/// The jobs of one server, taken by its devices one after another.
pub struct Queue {
    jobs: Mutex<Jobs>,
    /// Wakes devices that wait for work.
    work: Condvar,
    /// Most jobs that wait.
    most: usize,
}

impl Queue {
    /// One in which at most `most` jobs wait.
    pub fn new(most: usize) -> Self {
        Self {
            jobs: Mutex::default(),
            work: Condvar::new(),
            most,
        }
    }

    /// Takes a job, to be run when a device is free.
    pub fn submit(&self, job: Job, extras: Extras) -> Result<Arc<Entry>, Refusal> {
        let mut jobs = locked(&self.jobs);
        if jobs.stopping {
            return Err(Refusal::Stopping);
        }
        if jobs.waiting.len() >= self.most {
            return Err(Refusal::Full);
        }
        jobs.prune(Instant::now());
        let entry = Arc::new(Entry::new(&job, extras));
        jobs.known.insert(entry.id.clone(), entry.clone());
        jobs.waiting.push_back((entry.clone(), job));
        jobs.tell_places();
        drop(jobs);
        self.work.notify_one();
        Ok(entry)
    }

    /// The next job, when there is one; `None` when there will be none any more. Blocks the thread.
    pub fn take(&self) -> Option<Ticket<'_>> {
        let mut jobs = locked(&self.jobs);
        loop {
            if let Some((entry, job)) = jobs.waiting.pop_front() {
                jobs.running.push(entry.clone());
                jobs.tell_places();
                return Some(Ticket {
                    queue: self,
                    entry,
                    job,
                });
            }
            if jobs.stopping {
                return None;
            }
            jobs = self.work.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The job of this name.
    pub fn find(&self, id: &str) -> Option<Arc<Entry>> {
        let mut jobs = locked(&self.jobs);
        jobs.prune(Instant::now());
        jobs.known.get(id).cloned()
    }

    /// Cancels a job that waits or runs, forgets one that has ended. Whether there is one.
    pub fn cancel(&self, id: &str) -> bool {
        let mut jobs = locked(&self.jobs);
        let Some(entry) = jobs.known.get(id).cloned() else {
            return false;
        };
        if entry.ended().is_some() {
            jobs.known.remove(id);
            return true;
        }
        entry.cancel().cancel();
        let waiting = jobs.waiting.len();
        jobs.waiting.retain(|(e, _)| e.id != id);
        if jobs.waiting.len() < waiting {
            entry.tell(JobEvent::Cancelled);
            jobs.tell_places();
        }
        true
    }

    /// How many wait and how many run.
    pub fn lengths(&self) -> (usize, usize) {
        let jobs = locked(&self.jobs);
        (jobs.waiting.len(), jobs.running.len())
    }

    /// Most jobs that wait.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Whether it was asked to stop.
    pub fn is_stopping(&self) -> bool {
        locked(&self.jobs).stopping
    }

    /// Forgets what is too old.
    pub fn prune(&self) {
        locked(&self.jobs).prune(Instant::now());
    }

    /// Takes no more jobs and gives up those that wait. Returns those that run, which go on to their end.
    pub fn stop(&self) -> Vec<Arc<Entry>> {
        let mut jobs = locked(&self.jobs);
        jobs.stopping = true;
        for (entry, _) in jobs.waiting.drain(..) {
            entry.tell(JobEvent::Failed {
                error: STOPPED.into(),
            });
        }
        for entry in &jobs.running {
            entry.tell(JobEvent::Stopping);
        }
        let running = jobs.running.clone();
        drop(jobs);
        self.work.notify_all();
        running
    }

    /// Whether some of these jobs have not ended, or have ended with a video that nobody has taken yet.
    pub fn unfinished(entries: &[Arc<Entry>]) -> (bool, bool) {
        let running = entries.iter().any(|e| e.ended().is_none());
        (running, entries.iter().any(|e| e.is_untaken()))
    }
}

/// A job that a device has taken.
pub struct Ticket<'a> {
    queue: &'a Queue,
    /// What is told about it.
    pub entry: Arc<Entry>,
    /// What is to be done.
    pub job: Job,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        // Has an effect only where nobody else told the end.
        self.entry.end(
            Err(Error::Device(
                "it stopped without a result; send the job again".into(),
            )),
            None,
        );
        let id = &self.entry.id;
        locked(&self.queue.jobs).running.retain(|e| e.id != *id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dragentity_core::Video;

    fn entry_of(queue: &Queue) -> Arc<Entry> {
        queue.submit(empty_job(), Extras::default()).unwrap()
    }

    fn empty_job() -> Job {
        Job::default()
    }

    fn video(bytes: usize) -> Video {
        Video {
            width: 1,
            height: 1,
            fps: 8,
            frames: vec![vec![0; bytes]],
        }
    }

    fn last(entry: &Entry) -> JobEvent {
        entry.events(0).pop().unwrap().1
    }

    #[test]
    fn jobs_are_taken_in_order_and_told_their_place() {
        let queue = Queue::new(3);
        let [a, b, c] = [(); 3].map(|()| entry_of(&queue));
        assert_eq!(
            queue.submit(empty_job(), Extras::default()).err(),
            Some(Refusal::Full)
        );
        assert_eq!(last(&c), JobEvent::Queued { ahead: 2 });
        let ticket = queue.take().unwrap();
        assert_eq!(ticket.entry.id, a.id);
        assert_eq!(last(&c), JobEvent::Queued { ahead: 1 });
        assert_eq!(queue.lengths(), (2, 1));
        // One that waits is gone at once, and those behind it move up.
        assert!(queue.cancel(&b.id));
        assert_eq!(last(&b), JobEvent::Cancelled);
        assert_eq!(last(&c), JobEvent::Queued { ahead: 0 });
        // One that runs is asked.
        assert!(queue.cancel(&a.id) && ticket.entry.cancel().is_cancelled());
        assert!(!last(&a).is_last());
        drop(ticket);
        assert!(matches!(last(&a), JobEvent::Failed { .. }));
        assert_eq!(queue.lengths(), (1, 0));
        assert!(!queue.cancel("no such job"));
        // One that has ended is forgotten.
        assert!(queue.cancel(&a.id) && queue.find(&a.id).is_none());
        assert_ne!(a.id, b.id);
        assert_eq!(a.id.len(), 32);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let queue = Queue::new(100);
        let entries: Vec<_> = (0..40).map(|_| entry_of(&queue)).collect();
        for entry in &entries {
            queue.take().unwrap().entry.end(Ok(video(1)), None);
            assert!(queue.find(&entry.id).is_some());
        }
        let found = entries.iter().filter(|e| queue.find(&e.id).is_some());
        assert_eq!(found.count(), MOST_KEPT);
        assert!(queue.find(&entries[39].id).is_some());
        let later = Instant::now() + KEPT_FOR + Duration::from_secs(1);
        locked(&queue.jobs).prune(later);
        assert!(queue.find(&entries[39].id).is_none());
        // One that waits or runs is never forgotten.
        let waits = entry_of(&queue);
        locked(&queue.jobs).prune(later + KEPT_FOR);
        assert!(queue.find(&waits.id).is_some());
    }

    #[test]
    fn a_stopped_queue_ends_its_devices_and_tells_all() {
        let queue = Arc::new(Queue::new(4));
        let [runs, waits] = [(); 2].map(|()| entry_of(&queue));
        let ticket = queue.take().unwrap();
        let stopped = queue.stop();
        assert_eq!(stopped.len(), 1);
        assert_eq!(last(&runs), JobEvent::Stopping);
        assert!(matches!(last(&waits), JobEvent::Failed { error } if error.contains("stopped")));
        assert_eq!(
            queue.submit(empty_job(), Extras::default()).err(),
            Some(Refusal::Stopping)
        );
        assert_eq!(Queue::unfinished(&stopped), (true, false));
        ticket.entry.end(Ok(video(1)), None);
        assert_eq!(Queue::unfinished(&stopped), (false, true));
        assert!(runs.result().is_some());
        assert_eq!(Queue::unfinished(&stopped), (false, false));
        drop(ticket);
        assert!(queue.take().is_none());
    }
}
