//! Where the things of a video are in each of its frames.
//!
//! [`flow`] is the default tracker: it needs no weights, follows things that turn and grow, and knows when they are
//! hidden. [`template`] rates the whole frame anew each time: slower and without turning, but it cannot lose a thing for
//! good, whatever the frames look like; ObjMC needs that, since generated frames may jump or blur.
//! `dragentity-lab eval --tracks` measures both against the truth. Who brings CoTracker's weights finds it in
//! `dragentity-pipeline`.

pub mod file;
pub mod flow;
pub mod moving;
mod patch;
mod pyramid;
pub mod template;

use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::raster::{Circle, inscribed_circle};
use dragentity_core::scene::{Entity, Mask, Picture, Scene, Settings, Trajectory, TrajectoryPoint};

/// How far, as a fraction of the picture's longer side, a trajectory made from a track may stray from it.
const TOLERANCE: f32 = 0.003;

/// Where one entity is.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityTrack {
    /// Its name.
    pub name: String,
    /// Radius, in pixels, of the largest circle that fits into its mask in the first frame.
    pub radius: f32,
    /// That circle's centre in the first frame, and where it is in the others, in pixels (pixel centres at halves).
    pub points: Vec<[f32; 2]>,
    /// In which frames it is seen there.
    pub visible: Vec<bool>,
}

/// The entities of a video.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracks {
    /// Width of the video in pixels.
    pub width: u32,
    /// Height of the video in pixels.
    pub height: u32,
    /// Number of its frames.
    pub frames: usize,
    /// One for each entity.
    pub entities: Vec<EntityTrack>,
}

/// A mask at the size of a video, `width` x `height`, and the largest circle inside it, in pixels of the video.
///
/// # Errors
/// [`Error::Job`] when nothing is inside.
pub fn mask_and_circle(mask: &Mask, width: u32, height: u32) -> Result<(Mask, Circle)> {
    let mask = mask.resized(width, height);
    let circle = inscribed_circle(&mask).ok_or_else(|| {
        Error::Job("a mask has nothing inside; mark the entity in the video's first frame".into())
    })?;
    Ok((mask, circle))
}

impl Tracks {
    /// Tracks with another number of frames: what a video cut short needs. Tracks that are too short are refused.
    ///
    /// # Errors
    /// [`Error::Job`], naming the entity.
    pub fn cut(mut self, frames: usize) -> Result<Self> {
        for entity in &mut self.entities {
            let have = entity.points.len();
            if have < frames {
                return Err(Error::Job(format!(
                    "the track of {:?} has {have} positions and the video {frames} frames; track it again, or read \
                     only its first {have} frames (--frames {have})",
                    entity.name
                )));
            }
            entity.points.truncate(frames);
            entity.visible.truncate(frames);
        }
        self.frames = frames;
        Ok(self)
    }

    /// The same tracks on a video of another size.
    pub fn scaled(mut self, width: u32, height: u32) -> Self {
        let factors = [
            width as f32 / self.width.max(1) as f32,
            height as f32 / self.height.max(1) as f32,
        ];
        for entity in &mut self.entities {
            entity.radius *= factors[0].min(factors[1]);
            for point in &mut entity.points {
                *point = [point[0] * factors[0], point[1] * factors[1]];
            }
        }
        (self.width, self.height) = (width, height);
        self
    }

    /// The track of an entity as a path to drag it along: hidden frames are left to the curve between the others, and
    /// what a smooth curve says as well is left out.
    pub fn trajectory(&self, entity: &EntityTrack) -> Trajectory {
        let last = entity.points.len().max(2) - 1;
        let points = entity.points.iter().zip(&entity.visible).enumerate();
        let points: Vec<_> = points
            .filter(|(index, (_, seen))| **seen || *index == 0)
            .map(|(index, (point, _))| {
                TrajectoryPoint::new(
                    point[0] / self.width as f32,
                    point[1] / self.height as f32,
                    index as f32 / last as f32,
                )
            })
            .collect();
        let aspect = self.width as f32 / self.height.max(1) as f32;
        let path = Trajectory { points }.simplified(TOLERANCE, aspect);
        if path.is_pin() {
            let [x, y] = path.start();
            return Trajectory::pin(x, y);
        }
        path
    }

    /// The first frame with the entities and their paths: what a preset is made of.
    ///
    /// # Errors
    /// [`Error::Picture`] when the video has no frame.
    pub fn scene(&self, video: &Video, masks: &[Mask]) -> Result<Scene> {
        let first = video.frames.first().cloned().unwrap_or_default();
        let entities = self.entities.iter().zip(masks);
        Ok(Scene {
            picture: Picture::from_rgb(video.width, video.height, first)?,
            entities: entities
                .map(|(entity, mask)| Entity {
                    name: entity.name.clone(),
                    mask: mask.clone(),
                    trajectory: Some(self.trajectory(entity)),
                    ..Entity::default()
                })
                .collect(),
            ..Scene::default()
        })
    }

    /// Settings for making the video anew from [`Tracks::scene`].
    pub fn settings(&self, fps: u32) -> Settings {
        let most = dragentity_core::scene::settings::MAX_FRAMES;
        Settings {
            frames: (self.frames as u32).clamp(2, most),
            fps: fps.clamp(1, 60),
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracks() -> Tracks {
        let points = (0..9).map(|i| [20.0 + 5.0 * i as f32, 30.0]).collect();
        let mut visible = vec![true; 9];
        visible[4] = false;
        Tracks {
            width: 100,
            height: 50,
            frames: 9,
            entities: vec![EntityTrack {
                name: "a".into(),
                radius: 6.0,
                points,
                visible,
            }],
        }
    }

    #[test]
    fn tracks_become_paths_and_hidden_frames_lie_on_them() {
        let mut tracks = tracks();
        // A hidden position may be anything.
        tracks.entities[0].points[4] = [90.0, 2.0];
        let path = tracks.trajectory(&tracks.entities[0]);
        assert!(path.points.len() < 5, "{path:?}");
        for (k, at) in path.sample(9).iter().enumerate() {
            let x = (20.0 + 5.0 * k as f32) / 100.0;
            assert!(
                (at[0] - x).abs() < 0.01 && (at[1] - 0.6).abs() < 0.01,
                "{k}: {at:?}"
            );
        }
        tracks.entities[0].points = vec![[50.0, 25.0]; 9];
        let path = tracks.trajectory(&tracks.entities[0]);
        assert_eq!(path, Trajectory::pin(0.5, 0.5));
    }

    #[test]
    fn scaling_and_cutting() {
        let half = tracks().scaled(50, 25);
        assert_eq!(half.entities[0].points[8], [30.0, 15.0]);
        assert_eq!(half.entities[0].radius, 3.0);
        let cut = half.clone().cut(3).unwrap();
        assert_eq!((cut.frames, cut.entities[0].points.len()), (3, 3));
        let error = half.cut(10).unwrap_err().to_string();
        assert!(
            error.contains("\"a\" has 9") && error.contains("--frames 9"),
            "{error}"
        );
    }
}
