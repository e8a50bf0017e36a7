//! Ctrl-C and SIGTERM.

/// Calls `first` at the first Ctrl-C (or SIGTERM); the second ends the program at once.
///
/// To be called once in a program; where signals cannot be caught, they end the program as they always do.
pub fn on_interrupt(first: impl FnOnce() + Send + 'static) {
    let mut first = Some(first);
    on_interrupts(1, move |_| {
        if let Some(first) = first.take() {
            first();
        }
    });
}

/// As [`on_interrupt`], with the first `most` signals, counted from 1, given to `each`.
pub fn on_interrupts(most: u32, mut each: impl FnMut(u32) + Send + 'static) {
    let mut count = 0;
    let caught = ctrlc::set_handler(move || {
        count += 1;
        if count > most {
            std::process::exit(130);
        }
        each(count);
    });
    if let Err(e) = caught {
        log::warn!("Ctrl-C will end the program without tidying up ({e})");
    }
}
