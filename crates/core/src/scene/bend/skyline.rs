//! Symmetric positive definite systems by Cholesky's factorisation within their skyline: of each row what lies between its first
//! entry and the diagonal. Meshes number their vertices so that this is little, and then it is a few lines, where libraries for
//! sparse matrices would weigh more in the page than all of the bending.

/// A symmetric matrix under construction, then its factor.
#[derive(Clone, Debug)]
pub struct Skyline {
    /// First column of each row.
    first: Vec<usize>,
    /// Where each row begins in `values`; its diagonal is the last of it.
    start: Vec<usize>,
    values: Vec<f64>,
}

impl Skyline {
    /// All zeros, with room for the entries of these pairs.
    pub fn new(count: usize, pairs: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut first: Vec<usize> = (0..count).collect();
        for (a, b) in pairs {
            let (low, high) = (a.min(b), a.max(b));
            first[high] = first[high].min(low);
        }
        let mut start = Vec::with_capacity(count + 1);
        let mut next = 0;
        for (row, first) in first.iter().enumerate() {
            start.push(next);
            next += row - first + 1;
        }
        start.push(next);
        Self {
            first,
            start,
            values: vec![0.0; next],
        }
    }

    /// Adds to the entries of a pair, and of its mirror image.
    pub fn add(&mut self, a: usize, b: usize, value: f64) {
        let (low, high) = (a.min(b), a.max(b));
        let at = self.start[high] + low - self.first[high];
        self.values[at] += value;
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.values[self.start[row]..self.start[row + 1]]
    }

    /// Factorises in place. What would not be positive definite is made so, by the least diagonal that is.
    pub fn factorise(&mut self) {
        for row in 0..self.first.len() {
            let first = self.first[row];
            for column in first..=row {
                let from = first.max(self.first[column]);
                let dot: f64 = self.row(row)[from - first..column - first]
                    .iter()
                    .zip(&self.row(column)[from - self.first[column]..])
                    .map(|(a, b)| a * b)
                    .sum();
                let at = self.start[row] + column - first;
                let rest = self.values[at] - dot;
                self.values[at] = if column == row {
                    rest.max(1e-12).sqrt()
                } else {
                    rest / self.values[self.start[column + 1] - 1]
                };
            }
        }
    }

    /// Solves for two right sides at once, in place; only after [`Skyline::factorise`].
    pub fn solve(&self, sides: &mut [[f64; 2]]) {
        for row in 0..self.first.len() {
            let values = self.row(row);
            let (diagonal, before) = (values[values.len() - 1], &values[..values.len() - 1]);
            let mut sum = sides[row];
            for (value, side) in before.iter().zip(&sides[self.first[row]..]) {
                sum[0] -= value * side[0];
                sum[1] -= value * side[1];
            }
            sides[row] = [sum[0] / diagonal, sum[1] / diagonal];
        }
        for row in (0..self.first.len()).rev() {
            let values = self.row(row);
            let (diagonal, before) = (values[values.len() - 1], &values[..values.len() - 1]);
            let own = [sides[row][0] / diagonal, sides[row][1] / diagonal];
            sides[row] = own;
            for (value, side) in before.iter().zip(&mut sides[self.first[row]..]) {
                side[0] -= value * own[0];
                side[1] -= value * own[1];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_it_solves_solves_the_system(
            springs in prop::collection::vec((0usize..20, 0usize..20, 0.1f64..5.0), 0..60),
            sides in prop::collection::vec((-9.0f64..9.0, -9.0f64..9.0), 20),
        ) {
            // Springs between points, each of which is held by a weak one.
            let mut dense = [[0.0; 20]; 20];
            let mut matrix = Skyline::new(20, springs.iter().map(|&(a, b, _)| (a, b)));
            let mut add = |a: usize, b: usize, value: f64| {
                matrix.add(a, b, value);
                dense[a][b] += value;
                if a != b {
                    dense[b][a] += value;
                }
            };
            for at in 0..20 {
                add(at, at, 0.5);
            }
            for (a, b, k) in springs.into_iter().filter(|(a, b, _)| a != b) {
                add(a, a, k);
                add(b, b, k);
                add(a, b, -k);
            }
            matrix.factorise();
            let wanted: Vec<[f64; 2]> = sides.into_iter().map(|(x, y)| [x, y]).collect();
            let mut found = wanted.clone();
            matrix.solve(&mut found);
            for (row, wanted) in dense.iter().zip(&wanted) {
                for axis in 0..2 {
                    let got: f64 = row.iter().zip(&found).map(|(a, x)| a * x[axis]).sum();
                    prop_assert!((got - wanted[axis]).abs() < 1e-7, "{got} for {}", wanted[axis]);
                }
            }
        }
    }
}
