//! The human parser, on crops of rendered people ([`crate::data::portrait`]).

use super::source::{Clips, sheet};
use super::stage::Stage;
use crate::data::portrait::Portrait;
use burn::module::AutodiffModule;
use burn::tensor::activation::log_softmax;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use dragentity_core::Result;
use dragentity_core::scene::parts::{CLASSES, Part};
use dragentity_media::overlay::colour;
use dragentity_networks::dragentity::human_parser::HumanParser;
use dragentity_pipeline::parts::{Parsed, parse};
use dragentity_pipeline::transfer::{pictures, shrink};
use image::RgbImage;
use std::sync::Arc;

/// Portraits that figures are measured on, in batches of [`AT_ONCE`].
const MEASURED: u64 = 16;
const AT_ONCE: usize = 8;

/// The stage.
pub struct ParserStage<B: AutodiffBackend> {
    /// What to train on.
    pub clips: Arc<Clips>,
    /// Backgrounds and things never trained on.
    pub held_out: Arc<Clips>,
    /// Portraits in a batch.
    pub batch: usize,
    /// Their side in pixels.
    pub side: usize,
    /// Where to train.
    pub device: B::Device,
}

/// Host side of a batch.
pub struct Portraits {
    pictures: Vec<Vec<f32>>,
    masks: Vec<f32>,
    /// Shares of the classes at half resolution.
    shares: Vec<f32>,
    /// What an error costs at each pixel, at half resolution.
    weights: Vec<f32>,
    side: usize,
}

/// What an error in a class costs: small parts are as wanted as large ones.
fn cost(class: Option<Part>) -> f32 {
    use Part::{
        Head, LeftFoot, LeftLowerArm, LeftLowerLeg, LeftUpperArm, LeftUpperLeg, RightFoot,
        RightLowerArm, RightLowerLeg, RightUpperArm, RightUpperLeg, Torso,
    };
    match class {
        None => 1.0,
        Some(Head) => 1.2,
        Some(Torso) => 0.8,
        Some(LeftFoot | RightFoot) => 2.0,
        Some(LeftUpperArm | LeftLowerArm | RightUpperArm | RightLowerArm) => 1.8,
        Some(LeftUpperLeg | LeftLowerLeg | RightUpperLeg | RightLowerLeg) => 1.4,
    }
}

/// What an error costs where nobody asks.
const ELSEWHERE: f32 = 0.06;

fn portraits(made: Vec<Portrait>, side: usize) -> Portraits {
    let half = side / 2;
    let mut batch = Portraits {
        pictures: Vec::new(),
        masks: Vec::new(),
        shares: Vec::new(),
        weights: Vec::new(),
        side,
    };
    for portrait in made {
        let mask = shrink(&portrait.mask, side, side, 2);
        let first = batch.shares.len();
        for class in portrait.shares.chunks_exact(side * side) {
            batch.shares.extend(shrink(class, side, side, 2));
        }
        let shares = &batch.shares[first..];
        batch.weights.extend((0..half * half).map(|at| {
            let of = |class: usize| shares[class * half * half + at];
            let asked = mask[at].max(1.0 - of(0)).max(ELSEWHERE);
            asked
                * (0..CLASSES)
                    .map(|class| of(class) * cost(Part::of_class(class)))
                    .sum::<f32>()
        }));
        batch.masks.extend(portrait.mask);
        batch.pictures.push(portrait.rgb);
    }
    batch
}

impl Portraits {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn half<B: Backend>(&self, values: &[f32], device: &B::Device) -> Tensor<B, 4> {
        let half = self.side / 2;
        let channels = values.len() / (self.len() * half * half);
        Tensor::from_data(
            TensorData::new(values.to_vec(), [self.len(), channels, half, half]),
            device,
        )
    }

    fn forward<B: Backend>(&self, network: &HumanParser<B>, device: &B::Device) -> Tensor<B, 4> {
        let picture = pictures(&self.pictures, self.side, self.side, device);
        let shape = [self.len(), 1, self.side, self.side];
        let mask = Tensor::from_data(TensorData::new(self.masks.clone(), shape), device);
        network.forward(picture, mask)
    }
}

impl<B: AutodiffBackend> Stage<B> for ParserStage<B> {
    type Network = HumanParser<B>;
    type Batch = Portraits;

    fn name(&self) -> &'static str {
        "human parser"
    }

    fn batches(&self) -> Box<dyn FnMut(u64) -> Result<Portraits> + Send> {
        let (clips, batch, side) = (self.clips.clone(), self.batch, self.side);
        Box::new(move |index| Ok(portraits(clips.portraits(index, batch, side)?, side)))
    }

    fn loss(&self, network: &HumanParser<B>, batch: Portraits, _step: u64) -> Result<Tensor<B, 1>> {
        let logits = batch.forward(network, &self.device);
        let truth = batch.half::<B>(&batch.shares, &self.device);
        let weights = batch.half::<B>(&batch.weights, &self.device);
        let log = log_softmax(logits, 1);
        let entropy = (log.clone() * truth.clone()).sum_dim(1).neg();
        let entropy = (entropy * weights.clone()).sum() / weights.sum();
        // And Dice of each part over the batch, so that small ones are not given up.
        let made = log.exp().narrow(1, 1, Part::ALL.len());
        let truth = truth.narrow(1, 1, Part::ALL.len());
        let sum = |x: Tensor<B, 4>| x.sum_dim(3).sum_dim(2).sum_dim(0);
        let overlap = sum(made.clone() * truth.clone()) * 2.0 + 4.0;
        let dice = overlap / (sum(made) + sum(truth) + 4.0);
        Ok(entropy + (dice.mean() * -1.0 + 1.0) * 0.5)
    }

    fn on(&self, device: &B::Device) -> Result<Self> {
        Ok(Self {
            clips: self.clips.clone(),
            held_out: self.held_out.clone(),
            device: device.clone(),
            ..*self
        })
    }

    fn sample(
        &self,
        network: &<HumanParser<B> as AutodiffModule<B>>::InnerModule,
    ) -> Result<(RgbImage, Vec<(&'static str, f64)>)> {
        let (mut score, mut folded) = (Score::default(), Score::default());
        let mut rows = Vec::new();
        for index in 0..MEASURED {
            let made = self.held_out.portraits(index, AT_ONCE, self.side)?;
            let (mut truths, mut answers) = (Vec::new(), Vec::new());
            for portrait in &made {
                let parsed = pollster::block_on(parse(
                    network,
                    &portrait.rgb,
                    &portrait.mask,
                    self.side,
                    &self.device,
                ))?;
                let truth = truth(portrait);
                let answer = answer(&parsed, portrait);
                score.add(&truth, &answer);
                folded.add(&without_sides(&truth), &without_sides(&answer));
                truths.push(truth);
                answers.push(answer);
            }
            if index == 0 {
                let shown: Vec<_> = made.iter().map(|p| p.rgb.clone()).collect();
                let masked = made.iter().map(|p| {
                    let pixels = p.rgb.chunks_exact(3).zip(&p.mask);
                    pixels
                        .flat_map(|(rgb, m)| [rgb[0] * m, rgb[1] * m, rgb[2] * m])
                        .collect()
                });
                rows.push(shown);
                rows.push(masked.collect());
                rows.push(truths.iter().map(|t| painted(t)).collect());
                rows.push(answers.iter().map(|a| painted(a)).collect());
            }
        }
        let rows: Vec<Tensor<B::InnerBackend, 4>> = rows
            .iter()
            .map(|row| pictures(row, self.side, self.side, &self.device))
            .collect();
        Ok((
            sheet(&rows)?,
            vec![
                ("mIoU", score.mean()),
                ("mIoU sides alike", folded.mean()),
                ("pixels", score.right as f64 / score.all.max(1) as f64),
                ("nobody", score.told as f64 / score.portraits.max(1) as f64),
            ],
        ))
    }
}

/// The part of each pixel.
fn truth(portrait: &Portrait) -> Vec<Option<Part>> {
    let area = portrait.side * portrait.side;
    (0..area)
        .map(|at| {
            let of = |class: usize| portrait.shares[class * area + at];
            let most = (1..CLASSES).max_by(|a, b| of(*a).total_cmp(&of(*b)));
            most.filter(|_| of(0) < 0.5).and_then(Part::of_class)
        })
        .collect()
}

/// The part the parser gives each pixel; none outside the mask, and none at all to what is nobody.
fn answer(parsed: &Parsed, portrait: &Portrait) -> Vec<Option<Part>> {
    let side = portrait.side;
    let inside = |at: usize| portrait.mask[at] >= 0.5;
    let place = |at: usize| [at % side, at / side].map(|v| (v as f32 + 0.5) / side as f32);
    let places = (0..side * side).filter(|&at| inside(at)).map(place);
    if !parsed.is_somebody(places) {
        return vec![None; side * side];
    }
    (0..side * side)
        .map(|at| inside(at).then(|| parsed.part(place(at))))
        .collect()
}

/// The same with the left for either side.
fn without_sides(parts: &[Option<Part>]) -> Vec<Option<Part>> {
    let left = |part: &Option<Part>| part.map(|part| part.min(part.mirrored()));
    parts.iter().map(left).collect()
}

fn painted(parts: &[Option<Part>]) -> Vec<f32> {
    let paint = |part: Option<Part>| match part.map(Part::class) {
        None => [-0.8; 3],
        // There are fewer colours than parts: the last ones are darker.
        Some(class) => colour(class - 1).map(|c| {
            let light = if class > 8 { 0.5 } else { 1.0 };
            light * f32::from(c) / 127.5 - 1.0
        }),
    };
    parts.iter().flat_map(|&part| paint(part)).collect()
}

/// Right and wrong pixels of many portraits.
#[derive(Default)]
struct Score {
    both: [u64; CLASSES],
    either: [u64; CLASSES],
    /// Pixels of people, and those of them whose part was found.
    all: u64,
    right: u64,
    portraits: u64,
    /// Portraits in which somebody was told from nobody.
    told: u64,
}

impl Score {
    fn add(&mut self, truth: &[Option<Part>], made: &[Option<Part>]) {
        let class = |part: Option<Part>| part.map_or(0, Part::class);
        for (&truth, &made) in truth.iter().zip(made) {
            self.either[class(truth)] += 1;
            if truth == made {
                self.both[class(truth)] += 1;
            } else {
                self.either[class(made)] += 1;
            }
            if truth.is_some() {
                self.all += 1;
                self.right += u64::from(truth == made);
            }
        }
        let somebody = |parts: &[Option<Part>]| parts.iter().any(Option::is_some);
        self.portraits += 1;
        self.told += u64::from(somebody(truth) == somebody(made));
    }

    /// Mean of intersection over union, over the parts that there are.
    fn mean(&self) -> f64 {
        let of = |class: &usize| self.both[*class] as f64 / self.either[*class] as f64;
        let there: Vec<usize> = (1..CLASSES)
            .filter(|&class| self.either[class] > 0)
            .collect();
        there.iter().map(of).sum::<f64>() / there.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_falls_on_one_batch() {
        use crate::data::{ClipSpec, Data, Split, testing};
        use burn::backend::{Autodiff, Flex};
        use burn::optim::{AdamConfig, GradientsParams, Optimizer};
        use dragentity_networks::dragentity::human_parser::HumanParserConfig;
        type A = Autodiff<Flex>;
        let device = Default::default();
        let config = HumanParserConfig {
            crop_side: 32,
            stem_channels: 8,
            block_out_channels: [8, 16, 16],
            layers_per_block: [1, 1, 2],
            merge_channels: 16,
            norm_num_groups: 4,
        };
        let data = Data::Pack(Arc::new(testing::pack()));
        let clips = Clips::new(&data, Split::Train, &ClipSpec::default(), 1, &[(64, 64)]);
        let clips = Arc::new(clips.unwrap());
        let stage = ParserStage::<A> {
            clips: clips.clone(),
            held_out: clips,
            batch: 4,
            side: 32,
            device,
        };
        let mut network = config.init::<A>(&device).unwrap();
        let mut optimizer = AdamConfig::new().init::<A, HumanParser<A>>();
        let mut losses: Vec<f32> = Vec::new();
        for _ in 0..30 {
            // The same each time.
            let batch = (stage.batches())(3).unwrap();
            let loss = stage.loss(&network, batch, 0).unwrap();
            losses.push(loss.clone().into_scalar());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(5e-3, network, gradients);
        }
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.7 * first, "from {first} to {last}");
    }

    #[test]
    fn scores_count_each_part_alike() {
        let mut score = Score::default();
        // Of each part two pixels are right; one of the first is taken for the second.
        let two = |part: Part| [Some(part); 2];
        let mut truth: Vec<Option<Part>> = Part::ALL.into_iter().flat_map(two).collect();
        let mut made = truth.clone();
        truth.extend([None, Some(Part::Head)]);
        made.extend([None, Some(Part::Torso)]);
        score.add(&truth, &made);
        let expected = (10.0 + 2.0 / 3.0 * 2.0) / Part::ALL.len() as f64;
        assert!((score.mean() - expected).abs() < 1e-9, "{}", score.mean());
        assert_eq!((score.all, score.right, score.told), (25, 24, 1));
        // What is swapped is right where sides do not count.
        let (mut swapped, mut folded) = (Score::default(), Score::default());
        let arms = [Part::LeftUpperArm, Part::RightUpperArm].map(Some);
        let truth = vec![Some(Part::Head), arms[0], arms[1]];
        let made = vec![Some(Part::Head), arms[1], arms[0]];
        swapped.add(&truth, &made);
        folded.add(&without_sides(&truth), &without_sides(&made));
        assert!((swapped.mean() - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(folded.mean(), 1.0);
    }
}
