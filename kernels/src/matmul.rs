//! Products of matrices that are parts of slices.

use gemm::Parallelism;

/// A matrix within a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub values: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    /// Elements from one row to the next; columns lie beside each other.
    pub stride: usize,
}

impl Matrix<'_> {
    /// Whether the whole matrix lies within its slice.
    fn fits(&self) -> bool {
        reaches(self.values, self.rows, self.columns, self.stride)
    }
}

fn reaches(values: &[f32], rows: usize, columns: usize, stride: usize) -> bool {
    let last = rows
        .checked_sub(1)
        .and_then(|rows| rows.checked_mul(stride));
    let end = last.and_then(|start| start.checked_add(columns));
    isize::try_from(stride).is_ok() && end.is_some_and(|end| end <= values.len())
}

/// `out = a b`, with `stride` elements from one row of `out` to the next, on the threads of `parallelism`.
#[allow(unsafe_code)]
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
    assert!(a.fits() && b.fits() && reaches(out, a.rows, b.columns, stride));
    assert!(a.rows == 1 || stride >= b.columns, "rows that overlap");
    // SAFETY: `fits` and `reaches` hold every element that the three matrices have inside their slices, strides fit
    // `isize`, and `out` is borrowed alone.
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
            1,
            a.stride as isize,
            b.values.as_ptr(),
            1,
            b.stride as isize,
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
    #[cfg(not(target_family = "wasm"))]
    return Parallelism::Rayon(0);
    #[cfg(target_family = "wasm")]
    Parallelism::None
}
