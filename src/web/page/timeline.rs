//! The timeline below the picture: a lane for everything that moves, the path buttons, and the playhead. Rows are kept and changed in
//! place, so that what has the focus, or is being dragged, stays what it is.

use super::{App, act, dom, list, now, stage};
use crate::web::editor::{Editor, End, Gesture, Lane, PathAct, PosePart, Tool};
use dragentity_core::scene::trajectory::{Ease, Pace};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::JsCast;
use web_sys::{
    Element, Event, HtmlButtonElement, HtmlElement, HtmlInputElement, HtmlSelectElement,
    KeyboardEvent, MouseEvent, PointerEvent,
};

/// How many frames an arrow key moves with Shift.
const STRIDE: f32 = 5.0;

/// The bar that is being dragged.
struct Down {
    id: i32,
    /// Where it went down along the axis that counts, in pixels of the page; upwards is more.
    at: f64,
    /// How long the whole is there.
    long: f64,
}

thread_local! {
    static DOWN: RefCell<Option<Down>> = const { RefCell::new(None) };
    /// The lane whose rhythm is open to be drawn.
    static OPEN: Cell<Option<Lane>> = const { Cell::new(None) };
}

/// The choice that opens a lane's rhythm, and of how many pieces its curve is.
const BY_HAND: &str = "hand";
const CURVE: usize = 40;

/// A lane's name in `data-lane`.
fn name_of(lane: Lane) -> String {
    match lane {
        Lane::Entity(index) => index.to_string(),
        Lane::Camera => "camera".into(),
    }
}

fn ease_name(ease: Option<Ease>) -> &'static str {
    match ease {
        None => "",
        Some(Ease::Steady) => "steady",
        Some(Ease::In) => "in",
        Some(Ease::Out) => "out",
        Some(Ease::InOut) => "in-out",
    }
}

/// Stretches between the video's frames, at least one.
fn steps(editor: &Editor) -> f32 {
    (editor.settings.frames.max(2) - 1) as f32
}

/// A time of the video in seconds.
fn seconds(editor: &Editor, t: f32) -> f32 {
    t * steps(editor) / editor.settings.fps.max(1) as f32
}

/// Connects what `index.html` has of it.
pub fn wire() {
    let playhead: HtmlInputElement = dom::by_id("playhead");
    let moved = playhead.clone();
    dom::listen(&playhead, "input", move |_: Event| {
        let frame = moved.value_as_number();
        act(move |app| app.scrub_to(frame as f32));
    });
    dom::listen(
        &dom::by_id::<Element>("play-paths"),
        "click",
        |_: MouseEvent| act(App::play_paths),
    );
    dom::listen(
        &dom::by_id::<Element>("corner"),
        "click",
        |_: MouseEvent| act(|app| app.done(Editor::toggle_corner)),
    );
    dom::listen(
        &dom::by_id::<Element>("copy-path"),
        "click",
        |_: MouseEvent| act(App::copy_path),
    );
    dom::listen(
        &dom::by_id::<Element>("paste-path"),
        "click",
        |_: MouseEvent| act(|app| app.done(Editor::paste_path)),
    );
}

impl App {
    /// Shows the moment of a frame, on the picture; the first is the picture as it is worked on.
    fn scrub_to(&mut self, frame: f32) {
        let t = (frame / steps(&self.editor)).clamp(0.0, 1.0);
        self.carry_since = None;
        self.scrub = (t > 0.0).then_some(t);
        self.draw_soon();
    }

    /// Plays the paths on the picture, or stops that.
    pub(super) fn play_paths(&mut self) {
        let playing = self.carry_since.take().is_some();
        if !playing && self.editor.can_generate() && matches!(self.editor.gesture(), Gesture::Idle)
        {
            self.carry_since = Some(now());
        }
        self.draw_soon();
    }

    /// Shows the selected entity all along its path, or no longer.
    pub(super) fn toggle_onion(&mut self) {
        self.stage.onion ^= true;
        let on = if self.stage.onion { "true" } else { "false" };
        dom::set(&dom::by_id("onion"), "aria-pressed", on);
        self.draw_soon();
    }

    fn copy_path(&mut self) {
        if let Some(text) = self.editor.copy_path() {
            // Refused or not, this tab has it.
            let _ = dom::window().navigator().clipboard().write_text(&text);
        }
        self.update();
    }

    /// Moves the playhead to what the picture shows.
    pub(super) fn show_time(&self, t: f32, playing: bool) {
        let steps = steps(&self.editor);
        let playhead: HtmlInputElement = dom::by_id("playhead");
        dom::set(&playhead, "max", &steps.to_string());
        let frame = (t * steps).round();
        if playhead.value_as_number() as f32 != frame {
            playhead.set_value(&frame.to_string());
        }
        let text = format!(
            "{:.2} s · {}/{}",
            seconds(&self.editor, frame / steps),
            frame + 1.0,
            steps + 1.0
        );
        if !playing {
            let when = self.editor.moment.map(|t| seconds(&self.editor, t));
            list::show_pose(&self.editor, when);
        }
        dom::set(&playhead, "aria-valuetext", &text);
        dom::set_text(&dom::by_id("time-now"), &text);
        let section: HtmlElement = dom::by_id("timeline");
        let _ = section.style().set_property("--now", &format!("{t:.4}"));
        dom::set(
            &dom::by_id("play-paths-icon"),
            "href",
            if playing { "#i-pause" } else { "#i-play" },
        );
        let label = if playing {
            "Stop the paths"
        } else {
            "Play the paths"
        };
        dom::set(&dom::by_id("play-paths"), "aria-label", label);
    }
}

/// Brings the lanes up to date.
pub fn update(editor: &Editor) {
    let lanes = editor.lanes();
    let section: HtmlElement = dom::by_id("timeline");
    // With the camera's tool the playhead is there before anything moves.
    let shown = !lanes.is_empty() || editor.tool() == Tool::Camera;
    dom::show(&section, shown);
    let list: Element = dom::by_id("lanes");
    let wanted: Vec<String> = lanes.iter().map(|lane| name_of(*lane)).collect();
    let mut row = list.first_element_child();
    while let Some(own) = row {
        row = own.next_element_sibling();
        let name = own.get_attribute("data-lane").unwrap_or_default();
        if !wanted.contains(&name) {
            own.remove();
        }
    }
    let mut before = list.first_element_child();
    for (lane, name) in lanes.iter().zip(&wanted) {
        let there = before
            .clone()
            .filter(|row| row.get_attribute("data-lane").as_ref() == Some(name));
        let row = there.unwrap_or_else(|| {
            let row = new_row(*lane);
            let _ = list.insert_before(&row, before.as_deref());
            row
        });
        before = row.next_element_sibling();
        fill(&row, *lane, editor);
    }
    let in_hand = editor.lane_in_hand().is_some();
    if let Ok(buttons) = section.query_selector_all("[data-path], #copy-path") {
        for i in 0..buttons.length() {
            let button = buttons.item(i);
            if let Some(button) = button.and_then(|b| b.dyn_into::<HtmlButtonElement>().ok()) {
                button.set_disabled(!in_hand);
            }
        }
    }
    let corner: HtmlButtonElement = dom::by_id("corner");
    let is = editor.corner();
    corner.set_disabled(is.is_none());
    dom::set(
        &corner,
        "aria-pressed",
        if is == Some(true) { "true" } else { "false" },
    );
    let paste: HtmlButtonElement = dom::by_id("paste-path");
    paste.set_disabled(!editor.has_copied());
}

fn fill(row: &Element, lane: Lane, editor: &Editor) {
    let (name, tint, selected) = match lane {
        Lane::Camera => (
            "Camera",
            stage::CAMERA_CSS.to_owned(),
            editor.lane_in_hand() == Some(Lane::Camera),
        ),
        Lane::Entity(index) => (
            editor.scene().entities[index].name.as_str(),
            stage::css(stage::own_colour(editor.scene(), index), 1.0),
            editor.selected() == Some(index),
        ),
    };
    let part = |class: &str| {
        let found = row.query_selector(class).ok().flatten();
        found.and_then(|found| found.dyn_into::<HtmlElement>().ok())
    };
    dom::set(row, "aria-label", name);
    dom::set(
        row,
        "data-selected",
        if selected { "true" } else { "false" },
    );
    let [from, to] = editor.span(lane);
    if let Some(row) = row.dyn_ref::<HtmlElement>() {
        let style = row.style();
        let _ = style.set_property("--swatch", &tint);
        let _ = style.set_property("--from", &format!("{from:.4}"));
        let _ = style.set_property("--to", &format!("{to:.4}"));
    }
    if let Some(label) = part(".lane-name") {
        dom::set_text(&label, name);
    }
    let at = |t: f32| format!("{:.2} s", seconds(editor, t));
    for (class, label, value, text) in [
        (
            ".bar-span",
            "when it moves",
            from,
            format!("{} to {}", at(from), at(to)),
        ),
        (".bar-start", "where it begins to move", from, at(from)),
        (".bar-end", "where it ends", to, at(to)),
    ] {
        if let Some(slider) = part(class) {
            let frame = (value * steps(editor)).round();
            dom::set(&slider, "aria-label", &format!("{name}: {label}"));
            dom::set(&slider, "aria-valuemax", &steps(editor).to_string());
            dom::set(&slider, "aria-valuenow", &frame.to_string());
            dom::set(&slider, "aria-valuetext", &text);
        }
    }
    if let Some(ticks) = part(".ticks") {
        // The ends have their own marks.
        let inside = |t: &f32| *t - from > 0.01 && to - *t > 0.01;
        let times: Vec<f32> = editor.ticks(lane).into_iter().filter(inside).collect();
        while ticks.child_element_count() > times.len() as u32 {
            if let Some(last) = ticks.last_element_child() {
                last.remove();
            }
        }
        while ticks.child_element_count() < times.len() as u32 {
            dom::append(&ticks, &dom::create::<HtmlElement>("i", ""));
        }
        let children = ticks.children();
        for (i, t) in times.into_iter().enumerate() {
            let tick = children.item(i as u32);
            if let Some(tick) = tick.and_then(|tick| tick.dyn_into::<HtmlElement>().ok()) {
                let _ = tick.style().set_property("--at", &format!("{t:.4}"));
            }
        }
    }
    if let Some(place) = part(".keys") {
        fill_keys(&place, lane, name, editor);
    }
    if let Some(pace) = part(".pace") {
        fill_pace(&pace, lane, name, editor);
    }
    if let Some(ease) = part(".ease").and_then(|e| e.dyn_into::<HtmlSelectElement>().ok()) {
        dom::set(&ease, "aria-label", &format!("{name}: rhythm"));
        let value = ease_name(editor.ease(lane));
        if ease.value() != value {
            ease.set_value(value);
        }
    }
}

/// The rhythm of a lane, where it is open.
fn fill_pace(place: &HtmlElement, lane: Lane, name: &str, editor: &Editor) {
    let pace = editor.pace(lane).filter(|_| OPEN.get() == Some(lane));
    dom::show(place, pace.is_some());
    let Some(pace) = pace else { return };
    dom::set(place, "aria-label", &format!("{name}: speed"));
    let mut words = String::from("M0 1");
    for i in 1..=CURVE {
        let time = i as f32 / CURVE as f32;
        words.push_str(&format!("L{time:.3} {:.3}", 1.0 - pace.way(time)));
    }
    if let Some(line) = place.query_selector("path").ok().flatten() {
        dom::set(&line, "d", &words);
    }
    let Ok(knobs) = place.query_selector_all(".pace-knob") else {
        return;
    };
    for (k, way) in pace.0.into_iter().enumerate() {
        let knob = knobs.item(k as u32);
        let Some(knob) = knob.and_then(|knob| knob.dyn_into::<HtmlElement>().ok()) else {
            continue;
        };
        let _ = knob.style().set_property("--way", &format!("{way:.4}"));
        let percent = (100.0 * way).round();
        let time = 100.0 * Pace::TIMES[k];
        let label = format!("{name}: way done after {time:.0} percent of the time");
        dom::set(&knob, "aria-label", &label);
        dom::set(&knob, "aria-valuenow", &percent.to_string());
        dom::set(&knob, "aria-valuetext", &format!("{percent} %"));
    }
}

/// Where a rhythm is drawn: how much of the way is done, over the time.
fn new_pace(lane: Lane) -> HtmlElement {
    const SVG: Option<&str> = Some("http://www.w3.org/2000/svg");
    let place: HtmlElement = dom::create("div", "pace");
    let key = name_of(lane);
    dom::set(&place, "role", "group");
    dom::set(&place, "data-testid", &format!("pace-{key}"));
    let create = |tag: &str| dom::document().create_element_ns(SVG, tag);
    if let (Ok(svg), Ok(path)) = (create("svg"), create("path")) {
        dom::set(&svg, "viewBox", "0 0 1 1");
        dom::set(&svg, "preserveAspectRatio", "none");
        dom::set(&svg, "aria-hidden", "true");
        let _ = svg.append_child(&path);
        dom::append(&place, &svg);
    }
    for (k, time) in Pace::TIMES.into_iter().enumerate() {
        let knob: HtmlElement = dom::create("div", "pace-knob");
        let _ = knob.style().set_property("--at", &time.to_string());
        dom::set(&knob, "role", "slider");
        dom::set(&knob, "tabindex", "0");
        dom::set(&knob, "aria-orientation", "vertical");
        dom::set(&knob, "aria-valuemin", "0");
        dom::set(&knob, "aria-valuemax", "100");
        dom::set(&knob, "data-testid", &format!("pace-{key}-{k}"));
        let begin: Begin = Rc::new(move |app| app.done(|e| e.begin_pace(lane, k)));
        dragged(&knob, lane, Axis::Up, &begin, |app, by| {
            app.done(|e| e.drag_pace(by));
        });
        dom::listen_with(&knob, "keydown", false, move |event: KeyboardEvent| {
            let stride = if event.shift_key() { 0.1 } else { 0.02 };
            let by = match event.key().as_str() {
                "ArrowLeft" | "ArrowDown" => -stride,
                "ArrowRight" | "ArrowUp" => stride,
                _ => return,
            };
            event.prevent_default();
            act(move |app| app.done(|e| e.raise_pace(lane, k, by)));
        });
        dom::append(&place, &knob);
    }
    place
}

/// The key poses of a lane.
fn fill_keys(place: &Element, lane: Lane, name: &str, editor: &Editor) {
    let times = editor.keys(lane);
    while place.child_element_count() > times.len() as u32 {
        if let Some(last) = place.last_element_child() {
            last.remove();
        }
    }
    for key in place.child_element_count() as usize..times.len() {
        dom::append(place, &new_key(lane, key));
    }
    let scene = editor.scene();
    let poses = match lane {
        Lane::Entity(index) => scene.entities.get(index).map(|e| &e.poses),
        Lane::Camera => Some(&scene.view.poses),
    };
    let children = place.children();
    for (key, t) in times.into_iter().enumerate() {
        let element = children.item(key as u32);
        let Some(element) = element.and_then(|e| e.dyn_into::<HtmlElement>().ok()) else {
            continue;
        };
        let _ = element.style().set_property("--at", &format!("{t:.4}"));
        let pose = poses.and_then(|poses| poses.get(key)).copied();
        let [turn, scale, depth] = PosePart::ALL.map(|part| part.of(&pose.unwrap_or_default()));
        let large = 100.0 * scale;
        let words = match lane {
            Lane::Entity(_) => format!(
                "{name}: turned {turn:.0} degrees, {large:.0} percent large, depth {depth:.0}"
            ),
            Lane::Camera => format!("{name}: turned {turn:.0} degrees, {large:.0} percent large"),
        };
        dom::set(&element, "aria-label", &words);
        dom::set(&element, "aria-valuemax", &steps(editor).to_string());
        let frame = (t * steps(editor)).round();
        dom::set(&element, "aria-valuenow", &frame.to_string());
        let text = format!("{:.2} s", seconds(editor, t));
        dom::set(&element, "aria-valuetext", &text);
    }
}

/// A key pose: dragged, moved by the arrow keys, deleted by Delete or Alt-click; a click shows its moment.
fn new_key(lane: Lane, key: usize) -> Element {
    let element: HtmlElement = dom::create("div", "key");
    dom::set(&element, "role", "slider");
    dom::set(&element, "tabindex", "0");
    dom::set(&element, "aria-valuemin", "0");
    dom::set(
        &element,
        "title",
        "Turn and size at this moment: drag it, Delete takes it away",
    );
    dom::set(
        &element,
        "data-testid",
        &format!("key-{}-{key}", name_of(lane)),
    );
    let begin: Begin = Rc::new(move |app| app.done(|e| e.begin_key(lane, key)));
    dragged(&element, lane, Axis::Across, &begin, |app, by| {
        app.time_dragged(by, |app, by| app.done(|e| e.drag_key(by)));
    });
    let delete = move || act(move |app| app.done(|e| e.delete_key(lane, key)));
    dom::listen(&element, "click", move |event: MouseEvent| {
        match event.alt_key() {
            true => delete(),
            false => act(move |app| {
                if let Some(t) = app.editor.keys(lane).get(key).copied() {
                    app.scrub_to(t * steps(&app.editor));
                }
            }),
        }
    });
    dom::listen_with(&element, "keydown", false, move |event: KeyboardEvent| {
        let stride = if event.shift_key() { STRIDE } else { 1.0 };
        let frames = match event.key().as_str() {
            "ArrowLeft" | "ArrowDown" => -stride,
            "ArrowRight" | "ArrowUp" => stride,
            "Delete" | "Backspace" => {
                event.prevent_default();
                // It is this that goes, not what is selected.
                event.stop_propagation();
                return delete();
            }
            _ => return,
        };
        event.prevent_default();
        act(move |app| {
            let by = frames / steps(&app.editor);
            app.done(|e| e.shift_key(lane, key, by));
        });
    });
    element.into()
}

fn new_row(lane: Lane) -> Element {
    let row: HtmlElement = dom::create("div", "lane");
    let key = name_of(lane);
    dom::set(&row, "data-lane", &key);
    dom::set(&row, "data-testid", &format!("lane-{key}"));
    dom::set(&row, "role", "group");

    let name: HtmlElement = dom::create("button", "lane-name");
    dom::set(&name, "type", "button");
    dom::set(&name, "data-testid", &format!("lane-name-{key}"));
    dom::listen(&name, "click", move |_: MouseEvent| {
        act(move |app| app.choose(lane));
    });

    let track: HtmlElement = dom::create("div", "track");
    let rail: HtmlElement = dom::create("div", "rail");
    for (class, end) in [
        ("bar-span", End::Both),
        ("bar-start", End::Start),
        ("bar-end", End::End),
    ] {
        let bar: HtmlElement = dom::create("div", class);
        dom::set(&bar, "role", "slider");
        dom::set(&bar, "tabindex", "0");
        dom::set(&bar, "aria-valuemin", "0");
        dom::set(&bar, "data-testid", &format!("{class}-{key}"));
        drags(&bar, lane, end);
        dom::append(&rail, &bar);
    }
    let ticks: HtmlElement = dom::create("div", "ticks");
    dom::set(&ticks, "aria-hidden", "true");
    dom::append(&rail, &ticks);
    let keys: HtmlElement = dom::create("div", "keys");
    dom::append(&rail, &keys);
    dom::append(&track, &rail);
    dom::append(&track, &new_pace(lane));

    let ease: HtmlSelectElement = dom::create("select", "ease");
    dom::set(&ease, "title", "How fast it goes along its path");
    dom::set(&ease, "data-testid", &format!("ease-{key}"));
    let names = [
        (None, "As drawn"),
        (Some(Ease::Steady), "Steady"),
        (Some(Ease::In), "Ease in"),
        (Some(Ease::Out), "Ease out"),
        (Some(Ease::InOut), "Ease in-out"),
    ];
    for (own, words) in names {
        let option: HtmlElement = dom::create("option", "");
        dom::set(&option, "value", ease_name(own));
        dom::set_text(&option, words);
        if own.is_none() {
            // It is told, not chosen: what was drawn is gone.
            dom::set(&option, "disabled", "");
        }
        dom::append(&ease, &option);
    }
    let by_hand: HtmlElement = dom::create("option", "");
    dom::set(&by_hand, "value", BY_HAND);
    dom::set_text(&by_hand, "By hand…");
    dom::append(&ease, &by_hand);
    let chosen = ease.clone();
    dom::listen(&ease, "change", move |_: Event| {
        let value = chosen.value();
        OPEN.set((value == BY_HAND).then_some(lane));
        if value == BY_HAND {
            return act(|app| update(&app.editor));
        }
        let mut eases = Ease::ALL.into_iter();
        if let Some(ease) = eases.find(|ease| ease_name(Some(*ease)) == value) {
            act(move |app| app.done(|e| e.set_ease(lane, ease)));
        }
    });
    for child in [name.as_ref(), track.as_ref(), ease.as_ref()] as [&Element; 3] {
        dom::append(&row, child);
    }
    row.into()
}

impl App {
    /// Takes up what has a lane.
    fn choose(&mut self, lane: Lane) {
        self.done(|e| match lane {
            Lane::Camera => e.set_tool(Tool::Camera),
            Lane::Entity(index) => {
                if e.tool() == Tool::Camera {
                    e.set_tool(Tool::Move);
                }
                e.select(Some(index))
            }
        });
    }

    /// What of the timeline is in hand is dragged by so much of the whole video.
    fn time_dragged(&mut self, by: f32, drag: fn(&mut Self, f32)) {
        // From frame to frame.
        let steps = steps(&self.editor);
        drag(self, (by * steps).round() / steps);
    }
}

/// What a press begins.
type Begin = Rc<dyn Fn(&mut App)>;

/// The way in which something is dragged.
#[derive(Clone, Copy, PartialEq)]
enum Axis {
    /// Along the time, of which a rail shows all.
    Across,
    /// Upwards in what it lies in.
    Up,
}

/// An element of a rail, or of a rhythm, is dragged by the pointer, by a fraction of the whole.
fn dragged(element: &HtmlElement, lane: Lane, axis: Axis, begin: &Begin, drag: fn(&mut App, f32)) {
    let own = element.clone();
    let begin = begin.clone();
    dom::listen_with(element, "pointerdown", false, move |event: PointerEvent| {
        let whole = own.closest(".rail, .pace").ok().flatten();
        let whole = whole.map(|whole| whole.get_bounding_client_rect());
        let long = whole.map_or(0.0, |whole| match axis {
            Axis::Across => whole.width(),
            Axis::Up => whole.height(),
        });
        if event.button() != 0 || long <= 0.0 {
            return;
        }
        let id = event.pointer_id();
        let _ = own.set_pointer_capture(id);
        let _ = own.focus();
        event.prevent_default();
        let at = along(axis, &event);
        DOWN.with(|down| *down.borrow_mut() = Some(Down { id, at, long }));
        let begin = begin.clone();
        act(move |app| {
            app.choose(lane);
            begin(app);
        });
    });
    dom::listen_with(element, "pointermove", true, move |event: PointerEvent| {
        let by = DOWN.with(|down| {
            let down = down.borrow();
            let down = down.as_ref().filter(|down| down.id == event.pointer_id())?;
            Some((along(axis, &event) - down.at) / down.long)
        });
        if let Some(by) = by {
            act(move |app| {
                drag(app, by as f32);
                update(&app.editor);
            });
        }
    });
    let ours = |event: &PointerEvent| {
        let id = event.pointer_id();
        DOWN.with(|down| down.borrow_mut().take_if(|down| down.id == id).is_some())
    };
    dom::listen_with(element, "pointerup", true, move |event: PointerEvent| {
        if ours(&event) {
            act(|app| {
                app.done(|e| e.release([0.0; 2]));
                update(&app.editor);
            });
        }
    });
    dom::listen_with(
        element,
        "pointercancel",
        true,
        move |event: PointerEvent| {
            if ours(&event) {
                act(|app| app.done(Editor::cancel));
            }
        },
    );
}

fn along(axis: Axis, event: &PointerEvent) -> f64 {
    match axis {
        Axis::Across => f64::from(event.client_x()),
        Axis::Up => -f64::from(event.client_y()),
    }
}

/// A bar, or an end of it, is dragged by the pointer and moved by the arrow keys.
fn drags(bar: &HtmlElement, lane: Lane, end: End) {
    let begin: Begin = Rc::new(move |app| app.done(|e| e.begin_retime(lane, end)));
    dragged(bar, lane, Axis::Across, &begin, |app, by| {
        app.time_dragged(by, |app, by| app.done(|e| e.drag_retime(by)));
    });
    dom::listen_with(bar, "keydown", false, move |event: KeyboardEvent| {
        let stride = if event.shift_key() { STRIDE } else { 1.0 };
        // Beyond the video it stops by itself.
        let frames = match event.key().as_str() {
            "ArrowLeft" | "ArrowDown" => -stride,
            "ArrowRight" | "ArrowUp" => stride,
            "Home" => f32::MIN,
            "End" => f32::MAX,
            _ => return,
        };
        event.prevent_default();
        act(move |app| {
            let by = (frames / steps(&app.editor)).clamp(-1.0, 1.0);
            app.done(|e| e.retime(lane, end, by));
        });
    });
}

/// The path button of this name was pressed.
pub fn pressed(name: &str) {
    if let Some(act_on) = PathAct::from_name(name) {
        act(move |app| app.done(|e| e.change_path(act_on)));
    }
}
