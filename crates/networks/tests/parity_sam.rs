//! SAM and MobileSAM against PyTorch, on synthetic weights (tests/goldens/make_sam.py).
#![cfg(not(target_family = "wasm"))]

use burn::backend::Flex;
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::scene::Picture;
use dragentity_networks::sam::image_encoder::ViTConfig;
use dragentity_networks::sam::mask_decoder::MaskDecoderConfig;
use dragentity_networks::sam::tiny_vit::TinyViTConfig;
use dragentity_networks::sam::{Framing, ImageEncoderConfig, Prompt, Sam, SamConfig};
use dragentity_networks::weights::{Weights, tensor_list};
use dragentity_testkit::{assert_golden, golden_file, parameter, safetensors_file, uniform};
use std::collections::BTreeMap;

/// Some twenty layers in `f32`, sums in another order than PyTorch's. Seen on flex: 3e-6 at most.
const NEAR: f32 = 2e-5;
/// The same behind the 16-step way from pixels to embedding.
const MASKS: f32 = 5e-5;

const GOLDENS: &str = "sam.safetensors";

fn small_decoder(image_encoder: ImageEncoderConfig) -> SamConfig {
    SamConfig {
        image_encoder,
        mask_in_chans: 8,
        mask_decoder: MaskDecoderConfig {
            transformer_dim: 32,
            mlp_dim: 48,
            iou_head_hidden_dim: 24,
            ..MaskDecoderConfig::default()
        },
    }
}

/// Windows of three in eight patches, so that some reach beyond the picture; then one block that sees all of it.
fn small_vit() -> SamConfig {
    small_decoder(ImageEncoderConfig::Vit(ViTConfig {
        img_size: 64,
        patch_size: 8,
        embed_dim: 32,
        num_heads: 2,
        mlp_dim: 96,
        windows: vec![3, 8],
        out_chans: 32,
    }))
}

fn small_mobile() -> SamConfig {
    small_decoder(ImageEncoderConfig::Tiny(TinyViTConfig {
        img_size: 64,
        embed_dims: [8, 16, 24, 32],
        depths: [1, 1, 2, 1],
        conv_dim: 32,
        num_heads: [2, 3, 4],
        window_sizes: [3, 3, 4],
        mlp_dims: [64, 96, 128],
        out_chans: 32,
    }))
}

/// Names and shapes of the networks' tensors.
fn tensors(config: &SamConfig) -> BTreeMap<String, Vec<usize>> {
    let device = Default::default();
    match &config.image_encoder {
        ImageEncoderConfig::Vit(vit) => tensor_list(
            &config
                .networks::<Flex, _>(vit.init(&device).unwrap(), &device)
                .unwrap(),
        ),
        ImageEncoderConfig::Tiny(tiny) => tensor_list(
            &config
                .networks::<Flex, _>(tiny.init(&device).unwrap(), &device)
                .unwrap(),
        ),
    }
}

/// The small networks as a file, as a user would bring it.
fn file(config: &SamConfig) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let values = parameter(&name, &shape);
        (name, shape, values)
    };
    let mut tensors: Vec<_> = tensors(config).into_iter().map(tensor).collect();
    if let ImageEncoderConfig::Tiny(_) = config.image_encoder {
        // What is in the public file beside.
        for (name, shape) in [
            ("image_encoder.head.weight", vec![5, 32]),
            ("image_encoder.norm_head.bias", vec![32]),
            (
                "image_encoder.patch_embed.seq.0.bn.num_batches_tracked",
                vec![1],
            ),
        ] {
            tensors.push(tensor((name.into(), shape)));
        }
    }
    tensors
}

fn weights(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Weights {
    Weights::from_bytes("my.safetensors", safetensors_file(tensors)).unwrap()
}

fn sam<B: Backend>(config: SamConfig, device: &B::Device) -> Sam<B> {
    let weights = weights(&file(&config));
    pollster::block_on(Sam::load(&weights, config, device, &mut |_, _| {})).unwrap()
}

/// As `picture` in the generator: bands and noise.
fn picture() -> Picture {
    let noise = uniform("sam.picture", 48 * 40 * 3);
    let rgb = (0..48 * 40).flat_map(|at| {
        let (x, y) = ((at % 48) as f64, (at / 48) as f64);
        [5.0 * x, 6.0 * y, 2.0 * (x + y)]
    });
    let rgb = rgb
        .zip(noise)
        .map(|(band, noise)| (band + 20.0 * noise).clamp(0.0, 255.0) as u8);
    Picture::from_rgb(48, 40, rgb.collect()).unwrap()
}

/// The network's own input, from pixels that PIL has resized.
fn input<B: Backend>(device: &B::Device) -> Tensor<B, 4> {
    let (planes, _) = golden_file(GOLDENS).read("resized").unwrap();
    let area = 64 * 53;
    let rgb = (0..area).flat_map(|at| [0, 1, 2].map(|c| planes[c * area + at] as u8));
    let resized = Picture::from_rgb(64, 53, rgb.collect()).unwrap();
    Framing::new(64, 53, 64).input(&resized, device)
}

fn image_encoders<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    for (name, config) in [("vit", small_vit()), ("tiny", small_mobile())] {
        let sam = sam::<B>(config, device);
        let mut encoding = sam.encoding(input(device));
        let (_, stages) = encoding.progress();
        encoding.advance();
        assert_eq!(encoding.progress(), (1, stages));
        assert_golden(&goldens, name, encoding.finish(), NEAR);
    }
}

fn prompts_and_masks<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    let network = sam::<B>(small_vit(), device);
    let embedding = network.encoding(input(device)).finish();
    let click = ([20.5, 31.0], true);
    let other = ([50.25, 7.0], false);
    let one = Prompt {
        points: vec![click],
        bounds: None,
    };
    let several = network
        .predict(&network.look(embedding.clone(), None), &one)
        .ambiguous();
    assert_golden(&goldens, "several.masks", several.masks.clone(), MASKS);
    assert_golden(&goldens, "several.scores", several.scores.clone(), MASKS);

    let scores: Vec<f32> = several.scores.into_data().to_vec().unwrap();
    let best = (0..3).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let best = several.masks.narrow(1, best.unwrap(), 1);
    let enlarged = Framing::new(48, 40, 64).enlarged(best.clone(), [48, 40]);
    assert_golden(&goldens, "enlarged", enlarged, MASKS);

    let two = Prompt {
        points: vec![click, other],
        bounds: None,
    };
    let refined = network
        .predict(&network.look(embedding.clone(), Some(best)), &two)
        .unambiguous();
    assert_golden(&goldens, "refined.masks", refined.masks, MASKS);
    assert_golden(&goldens, "refined.scores", refined.scores, MASKS);

    let boxed = Prompt {
        bounds: Some([3.0, 5.5, 40.0, 50.0]),
        ..two
    };
    let boxed = network
        .predict(&network.look(embedding, None), &boxed)
        .unambiguous();
    assert_golden(&goldens, "box.masks", boxed.masks, MASKS);
    assert_golden(&goldens, "box.scores", boxed.scores, MASKS);

    let mobile = sam::<B>(small_mobile(), device);
    let embedding = mobile.encoding(input(device)).finish();
    let several = mobile
        .predict(&mobile.look(embedding, None), &one)
        .ambiguous();
    assert_golden(&goldens, "mobile.masks", several.masks, MASKS);
}

dragentity_testkit::on_each_backend!(image_encoders, prompts_and_masks);

#[test]
fn pictures_are_resized_as_published() {
    let framing = Framing::new(48, 40, 64);
    assert_eq!(framing.inner(), [64, 53]);
    let ours = framing.input::<Flex>(&picture(), &Default::default());
    let pil = input::<Flex>(&Default::default());
    let worst: f32 = (ours - pil).abs().max().into_scalar();
    // Both round to whole numbers, PIL after rows and again after columns: one of 255 apart, in deviations of 57.
    assert!(worst < 1.01 / 57.0, "{worst}");
    // Corners of the picture are corners of its part of the square; pixels have their centres at whole numbers.
    assert_eq!(framing.place([0.0, 0.0]), [-0.5, -0.5]);
    assert_eq!(framing.place([1.0, 1.0]), [63.5, 52.5]);
    assert_eq!(Framing::new(1, 9000, 1024).inner(), [1, 1024]);
}

#[test]
fn names_and_shapes_are_those_of_the_public_checkpoints() {
    let json = include_str!("../../../tests/goldens/sam_tensors.json");
    let published: BTreeMap<String, Vec<(String, Vec<usize>)>> =
        serde_json::from_str(json).unwrap();
    let of = |key: &str| -> BTreeMap<_, _> { published[key].iter().cloned().collect() };
    let (vit, mut mobile) = (of("vit_b"), of("mobile"));
    assert_eq!(tensors(&SamConfig::vit_b()), vit);

    mobile.extend(
        vit.into_iter()
            .filter(|(name, _)| !name.starts_with("image_encoder.")),
    );
    let ours = tensors(&SamConfig::mobile());
    let unneeded: Vec<String> = mobile
        .keys()
        .filter(|name| !ours.contains_key(*name))
        .cloned()
        .collect();
    for name in &unneeded {
        mobile.remove(name);
        let expected = [
            "image_encoder.head.weight",
            "image_encoder.head.bias",
            "image_encoder.norm_head.weight",
            "image_encoder.norm_head.bias",
        ];
        assert!(
            expected.contains(&name.as_str()) || name.ends_with(".bn.num_batches_tracked"),
            "{name}"
        );
    }
    assert_eq!(ours, mobile);
}

#[test]
fn sizes_are_read_off_the_file_and_other_files_are_refused() {
    assert_eq!(
        SamConfig::of(&weights(&file(&small_vit()))).unwrap(),
        small_vit()
    );
    // The size of MobileSAM's picture is in none of its tensors: it is the published one.
    let mut mobile = small_mobile();
    if let ImageEncoderConfig::Tiny(tiny) = &mut mobile.image_encoder {
        tiny.img_size = 1024;
    }
    assert_eq!(SamConfig::of(&weights(&file(&mobile))).unwrap(), mobile);

    let refused = |tensors: &[_], why: &str| {
        let error = SamConfig::of(&weights(tensors)).unwrap_err().to_string();
        assert!(
            error.contains("my.safetensors") && error.contains(why),
            "{error}"
        );
    };
    let without = |config: &SamConfig, part: &str| {
        let mut tensors = file(config);
        tensors.retain(|(name, ..)| !name.starts_with(part));
        tensors
    };
    refused(
        &without(&small_vit(), "image_encoder"),
        "sam_vit_b_01ec64.pth",
    );
    refused(
        &without(&small_vit(), "mask_decoder.iou_prediction_head"),
        "\"mask_decoder.iou_prediction_head.layers.0.weight\" is missing",
    );
    refused(
        &without(&small_vit(), "image_encoder.blocks"),
        "are of no SAM",
    );
    let theirs = "vision_encoder.pos_embed".to_owned();
    refused(&[(theirs, vec![1], vec![0.0])], "names of transformers");
    for (tensor, shape, why) in [
        (
            "image_encoder.pos_embed",
            vec![1, 16, 4, 32],
            "are of no SAM",
        ),
        ("image_encoder.pos_embed", vec![2048], "which no SAM has"),
        (
            "image_encoder.neck.0.weight",
            vec![16, 64, 1, 1],
            "is no SAM",
        ),
    ] {
        let mut odd = file(&small_vit());
        odd.iter_mut().find(|t| t.0 == tensor).unwrap().1 = shape;
        refused(&odd, why);
    }

    // Tensors that are missing elsewhere, or have no place, are named when they are loaded.
    let device = Default::default();
    let load = |tensors: &[_]| {
        let weights = weights(tensors);
        let mut hear = |_, _| {};
        let sam = Sam::<Flex>::load(&weights, small_vit(), &device, &mut hear);
        pollster::block_on(sam).unwrap_err().to_string()
    };
    let error = load(&without(&small_vit(), "prompt_encoder.no_mask_embed"));
    assert!(
        error.contains("prompt_encoder.no_mask_embed.weight"),
        "{error}"
    );
    let mut more = file(&small_vit());
    more.push(("mask_decoder.more".into(), vec![1], vec![0.0]));
    let error = load(&more);
    assert!(error.contains("no place for mask_decoder.more"), "{error}");
}
