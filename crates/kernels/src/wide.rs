//! The widest vectors that the processor has, chosen at run time.

use pulp::{Arch, NullaryFnOnce};

struct Wide<F>(F);

impl<F: FnMut()> NullaryFnOnce for Wide<F> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        (self.0)();
    }
}

/// Calls `f`, and compiles what is inlined into it for each kind of processor.
///
/// `f` must be `#[inline(always)]`, and change something that it captures: other kinds of closures are called through
/// a function of their own, which is compiled once, for the oldest processor.
#[inline(always)]
pub(crate) fn wide(f: impl FnMut()) {
    Arch::new().dispatch(Wide(f));
}
