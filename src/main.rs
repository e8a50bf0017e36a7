//! The native program. See `dragentity --help`.

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    dragentity::cli::main()
}

#[cfg(target_family = "wasm")]
fn main() {}
