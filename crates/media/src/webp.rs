//! Animated WebP.

use super::check;
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use webp_animation::{
    ColorMode, Encoder, EncoderOptions, EncodingConfig, EncodingType, LossyEncodingConfig,
};

/// libwebp's quality, 0 to 100: nothing of the compression shows at twice the size.
const QUALITY: f32 = 90.0;

/// The WebP file of a video, looping for ever.
///
/// # Errors
/// [`Error::Job`] for a video without frames, frames of another size than it says, and what libwebp refuses.
pub fn encode(video: &Video) -> Result<Vec<u8>> {
    check(video)?;
    let fail = |e: webp_animation::Error| Error::Job(format!("the WebP cannot be written ({e:?})"));
    let options = EncoderOptions {
        color_mode: ColorMode::Rgba,
        encoding_config: Some(EncodingConfig {
            quality: QUALITY,
            encoding_type: EncodingType::Lossy(LossyEncodingConfig::default()),
            ..EncodingConfig::default()
        }),
        ..EncoderOptions::default()
    };
    let mut encoder =
        Encoder::new_with_options((video.width, video.height), options).map_err(fail)?;
    let start =
        |i: usize| ((i as u64 * 1000) / video.fps.max(1) as u64).min(i32::MAX as u64) as i32;
    for (i, frame) in video.frames.iter().enumerate() {
        let rgba: Vec<u8> = frame
            .chunks_exact(3)
            .flat_map(|p| [p[0], p[1], p[2], 255])
            .collect();
        encoder.add_frame(&rgba, start(i)).map_err(fail)?;
    }
    Ok(encoder
        .finalize(start(video.frames.len()))
        .map_err(fail)?
        .to_vec())
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
        let decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(&bytes)).unwrap();
        assert!(decoder.has_animation());
        let frames = decoder.into_frames().collect_frames().unwrap();
        assert_eq!(frames.len(), 9);
        for (frame, original) in frames.iter().zip(&video.frames) {
            assert_eq!(frame.buffer().dimensions(), (96, 64));
            assert_eq!(frame.delay().numer_denom_ms(), (125, 1));
            let rgb: Vec<u8> = frame
                .buffer()
                .pixels()
                .flat_map(|p| [p[0], p[1], p[2]])
                .collect();
            // Lossy, with halved colour resolution at the disc's edge.
            assert!(psnr(&rgb, original) > 28.0, "{}", psnr(&rgb, original));
        }
        assert!(encode(&Video::default()).is_err());
    }
}
