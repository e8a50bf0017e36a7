//! Shows frames: previews while they are made, then the video in a loop. Frames are drawn here on a 2D canvas, or, where
//! they are on the GPU, by the worker on a canvas that was handed to it.

use super::canvas::{context, from_rgb};
use super::dom;
use super::encoder::Container;
use super::stage::{self, Pen};
use super::wipe;
use crate::web::protocol::View;
use dragentity_core::Video;
use dragentity_core::scene::Scene;
use dragentity_media::overlay::colour_of;
use std::sync::Arc;
use wasm_bindgen::JsCast;
use web_sys::{
    CanvasRenderingContext2d, Element, HtmlButtonElement, HtmlCanvasElement, HtmlElement,
    HtmlInputElement,
};

/// Most canvas pixels a frame on the GPU is drawn with, on either side.
const GPU_SIDE: u32 = 2048;

/// How long it waits at most before it looks at the clock again, in milliseconds. What took much longer was a pause of the whole
/// page, in which the video rests, too.
const LONGEST_WAIT: f64 = 200.0;

/// The player's elements and what it plays.
pub struct Player {
    frame: HtmlElement,
    aspect: f32,
    canvas: HtmlCanvasElement,
    ctx: CanvasRenderingContext2d,
    /// The canvas that the worker draws on.
    gpu: Option<HtmlCanvasElement>,
    /// Whether the worker has the frames that are played.
    on_gpu: bool,
    frames: Option<Frames>,
    count: u32,
    fps: u32,
    /// The finished video.
    video: Option<Arc<Video>>,
    /// Its MP4, from a server or made here.
    film: Option<(Vec<u8>, Container)>,
    /// Which film is made here, once that is known.
    encodes: Option<Container>,
    /// What it was made from: its paths are drawn over it.
    scene: Scene,
    /// How many frames come before the scene's first.
    before: u32,
    /// Another video to compare it with.
    beside: Option<Beside>,
    playing: bool,
    /// In frames.
    position: f64,
    last: Option<f64>,
    paths: bool,
    sent: Option<View>,
    /// What the canvas shows, if it is still that.
    drawn: Option<View>,
}

/// What is played, if it is drawn here. Each frame becomes a canvas when it is shown for the first time: all at once would keep the page
/// from doing anything else for as long as that takes.
struct Frames {
    video: Arc<Video>,
    painted: Vec<Option<HtmlCanvasElement>>,
}

impl Frames {
    fn of(video: Arc<Video>) -> Self {
        Self {
            painted: vec![None; video.frames.len()],
            video,
        }
    }

    fn get(&mut self, frame: usize) -> Option<&HtmlCanvasElement> {
        let Video { width, height, .. } = *self.video;
        let rgb = self.video.frames.get(frame)?;
        let painted = self.painted.get_mut(frame)?;
        Some(painted.get_or_insert_with(|| from_rgb(width, height, rgb)))
    }
}

/// A video that is compared with the one that is played.
struct Beside {
    name: f64,
    video: Arc<Video>,
    /// Which of its frames is shown.
    drawn: Option<usize>,
}

impl Player {
    /// The player of `index.html`.
    pub fn new() -> Self {
        let canvas: HtmlCanvasElement = dom::by_id("result");
        let ctx = context(&canvas);
        Self {
            frame: dom::by_id("result-frame"),
            aspect: 1.5,
            canvas,
            ctx,
            gpu: None,
            on_gpu: false,
            frames: None,
            count: 0,
            fps: 8,
            video: None,
            film: None,
            encodes: None,
            scene: Scene::default(),
            before: 0,
            beside: None,
            playing: false,
            position: 0.0,
            last: None,
            paths: false,
            sent: None,
            drawn: None,
        }
    }

    /// The finished video.
    pub fn video(&self) -> Option<&Arc<Video>> {
        self.video.as_ref()
    }

    /// Says which films are made here.
    pub fn set_encodes(&mut self, encodes: Container) {
        self.encodes = Some(encodes);
        self.show_controls();
    }

    /// Its MP4, if it was made already.
    pub fn film(&self) -> Option<(&[u8], Container)> {
        let film = self.film.as_ref();
        film.map(|(bytes, container)| (bytes.as_slice(), *container))
    }

    /// Keeps the finished video's MP4.
    pub fn set_film(&mut self, bytes: Vec<u8>, container: Container) {
        self.film = self.video.is_some().then_some((bytes, container));
        self.show_controls();
    }

    /// Whether anything is shown.
    pub fn has_frames(&self) -> bool {
        self.count > 0
    }

    /// The shape of what is shown, width by height.
    pub fn aspect(&self) -> f32 {
        self.aspect
    }

    /// Sets that shape.
    pub fn set_aspect(&mut self, aspect: f32) {
        self.aspect = aspect;
        let _ = self
            .frame
            .style()
            .set_property("--ratio", &format!("{aspect:.4}"));
    }

    /// What is shown from now on is of this scene, whose first frame comes after `before` others.
    pub fn begin(&mut self, scene: Scene, fps: u32, before: u32) {
        self.set_beside(None);
        wipe::end();
        self.scene = scene;
        self.before = before;
        self.fps = fps;
        self.drawn = None;
        (self.video, self.film) = (None, None);
    }

    /// Shows the frames as they are so far.
    pub fn preview(&mut self, video: Arc<Video>) {
        self.set_frames(video);
        self.video = None;
    }

    /// Shows the finished video.
    pub fn finish(&mut self, video: Arc<Video>) {
        self.set_frames(video.clone());
        self.video = Some(video);
    }

    fn set_frames(&mut self, video: Arc<Video>) {
        self.fps = video.fps;
        self.set_count(video.frames.len() as u32);
        self.frames = Some(Frames::of(video));
        self.film = None;
        self.drawn = None;
    }

    /// The worker has so many frames to draw.
    pub fn set_on_gpu(&mut self, frames: u32) {
        self.on_gpu = self.gpu.is_some();
        if self.on_gpu {
            self.frames = None;
            self.set_count(frames);
        }
        self.sent = None;
    }

    fn set_count(&mut self, count: u32) {
        let first = self.count == 0;
        self.count = count;
        if self.position >= f64::from(count) {
            self.position = 0.0;
        }
        if first && !prefers_stillness() {
            self.playing = true;
        }
    }

    /// Shows nothing any more.
    pub fn clear(&mut self) {
        self.set_beside(None);
        wipe::end();
        self.frames = None;
        self.count = 0;
        (self.video, self.film) = (None, None);
        self.on_gpu = false;
        self.position = 0.0;
        self.playing = false;
    }

    /// The browser has emptied the canvas.
    pub fn canvas_lost(&mut self) {
        self.drawn = None;
        if let Some(beside) = &mut self.beside {
            beside.drawn = None;
        }
    }

    /// Plays another video, known by a name, in step with this one, on the other side of the line, or none.
    pub fn set_beside(&mut self, other: Option<(f64, Arc<Video>)>) {
        let other = other.filter(|(_, video)| !video.frames.is_empty());
        self.beside = other.map(|(name, video)| Beside {
            name,
            video,
            drawn: None,
        });
    }

    /// The name of the video that is played beside this one.
    pub fn beside(&self) -> Option<f64> {
        self.beside.as_ref().map(|beside| beside.name)
    }

    /// Shows what the other video has at the time of `frame`.
    fn draw_beside(&mut self, frame: u32) {
        let Some(Beside { video, drawn, .. }) = &mut self.beside else {
            return;
        };
        let seconds = f64::from(frame) / f64::from(self.fps.max(1));
        let at = (seconds * f64::from(video.fps) + 1e-6) as usize;
        let at = at.min(video.frames.len() - 1);
        if drawn.replace(at) != Some(at) {
            wipe::lay(video.width, video.height, &video.frames[at]);
        }
    }

    /// A new canvas for the worker, in place of the one there may be.
    pub fn make_gpu_canvas(&mut self) -> Option<web_sys::OffscreenCanvas> {
        self.drop_gpu_canvas();
        let canvas: HtmlCanvasElement = dom::create("canvas", "");
        canvas.set_id("result-gpu");
        dom::set(&canvas, "data-testid", "result-gpu");
        dom::set(&canvas, "role", "img");
        dom::set(&canvas, "aria-label", "Generated video");
        canvas.set_hidden(true);
        let offscreen = canvas.transfer_control_to_offscreen().ok()?;
        let _ = self.frame.insert_before(&canvas, Some(&self.canvas));
        self.gpu = Some(canvas);
        Some(offscreen)
    }

    /// The worker is gone, and what it had on the GPU with it; the finished video is still here.
    pub fn drop_gpu_canvas(&mut self) {
        if let Some(canvas) = self.gpu.take() {
            canvas.remove();
        }
        self.leave_gpu();
    }

    /// What is played is no longer the worker's: the finished video is still here.
    pub fn leave_gpu(&mut self) {
        if std::mem::take(&mut self.on_gpu) {
            match self.video.take() {
                Some(video) => self.finish(video),
                None => self.clear(),
            }
        }
        self.sent = None;
    }

    /// Plays or pauses.
    pub fn toggle(&mut self) {
        self.playing = !self.playing && self.count > 1;
        self.last = None;
    }

    /// Plays from the beginning.
    pub fn rewind(&mut self) {
        self.position = 0.0;
        self.last = None;
        self.playing = self.count > 1 && !prefers_stillness();
    }

    /// The scene that is shown.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// How many frames come before that scene's first.
    pub fn before(&self) -> u32 {
        self.before
    }

    /// What the frames are shown on.
    pub fn frame(&self) -> &HtmlElement {
        &self.frame
    }

    /// Goes to a frame and stays there.
    pub fn seek(&mut self, frame: u32) {
        self.playing = false;
        self.position = f64::from(frame.min(self.count.saturating_sub(1)));
    }

    /// Whether films are made here.
    pub fn encodes(&self) -> bool {
        self.encodes.is_some()
    }

    /// What of the paths is shown over the video, if they are: the scene, and how many frames are of an earlier one.
    pub fn paths_shown(&self) -> Option<(Scene, u32)> {
        self.paths.then(|| (self.scene.clone(), self.before))
    }

    /// Shows or hides the paths.
    pub fn toggle_paths(&mut self) {
        self.paths = !self.paths;
        self.sent = None;
    }

    /// Whether time changes what is shown.
    fn is_moving(&self) -> bool {
        self.playing && self.count > 1
    }

    /// In how many milliseconds time changes what is shown, if it does.
    pub fn next_frame(&self, now: f64) -> Option<i32> {
        let passed = self.last.map_or(0.0, |last| now - last);
        let left = (1.0 - self.position.fract()) * 1000.0 / f64::from(self.fps.max(1)) - passed;
        self.is_moving()
            .then_some(left.clamp(0.0, LONGEST_WAIT) as i32)
    }

    /// Draws the frame of this moment (milliseconds); returns what the worker should draw, if it is the worker's.
    pub fn draw(&mut self, now: f64) -> Option<View> {
        if self.is_moving() {
            let passed = self
                .last
                .map_or(0.0, |last| (now - last).clamp(0.0, 2.0 * LONGEST_WAIT));
            self.last = Some(now);
            self.position =
                (self.position + passed / 1000.0 * f64::from(self.fps)) % f64::from(self.count);
        }
        self.show_controls();
        let frame = (self.position as u32).min(self.count.saturating_sub(1));
        dom::show(&self.canvas, self.count > 0 && !self.on_gpu);
        if let Some(gpu) = &self.gpu {
            dom::show(gpu, self.count > 0 && self.on_gpu);
        }
        if self.count == 0 {
            return None;
        }
        self.draw_beside(frame);
        if self.on_gpu {
            let gpu = self.gpu.as_ref()?;
            let scale = dom::window().device_pixel_ratio().clamp(1.0, 3.0);
            let size = |n: i32| ((f64::from(n) * scale) as u32).clamp(1, GPU_SIDE);
            let view = View {
                frame,
                paths: self.paths,
                width: size(gpu.client_width()),
                height: size(gpu.client_height()),
            };
            if self.sent == Some(view) {
                return None;
            }
            self.sent = Some(view);
            return Some(view);
        }
        let (w, h) = stage::fit(&self.canvas);
        let view = View {
            frame,
            paths: self.paths,
            width: w as u32,
            height: h as u32,
        };
        if self.drawn.replace(view) == Some(view) {
            return None;
        }
        let ctx = &self.ctx;
        stage::smooth(ctx);
        let image = self.frames.as_mut()?.get(frame as usize)?;
        let _ = ctx.draw_image_with_html_canvas_element_and_dw_and_dh(image, 0.0, 0.0, w, h);
        if self.paths {
            let pen = Pen::new(ctx, w, h);
            let frames = self.count.saturating_sub(self.before).max(1);
            let since = frame.saturating_sub(self.before);
            let t = since as f32 / (frames - 1).max(1) as f32;
            stage::look(ctx, &self.scene.view.at(t), [w, h]);
            stage::paths(&pen, &self.scene, frames as usize, None, &[]);
            let entities = self.scene.entities.iter().enumerate();
            for (i, entity) in entities.filter(|(_, entity)| !entity.look.hidden) {
                for path in entity.held_by() {
                    pen.dot(path.position(t), 5.5, colour_of(entity, i), 1.0);
                }
            }
            let _ = ctx.set_transform(1.0, 0.0, 0.0, 1.0, 0.0, 0.0);
        }
        None
    }

    fn show_controls(&self) {
        let any = self.count > 0;
        let play: HtmlButtonElement = dom::by_id("play");
        play.set_disabled(self.count < 2);
        let (name, label) = if self.playing {
            ("#i-pause", "Pause")
        } else {
            ("#i-play", "Play")
        };
        dom::set(&play, "aria-label", label);
        dom::set(&dom::by_id::<Element>("play-icon"), "href", name);
        let scrub: HtmlInputElement = dom::by_id("scrub");
        scrub.set_disabled(self.count < 2);
        let frame = self.position as u32;
        dom::set(&scrub, "max", &self.count.saturating_sub(1).to_string());
        let value = frame.to_string();
        if scrub.value() != value {
            scrub.set_value(&value);
            dom::set(
                &scrub,
                "aria-valuetext",
                &format!("Frame {} of {}", frame + 1, self.count),
            );
        }
        let number = if any {
            format!("{} / {}", frame + 1, self.count)
        } else {
            String::new()
        };
        dom::set_text(&dom::by_id("frame-number"), &number);
        let paths: HtmlButtonElement = dom::by_id("show-paths");
        paths.set_disabled(!any);
        dom::set(
            &paths,
            "aria-pressed",
            if self.paths { "true" } else { "false" },
        );
        dom::by_id::<HtmlButtonElement>("compare").set_disabled(!any);
        for id in ["save-gif", "save-webp", "save-frames"] {
            dom::by_id::<HtmlButtonElement>(id).set_disabled(self.video.is_none());
        }
        dom::by_id::<HtmlButtonElement>("full-screen").set_disabled(!any);
        let film = self.film.as_ref().map(|(_, container)| *container);
        let film = film.or(self.encodes.filter(|_| self.video.is_some()));
        let save: HtmlElement = dom::by_id("save-mp4");
        dom::show(&save, film.is_some());
        if let Some(container) = film {
            let words = format!("Save {}", container.name());
            dom::set(&save, "aria-label", &words);
            dom::set(&save, "title", &words);
            if let Some(label) = save.query_selector("span").ok().flatten() {
                dom::set_text(&label, container.name());
            }
        }
        dom::show(&dom::by_id("result-empty"), !any);
        let state = if self.video.is_some() {
            "done"
        } else if any {
            "preview"
        } else {
            "empty"
        };
        dom::set(self.frame.unchecked_ref(), "data-state", state);
    }
}

fn prefers_stillness() -> bool {
    dom::matches("(prefers-reduced-motion: reduce)")
}
