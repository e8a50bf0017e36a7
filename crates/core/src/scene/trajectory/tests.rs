use super::*;
use proptest::prelude::*;

fn path(points: &[(f32, f32, f32)]) -> Trajectory {
    Trajectory {
        points: points
            .iter()
            .map(|&(x, y, t)| TrajectoryPoint::new(x, y, t))
            .collect(),
    }
}

fn near(a: [f32; 2], b: [f32; 2]) -> bool {
    (a[0] - b[0]).abs() < 1e-4 && (a[1] - b[1]).abs() < 1e-4
}

#[test]
fn a_line_is_sampled_at_constant_speed() {
    let line = Trajectory::line([0.2, 0.8], [0.6, 0.0]);
    let samples = line.sample(5);
    for (i, s) in samples.iter().enumerate() {
        assert!(
            near(*s, [0.2 + 0.1 * i as f32, 0.8 - 0.2 * i as f32]),
            "{samples:?}"
        );
    }
    assert!(near(line.offsets(5)[4], [0.4, -0.8]));
    assert!(near(line.offsets(5)[0], [0.0, 0.0]));
    assert_eq!(line.sample(0).len(), 0);
    assert!(near(line.sample(1)[0], [0.2, 0.8]));
}

#[test]
fn it_passes_its_points_on_time_and_waits_where_it_is_held() {
    let held = path(&[
        (0.1, 0.1, 0.0),
        (0.5, 0.2, 0.25),
        (0.5, 0.2, 0.75),
        (0.9, 0.9, 1.0),
    ]);
    for p in &held.points {
        assert!(near(held.position(p.t), [p.x, p.y]));
    }
    for t in [0.3, 0.5, 0.7] {
        assert!(
            near(held.position(t), [0.5, 0.2]),
            "moves while held at {t}"
        );
    }
    let late = path(&[(0.1, 0.1, 0.5), (0.5, 0.1, 1.0)]);
    assert!(near(late.offsets(3)[1], [0.0, 0.0]) && near(late.position(0.0), [0.1, 0.1]));
}

#[test]
fn a_circle_of_eight_points_is_round() {
    let circle = path(
        &(0..=8)
            .map(|i| {
                let a = i as f32 / 8.0 * std::f32::consts::TAU;
                (0.5 + 0.3 * a.cos(), 0.5 + 0.3 * a.sin(), i as f32 / 8.0)
            })
            .collect::<Vec<_>>(),
    );
    for p in circle.polyline(8) {
        let r = (p[0] - 0.5).hypot(p[1] - 0.5);
        assert!((r - 0.3).abs() < 0.03, "{r}");
    }
}

#[test]
fn pins_and_missing_timing() {
    assert!(Trajectory::pin(0.3, 0.4).is_pin());
    assert!(path(&[(0.3, 0.4, 0.0), (0.3, 0.4, 1.0)]).is_pin());
    assert!(!Trajectory::line([0.0, 0.0], [0.1, 0.0]).is_pin());
    assert!(near(Trajectory::pin(0.3, 0.4).sample(7)[6], [0.3, 0.4]));
    // Four equal times: constant speed along the way.
    let untimed = path(&[(0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.4, 0.0, 0.0)]);
    let times: Vec<f32> = untimed.cleaned().points.iter().map(|p| p.t).collect();
    assert!(
        (times[1] - 0.25).abs() < 1e-5 && times[2] == 1.0,
        "{times:?}"
    );
    assert!(Trajectory::default().is_pin());
    assert_eq!(Trajectory::default().sample(3), [[0.5, 0.5]; 3]);
}

#[test]
fn the_grabbed_pixel_and_the_end_survive_duplicate_times() {
    let t = path(&[
        (0.1, 0.1, 0.0),
        (0.2, 0.1, 0.0),
        (0.5, 0.5, 1.0),
        (0.6, 0.6, 1.0),
    ])
    .cleaned();
    assert_eq!(t.points.len(), 2);
    assert!(near(t.start(), [0.1, 0.1]) && near(t.position(1.0), [0.6, 0.6]));
    // Times that run backwards are brought into order without reordering the path.
    let back = path(&[(0.0, 0.0, 0.5), (0.3, 0.0, 0.2), (0.6, 0.0, 0.9)]).cleaned();
    assert_eq!(back.points.len(), 2);
    assert!(near(back.position(1.0), [0.6, 0.0]));
}

#[test]
fn a_drag_becomes_a_few_points_with_its_rhythm() {
    // Quickly to the middle, a rest, slowly on along a quarter circle.
    let mut drag = Vec::new();
    for i in 0..200 {
        let s = i as f64 / 199.0;
        let (x, y) = if s < 0.2 {
            (0.1 + 2.0 * s, 0.5)
        } else if s < 0.5 {
            (0.5, 0.5)
        } else {
            let a = (s - 0.5) * std::f64::consts::PI;
            (0.5 + 0.3 * a.sin(), 0.2 + 0.3 * a.cos())
        };
        drag.push(DragPoint {
            x: x as f32,
            y: y as f32,
            time: 1000.0 + 3000.0 * s,
        });
    }
    let t = Trajectory::from_drag(&drag, 0.005, 1.5).unwrap();
    assert!(
        (4..=20).contains(&t.points.len()),
        "{} points",
        t.points.len()
    );
    for p in &drag {
        let at = t.position(((p.time - 1000.0) / 3000.0) as f32);
        // Twice the tolerance, in units of the longer side.
        assert!(
            (at[0] - p.x).hypot((at[1] - p.y) / 1.5) < 0.0101,
            "{p:?} became {at:?}"
        );
    }
    assert!(
        Trajectory::from_drag(&drag[..1], 0.005, 1.0)
            .unwrap()
            .is_pin()
    );
    assert!(Trajectory::from_drag(&[], 0.005, 1.0).is_none());
    let nan = DragPoint {
        x: f32::NAN,
        y: 0.0,
        time: 0.0,
    };
    assert!(Trajectory::from_drag(&[nan], 0.005, 1.0).is_none());
}

#[test]
fn moving_and_leaving() {
    let t = Trajectory::line([0.2, 0.2], [0.9, 0.2]);
    assert!(!t.leaves_frame(8));
    let moved = t.moved_to(0.5, 0.5);
    assert!(moved.leaves_frame(8) && near(moved.start(), [0.5, 0.5]));
    assert!(near(moved.offsets(2)[1], t.offsets(2)[1]));
}

proptest! {
    /// Whatever the points, sampling gives finite numbers inside the hull of the cleaned points.
    #[test]
    fn any_points_are_sampled_without_overshoot(
        points in prop::collection::vec((any::<f32>(), any::<f32>(), any::<f32>()), 0..40),
        mild in prop::collection::vec((-1f32..2.0, -1f32..2.0, 0f32..1.0), 0..40),
        frames in 0usize..40,
    ) {
        for t in [path(&points), path(&mild)] {
            let clean = t.cleaned();
            prop_assert!(!clean.points.is_empty());
            prop_assert!(clean.points.windows(2).all(|p| p[0].t < p[1].t));
            let bounds = |f: fn(&TrajectoryPoint) -> f32| {
                clean.points.iter().map(f).fold((f32::MAX, f32::MIN), |b, v| (b.0.min(v), b.1.max(v)))
            };
            let (x, y) = (bounds(|p| p.x), bounds(|p| p.y));
            let samples = t.sample(frames);
            prop_assert_eq!(samples.len(), frames);
            for s in samples {
                // Rounding in f32 over a range of 20: 1e-3 is far above it and far below a pixel's width of a jump.
                prop_assert!(s[0] >= x.0 - 1e-3 && s[0] <= x.1 + 1e-3 && s[1] >= y.0 - 1e-3 && s[1] <= y.1 + 1e-3);
            }
            prop_assert!(!t.simplified(0.01, 1.3).points.is_empty());
            prop_assert!(t.polyline(3).iter().flatten().all(|v| v.is_finite()));
        }
    }

    /// Cleaning what is clean changes nothing.
    #[test]
    fn cleaning_twice_is_cleaning_once(points in prop::collection::vec((any::<f32>(), -1f32..2.0, -0.5f32..1.5), 0..40)) {
        let once = path(&points).cleaned();
        prop_assert_eq!(once.cleaned(), once);
    }
}

#[test]
fn what_is_led_along_keeps_what_it_does_beside() {
    let before = Trajectory::line([0.2, 0.2], [0.4, 0.2]);
    let own = Trajectory::line([0.6, 0.6], [0.8, 0.7]);
    // It went 0.2 to the right with the other, and 0.1 down by itself.
    let now = Trajectory {
        points: [(0.2, 0.2, 0.0), (0.2, 0.5, 0.5), (0.1, 0.5, 1.0)]
            .map(|(x, y, t)| TrajectoryPoint::new(x, y, t))
            .into(),
    };
    let led = own.led_along(&before, &now);
    assert_eq!(led.start(), [0.6, 0.6]);
    for (t, [x, y]) in [(0.5, [0.6, 0.95]), (1.0, [0.5, 1.0])] {
        let at = led.position(t);
        assert!((at[0] - x).hypot(at[1] - y) < 1e-3, "{t}: {at:?}");
    }
    let same = own.led_along(&before, &before);
    for t in [0.0, 0.3, 1.0] {
        let (a, b) = (same.position(t), own.position(t));
        assert!((a[0] - b[0]).hypot(a[1] - b[1]) < 1e-4, "{t}");
    }
}
