//! MP4 (H.264, 4:2:0, index first), as every browser plays it, and back.

use super::check;
use crate::collect::{FrameCollector, damaged, refused};
use crate::mux::{self, Packet};
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::catch_panic;
use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::encoder::{
    Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, MatrixCoefficients,
    QpRange, RateControlMode, UsageType, VuiConfig,
};
use openh264::formats::{RgbSliceU8, YUVBuffer, YUVSource};
use re_mp4::{Avc1Box, Mp4, StsdBoxContent, Track};
use std::io::{Cursor, Read, Seek, SeekFrom};

/// Quantiser range, 0 (all kept) to 51: these keep what a small video shows.
const QP: QpRange = QpRange::new(10, 20);
/// A whole second between two key frames at 8 to 24 frames a second, for seeking.
const KEY_FRAME_EVERY: u32 = 24;
/// The smallest side, in pixels, that OpenH264 encodes.
const MIN_SIDE: u32 = 16;

/// The MP4 file of a video. Sides are cropped to even numbers of pixels, which 4:2:0 needs.
///
/// # Errors
/// [`Error::Job`] for a video without frames, frames of another size than it says, sides that are too short, and what
/// the encoder refuses.
pub fn encode(video: &Video) -> Result<Vec<u8>> {
    check(video)?;
    let fail = |e: &dyn std::fmt::Display| Error::Job(format!("the MP4 cannot be written ({e})"));
    let (width, height) = (video.width & !1, video.height & !1);
    if width < MIN_SIDE || height < MIN_SIDE {
        return Err(Error::Job(format!(
            "an MP4 cannot be {} x {} pixels, each side must be at least {MIN_SIDE}; choose a larger scale",
            video.width, video.height
        )));
    }
    let fps = video.fps.max(1);
    let config = EncoderConfig::new()
        .rate_control_mode(RateControlMode::Off)
        .qp(QP)
        // A frame left out to save bits would shift all that follow.
        .skip_frames(false)
        .max_frame_rate(FrameRate::from_hz(fps as f32))
        // The library's other mode for films, CameraVideoNonRealTime, is refused by its own encoder.
        .usage_type(UsageType::CameraVideoRealTime)
        .complexity(Complexity::High)
        .scene_change_detect(false)
        .intra_frame_period(IntraFramePeriod::from_num_frames(KEY_FRAME_EVERY))
        .num_threads(1)
        // How the crate turns RGB into YUV: BT.601's matrix, limited range. Without a word, players guess.
        .vui(VuiConfig::bt709().matrix_coefficients(MatrixCoefficients::Smpte170M));
    let mut encoder =
        Encoder::with_api_config(OpenH264API::from_source(), config).map_err(|e| fail(&e))?;

    let mut packets = Vec::with_capacity(video.frames.len());
    for frame in &video.frames {
        let rgb = cropped(frame, video.width, (width, height));
        let yuv =
            YUVBuffer::from_rgb8_source(RgbSliceU8::new(&rgb, (width as usize, height as usize)));
        let encoded = encoder.encode(&yuv).map_err(|e| fail(&e))?;
        packets.push(Packet {
            key: matches!(encoded.frame_type(), FrameType::IDR | FrameType::I),
            bytes: encoded.to_vec(),
        });
    }
    mux::h264([width, height], fps, packets)
}

/// The upper left `size` of an RGB frame `width` pixels wide.
fn cropped(frame: &[u8], width: u32, size: (u32, u32)) -> Vec<u8> {
    let rows = frame.chunks_exact(width as usize * 3).take(size.1 as usize);
    rows.flat_map(|row| &row[..size.0 as usize * 3])
        .copied()
        .collect()
}

/// An MP4 (or QuickTime) file with a track of H.264, opened.
pub struct Mp4Reader<'a> {
    bytes: &'a [u8],
    name: &'a str,
    mp4: Mp4,
    track: u32,
}

impl<'a> Mp4Reader<'a> {
    /// Reads the index.
    ///
    /// # Errors
    /// [`Error::Picture`], naming the codec of a film that is not H.264.
    pub fn open(bytes: &'a [u8], name: &'a str) -> Result<Self> {
        // The crate indexes lists by what the file says: a damaged file makes it panic.
        let index = || Mp4::read(Onward::new(bytes), bytes.len() as u64);
        let mp4 = match catch_panic(index) {
            Some(Ok(mp4)) => mp4,
            Some(Err(e)) => return Err(damaged(name, &e)),
            None => return Err(damaged(name, &"its index is damaged")),
        };
        let film = |track: &&Track| track.kind == Some(re_mp4::TrackKind::Video);
        let Some(track) = mp4.tracks().values().find(film) else {
            return Err(damaged(name, &"there is no video in it"));
        };
        let contents = &track.trak(&mp4).mdia.minf.stbl.stsd.contents;
        if !matches!(contents, StsdBoxContent::Avc1(_)) {
            let codec = track.codec_string(&mp4).unwrap_or("another codec".into());
            return Err(damaged(name, &format!("it is {codec}, not H.264")));
        }
        let track = track.track_id;
        Ok(Self {
            bytes,
            name,
            mp4,
            track,
        })
    }

    fn track(&self) -> &Track {
        &self.mp4.tracks()[&self.track]
    }

    fn avc(&self) -> Option<&Avc1Box> {
        match &self.track().trak(&self.mp4).mdia.minf.stbl.stsd.contents {
            StsdBoxContent::Avc1(avc) => Some(avc),
            _ => None,
        }
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.track().samples.len()
    }

    /// Mean number of frames a second.
    pub fn fps(&self) -> f64 {
        let track = self.track();
        let seconds = track.duration as f64 / track.timescale.max(1) as f64;
        self.frames() as f64 / seconds.max(1e-3)
    }

    /// Hands frames to `collector` in the order in which they are shown, from frame `start` or a little before.
    pub(crate) fn decode(&self, collector: &mut FrameCollector, start: usize) -> Result<()> {
        let Some(avc) = self.avc() else {
            return Ok(());
        };
        let annex_b = |nal: &[u8]| [&[0, 0, 0, 1], nal].concat();
        let sets = avc.avcc.sequence_parameter_sets.iter();
        let mut head: Vec<u8> = sets
            .chain(&avc.avcc.picture_parameter_sets)
            .flat_map(|set| annex_b(&set.bytes))
            .collect();
        let length_bytes = usize::from(avc.avcc.length_size_minus_one & 3) + 1;
        let track = self.track();
        collector.expect(track.samples.len(), track.width.into(), track.height.into())?;
        let samples = &track.samples;
        // What comes before the last key frame up to `start` is needed by nobody after it.
        let from = (0..samples.len().min(start + 1))
            .rev()
            .find(|&i| samples[i].is_sync)
            .unwrap_or(0);
        collector.seen = from;
        // A flush would give frames out of order where some are predicted from later ones.
        let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let mut decoder = Decoder::with_api_config(OpenH264API::from_source(), config)
            .map_err(|e| damaged(self.name, &e))?;
        for (index, sample) in samples.iter().enumerate().skip(from) {
            if collector.is_full() {
                return Ok(());
            }
            let data = (sample.offset.try_into().ok())
                .and_then(|at: usize| self.bytes.get(at..)?.get(..sample.size.try_into().ok()?));
            let Some(mut data) = data else {
                return Err(damaged(
                    self.name,
                    &format!("it ends before frame {}", index + 1),
                ));
            };
            let mut unit = std::mem::take(&mut head);
            while let Some((length, rest)) = data.split_at_checked(length_bytes) {
                let length = length
                    .iter()
                    .fold(0, |sum, &byte| (sum << 8) | usize::from(byte));
                let Some((nal, rest)) = rest.split_at_checked(length) else {
                    break;
                };
                unit.extend(annex_b(nal));
                data = rest;
            }
            match decoder.decode(&unit) {
                Ok(Some(yuv)) => collect_yuv(&yuv, collector)?,
                Ok(None) => {}
                Err(e) => {
                    return Err(damaged(self.name, &format!("at frame {}: {e}", index + 1)));
                }
            }
        }
        for yuv in decoder.flush_remaining().unwrap_or_default() {
            collect_yuv(&yuv, collector)?;
        }
        if collector.seen == from && !samples.is_empty() {
            return Err(refused(
                self.name,
                "has no frame that H.264's decoder could make out",
            ));
        }
        Ok(())
    }
}

/// A file that is read from its beginning to its end. The crate that reads the index goes back where a box claims to be shorter than
/// its head, and would read the same one for ever; and of boxes within `meta` it believes every length, takes so much memory, and a
/// program that has not got it is ended at once. Nothing of such a box is needed: it is shown as one to be skipped.
struct Onward<'a> {
    bytes: Cursor<&'a [u8]>,
    back: u32,
}

impl<'a> Onward<'a> {
    /// How often it may go back all the same.
    const MOST_BACK: u32 = 1000;

    fn new(bytes: &'a [u8]) -> Self {
        let bytes = Cursor::new(bytes);
        Self { bytes, back: 0 }
    }
}

impl Read for Onward<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.bytes.read(into)?;
        // A box's length and its kind come in one piece.
        if let [_, _, _, _, kind @ ..] = into
            && kind == b"meta"
        {
            kind.copy_from_slice(b"free");
        }
        Ok(read)
    }
}

impl Seek for Onward<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let before = self.bytes.position();
        let now = self.bytes.seek(to)?;
        self.back += u32::from(now < before);
        match self.back > Self::MOST_BACK {
            true => Err(std::io::Error::other("its index goes in circles")),
            false => Ok(now),
        }
    }
}

fn collect_yuv(yuv: &DecodedYUV<'_>, collector: &mut FrameCollector) -> Result<()> {
    let (width, height) = yuv.dimensions();
    collector.next(width as u32, height as u32, || {
        let mut rgb = vec![0; width * height * 3];
        yuv.write_rgb8(&mut rgb);
        rgb
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Reading, read};
    use crate::tests::{moving_disc, psnr};
    use std::path::Path;

    /// Left edge of the square in a frame of `tests/data/b_frames.mp4`: 4 + 3 * the frame's number.
    fn left_edge(rgb: &[u8], width: usize) -> usize {
        let row = &rgb[18 * width * 3..19 * width * 3];
        row.chunks_exact(3).position(|p| p[0] > 150).unwrap()
    }

    #[test]
    fn an_index_that_goes_in_circles_is_refused() {
        let film = std::fs::read("tests/data/b_frames.mp4").unwrap();
        let mut refused = 0;
        for kind in [
            b"tkhd", b"edts", b"mdia", b"minf", b"stbl", b"stsd", b"udta", b"free",
        ] {
            let Some(at) = film.windows(4).position(|w| w == kind) else {
                continue;
            };
            for length in 0..8u8 {
                let mut damaged = film.clone();
                damaged[at - 4..at].copy_from_slice(&[0, 0, 0, length]);
                // Whatever is said of it, it is said.
                refused += u32::from(Mp4Reader::open(&damaged, "a.mp4").is_err());
            }
        }
        assert!(refused > 20, "{refused}");
    }

    #[test]
    fn lengths_within_what_is_told_of_a_film_are_not_believed() {
        // A box of half of all there is, where a film has its title and the like.
        let film = std::fs::read("tests/data/b_frames.mp4").unwrap();
        let at = |kind: &[u8]| film.windows(4).position(|w| w == kind).unwrap() - 4;
        let huge = [&[0, 0, 0, 1][..], b"abcd", &(1_u64 << 62).to_be_bytes()].concat();
        let handler = [&[0, 0, 0, 33][..], b"hdlr", &[0; 8], b"abcd", &[0; 13]].concat();
        let boxed = |kind: &[u8], content: &[u8]| {
            let length = (8 + content.len()) as u32;
            [&length.to_be_bytes(), kind, content].concat()
        };
        let meta = boxed(b"meta", &[&[0; 4][..], &handler, &huge].concat());
        let movie = at(b"moov");
        let length = u32::from_be_bytes(film[movie..movie + 4].try_into().unwrap());
        for told in [meta.clone(), boxed(b"udta", &meta)] {
            let end = movie + length as usize;
            let mut damaged = [&film[..end], &told, &film[end..]].concat();
            let longer = length + told.len() as u32;
            damaged[movie..movie + 4].copy_from_slice(&longer.to_be_bytes());
            // What it tells is of no interest; its frames are elsewhere now, or as they were.
            assert!(Mp4Reader::open(&damaged, "a.mp4").is_ok());
        }
    }

    #[test]
    fn frames_predicted_from_later_ones_come_in_order() {
        // Encoded by x264: High profile, three B-frames in a row, a key frame every eighth.
        let path = Path::new("tests/data/b_frames.mp4");
        let video = read(path, &Reading::default()).unwrap();
        assert_eq!((video.width, video.height, video.fps), (64, 48, 12));
        assert_eq!(video.frames.len(), 16);
        for (index, frame) in video.frames.iter().enumerate() {
            assert!(
                left_edge(frame, 64).abs_diff(4 + 3 * index) <= 1,
                "frame {index}"
            );
        }
        // From the second key frame on.
        let late = Reading {
            start: 10,
            stride: 2,
            ..Reading::default()
        };
        let video = read(path, &late).unwrap();
        assert_eq!(video.frames.len(), 3);
        for (index, frame) in [10, 12, 14].into_iter().zip(&video.frames) {
            assert!(
                left_edge(frame, 64).abs_diff(4 + 3 * index) <= 1,
                "frame {index}"
            );
        }
    }

    #[test]
    fn decodes_to_the_same_frames() {
        let video = moving_disc(97, 65, 30);
        let bytes = encode(&video).unwrap();

        // The container: index before data, one video track of 30 frames in 30/8 seconds.
        let position = |kind: &[u8]| bytes.windows(4).position(|w| w == kind).unwrap();
        assert!(position(b"moov") < position(b"mdat"));
        let mp4 = re_mp4::Mp4::read_bytes(&bytes).unwrap();
        let track = mp4.tracks().values().next().unwrap();
        assert_eq!((track.width, track.height), (96, 64));
        assert_eq!(track.samples.len(), 30);
        assert!((track.duration as f64 / track.timescale as f64 - 30.0 / 8.0).abs() < 1e-3);
        assert!(track.samples[0].is_sync);
        assert!(track.samples.iter().filter(|s| s.is_sync).count() < 4);
        assert!(
            track
                .codec_string(&mp4)
                .is_some_and(|c| c.starts_with("avc1."))
        );

        // The pictures, decoded again.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disc.mp4");
        std::fs::write(&path, &bytes).unwrap();
        let shown = read(&path, &Reading::default()).unwrap().frames;
        assert_eq!(shown.len(), 30);
        for (rgb, original) in shown.iter().zip(&video.frames) {
            let p = psnr(rgb, &cropped(original, 97, (96, 64)));
            // Halved colour resolution at the disc's edge costs most of it.
            assert!(p > 28.0, "{p}");
        }
    }

    #[test]
    fn unusable_videos_are_refused() {
        assert!(encode(&Video::default()).is_err());
        let tiny = Video {
            width: 8,
            height: 8,
            fps: 8,
            frames: vec![vec![0; 192]],
        };
        assert!(
            encode(&tiny)
                .unwrap_err()
                .to_string()
                .contains("larger scale")
        );
    }
}
