//! Layers of Stable Video Diffusion on a GPU, by this project's kernels and by Burn's operations, in turn:
//!
//! ```sh
//! cargo bench --no-default-features --features wgpu -p dragentity-networks --bench gpu_layers
//! ```
//!
//! On the GPU that wgpu finds, and with the feature `cuda` through CUDA as well; Mesa's lavapipe is a GPU on the processor. `PIXELS` is the side of the latents at the network's
//! upper level (32), which halves from level to level. Weights are random.

use burn::backend::wgpu::{RuntimeOptions, WgpuDevice, graphics::AutoGraphicsApi, init_setup};
use burn::backend::{Autodiff, Wgpu};
use burn::module::Module;
#[cfg(feature = "cuda")]
use burn::module::{Param, ParamId};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use dragentity_networks::nn::attention::{Attention, AttentionConfig, TokenAxes};
use dragentity_networks::nn::layers::Convolution;
use dragentity_networks::nn::norm::norm_silu;
#[cfg(feature = "cuda")]
use dragentity_networks::nn::product;
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

/// What is measured, on one device.
struct Bench<'a, B: Backend> {
    criterion: &'a mut Criterion,
    device: B::Device,
    name: &'static str,
}

/// The networks never learn here: parameters that ask for no gradients are used as they are.
fn fixed<B: Backend, M: Module<B>>(module: M) -> M {
    module.no_grad()
}

impl<B: Backend> Bench<'_, B> {
    fn random<const D: usize>(&self, shape: [usize; D]) -> Tensor<B, D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &self.device)
    }

    fn measure<T>(&mut self, name: &str, work: impl Fn() -> T) {
        let device = &self.device;
        let name = format!("{}: {name}", self.name);
        self.criterion.bench_function(&name, |bencher| {
            bencher.iter(|| {
                black_box(work());
                B::sync(device).expect("a device that answers");
            });
        });
    }

    fn convolutions(&mut self) {
        // As many pixels at the lowest level as units that want some each.
        for (channels, side, frames) in [
            (320, pixels(), 1),
            (640, pixels() / 2, 1),
            (1280, pixels() / 4, 4),
        ] {
            let conv: Conv2d<B> = fixed(
                Conv2dConfig::new([channels, channels], [3, 3])
                    .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                    .init(&self.device),
            );
            let x = self.random([frames, channels, side, side]);
            let name = format!("3x3, {channels} channels, {frames} of {side} x {side}");
            self.measure(&format!("{name}, kernel"), || {
                Convolution::apply(&conv, x.clone())
            });
            self.measure(&format!("{name}, Burn"), || conv.forward(x.clone()));
        }
    }

    /// The convolutions of 14 frames of 576 x 320 in half precision: by the kernel, and as products of matrices, which run on tensor
    /// cores where there are some.
    #[cfg(feature = "cuda")]
    fn halves(&mut self) {
        for (channels, [height, width]) in [(320, [40, 72]), (640, [20, 36]), (1280, [10, 18])] {
            let half = burn::tensor::DType::F16;
            let weight = self.random([channels, channels, 3, 3]).cast(half);
            let bias = Param::initialized(ParamId::new(), self.random([channels]).cast(half));
            let mut conv: Conv2d<B> = fixed(
                Conv2dConfig::new([channels, channels], [3, 3])
                    .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                    .init(&self.device),
            );
            conv.weight = Param::initialized(ParamId::new(), weight.clone());
            conv.bias = Some(bias.clone());
            let x = self.random([14, channels, height, width]).cast(half);
            let name = format!("3x3, f16, {channels} channels, 14 of {height} x {width}");
            self.measure(&format!("{name}, kernel"), || {
                Convolution::apply(&conv, x.clone())
            });
            let steps = product::Steps {
                stride: [1, 1],
                padding: [1; 4],
                dilation: [1, 1],
            };
            self.measure(&format!("{name}, product"), || {
                product::convolve(&x, &weight, Some(&bias), &steps)
            });
        }
    }

    fn norms(&mut self) {
        let norm: GroupNorm<B> = fixed(GroupNormConfig::new(32, 320).init(&self.device));
        let x = self.random([4, 320, pixels(), pixels()]);
        self.measure("group norm and SiLU, kernel", || {
            norm_silu(&norm, x.clone())
        });
        self.measure("group norm and SiLU, Burn", || {
            silu(norm.forward(x.clone()))
        });
    }

    fn attention(&mut self) {
        let (heads, dim, tokens) = (5, 64, pixels() * pixels());
        let width = heads * dim;
        let attention: Attention<B> =
            fixed(AttentionConfig::new(width, heads, dim).init(&self.device));
        let x = self.random([tokens, width]);
        let axes = TokenAxes {
            batch: 1,
            frames: 1,
            pixels: tokens,
        };
        let name = format!("attention over {tokens} pixels");
        self.measure(&format!("{name}, kernel"), || {
            attention.over_pixels(x.clone(), axes)
        });
        self.measure(&format!("{name}, Burn"), || {
            let heads_of = |x: Tensor<B, 2>| x.reshape([1, tokens, heads, dim]).swap_dims(1, 2);
            let q = heads_of(attention.to_q.forward(x.clone()));
            let k = heads_of(attention.to_k.forward(x.clone()));
            let v = heads_of(attention.to_v.forward(x.clone()));
            let scores = q.matmul(k.swap_dims(2, 3)) / (dim as f64).sqrt();
            let seen = softmax(scores, 3).matmul(v).swap_dims(1, 2);
            let seen = seen.reshape([tokens, width]);
            attention.to_out[0].forward(seen)
        });
    }
}

/// A step of the shipped model's UNet for 8 frames, of random weights. What is differentiated goes by Burn's operations.
///
/// How many kernels that starts: docs/src/bench.md.
fn step<B: Backend>(bench: &mut Bench<'_, B>) {
    let device = bench.device.clone();
    bench.measure("a step of the mini, kernels", step_of::<B>(&device));
    let work = step_of::<Autodiff<B>>(&device);
    bench.measure("a step of the mini, Burn", work);
}

fn all<B: Backend>(criterion: &mut Criterion, device: B::Device, name: &'static str) {
    let mut bench = Bench::<B> {
        criterion,
        device,
        name,
    };
    bench.convolutions();
    bench.norms();
    bench.attention();
    step(&mut bench);
}

fn layers(criterion: &mut Criterion) {
    all::<Wgpu>(criterion, device().clone(), "wgpu");
    #[cfg(feature = "cuda")]
    {
        all::<burn::backend::Cuda>(criterion, Default::default(), "CUDA");
        let mut bench = Bench::<burn::backend::Cuda> {
            criterion,
            device: Default::default(),
            name: "CUDA",
        };
        bench.halves();
    }
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
    name = gpu_layers;
    config = quick();
    targets = layers
}
criterion_main!(gpu_layers);
