//! The page's half: translates events into calls of [`Editor`], draws, and has the worker do the model's work.

mod behind;
mod canvas;
mod compute_targets;
mod encoder;
mod events;
mod exchange;
mod extend;
mod folders;
mod ground;
mod job;
mod keep;
pub(super) mod link;
mod list;
mod live;
mod live_gpu;
mod live_view;
mod menu;
mod model;
mod motions;
mod open;
mod player;
mod preferences;
mod queue;
mod remote;
mod remote_job;
mod results;
mod scenes;
mod segmenter;
mod settings;
mod share;
mod stage;
mod status;
mod timeline;
mod wipe;
pub(super) mod worker;
mod zoom;

use super::editor::view::View;
use super::editor::{Editor, Outcome};
use super::messages::{Kind, say};
use super::protocol::{DeviceChoice, Pixels, ToWorker};
use super::{dom, messages, words};
use compute_targets::ComputeTargets;
use dragentity_core::Video;
use dragentity_core::scene::Picture;
use dragentity_core::scene::preset::Preset;
use job::Running;
use link::Link;
use live::Live;
use model::OwnModel;
use player::Player;
use queue::Queue;
use results::Results;
use scenes::{first_scene, open_example, open_link, open_own, open_plate, open_sample, open_scene};
use segmenter::Segmenter;
use stage::Stage;
use std::cell::RefCell;
use std::sync::Arc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use worker::Device;

/// Everything the page knows.
pub struct App {
    editor: Editor,
    stage: Stage,
    /// Which part of the picture is seen.
    view: View,
    player: Player,
    link: Link,
    /// There is no worker, or it has no device.
    gone: bool,
    segmenter_url: String,
    model_url: String,
    choice: DeviceChoice,
    /// Whether there is a GPU worth using; only known where there can be threads.
    gpu: bool,
    /// How many threads the processor's work is done by.
    threads: usize,
    device: Option<Device>,
    compute_targets: ComputeTargets,
    segmenter: Segmenter,
    model: OwnModel,
    /// What is shown while paths are drawn.
    live: Live,
    /// Whether the page's own model makes the videos that are made here.
    by_model: bool,
    /// Frames, frames a second and steps of what makes the videos: those in the settings until somebody chooses others.
    own_numbers: [u32; 3],
    job: Option<Running>,
    /// Scenes that wait for it.
    queue: Queue,
    /// The videos that were made.
    results: Results,
    /// The video that the scene goes on from, and the picture that it begins with.
    goes_on: Option<(Picture, Arc<Video>)>,
    /// Number of the last job.
    jobs: u64,
    /// The revision of the scene that the finished video shows.
    shown_revision: Option<u64>,
    /// The picture that the last job was, or is, of.
    video_of: Picture,
    /// A link's preset that waits for its picture.
    waiting_preset: Option<Preset>,
    /// Counts pictures being opened: the last one asked for wins.
    opening: u64,
    /// Which sample is open.
    sample: Option<String>,
    /// Which sample is being opened.
    asked_sample: Option<String>,
    /// The picture's pixels as the worker has them.
    sent_picture: u64,
    picture_revision: u64,
    touch: bool,
    crashes: u32,
    dirty: bool,
    scheduled: bool,
    /// A timer will have the page drawn.
    waiting: bool,
    /// When the preview of the paths began.
    carry_since: Option<f64>,
    /// The moment at which the timeline's playhead holds the picture, a fraction of the video.
    scrub: Option<f32>,
    save_scheduled: bool,
}

/// How far from a handle's beginning a pointer still takes it up, in pixels of the page.
const HANDLE: f64 = 24.0;
/// How often the time that is left is told, in milliseconds.
const ESTIMATE_EVERY: i32 = 250;

thread_local! {
    static APP: RefCell<Option<App>> = const { RefCell::new(None) };
}

/// Does something with the app: now, or, in the middle of something else (an element that loses its focus because it is
/// removed says so at once), right after that.
fn act(f: impl FnOnce(&mut App) + 'static) {
    APP.with(|cell| match cell.try_borrow_mut() {
        Ok(mut app) => {
            if let Some(app) = app.as_mut() {
                f(app);
            }
        }
        Err(_) => spawn_local(async move { act(f) }),
    });
}

/// Milliseconds on the clock that events use.
fn now() -> f64 {
    dom::window().performance().map_or(0.0, |p| p.now())
}

/// Starts the page.
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        say(
            Kind::Error,
            "The page has crashed. Reload it: your scene is kept.",
        );
    }));
    let (choice, threads) = worker::asked_device();
    let asked = worker::asked;
    // Who names a model wants it.
    let by_model = asked("model").is_some();
    let app = App {
        editor: Editor::default(),
        stage: Stage::new(),
        view: View::default(),
        player: Player::new(),
        link: Link::default(),
        gone: false,
        segmenter_url: asked("segmenter")
            .unwrap_or_else(|| "models/mobile_sam/model.safetensors".into()),
        model_url: asked("model").unwrap_or_else(|| "models/mini/".into()),
        choice,
        gpu: false,
        threads,
        device: None,
        compute_targets: ComputeTargets::new(),
        segmenter: Segmenter::default(),
        model: OwnModel::default(),
        live: Live::default(),
        by_model,
        own_numbers: [0; 3],
        job: None,
        queue: Queue::default(),
        results: Results::default(),
        goes_on: None,
        jobs: 0,
        shown_revision: None,
        video_of: Picture::default(),
        waiting_preset: None,
        opening: 0,
        sample: None,
        asked_sample: None,
        sent_picture: 0,
        picture_revision: 0,
        touch: dom::matches("(pointer: coarse)"),
        crashes: 0,
        dirty: true,
        scheduled: false,
        waiting: false,
        carry_since: None,
        scrub: None,
        save_scheduled: false,
    };
    APP.with(|cell| *cell.borrow_mut() = Some(app));
    events::wire();
    act(|app| {
        let own = app.own_settings();
        app.own_numbers = [own.frames, own.fps, own.steps];
        app.editor.settings = own;
        app.editor.entity = words::said("Entity").into();
        app.show_settings();
        app.ask_server(false);
        app.update();
    });
    spawn_local(async move {
        let gpu = worker::has_gpu(choice, threads).await;
        act(move |app| {
            app.gpu = gpu;
            app.restart_worker();
            if let Some(url) = worker::asked("svd") {
                let [unet, controlnet] = ["unet", "controlnet"].map(worker::asked);
                app.open_model_at(&url, unet.as_deref(), controlnet.as_deref());
            }
            model::offer_again();
        });
    });
    spawn_local(first_scene(asked("picture")));
    spawn_local(results::read());
    spawn_local(async {
        let encodes = encoder::container().await;
        act(move |app| app.player.set_encodes(encodes));
    });
}

impl App {
    /// The editor has another picture: by opening one, or by undoing that.
    fn picture_changed(&mut self) {
        self.scrub = None;
        let picture = &self.editor.scene().picture.clone();
        self.stage.set_picture(picture);
        self.look(View::default());
        self.picture_revision += 1;
        let aspect = self.editor.aspect();
        let frame: web_sys::HtmlElement = dom::by_id("stage-frame");
        let _ = frame
            .style()
            .set_property("--ratio", &format!("{aspect:.4}"));
        if self.video_of != *picture {
            // A video of another picture says nothing of this one.
            self.empty_queue();
            self.cancel_job();
            self.player.clear();
        }
        if !self.player.has_frames() && self.job.is_none() {
            self.player.set_aspect(aspect);
        }
        self.send_picture();
    }

    fn send_picture(&mut self) {
        if self.sent_picture != self.picture_revision && !self.editor.scene().picture.is_empty() {
            self.sent_picture = self.picture_revision;
            self.segmenter.forget_picture();
            self.link.send(&ToWorker::Picture(Pixels::of_picture(
                &self.editor.scene().picture,
            )));
        }
    }

    /// Has the editor do something, and does what it then asks for.
    fn done(&mut self, f: impl FnOnce(&mut Editor) -> Outcome) {
        match f(&mut self.editor) {
            Outcome::Nothing => {}
            Outcome::Draw => self.draw_soon(),
            Outcome::Changed => self.update(),
            Outcome::Say(text) => {
                say(Kind::Note, text);
                self.update();
            }
            Outcome::Split(request) => {
                let mask = self.editor.scene().entities.get(request.target);
                if let Some(mask) = mask.map(|e| Pixels::of_mask(&e.mask))
                    && !self.gone
                {
                    let number = request.number;
                    self.link.send(&ToWorker::Parts { number, mask });
                } else {
                    self.editor.answer_parts(request.number, None);
                    say(
                        Kind::Error,
                        "There is nothing that finds parts. Reload the page, or paint each part with the brush.",
                    );
                }
                self.update();
            }
            Outcome::Segment(request) => self.segment(request),
            Outcome::Suggest { number, at } => self.suggest(number, at),
        }
    }

    /// Undo and redo, which may bring another picture back.
    fn travel(&mut self, step: impl FnOnce(&mut Editor) -> Outcome) {
        let before = {
            let picture = &self.editor.scene().picture;
            (picture.width, picture.height, picture.hash())
        };
        let outcome = step(&mut self.editor);
        let picture = &self.editor.scene().picture;
        if before != (picture.width, picture.height, picture.hash()) {
            self.sample = None;
            self.picture_changed();
            self.keep_picture();
        }
        self.done(|_| outcome);
    }

    /// A reload must find the picture that the scene is on, where it came from no file.
    fn keep_picture(&self) {
        let scene = self.editor.scene();
        let file = |picture: &Picture| dom::blob(&picture.to_png().ok()?, "image/png").ok();
        if let Some(blob) = file(&scene.picture) {
            spawn_local(async move { keep::picture(&blob, "picture").await });
        }
        if let Some(plate) = &scene.behind.plate
            && let Some(blob) = file(plate)
        {
            let hash = plate.hash().to_string();
            spawn_local(async move { keep::plate(&blob, &hash).await });
        }
    }

    /// Draws at the browser's next frame.
    fn draw_soon(&mut self) {
        self.dirty = true;
        self.schedule();
    }

    fn schedule(&mut self) {
        if std::mem::replace(&mut self.scheduled, true) {
            return;
        }
        let callback = Closure::once_into_js(|now: f64| act(move |app| app.frame(now)));
        let _ = dom::window().request_animation_frame(callback.unchecked_ref());
    }

    fn frame(&mut self, now: f64) {
        self.scheduled = false;
        let carry = self.carry_since.map(|since| {
            // The length of the video, and a moment to see the end.
            let length = 1000.0 * f64::from(self.editor.settings.frames)
                / f64::from(self.editor.settings.fps.max(1));
            ((now - since).max(0.0) / length.max(400.0)) as f32
        });
        if carry.is_some_and(|t| t > 1.25) {
            self.carry_since = None;
        }
        let carry = carry
            .filter(|_| self.carry_since.is_some())
            .map(|t| t.min(1.0));
        let playing = carry.is_some();
        let carry = carry.or(self.scrub);
        let moving = playing || self.editor.pending().is_some();
        if std::mem::replace(&mut self.dirty, false) || moving {
            self.editor.grasp = self.stage.fraction(HANDLE);
            self.editor.moment = self.scrub.filter(|_| !playing);
            self.stage.draw(&self.editor, carry, playing, now);
            self.show_time(carry.unwrap_or_default(), playing);
        }
        if let Some(view) = self.player.draw(now) {
            self.link.send(&ToWorker::Draw(view));
        }
        self.show_estimate();
        if moving || self.carry_since.is_some() {
            self.dirty |= self.carry_since.is_some();
            return self.schedule();
        }
        // No oftener than something changes: who computes needs the processor.
        let next = self.player.next_frame(now);
        if let Some(ms) = next.or(self.job.as_ref().map(|_| ESTIMATE_EVERY)) {
            self.schedule_in(ms);
        }
    }

    /// Draws in so many milliseconds, if not sooner.
    fn schedule_in(&mut self, ms: i32) {
        if std::mem::replace(&mut self.waiting, true) {
            return;
        }
        dom::after(ms, || {
            act(|app| {
                app.waiting = false;
                app.schedule();
            });
        });
    }
}
