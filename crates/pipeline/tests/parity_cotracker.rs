//! CoTracker3 against PyTorch, on synthetic weights (tests/goldens/make_cotracker.py).
#![cfg(not(target_family = "wasm"))]

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::Video;
use dragentity_core::scene::Mask;
use dragentity_networks::cotracker::{CoTracker, CoTrackerConfig, Window};
use dragentity_networks::device::Device;
use dragentity_networks::weights::{Weights, tensor_list};
use dragentity_pipeline::cotracker::{follow, track};
use dragentity_testkit::{assert_golden, golden_file, parameter, picture, safetensors_file};
use std::collections::BTreeMap;

/// Features: twenty convolutions and norms in `f32`, in another order than PyTorch's. Seen on flex: 3e-6 at most.
const FEATURES: f32 = 1e-4;
/// Places after a few corrections, each of which looks where the last one said. Seen on flex: 1e-5 at most.
const TRACKS: f32 = 1e-3;

const GOLDENS: &str = "cotracker.safetensors";
const QUERIES: [[f32; 2]; 3] = [[10.0, 12.0], [30.5, 20.25], [46.0, 3.0]];

fn small() -> CoTrackerConfig {
    CoTrackerConfig {
        window_len: 4,
        corr_radius: 1,
        latent_dim: 16,
        corr_mlp: [24, 8],
        hidden_size: 96,
        depth: 2,
        num_virtual_tracks: 4,
        model_resolution: [32, 48],
    }
}

/// The small network as a file, as a user would bring it.
fn file() -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let wanted = tensor_list(&small().init::<Flex>(&Default::default()).unwrap());
    let mut tensors: Vec<_> = wanted
        .into_iter()
        .map(|(name, shape)| {
            let mut values = parameter(&name, &shape);
            // Small corrections: see the generator.
            if name.contains("flow_head") {
                for v in &mut values {
                    *v *= 0.1;
                }
            }
            (name, shape, values)
        })
        .collect();
    tensors.push(("time_emb".into(), vec![1, 4, 118], vec![0.0; 472]));
    tensors
}

fn network<B: Backend>(device: &B::Device) -> CoTracker<B> {
    let weights = Weights::from_bytes("synthetic", safetensors_file(&file())).unwrap();
    let weights = weights.renamed(|name| (name != "time_emb").then(|| name.to_owned()));
    weights.load(small().init(device).unwrap()).unwrap().0
}

fn one_window<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    let config = small();
    let network = network::<B>(device);
    let frames = picture::<B, 4>("cotracker.frames", [7, 3, 32, 48], device);
    let levels = network.features(frames.narrow(0, 0, 4));
    assert_golden(&goldens, "features", levels[0].clone(), FEATURES);
    assert_golden(&goldens, "features_3", levels[3].clone(), FEATURES);
    let support = network.support(&config, &levels, &QUERIES);
    let [_, n, cells, c] = support[1].dims();
    let flat: Tensor<B, 3> = support[1].clone().reshape([n, cells, c]);
    assert_golden(&goldens, "support", flat, FEATURES);
    let start = Window::start(&QUERIES, 4, device);
    let window = network.correct(&config, &levels, &support, start, 1);
    assert_golden(&goldens, "coords", window.coords, TRACKS);
    assert_golden(&goldens, "vis", window.vis, TRACKS);
    assert_golden(&goldens, "conf", window.conf, TRACKS);
}

/// Seven frames in windows of four: three windows, of which the last lacks a frame.
fn windows_in_turn<B: Backend>(device: &B::Device) {
    let goldens = golden_file(GOLDENS);
    let config = small();
    let network = network::<B>(device);
    let frames = picture::<B, 4>("cotracker.frames", [7, 3, 32, 48], device);
    let mut frame = |index| Ok(frames.clone().narrow(0, index, 1));
    let points = follow(&network, &config, 7, &QUERIES, 2, device, &mut frame).unwrap();
    let places: Vec<f32> = points.places.iter().flatten().flatten().copied().collect();
    let places = Tensor::<B, 3>::from_data(TensorData::new(places, [7, 3, 2]), device);
    assert_golden(&goldens, "tracks", places, TRACKS);
    let (visibility, _) = goldens.read("visibility").unwrap();
    let (confidence, _) = goldens.read("confidence").unwrap();
    let seen = points.seen.iter().flatten();
    for (seen, (a, b)) in seen.zip(visibility.iter().zip(&confidence)) {
        assert!((seen - a * b).abs() < TRACKS, "{seen} for {}", a * b);
    }
}

dragentity_testkit::on_each_backend!(one_window, windows_in_turn);

#[test]
fn names_and_shapes_are_those_of_the_public_checkpoint() {
    let json = include_str!("../../../tests/goldens/cotracker_tensors.json");
    let mut published: BTreeMap<String, Vec<usize>> =
        serde_json::from_str::<Vec<(String, Vec<usize>)>>(json)
            .unwrap()
            .into_iter()
            .collect();
    // A table, which is computed.
    assert_eq!(published.remove("time_emb"), Some(vec![1, 16, 1110]));
    let ours = tensor_list(
        &CoTrackerConfig::default()
            .init::<Flex>(&Default::default())
            .unwrap(),
    );
    assert_eq!(ours, published);
}

#[test]
fn sizes_are_read_off_the_file_and_other_files_are_refused() {
    let weights =
        |tensors: &[_]| Weights::from_bytes("my.safetensors", safetensors_file(tensors)).unwrap();
    let mut tensors = file();
    let config = CoTrackerConfig::of(&weights(&tensors)).unwrap();
    let resolution = CoTrackerConfig::default().model_resolution;
    assert_eq!(
        config,
        CoTrackerConfig {
            model_resolution: resolution,
            ..small()
        }
    );
    tensors.retain(|(name, ..)| name != "corr_mlp.fc1.weight");
    let error = CoTrackerConfig::of(&weights(&tensors))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("my.safetensors") && error.contains("scaled_online.pth"),
        "{error}"
    );
    let mut odd = file();
    odd.iter_mut()
        .find(|t| t.0 == "corr_mlp.fc1.weight")
        .unwrap()
        .1 = vec![24, 3, 27];
    assert!(
        CoTrackerConfig::of(&weights(&odd))
            .unwrap_err()
            .to_string()
            .contains("no CoTracker3")
    );
}

#[test]
fn a_video_is_tracked_with_a_file_of_weights() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small.safetensors");
    std::fs::write(&path, safetensors_file(&file())).unwrap();
    let video = Video {
        width: 40,
        height: 30,
        fps: 8,
        frames: vec![vec![100; 40 * 30 * 3]; 5],
    };
    let mut mask = Mask::empty(40, 30);
    mask.brush([0.5, 0.5], [0.5, 0.5], 0.15, true);
    let device: Device = "cpu".parse().unwrap();
    let entities = [("cup".to_owned(), mask)];
    let found = track(
        path.to_str().unwrap(),
        device,
        &video,
        &entities,
        &mut |_| {},
    )
    .unwrap();
    assert_eq!((found.frames, found.entities.len()), (5, 1));
    let cup = &found.entities[0];
    assert_eq!((cup.points.len(), cup.visible.len()), (5, 5));
    assert!((cup.points[0][0] - 20.0).abs() < 1.0 && (cup.points[0][1] - 15.0).abs() < 1.0);
    assert!(cup.points.iter().flatten().all(|v| v.is_finite()));
}
