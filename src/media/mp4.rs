//! MP4 (H.264, 4:2:0, index first), as every browser plays it.

use super::check;
use crate::error::{Error, Result};
use crate::pipeline::Video;
use muxide::api::{MuxerBuilder, VideoCodec};
use openh264::OpenH264API;
use openh264::encoder::{
    Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, MatrixCoefficients,
    QpRange, RateControlMode, UsageType, VuiConfig,
};
use openh264::formats::{RgbSliceU8, YUVBuffer};

/// Quantiser range, 0 (all kept) to 51: these keep what a small video shows.
const QP: QpRange = QpRange::new(10, 20);
/// A whole second between two key frames at 8 to 24 frames a second, for seeking.
const KEY_FRAME_EVERY: u32 = 24;
/// The smallest side, in pixels, that OpenH264 encodes.
const MIN_SIDE: u32 = 16;

/// The MP4 file of a video. Sides are cropped to even numbers of pixels, which 4:2:0 needs.
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

    let mut out = Vec::new();
    let mut muxer = MuxerBuilder::new(&mut out)
        .video(VideoCodec::H264, width, height, fps as f64)
        .with_fast_start(true)
        .build()
        .map_err(|e| fail(&e))?;
    for (i, frame) in video.frames.iter().enumerate() {
        let rgb = cropped(frame, video.width, (width, height));
        let yuv =
            YUVBuffer::from_rgb8_source(RgbSliceU8::new(&rgb, (width as usize, height as usize)));
        let encoded = encoder.encode(&yuv).map_err(|e| fail(&e))?;
        let key = matches!(encoded.frame_type(), FrameType::IDR | FrameType::I);
        muxer
            .write_video(i as f64 / fps as f64, &encoded.to_vec(), key)
            .map_err(|e| fail(&e))?;
    }
    muxer.finish().map_err(|e| fail(&e))?;
    Ok(out)
}

/// The upper left `size` of an RGB frame `width` pixels wide.
fn cropped(frame: &[u8], width: u32, size: (u32, u32)) -> Vec<u8> {
    let rows = frame.chunks_exact(width as usize * 3).take(size.1 as usize);
    rows.flat_map(|row| &row[..size.0 as usize * 3])
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tests::{moving_disc, psnr};
    use openh264::formats::YUVSource;

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
        let avc = match &track.trak(&mp4).mdia.minf.stbl.stsd.contents {
            re_mp4::StsdBoxContent::Avc1(avc) => avc,
            _ => panic!("not H.264"),
        };
        assert!(
            track
                .codec_string(&mp4)
                .is_some_and(|c| c.starts_with("avc1."))
        );

        // The pictures, decoded again from the container's own parameter sets and samples.
        let mut decoder = openh264::decoder::Decoder::new().unwrap();
        let annex_b = |nal: &[u8]| [&[0, 0, 0, 1], nal].concat();
        let mut head = Vec::new();
        for set in avc
            .avcc
            .sequence_parameter_sets
            .iter()
            .chain(&avc.avcc.picture_parameter_sets)
        {
            head.extend(annex_b(&set.bytes));
        }
        let mut shown = Vec::new();
        for sample in &track.samples {
            let mut data = &bytes[sample.offset as usize..][..sample.size as usize];
            let mut unit = std::mem::take(&mut head);
            while let Some((length, rest)) = data.split_first_chunk::<4>() {
                let (nal, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
                unit.extend(annex_b(nal));
                data = rest;
            }
            let mut keep = |yuv: openh264::decoder::DecodedYUV<'_>| {
                assert_eq!(yuv.dimensions(), (96, 64));
                let mut rgb = vec![0; 96 * 64 * 3];
                yuv.write_rgb8(&mut rgb);
                shown.push(rgb);
            };
            if let Some(yuv) = decoder.decode(&unit).unwrap() {
                keep(yuv);
            }
        }
        for yuv in decoder.flush_remaining().unwrap() {
            assert_eq!(yuv.dimensions(), (96, 64));
            let mut rgb = vec![0; 96 * 64 * 3];
            yuv.write_rgb8(&mut rgb);
            shown.push(rgb);
        }
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
