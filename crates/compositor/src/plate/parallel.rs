//! Rows at once: on all of rayon's threads natively, one after the other in a browser.

/// Calls `work` with each row of `values`, `width` long, and its number. What a row becomes may not depend on another's, so
/// that the number of threads changes nothing.
pub(super) fn rows<T: Send>(
    values: &mut [T],
    width: usize,
    work: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        values
            .par_chunks_mut(width)
            .enumerate()
            .for_each(|(y, row)| work(y, row));
    }
    #[cfg(target_family = "wasm")]
    for (y, row) in values.chunks_mut(width).enumerate() {
        work(y, row);
    }
}
