//! The list of entities. Rows are kept and changed in place, so that a name being typed keeps its focus.

use super::{act, dom, stage};
use crate::web::editor::Editor;
use crate::web::editor::Tool;
use dragentity_core::scene::order::Step;
use dragentity_core::scene::{Entity, Shadow};
use dragentity_media::overlay::colour;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlElement, HtmlInputElement, KeyboardEvent, MouseEvent};

/// Brings the list up to date.
pub fn update(editor: &Editor) {
    let scene = editor.scene();
    let list: Element = dom::by_id("entities");
    let camera = u32::from(scene.background.is_some());
    // The camera's row, if any, is the last.
    let old_camera = dom::document().get_element_by_id("entity-camera");
    if let Some(row) = old_camera.filter(|_| camera == 0) {
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
    if camera == 1 && dom::document().get_element_by_id("entity-camera").is_none() {
        dom::append(&list, &camera_row());
    }
    dom::show(
        &dom::by_id("no-entities"),
        scene.entities.is_empty() && camera == 0,
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
    let part = |class: &str| row.query_selector(class).ok().flatten();
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
    let state = match (handles, leaves) {
        (0, _) if entity.has_motion() => "Turns as its preset says".to_owned(),
        (0, _) => "Not moved yet: drag it".to_owned(),
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
    if let Some(shade) = part(".shade").and_then(|s| s.dyn_into::<HtmlElement>().ok()) {
        dom::show(&shade, editor.selected() == Some(i));
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
        dom::show(&parts, entity.group.is_none());
    }
    if let Some(layers) = part(".layers").and_then(|l| l.dyn_into::<HtmlElement>().ok()) {
        dom::show(&layers, editor.scene().entities.len() > 1);
    }
    if let Some(clear) = part(".clear").and_then(|c| c.dyn_into::<HtmlElement>().ok()) {
        dom::show(&clear, entity.has_motion() && !pinned);
    }
}

fn row(i: usize) -> Element {
    let row = base(colour(i));
    dom::set(&row, "data-index", &i.to_string());
    dom::set(&row, "data-testid", &format!("entity-{i}"));

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
    let layers: HtmlElement = dom::create("div", "layers");
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
    let delete = button("trash", "delete", "Delete");
    dom::listen(&delete, "click", move |_: MouseEvent| {
        act(move |app| app.done(|e| e.delete(i)));
    });
    for (class, label, step) in [
        ("back", "Send back, behind what lies next ([)", Step::Back),
        (
            "forward",
            "Bring forward, in front of what lies next (])",
            Step::Forward,
        ),
    ] {
        let button = button_in(&layers, class, class, label);
        dom::listen(&button, "click", move |_: MouseEvent| {
            act(move |app| {
                let positions = app.editor.scene().stepped(i, step).unwrap_or_default();
                let to = positions.iter().position(|&from| from == i);
                app.done(|e| e.step(i, step));
                // Whoever presses again means the same entity, which is in another row now.
                let selector = |to| format!("#entities [data-index=\"{to}\"] .{class}");
                let moved = to.and_then(|to| dom::document().query_selector(&selector(to)).ok()?);
                if let Some(button) = moved.and_then(|b| b.dyn_into::<HtmlElement>().ok()) {
                    let _ = button.focus();
                }
            });
        });
    }

    let shade = shade_row(i);
    for child in [
        swatch.as_ref(),
        name.as_ref(),
        &acts,
        state.as_ref(),
        &layers,
        &shade,
    ] {
        dom::append(&row, child);
    }
    row
}

/// What becomes of an entity's shadow.
fn shade_row(i: usize) -> HtmlElement {
    let shade: HtmlElement = dom::create("div", "shade");
    let label: HtmlElement = dom::create("span", "");
    label.set_text_content(Some("Shadow"));
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
    mark.set_text_content(Some("mark it"));
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
    let row = base(stage::CAMERA);
    row.set_id("entity-camera");
    dom::set(&row, "data-testid", "entity-camera");
    let swatch: HtmlElement = dom::create("span", "swatch");
    let name: HtmlElement = dom::create("span", "name");
    name.set_text_content(Some("Camera"));
    let state: HtmlElement = dom::create("span", "state");
    state.set_text_content(Some("Has a path"));
    let acts: HtmlElement = dom::create("div", "acts");
    let delete: HtmlElement = dom::create("button", "icon delete");
    dom::set(&delete, "type", "button");
    dom::set(&delete, "aria-label", "Hold the camera still again");
    dom::set(&delete, "title", "Hold the camera still again");
    dom::set(&delete, "data-testid", "entity-camera-delete");
    dom::append(&delete, &dom::icon("trash"));
    dom::append(&acts, &delete);
    dom::listen(&delete, "click", move |_: MouseEvent| {
        act(|app| app.done(|e| e.set_background(None)));
    });
    for child in [&swatch, &name, &acts, &state] {
        dom::append(&row, child);
    }
    row
}

fn base(colour: [u8; 3]) -> Element {
    let row: HtmlElement = dom::create("li", "entity");
    let _ = row
        .style()
        .set_property("--swatch", &stage::css(colour, 1.0));
    row.into()
}
