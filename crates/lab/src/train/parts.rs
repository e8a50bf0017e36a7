//! How joints that nobody leads follow those that are led ([`crate::follow`]), on movements of known kinds ([`crate::data::moves`]).

use super::source::to_vec;
use super::stage::Stage;
use crate::data::moves::{HELD_OUT, Kind, LEARNED, Move, Places};
use crate::follow::{Asked, Follower};
use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use dragentity_core::scene::skeleton::{JOINTS, Joint};
use dragentity_core::{Error, Result};
use dragentity_media::overlay::Canvas;
use image::RgbImage;

/// Movements that figures are measured on, of each half of the kinds.
const MEASURED: u64 = 200;
/// Seed of those, unlike that of any training run that is counted from 1.
const MEASURED_SEED: u64 = u64::MAX;
/// Figures on a sheet, and the side of one in pixels.
const SHOWN: u64 = 8;
const SIDE: u32 = 160;

/// The stage.
pub struct PartsStage<B: AutodiffBackend> {
    /// Whether joints hear of each other.
    pub related: bool,
    /// Movements in a batch.
    pub batch: usize,
    /// Seed of the movements.
    pub seed: u64,
    /// Where to train.
    pub device: B::Device,
}

/// Movements with the moment that is asked about.
pub type Batch = Vec<(Move, usize)>;

impl<B: AutodiffBackend> Stage<B> for PartsStage<B> {
    type Network = Follower<B>;
    type Batch = Batch;

    fn name(&self) -> &'static str {
        "parts that follow"
    }

    fn batches(&self) -> Box<dyn FnMut(u64) -> Result<Batch> + Send> {
        let (seed, count) = (self.seed, self.batch as u64);
        Box::new(move |index| {
            let made = (index * count..(index + 1) * count).map(|number| {
                (
                    Move::random(seed, number, &LEARNED),
                    1 + (number % 2) as usize,
                )
            });
            Ok(made.collect())
        })
    }

    fn loss(&self, network: &Follower<B>, batch: Batch, _step: u64) -> Result<Tensor<B, 1>> {
        let asked = Asked::new(batch.iter().map(|(made, moment)| (made, *moment)));
        let found = network.forward(&asked, self.related, &self.device);
        let (mut truth, mut counts) = (Vec::new(), Vec::new());
        for (made, moment) in &batch {
            for joint in Joint::ALL {
                let at = |moment: usize| made.places[moment][joint as usize];
                let (from, to) = (at(0), at(*moment));
                truth.extend([to[0] - from[0], to[1] - from[1]]);
                counts.push(if made.led.contains(&joint) { 0.0 } else { 1.0 });
            }
        }
        let joints = JOINTS;
        let tensor = |values: Vec<f32>, last: usize| {
            let shape = [batch.len(), joints, last];
            Tensor::<B, 3>::from_data(TensorData::new(values, shape), &self.device)
        };
        let (truth, counts) = (tensor(truth, 2), tensor(counts, 1));
        // The distance, as it is measured.
        let away = (found - truth).square().sum_dim(2).add_scalar(1e-6).sqrt();
        Ok((away * counts.clone()).sum() / counts.sum())
    }

    fn on(&self, device: &B::Device) -> Result<Self> {
        Ok(Self {
            device: device.clone(),
            ..*self
        })
    }

    fn sample(
        &self,
        network: &<Follower<B> as AutodiffModule<B>>::InnerModule,
    ) -> Result<(RgbImage, Vec<(&'static str, f64)>)> {
        let error = |kinds: &[Kind]| -> Result<f64> {
            let moves = (0..MEASURED).map(|index| Move::random(MEASURED_SEED, index, kinds));
            let moves: Vec<Move> = moves.collect();
            let asked = Asked::new(moves.iter().map(|made| (made, 2)));
            let offsets = to_vec(network.forward(&asked, self.related, &self.device))?;
            let figures = offsets.chunks_exact(2 * JOINTS);
            let sum: f32 = moves
                .iter()
                .zip(figures)
                .map(|(made, offsets)| {
                    let mut places = made.places[0];
                    for (place, offset) in places.iter_mut().zip(offsets.chunks_exact(2)) {
                        *place = [place[0] + offset[0], place[1] + offset[1]];
                    }
                    made.error(2, &places)
                })
                .sum();
            Ok(f64::from(sum) / MEASURED as f64)
        };
        let figures = vec![
            ("error, kinds it learns", error(&LEARNED)?),
            ("error, other kinds", error(&HELD_OUT)?),
        ];
        let mut sheet = RgbImage::new(SIDE * SHOWN as u32, SIDE);
        for index in 0..SHOWN {
            let made = Move::random(MEASURED_SEED, index, &HELD_OUT);
            let found = network.places(&made, 2, self.related, &self.device)?;
            let drawn = drawn(&made, &found)?;
            image::imageops::replace(&mut sheet, &drawn, i64::from(SIDE) * index as i64, 0);
        }
        Ok((sheet, figures))
    }
}

/// A figure as it was (grey), as it is in truth (green), and as it was found (red).
fn drawn(made: &Move, found: &Places) -> Result<RgbImage> {
    let mut canvas = Canvas::new(SIDE, SIDE, &vec![255; (3 * SIDE * SIDE) as usize])?;
    let figures = [
        (&made.places[0], [190, 190, 190]),
        (&made.places[2], [30, 150, 60]),
        (found, [210, 40, 40]),
    ];
    for (places, colour) in figures {
        for joint in Joint::ALL {
            if let Some(parent) = joint.parent() {
                let ends = [parent, joint].map(|end| {
                    crate::data::moves::shown(places[end as usize]).map(|v| v * SIDE as f32)
                });
                canvas.line(&ends, colour, 1.0, 1.5);
            }
        }
    }
    RgbImage::from_raw(SIDE, SIDE, canvas.into_rgb())
        .ok_or_else(|| Error::Job("a figure's picture has another size".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::FollowerConfig;
    use burn::backend::{Autodiff, Flex};
    use burn::optim::{AdamConfig, GradientsParams, Optimizer};

    #[test]
    fn the_loss_falls_on_one_batch_and_a_sheet_is_drawn() {
        type A = Autodiff<Flex>;
        let device = Default::default();
        let stage = PartsStage::<A> {
            related: true,
            batch: 16,
            seed: 1,
            device,
        };
        let mut network = FollowerConfig::default().init::<A>(&device).unwrap();
        let mut optimizer = AdamConfig::new().init::<A, Follower<A>>();
        let mut losses: Vec<f32> = Vec::new();
        for _ in 0..150 {
            let batch = (stage.batches())(2).unwrap();
            let loss = stage.loss(&network, batch, 0).unwrap();
            losses.push(loss.clone().into_scalar());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(5e-3, network, gradients);
        }
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.8 * first, "from {first} to {last}");
        let (sheet, figures) = stage.sample(&network.valid()).unwrap();
        assert_eq!(sheet.width(), SIDE * SHOWN as u32);
        assert!(
            figures
                .iter()
                .all(|(_, error)| error.is_finite() && *error > 0.0)
        );
    }
}
