//! What describes pictures and videos for the Frechet distances (FID, FVD): by default this project's own encoder, or
//! the published networks where their weights are at hand.
//!
//! Figures of different extractors cannot be compared, so that every report names its own.

pub mod i3d;
pub mod inception;

use crate::train::source::to_vec;
use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_networks::dragentity::entity_encoder::EntityEncoder;
use dragentity_networks::weights::Weights;
use i3d::InceptionI3d;
use inception::InceptionV3;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// Of the batch norms of both published networks.
const EPSILON: f64 = 1e-3;
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

/// What describes frames and videos.
pub struct Describe<'a, B: Backend> {
    own: &'a EntityEncoder<B>,
    inception: Option<Box<InceptionV3<B>>>,
    i3d: Option<Box<InceptionI3d<B>>>,
    device: B::Device,
}

/// A video in features.
pub struct Described {
    /// A row for each frame but the first, which is given: for FID.
    pub frames: Vec<Vec<f32>>,
    /// Of the whole video: for FVD.
    pub video: Vec<f32>,
}

impl<'a, B: Backend> Describe<'a, B> {
    /// By the published networks of which there are weights, and `own` for the rest.
    ///
    /// # Errors
    /// [`Error::Model`] when a file is another one.
    pub fn new(
        weights: &Extractors,
        own: &'a EntityEncoder<B>,
        device: &B::Device,
    ) -> Result<Self> {
        let inception = published(
            weights.inception.as_deref(),
            InceptionV3::<B>::tensor,
            || InceptionV3::new(device),
        )?;
        let i3d = published(weights.i3d.as_deref(), InceptionI3d::<B>::tensor, || {
            InceptionI3d::new(device)
        })?;
        Ok(Self {
            own,
            inception,
            i3d,
            device: device.clone(),
        })
    }

    /// What a report calls the features of frames.
    pub fn of_frames(&self) -> &'static str {
        match self.inception {
            None => "this model's entity encoder",
            Some(_) => "InceptionV3 (pytorch-fid)",
        }
    }

    /// What a report calls the features of videos.
    pub fn of_videos(&self) -> &'static str {
        match self.i3d {
            None => "this model's entity encoder, and its change over time",
            Some(_) => "I3D (Kinetics-400)",
        }
    }

    /// Describes a video of two frames or more, `[height, width, 3]` each, -1..1.
    ///
    /// By the entity encoder, a frame is the means over the picture of its features, and a video the mean of these over
    /// time and the mean size of their change from frame to frame.
    ///
    /// # Errors
    /// [`Error::Device`]; [`Error::Job`] for a single frame.
    pub fn describe(&self, video: &[Vec<f32>], [width, height]: [usize; 2]) -> Result<Described> {
        let count = video.len();
        if count < 2 {
            return Err(Error::Job("a video has two frames or more".into()));
        }
        let pictures = dragentity_pipeline::transfer::pictures(video, width, height, &self.device);
        let once = OnceCell::new();
        let own = || {
            once.get_or_init(|| means(self.own, pictures.clone()))
                .clone()
        };
        let later = |x: Tensor<B, 2>| x.narrow(0, 1, count - 1);
        let frames = match &self.inception {
            None => later(own()),
            Some(network) => {
                let pieces = pictures.clone().narrow(0, 1, count - 1).split(AT_ONCE, 0);
                let rows = pieces.into_iter().map(|piece| network.forward(piece));
                Tensor::cat(rows.collect(), 0)
            }
        };
        let video = match &self.i3d {
            None => {
                let change = later(own()) - own().narrow(0, 0, count - 1);
                Tensor::cat(vec![own().mean_dim(0), change.abs().mean_dim(0)], 1)
            }
            Some(network) => network.forward(pictures.clone().unsqueeze::<5>().swap_dims(1, 2)),
        };
        let dim = frames.dims()[1];
        Ok(Described {
            frames: to_vec(frames)?
                .chunks_exact(dim)
                .map(<[f32]>::to_vec)
                .collect(),
            video: to_vec(video)?,
        })
    }
}

/// A published network, where there is a file of its weights.
///
/// # Errors
/// [`Error::Model`] when the file is another one.
pub fn published<B: Backend, M: Module<B> + Send>(
    weights: Option<&Path>,
    tensor: fn(&str) -> Option<String>,
    network: impl FnOnce() -> M + Send,
) -> Result<Option<Box<M>>> {
    let Some(path) = weights else {
        return Ok(None);
    };
    with_room(|| {
        let weights =
            pollster::block_on(Weights::open(&path.display().to_string(), &mut |_, _| {}))?;
        Ok(Some(Box::new(weights.renamed(tensor).load(network())?.0)))
    })
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

/// The entity encoder's features, averaged over each picture: `[n, 3, height, width]` to `[n, feature_dim]`.
fn means<B: Backend>(encoder: &EntityEncoder<B>, pictures: Tensor<B, 4>) -> Tensor<B, 2> {
    let features = encoder.encode(pictures).features;
    let [n, dim, height, width] = features.dims();
    features
        .reshape([n, dim, height * width])
        .mean_dim(2)
        .reshape([n, dim])
}
