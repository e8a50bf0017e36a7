//! The page: one wasm module that is the page's logic when it starts in a window, and runs the model when it starts in a
//! worker. The two talk in [`protocol`]'s messages. What clicks and drags mean is in [`editor`], what
//! a server is told in [`wire`]; neither knows a browser.

pub mod editor;

#[cfg(target_family = "wasm")]
mod page;
#[cfg(target_family = "wasm")]
mod protocol;
#[cfg(target_family = "wasm")]
pub mod selftest;
pub mod wire;
#[cfg(target_family = "wasm")]
mod worker;

/// Starts whichever of the two this is.
#[cfg(target_family = "wasm")]
pub fn start() {
    // Fails only if there is a logger already.
    let _ = console_log::init_with_level(log::Level::Info);
    if web_sys::window().is_some() {
        page::start();
    } else {
        worker::start();
    }
}
