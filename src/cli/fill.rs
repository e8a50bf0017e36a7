//! `dragentity fill`: the clean plate alone.

use super::files::{MAX_PICTURE_FILE, read, read_picture, writable};
use super::model;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::write_whole;
use dragentity_core::scene::{Mask, Picture};
use dragentity_core::{Cancel, JobEvent};
use dragentity_pipeline::structure::{Structure, filling};
use dragentity_terminal::interrupt::on_interrupt;
use dragentity_terminal::progress::ProgressArgs;
use std::path::{Path, PathBuf};

/// Options of `dragentity fill`.
#[derive(clap::Args)]
pub struct Args {
    /// The picture: PNG, JPEG, WebP, GIF or BMP. Of one with a side above 1,280 pixels the plate is smaller
    image: PathBuf,
    /// What is to go: a picture of the same size, white there. All of the thing and its soft edge, better a little more
    #[arg(long, value_name = "FILE.png")]
    mask: PathBuf,
    /// What it may be filled from: a picture of the same size, white there [default: all the rest]
    #[arg(long, value_name = "FILE.png")]
    from: Option<PathBuf>,
    /// Where to write the plate
    #[arg(short, long, value_name = "FILE.png")]
    output: PathBuf,
    /// Do without the network that guesses what lies behind (models/plate, here or beside the program)
    #[arg(long)]
    without_network: bool,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Fills one picture.
///
/// # Errors
/// [`dragentity_core::Error::Picture`], [`dragentity_core::Error::Preset`], [`dragentity_core::Error::Io`], and those of
/// [`filling`].
pub fn run(args: Args) -> Result<()> {
    writable(&args.output)?;
    let name = args.image.display().to_string();
    let bytes = read_picture(&args.image)?;
    let (picture, size) = Picture::decode_as_stored(&bytes, &name)?;
    let (width, height) = (picture.width, picture.height);
    let mask = |path: &Path| {
        let bytes = read(path, MAX_PICTURE_FILE, "mask")?;
        let mask = Mask::decode(&bytes, &path.display().to_string(), &name, size)?;
        Ok(mask.resized(width, height))
    };
    let hole = mask(&args.mask)?;
    let source = args.from.as_deref().map(mask).transpose()?;
    let cancel = Cancel::new();
    let stop = cancel.clone();
    on_interrupt(move || stop.cancel());
    let mut progress = args.progress.start();
    let filled = pollster::block_on(async {
        let structure = match (args.without_network, model::structure()) {
            (false, Some(place)) => Structure::find(&place).await?,
            _ => None,
        };
        let mut filling = filling(structure.as_ref(), &picture, &hole, source.as_ref()).await?;
        loop {
            let more = filling.advance();
            let (done, total) = filling.progress();
            progress.show(&JobEvent::Filling { done, total });
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if !more {
                return Ok(filling.finish());
            }
        }
    });
    progress.finish();
    write_whole(&args.output, &filled?.to_png()?)?;
    let output = args.output.display();
    let made =
        serde_json::json!({ "output": output.to_string(), "width": width, "height": height });
    let sentence = format!("{output}: {width} x {height} pixels");
    progress.result("done", &made, &sentence);
    Ok(())
}
