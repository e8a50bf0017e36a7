//! What clicks, drags, strokes and keys mean: a document with its history, and no browser in sight.
//!
//! The page translates pointer and key events into calls of [`Editor`] and does what the returned [`Outcome`] asks for.
//! Coordinates are fractions of the picture, see [`crate::scene`].

use crate::model::entity_encoder::Click;
use crate::scene::history::{Edit, History};
use crate::scene::trajectory::DragPoint;
use crate::scene::{Entity, Mask, Picture, Scene, Settings, Trajectory, parts};

/// How far, in pixels of the screen, a pointer moves before a press becomes a drag.
pub const DRAG_THRESHOLD: f32 = 5.0;
/// Longer side, in pixels, of a mask that is painted by hand.
pub const BRUSH_SIDE: u32 = 512;
/// How far a trajectory may stray from the drag, as a fraction of the picture.
const TOLERANCE: f32 = 0.004;
/// Most entities of one scene: more than the relation module has been trained on helps nobody.
pub const MAX_ENTITIES: usize = 12;
const FULL: &str = "Twelve entities are the most. Delete one to add another.";

/// What the pointer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Click selects, drag moves.
    Move,
    /// Click takes away from the selection.
    Exclude,
    /// Paints the mask.
    Brush,
    /// Erases the mask.
    Erase,
    /// Drag moves the camera.
    Camera,
}

impl Tool {
    /// The tool's name in `data-tool`.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Move => "move",
            Tool::Exclude => "remove",
            Tool::Brush => "brush",
            Tool::Erase => "erase",
            Tool::Camera => "camera",
        }
    }

    /// The inverse of [`Tool::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Tool::Move,
            Tool::Exclude,
            Tool::Brush,
            Tool::Erase,
            Tool::Camera,
        ]
        .into_iter()
        .find(|t| t.name() == name)
    }
}

/// A mask that the click head is to make.
#[derive(Clone)]
pub struct SegmentRequest {
    /// Number of the request; answers to older ones than the last are dropped.
    pub number: u64,
    /// The entity to refine; `None` makes a new one.
    pub target: Option<usize>,
    /// All clicks so far.
    pub clicks: Vec<Click>,
    /// The mask so far.
    pub previous: Option<Mask>,
}

/// A person that is to be split into parts.
#[derive(Clone)]
pub struct SplitRequest {
    /// Number of the request; answers to older ones than the last are dropped.
    pub number: u64,
    /// Which entity.
    pub target: usize,
}

/// What the page must do after an event.
pub enum Outcome {
    /// Nothing at all.
    Nothing,
    /// Draw the stage again.
    Draw,
    /// The scene, the selection or the tool has changed: draw and update everything.
    Changed,
    /// Ask the click head for a mask.
    Segment(SegmentRequest),
    /// Ask the human parser for the parts of an entity.
    Split(SplitRequest),
    /// Say something that helps.
    Say(&'static str),
}

/// Keys held while a pointer is pressed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// Alt: the click takes away from the selection.
    pub negative: bool,
    /// Shift: the click adds to the selection, also where it would select another entity or begin a new one.
    pub add: bool,
}

/// What the pointer, or the keyboard in its place, is in the middle of.
pub enum Gesture {
    /// Nothing.
    Idle,
    /// Pressed, not moved yet.
    Press {
        /// Where.
        at: [f32; 2],
        /// Which entity was hit.
        hit: Option<usize>,
        /// Keys held.
        held: Held,
    },
    /// Moved where there was nothing to drag.
    Missed,
    /// Leading an entity.
    Path {
        /// Which.
        index: usize,
        /// The drag so far.
        points: Vec<DragPoint>,
    },
    /// Leading the camera.
    Camera {
        /// The drag so far.
        points: Vec<DragPoint>,
    },
    /// Painting or erasing.
    Stroke {
        /// Which; `None` makes a new one.
        index: Option<usize>,
        /// The mask being changed.
        mask: Mask,
        /// Whether it paints.
        add: bool,
        /// The last point.
        last: [f32; 2],
    },
}

/// What [`Editor::hint`] has to know beside the scene.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status {
    /// A generation is running.
    pub generating: bool,
    /// A video of the scene as it stands is shown.
    pub has_result: bool,
    /// The model is there.
    pub ready: bool,
    /// The model is being loaded.
    pub loading: bool,
    /// The pointer is a finger.
    pub touch: bool,
}

/// The scene with its history, what is selected, the tool and the gesture. Entities are named by their positions in
/// [`Scene::entities`].
pub struct Editor {
    scene: Scene,
    history: History,
    /// How to generate; not part of the history.
    pub settings: Settings,
    selected: Option<usize>,
    tool: Tool,
    /// Radius of the brush, a fraction of the picture's longer side.
    pub brush_radius: f32,
    gesture: Gesture,
    /// The clicks that made the selected entity's mask, for the next one to refine.
    clicks: Vec<Click>,
    request: u64,
    pending: Option<SegmentRequest>,
    splitting: Option<SplitRequest>,
    /// The keyboard's crosshair.
    pub crosshair: Option<[f32; 2]>,
    revision: u64,
}

impl Default for Editor {
    fn default() -> Self {
        Self {
            scene: Scene::default(),
            history: History::new(),
            settings: Settings::default(),
            selected: None,
            tool: Tool::Move,
            brush_radius: 0.035,
            gesture: Gesture::Idle,
            clicks: Vec::new(),
            request: 0,
            pending: None,
            splitting: None,
            crosshair: None,
            revision: 0,
        }
    }
}

impl Editor {
    /// The scene as it stands.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }
    /// Which entity is selected.
    pub fn selected(&self) -> Option<usize> {
        self.selected
    }
    /// The selected entity.
    pub fn selected_entity(&self) -> Option<&Entity> {
        self.scene.entities.get(self.selected?)
    }
    /// The tool.
    pub fn tool(&self) -> Tool {
        self.tool
    }
    /// What is going on.
    pub fn gesture(&self) -> &Gesture {
        &self.gesture
    }
    /// The request that waits for its mask.
    pub fn pending(&self) -> Option<&SegmentRequest> {
        self.pending.as_ref()
    }
    /// The request that waits for its parts.
    pub fn splitting(&self) -> Option<&SplitRequest> {
        self.splitting.as_ref()
    }
    /// Number of changes so far, so that a result knows whether it is of the scene as it stands.
    pub fn revision(&self) -> u64 {
        self.revision
    }
    /// Width by height of the picture.
    pub fn aspect(&self) -> f32 {
        self.scene.picture.width.max(1) as f32 / self.scene.picture.height.max(1) as f32
    }
    /// What undo would take back.
    pub fn undo_label(&self) -> Option<&'static str> {
        self.history.undo_label()
    }
    /// What redo would do again.
    pub fn redo_label(&self) -> Option<&'static str> {
        self.history.redo_label()
    }
    /// Whether there is something to generate from: an entity that moves or is held, or a camera path.
    pub fn can_generate(&self) -> bool {
        self.scene.background.is_some()
            || self.scene.entities.iter().any(|e| e.trajectory.is_some())
    }

    /// A new picture, with nothing drawn on it; can be undone unless it is the first.
    pub fn set_picture(&mut self, picture: Picture) {
        self.set_scene(Scene {
            picture,
            ..Scene::default()
        });
    }

    /// Another scene altogether; can be undone unless it is the first.
    pub fn set_scene(&mut self, scene: Scene) {
        self.drop_unfinished();
        self.select(None);
        self.crosshair = None;
        if self.scene.picture.is_empty() {
            self.scene = scene;
            self.revision += 1;
        } else {
            self.edit(Edit::Replace {
                scene: Box::new(scene),
            });
        }
    }

    /// Ends whatever is going on and takes up another tool.
    pub fn set_tool(&mut self, tool: Tool) -> Outcome {
        self.gesture = Gesture::Idle;
        self.tool = tool;
        Outcome::Changed
    }

    /// Selects an entity, or none.
    pub fn select(&mut self, index: Option<usize>) -> Outcome {
        let index = index.filter(|&i| i < self.scene.entities.len());
        if index != self.selected {
            self.clicks.clear();
        }
        self.selected = index;
        Outcome::Changed
    }

    /// The front-most entity there, the selected one first: it may lie behind another and still be what is meant.
    pub fn hit(&self, at: [f32; 2]) -> Option<usize> {
        let inside = |i: &usize| self.scene.entities[*i].mask.contains(at[0], at[1]);
        self.selected
            .filter(inside)
            .or_else(|| (0..self.scene.entities.len()).rev().find(inside))
    }

    /// The pointer goes down.
    pub fn press(&mut self, at: [f32; 2], time: f64, held: Held) -> Outcome {
        match self.tool {
            Tool::Move | Tool::Exclude => {
                let hit = self.hit(at);
                self.gesture = Gesture::Press { at, hit, held };
                if self.tool == Tool::Move
                    && hit.is_some()
                    && !held.negative
                    && !(held.add && self.selected.is_some())
                    && hit != self.selected
                {
                    return self.select(hit);
                }
                Outcome::Draw
            }
            Tool::Camera => {
                self.gesture = Gesture::Camera {
                    points: vec![DragPoint {
                        x: at[0],
                        y: at[1],
                        time,
                    }],
                };
                Outcome::Draw
            }
            Tool::Brush | Tool::Erase => {
                let add = self.tool == Tool::Brush && !held.negative;
                let Some(mut mask) = self.brush_mask(add) else {
                    return Outcome::Say(
                        "Select an entity first: click it, or its name in the list. Then erase from it.",
                    );
                };
                mask.brush(at, at, self.brush_radius, add);
                self.gesture = Gesture::Stroke {
                    index: self.selected,
                    mask,
                    add,
                    last: at,
                };
                Outcome::Draw
            }
        }
    }

    /// The pointer moves while it is down; `pixels` is how far it is from where it went down, on the screen.
    pub fn drag(&mut self, at: [f32; 2], time: f64, pixels: f32) -> Outcome {
        match &mut self.gesture {
            Gesture::Idle | Gesture::Missed => return Outcome::Nothing,
            Gesture::Press {
                at: start,
                hit,
                held,
            } => {
                if pixels < DRAG_THRESHOLD {
                    return Outcome::Nothing;
                }
                let start = *start;
                self.gesture = match hit {
                    Some(index) if self.tool == Tool::Move && !held.negative => Gesture::Path {
                        index: *index,
                        points: vec![
                            // Timing begins with the motion, not with the press.
                            DragPoint {
                                x: start[0],
                                y: start[1],
                                time,
                            },
                            DragPoint {
                                x: at[0],
                                y: at[1],
                                time,
                            },
                        ],
                    },
                    _ => Gesture::Missed,
                };
            }
            Gesture::Path { points, .. } | Gesture::Camera { points } => {
                points.push(DragPoint {
                    x: at[0],
                    y: at[1],
                    time,
                });
            }
            Gesture::Stroke {
                mask, add, last, ..
            } => {
                mask.brush(*last, at, self.brush_radius, *add);
                *last = at;
            }
        }
        Outcome::Draw
    }

    /// The pointer goes up.
    pub fn release(&mut self, at: [f32; 2]) -> Outcome {
        let _ = at;
        match std::mem::replace(&mut self.gesture, Gesture::Idle) {
            Gesture::Idle => Outcome::Nothing,
            Gesture::Press { at, hit, held } => self.click(at, hit, held),
            Gesture::Missed => Outcome::Say(if self.tool == Tool::Exclude {
                "Click, without dragging, on what does not belong to the selection."
            } else if self.scene.entities.is_empty() {
                "Click the thing first: its mask appears. Then drag it. (To move the background, take the Camera tool.)"
            } else {
                "There is no entity where the drag began: begin it on a coloured one, click to add one, or take the Camera tool."
            }),
            Gesture::Path { index, points } => {
                let Some(trajectory) = Trajectory::from_drag(&points, TOLERANCE, self.aspect())
                else {
                    return Outcome::Draw;
                };
                self.set_trajectory(index, Some(trajectory))
            }
            Gesture::Camera { points } => {
                match Trajectory::from_drag(&points, TOLERANCE, self.aspect())
                    .filter(|t| !t.is_pin())
                {
                    Some(trajectory) => self.set_background(Some(trajectory)),
                    None => Outcome::Say("Drag the picture to where the camera should take it."),
                }
            }
            Gesture::Stroke {
                index, mask, add, ..
            } => self.keep_stroke(index, mask, add),
        }
    }

    /// Escape, or the browser took the pointer away: what was going on has not happened.
    pub fn cancel(&mut self) -> Outcome {
        if !matches!(self.gesture, Gesture::Idle) {
            self.gesture = Gesture::Idle;
            return Outcome::Changed;
        }
        if self.pending.take().is_some() || self.splitting.take().is_some() {
            return Outcome::Changed;
        }
        if self.tool != Tool::Move {
            self.tool = Tool::Move;
            return Outcome::Changed;
        }
        if self.selected.is_some() {
            return self.select(None);
        }
        Outcome::Nothing
    }

    fn click(&mut self, at: [f32; 2], hit: Option<usize>, held: Held) -> Outcome {
        let negative = held.negative || self.tool == Tool::Exclude;
        let add = held.add && self.selected.is_some();
        if !negative && !add && hit.is_some() {
            return self.select(hit);
        }
        // An entity that has not got its path yet is still being selected: the click adds to it.
        let refines = |e: &&Entity| negative || add || e.trajectory.is_none();
        let Some(entity) = self.selected_entity().filter(refines) else {
            if negative {
                return Outcome::Say(
                    "Select an entity first; then click what does not belong to it.",
                );
            }
            if self.scene.entities.len() >= MAX_ENTITIES {
                return Outcome::Say(FULL);
            }
            self.select(None);
            return self.request(
                None,
                None,
                Click {
                    x: at[0],
                    y: at[1],
                    positive: true,
                },
            );
        };
        let previous = Some(entity.mask.clone());
        self.request(
            self.selected,
            previous,
            Click {
                x: at[0],
                y: at[1],
                positive: !negative,
            },
        )
    }

    fn request(&mut self, target: Option<usize>, previous: Option<Mask>, click: Click) -> Outcome {
        self.request += 1;
        let mut clicks = self.clicks.clone();
        // A mask that was painted or restored has no clicks of its own; its middle stands for what it is of.
        if let Some(mask) = previous.as_ref().filter(|_| clicks.is_empty()) {
            let [x, y] = anchor(mask);
            clicks.push(Click {
                x,
                y,
                positive: true,
            });
        }
        clicks.push(click);
        let request = SegmentRequest {
            number: self.request,
            target,
            clicks,
            previous,
        };
        self.pending = Some(request.clone());
        Outcome::Segment(request)
    }

    /// The click head's answer to request `number`; answers to requests that nobody waits for are dropped.
    pub fn answer(&mut self, number: u64, mask: Option<Mask>) -> Outcome {
        let Some(request) = self.pending.take_if(|p| p.number == number) else {
            return Outcome::Nothing;
        };
        let Some(mask) = mask else {
            return Outcome::Changed;
        };
        if mask.is_empty() {
            return Outcome::Say(
                "Nothing was found there. Click nearer the middle of the thing, or paint it with the brush.",
            );
        }
        match request.target {
            Some(index) => {
                self.edit(Edit::SetMask { index, mask });
                self.select(Some(index));
            }
            None => self.add(mask),
        }
        self.clicks = request.clicks;
        Outcome::Changed
    }

    /// Asks for the parts of an entity, which has to be a person.
    pub fn split(&mut self, index: Option<usize>) -> Outcome {
        let Some(target) = index.filter(|&i| i < self.scene.entities.len()) else {
            return Outcome::Say("Select a person first: click it, or its name in the list.");
        };
        if self.scene.entities[target].group.is_some() {
            return Outcome::Say("This is a part already. Only a whole person can be split.");
        }
        self.request += 1;
        let request = SplitRequest {
            number: self.request,
            target,
        };
        self.splitting = Some(request.clone());
        Outcome::Split(request)
    }

    /// The human parser's answer to request `number`: its parts take the entity's place, as a group. `None` when there
    /// is none.
    pub fn answer_parts(&mut self, number: u64, parts: Option<Vec<(usize, Mask)>>) -> Outcome {
        let Some(request) = self.splitting.take_if(|s| s.number == number) else {
            return Outcome::Nothing;
        };
        let index = request.target;
        let Some((parts, whole)) = parts.zip(self.scene.entities.get(index)) else {
            return Outcome::Changed;
        };
        if self.scene.entities.len() - 1 + parts.len() > MAX_ENTITIES {
            return Outcome::Say(
                "With all of its parts there would be more than twelve entities. Delete others first.",
            );
        }
        let groups = self.scene.entities.iter().filter_map(|e| e.group);
        let group = groups.max().map_or(1, |last| last.saturating_add(1));
        let entities = parts::split(whole, parts, group);
        self.drop_unfinished();
        self.select(None);
        self.edit(Edit::Exchange {
            index,
            count: 1,
            entities,
        })
    }

    fn add(&mut self, mask: Mask) {
        let taken = |n: &usize| {
            !self
                .scene
                .entities
                .iter()
                .any(|e| e.name == format!("Entity {n}"))
        };
        let name = format!("Entity {}", (1..).find(taken).unwrap_or(1));
        let index = self.scene.entities.len();
        self.edit(Edit::Insert {
            index,
            entity: Box::new(Entity {
                name,
                mask,
                trajectory: None,
                group: None,
            }),
        });
        self.select(Some(index));
    }

    /// The mask that a stroke changes; `None` if there is none to erase from.
    fn brush_mask(&self, add: bool) -> Option<Mask> {
        let (w, h) = (self.scene.picture.width, self.scene.picture.height);
        let long = u64::from(w.max(h).max(1));
        let scale = |side: u32| (u64::from(side) * u64::from(BRUSH_SIDE) / long).max(1) as u32;
        match self.selected_entity() {
            Some(entity) if entity.mask.width.max(entity.mask.height) >= BRUSH_SIDE => {
                Some(entity.mask.clone())
            }
            // A coarse mask gets the pixels that a fine brush needs.
            Some(entity) => Some(entity.mask.resized(scale(w), scale(h))),
            None if add => Some(Mask::empty(scale(w), scale(h))),
            None => None,
        }
    }

    fn keep_stroke(&mut self, index: Option<usize>, mask: Mask, add: bool) -> Outcome {
        self.clicks.clear();
        match index {
            Some(index) if mask.is_empty() => self.delete(index),
            Some(index) => self.edit(Edit::SetMask { index, mask }),
            None if !add || mask.is_empty() => Outcome::Draw,
            None if self.scene.entities.len() >= MAX_ENTITIES => Outcome::Say(FULL),
            None => {
                self.add(mask);
                Outcome::Changed
            }
        }
    }

    /// Gives an entity its path, or takes it away.
    pub fn set_trajectory(&mut self, index: usize, trajectory: Option<Trajectory>) -> Outcome {
        if self
            .scene
            .entities
            .get(index)
            .is_none_or(|e| e.trajectory == trajectory)
        {
            return Outcome::Draw;
        }
        self.edit(Edit::SetTrajectory { index, trajectory })
    }

    /// Holds an entity where it is; or, if it is held already, lets it go.
    pub fn toggle_pin(&mut self, index: usize) -> Outcome {
        let Some(entity) = self.scene.entities.get(index) else {
            return Outcome::Nothing;
        };
        if entity.trajectory.as_ref().is_some_and(Trajectory::is_pin) {
            return self.set_trajectory(index, None);
        }
        let [x, y] = anchor(&entity.mask);
        self.set_trajectory(index, Some(Trajectory::pin(x, y)))
    }

    /// The camera's path.
    pub fn set_background(&mut self, trajectory: Option<Trajectory>) -> Outcome {
        self.edit(Edit::SetBackground { trajectory })
    }

    /// Renames an entity; an empty name leaves the old one.
    pub fn rename(&mut self, index: usize, name: &str) -> Outcome {
        let name: String = name.trim().chars().take(40).collect();
        if name.is_empty()
            || self
                .scene
                .entities
                .get(index)
                .is_none_or(|e| e.name == name)
        {
            return Outcome::Changed;
        }
        self.edit(Edit::Rename { index, name })
    }

    /// Removes an entity.
    pub fn delete(&mut self, index: usize) -> Outcome {
        self.drop_unfinished();
        self.select(
            self.selected
                .filter(|&s| s != index)
                .map(|s| if s > index { s - 1 } else { s }),
        );
        self.edit(Edit::Remove { index })
    }

    /// One step back.
    pub fn undo(&mut self) -> Outcome {
        self.travel(History::undo)
    }

    /// One step forward again.
    pub fn redo(&mut self) -> Outcome {
        self.travel(History::redo)
    }

    fn travel(
        &mut self,
        step: impl FnOnce(&mut History, &mut Scene) -> crate::error::Result<Option<&'static str>>,
    ) -> Outcome {
        self.drop_unfinished();
        let before = self.scene.entities.len();
        match step(&mut self.history, &mut self.scene) {
            Ok(None) => return Outcome::Nothing,
            Ok(Some(_)) => {}
            // Edits are undone in the order in which they were done, so this does not happen.
            Err(error) => log::error!("history: {error}"),
        }
        self.revision += 1;
        self.clicks.clear();
        // With another number of entities the same position may be another entity.
        let same = before == self.scene.entities.len();
        self.select(self.selected.filter(|_| same))
    }

    fn edit(&mut self, edit: Edit) -> Outcome {
        if let Err(error) = self.history.apply(edit, &mut self.scene) {
            log::error!("edit: {error}");
            return Outcome::Nothing;
        }
        self.revision += 1;
        Outcome::Changed
    }

    /// A gesture or request that names an entity by its position does not outlive a change of positions.
    fn drop_unfinished(&mut self) {
        self.gesture = Gesture::Idle;
        self.pending = None;
        self.splitting = None;
    }

    /// Moves the keyboard's crosshair; while a path is being led, the path follows it.
    pub fn nudge(&mut self, dx: f32, dy: f32, time: f64) -> Outcome {
        let [x, y] = self.crosshair.unwrap_or([0.5, 0.5]);
        let leading = matches!(self.gesture, Gesture::Path { .. } | Gesture::Camera { .. });
        let reach = if leading { -0.5..=1.5 } else { 0.0..=1.0 };
        let at = [
            (x + dx).clamp(*reach.start(), *reach.end()),
            (y + dy).clamp(*reach.start(), *reach.end()),
        ];
        self.crosshair = Some(at);
        if leading {
            return self.drag(at, time, f32::INFINITY);
        }
        Outcome::Draw
    }

    /// A click at the crosshair, or the end of the path that is being led.
    pub fn enter(&mut self) -> Outcome {
        let at = *self.crosshair.get_or_insert([0.5, 0.5]);
        if matches!(self.gesture, Gesture::Path { .. } | Gesture::Camera { .. }) {
            return self.release(at);
        }
        match self.tool {
            Tool::Move | Tool::Exclude => self.click(at, self.hit(at), Held::default()),
            _ => {
                let pressed = self.press(at, 0.0, Held::default());
                if matches!(pressed, Outcome::Say(_)) {
                    return pressed;
                }
                self.release(at)
            }
        }
    }

    /// Begins (or ends) a path from the crosshair, led with the arrow keys.
    pub fn lead(&mut self, time: f64) -> Outcome {
        if matches!(self.gesture, Gesture::Path { .. } | Gesture::Camera { .. }) {
            return self.enter();
        }
        if self.tool == Tool::Camera {
            let at = *self.crosshair.get_or_insert([0.5, 0.5]);
            return self.press(at, time, Held::default());
        }
        let Some((index, entity)) = self.selected.zip(self.selected_entity()) else {
            return Outcome::Say(
                "Select an entity first: move the crosshair with the arrow keys and press Enter.",
            );
        };
        let at = match self.crosshair {
            Some(at) if entity.mask.contains(at[0], at[1]) => at,
            _ => anchor(&entity.mask),
        };
        self.crosshair = Some(at);
        self.gesture = Gesture::Path {
            index,
            points: vec![DragPoint {
                x: at[0],
                y: at[1],
                time,
            }],
        };
        Outcome::Changed
    }

    /// The one obvious next thing to do: its step (1 click, 2 drag, 3 generate) and a sentence.
    pub fn hint(&self, status: Status) -> (u8, &'static str) {
        if status.generating {
            return (3, "Generating. The picture sharpens with every step.");
        }
        match (&self.gesture, self.tool) {
            (Gesture::Path { .. }, _) => {
                return (
                    2,
                    "Lead it where it should go, as fast as it should go, and let go at the end.",
                );
            }
            (Gesture::Camera { .. }, _) => {
                return (2, "The whole picture follows. Let go at the end.");
            }
            (Gesture::Stroke { .. }, _) => return (1, "Cover the whole thing."),
            (_, Tool::Camera) => {
                return (2, "Drag the picture: the background will move that way.");
            }
            (_, Tool::Brush) if self.selected.is_none() => {
                return (1, "Paint over the thing you want to move.");
            }
            (_, Tool::Brush) => {
                return (
                    1,
                    "Paint what is missing from the selection. Then take Move and drag it.",
                );
            }
            (_, Tool::Erase) => {
                return (
                    1,
                    "Erase what does not belong to the selection. Then take Move and drag it.",
                );
            }
            (_, Tool::Exclude) => return (1, "Click what does not belong to the selection."),
            _ => {}
        }
        if self.splitting.is_some() {
            return (
                1,
                if status.ready {
                    "Looking for the parts of this person…"
                } else {
                    "The model is still loading; the parts are waiting for it."
                },
            );
        }
        if self.pending.is_some() {
            return (
                1,
                if status.ready {
                    "Looking at what is there…"
                } else {
                    "The model is still loading; your click is waiting for it."
                },
            );
        }
        if self.scene.entities.is_empty() && self.scene.background.is_none() {
            if !status.ready && !status.loading {
                return (
                    1,
                    "Take the brush and paint over the thing you want to move.",
                );
            }
            return (
                1,
                if status.touch {
                    "Tap the thing you want to move."
                } else {
                    "Click the thing you want to move."
                },
            );
        }
        if self
            .selected_entity()
            .is_some_and(|e| e.trajectory.is_none())
        {
            return (
                2,
                match (self.clicks.is_empty(), status.touch) {
                    (true, _) => "Drag it where it should go.",
                    (false, true) => {
                        "Drag it where it should go. Tap what is missing to add it; Exclude takes away."
                    }
                    (false, false) => {
                        "Drag it where it should go. Click what is missing to add it, Alt-click to take away."
                    }
                },
            );
        }
        if !self.can_generate() {
            return (2, "Drag a coloured entity where it should go.");
        }
        if status.has_result {
            return (
                3,
                "There it is. Change anything and generate again, or save it.",
            );
        }
        (3, "Generate the video, or add another entity.")
    }
}

/// A point that surely lies on the thing: its middle, or the pixel of it nearest to that.
pub fn anchor(mask: &Mask) -> [f32; 2] {
    let Some([x, y]) = mask.centroid() else {
        return [0.5, 0.5];
    };
    if mask.contains(x, y) {
        return [x, y];
    }
    let (w, h) = (mask.width as f32, mask.height as f32);
    let inside = mask.alpha.iter().enumerate().filter(|(_, a)| **a >= 128);
    let at = |i: usize| {
        [
            (i as u32 % mask.width) as f32 / w + 0.5 / w,
            (i as u32 / mask.width) as f32 / h + 0.5 / h,
        ]
    };
    let distance = |p: [f32; 2]| (p[0] - x).powi(2) + (p[1] - y).powi(2);
    inside
        .map(|(i, _)| at(i))
        .min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
        .unwrap_or([x, y])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disc(x: f32, y: f32, r: f32) -> Mask {
        let mut mask = Mask::empty(96, 64);
        mask.brush([x, y], [x, y], r, true);
        mask
    }

    /// Clicks at a place and has the click head answer with a disc.
    fn click(editor: &mut Editor, x: f32, y: f32) {
        editor.press([x, y], 0.0, Held::default());
        let Outcome::Segment(request) = editor.release([x, y]) else {
            panic!("no request")
        };
        assert!(matches!(
            editor.answer(request.number, Some(disc(x, y, 0.1))),
            Outcome::Changed
        ));
    }

    fn drag(editor: &mut Editor, path: &[[f32; 2]]) -> Outcome {
        editor.press(path[0], 0.0, Held::default());
        for (i, p) in path.iter().enumerate().skip(1) {
            editor.drag(*p, 100.0 * i as f64, 40.0);
        }
        editor.release(path[path.len() - 1])
    }

    fn new_editor() -> Editor {
        let mut editor = Editor::default();
        editor.set_picture(Picture {
            width: 96,
            height: 64,
            rgb: vec![128; 96 * 64 * 3],
        });
        editor
    }

    #[test]
    fn click_drag_and_the_hints_on_the_way() {
        let mut e = new_editor();
        let status = Status {
            ready: true,
            ..Status::default()
        };
        assert_eq!(e.hint(status).0, 1);
        click(&mut e, 0.3, 0.5);
        assert_eq!(e.hint(status).0, 2);
        assert!(!e.can_generate());
        drag(&mut e, &[[0.3, 0.5], [0.4, 0.5], [0.7, 0.4]]);
        assert_eq!(e.hint(status).0, 3);
        assert!(e.can_generate());
        let path = e.scene().entities[0].trajectory.clone().unwrap();
        assert_eq!(
            (path.points[0].x, path.points[0].y, path.points[0].t),
            (0.3, 0.5, 0.0)
        );
        let end = path.points.last().unwrap();
        assert_eq!((end.x, end.y, end.t), (0.7, 0.4, 1.0));
    }

    #[test]
    fn timing_is_that_of_the_drag() {
        let mut e = new_editor();
        click(&mut e, 0.2, 0.5);
        e.press([0.2, 0.5], 0.0, Held::default());
        // A long rest before the motion does not count.
        e.drag([0.3, 0.5], 5000.0, 30.0);
        e.drag([0.4, 0.5], 5900.0, 60.0);
        e.drag([0.8, 0.5], 6000.0, 90.0);
        e.release([0.8, 0.5]);
        let path = e.scene().entities[0].trajectory.clone().unwrap();
        assert!(
            (path.position(0.9)[0] - 0.4).abs() < 0.01,
            "{:?}",
            path.points
        );
    }

    #[test]
    fn a_second_click_refines_until_there_is_a_path_and_then_adds_an_entity() {
        let mut e = new_editor();
        click(&mut e, 0.3, 0.5);
        click(&mut e, 0.6, 0.5);
        assert_eq!(e.scene().entities.len(), 1);
        assert_eq!(e.clicks.len(), 2);
        drag(&mut e, &[[0.6, 0.5], [0.9, 0.5]]);
        click(&mut e, 0.1, 0.1);
        assert_eq!(e.scene().entities.len(), 2);
        assert_eq!(e.scene().entities[1].name, "Entity 2");
        // Alt-click takes away from what is selected.
        let away = Held {
            negative: true,
            ..Held::default()
        };
        e.press([0.1, 0.1], 0.0, away);
        let Outcome::Segment(request) = e.release([0.1, 0.1]) else {
            panic!("no request")
        };
        assert_eq!(request.target, Some(1));
        assert!(!request.clicks[1].positive && request.previous.is_some());
        // Shift-click adds to it, even what has a path or belongs to another entity already.
        let add = Held {
            add: true,
            ..Held::default()
        };
        drag(&mut e, &[[0.1, 0.1], [0.3, 0.1]]);
        e.press([0.6, 0.5], 0.0, add);
        let Outcome::Segment(request) = e.release([0.6, 0.5]) else {
            panic!("no request")
        };
        assert_eq!(request.target, Some(1));
        assert!(request.clicks.last().unwrap().positive && request.previous.is_some());
        // With nothing selected there is nothing to add to: it selects, as a plain click does.
        e.cancel();
        e.select(None);
        e.press([0.6, 0.5], 0.0, add);
        e.release([0.6, 0.5]);
        assert_eq!(e.selected(), Some(0));
    }

    #[test]
    fn a_person_becomes_a_group_of_parts_in_one_step() {
        let mut e = new_editor();
        assert!(matches!(e.split(None), Outcome::Say(_)));
        click(&mut e, 0.1, 0.1);
        drag(&mut e, &[[0.1, 0.1], [0.2, 0.1]]);
        click(&mut e, 0.5, 0.5);
        drag(&mut e, &[[0.5, 0.5], [0.7, 0.5]]);
        let request = |outcome: Outcome| match outcome {
            Outcome::Split(request) => request,
            _ => panic!("no request"),
        };
        let old = request(e.split(e.selected()));
        let new = request(e.split(e.selected()));
        let parts =
            |count: usize| Some((0..count).map(|part| (part, disc(0.5, 0.5, 0.1))).collect());
        // Late, or none.
        assert!(matches!(
            e.answer_parts(old.number, parts(3)),
            Outcome::Nothing
        ));
        assert!(matches!(e.answer_parts(new.number, None), Outcome::Changed));
        assert_eq!(e.scene().entities.len(), 2);
        // No room.
        let again = request(e.split(Some(1)));
        assert!(matches!(
            e.answer_parts(again.number, parts(12)),
            Outcome::Say(_)
        ));
        assert_eq!(e.scene().entities.len(), 2);
        let again = request(e.split(Some(1)));
        assert!(matches!(
            e.answer_parts(again.number, parts(11)),
            Outcome::Changed
        ));
        let made = &e.scene().entities[1..];
        assert_eq!(made.len(), 11);
        // What the person did, its parts do.
        assert!(
            made.iter()
                .all(|p| p.group == Some(1) && p.trajectory.is_some())
        );
        assert!(made.iter().any(|p| p.name == "torso"));
        assert!(matches!(e.split(Some(4)), Outcome::Say(_)));
        assert_eq!(e.undo_label(), Some("split into parts"));
        e.undo();
        assert_eq!(e.scene().entities.len(), 2);
        assert_eq!(e.scene().entities[1].name, "Entity 2");
        e.redo();
        assert_eq!(e.scene().entities.len(), 12);
    }

    #[test]
    fn late_answers_change_nothing() {
        let mut e = new_editor();
        e.press([0.5, 0.5], 0.0, Held::default());
        let Outcome::Segment(old) = e.release([0.5, 0.5]) else {
            panic!()
        };
        e.press([0.2, 0.2], 0.0, Held::default());
        let Outcome::Segment(new) = e.release([0.2, 0.2]) else {
            panic!()
        };
        assert!(matches!(
            e.answer(old.number, Some(disc(0.5, 0.5, 0.1))),
            Outcome::Nothing
        ));
        assert!(e.scene().entities.is_empty());
        e.answer(new.number, Some(disc(0.2, 0.2, 0.1)));
        assert_eq!(e.scene().entities.len(), 1);
        // An empty mask is no entity, and says so.
        e.select(None);
        e.press([0.9, 0.9], 0.0, Held::default());
        let Outcome::Segment(empty) = e.release([0.9, 0.9]) else {
            panic!()
        };
        assert!(matches!(
            e.answer(empty.number, Some(Mask::empty(96, 64))),
            Outcome::Say(_)
        ));
        assert_eq!(e.scene().entities.len(), 1);
        // Nor does the answer for a picture that is gone.
        e.press([0.9, 0.9], 0.0, Held::default());
        let Outcome::Segment(gone) = e.release([0.9, 0.9]) else {
            panic!()
        };
        e.set_picture(Picture {
            width: 8,
            height: 8,
            rgb: vec![0; 192],
        });
        assert!(matches!(
            e.answer(gone.number, Some(disc(0.9, 0.9, 0.1))),
            Outcome::Nothing
        ));
        assert!(e.scene().entities.is_empty());
    }

    #[test]
    fn undo_and_redo_go_through_everything() {
        let mut e = new_editor();
        click(&mut e, 0.3, 0.5);
        drag(&mut e, &[[0.3, 0.5], [0.7, 0.5]]);
        let id = 0;
        e.rename(id, "  Cat ");
        e.toggle_pin(id);
        e.set_background(Some(Trajectory::line([0.5, 0.5], [0.4, 0.5])));
        e.delete(id);
        let mut steps = 0;
        while e.undo_label().is_some() {
            e.undo();
            steps += 1;
        }
        assert_eq!(steps, 6);
        assert!(e.scene().entities.is_empty() && e.scene().background.is_none());
        for _ in 0..3 {
            e.redo();
        }
        assert_eq!(e.scene().entities[0].name, "Cat");
        assert!(!e.scene().entities[0].trajectory.as_ref().unwrap().is_pin());
        e.redo();
        assert!(e.scene().entities[0].trajectory.as_ref().unwrap().is_pin());
        // A new edit forgets what was undone.
        e.rename(id, "Dog");
        assert!(e.redo_label().is_none());
    }

    #[test]
    fn the_brush_makes_mends_and_erases() {
        let mut e = new_editor();
        e.set_tool(Tool::Erase);
        assert!(matches!(
            e.press([0.5, 0.5], 0.0, Held::default()),
            Outcome::Say(_)
        ));
        e.set_tool(Tool::Brush);
        drag(&mut e, &[[0.4, 0.5], [0.6, 0.5]]);
        assert_eq!(e.scene().entities.len(), 1);
        let before = e.scene().entities[0].mask.area();
        drag(&mut e, &[[0.5, 0.3], [0.5, 0.7]]);
        assert_eq!(e.scene().entities.len(), 1);
        assert!(e.scene().entities[0].mask.area() > before);
        // Erasing all of it removes it; undo brings it back.
        e.set_tool(Tool::Erase);
        e.brush_radius = 0.8;
        drag(&mut e, &[[0.5, 0.5], [0.6, 0.5]]);
        assert!(e.scene().entities.is_empty());
        e.undo();
        assert_eq!(e.scene().entities.len(), 1);
    }

    #[test]
    fn escape_undoes_a_gesture_before_it_deselects() {
        let mut e = new_editor();
        click(&mut e, 0.3, 0.5);
        e.press([0.3, 0.5], 0.0, Held::default());
        e.drag([0.6, 0.5], 10.0, 50.0);
        assert!(matches!(e.gesture(), Gesture::Path { .. }));
        e.cancel();
        assert!(e.scene().entities[0].trajectory.is_none() && e.selected().is_some());
        e.cancel();
        assert!(e.selected().is_none());
        assert!(matches!(e.cancel(), Outcome::Nothing));
    }

    #[test]
    fn a_drag_from_nowhere_says_what_to_do_and_the_camera_is_a_tool() {
        let mut e = new_editor();
        assert!(matches!(
            drag(&mut e, &[[0.3, 0.5], [0.7, 0.5]]),
            Outcome::Say(_)
        ));
        assert!(e.scene().background.is_none());
        e.set_tool(Tool::Camera);
        drag(&mut e, &[[0.3, 0.5], [0.4, 0.5], [0.7, 0.5]]);
        assert!(e.scene().background.is_some() && e.can_generate());
    }

    #[test]
    fn the_keyboard_can_do_it_all() {
        let mut e = new_editor();
        e.nudge(-0.2, 0.0, 0.0);
        let Outcome::Segment(request) = e.enter() else {
            panic!("no request")
        };
        e.answer(request.number, Some(disc(0.3, 0.5, 0.1)));
        e.lead(0.0);
        for i in 1..=10 {
            e.nudge(0.05, 0.0, 100.0 * f64::from(i));
        }
        e.enter();
        let path = e.scene().entities[0].trajectory.clone().unwrap();
        assert!((path.position(1.0)[0] - 0.8).abs() < 1e-3);
    }

    #[test]
    fn a_ring_is_pinned_on_the_ring() {
        let mut ring = disc(0.5, 0.5, 0.3);
        ring.brush([0.5, 0.5], [0.5, 0.5], 0.15, false);
        let [x, y] = anchor(&ring);
        assert!(ring.contains(x, y));
    }
}
