//! The shipped RIFE against PyTorch on the weights that it was made of (tests/goldens/make_rife.py).
#![cfg(not(target_family = "wasm"))]

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use dragentity_core::scene::Picture;
use dragentity_networks::rife::IFNet;
use dragentity_networks::weights::Weights;
use dragentity_testkit::{assert_golden, golden_file};

/// Sums of f32 in another order, and what they move pixels by where colours change. Seen: 3e-6 and, far, 2e-5.
const TOLERANCE: f32 = 2e-4;
/// Every so many rows and columns are in the goldens, from half of that on.
const STEP: usize = 4;

fn root(path: &str) -> String {
    format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))
}

/// Two views, side by side in a file.
fn views(name: &str) -> [Tensor<Flex, 4>; 2] {
    let file = format!("rife_{name}.png");
    let bytes = std::fs::read(root(&format!("tests/goldens/{file}"))).unwrap();
    let both = Picture::decode(&bytes, &file).unwrap();
    let (width, height) = (both.width as usize / 2, both.height as usize);
    let unit: Vec<f32> = both.rgb.iter().map(|&v| f32::from(v) / 255.0).collect();
    let data = TensorData::new(unit, [1, height, 2 * width, 3]);
    let both = Tensor::<Flex, 4>::from_data(data, &Default::default());
    let both = both.swap_dims(2, 3).swap_dims(1, 2);
    [0, width].map(|at| both.clone().narrow(3, at, width))
}

#[test]
fn frames_between_are_those_of_the_published_program() {
    let device = Default::default();
    let weights = std::fs::read(root("models/rife/model.safetensors")).unwrap();
    let weights = Weights::from_bytes("rife", weights).unwrap();
    let (network, _) = weights.load(IFNet::<Flex>::new(&device)).unwrap();
    let goldens = golden_file("rife.safetensors");
    // What is far is looked for in smaller pictures.
    for name in ["near", "far"] {
        let [first, second] = views(name);
        for time in [0.5, 0.25] {
            let made = network.forward(first.clone(), second.clone(), time);
            let made = pollster::block_on(made);
            let [_, _, height, width] = made.dims();
            let every = |count: usize| -> Vec<i32> {
                (STEP / 2..count)
                    .step_by(STEP)
                    .map(|at| at as i32)
                    .collect()
            };
            let rows = Tensor::from_ints(every(height).as_slice(), &device);
            let columns = Tensor::from_ints(every(width).as_slice(), &device);
            let made = made.select(2, rows).select(3, columns);
            assert_golden(&goldens, &format!("{name}.{time}"), made, TOLERANCE);
        }
    }
}
