//! Frames as few bytes, without loss: what a frame has that the one before had not is mostly nothing.

use dragentity_core::Video;

/// All frames, one after the other, each but the first as its difference from the one before.
pub fn of(video: &Video) -> impl Iterator<Item = Vec<u8>> {
    let before = std::iter::once(None).chain(video.frames.iter().map(Some));
    video.frames.iter().zip(before).map(|(frame, before)| {
        let pairs = |before: &Vec<u8>| {
            let pairs = frame.iter().zip(before);
            pairs.map(|(a, b)| a.wrapping_sub(*b)).collect()
        };
        before.map_or_else(|| frame.clone(), pairs)
    })
}

/// The frames again: `count` of `length` bytes each; `None` for bytes of another number.
pub fn frames(differences: &[u8], count: usize, length: usize) -> Option<Vec<Vec<u8>>> {
    if length == 0 || count.checked_mul(length)? != differences.len() {
        return None;
    }
    let mut frames: Vec<Vec<u8>> = Vec::with_capacity(count);
    for part in differences.chunks_exact(length) {
        let frame = match frames.last() {
            None => part.to_vec(),
            Some(before) => part
                .iter()
                .zip(before)
                .map(|(a, b)| a.wrapping_add(*b))
                .collect(),
        };
        frames.push(frame);
    }
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::moving_disc;

    #[test]
    fn frames_come_back_as_they_were_and_what_rests_is_nothing() {
        let video = moving_disc(40, 30, 4);
        let packed: Vec<u8> = of(&video).flatten().collect();
        let length = 40 * 30 * 3;
        assert_eq!(frames(&packed, 4, length).unwrap(), video.frames);
        let nothing = packed[length..].iter().filter(|&&b| b == 0).count();
        assert!(nothing > 2 * length, "{nothing}");
        assert_eq!(frames(&packed[1..], 4, length), None);
        assert_eq!(frames(&packed, 4, 0), None);
        assert_eq!(frames(&[], 0, length), Some(Vec::new()));
        assert_eq!(frames(&packed, usize::MAX, length), None);
    }
}
