//! What is told of a job while it waits and runs: one type for pipeline, command line, server and page. On the wire (`--json`,
//! the server's event streams, between page and worker) each is one JSON object. Pictures are left out there, only their
//! size is told; who wants them asks for them.

use super::{Error, Result, Video};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a job says while it runs, and what else becomes of one that waits for a device.
///
/// Who runs a job tells `Plan`, `Encoding`, `Loading`, `Filling`, `Step`, `Preview`, `Decoding` and `Smoothing`, most of them several
/// times. The result is what running it returns; who has that tells others the end: `Done`, `Failed` or `Cancelled`.
///
/// ```json
/// {"phase":"step","step":3,"steps":8}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum JobEvent {
    /// Waits for a device; `ahead` jobs are before it.
    Queued {
        /// Jobs that wait in front of it.
        ahead: u32,
    },
    /// Weights are being read.
    Loading {
        /// Which network.
        part: String,
        /// Bytes read so far.
        done: u64,
        /// Bytes in all, 0 when unknown.
        total: u64,
    },
    /// What will be computed.
    Plan {
        /// Width of the video in pixels.
        width: u32,
        /// Height of the video in pixels.
        height: u32,
        /// Number of frames.
        frames: u32,
        /// Denoising steps.
        steps: u32,
        /// The device, in words.
        device: String,
    },
    /// The picture and the conditions are being encoded.
    Encoding,
    /// Denoising step `step` of `steps` is done (1 = first); of a [`ClickJob`](super::ClickJob), a stage of what looks at
    /// its picture.
    Step {
        /// Steps done.
        step: u32,
        /// Steps in all.
        steps: u32,
    },
    /// What moving things have hidden is being filled.
    Filling {
        /// Stages done.
        done: u32,
        /// Stages in all.
        total: u32,
    },
    /// How the video looks so far.
    Preview(Preview),
    /// Frames decoded to pixels.
    Decoding {
        /// Frames done.
        done: u32,
        /// Frames in all.
        total: u32,
    },
    /// Frames between frames are being made.
    Smoothing {
        /// Frames done.
        done: u32,
        /// Frames in all.
        total: u32,
    },
    /// The server was asked to stop; it ends this job first.
    Stopping,
    /// There is a result, of this size.
    Done(Size),
    /// There will be no result.
    Failed {
        /// Why, and what to do.
        error: String,
    },
    /// It was cancelled.
    Cancelled,
}

/// A preview: its size, and within one process the video itself, shared by all clones. On the wire it is a [`Size`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Size", into = "Size")]
pub struct Preview {
    size: Size,
    video: Option<Arc<Video>>,
}

impl Preview {
    /// Of a video.
    pub fn new(video: Video) -> Self {
        Self {
            size: Size::of(&video),
            video: Some(Arc::new(video)),
        }
    }

    /// How large it is.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The video; `None` where only its size came over the wire.
    pub fn video(&self) -> Option<&Arc<Video>> {
        self.video.as_ref()
    }

    /// Takes the video out: what is left is as it comes over the wire.
    pub fn take_video(&mut self) -> Option<Arc<Video>> {
        self.video.take()
    }
}

// Pixels say nothing in a log.
impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Preview").field(&self.size).finish()
    }
}

impl From<Size> for Preview {
    fn from(size: Size) -> Self {
        Self { size, video: None }
    }
}

impl From<Preview> for Size {
    fn from(preview: Preview) -> Self {
        preview.size
    }
}

/// How large a video is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Number of frames.
    pub frames: u32,
    /// Frames a second.
    pub fps: u32,
}

impl Size {
    /// That of a video.
    pub fn of(video: &Video) -> Self {
        Self {
            width: video.width,
            height: video.height,
            frames: video.frames.len() as u32,
            fps: video.fps,
        }
    }

    /// The video of this size whose frames lie one after another in `bytes`; `None` when those are not as many as it
    /// has.
    pub fn video(self, bytes: &[u8]) -> Option<Video> {
        let frame = (self.width as usize)
            .checked_mul(self.height as usize)?
            .checked_mul(3)?;
        if frame == 0 || frame.checked_mul(self.frames as usize)? != bytes.len() {
            return None;
        }
        Some(Video {
            width: self.width,
            height: self.height,
            fps: self.fps,
            frames: bytes.chunks_exact(frame).map(<[u8]>::to_vec).collect(),
        })
    }
}

impl JobEvent {
    /// How a job has ended, in the words of the wire.
    pub fn end(outcome: &Result<Video>) -> Self {
        match outcome {
            Ok(video) => Self::Done(Size::of(video)),
            Err(error) => Self::failure(error),
        }
    }

    /// Why there is no result.
    pub fn failure(error: &Error) -> Self {
        match error {
            Error::Cancelled => Self::Cancelled,
            error => Self::Failed {
                error: error.to_string(),
            },
        }
    }

    /// Whether it is the last of its job.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed { .. } | Self::Cancelled)
    }

    /// Whether both say the same, of another time.
    pub fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        // Strings and whole numbers always have a form in JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_one_line_of_json_and_back() {
        let size = Size {
            width: 2,
            height: 1,
            frames: 3,
            fps: 8,
        };
        for (event, json) in [
            (
                JobEvent::Queued { ahead: 2 },
                r#"{"phase":"queued","ahead":2}"#,
            ),
            (JobEvent::Encoding, r#"{"phase":"encoding"}"#),
            (
                JobEvent::Step { step: 1, steps: 8 },
                r#"{"phase":"step","step":1,"steps":8}"#,
            ),
            (
                JobEvent::Done(size),
                r#"{"phase":"done","width":2,"height":1,"frames":3,"fps":8}"#,
            ),
            (
                JobEvent::Failed {
                    error: "a \"b\"\n".into(),
                },
                r#"{"phase":"failed","error":"a \"b\"\n"}"#,
            ),
        ] {
            assert_eq!(event.to_json(), json);
            assert_eq!(serde_json::from_str::<JobEvent>(json).unwrap(), event);
        }
        for bad in ["", "{}", r#"{"phase":"dance"}"#, r#"{"phase":"step"}"#] {
            assert!(serde_json::from_str::<JobEvent>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn previews_are_shared_and_only_their_size_goes_over_the_wire() {
        let video = Video {
            width: 2,
            height: 1,
            fps: 8,
            frames: vec![vec![1; 6], vec![2; 6]],
        };
        let mut preview = Preview::new(video.clone());
        let other = preview.clone();
        assert!(Arc::ptr_eq(
            preview.video().unwrap(),
            other.video().unwrap()
        ));
        let event = JobEvent::Preview(preview.clone());
        let json = r#"{"phase":"preview","width":2,"height":1,"frames":2,"fps":8}"#;
        assert_eq!(event.to_json(), json);
        assert!(!event.is_last());
        assert!(*preview.take_video().unwrap() == video);
        let back: JobEvent = serde_json::from_str(json).unwrap();
        assert_eq!(back, JobEvent::Preview(preview.clone()));
        assert!(preview.video().is_none() && preview.size() == Size::of(&video));
    }

    #[test]
    fn ends_are_told_and_videos_come_back_by_their_size() {
        let video = Video {
            width: 2,
            height: 1,
            fps: 8,
            frames: vec![vec![1; 6], vec![2; 6]],
        };
        let size = Size::of(&video);
        let done = JobEvent::end(&Ok(video.clone()));
        assert_eq!(done, JobEvent::Done(size));
        let cancelled = JobEvent::end(&Err(Error::Cancelled));
        assert_eq!(cancelled, JobEvent::Cancelled);
        let failed = JobEvent::end(&Err(Error::Device("it is hot".into())));
        assert!(matches!(&failed, JobEvent::Failed { error } if error.contains("hot")));
        assert!(done.is_last() && cancelled.is_last() && failed.is_last());
        assert!(!JobEvent::Step { step: 2, steps: 5 }.is_last());
        assert!(size.video(&video.frames.concat()) == Some(video));
        assert!(size.video(&[0; 11]).is_none() && size.video(&[]).is_none());
        let lying = Size {
            width: u32::MAX,
            height: u32::MAX,
            frames: u32::MAX,
            fps: 1,
        };
        assert!(lying.video(&[0; 100]).is_none());
    }
}
