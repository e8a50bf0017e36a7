//! Options that say which person in which picture is meant.

use super::files::{MAX_PICTURE_FILE, read, read_picture};
use super::model::SegmenterArgs;
use dragentity_core::error::Result;
use dragentity_core::scene::{Mask, Picture};
use dragentity_core::{Cancel, Click, ClickJob};
use dragentity_networks::device::Device;
use dragentity_pipeline::model::ModelOptions;
use dragentity_pipeline::runner::with_runner;
use std::path::PathBuf;

/// Which person.
#[derive(clap::Args)]
pub struct PersonArgs {
    /// The picture
    image: PathBuf,
    /// The person's mask: a picture of the same size, white where the person is
    #[arg(long, value_name = "FILE", required_unless_present = "click")]
    mask: Option<PathBuf>,
    /// A place in the person instead, as fractions of width and height; may be repeated
    #[arg(long, value_name = "X,Y", value_parser = super::segment::place, conflicts_with = "mask")]
    click: Vec<[f32; 2]>,
    #[command(flatten)]
    segmenter: SegmenterArgs,
}

impl PersonArgs {
    /// The picture, and the person's mask: read, or made of the clicks.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Picture`], [`dragentity_core::Error::Preset`], [`dragentity_core::Error::Io`], naming the file;
    /// those of the runner.
    pub fn read(&self, device: Device) -> Result<(Picture, Mask)> {
        let name = self.image.display().to_string();
        let bytes = read_picture(&self.image)?;
        let (picture, size) = Picture::decode_as_stored(&bytes, &name)?;
        if let Some(path) = &self.mask {
            let bytes = read(path, MAX_PICTURE_FILE, "mask")?;
            let mask = Mask::decode(&bytes, &path.display().to_string(), &name, size)?;
            return Ok((picture, mask));
        }
        let click = |at: &[f32; 2]| Click {
            x: at[0],
            y: at[1],
            positive: true,
        };
        let job = ClickJob {
            picture: picture.clone(),
            clicks: self.click.iter().map(click).collect(),
            ..ClickJob::default()
        };
        let options = self.segmenter.on(ModelOptions::default());
        let mask = with_runner(device, &options, |runner| {
            runner.segment(&job, &Cancel::new(), &mut |_| {})
        })??;
        Ok((picture, mask))
    }
}
