//! The list of entities. Rows are kept and changed in place, so that a name being typed keeps its focus.

use super::{App, act, dom, stage};
use crate::web::editor::{Editor, Lane, PosePart, Tool};
use dragentity_core::scene::ground::Ground;
use dragentity_core::scene::order::Step;
use dragentity_core::scene::{Entity, Pose, Shadow, View};
use dragentity_media::overlay::{COLOURS, colour, colour_of};
use std::cell::Cell;
use wasm_bindgen::JsCast;
use web_sys::{
    Element, Event, HtmlElement, HtmlInputElement, HtmlSelectElement, KeyboardEvent, MouseEvent,
    PointerEvent,
};

/// What the colours are called, for who does not see them.
const COLOUR_NAMES: [&str; COLOURS.len()] = [
    "amber", "sky blue", "green", "red", "yellow", "pink", "blue", "white",
];

/// What hiding and locking a row says, and where it is tied to others.
const HIDE: [&str; 2] = [
    "Hide: it stays part of the picture",
    "Hide it and what it is tied to: they stay part of the picture (Shift: it alone)",
];
const LOCK: [&str; 2] = [
    "Lock: clicks and drags pass it",
    "Lock it and what it is tied to: clicks and drags pass them (Shift: it alone)",
];

thread_local! {
    /// The row that is dragged by its grip: the pointer's number, and which.
    static HELD: Cell<Option<(i32, usize)>> = const { Cell::new(None) };
}

/// Brings the list up to date.
pub fn update(editor: &Editor) {
    let scene = editor.scene();
    let list: Element = dom::by_id("entities");
    let camera = !scene.is_camera_still() || editor.tool() == Tool::Camera;
    // The camera's row, if any, is the last.
    let old_camera = dom::document().get_element_by_id("entity-camera");
    if let Some(row) = old_camera.filter(|_| !camera) {
        row.remove();
    }
    if let Ok(rows) = list.query_selector_all("[data-index]") {
        for i in scene.entities.len() as u32..rows.length() {
            if let Some(row) = rows.item(i).and_then(|r| r.dyn_into::<Element>().ok()) {
                row.remove();
            }
        }
    }
    for (i, entity) in scene.entities.iter().enumerate() {
        let row = list
            .query_selector(&format!("[data-index=\"{i}\"]"))
            .ok()
            .flatten()
            .unwrap_or_else(|| {
                let row = row(i);
                let _ = list.insert_before(
                    &row,
                    dom::document()
                        .get_element_by_id("entity-camera")
                        .as_deref(),
                );
                row
            });
        fill(&row, i, entity, editor);
    }
    if camera && dom::document().get_element_by_id("entity-camera").is_none() {
        dom::append(&list, &camera_row());
    }
    fill_camera(editor);
    dom::show(
        &dom::by_id("no-entities"),
        scene.entities.is_empty() && !camera,
    );
    let selected = editor.selected().is_some();
    dom::show(&dom::by_id("new-entity"), selected);
}

fn fill(row: &Element, i: usize, entity: &Entity, editor: &Editor) {
    dom::set(
        row,
        "data-selected",
        if editor.selected() == Some(i) {
            "true"
        } else {
            "false"
        },
    );
    let truth = |on: bool| if on { "true" } else { "false" };
    dom::set(row, "data-hidden", truth(entity.look.hidden));
    dom::set(row, "data-locked", truth(entity.look.locked));
    let own = colour_of(entity, i);
    if let Some(row) = row.dyn_ref::<HtmlElement>() {
        let _ = row.style().set_property("--swatch", &stage::css(own, 1.0));
    }
    let part = |class: &str| row.query_selector(class).ok().flatten();
    let together = editor.together(i);
    fill_bond(row, &together, editor);
    for (class, on, words) in [
        (".hide", entity.look.hidden, HIDE),
        (".lock", entity.look.locked, LOCK),
    ] {
        if let Some(button) = part(class) {
            dom::set(&button, "aria-pressed", truth(on));
            let words = words[usize::from(!together.is_empty())];
            dom::set(&button, "aria-label", words);
            dom::set(&button, "title", words);
            let name = class.trim_start_matches('.');
            if let Some(icon) = button.query_selector("use").ok().flatten() {
                let icons = match (name, on) {
                    ("hide", true) => "#i-unseen",
                    ("hide", false) => "#i-eye",
                    (_, true) => "#i-locked",
                    (_, false) => "#i-open-lock",
                };
                dom::set(&icon, "href", icons);
            }
        }
    }
    let count = editor.scene().entities.len();
    if let Some(grip) = part(".grip").and_then(|g| g.dyn_into::<HtmlElement>().ok()) {
        let words = format!(
            "{}: place {} of {count}, from back to front; drag it, or press the arrow keys",
            entity.name,
            i + 1
        );
        dom::set(&grip, "aria-label", &words);
        dom::show(&grip, count > 1);
    }
    if let Ok(dots) = row.query_selector_all("[data-colour]") {
        for k in 0..dots.length() {
            if let Some(dot) = dots.item(k).and_then(|d| d.dyn_into::<Element>().ok()) {
                let on = own == colour(k as usize);
                dom::set(&dot, "aria-pressed", truth(on));
            }
        }
    }
    if let Some(name) = part(".name").and_then(|n| n.dyn_into::<HtmlInputElement>().ok()) {
        let focused = dom::document()
            .active_element()
            .is_some_and(|a| a.is_same_node(Some(&name)));
        if !focused && name.value() != entity.name {
            name.set_value(&entity.name);
        }
    }
    let handles = entity.held_by().count();
    let leaves = entity.held_by().any(|path| path.leaves_frame(16));
    let tied = editor.tied_to(i).map(|i| &editor.scene().entities[i].name);
    let state = match (handles, leaves) {
        _ if entity.look.hidden => "Hidden: part of the picture".to_owned(),
        (0, _) if entity.has_motion() => "Turned or scaled; no path".to_owned(),
        (0, _) => match tied {
            Some(name) => format!("Goes along with {name}"),
            None => "Not moved yet: drag it".to_owned(),
        },
        (1, _) if entity.is_pinned() => "Pinned: stays where it is".to_owned(),
        (1, true) => "Has a path; leaves the picture".to_owned(),
        (1, false) => "Has a path".to_owned(),
        (n, true) => format!("{n} handles; leaves the picture"),
        (n, false) => format!("{n} handles"),
    };
    if let Some(line) = part(".state") {
        dom::set_text(&line, &state);
    }
    let pinned = entity.is_pinned() && handles == 1;
    if let Some(pin) = part(".pin") {
        dom::set(&pin, "aria-pressed", if pinned { "true" } else { "false" });
    }
    let goes = entity.shadow != Shadow::None;
    if let Some(pose) = part(".pose").and_then(|p| p.dyn_into::<HtmlElement>().ok()) {
        // People who are led by their joints are not turned.
        let shown = editor.selected() == Some(i) && entity.skeleton.is_none();
        dom::show(&pose, shown);
    }
    for class in [".shade", ".colours"] {
        if let Some(more) = part(class).and_then(|s| s.dyn_into::<HtmlElement>().ok()) {
            dom::show(&more, editor.selected() == Some(i));
        }
    }
    if let Some(tie) = part(".tie").and_then(|t| t.dyn_into::<HtmlElement>().ok()) {
        fill_tie(&tie, i, editor);
    }
    if let Some(strength) = part(".strength").and_then(|s| s.dyn_into::<HtmlElement>().ok()) {
        dom::show(&strength, editor.selected() == Some(i));
        fill_percent(&strength, Some(entity.strength.share()));
    }
    if let Some(along) = part(".along") {
        dom::set(&along, "aria-pressed", if goes { "true" } else { "false" });
        let words = match entity.shadow {
            Shadow::Found => "goes along if it is found",
            Shadow::None => "stays where it is",
            Shadow::Marked(_) => "goes along as marked",
        };
        dom::set_text(&along, words);
    }
    if let Some(mark) = part(".mark") {
        let on = editor.tool() == Tool::Shadow;
        dom::set(&mark, "aria-pressed", if on { "true" } else { "false" });
    }
    if let Some(parts) = part(".parts").and_then(|p| p.dyn_into::<HtmlElement>().ok()) {
        dom::show(&parts, entity.part.is_none());
    }
    for class in [".back", ".forward"] {
        if let Some(step) = part(class).and_then(|s| s.dyn_into::<HtmlElement>().ok()) {
            dom::show(&step, count > 1);
        }
    }
    if let Some(clear) = part(".clear").and_then(|c| c.dyn_into::<HtmlElement>().ok()) {
        dom::show(&clear, entity.has_motion() && !pinned);
    }
}

/// Shows which rows are tied together: each has a bar of the colour of the first.
fn fill_bond(row: &Element, together: &[usize], editor: &Editor) {
    let first = together.first().map(|&i| (i, &editor.scene().entities[i]));
    dom::set(
        row,
        "data-tied",
        if first.is_some() { "true" } else { "false" },
    );
    if let (Some((i, entity)), Some(row)) = (first, row.dyn_ref::<HtmlElement>()) {
        let bond = stage::css(colour_of(entity, i), 1.0);
        let _ = row.style().set_property("--bond", &bond);
    }
}

fn row(i: usize) -> Element {
    let row = base(&stage::css(colour(i), 1.0));
    dom::set(&row, "data-index", &i.to_string());
    dom::set(&row, "data-testid", &format!("entity-{i}"));
    let grip = grip(i);

    let swatch: HtmlElement = dom::create("button", "swatch");
    dom::set(&swatch, "type", "button");
    dom::set(&swatch, "aria-label", "Select");
    dom::set(&swatch, "data-testid", &format!("entity-select-{i}"));
    dom::listen(&swatch, "click", move |_: MouseEvent| {
        act(move |app| app.done(|e| e.select(Some(i))));
    });

    let name: HtmlInputElement = dom::create("input", "name");
    name.set_type("text");
    name.set_max_length(40);
    dom::set(&name, "aria-label", "Name");
    dom::set(&name, "autocomplete", "off");
    dom::set(&name, "spellcheck", "false");
    dom::set(&name, "data-testid", &format!("entity-name-{i}"));
    dom::listen(&name, "focus", move |_: Event| {
        act(move |app| {
            if app.editor.selected() != Some(i) {
                app.done(|e| e.select(Some(i)));
            }
        });
    });
    let typed = name.clone();
    dom::listen(&name, "change", move |_: Event| {
        let value = typed.value();
        act(move |app| app.done(|e| e.rename(i, &value)));
    });
    let leaving = name.clone();
    dom::listen(&name, "keydown", move |event: KeyboardEvent| {
        if event.key() == "Enter" || event.key() == "Escape" {
            let _ = leaving.blur();
        }
    });

    let state: HtmlElement = dom::create("span", "state");
    let acts: HtmlElement = dom::create("div", "acts");
    let eyes: HtmlElement = dom::create("div", "eyes");
    let button_in = |place: &HtmlElement, icon: &str, class: &str, label: &str| {
        let button: HtmlElement = dom::create("button", &format!("icon {class}"));
        dom::set(&button, "type", "button");
        dom::set(&button, "aria-label", label);
        dom::set(&button, "title", label);
        dom::set(&button, "data-testid", &format!("entity-{class}-{i}"));
        dom::append(&button, &dom::icon(icon));
        dom::append(place, &button);
        button
    };
    let hide = button_in(&eyes, "eye", "hide", HIDE[0]);
    dom::listen(&hide, "click", move |event: MouseEvent| {
        let alone = event.shift_key();
        act(move |app| app.done(|e| e.toggle_hidden(i, alone)));
    });
    let lock = button_in(&eyes, "open-lock", "lock", LOCK[0]);
    dom::listen(&lock, "click", move |event: MouseEvent| {
        let alone = event.shift_key();
        act(move |app| app.done(|e| e.toggle_locked(i, alone)));
    });
    let button = |icon: &str, class: &str, label: &str| button_in(&acts, icon, class, label);
    let pin = button("pin", "pin", "Pin: hold it where it is");
    dom::listen(&pin, "click", move |_: MouseEvent| {
        act(move |app| app.done(|e| e.toggle_pin(i)));
    });
    let parts = button("parts", "parts", "Split a person into parts (P)");
    dom::listen(&parts, "click", move |_: MouseEvent| {
        act(move |app| app.done(|e| e.split(Some(i))));
    });
    let clear = button("clear", "clear", "Remove the path");
    dom::listen(&clear, "click", move |_: MouseEvent| {
        act(move |app| app.done(|e| e.clear_motion(i)));
    });
    let double = button("copy", "duplicate", "Have it there twice (Ctrl+D)");
    dom::listen(&double, "click", move |_: MouseEvent| {
        act(move |app| app.done(|e| e.duplicate(i)));
    });
    for (class, label, step) in [
        ("back", "Send back, behind what lies next ([)", Step::Back),
        (
            "forward",
            "Bring forward, in front of what lies next (])",
            Step::Forward,
        ),
    ] {
        let button = button(class, class, label);
        dom::listen(&button, "click", move |_: MouseEvent| {
            act(move |app| {
                let positions = app.editor.scene().stepped(i, step).unwrap_or_default();
                let to = positions.iter().position(|&from| from == i);
                app.done(|e| e.step(i, step));
                // Whoever presses again means the same entity, which is in another row now.
                if let Some(to) = to {
                    focus(&format!("[data-index=\"{to}\"] .{class}"));
                }
            });
        });
    }

    let delete = button("trash", "delete", "Delete");
    dom::listen(&delete, "click", move |_: MouseEvent| {
        act(move |app| app.done(|e| e.delete(i)));
    });

    let shade = shade_row(i);
    for child in [
        grip.as_ref(),
        swatch.as_ref(),
        name.as_ref(),
        &eyes,
        state.as_ref(),
        &acts,
        &colours_row(i),
        &pose_row(Lane::Entity(i)),
        &tie_row(i),
        &strength_row(i),
        &shade,
    ] {
        dom::append(&row, child);
    }
    row
}

/// What a row is dragged by to another place of the list.
fn grip(i: usize) -> HtmlElement {
    let grip: HtmlElement = dom::create("button", "grip");
    dom::set(&grip, "type", "button");
    dom::set(&grip, "title", "Drag it to another place of the list");
    dom::set(&grip, "data-testid", &format!("entity-grip-{i}"));
    dom::append(&grip, &dom::icon("grip"));
    let own = grip.clone();
    dom::listen_with(&grip, "pointerdown", false, move |event: PointerEvent| {
        if event.button() != 0 {
            return;
        }
        event.prevent_default();
        let _ = own.focus();
        let _ = own.set_pointer_capture(event.pointer_id());
        HELD.set(Some((event.pointer_id(), i)));
    });
    let held = |event: &PointerEvent| HELD.get().filter(|(id, _)| *id == event.pointer_id());
    dom::listen(&grip, "pointermove", move |event: PointerEvent| {
        if let Some((_, from)) = held(&event) {
            mark(from, row_at(&event));
        }
    });
    dom::listen(&grip, "pointerup", move |event: PointerEvent| {
        if let Some((_, from)) = held(&event) {
            HELD.set(None);
            mark(from, None);
            if let Some(to) = row_at(&event).filter(|to| *to != from) {
                act(move |app| app.done(|e| e.place(from, to)));
            }
        }
    });
    dom::listen(&grip, "pointercancel", move |event: PointerEvent| {
        if let Some((_, from)) = held(&event) {
            HELD.set(None);
            mark(from, None);
        }
    });
    dom::listen_with(&grip, "keydown", false, move |event: KeyboardEvent| {
        let last = |app: &App| app.editor.scene().entities.len().saturating_sub(1);
        let to: fn(usize, usize) -> usize = match event.key().as_str() {
            "ArrowUp" | "ArrowLeft" => |i, _| i.saturating_sub(1),
            "ArrowDown" | "ArrowRight" => |i, last| (i + 1).min(last),
            "Home" => |_, _| 0,
            "End" => |_, last| last,
            _ => return,
        };
        event.prevent_default();
        event.stop_propagation();
        act(move |app| {
            let to = to(i, last(app));
            let positions = app.editor.placed(i, to).unwrap_or_default();
            let gone = positions.iter().position(|&from| from == i);
            app.done(|e| e.place(i, to));
            // Whoever presses again means the same entity, which is in another row now.
            focus(&format!("[data-index=\"{}\"] .grip", gone.unwrap_or(i)));
        });
    });
    grip
}

fn focus(within_list: &str) {
    let selector = format!("#entities {within_list}");
    let found = dom::document().query_selector(&selector).ok().flatten();
    if let Some(element) = found.and_then(|found| found.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}

/// All rows of entities, as they are listed.
fn rows() -> Vec<Element> {
    let list: Element = dom::by_id("entities");
    let Ok(found) = list.query_selector_all("[data-index]") else {
        return Vec::new();
    };
    let rows = (0..found.length()).filter_map(|i| found.item(i)?.dyn_into::<Element>().ok());
    rows.collect()
}

/// The row nearest to the pointer.
fn row_at(event: &PointerEvent) -> Option<usize> {
    let (x, y) = (f64::from(event.client_x()), f64::from(event.client_y()));
    let away = |row: &Element| {
        let r = row.get_bounding_client_rect();
        let beyond = |at: f64, from: f64, to: f64| (from - at).max(at - to).max(0.0);
        beyond(x, r.left(), r.right()).hypot(beyond(y, r.top(), r.bottom()))
    };
    let away: Vec<f64> = rows().iter().map(away).collect();
    let near = away.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
    near.map(|(i, _)| i)
}

/// Shows where the row that is dragged would go.
fn mark(from: usize, to: Option<usize>) {
    for (i, row) in rows().iter().enumerate() {
        let word = match to {
            Some(to) if i == to && to < from => "before",
            Some(to) if i == to && to > from => "after",
            Some(_) if i == from => "held",
            _ => "",
        };
        dom::set(row, "data-drop", word);
    }
}

/// The colours that an entity may be drawn in.
fn colours_row(i: usize) -> HtmlElement {
    let colours: HtmlElement = dom::create("div", "colours");
    dom::set(&colours, "role", "group");
    dom::set(&colours, "aria-label", "Colour");
    for (k, name) in COLOUR_NAMES.into_iter().enumerate() {
        let dot: HtmlElement = dom::create("button", "");
        dom::set(&dot, "type", "button");
        dom::set(&dot, "data-colour", &k.to_string());
        dom::set(&dot, "data-testid", &format!("entity-colour-{i}-{k}"));
        dom::set(&dot, "aria-label", &format!("Colour: {name}"));
        dom::set(&dot, "title", name);
        let css = stage::css(colour(k), 1.0);
        let _ = dot.style().set_property("--swatch", &css);
        dom::listen(&dot, "click", move |_: MouseEvent| {
            act(move |app| app.done(|e| e.set_colour(i, k as u8)));
        });
        dom::append(&colours, &dot);
    }
    colours
}

/// What of a pose a field is about: its word in the field's name, its label, the unit, and how many of that are 1.
const POSE_FIELDS: [(PosePart, &str, &str, &str, f32); 3] = [
    (PosePart::Turn, "turn", "Turn", "°", 1.0),
    (PosePart::Scale, "size", "Size", "%", 100.0),
    (PosePart::Depth, "depth", "Depth", "", 1.0),
];

/// How an entity is turned and scaled at a moment, and how near it is, as numbers.
fn pose_row(of: Lane) -> HtmlElement {
    let row: HtmlElement = dom::create("div", "pose");
    dom::set(&row, "role", "group");
    dom::set(
        &row,
        "aria-label",
        "Turn, size and depth at the playhead’s moment",
    );
    let when: HtmlElement = dom::create("span", "when");
    dom::append(&row, &when);
    let (fields, name) = match of {
        Lane::Entity(i) => (&POSE_FIELDS[..], i.to_string()),
        Lane::Camera => (&POSE_FIELDS[..2], "camera".into()),
    };
    for &(part, word, label, unit, ones) in fields {
        let place: HtmlElement = dom::create("label", "");
        let text: HtmlElement = dom::create("span", "");
        let words = match unit {
            "" => label.to_owned(),
            unit => format!("{label} {unit}"),
        };
        dom::set_text(&text, &words);
        dom::append(&place, &text);
        let field: HtmlInputElement = dom::create("input", word);
        field.set_type("number");
        dom::set(&field, "step", "1");
        dom::set(&field, "inputmode", "numeric");
        dom::set(&field, "data-testid", &format!("entity-{word}-{name}"));
        let typed = field.clone();
        dom::listen(&field, "change", move |_: Event| {
            let value = typed.value_as_number() as f32 / ones;
            act(move |app| app.take_pose(of, part, value));
        });
        dom::append(&place, &field);
        dom::append(&row, &place);
    }
    row
}

/// Shows the poses of the selected entity and of the camera; `when` in seconds, `None` at the end.
pub fn show_pose(editor: &Editor, when: Option<f32>) {
    let selected = editor.selected().map(Lane::Entity);
    for of in selected.into_iter().chain([Lane::Camera]) {
        let row = match of {
            Lane::Entity(i) => format!("[data-index=\"{i}\"]"),
            Lane::Camera => "#entity-camera".into(),
        };
        let selector = format!("#entities {row} .pose");
        if let Some(row) = dom::document().query_selector(&selector).ok().flatten() {
            show_pose_in(&row, &editor.pose_now(of), when);
        }
    }
}

fn show_pose_in(row: &Element, pose: &Pose, when: Option<f32>) {
    let words = when.map_or_else(|| "At the end".into(), |s| format!("At {s:.2} s"));
    let find = |class: &str| row.query_selector(class).ok().flatten();
    if let Some(label) = find(".when") {
        dom::set_text(&label, &words);
    }
    for (part, word, _, _, ones) in POSE_FIELDS {
        let field = find(&format!(".{word}"));
        let Some(field) = field.and_then(|f| f.dyn_into::<HtmlInputElement>().ok()) else {
            continue;
        };
        let value = format!("{}", (part.of(pose) * ones).round());
        let typing = dom::document()
            .active_element()
            .is_some_and(|active| active.is_same_node(Some(&field)));
        if !typing && field.value() != value {
            field.set_value(&value);
        }
    }
}

impl App {
    /// A number of a pose was typed: the picture then shows its moment.
    fn take_pose(&mut self, of: Lane, part: PosePart, value: f32) {
        let t = self.editor.pose_time();
        self.done(|e| e.set_pose(of, part, value));
        self.scrub = Some(t);
        self.draw_soon();
    }
}

/// What an entity goes along with.
fn tie_row(i: usize) -> HtmlElement {
    let row: HtmlElement = dom::create("label", "tie");
    let words: HtmlElement = dom::create("span", "");
    dom::set_text(&words, "Goes along with");
    dom::append(&row, &words);
    let choice: HtmlSelectElement = dom::create("select", "");
    dom::set(&choice, "data-testid", &format!("entity-tie-{i}"));
    let chosen = choice.clone();
    dom::listen(&choice, "change", move |_: Event| {
        let to = chosen.value().parse().ok();
        act(move |app| app.done(|e| e.tie(i, to)));
    });
    dom::append(&row, &choice);
    row
}

/// How closely an entity is followed, where Stable Video Diffusion makes the video: elsewhere it is not shown.
fn strength_row(i: usize) -> HtmlElement {
    let row = percent_row(
        "Followed, %",
        "How closely Stable Video Diffusion follows it: less leaves more to the model",
        &format!("entity-strength-{i}"),
        move |percent| act(move |app| app.done(|e| e.set_strength(i, percent / 100.0))),
    );
    let _ = row.class_list().add_1("strength");
    row
}

/// A field for a number of percent, of which `typed` hears; not a number where it is empty.
fn percent_row(label: &str, title: &str, id: &str, typed: impl Fn(f32) + 'static) -> HtmlElement {
    let row: HtmlElement = dom::create("label", "tie");
    let words: HtmlElement = dom::create("span", "");
    dom::set_text(&words, label);
    dom::set(&row, "title", title);
    dom::append(&row, &words);
    let field: HtmlInputElement = dom::create("input", "");
    field.set_type("number");
    for (name, value) in [
        ("min", "0"),
        ("max", "100"),
        ("step", "10"),
        ("inputmode", "numeric"),
    ] {
        dom::set(&field, name, value);
    }
    dom::set(&field, "data-testid", id);
    let own = field.clone();
    dom::listen(&field, "change", move |_: Event| {
        typed(own.value_as_number() as f32);
    });
    dom::append(&row, &field);
    row
}

/// Shows a number of percent, or nothing, in such a row, unless somebody is typing there.
fn fill_percent(row: &HtmlElement, share: Option<f32>) {
    let field = row.query_selector("input").ok().flatten();
    let Some(field) = field.and_then(|f| f.dyn_into::<HtmlInputElement>().ok()) else {
        return;
    };
    let value = share.map_or_else(String::new, |share| format!("{}", (100.0 * share).round()));
    let typing = dom::document()
        .active_element()
        .is_some_and(|active| active.is_same_node(Some(&field)));
    if !typing && field.value() != value {
        field.set_value(&value);
    }
}

fn fill_tie(row: &HtmlElement, i: usize, editor: &Editor) {
    let ties = editor.ties(i);
    dom::show(row, editor.selected() == Some(i) && !ties.is_empty());
    let choice = row.query_selector("select").ok().flatten();
    let Some(choice) = choice.and_then(|c| c.dyn_into::<HtmlSelectElement>().ok()) else {
        return;
    };
    let named = |to: usize| (to.to_string(), editor.scene().entities[to].name.clone());
    let wanted: Vec<(String, String)> = [(String::new(), "nothing".to_owned())]
        .into_iter()
        .chain(ties.into_iter().map(named))
        .collect();
    let options = choice.children();
    let there = (0..options.length()).filter_map(|k| {
        let option = options.item(k)?;
        Some((option.get_attribute("value")?, option.text_content()?))
    });
    if !there.eq(wanted.iter().cloned()) {
        choice.set_text_content(None);
        for (value, words) in &wanted {
            let option: HtmlElement = dom::create("option", "");
            dom::set(&option, "value", value);
            dom::set_text(&option, words);
            dom::append(&choice, &option);
        }
    }
    let to = editor.tied_to(i).map(|to| to.to_string());
    choice.set_value(&to.unwrap_or_default());
}

/// What becomes of an entity's shadow.
fn shade_row(i: usize) -> HtmlElement {
    let shade: HtmlElement = dom::create("div", "shade");
    let label: HtmlElement = dom::create("span", "");
    dom::set_text(&label, "Shadow");
    dom::append(&shade, &label);
    let button = |class: &str, title: &str| {
        let button: HtmlElement = dom::create("button", &format!("text {class}"));
        dom::set(&button, "type", "button");
        dom::set(&button, "title", title);
        dom::set(&button, "data-testid", &format!("entity-{class}-{i}"));
        dom::append(&shade, &button);
        button
    };
    let along = button("along", "Take its shadow along, or leave it");
    dom::listen(&along, "click", move |_: MouseEvent| {
        act(move |app| app.done(|e| e.toggle_shadow(i)));
    });
    let mark = button("mark", "Click the shadow in the picture, or paint it (S)");
    dom::set_text(&mark, "mark it");
    dom::listen(&mark, "click", move |_: MouseEvent| {
        act(move |app| {
            app.done(|e| {
                let marks = e.tool() == Tool::Shadow && e.selected() == Some(i);
                e.select(Some(i));
                e.set_tool(if marks { Tool::Move } else { Tool::Shadow })
            });
        });
    });
    shade
}

fn camera_row() -> Element {
    let row = base(stage::CAMERA_CSS);
    row.set_id("entity-camera");
    dom::set(&row, "data-testid", "entity-camera");
    let swatch: HtmlElement = dom::create("span", "swatch");
    let name: HtmlElement = dom::create("span", "name");
    dom::set_text(&name, "Camera");
    let state: HtmlElement = dom::create("span", "state");
    dom::set(&row, "data-selected", "false");
    let acts: HtmlElement = dom::create("div", "acts");
    let delete: HtmlElement = dom::create("button", "icon delete");
    dom::set(&delete, "type", "button");
    dom::set(&delete, "aria-label", "Hold the camera still again");
    dom::set(&delete, "title", "Hold the camera still again");
    dom::set(&delete, "data-testid", "entity-camera-delete");
    dom::append(&delete, &dom::icon("trash"));
    dom::append(&acts, &delete);
    dom::listen(&delete, "click", move |_: MouseEvent| {
        act(|app| app.done(|e| e.set_camera(None, View::default())));
    });
    for child in [
        &swatch,
        &name,
        &acts,
        &state,
        &pose_row(Lane::Camera),
        &ground_row(),
    ] {
        dom::append(&row, child);
    }
    row
}

/// The horizon past whose ground the camera's path leads, and what it goes round.
fn ground_row() -> HtmlElement {
    let both: HtmlElement = dom::create("div", "ground");
    let row = |percent: f32| percent.is_finite().then_some(percent / 100.0);
    let horizon = percent_row(
        "Horizon, %",
        "How far down the picture the horizon is: the camera’s path then leads round what stands at the lower line, past what is far and near. \
         Empty: the picture is led as something flat",
        "entity-camera-horizon",
        move |percent| {
            let rows = row(percent).map(|row| [Some(row), None]);
            act(move |app| app.done(|e| e.set_ground(rows)));
        },
    );
    let stands = percent_row(
        "Stays, %",
        "How far down the picture that stands which the camera goes round",
        "entity-camera-stays",
        move |percent| act(move |app| app.done(|e| e.set_ground(Some([None, row(percent)])))),
    );
    let _ = horizon.class_list().add_1("horizon");
    let _ = stands.class_list().add_1("stays");
    dom::append(&both, &horizon);
    dom::append(&both, &stands);
    both
}

fn fill_camera(editor: &Editor) {
    let Some(row) = dom::document().get_element_by_id("entity-camera") else {
        return;
    };
    let find = |class: &str| {
        let found = row.query_selector(class).ok().flatten();
        found.and_then(|found| found.dyn_into::<HtmlElement>().ok())
    };
    let scene = editor.scene();
    let in_hand = editor.tool() == Tool::Camera;
    dom::set(
        &row,
        "data-selected",
        if in_hand { "true" } else { "false" },
    );
    let ground = scene.view.ground;
    let round = scene.background.is_some() && ground.is_some();
    if let Some(both) = find(".ground") {
        dom::show(&both, in_hand || round);
    }
    if let Some(horizon) = find(".horizon") {
        fill_percent(&horizon, ground.map(Ground::horizon));
    }
    if let Some(stays) = find(".stays") {
        dom::show(&stays, ground.is_some());
        fill_percent(&stays, ground.map(Ground::stands));
    }
    let words = match (scene.background.is_some(), scene.view.is_still()) {
        _ if round => "Goes round a place",
        (true, true) => "Has a path",
        (true, false) => "Has a path, and comes nearer",
        (false, false) => "Comes nearer",
        (false, true) => "Stays where it is",
    };
    if let Some(state) = find(".state") {
        dom::set_text(&state, words);
    }
    if let Some(delete) = find(".delete") {
        dom::show(&delete, !scene.is_camera_still());
    }
    if let Some(pose) = find(".pose") {
        dom::show(&pose, in_hand || !scene.view.is_still());
    }
}

fn base(colour: &str) -> Element {
    let row: HtmlElement = dom::create("li", "entity");
    let _ = row.style().set_property("--swatch", colour);
    row.into()
}
