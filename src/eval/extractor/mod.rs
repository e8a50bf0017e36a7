//! What describes pictures and videos for the Frechet distances (FID, FVD): by default this project's own encoder, or
//! the published networks where their weights are at hand.
//!
//! Figures of different extractors cannot be compared, so that every report names its own.

mod batch_norm;
pub mod i3d;
pub mod inception;

pub use batch_norm::FrozenBatchNorm;

use crate::model::entity_encoder::EntityEncoder;
use crate::train::vae::to_vec;
use crate::weights::Weights;
use crate::{Error, Result};
use burn::tensor::{Tensor, backend::Backend};
use i3d::InceptionI3d;
use inception::InceptionV3;
use std::path::{Path, PathBuf};

/// Pictures described at once.
const AT_ONCE: usize = 16;

/// Where the weights of the published extractors are, if anywhere.
#[derive(Clone, Debug, Default)]
pub struct Extractors {
    /// InceptionV3 of `pytorch-fid`, as safetensors.
    pub inception: Option<PathBuf>,
    /// I3D of Kinetics-400 (`rgb_imagenet`), as safetensors.
    pub i3d: Option<PathBuf>,
}

/// What describes single frames.
pub enum FrameExtractor<'a, B: Backend> {
    /// The means over the picture of the entity encoder's features.
    Own(&'a EntityEncoder<B>),
    /// As the literature's FID.
    Inception(Box<InceptionV3<B>>),
}

/// What describes videos.
pub enum VideoExtractor<'a, B: Backend> {
    /// Of the entity encoder's features: the mean over time, and the mean size of their change from frame to frame.
    Own(&'a EntityEncoder<B>),
    /// As the literature's FVD.
    I3d(Box<InceptionI3d<B>>),
}

/// A video: frames of `[height, width, 3]`, -1..1.
pub type Frames = Vec<Vec<f32>>;

impl<'a, B: Backend> FrameExtractor<'a, B> {
    /// InceptionV3 from `weights`, or the entity encoder.
    ///
    /// # Errors
    /// [`Error::Model`] when the file is another one.
    pub fn new(
        weights: Option<&Path>,
        own: &'a EntityEncoder<B>,
        device: &B::Device,
    ) -> Result<Self> {
        let Some(path) = weights else {
            return Ok(Self::Own(own));
        };
        let load = || {
            let weights = open(path)?.renamed(InceptionV3::<B>::tensor);
            Ok(Box::new(weights.load(InceptionV3::new(device))?.0))
        };
        with_room(load).map(Self::Inception)
    }

    /// What a report calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Own(_) => "this model's entity encoder",
            Self::Inception(_) => "InceptionV3 (pytorch-fid)",
        }
    }

    /// One row of features for each frame, `[height, width, 3]`.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn describe(
        &self,
        frames: &[Vec<f32>],
        [width, height]: [usize; 2],
        device: &B::Device,
    ) -> Result<Vec<Vec<f32>>> {
        let mut rows = Vec::with_capacity(frames.len());
        for frames in frames.chunks(AT_ONCE) {
            let pictures = crate::pipeline::host::pictures(frames, width, height, device);
            let features = match self {
                Self::Own(encoder) => means(encoder, pictures),
                Self::Inception(network) => network.forward(pictures),
            };
            let dim = features.dims()[1];
            rows.extend(to_vec(features)?.chunks_exact(dim).map(<[f32]>::to_vec));
        }
        Ok(rows)
    }
}

impl<'a, B: Backend> VideoExtractor<'a, B> {
    /// I3D from `weights`, or the entity encoder.
    ///
    /// # Errors
    /// [`Error::Model`] when the file is another one.
    pub fn new(
        weights: Option<&Path>,
        own: &'a EntityEncoder<B>,
        device: &B::Device,
    ) -> Result<Self> {
        let Some(path) = weights else {
            return Ok(Self::Own(own));
        };
        let load = || {
            let weights = open(path)?.renamed(InceptionI3d::<B>::tensor);
            Ok(Box::new(weights.load(InceptionI3d::new(device))?.0))
        };
        with_room(load).map(Self::I3d)
    }

    /// What a report calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Own(_) => "this model's entity encoder, and its change over time",
            Self::I3d(_) => "I3D (Kinetics-400)",
        }
    }

    /// The features of one video, of two frames or more.
    ///
    /// # Errors
    /// [`Error::Device`]; [`Error::Job`] for a single frame.
    pub fn describe(
        &self,
        video: &Frames,
        [width, height]: [usize; 2],
        device: &B::Device,
    ) -> Result<Vec<f32>> {
        if video.len() < 2 {
            return Err(Error::Job("a video has two frames or more".into()));
        }
        let pictures = crate::pipeline::host::pictures(video, width, height, device);
        let frames = video.len();
        let features = match self {
            Self::Own(encoder) => {
                let features = means(encoder, pictures);
                let change = features.clone().narrow(0, 1, frames - 1)
                    - features.clone().narrow(0, 0, frames - 1);
                Tensor::cat(vec![features.mean_dim(0), change.abs().mean_dim(0)], 1)
            }
            Self::I3d(network) => {
                let video = pictures.unsqueeze::<5>().swap_dims(1, 2);
                network.forward(video)
            }
        };
        to_vec(features)
    }
}

/// Calls `f` on a thread with a large stack: a network whose layers are fields by name, as the published extractors'
/// are, is moved as a whole again and again while it is made and loaded.
///
/// # Panics
/// If `f` does, or there can be no thread.
pub fn with_room<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(64 << 20)
            .spawn_scoped(scope, f)
            .expect("a thread");
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn open(path: &Path) -> Result<Weights> {
    pollster::block_on(Weights::open(&path.display().to_string(), &mut |_, _| {}))
}

/// The entity encoder's features, averaged over each picture: `[n, 3, height, width]` to `[n, feature_dim]`.
fn means<B: Backend>(encoder: &EntityEncoder<B>, pictures: Tensor<B, 4>) -> Tensor<B, 2> {
    let features = encoder.encode(pictures).features;
    let [n, dim, height, width] = features.dims();
    features
        .reshape([n, dim, height * width])
        .mean_dim(2)
        .reshape([n, dim])
}
