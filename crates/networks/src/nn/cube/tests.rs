//! The kernels against the CPU's layers: on CUDA where that is built in, else on whatever device wgpu has.

use super::super::attention::scaled_dot_product;
use super::super::layers::{self, Convolution};
use super::super::norm::{LayerNormConfig, Norm, norm_silu_over_clips};
use super::super::{TemporalConv, TemporalConvConfig};
use super::*;
use burn::backend::Flex;
use burn::nn::conv::Conv2dConfig;
use burn::nn::{GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Distribution, Tolerance};

#[cfg(feature = "cuda")]
type Gpu = burn::backend::Cuda;
#[cfg(not(feature = "cuda"))]
use crate::device::Gpu;

#[cfg(feature = "cuda")]
fn gpu() -> &'static burn::backend::cuda::CudaDevice {
    static DEVICE: std::sync::OnceLock<burn::backend::cuda::CudaDevice> =
        std::sync::OnceLock::new();
    DEVICE.get_or_init(Default::default)
}
#[cfg(not(feature = "cuda"))]
use dragentity_testkit::wgpu_device as gpu;

/// Sums of up to thousands of products, in another order.
fn agree<const D: usize>(ours: Tensor<Gpu, D>, cpus: Tensor<Flex, D>) {
    within(1e-4, ours, cpus);
}

/// Where products of matrices are Burn's: on CUDA those are of numbers rounded to 10 bits (TF32).
const BY_BURN: f32 = if cfg!(feature = "cuda") { 5e-3 } else { 1e-4 };

fn within<const D: usize>(relative: f32, ours: Tensor<Gpu, D>, cpus: Tensor<Flex, D>) {
    let tolerance = Tolerance::rel_abs(relative, 0.2 * relative);
    ours.into_data()
        .assert_approx_eq::<f32>(&cpus.into_data(), tolerance);
}

fn random<const D: usize>(shape: [usize; D]) -> (Tensor<Gpu, D>, Tensor<Flex, D>) {
    let x = Tensor::<Flex, D>::random(shape, Distribution::Default, &Default::default());
    (on_gpu(&x), x)
}

fn on_gpu<const D: usize>(x: &Tensor<Flex, D>) -> Tensor<Gpu, D> {
    Tensor::from_data(x.to_data(), gpu())
}

/// A parameter with other numbers than zeros and ones.
fn parameter<const D: usize>(shape: [usize; D]) -> (Param<Tensor<Gpu, D>>, Param<Tensor<Flex, D>>) {
    let (ours, cpus) = random(shape);
    (Param::from_tensor(ours), Param::from_tensor(cpus))
}

#[test]
fn convolutions() {
    let device = Default::default();
    for (channels, kernel, stride, padding, [height, width]) in [
        // More than a tile of rows, of columns and of the inner sum; windows beyond every border.
        ([35, 70], [3, 3], [1, 1], [1, 1, 1, 1], [17, 23]),
        ([16, 24], [3, 3], [2, 2], [0, 0, 1, 1], [16, 18]),
        ([40, 12], [1, 1], [1, 1], [0, 0, 0, 0], [9, 7]),
        ([3, 5], [4, 4], [4, 4], [0, 0, 0, 0], [16, 20]),
        ([7, 4], [3, 5], [1, 2], [2, 0, 1, 3], [6, 11]),
    ] {
        let [top, left, bottom, right] = padding;
        let config = Conv2dConfig::new(channels, kernel)
            .with_stride(stride)
            .with_padding(PaddingConfig2d::Explicit(top, left, bottom, right));
        let mut cpus = config.init::<Flex>(&device);
        let mut ours = config.init::<Gpu>(gpu());
        (ours.weight, cpus.weight) = parameter([channels[1], channels[0], kernel[0], kernel[1]]);
        let (bias, same_bias) = parameter([channels[1]]);
        (ours.bias, cpus.bias) = (Some(bias), Some(same_bias));
        let (x, same_x) = random([3, channels[0], height, width]);
        assert!(conv2d(&ours, &ours.weight.val(), &x).is_some());
        agree(ours.apply(x.clone()), cpus.apply(same_x.clone()));
        // Without a bias, and of a view, whose numbers do not lie as its shape says.
        (ours.bias, cpus.bias) = (None, None);
        if height > 8 {
            agree(
                ours.apply(x.swap_dims(2, 3).narrow(3, 2, 6)),
                cpus.apply(same_x.swap_dims(2, 3).narrow(3, 2, 6)),
            );
        }
    }
}

#[test]
fn convolutions_along_time() {
    for (channels, frames, clips, kernel) in
        [([18, 40], 5, 2, 3), ([8, 8], 1, 3, 3), ([5, 9], 4, 1, 1)]
    {
        let mut cpus: TemporalConv<Flex> = TemporalConvConfig::new(channels[0], channels[1])
            .with_kernel_frames(kernel)
            .init(&Default::default());
        let mut ours: TemporalConv<Gpu> = TemporalConvConfig::new(channels[0], channels[1])
            .with_kernel_frames(kernel)
            .init(gpu());
        (ours.weight, cpus.weight) = parameter([channels[1], channels[0], kernel, 1, 1]);
        (ours.bias, cpus.bias) = parameter([channels[1]]);
        let (x, same_x) = random([clips * frames, channels[0], 6, 7]);
        let (weight, bias) = (ours.weight.val(), ours.bias.val());
        assert!(temporal_conv(&x, frames, &weight, &bias).is_some());
        agree(ours.forward(x, frames), cpus.forward(same_x, frames));
    }
}

#[test]
fn norms() {
    let device = Default::default();
    // By one cube and by several; over pictures and over clips; all sizes odd.
    for (channels, frames, side) in [(8, 1, 5), (8, 3, 7), (20, 2, 67)] {
        let config = GroupNormConfig::new(4, channels).with_epsilon(1e-6);
        let mut ours = config.init::<Gpu>(gpu());
        let mut cpus = config.init::<Flex>(&device);
        let (gamma, same_gamma) = parameter([channels]);
        let (beta, same_beta) = parameter([channels]);
        (ours.gamma, cpus.gamma) = (Some(gamma), Some(same_gamma));
        (ours.beta, cpus.beta) = (Some(beta), Some(same_beta));
        let (x, same_x) = random([2 * frames, channels, side, side + 4]);
        // Far from zero, where squares of the numbers themselves would not do.
        let (x, same_x) = (x + 8.0, same_x + 8.0);
        assert!(group_norm(&ours, &x, frames, true).is_some());
        agree(
            norm_silu_over_clips(&ours, x.clone(), frames),
            norm_silu_over_clips(&cpus, same_x.clone(), frames),
        );
        agree(ours.apply(x), cpus.apply(same_x));
    }
    for width in [7, 64, 330] {
        let mut ours = LayerNormConfig::new(width).init::<Gpu>(gpu());
        let mut cpus = LayerNormConfig::new(width).init::<Flex>(&device);
        (ours.gamma, cpus.gamma) = parameter([width]);
        (ours.beta, cpus.beta) = parameter([width]);
        let (x, same_x) = random([9, 5, width]);
        assert!(layer_norm(&ours, &x).is_some());
        agree(ours.apply(x), cpus.apply(same_x));
    }
}

#[test]
fn attention_over_many_keys_and_over_few() {
    for (outer, queries, keys, inner, dim) in [
        (2, 150, 77, 3, 8),
        (1, 40, 100, 2, 64),
        (2, 33, 5, 2, 128),
        // A unit for each query.
        (2, 14, 14, 35, 64),
        (1, 3, 40, 5, 12),
    ] {
        let (q, same_q) = random([outer, queries, inner, dim]);
        let (k, same_k) = random([outer, keys, inner, dim]);
        let (v, same_v) = random([outer, keys, inner, dim]);
        // Scores far apart, too.
        let (q, same_q) = (q * 6.0, same_q * 6.0);
        assert!(attention(&q, &k, &v).is_some());
        agree(
            scaled_dot_product(q, k, v),
            scaled_dot_product(same_q, same_k, same_v),
        );
    }
    // Widths that the kernel does not have.
    let (q, same_q) = random([1, 6, 2, 7]);
    assert!(attention(&q, &q, &q).is_none());
    within(
        BY_BURN,
        scaled_dot_product(q.clone(), q.clone(), q),
        scaled_dot_product(same_q.clone(), same_q.clone(), same_q),
    );
}

#[test]
fn gates() {
    let (x, same_x) = random([3, 7, 5]);
    assert!(silu(&x).is_some());
    agree(
        layers::silu((x - 0.5) * 20.0),
        layers::silu((same_x - 0.5) * 20.0),
    );
    for bias in [true, false] {
        let config = LinearConfig::new(10, 24).with_bias(bias);
        let mut ours: Linear<Gpu> = config.init(gpu());
        let mut cpus: Linear<Flex> = config.init(&Default::default());
        (ours.weight, cpus.weight) = parameter([10, 24]);
        if bias {
            let (bias, same_bias) = parameter([24]);
            (ours.bias, cpus.bias) = (Some(bias), Some(same_bias));
        }
        let (x, same_x) = random([9, 10]);
        within(
            BY_BURN,
            layers::geglu(x * 4.0, &ours),
            layers::geglu(same_x * 4.0, &cpus),
        );
    }
}
