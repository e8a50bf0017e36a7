//! What was made: a list of finished videos under the player, each with the scene that it is of, kept by the browser until somebody
//! deletes it.

mod store;

use super::messages::{Kind, say, sentence};
use super::{App, act, canvas, dom, open, wipe};
use dragentity_core::Video;
use dragentity_core::scene::preset::Preset;
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Picture, Scene, Settings};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlElement, MouseEvent};

/// Longer side of the small picture in the list, in pixels.
const THUMB: f64 = 160.0;
/// Bytes of frames that are held where the browser keeps nothing: the oldest go first.
const HELD: usize = 400 << 20;

/// What the list shows of a video, and what is kept beside its frames.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// When it was made, in milliseconds; its name, too.
    made: f64,
    width: u32,
    height: u32,
    fps: u32,
    frames: u32,
    /// Width by height, as it is shown.
    aspect: f32,
    /// How many of its frames come before the scene's first.
    before: u32,
    /// The scene and its settings, as in a link.
    preset: String,
    /// The sample that it is of, if it is of one.
    sample: Option<String>,
    /// Under which name the picture is kept, if it is no sample.
    picture: String,
    /// A JPEG, as an address.
    thumb: String,
}

/// A finished video.
struct Made {
    about: About,
    /// Its frames, unless the browser keeps them.
    video: Option<Arc<Video>>,
}

/// All of them, the newest first.
#[derive(Default)]
pub struct Results {
    made: Vec<Made>,
    /// Which one is shown.
    shown: Option<f64>,
    /// The picture that was kept last, and under which name.
    picture: Option<(Picture, String)>,
    /// It has been said that the browser keeps nothing.
    refused: bool,
}

/// A video that has ended, and what it is of.
pub struct Ended {
    /// The scene, its picture included.
    pub scene: Scene,
    /// Its settings.
    pub settings: Settings,
    /// The video.
    pub video: Arc<Video>,
    /// Width by height, as it is shown.
    pub aspect: f32,
    /// How many of its frames come before the scene's first.
    pub before: u32,
    /// The sample that it is of, if it is of one.
    pub sample: Option<String>,
}

/// Reads the list that the browser kept.
pub async fn read() {
    let kept = store::list().await;
    act(|app| {
        for about in kept {
            let known = app.results.made.iter().any(|m| m.about.made == about.made);
            if !known {
                app.results.made.push(Made { about, video: None });
            }
        }
        let newest_first = |a: &Made, b: &Made| b.about.made.total_cmp(&a.about.made);
        app.results.made.sort_by(newest_first);
        app.show_results();
    });
}

impl App {
    /// Puts a finished video into the list, and has the browser keep it.
    pub(super) fn keep_result(&mut self, ended: Ended) {
        let picture = &ended.scene.picture;
        let made = js_sys::Date::now();
        let known = self.results.picture.as_ref();
        let known = known.filter(|(kept, _)| kept == picture);
        let name = known.map(|(_, name)| name.clone());
        let is_new = name.is_none() && ended.sample.is_none();
        let name = name.unwrap_or_else(|| format!("picture-{made}"));
        let about = About {
            made,
            width: ended.video.width,
            height: ended.video.height,
            fps: ended.video.fps,
            frames: ended.video.frames.len() as u32,
            aspect: ended.aspect,
            before: ended.before,
            preset: Preset::whole(&ended.scene, &ended.settings).to_fragment(),
            sample: ended.sample,
            picture: name.clone(),
            thumb: thumb(&ended.video, ended.aspect),
        };
        let new_picture =
            is_new.then(|| canvas::from_rgb(picture.width, picture.height, &picture.rgb));
        if is_new {
            self.results.picture = Some((picture.clone(), name));
        }
        let video = ended.video;
        self.results.made.insert(
            0,
            Made {
                about: about.clone(),
                video: Some(video.clone()),
            },
        );
        self.results.shown = Some(made);
        self.results.let_go();
        self.show_results();
        spawn_local(async move {
            let kept = store::keep(&about, &video, new_picture.as_ref()).await;
            act(move |app| match kept {
                // It can be read again.
                Ok(()) => {
                    if let Some(one) = app.results.find(made) {
                        one.video = None;
                    }
                }
                Err(why) => {
                    if is_new {
                        app.results.picture = None;
                    }
                    if !std::mem::replace(&mut app.results.refused, true) {
                        say(
                            Kind::Note,
                            &format!(
                                "The browser does not keep this video ({why}): it stays in the list until the page is closed. \
                                 Delete others from the list, or save it."
                            ),
                        );
                    }
                }
            });
        });
    }

    /// The settings of the video that is shown, and the sample that it is of, if it is of one.
    pub(super) fn shown_settings(&self) -> (Settings, Option<String>) {
        let made = self.results.made.iter().map(|made| &made.about);
        let mut shown = made.filter(|about| Some(about.made) == self.results.shown);
        let own = self.editor.settings.clone();
        let Some(about) = shown.next() else {
            return (own, self.sample.clone());
        };
        let settings = match Preset::parse(&about.preset) {
            Ok(preset) => Settings::resolve(&Choice::default(), &preset.settings, &own),
            Err(_) => own,
        };
        (settings, about.sample.clone())
    }

    /// Shows a video of the list again, with its scene and settings.
    fn restore_result(&mut self, made: f64) {
        if self.job.is_some() {
            return say(
                Kind::Note,
                "A video is being made. Cancel it, or wait for it; then open this one.",
            );
        }
        let Some((about, held, number)) = self.begin_opening(made) else {
            return;
        };
        spawn_local(async move {
            let opened = opened(&about, held).await;
            act(move |app| {
                if number != app.opening {
                    return;
                }
                match opened {
                    Ok((picture, video)) => app.take_result(about, picture, video),
                    Err(why) => say_lost(&why),
                }
            });
        });
    }

    /// A video of the list that is about to be read, and the number by which it is known whether another one was asked for since.
    fn begin_opening(&mut self, made: f64) -> Option<(About, Option<Arc<Video>>, u64)> {
        let Made { about, video } = self.results.find(made)?;
        let (about, held) = (about.clone(), video.clone());
        self.opening += 1;
        Some((about, held, self.opening))
    }

    fn take_result(&mut self, about: About, picture: Picture, video: Arc<Video>) {
        let preset = match Preset::parse(&about.preset) {
            Ok(preset) => preset,
            Err(error) => return say(Kind::Error, &sentence(&error.to_string())),
        };
        // Of the same picture: what is shown stays until there is something else.
        self.video_of = picture.clone();
        self.set_scene(picture, Some(preset), about.sample.clone());
        self.player.leave_gpu();
        self.player.set_aspect(about.aspect);
        let scene = self.scene_without_picture();
        self.player.begin(scene, about.fps, about.before);
        self.player.finish(video);
        self.player.rewind();
        self.shown_revision = Some(self.editor.revision());
        self.results.shown = Some(about.made);
        self.save_soon();
        if about.sample.is_none() {
            self.keep_picture();
        }
        self.show_results();
        self.update();
    }

    /// Compares the video that is shown with one of the list, or no longer.
    fn compare_result(&mut self, made: f64) {
        if self.player.beside() == Some(made) {
            self.compare_with(None);
            wipe::end();
            return self.focus_on(made, ".compare");
        }
        if !self.player.has_frames() {
            return self.restore_result(made);
        }
        let Some((about, held, number)) = self.begin_opening(made) else {
            return;
        };
        spawn_local(async move {
            let video = frames(&about, held).await;
            act(move |app| {
                if number != app.opening || !app.player.has_frames() {
                    return;
                }
                match video {
                    Ok(video) => {
                        app.compare_with(Some((made, video)));
                        wipe::begin();
                        app.focus_on(made, ".compare");
                        app.update();
                    }
                    Err(why) => say_lost(&why),
                }
            });
        });
    }

    /// What is on the other side of the line: a video of the list, or none of them.
    pub(super) fn compare_with(&mut self, other: Option<(f64, Arc<Video>)>) {
        let label = match other {
            Some(_) => "The video it is compared with",
            None => "The picture it was made of",
        };
        dom::set(&dom::by_id::<Element>("before"), "aria-label", label);
        self.player.set_beside(other);
        self.show_results();
    }

    /// The list is drawn anew: the keyboard goes on where it was.
    fn focus_on(&self, made: f64, part: &str) {
        let at = self.results.made.iter().position(|m| m.about.made == made);
        let rows = dom::by_id::<Element>("results").children();
        focus(at.and_then(|at| rows.item(at as u32)), part);
    }

    fn delete_result(&mut self, made: f64) {
        let Some(at) = self.results.made.iter().position(|m| m.about.made == made) else {
            return;
        };
        let gone = self.results.made.remove(at).about;
        if self.player.beside() == Some(made) {
            self.compare_with(None);
            wipe::end();
        }
        let others = &self.results.made;
        let needed = others.iter().any(|m| m.about.picture == gone.picture);
        if !needed
            && self
                .results
                .picture
                .as_ref()
                .is_some_and(|(_, name)| *name == gone.picture)
        {
            self.results.picture = None;
        }
        spawn_local(async move { store::delete(&gone, !needed).await });
        self.show_results();
        // The keyboard goes on where it was.
        let rows = dom::by_id::<Element>("results");
        let next = rows
            .children()
            .item(at as u32)
            .or_else(|| rows.last_element_child());
        focus(next, ".thumb");
    }

    /// The list.
    fn show_results(&self) {
        let list: Element = dom::by_id("results");
        list.set_text_content(None);
        dom::show(&dom::by_id("results-box"), !self.results.made.is_empty());
        for Made { about, .. } in &self.results.made {
            let made = about.made;
            let time = js_sys::Date::new(&made.into()).to_locale_time_string("default");
            let words = format!(
                "{} frames, {:.1} s, {}",
                about.frames,
                f64::from(about.frames) / f64::from(about.fps.max(1)),
                String::from(time),
            );
            let row: Element = dom::create("li", "");
            let open: HtmlElement = dom::create("button", "thumb");
            dom::set(&open, "type", "button");
            dom::set(&open, "data-testid", "result-open");
            dom::set(&open, "aria-label", &format!("Open the video of {words}"));
            dom::set(&open, "title", &format!("{words}: open it with its scene"));
            let shown = self.results.shown == Some(made);
            dom::set(&open, "aria-pressed", if shown { "true" } else { "false" });
            let image: Element = dom::create("img", "");
            dom::set(&image, "alt", "");
            dom::set(&image, "src", &about.thumb);
            dom::append(&open, &image);
            dom::listen(&open, "click", move |_: MouseEvent| {
                act(move |app| app.restore_result(made));
            });
            let delete: HtmlElement = dom::create("button", "icon");
            dom::set(&delete, "type", "button");
            dom::set(&delete, "data-testid", "result-delete");
            dom::set(
                &delete,
                "aria-label",
                &format!("Delete the video of {words}"),
            );
            dom::set(&delete, "title", "Delete");
            dom::append(&delete, &dom::icon("close"));
            dom::listen(&delete, "click", move |_: MouseEvent| {
                act(move |app| app.delete_result(made));
            });
            dom::append(&row, &open);
            dom::append(&row, &delete);
            if !shown {
                let compare: HtmlElement = dom::create("button", "icon compare");
                dom::set(&compare, "type", "button");
                dom::set(&compare, "data-testid", "result-compare");
                let label = format!("Compare with the video of {words}");
                dom::set(&compare, "aria-label", &label);
                dom::set(&compare, "title", "Compare with the video that is shown");
                let beside = self.player.beside() == Some(made);
                dom::set(
                    &compare,
                    "aria-pressed",
                    if beside { "true" } else { "false" },
                );
                dom::append(&compare, &dom::icon("wipe"));
                dom::listen(&compare, "click", move |_: MouseEvent| {
                    act(move |app| app.compare_result(made));
                });
                dom::append(&row, &compare);
            }
            dom::append(&list, &row);
        }
    }
}

impl Results {
    fn find(&mut self, made: f64) -> Option<&mut Made> {
        self.made.iter_mut().find(|m| m.about.made == made)
    }

    /// Lets go of the oldest where more is held than there is room for.
    fn let_go(&mut self) {
        let mut held = 0;
        self.made.retain(|made| {
            let bytes = |video: &Arc<Video>| video.frames.iter().map(Vec::len).sum();
            held += made.video.as_ref().map_or(0, bytes);
            made.video.is_none() || held <= HELD
        });
    }
}

/// Gives the keyboard to a part of a row of the list.
fn focus(row: Option<Element>, part: &str) {
    let button = row.and_then(|row| row.query_selector(part).ok().flatten());
    if let Some(button) = button.and_then(|b| b.dyn_into::<HtmlElement>().ok()) {
        let _ = button.focus();
    }
}

fn say_lost(why: &str) {
    let text = format!("this video cannot be opened again ({why}); delete it from the list");
    say(Kind::Error, &sentence(&text));
}

/// Its frames, which are read where they are not held.
async fn frames(about: &About, held: Option<Arc<Video>>) -> Result<Arc<Video>, String> {
    match held {
        Some(video) => Ok(video),
        None => store::frames(about).await.map(Arc::new),
    }
}

/// Its picture and its frames.
async fn opened(about: &About, held: Option<Arc<Video>>) -> Result<(Picture, Arc<Video>), String> {
    let video = frames(about, held).await?;
    let picture = match &about.sample {
        Some(name) => match open::sample(name).await {
            Ok(blob) => open::picture(&blob, name).await,
            Err(error) => Err(error),
        },
        None => open::picture(&store::picture(about).await?, "its picture").await,
    };
    Ok((picture.map_err(|e| e.to_string())?, video))
}

/// The middle of a video, small.
fn thumb(video: &Video, aspect: f32) -> String {
    let Some(frame) = video.frames.get(video.frames.len() / 2) else {
        return String::new();
    };
    let image = canvas::from_rgb(video.width, video.height, frame);
    let aspect = f64::from(aspect).clamp(0.1, 10.0);
    let (w, h) = (THUMB * aspect.min(1.0), THUMB / aspect.max(1.0));
    let small = dom::canvas(w.round() as u32, h.round() as u32);
    let ctx = canvas::context(&small);
    super::stage::smooth(&ctx);
    let _ = ctx.draw_image_with_html_canvas_element_and_dw_and_dh(
        &image,
        0.0,
        0.0,
        f64::from(small.width()),
        f64::from(small.height()),
    );
    small
        .to_data_url_with_type("image/jpeg")
        .unwrap_or_default()
}
