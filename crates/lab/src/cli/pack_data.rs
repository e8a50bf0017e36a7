//! `dragentity-lab pack-data`.

use crate::data;
use dragentity_core::Result;
use dragentity_terminal::out;
use std::path::PathBuf;

/// Options of `dragentity-lab pack-data`.
#[derive(clap::Args)]
pub struct Args {
    /// Folders of pictures, as scripts/fetch-assets lays them out
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// The pack to write
    #[arg(short, long, default_value = "assets/clips.pack")]
    output: PathBuf,
    /// Also write the held-out subset that the repository ships for `eval`, and print whom it has to name
    #[arg(long, value_name = "PACK")]
    shipped: Option<PathBuf>,
}

/// Runs the subcommand.
///
/// # Errors
/// As [`data::gather::pack`].
pub fn run(args: Args) -> Result<()> {
    let summary = data::gather::pack(&args.folders, &args.output)?;
    out::line(format_args!(
        "{}: {} + {} cut-outs and {} + {} backgrounds (training + held out), {:.1} MB",
        args.output.display(),
        summary.cutouts[0],
        summary.cutouts[1],
        summary.backgrounds[0],
        summary.backgrounds[1],
        summary.bytes as f64 / 1e6
    ));
    if let Some(path) = &args.shipped {
        let header = data::pack::shipped_subset(&args.output, path)?;
        out::line(format_args!(
            "{}:\n{}",
            path.display(),
            data::pack::attribution(&header)
        ));
    }
    Ok(())
}
