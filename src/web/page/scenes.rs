//! Scenes: what the page opens with, pictures, samples, links and presets that come, and what is kept and shared.

use super::messages::{Kind, say, sentence};
use super::{APP, App, act, dom, keep, open};
use dragentity_core::error::Result;
use dragentity_core::scene::preset::{FRAGMENT, Fit, Preset};
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Picture, Scene, Settings};
use wasm_bindgen::JsValue;
use web_sys::Blob;

/// What the page opens with: the picture that its address names, the link's scene, or what was there before a reload, or the first
/// sample.
pub(super) async fn first_scene(named: Option<String>) {
    let fragment = dom::window().location().hash().unwrap_or_default();
    let mut linked = None;
    if fragment.contains(FRAGMENT) {
        match Preset::parse(&fragment) {
            Ok(preset) => linked = Some(preset),
            Err(error) => refuse_link(&error),
        }
    }
    if let Some(name) = named {
        // What was made of it is there after a reload.
        let made = linked.is_none() && keep::kept().is_some_and(|k| k.own && k.name == name);
        if !made && open_named(name, &mut linked).await {
            return;
        }
    }
    if let Some(preset) = linked {
        return open_preset(preset).await;
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
            let plate = match keep::kept_plate().await {
                Some(blob) => open::picture(&blob, "background").await.ok(),
                None => None,
            };
            act(move |app| {
                app.set_scene(picture, preset, sample);
                app.editor.keep_plate(plate);
                app.update();
            });
            return;
        }
    }
    open_sample(open::SAMPLES[0].into()).await;
}

/// Opens the picture that the page's address names, with the link's scene if that fits; whether there is a picture then.
async fn open_named(name: String, linked: &mut Option<Preset>) -> bool {
    match open::named(&name).await {
        Ok(blob) => {
            if let Some(preset) = linked.take() {
                act(move |app| app.waiting_preset = Some(preset));
            }
            open_own(blob, name).await;
            let has_picture = |a: &App| !a.editor.scene().picture.is_empty();
            APP.with(|cell| cell.borrow().as_ref().is_some_and(has_picture))
        }
        Err(error) => {
            say(Kind::Error, &sentence(&error.to_string()));
            false
        }
    }
}

/// Opens a sample.
pub(super) async fn open_sample(name: String) {
    let asked = name.clone();
    act(move |app| {
        app.opening += 1;
        app.asked_sample = Some(asked);
    });
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
        app.asked_sample = None;
        match opened {
            Ok(picture) => {
                keep::sample(&name);
                app.take_picture(picture, Some(name));
            }
            Err(error) => say(Kind::Error, &sentence(&error.to_string())),
        }
    });
}

/// What is said of a file that shows less than it should.
const CUT_SHORT: &str =
    "This file is cut short: a part of the picture is missing. Save or download it again.";

/// Opens a picture of the person's own.
pub(super) async fn open_own(blob: Blob, name: String) {
    act(|app| {
        app.opening += 1;
        app.asked_sample = None;
    });
    let number = APP.with(|cell| {
        cell.try_borrow()
            .ok()
            .and_then(|a| a.as_ref().map(|a| a.opening))
    });
    let opened = open::picture(&blob, &name).await;
    let cut_short = open::is_cut_short(&blob).await;
    let worked = opened.is_ok();
    act(move |app| {
        if number != Some(app.opening) {
            return;
        }
        match opened {
            Ok(picture) => {
                app.take_picture(picture, None);
                if cut_short {
                    say(Kind::Note, CUT_SHORT);
                }
            }
            Err(error) => say(Kind::Error, &sentence(&error.to_string())),
        }
    });
    if worked {
        keep::picture(&blob, &name).await;
    }
}

/// Opens a picture that shows what is behind the things.
pub(super) async fn open_plate(blob: Blob, name: String) {
    let opened = open::picture(&blob, &name).await;
    if let Ok(plate) = &opened {
        keep::plate(&blob, &plate.hash().to_string()).await;
    }
    act(move |app| match opened {
        Ok(plate) => {
            if plate.has_shape_of(&app.editor.scene().picture) {
                app.done(|e| e.set_plate(Some(plate)));
            } else {
                say(
                    Kind::Error,
                    "This picture has another shape. A background is the same view, without the things: save the filled one, \
                     change it and open it again.",
                );
            }
        }
        Err(error) => say(Kind::Error, &sentence(&error.to_string())),
    });
}

fn refuse_link(error: &dragentity_core::Error) {
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
pub(super) async fn open_link(text: String) {
    match Preset::parse(&text) {
        Ok(preset) => open_preset(preset).await,
        Err(error) => refuse_link(&error),
    }
}

/// The scene that comes with the sample that is open, or that was asked for and is on its way.
pub(super) async fn open_example() {
    let wanted = |a: &App| a.asked_sample.clone().or(a.sample.clone());
    let Some(name) = APP.with(|cell| cell.borrow().as_ref().and_then(wanted)) else {
        return;
    };
    let preset = match open::example(&name).await {
        Ok(text) => Preset::parse(&text),
        Err(error) => Err(error),
    };
    act(move |app| match preset {
        Ok(preset) if app.asked_sample.as_deref() == Some(&name) => {
            app.waiting_preset = Some(preset);
        }
        Ok(preset) if app.sample.as_deref() == Some(&name) => {
            let picture = app.editor.scene().picture.clone();
            app.set_scene(picture, Some(preset), Some(name));
        }
        Ok(_) => {}
        Err(error) => say(Kind::Error, &sentence(&error.to_string())),
    });
}

/// Opens a scene of the gallery, with the sample that it was made on.
pub(super) async fn open_scene(name: String) {
    let text = open::example(&format!("gallery/{name}")).await;
    match text.and_then(|text| Preset::parse(&text)) {
        Ok(preset) => open_preset(preset).await,
        Err(error) => say(Kind::Error, &sentence(&error.to_string())),
    }
}

/// Opens a preset: on the picture that is there if it is the preset's, else on the sample that is; else it waits for its
/// picture.
pub(super) async fn open_preset(preset: Preset) {
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
                candidates.push((picture, Some(name.to_owned())));
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
    pub(super) fn take_picture(&mut self, picture: Picture, sample: Option<String>) {
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

    pub(super) fn show_picture(&mut self, picture: Picture, sample: Option<String>) {
        self.set_scene(picture, None, sample);
    }

    /// A picture, with a preset's entities, paths and settings, or with none.
    pub(super) fn set_scene(
        &mut self,
        picture: Picture,
        preset: Option<Preset>,
        sample: Option<String>,
    ) {
        let scene = match &preset {
            Some(preset) => match preset.scene(picture.clone()) {
                Ok(scene) => {
                    self.take_settings(preset);
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
        self.open_scene(scene, sample);
    }

    /// A scene that was opened, in place of what there is.
    pub(super) fn open_scene(&mut self, scene: Scene, sample: Option<String>) {
        self.editor.set_scene(scene);
        self.sample = sample;
        self.picture_changed();
        self.show_settings();
        self.update();
    }

    /// The settings of a preset: they are the job's own; what it does not say is as in a new scene. A published model has numbers of
    /// its own, as in the terminal.
    pub(super) fn take_settings(&mut self, preset: &Preset) {
        let nothing = Choice::default();
        let model = self.own_settings();
        let theirs = match self.compute_targets.is_folder() {
            true => preset.settings.for_another_model(),
            false => preset.settings.clone(),
        };
        self.editor.settings = Settings::resolve(&nothing, &theirs, &model);
    }

    /// The preset of everything as it stands.
    pub(super) fn preset(&self) -> Preset {
        Preset::new(self.editor.scene(), &self.editor.settings)
    }

    /// Keeps the scene for a reload, a little later: not at every point of a stroke.
    pub(super) fn save_soon(&mut self) {
        if !std::mem::replace(&mut self.save_scheduled, true) {
            dom::after(400, || act(App::save));
        }
    }

    pub(super) fn save(&mut self) {
        self.save_scheduled = false;
        if !self.editor.scene().picture.is_empty() {
            keep::scene(&self.preset().to_fragment());
            let plate = self.editor.scene().behind.plate.as_ref();
            keep::which_plate(plate.map(|plate| plate.hash().to_string()).as_deref());
        }
    }
}

/// An error's text without its "preset: ".
pub(super) fn strip(error: &str) -> &str {
    error.strip_prefix("preset: ").unwrap_or(error)
}
