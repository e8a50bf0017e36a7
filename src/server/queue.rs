//! The jobs: those that wait, those that run, and what became of the last ones. All in memory, all bounded.
//!
//! A job belongs to the server once it is taken: it goes on to its end though its client may have gone away, and what
//! it made can be fetched for [`KEPT_FOR`]. Who wants it no longer says so (`DELETE`).

use crate::error::{Error, Result};
use crate::pipeline::news::{News, Size};
use crate::pipeline::{Cancel, Job, Message, Video};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a job that has ended can still be asked about.
pub const KEPT_FOR: Duration = Duration::from_secs(600);
/// Most jobs that have ended and are kept.
const MOST_KEPT: usize = 32;
/// Most bytes of results that are kept, the newest apart.
const MOST_KEPT_BYTES: usize = 1 << 30;

/// What is told to the clients of jobs that are not begun when the server stops.
const STOPPED: &str =
    "the server was stopped before this job began; run it here, or send it again later";

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement, whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One job, from when it is taken until it is forgotten.
pub struct Entry {
    /// 128 random bits, in hexadecimal: who knows it may see and cancel the job.
    pub id: String,
    /// Width and height of the picture.
    pub picture: (u32, u32),
    cancel: Cancel,
    story: Mutex<Story>,
    /// The number of the newest news.
    changed: watch::Sender<u64>,
    /// Whether somebody has taken the result.
    fetched: AtomicBool,
}

/// What has happened so far.
#[derive(Default)]
struct Story {
    /// The newest of each kind, with their numbers, which rise.
    news: Vec<(u64, News)>,
    told: u64,
    preview: Option<Arc<Video>>,
    result: Option<Arc<Video>>,
    ended: Option<Instant>,
}

impl Entry {
    fn new(job: &Job) -> Self {
        Self {
            id: format!("{:032x}", rand::random::<u128>()),
            picture: (job.scene.picture.width, job.scene.picture.height),
            cancel: Cancel::new(),
            story: Mutex::default(),
            changed: watch::Sender::new(0),
            fetched: AtomicBool::new(false),
        }
    }

    /// Adds to what is told. Nothing comes after the end.
    fn tell(&self, news: News) {
        self.tell_with(news, |_| {});
    }

    /// [`Entry::tell`], with what belongs to the news set at the same time.
    fn tell_with(&self, news: News, set: impl FnOnce(&mut Story)) {
        let mut story = locked(&self.story);
        if story.ended.is_some() {
            return;
        }
        set(&mut story);
        if news.is_last() {
            story.ended = Some(Instant::now());
            // Nobody looks at it any more, and it is as large as the result.
            story.preview = None;
        }
        story.told += 1;
        let told = story.told;
        story.news.retain(|(_, old)| !old.same_kind(&news));
        story.news.push((told, news));
        drop(story);
        self.changed.send_replace(told);
    }

    /// What a running job says.
    pub fn message(&self, message: Message) {
        let news = News::of(&message);
        match message {
            // The end is told by whoever runs it, when it really is the end.
            Message::Done(_) => {}
            Message::Preview(video) => {
                self.tell_with(news, |story| story.preview = Some(Arc::new(video)));
            }
            _ => self.tell(news),
        }
    }

    /// What became of it.
    pub fn end(&self, outcome: Result<Video>) {
        match outcome {
            Ok(video) => self.tell_with(News::Done(Size::of(&video)), |story| {
                story.result = Some(Arc::new(video));
            }),
            Err(Error::Cancelled) => self.tell(News::Cancelled),
            Err(error) => self.tell(News::Failed {
                error: error.to_string(),
            }),
        }
    }

    /// The newest of each kind of news after number `after`, in their order.
    pub fn news(&self, after: u64) -> Vec<(u64, News)> {
        let story = locked(&self.story);
        story
            .news
            .iter()
            .filter(|(number, _)| *number > after)
            .cloned()
            .collect()
    }

    /// Wakes whoever waits for news.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// How it looks so far, while it runs.
    pub fn preview(&self) -> Option<Arc<Video>> {
        locked(&self.story).preview.clone()
    }

    /// The result.
    pub fn result(&self) -> Option<Arc<Video>> {
        let result = locked(&self.story).result.clone();
        if result.is_some() {
            self.fetched.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Set when it is to stop.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// When it ended and how many bytes of it are kept.
    fn ended(&self) -> Option<(Instant, usize)> {
        let story = locked(&self.story);
        let bytes = story
            .result
            .as_ref()
            .map_or(0, |v| v.frames.iter().map(Vec::len).sum());
        Some((story.ended?, bytes))
    }
}

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
            let news = News::Queued {
                ahead: ahead as u32,
            };
            if !entry.news(0).iter().any(|(_, old)| *old == news) {
                entry.tell(news);
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
    pub fn submit(&self, job: Job) -> Result<Arc<Entry>, Refusal> {
        let mut jobs = locked(&self.jobs);
        if jobs.stopping {
            return Err(Refusal::Stopping);
        }
        if jobs.waiting.len() >= self.most {
            return Err(Refusal::Full);
        }
        jobs.prune(Instant::now());
        let entry = Arc::new(Entry::new(&job));
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
        entry.cancel.cancel();
        let waiting = jobs.waiting.len();
        jobs.waiting.retain(|(e, _)| e.id != id);
        if jobs.waiting.len() < waiting {
            entry.tell(News::Cancelled);
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
            entry.tell(News::Failed {
                error: STOPPED.into(),
            });
        }
        for entry in &jobs.running {
            entry.tell(News::Stopping);
        }
        let running = jobs.running.clone();
        drop(jobs);
        self.work.notify_all();
        running
    }

    /// Whether some of these jobs have not ended, or have ended with a video that nobody has taken yet.
    pub fn unfinished(entries: &[Arc<Entry>]) -> (bool, bool) {
        let running = entries.iter().any(|e| e.ended().is_none());
        let untaken = entries
            .iter()
            .any(|e| locked(&e.story).result.is_some() && !e.fetched.load(Ordering::Relaxed));
        (running, untaken)
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
        self.entry.end(Err(Error::Device(
            "it stopped without a result; send the job again".into(),
        )));
        let id = &self.entry.id;
        locked(&self.queue.jobs).running.retain(|e| e.id != *id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_of(queue: &Queue) -> Arc<Entry> {
        queue.submit(empty_job()).unwrap()
    }

    fn empty_job() -> Job {
        Job {
            scene: Default::default(),
            settings: Default::default(),
        }
    }

    fn video(bytes: usize) -> Video {
        Video {
            width: 1,
            height: 1,
            fps: 8,
            frames: vec![vec![0; bytes]],
        }
    }

    fn last(entry: &Entry) -> News {
        entry.news(0).pop().unwrap().1
    }

    #[test]
    fn jobs_are_taken_in_order_and_told_their_place() {
        let queue = Queue::new(3);
        let [a, b, c] = [(); 3].map(|()| entry_of(&queue));
        assert_eq!(queue.submit(empty_job()).err(), Some(Refusal::Full));
        assert_eq!(last(&c), News::Queued { ahead: 2 });
        let ticket = queue.take().unwrap();
        assert_eq!(ticket.entry.id, a.id);
        assert_eq!(last(&c), News::Queued { ahead: 1 });
        assert_eq!(queue.lengths(), (2, 1));
        // One that waits is gone at once, and those behind it move up.
        assert!(queue.cancel(&b.id));
        assert_eq!(last(&b), News::Cancelled);
        assert_eq!(last(&c), News::Queued { ahead: 0 });
        // One that runs is asked.
        assert!(queue.cancel(&a.id) && ticket.entry.cancel().is_cancelled());
        assert!(!last(&a).is_last());
        drop(ticket);
        assert!(matches!(last(&a), News::Failed { .. }));
        assert_eq!(queue.lengths(), (1, 0));
        assert!(!queue.cancel("no such job"));
        // One that has ended is forgotten.
        assert!(queue.cancel(&a.id) && queue.find(&a.id).is_none());
        assert_ne!(a.id, b.id);
        assert_eq!(a.id.len(), 32);
    }

    #[test]
    fn late_readers_hear_the_newest_of_each_kind_once() {
        let queue = Queue::new(1);
        let entry = entry_of(&queue);
        for step in 1..=3 {
            entry.message(Message::Preview(video(step)));
            entry.message(Message::Step {
                step: step as u32,
                steps: 3,
            });
        }
        let news = entry.news(0);
        let kinds: Vec<String> = news.iter().map(|(_, n)| n.to_json()).collect();
        assert_eq!(kinds.len(), 3, "{kinds:?}");
        assert_eq!(news[2].1, News::Step { step: 3, steps: 3 });
        assert!(news.windows(2).all(|w| w[0].0 < w[1].0));
        let (number, _) = news[2];
        assert!(entry.news(number).is_empty());
        assert_eq!(entry.preview().unwrap().frames[0].len(), 3);
        assert!(entry.result().is_none());
        entry.end(Ok(video(7)));
        assert!(entry.preview().is_none() && entry.result().is_some());
        // Nothing comes after the end.
        entry.end(Err(Error::Cancelled));
        entry.message(Message::Encoding);
        assert_eq!(entry.news(number).len(), 1);
        assert!(last(&entry).is_last());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let queue = Queue::new(100);
        let entries: Vec<_> = (0..40).map(|_| entry_of(&queue)).collect();
        for entry in &entries {
            queue.take().unwrap().entry.end(Ok(video(1)));
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
        assert_eq!(last(&runs), News::Stopping);
        assert!(matches!(last(&waits), News::Failed { error } if error.contains("stopped")));
        assert_eq!(queue.submit(empty_job()).err(), Some(Refusal::Stopping));
        assert_eq!(Queue::unfinished(&stopped), (true, false));
        ticket.entry.end(Ok(video(1)));
        assert_eq!(Queue::unfinished(&stopped), (false, true));
        assert!(runs.result().is_some());
        assert_eq!(Queue::unfinished(&stopped), (false, false));
        drop(ticket);
        assert!(queue.take().is_none());
    }
}
