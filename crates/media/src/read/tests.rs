use super::*;
use crate::Format;
use crate::save;
use crate::tests::{moving_disc, psnr};
use dragentity_core::scene::picture::resize_rgb;

#[test]
fn every_kind_that_is_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let video = moving_disc(96, 64, 12);
    for (name, least) in [
        ("a.mp4", 28.0),
        ("a.gif", 32.0),
        ("a.webp", 28.0),
        ("frames", 90.0),
    ] {
        let path = dir.path().join(name);
        save(&video, &path).unwrap();
        let read = read(&path, &Reading::default()).unwrap();
        assert_eq!((read.width, read.height, read.fps), (96, 64, 8), "{name}");
        assert_eq!(read.frames.len(), 12, "{name}");
        for (a, b) in read.frames.iter().zip(&video.frames) {
            assert!(psnr(a, b) > least, "{name}: {}", psnr(a, b));
        }
        // Frames 1, 4, 7 at half the size.
        let some = Reading {
            start: 1,
            stride: 3,
            frames: 3,
            side: 48,
        };
        let read = super::read(&path, &some).unwrap();
        assert_eq!(
            (read.width, read.height, read.frames.len()),
            (48, 32, 3),
            "{name}"
        );
        for (a, k) in read.frames.iter().zip([1, 4, 7]) {
            let b = resize_rgb(&video.frames[k], (96, 64), (48, 32));
            assert!(psnr(a, &b) > least - 2.0, "{name}: {}", psnr(a, &b));
        }
        let late = Reading {
            start: 12,
            ..Reading::default()
        };
        let error = super::read(&path, &late).err().unwrap().to_string();
        assert!(error.contains("ends before frame 13"), "{error}");
        let known = length(&path).unwrap();
        let counted = matches!(Format::of(&path).unwrap(), Format::Mp4 | Format::Frames);
        assert_eq!(known.map(|(frames, _)| frames), counted.then_some(12));
        assert!(known.is_none_or(|(_, fps)| (fps - 8.0).abs() < 0.1));
    }
}

#[test]
fn numbers_in_names_count() {
    let mut names = [
        "f10.png", "f2.png", "f1.png", "f02.png", "a.png", "f2b.png", "g",
    ]
    .map(PathBuf::from);
    names.sort_by(|a, b| by_name(a, b));
    let sorted = names.map(|p| p.display().to_string());
    assert_eq!(
        sorted,
        [
            "a.png", "f1.png", "f02.png", "f2.png", "f2b.png", "f10.png", "g"
        ]
    );
}

#[test]
fn what_cannot_be_read_is_named_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8], word: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path, &Reading::default()).err().unwrap().to_string();
        assert!(error.contains(name) && error.contains(word), "{error}");
    };
    let mp4 = crate::mp4::encode(&moving_disc(64, 48, 4)).unwrap();
    refused("empty.mp4", b"", "empty");
    refused("text.mp4", b"hello, this is not a video", "ffmpeg");
    refused("film.webm", &[0x1a, 0x45, 0xdf, 0xa3, 1, 2, 3], "WebM");
    refused("one.png", b"\x89PNG\r\n", "one picture");
    refused("cut.mp4", &mp4[..mp4.len() / 3], "ffmpeg");
    refused("cut.gif", b"GIF89a\x10\0\x10\0", "ffmpeg");
    let folder = dir.path().join("none");
    std::fs::create_dir(&folder).unwrap();
    assert!(
        read(&folder, &Reading::default())
            .err()
            .unwrap()
            .to_string()
            .contains("no frames")
    );
    for (name, side) in [("0.png", 16), ("1.png", 20)] {
        image::RgbImage::new(side, 16)
            .save(folder.join(name))
            .unwrap();
    }
    let error = read(&folder, &Reading::default())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("20 x 16") && error.contains("one size"),
        "{error}"
    );
    assert!(read(&dir.path().join("absent.mp4"), &Reading::default()).is_err());
}

#[test]
fn damaged_films_are_errors_never_panics() {
    let film = crate::mp4::encode(&moving_disc(64, 48, 4)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    // Every byte of the index in turn would take long; these walk through all boxes.
    let index = film.windows(4).position(|w| w == b"mdat").unwrap();
    for at in (0..index).step_by(17) {
        let mut bytes = film.clone();
        bytes[at] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(video) = read(&path, &Reading::default()) {
            assert!(
                video
                    .frames
                    .iter()
                    .all(|f| f.len() == video.width as usize * video.height as usize * 3)
            );
        }
    }
}

/// A GIF of `frames` frames that show one pixel of a picture as large as it says.
fn claiming_gif(side: u16, frames: usize) -> Vec<u8> {
    let [low, high] = side.to_le_bytes();
    let mut gif = b"GIF89a".to_vec();
    gif.extend([low, high, low, high, 0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    for _ in 0..frames {
        gif.extend([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0]);
    }
    gif.push(0x3b);
    gif
}

#[test]
fn animations_that_are_too_large_are_refused_by_their_headers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gif");
    let said = |gif: Vec<u8>, reading: Reading| {
        std::fs::write(&path, gif).unwrap();
        read(&path, &reading).map_err(|e| e.to_string())
    };
    assert_eq!(gif_frames(&claiming_gif(16, 12)), 12);
    let small = said(claiming_gif(16, 12), Reading::default()).unwrap();
    assert_eq!(small.frames.len(), 12);
    let refused = |gif, reading| said(gif, reading).err().unwrap();
    // Nothing is decoded: any of these would take minutes.
    let why = refused(claiming_gif(5000, 1100), Reading::default());
    assert!(why.contains("too long: 1100 frames"), "{why}");
    let why = refused(claiming_gif(60_000, 2), Reading::default());
    assert!(why.contains("too large"), "{why}");
    let few = Reading {
        stride: 1000,
        ..Reading::default()
    };
    let why = refused(claiming_gif(5000, 1100), few);
    assert!(why.contains("takes too long"), "{why}");
    // Who wants few has few.
    let first = Reading {
        frames: 2,
        ..Reading::default()
    };
    assert_eq!(
        said(claiming_gif(500, 1100), first).unwrap().frames.len(),
        2
    );
}

#[test]
fn frames_of_a_webp_are_counted() {
    let bytes = crate::webp::encode(&moving_disc(32, 32, 7)).unwrap();
    assert_eq!(webp_frames(&bytes), 7);
    assert_eq!(webp_frames(&bytes[..bytes.len() / 2]).max(6), 6);
    assert_eq!(webp_frames(b"RIFF"), 0);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1000))]

    #[test]
    fn damaged_animations_are_read_or_refused(
        webp in proptest::bool::ANY,
        damage in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0..=255u8), 1..6),
        cut in proptest::prelude::any::<proptest::sample::Index>(),
        whole in proptest::bool::ANY,
    ) {
        let video = moving_disc(24, 16, 3);
        let mut bytes = match webp {
            true => crate::webp::encode(&video).unwrap(),
            false => crate::gif::encode(&video).unwrap(),
        };
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        // A damaged header may well ask for large frames, but not for many of them.
        let few = Reading { frames: 4, side: 64, ..Reading::default() };
        if let Ok(video) = read(file.path(), &few) {
            let size = video.width as usize * video.height as usize * 3;
            proptest::prop_assert!(video.frames.iter().all(|frame| frame.len() == size));
        }
    }
}
