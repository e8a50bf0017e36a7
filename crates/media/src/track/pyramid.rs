//! A frame at its own size and at half of it, again and again, as colours to be sampled between pixels.

/// Levels have at least this many pixels along the shorter side.
const SMALLEST: usize = 12;

/// Colours, red, green and blue 0 to 1, `[height, width]`.
pub struct Level {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    values: Vec<[f32; 3]>,
}

impl Level {
    /// Colour at a place in pixels of this level (pixel centres at halves), bilinear; beyond the border as at it.
    pub fn at(&self, p: [f32; 2]) -> [f32; 3] {
        let place = |v: f32, side: usize| {
            let v = (v - 0.5).clamp(0.0, (side - 1) as f32);
            let low = (v as usize).min(side.saturating_sub(2));
            (low, (low + 1).min(side - 1), v - low as f32)
        };
        let (x0, x1, u) = place(p[0], self.width);
        let (y0, y1, v) = place(p[1], self.height);
        let row = |y: usize| {
            let (a, b) = (
                self.values[y * self.width + x0],
                self.values[y * self.width + x1],
            );
            [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * u)
        };
        let (a, b) = (row(y0), row(y1));
        [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * v)
    }

    /// Whether a place lies on it.
    pub fn contains(&self, p: [f32; 2]) -> bool {
        p[0] >= 0.0 && p[1] >= 0.0 && p[0] <= self.width as f32 && p[1] <= self.height as f32
    }

    /// Its colours in -1..1, `[height, width, 3]`.
    pub fn signed(&self) -> Vec<f32> {
        self.values
            .as_flattened()
            .iter()
            .map(|v| 2.0 * v - 1.0)
            .collect()
    }

    /// Half the size, each pixel from four by four with weights 1, 3, 3, 1, which keeps places: `p` becomes `p / 2`.
    fn half(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        const WEIGHTS: [f32; 4] = [0.125, 0.375, 0.375, 0.125];
        let from = |k: usize, i: usize, side: usize| (2 * k + i).saturating_sub(1).min(side - 1);
        let mut narrow = vec![[0.0; 3]; width * self.height];
        for (at, value) in narrow.iter_mut().enumerate() {
            let (x, y) = (at % width, at / width);
            for (i, weight) in WEIGHTS.iter().enumerate() {
                let pixel = self.values[y * self.width + from(x, i, self.width)];
                *value = [0, 1, 2].map(|c| value[c] + weight * pixel[c]);
            }
        }
        let mut values = vec![[0.0; 3]; width * height];
        for (at, value) in values.iter_mut().enumerate() {
            let (x, y) = (at % width, at / width);
            for (i, weight) in WEIGHTS.iter().enumerate() {
                let pixel = narrow[from(y, i, self.height) * width + x];
                *value = [0, 1, 2].map(|c| value[c] + weight * pixel[c]);
            }
        }
        Self {
            width,
            height,
            values,
        }
    }
}

/// All levels, the frame itself first.
pub struct Pyramid(pub Vec<Level>);

impl Pyramid {
    /// Of `width * height * 3` bytes of RGB.
    pub fn new(rgb: &[u8], width: usize, height: usize) -> Self {
        let values = rgb
            .chunks_exact(3)
            .map(|p| [0, 1, 2].map(|c| f32::from(p[c]) / 255.0));
        let mut levels = vec![Level {
            width,
            height,
            values: values.collect(),
        }];
        loop {
            let last = &levels[levels.len() - 1];
            if last.width.min(last.height) < 2 * SMALLEST {
                return Self(levels);
            }
            let next = last.half();
            levels.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_keeps_places() {
        // A ramp: value x / 100 at the centre of pixel x.
        let (w, h) = (61, 40);
        let rgb: Vec<u8> = (0..w * h)
            .flat_map(|i| [(i % w) as u8 * 4, (i / w) as u8 * 6, 0])
            .collect();
        let levels = Pyramid::new(&rgb, w, h).0;
        assert_eq!(levels.len(), 2);
        assert_eq!((levels[1].width, levels[1].height), (31, 20));
        for p in [[20.0, 20.0], [31.3, 17.2], [40.5, 9.9]] {
            let (full, half) = (levels[0].at(p), levels[1].at([p[0] / 2.0, p[1] / 2.0]));
            for c in 0..2 {
                assert!((full[c] - half[c]).abs() < 2e-3, "{p:?}: {full:?} {half:?}");
            }
            assert!((full[0] * 255.0 - (p[0] - 0.5) * 4.0).abs() < 1e-2);
        }
        assert_eq!(levels[0].at([-5.0, -9.0]), levels[0].at([0.5, 0.5]));
        assert_eq!(levels[0].at([500.0, 900.0]), levels[0].at([60.5, 39.5]));
    }
}
