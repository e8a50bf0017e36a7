//! The kinds of Fig. 1 and dense flow, and the switches of Table 2.

use super::*;
use crate::dragentity::relation::{Relation, RelationConfig};

/// A thing that moves by 8 pixels a frame to the right, and one that is pinned.
fn batch(change: impl Fn(&mut ConditionConfig)) -> ConditionBatch<B> {
    let walk = EntityInput {
        mask: round(20.5, 20.5, 6.0),
        track: vec![[18.0, 20.0], [26.0, 20.0], [34.0, 20.0]],
    };
    let pin = EntityInput {
        mask: round(50.5, 38.5, 4.0),
        track: vec![[50.0, 38.0]; 3],
    };
    let mut config = ConditionConfig::default();
    change(&mut config);
    let inputs = [input(vec![walk, pin])];
    ConditionBatch::from_inputs(&inputs, 2, &config, &Default::default()).unwrap()
}

fn relation() -> Relation<B> {
    RelationConfig {
        dim: 16,
        dim_out: 12,
        ..Default::default()
    }
    .init(&Default::default())
    .unwrap()
}

/// What is shown, `[frames][channels][48 * 64]`.
fn shown(batch: &ConditionBatch<B>) -> Vec<Vec<Vec<f32>>> {
    let embeddings = batch.embeddings(random([1, 16, 12, 16]), &relation());
    let map = batch.represent(embeddings);
    assert_eq!(map.dims(), [1, 3, 12, 48, 64]);
    let plane = |plane: &[f32]| plane.to_vec();
    values(map)
        .chunks(12 * 48 * 64)
        .map(|frame| frame.chunks(48 * 64).map(plane).collect())
        .collect()
}

fn as_kind(representation: Representation) -> ConditionBatch<B> {
    batch(|config| config.representation = representation)
}

fn at(plane: &[f32], x: usize, y: usize) -> f32 {
    plane[y * 64 + x]
}

/// Channels above `used` are empty, so that each representation is read by the same network.
#[track_caller]
fn assert_padded(map: &[Vec<Vec<f32>>], used: usize) {
    let rest = map.iter().flat_map(|frame| &frame[used..]).flatten();
    assert!(rest.into_iter().all(|v| *v == 0.0));
}

#[test]
fn a_point_is_a_dot_of_one_size_that_moves() {
    let batch = as_kind(Representation::Point);
    let map = shown(&batch);
    assert_padded(&map, 1);
    for (frame, x) in [20, 28, 36].into_iter().enumerate() {
        let dot = &map[frame][0];
        assert_eq!(at(dot, x, 20), 1.0);
        assert_eq!(at(dot, 50, 38), 1.0);
        // Both are as large as the latents can show, whatever the masks: 1.5 of their pixels.
        let area = dot.iter().sum::<f32>() / (2.0 * std::f32::consts::PI);
        assert!((area.sqrt() - 6.0).abs() < 0.2, "{}", area.sqrt());
    }
    assert_eq!(batch.gaussians.max().into_scalar(), 0.0);
}

#[test]
fn a_box_is_as_large_as_the_mask_and_moves() {
    let batch = as_kind(Representation::Box);
    let map = shown(&batch);
    assert_padded(&map, 1);
    let bounds = round(20.5, 20.5, 6.0).bounding_box().unwrap();
    let (l, t) = (bounds.x0 as usize, bounds.y0 as usize);
    for (frame, moved) in [0, 8, 16].into_iter().enumerate() {
        let plane = &map[frame][0];
        assert_eq!(at(plane, l + moved, t), 1.0, "its corner is filled");
        assert_eq!(at(plane, l + moved - 1, t), 0.0);
    }
    let area = (bounds.x1 - bounds.x0) * (bounds.y1 - bounds.y0);
    let pinned = round(50.5, 38.5, 4.0).bounding_box().unwrap();
    let area = area + (pinned.x1 - pinned.x0) * (pinned.y1 - pinned.y0);
    assert_eq!(map[1][0].iter().sum::<f32>(), area as f32);
    assert_eq!(batch.gaussians.max().into_scalar(), 0.0);
}

#[test]
fn the_graph_has_the_way_from_frame_to_frame() {
    let map = shown(&as_kind(Representation::Graph));
    assert_padded(&map, 2);
    assert!(map[0].iter().flatten().all(|v| *v == 0.0), "no way yet");
    for (frame, x) in [(1, 20), (2, 28)] {
        let [dx, dy] = [&map[frame][0], &map[frame][1]];
        // 8 pixels are 2 of the latents'; the largest value is where the way begins.
        assert!((at(dx, x, 20) - 2.0).abs() < 1e-5);
        assert!(dx.iter().all(|v| *v <= 2.0 + 1e-5));
        assert!(dy.iter().all(|v| *v == 0.0));
        assert!(at(dx, 50, 38) < 1e-3, "the pinned thing does not move");
    }
}

#[test]
fn the_flow_is_dense_and_held_by_what_is_pinned() {
    let map = shown(&as_kind(Representation::Flow));
    assert_padded(&map, 2);
    assert!(map[0].iter().flatten().all(|v| *v == 0.0));
    for (frame, planes) in map.iter().enumerate().skip(1) {
        let dx = &planes[0];
        // In eighths of the longer side, which are 8 pixels, where the thing was in the first frame.
        let there = at(dx, 20, 20);
        assert!(
            (there - frame as f32).abs() < 0.01 * frame as f32,
            "{there}"
        );
        assert!(dx.iter().all(|v| *v > 0.0), "dense");
        let held = at(dx, 50, 38);
        let mirrored = at(dx, 50, 2);
        assert!(held < 0.01 * frame as f32, "{held}");
        assert!(
            mirrored > 3.0 * held,
            "no nearer, but not pinned: {mirrored}"
        );
        assert!(planes[1].iter().all(|v| *v == 0.0));
    }
}

#[test]
fn gaussians_are_heat_maps_alone() {
    let batch = as_kind(Representation::Gaussian);
    assert_padded(&shown(&batch), 0);
    let peak: f32 = batch.gaussians.clone().max().into_scalar();
    assert!(peak > 0.9);
    assert_close(
        batch.gaussians,
        as_kind(Representation::Entity).gaussians,
        0.0,
    );
}

#[test]
fn some_frames_are_those_of_all() {
    for kind in Representation::ALL {
        let whole = as_kind(kind);
        let embeddings = whole.embeddings(random([1, 16, 12, 16]), &relation());
        let part = whole.frames(1..3);
        assert_close(
            part.represent(embeddings.clone()),
            whole.represent(embeddings).narrow(1, 1, 2),
            0.0,
        );
        assert_close(part.gaussians, whole.gaussians.narrow(1, 1, 2), 0.0);
    }
}

#[test]
fn the_switches_of_table_2_take_away_what_they_name() {
    let relation = relation();
    let made = |features: bool, position: bool, seen: &Tensor<B, 4>| {
        let batch = batch(|config| {
            config.entity_features = features;
            config.position_relation = position;
        });
        batch.embeddings(seen.clone(), &relation)
    };
    let seen = random([1, 16, 12, 16]);
    let other = random([1, 16, 12, 16]);
    let differ = |a: Tensor<B, 3>, b: Tensor<B, 3>| (a - b).abs().max().into_scalar() > 1e-3;
    // What entities look like counts if and only if features are shown.
    assert!(differ(made(true, true, &seen), made(true, true, &other)));
    assert!(differ(made(true, false, &seen), made(true, false, &other)));
    assert!(!differ(made(false, true, &seen), made(false, true, &other)));
    // So does what the others look like for the relation.
    let masks = batch(|_| {}).feature_masks;
    let second = masks.narrow(1, 1, 1).expand([1, 16, 12, 16]);
    let changed = seen.clone() + second.clamp_max(0.5) * 4.0;
    let first = |t: Tensor<B, 3>| t.narrow(1, 0, 1);
    assert!(differ(
        first(made(true, true, &seen)),
        first(made(true, true, &changed))
    ));
    assert!(!differ(
        first(made(true, false, &seen)),
        first(made(true, false, &changed))
    ));
    // Places differ, so that two entities do, without any features.
    let placed = made(false, true, &seen);
    assert!(differ(first(placed.clone()), placed.narrow(1, 1, 1)));
    let nothing: f32 = made(false, false, &seen).abs().max().into_scalar();
    assert_eq!(nothing, 0.0);
}

#[test]
fn another_representation_than_the_models_own_is_refused() {
    let config = ConditionConfig {
        representation: Representation::Box,
        ..Default::default()
    };
    assert!(config.check_asked(None).is_ok());
    assert!(config.check_asked(Some(Representation::Box)).is_ok());
    let said = config.check_asked(Some(Representation::Flow)).unwrap_err();
    let said = said.to_string();
    assert!(
        said.contains("shown as box, not as flow") && said.contains("--representation flow"),
        "{said}"
    );
    let flow = ConditionConfig {
        representation: Representation::Flow,
        ..Default::default()
    };
    let said = flow.check_width("m.json", 1).unwrap_err().to_string();
    assert!(
        said.contains("m.json") && said.contains("2 channels"),
        "{said}"
    );
    // Directories from before there was a choice are of the paper's kind.
    let old: ConditionConfig = serde_json::from_str(r#"{"vae_factor": 4}"#).unwrap();
    assert_eq!(old, ConditionConfig::default());
    assert_eq!(old.representation, Representation::Entity);
}
