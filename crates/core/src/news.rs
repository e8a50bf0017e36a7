//! Messages in words: what a job says as one JSON object each, for `--json`, the server's event streams and the page
//! that reads them. Pictures are left out, only their size is told; who wants them asks for them.

use super::{Message, Video};
use serde::{Deserialize, Serialize};

/// A [`Message`] without its pictures, or what else becomes of a job that waits for a device.
///
/// ```json
/// {"phase":"step","step":3,"steps":8}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum News {
    /// Waits for a device; `ahead` jobs are before it.
    Queued {
        /// Jobs that wait in front of it.
        ahead: u32,
    },
    /// [`Message::Loading`].
    Loading {
        /// Which network.
        part: String,
        /// Bytes read so far.
        done: u64,
        /// Bytes in all, 0 when unknown.
        total: u64,
    },
    /// [`Message::Plan`].
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
    /// [`Message::Encoding`].
    Encoding,
    /// [`Message::Step`].
    Step {
        /// Steps done.
        step: u32,
        /// Steps in all.
        steps: u32,
    },
    /// [`Message::Preview`]: there is one of this size.
    Preview(Size),
    /// [`Message::Decoding`].
    Decoding {
        /// Frames done.
        done: u32,
        /// Frames in all.
        total: u32,
    },
    /// The server was asked to stop; it ends this job first.
    Stopping,
    /// [`Message::Done`]: the result is of this size.
    Done(Size),
    /// There will be no result.
    Failed {
        /// Why, and what to do.
        error: String,
    },
    /// It was cancelled.
    Cancelled,
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

impl News {
    /// What a message says.
    pub fn of(message: &Message) -> Self {
        match message {
            Message::Loading { part, done, total } => Self::Loading {
                part: part.clone(),
                done: *done,
                total: *total,
            },
            Message::Plan {
                width,
                height,
                frames,
                steps,
                device,
            } => Self::Plan {
                width: *width,
                height: *height,
                frames: *frames,
                steps: *steps,
                device: device.clone(),
            },
            Message::Encoding => Self::Encoding,
            Message::Step { step, steps } => Self::Step {
                step: *step,
                steps: *steps,
            },
            Message::Preview(video) => Self::Preview(Size::of(video)),
            Message::Decoding { done, total } => Self::Decoding {
                done: *done,
                total: *total,
            },
            Message::Done(video) => Self::Done(Size::of(video)),
        }
    }

    /// The message, where it is one without pictures.
    pub fn message(self) -> Option<Message> {
        Some(match self {
            Self::Loading { part, done, total } => Message::Loading { part, done, total },
            Self::Plan {
                width,
                height,
                frames,
                steps,
                device,
            } => Message::Plan {
                width,
                height,
                frames,
                steps,
                device,
            },
            Self::Encoding => Message::Encoding,
            Self::Step { step, steps } => Message::Step { step, steps },
            Self::Decoding { done, total } => Message::Decoding { done, total },
            Self::Queued { .. }
            | Self::Preview(_)
            | Self::Stopping
            | Self::Done(_)
            | Self::Failed { .. }
            | Self::Cancelled => return None,
        })
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
    fn news_are_one_line_of_json_and_back() {
        let size = Size {
            width: 2,
            height: 1,
            frames: 3,
            fps: 8,
        };
        for (news, json) in [
            (News::Queued { ahead: 2 }, r#"{"phase":"queued","ahead":2}"#),
            (News::Encoding, r#"{"phase":"encoding"}"#),
            (
                News::Step { step: 1, steps: 8 },
                r#"{"phase":"step","step":1,"steps":8}"#,
            ),
            (
                News::Done(size),
                r#"{"phase":"done","width":2,"height":1,"frames":3,"fps":8}"#,
            ),
            (
                News::Failed {
                    error: "a \"b\"\n".into(),
                },
                r#"{"phase":"failed","error":"a \"b\"\n"}"#,
            ),
        ] {
            assert_eq!(news.to_json(), json);
            assert_eq!(serde_json::from_str::<News>(json).unwrap(), news);
        }
        for bad in ["", "{}", r#"{"phase":"dance"}"#, r#"{"phase":"step"}"#] {
            assert!(serde_json::from_str::<News>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn messages_come_back_as_they_were_and_videos_by_their_size() {
        let step = Message::Step { step: 2, steps: 5 };
        assert!(matches!(
            News::of(&step).message(),
            Some(Message::Step { step: 2, steps: 5 })
        ));
        let video = Video {
            width: 2,
            height: 1,
            fps: 8,
            frames: vec![vec![1; 6], vec![2; 6]],
        };
        let size = Size::of(&video);
        assert!(News::of(&Message::Done(video.clone())).is_last());
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
