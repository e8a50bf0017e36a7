//! Stage 2: the entity encoder, by its click head: simulated clicks on entities of synthetic clips.

use super::source::{Clips, Sample, sheet, to_vec};
use super::stage::Stage;
use burn::module::AutodiffModule;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use dragentity_core::Click;
use dragentity_core::Result;
use dragentity_core::scene::{Mask, raster};
use dragentity_networks::dragentity::entity_encoder::{ClickMaps, EntityEncoder};
use dragentity_pipeline::transfer::{pictures, shrink};
use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// The stage.
pub struct ClickStage<B: AutodiffBackend> {
    /// Training clips.
    pub clips: Arc<Clips>,
    /// Clips never trained on.
    pub held_out: Arc<Clips>,
    /// Pictures in a batch.
    pub batch: usize,
    /// Where to train.
    pub device: B::Device,
}

/// Host side of a batch: one entity to be found in each picture.
pub struct Targets {
    pictures: Vec<Vec<f32>>,
    /// Masks at half resolution, 0..1.
    masks: Vec<Vec<f32>>,
    clicks: Vec<Vec<Click>>,
    width: usize,
    height: usize,
    rounds: usize,
}

/// The same picture seen otherwise: turned or mirrored, and in other colours. What belongs together stays so;
/// a network that sees every cut-out in its own colours alone learns the cut-outs by heart.
struct Variation {
    mirrored: [bool; 2],
    transposed: bool,
    /// Which channel each channel comes from.
    channels: [usize; 3],
    inverted: bool,
    gamma: [f32; 3],
    gain: f32,
}

impl Variation {
    fn random(random: &mut ChaCha8Rng, square: bool) -> Self {
        let mut channels = [0, 1, 2];
        if random.random_bool(0.4) {
            channels.rotate_left(random.random_range(0..3));
            if random.random_bool(0.5) {
                channels.swap(0, 1);
            }
        }
        if random.random_bool(0.1) {
            channels = [random.random_range(0..3); 3];
        }
        let common: f32 = random.random_range(-0.4..0.4);
        Self {
            // Things stand upright more often than not.
            mirrored: [random.random_bool(0.5), random.random_bool(0.15)],
            transposed: square && random.random_bool(0.15),
            channels,
            inverted: random.random_bool(0.1),
            gamma: [0; 3].map(|_| (common + random.random_range(-0.25_f32..0.25)).exp()),
            gain: random.random_range(0.7..1.0),
        }
    }

    /// Values of `channels` numbers a pixel, moved to their new places.
    fn place(&self, values: &[f32], channels: usize, width: usize, height: usize) -> Vec<f32> {
        let mut moved = Vec::with_capacity(values.len());
        for y in 0..height {
            for x in 0..width {
                let (x, y) = if self.transposed { (y, x) } else { (x, y) };
                let x = if self.mirrored[0] { width - 1 - x } else { x };
                let y = if self.mirrored[1] { height - 1 - y } else { y };
                let at = (y * width + x) * channels;
                moved.extend_from_slice(&values[at..at + channels]);
            }
        }
        moved
    }

    /// New colours of a picture in -1..1.
    fn colour(&self, picture: &mut [f32]) {
        for pixel in picture.chunks_exact_mut(3) {
            let old = [pixel[0], pixel[1], pixel[2]];
            for (channel, value) in pixel.iter_mut().enumerate() {
                let unit = ((old[self.channels[channel]] + 1.0) * 0.5).clamp(0.0, 1.0);
                let unit = if self.inverted { 1.0 - unit } else { unit };
                *value = unit.powf(self.gamma[channel]) * self.gain * 2.0 - 1.0;
            }
        }
    }
}

/// `varied` is for training; a measurement wants the pictures as they are.
fn targets(samples: Vec<Sample>, seed: u64, varied: bool) -> Targets {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut made = Targets {
        pictures: Vec::new(),
        masks: Vec::new(),
        clicks: Vec::new(),
        width: 0,
        height: 0,
        // One, two or three clicks: all of the batch get as many.
        rounds: random.random_range(0..3),
    };
    for sample in samples {
        (made.width, made.height) = (sample.input.width, sample.input.height);
        if sample.visible.is_empty() {
            continue;
        }
        let (w, h) = (made.width, made.height);
        let entity = random.random_range(0..sample.visible.len());
        let (mut mask, mut picture) = (&sample.visible[entity], &sample.frames[0]);
        let moved = varied.then(|| {
            let variation = Variation::random(&mut random, w == h);
            let mut picture = variation.place(picture, 3, w, h);
            variation.colour(&mut picture);
            (variation.place(mask, 1, w, h), picture)
        });
        if let Some(moved) = &moved {
            (mask, picture) = (&moved.0, &moved.1);
        }
        let half = shrink(mask, w, h, 2);
        let inside = half.iter().map(|v| (v * 255.0).round() as u8).collect();
        let Some(click) = first_click(inside, made.width / 2, made.height / 2, &mut random) else {
            continue;
        };
        made.clicks.push(vec![click]);
        made.masks.push(half);
        made.pictures.push(picture.clone());
    }
    made
}

/// A click well inside the mask: people neither hit the exact middle nor the rim.
fn first_click(
    alpha: Vec<u8>,
    width: usize,
    height: usize,
    random: &mut ChaCha8Rng,
) -> Option<Click> {
    let mask = Mask {
        width: width as u32,
        height: height as u32,
        alpha,
    };
    let distance = raster::squared_distances(&mask);
    let deepest = distance.iter().copied().fold(0.0, f32::max);
    if deepest <= 0.0 {
        return None;
    }
    // From anywhere at all to only the middle.
    let depth = random.random_range(0.02..0.9) * deepest;
    let places: Vec<usize> = (0..distance.len())
        .filter(|&at| distance[at] >= depth)
        .collect();
    let at = places[random.random_range(0..places.len())];
    Some(click_at(at, width, height, true))
}

fn click_at(at: usize, width: usize, height: usize, positive: bool) -> Click {
    Click {
        x: ((at % width) as f32 + 0.5) / width as f32,
        y: ((at / width) as f32 + 0.5) / height as f32,
        positive,
    }
}

/// Where a person would click next: in the middle of the largest error. `None` when there is none to speak of.
pub fn next_click(truth: &[f32], made: &[f32], width: usize, height: usize) -> Option<Click> {
    let mut best: Option<(f32, Click)> = None;
    for positive in [true, false] {
        let alpha = truth
            .iter()
            .zip(made)
            .map(|(&truth, &made)| {
                let wrong = if positive {
                    truth >= 0.5 && made < 0.5
                } else {
                    truth < 0.5 && made >= 0.5
                };
                if wrong { 255 } else { 0 }
            })
            .collect();
        let mask = Mask {
            width: width as u32,
            height: height as u32,
            alpha,
        };
        let distance = raster::squared_distances(&mask);
        let found = distance
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1));
        if let Some((at, &depth)) = found
            && depth > 0.0
            && best.as_ref().is_none_or(|(other, _)| depth > *other)
        {
            best = Some((depth, click_at(at, width, height, positive)));
        }
    }
    best.map(|(_, click)| click)
}

/// Intersection over union of two masks of values in 0..1, cut at one half.
pub fn iou(truth: &[f32], made: &[f32]) -> f64 {
    let (mut both, mut either) = (0_u32, 0_u32);
    for (&a, &b) in truth.iter().zip(made) {
        let (a, b) = (a >= 0.5, b >= 0.5);
        both += (a && b) as u32;
        either += (a || b) as u32;
    }
    if either == 0 {
        return 1.0;
    }
    both as f64 / either as f64
}

impl Targets {
    fn pictures<B: Backend>(&self, device: &B::Device) -> Tensor<B, 4> {
        pictures(&self.pictures, self.width, self.height, device)
    }

    fn truth<B: Backend>(&self, device: &B::Device) -> Tensor<B, 4> {
        let shape = [self.masks.len(), 1, self.height / 2, self.width / 2];
        Tensor::from_data(TensorData::new(self.masks.concat(), shape), device)
    }

    /// Lets `network` answer `rounds` times, each time adding the click a person would add; returns
    /// the last answer, 0..1.
    fn play<B: Backend>(
        &mut self,
        network: &EntityEncoder<B>,
        rounds: usize,
        device: &B::Device,
    ) -> Result<Option<Tensor<B, 4>>> {
        if rounds == 0 {
            return Ok(None);
        }
        let input = self.pictures::<B>(device);
        let seen = network.encode(input.clone());
        let mut previous = None;
        for _ in 0..rounds {
            let maps = ClickMaps::new(&self.clicks, self.height, self.width, previous, device);
            let made = sigmoid(network.click(&seen, input.clone(), &maps));
            let values = to_vec(made.clone())?;
            let (w, h) = (self.width / 2, self.height / 2);
            for (index, values) in values.chunks_exact(w * h).enumerate() {
                if let Some(click) = next_click(&self.masks[index], values, w, h) {
                    self.clicks[index].push(click);
                }
            }
            previous = Some(made);
        }
        Ok(previous)
    }
}

impl<B: AutodiffBackend> Stage<B> for ClickStage<B> {
    type Network = EntityEncoder<B>;
    type Batch = Targets;

    fn name(&self) -> &'static str {
        "entity encoder"
    }

    fn on(&self, device: &B::Device) -> Result<Self> {
        Ok(Self {
            clips: self.clips.clone(),
            held_out: self.held_out.clone(),
            batch: self.batch,
            device: device.clone(),
        })
    }

    fn batches(&self) -> Box<dyn FnMut(u64) -> Result<Targets> + Send> {
        let (clips, batch) = (self.clips.clone(), self.batch);
        Box::new(move |index| Ok(targets(clips.stills(index, batch)?, index, true)))
    }

    fn loss(
        &self,
        network: &EntityEncoder<B>,
        mut batch: Targets,
        _step: u64,
    ) -> Result<Tensor<B, 1>> {
        if batch.masks.is_empty() {
            return Err(dragentity_core::Error::Job(
                "no clip of the batch shows an entity: the pack has no usable cut-outs".into(),
            ));
        }
        let rounds = batch.rounds;
        let previous = batch.play(&network.valid(), rounds, &self.device)?;
        let input = batch.pictures::<B>(&self.device);
        let seen = network.encode(input.clone());
        let maps = ClickMaps::new(
            &batch.clicks,
            batch.height,
            batch.width,
            previous.map(Tensor::from_inner),
            &self.device,
        );
        let logits = network.click(&seen, input, &maps);
        let truth = batch.truth::<B>(&self.device);
        let outside = truth.clone() * -1.0 + 1.0;
        // Cross entropy, and Dice so that small entities count as much as large ones.
        let entropy = (truth.clone() * log_sigmoid(logits.clone())
            + outside * log_sigmoid(-logits.clone()))
        .mean()
        .neg();
        let made = sigmoid(logits);
        let sum = |x: Tensor<B, 4>| x.sum_dim(3).sum_dim(2);
        let overlap = sum(made.clone() * truth.clone()) * 2.0 + 1.0;
        let dice = overlap / (sum(made) + sum(truth) + 1.0);
        Ok(entropy + (dice * -1.0 + 1.0).mean())
    }

    fn sample(
        &self,
        network: &<EntityEncoder<B> as AutodiffModule<B>>::InnerModule,
    ) -> Result<(RgbImage, Vec<(&'static str, f64)>)> {
        let mut ious = [0.0; 3];
        let mut count = 0;
        let mut rows = Vec::new();
        for index in 0..4 {
            let batch = self.held_out.stills(index, 8)?;
            for (rounds, iou_sum) in ious.iter_mut().enumerate() {
                let mut targets = targets(batch.clone(), index, false);
                let made = targets.play(network, rounds + 1, &self.device)?;
                let Some(made) = made else { continue };
                let values = to_vec(made.clone())?;
                let area = targets.width * targets.height / 4;
                for (truth, values) in targets.masks.iter().zip(values.chunks_exact(area)) {
                    *iou_sum += iou(truth, values);
                    count += (rounds == 0) as usize;
                }
                if index == 0 && rounds == 0 {
                    let grey = |x: Tensor<B::InnerBackend, 4>| {
                        let [n, _, h, w] = x.dims();
                        (x * 2.0 - 1.0)
                            .reshape([n, 1, h, 1, w, 1])
                            .expand([n, 3, h, 2, w, 2])
                            .reshape([n, 3, h * 2, w * 2])
                    };
                    rows.push(targets.pictures(&self.device));
                    rows.push(grey(targets.truth(&self.device)));
                    rows.push(grey(made));
                }
            }
        }
        let mean = |sum: f64| sum / count.max(1) as f64;
        Ok((
            sheet(&rows)?,
            vec![
                ("IoU 1 click", mean(ious[0])),
                ("2 clicks", mean(ious[1])),
                ("3 clicks", mean(ious[2])),
            ],
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_click_goes_into_the_largest_error() {
        let (w, h) = (16, 16);
        let truth: Vec<f32> = (0..w * h)
            .map(|at| if at % w < 10 && at / w < 10 { 1.0 } else { 0.0 })
            .collect();
        let nothing = vec![0.0; w * h];
        let click = next_click(&truth, &nothing, w, h).unwrap();
        assert!(click.positive && click.x < 0.5 && click.y < 0.5);
        let everything = vec![1.0; w * h];
        let click = next_click(&truth, &everything, w, h).unwrap();
        assert!(!click.positive && (click.x > 0.62 || click.y > 0.62));
        assert!(next_click(&truth, &truth, w, h).is_none());
        assert_eq!(iou(&truth, &truth), 1.0);
        assert!((iou(&truth, &everything) - 100.0 / 256.0).abs() < 1e-9);
    }
}
