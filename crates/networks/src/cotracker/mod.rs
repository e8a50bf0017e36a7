//! CoTracker3 (Karaev and others, 2024), the published sliding-window network: points followed through a video, with
//! what is known of one corrected by where the others go.
//!
//! The names are those of the public checkpoints `scaled_online.pth` and `baseline_online.pth`; sizes are read off the
//! tensors themselves. Coordinates are pixels whose centres are whole numbers, at the network's own size.

mod encoder;
mod updateformer;

pub use encoder::BasicEncoder;
pub use updateformer::{EfficientUpdateFormer, Mlp};

use crate::fields::Fields;
use crate::weights::Weights;
use burn::module::Module;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::{GridSampleOptions, GridSamplePaddingMode, InterpolateMode};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::error::{Error, Result};

/// Pixels of the picture to one of the features, along each side.
pub const STRIDE: usize = 4;
/// Sizes at which features are compared, each half of the one before.
const LEVELS: usize = 4;
/// Octaves of the encoding of steps.
const OCTAVES: usize = 10;
/// Every head of the published transformer is this wide.
const HEAD_WIDTH: usize = 48;
/// Bounds of sizes that are not taken for garbled.
const MOST: usize = 1 << 13;
const MOST_LAYERS: usize = 64;
const MOST_RADIUS: usize = 7;

/// Sizes of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoTrackerConfig {
    /// Frames of a window.
    pub window_len: usize,
    /// Features are compared with those up to so many cells around.
    pub corr_radius: usize,
    /// Channels of the features.
    pub latent_dim: usize,
    /// Width inside the correlations' feed-forward, and of its result.
    pub corr_mlp: [usize; 2],
    /// Width of the transformer.
    pub hidden_size: usize,
    /// How often it attends over time and between tracks.
    pub depth: usize,
    /// Tracks through which the others speak.
    pub num_virtual_tracks: usize,
    /// Height and width of the picture it was trained on.
    pub model_resolution: [usize; 2],
}

impl Default for CoTrackerConfig {
    /// The published one.
    fn default() -> Self {
        Self {
            window_len: 16,
            corr_radius: 3,
            latent_dim: 128,
            corr_mlp: [384, 256],
            hidden_size: 384,
            depth: 3,
            num_virtual_tracks: 64,
            model_resolution: [384, 512],
        }
    }
}

impl CoTrackerConfig {
    /// The sizes of a network by its tensors.
    ///
    /// # Errors
    /// [`Error::Model`] when they are not those of this kind of network.
    pub fn of(weights: &Weights) -> Result<Self> {
        let fail = |reason: String| Error::Model {
            name: weights.name().to_owned(),
            reason,
        };
        let shape = |tensor: &str, rank: usize| {
            let found = weights.tensors().find(|(name, _)| *name == tensor);
            match found {
                Some((_, info))
                    if info.shape.len() == rank
                        && info.shape.iter().all(|n| (1..=MOST).contains(n)) =>
                {
                    Ok(info.shape.clone())
                }
                Some((_, info)) => Err(fail(format!(
                    "{tensor:?} is {:?}, which no CoTracker3 has",
                    info.shape
                ))),
                None => Err(fail(format!(
                    "{tensor:?} is missing: this is not CoTracker3 with a sliding window; take scaled_online.pth or \
                     baseline_online.pth (docs/src/tracks.md)"
                ))),
            }
        };
        let correlations = shape("corr_mlp.fc1.weight", 2)?;
        let radius = (0..=MOST_RADIUS).find(|r| (2 * r + 1usize).pow(4) == correlations[1]);
        let depth = (0..MOST_LAYERS)
            .take_while(|i| weights.has(&format!("updateformer.time_blocks.{i}.attn.to_q.weight")))
            .count();
        let config = Self {
            window_len: shape("time_emb", 3)?[1],
            corr_radius: radius.ok_or_else(|| {
                fail(format!(
                    "correlations of {} numbers are of no square",
                    correlations[1]
                ))
            })?,
            latent_dim: shape("fnet.conv3.weight", 4)?[0],
            corr_mlp: [correlations[0], shape("corr_mlp.fc2.weight", 2)?[0]],
            hidden_size: shape("updateformer.input_transform.weight", 2)?[0],
            depth,
            num_virtual_tracks: shape("updateformer.virual_tracks", 4)?[1],
            ..Self::default()
        };
        config.validate(weights.name())?;
        Ok(config)
    }

    /// Numbers of a track and frame that the transformer takes: visibility, confidence, correlations, steps.
    fn input_dim(&self) -> usize {
        2 + LEVELS * self.corr_mlp[1] + 4 * (2 * OCTAVES + 1)
    }

    /// Checks that the network can be built; `name` is what the error calls the file of its weights.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        fields.within("window_len", self.window_len, 2..=MOST)?;
        for (field, value, most) in [
            ("corr_radius", self.corr_radius, MOST_RADIUS),
            ("latent_dim", self.latent_dim, MOST),
            ("hidden_size", self.hidden_size, MOST),
            ("depth", self.depth, MOST_LAYERS),
            ("num_virtual_tracks", self.num_virtual_tracks, MOST),
        ] {
            fields.within(field, value, 1..=most)?;
        }
        fields.all_within("corr_mlp", &self.corr_mlp, 1..=MOST)?;
        fields.all_within("model_resolution", &self.model_resolution, 1..=MOST)?;
        fields.multiple("hidden_size", self.hidden_size, "a head's", HEAD_WIDTH)?;
        fields.multiple("latent_dim", self.latent_dim, "", 4)
    }

    /// The network, its weights random.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<CoTracker<B>> {
        self.validate("CoTracker3")?;
        let window = (2 * self.corr_radius + 1).pow(4);
        Ok(CoTracker {
            fnet: BasicEncoder::new(self.latent_dim, device),
            updateformer: EfficientUpdateFormer::new(
                self.input_dim(),
                self.hidden_size,
                self.hidden_size / HEAD_WIDTH,
                self.depth,
                self.num_virtual_tracks,
                device,
            ),
            corr_mlp: Mlp::new([window, self.corr_mlp[0], self.corr_mlp[1]], device),
        })
    }

    /// Opens the public weights.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::Io`].
    pub async fn load<B: Backend>(
        location: &str,
        device: &B::Device,
    ) -> Result<(Self, CoTracker<B>)> {
        let weights = Weights::open(location, &mut |_, _| {}).await?;
        let config = Self::of(&weights)?;
        // A table that is computed here.
        let weights = weights.renamed(|name| (name != "time_emb").then(|| name.to_owned()));
        let (network, _) = weights.load(config.init(device)?)?;
        Ok((config, network))
    }
}

/// The network (`CoTrackerThreeOnline`).
#[derive(Module, Debug)]
pub struct CoTracker<B: Backend> {
    fnet: BasicEncoder<B>,
    updateformer: EfficientUpdateFormer<B>,
    corr_mlp: Mlp<B>,
}

/// What is known of the points in the frames of a window.
#[derive(Clone, Debug)]
pub struct Window<B: Backend> {
    /// Places, in cells of the features. `[frames, points, 2]`
    pub coords: Tensor<B, 3>,
    /// Visibility before the sigmoid. `[frames, points, 1]`
    pub vis: Tensor<B, 3>,
    /// Confidence before the sigmoid. `[frames, points, 1]`
    pub conf: Tensor<B, 3>,
}

impl<B: Backend> Window<B> {
    /// The points stand where they are asked for; nothing is known.
    pub fn start(queries: &[[f32; 2]], frames: usize, device: &B::Device) -> Self {
        let n = queries.len();
        let cells: Vec<f32> = queries
            .iter()
            .flatten()
            .map(|v| v / STRIDE as f32)
            .collect();
        let coords = Tensor::<B, 3>::from_data(TensorData::new(cells, [1, n, 2]), device);
        Self {
            coords: coords.expand([frames, n, 2]),
            vis: Tensor::zeros([frames, n, 1], device),
            conf: Tensor::zeros([frames, n, 1], device),
        }
    }

    /// The second half becomes the first one, its last frame stands for the frames that follow.
    pub fn moved_on(self, step: usize) -> Self {
        let half = |x: Tensor<B, 3>| {
            let [frames, n, c] = x.dims();
            let kept = x.narrow(0, step, frames - step);
            let last = kept
                .clone()
                .narrow(0, frames - step - 1, 1)
                .expand([step, n, c]);
            Tensor::cat(vec![kept, last], 0)
        };
        Self {
            coords: half(self.coords),
            vis: half(self.vis),
            conf: half(self.conf),
        }
    }
}

/// `x` bilinearly at places in pixels, beyond the border as at it.
///
/// # Shapes
/// - `x`: `[n, channels, height, width]`
/// - `places`: `[n, count, 2]`, x and y
/// - output: `[n, count, channels]`
fn sample<B: Backend>(x: Tensor<B, 4>, places: Tensor<B, 3>) -> Tensor<B, 3> {
    let [n, c, h, w] = x.dims();
    let count = places.dims()[1];
    let scale = |side: usize| 2.0 / (side.max(2) - 1) as f32;
    let scale = Tensor::<B, 1>::from_floats([scale(w), scale(h)], &x.device());
    let grid = places * scale.reshape([1, 1, 2]) - 1.0;
    let options = GridSampleOptions::new(InterpolateMode::Bilinear)
        .with_padding_mode(GridSamplePaddingMode::Border)
        .with_align_corners(true);
    x.grid_sample_2d(grid.reshape([n, count, 1, 2]), options)
        .reshape([n, c, count])
        .swap_dims(1, 2)
}

impl<B: Backend> CoTracker<B> {
    /// Features of frames, at each level; vectors have length 1 at the first.
    ///
    /// # Shapes
    /// - `frames`: `[frames, 3, height, width]` in -1..1
    /// - output: `[frames, channels, height / 4, width / 4]` and halves of it
    pub fn features(&self, frames: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let x = self.fnet.forward(frames);
        let squares = x.clone().powi_scalar(2).sum_dim(1).clamp_min(1e-12);
        let mut levels = vec![x / squares.sqrt()];
        for level in 1..LEVELS {
            let half = avg_pool2d(
                levels[level - 1].clone(),
                [2, 2],
                [2, 2],
                [0, 0],
                true,
                false,
            );
            levels.push(half);
        }
        levels
    }

    /// Offsets of the cells around a point, x by rows and y by columns. `[1, 1, cells, 2]`
    fn around(config: &CoTrackerConfig, device: &B::Device) -> Tensor<B, 4> {
        let r = config.corr_radius as i32;
        let side = 2 * config.corr_radius + 1;
        let offsets: Vec<f32> = (-r..=r)
            .flat_map(|x| (-r..=r).flat_map(move |y| [x as f32, y as f32]))
            .collect();
        Tensor::from_data(TensorData::new(offsets, [1, 1, side * side, 2]), device)
    }

    /// Features around places at each level. `[frames, points, cells, channels]`
    fn patches(
        config: &CoTrackerConfig,
        features: &[Tensor<B, 4>],
        coords: Tensor<B, 3>,
    ) -> Vec<Tensor<B, 4>> {
        let [frames, n, _] = coords.dims();
        let around = Self::around(config, &coords.device());
        let cells = around.dims()[2];
        let level = |(level, features): (usize, &Tensor<B, 4>)| {
            let centres = coords.clone() / (1 << level) as f32;
            let places = centres.reshape([frames, n, 1, 2]) + around.clone();
            let channels = features.dims()[1];
            sample(features.clone(), places.reshape([frames, n * cells, 2]))
                .reshape([frames, n, cells, channels])
        };
        features.iter().enumerate().map(level).collect()
    }

    /// What the points look like in the frame in which they are asked for: the first of `features`.
    ///
    /// # Shapes
    /// - output, at each level: `[1, points, cells, channels]`
    pub fn support(
        &self,
        config: &CoTrackerConfig,
        features: &[Tensor<B, 4>],
        queries: &[[f32; 2]],
    ) -> Vec<Tensor<B, 4>> {
        let first: Vec<_> = features.iter().map(|f| f.clone().narrow(0, 0, 1)).collect();
        let start = Window::start(queries, 1, &first[0].device());
        Self::patches(config, &first, start.coords)
    }

    /// Corrects what is known of the points `iterations` times.
    pub fn correct(
        &self,
        config: &CoTrackerConfig,
        features: &[Tensor<B, 4>],
        support: &[Tensor<B, 4>],
        window: Window<B>,
        iterations: usize,
    ) -> Window<B> {
        let Window {
            mut coords,
            mut vis,
            mut conf,
        } = window;
        let [frames, n, _] = coords.dims();
        let time = time_embedding(frames, config.input_dim(), &coords.device());
        for _ in 0..iterations {
            let patches = Self::patches(config, features, coords.clone());
            let mut input = vec![vis.clone(), conf.clone()];
            for (seen, support) in patches.into_iter().zip(support) {
                let cells = seen.dims()[2];
                let wanted = support.clone().swap_dims(2, 3);
                let [_, _, c, _] = wanted.dims();
                let products = seen.matmul(wanted.expand([frames, n, c, cells]));
                input.push(
                    self.corr_mlp
                        .forward(products.reshape([frames, n, cells * cells])),
                );
            }
            input.push(encoded_steps(coords.clone(), config));
            let x = Tensor::cat(input, 2).swap_dims(0, 1) + time.clone();
            let delta = self.updateformer.forward(x).swap_dims(0, 1);
            coords = coords + delta.clone().narrow(2, 0, 2);
            vis = vis + delta.clone().narrow(2, 2, 1);
            conf = conf + delta.narrow(2, 3, 1);
        }
        Window { coords, vis, conf }
    }
}

/// Steps to the next frame and from the one before, as they are and as waves. `[frames, points, 84]`
fn encoded_steps<B: Backend>(coords: Tensor<B, 3>, config: &CoTrackerConfig) -> Tensor<B, 3> {
    let device = coords.device();
    let [frames, n, _] = coords.dims();
    let step = coords.clone().narrow(0, 0, frames - 1) - coords.narrow(0, 1, frames - 1);
    let none = Tensor::zeros([1, n, 2], &device);
    let forward = Tensor::cat(vec![step.clone(), none.clone()], 0);
    let backward = Tensor::cat(vec![none, -step], 0);
    let [height, width] = config
        .model_resolution
        .map(|side| side as f32 / STRIDE as f32);
    let scale = Tensor::<B, 1>::from_floats([width, height], &device).reshape([1, 1, 2]);
    let steps = Tensor::cat(vec![forward / scale.clone(), backward / scale], 2);
    let octaves: Vec<_> = (0..OCTAVES)
        .map(|k| steps.clone() * (1 << k) as f32)
        .collect();
    let waves = Tensor::cat(octaves, 2);
    let quarter = waves.clone() + std::f32::consts::FRAC_PI_2;
    Tensor::cat(vec![steps, waves.sin(), quarter.sin()], 2)
}

/// Sines and cosines of the frames' numbers. `[1, frames, width]`
fn time_embedding<B: Backend>(frames: usize, width: usize, device: &B::Device) -> Tensor<B, 3> {
    let half = width / 2;
    let angle = |t: usize, i: usize| t as f64 / 10_000f64.powf(i as f64 / half as f64);
    let values: Vec<f32> = (0..frames)
        .flat_map(|t| {
            let sines = (0..half).map(move |i| angle(t, i).sin() as f32);
            sines.chain((0..half).map(move |i| angle(t, i).cos() as f32))
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [1, frames, width]), device)
}
