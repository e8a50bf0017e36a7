//! Layers of Stable Video Diffusion on a GPU, by this project's kernels and by Burn's operations, in turn:
//!
//! ```sh
//! cargo bench --no-default-features --features wgpu -p dragentity-networks --bench gpu_layers
//! ```
//!
//! On the GPU that wgpu finds; Mesa's lavapipe is one on the processor. `PIXELS` is the side of the latents at the network's
//! upper level (32), which halves from level to level. Weights are random.

use burn::backend::wgpu::{RuntimeOptions, WgpuDevice, graphics::AutoGraphicsApi, init_setup};
use burn::backend::{Autodiff, Wgpu};
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use dragentity_networks::nn::attention::{Attention, AttentionConfig, TokenAxes};
use dragentity_networks::nn::layers::Convolution;
use dragentity_networks::nn::norm::norm_silu;
use dragentity_networks::svd::unet::UNetConfig;
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Duration;

fn device() -> &'static WgpuDevice {
    static DEVICE: OnceLock<WgpuDevice> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let device = WgpuDevice::DefaultDevice;
        init_setup::<AutoGraphicsApi>(&device, RuntimeOptions::default());
        device
    })
}

fn pixels() -> usize {
    let asked = std::env::var("PIXELS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(32)
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<Wgpu, D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device())
}

/// The networks never learn here: parameters that ask for no gradients are used as they are.
fn fixed<M: Module<Wgpu>>(module: M) -> M {
    module.no_grad()
}

fn measure<T>(criterion: &mut Criterion, name: &str, work: impl Fn() -> T) {
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            black_box(work());
            <Wgpu as Backend>::sync(device()).expect("a device that answers");
        });
    });
}

fn convolutions(criterion: &mut Criterion) {
    // As many pixels at the lowest level as units that want some each.
    for (channels, side, frames) in [
        (320, pixels(), 1),
        (640, pixels() / 2, 1),
        (1280, pixels() / 4, 4),
    ] {
        let conv: Conv2d<Wgpu> = fixed(
            Conv2dConfig::new([channels, channels], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device()),
        );
        let x = random([frames, channels, side, side]);
        let name = format!("3x3, {channels} channels, {frames} of {side} x {side}");
        measure(criterion, &format!("{name}, kernel"), || {
            Convolution::apply(&conv, x.clone())
        });
        measure(criterion, &format!("{name}, Burn"), || {
            conv.forward(x.clone())
        });
    }
}

fn norms(criterion: &mut Criterion) {
    let norm: GroupNorm<Wgpu> = fixed(GroupNormConfig::new(32, 320).init(device()));
    let x = random([4, 320, pixels(), pixels()]);
    measure(criterion, "group norm and SiLU, kernel", || {
        norm_silu(&norm, x.clone())
    });
    measure(criterion, "group norm and SiLU, Burn", || {
        silu(norm.forward(x.clone()))
    });
}

fn attention(criterion: &mut Criterion) {
    let (heads, dim, tokens) = (5, 64, pixels() * pixels());
    let width = heads * dim;
    let attention: Attention<Wgpu> = fixed(AttentionConfig::new(width, heads, dim).init(device()));
    let x = random([tokens, width]);
    let axes = TokenAxes {
        batch: 1,
        frames: 1,
        pixels: tokens,
    };
    let name = format!("attention over {tokens} pixels");
    measure(criterion, &format!("{name}, kernel"), || {
        attention.over_pixels(x.clone(), axes)
    });
    measure(criterion, &format!("{name}, Burn"), || {
        let heads_of = |x: Tensor<Wgpu, 2>| x.reshape([1, tokens, heads, dim]).swap_dims(1, 2);
        let q = heads_of(attention.to_q.forward(x.clone()));
        let k = heads_of(attention.to_k.forward(x.clone()));
        let v = heads_of(attention.to_v.forward(x.clone()));
        let scores = q.matmul(k.swap_dims(2, 3)) / (dim as f64).sqrt();
        let seen = softmax(scores, 3).matmul(v).swap_dims(1, 2);
        let seen = seen.reshape([tokens, width]);
        attention.to_out[0].forward(seen)
    });
}

/// A step of the shipped model's UNet for 8 frames, of random weights. What is differentiated goes by Burn's operations.
///
/// How many kernels that starts: docs/src/bench.md.
fn step(criterion: &mut Criterion) {
    measure(
        criterion,
        "a step of the mini, kernels",
        step_of::<Wgpu>(device()),
    );
    measure(
        criterion,
        "a step of the mini, Burn",
        step_of::<Autodiff<Wgpu>>(device()),
    );
}

fn step_of<B: Backend>(device: &B::Device) -> impl Fn() -> Tensor<B, 5> {
    const CONFIG: &str = include_str!("../../../models/mini/unet/config.json");
    let config = UNetConfig::from_json("mini", CONFIG).expect("the shipped configuration");
    let unet = config
        .init::<B>(device)
        .expect("the shipped network")
        .no_grad();
    let random =
        |shape: [usize; 5]| Tensor::<B, 5>::random(shape, Distribution::Normal(0.0, 1.0), device);
    let sample = random([1, 8, 16, 16, 16]);
    let time = random([1; 5]).reshape([1]);
    let context = random([1, 1, 1, 4, 128]).reshape([1, 4, 128]);
    let ids = random([1, 1, 1, 1, 3]).reshape([1, 3]);
    move || {
        let (time, context, ids) = (time.clone(), context.clone(), ids.clone());
        unet.forward(sample.clone(), time, context, ids, None)
    }
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .sample_size(10)
}

criterion_group! {
    name = layers;
    config = quick();
    targets = convolutions, norms, attention, step
}
criterion_main!(layers);
