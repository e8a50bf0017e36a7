//! What describes pictures and videos for the Frechet distances (FID, FVD): the published networks, where their weights are
//! at hand. Without them there are no such distances.

pub mod i3d;
pub mod inception;

use crate::train::source::to_vec;
use burn::module::Module;
use burn::tensor::backend::Backend;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_networks::weights::Weights;
use i3d::InceptionI3d;
use inception::InceptionV3;
use std::path::{Path, PathBuf};

/// Of the batch norms of both published networks.
const EPSILON: f64 = 1e-3;
/// Pictures described at once.
const AT_ONCE: usize = 16;

/// Where the weights of the published extractors are, if anywhere.
#[derive(Clone, Debug, Default)]
pub struct Extractors {
    /// InceptionV3 of `pytorch-fid`, as published or as safetensors.
    pub inception: Option<PathBuf>,
    /// I3D of Kinetics-400, as `rgb_imagenet.pt` or as `scripts/fetch-metrics --i3d` brings it.
    pub i3d: Option<PathBuf>,
}

/// What describes frames and videos.
pub struct Describe<B: Backend> {
    inception: Option<Box<InceptionV3<B>>>,
    i3d: Option<Box<InceptionI3d<B>>>,
    device: B::Device,
}

/// A video in features.
pub struct Described {
    /// A row for each frame but the first, which is given: for FID. None without InceptionV3.
    pub frames: Vec<Vec<f32>>,
    /// Of the whole video: for FVD. `None` without I3D.
    pub video: Option<Vec<f32>>,
}

impl<B: Backend> Describe<B> {
    /// By the published networks of which there are weights.
    ///
    /// # Errors
    /// [`Error::Model`] when a file is another one.
    pub fn new(weights: &Extractors, device: &B::Device) -> Result<Self> {
        let inception = published(
            weights.inception.as_deref(),
            InceptionV3::<B>::tensor,
            || InceptionV3::new(device),
        )?;
        let i3d = published(weights.i3d.as_deref(), InceptionI3d::<B>::tensor, || {
            InceptionI3d::new(device)
        })?;
        Ok(Self {
            inception,
            i3d,
            device: device.clone(),
        })
    }

    /// What a report calls the features of frames, where there are any.
    pub fn of_frames(&self) -> Option<String> {
        let network = self.inception.as_ref();
        network.map(|_| "InceptionV3 (pytorch-fid)".into())
    }

    /// What a report calls the features of videos, where there are any.
    pub fn of_videos(&self) -> Option<String> {
        self.i3d.as_ref().map(|_| "I3D (Kinetics-400)".into())
    }

    /// Describes a video of two frames or more, `[height, width, 3]` each, -1..1.
    ///
    /// # Errors
    /// [`Error::Device`]; [`Error::Job`] for a single frame.
    pub fn describe(&self, video: &[Vec<f32>], [width, height]: [usize; 2]) -> Result<Described> {
        let count = video.len();
        if count < 2 {
            return Err(Error::Job("a video has two frames or more".into()));
        }
        let pictures = |frames: &[Vec<f32>]| {
            dragentity_pipeline::transfer::pictures(frames, width, height, &self.device)
        };
        let mut frames = Vec::new();
        if let Some(network) = &self.inception {
            for some in video[1..].chunks(AT_ONCE) {
                let rows = to_vec(network.forward(pictures(some)))?;
                let rows = rows.chunks_exact(inception::FEATURES);
                frames.extend(rows.map(<[f32]>::to_vec));
            }
        }
        let of_video = |network: &InceptionI3d<B>| {
            to_vec(network.forward(pictures(video).unsqueeze::<5>().swap_dims(1, 2)))
        };
        Ok(Described {
            frames,
            video: self.i3d.as_deref().map(of_video).transpose()?,
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
