//! Products of matrices that are parts of slices.

use crate::parallel::threads;
use gemm::Parallelism;

/// A matrix within a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub values: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    /// Elements from one row to the next, and from one column to the next.
    pub strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// Of rows one after another.
    pub fn dense(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self {
            values,
            rows,
            columns,
            strides: [columns, 1],
        }
    }

    /// Whether the whole matrix lies within its slice.
    fn fits(&self) -> bool {
        reaches(self.values, [self.rows, self.columns], self.strides)
    }
}

/// Whether the last element lies within `values`, and so all others.
fn reaches(values: &[f32], counts: [usize; 2], strides: [usize; 2]) -> bool {
    let mut last = 0usize;
    for (count, stride) in counts.into_iter().zip(strides) {
        let Some(steps) = count.checked_sub(1) else {
            return true;
        };
        let Some(sum) = steps
            .checked_mul(stride)
            .and_then(|way| last.checked_add(way))
        else {
            return false;
        };
        last = sum;
    }
    last < values.len()
        && strides
            .iter()
            .all(|&stride| isize::try_from(stride).is_ok())
}

/// `out = a b`, with `stride` elements from one row of `out` to the next, on the threads of `parallelism`.
#[allow(
    unsafe_code,
    reason = "gemm takes pointers; what it needs is checked first"
)]
pub(crate) fn matmul(
    out: &mut [f32],
    stride: usize,
    a: Matrix<'_>,
    b: Matrix<'_>,
    parallelism: Parallelism,
) {
    if a.rows == 0 || b.columns == 0 {
        return;
    }
    assert!(a.columns == b.rows, "matrices that do not fit each other");
    assert!(a.fits() && b.fits() && reaches(out, [a.rows, b.columns], [stride, 1]));
    assert!(a.rows == 1 || stride >= b.columns, "rows that overlap");
    // SAFETY: `fits` and `reaches` hold every element that the three matrices have inside their slices, strides fit
    // `isize`, no element of `out` is written twice, and `out` is borrowed alone.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            stride as isize,
            false,
            a.values.as_ptr(),
            a.strides[1] as isize,
            a.strides[0] as isize,
            b.values.as_ptr(),
            b.strides[1] as isize,
            b.strides[0] as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// All threads, where there is more than one.
pub(crate) fn all_threads() -> Parallelism {
    match threads() {
        1 => Parallelism::None,
        n => Parallelism::Rayon(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_last_element() {
        let values = [0.0; 10];
        assert!(reaches(&values, [2, 5], [5, 1]));
        assert!(reaches(&values, [5, 2], [1, 5]));
        assert!(reaches(&values, [0, 500], [5, 1]), "nothing is read");
        assert!(!reaches(&values, [2, 6], [5, 1]));
        assert!(!reaches(&values, [3, 1], [5, 1]));
        assert!(!reaches(&values, [usize::MAX, 1], [usize::MAX, 1]));
        assert!(!reaches(&[], [1, 1], [1, 1]));
    }

    #[test]
    #[should_panic(expected = "reaches")]
    fn a_slice_that_is_too_short_is_refused() {
        let mut out = [0.0; 3];
        let a = Matrix::dense(&[1.0; 4], 2, 2);
        matmul(&mut out, 2, a, a, Parallelism::None);
    }
}
