//! What networks leave around a mask's edge: crumbs beside the thing, pinholes in it. A cut-out shows each of them.

use super::Mask;

/// A piece beside the thing is a crumb where it has less than this share of the thing's pixels.
const CRUMB: f64 = 0.02;
/// A hole in the thing is a pinhole under the same condition: openings that belong to it, as under an arm, are larger.
const PINHOLE: f64 = 0.003;

impl Mask {
    /// Drops crumbs and fills pinholes. Pieces in which one of the places `inside` lies stay, and so do holes around
    /// one of the places `outside` (fractions of the picture).
    pub fn tidy(&mut self, inside: &[[f32; 2]], outside: &[[f32; 2]]) {
        let original = self.alpha.clone();
        let pieces = self.regions(|a| a >= 128, true);
        let asked = self.indices(inside);
        let held = |piece: &[usize]| piece.iter().any(|at| asked.binary_search(at).is_ok());
        let largest = |pieces: &mut dyn Iterator<Item = &Vec<usize>>| pieces.map(Vec::len).max();
        let whole = largest(&mut pieces.iter().filter(|piece| held(piece)))
            .or_else(|| largest(&mut pieces.iter()))
            .unwrap_or(0) as f64;
        for piece in &pieces {
            if (piece.len() as f64) < CRUMB * whole && !held(piece) {
                // With its soft rim, which ends where the next piece's begins.
                self.spread(&original, piece, 0, |from, to| to < 128 && to <= from);
            }
        }
        let spared = self.indices(outside);
        for hole in self.regions(|a| a < 128, false) {
            let open = hole.iter().any(|&at| self.is_at_border(at));
            let small = (hole.len() as f64) < PINHOLE * whole;
            let asked_for = hole.iter().any(|at| spared.binary_search(at).is_ok());
            if small && !open && !asked_for {
                self.spread(&original, &hole, 255, |from, to| to >= 128 && to >= from);
            }
        }
    }

    /// The connected piece in which a place lies (fractions of the picture), the largest one where it lies in none. As it is
    /// where it is empty.
    pub fn piece(&self, at: [f32; 2]) -> Self {
        let pieces = self.regions(|a| a >= 128, true);
        let asked = self.indices(&[at]);
        let held = pieces
            .iter()
            .find(|piece| piece.contains(asked.first().unwrap_or(&usize::MAX)));
        let Some(piece) = held.or_else(|| pieces.iter().max_by_key(|piece| piece.len())) else {
            return self.clone();
        };
        let mut alone = Self::empty(self.width, self.height);
        for &at in piece {
            alone.alpha[at] = self.alpha[at];
        }
        alone
    }

    /// Which pixels places lie in, sorted; those beyond the picture are on its edge.
    fn indices(&self, places: &[[f32; 2]]) -> Vec<usize> {
        let pixel = |v: f32, length: u32| {
            ((v.clamp(0.0, 1.0) * length as f32) as u32).min(length.saturating_sub(1)) as usize
        };
        let finite = places.iter().filter(|at| at.iter().all(|v| v.is_finite()));
        let mut found: Vec<usize> = finite
            .map(|&[x, y]| pixel(y, self.height) * self.width as usize + pixel(x, self.width))
            .collect();
        found.sort_unstable();
        found
    }

    fn is_at_border(&self, at: usize) -> bool {
        let (x, y) = (at as u32 % self.width, at as u32 / self.width);
        x == 0 || y == 0 || x + 1 == self.width || y + 1 == self.height
    }

    /// Connected pixels whose value is one that `belongs`; corner to corner, too, where `diagonal`.
    fn regions(&self, belongs: impl Fn(u8) -> bool, diagonal: bool) -> Vec<Vec<usize>> {
        let mut found = Vec::new();
        let mut seen = vec![false; self.alpha.len()];
        for start in 0..self.alpha.len() {
            if seen[start] || !belongs(self.alpha[start]) {
                continue;
            }
            seen[start] = true;
            let mut region = vec![start];
            let mut next = 0;
            while let Some(&at) = region.get(next) {
                next += 1;
                self.beside(at, diagonal, |to| {
                    if !seen[to] && belongs(self.alpha[to]) {
                        seen[to] = true;
                        region.push(to);
                    }
                });
            }
            found.push(region);
        }
        found
    }

    /// Sets a region to `value`, and what surrounds it as far as `goes(value here, value there)` on `original`.
    fn spread(
        &mut self,
        original: &[u8],
        region: &[usize],
        value: u8,
        goes: impl Fn(u8, u8) -> bool,
    ) {
        let mut open = region.to_vec();
        for &at in region {
            self.alpha[at] = value;
        }
        while let Some(at) = open.pop() {
            let mut reached = Vec::new();
            self.beside(at, true, |to| {
                if self.alpha[to] != value && goes(original[at], original[to]) {
                    reached.push(to);
                }
            });
            for to in reached {
                self.alpha[to] = value;
                open.push(to);
            }
        }
    }

    /// Calls `visit` with the pixels around one.
    fn beside(&self, at: usize, diagonal: bool, mut visit: impl FnMut(usize)) {
        let (width, height) = (self.width as usize, self.height as usize);
        let (x, y) = (at % width, at / width);
        for row in y.saturating_sub(1)..(y + 2).min(height) {
            for column in x.saturating_sub(1)..(x + 2).min(width) {
                let straight = row == y || column == x;
                if (row, column) != (y, x) && (straight || diagonal) {
                    visit(row * width + column);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disc with a soft rim.
    fn disc(mask: &mut Mask, [x, y]: [f32; 2], radius: f32, add: bool) {
        for row in 0..mask.height {
            for column in 0..mask.width {
                let far = (column as f32 + 0.5 - x).hypot(row as f32 + 0.5 - y) - radius;
                let alpha = (255.0 / (1.0 + (0.7 * far).exp())).round() as u8;
                let pixel = &mut mask.alpha[(row * mask.width + column) as usize];
                *pixel = match add {
                    true => alpha.max(*pixel),
                    false => (255 - alpha).min(*pixel),
                };
            }
        }
    }

    fn crumbly() -> Mask {
        let mut mask = Mask::empty(200, 100);
        disc(&mut mask, [60.0, 50.0], 40.0, true);
        disc(&mut mask, [150.0, 20.0], 2.0, true);
        disc(&mut mask, [150.0, 70.0], 12.0, true);
        disc(&mut mask, [60.0, 50.0], 1.8, false);
        disc(&mut mask, [40.0, 50.0], 8.0, false);
        mask
    }

    fn at(mask: &Mask, x: u32, y: u32) -> u8 {
        mask.alpha[(y * mask.width + x) as usize]
    }

    #[test]
    fn crumbs_and_pinholes_go_and_the_rest_stays() {
        let rough = crumbly();
        let mut mask = rough.clone();
        mask.tidy(&[], &[]);
        assert!(at(&rough, 150, 20) > 127 && at(&rough, 60, 50) < 128);
        // Its rim goes with a crumb.
        for x in 143..158 {
            assert!(at(&mask, x, 20) < 10, "{x}: {}", at(&mask, x, 20));
        }
        for y in 45..55 {
            assert!(at(&mask, 60, y) > 240, "{y}: {}", at(&mask, 60, y));
        }
        // A second piece and an opening.
        assert!(at(&mask, 150, 70) > 127 && at(&mask, 40, 50) < 128);
        for (x, y) in [(99, 50), (60, 12), (100, 50), (138, 70)] {
            assert_eq!(at(&mask, x, y), at(&rough, x, y), "{x} {y}");
        }
    }

    #[test]
    fn the_piece_at_a_place_or_else_the_largest() {
        let mask = crumbly();
        let small = mask.piece([0.75, 0.7]);
        assert!(small.contains(0.75, 0.7) && !small.contains(0.3, 0.8));
        let large = mask.piece([0.95, 0.5]);
        assert!(large.contains(0.3, 0.8) && !large.contains(0.75, 0.7));
        assert!(Mask::empty(3, 3).piece([0.5, 0.5]).is_empty());
    }

    #[test]
    fn what_was_clicked_is_no_crumb_and_what_was_taken_away_no_pinhole() {
        let mut mask = crumbly();
        mask.tidy(&[[0.3, 0.2], [0.75, 0.2]], &[[0.3, 0.5]]);
        assert!(mask == crumbly());
        // The thing that was clicked is small; what is larger is not measured by it.
        mask.tidy(&[[0.75, 0.2]], &[]);
        assert!(at(&mask, 60, 20) > 127 && at(&mask, 150, 70) > 127);
    }

    #[test]
    fn masks_without_an_inside_or_an_outside_stay() {
        for alpha in [0, 255] {
            let mut mask = Mask::from_alpha(4, 3, vec![alpha; 12]).unwrap();
            let before = mask.clone();
            mask.tidy(&[[f32::NAN, 0.5], [7.0, -7.0]], &[[0.5, 0.5]]);
            assert!(mask == before);
        }
        Mask::default().tidy(&[[0.5, 0.5]], &[]);
    }
}
