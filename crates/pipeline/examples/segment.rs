//! A click becomes a mask:
//!
//! ```sh
//! cargo run --release -p dragentity-pipeline --example segment -- photo.jpg 0.44 0.15 mask.png
//! ```
//!
//! The place is a fraction of the width and one of the height. `--features wgpu` (or `cuda`) computes on a GPU. Without arguments: the astronaut's head in the bundled
//! picture, whose mask is written into the system's folder for temporary files.

use dragentity_core::scene::{Mask, Picture};
use dragentity_core::{Cancel, Click, ClickJob};
use dragentity_networks::device::Device;
use dragentity_pipeline::model::ModelOptions;
use dragentity_pipeline::runner::with_runner;
use std::error::Error;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The mask of what lies at `[x, y]` of a picture, by MobileSAM's weights that ship with the project.
///
/// # Errors
/// When the picture cannot be read, or the run fails.
pub fn segment(picture: &Path, [x, y]: [f32; 2]) -> Result<Mask, Box<dyn Error>> {
    let positive = true;
    let job = ClickJob {
        picture: Picture::decode(&std::fs::read(picture)?, &picture.display().to_string())?,
        clicks: vec![Click { x, y, positive }],
        ..ClickJob::default()
    };
    let options = ModelOptions {
        segmenter: Some(format!("{ROOT}/models/mobile_sam/model.safetensors")),
        ..ModelOptions::default()
    };
    Ok(with_runner(Device::Auto, &options, |runner| {
        runner.segment(&job, &Cancel::new(), &mut |_| {})
    })??)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = |otherwise: String| args.next().unwrap_or(otherwise);
    let picture = next(format!("{ROOT}/www/samples/astronaut.jpg"));
    let place = [next("0.44".into()).parse()?, next("0.15".into()).parse()?];
    let temporary = std::env::temp_dir().join("mask.png");
    let output = next(temporary.display().to_string());
    let mask = segment(Path::new(&picture), place)?;
    std::fs::write(&output, mask.to_png()?)?;
    let inside = 100.0 * mask.coverage();
    println!("{output}: {inside:.1} % of the picture");
    Ok(())
}
