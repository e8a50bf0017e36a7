//! Sizes of a SAM, read off its tensors.

use super::common::{MOST, MOST_LAYERS, MOST_PATCHES};
use super::image_encoder::ViTConfig;
use super::mask_decoder::MaskDecoderConfig;
use super::tiny_vit::{STRIDE, TinyViTConfig};
use crate::fields::Fields;
use crate::weights::Weights;
use dragentity_core::error::{Error, Result};

/// Which image encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageEncoderConfig {
    /// SAM's own.
    Vit(ViTConfig),
    /// MobileSAM's.
    Tiny(TinyViTConfig),
}

/// Sizes of the networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamConfig {
    /// From the picture to its embedding.
    pub image_encoder: ImageEncoderConfig,
    /// Channels inside the convolutions of the mask so far.
    pub mask_in_chans: usize,
    /// From embedding and prompt to masks.
    pub mask_decoder: MaskDecoderConfig,
}

impl SamConfig {
    /// SAM with ViT-B (`sam_vit_b_01ec64.pth`).
    pub fn vit_b() -> Self {
        Self::published(ImageEncoderConfig::Vit(ViTConfig::default()))
    }

    /// MobileSAM (`mobile_sam.pt`).
    pub fn mobile() -> Self {
        Self::published(ImageEncoderConfig::Tiny(TinyViTConfig::default()))
    }

    fn published(image_encoder: ImageEncoderConfig) -> Self {
        Self {
            image_encoder,
            mask_in_chans: 16,
            mask_decoder: MaskDecoderConfig::default(),
        }
    }

    /// Side, in pixels, of the square picture that the image encoder sees.
    pub fn img_size(&self) -> usize {
        match &self.image_encoder {
            ImageEncoderConfig::Vit(config) => config.img_size,
            ImageEncoderConfig::Tiny(config) => config.img_size,
        }
    }

    /// Side of the embedding.
    pub fn grid(&self) -> usize {
        match &self.image_encoder {
            ImageEncoderConfig::Vit(config) => config.grid(),
            ImageEncoderConfig::Tiny(config) => config.img_size / STRIDE,
        }
    }

    /// What the image encoder is called.
    pub fn name(&self) -> String {
        match &self.image_encoder {
            ImageEncoderConfig::Tiny(_) => "MobileSAM".into(),
            ImageEncoderConfig::Vit(config) => match config.embed_dim {
                768 => "SAM, ViT-B".into(),
                1024 => "SAM, ViT-L".into(),
                1280 => "SAM, ViT-H".into(),
                other => format!("SAM, ViT of width {other}"),
            },
        }
    }

    /// Checks that the networks can be built and that they fit each other; `name` is what the error calls the file of
    /// their weights.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let out_chans = match &self.image_encoder {
            ImageEncoderConfig::Vit(config) => {
                config.validate(name)?;
                config.out_chans
            }
            ImageEncoderConfig::Tiny(config) => {
                config.validate(name)?;
                config.out_chans
            }
        };
        self.mask_decoder.validate(name)?;
        let fields = Fields::of(name);
        fields.within("mask_in_chans", self.mask_in_chans, 4..=MOST)?;
        fields.multiple("mask_in_chans", self.mask_in_chans, "", 4)?;
        let width = self.mask_decoder.transformer_dim;
        if out_chans != width {
            return fields.fail(format!(
                "out_chans is {out_chans} and transformer_dim {width}, which must be the same: this is no SAM"
            ));
        }
        Ok(())
    }

    /// The sizes of networks by their tensors.
    ///
    /// # Errors
    /// [`Error::Model`] when they are not those of a SAM.
    pub fn of(weights: &Weights) -> Result<Self> {
        let sizes = Sizes(weights);
        let config = if weights.has("image_encoder.pos_embed") {
            Self {
                image_encoder: ImageEncoderConfig::Vit(sizes.vit()?),
                ..sizes.others()?
            }
        } else if weights.has("image_encoder.layers.1.blocks.0.attn.attention_biases") {
            Self {
                image_encoder: ImageEncoderConfig::Tiny(sizes.tiny()?),
                ..sizes.others()?
            }
        } else if weights
            .tensors()
            .any(|(name, _)| name.starts_with("vision_encoder."))
        {
            return Err(sizes.error(
                "these are SAM's weights under the names of transformers; take sam_vit_b_01ec64.pth or mobile_sam.pt \
                 (docs/src/segment.md)"
                    .into(),
            ));
        } else {
            return Err(sizes.error(
                "this is no SAM: it has no image encoder; take sam_vit_b_01ec64.pth or mobile_sam.pt (docs/src/segment.md)"
                    .into(),
            ));
        };
        config.validate(weights.name())?;
        Ok(config)
    }
}

/// Shapes of the tensors.
struct Sizes<'a>(&'a Weights);

impl Sizes<'_> {
    fn error(&self, reason: String) -> Error {
        Error::Model {
            name: self.0.name().to_owned(),
            reason,
        }
    }

    fn of<const RANK: usize>(&self, tensor: &str) -> Result<[usize; RANK]> {
        let Some((_, info)) = self.0.tensors().find(|(name, _)| *name == tensor) else {
            return Err(self.error(format!(
                "{tensor:?} is missing: this is no whole SAM; take sam_vit_b_01ec64.pth or mobile_sam.pt (docs/src/segment.md)"
            )));
        };
        match <[usize; RANK]>::try_from(info.shape.as_slice()) {
            Ok(shape) if shape.iter().all(|n| (1..=MOST).contains(n)) => Ok(shape),
            _ => Err(self.error(format!("{tensor:?} is {:?}, which no SAM has", info.shape))),
        }
    }

    /// How many there are of `name` with numbers from 0 on in place of `{}`.
    fn count(&self, name: &str) -> usize {
        (0..MOST_LAYERS)
            .take_while(|i| self.0.has(&name.replace("{}", &i.to_string())))
            .count()
    }

    fn vit(&self) -> Result<ViTConfig> {
        let [_, grid, across, embed_dim] = self.of("image_encoder.pos_embed")?;
        let [_, _, patch_size, _] = self.of("image_encoder.patch_embed.proj.weight")?;
        let mut windows = Vec::new();
        let mut head_dim = embed_dim;
        for i in 0..self.count("image_encoder.blocks.{}.attn.rel_pos_h") {
            let [positions, dim] = self.of(&format!("image_encoder.blocks.{i}.attn.rel_pos_h"))?;
            windows.push(positions.div_ceil(2));
            head_dim = dim;
        }
        if grid != across
            || grid > MOST_PATCHES
            || windows.is_empty()
            || windows.iter().any(|&side| side > grid)
            || !embed_dim.is_multiple_of(head_dim)
        {
            return Err(self.error(format!(
                "{grid} x {across} patches, windows of {windows:?} and heads of {head_dim} are of no SAM"
            )));
        }
        Ok(ViTConfig {
            img_size: grid * patch_size,
            patch_size,
            embed_dim,
            num_heads: embed_dim / head_dim,
            mlp_dim: self.of::<2>("image_encoder.blocks.0.mlp.lin1.weight")?[0],
            windows,
            out_chans: self.of::<4>("image_encoder.neck.0.weight")?[0],
        })
    }

    fn tiny(&self) -> Result<TinyViTConfig> {
        let mut config = TinyViTConfig {
            conv_dim: self.of::<4>("image_encoder.layers.0.blocks.0.conv1.c.weight")?[0],
            out_chans: self.of::<4>("image_encoder.neck.0.weight")?[0],
            ..TinyViTConfig::default()
        };
        config.depths[0] = self.count("image_encoder.layers.0.blocks.{}.conv1.c.weight");
        config.embed_dims[0] = self.of::<4>("image_encoder.patch_embed.seq.2.c.weight")?[0];
        for i in 1..4 {
            let layer = format!("image_encoder.layers.{i}.blocks");
            config.depths[i] = self.count(&format!("{layer}.{{}}.attn.attention_biases"));
            let [heads, biases] = self.of(&format!("{layer}.0.attn.attention_biases"))?;
            let side = biases.isqrt();
            let [mlp_dim, width] = self.of(&format!("{layer}.0.mlp.fc1.weight"))?;
            if side * side != biases || !width.is_multiple_of(heads) {
                return Err(self.error(format!(
                    "layer {i} has {heads} heads for {width} channels and {biases} biases, which no MobileSAM has"
                )));
            }
            config.embed_dims[i] = width;
            config.num_heads[i - 1] = heads;
            config.window_sizes[i - 1] = side;
            config.mlp_dims[i - 1] = mlp_dim;
        }
        Ok(config)
    }

    /// Prompt encoder and mask decoder; the image encoder is to be filled in.
    fn others(&self) -> Result<SamConfig> {
        let [iou_head_hidden_dim, transformer_dim] =
            self.of("mask_decoder.iou_prediction_head.layers.0.weight")?;
        Ok(SamConfig {
            mask_in_chans: self.of::<4>("prompt_encoder.mask_downscaling.3.weight")?[0],
            mask_decoder: MaskDecoderConfig {
                transformer_dim,
                depth: self.count("mask_decoder.transformer.layers.{}.norm1.weight"),
                mlp_dim: self.of::<2>("mask_decoder.transformer.layers.0.mlp.lin1.weight")?[0],
                num_mask_tokens: self.of::<2>("mask_decoder.mask_tokens.weight")?[0],
                iou_head_depth: self.count("mask_decoder.iou_prediction_head.layers.{}.weight"),
                iou_head_hidden_dim,
                ..MaskDecoderConfig::default()
            },
            ..SamConfig::mobile()
        })
    }
}
