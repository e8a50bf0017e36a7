//! A model small enough for tests of the program and of the page.

use burn::backend::Flex;
use burn::tensor::backend::Backend;
use dragentity_networks::dragentity::bundle::BundleConfig;
use dragentity_networks::sam::image_encoder::ViTConfig;
use dragentity_networks::sam::mask_decoder::MaskDecoderConfig;
use dragentity_networks::sam::{ImageEncoderConfig, SamConfig};
use dragentity_networks::weights::{ModelDir, Precision, save_file};
use serde_json::{Value, json};
use std::error::Error;
use std::path::{Path, PathBuf};

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
                "conditioning_embedding_out_channels": [16, 32], "feature_embedding_out_channels": [12, 32],
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

/// Writes a model directory like models/mini, with random weights and so few channels that a test can run it anywhere.
///
/// # Errors
/// When the shipped configurations cannot be read, or `out` cannot be written.
pub fn tiny_model(out: &Path) -> Result<(), Box<dyn Error>> {
    let mini = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mini");
    for (file, changes) in tiny_configs() {
        let mut config: Value = serde_json::from_slice(&std::fs::read(mini.join(file))?)?;
        for (field, value) in changes.as_object().into_iter().flatten() {
            config[field] = value.clone();
        }
        // It was measured on the mini's latents.
        for measured in ["residual_std", "latents_mean", "latents_std"] {
            config.as_object_mut().map(|fields| fields.remove(measured));
        }
        let file = out.join(file);
        file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(file, serde_json::to_vec_pretty(&config)?)?;
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

/// Writes a SAM with random weights, whose picture has 64 x 64 pixels.
///
/// # Errors
/// When `file` cannot be written.
pub fn tiny_sam(file: &Path) -> Result<(), Box<dyn Error>> {
    let device = Default::default();
    Flex::seed(&device, 2);
    let vit = ViTConfig {
        img_size: 64,
        patch_size: 16,
        embed_dim: 16,
        num_heads: 2,
        mlp_dim: 16,
        windows: vec![2, 4],
        out_chans: 16,
    };
    let config = SamConfig {
        image_encoder: ImageEncoderConfig::Vit(vit.clone()),
        mask_in_chans: 4,
        mask_decoder: MaskDecoderConfig {
            transformer_dim: 16,
            mlp_dim: 16,
            iou_head_hidden_dim: 8,
            ..MaskDecoderConfig::default()
        },
    };
    let networks = config.networks::<Flex, _>(vit.init(&device)?, &device)?;
    Ok(save_file(file, &networks, Precision::F32)?)
}
