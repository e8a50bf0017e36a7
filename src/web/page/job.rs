//! A generation as the page sees it: begin, progress, previews, end.

use super::encoder::Container;
use super::messages::{Kind, amount, close_errors, say, sentence};
use super::queue::Wanted;
use super::remote_job::RemoteJob;
use super::results::Ended;
use super::{App, act, canvas, dom, encoder, now};
use crate::web::protocol::{JobData, ToWorker};
use dragentity_core::scene::{Picture, Scene, Settings};
use dragentity_core::{JobEvent, Video};
use dragentity_media as media;
use dragentity_media::animation;
use dragentity_media::archive::Archive;
use dragentity_pipeline::page::Maker;
use std::sync::Arc;
use wasm_bindgen_futures::spawn_local;
use web_sys::{HtmlButtonElement, HtmlProgressElement};

/// How many times as many frames a video has when it is made smoother.
const SMOOTHER: u32 = 2;
/// Most frames a second that are made so, and most bytes.
const SMOOTH_FPS: u32 = 120;
const SMOOTH_BYTES: usize = 800 << 20;

/// How long a worker has to end a cancelled job before it is ended itself.
const PATIENCE: i32 = 4000;

/// Where a job runs.
pub enum At {
    /// In the page's worker, by which maker.
    Worker(Maker),
    /// By a server.
    Server(RemoteJob),
    /// In the page's worker, which makes frames between those of the video that is shown, of which the scene's first is this one.
    Smoother(u32),
}

/// The job that runs.
pub struct Running {
    number: u64,
    at: At,
    /// The scene's revision that it is of.
    revision: u64,
    /// Shape of the picture that it is of.
    aspect: f32,
    /// How it was asked for.
    settings: Settings,
    /// The sample that it is of, if it is of one.
    sample: Option<String>,
    phase: String,
    /// 0 to 1.
    fraction: f64,
    /// When what is done in steps began, and at which fraction.
    first_step: Option<(f64, f64)>,
    /// When it was last heard of, if not at a step.
    before_steps: f64,
    cancelled: bool,
    /// What has come of its video.
    arrived: Option<Video>,
}

impl Running {
    /// One that begins now; of which scene, and in which shape, is still to be said.
    fn new(number: u64, at: At, settings: Settings, sample: Option<String>) -> Self {
        Self {
            number,
            at,
            revision: u64::MAX,
            aspect: 1.0,
            settings,
            sample,
            phase: "Starting".into(),
            fraction: 0.0,
            first_step: None,
            before_steps: now(),
            cancelled: false,
            arrived: None,
        }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The job at its server, if one runs it.
    pub fn remote_job(&mut self) -> Option<&mut RemoteJob> {
        match &mut self.at {
            At::Worker(_) | At::Smoother(_) => None,
            At::Server(remote) => Some(remote),
        }
    }

    /// Whether it runs in the page's worker, and ends with it.
    pub fn is_worker(&self) -> bool {
        matches!(self.at, At::Worker(_) | At::Smoother(_))
    }
}

impl App {
    /// Begins to generate.
    pub fn generate(&mut self) {
        if self.editor.scene().picture.is_empty() {
            return;
        }
        if !self.editor.can_generate() {
            say(
                Kind::Note,
                "Nothing moves yet. Click a thing in the picture and drag it where it should go.",
            );
            return;
        }
        let wanted = self.wanted();
        if let Some(job) = self.job.take() {
            self.queue_up(wanted, (job.revision, &job.settings));
            self.job = Some(job);
            return;
        }
        close_errors();
        self.carry_since = None;
        self.begin(wanted);
    }

    /// Begins to make what was asked for, now or a while ago.
    pub(super) fn begin(&mut self, wanted: Wanted) {
        self.jobs += 1;
        let number = self.jobs;
        let at = match wanted.server.clone() {
            Some(server) => RemoteJob::begin(number, server, &wanted).map(At::Server),
            None => Ok(self.generate_here(number, &wanted)),
        };
        let at = match at {
            Ok(at) => at,
            Err(why) => return say(Kind::Error, &sentence(&why)),
        };
        self.player
            .begin(without_picture(&wanted.scene), wanted.settings.fps, 0);
        self.video_of = wanted.scene.picture;
        self.job = Some(Running {
            revision: wanted.revision,
            aspect: self.editor.aspect(),
            ..Running::new(number, at, wanted.settings, self.sample.clone())
        });
        self.show_job();
        self.update();
    }

    /// Makes frames between those of the video that is shown, so that there are twice as many a second.
    pub(super) fn smooth(&mut self) {
        let video = self.player.video().cloned();
        let Some(video) = video.filter(|_| self.job.is_none() && self.can_smooth()) else {
            return;
        };
        close_errors();
        self.start_if_gone();
        self.jobs += 1;
        let number = self.jobs;
        let (settings, sample) = self.shown_settings();
        self.link.send(&ToWorker::Smooth {
            number,
            video: Video::clone(&video),
            factor: SMOOTHER,
        });
        let at = At::Smoother(self.player.before() * SMOOTHER);
        self.job = Some(Running {
            revision: self.shown_revision.unwrap_or(u64::MAX),
            aspect: self.player.aspect(),
            ..Running::new(number, at, settings, sample)
        });
        self.show_job();
        self.update();
    }

    /// Whether the video that is shown can have more frames.
    pub(super) fn can_smooth(&self) -> bool {
        self.player.video().is_some_and(|video| {
            let bytes: usize = video.frames.iter().map(Vec::len).sum();
            let most = bytes * SMOOTHER as usize <= SMOOTH_BYTES;
            video.frames.len() > 1 && video.fps * SMOOTHER <= SMOOTH_FPS && most
        })
    }

    /// Starts the worker again where it is gone: it may start by now.
    fn start_if_gone(&mut self) {
        if self.gone {
            self.crashes = 0;
            self.start_worker();
        }
    }

    /// The scene as the player and the worker need it: both have the picture, or need none.
    pub(super) fn scene_without_picture(&self) -> Scene {
        without_picture(self.editor.scene())
    }

    /// Has the worker begin with job `number`.
    fn generate_here(&mut self, number: u64, wanted: &Wanted) -> At {
        self.start_if_gone();
        self.send_picture();
        let settings = wanted.opened.as_ref().unwrap_or(&wanted.settings);
        let maker = wanted.maker;
        let job = JobData::new(&without_picture(&wanted.scene), settings);
        self.link.send(&ToWorker::Generate { number, job, maker });
        At::Worker(maker)
    }

    /// Asks the job to stop; a worker that does not listen is ended, a server is not waited for.
    pub fn cancel_job(&mut self) {
        if self.job.is_none() {
            return self.cancel_click();
        }
        let Some(job) = self.job.as_mut().filter(|j| !j.cancelled) else {
            return;
        };
        job.cancelled = true;
        job.phase = "Stopping".into();
        // What was being prepared stops, too.
        self.live.forget();
        let number = job.number;
        match &job.at {
            At::Worker(_) | At::Smoother(_) => self.link.send(&ToWorker::Cancel),
            At::Server(remote) => remote.forget(),
        }
        self.show_job();
        dom::after(PATIENCE, move || {
            act(move |app| {
                match app
                    .job
                    .as_ref()
                    .filter(|j| j.number == number)
                    .map(|j| &j.at)
                {
                    Some(At::Worker(_) | At::Smoother(_)) => {
                        app.restart_worker();
                        say(
                            Kind::Note,
                            "Stopped. What the browser computes with is being started again.",
                        );
                    }
                    Some(At::Server(remote)) => {
                        remote.abandon();
                        app.job_failed(number, None);
                    }
                    None => {}
                }
            });
        });
    }

    /// What a job says, wherever it runs.
    pub fn job_event(&mut self, number: u64, event: JobEvent) {
        let Some(job) = self.job.as_mut().filter(|j| j.number == number) else {
            return;
        };
        // What a large model follows is made quickly; its networks are read one after another, and take most of the time.
        let opened = matches!(job.at, At::Worker(Maker::Opened));
        if !matches!(event, JobEvent::Step { .. } | JobEvent::Preview(_)) {
            job.before_steps = now();
        }
        let began = (job.before_steps, job.fraction);
        let mut progress = |phase: String, fraction: f64| {
            if !job.cancelled {
                job.phase = phase;
                job.fraction = job.fraction.max(fraction);
            }
        };
        match event {
            JobEvent::Queued { ahead: 0 } => progress("Waiting for the server".into(), 0.0),
            JobEvent::Queued { ahead } => {
                let before = match ahead {
                    1 => "Waiting: one job is before this one".to_owned(),
                    _ => format!("Waiting: {ahead} jobs are before this one"),
                };
                progress(before, 0.0);
            }
            JobEvent::Loading { part, done, total } => {
                let share = if total > 0 {
                    done as f64 / total as f64
                } else {
                    0.0
                };
                progress(
                    format!("Loading {part}, {}", amount(done, total)),
                    0.08 * share,
                );
            }
            JobEvent::Plan {
                width,
                height,
                frames,
                ..
            } => {
                progress(
                    format!("Planning {frames} frames of {width} x {height}"),
                    0.08,
                );
            }
            JobEvent::Encoding => progress("Reading the picture and the paths".into(), 0.1),
            JobEvent::Filling { done, total } => {
                let share = f64::from(done) / f64::from(total.max(1));
                if opened {
                    progress("Filling what was hidden".into(), 0.1 + 0.02 * share);
                } else {
                    let fraction = 0.12 + 0.7 * share;
                    progress("Filling what was hidden".into(), fraction);
                    job.first_step.get_or_insert((now(), fraction));
                }
            }
            JobEvent::Step { step, steps } => {
                let fraction = 0.12 + 0.8 * f64::from(step) / f64::from(steps.max(1));
                progress(format!("Denoising, step {step} of {steps}"), fraction);
                job.first_step.get_or_insert(began);
            }
            JobEvent::Decoding { done, total } => {
                let fraction = 0.92 + 0.08 * f64::from(done) / f64::from(total.max(1));
                progress(format!("Frame {done} of {total}"), fraction);
            }
            JobEvent::Smoothing { done, total } => {
                let share = f64::from(done) / f64::from(total.max(1));
                progress(
                    format!("Frame {done} of {total} between others"),
                    0.08 + 0.92 * share,
                );
                job.first_step.get_or_insert(began);
            }
            JobEvent::Preview(preview) => {
                // Without its frames there is nothing to see of it.
                if let Some(video) = preview.video() {
                    let aspect = job.aspect;
                    if !job.is_worker() {
                        self.player.leave_gpu();
                    }
                    self.player.set_aspect(aspect);
                    self.player.preview(video.clone());
                }
            }
            JobEvent::Stopping => say(
                Kind::Note,
                "The server is being stopped. It finishes this job first and takes no other.",
            ),
            // Its frames come after it: [`App::job_done`].
            JobEvent::Done(_) => {}
            JobEvent::Failed { error } => return self.job_failed(number, Some(error)),
            JobEvent::Cancelled => return self.job_failed(number, None),
        }
        self.show_job();
    }

    /// A part of a job's video has come, of which there are `count` frames in all.
    pub fn job_frames(&mut self, number: u64, count: u32, part: Video) {
        let Some(job) = self.job.as_mut().filter(|j| j.number == number) else {
            return;
        };
        let arrived = match &mut job.arrived {
            Some(arrived) => {
                arrived.frames.extend(part.frames);
                arrived
            }
            none => none.insert(part),
        };
        if arrived.frames.len() >= count as usize {
            let video = std::mem::take(arrived);
            self.job_done(number, video);
        }
    }

    /// A job has ended with a video.
    pub fn job_done(&mut self, number: u64, video: Video) {
        let Some(job) = self.job.take_if(|j| j.number == number) else {
            return;
        };
        let smoother = matches!(job.at, At::Smoother(_));
        let (video, before) = match job.at {
            At::Smoother(before) => (video, before),
            _ => self.joined(video),
        };
        if !job.is_worker() || before > 0 || smoother {
            self.player.leave_gpu();
        }
        let video = Arc::new(video);
        let mut scene = self.player.scene().clone();
        self.player.set_aspect(job.aspect);
        self.player.begin(scene.clone(), video.fps, before);
        self.player.finish(video.clone());
        scene.picture = self.video_of.clone();
        self.keep_result(Ended {
            scene,
            settings: job.settings,
            video,
            aspect: job.aspect,
            before,
            sample: job.sample,
        });
        self.shown_revision = Some(job.revision);
        self.crashes = 0;
        self.update();
        self.show_job();
    }

    /// What a job is at, where no event says so.
    pub fn job_phase(&mut self, number: u64, phase: String) {
        if let Some(job) = self
            .job
            .as_mut()
            .filter(|j| j.number == number && !j.cancelled)
        {
            job.phase = phase;
            self.show_job();
        }
    }

    /// A job has newer frames on the GPU.
    pub fn frames_on_gpu(&mut self, number: u64, frames: u32) {
        if let Some(job) = self.job.as_ref().filter(|j| j.number == number) {
            self.player.set_aspect(job.aspect);
            self.player.set_on_gpu(frames);
            self.draw_soon();
        }
    }

    /// A job has ended without a video.
    pub fn job_failed(&mut self, number: u64, error: Option<String>) {
        if self.job.take_if(|j| j.number == number).is_none() {
            return;
        }
        match error {
            Some(error) => say(Kind::Error, &sentence(&error)),
            None => say(Kind::Note, "Stopped."),
        }
        self.show_job();
        self.update();
    }

    /// The progress bar.
    pub fn show_job(&mut self) {
        dom::show(&dom::by_id("progress"), self.job.is_some());
        let Some(job) = &self.job else {
            self.begin_next_soon();
            return self.show_status();
        };
        dom::set_text(&dom::by_id("phase"), &job.phase);
        dom::by_id::<HtmlProgressElement>("progress-bar").set_value(job.fraction);
        self.draw_soon();
    }

    /// How far it is and how long it will still take.
    pub fn show_estimate(&self) {
        let Some(job) = &self.job else { return };
        let left = job.first_step.and_then(|(since, at)| {
            let rate = (job.fraction - at) / (now() - since).max(1.0);
            (rate > 0.0).then(|| (1.0 - job.fraction) / rate / 1000.0)
        });
        let percent = (job.fraction * 100.0).round();
        let text = match left {
            Some(s) if s >= 90.0 => format!("{percent} %, about {:.0} min left", s / 60.0),
            Some(s) if s >= 1.0 => format!("{percent} %, about {s:.0} s left"),
            _ => format!("{percent} %"),
        };
        dom::set_text(&dom::by_id("percent"), &text);
    }

    /// Saves the video as a GIF.
    pub fn save_gif(&self) {
        let aspect = self.player.aspect();
        self.save_shown("save-gif", "GIF", async move |video: Arc<Video>| {
            let bytes = gif(&video, aspect).map_err(|e| e.to_string())?;
            dom::offer(&bytes, "dragentity.gif", "image/gif")
        });
    }

    /// Saves the video as it is shown, with the paths or without; `make` makes the file and offers it, `kind` is its ending.
    fn save_shown<F>(&self, button: &str, kind: &'static str, make: F)
    where
        F: AsyncFnOnce(Arc<Video>) -> Result<(), String> + 'static,
    {
        let Some(video) = self.player.video().cloned() else {
            return;
        };
        let over = self.player.paths_shown();
        let button: HtmlButtonElement = dom::by_id(button);
        button.set_disabled(true);
        spawn_local(async move {
            let made = match as_shown(&video, over).await {
                Ok(video) => make(video).await,
                Err(why) => Err(why),
            };
            act(move |_| {
                button.set_disabled(false);
                saved(made, kind);
            });
        });
    }

    /// Saves the video's frames, as PNGs in a ZIP.
    pub fn save_frames(&self) {
        self.save_shown("save-frames", "ZIP", async |video: Arc<Video>| {
            let mut archive = Archive::default();
            for frame in &video.frames {
                let added = archive.add(video.width, video.height, frame);
                added.map_err(|e| e.to_string())?;
                // The page is drawn in between.
                dom::sleep(0).await;
            }
            let bytes = archive.finish().map_err(|e| e.to_string())?;
            dom::offer(&bytes, "dragentity.zip", "application/zip")
        });
    }

    /// Saves the video as an animated WebP, whose pictures the browser encodes.
    pub fn save_webp(&self) {
        self.save_shown("save-webp", "WebP", async |video: Arc<Video>| {
            let stills = stills(&video).await?;
            let bytes = animation::webp([video.width, video.height], video.fps, &stills);
            let bytes = bytes.map_err(|e| e.to_string())?;
            dom::offer(&bytes, "dragentity.webp", "image/webp")
        });
    }

    /// Saves the video as a film: the server's MP4, if that made one, else what the browser encodes. The server's has no paths over it.
    pub fn save_film(&mut self) {
        let over = self.player.paths_shown();
        let own = over.is_some() && self.player.encodes();
        if let Some((bytes, container)) = self.player.film().filter(|_| !own) {
            return saved(offer_film(bytes, container), container.name());
        }
        let Some(video) = self.player.video().cloned() else {
            return;
        };
        let button: HtmlButtonElement = dom::by_id("save-mp4");
        button.set_disabled(true);
        spawn_local(async move {
            let plain = over.is_none();
            let made = match as_shown(&video, over).await {
                Ok(video) => encoder::encode(&video).await,
                Err(why) => Err(why),
            };
            act(move |app| {
                button.set_disabled(false);
                // Meanwhile another one may be shown; this one was asked for all the same.
                let shown = app.player.video().is_some_and(|v| Arc::ptr_eq(v, &video));
                let name = made
                    .as_ref()
                    .map_or("MP4", |(_, container)| container.name());
                let offered = made.and_then(|(bytes, container)| {
                    offer_film(&bytes, container)?;
                    if shown && plain {
                        app.player.set_film(bytes, container);
                    }
                    Ok(())
                });
                saved(offered, name);
            });
        });
    }
}

/// A video with the paths over it, where they are shown; the first frames are of an earlier video, over which there are none.
async fn as_shown(video: &Arc<Video>, over: Option<(Scene, u32)>) -> Result<Arc<Video>, String> {
    let Some((scene, before)) = over else {
        return Ok(Arc::clone(video));
    };
    let before = before as usize;
    let last = (video.frames.len() - before.min(video.frames.len())).max(2) - 1;
    let size = [video.width, video.height];
    let mut frames = Vec::with_capacity(video.frames.len());
    for (i, frame) in video.frames.iter().enumerate() {
        frames.push(match i.checked_sub(before) {
            Some(since) => {
                let t = since as f32 / last as f32;
                media::overlay::frame_with_trajectories(size, frame, &scene, t)
                    .map_err(|e| e.to_string())?
            }
            None => frame.clone(),
        });
        // The page is drawn in between.
        dom::sleep(0).await;
    }
    Ok(Arc::new(Video { frames, ..**video }))
}

fn offer_film(bytes: &[u8], container: Container) -> Result<(), String> {
    let name = format!("dragentity.{}", container.name().to_lowercase());
    dom::offer(bytes, &name, container.media_type())
}

/// The quality of saved WebPs, 0 to 1: nothing of the compression shows.
const WEBP_QUALITY: f64 = 0.92;

/// The frames of a video, each as a WebP that the browser encodes.
async fn stills(video: &Video) -> Result<Vec<Vec<u8>>, String> {
    let mut stills = Vec::with_capacity(video.frames.len());
    for frame in &video.frames {
        let painted = canvas::from_rgb(video.width, video.height, frame);
        let encoded = canvas::encoded(&painted, "image/webp", WEBP_QUALITY).await;
        stills.push(encoded.ok_or("this browser encodes no WebP; save a GIF")?);
    }
    Ok(stills)
}

/// A scene for whoever has the picture.
fn without_picture(scene: &Scene) -> Scene {
    let mut scene = scene.clone();
    scene.picture = Picture::default();
    scene
}

/// Says whether a file was saved.
fn saved(result: Result<(), String>, kind: &str) {
    match result {
        Ok(()) => say(
            Kind::Done,
            &format!("Saved as dragentity.{}.", kind.to_lowercase()),
        ),
        Err(reason) => say(
            Kind::Error,
            &sentence(&format!("the {kind} was not saved: {reason}")),
        ),
    }
}

/// Longest side of a GIF, in pixels: it is made while the page waits, and every pixel of every frame is in it.
const GIF_SIDE: u32 = 640;

/// The video's GIF: at the size to look at it, in the picture's shape.
fn gif(video: &Video, aspect: f32) -> dragentity_core::Result<Vec<u8>> {
    let shape = ((aspect * 1000.0).round() as u32, 1000);
    let (width, height) = media::view_size((video.width, video.height), shape, None);
    let shrink = (f64::from(GIF_SIDE) / f64::from(width.max(height))).min(1.0);
    let [width, height] = [width, height].map(|side| (f64::from(side) * shrink).round() as u32);
    let shown = media::resized(video, width, height)?;
    media::gif::encode(&shown)
}
