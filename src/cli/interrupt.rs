//! Ctrl-C and SIGTERM.

/// Calls `first` at the first Ctrl-C (or SIGTERM); the second ends the program at once.
///
/// To be called once in a program; where signals cannot be caught, they end the program as they always do.
pub fn on_interrupt(first: impl FnOnce() + Send + 'static) {
    let mut first = Some(first);
    let caught = ctrlc::set_handler(move || match first.take() {
        Some(first) => first(),
        None => std::process::exit(130),
    });
    if let Err(e) = caught {
        log::warn!("Ctrl-C will end the program without tidying up ({e})");
    }
}
