//! A small pack for tests, drawn here, so that no test needs the downloaded pictures.

use image::{Rgb, RgbImage, Rgba, RgbaImage};

use super::pack::{Encoded, Kind, Origin, Pack, PackWriter, is_held_out};

/// Bytes of a pack with eight cut-outs and six backgrounds to train on, four and three held out.
pub fn pack_bytes() -> Vec<u8> {
    let mut writer = PackWriter::new();
    let origin = Origin {
        package: "tests".into(),
        licence: "CC0-1.0".into(),
        ..Origin::default()
    };
    let mut left = [[8, 4], [6, 3]];
    for number in 0u32.. {
        if left == [[0, 0], [0, 0]] {
            break;
        }
        // Letters only: a number at the end does not make another family.
        let letters: String = (0..3)
            .map(|place| char::from(b'a' + (number / 26u32.pow(place) % 26) as u8))
            .collect();
        for kind in [Kind::Cutout, Kind::Background] {
            let name = format!("{kind:?}/{letters}x.png");
            let left = &mut left[usize::from(kind == Kind::Background)];
            let left = &mut left[usize::from(is_held_out(&name))];
            if *left == 0 {
                continue;
            }
            *left -= 1;
            let encoded = match kind {
                Kind::Cutout => Encoded::cutout(&cutout(number)),
                Kind::Background => Encoded::background(&background(number)),
            };
            writer.add(
                &name,
                kind,
                number % 2 == 0,
                &origin,
                &encoded.expect("drawn pictures encode"),
            );
        }
    }
    writer.to_bytes().expect("a pack in memory")
}

/// The same, opened.
pub fn pack() -> Pack {
    Pack::from_bytes("tests", &pack_bytes()).expect("a whole pack")
}

/// An ellipse or a lozenge in two colours that backgrounds do not have.
pub fn cutout(number: u32) -> RgbaImage {
    RgbaImage::from_fn(90, 70, |x, y| {
        let (u, v) = ((x as f32 - 44.5) / 44.0, (y as f32 - 34.5) / 34.0);
        let inside = if number.is_multiple_of(3) {
            u.abs() + v.abs() < 1.0
        } else {
            u * u + v * v < 1.0
        };
        let hue = (number * 37 % 200) as u8;
        let colour = if (x / 12 + y / 12) % 2 == 0 {
            [255, hue, 40]
        } else {
            [30, 255 - hue, 250]
        };
        Rgba([
            colour[0],
            colour[1],
            colour[2],
            if inside { 255 } else { 0 },
        ])
    })
}

/// Smooth waves, different in each picture.
pub fn background(number: u32) -> RgbImage {
    RgbImage::from_fn(300, 260, |x, y| {
        let wave = |a: f32, b: f32| {
            let phase = number as f32 * 1.7;
            (110.0 + 80.0 * (x as f32 * a + y as f32 * b + phase).sin()) as u8
        };
        Rgb([wave(0.05, 0.02), wave(-0.03, 0.06), wave(0.11, 0.13)])
    })
}
