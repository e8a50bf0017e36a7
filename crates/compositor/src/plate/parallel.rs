//! Rows at once, on all of rayon's threads.

use rayon::prelude::*;

/// Calls `work` with each row of `values`, `width` long, and its number. What a row becomes may not depend on another's, so
/// that the number of threads changes nothing.
pub(super) fn rows<T: Send>(
    values: &mut [T],
    width: usize,
    work: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    values
        .par_chunks_mut(width)
        .enumerate()
        .for_each(|(y, row)| work(y, row));
}
