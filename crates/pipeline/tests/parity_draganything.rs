//! What steers Stable Video Diffusion with DragAnything's ControlNet, against NumPy, diffusers and transformers, on
//! synthetic weights (tests/goldens/make_draganything.py).

#[path = "draganything/directories.rs"]
mod directories;

use burn::backend::Flex;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use dragentity_core::scene::{Mask, Picture};
use dragentity_core::scheduler::guidance_per_frame;
use dragentity_networks::clip::{CLIPTextConfig, CLIPTextModel};
use dragentity_networks::dragentity::condition::{ConditionInput, EntityInput};
use dragentity_networks::dragentity::denoiser::Steering;
use dragentity_networks::dragentity::draganything::{Maps, vectors};
use dragentity_networks::sd15::diffusion_features::{
    Recipe, StableDiffusionConfig, video_features,
};
use dragentity_networks::sd15::unet_2d::UNet2DConfig;
use dragentity_networks::svd::controlnet::{Conditions, ControlNet, ControlNetConfig};
use dragentity_networks::svd::vae::AutoencoderKLTemporalDecoderConfig;
use dragentity_networks::weights::{ModelDir, Weights, tensor_list};
use dragentity_pipeline::engine::added_time_ids;
use dragentity_pipeline::plan::to_unit;
use dragentity_pipeline::sample::Sampler;
use dragentity_pipeline::svd::{image_latents, prepare};
use dragentity_pipeline::transfer::pictures;
use dragentity_testkit::steer::{stable_diffusion_config, stable_diffusion_directory, written};
use dragentity_testkit::svd::svd_config;
use dragentity_testkit::{assert_golden, fill, fill_as, golden_file, picture, uniform};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A few layers of f32 sums, in another order than PyTorch's.
const TOLERANCE: f32 = 2e-5;
/// Sampling starts from noise of 700, whose rounding (unit 6e-5) stays in the latents.
const STEERED_TOLERANCE: f32 = 5e-5;

const GOLDENS: &str = "draganything.safetensors";

#[derive(Deserialize)]
struct Case {
    width: usize,
    height: usize,
    frames: usize,
    entities: Vec<CaseEntity>,
}

#[derive(Deserialize)]
struct CaseEntity {
    /// The mask is their union: `[x0, y0, x1, y1]`.
    boxes: Vec<[u32; 4]>,
    track: Vec<[f32; 2]>,
}

fn case(name: &str) -> ConditionInput {
    let case: Case = serde_json::from_value(written("cases")[name].take()).unwrap();
    let entity = |entity: CaseEntity| {
        let mut mask = Mask::empty(case.width as u32, case.height as u32);
        for [x0, y0, x1, y1] in entity.boxes {
            for y in y0..y1 {
                let line = y as usize * case.width;
                mask.alpha[line + x0 as usize..line + x1 as usize].fill(255);
            }
        }
        EntityInput {
            mask,
            track: entity.track,
        }
    };
    ConditionInput {
        frames: case.frames,
        width: case.width,
        height: case.height,
        entities: case.entities.into_iter().map(entity).collect(),
        background: Vec::new(),
    }
}

fn maps<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    let input = case("maps");
    let features = picture::<B, 4>("maps.features", [1, 4, 8, 10], device);
    let vectors = vectors(features, &input);
    assert_golden(&goldens, "maps.vectors", vectors.clone(), 1e-6);
    let maps = Maps::new(&input, 4, 4).unwrap();
    assert_eq!(maps.unseen(), [2]);
    let (heat, entity) = maps.draw(vectors.clone(), 0..2);
    // Three equal channels of whole numbers, up to 255.
    for channel in 0..3 {
        let heat = heat
            .clone()
            .narrow(2, channel, 1)
            .squeeze_dims::<3>(&[0, 2]);
        assert_golden(&goldens, "maps.heat", heat, 0.0);
    }
    assert_golden(
        &goldens,
        "maps.entity",
        entity.clone().squeeze_dim::<4>(0),
        1e-6,
    );
    // Some frames by themselves are the same.
    let (second_heat, second) = maps.draw(vectors, 1..2);
    let off: f32 = (second - entity.narrow(1, 1, 1))
        .abs()
        .max()
        .into_data()
        .to_vec::<f32>()
        .unwrap()[0];
    let heat_off = (second_heat - heat.narrow(1, 1, 1)).abs().max().into_data();
    assert_eq!((off, heat_off.to_vec::<f32>().unwrap()[0]), (0.0, 0.0));
}

/// Two noises, as the goldens have it.
const RECIPE: Recipe = Recipe {
    timestep: 261,
    up_blocks: 4,
    ensemble: 2,
};

fn stable_diffusion<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    let config = stable_diffusion_config();
    let text: CLIPTextModel<B> = fill(config.text_encoder.init(device).unwrap());
    let tokens = TensorData::new(vec![18i64, 3, 7, 7, 12, 19, 19], [1, 7]);
    let tokens = Tensor::<B, 2, Int>::from_data(tokens, device);
    let tokens = Tensor::cat(vec![tokens, config.text_encoder.empty_text(device)], 0);
    let context = text.forward(tokens);
    assert_golden(&goldens, "sd.text", context.clone(), TOLERANCE);
    let empty = context.narrow(0, 1, 1);

    let encoder = fill(config.vae.init_encoder::<B>(device).unwrap());
    let image = picture("sd.picture", [1, 3, 24, 32], device);
    let shape = [2, 4, 6, 8];
    let latents = config.draw(&encoder, image, picture("sd.draw", shape, device));
    assert_golden(&goldens, "sd.latents", latents.clone(), TOLERANCE);

    let unet = fill(config.unet.init::<B>(device).unwrap());
    let noise = picture("sd.noise", shape, device);
    let features = config
        .features(
            &RECIPE,
            &unet,
            latents.clone(),
            noise.clone(),
            empty.clone(),
        )
        .unwrap();
    assert_golden(&goldens, "sd.features", features, TOLERANCE);
    let time = |n| Tensor::<B, 1>::full([n], 261.0, device);
    let both = empty.expand([2, 7, 16]);
    let sigma = 0.724_678_6;
    let noisy = (latents + noise * sigma) / (sigma * sigma + 1.0f64).sqrt();
    let out = unet.forward(noisy, time(2), both.clone());
    assert_golden(&goldens, "sd.unet", out, TOLERANCE);
    let odd = picture("sd.odd_input", [2, 4, 5, 3], device);
    assert_golden(
        &goldens,
        "sd.odd",
        unet.forward(odd, time(2), both),
        TOLERANCE,
    );
}

fn steered_pipeline<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    let config = svd_config();
    let input = case("steered");
    let (width, height, frames) = (input.width, input.height, input.frames);
    let rgb = uniform("svd.picture", width * height * 3)
        .into_iter()
        .map(|v| ((v as f32 + 1.0) * 127.5) as u8)
        .collect();
    let scene = Picture::from_rgb(width as u32, height as u32, rgb).unwrap();
    let encoder = fill(config.image_encoder.init::<B>(device).unwrap());
    let embedding = config.embed(&encoder, &scene, device).unwrap();
    let vae = fill(config.vae.init::<B>(device).unwrap());
    let pixels = pictures(&[to_unit(&scene)], width, height, device);
    let grain = picture("svd.noise", pixels.dims(), device);
    let latents = image_latents(&vae, pixels, grain, 0.3);
    let unet = fill(config.unet.init::<B>(device).unwrap());
    let ids = added_time_ids(7, 100, 0.3, 1, device);

    let one = prepare(embedding.clone(), latents.clone(), 1, ids.clone());
    let noise = picture("steered.noise", [2, 4, height / 4, width / 4], device);
    let clean = config.vae.normalize(latents.clone());
    let features = video_features(&RECIPE, &unet, &one, clean, noise).unwrap();
    assert_golden(&goldens, "steered.features", features.clone(), TOLERANCE);

    let control: ControlNetConfig = serde_json::from_value(written("controlnet")).unwrap();
    let control = fill_as("control.", control.init::<B>(device).unwrap());
    let maps = Maps::new(&input, 4, 4).unwrap();
    let (heat_map, entity_map) = maps.draw(vectors(features, &input), 0..frames);
    let embedded = control
        .embed_conditions(&Conditions {
            entity_map,
            heat_map,
            moved_latents: None,
        })
        .unwrap();
    let mut prepared = prepare(embedding, latents, frames, ids);
    prepared.steering = Some(Steering {
        controlnet: &control,
        embedded,
        scale: 1.0,
    });
    let scheduler = config.scheduler.schedule(None, 3).unwrap();
    let guidance = guidance_per_frame(1.0, 3.0, frames);
    let start = picture("svd.latents", [1, frames, 4, height / 4, width / 4], device);
    let mut sampler = Sampler::from_noise(&unet, prepared, scheduler, &guidance, start);
    for step in 0..3 {
        sampler.advance();
        let name = format!("steered.latents.{step}");
        assert_golden(&goldens, &name, sampler.sample(), STEERED_TOLERANCE);
    }
}

dragentity_testkit::on_each_backend!(maps, stable_diffusion, steered_pipeline);

/// ControlNet and Stable Diffusion at their published sizes, read from files.
#[test]
#[ignore = "8 GB of memory, and a directory in DRAGANYTHING_FULL_SIZE that tests/goldens/make_draganything.py writes"]
fn full_size() {
    let device = Default::default();
    let folder = std::env::var("DRAGANYTHING_FULL_SIZE").expect("a directory");
    let expected = std::fs::read(format!("{folder}/expected.safetensors")).unwrap();
    let expected = Weights::from_bytes("expected.safetensors", expected).unwrap();
    let none = &mut |_, _| {};
    pollster::block_on(async {
        let dir = ModelDir::new(format!("{folder}/controlnet"));
        let config: ControlNetConfig = dir.read_config("").await.unwrap();
        let network: ControlNet<Flex> = config.init(&device).unwrap();
        let (control, report) = dir.load("", network, none).await.unwrap();
        assert_eq!((report.loaded, report.unused.len()), (685, 0));
        let conditions = Conditions {
            entity_map: picture("full.entities", [1, 2, 160, 64, 64], &device),
            heat_map: picture("full.heat", [1, 2, 3, 64, 64], &device),
            moved_latents: None,
        };
        let residuals = control
            .forward(
                picture("full.sample", [1, 2, 8, 8, 8], &device),
                Tensor::from_floats([0.9f32], &device),
                picture("full.context", [1, 1, 1024], &device),
                added_time_ids(7, 127, 0.02, 1, &device),
                &conditions,
                1.0,
            )
            .unwrap();
        for i in [0, 4, 11] {
            let name = format!("full.down.{i}");
            assert_golden(&expected, &name, residuals.down[i].clone(), TOLERANCE);
        }
        assert_golden(&expected, "full.mid", residuals.mid, TOLERANCE);
        drop(control);

        let dir = ModelDir::new(format!("{folder}/sd15"));
        let config = StableDiffusionConfig::read(&dir).await.unwrap();
        let text = config
            .load_text_encoder::<Flex>(&dir, &device, none)
            .await
            .unwrap();
        let context = text.forward(config.text_encoder.empty_text(&device));
        let encoder = config
            .load_encoder::<Flex>(&dir, &device, none)
            .await
            .unwrap();
        let image = picture("full.picture", [1, 3, 64, 64], &device);
        let shape = [1, 4, 8, 8];
        let latents = config.draw(&encoder, image, picture("full.draw", shape, &device));
        let unet = config.load_unet::<Flex>(&dir, &device, none).await.unwrap();
        let noise = picture("full.noise", shape, &device);
        let features = config
            .features(&Recipe::default(), &unet, latents, noise, context)
            .unwrap();
        assert_golden(&expected, "full.features", features, TOLERANCE);
    });
}

#[test]
fn published_stable_diffusion_has_diffusers_tensors() {
    type Tensors = BTreeMap<String, Vec<usize>>;
    let json = include_str!("../../../tests/goldens/sd15_tensors.json");
    let parts: BTreeMap<String, Vec<(String, Vec<usize>)>> = serde_json::from_str(json).unwrap();
    let expected = |part: &str| -> Tensors { parts[part].iter().cloned().collect() };
    let device = Default::default();
    assert_eq!(expected("unet").len(), 686);
    assert_eq!(
        tensor_list(&UNet2DConfig::default().init::<Flex>(&device).unwrap()),
        expected("unet")
    );
    assert_eq!(expected("text_encoder").len(), 196);
    assert_eq!(
        tensor_list(&CLIPTextConfig::default().init::<Flex>(&device).unwrap()),
        expected("text_encoder")
    );
    // Of the VAE, what makes latents.
    let mut half = expected("vae");
    assert_eq!(half.len(), 248);
    half.retain(|name, _| name.starts_with("encoder.") || name.starts_with("quant_conv."));
    let vae = AutoencoderKLTemporalDecoderConfig::default();
    assert_eq!(
        tensor_list(&vae.init_encoder::<Flex>(&device).unwrap()),
        half
    );
}

#[test]
fn a_stable_diffusion_directory_is_read_whatever_wrote_it() {
    let device = Default::default();
    let folder = stable_diffusion_directory();
    let dir = ModelDir::new(folder.path().to_str().unwrap());
    pollster::block_on(async {
        let config = StableDiffusionConfig::read(&dir).await.unwrap();
        let none = &mut |_, _| {};
        let text = config
            .load_text_encoder::<Flex>(&dir, &device, none)
            .await
            .unwrap();
        let encoder = config
            .load_encoder::<Flex>(&dir, &device, none)
            .await
            .unwrap();
        config.load_unet::<Flex>(&dir, &device, none).await.unwrap();
        let goldens = golden_file(GOLDENS);
        let image = picture("sd.picture", [1, 3, 24, 32], &device);
        let draw = picture("sd.draw", [2, 4, 6, 8], &device);
        assert_golden(
            &goldens,
            "sd.latents",
            config.draw(&encoder, image, draw),
            TOLERANCE,
        );
        let (values, _) = goldens.read("sd.text").unwrap();
        let ours = text
            .forward(config.text_encoder.empty_text(&device))
            .into_data();
        let ours: Vec<f32> = ours.to_vec().unwrap();
        assert!(
            ours.iter()
                .zip(&values[ours.len()..])
                .all(|(a, b)| (a - b).abs() < 1e-4)
        );
    });
}

#[test]
fn other_models_than_stable_diffusion_1_are_refused() {
    let folder = stable_diffusion_directory();
    let refusal = |part: &str, change: &dyn Fn(&mut Value)| {
        let file = folder.path().join(part).join(if part == "scheduler" {
            "scheduler_config.json"
        } else {
            "config.json"
        });
        let before = std::fs::read(&file).unwrap();
        let mut json: Value = serde_json::from_slice(&before).unwrap();
        change(&mut json);
        std::fs::write(&file, json.to_string()).unwrap();
        let dir = ModelDir::new(folder.path().to_str().unwrap());
        let error = pollster::block_on(StableDiffusionConfig::read(&dir)).unwrap_err();
        std::fs::write(&file, before).unwrap();
        error.to_string()
    };
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 9] = [
        (
            "unet",
            |c| c["use_linear_projection"] = true.into(),
            "Stable Diffusion 2",
        ),
        (
            "unet",
            |c| c["_class_name"] = "UNetSpatioTemporalConditionModel".into(),
            "UNetSpatioTemporal",
        ),
        (
            "unet",
            |c| c["cross_attention_dim"] = 17.into(),
            "text encoder gives 16",
        ),
        ("unet", |c| c["in_channels"] = 9.into(), "takes 9 channels"),
        (
            "unet",
            |c| c["block_out_channels"] = vec![33, 64].into(),
            "33",
        ),
        (
            "unet",
            |c| c["attention_head_dim"] = 0.into(),
            "attention_head_dim",
        ),
        (
            "unet",
            |c| c["down_block_types"] = vec!["X", "Y"].into(),
            "CrossAttnDownBlock2D",
        ),
        (
            "text_encoder",
            |c| c["model_type"] = "clip_vision_model".into(),
            "clip_text_model",
        ),
        (
            "text_encoder",
            |c| c["num_attention_heads"] = 3.into(),
            "3 attention heads",
        ),
    ];
    for (part, change, words) in cases {
        let said = refusal(part, &change);
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    std::fs::remove_file(folder.path().join("text_encoder/config.json")).unwrap();
    let dir = ModelDir::new(folder.path().to_str().unwrap());
    let said = pollster::block_on(StableDiffusionConfig::read(&dir))
        .unwrap_err()
        .to_string();
    assert!(said.contains("text_encoder/config.json"), "{said}");
}
