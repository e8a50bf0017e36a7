//! Directories that steer Stable Video Diffusion, small.

use crate::safetensors_file;
use crate::svd::synthetic;
use burn::backend::Flex;
use burn::module::Module;
use dragentity_networks::dragentity::relation::RelationConfig;
use dragentity_networks::sd15::diffusion_features::StableDiffusionConfig;
use dragentity_networks::svd::controlnet::ControlNetConfig;
use serde_json::{Value, json};
use std::path::Path;

/// A part of what tests/goldens/make_draganything.py wrote beside its tensors.
pub fn written(name: &str) -> Value {
    let mut all: Value =
        serde_json::from_str(include_str!("../../../tests/goldens/draganything.json")).unwrap();
    all[name].take()
}

/// Stable Diffusion of the goldens.
pub fn stable_diffusion_config() -> StableDiffusionConfig {
    let mut parts = written("stable_diffusion");
    StableDiffusionConfig {
        text_encoder: serde_json::from_value(parts["text_encoder"].take()).unwrap(),
        vae: serde_json::from_value(parts["vae"].take()).unwrap(),
        unet: serde_json::from_value(parts["unet"].take()).unwrap(),
        scheduler: serde_json::from_value(parts["scheduler"].take()).unwrap(),
    }
}

/// A directory of Stable Diffusion as older programs wrote it: other names in the attention, numbers of positions, a
/// decoder that nobody asks for.
pub fn stable_diffusion_directory() -> tempfile::TempDir {
    let device = Default::default();
    let folder = tempfile::tempdir().unwrap();
    let config = stable_diffusion_config();
    let mut configs = written("stable_diffusion");
    let mut write = |part: &str, file: &str, tensors: Vec<(String, Vec<usize>, Vec<f32>)>| {
        let dir = folder.path().join(part);
        std::fs::create_dir(&dir).unwrap();
        let json = configs[part].take().to_string();
        let name = if part == "scheduler" {
            "scheduler_config.json"
        } else {
            "config.json"
        };
        std::fs::write(dir.join(name), json).unwrap();
        if !tensors.is_empty() {
            std::fs::write(dir.join(file), safetensors_file(&tensors)).unwrap();
        }
    };
    let mut text = synthetic(&config.text_encoder.init::<Flex>(&device).unwrap());
    let ids = (0..7).map(|i| i as f32).collect();
    text.push(("text_model.embeddings.position_ids".into(), vec![1, 7], ids));
    write("text_encoder", "model.safetensors", text);
    let mut vae = synthetic(&config.vae.init_encoder::<Flex>(&device).unwrap());
    for (name, ..) in &mut vae {
        for (now, then) in [
            ("to_q", "query"),
            ("to_k", "key"),
            ("to_v", "value"),
            ("to_out.0", "proj_attn"),
        ] {
            *name = name.replace(now, then);
        }
    }
    vae.push(("decoder.conv_in.bias".into(), vec![3], vec![0.0; 3]));
    let weights = "diffusion_pytorch_model.safetensors";
    write("vae", weights, vae);
    write(
        "unet",
        weights,
        synthetic(&config.unet.init::<Flex>(&device).unwrap()),
    );
    write("scheduler", "", Vec::new());
    folder
}

/// The ControlNet of the goldens.
pub fn controlnet_config() -> ControlNetConfig {
    serde_json::from_value(written("controlnet")).unwrap()
}

/// The relation module of [`dragentity_directory`].
pub fn relation_config() -> RelationConfig {
    RelationConfig {
        dim: 32,
        dim_out: 16,
        heads: 4,
        kernels: 8,
    }
}

fn write_part<M: Module<Flex>>(dir: &Path, config: &Value, module: &M) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let file = dir.join("diffusion_pytorch_model.safetensors");
    std::fs::write(file, safetensors_file(&synthetic(module))).unwrap();
}

/// A ControlNet as DragAnything was published.
pub fn draganything_directory() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_draganything(folder.path());
    folder
}

/// The same, into a folder.
pub fn write_draganything(folder: &Path) {
    let mut config = written("controlnet");
    config["_class_name"] = "DragAnythingSDVModel".into();
    let network = controlnet_config()
        .init::<Flex>(&Default::default())
        .unwrap();
    write_part(folder, &config, &network);
}

/// A ControlNet of DragEntity's own kind, with its relation module.
pub fn dragentity_directory() -> tempfile::TempDir {
    let device = Default::default();
    let folder = tempfile::tempdir().unwrap();
    let mut config = written("controlnet");
    config["_class_name"] = "DragEntityControlNet".into();
    config["accumulate_residuals"] = false.into();
    let network = controlnet_config().init::<Flex>(&device).unwrap();
    write_part(&folder.path().join("controlnet"), &config, &network);
    let relation = serde_json::to_value(relation_config()).unwrap();
    let network = relation_config().init::<Flex>(&device).unwrap();
    write_part(&folder.path().join("relation"), &relation, &network);
    let index = json!({"max_entities": 2, "condition": {"vae_factor": 4, "map_factor": 1}});
    std::fs::write(folder.path().join("model_index.json"), index.to_string()).unwrap();
    folder
}
