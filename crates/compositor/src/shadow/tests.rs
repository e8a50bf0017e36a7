use super::*;
use crate::frames::{Composition, Layer};
use dragentity_core::scene::Shadow;
use dragentity_core::scene::bend::Motion;

const WIDTH: usize = 160;
const HEIGHT: usize = 120;

/// What is at a pixel: 0 the ground, 1 the thing, 2 its shadow, 3 something dark and of one colour.
type Kinds = fn(usize, usize) -> u8;

/// The ground's light: patches of 8 pixels that differ by up to `spread`, with fine grain.
fn ground(x: usize, y: usize, spread: usize) -> f32 {
    let patch = (y / 8 * 31 + x / 8) * 7919;
    let grain = (y * 131 + x * 37) * 7919 % 11;
    140.0 + (patch % spread) as f32 - spread as f32 / 2.0 + grain as f32
}

/// A red thing on such ground; given back with what the thing covers.
fn scene(spread: usize, kinds: Kinds) -> (Picture, Vec<f32>) {
    let (mut rgb, mut covered) = (Vec::new(), Vec::new());
    for at in 0..WIDTH * HEIGHT {
        let (x, y) = (at % WIDTH, at / WIDTH);
        let (kind, ground) = (kinds(x, y), ground(x, y, spread));
        let (lit, dark) = (ground as u8, (0.5 * ground) as u8);
        rgb.extend(match kind {
            1 => [200, 20, 20],
            2 => [dark; 3],
            3 => [70, 70, 70],
            _ => [lit; 3],
        });
        covered.push(if kind == 1 { 1.0 } else { 0.0 });
    }
    let picture = Picture::from_rgb(WIDTH as u32, HEIGHT as u32, rgb).unwrap();
    (picture, covered)
}

fn mask(covered: &[f32]) -> Mask {
    let alpha = covered.iter().map(|&c| (c * 255.0) as u8).collect();
    Mask::from_alpha(WIDTH as u32, HEIGHT as u32, alpha).unwrap()
}

/// A box with a shadow to its right, at its foot.
fn at_its_foot(x: usize, y: usize) -> u8 {
    if (60..100).contains(&x) && (30..80).contains(&y) {
        1
    } else if (60..120).contains(&x) && (74..86).contains(&y) {
        2
    } else {
        0
    }
}

/// A box seen from above, with a shadow above it and to its left: nowhere near its lower end.
fn above(x: usize, y: usize) -> u8 {
    if (60..100).contains(&x) && (50..90).contains(&y) {
        1
    } else if (45..85).contains(&x) && (35..75).contains(&y) {
        2
    } else {
        0
    }
}

/// How much of what is of a kind was found, and how much of what was found is not of it, by its own number of pixels: its rim is
/// half lit where it is looked at.
fn shares(found: &[bool], kinds: Kinds, kind: u8) -> (f32, f32) {
    let (mut all, mut hit, mut wrong) = (0.0_f32, 0.0, 0.0);
    for (at, &found) in found.iter().enumerate() {
        let is = kinds(at % WIDTH, at / WIDTH) == kind;
        all += f32::from(is);
        hit += f32::from(is && found);
        wrong += f32::from(!is && found);
    }
    (hit / all, wrong / all)
}

/// A box on ground that is dark along the picture's lower border, up to its foot.
fn on_a_dark_edge(x: usize, y: usize) -> u8 {
    if (60..100).contains(&x) && (62..118).contains(&y) {
        1
    } else if y >= 116 {
        2
    } else {
        0
    }
}

#[test]
fn dark_ground_along_the_border_is_no_shadow() {
    let (picture, covered) = scene(6, on_a_dark_edge);
    assert!(contact::found(&picture, &covered).is_none());
    assert!(found(&picture, &covered, &[]).is_none());
}

#[test]
fn what_is_cast_is_found_on_any_side_and_over_textured_ground() {
    for kinds in [at_its_foot as Kinds, above] {
        for spread in [1, 9, 30] {
            let (picture, covered) = scene(spread, kinds);
            let shadow = found(&picture, &covered, &[]).unwrap();
            let (hit, wrong) = shares(&shadow, kinds, 2);
            assert!(hit > 0.8 && wrong < 0.25, "{spread}: {hit}, {wrong}");
        }
    }
}

fn bare(x: usize, y: usize) -> u8 {
    at_its_foot(x, y) % 2
}

/// Something dark and even that touches the thing above its foot.
fn beside(x: usize, y: usize) -> u8 {
    match bare(x, y) {
        0 if (96..130).contains(&x) && (20..50).contains(&y) => 3,
        other => other,
    }
}

/// Ground that is dark all around.
fn around(x: usize, y: usize) -> u8 {
    match bare(x, y) {
        0 if (30..130).contains(&x) && (10..110).contains(&y) => 2,
        other => other,
    }
}

#[test]
fn nothing_is_found_where_nothing_is_cast() {
    for (kinds, what) in [
        (bare as Kinds, "bare"),
        (beside, "beside"),
        (around, "around"),
    ] {
        for spread in [9, 30] {
            let (picture, covered) = scene(spread, kinds);
            assert!(found(&picture, &covered, &[]).is_none(), "{what} {spread}");
        }
    }
    // Another thing is no shadow, be it as dark as one.
    let (picture, covered) = scene(9, above);
    let other = (0..WIDTH * HEIGHT).map(|at| above(at % WIDTH, at / WIDTH) == 2);
    let other: Vec<f32> = other.map(|is| if is { 1.0 } else { 0.0 }).collect();
    assert!(found(&picture, &covered, &[mask(&other)]).is_none());
    for covered in [vec![1.0; WIDTH * HEIGHT], vec![0.0; WIDTH * HEIGHT]] {
        assert!(found(&picture, &covered, &[]).is_none());
    }
}

#[test]
fn a_click_finds_what_is_dark_there() {
    let (picture, covered) = scene(9, above);
    let thing = mask(&covered);
    let place = |x: f32, y: f32| [x / WIDTH as f32, y / HEIGHT as f32];
    let region = at(&picture, &thing, place(50.0, 40.0)).unwrap();
    let inside: Vec<bool> = region.alpha.iter().map(|&a| a >= 128).collect();
    let (hit, wrong) = shares(&inside, above, 2);
    assert!(hit > 0.8 && wrong < 0.25, "{hit}, {wrong}");
    // The thing itself is none, and what lies outside of the picture is nothing.
    for place in [place(80.0, 70.0), [-0.1, 0.5], [0.5, 1.0], [f32::NAN, 0.5]] {
        assert!(at(&picture, &thing, place).is_none(), "{place:?}");
    }
}

#[test]
fn a_shade_darkens_where_it_goes() {
    let (picture, covered) = scene(1, at_its_foot);
    let shadow = found(&picture, &covered, &[]).unwrap();
    let plate = Picture {
        rgb: vec![140; WIDTH * HEIGHT * 3].into(),
        ..picture
    };
    let shade = Shade::new(&picture, &plate, &shadow, &covered).unwrap();
    let mut frame = plate.rgb.to_vec();
    shade.lay_over(&mut frame, WIDTH, HEIGHT, [10.5, -20.0]);
    let light = |x: usize, y: usize| frame[(y * WIDTH + x) * 3];
    assert!((60..=85).contains(&light(121, 60)), "{}", light(121, 60));
    assert_eq!((light(110, 90), light(20, 20)), (140, 140));
}

#[test]
fn a_shade_that_the_border_cuts_off_goes_on_beyond_it() {
    let kinds: Kinds = |x, y| match (x, y) {
        (10..50, 30..70) => 1,
        (0..30, 60..80) => 2,
        _ => 0,
    };
    let (picture, covered) = scene(1, kinds);
    let shadow = (0..WIDTH * HEIGHT).map(|at| kinds(at % WIDTH, at / WIDTH) == 2);
    let plate = Picture {
        rgb: vec![145; WIDTH * HEIGHT * 3].into(),
        ..picture
    };
    let shade = Shade::new(&picture, &plate, &shadow.collect::<Vec<_>>(), &covered).unwrap();
    let mut frame = plate.rgb.to_vec();
    shade.lay_over(&mut frame, WIDTH, HEIGHT, [60.0, 0.0]);
    let light = |x: usize| i32::from(frame[(76 * WIDTH + x) * 3]);
    // Where the border was nothing is to be seen of it, and further on it ends.
    assert!(
        (light(58) - light(62)).abs() < 12,
        "{} {}",
        light(58),
        light(62)
    );
    assert!(
        light(58) < 100 && light(30) == 145,
        "{} {}",
        light(58),
        light(30)
    );
}

fn composed(shadow: Shadow) -> (Picture, Mask, Vec<u8>) {
    let (picture, covered) = scene(9, above);
    let layer = Layer {
        mask: mask(&covered),
        motion: Motion::Shift(vec![[0.0; 2], [40.0, 10.0]]),
        depths: Vec::new(),
        shadow,
    };
    let mut made = Composition::new(picture.clone(), vec![layer], Vec::new());
    while made.advance() {}
    let hole = made.hole().unwrap();
    let green = Picture {
        rgb: [0, 200, 0].repeat(4).into(),
        width: 2,
        height: 2,
    };
    made.set_own_plate(&green);
    assert_eq!(
        made.frame(0),
        *picture.rgb,
        "the first frame is the picture"
    );
    let frame = made.frame(1);
    (picture, hole, frame)
}

#[test]
fn who_says_what_the_shadow_is_is_obeyed() {
    let marked = |x0: usize| {
        let alpha = (0..WIDTH * HEIGHT).map(|at| {
            let is = (x0..x0 + 8).contains(&(at % WIDTH)) && (100..110).contains(&(at / WIDTH));
            u8::from(is) * 255
        });
        let (width, height) = (WIDTH as u32, HEIGHT as u32);
        Shadow::Marked(Mask::from_alpha(width, height, alpha.collect()).unwrap())
    };
    for (shadow, own_goes, marked_goes) in [
        (Shadow::Found, true, false),
        (Shadow::None, false, false),
        (marked(30), false, true),
    ] {
        let (picture, hole, frame) = composed(shadow.clone());
        let hidden = |x: usize, y: usize| hole.alpha[y * WIDTH + x] > 0;
        assert_eq!(hidden(50, 40), own_goes, "{shadow:?}");
        assert_eq!(hidden(34, 105), marked_goes, "{shadow:?}");
        // Outside of the hole, and where nothing has come, the picture's own pixels are shown; within it the plate that was brought.
        for at in 0..WIDTH * HEIGHT {
            let (x, y) = (at % WIDTH, at / WIDTH);
            let come = (70..WIDTH).contains(&x) && (30..HEIGHT).contains(&y);
            if come {
                continue;
            }
            let pixel = &frame[at * 3..at * 3 + 3];
            match hidden(x, y) {
                true => assert_eq!(pixel, [0, 200, 0], "{shadow:?} {x},{y}"),
                false => assert_eq!(
                    pixel,
                    &picture.rgb[at * 3..at * 3 + 3],
                    "{shadow:?} {x},{y}"
                ),
            }
        }
    }
}

#[test]
fn holes_are_filled_from_where_somebody_says() {
    let (picture, covered) = scene(9, above);
    let layer = Layer {
        mask: mask(&covered),
        motion: Motion::Shift(vec![[0.0; 2], [40.0, 10.0]]),
        depths: Vec::new(),
        shadow: Shadow::None,
    };
    let mut from = Mask::empty(WIDTH as u32 / 2, HEIGHT as u32 / 2);
    from.brush([0.1, 0.9], [0.9, 0.9], 0.05, true);
    let made = Composition::new(picture, vec![layer], Vec::new());
    let mut made = made.filled_from(&from);
    while made.advance() {}
    let source = made.source();
    assert!(source.contains(0.5, 0.9) && !source.contains(0.1, 0.1));
    assert!(
        !source.contains(0.5, 0.55),
        "nothing is filled from the thing"
    );
}

/// Ground that gets lighter to the right, with grain, and a red box on it that takes light from what is near it: the picture, what
/// the box covers, and the ground without it.
fn softly_lit(missing: impl Fn(f32) -> f32) -> (Picture, Vec<f32>, Picture) {
    let (mut rgb, mut lit, mut covered) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..WIDTH * HEIGHT {
        let (x, y) = (at % WIDTH, at / WIDTH);
        let is = (60..100).contains(&x) && (40..80).contains(&y);
        let outside = |v: usize, from: usize, to: usize| {
            (from as f32 - v as f32)
                .max(v as f32 - (to as f32 - 1.0))
                .max(0.0)
        };
        let away = outside(x, 60, 100).hypot(outside(y, 40, 80));
        let grain = ((y * 131 + x * 37) * 7919 % 7) as f32;
        let own = [1.0, 0.95, 0.85].map(|tint| (150.0 + 0.3 * x as f32 + grain) * tint);
        let dark = (-missing(away)).exp();
        rgb.extend(own.map(|v| if is { 0 } else { (v * dark).round() as u8 }));
        lit.extend(own.map(|v| v.round() as u8));
        covered.push(if is { 1.0 } else { 0.0 });
        if is {
            let last = rgb.len() - 3;
            rgb[last..].copy_from_slice(&[200, 20, 20]);
        }
    }
    let picture = |rgb| Picture::from_rgb(WIDTH as u32, HEIGHT as u32, rgb).unwrap();
    (picture(rgb), covered, picture(lit))
}

#[test]
fn light_that_is_missing_softly_is_given_back() {
    let (picture, covered, ground) = softly_lit(|away| 0.4 * (-away / 6.0).exp());
    assert!(found(&picture, &covered, &[]).is_none(), "it has no edge");
    let missing = soft(&picture, &covered, None, &[]).unwrap();
    let lit = lit(&picture, &missing);
    let off = |made: &Picture, at: usize| {
        i32::from(made.rgb[3 * at + 1]).abs_diff(i32::from(ground.rgb[3 * at + 1]))
    };
    let beside: Vec<usize> = (0..covered.len())
        .filter(|at| covered[*at] == 0.0 && (40..120).contains(&(at % WIDTH)))
        .filter(|at| (20..100).contains(&(at / WIDTH)))
        .collect();
    let mean = |made: &Picture| {
        let all: u32 = beside.iter().map(|&at| off(made, at)).sum();
        all as f32 / beside.len() as f32
    };
    let (before, after) = (mean(&picture), mean(&lit));
    assert!(before > 8.0 && after < 3.0, "{before} {after}");
    // What is far away is as it was.
    assert_eq!(lit.rgb[..30], picture.rgb[..30]);
}

#[test]
fn soft_shadows_go_along_and_leave_the_ground_lit() {
    let (picture, covered, ground) = softly_lit(|away| 0.4 * (-away / 6.0).exp());
    let layer = Layer {
        mask: mask(&covered),
        motion: Motion::Shift(vec![[0.0; 2], [50.0, 0.0]]),
        depths: Vec::new(),
        shadow: Shadow::Found,
    };
    let mut made = Composition::new(picture.clone(), vec![layer], Vec::new());
    while made.advance() {}
    made.set_own_plate(&ground);
    assert_eq!(
        made.frame(0),
        *picture.rgb,
        "the first frame is the picture"
    );
    let frame = made.frame(1);
    let light = |rgb: &[u8], x: usize, y: usize| i32::from(rgb[3 * (y * WIDTH + x) + 1]);
    // Beside where it was, and beside where it is.
    for (x, y, dark) in [(55, 60, false), (80, 85, false), (130, 86, true)] {
        let (own, now) = (light(&ground.rgb, x, y), light(&frame, x, y));
        match dark {
            true => assert!(own - now > 20, "{x},{y}: {now} of {own}"),
            false => assert!((own - now).abs() < 10, "{x},{y}: {now} of {own}"),
        }
    }
}

#[test]
fn what_does_not_fade_is_no_soft_shadow() {
    // A dark band around it that ends at once, light that falls off across the whole picture, and nothing at all.
    let band = |away: f32| if away < 10.0 { 0.3 } else { 0.0 };
    let wide = |away: f32| 0.4 - away / 300.0;
    let ways: [&dyn Fn(f32) -> f32; 3] = [&band, &wide, &|_| 0.0];
    for (which, way) in ways.into_iter().enumerate() {
        let (picture, covered, _) = softly_lit(way);
        assert!(soft(&picture, &covered, None, &[]).is_none(), "{which}");
    }
    // Neither is what is dark among the varied colours of a lawn.
    let (picture, covered) = scene(60, bare);
    assert!(soft(&picture, &covered, None, &[]).is_none());
}
