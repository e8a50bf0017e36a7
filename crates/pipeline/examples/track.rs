//! Where the things of a video are in each of its frames:
//!
//! ```sh
//! cargo run --release -p dragentity-pipeline --example track -- film.mp4 mask.png tracks.json
//! ```
//!
//! The mask has the size of the video and is white where the thing is in the first frame. Without arguments: the bundled
//! cat's head in a video that the shipped model makes of it; its tracks are written into the system's folder for temporary
//! files. Tracking itself needs no weights: `dragentity_pipeline::cotracker` tracks with CoTracker's.

use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Mask, Picture, Preset};
use dragentity_core::{Cancel, Job, Video};
use dragentity_media::read::{Reading, read};
use dragentity_media::track::{Tracks, flow};
use dragentity_networks::device::Device;
use dragentity_pipeline::at_once;
use dragentity_pipeline::model::{About, ModelOptions, SceneFrom};
use dragentity_pipeline::runner::with_runner;
use std::error::Error;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Follows one thing, whose mask in the first frame is known.
///
/// # Errors
/// For a video without frames, or a mask with nothing inside.
pub fn track(video: &Video, name: &str, mask: Mask) -> Result<Tracks, Box<dyn Error>> {
    Ok(flow::track(video, &[(name.to_owned(), mask)])?)
}

/// The bundled cat in a video that is made of it at once.
///
/// # Errors
/// When the sample cannot be read, or the run fails.
pub fn example() -> Result<(Video, Mask), Box<dyn Error>> {
    let sample = format!("{ROOT}/www/samples/cat");
    let picture = Picture::decode(&std::fs::read(format!("{sample}.jpg"))?, "cat.jpg")?;
    let preset = Preset::parse(&std::fs::read_to_string(format!("{sample}.json"))?)?;
    let options = ModelOptions::new(at_once::NAME);
    let about = pollster::block_on(About::read(&options))?;
    let settings = about.settings(&Choice::default(), SceneFrom::Preset(&preset));
    let job = Job::new(preset.scene(picture)?, settings, about.needs_paths())?;
    let video = with_runner(Device::Auto, &options, |runner| {
        runner.run(&job, &Cancel::new(), &mut |_| {})
    })??;
    Ok((video, job.scene.entities[0].mask.clone()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (video, mask, output) = match &args[..] {
        [] => {
            let (video, mask) = example()?;
            (video, mask, std::env::temp_dir().join("tracks.json"))
        }
        [film, mask, output] => {
            let video = read(Path::new(film), &Reading::default())?;
            let size = [video.width, video.height];
            let mask = Mask::decode(&std::fs::read(mask)?, mask, "the video", size)?;
            (video, mask, output.into())
        }
        _ => return Err("name a video, a mask and the file to write, or nothing".into()),
    };
    let tracks = track(&video, "thing", mask)?;
    std::fs::write(&output, tracks.to_json())?;
    for (frame, [x, y]) in tracks.entities[0].points.iter().enumerate() {
        println!("frame {frame}: {x:.1}, {y:.1}");
    }
    println!("{}", output.display());
    Ok(())
}
