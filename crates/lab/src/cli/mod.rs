//! The command line: one file for each subcommand.

pub mod bench;
pub mod eval;
pub mod pack_data;
mod progress;
pub mod train;

use clap::{Parser, Subcommand};
use dragentity_core::Result;
use dragentity_terminal::{EXIT_CODES, finish, start};
use std::process::ExitCode;

/// Train and measure DragEntity.
#[derive(Parser)]
#[command(name = "dragentity-lab", version, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure speed and memory, beside diffusers if it is there
    Bench(bench::Args),
    /// Measure a model on clips it was not trained on
    Eval(eval::Args),
    /// Make a pack of cut-outs and backgrounds to train on
    PackData(pack_data::Args),
    /// Train a network on synthetic clips
    Train(train::Args),
}

/// The native program: reads the arguments, runs the subcommand, says in one sentence what went wrong.
pub fn main() -> ExitCode {
    let cli: Cli = start();
    let result: Result<()> = match cli.command {
        Command::Bench(args) => bench::run(args),
        Command::Eval(args) => eval::run(args),
        Command::PackData(args) => pack_data::run(args),
        Command::Train(args) => train::run(args),
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
