//! Stable Video Diffusion's image conditioning against transformers and diffusers, on synthetic weights
//! (tests/goldens/make_svd.py).

mod common;

use burn::backend::Flex;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use common::{assert_golden, fill, golden_file, parameter, picture, safetensors_file, uniform};
use dragentity::model::clip::CLIPVisionConfig;
use dragentity::model::clip_input::CLIPImageProcessor;
use dragentity::weights::{Weights, tensor_list};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// A few layers of f32 sums (unit 6e-8), in another order than PyTorch's.
const TOLERANCE: f32 = 2e-5;

const GOLDENS: &str = "svd.safetensors";

/// A configuration as diffusers or transformers wrote it.
fn config<T: DeserializeOwned>(name: &str) -> T {
    let mut all: serde_json::Value =
        serde_json::from_str(include_str!("goldens/svd_configs.json")).unwrap();
    serde_json::from_value(all[name].take()).unwrap()
}

fn image_encoder<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    for name in ["clip", "clip.quick"] {
        let config: CLIPVisionConfig = config(name);
        config.validate(name).unwrap();
        let side = config.image_size;
        let pictures = picture(&format!("{name}.pictures"), [2, 3, side, side], device);
        let embeds = fill(config.init::<B>(device)).forward(pictures);
        assert_golden(&goldens, name, embeds, TOLERANCE);
    }
}

on_each_backend!(image_encoder);

#[test]
fn feature_extractor() {
    let goldens = golden_file(GOLDENS);
    let device = Default::default();
    for (width, height) in [(96, 64), (500, 300)] {
        let name = format!("features.{width}");
        let input: Vec<f32> = uniform(&name, width * height * 3)
            .into_iter()
            .map(|v| v as f32)
            .collect();
        let planes = CLIPImageProcessor::default().prepare(&input, width, height, 224);
        let planes: Tensor<Flex, 3> =
            Tensor::from_data(TensorData::new(planes, [3, 224, 224]), &device);
        let border: Tensor<Flex, 2> = planes.clone().narrow(1, 223, 1).squeeze_dim(1);
        let ninth = Tensor::arange_step(0..224, 9, &device);
        let sparse = planes.select(1, ninth.clone()).select(2, ninth);
        assert_golden(&goldens, &name, sparse, TOLERANCE);
        assert_golden(&goldens, &format!("{name}.border"), border, TOLERANCE);
    }
}

#[test]
fn published_image_encoder_has_transformers_tensors() {
    let json = include_str!("goldens/svd_image_encoder_tensors.json");
    let expected: Vec<(String, Vec<usize>)> = serde_json::from_str(json).unwrap();
    let expected: BTreeMap<_, _> = expected.into_iter().collect();
    assert_eq!(expected.len(), 520);
    // Nothing is allocated: parameters are drawn when they are first used.
    let encoder = CLIPVisionConfig::default().init::<Flex>(&Default::default());
    assert_eq!(tensor_list(&encoder), expected);
}

#[test]
fn position_ids_of_older_files_are_not_needed() {
    let encoder = config::<CLIPVisionConfig>("clip").init::<Flex>(&Default::default());
    let tensors: Vec<_> = tensor_list(&encoder)
        .into_iter()
        .map(|(name, shape)| {
            let values = parameter(&name, &shape);
            (name, shape, values)
        })
        .collect();
    let file = safetensors_file(&tensors);
    let mut views = safetensors::SafeTensors::deserialize(&file)
        .unwrap()
        .tensors();
    let ids: Vec<u8> = (0..50i64).flat_map(i64::to_le_bytes).collect();
    let name = "vision_model.embeddings.position_ids";
    views.push((
        name.into(),
        TensorView::new(Dtype::I64, vec![1, 50], &ids).unwrap(),
    ));
    let file = safetensors::serialize(views, None).unwrap();
    let (_, report) = Weights::from_bytes("model.safetensors", file)
        .unwrap()
        .load(encoder)
        .unwrap();
    assert_eq!(report.loaded, tensors.len());
}
