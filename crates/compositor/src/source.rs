//! Pixels at their places in a picture, looked up between each other.

/// Premultiplied pixels at their places in a picture: red, green, blue times alpha, 0..255, and alpha, 0..1.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Where the first column is in the picture; may lie beyond it.
    pub x: i64,
    /// Where the first row is.
    pub y: i64,
    /// Number of columns.
    pub width: usize,
    /// `width` times the number of rows.
    pub pixels: &'a [[f32; 4]],
    /// How many of them there are for one of the picture, along a side; `x` and `y` count them, too.
    pub scale: f32,
}

impl Source<'_> {
    /// The pixel at a column and a row of it; beyond it there is nothing.
    fn at(&self, x: i64, y: i64) -> [f32; 4] {
        match (usize::try_from(x), usize::try_from(y)) {
            (Ok(x), Ok(y)) if x < self.width => self
                .pixels
                .get(y * self.width + x)
                .copied()
                .unwrap_or([0.0; 4]),
            _ => [0.0; 4],
        }
    }

    /// A place in the picture, counted in its pixels from the middle of the first.
    fn within(&self, [x, y]: [f32; 2]) -> (f32, f32) {
        (
            x * self.scale - 0.5 - self.x as f32,
            y * self.scale - 0.5 - self.y as f32,
        )
    }

    /// The value between pixels at a place in the picture.
    pub fn linear(&self, [x, y]: [f32; 2]) -> [f32; 4] {
        let (x, y) = self.within([x, y]);
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = (x - left, y - top);
        let (left, top) = (left as i64, top as i64);
        let inside = left >= 0 && left + 1 < self.width as i64 && top >= 0;
        let first = if inside {
            top as usize * self.width + left as usize
        } else {
            usize::MAX
        };
        let corners = match (
            self.pixels.get(first..first.saturating_add(2)),
            self.pixels
                .get(first.saturating_add(self.width)..first.saturating_add(self.width + 2)),
        ) {
            (Some(upper), Some(lower)) => [upper[0], upper[1], lower[0], lower[1]],
            _ => [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| self.at(left + dx, top + dy)),
        };
        let weights = [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v];
        let mut sum = [0.0; 4];
        for (corner, weight) in corners.iter().zip(weights) {
            for (sum, value) in sum.iter_mut().zip(corner) {
                *sum += weight * value;
            }
        }
        sum
    }

    /// The same by Catmull-Rom's cubic.
    pub fn cubic(&self, [x, y]: [f32; 2]) -> [f32; 4] {
        let (x, y) = self.within([x, y]);
        // What lies on a pixel, but for rounding, is that pixel.
        let split = |v: f32| {
            let whole = v.round();
            if (v - whole).abs() < 1e-3 {
                (whole as i64, 0.0)
            } else {
                (v.floor() as i64, v - v.floor())
            }
        };
        let ((left, u), (top, v)) = (split(x), split(y));
        if u == 0.0 && v == 0.0 {
            return self.at(left, top);
        }
        let weights = |t: f32| {
            [
                ((2.0 - t) * t - 1.0) * t * 0.5,
                ((3.0 * t - 5.0) * t * t + 2.0) * 0.5,
                ((4.0 - 3.0 * t) * t + 1.0) * t * 0.5,
                (t - 1.0) * t * t * 0.5,
            ]
        };
        let (across, down) = (weights(u), weights(v));
        let mut sum = [0.0_f32; 4];
        for (dy, weight_y) in (-1..3).zip(down) {
            for (dx, weight_x) in (-1..3).zip(across) {
                let weight = weight_x * weight_y;
                for (sum, value) in sum.iter_mut().zip(self.at(left + dx, top + dy)) {
                    *sum += weight * value;
                }
            }
        }
        // Cubic taps swing beyond what is there.
        let alpha = sum[3].clamp(0.0, 1.0);
        let [red, green, blue] = [sum[0], sum[1], sum[2]].map(|c| c.clamp(0.0, 255.0 * alpha));
        [red, green, blue, alpha]
    }
}
