//! Encoded frames into a file: MP4s, whose frames are natively OpenH264's and in the page the browser's, and WebMs of browsers that encode
//! no H.264.

use dragentity_core::error::{Error, Result};
use muxide::api::{MuxerBuilder, VideoCodec};
use webm_iterable::errors::TagWriterError;
use webm_iterable::matroska_spec::{EbmlTag, Master, MatroskaSpec};
use webm_iterable::{WebmWriter, WriteOptions};

/// An encoded frame.
#[derive(Clone, Debug)]
pub struct Packet {
    /// H.264 in Annex B's form; of a WebM a frame of its codec.
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

/// What the frames of a WebM are encoded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebmCodec {
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
}

impl WebmCodec {
    fn id(self) -> &'static str {
        match self {
            Self::Vp8 => "V_VP8",
            Self::Vp9 => "V_VP9",
        }
    }
}

/// Nanoseconds in a millisecond, in which a WebM counts time.
const MILLISECOND: u64 = 1_000_000;
/// Most milliseconds of a cluster, within which 16 bits count time.
const CLUSTER: u64 = 30_000;
/// The element that holds all of a WebM but its head.
const SEGMENT: u64 = 0x1853_8067;

/// The WebM file of frames of `width` x `height` pixels, with an index, so that players can seek in it. Frames come in the order in which
/// they are shown.
///
/// # Errors
/// [`Error::Job`] for frames of which the first needs others to be shown.
pub fn webm(
    size: [u32; 2],
    fps: u32,
    codec: WebmCodec,
    packets: impl IntoIterator<Item = Packet>,
) -> Result<Vec<u8>> {
    let packets: Vec<Packet> = packets.into_iter().collect();
    if !packets.first().is_some_and(|packet| packet.key) {
        return Err(Error::Job(
            "the WebM cannot be written (its first frame is no key frame)".into(),
        ));
    }
    webm_of(size, fps, codec, &packets)
        .map_err(|e| Error::Job(format!("the WebM cannot be written ({e})")))
}

fn webm_of(
    [width, height]: [u32; 2],
    fps: u32,
    codec: WebmCodec,
    packets: &[Packet],
) -> std::result::Result<Vec<u8>, TagWriterError> {
    use MatroskaSpec as M;
    let program = || "DragEntity".to_owned();
    let millis = |frame: usize| (frame as u64 * 1000) / u64::from(fps.max(1));
    let mut out = Vec::new();
    let mut writer = WebmWriter::new(&mut out);
    writer.write(&M::Ebml(Master::Full(vec![
        M::EbmlVersion(1),
        M::EbmlReadVersion(1),
        M::EbmlMaxIdLength(4),
        M::EbmlMaxSizeLength(8),
        M::DocType("webm".into()),
        M::DocTypeVersion(4),
        M::DocTypeReadVersion(2),
    ])))?;
    let info = within_segment(&[M::Info(Master::Full(vec![
        M::TimestampScale(MILLISECOND),
        M::Duration(millis(packets.len()) as f64),
        M::MuxingApp(program()),
        M::WritingApp(program()),
    ]))])?;
    let tracks = within_segment(&[M::Tracks(Master::Full(vec![M::TrackEntry(Master::Full(
        vec![
            M::TrackNumber(1),
            M::TrackUID(1),
            M::TrackType(1),
            M::FlagLacing(0),
            M::CodecID(codec.id().into()),
            M::DefaultDuration(1000 * MILLISECOND / u64::from(fps.max(1))),
            M::Video(Master::Full(vec![
                M::PixelWidth(u64::from(width)),
                M::PixelHeight(u64::from(height)),
            ])),
        ],
    ))]))])?;
    // A cluster begins with each frame that can be shown without others.
    let mut clusters: Vec<(u64, Vec<M>)> = Vec::new();
    for (i, packet) in packets.iter().enumerate() {
        let time = millis(i);
        let full = clusters
            .last()
            .is_none_or(|(from, _)| time - from > CLUSTER);
        if packet.key || full {
            clusters.push((time, vec![M::Timestamp(time)]));
        }
        if let Some((from, blocks)) = clusters.last_mut() {
            // Of the first track; a relative time; flags, of which the highest is that of key frames.
            let mut block = vec![0x81];
            block.extend(((time - *from) as i16).to_be_bytes());
            block.push(if packet.key { 0x80 } else { 0 });
            block.extend(&packet.bytes);
            blocks.push(M::SimpleBlock(block));
        }
    }
    let mut data = Vec::new();
    let mut places = Vec::new();
    for (time, blocks) in clusters {
        places.push((time, data.len()));
        data.extend(within_segment(&[M::Cluster(Master::Full(blocks))])?);
    }
    // Where things lie counts from the first byte of the segment, in which where they lie is said: until that fits.
    let mut seek = Vec::new();
    loop {
        let before = seek.len();
        let first = before + info.len() + tracks.len();
        let ids = [
            (M::Info(Master::Start), before),
            (M::Tracks(Master::Start), before + info.len()),
            (M::Cues(Master::Start), first + data.len()),
        ];
        let entry = |(tag, at): (M, usize)| {
            let id = tag.get_id().to_be_bytes();
            let id: Vec<u8> = id.into_iter().skip_while(|byte| *byte == 0).collect();
            M::Seek(Master::Full(vec![
                M::SeekID(id),
                M::SeekPosition(at as u64),
            ]))
        };
        let entries = ids.into_iter().map(entry).collect();
        seek = within_segment(&[M::SeekHead(Master::Full(entries))])?;
        if seek.len() == before {
            break;
        }
    }
    let first = seek.len() + info.len() + tracks.len();
    let cue = |(time, at): (u64, usize)| {
        M::CuePoint(Master::Full(vec![
            M::CueTime(time),
            M::CueTrackPositions(Master::Full(vec![
                M::CueTrack(1),
                M::CueClusterPosition((first + at) as u64),
            ])),
        ]))
    };
    let cues = within_segment(&[M::Cues(Master::Full(places.into_iter().map(cue).collect()))])?;
    let segment = [seek, info, tracks, data, cues].concat();
    writer.write_raw(SEGMENT, &segment)?;
    writer.flush()?;
    drop(writer);
    Ok(out)
}

/// Elements as they lie in a segment. The writer takes them in one alone: it is begun, and left out again.
fn within_segment(tags: &[MatroskaSpec]) -> std::result::Result<Vec<u8>, TagWriterError> {
    let begun = |tags: &[MatroskaSpec]| {
        let mut out = Vec::new();
        let mut writer = WebmWriter::new(&mut out);
        let segment = MatroskaSpec::Segment(Master::Start);
        writer.write_advanced(&segment, WriteOptions::is_unknown_sized_element())?;
        for tag in tags {
            writer.write(tag)?;
        }
        writer.flush()?;
        drop(writer);
        Ok::<_, TagWriterError>(out)
    };
    let head = begun(&[])?.len();
    Ok(begun(tags)?.split_off(head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use webm_iterable::WebmIterator;

    #[test]
    fn a_webm_says_where_everything_lies_in_it() {
        let packet = |i: usize| Packet {
            bytes: vec![i as u8; 100 + 40 * i],
            key: i.is_multiple_of(24),
        };
        let packets: Vec<Packet> = (0..60).map(packet).collect();
        let file = webm([640, 360], 24, WebmCodec::Vp9, packets.clone()).unwrap();
        let mut bytes = file.as_slice();
        let tags: Vec<MatroskaSpec> = WebmIterator::new(&mut bytes, &[])
            .map(std::result::Result::unwrap)
            .collect();
        let blocks = tags.iter().filter_map(|tag| match tag {
            MatroskaSpec::SimpleBlock(block) => Some(block),
            _ => None,
        });
        for (block, packet) in blocks.clone().zip(&packets) {
            assert_eq!(block[4..], packet.bytes);
            assert_eq!(block[3] == 0x80, packet.key);
        }
        assert_eq!(blocks.count(), 60);
        assert!(tags.contains(&MatroskaSpec::PixelWidth(640)));
        assert!(tags.contains(&MatroskaSpec::Duration(2500.0)));
        // What is said to lie somewhere begins there.
        let segment = file
            .windows(4)
            .position(|w| w == SEGMENT.to_be_bytes()[4..].to_vec())
            .unwrap();
        // Its length is told by how many zeros its first byte begins with.
        let begin = segment + 5 + file[segment + 4].leading_zeros() as usize;
        let mut clusters = 0;
        for tag in &tags {
            if let MatroskaSpec::CueClusterPosition(at) = tag {
                clusters += 1;
                let at = begin + *at as usize;
                assert_eq!(file[at..at + 4], [0x1f, 0x43, 0xb6, 0x75]);
            }
        }
        assert_eq!(clusters, 3);
        for pair in tags.windows(2) {
            if let [MatroskaSpec::SeekID(id), MatroskaSpec::SeekPosition(at)] = pair {
                let at = begin + *at as usize;
                assert_eq!(file[at..at + id.len()], *id);
            }
        }
    }

    #[test]
    fn a_webm_begins_with_a_key_frame() {
        let packet = Packet {
            bytes: vec![1],
            key: false,
        };
        for packets in [vec![packet], vec![]] {
            assert!(webm([64, 64], 24, WebmCodec::Vp8, packets).is_err());
        }
    }
}
