//! What is asked for, [`Job`] and [`ClickJob`], and what comes out, [`Video`]: the words that page, command line and server
//! share. What is said meanwhile are [`JobEvent`](super::JobEvent)s.

use crate::error::{Error, Result};
use crate::scene::{Mask, Picture, Scene, Settings};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One generation.
#[derive(Clone, Default)]
pub struct Job {
    /// Picture, entities and trajectories.
    pub scene: Scene,
    /// How to generate.
    pub settings: Settings,
    /// What Stable Video Diffusion follows instead of what it would be shown of the scene.
    pub reference: Option<Arc<Reference>>,
}

impl Job {
    /// What is to be done with a scene: how every front makes its jobs. A picture alone is a job for a model that
    /// needs no paths; what such a model is given beside it has to make sense all the same. What is hidden is left out.
    ///
    /// # Errors
    /// Those of [`Settings::check`] and [`Scene::check`].
    pub fn new(scene: Scene, settings: Settings, needs_paths: bool) -> Result<Self> {
        settings.check()?;
        let scene = scene.without_hidden();
        if needs_paths || !scene.is_picture_alone() {
            scene.check()?;
        }
        Ok(Self {
            scene,
            settings,
            reference: None,
        })
    }
}

/// A rough animation, and where it is to be followed closely (Time-to-Move's `motion_signal` and `mask`).
#[derive(Clone, PartialEq)]
pub struct Reference {
    /// What is followed; its first frame is the picture.
    pub video: Video,
    /// Where it is followed closely (inside), one for each frame and of its size. From 128, in none of the steps in which things are, to
    /// 255, in all of them.
    pub closely: Vec<Mask>,
}

impl Reference {
    /// The same with `frames` frames: later ones are left out.
    ///
    /// # Errors
    /// [`Error::Job`] when it has fewer, when there is not a mask for each of them, and when their sizes differ.
    pub fn with_frames(mut self, frames: usize) -> Result<Self> {
        let refuse = |why: String| Err(Error::Job(format!("the reference {why}")));
        let (has, masks) = (self.video.frames.len(), self.closely.len());
        if has.min(masks) < frames {
            return refuse(format!(
                "has {has} frames and {masks} masks, and the video {frames} frames: ask for fewer with --frames"
            ));
        }
        self.video.frames.truncate(frames);
        self.closely.truncate(frames);
        let (width, height) = (self.video.width, self.video.height);
        let pixels = width as usize * height as usize;
        let fits = |mask: &Mask| (mask.width, mask.height) == (width, height);
        if pixels == 0
            || !self
                .video
                .frames
                .iter()
                .all(|frame| frame.len() == pixels * 3)
            || !self.closely.iter().all(fits)
        {
            return refuse(format!(
                "is of {width} x {height} pixels, and some of its frames or masks are not"
            ));
        }
        Ok(self)
    }
}

/// One click.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Click {
    /// Fraction of the picture's width.
    pub x: f32,
    /// Fraction of the picture's height.
    pub y: f32,
    /// Whether it lies in the entity, or marks what is not of it.
    pub positive: bool,
}

/// One mask: that of what was clicked in a picture, or framed.
#[derive(Clone, Default)]
pub struct ClickJob {
    /// Where the clicks are.
    pub picture: Picture,
    /// All of them so far.
    pub clicks: Vec<Click>,
    /// A box around the thing, in fractions of the picture: left, top, right, bottom.
    pub bounds: Option<[f32; 4]>,
    /// The mask to refine.
    pub previous: Option<Mask>,
    /// One click alone, or a box, may mean a thing, a part of it, or what it is a part of: which of these, the likeliest being
    /// the first. After the last it begins again.
    pub candidate: usize,
}

impl ClickJob {
    /// Checks that there is something to make a mask of.
    ///
    /// # Errors
    /// [`Error::Job`] without a picture, without a click into the thing or a box around it, and for a box that is none.
    pub fn check(&self) -> Result<()> {
        if self.picture.is_empty() {
            return Err(Error::Job("there is no picture yet: open one first".into()));
        }
        if let Some([left, top, right, bottom]) = self.bounds {
            // Numbers that are none compare as false.
            if !(left < right && top < bottom) {
                return Err(Error::Job(
                    "the box is empty: give left, top, right and bottom, in fractions of the picture".into(),
                ));
            }
        } else if !self.clicks.iter().any(|click| click.positive) {
            return Err(Error::Job("click the thing itself first".into()));
        }
        Ok(())
    }
}

/// Frames of a video, RGB, 8 bits a channel.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Video {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames a second.
    pub fps: u32,
    /// A `width * height * 3` buffer for each frame.
    #[serde(with = "blobs")]
    pub frames: Vec<Vec<u8>>,
}

/// Buffers of bytes as such: serde's own way would be lists of numbers.
mod blobs {
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_bytes::{ByteBuf, Bytes};

    pub fn serialize<S: Serializer>(buffers: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(buffers.iter().map(|buffer| Bytes::new(buffer)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let buffers = Vec::<ByteBuf>::deserialize(from)?;
        Ok(buffers.into_iter().map(ByteBuf::into_vec).collect())
    }
}

/// Shared with a running job; setting it makes the job return [`Error::Cancelled`] within one step.
#[derive(Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A fresh, unset flag.
    pub fn new() -> Self {
        Self::default()
    }
    /// Ask the job to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
    /// Whether it was asked to.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Entity, Look, Trajectory};

    #[test]
    fn what_is_hidden_is_in_no_job() {
        let thing = |hidden| {
            let mut mask = Mask::empty(2, 1);
            mask.alpha.fill(255);
            Entity {
                mask,
                trajectory: Some(Trajectory::line([0.2, 0.5], [0.8, 0.5])),
                look: Look {
                    hidden,
                    ..Look::default()
                },
                ..Entity::default()
            }
        };
        let scene = |entities| Scene {
            picture: Picture::from_rgb(2, 1, vec![0; 6]).unwrap(),
            entities,
            ..Scene::default()
        };
        let job = Job::new(
            scene(vec![thing(true), thing(false)]),
            Settings::default(),
            true,
        );
        assert_eq!(job.unwrap().scene.entities.len(), 1);
        let none = Job::new(scene(vec![thing(true)]), Settings::default(), true);
        let said = none.err().unwrap().to_string();
        assert!(said.contains("nothing is to move"), "{said}");
    }

    #[test]
    fn a_picture_alone_is_a_job_for_what_follows_no_paths() {
        let plain = || Scene {
            picture: Picture::from_rgb(2, 1, vec![0; 6]).unwrap(),
            ..Scene::default()
        };
        let refused = |scene, settings, needs_paths| {
            let made = Job::new(scene, settings, needs_paths);
            made.err().map(|e| e.to_string()).unwrap_or_default()
        };
        let settings = Settings::default;
        assert_eq!(refused(plain(), settings(), false), "");
        assert!(refused(plain(), settings(), true).contains("nothing is to move"));
        let moved = Scene {
            background: Some(Trajectory::pin(0.5, 0.5)),
            ..plain()
        };
        assert_eq!(refused(moved.clone(), settings(), true), "");
        assert_eq!(refused(moved, settings(), false), "");
        for needs_paths in [false, true] {
            assert!(refused(Scene::default(), settings(), needs_paths).contains("no picture"));
            let none = Settings {
                frames: 0,
                ..settings()
            };
            assert!(refused(plain(), none, needs_paths).contains("number of frames is 0"));
            let empty = Scene {
                entities: vec![Default::default()],
                ..plain()
            };
            assert!(refused(empty, settings(), needs_paths).contains("empty mask"));
        }
    }

    #[test]
    fn frames_are_left_out_and_what_does_not_fit_is_refused() {
        let reference = |frames: usize, masks: usize, side: u32| Reference {
            video: Video {
                width: 2,
                height: 2,
                fps: 7,
                frames: vec![vec![0; 12]; frames],
            },
            closely: vec![Mask::empty(side, 2); masks],
        };
        let kept = reference(5, 4, 2).with_frames(3).unwrap();
        assert_eq!((kept.video.frames.len(), kept.closely.len()), (3, 3));
        for (broken, why) in [
            (reference(2, 5, 2), "has 2 frames and 5 masks"),
            (reference(5, 2, 2), "--frames"),
            (reference(3, 3, 4), "2 x 2 pixels"),
        ] {
            let said = broken.with_frames(3).err().unwrap().to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
