//! Ways of making a video of a scene, to be measured side by side: without any network, or by a model.

use dragentity_core::scene::draft::Holes;
use dragentity_core::scene::settings::{Choice, MAX_ENTITIES};
use dragentity_core::scene::{Scene, Settings};
use dragentity_core::{Cancel, Job, Result, Video};
use dragentity_media::resized;
use dragentity_networks::device::Device;
use dragentity_pipeline::model::{About, ModelOptions, SceneFrom};
use dragentity_pipeline::plan::{conditions, draft_of, to_unit};
use dragentity_pipeline::runner::{Runner, with_runner};
use std::borrow::Cow;
use std::time::Instant;

/// A way of making a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The first frame repeated.
    First,
    /// The draft: everything cut out and moved rigidly along its path, over a background whose holes are filled smoothly.
    Paste,
    /// A model, by its location.
    Model(String),
}

/// A video, and how long it took.
#[derive(Clone)]
pub struct Made {
    /// Of the size of the scene's picture.
    pub video: Video,
    /// From the scene to the frames, with everything loaded before.
    pub seconds: f64,
}

impl Maker {
    /// `first`, `paste`, or the location of a model.
    pub fn parse(name: &str) -> Self {
        match name {
            "first" => Self::First,
            "paste" => Self::Paste,
            location => Self::Model(location.trim_end_matches('/').into()),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            Self::First => "first",
            Self::Paste => "paste",
            Self::Model(location) => location,
        }
    }

    /// Makes a video of each scene, with the settings of `choice`, which says how many frames there are, and the maker's
    /// own for the rest; `done` hears how many are made.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Job`] for a scene that cannot be made, and those of loading and running a model.
    pub fn make(
        &self,
        scenes: &[Scene],
        choice: &Choice,
        device: Device,
        done: &mut dyn FnMut(usize),
    ) -> Result<Vec<Made>> {
        let Self::Model(location) = self else {
            let none = Choice::default();
            let settings = Settings::resolve(choice, &none, &Settings::default());
            return each(scenes, done, |scene| {
                let job = Job::new(scene.clone(), settings.clone(), true)?;
                Ok(match self {
                    Self::First => still(&job),
                    _ => pasted(&job),
                })
            });
        };
        let options = ModelOptions::new(location.as_str());
        let about = pollster::block_on(About::read(&options))?;
        let job = |scene: &Scene, choice: &Choice| {
            let settings = about.settings(choice, SceneFrom::Picture);
            Job::new(scene.clone(), settings, about.needs_paths())
        };
        with_runner(device, &options, |runner: &mut dyn Runner| {
            let mut run = |job: &Job| runner.run(job, &Cancel::new(), &mut |_| {});
            if let Some(scene) = scenes.first() {
                // Loads the model, so that no clip's time has that in it.
                let short = Choice {
                    frames: Some(2),
                    steps: Some(1),
                    ..choice.clone()
                };
                run(&job(scene, &short)?)?;
            }
            each(scenes, done, |scene| run(&job(scene, choice)?))
        })?
    }
}

/// Makes all videos with `make`, at the size of their pictures.
fn each(
    scenes: &[Scene],
    done: &mut dyn FnMut(usize),
    mut make: impl FnMut(&Scene) -> Result<Video>,
) -> Result<Vec<Made>> {
    let mut all = Vec::with_capacity(scenes.len());
    for scene in scenes {
        let start = Instant::now();
        let video = make(scene)?;
        let seconds = start.elapsed().as_secs_f64();
        let video = match resized(&video, scene.picture.width, scene.picture.height)? {
            Cow::Owned(video) => video,
            Cow::Borrowed(_) => video,
        };
        all.push(Made { video, seconds });
        done(all.len());
    }
    Ok(all)
}

/// The first frame repeated.
fn still(job: &Job) -> Video {
    let picture = &job.scene.picture;
    Video {
        width: picture.width,
        height: picture.height,
        fps: job.settings.fps,
        frames: vec![picture.rgb.to_vec(); job.settings.frames as usize],
    }
}

/// The draft at the picture's size.
fn pasted(job: &Job) -> Video {
    let picture = &job.scene.picture;
    let (width, height, fps) = (picture.width, picture.height, job.settings.fps);
    let input = conditions(
        job,
        width,
        height,
        job.settings.frames as usize,
        MAX_ENTITIES,
    );
    let frames = draft_of(&to_unit(picture), &input, Holes::Filled).frames;
    Video {
        width,
        height,
        fps,
        frames: frames.iter().map(|frame| super::bytes(frame)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dragentity_core::scene::{Entity, Mask, Picture, Trajectory};

    #[test]
    fn makers_have_names() {
        for name in ["first", "paste", "at-once"] {
            assert_eq!(Maker::parse(name).name(), name);
        }
        assert_eq!(Maker::parse("models/mini/").name(), "models/mini");
    }

    #[test]
    fn what_is_pasted_follows_its_path_and_the_first_frame_does_not() {
        let (width, height) = (32, 16);
        let inside = |at: usize| (4..10).contains(&(at % 32)) && (5..11).contains(&(at / 32));
        let rgb = (0..512).flat_map(|at| [if inside(at) { 250 } else { 20 }; 3]);
        let alpha = (0..512).map(|at| if inside(at) { 255 } else { 0 });
        let scene = Scene {
            picture: Picture::from_rgb(width, height, rgb.collect()).unwrap(),
            entities: vec![Entity {
                mask: Mask::from_alpha(width, height, alpha.collect()).unwrap(),
                trajectory: Some(Trajectory::line([0.2, 0.5], [0.7, 0.5])),
                ..Entity::default()
            }],
            ..Scene::default()
        };
        let choice = Choice {
            frames: Some(3),
            ..Choice::default()
        };
        let last = |maker: Maker| {
            let scenes = std::slice::from_ref(&scene);
            let made = maker
                .make(scenes, &choice, Device::CPU, &mut |_| {})
                .unwrap();
            assert_eq!(made[0].video.frames.len(), 3);
            let row = &made[0].video.frames[2][8 * 32 * 3..9 * 32 * 3];
            [row[7 * 3], row[23 * 3]]
        };
        assert_eq!(last(Maker::First), [250, 20]);
        let [left, arrived] = last(Maker::Paste);
        assert!(left < 40 && arrived > 230, "{left} {arrived}");
    }
}
