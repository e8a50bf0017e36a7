//! From a [`Job`] to what the networks take: sizes, the picture in -1..1, masks and tracks in pixels.

use dragentity_core::Error;
use dragentity_core::Job;
use dragentity_core::Result;
use dragentity_core::scene::draft::{Draft, Holes, Layer, draft};
use dragentity_core::scene::parts::held_together;
use dragentity_core::scene::picture::model_size;
use dragentity_core::scene::{Picture, Trajectory, raster};
use dragentity_networks::dragentity::bundle::ModelIndex;
use dragentity_networks::dragentity::condition::{ConditionInput, EntityInput};
use dragentity_networks::dragentity::denoiser::ResidualBase;

/// A job at the model's size.
pub struct Plan {
    /// Width of the video in pixels.
    pub width: usize,
    /// Height of the video in pixels.
    pub height: usize,
    /// Number of frames.
    pub frames: usize,
    /// Size of the result, as a multiple of the networks'.
    pub scale: usize,
    /// The draft at the size of the result, a frame of `[height, width, 3]` values in -1..1 each, where the
    /// model builds on it.
    pub detail: Option<Vec<Vec<f32>>>,
    /// The first frame, `height * width * 3` values in -1..1.
    pub picture: Vec<f32>,
    /// Masks and tracks.
    pub input: ConditionInput,
}

/// `height * width * 3` values in -1..1.
pub fn to_unit(picture: &Picture) -> Vec<f32> {
    picture
        .rgb
        .iter()
        .map(|&byte| byte as f32 / 127.5 - 1.0)
        .collect()
}

/// `[3, height, width]` from `[height, width, 3]`, appended to `out`.
pub fn push_planes(interleaved: &[f32], out: &mut Vec<f32>) {
    for channel in 0..3 {
        out.extend(interleaved.iter().skip(channel).step_by(3));
    }
}

/// Draws the draft of what the networks are asked for (see [`dragentity_core::scene::draft`]).
pub fn draft_of(picture: &[f32], input: &ConditionInput, holes: Holes) -> Draft {
    let masks: Vec<Vec<f32>> = input
        .entities
        .iter()
        .map(|entity| raster::coverage(&entity.mask, input.width, input.height))
        .collect();
    let offsets: Vec<Vec<[f32; 2]>> = input
        .entities
        .iter()
        .map(|entity| from_first(&entity.track))
        .collect();
    let layers: Vec<Layer<'_>> = masks
        .iter()
        .zip(&offsets)
        .map(|(mask, offsets)| Layer { mask, offsets })
        .collect();
    draft(
        picture,
        input.width,
        input.height,
        &layers,
        &from_first(&input.background),
        input.frames,
        holes,
    )
}

fn from_first(track: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let Some(first) = track.first() else {
        return Vec::new();
    };
    track
        .iter()
        .map(|p| [p[0] - first[0], p[1] - first[1]])
        .collect()
}

/// Masks and tracks at one size, in pixels; those of a group in which something moves, held together. Of `max_entities` at most,
/// back to front.
pub fn conditions(
    job: &Job,
    width: u32,
    height: u32,
    frames: usize,
    max_entities: usize,
) -> ConditionInput {
    let size = [width as f32, height as f32];
    let held = held_together(&job.scene.entities, max_entities);
    let track = |trajectory: &Trajectory| -> Vec<[f32; 2]> {
        let start = trajectory.start();
        trajectory
            .offsets(frames)
            .into_iter()
            .map(|o| [(start[0] + o[0]) * size[0], (start[1] + o[1]) * size[1]])
            .collect()
    };
    ConditionInput {
        frames,
        width: width as usize,
        height: height as usize,
        entities: job
            .scene
            .layers()
            .into_iter()
            .filter_map(|i| {
                Some(EntityInput {
                    mask: job.scene.entities[i].mask.resized(width, height),
                    track: track(held[i].trajectory.as_ref()?),
                })
            })
            .collect(),
        background: job
            .scene
            .background
            .as_ref()
            .map(|trajectory| from_first(&track(trajectory)))
            .unwrap_or_default(),
    }
}

impl Plan {
    /// Lays out a job.
    ///
    /// # Errors
    /// Those of [`dragentity_core::scene::Scene::check`] and [`dragentity_core::scene::Settings::check`], and [`Error::Job`] when more
    /// entities move than the model takes, or trajectories are to be shown otherwise than it was trained with.
    pub fn new(job: &Job, index: &ModelIndex) -> Result<Self> {
        job.scene.check()?;
        job.settings.check()?;
        index.condition.check_asked(job.settings.representation)?;
        let picture = &job.scene.picture;
        let frames = job.settings.frames as usize;
        let moving = job
            .scene
            .entities
            .iter()
            .filter(|entity| entity.trajectory.is_some())
            .count();
        if moving > index.max_entities {
            return Err(Error::Job(format!(
                "{moving} entities have trajectories, the model takes {}: remove some",
                index.max_entities
            )));
        }
        let (width, height) = model_size(
            picture.width,
            picture.height,
            index.sample_side,
            index.size_multiple,
        );
        let detail = (index.residual_base == ResidualBase::Draft).then(|| {
            let (width, height) = (width * index.output_scale, height * index.output_scale);
            let large = to_unit(&picture.resized(width, height));
            let input = conditions(job, width, height, frames, index.max_entities);
            draft_of(&large, &input, Holes::Filled).frames
        });
        Ok(Self {
            width: width as usize,
            height: height as usize,
            frames,
            picture: to_unit(&picture.resized(width, height)),
            scale: index.output_scale as usize,
            detail,
            input: conditions(job, width, height, frames, index.max_entities),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dragentity_core::scene::{Entity, Mask, Order, Scene};

    #[test]
    fn entities_are_laid_out_back_to_front() {
        let square = |from: usize, trajectory| {
            let mut mask = Mask::empty(8, 8);
            mask.alpha[from..from + 3].fill(255);
            Entity {
                mask,
                trajectory: Some(trajectory),
                ..Entity::default()
            }
        };
        let mut job = Job {
            scene: Scene {
                picture: Picture::from_rgb(8, 8, vec![90; 192]).unwrap(),
                // What moves was made before what stays.
                entities: vec![
                    square(0, Trajectory::line([0.2, 0.1], [0.8, 0.1])),
                    square(40, Trajectory::pin(0.2, 0.7)),
                ],
                ..Scene::default()
            },
            ..Job::default()
        };
        let laid_out = |job: &Job| -> Vec<(bool, f32)> {
            let input = conditions(job, 8, 8, 2, 12);
            let entities = input.entities.iter();
            entities
                .map(|e| (e.mask.alpha[0] > 0, e.track[1][0] - e.track[0][0]))
                .collect()
        };
        let near = |made: Vec<(bool, f32)>, wanted: [(bool, f32); 2]| {
            assert_eq!(made.len(), 2);
            for ((mask, way), (its, to)) in made.into_iter().zip(wanted) {
                assert!(mask == its && (way - to).abs() < 1e-4, "{mask} {way}");
            }
        };
        near(laid_out(&job), [(false, 0.0), (true, 4.8)]);
        job.scene.order = Order::AsListed;
        near(laid_out(&job), [(true, 4.8), (false, 0.0)]);
    }
}
