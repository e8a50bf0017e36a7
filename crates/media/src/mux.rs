//! Encoded frames into an MP4 file: the native program's are OpenH264's, the page's the browser's.

use dragentity_core::error::{Error, Result};
use muxide::api::{MuxerBuilder, VideoCodec};

/// An encoded frame.
#[derive(Clone, Debug)]
pub struct Packet {
    /// H.264 in Annex B's form.
    pub bytes: Vec<u8>,
    /// Whether it can be shown without those before it.
    pub key: bool,
}

/// The MP4 file of frames of `width` x `height` pixels, index first, so that it plays before all of it is there. Frames come in
/// the order in which they are shown.
///
/// # Errors
/// [`Error::Job`] for what is not H.264, or has no key frame first.
pub fn h264(
    [width, height]: [u32; 2],
    fps: u32,
    packets: impl IntoIterator<Item = Packet>,
) -> Result<Vec<u8>> {
    let fail = |e: &dyn std::fmt::Display| Error::Job(format!("the MP4 cannot be written ({e})"));
    let fps = f64::from(fps.max(1));
    let mut out = Vec::new();
    let mut muxer = MuxerBuilder::new(&mut out)
        .video(VideoCodec::H264, width, height, fps)
        .with_fast_start(true)
        .build()
        .map_err(|e| fail(&e))?;
    for (i, packet) in packets.into_iter().enumerate() {
        muxer
            .write_video(i as f64 / fps, &packet.bytes, packet.key)
            .map_err(|e| fail(&e))?;
    }
    muxer.finish().map_err(|e| fail(&e))?;
    Ok(out)
}
