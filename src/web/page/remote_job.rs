//! A job that a server runs: sent, followed, fetched.

use super::encoder::Container;
use super::messages::{Kind, say};
use super::queue::Wanted;
use super::remote::{Server, Trouble};
use super::{APP, App, act, dom};
use dragentity_core::JobEvent;
use dragentity_core::event::{Preview, Size};
use dragentity_core::scene::{Picture, Preset};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, AbortSignal};

/// How often in a row a server that does not answer is asked again, a second later each time.
const MOST_TRIES: u32 = 3;

/// A job at the server that runs it.
pub struct RemoteJob {
    server: Server,
    /// The job's name there, once it is taken.
    id: Option<String>,
    abort: AbortController,
}

impl RemoteJob {
    /// Sends job `number` to a server.
    pub fn begin(number: u64, server: Server, wanted: &Wanted) -> Result<Self, String> {
        let abort = AbortController::new().map_err(|e| dom::reason(&e))?;
        let scene = &wanted.scene;
        let picture = scene.picture.clone();
        let preset = Preset::whole(scene, &wanted.settings).to_json();
        let plate = scene.behind.plate.clone();
        let follower = Follower {
            number,
            server: server.clone(),
            signal: abort.signal(),
            fetching: Rc::default(),
        };
        spawn_local(follower.run(picture, preset, plate));
        Ok(Self {
            server,
            id: None,
            abort,
        })
    }

    /// Tells the server that nobody wants the job any more.
    pub fn forget(&self) {
        if let Some(id) = &self.id {
            self.server.forget(id);
        }
    }

    /// Stops waiting for the server.
    pub fn abandon(&self) {
        self.abort.abort();
    }
}

/// What follows the job, besides the page itself.
struct Follower {
    number: u64,
    server: Server,
    signal: AbortSignal,
    /// Whether a preview is being fetched: there are more of them than a slow line can carry.
    fetching: Rc<Cell<bool>>,
}

impl App {
    /// The job has a name at its server.
    fn job_taken(&mut self, number: u64, server: &Server, id: String) {
        let cancelled = matches!(&self.job, Some(job) if job.is_cancelled());
        match self.remote_job(number) {
            Some(remote) => {
                remote.id = Some(id);
                if cancelled {
                    remote.forget();
                }
            }
            None => server.forget(&id),
        }
    }

    /// The page is left.
    pub fn leave_job(&mut self) {
        if let Some(job) = &mut self.job
            && let Some(remote) = job.remote_job()
        {
            remote.forget();
        }
    }

    fn remote_job(&mut self, number: u64) -> Option<&mut RemoteJob> {
        self.job
            .as_mut()
            .filter(|j| j.number() == number)?
            .remote_job()
    }

    /// The server is gone, and the job with it. The scene is not.
    fn job_lost(&mut self, number: u64, why: &str) {
        if self.remote_job(number).is_none() {
            return;
        }
        self.job = None;
        self.lose_server(why);
        say(
            Kind::Error,
            &format!(
                "The server went away in the middle of the job ({}). Entities, paths and settings are as they were: Generate runs the job in this browser now.",
                why.trim().trim_end_matches('.')
            ),
        );
        self.show_job();
        self.update();
    }
}

impl Follower {
    /// Whether the page still waits for this job.
    fn is_wanted(&self) -> bool {
        let number = self.number;
        APP.with(|cell| match cell.try_borrow() {
            Ok(app) => app
                .as_ref()
                .is_some_and(|a| a.job.as_ref().is_some_and(|j| j.number() == number)),
            // In the middle of something else; whatever follows looks again.
            Err(_) => true,
        })
    }

    async fn run(self, picture: Picture, preset: String, plate: Option<Picture>) {
        let number = self.number;
        let plate = plate.map(|plate| plate.to_png()).transpose();
        let (picture, plate) = match picture.to_png().and_then(|png| Ok((png, plate?))) {
            Ok(both) => both,
            Err(error) => return fail(number, error.to_string()),
        };
        let mut parts = vec![("preset", preset.as_bytes())];
        parts.extend(plate.as_ref().map(|plate| ("plate", plate.as_slice())));
        let id = match self.server.submit(&picture, &parts, &self.signal).await {
            Ok(id) => id,
            Err(Trouble::Refused { why, .. }) => {
                return fail(number, format!("the server did not take the job: {why}"));
            }
            Err(Trouble::Away(why)) => return act(move |app| app.job_lost(number, &why)),
        };
        let (server, taken) = (self.server.clone(), id.clone());
        act(move |app| app.job_taken(number, &server, taken));
        match self.follow(&id).await {
            Ok(Some(JobEvent::Done(size))) => {
                match self.server.frames(&id, "video.rgb", size).await {
                    Ok(video) => {
                        // A preview that is under way would not be found any more.
                        while self.fetching.get() {
                            dom::sleep(20).await;
                        }
                        // Without it there is still the GIF.
                        let mp4 = self.server.file(&id, "video.mp4").await.ok();
                        self.server.forget(&id);
                        act(move |app| {
                            let wanted = app.remote_job(number).is_some();
                            app.job_done(number, video);
                            if let Some(mp4) = mp4.filter(|_| wanted) {
                                app.player.set_film(mp4, Container::Mp4);
                            }
                        });
                    }
                    Err(trouble) => lost(number, trouble),
                }
            }
            Ok(Some(end)) => act(move |app| app.job_event(number, end)),
            Ok(None) => act(move |app| app.job_failed(number, None)),
            Err(trouble) => lost(number, trouble),
        }
    }

    /// Hears the job's events to the last, and asks again where the line breaks.
    async fn follow(&self, id: &str) -> Result<Option<JobEvent>, Trouble> {
        let number = self.number;
        let (seen, tries) = (Cell::new(0), Cell::new(0));
        loop {
            let hear = |at: u64, event: &JobEvent| {
                seen.set(at);
                tries.set(0);
                self.hear(id, event);
            };
            let heard = self.server.follow(id, seen.get(), &self.signal, hear).await;
            if !self.is_wanted() {
                return Ok(None);
            }
            let why = match heard {
                Ok(Some(last)) => return Ok(Some(last)),
                Ok(None) => "its events ended too early".to_owned(),
                Err(Trouble::Away(why)) => why,
                // It answers, but does not know the job any more: it was started anew.
                Err(refused) => return Err(refused),
            };
            tries.set(tries.get() + 1);
            if tries.get() > MOST_TRIES {
                return Err(Trouble::Away(why));
            }
            act(move |app| {
                app.job_phase(number, "The server does not answer; asking again".into());
            });
            dom::sleep(1000 * tries.get() as i32).await;
        }
    }

    fn hear(&self, id: &str, event: &JobEvent) {
        let number = self.number;
        match event {
            JobEvent::Preview(preview) => self.fetch_preview(id.to_owned(), preview.size()),
            // What follows waits for it.
            end if end.is_last() => {}
            event => {
                let event = event.clone();
                act(move |app| app.job_event(number, event));
            }
        }
    }

    fn fetch_preview(&self, id: String, size: Size) {
        if self.fetching.replace(true) {
            return;
        }
        let (number, server, fetching) = (self.number, self.server.clone(), self.fetching.clone());
        spawn_local(async move {
            // One that is gone already was overtaken by the video.
            if let Ok(video) = server.frames(&id, "preview.rgb", size).await {
                let event = JobEvent::Preview(Preview::new(video));
                act(move |app| app.job_event(number, event));
            }
            fetching.set(false);
        });
    }
}

fn fail(number: u64, error: String) {
    act(move |app| app.job_failed(number, Some(error)));
}

fn lost(number: u64, trouble: Trouble) {
    let (Trouble::Away(why) | Trouble::Refused { why, .. }) = trouble;
    act(move |app| app.job_lost(number, &why));
}
