//! A picture and a preset become a video:
//!
//! ```sh
//! cargo run --release -p dragentity-pipeline --example generate -- cat.jpg cat.json cat.mp4
//! ```
//!
//! A preset says what moves, and how; the page saves them, and `Trajectory::from_drag` and `Preset::new` make them. Without
//! arguments: the bundled cat, whose video is written into the system's folder for temporary files. What the name ends
//! with says what is written: `.mp4`, `.gif`, `.webp`, or a folder of PNGs. `--features wgpu` (or `cuda`) computes on a GPU.

use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Picture, Preset};
use dragentity_core::{Cancel, Job, JobEvent, Video};
use dragentity_networks::device::Device;
use dragentity_pipeline::at_once;
use dragentity_pipeline::model::{About, ModelOptions, SceneFrom};
use dragentity_pipeline::runner::with_runner;
use std::error::Error;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The video that is made at once of a preset.
///
/// # Errors
/// When picture or preset cannot be read or do not fit each other, or the run fails.
pub fn generate(picture: &Path, preset: &Path) -> Result<Video, Box<dyn Error>> {
    let picture = Picture::decode(&std::fs::read(picture)?, &picture.display().to_string())?;
    let preset = Preset::parse(&std::fs::read_to_string(preset)?)?;
    let options = ModelOptions::new(at_once::NAME);
    let about = pollster::block_on(About::read(&options))?;
    let settings = about.settings(&Choice::default(), SceneFrom::Preset(&preset));
    let job = Job::new(preset.scene(picture)?, settings, about.needs_paths())?;
    Ok(with_runner(Device::Auto, &options, |runner| {
        runner.run(&job, &Cancel::new(), &mut |event| {
            if let JobEvent::Filling { done, total } = event {
                println!("filled {done} of {total}");
            }
        })
    })??)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = |otherwise: String| args.next().unwrap_or(otherwise);
    let picture = next(format!("{ROOT}/www/samples/cat.jpg"));
    let preset = next(format!("{ROOT}/www/samples/cat.json"));
    let temporary = std::env::temp_dir().join("cat.mp4");
    let output = next(temporary.display().to_string());
    let video = generate(Path::new(&picture), Path::new(&preset))?;
    dragentity_media::save(&video, Path::new(&output))?;
    println!("{output}: {} frames", video.frames.len());
    Ok(())
}
