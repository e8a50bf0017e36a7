//! What several models make of the same clips, as files to compare blind: a folder for each model, as
//! [`dragentity_core::study::Study::of_files`] reads them.

use super::motion::generate;
use super::{BATCH, bytes, clips_of};
use crate::data::{Dataset, EVAL_SEED, Pack, Split};
use crate::train::source::{Sample, sample};
use burn::tensor::backend::Backend;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::Video;
use dragentity_core::platform::make_dir;
use dragentity_core::scene::draft::Holes;
use dragentity_core::study::GIVEN;
use dragentity_media as media;
use dragentity_media::overlay;
use dragentity_networks::device::{Device, Task};
use dragentity_pipeline::engine::Engine;
use dragentity_pipeline::plan::draft_of;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model, and what its folder is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Name of the folder.
    pub name: String,
    /// Model directory.
    pub model: String,
}

impl Method {
    /// A model under the name of its directory.
    pub fn of_model(model: &str) -> Self {
        let name = model.trim_end_matches('/').rsplit('/').next();
        Self {
            name: name.filter(|n| !n.is_empty()).unwrap_or("model").into(),
            model: model.into(),
        }
    }
}

/// Which clips, and where to.
#[derive(Clone, Debug)]
pub struct VideosOptions {
    /// Models, of one frame size.
    pub methods: Vec<Method>,
    /// Pack of cut-outs and backgrounds.
    pub data: PathBuf,
    /// Number of clips.
    pub clips: u64,
    /// Denoising steps; `None`: each model's own.
    pub steps: Option<usize>,
    /// Folder that gets a folder of each method, and one of what they were given.
    pub folder: PathBuf,
}

/// Writes the videos: `METHOD/CLIP.webp`, and the picture with its paths as `given/CLIP.webp`.
///
/// # Errors
/// As [`super::evaluate`]; [`Error::Job`] for two methods of one name, or models of different frame sizes, whose clips are
/// not the same.
pub fn write_videos(options: &VideosOptions, device: Device) -> Result<()> {
    for (i, method) in options.methods.iter().enumerate() {
        if method.name.contains(['/', '\\']) || method.name.starts_with('.') {
            return Err(Error::Job(format!(
                "\"{}\" cannot be the name of a method's folder: choose another with --method",
                method.name
            )));
        }
        if method.name == GIVEN || options.methods[..i].iter().any(|m| m.name == method.name) {
            return Err(Error::Job(format!(
                "two folders would be called \"{}\"; give the models different names",
                method.name
            )));
        }
    }
    let mut seen = None;
    for method in &options.methods {
        let size = device.run(Write { options, method })??;
        if seen.is_some_and(|seen| seen != size) {
            return Err(Error::Job(format!(
                "{}: its frames have another size or number than those of the models before it, so that the clips are \
                 not the same",
                method.model
            )));
        }
        seen = Some(size);
    }
    Ok(())
}

struct Write<'a> {
    options: &'a VideosOptions,
    method: &'a Method,
}

impl Task for Write<'_> {
    /// Width, height and number of frames.
    type Output = Result<[usize; 3]>;

    fn run<B: Backend>(self, device: B::Device, name: String) -> Self::Output {
        let Self { options, method } = self;
        let engine =
            pollster::block_on(Engine::<B>::load(&method.model, device, name, &mut |_| {}))?;
        let index = &engine.bundle().config.index;
        let (fps, steps) = (index.fps, options.steps.unwrap_or(index.steps as usize));
        let pack = Arc::new(Pack::open(&options.data)?);
        let dataset = Dataset::new(pack, Split::HeldOut, clips_of(index), EVAL_SEED)?;
        let (to, given) = (
            options.folder.join(&method.name),
            options.folder.join(GIVEN),
        );
        make_dir(&to)?;
        make_dir(&given)?;
        let mut size = [0; 3];
        let mut first = 0;
        while first < options.clips {
            let count = BATCH.min(options.clips - first) as usize;
            let samples: Vec<Sample> = dataset.batch(first, count).iter().map(sample).collect();
            let drafts: Vec<Vec<Vec<f32>>> = samples
                .iter()
                .map(|s| draft_of(&s.frames[0], &s.input, Holes::Filled).frames)
                .collect();
            let (made, _) = generate(engine.bundle(), &samples, &drafts, steps, first)?;
            for (number, (sample, frames)) in (first..).zip(samples.iter().zip(made)) {
                let input = &sample.input;
                size = [input.width, input.height, input.frames];
                let file = format!("{number:04}.webp");
                let video = |frames: &[Vec<f32>]| -> Result<Video> {
                    let (width, height) = (input.width as u32, input.height as u32);
                    let video = Video {
                        width,
                        height,
                        fps,
                        frames: frames.iter().map(|frame| bytes(frame)).collect(),
                    };
                    let (width, height) = media::view_size((width, height), (width, height), None);
                    Ok(media::resized(&video, width, height)?.into_owned())
                };
                media::save(&video(&frames)?, &to.join(&file))?;
                save_given(&video(&sample.frames[..1])?, sample, &given.join(&file))?;
            }
            first += count as u64;
        }
        Ok(size)
    }
}

/// The first frame with the paths of the entities.
fn save_given(picture: &Video, sample: &Sample, path: &Path) -> Result<()> {
    let input = &sample.input;
    let mut canvas = overlay::Canvas::new(picture.width, picture.height, &picture.frames[0])?;
    let thick = picture.width.max(picture.height) as f32 / 96.0;
    for (index, entity) in input.entities.iter().enumerate() {
        let points: Vec<[f32; 2]> = entity
            .track
            .iter()
            .map(|p| [p[0] / input.width as f32, p[1] / input.height as f32])
            .collect();
        let colour = overlay::colour(index);
        canvas.line(&points, colour, 1.0, thick);
        if let Some(&end) = points.last() {
            canvas.dot(end, colour, 1.0, 2.0 * thick);
        }
    }
    let frames = vec![canvas.into_rgb()];
    media::save(&Video { frames, ..*picture }, path)
}
