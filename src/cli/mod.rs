//! The command line: one file for each subcommand.

mod batch;
pub mod bench;
pub mod convert;
mod demo;
pub mod eval;
pub mod generate;
mod interrupt;
mod model;
pub mod pack_data;
pub mod parts;
mod progress;
mod request;
pub mod segment;
pub mod serve;
pub mod track;
pub mod train;

use crate::error::{Error, Result};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What the exit code says, shown in the help.
const EXIT_CODES: &str = "Exit codes:
  0    done
  2    wrong usage: an unknown option, a missing argument
  3    bad input: a picture, preset, file or setting that cannot be used
  4    the model cannot be loaded
  5    the device cannot run it
  130  cancelled
  141  nobody reads the output any more

Environment:
  RUST_LOG          what to log, for example \"info\" or \"dragentity=debug\"
  DRAGENTITY_TOKEN  the token of \"serve\"";

/// Click the things in a picture, drag them along paths, get the video.
#[derive(Parser)]
#[command(name = "dragentity", version, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure speed and memory, beside diffusers if it is there
    Bench(bench::Args),
    /// Write a model's weights smaller, or in smaller files
    Convert(convert::Args),
    /// Measure a model on clips it was not trained on
    Eval(eval::Args),
    /// Make a pack of cut-outs and backgrounds to train on
    PackData(pack_data::Args),
    /// Divide a person in a picture into parts
    Parts(parts::Args),
    /// Make a video from a picture and a preset
    Generate(generate::Args),
    /// Make the mask of a thing in a picture, from clicks
    Segment(segment::Args),
    /// Serve the built page, and run its jobs
    Serve(serve::Args),
    /// Say where the things of a video are in each of its frames
    Track(track::Args),
    /// Train a network on synthetic clips
    Train(train::Args),
}

/// The native program: reads the arguments, runs the subcommand, says in one sentence what went wrong.
pub fn main() -> ExitCode {
    crate::platform::end_with_the_reader();
    // Answers --help, and ends the program with code 2 on wrong usage.
    let cli = Cli::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let result: Result<()> = match cli.command {
        Command::Bench(args) => bench::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Eval(args) => eval::execute(args),
        Command::PackData(args) => pack_data::execute(args),
        Command::Parts(args) => parts::execute(args),
        Command::Generate(args) => generate::run(args),
        Command::Segment(args) => segment::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Track(args) => track::execute(args),
        Command::Train(args) => train::execute(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(exit_code(&error))
        }
    }
}

/// See [`EXIT_CODES`].
fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Picture { .. } | Error::Preset(_) | Error::Job(_) | Error::Io { .. } => 3,
        Error::Model { .. } => 4,
        Error::Device(_) => 5,
        Error::Cancelled => 130,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_do_not_contradict_each_other() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
