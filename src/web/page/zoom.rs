//! Looking nearer: wheel, two fingers, keys and buttons change the part of the picture that its frame shows.

use super::{App, act, dom};
use crate::web::editor::view::View;
use std::cell::{Cell, RefCell};
use wasm_bindgen::JsCast;
use web_sys::{
    Element, HtmlButtonElement, HtmlElement, KeyboardEvent, MouseEvent, PointerEvent, WheelEvent,
};

/// A step of the keys and buttons.
const STEP: f64 = 1.5;
/// What a notch of a wheel, of 100 pixels, does.
const WHEEL: f64 = 1.25;
const MIDDLE: [f64; 2] = [0.5, 0.5];
const PRIMARY_OR_NONE: i16 = 0;
const MIDDLE_BUTTON: i16 = 1;

thread_local! {
    /// The fingers that are down: number, and place on the page.
    static FINGERS: RefCell<Vec<(i32, [f64; 2])>> = const { RefCell::new(Vec::new()) };
    /// Where the middle button, or the pointer beside the space bar, was last, while it is down.
    static HAND: RefCell<Option<[f64; 2]>> = const { RefCell::new(None) };
    /// Whether the space bar is held, and if so, whether something was moved meanwhile.
    static SPACE: Cell<Option<bool>> = const { Cell::new(None) };
}

fn frame() -> HtmlElement {
    dom::by_id("stage-frame")
}

/// Its width or height, in pixels of the page.
fn frame_side(axis: usize) -> f64 {
    let r = frame().get_bounding_client_rect();
    [r.width(), r.height()][axis].max(1.0)
}

/// A place on the page in fractions of the frame.
fn within(at: [f64; 2]) -> [f64; 2] {
    let r = frame().get_bounding_client_rect();
    [
        (at[0] - r.left()) / r.width().max(1.0),
        (at[1] - r.top()) / r.height().max(1.0),
    ]
}

/// Two fingers, in fractions of the frame: their middle, and how far apart they are on the page.
fn pinch(fingers: &[(i32, [f64; 2])]) -> Option<([f64; 2], f64)> {
    let [(_, a), (_, b)] = fingers else {
        return None;
    };
    let middle = within([(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0]);
    Some((middle, (a[0] - b[0]).hypot(a[1] - b[1]).max(1.0)))
}

/// Connects wheel, fingers, keys and buttons.
pub fn wire() {
    let frame: Element = frame().into();
    dom::listen_with(&frame, "wheel", false, |event: WheelEvent| {
        let lines = match event.delta_mode() {
            WheelEvent::DOM_DELTA_LINE => 33.0,
            WheelEvent::DOM_DELTA_PAGE => 300.0,
            _ => 1.0,
        };
        let delta = [event.delta_x() * lines, event.delta_y() * lines];
        let about = within([f64::from(event.client_x()), f64::from(event.client_y())]);
        // Pinches on a touchpad come as a wheel with this key.
        let nearer = event.ctrl_key() || event.meta_key();
        let whole = super::APP.with(|app| {
            let app = app.try_borrow();
            app.is_ok_and(|app| app.as_ref().is_none_or(|app| app.view.is_whole()))
        });
        // A wheel over a picture that is seen whole moves the page.
        if !nearer && whole {
            return;
        }
        event.prevent_default();
        act(move |app| {
            if nearer {
                let factor = WHEEL.powf(-delta[1] / 100.0);
                app.look(app.view.zoomed(factor, about));
            } else {
                let size = [frame_side(0), frame_side(1)];
                app.look(app.view.moved([-delta[0] / size[0], -delta[1] / size[1]]));
            }
        });
    });
    dom::listen_with(&frame, "pointerdown", false, |event: PointerEvent| {
        let at = [f64::from(event.client_x()), f64::from(event.client_y())];
        if event.pointer_type() == "touch" && event.button() == PRIMARY_OR_NONE {
            FINGERS.with(|fingers| fingers.borrow_mut().push((event.pointer_id(), at)));
        } else if event.button() == MIDDLE_BUTTON || takes(&event) {
            SPACE.set(SPACE.get().map(|_| true));
            // No scrolling by itself.
            event.prevent_default();
            HAND.with(|hand| *hand.borrow_mut() = Some(at));
            if let Some(target) = event.target().and_then(|t| t.dyn_into::<Element>().ok()) {
                let _ = target.set_pointer_capture(event.pointer_id());
            }
        }
    });
    dom::listen(&frame, "pointermove", |event: PointerEvent| {
        let at = [f64::from(event.client_x()), f64::from(event.client_y())];
        let hand = HAND.with(|hand| {
            let mut hand = hand.borrow_mut();
            hand.as_mut().map(|last| std::mem::replace(last, at))
        });
        if let Some(last) = hand {
            act(move |app| {
                let by = [0, 1].map(|i| (at[i] - last[i]) / frame_side(i));
                app.look(app.view.moved(by));
            });
        }
        FINGERS.with(|fingers| {
            let mut fingers = fingers.borrow_mut();
            let before = pinch(&fingers);
            for finger in fingers.iter_mut().filter(|f| f.0 == event.pointer_id()) {
                finger.1 = at;
            }
            if let (Some((from, was)), Some((to, is))) = (before, pinch(&fingers)) {
                act(move |app| {
                    let by = [to[0] - from[0], to[1] - from[1]];
                    app.look(app.view.zoomed(is / was, from).moved(by));
                });
            }
        });
    });
    dom::listen(&dom::document(), "keyup", |event: KeyboardEvent| {
        if event.key() == " " && SPACE.take() == Some(false) {
            act(App::play);
        }
    });
    dom::listen(&dom::window(), "blur", |_: web_sys::Event| SPACE.set(None));
    for ended in ["pointerup", "pointercancel"] {
        dom::listen(&dom::window(), ended, |event: PointerEvent| {
            FINGERS.with(|f| f.borrow_mut().retain(|f| f.0 != event.pointer_id()));
            HAND.with(|hand| hand.borrow_mut().take());
        });
    }
    dom::listen_with(
        &dom::document(),
        "keydown",
        false,
        |event: KeyboardEvent| {
            if event.ctrl_key()
                || event.meta_key()
                || event.alt_key()
                || dom::in_field(event.target())
            {
                return;
            }
            match event.key().as_str() {
                "+" | "=" => step(STEP),
                "-" | "_" => step(1.0 / STEP),
                "0" => act(|app| app.look(View::default())),
                _ => return,
            }
            event.prevent_default();
        },
    );
    for (id, factor) in [("zoom-in", STEP), ("zoom-out", 1.0 / STEP)] {
        let button: Element = dom::by_id(id);
        dom::listen(&button, "click", move |_: MouseEvent| step(factor));
    }
    let fit: Element = dom::by_id("zoom-fit");
    dom::listen(&fit, "click", |_: MouseEvent| {
        act(|app| app.look(View::default()));
    });
}

/// The space bar goes down where a part of the picture is seen.
pub fn hold_space() {
    if SPACE.get().is_none() {
        SPACE.set(Some(false));
    }
}

/// Whether a press moves the part that is seen, because the space bar is held.
pub fn takes(event: &PointerEvent) -> bool {
    event.pointer_type() != "touch" && event.button() == 0 && SPACE.get().is_some()
}

/// Nearer by a factor: about the keyboard's crosshair, or else the middle.
fn step(factor: f64) {
    act(move |app| {
        let (zoom, corner) = (app.view.zoom(), app.view.corner());
        let about = app
            .editor
            .crosshair
            .map(|at| [0, 1].map(|i| (f64::from(at[i]) * zoom - corner[i]).clamp(0.0, 1.0)));
        app.look(app.view.zoomed(factor, about.unwrap_or(MIDDLE)));
    });
}

impl App {
    /// Looks at the picture so.
    pub(super) fn look(&mut self, view: View) {
        self.view = view;
        self.stage.look(view);
        dom::show(&dom::by_id("zoom-fit"), !view.is_whole());
        dom::set_text(
            &dom::by_id("zoom-fit"),
            &format!("{:.0} %", 100.0 * view.zoom()),
        );
        dom::by_id::<HtmlButtonElement>("zoom-out").set_disabled(view.is_whole());
        self.draw_soon();
    }
}
