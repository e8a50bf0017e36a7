//! UNet and ControlNet against diffusers, on synthetic weights (tests/goldens/make_unet.py).

use burn::backend::{Autodiff, Flex};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use dragentity_networks::svd::controlnet::{Conditions, ControlNet, ControlNetConfig};
use dragentity_networks::svd::unet::{UNetConfig, UNetSpatioTemporalConditionModel};
use dragentity_networks::weights::tensor_list;
use dragentity_testkit::{
    DOWN_BLOCK_TOLERANCE, assert_golden, down_block_config, fill, golden_file, picture,
};
use std::collections::BTreeMap;

/// The whole network's as the block's: both are dominated by the same sums.
const TOLERANCE: f32 = DOWN_BLOCK_TOLERANCE;

const BATCH: usize = 2;
const FRAMES: usize = 3;

const GOLDENS: &str = "unet.safetensors";

fn unet_config() -> UNetConfig {
    UNetConfig::from_json(
        "unet",
        include_str!("../../../tests/goldens/unet_config.json"),
    )
    .unwrap()
}

fn controlnet_config() -> ControlNetConfig {
    let json = include_str!("../../../tests/goldens/controlnet_config.json");
    ControlNetConfig::from_json("controlnet", json).unwrap()
}

fn filled_unet<B: Backend>(device: &B::Device) -> UNetSpatioTemporalConditionModel<B> {
    fill(unet_config().init(device).unwrap())
}

fn filled_controlnet<B: Backend>(device: &B::Device) -> ControlNet<B> {
    fill(controlnet_config().init(device).unwrap())
}

fn input<B: Backend, const D: usize>(
    name: &str,
    shape: [usize; D],
    device: &B::Device,
) -> Tensor<B, D> {
    picture(&format!("unet.{name}"), shape, device)
}

fn timestep<B: Backend>(device: &B::Device) -> Tensor<B, 1> {
    Tensor::from_data(TensorData::from([0.9f32, -1.3]), device)
}

fn ids<B: Backend>(device: &B::Device) -> Tensor<B, 2> {
    let ids = [[6.0f32, 127.0, 0.02], [7.0, 40.0, 0.1]];
    Tensor::from_data(TensorData::from(ids), device)
}

fn sample<B: Backend>(device: &B::Device) -> Tensor<B, 5> {
    input("sample", [BATCH, FRAMES, 8, 6, 4], device)
}

fn conditions<B: Backend>(device: &B::Device) -> Conditions<B> {
    Conditions {
        entity_map: input("entity_map", [BATCH, FRAMES, 5, 24, 16], device),
        heat_map: input("heat_map", [BATCH, FRAMES, 3, 24, 16], device),
        moved_latents: Some(input("moved", [BATCH, FRAMES, 4, 6, 4], device)),
    }
}

fn cross_attention_down_block<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    let block = fill(down_block_config().init::<B>(device));
    let x = input("x", [BATCH * FRAMES, 32, 6, 4], device);
    let temb = input("temb", [BATCH * FRAMES, 16], device);
    let context = input("context", [BATCH, 7, 12], device);
    let mut skips = Vec::new();
    let out = block.forward(x.clone(), &temb, &context, &mut skips);
    assert_golden(&goldens, "down_block", out, TOLERANCE);
    // So faint that the first norm's epsilon shows.
    let faint = block.forward(x * 0.001, &temb, &context, &mut Vec::new());
    assert_golden(&goldens, "down_block.faint", faint, TOLERANCE);
    assert_eq!(skips.len(), 3);
    for (i, skip) in skips.into_iter().enumerate() {
        assert_golden(&goldens, &format!("down_block.skips.{i}"), skip, TOLERANCE);
    }
}

fn unet<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    let unet = filled_unet::<B>(device);
    let run = |sample, context| unet.forward(sample, timestep(device), context, ids(device), None);
    let context = input("context", [BATCH, 5, 16], device);
    assert_golden(
        &goldens,
        "unet",
        run(sample(device), context.clone()),
        TOLERANCE,
    );
    // One token takes a short cut.
    let one = input("one_token", [BATCH, 1, 16], device);
    assert_golden(
        &goldens,
        "unet.one_token",
        run(sample(device), one),
        TOLERANCE,
    );
    // 5 x 3 is 3 x 2 below, which is not half of it.
    let odd = input("odd_sample", [BATCH, FRAMES, 8, 5, 3], device);
    assert_golden(&goldens, "unet.odd", run(odd, context), TOLERANCE);
}

fn controlnet_and_steered_unet<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    let control = filled_controlnet::<B>(device);
    let context = input("context", [BATCH, 5, 16], device);
    let residuals = control
        .forward(
            sample(device),
            timestep(device),
            context.clone(),
            ids(device),
            &conditions(device),
            0.75,
        )
        .unwrap();
    assert_eq!(residuals.down.len(), 4);
    for (i, down) in residuals.down.iter().enumerate() {
        assert_golden(
            &goldens,
            &format!("controlnet.down.{i}"),
            down.clone(),
            TOLERANCE,
        );
    }
    assert_golden(&goldens, "controlnet.mid", residuals.mid.clone(), TOLERANCE);

    let unet = filled_unet::<B>(device);
    let out = unet.forward(
        sample(device),
        timestep(device),
        context,
        ids(device),
        Some(residuals),
    );
    assert_golden(&goldens, "unet.steered", out, TOLERANCE);
}

dragentity_testkit::on_each_backend!(
    cross_attention_down_block,
    unet,
    controlnet_and_steered_unet
);

fn published_unet() -> BTreeMap<String, Vec<usize>> {
    let json = include_str!("../../../tests/goldens/svd_unet_tensors.json");
    let tensors: Vec<(String, Vec<usize>)> = serde_json::from_str(json).unwrap();
    tensors.into_iter().collect()
}

#[test]
fn published_unet_has_diffusers_tensors() {
    let expected = published_unet();
    assert_eq!(expected.len(), 1428);
    // Nothing is allocated: parameters are drawn when they are first used.
    let unet = UNetConfig::default().init::<Flex>(&Default::default());
    assert_eq!(tensor_list(&unet.unwrap()), expected);
}

#[test]
fn published_controlnet_has_draganything_tensors() {
    let json = include_str!("../../../tests/goldens/draganything_tensors.json");
    let expected: Vec<(String, Vec<usize>)> = serde_json::from_str(json).unwrap();
    let expected: BTreeMap<_, _> = expected.into_iter().collect();
    assert_eq!(expected.len(), 685);
    // 2.74 GB in f32, as the public file has.
    let numbers: usize = expected.values().map(|s| s.iter().product::<usize>()).sum();
    assert_eq!(numbers, 684_999_873);
    let control = ControlNetConfig::default().init::<Flex>(&Default::default());
    assert_eq!(tensor_list(&control.unwrap()), expected);
}

#[test]
fn zero_initialised_controlnet_leaves_the_unet_alone_and_live_one_has_gradients() {
    type B = Autodiff<Flex>;
    let device = Default::default();
    let context = || input::<B, 3>("context", [BATCH, 5, 16], &device);
    let run = |control: &ControlNet<B>| {
        control
            .forward(
                sample(&device),
                timestep(&device),
                context(),
                ids(&device),
                &conditions(&device),
                1.0,
            )
            .unwrap()
    };
    let silent = controlnet_config().init::<B>(&device).unwrap();
    let residuals = run(&silent);
    for x in residuals.down.iter().chain([&residuals.mid]) {
        assert_eq!(x.clone().abs().max().into_scalar(), 0.0);
    }

    let live = ControlNetConfig {
        zero_init: false,
        ..controlnet_config()
    };
    let live = live.init::<B>(&device).unwrap();
    let unet = unet_config().init::<B>(&device).unwrap();
    let out = unet.forward(
        sample(&device),
        timestep(&device),
        context(),
        ids(&device),
        Some(run(&live)),
    );
    let grads = out.powi_scalar(2).mean().backward();
    let conditions = &live.controlnet_cond_embedding;
    let encoders = [
        &conditions.conv_in,
        &conditions.blocks_feature[0],
        &live.moved_latent_embedding.as_ref().unwrap().conv_in,
    ];
    for conv in encoders {
        let grad = conv.weight.val().grad(&grads).unwrap();
        assert!(grad.abs().max().into_scalar() > 0.0);
    }
}

#[test]
fn wrong_conditions_are_refused_in_words() {
    let device = Default::default();
    let control = controlnet_config().init::<Flex>(&device).unwrap();
    let mut wrong = conditions::<Flex>(&device);
    wrong.moved_latents = None;
    let message = control.embed_conditions(&wrong).unwrap_err().to_string();
    assert!(message.contains("moved latents"), "{message}");
    let mut wrong = conditions::<Flex>(&device);
    wrong.heat_map = input("heat_map", [BATCH, FRAMES, 3, 24, 20], &device);
    let message = control.embed_conditions(&wrong).unwrap_err().to_string();
    assert!(message.contains("heat map"), "{message}");
}

#[test]
fn garbled_configurations_are_refused() {
    let broken = [
        r#"{"block_out_channels": []}"#,
        r#"{"block_out_channels": [320, 640]}"#,
        r#"{"block_out_channels": [320, 640, 1280, 1000]}"#,
        r#"{"block_out_channels": [320, 640, 1280, 99999999999]}"#,
        r#"{"num_attention_heads": 7}"#,
        r#"{"num_attention_heads": [5, 10]}"#,
        r#"{"num_attention_heads": 0}"#,
        r#"{"layers_per_block": 1000000}"#,
        r#"{"addition_time_embed_dim": 0}"#,
        r#"{"down_block_types": ["DownBlock3D"]}"#,
        r#"{"in_channels": -1}"#,
        "",
    ];
    for text in broken {
        let built = UNetConfig::from_json("unet", text).and_then(|c| c.validate("unet"));
        assert!(built.is_err(), "{text}");
    }
    assert!(
        UNetConfig::from_json("unet", "{}")
            .unwrap()
            .validate("unet")
            .is_ok()
    );
    let lists = r#"{"conditioning_embedding_out_channels": [16, 32]}"#;
    let built =
        ControlNetConfig::from_json("controlnet", lists).and_then(|c| c.validate("controlnet"));
    assert!(built.is_err());
    let small = controlnet_config();
    assert!(small.check_fits("c", &unet_config()).is_ok());
    assert!(small.check_fits("c", &UNetConfig::default()).is_err());
    assert_eq!(small.downscale(), 4);
    assert_eq!(ControlNetConfig::default().downscale(), 8);
}
