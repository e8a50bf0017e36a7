//! CoTracker3 as a tracker, for who brings its weights: see `docs/src/tracks.md`.

use crate::transfer::{pictures, read};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, activation::sigmoid, backend::Backend};
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::Mask;
use dragentity_media::track::{EntityTrack, Tracks, mask_and_circle};
use dragentity_networks::cotracker::{CoTracker, CoTrackerConfig, STRIDE, Window};
use dragentity_networks::device::{Device, Task};

/// Corrections of each window, as the published program makes them.
const ITERATIONS: usize = 6;
/// Points along each side of a grid that is followed as well, since points say something about each other.
const GRID: usize = 6;
/// A point is seen where visibility times confidence is above this.
const SEEN: f32 = 0.6;

/// Where points are in each frame, in pixels whose centres are whole numbers, and how surely they are seen (0 to 1).
pub struct Points {
    /// `[frames][points]`
    pub places: Vec<Vec<[f32; 2]>>,
    /// Visibility times confidence, `[frames][points]`.
    pub seen: Vec<Vec<f32>>,
}

/// Follows points from the first frame on, window by window.
///
/// # Errors
/// [`Error::Device`], and whatever `frame` says, which gives frame `index` as `[1, 3, height, width]` in -1..1.
pub fn follow<B: Backend>(
    network: &CoTracker<B>,
    config: &CoTrackerConfig,
    frames: usize,
    queries: &[[f32; 2]],
    iterations: usize,
    device: &B::Device,
    frame: &mut dyn FnMut(usize) -> Result<Tensor<B, 4>>,
) -> Result<Points> {
    let (length, step) = (config.window_len, config.window_len / 2);
    let last = frames.saturating_sub(1);
    // The last frame stands for those that a window lacks.
    let mut features = |from: usize, count: usize| -> Result<Vec<Tensor<B, 4>>> {
        let pictures: Result<Vec<_>> = (from..from + count).map(|i| frame(i.min(last))).collect();
        Ok(network.features(Tensor::cat(pictures?, 0)))
    };
    let mut levels = features(0, length)?;
    let support = network.support(config, &levels, queries);
    let mut window = Window::start(queries, length, device);
    let mut points = Points {
        places: Vec::new(),
        seen: Vec::new(),
    };
    for number in 0.. {
        let at = number * step;
        window = network.correct(config, &levels, &support, window, iterations);
        points.places.truncate(at);
        points.seen.truncate(at);
        let places = pollster::block_on(read(window.coords.clone() * STRIDE as f32))?;
        let seen = sigmoid(window.vis.clone()) * sigmoid(window.conf.clone());
        let seen = pollster::block_on(read(seen))?;
        let n = queries.len();
        for k in 0..length.min(frames - at) {
            let places = &places[k * n * 2..(k + 1) * n * 2];
            points
                .places
                .push(places.chunks_exact(2).map(|p| [p[0], p[1]]).collect());
            points.seen.push(seen[k * n..(k + 1) * n].to_vec());
        }
        if at + length >= frames {
            break;
        }
        window = window.moved_on(step);
        // Half of the next window's frames are known.
        let next = features(at + length, step)?;
        levels = levels
            .into_iter()
            .zip(next)
            .map(|(old, new)| Tensor::cat(vec![old.narrow(0, step, length - step), new], 0))
            .collect();
    }
    Ok(points)
}

/// Tracks entities (name and mask in the first frame) through a video with the weights at `location`, on `device`.
///
/// # Errors
/// [`Error::Model`] and [`Error::Io`] when the weights cannot be loaded, [`Error::Device`], and [`Error::Job`] for a
/// mask with nothing inside.
pub fn track(
    location: &str,
    device: Device,
    video: &Video,
    entities: &[(String, Mask)],
    progress: &mut dyn FnMut(usize),
) -> Result<Tracks> {
    if video.frames.is_empty() {
        return Err(Error::Job(
            "a video without frames cannot be tracked".into(),
        ));
    }
    device.run(Follow {
        location,
        video,
        entities,
        progress,
    })?
}

struct Follow<'a> {
    location: &'a str,
    video: &'a Video,
    entities: &'a [(String, Mask)],
    progress: &'a mut dyn FnMut(usize),
}

impl Task for Follow<'_> {
    type Output = Result<Tracks>;

    fn run<B: Backend>(self, device: B::Device, _name: String) -> Result<Tracks> {
        let (video, progress) = (self.video, self.progress);
        let (config, network) =
            pollster::block_on(CoTrackerConfig::load::<B>(self.location, &device))?;
        let [height, width] = config.model_resolution;
        // Corners of the picture become corners of what the network sees.
        let scale = [(width, video.width), (height, video.height)]
            .map(|(to, from)| (to - 1) as f32 / (from.max(2) - 1) as f32);
        let mut tracks = Vec::with_capacity(self.entities.len());
        let mut queries = Vec::new();
        for (name, mask) in self.entities {
            let circle = mask_and_circle(mask, video.width, video.height)
                .map_err(|e| Error::Job(format!("{name}: {e}")))?
                .1;
            queries.push([0, 1].map(|axis| (circle.center[axis] - 0.5) * scale[axis]));
            tracks.push(EntityTrack {
                name: name.clone(),
                radius: circle.radius,
                points: vec![circle.center],
                visible: vec![true],
            });
        }
        queries.extend(grid(width, height));
        let mut frame = |index: usize| {
            progress(index);
            let rgb: Vec<f32> = video.frames[index]
                .iter()
                .map(|&b| f32::from(b) / 127.5 - 1.0)
                .collect();
            let (w, h) = (video.width as usize, video.height as usize);
            let picture = pictures::<B>(&[rgb], w, h, &device);
            let options = InterpolateOptions::new(InterpolateMode::Bilinear);
            Ok(interpolate(picture, [height, width], options))
        };
        let frames = video.frames.len();
        let points = follow(
            &network, &config, frames, &queries, ITERATIONS, &device, &mut frame,
        )?;
        for (k, track) in tracks.iter_mut().enumerate() {
            for (places, seen) in points.places.iter().zip(&points.seen).skip(1) {
                track
                    .points
                    .push([0, 1].map(|axis| places[k][axis] / scale[axis] + 0.5));
                track.visible.push(seen[k] > SEEN);
            }
        }
        Ok(Tracks {
            width: video.width,
            height: video.height,
            frames,
            entities: tracks,
        })
    }
}

/// Points all over the picture, a little away from its border.
fn grid(width: usize, height: usize) -> Vec<[f32; 2]> {
    let margin = width as f32 / 64.0;
    let at = |k: usize, side: usize| {
        margin + (side as f32 - 2.0 * margin) * k as f32 / (GRID - 1) as f32
    };
    (0..GRID * GRID)
        .map(|k| [at(k % GRID, width), at(k / GRID, height)])
        .collect()
}
