//! Events in, calls of [`App`] out.

use super::compute_targets::Site;
use super::folders;
use super::messages::{self, Kind, say};
use super::{
    APP, App, act, dom, exchange, menu, model, motions, now, open_example, open_link, open_own,
    open_plate, open_sample, open_scene, preferences, share, timeline, wipe, zoom,
};
use crate::web::editor::{Editor, Held, Tool};
use dragentity_core::scene::order::Step;
use dragentity_core::scene::preset::FRAGMENT;
use std::cell::RefCell;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{
    ClipboardEvent, DataTransfer, DragEvent, Element, Event, File, FileList, HtmlElement,
    HtmlInputElement, KeyboardEvent, MouseEvent, PointerEvent,
};

/// How far from a path's knob a mouse, and a finger, still takes it up, in pixels of the page.
const KNOB: [f64; 2] = [10.0, 22.0];

/// The pointer that is down on the stage.
struct Down {
    id: i32,
    x: f64,
    y: f64,
}

thread_local! {
    static DOWN: RefCell<Option<Down>> = const { RefCell::new(None) };
}

/// Connects every element of `index.html` to what it does.
pub fn wire() {
    click("undo", |app| app.travel(Editor::undo));
    click("redo", |app| app.travel(Editor::redo));
    click("generate", App::generate);
    click("queue-add", App::generate);
    click("cancel", App::cancel_job);
    click("play", |app| app.player_does(super::Player::toggle));
    click("show-paths", |app| {
        app.player_does(super::Player::toggle_paths);
    });
    click("save-gif", |app| app.save_gif());
    click("save-mp4", App::save_film);
    click("save-webp", |app| app.save_webp());
    click("save-frames", |app| app.save_frames());
    click("save-project", App::save_project);
    click("save-preset", App::save_preset);
    click("compare", App::toggle_wipe);
    click("onion", App::toggle_onion);
    click("extend", App::extend);
    click("smooth", App::smooth);
    click("full-screen", |app| app.full_screen());
    click("aside", App::toggle_aside);
    click("no-plate", |app| app.done(|e| e.set_plate(None)));
    click("from-all", |app| app.done(Editor::fill_from_all));
    click("save-plate", App::save_plate);
    click("new-entity", |app| {
        app.done(|e| {
            // Who paints, paints on.
            if !matches!(e.tool(), Tool::Brush | Tool::Box | Tool::Lasso) {
                e.set_tool(Tool::Move);
            }
            e.select(None)
        });
    });
    buttons("[data-tool]", "data-tool", |name| {
        act(move |app| {
            if let Some(tool) = Tool::from_name(&name) {
                app.done(|e| e.set_tool(tool));
            }
        });
    });
    menu::wire("gallery-open", "gallery");
    buttons("[data-scene]", "data-scene", |name| {
        let _ = dom::by_id::<HtmlElement>("gallery").hide_popover();
        spawn_local(open_scene(name));
    });
    buttons("[data-sample]", "data-sample", |name| {
        spawn_local(open_sample(name));
    });

    dom::listen(
        &dom::by_id::<Element>("example"),
        "click",
        |_: MouseEvent| {
            spawn_local(open_example());
        },
    );

    let scrub: HtmlInputElement = dom::by_id("scrub");
    let moved = scrub.clone();
    dom::listen(&scrub, "input", move |_: Event| {
        let frame = moved.value_as_number().max(0.0) as u32;
        act(move |app| app.player_does(|p| p.seek(frame)));
    });
    let size: HtmlInputElement = dom::by_id("brush-size");
    let sized = size.clone();
    dom::listen(&size, "input", move |_: Event| {
        let value = sized.value_as_number();
        act(move |app| {
            app.editor.brush_radius = (value / 200.0) as f32;
            // Shown in the middle while it changes.
            app.stage.hover = Some([0.5, 0.5]);
            app.draw_soon();
        });
    });
    for id in ["set-steps", "set-seed", "set-frames", "set-fps"] {
        let field: HtmlInputElement = dom::by_id(id);
        dom::listen(&field, "change", move |_: Event| {
            act(move |app| app.take_setting(id));
        });
    }
    dom::listen(
        &dom::by_id::<Element>("set-representation"),
        "change",
        |_: Event| act(App::take_representation),
    );
    dom::listen(&dom::by_id::<Element>("set-model"), "change", |_: Event| {
        act(App::take_maker);
    });
    for id in ["set-server", "set-token"] {
        dom::listen(&dom::by_id::<Element>(id), "change", move |_: Event| {
            act(move |app| app.take_server(id));
        });
    }
    click("ask-server", |app| app.ask_server(true));
    for (id, site) in [
        ("place-here", Site::Here),
        ("place-model", Site::Folder),
        ("place-server", Site::Server),
    ] {
        dom::listen(&dom::by_id::<Element>(id), "change", move |_: Event| {
            act(move |app| app.choose_place(site));
        });
    }
    buttons("[data-path]", "data-path", |name| timeline::pressed(&name));
    timeline::wire();
    motions::wire();
    menu::wire("save-open", "saves");
    share::wire();
    preferences::wire();
    exchange::wire();
    wipe::wire();
    model::wire();
    zoom::wire();
    files();
    pointers();
    let document = dom::document();
    dom::listen_with(&document, "keydown", false, keydown);
    // What is kept for a reload is kept now.
    dom::listen(&document, "visibilitychange", |_: Event| act(App::save));
    // Nobody will see the video of a job that a server has.
    dom::listen(&dom::window(), "pagehide", |_: Event| act(App::leave_job));
    dom::listen(&dom::window(), "hashchange", |_: Event| {
        let fragment = dom::window().location().hash().unwrap_or_default();
        if fragment.contains(FRAGMENT) {
            spawn_local(open_link(fragment));
        }
    });
    dom::listen(
        &dom::window(),
        "unhandledrejection",
        |event: web_sys::PromiseRejectionEvent| {
            say(
                Kind::Error,
                &format!("Something went wrong: {}.", dom::reason(&event.reason())),
            );
        },
    );
    // The browser has given the canvases their memory back, empty, after the GPU was lost.
    for id in ["stage", "result"] {
        dom::listen(&dom::by_id::<Element>(id), "contextrestored", |_: Event| {
            act(|app| {
                app.player.canvas_lost();
                app.draw_soon();
            });
        });
    }
    let resized = Closure::<dyn FnMut()>::new(|| {
        messages::make_room();
        act(App::draw_soon);
    });
    if let Ok(observer) = web_sys::ResizeObserver::new(resized.as_ref().unchecked_ref()) {
        observer.observe(&dom::by_id::<Element>("stage-frame"));
        observer.observe(&dom::by_id::<Element>("result-frame"));
        observer.observe(&dom::by_id::<Element>("messages"));
        #[allow(clippy::mem_forget, reason = "it observes as long as the page lives")]
        std::mem::forget(observer);
    }
    resized.forget();
}

impl App {
    fn player_does(&mut self, f: impl FnOnce(&mut super::Player)) {
        f(&mut self.player);
        self.draw_soon();
    }
}

fn click(id: &str, f: fn(&mut App)) {
    dom::listen(&dom::by_id::<Element>(id), "click", move |_: MouseEvent| {
        act(f);
    });
}

fn buttons(selector: &str, attribute: &'static str, f: fn(String)) {
    let Ok(found) = dom::document().query_selector_all(selector) else {
        return;
    };
    for i in 0..found.length() {
        let Some(button) = found.item(i).and_then(|b| b.dyn_into::<Element>().ok()) else {
            continue;
        };
        let target = button.clone();
        dom::listen(&button, "click", move |_: MouseEvent| {
            f(target.get_attribute(attribute).unwrap_or_default());
        });
    }
}

/// Pictures by dialog, drop and paste.
fn files() {
    dom::file_dialog("open-picture", "file-input", |list| {
        take_files(&list, "picture");
    });
    dom::file_dialog("open-plate", "plate-input", |list| {
        if let Some(file) = list.get(0) {
            let name = file.name();
            spawn_local(open_plate(file.into(), name));
        }
    });
    dom::file_dialog("open-segmenter", "segmenter-input", |list| {
        if let Some(file) = list.get(0) {
            act(move |app| app.take_segmenter(Some(file)));
        }
    });
    click("close-segmenter", |app| app.take_segmenter(None));

    let window = dom::window();
    let drop_zone = |shown: bool| dom::show(&dom::by_id::<HtmlElement>("drop"), shown);
    dom::listen_with(&window, "dragover", false, move |event: DragEvent| {
        event.prevent_default();
        drop_zone(true);
    });
    dom::listen(&window, "dragleave", move |event: DragEvent| {
        // Only when it leaves the window.
        if event.related_target().is_none() {
            drop_zone(false);
        }
    });
    dom::listen_with(&window, "drop", false, move |event: DragEvent| {
        event.prevent_default();
        drop_zone(false);
        let Some(data) = event.data_transfer() else {
            return;
        };
        if let Some(folder) = model::dropped_folders(&data).into_iter().next() {
            folders::was_dropped(&data);
            spawn_local(model::open_dropped(folder));
        } else if !take_file(&data, "dropped picture") {
            say(
                Kind::Error,
                "What was dropped is not a file. Save the picture first, then drop or open the file.",
            );
        }
    });
    dom::listen_with(&dom::document(), "paste", false, |event: ClipboardEvent| {
        let Some(data) = event.clipboard_data() else {
            return;
        };
        if take_file(&data, "pasted picture") {
            event.prevent_default();
            return;
        }
        let text = data.get_data("text/plain").unwrap_or_default();
        if text.contains(&format!("#{FRAGMENT}")) {
            event.prevent_default();
            spawn_local(open_link(text));
        } else if !dom::in_field(event.target()) {
            act(move |app| {
                if app.editor.take_copied(&text) || app.editor.has_copied() {
                    return app.done(Editor::paste_path);
                }
                say(
                    Kind::Error,
                    "There is no picture on the clipboard. Copy one, or open a file.",
                );
            });
        }
    });
    dom::listen_with(&dom::document(), "copy", false, |event: ClipboardEvent| {
        let marked = dom::window().get_selection().ok().flatten();
        let marked = marked.is_some_and(|marked| !marked.is_collapsed());
        let Some(data) = event.clipboard_data() else {
            return;
        };
        if marked || dom::in_field(event.target()) {
            return;
        }
        // The clipboard takes it only while the event lasts.
        let path = APP.with(|cell| {
            let mut app = cell.try_borrow_mut().ok()?;
            app.as_mut()?.editor.copy_path()
        });
        if let Some(path) = path
            && data.set_data("text/plain", &path).is_ok()
        {
            event.prevent_default();
            act(App::update);
        }
    });
}

fn take_file(data: &DataTransfer, unnamed: &str) -> bool {
    data.files().is_some_and(|list| take_files(&list, unnamed))
}

/// Opens files: those of a scene, if there are some, else the first as a picture.
fn take_files(list: &FileList, unnamed: &str) -> bool {
    let all: Vec<File> = (0..list.length()).filter_map(|i| list.get(i)).collect();
    let of_scene = exchange::of_scene(all);
    if !of_scene.is_empty() {
        spawn_local(exchange::open(of_scene));
        return true;
    }
    let Some(file) = list.get(0) else {
        return false;
    };
    if file.name().ends_with(".safetensors") {
        act(move |app| app.drop_weights(file));
        return true;
    }
    let name = if file.name().is_empty() {
        unnamed.to_owned()
    } else {
        file.name()
    };
    spawn_local(open_own(file.into(), name));
    true
}

fn pointers() {
    let canvas: Element = dom::by_id("stage");
    dom::listen_with(&canvas, "pointerdown", false, |event: PointerEvent| {
        if event.button() != 0 || zoom::takes(&event) {
            return;
        }
        let (id, x, y) = (
            event.pointer_id(),
            f64::from(event.client_x()),
            f64::from(event.client_y()),
        );
        let second = DOWN.with(|down| down.borrow().is_some());
        if second {
            // Two fingers are no drag.
            DOWN.with(|down| down.borrow_mut().take());
            act(|app| app.done(Editor::cancel));
            return;
        }
        DOWN.with(|down| *down.borrow_mut() = Some(Down { id, x, y }));
        if let Some(target) = event.target().and_then(|t| t.dyn_into::<Element>().ok()) {
            let _ = target.set_pointer_capture(id);
        }
        let held = Held {
            negative: event.alt_key(),
            add: event.shift_key(),
        };
        let (time, touch) = (event.time_stamp(), event.pointer_type() == "touch");
        act(move |app| {
            app.touch = touch;
            app.carry_since = None;
            app.editor.crosshair = None;
            let at = app.stage.place(x, y);
            app.stage.hover = Some(at);
            app.editor.reach = app.stage.fraction(KNOB[usize::from(touch)]);
            if app.editor.pose_part_at(at).is_none() {
                // What is pressed is the picture as it is worked on.
                (app.scrub, app.editor.moment) = (None, None);
            }
            app.editor.straight = false;
            app.done(|e| e.press(at, time, held));
            app.show_status();
        });
    });
    dom::listen_with(&canvas, "pointermove", true, |event: PointerEvent| {
        let (x, y, time) = (
            f64::from(event.client_x()),
            f64::from(event.client_y()),
            event.time_stamp(),
        );
        let (touch, straight) = (event.pointer_type() == "touch", event.shift_key());
        let far = DOWN.with(|down| {
            down.borrow()
                .as_ref()
                .filter(|d| d.id == event.pointer_id())
                .map(|d| (x - d.x).hypot(y - d.y) as f32)
        });
        act(move |app| {
            let at = app.stage.place(x, y);
            let before = app.stage.hover.replace(at);
            app.editor.reach = app.stage.fraction(KNOB[usize::from(touch)]);
            app.editor.straight = straight;
            let grip = |at| (app.editor.grip_at(at), app.editor.pose_part_at(at));
            let gripped = far.is_none() && before.is_none_or(|before| grip(before) != grip(at));
            match far {
                Some(far) => app.done(|e| e.drag(at, time, far)),
                None if app.editor.tool().paints() || gripped => app.draw_soon(),
                None => {}
            }
            if far.is_none() {
                app.touch = touch;
                app.pointer_moved(Some(at));
            }
            let other = before.is_none_or(|b| app.editor.hit(b) != app.editor.hit(at));
            if other || gripped || far.is_some() {
                app.show_status();
            }
        });
    });
    dom::listen_with(&canvas, "pointerup", true, |event: PointerEvent| {
        let ours = DOWN.with(|down| {
            down.borrow_mut()
                .take_if(|d| d.id == event.pointer_id())
                .is_some()
        });
        if !ours {
            return;
        }
        let (x, y) = (f64::from(event.client_x()), f64::from(event.client_y()));
        act(move |app| {
            let at = app.stage.place(x, y);
            app.done(|e| e.release(at));
        });
    });
    dom::listen_with(&canvas, "pointercancel", true, |_: PointerEvent| {
        if DOWN.with(|down| down.borrow_mut().take()).is_some() {
            act(|app| app.done(Editor::cancel));
        }
    });
    dom::listen_with(&canvas, "pointerleave", true, |_: PointerEvent| {
        act(|app| {
            app.stage.hover = None;
            app.pointer_moved(None);
            app.draw_soon();
        });
    });
    dom::listen(&canvas, "blur", |_: Event| {
        act(|app| {
            app.editor.crosshair = None;
            app.draw_soon();
        });
    });
}

fn keydown(event: KeyboardEvent) {
    let target = event.target();
    let key = event.key();
    if key == "Enter" && (event.ctrl_key() || event.meta_key()) {
        event.prevent_default();
        // A number that is being typed counts.
        if let Some(field) = target.and_then(|t| t.dyn_into::<HtmlElement>().ok())
            && dom::in_field(Some(field.clone().into()))
        {
            let _ = field.blur();
        }
        return act(App::generate);
    }
    if dom::in_field(target.clone()) {
        return;
    }
    let element = target.and_then(|t| t.dyn_into::<Element>().ok());
    let tag = element.as_ref().map(Element::tag_name).unwrap_or_default();
    let on_stage = element.as_ref().is_some_and(|e| e.id() == "stage");
    let step = match key.as_str() {
        "[" => Some(Step::Back),
        "]" => Some(Step::Forward),
        _ => None,
    };
    // Many keyboards have brackets behind AltGr, which some browsers report as Ctrl and Alt and others as neither.
    let plain = !event.meta_key() && event.ctrl_key() <= event.alt_key();
    if let Some(step) = step.filter(|_| plain) {
        act(move |app| {
            if let Some(i) = app.editor.selected() {
                app.done(|e| e.step(i, step));
            }
        });
        event.prevent_default();
        return;
    }
    if event.ctrl_key() || event.meta_key() {
        let redo = match key.to_ascii_lowercase().as_str() {
            "d" => {
                event.prevent_default();
                return act(|app| {
                    if let Some(i) = app.editor.selected() {
                        app.done(|e| e.duplicate(i));
                    }
                });
            }
            "z" => event.shift_key(),
            "y" => true,
            _ => return,
        };
        event.prevent_default();
        act(move |app| {
            if redo {
                app.travel(Editor::redo);
            } else {
                app.travel(Editor::undo);
            }
        });
        return;
    }
    if event.alt_key() {
        return;
    }
    let time = now();
    let nudge = |dx: f32, dy: f32| {
        let step = if event.shift_key() { 0.05 } else { 0.01 };
        act(move |app| {
            app.done(|e| e.nudge(dx * step, dy * step / e.aspect().recip().max(0.1), time));
            app.show_status();
        });
    };
    match key.as_str() {
        // The browser closes it.
        "Escape" if menu::is_open() => return,
        "Escape" => {
            DOWN.with(|down| down.borrow_mut().take());
            act(|app| {
                if app.carry_since.take().is_some() || app.scrub.take().is_some() {
                    return app.draw_soon();
                }
                app.done(Editor::cancel);
            });
        }
        // A button that has the focus keeps its space bar.
        " " if !app_is_whole() && !matches!(tag.as_str(), "BUTTON" | "SUMMARY" | "A") => {
            // With the pointer it moves the part that is seen; alone, it plays when it goes up.
            zoom::hold_space();
        }
        " " if !matches!(tag.as_str(), "BUTTON" | "SUMMARY" | "A") => act(App::play),
        "Delete" | "Backspace" => act(|app| app.done(Editor::delete_selected)),
        "i" | "I" => timeline::pressed("reverse"),
        "t" | "T" => timeline::pressed("return"),
        "o" | "O" => timeline::pressed("close"),
        "h" => timeline::pressed("mirror"),
        "H" => timeline::pressed("flip"),
        "k" | "K" => act(|app| app.done(Editor::next_knob)),
        "j" | "J" => act(|app| app.done(Editor::toggle_corner)),
        "?" => dom::by_id::<HtmlElement>("keys-open").click(),
        "u" | "U" => act(App::toggle_onion),
        "g" | "G" => motions::toggle(),
        "p" | "P" => act(|app| app.done(|e| e.split(e.selected()))),
        "ArrowLeft" if on_stage => nudge(-1.0, 0.0),
        "ArrowRight" if on_stage => nudge(1.0, 0.0),
        "ArrowUp" if on_stage => nudge(0.0, -1.0),
        "ArrowDown" if on_stage => nudge(0.0, 1.0),
        "Enter" if on_stage => act(|app| app.done(Editor::enter)),
        "m" | "M" if on_stage => act(move |app| app.done(|e| e.lead(time))),
        _ => {
            let tool = match key.to_ascii_lowercase().as_str() {
                "v" => Tool::Move,
                "x" => Tool::Exclude,
                "r" => Tool::Box,
                "l" => Tool::Lasso,
                "b" => Tool::Brush,
                "e" => Tool::Erase,
                "n" => Tool::Bend,
                "c" => Tool::Camera,
                "s" => Tool::Shadow,
                "f" => Tool::From,
                _ => return,
            };
            act(move |app| app.done(|e| e.set_tool(tool)));
            return;
        }
    }
    event.prevent_default();
}

/// Whether the picture is seen whole.
fn app_is_whole() -> bool {
    APP.with(|cell| {
        let app = cell.try_borrow();
        app.is_ok_and(|app| app.as_ref().is_none_or(|app| app.view.is_whole()))
    })
}

impl App {
    /// The space bar: the video, or, before there is one, the paths on the picture.
    pub(super) fn play(&mut self) {
        if self.player.has_frames() {
            self.player.toggle();
            self.draw_soon();
        } else {
            self.play_paths();
        }
    }
}
