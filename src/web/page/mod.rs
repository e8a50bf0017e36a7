//! The page's half: translates events into calls of [`Editor`], draws, and has the worker do the model's work.

mod events;
mod handed;
mod job;
mod keep;
mod link;
mod list;
mod open;
mod places;
mod player;
mod remote;
mod segmenter;
mod stage;

use super::editor::{Editor, Outcome, Status};
use super::messages::{Kind, say, sentence};
use super::protocol::{DeviceChoice, FromWorker, Pixels, ToWorker};
use super::{dom, messages};
use crate::error::Result;
use crate::scene::preset::{FRAGMENT, Fit, Preset};
use crate::scene::{Picture, Representation, Scene};
use job::Running;
use link::Link;
use places::Places;
use player::Player;
use segmenter::Segmenter;
use stage::Stage;
use std::cell::RefCell;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, Element, HtmlButtonElement, HtmlInputElement, HtmlSelectElement};

/// After how many crashes in a row the worker is not started again by itself.
const MOST_CRASHES: u32 = 3;

/// Where the model is.
#[derive(Clone, PartialEq)]
enum Model {
    Loading,
    Ready,
    Missing,
}

/// What the model runs on.
struct Device {
    gpu: bool,
    name: String,
    why: String,
}

/// Everything the page knows.
pub struct App {
    editor: Editor,
    stage: Stage,
    player: Player,
    link: Link,
    model: Model,
    model_url: String,
    choice: DeviceChoice,
    device: Option<Device>,
    places: Places,
    segmenter: Segmenter,
    job: Option<Running>,
    /// Number of the last job.
    jobs: u64,
    /// The revision of the scene that the finished video shows.
    shown_revision: Option<u64>,
    /// A link's preset that waits for its picture.
    waiting_preset: Option<Preset>,
    /// Counts pictures being opened: the last one asked for wins.
    opening: u64,
    /// Which sample is open.
    sample: Option<String>,
    /// The picture's pixels as the worker has them.
    sent_picture: u64,
    picture_revision: u64,
    touch: bool,
    crashes: u32,
    dirty: bool,
    scheduled: bool,
    /// When the preview of the paths began.
    carry_since: Option<f64>,
    save_scheduled: bool,
}

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
    let query = dom::window().location().search().unwrap_or_default();
    let query = web_sys::UrlSearchParams::new_with_str(&query).ok();
    let asked = |name: &str| query.as_ref().and_then(|q| q.get(name));
    let choice = match asked("device").as_deref() {
        Some("cpu") => DeviceChoice::Cpu,
        Some("webgpu") => DeviceChoice::WebGpu,
        _ => DeviceChoice::Auto,
    };
    let app = App {
        editor: Editor::default(),
        stage: Stage::new(),
        player: Player::new(),
        link: Link::default(),
        model: Model::Loading,
        model_url: asked("model").unwrap_or_else(|| "models/mini/".into()),
        choice,
        device: None,
        places: Places::new(),
        segmenter: Segmenter::default(),
        job: None,
        jobs: 0,
        shown_revision: None,
        waiting_preset: None,
        opening: 0,
        sample: None,
        sent_picture: 0,
        picture_revision: 0,
        touch: false,
        crashes: 0,
        dirty: true,
        scheduled: false,
        carry_since: None,
        save_scheduled: false,
    };
    APP.with(|cell| *cell.borrow_mut() = Some(app));
    events::wire();
    act(|app| {
        app.start_worker();
        app.ask_server(false);
        app.update();
    });
    spawn_local(first_scene());
}

/// What the page opens with: the link's scene, or what was there before a reload, or the first sample.
async fn first_scene() {
    let fragment = dom::window().location().hash().unwrap_or_default();
    if fragment.contains(FRAGMENT) {
        match Preset::parse(&fragment) {
            Ok(preset) => return open_preset(preset).await,
            Err(error) => refuse_link(&error),
        }
    }
    if let Some(kept) = keep::kept() {
        let blob = if kept.own {
            keep::kept_picture().await
        } else {
            open::sample(&kept.name).await.ok()
        };
        if let Some(blob) = blob
            && let Ok(picture) = open::picture(&blob, &kept.name).await
        {
            let sample = (!kept.own).then(|| kept.name.clone());
            let preset = Preset::parse(&kept.fragment).ok();
            act(move |app| app.set_scene(picture, preset, sample));
            return;
        }
    }
    open_sample(open::SAMPLES[0].into()).await;
}

/// Opens a sample.
async fn open_sample(name: String) {
    act(|app| app.opening += 1);
    let number = APP.with(|cell| {
        cell.try_borrow()
            .ok()
            .and_then(|a| a.as_ref().map(|a| a.opening))
    });
    let opened: Result<Picture> =
        async { open::picture(&open::sample(&name).await?, &format!("{name}.jpg")).await }.await;
    act(move |app| {
        if number != Some(app.opening) {
            return;
        }
        match opened {
            Ok(picture) => {
                keep::sample(&name);
                app.take_picture(picture, Some(name));
            }
            Err(error) => say(Kind::Error, &sentence(&error.to_string())),
        }
    });
}

/// Opens a picture of the person's own.
async fn open_own(blob: Blob, name: String) {
    act(|app| app.opening += 1);
    let number = APP.with(|cell| {
        cell.try_borrow()
            .ok()
            .and_then(|a| a.as_ref().map(|a| a.opening))
    });
    let opened = open::picture(&blob, &name).await;
    let worked = opened.is_ok();
    act(move |app| {
        if number != Some(app.opening) {
            return;
        }
        match opened {
            Ok(picture) => app.take_picture(picture, None),
            Err(error) => say(Kind::Error, &sentence(&error.to_string())),
        }
    });
    if worked {
        keep::picture(&blob, &name).await;
    }
}

fn refuse_link(error: &crate::Error) {
    say(
        Kind::Error,
        &sentence(&format!(
            "this link cannot be opened: {}",
            strip(&error.to_string())
        )),
    );
    forget_fragment();
}

/// Opens a link.
async fn open_link(text: String) {
    match Preset::parse(&text) {
        Ok(preset) => open_preset(preset).await,
        Err(error) => refuse_link(&error),
    }
}

/// The scene that comes with the sample that is open.
async fn open_example() {
    let Some(name) = APP.with(|cell| cell.borrow().as_ref().and_then(|a| a.sample.clone())) else {
        return;
    };
    let preset = match open::example(&name).await {
        Ok(text) => Preset::parse(&text),
        Err(error) => Err(error),
    };
    act(move |app| match preset {
        Ok(preset) if app.sample.as_deref() == Some(&name) => {
            let picture = app.editor.scene().picture.clone();
            app.set_scene(picture, Some(preset), Some(name));
        }
        Ok(_) => {}
        Err(error) => say(Kind::Error, &sentence(&error.to_string())),
    });
}

/// Opens a preset: on the picture that is there if it is the preset's, else on the sample that is; else it waits for its
/// picture.
async fn open_preset(preset: Preset) {
    let here = APP.with(|cell| {
        cell.borrow()
            .as_ref()
            .map(|a| (a.editor.scene().picture.clone(), a.sample.clone()))
    });
    let mut candidates = Vec::new();
    if let Some((picture, sample)) = here
        && !picture.is_empty()
    {
        candidates.push((picture, sample));
    }
    let none_yet = candidates.is_empty();
    let fits =
        |c: &[(Picture, Option<String>)]| c.iter().position(|(p, _)| preset.fits(p) == Fit::Same);
    if fits(&candidates).is_none() {
        for name in open::SAMPLES {
            if let Ok(blob) = open::sample(name).await
                && let Ok(picture) = open::picture(&blob, name).await
            {
                candidates.push((picture, Some(name.to_string())));
                if fits(&candidates).is_some() {
                    break;
                }
            }
        }
    }
    if let Some(i) = fits(&candidates) {
        let (picture, sample) = candidates.swap_remove(i);
        if let Some(name) = &sample {
            keep::sample(name);
        }
        forget_fragment();
        act(move |app| app.set_scene(picture, Some(preset), sample));
        return;
    }
    let (w, h) = (preset.width, preset.height);
    say(
        Kind::Error,
        &format!(
            "This link was made on another picture, of {w} x {h} pixels, which a link does not carry. Open that picture \
             and the link's entities and paths appear on it."
        ),
    );
    act(move |app| app.waiting_preset = Some(preset));
    if none_yet && let Some((picture, sample)) = candidates.into_iter().next() {
        act(move |app| app.show_picture(picture, sample));
    }
}

/// The address without the link's scene, so that a reload brings back the scene as it is then.
fn forget_fragment() {
    let location = dom::window().location();
    let address = format!(
        "{}{}",
        location.pathname().unwrap_or_default(),
        location.search().unwrap_or_default()
    );
    if let Ok(history) = dom::window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&address));
    }
}

impl App {
    /// A picture that was asked for: with the scene of the link that waits for it, if it is the one.
    fn take_picture(&mut self, picture: Picture, sample: Option<String>) {
        match self.waiting_preset.take() {
            Some(preset) if preset.fits(&picture) != Fit::Different => {
                forget_fragment();
                self.set_scene(picture, Some(preset), sample);
            }
            Some(preset) => {
                if let Err(error) = preset.scene(picture.clone()) {
                    say(
                        Kind::Error,
                        &sentence(&format!(
                            "the link's scene is not shown: {}",
                            strip(&error.to_string())
                        )),
                    );
                }
                self.waiting_preset = Some(preset);
                self.show_picture(picture, sample);
            }
            None => self.show_picture(picture, sample),
        }
    }

    fn show_picture(&mut self, picture: Picture, sample: Option<String>) {
        self.set_scene(picture, None, sample);
    }

    /// A picture, with a preset's entities, paths and settings, or with none.
    fn set_scene(&mut self, picture: Picture, preset: Option<Preset>, sample: Option<String>) {
        let scene = match &preset {
            Some(preset) => match preset.scene(picture.clone()) {
                Ok(scene) => {
                    self.editor.settings = preset.settings.clone();
                    scene
                }
                Err(error) => {
                    say(Kind::Error, &sentence(&error.to_string()));
                    Scene {
                        picture,
                        ..Scene::default()
                    }
                }
            },
            None => Scene {
                picture,
                ..Scene::default()
            },
        };
        self.editor.set_scene(scene);
        self.sample = sample;
        self.picture_changed();
        self.show_settings();
        self.update();
    }

    /// The editor has another picture: by opening one, or by undoing that.
    fn picture_changed(&mut self) {
        let picture = &self.editor.scene().picture;
        self.stage.set_picture(picture);
        self.picture_revision += 1;
        let aspect = self.editor.aspect();
        let frame: web_sys::HtmlElement = dom::by_id("stage-frame");
        let _ = frame
            .style()
            .set_property("--ratio", &format!("{aspect:.4}"));
        if !self.player.has_frames() && self.job.is_none() {
            self.player.set_aspect(aspect);
        }
        self.send_picture();
    }

    fn send_picture(&mut self) {
        if self.sent_picture != self.picture_revision && !self.editor.scene().picture.is_empty() {
            self.sent_picture = self.picture_revision;
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
                    && self.model != Model::Missing
                {
                    let number = request.number;
                    self.link.send(&ToWorker::Parts { number, mask });
                } else {
                    self.editor.answer_parts(request.number, None);
                    say(
                        Kind::Error,
                        "The model that finds parts is not loaded. Reload the page, or paint each part with the brush.",
                    );
                }
                self.update();
            }
            Outcome::Segment(request) => self.segment(request),
        }
    }

    /// The parts that the worker found.
    fn take_parts(&mut self, number: u64, parts: Vec<(usize, Pixels)>) {
        let masks = parts
            .into_iter()
            .map(|(part, mask)| Ok((part, mask.mask()?)));
        match masks.collect::<Result<Vec<_>>>() {
            Ok(parts) => self.done(|e| e.answer_parts(number, Some(parts))),
            Err(error) => {
                self.done(|e| e.answer_parts(number, None));
                say(Kind::Error, &sentence(&error.to_string()));
            }
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
            // A reload must find the picture that the scene is on.
            if let Some(blob) = self
                .editor
                .scene()
                .picture
                .to_png()
                .ok()
                .and_then(|png| dom::blob(&png, "image/png").ok())
            {
                spawn_local(async move { keep::picture(&blob, "picture").await });
            }
        }
        self.done(|_| outcome);
    }

    /// Brings everything on the page up to date, and the stage soon.
    fn update(&mut self) {
        list::update(&self.editor);
        let history = |id: &str, word: &str, label: Option<&str>, keys: &str| {
            let button: HtmlButtonElement = dom::by_id(id);
            button.set_disabled(label.is_none());
            let label = label.map(|l| format!(" {l}")).unwrap_or_default();
            dom::set(&button, "title", &format!("{word}{label} ({keys})"));
        };
        history("undo", "Undo:", self.editor.undo_label(), "Ctrl+Z");
        history("redo", "Redo:", self.editor.redo_label(), "Ctrl+Y");
        let tool = self.editor.tool().name();
        if let Ok(tools) = dom::document().query_selector_all("[data-tool]") {
            for i in 0..tools.length() {
                if let Some(button) = tools.item(i).and_then(|t| t.dyn_into::<Element>().ok()) {
                    let on = button.get_attribute("data-tool").as_deref() == Some(tool);
                    dom::set(&button, "aria-pressed", if on { "true" } else { "false" });
                }
            }
        }
        dom::show(
            &dom::by_id("brush-size-row"),
            matches!(tool, "brush" | "erase"),
        );
        if let Ok(thumbs) = dom::document().query_selector_all("[data-sample]") {
            for i in 0..thumbs.length() {
                if let Some(thumb) = thumbs.item(i).and_then(|t| t.dyn_into::<Element>().ok()) {
                    let on =
                        self.sample.is_some() && thumb.get_attribute("data-sample") == self.sample;
                    dom::set(&thumb, "aria-pressed", if on { "true" } else { "false" });
                }
            }
        }
        dom::show(&dom::by_id("example-offer"), self.sample.is_some());
        self.show_status();
        self.save_soon();
        self.draw_soon();
    }

    /// The hint, the steps, the buttons that depend on them.
    fn show_status(&mut self) {
        let has_result =
            self.player.video().is_some() && self.shown_revision == Some(self.editor.revision());
        let status = Status {
            generating: self.job.is_some(),
            has_result,
            ready: self.model == Model::Ready,
            loading: self.model == Model::Loading,
            touch: self.touch,
        };
        let empty = self.editor.scene().picture.is_empty();
        let (step, hint) = if empty {
            (1, "One moment…")
        } else {
            self.editor.hint(status)
        };
        dom::set_text(&dom::by_id("hint"), hint);
        if let Ok(steps) = dom::document().query_selector_all("#steps [data-step]") {
            for i in 0..steps.length() {
                if let Some(item) = steps.item(i).and_then(|s| s.dyn_into::<Element>().ok()) {
                    let number = i as u8 + 1;
                    let finished = has_result && number == 3;
                    let state = match number.cmp(&step) {
                        std::cmp::Ordering::Less => "done",
                        _ if finished => "done",
                        std::cmp::Ordering::Equal => "now",
                        std::cmp::Ordering::Greater => "later",
                    };
                    dom::set(&item, "data-state", state);
                }
            }
        }
        let generate: HtmlButtonElement = dom::by_id("generate");
        generate.set_disabled(empty || !self.editor.can_generate());
        let _ = generate
            .class_list()
            .toggle_with_force("next", step == 3 && !has_result && self.job.is_none());
        let busy = self.job.is_some() || self.segmenter.is_busy();
        dom::show(&generate, !busy);
        dom::show(&dom::by_id("cancel"), busy);
        let cursor = match (self.editor.gesture(), self.editor.tool()) {
            (super::editor::Gesture::Path { .. } | super::editor::Gesture::Camera { .. }, _) => {
                "grabbing"
            }
            (_, super::editor::Tool::Brush | super::editor::Tool::Erase) => "none",
            (_, super::editor::Tool::Camera) => "move",
            (_, super::editor::Tool::Move)
                if self
                    .stage
                    .hover
                    .is_some_and(|at| self.editor.hit(at).is_some()) =>
            {
                "grab"
            }
            _ => "cross",
        };
        dom::set(&self.stage.canvas, "data-cursor", cursor);
        let busy = self.editor.pending().is_some() || self.editor.splitting().is_some();
        dom::set(
            &self.stage.canvas,
            "aria-busy",
            if busy { "true" } else { "false" },
        );
        self.show_device();
    }

    fn show_device(&self) {
        let place: Element = dom::by_id("device");
        let here = match (&self.device, &self.model) {
            (_, Model::Missing) => ("none", "No model loaded".to_string()),
            (None, _) => ("busy", "Looking for a GPU…".into()),
            (Some(d), Model::Loading) => ("busy", format!("{}: loading the model…", d.name)),
            (Some(d), Model::Ready) => (if d.gpu { "gpu" } else { "cpu" }, d.name.clone()),
        };
        dom::set_text(&dom::by_id("place-here-on"), &here.1);
        let (kind, text) = match self.places.device() {
            Some(device) => {
                let kind = if device.starts_with("CPU") {
                    "cpu"
                } else {
                    "gpu"
                };
                (kind, format!("Server: {device}"))
            }
            None => here,
        };
        dom::set(&place, "data-kind", kind);
        if let Some(device) = &self.device {
            dom::set(&place, "title", &device.why);
            dom::set_text(&dom::by_id("device-why"), &sentence(&device.why));
        }
        if let Some(doing) = self.segmenter.doing() {
            dom::set_text(&dom::by_id("device-text"), doing);
        } else if kind != "busy" || self.job.is_none() {
            dom::set_text(&dom::by_id("device-text"), &text);
        }
    }

    /// Puts the settings into their fields.
    fn show_settings(&self) {
        let s = &self.editor.settings;
        for (id, value) in [
            ("set-steps", u64::from(s.steps)),
            ("set-seed", s.seed),
            ("set-frames", u64::from(s.frames)),
            ("set-fps", u64::from(s.fps)),
        ] {
            dom::by_id::<HtmlInputElement>(id).set_value(&value.to_string());
        }
        let representation = s.representation.map_or("", Representation::name);
        dom::by_id::<HtmlSelectElement>("set-representation").set_value(representation);
    }

    /// Takes how paths are to be shown to the model; the empty value leaves it to the model.
    fn take_representation(&mut self) {
        let field: HtmlSelectElement = dom::by_id("set-representation");
        self.editor.settings.representation = field.value().parse().ok();
        self.update();
    }

    /// Takes a setting from its field; a value out of range says so and is put back.
    fn take_setting(&mut self, id: &str) {
        let field: HtmlInputElement = dom::by_id(id);
        let mut settings = self.editor.settings.clone();
        let value = field.value();
        let small = value.trim().parse::<u32>().ok();
        let taken = match id {
            "set-seed" => value.trim().parse().ok().map(|v| settings.seed = v),
            "set-steps" => small.map(|v| settings.steps = v),
            "set-frames" => small.map(|v| settings.frames = v),
            _ => small.map(|v| settings.fps = v),
        };
        match (taken, settings.check()) {
            (Some(()), Ok(())) => self.editor.settings = settings,
            (Some(()), Err(error)) => say(Kind::Error, &sentence(&error.to_string())),
            (None, _) => say(
                Kind::Error,
                &format!("“{value}” is not a whole number. The setting stays as it was."),
            ),
        }
        self.show_settings();
        self.update();
    }

    /// The preset of everything as it stands.
    fn preset(&self) -> Preset {
        Preset::new(self.editor.scene(), &self.editor.settings)
    }

    /// Keeps the scene for a reload, a little later: not at every point of a stroke.
    fn save_soon(&mut self) {
        if !std::mem::replace(&mut self.save_scheduled, true) {
            dom::after(400, || act(App::save));
        }
    }

    fn save(&mut self) {
        self.save_scheduled = false;
        if !self.editor.scene().picture.is_empty() {
            keep::scene(&self.preset().to_fragment());
        }
    }

    fn copy_link(&mut self) {
        let location = dom::window().location();
        let link = self.preset().to_link(&location.href().unwrap_or_default());
        let promise = dom::window().navigator().clipboard().write_text(&link);
        spawn_local(async move {
            match JsFuture::from(promise).await {
                Ok(_) => say(
                    Kind::Done,
                    "Link copied. It restores entities, paths and settings; the picture itself is not in it.",
                ),
                Err(_) => {
                    let placed = dom::window()
                        .history()
                        .and_then(|h| h.replace_state_with_url(&JsValue::NULL, "", Some(&link)));
                    say(
                        Kind::Error,
                        if placed.is_ok() {
                            "The browser does not let the page copy. The link is in the address bar: copy it from there."
                        } else {
                            "The browser does not let the page copy, and the link is too long for the address bar."
                        },
                    );
                }
            }
        });
    }

    /// Starts the worker, on `self.choice`.
    fn start_worker(&mut self) {
        self.model = Model::Loading;
        self.device = None;
        self.sent_picture = 0;
        self.link.start(|message| act(move |app| app.hear(message)));
        let canvas = if self.choice == DeviceChoice::Cpu {
            None
        } else {
            self.player.make_gpu_canvas()
        };
        if let Some(canvas) = canvas {
            let object: JsValue = canvas.into();
            self.link
                .send_with(&ToWorker::Canvas(object.clone()), Some(object));
        }
        self.link.send(&ToWorker::Start {
            model: self.model_address(),
            device: self.choice,
        });
        self.send_segmenter(false);
        self.send_picture();
    }

    /// The model's directory as an address that means the same in the worker.
    fn model_address(&self) -> String {
        let slash = if self.model_url.ends_with('/') {
            ""
        } else {
            "/"
        };
        let base = dom::document()
            .base_uri()
            .ok()
            .flatten()
            .unwrap_or_default();
        match web_sys::Url::new_with_base(&format!("{}{slash}", self.model_url), &base) {
            Ok(url) => url.href(),
            Err(_) => format!("{}{slash}", self.model_url),
        }
    }

    /// Ends the worker and starts another; what it was doing is lost, the scene is not.
    fn restart_worker(&mut self) {
        if let Some(request) = self.editor.pending() {
            let number = request.number;
            self.editor.answer(number, None);
        }
        if let Some(request) = self.editor.splitting() {
            let number = request.number;
            self.editor.answer_parts(number, None);
        }
        self.job.take_if(|job| job.is_worker());
        self.player.drop_gpu_canvas();
        self.start_worker();
        self.show_job();
        self.update();
    }

    fn hear(&mut self, message: FromWorker) {
        match message {
            FromWorker::Alive => self.link.set_alive(),
            FromWorker::Device { gpu, name, why } => {
                self.device = Some(Device { gpu, name, why });
                self.show_status();
            }
            FromWorker::Loading { part, done, total } => {
                self.segmenter_loading(&part, done, total);
                let text = format!("Loading {part}: {}", job::amount(done, total));
                if self.job.is_none() && self.places.device().is_none() {
                    dom::set_text(&dom::by_id("device-text"), &text);
                }
            }
            FromWorker::Loaded => {
                self.model = Model::Ready;
                self.update();
            }
            FromWorker::NotLoaded(error) => {
                self.model = Model::Missing;
                say(Kind::Error, &sentence(&error));
                if let Some(request) = self.editor.pending() {
                    let number = request.number;
                    self.editor.answer(number, None);
                }
                if let Some(request) = self.editor.splitting() {
                    let number = request.number;
                    self.editor.answer_parts(number, None);
                }
                self.update();
            }
            FromWorker::Segmenter { name, error } => self.segmenter_taken(name, error),
            FromWorker::Looking {
                number,
                done,
                total,
            } => self.looking(number, done, total),
            FromWorker::Mask { number, mask } => {
                self.crashes = 0;
                self.looked();
                match mask.mask() {
                    Ok(mask) => self.done(|e| e.answer(number, Some(mask))),
                    Err(error) => {
                        self.done(|e| e.answer(number, None));
                        say(Kind::Error, &sentence(&error.to_string()));
                    }
                }
            }
            FromWorker::Parts { number, parts } => {
                self.crashes = 0;
                self.take_parts(number, parts);
            }
            FromWorker::NoMask { number, error } => {
                self.looked();
                let clicked = self.editor.pending().is_some_and(|p| p.number == number);
                let split = self.editor.splitting().is_some_and(|s| s.number == number);
                if let Some(error) = error.filter(|_| clicked || split) {
                    say(Kind::Error, &sentence(&error));
                }
                self.done(|e| e.answer(number, None));
                self.done(|e| e.answer_parts(number, None));
            }
            FromWorker::Job { number, message } => self.job_message(number, message),
            FromWorker::OnGpu { number, frames } => self.frames_on_gpu(number, frames),
            FromWorker::NoVideo { number, error } => self.job_failed(number, error),
            FromWorker::Lost(why) => {
                self.choice = DeviceChoice::Cpu;
                say(
                    Kind::Error,
                    &format!(
                        "The GPU was lost ({}). The page goes on with the CPU, which is slower; your scene is kept. Reload the page to try the GPU again.",
                        why.trim().trim_end_matches('.')
                    ),
                );
                self.restart_worker();
            }
            FromWorker::Crashed(why) => {
                self.crashes += 1;
                let why = why.trim().trim_end_matches('.').to_string();
                if self.crashes < MOST_CRASHES {
                    say(
                        Kind::Error,
                        &format!(
                            "The model's worker crashed ({why}) and has been started again. Your scene is kept: try once more, with fewer frames if it happens again."
                        ),
                    );
                    self.restart_worker();
                } else {
                    self.link.stop();
                    self.job.take_if(|job| job.is_worker());
                    self.player.drop_gpu_canvas();
                    self.model = Model::Missing;
                    say(
                        Kind::Error,
                        &format!(
                            "The model's worker crashed again ({why}) and stays off. Your scene is kept: reload the page, or add ?device=cpu to its address."
                        ),
                    );
                    self.show_job();
                    self.update();
                }
            }
        }
        self.draw_soon();
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
        let moving = carry.is_some() || self.editor.pending().is_some();
        if std::mem::replace(&mut self.dirty, false) || moving || carry.is_some() {
            self.stage.draw(&self.editor, carry, now);
        }
        if let Some(view) = self.player.draw(now) {
            self.link.send(&ToWorker::Draw(view));
        }
        self.show_estimate();
        if moving || self.player.is_moving() || self.carry_since.is_some() || self.job.is_some() {
            self.dirty |= self.carry_since.is_some();
            self.schedule();
        }
    }
}

/// An error's text without its "preset: ".
fn strip(error: &str) -> &str {
    error.strip_prefix("preset: ").unwrap_or(error)
}
