//! What clicks, drags, strokes and keys mean: a document with its history, and no browser in sight.
//!
//! The page translates pointer and key events into calls of [`Editor`] and does what the returned [`Outcome`] asks for.
//! Coordinates are fractions of the picture, see [`dragentity_core::scene`].

mod bend;
mod figures;
mod ground;
mod hint;
mod joints;
mod keyboard;
mod lanes;
mod layers;
mod lines;
mod masks;
mod path_acts;
mod paths;
mod pointer;
mod poses;
mod suggest;
pub mod view;

use dragentity_core::Click;
use dragentity_core::scene::history::{Edit, History};
use dragentity_core::scene::order::Step;
use dragentity_core::scene::trajectory::DragPoint;
use dragentity_core::scene::{Entity, Mask, Picture, Scene, Settings, Trajectory, View};

pub use bend::Led;
pub use hint::Status;
pub use joints::JointRequest;
pub use lanes::{End, Lane};
pub use path_acts::PathAct;
pub use paths::{Grip, Knob, PathOf};
pub use poses::{PoseHandles, PosePart};

/// How far, in pixels of the screen, a pointer moves before a press becomes a drag.
pub const DRAG_THRESHOLD: f32 = 5.0;
/// Longer side, in pixels, of a mask that is painted by hand.
pub const BRUSH_SIDE: u32 = 512;
/// How far apart two clicks at the same place may be, as a fraction of the picture's longer side.
const SAME_PLACE: f32 = 0.02;
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
    /// Drag draws a box around a thing.
    Box,
    /// Drag draws an outline, which becomes a mask.
    Lasso,
    /// Paints the mask.
    Brush,
    /// Erases the mask.
    Erase,
    /// Drag leads a place of a thing, click holds one: several of them bend it.
    Bend,
    /// Drag moves the camera.
    Camera,
    /// Click says what is a thing's shadow, drag paints it.
    Shadow,
    /// Paints from where holes are filled.
    From,
}

impl Tool {
    /// The tool's name in `data-tool`.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Move => "move",
            Tool::Exclude => "remove",
            Tool::Box => "box",
            Tool::Lasso => "lasso",
            Tool::Brush => "brush",
            Tool::Erase => "erase",
            Tool::Bend => "bend",
            Tool::Camera => "camera",
            Tool::Shadow => "shadow",
            Tool::From => "from",
        }
    }

    /// Whether it paints, with a brush that has a size.
    pub fn paints(self) -> bool {
        matches!(self, Tool::Brush | Tool::Erase | Tool::Shadow | Tool::From)
    }

    /// The inverse of [`Tool::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Tool::Move,
            Tool::Exclude,
            Tool::Box,
            Tool::Lasso,
            Tool::Brush,
            Tool::Erase,
            Tool::Bend,
            Tool::Camera,
            Tool::Shadow,
            Tool::From,
        ]
        .into_iter()
        .find(|t| t.name() == name)
    }
}

/// A mask that is to be made.
#[derive(Clone, Default)]
pub struct SegmentRequest {
    /// Number of the request; answers to older ones than the last are dropped.
    pub number: u64,
    /// The entity to refine; `None` makes a new one.
    pub target: Option<usize>,
    /// All clicks so far.
    pub clicks: Vec<Click>,
    /// A box around the thing: left, top, right, bottom.
    pub bounds: Option<[f32; 4]>,
    /// The mask so far.
    pub previous: Option<Mask>,
    /// Which of the things that one click may mean, from 0, the likeliest.
    pub candidate: usize,
}

/// The mask that a click would make, shown before it.
pub struct Suggestion {
    /// Number of the request that it answers.
    pub number: u64,
    /// Where the pointer rested.
    pub at: [f32; 2],
    /// The mask.
    pub mask: Mask,
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
    /// Ask for a mask.
    Segment(SegmentRequest),
    /// Ask for the mask under the pointer, if there is time.
    Suggest {
        /// Number of the request.
        number: u64,
        /// Where the pointer rests.
        at: [f32; 2],
    },
    /// Ask for the parts of an entity, which has to be a person.
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

/// What a stroke paints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Painted {
    /// An entity's mask.
    Entity,
    /// An entity's shadow.
    Shadow,
    /// From where holes are filled.
    From,
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
        /// Which of its handles, the next number for a new one; `None` leads all of it.
        handle: Option<usize>,
        /// From the pointer to what it leads, where it has taken up a handle beside its place.
        beside: [f32; 2],
        /// The drag so far; that of a handle begins where the handle does.
        points: Vec<DragPoint>,
    },
    /// Changing a path where it lies.
    Reshape(Box<paths::Reshaped>),
    /// Shifting a motion in time.
    Retime(lanes::Retimed),
    /// Turning or scaling an entity.
    Pose(Box<poses::Posed>),
    /// Shifting a key pose in time.
    Key(poses::Keyed),
    /// A rhythm is drawn by hand on the timeline.
    Pace(lanes::Paced),
    /// Leading the camera.
    Camera {
        /// The drag so far.
        points: Vec<DragPoint>,
    },
    /// Drawing a box.
    Frame {
        /// Where it began.
        from: [f32; 2],
        /// Where the pointer is.
        to: [f32; 2],
    },
    /// Drawing an outline.
    Lasso {
        /// The line so far.
        points: Vec<[f32; 2]>,
        /// Keys held.
        held: Held,
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
        /// What the mask is.
        of: Painted,
    },
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
    /// What new entities are called, before their number.
    pub entity: String,
    /// Radius of the brush, a fraction of the picture's longer side.
    pub brush_radius: f32,
    gesture: Gesture,
    /// How far from a handle's beginning the pointer still means it, in fractions of the picture's width and height.
    pub grasp: [f32; 2],
    /// How far from a path's knob the pointer still means it, in the same.
    pub reach: [f32; 2],
    /// Shift is held while something is drawn: it goes straight, by eighths of a turn.
    pub straight: bool,
    /// How many points of the drag had been drawn when it became straight.
    straight_from: Option<usize>,
    /// The point of a path that was taken up last.
    knob: Option<(PathOf, usize)>,
    /// When which knob was tapped last, in milliseconds.
    tapped: Option<(f64, PathOf, usize)>,
    /// The path that was copied.
    copied: Option<Trajectory>,
    /// The handle of the selected entity that was touched last.
    touched: Option<usize>,
    /// The clicks that made the selected entity's mask, for the next one to refine.
    clicks: Vec<Click>,
    /// Which of the things that a click alone may mean the selected entity is.
    candidate: usize,
    request: u64,
    pending: Option<SegmentRequest>,
    /// Where the pointer rests, and the number under which a mask was asked for there.
    resting: Option<(u64, [f32; 2])>,
    suggestion: Option<Suggestion>,
    splitting: Option<SplitRequest>,
    people: joints::People,
    ground: ground::Ground,
    /// The keyboard's crosshair.
    pub crosshair: Option<[f32; 2]>,
    /// Which moment the picture shows, a fraction of the video; `None` at its beginning, where things are as in the picture.
    pub moment: Option<f32>,
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
            entity: "Entity".into(),
            brush_radius: 0.035,
            gesture: Gesture::Idle,
            grasp: [0.02; 2],
            reach: [0.01; 2],
            straight: false,
            straight_from: None,
            knob: None,
            tapped: None,
            copied: None,
            touched: None,
            clicks: Vec::new(),
            candidate: 0,
            request: 0,
            pending: None,
            resting: None,
            suggestion: None,
            splitting: None,
            people: joints::People::default(),
            ground: ground::Ground::default(),
            crosshair: None,
            moment: None,
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
    /// The mask that a click under the pointer would make.
    pub fn suggestion(&self) -> Option<&Suggestion> {
        self.suggestion.as_ref()
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
        let moves = |entity: &Entity| entity.has_motion() && !entity.look.hidden;
        !self.scene.is_camera_still() || self.scene.entities.iter().any(moves)
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
        self.people.forget();
        self.select(None);
        self.crosshair = None;
        // Whatever order they are put into, they keep their colours.
        let mut scene = scene;
        for (entity, position) in scene.entities.iter_mut().zip(0..) {
            entity.look.colour.get_or_insert(position);
        }
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
        self.drop_suggestion();
        self.touched = None;
        self.knob = None;
        self.tool = tool;
        Outcome::Changed
    }

    /// Selects an entity, or none.
    pub fn select(&mut self, index: Option<usize>) -> Outcome {
        let index = index.filter(|&i| i < self.scene.entities.len());
        if index != self.selected {
            self.clicks.clear();
            self.touched = None;
            self.knob = None;
            self.drop_suggestion();
        }
        self.selected = index;
        Outcome::Changed
    }

    /// Asks for the parts of an entity, which has to be a person.
    pub fn split(&mut self, index: Option<usize>) -> Outcome {
        let Some(target) = index.filter(|&i| i < self.scene.entities.len()) else {
            return Outcome::Say("Select a person first: click it, or its name in the list.");
        };
        if self.scene.entities[target].part.is_some() {
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

    /// Takes away all that an entity does.
    pub fn clear_motion(&mut self, index: usize) -> Outcome {
        match self.scene.entities.get(index) {
            Some(entity) if entity.has_motion() => {
                self.set_motion(index, Vec::new(), Vec::new(), None)
            }
            _ => Outcome::Draw,
        }
    }

    /// Holds all of an entity where it is; or, if it is held already, lets it go.
    pub fn toggle_pin(&mut self, index: usize) -> Outcome {
        let Some(entity) = self.scene.entities.get(index) else {
            return Outcome::Nothing;
        };
        if entity.is_pinned() {
            return self.clear_motion(index);
        }
        let [x, y] = anchor(&entity.mask);
        self.set_motion(index, vec![Trajectory::pin(x, y)], Vec::new(), None)
    }

    /// The camera's path.
    pub fn set_background(&mut self, trajectory: Option<Trajectory>) -> Outcome {
        let view = self.scene.view.clone();
        self.set_camera(trajectory, view)
    }

    /// How the camera looks at the scene; its path stays.
    pub(super) fn set_view(&mut self, view: View) -> Outcome {
        self.set_camera(self.scene.background.clone(), view)
    }

    /// All that the camera does, in one step.
    pub fn set_camera(&mut self, trajectory: Option<Trajectory>, view: View) -> Outcome {
        self.edit(Edit::SetCamera { trajectory, view })
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

    /// Has an entity, or the body it is a part of, lie in front of what lies next to it, or behind that. From then on
    /// all of them lie as they are listed; it stays selected if it was.
    pub fn step(&mut self, index: usize, step: Step) -> Outcome {
        let Some(positions) = self.scene.stepped(index, step) else {
            return match step {
                _ if index >= self.scene.entities.len() => Outcome::Nothing,
                Step::Forward => Outcome::Say("Nothing lies in front of it."),
                Step::Back => Outcome::Say("Nothing lies behind it."),
            };
        };
        self.reorder(positions)
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
        step: impl FnOnce(
            &mut History,
            &mut Scene,
        ) -> dragentity_core::error::Result<Option<&'static str>>,
    ) -> Outcome {
        self.drop_unfinished();
        let before = self.scene.entities.len();
        let selected = self.selected_entity().cloned();
        match step(&mut self.history, &mut self.scene) {
            Ok(None) => return Outcome::Nothing,
            Ok(Some(_)) => {}
            // Edits are undone in the order in which they were done, so this does not happen.
            Err(error) => log::error!("history: {error}"),
        }
        self.revision += 1;
        self.clicks.clear();
        // With another number of entities the same position may be another entity, and so it may in another order.
        let same = before == self.scene.entities.len();
        let at = |index: usize| self.scene.entities.get(index) == selected.as_ref();
        let moved = (0..before).find(|&i| at(i));
        let selected = self.selected.filter(|_| same);
        self.select(selected.map(|i| if at(i) { i } else { moved.unwrap_or(i) }))
    }

    fn edit(&mut self, edit: Edit) -> Outcome {
        self.drop_suggestion();
        if let Err(error) = self.history.apply(edit, &mut self.scene) {
            log::error!("edit: {error}");
            return Outcome::Nothing;
        }
        self.revision += 1;
        Outcome::Changed
    }

    /// A gesture or request that names an entity by its position does not outlive a change of positions.
    fn drop_unfinished(&mut self) {
        self.touched = None;
        self.knob = None;
        self.gesture = Gesture::Idle;
        self.pending = None;
        self.splitting = None;
        self.drop_suggestion();
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
mod tests;
