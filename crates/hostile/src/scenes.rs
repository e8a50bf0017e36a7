//! Scenes: presets, links, projects, and the files of other programs.

use super::{choice, read};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dragentity_core::scene::demo::Demo;
use dragentity_core::scene::exchange::{self, File, Format};
use dragentity_core::scene::project::Project;
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Picture, Preset, Scene, Settings};
use dragentity_core::stored_zip::StoredZip;
use dragentity_core::study::{Answers, Tally};
use dragentity_core::{Cancel, Job};
use dragentity_media::track::Tracks;
use dragentity_pipeline::at_once::AtOnce;
use std::hash::{DefaultHasher, Hasher};
use std::sync::LazyLock;

/// What the seeds were made for.
const SIZE: [u32; 2] = [24, 16];

static PICTURE: LazyLock<Picture> = LazyLock::new(|| {
    let rgb = (0..SIZE[0] * SIZE[1] * 3).map(|i| (i * 7) as u8).collect();
    Picture::from_rgb(SIZE[0], SIZE[1], rgb).unwrap_or_default()
});

static PNG: LazyLock<Vec<u8>> = LazyLock::new(|| PICTURE.to_png().unwrap_or_default());

/// Takes the scene of a preset through all that is done with it: written again as file and link, and made into a video.
fn use_preset(preset: &Preset, bytes: &[u8]) {
    let Some(scene) = read(preset.scene(PICTURE.clone())) else {
        return;
    };
    let settings = Settings::resolve(&Choice::default(), &preset.settings, &Settings::default());
    let written = Preset::new(&scene, &settings);
    for text in [written.to_json(), written.to_link("http://a/")] {
        let again = Preset::parse(&text);
        assert!(again.is_ok(), "what was written is refused: {again:?}");
    }
    make(scene, settings, bytes);
}

/// Of how many inputs one is made into a video: that takes some twenty times as long as reading it does, and what was read is a scene
/// as any other.
const MADE: u64 = 8;

/// Makes the first frames of a scene, as small as they come: for one in [`MADE`] inputs, which their bytes choose.
fn make(scene: Scene, settings: Settings, bytes: &[u8]) {
    let mut hash = DefaultHasher::new();
    hash.write(bytes);
    if !hash.finish().is_multiple_of(MADE) {
        return;
    }
    let short = Settings {
        frames: settings.frames.min(3),
        size: None,
        ..settings
    };
    let Some(job) = read(Job::new(scene, short, true)) else {
        return;
    };
    let _ = job.scene.notes(job.settings.frames);
    let made = pollster::block_on(async {
        let (engine, cancel) = (AtOnce::default(), Cancel::new());
        engine.run(&job, &cancel, &mut |_| {}).await
    });
    if let Some(video) = read(made) {
        assert_eq!(video.frames.len(), job.settings.frames as usize);
    }
}

pub(super) fn preset(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(preset) = read(Preset::parse(&text)) {
        use_preset(&preset, bytes);
    }
}

/// What a link carries: compressed.
pub(super) fn link(bytes: &[u8]) {
    let link = format!("http://a/#s={}", URL_SAFE_NO_PAD.encode(bytes));
    if let Some(preset) = read(Preset::parse(&link)) {
        use_preset(&preset, bytes);
    }
}

/// A project file as a whole, and one that is sound apart from its preset.
pub(super) fn project(bytes: &[u8]) {
    let mut archive = StoredZip::default();
    let files: [(&str, &[u8]); 3] = [
        ("project.json", br#"{"dragentity_project": 1}"#),
        ("preset.json", bytes),
        ("picture.png", &PNG),
    ];
    let whole = files
        .iter()
        .try_for_each(|(name, bytes)| archive.add(name, bytes));
    let around = whole.and_then(|()| archive.finish()).unwrap_or_default();
    for bytes in [bytes, &around] {
        if let Some(project) = read(Project::parse(bytes, "a.dragentity"))
            && let Some(scene) = read(project.scene())
        {
            let _ = scene.notes(9);
        }
    }
}

/// One file of another program, or two of one size, as the first byte says.
pub(super) fn exchange(bytes: &[u8]) {
    let (count, bytes) = choice(bytes);
    let file = |(i, bytes): (usize, &[u8])| File {
        name: format!("{i}"),
        bytes: bytes.to_vec(),
    };
    let length = bytes.len() / (1 + count % 2);
    let files: Vec<File> = bytes
        .chunks(length.max(1))
        .take(2)
        .enumerate()
        .map(file)
        .collect();
    let Some(found) = read(exchange::read(&files, SIZE)) else {
        return;
    };
    let scene = found.scene(PICTURE.clone());
    for format in Format::ALL {
        let target = exchange::Target {
            size: SIZE,
            frames: Some(5),
        };
        read(exchange::write(&scene, format, target));
    }
    make(
        scene,
        Settings::resolve(&found.settings(), &Choice::default(), &Settings::default()),
        bytes,
    );
}

/// The list of a demo folder whose pictures are all the same.
pub(super) fn demo(bytes: &[u8]) {
    let demo = Demo::read(&mut |name| {
        Ok(match name.ends_with(".json") {
            true => bytes.to_vec(),
            false => PNG.clone(),
        })
    });
    if let Some(demo) = read(demo) {
        let settings =
            Settings::resolve(&demo.settings(), &Choice::default(), &Settings::default());
        make(demo.scene, settings, bytes);
    }
}

/// Tracks of a video.
pub(super) fn tracks(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(tracks) = read(Tracks::parse(&text, "a.json", SIZE.into())) {
        let again = Tracks::parse(&tracks.to_json(), "a.json", SIZE.into());
        assert!(again.is_ok(), "what was written is refused: {again:?}");
        let _ = tracks.to_draganything();
    }
}

/// Answers of the blind comparison.
pub(super) fn answers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(answers) = read(Answers::parse(&text, "a.json")) {
        read(Tally::of(&[answers.clone(), answers]));
    }
}
