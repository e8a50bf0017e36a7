//! The page: one wasm module that is the page's logic when it starts in a window, and runs the model when it starts in a
//! worker. The two talk in `protocol`'s messages. In the window of `compare.html` it is the blind comparison, in
//! that of `bench.html` it measures the device. What clicks and drags mean is in [`editor`], what
//! a server is told in [`wire`], which model a folder holds in [`folder`]; none of them knows a browser.

pub mod editor;
pub mod folder;

#[cfg(target_family = "wasm")]
mod adapter;
#[cfg(target_family = "wasm")]
mod bench;
#[cfg(target_family = "wasm")]
mod compare;
#[cfg(target_family = "wasm")]
mod dom;
#[cfg(target_family = "wasm")]
mod messages;
#[cfg(target_family = "wasm")]
mod page;
#[cfg(target_family = "wasm")]
mod protocol;
#[cfg(all(target_family = "wasm", feature = "wgpu"))]
pub mod selftest;
pub mod wire;
#[cfg(target_family = "wasm")]
mod words;
#[cfg(target_family = "wasm")]
mod worker;

/// Starts whichever of these this is.
#[cfg(target_family = "wasm")]
pub fn start() {
    // Fails only if there is a logger already.
    let _ = console_log::init_with_level(log::Level::Info);
    match web_sys::window() {
        Some(window) if compare::is_in(&window) => compare::start(),
        Some(window) if bench::is_in(&window) => bench::start(),
        Some(_) => page::start(),
        // It has its memory, and with that all that was set up, from the worker that it belongs to.
        #[cfg(target_feature = "atomics")]
        None if worker::threads::is_one() => {}
        None => worker::start(),
    }
}
