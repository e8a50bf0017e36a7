//! The rest of a mask, shared out among parts that are sure of some of it.

use crate::scene::parts::{Part, neighbours};
use crate::scene::{Mask, Picture};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a step between two pixels of the same colour costs.
const STEP: u32 = 8;
/// What it costs more for each level by which their colours differ, of the channel in which they do most.
const LEVEL: u32 = 2;

/// The labels, with the rest of the mask given to the part that is nearest by a way within it, which is longer across edges of the
/// picture: so parts meet where it has one. Arms count twice as far: what hangs beside an arm is rather the clothes of the trunk. An
/// empty picture has no edges.
pub(super) fn grown(
    mask: &Mask,
    picture: &Picture,
    mut labels: Vec<Option<Part>>,
) -> Vec<Option<Part>> {
    let (width, height) = (mask.width, mask.height);
    let rgb = match picture.is_empty() {
        true => Vec::new(),
        false => calm(&picture.resized(width, height)),
    };
    let edge = |a: usize, b: usize| match (rgb.get(a), rgb.get(b)) {
        (Some(a), Some(b)) => {
            let channels = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)));
            LEVEL * channels.max().unwrap_or(0)
        }
        _ => 0,
    };
    let mut waiting = BinaryHeap::new();
    for (at, label) in labels.iter().enumerate() {
        if let Some(part) = label {
            waiting.push((Reverse(0u32), at, *part));
        }
    }
    let mut taken: Vec<bool> = vec![false; labels.len()];
    while let Some((Reverse(far), at, part)) = waiting.pop() {
        if std::mem::replace(&mut taken[at], true) {
            continue;
        }
        labels[at] = Some(part);
        let slow = if part.is_of_an_arm() { 2 } else { 1 };
        for next in neighbours(at, width as usize, labels.len()) {
            if mask.alpha[next] >= 128 && !taken[next] {
                let step = slow * STEP + edge(at, next);
                waiting.push((Reverse(far.saturating_add(step)), next, part));
            }
        }
    }
    labels
}

/// The colours of a picture, each the mean of a pixel and those around it: noise is no edge.
fn calm(picture: &Picture) -> Vec<[u8; 3]> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let near = |v: usize, side: usize| v.saturating_sub(1)..(v + 2).min(side);
    let mean = |at: usize| {
        let (mut sum, mut count) = ([0u32; 3], 0);
        for y in near(at / width, height) {
            for x in near(at % width, width) {
                let own = &picture.rgb[3 * (y * width + x)..][..3];
                for (sum, value) in sum.iter_mut().zip(own) {
                    *sum += u32::from(*value);
                }
                count += 1;
            }
        }
        sum.map(|sum| (sum / count) as u8)
    };
    (0..width * height).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_meet_where_the_picture_has_an_edge() {
        let (width, height) = (30_u32, 5_u32);
        let mask = Mask {
            width,
            height,
            alpha: vec![255; (width * height) as usize],
        };
        let mut labels = vec![None; (width * height) as usize];
        for y in 0..5 {
            labels[30 * y] = Some(Part::LeftLowerArm);
            labels[30 * y + 29] = Some(Part::LeftUpperLeg);
        }
        let ends = |picture: &Picture| {
            let grown = grown(&mask, picture, labels.clone());
            let arm = |label: &Option<Part>| *label == Some(Part::LeftLowerArm);
            grown[60..90].iter().filter(|label| arm(label)).count()
        };
        // Arms count twice as far.
        assert!((9..=11).contains(&ends(&Picture::default())));
        for edge in [6, 22] {
            let pixel = |at: u32| {
                if at % width < edge {
                    [220, 180, 160]
                } else {
                    [30, 30, 60]
                }
            };
            let rgb = (0..width * height).flat_map(pixel).collect();
            let picture = Picture::from_rgb(width, height, rgb).unwrap();
            assert!(ends(&picture).abs_diff(edge as usize) <= 1, "{edge}");
        }
    }
}
