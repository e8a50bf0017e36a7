//! Menus that open beside their buttons. That they open, close by Escape and close by a click elsewhere is the browser's doing.

use super::dom;
use wasm_bindgen::JsValue;
use web_sys::{Element, HtmlElement, MouseEvent};

/// Pixels between a menu and what opens it, and least between it and the window's edges.
const APART: f64 = 6.0;
/// How wide a menu is, in pixels.
const WIDTH: f64 = 348.0;
/// How high it is to be at least where it opens downwards.
const ENOUGH: f64 = 280.0;

/// Has a menu of `index.html` open where its button is.
pub fn wire(opener: &str, menu: &str) {
    let (opener, menu): (Element, HtmlElement) = (dom::by_id(opener), dom::by_id(menu));
    let own = opener.clone();
    // A click is heard before the browser opens the menu.
    dom::listen(&opener, "click", move |_: MouseEvent| beside(&own, &menu));
}

/// Whether a menu is open, whose keys are its own.
pub fn is_open() -> bool {
    let open = dom::document().query_selector("[popover]:popover-open");
    open.is_ok_and(|open| open.is_some())
}

/// Puts a menu beside its button: where the picture is not, if there is room.
fn beside(opener: &Element, menu: &HtmlElement) {
    let picture: Element = dom::by_id("stage-frame");
    let (own, picture) = (
        opener.get_bounding_client_rect(),
        picture.get_bounding_client_rect(),
    );
    let window = dom::window();
    let side = |value: Result<JsValue, JsValue>| value.ok().and_then(|v| v.as_f64());
    let width = side(window.inner_width()).unwrap_or_default();
    let height = side(window.inner_height()).unwrap_or_default();
    let free = own.left() < picture.right() && picture.right() + APART + WIDTH < width;
    let left = match free {
        true => picture.right() + APART,
        false => own.left(),
    };
    let below = height - own.bottom();
    let (near, far, room) = match below >= ENOUGH || below > own.top() {
        true => ("top", "bottom", below),
        false => ("bottom", "top", own.top()),
    };
    let style = menu.style();
    let set = |name: &str, pixels: f64| {
        let _ = style.set_property(name, &format!("{pixels:.0}px"));
    };
    set("--from", left);
    set(near, height - room + APART);
    let _ = style.set_property(far, "auto");
    set("max-height", room - 2.0 * APART);
}
