//! The networks and the distance of FID and FVD against PyTorch's and SciPy's (tests/goldens/make_metrics.py), at their
//! published sizes.

use burn::backend::Flex;
use burn::module::Module;
use burn::tensor::Tensor;
use dragentity_lab::eval::extractor::i3d::InceptionI3d;
use dragentity_lab::eval::extractor::inception::InceptionV3;
use dragentity_lab::eval::extractor::with_room;
use dragentity_lab::eval::frechet::frechet_distance;
use dragentity_networks::weights::tensor_list;
use dragentity_testkit::{fill_as, picture, uniform};
use safetensors::SafeTensors;
use std::collections::BTreeMap;

const GOLDENS: &[u8] = include_bytes!("../../../tests/goldens/metrics.safetensors");
const NAMES: &str = include_str!("../../../tests/goldens/metrics_tensors.json");

fn golden(name: &str) -> Vec<u8> {
    let file = SafeTensors::deserialize(GOLDENS).unwrap();
    file.tensor(name).unwrap().data().to_vec()
}

fn floats(name: &str) -> Vec<f32> {
    let bytes = golden(name);
    let (chunks, _) = bytes.as_chunks::<4>();
    chunks.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// Every tensor of the public file that `kept` keeps has its place, and no place is left over.
fn has_the_tensors_of(key: &str, module: &impl Module<Flex>, kept: fn(&str) -> Option<String>) {
    let names: BTreeMap<String, BTreeMap<String, Vec<usize>>> =
        serde_json::from_str(NAMES).unwrap();
    let published: BTreeMap<String, Vec<usize>> = names[key]
        .iter()
        .filter_map(|(name, shape)| Some((kept(name)?, shape.clone())))
        .collect();
    assert_eq!(tensor_list(module), published);
}

/// Sums of thousands of products in another order, through some twenty layers: 1e-6 was seen.
fn agree(got: Tensor<Flex, 2>, want: &[f32]) {
    let got: Vec<f32> = got.into_data().to_vec().unwrap();
    assert_eq!(got.len(), want.len());
    let size = want.iter().map(|v| v * v).sum::<f32>() / want.len() as f32;
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (got - want).abs() < 2e-5 * size.sqrt().max(want.abs()),
            "feature {i}: {got}, not {want}"
        );
    }
}

#[test]
fn inception() {
    let device = Default::default();
    let network = with_room(|| {
        let network = InceptionV3::<Flex>::new(&device);
        has_the_tensors_of("inception", &network, InceptionV3::<Flex>::tensor);
        Box::new(fill_as("inception.", network))
    });
    let pictures = picture("inception", [2, 3, 80, 120], &device);
    agree(network.forward(pictures), &floats("inception"));
}

#[test]
fn i3d() {
    let device = Default::default();
    let network = with_room(|| {
        let network = InceptionI3d::<Flex>::new(&device);
        has_the_tensors_of("i3d", &network, InceptionI3d::<Flex>::tensor);
        Box::new(fill_as("i3d.", network))
    });
    let video = picture("i3d", [1, 3, 17, 90, 70], &device);
    agree(network.forward(video), &floats("i3d"));
}

#[test]
fn frechet_distances_are_scipys() {
    let bytes = golden("frechet");
    let want: Vec<f64> = bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|b| f64::from_le_bytes(*b))
        .collect();
    let set = |name: &str, n: usize, f: fn(f64) -> f64| -> Vec<Vec<f32>> {
        uniform(name, n * 12)
            .chunks(12)
            .map(|row| row.iter().map(|&v| f(v) as f32).collect())
            .collect()
    };
    let got = [
        frechet_distance(&set("a", 100, |v| v), &set("b", 60, |v| 0.5 + 2.0 * v)).unwrap(),
        frechet_distance(&set("c", 40, |v| v.powi(3)), &set("d", 50, |v| v)).unwrap(),
    ];
    for (got, want) in got.iter().zip(want) {
        // Features are of single precision here.
        assert!((got - want).abs() < 1e-5 * want, "{got}, not {want}");
    }
}
