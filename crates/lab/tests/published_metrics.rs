//! LPIPS and I3D with their published weights, against what the packages that carry them say with their own code
//! (tests/goldens/make_published_metrics.py).

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use dragentity_lab::eval::extractor::{i3d, published};
use dragentity_lab::eval::lpips::{Lpips, WEIGHTS};
use dragentity_pipeline::transfer::pictures;
use dragentity_testkit::uniform;
use i3d::InceptionI3d;
use std::path::{Path, PathBuf};

/// Of the repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What the packages say.
fn golden(name: &str) -> serde_json::Value {
    let text = include_str!("../../../tests/goldens/published_metrics.json");
    let values: serde_json::Value = serde_json::from_str(text).unwrap();
    values[name].clone()
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

/// A window of a picture, `[height, width, 3]` in -1..1.
fn crop(name: &str, [x, y]: [usize; 2], [width, height]: [usize; 2]) -> Vec<f32> {
    let path = root().join(format!("tests/goldens/mobile_sam_{name}.png"));
    let picture = image::open(path).unwrap().into_rgb8();
    let window =
        image::imageops::crop_imm(&picture, x as u32, y as u32, width as u32, height as u32);
    let bytes = window.to_image().into_raw();
    bytes
        .into_iter()
        .map(|b| f32::from(b) / 127.5 - 1.0)
        .collect()
}

#[test]
#[ignore = "needs what scripts/fetch-metrics brings; ./test brings it and runs this"]
fn lpips_is_the_published_one() {
    let device = Default::default();
    let network = Lpips::<Flex>::open(&root().join(WEIGHTS), &device).unwrap();
    let size = [96, 80];
    let cat = crop("cat", [30, 20], size);
    let noise = uniform("lpips", cat.len());
    let noisy = cat
        .iter()
        .zip(noise)
        .map(|(v, n)| v + 0.1 * n as f32)
        .collect();
    let first = [cat.clone(), crop("astronaut", [20, 10], size), cat];
    let second = [
        noisy,
        crop("astronaut", [23, 12], size),
        crop("coffee", [30, 20], size),
    ];
    let [first, second] = [first, second].map(|all| {
        network
            .look(pictures(&all, size[0], size[1], &device))
            .unwrap()
    });
    let got: Vec<f32> = network
        .distance(&first, &second)
        .into_data()
        .to_vec()
        .unwrap();
    let want = numbers(&golden("lpips"));
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        // Sums of thousands of f32 in another order.
        assert!(
            (f64::from(*got) - want).abs() < 1e-4 * want,
            "{got}, not {want}"
        );
    }
    let same: Vec<f32> = network
        .distance(&first, &first)
        .into_data()
        .to_vec()
        .unwrap();
    assert_eq!(same, [0.0; 3]);
}

#[test]
#[ignore = "needs the 51 MB that scripts/fetch-metrics --i3d brings"]
fn i3d_is_the_published_one() {
    let device = Default::default();
    let path = root().join(i3d::WEIGHTS);
    let network = published(Some(&path), InceptionI3d::<Flex>::tensor, || {
        InceptionI3d::new(&device)
    });
    let network = network.unwrap().unwrap();
    let (side, frames) = (224, 16);
    let noise: Vec<f32> = uniform("i3d-published", frames * side * side * 3)
        .into_iter()
        .map(|v| v as f32)
        .collect();
    let mut moving = Vec::with_capacity(noise.len());
    for t in 0..frames {
        let window = crop("astronaut", [t, t / 2], [side / 2; 2]);
        for at in 0..side * side {
            let pixel = (at / side / 2) * (side / 2) + (at % side) / 2;
            moving.extend_from_slice(&window[3 * pixel..3 * pixel + 3]);
        }
    }
    let want = golden("i3d");
    for (video, want) in [noise, moving].into_iter().zip(want.as_array().unwrap()) {
        let data = TensorData::new(video, [1, frames, side, side, 3]);
        let video: Tensor<Flex, 5> = Tensor::from_data(data, &device);
        let got: Vec<f32> = network
            .forward(video.permute([0, 4, 1, 2, 3]))
            .into_data()
            .to_vec()
            .unwrap();
        let want = numbers(want);
        // Logits deviate by two; some twenty layers of f32 sums in another order.
        for (got, want) in got.iter().zip(&want) {
            assert!((f64::from(*got) - want).abs() < 1e-3, "{got}, not {want}");
        }
        assert_eq!(got.len(), want.len());
    }
}
