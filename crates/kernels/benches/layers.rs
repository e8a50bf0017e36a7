//! How long the layers take at the sizes of the shipped model's UNet (8 frames, 64 to 128 channels):
//!
//! ```sh
//! cargo bench -p dragentity-kernels
//! cargo bench -p dragentity-kernels -- convolution --save-baseline before    # then: --baseline before
//! ```
//!
//! Half a minute once it is compiled. `./test` runs each once, so that it goes on working.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dragentity_kernels::{
    Attention, Bias, Conv2d, GroupNorm, attention, conv2d, group_norm, linear, temporal_conv,
};
use std::hint::black_box;
use std::time::Duration;

const FRAMES: usize = 8;

/// Numbers in -1..1 that are the same on every machine.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

fn convolutions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("convolution");
    for (name, channels, side, kernel) in [
        // 3 x 3 of stride 1: Winograd's way.
        ("3x3, 64 channels, 32 x 32", 64, 32, 3),
        ("3x3, 128 channels, 8 x 8", 128, 8, 3),
        // Columns.
        ("1x1, 96 channels, 16 x 16", 96, 16, 1),
    ] {
        let (x, weight) = (
            numbers(FRAMES * channels * side * side),
            numbers(channels * channels * kernel * kernel),
        );
        let around = [kernel / 2; 2];
        let conv = Conv2d {
            weight: &weight,
            bias: None,
            in_channels: channels,
            out_channels: channels,
            kernel: [kernel; 2],
            stride: [1, 1],
            padding: [around; 2],
        };
        let multiplied = FRAMES * side * side * weight.len();
        group.throughput(Throughput::Elements(multiplied as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| conv2d(black_box(&x), FRAMES, [side; 2], &conv));
        });
    }
    let (channels, pixels) = (64, 32 * 32);
    let x = numbers(FRAMES * channels * pixels);
    let weight = numbers(channels * channels * 3);
    group.throughput(Throughput::Elements(
        (FRAMES * pixels * weight.len()) as u64,
    ));
    group.bench_function("along time, 64 channels, 32 x 32", |bencher| {
        let sizes = [channels, channels, 3];
        bencher.iter(|| temporal_conv(black_box(&x), FRAMES, pixels, &weight, None, sizes));
    });
    group.finish();
}

fn attentions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("attention");
    for (name, outer, tokens, inner) in [
        ("in space, 16 x 16", FRAMES, 256, 1),
        ("in time, 16 x 16", 1, FRAMES, 256),
    ] {
        let dim = 96;
        let axes = Attention {
            outer,
            queries: tokens,
            keys: tokens,
            inner,
            dim,
        };
        let [q, k, v] = [0; 3].map(|_| numbers(outer * tokens * inner * dim));
        group.bench_function(name, |bencher| {
            bencher.iter(|| attention(black_box(&q), &k, &v, Bias::None, axes));
        });
    }
    group.finish();
}

fn norms(criterion: &mut Criterion) {
    let (channels, pixels) = (64, 32 * 32);
    let x = numbers(FRAMES * channels * pixels);
    let (gamma, beta) = (numbers(channels), numbers(channels));
    let mut group = criterion.benchmark_group("norm");
    group.throughput(Throughput::Elements(x.len() as u64));
    for (name, frames) in [("a picture each", 1), ("over a clip", FRAMES)] {
        let norm = GroupNorm {
            channels,
            groups: 32,
            frames,
            epsilon: 1e-5,
            gamma: Some(&gamma),
            beta: Some(&beta),
            silu: true,
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| group_norm(black_box(&x), FRAMES, &norm));
        });
    }
    group.finish();
}

fn linears(criterion: &mut Criterion) {
    let (inputs, outputs, rows) = (128, 512, FRAMES * 64);
    let (x, weight, bias) = (
        numbers(rows * inputs),
        numbers(inputs * outputs),
        numbers(outputs),
    );
    criterion.bench_function("linear, 128 to 512", |bencher| {
        bencher.iter(|| linear(black_box(&x), &weight, Some(&bias), inputs));
    });
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
}

criterion_group! {
    name = layers;
    config = quick();
    targets = convolutions, attentions, norms, linears
}
criterion_main!(layers);
