use super::{Filling, Guide, fill};
use dragentity_core::scene::{Mask, Picture};
use dragentity_core::{Cancel, Error};

/// A picture whose pixels `colour` gives.
fn picture(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> Picture {
    let rgb = (0..width * height)
        .flat_map(|at| colour(at % width, at / width))
        .collect();
    Picture::from_rgb(width, height, rgb).unwrap()
}

/// A mask of what `inside` tells.
fn mask(width: u32, height: u32, inside: impl Fn(u32, u32) -> bool) -> Mask {
    let alpha = (0..width * height).map(|at| u8::from(inside(at % width, at / width)) * 255);
    Mask::from_alpha(width, height, alpha.collect()).unwrap()
}

/// A disc of `radius` around (x, y).
fn disc(width: u32, height: u32, x: u32, y: u32, radius: u32) -> Mask {
    mask(width, height, |px, py| {
        px.abs_diff(x).pow(2) + py.abs_diff(y).pow(2) <= radius * radius
    })
}

fn filled(picture: &Picture, hole: &Mask, source: Option<&Mask>) -> Picture {
    fill(picture, hole, source, &Cancel::new(), &mut |_, _| {}).unwrap()
}

/// `picture` with red where the hole is: what is hidden must have no part in anything.
fn hidden(picture: &Picture, hole: &Mask) -> Picture {
    let mut rgb = picture.rgb.to_vec();
    for (pixel, &alpha) in rgb.chunks_exact_mut(3).zip(&hole.alpha) {
        if alpha > 0 {
            pixel.copy_from_slice(&[255, 0, 0]);
        }
    }
    Picture::from_rgb(picture.width, picture.height, rgb).unwrap()
}

/// The mean absolute difference of two pictures over a mask, in levels.
fn error(a: &Picture, b: &Picture, hole: &Mask) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for ((a, b), &alpha) in a
        .rgb
        .chunks_exact(3)
        .zip(b.rgb.chunks_exact(3))
        .zip(&hole.alpha)
    {
        if alpha > 0 {
            sum += a
                .iter()
                .zip(b)
                .map(|(&a, &b)| f64::from(a.abs_diff(b)))
                .sum::<f64>()
                / 3.0;
            count += 1.0;
        }
    }
    sum / count
}

/// Something like gravel: no two places are alike.
fn rough(x: u32, y: u32) -> [u8; 3] {
    let mixed =
        (x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77)).wrapping_mul(0xC2B2_AE3D);
    let grey = 100 + (mixed >> 26) as u8;
    [grey, grey, grey / 2]
}

#[test]
fn outside_of_the_hole_nothing_changes() {
    let truth = picture(60, 44, rough);
    // Any alpha above nought is hole.
    let mut hole = disc(60, 44, 30, 20, 10);
    hole.alpha[20 * 60 + 41] = 1;
    let made = filled(&hidden(&truth, &hole), &hole, None);
    let pairs = made.rgb.chunks_exact(3).zip(truth.rgb.chunks_exact(3));
    for ((made, truth), &alpha) in pairs.zip(&hole.alpha) {
        if alpha == 0 {
            assert_eq!(made, truth);
        } else {
            assert_ne!(made, [255, 0, 0], "what was hidden is still there");
        }
    }
}

#[test]
fn a_flat_colour_goes_on() {
    let truth = picture(50, 40, |_, _| [31, 120, 200]);
    let hole = disc(50, 40, 24, 20, 12);
    assert_eq!(filled(&hidden(&truth, &hole), &hole, None).rgb, truth.rgb);
}

#[test]
fn a_gradient_goes_on() {
    let truth = picture(80, 60, |x, y| [(2 * x) as u8 + 20, (3 * y) as u8 + 10, 90]);
    let hole = disc(80, 60, 40, 30, 12);
    let off = error(&filled(&hidden(&truth, &hole), &hole, None), &truth, &hole);
    // The mean colour of the rim would be off by 12.
    assert!(off < 4.0, "off by {off} levels");
}

#[test]
fn what_repeats_goes_on() {
    let stripes = |x: u32, _| [if x % 8 < 4 { 220 } else { 40 }; 3];
    let slanted = |x: u32, y: u32| [if (x + y) % 10 < 5 { 200 } else { 60 }, 128, 20];
    let checks = |x: u32, y: u32| {
        [if (x / 6 + y / 6).is_multiple_of(2) {
            230
        } else {
            30
        }; 3]
    };
    let truths = [
        picture(96, 72, stripes),
        picture(96, 72, slanted),
        picture(96, 72, checks),
    ];
    for (index, truth) in truths.iter().enumerate() {
        let hole = disc(96, 72, 50, 35, 14);
        let off = error(&filled(&hidden(truth, &hole), &hole, None), truth, &hole);
        // A smear of the rim's colours would be off by 45 or more (in the second, of which one channel varies, by 23).
        assert!(off < 8.0, "pattern {index} is off by {off} levels");
    }
}

#[test]
fn an_edge_goes_through() {
    let truth = picture(96, 72, |x, y| {
        let [grey, ..] = rough(x, y);
        if y < 34 {
            [90, 140, 220]
        } else {
            [grey, grey, grey]
        }
    });
    let hole = disc(96, 72, 48, 34, 14);
    let made = filled(&hidden(&truth, &hole), &hole, None);
    let above = mask(96, 72, |x, y| {
        hole.alpha[(y * 96 + x) as usize] > 0 && y < 32
    });
    let sky = error(&made, &truth, &above);
    assert!(sky < 3.0, "above the edge it is off by {sky} levels");
    // Below there is to be gravel, not its mean.
    let below: Vec<f64> = (0..96 * 72)
        .filter(|&at| hole.alpha[at] > 0 && at / 96 >= 37)
        .map(|at| f64::from(made.rgb[at * 3]))
        .collect();
    let mean = below.iter().sum::<f64>() / below.len() as f64;
    let spread =
        (below.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / below.len() as f64).sqrt();
    // That of the truth is 18.
    assert!(spread > 10.0, "the gravel has become smooth: {spread}");
}

#[test]
fn holes_at_every_border_and_small_pictures_are_filled() {
    for (width, height) in [
        (1, 2),
        (2, 1),
        (3, 3),
        (6, 30),
        (7, 7),
        (8, 9),
        (15, 40),
        (33, 21),
    ] {
        let truth = picture(width, height, |x, y| {
            [60, 200, if (x + y) % 2 == 0 { 100 } else { 110 }]
        });
        let (cx, cy) = (width / 2, height / 2);
        let holes = [
            mask(width, height, |x, y| (x, y) != (cx, cy)),
            mask(width, height, |x, y| (x, y) == (0, 0)),
            mask(width, height, |x, y| x == cx || y == cy || x == 0 || y == 0),
            mask(width, height, |x, _| x < width.div_ceil(2)),
        ];
        for (index, hole) in holes.iter().enumerate() {
            if hole.alpha.iter().all(|&alpha| alpha > 0) {
                continue;
            }
            let off = error(&filled(&hidden(&truth, hole), hole, None), &truth, hole);
            assert!(
                off < 8.0,
                "{width} x {height}, hole {index}: off by {off} levels"
            );
        }
    }
}

#[test]
fn no_hole_is_the_picture() {
    let truth = picture(20, 20, rough);
    let mut filling = Filling::new(&truth, &Mask::empty(20, 20), None).unwrap();
    assert!(!filling.advance());
    assert_eq!(filling.finish().rgb, truth.rgb);
}

#[test]
fn what_cannot_be_filled_is_refused() {
    let one = picture(1, 1, |_, _| [9; 3]);
    let all = mask(1, 1, |_, _| true);
    let refused = |picture: &Picture, hole: &Mask, source: Option<&Mask>| {
        Filling::new(picture, hole, source)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default()
    };
    assert!(refused(&one, &all, None).contains("covers the whole picture"));
    assert_eq!(refused(&one, &Mask::empty(1, 1), None), "");
    let truth = picture(20, 10, rough);
    let hole = disc(20, 10, 10, 5, 3);
    assert!(refused(&truth, &disc(10, 20, 5, 5, 2), None).contains("hole has 10 x 20 pixels"));
    assert!(refused(&truth, &hole, Some(&all)).contains("source has 1 x 1 pixels"));
    assert!(refused(&truth, &hole, Some(&hole)).contains("nothing outside of the hole"));
    assert!(refused(&Picture::default(), &all, None).contains("no pixels"));
}

#[test]
fn only_what_may_be_used_is_used() {
    // Blue on the left, yellow on the right; the hole is on both sides, and yellow is a thing in front.
    let truth = picture(80, 60, |x, y| {
        let [grey, ..] = rough(x, y);
        if x < 40 {
            [0, 0, grey]
        } else {
            [grey, grey, 0]
        }
    });
    let hole = disc(80, 60, 40, 30, 12);
    let source = mask(80, 60, |x, _| x < 40);
    let made = filled(&hidden(&truth, &hole), &hole, Some(&source));
    for (pixel, &alpha) in made.rgb.chunks_exact(3).zip(&hole.alpha) {
        assert!(
            alpha == 0 || (pixel[0] < 30 && pixel[2] > 60),
            "{pixel:?} is not blue"
        );
    }
    // Where it may, the right half stays yellow.
    let free = filled(&hidden(&truth, &hole), &hole, None);
    assert!(free.rgb[(30 * 80 + 48) * 3] > 60);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let truth = picture(90, 70, rough);
    let hole = disc(90, 70, 44, 36, 20);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| filled(&truth, &hole, None).rgb)
    };
    assert_eq!(with(1), with(2));
}

#[test]
fn it_can_be_followed_and_cancelled() {
    let truth = picture(90, 70, rough);
    let hole = disc(90, 70, 44, 36, 20);
    let cancel = Cancel::new();
    let mut heard = Vec::new();
    let ended = fill(&truth, &hole, None, &cancel, &mut |done, total| {
        heard.push((done, total));
        if heard.len() == 3 {
            cancel.cancel();
        }
    });
    assert!(matches!(ended, Err(Error::Cancelled)));
    assert_eq!(heard.len(), 3);

    let mut filling = Filling::new(&truth, &hole, None).unwrap();
    let mut before = filling.progress();
    let mut steps = 0;
    while filling.advance() {
        let now = filling.progress();
        assert!(
            now.0 >= before.0 && now.0 < now.1 && now.1 == before.1,
            "{before:?} to {now:?}"
        );
        let shown = filling.preview();
        assert_eq!(shown.rgb[..90 * 3], truth.rgb[..90 * 3]);
        before = now;
        steps += 1;
    }
    assert!(steps > 5);
    let (done, total) = filling.progress();
    assert_eq!(done, total);
}

/// The guide that shows all of a picture of `width * height` pixels.
fn guide(picture: &Picture, width: u32, height: u32) -> Guide<'_> {
    Guide {
        picture,
        area: [0, 0, width, height],
    }
}

fn finished(mut filling: Filling) -> Picture {
    while filling.advance() {}
    filling.finish()
}

fn guided(picture: &Picture, hole: &Mask, guide: &Guide) -> Picture {
    let filling = Filling::new(picture, hole, None).unwrap();
    finished(filling.guided(guide).unwrap())
}

#[test]
fn what_only_the_guide_knows_is_continued() {
    // A dark stripe goes from the left into the hole, and comes out below: nothing at the rim says where it turns.
    let stripe =
        |x: u32, y: u32| (y.abs_diff(48) <= 4 && x <= 68) || (x.abs_diff(64) <= 4 && y >= 48);
    let truth = picture(128, 96, |x, y| {
        let [grey, ..] = rough(x, y);
        if stripe(x, y) {
            [20, 20, 60]
        } else {
            [grey + 60, grey, 40]
        }
    });
    let hole = disc(128, 96, 64, 48, 26);
    let shown = hidden(&truth, &hole);
    let within = mask(128, 96, |x, y| {
        hole.alpha[(y * 128 + x) as usize] > 0 && stripe(x, y)
    });
    let off = |made: &Picture| error(made, &truth, &within);
    let plain = off(&finished(Filling::new(&shown, &hole, None).unwrap()));
    // Of any size, and of a part of the picture.
    for (width, height) in [(64, 48), (43, 31), (128, 96), (200, 150)] {
        let idea = truth.resized(width, height);
        let off = off(&guided(&shown, &hole, &guide(&idea, 128, 96)));
        assert!(
            off < 0.5 * plain,
            "{width} x {height}: {off}, {plain} without"
        );
    }
    let part = picture(64, 64, |x, y| {
        let at = ((y + 16) * 128 + x + 32) as usize * 3;
        [0, 1, 2].map(|c| truth.rgb[at + c])
    });
    let part = Guide {
        picture: &part.resized(32, 32),
        area: [32, 16, 64, 64],
    };
    let off = off(&guided(&shown, &hole, &part));
    assert!(off < 0.5 * plain, "a part: {off}, {plain} without");
}

#[test]
fn a_guide_of_what_is_known_counts_nothing() {
    let truth = picture(96, 72, rough);
    let hole = disc(96, 72, 48, 36, 14);
    let idea = truth.resized(48, 36);
    // Another picture outside of the hole, and its margin of two pixels.
    let wrong = picture(48, 36, |x, y| {
        let far = (2 * x).abs_diff(48).pow(2) + (2 * y).abs_diff(36).pow(2);
        let at = (y * 48 + x) as usize * 3;
        if far > 18 * 18 {
            [255, 0, 255]
        } else {
            [0, 1, 2].map(|c| idea.rgb[at + c])
        }
    });
    let made = [&idea, &wrong].map(|idea| guided(&truth, &hole, &guide(idea, 96, 72)).rgb);
    assert_eq!(made[0], made[1]);
}

#[test]
fn guides_that_show_nothing_are_refused() {
    let truth = picture(40, 30, rough);
    let hole = disc(40, 30, 20, 15, 6);
    let refused = |picture: &Picture, area: [u32; 4]| {
        let filling = Filling::new(&truth, &hole, None).unwrap();
        filling
            .guided(&Guide { picture, area })
            .err()
            .map(|e| e.to_string())
    };
    let one = picture(1, 1, |_, _| [90; 3]);
    assert_eq!(refused(&one, [0, 0, 40, 30]), None);
    for (picture, area) in [
        (&Picture::default(), [0, 0, 40, 30]),
        (&one, [0, 0, 0, 30]),
        (&one, [1, 0, 40, 30]),
        (&one, [u32::MAX, 0, 2, 2]),
    ] {
        let said = refused(picture, area).unwrap_or_default();
        assert!(
            said.contains("has to show a part of it"),
            "{area:?}: {said}"
        );
    }
}

#[test]
fn the_borders_of_what_is_half_hidden_go_on_and_meet() {
    // Of a cloth its upper right corner is hidden: patches alone end it as soon as they can.
    for (right, top, lean) in [(110.0, 30, 0.2), (120.0, 30, 0.4), (100.0, 38, 0.6)] {
        let cloth =
            |x: u32, y: u32| x >= 40 && (x as f32) < right + lean * (y as f32 - 60.0) && y >= top;
        let truth = picture(160, 120, |x, y| {
            let [grey, ..] = rough(x / 3, y / 3);
            match cloth(x, y) {
                true => [grey / 2 + 100, 30, 50],
                false => [grey / 2 + 120, grey / 2 + 120, grey / 2 + 100],
            }
        });
        let hole = mask(160, 120, |x, y| {
            (60..140).contains(&x) && (20..72).contains(&y)
        });
        let filling = || Filling::new(&hidden(&truth, &hole), &hole, None).unwrap();
        let off = error(&finished(filling().guessed()), &truth, &hole);
        let plain = error(&finished(filling()), &truth, &hole);
        assert!(
            off < 0.75 * plain,
            "off by {off}, and {plain} without a guess"
        );
    }
}

#[test]
fn a_guide_that_nothing_is_like_is_left_aside() {
    let truth = picture(160, 120, |x, y| {
        [if (x + y) % 16 < 8 { 200 } else { 60 }, 128, 20]
    });
    let hole = disc(160, 120, 80, 60, 24);
    let shown = hidden(&truth, &hole);
    let plain = finished(Filling::new(&shown, &hole, None).unwrap());
    // Noise of the picture's own colours, so large that patches would have to be torn to pieces for it.
    let noise = picture(40, 30, |x, y| {
        let [grey, ..] = rough(x, y);
        [if grey % 2 == 0 { 255 } else { 0 }, 128, 20]
    });
    let made = guided(&shown, &hole, &guide(&noise, 160, 120));
    assert_eq!(made.rgb, plain.rgb);
}

#[test]
fn a_guess_needs_neither_much_nor_a_hole() {
    for (width, height) in [(1, 2), (3, 3), (7, 7), (15, 40), (200, 9)] {
        let truth = picture(width, height, |_, y| [60, 200, (y % 7) as u8 * 9]);
        for hole in [
            Mask::empty(width, height),
            mask(width, height, |x, y| (x, y) != (0, 0)),
            mask(width, height, |x, _| x < width.div_ceil(2)),
        ] {
            if hole.alpha.iter().all(|&alpha| alpha > 0) {
                continue;
            }
            let filling = Filling::new(&truth, &hole, None).unwrap();
            let made = finished(filling.guessed());
            let off = error(&made, &truth, &mask(width, height, |_, _| true));
            assert!(off < 20.0, "{width} x {height}: off by {off} levels");
        }
    }
}
