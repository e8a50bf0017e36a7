//! One job and what is told about it.

use dragentity_core::Cancel;
use dragentity_core::Job;
use dragentity_core::JobEvent;
use dragentity_core::Video;
use dragentity_core::error::Result;
use dragentity_core::job::Reference;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// What is behind a lock.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement, whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a client may want beside or of a job's video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Whether what other models would follow is wanted.
    pub reference: bool,
    /// How many times as many frames a second the video is to have in the end.
    pub interpolate: Option<u32>,
}

/// One job, from when it is taken until it is forgotten.
pub struct Entry {
    /// 128 random bits, in hexadecimal: who knows it may see and cancel the job.
    pub id: String,
    /// Width and height of the picture.
    pub picture: (u32, u32),
    /// What is wanted beside or of its video.
    pub extras: Extras,
    cancel: Cancel,
    story: Mutex<Story>,
    /// The number of the newest event.
    changed: watch::Sender<u64>,
    /// Whether somebody has taken the result.
    fetched: AtomicBool,
}

/// What has happened so far.
#[derive(Default)]
struct Story {
    /// The newest of each kind, with their numbers, which rise; previews without their video.
    events: Vec<(u64, JobEvent)>,
    told: u64,
    preview: Option<Arc<Video>>,
    result: Option<Arc<Video>>,
    reference: Option<Arc<Reference>>,
    ended: Option<Instant>,
}

impl Entry {
    /// Of a job that was just taken.
    pub fn new(job: &Job, extras: Extras) -> Self {
        Self {
            id: format!("{:032x}", rand::random::<u128>()),
            picture: (job.scene.picture.width, job.scene.picture.height),
            extras,
            cancel: Cancel::new(),
            story: Mutex::default(),
            changed: watch::Sender::new(0),
            fetched: AtomicBool::new(false),
        }
    }

    /// Adds to what is told. Nothing comes after the end.
    pub fn tell(&self, event: JobEvent) {
        self.tell_with(event, None, None);
    }

    /// [`Entry::tell`], with the result there at the same time.
    fn tell_with(&self, mut event: JobEvent, result: Option<Video>, reference: Option<Reference>) {
        let mut story = locked(&self.story);
        if story.ended.is_some() {
            return;
        }
        if let JobEvent::Preview(preview) = &mut event {
            story.preview = preview.take_video();
        }
        if event.is_last() {
            story.ended = Some(Instant::now());
            story.reference = reference.filter(|_| result.is_some()).map(Arc::new);
            story.result = result.map(Arc::new);
            // Nobody looks at it any more, and it is as large as the result.
            story.preview = None;
        }
        story.told += 1;
        let told = story.told;
        story.events.retain(|(_, old)| !old.same_kind(&event));
        story.events.push((told, event));
        drop(story);
        self.changed.send_replace(told);
    }

    /// What became of it.
    pub fn end(&self, outcome: Result<Video>, reference: Option<Reference>) {
        self.tell_with(JobEvent::end(&outcome), outcome.ok(), reference);
    }

    /// The newest of each kind of event after number `after`, in their order.
    pub fn events(&self, after: u64) -> Vec<(u64, JobEvent)> {
        let story = locked(&self.story);
        story
            .events
            .iter()
            .filter(|(number, _)| *number > after)
            .cloned()
            .collect()
    }

    /// Wakes whoever waits for events.
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

    /// What others would follow, if it was asked for.
    pub fn reference(&self) -> Option<Arc<Reference>> {
        locked(&self.story).reference.clone()
    }

    /// Whether there is a result that nobody has taken yet.
    pub fn is_untaken(&self) -> bool {
        locked(&self.story).result.is_some() && !self.fetched.load(Ordering::Relaxed)
    }

    /// Set when it is to stop.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// When it ended and how many bytes of it are kept.
    pub fn ended(&self) -> Option<(Instant, usize)> {
        let story = locked(&self.story);
        let of = |video: &Video| video.frames.iter().map(Vec::len).sum::<usize>();
        let reference = story.reference.as_ref().map_or(0, |reference| {
            let masks = reference.closely.iter().map(|mask| mask.alpha.len());
            of(&reference.video) + masks.sum::<usize>()
        });
        let result = story.result.as_ref().map_or(0, |video| of(video));
        Some((story.ended?, result + reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dragentity_core::Error;
    use dragentity_core::event::Preview;

    fn video(bytes: usize) -> Video {
        Video {
            width: 1,
            height: 1,
            fps: 8,
            frames: vec![vec![0; bytes]],
        }
    }

    #[test]
    fn late_readers_hear_the_newest_of_each_kind_once() {
        let entry = Entry::new(&Job::default(), Extras::default());
        for step in 1..=3 {
            entry.tell(JobEvent::Preview(Preview::new(video(step))));
            entry.tell(JobEvent::Step {
                step: step as u32,
                steps: 3,
            });
        }
        let events = entry.events(0);
        let kinds: Vec<String> = events.iter().map(|(_, n)| n.to_json()).collect();
        assert_eq!(kinds.len(), 2, "{kinds:?}");
        assert_eq!(events[1].1, JobEvent::Step { step: 3, steps: 3 });
        assert!(events.windows(2).all(|w| w[0].0 < w[1].0));
        let (number, _) = events[1];
        assert!(entry.events(number).is_empty());
        assert_eq!(entry.preview().unwrap().frames[0].len(), 3);
        assert!(entry.result().is_none());
        entry.end(Ok(video(7)), None);
        assert!(entry.preview().is_none() && entry.result().is_some());
        // Nothing comes after the end.
        entry.end(Err(Error::Cancelled), None);
        entry.tell(JobEvent::Encoding);
        assert_eq!(entry.events(number).len(), 1);
        assert!(entry.events(0).pop().unwrap().1.is_last());
    }
}
