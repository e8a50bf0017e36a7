//! Looping GIFs. One palette serves all frames, so that what stands still does not flicker.

use super::check;
use color_quant::NeuQuant;
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use std::borrow::Cow;

/// About how many pixels the palette is learnt from: more take longer and change little.
const PALETTE_SAMPLES: usize = 120_000;

/// The GIF file of a video, looping for ever.
///
/// # Errors
/// [`Error::Job`] for a video without frames, frames of another size than it says, and sides that a GIF cannot have.
pub fn encode(video: &Video) -> Result<Vec<u8>> {
    check(video)?;
    let fail = |e: ::gif::EncodingError| Error::Job(format!("the GIF cannot be written ({e})"));
    let (Ok(width), Ok(height)) = (u16::try_from(video.width), u16::try_from(video.height)) else {
        return Err(Error::Job(format!(
            "a GIF cannot be {} x {} pixels; choose a smaller scale",
            video.width, video.height
        )));
    };
    let mut colours = Colours::of(video);
    let mut out = Vec::new();
    let mut encoder =
        ::gif::Encoder::new(&mut out, width, height, &colours.palette()).map_err(fail)?;
    encoder.set_repeat(::gif::Repeat::Infinite).map_err(fail)?;
    for (frame, delay) in video
        .frames
        .iter()
        .zip(delays(video.fps, video.frames.len()))
    {
        let indices: Vec<u8> = frame
            .chunks_exact(3)
            .map(|p| colours.index([p[0], p[1], p[2]]))
            .collect();
        let frame = ::gif::Frame {
            width,
            height,
            delay,
            dispose: ::gif::DisposalMethod::Keep,
            buffer: Cow::Owned(indices),
            ..::gif::Frame::default()
        };
        encoder.write_frame(&frame).map_err(fail)?;
    }
    drop(encoder);
    Ok(out)
}

/// How long each frame stands, in centiseconds. Rounded so that the video as a whole lasts as long as it should; at
/// least two, since players show shorter ones ten times slower.
fn delays(fps: u32, frames: usize) -> Vec<u16> {
    let fps = fps.max(1) as u64;
    let end = |i: u64| (i * 100 + fps / 2) / fps;
    (0..frames as u64)
        .map(|i| (end(i + 1) - end(i)).clamp(2, u16::MAX as u64) as u16)
        .collect()
}

/// The palette, and what each colour has become so far.
struct Colours {
    quantizer: NeuQuant,
    /// Palette index by the colour's upper bits; [`Colours::UNKNOWN`] where not asked yet.
    known: Vec<u16>,
}

impl Colours {
    /// Bits of each channel that decide the index. Six are finer than 256 colours can tell apart.
    const BITS: u32 = 6;
    const UNKNOWN: u16 = u16::MAX;

    fn of(video: &Video) -> Self {
        let pixels = video.frames.len() * video.width as usize * video.height as usize;
        // NeuQuant takes its own steps through the pixels; an odd one here keeps clear of the rows' length.
        let step = (pixels / PALETTE_SAMPLES).max(1) | 1;
        let sample: Vec<u8> = video
            .frames
            .iter()
            .flat_map(|f| f.chunks_exact(3))
            .step_by(step)
            .flat_map(|p| [p[0], p[1], p[2], 255])
            .collect();
        Self {
            quantizer: NeuQuant::new(1, 256, &sample),
            known: vec![Self::UNKNOWN; 1 << (3 * Self::BITS)],
        }
    }

    fn palette(&self) -> Vec<u8> {
        self.quantizer.color_map_rgb()
    }

    fn index(&mut self, rgb: [u8; 3]) -> u8 {
        let drop = 8 - Self::BITS;
        let key = rgb
            .iter()
            .fold(0usize, |key, c| (key << Self::BITS) | (c >> drop) as usize);
        if self.known[key] == Self::UNKNOWN {
            // The middle of all colours that share these bits.
            let middle = rgb.map(|c| (c >> drop << drop) | (1 << (drop - 1)));
            self.known[key] =
                self.quantizer
                    .index_of(&[middle[0], middle[1], middle[2], 255]) as u16;
        }
        self.known[key] as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{moving_disc, psnr};
    use image::AnimationDecoder;

    #[test]
    fn decodes_to_the_same_frames() {
        let video = moving_disc(96, 64, 9);
        let bytes = encode(&video).unwrap();
        let decoder = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(&bytes)).unwrap();
        let frames = decoder.into_frames().collect_frames().unwrap();
        assert_eq!(frames.len(), 9);
        let mut duration = 0.0;
        for (frame, original) in frames.iter().zip(&video.frames) {
            assert_eq!(frame.buffer().dimensions(), (96, 64));
            let rgb: Vec<u8> = frame
                .buffer()
                .pixels()
                .flat_map(|p| [p[0], p[1], p[2]])
                .collect();
            // 256 colours for a smooth gradient.
            assert!(psnr(&rgb, original) > 32.0, "{}", psnr(&rgb, original));
            let (n, d) = frame.delay().numer_denom_ms();
            duration += n as f64 / d as f64;
        }
        assert!((duration - 9.0 * 125.0).abs() <= 5.0, "{duration} ms");
        assert!(
            bytes.windows(11).any(|w| w == b"NETSCAPE2.0"),
            "does not loop"
        );
    }

    #[test]
    fn delays_add_up_and_are_never_too_short() {
        for fps in [1, 3, 7, 8, 12, 24, 30, 50] {
            let total: u64 = delays(fps, 60).into_iter().map(u64::from).sum();
            assert!(total.abs_diff(6000 / fps as u64) <= 1, "{fps}: {total}");
        }
        assert!(delays(1000, 10).iter().all(|&d| d == 2));
        assert_eq!(delays(0, 1), [100]);
    }

    #[test]
    fn unusable_videos_are_refused() {
        assert!(encode(&Video::default()).is_err());
        let wide = Video {
            width: 70_000,
            height: 1,
            fps: 8,
            frames: vec![vec![0; 210_000]],
        };
        assert!(encode(&wide).unwrap_err().to_string().contains("70000 x 1"));
    }
}
