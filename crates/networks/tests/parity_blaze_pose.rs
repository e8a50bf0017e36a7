//! The shipped BlazePose against TensorFlow Lite's interpreter on the graph that it was made of
//! (tests/goldens/make_blaze_pose.py).
#![cfg(not(target_family = "wasm"))]

use burn::backend::Flex;
use burn::tensor::{Int, Tensor, TensorData};
use dragentity_core::scene::Picture;
use dragentity_networks::blaze_pose::{BlazePose, SIDE};
use dragentity_networks::weights::Weights;
use dragentity_testkit::{assert_golden, golden_file};

/// The weights are the same numbers in both: sums in another order are all that differs. Of the places' largest number it is less
/// than a twentieth of a pixel.
const BOUND: f32 = 1e-4;
/// Masks pass through 30 layers more, and their logits are large: 1e-3 is 1.6 where 1,600 mean outside and 250 inside.
const MASK_BOUND: f32 = 1e-3;
/// Every so many rows and columns of mask and heat maps are in the goldens, from half of that on.
const MASK_STEP: usize = 4;
const HEAT_STEP: usize = 8;

/// A file of the repository.
fn file(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn network() -> BlazePose<Flex> {
    let weights = file("models/blaze_pose/model.safetensors");
    let weights = Weights::from_bytes("blaze_pose", weights).unwrap();
    pollster::block_on(BlazePose::load(&weights, &Default::default())).unwrap()
}

/// A picture of the goldens in the corner of a black square.
fn square(name: &str) -> Tensor<Flex, 4> {
    let png = file(&format!("tests/goldens/mobile_sam_{name}.png"));
    let picture = Picture::decode(&png, name).unwrap();
    let mut planes = vec![0.0; 3 * SIDE * SIDE];
    for (at, rgb) in picture.rgb.chunks_exact(3).enumerate() {
        let (x, y) = (at % picture.width as usize, at / picture.width as usize);
        for (channel, value) in rgb.iter().enumerate() {
            planes[(channel * SIDE + y) * SIDE + x] = f32::from(*value) / 255.0;
        }
    }
    Tensor::from_data(
        TensorData::new(planes, [1, 3, SIDE, SIDE]),
        &Default::default(),
    )
}

/// The rows and columns that the goldens have.
fn kept(x: Tensor<Flex, 4>, step: usize) -> Tensor<Flex, 4> {
    let side = x.dims()[2] as i64;
    let at =
        Tensor::<Flex, 1, Int>::arange_step((step / 2) as i64..side, step, &Default::default());
    x.select(2, at.clone()).select(3, at)
}

#[test]
fn the_same_pixels_give_the_same_places_and_masks() {
    let network = network();
    let goldens = golden_file("blaze_pose.safetensors");
    let person = square("astronaut");
    // A quarter to the right.
    let lying = person.clone().swap_dims(2, 3).flip([3]);
    for (name, crop) in [("person", person), ("lying", lying), ("cat", square("cat"))] {
        let found = network.forward(crop);
        for (what, found, bound) in [
            ("places", found.places, BOUND),
            ("flag", found.flag, BOUND),
            ("mask", kept(found.mask, MASK_STEP), MASK_BOUND),
            ("heat", kept(found.heat, HEAT_STEP), BOUND),
        ] {
            assert_golden(&goldens, &format!("{name}.{what}"), found, bound);
        }
    }
}
