//! What the programs share: how they start and end, what they show meanwhile, what Ctrl-C does, and how options are read.

// Rust's own printing panics where the disk is full: see `out`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod interrupt;
pub mod options;
pub mod out;
pub mod progress;

use dragentity_core::{Error, Result};
use std::process::ExitCode;

/// What the exit code says, shown in the help.
pub const EXIT_CODES: &str = "Exit codes:
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

/// Reads the arguments (answers --help, and ends the program with code 2 on wrong usage) and starts the log.
pub fn start<Cli: clap::Parser>() -> Cli {
    let cli = Cli::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    cli
}

/// Says in one sentence what went wrong, and with which code the program ends ([`EXIT_CODES`]).
pub fn finish(result: Result<()>) -> ExitCode {
    let told = || match out::lost() {
        None => Ok(()),
        Some(why) => Err(Error::Io {
            path: "standard output".into(),
            source: std::io::Error::other(why),
        }),
    };
    match result.and_then(|()| told()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::aside(format_args!("error: {error}"));
            ExitCode::from(exit_code(&error))
        }
    }
}

fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Picture { .. } | Error::Preset(_) | Error::Job(_) | Error::Io { .. } => 3,
        Error::Model { .. } => 4,
        Error::Device(_) => 5,
        Error::Cancelled => 130,
    }
}
