//! Motions to choose from, for a thing and for the camera.

use super::{Editor, Outcome, anchor};
use dragentity_core::scene::ground::{Ground, HORIZON};
use dragentity_core::scene::trajectory::Figure;
use dragentity_core::scene::view::{ORBITS, Zoom, orbit};
use dragentity_core::scene::{Trajectory, View};

/// How wide they are for a thing, as fractions of the picture's longer side; the second one comes first.
const THING: [f32; 3] = [0.15, 0.28, 0.45];
/// How wide they are for the camera.
const CAMERA: [f32; 3] = [0.04, 0.08, 0.14];
/// How much nearer the camera comes.
const NEARER: [f32; 3] = [1.15, 1.35, 1.8];
/// The row on which stands what it goes round, and the height of that, where nobody says.
const STANDS: (f32, f32) = (0.85, 0.5);

impl Editor {
    /// Has the selected entity move so: over the whole video, and with each further press in the next size.
    pub fn take_figure(&mut self, figure: Figure) -> Outcome {
        let Some((index, entity)) = self.selected.zip(self.selected_entity()) else {
            return Outcome::Say("Select the entity that is to move so: click it first.");
        };
        let now = entity.held_by().find(|path| !path.is_pin());
        let start = now.map_or_else(|| anchor(&entity.mask), Trajectory::start);
        let path = self.sized(figure, start, THING, now);
        self.knob = None;
        self.lead_all(index, &path)
    }

    /// Has the camera move so.
    pub fn take_camera_figure(&mut self, figure: Figure) -> Outcome {
        let now = self.scene.background.as_ref();
        let start = now.map_or([0.5; 2], Trajectory::start);
        let path = self.sized(figure, start, CAMERA, now);
        self.knob = None;
        self.set_background(Some(path))
    }

    /// Has the camera come nearer: over the whole video, and with each further press by the next factor. It comes to the selected
    /// entity, or else to where it was led before.
    pub fn take_zoom(&mut self, zoom: Zoom) -> Outcome {
        let now = &self.scene.view;
        let about = self.selected_open().map(|entity| anchor(&entity.mask));
        let view = View {
            about: about.unwrap_or(now.about),
            poses: next(NEARER.map(|scale| zoom.poses(scale)), Some(&now.poses)),
            ground: now.ground,
        };
        self.set_view(view)
    }

    /// Has the camera go round the selected entity, or else round what it went round before: with each further press farther.
    pub fn take_orbit(&mut self) -> Outcome {
        let now = &self.scene.view;
        let (stands, height) = self.gone_round();
        let done = self.scene.background.clone().zip(Some(now.clone()));
        let orbits = ORBITS.map(|far| orbit(stands, height, far));
        let (path, view) = next(orbits, done.as_ref());
        self.knob = None;
        self.set_camera(Some(path), view)
    }

    /// The row on which stands what the camera goes round, and the height of its middle: of the selected entity, or else as before.
    fn gone_round(&self) -> (f32, f32) {
        let now = &self.scene.view;
        let own = self.selected_open();
        let own = own.and_then(|entity| Some((entity.foot()?, anchor(&entity.mask)[1])));
        let before = now.ground.map(|ground| (ground.stands(), now.about[1]));
        own.or(before).unwrap_or(STANDS)
    }

    /// The rows, fractions of the height, of the horizon past whose ground the camera's path leads, and of what it goes round; one that
    /// is not given stays. Neither leads the picture as something flat.
    pub fn set_ground(&mut self, rows: Option<[Option<f32>; 2]>) -> Outcome {
        let now = self.scene.view.ground;
        let ground = rows.map(|[horizon, stands]| {
            let stands = stands.or(now.map(Ground::stands));
            let stands = stands.unwrap_or_else(|| self.gone_round().0);
            let horizon = horizon.or(now.map(Ground::horizon));
            Ground::new(horizon.unwrap_or(HORIZON), stands)
        });
        if ground == now {
            return Outcome::Changed;
        }
        self.set_view(View {
            ground,
            ..self.scene.view.clone()
        })
    }

    /// The figure in the size after the one that there is now, or in the middle one.
    fn sized(
        &self,
        figure: Figure,
        start: [f32; 2],
        sizes: [f32; 3],
        now: Option<&Trajectory>,
    ) -> Trajectory {
        let paths = sizes.map(|size| figure.path(start, size, self.aspect()));
        next(paths, now)
    }
}

/// The size after the one that there is now, or the middle one.
fn next<T: Clone + PartialEq>(sizes: [T; 3], now: Option<&T>) -> T {
    let at = sizes.iter().position(|size| Some(size) == now);
    sizes[at.map_or(1, |at| (at + 1) % sizes.len())].clone()
}
