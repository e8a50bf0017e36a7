//! What the trajectories tell the denoiser, as tensors: entity maps and Gaussian heat maps. Paper,
//! sections 3.2 and 3.3. (The draft, which also follows from them, is [`dragentity_core::scene::draft`].)
//!
//! The geometry is drawn on the host ([`dragentity_core::scene::raster`]); whatever multiplies features is
//! done here with matrix products, on any device. Entities are ordered back to front everywhere:
//! later ones hide earlier ones.

mod drawn;

use crate::dragentity::entity_encoder::FEATURE_STRIDE;
use crate::dragentity::relation::Relation;
use crate::fields::Fields;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::Mask;
pub use dragentity_core::scene::Representation;
use dragentity_core::scene::raster::{self, Circle};
use serde::{Deserialize, Serialize};

/// DragAnything's Gaussian maps are pictures: one heat map in each of three channels.
pub const GAUSSIAN_CHANNELS: usize = 3;

/// Largest factor between two resolutions.
const MAX_FACTOR: usize = 64;

/// What conditions show, their resolutions and sizes; missing fields take their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConditionConfig {
    /// The picture's size divided by the latents'.
    pub vae_factor: usize,
    /// The picture's size divided by that of the entity and Gaussian maps.
    pub map_factor: usize,
    /// Discs are at least this large, in pixels of the latents, so that tiny entities are seen.
    pub min_radius: f32,
    /// How trajectories are shown.
    pub representation: Representation,
    /// Whether an entity's embedding says what the entity is, by its mean feature (Table 2's "Entity Rep."); else it
    /// says only where it lies. Of the entity representation alone, as is the next.
    pub entity_features: bool,
    /// Whether the relation module makes embeddings aware of each other (Table 2's "Position"). Without this and
    /// the one before, the heat map alone is left.
    pub position_relation: bool,
}

impl Default for ConditionConfig {
    fn default() -> Self {
        Self {
            vae_factor: 4,
            map_factor: 1,
            min_radius: 1.5,
            representation: Representation::Entity,
            entity_features: true,
            position_relation: true,
        }
    }
}

impl ConditionConfig {
    /// Checks that conditions can be drawn; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        fields.within("vae_factor", self.vae_factor, 1..=MAX_FACTOR)?;
        fields.within("map_factor", self.map_factor, 1..=MAX_FACTOR)?;
        // In pixels; no picture is larger.
        fields.between("min_radius", self.min_radius.into(), -1.0, 1e4)
    }

    /// Checks that the representation fits into an entity map of `width` channels; `name` as for [`Self::validate`].
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn check_width(&self, name: &str, width: usize) -> Result<()> {
        let needs = self.representation.channels();
        if needs <= width {
            return Ok(());
        }
        Fields::of(name).fail(format!(
            "the representation {} has {needs} channels, and the entity map only {width}",
            self.representation
        ))
    }

    /// Checks that a job does not ask for another representation than this one.
    ///
    /// # Errors
    /// [`Error::Job`].
    pub fn check_asked(&self, asked: Option<Representation>) -> Result<()> {
        match asked {
            Some(asked) if asked != self.representation => Err(Error::Job(format!(
                "this model was trained to follow trajectories shown as {}, not as {asked}: ask for {} or for none in                  particular, or choose a model that was trained with --representation {asked}",
                self.representation, self.representation
            ))),
            _ => Ok(()),
        }
    }
}

/// An entity that moves or is pinned. One that is left to the model is not in the list at all.
#[derive(Clone)]
pub struct EntityInput {
    /// Where it is in the first frame, at the size of the video.
    pub mask: Mask,
    /// Where any one point of it is in each frame, in pixels of the video; only the offsets to the
    /// first frame count. A pin stays where it is.
    pub track: Vec<[f32; 2]>,
}

/// The trajectories of one video.
#[derive(Clone)]
pub struct ConditionInput {
    /// Number of frames.
    pub frames: usize,
    /// Width of the video in pixels.
    pub width: usize,
    /// Height of the video in pixels.
    pub height: usize,
    /// Back to front.
    pub entities: Vec<EntityInput>,
    /// Offset of the background to the first frame, in pixels of the video, for each frame; empty
    /// when the camera stands still.
    pub background: Vec<[f32; 2]>,
}

/// The conditions of a batch of videos. `entities` is the padded number of entities.
#[derive(Clone, Debug)]
pub struct ConditionBatch<B: Backend> {
    /// 1 for each entity that is there, `[batch, entities]`.
    pub valid: Tensor<B, 2>,
    /// Centre and size of each mask's bounding box, as fractions of the picture's longer side,
    /// `[batch, entities, 4]`.
    pub boxes: Tensor<B, 3>,
    /// How much of each cell of V each mask covers, `[batch, entities, height / 4, width / 4]`.
    pub feature_masks: Tensor<B, 4>,
    /// Discs around the trajectory, `[batch, entities, frames, height / map_factor, width / map_factor]`.
    pub discs: Tensor<B, 5>,
    /// Heat maps of all entities, `[batch, frames, 3, height / map_factor, width / map_factor]`; zeros where the
    /// representation has none.
    pub gaussians: Tensor<B, 5>,
    /// The maps of a representation that is drawn without features,
    /// `[batch, frames, channels, height / map_factor, width / map_factor]`.
    pub drawn: Option<Tensor<B, 5>>,
    /// What is shown.
    pub shown: Shown,
}

/// What of a [`ConditionConfig`] decides what the denoiser is shown; its fields are explained there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// How trajectories are shown.
    pub representation: Representation,
    /// Whether embeddings say what entities are.
    pub entity_features: bool,
    /// Whether embeddings know of each other.
    pub position_relation: bool,
}

impl ConditionInput {
    /// The disc that stands for an entity in the first frame, in pixels of the video: the largest
    /// circle inscribed in its mask, but at least `min_radius` large. `None` for an empty mask.
    fn disc(entity: &EntityInput, min_radius: f32) -> Option<Circle> {
        let circle = raster::inscribed_circle(&entity.mask)?;
        Some(Circle {
            radius: circle.radius.max(min_radius),
            ..circle
        })
    }

    /// Checks that conditions can be drawn, for networks that need sides of a `multiple` of pixels.
    ///
    /// # Errors
    /// [`Error::Job`].
    pub fn check(&self, max_entities: usize, multiple: usize) -> Result<()> {
        let (width, height) = (self.width, self.height);
        let fits = |size: usize| size > 0 && size.is_multiple_of(multiple);
        if !fits(width) || !fits(height) {
            return Err(Error::Job(format!(
                "the video's size {width}x{height} is not a multiple of {multiple}: choose another size"
            )));
        }
        if self.frames == 0 {
            return Err(Error::Job("a video needs at least one frame".into()));
        }
        if self.entities.len() > max_entities {
            return Err(Error::Job(format!(
                "{} entities have trajectories, at most {max_entities} are possible: remove some",
                self.entities.len()
            )));
        }
        let track = |name: &str, points: &[[f32; 2]]| {
            if points.len() != self.frames {
                return Err(Error::Job(format!(
                    "{name} has {} positions for {} frames: give one for each frame",
                    points.len(),
                    self.frames
                )));
            }
            if points.iter().flatten().any(|v| !v.is_finite()) {
                return Err(Error::Job(format!(
                    "{name} has a position that is not a number: draw it again"
                )));
            }
            Ok(())
        };
        for (i, entity) in self.entities.iter().enumerate() {
            let mask = &entity.mask;
            if (mask.width as usize, mask.height as usize) != (width, height)
                || mask.alpha.len() != width * height
            {
                return Err(Error::Job(format!(
                    "the mask of entity {} is {}x{}, the video {width}x{height}: resample it first",
                    i + 1,
                    mask.width,
                    mask.height
                )));
            }
            track(
                &format!("the trajectory of entity {}", i + 1),
                &entity.track,
            )?;
        }
        if !self.background.is_empty() {
            track("the background's trajectory", &self.background)?;
        }
        Ok(())
    }
}

/// One growing buffer for each tensor of a [`ConditionBatch`], on the host.
#[derive(Default)]
struct Buffers {
    valid: Vec<f32>,
    boxes: Vec<f32>,
    feature_masks: Vec<f32>,
    discs: Vec<f32>,
    heat: Vec<f32>,
    drawn: Vec<f32>,
}

impl Buffers {
    fn push(&mut self, input: &ConditionInput, max_entities: usize, config: &ConditionConfig) {
        let (width, height) = (input.width, input.height);
        let side = width.max(height) as f32;
        let map_scale = 1.0 / config.map_factor as f32;
        let map_width = width / config.map_factor;
        let map = map_width * (height / config.map_factor);
        let (cells_x, cells_y) = (width / FEATURE_STRIDE, height / FEATURE_STRIDE);

        let heat_start = self.heat.len();
        self.heat.resize(heat_start + input.frames * map, 0.0);
        drawn::draw(input, config, &mut self.drawn);
        for entity in &input.entities {
            // A mask without an inside takes no part, as if it were padding.
            let disc = ConditionInput::disc(entity, config.min_radius * config.vae_factor as f32);
            self.valid.push(if disc.is_some() { 1.0 } else { 0.0 });
            let [l, t, r, b] = entity
                .mask
                .bounding_box()
                .map_or([0.0; 4], |b| [b.x0, b.y0, b.x1, b.y1].map(|v| v as f32));
            self.boxes
                .extend([(l + r) / 2.0, (t + b) / 2.0, r - l, b - t].map(|v| v / side));
            let masks = &mut self.feature_masks;
            match disc {
                Some(_) => masks.extend(raster::coverage(&entity.mask, cells_x, cells_y)),
                None => masks.resize(masks.len() + cells_x * cells_y, 0.0),
            }
            let disc_start = self.discs.len();
            self.discs.resize(disc_start + input.frames * map, 0.0);
            let start = entity.track[0];
            for (f, point) in entity.track.iter().enumerate() {
                let offset = [point[0] - start[0], point[1] - start[1]];
                if let Some(disc) = disc {
                    let disc = disc.moved(offset).scaled(map_scale);
                    let frame = |start: usize| start + f * map..start + (f + 1) * map;
                    raster::draw_disc(disc, map_width, &mut self.discs[frame(disc_start)]);
                    if config.representation.has_heat_map() {
                        raster::draw_gaussian(disc, map_width, &mut self.heat[frame(heat_start)]);
                    }
                }
            }
        }
        let missing = max_entities - input.entities.len();
        let pad = |buffer: &mut Vec<f32>, each: usize| {
            buffer.resize(buffer.len() + missing * each, 0.0);
        };
        pad(&mut self.valid, 1);
        pad(&mut self.boxes, 4);
        pad(&mut self.feature_masks, cells_x * cells_y);
        pad(&mut self.discs, input.frames * map);
    }
}

impl<B: Backend> ConditionBatch<B> {
    /// Draws the conditions of a batch (for training) or of one job. All videos of a batch have the
    /// same size and number of frames; each has room for `max_entities` entities, padded with absent ones.
    ///
    /// # Errors
    /// [`Error::Job`] when sizes or numbers of frames do not fit together, when there are too many
    /// entities, or when a position is not a number; [`Error::Model`] for a `config` of impossible factors.
    pub fn from_inputs(
        inputs: &[ConditionInput],
        max_entities: usize,
        config: &ConditionConfig,
        device: &B::Device,
    ) -> Result<Self> {
        let Some(first) = inputs.first() else {
            return Err(Error::Job("a batch needs at least one video".into()));
        };
        config.validate("conditions")?;
        // Tensors have no dimension of size 0: a job without entities carries one that is absent.
        let max_entities = max_entities.max(1);
        let (frames, width, height) = (first.frames, first.width, first.height);
        let mut buffers = Buffers::default();
        for input in inputs {
            if (input.frames, input.width, input.height) != (frames, width, height) {
                return Err(Error::Job(format!(
                    "videos of {frames} frames of {width}x{height} and of {} frames of {}x{} in one batch: make them alike",
                    input.frames, input.width, input.height
                )));
            }
            let multiple = config.vae_factor.max(config.map_factor).max(FEATURE_STRIDE);
            input.check(max_entities, multiple)?;
            buffers.push(input, max_entities, config);
        }
        let (batch, n) = (inputs.len(), max_entities);
        let (map_h, map_w) = (height / config.map_factor, width / config.map_factor);
        let cells = [batch, n, height / FEATURE_STRIDE, width / FEATURE_STRIDE];
        let masks = TensorData::new(buffers.feature_masks, cells);
        let heat = TensorData::new(buffers.heat, [batch, frames, 1, map_h, map_w]);
        let discs = TensorData::new(buffers.discs, [batch, n, frames, map_h, map_w]);
        let channels = config.representation.channels();
        let drawn = (channels > 0).then(|| {
            let shape = [batch, frames, channels, map_h, map_w];
            Tensor::from_data(TensorData::new(buffers.drawn, shape), device)
        });
        Ok(Self {
            drawn,
            shown: Shown {
                representation: config.representation,
                entity_features: config.entity_features,
                position_relation: config.position_relation,
            },
            valid: Tensor::from_data(TensorData::new(buffers.valid, [batch, n]), device),
            boxes: Tensor::from_data(TensorData::new(buffers.boxes, [batch, n, 4]), device),
            feature_masks: Tensor::from_data(masks, device),
            discs: Tensor::from_data(discs, device),
            gaussians: Tensor::<B, 5>::from_data(heat, device).expand([
                batch,
                frames,
                GAUSSIAN_CHANNELS,
                map_h,
                map_w,
            ]),
        })
    }

    /// Entity embeddings `[batch, entities, dim_out]` from V `[batch, dim, height / 4, width / 4]`:
    /// the mean of V under each mask, then the relation module.
    pub fn embeddings(&self, features: Tensor<B, 4>, relation: &Relation<B>) -> Tensor<B, 3> {
        self.relate(masked_mean(features, self.feature_masks.clone()), relation)
    }

    /// Entity embeddings `[batch, entities, dim_out]` from mean features `[batch, entities, dim]`, as far as they are
    /// shown.
    pub fn relate(&self, means: Tensor<B, 3>, relation: &Relation<B>) -> Tensor<B, 3> {
        let dim = means.dims()[2];
        let valid = self.valid.clone();
        match (self.shown.entity_features, self.shown.position_relation) {
            (true, true) => relation.forward(means, self.boxes.clone(), valid),
            (true, false) => relation.alone(means, valid),
            (false, true) => {
                let places = places(self.boxes.clone(), dim);
                relation.forward(places, self.boxes.clone(), valid)
            }
            (false, false) => relation.alone(means.zeros_like(), valid.zeros_like()),
        }
    }

    /// The trajectories as the first condition encoder reads them,
    /// `[batch, frames, channels, height / map_factor, width / map_factor]`. The channels are those of the embeddings
    /// for every representation, so that all of them are read by the same network: what one does not fill is 0.
    pub fn represent(&self, embeddings: Tensor<B, 3>) -> Tensor<B, 5> {
        let channels = embeddings.dims()[2];
        let [batch, _, frames, height, width] = self.discs.dims();
        let empty = |channels: usize| {
            Tensor::zeros(
                [batch, frames, channels, height, width],
                &self.discs.device(),
            )
        };
        match &self.drawn {
            None if self.shown.representation == Representation::Entity => {
                entity_map(embeddings, self.discs.clone())
            }
            None => empty(channels),
            Some(drawn) => match channels.saturating_sub(drawn.dims()[2]) {
                0 => drawn.clone(),
                rest => Tensor::cat(vec![drawn.clone(), empty(rest)], 2),
            },
        }
    }

    /// The same for some of the frames.
    pub fn frames(&self, frames: std::ops::Range<usize>) -> Self {
        let (start, count) = (frames.start, frames.len());
        Self {
            discs: self.discs.clone().narrow(2, start, count),
            gaussians: self.gaussians.clone().narrow(1, start, count),
            drawn: self.drawn.clone().map(|d| d.narrow(1, start, count)),
            ..self.clone()
        }
    }
}

#[cfg(not(target_family = "wasm"))]
impl<B: Backend> ConditionBatch<B> {
    /// The same, as constants of a computation that is differentiated.
    pub fn with_autodiff<A>(self) -> ConditionBatch<A>
    where
        A: burn::tensor::backend::AutodiffBackend<InnerBackend = B>,
    {
        ConditionBatch {
            valid: Tensor::from_inner(self.valid),
            boxes: Tensor::from_inner(self.boxes),
            feature_masks: Tensor::from_inner(self.feature_masks),
            discs: Tensor::from_inner(self.discs),
            gaussians: Tensor::from_inner(self.gaussians),
            drawn: self.drawn.map(Tensor::from_inner),
            shown: self.shown,
        }
    }
}

/// Mean of the features under each mask; 0 under an empty one.
///
/// # Shapes
/// - features: `[batch, channels, height, width]`
/// - masks: `[batch, entities, height, width]`, 0..1
/// - output: `[batch, entities, channels]`
pub fn masked_mean<B: Backend>(features: Tensor<B, 4>, masks: Tensor<B, 4>) -> Tensor<B, 3> {
    let [batch, channels, height, width] = features.dims();
    let entities = masks.dims()[1];
    let cells = height * width;
    let masks = masks.reshape([batch, entities, cells]);
    // A mask of one pixel of a 1024 x 1024 picture still covers far more than this.
    let area = masks.clone().sum_dim(2).clamp_min(1e-5);
    let features = features.reshape([batch, channels, cells]).swap_dims(1, 2);
    (masks / area).matmul(features)
}

/// Sines and cosines of each entity's box at rising frequencies, in place of features that say what it is; what
/// does not divide by the 4 numbers of a box times 2 is 0.
///
/// # Shapes
/// - boxes: `[batch, entities, 4]`, as in [`ConditionBatch::boxes`]
/// - output: `[batch, entities, dim]`
fn places<B: Backend>(boxes: Tensor<B, 3>, dim: usize) -> Tensor<B, 3> {
    let [batch, entities, _] = boxes.dims();
    let mut parts = Vec::new();
    for octave in 0..dim / 8 {
        // Half a turn over the picture at first; more than eight octaves would be finer than any pixel.
        let angle = boxes.clone() * (std::f64::consts::PI * 2f64.powi((octave % 8) as i32));
        parts.extend([angle.clone().sin(), angle.cos()]);
    }
    let rest = dim % 8;
    if rest > 0 || parts.is_empty() {
        parts.push(Tensor::zeros([batch, entities, rest], &boxes.device()));
    }
    Tensor::cat(parts, 2)
}

/// How much of each pixel each entity gets when their discs are laid over each other, front first,
/// each taking what it covers of what is left.
///
/// Taking the smaller of the two, rather than their product, lets two discs that share a border
/// (each covering half of a pixel) fill it completely: nothing shines through between them.
///
/// # Shapes
/// - input and output: `[batch, entities, frames, height, width]`, back to front
fn visible<B: Backend>(discs: Tensor<B, 5>) -> Tensor<B, 5> {
    let entities = discs.dims()[1];
    if entities == 1 {
        return discs;
    }
    let mut left = discs.clone().narrow(1, 0, 1).ones_like();
    let mut shares: Vec<_> = (0..entities)
        .rev()
        .map(|i| {
            let share = discs.clone().narrow(1, i, 1).min_pair(left.clone());
            left = left.clone() - share.clone();
            share
        })
        .collect();
    shares.reverse();
    Tensor::cat(shares, 1)
}

/// Each entity's embedding inserted over its disc into a map of zeros; where discs overlap, the
/// entity in front counts.
///
/// # Shapes
/// - embeddings: `[batch, entities, channels]`
/// - discs: `[batch, entities, frames, height, width]`, 0..1
/// - output: `[batch, frames, channels, height, width]`
pub fn entity_map<B: Backend>(embeddings: Tensor<B, 3>, discs: Tensor<B, 5>) -> Tensor<B, 5> {
    let [batch, entities, frames, height, width] = discs.dims();
    let channels = embeddings.dims()[2];
    let visible = visible(discs)
        .reshape([batch, entities, frames, height * width])
        .swap_dims(1, 2);
    let embeddings = embeddings.swap_dims(1, 2).unsqueeze_dim::<4>(1);
    embeddings
        .matmul(visible)
        .reshape([batch, frames, channels, height, width])
}

#[cfg(test)]
mod tests;
