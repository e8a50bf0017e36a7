//! The Frechet distance between two sets of features, each taken as a normal distribution: what FID and FVD are.

use dragentity_core::Error;
use dragentity_core::Result;
use nalgebra::{DMatrix, DVector};

/// `|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^(1/2))` of the means and covariances of two sets (Heusel et al., "GANs Trained
/// by a Two Time-Scale Update Rule"; Dowson and Landau).
///
/// With `S1 = A Aᵀ` and `S2 = B Bᵀ`, the trace of the root is the sum of the singular values of `Aᵀ B`: no root of a
/// matrix is taken, which is where other programs lose digits when there are fewer samples than features.
///
/// Rows are samples.
///
/// # Errors
/// [`Error::Job`] when a set has fewer than two samples, sets differ in their number of features, or a feature is not
/// finite.
pub fn frechet_distance(first: &[Vec<f32>], second: &[Vec<f32>]) -> Result<f64> {
    let dim = first.first().map_or(0, Vec::len);
    let sets = [first, second];
    if sets.iter().any(|set| set.len() < 2) {
        return Err(Error::Job(
            "a Frechet distance needs two samples of each kind or more".into(),
        ));
    }
    if dim == 0
        || sets
            .iter()
            .any(|set| set.iter().any(|row| row.len() != dim))
    {
        return Err(Error::Job(
            "a Frechet distance needs features of one and the same number".into(),
        ));
    }
    if sets
        .iter()
        .any(|set| set.iter().flatten().any(|v| !v.is_finite()))
    {
        return Err(Error::Job("a feature is not a finite number".into()));
    }
    let [(mean_1, a), (mean_2, b)] = sets.map(mean_and_root);
    let roots: f64 = a.tr_mul(&b).singular_values().iter().sum();
    let distance =
        (mean_1 - mean_2).norm_squared() + a.norm_squared() + b.norm_squared() - 2.0 * roots;
    // Equal sets may end a rounding below zero.
    Ok(distance.max(0.0))
}

/// The mean of the rows, and a matrix of as few columns as possible whose product with its transpose is their
/// covariance (divided by n - 1, as NumPy's).
fn mean_and_root(rows: &[Vec<f32>]) -> (DVector<f64>, DMatrix<f64>) {
    let (n, dim) = (rows.len(), rows[0].len());
    let mut columns = DMatrix::from_fn(dim, n, |at, row| f64::from(rows[row][at]));
    let mean = columns.column_mean();
    for mut column in columns.column_iter_mut() {
        column -= &mean;
    }
    columns /= ((n - 1) as f64).sqrt();
    if n > dim {
        // columns = (Q R)ᵀ, and Q's columns are orthonormal.
        columns = columns.transpose().qr().r().transpose();
    }
    (mean, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: impl IntoIterator<Item = f64>) -> Vec<f32> {
        values.into_iter().map(|v| v as f32).collect()
    }

    #[test]
    fn of_one_feature_it_is_known_in_closed_form() {
        // (m1 - m2)² + (s1 - s2)²
        let first: Vec<_> = [1.0, 2.0, 3.0, 6.0].map(|v| row([v])).into();
        let second: Vec<_> = [0.0, 10.0].map(|v| row([v])).into();
        let deviation = [14f64 / 3.0, 50.0].map(f64::sqrt);
        let want = (3.0f64 - 5.0).powi(2) + (deviation[0] - deviation[1]).powi(2);
        assert!((frechet_distance(&first, &second).unwrap() - want).abs() < 1e-9);
    }

    #[test]
    fn it_is_zero_for_equal_sets_and_symmetric() {
        let set = |seed: u32, n: u32| -> Vec<Vec<f32>> {
            (0..n)
                .map(|i| row((0..7).map(|j| f64::from((i * 31 + j * 17 + seed) % 23))))
                .collect()
        };
        for (n, m) in [(5, 4), (40, 30), (5, 40)] {
            let (a, b) = (set(1, n), set(9, m));
            assert!(frechet_distance(&a, &a).unwrap() < 1e-9);
            let there = frechet_distance(&a, &b).unwrap();
            let back = frechet_distance(&b, &a).unwrap();
            assert!(there > 0.1 && (there - back).abs() < 1e-9, "{there} {back}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let good = vec![vec![0.0; 3], vec![1.0; 3]];
        for bad in [
            vec![],
            vec![vec![0.0; 3]],
            vec![vec![0.0; 3], vec![0.0; 2]],
            vec![vec![0.0; 4]; 2],
            vec![vec![], vec![]],
            vec![vec![0.0, f32::NAN, 1.0]; 2],
        ] {
            assert!(frechet_distance(&good, &bad).is_err(), "{bad:?}");
            assert!(frechet_distance(&bad, &good).is_err(), "{bad:?}");
        }
    }
}
