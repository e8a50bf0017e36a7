//! How long two parts of the networks take on the processor (Burn's flex): a block of the shipped model's UNet, and SAM's
//! mask decoder, which runs at every click.
//!
//! ```sh
//! cargo bench -p dragentity-networks --no-default-features
//! ```
//!
//! Half a minute once it is compiled, which takes minutes; `--profile dev` takes what `cargo test` has compiled, with
//! dependencies and kernels optimised and the layers' own code a little. Weights are random. Whole models are measured
//! by `dragentity-lab bench`. `./test` runs each once, so that it goes on working.

use burn::backend::Flex;
use burn::tensor::{Distribution, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use dragentity_networks::sam::mask_decoder::MaskDecoderConfig;
use dragentity_networks::svd::blocks::{AttentionSetup, DownBlockConfig};
use std::hint::black_box;
use std::time::Duration;

fn random<const D: usize>(shape: [usize; D]) -> Tensor<Flex, D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
}

/// The second block of the shipped model's UNet, on a clip of 8 frames.
fn unet_block(criterion: &mut Criterion) {
    const FRAMES: usize = 8;
    let config = DownBlockConfig {
        in_channels: 64,
        out_channels: 96,
        temb_channels: 256,
        num_layers: 1,
        attention: Some(AttentionSetup {
            heads: 1,
            cross_attention_dim: 128,
            layers: 1,
        }),
        add_downsample: true,
    };
    let block = config.init::<Flex>(&Default::default());
    let (x, temb) = (random([FRAMES, 64, 16, 16]), random([FRAMES, 256]));
    let context = random([1, 4, 128]);
    criterion.bench_function("a block of the UNet", |bencher| {
        bencher.iter(|| block.forward(black_box(x.clone()), &temb, &context, &mut Vec::new()));
    });
}

/// The published decoder at the published size: what a picture takes once, and then each click.
fn mask_decoder(criterion: &mut Criterion) {
    let decoder = MaskDecoderConfig::default()
        .init::<Flex>(&Default::default())
        .unwrap();
    let [image, positions, dense] = [0; 3].map(|_| random([1, 256, 64, 64]));
    let sparse = random([1, 2, 256]);
    let look = || decoder.look(black_box(image.clone()), positions.clone(), dense.clone());
    criterion.bench_function("SAM's mask decoder, a picture", |bencher| {
        bencher.iter(look);
    });
    let looked = look();
    criterion.bench_function("SAM's mask decoder, a click", |bencher| {
        bencher.iter(|| decoder.forward(black_box(&looked), sparse.clone()));
    });
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .sample_size(10)
}

criterion_group! {
    name = blocks;
    config = quick();
    targets = unet_block, mask_decoder
}
criterion_main!(blocks);
