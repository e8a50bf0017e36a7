//! Parts of the frames of a clip whose truth is known: where a picture may be good on the whole and wrong in what counts.

use crate::data::Clip;

/// What the parts are called.
pub const NAMES: [&str; 4] = [
    "whole frame",
    "uncovered background",
    "along edges",
    "inside entities",
];
/// How far the band along an entity's edge reaches to both sides, in pixels.
const BAND: usize = 3;
/// A part with fewer pixels in a frame is not measured there.
const FEWEST_PIXELS: usize = 16;

/// For a frame: which pixels each part has, `[height, width]`.
pub type Regions = [Vec<bool>; NAMES.len()];

/// The parts of a clip's frame. What is uncovered is what an entity hid in the first frame and does not hide any more: with a
/// camera that stands still, nothing in the given picture shows it.
pub fn regions(clip: &Clip, frame: usize) -> Regions {
    let (width, area) = (clip.width, clip.width * clip.height);
    let inside_in = |frame| {
        let mut inside = vec![false; area];
        for entity in 0..clip.entities.len() {
            for (inside, &alpha) in inside.iter_mut().zip(clip.visible(entity, frame)) {
                *inside |= alpha >= 128;
            }
        }
        inside
    };
    let (first, inside) = (inside_in(0), inside_in(frame));
    let uncovered = first.iter().zip(&inside).map(|(a, b)| *a && !b).collect();
    let mut edges = vec![false; area];
    for entity in 0..clip.entities.len() {
        let mask: Vec<bool> = clip
            .visible(entity, frame)
            .iter()
            .map(|&a| a >= 128)
            .collect();
        let out: Vec<bool> = mask.iter().map(|inside| !inside).collect();
        let near = reach(&mask, width).into_iter().zip(reach(&out, width));
        for (edge, (inside, outside)) in edges.iter_mut().zip(near) {
            *edge |= inside && outside;
        }
    }
    [vec![true; area], uncovered, edges, inside]
}

/// What lies within [`BAND`] pixels of something that is set, in x and in y.
fn reach(set: &[bool], width: usize) -> Vec<bool> {
    let height = set.len() / width;
    let along = |set: &[bool], length: usize, index: &dyn Fn(usize, usize) -> usize| {
        let mut near = vec![false; set.len()];
        for line in 0..set.len() / length {
            for at in (0..length).filter(|&at| set[index(line, at)]) {
                for k in at.saturating_sub(BAND)..(at + BAND + 1).min(length) {
                    near[index(line, k)] = true;
                }
            }
        }
        near
    };
    let rows = along(set, width, &|line, at| line * width + at);
    along(&rows, height, &|line, at| at * width + line)
}

/// The mean of `values` where `part` is; `None` where that is hardly anywhere.
pub fn mean(values: impl Iterator<Item = f64>, part: &[bool]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_usize);
    for (value, _) in values.zip(part).filter(|(_, part)| **part) {
        sum += value;
        count += 1;
    }
    (count >= FEWEST_PIXELS).then(|| sum / count as f64)
}

/// PSNR in dB of a frame of RGB bytes where `part` is; `None` where that is hardly anywhere. Equal frames have 100 dB.
pub fn psnr(made: &[u8], truth: &[u8], part: &[bool]) -> Option<f64> {
    let errors = made
        .chunks_exact(3)
        .zip(truth.chunks_exact(3))
        .map(|(a, b)| {
            let squares = a
                .iter()
                .zip(b)
                .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
            squares.sum::<f64>() / 3.0
        });
    let error = mean(errors, part)?;
    Some((10.0 * (255.0 * 255.0 / error).log10()).min(100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ClipEntity;

    /// A square of 8 pixels that moves by 6 to the right.
    fn clip() -> Clip {
        let (width, height) = (32, 24);
        let square = |left: usize| {
            (0..width * height).map(move |at| {
                let (x, y) = (at % width, at / width);
                let inside = (left..left + 8).contains(&x) && (8..16).contains(&y);
                if inside { 255 } else { 0 }
            })
        };
        Clip {
            width,
            height,
            frames: 2,
            rgb: vec![0; 2 * width * height * 3],
            entities: vec![ClipEntity {
                visible: square(6).chain(square(12)).collect(),
                full: square(6).collect(),
                track: vec![[10.0, 12.0], [16.0, 12.0]],
                boxes: vec![None; 2],
                group: None,
                photo: false,
            }],
            camera: vec![[0.0; 2]; 2],
        }
    }

    #[test]
    fn parts_are_where_they_should_be() {
        let [whole, uncovered, edges, inside] = regions(&clip(), 1);
        let count = |part: &[bool]| part.iter().filter(|set| **set).count();
        assert_eq!(count(&whole), 32 * 24);
        assert_eq!(count(&inside), 64);
        // The six columns that it has left.
        assert_eq!(count(&uncovered), 48);
        assert!(uncovered[10 * 32 + 6] && !uncovered[10 * 32 + 12]);
        // 14 x 14 without the 2 x 2 in the middle.
        assert_eq!(count(&edges), 14 * 14 - 4);
    }

    #[test]
    fn a_part_is_measured_by_itself() {
        let truth = vec![100; 64 * 3];
        let mut made = truth.clone();
        made[..3 * 32].fill(110);
        let half: Vec<bool> = (0..64).map(|at| at < 32).collect();
        let other: Vec<bool> = half.iter().map(|set| !set).collect();
        let worse = psnr(&made, &truth, &half).unwrap();
        assert!((worse - 28.13).abs() < 0.01, "{worse}");
        assert_eq!(psnr(&made, &truth, &other), Some(100.0));
        assert_eq!(psnr(&made, &truth, &[true; 15]), None);
    }
}
