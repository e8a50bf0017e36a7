//! A rough video that another one follows.

use super::error::{Error, Result};
use super::{Video, scene::Mask};

/// A rough animation, and where it is to be followed closely (Time-to-Move's `motion_signal` and `mask`).
#[derive(Clone, PartialEq)]
pub struct Reference {
    /// What is followed; its first frame is the picture.
    pub video: Video,
    /// Where it is followed closely (inside), one for each frame and of its size.
    pub closely: Vec<Mask>,
}

impl Reference {
    /// The same with `frames` frames: later ones are left out.
    ///
    /// # Errors
    /// [`Error::Job`] when it has fewer, when there is not a mask for each of them, and when their sizes differ.
    pub fn with_frames(mut self, frames: usize) -> Result<Self> {
        let refuse = |why: String| Err(Error::Job(format!("the reference {why}")));
        let (has, masks) = (self.video.frames.len(), self.closely.len());
        if has.min(masks) < frames {
            return refuse(format!(
                "has {has} frames and {masks} masks, and the video {frames} frames: ask for fewer with --frames"
            ));
        }
        self.video.frames.truncate(frames);
        self.closely.truncate(frames);
        let (width, height) = (self.video.width, self.video.height);
        let pixels = width as usize * height as usize;
        let fits = |mask: &Mask| (mask.width, mask.height) == (width, height);
        if pixels == 0
            || !self
                .video
                .frames
                .iter()
                .all(|frame| frame.len() == pixels * 3)
            || !self.closely.iter().all(fits)
        {
            return refuse(format!(
                "is of {width} x {height} pixels, and some of its frames or masks are not"
            ));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_left_out_and_what_does_not_fit_is_refused() {
        let reference = |frames: usize, masks: usize, side: u32| Reference {
            video: Video {
                width: 2,
                height: 2,
                fps: 7,
                frames: vec![vec![0; 12]; frames],
            },
            closely: vec![Mask::empty(side, 2); masks],
        };
        let kept = reference(5, 4, 2).with_frames(3).unwrap();
        assert_eq!((kept.video.frames.len(), kept.closely.len()), (3, 3));
        for (broken, why) in [
            (reference(2, 5, 2), "has 2 frames and 5 masks"),
            (reference(5, 2, 2), "--frames"),
            (reference(3, 3, 4), "2 x 2 pixels"),
        ] {
            let said = broken.with_frames(3).err().unwrap().to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
