//! Room for the page's module: its networks are large values, and their futures larger ones, which wasm's usual stack of
//! one megabyte does not hold for long. What overflows there is "memory access out of bounds".

// The page's module is linted as what must run in a browser; this runs on the machine that builds it.
#![allow(
    clippy::disallowed_methods,
    reason = "cargo tells build scripts in the environment what they build for"
)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family.contains("wasm")) {
        println!("cargo::rustc-link-arg-bins=-zstack-size=8388608");
    }
}
