//! What to do next, in a sentence.

use super::{Editor, Gesture, Painted, Tool};

/// What [`Editor::hint`] has to know beside the scene.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status {
    /// A generation is running.
    pub generating: bool,
    /// A video of the scene as it stands is shown.
    pub has_result: bool,
    /// What makes masks is there.
    pub ready: bool,
    /// What makes masks is being loaded.
    pub loading: bool,
    /// The picture is known to it, so that masks take a moment.
    pub looked: bool,
    /// The pointer is a finger.
    pub touch: bool,
}

impl Editor {
    /// The one obvious next thing to do: its step (1 click, 2 drag, 3 generate) and a sentence.
    pub fn hint(&self, status: Status) -> (u8, &'static str) {
        if status.generating {
            return (3, "Generating. The picture sharpens with every step.");
        }
        match (&self.gesture, self.tool) {
            (
                Gesture::Path {
                    handle: Some(_), ..
                },
                _,
            ) => {
                return (
                    2,
                    "Lead this place where it should go, as fast as it should go; what is held stays.",
                );
            }
            (Gesture::Path { .. }, _) => {
                return (
                    2,
                    "Lead it where it should go, as fast as it should go, and let go at the end.",
                );
            }
            (Gesture::Reshape(_), _) => {
                return (2, "The path goes where you let go.");
            }
            (Gesture::Pose(_), _) => {
                return (
                    2,
                    "So it is at this moment; it comes there smoothly. Shift goes by steps.",
                );
            }
            (Gesture::Camera { .. }, _) => {
                return (2, "The whole picture follows. Let go at the end.");
            }
            (
                Gesture::Stroke {
                    of: Painted::Shadow,
                    ..
                },
                _,
            ) => return (1, "Cover the whole shadow."),
            (
                Gesture::Stroke {
                    of: Painted::From, ..
                },
                _,
            ) => {
                return (
                    1,
                    "Cover what the places that things leave should look like.",
                );
            }
            (Gesture::Stroke { .. }, _) => return (1, "Cover the whole thing."),
            (_, Tool::Camera) => {
                return (
                    2,
                    match self.moment {
                        Some(_) => {
                            "The frame is what the camera sees then: its handles turn it and bring it nearer."
                        }
                        None => {
                            "Drag the picture: the background will move that way. To come nearer, move the playhead."
                        }
                    },
                );
            }
            (_, Tool::Bend) => return (2, self.bend_hint()),
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
            (_, Tool::Box) => return (1, "Drag a box around the thing, from corner to corner."),
            (_, Tool::Lasso) => {
                return (
                    1,
                    "Draw around the thing. With Shift it is added to the selection, with Alt taken away.",
                );
            }
            (_, Tool::Shadow) if self.selected.is_none() => {
                return (1, "Select a thing, then click its shadow.");
            }
            (_, Tool::Shadow) => {
                return (
                    1,
                    "Click its shadow to take it along, Alt-click to leave it; drag paints. Then take Move.",
                );
            }
            (_, Tool::From) => {
                return (
                    1,
                    "Paint what the places that things leave should look like; with Alt it is taken away.",
                );
            }
            (_, Tool::Exclude) => return (1, "Click what does not belong to the selection."),
            _ => {}
        }
        if self.splitting.is_some() {
            return (1, "Looking for the parts of this person…");
        }
        if self.pending.is_some() {
            return (
                1,
                match (status.ready, status.looked) {
                    (true, true) => "Looking at what is there…",
                    (true, false) => {
                        "Looking at the whole picture first; your click is answered then."
                    }
                    (false, _) => {
                        "What finds things is still loading; your click is waiting for it."
                    }
                },
            );
        }
        if self.scene.entities.is_empty() && self.scene.is_camera_still() {
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
        if self.selected_open().is_some_and(|e| !e.has_motion()) {
            return (
                2,
                match (self.clicks.len(), status.touch) {
                    (0, _) => "Drag it where it should go.",
                    (1, true) => {
                        "Drag it. Tap again for a part or the whole, beside it to add more."
                    }
                    (1, false) => {
                        "Drag it where it should go. Click it again for another: a part, the whole, more; beside it to add, Alt-click to take away."
                    }
                    (_, true) => {
                        "Drag it where it should go. Tap what is missing to add it; Exclude takes away."
                    }
                    (_, false) => {
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
        if self.chosen_knob().is_some() {
            return (
                3,
                match status.touch {
                    true => "Drag this point of the path; tap it again at once to take it away.",
                    false => "Drag this point of the path, or press Delete to take it away.",
                },
            );
        }
        if !self.knobs().is_empty() {
            return (
                3,
                "Generate the video, drag the points of the path, or add another entity.",
            );
        }
        (3, "Generate the video, or add another entity.")
    }

    fn bend_hint(&self) -> &'static str {
        if self.scene.entities.is_empty() {
            return "Click the thing with Move first. Then bend it.";
        }
        if self.touched.is_some() {
            return "Delete takes this handle away. Drag it again to lead it otherwise; Space plays it.";
        }
        let count = self.selected_entity().map_or(0, |e| e.held_by().count());
        if self.joints().is_some() {
            return match count {
                0 => {
                    "Drag a joint: an arm follows its hand, the body its hips; feet stay. Click a joint to hold it."
                }
                _ => "Drag or click more joints. A click on a pin takes it away; Space plays it.",
            };
        }
        match count {
            0 => "Click what is to stay where it is, drag what is to move.",
            1 => "One handle moves it as it is. Drag or click a second one to turn and scale it.",
            2 => {
                "Two handles turn and scale it. A third one bends it: click to hold a place, drag to lead it."
            }
            _ => "Drag or click more handles. A click on a pin takes it away; Space plays it.",
        }
    }
}
