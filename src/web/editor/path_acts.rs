//! What the path buttons do: turn a path round, close it, have it go there and back, mirror it, copy it.

use super::{Editor, Lane, Outcome, PathOf, Tool, anchor};
use dragentity_core::scene::trajectory::Listed;
use dragentity_core::scene::{Trajectory, TrajectoryPoint};

/// Ends nearer than this, a fraction of the picture's longer side, are one place.
const CLOSED: f32 = 0.01;
/// What stands in a text that is a copied path.
const COPIED: &str = "dragentity_path";

/// What can be done to a path as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathAct {
    /// The other way round.
    Reverse,
    /// There and back.
    Return,
    /// Back to where it began.
    Close,
    /// Left and right exchanged.
    Mirror,
    /// Up and down exchanged.
    Flip,
}

impl PathAct {
    /// The inverse of its name in `data-path`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "reverse" => PathAct::Reverse,
            "return" => PathAct::Return,
            "close" => PathAct::Close,
            "mirror" => PathAct::Mirror,
            "flip" => PathAct::Flip,
            _ => return None,
        })
    }
}

impl Editor {
    /// What the path buttons are about: with its tool, or where nothing else is there, the camera, else the selected entity.
    pub fn lane_in_hand(&self) -> Option<Lane> {
        let lanes = self.lanes();
        let camera = self.tool == Tool::Camera || self.scene.entities.is_empty();
        let wanted = match camera {
            true => Lane::Camera,
            false => Lane::Entity(self.selected?),
        };
        lanes.contains(&wanted).then_some(wanted)
    }

    /// Does something to the path in hand: to the chosen knob's alone, else to all of the lane's.
    pub fn change_path(&mut self, act: PathAct) -> Outcome {
        let aspect = self.aspect();
        let changed = |path: &Trajectory| match act {
            PathAct::Reverse => path.reversed(),
            PathAct::Return => path.there_and_back(),
            PathAct::Close => path.closed(CLOSED, aspect),
            PathAct::Mirror => path.mirrored(false),
            PathAct::Flip => path.mirrored(true),
        };
        let Some(lane) = self.lane_in_hand() else {
            return Outcome::Say("Select an entity that has a path first.");
        };
        if act == PathAct::Close && self.ends_where_it_begins(lane) {
            return Outcome::Say("It ends where it begins already.");
        }
        let one = self.knob.map(|(of, _)| of);
        match one.and_then(|of| Some((of, changed(self.path(of)?)))) {
            Some((of, path)) => {
                self.knob = None;
                self.set_path(of, path)
            }
            None => self.change_paths(lane, changed, |poses| poses),
        }
    }

    /// Has the path make a corner at the point that was taken up last, or go through it smoothly again.
    pub fn toggle_corner(&mut self) -> Outcome {
        let chosen = self.knob.and_then(|(of, point)| {
            let path = self.path(of)?;
            let inner = point > 0 && point + 1 < path.cleaned().points.len();
            inner.then(|| (of, point, path.with_corner_toggled(point)))
        });
        let Some((of, point, path)) = chosen else {
            return Outcome::Say("Take up a point within a path first: click it, or press K.");
        };
        let kept = self.set_path(of, path);
        self.knob = Some((of, point));
        kept
    }

    /// Whether the point that was taken up last can be a corner, and is.
    pub fn corner(&self) -> Option<bool> {
        let (of, point) = self.knob?;
        let points = self.path(of)?.cleaned().points;
        let inner = point > 0 && point + 1 < points.len();
        points.get(point).filter(|_| inner).map(|p| p.corner)
    }

    fn ends_where_it_begins(&self, lane: Lane) -> bool {
        let first = match lane {
            Lane::Camera => PathOf::Camera,
            Lane::Entity(index) => {
                let entity = self.scene.entities.get(index);
                let moving = entity.and_then(|e| e.held_by().position(|path| !path.is_pin()));
                PathOf::Handle {
                    index,
                    handle: moving.unwrap_or(0),
                }
            }
        };
        let of = self.knob.map_or(first, |(of, _)| of);
        self.path(of)
            .is_some_and(|path| path.closed(CLOSED, self.aspect()) == path.cleaned())
    }

    /// The path that would be copied.
    fn path_in_hand(&self) -> Option<&Trajectory> {
        if let Some((of, _)) = self.knob {
            return self.path(of);
        }
        match self.lane_in_hand()? {
            Lane::Camera => self.scene.background.as_ref(),
            Lane::Entity(index) => {
                let mut paths = self.scene.entities.get(index)?.held_by();
                paths.find(|path| !path.is_pin())
            }
        }
    }

    /// Copies the path in hand; as a text for the clipboard, from which other tabs can paste it.
    pub fn copy_path(&mut self) -> Option<String> {
        let path = self.path_in_hand()?.cleaned();
        let points: Vec<Listed> = path.points.iter().copied().map(Listed::from).collect();
        self.copied = Some(path);
        serde_json::to_string(&serde_json::json!({ COPIED: points })).ok()
    }

    /// Takes a text from the clipboard for a copied path; whether it is one.
    pub fn take_copied(&mut self, text: &str) -> bool {
        #[derive(serde::Deserialize)]
        struct Copied {
            #[serde(rename = "dragentity_path")]
            points: Vec<Listed>,
        }
        /// No path is longer, so that nothing else is looked at.
        const MOST: usize = 100_000;
        if text.len() > MOST || !text.contains(COPIED) {
            return false;
        }
        let Ok(Copied { points }) = serde_json::from_str(text) else {
            return false;
        };
        let points = points.into_iter();
        let path = Trajectory {
            points: points.map(TrajectoryPoint::from).collect(),
        };
        self.copied = Some(path.cleaned());
        true
    }

    /// Whether a path was copied.
    pub fn has_copied(&self) -> bool {
        self.copied.is_some()
    }

    /// Has the selected entity, or, with its tool, the camera, go along the path that was copied.
    pub fn paste_path(&mut self) -> Outcome {
        let Some(path) = self.copied.clone() else {
            return Outcome::Say("Copy a path first: select what has one and press Ctrl+C.");
        };
        self.knob = None;
        if self.tool == Tool::Camera {
            return self.set_background(Some(path));
        }
        let Some((index, entity)) = self.selected.zip(self.selected_entity()) else {
            return Outcome::Say("Select the entity that is to go along the copied path.");
        };
        let [x, y] = anchor(&entity.mask);
        self.lead_all(index, &path.moved_to(x, y))
    }
}
