//! A model small enough for tests of the program and of the page.

use burn::backend::Flex;
use burn::tensor::backend::Backend;
use dragentity_networks::dragentity::bundle::BundleConfig;
use dragentity_networks::dragentity::entity_encoder;
use dragentity_networks::sam::image_encoder::ViTConfig;
use dragentity_networks::sam::mask_decoder::MaskDecoderConfig;
use dragentity_networks::sam::tiny_vit::TinyViTConfig;
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
            json!({"name": "tiny", "sample_side": 32}),
        ),
        ("scheduler/scheduler_config.json", json!({})),
        ("vae/config.json", json!({"block_out_channels": [8, 8, 16]})),
        (
            "unet/config.json",
            json!({
                "block_out_channels": blocks, "num_attention_heads": [1, 1, 2], "cross_attention_dim": 32,
                "addition_time_embed_dim": 16, "projection_class_embeddings_input_dim": 48,
            }),
        ),
        (
            "controlnet/config.json",
            json!({
                "block_out_channels": blocks, "num_attention_heads": [1, 1, 2], "cross_attention_dim": 32,
                "addition_time_embed_dim": 16, "projection_class_embeddings_input_dim": 48,
                "conditioning_embedding_out_channels": [16, 32], "feature_embedding_out_channels": [12, 32],
            }),
        ),
        ("entity_encoder/config.json", json!({"feature_dim": 16})),
        (
            "relation/config.json",
            json!({"dim": 16, "dim_out": 12, "kernels": 8}),
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
        // The entity encoder's weights are its own.
        for field in ["residual_std", "latents_mean", "latents_std", "weights"] {
            config.as_object_mut().map(|fields| fields.remove(field));
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
    tiny_mobile_sam(&file(entity_encoder::PART))?;
    let denoiser = &tiny.denoiser;
    save_file(&file("relation"), &denoiser.relation, Precision::F16)?;
    save_file(&file("controlnet"), &denoiser.controlnet, Precision::F16)?;
    save_file(&file("unet"), &denoiser.unet, Precision::F16)?;
    Ok(())
}

/// Writes a MobileSAM with random weights.
fn tiny_mobile_sam(file: &Path) -> Result<(), Box<dyn Error>> {
    let device = Default::default();
    let tiny = TinyViTConfig {
        img_size: 64,
        embed_dims: [8; 4],
        depths: [1; 4],
        conv_dim: 8,
        num_heads: [1, 2, 2],
        window_sizes: [3, 4, 3],
        mlp_dims: [8; 3],
        out_chans: 16,
    };
    let config = tiny_decoder(ImageEncoderConfig::Tiny(tiny.clone()));
    let networks = config.networks::<Flex, _>(tiny.init(&device)?, &device)?;
    Ok(save_file(file, &networks, Precision::F16)?)
}

/// A SAM's sizes around an image encoder of 16 channels.
fn tiny_decoder(image_encoder: ImageEncoderConfig) -> SamConfig {
    SamConfig {
        image_encoder,
        mask_in_chans: 4,
        mask_decoder: MaskDecoderConfig {
            transformer_dim: 16,
            mlp_dim: 16,
            iou_head_hidden_dim: 8,
            ..MaskDecoderConfig::default()
        },
    }
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
    let config = tiny_decoder(ImageEncoderConfig::Vit(vit.clone()));
    let networks = config.networks::<Flex, _>(vit.init(&device)?, &device)?;
    Ok(save_file(file, &networks, Precision::F32)?)
}
