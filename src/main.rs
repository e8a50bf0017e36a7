//! The native program (see `dragentity --help`); built for wasm, the page and its worker.

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    dragentity::cli::main()
}

#[cfg(target_family = "wasm")]
fn main() {
    dragentity::web::start();
}
