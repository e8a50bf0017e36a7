//! Before and after: the picture, or another video, over a part of the video, as far as a line that is dragged; or both whole, side by
//! side.

use super::{App, act, canvas, dom};
use std::cell::Cell;
use web_sys::{Element, Event, HtmlCanvasElement, HtmlElement, HtmlInputElement};

thread_local! {
    /// Whether they are shown side by side, not one over the other.
    static ASIDE: Cell<bool> = const { Cell::new(false) };
}

/// Connects the line.
pub fn wire() {
    let line: HtmlInputElement = dom::by_id("wipe");
    let moved = line.clone();
    dom::listen(&line, "input", move |_: Event| {
        let share = moved.value_as_number();
        act(move |_| show(share));
    });
}

fn show(percent: f64) {
    let frame: HtmlElement = dom::by_id("result-frame");
    let _ = frame
        .style()
        .set_property("--wipe", &format!("{percent:.1}%"));
}

impl App {
    /// Compares the video with its picture, or no longer.
    pub(super) fn toggle_wipe(&mut self) {
        let before: HtmlCanvasElement = dom::by_id("before");
        let shown = before.hidden() && self.player.has_frames();
        self.compare_with(None);
        if shown {
            let picture = &self.video_of;
            lay(picture.width, picture.height, &picture.rgb);
            begin();
        } else {
            end();
        }
    }

    /// Shows what is compared side by side, or one over the other again.
    pub(super) fn toggle_aside(&mut self) {
        ASIDE.set(!ASIDE.get());
        let before: HtmlCanvasElement = dom::by_id("before");
        show_wipe(!before.hidden());
        self.player.canvas_lost();
        self.draw_soon();
    }
}

/// Shows the line, where it was last.
pub fn begin() {
    let line: HtmlInputElement = dom::by_id("wipe");
    show(line.value_as_number());
    show_wipe(true);
}

/// Puts a picture of `[height, width, 3]` bytes on the other side of the line.
pub fn lay(width: u32, height: u32, rgb: &[u8]) {
    let before: HtmlCanvasElement = dom::by_id("before");
    if (before.width(), before.height()) != (width.max(1), height.max(1)) {
        before.set_width(width.max(1));
        before.set_height(height.max(1));
    }
    let painted = canvas::from_rgb(width, height, rgb);
    let _ = canvas::context(&before).draw_image_with_html_canvas_element(&painted, 0.0, 0.0);
}

fn show_wipe(shown: bool) {
    let aside = ASIDE.get();
    let truth = |on: bool| if on { "true" } else { "false" };
    dom::show(&dom::by_id("before"), shown);
    dom::show(&dom::by_id("wipe"), shown && !aside);
    let frame: Element = dom::by_id("result-frame");
    dom::set(&frame, "data-aside", truth(shown && aside));
    dom::set(
        &dom::by_id::<Element>("compare"),
        "aria-pressed",
        truth(shown),
    );
    dom::show(&dom::by_id("aside"), shown);
    dom::set(
        &dom::by_id::<Element>("aside"),
        "aria-pressed",
        truth(aside),
    );
}

/// Another video, or none: nothing is compared any more.
pub fn end() {
    show_wipe(false);
}
