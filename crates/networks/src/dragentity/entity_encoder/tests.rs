use super::*;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Distribution;

type B = Flex;

fn click(x: f32, y: f32, positive: bool) -> Click {
    Click { x, y, positive }
}

fn picture(batch: usize, height: usize, width: usize) -> Tensor<B, 4> {
    Tensor::random(
        [batch, 3, height, width],
        Distribution::Uniform(-1.0, 1.0),
        &Default::default(),
    )
}

#[test]
fn shapes_follow_the_picture() {
    let device = Default::default();
    let encoder = EntityEncoderConfig::default().init::<B>(&device).unwrap();
    let parameters = encoder.num_params();
    assert!(
        (800_000..1_200_000).contains(&parameters),
        "{parameters} parameters"
    );
    for (h, w) in [(64, 64), (48, 80), (16, 16)] {
        let picture = picture(2, h, w);
        let out = encoder.encode(picture.clone());
        assert_eq!(out.features.dims(), [2, 96, h / 4, w / 4]);
        assert_eq!(out.tokens.dims(), [2, h / 8 * w / 8, 128]);
        let clicks = ClickMaps::new(
            &[vec![click(0.5, 0.5, true), click(0.1, 0.9, false)], vec![]],
            h,
            w,
            None,
            &device,
        );
        let logits = encoder.click(&out, picture, &clicks);
        assert_eq!(logits.dims(), [2, 1, h / 2, w / 2]);
        assert!(logits.is_finite().all().into_scalar());
    }
}

#[test]
fn impossible_sizes_are_refused() {
    let message = |change: fn(&mut EntityEncoderConfig)| {
        let mut config = EntityEncoderConfig::default();
        change(&mut config);
        config.validate("e").unwrap_err().to_string()
    };
    assert!(message(|c| c.norm_num_groups = 7).contains("multiples of norm_num_groups"));
    assert!(message(|c| c.similarity_heads = 5).contains("similarity_heads"));
    assert!(message(|c| c.stem_channels = 0).contains("must be 1 to"));
    assert!(message(|c| c.layers_per_block = 1 << 40).contains("must be 1 to"));
}

#[test]
fn pictures_of_a_batch_do_not_mix() {
    let device = Default::default();
    let encoder = EntityEncoderConfig::default().init::<B>(&device).unwrap();
    let pictures = picture(2, 32, 32);
    let clicks = [vec![click(0.2, 0.3, true)], vec![click(0.8, 0.8, false); 3]];
    let run = |pictures: Tensor<B, 4>, clicks: &[Vec<Click>]| {
        let maps = ClickMaps::new(clicks, 32, 32, None, &device);
        encoder.click(&encoder.encode(pictures.clone()), pictures, &maps)
    };
    let both = run(pictures.clone(), &clicks);
    for i in 0..2 {
        let one = run(pictures.clone().narrow(0, i, 1), &clicks[i..i + 1]);
        let worst: f32 = (both.clone().narrow(0, i, 1) - one)
            .abs()
            .max()
            .into_scalar();
        assert!(worst < 1e-4, "picture {i} differs by {worst}");
    }
}

#[test]
fn a_click_is_alike_where_it_was_made() {
    let device = Default::default();
    let config = EntityEncoderConfig::default();
    let encoder = config.init::<B>(&device).unwrap();
    let features = Tensor::random([1, 96, 8, 8], Distribution::Normal(0.0, 1.0), &device);
    // The middle of cell (5, 2).
    let clicks = ClickMaps::new(
        &[vec![
            click(5.5 / 8.0, 2.5 / 8.0, true),
            click(0.1, 0.1, true),
        ]],
        32,
        32,
        None,
        &device,
    );
    let similarity = encoder.click_head.similarities(features, &clicks);
    assert_eq!(similarity.dims(), [1, 12, 8, 8]);
    let positive = similarity.clone().narrow(1, 0, 6);
    let here: f32 = positive
        .clone()
        .slice([0..1, 0..6, 2..3, 5..6])
        .min()
        .into_scalar();
    assert!((here - 1.0).abs() < 1e-4, "similarity with itself {here}");
    let mean: f32 = positive.mean().into_scalar();
    assert!(mean < 0.6, "mean similarity {mean}");
    // There is no negative click.
    let negative = similarity.narrow(1, 6, 6);
    let worst: f32 = (negative + 1.0).abs().max().into_scalar();
    assert!(worst < 1e-6);
}

#[test]
fn clicks_are_drawn_where_they_were_made() {
    let device = Default::default();
    let all = [
        click(0.25, 0.5, true),
        click(0.75, 0.5, false),
        click(7.0, -3.0, true),
        click(f32::NAN, 0.0, true),
    ];
    let maps = ClickMaps::<B>::new(&[all.to_vec()], 32, 64, None, &device);
    assert_eq!(maps.discs.dims(), [1, 2, 16, 32]);
    let discs = maps.discs.into_data().to_vec::<f32>().unwrap();
    let at = |sign: usize, x: usize, y: usize| discs[(sign * 16 + y) * 32 + x];
    assert_eq!((at(0, 8, 8), at(1, 8, 8)), (1.0, 0.0));
    assert_eq!((at(0, 24, 8), at(1, 24, 8)), (0.0, 1.0));
    // Outside the picture: on the nearest edge.
    assert_eq!(at(0, 31, 0), 1.0);
    let weights = maps.points.sum_dim(2).into_data().to_vec::<f32>().unwrap();
    let present = maps.present.into_data().to_vec::<f32>().unwrap();
    assert_eq!(present, [1.0, 1.0, 1.0, 0.0]);
    for (weight, present) in weights.into_iter().zip(present) {
        assert!((weight - present).abs() < 1e-6);
    }
}

#[test]
fn folding_keeps_every_pixel() {
    let x = Tensor::<B, 4>::from_floats(
        [[[[0.0f32, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]]],
        &Default::default(),
    );
    let folded = fold_pixels(x).into_data().to_vec::<f32>().unwrap();
    assert_eq!(folded, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
}

#[test]
fn a_few_steps_fit_a_mask() {
    // The whole chain learns: loss on one picture falls steeply, and every parameter of the
    // mask's path has a gradient.
    use burn::nn::loss::BinaryCrossEntropyLossConfig;
    use burn::optim::{AdamConfig, GradientsParams, Optimizer};
    type A = Autodiff<Flex>;
    let device = Default::default();
    let mut encoder = EntityEncoderConfig::default().init::<A>(&device).unwrap();
    let mut optimizer = AdamConfig::new().init::<A, EntityEncoder<A>>();
    // A bright square on noise.
    let target: Vec<f32> = (0..16 * 16)
        .map(|i| {
            f32::from(u8::from(
                (4..10).contains(&(i % 16)) && (5..12).contains(&(i / 16)),
            ))
        })
        .collect();
    let target = Tensor::<A, 4>::from_data(TensorData::new(target, [1, 1, 16, 16]), &device);
    let picture = Tensor::random([1, 3, 32, 32], Distribution::Uniform(-1.0, 0.0), &device)
        + double(target.clone());
    let clicks = ClickMaps::new(&[vec![click(0.42, 0.5, true)]], 32, 32, None, &device);
    let loss = BinaryCrossEntropyLossConfig::new()
        .with_logits(true)
        .init::<A>(&device);
    let mut values = Vec::new();
    for _ in 0..25 {
        let encoded = encoder.encode(picture.clone());
        let logits = encoder.click(&encoded, picture.clone(), &clicks);
        let value = loss.forward(logits.reshape([256]), target.clone().reshape([256]).int());
        values.push(value.clone().into_scalar());
        let grads = GradientsParams::from_grads(value.backward(), &encoder);
        encoder = optimizer.step(3e-3, encoder, grads);
    }
    let (first, last) = (values[0], values[values.len() - 1]);
    assert!(last < 0.3 * first, "loss went from {first} to {last}");
}
