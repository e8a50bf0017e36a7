//! The command line: one file for each subcommand.

mod batch;
pub mod bench;
pub mod convert;
mod demo;
pub mod export;
mod files;
pub mod fill;
pub mod generate;
pub mod import;
mod model;
pub mod parts;
mod person;
pub mod pose;
mod request;
pub mod segment;
#[cfg(feature = "server")]
pub mod serve;
pub mod track;

use clap::{Parser, Subcommand};
use dragentity_core::Result;
use dragentity_terminal::{EXIT_CODES, finish, start};
use std::process::ExitCode;

/// Click the things in a picture, drag them along paths, get the video.
#[derive(Parser)]
#[command(name = "dragentity", version, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure what this machine is good for, and what a generation takes on it
    Bench(bench::Args),
    /// Write a model's weights smaller, or in smaller files
    Convert(convert::Args),
    /// Divide a person in a picture into parts
    Parts(parts::Args),
    /// Find the joints of a person in a picture
    Pose(pose::Args),
    /// Fill what is under a mask from the rest of the picture
    Fill(fill::Args),
    /// Write the paths of a preset as another program has them
    Export(export::Args),
    /// Make a video from a picture and a preset
    Generate(generate::Args),
    /// Make a preset of paths that were drawn in another program
    Import(import::Args),
    /// Make the mask of a thing in a picture, from clicks
    Segment(segment::Args),
    /// Serve the built page, and run its jobs
    #[cfg(feature = "server")]
    Serve(serve::Args),
    /// Say where the things of a video are in each of its frames
    Track(track::Args),
}

/// The native program: reads the arguments, runs the subcommand, says in one sentence what went wrong.
pub fn main() -> ExitCode {
    let cli: Cli = start();
    let result: Result<()> = match cli.command {
        Command::Bench(args) => bench::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Parts(args) => parts::run(args),
        Command::Pose(args) => pose::run(args),
        Command::Fill(args) => fill::run(args),
        Command::Export(args) => export::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Import(args) => import::run(args),
        Command::Segment(args) => segment::run(args),
        #[cfg(feature = "server")]
        Command::Serve(args) => serve::run(args),
        Command::Track(args) => track::run(args),
    };
    finish(result)
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
