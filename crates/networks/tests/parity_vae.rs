//! Residual blocks and the autoencoder against diffusers, on synthetic weights (tests/goldens/make_vae.py).

use burn::backend::{Autodiff, Flex};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Tensor};
use dragentity_networks::nn::attention_block::AttentionBlockConfig;
use dragentity_networks::nn::*;
use dragentity_networks::svd::vae::AutoencoderKLTemporalDecoderConfig;
use dragentity_networks::weights::tensor_list;
use dragentity_testkit::{assert_golden, fill, golden_file, picture};
use std::collections::BTreeMap;

/// One block: some thousand terms a sum in `f32` (unit 6e-8), in another order than PyTorch's, and two
/// normalizations. Seen on flex: 8e-7 at most.
const BLOCK: f32 = 1e-5;
/// Whole networks: some forty such layers one after another. Seen on flex: 2e-6 at most.
const NETWORK: f32 = 1e-4;

const GOLDENS: &str = "vae.safetensors";

fn resnet_blocks<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    let x = picture::<B, 4>("block.x", [6, 32, 2, 3], device);
    let temb = picture::<B, 2>("block.temb", [6, 24], device);

    let block = fill(
        ResnetBlockConfig::new(32, 64)
            .with_temb_channels(Some(24))
            .with_eps(1e-5)
            .init(device),
    );
    let y = block.forward(x.clone(), Some(temb.clone()));
    assert_golden(&goldens, "resnet", y, BLOCK);

    let block = fill(ResnetBlockConfig::new(32, 32).init(device));
    let y = block.forward(x.clone(), None);
    assert_golden(&goldens, "resnet_no_temb", y, BLOCK);

    let block = fill(
        ResnetBlockConfig::new(32, 64)
            .with_temb_channels(Some(24))
            .with_eps(1e-5)
            .init_temporal(device),
    );
    let y = block.forward(x, Some(temb), 3);
    assert_golden(&goldens, "temporal", y, BLOCK);
}

fn spatio_temporal_blocks<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    for (name, strategy) in [
        ("learned", MergeStrategy::Learned),
        ("fixed", MergeStrategy::Fixed),
        ("learned_with_images", MergeStrategy::LearnedWithImages),
    ] {
        for switch in [false, true] {
            let block = fill(
                SpatioTemporalResBlockConfig::new(32, 64)
                    .with_temb_channels(Some(24))
                    .with_eps(1e-5)
                    .with_temporal_eps(Some(1e-2))
                    .with_merge_strategy(strategy)
                    .with_switch_spatial_to_temporal_mix(switch)
                    .init(device),
            );
            let x = picture::<B, 4>("block.x", [6, 32, 2, 3], device);
            let temb = picture::<B, 2>("block.temb", [6, 24], device);
            let y = block.forward(x, Some(temb), 3);
            let golden = format!("spatio_temporal.{name}.{}", u8::from(switch));
            assert_golden(&goldens, &golden, y, BLOCK);
        }
    }
}

fn resampling_and_attention<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    let y = picture::<B, 4>("block.y", [2, 32, 5, 6], device);
    for padding in [0, 1] {
        let down = Downsample2DConfig::new(32, 64).with_padding(padding);
        let down = fill(down.init(device)).forward(y.clone());
        assert_golden(&goldens, &format!("down.{padding}"), down, BLOCK);
    }
    let up = fill(Upsample2DConfig::new(32, 64).init(device));
    let small = y.clone().slice([0..2, 0..32, 0..2, 0..3]);
    assert_golden(&goldens, "up", up.forward(small.clone(), None), BLOCK);
    let sized = up.forward(small, Some([3, 5]));
    assert_golden(&goldens, "up.sized", sized, BLOCK);
    let attention = fill(AttentionBlockConfig::new(32).init(device));
    assert_golden(&goldens, "attention", attention.forward(y), BLOCK);
}

fn autoencoder<B: Backend>(
    name: &str,
    channels: &[usize],
    layers: usize,
    latent: usize,
    [height, width]: [usize; 2],
    device: &B::Device,
) {
    let goldens = golden_file(GOLDENS);
    let config = AutoencoderKLTemporalDecoderConfig::new(channels, layers, latent);
    let vae = fill(config.init::<B>(device).unwrap());
    let x = picture(&format!("{name}.picture"), [2, 3, height, width], device);
    let (mean, logvar) = vae.encode(x);
    assert_golden(&goldens, &format!("{name}.mean"), mean, NETWORK);
    assert_golden(&goldens, &format!("{name}.logvar"), logvar, NETWORK);
    let f = config.factor();
    let z = picture(
        &format!("{name}.latent"),
        [6, latent, height / f, width / f],
        device,
    );
    let frames = vae.decode(z, 3);
    assert_golden(&goldens, &format!("{name}.frames"), frames, NETWORK);
}

fn autoencoder_with_two_levels<B: Backend>(device: &B::Device) {
    autoencoder::<B>("small", &[32, 64], 2, 4, [8, 12], device);
}

fn autoencoder_of_the_mini_form<B: Backend>(device: &B::Device) {
    autoencoder::<B>("mini", &[32, 32, 64], 1, 8, [8, 16], device);
}

fn autoencoder_without_resampling<B: Backend>(device: &B::Device) {
    autoencoder::<B>("flat", &[32], 1, 4, [3, 4], device);
}

dragentity_testkit::on_each_backend!(
    resnet_blocks,
    spatio_temporal_blocks,
    resampling_and_attention,
    autoencoder_with_two_levels,
    autoencoder_of_the_mini_form,
    autoencoder_without_resampling,
);

#[test]
fn published_autoencoder_has_diffusers_tensors() {
    let json = include_str!("../../../tests/goldens/svd_vae_tensors.json");
    let expected: Vec<(String, Vec<usize>)> = serde_json::from_str(json).unwrap();
    let expected: BTreeMap<String, Vec<usize>> = expected.into_iter().collect();
    assert_eq!(expected.len(), 374);
    // Nothing is allocated: parameters are drawn when they are first used.
    let vae = AutoencoderKLTemporalDecoderConfig::default()
        .init::<Flex>(&Default::default())
        .unwrap();
    assert_eq!(tensor_list(&vae), expected);
}

#[test]
fn latents_are_normalized_by_channel_and_back() {
    let mut config = AutoencoderKLTemporalDecoderConfig::new(&[32], 1, 2);
    config.scaling_factor = 0.5;
    config.latents_mean = Some(vec![1.0, -2.0]);
    config.latents_std = Some(vec![2.0, 4.0]);
    let z = Tensor::<Flex, 4>::from_data([[[[5.0]], [[10.0]]]], &Default::default());
    let normal = config.normalize(z.clone());
    // (5 - 1) / 2 * 0.5 and (10 + 2) / 4 * 0.5, exact in binary.
    assert_eq!(normal.to_data().to_vec::<f32>().unwrap(), [1.0, 1.5]);
    assert_eq!(config.denormalize(normal).to_data(), z.to_data());
}

/// Collects the largest gradient of each parameter.
struct Gradients<'a, B: AutodiffBackend> {
    gradients: &'a B::Gradients,
    path: Vec<String>,
    largest: BTreeMap<String, f32>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Gradients<'_, B> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let largest = param
            .val()
            .grad(self.gradients)
            .map_or(0.0, |g| g.abs().max().into_scalar().elem::<f32>());
        self.largest.insert(self.path.join("."), largest);
    }
}

#[test]
fn training_reaches_every_parameter() {
    type B = Autodiff<Flex>;
    let device = Default::default();
    // More than 32 channels: a norm with one channel a group takes away what a bias before it adds.
    let vae = AutoencoderKLTemporalDecoderConfig::new(&[64, 96], 2, 4)
        .init::<B>(&device)
        .unwrap();
    let x = picture::<B, 4>("training", [2, 3, 8, 8], &device);
    let (mean, logvar) = vae.encode(x.clone());
    let z = mean.clone() + (logvar.clone() * 0.5).exp();
    let loss = (vae.decode(z, 2) - x).powi_scalar(2).mean()
        + (mean.powi_scalar(2) + logvar.powi_scalar(2)).mean();
    let mut visitor = Gradients::<B> {
        gradients: &loss.backward(),
        path: Vec::new(),
        largest: BTreeMap::new(),
    };
    vae.visit(&mut visitor);
    assert_eq!(visitor.largest.len(), tensor_list(&vae).len());
    for (name, largest) in visitor.largest {
        assert!(largest.is_finite(), "{name}");
        // A constant added to all keys changes no softmax, so this one's gradient is rounding at most.
        assert!(largest > 0.0 || name.ends_with("to_k.bias"), "{name}");
    }
}
