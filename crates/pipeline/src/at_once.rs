//! Videos at once: things are cut out, what they hid is filled, and they are laid over it along their paths
//! (`dragentity-compositor`). No network makes a pixel; a small one may guess what lies behind ([`super::structure`]).

use super::behind_arms::{lay_behind_any_arms, lay_behind_arms};
use super::fill::filled;
use super::structure::{Structure, filling};
use super::transfer::pause;
use dragentity_compositor::frames::{Composition, Layer, Sprites};
use dragentity_core::error::Result;
use dragentity_core::event::Preview;
use dragentity_core::job::Reference;
use dragentity_core::scene::bend::Motion;
use dragentity_core::scene::draft::smooth_fill;
use dragentity_core::scene::settings::MAX_ENTITIES;
use dragentity_core::scene::{Behind, Entity, Mask, Picture, Pose, Scene, Settings};
use dragentity_core::{Cancel, Job, JobEvent, Video};
use std::cell::{OnceCell, RefCell};

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
    /// Directory or URL of the network that guesses what lies behind things.
    place: Option<String>,
    /// That network, once it was needed; nothing if there is none.
    structure: OnceCell<Option<Structure>>,
}

/// What a page needs to show things moving.
pub struct Prepared {
    /// The picture without what moves.
    pub plate: Picture,
    /// Back to front, each entity with what of it is drawn; their `layer` is the entity.
    pub layers: Vec<Sprites>,
}

struct Plate {
    picture: Picture,
    hole: Mask,
    source: Mask,
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
    /// With the network in a directory or at a URL, if there is one, to guess what lies behind things; it is loaded with the first
    /// plate.
    pub fn new(structure: Option<String>) -> Self {
        Self {
            place: structure,
            ..Self::default()
        }
    }

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
        let (width, height) = size_of(&job.scene.picture, &job.settings);
        let frames = job.settings.frames as usize;
        observer(JobEvent::Plan {
            width,
            height,
            frames: frames as u32,
            steps: job.settings.steps,
            device: "the CPU, without a network".into(),
        });
        observer(JobEvent::Encoding);
        let video = |frames: Vec<Vec<u8>>, fps: u32| Video {
            width,
            height,
            fps,
            frames,
        };
        let preview = |composition: &mut Composition, hole: &Mask| {
            composition.set_plate(smooth_fill(composition.lit(), hole));
            let some = composition.frames((0..frames).step_by(PREVIEW));
            let fps = (job.settings.fps / PREVIEW as u32).max(1);
            Some(Preview::new(video(some, fps)))
        };
        let size = [width, height];
        let composition = self.compose(job, size, preview, cancel, observer).await?;
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

    /// What another model is to follow: the same frames, of `size` pixels, and where they are known to be right.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub async fn reference(
        &self,
        job: &Job,
        size: [u32; 2],
        cancel: &Cancel,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Reference> {
        job.scene.check()?;
        job.settings.check()?;
        let nothing = |_: &mut Composition, _: &Mask| None;
        let composition = self.compose(job, size, nothing, cancel, observer).await?;
        let frames = job.settings.frames as usize;
        let (mut made, mut closely) = (Vec::new(), Vec::new());
        for frame in 0..frames {
            made.push(composition.frame(frame));
            closely.push(composition.followed(frame));
            pause(cancel).await?;
        }
        let [width, height] = size;
        Ok(Reference {
            video: Video {
                width,
                height,
                fps: job.settings.fps,
                frames: made,
            },
            closely,
        })
    }

    /// Cuts out what a job moves, and fills what was behind it. `preview` gets a composition that has no plate yet, and what is
    /// to be filled; what it gives is told.
    async fn compose(
        &self,
        job: &Job,
        [width, height]: [u32; 2],
        preview: impl Fn(&mut Composition, &Mask) -> Option<Preview>,
        cancel: &Cancel,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Composition> {
        pause(cancel).await?;
        let mut composition = composition(job, width, height);
        while composition.advance() {
            pause(cancel).await?;
        }
        let moving = moving(job);
        lay_behind_arms(&mut composition, &moving, job, cancel, observer).await?;
        if let Some(hole) = composition.hole() {
            if let Some(plate) = &job.scene.behind.plate {
                composition.set_own_plate(plate);
                return Ok(composition);
            }
            let source = composition.source();
            if self.known(composition.lit(), &hole, &source).is_none()
                && let Some(preview) = preview(&mut composition, &hole)
            {
                observer(JobEvent::Preview(preview));
                pause(cancel).await?;
            }
            let filled = self.fill(&composition, hole, cancel, observer).await?;
            composition.set_plate(filled);
        }
        Ok(composition)
    }

    /// The plate, if it is the last one.
    fn known(&self, picture: &Picture, hole: &Mask, source: &Mask) -> Option<Picture> {
        let plate = self.plate.borrow();
        let same = plate.as_ref().filter(|plate| {
            plate.hole == *hole && plate.source == *source && plate.picture == *picture
        })?;
        Some(same.filled.clone())
    }

    /// What is shown while paths are drawn: the plate behind everything that is not pinned, and what lies over it. A job
    /// in which the same things move finds its plate made.
    ///
    /// # Errors
    /// [`Error::Cancelled`](dragentity_core::Error::Cancelled).
    pub async fn prepare(
        &self,
        scene: &Scene,
        cancel: &Cancel,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Prepared> {
        let (width, height) = size_of(&scene.picture, &settings());
        // Anywhere it may be dragged.
        let [w, h] = [width, height].map(|side| side as f32 / 2.0);
        let ways = [[0.0, 0.0], [w, 0.0], [-w, 0.0], [0.0, h], [0.0, -h]];
        let entities: Vec<usize> = scene
            .layers()
            .into_iter()
            .filter(|&i| !scene.entities[i].mask.is_empty() && !scene.entities[i].look.hidden)
            .collect();
        let layers = entities.iter().map(|&i| Layer {
            mask: scene.entities[i].mask.clone(),
            motion: Motion::Shift(match scene.entities[i].is_pinned() {
                true => vec![[0.0; 2]; ways.len()],
                false => ways.to_vec(),
            }),
            depths: Vec::new(),
            shadow: scene.entities[i].shadow.clone(),
        });
        let picture = scene.picture.resized(width, height);
        let composition = Composition::new(picture, layers.collect(), Vec::new());
        let mut composition = steered(composition, &scene.behind);
        while composition.advance() {
            pause(cancel).await?;
        }
        for (layer, &i) in entities.iter().enumerate() {
            let entity = &scene.entities[i];
            if !entity.is_pinned() {
                lay_behind_any_arms(&mut composition, (layer, entity), cancel, observer).await?;
            }
        }
        if let Some(hole) = composition.hole() {
            if let Some(plate) = &scene.behind.plate {
                composition.set_own_plate(plate);
            } else {
                let filled = self.fill(&composition, hole, cancel, observer).await?;
                composition.set_plate(filled);
            }
        }
        let of_entities = composition.sprites().into_iter().map(|own| Sprites {
            layer: entities[own.layer],
            ..own
        });
        Ok(Prepared {
            plate: composition.plate().clone(),
            layers: of_entities.collect(),
        })
    }

    /// The network that guesses. A plate needs none: one that cannot be had is done without.
    async fn structure(&self) -> Option<&Structure> {
        if self.structure.get().is_none() {
            let found = match &self.place {
                Some(place) => Structure::find(place).await,
                None => Ok(None),
            };
            let found = found.unwrap_or_else(|error| {
                log::warn!("plates are made without a guess of what lies behind: {error}");
                None
            });
            // Whoever else asked meanwhile has found the same.
            let _ = self.structure.set(found);
        }
        self.structure.get().and_then(Option::as_ref)
    }

    /// Fills what is hidden, and keeps it for the next job.
    async fn fill(
        &self,
        composition: &Composition,
        hole: Mask,
        cancel: &Cancel,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Picture> {
        let picture = composition.lit();
        let source = composition.source();
        if let Some(filled) = self.known(picture, &hole, &source) {
            return Ok(filled);
        }
        let known = source.alpha.iter().filter(|&&a| a > 0).count();
        let least = match composition.is_filled_from_part() {
            true => 0.0,
            false => LEAST_KNOWN * source.alpha.len() as f32,
        };
        let filled = if (known as f32) <= least {
            smooth_fill(picture, &hole)
        } else {
            let structure = self.structure().await;
            let begun = filling(structure, picture, &hole, Some(&source)).await?;
            filled(begun, cancel, observer).await?
        };
        *self.plate.borrow_mut() = Some(Plate {
            picture: picture.clone(),
            hole,
            source,
            filled: filled.clone(),
        });
        Ok(filled)
    }
}

/// Width and height, in pixels, of the video that is made of a job.
pub fn size(job: &Job) -> [u32; 2] {
    let (width, height) = size_of(&job.scene.picture, &job.settings);
    [width, height]
}

/// Width and height of the video in pixels.
fn size_of(picture: &Picture, settings: &Settings) -> (u32, u32) {
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

/// What has a motion in a job, back to front, groups held together.
fn moving(job: &Job) -> Vec<Entity> {
    let scene = &job.scene;
    let held = scene.held(MAX_ENTITIES);
    let entities = scene.layers().into_iter().map(|i| Entity {
        trajectory: held[i].trajectory.clone(),
        poses: held[i].poses.clone(),
        ..scene.entities[i].clone()
    });
    entities.filter(Entity::has_motion).collect()
}

/// Lays out a job: picture, masks and paths at the video's size.
fn composition(job: &Job, width: u32, height: u32) -> Composition {
    let scene = &job.scene;
    let frames = job.settings.frames as usize;
    let picture = scene.picture.resized(width, height);
    let entities = moving(job);
    let strengths = entities.iter().map(|e| e.strength.share()).collect();
    let layers = entities.into_iter().map(|entity| Layer {
        motion: Motion::of(&entity, &picture, frames, [width, height]),
        depths: Pose::sample(&entity.poses, frames)
            .iter()
            .map(|pose| pose.depth)
            .collect(),
        mask: entity.mask,
        shadow: entity.shadow,
    });
    let camera = scene.background.as_ref().map(|path| {
        let offsets = path.offsets(frames).into_iter();
        let scaled = |[x, y]: [f32; 2]| [x * width as f32, y * height as f32];
        offsets.map(scaled).collect()
    });
    let layers = layers.collect();
    let view = scene.view.sample(frames);
    let composition = Composition::new(picture, layers, camera.unwrap_or_default());
    let composition = composition.over(scene.view.ground()).seen(view);
    let composition = composition.weighed(strengths);
    steered(composition, &scene.behind)
}

/// With what a person says of what is behind things.
fn steered(composition: Composition, behind: &Behind) -> Composition {
    match &behind.from {
        Some(from) => composition.filled_from(from),
        None => composition,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dragentity_compositor::cutout::Sprite;
    use dragentity_core::Error;
    use dragentity_core::scene::{Skeleton, Trajectory};

    /// A disc on stripes, which goes to the right.
    fn job(frames: u32) -> Job {
        let (width, height) = (120_u32, 80_u32);
        let inside = |x: u32, y: u32| (x as f32 - 40.0).hypot(y as f32 - 40.0) < 14.0;
        let mut rgb = Vec::new();
        let mut mask = Mask::empty(width, height);
        for y in 0..height {
            for x in 0..width {
                let stripe = if (x / 4) % 2 == 0 { 60 } else { 110 };
                rgb.extend(if inside(x, y) {
                    [230, 40, 30]
                } else {
                    [stripe, stripe, 90]
                });
                mask.alpha[(y * width + x) as usize] = if inside(x, y) { 255 } else { 0 };
            }
        }
        let scene = Scene {
            picture: Picture::from_rgb(width, height, rgb).unwrap(),
            entities: vec![Entity {
                mask,
                trajectory: Some(Trajectory::line([0.33, 0.5], [0.7, 0.5])),
                ..Entity::default()
            }],
            ..Scene::default()
        };
        let settings = Settings {
            frames,
            ..settings()
        };
        Job {
            scene,
            settings,
            ..Job::default()
        }
    }

    fn run(at_once: &AtOnce, job: &Job) -> (Video, Vec<JobEvent>) {
        let mut events = Vec::new();
        let mut hear = |event| events.push(event);
        let cancel = Cancel::new();
        let made = pollster::block_on(at_once.run(job, &cancel, &mut hear)).unwrap();
        (made, events)
    }

    #[test]
    fn the_first_frame_is_the_picture_and_nothing_of_the_thing_stays_behind() {
        let job = job(7);
        let (video, events) = run(&AtOnce::default(), &job);
        assert_eq!((video.width, video.height, video.fps), (120, 80, 24));
        assert_eq!(video.frames.len(), 7);
        assert_eq!(video.frames[0], *job.scene.picture.rgb);
        let red = |frame: &[u8], x: usize| frame[(40 * 120 + x) * 3];
        let last = &video.frames[6];
        assert!(red(last, 40) < 130, "still there: {}", red(last, 40));
        assert_eq!(red(last, 84), 230);
        // The stripes go on behind it: dark and light, where a smear has neither.
        let behind: Vec<u8> = (30..50).map(|x| red(last, x)).collect();
        let (dark, light) = (behind.iter().min().unwrap(), behind.iter().max().unwrap());
        assert!(*dark <= 75 && *light >= 95, "{behind:?}");
        assert!(events.iter().any(|e| matches!(e, JobEvent::Preview(_))));
        let told = |e: &JobEvent| matches!(e, JobEvent::Filling { .. });
        assert!(events.iter().any(told));
        let end = JobEvent::Decoding { done: 7, total: 7 };
        assert_eq!(events.last(), Some(&end));
    }

    #[test]
    fn plates_are_made_without_a_network_that_cannot_be_had() {
        let job = job(4);
        let dir = tempfile::tempdir().unwrap();
        let place = || Some(dir.path().display().to_string());
        let plain = run(&AtOnce::default(), &job).0.frames;
        assert!(run(&AtOnce::new(place()), &job).0.frames == plain);
        std::fs::write(dir.path().join("config.json"), b"{").unwrap();
        assert!(run(&AtOnce::new(place()), &job).0.frames == plain);
    }

    #[test]
    fn another_path_needs_no_new_plate_and_another_size_does() {
        let at_once = AtOnce::default();
        let fills = |job: &Job| {
            let (_, events) = run(&at_once, job);
            events.iter().any(|e| matches!(e, JobEvent::Filling { .. }))
        };
        let mut job = job(3);
        assert!(fills(&job));
        job.scene.entities[0].trajectory = Some(Trajectory::line([0.33, 0.5], [0.5, 0.3]));
        assert!(!fills(&job));
        job.settings.size = Some([96, 64]);
        assert!(fills(&job));
    }

    #[test]
    fn what_is_shown_while_dragging_is_what_is_made_after_it() {
        let at_once = AtOnce::default();
        let mut job = job(2);
        let path = job.scene.entities[0].trajectory.take();
        let (cancel, mut hear) = (Cancel::new(), |_| {});
        let prepared = at_once.prepare(&job.scene, &cancel, &mut hear);
        let prepared = pollster::block_on(prepared).unwrap();
        assert_eq!(prepared.layers.len(), 1);
        let Sprites { layer, thing, .. } = &prepared.layers[0];
        let (sprite, entity) = (thing, layer);
        assert!(*entity == 0 && prepared.layers[0].shade.is_none());
        // 48 pixels to the right, as a canvas draws it.
        let mut drawn = prepared.plate.rgb.to_vec();
        for (at, pixel) in sprite.rgba.chunks_exact(4).enumerate() {
            let (w, x) = (sprite.width as i32, at as i32);
            let place = (sprite.y + x / w) * 120 + sprite.x + x % w + 48;
            let alpha = f32::from(pixel[3]) / 255.0;
            for (to, &from) in drawn[place as usize * 3..][..3].iter_mut().zip(pixel) {
                *to = (f32::from(from) * alpha + f32::from(*to) * (1.0 - alpha)).round() as u8;
            }
        }
        job.scene.entities[0].trajectory = path.map(|_| Trajectory::line([0.3, 0.5], [0.7, 0.5]));
        let (video, events) = run(&at_once, &job);
        let filled = |e: &JobEvent| matches!(e, JobEvent::Filling { .. });
        assert!(!events.iter().any(filled), "the plate was made");
        // Alpha has 8 bits on a canvas: colours differ by a step or two.
        for (at, (a, b)) in drawn.iter().zip(&video.frames[1]).enumerate() {
            assert!(a.abs_diff(*b) <= 3, "{at}: {a} {b}");
        }
    }

    #[test]
    fn sizes_and_what_cannot_be_done() {
        let large = Picture {
            width: 4000,
            height: 3000,
            ..Picture::default()
        };
        assert_eq!(size_of(&large, &settings()), (1280, 960));
        let chosen = Settings {
            size: Some([640, 360]),
            ..settings()
        };
        assert_eq!(size_of(&large, &chosen), (640, 360));
        let cancel = Cancel::new();
        cancel.cancel();
        let at_once = AtOnce::default();
        let cancelled = pollster::block_on(at_once.run(&job(3), &cancel, &mut |_| {}));
        assert!(matches!(cancelled, Err(Error::Cancelled)));
        let nothing = pollster::block_on(at_once.run(&Job::default(), &Cancel::new(), &mut |_| {}));
        assert!(nothing.is_err());
        // A mask over everything leaves nothing to fill from: what was there is moved, and no more.
        let mut all = job(2);
        all.scene.entities[0].mask = Mask::from_alpha(1, 1, vec![255]).unwrap();
        let (video, _) = run(&at_once, &all);
        assert_eq!(video.frames[0], *all.scene.picture.rgb);
        assert!(video.frames[1] != video.frames[0]);
    }

    /// A red trunk on green ground with its legs, and a blue arm across it whose hand goes away to the left.
    fn person() -> Job {
        let (width, height) = (120_u32, 160_u32);
        let arm = |x: u32, y: u32| (36..84).contains(&x) && (62..70).contains(&y);
        let body = |x: u32, y: u32| {
            let trunk = (40..80).contains(&x) && (20..90).contains(&y);
            let legs = (40..56).contains(&x) || (64..80).contains(&x);
            trunk || legs && (90..150).contains(&y)
        };
        let mut rgb = Vec::new();
        let mut mask = Mask::empty(width, height);
        for y in 0..height {
            for x in 0..width {
                let (arm, body) = (arm(x, y), body(x, y));
                rgb.extend(match (arm, body) {
                    (true, _) => [30, 40, 220],
                    (_, true) => [210, 40 + (x * 7 % 20) as u8, 30],
                    _ => [40, 150 + (x * 5 % 30) as u8, 60],
                });
                mask.alpha[(y * width + x) as usize] = if arm || body { 255 } else { 0 };
            }
        }
        let joints: [[f32; 2]; 19] = [
            [60.0, 24.0],
            [60.0, 34.0],
            [60.0, 90.0],
            [76.0, 34.0],
            [76.0, 50.0],
            [76.0, 62.0],
            [76.0, 66.0],
            // The right arm: from the shoulder down its side, then across.
            [44.0, 34.0],
            [40.0, 66.0],
            [72.0, 66.0],
            [80.0, 66.0],
            [72.0, 90.0],
            [72.0, 120.0],
            [72.0, 145.0],
            [74.0, 149.0],
            [48.0, 90.0],
            [48.0, 120.0],
            [48.0, 145.0],
            [46.0, 149.0],
        ];
        let mut list = joints.map(|[x, y]| [x / width as f32, y / height as f32, 1.0]);
        // The other arm is behind.
        for hidden in &mut list[4..7] {
            hidden[2] = 0.0;
        }
        let entity = Entity {
            mask,
            trajectory: Some(Trajectory::line(
                [80.0 / 120.0, 66.0 / 160.0],
                [8.0 / 120.0, 66.0 / 160.0],
            )),
            skeleton: Skeleton::of_list(&list),
            ..Entity::default()
        };
        let scene = Scene {
            picture: Picture::from_rgb(width, height, rgb).unwrap(),
            entities: vec![entity],
            ..Scene::default()
        };
        let settings = Settings {
            frames: 6,
            ..settings()
        };
        Job {
            scene,
            settings,
            ..Job::default()
        }
    }

    #[test]
    fn what_arms_hide_is_there_before_any_is_led() {
        let mut job = person();
        job.scene.entities[0].trajectory = None;
        let prepare = |scene: &Scene| {
            let (cancel, mut hear) = (Cancel::new(), |_| {});
            let at_once = AtOnce::default();
            pollster::block_on(at_once.prepare(scene, &cancel, &mut hear)).unwrap()
        };
        let layers = prepare(&job.scene).layers;
        let [behind, own] = &layers[..] else {
            panic!("{} layers", layers.len())
        };
        assert!(behind.beneath && !own.beneath && (behind.layer, own.layer) == (0, 0));
        let at = |sprite: &Sprite, x: i32, y: i32| {
            let place = (y - sprite.y) * sprite.width as i32 + x - sprite.x;
            sprite.rgba[place as usize * 4..][..4].to_vec()
        };
        let [red, _, blue, alpha] = at(&behind.thing, 60, 66)[..] else {
            unreachable!()
        };
        assert!(
            red > 150 && blue < 110 && alpha == 255,
            "{red} {blue} {alpha}"
        );
        assert!(at(&own.thing, 60, 66)[2] > 150, "the arm itself");
        // Whom nobody is known to be has none.
        job.scene.entities[0].skeleton = None;
        assert_eq!(prepare(&job.scene).layers.len(), 1);
    }

    #[test]
    fn an_arm_that_leaves_the_trunk_leaves_no_hole_in_it() {
        let (video, _) = run(&AtOnce::default(), &person());
        assert_eq!(video.frames[0], *person().scene.picture.rgb);
        let last = &video.frames[5];
        let at = |x: usize, y: usize| &last[(y * 120 + x) * 3..][..3];
        // The hand is on the ground to the left, where the ground was.
        let blue = |pixel: &[u8]| pixel[2] > 150 && pixel[0] < 120;
        assert!(
            (10..30).any(|x| (56..76).any(|y| blue(at(x, y)))),
            "the arm is nowhere"
        );
        // Where it was there is trunk, but for the last pixels at the trunk's edge.
        for x in [54, 58, 63, 68] {
            let [red, green, blue] = at(x, 66) else {
                unreachable!()
            };
            assert!(
                *red > 150 && *green < 110 && *blue < 110,
                "{:?} at {x}",
                at(x, 66)
            );
        }
    }
}
