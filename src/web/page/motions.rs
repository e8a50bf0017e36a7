//! The menu of ready motions, each with a small picture of its path.

use super::{act, dom, menu};
use crate::web::editor::{Editor, Outcome};
use dragentity_core::scene::View;
use dragentity_core::scene::trajectory::Figure;
use dragentity_core::scene::view::Zoom;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, MouseEvent};

/// Width and height of the pictures, in their own units.
const PICTURE: [f32; 2] = [52.0, 34.0];
/// What is left free around a path.
const MARGIN: f32 = 5.0;
/// A way round something, and that.
const ORBIT: &str = "M10 13A16 8 0 1 0 42 13M26 12v8M22 16h8";

/// Fills the menu of `index.html`.
pub fn wire() {
    let add = |id: &str, name: &str, picture: &Element| {
        let button: HtmlElement = dom::create("button", "figure");
        dom::set(&button, "type", "button");
        let word = name.to_lowercase().replace(' ', "-");
        dom::set(&button, "data-testid", &format!("{id}-{word}"));
        dom::append(&button, picture);
        let label: HtmlElement = dom::create("span", "");
        dom::set_text(&label, name);
        dom::append(&button, &label);
        dom::append(&dom::by_id::<Element>(id), &button);
        button
    };
    let group = |id: &str, figures: &[Figure], take: fn(&mut Editor, Figure) -> Outcome| {
        for &figure in figures {
            let button = add(id, figure.name(), &picture(figure));
            dom::listen(&button, "click", move |_: MouseEvent| {
                act(move |app| app.done(|e| take(e, figure)));
            });
        }
    };
    for zoom in Zoom::ALL {
        let button = add("camera-figures", zoom.name(), &zoomed(zoom));
        dom::listen(&button, "click", move |_: MouseEvent| {
            act(move |app| app.done(|e| e.take_zoom(zoom)));
        });
    }
    let orbit = add("camera-figures", "Orbit", &drawing(&[ORBIT.into()]));
    dom::listen(&orbit, "click", move |_: MouseEvent| {
        act(move |app| app.done(Editor::take_orbit));
    });
    group("figures", &Figure::THINGS, Editor::take_figure);
    group(
        "camera-figures",
        &Figure::CAMERA,
        Editor::take_camera_figure,
    );
    menu::wire("motions-open", "motions");
}

const SVG: Option<&str> = Some("http://www.w3.org/2000/svg");

/// The frame that the camera sees, and the one that it comes to.
fn zoomed(zoom: Zoom) -> Element {
    let view = View {
        about: [0.5; 2],
        poses: zoom.poses(2.0),
        ground: None,
    };
    let t = view.poses.iter().map(|pose| (pose.scale, pose.t));
    let (_, nearest) = t.fold((1.0, 1.0), |a, b| if b.0 > a.0 { b } else { a });
    let free = PICTURE.map(|side| side - 2.0 * MARGIN);
    let frame = |t: f32| {
        let seen = view.at(t);
        let corners = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        let places = corners.map(|corner| {
            let at = seen.undo(corner, free[0] / free[1]);
            [0, 1].map(|axis| MARGIN + free[axis] * at[axis])
        });
        format!("{}Z", way(places.into_iter()))
    };
    drawing(&[frame(0.0), frame(nearest)])
}

/// A way as an SVG has it.
fn way(places: impl Iterator<Item = [f32; 2]>) -> String {
    let mut words = String::new();
    for (i, [x, y]) in places.enumerate() {
        let letter = if i == 0 { 'M' } else { 'L' };
        words.push_str(&format!("{letter}{x:.1} {y:.1}"));
    }
    words
}

/// A picture of ways.
fn drawing(ways: &[String]) -> Element {
    let create = |tag: &str| dom::document().create_element_ns(SVG, tag);
    let Ok(svg) = create("svg") else {
        return dom::create("span", "");
    };
    dom::set(
        &svg,
        "viewBox",
        &format!("0 0 {} {}", PICTURE[0], PICTURE[1]),
    );
    dom::set(&svg, "aria-hidden", "true");
    for way in ways {
        if let Ok(path) = create("path") {
            dom::set(&path, "d", way);
            let _ = svg.append_child(&path);
        }
    }
    svg
}

/// A figure's path, from where it begins.
fn picture(figure: Figure) -> Element {
    let line = figure.path([0.25, 0.5], 1.0, 1.0).polyline(8);
    let [mut low, mut high] = [[f32::MAX; 2], [f32::MIN; 2]];
    for p in &line {
        for axis in 0..2 {
            low[axis] = low[axis].min(p[axis]);
            high[axis] = high[axis].max(p[axis]);
        }
    }
    let free = PICTURE.map(|side| side - 2.0 * MARGIN);
    // A straight line has no height.
    let size = [0, 1].map(|axis| (high[axis] - low[axis]).max(0.05));
    let scale = (free[0] / size[0]).min(free[1] / size[1]);
    let place = |p: &[f32; 2]| {
        [0, 1].map(|axis| PICTURE[axis] / 2.0 + (p[axis] - (low[axis] + high[axis]) / 2.0) * scale)
    };
    let svg = drawing(&[way(line.iter().map(place))]);
    let [x, y] = line.first().map(place).unwrap_or_default();
    if let Ok(dot) = dom::document().create_element_ns(SVG, "circle") {
        for (name, value) in [("cx", x), ("cy", y), ("r", 2.6)] {
            dom::set(&dot, name, &format!("{value:.1}"));
        }
        let _ = svg.append_child(&dot);
    }
    svg
}

/// Opens the menu, or closes it, by its key.
pub fn toggle() {
    let opener: HtmlElement = dom::by_id("motions-open");
    opener.click();
    let first = dom::document().query_selector("#figures .figure").ok();
    if let Some(first) = first
        .flatten()
        .and_then(|f| f.dyn_into::<HtmlElement>().ok())
    {
        let _ = first.focus();
    }
}
