//! The settings' fields.

use super::messages::{Kind, say, sentence};
use super::{App, dom};
use dragentity_core::scene::{Representation, Settings};
use dragentity_pipeline::at_once;
use web_sys::{HtmlInputElement, HtmlSelectElement};

impl App {
    /// Puts the settings into their fields.
    pub(super) fn show_settings(&self) {
        let s = &self.editor.settings;
        for (id, value) in [
            ("set-steps", u64::from(s.steps)),
            ("set-seed", s.seed),
            ("set-frames", u64::from(s.frames)),
            ("set-fps", u64::from(s.fps)),
        ] {
            dom::by_id::<HtmlInputElement>(id).set_value(&value.to_string());
        }
        dom::by_id::<HtmlInputElement>("set-model").set_checked(self.by_model);
        let representation = s.representation.map_or("", Representation::name);
        dom::by_id::<HtmlSelectElement>("set-representation").set_value(representation);
    }

    /// The settings of what makes the videos, before anybody has chosen others.
    pub(super) fn own_settings(&self) -> Settings {
        match self.compute_targets.model() {
            Some(model) => Settings {
                frames: model.frames,
                steps: model.steps,
                fps: model.fps,
                ..Settings::default()
            },
            None if self.compute_targets.is_folder() => {
                self.model.settings().cloned().unwrap_or_default()
            }
            None if self.by_model => Settings::default(),
            None => at_once::settings(),
        }
    }

    /// Something else makes the videos from here on: numbers that nobody has chosen are its own.
    pub(super) fn adopt_own_settings(&mut self) {
        let own = self.own_settings();
        let settings = &mut self.editor.settings;
        let own = [own.frames, own.fps, own.steps];
        let before = std::mem::replace(&mut self.own_numbers, own);
        let numbers = [&mut settings.frames, &mut settings.fps, &mut settings.steps];
        // Each that nobody has chosen.
        for (number, (own, before)) in numbers.into_iter().zip(own.into_iter().zip(before)) {
            if *number == before {
                *number = own;
            }
        }
        self.show_settings();
    }

    /// Has the model make the videos, or not: with its own number of frames.
    pub(super) fn take_maker(&mut self) {
        self.by_model = dom::by_id::<HtmlInputElement>("set-model").checked();
        let settings = &self.editor.settings;
        // Whatever was chosen was chosen for the other.
        self.own_numbers = [settings.frames, settings.fps, settings.steps];
        self.adopt_own_settings();
        self.update();
    }

    /// Takes how paths are to be shown to the model; the empty value leaves it to the model.
    pub(super) fn take_representation(&mut self) {
        let field: HtmlSelectElement = dom::by_id("set-representation");
        self.editor.settings.representation = field.value().parse().ok();
        self.update();
    }

    /// Takes a setting from its field; a value out of range says so and is put back.
    pub(super) fn take_setting(&mut self, id: &str) {
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
}
