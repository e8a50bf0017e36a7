use super::*;
use crate::data::{ClipSpec, Data, Split, testing};
use crate::train::fit::FitOptions;
use crate::train::record::Results;
use crate::train::run::{RunOptions, Shown, What, run};
use burn::backend::{Autodiff, Flex};
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use dragentity_networks::device::Device;
use dragentity_networks::weights::{ModelDir, Precision, save_bytes, save_file};
use dragentity_pipeline::steer::{Conditioning, Steer};
use serde::de::DeserializeOwned;
use std::path::Path;

type A = Autodiff<Flex>;

/// A configuration of the reduced Stable Video Diffusion that tests/goldens/make_svd.py compares with diffusers.
fn config<T: DeserializeOwned>(name: &str) -> T {
    let text = include_str!("../../../../../tests/goldens/svd_configs.json");
    let mut all: serde_json::Value = serde_json::from_str(text).unwrap();
    serde_json::from_value(all[name].take()).unwrap()
}

fn reduced() -> SvdConfig {
    SvdConfig {
        image_encoder: config("clip"),
        feature_extractor: config("feature_extractor"),
        vae: config("vae"),
        unet: config("unet"),
        scheduler: config("scheduler"),
    }
}

/// Its directory, with random weights.
fn directory(root: &Path) {
    let device = Default::default();
    let dir = ModelDir::new(root.display().to_string());
    let reduced = reduced();
    let weights = |part: &str| std::path::PathBuf::from(dir.weights_file(part));
    let encoder = reduced.image_encoder.init::<Flex>(&device).unwrap();
    save_file(&weights("image_encoder"), &encoder, Precision::F32).unwrap();
    let vae = reduced.vae.init::<Flex>(&device).unwrap();
    save_file(&weights("vae"), &vae, Precision::F32).unwrap();
    let unet = reduced.unet.init::<Flex>(&device).unwrap();
    save_file(&weights("unet"), &unet, Precision::F32).unwrap();
    for (part, file, name) in [
        ("image_encoder", "config.json", "clip"),
        ("vae", "config.json", "vae"),
        ("unet", "config.json", "unet"),
        ("scheduler", "scheduler_config.json", "scheduler"),
        (
            "feature_extractor",
            "preprocessor_config.json",
            "feature_extractor",
        ),
    ] {
        let json = config::<serde_json::Value>(name).to_string();
        let path = root.join(part).join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, json).unwrap();
    }
}

fn stage() -> (ControlNetStage<A>, Steerer<A>) {
    let device = Default::default();
    let config = reduced();
    let spec = ClipSpec {
        width: 32,
        height: 32,
        frames: 3,
        max_entities: 2,
        ..ClipSpec::default()
    };
    let data = Data::Pack(Arc::new(testing::pack()));
    let clips = Clips::new(&data, Split::Train, &spec, 1, &[(32, 32)]);
    let clips = Arc::new(clips.unwrap());
    let unet = config.unet.init::<A>(&device).unwrap();
    let (sizes, relation) = configs(&config.unet, config.vae.factor()).unwrap();
    let network = Steerer::from_unet(&sizes, &relation, &unet, &device).unwrap();
    let mut index = SteerIndex::default();
    index.condition.vae_factor = config.vae.factor();
    let stage = ControlNetStage {
        clips: clips.clone(),
        held_out: clips,
        batch: 1,
        index,
        encoder: config.image_encoder.init(&device).unwrap(),
        vae: config.vae.init(&device).unwrap(),
        unet: unet.no_grad(),
        fps: 7,
        entity_weight: 2.0,
        seed: 1,
        device,
        config,
    };
    (stage, network)
}

fn bytes<M: Module<A>>(module: &M) -> Vec<u8> {
    save_bytes("test", module, Precision::F32).unwrap()
}

#[test]
fn the_controlnet_learns_and_the_unet_stays_as_it_is() {
    let (stage, mut network) = stage();
    let device = Default::default();
    let before = bytes(&stage.unet);
    let mut next = stage.batches();
    let mut loss = |network: &Steerer<A>| stage.loss(network, next(0).unwrap(), 0).unwrap();
    let mut optimizer = AdamWConfig::new().init::<A, Steerer<A>>();
    let mut losses: Vec<f32> = Vec::new();
    for step in 0..8 {
        let made = loss(&network);
        losses.push(made.clone().into_scalar());
        let mut gradients = made.backward();
        let of_unet = GradientsParams::from_module(&mut gradients, &stage.unet);
        assert_eq!(of_unet.len(), 0, "the UNet has gradients");
        let own = GradientsParams::from_module(&mut gradients, &network);
        assert!(own.len() > 10, "{} gradients at step {step}", own.len());
        network = optimizer.step(1e-2, network, own);
    }
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < 0.98 * first, "{losses:?}");
    assert!(bytes(&stage.unet) == before, "the UNet changed");

    // It began without any effect: as the UNet by itself.
    let (sizes, relation) = configs(&stage.config.unet, stage.config.vae.factor()).unwrap();
    let fresh = Steerer::from_unet(&sizes, &relation, &stage.unet, &device).unwrap();
    let with: f32 = loss(&fresh).into_scalar();
    assert!((with - first).abs() < 1e-5, "{with} and {first}");
}

#[test]
fn what_is_trained_steers_the_model_it_was_trained_for() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("svd");
    directory(&model);
    let unet = std::fs::read(model.join("unet/diffusion_pytorch_model.safetensors")).unwrap();
    let data = folder.path().join("clips.pack");
    std::fs::write(&data, testing::pack_bytes()).unwrap();
    let out = folder.path().join("trained");
    let options = RunOptions {
        what: What::ControlNet,
        model: model.clone(),
        controlnet: Some(out.clone()),
        frames: Some(2),
        data,
        photos: Vec::new(),
        batch: 1,
        sizes: vec![(32, 32)],
        seed: 1,
        shown: Shown::default(),
        turns: Vec::new(),
        recompute: false,
        warm: false,
        fit: FitOptions {
            run: folder.path().join("run"),
            steps: 2,
            ..FitOptions::default()
        },
    };
    run(&options, Device::CPU, &mut |_| {}).unwrap();
    let results = Results::read(&options.fit.run).unwrap().unwrap();
    assert_eq!(
        (results.record.what.as_str(), results.steps_done),
        ("controlnet", 2)
    );
    let kept = std::fs::read(model.join("unet/diffusion_pytorch_model.safetensors")).unwrap();
    assert!(unet == kept);
    let steer = pollster::block_on(Steer::open(&out.display().to_string(), None)).unwrap();
    assert!(matches!(
        steer.conditioning(),
        Conditioning::DragEntity { .. }
    ));
    steer.check(&reduced()).unwrap();

    let nowhere = RunOptions {
        controlnet: None,
        ..options
    };
    let said = run(&nowhere, Device::CPU, &mut |_| {})
        .unwrap_err()
        .to_string();
    assert!(said.contains("--controlnet"), "{said}");
}
