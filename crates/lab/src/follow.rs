//! How parts that nobody leads follow those that are led, learned: the paper's relation module (section 3.2, Eq. 1-6) over a figure's
//! joints, and a small head that says of each joint's embedding and of those of the led ones where it goes. An experiment; the program uses the chain of
//! `dragentity_core::scene::skeleton`, with which `eval --suite figures` compares it.

use crate::data::moves::{Move, Places};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::silu;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::skeleton::{JOINTS, Joint};
use dragentity_networks::dragentity::relation::{Relation, RelationConfig};
use dragentity_networks::weights::ModelDir;
use dragentity_pipeline::transfer::read;
use serde::{Deserialize, Serialize};

/// Numbers for each joint: which it is, where it is, where its bone goes, whether it is led, and where to.
const FEATURES: usize = JOINTS + 2 + 2 + 1 + 2;
/// What offsets, of a fifth of the height or so, are multiplied by to be as large as other numbers.
const OFFSETS: f32 = 5.0;
/// Keeps a garbled configuration from asking for all memory.
const MOST_ROUNDS: usize = 16;

/// Sizes of a [`Follower`]; missing fields take their defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FollowerConfig {
    /// Channels of a joint's embedding; a multiple of `heads`.
    pub dim: usize,
    /// Relation heads.
    pub heads: usize,
    /// Gaussian kernels of distance and angle.
    pub kernels: usize,
    /// How often joints hear from each other.
    pub rounds: usize,
    /// Whether they do at all; else each knows of itself alone ([`Relation::alone`]) until the head, which is the baseline.
    pub related: bool,
}

impl Default for FollowerConfig {
    fn default() -> Self {
        Self {
            dim: 64,
            heads: 4,
            kernels: 16,
            rounds: 1,
            related: true,
        }
    }
}

/// The network; made by [`FollowerConfig::init`].
#[derive(Module, Debug)]
pub struct Follower<B: Backend> {
    /// What is known of a joint, into its embedding.
    pub embed: Linear<B>,
    /// One a round.
    pub relations: Vec<Relation<B>>,
    /// Of the head: of a joint's embedding, and the mean of those of the led ones.
    pub hidden: Linear<B>,
    /// Into an offset.
    pub out: Linear<B>,
}

impl FollowerConfig {
    fn relation(&self) -> RelationConfig {
        RelationConfig {
            dim: self.dim,
            dim_out: self.dim,
            heads: self.heads,
            kernels: self.kernels,
        }
    }

    /// Checks that the network can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        if !(1..=MOST_ROUNDS).contains(&self.rounds) {
            return Err(Error::Model {
                name: name.into(),
                reason: format!("rounds is {}, and must be 1 to {MOST_ROUNDS}", self.rounds),
            });
        }
        self.relation().validate(name)
    }

    /// With random weights.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<Follower<B>> {
        self.validate("config.json")?;
        let rounds = 0..self.rounds;
        Ok(Follower {
            embed: LinearConfig::new(FEATURES, self.dim).init(device),
            relations: rounds
                .map(|_| self.relation().init(device))
                .collect::<Result<_>>()?,
            hidden: LinearConfig::new(2 * self.dim, self.dim).init(device),
            out: LinearConfig::new(self.dim, 2).init(device),
        })
    }

    /// One that was trained, with its configuration.
    ///
    /// # Errors
    /// [`Error::Model`] for a directory without one, or with a damaged one.
    pub fn load<B: Backend>(dir: &ModelDir, device: &B::Device) -> Result<(Self, Follower<B>)> {
        let config: Self = pollster::block_on(dir.read_config(""))?;
        config.validate(&dir.file("", "config.json"))?;
        let (network, _) = pollster::block_on(dir.load("", config.init(device)?, &mut |_, _| {}))?;
        Ok((config, network))
    }
}

/// What the network is told of figures whose joints are led to where they are at a moment of their movements.
pub struct Asked {
    features: Vec<f32>,
    boxes: Vec<f32>,
    /// What each joint counts in the mean of the led ones.
    led: Vec<f32>,
    count: usize,
}

impl Asked {
    /// Of movements, each with its moment.
    pub fn new<'a>(moves: impl IntoIterator<Item = (&'a Move, usize)>) -> Self {
        let mut asked = Self {
            features: Vec::new(),
            boxes: Vec::new(),
            led: Vec::new(),
            count: 0,
        };
        for (made, moment) in moves {
            asked.count += 1;
            let first = &made.places[0];
            let root = first[Joint::Pelvis as usize];
            for (at, joint) in Joint::ALL.into_iter().enumerate() {
                let parent = joint.parent().unwrap_or(joint) as usize;
                let bone = [0, 1].map(|axis| first[at][axis] - first[parent][axis]);
                let place = [0, 1].map(|axis| first[at][axis] - root[axis]);
                let led = made.led.contains(&joint);
                let offset = [0, 1].map(|axis| match led {
                    true => OFFSETS * (made.places[moment][at][axis] - first[at][axis]),
                    false => 0.0,
                });
                let one = |is: bool| f32::from(u8::from(is));
                asked.features.extend((0..JOINTS).map(|i| one(i == at)));
                asked.features.extend(place);
                asked.features.extend(bone);
                asked.features.push(one(led));
                asked.features.extend(offset);
                asked.led.push(one(led) / made.led.len().max(1) as f32);
                asked
                    .boxes
                    .extend([place[0], place[1], bone[0].abs(), bone[1].abs()]);
            }
        }
        asked
    }
}

impl<B: Backend> Follower<B> {
    /// Offsets of the joints from where they were, in heights of the figure. `[figures, joints, 2]`
    pub fn forward(&self, asked: &Asked, related: bool, device: &B::Device) -> Tensor<B, 3> {
        let tensor = |values: &[f32], last: usize| {
            let shape = [asked.count, JOINTS, last];
            Tensor::<B, 3>::from_data(TensorData::new(values.to_vec(), shape), device)
        };
        let valid = Tensor::ones([asked.count, JOINTS], device);
        let boxes = tensor(&asked.boxes, 4);
        let mut x = silu(self.embed.forward(tensor(&asked.features, FEATURES)));
        for relation in &self.relations {
            let heard = match related {
                true => relation.forward(x.clone(), boxes.clone(), valid.clone()),
                false => relation.alone(x.clone(), valid.clone()),
            };
            x = silu(heard) + x;
        }
        let led = (x.clone() * tensor(&asked.led, 1)).sum_dim(1);
        let led = led.expand(x.dims());
        let x = silu(self.hidden.forward(Tensor::cat(vec![x, led], 2)));
        self.out.forward(x) / OFFSETS
    }

    /// Where the joints of one figure are at a moment: led ones where they are led, the others where the network says.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub fn places(
        &self,
        made: &Move,
        moment: usize,
        related: bool,
        device: &B::Device,
    ) -> Result<Places> {
        let offsets = self.forward(&Asked::new([(made, moment)]), related, device);
        let offsets = pollster::block_on(read(offsets))?;
        let mut places = made.places[0];
        for (joint, (place, offset)) in Joint::ALL
            .into_iter()
            .zip(places.iter_mut().zip(offsets.chunks_exact(2)))
        {
            *place = match made.led.contains(&joint) {
                true => made.places[moment][joint as usize],
                false => [place[0] + offset[0], place[1] + offset[1]],
            };
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::moves::LEARNED;
    use burn::backend::Flex;

    #[test]
    fn joints_that_nobody_leads_hear_of_each_other_only_where_they_are_related() {
        let device = Default::default();
        let network: Follower<Flex> = FollowerConfig::default().init(&device).unwrap();
        let made = Move::random(1, 2, &LEARNED);
        let mut free = Joint::ALL
            .into_iter()
            .filter(|joint| !made.led.contains(joint) && joint.parent().is_some());
        let (one, other) = (free.next_back().unwrap(), free.next().unwrap());
        let change = |related: bool, joint: Joint| {
            let mut moved = made.clone();
            moved.places[0][joint as usize][0] += 1.0;
            let [a, b] = [&made, &moved]
                .map(|made| network.places(made, 2, related, &device).unwrap()[other as usize]);
            (a[0] - b[0]).abs() + (a[1] - b[1]).abs()
        };
        assert_eq!(change(false, one), 0.0);
        // How much depends on the weights, which are drawn anew each time.
        assert!(change(true, one) > 0.0, "{}", change(true, one));
        // Of what is led all hear, by the head.
        assert!(change(false, made.led[0]) > 0.0);
        let led = made.led[0] as usize;
        let found = network.places(&made, 2, true, &device).unwrap();
        assert_eq!(found[led], made.places[2][led]);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let message = |config: FollowerConfig| config.validate("c").unwrap_err().to_string();
        let rounds = FollowerConfig {
            rounds: 0,
            ..Default::default()
        };
        assert!(message(rounds).contains("rounds"));
        let dim = FollowerConfig {
            dim: 7,
            ..Default::default()
        };
        assert!(message(dim).contains("multiple of heads"));
    }
}
