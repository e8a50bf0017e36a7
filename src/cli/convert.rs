//! `dragentity convert`.

use dragentity_core::error::{Error, Result};
use dragentity_networks::weights::convert::{Kept, Options, PartSummary, convert};
use dragentity_terminal::interrupt::on_interrupt;
use dragentity_terminal::out;
use dragentity_terminal::progress::Progress;
use indicatif::DecimalBytes;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The smallest file of weights that may be asked for, in bytes.
const MIN_SHARD: u64 = 10_000;

/// Options of `dragentity convert`.
#[derive(clap::Args)]
pub struct Args {
    /// A model's folder, the folder of one of its networks, a .safetensors file or the index of several
    source: PathBuf,
    /// The folder to write, which appears when all of it is there
    dest: PathBuf,
    /// What the numbers become; int8 keeps 8 bits and a scale for each row of large tensors, f16 for the rest
    #[arg(long, value_name = "TYPE", default_value = "f16")]
    dtype: Dtype,
    /// No file of weights is larger than this, unless a single tensor is
    #[arg(long, value_name = "SIZE", default_value = "64MB", value_parser = parse_size)]
    shard_size: u64,
    /// Replace an earlier conversion
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Dtype {
    F16,
    F32,
    Int8,
}

/// Runs the subcommand.
///
/// # Errors
/// As [`convert`]; [`Error::Cancelled`] after Ctrl-C.
pub fn run(args: Args) -> Result<()> {
    let options = Options {
        kept: match args.dtype {
            Dtype::F16 => Kept::F16,
            Dtype::F32 => Kept::F32,
            Dtype::Int8 => Kept::Int8,
        },
        shard_size: args.shard_size,
        overwrite: args.overwrite,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    on_interrupt(move || stop.store(true, Ordering::Relaxed));
    let bar = Progress::new(false);
    let parts = convert(
        &args.source,
        &args.dest,
        &options,
        &mut |part, done, total| {
            if stopped.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            bar.bytes(&format!("Converting {part}"), done, total);
            Ok(())
        },
    );
    bar.finish();
    let parts = parts?;
    for part in &parts {
        out::line(line(part));
    }
    let bytes: u64 = parts.iter().map(|p| p.after).sum();
    let files: usize = parts.iter().map(|p| p.files).sum();
    out::line(format_args!(
        "{}: {} of weights in {files} file{}",
        args.dest.display(),
        DecimalBytes(bytes),
        if files == 1 { "" } else { "s" }
    ));
    Ok(())
}

/// What became of a part, in a line.
fn line(part: &PartSummary) -> String {
    let name = if part.name.is_empty() {
        "weights"
    } else {
        &part.name
    };
    let mut line = format!(
        "{name}: {} tensors, {} to {}",
        part.tensors,
        DecimalBytes(part.before),
        DecimalBytes(part.after)
    );
    let worst = part.errors.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((tensor, worst)) = worst {
        let mean = part.errors.iter().map(|e| e.1).sum::<f64>() / part.errors.len() as f64;
        line += &format!(
            "; {} in 8 bits, off by {:.2} % on average and by {:.2} % at most ({tensor})",
            part.errors.len(),
            mean * 100.0,
            worst * 100.0
        );
    }
    line
}

/// A size as a person writes it: `64MB`, `1.5 GB`, `512KiB`, `65536`.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024f64.powi(2),
        "gib" => 1024f64.powi(3),
        other => return Err(format!("{other:?} is no unit; write for example 64MB")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "this is no size; write for example 64MB".to_owned())?;
    let size = (number * unit) as u64;
    if size < MIN_SHARD {
        return Err(format!(
            "{size} bytes are too few; {MIN_SHARD} are the least"
        ));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [
            ("64MB", 64_000_000),
            ("64 mb", 64_000_000),
            ("1.5g", 1_500_000_000),
            ("64MiB", 67_108_864),
            ("10kB", 10_000),
            ("20000", 20_000),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in [
            "",
            "MB",
            "-1MB",
            "1.2.3MB",
            "64 parsecs",
            "0",
            "9kB",
            "nan",
            "1e9",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
