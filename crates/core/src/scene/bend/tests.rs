use super::*;
use crate::scene::{Entity, Mask, Picture, Trajectory};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const SIZE: [u32; 2] = [400, 300];

/// A mask of 200 x 150 pixels with what `inside` says of places in pixels of the picture.
fn mask(inside: impl Fn(f32, f32) -> bool) -> Mask {
    let mut mask = Mask::empty(200, 150);
    for (at, alpha) in mask.alpha.iter_mut().enumerate() {
        let (x, y) = ((at % 200) as f32 * 2.0 + 1.0, (at / 200) as f32 * 2.0 + 1.0);
        *alpha = if inside(x, y) { 255 } else { 0 };
    }
    mask
}

fn bar() -> Mask {
    mask(|x, y| (100.0..300.0).contains(&x) && (120.0..180.0).contains(&y))
}

/// A body with two legs, a gap of 8 pixels between them.
fn legs() -> Mask {
    mask(|x, y| {
        let body = (100.0..220.0).contains(&x) && (40.0..120.0).contains(&y);
        let leg = (100.0..156.0).contains(&x) || (164.0..220.0).contains(&x);
        body || leg && (120.0..260.0).contains(&y)
    })
}

/// Two discs, one of them cut off by the border.
fn discs() -> Mask {
    mask(|x, y| (x - 60.0).hypot(y - 260.0) < 70.0 || (x - 260.0).hypot(y - 120.0) < 60.0)
}

fn shapes() -> [Mask; 4] {
    [
        bar(),
        legs(),
        discs(),
        mask(|x, y| x > 30.0 && (x - 200.0).abs() < 9.0 + y / 6.0),
    ]
}

fn areas(mesh: &Mesh, at: &[[f32; 2]]) -> Vec<f32> {
    let area = |a: [f32; 2], b: [f32; 2], c: [f32; 2]| {
        (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    };
    let corners = mesh.triangles().iter().map(|t| t.map(|v| at[v as usize]));
    corners.map(|[a, b, c]| area(a, b, c)).collect()
}

fn far(a: &[[f32; 2]], b: &[[f32; 2]]) -> f32 {
    let step = |(a, b): (&[f32; 2], &[f32; 2])| (a[0] - b[0]).hypot(a[1] - b[1]);
    a.iter().zip(b).map(step).fold(0.0, f32::max)
}

#[test]
fn meshes_cover_the_mask_and_have_the_size_that_they_should() {
    for mask in shapes() {
        let margin = 6.0;
        let mesh = Mesh::over(&mask, SIZE, margin).unwrap();
        let count = mesh.vertices().len();
        assert!((150..=MAX_VERTICES).contains(&count), "{count} vertices");
        assert!(areas(&mesh, mesh.vertices()).iter().all(|a| *a > 0.0));
        // Every place within the margin lies in a triangle that owns it.
        for y in 0..SIZE[1] {
            for x in 0..SIZE[0] {
                let place = [x as f32 + 0.5, y as f32 + 0.5];
                let near = (-2..=2).any(|dy| {
                    (-2..=2).any(|dx| {
                        let to = [place[0] + 2.0 * dx as f32, place[1] + 2.0 * dy as f32];
                        mask.contains(to[0] / SIZE[0] as f32, to[1] / SIZE[1] as f32)
                    })
                });
                if near {
                    let anchor = mesh.anchor(place);
                    assert_eq!(anchor.place, place, "{place:?} is not covered");
                    assert!(anchor.weights.iter().all(|w| *w > -1e-3), "{anchor:?}");
                }
            }
        }
    }
    assert!(Mesh::over(&Mask::empty(20, 20), SIZE, 6.0).is_none());
}

#[test]
fn masks_of_any_kind_have_a_mesh_of_bounded_size() {
    let noise = mask(|x, y| (x * 7.3 + y * 13.7).sin() * (x * 0.9 - y * 3.1).cos() > 0.55);
    let crumbs = mask(|x, y| x % 8.0 < 2.0 && y % 8.0 < 2.0);
    let line = mask(|x, y| (x - 1.3 * y).abs() < 1.5);
    let comb = mask(|x, y| y < 20.0 || x % 12.0 < 6.0);
    let dot = mask(|x, y| x < 2.0 && y < 2.0);
    let all = mask(|_, _| true);
    for (i, mask) in [noise, crumbs, line, comb, dot, all].iter().enumerate() {
        for (size, margin) in [
            (SIZE, 6.0),
            ([1280, 960], 30.0),
            ([1, 1], 0.0),
            (SIZE, f32::NAN),
        ] {
            let mesh = Mesh::over(mask, size, margin).unwrap();
            let count = mesh.vertices().len();
            assert!((4..=MAX_VERTICES).contains(&count), "{i}: {count}");
            let handles = [[30.0, 30.0], [200.0, 40.0], [90.0, 200.0]].map(|p| (p, [p[1], p[0]]));
            let at = solve(&mesh, &handles);
            assert!(areas(&mesh, &at).iter().all(|a| *a > 0.0), "{i}");
        }
    }
}

#[test]
fn what_lies_apart_is_not_one() {
    let mesh = Mesh::over(&legs(), SIZE, 8.0).unwrap();
    let at = |x: f32, y: f32| mesh.anchor([x, y]).vertices;
    // Down the gap there is a vertex of each leg at each place.
    let (left, right) = (at(155.0, 220.0), at(165.0, 220.0));
    assert!(
        left.iter().all(|v| !right.contains(v)),
        "{left:?} {right:?}"
    );
    // A leg that swings leaves the other where it is.
    let pins = [[110.0, 50.0], [210.0, 50.0], [190.0, 255.0], [128.0, 255.0]].map(|p| (p, p));
    let mut handles = pins.to_vec();
    handles[3].1 = [80.0, 245.0];
    let bent = solve(&mesh, &handles);
    let moved = |v: [u32; 3]| {
        let v = v[0] as usize;
        far(&bent[v..=v], &mesh.vertices()[v..=v])
    };
    assert!(moved(at(128.0, 250.0)) > 35.0 && moved(at(168.0, 250.0)) < 4.0);
    // So it is where somebody says that it is cut.
    let cut = |a: [f32; 2], b: [f32; 2]| (a[0] < 200.0) == (b[0] < 200.0) || a[1] > 160.0;
    let mesh = Mesh::cut(&bar(), SIZE, 4.0, cut).unwrap();
    let (left, right) = (mesh.anchor([197.0, 130.0]), mesh.anchor([203.0, 130.0]));
    assert!(left.vertices.iter().all(|v| !right.vertices.contains(v)));
    let whole = Mesh::over(&bar(), SIZE, 4.0).unwrap();
    assert!(whole.vertices().len() < mesh.vertices().len());
}

#[test]
fn handles_that_move_equally_shift_and_two_turn_and_scale() {
    let mesh = Mesh::over(&legs(), SIZE, 6.0).unwrap();
    let rests = [[110.0, 60.0], [200.0, 70.0], [130.0, 250.0], [190.0, 250.0]];
    let by = [13.25_f32, -7.5];
    let moved = solve(&mesh, &rests.map(|p| (p, [p[0] + by[0], p[1] + by[1]])));
    for (rest, at) in mesh.vertices().iter().zip(&moved) {
        assert_eq!([rest[0] + by[0], rest[1] + by[1]], *at);
    }
    // A quarter turn about the first, at twice the size.
    let (a, b) = (rests[0], rests[1]);
    let turned = |p: [f32; 2]| [a[0] - 2.0 * (p[1] - a[1]), a[1] + 2.0 * (p[0] - a[0])];
    let found = solve(&mesh, &[(a, a), (b, turned(b))]);
    let wanted: Vec<_> = mesh.vertices().iter().map(|&p| turned(p)).collect();
    assert!(far(&found, &wanted) < 0.02, "{}", far(&found, &wanted));
    // More of them that say the same.
    let found = solve(&mesh, &rests.map(|p| (p, turned(p))));
    assert!(far(&found, &wanted) < 0.5, "{}", far(&found, &wanted));
    assert_eq!(solve(&mesh, &[]), mesh.vertices());
}

#[test]
fn handles_are_obeyed_where_they_can_be() {
    let mesh = Mesh::over(&bar(), SIZE, 6.0).unwrap();
    // A bar that is held at its left end and its middle, and whose right end is bent down.
    let handles = [
        ([110.0, 150.0], [110.0, 150.0]),
        ([190.0, 150.0], [190.0, 150.0]),
        ([290.0, 150.0], [265.0, 210.0]),
    ];
    let bent = solve(&mesh, &handles);
    for (rest, target) in handles {
        let anchor = mesh.anchor(rest);
        let mut at = [0.0; 2];
        for (v, weight) in anchor.vertices.into_iter().zip(anchor.weights) {
            at[0] += weight * bent[v as usize][0];
            at[1] += weight * bent[v as usize][1];
        }
        let off = (at[0] - target[0]).hypot(at[1] - target[1]);
        assert!(off < 1.0, "{rest:?}: off by {off}");
    }
}

#[test]
fn poses_turn_about_the_first_handle_and_the_first_frame_is_at_rest() {
    let start = [0.5, 0.5];
    let entity = Entity {
        mask: bar(),
        trajectory: Some(Trajectory::line(start, [0.6, 0.5])),
        poses: vec![Pose {
            t: 1.0,
            rotation: 90.0,
            scale: 0.5,
            depth: 0.0,
        }],
        ..Entity::default()
    };
    let Motion::Mesh { mesh, frames } = Motion::of(&entity, &Picture::default(), 5, SIZE) else {
        panic!("poses take a mesh");
    };
    assert_eq!(frames[0], mesh.vertices());
    let wanted: Vec<_> = mesh
        .vertices()
        .iter()
        .map(|p| [240.0 - 0.5 * (p[1] - 150.0), 150.0 + 0.5 * (p[0] - 200.0)])
        .collect();
    assert!(far(&frames[4], &wanted) < 0.01);
    let mut shifted = entity;
    shifted.poses.clear();
    let wanted = vec![[0.0, 0.0], [40.0, 0.0]];
    let near = |motion: Motion| match motion {
        Motion::Shift(offsets) => far(&offsets, &wanted) < 1e-3,
        Motion::Mesh { .. } => false,
    };
    assert!(near(Motion::of(&shifted, &Picture::default(), 2, SIZE)));
    shifted.handles = vec![Trajectory::line([0.3, 0.5], [0.4, 0.5])];
    assert!(near(Motion::of(&shifted, &Picture::default(), 2, SIZE)));
    shifted.mask = Mask::empty(4, 4);
    shifted.handles = vec![Trajectory::pin(0.3, 0.5)];
    assert!(
        near(Motion::of(&shifted, &Picture::default(), 2, SIZE)),
        "nothing to bend"
    );
}

/// Handles on and beside the shapes, their targets anywhere, on each other too.
fn wild() -> impl Strategy<Value = Vec<([f32; 2], [f32; 2])>> {
    let place = || (0.0f32..400.0, 0.0f32..300.0).prop_map(|(x, y)| [x, y]);
    let target = prop_oneof![
        8 => (-300.0f32..700.0, -300.0f32..600.0).prop_map(|(x, y)| [x, y]),
        2 => Just([200.0, 150.0]),
        1 => Just([f32::NAN, 4000.0]),
        1 => Just([3990.0, -2990.0]),
    ];
    prop::collection::vec((place(), target), 0..25)
}

proptest! {
    // The same cases everywhere: geometry that fails once in many thousands is looked for by hand, not by chance.
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(5),
        ..ProptestConfig::with_cases(48)
    })]

    #[test]
    fn nothing_folds_whatever_the_handles_say(handles in wild(), shape in 0usize..4) {
        let mesh = Arc::new(Mesh::over(&shapes()[shape], SIZE, 6.0).unwrap());
        let (rests, targets): (Vec<_>, Vec<_>) = handles.into_iter().unzip();
        let mut solver = Solver::new(mesh.clone(), &rests);
        let at = solver.step(&targets, &Pose::default());
        prop_assert!(at.iter().flatten().all(|v| v.is_finite()));
        let (now, rest) = (areas(&mesh, &at), areas(&mesh, mesh.vertices()));
        prop_assert!(now.iter().all(|a| *a > 0.0), "a triangle is folded");
        let sum = |areas: Vec<f32>| areas.iter().sum::<f32>();
        let ratio = sum(now) / sum(rest) / solver.scale().powi(2);
        prop_assert!((0.7..1.3).contains(&ratio), "{} of the area", ratio);
    }

    #[test]
    fn what_is_led_a_little_goes_on_a_little(
        ends in prop::collection::vec((-60.0f32..60.0, -60.0f32..60.0), 4),
        shape in 0usize..4,
    ) {
        let mesh = Arc::new(Mesh::over(&shapes()[shape], SIZE, 6.0).unwrap());
        let rests = [[110.0, 60.0], [200.0, 70.0], [130.0, 250.0], [250.0, 150.0]];
        let mut solver = Solver::new(mesh.clone(), &rests);
        let whole = |at: &[[f32; 2]]| areas(&mesh, at).iter().sum::<f32>();
        let mut before = mesh.vertices().to_vec();
        let steps = 60;
        for step in 0..=steps {
            let share = step as f32 / steps as f32;
            let targets: Vec<[f32; 2]> = rests
                .iter()
                .zip(&ends)
                .map(|(p, by)| [p[0] + by.0 * share, p[1] + by.1 * share])
                .collect();
            let at = solver.step(&targets, &Pose::default());
            if step == 0 {
                prop_assert_eq!(&at, &before);
            }
            // Handles go at most 1.5 pixels a step. Where they contradict each other a bound that begins to count moves more.
            let far = far(&at, &before);
            prop_assert!(far < 16.0, "step {}: {} pixels", step, far);
            let scale = solver.scale();
            let ratio = whole(&at) / whole(mesh.vertices()) / (scale * scale);
            prop_assert!((0.7..1.3).contains(&ratio), "step {}: {} of the area", step, ratio);
            prop_assert!(areas(&mesh, &at).iter().all(|a| *a > 0.0));
            before = at;
        }
    }
}

#[test]
fn along_a_cut_two_pieces_share_what_is_there() {
    let cut = |a: [f32; 2], b: [f32; 2]| (a[0] < 200.0) == (b[0] < 200.0) || a[1] > 160.0;
    let mesh = Mesh::cut(&bar(), SIZE, 4.0, cut).unwrap();
    let shares = |at: [f32; 2]| -> Vec<f32> {
        let over = |triangle: &usize| {
            let [a, b, c] = mesh.triangles()[*triangle].map(|v| mesh.vertices()[v as usize]);
            let side = |a: [f32; 2], b: [f32; 2]| {
                mesh::cross([b[0] - a[0], b[1] - a[1]], [at[0] - a[0], at[1] - a[1]])
            };
            let sides = [side(a, b), side(b, c), side(c, a)];
            sides.iter().all(|s| *s > 0.0) || sides.iter().all(|s| *s < 0.0)
        };
        let over = (0..mesh.triangles().len()).filter(over);
        over.map(|triangle| mesh.share(triangle, at)).collect()
    };
    let mut soft = 0;
    for step in 0..160 {
        let at = [190.03 + step as f32 * 0.13, 141.3];
        let found = shares(at);
        let sum: f32 = found.iter().sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum} of {found:?} at {at:?}");
        soft += usize::from(found.iter().any(|share| (0.1..0.9).contains(share)));
    }
    assert!((2..40).contains(&soft), "{soft} places between");
    let [left, right] = [180.2, 220.2].map(|x| shares([x, 141.3]));
    assert!(left.contains(&1.0) && right.contains(&1.0));
}

/// A thing that the lower border cuts off, in all of its width.
fn bust() -> Mask {
    mask(|x, y| (x - 200.0).abs() < 90.0 && y > 100.0)
}

/// A thing that is led in a straight line.
fn led_rig(mask: Mask, [from, to]: [[f32; 2]; 2]) -> Option<Rig> {
    let at = |[x, y]: [f32; 2]| [x / SIZE[0] as f32, y / SIZE[1] as f32];
    let path = Trajectory::line(at(from), at(to));
    let entity = Entity {
        mask,
        trajectory: Some(path),
        ..Entity::default()
    };
    Rig::of(&entity, &Picture::default(), SIZE)
}

#[test]
fn what_is_led_by_hand_goes_as_along_a_path() {
    let at = |[x, y]: [f32; 2]| [x / SIZE[0] as f32, y / SIZE[1] as f32];
    let held = |mask: &Mask, taken: &[[f32; 2]]| {
        let taken: Vec<[f32; 2]> = taken.iter().copied().map(at).collect();
        Rig::held(mask, None, &Picture::default(), SIZE, &taken)
    };
    // Within the picture, a single handle moves all of it.
    let ball = mask(|x, y| (x - 200.0).hypot(y - 150.0) < 60.0);
    assert!(held(&ball, &[[200.0, 150.0]]).is_none());
    let mut two = held(&ball, &[[160.0, 150.0], [240.0, 150.0]]).unwrap();
    assert_eq!(two.lead(&[[170.0, 155.0], [250.0, 155.0]].map(at)), None);
    let turned = two.lead(&[[160.0, 150.0], [200.0, 190.0]].map(at));
    let turned = turned.unwrap();
    let moved = |vertices: &[[f32; 2]], rest: &[[f32; 2]]| {
        let way = |(a, b): (&[f32; 2], &[f32; 2])| (a[0] - b[0]).hypot(a[1] - b[1]);
        vertices.iter().zip(rest).map(way).fold(0.0, f32::max)
    };
    assert!(moved(&turned, two.mesh().vertices()) > 30.0);

    let (from, to) = ([200.0, 150.0], [220.0, 110.0]);
    let mut rig = held(&bust(), &[from]).unwrap();
    // Along the border it goes as it is, away from it it is stretched, as its path will stretch it.
    assert_eq!(rig.lead(&[at([230.0, 150.0])]), None);
    let led = rig.lead(&[at(to)]).unwrap();
    let along = led_rig(bust(), [from, to]).unwrap().at(1.0);
    assert!(moved(&led, &along) < 0.5, "{}", moved(&led, &along));
    assert!(moved(&led, rig.mesh().vertices()) > 30.0);
}

#[test]
fn what_the_border_cuts_off_stays_there_while_the_rest_moves_in() {
    let mut rig = led_rig(bust(), [[200.0, 150.0], [220.0, 110.0]]).unwrap();
    let rest = rig.mesh().vertices().to_vec();
    assert_eq!(rig.at(0.0), rest);
    let (half, end) = (rig.at(0.5), rig.at(1.0));
    for ((rest, half), end) in rest.iter().zip(half).zip(&end) {
        // Along the border it goes as it is led.
        assert!((end[0] - rest[0] - 20.0).abs() < 1e-3);
        let up = rest[1] - end[1];
        if rest[1] >= 300.0 {
            assert!(up < 1.0, "{rest:?} {end:?} shows what is beyond");
        } else if rest[1] <= 150.0 {
            assert!((up - 40.0).abs() < 1e-3, "above the handle all of it moves");
        } else {
            assert!((0.0..=40.0).contains(&up));
        }
        assert!(rest[1] - half[1] <= up + 1e-3);
    }
    assert!(areas(rig.mesh(), &end).iter().all(|area| *area > 0.0));
}

#[test]
fn what_goes_along_the_border_or_beyond_it_is_only_moved() {
    for to in [[260.0, 150.0], [200.0, 200.0], [150.0, 260.0]] {
        assert!(led_rig(bust(), [[200.0, 150.0], to]).is_none(), "{to:?}");
    }
    // A foot on the border is not cut off; a leg is.
    let on_legs = |foot: f32| {
        mask(move |x, y| {
            let leg = (x - 200.0).abs() < if y > 290.0 { foot } else { 15.0 };
            (x - 200.0).abs() < 90.0 && (60.0..250.0).contains(&y) || leg && y > 60.0
        })
    };
    let up = [[200.0, 150.0], [200.0, 110.0]];
    assert!(led_rig(on_legs(30.0), up).is_none() && led_rig(on_legs(8.0), up).is_none());
    assert!(led_rig(on_legs(15.0), up).is_some());
}

#[test]
fn a_thing_that_is_drawn_far_is_not_stretched_for_ever() {
    let mut rig = led_rig(bust(), [[200.0, 270.0], [200.0, 60.0]]).unwrap();
    let rest = rig.mesh().vertices().to_vec();
    let end = rig.at(1.0);
    // Half of the 30 pixels between handle and border is held back.
    for (rest, end) in rest.iter().zip(&end) {
        let up = rest[1] - end[1];
        assert!((194.9..=210.1).contains(&up), "{rest:?} {end:?}");
    }
    let (area, was) = (areas(rig.mesh(), &end), areas(rig.mesh(), &rest));
    assert!(
        area.iter()
            .zip(was)
            .all(|(area, was)| *area > 0.0 && *area < 3.0 * was)
    );
}
