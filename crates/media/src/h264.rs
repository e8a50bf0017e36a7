//! Frames into H.264 without a library of the system's or the browser's: for pages of browsers that encode no video. Slower than those,
//! and larger files.

use crate::mux::Packet;
use dragentity_core::error::{Error, Result};
use rusty_h264_common::YuvFrame;
use rusty_h264_common::nal::{NalUnit, NalUnitType};
use rusty_h264_encoder::{EncoderConfig, Sps};

/// Quantiser, 0 (all kept) to 51: what keeps what a small video shows.
const QP: u8 = 18;
/// Frames between two that can be shown without those before them: a second, at 24 a second.
const KEY_FRAME_EVERY: u32 = 24;

/// An encoder of frames of one size, in constrained baseline profile, which every player plays.
pub struct Encoder {
    inner: rusty_h264_encoder::Encoder,
    config: EncoderConfig,
    frame: YuvFrame,
    done: u32,
}

impl Encoder {
    /// Of frames of `width` x `height` pixels, both even.
    ///
    /// # Errors
    /// [`Error::Job`] for sides that are odd or none.
    pub fn new([width, height]: [u32; 2], fps: u32) -> Result<Self> {
        if width == 0 || height == 0 || width % 2 + height % 2 > 0 {
            return Err(Error::Job(format!(
                "an MP4 cannot be {width} x {height} pixels, each side must be even and at least 2; save a GIF"
            )));
        }
        let [w, h] = [width as usize, height as usize];
        let config = EncoderConfig {
            qp: QP,
            gop_size: KEY_FRAME_EVERY,
            min_keyint: KEY_FRAME_EVERY,
            framerate: fps.max(1) as f32,
            ..EncoderConfig::baseline(w, h)
        };
        let inner = rusty_h264_encoder::Encoder::new(config.clone()).map_err(|e| failed(&e))?;
        Ok(Self {
            inner,
            config,
            frame: YuvFrame::black(w, h),
            done: 0,
        })
    }

    /// Encodes the next frame: the upper left of `[height, stride / 3, 3]` bytes, `stride` bytes a row.
    ///
    /// # Errors
    /// [`Error::Job`] for too few bytes, and for what the encoder refuses.
    pub fn encode(&mut self, rgb: &[u8], stride: usize) -> Result<Packet> {
        let rows = self.frame.height.saturating_sub(1) * stride;
        if stride < self.frame.width * 3 || rgb.len() < rows + self.frame.width * 3 {
            return Err(failed(&"a frame has too few pixels"));
        }
        convert(rgb, stride, &mut self.frame);
        let key = self.done.is_multiple_of(KEY_FRAME_EVERY);
        let coded = self.inner.encode_planes(&self.frame.as_planes());
        let coded = coded.map_err(|e| failed(&e))?;
        self.done += 1;
        let bytes = match key {
            true => self.told(&coded)?,
            false => coded,
        };
        Ok(Packet { bytes, key })
    }

    /// A key frame that says, before all else, how its colours are meant: without a word players guess.
    fn told(&self, coded: &[u8]) -> Result<Vec<u8>> {
        let own = Sps::from_config(&self.config).to_nal();
        let rest = coded.strip_prefix(own.to_annex_b().as_slice());
        let rest = rest.ok_or_else(|| failed(&"a key frame does not begin as it should"))?;
        let told = NalUnit::new(own.ref_idc, NalUnitType::Sps, with_colours(&own.rbsp));
        Ok([told.to_annex_b().as_slice(), rest].concat())
    }
}

fn failed(why: &dyn std::fmt::Display) -> Error {
    Error::Job(format!("the MP4 cannot be written ({why}); save a GIF"))
}

/// A sequence's parameters with what their end may hold: BT.601's matrix in limited range, BT.709's primaries and transfer, as OpenH264
/// writes them (ITU-T H.264, E.1.1).
fn with_colours(rbsp: &[u8]) -> Vec<u8> {
    let bits = rbsp
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1 == 1));
    let mut bits: Vec<bool> = bits.collect();
    // The last one marks the end, the one before it says that there is nothing more.
    while bits.pop() == Some(false) {}
    bits.pop();
    let mut put = |value: u32, count: u32| {
        bits.extend((0..count).rev().map(|bit| (value >> bit) & 1 == 1));
    };
    // There is more: no shape of pixels, no overscan; of no kind of television, in limited range, whose colours are told.
    put(0b1001, 4);
    put(5, 3);
    put(0b01, 2);
    for of in [1, 1, 6] {
        put(of, 8);
    }
    // No places of colours, times, buffers or limits. The end, to a whole byte.
    put(1, 7);
    while !bits.len().is_multiple_of(8) {
        bits.push(false);
    }
    let byte = |bits: &[bool]| {
        bits.iter()
            .fold(0, |byte, &bit| (byte << 1) | u8::from(bit))
    };
    bits.chunks(8).map(byte).collect()
}

/// RGB as BT.601 has it, in limited range; colours of four pixels become one.
fn convert(rgb: &[u8], stride: usize, out: &mut YuvFrame) {
    let (width, half) = (out.width, out.width / 2);
    let weighed = |p: [i32; 3], [r, g, b]: [i32; 3]| r * p[0] + g * p[1] + b * p[2];
    for y in (0..out.height).step_by(2) {
        for x in (0..width).step_by(2) {
            let mut sum = [0; 3];
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let at = (y + dy) * stride + (x + dx) * 3;
                let pixel = [0, 1, 2].map(|c| i32::from(rgb[at + c]));
                sum = [0, 1, 2].map(|c| sum[c] + pixel[c]);
                let luma = 16 + ((weighed(pixel, [16829, 33039, 6416]) + (1 << 15)) >> 16);
                out.y[(y + dy) * width + x + dx] = luma as u8;
            }
            let chroma = |by: [i32; 3]| (128 + ((weighed(sum, by) + (1 << 17)) >> 18)) as u8;
            let at = y / 2 * half + x / 2;
            out.u[at] = chroma([-9714, -19070, 28784]);
            out.v[at] = chroma([28784, -24103, -4681]);
        }
    }
}

#[cfg(all(test, not(target_family = "wasm"), feature = "mp4"))]
mod tests {
    use super::*;
    use crate::mux;
    use crate::read::{Reading, read};
    use crate::tests::{moving_disc, psnr};
    use dragentity_core::Video;

    fn encoded(video: &Video, size: [u32; 2]) -> Vec<u8> {
        let mut encoder = Encoder::new(size, video.fps).unwrap();
        let frames = video.frames.iter();
        let packets = frames.map(|rgb| encoder.encode(rgb, video.width as usize * 3).unwrap());
        let packets: Vec<Packet> = packets.collect();
        let keys = packets.iter().map(|packet| packet.key);
        assert!(keys.enumerate().all(|(i, key)| key == i.is_multiple_of(24)));
        mux::h264(size, video.fps, packets).unwrap()
    }

    #[test]
    fn openh264_decodes_the_same_frames() {
        // Sides that are no whole number of blocks, and one pixel more than what is encoded.
        for (width, height, frames) in [(97, 65, 30), (17, 131, 3)] {
            let video = moving_disc(width, height, frames);
            let size = [width & !1, height & !1];
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("disc.mp4");
            std::fs::write(&path, encoded(&video, size)).unwrap();
            let shown = read(&path, &Reading::default()).unwrap();
            assert_eq!([shown.width, shown.height], size);
            assert_eq!(shown.frames.len(), frames as usize);
            for (rgb, original) in shown.frames.iter().zip(&video.frames) {
                let rows = original.chunks_exact(width as usize * 3);
                let rows = rows.take(size[1] as usize);
                let cropped: Vec<u8> = rows
                    .flat_map(|row| &row[..size[0] as usize * 3])
                    .copied()
                    .collect();
                let p = psnr(rgb, &cropped);
                // Halved colour resolution at the disc's edge costs most of it, as with OpenH264.
                assert!(p > 28.0, "{p}");
            }
        }
    }

    #[test]
    fn greys_and_colours_come_back_as_they_were() {
        let colours: [[u8; 3]; 6] = [
            [0; 3],
            [255; 3],
            [128; 3],
            [230, 30, 20],
            [20, 200, 40],
            [30, 40, 220],
        ];
        let frames = colours.iter().map(|colour| colour.repeat(32 * 32));
        let video = Video {
            width: 32,
            height: 32,
            fps: 24,
            frames: frames.collect(),
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("colours.mp4");
        std::fs::write(&path, encoded(&video, [32, 32])).unwrap();
        let shown = read(&path, &Reading::default()).unwrap();
        for (frame, colour) in shown.frames.iter().zip(colours) {
            for c in 0..3 {
                let at = (16 * 32 + 16) * 3 + c;
                assert!(
                    frame[at].abs_diff(colour[c]) <= 6,
                    "{colour:?}: {}",
                    frame[at]
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_encoded_is_told() {
        for size in [[0, 16], [15, 16], [16, 3]] {
            assert!(Encoder::new(size, 24).is_err(), "{size:?}");
        }
        let mut encoder = Encoder::new([16, 16], 0).unwrap();
        assert!(encoder.encode(&[0; 16 * 16 * 3 - 1], 48).is_err());
        assert!(encoder.encode(&[0; 16 * 16 * 3], 40).is_err());
        assert!(encoder.encode(&[0; 16 * 16 * 3], 48).is_ok());
    }
}
