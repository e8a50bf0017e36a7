//! Videos at once, without any network: things are cut out, what they hid is filled, and they are laid over it along their
//! paths (`dragentity-compositor`).

use super::transfer::pause;
use dragentity_compositor::frames::{Composition, Layer};
use dragentity_compositor::plate::Filling;
use dragentity_core::error::Result;
use dragentity_core::event::Preview;
use dragentity_core::scene::draft::smooth_fill;
use dragentity_core::scene::parts::held_together;
use dragentity_core::scene::settings::MAX_ENTITIES;
use dragentity_core::scene::{Mask, Picture, Settings, Trajectory};
use dragentity_core::{Cancel, Job, JobEvent, Video};
use std::cell::RefCell;

/// What stands in the place of a model's directory where no model is to run.
pub const NAME: &str = "at-once";

/// Longest side, in pixels, of a video whose size nobody has chosen.
const LONGEST: u32 = 1280;
/// Of how many frames of the video a preview shows one.
const PREVIEW: usize = 6;
/// Frames between two looks at whether to stop.
const AT_A_TIME: usize = 4;
/// What leaves less of the picture than this is not filled from it.
const LEAST_KNOWN: f32 = 0.02;

/// What makes videos at once, and the last plate: another path over the same picture needs no new one.
#[derive(Default)]
pub struct AtOnce {
    plate: RefCell<Option<Plate>>,
}

struct Plate {
    picture: Picture,
    hole: Mask,
    filled: Picture,
}

/// Two seconds, as films have them.
pub fn settings() -> Settings {
    Settings {
        frames: 48,
        fps: 24,
        steps: 1,
        ..Settings::default()
    }
}

impl AtOnce {
    /// Runs a job. Frames are as large as the picture, unless the job says how large they are or that is more than 1,280
    /// pixels. The first frame is the picture.
    ///
    /// # Errors
    /// [`Error::Job`](dragentity_core::Error::Job) for a job that asks for nothing or too much,
    /// [`Error::Cancelled`](dragentity_core::Error::Cancelled) soon after being cancelled.
    pub async fn run(
        &self,
        job: &Job,
        cancel: &Cancel,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Video> {
        job.scene.check()?;
        job.settings.check()?;
        let (width, height) = size(&job.scene.picture, &job.settings);
        let frames = job.settings.frames as usize;
        observer(JobEvent::Plan {
            width,
            height,
            frames: frames as u32,
            steps: job.settings.steps,
            device: "the CPU, without a network".into(),
        });
        observer(JobEvent::Encoding);
        pause(cancel).await?;
        let mut composition = composition(job, width, height);
        while composition.advance() {
            pause(cancel).await?;
        }
        let video = |frames: Vec<Vec<u8>>, fps: u32| Video {
            width,
            height,
            fps,
            frames,
        };
        if let Some(hole) = composition.hole() {
            let filled = match self.known(composition.picture(), &hole) {
                Some(filled) => filled,
                None => {
                    let picture = composition.picture();
                    composition.set_plate(smooth_fill(picture, &hole));
                    let some = composition.frames((0..frames).step_by(PREVIEW));
                    let fps = (job.settings.fps / PREVIEW as u32).max(1);
                    observer(JobEvent::Preview(Preview::new(video(some, fps))));
                    pause(cancel).await?;
                    self.fill(&composition, hole, cancel, observer).await?
                }
            };
            composition.set_plate(filled);
        }
        let mut made = Vec::with_capacity(frames);
        while made.len() < frames {
            let next = made.len()..(made.len() + AT_A_TIME).min(frames);
            made.extend(composition.frames(next));
            observer(JobEvent::Decoding {
                done: made.len() as u32,
                total: frames as u32,
            });
            pause(cancel).await?;
        }
        Ok(video(made, job.settings.fps))
    }

    /// The plate, if it is the last one.
    fn known(&self, picture: &Picture, hole: &Mask) -> Option<Picture> {
        let plate = self.plate.borrow();
        let same = plate
            .as_ref()
            .filter(|plate| plate.hole == *hole && plate.picture == *picture)?;
        Some(same.filled.clone())
    }

    /// Fills what is hidden, and keeps it for the next job.
    async fn fill(
        &self,
        composition: &Composition,
        hole: Mask,
        cancel: &Cancel,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Picture> {
        let picture = composition.picture();
        let source = composition.source();
        let known = source.alpha.iter().filter(|&&a| a > 0).count();
        let filled = if (known as f32) < LEAST_KNOWN * source.alpha.len() as f32 {
            smooth_fill(picture, &hole)
        } else {
            let mut filling = Filling::new(picture, &hole, Some(&source))?;
            let mut more = true;
            while more {
                let (done, total) = filling.progress();
                observer(JobEvent::Filling { done, total });
                pause(cancel).await?;
                more = filling.advance();
            }
            filling.finish()
        };
        *self.plate.borrow_mut() = Some(Plate {
            picture: picture.clone(),
            hole,
            filled: filled.clone(),
        });
        Ok(filled)
    }
}

/// Width and height of the video in pixels.
fn size(picture: &Picture, settings: &Settings) -> (u32, u32) {
    if let Some([width, height]) = settings.size {
        return (width, height);
    }
    let (width, height) = (picture.width, picture.height);
    let long = width.max(height);
    if long <= LONGEST {
        return (width, height);
    }
    let scaled = |side: u32| ((side as u64 * LONGEST as u64 / long as u64) as u32).max(1);
    (scaled(width), scaled(height))
}

/// Lays out a job: picture, masks and paths at the video's size.
fn composition(job: &Job, width: u32, height: u32) -> Composition {
    let scene = &job.scene;
    let frames = job.settings.frames as usize;
    let held = held_together(&scene.entities, MAX_ENTITIES);
    let offsets = |path: &Trajectory| -> Vec<[f32; 2]> {
        let offsets = path.offsets(frames).into_iter();
        offsets
            .map(|[x, y]| [x * width as f32, y * height as f32])
            .collect()
    };
    let layers = scene.layers().into_iter().filter_map(|i| {
        Some(Layer {
            mask: scene.entities[i].mask.clone(),
            offsets: offsets(held[i].as_ref()?),
        })
    });
    let camera = scene.background.as_ref().map(offsets).unwrap_or_default();
    Composition::new(
        scene.picture.resized(width, height),
        layers.collect(),
        camera,
    )
}
