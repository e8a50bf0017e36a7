//! The lab's program (see `dragentity-lab --help`).

fn main() -> std::process::ExitCode {
    dragentity_lab::cli::main()
}
