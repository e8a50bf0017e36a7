//! What the page says around the stage: the hint, which buttons can be pressed, what everything runs on.

use super::messages::sentence;
use super::{App, dom, list, timeline};
use crate::web::editor::{Gesture, JointRequest, Status, Tool};
use crate::web::protocol::{Pixels, ToWorker};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlButtonElement, HtmlElement};

impl App {
    /// Brings everything on the page up to date, and the stage soon.
    pub(super) fn update(&mut self) {
        if !self.gone
            && let Some(JointRequest { number, mask }) = self.editor.ask_joints()
        {
            let mask = Pixels::of_mask(&mask);
            self.link.send(&ToWorker::Joints { number, mask });
        }
        if self.editor.tool() == Tool::Shadow {
            self.editor.shadow();
        }
        list::update(&self.editor);
        timeline::update(&self.editor);
        self.show_behind();
        self.show_extend();
        let history = |id: &str, label: Option<String>, nothing: &str| {
            let button: HtmlButtonElement = dom::by_id(id);
            button.set_disabled(label.is_none());
            dom::set(&button, "title", label.as_deref().unwrap_or(nothing));
        };
        let undo = self.editor.undo_label();
        let undo = undo.map(|label| format!("Undo: {label} (Ctrl+Z)"));
        history("undo", undo, "Undo (Ctrl+Z)");
        let redo = self.editor.redo_label();
        let redo = redo.map(|label| format!("Redo: {label} (Ctrl+Y)"));
        history("redo", redo, "Redo (Ctrl+Y)");
        let tool = self.editor.tool().name();
        if let Ok(tools) = dom::document().query_selector_all("[data-tool]") {
            for i in 0..tools.length() {
                if let Some(button) = tools.item(i).and_then(|t| t.dyn_into::<Element>().ok()) {
                    let on = button.get_attribute("data-tool").as_deref() == Some(tool);
                    dom::set(&button, "aria-pressed", if on { "true" } else { "false" });
                }
            }
        }
        dom::show(&dom::by_id("brush-size-row"), self.editor.tool().paints());
        if let Ok(thumbs) = dom::document().query_selector_all("[data-sample]") {
            for i in 0..thumbs.length() {
                if let Some(thumb) = thumbs.item(i).and_then(|t| t.dyn_into::<Element>().ok()) {
                    let on =
                        self.sample.is_some() && thumb.get_attribute("data-sample") == self.sample;
                    dom::set(&thumb, "aria-pressed", if on { "true" } else { "false" });
                }
            }
        }
        dom::show(&dom::by_id("example-offer"), self.sample.is_some());
        self.show_status();
        self.foresee();
        self.save_soon();
        self.prepare_soon();
        self.draw_soon();
    }

    /// The hint, the steps, the buttons that depend on them.
    pub(super) fn show_status(&self) {
        let has_result =
            self.player.video().is_some() && self.shown_revision == Some(self.editor.revision());
        let there = self.compute_targets.for_clicks().is_some();
        let status = Status {
            generating: self.job.is_some(),
            has_result,
            ready: there || self.segmenter.is_ready(),
            loading: self.segmenter.is_loading(),
            looked: there || self.segmenter.has_looked(),
            touch: self.touch,
        };
        let empty = self.editor.scene().picture.is_empty();
        let (step, hint) = if empty {
            (1, "One moment…")
        } else {
            self.editor.hint(status)
        };
        steady(!matches!(self.editor.gesture(), Gesture::Idle));
        dom::set_text(&dom::by_id("hint"), hint);
        if let Ok(steps) = dom::document().query_selector_all("#steps [data-step]") {
            for i in 0..steps.length() {
                if let Some(item) = steps.item(i).and_then(|s| s.dyn_into::<Element>().ok()) {
                    let number = i as u8 + 1;
                    let finished = has_result && number == 3;
                    let state = match number.cmp(&step) {
                        std::cmp::Ordering::Less => "done",
                        _ if finished => "done",
                        std::cmp::Ordering::Equal => "now",
                        std::cmp::Ordering::Greater => "later",
                    };
                    dom::set(&item, "data-state", state);
                }
            }
        }
        let generate: HtmlButtonElement = dom::by_id("generate");
        generate.set_disabled(empty || !self.editor.can_generate());
        let _ = generate
            .class_list()
            .toggle_with_force("next", step == 3 && !has_result && self.job.is_none());
        // A picture that is looked at in the background keeps nobody waiting.
        let busy = self.job.is_some()
            || self.segmenter.is_opening()
            || (self.editor.pending().is_some() && self.segmenter.doing().is_some());
        dom::show(&generate, !busy);
        dom::show(&dom::by_id("cancel"), busy);
        let queue: HtmlButtonElement = dom::by_id("queue-add");
        queue.set_disabled(!self.editor.can_generate());
        dom::show(&queue, self.job.is_some());
        let cursor = match (self.editor.gesture(), self.editor.tool()) {
            (
                Gesture::Path { .. }
                | Gesture::Camera { .. }
                | Gesture::Reshape(_)
                | Gesture::Pose(_),
                _,
            ) => "grabbing",
            _ if self.stage.hover.is_some_and(|at| {
                self.editor.grip_at(at).is_some() || self.editor.pose_part_at(at).is_some()
            }) =>
            {
                "point"
            }
            (_, tool) if tool.paints() && tool != Tool::Shadow => "none",
            (_, Tool::Camera) => "move",
            (_, Tool::Move | Tool::Bend)
                if self
                    .stage
                    .hover
                    .is_some_and(|at| self.editor.hit(at).is_some()) =>
            {
                "grab"
            }
            _ => "cross",
        };
        dom::set(&self.stage.canvas, "data-cursor", cursor);
        let busy = self.editor.pending().is_some() || self.editor.splitting().is_some();
        dom::set(
            &self.stage.canvas,
            "aria-busy",
            if busy { "true" } else { "false" },
        );
        // What only networks heed: here when they are asked for, and a server may have some.
        let folder = self.compute_targets.is_folder();
        let own = !folder && (self.by_model || self.compute_targets.for_jobs().is_some());
        for (id, shown) in [
            ("set-model-row", !folder),
            ("set-size-row", folder),
            ("set-steps-row", own || folder),
            ("set-seed-row", own || folder),
            ("set-representation-row", own),
        ] {
            dom::show(&dom::by_id(id), shown);
        }
        self.show_device();
    }

    pub(super) fn show_device(&self) {
        let place: Element = dom::by_id("device");
        let here = match &self.device {
            _ if self.gone => ("none", "Nothing to compute on".to_owned()),
            None => ("busy", "Looking for a GPU…".into()),
            Some(d) => (if d.gpu { "gpu" } else { "cpu" }, d.name.clone()),
        };
        dom::set_text(&dom::by_id("place-here-on"), &here.1);
        let (kind, text) = match self.compute_targets.device() {
            Some(device) => {
                let kind = if device.starts_with("CPU") {
                    "cpu"
                } else {
                    "gpu"
                };
                (kind, format!("Server: {device}"))
            }
            None => here,
        };
        dom::set(&place, "data-kind", kind);
        if let Some(device) = &self.device {
            dom::set(&place, "title", &device.why);
            dom::set_text(&dom::by_id("device-why"), &sentence(&device.why));
        }
        // What this browser does in the background says nothing of a chosen server.
        let here = self.compute_targets.device().is_none() || self.editor.pending().is_some();
        let doing = self.segmenter.doing();
        if let Some(doing) = doing.filter(|_| here && self.job.is_none()) {
            dom::set_text(&dom::by_id("device-text"), doing);
        } else if kind != "busy" || self.job.is_none() {
            dom::set_text(&dom::by_id("device-text"), &text);
        }
    }
}

/// Keeps the hint as high as it is while something is drawn: with more lines, or fewer, it would move the picture away under
/// the pointer.
fn steady(drawing: bool) {
    let hint: HtmlElement = dom::by_id("hint");
    let style = hint.style();
    let held = style.get_property_value("height").unwrap_or_default();
    match drawing {
        true if held.is_empty() => {
            let height = format!("{}px", hint.get_bounding_client_rect().height());
            let _ = style.set_property("height", &height);
        }
        true => {}
        false => {
            let _ = style.remove_property("height");
        }
    }
}
