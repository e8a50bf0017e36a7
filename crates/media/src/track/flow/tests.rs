use super::*;

/// A patterned disc of radius 12 that moves, turns and grows over waves; where `bar` says, something covers it.
fn film(
    pose: impl Fn(usize) -> ([f32; 2], f32, f32),
    frames: usize,
    bar: &[usize],
) -> (Video, Mask) {
    let (w, h) = (96u32, 72u32);
    let local = |p: [f32; 2], pose: ([f32; 2], f32, f32)| {
        let (dx, dy) = ((p[0] - pose.0[0]) / pose.2, (p[1] - pose.0[1]) / pose.2);
        let (s, c) = pose.1.sin_cos();
        [c * dx + s * dy, c * dy - s * dx]
    };
    let render = |k: usize| -> Vec<u8> {
        let at = pose(k);
        (0..w * h)
            .flat_map(|i| {
                let p = [(i % w) as f32 + 0.5, (i / w) as f32 + 0.5];
                let q = local(p, at);
                let r = q[0].hypot(q[1]);
                if bar.contains(&k) && (p[0] - at.0[0]).abs() < 16.0 {
                    return [20, 20 + (p[1] as u8 % 8) * 9, 120];
                }
                let wave = |a: f32, b: f32| (120.0 + 60.0 * (p[0] * a + p[1] * b).sin()) as u8;
                if r < 12.0 {
                    let v = 127.0 + 60.0 * (q[0] * 0.7).sin() + 60.0 * (q[1] * 0.55 + 1.0).cos();
                    [v as u8, 255 - v as u8, 60]
                } else {
                    [wave(0.3, 0.1), wave(-0.1, 0.25), 90]
                }
            })
            .collect()
    };
    let video = Video {
        width: w,
        height: h,
        fps: 8,
        frames: (0..frames).map(render).collect(),
    };
    let centre = pose(0).0;
    let mut mask = Mask::empty(w, h);
    for (i, a) in mask.alpha.iter_mut().enumerate() {
        let p = [(i as u32 % w) as f32 + 0.5, (i as u32 / w) as f32 + 0.5];
        *a = if distance(p, centre) < 12.0 { 255 } else { 0 };
    }
    (video, mask)
}

fn run(video: &Video, mask: &Mask) -> EntityTrack {
    track(video, &[("disc".into(), mask.clone())])
        .unwrap()
        .entities
        .remove(0)
}

#[test]
fn follows_what_moves_turns_and_grows() {
    let pose = |k: usize| {
        let t = k as f32;
        (
            [30.0 + 4.0 * t, 30.0 + 1.5 * t - 0.1 * t * t],
            0.08 * t,
            1.0 + 0.02 * t,
        )
    };
    let (video, mask) = film(pose, 10, &[]);
    let found = run(&video, &mask);
    assert!((found.radius - 12.0).abs() < 1.5, "{}", found.radius);
    let start = found.points[0];
    for (k, at) in found.points.iter().enumerate() {
        // The circle's centre is a pixel's, not the disc's own.
        let (p, angle, scale) = pose(k);
        let (s, c) = angle.sin_cos();
        let (dx, dy) = (start[0] - 30.0, start[1] - 30.0);
        let truth = [
            p[0] + scale * (c * dx - s * dy),
            p[1] + scale * (s * dx + c * dy),
        ];
        assert!(
            distance(*at, truth) < 0.3,
            "frame {k}: {at:?} for {truth:?}"
        );
    }
    assert!(found.visible.iter().all(|v| *v));
}

#[test]
fn knows_when_it_is_hidden_and_finds_it_again() {
    let pose = |k: usize| ([28.0 + 3.0 * k as f32, 36.0], 0.0, 1.0);
    let (video, mask) = film(pose, 10, &[4, 5]);
    let found = run(&video, &mask);
    let hidden: Vec<_> = (0..10).filter(|k| !found.visible[*k]).collect();
    assert_eq!(hidden, [4, 5]);
    for k in [3, 6, 9] {
        let off = found.points[k][0] - found.points[0][0] - 3.0 * k as f32;
        assert!(off.abs() < 0.4, "frame {k}: {off}");
    }
}

#[test]
fn what_leaves_the_frame_is_not_seen() {
    let pose = |k: usize| ([70.0 + 5.0 * k as f32, 36.0], 0.0, 1.0);
    let (video, mask) = film(pose, 9, &[]);
    let found = run(&video, &mask);
    assert!(found.visible[..4].iter().all(|v| *v), "{:?}", found.visible);
    assert!(found.visible[6..].iter().all(|v| !v), "{:?}", found.visible);
}

#[test]
fn flat_frames_and_empty_masks() {
    let video = Video {
        width: 40,
        height: 30,
        fps: 8,
        frames: vec![vec![90; 40 * 30 * 3]; 3],
    };
    let mut mask = Mask::empty(40, 30);
    let error = track(&video, &[("cup".into(), mask.clone())]).unwrap_err();
    assert!(error.to_string().contains("cup") && error.to_string().contains("nothing inside"));
    mask.brush([0.5, 0.5], [0.5, 0.5], 0.2, true);
    // Nothing to hold on to: it stays where it was, and says that it does not know.
    let found = run(&video, &mask);
    assert!(distance(found.points[2], found.points[0]) < 1e-3);
    assert!(!found.visible[2]);
    assert!(track(&Video::default(), &[]).is_err());
}
