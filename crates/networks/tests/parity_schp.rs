//! The network of Self-Correction for Human Parsing against PyTorch, on synthetic weights (tests/goldens/make_schp.py).
#![cfg(not(target_family = "wasm"))]

use burn::backend::Flex;
use dragentity_networks::schp::{Schp, SchpConfig, tensor_name};
use dragentity_networks::weights::{Weights, tensor_list};
use dragentity_testkit::{assert_golden, golden_file, parameter, picture, safetensors_file};
use std::collections::BTreeMap;

/// Some twenty convolutions and norms in `f32`, in another order than PyTorch's.
const TOLERANCE: f32 = 1e-4;
const NAMES: &str = include_str!("../../../tests/goldens/schp_tensors.json");

/// Names and shapes of the public checkpoint's tensors, or of a small network's.
fn names(of: &str) -> BTreeMap<String, Vec<usize>> {
    let names: BTreeMap<String, BTreeMap<String, Vec<usize>>> =
        serde_json::from_str(NAMES).unwrap();
    names[of].clone()
}

fn small() -> SchpConfig {
    SchpConfig {
        stem: [8, 12],
        planes: [4, 6, 8, 10],
        layers: [1, 2, 2, 2],
        context: 16,
        head: 12,
        low: 8,
    }
}

#[test]
fn every_tensor_of_the_public_checkpoint_has_its_place() {
    let expected: BTreeMap<String, Vec<usize>> = names("published")
        .into_iter()
        .filter_map(|(name, shape)| Some((tensor_name(&format!("module.{name}"))?, shape)))
        .collect();
    let network = SchpConfig::default()
        .init::<Flex>(&Default::default())
        .unwrap();
    assert_eq!(tensor_list(&network), expected);
}

#[test]
fn labels_are_pytorchs() {
    let device = Default::default();
    // As the public file names them.
    let tensors: Vec<_> = names("small")
        .into_iter()
        .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
        .map(|(name, shape)| {
            let values = parameter(&name, &shape);
            (format!("module.{name}"), shape, values)
        })
        .collect();
    let weights = Weights::from_bytes("synthetic", safetensors_file(&tensors)).unwrap();
    let network: Schp<Flex> = weights
        .renamed(tensor_name)
        .load(small().init(&device).unwrap())
        .unwrap()
        .0;
    let goldens = golden_file("schp.safetensors");
    let x = picture::<Flex, 4>("schp", [1, 3, 53, 69], &device);
    assert_golden(&goldens, "logits", network.forward(x.clone()), TOLERANCE);
    let labels = network.labels(x);
    assert_eq!(labels.dims(), [1, 20, 53, 69]);
    let corner = labels.narrow(2, 0, 9).narrow(3, 0, 9);
    assert_golden(&goldens, "corner", corner, TOLERANCE);
}

#[test]
fn other_files_are_refused_with_what_to_do() {
    let load = |place: &str| {
        let loaded = pollster::block_on(SchpConfig::load::<Flex>(place, &Default::default()));
        loaded.map(drop).unwrap_err().to_string()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.safetensors");
    for (name, shape, part) in [
        ("module.fushion.3.weight", vec![18, 4, 1, 1], "other labels"),
        ("conv1.weight", vec![4, 3, 3, 3], "not SCHP's"),
    ] {
        let values = vec![0.5; shape.iter().product()];
        let file = safetensors_file(&[(name.into(), shape, values)]);
        std::fs::write(&path, file).unwrap();
        let said = load(&path.display().to_string());
        assert!(said.contains(part) && said.contains("lip.pth"), "{said}");
    }
}
