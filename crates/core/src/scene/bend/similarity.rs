//! Turning, scaling and moving at once: `p -> z p + shift`, with places and `z` as complex numbers.

/// A similarity of the plane that keeps its orientation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// Radians, clockwise as pictures show it (x right, y down).
    pub angle: f64,
    /// Scale, above 0.
    pub scale: f64,
    /// The place that is turned and scaled about.
    pub from: [f64; 2],
    /// Where that place goes.
    pub to: [f64; 2],
}

impl Similarity {
    /// Where a place goes.
    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [a, b] = self.matrix();
        let (x, y) = (x - self.from[0], y - self.from[1]);
        [self.to[0] + a * x - b * y, self.to[1] + b * x + a * y]
    }

    /// Cosine and sine of the turn, times the scale.
    pub fn matrix(&self) -> [f64; 2] {
        [self.scale * self.angle.cos(), self.scale * self.angle.sin()]
    }

    /// The one that comes nearest to taking each `rest` to its `target`, by least squares, and what is left of those squares; with
    /// what would be left at scale 1. `None` where the rests are one place, within a pixel.
    pub fn fit(rests: &[[f64; 2]], targets: &[[f64; 2]]) -> Option<Fit> {
        let count = rests.len().min(targets.len()).max(1) as f64;
        let mean = |places: &[[f64; 2]]| {
            let sum = places
                .iter()
                .fold([0.0, 0.0], |s, p| [s[0] + p[0], s[1] + p[1]]);
            sum.map(|v| v / count)
        };
        let (from, to) = (mean(rests), mean(targets));
        let (mut a, mut b, mut spread, mut reach) = (0.0, 0.0, 0.0, 0.0);
        for (p, q) in rests.iter().zip(targets) {
            let (x, y) = (p[0] - from[0], p[1] - from[1]);
            let (u, v) = (q[0] - to[0], q[1] - to[1]);
            a += x * u + y * v;
            b += x * v - y * u;
            spread += x * x + y * y;
            reach += u * u + v * v;
        }
        if spread < 0.5 {
            return None;
        }
        let turn = a.hypot(b);
        Some(Fit {
            found: Self {
                angle: b.atan2(a),
                scale: turn / spread,
                from,
                to,
            },
            left: (reach - turn * turn / spread).max(0.0),
            left_rigid: (reach - 2.0 * turn + spread).max(0.0),
            spread,
        })
    }
}

/// What [`Similarity::fit`] finds.
#[derive(Clone, Copy, Debug)]
pub struct Fit {
    /// The similarity.
    pub found: Similarity,
    /// The sum of squares that is left.
    pub left: f64,
    /// The same, if nothing may be scaled.
    pub left_rigid: f64,
    /// The sum of squares of the rests around their mean.
    pub spread: f64,
}
