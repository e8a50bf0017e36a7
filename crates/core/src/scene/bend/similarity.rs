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

    /// The one that comes nearest to taking each `rest` to its `target`, by least squares with each pair counting as much as its
    /// `weight`, and what is left of those squares; with what would be left at scale 1. `None` where the rests are one place,
    /// within a pixel.
    pub fn fit(pairs: &[Pair]) -> Option<Fit> {
        let total: f64 = pairs.iter().map(|pair| pair.weight).sum();
        let mean = |of: fn(&Pair) -> [f64; 2]| {
            let add = |s: [f64; 2], pair: &Pair| {
                let p = of(pair);
                [s[0] + pair.weight * p[0], s[1] + pair.weight * p[1]]
            };
            pairs.iter().fold([0.0; 2], add).map(|v| v / total)
        };
        let (from, to) = (mean(|pair| pair.rest), mean(|pair| pair.target));
        let (mut a, mut b, mut spread, mut reach) = (0.0, 0.0, 0.0, 0.0);
        for Pair {
            rest,
            target,
            weight,
        } in pairs
        {
            let (x, y) = (rest[0] - from[0], rest[1] - from[1]);
            let (u, v) = (target[0] - to[0], target[1] - to[1]);
            a += weight * (x * u + y * v);
            b += weight * (x * v - y * u);
            spread += weight * (x * x + y * y);
            reach += weight * (u * u + v * v);
        }
        // As if each counted once.
        let each = pairs.len() as f64 / total;
        [a, b, spread, reach] = [a, b, spread, reach].map(|v| v * each);
        if spread < 0.5 || !spread.is_finite() {
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

/// A place and where it is to go.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// At rest.
    pub rest: [f64; 2],
    /// Where it goes.
    pub target: [f64; 2],
    /// How much it counts, above 0.
    pub weight: f64,
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
