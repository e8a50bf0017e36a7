mod representations;

use super::*;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Distribution;

type B = Flex;

fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
}

/// A tensor whose value at each place is given by a function of its index.
fn filled<const D: usize>(shape: [usize; D], value: impl Fn([usize; D]) -> f32) -> Tensor<B, D> {
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|i: usize| {
            let mut rest = i;
            let mut index = [0; D];
            for d in (0..D).rev() {
                index[d] = rest % shape[d];
                rest /= shape[d];
            }
            value(index)
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

fn values<const D: usize>(t: Tensor<B, D>) -> Vec<f32> {
    t.into_data().to_vec().unwrap()
}

#[track_caller]
fn assert_close<const D: usize>(a: Tensor<B, D>, b: Tensor<B, D>, tolerance: f32) {
    assert_eq!(a.dims(), b.dims());
    let worst: f32 = (a - b).abs().max().into_scalar();
    assert!(worst <= tolerance, "differ by {worst}");
}

/// 1 in columns `x` and rows `y`, 0 elsewhere: `[1, 1, height, width]`.
fn block(
    height: usize,
    width: usize,
    y: std::ops::Range<usize>,
    x: std::ops::Range<usize>,
) -> Tensor<B, 4> {
    filled([1, 1, height, width], |[_, _, j, i]| {
        f32::from(u8::from(y.contains(&j) && x.contains(&i)))
    })
}

#[test]
fn masked_mean_is_the_mean_and_safe_when_empty() {
    let features = random([1, 3, 4, 4]);
    let masks = Tensor::cat(
        vec![
            block(4, 4, 1..3, 0..2),
            block(4, 4, 0..0, 0..0),
            block(4, 4, 0..1, 0..1) * 0.25,
        ],
        1,
    );
    let out = values(masked_mean(features.clone(), masks));
    let f = values(features);
    for c in 0..3 {
        let at = |y: usize, x: usize| f[(c * 4 + y) * 4 + x];
        let mean = (at(1, 0) + at(1, 1) + at(2, 0) + at(2, 1)) / 4.0;
        assert!((out[c] - mean).abs() < 1e-5);
        assert_eq!(out[3 + c], 0.0);
        // A small cover of one cell still gives that cell.
        assert!((out[6 + c] - at(0, 0)).abs() < 1e-5);
    }
}

#[test]
fn the_entity_map_holds_whole_embeddings_and_the_front_one_counts() {
    let embeddings = random([1, 2, 5]);
    // Discs overlap in columns 2 and 3; the second entity's own corners are 0.
    let discs = filled([1, 2, 1, 3, 6], |[_, n, _, _, x]| {
        f32::from(u8::from(if n == 0 { x < 4 } else { (2..5).contains(&x) }))
    });
    let map = entity_map(embeddings.clone(), discs);
    assert_eq!(map.dims(), [1, 1, 5, 3, 6]);
    let (map, e) = (values(map), values(embeddings));
    for c in 0..5 {
        let row: Vec<f32> = map[c * 18..c * 18 + 6].to_vec();
        let (back, front) = (e[c], e[5 + c]);
        assert_eq!(row, [back, back, front, front, front, 0.0]);
    }
}

#[test]
fn discs_share_every_pixel_and_no_more() {
    let discs = Tensor::<B, 5>::random(
        [2, 3, 2, 5, 5],
        Distribution::Uniform(0.0, 1.0),
        &Default::default(),
    );
    let shares = visible(discs.clone());
    // All of a pixel where the discs cover it together, else as much as they do.
    let covered = discs.clone().sum_dim(1).clamp_max(1.0);
    assert_close(shares.clone().sum_dim(1), covered, 1e-6);
    // The one in front gets all it covers.
    assert_close(shares.narrow(1, 2, 1), discs.narrow(1, 2, 1), 0.0);
}

#[test]
fn gradients_of_the_entity_map_reach_only_what_is_seen() {
    type A = Autodiff<Flex>;
    let device = Default::default();
    let embeddings = Tensor::<A, 3>::zeros([1, 2, 3], &device).require_grad();
    // The second disc hides the first one wholly.
    let discs = Tensor::<A, 5>::ones([1, 2, 1, 4, 4], &device);
    let grads = entity_map(embeddings.clone(), discs).sum().backward();
    let grad: Vec<f32> = embeddings
        .grad(&grads)
        .unwrap()
        .into_data()
        .to_vec()
        .unwrap();
    assert_eq!(grad, [0.0, 0.0, 0.0, 16.0, 16.0, 16.0]);
}

/// A round mask, at `x`, `y`, in a video of 64 x 48 pixels.
fn round(x: f32, y: f32, radius: f32) -> Mask {
    let alpha = (0..64 * 48)
        .map(|i| {
            let (px, py) = ((i % 64) as f32 + 0.5, (i / 64) as f32 + 0.5);
            if (px - x).hypot(py - y) < radius {
                255
            } else {
                0
            }
        })
        .collect();
    Mask {
        width: 64,
        height: 48,
        alpha,
    }
}

fn input(entities: Vec<EntityInput>) -> ConditionInput {
    ConditionInput {
        frames: 3,
        width: 64,
        height: 48,
        entities,
        background: Vec::new(),
    }
}

fn moving(mask: Mask) -> EntityInput {
    // Grabbed somewhere else than at its centre.
    EntityInput {
        mask,
        track: vec![[3.0, 40.0], [7.0, 40.0], [11.0, 36.0]],
    }
}

#[test]
fn a_batch_is_drawn_and_padded() {
    let device = Default::default();
    let inputs = [
        input(vec![
            moving(round(20.5, 20.5, 8.0)),
            moving(round(40.5, 30.5, 1.0)),
        ]),
        input(vec![]),
    ];
    let config = ConditionConfig {
        map_factor: 2,
        ..Default::default()
    };
    let batch = ConditionBatch::<B>::from_inputs(&inputs, 3, &config, &device).unwrap();
    assert_eq!(values(batch.valid.clone()), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(batch.discs.dims(), [2, 3, 3, 24, 32]);
    assert_eq!(batch.gaussians.dims(), [2, 3, 3, 24, 32]);
    assert_eq!(batch.feature_masks.dims(), [2, 3, 12, 16]);

    // Boxes are fractions of the longer side.
    let boxes = values(batch.boxes.clone());
    assert!((boxes[0] - 20.5 / 64.0).abs() < 1e-6 && (boxes[1] - 20.5 / 64.0).abs() < 1e-6);
    assert!((boxes[2] - 0.25).abs() < 0.02);

    // The disc lies around the mask's centre, not around the grabbed pixel, and moves by the offset.
    let discs = values(batch.discs.clone());
    let disc = |n: usize, f: usize| &discs[(n * 3 + f) * 24 * 32..(n * 3 + f + 1) * 24 * 32];
    let middle = |map: &[f32]| {
        let total: f32 = map.iter().sum();
        let sum = |at: &dyn Fn(usize) -> usize| {
            map.iter()
                .enumerate()
                .map(|(i, v)| v * (at(i) as f32 + 0.5))
                .sum::<f32>()
                / total
        };
        (sum(&|i| i % 32), sum(&|i| i / 32))
    };
    for (f, (x, y)) in [(20.5, 20.5), (24.5, 20.5), (28.5, 16.5)]
        .into_iter()
        .enumerate()
    {
        let (mx, my) = middle(disc(0, f));
        assert!(
            (mx - x / 2.0).abs() < 0.05 && (my - y / 2.0).abs() < 0.05,
            "{mx},{my}"
        );
    }
    // Radius 8 pixels is 4 of the map's; a tiny entity gets 1.5 latent pixels, which are 3.
    let area = |n: usize| disc(n, 0).iter().sum::<f32>() / std::f32::consts::PI;
    assert!((area(0).sqrt() - 4.0).abs() < 0.4, "{}", area(0).sqrt());
    assert!((area(1).sqrt() - 3.0).abs() < 0.2, "{}", area(1).sqrt());
    // Padding draws nothing; nor does the video without entities.
    assert!(disc(2, 0).iter().all(|v| *v == 0.0));
    let empty: f32 = batch.gaussians.clone().narrow(0, 1, 1).max().into_scalar();
    assert_eq!(empty, 0.0);
    // All three channels of the heat map are alike and peak over both entities.
    let heat = batch.gaussians.narrow(0, 0, 1);
    assert_close(
        heat.clone().narrow(2, 0, 1),
        heat.clone().narrow(2, 2, 1),
        0.0,
    );
    let heat = values(heat);
    assert!(heat[10 * 32 + 10] > 0.9 && heat[15 * 32 + 20] > 0.8);
}

#[test]
fn an_empty_mask_takes_no_part() {
    let device = Default::default();
    let config = ConditionConfig::default();
    let inputs = [input(vec![moving(round(-50.0, 0.0, 3.0))])];
    let batch = ConditionBatch::<B>::from_inputs(&inputs, 1, &config, &device).unwrap();
    assert_eq!(values(batch.valid.clone()), [0.0]);
    for total in [
        batch.discs.clone().sum(),
        batch.gaussians.clone().sum(),
        batch.feature_masks.clone().sum(),
    ] {
        assert_eq!(total.into_scalar(), 0.0);
    }
}

#[test]
fn embeddings_and_maps_follow_from_a_batch() {
    let device = Default::default();
    let config = ConditionConfig::default();
    let inputs = [input(vec![moving(round(20.5, 20.5, 8.0))])];
    let batch = ConditionBatch::<B>::from_inputs(&inputs, 2, &config, &device).unwrap();
    let relation = crate::dragentity::relation::RelationConfig {
        dim: 8,
        dim_out: 12,
        ..Default::default()
    }
    .init(&device)
    .unwrap();
    let embeddings = batch.embeddings(random([1, 8, 12, 16]), &relation);
    assert_eq!(embeddings.dims(), [1, 2, 12]);
    let map = batch.represent(embeddings.clone());
    assert_eq!(map.dims(), [1, 3, 12, 48, 64]);
    // The embedding stands at the trajectory's point, nothing far from it.
    let map = values(map);
    let embeddings = values(embeddings);
    let at = |f: usize, c: usize, y: usize, x: usize| map[((f * 12 + c) * 48 + y) * 64 + x];
    for (c, value) in embeddings.iter().take(12).enumerate() {
        assert!((at(0, c, 20, 20) - value).abs() < 1e-6);
        assert!((at(2, c, 16, 28) - value).abs() < 1e-6);
        assert_eq!(at(0, c, 45, 60), 0.0);
    }
}

#[test]
fn what_does_not_fit_is_refused_with_a_reason() {
    let config = ConditionConfig::default();
    let entity = || moving(round(20.0, 20.0, 8.0));
    let refused = |inputs: &[ConditionInput], max: usize, part: &str| {
        let result = ConditionBatch::<B>::from_inputs(inputs, max, &config, &Default::default());
        let message = result.expect_err("refused").to_string();
        assert!(message.contains(part), "{message}");
    };
    refused(&[], 1, "at least one video");
    refused(&[input(vec![entity(), entity()])], 1, "remove some");

    let mut short = entity();
    short.track.pop();
    refused(&[input(vec![short])], 1, "2 positions for 3 frames");

    let mut nan = entity();
    nan.track[1][0] = f32::NAN;
    refused(&[input(vec![nan])], 1, "not a number");

    let mut small = entity();
    small.mask = small.mask.resized(32, 24);
    refused(&[input(vec![small])], 1, "32x24, the video 64x48");

    let mut odd = input(vec![]);
    odd.width = 63;
    refused(&[odd], 1, "multiple of 4");

    let mut frames = input(vec![]);
    frames.frames = 0;
    refused(&[frames.clone()], 1, "at least one frame");
    refused(&[input(vec![]), frames], 1, "make them alike");

    let zero = ConditionConfig {
        map_factor: 0,
        ..Default::default()
    };
    let result = ConditionBatch::<B>::from_inputs(&[input(vec![])], 1, &zero, &Default::default());
    let message = result.expect_err("refused").to_string();
    assert!(message.contains("map_factor"), "{message}");

    let mut camera = input(vec![]);
    camera.background = vec![[0.0, 0.0]];
    refused(&[camera], 1, "background");
}
