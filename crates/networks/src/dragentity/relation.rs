//! The position-aware relation module: each entity's features enriched by those of the others,
//! weighted by where they lie around it and by how alike they are. Paper, section 3.2, Eq. 1-6.
//!
//! What the paper leaves open, and what is done here:
//! - Eq. 3 is misprinted (numerator and denominator are the same sum): the product of the two
//!   kernels is divided by its sum over all entities `j`.
//! - Eq. 1 and 2 give 64 pairs of kernels, Eq. 5 needs one spatial weight per head: each head takes
//!   its own convex mixture of the 64 normalized kernels (softmax over learned logits). Normalizing
//!   before mixing keeps Eq. 3 in force; normalized after it, it would cancel in Eq. 5.
//! - `j = i` takes part, at distance 0 and angle 0, as in the sums from 1 to N.
//! - The product of Eq. 5 is computed as a softmax of logarithms, which is the same and never 0/0.

use crate::fields::Fields;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use dragentity_core::error::Result;
use serde::{Deserialize, Serialize};
use std::f32::consts::PI;

/// Stands for minus infinity in logarithms of weights: `exp` of it is 0, and sums of it stay finite.
const ABSENT: f64 = -1e9;
/// Keeps the logarithm of a spatial weight that underflowed finite; no weight that matters is this small.
const TINY: f64 = 1e-20;
/// Added to the squared width of a kernel, which is free to pass through zero in training.
const MIN_VARIANCE: f64 = 1e-4;

/// Far above any sensible size; keeps a garbled configuration from asking for all memory.
const MAX_SIZE: usize = 4096;

/// Sizes of a [`Relation`]; missing fields take their defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelationConfig {
    /// Channels of the pooled features V.
    pub dim: usize,
    /// Channels of the entity embeddings; a multiple of `heads`.
    pub dim_out: usize,
    /// Relation heads (the paper's K).
    pub heads: usize,
    /// Gaussian kernels (the paper's d_p).
    pub kernels: usize,
}

impl Default for RelationConfig {
    fn default() -> Self {
        Self {
            dim: 96,
            dim_out: 96,
            heads: 6,
            kernels: 64,
        }
    }
}

/// See the module's documentation; made by [`RelationConfig::init`].
#[derive(Module, Debug)]
pub struct Relation<B: Backend> {
    /// f of Eq. 4 and 6.
    pub f: Linear<B>,
    /// Mean distance of each kernel, `[kernels]`, in the units of the boxes (Eq. 1).
    pub rho_mean: Param<Tensor<B, 1>>,
    /// Width of each kernel along the distance, `[kernels]` (Eq. 1).
    pub rho_width: Param<Tensor<B, 1>>,
    /// Mean angle of each kernel in radians, `[kernels]` (Eq. 2).
    pub theta_mean: Param<Tensor<B, 1>>,
    /// Width of each kernel along the angle in radians, `[kernels]` (Eq. 2).
    pub theta_width: Param<Tensor<B, 1>>,
    /// Logits of each head's mixture of kernels, `[heads, kernels]`.
    pub mix: Param<Tensor<B, 2>>,
}

impl RelationConfig {
    /// Checks that the module can be built; `name` is what the error calls the configuration.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        for (field, value) in [
            ("dim", self.dim),
            ("dim_out", self.dim_out),
            ("heads", self.heads),
            ("kernels", self.kernels),
        ] {
            fields.within(field, value, 1..=MAX_SIZE)?;
        }
        fields.multiple("dim_out", self.dim_out, "heads", self.heads)
    }

    /// Kernels start on a regular grid: distances 0 to 1 by angles all around, each as wide as its cell.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<Relation<B>> {
        self.validate("relation/config.json")?;
        let angles = (self.kernels as f64).sqrt().ceil() as usize;
        let distances = self.kernels.div_ceil(angles);
        let param = |value: &dyn Fn(usize) -> f32| {
            let values: Vec<f32> = (0..self.kernels).map(value).collect();
            Param::from_data(TensorData::new(values, [self.kernels]), device)
        };
        let cell = 1.0 / distances as f32;
        let sector = 2.0 * PI / angles as f32;
        // Heads start different from each other: each prefers its own share of the kernels.
        let mix = (0..self.heads * self.kernels)
            .map(|i| {
                let (head, kernel) = (i / self.kernels, i % self.kernels);
                if kernel % self.heads == head {
                    1.0
                } else {
                    0.0
                }
            })
            .collect::<Vec<f32>>();
        Ok(Relation {
            f: LinearConfig::new(self.dim, self.dim_out).init(device),
            rho_mean: param(&|k| (k / angles) as f32 * cell),
            rho_width: param(&|_| cell),
            theta_mean: param(&|k| (k % angles) as f32 * sector - PI),
            theta_width: param(&|_| sector),
            mix: Param::from_data(TensorData::new(mix, [self.heads, self.kernels]), device),
        })
    }
}

impl<B: Backend> Relation<B> {
    /// Entity embeddings V_r (Eq. 6).
    ///
    /// `boxes` are `(cx, cy, w, h)`; only the centres count. Units are free as long as they are the
    /// same along x and y and training and use agree: fractions of the picture's longer side
    /// ([`crate::dragentity::condition`] gives these), so that angles are those seen in the picture.
    /// `valid` is 1 for each entity that is there, 0 for padding: padding influences nothing and comes out 0.
    ///
    /// # Shapes
    /// - features: `[batch, entities, dim]`
    /// - boxes: `[batch, entities, 4]`
    /// - valid: `[batch, entities]`
    /// - output: `[batch, entities, dim_out]`
    pub fn forward(
        &self,
        features: Tensor<B, 3>,
        boxes: Tensor<B, 3>,
        valid: Tensor<B, 2>,
    ) -> Tensor<B, 3> {
        let [batch, entities, _] = features.dims();
        let [heads, _] = self.mix.dims();
        let present = valid.clone().unsqueeze_dim::<3>(2);
        let f = self.f.forward(features) * present.clone();
        let dim_out = f.dims()[2];
        let head_dim = dim_out / heads;

        // 0 where j is there, about minus infinity where it is not: [batch, 1, j, 1].
        let absent = ((valid - 1.0) * -ABSENT).reshape([batch, 1, entities, 1]);
        let omega_p = self.spatial(boxes, absent.clone());

        let split = f
            .clone()
            .reshape([batch, entities, heads, head_dim])
            .swap_dims(1, 2);
        // Eq. 4, for each head.
        let omega_s = split.clone().matmul(split.clone().transpose()) / (head_dim as f64).sqrt();
        // Eq. 5.
        let logits = omega_p.add_scalar(TINY).log() + omega_s + absent.swap_dims(2, 3);
        let omega_i = softmax(logits, 3);
        // Eq. 6.
        let related = omega_i
            .matmul(split)
            .swap_dims(1, 2)
            .reshape([batch, entities, dim_out]);
        (f + related) * present
    }

    /// Embeddings that know nothing of each other: the first term of Eq. 6, f(V).
    ///
    /// # Shapes
    /// As for [`Self::forward`].
    pub fn alone(&self, features: Tensor<B, 3>, valid: Tensor<B, 2>) -> Tensor<B, 3> {
        self.f.forward(features) * valid.unsqueeze_dim::<3>(2)
    }

    /// Eq. 1 to 3 and each head's mixture: `[batch, heads, i, j]`, summing to 1 over `j`.
    fn spatial(&self, boxes: Tensor<B, 3>, absent: Tensor<B, 4>) -> Tensor<B, 4> {
        let (rho, theta) = polar(boxes);
        let [batch, entities, _] = rho.dims();
        let pairs = [batch, entities, entities, 1];
        let [heads, kernels] = self.mix.dims();
        let row = |t: Tensor<B, 1>| t.reshape([1, 1, 1, kernels]);
        let fall = |difference: Tensor<B, 4>, width: Tensor<B, 1>| {
            difference.square() / row(width.square() + MIN_VARIANCE).mul_scalar(-2.0)
        };
        let rho = rho.reshape(pairs) - row(self.rho_mean.val());
        let theta = theta.reshape(pairs) - row(self.theta_mean.val());
        let turns = (theta.clone().detach() / (2.0 * std::f64::consts::PI)).round();
        let theta = theta - turns * (2.0 * std::f64::consts::PI);
        // Eq. 1 times Eq. 2, as logarithms; Eq. 3 is their softmax over j.
        let log_kernels =
            fall(rho, self.rho_width.val()) + fall(theta, self.theta_width.val()) + absent;
        let normalized = softmax(log_kernels.swap_dims(2, 3), 3);
        // [batch, i, kernels, j] -> [batch, i, heads, j] -> [batch, heads, i, j]
        let mix = softmax(self.mix.val(), 1).reshape([1, 1, heads, kernels]);
        mix.matmul(normalized).swap_dims(1, 2)
    }
}

/// Distance and angle (radians, 0 along x, positive down) of entity `j` seen from entity `i`, each
/// `[batch, i, j]`; both 0 where the centres coincide. No gradient flows into the boxes.
fn polar<B: Backend>(boxes: Tensor<B, 3>) -> (Tensor<B, 3>, Tensor<B, 3>) {
    let boxes = boxes.detach();
    let difference = |axis: usize| {
        let c = boxes.clone().narrow(2, axis, 1);
        c.clone().swap_dims(1, 2) - c
    };
    let (dx, dy) = (difference(0), difference(1));
    let rho = (dx.clone().square() + dy.clone().square()).sqrt();
    // The angle of the zero vector is undefined on some GPUs.
    let dx = dx.mask_fill(rho.clone().equal_elem(0.0), 1.0);
    (rho, dy.atan2(dx))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::{Autodiff, Flex};
    use burn::tensor::Distribution;

    type B = Flex;

    fn config(dim: usize, dim_out: usize) -> RelationConfig {
        RelationConfig {
            dim,
            dim_out,
            ..Default::default()
        }
    }

    fn relation(dim: usize) -> Relation<B> {
        config(dim, 12).init(&Default::default()).unwrap()
    }

    fn inputs(batch: usize, n: usize, dim: usize) -> (Tensor<B, 3>, Tensor<B, 3>) {
        let device = Default::default();
        (
            Tensor::random([batch, n, dim], Distribution::Normal(0.0, 1.0), &device),
            Tensor::random([batch, n, 4], Distribution::Uniform(0.0, 1.0), &device),
        )
    }

    #[track_caller]
    fn assert_close<const D: usize>(a: Tensor<B, D>, b: Tensor<B, D>, tolerance: f32) {
        let worst: f32 = (a - b).abs().max().into_scalar();
        assert!(worst < tolerance, "differ by {worst}");
    }

    #[test]
    fn permuting_the_entities_permutes_the_embeddings() {
        let relation = relation(8);
        let (v, boxes) = inputs(2, 5, 8);
        let valid = Tensor::ones([2, 5], &v.device());
        let order = Tensor::from_ints([3, 0, 4, 1, 2], &v.device());
        let plain = relation.forward(v.clone(), boxes.clone(), valid.clone());
        let permuted = relation.forward(
            v.select(1, order.clone()),
            boxes.select(1, order.clone()),
            valid,
        );
        assert_close(plain.select(1, order), permuted, 1e-5);
    }

    #[test]
    fn only_relative_positions_count() {
        let relation = relation(8);
        let (v, boxes) = inputs(1, 4, 8);
        let valid = Tensor::ones([1, 4], &v.device());
        let plain = relation.forward(v.clone(), boxes.clone(), valid.clone());
        let shift = Tensor::from_floats([[[0.25f32, -0.5, 0.0, 0.0]]], &v.device());
        let shifted = relation.forward(v.clone(), boxes.clone() + shift, valid.clone());
        assert_close(plain.clone(), shifted, 1e-5);
        // And they do count: a mirrored arrangement gives another result.
        let mirror = Tensor::from_floats([[[-1.0f32, 1.0, 1.0, 1.0]]], &v.device());
        let mirrored = relation.forward(v, boxes * mirror, valid);
        let change: f32 = (plain - mirrored).abs().max().into_scalar();
        assert!(change > 1e-4, "mirroring changed only {change}");
    }

    #[test]
    fn padding_has_no_influence() {
        let relation = relation(8);
        for present in [1, 3] {
            let (v, boxes) = inputs(2, present, 8);
            let device = v.device();
            let alone = relation.forward(
                v.clone(),
                boxes.clone(),
                Tensor::ones([2, present], &device),
            );
            let (garbage_v, garbage_boxes) = inputs(2, 3, 8);
            let padded = relation.forward(
                Tensor::cat(vec![v, garbage_v * 100.0], 1),
                Tensor::cat(vec![boxes, garbage_boxes], 1),
                Tensor::cat(
                    vec![
                        Tensor::ones([2, present], &device),
                        Tensor::zeros([2, 3], &device),
                    ],
                    1,
                ),
            );
            assert_close(padded.clone().narrow(1, 0, present), alone, 1e-5);
            let rest: f32 = padded.narrow(1, present, 3).abs().max().into_scalar();
            assert_eq!(rest, 0.0);
        }
    }

    #[test]
    fn a_lone_entity_is_its_own_relation() {
        // Eq. 5 gives it weight 1, so Eq. 6 gives 2 f(V).
        let relation = relation(8);
        let (v, boxes) = inputs(1, 1, 8);
        let out = relation.forward(v.clone(), boxes, Tensor::ones([1, 1], &v.device()));
        assert_close(out, relation.f.forward(v) * 2.0, 1e-5);
    }

    #[test]
    fn gradients_are_finite_where_distances_angles_and_weights_vanish() {
        type A = Autodiff<Flex>;
        let device = Default::default();
        let mut relation: Relation<A> = config(4, 6).init(&device).unwrap();
        // Kernels so narrow that all their weights underflow.
        relation.rho_width = Param::from_tensor(Tensor::zeros([64], &device));
        // Two entities at one place, one far away, one absent.
        let boxes = Tensor::<A, 3>::from_floats(
            [[
                [0.5f32, 0.5, 0.1, 0.1],
                [0.5, 0.5, 0.3, 0.2],
                [40.0, -9.0, 0.1, 0.1],
                [0.0; 4],
            ]],
            &device,
        );
        let v = (Tensor::<A, 3>::ones([1, 4, 4], &device) * 30.0).require_grad();
        let valid = Tensor::from_floats([[1.0f32, 1.0, 1.0, 0.0]], &device);
        let out = relation.forward(v.clone(), boxes, valid);
        assert!(out.clone().is_finite().all().into_scalar());
        let grads = out.square().sum().backward();
        assert!(v.grad(&grads).unwrap().is_finite().all().into_scalar());
        for param in [
            &relation.rho_mean,
            &relation.rho_width,
            &relation.theta_mean,
            &relation.theta_width,
        ] {
            let grad = param.val().grad(&grads).unwrap();
            assert!(grad.is_finite().all().into_scalar());
        }
        assert!(
            relation
                .mix
                .val()
                .grad(&grads)
                .unwrap()
                .is_finite()
                .all()
                .into_scalar()
        );
    }

    #[test]
    fn all_entities_absent_gives_zero() {
        let relation = relation(8);
        let (v, boxes) = inputs(2, 3, 8);
        let out = relation.forward(v.clone(), boxes, Tensor::zeros([2, 3], &v.device()));
        let worst: f32 = out.abs().max().into_scalar();
        assert_eq!(worst, 0.0);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(RelationConfig::default().validate("r").is_ok());
        let message = |c: RelationConfig| c.validate("r").unwrap_err().to_string();
        assert!(message(config(4, 7)).contains("multiple of heads"));
        assert!(message(config(0, 6)).contains("must be 1 to"));
        let heads = RelationConfig {
            heads: 0,
            ..Default::default()
        };
        assert!(message(heads).contains("must be 1 to"));
    }
}
