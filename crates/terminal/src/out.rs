//! Standard output and standard error: the one place where something is written there. Rust's own printing panics where the disk
//! is full, and where nobody reads any more.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

/// The code of a program that ends because nobody reads what it prints any more: 128 and the number of SIGPIPE.
const NO_READER: i32 = 141;

/// Why something could not be written, the first time.
static LOST: OnceLock<String> = OnceLock::new();

/// Writes text as it is. If nobody reads it any more, the program ends without a word (`... | head`); if it cannot be written,
/// [`crate::finish`] says so, and what the program makes beside it is still made.
pub fn text(text: impl Display) {
    if let Err(error) = attempt(text) {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(NO_READER);
        }
        // What is missing of it is told once.
        let _ = LOST.set(error.to_string());
    }
}

/// Writes a line, as [`text`].
pub fn line(line: impl Display) {
    text(format_args!("{line}\n"));
}

/// Writes text for programs that go on whether it is read or not.
///
/// # Errors
/// When it cannot be written.
pub fn attempt(text: impl Display) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}

/// Writes a line to standard error, for people who look on. If it cannot be written there is nobody to tell, and what the program
/// does goes on.
pub fn aside(line: impl Display) {
    let line = plain(&line.to_string());
    // In one piece: lines of several threads would mix.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A text without what steers a terminal: names and words of other people's files are in it.
fn plain(text: &str) -> String {
    let shown = |c: char| match c.is_control() && !"\n\t".contains(c) {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(shown).collect()
}

/// Why something could not be written, if anything could not.
pub(crate) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_not_shown() {
        assert_eq!(
            plain("a\x1b[2J\x07\u{9b}b\n\tü"),
            "a\u{fffd}[2J\u{fffd}\u{fffd}b\n\tü"
        );
    }
}
