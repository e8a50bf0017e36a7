//! Pictures and films.

use super::read;
use dragentity_core::scene::Picture;
use dragentity_core::scene::picture::is_cut_short;
use dragentity_media::read::{Reading, decode};

pub(super) fn picture(bytes: &[u8]) {
    let _ = is_cut_short(bytes);
    if let Some(picture) = read(Picture::decode(bytes, "a.png")) {
        let pixels = picture.width as usize * picture.height as usize;
        assert!(pixels > 0 && picture.rgb.len() == pixels * 3);
    }
}

/// Reads the first frames of a film, which is told by its first bytes; `magic` are those of this kind.
fn film(bytes: &[u8], magic: &[u8], at: usize) {
    if bytes.get(at..at + magic.len()) != Some(magic) {
        return;
    }
    let reading = Reading {
        start: 1,
        frames: 3,
        side: 64,
        ..Reading::default()
    };
    if let Some(video) = read(decode(bytes, "a film", &reading)) {
        let length = video.width as usize * video.height as usize * 3;
        assert!(!video.frames.is_empty() && video.frames.len() <= 3);
        assert!(video.frames.iter().all(|frame| frame.len() == length));
    }
}

/// Most pixels of a GIF's canvas here: what more of them cost is what their size says, and would only slow the search down.
const CANVAS: u32 = 1 << 20;

pub(super) fn gif(bytes: &[u8]) {
    let side = |at: usize| {
        let two = bytes.get(at..at + 2).and_then(|two| two.try_into().ok());
        u32::from(two.map_or(0, u16::from_le_bytes))
    };
    if side(6) * side(8) <= CANVAS {
        film(bytes, b"GIF8", 0);
    }
}

pub(super) fn webp(bytes: &[u8]) {
    film(bytes, b"WEBP", 8);
}

pub(super) fn mp4(bytes: &[u8]) {
    film(bytes, b"ftyp", 4);
}
