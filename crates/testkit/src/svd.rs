//! Stable Video Diffusion's directory, small: for the tests of the networks and of the program.

use crate::{parameter, safetensors_file};
use burn::backend::Flex;
use burn::module::Module;
use dragentity_networks::svd::unet::UNetConfig;
use dragentity_networks::weights::tensor_list;
use dragentity_pipeline::svd::SvdConfig;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::Write;
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

/// Replaces the UNet of [`write_published`] by one of these channels, whose weights are zeros in half precision. Where the file
/// system knows holes they take no room on the disk, however many they are.
pub fn write_hollow_unet(root: &Path, channels: [usize; 2]) {
    let mut json = config_json("unet");
    json["block_out_channels"] = channels.to_vec().into();
    let config: UNetConfig = serde_json::from_value(json.clone()).unwrap();
    let unet = config.init::<Flex>(&Default::default()).unwrap();
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, shape) in tensor_list(&unet) {
        let start = end;
        end += 2 * shape.iter().product::<usize>() as u64;
        let entry = json!({"dtype": "F16", "shape": shape, "data_offsets": [start, end]});
        header.insert(name, entry);
    }
    let header = Value::Object(header).to_string();
    let dir = root.join("unet");
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("config.json"), json.to_string()).unwrap();
    let mut file = std::fs::File::create(dir.join("diffusion_pytorch_model.safetensors")).unwrap();
    let length = header.len() as u64;
    file.write_all(&length.to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(8 + length + end).unwrap();
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
    let folder = tempfile::tempdir().unwrap();
    write_published(folder.path());
    folder
}

/// Writes a directory as published, with synthetic weights, into an empty one: its `fp16` variant, as most people have it.
pub fn write_published(root: &Path) {
    let device = Default::default();
    let expected = svd_config();
    let index =
        r#"{"_class_name": "StableVideoDiffusionPipeline", "_diffusers_version": "0.24.0.dev0"}"#;
    std::fs::write(root.join("model_index.json"), index).unwrap();
    let weights = "diffusion_pytorch_model.fp16.safetensors";
    let encoder = expected.image_encoder.init(&device).unwrap();
    let vae = expected.vae.init(&device).unwrap();
    let unet = expected.unet.init(&device).unwrap();
    write_part(
        root,
        "image_encoder",
        "model.fp16.safetensors",
        "clip",
        &encoder,
    );
    write_part(root, "vae", weights, "vae", &vae);
    write_part(root, "unet", weights, "unet", &unet);
    for (part, file) in [
        ("scheduler", "scheduler_config.json"),
        ("feature_extractor", "preprocessor_config.json"),
    ] {
        std::fs::create_dir(root.join(part)).unwrap();
        std::fs::write(root.join(part).join(file), config_json(part).to_string()).unwrap();
    }
}
