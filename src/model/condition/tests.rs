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
fn latents_that_stand_still_stay_as_they_are() {
    // Soft, overlapping masks: nothing may shine through or be lost.
    let latent = random([2, 3, 6, 8]);
    let masks = Tensor::random(
        [2, 3, 6, 8],
        Distribution::Uniform(0.0, 1.0),
        &Default::default(),
    );
    let device = latent.device();
    let out = moved_latents(
        latent.clone(),
        masks,
        Tensor::zeros([2, 3, 4, 2], &device),
        Tensor::zeros([2, 4, 2], &device),
    );
    assert_eq!(out.dims(), [2, 4, 5, 6, 8]);
    for frame in 0..4 {
        let frame = out.clone().narrow(1, frame, 1).squeeze_dim::<4>(1);
        assert_close(frame.clone().narrow(1, 0, 3), latent.clone(), 1e-5);
        assert_close(
            frame.narrow(1, 4, 1),
            Tensor::zeros([2, 1, 6, 8], &device),
            1e-6,
        );
    }
}

#[test]
fn whole_pixels_move_exactly_and_leave_a_hole() {
    let latent = random([1, 2, 8, 10]);
    let mask = block(8, 10, 2..5, 1..4);
    let offsets = Tensor::<B, 4>::from_floats([[[[0.0f32, 0.0], [4.0, 2.0]]]], &latent.device());
    let out = moved_latents(
        latent.clone(),
        mask.clone(),
        offsets,
        Tensor::zeros([1, 2, 2], &latent.device()),
    );
    let before = values(latent);
    let after = values(out.narrow(1, 1, 1));
    let at = |v: &[f32], c: usize, y: usize, x: usize| v[(c * 8 + y) * 10 + x];
    for y in 0..8 {
        for x in 0..10 {
            let new = (4..7).contains(&y) && (5..8).contains(&x);
            let old = (2..5).contains(&y) && (1..4).contains(&x);
            for c in 0..2 {
                let expected = match (new, old) {
                    (true, _) => at(&before, c, y - 2, x - 4),
                    (false, true) => 0.0,
                    (false, false) => at(&before, c, y, x),
                };
                assert_eq!(at(&after, c, y, x), expected, "channel {c} at {x},{y}");
            }
            assert_eq!(
                at(&after, 2, y, x),
                f32::from(u8::from(new)),
                "coverage at {x},{y}"
            );
            let hole = f32::from(u8::from(old && !new));
            assert_eq!(at(&after, 3, y, x), hole, "hole at {x},{y}");
        }
    }
}

#[test]
fn half_a_pixel_is_the_mean_of_two() {
    let picture = filled([1, 1, 4, 5], |[_, _, y, x]| (y * 10 + x * x) as f32);
    let offsets = Tensor::<B, 3>::from_floats([[[0.5f32, 0.0], [0.0, -0.5]]], &picture.device());
    let out = values(translate(picture, offsets));
    // Right by a half: (1, 2) mixes columns 1 and 2.
    assert_eq!(out[5 + 2], ((10 + 1) + (10 + 4)) as f32 / 2.0);
    // The first column mixes with the nothing beyond the border.
    assert_eq!(out[5], 5.0);
    // Up by a half: (1, 2) mixes rows 1 and 2.
    assert_eq!(out[20 + 5 + 2], 15.0 + 4.0);
}

#[test]
fn an_entity_that_leaves_takes_its_latents_along() {
    let latent = random([1, 2, 6, 6]);
    let mask = block(6, 6, 1..4, 2..5);
    for far in [[7.0f32, 0.0], [0.0, -100.0], [-4e6, 4e6]] {
        let offsets = Tensor::<B, 1>::from_floats(far, &latent.device()).reshape([1, 1, 1, 2]);
        let out = moved_latents(
            latent.clone(),
            mask.clone(),
            offsets,
            Tensor::zeros([1, 1, 2], &latent.device()),
        )
        .squeeze_dim::<4>(1);
        let rest = 1.0 - mask.clone();
        assert_close(out.clone().narrow(1, 0, 2), latent.clone() * rest, 0.0);
        assert_close(out.clone().narrow(1, 2, 1), mask.zeros_like(), 0.0);
        assert_close(out.narrow(1, 3, 1), mask.clone(), 0.0);
    }
}

#[test]
fn the_entity_in_front_hides_the_one_behind() {
    // Two entities side by side meet in the third frame's middle; the second lies in front.
    let latent = filled([1, 1, 2, 8], |[_, _, _, x]| (x + 1) as f32);
    let masks = Tensor::cat(vec![block(2, 8, 0..2, 0..2), block(2, 8, 0..2, 6..8)], 1);
    let offsets = Tensor::<B, 4>::from_floats([[[[3.0f32, 0.0]], [[-3.0, 0.0]]]], &latent.device());
    let still = Tensor::zeros([1, 1, 2], &latent.device());
    let run = |order: [i32; 2]| {
        let order = Tensor::<B, 1, Int>::from_ints(order, &latent.device());
        let out = moved_latents(
            latent.clone(),
            masks.clone().select(1, order.clone()),
            offsets.clone().select(1, order),
            still.clone(),
        );
        values(out)[..8].to_vec()
    };
    // Columns 3 and 4 hold both: 1, 2 of the left one, 7, 8 of the right one.
    assert_eq!(run([0, 1]), [0.0, 0.0, 3.0, 7.0, 8.0, 6.0, 0.0, 0.0]);
    assert_eq!(run([1, 0]), [0.0, 0.0, 3.0, 1.0, 2.0, 6.0, 0.0, 0.0]);
}

#[test]
fn shares_fill_every_pixel_once() {
    let latent = Tensor::<B, 4>::ones([1, 1, 9, 9], &Default::default());
    let masks = Tensor::random(
        [1, 3, 9, 9],
        Distribution::Uniform(0.0, 1.0),
        &latent.device(),
    );
    let offsets = random([1, 3, 5, 2]) * 3.0;
    let background = random([1, 5, 2]) * 2.0;
    let out = moved_latents(latent, masks, offsets, background);
    let composed = out.clone().narrow(2, 0, 1);
    let covered = out.clone().narrow(2, 1, 1);
    let hole = out.narrow(2, 2, 1);
    // Latents of 1 show how much of each pixel anything covers.
    assert_close(composed.clone() + hole.clone(), composed.ones_like(), 1e-5);
    let (low, high): (f32, f32) = (
        covered.clone().min().into_scalar(),
        (covered + hole).max().into_scalar(),
    );
    assert!(low >= 0.0 && high <= 1.0 + 1e-5, "{low}..{high}");
}

#[test]
fn the_camera_moves_the_background_alone() {
    let latent = random([1, 1, 4, 6]);
    let mask = block(4, 6, 1..3, 2..4);
    let device = latent.device();
    let out = moved_latents(
        latent.clone(),
        mask,
        Tensor::zeros([1, 1, 1, 2], &device),
        Tensor::<B, 3>::from_floats([[[2.0f32, 0.0]]], &device),
    );
    let (before, after) = (values(latent), values(out));
    // The entity stays, the rest comes from two columns to the left, and there is nothing at the
    // left edge nor where the entity hid the background.
    assert_eq!(after[6 + 2], before[6 + 2]);
    assert_eq!(after[5], before[3]);
    assert_eq!(after[0], 0.0);
    assert_eq!(after[6 + 4], 0.0);
    let hole = &after[2 * 24..];
    assert_eq!(
        (hole[6 + 2], hole[5], hole[0], hole[6 + 4]),
        (0.0, 0.0, 1.0, 1.0)
    );
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
    assert_eq!(batch.latent_masks.dims(), [2, 3, 12, 16]);
    assert_eq!(batch.feature_masks.dims(), [2, 3, 12, 16]);

    // Boxes are fractions of the longer side.
    let boxes = values(batch.boxes.clone());
    assert!((boxes[0] - 20.5 / 64.0).abs() < 1e-6 && (boxes[1] - 20.5 / 64.0).abs() < 1e-6);
    assert!((boxes[2] - 0.25).abs() < 0.02);
    // Offsets are in pixels of the latents, from the first frame on.
    let offsets = values(batch.offsets.clone());
    assert_eq!(offsets[..6], [0.0, 0.0, 1.0, 0.0, 2.0, -1.0]);

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
        batch.latent_masks.clone().sum(),
    ] {
        assert_eq!(total.into_scalar(), 0.0);
    }
    let latent = random([1, 2, 12, 16]);
    let out = batch.moved_latents(latent.clone());
    assert_close(
        out.narrow(1, 2, 1).squeeze_dim::<4>(1).narrow(1, 0, 2),
        latent,
        1e-6,
    );
}

#[test]
fn the_background_is_counted_from_the_first_frame() {
    let mut one = input(vec![]);
    one.background = vec![[4.0, 4.0], [8.0, 0.0], [12.0, 4.0]];
    let config = ConditionConfig::default();
    let batch = ConditionBatch::<B>::from_inputs(&[one], 2, &config, &Default::default()).unwrap();
    assert_eq!(values(batch.background), [0.0, 0.0, 1.0, -1.0, 2.0, 0.0]);
}

#[test]
fn embeddings_and_maps_follow_from_a_batch() {
    let device = Default::default();
    let config = ConditionConfig::default();
    let inputs = [input(vec![moving(round(20.5, 20.5, 8.0))])];
    let batch = ConditionBatch::<B>::from_inputs(&inputs, 2, &config, &device).unwrap();
    let relation = crate::model::relation::RelationConfig {
        dim: 8,
        dim_out: 12,
        ..Default::default()
    }
    .init(&device);
    let embeddings = batch.embeddings(random([1, 8, 12, 16]), &relation);
    assert_eq!(embeddings.dims(), [1, 2, 12]);
    let map = batch.represent(Representation::Entity, embeddings.clone());
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
