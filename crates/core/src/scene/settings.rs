//! Which settings count, and the limits of what can be asked for.

use super::entity::MAX_HANDLES;
use super::pose::{MAX_POSES, Pose};
use super::{Control, Entity, Representation, Scene, Settings};
use crate::error::{Error, Result};
use crate::scheduler::SamplerKind;
use serde::{Deserialize, Serialize};

/// Most entities of one preset.
pub const MAX_ENTITIES: usize = 64;
/// Most frames of one video.
pub const MAX_FRAMES: u32 = 121;
/// Most denoising steps.
pub const MAX_STEPS: u32 = 200;
/// Shortest and longest side of a video in pixels; no public model was trained on more than 1,024.
pub const SIDES: [u32; 2] = [16, 2048];

/// Settings of which somebody has chosen some. See [`Settings`] for what they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// Number of frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
    /// Frames a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<u32>,
    /// Denoising steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Seed of the noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Guidance scale at the first frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_guidance: Option<f32>,
    /// Guidance scale at the last frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_guidance: Option<f32>,
    /// SVD's motion bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub motion_bucket: Option<u32>,
    /// Noise added to the conditioning picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_augmentation: Option<f32>,
    /// Width and height of the video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[u32; 2]>,
    /// The representation of trajectories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub representation: Option<Representation>,
    /// What moves things in Stable Video Diffusion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// The sampler of Stable Video Diffusion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<SamplerKind>,
    /// Share of the steps that are left out where a reference is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weak: Option<f32>,
    /// Share of the steps in which the reference is put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strong: Option<f32>,
}

impl From<&Settings> for Choice {
    /// Everything chosen, but for what only some models have and is as it always is: links are short.
    fn from(settings: &Settings) -> Self {
        let usual = Settings::default();
        let Settings {
            frames,
            fps,
            steps,
            seed,
            min_guidance,
            max_guidance,
            motion_bucket,
            noise_augmentation,
            size,
            representation,
            control,
            sampler,
            weak,
            strong,
        } = settings.clone();
        Self {
            frames: Some(frames),
            fps: Some(fps),
            steps: Some(steps),
            seed: Some(seed),
            min_guidance: Some(min_guidance),
            max_guidance: Some(max_guidance),
            motion_bucket: Some(motion_bucket),
            noise_augmentation: Some(noise_augmentation),
            size,
            representation,
            control,
            sampler,
            weak: (weak != usual.weak).then_some(weak),
            strong: (strong != usual.strong).then_some(strong),
        }
    }
}

impl Choice {
    /// `settings` but for what is chosen.
    fn over(&self, settings: Settings) -> Settings {
        Settings {
            frames: self.frames.unwrap_or(settings.frames),
            fps: self.fps.unwrap_or(settings.fps),
            steps: self.steps.unwrap_or(settings.steps),
            seed: self.seed.unwrap_or(settings.seed),
            min_guidance: self.min_guidance.unwrap_or(settings.min_guidance),
            max_guidance: self.max_guidance.unwrap_or(settings.max_guidance),
            motion_bucket: self.motion_bucket.unwrap_or(settings.motion_bucket),
            noise_augmentation: self
                .noise_augmentation
                .unwrap_or(settings.noise_augmentation),
            size: self.size.or(settings.size),
            representation: self.representation.or(settings.representation),
            control: self.control.or(settings.control),
            sampler: self.sampler.or(settings.sampler),
            weak: self.weak.unwrap_or(settings.weak),
            strong: self.strong.unwrap_or(settings.strong),
        }
    }

    /// What of it makes sense for a model that it was not made for: what does not depend on how one was trained.
    pub fn for_another_model(&self) -> Self {
        Self {
            seed: self.seed,
            motion_bucket: self.motion_bucket,
            size: self.size,
            representation: self.representation,
            control: self.control,
            weak: self.weak,
            strong: self.strong,
            ..Self::default()
        }
    }

    /// Whether what is chosen lies in its range.
    ///
    /// # Errors
    /// [`Error::Job`] naming the first that does not.
    pub fn check(&self) -> Result<()> {
        self.over(Settings::default()).check()
    }
}

impl Settings {
    /// Which settings count, the one rule for all fronts: the request's own, else those that came with the scene, else
    /// the model's.
    pub fn resolve(request: &Choice, scene: &Choice, model: &Settings) -> Self {
        request.over(scene.over(model.clone()))
    }

    /// Whether a job can be run with these settings.
    ///
    /// # Errors
    /// [`Error::Job`] naming the first that is out of its range.
    pub fn check(&self) -> Result<()> {
        let range = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Error::Job(format!(
                    "{name} is {value}; choose a value from {low} to {high}"
                )))
            }
        };
        range(
            "the number of frames",
            self.frames as f64,
            2.0,
            MAX_FRAMES as f64,
        )?;
        range("the frames a second", self.fps as f64, 1.0, 60.0)?;
        range(
            "the number of steps",
            self.steps as f64,
            1.0,
            MAX_STEPS as f64,
        )?;
        range(
            "the guidance at the first frame",
            self.min_guidance as f64,
            0.0,
            20.0,
        )?;
        range(
            "the guidance at the last frame",
            self.max_guidance as f64,
            0.0,
            20.0,
        )?;
        range("the motion bucket", self.motion_bucket as f64, 1.0, 255.0)?;
        range(
            "the noise augmentation",
            self.noise_augmentation as f64,
            0.0,
            10.0,
        )?;
        let weak = f64::from(self.weak);
        range("the share of steps left out (weak)", weak, 0.0, 1.0)?;
        range(
            "the share of steps that put the reference back (strong)",
            f64::from(self.strong),
            weak,
            1.0,
        )?;
        for (side, name) in self.size.iter().flatten().zip(["width", "height"]) {
            let [low, high] = SIDES.map(f64::from);
            range(&format!("the video's {name}"), *side as f64, low, high)?;
        }
        Ok(())
    }
}

impl Scene {
    /// Whether there is something to generate.
    ///
    /// # Errors
    /// [`Error::Job`] that says what is missing.
    pub fn check(&self) -> Result<()> {
        let refuse = |why: String| Err(Error::Job(why));
        if self.picture.is_empty() {
            return refuse("there is no picture; open one first".into());
        }
        if self.entities.len() > MAX_ENTITIES {
            let n = self.entities.len();
            return refuse(format!(
                "there are {n} entities, and at most {MAX_ENTITIES} can be moved; delete some"
            ));
        }
        if let Some(i) = self.entities.iter().position(|e| e.mask.is_empty()) {
            return refuse(format!(
                "{} has an empty mask; click or paint it again, or delete it",
                self.entity_name(i)
            ));
        }
        for (i, entity) in self.entities.iter().enumerate() {
            let refuse = |why: &str| refuse(format!("{} has {why}", self.entity_name(i)));
            if entity.handles.len() > MAX_HANDLES {
                return refuse("more than 25 handles; remove some");
            }
            if entity.poses.len() > MAX_POSES {
                return refuse("more than 32 poses; remove some");
            }
            if !entity.poses.iter().all(Pose::is_usable) {
                return refuse(
                    "a pose that is out of bounds; scales are 0.05 to 20, turns up to 3600 degrees",
                );
            }
        }
        if let Some(fault) = self.view.fault() {
            return refuse(format!("the camera's view {fault}"));
        }
        if let Some(plate) = &self.behind.plate
            && !plate.has_shape_of(&self.picture)
        {
            return refuse(format!(
                "the background has {} x {} pixels, another shape than the picture's {} x {}; open the same view without the things",
                plate.width, plate.height, self.picture.width, self.picture.height
            ));
        }
        if !self.moves() {
            return refuse(
                "nothing is to move; click a thing in the picture and drag it first".into(),
            );
        }
        Ok(())
    }

    /// Whether there is a picture, and nothing said of what is in it.
    pub fn is_picture_alone(&self) -> bool {
        !self.picture.is_empty() && self.entities.is_empty() && self.is_camera_still()
    }

    /// Whether nothing is said of the camera.
    pub fn is_camera_still(&self) -> bool {
        self.background.is_none() && self.view.is_still()
    }

    /// Whether anything has a path, be it a pin, or is seen from nearer.
    pub fn moves(&self) -> bool {
        !self.is_camera_still() || self.entities.iter().any(Entity::has_motion)
    }

    /// What a person should know before generating, though nothing is wrong: a sentence each.
    pub fn notes(&self, frames: u32) -> Vec<String> {
        let mut notes = Vec::new();
        for (i, entity) in self.entities.iter().enumerate() {
            if entity
                .held_by()
                .any(|path| path.leaves_frame(frames as usize))
            {
                notes.push(format!(
                    "the trajectory of {} leaves the picture; what is outside is not shown, drag its points back if that \
                     is not meant",
                    self.entity_name(i)
                ));
            }
        }
        if !self.entities.iter().any(Entity::moves)
            && self.view.is_still()
            && self
                .background
                .as_ref()
                .is_none_or(super::Trajectory::is_pin)
        {
            notes.push("nothing is told to move; drag an entity to give it a trajectory".into());
        }
        notes
    }

    /// Number and name of an entity, for messages.
    fn entity_name(&self, index: usize) -> String {
        match self.entities.get(index).map(|e| e.name.trim()) {
            Some(name) if !name.is_empty() => format!("entity {} ({name})", index + 1),
            _ => format!("entity {}", index + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Mask, Picture, Trajectory};

    #[test]
    fn scenes_without_anything_to_do_are_named() {
        let mut scene = Scene::default();
        let said = |s: &Scene| s.check().unwrap_err().to_string();
        assert!(said(&scene).contains("no picture"));
        scene.picture = Picture {
            width: 2,
            height: 1,
            rgb: vec![0; 6].into(),
        };
        assert!(said(&scene).contains("nothing is to move"));
        scene.background = Some(Trajectory::pin(0.5, 0.5));
        assert!(scene.check().is_ok());
        let mask = Mask {
            width: 1,
            height: 1,
            alpha: vec![255],
        };
        let entity = |mask: &Mask, trajectory| Entity {
            name: "dog".into(),
            mask: mask.clone(),
            trajectory,
            ..Entity::default()
        };
        scene.entities = vec![entity(&mask, None), entity(&Mask::empty(3, 3), None)];
        assert!(said(&scene).contains("entity 2 (dog) has an empty mask"));
        scene.entities = vec![entity(&mask, None); MAX_ENTITIES + 1];
        assert!(said(&scene).contains("65 entities"));

        scene.entities = vec![entity(&mask, None)];
        scene.background = None;
        assert!(said(&scene).contains("nothing is to move"));
        scene.entities = vec![entity(&mask, Some(Trajectory::pin(0.5, 0.5)))];
        assert!(scene.check().is_ok());
        assert!(scene.notes(8)[0].contains("nothing is told to move"));
        scene.entities = vec![entity(
            &mask,
            Some(Trajectory::line([0.5, 0.5], [1.4, 0.5])),
        )];
        assert!(scene.check().is_ok());
        assert!(scene.notes(8)[0].contains("entity 1 (dog) leaves the picture"));
        scene.entities = vec![entity(
            &mask,
            Some(Trajectory::line([0.5, 0.5], [0.9, 0.5])),
        )];
        assert!(scene.notes(8).is_empty());
    }

    #[test]
    fn the_request_counts_before_the_scene_and_the_scene_before_the_model() {
        let all = |n: u32| Settings {
            frames: n,
            fps: n,
            steps: n,
            seed: u64::from(n),
            min_guidance: n as f32,
            max_guidance: n as f32,
            motion_bucket: n,
            noise_augmentation: n as f32,
            size: Some([n, n]),
            representation: Some(Representation::ALL[n as usize]),
            control: Some(Control::ALL[n as usize % 4]),
            sampler: Some([SamplerKind::Euler, SamplerKind::Consistency][n as usize % 2]),
            weak: n as f32,
            strong: n as f32,
        };
        let (request, scene, model) = (Choice::from(&all(3)), Choice::from(&all(4)), all(5));
        let nothing = Choice::default();
        assert_eq!(Settings::resolve(&request, &scene, &model), all(3));
        assert_eq!(Settings::resolve(&nothing, &scene, &model), all(4));
        assert_eq!(Settings::resolve(&request, &nothing, &model), all(3));
        assert_eq!(Settings::resolve(&nothing, &nothing, &model), all(5));
        // One by one.
        let request = Choice {
            steps: Some(3),
            ..Choice::default()
        };
        let scene = Choice {
            steps: Some(4),
            seed: Some(4),
            size: Some([4, 4]),
            ..Choice::default()
        };
        let wanted = Settings {
            steps: 3,
            seed: 4,
            size: Some([4, 4]),
            ..all(5)
        };
        assert_eq!(Settings::resolve(&request, &scene, &model), wanted);
        // What is no model's own business.
        let all = Choice::from(&all(4)).for_another_model();
        let wanted = Settings {
            seed: 4,
            motion_bucket: 4,
            size: Some([4, 4]),
            representation: Some(Representation::ALL[4]),
            control: Some(Control::ALL[0]),
            weak: 4.0,
            strong: 4.0,
            ..model.clone()
        };
        assert_eq!(Settings::resolve(&nothing, &all, &model), wanted);
    }

    #[test]
    fn what_is_chosen_is_checked_and_written_and_nothing_else() {
        let choice = |json: &str| serde_json::from_str::<Choice>(json).unwrap();
        let some = choice(r#"{"steps": 9, "unknown": [1]}"#);
        assert!(some.check().is_ok());
        assert_eq!(serde_json::to_string(&some).unwrap(), r#"{"steps":9}"#);
        let said = choice(r#"{"steps": 9000}"#)
            .check()
            .unwrap_err()
            .to_string();
        assert!(said.contains("steps is 9000"), "{said}");
        assert!(choice(r#"{"max_guidance": 1e39}"#).check().is_err());
    }

    #[test]
    fn defaults_pass_and_nonsense_is_named() {
        assert!(Settings::default().check().is_ok());
        let said = |s: Settings| s.check().unwrap_err().to_string();
        assert!(
            said(Settings {
                frames: 0,
                ..Default::default()
            })
            .contains("number of frames is 0")
        );
        assert!(
            said(Settings {
                frames: u32::MAX,
                ..Default::default()
            })
            .contains("2 to 121")
        );
        assert!(
            said(Settings {
                steps: 0,
                ..Default::default()
            })
            .contains("steps")
        );
        assert!(
            said(Settings {
                max_guidance: f32::NAN,
                ..Default::default()
            })
            .contains("guidance")
        );
        let sized = |size| Settings {
            size: Some(size),
            ..Default::default()
        };
        assert!(sized([576, 320]).check().is_ok());
        assert!(said(sized([576, 0])).contains("the video's height is 0; choose a value from 16"));
        assert!(said(sized([u32::MAX, 320])).contains("width"));
    }
}
