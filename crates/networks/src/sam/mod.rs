//! SAM, "Segment Anything" (Kirillov and others, 2023), and MobileSAM (Zhang and others, 2023), which differ in the image
//! encoder only: what a person points at becomes a mask.
//!
//! The names are those of the public checkpoints `sam_vit_b_01ec64.pth` (ViT-L and ViT-H have the same) and
//! `mobile_sam.pt`; sizes are read off the tensors themselves.

mod common;
mod config;
pub mod image_encoder;
pub mod mask_decoder;
mod picture;
pub mod prompt_encoder;
pub mod tiny_vit;

pub use common::{LayerNorm2d, MlpBlock, Neck};
pub use config::{ImageEncoderConfig, SamConfig};
pub use mask_decoder::Looked;
pub use picture::{Framing, normalized};
pub use prompt_encoder::Prompt;

use crate::weights::Weights;
use burn::module::Module;
use burn::tensor::{FloatDType, Tensor, backend::Backend};
use dragentity_core::error::Result;
use image_encoder::ImageEncoderViT;
use mask_decoder::MaskDecoder;
use prompt_encoder::PromptEncoder;
use tiny_vit::TinyViT;

/// All networks as a file names them.
#[derive(Module, Debug)]
pub struct SamNetworks<B: Backend, E: Module<B>> {
    /// From a picture to its embedding.
    pub image_encoder: E,
    /// Points, boxes and masks.
    pub prompt_encoder: PromptEncoder<B>,
    /// From both to masks.
    pub mask_decoder: MaskDecoder<B>,
}

/// From a picture to its embedding.
#[derive(Clone, Debug)]
pub enum ImageEncoder<B: Backend> {
    /// SAM's own.
    Vit(Box<ImageEncoderViT<B>>),
    /// MobileSAM's.
    Tiny(Box<TinyViT<B>>),
}

/// The networks, ready for use.
#[derive(Clone, Debug)]
pub struct Sam<B: Backend> {
    /// Their sizes.
    pub config: SamConfig,
    image_encoder: ImageEncoder<B>,
    prompt_encoder: PromptEncoder<B>,
    mask_decoder: MaskDecoder<B>,
    /// Where each pixel of an embedding is.
    positions: Tensor<B, 4>,
}

/// Masks, and the overlap with the truth (intersection over union) that each is thought to have. The first is for prompts
/// that can mean one thing only; the others are for those that may mean a thing, a part of it, or what it is a part of.
#[derive(Clone, Debug)]
pub struct Prediction<B: Backend> {
    /// Logits: inside where they are above 0. `[1, masks, 4 * grid, 4 * grid]`
    pub masks: Tensor<B, 4>,
    /// `[1, masks]`
    pub scores: Tensor<B, 2>,
}

impl<B: Backend> Prediction<B> {
    /// The mask for a clear prompt alone.
    pub fn unambiguous(self) -> Self {
        self.narrow(0, 1)
    }

    /// The masks for an ambiguous prompt.
    pub fn ambiguous(self) -> Self {
        let [_, count] = self.scores.dims();
        self.narrow(1, count - 1)
    }

    fn narrow(self, first: usize, count: usize) -> Self {
        Self {
            masks: self.masks.narrow(1, first, count),
            scores: self.scores.narrow(1, first, count),
        }
    }
}

/// Of the tensors of a public file, those that the networks take: MobileSAM's has the head that named what was in its
/// training pictures, and batch norms count their batches.
fn needed(name: &str) -> Option<String> {
    let unneeded = name.starts_with("image_encoder.norm_head.")
        || name.starts_with("image_encoder.head.")
        || name.ends_with(".num_batches_tracked");
    (!unneeded).then(|| name.to_owned())
}

impl SamConfig {
    /// The networks around an image encoder, their weights random.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn networks<B: Backend, E: Module<B>>(
        &self,
        image_encoder: E,
        device: &B::Device,
    ) -> Result<SamNetworks<B, E>> {
        self.validate("SAM")?;
        let width = self.mask_decoder.transformer_dim;
        Ok(SamNetworks {
            image_encoder,
            prompt_encoder: PromptEncoder::new(width, self.mask_in_chans, device),
            mask_decoder: self.mask_decoder.init(device)?,
        })
    }
}

impl<B: Backend> ImageEncoder<B> {
    /// Puts the image encoder's tensors of a public file into a network, of sizes as [`SamConfig::of`] finds them. Where the file is
    /// read from a disk, `progress(bytes read, bytes in all)` is told.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`] naming what is missing, has another shape or has no place.
    pub async fn load(
        weights: &Weights,
        device: &B::Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let config = SamConfig::of(weights)?;
        let weights =
            weights.renamed(|name| Some(needed(name)?.strip_prefix("image_encoder.")?.to_owned()));
        let dtype = FloatDType::F32;
        Ok(match &config.image_encoder {
            ImageEncoderConfig::Vit(vit) => {
                let loaded = weights.load_with(vit.init(device)?, dtype, progress);
                Self::Vit(Box::new(loaded.await?.0))
            }
            ImageEncoderConfig::Tiny(tiny) => {
                let loaded = weights.load_with(tiny.init(device)?, dtype, progress);
                Self::Tiny(Box::new(loaded.await?.0))
            }
        })
    }
}

impl<B: Backend> Sam<B> {
    /// Puts the tensors of a public file into networks, of sizes as [`SamConfig::of`] finds them or as they are known.
    /// Where the file is read from a disk, `progress(bytes read, bytes in all)` is told.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`] naming what is missing, has another shape or has no place.
    pub async fn load(
        weights: &Weights,
        config: SamConfig,
        device: &B::Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let weights = weights.renamed(needed);
        match &config.image_encoder {
            ImageEncoderConfig::Vit(vit) => {
                let networks = config.networks(vit.init(device)?, device)?;
                let (networks, _) = weights
                    .load_with(networks, FloatDType::F32, progress)
                    .await?;
                Ok(Self::new(config, networks, |encoder| {
                    ImageEncoder::Vit(Box::new(encoder))
                }))
            }
            ImageEncoderConfig::Tiny(tiny) => {
                let networks = config.networks(tiny.init(device)?, device)?;
                let (networks, _) = weights
                    .load_with(networks, FloatDType::F32, progress)
                    .await?;
                Ok(Self::new(config, networks, |encoder| {
                    ImageEncoder::Tiny(Box::new(encoder))
                }))
            }
        }
    }

    fn new<E: Module<B>>(
        config: SamConfig,
        networks: SamNetworks<B, E>,
        encoder: impl FnOnce(E) -> ImageEncoder<B>,
    ) -> Self {
        Self {
            positions: networks.prompt_encoder.dense_pe(config.grid()),
            image_encoder: encoder(networks.image_encoder),
            prompt_encoder: networks.prompt_encoder,
            mask_decoder: networks.mask_decoder,
            config,
        }
    }

    /// Begins to encode a picture of `[1, 3, img_size, img_size]`, as [`Framing::input`] gives it.
    pub fn encoding(&self, picture: Tensor<B, 4>) -> Encoding<'_, B> {
        let (x, stages) = match &self.image_encoder {
            ImageEncoder::Vit(encoder) => (encoder.tokens(picture), encoder.blocks.len()),
            ImageEncoder::Tiny(encoder) => (encoder.features(picture), encoder.stages().len()),
        };
        Encoding {
            encoder: &self.image_encoder,
            x,
            done: 0,
            stages,
        }
    }

    /// The picture of an embedding, and of a mask to be corrected if there is one, for all prompts about them.
    ///
    /// # Shapes
    /// - `embedding`: `[1, channels, grid, grid]`
    /// - `previous`: `[1, 1, 4 * grid, 4 * grid]`, logits
    pub fn look(&self, embedding: Tensor<B, 4>, previous: Option<Tensor<B, 4>>) -> Looked<B> {
        let dense = self.prompt_encoder.dense(previous, self.config.grid());
        self.mask_decoder
            .look(embedding, self.positions.clone(), dense)
    }

    /// The masks that a prompt may mean.
    pub fn predict(&self, looked: &Looked<B>, prompt: &Prompt) -> Prediction<B> {
        let sparse = self.prompt_encoder.sparse(prompt, self.config.img_size());
        let (masks, scores) = self.mask_decoder.forward(looked, sparse);
        Prediction { masks, scores }
    }
}

/// A picture that is being encoded, stage by stage: that takes seconds on a processor, in which others may want to act.
pub struct Encoding<'a, B: Backend> {
    encoder: &'a ImageEncoder<B>,
    x: Tensor<B, 4>,
    done: usize,
    stages: usize,
}

impl<B: Backend> Encoding<'_, B> {
    /// How many stages are done, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        (self.done, self.stages)
    }

    /// What the stages have made so far: who waits for it knows that they are through, on a device too that works behind
    /// the program's back. `[1, channels, height, width]`
    pub fn so_far(&self) -> Tensor<B, 4> {
        self.x.clone()
    }

    /// Goes through the next stage.
    pub fn advance(&mut self) {
        if self.done == self.stages {
            return;
        }
        // Given away, so that what is computed in place has it for itself.
        let nothing = Tensor::empty([1, 1, 1, 1], &self.x.device());
        let x = std::mem::replace(&mut self.x, nothing);
        self.x = match self.encoder {
            ImageEncoder::Vit(encoder) => encoder.blocks[self.done].forward(x),
            ImageEncoder::Tiny(encoder) => encoder.stages()[self.done].forward(x),
        };
        self.done += 1;
    }

    /// The embedding, after what stages are left. `[1, channels, grid, grid]`
    pub fn finish(mut self) -> Tensor<B, 4> {
        while self.done < self.stages {
            self.advance();
        }
        match self.encoder {
            ImageEncoder::Vit(encoder) => encoder.embedding(self.x),
            ImageEncoder::Tiny(encoder) => encoder.embedding(self.x),
        }
    }
}
