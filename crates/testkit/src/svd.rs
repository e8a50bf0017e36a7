//! Stable Video Diffusion's directory, small: for the tests of the networks and of the program.

use crate::{parameter, safetensors_file};
use burn::backend::Flex;
use burn::module::Module;
use dragentity_networks::weights::tensor_list;
use dragentity_pipeline::svd::SvdConfig;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

/// A configuration as diffusers or transformers wrote it.
pub fn config_json(name: &str) -> Value {
    let mut all: Value =
        serde_json::from_str(include_str!("../../../tests/goldens/svd_configs.json")).unwrap();
    all[name].take()
}

/// The configuration `name` of the goldens.
pub fn config<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(config_json(name)).unwrap()
}

/// Stable Video Diffusion of the goldens.
pub fn svd_config() -> SvdConfig {
    SvdConfig {
        image_encoder: config("clip"),
        feature_extractor: config("feature_extractor"),
        vae: config("vae"),
        unet: config("unet"),
        scheduler: config("scheduler"),
    }
}

/// Writes a part of a model directory: its configuration, and synthetic weights for `module`.
fn write_part<M: Module<Flex>>(dir: &Path, part: &str, file: &str, config: &str, module: &M) {
    let dir = dir.join(part);
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("config.json"), config_json(config).to_string()).unwrap();
    std::fs::write(dir.join(file), safetensors_file(&synthetic(module))).unwrap();
}

/// All tensors of a network with synthetic values.
pub fn synthetic<M: Module<Flex>>(module: &M) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    tensor_list(module)
        .into_iter()
        .map(|(name, shape)| {
            let values = parameter(&name, &shape);
            (name, shape, values)
        })
        .collect()
}

/// A directory as published, with synthetic weights.
pub fn published_directory() -> tempfile::TempDir {
    let device = Default::default();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let expected = svd_config();
    let index =
        r#"{"_class_name": "StableVideoDiffusionPipeline", "_diffusers_version": "0.24.0.dev0"}"#;
    std::fs::write(root.join("model_index.json"), index).unwrap();
    let weights = "diffusion_pytorch_model.fp16.safetensors";
    let encoder = expected.image_encoder.init(&device).unwrap();
    let vae = expected.vae.init(&device).unwrap();
    let unet = expected.unet.init(&device).unwrap();
    write_part(root, "image_encoder", "model.safetensors", "clip", &encoder);
    write_part(root, "vae", weights, "vae", &vae);
    write_part(root, "unet", weights, "unet", &unet);
    for (part, file) in [
        ("scheduler", "scheduler_config.json"),
        ("feature_extractor", "preprocessor_config.json"),
    ] {
        std::fs::create_dir(root.join(part)).unwrap();
        std::fs::write(root.join(part).join(file), config_json(part).to_string()).unwrap();
    }

    folder
}
