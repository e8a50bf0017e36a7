//! `dragentity segment`: the page's clicks, without the page.

use super::files::{MAX_PICTURE_FILE, read, read_picture, writable};
use super::model::{DeviceArgs, SegmenterArgs};
use dragentity_core::Cancel;
use dragentity_core::Click;
use dragentity_core::ClickJob;
use dragentity_core::JobEvent;
use dragentity_core::error::Result;
use dragentity_core::platform::write_whole;
use dragentity_core::scene::{Mask, Picture};
use dragentity_pipeline::model::ModelOptions;
use dragentity_pipeline::runner::with_runner;
use dragentity_terminal::interrupt::on_interrupt;
use dragentity_terminal::progress::ProgressArgs;
use std::path::PathBuf;

/// Options of `dragentity segment`.
#[derive(clap::Args)]
pub struct Args {
    /// The picture: PNG, JPEG, WebP, GIF or BMP
    image: PathBuf,
    /// A place in the thing, as fractions of width and height; may be repeated
    #[arg(long, value_name = "X,Y", required_unless_present = "bounds", value_parser = place)]
    click: Vec<[f32; 2]>,
    /// A place that is not of the thing; may be repeated
    #[arg(long, value_name = "X,Y", value_parser = place)]
    exclude: Vec<[f32; 2]>,
    /// A box around the thing, as fractions of width and height
    #[arg(long = "box", value_name = "LEFT,TOP,RIGHT,BOTTOM", value_parser = bounds)]
    bounds: Option<[f32; 4]>,
    /// A mask to be refined by the clicks, of the picture's size, white where the thing is
    #[arg(long, value_name = "MASK")]
    mask: Option<PathBuf>,
    /// One click alone may mean a thing, a part of it, or what it is a part of: 0 is the likeliest, 1 the next one
    #[arg(long, value_name = "N", default_value_t = 0)]
    candidate: usize,
    /// Where to write the mask, of the picture's size
    #[arg(short, long, value_name = "FILE.png")]
    output: PathBuf,
    #[command(flatten)]
    segmenter: SegmenterArgs,
    #[command(flatten)]
    place: DeviceArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Reads `0.25,0.5`.
pub(super) fn place(text: &str) -> std::result::Result<[f32; 2], String> {
    let number = |text: &str| text.trim().parse().ok();
    text.split_once(',')
        .and_then(|(x, y)| Some([number(x)?, number(y)?]))
        .filter(|at: &[f32; 2]| at.iter().all(|v| (0.0..=1.0).contains(v)))
        .ok_or_else(|| {
            "write two fractions of the picture, from the left and from the top, as 0.25,0.5".into()
        })
}

/// Reads `0.1,0.2,0.5,0.9`.
fn bounds(text: &str) -> std::result::Result<[f32; 4], String> {
    let numbers: Option<Vec<f32>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    numbers
        .and_then(|numbers| <[f32; 4]>::try_from(numbers).ok())
        .filter(|sides| sides.iter().all(|v| (0.0..=1.0).contains(v)))
        .ok_or_else(|| {
            "write four fractions of the picture: left, top, right and bottom, as 0.1,0.2,0.5,0.9"
                .into()
        })
}

/// Makes one mask.
///
/// # Errors
/// [`dragentity_core::Error::Picture`], [`dragentity_core::Error::Preset`], [`dragentity_core::Error::Io`], and those of the runner.
pub fn run(args: Args) -> Result<()> {
    writable(&args.output)?;
    let name = args.image.display().to_string();
    let bytes = read_picture(&args.image)?;
    let (picture, [width, height]) = Picture::decode_as_stored(&bytes, &name)?;
    let previous = args.mask.as_ref().map(|mask| {
        let bytes = read(mask, MAX_PICTURE_FILE, "mask")?;
        Mask::decode(&bytes, &mask.display().to_string(), &name, [width, height])
    });
    let click = |at: &[f32; 2], positive| Click {
        x: at[0],
        y: at[1],
        positive,
    };
    let inside = args.click.iter().map(|at| click(at, true));
    let outside = args.exclude.iter().map(|at| click(at, false));
    let job = ClickJob {
        picture,
        clicks: inside.chain(outside).collect(),
        bounds: args.bounds,
        previous: previous.transpose()?,
        candidate: args.candidate,
    };
    let cancel = Cancel::new();
    let stop = cancel.clone();
    on_interrupt(move || stop.cancel());
    let mut progress = args.progress.start();
    let mut show = |event: JobEvent| progress.show_clicks(&event);
    let options = args.segmenter.on(ModelOptions::default());
    let mask = with_runner(args.place.device, &options, |runner| {
        runner.segment(&job, &cancel, &mut show)
    });
    progress.finish();
    let mask = mask??;
    let share = mask.coverage();
    write_whole(&args.output, &mask.resized(width, height).to_png()?)?;
    let output = args.output.display();
    let made = serde_json::json!({
        "output": output.to_string(), "width": width, "height": height, "share": share,
    });
    progress.result(
        "done",
        &made,
        &format!(
            "{output}: {width} x {height} pixels, {:.1} % of them inside",
            100.0 * share
        ),
    );
    Ok(())
}
