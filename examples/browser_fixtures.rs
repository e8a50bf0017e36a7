//! Writes what the browser tests need and git should not hold, into the folder named by the first argument:
//!
//! - `down_block.weights.safetensors`, `.inputs.safetensors`, `.expected.safetensors`: one block of the UNet with its
//!   synthetic weights and inputs, and the reference's output from tests/goldens.
//! - `tiny/`: a model directory like models/mini, but with so few channels that WebGPU emulated on a CPU runs it, and
//!   with random weights.

#[path = "../tests/common/mod.rs"]
mod common;

use burn::backend::Flex;
use burn::tensor::backend::Backend;
use common::{golden_file, parameter, safetensors_file, uniform};
use dragentity::model::blocks::{AttentionSetup, DownBlockConfig};
use dragentity::model::bundle::BundleConfig;
use dragentity::weights::{ModelDir, Precision, save_file, tensor_list, write_whole};
use serde_json::{Value, json};
use std::error::Error;
use std::path::{Path, PathBuf};

type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(
        std::env::args()
            .nth(1)
            .ok_or("name the folder to write to")?,
    );
    std::fs::create_dir_all(&out)?;
    down_block(&out)?;
    tiny_model(&out.join("tiny"))
}

/// models/mini's configurations with these fields replaced.
fn tiny_configs() -> [(&'static str, Value); 7] {
    let blocks = json!([32, 32, 64]);
    [
        (
            "model_index.json",
            json!({"name": "tiny", "sample_side": 32, "segment_side": 32}),
        ),
        ("scheduler/scheduler_config.json", json!({})),
        ("vae/config.json", json!({"block_out_channels": [8, 8, 16]})),
        (
            "unet/config.json",
            json!({
                "block_out_channels": blocks, "num_attention_heads": [1, 1, 2], "cross_attention_dim": 16,
                "addition_time_embed_dim": 16, "projection_class_embeddings_input_dim": 48,
            }),
        ),
        (
            "controlnet/config.json",
            json!({
                "block_out_channels": blocks, "num_attention_heads": [1, 1, 2], "cross_attention_dim": 16,
                "addition_time_embed_dim": 16, "projection_class_embeddings_input_dim": 48,
                "conditioning_embedding_out_channels": [8, 16, 32], "feature_embedding_out_channels": [12, 16, 32],
            }),
        ),
        (
            "entity_encoder/config.json",
            json!({
                "stem_channels": 8, "block_out_channels": [8, 8, 16], "feature_dim": 12, "token_dim": 16,
                "click_channels": 8, "click_fine_channels": 8, "norm_num_groups": 4,
            }),
        ),
        (
            "relation/config.json",
            json!({"dim": 12, "dim_out": 12, "kernels": 8}),
        ),
    ]
}

fn tiny_model(out: &Path) -> Result<(), Box<dyn Error>> {
    let mini = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/mini");
    for (file, changes) in tiny_configs() {
        let mut config: Value = serde_json::from_slice(&std::fs::read(mini.join(file))?)?;
        for (field, value) in changes.as_object().into_iter().flatten() {
            config[field] = value.clone();
        }
        // It was measured on the mini's latents.
        for measured in ["residual_std", "latents_mean", "latents_std"] {
            config.as_object_mut().map(|fields| fields.remove(measured));
        }
        write_whole(&out.join(file), &serde_json::to_vec_pretty(&config)?)?;
    }
    let device = Default::default();
    Flex::seed(&device, 1);
    let dir = ModelDir::new(out.display().to_string());
    let tiny = pollster::block_on(BundleConfig::read(&dir))?.init::<Flex>(&device)?;
    let file = |part| PathBuf::from(dir.weights_file(part));
    save_file(&file("vae"), &tiny.vae, Precision::F16)?;
    save_file(&file("preview"), &tiny.preview, Precision::F16)?;
    save_file(&file("entity_encoder"), &tiny.encoder, Precision::F16)?;
    save_file(&file("relation"), &tiny.denoiser.relation, Precision::F16)?;
    save_file(
        &file("controlnet"),
        &tiny.denoiser.controlnet,
        Precision::F16,
    )?;
    save_file(&file("unet"), &tiny.denoiser.unet, Precision::F16)?;
    Ok(())
}

/// The case `down_block` of tests/parity_unet.rs.
fn down_block(out: &Path) -> Result<(), Box<dyn Error>> {
    let block = DownBlockConfig {
        in_channels: 32,
        out_channels: 64,
        temb_channels: 16,
        num_layers: 2,
        attention: Some(AttentionSetup {
            heads: 2,
            cross_attention_dim: 12,
            layers: 1,
        }),
        add_downsample: true,
    }
    .init::<Flex>(&Default::default());
    let weights: Tensors = tensor_list(&block)
        .into_iter()
        .map(|(name, shape)| {
            let values = parameter(&name, &shape);
            (name, shape, values)
        })
        .collect();
    let inputs: Tensors = [
        ("x", vec![6, 32, 6, 4]),
        ("temb", vec![6, 16]),
        ("context", vec![2, 7, 12]),
    ]
    .into_iter()
    .map(|(name, shape)| {
        let values = uniform(&format!("unet.{name}"), shape.iter().product());
        let values = values.into_iter().map(|v| v as f32).collect();
        (name.to_owned(), shape, values)
    })
    .collect();
    let (values, shape) = golden_file("unet.safetensors")
        .read("down_block")
        .expect("the golden");
    let expected: Tensors = vec![("down_block".to_owned(), shape, values)];
    for (name, tensors) in [
        ("weights", weights),
        ("inputs", inputs),
        ("expected", expected),
    ] {
        let file = out.join(format!("down_block.{name}.safetensors"));
        std::fs::write(file, safetensors_file(&tensors))?;
    }
    Ok(())
}
