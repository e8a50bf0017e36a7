//! Everything that reads what strangers send, fed with bytes. What must hold is the same everywhere: a result that makes sense, or a
//! sentence; no panic, no memory and no time beyond what the input is worth.
//!
//! Each of [`TARGETS`] is run by libFuzzer (`fuzz/`, `scripts/fuzz`) for as long as somebody likes, and for a moment, on mutations
//! of the same seeds, by this crate's tests.

mod films;
mod scenes;
mod weights;
mod wire;

use dragentity_core::Result;

/// One reader.
#[derive(Clone, Copy)]
pub struct Target {
    /// What it is called: of the fuzz target, and of the folder of its seeds in `fuzz/seeds`.
    pub name: &'static str,
    /// Has it read the bytes.
    ///
    /// # Panics
    /// When something is wrong with the answer.
    pub feed: fn(&[u8]),
}

macro_rules! targets {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$(Target { name: stringify!($name), feed: $module::$name }),*]
    };
}

/// All of them.
pub const TARGETS: &[Target] = targets![
    weights::safetensors,
    weights::index,
    weights::checkpoint,
    weights::pickle,
    weights::config,
    scenes::preset,
    scenes::link,
    scenes::project,
    scenes::exchange,
    scenes::demo,
    scenes::tracks,
    scenes::answers,
    films::picture,
    films::gif,
    films::webp,
    films::mp4,
    wire::job_body,
    wire::click_body,
    wire::events,
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

/// Longest sentence that is said about an input, in bytes: it goes to a terminal or into a line of the page.
const LONGEST_SENTENCE: usize = 4000;

/// What was read, if it was.
fn read<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(read) => Some(read),
        Err(error) => {
            let said = error.to_string();
            assert!(!said.is_empty(), "nothing is said");
            assert!(
                said.len() <= LONGEST_SENTENCE,
                "{} bytes are said, which begin: {:.200}",
                said.len(),
                said
            );
            None
        }
    }
}

/// The first byte, which chooses something, and the rest.
fn choice(bytes: &[u8]) -> (usize, &[u8]) {
    match bytes {
        [first, rest @ ..] => (usize::from(*first), rest),
        [] => (0, bytes),
    }
}
