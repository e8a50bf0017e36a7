//! What the page says of the background, and lets be saved.

use super::messages::{Kind, say};
use super::{App, dom};

impl App {
    /// Brings the background's section up to date.
    pub(super) fn show_behind(&self) {
        let behind = &self.editor.scene().behind;
        let (own, part) = (behind.plate.is_some(), behind.from.is_some());
        let words = match (own, part) {
            (true, _) => "Where things were, your picture is seen.",
            (false, true) => "What things hide is filled from what you painted.",
            (false, false) => "What things hide is filled by itself.",
        };
        dom::set_text(&dom::by_id("behind-state"), words);
        dom::show(&dom::by_id("no-plate"), own);
        dom::show(&dom::by_id("save-plate"), self.live.plate().is_some());
        dom::show(&dom::by_id("from-all"), part && !own);
        dom::show(&dom::by_id("tool-from"), !own);
    }

    /// Saves the picture without the things.
    pub(super) fn save_plate(&mut self) {
        let Some(plate) = self.live.plate() else {
            return;
        };
        let saved = plate.to_png().map_err(|e| e.to_string());
        match saved.and_then(|png| dom::offer(&png, "background.png", "image/png")) {
            Ok(()) => say(Kind::Done, "Saved as background.png."),
            Err(why) => say(Kind::Error, &format!("The background is not saved: {why}.")),
        }
    }
}
