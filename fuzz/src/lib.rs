//! libFuzzer's side of `crates/hostile`.

/// Has libFuzzer feed the target of this name.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
            static TARGET: std::sync::LazyLock<dragentity_hostile::Target> = std::sync::LazyLock::new(|| {
                dragentity_hostile::target($name).expect("a target of crates/hostile")
            });
            (TARGET.feed)(bytes);
        });
    };
}
