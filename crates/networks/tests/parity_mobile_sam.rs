//! The shipped MobileSAM against onnxruntime on the weights that it was made of (tests/goldens/make_mobile_sam.py).
#![cfg(not(target_family = "wasm"))]

use burn::backend::Flex;
use burn::tensor::{Int, Tensor};
use dragentity_core::scene::Picture;
use dragentity_networks::sam::{Framing, Prediction, Prompt, Sam, SamConfig};
use dragentity_networks::weights::Weights;
use dragentity_testkit::{assert_golden, golden_file};

/// Bounds for what is made of the same pixels. In onnxruntime, rounding the weights to 16 bits moves embeddings by 7e-4 of their
/// largest number at most, masks by 9.3e-4, scores by 2.9e-4 (the generator prints it); the goldens' own 16 bits add up to 5e-4
/// to embeddings and masks, and sums in another order 1e-5.
const SAME: Bounds = Bounds {
    embedding: 2e-3,
    masks: 2e-3,
    scores: 5e-4,
};
/// For what is made of a JPEG file: decoded and resized by other programs, a quarter to a third of its numbers differ, by 4 of
/// 255 at most. Seen: embeddings 2.6e-2 away, masks 4.8e-2, scores 1.2e-2.
const OPENED: Bounds = Bounds {
    embedding: 5e-2,
    masks: 8e-2,
    scores: 2e-2,
};

/// How far all may be away, in parts of the largest number.
struct Bounds {
    embedding: f32,
    masks: f32,
    scores: f32,
}

const GOLDENS: &str = "mobile_sam.safetensors";
/// Every so many rows and columns of an embedding and of masks are in the goldens, from half of that on.
const STEP: usize = 8;
/// Pixels of the network's square to one of a small picture, each way.
const BLOCK: u32 = 4;

/// What is clicked in a picture, as `PROMPTS` in the generator has it.
struct Clicked {
    name: &'static str,
    first: [f32; 2],
    second: [f32; 2],
    bounds: [f32; 4],
}

const PICTURES: [Clicked; 3] = [
    Clicked {
        name: "cat",
        first: [0.45, 0.35],
        second: [0.92, 0.6],
        bounds: [0.05, 0.02, 0.82, 0.98],
    },
    Clicked {
        name: "astronaut",
        first: [0.45, 0.2],
        second: [0.82, 0.33],
        bounds: [0.03, 0.02, 0.72, 0.99],
    },
    Clicked {
        name: "coffee",
        first: [0.5, 0.3],
        second: [0.61, 0.66],
        bounds: [0.12, 0.1, 0.8, 0.95],
    },
];

/// A file of the repository.
fn file(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The rows and columns that the goldens have.
fn kept(x: Tensor<Flex, 4>) -> Tensor<Flex, 4> {
    let side = x.dims()[2];
    let at = Tensor::<Flex, 1, Int>::arange_step(
        (STEP / 2) as i64..side as i64,
        STEP,
        &Default::default(),
    );
    x.select(2, at.clone()).select(3, at)
}

fn mobile_sam() -> Sam<Flex> {
    let weights = file("models/mobile_sam/model.safetensors");
    let weights = Weights::from_bytes("mobile_sam", weights).unwrap();
    let config = SamConfig::of(&weights).unwrap();
    assert_eq!(config, SamConfig::mobile());
    let mut hear = |_, _| {};
    let device = Default::default();
    let sam = Sam::load(&weights, config, &device, &mut hear);
    pollster::block_on(sam).unwrap()
}

/// A small picture of the goldens, each pixel as a block.
fn blocks(name: &str) -> Picture {
    let png = file(&format!("tests/goldens/mobile_sam_{name}.png"));
    let small = Picture::decode(&png, name).unwrap();
    let (width, height) = (BLOCK * small.width, BLOCK * small.height);
    let rgb = (0..height * width).flat_map(|at| {
        let (x, y) = (at % width / BLOCK, at / width / BLOCK);
        let from = 3 * (y * small.width + x) as usize;
        small.rgb[from..from + 3].to_vec()
    });
    Picture::from_rgb(width, height, rgb.collect()).unwrap()
}

fn opened(name: &str) -> Picture {
    Picture::decode(&file(&format!("www/samples/{name}.jpg")), name).unwrap()
}

/// Compares what is made of a picture with the goldens `name`.
fn compare(sam: &Sam<Flex>, name: &str, picture: &Picture, clicked: &Clicked, bounds: &Bounds) {
    let device = Default::default();
    let goldens = golden_file(GOLDENS);
    let framing = Framing::new(picture.width, picture.height, sam.config.img_size());
    let embedding = sam.encoding(framing.input(picture, &device)).finish();
    let golden = format!("{name}.embedding");
    assert_golden(&goldens, &golden, kept(embedding.clone()), bounds.embedding);

    let agree = |kind: &str, found: Prediction<Flex>| {
        let [masks, scores] = ["masks", "scores"].map(|what| format!("{name}.{kind}.{what}"));
        assert_golden(&goldens, &masks, kept(found.masks), bounds.masks);
        assert_golden(&goldens, &scores, found.scores, bounds.scores);
    };
    let predict =
        |prompt: &Prompt, previous| sam.predict(&sam.look(embedding.clone(), previous), prompt);
    let inside = |at: [f32; 2]| (framing.place(at), true);
    let clicks = |points| Prompt {
        points,
        bounds: None,
    };
    let four = |at: [f32; 2]| predict(&clicks(vec![inside(at)]), None);
    let first = four(clicked.first);
    let scores: Vec<f32> = first.scores.clone().into_data().to_vec().unwrap();
    let best = (1..4).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let best = first.masks.clone().narrow(1, best.unwrap(), 1);
    agree("first", first);
    agree("second", four(clicked.second));
    let both = vec![
        inside(clicked.first),
        (framing.place(clicked.second), false),
    ];
    agree("refined", predict(&clicks(both), Some(best)).unambiguous());
    let [left, top, right, bottom] = clicked.bounds;
    let corners = [framing.place([left, top]), framing.place([right, bottom])];
    let boxed = Prompt {
        points: vec![inside(clicked.first)],
        bounds: Some(corners.concat().try_into().unwrap()),
    };
    agree("box", predict(&boxed, None).unambiguous());
}

#[test]
fn the_same_pixels_give_the_same_masks() {
    let sam = mobile_sam();
    for clicked in &PICTURES {
        let name = format!("{}.small", clicked.name);
        compare(&sam, &name, &blocks(clicked.name), clicked, &SAME);
    }
}

#[test]
fn a_picture_that_is_opened_gives_nearly_the_same_masks() {
    let [cat, ..] = &PICTURES;
    compare(&mobile_sam(), cat.name, &opened(cat.name), cat, &OPENED);
}

#[test]
#[ignore = "a picture takes 5 s of processor time, and the cat shows the same"]
fn the_other_pictures_give_nearly_the_same_masks() {
    let sam = mobile_sam();
    for clicked in &PICTURES[1..] {
        compare(&sam, clicked.name, &opened(clicked.name), clicked, &OPENED);
    }
}
