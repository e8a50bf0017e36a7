//! Weights, their indices, and the configurations beside them.

use super::{choice, read};
use burn::backend::Flex;
use dragentity_core::Result;
use dragentity_core::scheduler::{EulerDiscreteConfig, SchedulerConfig};
use dragentity_core::stored_zip::StoredZip;
use dragentity_networks::clip::input::CLIPImageProcessor;
use dragentity_networks::clip::{CLIPTextConfig, CLIPVisionConfig};
use dragentity_networks::dragentity::bundle::ModelIndex;
use dragentity_networks::dragentity::entity_encoder::EntityEncoderConfig;
use dragentity_networks::dragentity::human_parser::HumanParserConfig;
use dragentity_networks::dragentity::plate_structure::PlateStructureConfig;
use dragentity_networks::dragentity::relation::RelationConfig;
use dragentity_networks::sd15::unet_2d::UNet2DConfig;
use dragentity_networks::svd::controlnet::ControlNetConfig;
use dragentity_networks::svd::unet::UNetConfig;
use dragentity_networks::svd::vae::AutoencoderKLTemporalDecoderConfig;
use dragentity_networks::weights::{Weights, parse_config, parse_index};
use serde::de::DeserializeOwned;

/// Opens a file of weights and reads all of its numbers.
fn open(name: &str, bytes: Vec<u8>) {
    let length = bytes.len();
    let Some(weights) = read(Weights::from_bytes(name, bytes)) else {
        return;
    };
    for (tensor, info) in weights.tensors() {
        // Two bytes for a number at least, but one where there are scales: no more comes out than went in.
        if let Some((values, shape)) = read(weights.read(tensor)) {
            assert_eq!(values.len(), shape.iter().product::<usize>());
            assert!(values.len() <= length && shape == info.shape);
        }
    }
}

pub(super) fn safetensors(bytes: &[u8]) {
    open("a.safetensors", bytes.to_vec());
}

/// A PyTorch file as a whole.
pub(super) fn checkpoint(bytes: &[u8]) {
    open("a.pth", bytes.to_vec());
}

/// The pickle of a PyTorch file that is sound apart from it.
pub(super) fn pickle(bytes: &[u8]) {
    let mut archive = StoredZip::default();
    let files = [
        ("a/data.pkl", bytes),
        ("a/data/0", &[0; 256]),
        ("a/data/1", &[1; 64]),
    ];
    if files
        .iter()
        .all(|(name, bytes)| archive.add(name, bytes).is_ok())
        && let Ok(archive) = archive.finish()
    {
        open("a.pth", archive);
    }
}

pub(super) fn index(bytes: &[u8]) {
    const NAME: &str = "a.safetensors.index.json";
    for (shard, tensors) in read(parse_index(NAME, bytes)).unwrap_or_default() {
        assert!(!shard.contains(['/', '\\']) && !shard.starts_with('.'));
        assert!(!tensors.is_empty());
    }
}

/// A configuration of the network that the first byte chooses.
pub(super) fn config(bytes: &[u8]) {
    let (which, bytes) = choice(bytes);
    let device = Default::default();
    let name = "config.json";
    match which % 13 {
        0 => built(bytes, |c: UNetConfig| c.init::<Flex>(&device)),
        1 => built(bytes, |c: ControlNetConfig| c.init::<Flex>(&device)),
        2 => built(bytes, |c: AutoencoderKLTemporalDecoderConfig| {
            c.init::<Flex>(&device)
        }),
        3 => built(bytes, |c: CLIPVisionConfig| c.init::<Flex>(&device)),
        4 => built(bytes, |c: CLIPTextConfig| c.init::<Flex>(&device)),
        5 => built(bytes, |c: UNet2DConfig| c.init::<Flex>(&device)),
        6 => built(bytes, |c: EntityEncoderConfig| c.validate(name)),
        7 => built(bytes, |c: RelationConfig| c.init::<Flex>(&device)),
        8 => built(bytes, |c: HumanParserConfig| c.init::<Flex>(&device)),
        9 => built(bytes, |c: PlateStructureConfig| c.init::<Flex>(&device)),
        10 => built(bytes, |c: CLIPImageProcessor| c.validate(name)),
        11 => built(bytes, |c: SchedulerConfig| {
            c.validate(name)?;
            c.schedule(None, 4)
        }),
        _ => {
            built(bytes, |c: EulerDiscreteConfig| c.training_sigma(name, 261));
            built(bytes, |c: ModelIndex| Ok(c));
        }
    }
}

/// What `init` makes of a configuration, which it has checked first.
fn built<C: DeserializeOwned, N>(bytes: &[u8], init: impl FnOnce(C) -> Result<N>) {
    if let Some(config) = read(parse_config("config.json", bytes)) {
        read(init(config));
    }
}
