//! A person that the parser has never seen, rendered from the held-out pack: for the terminal's test and the page's.

use dragentity_core::scene::Part;
use dragentity_lab::data::{ClipSpec, Dataset, EVAL_SEED, Pack, Split};
use image::{GrayImage, Luma, Rgb, RgbImage};
use std::path::Path;
use std::sync::Arc;

/// Pixels of the picture each way.
pub const SIDE: usize = 192;

/// The first portrait that shows all parts of somebody who stands upright, and its mask.
pub fn person() -> (RgbImage, GrayImage) {
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/held_out.pack");
    let pack = Arc::new(Pack::open(&pack).unwrap());
    let data = Dataset::new(pack, Split::HeldOut, ClipSpec::default(), EVAL_SEED).unwrap();
    let area = SIDE * SIDE;
    let portrait = (0..400)
        .map(|index| data.portrait(index, SIDE))
        .find(|portrait| {
            let of = |part: Part| &portrait.shares[part.class() * area..][..area];
            let seen = |part: Part| of(part).iter().sum::<f32>() > 0.004 * area as f32;
            let height = |part: Part| {
                let rows = of(part).iter().enumerate();
                let sum: f32 = rows.map(|(at, share)| share * (at / SIDE) as f32).sum();
                sum / of(part).iter().sum::<f32>().max(1.0) / SIDE as f32
            };
            let torso = height(Part::Torso);
            // Head, torso and both knees one below the other, the arms at the torso's sides.
            Part::ALL.into_iter().all(seen)
                && torso > height(Part::Head) + 0.15
                && [Part::LeftLowerLeg, Part::RightLowerLeg]
                    .iter()
                    .all(|&leg| height(leg) > torso + 0.25)
                && [Part::LeftUpperArm, Part::RightUpperArm]
                    .iter()
                    .all(|&arm| (height(arm) - torso).abs() < 0.15)
        })
        .expect("one of 400 stands upright");
    let picture = RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let at = (y as usize * SIDE + x as usize) * 3;
        Rgb([0, 1, 2].map(|c| ((portrait.rgb[at + c] + 1.0) * 127.5).round() as u8))
    });
    let mask = GrayImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let nobody = portrait.shares[y as usize * SIDE + x as usize];
        Luma([if nobody < 0.5 { 255 } else { 0 }])
    });
    (picture, mask)
}
