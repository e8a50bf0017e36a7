//! An animated WebP of pictures that are encoded already, each as a WebP: those of a browser's canvas, which makes no animations.

use dragentity_core::error::{Error, Result};

/// Bytes of a chunk's name and length.
const HEAD: usize = 8;
/// Longest side of an animation, in pixels.
const MOST: u32 = 1 << 24;

/// The animated WebP, looping for ever, of pictures of `width` x `height` pixels, `fps` of them a second.
///
/// # Errors
/// [`Error::Job`] for no pictures, for what is no WebP, and for sizes that the format does not have.
pub fn webp([width, height]: [u32; 2], fps: u32, stills: &[Vec<u8>]) -> Result<Vec<u8>> {
    let fail = |why: &str| Error::Job(format!("the WebP cannot be written ({why})"));
    if stills.is_empty() || !(1..=MOST).contains(&width) || !(1..=MOST).contains(&height) {
        return Err(fail("there are no frames of that size"));
    }
    let mut alpha = false;
    let mut frames = Vec::new();
    let start = |i: usize| (i as u64 * 1000 / u64::from(fps.max(1))) as u32;
    for (i, still) in stills.iter().enumerate() {
        let image = image_of(still).ok_or_else(|| fail("a frame is no WebP"))?;
        alpha |= image.starts_with(b"ALPH") || image.starts_with(b"VP8L");
        let mut frame = Vec::new();
        for number in [0, 0, width - 1, height - 1, start(i + 1) - start(i)] {
            frame.extend(&number.to_le_bytes()[..3]);
        }
        // Each frame covers what was before.
        frame.push(0b10);
        frame.extend(image);
        frames.extend(chunk(*b"ANMF", &frame));
    }
    // An animation, with alpha if any frame may have some.
    let mut head = vec![0b10 | (u8::from(alpha) << 4), 0, 0, 0];
    for number in [width - 1, height - 1] {
        head.extend(&number.to_le_bytes()[..3]);
    }
    let body = [
        b"WEBP".to_vec(),
        chunk(*b"VP8X", &head),
        // On black, without end.
        chunk(*b"ANIM", &[0, 0, 0, 255, 0, 0]),
        frames,
    ];
    Ok(chunk(*b"RIFF", &body.concat()))
}

fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut out = name.to_vec();
    out.extend((data.len() as u32).to_le_bytes());
    out.extend(data);
    // Chunks begin at even places.
    out.resize(out.len().next_multiple_of(2), 0);
    out
}

/// The chunks of a WebP that are its picture; `None` where there are none.
fn image_of(still: &[u8]) -> Option<Vec<u8>> {
    let body = still.strip_prefix(b"RIFF")?.get(4..)?;
    let mut rest = body.strip_prefix(b"WEBP")?;
    let mut image = Vec::new();
    while let Some((head, data)) = rest.split_at_checked(HEAD) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let own = data.get(..length)?;
        if [b"ALPH", b"VP8 ", b"VP8L"]
            .iter()
            .any(|name| head.starts_with(*name))
        {
            image.extend(chunk([head[0], head[1], head[2], head[3]], own));
        }
        rest = data.get(length.next_multiple_of(2)..).unwrap_or_default();
    }
    (!image.is_empty()).then_some(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{AnimationDecoder, ImageEncoder};

    /// A still of one colour, without loss.
    fn still(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
        let mut out = Vec::new();
        let rgb = colour.repeat((width * height) as usize);
        image::codecs::webp::WebPEncoder::new_lossless(&mut out)
            .write_image(&rgb, width, height, image::ExtendedColorType::Rgb8)
            .unwrap();
        out
    }

    #[test]
    fn stills_become_an_animation_that_others_read() {
        let colours = [[200, 10, 30], [20, 180, 40], [10, 30, 220]];
        let stills: Vec<Vec<u8>> = colours.iter().map(|c| still(33, 20, *c)).collect();
        let file = webp([33, 20], 24, &stills).unwrap();
        let decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(&file)).unwrap();
        assert!(decoder.has_animation());
        let frames = decoder.into_frames().collect_frames().unwrap();
        assert_eq!(frames.len(), 3);
        for (frame, colour) in frames.iter().zip(colours) {
            assert_eq!(frame.buffer().dimensions(), (33, 20));
            assert_eq!(frame.buffer().get_pixel(20, 9).0[..3], colour);
            let (millis, _) = frame.delay().numer_denom_ms();
            assert!((41..=42).contains(&millis), "{millis}");
        }
    }

    #[test]
    fn what_is_no_webp_is_refused() {
        let whole = still(8, 8, [1, 2, 3]);
        for odd in [
            vec![],
            b"RIFF".to_vec(),
            b"GIF89a".to_vec(),
            whole[..30].to_vec(),
        ] {
            assert!(webp([8, 8], 24, &[odd]).is_err());
        }
        assert!(webp([8, 8], 24, &[]).is_err());
        assert!(webp([0, 8], 24, &[whole]).is_err());
    }
}
