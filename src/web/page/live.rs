//! What is shown while paths are drawn, and while Space plays them: the plate behind what may move, and what moves over it.
//! The worker makes both as soon as a thing is there, so that nothing waits for it; until then the things move over the
//! picture itself.

use super::live_gpu::LiveGpu;
use super::live_view::LiveView;
use super::{App, act, dom};
use crate::web::editor::Tool;
use crate::web::protocol::{DeviceChoice, JobData, LayerData, Pixels, ToWorker};
use dragentity_core::scene::{Mask, Picture, Shadow, Skeleton};
use std::hash::{DefaultHasher, Hash, Hasher};
use wasm_bindgen_futures::spawn_local;

/// How long the scene stays as it is before it is prepared, in milliseconds.
const REST: i32 = 250;

/// What was asked for.
#[derive(Default)]
pub struct Live {
    /// Of which revision of the scene, of people's joints and of the picture that was found, and whether something is being bent.
    seen: Option<(u64, u64, u64, bool)>,
    /// What it depends on: which things there are, and which are pinned, `None` where there is nothing to prepare; and people's joints.
    key: (Option<u64>, u64),
    number: u64,
    /// The picture without what may move, once it is made.
    plate: Option<Picture>,
    /// Whether a GPU has been looked for, which is done once.
    asked_gpu: bool,
}

impl Live {
    /// The picture without what may move, as far as it is of the scene as it stands.
    pub fn plate(&self) -> Option<&Picture> {
        self.plate.as_ref()
    }

    /// Has everything asked for again.
    pub fn forget(&mut self) {
        *self = Self {
            number: self.number,
            asked_gpu: self.asked_gpu,
            ..Self::default()
        };
    }
}

impl App {
    /// Has the worker prepare what may move, where that is other than it was.
    pub(super) fn prepare_soon(&mut self) {
        let bending = self.editor.tool() == Tool::Bend;
        let people = self.editor.people_revision();
        let revision = (
            self.editor.revision(),
            people,
            self.picture_revision,
            bending,
        );
        if self.live.seen.replace(revision) == Some(revision) {
            return;
        }
        let key = (self.live_key(), self.joints_key());
        if self.live.key == key {
            return;
        }
        let only_joints = self.live.key.0 == key.0;
        self.live.key = key;
        self.live.number += 1;
        // Where people's joints alone are other ones, what is shown lacks no more than what is behind their arms.
        if !only_joints {
            self.live.plate = None;
            self.stage.live = None;
            dom::set(&self.stage.canvas, "data-live", "");
        }
        let key = key.0;
        let number = self.live.number;
        if key.is_some() {
            dom::after(REST, move || {
                act(move |app| {
                    if app.live.number == number && !app.gone {
                        let mut scene = app.scene_without_picture();
                        for (index, entity) in scene.entities.iter_mut().enumerate() {
                            // The arms of whoever was found may be led.
                            entity.skeleton = app.editor.joints_of(index).cloned();
                        }
                        if app.editor.tool() == Tool::Bend {
                            // What is held here may be led there next.
                            for entity in scene.entities.iter_mut().filter(|e| e.is_pinned()) {
                                entity.trajectory = None;
                                entity.handles.clear();
                            }
                        }
                        let job = JobData::new(&scene, &app.editor.settings);
                        app.link.send(&ToWorker::Prepare { number, job });
                    }
                });
            });
        }
    }

    /// What the plate and the cut-outs depend on, as one number.
    fn live_key(&self) -> Option<u64> {
        let scene = self.editor.scene();
        let masks = || scene.entities.iter().map(|e| &e.mask);
        if scene.picture.is_empty() || masks().all(Mask::is_empty) {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        self.picture_revision.hash(&mut hasher);
        scene.layers().hash(&mut hasher);
        let mut add = |mask: &Mask| {
            (mask.width, mask.height).hash(&mut hasher);
            mask.alpha.hash(&mut hasher);
        };
        scene.behind.from.iter().for_each(&mut add);
        for entity in &scene.entities {
            add(&entity.mask);
            if let Shadow::Marked(mask) = &entity.shadow {
                add(mask);
            }
        }
        let plate = scene.behind.plate.as_ref();
        (scene.behind.from.is_some(), plate.map(|plate| &plate.rgb)).hash(&mut hasher);
        for entity in &scene.entities {
            std::mem::discriminant(&entity.shadow).hash(&mut hasher);
            entity.look.hidden.hash(&mut hasher);
            (entity.is_pinned() && self.editor.tool() != Tool::Bend).hash(&mut hasher);
        }
        Some(hasher.finish())
    }

    /// What is made up behind people's arms depends on their joints, as one number.
    fn joints_key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for index in 0..self.editor.scene().entities.len() {
            let joints = self.editor.joints_of(index);
            for joint in joints.into_iter().flat_map(Skeleton::to_list) {
                (index, joint.map(f32::to_bits)).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// The worker has prepared it.
    pub(super) fn prepared(&mut self, number: u64, plate: Pixels, layers: Vec<LayerData>) {
        if number != self.live.number {
            return;
        }
        if let Ok(plate) = plate.picture() {
            self.stage.live = Some(LiveView::new(&plate, layers));
            self.live.plate = Some(plate);
            self.show_behind();
            // For tests, and for who looks at why dragging shows what it shows.
            dom::set(&self.stage.canvas, "data-live", &number.to_string());
            self.ask_gpu();
        }
    }

    /// Has a GPU draw what is shown from when there is one; until then, and where there is none worth using, the canvas does.
    fn ask_gpu(&mut self) {
        let choice = self.choice;
        if choice == DeviceChoice::Cpu || std::mem::replace(&mut self.live.asked_gpu, true) {
            return;
        }
        spawn_local(async move {
            match LiveGpu::open(choice == DeviceChoice::WebGpu, gpu_failed).await {
                Ok(gpu) => act(|app| {
                    app.stage.gpu = Some(gpu);
                    app.draw_soon();
                }),
                Err(why) => log::info!("what moves is drawn by the canvas: {why}"),
            }
        });
    }
}

/// The GPU was lost, or cannot draw what is asked of it: the canvas goes on.
fn gpu_failed(why: String) {
    log::warn!("what moves is drawn by the canvas again: {}", why.trim());
    act(|app| {
        app.stage.gpu = None;
        app.draw_soon();
    });
}
