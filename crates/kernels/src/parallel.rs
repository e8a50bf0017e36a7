//! Work on all threads that there are: one, in a page that has no others.

use rayon::prelude::*;
use std::cell::RefCell;

/// Calls `f` with each item and its index.
pub(crate) fn for_each<T: Send>(items: Vec<T>, f: impl Fn(usize, T) + Sync + Send) {
    items
        .into_par_iter()
        .enumerate()
        .for_each(|(i, item)| f(i, item));
}

/// Calls `f` with each chunk of `chunk` elements (the last may be shorter) and its index.
pub(crate) fn for_each_chunk(
    values: &mut [f32],
    chunk: usize,
    f: impl Fn(usize, &mut [f32]) + Sync + Send,
) {
    for_each(values.chunks_mut(chunk.max(1)).collect(), f);
}

/// Calls `f` with the `i`-th `chunk` elements of all `N` equal parts of a slice, for each `i` below `count`.
pub(crate) fn for_each_stripe<const N: usize>(
    values: &mut [f32],
    chunk: usize,
    count: usize,
    f: impl Fn(usize, &mut [&mut [f32]; N]) + Sync + Send,
) {
    let part = values.len() / N;
    assert!(part > 0 && chunk > 0 && chunk * count <= part);
    let mut parts: Vec<_> = values
        .chunks_exact_mut(part)
        .map(|part| part.chunks_exact_mut(chunk))
        .collect();
    let stripes: Vec<[&mut [f32]; N]> = (0..count)
        .map(|_| std::array::from_fn(|n| parts[n].next().unwrap_or_default()))
        .collect();
    for_each(stripes, |i, mut stripe| f(i, &mut stripe));
}

/// Threads that there are.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads()
}

/// Calls `f` with `count` numbers, whichever, that the thread keeps for the next call: memory from the system would
/// have to be cleared each time.
pub(crate) fn with_scratch<R>(count: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    // Taken out: `f` waits for other threads, and may be given work of theirs meanwhile.
    let mut scratch = SCRATCH.take();
    if scratch.len() < count {
        scratch.resize(count, 0.0);
    }
    let result = f(&mut scratch[..count]);
    SCRATCH.set(scratch);
    result
}
